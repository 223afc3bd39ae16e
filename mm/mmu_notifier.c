/* SPDX-License-Identifier: MIT */
/*
 * mmu_notifier.c - see mmu_notifier.h.
 *
 * Whole pairs.  Devices count starts against ends, and so do we for intervals: an end whose start went by unseen
 * would spoil the count for good.  The sem is held around callbacks only: between start and end other locks are
 * taken, and who unregisters is not to wait for that.  (Linux: SRCU; to register, mm_take_all_locks().)
 *   1 From start to end a thread holds the mmap lock, in some mode, or tlb_sem for reading.
 *   2 Who registers holds both for writing: no pair of the mm is open.  Then the sem: nobody walks the lists.
 *   3 So what is on a list has seen the start of every pair that ends while it is there.
 *   4 Who unregisters holds the sem only: no callback runs, and none can find it later.  It misses ends, and
 *     nobody is left to count them.  To come back it must register: 2.
 *   5 `any` is set under the locks of 2: in a pair it stays as it was, or 4 clears it.
 *
 * Sequences.  A reader does read_begin, look up, {device lock, read_retry, use}; an invalidation does active + 1,
 * seq = N, callback with the device lock, change, active - 1.
 *   1 Each N is drawn once in the mm's life, and stored by its own invalidation only, before active - 1.
 *   2 The reader reads seq, then active, until active is 0.  If it has N, it has seen N's active + 1, so it has
 *     seen N's end: what it looks up is what N left.
 *   3 An invalidation that starts after that stores its number over N, and N does not come back (1).
 *   4 If the device lock is the reader's first, the callback comes later and forgets what the reader uses.  If it
 *     is the callback's first, the reader finds the new number and looks up again.
 */
#include "mm/mmu_notifier.h"

#include <errno.h>

#include "lib/export.h"
#include "mm/handle.h"
#include "mm/vmstat.h"

void notifiers_init(struct mm_struct *mm)
{
	mm->notifiers = (struct mm_notifiers){ .seq = 1 };
	host_rwsem_init(&mm->notifiers.sem, HOST_RANK_NOTIFY);
}

/* The public structs are for C++ too, which has no _Atomic. */
#define ATOMIC(field) ((_Atomic __typeof__(field) *)&(field))

/* Odd: 0 is a sequence that never stands.  relaxed: only that no two are the same counts. */
static unsigned long draw_seq(struct mm_notifiers *n)
{
	return atomic_fetch_add_explicit(&n->seq, 2, memory_order_relaxed);
}

/* ---- callbacks: sem held ------------------------------------------------------------------------ */

static bool overlaps(const struct mmu_interval_notifier *mni, const struct mmu_notifier_range *range)
{
	return mni->start < range->end && mni->last >= range->start;
}

static void interval_start(struct mm_notifiers *n, struct mmu_interval_notifier *mni,
                           const struct mmu_notifier_range *range)
{
	unsigned long seq = draw_seq(n);

	/* acquire: pairs with interval_end(), so that our number comes after those of the past */
	atomic_fetch_add_explicit(ATOMIC(mni->active), 1, memory_order_acquire);
	/* release: pairs with read_begin(), which with this number sees the count above */
	atomic_store_explicit(ATOMIC(mni->seq), seq, memory_order_release);
	mni->ops->invalidate(mni, range, seq);
}

/* True: no invalidation of it is left, readers may go on. */
static bool interval_end(struct mmu_interval_notifier *mni)
{
	/* release: pairs with interval_start() and read_begin(), which looks up what was changed before */
	unsigned was = atomic_fetch_sub_explicit(ATOMIC(mni->active), 1, memory_order_release);

	VM_WARN_ON(!was);
	return was == 1;
}

static void wake_readers(struct mm_notifiers *n)
{
	/* release: pairs with read_begin(), which then sees the counts that became 0 */
	atomic_fetch_add_explicit(&n->event, 1, memory_order_release);
	host_wake(&n->event, INT32_MAX);
}

