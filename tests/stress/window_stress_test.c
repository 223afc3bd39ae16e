/* SPDX-License-Identifier: MIT */
/*
 * window_stress_test.c - ten million random pages through an extent window, with the system's limit of mappings as it is:
 * no ENOMEM, every page shows what it should, the budget holds.
 *
 * Ten million in a release build, where it is a minute or two; elsewhere fewer.
 */
#include "../api/anon.h"

#include "host/host.h"

#define TOUCHES 10000000u
#define SLOW_TOUCHES 200000u
#define SPAN (1u << 15) /* pages: 128 MiB, several times what the budget shows */
#define STORES_EVERY 2u

static uint64_t next(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return *x;
}

/* A page holds its own number, or nothing if it was never stored to: one bit a page says which. */
static bool stored_before(uint8_t *bits, uint64_t p)
{
	return bits[p / 8] >> p % 8 & 1;
}

static void touch(volatile uint64_t *page, uint8_t *bits, uint64_t p, bool store)
{
	uint64_t want = stored_before(bits, p) ? p : 0;

	if (*page != want)
		fail_msg("page %lu holds %lu", (unsigned long)p, (unsigned long)*page);
	if (!store)
		return;
	*page = p;
	bits[p / 8] |= (uint8_t)(1u << p % 8);
}

static void ten_million_random_pages_need_no_more_mappings_than_the_budget(void **state)
{
	struct pinfold_probe probe = { .size = sizeof(probe) };
	unsigned touches = PINFOLD_DEBUG_BUILD || getenv("PINFOLD_TEST_SLOW") ? SLOW_TOUCHES : TOUCHES;
	struct pinfold *m = MACHINE(.pool = 160 * MIB, .memory = 160 * MIB);
	struct space s = new_space(m, PINFOLD_WINDOW_EXTENT);
	uint8_t *bits = calloc(1, SPAN / 8);
	uint64_t rnd = 88172645463325252ull, most = 0;
	long a = vm_mmap(s.mm, 0, SPAN * PG, RW, PRIVATE | ANON, NULL, 0);

	(void)state;
	assert_non_null(bits);
	assert_true(a > 0);
	assert_ok(pinfold_get_probe(&probe));
	for (unsigned i = 0; i < touches; i++) {
		uint64_t p = 1 + next(&rnd) % (SPAN - 1);

		touch((uint64_t *)((unsigned long)a + p * PG), bits, p, i % STORES_EVERY == 0);
		if (i % 100000 == 0) {
			uint64_t used = stats_of(m).window_vmas;

			most = used > most ? used : most;
		}
	}
	print_message("at most %lu mappings in use, of %lu the system allows; %lu stretches evicted\n",
	              (unsigned long)most, (unsigned long)probe.max_map_count,
	              (unsigned long)stats_of(m).window_evicted);
	assert_true(most <= probe.max_map_count / 4);
	assert_true(stats_of(m).window_evicted > 0);
	free(bits);
	end_both(m, &s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PLAIN(ten_million_random_pages_need_no_more_mappings_than_the_budget),
	};

	return world_main(tests);
}
