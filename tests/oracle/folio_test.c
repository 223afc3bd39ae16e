/* SPDX-License-Identifier: MIT */
/*
 * folio_test.c - the table of scenarios: 2 MiB folios, transparent huge pages on the kernel: forks, pins, references
 * and changes of parts and of the whole.
 */
#include "table.h"

#define ALL 512u

/* One folio, pages 0 .. 3 hold 1 .. 4. */
static void fill_folio(struct side *s)
{
	say(s, "%ld ", advise(s, P, 0, ALL, MADV_POPULATE_WRITE));
	fill_first(s);
}

static void say_frames(struct side *s, unsigned p)
{
	say_same(s, "page", frame(s, C, p), frame(s, P, p));
}

/* ---- forks -------------------------------------------------------------------------------------- */

static void a_store_copies_one_page(struct side *s)
{
	fill_folio(s);
	split(s);
	say_frames(s, 0);
	say_frames(s, 300);
	store(s, C, 0, 50);
	store(s, P, 1, 51);
	store(s, P, 511, 52);
	say_frames(s, 0);
	say_frames(s, 2);
	say_frames(s, 300);
	say_pages(s, P, 4);
	say_pages(s, C, 4);
	say(s, "%ld %ld ", load(s, C, 511), load(s, P, 511));
}

static void the_last_one_writes_in_place(struct side *s)
{
	long a, b;

	fill_folio(s);
	a = frame(s, P, 0);
	b = frame(s, P, 300);
	split(s);
	finish(s);
	store(s, P, 0, 50);
	store(s, P, 300, 51);
	say_same(s, "first", frame(s, P, 0), a);
	say_same(s, "another", frame(s, P, 300), b);
	say_pages(s, P, 3);
}

static void three_share_a_folio(struct side *s)
{
	fill_folio(s);
	split(s);
	split_from(s, C, G);
	store(s, G, 0, 30);
	store(s, C, 1, 21);
	say_same(s, "page", frame(s, G, 2), frame(s, P, 2));
	say_pages(s, P, 3);
	say_pages(s, C, 3);
	say_pages(s, G, 3);
}

static void the_child_unmaps_a_part(struct side *s)
{
	fill_folio(s);
	split(s);
	unmap(s, C, 0, 2);
	store(s, P, 0, 50);
	store(s, P, 3, 51);
	say_pages(s, P, 4);
	say_pages(s, C, 5);
}

static void wipeonfork_of_a_part(struct side *s)
{
	fill_folio(s);
	say(s, "%ld ", advise(s, P, 1, 1, MADV_WIPEONFORK));
	say(s, "%ld ", advise(s, P, 3, 1, MADV_DONTFORK));
	split(s);
	say_pages(s, C, 5);
	store(s, C, 1, 9);
	say_pages(s, P, 5);
}

/* ---- pins --------------------------------------------------------------------------------------- */

static void a_range_of_a_folio_is_pinned(struct side *s)
{
	fill_folio(s);
	say(s, "%ld ", pin_pages(s, P, 1, 100));
	split(s);
	say_frames(s, 0);
	say_frames(s, 1);
	say_frames(s, 100);
	say_frames(s, 101);
	device_writes_page(s, P, 1, 40);
	store(s, P, 1, 41);
	say(s, "dev %ld %ld; ", device_page(s, P, 0), device_page(s, P, 99));
	say_pages(s, P, 4);
	say_pages(s, C, 4);
	unpin(s, P);
}

static void all_of_a_folio_is_pinned(struct side *s)
{
	fill_folio(s);
	say(s, "%ld ", pin_pages(s, P, 0, ALL));
	split(s);
	say_frames(s, 0);
	say_frames(s, 511);
	for (unsigned p = 0; p < 4; p++)
		device_writes_page(s, P, p, 40 + (int)p);
	store(s, C, 511, 9);
	store(s, P, 511, 8);
	say(s, "dev %ld; ", device_page(s, P, 511));
	say_pages(s, P, 4);
	say_pages(s, C, 4);
	unpin(s, P);
}

static void a_pin_that_begins_in_the_middle(struct side *s)
{
	long a;

	fill_folio(s);
	a = frame(s, P, 300);
	say(s, "%ld ", act(s, P, PIN, 300 * PG + 5, 211 * PG));
	say_same(s, "page", frame(s, P, 300), a);
	device_writes(s, P, 40);
	say(s, "%ld ", act(s, P, LOAD, 300 * PG + 5));
	store(s, P, 511, 41);
	say(s, "%ld ", act(s, P, DEVICE_LOAD, 211 * PG - 5));
	unpin(s, P);
}

