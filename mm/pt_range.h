/* SPDX-License-Identifier: MIT */
/*
 * pt_range.h - pins of a range of pages that are counted on their leaf, one word for all of them.
 *
 * Nobody but this file and who pins (gup_range.c) knows of them.  A slot that would lose its page or a right first has the
 * range that covers it counted on the pages, one by one, as if each had been pinned: slot_set() sees to that.  So whoever
 * changes a slot and then looks at its page finds the pins, as it does those of the lockless pin.
 *
 * A word is 0 or: bit 0; COUNTED; what kind of pin; the first slot and how many; the version of the leaf that its owner
 * read the slots at.  The leaf's version is odd while a slot changes.
 *
 *   pin:    1 reads the version (even) and the slots, notes their pages       slot_set():  a version odd (full barrier)
 *           2 word 0 to this one (full barrier)                                            b words that cover the slot:
 *           3 version still that?  pinned                                                    of this version: counted;
 *             no: takes the word back; if it was COUNTED and the                             of another: cancelled
 *             table is still the mm's, pinned
 *   unpin:  takes the word back; if it was COUNTED, puts the pages                         c slot changes, version even
 *
 * 2 before b in the order of both: the word is counted (its pages are those the slots show, as no slot changed since 1),
 * whatever 3 finds, or cancelled.  b before 2: 3 finds the version changed.  Words that do not cover the slot get the new
 * version.  Against dup_mmap(): it bumps the table sequence (full barrier), then has all words of a leaf counted; pin looks at
 * the sequence in 3, too.
 */
#ifndef PINFOLD_PT_RANGE_H
#define PINFOLD_PT_RANGE_H

#include "mm/page_alloc.h"

#define RANGE_USED      1ull
#define RANGE_COUNTED   2ull /* pages hold the pins: put them one by one */
#define RANGE_CANCELLED 4ull /* was never pinned: its owner looks again */
#define RANGE_WRITE     8ull
#define RANGE_LONGTERM  16ull
#define RANGE_FIRST_SHIFT 8
#define RANGE_NR_SHIFT 18 /* number minus 1 */
#define RANGE_VERSION_SHIFT 28
#define RANGE_VERSION(v) ((v) << RANGE_VERSION_SHIFT)

static inline unsigned range_first(uint64_t w)
{
	return w >> RANGE_FIRST_SHIFT & (TABLE_SLOTS - 1);
}

static inline unsigned range_nr(uint64_t w)
{
	return (w >> RANGE_NR_SHIFT & (TABLE_SLOTS - 1)) + 1;
}

/* Leaf locked.  Around a change of slot `at` that takes something away; RANGE_ALL: of all slots. */
#define RANGE_ALL TABLE_SLOTS
void range_close(struct table *leaf, unsigned at);
void range_open(struct table *leaf);

/* Pages that are pinned by words and not counted on themselves; at rest. */
uint64_t range_pages(const struct table *leaf);

/* Does a slot lose its page or a right by becoming v? */
static inline bool range_loses(uint64_t old, uint64_t v)
{
	return old && (old >> PAGE_SHIFT != v >> PAGE_SHIFT || (old & ~v & SLOT_BITS));
}

#endif
