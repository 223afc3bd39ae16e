/* SPDX-License-Identifier: MIT */
/* ledger.c - see ledger.h. */
#include "mm/ledger.h"

#include <errno.h>

#include "lib/export.h"
#include "mm/handle.h"

static bool charge(struct pinfold *m, int64_t pages)
{
	return atomic_fetch_add(&m->ledger, pages) + pages <= m->pin_limit;
}

int ledger_pin(struct pinfold *m, struct page *head, unsigned n, uint32_t sticky)
{
	uint64_t old;

	page_mark_pin(head, sticky);
	old = atomic_fetch_add(&head->count, n * PC_PIN);
	if (unlikely(old & PC_REFUSE)) {
		page_unpin(m, head, n);
		return -ENOMEM;
	}
	page_mark_pin(head, sticky);
	if (pc_pins(old) || charge(m, 1 << head->order))
		return 0;
	/* Somebody else may have pinned it meanwhile: then the charge stays with that pin. */
	dec_done(m, head, ledger_put(m, head, n));
	return -ENOMEM;
}

int ledger_put(struct pinfold *m, struct page *head, uint64_t n)
{
	int64_t pages = 1 << head->order; /* before somebody else may have it */
	uint64_t left;
	int fact = page_put_pins_left(head, n, &left);

	if (fact != DEC_REFUSED && !pc_pins(left))
		atomic_fetch_sub(&m->ledger, pages);
	return fact;
}

uint64_t ledger_pages(struct pinfold *m)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < m->nr_frames; i++) {
		struct page *p = pfn_to_page(m, i);

		if (!(page_count(p) & PC_FREE) && pc_pins(page_count(p)))
			n += 1ull << p->order;
	}
	return n;
}

PINFOLD_EXPORT int account_locked_vm(struct mm_struct *mm, unsigned long pages, bool inc)
{
	uint64_t had;
	int r = mm_check_live(mm);

	if (r)
		return r;
	if (pages > INT64_MAX >> PAGE_SHIFT)
		return inc ? -ENOMEM : -EINVAL;
	if (inc) {
		if (!charge(mm->machine, (int64_t)pages) && ledger_limited(mm->machine)) {
			atomic_fetch_sub(&mm->machine->ledger, (int64_t)pages);
			return -ENOMEM;
		}
		atomic_fetch_add(&mm->locked_vm, pages);
		return 0;
	}
	had = atomic_load(&mm->locked_vm);
	do {
		if (had < pages)
			return -EINVAL;
	} while (!atomic_compare_exchange_weak(&mm->locked_vm, &had, had - pages));
	atomic_fetch_sub(&mm->machine->ledger, (int64_t)pages);
	return 0;
}
