/* SPDX-License-Identifier: MIT */
/*
 * mmu_notifier.h - tells devices that follow an mm that its page tables change (clauses N1 to N3).
 *
 * notify_start(), change slots, drop translations, notify_end(): by one thread, with the same arguments, around
 * each change.  Pairs may overlap, those of one thread too.  At either call no lock of rank HOST_RANK_NOTIFY or
 * above is held: callbacks take the device's own locks, and may wait.
 *
 * From start to end the thread holds the mm's mmap lock, in any mode, or the machine's tlb_sem for reading
 * (tlb_gather() ... tlb_finish()).  Who registers holds both for writing, so no notifier gets half a pair.
 */
#ifndef PINFOLD_MMU_NOTIFIER_H
#define PINFOLD_MMU_NOTIFIER_H

#include "mm/debug.h"

void notifiers_init(struct mm_struct *mm);
/* The mm ends and nothing is mapped any more: each notifier is told and dropped, so that a later unregister or remove
 * gives -EINVAL.  Locks up to the mmap lock may be held. */
void notifiers_release(struct mm_struct *mm);

/* For the two below. */
void notify_start_slow(const struct mmu_notifier_range *range);
void notify_end_slow(const struct mmu_notifier_range *range);

/* relaxed: whoever makes it 1 has the locks of a pair for writing, so within a pair it can only become 0. */
static inline bool notifiers_any(struct mm_struct *mm)
{
	VM_BUG_ON(!host_rwsem_held(&mm->mmap_lock) && !host_rwsem_held(&mm->machine->tlb_sem));
	return unlikely(atomic_load_explicit(&mm->notifiers.any, memory_order_relaxed));
}

/* Slots of [start, end), page-aligned and not empty, are going to change. */
static inline void notify_start(struct mm_struct *mm, unsigned long start, unsigned long end,
                                enum mmu_notifier_event event)
{
	if (notifiers_any(mm))
		notify_start_slow(&(struct mmu_notifier_range){ mm, start, end, 0, event });
}

/* They have, and no translation shows what was there. */
static inline void notify_end(struct mm_struct *mm, unsigned long start, unsigned long end,
                              enum mmu_notifier_event event)
{
	if (notifiers_any(mm))
		notify_end_slow(&(struct mmu_notifier_range){ mm, start, end, 0, event });
}

#endif
