/* SPDX-License-Identifier: MIT */
/* reclaim.c - see reclaim.h. */
#include "mm/reclaim.h"

#include "mm/debug.h"
#include "mm/freeze.h"
#include "mm/vmstat.h"

#define BATCH 64u

enum verdict { KEEP, ACTIVATE, PROBE, EVICT };

/* One round over the end of a list.  All pages have our reference and are on no list. */
struct shrink {
	struct pinfold *m;
	bool force;     /* evict what is clean, used or not */
	unsigned n, evict;
	struct page *page[BATCH];
	struct tlb_batch tlb;       /* of pages that stay */
	struct tlb_batch evict_tlb; /* of pages that should go */
};

static enum verdict judge(struct shrink *s, struct page *p)
{
	uint64_t c = page_count(p);

	if (pc_pins(c) || pc_refs(c)) {
		count_event(s->m, SKIPPED_PINNED, 1);
		return KEEP;
	}
	if (has_flag(p, PG_unclean)) {
		count_event(s->m, SKIPPED_DIRTY, 1);
		return KEEP;
	}
	if (s->force)
		return EVICT;
	if (has_flag(p, PG_referenced)) {
		clear_flag(p, PG_referenced);
		return ACTIVATE;
	}
	/* A page that is used through a translation looks idle: take the translation away once and see
	 * whether it faults before it comes round again. */
	if (has_flag(p, PG_window) && !has_flag(p, PG_probed))
		return PROBE;
	return EVICT;
}

/*
 * Back to a list, if it is clean, and our reference off.  Who makes a page dirty or clean may be at it
 * now, and each of us looks at the flags again after its own step:
 *   dirtying: flag set, then off the list        cleaning: flag cleared, then on the list
 */
static void put_back(struct pinfold *m, struct page *p, int list)
{
	if (!has_flag(p, PG_unclean))
		lru_put(m, p, list);
	host_mb("mark_dirty() and cut_cleaned()");
	if (has_flag(p, PG_unclean))
		lru_del(m, p);
	host_mb("cut_cleaned()");
	if (!has_flag(p, PG_unclean))
		lru_put(m, p, list);
	put_internal(m, p);
}

/* Empties the page's slots and gives their references back; ours keeps the page. */
static void unmap(struct shrink *s, struct page *p, struct tlb_batch *tlb)
{
	unsigned n = rmap_unmap(p->mapping, p, tlb);

	while (n--)
		put_internal(s->m, p);
}

static bool by_place(const struct page *a, const struct page *b)
{
	return a->mapping < b->mapping || (a->mapping == b->mapping && a->index < b->index);
}

/* Insertion sort: batches are small and come nearly sorted. */
static void sort_pages(struct page **p, unsigned n)
{
	for (unsigned i = 1; i < n; i++) {
		struct page *x = p[i];
		unsigned j = i;

		for (; j && by_place(x, p[j - 1]); j--)
			p[j] = p[j - 1];
		p[j] = x;
	}
}

/* Locks the candidates; what cannot be evicted goes back.  Leaves page[0 .. evict). */
static void lock_batch(struct shrink *s)
{
	unsigned n = s->evict;

	s->evict = 0;
	for (unsigned i = 0; i < n; i++) {
		struct page *p = s->page[i];

		if (!page_trylock(p)) {
			put_back(s->m, p, LRU_INACTIVE);
			continue;
		}
		/* With the lock nobody makes it writable; a device's dirty mark needs a pin. */
		if (has_flag(p, PG_unclean)) {
			page_unlock(p);
			put_back(s->m, p, LRU_INACTIVE);
			continue;
		}
		s->page[s->evict++] = p;
	}
}

/*
 * Unmaps and freezes what nobody else holds: the index and this function have a reference each.
 * Punching drops direct windows' translations of what goes; those of what stays, and an extent window's, must be
 * dropped here (I11).
 */
static void freeze_batch(struct shrink *s)
{
	unsigned n = s->evict;
	struct page *stay[BATCH];
	unsigned nr_stay = 0;

	s->evict = 0;
	for (unsigned i = 0; i < n; i++) {
		struct page *p = s->page[i];
		bool clean = !has_flag(p, PG_unclean); /* an asynchronous store may have been found */

		if (clean)
			unmap(s, p, &s->evict_tlb);
		if (!clean || !page_freeze(p, 2 * PC_INTERNAL)) {
			stay[nr_stay++] = p;
		} else if (has_flag(p, PG_unclean)) {
			/* A device's put marked it and came in between; the mark is in the index. */
			page_thaw(p, 2 * PC_INTERNAL);
			stay[nr_stay++] = p;
		} else {
			s->page[s->evict++] = p;
		}
	}
	if (nr_stay)
		tlb_flush(&s->evict_tlb);
	else
		tlb_flush_extents(&s->evict_tlb);
	while (nr_stay--) {
		page_unlock(stay[nr_stay]);
		put_back(s->m, stay[nr_stay], LRU_INACTIVE);
	}
}

