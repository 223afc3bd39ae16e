/* SPDX-License-Identifier: MIT */
/*
 * edge_test.c - the table of scenarios: lengths that are no pages, ends of the address space, populate at mapping, what
 * one side only knows; and ways of access side by side on one page.
 */
#include "table.h"

/* ---- ranges ------------------------------------------------------------------------------------- */

static void lengths_are_rounded_up(struct side *s)
{
	fill_first(s);
	say(s, "%ld ", act(s, P, PROTECT, 0, PG + 1, PROT_READ));
	say(s, "%ld ", store(s, P, 1, 9));
	say(s, "%ld ", store(s, P, 2, 9));
	say(s, "%ld ", act(s, P, ADVISE, 2 * PG, 1, MADV_DONTNEED));
	say(s, "%ld ", act(s, P, UNMAP, 3 * PG, PG + 100));
	say_pages(s, P, 6);
}

static void a_copy_at_the_end_of_all_addresses(struct side *s)
{
	unsigned long at = s->linux_side ? s->at : s->s[P].at;

	say(s, "%ld ", copy_from(s, P, ~0ul - at - 99, 200));
}

static void a_copy_where_nobody_can_map(struct side *s)
{
	unsigned long at = s->linux_side ? s->at : s->s[P].at;

	say(s, "%ld ", copy_from(s, P, (1ul << 47) - at, 10));
	say(s, "%ld ", copy_to(s, P, (1ul << 62) - at, 10, 1));
	say(s, "%ld ", copy_from(s, P, 0ul - at, 10));
}

static void mapping_with_populate(struct side *s)
{
	const int more = MAP_PRIVATE | MAP_POPULATE;

	say(s, "%ld ", map_more(s, P, 32, 2, RW, more));
	say(s, "%ld ", map_more(s, P, 34, 2, PROT_READ, more));
	say(s, "%ld ", map_more(s, P, 36, 2, PROT_NONE, more));
	say(s, "%ld ", map_more(s, P, 38, 2, RW, MAP_SHARED | MAP_POPULATE));
	say_same(s, "writable", frame(s, P, 32), frame(s, P, 33));
	say_same(s, "read-only", frame(s, P, 34), frame(s, P, 35));
	say_same(s, "shared", frame(s, P, 38), frame(s, P, 39));
	say(s, "%ld %ld %ld ", load(s, P, 32), load(s, P, 34), load(s, P, 36));
}

static void populate_ignores_the_end_of_the_file(struct side *s)
{
	say(s, "%ld ", act(s, P, MAP, 32 * PG, 4 * PG, RW, (FIRST_PAGES - 2) * PG,
	                   (is_shared(s) ? MAP_SHARED : MAP_PRIVATE) | MAP_FIXED | MAP_POPULATE));
	say(s, "%ld %ld %ld ", load(s, P, 32), load(s, P, 33), load(s, P, 34));
}

static void shrinking_across_mappings(struct side *s)
{
	fill_first(s);
	protect(s, P, 2, 2, PROT_READ);
	say(s, "%ld ", resize(s, P, 0, 4, 1));
	say_pages(s, P, 5);
}

static void growing_across_mappings(struct side *s)
{
	fill_first(s);
	protect(s, P, 2, 2, PROT_READ);
	unmap(s, P, 4, 20);
	say(s, "%ld ", resize(s, P, 0, 4, 6));
	say(s, "%ld ", resize(s, P, 2, 2, 4));
	say_pages(s, P, 7);
}

/* ---- what one side only knows ------------------------------------------------------------------- */

static void advice_about_reclaim(struct side *s)
{
	fill_first(s);
	say(s, "%ld ", advise(s, P, 0, 1, MADV_FREE));
	say(s, "%ld ", advise(s, P, 1, 1, MADV_COLD));
	say(s, "%ld ", advise(s, P, 2, 1, MADV_PAGEOUT));
	say(s, "%ld %ld ", load(s, P, 1), load(s, P, 2));
}

static void the_right_to_execute(struct side *s)
{
	say(s, "%ld ", protect(s, P, 0, 1, PROT_READ | PROT_EXEC));
	say(s, "%ld ", load(s, P, 0));
}

static void a_move_of_no_length(struct side *s)
{
	store(s, P, 0, 50);
	say(s, "%ld ", act(s, P, REMAP, 0, 0, PG, 40 * PG, MREMAP_MAYMOVE | MREMAP_FIXED));
	say(s, "%ld %ld ", load(s, P, 0), load(s, P, 40));
}

