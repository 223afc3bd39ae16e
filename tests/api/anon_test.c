/* SPDX-License-Identifier: MIT */
/*
 * anon_test.c - anonymous memory: the zero page, pages of the mm's own, pins of both, what changes of the mapping do to
 * a pin.  Private mappings of files stand in private_test.c, snapshots in dup_test.c, populate and the end of memory in
 * memory_test.c.
 */
#include "anon.h"

/* ---- the zero page: group Z -------------------------------------------------------------------- */

/* Clause F5: a read of untouched memory finds zeroes and costs no frame. */
static void untouched_memory_reads_as_zeroes_without_a_frame(void **state)
{
	const struct kind *k = *state;
	struct pinfold *m = MACHINE();
	struct space s = new_space(m, k->window);
	uint64_t free = frames_free(m);

	map_anon(&s, 0, 600, RW, PRIVATE);
	assert_true(pages_are_zero(&s, 0, 600));
	assert_int_equal(frames_free(m), free);
	assert_true(stats_of(m).zero_maps > 0);
	put_pages(&s, 1, 300, 1);
	assert_int_equal(frames_free(m), free - 1);
	assert_true(pages_are_zero(&s, 0, 300) && pages_are(&s, 1, 300, 1) && pages_are_zero(&s, 301, 299));
	end_both(m, &s);
}

/* Clauses Z2, Z4, R9: by every call; no counter moves, and giving it back is nothing, however often. */
static void a_read_pin_of_untouched_memory_is_the_zero_page(void **state)
{
	const struct kind *k = *state;
	struct pinfold *m = MACHINE();
	struct space s = new_space(m, k->window);
	struct page *pages[4], *zero = NULL;

	map_anon(&s, 0, 4, RW, PRIVATE);
	assert_ok(pinfold_use_mm(s.mm));
	for (int c = 0; c < NR_CALLS; c++) {
		assert_int_equal(call(c, s.mm, s.at, 4, 0, pages), 4);
		zero = zero ? zero : pages[0];
		for (int i = 0; i < 4; i++)
			assert_ptr_equal(pages[i], zero);
		assert_true(is_zero(page_address(zero), 0, PG));
		assert_int_equal(stats_of(m).pins_acquired, 0);
		assert_ok(put_user_pages(pages, 4));
		assert_ok(put_user_page(zero));
		assert_int_equal(stats_of(m).pins_released, 0);
	}
	assert_int_equal(call(1, s.mm, s.at, 4, 0, NULL), 4);
	end_both(m, &s);
}

/* Clause Z2: it is one page for all of a machine, and read-only mappings have it as well. */
static void the_zero_page_is_one_for_all_mms(void **state)
{
	const struct kind *k = *state;
	struct pinfold *m = MACHINE();
	struct space a = new_space(m, k->window), b = new_space(m, k->window);
	struct page *one, *two;

	map_anon(&a, 0, 1, RO, PRIVATE);
	map_anon(&b, 7, 1, RW, PRIVATE);
	one = pin_at(&a, 0, 0);
	two = pin_at(&b, 7, 0);
	assert_ptr_equal(one, two);
	assert_ok(put_user_page(one));
	assert_ok(put_user_page(two));
	end_space(&a);
	end_both(m, &b);
}

static void *put_in_a_new_thread(void *page)
{
	return (void *)(intptr_t)put_user_pages((struct page **)&page, 1);
}

