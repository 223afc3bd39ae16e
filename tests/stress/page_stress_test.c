/* SPDX-License-Identifier: MIT */
/*
 * page_stress_test.c - threads on a few pages, through mm/page.h alone; about two seconds.
 *
 * Slots name pages; mappers fill slots from a free list and empty them again by put, eviction or
 * freeze; pinners take what a slot names, as gup_fast does: write pins, read pins, references.
 * A page's generation changes when it is allocated: whoever holds a page must never see it change.
 * At the end every word is exactly FREE, or exactly what is held.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>

#include "mm/page.h"

#define PAGES 5
#define SLOTS 4
#define LIFE_NS 900000000ull
#define GAME_NS 500000000ull

static struct page pages[PAGES];
static _Atomic uint32_t slots[SLOTS];      /* page number + 1 */
static _Atomic uint32_t generation[PAGES];
static _Atomic int writers[PAGES];         /* confirmed write pins */
static _Atomic bool ended;
static _Atomic unsigned long failures, pins_got, refs_got, undone, freed, frozen, answered_no;

static pthread_mutex_t list_lock = PTHREAD_MUTEX_INITIALIZER;
static bool listed[PAGES]; /* list_lock */

static void must(bool ok, const char *what)
{
	if (!ok && !atomic_fetch_add(&failures, 1))
		printf("broken: %s\n", what);
}
#define MUST(cond) must(cond, #cond)

static uint32_t rnd(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(*seed >> 33);
}

static void give(unsigned i)
{
	pthread_mutex_lock(&list_lock);
	MUST(!listed[i]);
	MUST(page_count(&pages[i]) & PC_REFUSE);
	listed[i] = true;
	pthread_mutex_unlock(&list_lock);
	atomic_fetch_add(&freed, 1);
}

static void done(unsigned i, int fact)
{
	MUST(!(fact & DEC_REFUSED));
	if (fact & DEC_FREED)
		give(i);
}

static int take(void)
{
	int i = 0;

	pthread_mutex_lock(&list_lock);
	while (i < PAGES && !listed[i])
		i++;
	if (i < PAGES)
		listed[i] = false;
	pthread_mutex_unlock(&list_lock);
	return i < PAGES ? i : -1;
}

static void start(pthread_t *t, void *(*fn)(void *), void *arg)
{
	assert_int_equal(pthread_create(t, NULL, fn, arg), 0);
}

static bool over(uint64_t until)
{
	return host_now() >= until || atomic_load(&failures);
}

/* ---- life of a page -------------------------------------------------------------------------- */

static void fill_slot(unsigned s)
{
	int i = take();

	if (i < 0)
		return;
	atomic_fetch_add(&generation[i], 1);
	atomic_store(&pages[i].flags, 0);
	page_thaw(&pages[i], PC_INTERNAL);
	atomic_store(&slots[s], (uint32_t)i + 1);
}

static void empty_slot(unsigned s, unsigned i, bool evict)
{
	atomic_store(&slots[s], 0); /* sequentially consistent: the asker's barrier */
	if (!page_maybe_write_pinned(&pages[i])) {
		atomic_fetch_add(&answered_no, 1);
		for (int k = 0; k < 5; k++)
			MUST(!atomic_load(&writers[i]));
	}
	if (evict && page_freeze(&pages[i], PC_INTERNAL))
		give(i);
	else
		done(i, page_dec(&pages[i], PC_INTERNAL, 1));
}

static void *mapper(void *arg)
{
	uint64_t seed = (uintptr_t)arg, until = host_now() + LIFE_NS;

	while (!over(until)) {
		unsigned s = 2 * (unsigned)(uintptr_t)arg + rnd(&seed) % 2; /* its own two */
		unsigned in = atomic_load(&slots[s]);

		if (!in) {
			fill_slot(s);
			continue;
		}
		switch (rnd(&seed) % 8) {
		case 0: case 1: empty_slot(s, in - 1, true); break;
		case 2: empty_slot(s, in - 1, false); break;
		case 3: case 4: page_clear_sticky(&pages[in - 1]); break;
		case 5:
			if (!page_freeze(&pages[in - 1], PC_INTERNAL))
				break;
			atomic_fetch_add(&frozen, 1);
			page_thaw(&pages[in - 1], PC_INTERNAL);
			break;
		default: host_yield();
		}
	}
	return NULL;
}