static void the_old_place_stays_where_it_is_shared(struct side *s)
{
	store(s, P, 0, 50);
	say(s, "%ld ", act(s, P, REMAP, 0, PG, PG, 40 * PG, MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP));
	say(s, "%ld %ld ", load(s, P, 0), load(s, P, 40));
}

/* ---- side by side ------------------------------------------------------------------------------- */

static void direct_io_meets_a_device(struct side *s)
{
	fill_first(s);
	pin(s, P, 0);
	split(s);
	say(s, "%ld ", act(s, P, DIRECT_READ));
	say(s, "dev %ld; ", device(s, P));
	device_writes(s, P, 40);
	say(s, "%ld ", act(s, P, DIRECT_WRITE));
	say_pages(s, P, 1);
	say_pages(s, C, 1);
	unpin(s, P);
}

static void a_copy_meets_a_device(struct side *s)
{
	fill_first(s);
	pin(s, P, 0);
	split(s);
	say(s, "%ld ", copy_to(s, P, 0, 10, 60));
	say(s, "dev %ld; ", device(s, P));
	device_writes(s, P, 40);
	say(s, "%ld ", copy_from(s, P, 0, 1));
	say(s, "%ld ", copy_from(s, C, 0, 1));
	unpin(s, P);
}

static void force_meets_a_device(struct side *s)
{
	fill_first(s);
	pin(s, P, 0);
	split(s);
	protect(s, P, 0, 1, PROT_NONE);
	say(s, "%ld ", act(s, P, FORCE_STORE, .arg = 80));
	say(s, "dev %ld; ", device(s, P));
	device_writes(s, P, 40);
	say(s, "%ld ", act(s, P, FORCE_LOAD));
	say_pages(s, C, 1);
	unpin(s, P);
}

static void populate_meets_a_reference(struct side *s)
{
	long a;

	fill_first(s);
	say(s, "%ld ", refer(s, P, 0));
	split(s);
	a = frame(s, P, 0);
	say(s, "%ld ", advise(s, P, 0, 1, MADV_POPULATE_WRITE));
	say_same(s, "page", frame(s, P, 0), a);
	store(s, P, 0, 50);
	say(s, "%ld ", referred(s, P));
	say_pages(s, C, 1);
}

static void a_child_that_ended_and_a_pin(struct side *s)
{
	long a;

	fill_first(s);
	a = frame(s, P, 0);
	split(s);
	finish(s);
	say(s, "%ld ", pin(s, P, 0));
	say_same(s, "page", frame(s, P, 0), a);
	store(s, P, 0, 50);
	say(s, "dev %ld; ", device(s, P));
	unpin(s, P);
}

static void a_child_that_ended_and_direct_io(struct side *s)
{
	long a;

	fill_first(s);
	a = frame(s, P, 0);
	split(s);
	finish(s);
	say(s, "%ld ", act(s, P, DIRECT_WRITE));
	say_same(s, "page", frame(s, P, 0), a);
	store(s, P, 0, 50);
	say_same(s, "page", frame(s, P, 0), a);
}

static void a_pin_is_given_back_while_the_child_lives(struct side *s)
{
	long a;

	fill_first(s);
	pin(s, P, 0);
	a = frame(s, P, 0);
	split(s);
	unpin(s, P);
	store(s, P, 0, 50);
	say_same(s, "page", frame(s, P, 0), a);
	split_from(s, C, G);
	store(s, G, 0, 30);
	say_pages(s, P, 1);
	say_pages(s, C, 1);
	say_pages(s, G, 1);
}

static void two_devices_in_two_processes(struct side *s)
{
	fill_first(s);
	pin(s, P, 0);
	split(s);
	say(s, "%ld ", pin(s, C, 0));
	device_writes(s, P, 40);
	device_writes(s, C, 41);
	say_pages(s, P, 1);
	say_pages(s, C, 1);
	store(s, P, 0, 50);
	store(s, C, 0, 51);
	say(s, "dev %ld %ld; ", device(s, P), device(s, C));
	say_same(s, "page", frame(s, P, 0), frame(s, C, 0));
	unpin(s, P);
	unpin(s, C);
}

static void a_page_is_pinned_after_its_neighbour_was_unmapped(struct side *s)
{
	fill_first(s);
	unmap(s, P, 0, 1);
	unmap(s, P, 2, 1);
	say(s, "%ld ", pin(s, P, 1));
	split(s);
	device_writes(s, P, 40);
	say_pages(s, P, 4);
	say_pages(s, C, 4);
	unpin(s, P);
}