void notify_start_slow(const struct mmu_notifier_range *range)
{
	struct mm_notifiers *n = &range->mm->notifiers;
	unsigned called = 0;

	VM_BUG_ON(range->start >= range->end || ((range->start | range->end) & ~PAGE_MASK));
	host_read_lock(&n->sem);
	current.in_notifier = true;
	for (struct mmu_interval_notifier *mni = n->intervals; mni; mni = mni->next)
		if (overlaps(mni, range)) {
			interval_start(n, mni, range);
			called++;
		}
	for (struct mmu_notifier *mn = n->list; mn; mn = mn->next)
		if (mn->ops->invalidate_range_start) {
			mn->ops->invalidate_range_start(mn, range);
			called++;
		}
	current.in_notifier = false;
	host_read_unlock(&n->sem);
	count_event(range->mm->machine, NOTIFIED, called);
}

void notify_end_slow(const struct mmu_notifier_range *range)
{
	struct mm_notifiers *n = &range->mm->notifiers;
	unsigned called = 0;

	host_read_lock(&n->sem);
	for (struct mmu_interval_notifier *mni = n->intervals; mni; mni = mni->next)
		if (overlaps(mni, range) && interval_end(mni))
			wake_readers(n);
	current.in_notifier = true;
	for (struct mmu_notifier *mn = n->list; mn; mn = mn->next)
		if (mn->ops->invalidate_range_end) {
			mn->ops->invalidate_range_end(mn, range);
			called++;
		}
	current.in_notifier = false;
	host_read_unlock(&n->sem);
	count_event(range->mm->machine, NOTIFIED, called);
}

/* Off its list, sem held for writing.  A reader that sleeps on it would be woken by nobody. */
static void drop_interval(struct mm_notifiers *n, struct mmu_interval_notifier *mni)
{
	mni->mm = NULL;
	/* release: pairs with read_begin() */
	atomic_store_explicit(ATOMIC(mni->active), 0, memory_order_release);
	wake_readers(n);
}

void notifiers_release(struct mm_struct *mm)
{
	const struct mmu_notifier_range range = { .mm = mm, .end = PAGE_MASK, .event = MMU_NOTIFY_RELEASE };
	struct mm_notifiers *n = &mm->notifiers;
	unsigned called = 0;

	host_write_lock(&n->sem);
	current.in_notifier = true;
	for (struct mmu_interval_notifier *mni; (mni = n->intervals); called++) {
		n->intervals = mni->next;
		interval_start(n, mni, &range);
		drop_interval(n, mni);
	}
	for (struct mmu_notifier *mn; (mn = n->list);) {
		n->list = mn->next;
		mn->mm = NULL;
		if (!mn->ops->release)
			continue;
		mn->ops->release(mn, mm); /* may free it */
		called++;
	}
	current.in_notifier = false;
	/* relaxed: see notifiers_any() */
	atomic_store_explicit(&n->any, 0, memory_order_relaxed);
	host_write_unlock(&n->sem);
	count_event(mm->machine, NOTIFIED, called);
}

/* ---- registering -------------------------------------------------------------------------------- */

/* add: no pair is open either.  0, or -errno and nothing is locked. */
static int lists_lock(struct mm_struct *mm, bool add)
{
	int r = mm_check_live(mm);

	if (!r && (current.in_notifier || (add && current.mmap_held)))
		r = -EDEADLK;
	if (r)
		return r;
	call_begin();
	if (add) {
		host_write_lock(&mm->mmap_lock);
		host_write_lock(&mm->machine->tlb_sem);
	}
	host_write_lock(&mm->notifiers.sem);
	return 0;
}

static void lists_unlock(struct mm_struct *mm, bool add)
{
	struct mm_notifiers *n = &mm->notifiers;

	/* relaxed: see notifiers_any() */
	atomic_store_explicit(&n->any, n->list || n->intervals, memory_order_relaxed);
	host_write_unlock(&n->sem);
	if (add) {
		host_write_unlock(&mm->machine->tlb_sem);
		host_write_unlock(&mm->mmap_lock);
	}
	call_end();
}

