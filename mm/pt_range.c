/* SPDX-License-Identifier: MIT */
/* pt_range.c - see pt_range.h. */
#include "mm/pt_range.h"

static uint32_t sticky(uint64_t w)
{
	return PG_referenced | (w & RANGE_WRITE ? PG_wpinned : 0) | (w & RANGE_LONGTERM ? PG_longterm : 0);
}

static struct page *slot_page(const struct table *leaf, unsigned at)
{
	return pfn_to_page(leaf->machine, atomic_load_explicit(&leaf->e[at], memory_order_relaxed) >> PAGE_SHIFT);
}

/*
 * The pages first, then the word: who takes an unpinned word back in between makes the exchange fail.  The slots'
 * references keep the pages, so nothing can refuse but the guard of the count, beyond which there is room (D3).
 */
static void count_pages(struct table *leaf, _Atomic uint64_t *word, uint64_t w)
{
	unsigned first = range_first(w), n = range_nr(w);

	for (unsigned i = first; i < first + n; i++) {
		page_mark_pin(slot_page(leaf, i), sticky(w));
		atomic_fetch_add(&slot_page(leaf, i)->count, PC_PIN);
		page_mark_pin(slot_page(leaf, i), sticky(w));
	}
	atomic_store(&leaf->pinned, 1); /* partner: dup_mmap(), which has the mmap lock */
	if (atomic_compare_exchange_strong(word, &w, w | RANGE_COUNTED)) {
		count_event(leaf->machine, RANGE_PAGES_MOVED, n);
		return;
	}
	for (unsigned i = first; i < first + n; i++)
		page_unpin(leaf->machine, slot_page(leaf, i), 1);
}

static void settle(struct table *leaf, _Atomic uint64_t *word, uint64_t version, unsigned at)
{
	uint64_t w = atomic_load(word);

	if (!w || (w & (RANGE_COUNTED | RANGE_CANCELLED)))
		return;
	/* An owner that read the slots before an earlier change, and has not looked again yet. */
	if (w >> RANGE_VERSION_SHIFT != RANGE_VERSION(version) >> RANGE_VERSION_SHIFT)
		atomic_compare_exchange_strong(word, &w, RANGE_USED | RANGE_CANCELLED);
	else if (at == RANGE_ALL || (at >= range_first(w) && at < range_first(w) + range_nr(w)))
		count_pages(leaf, word, w);
	else
		atomic_compare_exchange_strong(word, &w, (w & (RANGE_VERSION(1ull) - 1)) | RANGE_VERSION(version + 2));
}

void range_close(struct table *leaf, unsigned at)
{
	uint64_t version = atomic_load_explicit(&leaf->version, memory_order_relaxed);

	/* An exchange for its full barrier; partner: the exchange of a word in gup_range.c, then its look at this. */
	atomic_exchange(&leaf->version, version + 1);
	for (unsigned i = 0; i < TABLE_RANGES; i++)
		settle(leaf, &leaf->range[i], version, at);
}

void range_open(struct table *leaf)
{
	/* Release: who reads it reads the changed slot. */
	atomic_fetch_add_explicit(&leaf->version, 1, memory_order_release);
}

uint64_t range_pages(const struct table *leaf)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < TABLE_RANGES; i++) {
		uint64_t w = atomic_load(&leaf->range[i]);

		n += w && !(w & (RANGE_COUNTED | RANGE_CANCELLED)) ? range_nr(w) : 0;
	}
	return n;
}
