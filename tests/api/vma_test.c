/* SPDX-License-Identifier: MIT */
/*
 * vma_test.c - changes of parts of mappings: split and merge, and what each page shows afterwards.  Files in every
 * window, direct ones too; memory where it can be mapped.  Moves stand in mremap_test.c.
 *
 * A file's page p is mapped at page p of the space and holds seed 0; memory is given seed 0 by the test.
 */
#include "anon.h"

#define N 16u

static uint64_t vmas(struct world *w)
{
	return stats_of(w->m).vmas;
}

/* Pages that a pin can have, a bit each. */
static unsigned readable(const struct space *s)
{
	unsigned bits = 0;

	assert_ok(pinfold_use_mm(s->mm));
	for (unsigned p = 0; p < N; p++)
		bits |= (get_user_pages_fast(s->at + p * PG, 1, 0, NULL) == 1) << p;
	return bits;
}

static unsigned writable(const struct space *s)
{
	unsigned bits = 0;

	assert_ok(pinfold_use_mm(s->mm));
	for (unsigned p = 0; p < N; p++)
		bits |= (get_user_pages_fast(s->at + p * PG, 1, FOLL_WRITE, NULL) == 1) << p;
	return bits;
}

/* The same by pointer. */
static unsigned touchable(const struct space *s, bool write)
{
	unsigned bits = 0;

	for (unsigned p = 0; p < N; p++)
		bits |= ((write ? store_signal(s->at + p * PG) : load_signal(s->at + p * PG)) == 0) << p;
	return bits;
}

/* Only these pages can be read, only those written; and what can be read holds seed 0. */
static void expect_rights(const struct space *s, unsigned r, unsigned wr)
{
	assert_int_equal(readable(s), r);
	assert_int_equal(writable(s), wr & r);
	if (s->window) {
		assert_int_equal(touchable(s, false), r);
		assert_int_equal(touchable(s, true), wr & r);
	}
	for (unsigned p = 0; p < N; p++)
		if (r >> p & 1)
			assert_true(pages_are(s, 0, p, 1));
}

#define BITS(from, n) (((1u << (n)) - 1) << (from))
#define ALL BITS(0, N)

/* ---- files: every kind of window ---------------------------------------------------------------- */

/* Header: munmap of any part; what is left is as it was; the same mapping again makes one of them. */
static void munmap_of_a_part_splits_and_mmap_joins(void **state)
{
	struct space s;
	struct world w;

	WORLD(w, *state);
	s = space_of(&w);
	expect_rights(&s, ALL, ALL);
	assert_ok(vm_munmap(w.mm, w.at + 5 * PG, 3 * PG)); /* the middle */
	assert_int_equal(vmas(&w), 2);
	expect_rights(&s, ALL & ~BITS(5, 3), ALL);
	assert_ok(vm_munmap(w.mm, w.at, PG)); /* the head, the tail */
	assert_ok(vm_munmap(w.mm, w.at + 15 * PG, PG));
	assert_int_equal(vmas(&w), 2);
	assert_ok(vm_munmap(w.mm, w.at + 4 * PG, 5 * PG)); /* a hole, and of both neighbours */
	assert_int_equal(vmas(&w), 2);
	expect_rights(&s, BITS(1, 3) | BITS(9, 6), ALL);
	store_page(&w, 0, 10);
	assert_ok(pinfold_commit(w.file, 0, 0, NULL));
	map_file(&s, 4, 5, RW, SHARED, w.file, 4);
	map_file(&s, 0, 1, RW, SHARED, w.file, 0);
	map_file(&s, 15, 1, RW, SHARED, w.file, 15);
	assert_int_equal(vmas(&w), 1);
	expect_rights(&s, ALL, ALL);
	assert_ok(vm_munmap(w.mm, w.at, 0x1000 * PG)); /* more than there is */
	assert_int_equal(vmas(&w), 0);
	expect_rights(&s, 0, 0);
	world_end(&w);
}

/* Header: mprotect of any part; back again they are one mapping. */
static void mprotect_of_a_part_splits_and_back_joins(void **state)
{
	struct space s;
	struct world w;

	WORLD(w, *state);
	s = space_of(&w);
	expect_rights(&s, ALL, ALL);
	assert_ok(vm_mprotect(w.mm, w.at + 4 * PG, 4 * PG, RO));
	assert_int_equal(vmas(&w), 3);
	expect_rights(&s, ALL, ALL & ~BITS(4, 4));
	assert_ok(vm_mprotect(w.mm, w.at + 6 * PG, 6 * PG, PINFOLD_PROT_NONE)); /* across the border */
	assert_int_equal(vmas(&w), 4);
	expect_rights(&s, ALL & ~BITS(6, 6), ALL & ~BITS(4, 2));
	assert_ok(vm_mprotect(w.mm, w.at + 4 * PG, 8 * PG, RO));
	assert_int_equal(vmas(&w), 3);
	expect_rights(&s, ALL, ALL & ~BITS(4, 8));
	store_page(&w, 0, 12);
	assert_ok(pinfold_commit(w.file, 0, 0, NULL));
	assert_ok(vm_mprotect(w.mm, w.at, N * PG, RW));
	assert_int_equal(vmas(&w), 1);
	expect_rights(&s, ALL, ALL);
	world_end(&w);
}

