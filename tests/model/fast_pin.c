/* SPDX-License-Identifier: MIT */
/*
 * fast_pin.c - the lockless pin against those who take pages and tables away, and against dup_mmap(), in all
 * interleavings and with store buffers.
 *
 * It runs the code of mm/gup_fast.c, mm/pgtable.c, mm/fork.c and mm/page.h itself (pin_search.h).  Tables have two slots:
 * TABLE_SLOTS.
 *
 * What is checked: check_state(), and confirmed().  Each seeded bug of bugs[] must be found.  fast_pin NAME runs one
 * scenario, fast_pin -b NAME one bug; both print a violation's trace.
 */
#include "pin_search.h"

/* ---- threads ---------------------------------------------------------------------------------- */

static void pin(unsigned long addr, unsigned flags)
{
	struct page *p;
	int r = now.t[me].retries == 1 ? gup_fast_many(addr, 1, flags, &p) : get_user_pages_fast(addr, 1, flags, &p);

	if (r != 1)
		return;
	confirmed(p);
	put(p);
}

/* KNOWN: pin_one() counts at once. */
static void pin_known(unsigned long addr)
{
	if (scenario->shape & KNOWN)
		remember();
	pin(addr, FOLL_WRITE);
}

static void write_pin(void)
{
	pin_known(0);
}

/* LONGTERM: not by the way of one plain page, but by that of many, which walks. */
static void long_pin(void)
{
	now.t[me].retries = 2; /* it begins there */
	pin(0, FOLL_LONGTERM);
}

static void two_pins(void)
{
	now.t[me].retries = 2; /* the first walks, the second knows the way */
	pin(0, FOLL_WRITE);
	pin(0, FOLL_WRITE);
}

static void pin_second(void)
{
	pin_known(SECOND);
}

/* pinfold_pin_batch(), which leaves to the other ways what this does not pin. */
static void batch(unsigned n)
{
	static const unsigned long addrs[] = { 0, SECOND };
	struct page *p[2];
	unsigned got = gup_fast_batch(&w.mm[A], addrs, n, fast_need(FOLL_WRITE), pin_flags(FOLL_WRITE), p);

	for (unsigned i = 0; i < got; i++)
		confirmed(p[i]);
	for (unsigned i = 0; i < got; i++)
		put(p[i]);
}

static void batch_of_one(void)
{
	batch(1);
}

static void batch_of_two(void)
{
	batch(2);
}

/* A 2 MiB slot: zap_stretch() of all of it. */
static void reuse_folio(void)
{
	slot_t *entry = pt_entry(pt_dir(&w.mm[A], 0), 0);
	struct page *head = &w.page[PFN0];

	slot_set(pt_dir(&w.mm[A], 0), entry, 0);
	atomic_fetch_sub_explicit(&head->hugemaps, 1, memory_order_release);
	put_internal(&machine, head);
	reuse(0, B);
}

static void reuse_table_and_frame(void)
{
	zap(A, 0);
	pt_trim(&w.mm[A], 0, LEAF_SIZE);
	reuse(0, B);
	map(B, 0, 0);
}

/* The child has a table of its own, and shows the page still; the parent's is its own again. */
static void dup_own_and_store(void)
{
	struct pt_pos pos;

	snapshot(B);
	if (pt_own(&w.mm[B], 0, &pos))
		broken(ASSERTION);
	store();
}

/* ---- scenarios -------------------------------------------------------------------------------- */

