/* SPDX-License-Identifier: MIT */
/* frame_vector_test.c - frame vectors: contract.md group Y, its holes closed. */
#include "anon.h"

#include "mm/types.h"

#include <pinfold/frame_vector.h>

static struct frame_vector *new_vector(unsigned n)
{
	struct frame_vector *vec = frame_vector_create(n);

	assert_non_null(vec);
	assert_int_equal(vec->nr_allocated, n);
	assert_int_equal(frame_vector_count(vec), 0);
	return vec;
}

static void end_vector(struct frame_vector *vec)
{
	assert_ok(put_vaddr_frames(vec));
	assert_int_equal(frame_vector_count(vec), 0);
	assert_ok(frame_vector_destroy(vec));
}

/* Contract 1.8: the sizes that can be. */
static void vectors_of_impossible_size_are_not_made(void **state)
{
	(void)state;
	assert_null(frame_vector_create(0));
	assert_null(frame_vector_create(134217728));
	assert_null(frame_vector_create(~0u));
	assert_int_equal(frame_vector_destroy(NULL), -EINVAL);
	end_vector(new_vector(1));
}

/* Clauses Y5, Y7, Y9, Y11: pinned for long, counted, given back once however often it is asked for. */
static void frames_are_pinned_for_long_and_given_back_once(void **state)
{
	struct frame_vector *vec = new_vector(8);
	struct page **pages;
	struct world w;

	WORLD(w, *state);
	assert_int_equal(get_vaddr_frames(w.at + 2 * PG, 5, 0, vec), 5);
	assert_int_equal(frame_vector_count(vec), 5);
	assert_true(vec->got_ref && !vec->is_pfns);
	assert_int_equal(now_pinned(w.m), 5);
	pages = frame_vector_pages(vec);
	for (unsigned i = 0; i < 5; i++) {
		assert_true(is_filled(page_address(pages[i]), 0, 2 + i));
		assert_true(has_flag(pages[i], PG_longterm));
	}
	assert_int_equal(frame_vector_destroy(vec), -EBUSY); /* Y12 */
	assert_ok(put_vaddr_frames(vec));
	assert_int_equal(now_pinned(w.m), 0);
	assert_false(vec->got_ref);
	assert_ok(put_vaddr_frames(vec));
	assert_int_equal(now_pinned(w.m), 0);
	/* and again */
	assert_int_equal(get_vaddr_frames(w.at, 1, 0, vec), 1);
	end_vector(vec);
	world_end(&w);
}

/* Clause Y12: a vector with frames is not destroyed, nor filled again. */
static void a_vector_with_frames_is_busy(void **state)
{
	struct frame_vector *vec = new_vector(2);
	struct page *first;
	struct world w;

	WORLD(w, *state);
	assert_int_equal(get_vaddr_frames(w.at, 2, 0, vec), 2);
	first = frame_vector_pages(vec)[0];
	assert_int_equal(get_vaddr_frames(w.at + PG, 1, 0, vec), -EBUSY);
	assert_int_equal(get_vaddr_frames(w.at + PG, 0, 0, vec), -EBUSY);
	assert_int_equal(frame_vector_destroy(vec), -EBUSY);
	assert_ptr_equal(frame_vector_pages(vec)[0], first);
	assert_int_equal(now_pinned(w.m), 2);
	assert_int_equal(get_vaddr_frames(w.at, 1, 0, NULL), -EINVAL);
	end_vector(vec);
	world_end(&w);
}

/* Clauses Y1, Y2: none is 0, wherever; too many are as many as there is room for. */
static void the_number_of_frames_is_0_or_what_there_is_room_for(void **state)
{
	struct frame_vector *vec = new_vector(3);
	struct world w;

	WORLD(w, *state);
	assert_int_equal(get_vaddr_frames(0, 0, 0, vec), 0);
	assert_int_equal(frame_vector_count(vec), 0);
	assert_int_equal(get_vaddr_frames(w.at, 10, 0, vec), 3);
	assert_int_equal(now_pinned(w.m), 3);
	assert_ok(put_vaddr_frames(vec));
	assert_int_equal(get_vaddr_frames(w.at, ~0u, 0, vec), 3);
	end_vector(vec);
	world_end(&w);
}

