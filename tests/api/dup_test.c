/* SPDX-License-Identifier: MIT */
/*
 * dup_test.c - dup_mmap(): what each side of a snapshot sees, what is shared and what is copied at once (group K,
 * decision D12).  Each test runs for every pair of windows that can show private memory.  Changes of the mappings of
 * one side, files and errors stand in dup_change_test.c, threads and devices in dup_race_test.c.
 */
#include "anon.h"

/* ---- contents ----------------------------------------------------------------------------------- */

/* Header: private memory is shared until somebody writes, whoever it is; holes stay holes. */
static void each_side_sees_its_own_stores(void **state)
{
	const struct pair *k = *state;
	struct pinfold *m = MACHINE();
	struct space p = new_space(m, k->parent), c;
	uint64_t free;

	map_anon(&p, 0, 16, RW, PRIVATE);
	put_pages(&p, 1, 0, 8);
	free = frames_free(m);
	c = snapshot(m, &p, k->child);
	assert_int_equal(frames_free(m), free);
	assert_int_equal(stats_of(m).forks, 1);
	put_pages(&p, 2, 0, 2);
	put_pages(&c, 3, 1, 2);
	put_pages(&p, 4, 8, 1);
	put_pages(&c, 5, 9, 1);
	for (int round = 0; round < 2; round++) { /* the second time after windowless looks copied */
		assert_true(pages_are(&p, 2, 0, 2) && pages_are(&p, 1, 2, 6) && pages_are(&p, 4, 8, 1) &&
		            pages_are_zero(&p, 9, 7));
		assert_true(pages_are(&c, 1, 0, 1) && pages_are(&c, 3, 1, 2) && pages_are(&c, 1, 3, 5) &&
		            pages_are_zero(&c, 8, 1) && pages_are(&c, 5, 9, 1) && pages_are_zero(&c, 10, 6));
	}
	end_space(&c);
	end_both(m, &p);
}

/* Header: a snapshot's addresses; without a window those of the other one. */
static void addresses_are_moved_by_one_number(void **state)
{
	const struct pair *k = *state;
	struct pinfold *m = MACHINE();
	struct space p = new_space(m, k->parent), c;
	unsigned long start, end;
	long shift;

	map_anon(&p, 3, 5, RW, PRIVATE);
	map_anon(&p, 5000, 5, RO, PRIVATE);
	assert_int_equal(pinfold_mm_shift(p.mm), 0);
	c = snapshot(m, &p, k->child);
	shift = pinfold_mm_shift(c.mm);
	if (k->child == PINFOLD_WINDOW_NONE)
		assert_int_equal(shift, 0);
	assert_ok(pinfold_mm_range(c.mm, &start, &end));
	assert_true(c.at >= start && c.at + 5005 * PG <= end);
	assert_int_equal(stats_of(m).vmas, 4);
	assert_ok(pinfold_use_mm(c.mm));
	assert_int_equal(get_user_pages_fast(c.at + 3 * PG, 5, FOLL_WRITE, NULL), 5);
	assert_int_equal(get_user_pages_fast(c.at + 8 * PG, 1, 0, NULL), -EFAULT);
	assert_int_equal(get_user_pages_fast(c.at + 5000 * PG, 5, 0, NULL), 5);
	assert_int_equal(get_user_pages_fast(c.at + 5000 * PG, 5, FOLL_WRITE, NULL), -EFAULT);
	end_space(&c);
	end_both(m, &p);
}

