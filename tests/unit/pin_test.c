/* SPDX-License-Identifier: MIT */
/* pin_test.c - what a pin leaves on its page's record, where no call shows it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "mm/filemap.h"
#include "mm/machine.h"

static long pin(int which, unsigned long at, unsigned flags, struct mm_struct *mm, struct page **page)
{
	int locked = 1;
	long r;

	if (which == 0)
		return get_user_pages_fast(at, 1, flags, page);
	if (which == 1)
		return get_user_pages_unlocked(at, 1, page, flags);
	mmap_read_lock(mm);
	if (which == 2)
		r = get_user_pages(at, 1, flags, page, NULL);
	else
		r = get_user_pages_locked(at, 1, flags, page, &locked);
	if (locked)
		mmap_read_unlock(mm);
	return r;
}

/* Clause F7: with and without TOUCH, fast and slow, of a page that nobody used since the last look. */
static void every_pin_marks_its_page_as_used(void **state)
{
	struct pinfold_options o = { .size = sizeof(o), .memory = 8 << 20, .pool = 8 << 20 };
	struct pinfold_file *f;
	struct mm_struct *mm;
	struct page *page;
	struct pinfold *m;
	long at;

	(void)state;
	assert_int_equal(pinfold_create(&o, &m), 0);
	assert_int_equal(pinfold_open_memory(m, 1 << 20, NULL, &f), 0);
	assert_int_equal(pinfold_mm_create(m, PINFOLD_WINDOW_NONE, &mm), 0);
	at = vm_mmap(mm, 0, 1 << 20, PINFOLD_PROT_READ | PINFOLD_PROT_WRITE, PINFOLD_MAP_SHARED, f, 0);
	assert_true(at > 0);
	assert_int_equal(pinfold_use_mm(mm), 0);
	for (int which = 0; which < 4; which++)
		for (unsigned flags = 0; flags < 4; flags++) { /* WRITE, TOUCH */
			unsigned long a = (unsigned long)at + (unsigned)(which * 4 + (int)flags) * 4096;

			assert_int_equal(pin(which, a, flags, mm, &page), 1);
			assert_true(has_flag(page, PG_referenced));
			assert_int_equal(put_user_page(page), 0);
			clear_flag(page, PG_referenced);
			assert_int_equal(pin(which, a, flags, mm, &page), 1); /* it is there now */
			assert_true(has_flag(page, PG_referenced));
			assert_int_equal(put_user_page(page), 0);
		}
	assert_int_equal(pinfold_use_mm(NULL), 0);
	assert_int_equal(pinfold_mm_destroy(mm), 0);
	assert_int_equal(pinfold_close(f), 0);
	assert_int_equal(pinfold_destroy(m), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_pin_marks_its_page_as_used),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