static unsigned run_length(struct page **p, unsigned n)
{
	unsigned k = 1;

	while (k < n && p[k]->mapping == p[0]->mapping && p[k]->index == p[0]->index + k)
		k++;
	return k;
}

/*
 * Asynchronous files: a store to a page that looks clean gives no fault.  So stores are kept out by
 * the host's page protection while we look; who stores meanwhile gets SIGSEGV, faults, and tries
 * again until it is over.
 */
static void hold_stores(struct page **p, unsigned n, bool hold)
{
	struct address_space *mapping = p[0]->mapping;
	bool failed = false;

	if (!(mapping->flags & PINFOLD_FILE_ASYNC_WP))
		return;
	host_lock(&mapping->i_mmap_lock);
	mapping->holds += hold ? 1u : -1u;
	for (struct vm_area_struct *v = mapping->i_mmap; v; v = v->in_file.next) {
		uint64_t first = p[0]->index > v->pgoff ? p[0]->index : v->pgoff;
		uint64_t end = v->pgoff + ((v->end - v->start) >> PAGE_SHIFT);

		if (end > p[0]->index + n)
			end = p[0]->index + n;
		if (v->mm->window != PINFOLD_WINDOW_DIRECT || first >= end || !(v->prot & PINFOLD_PROT_WRITE))
			continue;
		if (host_window_mprotect(vma_addr(v, first), (end - first) << PAGE_SHIFT,
		                         hold ? v->prot & ~PINFOLD_PROT_WRITE : v->prot))
			failed = true;
		if (hold)
			freeze_collect(v, vma_addr(v, first), vma_addr(v, first) +
			                  ((end - first) << PAGE_SHIFT));
	}
	host_unlock(&mapping->i_mmap_lock);
	/* Stores may come in unseen: what may be changed is dirty. */
	for (unsigned i = 0; hold && failed && i < n; i++)
		cut_set_dirty(p[i]);
}

/* Evicts page[0 .. evict), which are sorted.  The number evicted. */
static unsigned evict_batch(struct shrink *s)
{
	struct { struct address_space *mapping; uint64_t index; unsigned n; } held[BATCH];
	unsigned runs = 0, freed;

	lock_batch(s);
	for (unsigned i = 0, k; i < s->evict; i += k) {
		k = run_length(s->page + i, s->evict - i);
		hold_stores(s->page + i, k, true);
		held[runs].mapping = s->page[i]->mapping;
		held[runs].index = s->page[i]->index;
		held[runs++].n = k;
	}
	freeze_batch(s);
	freed = s->evict;
	for (unsigned i = 0, k; i < freed; i += k) {
		k = run_length(s->page + i, freed - i);
		filemap_remove(s->page[i]->mapping, s->page + i, k);
	}
	for (unsigned i = 0; i < runs; i++) {
		struct page where = { .mapping = held[i].mapping, .index = held[i].index }, *p = &where;

		hold_stores(&p, held[i].n, false);
	}
	return freed;
}

/* Takes the translations of a clean page away.  With its lock: else a store could make it dirty, and a
 * freeze before the flush would find no slot to protect. */
static void probe(struct shrink *s, struct page *p)
{
	if (!page_trylock(p))
		return;
	if (!has_flag(p, PG_unclean)) {
		unmap(s, p, &s->tlb);
		clear_flag(p, PG_window);
	}
	page_unlock(p);
}

/* Sorts a batch into those that stay and page[0 .. evict). */
static void judge_batch(struct shrink *s)
{
	s->evict = 0;
	for (unsigned i = 0; i < s->n; i++) {
		struct page *p = s->page[i];
		int list = LRU_INACTIVE;

		switch (judge(s, p)) {
		case EVICT:
			s->page[s->evict++] = p;
			continue;
		case ACTIVATE:
			list = LRU_ACTIVE;
			break;
		case PROBE:
			/* An asynchronous file's translations know what was stored: they stay. */
			if (!(p->mapping->flags & PINFOLD_FILE_ASYNC_WP))
				probe(s, p);
			set_flag(p, PG_probed);
			count_event(s->m, SECOND_CHANCE, 1);
			break;
		case KEEP:
			break;
		}
		put_back(s->m, p, list);
	}
	sort_pages(s->page, s->evict);
}