/* Generations, destroyed in every order: each keeps what it saw, and the last takes everything along. */
static void three_generations_end_in_any_order(void **state)
{
	static const unsigned order[6][3] = {
		{ 0, 1, 2 }, { 0, 2, 1 }, { 1, 0, 2 }, { 1, 2, 0 }, { 2, 0, 1 }, { 2, 1, 0 }
	};
	const struct pair *k = *state;
	struct pinfold *m = MACHINE();
	uint64_t free = frames_free(m);

	for (unsigned o = 0; o < 6; o++) {
		struct space s[3];

		s[0] = new_space(m, k->parent);
		map_anon(&s[0], 0, 8, RW, PRIVATE);
		put_pages(&s[0], 1, 0, 6);
		s[1] = snapshot(m, &s[0], k->child);
		put_pages(&s[1], 2, 1, 2);
		s[2] = snapshot(m, &s[1], k->parent);
		put_pages(&s[2], 3, 2, 1);
		put_pages(&s[2], 3, 6, 1);
		put_pages(&s[0], 4, 4, 1);
		for (unsigned left = 3; left--;) {
			if (s[0].mm)
				assert_true(pages_are(&s[0], 1, 0, 4) && pages_are(&s[0], 4, 4, 1) &&
				            pages_are(&s[0], 1, 5, 1) && pages_are_zero(&s[0], 6, 2));
			if (s[1].mm)
				assert_true(pages_are(&s[1], 1, 0, 1) && pages_are(&s[1], 2, 1, 2) &&
				            pages_are(&s[1], 1, 3, 3) && pages_are_zero(&s[1], 6, 2));
			if (s[2].mm)
				assert_true(pages_are(&s[2], 1, 0, 1) && pages_are(&s[2], 2, 1, 1) &&
				            pages_are(&s[2], 3, 2, 1) && pages_are(&s[2], 1, 3, 3) &&
				            pages_are(&s[2], 3, 6, 1) && pages_are_zero(&s[2], 7, 1));
			check_machine(m);
			end_space(&s[order[o][2 - left]]);
		}
		assert_int_equal(frames_free(m), free);
	}
	end_machine(m);
}

/* Siblings: each is the memory of its moment. */
static void siblings_keep_the_moment_they_were_made(void **state)
{
	enum { N = 8 };
	const struct pair *k = *state;
	struct pinfold *m = MACHINE();
	struct space p = new_space(m, k->parent), s[N];
	uint64_t free = frames_free(m);

	map_anon(&p, 0, N + 4, RW, PRIVATE);
	put_pages(&p, 100, 0, N);
	for (unsigned i = 0; i < N; i++) {
		s[i] = snapshot(m, &p, k->child);
		put_pages(&p, i, i, 1);
	}
	for (unsigned i = 0; i < N; i++) {
		for (unsigned q = 0; q < N; q++)
			assert_true(pages_are(&s[i], q < i ? q : 100, q, 1));
		assert_true(pages_are_zero(&s[i], N, 4));
	}
	for (unsigned i = 0; i < N; i++)
		end_space(&s[i * 3 % N]);
	for (unsigned q = 0; q < N; q++)
		assert_true(pages_are(&p, q, q, 1));
	assert_ok(vm_munmap(p.mm, p.at, (N + 4) * PG));
	assert_int_equal(frames_free(m), free);
	end_both(m, &p);
}

/* ---- pinned and referenced pages ---------------------------------------------------------------- */

/*
 * Clauses K2, K3, K12: a pinned page is copied for the child at once, whatever the pin is for; the parent stays with
 * it.  None but those that are pinned.
 */
