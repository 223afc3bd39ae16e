/* SPDX-License-Identifier: MIT */
/*
 * gup_range.c - pins of a range with a handle: one locked instruction for up to 512 pages, and one to give them back.
 * pt_range.h tells how; what cannot be had that way is pinned page by page.
 */
#include <errno.h>

#include "lib/export.h"
#include "lib/records.h"
#include "mm/gup.h"
#include "mm/registry.h"

#define RANGE_FLAGS (FOLL_WRITE | FOLL_TOUCH | FOLL_GET | FOLL_LONGTERM)

_Static_assert(PAGE_SHIFT == RECORDS_SHIFT && sizeof(struct page) == RECORD_SIZE, "a slot names a record");

static unsigned index_of(unsigned long addr)
{
	return (addr >> PAGE_SHIFT) & (TABLE_SLOTS - 1);
}

/* Pages of a file that commits are pinned one by one: who freezes asks each whether it is. */
static uint64_t need_of(unsigned flags)
{
	return flags & FOLL_WRITE ? SLOT_PRESENT | SLOT_WRITE | SLOT_PINW | SLOT_LTW :
	                            SLOT_PRESENT | SLOT_PINR | (flags & FOLL_LONGTERM ? SLOT_LTR : 0);
}

/* Puts w into a word that is free.  Its number, or TABLE_RANGES: none is.  Full barrier: partner in range_close(). */
static unsigned take_word(struct table *leaf, uint64_t w)
{
	unsigned i;

	for (i = 0; i < TABLE_RANGES; i++) {
		uint64_t none = 0;

		if (!atomic_load_explicit(&leaf->range[i], memory_order_relaxed) &&
		    atomic_compare_exchange_strong(&leaf->range[i], &none, w))
			break;
	}
	return i;
}

/*
 * A range that was counted on its pages before it was confirmed.  They are pinned; but if the table went to another mm before
 * its slots were read, they are that mm's.
 */
static bool keep_counted(const struct mm_struct *mm, uint64_t seq, struct page **pages, unsigned n)
{
	count_own(RANGE_PAGES_IN, n); /* who counted them has noted them as moved */
	if (likely(atomic_load(&mm->table_seq) == seq))
		return true;
	put_user_pages(pages, n);
	return false;
}

/* One leaf's part of a range.  False: nothing is pinned. */
static bool pin_part(struct mm_struct *mm, unsigned long addr, unsigned n, unsigned flags, struct page **pages,
                     struct pinfold_range_part *part)
{
	uint64_t seq = atomic_load_explicit(&mm->table_seq, memory_order_acquire), version, w;
	struct table *leaf = gup_leaf(mm, addr, seq);
	unsigned at;

	/* Acquire: a slot that changed before the version told of it is seen changed. */
	if (!leaf || !atomic_load_explicit(&leaf->ranged, memory_order_acquire))
		return false;
	version = atomic_load_explicit(&leaf->version, memory_order_acquire);
	/* Acquire: partner of slot_set(). */
	if ((version & 1) ||
	    !records_of_words(&leaf->e[index_of(addr)], n, need_of(flags), SLOT_FOLIO, current.pages, pages))
		return false;
	w = RANGE_USED | (flags & FOLL_WRITE ? RANGE_WRITE : 0) | (flags & FOLL_LONGTERM ? RANGE_LONGTERM : 0) |
	    (uint64_t)index_of(addr) << RANGE_FIRST_SHIFT | (uint64_t)(n - 1) << RANGE_NR_SHIFT | RANGE_VERSION(version);
	at = take_word(leaf, w);
	if (at == TABLE_RANGES)
		return false;
	/* One by one: a struct that is made elsewhere and copied cannot be read back at once. */
	part->table = leaf;
	part->word = at;
	part->nr = n;
	if (likely(atomic_load(&leaf->version) == version && atomic_load(&mm->table_seq) == seq))
		return true;
	/* A slot changed, this or another, or the table is somebody else's now. */
	w = atomic_exchange(&leaf->range[at], 0);
	part->table = NULL; /* counted on the pages, if at all */
	return (w & RANGE_COUNTED) && keep_counted(mm, seq, pages, n);
}