static void a_pin_beyond_a_folio_is_none(struct side *s)
{
	fill_folio(s);
	unmap(s, P, ALL, 1);
	say(s, "%ld ", pin_pages(s, P, 500, 13));
	split(s);
	say_frames(s, 505);
}

static void a_folio_that_was_pinned_is_shared(struct side *s)
{
	fill_folio(s);
	say(s, "%ld ", pin_pages(s, P, 0, 10));
	unpin(s, P);
	split(s);
	say_frames(s, 0);
	say_frames(s, 20);
	store(s, P, 0, 50);
	say_pages(s, C, 2);
}

static void the_parent_pins_a_part_after_the_fork(struct side *s)
{
	long a;

	fill_folio(s);
	split(s);
	a = frame(s, P, 1);
	say(s, "%ld ", pin(s, P, 1));
	say_same(s, "pinned", frame(s, P, 1), a);
	say_same(s, "child's", frame(s, C, 1), a);
	say_frames(s, 300);
	device_writes(s, P, 40);
	store(s, C, 1, 41);
	say_pages(s, P, 3);
	say_pages(s, C, 3);
	unpin(s, P);
}

static void a_copy_by_the_kernel_unshares_a_part(struct side *s)
{
	fill_folio(s);
	split(s);
	say(s, "%lx ", copy_from(s, C, PG, 2 * PG));
	say_frames(s, 0);
	say_frames(s, 1);
	say_frames(s, 2);
	say_frames(s, 3);
	say(s, "%ld ", copy_to(s, P, 3 * PG, PG, 60));
	say_pages(s, P, 5);
	say_pages(s, C, 5);
}

static void copies_at_the_borders_of_a_folio(struct side *s)
{
	fill_folio(s);
	unmap(s, P, ALL, 1);
	say(s, "%ld ", copy_to(s, P, ALL * PG - 10, 20, 7));
	say(s, "%lx ", copy_from(s, P, ALL * PG - 20, 40));
	say(s, "%lx ", copy_from(s, P, 0, 12 * PG));
}

/* ---- references --------------------------------------------------------------------------------- */

static void a_reference_to_a_page_of_a_folio(struct side *s)
{
	fill_folio(s);
	say(s, "%ld ", refer(s, P, 1));
	store(s, P, 1, 50);
	say(s, "%ld ", referred(s, P));
}

static void a_reference_outlives_the_folio(struct side *s)
{
	fill_folio(s);
	say(s, "%ld ", refer(s, P, 1));
	unmap(s, P, 0, ALL);
	say(s, "%ld ", referred(s, P));
	say(s, "%ld ", load(s, P, 1));
}

/* ---- changes ------------------------------------------------------------------------------------ */

static void a_part_is_unmapped_under_a_pin(struct side *s)
{
	long a;

	fill_folio(s);
	a = frame(s, P, 3);
	say(s, "%ld ", pin_pages(s, P, 1, 2));
	unmap(s, P, 0, 2);
	device_writes_page(s, P, 0, 40);
	device_writes_page(s, P, 1, 41);
	say_pages(s, P, 5);
	say(s, "dev %ld; ", device_page(s, P, 0));
	store(s, P, 3, 9);
	say_same(s, "the rest", frame(s, P, 3), a);
	unpin(s, P);
}

static void dontneed_of_a_part(struct side *s)
{
	long a;

	fill_folio(s);
	a = frame(s, P, 3);
	say(s, "%ld ", pin(s, P, 1));
	say(s, "%ld ", advise(s, P, 1, 2, MADV_DONTNEED));
	say_pages(s, P, 5);
	device_writes(s, P, 40);
	store(s, P, 1, 41);
	say(s, "dev %ld; ", device(s, P));
	say_same(s, "the rest", frame(s, P, 3), a);
	unpin(s, P);
}

static void dontneed_of_the_whole_under_a_pin(struct side *s)
{
	fill_folio(s);
	say(s, "%ld ", pin_pages(s, P, 0, 4));
	say(s, "%ld ", advise(s, P, 0, ALL, MADV_DONTNEED));
	say_pages(s, P, 4);
	store(s, P, 0, 50);
	say(s, "dev %ld %ld; ", device_page(s, P, 0), device_page(s, P, 3));
	unpin(s, P);
}

