/* SPDX-License-Identifier: MIT */
/* lib_test.c - lib/slab and lib/sparse: against plain arrays, and with the nth call failing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/slab.h"
#include "lib/sparse.h"

static uint64_t seed;

static uint64_t rnd(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static void *entry(uint64_t index)
{
	return (void *)(uintptr_t)(index * 16 + 8);
}

/* ---- slab ------------------------------------------------------------------------------------ */

#define OBJECTS 500

static int by_address(const void *a, const void *b)
{
	uintptr_t x = (uintptr_t)*(void *const *)a, y = (uintptr_t)*(void *const *)b;

	return x < y ? -1 : x > y;
}

static void objects_do_not_overlap(void **state)
{
	static const size_t sizes[] = { 1, 64, 65, 200, 2176, 4160 };
	static void *o[OBJECTS];

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct slab s;

		slab_init(&s, sizes[i], 64 << 10);
		for (int j = 0; j < OBJECTS; j++) {
			o[j] = slab_alloc(&s);
			assert_non_null(o[j]);
			assert_int_equal((uintptr_t)o[j] % 64, 0);
			for (size_t k = 0; k < sizes[i]; k++)
				assert_int_equal(((char *)o[j])[k], 0);
			memset(o[j], 0x5a, s.size);
			assert_int_equal(s.live, j + 1);
		}
		qsort(o, OBJECTS, sizeof(o[0]), by_address);
		for (int j = 1; j < OBJECTS; j++)
			assert_true((char *)o[j - 1] + s.size <= (char *)o[j]);
		slab_destroy(&s);
		assert_int_equal(s.live, 0);
	}
}

/* A freed object comes back only as an object: at an address where one began before. */
static void memory_keeps_its_type(void **state)
{
	static void *known[OBJECTS], *o[OBJECTS];
	struct slab s;

	(void)state;
	seed = 1;
	slab_init(&s, 320, 64 << 10);
	for (int i = 0; i < OBJECTS; i++)
		known[i] = o[i] = slab_alloc(&s);
	qsort(known, OBJECTS, sizeof(known[0]), by_address);
	for (int round = 0; round < 20000; round++) {
		uint64_t i = rnd() % OBJECTS;

		if (o[i]) {
			memset(o[i], (int)round, s.size);
			slab_free(&s, o[i]);
			o[i] = NULL;
		} else {
			o[i] = slab_alloc(&s);
			assert_non_null(bsearch(&o[i], known, OBJECTS, sizeof(o[0]), by_address));
			for (uint64_t j = (i + 1) % OBJECTS; j != i; j = (j + 1) % OBJECTS)
				assert_ptr_not_equal(o[i], o[j]);
		}
	}
	for (int i = 0; i < OBJECTS; i++)
		if (o[i])
			slab_free(&s, o[i]);
	assert_int_equal(s.live, 0);
	slab_destroy(&s);
}

/* The first words of a dead object stay as they were: D8's stale walkers look there. */
static void dead_object_keeps_its_first_words(void **state)
{
	struct slab s;
	uint64_t *o;

	(void)state;
	slab_init(&s, 4096 + 64, 256 << 10);
	o = slab_alloc(&s);
	for (int i = 0; i < 512; i++)
		o[i] = 7u + (unsigned)i;
	slab_free(&s, o);
	for (int i = 0; i < 512; i++)
		assert_int_equal(o[i], 7 + i);
	assert_ptr_equal(slab_alloc(&s), o);
	slab_destroy(&s);
}

static void slab_without_memory(void **state)
{
	struct slab s;
	void *o[64];
	unsigned n = 0;

	(void)state;
	if (!PINFOLD_DEBUG_BUILD) {
		print_message("skipped: needs the debug build\n");
		skip();
	}
	slab_init(&s, 1024, 4096);
	host_inject(1);
	assert_null(slab_alloc(&s));
	assert_int_equal(s.live, 0);
	/* What is there can still be had, and the slab recovers. */
	while (n < 64) {
		host_inject(1);
		o[n] = slab_alloc(&s);
		host_inject(0);
		if (!o[n])
			o[n] = slab_alloc(&s);
		assert_non_null(o[n]);
		assert_int_equal(s.live, ++n);
	}
	while (n)
		slab_free(&s, o[--n]);
	host_inject(1);
	assert_null(slab_alloc(&s)); /* one that needs no memory may fail on purpose too */
	host_inject(0);
	assert_non_null(slab_alloc(&s));
	assert_int_equal(s.live, 1);
	slab_destroy(&s);
}

/* ---- sparse ---------------------------------------------------------------------------------- */

struct nodes {
	struct slab slab;
	struct sparse s;
};

static void setup(struct nodes *n, size_t chunk)
{
	slab_init(&n->slab, SPARSE_NODE_SIZE, chunk);
	sparse_init(&n->s, &n->slab);
}

static void teardown(struct nodes *n)
{
	sparse_free(&n->s);
	assert_int_equal(n->slab.live, 0);
	slab_destroy(&n->slab);
}

