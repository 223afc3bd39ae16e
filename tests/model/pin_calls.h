/* SPDX-License-Identifier: MIT */
/* pin_calls.h - what the code calls that fast_pin.h includes. */
#ifndef PINFOLD_MODEL_PIN_CALLS_H
#define PINFOLD_MODEL_PIN_CALLS_H

#include "fast_pin.h"

static bool is_lock(const struct host_mutex *l)
{
	bool yes = locked_table && l == &locked_table->lock, none = yes && bug && bug->act == NO_LOCK;

	bug_hits += none;
	return yes && !none;
}

static void model_lock(const struct host_mutex *l)
{
	uint64_t one = 1;

	while (is_lock(l) && !atomic_compare_exchange_strong(&w.free_lock, &one, 0)) {
		await(&w.free_lock);
		one = 1;
	}
}

static void model_unlock(const struct host_mutex *l)
{
	if (is_lock(l))
		atomic_store_explicit(&w.free_lock, 1, memory_order_release);
}

static void *model_slab_alloc(struct slab *s)
{
	unsigned level = (unsigned)(s - machine.tables);
	struct table *t;

	/* A freed table first: the sooner it is reused the better. */
	for (unsigned i = 0; i < w.free_tables; i++)
		if (w.freed[i]->level == level) {
			t = w.freed[i];
			w.freed[i] = w.freed[--w.free_tables];
			return t;
		}
	if (w.used_tables == NR_TABLES)
		abort();
	t = &w.table[w.used_tables++];
	t->level = level;
	return t;
}

static void model_slab_free(struct slab *s, void *object)
{
	(void)s;
	w.freed[w.free_tables++] = object;
}

void model_free_frame(struct pinfold *m, struct page *page)
{
	unsigned i = page_of(page);

	(void)m;
	if (live())
		now.owner[i] = 0;
	if (atomic_fetch_add(&w.list[i], 1))
		broken(FREED_TWICE);
}

bool model_get_internal(struct pinfold *m, struct page *page)
{
	return page_get_units(m, page, PC_INTERNAL, 1);
}

void model_put_internal(struct pinfold *m, struct page *page)
{
	if (dec_done(m, page, page_dec(page, PC_INTERNAL, 1)))
		broken(ASSERTION);
}

/* A new page of an mm: one that only its thread can reach, until it sets a slot. */
struct page *model_alloc_anon(struct pinfold *m, unsigned order, uint64_t index, bool zero)
{
	(void)m;
	(void)order;
	(void)index;
	(void)zero;
	return &w.page[PFN0 + w.used_pages++];
}

unsigned model_vma_next_index(const struct mm_struct *mm, unsigned long addr)
{
	(void)mm;
	(void)addr;
	return 0;
}

void model_tlb_begin(struct tlb_batch *b, struct pinfold *m, enum tlb_op op)
{
	(void)b;
	(void)m;
	(void)op;
}

void model_tlb_add(struct tlb_batch *b, const struct vm_area_struct *vma, unsigned long addr, size_t len)
{
	(void)b;
	(void)vma;
	(void)addr;
	(void)len;
}

void model_tlb_flush(struct tlb_batch *b)
{
	(void)b;
}

struct mm_struct *model_current_mm(int *err)
{
	*err = 0;
	return used_mm();
}

long model_gup_check(unsigned long start, unsigned long nr, unsigned flags, struct page **pages)
{
	(void)start;
	(void)nr;
	(void)flags;
	(void)pages;
	return 0;
}

/* The slow path waits for the mmap lock, and what it pins then is no business of this model. */
long model_pin_range(struct mm_struct *mm, unsigned long start, unsigned long nr, unsigned flags, struct page **pages)
{
	(void)mm;
	(void)start;
	(void)nr;
	(void)flags;
	(void)pages;
	return 0;
}

void model_vmstat_attach(struct pinfold *m)
{
	(void)m;
}

struct pinfold *model_registry_attach(const struct page *page, int *err)
{
	(void)page;
	*err = 0;
	return &machine;
}

/* One acquire load a word, as the other form has for the thread sanitizer's eyes. */
bool model_records_of_words(const _Atomic uint64_t *word, size_t n, uint64_t need, uint64_t never, const void *base, void *out)
{
	const struct page **to = out;
	uint64_t wrong = 0;

	for (size_t i = 0; i < n; i++) {
		uint64_t v = atomic_load_explicit(&word[i], memory_order_acquire);

		wrong |= (v & (need | never)) ^ need;
		to[i] = (const struct page *)base + (v >> PAGE_SHIFT);
	}
	return !wrong;
}

static bool giving_back; /* what was confirmed, and none of it yet */

/* A confirmed pin, once: right behind the operation that takes it back. */
static void given_back(const struct page *p)
{
	if (live())
		now.pins[page_of(p)]--;
}

int model_put_user_pages(struct page **pages, unsigned long n)
{
	bool were_confirmed = giving_back;

	giving_back = false;
	for (unsigned long i = 0; i < n; i++) {
		struct page *head = page_head(pages[i]);
		int fact = page_put_pins(head, 1);

		if (were_confirmed)
			given_back(pages[i]);
		if (dec_done(&machine, head, fact))
			broken(ASSERTION);
	}
	return 0;
}

#endif