static void pinned_pages_stay_with_the_parent_and_are_copied_at_once(void **state)
{
	const unsigned flags[] = { 0, FOLL_WRITE, FOLL_LONGTERM, FOLL_WRITE | FOLL_LONGTERM };
	const struct pair *k = *state;
	struct pinfold *m = MACHINE();

	for (int which = 0; which < NR_CALLS; which++) {
		struct space p = new_space(m, k->parent), c;
		struct pinfold_stats before, after;
		struct page *page[4];

		map_anon(&p, 0, 16, RW, PRIVATE);
		put_pages(&p, 1, 0, 16);
		assert_ok(pinfold_use_mm(p.mm));
		for (unsigned i = 0; i < 4; i++)
			assert_int_equal(call(which, p.mm, p.at + i * 3 * PG, 1, flags[i], &page[i]), 1);
		before = stats_of(m);
		c = snapshot(m, &p, k->child);
		after = stats_of(m);
		assert_int_equal(after.fork_copied - before.fork_copied, 4);
		assert_int_equal(before.frames_free - after.frames_free, 4);
		assert_true(pages_are(&c, 1, 0, 16));
		for (unsigned i = 0; i < 4; i++) {
			device_word(page[i])[1] = 50 + i;                  /* the device */
			assert_int_equal(peek(&p, i * 3 * PG + 8), 50 + i);
			poke(&p, i * 3 * PG + 16, 60 + i);                 /* the process */
			assert_int_equal(device_word(page[i])[2], 60 + i);
			assert_ptr_equal(page_at(&p, i * 3, FOLL_WRITE), page[i]);
			assert_true(pages_are(&c, 1, i * 3, 1));
			put_pages(&c, 2, i * 3, 1);
			assert_int_equal(device_word(page[i])[3], word_of(1, i * 3, 3));
		}
		assert_int_equal(stats_of(m).cow_copied, before.cow_copied); /* K3: the child's copy is its own */
		for (unsigned i = 0; i < 4; i++)
			assert_ok(put_user_page(page[i]));
		end_space(&c);
		end_space(&p);
	}
	end_machine(m);
}

/* Clauses K15, K16, R3 as replaced: what was pinned once is not; the child has no pins. */
static void pages_are_shared_again_when_the_pin_is_gone(void **state)
{
	const struct pair *k = *state;
	struct pinfold *m = MACHINE();
	struct space p = new_space(m, k->parent), c, g;
	struct page *page;
	uint64_t free;

	map_anon(&p, 0, 8, RW, PRIVATE);
	put_pages(&p, 1, 0, 8);
	page = pin_at(&p, 2, FOLL_WRITE);
	c = snapshot(m, &p, k->child);
	assert_int_equal(stats_of(m).fork_copied, 1);
	assert_int_equal(now_pinned(m), 1);
	free = frames_free(m);
	g = snapshot(m, &c, k->parent); /* the parent's pin is not the child's */
	assert_int_equal(stats_of(m).fork_copied, 1);
	assert_int_equal(frames_free(m), free);
	end_space(&g);
	assert_ok(put_user_page(page));
	g = snapshot(m, &p, k->child);
	assert_int_equal(stats_of(m).fork_copied, 1);
	assert_int_equal(frames_free(m), free);
	put_pages(&p, 3, 2, 1);
	assert_true(pages_are(&c, 1, 0, 8) && pages_are(&g, 1, 0, 8));
	end_space(&g);
	end_space(&c);
	end_both(m, &p);
}

/* Clauses K5, W10: the last one that has a page writes to it as it is. */
static void the_last_owner_writes_without_a_copy(void **state)
{
	const struct pair *k = *state;
	struct pinfold *m = MACHINE();
	struct page *mine[4];

	for (unsigned who = 0; who < 2; who++)       /* who is left: parent, child */
		for (unsigned how = 0; how < 3; how++) { /* destroyed, unmapped, emptied */
			struct space s[2], *left = &s[who], *gone = &s[!who];
			uint64_t copied;

			s[0] = new_space(m, k->parent);
			map_anon(&s[0], 0, 8, RW, PRIVATE);
			put_pages(&s[0], 1, 0, 8);
			for (unsigned i = 0; i < 4; i++)
				mine[i] = page_at(&s[0], i, FOLL_WRITE);
			s[1] = snapshot(m, &s[0], k->child);
			put_pages(left, 5, 7, 1); /* so that the tables are not one any more */
			if (how == 0)
				end_space(gone);
			else if (how == 1)
				assert_ok(vm_munmap(gone->mm, gone->at, 8 * PG));
			else
				assert_ok(vm_madvise(gone->mm, gone->at, 7 * PG, PINFOLD_MADV_DONTNEED));
			copied = stats_of(m).cow_copied;
			put_pages(left, 2, 0, 4);
			for (unsigned i = 0; i < 4; i++)
				assert_ptr_equal(page_at(left, i, FOLL_WRITE), mine[i]);
			assert_int_equal(stats_of(m).cow_copied, copied);
			assert_true(stats_of(m).cow_reused > 0);
			end_space(left);
			if (gone->mm)
				end_space(gone);
		}
	end_machine(m);
}

