/* SPDX-License-Identifier: MIT */
/*
 * partial_test.c - the table of scenarios: copies, pins and populating across holes, rights and borders of mappings;
 * empty, unaligned and overflowing ranges.
 */
#include "table.h"

#define LOT (FIRST_PAGES * PG)

/* ---- copies ------------------------------------------------------------------------------------- */

/* A copy of everything, and one that begins and ends inside pages. */
static void say_copies(struct side *s, unsigned p)
{
	say(s, "[%lx ", copy_from(s, P, 0, LOT));
	say(s, "%lx ", copy_from(s, P, p * PG - 100, 200));
	say(s, "%lx ", copy_from(s, P, p * PG, 1));
	say(s, "%ld ", copy_to(s, P, PG, LOT - PG, 90));
	say(s, "%ld ", copy_to(s, P, p * PG - 10, 20, 91));
	say(s, "%ld] ", copy_to(s, P, p * PG + 5, 1, 92));
	say_pages(s, P, FIRST_PAGES);
}

static void copies_stop_at_a_hole(struct side *s)
{
	fill_first(s);
	unmap(s, P, 3, 1);
	say_copies(s, 3);
}

static void copies_stop_where_nothing_is_allowed(struct side *s)
{
	fill_first(s);
	protect(s, P, 2, 1, PROT_NONE);
	say_copies(s, 2);
}

static void copies_to_read_only_memory_stop(struct side *s)
{
	fill_first(s);
	protect(s, P, 2, 2, PROT_READ);
	say_copies(s, 2);
}

static void copies_from_write_only_memory_stop(struct side *s)
{
	fill_first(s);
	protect(s, P, 2, 2, PROT_WRITE);
	say(s, "%lx ", copy_from(s, P, 0, LOT));
	say(s, "%lx ", copy_from(s, P, 2 * PG, 1));
	say(s, "%ld ", copy_to(s, P, 0, LOT, 90));
	protect(s, P, 2, 2, RW);
	say_pages(s, P, 5);
}

static void copies_cross_borders_of_mappings(struct side *s)
{
	fill_first(s);
	map_more(s, P, 2, 1, RW, MAP_PRIVATE);
	map_more(s, P, 3, 1, RW, MAP_SHARED);
	say_copies(s, 3);
}

static void copies_of_nothing(struct side *s)
{
	say(s, "%ld %ld ", copy_from(s, P, 0, 0), copy_to(s, P, 0, 0, 1));
	unmap(s, P, 5, 1);
	say(s, "%ld %ld ", copy_from(s, P, 5 * PG, 0), copy_to(s, P, 5 * PG, 0, 1));
}

static void copies_into_a_hole_from_its_end(struct side *s)
{
	unmap(s, P, 0, 2);
	store(s, P, 2, 7);
	say(s, "%ld ", copy_from(s, P, 2 * PG - 1, 2));
	say(s, "%ld ", copy_to(s, P, 2 * PG - 1, 2, 8));
	say_pages(s, P, 4);
}

static void a_copy_reads_untouched_memory(struct side *s)
{
	say(s, "%lx ", copy_from(s, P, 0, LOT));
	say(s, "%ld ", copy_to(s, P, 3 * PG + 7, 2 * PG, 5));
	say(s, "%lx ", copy_from(s, P, 0, LOT));
	say_pages(s, P, 7);
}

static void a_copy_does_not_change_what_a_child_sees(struct side *s)
{
	fill_first(s);
	split(s);
	say(s, "%ld ", copy_to(s, P, 100, 3 * PG, 40));
	say(s, "%lx ", copy_from(s, P, 0, LOT));
	say(s, "%lx ", copy_from(s, C, 0, LOT));
}

/* ---- pins of ranges ----------------------------------------------------------------------------- */

/* All or nothing: what a device would have to give back, it has given back. */
static void a_pin_across_a_hole(struct side *s)
{
	fill_first(s);
	unmap(s, P, 2, 1);
	say(s, "%ld ", pin_pages(s, P, 0, 4));
	split(s);
	say_same(s, "page", frame(s, C, 0), frame(s, P, 0));
	say_same(s, "page", frame(s, C, 3), frame(s, P, 3));
}

static void a_pin_into_read_only_memory(struct side *s)
{
	fill_first(s);
	protect(s, P, 2, 1, PROT_READ);
	say(s, "%ld ", pin_pages(s, P, 1, 2));
	say(s, "%ld ", pin_pages(s, P, 2, 1));
	say(s, "%ld ", pin_pages(s, P, 0, 2));
	store(s, P, 0, 30);
	say(s, "dev %ld; ", device(s, P));
	unpin(s, P);
}

