/* SPDX-License-Identifier: MIT */
/*
 * rmap.h - from pages to the slots that show them, and taking slots out of use.
 *
 * The way is: page, its index, the VMAs on its file's list (anonymous pages: on the list of all private VMAs),
 * their slots.  The walkers hold i_mmap_lock, so that no VMA goes away or moves, and each leaf's lock in turn; the
 * mmap locks are not needed.  A 4 KiB slot has one internal reference on the folio's head and counts in its page's
 * mapcount; a 2 MiB slot has one reference and counts in the folio's hugemaps.  The slots of a shared leaf count once,
 * however many mms have it.
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

/*
 * Empties the slots of [start, end) of one VMA, flushes, and gives the references back.  mmap lock held, at least for
 * reading (`writing` says).  0; -ENOMEM: a table that is shared or a 2 MiB slot lies across an end of the range and could not be
 * had; what lies before it is done.  zap_prepare() beforehand, under the write lock, rules that out.
 */
int zap_range(struct vm_area_struct *vma, unsigned long start, unsigned long end, bool writing);
int zap_prepare(struct mm_struct *mm, unsigned long start, unsigned long end);

/* Takes rights off the slots of [start, end) of one VMA, and drops its translations.  mmap lock held for writing. */
void slots_take_rights(struct vm_area_struct *vma, unsigned long start, unsigned long end, uint64_t rights);

/* The references of a slot that was emptied; the translation is gone. */
void slot_put(struct pinfold *m, uint64_t slot);

/* I7 and I8 of one mm; the number of violations. */
int rmap_check_mm(struct mm_struct *mm);
/* I7 the other way: every page's map count against all tables of the machine. */
int rmap_check_counts(struct pinfold *m);

#endif
