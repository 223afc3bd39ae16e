/* SPDX-License-Identifier: MIT */
/*
 * mapping_test.c - the table of scenarios: mappings that are split, merged, moved, resized and replaced, with pins,
 * references and children beside them; FORCE.
 */
#include "table.h"

/* ---- split and merge ---------------------------------------------------------------------------- */

static void split_by_rights_and_merged_again(struct side *s)
{
	fill_first(s);
	for (unsigned p = 0; p < FIRST_PAGES; p += 2)
		protect(s, P, p, 1, PROT_READ);
	for (unsigned p = 0; p < 4; p++)
		say(s, "%ld ", store(s, P, p, 20 + (int)p));
	say(s, "%ld ", protect(s, P, 0, FIRST_PAGES, RW));
	for (unsigned p = 0; p < 4; p++)
		say(s, "%ld ", store(s, P, p, 30 + (int)p));
	say_pages(s, P, 5);
}

/* To grow, it has to be one mapping again. */
static void split_by_rights_merged_and_grown(struct side *s)
{
	protect(s, P, 2, 2, PROT_READ);
	protect(s, P, 2, 2, RW);
	say(s, "%ld ", unmap(s, P, 7, 1));
	say(s, "%ld ", resize(s, P, 0, 7, 8));
	say(s, "%ld ", load(s, P, 7));
}

static void a_pin_across_mappings_that_are_split_later(struct side *s)
{
	fill_first(s);
	pin_pages(s, P, 0, 4);
	protect(s, P, 1, 1, PROT_READ);
	protect(s, P, 2, 1, PROT_NONE);
	for (unsigned p = 0; p < 4; p++)
		device_writes_page(s, P, p, 40 + (int)p);
	say_pages(s, P, 4);
	protect(s, P, 0, 4, RW);
	say_pages(s, P, 4);
	for (unsigned p = 0; p < 4; p++)
		store(s, P, p, 50 + (int)p);
	say(s, "dev %ld %ld %ld; ", device_page(s, P, 1), device_page(s, P, 2), device_page(s, P, 3));
	unpin(s, P);
}

static void a_hole_in_the_middle_and_memory_in_the_hole(struct side *s)
{
	fill_first(s);
	pin_pages(s, P, 0, 4);
	unmap(s, P, 1, 2);
	say_pages(s, P, 4);
	say(s, "%ld ", map_more(s, P, 1, 2, RW, MAP_PRIVATE));
	say_pages(s, P, 4);
	store(s, P, 1, 60);
	say(s, "dev %ld; ", device_page(s, P, 1));
	say(s, "%ld ", pin_again(s, P, 1));
	act(s, P, DEVICE_STORE, .arg = 61, .to = 1);
	say(s, "dev %ld; %ld ", device_page(s, P, 1), load(s, P, 1));
	unpin(s, P);
	unpin_again(s, P);
}

static void neighbours_that_are_mapped_apart(struct side *s)
{
	unmap(s, P, 4, 4);
	store(s, P, 3, 4);
	say(s, "%ld %ld ", map_more(s, P, 4, 2, RW, MAP_PRIVATE), map_more(s, P, 6, 2, RW, MAP_PRIVATE));
	store(s, P, 5, 6);
	say(s, "%ld ", move(s, P, 3, 4, 40));
	say(s, "%ld %ld %ld ", load(s, P, 40), load(s, P, 42), load(s, P, 5));
}

static void memory_is_mapped_over_a_pin(struct side *s)
{
	fill_first(s);
	pin(s, P, 1);
	say(s, "%ld ", map_more(s, P, 0, 4, RW, MAP_PRIVATE));
	say_pages(s, P, 4);
	store(s, P, 1, 60);
	say(s, "dev %ld; ", device(s, P));
	device_writes(s, P, 61);
	say_pages(s, P, 2);
	unpin(s, P);
}