/* The first range of a leaf: from now on its slots change in the way that ranges need. */
static bool allow_ranges(struct mm_struct *mm, unsigned long addr)
{
	struct pt_pos pos;
	bool done = false;

	call_begin();
	if (pt_lock(mm, addr, &pos)) {
		done = !pos.huge && !pos.shared && !atomic_load_explicit(&pos.table->ranged, memory_order_relaxed);
		if (done)
			atomic_store_explicit(&pos.table->ranged, 1, memory_order_release);
		pt_unlock(&pos);
	}
	call_end();
	return done;
}

static int unpin_part(struct pinfold_range_part *part, struct page **pages)
{
	struct table *leaf = part->table;

	if (leaf && !(atomic_exchange(&leaf->range[part->word], 0) & RANGE_COUNTED)) {
		count_own(RANGE_PAGES_OUT, part->nr);
		return 0;
	}
	return put_user_pages(pages, part->nr);
}

/* The whole range by its leaves, or nothing. */
static bool pin_by_leaves(struct mm_struct *mm, unsigned long addr, unsigned nr, unsigned flags, struct pinfold_range_pin *r)
{
	unsigned done = 0, k = 0;

	for (; done < nr; k++) {
		unsigned n = TABLE_SLOTS - index_of(addr);
		struct pinfold_range_part *part = &r->part[k];

		if (n > nr - done)
			n = nr - done;
		if (!pin_part(mm, addr, n, flags, r->pages + done, part) &&
		    !(allow_ranges(mm, addr) && pin_part(mm, addr, n, flags, r->pages + done, part)))
			break;
		if (likely(part->table))
			count_own(RANGE_PAGES_IN, n);
		done += n;
		addr += (unsigned long)n << PAGE_SHIFT;
	}
	if (likely(done == nr))
		return true;
	for (unsigned i = 0, at = 0; i < k; at += r->part[i++].nr)
		unpin_part(&r->part[i], r->pages + at);
	return false;
}

PINFOLD_EXPORT int pinfold_pin_range(unsigned long start, int nr, unsigned int gup_flags, struct page **pages,
                                     struct pinfold_range_pin *range)
{
	struct mm_struct *mm = used_mm();
	int got;

	if (!pages || !range || nr <= 0 || nr > PINFOLD_RANGE_PAGES || (gup_flags & ~(unsigned)RANGE_FLAGS))
		return -EINVAL;
	if (in_window(pages, (size_t)nr * sizeof(*pages)) || in_window(range, sizeof(*range)))
		return -EFAULT;
	range->pages = pages;
	range->nr = (unsigned)nr;
	if (likely(mm && mm->machine == current.machine && !mm->machine->pin_limit && start < VMA_HIGHEST - HUGE_SIZE) &&
	    likely(pin_by_leaves(mm, start, (unsigned)nr, gup_flags, range)))
		return 0;
	got = get_user_pages_fast(start, nr, gup_flags, pages);
	if (got == nr) {
		range->part[0] = (struct pinfold_range_part){ .nr = (unsigned)nr };
		return 0;
	}
	if (got > 0)
		put_user_pages(pages, (unsigned long)got);
	range->pages = NULL;
	return got < 0 ? got : -EFAULT;
}

PINFOLD_EXPORT int pinfold_unpin_range(struct pinfold_range_pin *range)
{
	unsigned first;
	int r = 0, r2 = 0;

	if (!range || !range->pages)
		return -EINVAL;
	first = range->part[0].nr;
	/* Of another machine than the thread's last, or a dead one: then there may be no tables to look at. */
	if (!own_record(range->pages[0]) && !registry_attach(range->pages[0], &r))
		return r;
	r = unpin_part(&range->part[0], range->pages);
	if (range->nr > first)
		r2 = unpin_part(&range->part[1], range->pages + first);
	range->pages = NULL;
	return r ? r : r2;
}
