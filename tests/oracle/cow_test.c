/* SPDX-License-Identifier: MIT */
/* cow_test.c - the table of scenarios: fork, pins and references of a parent and its child. */
#include "table.h"

/* ---- fork --------------------------------------------------------------------------------------- */

static void the_parent_writes_first(struct side *s)
{
	fill_first(s);
	split(s);
	store(s, P, 0, 50);
	store(s, P, 4, 51);
	say_pages(s, P, 6);
	say_pages(s, C, 6);
}

static void the_child_writes_first(struct side *s)
{
	fill_first(s);
	split(s);
	store(s, C, 0, 50);
	store(s, C, 4, 51);
	say_pages(s, C, 6);
	say_pages(s, P, 6);
}

static void both_write(struct side *s)
{
	fill_first(s);
	split(s);
	for (unsigned p = 0; p < 6; p++) {
		store(s, p % 2 ? P : C, p, 60 + (int)p);
		store(s, p % 2 ? C : P, p, 70 + (int)p);
	}
	say_pages(s, C, 6);
	say_pages(s, P, 6);
}

static void unpinned_pages_are_shared(struct side *s)
{
	long a;

	fill_first(s);
	a = frame(s, P, 0);
	split(s);
	say_same(s, "parent", frame(s, P, 0), a);
	say_same(s, "child", frame(s, C, 0), a);
	store(s, C, 0, 9);
	say_same(s, "child after its store", frame(s, C, 0), a);
	say_same(s, "parent", frame(s, P, 0), a);
	say_pages(s, P, 2);
}

static void after_the_childs_end_the_parent_writes_in_place(struct side *s)
{
	long a;

	fill_first(s);
	a = frame(s, P, 0);
	split(s);
	store(s, C, 1, 9);
	finish(s);
	store(s, P, 0, 50);
	say_same(s, "page", frame(s, P, 0), a);
	say_pages(s, P, 4);
}

static void after_the_childs_munmap_the_parent_writes_in_place(struct side *s)
{
	long a;

	fill_first(s);
	a = frame(s, P, 0);
	split(s);
	unmap(s, C, 0, 2);
	store(s, P, 0, 50);
	say_same(s, "page", frame(s, P, 0), a);
	say_pages(s, C, 4);
	say_pages(s, P, 4);
}

static void after_the_parents_dontneed_the_child_writes_in_place(struct side *s)
{
	long a;

	fill_first(s);
	a = frame(s, P, 0);
	split(s);
	advise(s, P, 0, 2, MADV_DONTNEED);
	store(s, C, 0, 50);
	say_same(s, "page", frame(s, C, 0), a);
	say_pages(s, C, 4);
	say_pages(s, P, 4);
}

/* The child moves a page that is shared: the parent does not notice, and it is shared still. */
static void the_child_moves_a_shared_page(struct side *s)
{
	long a;

	fill_first(s);
	a = frame(s, P, 1);
	split(s);
	say(s, "%ld ", move(s, C, 1, 2, 64));
	say_same(s, "moved", frame(s, C, 64), a);
	store(s, C, 64, 40);
	say(s, "%ld %ld %ld; ", load(s, C, 64), load(s, C, 65), load(s, C, 1));
	say_pages(s, P, 4);
}

/* Rights are each side's own; the copy comes with the store, not with the right. */
static void rights_change_beside_a_fork(struct side *s)
{
	fill_first(s);
	protect(s, P, 0, 2, PROT_READ);
	split(s);
	say(s, "%ld %ld; ", store(s, P, 0, 9), store(s, C, 1, 9));
	protect(s, C, 0, 4, PROT_READ | PROT_WRITE);
	say(s, "%ld %ld; ", store(s, C, 0, 20), store(s, P, 0, 9));
	protect(s, P, 0, 8, PROT_NONE);
	say(s, "%ld %ld; ", load(s, P, 0), load(s, C, 2));
	protect(s, P, 0, 8, PROT_READ | PROT_WRITE);
	say_pages(s, P, 5);
	say_pages(s, C, 5);
}

