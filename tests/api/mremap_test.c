/* SPDX-License-Identifier: MIT */
/*
 * mremap_test.c - vm_mremap(): mappings shrink, grow and move, whole or in part; slots and tables move, never bytes, so
 * pins and the process stay on the same pages (clause M3).
 */
#include "anon.h"

#define N 16u
#define MAYMOVE PINFOLD_MREMAP_MAYMOVE
#define TO (MAYMOVE | PINFOLD_MREMAP_FIXED)
#define KEEP (MAYMOVE | PINFOLD_MREMAP_DONTUNMAP)

static long resize(struct space *s, unsigned first, unsigned was, unsigned is, int flags)
{
	return vm_mremap(s->mm, s->at + first * PG, was * PG, is * PG, flags, 0);
}

static long move(struct space *s, unsigned first, unsigned n, unsigned to)
{
	return vm_mremap(s->mm, s->at + first * PG, n * PG, n * PG, TO, s->at + to * PG);
}

/* The space as if page `first` of it stood where page `now` is. */
static struct space seen_from(const struct space *s, unsigned first, unsigned now)
{
	struct space moved = *s;

	moved.at += now * PG;
	moved.at -= first * PG;
	return moved;
}

static bool is_hole(const struct space *s, unsigned p)
{
	assert_ok(pinfold_use_mm(s->mm));
	return get_user_pages_fast(s->at + p * PG, 1, 0, NULL) == -EFAULT && refused(s, p * PG, false);
}

/* ---- files: every kind of window ---------------------------------------------------------------- */

/* Header: smaller: what lies behind is unmapped.  Larger: the file's next pages. */
static void a_mapping_of_a_file_shrinks_and_grows(void **state)
{
	struct space s;
	struct world w;

	WORLD(w, *state);
	s = space_of(&w);
	assert_int_equal(resize(&s, 0, 16, 16, 0), s.at);
	assert_int_equal(resize(&s, 0, 16, 6, 0), s.at);
	assert_true(pages_are(&s, 0, 0, 6) && is_hole(&s, 6) && is_hole(&s, 15));
	assert_int_equal(resize(&s, 0, 6, 12, 0), s.at);
	assert_true(pages_are(&s, 0, 0, 12) && is_hole(&s, 12));
	assert_int_equal(resize(&s, 4, 8, 4, 0), s.at + 4 * PG); /* the end of a mapping */
	assert_true(pages_are(&s, 0, 0, 8) && is_hole(&s, 8));
	assert_int_equal(resize(&s, 4, 4, 14, 0), s.at + 4 * PG); /* beyond the end of the file */
	assert_true(pages_are(&s, 0, 0, 16));
	assert_int_equal(get_user_pages_fast(s.at + 16 * PG, 1, 0, NULL), -EFAULT);
	assert_int_equal(last_error(), -ENXIO);
	assert_int_equal(stats_of(w.m).vmas, 1);
	put_pages(&s, 1, 14, 2);
	assert_ok(pinfold_commit(w.file, 0, 0, NULL));
	assert_true(disk_is(&w, 1, 14) && disk_is(&w, 1, 15));
	world_end(&w);
}

/* Clause M3: what was pinned, stored and not yet committed goes along; the old place is a hole. */
static void a_mapping_of_a_file_moves_with_its_pages(void **state)
{
	struct page *page, *again;
	struct space s, moved;
	struct world w;

	WORLD(w, *state);
	s = space_of(&w);
	put_pages(&s, 1, 4, 2);
	page = pin_at(&s, 5, FOLL_WRITE);
	assert_int_equal(move(&s, 0, 16, 40), s.at + 40 * PG);
	moved = seen_from(&s, 0, 40);
	assert_true(is_hole(&s, 0) && is_hole(&s, 5));
	assert_true(pages_are(&moved, 0, 0, 4) && pages_are(&moved, 1, 4, 2) && pages_are(&moved, 0, 6, 10));
	*device_word(page) = 9;
	assert_int_equal(peek(&moved, 5 * PG), 9);
	poke(&moved, 5 * PG + 8, 10);
	assert_int_equal(device_word(page)[1], 10);
	again = pin_at(&moved, 5, FOLL_WRITE);
	assert_ptr_equal(again, page);
	assert_ok(put_user_page(again));
	fill(page_address(page), 2, 5);
	assert_ok(put_user_page(page));
	assert_ok(pinfold_commit(w.file, 0, 0, NULL));
	assert_true(disk_is(&w, 1, 4) && disk_is(&w, 2, 5));
	put_pages(&moved, 3, 7, 1); /* protected by the commit, at the new place */
	assert_ok(pinfold_commit(w.file, 0, 0, NULL));
	assert_true(disk_is(&w, 3, 7));
	world_end(&w);
}

