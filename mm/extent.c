/* SPDX-License-Identifier: MIT */
/* extent.c - see extent.h. */
#include "mm/extent.h"

#include <errno.h>
#include <string.h>

#include "mm/debug.h"

#define GIB (1ul << 30)
#define ARENA (64 * GIB)
#define PIECES 3u /* what one more may cost: itself, and a stretch that is empty on either side */
#define MAPPED(pfn, w) (((uint32_t)(pfn) + 1) << 1 | (w))
#define PFN_OF(e) ((e) / 2 - 1)
#define WRITABLE(e) ((e) & 1)

/* One 2 MiB stretch.  e: 0 nothing, else MAPPED().  All of it: window_lock. */
struct window_chunk {
	struct mm_struct *mm;
	unsigned long base;
	struct window_chunk *older, *newer;
	unsigned mapped; /* entries that are not 0 */
	unsigned pieces; /* mappings the kernel has for it, at most */
	bool read_only;  /* whatever e says of a right to store: extent_protect() */
	uint32_t e[TABLE_SLOTS];
};

void extent_init_machine(struct pinfold *m)
{
	host_mutex_init(&m->window_lock, HOST_RANK_WINDOW);
	slab_init(&m->chunks, sizeof(struct window_chunk), 16 * sizeof(struct window_chunk));
}

int extent_init(struct mm_struct *mm)
{
	size_t want = 4 * mm->machine->opts.memory, len = want > ARENA ? want : ARENA;
	long a = -ENOMEM;

	/* Smaller where the address space is limited. */
	for (len = (len + GIB - 1) / GIB * GIB; a < 0 && len >= HUGE_SIZE; len /= 2)
		a = host_extent_reserve(len, len >= GIB ? GIB : HUGE_SIZE);
	if (a < 0)
		return (int)a;
	mm->arena = (unsigned long)a;
	mm->arena_end = mm->arena + 2 * len;
	sparse_init(&mm->chunks, &mm->machine->nodes);
	return 0;
}

/* ---- chunks ----------------------------------------------------------------------------------- */

static unsigned entry_at(unsigned long addr)
{
	return (unsigned)(addr % LEAF_SIZE >> PAGE_SHIFT);
}

static struct window_chunk *chunk_of(struct mm_struct *mm, unsigned long addr)
{
	return sparse_get(&mm->chunks, addr / LEAF_SIZE);
}

static struct window_chunk *chunk_make(struct mm_struct *mm, unsigned long addr)
{
	struct pinfold *m = mm->machine;
	struct window_chunk *c = chunk_of(mm, addr);

	if (c)
		return c;
	c = slab_alloc(&m->chunks);
	if (!c)
		return NULL;
	memset(c, 0, sizeof(*c));
	if (sparse_set(&mm->chunks, addr / LEAF_SIZE, c)) {
		slab_free(&m->chunks, c);
		return NULL;
	}
	c->mm = mm;
	c->base = addr & ~(LEAF_SIZE - 1);
	c->older = m->newest;
	*(m->newest ? &m->newest->newer : &m->oldest) = c;
	m->newest = c;
	return c;
}

static void chunk_free(struct window_chunk *c)
{
	struct pinfold *m = c->mm->machine;

	*(c->older ? &c->older->newer : &m->oldest) = c->newer;
	*(c->newer ? &c->newer->older : &m->newest) = c->older;
	m->window_vmas -= c->pieces;
	sparse_clear(&c->mm->chunks, c->base / LEAF_SIZE);
	slab_free(&m->chunks, c);
}

/* Does the kernel make one mapping of entries i - 1 and i? */
static bool joined(const struct window_chunk *c, unsigned i)
{
	const struct pinfold *m = c->mm->machine;
	uint32_t a = c->e[i - 1], b = c->e[i];
	const struct page *p, *q;

	if (!a || !b)
		return a == b;
	/* Pool frames lie in the order of their numbers. */
	if (likely(PFN_OF(a) < m->pool_frames && b == a + 2))
		return true;
	p = pfn_to_page(m, PFN_OF(a));
	q = pfn_to_page(m, PFN_OF(b));
	if (p == m->zero || q == m->zero)
		return p == q;
	/* Frames' addresses follow each other in one view of one memory file. */
	return WRITABLE(a) == WRITABLE(b) && (char *)p->addr + PAGE_SIZE == (char *)q->addr;
}

