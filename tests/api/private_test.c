/* SPDX-License-Identifier: MIT */
/*
 * private_test.c - private mappings of files: the file's pages until somebody writes, then the mm's own; the file never
 * learns of it.  Every kind of file (pool, direct, memory only), with and without an extent window.
 */
#include "anon.h"

/* The world's file is mapped shared at w.at; s has it private at page 0. */
static struct space map_private(struct world *w, const struct kind *k, int prot)
{
	struct space s = new_space(w->m, k->window);

	map_file(&s, 0, w->pages, prot, PRIVATE, w->file, 0);
	return s;
}

static void end_private(struct world *w, struct space *s)
{
	end_space(s);
	assert_ok(pinfold_use_mm(w->mm));
	world_end(w);
}

static bool file_holds(struct world *w, uint64_t seed, unsigned p)
{
	assert_ok(pinfold_use_mm(w->mm));
	return page_is(w, seed, p);
}

static void store_to_file(struct world *w, uint64_t seed, unsigned p)
{
	assert_ok(pinfold_use_mm(w->mm));
	store_page(w, seed, p);
}

/* ---- copy on write ------------------------------------------------------------------------------ */

/* Contract W, header: stores go to a copy, the file keeps what it had, in memory and on disk. */
static void a_store_goes_to_a_copy_and_the_file_stays(void **state)
{
	const struct kind *k = *state;
	struct world w;
	struct space s;

	WORLD(w, k);
	s = map_private(&w, k, RW);
	assert_true(pages_are(&s, 0, 0, 16));
	put_pages(&s, 1, 3, 2);
	poke(&s, 9 * PG + 8, 1); /* one never looked at before */
	assert_true(pages_are(&s, 0, 0, 3) && pages_are(&s, 1, 3, 2) && pages_are(&s, 0, 5, 4));
	assert_int_equal(peek(&s, 9 * PG + 8), 1);
	assert_int_equal(peek(&s, 9 * PG + 16), word_of(0, 9, 2));
	assert_int_equal(stats_of(w.m).dirty_pages, 0);
	assert_true(stats_of(w.m).cow_copied >= 3);
	assert_true(file_holds(&w, 0, 3) && file_holds(&w, 0, 9));
	assert_ok(pinfold_commit(w.file, 0, 0, NULL));
	assert_true(disk_is(&w, 0, 3) && disk_is(&w, 0, 4) && disk_is(&w, 0, 9));
	end_private(&w, &s);
}

/* Linux's MAP_PRIVATE: what changes in the file is seen until the copy is made, and not after. */
static void changes_of_the_file_are_seen_until_the_copy(void **state)
{
	const struct kind *k = *state;
	struct world w;
	struct space s;

	WORLD(w, k);
	s = map_private(&w, k, RW);
	assert_true(pages_are(&s, 0, 0, 2));
	store_to_file(&w, 1, 0);
	store_to_file(&w, 1, 1);
	assert_true(pages_are(&s, 1, 0, 2));
	poke(&s, PG + 80, 5);
	store_to_file(&w, 2, 0);
	store_to_file(&w, 2, 1);
	assert_true(pages_are(&s, 2, 0, 1));
	assert_int_equal(peek(&s, PG + 80), 5);
	assert_int_equal(peek(&s, PG + 88), word_of(1, 1, 11));
	assert_ok(pinfold_commit(w.file, 0, 0, NULL));
	assert_true(pages_are(&s, 2, 0, 1) && disk_is(&w, 2, 1));
	end_private(&w, &s);
}

/* A commit protects the file's pages and takes its cut of them: copies are no business of it. */
static void commits_and_eviction_leave_the_copies_alone(void **state)
{
	const struct kind *k = *state;
	struct world w;
	struct space s;

	WORLD(w, k);
	s = map_private(&w, k, RW);
	put_pages(&s, 7, 4, 4);
	for (uint64_t seed = 1; seed < 4; seed++) {
		for (unsigned p = 0; p < 16; p++)
			store_to_file(&w, seed, p);
		assert_ok(pinfold_commit(w.file, 0, 0, NULL));
		assert_ok(pinfold_checkpoint(w.file));
		assert_true(pages_are(&s, seed, 0, 4) && pages_are(&s, 7, 4, 4) && pages_are(&s, seed, 8, 8));
		pinfold_reclaim(w.m, 1000);
		assert_true(pages_are(&s, 7, 4, 4) && pages_are(&s, seed, 8, 8) && pages_are(&s, seed, 0, 4));
		put_pages(&s, 7, 4, 4);
	}
	assert_true(stats_of(w.m).evicted > 0);
	end_private(&w, &s);
}

