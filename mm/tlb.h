/* SPDX-License-Identifier: MIT */
/*
 * tlb.h - dropping cached translations, in batches.
 *
 * remove = [leaf lock: change slot], one batched drop, and only then free, copy or journal the frame
 * (D5).  A drop costs 10 us when another thread runs, whatever its size: ranges that touch are
 * joined, and what is small enough goes out together.
 *
 * A batch of somebody who does not hold the mmap lock must not outlive the VMAs in it:
 *   1 reclaim notes a range     2 munmap unmaps it, and the application maps something else there
 *   3 reclaim drops the range: the application's memory
 * So such a batch lies between tlb_gather() and tlb_finish(), and munmap, once no list leads to the VMA
 * any more, waits in tlb_wait() for those that may have noted it.
 */
#ifndef PINFOLD_TLB_H
#define PINFOLD_TLB_H

#include "mm/types.h"

enum tlb_op { TLB_PROTECT, TLB_DROP };

#define TLB_RANGES 16

struct tlb_batch {
	struct pinfold *machine;
	enum tlb_op op;
	size_t gap; /* ranges this close are joined over what lies between */
	unsigned nr;
	struct {
		const struct vm_area_struct *vma; /* a name: not looked at */
		unsigned long addr;
		size_t len;
		int uffd;
	} range[TLB_RANGES];
};

void tlb_begin(struct tlb_batch *tlb, struct pinfold *m, enum tlb_op op);
/* Notes [addr, addr + len) of a VMA; VMAs without a window have nothing to drop. */
void tlb_add(struct tlb_batch *tlb, const struct vm_area_struct *vma, unsigned long addr, size_t len);
void tlb_flush(struct tlb_batch *tlb);

void tlb_gather(struct pinfold *m);
void tlb_finish(struct pinfold *m);
void tlb_wait(struct pinfold *m);

/* The userfaultfd of a VMA's window. */
int vma_uffd(const struct vm_area_struct *vma);

/* install: the leaf lock is held and the slot read.  0 or -errno.  [sig] */
int tlb_install(const struct vm_area_struct *vma, unsigned long addr, size_t len, bool writable);

/* Lets stores through a translation that is there; does nothing if it is not.  Likewise.  [sig] */
int tlb_unprotect(const struct vm_area_struct *vma, unsigned long addr);

#endif