/* Clauses Y3, Y5, Y7, P1: -EFAULT and an empty vector where there is nothing; the count where there is something. */
static void a_hole_ends_the_vector(void **state)
{
	struct frame_vector *vec = new_vector(8);
	struct world w;

	WORLD(w, *state, .pages = 3, .map_pages = 5);
	assert_int_equal(get_vaddr_frames(w.at + 5 * PG, 2, 0, vec), -EFAULT);
	assert_int_equal(last_error(), -EFAULT);
	assert_int_equal(get_vaddr_frames(w.at + 3 * PG, 2, 0, vec), -EFAULT);
	assert_int_equal(last_error(), -ENXIO);
	assert_int_equal(get_vaddr_frames(~0ul - PG, 2, 0, vec), -EOVERFLOW);
	assert_int_equal(frame_vector_count(vec), 0);
	assert_false(vec->got_ref);
	assert_ok(pinfold_use_mm(NULL));
	assert_int_equal(get_vaddr_frames(w.at, 1, 0, vec), -EFAULT);
	assert_ok(pinfold_use_mm(w.mm));
	assert_int_equal(get_vaddr_frames(w.at + PG, 4, 0, vec), 2);
	assert_int_equal(frame_vector_count(vec), 2);
	end_vector(vec);
	world_end(&w);
}

/* Clauses Y4, V7, T19: every mapping of the range is looked at, not the first one only. */
static void a_vector_spans_mappings_and_each_is_checked(void **state)
{
	const struct kind *k = *state;
	struct pinfold_file_options fo = { .size = sizeof(fo), .flags = k->flags };
	struct frame_vector *vec = new_vector(8);
	struct pinfold_file *memory;
	struct space s;
	struct world w;

	WORLD(w, k);
	s = new_space(w.m, w.mode);
	if (w.mode == PINFOLD_WINDOW_DIRECT)
		s.at = free_place(8);
	assert_ok(pinfold_open_memory(w.m, 4 * PG, &fo, &memory));
	map_file(&s, 0, 2, RW, SHARED, memory, 0);
	map_file(&s, 2, 2, RW, SHARED, memory, 2);
	map_file(&s, 4, 2, RW, SHARED, w.file, 0);
	assert_ok(pinfold_use_mm(s.mm));
	assert_int_equal(get_vaddr_frames(s.at, 6, 0, vec), 6);
	assert_ok(put_vaddr_frames(vec));
	/* nobody could take a file's pages back for a commit: no long-term write pins of them */
	assert_int_equal(get_vaddr_frames(s.at, 6, FOLL_WRITE, vec), 4);
	assert_ok(put_vaddr_frames(vec));
	assert_int_equal(get_vaddr_frames(s.at + 4 * PG, 2, FOLL_WRITE, vec), -EFAULT);
	assert_int_equal(frame_vector_count(vec), 0);
	assert_int_equal(now_pinned(w.m), 0);
	end_vector(vec);
	end_space(&s);
	assert_ok(pinfold_close(memory));
	assert_ok(pinfold_use_mm(w.mm));
	world_end(&w);
}

/* Clauses Y5, U4: long-term: untouched private memory gets pages of its own, which later stores go to. */
static void the_device_sees_what_is_stored_later(void **state)
{
	const struct kind *k = *state;
	struct pinfold *m = MACHINE();
	struct frame_vector *vec = new_vector(4);
	struct space s = new_space(m, k->window);

	map_anon(&s, 0, 4, RW, PRIVATE);
	assert_ok(pinfold_use_mm(s.mm));
	assert_int_equal(get_vaddr_frames(s.at, 4, 0, vec), 4);
	assert_int_equal(now_pinned(m), 4);
	poke(&s, 2 * PG, 77);
	assert_int_equal(*device_word(frame_vector_pages(vec)[2]), 77);
	*device_word(frame_vector_pages(vec)[3]) = 78;
	assert_int_equal(peek(&s, 3 * PG), 78);
	end_vector(vec);
	end_both(m, &s);
}

/* Clauses U6, W1: private pages of a file: what the device writes is the process's own, and not the file's. */
static void what_a_device_writes_is_in_the_memory(void **state)
{
	const struct kind *k = *state;
	struct frame_vector *vec = new_vector(4);
	struct space s;
	struct world w;

	WORLD(w, k);
	s = new_space(w.m, w.mode);
	map_file(&s, 0, 4, RW, PRIVATE, w.file, 0);
	assert_ok(pinfold_use_mm(s.mm));
	assert_int_equal(get_vaddr_frames(s.at, 4, FOLL_WRITE, vec), 4);
	for (unsigned i = 0; i < 4; i++)
		fill(page_address(frame_vector_pages(vec)[i]), 1, i);
	end_vector(vec);
	assert_true(pages_are(&s, 1, 0, 4));
	end_space(&s);
	assert_ok(pinfold_use_mm(w.mm));
	assert_true(page_is(&w, 0, 1));
	world_end(&w);
}