/* Clauses Z2, Z3: arrays with zero pages among others are given back blindly, by any call and any thread. */
static void arrays_with_zero_pages_are_put_blindly(void **state)
{
	const struct kind *k = *state;
	struct pinfold *m = MACHINE();
	struct space s = new_space(m, k->window);
	int (*const put[])(struct page **, unsigned long) = {
		put_user_pages, put_user_pages_dirty, put_user_pages_dirty_lock
	};
	struct page *pages[6];

	map_anon(&s, 0, 6, RW, PRIVATE);
	put_pages(&s, 1, 1, 1);
	put_pages(&s, 1, 4, 2);
	assert_ok(pinfold_use_mm(s.mm));
	for (int c = 0; c < NR_CALLS; c++) {
		assert_int_equal(call(c, s.mm, s.at, 6, 0, pages), 6);
		assert_int_equal(now_pinned(m), 3);
		assert_ptr_equal(pages[0], pages[2]);
		assert_ptr_equal(pages[0], pages[3]);
		assert_true(is_filled(page_address(pages[4]), 1, 4));
		assert_ok(put[c % 3](pages, 6));
		assert_int_equal(now_pinned(m), 0);
	}
	assert_int_equal(put_user_page(pages[1]), -EINVAL);
	assert_ok(put_user_page(pages[0]));
	assert_null(in_thread(put_in_a_new_thread, pages[0]));
	assert_ok(get_page(pages[0]));
	assert_int_equal(stats_of(m).refs, 0);
	assert_ok(put_page(pages[0]));
	end_both(m, &s);
}

/* Clauses W13, Z4: the write gets a page of its own, the pin of the zero page stays with zeroes. */
static void a_pin_of_the_zero_page_does_not_see_later_stores(void **state)
{
	const struct kind *k = *state;
	struct pinfold *m = MACHINE();
	struct space s = new_space(m, k->window);
	struct page *zero, *own;

	map_anon(&s, 0, 2, RW, PRIVATE);
	zero = pin_at(&s, 0, 0);
	poke(&s, 8, 77);
	own = pin_at(&s, 0, FOLL_WRITE);
	assert_ptr_not_equal(own, zero);
	assert_int_equal(device_word(own)[1], 77);
	assert_true(is_zero(page_address(zero), 0, PG));
	assert_ok(put_user_page(zero));
	assert_ok(put_user_page(own));
	/* by pin, where the zero page was never read */
	own = pin_at(&s, 1, FOLL_WRITE);
	assert_ptr_not_equal(own, zero);
	*device_word(own) = 5;
	assert_int_equal(peek(&s, PG), 5);
	assert_ok(put_user_page(own));
	end_both(m, &s);
}

/* Clauses U4, Z4: a long-term read gets a page of its own, which the process then writes to as well. */
static void a_longterm_read_pin_of_untouched_memory_has_a_page_of_its_own(void **state)
{
	const struct kind *k = *state;
	struct pinfold *m = MACHINE();
	struct space s = new_space(m, k->window);
	uint64_t free = frames_free(m);
	struct page *page;

	map_anon(&s, 0, NR_CALLS, RW, PRIVATE);
	assert_int_equal(peek(&s, 2 * PG), 0); /* one that shows the zero page before */
	assert_ok(pinfold_use_mm(s.mm));
	for (unsigned c = 0; c < NR_CALLS; c++) {
		assert_int_equal(call((int)c, s.mm, s.at + c * PG, 1, FOLL_LONGTERM, &page), 1);
		assert_int_equal(now_pinned(m), 1);
		assert_int_equal(frames_free(m), free - c - 1);
		poke(&s, c * PG + 16, 90 + c);
		assert_int_equal(device_word(page)[2], 90 + c);
		assert_ptr_equal(page_at(&s, c, FOLL_WRITE), page);
		assert_ok(put_user_page(page));
	}
	assert_true(stats_of(m).unshared > 0);
	assert_int_equal(stats_of(m).cow_copied, 0);
	end_both(m, &s);
}

/* Clauses V18, Z7: to a dump, what was never written is a hole, and looking at it allocates nothing. */
static void a_dump_finds_holes_where_nothing_was_written(void **state)
{
	const struct kind *k = *state;
	struct pinfold *m = MACHINE();
	struct space s = new_space(m, k->window);
	struct page *pages[4];
	uint64_t free, tables;

	map_anon(&s, 0, 4, RW, PRIVATE);
	put_pages(&s, 1, 0, 2);
	assert_int_equal(peek(&s, 3 * PG), 0); /* the zero page */
	free = frames_free(m);
	tables = stats_of(m).tables;
	assert_ok(pinfold_use_mm(s.mm));
	for (int c = 1; c < NR_CALLS; c++) {
		assert_int_equal(call(c, s.mm, s.at + 2 * PG, 1, FOLL_DUMP, pages), -EFAULT);
		assert_int_equal(call(c, s.mm, s.at + 3 * PG, 1, FOLL_DUMP, pages), -EFAULT);
		assert_int_equal(call(c, s.mm, s.at, 4, FOLL_DUMP | FOLL_FORCE, pages), 2); /* P1 */
		assert_true(is_filled(page_address(pages[1]), 1, 1));
		assert_ok(put_user_pages(pages, 2));
	}
	assert_int_equal(frames_free(m), free);
	assert_int_equal(stats_of(m).tables, tables);
	end_both(m, &s);
}

