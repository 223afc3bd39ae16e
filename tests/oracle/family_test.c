/* SPDX-License-Identifier: MIT */
/*
 * family_test.c - the table of scenarios: children, children of children and siblings; who pins, who writes, who
 * unmaps, who ends first.
 */
#include "table.h"

static void say_all(struct side *s, unsigned n)
{
	say_pages(s, P, n);
	say_pages(s, C, n);
	say_pages(s, G, n);
}

static void say_frames(struct side *s, unsigned p)
{
	say_same(s, "parent and child", frame(s, P, p), frame(s, C, p));
	say_same(s, "child and other", frame(s, C, p), frame(s, G, p));
}

/* A child and its child. */
static void two_generations(struct side *s)
{
	fill_first(s);
	split(s);
	split_from(s, C, G);
}

/* Two children of one parent. */
static void two_children(struct side *s)
{
	fill_first(s);
	split(s);
	split_from(s, P, G);
}

/* ---- without pins ------------------------------------------------------------------------------- */

static void three_share_and_write_in_turn(struct side *s)
{
	two_generations(s);
	say_frames(s, 0);
	store(s, C, 0, 20);
	say_frames(s, 0);
	store(s, G, 0, 30);
	store(s, P, 0, 10);
	store(s, G, 1, 31);
	store(s, P, 2, 12);
	say_all(s, 5);
	say_frames(s, 1);
	say_frames(s, 3);
}

static void the_child_writes_between_two_forks(struct side *s)
{
	fill_first(s);
	split(s);
	store(s, C, 0, 20);
	store(s, C, 5, 25);
	split_from(s, C, G);
	say_frames(s, 0);
	say_frames(s, 1);
	store(s, G, 0, 30);
	store(s, C, 5, 26);
	say_all(s, 6);
}

static void the_last_one_writes_in_place(struct side *s)
{
	long a;

	two_generations(s);
	a = frame(s, P, 0);
	end_of(s, G);
	store(s, C, 0, 20);
	say_same(s, "child's", frame(s, C, 0), a);
	end_of(s, C);
	store(s, P, 0, 10);
	store(s, P, 1, 11);
	say_same(s, "parent's", frame(s, P, 0), a);
	say_pages(s, P, 4);
}

static void siblings_do_not_see_each_other(struct side *s)
{
	two_children(s);
	store(s, C, 0, 20);
	store(s, G, 0, 30);
	store(s, G, 1, 31);
	store(s, P, 2, 12);
	say_all(s, 5);
	say_frames(s, 0);
	say_frames(s, 3);
}

static void the_second_fork_has_what_the_parent_wrote(struct side *s)
{
	fill_first(s);
	split(s);
	store(s, P, 0, 10);
	store(s, P, 4, 14);
	split_from(s, P, G);
	store(s, P, 0, 11);
	say_all(s, 5);
	say_frames(s, 1);
}

static void all_but_one_unmap(struct side *s)
{
	long a;

	two_children(s);
	a = frame(s, G, 0);
	unmap(s, P, 0, 2);
	unmap(s, C, 0, 2);
	store(s, G, 0, 30);
	say_same(s, "page", frame(s, G, 0), a);
	say_all(s, 3);
}

static void dontneed_in_each(struct side *s)
{
	two_generations(s);
	advise(s, C, 0, 1, MADV_DONTNEED);
	advise(s, P, 1, 1, MADV_DONTNEED);
	advise(s, G, 2, 1, MADV_DONTNEED);
	say_all(s, 4);
	store(s, C, 0, 20);
	store(s, P, 1, 11);
	say_all(s, 4);
}

static void a_child_maps_over_what_it_shares(struct side *s)
{
	two_children(s);
	say(s, "%ld ", map_more(s, C, 0, 2, RW, MAP_PRIVATE));
	say(s, "%ld ", map_more(s, G, 1, 2, PROT_READ, MAP_SHARED));
	store(s, C, 0, 20);
	say(s, "%ld ", store(s, G, 1, 30));
	say_all(s, 4);
}

