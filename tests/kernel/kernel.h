/* SPDX-License-Identifier: MIT */
/* kernel.h - what the tests of drivers share: a started double, user memory with a pattern, a driver's file. */
#ifndef TESTS_KERNEL_H
#define TESTS_KERNEL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>
#include <pinfold/kd.h>

#define HELPER static __attribute__((unused))
#define PG 4096ul
#define RW (PROT_READ | PROT_WRITE)

#define START(...) \
	assert_int_equal(kd_start(&(struct kd_options){ .size = sizeof(struct kd_options), __VA_ARGS__ }), 0)

/* After a test that failed in the middle. */
HELPER int clear(void **state)
{
	(void)state;
	kd_stop();
	return 0;
}
#define TEST(fn) cmocka_unit_test_teardown(fn, clear)

/* Ends it; what is wrong is printed. */
HELPER void finish(void)
{
	if (kd_check())
		kd_report(stdout);
	assert_int_equal(kd_stop(), 0);
}

/* Ends it where something has to be wrong, and this in it. */
HELPER void finish_wrong(const char *part)
{
	if (!kd_told(part))
		kd_report(stdout);
	assert_true(kd_told(part));
	assert_int_not_equal(kd_stop(), 0);
}

/* A fatal hook: back to setjmp(back). */
static __attribute__((unused)) jmp_buf back;

HELPER void jump(const char *what)
{
	(void)what;
	longjmp(back, 1);
}

HELPER unsigned char *user_memory(unsigned pages)
{
	unsigned char *p = kd_mmap(pages * PG, RW, MAP_PRIVATE);

	assert_non_null(p);
	for (unsigned i = 0; i < pages * PG; i++)
		p[i] = (unsigned char)(i + i / PG);
	return p;
}

HELPER uint64_t sum_of(const unsigned char *p, size_t n)
{
	uint64_t sum = 0;

	while (n--)
		sum += *p++;
	return sum;
}

HELPER struct file *driver_file(const char *name)
{
	struct file *f;
	int err;

	assert_int_equal(kd_init(), 0);
	f = kd_open(name, 0, &err);
	assert_int_equal(err, 0);
	return f;
}

HELPER void driver_end(struct file *f)
{
	assert_int_equal(kd_close(f), 0);
	kd_exit();
}

/* Every failure that there can be: the driver undoes what it did, and says that it failed. */
HELPER void all_failures_are_undone(int (*run)(void *arg), unsigned long at_least)
{
	struct kd_outcome o;
	struct kd_scenario s = { .run = run, .point = KD_ANY };
	int r = kd_run_all(&s, &o);

	if (r)
		print_message("%lu runs, %lu failures, %lu bad: %s\n", o.runs, o.failures, o.bad, o.first);
	assert_int_equal(r, 0);
	assert_int_equal(o.silent, 0);
	assert_true(o.failures >= at_least);
}

#endif
