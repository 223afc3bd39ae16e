/* SPDX-License-Identifier: MIT */
/* uio_test.c - struct iov_iter: the pages behind an iovec, one segment at a time. */
#include "anon.h"

#include "mm/types.h"

#include <pinfold/uio.h>

static struct iovec piece(const struct world *w, unsigned p, size_t skip, size_t len)
{
	return (struct iovec){ (void *)(w->at + p * PG + skip), len };
}

/* The position's segment, at most 16 pages of it: bytes, or -errno.  The data's first page must be file page `first`. */
static ssize_t get(struct iov_iter *i, size_t maxsize, unsigned maxpages, unsigned first, size_t want_start)
{
	struct page *pages[16];
	size_t start = 7777, n;
	ssize_t r = iov_iter_get_pages(i, pages, maxsize, maxpages, &start);

	if (r <= 0)
		return r;
	assert_int_equal(start, want_start);
	n = (start + (size_t)r + PG - 1) / PG;
	assert_true(n <= maxpages);
	for (unsigned k = 0; k < n; k++)
		assert_true(is_filled(page_address(pages[k]), 0, first + k));
	assert_ok(put_user_pages(pages, n));
	return r;
}

/* Header: step by step through all segments, empty ones too: what is pinned lies in the position's segment. */
static void an_iovec_is_walked_segment_by_segment(void **state)
{
	struct iov_iter i;
	struct world w;

	WORLD(w, *state);
	struct iovec iov[] = {
		piece(&w, 0, 0, 0), piece(&w, 1, 100, 50), piece(&w, 2, 4000, 200), piece(&w, 9, 0, 0),
		piece(&w, 5, 0, 3 * PG), piece(&w, 9, 1, 10), piece(&w, 0, 0, 0),
	};

	assert_ok(iov_iter_init(&i, ITER_SOURCE, iov, 7, 50 + 200 + 3 * PG + 5));
	assert_int_equal(iov_iter_count(&i), 255 + 3 * PG);
	assert_int_equal(get(&i, 1000, 16, 1, 100), 50);
	assert_int_equal(iov_iter_count(&i), 255 + 3 * PG); /* the position stays */
	assert_int_equal(get(&i, 20, 16, 1, 100), 20);
	assert_ok(iov_iter_advance(&i, 20));
	assert_int_equal(get(&i, 1000, 16, 1, 120), 30);
	assert_ok(iov_iter_advance(&i, 30 + 10));
	assert_int_equal(get(&i, 1000, 16, 2, 4010), 190); /* two pages */
	assert_int_equal(get(&i, 1000, 1, 2, 4010), 86);   /* of which there is room for one */
	assert_ok(iov_iter_advance(&i, 190));
	assert_int_equal(get(&i, 3 * PG, 2, 5, 0), 2 * PG);
	assert_int_equal(get(&i, 3 * PG, 16, 5, 0), 3 * PG);
	assert_ok(iov_iter_advance(&i, 3 * PG));
	assert_int_equal(iov_iter_count(&i), 5);
	assert_int_equal(get(&i, 3 * PG, 16, 9, 1), 5); /* count ends before the segment */
	assert_ok(iov_iter_advance(&i, 100));
	assert_int_equal(iov_iter_count(&i), 0);
	assert_int_equal(get(&i, 1000, 16, 0, 0), 0);
	assert_int_equal(now_pinned(w.m), 0);
	world_end(&w);
}

/* Header: the pins are short ones, for writing where the data goes into the memory. */
static void the_direction_says_whether_pages_are_written(void **state)
{
	struct iov_iter in, out;
	struct page *page;
	size_t start;
	struct world w;

	WORLD(w, *state);
	struct iovec iov = piece(&w, 3, 0, PG);

	assert_ok(iov_iter_init(&out, ITER_SOURCE, &iov, 1, PG));
	assert_ok(iov_iter_init(&in, ITER_DEST, &iov, 1, PG));
	assert_int_equal(iov_iter_get_pages(&out, &page, PG, 1, &start), PG);
	assert_int_equal(now_pinned(w.m), 1);
	assert_false(has_flag(page, PG_wpinned) || has_flag(page, PG_longterm));
	assert_int_equal(stats_of(w.m).dirty_pages, 0);
	assert_ok(put_user_page(page));
	assert_int_equal(iov_iter_get_pages(&in, &page, PG, 1, &start), PG);
	assert_true(has_flag(page, PG_wpinned) && !has_flag(page, PG_longterm));
	fill(page_address(page), 1, 3);
	assert_ok(put_user_pages_dirty_lock(&page, 1));
	assert_ok(pinfold_commit(w.file, 0, 0, NULL));
	assert_true(disk_is(&w, 1, 3));
	assert_ok(vm_mprotect(w.mm, w.at, 4 * PG, PINFOLD_PROT_READ));
	assert_int_equal(iov_iter_get_pages(&in, &page, PG, 1, &start), -EFAULT);
	assert_int_equal(last_error(), -EACCES);
	assert_int_equal(iov_iter_get_pages(&out, &page, PG, 1, &start), PG);
	assert_ok(put_user_page(page));
	world_end(&w);
}

