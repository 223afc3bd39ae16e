/* SPDX-License-Identifier: MIT */
/* shared_test.c - the table of scenarios: shared mappings of files, of memory files and of memory without a file. */
#include "table.h"

#define END (FIRST_PAGES * PG)

/* ---- copies and touches ------------------------------------------------------------------------- */

static void reads_across_the_end(struct side *s)
{
	const struct { unsigned long off, len; } t[] = {
		{ 0, 10 }, { END - PG, PG }, { END - PG + 100, 2 * PG }, { END - 2 * PG, 4 * PG }, { END, 1 },
		{ END - 1, 2 }, { 0, END + 2 * PG },
	};

	for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		say(s, "%ld ", copy_from(s, P, t[i].off, t[i].len));
}

static void writes_across_the_end(struct side *s)
{
	say(s, "%ld ", copy_to(s, P, END - PG, 2 * PG, 7));
	say(s, "%ld ", copy_to(s, P, END, PG, 7));
	say(s, "%ld ", copy_to(s, P, END - 2 * PG + 5, 3 * PG, 7));
	say(s, "%ld ", copy_from(s, P, END - PG, 10));
}

static void say_rights(struct side *s, unsigned p)
{
	say(s, "%ld ", copy_from(s, P, p * PG, 1));
	say(s, "%ld ", copy_to(s, P, p * PG, 1, 3));
	say(s, "%ld ", load(s, P, p));
	say(s, "%ld ", store(s, P, p, 4));
}

/* Of pages that were touched before and of one that was not. */
static void rights(struct side *s)
{
	const int prots[] = { PROT_READ, PROT_NONE, RW };

	say(s, "%ld %ld ", load(s, P, 0), store(s, P, 0, 1));
	for (int i = 0; i < 3; i++) {
		say(s, "[%ld ", protect(s, P, 0, FIRST_PAGES, prots[i]));
		say_rights(s, 0);
		say_rights(s, 2);
		say(s, "] ");
	}
}

static void touches_beyond_the_end(struct side *s)
{
	say(s, "%ld %ld ", load(s, P, FIRST_PAGES - 1), act(s, P, STORE, END - 1, .arg = 1));
	say(s, "%ld %ld ", load(s, P, FIRST_PAGES), store(s, P, FIRST_PAGES + 1, 1));
	say(s, "%ld ", refer(s, P, FIRST_PAGES));
}

static void bad_ranges(struct side *s)
{
	say(s, "%ld ", act(s, P, ADVISE, 100, PG, MADV_DONTNEED));
	say(s, "%ld ", act(s, P, ADVISE, 0, ~0ul - PG, MADV_DONTNEED));
	say(s, "%ld ", act(s, P, ADVISE, 0, PG, 77));
}

/* ---- changes under a reference or pin ----------------------------------------------------------- */

static void dontneed_under_a_reference(struct side *s)
{
	say(s, "%ld ", store(s, P, 3, 99));
	say(s, "%ld ", refer(s, P, 3));
	say(s, "%ld ", advise(s, P, 0, FIRST_PAGES, MADV_DONTNEED));
	say(s, "%ld ", load(s, P, 3));
	say(s, "%ld ", store(s, P, 3, 98));
	say(s, "%ld ", referred(s, P)); /* holder and mapping are one page */
	say(s, "%ld ", act(s, P, ADVISE, 1, PG, MADV_DONTNEED));
	say(s, "%ld ", advise(s, P, 2, 1, MADV_WILLNEED));
}

static void munmap_under_a_reference(struct side *s)
{
	store(s, P, 2, 55);
	say(s, "%ld ", refer(s, P, 2));
	say(s, "%ld ", unmap(s, P, 0, FIRST_PAGES));
	say(s, "%ld ", map_its_file(s, P, 0, FIRST_PAGES, MAP_SHARED, 0));
	say(s, "%ld ", load(s, P, 2));
	store(s, P, 2, 56);
	say(s, "%ld ", referred(s, P));
}