/* Clauses K12, U2, W11: a reference is no pin: the page is shared, and the first writer of the two gets a copy. */
static void a_referenced_page_is_shared_and_copied_by_who_writes(void **state)
{
	const struct pair *k = *state;
	struct pinfold *m = MACHINE();
	struct space p = new_space(m, k->parent), c;
	struct page *ref;
	uint64_t free;

	map_anon(&p, 0, 4, RW, PRIVATE);
	put_pages(&p, 1, 0, 4);
	ref = pin_at(&p, 1, FOLL_WRITE);
	assert_ok(get_page(ref));
	assert_ok(put_user_page(ref));
	free = frames_free(m);
	c = snapshot(m, &p, k->child);
	assert_int_equal(frames_free(m), free);
	put_pages(&p, 2, 1, 1);
	assert_true(is_filled(page_address(ref), 1, 1));
	put_pages(&c, 3, 1, 1); /* W11: now the child alone has it, but for the reference */
	assert_true(is_filled(page_address(ref), 1, 1));
	assert_true(pages_are(&p, 2, 1, 1) && pages_are(&c, 3, 1, 1));
	assert_ptr_not_equal(page_at(&p, 1, FOLL_WRITE), ref);
	assert_ptr_not_equal(page_at(&c, 1, FOLL_WRITE), ref);
	assert_ok(put_page(ref));
	end_space(&c);
	end_both(m, &p);
}

/* Clauses U1, U3, U9, U13, Q5: a pin of what is shared has a page of its own first, and sees its owner's stores. */
static void a_pin_of_a_shared_page_unshares_it(void **state)
{
	const unsigned flags[] = { 0, FOLL_LONGTERM, FOLL_WRITE };
	const struct pair *k = *state;
	struct pinfold *m = MACHINE();
	struct space p = new_space(m, k->parent), c;
	struct page *page, *old;

	map_anon(&p, 0, 2 * NR_CALLS * 3, RW, PRIVATE);
	put_pages(&p, 1, 0, 2 * NR_CALLS * 3);
	c = snapshot(m, &p, k->child);
	for (unsigned i = 0; i < 2 * NR_CALLS * 3; i++) {
		struct space *s = i % 2 ? &p : &c, *other = i % 2 ? &c : &p;
		unsigned f = flags[i / 2 / NR_CALLS];

		assert_ok(pinfold_use_mm(s->mm));
		assert_int_equal(call((int)(i / 2 % NR_CALLS), s->mm, s->at + i * PG, 1, f, &page), 1);
		assert_true(is_filled(page_address(page), 1, i));
		poke(s, i * PG, 7);
		assert_int_equal(*device_word(page), 7);
		assert_true(pages_are(other, 1, i, 1));
		poke(other, i * PG, 8);
		assert_int_equal(*device_word(page), 7);
		old = page_at(s, i, FOLL_WRITE);
		assert_ptr_equal(old, page);
		assert_ptr_not_equal(page_at(other, i, FOLL_WRITE), page);
		assert_ok(put_user_page(page));
	}
	assert_true(stats_of(m).unshared >= 2 * NR_CALLS * 2);
	end_space(&c);
	end_both(m, &p);
}

/* Clause M14: a pin outlives both sides. */
static void a_pin_outlives_parent_and_child(void **state)
{
	const struct pair *k = *state;
	struct pinfold *m = MACHINE();
	struct space p = new_space(m, k->parent), c;
	uint64_t free = frames_free(m);
	struct page *page;

	map_anon(&p, 0, 4, RW, PRIVATE);
	put_pages(&p, 1, 0, 4);
	page = pin_at(&p, 1, FOLL_WRITE);
	c = snapshot(m, &p, k->child);
	end_space(&p);
	put_pages(&c, 2, 1, 1);
	assert_true(pages_are(&c, 1, 0, 1) && pages_are(&c, 2, 1, 1));
	end_space(&c);
	assert_true(is_filled(page_address(page), 1, 1));
	assert_int_equal(frames_free(m), free - 1);
	assert_int_equal(pinfold_destroy(m), -EBUSY);
	assert_ok(put_user_page(page));
	end_machine(m);
}

