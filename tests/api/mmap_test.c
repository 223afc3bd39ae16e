/* SPDX-License-Identifier: MIT */
/*
 * mmap_test.c - address spaces: where mappings go, what a change of them does, and that every view of
 * a file is the same file.  Clauses M1, M2, M4 with pins stand in gup_test.c.
 */
#include "world.h"

#define LEAF (512 * PG)

static long at_fixed(struct world *w, unsigned long a, unsigned pages, int flags)
{
	return vm_mmap(w->mm, a, pages * PG, RW, SHARED | flags, w->file, 0);
}

static char *window_at(unsigned long a)
{
	return (char *)a;
}

/* ---- where ----------------------------------------------------------------------------------- */

/* Header: addr is a hint, or with FIXED the place; NOREPLACE -EEXIST. */
static void hint_fixed_and_noreplace(void **state)
{
	unsigned long place;
	struct world w;
	long a;

	WORLD(w, *state, .pages = 4);
	place = w.at + 32 * PG;
	a = at_fixed(&w, place, 4, 0);
	assert_int_equal(a, place);
	a = at_fixed(&w, place + 100, 4, 0); /* taken, and not aligned: only a hint */
	assert_true(a > 0 && a % (long)PG == 0 && (unsigned long)a != place);
	assert_int_equal(at_fixed(&w, place, 4, PINFOLD_MAP_FIXED_NOREPLACE), -EEXIST);
	assert_int_equal(at_fixed(&w, place + 3 * PG, 4, PINFOLD_MAP_FIXED_NOREPLACE), -EEXIST);
	assert_int_equal(stats_of(w.m).vmas, 3);
	assert_int_equal(at_fixed(&w, place + 20 * PG, 4, PINFOLD_MAP_FIXED_NOREPLACE),
	                 place + 20 * PG);
	assert_int_equal(at_fixed(&w, place + 4 * PG + 1, 4, PINFOLD_MAP_FIXED), -EINVAL);
	assert_int_equal(at_fixed(&w, 0, 4, PINFOLD_MAP_FIXED), -EINVAL);
	assert_int_equal(stats_of(w.m).vmas, 4);
	world_end(&w);
}

/* Header: FIXED replaces what was mapped there, parts of mappings too. */
static void fixed_replaces_what_was_there(void **state)
{
	unsigned long place;
	struct world w;

	WORLD(w, *state, .pages = 8);
	place = w.at + 32 * PG;
	store_page(&w, 1, 0);
	store_page(&w, 1, 1);
	assert_int_equal(at_fixed(&w, place, 4, PINFOLD_MAP_FIXED), place);
	assert_int_equal(at_fixed(&w, place + PG, 2, PINFOLD_MAP_FIXED), place + PG);
	assert_int_equal(stats_of(w.m).vmas, 4); /* pages 0, 0 1, 3 */
	w.at = place + PG;
	assert_true(page_is(&w, 1, 0) && page_is(&w, 1, 1));
	w.at = place;
	assert_true(page_is(&w, 1, 0) && page_is(&w, 0, 3));
	assert_int_equal(at_fixed(&w, place, 6, PINFOLD_MAP_FIXED), place);
	assert_int_equal(stats_of(w.m).vmas, 2);
	assert_true(page_is(&w, 1, 0) && page_is(&w, 0, 5));
	world_end(&w);
}