/* Says in each entry what read_only says of all. */
static void settle(struct window_chunk *c)
{
	for (unsigned i = 0; c->read_only && i < TABLE_SLOTS; i++)
		c->e[i] &= ~1u;
	c->read_only = false;
}

/* Sets entries [at, at + n) to e, e + step, ... and counts anew what that changes. */
static void set_entries(struct window_chunk *c, unsigned at, unsigned n, uint32_t e, uint32_t step)
{
	unsigned first = at ? at : 1, last = at + n < TABLE_SLOTS ? at + n : TABLE_SLOTS - 1;
	unsigned was = c->pieces;

	settle(c);
	if (!c->pieces)
		c->pieces = 1;
	for (unsigned i = first; i <= last; i++)
		c->pieces -= !joined(c, i);
	for (unsigned i = at; i < at + n; i++, e += step) {
		c->mapped -= !!c->e[i];
		c->mapped += !!e;
		c->e[i] = e;
	}
	for (unsigned i = first; i <= last; i++)
		c->pieces += !joined(c, i);
	c->mm->machine->window_vmas += c->pieces;
	c->mm->machine->window_vmas -= was;
}

/* What lies of a range in one chunk. */
struct part {
	struct window_chunk *c;
	unsigned long a, e;
};

/* The part behind p, of which the chunk may be gone; the first if p is all zero.  False: no more. */
static bool next_part(struct mm_struct *mm, unsigned long start, unsigned long end, struct part *p)
{
	unsigned long from = p->e ? p->e : start;
	uint64_t i = from / LEAF_SIZE;

	p->c = from < end ? sparse_next(&mm->chunks, &i, (end - 1) / LEAF_SIZE, -1) : NULL;
	if (!p->c)
		return false;
	p->a = p->c->base > start ? p->c->base : start;
	p->e = p->c->base + LEAF_SIZE < end ? p->c->base + LEAF_SIZE : end;
	return true;
}

/* ---- dropping --------------------------------------------------------------------------------- */

/*
 * Everything of an mm: one call, which needs no mapping more.  A process that has all the mappings it may have, by its own
 * doing, gets none of them replaced either; then the rights go, of whole mappings.  A translation that cannot be taken
 * away would show frames that are somebody else's by then.
 */
static void drop_all(struct mm_struct *mm)
{
	uint64_t i = 0;
	struct window_chunk *c;

	if (host_extent_clear(mm->arena, mm->arena_end - mm->arena) &&
	    host_extent_forbid(mm->arena, mm->arena_end - mm->arena))
		host_panic("a window's translations cannot be taken away");
	while ((c = sparse_next(&mm->chunks, &i, UINT64_MAX, -1)))
		chunk_free(c);
}

/* window_lock held.  start and end: what is mapped of the range.  False: all of the mm's translations went. */
static bool clear(struct mm_struct *mm, unsigned long start, unsigned long end)
{
	struct part p = { 0 };

	count_event(mm->machine, WINDOW_DROPS, 1);
	/* To cut a mapping in two may be one too many for the process. */
	if (host_extent_clear(start, end - start)) {
		drop_all(mm);
		return false;
	}
	while (next_part(mm, start, end, &p)) {
		if (p.e - p.a < LEAF_SIZE)
			set_entries(p.c, entry_at(p.a), (unsigned)((p.e - p.a) >> PAGE_SHIFT), 0, 0);
		if (p.e - p.a == LEAF_SIZE || !p.c->mapped)
			chunk_free(p.c);
	}
	return true;
}

/* How many pages of a part are shown. */
static unsigned nr_shown(const struct part *p)
{
	unsigned n = 0;

	if (p->c->mapped == TABLE_SLOTS)
		return (unsigned)((p->e - p->a) >> PAGE_SHIFT);
	for (unsigned long a = p->a; a < p->e; a += PAGE_SIZE)
		n += !!p->c->e[entry_at(a)];
	return n;
}

static bool any_shown(struct mm_struct *mm, unsigned long start, unsigned long end)
{
	struct part p = { 0 };

	while (next_part(mm, start, end, &p))
		if (nr_shown(&p))
			return true;
	return false;
}

