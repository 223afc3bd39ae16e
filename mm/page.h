/* SPDX-License-Identifier: MIT */
/*
 * page.h - the counting word: three counts and FREE in one 64-bit atomic (decision D3).
 *
 *     63    62..34   33..18        17..0
 *    FREE   pins     references    internal references
 *
 * A page is free when all fields are zero: the decrement that gets there sets FREE, in one CAS, and its
 * caller frees.  Nobody ever
 * stores the word: allocation and thaw add (what they hold - FREE), so that the increments and undos
 * of stale pinners survive them.  Each field has a guard bit well below its width; an increment that
 * finds FREE or a guard undoes itself.  tests/model/count_word.c checks all interleavings.
 *
 * The word's xadds are full barriers.  Partners: a pinner's xadd, then its second look at the slot,
 * against a slow path's change of the slot, then its look at the count (page_pins()): one of the two
 * sees the other.
 *
 * This file knows nothing but the word and the flags.
 */
#ifndef PINFOLD_PAGE_H
#define PINFOLD_PAGE_H

#include "mm/types.h"

#define PC_INTERNAL 1ull
#define PC_REF      (1ull << 18)
#define PC_PIN      (1ull << 34)
#define PC_FREE     (1ull << 63)
#define PC_INTERNAL_MAX (1ull << 17) /* guards: at these counts the operation fails */
#define PC_REF_MAX      (1ull << 15)
#define PC_PIN_MAX      (1ull << 28)
#define PC_GUARDS (PC_INTERNAL * PC_INTERNAL_MAX | PC_REF * PC_REF_MAX | PC_PIN * PC_PIN_MAX)
#define PC_REFUSE (PC_FREE | PC_GUARDS)

/* What a decrement did. */
enum dec_fact {
	DEC_LIVE = 0,
	DEC_FREED = 1,   /* the caller set FREE and must give the frame back */
	DEC_REFUSED = 2  /* the field held fewer, or FREE was set: nothing was taken */
};

static inline uint64_t pc_internal(uint64_t c)
{
	return c & (PC_REF - 1);
}

static inline uint64_t pc_refs(uint64_t c)
{
	return (c & (PC_PIN - 1)) / PC_REF;
}

static inline uint64_t pc_pins(uint64_t c)
{
	return (c & (PC_FREE - 1)) / PC_PIN;
}

/* How many of `unit` the word holds, unit being PC_INTERNAL, PC_REF or PC_PIN. */
static inline uint64_t pc_field(uint64_t c, uint64_t unit)
{
	return unit == PC_PIN ? pc_pins(c) : unit == PC_REF ? pc_refs(c) : pc_internal(c);
}

static inline uint64_t page_count(const struct page *p)
{
	return atomic_load_explicit(&p->count, memory_order_acquire);
}

/* Relaxed: a stale reader finds out by its second look at the slot, which a split of the folio changes. */
static inline unsigned page_tail(const struct page *p)
{
	return atomic_load_explicit(&p->tail, memory_order_relaxed);
}

/* Relaxed, as page_tail(). */
static inline void page_set_order(struct page *p, unsigned order)
{
	atomic_store_explicit(&p->order, (uint8_t)order, memory_order_relaxed);
}

static inline struct page *page_head(struct page *p)
{
	return p - page_tail(p);
}

/*
 * Takes n units off and, if nothing is left, sets FREE in the same step.  Refused, and nothing changed,
 * if the field holds fewer or one of the bits `refuse` is set.  A CAS loop and not an xadd: a wrong put
 * that first subtracts and then adds back borrows from the fields above.  Meanwhile other threads see
 * FREE or pins that are not there, refuse rightful puts and undos, or count a pin away (count_word.c).
 */
static inline int page_take(struct page *p, uint64_t unit, uint64_t n, uint64_t refuse)
{
	uint64_t c = page_count(p), left;

	do {
		if (unlikely((c & refuse) || pc_field(c, unit) < n))
			return DEC_REFUSED;
		left = c - unit * n;
	} while (!atomic_compare_exchange_weak(&p->count, &c, left ? left : PC_FREE));
	return unlikely(!left) ? DEC_FREED : DEC_LIVE;
}

/* For an undo, which must work on a free page too, and internal references. */
static inline int page_dec(struct page *p, uint64_t unit, uint64_t n)
{
	return page_take(p, unit, n, 0);
}

/*
 * Adds n units for somebody who holds nothing.  True: got them.  False: FREE or a guard was set, and
 * they were taken off again; *fact then says whether that made the caller free the page.
 */
