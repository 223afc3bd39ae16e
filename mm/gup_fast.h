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
 *   5 look at the flags again, load the slot again, compare the sequence: any change undoes
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
static inline void gup_fast_undo(struct pinfold *m, struct page *head, uint64_t n)
{
	dec_done(m, head, page_dec(head, PC_PIN, n));
}

/* How many of the following slots show the next pages of the same folio. */
static inline unsigned gup_fast_run(const slot_t *slot, uint64_t first, struct page *page,
                                    unsigned max)
{
	struct page *head = page_head(page);
	unsigned n = 1, left;

	if (likely(!(atomic_load_explicit(&head->flags, memory_order_relaxed) & PG_head)))
		return 1;
	left = (1u << head->order) - page->tail;
	if (max > left)
		max = left;
	while (n < max && atomic_load_explicit(&slot[n], memory_order_acquire) ==
	                  first + ((uint64_t)n << PAGE_SHIFT))
		n++;
	return n;
}

/*
 * Pins what it can of [addr, addr + nr pages) inside one leaf.  need: slot bits; sticky: page flags.
 * Returns how many; *more is cleared when it stopped short.
 */
static inline __attribute__((always_inline)) unsigned
gup_fast_leaf(struct pinfold *m, const struct table *leaf, unsigned long addr, unsigned nr,
              uint64_t need, uint32_t sticky, struct page **pages)
{
	const slot_t *slot = &leaf->e[(addr >> PAGE_SHIFT) & (TABLE_SLOTS - 1)];
	unsigned done = 0;

	while (done < nr) {
		uint64_t s = atomic_load_explicit(slot, memory_order_acquire);
		struct page *page, *head;
		unsigned n;
		int fact;
		bool same = true;

		if (unlikely((s & need) != need))
			break;
		page = pfn_to_page(m, s >> PAGE_SHIFT);
		head = page_head(page);
		n = gup_fast_run(slot, s, page, nr - done);
		page_mark_pin(head, sticky);
		if (unlikely(!page_try_add(head, PC_PIN, n, &fact))) {
			dec_done(m, head, fact);
			break;
		}
		page_mark_pin(head, sticky);
		for (unsigned i = 0; i < n; i++)
			same &= atomic_load_explicit(&slot[i], memory_order_acquire) ==
			        s + ((uint64_t)i << PAGE_SHIFT);
		/* The page still belongs to the folio: slots of its pages are cleared before a split. */
		if (unlikely(!same || page_head(page) != head)) {
			gup_fast_undo(m, head, n);
			break;
		}
		for (unsigned i = 0; i < n; i++)
			pages[done + i] = page + i;
		done += n;
		slot += n;
	}
	return done;
}

static inline __attribute__((always_inline)) unsigned long
gup_fast(struct mm_struct *mm, unsigned long addr, unsigned long nr, uint64_t need, uint32_t sticky,
         struct page **pages)
{
	struct pinfold *m = mm->machine;
	unsigned long done = 0;

	while (done < nr) {
		uint64_t seq = atomic_load_explicit(&mm->table_seq, memory_order_acquire);
		const struct table *t = mm->root;
		unsigned n = TABLE_SLOTS - ((addr >> PAGE_SHIFT) & (TABLE_SLOTS - 1)), got;

		if (n > nr - done)
			n = (unsigned)(nr - done);
		for (unsigned level = TABLE_LEVELS - 1; level && t; level--)
			t = gup_fast_child(t, addr, level);
		if (unlikely(!t))
			break;
		got = gup_fast_leaf(m, t, addr, n, need, sticky, pages + done);
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