/* Header: -EINVAL not aligned, empty, overflow, flags without SHARED. */
static void wrong_mappings_are_refused(void **state)
{
	struct pinfold_file *closed;
	struct world w;

	WORLD(w, *state);
	assert_ok(pinfold_open_memory(w.m, PG, NULL, &closed));
	assert_ok(pinfold_close(closed));
	assert_int_equal(vm_mmap(w.mm, 0, 0, RW, SHARED, w.file, 0), -EINVAL);
	assert_int_equal(vm_mmap(w.mm, 0, PG, RW, 0, w.file, 0), -EINVAL);
	assert_int_equal(vm_mmap(w.mm, 0, PG, RW, SHARED | 0x02, w.file, 0), -EINVAL);
	assert_int_equal(vm_mmap(w.mm, 0, PG, RW | 4, SHARED, w.file, 0), -EINVAL);
	assert_int_equal(vm_mmap(w.mm, 0, PG, RW, SHARED, w.file, 100), -EINVAL);
	assert_int_equal(vm_mmap(w.mm, 0, ~0ul, RW, SHARED, w.file, 0), -EINVAL);
	assert_int_equal(vm_mmap(w.mm, 0, 2 * PG, RW, SHARED, w.file, ~0ul - PG + 1), -EINVAL);
	assert_int_equal(vm_mmap(w.mm, 0, PG, RW, SHARED, closed, 0), -EBADF);
	assert_int_equal(vm_mmap(w.mm, 0, PG, RW, SHARED, NULL, 0), -EBADF);
	assert_int_equal(vm_mmap(NULL, 0, PG, RW, SHARED, w.file, 0), -EINVAL);
	assert_int_equal(stats_of(w.m).vmas, 1);
	world_end(&w);
}

/* Header: a direct window takes direct files only; a file of another machine is not ours. */
static void a_window_takes_direct_files_of_its_machine(void **state)
{
	struct pinfold_file *file;
	struct setup s = { 0 };
	struct pinfold *m;
	struct world w;

	WORLD(w, *state);
	assert_ok(pinfold_open_memory(w.m, PG, NULL, &file));
	assert_int_equal(vm_mmap(w.mm, 0, PG, RW, SHARED, file, 0), -EOPNOTSUPP);
	assert_ok(pinfold_close(file));
	m = new_machine(&s);
	assert_ok(pinfold_open_memory(m, PG, &(struct pinfold_file_options){
		.size = sizeof(struct pinfold_file_options), .flags = PINFOLD_FILE_DIRECT }, &file));
	assert_int_equal(vm_mmap(w.mm, 0, PG, RW, SHARED, file, 0), -EINVAL);
	assert_ok(pinfold_close(file));
	end_machine(m);
	world_end(&w);
}

/* Header: POPULATE reads ahead; its errors are ignored, as in Linux (clause F13). */
static void populate_reads_what_there_is(void **state)
{
	struct page *pages[16];
	struct pinfold_stats s;
	struct world w;
	long a;

	WORLD(w, *state, .map_pages = 20);
	a = vm_mmap(w.mm, 0, 20 * PG, RW, SHARED | PINFOLD_MAP_POPULATE, w.file, 0);
	assert_true(a > 0);
	s = stats_of(w.m);
	assert_int_equal(s.pages_read, 16);
	assert_int_equal(get_user_pages_fast((unsigned long)a, 16, 0, pages), 16);
	assert_int_equal(stats_of(w.m).fast_pins - s.fast_pins, 16);
	assert_ok(put_user_pages(pages, 16));
	if (w.window) {
		uint64_t before = stats_of(w.m).faults_minor + stats_of(w.m).faults_missing;

		for (unsigned p = 0; p < 16; p++)
			assert_true(is_filled(window_at((unsigned long)a + p * PG), 0, p));
		s = stats_of(w.m);
		assert_int_equal(s.faults_minor + s.faults_missing, before);
	}
	world_end(&w);
}

/* ---- munmap ---------------------------------------------------------------------------------- */

/* Header: any page-aligned range, holes are fine; what is bad changes nothing. */
static void munmap_of_a_part_leaves_the_rest(void **state)
{
	unsigned long place;
	struct world w;

	WORLD(w, *state, .pages = 8);
	place = w.at + 32 * PG;
	assert_int_equal(at_fixed(&w, place, 4, PINFOLD_MAP_FIXED), place);
	assert_int_equal(at_fixed(&w, place + 8 * PG, 4, PINFOLD_MAP_FIXED), place + 8 * PG);
	assert_int_equal(vm_munmap(w.mm, place + 1, PG), -EINVAL);
	assert_int_equal(vm_munmap(w.mm, place, 0), -EINVAL);
	assert_int_equal(vm_munmap(w.mm, ~0ul - PG + 1, 2 * PG), -EINVAL);
	assert_int_equal(stats_of(w.m).vmas, 3);
	assert_ok(vm_munmap(w.mm, place + PG, PG));
	assert_int_equal(stats_of(w.m).vmas, 4);
	assert_int_equal(get_user_pages_fast(place + PG, 1, 0, NULL), -EFAULT);
	w.at = place;
	assert_true(page_is(&w, 0, 0));
	assert_true(page_is(&w, 0, 3));
	assert_ok(vm_munmap(w.mm, place, 10 * PG));
	assert_int_equal(stats_of(w.m).vmas, 2);
	w.at = place + 8 * PG;
	assert_true(page_is(&w, 0, 2));
	assert_ok(vm_munmap(w.mm, place + 20 * PG, PG)); /* a hole is fine */
	world_end(&w);
}

