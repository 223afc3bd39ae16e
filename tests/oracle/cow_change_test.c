/* SPDX-License-Identifier: MIT */
/*
 * cow_change_test.c - the table of scenarios: what happens to memory beside pins and forks: unmapped, moved, protected,
 * populated, written to by FORCE; private files; folios.
 */
#include "table.h"

/* ---- changes under a pin ------------------------------------------------------------------------ */

static void dontneed_under_a_pin(struct side *s)
{
	long a;

	fill_first(s);
	say(s, "%ld ", pin(s, P, 0));
	a = frame(s, P, 0);
	advise(s, P, 0, 2, MADV_DONTNEED);
	say(s, "dev %ld; ", device(s, P));
	say_pages(s, P, 3);
	store(s, P, 0, 50);
	device_writes(s, P, 51);
	say_pages(s, P, 3);
	say_same(s, "page", frame(s, P, 0), a);
	unpin(s, P);
}

static void munmap_under_a_pin(struct side *s)
{
	fill_first(s);
	say(s, "%ld ", pin(s, P, 1));
	say(s, "%ld ", unmap(s, P, 1, 1));
	device_writes(s, P, 51);
	say(s, "dev %ld; ", device(s, P));
	say_pages(s, P, 3);
	unpin(s, P);
}

static void mremap_under_a_pin(struct side *s)
{
	long a;

	fill_first(s);
	say(s, "%ld ", pin(s, P, 1));
	a = frame(s, P, 1);
	say(s, "%ld ", move(s, P, 1, 1, 70));
	device_writes(s, P, 51);
	say(s, "%ld ", load(s, P, 70));
	store(s, P, 70, 52);
	say(s, "dev %ld; ", device(s, P));
	say_same(s, "page", frame(s, P, 70), a);
	say_pages(s, P, 3);
	unpin(s, P);
}

static void mprotect_under_a_pin(struct side *s)
{
	long a;

	fill_first(s);
	say(s, "%ld ", pin(s, P, 0));
	a = frame(s, P, 0);
	protect(s, P, 0, 2, PROT_READ);
	device_writes(s, P, 51);
	say(s, "%ld %ld ", store(s, P, 0, 9), load(s, P, 0));
	protect(s, P, 0, 2, PROT_READ | PROT_WRITE);
	store(s, P, 0, 52);
	say(s, "dev %ld; ", device(s, P));
	say_same(s, "page", frame(s, P, 0), a);
	unpin(s, P);
}

/* ---- the zero page, populate -------------------------------------------------------------------- */

/* Untouched memory, read, pinned, written. */
static void untouched_memory(struct side *s)
{
	say(s, "%ld %ld ", load(s, P, 0), load(s, P, 1));
	say_same(s, "two untouched pages", frame(s, P, 0), frame(s, P, 1));
	say(s, "%ld ", refer(s, P, 0));
	store(s, P, 0, 50);
	say(s, "%ld ", referred(s, P));
	say(s, "%ld ", pin(s, P, 1));
	store(s, P, 1, 51);
	say(s, "dev %ld; ", device(s, P));
	split(s);
	say(s, "%ld ", load(s, C, 2));
	store(s, C, 2, 52);
	say_pages(s, P, 4);
	say_pages(s, C, 4);
	unpin(s, P);
}

static void populate_beside_a_fork(struct side *s)
{
	long a;

	fill_first(s);
	split(s);
	a = frame(s, P, 0);
	say(s, "%ld ", advise(s, P, 0, 8, MADV_POPULATE_READ));
	say_same(s, "read", frame(s, P, 0), a);
	say(s, "%ld ", advise(s, P, 0, 8, MADV_POPULATE_WRITE));
	say_same(s, "written", frame(s, P, 0), a);
	say_same(s, "child", frame(s, C, 0), a);
	say_pages(s, P, 5);
	say_pages(s, C, 5);
	protect(s, P, 4, 2, PROT_READ);
	protect(s, P, 6, 1, PROT_NONE);
	say(s, "%ld %ld ", advise(s, P, 3, 2, MADV_POPULATE_WRITE), advise(s, P, 6, 1, MADV_POPULATE_READ));
	unmap(s, P, 7, 1);
	say(s, "%ld ", advise(s, P, 7, 1, MADV_POPULATE_READ));
}

/* ---- FORCE -------------------------------------------------------------------------------------- */

static void force_writes_private_memory(struct side *s)
{
	fill_first(s);
	protect(s, P, 0, 3, PROT_READ);
	protect(s, P, 1, 1, PROT_NONE);
	split(s);
	for (unsigned p = 0; p < 3; p++)
		say(s, "%ld ", act(s, C, FORCE_STORE, p * PG, 0, 80 + (int)p));
	say(s, "%ld %ld ", load(s, C, 0), store(s, C, 0, 9));
	protect(s, C, 0, 3, PROT_READ | PROT_WRITE);
	protect(s, P, 0, 3, PROT_READ | PROT_WRITE);
	say_pages(s, C, 4);
	say_pages(s, P, 4);
	store(s, C, 2, 90);
	say_pages(s, C, 4);
}

static void force_does_not_write_shared_memory(struct side *s)
{
	fill_first(s);
	protect(s, P, 0, 2, PROT_READ);
	say(s, "%s ", act(s, P, FORCE_STORE, 0, 0, 80) ? "refused" : "written");
	say_pages(s, P, 2);
}

/* ---- private mappings of files ------------------------------------------------------------------ */