void extent_drop(struct mm_struct *mm, unsigned long addr, size_t len)
{
	struct pinfold *m = mm->machine;

	host_lock(&m->window_lock);
	if (any_shown(mm, addr, addr + len))
		clear(mm, addr, addr + len);
	host_unlock(&m->window_lock);
}

/* What the kernel has for a chunk, anew. */
static void recount(struct window_chunk *c)
{
	unsigned n = 1;

	for (unsigned i = 1; i < TABLE_SLOTS; i++)
		n += !joined(c, i);
	c->mm->machine->window_vmas += n;
	c->mm->machine->window_vmas -= c->pieces;
	c->pieces = n;
}

/* Takes the right to store off [start, end), all of which is shown.  False: all of the mm's translations went. */
static bool protect_run(struct mm_struct *mm, unsigned long start, unsigned long end)
{
	struct part p = { 0 };

	if (start >= end)
		return true;
	count_event(mm->machine, WINDOW_DROPS, 1);
	if (host_extent_protect(start, end - start, false))
		return clear(mm, start, end);
	while (next_part(mm, start, end, &p)) {
		if (p.e - p.a == LEAF_SIZE) {
			p.c->read_only = true;
			continue;
		}
		settle(p.c);
		for (; p.a < p.e; p.a += PAGE_SIZE)
			p.c->e[entry_at(p.a)] &= ~1u;
		recount(p.c);
	}
	return true;
}

/* The host's protection of a stretch with holes would make the holes readable: such a stretch is forgotten. */
void extent_protect(struct mm_struct *mm, unsigned long addr, size_t len)
{
	struct pinfold *m = mm->machine;
	unsigned long end = addr + len, from = addr, to = addr; /* the run so far */
	struct part p = { 0 };

	host_lock(&m->window_lock);
	while (next_part(mm, addr, end, &p)) {
		unsigned n = nr_shown(&p);
		bool whole = n == (p.e - p.a) >> PAGE_SHIFT;

		if ((!whole || p.a != to) && !protect_run(mm, from, to))
			goto gone;
		if (!whole && n && !clear(mm, p.a, p.e))
			goto gone;
		if (!whole || p.a != to)
			from = whole ? p.a : p.e;
		to = p.e;
	}
	protect_run(mm, from, to);
gone:
	host_unlock(&m->window_lock);
}

/* The oldest translations of the machine, but not `keep`.  False: there are none. */
static bool evict(struct pinfold *m, const struct window_chunk *keep)
{
	struct window_chunk *c = m->oldest;

	if (c && c == keep)
		c = c->newer;
	if (!c)
		return false;
	count_event(m, WINDOW_EVICTED, 1);
	clear(c->mm, c->base, c->base + LEAF_SIZE);
	return true;
}

/* ---- installing ------------------------------------------------------------------------------- */

static int map_frames(struct mm_struct *mm, const struct extent_run *run)
{
	struct pinfold *m = mm->machine;
	size_t len = run->n * PAGE_SIZE;
	struct page *first = run->first;

	if (first == m->zero)
		return host_extent_zeroes(run->addr, len);
	if (has_flag(first, PG_direct))
		return host_extent_map(run->addr, len, first->mapping->memfd, first->index << PAGE_SHIFT,
		                       run->writable);
	return host_extent_map(run->addr, len, m->pool_fd, (uint64_t)page_to_pfn(m, first) << PAGE_SHIFT,
	                       run->writable);
}

/* The entry of the run's i-th page.  Direct records do not follow each other as their frames do: such a run has one. */
static uint32_t run_entry(const struct pinfold *m, const struct extent_run *run, unsigned i)
{
	return MAPPED(page_to_pfn(m, run->first) + (run->first == m->zero ? 0 : i), run->writable);
}

/* Leaves out what is shown so already, from the wanted page outwards: to map it again would cost its users faults. */
static void trim_run(const struct window_chunk *c, struct extent_run *run)
{
	const struct pinfold *m = c->mm->machine;
	const uint32_t *e = &c->e[entry_at(run->addr)];
	unsigned lo = run->at, hi = run->at + 1;

	while (lo && e[lo - 1] != run_entry(m, run, lo - 1))
		lo--;
	while (hi < run->n && e[hi] != run_entry(m, run, hi))
		hi++;
	if (run->first != m->zero)
		run->first += lo;
	run->addr += lo * PAGE_SIZE;
	run->n = hi - lo;
	run->at -= lo;
}