/* Header: several in one call, with holes between them. */
static void one_munmap_takes_several_mappings(void **state)
{
	unsigned long place;
	struct page *page;
	struct world w;

	WORLD(w, *state, .pages = 8);
	place = w.at + 32 * PG;
	for (unsigned i = 0; i < 5; i++) {
		assert_int_equal(at_fixed(&w, place + i * 10 * PG, 4, PINFOLD_MAP_FIXED),
		                 place + i * 10 * PG);
		page = pin_one(place + i * 10 * PG, FOLL_WRITE);
		assert_ok(put_user_page(page));
	}
	assert_ok(vm_munmap(w.mm, place + 5 * PG, 30 * PG));
	assert_int_equal(stats_of(w.m).vmas, 3);
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(get_user_pages_fast(place + i * 10 * PG, 1, 0, NULL),
		                 i == 0 || i == 4 ? 1 : -EFAULT);
	if (w.window)
		assert_int_not_equal(signal_of((void)*(volatile char *)(place + 10 * PG)), 0);
	world_end(&w);
}

/* Page tables are given back: those of the range at munmap, all with the mm. */
static void munmap_frees_page_tables(void **state)
{
	uint64_t before, with;
	struct page *page;
	struct world w;
	long a[4];

	WORLD(w, *state, .pages = 2048, .sparse = true);
	page = pin_one(w.at, 0);
	assert_ok(put_user_page(page));
	before = stats_of(w.m).tables;
	assert_true(before > 0);
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 4; i++) {
			a[i] = vm_mmap(w.mm, 0, 3 * LEAF, RW, SHARED, w.file, LEAF);
			assert_true(a[i] > 0);
			for (unsigned long off = 0; off < 3 * LEAF; off += LEAF)
				assert_int_equal(get_user_pages_fast((unsigned long)a[i] + off, 1, 0, NULL), 1);
		}
		with = stats_of(w.m).tables;
		assert_true(with >= before + 8);
		for (int i = 0; i < 4; i++)
			assert_ok(vm_munmap(w.mm, (unsigned long)a[i], 3 * LEAF));
		assert_true(stats_of(w.m).tables <= before + 2);
		check_machine(w.m);
	}
	world_end(&w);
}

/* ---- mprotect -------------------------------------------------------------------------------- */

/* A store to a read-only mapping is the application's own SIGSEGV; loads go on; back again. */
static void a_store_to_a_read_only_window_is_the_applications_signal(void **state)
{
	struct world w;

	WORLD(w, *state);
	store_page(&w, 1, 0);
	for (int round = 0; round < 3; round++) {
		assert_ok(vm_mprotect(w.mm, w.at, w.pages * PG, PINFOLD_PROT_READ));
		assert_int_equal(signal_of(*(volatile char *)w.at = 1), SIGSEGV);
		assert_int_equal(signal_of(*(volatile char *)(w.at + 5 * PG) = 1), SIGSEGV);
		assert_true(is_filled(window_at(w.at), 1, 0));
		assert_true(is_filled(window_at(w.at + 5 * PG), 0, 5));
		assert_int_equal(stats_of(w.m).dirty_pages, 1);
		assert_ok(vm_mprotect(w.mm, w.at, w.pages * PG, PINFOLD_PROT_NONE));
		assert_int_equal(signal_of((void)*(volatile char *)w.at), SIGSEGV);
		assert_ok(vm_mprotect(w.mm, w.at, w.pages * PG, RW));
		assert_true(is_filled(window_at(w.at), 1, 0));
	}
	store_page(&w, 2, 5);
	assert_ok(pinfold_commit(w.file, 0, 0, NULL));
	assert_true(disk_is(&w, 1, 0) && disk_is(&w, 2, 5));
	world_end(&w);
}