static void mprotect_under_a_reference(struct side *s)
{
	store(s, P, 5, 77);
	say(s, "%ld ", refer(s, P, 5));
	say(s, "%ld ", protect(s, P, 0, FIRST_PAGES, PROT_NONE));
	say(s, "%ld ", referred(s, P));
	say(s, "%ld ", refer(s, P, 5));
	say(s, "%ld ", protect(s, P, 0, FIRST_PAGES, RW));
	say(s, "%ld ", load(s, P, 5));
}

static void a_long_write_pin(struct side *s)
{
	say(s, "%ld ", pin(s, P, 1));
	say(s, "%ld ", load(s, P, 1));
}

static void a_long_write_pin_of_a_file_that_is_read_only_here(struct side *s)
{
	protect(s, P, 0, FIRST_PAGES, PROT_READ);
	say(s, "%ld ", pin(s, P, 1));
}

static void a_device_writes_to_shared_pages(struct side *s)
{
	fill_first(s);
	say(s, "%ld ", pin_pages(s, P, 1, 2));
	device_writes_page(s, P, 0, 40);
	device_writes_page(s, P, 1, 41);
	say_pages(s, P, 4);
	store(s, P, 2, 42);
	say(s, "dev %ld %ld; ", device_page(s, P, 0), device_page(s, P, 1));
	advise(s, P, 0, 4, MADV_DONTNEED);
	say_pages(s, P, 4);
	unpin(s, P);
}

static void a_device_and_a_child(struct side *s)
{
	fill_first(s);
	say(s, "%ld ", pin(s, P, 0));
	split(s);
	device_writes(s, P, 40);
	say_pages(s, C, 2);
	store(s, C, 0, 41);
	say(s, "dev %ld; ", device(s, P));
	say_same(s, "page", frame(s, C, 0), frame(s, P, 0));
	unmap(s, P, 0, 1);
	device_writes(s, P, 43);
	say_pages(s, C, 2);
	unpin(s, P);
}

static void a_device_of_the_child(struct side *s)
{
	fill_first(s);
	split(s);
	say(s, "%ld ", pin(s, C, 1));
	store(s, P, 1, 50);
	say(s, "dev %ld; ", device(s, C));
	device_writes(s, C, 51);
	say_pages(s, P, 3);
	unpin(s, C);
}

static void direct_io_of_shared_pages(struct side *s)
{
	say(s, "%ld ", act(s, P, DIRECT_READ, PG));
	say(s, "%ld ", act(s, P, DIRECT_WRITE, 2 * PG));
	say_pages(s, P, 4);
	if (s->memory != ANON_SHARED)
		say(s, "file %ld; ", file_load(s, 1));
	protect(s, P, 0, 4, PROT_READ);
	say(s, "%ld ", act(s, P, DIRECT_READ, PG));
	say(s, "%ld ", act(s, P, DIRECT_WRITE, PG));
}

/* ---- several mappings of one file --------------------------------------------------------------- */

static void two_mappings_are_one_memory(struct side *s)
{
	say(s, "%ld ", map_its_file(s, P, 32, 4, MAP_SHARED, 2));
	store(s, P, 2, 60);
	store(s, P, 33, 61);
	say(s, "%ld %ld %ld ", load(s, P, 32), load(s, P, 3), file_load(s, 3));
	say_same(s, "two mappings", frame(s, P, 33), frame(s, P, 3));
	file_store(s, 4, 62);
	say(s, "%ld %ld ", load(s, P, 4), load(s, P, 34));
}

static void a_reference_is_seen_through_the_other_mapping(struct side *s)
{
	map_its_file(s, P, 32, FIRST_PAGES, MAP_SHARED, 0);
	store(s, P, 1, 60);
	say(s, "%ld ", refer(s, P, 1));
	unmap(s, P, 0, FIRST_PAGES);
	store(s, P, 33, 61);
	say(s, "%ld ", referred(s, P));
	say(s, "%ld ", load(s, P, 1));
}

