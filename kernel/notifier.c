/* SPDX-License-Identifier: MIT */
/* notifier.c - MMU notifiers: the machine's events, told in the kernel's words. */
#include <linux/mmu_notifier.h>
#include <linux/sched.h>

#include "kd.h"

/* An entry's `more`: the machine's notifier, plus 1 for an interval. */
#define INTERVAL 1ul

static struct mmu_notifier_range range_of(struct mm_struct *mm, unsigned long start, unsigned long end, unsigned event)
{
	return (struct mmu_notifier_range){ .mm = mm, .start = start, .end = end, .flags = MMU_NOTIFIER_RANGE_BLOCKABLE,
	                                    .event = (enum mmu_notifier_event)event };
}

static void tell_start(void *arg, unsigned long start, unsigned long end, unsigned event)
{
	struct mmu_notifier *mn = arg;
	struct mmu_notifier_range r = range_of(mn->mm, start, end, event);

	if (mn->ops->invalidate_range_start)
		mn->ops->invalidate_range_start(mn, &r);
}

static void tell_end(void *arg, unsigned long start, unsigned long end, unsigned event)
{
	struct mmu_notifier *mn = arg;
	struct mmu_notifier_range r = range_of(mn->mm, start, end, event);

	if (mn->ops->invalidate_range_end)
		mn->ops->invalidate_range_end(mn, &r);
}

static bool tell_interval(void *arg, unsigned long start, unsigned long end, unsigned event, unsigned long seq)
{
	struct mmu_interval_notifier *mni = arg;
	struct mmu_notifier_range r = range_of(mni->mm, start, end, event);

	return mni->ops->invalidate(mni, &r, seq);
}

static const struct kd_glue_calls whole = { .start = tell_start, .end = tell_end };
static const struct kd_glue_calls interval = { .invalidate = tell_interval };

int mmu_notifier_register(struct mmu_notifier *mn, struct mm_struct *mm)
{
	int r;

	kd_might_sleep("mmu_notifier_register");
	if (kd_held(&mm->mmap_lock.lock, KD_READ)) {
		kd_problem("mmu_notifier_register(): takes the mmap lock, which the thread holds");
		return -EDEADLK;
	}
	if (kd_inject(KD_ALLOC))
		return -ENOMEM;
	mn->mm = mm;
	r = kd_glue_notify(mm->kd_mm, &whole, mn, &mn->kd_notifier);
	if (!r)
		kd_take((struct kd_entry){ .kind = KD_NOTIFIER, .key = mn, .more = (unsigned long)mn->kd_notifier,
		                           .call = "mmu_notifier_register", .site = KD_SITE });
	return r;
}

void mmu_notifier_unregister(struct mmu_notifier *mn, struct mm_struct *mm)
{
	kd_might_sleep("mmu_notifier_unregister");
	if (!kd_drop(KD_NOTIFIER, mn, NULL)) {
		kd_problem("mmu_notifier_unregister(): it is not registered");
		return;
	}
	if (mn->ops->release)
		mn->ops->release(mn, mm);
	kd_glue_unnotify(mn->kd_notifier);
}

int mmu_interval_notifier_insert(struct mmu_interval_notifier *mni, struct mm_struct *mm, unsigned long start,
                                 unsigned long length, const struct mmu_interval_notifier_ops *ops)
{
	int r;

	kd_might_sleep("mmu_interval_notifier_insert");
	if (kd_inject(KD_ALLOC))
		return -ENOMEM;
	*mni = (struct mmu_interval_notifier){ .ops = ops, .mm = mm };
	mni->interval_tree.start = start;
	mni->interval_tree.last = start + length - 1;
	r = kd_glue_interval(mm->kd_mm, start, length, &interval, mni, &mni->kd_notifier);
	if (!r)
		kd_take((struct kd_entry){ .kind = KD_NOTIFIER, .key = mni, .size = length,
		                           .more = (unsigned long)mni->kd_notifier | INTERVAL,
		                           .call = "mmu_interval_notifier_insert", .site = KD_SITE });
	return r;
}

void mmu_interval_notifier_remove(struct mmu_interval_notifier *mni)
{
	kd_might_sleep("mmu_interval_notifier_remove");
	if (!kd_drop(KD_NOTIFIER, mni, NULL))
		kd_problem("mmu_interval_notifier_remove(): it is not inserted");
	else
		kd_glue_uninterval(mni->kd_notifier);
}

unsigned long mmu_interval_read_begin(struct mmu_interval_notifier *mni)
{
	kd_might_sleep("mmu_interval_read_begin");
	return kd_glue_read_begin(mni->kd_notifier);
}

bool mmu_interval_read_retry(struct mmu_interval_notifier *mni, unsigned long seq)
{
	return kd_glue_read_retry(mni->kd_notifier, seq);
}

void mmu_interval_set_seq(struct mmu_interval_notifier *mni, unsigned long cur_seq)
{
	kd_glue_set_seq(mni->kd_notifier, cur_seq);
}

static bool any(const struct kd_entry *e, const void *arg)
{
	(void)e;
	(void)arg;
	return true;
}

/* What a driver left goes without a word to it: its memory may be gone. */
void kd_notifier_stop(void)
{
	struct kd_entry e;

	while (kd_search(KD_NOTIFIER, any, NULL, &e)) {
		kd_drop(KD_NOTIFIER, e.key, NULL);
		if (e.more & INTERVAL)
			kd_glue_uninterval((struct kd_glue_notifier *)(e.more & ~INTERVAL));
		else
			kd_glue_unnotify((struct kd_glue_notifier *)e.more);
	}
}