static void read_only_memory_is_mapped_over(struct side *s)
{
	fill_first(s);
	say(s, "%ld ", map_more(s, P, 1, 2, PROT_READ, MAP_PRIVATE));
	say(s, "%ld ", store(s, P, 1, 9));
	say_pages(s, P, 4);
	say(s, "%ld ", protect(s, P, 1, 2, RW));
	say(s, "%ld ", store(s, P, 1, 9));
	say_pages(s, P, 4);
}

/* ---- mremap ------------------------------------------------------------------------------------- */

static void it_grows_in_place_or_not(struct side *s)
{
	fill_first(s);
	say(s, "%ld ", resize(s, P, 0, 2, 4)); /* the rest of the mapping is in the way */
	unmap(s, P, 4, 30);
	say(s, "%ld ", resize(s, P, 0, 4, 6));
	say(s, "%ld ", store(s, P, 5, 9));
	say_pages(s, P, 7);
	say(s, "%ld ", map_more(s, P, 7, 1, RW, MAP_PRIVATE));
	say(s, "%ld ", resize(s, P, 0, 6, 8));
	say_pages(s, P, 8);
}

static void it_shrinks_under_a_pin(struct side *s)
{
	fill_first(s);
	pin_pages(s, P, 1, 2);
	say(s, "%ld ", resize(s, P, 0, FIRST_PAGES, 2));
	device_writes_page(s, P, 0, 40);
	device_writes_page(s, P, 1, 41);
	say_pages(s, P, 4);
	say(s, "dev %ld; ", device_page(s, P, 1));
	unpin(s, P);
}

static void it_moves_and_grows(struct side *s)
{
	fill_first(s);
	pin(s, P, 1);
	say(s, "%ld ", act(s, P, REMAP, 0, 2 * PG, 4 * PG, 40 * PG, MREMAP_MAYMOVE | MREMAP_FIXED));
	say_pages(s, P, 4);
	for (unsigned p = 40; p < 45; p++)
		say(s, "%ld ", load(s, P, p));
	device_writes(s, P, 50);
	say(s, "%ld ", load(s, P, 41));
	unpin(s, P);
}

static void it_moves_and_shrinks(struct side *s)
{
	fill_first(s);
	say(s, "%ld ", act(s, P, REMAP, 0, 4 * PG, 2 * PG, 40 * PG, MREMAP_MAYMOVE | MREMAP_FIXED));
	say_pages(s, P, 5);
	for (unsigned p = 40; p < 43; p++)
		say(s, "%ld ", load(s, P, p));
}

static void it_moves_over_other_memory(struct side *s)
{
	long a;

	fill_first(s);
	pin(s, P, 3);
	a = frame(s, P, 0);
	say(s, "%ld ", move(s, P, 0, 1, 3));
	say_pages(s, P, 5);
	say_same(s, "page", frame(s, P, 3), a);
	device_writes(s, P, 60);
	say(s, "%ld %ld ", load(s, P, 3), device(s, P));
	unpin(s, P);
}

static void it_moves_there_and_back(struct side *s)
{
	long a;

	fill_first(s);
	pin(s, P, 1);
	a = frame(s, P, 1);
	say(s, "%ld ", move(s, P, 0, 4, 40));
	say(s, "%ld ", move(s, P, 40, 4, 0));
	say_same(s, "page", frame(s, P, 1), a);
	device_writes(s, P, 50);
	say_pages(s, P, 5);
	store(s, P, 1, 51);
	say(s, "dev %ld; ", device(s, P));
	unpin(s, P);
}

static void it_moves_with_its_rights_and_advice(struct side *s)
{
	fill_first(s);
	protect(s, P, 0, 1, PROT_READ);
	advise(s, P, 1, 1, MADV_DONTFORK);
	move(s, P, 0, 1, 40);
	move(s, P, 1, 1, 41);
	say(s, "%ld %ld ", store(s, P, 40, 9), store(s, P, 41, 9));
	split(s);
	say(s, "%ld %ld ", load(s, C, 40), load(s, C, 41));
}