/* Are these pages shown already, but read-only?  Then a change of protection is cheaper. */
static bool only_protected(const struct window_chunk *c, const struct extent_run *run)
{
	for (unsigned i = 0; i < run->n; i++)
		if ((c->e[entry_at(run->addr) + i] | 1) != run_entry(c->mm->machine, run, i))
			return false;
	return run->writable;
}

/* A chunk with room under the budget for one more piece, or NULL. */
static struct window_chunk *chunk_with_room(struct mm_struct *mm, unsigned long addr)
{
	struct pinfold *m = mm->machine;
	struct window_chunk *c;

	while (m->window_vmas + PIECES > m->window_budget && evict(m, chunk_of(mm, addr)))
		;
	c = chunk_make(mm, addr);
	/* Its own pieces are all that is left over the budget. */
	if (c && m->window_vmas + PIECES > m->window_budget && c->mapped) {
		clear(mm, c->base, c->base + LEAF_SIZE);
		c = chunk_make(mm, addr);
	}
	if (c)
		settle(c);
	return c;
}

int extent_install(struct mm_struct *mm, struct extent_run *run)
{
	struct pinfold *m = mm->machine;
	struct window_chunk *c;
	int r = -ENOMEM;

	VM_BUG_ON(run->addr < mm->arena || run->addr + run->n * PAGE_SIZE > mm->arena_end || run->at >= run->n);
	VM_BUG_ON(entry_at(run->addr) + run->n > TABLE_SLOTS || (run->n > 1 && has_flag(run->first, PG_direct)));
	host_lock(&m->window_lock);
	c = chunk_with_room(mm, run->addr);
	if (c)
		trim_run(c, run);
	while (c) {
		r = only_protected(c, run) ? host_extent_protect(run->addr, run->n * PAGE_SIZE, true) :
		                             map_frames(mm, run);
		count_event(m, WINDOW_INSTALLS, 1);
		/* The application's own mappings may be many: ours make room. */
		if (r != -ENOMEM || !evict(m, c))
			break;
		c = chunk_of(mm, run->addr); /* evict() may have had to drop all of the mm's */
		c = c ? c : chunk_make(mm, run->addr);
	}
	if (c && !r)
		set_entries(c, entry_at(run->addr), run->n, run_entry(m, run, 0), run->first == m->zero ? 0 : 2);
	else if (c && !c->mapped)
		chunk_free(c);
	host_unlock(&m->window_lock);
	return c ? r : -ENOMEM;
}

/* ---- the end ---------------------------------------------------------------------------------- */

void extent_exit(struct mm_struct *mm)
{
	struct window_chunk *c;
	uint64_t i = 0;

	if (!mm->arena)
		return;
	host_lock(&mm->machine->window_lock);
	while ((c = sparse_next(&mm->chunks, &i, UINT64_MAX, -1)))
		chunk_free(c);
	host_window_unmap(mm->arena, mm->arena_end - mm->arena);
	host_unlock(&mm->machine->window_lock);
	mm->arena = mm->arena_end = 0;
}

void extent_child(struct mm_struct *mm)
{
	if (mm->arena)
		host_window_unmap(mm->arena, mm->arena_end - mm->arena);
}

int extent_check(struct pinfold *m)
{
	uint64_t pieces = 0;
	int bad = 0;

	host_lock(&m->window_lock);
	for (struct window_chunk *c = m->oldest; c; c = c->newer) {
		unsigned n = 1, mapped = !!c->e[0];

		for (unsigned i = 1; i < TABLE_SLOTS; i++) {
			n += !joined(c, i);
			mapped += !!c->e[i];
		}
		bad += n > c->pieces || mapped != c->mapped || !mapped;
		pieces += c->pieces;
	}
	bad += pieces != m->window_vmas;
	host_unlock(&m->window_lock);
	if (bad)
		debug_broken("I11: a window's record of its translations is wrong", NULL);
	return bad;
}