/* A part moves: the rest stays, three mappings; back again it is one. */
static void a_part_of_a_mapping_moves_away_and_back(void **state)
{
	struct space s, moved;
	struct world w;

	WORLD(w, *state);
	s = space_of(&w);
	put_pages(&s, 1, 6, 2);
	assert_int_equal(move(&s, 6, 4, 60), s.at + 60 * PG);
	moved = seen_from(&s, 6, 60);
	assert_int_equal(stats_of(w.m).vmas, 3);
	assert_true(pages_are(&s, 0, 0, 6) && is_hole(&s, 6) && is_hole(&s, 9) && pages_are(&s, 0, 10, 6));
	assert_true(pages_are(&moved, 1, 6, 2) && pages_are(&moved, 0, 8, 2));
	assert_int_equal(move(&s, 60, 4, 6), s.at + 6 * PG);
	assert_int_equal(stats_of(w.m).vmas, 1);
	assert_true(pages_are(&s, 0, 0, 6) && pages_are(&s, 1, 6, 2) && pages_are(&s, 0, 8, 8));
	world_end(&w);
}

/* ---- memory ------------------------------------------------------------------------------------- */

/* Header: growth in place where there is room, else a move where it may; new pages are empty. */
static void memory_grows_in_place_or_moves(void **state)
{
	const struct kind *k = *state;
	struct pinfold *m = MACHINE();
	struct space s = new_space(m, k->window), moved;
	struct page *page;
	long a;

	map_anon(&s, 0, 4, RW, PRIVATE);
	map_anon(&s, 8, 1, RO, PRIVATE);
	put_pages(&s, 1, 0, 4);
	page = pin_at(&s, 2, FOLL_WRITE);
	assert_int_equal(resize(&s, 0, 4, 8, 0), s.at);
	assert_true(pages_are(&s, 1, 0, 4) && pages_are_zero(&s, 4, 4));
	assert_int_equal(resize(&s, 0, 8, 9, 0), -ENOMEM);
	assert_int_equal(stats_of(m).vmas, 2);
	a = resize(&s, 0, 8, 20, MAYMOVE);
	assert_true(a > 0 && (unsigned long)a != s.at);
	moved = s;
	moved.at = (unsigned long)a;
	assert_true(pages_are(&moved, 1, 0, 4) && pages_are_zero(&moved, 4, 16));
	assert_true(is_hole(&s, 0) && is_hole(&s, 7) && pages_are_zero(&s, 8, 1));
	*device_word(page) = 6;
	assert_int_equal(peek(&moved, 2 * PG), 6);
	assert_ptr_equal(page_at(&moved, 2, FOLL_WRITE), page);
	a = resize(&moved, 0, 20, 3, MAYMOVE); /* smaller: never moves */
	assert_int_equal(a, moved.at);
	assert_true(is_hole(&moved, 3));
	assert_ok(put_user_page(page));
	end_both(m, &s);
}