static void the_old_place_stays(struct side *s)
{
	long a;

	fill_first(s);
	pin(s, P, 1);
	a = frame(s, P, 1);
	say(s, "%ld ", act(s, P, REMAP, 0, 4 * PG, 4 * PG, 40 * PG,
	                   MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP));
	say_pages(s, P, 5);
	say(s, "%ld %ld ", load(s, P, 40), load(s, P, 41));
	say_same(s, "page", frame(s, P, 41), a);
	store(s, P, 1, 9);
	device_writes(s, P, 50);
	say(s, "%ld %ld ", load(s, P, 1), load(s, P, 41));
	unpin(s, P);
}

static void a_reference_and_a_move(struct side *s)
{
	fill_first(s);
	say(s, "%ld ", refer(s, P, 0));
	move(s, P, 0, 1, 40);
	store(s, P, 40, 50);
	say(s, "%ld ", referred(s, P));
}

static void a_copy_to_where_it_moved(struct side *s)
{
	fill_first(s);
	move(s, P, 1, 2, 40);
	say(s, "%ld ", copy_to(s, P, 40 * PG + 100, 2 * PG, 70));
	say(s, "%ld %ld ", act(s, P, LOAD, 40 * PG + 100), act(s, P, LOAD, 42 * PG - 1));
	say(s, "%lx %lx ", copy_from(s, P, 0, 3 * PG), copy_from(s, P, 40 * PG, 3 * PG));
}

/* ---- rights and advice under a pin -------------------------------------------------------------- */

static void rights_change_under_a_reference(struct side *s)
{
	long a;

	fill_first(s);
	a = frame(s, P, 0);
	say(s, "%ld ", refer(s, P, 0));
	protect(s, P, 0, 1, PROT_READ);
	protect(s, P, 0, 1, RW);
	store(s, P, 0, 50);
	say_same(s, "page", frame(s, P, 0), a);
	say(s, "%ld ", referred(s, P));
}

static void no_rights_at_all_under_a_pin(struct side *s)
{
	fill_first(s);
	pin(s, P, 0);
	say(s, "%ld ", protect(s, P, 0, 4, PROT_NONE));
	device_writes(s, P, 40);
	say(s, "%ld %ld ", load(s, P, 0), copy_from(s, P, 0, 1));
	split(s);
	protect(s, P, 0, 4, RW);
	protect(s, C, 0, 4, RW);
	device_writes(s, P, 41);
	say_pages(s, P, 2);
	say_pages(s, C, 2);
	unpin(s, P);
}

static void populate_under_a_pin(struct side *s)
{
	long a;

	fill_first(s);
	pin(s, P, 0);
	a = frame(s, P, 0);
	say(s, "%ld ", advise(s, P, 0, 4, MADV_POPULATE_WRITE));
	say(s, "%ld ", advise(s, P, 0, 4, MADV_POPULATE_READ));
	say_same(s, "page", frame(s, P, 0), a);
	store(s, P, 0, 50);
	say(s, "dev %ld; ", device(s, P));
	unpin(s, P);
}

static void dontneed_of_a_part_of_what_is_pinned(struct side *s)
{
	fill_first(s);
	pin_pages(s, P, 0, 4);
	say(s, "%ld ", advise(s, P, 1, 2, MADV_DONTNEED));
	for (unsigned p = 0; p < 4; p++)
		device_writes_page(s, P, p, 40 + (int)p);
	say_pages(s, P, 4);
	unpin(s, P);
	say_pages(s, P, 4);
}

static void willneed_of_anything(struct side *s)
{
	say(s, "%ld ", advise(s, P, 0, 4, MADV_WILLNEED));
	say(s, "%ld ", advise(s, P, 0, 0, MADV_WILLNEED));
	say_pages(s, P, 4);
	unmap(s, P, 2, 1);
	say(s, "%ld ", advise(s, P, 2, 1, MADV_WILLNEED));
	say(s, "%ld ", advise(s, P, 2, 2, MADV_WILLNEED));
	say(s, "%ld ", advise(s, P, 1, 3, MADV_WILLNEED));
	say(s, "%ld ", advise(s, P, 0, 3, MADV_WILLNEED));
}

