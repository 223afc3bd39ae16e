/* SPDX-License-Identifier: MIT */
/*
 * private_test.c - the table of scenarios: private mappings of files: pins, references and direct I/O, before and after
 * the first store, and several mappings of one file seen through each other.
 */
#include "table.h"

#define LAST (FIRST_PAGES - 1)

static void say_file(struct side *s, unsigned n)
{
	say(s, "file");
	for (unsigned p = 0; p < n; p++)
		say(s, " %ld", file_load(s, p));
	say(s, "; ");
}

/* ---- stores and the file ------------------------------------------------------------------------ */

static void a_store_does_not_reach_the_file(struct side *s)
{
	store(s, P, 0, 50);
	act(s, P, STORE, PG + 100, .arg = 51);
	say_pages(s, P, 3);
	say_file(s, 3);
	advise(s, P, 0, 2, MADV_DONTNEED);
	say_pages(s, P, 3);
	say(s, "%ld ", act(s, P, LOAD, PG + 100));
}

static void the_file_shows_until_the_first_store(struct side *s)
{
	say(s, "%ld ", load(s, P, 0));
	file_store(s, 0, 60);
	say(s, "%ld ", load(s, P, 0));
	store(s, P, 0, 50);
	file_store(s, 0, 61);
	say(s, "%ld ", load(s, P, 0));
	file_store(s, 1, 62);
	say(s, "%ld ", load(s, P, 1));
	act(s, P, STORE, PG + 9, .arg = 1);
	say(s, "%ld ", load(s, P, 1));
	file_store(s, 1, 63);
	say(s, "%ld ", load(s, P, 1));
}

static void a_copy_by_the_kernel_breaks_the_sharing_only_when_it_writes(struct side *s)
{
	say(s, "%lx ", copy_from(s, P, 0, 3 * PG));
	file_store(s, 0, 60);
	say(s, "%ld ", load(s, P, 0));
	say(s, "%ld ", copy_to(s, P, 10, PG, 70));
	file_store(s, 0, 61);
	file_store(s, 1, 62);
	file_store(s, 2, 63);
	say_pages(s, P, 3);
	say_file(s, 3);
}

static void private_and_shared_mappings_of_a_file(struct side *s)
{
	say(s, "%ld ", map_its_file(s, P, 32, FIRST_PAGES, MAP_SHARED, 0));
	say_same(s, "before", frame(s, P, 0), frame(s, P, 32));
	store(s, P, 32, 60);
	say(s, "%ld ", load(s, P, 0));
	store(s, P, 0, 61);
	say_same(s, "after", frame(s, P, 0), frame(s, P, 32));
	store(s, P, 32, 62);
	say(s, "%ld %ld %ld ", load(s, P, 0), load(s, P, 32), file_load(s, 0));
}

static void two_private_mappings_of_a_file(struct side *s)
{
	say(s, "%ld ", map_its_file(s, P, 32, 4, MAP_PRIVATE, 1));
	store(s, P, 1, 50);
	say(s, "%ld ", load(s, P, 32));
	store(s, P, 32, 51);
	file_store(s, 2, 60);
	say(s, "%ld %ld %ld %ld ", load(s, P, 1), load(s, P, 32), load(s, P, 2), load(s, P, 33));
	say_same(s, "both still the file's", frame(s, P, 2), frame(s, P, 33));
}

static void the_file_is_mapped_again_over_it(struct side *s)
{
	store(s, P, 0, 50);
	store(s, P, 1, 51);
	say(s, "%ld ", map_its_file(s, P, 1, 2, MAP_PRIVATE, 4));
	say_pages(s, P, 4);
	file_store(s, 4, 60);
	say_pages(s, P, 4);
}

static void it_moves_and_keeps_its_copies(struct side *s)
{
	store(s, P, 1, 50);
	say(s, "%ld ", move(s, P, 0, 4, 40));
	file_store(s, 0, 60);
	file_store(s, 1, 61);
	say(s, "%ld %ld %ld %ld ", load(s, P, 40), load(s, P, 41), load(s, P, 42), load(s, P, 0));
	advise(s, P, 40, 4, MADV_DONTNEED);
	say(s, "%ld %ld ", load(s, P, 40), load(s, P, 41));
}