/* Clause Z5: shared memory has a page at the first look. */
static void shared_memory_never_shows_the_zero_page(void **state)
{
	const struct kind *k = *state;
	struct pinfold *m = MACHINE();
	struct space s = new_space(m, k->window);
	struct page *pages[2];

	map_anon(&s, 0, 2, RW, SHARED);
	assert_ok(pinfold_use_mm(s.mm));
	assert_int_equal(get_user_pages_fast(s.at, 2, 0, pages), 2);
	assert_ptr_not_equal(pages[0], pages[1]);
	assert_int_equal(now_pinned(m), 2);
	poke(&s, PG + 8, 3);
	assert_int_equal(device_word(pages[1])[1], 3);
	assert_ptr_equal(page_at(&s, 1, FOLL_WRITE), pages[1]);
	assert_ok(put_user_pages(pages, 2));
	assert_int_equal(stats_of(m).dirty_pages, 0);
	end_both(m, &s);
}

/* ---- pins and the process: clauses U1, W10, D6 -------------------------------------------------- */

/* Clause U1: a pin and the process are on one page, whoever stores and by whatever call it was pinned. */
static void pins_and_the_process_see_each_others_stores(void **state)
{
	const struct kind *k = *state;
	const unsigned flags[] = { 0, FOLL_WRITE, FOLL_LONGTERM, FOLL_WRITE | FOLL_LONGTERM };
	const int maps[] = { PRIVATE, SHARED };
	struct pinfold *m = MACHINE();
	struct space s = new_space(m, k->window);
	struct page *page;
	uint64_t v = 1;

	map_anon(&s, 0, 4, RW, maps[0]);
	map_anon(&s, 4, 4, RW, maps[1]);
	assert_ok(pinfold_use_mm(s.mm));
	for (unsigned f = 0; f < 4; f++)
		for (int c = 0; c < NR_CALLS; c++)
			for (unsigned p = f; p < 8; p += 4) {
				poke(&s, p * PG, ++v);
				assert_int_equal(call(c, s.mm, s.at + p * PG, 1, flags[f], &page), 1);
				assert_int_equal(*device_word(page), v);
				poke(&s, p * PG, ++v);
				assert_int_equal(*device_word(page), v);
				*device_word(page) = ++v;
				assert_int_equal(peek(&s, p * PG), v);
				assert_ok(put_user_page(page));
				assert_int_equal(peek(&s, p * PG), v);
			}
	assert_int_equal(stats_of(m).cow_copied, 0);
	end_both(m, &s);
}

/* Clauses D6, V7, T21, M12: nothing to write back: dirty is only a flag, long-term write pins are granted. */
static void anonymous_pages_are_never_counted_as_dirty(void **state)
{
	const struct kind *k = *state;
	struct pinfold *m = MACHINE();
	struct space s = new_space(m, k->window);
	struct page *pages[2];

	map_anon(&s, 0, 1, RW, PRIVATE);
	map_anon(&s, 1, 1, RW, SHARED);
	assert_ok(pinfold_use_mm(s.mm));
	assert_int_equal(get_user_pages_fast(s.at, 2, FOLL_WRITE | FOLL_LONGTERM, pages), 2);
	assert_ok(put_user_pages_dirty(pages, 2));
	assert_int_equal(get_user_pages_fast(s.at, 2, FOLL_WRITE, pages), 2);
	assert_ok(put_user_pages_dirty_lock(pages, 2));
	assert_int_equal(stats_of(m).dirty_pages, 0);
	assert_int_equal(pinfold_reclaim(m, 1000), 0); /* and nothing of it can be had back */
	end_both(m, &s);
}