static void memory_that_comes_after_the_fork(struct side *s)
{
	fill_first(s);
	split(s);
	say(s, "%ld ", map_more(s, P, 32, 2, RW, MAP_PRIVATE));
	store(s, P, 32, 9);
	split_from(s, P, G);
	say(s, "%ld %ld %ld ", load(s, P, 32), load(s, C, 32), load(s, G, 32));
	store(s, G, 32, 8);
	say(s, "%ld %ld ", load(s, P, 32), load(s, G, 32));
}

static void shared_memory_in_private_surroundings(struct side *s)
{
	fill_first(s);
	map_more(s, P, 1, 1, RW, MAP_SHARED);
	split(s);
	split_from(s, C, G);
	store(s, G, 1, 31);
	store(s, G, 0, 30);
	say_all(s, 3);
	say_frames(s, 1);
}

static void rights_are_inherited_and_then_each_ones_own(struct side *s)
{
	fill_first(s);
	protect(s, P, 0, 1, PROT_READ);
	protect(s, P, 1, 1, PROT_NONE);
	split(s);
	protect(s, C, 0, 2, RW);
	split_from(s, C, G);
	protect(s, C, 0, 2, PROT_NONE);
	for (int who = P; who < PARTIES; who++)
		for (unsigned p = 0; p < 3; p++)
			say(s, "%ld ", store(s, (enum who)who, p, 10 * who + (int)p));
	say_all(s, 3);
}

static void wipeonfork_is_inherited(struct side *s)
{
	fill_first(s);
	say(s, "%ld ", advise(s, P, 0, 2, MADV_WIPEONFORK));
	split(s);
	store(s, C, 0, 20);
	split_from(s, C, G);
	say_all(s, 4);
	advise(s, C, 0, 2, MADV_KEEPONFORK);
	end_of(s, G);
	split_from(s, C, G);
	say_all(s, 4);
}

static void dontfork_in_the_child_only(struct side *s)
{
	fill_first(s);
	split(s);
	advise(s, C, 1, 1, MADV_DONTFORK);
	split_from(s, C, G);
	say_all(s, 4);
	say(s, "%ld ", map_more(s, G, 1, 1, RW, MAP_PRIVATE));
	store(s, G, 1, 31);
	say_all(s, 4);
}

static void a_wiped_page_that_is_read_only(struct side *s)
{
	fill_first(s);
	advise(s, P, 0, 1, MADV_WIPEONFORK);
	protect(s, P, 0, 1, PROT_READ);
	split(s);
	say(s, "%ld ", load(s, C, 0));
	say(s, "%ld ", store(s, C, 0, 1));
	say_pages(s, P, 2);
}

static void a_moved_page_is_shared_by_place(struct side *s)
{
	fill_first(s);
	move(s, P, 0, 1, 40);
	split(s);
	say(s, "%ld %ld ", load(s, C, 40), load(s, C, 0));
	say_same(s, "page", frame(s, C, 40), frame(s, P, 40));
	move(s, P, 40, 1, 50);
	store(s, P, 50, 60);
	say(s, "%ld %ld ", load(s, C, 40), load(s, P, 50));
}

static void untouched_memory_of_three(struct side *s)
{
	split(s);
	split_from(s, C, G);
	say(s, "%ld %ld ", load(s, P, 0), load(s, G, 0));
	say_same(s, "page", frame(s, P, 0), frame(s, G, 0));
	store(s, C, 0, 20);
	say_all(s, 2);
}

/* ---- with pins ---------------------------------------------------------------------------------- */

static void a_pin_of_the_parent_and_two_generations(struct side *s)
{
	fill_first(s);
	pin(s, P, 0);
	split(s);
	split_from(s, C, G);
	say_frames(s, 0);
	say_frames(s, 1);
	device_writes(s, P, 40);
	store(s, C, 0, 20);
	store(s, G, 0, 30);
	say(s, "dev %ld; ", device(s, P));
	say_all(s, 2);
	unpin(s, P);
}

static void a_pin_of_the_child_between_the_forks(struct side *s)
{
	fill_first(s);
	split(s);
	say(s, "%ld ", pin(s, C, 0));
	split_from(s, C, G);
	say_frames(s, 0);
	device_writes(s, C, 40);
	say_all(s, 2);
	store(s, C, 0, 41);
	say(s, "dev %ld; ", device(s, C));
	unpin(s, C);
}

