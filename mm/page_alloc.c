/* SPDX-License-Identifier: MIT */
/*
 * page_alloc.c - see page_alloc.h.
 *
 * A free block is known by PG_buddy and its order on its first page; all its words have FREE.  Lists
 * are linked by pfn through the records.  Merging and splitting touch flags and links only, never a
 * count: a stale pinner may be adding to and undoing any word at any time (D3).
 */
#include "mm/page_alloc.h"

#include <errno.h>
#include <string.h>

#include "mm/debug.h"

static void list_add(struct pinfold *m, uint32_t *head, struct page *p)
{
	p->prev = NO_PFN;
	p->next = *head;
	if (*head != NO_PFN)
		pfn_to_page(m, *head)->prev = page_to_pfn(m, p);
	*head = page_to_pfn(m, p);
}

static void list_del(struct pinfold *m, uint32_t *head, struct page *p)
{
	if (p->prev == NO_PFN)
		*head = p->next;
	else
		pfn_to_page(m, p->prev)->next = p->next;
	if (p->next != NO_PFN)
		pfn_to_page(m, p->next)->prev = p->prev;
	p->next = p->prev = NO_PFN;
}

static struct page *list_pop(struct pinfold *m, uint32_t *head)
{
	struct page *p = *head == NO_PFN ? NULL : pfn_to_page(m, *head);

	VM_BUG_ON(!host_held(&m->alloc_lock));
	if (p)
		list_del(m, head, p);
	return p;
}

static void poison(struct page *p, unsigned order)
{
	if (PINFOLD_DEBUG_BUILD)
		memset(p->addr, POISON_BYTE, PAGE_SIZE << order);
}

static bool poisoned(const struct page *p)
{
	const unsigned char *c = p->addr;

	return c[0] == POISON_BYTE && !memcmp(c, c + 1, PAGE_SIZE - 1);
}

static void check_poison(struct page *p, unsigned order)
{
	for (unsigned i = 0; PINFOLD_DEBUG_BUILD && i < 1u << order; i++)
		VM_WARN_ON_PAGE(!poisoned(p + i), p + i);
}

/* Puts a block on the lists, merged with its free buddies.  alloc_lock held. */
static void buddy_add(struct pinfold *m, uint32_t pfn, unsigned order)
{
	struct page *p;

	VM_BUG_ON(!host_held(&m->alloc_lock));
	VM_BUG_ON(order > MAX_ORDER || pfn >= m->pool_frames);
	while (order < MAX_ORDER) {
		uint32_t other = pfn ^ (1u << order);
		struct page *b = pfn_to_page(m, other);

		if (other + (1u << order) > m->pool_frames || !has_flag(b, PG_buddy) ||
		    b->order != order)
			break;
		list_del(m, &m->buddy[order], b);
		clear_flag(b, PG_buddy);
		pfn &= ~(1u << order);
		order++;
	}
	p = pfn_to_page(m, pfn);
	page_set_order(p, order);
	set_flag(p, PG_buddy);
	list_add(m, &m->buddy[order], p);
}

int page_alloc_init(struct pinfold *m, uint32_t staging)
{
	host_mutex_init(&m->alloc_lock, HOST_RANK_ALLOC);
	for (unsigned i = 0; i < FRAME_CACHES; i++)
		host_mutex_init(&m->cache[i].lock, HOST_RANK_CACHE);
	for (unsigned i = 0; i <= MAX_ORDER; i++)
		m->buddy[i] = NO_PFN;
	m->direct_free = m->staging = NO_PFN;
	for (uint32_t i = 0; i < m->nr_frames; i++) {
		struct page *p = pfn_to_page(m, i);

		atomic_store(&p->count, PC_FREE);
		p->next = p->prev = NO_PFN;
		if (i < m->pool_frames)
			p->addr = m->pool + (size_t)i * PAGE_SIZE;
	}
	for (uint32_t i = m->nr_frames; i-- > m->pool_frames;) {
		set_flag(pfn_to_page(m, i), PG_direct);
		list_add(m, &m->direct_free, pfn_to_page(m, i));
	}
	host_lock(&m->alloc_lock);
	for (uint32_t i = 0; i < m->pool_frames; i++) {
		poison(pfn_to_page(m, i), 0);
		buddy_add(m, i, 0);
	}
	host_unlock(&m->alloc_lock);
	atomic_store(&m->nr_free, m->pool_frames);
	atomic_store(&m->nr_direct_free, m->direct_frames);
	for (uint32_t i = 0; i < staging; i++) {
		struct page *p = alloc_folio(m, 0);

		if (!p)
			return -ENOMEM;
		set_flag(p, PG_staging);
		staging_put(m, p);
	}
	m->staging_total = staging;
	return 0;
}

/* A block off the lists, split down to what is wanted; NULL.  alloc_lock held. */
static struct page *buddy_take(struct pinfold *m, unsigned order)
{
	unsigned o = order;
	struct page *p;