static void one_mapping_is_read_only(struct side *s)
{
	map_its_file(s, P, 32, FIRST_PAGES, MAP_SHARED, 0);
	protect(s, P, 32, FIRST_PAGES, PROT_READ);
	store(s, P, 1, 60);
	say(s, "%ld ", load(s, P, 33));
	say(s, "%ld ", store(s, P, 33, 61));
	say(s, "%ld ", copy_to(s, P, 33 * PG, 1, 61));
	say(s, "%ld ", load(s, P, 1));
}

static void dontneed_of_one_mapping(struct side *s)
{
	map_its_file(s, P, 32, FIRST_PAGES, MAP_SHARED, 0);
	store(s, P, 1, 60);
	say(s, "%ld ", advise(s, P, 32, FIRST_PAGES, MADV_DONTNEED));
	say(s, "%ld %ld ", load(s, P, 33), load(s, P, 1));
	say_same(s, "page", frame(s, P, 33), frame(s, P, 1));
}

static void the_mapping_moves(struct side *s)
{
	long a;

	store(s, P, 1, 60);
	a = frame(s, P, 1);
	say(s, "%ld ", move(s, P, 1, 2, 40));
	say(s, "%ld %ld ", load(s, P, 40), load(s, P, 1));
	say_same(s, "page", frame(s, P, 40), a);
	file_store(s, 2, 61);
	say(s, "%ld ", load(s, P, 41));
}

static void the_mapping_grows_and_shrinks(struct side *s)
{
	unmap(s, P, 4, 20);
	say(s, "%ld ", resize(s, P, 0, 4, 6));
	say(s, "%ld %ld ", load(s, P, 5), load(s, P, 6));
	say(s, "%ld ", resize(s, P, 0, 6, 2));
	say(s, "%ld %ld ", load(s, P, 1), load(s, P, 2));
	say(s, "%ld ", resize(s, P, 0, 2, 12));
	say(s, "%ld %ld ", load(s, P, 7), load(s, P, 9));
}

/* ---- forks -------------------------------------------------------------------------------------- */

static void children_share_with_everybody(struct side *s)
{
	fill_first(s);
	split(s);
	split_from(s, C, G);
	store(s, G, 0, 50);
	store(s, C, 1, 51);
	store(s, P, 2, 52);
	say_pages(s, P, 4);
	say_pages(s, C, 4);
	say_pages(s, G, 4);
	say_same(s, "page", frame(s, G, 0), frame(s, P, 0));
}

static void a_child_unmaps(struct side *s)
{
	fill_first(s);
	split(s);
	unmap(s, C, 0, 2);
	protect(s, C, 2, 2, PROT_READ);
	store(s, P, 0, 60);
	say(s, "%ld ", store(s, C, 2, 1));
	say(s, "%ld ", store(s, P, 2, 61));
	say_pages(s, P, 4);
	say_pages(s, C, 4);
}

static void dontfork(struct side *s)
{
	fill_first(s);
	say(s, "%ld ", advise(s, P, 1, 2, MADV_DONTFORK));
	split(s);
	say_pages(s, C, 4);
	say_pages(s, P, 4);
}

/* ---- populate, FORCE ---------------------------------------------------------------------------- */

static void populate(struct side *s)
{
	const int how[] = { MADV_POPULATE_READ, MADV_POPULATE_WRITE };

	for (int i = 0; i < 2; i++) {
		say(s, "%ld ", advise(s, P, 0, FIRST_PAGES, how[i]));
		protect(s, P, 2, 1, PROT_READ);
		protect(s, P, 4, 1, PROT_NONE);
		say(s, "%ld ", advise(s, P, 0, 2, how[i]));
		say(s, "%ld ", advise(s, P, 1, 2, how[i]));
		say(s, "%ld ", advise(s, P, 3, 2, how[i]));
		protect(s, P, 2, 3, RW);
	}
	unmap(s, P, 5, 1);
	for (int i = 0; i < 2; i++)
		say(s, "%ld %ld ", advise(s, P, 5, 1, how[i]), advise(s, P, 4, 4, how[i]));
}

