/* SPDX-License-Identifier: MIT */
/*
 * range_pin.c - pins of ranges, which are counted on their leaf, against those who change its slots, and against dup_mmap(),
 * in all interleavings and with store buffers.
 *
 * It runs the code of mm/gup_range.c, mm/pt_range.c, mm/pgtable.h, mm/pgtable.c and mm/fork.c itself (pin_search.h).  A leaf
 * has two slots and two words: TABLE_SLOTS, TABLE_RANGES.
 *
 * What is checked: check_state(), confirmed(), and that who took a right away and then finds a page without pins is right
 * (take_rights()).  Each seeded bug of bugs[] must be found.  range_pin NAME runs one scenario, range_pin -b NAME one bug.
 */
#include "pin_search.h"

/* ---- threads ---------------------------------------------------------------------------------- */

static void pin_and_unpin(unsigned long addr, unsigned n)
{
	struct pinfold_range_part part = { 0 };
	struct page *p[2];

	if (!pin_part(&w.mm[A], addr, n, FOLL_WRITE | FOLL_LONGTERM, p, &part) &&
	    !(scenario->shape & LOCKS && allow_ranges(&w.mm[A], addr) && /* pin_by_leaves() */
	      pin_part(&w.mm[A], addr, n, FOLL_WRITE | FOLL_LONGTERM, p, &part)))
		return;
	for (unsigned i = 0; i < n; i++)
		confirmed(p[i]);
	giving_back = true;
	unpin_part(&part, p);
	for (unsigned i = 0; i < n && giving_back; i++) /* the word was all */
		given_back(p[i]);
	giving_back = false;
}

static void pin_first(void)
{
	remember();
	pin_and_unpin(0, 1);
}

static void pin_second(void)
{
	remember();
	pin_and_unpin(SECOND, 1);
}

static void pin_both(void)
{
	remember();
	pin_and_unpin(0, 2);
}

static void walk_and_pin(void)
{
	pin_and_unpin(0, 1);
}

static void pin_twice(void)
{
	walk_and_pin();
	walk_and_pin();
}

/* change_protection(), then a look as freeze's: who finds no pin may count on it that there is none, and will be none. */
static void take_rights(unsigned long addr, bool give_again)
{
	struct pinfold *m = &machine;
	struct page *page;
	struct pt_pos pos;
	uint64_t s;

	if (!pt_lock(&w.mm[A], addr, &pos)) {
		broken(ASSERTION);
		return;
	}
	s = atomic_load_explicit(pos.slot, memory_order_relaxed);
	page = pfn_to_page(m, s >> PAGE_SHIFT);
	slot_set(pos.table, pos.slot, s & ~(uint64_t)SLOT_WRITES);
	pt_unlock(&pos);
	get_internal(m, page); /* for its full barrier: host_mb() */
	if (!page_maybe_pinned(page) && live())
		now.owner[page_of(page)] = 0;
	put_internal(m, page);
	if (!give_again)
		return;
	if (live())
		now.owner[page_of(page)] = A + 1;
	slot_set(pos.table, pos.slot, s);
}

static void protect(void)
{
	take_rights(0, false);
}

static void protect_for_a_while(void)
{
	take_rights(0, true);
}

static void zap_second(void)
{
	zap(A, SECOND);
}

static void zap_second_then_reuse_first(void)
{
	zap(A, SECOND);
	reuse_frame();
}

static void protect_then_reuse(void)
{
	take_rights(0, true);
	reuse_frame();
}

/* The leaf becomes B's, who unmaps its page again: that page is counted for whom has a word in the leaf. */
static void reuse_table_twice(void)
{
	reuse_tables();
	zap(B, 0);
}

/* ---- scenarios -------------------------------------------------------------------------------- */

#define BASE (MORE | RANGED | KNOWN)