/* ---- what is not copied, what is left out: K8, K10 ---------------------------------------------- */

/* Clause K8: shared memory stays shared, pinned or not. */
static void shared_memory_stays_shared(void **state)
{
	const struct pair *k = *state;
	struct pinfold *m = MACHINE();
	struct space p = new_space(m, k->parent), c;
	struct page *page;

	map_anon(&p, 0, 8, RW, SHARED);
	put_pages(&p, 1, 0, 6);
	page = pin_at(&p, 3, FOLL_WRITE);
	c = snapshot(m, &p, k->child);
	assert_int_equal(stats_of(m).fork_copied, 0);
	put_pages(&p, 2, 0, 1);
	put_pages(&c, 3, 1, 1);
	put_pages(&c, 4, 7, 1); /* never touched before */
	assert_true(pages_are(&c, 2, 0, 1) && pages_are(&p, 3, 1, 1) && pages_are(&p, 4, 7, 1));
	*device_word(page) = 9;
	assert_int_equal(peek(&p, 3 * PG), 9);
	assert_int_equal(peek(&c, 3 * PG), 9);
	assert_ptr_equal(page_at(&c, 3, FOLL_WRITE), page);
	assert_ok(put_user_page(page));
	end_space(&p);
	assert_true(pages_are(&c, 2, 0, 1) && pages_are(&c, 3, 1, 1));
	end_both(m, &c);
}

/* Clause K10: DONTFORK leaves out, DOFORK takes it back; the parent's pins do not care. */
static void dontfork_leaves_a_mapping_out(void **state)
{
	const struct pair *k = *state;
	struct pinfold *m = MACHINE();
	struct space p = new_space(m, k->parent), c;
	struct page *page;

	map_anon(&p, 0, 12, RW, PRIVATE);
	put_pages(&p, 1, 0, 12);
	page = pin_at(&p, 5, FOLL_WRITE);
	assert_ok(vm_madvise(p.mm, p.at + 4 * PG, 4 * PG, PINFOLD_MADV_DONTFORK));
	assert_int_equal(stats_of(m).vmas, 3);
	c = snapshot(m, &p, k->child);
	assert_int_equal(stats_of(m).vmas, 5);
	assert_int_equal(stats_of(m).fork_copied, 0);
	assert_true(pages_are(&c, 1, 0, 4) && pages_are(&c, 1, 8, 4));
	assert_true(refused(&c, 5 * PG, false) && refused(&c, 4 * PG, true));
	*device_word(page) = 2;
	assert_int_equal(peek(&p, 5 * PG), 2);
	assert_ok(put_user_page(page));
	end_space(&c);
	assert_ok(vm_madvise(p.mm, p.at, 12 * PG, PINFOLD_MADV_DOFORK));
	assert_int_equal(stats_of(m).vmas, 1);
	c = snapshot(m, &p, k->child);
	assert_int_equal(peek(&c, 5 * PG), 2);
	assert_true(pages_are(&c, 1, 6, 6));
	end_space(&c);
	end_both(m, &p);
}