/* The reference: an array of the same entries, which indexes of the tree stand for. */
#define SLOTS 2000

struct model {
	uint64_t index[SLOTS]; /* ascending */
	bool used[SLOTS];
	bool mark[SPARSE_MARKS][SLOTS];
};

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* Distinct indexes: dense from 0, in clusters, and anywhere below 2^52, as `spread` says. */
static void choose(struct model *m, int spread)
{
	memset(m, 0, sizeof(*m));
	for (int i = 0; i < SLOTS; i++) {
		uint64_t cluster = (rnd() & ((1ull << 52) - 1)) & ~0xfffull;

		m->index[i] = spread == 0 ? (uint64_t)i : spread == 1 ? cluster | (rnd() & 0xfff) :
		              i % 40 ? m->index[i - 1] + 1 + (i % 7 == 0) * 250 : cluster;
	}
	qsort(m->index, SLOTS, sizeof(m->index[0]), by_value);
	for (int i = 1; i < SLOTS; i++)
		if (m->index[i] <= m->index[i - 1])
			m->index[i] = m->index[i - 1] + 1;
}

/* Walks from `from` to `last` the slow way and with sparse_next(). */
static void compare_walk(const struct model *m, const struct sparse *s, uint64_t from,
                         uint64_t last, int mark)
{
	uint64_t at = from;

	for (int i = 0; i < SLOTS; i++) {
		if (m->index[i] < from || m->index[i] > last || !m->used[i] ||
		    (mark >= 0 && !m->mark[mark][i]))
			continue;
		assert_ptr_equal(sparse_next(s, &at, last, mark), entry(m->index[i]));
		assert_int_equal(at, m->index[i]);
		if (at == UINT64_MAX)
			return;
		at++;
	}
	from = at;
	assert_null(sparse_next(s, &at, last, mark));
	assert_int_equal(at, from); /* untouched when there is none */
}

static void compare(const struct model *m, const struct sparse *s)
{
	for (int i = 0; i < SLOTS; i++) {
		uint64_t at = m->index[i];

		assert_ptr_equal(sparse_get(s, at), m->used[i] ? entry(at) : NULL);
		for (unsigned k = 0; k < SPARSE_MARKS; k++)
			assert_int_equal(sparse_marked(s, at, k), m->used[i] && m->mark[k][i]);
	}
	for (int mark = -1; mark < SPARSE_MARKS; mark++) {
		uint64_t a = m->index[rnd() % SLOTS], b = m->index[rnd() % SLOTS];

		compare_walk(m, s, 0, UINT64_MAX, mark);
		compare_walk(m, s, a, b, mark);
		compare_walk(m, s, a + 1, a + 1000, mark);
	}
}

static void change(struct model *m, struct sparse *s)
{
	uint64_t i = rnd() % SLOTS, at = m->index[i];
	unsigned k = (unsigned)(rnd() % SPARSE_MARKS);

	switch (rnd() % 6) {
	case 0: case 1:
		assert_int_equal(sparse_set(s, at, entry(at)), 0);
		m->used[i] = true; /* set over an entry keeps its marks */
		break;
	case 2:
		assert_ptr_equal(sparse_clear(s, at), m->used[i] ? entry(at) : NULL);
		m->used[i] = false;
		for (k = 0; k < SPARSE_MARKS; k++)
			m->mark[k][i] = false;
		break;
	case 3: case 4:
		if (!m->used[i])
			break;
		sparse_mark(s, m->index[i], k);
		m->mark[k][i] = true;
		break;
	case 5:
		sparse_unmark(s, m->index[i], k);
		m->mark[k][i] = false;
		break;
	}
}

static void random_against_an_array(void **state)
{
	static struct model m;

	(void)state;
	for (int spread = 0; spread < 3; spread++) {
		struct nodes n;

		seed = 77 + (unsigned)spread;
		setup(&n, 1 << 20);
		choose(&m, spread);
		for (int round = 0; round < 20000; round++) {
			change(&m, &n.s);
			if (round % 2000 == 1999)
				compare(&m, &n.s);
		}
		for (int i = 0; i < SLOTS; i++)
			sparse_clear(&n.s, m.index[i]);
		assert_int_equal(n.slab.live, 0); /* empty nodes go at once */
		assert_null(n.s.root);
		for (int i = 0; i < SLOTS; i++)
			assert_int_equal(sparse_set(&n.s, m.index[i], entry(m.index[i])), 0);
		assert_true(n.slab.live > 0);
		teardown(&n);
	}
}