/* A mapping that is read-only from the start. */
static void a_read_only_mapping_reads(void **state)
{
	struct world w;

	WORLD(w, *state, .prot = PINFOLD_PROT_READ);
	assert_true(page_is(&w, 0, 3));
	if (w.window)
		assert_int_equal(signal_of(*(volatile char *)w.at = 1), SIGSEGV);
	assert_int_equal(stats_of(w.m).dirty_pages, 0);
	assert_ok(vm_mprotect(w.mm, w.at, w.pages * PG, RW));
	store_page(&w, 1, 3);
	assert_true(page_is(&w, 1, 3));
	world_end(&w);
}

/* Header: any part of mappings; -ENOMEM for a hole, and what lies before it is done, as in Linux. */
static void mprotect_takes_parts_up_to_a_hole(void **state)
{
	unsigned long place;
	struct world w;

	WORLD(w, *state, .pages = 8);
	place = w.at + 32 * PG;
	assert_int_equal(at_fixed(&w, place, 4, PINFOLD_MAP_FIXED), place);
	assert_int_equal(at_fixed(&w, place + 4 * PG, 4, PINFOLD_MAP_FIXED), place + 4 * PG);
	assert_int_equal(vm_mprotect(w.mm, place, 8 * PG, 4), -EINVAL);
	assert_int_equal(vm_mprotect(w.mm, place + 1, PG, 0), -EINVAL);
	w.at = place;
	store_page(&w, 1, 0);
	assert_ok(vm_mprotect(w.mm, place, 2 * PG, PINFOLD_PROT_READ));
	assert_int_equal(get_user_pages_fast(place + PG, 1, FOLL_WRITE, NULL), -EFAULT);
	assert_int_equal(get_user_pages_fast(place + 2 * PG, 1, FOLL_WRITE, NULL), 1);
	assert_int_equal(vm_mprotect(w.mm, place, 12 * PG, PINFOLD_PROT_READ), -ENOMEM);
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(get_user_pages_fast(place + i * PG, 1, FOLL_WRITE, NULL), -EFAULT);
	assert_true(page_is(&w, 1, 0));
	world_end(&w);
}

/* ---- madvise --------------------------------------------------------------------------------- */

/* Header: WILLNEED starts reading, DONTNEED drops translations; any part; -EINVAL, -ENOMEM. */
static void advice_takes_parts_and_refuses_holes(void **state)
{
	uint64_t end = now_ms() + 5000;
	struct page *page;
	struct world w;

	WORLD(w, *state);
	assert_ok(vm_madvise(w.mm, w.at + 2 * PG, 4 * PG, PINFOLD_MADV_WILLNEED));
	while (stats_of(w.m).pages_read < 4 && now_ms() < end)
		assert_true(pinfold_progress(w.m) >= 0);
	assert_int_equal(stats_of(w.m).pages_read, 4);
	for (unsigned p = 2; p < 6; p++)
		assert_true(page_is(&w, 0, p));
	assert_int_equal(stats_of(w.m).pages_read, 4);
	store_page(&w, 1, 3);
	assert_ok(vm_madvise(w.mm, w.at + 3 * PG, PG, PINFOLD_MADV_DONTNEED));
	assert_true(page_is(&w, 1, 3)); /* stays in the cache, dirty */
	assert_int_equal(stats_of(w.m).dirty_pages, 1);
	assert_int_equal(stats_of(w.m).pages_read, 4);
	assert_ok(vm_madvise(w.mm, w.at, PG, PINFOLD_MADV_NORMAL));
	assert_int_equal(vm_madvise(w.mm, w.at, PG, 8), -EINVAL);
	assert_int_equal(vm_madvise(w.mm, w.at + 1, PG, PINFOLD_MADV_DONTNEED), -EINVAL);
	assert_int_equal(vm_madvise(w.mm, w.at + 15 * PG, 2 * PG, PINFOLD_MADV_DONTNEED), -ENOMEM);
	assert_int_equal(vm_madvise(w.mm, w.at + 16 * PG, PG, PINFOLD_MADV_DONTNEED), -ENOMEM);
	assert_int_equal(vm_madvise(w.mm, w.at + 16 * PG, PG, PINFOLD_MADV_WILLNEED), -ENOMEM);
	page = pin_one(w.at + 15 * PG, 0);
	assert_ok(put_user_page(page));
	world_end(&w);
}

