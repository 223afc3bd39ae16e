/* SPDX-License-Identifier: MIT */
/*
 * notifier.h - MMU notifiers: a device that follows an mm's page tables instead of pinning (clause N1).
 *
 * invalidate_range_start() comes before slots of a range change and its translations go, invalidate_range_end()
 * after both.  munmap, mprotect, DONTNEED, mremap, dup_mmap (write protection), a copy on write, unsharing for
 * a pin (N3), write protection by a freeze, and eviction: all of them are told.
 *
 * Callbacks run in the thread that makes the change, with locks of the library held; a store through a window may make
 * one, in its signal handler.  So hold no lock that a callback takes while touching a window or calling the library.  They may take the device's own
 * locks, put_user_page() and mmu_interval_set_seq(); any other call into the library is refused or deadlocks, and
 * touching a window is not served.  They must not wait for a thread that may be inside a call on the mm.
 *
 * Names and the shapes of the structs are Linux 5.2's (interval notifiers: those that followed in 5.5); the fields
 * after `ops` belong to the library.
 */
#ifndef PINFOLD_NOTIFIER_H
#define PINFOLD_NOTIFIER_H

#include <stdbool.h>

#include <pinfold/gup.h>

#ifdef __cplusplus
extern "C" {
#endif

enum mmu_notifier_event {
	MMU_NOTIFY_UNMAP = 0,       /* munmap, mremap, the end of the mm */
	MMU_NOTIFY_CLEAR,           /* a page replaced or taken away: COW, unsharing, DONTNEED, eviction */
	MMU_NOTIFY_PROTECTION_VMA,  /* mprotect */
	MMU_NOTIFY_PROTECTION_PAGE, /* write protection: freeze, dup_mmap */
	MMU_NOTIFY_SOFT_DIRTY,      /* never sent */
	MMU_NOTIFY_RELEASE          /* the mm ends: to interval notifiers, which are removed by it */
};

struct mmu_notifier_range {
	struct mm_struct *mm;
	unsigned long start, end;   /* [start, end), page-aligned */
	unsigned flags;             /* 0 */
	enum mmu_notifier_event event;
};

struct mmu_notifier;

struct mmu_notifier_ops {
	/* The mm is destroyed: once, last.  May be NULL, like every one of these. */
	void (*release)(struct mmu_notifier *mn, struct mm_struct *mm);
	/* Result: ignored (Linux: 0 where it may block). */
	int (*invalidate_range_start)(struct mmu_notifier *mn, const struct mmu_notifier_range *range);
	void (*invalidate_range_end)(struct mmu_notifier *mn, const struct mmu_notifier_range *range);
};

struct mmu_notifier {
	const struct mmu_notifier_ops *ops;
	struct mm_struct *mm;
	struct mmu_notifier *next;
};

/* mn is zeroed but for ops.  Waits for changes of the mm under way.  0; -EINVAL no live mm, no ops, registered already;
 * -EDEADLK from a callback, or holding an mmap lock.  Memory is the caller's until unregister returned or release() was
 * called. */
int mmu_notifier_register(struct mmu_notifier *mn, struct mm_struct *mm) PINFOLD_SYM(mmu_notifier_register);
/* No callback runs or starts after it returned; release() is not called by it.  May be called under the mmap lock; hold no
 * lock that a callback takes.  -EINVAL not registered, -EDEADLK from a callback. */
int mmu_notifier_unregister(struct mmu_notifier *mn, struct mm_struct *mm)
	PINFOLD_SYM(mmu_notifier_unregister);

/*
 * Interval notifiers: one range each, and a sequence that tells a reader whether what it looked up still stands.
 *
 *   again:
 *     seq = mmu_interval_read_begin(mni);
 *     look up pages (get_user_pages..., put them again)
 *     lock(device);
 *     if (mmu_interval_read_retry(mni, seq)) { unlock(device); goto again; }
 *     use them; unlock(device);
 *
 * invalidate() takes the same device lock, calls mmu_interval_set_seq(mni, cur_seq), and forgets the range.
 */
struct mmu_interval_notifier;

struct mmu_interval_notifier_ops {
	/* True: done.  (Linux lets it fail where it may not block; here it always may.) */
	bool (*invalidate)(struct mmu_interval_notifier *mni, const struct mmu_notifier_range *range,
	                   unsigned long cur_seq);
};

struct mmu_interval_notifier {
	const struct mmu_interval_notifier_ops *ops;
	struct mm_struct *mm;
	unsigned long start, last; /* [start, last] */
	unsigned long seq;         /* atomic; odd */
	unsigned active;           /* atomic: invalidations under way */
	struct mmu_interval_notifier *next;
};

/* mni is zeroed.  0; -EINVAL no live mm, empty, no ops, inserted already; -EOVERFLOW the range wraps; -EDEADLK as for
 * mmu_notifier_register(). */
int mmu_interval_notifier_insert(struct mmu_interval_notifier *mni, struct mm_struct *mm,
                                 unsigned long start, unsigned long length,
                                 const struct mmu_interval_notifier_ops *ops)
	PINFOLD_SYM(mmu_interval_notifier_insert);
/* No callback runs or starts after it returned.  -EINVAL not inserted, -EDEADLK from a callback. */
int mmu_interval_notifier_remove(struct mmu_interval_notifier *mni)
	PINFOLD_SYM(mmu_interval_notifier_remove);
/* Waits for invalidations of its range.  0, which never stands, from a callback or without a live mm. */
unsigned long mmu_interval_read_begin(struct mmu_interval_notifier *mni)
	PINFOLD_SYM(mmu_interval_read_begin);
/* Nonzero: an invalidation came since, look up again.  The device lock is held. */
int mmu_interval_read_retry(struct mmu_interval_notifier *mni, unsigned long seq)
	PINFOLD_SYM(mmu_interval_read_retry);
void mmu_interval_set_seq(struct mmu_interval_notifier *mni, unsigned long cur_seq)
	PINFOLD_SYM(mmu_interval_set_seq);

#ifdef __cplusplus
}
#endif
#endif
