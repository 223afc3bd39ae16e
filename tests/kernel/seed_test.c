/* SPDX-License-Identifier: MIT */
/*
 * seed_test.c - a driver with one mistake in it (SEED_BUG_...) is found by the leak check: built once for each mistake, with
 * DRIVER's scenario and the text EXPECT that has to be told.
 */
#include SCENARIO

/* The mistake that was put in is found, by the run without failures or one of those with. */
static void the_mistake_is_found(void **state)
{
	struct kd_scenario s = { .run = everything, .point = KD_ANY };
	struct kd_outcome o;
	int r = kd_run_all(&s, &o);

	(void)state;
	print_message("%lu runs, %lu bad: %s\n", o.runs, o.bad, o.first);
	assert_int_equal(r, -117); /* EUCLEAN */
	assert_true(o.bad > 0);
	assert_non_null(strstr(o.first, EXPECT));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_mistake_is_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