/* Keeps the inactive list at a third of the pages: what is used only once goes through it.  force: it
 * may be all dirty, and what is clean on the active list. */
static void balance(struct pinfold *m, enum frame_kind kind, bool force)
{
	struct page *pages[BATCH];
	unsigned n;

	if (!force && lru_size(m, kind, LRU_INACTIVE) * 2 >= lru_size(m, kind, LRU_ACTIVE))
		return;
	n = lru_isolate(m, kind, LRU_ACTIVE, pages, BATCH);
	for (unsigned i = 0; i < n; i++) {
		clear_flag(pages[i], PG_referenced | PG_probed);
		put_back(m, pages[i], LRU_INACTIVE);
	}
}

static long shrink_lists(struct pinfold *m, enum frame_kind kind, unsigned long target, bool force)
{
	struct shrink s = { .m = m, .force = force };
	uint64_t budget = lru_size(m, kind, LRU_INACTIVE) + lru_size(m, kind, LRU_ACTIVE) + BATCH;
	unsigned long freed = 0;

	while (freed < target && budget) {
		balance(m, kind, force);
		s.n = lru_isolate(m, kind, LRU_INACTIVE, s.page, BATCH);
		if (!s.n)
			break;
		budget -= s.n < budget ? s.n : budget;
		tlb_gather(m);
		tlb_begin(&s.tlb, m, TLB_DROP);
		tlb_begin(&s.evict_tlb, m, TLB_DROP);
		judge_batch(&s);
		freed += evict_batch(&s);
		tlb_flush(&s.tlb);
		tlb_finish(m);
	}
	count_event(m, EVICTED, freed);
	return (long)freed;
}

unsigned long reclaim_size(const struct pinfold *m, enum frame_kind kind)
{
	unsigned long n = (kind == FRAME_DIRECT ? m->direct_frames : m->pool_frames) / 16;

	return n < 16 ? 16 : n > 4 * READAHEAD_MAX ? 4 * READAHEAD_MAX : n;
}

void reclaim_keep(struct pinfold *m, enum frame_kind kind, unsigned long want)
{
	unsigned long free = atomic_load(kind == FRAME_DIRECT ? &m->nr_direct_free : &m->nr_free);
	unsigned long n = reclaim_size(m, kind);

	if (likely(free >= want) || (want > n && free >= n))
		return;
	shrink_lists(m, kind, want - free > n ? want - free : n, false);
}

long reclaim_frames(struct pinfold *m, enum frame_kind kind, unsigned long target, bool *pending)
{
	long freed = shrink_lists(m, kind, target, false);
	enum relief relief = RELIEF_NOTHING;

	/* Each pass is more determined: used pages too, then what only a flush makes clean. */
	if (!freed)
		freed = shrink_lists(m, kind, target, false);
	if ((unsigned long)freed < target)
		relief = writeback_relieve(m);
	if (!freed)
		freed = shrink_lists(m, kind, target, true);
	*pending = relief != RELIEF_NOTHING;
	return freed;
}

/* One round of evict_all(): the next pages from *index on.  False: there were none. */
static bool evict_some(struct address_space *mapping, struct shrink *s, uint64_t *index)
{
	struct page *p;

	s->n = 0;
	host_lock(&mapping->pages_lock);
	while (s->n < BATCH && (p = sparse_next(&mapping->pages, index, UINT64_MAX, -1))) {
		++*index;
		if (get_internal(s->m, p))
			s->page[s->n++] = p;
	}
	host_unlock(&mapping->pages_lock);
	/* Off its list, a page is this function's; on none, reclaim has it in hand: next round. */
	s->evict = 0;
	for (unsigned i = 0; i < s->n; i++) {
		struct page *page = s->page[i];

		if (!lru_del(s->m, page) && mapping->ops->commits) {
			put_internal(s->m, page);
			continue;
		}
		s->page[s->evict++] = page;
	}
	tlb_begin(&s->evict_tlb, s->m, TLB_DROP);
	if (s->evict)
		evict_batch(s);
	return s->n;
}

void evict_all(struct address_space *mapping)
{
	struct shrink s = { .m = mapping->machine, .force = true };
	uint64_t index = 0;

	/* Reclaim may have pages of the file isolated: they come back to their list or go. */
	while (atomic_load_explicit(&mapping->nr_pages, memory_order_acquire)) {
		if (evict_some(mapping, &s, &index))
			continue;
		index = 0;
		host_yield();
	}
	/* Who took the last one out may still be in filemap_remove(): it holds pages_lock there. */
	host_lock(&mapping->pages_lock);
	host_unlock(&mapping->pages_lock);
}