/* Header: FIXED goes where it is told and unmaps what is there; frames of that are free. */
static void fixed_replaces_what_is_at_the_new_place(void **state)
{
	const struct kind *k = *state;
	struct pinfold *m = MACHINE();
	struct space s = new_space(m, k->window), moved;
	uint64_t free = frames_free(m);
	struct page *page;

	map_anon(&s, 0, 4, RW, PRIVATE);
	map_anon(&s, 20, 8, RW, PRIVATE);
	put_pages(&s, 1, 0, 4);
	put_pages(&s, 2, 20, 8);
	page = pin_at(&s, 22, FOLL_WRITE);
	assert_int_equal(move(&s, 0, 4, 22), s.at + 22 * PG);
	moved = seen_from(&s, 0, 22);
	assert_true(pages_are(&moved, 1, 0, 4) && pages_are(&s, 2, 20, 2) && pages_are(&s, 2, 26, 2));
	assert_true(is_filled(page_address(page), 2, 22)); /* M1 */
	assert_int_equal(frames_free(m), free - 9);
	assert_ok(put_user_page(page));
	assert_int_equal(frames_free(m), free - 8);
	/* longer and shorter at once */
	assert_int_equal(vm_mremap(s.mm, s.at + 22 * PG, 4 * PG, 6 * PG, TO, s.at + 100 * PG), s.at + 100 * PG);
	moved = seen_from(&s, 0, 100);
	assert_true(pages_are(&moved, 1, 0, 4) && pages_are_zero(&moved, 4, 2));
	assert_int_equal(vm_mremap(s.mm, s.at + 100 * PG, 6 * PG, 2 * PG, TO, s.at + 200 * PG), s.at + 200 * PG);
	moved = seen_from(&s, 0, 200);
	assert_true(pages_are(&moved, 1, 0, 2) && is_hole(&moved, 2) && is_hole(&s, 102));
	assert_int_equal(frames_free(m), free - 6);
	end_both(m, &s);
}

/* Clause M3: DONTUNMAP: the pages are at the new place, the old one stays and is empty. */
static void dontunmap_leaves_an_empty_mapping_behind(void **state)
{
	const struct kind *k = *state;
	struct pinfold *m = MACHINE();
	struct space s = new_space(m, k->window), moved;
	struct page *page;
	long a;

	map_anon(&s, 0, 4, RW, PRIVATE);
	map_anon(&s, 8, 4, RW, SHARED);
	put_pages(&s, 1, 0, 4);
	page = pin_at(&s, 1, FOLL_WRITE);
	a = vm_mremap(s.mm, s.at, 4 * PG, 4 * PG, KEEP, 0);
	assert_true(a > 0 && (unsigned long)a != s.at);
	moved = s;
	moved.at = (unsigned long)a;
	assert_true(pages_are(&moved, 1, 0, 4) && pages_are_zero(&s, 0, 4));
	put_pages(&s, 2, 0, 4);
	*device_word(page) = 3;
	assert_int_equal(peek(&moved, PG), 3);
	assert_true(pages_are(&s, 2, 0, 4));
	assert_ok(put_user_page(page));
	assert_int_equal(vm_mremap(s.mm, s.at, 4 * PG, 5 * PG, KEEP, 0), -EINVAL);
	assert_int_equal(vm_mremap(s.mm, s.at + 8 * PG, 4 * PG, 4 * PG, KEEP, 0), -EINVAL); /* shared */
	assert_int_equal(vm_mremap(s.mm, s.at, 4 * PG, 4 * PG, PINFOLD_MREMAP_DONTUNMAP, 0), -EINVAL);
	a = vm_mremap(s.mm, s.at, 4 * PG, 4 * PG, KEEP | PINFOLD_MREMAP_FIXED, s.at + 40 * PG);
	assert_int_equal(a, s.at + 40 * PG);
	moved = seen_from(&s, 0, 40);
	assert_true(pages_are(&moved, 2, 0, 4) && pages_are_zero(&s, 0, 4));
	end_both(m, &s);
}

