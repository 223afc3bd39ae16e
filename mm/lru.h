/* SPDX-License-Identifier: MIT */
/*
 * lru.h - the order in which clean pages are evicted: two lists, each first in first out.
 *
 * A page enters the inactive list; found used again when it comes to the end it moves to the active
 * list, else it goes.  A scan, which uses each page once, therefore passes through the inactive list
 * and leaves the active one alone.  "Used" is PG_referenced, set by pins and by faults; pages used
 * through a window only fault again after their translation was dropped, which reclaim does once
 * before it evicts (PG_probed).  Pool and direct frames have a pair of lists each.
 *
 * Only clean pages are on a list: one that becomes dirty leaves it and comes back when it is clean again,
 * so that reclaim does not wade through what it may not take.  Who cleans does so under pages_lock, with
 * the page in the index; who removes a page from the index takes it off its list afterwards.
 */
#ifndef PINFOLD_LRU_H
#define PINFOLD_LRU_H

#include "mm/page_alloc.h"

#define LRU_INACTIVE 0
#define LRU_ACTIVE 1

void lru_init(struct pinfold *m);
/* At the head of its list: PG_active says which.  Nothing if it is on one. */
void lru_add(struct pinfold *m, struct page *page);
/* The same, to a list of the caller's choice: PG_active changes under the list's lock only. */
void lru_put(struct pinfold *m, struct page *page, int list);
/* Takes it off if it is on one; true if it was. */
bool lru_del(struct pinfold *m, struct page *page);
/* Takes up to max pages off the end of a list, each with an internal reference; how many. */
unsigned lru_isolate(struct pinfold *m, enum frame_kind kind, int list, struct page **pages,
                     unsigned max);
uint64_t lru_size(struct pinfold *m, enum frame_kind kind, int list);
/* Every page on a list is in a cache and live; the number of violations. */
int lru_check(struct pinfold *m);

#endif
