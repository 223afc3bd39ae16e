/* SPDX-License-Identifier: MIT */
/* page.c - see page.h: the ends of the protocol that are not hot. */
#include "mm/page.h"

#include "mm/debug.h"

bool page_clear_sticky(struct page *p)
{
	const uint32_t sticky = PG_wpinned | PG_longterm;
	uint32_t old;

	if (!(atomic_load(&p->flags) & sticky))
		return true;
	if (pc_pins(page_count(p)))
		return false;
	/* Full barrier.  A pinner's xadd is seen below, or its second look sees the flags clear. */
	old = atomic_fetch_and(&p->flags, ~sticky);
	if (!pc_pins(atomic_load(&p->count)))
		return true;
	atomic_fetch_or(&p->flags, old & sticky);
	return false;
}
