/* SPDX-License-Identifier: MIT */
/* gup618_test.c - the pin calls of 6.18 as kernel code sees them in the double: arguments, kinds, locks. */
#include "kernel.h"

#include <linux/mm.h>
#include <linux/uio.h>

static unsigned long at(void)
{
	return (unsigned long)user_memory(4);
}

/* Clauses A4, A5, A6, A7, A9, A10, A16, A17: arguments that are not valid: 0 from slow pins, -EINVAL from gets and fast calls. */
static void bad_arguments_are_refused_as_by_linux(void **state)
{
	struct page *p[4];
	unsigned long a;
	int locked = 0;

	(void)state;
	START(.memory = 0);
	a = at();
	mmap_read_lock(current->mm);
	assert_int_equal(pin_user_pages(a, 1, FOLL_GET, p), 0);
	assert_int_equal(pin_user_pages(a, 1, 0x80000 /* PIN */, p), 0);
	assert_int_equal(pin_user_pages(a, 1, 0, NULL), 0);
	assert_int_equal(pin_user_pages_remote(current->mm, a, 1, 0, p, &locked), 0);
	assert_int_equal(get_user_pages(a, 1, FOLL_LONGTERM, p), -EINVAL);
	assert_int_equal(get_user_pages(a, 1, 0x10000 /* TOUCH */, p), -EINVAL);
	assert_int_equal(get_user_pages(a, 2, 0, NULL), 2);
	mmap_read_unlock(current->mm);
	assert_int_equal(get_user_pages_fast(a, 1, FOLL_LONGTERM, p), -EINVAL);
	assert_int_equal(pin_user_pages_fast(a, 1, FOLL_NOWAIT, p), -EINVAL);
	assert_int_equal(pin_user_pages_fast(a, -1, 0, p), -EOVERFLOW);
	assert_int_equal(pin_user_pages_fast(a, 0, 0, p), 0);
	assert_true(kd_expect("are not valid") > 0);
	finish();
}

/* Clauses R1, R5: each kind has its release; the other one is told, and the page is free all the same. */
static void a_release_of_the_other_kind_is_told(void **state)
{
	struct page *p[4];
	unsigned long a;

	(void)state;
	START(.memory = 0);
	a = at();
	assert_int_equal(pin_user_pages_fast(a, 2, FOLL_WRITE, p), 2);
	put_page(p[0]);
	unpin_user_page(p[1]);
	assert_int_equal(kd_expect("put_page(): mismatch: pin_user_pages_fast() took the page"), 1);
	assert_int_equal(get_user_pages_fast(a, 2, FOLL_WRITE, p), 2);
	unpin_user_pages(p, 1);
	put_page(p[1]);
	assert_int_equal(kd_expect("unpin_user_pages(): mismatch: get_user_pages_fast() took the page"), 1);
	put_page(p[1]);
	assert_int_equal(kd_expect("the page is not held"), 1);
	finish();
}

/* Clauses R1, D1: a page that one caller pinned and another one got needs both releases, in any order. */
static void pins_and_references_are_counted_apart(void **state)
{
	struct page *pin, *ref;
	unsigned long a;

	(void)state;
	START(.memory = 0);
	a = at();
	assert_int_equal(pin_user_pages_fast(a, 1, FOLL_WRITE | FOLL_LONGTERM, &pin), 1);
	assert_int_equal(get_user_pages_fast(a, 1, 0, &ref), 1);
	assert_ptr_equal(pin, ref);
	assert_true(folio_maybe_dma_pinned(page_folio(pin)));
	unpin_user_pages_dirty_lock(&pin, 1, true);
	assert_false(folio_maybe_dma_pinned(page_folio(ref)));
	assert_true(PageDirty(ref));
	assert_true(kd_told("leak: page reference"));
	assert_false(kd_told("leak: pin"));
	put_page(ref);
	finish();
}

/* Clauses L1, L2: slow calls want the mmap lock, the others take it themselves. */
static void the_mmap_lock_is_looked_at(void **state)
{
	struct page *p[2];
	int locked = 1;
	unsigned long a;

	(void)state;
	START(.memory = 0);
	a = at();
	assert_int_equal(pin_user_pages(a, 1, 0, p), 1);
	unpin_user_page(p[0]);
	assert_int_equal(kd_expect("pin_user_pages(): the mmap lock is not held"), 1);
	mmap_read_lock(current->mm);
	assert_int_equal(pin_user_pages_fast(a, 1, 0, p), -EDEADLK);
	assert_int_equal(pin_user_pages_unlocked(a, 1, p, 0), -EDEADLK);
	assert_int_equal(kd_expect("takes the mmap lock, which the thread holds"), 2);
	assert_int_equal(pin_user_pages_remote(current->mm, a, 2, FOLL_WRITE, p, &locked), 2);
	if (locked)
		mmap_read_unlock(current->mm);
	unpin_user_page_range_dirty_lock(p[0], 1, false);
	unpin_user_page(p[1]);
	kd_fail_nth(KD_DROP, 1);
	locked = 1;
	mmap_read_lock(current->mm);
	assert_int_equal(pin_user_pages_remote(current->mm, a, 1, 0, p, &locked), 1);
	assert_int_equal(locked, 0);
	assert_false(kd_told("leak: lock held"));
	unpin_user_page(p[0]);
	finish();
}

/* Clause D1: an error handed on as a count is told, holes in the list are passed over. */
static void lists_are_released_as_by_linux(void **state)
{
	struct page *p[4];

	(void)state;
	START(.memory = 0);
	assert_int_equal(pin_user_pages_unlocked(at(), 3, p, FOLL_WRITE), 3);
	p[3] = NULL;
	unpin_user_pages(p, (unsigned long)-ENOMEM);
	assert_int_equal(kd_expect("is an error, not a count"), 1);
	unpin_user_pages(p, 4);
	finish();
}

/* Clauses P1, R1: an iterator's pages are pins, of one range at a time. */
static void an_iterator_hands_out_pins(void **state)
{
	struct page *room[4], **p = room;
	struct iovec v[2];
	struct iov_iter i;
	size_t offset;
	char *m;

	(void)state;
	START(.memory = 0);
	m = (char *)at();
	v[0] = (struct iovec){ m + 100, 5000 };
	v[1] = (struct iovec){ m + 3 * PG, 10 };
	iov_iter_init(&i, ITER_SOURCE, v, 2, 5010);
	assert_int_equal(iov_iter_extract_pages(&i, &p, 1 << 20, 4, 0, &offset), 5000);
	assert_int_equal(offset, 100);
	assert_int_equal(iov_iter_count(&i), 10);
	unpin_user_pages(room, 2);
	p = NULL;
	assert_int_equal(iov_iter_extract_pages(&i, &p, 1 << 20, 4, 0, &offset), 10);
	unpin_user_page(p[0]);
	kvfree(p);
	assert_int_equal(iov_iter_count(&i), 0);
	finish();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(bad_arguments_are_refused_as_by_linux),
		TEST(a_release_of_the_other_kind_is_told),
		TEST(pins_and_references_are_counted_apart),
		TEST(the_mmap_lock_is_looked_at),
		TEST(lists_are_released_as_by_linux),
		TEST(an_iterator_hands_out_pins),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