/* ---- coherence ------------------------------------------------------------------------------- */

static uint64_t peek(struct mm_struct *mm, unsigned long a)
{
	uint64_t v = 0;

	assert_int_equal(access_process_vm(mm, a, &v, 8, 0), 8);
	return v;
}

/*
 * Every view of a page is that page: two addresses of one mm, a second mm, pins, copies, commits.
 */
static void all_views_of_a_file_agree(void **state)
{
	const struct kind *k = *state;
	struct mm_struct *other;
	struct page *page;
	struct world w;
	unsigned long b, c;
	long r;

	WORLD(w, k);
	b = map(&w, 2, 8, RW); /* page 2 on */
	assert_ok(pinfold_mm_create(w.m, k->window, &other));
	r = vm_mmap(other, 0, 16 * PG, RW, SHARED, w.file, 0);
	assert_true(r > 0);
	c = (unsigned long)r;
	for (uint64_t i = 1; i < 200; i++) {
		unsigned long off = i % 8 * PG + i * 8;
		unsigned long view[] = { w.at + 2 * PG + off, b + off, c + 2 * PG + off };
		unsigned from = (unsigned)i % 3;

		if (w.window)
			*(volatile uint64_t *)view[from] = i;
		else
			assert_int_equal(access_process_vm(from == 2 ? other : w.mm, view[from], &i, 8,
			                                   FOLL_WRITE), 8);
		assert_int_equal(peek(w.mm, view[0]), i);
		assert_int_equal(peek(w.mm, view[1]), i);
		assert_int_equal(peek(other, view[2]), i);
		if (w.window)
			for (int v = 0; v < 3; v++)
				assert_int_equal(*(volatile uint64_t *)view[v], i);
		if (i % 50 == 0)
			assert_ok(pinfold_commit(w.file, 0, 0, NULL));
	}
	page = pin_one(w.at + 2 * PG, FOLL_WRITE);
	fill(page_address(page), 8, 2);
	assert_ok(put_user_pages_dirty(&page, 1));
	w.at = b - 2 * PG;
	assert_true(page_is(&w, 8, 2));
	assert_ok(pinfold_mm_destroy(other));
	assert_ok(pinfold_commit(w.file, 0, 0, NULL));
	assert_true(disk_is(&w, 8, 2));
	world_end(&w);
}

/* After a commit each view is protected again: a store through any of them is seen. */
static void a_store_through_any_view_is_committed(void **state)
{
	const struct kind *k = *state;
	struct mm_struct *other;
	unsigned long view[3];
	struct world w;
	uint64_t found;

	WORLD(w, k);
	assert_ok(pinfold_mm_create(w.m, k->window, &other));
	view[0] = w.at;
	view[1] = map(&w, 0, 16, RW);
	view[2] = (unsigned long)vm_mmap(other, 0, 16 * PG, RW, SHARED, w.file, 0);
	for (uint64_t i = 1; i < 60; i++) {
		for (unsigned v = 0; v < 3; v++) {
			uint64_t x = i * 3 + v;

			if (w.window)
				*(volatile uint64_t *)(view[v] + 4 * PG) = x;
			else
				assert_int_equal(access_process_vm(v == 2 ? other : w.mm, view[v] + 4 * PG, &x,
				                                   8, FOLL_WRITE), 8);
			if ((i + v) % 2)
				continue;
			assert_ok(pinfold_commit(w.file, 0, 0, NULL));
			assert_int_equal(pread(w.fd, &found, 8, 4 * PG), 8);
			assert_int_equal(found, x);
		}
	}
	assert_ok(pinfold_mm_destroy(other));
	world_end(&w);
}

