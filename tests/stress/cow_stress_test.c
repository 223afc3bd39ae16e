/* SPDX-License-Identifier: MIT */
/*
 * cow_stress_test.c - a process and its snapshot break the sharing of the same pages at the same time, while a third
 * thread looks through the snapshot's window: it never sees what the process stored after the snapshot (W10).
 *
 * What this found: a page counted as the process's alone before the snapshot's old translation of it had gone.
 */
#include "../api/anon.h"

#define PAGES 64u

static _Atomic unsigned long process, snapshot_at; /* 0: not now */
static _Atomic unsigned round_of_process, round_done, idle;
static _Atomic int stop;
static _Atomic long wrong;

static void *look(void *arg)
{
	(void)arg;
	while (!atomic_load(&stop)) {
		unsigned long p = atomic_load(&snapshot_at);

		for (unsigned i = 0; p && i < PAGES; i++)
			if (__atomic_load_n((int *)(p + i * PG), __ATOMIC_RELAXED))
				atomic_fetch_add(&wrong, 1);
		if (!p)
			atomic_store(&idle, 1);
	}
	return NULL;
}

static void *store(void *arg)
{
	unsigned seen = 0;

	(void)arg;
	while (!atomic_load(&stop)) {
		unsigned r = atomic_load(&round_of_process);

		if (r == seen)
			continue;
		for (unsigned i = 0; i < PAGES; i++)
			__atomic_store_n((int *)(atomic_load(&process) + i * PG), 1, __ATOMIC_RELAXED);
		seen = r;
		atomic_store(&round_done, r);
	}
	return NULL;
}

static void one_round(struct pinfold *m, struct space *s, unsigned r)
{
	struct space c;

	for (unsigned i = 0; i < PAGES; i++)
		__atomic_store_n((int *)(s->at + i * PG), 0, __ATOMIC_RELAXED);
	c = snapshot(m, s, PINFOLD_WINDOW_EXTENT);
	for (unsigned i = 0; i < PAGES; i++)
		(void)__atomic_load_n((int *)(c.at + i * PG), __ATOMIC_RELAXED);
	atomic_store(&process, s->at);
	atomic_store(&snapshot_at, c.at);
	atomic_store(&round_of_process, r);
	for (unsigned i = 0; i < PAGES; i++)
		__atomic_store_n((int *)(c.at + i * PG + 64), 7, __ATOMIC_RELAXED);
	while (atomic_load(&round_done) != r)
		sched_yield();
	atomic_store(&snapshot_at, 0);
	atomic_store(&idle, 0);
	while (!atomic_load(&idle))
		sched_yield();
	end_space(&c);
}

static void no_look_through_a_snapshot_sees_the_processs_later_stores(void **state)
{
	unsigned rounds = getenv("PINFOLD_TEST_SLOW") ? 100 : 1000;
	struct pinfold *m = MACHINE();
	struct space s = new_space(m, PINFOLD_WINDOW_EXTENT);
	pthread_t t[2];

	(void)state;
	map_anon(&s, 0, PAGES, RW, PRIVATE);
	assert_ok(pthread_create(&t[0], NULL, look, NULL));
	assert_ok(pthread_create(&t[1], NULL, store, NULL));
	for (unsigned r = 1; r <= rounds && !atomic_load(&wrong); r++)
		one_round(m, &s, r);
	atomic_store(&stop, 1);
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	assert_int_equal(atomic_load(&wrong), 0);
	end_both(m, &s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PLAIN(no_look_through_a_snapshot_sees_the_processs_later_stores),
	};

	return world_main(tests);
}
