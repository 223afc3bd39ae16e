/* SPDX-License-Identifier: MIT */
/*
 * gup_fast.h - the lockless walk (decision D8).  It may only say "not me": what it does not pin is the
 * slow path's.  Included by gup.c alone, inline because a call costs as much as the walk.
 *
 * No lock, no system call, no allocation.  For a run of one folio's pages: one xadd.  The order:
 *   1 sample mm->table_seq          (acquire; partner: the release bump in pgtable.c)
 *   2 load parents and slot         (acquire; partner: slot_set())
 *   3 set the sticky flags, if clear
 *   4 xadd the pins                 (full barrier; partner: host_mb() in writeback.c and the leaf lock's
 *                                    release before a freeze of the count)
 *   5 look at the flags again, load the slot again (seq_cst: not before 4), compare the sequence: any
 *     change undoes
 */
#ifndef PINFOLD_GUP_FAST_H
#define PINFOLD_GUP_FAST_H

#include "mm/page_alloc.h"
#include "mm/pgtable.h"
#include "mm/vmstat.h"

static inline __attribute__((always_inline)) struct table *
gup_fast_child(const struct table *t, unsigned long addr, unsigned level)
{
	return (struct table *)(uintptr_t)atomic_load_explicit(
		&t->e[(addr >> (PAGE_SHIFT + 9 * level)) & (TABLE_SLOTS - 1)], memory_order_acquire);
}

/* Undoes n pins that were not confirmed. */
static __attribute__((noinline, cold)) void gup_fast_undo(struct pinfold *m, struct page *head, uint64_t n)
{
	dec_done(m, head, page_dec(head, PC_PIN, n));
}

/* How many of the following slots show the next pages of the same folio. */
static inline unsigned gup_fast_run(const slot_t *slot, uint64_t first, struct page *page,
                                    unsigned max)
{
	unsigned n = 1, left = (1u << page_head(page)->order) - page->tail;

	if (max > left)
		max = left;
	while (n < max && atomic_load_explicit(&slot[n], memory_order_acquire) ==
	                  first + ((uint64_t)n << PAGE_SHIFT))
		n++;
	return n;
}

/* Pins n pages that slot[0 .. n) showed when they were read as s.  False: not me. */
static inline __attribute__((always_inline)) bool
gup_fast_pin(struct pinfold *m, const slot_t *slot, uint64_t s, struct page *head, unsigned n,
             uint32_t sticky)
{
	bool same = true;
	int fact;

	page_mark_pin(head, sticky);
	if (unlikely(!page_try_add(head, PC_PIN, n, &fact))) {
		dec_done(m, head, fact);
		return false;
	}
	page_mark_pin(head, sticky);
	/* A slot of a page is cleared before its frame is freed or its folio split. */
	for (unsigned i = 0; i < n; i++)
		same &= atomic_load(&slot[i]) == s + ((uint64_t)i << PAGE_SHIFT);
	if (unlikely(!same))
		gup_fast_undo(m, head, n);
	return same;
}

/* Pins what it can of nr pages from a slot on, inside one leaf.  need: slot bits; sticky: page flags.
 * How many. */
static inline __attribute__((always_inline)) unsigned
gup_fast_leaf(struct pinfold *m, const slot_t *slot, unsigned nr, uint64_t need, uint32_t sticky,
              struct page **pages)
{
	unsigned done = 0, n;

	for (; done < nr; done += n) {
		uint64_t s = atomic_load_explicit(&slot[done], memory_order_acquire);
		struct page *page = pfn_to_page(m, s >> PAGE_SHIFT), *head = page;

		if (unlikely((s & need) != need))
			break;
		n = 1;
		if (unlikely(s & SLOT_FOLIO)) {
			n = gup_fast_run(slot + done, s, page, nr - done);
			head = page_head(page);
		}
		if (unlikely(!gup_fast_pin(m, slot + done, s, head, n, sticky)))
			break;
		for (unsigned i = 0; i < n; i++)
			pages[done + i] = page + i;
	}
	return done;
}

/* The leaf of addr, or NULL.  seq: mm's table sequence, sampled before. */
static inline __attribute__((always_inline)) const struct table *
gup_fast_walk(const struct mm_struct *mm, unsigned long addr, uint64_t seq)
{
	unsigned long tag = addr / LEAF_SIZE;
	const struct table *t = mm->root;

	/* No table was removed since the last walk to this leaf: it is still there. */
	if (likely(current.walk_mm == mm && current.walk_tag == tag && current.walk_seq == seq))
		return current.walk_leaf;
	for (unsigned level = TABLE_LEVELS - 1; level && t; level--)
		t = gup_fast_child(t, addr, level);
	if (t) {
		current.walk_mm = mm;
		current.walk_tag = tag;
		current.walk_seq = seq;
		current.walk_leaf = t;
	}
	return t;
}

/*
 * One page of its own folio: the same steps without loops.  The page, or NULL: try gup_fast().  The case
 * that is asked for most, and a locked add waits for every store before it: spilled registers cost more
 * here than the walk.
 */
static inline __attribute__((always_inline)) struct page *
gup_fast_one(struct mm_struct *mm, unsigned long addr, uint64_t need, uint32_t sticky)
{
	uint64_t seq = atomic_load_explicit(&mm->table_seq, memory_order_acquire);
	const struct table *t = gup_fast_walk(mm, addr, seq);
	struct pinfold *m = mm->machine;
	const slot_t *slot;
	struct page *page;
	uint64_t s;

	if (unlikely(!t))
		return NULL;
	slot = &t->e[(addr >> PAGE_SHIFT) & (TABLE_SLOTS - 1)];
	s = atomic_load_explicit(slot, memory_order_acquire);
	if (unlikely((s & (need | SLOT_FOLIO)) != need))
		return NULL;
	page = pfn_to_page(m, s >> PAGE_SHIFT);
	page_mark_pin(page, sticky);
	if (unlikely(atomic_fetch_add(&page->count, PC_PIN) & PC_REFUSE))
		goto undo;
	page_mark_pin(page, sticky);
	if (likely(atomic_load(slot) == s &&
	           atomic_load(&mm->table_seq) == seq))
		return page;
undo:
	gup_fast_undo(m, page, 1);
	return NULL;
}

static inline __attribute__((always_inline)) unsigned long
gup_fast(struct mm_struct *mm, unsigned long addr, unsigned long nr, uint64_t need, uint32_t sticky,
         struct page **pages)
{
	struct pinfold *m = mm->machine;
	unsigned long done = 0;

	while (done < nr) {
		uint64_t seq = atomic_load_explicit(&mm->table_seq, memory_order_acquire);
		const struct table *t = gup_fast_walk(mm, addr, seq);
		unsigned at = (addr >> PAGE_SHIFT) & (TABLE_SLOTS - 1), n = TABLE_SLOTS - at, got;

		if (n > nr - done)
			n = (unsigned)(nr - done);
		if (unlikely(!t))
			break;
		got = gup_fast_leaf(m, &t->e[at], n, need, sticky, pages + done);
		/* A table of this mm was removed meanwhile, perhaps this one: nothing that was read from
		 * it counts. */
		if (unlikely(atomic_load(&mm->table_seq) != seq)) {
			for (unsigned i = 0; i < got; i++)
				gup_fast_undo(m, page_head(pages[done + i]), 1);
			break;
		}
		done += got;
		if (got < n)
			break;
		addr += (unsigned long)n << PAGE_SHIFT;
	}
	return done;
}

#endif