static void huge_page_advice_of_small_memory(struct side *s)
{
	say(s, "%ld %ld ", advise(s, P, 0, 3, MADV_HUGEPAGE), advise(s, P, 1, 1, MADV_NOHUGEPAGE));
	fill_first(s);
	say_pages(s, P, 5);
}

/* ---- untouched memory --------------------------------------------------------------------------- */

static void a_pin_of_untouched_memory_is_a_page_of_its_own(struct side *s)
{
	long zero = (load(s, P, 0), frame(s, P, 0));

	say(s, "%ld ", pin(s, P, 1));
	say_same(s, "pinned", frame(s, P, 1), zero);
	say(s, "%ld %ld ", load(s, P, 1), load(s, P, 0));
	device_writes(s, P, 40);
	say_pages(s, P, 3);
	say_same(s, "not pinned", frame(s, P, 0), zero);
	unpin(s, P);
}

static void direct_io_from_untouched_memory(struct side *s)
{
	long zero = (load(s, P, 0), frame(s, P, 0));

	say(s, "%ld ", act(s, P, DIRECT_WRITE));
	say_same(s, "written from", frame(s, P, 0), zero);
	say(s, "%ld ", act(s, P, DIRECT_READ, PG));
	say_pages(s, P, 3);
}

static void the_zero_page_after_populate(struct side *s)
{
	long zero;

	say(s, "%ld ", advise(s, P, 0, 4, MADV_POPULATE_READ));
	zero = frame(s, P, 0);
	say_same(s, "read", frame(s, P, 1), zero);
	say(s, "%ld ", advise(s, P, 1, 1, MADV_POPULATE_WRITE));
	say_same(s, "written", frame(s, P, 1), zero);
	protect(s, P, 0, 1, PROT_READ);
	protect(s, P, 0, 1, RW);
	say(s, "%ld ", store(s, P, 0, 7));
	say_same(s, "stored", frame(s, P, 0), zero);
	say_pages(s, P, 4);
}

static void the_zero_page_moves(struct side *s)
{
	say(s, "%ld ", load(s, P, 0));
	say(s, "%ld ", move(s, P, 0, 1, 40));
	say_same(s, "page", frame(s, P, 40), frame(s, P, 1));
	store(s, P, 40, 9);
	say(s, "%ld %ld ", load(s, P, 40), load(s, P, 1));
}

/* ---- FORCE -------------------------------------------------------------------------------------- */

static void force_store_keeps_the_page_of_a_pin(struct side *s)
{
	long a;

	fill_first(s);
	pin(s, P, 0);
	a = frame(s, P, 0);
	protect(s, P, 0, 1, PROT_READ);
	say(s, "%ld ", act(s, P, FORCE_STORE, .arg = 80));
	say(s, "dev %ld; ", device(s, P));
	say_same(s, "page", frame(s, P, 0), a);
	unpin(s, P);
}

static void force_reads_without_rights(struct side *s)
{
	fill_first(s);
	protect(s, P, 0, 1, PROT_NONE);
	protect(s, P, 1, 1, PROT_WRITE);
	protect(s, P, 5, 1, PROT_NONE);
	say(s, "%ld %ld %ld ", act(s, P, FORCE_LOAD), act(s, P, FORCE_LOAD, PG), act(s, P, FORCE_LOAD, 5 * PG));
	say(s, "%ld ", load(s, P, 0));
	unmap(s, P, 3, 1);
	say(s, "%ld ", act(s, P, FORCE_LOAD, 3 * PG));
	say(s, "%ld ", act(s, P, FORCE_STORE, 3 * PG, .arg = 1));
}