static void a_pin_where_nothing_is_allowed(struct side *s)
{
	fill_first(s);
	protect(s, P, 0, 1, PROT_NONE);
	say(s, "%ld ", pin(s, P, 0));
	say(s, "%ld ", refer(s, P, 0));
	say(s, "%ld ", refer(s, P, 1));
	say(s, "%ld ", referred(s, P));
}

static void a_pin_of_write_only_memory(struct side *s)
{
	protect(s, P, 0, 2, PROT_WRITE);
	say(s, "%ld ", pin(s, P, 0));
	device_writes(s, P, 30);
	protect(s, P, 0, 2, RW);
	say_pages(s, P, 2);
	unpin(s, P);
}

static void a_reference_to_write_only_memory(struct side *s)
{
	protect(s, P, 4, 1, PROT_WRITE);
	say(s, "%ld ", refer(s, P, 4));
}

static void a_pin_across_borders_of_mappings(struct side *s)
{
	map_more(s, P, 1, 1, RW, MAP_SHARED);
	map_more(s, P, 2, 1, RW, MAP_PRIVATE);
	say(s, "%ld ", pin_pages(s, P, 0, 4));
	for (unsigned p = 0; p < 4; p++)
		device_writes_page(s, P, p, 20 + (int)p);
	say_pages(s, P, 5);
	for (unsigned p = 0; p < 4; p++)
		store(s, P, p, 30 + (int)p);
	say(s, "dev %ld %ld %ld; ", device_page(s, P, 0), device_page(s, P, 1), device_page(s, P, 3));
	unpin(s, P);
}

static void a_pin_that_begins_inside_a_page(struct side *s)
{
	say(s, "%ld ", act(s, P, PIN, PG + 100, 200));
	act(s, P, STORE, PG + 100, .arg = 9);
	say(s, "dev %ld; ", device(s, P));
	act(s, P, DEVICE_STORE, 99, .arg = 8);
	say(s, "%ld %ld ", act(s, P, LOAD, PG + 199), act(s, P, LOAD, PG + 99));
	unpin(s, P);
}

static void a_pin_across_a_page_border(struct side *s)
{
	say(s, "%ld ", act(s, P, PIN, 2 * PG - 10, 20));
	split(s);
	act(s, P, STORE, 2 * PG - 1, .arg = 9);
	act(s, P, STORE, 2 * PG, .arg = 8);
	say(s, "dev %ld %ld; ", act(s, P, DEVICE_LOAD, 9), act(s, P, DEVICE_LOAD, 10));
	say_same(s, "first", frame(s, C, 1), frame(s, P, 1));
	say_same(s, "second", frame(s, C, 2), frame(s, P, 2));
	say_same(s, "the next", frame(s, C, 3), frame(s, P, 3));
	say(s, "%ld ", act(s, C, LOAD, 2 * PG));
	unpin(s, P);
}

static void a_pin_at_the_end_of_user_space(struct side *s)
{
	say(s, "%s ", act(s, P, PIN, ~0ul - PG - s->at + 1, PG) ? "refused" : "pinned");
}

static void one_page_is_pinned_twice(struct side *s)
{
	fill_first(s);
	say(s, "%ld ", pin_pages(s, P, 0, 2));
	say(s, "%ld ", pin_again(s, P, 1));
	device_writes_page(s, P, 1, 70);
	say(s, "dev %ld; ", act(s, P, DEVICE_LOAD, .to = 1));
	unpin(s, P);
	split(s);
	say_same(s, "once", frame(s, C, 0), frame(s, P, 0));
	say_same(s, "still", frame(s, C, 1), frame(s, P, 1));
	store(s, P, 1, 71);
	say(s, "dev %ld; ", act(s, P, DEVICE_LOAD, .to = 1));
	unpin_again(s, P);
	finish(s);
	split(s);
	say_same(s, "no more", frame(s, C, 1), frame(s, P, 1));
}

/* ---- changes of ranges -------------------------------------------------------------------------- */

static void unmapping_what_is_not_mapped(struct side *s)
{
	say(s, "%ld ", unmap(s, P, 2, 2));
	say(s, "%ld ", unmap(s, P, 1, 4));
	say(s, "%ld ", unmap(s, P, 2, 2));
	say(s, "%ld ", act(s, P, UNMAP, 1, PG));
	say(s, "%ld ", act(s, P, UNMAP, 0, 0));
	say(s, "%ld ", act(s, P, UNMAP, 0, 100));
	say_pages(s, P, 7);
}

static void protecting_across_a_hole(struct side *s)
{
	fill_first(s);
	unmap(s, P, 2, 1);
	say(s, "%ld ", protect(s, P, 0, 4, PROT_READ));
	for (unsigned p = 0; p < 5; p++)
		say(s, "%ld ", store(s, P, p, 9));
	say(s, "%ld ", protect(s, P, 2, 1, PROT_READ));
	say(s, "%ld ", protect(s, P, 0, 0, PROT_NONE));
	say(s, "%ld ", act(s, P, PROTECT, 5, PG, PROT_READ));
	say_pages(s, P, 5);
}

