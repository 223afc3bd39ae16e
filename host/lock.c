/* SPDX-License-Identifier: MIT */
/*
 * lock.c - a mutex and a reader-writer lock on C11 atomics and host_wait().
 *
 * Own ones because the fault handler takes them: pthread's are not async-signal-safe, have no
 * deadline for a writer on every libc, and know no rank.  An uncontended lock is one atomic.
 *
 * Debug builds keep the locks of each thread on a stack and stop when ranks do not rise.  Taking a
 * lock by a try cannot deadlock, so it is recorded but its rank is not asked.
 */
#include <limits.h>
#include <string.h>

#include "host/host.h"
#include "host/linux.h"

#define HELD_MAX 64
#define SPINS 100
#define WRITER 0x80000000u
#define SLEEPERS 1u /* in rwsem.wake: somebody sleeps on it */

/* ---- ranks ---------------------------------------------------------------------------------- */

struct held {
	const void *lock;
	uint32_t rank;
};
static HOST_TLS struct held held[HELD_MAX];
static HOST_TLS unsigned nr_held;

static const char *rank_name(uint32_t rank)
{
	switch ((enum host_rank)rank) {
	case HOST_RANK_TABLE: return "table";
	case HOST_RANK_MACHINE: return "machine";
	case HOST_RANK_COMMIT: return "commit";
	case HOST_RANK_STATE: return "state";
	case HOST_RANK_SECTION: return "section";
	case HOST_RANK_MMAP: return "mmap";
	case HOST_RANK_FREEZE: return "freeze";
	case HOST_RANK_TLB: return "tlb";
	case HOST_RANK_IMMAP: return "immap";
	case HOST_RANK_ANON: return "anon";
	case HOST_RANK_NOTIFY: return "notify";
	case HOST_RANK_DIR: return "dir";
	case HOST_RANK_LEAF: return "leaf";
	case HOST_RANK_WINDOW: return "window";
	case HOST_RANK_CACHE: return "cache";
	case HOST_RANK_PAGES: return "pages";
	case HOST_RANK_LRU: return "lru";
	case HOST_RANK_ALLOC: return "alloc";
	case HOST_RANK_SLAB: return "slab";
	case HOST_RANK_RING: return "ring";
	case HOST_RANK_STAT: return "stat";
	}
	return "unknown rank";
}

static _Noreturn void rank_panic(const char *how, uint32_t rank, const char *and, uint32_t other)
{
	char text[128] = "";

	strcat(text, how);
	strcat(text, rank_name(rank));
	strcat(text, and);
	strcat(text, rank_name(other));
	host_panic(text);
}

static bool may_nest(const struct held *in, const void *lock, uint32_t rank)
{
	if (rank == in->rank && rank == HOST_RANK_LEAF)
		return (uintptr_t)lock > (uintptr_t)in->lock;
	return rank > in->rank;
}

static void check_rank(const void *lock, uint32_t rank)
{
	if (!PINFOLD_DEBUG_BUILD)
		return;
	for (unsigned i = 0; i < nr_held; i++)
		if (!may_nest(&held[i], lock, rank))
			rank_panic("lock order: taking ", rank, " while holding ", held[i].rank);
}

static void note_taken(const void *lock, uint32_t rank)
{
	if (!PINFOLD_DEBUG_BUILD)
		return;
	if (nr_held == HELD_MAX)
		rank_panic("too many locks: ", rank, " on top of ", held[HELD_MAX - 1].rank);
	held[nr_held++] = (struct held){ lock, rank };
}

static int find_held(const void *lock)
{
	for (unsigned i = nr_held; i-- > 0;)
		if (held[i].lock == lock)
			return (int)i;
	return -1;
}

static void note_left(const void *lock, uint32_t rank)
{
	int i;

	if (!PINFOLD_DEBUG_BUILD)
		return;
	i = find_held(lock);
	if (i < 0)
		rank_panic("lock not held: leaving ", rank, ", rank ", rank);
	nr_held--;
	memmove(&held[i], &held[i + 1], (nr_held - (unsigned)i) * sizeof(held[0]));
}