/* Clauses Y9, Y10: pages and frame numbers, in place and back; a number that is none changes nothing. */
static void pages_and_frame_numbers_are_two_views_of_a_vector(void **state)
{
	struct frame_vector *vec = new_vector(3);
	struct page *pages[3];
	unsigned long *pfns, good;
	struct world w;

	WORLD(w, *state);
	assert_int_equal(get_vaddr_frames(w.at, 3, 0, vec), 3);
	memcpy(pages, frame_vector_pages(vec), sizeof(pages));
	pfns = frame_vector_pfns(vec);
	assert_true(vec->is_pfns);
	assert_ptr_equal(frame_vector_pfns(vec), pfns);
	assert_true(pfns[0] != pfns[1] && pfns[1] != pfns[2]);
	assert_memory_equal(frame_vector_pages(vec), pages, sizeof(pages));
	assert_false(vec->is_pfns);
	assert_ok(frame_vector_to_pages(vec));
	frame_vector_to_pfns(vec);
	good = pfns[1];
	pfns[1] = ~0ul;
	assert_int_equal(frame_vector_to_pages(vec), -EINVAL);
	assert_int_equal(PTR_ERR(frame_vector_pages(vec)), -EINVAL);
	assert_true(IS_ERR(frame_vector_pages(vec)) && vec->is_pfns);
	assert_int_equal(put_vaddr_frames(vec), -EINVAL); /* nothing given back: it can be mended */
	assert_int_equal(now_pinned(w.m), 3);
	pfns[1] = good;
	end_vector(vec); /* by frame numbers */
	assert_int_equal(now_pinned(w.m), 0);
	world_end(&w);
}

/* Clauses Y5, P12, Z2: one page twice, and pages of folios, are frames like others. */
static void pages_of_folios_are_frames_like_others(void **state)
{
	const struct kind *k = *state;
	struct pinfold *m = MACHINE();
	struct frame_vector *vec = new_vector(514);
	struct space s = new_space(m, k->window);
	struct page **pages;

	map_anon(&s, 0, 514, RW, PRIVATE);
	assert_ok(vm_madvise(s.mm, s.at, LEAF, PINFOLD_MADV_HUGEPAGE));
	assert_ok(pinfold_use_mm(s.mm));
	assert_int_equal(get_vaddr_frames(s.at, 514, FOLL_WRITE, vec), 514);
	assert_int_equal(stats_of(m).folios_mapped, 1);
	assert_int_equal(frame_vector_pfns(vec)[511] - frame_vector_pfns(vec)[0], 511);
	pages = frame_vector_pages(vec);
	assert_int_equal((char *)page_address(pages[300]) - (char *)page_address(pages[0]), 300 * PG);
	assert_int_equal(pinfold_split_folio(s.mm, s.at), -EBUSY);
	end_vector(vec);
	assert_ok(pinfold_split_folio(s.mm, s.at));
	end_both(m, &s);
}

/* Header: under the thread's mmap lock it stays held; the frames outlive the mapping (M1). */
static void frames_outlive_their_mapping(void **state)
{
	struct frame_vector *vec = new_vector(4);
	struct page *page;
	struct world w;

	WORLD(w, *state);
	mmap_read_lock(w.mm);
	assert_int_equal(get_vaddr_frames(w.at, 4, 0, vec), 4);
	assert_int_equal(get_user_pages(w.at, 1, 0, &page, NULL), 1);
	mmap_read_unlock(w.mm);
	assert_ok(put_user_page(page));
	assert_ok(vm_munmap(w.mm, w.at, w.pages * PG));
	for (unsigned i = 0; i < 4; i++)
		assert_true(is_filled(page_address(frame_vector_pages(vec)[i]), 0, i));
	end_vector(vec);
	world_end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PLAIN(vectors_of_impossible_size_are_not_made),
		EACH(frames_are_pinned_for_long_and_given_back_once),
		EACH(a_vector_with_frames_is_busy),
		EACH(the_number_of_frames_is_0_or_what_there_is_room_for),
		EACH(a_hole_ends_the_vector),
		EACH(a_vector_spans_mappings_and_each_is_checked),
		BOTH(the_device_sees_what_is_stored_later),
		FILES(what_a_device_writes_is_in_the_memory),
		EACH(pages_and_frame_numbers_are_two_views_of_a_vector),
		BOTH(pages_of_folios_are_frames_like_others),
		EACH(frames_outlive_their_mapping),
	};

	return world_main(tests);
}