static void advice_across_a_hole(struct side *s)
{
	fill_first(s);
	unmap(s, P, 2, 1);
	say(s, "%ld ", advise(s, P, 0, 4, MADV_DONTNEED));
	say(s, "%ld ", advise(s, P, 2, 1, MADV_DONTNEED));
	say(s, "%ld ", advise(s, P, 1, 2, MADV_DONTFORK));
	say(s, "%ld ", advise(s, P, 0, 0, MADV_DONTNEED));
	say(s, "%ld ", advise(s, P, 4, 1, MADV_NORMAL));
	say_pages(s, P, 5);
	split(s);
	say_pages(s, C, 5);
}

static void dontneed_of_what_may_not_be_touched(struct side *s)
{
	fill_first(s);
	protect(s, P, 0, 2, PROT_READ);
	protect(s, P, 2, 2, PROT_NONE);
	say(s, "%ld ", advise(s, P, 0, 4, MADV_DONTNEED));
	protect(s, P, 0, 4, RW);
	say_pages(s, P, 5);
}

static void populate_stops_at_a_hole_but_keeps_what_it_did(struct side *s)
{
	long a;

	unmap(s, P, 3, 1);
	say(s, "%ld ", advise(s, P, 0, 6, MADV_POPULATE_WRITE));
	a = frame(s, P, 1);
	store(s, P, 1, 1);
	say_same(s, "page", frame(s, P, 1), a);
	say(s, "%ld ", advise(s, P, 0, 0, MADV_POPULATE_READ));
	say(s, "%ld ", act(s, P, ADVISE, 5, PG, MADV_POPULATE_READ));
}

static void populate_of_write_only_memory(struct side *s)
{
	protect(s, P, 0, 2, PROT_WRITE);
	say(s, "%ld ", advise(s, P, 0, 2, MADV_POPULATE_WRITE));
	say(s, "%ld ", advise(s, P, 0, 2, MADV_POPULATE_READ));
}

static void mapping_with_bad_arguments(struct side *s)
{
	say(s, "%ld ", act(s, P, MAP, 1, PG, RW, 0, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED));
	say(s, "%ld ", act(s, P, MAP, 0, 0, RW, 0, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED));
	say(s, "%ld ", act(s, P, MAP, 0, PG, RW, 0, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE));
	say_pages(s, P, 2);
}

static void mapping_more_than_there_is(struct side *s)
{
	say(s, "%ld ", act(s, P, MAP, 0, ~0ul - 2 * PG, RW, 0, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED));
	say_pages(s, P, 2);
}

static void moving_with_bad_arguments(struct side *s)
{
	const int fixed = MREMAP_MAYMOVE | MREMAP_FIXED;

	fill_first(s);
	say(s, "%ld ", act(s, P, REMAP, 1, PG, PG, 64 * PG, fixed));
	say(s, "%ld ", act(s, P, REMAP, 0, PG, PG, 64 * PG + 1, fixed));
	say(s, "%ld ", act(s, P, REMAP, 0, 2 * PG, 2 * PG, PG, fixed));
	say(s, "%ld ", act(s, P, REMAP, 0, PG, 0, 64 * PG, fixed));
	say(s, "%ld ", act(s, P, REMAP, 0, PG, PG, 64 * PG, MREMAP_FIXED));
	unmap(s, P, 5, 1);
	say(s, "%ld ", move(s, P, 5, 1, 64));
	say_pages(s, P, 5);
}

static void moving_across_a_hole(struct side *s)
{
	fill_first(s);
	unmap(s, P, 2, 1);
	say(s, "%ld ", move(s, P, 1, 3, 64));
	say_pages(s, P, 4);
	say(s, "%ld %ld %ld ", load(s, P, 64), load(s, P, 65), load(s, P, 66));
}