/* Header: -ENOMEM for a hole, what lies before it is done; wrong ranges. */
static void mprotect_does_what_lies_before_a_hole(void **state)
{
	struct space s;
	struct world w;

	WORLD(w, *state);
	s = space_of(&w);
	assert_ok(vm_munmap(w.mm, w.at + 8 * PG, 2 * PG));
	assert_int_equal(vm_mprotect(w.mm, w.at + 6 * PG, 6 * PG, RO), -ENOMEM);
	expect_rights(&s, ALL & ~BITS(8, 2), ALL & ~BITS(6, 2));
	assert_int_equal(vm_mprotect(w.mm, w.at + 8 * PG, PG, RO), -ENOMEM);
	assert_int_equal(vm_mprotect(w.mm, w.at + PG / 2, PG, RO), -EINVAL);
	assert_int_equal(vm_munmap(w.mm, w.at + PG / 2, PG), -EINVAL);
	assert_int_equal(vm_madvise(w.mm, w.at + PG / 2, PG, PINFOLD_MADV_DONTNEED), -EINVAL);
	assert_ok(vm_munmap(w.mm, w.at + 8 * PG, 2 * PG)); /* a hole is fine */
	expect_rights(&s, ALL & ~BITS(8, 2), ALL & ~BITS(6, 2));
	world_end(&w);
}

/* Header: FIXED replaces what was mapped there, parts too; NOREPLACE looks at all of the range. */
static void fixed_replaces_parts(void **state)
{
	struct space s;
	struct world w;
	unsigned long a;

	WORLD(w, *state);
	s = space_of(&w);
	store_page(&w, 1, 0);
	a = w.at + 6 * PG;
	assert_int_equal(vm_mmap(w.mm, a, 4 * PG, RW, SHARED | PINFOLD_MAP_FIXED_NOREPLACE, w.file, 0), -EEXIST);
	assert_int_equal(vm_mmap(w.mm, a, 4 * PG, RW, SHARED | FIXED, w.file, 0), a);
	assert_int_equal(vmas(&w), 3);
	assert_true(pages_are(&s, 0, 1, 5) && pages_are(&s, 0, 10, 6));
	s.at = a;
	assert_true(pages_are(&s, 1, 0, 1) && pages_are(&s, 0, 1, 3)); /* the file's pages 0 .. 3 */
	put_pages(&s, 2, 3, 1);
	s.at = w.at;
	assert_true(pages_are(&s, 2, 3, 1));
	a = w.at + 8 * PG;
	assert_int_equal(vm_mmap(w.mm, a, 40 * PG, RW, SHARED | FIXED, w.file, 8 * PG), a); /* a part, the rest, a hole */
	assert_int_equal(vmas(&w), 3);
	assert_true(pages_are(&s, 0, 8, 8));
	assert_ok(pinfold_commit(w.file, 0, 0, NULL));
	assert_true(disk_is(&w, 1, 0) && disk_is(&w, 2, 3) && disk_is(&w, 0, 6));
	world_end(&w);
}

/* Every other page of a mapping with another right: as many mappings as pages, and one again. */
static void a_mapping_can_be_cut_into_pages(void **state)
{
	enum { PAGES = 64 };
	struct space s;
	struct world w;

	WORLD(w, *state, .pages = PAGES);
	s = space_of(&w);
	for (unsigned p = 0; p < PAGES; p += 2)
		assert_ok(vm_mprotect(w.mm, w.at + p * PG, PG, RO));
	assert_int_equal(vmas(&w), PAGES);
	expect_rights(&s, ALL, 0xaaaa);
	for (unsigned p = 1; p < PAGES; p += 2)
		store_page(&w, 1, p);
	assert_ok(pinfold_commit(w.file, 0, 0, NULL));
	assert_ok(vm_mprotect(w.mm, w.at, PAGES * PG, RO));
	assert_int_equal(vmas(&w), 1);
	assert_ok(vm_mprotect(w.mm, w.at, PAGES * PG, RW));
	for (unsigned p = 0; p < PAGES; p++) {
		assert_true(page_is(&w, p % 2, p) && disk_is(&w, p % 2, p));
		store_page(&w, 2, p);
	}
	for (unsigned p = 1; p < PAGES; p += 3)
		assert_ok(vm_munmap(w.mm, w.at + p * PG, PG));
	assert_int_equal(vmas(&w), 22);
	for (unsigned p = 0; p < PAGES; p += 3)
		assert_true(page_is(&w, 2, p));
	world_end(&w);
}

