/* SPDX-License-Identifier: MIT */
/* lru.c - see lru.h. */
#include "mm/lru.h"

#include "mm/debug.h"

static struct lru *lru_of(struct pinfold *m, const struct page *p)
{
	return &m->lru[has_flag(p, PG_direct) ? FRAME_DIRECT : FRAME_POOL];
}

void lru_init(struct pinfold *m)
{
	for (int k = 0; k < 2; k++) {
		host_mutex_init(&m->lru[k].lock, HOST_RANK_LRU);
		for (int l = 0; l < 2; l++) {
			m->lru[k].head[l] = m->lru[k].tail[l] = NO_PFN;
			m->lru[k].nr[l] = 0;
		}
	}
}

/* lock held */
static void unlink_page(struct pinfold *m, struct lru *lru, struct page *p)
{
	int l = has_flag(p, PG_active) ? LRU_ACTIVE : LRU_INACTIVE;

	VM_BUG_ON(!host_held(&lru->lock));
	VM_BUG_ON_PAGE(!lru->nr[l], p);
	*(p->prev == NO_PFN ? &lru->head[l] : &pfn_to_page(m, p->prev)->next) = p->next;
	*(p->next == NO_PFN ? &lru->tail[l] : &pfn_to_page(m, p->next)->prev) = p->prev;
	p->next = p->prev = NO_PFN;
	lru->nr[l]--;
	clear_flag(p, PG_lru);
}

/* lock held */
static void link_page(struct pinfold *m, struct lru *lru, struct page *p)
{
	int l = has_flag(p, PG_active) ? LRU_ACTIVE : LRU_INACTIVE;

	VM_BUG_ON(!host_held(&lru->lock));
	VM_BUG_ON_PAGE(!p->mapping || !p->mapping->ops->commits, p);
	p->prev = NO_PFN;
	p->next = lru->head[l];
	*(p->next == NO_PFN ? &lru->tail[l] : &pfn_to_page(m, p->next)->prev) = page_to_pfn(m, p);
	lru->head[l] = page_to_pfn(m, p);
	lru->nr[l]++;
	set_flag(p, PG_lru);
}

void lru_add(struct pinfold *m, struct page *p)
{
	struct lru *lru = lru_of(m, p);

	host_lock(&lru->lock);
	/* On a list: cleaned, and put back by reclaim, at the same time. */
	if (!has_flag(p, PG_lru))
		link_page(m, lru, p);
	host_unlock(&lru->lock);
}

void lru_put(struct pinfold *m, struct page *p, int list)
{
	struct lru *lru = lru_of(m, p);

	host_lock(&lru->lock);
	if (!has_flag(p, PG_lru)) {
		if (list == LRU_ACTIVE)
			set_flag(p, PG_active);
		else
			clear_flag(p, PG_active);
		link_page(m, lru, p);
	}
	host_unlock(&lru->lock);
}

bool lru_del(struct pinfold *m, struct page *p)
{
	struct lru *lru = lru_of(m, p);
	bool was;

	host_lock(&lru->lock);
	was = has_flag(p, PG_lru);
	if (was)
		unlink_page(m, lru, p);
	host_unlock(&lru->lock);
	return was;
}

unsigned lru_isolate(struct pinfold *m, enum frame_kind kind, int list, struct page **pages,
                     unsigned max)
{
	struct lru *lru = &m->lru[kind];
	unsigned n = 0;

	host_lock(&lru->lock);
	while (n < max && lru->tail[list] != NO_PFN) {
		struct page *p = pfn_to_page(m, lru->tail[list]);

		unlink_page(m, lru, p);
		/* Refused: another reclaimer froze it before it was put on the list.  It is off now. */
		if (get_internal(m, p))
			pages[n++] = p;
	}
	host_unlock(&lru->lock);
	return n;
}

uint64_t lru_size(struct pinfold *m, enum frame_kind kind, int list)
{
	uint64_t n;

	host_lock(&m->lru[kind].lock);
	n = m->lru[kind].nr[list];
	host_unlock(&m->lru[kind].lock);
	return n;
}

int lru_check(struct pinfold *m)
{
	int bad = 0;

	for (int k = 0; k < 2; k++)
		for (int l = 0; l < 2; l++) {
			uint64_t n = 0;

			host_lock(&m->lru[k].lock);
			for (uint32_t i = m->lru[k].head[l]; i != NO_PFN; n++) {
				struct page *p = pfn_to_page(m, i);

				bad += !has_flag(p, PG_lru) || !p->mapping ||
				       has_flag(p, PG_unclean) ||
				       (page_count(p) & PC_FREE) ||
				       !!has_flag(p, PG_active) != l ||
				       !!has_flag(p, PG_direct) != k;
				i = p->next;
			}
			bad += n != m->lru[k].nr[l];
			host_unlock(&m->lru[k].lock);
		}
	if (bad)
		debug_broken("I2: a page on an LRU list is not a live cached page of that list", NULL);
	return bad;
}