/* Clauses R5, R12: pins and references of a page without a file; the last of them frees it. */
static void pins_and_references_keep_an_anonymous_page(void **state)
{
	const struct kind *k = *state;
	struct pinfold *m = MACHINE();
	struct space s = new_space(m, k->window);
	uint64_t free = frames_free(m);
	struct page *page;

	map_anon(&s, 0, 1, RW, PRIVATE);
	put_pages(&s, 1, 0, 1);
	page = pin_at(&s, 0, 0);
	assert_int_equal(put_page(page), -EINVAL);
	assert_ok(get_page(page));
	assert_ok(vm_munmap(s.mm, s.at, PG));
	assert_ok(put_user_page(page));
	assert_int_equal(put_user_page(page), -EINVAL);
	assert_int_equal(frames_free(m), free - 1);
	assert_int_equal(pinfold_destroy(m), -EBUSY);
	assert_true(is_filled(page_address(page), 1, 0));
	assert_ok(put_page(page));
	assert_int_equal(frames_free(m), free);
	end_both(m, &s);
}

/* ---- rights: group V ---------------------------------------------------------------------------- */

/* Clause V2: private memory without a file is anonymous; shared memory is a file's, as in Linux. */
static void foll_anon_is_for_private_memory_without_a_file(void **state)
{
	const struct kind *k = *state;
	struct page *pages[2];
	struct space s;
	struct world w;

	WORLD(w, k);
	s = new_space(w.m, k->window);
	map_anon(&s, 0, 1, RW, PRIVATE);
	map_anon(&s, 1, 1, RW, SHARED);
	map_file(&s, 2, 1, RW, PRIVATE, w.file, 0);
	put_pages(&s, 1, 2, 1); /* its page is anonymous, the mapping is not */
	assert_ok(pinfold_use_mm(s.mm));
	for (int c = 1; c < NR_CALLS; c++) {
		assert_int_equal(call(c, s.mm, s.at, 2, FOLL_ANON | FOLL_WRITE, pages), 1);
		assert_ok(put_user_page(pages[0]));
		assert_int_equal(call(c, s.mm, s.at + PG, 1, FOLL_ANON, pages), -EFAULT);
		assert_int_equal(call(c, s.mm, s.at + 2 * PG, 1, FOLL_ANON, pages), -EFAULT);
	}
	end_space(&s);
	world_end(&w);
}

/* Clauses V4, V5, V9, V11: rights, and what FORCE does: read anything, write what is private. */
static void force_reads_anything_and_writes_private_memory(void **state)
{
	const struct kind *k = *state;
	const int prots[] = { RW, RO, PINFOLD_PROT_NONE, PINFOLD_PROT_WRITE };
	struct pinfold *m = MACHINE();
	struct space s = new_space(m, k->window);
	struct page *page;

	for (unsigned i = 0; i < 8; i++)
		map_anon(&s, i, 1, prots[i % 4], i < 4 ? PRIVATE : SHARED);
	assert_ok(pinfold_use_mm(s.mm));
	for (unsigned i = 0; i < 8; i++)
		for (unsigned c = 0; c < NR_CALLS; c++)
			for (unsigned f = 0; f < 4; f++) {
				const unsigned flags = (f & 1 ? FOLL_WRITE : 0) | (f & 2 ? FOLL_FORCE : 0);
				int right = f & 1 ? PINFOLD_PROT_WRITE : PINFOLD_PROT_READ;
				bool ok = (prots[i % 4] & right) || (f == 2) || (f == 3 && i < 4);

				assert_int_equal(call((int)c, s.mm, s.at + i * PG, 1, flags, &page),
				                 ok ? 1 : -EFAULT);
				if (ok)
					assert_ok(put_user_page(page));
				else
					assert_int_equal(last_error(), -EACCES);
			}
	end_both(m, &s);
}