/* ---- mutex ---------------------------------------------------------------------------------- */

void host_mutex_init(struct host_mutex *m, enum host_rank rank)
{
	atomic_init(&m->state, 0);
	m->rank = rank;
}

/* acquire: pairs with the release in host_unlock */
static bool grab(struct host_mutex *m)
{
	uint32_t free = 0;

	return atomic_compare_exchange_strong_explicit(&m->state, &free, 1, memory_order_acquire,
	                                               memory_order_relaxed);
}

void host_lock(struct host_mutex *m)
{
	check_rank(m, m->rank);
	for (int i = 0; i < SPINS; i++) {
		/* relaxed: only a look; grab() orders */
		if (!atomic_load_explicit(&m->state, memory_order_relaxed) && grab(m)) {
			note_taken(m, m->rank);
			return;
		}
		host_relax();
	}
	/* 2 even if nobody else waits: one wake too many, never one too few */
	/* acquire: pairs with the release in host_unlock */
	while (atomic_exchange_explicit(&m->state, 2, memory_order_acquire))
		host_wait(&m->state, 2, 0);
	note_taken(m, m->rank);
}

bool host_trylock(struct host_mutex *m)
{
	if (!grab(m))
		return false;
	note_taken(m, m->rank);
	return true;
}

void host_unlock(struct host_mutex *m)
{
	note_left(m, m->rank);
	/* release: pairs with the acquire in grab() and host_lock */
	if (atomic_exchange_explicit(&m->state, 0, memory_order_release) == 2)
		host_wake(&m->state, 1);
}

bool host_held(const struct host_mutex *m)
{
	return !PINFOLD_DEBUG_BUILD || find_held(m) >= 0;
}

/* ---- rwsem ----------------------------------------------------------------------------------
 *
 * A sleeper reads `wake`, then looks whether it may enter, then sleeps on the value it read; who
 * lets go changes state and writers first and `wake` last.  So a change behind the look is a
 * changed word, and the sleep returns at once.
 */

void host_rwsem_init(struct host_rwsem *s, enum host_rank rank)
{
	atomic_init(&s->state, 0);
	atomic_init(&s->writers, 0);
	atomic_init(&s->wake, 0);
	s->rank = rank;
}

static bool enter_reader(struct host_rwsem *s)
{
	/* relaxed: the exchange below orders */
	uint32_t now = atomic_load_explicit(&s->state, memory_order_relaxed);

	/* acquire: pairs with the release of writers in host_write_unlock */
	while (!atomic_load_explicit(&s->writers, memory_order_acquire) && !(now & WRITER))
		/* acquire: pairs with the clear of WRITER in host_write_unlock */
		if (atomic_compare_exchange_weak_explicit(&s->state, &now, now + 1,
		                                          memory_order_acquire,
		                                          memory_order_relaxed))
			return true;
	return false;
}

/*
 * seq_cst, both outcomes: the last reader does {state - 1, look at writers}, a writer {writers + 1,
 * look at state}; in the one order of all four at least one of the two sees the other.
 */
static bool enter_writer(struct host_rwsem *s)
{
	uint32_t free = 0;

	return atomic_compare_exchange_strong_explicit(&s->state, &free, WRITER,
	                                               memory_order_seq_cst, memory_order_seq_cst);
}

/* Sleeps unless `wake` is no longer what it was before the look. */
static void sleep_on(struct host_rwsem *s, uint32_t seen, uint64_t timeout)
{
	/* relaxed: the kernel compares again; a lost race means the word changed, so look again */
	if (!(seen & SLEEPERS) &&
	    !atomic_compare_exchange_strong_explicit(&s->wake, &seen, seen | SLEEPERS,
	                                             memory_order_relaxed, memory_order_relaxed))
		return;
	host_wait(&s->wake, seen | SLEEPERS, timeout);
}

