/* SPDX-License-Identifier: MIT */
/* page.c - see page.h: the ends of the protocol that are not hot. */
#include "mm/page.h"

#include "mm/debug.h"

/*
 * Two wrong putters raced past their first look, or one released too many.  The subtraction borrowed
 * from the fields above, FREE included: until it is added back others see FREE or a guard and undo.
 * Adding back may be what makes the word zero: then this caller is the last one.
 */
int page_dec_refused(struct page *p, uint64_t delta)
{
	uint64_t old = atomic_fetch_add(&p->count, delta);

	if (old + delta == 0)
		return DEC_REFUSED | page_try_free(p);
	return DEC_REFUSED;
}

int page_put_pins(struct page *p, uint64_t n)
{
	uint64_t c = page_count(p);

	if (unlikely((c & PC_FREE) || pc_pins(c) < n))
		return DEC_REFUSED;
	return page_dec(p, PC_PIN, n);
}

int page_put_ref(struct page *p)
{
	uint64_t c = page_count(p);

	/* A CAS loop and not an xadd: put_page() on a pinned page without references is the seed's
	 * mistake and must not even briefly disturb the pins above. */
	do {
		if ((c & PC_FREE) || !pc_refs(c))
			return DEC_REFUSED;
	} while (!atomic_compare_exchange_weak(&p->count, &c, c - PC_REF));
	return c == PC_REF ? page_try_free(p) : DEC_LIVE;
}

bool page_clear_sticky(struct page *p, uint64_t expected)
{
	VM_BUG_ON_PAGE(pc_pins(expected), p);
	if (!(atomic_load(&p->flags) & (PG_wpinned | PG_longterm)))
		return true;
	if (!page_freeze(p, expected))
		return false;
	atomic_fetch_and(&p->flags, ~(uint32_t)(PG_wpinned | PG_longterm));
	page_thaw(p, expected);
	return true;
}