static void all_three_pin_the_same_page(struct side *s)
{
	two_generations(s);
	for (int who = P; who < PARTIES; who++)
		say(s, "%ld ", pin(s, (enum who)who, 1));
	say_frames(s, 1);
	for (int who = P; who < PARTIES; who++)
		device_writes(s, (enum who)who, 40 + who);
	say_all(s, 3);
	for (int who = P; who < PARTIES; who++)
		unpin(s, (enum who)who);
}

static void a_pin_of_the_parent_and_two_siblings(struct side *s)
{
	fill_first(s);
	split(s);
	say(s, "%ld ", pin(s, P, 0));
	split_from(s, P, G);
	say_frames(s, 0);
	store(s, P, 0, 10);
	device_writes(s, P, 11);
	say_all(s, 2);
	unpin(s, P);
}

static void a_pin_moves_nothing_of_its_neighbours(struct side *s)
{
	fill_first(s);
	pin_pages(s, P, 1, 2);
	split(s);
	for (unsigned p = 0; p < 4; p++)
		say_same(s, "page", frame(s, C, p), frame(s, P, p));
	store(s, P, 1, 50);
	store(s, C, 2, 51);
	say(s, "dev %ld %ld; ", device_page(s, P, 0), device_page(s, P, 1));
	unpin(s, P);
}

static void the_child_of_a_pinning_parent_has_no_pin(struct side *s)
{
	fill_first(s);
	pin(s, P, 0);
	split(s);
	split_from(s, C, G);
	say_same(s, "the copy is shared", frame(s, G, 0), frame(s, C, 0));
	end_of(s, G);
	store(s, C, 0, 20);
	device_writes(s, P, 41);
	say_pages(s, C, 1);
	unpin(s, P);
}

static void the_pinning_child_ends_first(struct side *s)
{
	long a;

	fill_first(s);
	split(s);
	a = frame(s, P, 0);
	say(s, "%ld ", pin(s, C, 0));
	device_writes(s, C, 40);
	unpin(s, C);
	end_of(s, C);
	store(s, P, 0, 10);
	say_same(s, "page", frame(s, P, 0), a);
	say_pages(s, P, 2);
}

static void unmapping_under_a_pin_beside_a_child(struct side *s)
{
	fill_first(s);
	pin(s, P, 0);
	split(s);
	unmap(s, P, 0, 1);
	device_writes(s, P, 40);
	say(s, "dev %ld; ", device(s, P));
	say_pages(s, C, 2);
	map_more(s, P, 0, 1, RW, MAP_PRIVATE);
	store(s, P, 0, 10);
	say(s, "dev %ld; ", device(s, P));
	unpin(s, P);
}

static void dontneed_and_pin_again(struct side *s)
{
	fill_first(s);
	pin(s, P, 0);
	split(s);
	advise(s, P, 0, 1, MADV_DONTNEED);
	say(s, "%ld ", pin_again(s, P, 0));
	device_writes(s, P, 40);
	act(s, P, DEVICE_STORE, .arg = 41, .to = 1);
	say_pages(s, P, 1);
	say_pages(s, C, 1);
	say(s, "dev %ld %ld; ", device(s, P), act(s, P, DEVICE_LOAD, .to = 1));
	unpin(s, P);
	unpin_again(s, P);
}

static void a_pinned_page_moves_before_the_fork(struct side *s)
{
	fill_first(s);
	pin(s, P, 0);
	move(s, P, 0, 1, 40);
	split(s);
	say_same(s, "page", frame(s, C, 40), frame(s, P, 40));
	store(s, P, 40, 50);
	say(s, "dev %ld; %ld ", device(s, P), load(s, C, 40));
	unpin(s, P);
}

static void a_read_only_pinned_page_is_copied(struct side *s)
{
	fill_first(s);
	pin(s, P, 0);
	protect(s, P, 0, 1, PROT_READ);
	split(s);
	say_same(s, "page", frame(s, C, 0), frame(s, P, 0));
	device_writes(s, P, 40);
	say_pages(s, P, 1);
	say_pages(s, C, 1);
	protect(s, P, 0, 1, RW);
	protect(s, C, 0, 1, RW);
	store(s, P, 0, 41);
	store(s, C, 0, 42);
	say(s, "dev %ld; ", device(s, P));
	unpin(s, P);
}

