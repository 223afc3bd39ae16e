/* SPDX-License-Identifier: MIT */
/*
 * put.c - giving back: put_user_page() and kin, get_page() and put_page().
 *
 * A page's machine is found from the record's address; what is not a record of a live machine is
 * refused.  Runs of one folio are released in one step.
 */
#include <errno.h>

#include "lib/export.h"
#include "lib/records.h"
#include "mm/cut.h"
#include "mm/ledger.h"
#include "mm/registry.h"

static inline struct pinfold *machine_of(struct page *page, int *err)
{
	if (likely(own_record(page)))
		return current.machine;
	return registry_attach(page, err);
}

static inline int put_run(struct pinfold *m, struct page *head, unsigned long n)
{
	if (unlikely(head == m->zero)) /* never counted (Z2) */
		return 0;
	if (unlikely(dec_done(m, head, put_pins(m, head, n))))
		return -EINVAL;
	count_own(PINS_RELEASED, n);
	return 0;
}

/* A release from a page of the thread's machine that was refused or freed the page. */
static __attribute__((noinline, cold)) int put_end(struct page *page, int fact)
{
	if (page == current.machine->zero) /* never counted, so refused; nothing was taken (Z2) */
		return 0;
	if (dec_done(current.machine, page, fact))
		return -EINVAL;
	count_own(PINS_RELEASED, 1);
	return 0;
}

static __attribute__((noinline)) int put_slow(struct page *page)
{
	int err = 0;
	struct pinfold *m = machine_of(page, &err);

	return likely(m) ? put_run(m, page_head(page), 1) : err;
}

/* Are the counts on the page's own record?  Told by branches and not by page_head(): the locked instruction's address then
 * waits for nothing. */
static inline bool plain(const struct page *page)
{
	return own_record(page) && !page_tail(page);
}

/* No stack and no call on the plain way: a locked instruction waits for every store before it. */
PINFOLD_EXPORT __attribute__((aligned(64))) int put_user_page(struct page *page)
{
	int fact;

	if (unlikely(!plain(page)))
		return put_slow(page);
	fact = page_put_pins(page, 1);
	if (unlikely(fact))
		return put_end(page, fact);
	count_own(PINS_RELEASED, 1);
	return 0;
}

#define AHEAD 16 /* records of scattered pages that are fetched meanwhile */

static inline bool flags_are(const struct page *page, uint32_t mask, uint32_t want)
{
	return (atomic_load_explicit(&page->flags, memory_order_acquire) & mask) == want;
}

/* Releases plain pages whose flags & mask are `want`, up to the first that is not or that is refused; how many.
 * Counts them at once. */
static inline __attribute__((always_inline)) unsigned long
put_plain(struct page **pages, unsigned long n, uint32_t mask, uint32_t want)
{
	unsigned long i = 0, freed = 0;

	for (; i < n && likely(plain(pages[i]) && flags_are(pages[i], mask, want)); i++) {
		int fact;

		if (i + AHEAD < n)
			__builtin_prefetch(pages[i + AHEAD], 1);
		fact = page_put_pins(pages[i], 1);

		if (unlikely(fact)) {
			if (put_end(pages[i], fact))
				break; /* the caller meets it again, and its error */
			freed++; /* counted by put_end(), or the zero page */
		}
	}
	count_own(PINS_RELEASED, i - freed);
	return i;
}

/* How many entries from pages[0] on are the next pages of its folio: one, mostly. */
static unsigned long same_folio(struct page **pages, unsigned long n)
{
	unsigned long left = (1ul << page_head(pages[0])->order) - page_tail(pages[0]);

	_Static_assert(sizeof(struct page) == RECORD_SIZE, "pages of a folio follow each other");
	return records_in_row(pages, pages[0], n < left ? n : left);
}

PINFOLD_EXPORT int put_user_pages(struct page **pages, unsigned long npages)
{
	int first = 0;

	if (unlikely(in_window(pages, npages * sizeof(*pages))))
		return -EFAULT;
	for (unsigned long i = 0, k; i < npages; i += k) {
		int err = 0;
		struct pinfold *m;

		k = put_plain(pages + i, npages - i, PG_head, 0);
		if (likely(k))
			continue;
		k = 1;
		m = machine_of(pages[i], &err);
		if (m) {
			k = same_folio(pages + i, npages - i);
			err = put_run(m, page_head(pages[i]), k);
		}
		if (unlikely(err && !first))
			first = err;
	}
	return first;
}

/* Refused before it is marked: a page without a pin gets no dirty flag either. */
static int put_dirty(struct page *page, bool lock)
{
	int err = 0;
	struct pinfold *m = machine_of(page, &err);
	struct page *head;

	if (!m)
		return err;
	head = page_head(page);
	if (head == m->zero) /* nobody can have written to it */
		return 0;
	if (!pc_pins(page_count(head)) || (page_count(head) & PC_FREE))
		return -EINVAL;
	if (!has_flag(head, PG_dirty)) {
		call_begin();
		if (lock)
			page_lock(m, head);
		cut_set_dirty(head);
		if (lock)
			page_unlock(head);
		call_end();
	}
	return put_run(m, head, 1);
}

static int put_all_dirty(struct page **pages, unsigned long npages, bool lock)
{
	int first = 0;

	if (unlikely(in_window(pages, npages * sizeof(*pages))))
		return -EFAULT;
	for (unsigned long i = 0; i < npages; i++) {
		int err;

		/* What a write pin holds is dirty already, mostly. */
		i += put_plain(pages + i, npages - i, PG_head | PG_dirty, PG_dirty);
		if (i == npages)
			break;
		err = put_dirty(pages[i], lock);

		if (err && !first)
			first = err;
	}
	return first;
}

PINFOLD_EXPORT int put_user_pages_dirty(struct page **pages, unsigned long npages)
{
	return put_all_dirty(pages, npages, false);
}

PINFOLD_EXPORT int put_user_pages_dirty_lock(struct page **pages, unsigned long npages)
{
	return put_all_dirty(pages, npages, true);
}

PINFOLD_EXPORT int get_page(struct page *page)
{
	int err = 0;
	struct pinfold *m = machine_of(page, &err);
	struct page *head;
	uint64_t c;

	if (!m)
		return err;
	head = page_head(page);
	if (head == m->zero)
		return 0;
	c = page_count(head);
	/* Somebody must hold it already: a name of a free frame is not a claim to it. */
	if ((c & PC_FREE) || (!pc_pins(c) && !pc_refs(c)))
		return -EINVAL;
	return page_get_units(m, head, PC_REF, 1) ? 0 : -ENOMEM;
}

PINFOLD_EXPORT int put_page(struct page *page)
{
	int err = 0;
	struct pinfold *m = machine_of(page, &err);
	struct page *head;

	if (!m)
		return err;
	head = page_head(page);
	if (head == m->zero)
		return 0;
	return dec_done(m, head, page_put_ref(head)) ? -EINVAL : 0;
}

PINFOLD_EXPORT void *page_address(const struct page *page)
{
	if (likely(own_record(page)))
		return page->addr;
	return registry_machine_of(page) ? page->addr : NULL;
}