	while (o <= MAX_ORDER && m->buddy[o] == NO_PFN)
		o++;
	if (o > MAX_ORDER)
		return NULL;
	p = list_pop(m, &m->buddy[o]);
	clear_flag(p, PG_buddy);
	while (o > order) {
		struct page *half = p + (1u << --o);

		page_set_order(half, o);
		set_flag(half, PG_buddy);
		list_add(m, &m->buddy[o], half);
	}
	page_set_order(p, order);
	atomic_fetch_sub(&m->nr_free, 1u << order);
	return p;
}

/* ---- caches of single frames: FREE, poisoned, on no list -------------------------------------- */

static struct frame_cache *my_cache(struct pinfold *m)
{
	return &m->cache[(unsigned)host_tid() % FRAME_CACHES];
}

/* Gives frames back until `keep` are left.  Its lock is held. */
static void cache_drain(struct pinfold *m, struct frame_cache *c, unsigned keep)
{
	host_lock(&m->alloc_lock);
	while (c->n > keep) {
		buddy_add(m, c->pfn[--c->n], 0);
		atomic_fetch_add(&m->nr_free, 1);
	}
	host_unlock(&m->alloc_lock);
}

static void drain_all(struct pinfold *m)
{
	for (unsigned i = 0; i < FRAME_CACHES; i++) {
		struct frame_cache *c = &m->cache[i];

		host_lock(&c->lock);
		if (c->n)
			cache_drain(m, c, 0);
		host_unlock(&c->lock);
	}
}

static struct page *cache_take(struct pinfold *m)
{
	struct frame_cache *c = my_cache(m);
	struct page *p = NULL;

	host_lock(&c->lock);
	if (!c->n) {
		host_lock(&m->alloc_lock);
		/* Half a cache; the rest of a small pool is for everybody. */
		for (unsigned n = atomic_load(&m->nr_free) / 16; c->n < CACHE_FRAMES / 2 && c->n <= n;) {
			p = buddy_take(m, 0);
			if (!p)
				break;
			c->pfn[c->n++] = page_to_pfn(m, p);
		}
		host_unlock(&m->alloc_lock);
		/* They came in the order of their numbers and go so: neighbours in memory, one mapping in a window. */
		for (unsigned i = 0; i < c->n / 2; i++) {
			uint32_t t = c->pfn[i];

			c->pfn[i] = c->pfn[c->n - 1 - i];
			c->pfn[c->n - 1 - i] = t;
		}
	}
	p = c->n ? pfn_to_page(m, c->pfn[--c->n]) : NULL;
	host_unlock(&c->lock);
	return p;
}

static void cache_give(struct pinfold *m, struct page *p)
{
	struct frame_cache *c = my_cache(m);

	host_lock(&c->lock);
	if (c->n == CACHE_FRAMES)
		cache_drain(m, c, CACHE_FRAMES / 2);
	c->pfn[c->n++] = page_to_pfn(m, p);
	host_unlock(&c->lock);
}

uint64_t free_frames(struct pinfold *m, uint64_t *cached)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < FRAME_CACHES; i++) {
		host_lock(&m->cache[i].lock);
		n += m->cache[i].n;
		host_unlock(&m->cache[i].lock);
	}
	if (cached)
		*cached = n;
	return n + atomic_load(&m->nr_free);
}

static struct page *take_block(struct pinfold *m, unsigned order)
{
	struct page *p;

	host_lock(&m->alloc_lock);
	p = buddy_take(m, order);
	host_unlock(&m->alloc_lock);
	return p;
}

struct page *alloc_folio(struct pinfold *m, unsigned order)
{
	struct page *p;

	VM_BUG_ON(order > MAX_ORDER);
	if (host_fail())
		return NULL;
	p = order ? take_block(m, order) : cache_take(m);
	if (!p) {
		/* What is free may lie in other threads' caches, or keep a block from being whole. */
		drain_all(m);
		p = take_block(m, order);
	}
	if (!p)
		return NULL;
	check_poison(p, order);
	for (unsigned i = 0; i < 1u << order; i++) {
		atomic_store_explicit(&p[i].tail, (uint16_t)i, memory_order_relaxed);
		p[i].mapping = NULL;
		p[i].claim = NULL;
		VM_BUG_ON_PAGE(!(page_count(p + i) & PC_FREE), p + i);
	}
	page_set_order(p, order);
	if (order) {
		folio_clear_pins(p);
		atomic_store(&p->hugemaps, 0);
	}
	atomic_store(&p->flags, order ? PG_head : 0);
	page_thaw(p, PC_INTERNAL);
	return p;
}

struct page *alloc_anon(struct pinfold *m, unsigned order, uint64_t index, bool zero)
{
	struct page *p = alloc_folio(m, order);

	if (!p)
		return NULL;
	if (zero)
		memset(p->addr, 0, PAGE_SIZE << order);
	p->mapping = &m->anon;
	p->index = index;
	set_flag(p, PG_anon | PG_uptodate);
	return p;
}