/* As gup_fast: flag, count, flag, slot. */
static bool pin(unsigned s, uint64_t n, bool write, unsigned *i)
{
	uint32_t in = atomic_load(&slots[s]);
	struct page *p;
	int fact;

	if (!in)
		return false;
	*i = in - 1;
	p = &pages[*i];
	if (write)
		page_mark_pin(p, PG_wpinned);
	if (!page_try_add(p, PC_PIN, n, &fact)) {
		done(*i, fact);
		atomic_fetch_add(&undone, 1);
		return false;
	}
	if (write)
		page_mark_pin(p, PG_wpinned);
	if (atomic_load(&slots[s]) == in)
		return true;
	done(*i, page_dec(p, PC_PIN, n));
	atomic_fetch_add(&undone, 1);
	return false;
}

static void hold(unsigned i, uint64_t n, bool write, uint64_t *seed)
{
	uint32_t seen = atomic_load(&generation[i]);
	bool ref = rnd(seed) % 4 == 0;
	int fact;

	if (write)
		atomic_fetch_add(&writers[i], 1);
	MUST(pc_pins(page_count(&pages[i])) >= n && !(page_count(&pages[i]) & PC_FREE));
	if (rnd(seed) % 8 == 0)
		host_yield();
	if (ref) {
		MUST(page_try_add(&pages[i], PC_REF, 1, &fact));
		atomic_fetch_add(&refs_got, 1);
	}
	/* Not page_maybe_write_pinned(): askers and cleaners exclude each other, so the mapper asks. */
	MUST(atomic_load(&generation[i]) == seen);
	if (write)
		atomic_fetch_sub(&writers[i], 1);
	done(i, page_put_pins(&pages[i], n));
	if (!ref)
		return;
	if (rnd(seed) % 8 == 0)
		host_yield();
	MUST(atomic_load(&generation[i]) == seen);
	done(i, page_put_ref(&pages[i]));
}

static void *pinner(void *arg)
{
	uint64_t seed = (uintptr_t)arg * 77, until = host_now() + LIFE_NS;

	while (!over(until)) {
		uint64_t n = rnd(&seed) % 3 ? 1 : 1 + rnd(&seed) % 512;
		bool write = rnd(&seed) % 2;
		unsigned i;

		if (pin(rnd(&seed) % SLOTS, n, write, &i)) {
			hold(i, n, write, &seed);
			atomic_fetch_add(&pins_got, n);
		}
	}
	return NULL;
}

static void life_of_a_page(void **state)
{
	pthread_t t[5];

	(void)state;
	for (int i = 0; i < PAGES; i++) {
		atomic_store(&pages[i].count, PC_FREE);
		listed[i] = true;
	}
	for (uintptr_t i = 0; i < 5; i++)
		start(&t[i], i < 2 ? mapper : pinner, (void *)i);
	for (int i = 0; i < 5; i++)
		pthread_join(t[i], NULL);
	for (unsigned s = 0; s < SLOTS; s++)
		if (slots[s])
			empty_slot(s, slots[s] - 1, s % 2);
	print_message("%lu pins, %lu references, %lu undone, %lu freed, %lu frozen, %lu no's\n",
	              pins_got, refs_got, undone, freed, frozen, answered_no);
	assert_int_equal(failures, 0);
	for (int i = 0; i < PAGES; i++) {
		assert_int_equal(page_count(&pages[i]), PC_FREE);
		assert_true(listed[i]);
	}
	assert_true(pins_got && refs_got && freed && frozen && answered_no);
}

/* ---- wrong puts ------------------------------------------------------------------------------ */

/* Page 0 never has pins, page 1 never references: every wrong put is refused, nobody disturbed. */
static void *wrong_putter(void *arg)
{
	(void)arg;
	while (!atomic_load(&ended)) {
		MUST(page_put_pins(&pages[0], 1) == DEC_REFUSED);
		MUST(page_put_pins(&pages[0], 512) == DEC_REFUSED);
		MUST(page_put_ref(&pages[1]) == DEC_REFUSED);
		MUST(page_put_pins(&pages[1], PC_PIN_MAX) == DEC_REFUSED);
	}
	return NULL;
}

