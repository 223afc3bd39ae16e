/* SPDX-License-Identifier: MIT */
/* folio.c - see folio.h. */
#include "mm/folio.h"

#include <errno.h>

#include "mm/debug.h"

#define MAX_LEAVES 32u /* that show parts of one folio; more: not now */

/* The leaves, in the order of their addresses, which is the order of their locks. */
struct split {
	struct pinfold *m;
	struct page *head;
	unsigned pages;
	unsigned n;
	struct table *leaf[MAX_LEAVES];
	uint16_t slots[TABLE_SLOTS]; /* of each page */
	bool more;                   /* a leaf that was not known */
	bool locked;                 /* all of them */
};

static bool known(const struct split *s, const struct table *leaf)
{
	for (unsigned i = 0; i < s->n; i++)
		if (s->leaf[i] == leaf)
			return true;
	return false;
}

/* 0, -EAGAIN too many. */
static int note_leaf(struct split *s, struct table *leaf)
{
	unsigned i = s->n;

	if (known(s, leaf))
		return 0;
	s->more = true;
	if (s->n == MAX_LEAVES)
		return -EAGAIN;
	for (; i && s->leaf[i - 1] > leaf; i--)
		s->leaf[i] = s->leaf[i - 1];
	s->leaf[i] = leaf;
	s->n++;
	return 0;
}

/* The leaf that shows a page of the folio at addr, split out of a 2 MiB slot if it must be.  The VMA is on the list, so its
 * tables stay; a slot that comes or goes meanwhile makes the count wrong, and the split is off. */
static int note_address(struct split *s, struct mm_struct *mm, unsigned long addr)
{
	struct table *dir = pt_dir(mm, addr);
	uint64_t e = dir ? atomic_load(pt_entry(dir, addr)) : 0, v;

	if ((e & SLOT_PRESENT) && pfn_to_page(s->m, e >> PAGE_SHIFT) == s->head) {
		if (s->locked)
			return -EAGAIN;
		if (pt_split(mm, dir, addr))
			return -ENOMEM;
		e = atomic_load(pt_entry(dir, addr));
	}
	if (!entry_leaf(e))
		return 0;
	v = atomic_load(pt_slot(entry_leaf(e), addr));
	return (v & SLOT_FOLIO) && (v >> PAGE_SHIFT) - page_to_pfn(s->m, s->head) < s->pages ?
	       note_leaf(s, entry_leaf(e)) : 0;
}

/* All leaves that may show the folio. */
static int find_leaves(struct split *s)
{
	uint64_t first = s->head->index, end = first + s->pages;
	int r = 0;

	s->more = false;
	for (struct vm_area_struct *v = s->m->anon.i_mmap; v && !r; v = v->in_anon.next) {
		uint64_t vma_end = v->pgoff + ((v->end - v->start) >> PAGE_SHIFT);
		uint64_t a = first > v->pgoff ? first : v->pgoff, b = end < vma_end ? end : vma_end;

		/* After an mremap() it may lie across two, and a part of it elsewhere. */
		for (; a < b && !r; a++)
			r = note_address(s, v->mm, vma_addr(v, a));
	}
	return r;
}

/* Leaves locked: how many slots show each page; the sum. */
static unsigned count_slots(struct split *s)
{
	unsigned sum = 0;

	for (unsigned i = 0; i < s->pages; i++)
		s->slots[i] = 0;
	for (unsigned i = 0; i < s->n; i++)
		for (unsigned k = 0; k < TABLE_SLOTS; k++) {
			uint64_t v = atomic_load(&s->leaf[i]->e[k]);
			uint64_t at = (v >> PAGE_SHIFT) - page_to_pfn(s->m, s->head);

			if (!(v & SLOT_FOLIO) || at >= s->pages)
				continue;
			s->slots[at]++;
			sum++;
		}
	return sum;
}

/* The word is frozen: whoever has read a slot with FOLIO counts on the head, finds FREE or another slot, and undoes. */
static void make_pages(struct split *s)
{
	uint64_t index = s->head->index;

	folio_clear_pins(s->head);
	for (unsigned i = 0; i < s->pages; i++) {
		struct page *p = s->head + i;

		atomic_store_explicit(&p->tail, 0, memory_order_relaxed);
		page_set_order(p, 0);
		p->mapping = &s->m->anon;
		p->index = index + i;
		atomic_store(&p->flags, PG_anon | PG_uptodate);
	}
	for (unsigned i = 0; i < s->n; i++)
		for (unsigned k = 0; k < TABLE_SLOTS; k++) {
			slot_t *e = &s->leaf[i]->e[k];
			uint64_t v = atomic_load(e);

			if ((v & SLOT_FOLIO) && (v >> PAGE_SHIFT) - page_to_pfn(s->m, s->head) < s->pages)
				slot_set(s->leaf[i], e, v & ~SLOT_FOLIO);
		}
	/* The caller's reference stays on the first. */
	for (unsigned i = 0; i < s->pages; i++)
		if (s->slots[i] || !i)
			page_thaw(s->head + i, s->slots[i] + !i);
}

/* Leaves locked. */
static int split_locked(struct split *s)
{
	unsigned sum;
	uint64_t c;
	int r;

	s->locked = true;
	r = find_leaves(s);
	if (r || s->more)
		return r ? r : -EAGAIN;
	sum = count_slots(s);
	c = page_count(s->head);
	if (pc_pins(c) || pc_refs(c))
		return -EBUSY;
	if (!page_freeze(s->head, (sum + 1) * PC_INTERNAL))
		return -EAGAIN;
	make_pages(s);
	count_event(s->m, FOLIOS_SPLIT, 1);
	return 0;
}

int folio_split(struct pinfold *m, struct page *head)
{
	struct split s = { .m = m, .head = head, .pages = 1u << head->order };
	int r;

	if (!head->order)
		return 0;
	host_lock(&m->anon.i_mmap_lock);
	do
		r = find_leaves(&s);
	while (!r && s.more);
	if (!r) {
		for (unsigned i = 0; i < s.n; i++)
			host_lock(&s.leaf[i]->lock);
		r = split_locked(&s);
		for (unsigned i = 0; i < s.n; i++)
			host_unlock(&s.leaf[i]->lock);
	}
	host_unlock(&m->anon.i_mmap_lock);
	for (unsigned i = 1; !r && i < s.pages; i++)
		if (!s.slots[i]) /* shown nowhere: frozen still */
			free_frame(m, head + i);
	return r;
}