static void populate_beyond_the_end(struct side *s)
{
	say(s, "%ld ", advise(s, P, FIRST_PAGES, 1, MADV_POPULATE_READ));
	say(s, "%ld ", advise(s, P, FIRST_PAGES - 1, 2, MADV_POPULATE_READ));
	say(s, "%ld ", advise(s, P, FIRST_PAGES - 1, 2, MADV_POPULATE_WRITE));
}

static void force_reads_shared_memory(struct side *s)
{
	fill_first(s);
	protect(s, P, 0, 2, PROT_NONE);
	say(s, "%ld %ld ", act(s, P, FORCE_LOAD), act(s, P, FORCE_LOAD, 5 * PG));
	unmap(s, P, 5, 1);
	say(s, "%ld ", act(s, P, FORCE_LOAD, 5 * PG));
}

static void force_writes_where_there_is_the_right(struct side *s)
{
	say(s, "%ld ", act(s, P, FORCE_STORE, 0, .arg = 70));
	say(s, "%ld ", load(s, P, 0));
	protect(s, P, 1, 1, PROT_READ);
	say(s, "%ld ", act(s, P, FORCE_STORE, PG, .arg = 70));
	say(s, "%ld ", load(s, P, 1));
}

static void untouched_shared_memory_has_real_pages(struct side *s)
{
	long a;

	say(s, "%ld %ld ", load(s, P, 4), load(s, P, 5));
	a = frame(s, P, 4);
	say_same(s, "two untouched pages", a, frame(s, P, 5));
	say(s, "%ld ", refer(s, P, 4));
	store(s, P, 4, 44);
	say(s, "%ld ", referred(s, P));
	say_same(s, "after the store", frame(s, P, 4), a);
}