static const struct scenario scenarios[] = {
	{ "unmapped, the frame reused", MORE | KNOWN, { write_pin, reuse_frame } },
	{ "unmapped, the frame reused, the way of many pages", MORE, { long_pin, reuse_frame } },
	{ "unmapped, the frame reused, a batch", MORE | BY_BATCH, { batch_of_one, reuse_frame } },
	{ "unmapped, mapped again", MORE | KNOWN, { write_pin, map_again } },
	{ "the leaf reused", MORE | KNOWN, { write_pin, reuse_tables } },
	{ "the leaf reused, the way of many pages", MORE, { long_pin, reuse_tables } },
	{ "the leaf reused, a batch", MORE | BY_BATCH, { batch_of_one, reuse_tables } },
	{ "all tables reused", NO_TABLES, { long_pin, reuse_tables } },
	{ "leaf and frame reused", MORE, { two_pins, reuse_table_and_frame } },
	{ "the leaf moved", MORE | KNOWN, { write_pin, move_table } },
	{ "the leaf moved, the way of many pages", MORE, { long_pin, move_table } },
	{ "a 2 MiB folio unmapped and reused", MORE | HUGE_SLOT | MARKED, { write_pin, reuse_folio } },
	{ "snapshot", FORK | KNOWN, { write_pin, dup } },
	{ "snapshot, the way of many pages", FORK, { long_pin, dup } },
	{ "snapshot, a batch", FORK | BY_BATCH, { batch_of_one, dup } },
	{ "snapshot of two pages, a batch", FORK | BY_BATCH | TWO_PAGES, { batch_of_two, dup } },
	{ "snapshot, then a store", FORK | KNOWN, { write_pin, dup_and_store } },
	{ "snapshot that takes its own table, then a store", FORK | KNOWN, { write_pin, dup_own_and_store } },
	{ "snapshot of a 2 MiB folio", FORK | HUGE_SLOT, { write_pin, dup } },
	{ "snapshot of a 2 MiB folio, its second page", FORK | HUGE_SLOT, { pin_second, dup_twice } },
	/* The long ones are last: most bugs are found before. */
	{ "unmapped, the frame reused, two pinners", MORE | LONG | KNOWN, { write_pin, long_pin, reuse_frame } },
	{ "two snapshots, and a pinner that knows the way", FORK | LONG, { two_pins, dup_twice } },
	{ "snapshot of two pages", FORK | LONG | TWO_PAGES | KNOWN, { write_pin, pin_second, dup } },
};

/*
 * Not here: that the pin looks at FREE and the guards, and twice at the sticky flags, is count_word.c's.  And what does no
 * harm to pins when it is left out:
 *   - gup_fast_confirm()'s look at the slot behind the marks: the sequence is compared behind them, too, and dup_mmap()
 *     bumps it before it asks for marks (as long as nobody else asks)
 *   - any_pinned()'s taking the mark away: the next snapshot would look at pages for nothing
 *   - claim_leaf()'s taking rights away: they are the mapping's of then, which may be more than it has now; the page is right
 *   - the new sequence when a leaf is claimed or copied: no fast pin knows the way to a leaf whose entry is marked.
 *     pt_lock() needs it
 */
