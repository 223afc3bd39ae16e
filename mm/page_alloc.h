/* SPDX-License-Identifier: MIT */
/*
 * page_alloc.h - frames: a buddy allocator over the pool with caches of single frames before it, a list of records
 * for direct frames, and the stock of staging frames.
 *
 * It says "none" (NULL) and never reclaims (decision D7).  A frame comes with one internal reference
 * and without flags; it is given back by whoever set FREE.  Debug builds fill free pool frames with
 * poison and check it when they are handed out again (I3).
 */
#ifndef PINFOLD_PAGE_ALLOC_H
#define PINFOLD_PAGE_ALLOC_H

#include "mm/page.h"
#include "mm/vmstat.h"

#define POISON_BYTE 0x6b

/* The records m->pages[0 .. nr_frames) are zeroed, the pool mapped.  staging: frames set aside.
 * 0, or -ENOMEM (a pool smaller than staging). */
int page_alloc_init(struct pinfold *m, uint32_t staging);

/* 2^order frames, aligned to their size; the head has order and PG_head (order > 0), the others
 * their distance.  NULL: none that large. */
struct page *alloc_folio(struct pinfold *m, unsigned order);
/* The same for anonymous memory: zeroed, PG_anon and PG_uptodate, index that of its first page. */
struct page *alloc_anon(struct pinfold *m, unsigned order, uint64_t index, bool zero);
/* Free frames, those in caches too. */
uint64_t free_frames(struct pinfold *m, uint64_t *cached);
/* A record for a direct frame: its addr, mapping and index are the caller's to fill. */
struct page *alloc_direct(struct pinfold *m);
/* For whoever set FREE (page_dec() said DEC_FREED, or page_freeze() succeeded). */
void free_frame(struct pinfold *m, struct page *page);

/* A frame for a copy, from the machine's stock, or NULL. */
struct page *staging_get(struct pinfold *m);
void staging_put(struct pinfold *m, struct page *page);

/* Internal references; pages of folios have theirs on the head.  get: false for a page that is frozen or free. */
bool get_internal(struct pinfold *m, struct page *page);
void put_internal(struct pinfold *m, struct page *page);

/* Frees the frame if a decrement said so; true if it was refused. */
static inline bool dec_done(struct pinfold *m, struct page *page, int fact)
{
	if (unlikely(fact & DEC_FREED)) {
		call_begin();
		free_frame(m, page);
		call_end();
	}
	return fact & DEC_REFUSED;
}

/* Adds n units for somebody who holds nothing, to a folio's head.  False: it is frozen, free or at a guard (R6), and nothing
 * was added. */
static inline bool page_get_units(struct pinfold *m, struct page *head, uint64_t unit, uint64_t n)
{
	int fact;

	if (likely(page_try_add(head, unit, n, &fact)))
		return true;
	dec_done(m, head, fact);
	return false;
}

/* Counts n pins on a folio's head; sticky: their page flags.  False: refused, and nothing counted. */
static inline bool page_pin(struct pinfold *m, struct page *head, unsigned n, uint32_t sticky)
{
	page_mark_pin(head, sticky);
	if (unlikely(!page_get_units(m, head, PC_PIN, n)))
		return false;
	page_mark_pin(head, sticky);
	return true;
}

/* Takes off n pins that were counted and not handed out. */
static inline void page_unpin(struct pinfold *m, struct page *head, uint64_t n)
{
	dec_done(m, head, page_dec(head, PC_PIN, n));
}

/* I2, I3 for the allocator's own lists; the number of violations. */
int page_alloc_check(struct pinfold *m);

#endif