static const struct scenario table[] = {
	SCENARIO("reads across the end of a file are short", "P1 P9 P14", reads_across_the_end, FILE_SHARED),
	SCENARIO("reads across the end of a memory file are short", "P9 P14", reads_across_the_end, MEMFD_SHARED),
	SCENARIO("writes across the end of a file are short", "P9 P14", writes_across_the_end, FILE_SHARED),
	SCENARIO("writes across the end of a memory file are short", "P9 P14", writes_across_the_end, MEMFD_SHARED),
	SCENARIO("rights bind touches and copies of a file", "V4 V9 V11", rights, FILE_SHARED),
	SCENARIO("rights bind touches and copies of shared memory", "V4 V9 V11", rights, ANON_SHARED),
	SCENARIO("touches and references beyond the end fail", "P9 F4", touches_beyond_the_end, FILE_SHARED),
	SCENARIO("advice wants whole pages, a range and a known word", "", bad_ranges, FILE_SHARED),
	SCENARIO("dontneed of a shared file loses nothing", "M2", dontneed_under_a_reference, FILE_SHARED),
	SCENARIO("dontneed of shared memory loses nothing", "M2", dontneed_under_a_reference, ANON_SHARED),
	SCENARIO("a reference outlives munmap and is the file's page", "M1", munmap_under_a_reference, FILE_SHARED),
	SCENARIO("a reference outlives munmap of a memory file", "M1", munmap_under_a_reference, MEMFD_SHARED),
	SCENARIO("a right that goes does not touch a reference", "M4 V9", mprotect_under_a_reference, FILE_SHARED),
	SCENARIO("a long write pin of a file is refused", "V7 T19", a_long_write_pin, FILE_SHARED,
	         .dirty_tracked = true),
	SCENARIO("a long write pin of a memory file is not", "V7 T21", a_device_writes_to_shared_pages, MEMFD_SHARED),
	SCENARIO("a long write pin of shared memory is not refused", "V7 T21 M2", a_device_writes_to_shared_pages,
	         ANON_SHARED),
	SCENARIO("a long write pin of a read-only mapping is refused", "V4 V8",
	         a_long_write_pin_of_a_file_that_is_read_only_here, FILE_SHARED),
	SCENARIO("a long write pin of read-only shared memory is refused", "V4",
	         a_long_write_pin_of_a_file_that_is_read_only_here, ANON_SHARED),
	SCENARIO("a device, parent and child share memory", "K8 M1", a_device_and_a_child, ANON_SHARED),
	SCENARIO("a device, parent and child share a memory file", "K8 M1", a_device_and_a_child, MEMFD_SHARED),
	SCENARIO("a device of the child writes to shared memory", "K8 K16", a_device_of_the_child, ANON_SHARED),
	SCENARIO("direct I/O from and to a shared file", "V4 K8", direct_io_of_shared_pages, FILE_SHARED,
	         .direct = true),
	SCENARIO("direct I/O from and to shared memory", "V4", direct_io_of_shared_pages, ANON_SHARED, .direct = true),
	SCENARIO("two mappings of a file are one memory", "", two_mappings_are_one_memory, FILE_SHARED),
	SCENARIO("two mappings of a memory file are one memory", "", two_mappings_are_one_memory, MEMFD_SHARED),
	SCENARIO("a reference by one mapping sees stores through the other", "M1",
	         a_reference_is_seen_through_the_other_mapping, FILE_SHARED),
	SCENARIO("one mapping of a file is read-only, the other is not", "V4", one_mapping_is_read_only, FILE_SHARED),
	SCENARIO("dontneed of one mapping leaves the other", "M2", dontneed_of_one_mapping, FILE_SHARED),
	SCENARIO("a mapping of a file moves", "M3", the_mapping_moves, FILE_SHARED),
	SCENARIO("a mapping of a file grows and shrinks", "M3 P9", the_mapping_grows_and_shrinks, FILE_SHARED),
	SCENARIO("children share memory with everybody", "K8", children_share_with_everybody, ANON_SHARED),
	SCENARIO("children share a file with everybody", "K8", children_share_with_everybody, FILE_SHARED),
	SCENARIO("rights and mappings of a file are each process's own", "K8 V4", a_child_unmaps, FILE_SHARED),
	SCENARIO("rights and mappings of shared memory are each process's own", "K8 V4", a_child_unmaps, ANON_SHARED),
	SCENARIO("dontfork of shared memory", "K10", dontfork, ANON_SHARED),
	SCENARIO("dontfork of a shared file", "K10", dontfork, FILE_SHARED),
	SCENARIO("populate of a shared file", "F14 V16", populate, FILE_SHARED),
	SCENARIO("populate of shared memory", "F14 V16", populate, ANON_SHARED),
	SCENARIO("populate of private memory", "F14 V16", populate, ANON_PRIVATE),
	SCENARIO("populate of a private file", "F14 V16", populate, FILE_PRIVATE),
	SCENARIO("populate beyond the end of a file", "F14 F4", populate_beyond_the_end, FILE_SHARED),
	SCENARIO("populate beyond the end of a private file", "F14 F4", populate_beyond_the_end, FILE_PRIVATE),
	SCENARIO("force reads shared memory without rights", "V9", force_reads_shared_memory, ANON_SHARED),
	SCENARIO("force reads a shared file without rights", "V9", force_reads_shared_memory, FILE_SHARED),
	SCENARIO("force writes a shared file only where all may", "V5 W4", force_writes_where_there_is_the_right,
	         FILE_SHARED),
	SCENARIO("untouched shared memory has real pages", "Z5", untouched_shared_memory_has_real_pages, ANON_SHARED),
};

ORACLE_MAIN(table, false)