/* Indexes on both sides of every node boundary up to 2^52, and the last of all. */
static void edges(void **state)
{
	struct nodes n;
	uint64_t at;

	(void)state;
	setup(&n, 1 << 20);
	for (unsigned shift = 8; shift <= 52; shift += 4) {
		uint64_t edge = 1ull << shift;

		assert_int_equal(sparse_set(&n.s, edge - 1, entry(edge - 1)), 0);
		assert_int_equal(sparse_set(&n.s, edge, entry(edge)), 0);
		sparse_mark(&n.s, edge, 1);
		at = edge - 1;
		assert_ptr_equal(sparse_next(&n.s, &at, edge, 1), entry(edge));
		assert_int_equal(at, edge);
		at = edge - 1;
		assert_null(sparse_next(&n.s, &at, edge - 1, 1));
		assert_null(sparse_next(&n.s, &at, UINT64_MAX, 2));
		at = edge + 1;
		assert_null(sparse_next(&n.s, &at, UINT64_MAX, -1));
	}
	assert_int_equal(sparse_set(&n.s, UINT64_MAX, entry(1)), 0);
	sparse_mark(&n.s, UINT64_MAX, 0);
	at = 0;
	assert_ptr_equal(sparse_next(&n.s, &at, UINT64_MAX, 0), entry(1));
	assert_int_equal(at, UINT64_MAX);
	assert_null(sparse_next(&n.s, &at, UINT64_MAX - 1, 0));
	sparse_unmark(&n.s, UINT64_MAX, 0);
	assert_null(sparse_next(&n.s, &at, UINT64_MAX, 0));
	at = 0;
	assert_null(sparse_next(&n.s, &at, UINT64_MAX, 0));
	assert_ptr_equal(sparse_clear(&n.s, UINT64_MAX), entry(1));
	assert_ptr_equal(sparse_get(&n.s, 255), entry(255));
	teardown(&n);
}

static void empty(void **state)
{
	struct nodes n;
	uint64_t at = 5;

	(void)state;
	setup(&n, 4096);
	assert_null(sparse_get(&n.s, 0));
	assert_null(sparse_clear(&n.s, UINT64_MAX));
	assert_null(sparse_next(&n.s, &at, UINT64_MAX, -1));
	assert_int_equal(at, 5);
	sparse_mark(&n.s, 5, 0);
	sparse_unmark(&n.s, 5, 0);
	assert_false(sparse_marked(&n.s, 5, 0));
	teardown(&n);
}

/* One node a chunk, so that each allocation is a host call that may fail. */
static const uint64_t there[] = { 0, 3, 300, 70000, 1ull << 33 };

static void assert_there(const struct sparse *s, int filled)
{
	for (int i = 0; i < 5; i++) {
		uint64_t at = there[i];

		assert_ptr_equal(sparse_get(s, at), i < filled ? entry(at) : NULL);
		assert_int_equal(sparse_marked(s, at, 2), i < filled);
		if (i < filled)
			assert_ptr_equal(sparse_next(s, &at, at, 2), entry(at));
	}
}

/* Sets `fresh` with the nth allocation failing, beside `filled` entries.  True: none failed. */
static bool set_failing(uint64_t fresh, int filled, unsigned nth)
{
	struct nodes n;
	int rc;

	setup(&n, 4096);
	for (int i = 0; i < filled; i++) {
		assert_int_equal(sparse_set(&n.s, there[i], entry(there[i])), 0);
		sparse_mark(&n.s, there[i], 2);
	}
	host_inject(nth);
	rc = sparse_set(&n.s, fresh, entry(fresh));
	host_inject(0);
	assert_true(rc == 0 || rc == -ENOMEM);
	assert_ptr_equal(sparse_get(&n.s, fresh), rc ? NULL : entry(fresh));
	assert_there(&n.s, filled);
	if (rc) {
		if (!filled)
			assert_int_equal(n.slab.live, 0);
		assert_int_equal(sparse_set(&n.s, fresh, entry(fresh)), 0); /* it works later */
		assert_there(&n.s, filled);
	}
	for (int i = 0; i < filled; i++)
		assert_ptr_equal(sparse_clear(&n.s, there[i]), entry(there[i]));
	assert_ptr_equal(sparse_clear(&n.s, fresh), entry(fresh));
	assert_int_equal(n.slab.live, 0);
	teardown(&n);
	return !rc;
}

static void set_without_memory(void **state)
{
	static const uint64_t fresh[] = { 4, 700, 1ull << 20, 1ull << 34, 1ull << 51, UINT64_MAX };

	(void)state;
	if (!PINFOLD_DEBUG_BUILD) {
		print_message("skipped: needs the debug build\n");
		skip();
	}
	for (int filled = 0; filled <= 5; filled++)
		for (int f = 0; f < 6; f++)
			for (unsigned nth = 1; !set_failing(fresh[f], filled, nth);)
				nth++;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(objects_do_not_overlap),
		cmocka_unit_test(memory_keeps_its_type),
		cmocka_unit_test(dead_object_keeps_its_first_words),
		cmocka_unit_test(slab_without_memory),
		cmocka_unit_test(random_against_an_array),
		cmocka_unit_test(edges),
		cmocka_unit_test(empty),
		cmocka_unit_test(set_without_memory),
	};

	return cmocka_run_group_tests_name("lib", tests, NULL, NULL);
}