/* ---- the end of the file --------------------------------------------------------------------- */

/* Beyond the end of the file a touch fails; growth makes it usable, through mappings that exist. */
static void growth_is_usable_through_a_mapping_that_was_there(void **state)
{
	struct page *page;
	struct world w;

	WORLD(w, *state, .bytes = 2 * PG + 10, .map_pages = 8);
	assert_int_equal(get_user_pages_fast(w.at + 3 * PG, 1, 0, &page), -EFAULT);
	assert_int_equal(last_error(), -ENXIO);
	if (w.window) {
		assert_int_equal(signal_of((void)*(volatile char *)(w.at + 3 * PG)), SIGBUS);
		assert_int_equal(signal_of(*(volatile char *)(w.at + 7 * PG) = 1), SIGBUS);
		assert_int_equal(last_error(), -ENXIO);
	}
	page = pin_one(w.at + 2 * PG, 0);
	assert_true(is_zero(page_address(page), 16, PG));
	assert_ok(put_user_page(page));
	assert_ok(vfs_truncate(w.file, 6 * PG));
	for (unsigned p = 3; p < 6; p++) {
		page = pin_one(w.at + p * PG, 0);
		assert_true(is_zero(page_address(page), 0, PG));
		assert_ok(put_user_page(page));
		store_page(&w, 1, p);
	}
	assert_int_equal(get_user_pages_fast(w.at + 6 * PG, 1, 0, &page), -EFAULT);
	assert_ok(pinfold_commit(w.file, 0, 0, NULL));
	assert_int_equal(disk_size(&w), 6 * PG);
	for (unsigned p = 3; p < 6; p++)
		assert_true(disk_is(&w, 1, p));
	world_end(&w);
}

/* Mappings at an offset. */
static void a_mapping_shows_the_file_from_its_offset(void **state)
{
	struct world w;

	WORLD(w, *state, .map_offset = 5 * PG, .map_pages = 8);
	for (unsigned p = 0; p < 8; p++) {
		struct page *page = pin_one(w.at + p * PG, 0);

		assert_true(is_filled(page_address(page), 0, p + 5));
		if (w.window)
			assert_true(is_filled(window_at(w.at + p * PG), 0, p + 5));
		assert_ok(put_user_page(page));
	}
	w.at -= 5 * PG;
	store_page(&w, 1, 9);
	assert_ok(pinfold_commit(w.file, 0, 0, NULL));
	assert_true(disk_is(&w, 1, 9));
	world_end(&w);
}

/* ---- handles --------------------------------------------------------------------------------- */

/* Header: double close and destroy, wrong handles: an error, nothing changed. */
static void closed_handles_are_told(void **state)
{
	struct setup s = { 0 };
	struct mm_struct *mm;
	struct pinfold *m;
	struct world w;
	char buf[8];

	WORLD(w, *state);
	assert_ok(pinfold_mm_create(w.m, PINFOLD_WINDOW_NONE, &mm));
	assert_ok(pinfold_mm_destroy(mm));
	assert_int_equal(pinfold_mm_destroy(mm), -EBADF);
	assert_int_equal(pinfold_mm_destroy(NULL), -EBADF);
	assert_int_equal(vm_munmap(mm, w.at, PG), -EINVAL);
	assert_int_equal(vm_mprotect(mm, w.at, PG, RW), -EINVAL);
	assert_int_equal(vm_madvise(mm, w.at, PG, PINFOLD_MADV_DONTNEED), -EINVAL);
	assert_int_equal(access_process_vm(mm, w.at, buf, 8, 0), -EINVAL);
	assert_int_equal(pinfold_prefetch(mm, w.at, PG), -EINVAL);
	assert_int_equal(pinfold_mm_create(w.m, (enum pinfold_window)7, &mm), -EINVAL);
	assert_int_equal(pinfold_mm_create(w.m, PINFOLD_WINDOW_NONE, NULL), -EINVAL);
	assert_int_equal(pinfold_destroy(w.m), -EBUSY);
	m = new_machine(&s);
	assert_ok(pinfold_destroy(m));
	assert_int_equal(pinfold_destroy(m), -EINVAL);
	assert_int_equal(pinfold_check(m), -EINVAL);
	assert_int_equal(pinfold_mm_create(m, PINFOLD_WINDOW_NONE, &mm), -EINVAL);
	assert_int_equal(pinfold_reclaim(m, 1), -EINVAL);
	assert_int_equal(pinfold_progress(m), -EINVAL);
	assert_int_equal(pinfold_destroy(NULL), -EINVAL);
	world_end(&w);
}

