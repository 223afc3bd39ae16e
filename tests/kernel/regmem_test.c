/* SPDX-License-Identifier: MIT */
/* regmem_test.c - a driver written for 5.2 (drivers/regmem.c), run as it is: registration of user memory with a device. */
#include "regmem.h"

/* Clauses D1, R1: what is registered is pinned and accounted until it is taken back. */
static void a_registration_lasts_until_it_is_taken_back(void **state)
{
	struct regmem_reg r;
	unsigned char *p;
	struct file *f;

	(void)state;
	START(.memlock = 64 * PG);
	f = driver_file("regmem");
	p = user_memory(8);
	assert_int_equal(reg(f, p + 100, 5 * PG, 1, &r), 0);
	assert_int_equal(kd_pinned_vm(), 6);
	assert_true(kd_told("leak: pin"));
	assert_true(r.entries >= 1 && r.entries <= 6);
	assert_int_equal(unreg(f, r.handle), 0);
	assert_int_equal(kd_pinned_vm(), 0);
	assert_false(kd_told("leak: pin"));
	assert_int_equal(unreg(f, r.handle), -2); /* ENOENT */
	driver_end(f);
	finish();
}

/* Clauses D1, P1: the device reads and writes the very bytes the process has, after munmap too, and they are marked dirty. */
static void the_device_and_the_process_see_one_memory(void **state)
{
	unsigned char *p, *via;
	struct regmem_reg r;
	struct file *f;

	(void)state;
	START(.memory = 0);
	f = driver_file("regmem");
	p = user_memory(4);
	via = user_memory(4);
	assert_int_equal(reg(f, p + 10, 3 * PG, 1, &r), 0);
	memset(via, 0, 2 * PG);
	assert_int_equal(device(f, REGMEM_READ, r.handle, PG / 2, 2 * PG, via), 0);
	assert_memory_equal(via, p + 10 + PG / 2, 2 * PG);
	memset(via, 0x5a, 2 * PG);
	assert_false(kd_dirty(p + PG));
	assert_int_equal(device(f, REGMEM_WRITE, r.handle, 0, 2 * PG, via), 0);
	assert_int_equal(p[9], 9);
	assert_int_equal(p[10], 0x5a);
	assert_int_equal(p[9 + 2 * PG], 0x5a);
	p[20] = 7;
	assert_int_equal(device(f, REGMEM_READ, r.handle, 10, 1, via), 0);
	assert_int_equal(via[0], 7);
	assert_int_equal(unreg(f, r.handle), 0);
	assert_true(kd_dirty(p + PG));
	assert_int_equal(reg(f, p, PG, 0, &r), 0);
	assert_int_equal(kd_munmap(p, PG), 0);
	assert_int_equal(device(f, REGMEM_READ, r.handle, 20, 1, via), 0);
	assert_int_equal(via[0], 7);
	driver_end(f);
	finish();
}

/* Clause P1: wherever in the range a page is missing, what was pinned before it is given back. */
static void a_hole_anywhere_leaves_nothing(void **state)
{
	(void)state;
	for (unsigned hole = 0; hole < 6; hole++) {
		struct regmem_reg r;
		unsigned char *p;
		struct file *f;

		START(.memory = 0);
		f = driver_file("regmem");
		p = user_memory(6);
		assert_int_equal(kd_munmap(p + hole * PG, PG), 0);
		assert_int_equal(reg(f, p, 6 * PG, 1, &r), -14); /* EFAULT */
		assert_int_equal(kd_pinned_vm(), 0);
		assert_int_equal(kd_check(), kd_told("registration") + kd_told("open file") + 1); /* and its memory */
		driver_end(f);
		finish();
	}
}

/* Clause V2: memory that the process may only read can be registered for reading only. */
static void rights_are_the_mappings(void **state)
{
	struct regmem_reg r;
	unsigned char *p;
	struct file *f;

	(void)state;
	START(.memory = 0);
	f = driver_file("regmem");
	p = user_memory(4);
	assert_int_equal(kd_mprotect(p + PG, PG, PROT_READ), 0);
	assert_int_equal(reg(f, p, 4 * PG, 1, &r), -14);
	assert_int_equal(reg(f, p, 4 * PG, 0, &r), 0);
	driver_end(f);
	finish();
}

/* Clause C1: over RLIMIT_MEMLOCK registration is refused, with the capability it is not. */
static void the_limit_is_kept(void **state)
{
	struct regmem_reg a, b;
	unsigned char *p;
	struct file *f;

	(void)state;
	START(.memlock = 4 * PG);
	f = driver_file("regmem");
	p = user_memory(8);
	assert_int_equal(reg(f, p, 3 * PG, 0, &a), 0);
	assert_int_equal(reg(f, p, 2 * PG, 0, &b), -12); /* ENOMEM */
	assert_int_equal(kd_pinned_vm(), 3);
	kd_capable(true);
	assert_int_equal(reg(f, p, 2 * PG, 0, &b), 0);
	assert_int_equal(kd_pinned_vm(), 5);
	driver_end(f);
	assert_int_equal(kd_pinned_vm(), 0);
	finish();
}

/* Clauses P1, D1: each allocation, pin, partial pin, copy, mapping and registration fails once, and nothing is left behind. */
static void whatever_fails_is_undone(void **state)
{
	(void)state;
	all_failures_are_undone(everything, 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_registration_lasts_until_it_is_taken_back),
		TEST(the_device_and_the_process_see_one_memory),
		TEST(a_hole_anywhere_leaves_nothing),
		TEST(rights_are_the_mappings),
		TEST(the_limit_is_kept),
		TEST(whatever_fails_is_undone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