/* Clauses P1, P8, P9: bytes up to the page that cannot be had; its error when it comes first. */
static void what_can_be_had_is_told_in_bytes(void **state)
{
	struct iov_iter i;
	struct world w;

	WORLD(w, *state, .pages = 3, .map_pages = 5);
	struct iovec iov = piece(&w, 1, 10, 6 * PG);

	assert_ok(iov_iter_init(&i, ITER_SOURCE, &iov, 1, 6 * PG));
	assert_int_equal(get(&i, 6 * PG, 16, 1, 10), 2 * PG - 10);
	assert_ok(iov_iter_advance(&i, 2 * PG - 10));
	assert_int_equal(get(&i, 6 * PG, 16, 1, 10), -EFAULT);
	assert_int_equal(last_error(), -ENXIO);
	assert_ok(iov_iter_advance(&i, 2 * PG));
	assert_int_equal(get(&i, 6 * PG, 16, 1, 10), -EFAULT);
	assert_int_equal(last_error(), -EFAULT);
	assert_ok(pinfold_use_mm(NULL));
	assert_int_equal(get(&i, 6 * PG, 16, 1, 10), -EFAULT);
	world_end(&w);
}

/* Header: an array of the right size, the caller's to free; none when nothing was pinned. */
static void an_array_is_made_for_what_is_pinned(void **state)
{
	struct page **pages = (struct page **)1;
	struct iov_iter i;
	size_t start = 0;
	struct world w;

	WORLD(w, *state);
	struct iovec iov[] = { piece(&w, 2, 4095, 2 + 3 * PG), piece(&w, 16, 0, PG) };

	assert_ok(iov_iter_init(&i, ITER_DEST, iov, 2, 2 + 4 * PG));
	assert_int_equal(iov_iter_get_pages_alloc(&i, &pages, ~0ul, &start), 2 + 3 * PG);
	assert_int_equal(start, 4095);
	assert_int_equal(now_pinned(w.m), 5);
	for (unsigned k = 0; k < 5; k++)
		assert_true(is_filled(page_address(pages[k]), 0, 2 + k));
	assert_ok(put_user_pages(pages, 5));
	free(pages);
	pages = (struct page **)1;
	assert_int_equal(iov_iter_get_pages_alloc(&i, &pages, 0, &start), 0);
	assert_ok(iov_iter_advance(&i, 2 + 3 * PG));
	assert_int_equal(iov_iter_get_pages_alloc(&i, &pages, PG, &start), -EFAULT); /* unmapped */
	assert_ok(iov_iter_advance(&i, PG));
	assert_int_equal(iov_iter_get_pages_alloc(&i, &pages, PG, &start), 0);
	assert_ptr_equal(pages, (struct page **)1);
	world_end(&w);
}

/* Header: -EINVAL leaves an iterator that is at its end. */
static void wrong_arguments_are_refused(void **state)
{
	struct page *pages[1] = { NULL };
	struct iov_iter i;
	size_t start = 5;
	struct world w;

	WORLD(w, *state);
	struct iovec iov[] = { piece(&w, 0, 0, 100), piece(&w, 1, 0, ~0ul), { (void *)~PG, ~0ul } };

	assert_int_equal(iov_iter_init(&i, 2, iov, 1, 100), -EINVAL);
	assert_int_equal(iov_iter_count(&i), 0);
	assert_int_equal(iov_iter_get_pages(&i, pages, 100, 1, &start), 0);
	assert_ok(iov_iter_advance(&i, 5));
	assert_int_equal(iov_iter_init(&i, ITER_SOURCE, iov, 1, 101), -EINVAL);
	assert_int_equal(iov_iter_init(&i, ITER_SOURCE, NULL, 1, 0), -EINVAL);
	assert_int_equal(iov_iter_init(&i, ITER_SOURCE, iov, ~0ul, 100), -EINVAL);
	assert_int_equal(iov_iter_init(&i, ITER_SOURCE, iov, 0, 1), -EINVAL);
	assert_ok(iov_iter_init(&i, ITER_SOURCE, NULL, 0, 0));
	assert_int_equal(iov_iter_get_pages(&i, pages, 100, 1, &start), 0);
	assert_ok(iov_iter_init(&i, ITER_SOURCE, iov, 3, ~0ul)); /* lengths that add up to more than a size_t */
	assert_int_equal(iov_iter_get_pages(&i, pages, 100, 0, &start), -EINVAL);
	assert_int_equal(iov_iter_get_pages(&i, pages, 0, 1, &start), 0);
	assert_int_equal(start, 5);
	assert_null(pages[0]);
	assert_ok(iov_iter_advance(&i, 100));
	assert_int_equal(get(&i, ~0ul, 2, 1, 0), 2 * PG);
	assert_ok(iov_iter_init(&i, ITER_SOURCE, iov + 2, 1, ~0ul));
	assert_int_equal(iov_iter_get_pages(&i, pages, ~0ul, ~0u, &start), -EOVERFLOW);
	assert_int_equal(now_pinned(w.m), 0);
	world_end(&w);
}