struct page *alloc_direct(struct pinfold *m)
{
	struct page *p;

	host_lock(&m->alloc_lock);
	p = list_pop(m, &m->direct_free);
	host_unlock(&m->alloc_lock);
	if (!p)
		return NULL;
	atomic_fetch_sub(&m->nr_direct_free, 1);
	VM_BUG_ON_PAGE(!(page_count(p) & PC_FREE), p);
	p->claim = NULL;
	atomic_store(&p->flags, PG_direct);
	page_thaw(p, PC_INTERNAL);
	return p;
}

void free_frame(struct pinfold *m, struct page *p)
{
	unsigned order = p->order;

	VM_BUG_ON_PAGE(!(page_count(p) & PC_FREE), p);
	VM_BUG_ON_PAGE(page_tail(p) || p->claim, p);
	VM_WARN_ON_PAGE(atomic_load(&p->mapcount), p);
	VM_WARN_ON_PAGE(has_flag(p, PG_lru | PG_buddy | PG_staging), p);
	p->mapping = NULL;
	if (has_flag(p, PG_direct)) {
		atomic_store(&p->flags, PG_direct);
		p->addr = NULL;
		host_lock(&m->alloc_lock);
		list_add(m, &m->direct_free, p);
		host_unlock(&m->alloc_lock);
		atomic_fetch_add(&m->nr_direct_free, 1);
		return;
	}
	poison(p, order);
	for (unsigned i = 0; i < 1u << order; i++) {
		VM_WARN_ON_PAGE(atomic_load(&p[i].mapcount), p + i);
		atomic_store_explicit(&p[i].tail, 0, memory_order_relaxed);
	}
	VM_WARN_ON_PAGE(order && atomic_load(&p->hugemaps), p);
	atomic_store(&p->flags, 0);
	if (!order) {
		cache_give(m, p);
		return;
	}
	host_lock(&m->alloc_lock);
	buddy_add(m, page_to_pfn(m, p), order);
	atomic_fetch_add(&m->nr_free, 1u << order);
	host_unlock(&m->alloc_lock);
}

struct page *staging_get(struct pinfold *m)
{
	struct page *p;

	host_lock(&m->alloc_lock);
	p = list_pop(m, &m->staging);
	host_unlock(&m->alloc_lock);
	if (p)
		atomic_fetch_sub(&m->nr_staging, 1);
	return p;
}

void staging_put(struct pinfold *m, struct page *p)
{
	VM_BUG_ON_PAGE(!has_flag(p, PG_staging), p);
	host_lock(&m->alloc_lock);
	list_add(m, &m->staging, p);
	host_unlock(&m->alloc_lock);
	atomic_fetch_add(&m->nr_staging, 1);
}

bool get_internal(struct pinfold *m, struct page *p)
{
	return page_get_units(m, p, PC_INTERNAL, 1);
}

void put_internal(struct pinfold *m, struct page *p)
{
	bool refused = dec_done(m, p, page_dec(p, PC_INTERNAL, 1));

	VM_WARN_ON_PAGE(refused, p);
}

static int check_block(struct pinfold *m, struct page *p, unsigned order)
{
	int bad = 0;

	for (unsigned i = 0; i < 1u << order; i++) {
		bad += !(page_count(p + i) & PC_FREE);
		bad += PINFOLD_DEBUG_BUILD && !poisoned(p + i);
	}
	if (bad || !has_flag(p, PG_buddy) || p->order != order ||
	    page_to_pfn(m, p) & ((1u << order) - 1)) {
		debug_broken("I2/I3: a block on the buddy lists is not free, poisoned and aligned", p);
		bad++;
	}
	return bad;
}

int page_alloc_check(struct pinfold *m)
{
	uint64_t free = 0, direct = 0, staging = 0;
	int bad = 0;

	drain_all(m);
	host_lock(&m->alloc_lock);
	for (unsigned o = 0; o <= MAX_ORDER; o++)
		for (uint32_t i = m->buddy[o]; i != NO_PFN; i = pfn_to_page(m, i)->next) {
			free += 1u << o;
			bad += check_block(m, pfn_to_page(m, i), o);
		}
	for (uint32_t i = m->direct_free; i != NO_PFN; i = pfn_to_page(m, i)->next, direct++)
		bad += !(page_count(pfn_to_page(m, i)) & PC_FREE);
	for (uint32_t i = m->staging; i != NO_PFN; i = pfn_to_page(m, i)->next, staging++)
		bad += page_count(pfn_to_page(m, i)) != PC_INTERNAL;
	host_unlock(&m->alloc_lock);
	if (free != atomic_load(&m->nr_free) || direct != atomic_load(&m->nr_direct_free) ||
	    staging != atomic_load(&m->nr_staging)) {
		debug_broken("I2: frames on the free lists and their counts differ", NULL);
		bad++;
	}
	return bad;
}