static void dontfork_and_wipeonfork(struct side *s)
{
	fill_first(s);
	say(s, "%ld %ld ", advise(s, P, 1, 1, MADV_DONTFORK), advise(s, P, 2, 1, MADV_WIPEONFORK));
	say(s, "%ld ", pin(s, P, 2));
	split(s);
	say_pages(s, C, 5);
	say(s, "%ld ", store(s, C, 2, 30));
	device_writes(s, P, 40);
	say_pages(s, C, 5);
	say_pages(s, P, 5);
	unpin(s, P);
	finish(s);
	advise(s, P, 1, 1, MADV_DOFORK);
	advise(s, P, 2, 1, MADV_KEEPONFORK);
	split(s);
	say_pages(s, C, 5);
}

static void shared_memory(struct side *s)
{
	fill_first(s);
	say(s, "%ld ", pin(s, P, 3));
	split(s);
	say_same(s, "pinned", frame(s, C, 3), frame(s, P, 3));
	store(s, C, 0, 50);
	store(s, P, 1, 51);
	store(s, C, 5, 52);
	device_writes(s, P, 53);
	say_pages(s, P, 6);
	say_pages(s, C, 6);
	say(s, "%ld ", advise(s, P, 0, 4, MADV_DONTNEED));
	say_pages(s, P, 6);
	unpin(s, P);
}

static void wipeonfork_of_shared_memory(struct side *s)
{
	say(s, "%ld ", advise(s, P, 0, 2, MADV_WIPEONFORK));
}

/* ---- pins --------------------------------------------------------------------------------------- */

/* Pin, fork, parent writes: the device and the parent stay together. */
static void a_pinned_page_stays_with_the_parent(struct side *s)
{
	long a;

	fill_first(s);
	say(s, "%ld ", pin(s, P, 0));
	a = frame(s, P, 0);
	split(s);
	say_same(s, "parent", frame(s, P, 0), a);
	say_same(s, "child", frame(s, C, 0), a);
	say_same(s, "the next page", frame(s, C, 1), frame(s, P, 1));
	store(s, P, 0, 50);
	say(s, "dev %ld; ", device(s, P));
	device_writes(s, P, 51);
	say_pages(s, P, 2);
	say_pages(s, C, 2);
	say_same(s, "parent", frame(s, P, 0), a);
	unpin(s, P);
}

static void the_child_writes_to_a_page_that_the_parent_has_pinned(struct side *s)
{
	fill_first(s);
	say(s, "%ld ", pin(s, P, 0));
	split(s);
	store(s, C, 0, 60);
	device_writes(s, P, 61);
	say(s, "dev %ld; ", device(s, P));
	say_pages(s, P, 2);
	say_pages(s, C, 2);
	finish(s);
	store(s, P, 0, 62);
	say(s, "dev %ld; ", device(s, P));
	unpin(s, P);
}

/* A pin of a shared page has a page of its own first. */
static void a_pin_after_the_fork_in_the_parent(struct side *s)
{
	long a;

	fill_first(s);
	a = frame(s, P, 0);
	split(s);
	say(s, "%ld ", pin(s, P, 0));
	say_same(s, "parent", frame(s, P, 0), a);
	say_same(s, "child", frame(s, C, 0), a);
	store(s, P, 0, 50);
	store(s, C, 0, 52);
	say(s, "dev %ld; ", device(s, P));
	device_writes(s, P, 51);
	say_pages(s, P, 2);
	say_pages(s, C, 2);
	unpin(s, P);
}

static void a_pin_after_the_fork_in_the_child(struct side *s)
{
	fill_first(s);
	split(s);
	say(s, "%ld ", pin(s, C, 0));
	store(s, C, 0, 50);
	store(s, P, 0, 52);
	say(s, "dev %ld; ", device(s, C));
	device_writes(s, C, 51);
	say_pages(s, P, 2);
	say_pages(s, C, 2);
	unpin(s, C);
}

