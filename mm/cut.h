/* SPDX-License-Identifier: MIT */
/*
 * cut.h - what a store or a write pin must do before it may change a page: count it as dirty, and
 * save its content if a cut still wants it (decision D11).
 *
 * A page has two marks: in a cut (PG_cut), dirty since (PG_dirty).  A page in a cut is claimed once,
 * under its lock: by the committer into its buffer, or here, by the first that stores to it or
 * write-pins it, into a staging frame.  After that it may be stored to; I/O never reads a frame that
 * can be stored to.
 */
#ifndef PINFOLD_CUT_H
#define PINFOLD_CUT_H

#include "mm/filemap.h"

enum cut_fact {
	CUT_OK,         /* mapping->freeze_sem is held for reading until the slot is set */
	CUT_LIMIT,      /* the limit of dirty pages is reached: wait for a commit (not in a section) */
	CUT_WAIT_CLAIM, /* no staging frame: wait for the committer */
	CUT_WAIT_PINS   /* a freeze waits for write pins to end: no new ones */
};

/* Makes an uptodate page writable for the CPU (pin: for a pin too).  The caller has a reference. */
enum cut_fact cut_make_writable(struct page *page, bool pin);
static inline void cut_written(struct address_space *mapping)
{
	host_read_unlock(&mapping->freeze_sem);
}

/* Marks dirty what was changed already (a device did): never refused, the limit may be passed. */
void cut_set_dirty(struct page *page);

/* pages_lock: a flag that made the page unclean was cleared; if it was the last, it may be evicted. */
static inline void cut_cleaned(struct pinfold *m, struct page *page)
{
	if (!has_flag(page, PG_unclean))
		lru_add(m, page);
}

/* Counts n pages towards the limit, for a section's reservation.  False: over the limit. */
bool cut_reserve(struct pinfold *m, uint64_t n);
/* Pages or reservations that are not dirty any more; wakes who waits for room. */
void cut_unreserve(struct pinfold *m, uint64_t n);

/* The waits for CUT_LIMIT and the others; deadline as host_now().  False: passed. */
bool cut_wait_room(struct pinfold *m, uint64_t deadline);
bool cut_wait_claim(struct address_space *mapping, struct page *page, uint64_t deadline);
bool cut_wait_pins(struct address_space *mapping, uint64_t deadline);

/*
 * Moves the state of the file's cut, if it is `from` and the cut's number is `cut` (0: any); who moved it owns the cut's fields.
 *
 *   NONE --freeze--> FREEZING --(protected)--> FROZEN --commit_wait--> WRITING --> NONE
 *                        \--(write pins stayed)--> NONE
 */
bool cut_move(struct address_space *mapping, enum cut_state from, enum cut_state to, int64_t cut);

/* Nothing of the cut is promised: its pages are dirty again. */
void cut_abandon(struct address_space *mapping);
/* Gives a page's staging frame back.  Page lock, or the cut has ended. */
void cut_drop_claim(struct pinfold *m, struct page *page);

/* A claim or a cut has ended: wakes the waiters above. */
void cut_event(struct address_space *mapping);

#endif