static void it_grows_to_the_end_and_beyond(struct side *s)
{
	unmap(s, P, 4, 20);
	say(s, "%ld ", resize(s, P, 0, 4, 9));
	say(s, "%ld %ld ", load(s, P, LAST), load(s, P, FIRST_PAGES));
	store(s, P, LAST, 50);
	say(s, "%ld %ld ", load(s, P, LAST), file_load(s, LAST));
}

static void copies_at_the_end(struct side *s)
{
	say(s, "%lx ", copy_from(s, P, LAST * PG + 1, 2 * PG));
	say(s, "%ld ", copy_to(s, P, LAST * PG + 1, 2 * PG, 70));
	say(s, "%ld ", copy_from(s, P, FIRST_PAGES * PG, 1));
	say(s, "%ld ", copy_to(s, P, FIRST_PAGES * PG, 1, 1));
	say(s, "%lx ", copy_from(s, P, LAST * PG, PG));
	say_file(s, 1);
}

static void pins_at_the_end(struct side *s)
{
	say(s, "%ld ", pin_pages(s, P, LAST, 2));
	say(s, "%ld ", pin(s, P, FIRST_PAGES));
	say(s, "%ld ", pin(s, P, LAST));
	store(s, P, LAST, 50);
	say(s, "dev %ld; ", device(s, P));
	unpin(s, P);
	say(s, "%ld ", refer(s, P, FIRST_PAGES));
}

/* ---- pins and references ------------------------------------------------------------------------ */

static void a_pin_after_a_store(struct side *s)
{
	long a;

	store(s, P, 0, 50);
	a = frame(s, P, 0);
	say(s, "%ld ", pin(s, P, 0));
	say_same(s, "page", frame(s, P, 0), a);
	device_writes(s, P, 51);
	say_pages(s, P, 2);
	say_file(s, 2);
	unpin(s, P);
}

static void a_pin_of_pages_some_of_which_are_copies(struct side *s)
{
	store(s, P, 1, 50);
	say(s, "%ld ", pin_pages(s, P, 0, 4));
	for (unsigned p = 0; p < 4; p++)
		file_store(s, p, 60 + (int)p);
	say_pages(s, P, 5);
	for (unsigned p = 0; p < 4; p++)
		device_writes_page(s, P, p, 70 + (int)p);
	say_pages(s, P, 5);
	say_file(s, 5);
	unpin(s, P);
}

static void a_reference_to_the_files_page(struct side *s)
{
	say(s, "%ld ", refer(s, P, 0));
	file_store(s, 0, 60);
	store(s, P, 0, 50);
	say(s, "%ld ", referred(s, P));
	say_pages(s, P, 1);
}

static void a_reference_to_a_copy(struct side *s)
{
	store(s, P, 0, 50);
	say(s, "%ld ", refer(s, P, 0));
	file_store(s, 0, 60);
	store(s, P, 0, 51);
	say(s, "%ld ", referred(s, P));
}

static void a_pin_of_a_read_only_mapping(struct side *s)
{
	protect(s, P, 0, 4, PROT_READ);
	say(s, "%ld ", pin(s, P, 0));
	protect(s, P, 0, 4, RW);
	say(s, "%ld ", pin(s, P, 0));
	protect(s, P, 0, 4, PROT_READ);
	device_writes(s, P, 50);
	file_store(s, 0, 60);
	say_pages(s, P, 2);
	unpin(s, P);
}

static void dontneed_under_a_pin_shows_the_file(struct side *s)
{
	say(s, "%ld ", pin(s, P, 0));
	device_writes(s, P, 50);
	advise(s, P, 0, 1, MADV_DONTNEED);
	say_pages(s, P, 1);
	file_store(s, 0, 60);
	say_pages(s, P, 1);
	say(s, "dev %ld; ", device(s, P));
	store(s, P, 0, 51);
	say(s, "dev %ld; ", device(s, P));
	unpin(s, P);
}

static void direct_io_with_a_private_file(struct side *s)
{
	long a = (load(s, P, 1), frame(s, P, 1));

	say(s, "%ld ", act(s, P, DIRECT_READ));
	say(s, "%ld ", act(s, P, DIRECT_WRITE, PG));
	say_same(s, "written from", frame(s, P, 1), a);
	file_store(s, 0, 60);
	file_store(s, 1, 61);
	say_pages(s, P, 2);
	say_file(s, 2);
}

