/* SPDX-License-Identifier: MIT */
/*
 * Test double (doc/kernel.md).  MMU notifiers, the machine's own: kd_munmap() and kd_mprotect() call them, and pins that give the
 * mm another page.  Callbacks run with the machine's locks held: they may take the driver's own locks, release pages and
 * call mmu_interval_set_seq().
 */
#ifndef KD_LINUX_MMU_NOTIFIER_H
#define KD_LINUX_MMU_NOTIFIER_H

#include <linux/interval_tree.h>
#include <linux/mm_types.h>
#include <linux/mmap_lock.h>

enum mmu_notifier_event {
	MMU_NOTIFY_UNMAP = 0,
	MMU_NOTIFY_CLEAR,
	MMU_NOTIFY_PROTECTION_VMA,
	MMU_NOTIFY_PROTECTION_PAGE,
	MMU_NOTIFY_SOFT_DIRTY,
	MMU_NOTIFY_RELEASE
};
#define MMU_NOTIFIER_RANGE_BLOCKABLE 1u

struct mmu_notifier;
struct mmu_interval_notifier;
struct kd_glue_notifier;

struct mmu_notifier_range {
	struct mm_struct *mm;
	unsigned long start, end;
	unsigned int flags;
	enum mmu_notifier_event event;
	void *owner;
};
#define mmu_notifier_range_blockable(range) ((range)->flags & MMU_NOTIFIER_RANGE_BLOCKABLE)

struct mmu_notifier_ops {
	void (*release)(struct mmu_notifier *mn, struct mm_struct *mm);
	int (*invalidate_range_start)(struct mmu_notifier *mn, const struct mmu_notifier_range *range);
	void (*invalidate_range_end)(struct mmu_notifier *mn, const struct mmu_notifier_range *range);
};
struct mmu_notifier {
	const struct mmu_notifier_ops *ops;
	struct mm_struct *mm;
	struct kd_glue_notifier *kd_notifier;
};

/* unregister calls release(), since the mm lives. */
int mmu_notifier_register(struct mmu_notifier *mn, struct mm_struct *mm) KD_SYM(mmu_notifier_register);
void mmu_notifier_unregister(struct mmu_notifier *mn, struct mm_struct *mm) KD_SYM(mmu_notifier_unregister);

struct mmu_interval_notifier_ops {
	bool (*invalidate)(struct mmu_interval_notifier *mni, const struct mmu_notifier_range *range, unsigned long cur_seq);
};
struct mmu_interval_notifier {
	struct interval_tree_node interval_tree;
	const struct mmu_interval_notifier_ops *ops;
	struct mm_struct *mm;
	struct kd_glue_notifier *kd_notifier;
};

int mmu_interval_notifier_insert(struct mmu_interval_notifier *mni, struct mm_struct *mm, unsigned long start,
                                 unsigned long length, const struct mmu_interval_notifier_ops *ops)
	KD_SYM(mmu_interval_notifier_insert);
void mmu_interval_notifier_remove(struct mmu_interval_notifier *mni) KD_SYM(mmu_interval_notifier_remove);
unsigned long mmu_interval_read_begin(struct mmu_interval_notifier *mni) KD_SYM(mmu_interval_read_begin);
bool mmu_interval_read_retry(struct mmu_interval_notifier *mni, unsigned long seq) KD_SYM(mmu_interval_read_retry);
void mmu_interval_set_seq(struct mmu_interval_notifier *mni, unsigned long cur_seq) KD_SYM(mmu_interval_set_seq);
#define mmu_interval_check_retry mmu_interval_read_retry

#endif