/* Clauses M1, M4: pins of the pages whose mapping is cut away or protected. */
static void pins_do_not_care_about_cuts(void **state)
{
	struct page *pages[N], *again;
	struct space s;
	struct world w;

	WORLD(w, *state);
	s = space_of(&w);
	assert_int_equal(get_user_pages_fast(w.at, N, FOLL_WRITE, pages), N);
	assert_ok(vm_munmap(w.mm, w.at + 3 * PG, 2 * PG));
	assert_ok(vm_mprotect(w.mm, w.at + 8 * PG, 2 * PG, RO));
	for (unsigned p = 0; p < N; p++)
		fill(page_address(pages[p]), 0, p);
	fill(page_address(pages[3]), 1, 3);
	fill(page_address(pages[8]), 0, 8);
	expect_rights(&s, ALL & ~BITS(3, 2), ALL & ~BITS(8, 2));
	map_file(&s, 3, 2, RW, SHARED, w.file, 3);
	assert_true(pages_are(&s, 1, 3, 1));
	again = pin_one(w.at + 3 * PG, FOLL_WRITE);
	assert_ptr_equal(again, pages[3]);
	assert_ok(put_user_page(again));
	assert_ok(put_user_pages_dirty_lock(pages, N));
	world_end(&w);
}

/* Header: advice that stays with a mapping splits it, taking it back joins; any mapping can have it. */
static void lasting_advice_splits_and_joins(void **state)
{
	const int there[] = { PINFOLD_MADV_DONTFORK, PINFOLD_MADV_HUGEPAGE };
	const int back[] = { PINFOLD_MADV_DOFORK, PINFOLD_MADV_NOHUGEPAGE };
	struct space s;
	struct world w;

	WORLD(w, *state);
	s = space_of(&w);
	for (unsigned i = 0; i < 2; i++) {
		assert_ok(vm_madvise(w.mm, w.at + 4 * PG, 4 * PG, there[i]));
		assert_int_equal(vmas(&w), 3);
		assert_ok(vm_madvise(w.mm, w.at + 5 * PG, PG, PINFOLD_MADV_NORMAL));
		assert_int_equal(vmas(&w), 3);
		expect_rights(&s, ALL, ALL);
		assert_ok(vm_madvise(w.mm, w.at, N * PG, back[i]));
		assert_int_equal(vmas(&w), 1);
		assert_int_equal(vm_madvise(w.mm, w.at + N * PG, PG, there[i]), -ENOMEM);
	}
	assert_int_equal(vm_madvise(w.mm, w.at, PG, PINFOLD_MADV_WIPEONFORK), -EINVAL); /* of a file */
	assert_int_equal(vm_madvise(w.mm, w.at, PG, 99), -EINVAL);
	world_end(&w);
}

/* Header: -EDEADLK for everything that changes mappings while the thread holds the lock. */
static void changes_under_the_mmap_lock_are_refused(void **state)
{
	struct world w;

	WORLD(w, *state);
	mmap_read_lock(w.mm);
	assert_int_equal(vm_munmap(w.mm, w.at, PG), -EDEADLK);
	assert_int_equal(vm_mprotect(w.mm, w.at, PG, RO), -EDEADLK);
	assert_int_equal(vm_madvise(w.mm, w.at, PG, PINFOLD_MADV_DONTNEED), -EDEADLK);
	assert_int_equal(vm_mremap(w.mm, w.at, PG, 2 * PG, PINFOLD_MREMAP_MAYMOVE, 0), -EDEADLK);
	assert_int_equal(vm_mmap(w.mm, 0, PG, RW, SHARED, w.file, 0), -EDEADLK);
	mmap_read_unlock(w.mm);
	assert_int_equal(vmas(&w), 1);
	world_end(&w);
}

/* ---- memory ------------------------------------------------------------------------------------- */