/* Clause K10: WIPEONFORK gives the child zeroes, and its children as well; private memory without a file only. */
static void wipeonfork_empties_a_mapping(void **state)
{
	const struct pair *k = *state;
	struct pinfold *m = MACHINE();
	struct space p = new_space(m, k->parent), c, g;
	struct page *page;

	map_anon(&p, 0, 8, RW, PRIVATE);
	map_anon(&p, 8, 1, RW, SHARED);
	put_pages(&p, 1, 0, 9);
	assert_int_equal(vm_madvise(p.mm, p.at + 8 * PG, PG, PINFOLD_MADV_WIPEONFORK), -EINVAL);
	page = pin_at(&p, 3, FOLL_WRITE);
	assert_ok(vm_madvise(p.mm, p.at + 2 * PG, 4 * PG, PINFOLD_MADV_WIPEONFORK));
	c = snapshot(m, &p, k->child);
	assert_int_equal(stats_of(m).fork_copied, 0);
	assert_true(pages_are(&c, 1, 0, 2) && pages_are_zero(&c, 2, 4) && pages_are(&c, 1, 6, 3));
	assert_true(pages_are(&p, 1, 0, 9));
	put_pages(&c, 2, 3, 1);
	g = snapshot(m, &c, k->child);
	assert_true(pages_are_zero(&g, 2, 4) && pages_are(&c, 2, 3, 1));
	assert_true(is_filled(page_address(page), 1, 3));
	end_space(&g);
	end_space(&c);
	assert_ok(put_user_page(page));
	assert_ok(vm_madvise(p.mm, p.at, 8 * PG, PINFOLD_MADV_KEEPONFORK));
	c = snapshot(m, &p, k->child);
	assert_true(pages_are(&c, 1, 0, 9));
	end_space(&c);
	end_both(m, &p);
}

/* ---- tables ------------------------------------------------------------------------------------- */

/* Decision D12: leaf tables are shared until somebody writes below them, and then those only. */
static void leaf_tables_are_shared_until_a_write_below_them(void **state)
{
	const struct pair *k = *state;
	struct pinfold *m = MACHINE();
	struct space p = new_space(m, k->parent), c;
	struct pinfold_stats s;
	uint64_t free;

	map_anon(&p, 0, 4 * 512, RW, PRIVATE);
	for (unsigned i = 0; i < 4; i++)
		put_pages(&p, 1, i * 512 + i, 3);
	free = frames_free(m);
	c = snapshot(m, &p, k->child);
	s = stats_of(m);
	assert_int_equal(s.forks, 1);
	assert_int_equal(s.leaves_shared, 4);
	assert_int_equal(s.leaves_copied, 0);
	assert_int_equal(s.frames_free, free);
	put_pages(&c, 2, 2 * 512 + 3, 1);
	s = stats_of(m);
	assert_int_equal(s.leaves_copied, 1);
	assert_int_equal(s.frames_free, free - 1);
	put_pages(&p, 3, 3 * 512 + 4, 1);
	assert_int_equal(stats_of(m).leaves_copied, 2);
	assert_int_equal(frames_free(m), free - 2);
	assert_true(pages_are(&p, 1, 2 * 512 + 2, 3) && pages_are(&c, 1, 3 * 512 + 3, 3));
	assert_true(pages_are(&c, 2, 2 * 512 + 3, 1) && pages_are(&p, 3, 3 * 512 + 4, 1));
	end_space(&p);
	assert_true(pages_are(&c, 1, 0, 3) && pages_are(&c, 1, 513, 3));
	end_both(m, &c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PAIRS(each_side_sees_its_own_stores),
		PAIRS(addresses_are_moved_by_one_number),
		PAIRS(three_generations_end_in_any_order),
		PAIRS(siblings_keep_the_moment_they_were_made),
		PAIRS(pinned_pages_stay_with_the_parent_and_are_copied_at_once),
		PAIRS(pages_are_shared_again_when_the_pin_is_gone),
		PAIRS(the_last_owner_writes_without_a_copy),
		PAIRS(a_referenced_page_is_shared_and_copied_by_who_writes),
		PAIRS(a_pin_of_a_shared_page_unshares_it),
		PAIRS(a_pin_outlives_parent_and_child),
		PAIRS(shared_memory_stays_shared),
		PAIRS(dontfork_leaves_a_mapping_out),
		PAIRS(wipeonfork_empties_a_mapping),
		PAIRS(leaf_tables_are_shared_until_a_write_below_them),
	};

	return world_main(tests);
}