/* Header: dropped copies are the file's content again. */
static void dontneed_brings_the_file_back(void **state)
{
	const struct kind *k = *state;
	struct page *page;
	struct world w;
	struct space s;

	WORLD(w, k);
	s = map_private(&w, k, RW);
	put_pages(&s, 1, 0, 4);
	page = pin_at(&s, 2, FOLL_WRITE);
	store_to_file(&w, 2, 2);
	assert_ok(vm_madvise(s.mm, s.at + PG, 2 * PG, PINFOLD_MADV_DONTNEED));
	assert_true(pages_are(&s, 1, 0, 1) && pages_are(&s, 0, 1, 1) && pages_are(&s, 2, 2, 1) &&
	            pages_are(&s, 1, 3, 1));
	assert_true(is_filled(page_address(page), 1, 2)); /* M2 */
	assert_ok(put_user_page(page));
	end_private(&w, &s);
}

/* Memory-only files can be mapped privately too. */
static void memory_files_can_be_private(void **state)
{
	const struct kind *k = *state;
	struct pinfold_file_options fo = { .size = sizeof(fo), .flags = k->flags };
	struct pinfold *m = MACHINE();
	struct space s = new_space(m, k->window);
	struct pinfold_file *f;

	assert_ok(pinfold_open_memory(m, 4 * PG, &fo, &f));
	map_file(&s, 0, 4, RW, SHARED, f, 0);
	map_file(&s, 4, 4, RW, PRIVATE, f, 0);
	poke(&s, 0, 1);
	assert_int_equal(peek(&s, 4 * PG), 1);
	poke(&s, 4 * PG, 2);
	assert_int_equal(peek(&s, 0), 1);
	assert_int_equal(pinfold_close(f), -EBUSY);
	assert_ok(vm_munmap(s.mm, s.at, 4 * PG));
	assert_int_equal(pinfold_close(f), -EBUSY); /* a private mapping is one */
	assert_int_equal(peek(&s, 4 * PG), 2);
	assert_ok(vm_munmap(s.mm, s.at + 4 * PG, 4 * PG));
	assert_ok(pinfold_close(f));
	end_both(m, &s);
}

/* A read-only and a growing file: the end is that of the file (clause P9). */
static void the_end_of_the_file_is_the_end_of_a_private_mapping(void **state)
{
	const struct kind *k = *state;
	struct page *pages[6];
	struct world w;
	struct space s;

	WORLD(w, k, .pages = 4);
	s = new_space(w.m, k->window);
	map_file(&s, 0, 8, RW, PRIVATE, w.file, 0);
	assert_ok(pinfold_use_mm(s.mm));
	for (int c = 0; c < NR_CALLS; c++) {
		assert_int_equal(call(c, s.mm, s.at + 2 * PG, 6, FOLL_WRITE, pages), 2);
		assert_ok(put_user_pages(pages, 2));
		assert_int_equal(call(c, s.mm, s.at + 4 * PG, 1, 0, pages), -EFAULT);
		assert_int_equal(last_error(), -ENXIO);
	}
	if (s.window) {
		assert_int_equal(load_signal(s.at + 4 * PG), SIGBUS);
		assert_int_equal(store_signal(s.at + 7 * PG), SIGBUS);
	}
	assert_ok(vfs_truncate(w.file, 6 * PG));
	put_pages(&s, 1, 4, 1);
	assert_true(pages_are(&s, 1, 4, 1) && pages_are_zero(&s, 5, 1));
	store_to_file(&w, 0, 0); /* so that there is something to commit */
	assert_ok(pinfold_commit(w.file, 0, 0, NULL));
	assert_int_equal(disk_size(&w), 6 * PG);
	assert_false(disk_is(&w, 1, 4));
	end_private(&w, &s);
}

/* ---- pins: clauses U4, U6 ----------------------------------------------------------------------- */

