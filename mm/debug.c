/* SPDX-License-Identifier: MIT */
/* debug.c - see debug.h. */
#include "mm/debug.h"

#include <inttypes.h>
#include <stdio.h>

static void (*_Atomic broken_hook)(const char *);
static _Atomic uint64_t broken;

void debug_set_hook(void (*hook)(const char *what))
{
	atomic_store_explicit(&broken_hook, hook, memory_order_release);
}

void debug_broken(const char *what, const struct page *page)
{
	void (*hook)(const char *) = atomic_load_explicit(&broken_hook, memory_order_acquire);
	char line[256];

	atomic_fetch_add_explicit(&broken, 1, memory_order_relaxed);
	snprintf(line, sizeof(line), "%s", what);
	if (page)
		snprintf(line, sizeof(line),
		         "%s [page %p count %016" PRIx64 " flags %05x mapping %p index %" PRIu64
		         " mapcount %u order %u]",
		         what, (const void *)page, atomic_load(&page->count),
		         atomic_load(&page->flags), (void *)page->mapping, page->index,
		         atomic_load(&page->mapcount), page->order);
	if (hook)
		hook(line);
	else if (PINFOLD_DEBUG_BUILD)
		host_panic(line);
}

uint64_t debug_broken_count(void)
{
	return atomic_load_explicit(&broken, memory_order_relaxed);
}
