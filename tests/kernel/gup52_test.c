/* SPDX-License-Identifier: MIT */
/* gup52_test.c - the pin calls of 5.2 as kernel code sees them in the double: arguments, kinds, locks. */
#include "kernel.h"

#include <linux/mm.h>

static unsigned long at(void)
{
	return (unsigned long)user_memory(4);
}

/* Clauses A3, A11, A15: longterm is refused where 5.2 refuses it; the fast call says 0 for no pages and for fewer. */
static void bad_arguments_are_refused_as_by_linux(void **state)
{
	struct page *p[4];
	unsigned long a;
	int locked = 1;

	(void)state;
	START(.memory = 0);
	a = at();
	assert_int_equal(get_user_pages_unlocked(a, 1, p, FOLL_LONGTERM), -EINVAL);
	down_read(&current->mm->mmap_sem);
	assert_int_equal(get_user_pages_locked(a, 1, FOLL_LONGTERM, p, &locked), -EINVAL);
	assert_int_equal(get_user_pages_remote(NULL, current->mm, a, 1, FOLL_LONGTERM, p, NULL, &locked), -EINVAL);
	assert_int_equal(kd_expect("with FOLL_LONGTERM"), 3);
	assert_int_equal(get_user_pages(a, 1, FOLL_LONGTERM, NULL, NULL), -EINVAL);
	assert_int_equal(get_user_pages(a, 3, 0, NULL, NULL), 3);
	up_read(&current->mm->mmap_sem);
	assert_int_equal(get_user_pages_fast(a, 0, 0, p), 0);
	assert_int_equal(get_user_pages_fast(a, -3, 0, p), 0);
	finish();
}

/* Clause A13: locked together with vmas is a BUG(), which goes to the test's hook. */
static void a_bug_ends_in_the_hook(void **state)
{
	struct vm_area_struct *v;
	struct page *p;
	int locked = 1;

	(void)state;
	START(.fatal = jump);
	if (!setjmp(back)) {
		get_user_pages_remote(NULL, current->mm, 0, 1, 0, &p, &v, &locked);
		fail();
	}
	finish_wrong("BUG_ON(locked && (vmas || *locked != 1))");
}

/* Clauses D1, R5: put_user_page() and put_page() are two things, unless the test says that they are not yet. */
static void put_page_on_a_pin_is_told(void **state)
{
	struct page *p;

	(void)state;
	for (unsigned flags = 0; flags <= KD_PUT_PAGE_RELEASES; flags += KD_PUT_PAGE_RELEASES) {
		START(.flags = flags);
		assert_int_equal(get_user_pages_fast(at(), 1, FOLL_WRITE, &p), 1);
		get_page(p);
		put_page(p);
		assert_int_equal(kd_check(), 1); /* the pin */
		put_page(p);
		assert_int_equal(kd_expect("put_page(): mismatch: get_user_pages_fast() took the page"), !flags);
		finish();
	}
}

/* Clauses D1, D2: set_page_dirty_lock() before the release, or the release that does it. */
static void pages_are_marked_dirty(void **state)
{
	unsigned long a;
	struct page *p[3];

	(void)state;
	START(.memory = 0);
	a = at();
	assert_int_equal(get_user_pages_unlocked(a, 3, p, FOLL_WRITE), 3);
	set_page_dirty_lock(p[0]);
	put_user_page(p[0]);
	put_user_pages_dirty_lock(p + 1, 1);
	put_user_pages(p + 2, 1);
	assert_true(kd_dirty((void *)a));
	assert_true(kd_dirty((void *)(a + PG)));
	assert_false(kd_dirty((void *)(a + 2 * PG)));
	set_page_dirty(p[0]);
	assert_int_equal(kd_expect("the page is not held"), 1);
	finish();
}

/* Clause V2: vmas are those of the mapping, with the process's rights, while the lock is held. */
static void vmas_are_delivered(void **state)
{
	struct vm_area_struct *v[3];
	struct page *p[3];
	unsigned long a;

	(void)state;
	START(.memory = 0);
	a = at();
	assert_int_equal(kd_mprotect((void *)(a + PG), PG, PROT_READ), 0);
	down_read(&current->mm->mmap_sem);
	assert_int_equal(get_user_pages(a, 3, 0, p, v), 3);
	assert_int_equal(v[0]->vm_end, a + PG);
	assert_true(v[0]->vm_flags & VM_WRITE);
	assert_int_equal(v[1]->vm_start, a + PG);
	assert_false(v[1]->vm_flags & VM_WRITE);
	assert_ptr_equal(find_vma(current->mm, a + 3 * PG), v[2]);
	up_read(&current->mm->mmap_sem);
	put_user_pages(p, 3);
	find_vma(current->mm, a);
	assert_int_equal(kd_expect("find_vma(): the mmap lock is not held"), 1);
	finish();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(bad_arguments_are_refused_as_by_linux),
		TEST(a_bug_ends_in_the_hook),
		TEST(put_page_on_a_pin_is_told),
		TEST(pages_are_marked_dirty),
		TEST(vmas_are_delivered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