static void wake_all(struct host_rwsem *s)
{
	uint32_t was = atomic_load_explicit(&s->wake, memory_order_relaxed);

	/* release: pairs with the acquire of `wake` before each look */
	while (!atomic_compare_exchange_weak_explicit(&s->wake, &was, (was | SLEEPERS) + 1,
	                                              memory_order_release, memory_order_relaxed))
		;
	if (was & SLEEPERS)
		host_wake(&s->wake, INT_MAX);
}

void host_read_lock(struct host_rwsem *s)
{
	check_rank(s, s->rank);
	for (;;) {
		/* acquire: pairs with the release in wake_all */
		uint32_t seen = atomic_load_explicit(&s->wake, memory_order_acquire);

		if (enter_reader(s))
			break;
		sleep_on(s, seen, 0);
	}
	note_taken(s, s->rank);
}

void host_read_lock_nested(struct host_rwsem *s)
{
	for (;;) {
		/* acquire: pairs with the release in wake_all */
		uint32_t seen = atomic_load_explicit(&s->wake, memory_order_acquire);
		uint32_t now = atomic_load_explicit(&s->state, memory_order_relaxed);

		/* acquire: pairs with the clear of WRITER in host_write_unlock */
		while (!(now & WRITER))
			if (atomic_compare_exchange_weak_explicit(&s->state, &now, now + 1,
			                                          memory_order_acquire,
			                                          memory_order_relaxed)) {
				note_taken(s, s->rank);
				return;
			}
		sleep_on(s, seen, 0);
	}
}

bool host_read_trylock(struct host_rwsem *s)
{
	if (!enter_reader(s))
		return false;
	note_taken(s, s->rank);
	return true;
}

void host_read_unlock(struct host_rwsem *s)
{
	note_left(s, s->rank);
	/* seq_cst, both: partner is a writer's {writers + 1, enter_writer} */
	if (atomic_fetch_sub_explicit(&s->state, 1, memory_order_seq_cst) == 1 &&
	    atomic_load_explicit(&s->writers, memory_order_seq_cst))
		wake_all(s);
}

bool host_write_lock_until(struct host_rwsem *s, uint64_t deadline)
{
	check_rank(s, s->rank);
	/* seq_cst: partner is the last reader's {state - 1, look at writers} */
	atomic_fetch_add_explicit(&s->writers, 1, memory_order_seq_cst);
	for (;;) {
		/* acquire: pairs with the release in wake_all */
		uint32_t seen = atomic_load_explicit(&s->wake, memory_order_acquire);
		uint64_t now;

		if (enter_writer(s))
			break;
		now = deadline ? host_now() : 0;
		if (deadline && now >= deadline) {
			/* readers held off for this writer go on */
			/* release: pairs with the acquire of writers in enter_reader */
			atomic_fetch_sub_explicit(&s->writers, 1, memory_order_release);
			wake_all(s);
			return false;
		}
		sleep_on(s, seen, deadline ? deadline - now : 0);
	}
	note_taken(s, s->rank);
	return true;
}

bool host_write_trylock(struct host_rwsem *s)
{
	/* seq_cst: as in host_write_lock_until() */
	atomic_fetch_add_explicit(&s->writers, 1, memory_order_seq_cst);
	if (!enter_writer(s)) {
		/* release: pairs with the acquire of writers in enter_reader */
		atomic_fetch_sub_explicit(&s->writers, 1, memory_order_release);
		wake_all(s);
		return false;
	}
	note_taken(s, s->rank);
	return true;
}

void host_write_lock(struct host_rwsem *s)
{
	host_write_lock_until(s, 0);
}

void host_write_unlock(struct host_rwsem *s)
{
	note_left(s, s->rank);
	/* release: pairs with the acquire in enter_reader and enter_writer */
	atomic_fetch_and_explicit(&s->state, ~WRITER, memory_order_release);
	/* release: pairs with the acquire of writers in enter_reader */
	atomic_fetch_sub_explicit(&s->writers, 1, memory_order_release);
	wake_all(s);
}

bool host_rwsem_held(const struct host_rwsem *s)
{
	return !PINFOLD_DEBUG_BUILD || find_held(s) >= 0;
}