/* Clause U4: a short read pin has the file's own page, and goes stale when the process writes. */
static void a_short_read_pin_has_the_files_page(void **state)
{
	const struct kind *k = *state;
	struct page *page, *files;
	struct world w;
	struct space s;

	WORLD(w, k);
	s = map_private(&w, k, RW);
	files = pin_one(w.at + 3 * PG, 0);
	assert_ok(pinfold_use_mm(s.mm));
	for (int c = 0; c < NR_CALLS; c++) {
		assert_int_equal(call(c, s.mm, s.at + 3 * PG, 1, c & 1 ? FOLL_FORCE : 0, &page), 1);
		assert_ptr_equal(page, files);
		if (c < NR_CALLS - 1)
			assert_ok(put_user_page(page));
	}
	poke(&s, 3 * PG, 1);
	assert_int_equal(*device_word(page), word_of(0, 3, 0));
	assert_ptr_not_equal(page_at(&s, 3, 0), page);
	assert_ok(put_user_page(page));
	assert_ok(put_user_page(files));
	end_private(&w, &s);
}

/* Clauses U4, U5, U6: a long-term one has a copy, and sees what the process stores later. */
static void a_longterm_read_pin_has_a_copy_that_the_process_shares(void **state)
{
	const struct kind *k = *state;
	struct page *page;
	struct world w;
	struct space s;

	WORLD(w, k);
	s = map_private(&w, k, RW);
	assert_true(pages_are(&s, 0, 0, 3)); /* 3 and 4 are not there yet */
	assert_ok(pinfold_use_mm(s.mm));
	for (unsigned c = 0; c < NR_CALLS; c++) {
		assert_int_equal(call((int)c, s.mm, s.at + c * PG, 1, FOLL_LONGTERM, &page), 1);
		assert_true(is_filled(page_address(page), 0, c));
		store_to_file(&w, 1, c); /* not seen any more */
		assert_true(is_filled(page_address(page), 0, c) && pages_are(&s, 0, c, 1));
		poke(&s, c * PG, 70 + c);
		assert_int_equal(*device_word(page), 70 + c);
		assert_ptr_equal(page_at(&s, c, FOLL_WRITE), page);
		assert_true(file_holds(&w, 1, c));
		assert_ok(pinfold_use_mm(s.mm));
		assert_ok(put_user_page(page));
	}
	assert_true(stats_of(w.m).unshared >= NR_CALLS);
	end_private(&w, &s);
}

/* Clauses V8, T20: long-term write pins of a private mapping are granted; they have the copy. */
static void longterm_write_pins_of_private_mappings_are_granted(void **state)
{
	const struct kind *k = *state;
	struct page *page;
	struct world w;
	struct space s;

	WORLD(w, k);
	s = map_private(&w, k, RW);
	assert_ok(pinfold_use_mm(s.mm));
	for (unsigned c = 0; c < NR_CALLS; c++) {
		assert_int_equal(call((int)c, s.mm, s.at + c * PG, 1, FOLL_WRITE | FOLL_LONGTERM, &page), 1);
		assert_true(is_filled(page_address(page), 0, c));
		fill(page_address(page), 1, c);
		assert_ok(put_user_pages_dirty_lock(&page, 1));
		assert_true(pages_are(&s, 1, c, 1));
	}
	assert_int_equal(stats_of(w.m).dirty_pages, 0);
	assert_true(file_holds(&w, 0, 0));
	end_private(&w, &s);
}