static void force_store_to_untouched_read_only_memory(struct side *s)
{
	long zero;

	protect(s, P, 0, 4, PROT_READ);
	say(s, "%ld ", load(s, P, 0));
	zero = frame(s, P, 0);
	say(s, "%ld ", act(s, P, FORCE_STORE, .arg = 80));
	say(s, "%ld ", act(s, P, FORCE_STORE, PG, .arg = 81));
	say_pages(s, P, 3);
	say_same(s, "page", frame(s, P, 0), zero);
	say(s, "%ld %ld ", store(s, P, 0, 9), store(s, P, 1, 9));
	split(s);
	say(s, "%ld ", act(s, C, FORCE_STORE, .arg = 82));
	say_pages(s, P, 3);
	say_pages(s, C, 3);
}

static void force_store_where_there_are_no_rights(struct side *s)
{
	fill_first(s);
	protect(s, P, 0, 2, PROT_NONE);
	say(s, "%ld ", act(s, P, FORCE_STORE, .arg = 80));
	say(s, "%ld ", act(s, P, FORCE_STORE, 5 * PG, .arg = 81));
	say(s, "%ld %ld ", load(s, P, 0), act(s, P, FORCE_LOAD));
	protect(s, P, 0, 2, RW);
	say_pages(s, P, 6);
}

static void force_store_beside_a_child_that_ends(struct side *s)
{
	long a;

	fill_first(s);
	a = frame(s, P, 0);
	protect(s, P, 0, 1, PROT_READ);
	split(s);
	finish(s);
	say(s, "%ld ", act(s, P, FORCE_STORE, .arg = 80));
	say_same(s, "page", frame(s, P, 0), a);
	say_pages(s, P, 1);
}