static void a_pinned_copy_and_a_shared_mapping(struct side *s)
{
	map_its_file(s, P, 32, FIRST_PAGES, MAP_SHARED, 0);
	say(s, "%ld ", pin(s, P, 0));
	device_writes(s, P, 50);
	say(s, "%ld %ld ", load(s, P, 0), load(s, P, 32));
	store(s, P, 32, 60);
	say(s, "dev %ld; %ld ", device(s, P), load(s, P, 0));
	unpin(s, P);
}

/* ---- forks -------------------------------------------------------------------------------------- */

static void copies_are_shared_and_pages_are_the_files(struct side *s)
{
	store(s, P, 0, 50);
	load(s, P, 1);
	split(s);
	say_same(s, "copy", frame(s, C, 0), frame(s, P, 0));
	say_same(s, "file's", frame(s, C, 1), frame(s, P, 1));
	store(s, C, 0, 51);
	store(s, C, 1, 52);
	file_store(s, 1, 60);
	say_pages(s, P, 3);
	say_pages(s, C, 3);
}

static void the_child_reads_what_the_parent_never_did(struct side *s)
{
	split(s);
	file_store(s, 3, 60);
	say_pages(s, C, 5);
	store(s, P, 3, 50);
	say_pages(s, C, 5);
	say_same(s, "page", frame(s, C, 4), frame(s, P, 4));
}

static void a_pinned_copy_beside_a_child(struct side *s)
{
	say(s, "%ld ", pin_pages(s, P, 0, 2));
	split(s);
	say_same(s, "pinned", frame(s, C, 0), frame(s, P, 0));
	say_same(s, "not pinned", frame(s, C, 2), frame(s, P, 2));
	file_store(s, 0, 60);
	device_writes(s, P, 50);
	advise(s, C, 0, 1, MADV_DONTNEED);
	say_pages(s, P, 2);
	say_pages(s, C, 2);
	unpin(s, P);
}

static void the_child_pins_what_the_parent_copied(struct side *s)
{
	store(s, P, 0, 50);
	split(s);
	say(s, "%ld ", pin(s, C, 0));
	store(s, P, 0, 51);
	device_writes(s, C, 52);
	say_pages(s, P, 1);
	say_pages(s, C, 1);
	say_file(s, 1);
	unpin(s, C);
}

static void a_copy_goes_with_its_last_user(struct side *s)
{
	store(s, P, 0, 50);
	split(s);
	advise(s, P, 0, 1, MADV_DONTNEED);
	say(s, "%ld %ld ", load(s, P, 0), load(s, C, 0));
	finish(s);
	say(s, "%ld ", load(s, P, 0));
}

static void populate_and_the_file(struct side *s)
{
	say(s, "%ld ", advise(s, P, 0, 2, MADV_POPULATE_READ));
	say(s, "%ld ", advise(s, P, 1, 2, MADV_POPULATE_WRITE));
	for (unsigned p = 0; p < 4; p++)
		file_store(s, p, 60 + (int)p);
	say_pages(s, P, 4);
	say(s, "%ld ", act(s, P, MAP, 32 * PG, 3 * PG, RW, 0, MAP_PRIVATE | MAP_FIXED | MAP_POPULATE));
	file_store(s, 0, 70);
	say(s, "%ld ", load(s, P, 32));
	say(s, "%ld ", act(s, P, MAP, 40 * PG, 3 * PG, PROT_READ, 0, MAP_PRIVATE | MAP_FIXED | MAP_POPULATE));
	file_store(s, 0, 71);
	say(s, "%ld ", load(s, P, 40));
}

static void no_rights_at_first(struct side *s)
{
	act(s, P, MAP, 32 * PG, 4 * PG, PROT_NONE, 0, MAP_PRIVATE | MAP_FIXED);
	say(s, "%ld ", load(s, P, 32));
	say(s, "%ld ", act(s, P, FORCE_LOAD, 32 * PG));
	say(s, "%ld ", act(s, P, FORCE_STORE, 33 * PG, .arg = 80));
	say(s, "%ld ", protect(s, P, 32, 4, PROT_READ));
	say(s, "%ld %ld ", load(s, P, 32), load(s, P, 33));
	say_file(s, 2);
}