static const struct scenario scenarios[] = {
	{ "unmapped, the frame reused", BASE, { pin_first, reuse_frame } },
	{ "unmapped, the frame reused, a range of two", BASE | TWO_PAGES, { pin_both, reuse_frame } },
	{ "unmapped, mapped again", BASE, { pin_first, map_again } },
	{ "the other slot unmapped", BASE | TWO_PAGES, { pin_first, zap_second } },
	{ "the other slot unmapped, then this one", BASE | TWO_PAGES, { pin_first, zap_second_then_reuse_first } },
	{ "both slots unmapped", BASE | TWO_PAGES, { pin_both, zap_second_then_reuse_first } },
	{ "rights taken away", BASE, { pin_first, protect } },
	{ "rights taken away of one of two", BASE | TWO_PAGES, { pin_both, protect } },
	{ "rights taken away and given again", BASE, { pin_first, protect_for_a_while } },
	{ "rights taken away and given again, unmapped", BASE, { pin_first, protect_then_reuse } },
	{ "the leaf reused", BASE, { pin_first, reuse_tables } },
	{ "the leaf reused, then unmapped there", BASE, { walk_and_pin, reuse_table_twice } },
	{ "the leaf moved", BASE, { pin_first, move_table } },
	{ "snapshot", FORK | RANGED | KNOWN, { pin_first, dup } },
	{ "snapshot, a walk", FORK | RANGED, { walk_and_pin, dup } },
	{ "snapshot of two pages", FORK | RANGED | KNOWN | TWO_PAGES, { pin_both, dup } },
	{ "snapshot, then a store", FORK | RANGED | KNOWN, { pin_first, dup_and_store } },
	{ "the first range of a leaf, unmapped", MORE | LOCKS | KNOWN, { pin_first, reuse_frame } },
	{ "the first range of a leaf, rights taken away", MORE | LOCKS | KNOWN, { pin_first, protect } },
	/* The long ones are last: most bugs are found before. */
	{ "two pinners, unmapped", BASE | LONG, { pin_first, pin_first, reuse_frame } },
	{ "two pinners of a slot each, one unmapped", BASE | LONG | TWO_PAGES, { pin_both, pin_second, reuse_frame } },
	{ "two snapshots, and a pinner that comes twice", FORK | RANGED | LONG, { pin_twice, dup_twice } },
	{ "two pinners, rights taken away", BASE | LONG, { pin_first, pin_first, protect } },
};

/*
 * Not here, as it does no harm to pins when it is left out:
 *   - that a word of another version is cancelled: its owner finds the version changed either way, and no later change takes
 *     it for one of its own version.  That it is not counted is what matters ("words are not dated")
 *   - count_pages()'s mark on the leaf: who pinned a range has walked to it, and marked it
 */
static const struct bug bugs[] = {
	/* who changes a slot */
	{ ALL, "the version is not made odd", { "range_close", EXCHANGE, L_VERSION, 0 }, DROP, { 0 } },
	{ ALL, "the odd version is no barrier", { "range_close", EXCHANGE, L_VERSION, 0 }, RELAX, { 0 } },
	{ ALL, "words are looked at before the version is odd", { "range_close", EXCHANGE, L_VERSION, 1 }, LATE,
	  { "settle", LOAD, L_WORD, 2 } },
	{ ALL, "words are not looked at", { "settle", LOAD, L_WORD, 0 }, ZERO, { 0 } },
	{ ALL, "words are not dated", { "", LOAD, L_ANY, 0 }, UNDATED, { 0 } },
	{ ALL, "words of other slots keep their version", { "settle", CAS, L_WORD, 0 }, OLD_DATE, { 0 } },
	{ ALL, "pages are counted behind the word", { "count_pages", ADD, L_COUNT, 1 }, LATE,
	  { "count_pages", CAS, L_WORD, 0 } },
	{ ALL, "pages are given back although the word is counted", { "count_pages", CAS, L_WORD, 0 }, ZERO, { 0 } },
	{ ALL, "the slot changes behind the even version", { "slot_set", STORE, L_SLOT, 1 }, LATE,
	  { "range_open", ADD, L_VERSION, 0 } },
	{ ALL, "the even version is no release", { "range_open", ADD, L_VERSION, 0 }, RELAX, { 0 } },

	{ ALL, "ranges are allowed without the leaf's lock", { "", LOAD, L_ANY, 0 }, NO_LOCK, { 0 } },

	/* who pins */
	{ ALL, "the version is not compared", { "pin_part", LOAD, L_VERSION, 2 }, BLIND, { 0 } },
	{ ALL, "the sequence is not compared", { "pin_part", LOAD, L_SEQ, 2 }, BLIND, { 0 } },
	{ ALL, "the version is compared before the word is there", { "take_word", CAS, L_WORD, 1 }, LATE,
	  { "pin_part", LOAD, L_VERSION, 2 } },
	{ ALL, "the word is no barrier", { "take_word", CAS, L_WORD, 0 }, RELAX, { 0 } },
	{ ALL, "a pin that is not confirmed does not see that it was counted", { "pin_part", EXCHANGE, L_WORD, 0 }, ZERO,
	  { 0 } },
	{ ALL, "what was counted is kept, whoever has the table", { "keep_counted", LOAD, L_SEQ, 1 }, BLIND, { 0 } },
	{ ALL, "unpin does not see that it was counted", { "unpin_part", EXCHANGE, L_WORD, 0 }, ZERO, { 0 } },

	/* dup_mmap() */
	{ FORK, "ranges are not counted", { "share", LOAD, L_RANGED, 0 }, ZERO, { 0 } },
	{ FORK, "ranges are counted before the sequence", { "bump", ADD, L_SEQ, 1 }, LATE,
	  { "range_open", ADD, L_VERSION, 1 } },
	{ FORK, "the sequence stays", { "bump", ADD, L_SEQ, 1 }, DROP, { 0 } },
};

static const struct model model = { scenarios, COUNT(scenarios), bugs, COUNT(bugs) };

/* Clauses Q8, Q11: no interleaving breaks them for ranges, either. */
int main(int argc, char **argv)
{
	return run_model(argc, argv, &model);
}