static void a_pin_of_dontfork_memory(struct side *s)
{
	fill_first(s);
	advise(s, P, 0, 2, MADV_DONTFORK);
	pin(s, P, 0);
	split(s);
	device_writes(s, P, 40);
	say_pages(s, P, 3);
	say_pages(s, C, 3);
	store(s, P, 0, 41);
	say(s, "dev %ld; ", device(s, P));
	unpin(s, P);
}

static void a_pin_of_untouched_memory_after_the_fork(struct side *s)
{
	split(s);
	say(s, "%ld ", pin(s, C, 0));
	device_writes(s, C, 40);
	say_pages(s, P, 1);
	say_pages(s, C, 1);
	store(s, P, 0, 10);
	say(s, "dev %ld; ", device(s, C));
	unpin(s, C);
}

static void direct_io_after_the_forks(struct side *s)
{
	two_children(s);
	say(s, "%ld ", act(s, C, DIRECT_READ));
	say(s, "%ld ", act(s, G, DIRECT_WRITE, PG));
	say_all(s, 3);
	say_frames(s, 1);
}

/* ---- references --------------------------------------------------------------------------------- */

static void a_reference_and_three(struct side *s)
{
	fill_first(s);
	say(s, "%ld ", refer(s, P, 0));
	split(s);
	split_from(s, C, G);
	store(s, C, 0, 20);
	store(s, G, 0, 30);
	say(s, "%ld ", referred(s, P));
	say_all(s, 1);
}

static void a_reference_outlives_its_memory(struct side *s)
{
	fill_first(s);
	say(s, "%ld ", refer(s, P, 0));
	split(s);
	unmap(s, P, 0, 1);
	store(s, C, 0, 20);
	say(s, "%ld ", referred(s, P));
}

static void a_reference_and_dontneed(struct side *s)
{
	fill_first(s);
	say(s, "%ld ", refer(s, P, 0));
	advise(s, P, 0, 1, MADV_DONTNEED);
	store(s, P, 0, 50);
	say(s, "%ld ", referred(s, P));
	say_pages(s, P, 1);
}

static void a_reference_and_a_pin(struct side *s)
{
	fill_first(s);
	say(s, "%ld ", refer(s, P, 0));
	say(s, "%ld ", pin(s, P, 0));
	split(s);
	device_writes(s, P, 40);
	say(s, "%ld ", referred(s, P));
	say_pages(s, P, 1);
	say_pages(s, C, 1);
	unpin(s, P);
}

static void a_reference_and_a_later_pin_that_copies(struct side *s)
{
	long a;

	fill_first(s);
	say(s, "%ld ", refer(s, P, 0));
	split(s);
	a = frame(s, P, 0);
	say(s, "%ld ", pin(s, P, 0));
	say_same(s, "page", frame(s, P, 0), a);
	device_writes(s, P, 40);
	say(s, "%ld ", referred(s, P));
	say_pages(s, C, 1);
	unpin(s, P);
}

