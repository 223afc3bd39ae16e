/* SPDX-License-Identifier: MIT */
/* chario_test.c - a platform driver with a character device (drivers/chario.c), run as it is: from probe to remove. */
#include "kernel.h"

static int everything(void *arg)
{
	static const char data[9000];
	struct platform_device *pdev = NULL;
	struct file *f = NULL, *stat;
	char text[100] = "";
	int err = kd_init();
	ssize_t n = 0;

	(void)arg;
	if (err)
		return err;
	pdev = kd_platform_add("chario", &err);
	if (pdev)
		f = kd_open("chario0", 0, &err);
	if (f) {
		n = kd_write(f, data, sizeof(data));
		kd_close(f);
	}
	stat = n > 0 ? kd_open("pages", 0, &err) : NULL;
	if (stat) {
		if (n > 0)
			n = kd_read(stat, text, sizeof(text) - 1);
		kd_close(stat);
	}
	if (pdev)
		kd_platform_del(pdev);
	kd_exit();
	return n < 0 ? (int)n : err ? err : strcmp(text, "3 pages, 9000 bytes\n") ? -61 : 0;
}

/* Clause P1: what is written is counted by the pages that were pinned for it. */
static void a_device_lives_from_probe_to_remove(void **state)
{
	struct platform_device *pdev;
	int err;

	(void)state;
	START(.memory = 0);
	assert_null(kd_platform_add("chario", &err));
	assert_int_equal(err, -19); /* ENODEV: no driver yet */
	assert_int_equal(kd_init(), 0);
	pdev = kd_platform_add("chario", &err);
	assert_non_null(pdev);
	assert_null(kd_open("chario1", 0, &err));
	assert_int_equal(err, -2);
	kd_platform_del(pdev);
	kd_exit();
	assert_int_equal(everything(NULL), 0);
	finish();
}

/* Clauses P1, D1: each allocation, pin, copy and registration fails once, and nothing is left behind. */
static void whatever_fails_is_undone(void **state)
{
	(void)state;
	all_failures_are_undone(everything, 15);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_device_lives_from_probe_to_remove),
		TEST(whatever_fails_is_undone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
