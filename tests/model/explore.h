/* SPDX-License-Identifier: MIT */
/*
 * explore.h - what the models share: the atomic operations of included code become calls of prim(), values get small
 * numbers, and states are kept in a hash set with the way to each.
 *
 * A model includes this before the code that it explores, and defines prim().
 */
#ifndef PINFOLD_MODEL_EXPLORE_H
#define PINFOLD_MODEL_EXPLORE_H

#include "mm/debug.h"
#include "mm/types.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum prim { LOAD, STORE, ADD, SUB, OR, AND, CAS, CAS_WEAK, EXCHANGE };

/* One atomic operation of a function `in`.  What the object held; a CAS: whether it was done, with *expected. */
static uint64_t prim(enum prim what, const volatile void *object, size_t size, uint64_t arg, uint64_t *expected,
                     memory_order order, const char *in);

#define SHARED_TOOL static inline __attribute__((unused))

/* A call: some do not want to know. */
SHARED_TOOL bool cas_done(uint64_t r)
{
	return r;
}

#undef atomic_load
#undef atomic_load_explicit
#undef atomic_store
#undef atomic_store_explicit
#undef atomic_exchange
#undef atomic_fetch_add
#undef atomic_fetch_add_explicit
#undef atomic_fetch_sub
#undef atomic_fetch_sub_explicit
#undef atomic_fetch_or
#undef atomic_fetch_or_explicit
#undef atomic_fetch_and
#undef atomic_fetch_and_explicit
#undef atomic_compare_exchange_strong
#undef atomic_compare_exchange_strong_explicit
#undef atomic_compare_exchange_weak
#undef atomic_compare_exchange_weak_explicit
#define PRIM(w, o, v, e, m) prim(w, o, sizeof(*(o)), (uint64_t)(v), (e), (m), __func__)
#define SEQ memory_order_seq_cst
#define atomic_load(o) ((__typeof__(*(o)))PRIM(LOAD, o, 0, NULL, SEQ))
#define atomic_load_explicit(o, m) ((__typeof__(*(o)))PRIM(LOAD, o, 0, NULL, m))
#define atomic_store(o, v) ((void)PRIM(STORE, o, v, NULL, SEQ))
#define atomic_store_explicit(o, v, m) ((void)PRIM(STORE, o, v, NULL, m))
#define atomic_exchange(o, v) PRIM(EXCHANGE, o, v, NULL, SEQ)
#define atomic_fetch_add(o, v) PRIM(ADD, o, v, NULL, SEQ)
#define atomic_fetch_add_explicit(o, v, m) PRIM(ADD, o, v, NULL, m)
#define atomic_fetch_sub(o, v) PRIM(SUB, o, v, NULL, SEQ)
#define atomic_fetch_sub_explicit(o, v, m) PRIM(SUB, o, v, NULL, m)
#define atomic_fetch_or(o, v) PRIM(OR, o, v, NULL, SEQ)
#define atomic_fetch_or_explicit(o, v, m) PRIM(OR, o, v, NULL, m)
#define atomic_fetch_and(o, v) PRIM(AND, o, v, NULL, SEQ)
#define atomic_fetch_and_explicit(o, v, m) PRIM(AND, o, v, NULL, m)
#define atomic_compare_exchange_strong(o, e, v) cas_done(PRIM(CAS, o, v, e, SEQ))
#define atomic_compare_exchange_strong_explicit(o, e, v, m, f) (PRIM(CAS, o, v, e, m) != 0)
#define atomic_compare_exchange_weak(o, e, v) (PRIM(CAS_WEAK, o, v, e, SEQ) != 0)
#define atomic_compare_exchange_weak_explicit(o, e, v, m, f) (PRIM(CAS_WEAK, o, v, e, m) != 0)

SHARED_TOOL uint64_t read_object(const volatile void *o, size_t size)
{
	return size == 8 ? *(const volatile uint64_t *)o : size == 4 ? *(const volatile uint32_t *)o :
	                                                               *(const volatile uint16_t *)o;
}