/* Header: arguments, holes, two mappings, the stretch; nothing changed. */
static void wrong_moves_are_refused(void **state)
{
	const struct kind *k = *state;
	struct pinfold *m = MACHINE();
	struct space s = new_space(m, k->window);
	unsigned long start, end;

	map_anon(&s, 0, 4, RW, PRIVATE);
	map_anon(&s, 4, 4, RO, PRIVATE);
	put_pages(&s, 1, 0, 4);
	assert_ok(pinfold_mm_range(s.mm, &start, &end));
	assert_int_equal(vm_mremap(s.mm, s.at + 1, PG, PG, MAYMOVE, 0), -EINVAL);
	assert_int_equal(vm_mremap(s.mm, s.at, 4 * PG, 0, MAYMOVE, 0), -EINVAL);
	assert_int_equal(vm_mremap(s.mm, s.at, 4 * PG, 4 * PG, 64 | MAYMOVE, 0), -EINVAL);
	assert_int_equal(vm_mremap(s.mm, s.at, 4 * PG, 4 * PG, PINFOLD_MREMAP_FIXED, s.at + 64 * PG), -EINVAL);
	assert_int_equal(vm_mremap(s.mm, s.at, 4 * PG, 4 * PG, TO, s.at + 64 * PG + 1), -EINVAL);
	assert_int_equal(move(&s, 0, 4, 2), -EINVAL); /* overlap */
	assert_int_equal(move(&s, 0, 4, 0), -EINVAL);
	assert_int_equal(vm_mremap(s.mm, s.at + 2 * PG, 2 * PG, 4 * PG, TO, s.at), -EINVAL);
	assert_int_equal(vm_mremap(s.mm, s.at + 2 * PG, 4 * PG, 5 * PG, MAYMOVE, 0), -EFAULT); /* two mappings */
	assert_int_equal(move(&s, 2, 4, 64), -EFAULT);
	assert_int_equal(move(&s, 6, 4, 64), -EFAULT); /* a hole */
	assert_int_equal(move(&s, 9, 1, 64), -EFAULT);
	assert_int_equal(vm_mremap(s.mm, s.at, 4 * PG, 4 * PG, TO, end - 2 * PG), -ENOMEM);
	assert_int_equal(resize(&s, 0, 4, 5, 0), -ENOMEM);
	assert_int_equal(vm_mremap(s.mm, s.at, 4 * PG, end - start, MAYMOVE, 0), -ENOMEM);
	assert_int_equal(vm_mremap(NULL, s.at, PG, PG, 0, 0), -EINVAL);
	assert_int_equal(stats_of(m).vmas, 2);
	assert_true(pages_are(&s, 1, 0, 4) && pages_are_zero(&s, 4, 4));
	end_both(m, &s);
}

/* Header: what shrinks is unmapped, be it of other mappings or not there. */
static void to_shrink_is_to_unmap_the_rest_whatever_is_there(void **state)
{
	const struct kind *k = *state;
	struct pinfold *m = MACHINE();
	struct space s = new_space(m, k->window);

	map_anon(&s, 0, 4, RW, PRIVATE);
	map_anon(&s, 4, 2, RO, PRIVATE);
	map_anon(&s, 8, 2, RW, PRIVATE);
	put_pages(&s, 1, 0, 4);
	assert_int_equal(resize(&s, 2, 4, 4, 0), s.at + 2 * PG); /* nothing to do, so nothing to look at */
	assert_int_equal(resize(&s, 1, 8, 2, 0), s.at + PG);
	assert_true(pages_are(&s, 1, 0, 3));
	for (unsigned p = 3; p < 9; p++)
		assert_true(refused(&s, p * PG, false));
	assert_true(pages_are_zero(&s, 9, 1));
	assert_int_equal(vm_mremap(s.mm, s.at + 2 * PG, 8 * PG, PG, TO, s.at + 64 * PG), s.at + 64 * PG);
	assert_true(refused(&s, 2 * PG, false) && refused(&s, 9 * PG, false));
	assert_true(pages_are(&s, 1, 0, 2));
	assert_int_equal(stats_of(m).vmas, 2);
	end_both(m, &s);
}