/* Clauses W5, W6: FORCE writes a copy of a read-only mapping, which a later right shows; the file is intact. */
static void force_writes_a_copy_that_stays(void **state)
{
	const struct kind *k = *state;
	const int prots[] = { RO, PINFOLD_PROT_NONE };
	struct page *page;
	struct world w;
	struct space s;

	WORLD(w, k);
	for (unsigned i = 0; i < 2; i++) {
		s = map_private(&w, k, prots[i]);
		assert_ok(pinfold_use_mm(s.mm));
		if (i == 0)
			assert_true(pages_are(&s, 0, 0, 8));
		for (unsigned c = 0; c < NR_CALLS; c++) {
			assert_int_equal(call((int)c, s.mm, s.at + c * PG, 1, FOLL_WRITE, &page), -EFAULT);
			assert_int_equal(call((int)c, s.mm, s.at + c * PG, 1, FOLL_WRITE | FOLL_FORCE, &page), 1);
			fill(page_address(page), 1, c);
			assert_ok(put_user_page(page));
			assert_true(refused(&s, c * PG, true));
		}
		assert_ok(vm_mprotect(s.mm, s.at, 16 * PG, RO));
		assert_true(pages_are(&s, 1, 0, NR_CALLS) && pages_are(&s, 0, NR_CALLS, 4));
		assert_ok(vm_mprotect(s.mm, s.at, 16 * PG, RW));
		assert_true(pages_are(&s, 1, 0, NR_CALLS));
		put_pages(&s, 2, 0, 1);
		for (unsigned p = 0; p < NR_CALLS; p++)
			assert_true(file_holds(&w, 0, p));
		if (i == 0)
			end_space(&s);
	}
	assert_ok(pinfold_commit(w.file, 0, 0, NULL));
	assert_true(disk_is(&w, 0, 0));
	end_private(&w, &s);
}

/* Clause V18: a private mapping of a file has no holes for a dump. */
static void a_dump_reads_private_pages_of_a_file(void **state)
{
	const struct kind *k = *state;
	struct page *pages[2];
	struct world w;
	struct space s;

	WORLD(w, k);
	s = map_private(&w, k, RW);
	put_pages(&s, 1, 1, 1);
	assert_ok(pinfold_use_mm(s.mm));
	for (int c = 1; c < NR_CALLS; c++) {
		assert_int_equal(call(c, s.mm, s.at, 2, FOLL_DUMP, pages), 2);
		assert_true(is_filled(page_address(pages[0]), 0, 0) && is_filled(page_address(pages[1]), 1, 1));
		assert_ok(put_user_pages(pages, 2));
	}
	end_private(&w, &s);
}

/* Clause F12: POPULATE of a private writable mapping makes the copies, of a read-only one it does not. */
static void populate_copies_what_is_private_and_writable(void **state)
{
	const struct kind *k = *state;
	struct world w;
	struct space s;
	uint64_t copies;

	WORLD(w, k);
	s = new_space(w.m, k->window);
	map_file(&s, 0, 8, RO, PRIVATE | PINFOLD_MAP_POPULATE, w.file, 0);
	assert_int_equal(stats_of(w.m).cow_copied, 0);
	map_file(&s, 8, 8, RW, PRIVATE | PINFOLD_MAP_POPULATE, w.file, 8);
	copies = stats_of(w.m).cow_copied;
	assert_int_equal(copies, 8);
	for (unsigned p = 0; p < 16; p++)
		store_to_file(&w, 1, p);
	assert_true(pages_are(&s, 1, 0, 8) && pages_are(&s, 0, 8, 8));
	put_pages(&s, 2, 8, 8);
	assert_int_equal(stats_of(w.m).cow_copied, copies);
	end_private(&w, &s);
}