/* When the pin is gone, the next fork shares. */
static void an_unpinned_page_is_shared_by_the_next_fork(struct side *s)
{
	fill_first(s);
	say(s, "%ld ", pin(s, P, 0));
	split(s);
	say_same(s, "first child", frame(s, C, 0), frame(s, P, 0));
	unpin(s, P);
	finish(s);
	split(s);
	say_same(s, "second child", frame(s, C, 0), frame(s, P, 0));
	store(s, P, 0, 9);
	say_pages(s, C, 1);
}

/* Short pins of a shared page, for reading too. */
static void a_direct_write_unshares(struct side *s)
{
	long a;

	fill_first(s);
	split(s);
	a = frame(s, P, 0);
	say(s, "%ld ", act(s, P, DIRECT_WRITE));
	say_same(s, "parent", frame(s, P, 0), a);
	say_same(s, "child", frame(s, C, 0), a);
	say_pages(s, P, 1);
	say_pages(s, C, 1);
}

static void a_copy_by_the_kernel_unshares(struct side *s)
{
	long a;

	fill_first(s);
	split(s);
	a = frame(s, C, 0);
	say(s, "%ld ", copy_from(s, C, 0, 1));
	say_same(s, "child", frame(s, C, 0), a);
	say_same(s, "parent", frame(s, P, 0), a);
	say(s, "%ld ", copy_to(s, P, PG, 1, 77));
	say_pages(s, P, 2);
	say_pages(s, C, 2);
}

static void a_direct_read_breaks_the_sharing(struct side *s)
{
	fill_first(s);
	split(s);
	say(s, "%ld %ld ", act(s, P, DIRECT_READ), act(s, C, DIRECT_READ, 5 * PG));
	say_pages(s, P, 6);
	say_pages(s, C, 6);
}

/* ---- references --------------------------------------------------------------------------------- */

static void a_reference_to_an_exclusive_page_sees_stores(struct side *s)
{
	fill_first(s);
	say(s, "%ld ", refer(s, P, 0));
	store(s, P, 0, 50);
	say(s, "%ld ", referred(s, P));
}

static void a_reference_and_a_child_that_ended(struct side *s)
{
	fill_first(s);
	say(s, "%ld ", refer(s, P, 0));
	split(s);
	store(s, C, 1, 9); /* so that the child has tables of its own */
	store(s, C, 0, 8);
	finish(s);
	store(s, P, 0, 50);
	say(s, "%ld ", referred(s, P));
	say_pages(s, P, 2);
}

static void a_reference_and_a_store_while_the_child_lives(struct side *s)
{
	fill_first(s);
	say(s, "%ld ", refer(s, P, 0));
	split(s);
	store(s, P, 0, 50);
	say(s, "%ld ", referred(s, P));
	say_pages(s, C, 1);
}

/* CVE-2020-29374, clause W8: a child refers to the page, unmaps it, and must not see the parent's later stores. */
static void a_child_keeps_a_reference_and_unmaps(struct side *s)
{
	fill_first(s);
	split(s);
	say(s, "%ld ", refer(s, C, 0));
	unmap(s, C, 0, 1);
	store(s, P, 0, 99);
	say(s, "%ld ", referred(s, C));
}

/* Linux's reference shares the page, here every get is a pin and has the mm's own (A5). */
static void a_reference_to_a_shared_page(struct side *s)
{
	long a;

	fill_first(s);
	split(s);
	a = frame(s, P, 0);
	say(s, "%ld ", refer(s, P, 0));
	say_same(s, "parent", frame(s, P, 0), a);
	store(s, P, 0, 50);
	say(s, "%ld ", referred(s, P));
	say_pages(s, C, 1);
}