/* Header: where both places stand alike to 2 MiB whole tables move, else slots; either way the same pages. */
static void tables_move_where_they_can_and_slots_else(void **state)
{
	const struct kind *k = *state;
	const unsigned to[] = { 8 * 512, 8 * 512 + 3, 8 * 512 + 511 };
	struct pinfold *m = MACHINE();
	uint64_t free = frames_free(m);

	for (unsigned i = 0; i < 3; i++) {
		struct space s = new_space(m, k->window), moved;
		struct pinfold_stats before, after;
		struct page *page;

		map_anon(&s, 0, 3 * 512, RW, PRIVATE);
		for (unsigned p = 0; p < 3 * 512; p += 64)
			put_pages(&s, 1, p, 2);
		page = pin_at(&s, 1024, FOLL_WRITE);
		before = stats_of(m);
		assert_int_equal(move(&s, 0, 3 * 512, to[i]), s.at + to[i] * PG);
		after = stats_of(m);
		assert_int_equal(after.moved_tables - before.moved_tables, i ? 0 : 3);
		assert_int_equal(after.moved_slots - before.moved_slots, i ? 48 : 0);
		assert_int_equal(after.frames_free, before.frames_free);
		moved = seen_from(&s, 0, to[i]);
		for (unsigned p = 0; p < 3 * 512; p += 64)
			assert_true(pages_are(&moved, 1, p, 2) && pages_are_zero(&moved, p + 2, 1));
		poke(&moved, 1024 * PG, 4);
		assert_int_equal(*device_word(page), 4);
		assert_ptr_equal(page_at(&moved, 1024, FOLL_WRITE), page);
		assert_true(is_hole(&s, 0) && is_hole(&s, 1024));
		check_machine(m);
		assert_ok(put_user_page(page));
		end_space(&s);
		assert_int_equal(frames_free(m), free);
	}
	end_machine(m);
}

/* A private mapping of a file: its own pages and the file's, and the offset, go along. */
static void a_private_mapping_of_a_file_moves_and_grows(void **state)
{
	const struct kind *k = *state;
	struct space s, moved;
	struct world w;

	WORLD(w, k);
	s = new_space(w.m, k->window);
	map_file(&s, 0, 8, RW, PRIVATE, w.file, 0);
	put_pages(&s, 1, 2, 2);
	assert_true(pages_are(&s, 0, 4, 2));
	assert_int_equal(vm_mremap(s.mm, s.at, 8 * PG, 12 * PG, TO, s.at + 50 * PG), s.at + 50 * PG);
	moved = seen_from(&s, 0, 50);
	assert_true(pages_are(&moved, 0, 0, 2) && pages_are(&moved, 1, 2, 2) && pages_are(&moved, 0, 4, 8));
	store_page(&w, 5, 10);
	assert_true(pages_are(&moved, 5, 10, 1));
	put_pages(&moved, 1, 10, 1);
	assert_ok(vm_madvise(s.mm, moved.at, 12 * PG, PINFOLD_MADV_DONTNEED));
	assert_true(pages_are(&moved, 0, 0, 10) && pages_are(&moved, 5, 10, 1));
	end_space(&s);
	assert_ok(pinfold_use_mm(w.mm));
	world_end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		EACH(a_mapping_of_a_file_shrinks_and_grows),
		EACH(a_mapping_of_a_file_moves_with_its_pages),
		EACH(a_part_of_a_mapping_moves_away_and_back),
		BOTH(memory_grows_in_place_or_moves),
		BOTH(fixed_replaces_what_is_at_the_new_place),
		BOTH(dontunmap_leaves_an_empty_mapping_behind),
		BOTH(wrong_moves_are_refused),
		BOTH(to_shrink_is_to_unmap_the_rest_whatever_is_there),
		BOTH(tables_move_where_they_can_and_slots_else),
		FILES(a_private_mapping_of_a_file_moves_and_grows),
	};

	return world_main(tests);
}