/* Header: options by size; wrong ones are refused. */
static void wrong_machine_options_are_refused(void **state)
{
	struct pinfold_options o = { .size = sizeof(o), .memory = 8 * MIB, .pool = 16 * MIB };
	struct pinfold_stats st = { .size = 0 };
	struct pinfold *m = NULL;

	(void)state;
	assert_int_equal(pinfold_create(&o, &m), -EINVAL);
	o = (struct pinfold_options){ .size = sizeof(o), .memory = 8 * MIB, .flags = 1u << 7 };
	assert_int_equal(pinfold_create(&o, &m), -EINVAL);
	o = (struct pinfold_options){ .size = 3 };
	assert_int_equal(pinfold_create(&o, &m), -EINVAL);
	o = (struct pinfold_options){ .size = sizeof(o), .memory = 8 * MIB, .staging = 64 * MIB };
	assert_int_equal(pinfold_create(&o, &m), -EINVAL);
	assert_int_equal(pinfold_create(&o, NULL), -EINVAL);
	assert_null(m);
	o = (struct pinfold_options){ .size = offsetof(struct pinfold_options, pool),
	                              .memory = 8 * MIB };
	assert_ok(pinfold_create(&o, &m));
	assert_int_equal(pinfold_get_stats(m, &st), -EINVAL);
	assert_int_equal(pinfold_get_stats(m, NULL), -EINVAL);
	end_machine(m);
}

/* mm_destroy unmaps everything, also under pins; use_mm of a thread ends with it. */
static void destroying_an_mm_unmaps_everything(void **state)
{
	struct page *page;
	struct world w;

	WORLD(w, *state);
	map(&w, 0, 4, RW);
	map(&w, 3, 4, PINFOLD_PROT_READ);
	page = pin_one(w.at, FOLL_WRITE);
	assert_ok(pinfold_mm_destroy(w.mm));
	assert_int_equal(stats_of(w.m).vmas + stats_of(w.m).mms + stats_of(w.m).tables, 0);
	assert_int_equal(get_user_pages_fast(w.at, 1, 0, NULL), -EFAULT);
	if (w.window)
		assert_int_not_equal(signal_of((void)*(volatile char *)w.at), 0);
	assert_ok(put_user_page(page));
	assert_ok(pinfold_mm_create(w.m, PINFOLD_WINDOW_NONE, &w.mm));
	world_end(&w);
}

static void *destroy_mm(void *mm)
{
	return pinfold_mm_destroy(mm) ? mm : NULL;
}

/* Header: -EINVAL, not an mm of a live machine.  Of the threads whose mm it was only the one that destroyed it is told. */
static void a_pin_in_an_mm_that_another_thread_destroyed_is_refused(void **state)
{
	struct page *page, *pages[4];
	struct world w;

	WORLD(w, *state);
	page = pin_one(w.at, 0);
	assert_ok(put_user_page(page));
	assert_null(in_thread(destroy_mm, w.mm));
	assert_int_equal(get_user_pages_fast(w.at, 1, 0, &page), -EINVAL);
	assert_int_equal(get_user_pages_fast(w.at, 4, FOLL_WRITE, pages), -EINVAL);
	assert_int_equal(get_user_pages_unlocked(w.at, 1, &page, 0), -EINVAL);
	assert_ok(pinfold_mm_create(w.m, PINFOLD_WINDOW_NONE, &w.mm));
	world_end(&w);
}

/* ---- threads --------------------------------------------------------------------------------- */