PINFOLD_EXPORT int mmu_notifier_register(struct mmu_notifier *mn, struct mm_struct *mm)
{
	int r = !mn || !mn->ops || mn->mm ? -EINVAL : lists_lock(mm, true);

	if (r)
		return r;
	mn->mm = mm;
	mn->next = mm->notifiers.list;
	mm->notifiers.list = mn;
	lists_unlock(mm, true);
	return 0;
}

PINFOLD_EXPORT int mmu_notifier_unregister(struct mmu_notifier *mn, struct mm_struct *mm)
{
	struct mmu_notifier **link;
	int r = lists_lock(mm, false);

	if (r)
		return r;
	for (link = &mm->notifiers.list; *link && *link != mn;)
		link = &(*link)->next;
	if (*link) {
		*link = mn->next;
		mn->mm = NULL;
	} else {
		r = -EINVAL;
	}
	lists_unlock(mm, false);
	return r;
}

PINFOLD_EXPORT int mmu_interval_notifier_insert(struct mmu_interval_notifier *mni, struct mm_struct *mm,
                                                unsigned long start, unsigned long length,
                                                const struct mmu_interval_notifier_ops *ops)
{
	unsigned long last = start + (length - 1);
	int r = !mni || mni->mm || !ops || !ops->invalidate || !length ? -EINVAL : 0;

	if (!r)
		r = last < start ? -EOVERFLOW : lists_lock(mm, true);
	if (r)
		return r;
	*mni = (struct mmu_interval_notifier){
		.ops = ops, .mm = mm, .start = start, .last = last, .seq = draw_seq(&mm->notifiers),
		.next = mm->notifiers.intervals,
	};
	mm->notifiers.intervals = mni;
	lists_unlock(mm, true);
	return 0;
}

PINFOLD_EXPORT int mmu_interval_notifier_remove(struct mmu_interval_notifier *mni)
{
	struct mm_struct *mm = mni ? mni->mm : NULL;
	struct mmu_interval_notifier **link;
	int r = lists_lock(mm, false);

	if (r)
		return r;
	for (link = &mm->notifiers.intervals; *link && *link != mni;)
		link = &(*link)->next;
	if (*link) {
		*link = mni->next;
		drop_interval(&mm->notifiers, mni);
	} else {
		r = -EINVAL;
	}
	lists_unlock(mm, false);
	return r;
}

/* ---- sequences ---------------------------------------------------------------------------------- */

PINFOLD_EXPORT unsigned long mmu_interval_read_begin(struct mmu_interval_notifier *mni)
{
	struct mm_struct *mm = mni->mm;

	/* In a callback it would wait for itself. */
	if (mm_check_live(mm) || current.in_notifier)
		return 0;
	for (;;) {
		/* acquire, in this order: pair with wake_readers(), interval_start() and set_seq, interval_end() */
		uint32_t seen = atomic_load_explicit(&mm->notifiers.event, memory_order_acquire);
		unsigned long seq = atomic_load_explicit(ATOMIC(mni->seq), memory_order_acquire);

		if (!atomic_load_explicit(ATOMIC(mni->active), memory_order_acquire))
			return seq;
		host_wait(&mm->notifiers.event, seen, 0);
	}
}

PINFOLD_EXPORT int mmu_interval_read_retry(struct mmu_interval_notifier *mni, unsigned long seq)
{
	/* relaxed: the device lock orders it against the callback */
	return !seq || atomic_load_explicit(ATOMIC(mni->seq), memory_order_relaxed) != seq;
}

PINFOLD_EXPORT void mmu_interval_set_seq(struct mmu_interval_notifier *mni, unsigned long cur_seq)
{
	/* release: as in interval_start(), which stored the same number */
	atomic_store_explicit(ATOMIC(mni->seq), cur_seq, memory_order_release);
}