static void rights_of_a_part(struct side *s)
{
	long a;

	fill_folio(s);
	a = frame(s, P, 1);
	say(s, "%ld ", pin(s, P, 1));
	protect(s, P, 1, 1, PROT_READ);
	protect(s, P, 2, 1, PROT_NONE);
	say(s, "%ld %ld %ld ", store(s, P, 0, 50), store(s, P, 1, 51), store(s, P, 2, 52));
	device_writes(s, P, 40);
	say(s, "%lx ", copy_from(s, P, 0, 4 * PG));
	protect(s, P, 0, ALL, RW);
	store(s, P, 1, 53);
	say(s, "dev %ld; ", device(s, P));
	say_same(s, "page", frame(s, P, 1), a);
	say_pages(s, P, 4);
	unpin(s, P);
}

static void a_part_moves(struct side *s)
{
	long a, b;

	fill_folio(s);
	a = frame(s, P, 1);
	b = frame(s, P, 3);
	say(s, "%ld ", pin(s, P, 1));
	say(s, "%ld ", move(s, P, 1, 2, 600));
	say_same(s, "moved", frame(s, P, 600), a);
	say_same(s, "stayed", frame(s, P, 3), b);
	device_writes(s, P, 40);
	say(s, "%ld %ld ", load(s, P, 600), load(s, P, 601));
	say_pages(s, P, 5);
	unpin(s, P);
}

static void the_whole_moves(struct side *s)
{
	long a;

	fill_folio(s);
	a = frame(s, P, 1);
	say(s, "%ld ", pin(s, P, 1));
	say(s, "%ld ", move(s, P, 0, ALL, 2 * ALL));
	say_same(s, "page", frame(s, P, 2 * ALL + 1), a);
	store(s, P, 2 * ALL + 1, 50);
	say(s, "dev %ld; %ld ", device(s, P), load(s, P, 0));
	unpin(s, P);
}

static void the_whole_moves_to_where_it_is_none(struct side *s)
{
	long a;

	fill_folio(s);
	a = frame(s, P, 1);
	say(s, "%ld ", move(s, P, 0, ALL, 2 * ALL + 7));
	say_same(s, "page", frame(s, P, 2 * ALL + 8), a);
	split(s);
	say_same(s, "child's", frame(s, C, 2 * ALL + 8), a);
	store(s, P, 2 * ALL + 8, 50);
	say(s, "%ld %ld ", load(s, P, 2 * ALL + 8), load(s, C, 2 * ALL + 8));
}

static void other_memory_is_mapped_into_it(struct side *s)
{
	fill_folio(s);
	say(s, "%ld ", map_more(s, P, 1, 1, RW, MAP_SHARED));
	store(s, P, 1, 60);
	split(s);
	store(s, C, 1, 61);
	store(s, C, 2, 62);
	say_pages(s, P, 4);
	say_pages(s, C, 4);
}

static void advice_that_comes_later(struct side *s)
{
	long a;

	fill_folio(s);
	a = frame(s, P, 1);
	say(s, "%ld ", advise(s, P, 0, ALL, MADV_NOHUGEPAGE));
	store(s, P, 1, 50);
	say_same(s, "page", frame(s, P, 1), a);
	say(s, "%ld ", advise(s, P, 0, 100, MADV_HUGEPAGE));
	say_pages(s, P, 4);
}

static void force_store_to_a_read_only_part(struct side *s)
{
	long a;

	fill_folio(s);
	a = frame(s, P, 1);
	protect(s, P, 0, 3, PROT_READ);
	say(s, "%ld ", act(s, P, FORCE_STORE, PG, .arg = 80));
	say_same(s, "page", frame(s, P, 1), a);
	split(s);
	say(s, "%ld ", act(s, C, FORCE_STORE, PG, .arg = 81));
	say_pages(s, P, 3);
	say_pages(s, C, 3);
}

static void untouched_folios(struct side *s)
{
	say(s, "%ld %ld ", load(s, P, 0), load(s, P, 1));
	say_same(s, "two pages", frame(s, P, 0), frame(s, P, 1));
	store(s, P, 1, 50);
	say_pages(s, P, 3);
	split(s);
	store(s, C, 2, 51);
	say_pages(s, P, 3);
	say_pages(s, C, 3);
}