static const struct scenario table[] = {
	SCENARIO("copies stop at a hole", "P1 P8 P14", copies_stop_at_a_hole, ANON_PRIVATE),
	SCENARIO("copies stop at a hole, a private file", "P1 P8 P14", copies_stop_at_a_hole, FILE_PRIVATE),
	SCENARIO("copies stop where nothing is allowed", "P7 P14 V9",
	         copies_stop_where_nothing_is_allowed, ANON_PRIVATE),
	SCENARIO("copies stop where nothing is allowed, a private file", "P7 P14 V9",
	         copies_stop_where_nothing_is_allowed, FILE_PRIVATE),
	SCENARIO("copies stop at read-only memory", "P7 P14 V4", copies_to_read_only_memory_stop, ANON_PRIVATE),
	SCENARIO("copies stop at read-only memory, a private file", "P7 P14 V4",
	         copies_to_read_only_memory_stop, FILE_PRIVATE),
	SCENARIO("copies stop at read-only shared memory", "P7 P14 V4", copies_to_read_only_memory_stop, ANON_SHARED),
	SCENARIO("copies from write-only memory stop", "P7 V9 V10", copies_from_write_only_memory_stop, ANON_PRIVATE),
	SCENARIO("copies cross borders of mappings", "P14", copies_cross_borders_of_mappings, ANON_PRIVATE),
	SCENARIO("copies cross borders of mappings, a private file", "P14",
	         copies_cross_borders_of_mappings, FILE_PRIVATE),
	SCENARIO("copies of no bytes", "A1", copies_of_nothing, ANON_PRIVATE),
	SCENARIO("a copy that begins in a hole fails", "P8", copies_into_a_hole_from_its_end, ANON_PRIVATE),
	SCENARIO("a copy reads untouched memory", "F5 P14", a_copy_reads_untouched_memory, ANON_PRIVATE),
	SCENARIO("a copy reads untouched shared memory", "Z5 P14", a_copy_reads_untouched_memory, ANON_SHARED),
	SCENARIO("a copy does not change what a child sees", "W10 K5",
	         a_copy_does_not_change_what_a_child_sees, ANON_PRIVATE),
	SCENARIO("a copy does not change what a child sees, a private file", "W10 K5",
	         a_copy_does_not_change_what_a_child_sees, FILE_PRIVATE),
	SCENARIO("a pin across a hole is none", "P8 P13", a_pin_across_a_hole, ANON_PRIVATE),
	SCENARIO("a pin into read-only memory is none", "P7 P13 V4", a_pin_into_read_only_memory, ANON_PRIVATE),
	SCENARIO("a pin into read-only shared memory is none", "P7 P13 V4", a_pin_into_read_only_memory, ANON_SHARED),
	SCENARIO("a pin where nothing is allowed is none", "V9 V11", a_pin_where_nothing_is_allowed, ANON_PRIVATE),
	SCENARIO("a write pin of write-only memory", "V4", a_pin_of_write_only_memory, ANON_PRIVATE),
	SCENARIO("a reference to untouched write-only memory", "V9", a_reference_to_write_only_memory, ANON_PRIVATE),
	SCENARIO("a pin across borders of mappings", "P1", a_pin_across_borders_of_mappings, ANON_PRIVATE),
	SCENARIO("a pin that begins inside a page", "A14", a_pin_that_begins_inside_a_page, ANON_PRIVATE),
	SCENARIO("a pin of few bytes holds both pages at a border", "A14 K2", a_pin_across_a_page_border, ANON_PRIVATE),
	SCENARIO("a pin at the end of all addresses is none", "A17", a_pin_at_the_end_of_user_space, ANON_PRIVATE),
	SCENARIO("one page is pinned twice", "P12 K2 K15", one_page_is_pinned_twice, ANON_PRIVATE),
	SCENARIO("unmapping what is not mapped", "M1", unmapping_what_is_not_mapped, ANON_PRIVATE),
	SCENARIO("protecting across a hole", "V4", protecting_across_a_hole, ANON_PRIVATE),
	SCENARIO("protecting across a hole, a private file", "V4", protecting_across_a_hole, FILE_PRIVATE),
	SCENARIO("advice across a hole", "M2 K10", advice_across_a_hole, ANON_PRIVATE),
	SCENARIO("dontneed of what may not be touched", "M2", dontneed_of_what_may_not_be_touched, ANON_PRIVATE),
	SCENARIO("dontneed of what may not be touched, a private file", "M2",
	         dontneed_of_what_may_not_be_touched, FILE_PRIVATE),
	SCENARIO("populate stops at a hole and keeps what it did", "F14 V16",
	         populate_stops_at_a_hole_but_keeps_what_it_did, ANON_PRIVATE),
	SCENARIO("populate of write-only memory", "F14 V9", populate_of_write_only_memory, ANON_PRIVATE),
	SCENARIO("mapping with bad arguments", "", mapping_with_bad_arguments, ANON_PRIVATE),
	SCENARIO("mapping more than there is", "", mapping_more_than_there_is, ANON_PRIVATE,
	         DIFFERS("M (mmap)", "-12 P 0,0; ", "-22 P 0,0; ")),
	SCENARIO("moving with bad arguments", "M3", moving_with_bad_arguments, ANON_PRIVATE),
	SCENARIO("moving across a hole", "M3", moving_across_a_hole, ANON_PRIVATE, .since = 617,
	         DIFFERS("M3", "0 P 1,-11,-11,-11; 2 -11 4 ", "-14 P 1,2,-11,4; -11 -11 -11 ")),
};

ORACLE_MAIN(table, false)