struct churn {
	struct world *w;
	_Atomic int *stop;
	unsigned word; /* the thread's own */
	int bad;
};

static void *touch_all(void *arg)
{
	struct churn *c = arg;

	for (unsigned p = 0; !atomic_load(c->stop); p = (p + 5) % 16) {
		volatile uint64_t *v = (uint64_t *)(c->w->at + p * PG);

		c->bad += v[1] != word_of(0, p, 1);
		v[c->word] = word_of(0, p, c->word);
	}
	return NULL;
}

/* Faults of two threads beside mappings that come and go, advice, reclaim and commits. */
static void windows_of_threads_beside_changes_of_the_mm(void **state)
{
	_Atomic int stop = 0;
	struct churn c[2];
	pthread_t t[2];
	struct world w;

	WORLD(w, *state);
	for (int i = 0; i < 2; i++) {
		c[i] = (struct churn){ &w, &stop, 2 + (unsigned)i, 0 };
		pthread_create(&t[i], NULL, touch_all, &c[i]);
	}
	for (int i = 0; i < 150; i++) {
		unsigned long a = map(&w, (unsigned)i % 8, 8, RW);

		*(volatile uint64_t *)(a + 3 * PG + 8 * 7) = word_of(0, (unsigned)i % 8 + 3, 7);
		assert_ok(vm_munmap(w.mm, a, 8 * PG));
		assert_ok(vm_madvise(w.mm, w.at, 16 * PG, PINFOLD_MADV_DONTNEED));
		if (i % 4 == 0)
			assert_ok(pinfold_commit(w.file, 0, 0, NULL));
		pinfold_reclaim(w.m, 3);
	}
	atomic_store(&stop, 1);
	for (int i = 0; i < 2; i++) {
		pthread_join(t[i], NULL);
		assert_int_equal(c[i].bad, 0);
	}
	for (unsigned p = 0; p < 16; p++)
		assert_true(page_is(&w, 0, p));
	world_end(&w);
}

/* Header: a thread that holds the mmap lock may still touch windows. */
static void windows_can_be_touched_under_the_mmap_lock(void **state)
{
	struct world w;

	WORLD(w, *state);
	mmap_read_lock(w.mm);
	assert_true(is_filled(window_at(w.at), 0, 0));
	fill(window_at(w.at + PG), 1, 1);
	mmap_read_unlock(w.mm);
	mmap_write_lock(w.mm);
	assert_true(is_filled(window_at(w.at + 9 * PG), 0, 9));
	fill(window_at(w.at + 10 * PG), 1, 10);
	mmap_write_unlock(w.mm);
	assert_ok(pinfold_commit(w.file, 0, 0, NULL));
	assert_true(disk_is(&w, 1, 1) && disk_is(&w, 1, 10));
	world_end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		EACH(hint_fixed_and_noreplace),
		EACH(fixed_replaces_what_was_there),
		EACH(wrong_mappings_are_refused),
		ON(window, a_window_takes_direct_files_of_its_machine),
		EACH(populate_reads_what_there_is),
		EACH(munmap_of_a_part_leaves_the_rest),
		EACH(one_munmap_takes_several_mappings),
		EACH(munmap_frees_page_tables),
		WINDOWS(a_store_to_a_read_only_window_is_the_applications_signal),
		EACH(a_read_only_mapping_reads),
		EACH(mprotect_takes_parts_up_to_a_hole),
		EACH(advice_takes_parts_and_refuses_holes),
		EACH(all_views_of_a_file_agree),
		EACH(a_store_through_any_view_is_committed),
		EACH(growth_is_usable_through_a_mapping_that_was_there),
		EACH(a_mapping_shows_the_file_from_its_offset),
		PLAIN(closed_handles_are_told),
		PLAIN(wrong_machine_options_are_refused),
		EACH(destroying_an_mm_unmaps_everything),
		EACH(a_pin_in_an_mm_that_another_thread_destroyed_is_refused),
		WINDOWS(windows_of_threads_beside_changes_of_the_mm),
		WINDOWS(windows_can_be_touched_under_the_mmap_lock),
	};

	return world_main(tests);
}