static void a_pin_of_an_untouched_folio(struct side *s)
{
	say(s, "%ld ", load(s, P, 0));
	say(s, "%ld ", pin_pages(s, P, 0, 4));
	store(s, P, 1, 50);
	say(s, "dev %ld; ", device_page(s, P, 1));
	device_writes(s, P, 51);
	say_pages(s, P, 3);
	unpin(s, P);
}

static const struct scenario table[] = {
	SCENARIO("a store to a shared folio copies one page", "K5 W10", a_store_copies_one_page, HUGE_PRIVATE),
	SCENARIO("the last one writes to a folio in place", "W10", the_last_one_writes_in_place, HUGE_PRIVATE),
	SCENARIO("three share a folio", "K5", three_share_a_folio, HUGE_PRIVATE),
	SCENARIO("the child unmaps a part of a folio", "W10 M1", the_child_unmaps_a_part, HUGE_PRIVATE),
	SCENARIO("wipeonfork and dontfork of parts of a folio", "K10", wipeonfork_of_a_part, HUGE_PRIVATE),
	SCENARIO("a range of a folio is pinned", "K6 H1 H2", a_range_of_a_folio_is_pinned, HUGE_PRIVATE,
	         PAGES_DIFFER("K6", "page other; page other; page other; page other; ",
	                      "page same; page other; page other; page same; ")),
	SCENARIO("all of a folio is pinned", "H1 K6", all_of_a_folio_is_pinned, HUGE_PRIVATE),
	SCENARIO("a pin that begins in the middle of a folio", "H10 H2",
	         a_pin_that_begins_in_the_middle, HUGE_PRIVATE),
	SCENARIO("a pin beyond a folio is none", "P8 P13", a_pin_beyond_a_folio_is_none, HUGE_PRIVATE),
	SCENARIO("a folio that was pinned is shared", "K15 K6", a_folio_that_was_pinned_is_shared, HUGE_PRIVATE),
	SCENARIO("the parent pins a part of a folio after the fork", "U1 U11",
	         the_parent_pins_a_part_after_the_fork, HUGE_PRIVATE),
	SCENARIO("a copy by the kernel unshares a part of a folio", "U13 U11",
	         a_copy_by_the_kernel_unshares_a_part, HUGE_PRIVATE),
	SCENARIO("copies at the borders of a folio", "P14 P8", copies_at_the_borders_of_a_folio, HUGE_PRIVATE),
	SCENARIO("a reference to a page of a folio", "W11 H2", a_reference_to_a_page_of_a_folio, HUGE_PRIVATE),
	SCENARIO("a reference outlives the folio", "M1", a_reference_outlives_the_folio, HUGE_PRIVATE),
	SCENARIO("a part of a folio is unmapped under a pin", "M1 H4", a_part_is_unmapped_under_a_pin, HUGE_PRIVATE),
	SCENARIO("dontneed of a part of a folio under a pin", "M2 H4", dontneed_of_a_part, HUGE_PRIVATE),
	SCENARIO("dontneed of a whole folio under a pin", "M2", dontneed_of_the_whole_under_a_pin, HUGE_PRIVATE),
	SCENARIO("rights of parts of a folio", "M4 V4 W14", rights_of_a_part, HUGE_PRIVATE),
	SCENARIO("a part of a folio moves", "M3", a_part_moves, HUGE_PRIVATE),
	SCENARIO("a whole folio moves", "M3", the_whole_moves, HUGE_PRIVATE),
	SCENARIO("a whole folio moves to where it cannot be one", "M3 K5",
	         the_whole_moves_to_where_it_is_none, HUGE_PRIVATE),
	SCENARIO("other memory is mapped into a folio", "M1 K8", other_memory_is_mapped_into_it, HUGE_PRIVATE),
	SCENARIO("advice about folios that comes later", "H1", advice_that_comes_later, HUGE_PRIVATE),
	SCENARIO("force store to a read-only part of a folio", "W3 W6", force_store_to_a_read_only_part, HUGE_PRIVATE),
	SCENARIO("untouched folios", "Z8 F5", untouched_folios, HUGE_PRIVATE,
	         PAGES_DIFFER("Z8", "two pages other; ", "two pages same; ")),
	SCENARIO("a pin of an untouched folio", "U4 Z8 W13", a_pin_of_an_untouched_folio, HUGE_PRIVATE),
};

ORACLE_MAIN(table, true)
