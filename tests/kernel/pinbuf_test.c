/* SPDX-License-Identifier: MIT */
/* pinbuf_test.c - a driver written for 6.18 (drivers/pinbuf.c), run as it is: every way to take pages, and buffers that stay. */
#include "pinbuf.h"

/* Clauses P1, R1: gets and pins, slow, fast and long-term, in calls of any size, deliver the same pages. */
static void every_way_delivers_the_same(void **state)
{
	struct pinbuf_sum s;
	unsigned char *p;
	struct file *f;
	uint64_t want;

	(void)state;
	START(.memory = 0);
	f = driver_file("pinbuf");
	p = user_memory(9);
	want = sum_of(p, 9 * PG);
	for (unsigned mode = PINBUF_GET; mode <= PINBUF_LONGTERM; mode++) {
		for (unsigned batch = 1; batch <= 16; batch *= 4) {
			assert_int_equal(sum(f, p, 9, mode, batch, &s), 0);
			assert_int_equal(s.pages, 9);
			assert_int_equal(s.sum, want);
		}
	}
	driver_end(f);
	finish();
}

/* Clause P1: wherever a page is missing, the ones before it are delivered and given back. */
static void a_hole_anywhere_ends_the_range(void **state)
{
	(void)state;
	for (unsigned mode = PINBUF_GET; mode <= PINBUF_LONGTERM; mode++) {
		for (unsigned hole = 0; hole < 5; hole++) {
			struct pinbuf_sum s;
			unsigned char *p;
			struct file *f;

			START(.memory = 0);
			f = driver_file("pinbuf");
			p = user_memory(5);
			assert_int_equal(kd_munmap(p + hole * PG, PG), 0);
			assert_int_equal(sum(f, p, 5, mode, 3, &s), -14); /* EFAULT */
			assert_int_equal(s.pages, hole);
			driver_end(f);
			finish();
		}
	}
}

/* Clauses D1, C1: a buffer is accounted to the user, filled by a worker without an mm, seen by the process, and dirty. */
static void a_buffer_is_filled_by_the_device(void **state)
{
	unsigned char *p;
	struct file *f;
	unsigned id;

	(void)state;
	START(.memlock = 4 * PG);
	f = driver_file("pinbuf");
	p = user_memory(6);
	assert_int_equal(add(f, p, 5, &id), -12);
	assert_int_equal(add(f, p, 4, &id), 0);
	assert_int_equal(kd_user_locked_vm(), 4);
	assert_int_equal(fill(f, id, 0x3c), 0);
	assert_int_equal(p[0], 0x3c);
	assert_int_equal(p[4 * PG - 1], 0x3c);
	assert_int_not_equal(p[4 * PG], 0x3c);
	assert_int_equal(del(f, id), 0);
	assert_int_equal(kd_user_locked_vm(), 0);
	assert_true(kd_dirty(p));
	assert_int_equal(fill(f, id, 1), -2); /* ENOENT */
	driver_end(f);
	finish();
}

/* Clause F3: a signal ends the wait for the mmap lock, and nothing is left. */
static void a_signal_ends_it(void **state)
{
	struct pinbuf_sum s;
	unsigned char *p;
	struct file *f;

	(void)state;
	START(.memory = 0);
	f = driver_file("pinbuf");
	p = user_memory(2);
	kd_signal(true);
	assert_int_equal(sum(f, p, 2, PINBUF_PIN, 2, &s), -4); /* EINTR */
	assert_int_equal(sum(f, p, 2, PINBUF_PIN_FAST, 2, &s), 0);
	driver_end(f);
	finish();
}

/* Clauses P1, D1: each allocation, get, pin, partial one, copy, mapping, lock and registration fails once, and nothing is left. */
static void whatever_fails_is_undone(void **state)
{
	(void)state;
	all_failures_are_undone(everything, 30);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_way_delivers_the_same),
		TEST(a_hole_anywhere_ends_the_range),
		TEST(a_buffer_is_filled_by_the_device),
		TEST(a_signal_ends_it),
		TEST(whatever_fails_is_undone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