static void *rightful(void *arg)
{
	uint64_t until = host_now() + GAME_NS, seed = (uintptr_t)arg;
	int fact;

	while (!over(until)) {
		uint64_t n = 1 + rnd(&seed) % 512;

		MUST(page_try_add(&pages[0], PC_REF, 1, &fact));
		MUST(page_try_add(&pages[1], PC_PIN, n, &fact));
		MUST(page_put_ref(&pages[0]) == DEC_LIVE);
		MUST(page_put_pins(&pages[1], n) == DEC_LIVE);
	}
	atomic_store(&ended, true);
	return NULL;
}

static void wrong_puts_are_refused(void **state)
{
	pthread_t t[4];

	(void)state;
	atomic_store(&ended, false);
	atomic_store(&failures, 0);
	atomic_store(&pages[0].count, PC_INTERNAL + 3 * PC_REF);
	atomic_store(&pages[1].count, PC_INTERNAL + 3 * PC_PIN);
	for (uintptr_t i = 0; i < 4; i++)
		start(&t[i], i < 2 ? wrong_putter : rightful, (void *)i);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	assert_int_equal(failures, 0);
	assert_int_equal(page_count(&pages[0]), PC_INTERNAL + 3 * PC_REF);
	assert_int_equal(page_count(&pages[1]), PC_INTERNAL + 3 * PC_PIN);
}

/*
 * More putters than pins: as many are accepted as there were pins, the page is freed once, and the
 * references and stale pins of others come and go as if nothing had happened.
 */
struct game {
	pthread_barrier_t *barrier;
	int role; /* 0, 1: put a pin; 2: put a reference; 3: stale pinner */
};
static _Atomic int accepted, frees, refused_refs;

static void play(int role)
{
	struct page *p = &pages[2];
	int fact = DEC_LIVE;

	if (role < 2) {
		fact = page_put_pins(p, 1);
		if (!(fact & DEC_REFUSED))
			atomic_fetch_add(&accepted, 1);
	} else if (role == 2) {
		fact = page_put_ref(p);
		if (fact & DEC_REFUSED)
			atomic_fetch_add(&refused_refs, 1);
	} else if (page_try_add(p, PC_PIN, 1, &fact)) {
		fact = page_dec(p, PC_PIN, 1);
	}
	if (fact & DEC_FREED)
		atomic_fetch_add(&frees, 1);
}

static void *player(void *arg)
{
	const struct game *g = arg;

	for (;;) {
		pthread_barrier_wait(g->barrier); /* the page is set up */
		if (atomic_load(&ended))
			return NULL;
		play(g->role);
		pthread_barrier_wait(g->barrier); /* all have played */
	}
}

static void more_putters_than_pins(void **state)
{
	uint64_t until = host_now() + GAME_NS;
	pthread_barrier_t barrier;
	pthread_t t[4];
	struct game g[4];
	unsigned long rounds = 0, bad = 0;

	(void)state;
	atomic_store(&ended, false);
	pthread_barrier_init(&barrier, NULL, 5);
	for (int i = 0; i < 4; i++) {
		g[i] = (struct game){ &barrier, i };
		start(&t[i], player, &g[i]);
	}
	for (; host_now() < until; rounds++) {
		bool ref = rounds % 2, good;

		atomic_store(&pages[2].count, PC_PIN + ref * PC_REF);
		accepted = frees = refused_refs = 0;
		pthread_barrier_wait(&barrier);
		pthread_barrier_wait(&barrier);
		/* A wrong putter may take the stale pinner's pin: then the undo takes none. */
		good = frees == 1 && page_count(&pages[2]) == PC_FREE && refused_refs == !ref &&
		       accepted >= 1;
		bad += !good;
		if (!good && bad == 1)
			print_message("round %lu: word %016lx, %d accepted, %d frees\n", rounds,
			              (unsigned long)page_count(&pages[2]), accepted, frees);
	}
	atomic_store(&ended, true);
	pthread_barrier_wait(&barrier);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	pthread_barrier_destroy(&barrier);
	print_message("%lu rounds\n", rounds);
	assert_int_equal(bad, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(life_of_a_page),
		cmocka_unit_test(wrong_puts_are_refused),
		cmocka_unit_test(more_putters_than_pins),
	};

	return cmocka_run_group_tests_name("page stress", tests, NULL, NULL);
}