static inline bool page_try_add(struct page *p, uint64_t unit, uint64_t n, int *fact)
{
	uint64_t old = atomic_fetch_add(&p->count, unit * n);

	*fact = DEC_LIVE;
	if (likely(!(old & PC_REFUSE)))
		return true;
	*fact = page_dec(p, unit, n);
	return false;
}

/* Releases from outside: no pin (reference), or a free page: refused, nothing changed.  page_take(), with one test for
 * fewer pins and FREE. */
static inline int page_put_pins_left(struct page *p, uint64_t n, uint64_t *left)
{
	uint64_t c = page_count(p);

	do {
		*left = c - n * PC_PIN;
		if (unlikely(*left >= PC_FREE - n * PC_PIN))
			return DEC_REFUSED;
	} while (!atomic_compare_exchange_weak(&p->count, &c, *left ? *left : PC_FREE));
	return unlikely(!*left) ? DEC_FREED : DEC_LIVE;
}

static inline int page_put_pins(struct page *p, uint64_t n)
{
	uint64_t left;

	return page_put_pins_left(p, n, &left);
}

static inline int page_put_ref(struct page *p)
{
	return page_take(p, PC_REF, 1, PC_FREE);
}

/* For an owner of FREE: makes the page live with `count`.  Adds, so that stale undos stay right. */
static inline void page_thaw(struct page *p, uint64_t count)
{
	atomic_fetch_add(&p->count, count - PC_FREE);
}

/* Takes the page out of everybody's reach if the word is exactly `expected`: then only stale
 * increments, which undo themselves, move it.  False: somebody else holds it. */
static inline bool page_freeze(struct page *p, uint64_t expected)
{
	return atomic_compare_exchange_strong(&p->count, &expected, PC_FREE);
}

/*
 * The sticky flags tell which kinds of pins may be among those counted.  A pinner sets them before
 * the count and looks again after it, before the slot: they may have been cleared in between.  (The way of one
 * plain page looks only after it, and undoes where one is missing.)
 *   1 pinner: flag is set already, no store          1 cleaner: no pins
 *   2 pinner: xadd                                   2 cleaner: clears the flag (full barrier)
 *   3 pinner: looks again, sets it                   3 cleaner: pins now? sets it again
 */
static inline void page_mark_pin(struct page *p, uint32_t sticky)
{
	if (unlikely(sticky & ~atomic_load_explicit(&p->flags, memory_order_acquire)))
		atomic_fetch_or(&p->flags, sticky);
}

/*
 * A folio also remembers which of its pages were pinned, so that a snapshot copies only those (K6 is Linux's:
 * all of them).  A mark may outlive its pin, never the reverse.  Who pins by a slot that cannot change marks before
 * it counts.  The lockless way must not write here before it knows that the folio lives:
 *   1 pinner: counts, looks at the slot: it is still the folio's, and now stays so
 *   2 pinner: not marked? marks (full barrier)      2 snapshot: changes the slot, full barrier
 *   3 pinner: looks at the slot again               3 snapshot: pins, and this one marked?
 * folio_clear_pins() is only for folios without pins whose slots allow none.
 */
static inline bool folio_marks(struct page *head, unsigned first, unsigned n, bool set)
{
	bool all = true;

	while (n) {
		_Atomic uint64_t *word = &head[1 + first / 64].subpins;
		unsigned at = first % 64, k = 64 - at < n ? 64 - at : n;
		uint64_t bits = (k == 64 ? ~0ull : (1ull << k) - 1) << at;

		if (unlikely(bits & ~atomic_load_explicit(word, memory_order_acquire))) {
			all = false;
			if (set)
				atomic_fetch_or(word, bits);
		}
		first += k;
		n -= k;
	}
	return all;
}

static inline void folio_clear_pins(struct page *head)
{
	for (unsigned i = 0; i < ((1u << head->order) + 63) / 64; i++)
		atomic_store(&head[1 + i].subpins, 0);
}

/* May this very page be pinned?  The asking side, as page_maybe_write_pinned(). */
static inline bool page_maybe_pinned(struct page *page)
{
	struct page *head = page_head(page);

	return pc_pins(atomic_load(&head->count)) &&
	       (!head->order || folio_marks(head, page_tail(page), 1, false));
}

/* The asking side: the slots were changed and a full barrier passed.  Never falsely false. */
static inline bool page_maybe_write_pinned(const struct page *p)
{
	return pc_pins(atomic_load(&p->count)) && (atomic_load(&p->flags) & PG_wpinned);
}

/*
 * Clears the sticky flags if there are no pins; false: there are.  Freezes nothing, so it disturbs no
 * holder of a reference or slot.  Between clearing and looking again the flags may be wrong: the caller
 * and who asks exclude each other (freeze asks, commit clears: cut_state lets one file have one).
 */
bool page_clear_sticky(struct page *p);

#endif