static void force_store_at_the_end(struct side *s)
{
	protect(s, P, 0, FIRST_PAGES + 2, PROT_READ);
	say(s, "%ld ", act(s, P, FORCE_STORE, LAST * PG, .arg = 80));
	say(s, "%ld ", act(s, P, FORCE_STORE, FIRST_PAGES * PG, .arg = 81));
	say(s, "%ld ", act(s, P, FORCE_LOAD, FIRST_PAGES * PG));
	say(s, "%ld %ld ", load(s, P, LAST), file_load(s, LAST));
}

static const struct scenario table[] = {
	SCENARIO("a store does not reach the file", "M2 W10", a_store_does_not_reach_the_file, FILE_PRIVATE),
	SCENARIO("the file shows until the first store", "K8 W10", the_file_shows_until_the_first_store, FILE_PRIVATE),
	SCENARIO("a copy by the kernel breaks the sharing only when it writes", "U4 W10",
	         a_copy_by_the_kernel_breaks_the_sharing_only_when_it_writes, FILE_PRIVATE),
	SCENARIO("private and shared mappings of a file", "U4 W10",
	         private_and_shared_mappings_of_a_file, FILE_PRIVATE),
	SCENARIO("two private mappings of a file", "W10", two_private_mappings_of_a_file, FILE_PRIVATE),
	SCENARIO("the file is mapped again over it", "M1", the_file_is_mapped_again_over_it, FILE_PRIVATE),
	SCENARIO("it moves and keeps its copies", "M3 M2", it_moves_and_keeps_its_copies, FILE_PRIVATE),
	SCENARIO("it grows to the end and beyond", "M3 P9", it_grows_to_the_end_and_beyond, FILE_PRIVATE),
	SCENARIO("copies at the end", "P9 P14", copies_at_the_end, FILE_PRIVATE),
	SCENARIO("pins at the end", "P9 P13", pins_at_the_end, FILE_PRIVATE),
	SCENARIO("a pin after a store", "U1 T20", a_pin_after_a_store, FILE_PRIVATE),
	SCENARIO("a pin of pages some of which are copies", "U4 U6 T20",
	         a_pin_of_pages_some_of_which_are_copies, FILE_PRIVATE),
	SCENARIO("a reference to the file's page", "U4 U2", a_reference_to_the_files_page, FILE_PRIVATE),
	SCENARIO("a reference to a copy", "W11", a_reference_to_a_copy, FILE_PRIVATE),
	SCENARIO("a pin of a read only mapping", "V4 M4 T20", a_pin_of_a_read_only_mapping, FILE_PRIVATE),
	SCENARIO("dontneed under a pin shows the file", "M2", dontneed_under_a_pin_shows_the_file, FILE_PRIVATE),
	SCENARIO("direct io with a private file", "U4 W10",
	         direct_io_with_a_private_file, FILE_PRIVATE, .direct = true),
	SCENARIO("a pinned copy and a shared mapping", "U6", a_pinned_copy_and_a_shared_mapping, FILE_PRIVATE),
	SCENARIO("copies are shared and pages are the file's", "K5 K8",
	         copies_are_shared_and_pages_are_the_files, FILE_PRIVATE),
	SCENARIO("the child reads what the parent never did", "K9 K8",
	         the_child_reads_what_the_parent_never_did, FILE_PRIVATE),
	SCENARIO("a pinned copy beside a child", "K2 U6", a_pinned_copy_beside_a_child, FILE_PRIVATE),
	SCENARIO("the child pins what the parent copied", "U1 K5",
	         the_child_pins_what_the_parent_copied, FILE_PRIVATE),
	SCENARIO("a copy goes with its last user", "M2 M14", a_copy_goes_with_its_last_user, FILE_PRIVATE),
	SCENARIO("populate and the file", "F12 F13 F14", populate_and_the_file, FILE_PRIVATE),
	SCENARIO("no rights at first", "V9 W5", no_rights_at_first, FILE_PRIVATE),
	SCENARIO("force store at the end", "W5 P9", force_store_at_the_end, FILE_PRIVATE),
};

ORACLE_MAIN(table, true)
