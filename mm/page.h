/* SPDX-License-Identifier: MIT */
/*
 * page.h - the counting word: three counts and FREE in one 64-bit atomic (decision D3).
 *
 *     63    62..34   33..18        17..0
 *    FREE   pins     references    internal references
 *
 * A page is free when all fields are zero; then CAS(0 to FREE) decides who frees it.  Nobody ever
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

/* What a decrement did; DEC_FREED may come with DEC_REFUSED. */
enum dec_fact {
	DEC_LIVE = 0,
	DEC_FREED = 1,   /* the caller set FREE and must give the frame back */
	DEC_REFUSED = 2  /* the field held fewer: nothing was taken */
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

static inline struct page *page_head(struct page *p)
{
	return p - p->tail;
}

/* The slow ends of page_dec(). */
int page_dec_refused(struct page *p, uint64_t delta);
static inline int page_try_free(struct page *p)
{
	uint64_t zero = 0;

	/* Whoever wins frees; who loses met a new pin, or the other one of two last putters. */
	return atomic_compare_exchange_strong(&p->count, &zero, PC_FREE) ? DEC_FREED : DEC_LIVE;
}

/* Takes n units off: enum dec_fact bits.  p is a folio's head. */
static inline int page_dec(struct page *p, uint64_t unit, uint64_t n)
{
	uint64_t delta = unit * n;
	uint64_t old = atomic_fetch_sub(&p->count, delta);

	if (unlikely(pc_field(old, unit) < n))
		return page_dec_refused(p, delta);
	if (unlikely(old == delta))
		return page_try_free(p);
	return DEC_LIVE;
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

/* First look, then dec: no pin (reference), refused, nothing changed. */
int page_put_pins(struct page *p, uint64_t n);
int page_put_ref(struct page *p);

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
 * the count and looks again after it: a slow path may have cleared them in between, while it held the
 * page frozen without pins.
 *   1 pinner: flag is set already, no store          1 cleaner: freezes, no pins
 *   2 pinner: xadd (sees FREE, undoes; or later)      2 cleaner: clears the flag, thaws
 *   3 pinner: looks again, sets it
 */
static inline void page_mark_pin(struct page *p, uint32_t sticky)
{
	if (unlikely(sticky & ~atomic_load_explicit(&p->flags, memory_order_relaxed)))
		atomic_fetch_or(&p->flags, sticky);
}

/* The asking side: the slots were changed and a full barrier passed.  Never falsely false. */
static inline bool page_maybe_write_pinned(const struct page *p)
{
	return pc_pins(atomic_load(&p->count)) && (atomic_load(&p->flags) & PG_wpinned);
}

/* Clears the sticky flags if the page has exactly `expected` and so no pins.  False: it has more. */
bool page_clear_sticky(struct page *p, uint64_t expected);

#endif