static const struct scenario table[] = {
	SCENARIO("split by rights and merged again", "V4 M4 W14", split_by_rights_and_merged_again, ANON_PRIVATE),
	SCENARIO("split by rights and merged again, a private file", "V4 M4 W14",
	         split_by_rights_and_merged_again, FILE_PRIVATE),
	SCENARIO("split by rights and merged again, shared memory", "V4 M4 W14",
	         split_by_rights_and_merged_again, ANON_SHARED),
	SCENARIO("split by rights, merged and grown", "M3", split_by_rights_merged_and_grown, ANON_PRIVATE),
	SCENARIO("split by rights, merged and grown, a shared file", "M3", split_by_rights_merged_and_grown, FILE_SHARED),
	SCENARIO("shared memory does not grow", "M3", split_by_rights_merged_and_grown, ANON_SHARED,
	         DIFFERS("M3", "0 0 0 ", "0 -12 -11 ")),
	SCENARIO("a pin across mappings that are split later", "M4 W14",
	         a_pin_across_mappings_that_are_split_later, ANON_PRIVATE),
	SCENARIO("a hole in the middle and memory in the hole", "M1",
	         a_hole_in_the_middle_and_memory_in_the_hole, ANON_PRIVATE),
	SCENARIO("neighbours that are mapped apart", "M3", neighbours_that_are_mapped_apart, ANON_PRIVATE),
	SCENARIO("memory is mapped over a pin", "M1", memory_is_mapped_over_a_pin, ANON_PRIVATE),
	SCENARIO("memory is mapped over a pin, shared memory", "M1", memory_is_mapped_over_a_pin, ANON_SHARED),
	SCENARIO("read only memory is mapped over", "V4 Z4", read_only_memory_is_mapped_over, ANON_PRIVATE),
	SCENARIO("it grows in place or not", "M3", it_grows_in_place_or_not, ANON_PRIVATE),
	SCENARIO("it shrinks under a pin", "M1 M3", it_shrinks_under_a_pin, ANON_PRIVATE),
	SCENARIO("it shrinks under a pin, shared memory", "M1 M3", it_shrinks_under_a_pin, ANON_SHARED),
	SCENARIO("it moves and grows", "M3", it_moves_and_grows, ANON_PRIVATE),
	SCENARIO("it moves and shrinks", "M3 M1", it_moves_and_shrinks, ANON_PRIVATE),
	SCENARIO("it moves and shrinks, shared memory", "M3 M1", it_moves_and_shrinks, ANON_SHARED),
	SCENARIO("it moves over other memory", "M3 M1", it_moves_over_other_memory, ANON_PRIVATE),
	SCENARIO("it moves there and back", "M3", it_moves_there_and_back, ANON_PRIVATE),
	SCENARIO("it moves there and back, shared memory", "M3", it_moves_there_and_back, ANON_SHARED),
	SCENARIO("it moves with its rights and advice", "M3 V4 K10",
	         it_moves_with_its_rights_and_advice, ANON_PRIVATE),
	SCENARIO("the old place stays", "M3", the_old_place_stays, ANON_PRIVATE),
	SCENARIO("a reference and a move", "M3", a_reference_and_a_move, ANON_PRIVATE),
	SCENARIO("a reference and a move, shared memory", "M3", a_reference_and_a_move, ANON_SHARED),
	SCENARIO("a copy to where it moved", "M3 P14", a_copy_to_where_it_moved, ANON_PRIVATE),
	SCENARIO("rights change under a reference", "W14 W11", rights_change_under_a_reference, ANON_PRIVATE),
	SCENARIO("no rights at all under a pin", "M4 K2 V9", no_rights_at_all_under_a_pin, ANON_PRIVATE),
	SCENARIO("populate under a pin", "M13 F14", populate_under_a_pin, ANON_PRIVATE),
	SCENARIO("populate under a pin, shared memory", "M13 F14", populate_under_a_pin, ANON_SHARED),
	SCENARIO("dontneed of a part of what is pinned", "M2", dontneed_of_a_part_of_what_is_pinned, ANON_PRIVATE),
	SCENARIO("dontneed of a part of what is pinned, shared memory", "M2",
	         dontneed_of_a_part_of_what_is_pinned, ANON_SHARED),
	SCENARIO("willneed of anything", "F14", willneed_of_anything, ANON_PRIVATE),
	SCENARIO("willneed of anything, a private file", "F14", willneed_of_anything, FILE_PRIVATE),
	SCENARIO("willneed of anything, a shared file", "F14", willneed_of_anything, FILE_SHARED),
	SCENARIO("huge page advice of small memory", "H1", huge_page_advice_of_small_memory, ANON_PRIVATE),
	SCENARIO("a pin of untouched memory is a page of its own", "U4 W13 Z4",
	         a_pin_of_untouched_memory_is_a_page_of_its_own, ANON_PRIVATE),
	SCENARIO("direct io from untouched memory", "Z4 U4 W13",
	         direct_io_from_untouched_memory, ANON_PRIVATE, .direct = true),
	SCENARIO("the zero page after populate", "F14 F5 W13", the_zero_page_after_populate, ANON_PRIVATE),
	SCENARIO("the zero page moves", "M3 Z4", the_zero_page_moves, ANON_PRIVATE),
	SCENARIO("force store keeps the page of a pin", "W3 M4", force_store_keeps_the_page_of_a_pin, ANON_PRIVATE),
	SCENARIO("force reads without rights", "V9", force_reads_without_rights, ANON_PRIVATE),
	SCENARIO("force store to untouched read only memory", "W3 W6 W13",
	         force_store_to_untouched_read_only_memory, ANON_PRIVATE),
	SCENARIO("force store where there are no rights", "W3 V9",
	         force_store_where_there_are_no_rights, ANON_PRIVATE),
	SCENARIO("force store where there are no rights, a private file", "W3 V9",
	         force_store_where_there_are_no_rights, FILE_PRIVATE),
	SCENARIO("force store beside a child that ends", "W3 W10", force_store_beside_a_child_that_ends, ANON_PRIVATE),
};

ORACLE_MAIN(table, false)