static const struct scenario table[] = {
	SCENARIO("the parent writes first", "K5", the_parent_writes_first, ANON_PRIVATE),
	SCENARIO("the child writes first", "K5", the_child_writes_first, ANON_PRIVATE),
	SCENARIO("both write", "K5", both_write, ANON_PRIVATE),
	SCENARIO("unpinned pages are shared", "K5", unpinned_pages_are_shared, ANON_PRIVATE),
	SCENARIO("after the child's end the parent writes in place", "W10",
	         after_the_childs_end_the_parent_writes_in_place, ANON_PRIVATE),
	SCENARIO("after the child's munmap the parent writes in place", "W10",
	         after_the_childs_munmap_the_parent_writes_in_place, ANON_PRIVATE),
	SCENARIO("after the parent's dontneed the child writes in place", "W10",
	         after_the_parents_dontneed_the_child_writes_in_place, ANON_PRIVATE),
	SCENARIO("the child moves a shared page", "M3 K5", the_child_moves_a_shared_page, ANON_PRIVATE),
	SCENARIO("rights change beside a fork", "W4 K5", rights_change_beside_a_fork, ANON_PRIVATE),
	SCENARIO("dontfork and wipeonfork", "K10", dontfork_and_wipeonfork, ANON_PRIVATE),
	SCENARIO("shared memory", "K8", shared_memory, ANON_SHARED),
	SCENARIO("wipeonfork of shared memory, shared memory", "K10", wipeonfork_of_shared_memory, ANON_SHARED),
	SCENARIO("wipeonfork of shared memory, a private file", "K10", wipeonfork_of_shared_memory, FILE_PRIVATE),
	SCENARIO("a pinned page stays with the parent, private memory", "K2",
	         a_pinned_page_stays_with_the_parent, ANON_PRIVATE),
	SCENARIO("a pinned page stays with the parent, a private file", "K2",
	         a_pinned_page_stays_with_the_parent, FILE_PRIVATE),
	SCENARIO("the child writes to a page that the parent has pinned", "K2",
	         the_child_writes_to_a_page_that_the_parent_has_pinned, ANON_PRIVATE),
	SCENARIO("a pin after the fork in the parent", "U1", a_pin_after_the_fork_in_the_parent, ANON_PRIVATE),
	SCENARIO("a pin after the fork in the child", "U1", a_pin_after_the_fork_in_the_child, ANON_PRIVATE),
	SCENARIO("an unpinned page is shared by the next fork", "K15",
	         an_unpinned_page_is_shared_by_the_next_fork, ANON_PRIVATE),
	SCENARIO("a direct write unshares", "U13", a_direct_write_unshares, ANON_PRIVATE, .direct = true),
	SCENARIO("a direct read breaks the sharing", "W10",
	         a_direct_read_breaks_the_sharing, ANON_PRIVATE, .direct = true),
	SCENARIO("a copy by the kernel unshares", "U13", a_copy_by_the_kernel_unshares, ANON_PRIVATE),
	SCENARIO("a reference to an exclusive page sees stores", "W11",
	         a_reference_to_an_exclusive_page_sees_stores, ANON_PRIVATE),
	SCENARIO("a reference and a child that ended", "W11 K12", a_reference_and_a_child_that_ended, ANON_PRIVATE),
	SCENARIO("a reference and a store while the child lives", "W11",
	         a_reference_and_a_store_while_the_child_lives, ANON_PRIVATE),
	SCENARIO("a child keeps a reference and unmaps", "W8", a_child_keeps_a_reference_and_unmaps, ANON_PRIVATE),
	SCENARIO("a reference to a shared page", "U2 A5",
	         a_reference_to_a_shared_page, ANON_PRIVATE, DIFFERS("A5", "0 1 C 1; ", "0 50 C 1; "),
	         .linux_pages = "parent same; ", .pages = "parent other; "),
};

ORACLE_MAIN(table, true)