/* Clauses F14, V16: the results of POPULATE_READ and POPULATE_WRITE, and what was done before an error stays. */
static void populate_advice_tells_errors_as_linux(void **state)
{
	const struct kind *k = *state;
	struct page *pages[4];
	struct world w;
	struct space s;

	WORLD(w, k, .pages = 4);
	s = new_space(w.m, k->window);
	map_file(&s, 0, 8, RW, PRIVATE, w.file, 0);
	assert_ok(vm_madvise(s.mm, s.at, 2 * PG, PINFOLD_MADV_POPULATE_READ));
	assert_int_equal(stats_of(w.m).cow_copied, 0);
	assert_ok(vm_madvise(s.mm, s.at, 2 * PG, PINFOLD_MADV_POPULATE_WRITE));
	assert_int_equal(stats_of(w.m).cow_copied, 2);
	assert_int_equal(vm_madvise(s.mm, s.at, 8 * PG, PINFOLD_MADV_POPULATE_READ), -EFAULT);
	assert_int_equal(vm_madvise(s.mm, s.at, 8 * PG, PINFOLD_MADV_POPULATE_WRITE), -EFAULT);
	assert_int_equal(stats_of(w.m).cow_copied, 4);
	assert_ok(vm_mprotect(s.mm, s.at, 4 * PG, RO));
	assert_int_equal(vm_madvise(s.mm, s.at, 2 * PG, PINFOLD_MADV_POPULATE_WRITE), -EINVAL);
	assert_ok(vm_madvise(s.mm, s.at, 2 * PG, PINFOLD_MADV_POPULATE_READ));
	assert_ok(vm_mprotect(s.mm, s.at, 4 * PG, PINFOLD_PROT_NONE));
	assert_int_equal(vm_madvise(s.mm, s.at, 2 * PG, PINFOLD_MADV_POPULATE_READ), -EINVAL);
	assert_int_equal(vm_madvise(s.mm, s.at + 8 * PG, PG, PINFOLD_MADV_POPULATE_READ), -ENOMEM);
	/* a shared mapping of the file: pages become writable, so dirty */
	assert_ok(vm_madvise(w.mm, w.at, 4 * PG, PINFOLD_MADV_POPULATE_WRITE));
	assert_int_equal(stats_of(w.m).dirty_pages, 4);
	assert_ok(pinfold_use_mm(w.mm));
	assert_int_equal(get_user_pages_fast(w.at, 4, FOLL_WRITE, pages), 4);
	assert_ok(put_user_pages(pages, 4));
	assert_int_equal(stats_of(w.m).slow_pins, 0);
	end_private(&w, &s);
}

/* Clause F4: no frame for the copy: an error, the mapping shows the file as before, and later it works. */
static void without_a_frame_there_is_no_copy(void **state)
{
	const struct kind *k = *state;
	enum { N = 1100 };
	struct page **held = calloc(N, sizeof(*held)), *page;
	struct world w;
	struct space s;
	uint64_t v = 5;
	unsigned n = 0;

	WORLD(w, k, .deadline_ms = 50);
	s = map_private(&w, k, RW);
	assert_true(pages_are(&s, 0, 0, 16));
	page = pin_at(&s, 3, 0); /* of the file; stays where it is */
	map_anon(&s, 100, N, RW, PRIVATE);
	while (n < N && get_user_pages_fast(s.at + (100 + n) * PG, 1, FOLL_WRITE, &held[n]) == 1)
		n++;
	assert_in_range(n, 300, N - 1);
	assert_int_equal(get_user_pages_fast(s.at + 3 * PG, 1, FOLL_WRITE, held + n), -ENOMEM);
	assert_int_equal(get_user_pages_fast(s.at + 3 * PG, 1, FOLL_LONGTERM, held + n), -ENOMEM);
	assert_int_equal(access_process_vm(s.mm, s.at + 3 * PG, &v, 8, FOLL_WRITE), -ENOMEM);
	if (s.window) {
		assert_int_equal(store_signal(s.at + 3 * PG), SIGBUS);
		assert_int_equal(last_error(), -ENOMEM);
	}
	assert_true(pages_are(&s, 0, 3, 1));
	assert_ok(put_user_pages(held, n));
	assert_ok(vm_munmap(s.mm, s.at + 100 * PG, N * PG));
	put_pages(&s, 1, 3, 1);
	assert_true(pages_are(&s, 1, 3, 1) && is_filled(page_address(page), 0, 3));
	assert_ok(put_user_page(page));
	free(held);
	end_private(&w, &s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FILES(a_store_goes_to_a_copy_and_the_file_stays),
		FILES(changes_of_the_file_are_seen_until_the_copy),
		FILES(commits_and_eviction_leave_the_copies_alone),
		FILES(dontneed_brings_the_file_back),
		FILES(memory_files_can_be_private),
		FILES(the_end_of_the_file_is_the_end_of_a_private_mapping),
		FILES(a_short_read_pin_has_the_files_page),
		FILES(a_longterm_read_pin_has_a_copy_that_the_process_shares),
		FILES(longterm_write_pins_of_private_mappings_are_granted),
		FILES(force_writes_a_copy_that_stays),
		FILES(a_dump_reads_private_pages_of_a_file),
		FILES(populate_copies_what_is_private_and_writable),
		FILES(populate_advice_tells_errors_as_linux),
		FILES(without_a_frame_there_is_no_copy),
	};

	return world_main(tests);
}
