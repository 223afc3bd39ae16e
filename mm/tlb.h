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

#include "mm/extent.h"

enum tlb_op { TLB_PROTECT, TLB_DROP };

#define TLB_RANGES 16

struct tlb_batch {
	struct pinfold *machine;
	enum tlb_op op;
	size_t gap; /* ranges this close are joined over what lies between */
	unsigned nr;
	struct {
		struct mm_struct *mm;
		unsigned long addr;
		size_t len;
		int uffd; /* -1: an extent window */
	} range[TLB_RANGES];
};

void tlb_begin(struct tlb_batch *tlb, struct pinfold *m, enum tlb_op op);
/* Notes [addr, addr + len) of a VMA; VMAs without a window have nothing to drop. */
void tlb_add(struct tlb_batch *tlb, const struct vm_area_struct *vma, unsigned long addr, size_t len);
void tlb_flush(struct tlb_batch *tlb);
/* The same for the ranges of extent windows only; the others are forgotten: punching drops them. */
void tlb_flush_extents(struct tlb_batch *tlb);

void tlb_gather(struct pinfold *m);
void tlb_finish(struct pinfold *m);
void tlb_wait(struct pinfold *m);

/* The userfaultfd of a VMA in a direct window. */
int vma_uffd(const struct vm_area_struct *vma);
/* Is it a VMA whose stores the host tells only when it is asked?  (PINFOLD_FILE_ASYNC_WP) */
bool vma_async(const struct vm_area_struct *vma);

/* install: the table's lock is held and the slot read.  In a direct window the run's pages are the file's, whatever their
 * frames.  The run may be shortened.  0 or -errno.  [sig] */
int tlb_install(const struct vm_area_struct *vma, struct extent_run *run);

/* Lets stores through to a page; its translation may be there, for reading, or not.  Likewise.  [sig] */
int tlb_unprotect(const struct vm_area_struct *vma, unsigned long addr, struct page *page);

#endif
