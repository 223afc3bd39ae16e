/* SPDX-License-Identifier: MIT */
/*
 * rmap.h - from file pages to the slots that hold them.
 *
 * The way is: page, its index, the VMAs on its file's list, their slots.  The walkers hold
 * i_mmap_lock, so that no VMA of the file goes away, and each leaf's lock in turn; the mmap locks are
 * not needed.  Each slot that holds a page has one internal reference and counts in page->mapcount.
 */
#ifndef PINFOLD_RMAP_H
#define PINFOLD_RMAP_H

#include "mm/pgtable.h"
#include "mm/tlb.h"
#include "mm/vma.h"

/* Puts a page into an empty slot, or raises the slot's rights.  The leaf is locked; the caller's
 * reference becomes the slot's if the slot was empty: true. */
bool rmap_map(struct table *leaf, slot_t *slot, const struct pinfold *m, struct page *page,
              uint64_t bits);

/* Takes `bits` off the slots of file pages [index, index + n); notes what had one of them in tlb
 * (TLB_PROTECT), or with tlb NULL changes slots only. */
void rmap_clear_bits(struct address_space *mapping, uint64_t index, uint64_t n, uint64_t bits,
                     struct tlb_batch *tlb);

/* Empties the slots of one page.  Their references and the translations noted in tlb (TLB_DROP) are
 * the caller's: it flushes, then gives back as many references as the result says. */
unsigned rmap_unmap(struct address_space *mapping, struct page *page, struct tlb_batch *tlb);

/* Empties the slots of [start, end) of one VMA, flushes, and gives the references back.  mmap lock
 * held, at least for reading. */
void zap_range(struct vm_area_struct *vma, unsigned long start, unsigned long end);

/* I7 and I8 of one mm; the number of violations. */
int rmap_check_mm(struct mm_struct *mm);

#endif