static const struct scenario table[] = {
	SCENARIO("three share and write in turn", "K5 W10", three_share_and_write_in_turn, ANON_PRIVATE),
	SCENARIO("three share and write in turn, a private file", "K5 W10",
	         three_share_and_write_in_turn, FILE_PRIVATE),
	SCENARIO("the child writes between two forks", "K5 W10", the_child_writes_between_two_forks, ANON_PRIVATE),
	SCENARIO("the child writes between two forks, a private file", "K5 W10",
	         the_child_writes_between_two_forks, FILE_PRIVATE),
	SCENARIO("the last one writes in place", "W10", the_last_one_writes_in_place, ANON_PRIVATE),
	SCENARIO("siblings do not see each other", "K5", siblings_do_not_see_each_other, ANON_PRIVATE),
	SCENARIO("siblings do not see each other, a private file", "K5", siblings_do_not_see_each_other, FILE_PRIVATE),
	SCENARIO("the second fork has what the parent wrote", "K5",
	         the_second_fork_has_what_the_parent_wrote, ANON_PRIVATE),
	SCENARIO("all but one unmap", "W10 M1", all_but_one_unmap, ANON_PRIVATE),
	SCENARIO("dontneed in each", "M2 K5", dontneed_in_each, ANON_PRIVATE),
	SCENARIO("dontneed in each, a private file", "M2 K5", dontneed_in_each, FILE_PRIVATE),
	SCENARIO("a child maps over what it shares", "K5 V4", a_child_maps_over_what_it_shares, ANON_PRIVATE),
	SCENARIO("memory that comes after the fork", "K5", memory_that_comes_after_the_fork, ANON_PRIVATE),
	SCENARIO("shared memory in private surroundings", "K8 K5",
	         shared_memory_in_private_surroundings, ANON_PRIVATE),
	SCENARIO("rights are inherited and then each one's own", "V4 W10",
	         rights_are_inherited_and_then_each_ones_own, ANON_PRIVATE),
	SCENARIO("wipeonfork is inherited", "K10", wipeonfork_is_inherited, ANON_PRIVATE),
	SCENARIO("dontfork in the child only", "K10", dontfork_in_the_child_only, ANON_PRIVATE),
	SCENARIO("a wiped page that is read only", "K10 V4", a_wiped_page_that_is_read_only, ANON_PRIVATE),
	SCENARIO("a moved page is shared by place", "M3 K5", a_moved_page_is_shared_by_place, ANON_PRIVATE),
	SCENARIO("untouched memory of three", "Z4 K9", untouched_memory_of_three, ANON_PRIVATE),
	SCENARIO("a pin of the parent and two generations", "K2 K16",
	         a_pin_of_the_parent_and_two_generations, ANON_PRIVATE),
	SCENARIO("a pin of the parent and two generations, a private file", "K2 K16",
	         a_pin_of_the_parent_and_two_generations, FILE_PRIVATE),
	SCENARIO("a pin of the child between the forks", "K2 U1", a_pin_of_the_child_between_the_forks, ANON_PRIVATE),
	SCENARIO("all three pin the same page", "U1 K2", all_three_pin_the_same_page, ANON_PRIVATE),
	SCENARIO("a pin of the parent and two siblings", "K2 U1", a_pin_of_the_parent_and_two_siblings, ANON_PRIVATE),
	SCENARIO("a pin moves nothing of its neighbours", "K2 K5",
	         a_pin_moves_nothing_of_its_neighbours, ANON_PRIVATE),
	SCENARIO("the child of a pinning parent has no pin", "K16 K3",
	         the_child_of_a_pinning_parent_has_no_pin, ANON_PRIVATE),
	SCENARIO("the pinning child ends first", "U1 W10", the_pinning_child_ends_first, ANON_PRIVATE),
	SCENARIO("unmapping under a pin beside a child", "M1 K2", unmapping_under_a_pin_beside_a_child, ANON_PRIVATE),
	SCENARIO("dontneed and pin again", "M2 K2", dontneed_and_pin_again, ANON_PRIVATE),
	SCENARIO("a pinned page moves before the fork", "M3 K2", a_pinned_page_moves_before_the_fork, ANON_PRIVATE),
	SCENARIO("a read only pinned page is copied", "M4 K2 W14", a_read_only_pinned_page_is_copied, ANON_PRIVATE),
	SCENARIO("a pin of dontfork memory", "K10 K2", a_pin_of_dontfork_memory, ANON_PRIVATE),
	SCENARIO("a pin of untouched memory after the fork", "U4 W13",
	         a_pin_of_untouched_memory_after_the_fork, ANON_PRIVATE),
	SCENARIO("direct io after the forks", "U13 U1", direct_io_after_the_forks, ANON_PRIVATE, .direct = true),
	SCENARIO("a reference and three", "W11 K12", a_reference_and_three, ANON_PRIVATE),
	SCENARIO("a reference outlives its memory", "M1 K12", a_reference_outlives_its_memory, ANON_PRIVATE),
	SCENARIO("a reference and dontneed", "M2", a_reference_and_dontneed, ANON_PRIVATE),
	SCENARIO("a reference and a pin", "K2 W11", a_reference_and_a_pin, ANON_PRIVATE),
	SCENARIO("a reference and a later pin that copies", "U1 W11",
	         a_reference_and_a_later_pin_that_copies, ANON_PRIVATE),
};

ORACLE_MAIN(table, true)