static void a_private_file(struct side *s)
{
	say_pages(s, P, 4);
	store(s, P, 0, 50);
	split(s);
	file_store(s, 0, 60);
	file_store(s, 1, 61);
	store(s, C, 2, 52);
	file_store(s, 2, 62);
	say_pages(s, P, 4);
	say_pages(s, C, 4);
	advise(s, P, 0, 4, MADV_DONTNEED);
	say_pages(s, P, 4);
	say(s, "file %ld,%ld,%ld; ", file_load(s, 0), file_load(s, 1), file_load(s, 2));
}

/* A long-term pin of a private mapping has a copy, and stays with the process. */
static void a_pin_of_a_private_file(struct side *s)
{
	say(s, "%ld ", load(s, P, 1));
	say(s, "%ld ", pin(s, P, 1));
	file_store(s, 1, 60);
	say(s, "dev %ld; ", device(s, P));
	store(s, P, 1, 50);
	say(s, "dev %ld; ", device(s, P));
	device_writes(s, P, 51);
	split(s);
	device_writes(s, P, 53);
	say_pages(s, P, 3);
	say_pages(s, C, 3);
	say(s, "file %ld; ", file_load(s, 1));
	unpin(s, P);
}

static void force_writes_a_private_file(struct side *s)
{
	protect(s, P, 0, 4, PROT_READ);
	say_pages(s, P, 2);
	say(s, "%ld %ld ", act(s, P, FORCE_STORE, 0, 0, 80), store(s, P, 0, 9));
	say_pages(s, P, 2);
	protect(s, P, 0, 4, PROT_READ | PROT_WRITE);
	store(s, P, 1, 81);
	say_pages(s, P, 3);
	say(s, "file %ld,%ld; ", file_load(s, 0), file_load(s, 1));
}

static void the_end_of_a_private_file(struct side *s)
{
	say(s, "%ld %ld ", load(s, P, FIRST_PAGES - 1), load(s, P, FIRST_PAGES));
	say(s, "%ld %ld ", store(s, P, FIRST_PAGES, 1), store(s, P, FIRST_PAGES - 1, 1));
	say(s, "%ld ", pin(s, P, FIRST_PAGES) ? -1l : 0l);
}

/* ---- folios ------------------------------------------------------------------------------------- */

/* Linux copies all of a folio that is pinned in one page; here the others are shared. */
static void one_page_of_a_folio_is_pinned(struct side *s)
{
	advise(s, P, 0, 512, MADV_POPULATE_WRITE);
	say(s, "%ld ", pin(s, P, 100));
	device_writes(s, P, 50);
	split(s);
	say_same(s, "pinned", frame(s, C, 100), frame(s, P, 100));
	say_same(s, "another", frame(s, C, 300), frame(s, P, 300));
	store(s, P, 100, 51);
	say(s, "dev %ld; %ld %ld ", device(s, P), load(s, C, 100), load(s, C, 101));
	unpin(s, P);
}

static const struct scenario table[] = {
	SCENARIO("dontneed under a pin, private memory", "M2", dontneed_under_a_pin, ANON_PRIVATE),
	SCENARIO("dontneed under a pin, a private file", "M2", dontneed_under_a_pin, FILE_PRIVATE),
	SCENARIO("munmap under a pin, private memory", "M1", munmap_under_a_pin, ANON_PRIVATE),
	SCENARIO("munmap under a pin, shared memory", "M1", munmap_under_a_pin, ANON_SHARED),
	SCENARIO("mremap under a pin, private memory", "M3", mremap_under_a_pin, ANON_PRIVATE),
	SCENARIO("mremap under a pin, shared memory", "M3", mremap_under_a_pin, ANON_SHARED),
	SCENARIO("mremap under a pin, a private file", "M3", mremap_under_a_pin, FILE_PRIVATE),
	SCENARIO("mprotect under a pin, private memory", "M4 W14", mprotect_under_a_pin, ANON_PRIVATE),
	SCENARIO("mprotect under a pin, shared memory", "M4 W14", mprotect_under_a_pin, ANON_SHARED),
	SCENARIO("untouched memory", "Z4 W13 U4", untouched_memory, ANON_PRIVATE),
	SCENARIO("populate beside a fork, private memory", "F14", populate_beside_a_fork, ANON_PRIVATE),
	SCENARIO("populate beside a fork, a private file", "F14", populate_beside_a_fork, FILE_PRIVATE),
	SCENARIO("force writes private memory, private memory", "W3 W5 W6", force_writes_private_memory, ANON_PRIVATE),
	SCENARIO("force writes private memory, a private file", "W3 W5 W6", force_writes_private_memory, FILE_PRIVATE),
	SCENARIO("force does not write shared memory", "V5", force_does_not_write_shared_memory, ANON_SHARED),
	SCENARIO("a private file", "K8 M2", a_private_file, FILE_PRIVATE),
	SCENARIO("a pin of a private file", "U4 U6 T20", a_pin_of_a_private_file, FILE_PRIVATE),
	SCENARIO("force writes a private file", "W5 W6", force_writes_a_private_file, FILE_PRIVATE),
	SCENARIO("the end of a private file", "P9", the_end_of_a_private_file, FILE_PRIVATE),
	SCENARIO("one page of a folio is pinned", "K6",
	         one_page_of_a_folio_is_pinned, HUGE_PRIVATE,
	         PAGES_DIFFER("K6", "pinned other; another other; ", "pinned other; another same; ")),
};

ORACLE_MAIN(table, true)