/* Clauses W3, W6: what FORCE wrote stays when the right comes; the process itself cannot store before. */
static void force_gives_the_process_no_right(void **state)
{
	const struct kind *k = *state;
	struct pinfold *m = MACHINE();
	struct space s = new_space(m, k->window);
	struct page *page;

	map_anon(&s, 0, 1, RO, PRIVATE);
	assert_int_equal(peek(&s, 0), 0);
	page = pin_at(&s, 0, FOLL_WRITE | FOLL_FORCE);
	*device_word(page) = 4;
	assert_int_equal(peek(&s, 0), 4);
	assert_true(refused(&s, 0, true));
	assert_ptr_equal(page_at(&s, 0, FOLL_WRITE | FOLL_FORCE), page);
	assert_ok(put_user_page(page));
	assert_true(refused(&s, 0, true));
	assert_ok(vm_mprotect(s.mm, s.at, PG, RW));
	assert_int_equal(peek(&s, 0), 4);
	poke(&s, 0, 5);
	assert_ptr_equal(page_at(&s, 0, FOLL_WRITE), page);
	end_both(m, &s);
}

/* Clauses P1, P7, P8: what lies before a refusal or a hole is delivered, across mappings of all sorts. */
static void pins_across_mappings_stop_at_the_first_refusal(void **state)
{
	const struct kind *k = *state;
	struct page *pages[10];
	struct space s;
	struct world w;

	WORLD(w, k);
	s = new_space(w.m, k->window);
	map_anon(&s, 0, 2, RW, PRIVATE);
	map_file(&s, 2, 2, RW, PRIVATE, w.file, 4);
	map_anon(&s, 4, 2, RO, PRIVATE);
	map_anon(&s, 7, 2, RW, SHARED); /* page 6 is a hole */
	assert_ok(pinfold_use_mm(s.mm));
	for (int c = 0; c < NR_CALLS; c++) {
		assert_int_equal(call(c, s.mm, s.at, 10, FOLL_WRITE, pages), 4);
		assert_ok(put_user_pages(pages, 4));
		assert_int_equal(call(c, s.mm, s.at + 4 * PG, 6, FOLL_WRITE, pages), -EFAULT);
		assert_int_equal(last_error(), -EACCES);
		assert_int_equal(call(c, s.mm, s.at, 10, FOLL_WRITE | FOLL_FORCE, pages), 6);
		assert_ok(put_user_pages(pages, 6));
		assert_int_equal(call(c, s.mm, s.at, 10, 0, pages), 6);
		assert_true(is_filled(page_address(pages[3]), 0, 5));
		assert_ok(put_user_pages(pages, 6));
		assert_int_equal(call(c, s.mm, s.at + 6 * PG, 1, 0, pages), -EFAULT);
		assert_int_equal(last_error(), -EFAULT);
		assert_int_equal(call(c, s.mm, s.at + 7 * PG, 3, FOLL_WRITE, pages), 2);
		assert_ok(put_user_pages(pages, 2));
	}
	end_space(&s);
	world_end(&w);
}

/* ---- changes of the mapping under a pin: group M ------------------------------------------------ */

/* Clauses M1, R12, F18: the holder keeps page and content, a new mapping there has another one. */
static void munmap_leaves_the_holder_its_page(void **state)
{
	const struct kind *k = *state;
	struct pinfold *m = MACHINE();
	struct space s = new_space(m, k->window);
	uint64_t free = frames_free(m);
	struct page *page;

	map_anon(&s, 0, 4, RW, PRIVATE);
	put_pages(&s, 1, 0, 4);
	page = pin_at(&s, 2, FOLL_WRITE);
	assert_ok(vm_munmap(s.mm, s.at, 4 * PG));
	assert_int_equal(frames_free(m), free - 1);
	assert_int_equal(get_user_pages_fast(s.at + 2 * PG, 1, 0, NULL), -EFAULT);
	map_anon(&s, 0, 4, RW, PRIVATE);
	assert_true(pages_are_zero(&s, 0, 4));
	put_pages(&s, 2, 2, 1);
	assert_true(is_filled(page_address(page), 1, 2));
	assert_ptr_not_equal(page_at(&s, 2, 0), page);
	assert_ok(put_user_page(page));
	assert_int_equal(frames_free(m), free - 1);
	end_both(m, &s);
}