/* Decision D1: nothing that the library reads or writes itself may lie in a window. */
static void what_lies_in_a_window_is_refused(void **state)
{
	struct iov_iter i, *inside;
	struct page *page, **array;
	size_t start;
	struct world w;

	WORLD(w, *state);
	struct iovec iov = piece(&w, 0, 0, PG), *in = (struct iovec *)(w.at + 2 * PG);

	inside = (struct iov_iter *)(w.at + PG);
	assert_int_equal(iov_iter_init(inside, ITER_SOURCE, &iov, 1, PG), -EFAULT);
	assert_int_equal(iov_iter_init(&i, ITER_SOURCE, in, 1, PG), -EFAULT);
	assert_int_equal(iov_iter_advance(inside, 1), -EFAULT);
	assert_int_equal(iov_iter_get_pages(inside, &page, PG, 1, &start), -EFAULT);
	assert_ok(iov_iter_init(&i, ITER_SOURCE, &iov, 1, PG));
	assert_int_equal(iov_iter_get_pages(&i, (struct page **)in, PG, 1, &start), -EFAULT);
	assert_int_equal(iov_iter_get_pages(&i, &page, PG, 1, (size_t *)in), -EFAULT);
	assert_int_equal(iov_iter_get_pages_alloc(&i, (struct page ***)in, PG, &start), -EFAULT);
	assert_int_equal(iov_iter_get_pages_alloc(&i, &array, PG, (size_t *)in), -EFAULT);
	i.iov = in;
	assert_int_equal(iov_iter_get_pages(&i, &page, PG, 1, &start), -EFAULT);
	assert_int_equal(iov_iter_advance(&i, 1), -EFAULT);
	assert_int_equal(stats_of(w.m).pins_acquired, 0);
	assert_true(page_is(&w, 0, 1) && page_is(&w, 0, 2));
	world_end(&w);
}

/* Clauses W13, H1: memory of the machine, a folio among it, written as it is advanced. */
static void memory_is_written_through_an_iterator(void **state)
{
	const struct kind *k = *state;
	struct pinfold *m = MACHINE();
	struct space s = new_space(m, k->window);
	struct iov_iter i;
	struct iovec iov[2];
	unsigned steps = 0;

	map_anon(&s, 0, 512 + 8, RW, PRIVATE);
	assert_ok(vm_madvise(s.mm, s.at, LEAF, PINFOLD_MADV_HUGEPAGE));
	assert_ok(pinfold_use_mm(s.mm));
	iov[0] = (struct iovec){ (void *)(s.at + 104), LEAF };
	iov[1] = (struct iovec){ (void *)(s.at + LEAF + 4 * PG), 10 };
	assert_ok(iov_iter_init(&i, ITER_DEST, iov, 2, LEAF + 10));
	while (iov_iter_count(&i)) {
		struct page *pages[16];
		size_t start;
		ssize_t r = iov_iter_get_pages(&i, pages, ~0ul, 16, &start);
		unsigned long n;

		assert_true(r > 0);
		n = (start + (size_t)r + PG - 1) / PG;
		((char *)page_address(pages[0]))[start] = (char)++steps;
		assert_ok(put_user_pages_dirty_lock(pages, n));
		assert_ok(iov_iter_advance(&i, (size_t)r));
	}
	assert_int_equal(steps, 512 / 16 + 2);
	assert_int_equal(peek(&s, 104) & 0xff, 1);
	assert_int_equal(peek(&s, 16 * PG) & 0xff, 2);
	assert_int_equal(peek(&s, LEAF + 4 * PG) & 0xff, steps);
	assert_int_equal(stats_of(m).folios_mapped, 1);
	end_both(m, &s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		EACH(an_iovec_is_walked_segment_by_segment),
		EACH(the_direction_says_whether_pages_are_written),
		EACH(what_can_be_had_is_told_in_bytes),
		EACH(an_array_is_made_for_what_is_pinned),
		EACH(wrong_arguments_are_refused),
		WINDOWS(what_lies_in_a_window_is_refused),
		BOTH(memory_is_written_through_an_iterator),
	};

	return world_main(tests);
}
