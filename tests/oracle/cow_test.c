/* SPDX-License-Identifier: MIT */
/*
 * cow_test.c - fork, pins and references: the same scenarios on the kernel and on pinfold, with and without a window
 * (contract.md, 6; parties.h has the vocabulary).  Those about changes of mappings and files stand in cow_change_test.c.
 */
#include "cow.h"

#define W(p) ((p) * PG)

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

/* Clause K5. */
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

/* Clause W10. */
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
	act(s, C, UNMAP, 0, W(2), 0);
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
	say(s, "%ld ", act(s, C, MOVE, W(1), W(2), W(64)));
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

/* Clause K10. */
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

/* Clause K8. */
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

/* Clause K2: pin, fork, parent writes: the device and the parent stay together. */
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

/* Clause U1: a pin of a shared page has a page of its own first. */
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

/* Clause K15: when the pin is gone, the next fork shares. */
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

/* Clause U13: short pins of a shared page, for reading too. */
static void a_direct_write_unshares(struct side *s)
{
	long a;

	fill_first(s);
	split(s);
	a = frame(s, P, 0);
	say(s, "%ld ", act(s, P, DIRECT_WRITE, 0, 0, 0));
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
	say(s, "%ld ", act(s, C, COPY_FROM, 0, 0, 0));
	say_same(s, "child", frame(s, C, 0), a);
	say_same(s, "parent", frame(s, P, 0), a);
	say(s, "%ld ", act(s, P, COPY_TO, W(1), 0, 77));
	say_pages(s, P, 2);
	say_pages(s, C, 2);
}

static void a_direct_read_breaks_the_sharing(struct side *s)
{
	fill_first(s);
	split(s);
	say(s, "%ld %ld ", act(s, P, DIRECT_READ, 0, 0, 0), act(s, C, DIRECT_READ, W(5), 0, 0));
	say_pages(s, P, 6);
	say_pages(s, C, 6);
}

static long refer(struct side *s, enum who who, unsigned p)
{
	return act(s, who, REFER, W(p), 0, 0);
}

static long referred(struct side *s, enum who who)
{
	return act(s, who, REFERENCE_LOAD, 0, 0, 0);
}

/* ---- references --------------------------------------------------------------------------------- */

/* Clause W11, first half. */
static void a_reference_to_an_exclusive_page_sees_stores(struct side *s)
{
	fill_first(s);
	say(s, "%ld ", refer(s, P, 0));
	store(s, P, 0, 50);
	say(s, "%ld ", referred(s, P));
}

/* Clause W11, third sentence; K12. */
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
	act(s, C, UNMAP, 0, W(1), 0);
	store(s, P, 0, 99);
	say(s, "%ld ", referred(s, C));
}

/* Clause U2: Linux's reference shares the page, here every get is a pin and has the mm's own (A5). */
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCENARIO(the_parent_writes_first, ANON_PRIVATE),
		SCENARIO(the_child_writes_first, ANON_PRIVATE),
		SCENARIO(both_write, ANON_PRIVATE),
		SCENARIO(unpinned_pages_are_shared, ANON_PRIVATE),
		SCENARIO(after_the_childs_end_the_parent_writes_in_place, ANON_PRIVATE),
		SCENARIO(after_the_childs_munmap_the_parent_writes_in_place, ANON_PRIVATE),
		SCENARIO(after_the_parents_dontneed_the_child_writes_in_place, ANON_PRIVATE),
		SCENARIO(the_child_moves_a_shared_page, ANON_PRIVATE),
		SCENARIO(rights_change_beside_a_fork, ANON_PRIVATE),
		SCENARIO(dontfork_and_wipeonfork, ANON_PRIVATE),
		SCENARIO(shared_memory, ANON_SHARED),
		SCENARIO(wipeonfork_of_shared_memory, ANON_SHARED),
		SCENARIO(wipeonfork_of_shared_memory, FILE_PRIVATE),
		SCENARIO(a_pinned_page_stays_with_the_parent, ANON_PRIVATE),
		SCENARIO(a_pinned_page_stays_with_the_parent, FILE_PRIVATE),
		SCENARIO(the_child_writes_to_a_page_that_the_parent_has_pinned, ANON_PRIVATE),
		SCENARIO(a_pin_after_the_fork_in_the_parent, ANON_PRIVATE),
		SCENARIO(a_pin_after_the_fork_in_the_child, ANON_PRIVATE),
		SCENARIO(an_unpinned_page_is_shared_by_the_next_fork, ANON_PRIVATE),
		SCENARIO(a_direct_write_unshares, ANON_PRIVATE, .direct = true),
		SCENARIO(a_direct_read_breaks_the_sharing, ANON_PRIVATE, .direct = true),
		SCENARIO(a_copy_by_the_kernel_unshares, ANON_PRIVATE),
		SCENARIO(a_reference_to_an_exclusive_page_sees_stores, ANON_PRIVATE),
		SCENARIO(a_reference_and_a_child_that_ended, ANON_PRIVATE),
		SCENARIO(a_reference_and_a_store_while_the_child_lives, ANON_PRIVATE),
		SCENARIO(a_child_keeps_a_reference_and_unmaps, ANON_PRIVATE),
		SCENARIO(a_reference_to_a_shared_page, ANON_PRIVATE, .clause = "A5, U2",
		         .linux_text = "0 1 C 1; ", .text = "0 50 C 1; ",
		         .linux_pages = "parent same; ", .pages = "parent other; "),
	};

	stay_on_one_cpu();
	open_direct_file();
	return world_main(tests);
}
