/* SPDX-License-Identifier: MIT */
/*
 * tlb.h - dropping cached translations, in batches.
 *
 * remove = [leaf lock: change slot], one batched drop, and only then free, copy or journal the frame
 * (D5).  A drop costs 10 us when another thread runs, whatever its size: ranges that touch are
 * joined, and what is small enough goes out together.
 */
#ifndef PINFOLD_TLB_H
#define PINFOLD_TLB_H

#include "mm/types.h"

enum tlb_op { TLB_PROTECT, TLB_DROP };

#define TLB_RANGES 16

struct tlb_batch {
	struct pinfold *machine;
	enum tlb_op op;
	unsigned nr;
	struct {
		unsigned long addr;
		size_t len;
		int uffd;
	} range[TLB_RANGES];
};

void tlb_begin(struct tlb_batch *tlb, struct pinfold *m, enum tlb_op op);
/* Notes [addr, addr + len) of a VMA; VMAs without a window have nothing to drop. */
void tlb_add(struct tlb_batch *tlb, const struct vm_area_struct *vma, unsigned long addr, size_t len);
void tlb_flush(struct tlb_batch *tlb);

/* The userfaultfd of a VMA's window. */
int vma_uffd(const struct vm_area_struct *vma);

/* install: the leaf lock is held and the slot read.  0 or -errno.  [sig] */
int tlb_install(const struct vm_area_struct *vma, unsigned long addr, size_t len, bool writable);

#endif