/* Header: neighbours that fit become one mapping; others do not. */
static void neighbours_that_fit_become_one_mapping(void **state)
{
	const struct kind *k = *state;
	struct space s;
	struct world w;

	WORLD(w, k);
	s = new_space(w.m, k->window);
	map_anon(&s, 0, 4, RW, PRIVATE);
	map_anon(&s, 8, 4, RW, PRIVATE);
	assert_int_equal(vmas(&w), 3);
	map_anon(&s, 4, 4, RW, PRIVATE);
	assert_int_equal(vmas(&w), 2); /* with that of w */
	map_anon(&s, 12, 1, RO, PRIVATE);
	map_anon(&s, 13, 1, RO, SHARED);
	map_file(&s, 14, 1, RO, PRIVATE, w.file, 3);
	map_file(&s, 15, 1, RO, PRIVATE, w.file, 4);
	assert_int_equal(vmas(&w), 5);
	map_file(&s, 16, 1, RO, SHARED, w.file, 5);
	map_file(&s, 17, 1, RO, SHARED, w.file, 7); /* not what follows in the file */
	assert_int_equal(vmas(&w), 7);
	put_pages(&s, 1, 0, 12);
	assert_ok(vm_mprotect(s.mm, s.at, 13 * PG, RO));
	assert_int_equal(vmas(&w), 6);
	assert_true(pages_are(&s, 1, 0, 12) && pages_are_zero(&s, 12, 2));
	end_space(&s);
	assert_ok(pinfold_use_mm(w.mm));
	world_end(&w);
}

/* The cuts of above on memory: what is cut away is free, what is left keeps its content. */
static void parts_of_memory_go_and_come_empty(void **state)
{
	const struct kind *k = *state;
	struct pinfold *m = MACHINE();
	struct space s = new_space(m, k->window);
	uint64_t free = frames_free(m);

	map_anon(&s, 0, N, RW, PRIVATE);
	put_pages(&s, 0, 0, N);
	assert_ok(vm_munmap(s.mm, s.at + 5 * PG, 3 * PG));
	assert_ok(vm_mprotect(s.mm, s.at + 10 * PG, 2 * PG, RO));
	assert_int_equal(frames_free(m), free - 13);
	expect_rights(&s, ALL & ~BITS(5, 3), ALL & ~BITS(10, 2));
	map_anon(&s, 5, 3, RW, PRIVATE);
	assert_int_equal(stats_of(m).vmas, 3);
	assert_true(pages_are_zero(&s, 5, 3));
	put_pages(&s, 0, 5, 3);
	assert_int_equal(vm_mmap(s.mm, s.at + 2 * PG, 4 * PG, RW, PRIVATE | ANON | FIXED, NULL, 0), s.at + 2 * PG);
	assert_true(pages_are_zero(&s, 2, 4));
	assert_int_equal(frames_free(m), free - 12);
	put_pages(&s, 0, 2, 4);
	assert_ok(vm_mprotect(s.mm, s.at, N * PG, RW));
	assert_int_equal(stats_of(m).vmas, 1);
	expect_rights(&s, ALL, ALL);
	end_both(m, &s);
}

/* A shared mapping of memory in parts: its frames go with the last mapping of all. */
static void parts_of_shared_memory_keep_their_content(void **state)
{
	const struct kind *k = *state;
	struct pinfold *m = MACHINE();
	struct space s = new_space(m, k->window), c;

	map_anon(&s, 0, N, RW, SHARED);
	put_pages(&s, 0, 0, N);
	c = snapshot(m, &s, k->window);
	assert_ok(vm_munmap(s.mm, s.at + 4 * PG, 8 * PG));
	assert_ok(vm_mprotect(c.mm, c.at + 2 * PG, 4 * PG, RO));
	expect_rights(&s, ALL & ~BITS(4, 8), ALL);
	expect_rights(&c, ALL, ALL & ~BITS(2, 4));
	poke(&c, 15 * PG + 8, 3);
	assert_int_equal(peek(&s, 15 * PG + 8), 3);
	end_space(&s);
	assert_int_equal(peek(&c, 15 * PG + 8), 3);
	assert_true(pages_are(&c, 0, 0, 15));
	end_both(m, &c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		EACH(munmap_of_a_part_splits_and_mmap_joins),
		EACH(mprotect_of_a_part_splits_and_back_joins),
		EACH(mprotect_does_what_lies_before_a_hole),
		EACH(fixed_replaces_parts),
		EACH(a_mapping_can_be_cut_into_pages),
		EACH(pins_do_not_care_about_cuts),
		EACH(lasting_advice_splits_and_joins),
		EACH(changes_under_the_mmap_lock_are_refused),
		BOTH(neighbours_that_fit_become_one_mapping),
		BOTH(parts_of_memory_go_and_come_empty),
		BOTH(parts_of_shared_memory_keep_their_content),
	};

	return world_main(tests);
}