SHARED_TOOL void write_object(const volatile void *o, size_t size, uint64_t v)
{
	if (size == 8)
		*(volatile uint64_t *)(uintptr_t)o = v;
	else if (size == 4)
		*(volatile uint32_t *)(uintptr_t)o = (uint32_t)v;
	else
		*(volatile uint16_t *)(uintptr_t)o = (uint16_t)v;
}

/* Before there are threads. */
#undef atomic_init
#define atomic_init(o, v) write_object(o, sizeof(*(o)), (uint64_t)(v))

/* ---- 64-bit values by small numbers: a state stays small -------------------------------------- */

static uint64_t values[0x8000];
static uint16_t value_hash[0x10000];
static unsigned nr_values;

SHARED_TOOL uint16_t number_of(uint64_t v)
{
	unsigned h = (unsigned)((v * 0x9e3779b97f4a7c15ull) >> 48);

	while (value_hash[h] && values[value_hash[h] - 1] != v)
		h = (h + 1) & 0xffff;
	if (!value_hash[h]) {
		if (nr_values == 0x7fff)
			abort();
		values[nr_values++] = v;
		value_hash[h] = (uint16_t)nr_values;
	}
	return (uint16_t)(value_hash[h] - 1);
}

/* ---- the states that were reached ------------------------------------------------------------- */

#define MAX_STATES (1u << 23)

struct way {
	uint32_t parent;
	uint8_t thread, what; /* which of its steps: the model's to say */
};

static struct {
	unsigned char *at;
	size_t size; /* of one; a multiple of 8 */
	struct way *came;
	uint32_t *table;
	uint32_t nr, room, table_size;
} states;

SHARED_TOOL const void *state_at(uint32_t i)
{
	return states.at + (size_t)i * states.size;
}

SHARED_TOOL uint32_t *find_place(const void *s)
{
	const unsigned char *b = s;
	uint64_t h = 0xcbf29ce484222325ull;

	for (size_t i = 0; i + 8 <= states.size; i += 8) {
		uint64_t v;

		memcpy(&v, b + i, 8);
		h = (h ^ v) * 0x9e3779b97f4a7c15ull;
		h ^= h >> 29;
	}
	for (uint32_t i = (uint32_t)h & (states.table_size - 1); ; i = (i + 1) & (states.table_size - 1))
		if (!states.table[i] || !memcmp(state_at(states.table[i] - 1), s, states.size))
			return &states.table[i];
}

SHARED_TOOL void grow_table(void)
{
	states.table_size = states.table_size ? states.table_size * 4 : 1u << 16;
	free(states.table);
	states.table = calloc(states.table_size, sizeof(*states.table));
	if (!states.table)
		abort();
	for (uint32_t i = 0; i < states.nr; i++)
		*find_place(state_at(i)) = i + 1;
}

SHARED_TOOL void forget_states(size_t size)
{
	states.size = size;
	states.nr = states.room = 0;
	free(states.at);
	free(states.came);
	states.at = NULL;
	states.came = NULL;
	if (states.table)
		memset(states.table, 0, states.table_size * sizeof(*states.table));
}

SHARED_TOOL void add_state(const void *s, struct way way)
{
	uint32_t *place;

	if (states.nr * 2 >= states.table_size)
		grow_table();
	place = find_place(s);
	if (*place)
		return;
	if (states.nr == states.room) {
		states.room = states.room ? states.room * 2 : 1u << 12;
		states.at = realloc(states.at, states.room * states.size);
		states.came = realloc(states.came, states.room * sizeof(*states.came));
		if (!states.at || !states.came || states.room > MAX_STATES)
			abort();
	}
	memcpy(states.at + (size_t)states.nr * states.size, s, states.size);
	states.came[states.nr] = way;
	*place = ++states.nr;
}

/* gcc's thread sanitizer is slow, and there is one thread. */
#ifdef __SANITIZE_THREAD__
#define SLOW 1
#else
#define SLOW 0
#endif
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

#endif
