/* SPDX-License-Identifier: MIT */
/*
 * range_stress_test.c - pins of ranges against everything that takes something from the slots they are counted behind.
 *
 * Two holders pin random ranges of the same two leaves for writing, put a mark of their own into each page and look at it
 * before they let go: a page that was lost, or pinned twice for two contents, has it no more.  One disturber drops,
 * protects, moves, unmaps or snapshots the memory meanwhile.  At the end all counts are back.
 */
#include "../api/anon.h"

#define PAGES 1024u
#define HOLDERS 2

static struct space space;
static struct pinfold *machine;
static _Atomic int stop;
static const char *_Atomic wrong; /* the first thing that was */
static _Atomic uint64_t pinned[HOLDERS], by_leaf;

struct holder {
	unsigned nr;
	uint64_t seed;
	struct page *pages[PINFOLD_RANGE_PAGES];
};

static unsigned random_below(uint64_t *seed, unsigned n)
{
	*seed = *seed * 6364136223846793005ull + 1442695040888963407ull;
	return (unsigned)(*seed >> 33) % n;
}

/* The holder's word in a pinned page. */
static _Atomic uint64_t *mark_of(struct holder *h, unsigned i)
{
	return (_Atomic uint64_t *)page_address(h->pages[i]) + h->nr;
}

static void hold_one(struct holder *h, uint64_t mark)
{
	unsigned n = 1 + random_below(&h->seed, random_below(&h->seed, 4) ? 64 : PINFOLD_RANGE_PAGES);
	unsigned first = random_below(&h->seed, PAGES - n), kinds = random_below(&h->seed, 4);
	struct pinfold_range_pin r;

	if (pinfold_pin_range(space.at + first * PG, (int)n, FOLL_WRITE | (kinds ? 0 : FOLL_LONGTERM), h->pages, &r))
		return; /* unmapped or read-only at the moment */
	atomic_fetch_add(&by_leaf, !!r.part[0].table);
	for (unsigned i = 0; i < n; i++)
		atomic_store_explicit(mark_of(h, i), mark, memory_order_relaxed);
	for (unsigned k = random_below(&h->seed, 3); k--;)
		sched_yield();
	for (unsigned i = 0; i < n; i++)
		if (atomic_load_explicit(mark_of(h, i), memory_order_relaxed) != mark)
			atomic_store(&wrong, "a pinned page lost its mark");
	if (pinfold_unpin_range(&r))
		atomic_store(&wrong, "a range was not unpinned");
	atomic_fetch_add(&pinned[h->nr], 1);
}

static void *hold(void *arg)
{
	static struct holder holders[HOLDERS];
	struct holder *h = &holders[(intptr_t)arg];

	h->nr = (unsigned)(intptr_t)arg;
	h->seed = h->nr + 1;
	if (pinfold_use_mm(space.mm))
		atomic_store(&wrong, "no mm");
	for (uint64_t mark = 1; !atomic_load(&stop) && !atomic_load(&wrong); mark++)
		hold_one(h, mark << 8 | h->nr);
	return NULL;
}

/* Pages come back by the holders' next pins; a snapshot does not see what is stored after it. */
static void disturb(unsigned what, uint64_t *seed)
{
	unsigned n = 1 + random_below(seed, 100), first = random_below(seed, PAGES - n);
	unsigned long a = space.at + first * PG, away = space.at + 4 * GIB / 8;
	struct mm_struct *copy;
	uint64_t then, now;

	switch (what) {
	case 0:
		assert_ok(vm_madvise(space.mm, a, n * PG, PINFOLD_MADV_DONTNEED));
		break;
	case 1:
		assert_ok(vm_mprotect(space.mm, a, n * PG, RO));
		assert_ok(vm_mprotect(space.mm, a, n * PG, RW));
		break;
	case 2:
		assert_int_equal(vm_mremap(space.mm, space.at, LEAF, LEAF,
		                           PINFOLD_MREMAP_MAYMOVE | PINFOLD_MREMAP_FIXED, away), away);
		assert_int_equal(vm_mremap(space.mm, away, LEAF, LEAF,
		                           PINFOLD_MREMAP_MAYMOVE | PINFOLD_MREMAP_FIXED, space.at), space.at);
		break;
	case 3:
		assert_ok(vm_munmap(space.mm, a, n * PG));
		map_anon(&space, first, n, RW, PRIVATE);
		break;
	default:
		assert_ok(pinfold_mm_create(machine, PINFOLD_WINDOW_NONE, &copy));
		assert_ok(dup_mmap(copy, space.mm));
		then = now = 0;
		if (access_process_vm(copy, a, &then, 8, 0) == 8 && random_below(seed, 2))
			sched_yield();
		if (access_process_vm(copy, a, &now, 8, 0) == 8 && then != now)
			atomic_store(&wrong, "a snapshot saw a later store");
		assert_ok(pinfold_mm_destroy(copy));
	}
}

static void ranges_stay_whole_whatever_happens_to_their_slots(void **state)
{
	uint64_t until = now_ms() + (getenv("PINFOLD_TEST_SLOW") ? 2000 : 3000), seed = 7;
	pthread_t t[HOLDERS];

	(void)state;
	machine = MACHINE(.pool = 32 * MIB, .memory = 40 * MIB);
	space = new_space(machine, PINFOLD_WINDOW_NONE);
	map_anon(&space, 0, PAGES, RW, PRIVATE);
	put_pages(&space, 1, 0, PAGES);
	for (intptr_t i = 0; i < HOLDERS; i++)
		assert_ok(pthread_create(&t[i], NULL, hold, (void *)i));
	for (unsigned i = 0; now_ms() < until && !atomic_load(&wrong); i++) {
		disturb(random_below(&seed, 5), &seed);
		if (i % 16 == 0) /* time for pins by the leaf */
			nap_ms(1);
	}
	atomic_store(&stop, 1);
	for (int i = 0; i < HOLDERS; i++)
		pthread_join(t[i], NULL);
	print_message("%lu and %lu pins, %lu by a leaf\n", (unsigned long)atomic_load(&pinned[0]),
	              (unsigned long)atomic_load(&pinned[1]), (unsigned long)atomic_load(&by_leaf));
	if (atomic_load(&wrong))
		fail_msg("%s", atomic_load(&wrong));
	assert_true(atomic_load(&by_leaf) > 0);
	assert_int_equal(now_pinned(machine), 0);
	assert_ok(pinfold_check(machine));
	end_both(machine, &space);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PLAIN(ranges_stay_whole_whatever_happens_to_their_slots),
	};

	return world_main(tests);
}