static void the_devices_page_is_wiped_in_the_child(struct side *s)
{
	fill_first(s);
	pin_pages(s, P, 0, 2);
	advise(s, P, 0, 1, MADV_WIPEONFORK);
	split(s);
	say_pages(s, C, 3);
	store(s, C, 0, 9);
	device_writes(s, P, 40);
	say_pages(s, P, 3);
	say_pages(s, C, 3);
	unpin(s, P);
}

static const struct scenario table[] = {
	SCENARIO("lengths are rounded up", "M1 M2 V4", lengths_are_rounded_up, ANON_PRIVATE),
	SCENARIO("lengths are rounded up, a shared file", "M1 M2 V4", lengths_are_rounded_up, FILE_SHARED),
	SCENARIO("a copy at the end of all addresses", "A17", a_copy_at_the_end_of_all_addresses, ANON_PRIVATE,
	         DIFFERS("A17", "-14 ", "-75 ")),
	SCENARIO("a copy where nobody can map", "P8", a_copy_where_nobody_can_map, ANON_PRIVATE),
	SCENARIO("mapping with populate", "F12 F13 F5", mapping_with_populate, ANON_PRIVATE),
	SCENARIO("populate ignores the end of the file, a private file", "F13",
	         populate_ignores_the_end_of_the_file, FILE_PRIVATE),
	SCENARIO("populate ignores the end of the file, a shared file", "F13",
	         populate_ignores_the_end_of_the_file, FILE_SHARED),
	SCENARIO("shrinking across mappings", "M3", shrinking_across_mappings, ANON_PRIVATE),
	SCENARIO("growing across mappings", "M3", growing_across_mappings, ANON_PRIVATE),
	SCENARIO("advice about reclaim", "M11 M12", advice_about_reclaim, ANON_PRIVATE,
	         DIFFERS("M11", "0 0 0 2 3 ", "-22 -22 -22 2 3 ")),
	SCENARIO("the right to execute", "V4", the_right_to_execute, ANON_PRIVATE,
	         DIFFERS("V (PROT_EXEC)", "0 0 ", "-22 0 ")),
	SCENARIO("a move of no length", "M3", a_move_of_no_length, ANON_PRIVATE),
	SCENARIO("a move of no length, a shared file", "M3", a_move_of_no_length, FILE_SHARED,
	         DIFFERS("M3", "0 50 50 ", "-22 50 -11 ")),
	SCENARIO("the old place stays where it is shared, a shared file", "M3",
	         the_old_place_stays_where_it_is_shared, FILE_SHARED,
	         DIFFERS("M (mremap)", "0 50 50 ", "-22 50 -11 ")),
	SCENARIO("the old place stays where it is shared, shared memory", "M3",
	         the_old_place_stays_where_it_is_shared, ANON_SHARED,
	         DIFFERS("M (mremap)", "0 50 50 ", "-22 50 -11 ")),
	SCENARIO("direct io meets a device", "U1 K2", direct_io_meets_a_device, ANON_PRIVATE, .direct = true),
	SCENARIO("a copy meets a device", "K2 P14", a_copy_meets_a_device, ANON_PRIVATE),
	SCENARIO("force meets a device", "W3 K2", force_meets_a_device, ANON_PRIVATE),
	SCENARIO("populate meets a reference", "F14 W11", populate_meets_a_reference, ANON_PRIVATE),
	SCENARIO("a child that ended and a pin", "U3 W10", a_child_that_ended_and_a_pin, ANON_PRIVATE),
	SCENARIO("a child that ended and direct io", "U3 W10",
	         a_child_that_ended_and_direct_io, ANON_PRIVATE, .direct = true),
	SCENARIO("a pin is given back while the child lives", "K2 K15",
	         a_pin_is_given_back_while_the_child_lives, ANON_PRIVATE),
	SCENARIO("two devices in two processes", "U1 K2", two_devices_in_two_processes, ANON_PRIVATE),
	SCENARIO("a page is pinned after its neighbour was unmapped", "M1 K2",
	         a_page_is_pinned_after_its_neighbour_was_unmapped, ANON_PRIVATE),
	SCENARIO("the device's page is wiped in the child", "K10 K2",
	         the_devices_page_is_wiped_in_the_child, ANON_PRIVATE),
};

ORACLE_MAIN(table, true)