/* Clause M2: private memory is zeroes again, shared memory is as it was; the holders keep their pages. */
static void dontneed_empties_private_memory_only(void **state)
{
	const struct kind *k = *state;
	struct pinfold *m = MACHINE();
	struct space s = new_space(m, k->window);
	struct page *own, *shared;

	map_anon(&s, 0, 2, RW, PRIVATE);
	map_anon(&s, 2, 2, RW, SHARED);
	put_pages(&s, 1, 0, 4);
	own = pin_at(&s, 1, FOLL_WRITE);
	shared = pin_at(&s, 3, FOLL_WRITE);
	assert_ok(vm_madvise(s.mm, s.at, 4 * PG, PINFOLD_MADV_DONTNEED));
	assert_true(pages_are_zero(&s, 0, 2) && pages_are(&s, 1, 2, 2));
	assert_true(is_filled(page_address(own), 1, 1));
	poke(&s, PG, 9);
	assert_true(is_filled(page_address(own), 1, 1));
	assert_ptr_not_equal(page_at(&s, 1, FOLL_WRITE), own);
	*device_word(shared) = 6;
	assert_int_equal(peek(&s, 3 * PG), 6);
	assert_ptr_equal(page_at(&s, 3, FOLL_WRITE), shared);
	assert_ok(put_user_page(own));
	assert_ok(put_user_page(shared));
	end_both(m, &s);
}

/* Clauses M4, W4, W14: RW, R, RW: the same page all the time, nothing is copied. */
static void mprotect_there_and_back_keeps_the_page(void **state)
{
	const struct kind *k = *state;
	struct pinfold *m = MACHINE();
	struct space s = new_space(m, k->window);
	struct page *page;

	map_anon(&s, 0, 2, RW, PRIVATE);
	put_pages(&s, 1, 0, 2);
	page = pin_at(&s, 0, FOLL_WRITE);
	for (uint64_t i = 1; i < 4; i++) {
		assert_ok(vm_mprotect(s.mm, s.at, 2 * PG, RO));
		assert_true(refused(&s, 0, true) && refused(&s, PG, true));
		assert_int_equal(get_user_pages_fast(s.at, 1, FOLL_WRITE, NULL), -EFAULT);
		assert_ptr_equal(page_at(&s, 0, 0), page);
		*device_word(page) = i;
		assert_int_equal(peek(&s, 0), i);
		assert_ok(vm_mprotect(s.mm, s.at, 2 * PG, PINFOLD_PROT_NONE));
		assert_true(refused(&s, 0, false));
		*device_word(page) = i + 1;
		assert_ok(vm_mprotect(s.mm, s.at, 2 * PG, RW));
		assert_int_equal(peek(&s, 0), i + 1);
		poke(&s, 8, i);
		assert_int_equal(device_word(page)[1], i);
		assert_ptr_equal(page_at(&s, 0, FOLL_WRITE), page);
	}
	assert_true(pages_are(&s, 1, 1, 1));
	assert_int_equal(stats_of(m).cow_copied, 0);
	assert_ok(put_user_page(page));
	end_both(m, &s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(untouched_memory_reads_as_zeroes_without_a_frame),
		BOTH(a_read_pin_of_untouched_memory_is_the_zero_page),
		BOTH(the_zero_page_is_one_for_all_mms),
		BOTH(arrays_with_zero_pages_are_put_blindly),
		BOTH(a_pin_of_the_zero_page_does_not_see_later_stores),
		BOTH(a_longterm_read_pin_of_untouched_memory_has_a_page_of_its_own),
		BOTH(a_dump_finds_holes_where_nothing_was_written),
		BOTH(shared_memory_never_shows_the_zero_page),
		BOTH(pins_and_the_process_see_each_others_stores),
		BOTH(anonymous_pages_are_never_counted_as_dirty),
		BOTH(pins_and_references_keep_an_anonymous_page),
		BOTH(foll_anon_is_for_private_memory_without_a_file),
		BOTH(force_reads_anything_and_writes_private_memory),
		BOTH(force_gives_the_process_no_right),
		BOTH(pins_across_mappings_stop_at_the_first_refusal),
		BOTH(munmap_leaves_the_holder_its_page),
		BOTH(dontneed_empties_private_memory_only),
		BOTH(mprotect_there_and_back_keeps_the_page),
	};

	return world_main(tests);
}