static const struct bug bugs[] = {
	/* the pin */
	{ KNOWN, "the slot is not looked at again", { "pin_one", LOAD, L_SLOT, 2 }, BLIND, { 0 } },
	{ KNOWN, "the sequence is not compared", { "pin_one", LOAD, L_SEQ, 2 }, BLIND, { 0 } },
	{ KNOWN, "the count is no barrier", { "pin_one", ADD, L_COUNT, 0 }, RELAX, { 0 } },
	{ ALL, "many pages: the slot is not looked at again", { "gup_fast_page", LOAD, L_SLOT, 0 }, BLIND, { 0 } },
	{ ALL, "many pages: the sequence is not compared", { "gup_fast", LOAD, L_SEQ, 2 }, BLIND, { 0 } },
	{ ALL, "many pages: the count is no barrier", { "gup_fast_page", ADD, L_COUNT, 0 }, RELAX, { 0 } },
	{ BY_BATCH, "batch: the slots are not looked at again", { "gup_fast_page", LOAD, L_SLOT, 0 }, BLIND, { 0 } },
	{ BY_BATCH, "batch: the sequence is not compared", { "gup_fast_batch", LOAD, L_SEQ, 2 }, BLIND, { 0 } },
	{ BY_BATCH, "batch: the count is no barrier", { "gup_fast_page", ADD, L_COUNT, 0 }, RELAX, { 0 } },
	{ BY_BATCH, "batch: the leaf is not marked", { "gup_fast_mark", STORE, L_PINNED, 0 }, DROP, { 0 } },
	{ ALL, "the leaf is not marked as one with pins", { "gup_fast_mark", STORE, L_PINNED, 0 }, DROP, { 0 } },
	{ ALL, "the leaf is marked behind the count", { "gup_fast_mark", STORE, L_PINNED, 1 }, LATE,
	  { "gup_fast_page", ADD, L_COUNT, 0 } },
	{ ALL, "the leaf is marked when the pin stands", { "gup_fast_mark", STORE, L_PINNED, 1 }, LATE,
	  { "gup_fast", LOAD, L_SEQ, 2 } },
	{ ALL, "folio: the slot is not looked at again", { "gup_fast_same", LOAD, L_ENTRY, 0 }, BLIND, { 0 } },
	{ ALL, "folio: its page is not marked", { "folio_marks", OR, L_MARKS, 0 }, DROP, { 0 } },
	{ ALL, "folio: the count is no barrier", { "page_try_add", ADD, L_COUNT, 0 }, RELAX, { 0 } },
	{ ALL, "folio: the marks are no barrier", { "folio_marks", OR, L_MARKS, 0 }, RELAX, { 0 } },

	/* unmapping */
	{ MORE, "a page is let go before its slot is empty", { "slot_set", STORE, L_SLOT, 1 }, LATE,
	  { "page_take", CAS, L_COUNT, 0 } },
	{ MORE, "a slot is not emptied", { "slot_set", STORE, L_SLOT, 1 }, DROP, { 0 } },
	{ MORE, "a table goes without a new sequence", { "bump", ADD, L_SEQ, 1 }, DROP, { 0 } },
	{ MORE, "a table is reused before the new sequence", { "bump", ADD, L_SEQ, 1 }, LATE,
	  { "slot_set", STORE, L_SLOT, 2 } },
	{ MORE, "the new sequence is no barrier", { "bump", ADD, L_SEQ, 1 }, RELAX, { 0 } },
	{ MORE, "the new sequence comes before the table is out", { "slot_set", STORE, L_ENTRY, 1 }, LATE,
	  { "slot_set", STORE, L_SLOT, 2 } },

	/* dup_mmap() */
	{ FORK, "the entry is not marked", { "pt_stop", OR, L_ENTRY, 1 }, DROP, { 0 } },
	{ FORK, "the entry is marked behind the sequence", { "pt_stop", OR, L_ENTRY, 1 }, LATE, { "bump", ADD, L_SEQ, 0 } },
	{ FORK, "the sequence stays", { "bump", ADD, L_SEQ, 1 }, DROP, { 0 } },
	{ FORK, "the mark of a leaf is looked at before the sequence", { "bump", ADD, L_SEQ, 1 }, LATE,
	  { "any_pinned", LOAD, L_PINNED, 0 } },
	{ FORK, "the pages are not looked at", { "page_maybe_pinned", LOAD, L_COUNT, 0 }, NOPINS, { 0 } },
	{ FORK, "a leaf's pages are looked at, and not the slot's", { "page_maybe_pinned", LOAD, L_COUNT, 2 }, NOPINS, { 0 } },
	{ FORK | HUGE_SLOT, "a folio's pins are not looked at", { "share_huge", LOAD, L_COUNT, 0 }, NOPINS, { 0 } },
	{ FORK | HUGE_SLOT, "a folio's slot keeps its rights", { "slot_set", STORE, L_ENTRY, 1 }, DROP, { 0 } },
	{ FORK, "a shared leaf that is copied keeps its rights", { "copy_leaf", STORE, L_SLOT, 1 }, DROP, { 0 } },
};

static const struct model model = { scenarios, COUNT(scenarios), bugs, COUNT(bugs) };

/* Clauses Q2, Q4, Q8, Q9, Q10, Q11, Q14: no interleaving breaks them; Q2 and Q9 as replaced (tables that are reused and a
 * sequence), of Q4 what may change under the walk. */
int main(int argc, char **argv)
{
	return run_model(argc, argv, &model);
}
