/* SPDX-License-Identifier: MIT */
/* page_test.c - the counting word of mm/page.h by one thread; more: tests/model/count_word.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "mm/page.h"

#define PAGE(word) { .count = (word) }

static void assert_word(const struct page *p, uint64_t word)
{
	assert_int_equal(page_count(p), word);
}

static void fields_do_not_overlap(void **state)
{
	uint64_t internal = PC_REF - PC_INTERNAL, refs = PC_PIN - PC_REF, pins = PC_FREE - PC_PIN;

	(void)state;
	assert_int_equal(internal ^ refs ^ pins ^ PC_FREE, UINT64_MAX);
	for (uint64_t n = 1; n <= 70000; n = n * 3 + 1) {
		uint64_t c = PC_FREE + n % 9999 * PC_REF + n * PC_PIN + n * PC_INTERNAL;

		assert_int_equal(pc_internal(c), n);
		assert_int_equal(pc_refs(c), n % 9999);
		assert_int_equal(pc_pins(c), n);
		assert_int_equal(pc_field(c, PC_INTERNAL), n);
		assert_int_equal(pc_field(c, PC_REF), n % 9999);
		assert_int_equal(pc_field(c, PC_PIN), n);
	}
	/* A guard is its field's top bit: as many stale increments fit above it as pins below. */
	assert_int_equal(PC_INTERNAL * PC_INTERNAL_MAX * 2, PC_REF);
	assert_int_equal(PC_REF * PC_REF_MAX * 2, PC_PIN);
	assert_int_equal(PC_PIN * PC_PIN_MAX * 2, PC_FREE);
}

/* Adds `step` units at a time until it is refused; how many were got. */
static uint64_t fill(struct page *p, uint64_t unit, uint64_t step)
{
	uint64_t got = 0;
	int fact = -1;

	while (page_try_add(p, unit, step, &fact)) {
		assert_int_equal(fact, DEC_LIVE);
		got += step;
	}
	assert_int_equal(fact, DEC_LIVE);
	return got;
}

/* Clauses R6, R7: at a field's guard one more is refused; taking off lets in again. */
static void guard_refuses_and_undoes(void **state)
{
	static const struct {
		uint64_t unit, max, step, other;
	} t[] = {
		{ PC_INTERNAL, PC_INTERNAL_MAX, 1u << 10, 5 * PC_REF + 7 * PC_PIN },
		{ PC_INTERNAL, PC_INTERNAL_MAX, 3, PC_REF },
		{ PC_REF, PC_REF_MAX, 1, 3 * PC_INTERNAL + PC_PIN },
		{ PC_PIN, PC_PIN_MAX, 1u << 20, PC_INTERNAL },
		{ PC_PIN, PC_PIN_MAX, 512 * 1001, PC_INTERNAL + PC_REF },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct page p = PAGE(t[i].other);
		uint64_t got = fill(&p, t[i].unit, t[i].step);
		int fact;

		assert_true(got >= t[i].max && got < t[i].max + t[i].step);
		assert_word(&p, t[i].other + got * t[i].unit);
		/* At a guard nothing of any kind is added ... */
		assert_false(page_try_add(&p, PC_INTERNAL, 1, &fact));
		assert_false(page_try_add(&p, PC_REF, 1, &fact));
		assert_false(page_try_add(&p, PC_PIN, 512, &fact));
		assert_word(&p, t[i].other + got * t[i].unit);
		/* ... and taking off works until it is let in again. */
		while (got >= t[i].max) {
			assert_int_equal(page_dec(&p, t[i].unit, t[i].step), DEC_LIVE);
			got -= t[i].step;
		}
		assert_true(page_try_add(&p, PC_PIN, 1, &fact));
		assert_word(&p, t[i].other + got * t[i].unit + PC_PIN);
	}
}

static void refused_put_changes_nothing(void **state)
{
	static const uint64_t words[] = {
		PC_INTERNAL, PC_REF, PC_REF + PC_INTERNAL, 3 * PC_PIN + 2 * PC_INTERNAL, PC_FREE,
		PC_FREE + 9 * PC_PIN + 9 * PC_REF, PC_PIN + PC_REF * (PC_REF_MAX + 3), 511 * PC_PIN
	};

	(void)state;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		struct page p = PAGE(words[i]);
		uint64_t pins = words[i] & PC_FREE ? 0 : pc_pins(words[i]);

		assert_int_equal(page_put_pins(&p, pins + 1), DEC_REFUSED);
		assert_word(&p, words[i]);
		assert_int_equal(page_put_pins(&p, 512), DEC_REFUSED);
		assert_word(&p, words[i]);
		if (pins || !pc_refs(words[i]) || (words[i] & PC_FREE))
			continue;
		assert_int_equal(page_put_pins(&p, 1), DEC_REFUSED);
		assert_word(&p, words[i]);
	}
}

/* The field alone counts: a decrement that finds too few leaves the fields above as they were. */
static void refused_dec_changes_nothing(void **state)
{
	static const uint64_t units[] = { PC_INTERNAL, PC_REF, PC_PIN };

	(void)state;
	for (int i = 0; i < 3; i++)
		for (uint64_t have = 0; have < 4; have++) {
			uint64_t word = PC_INTERNAL + PC_REF + PC_PIN + (have - 1) * units[i];
			struct page p = PAGE(word), frozen = PAGE(PC_FREE + have * units[i]);

			assert_int_equal(page_dec(&p, units[i], have + 1), DEC_REFUSED);
			assert_word(&p, word);
			assert_int_equal(page_dec(&frozen, units[i], have + 1), DEC_REFUSED);
			assert_word(&frozen, PC_FREE + have * units[i]);
			assert_int_equal(page_dec(&frozen, units[i], have), DEC_LIVE);
			assert_word(&frozen, PC_FREE);
		}
}

static void put_page_of_a_pin_is_refused(void **state)
{
	struct page p = PAGE(2 * PC_PIN);

	(void)state;
	assert_int_equal(page_put_ref(&p), DEC_REFUSED);
	assert_word(&p, 2 * PC_PIN);
	atomic_store(&p.count, 2 * PC_PIN + 3 * PC_INTERNAL);
	assert_int_equal(page_put_ref(&p), DEC_REFUSED);
	assert_word(&p, 2 * PC_PIN + 3 * PC_INTERNAL);
	/* Neither on a page that is free, whatever stale increments it has. */
	atomic_store(&p.count, PC_FREE + PC_REF);
	assert_int_equal(page_put_ref(&p), DEC_REFUSED);
	assert_word(&p, PC_FREE + PC_REF);
}

static void put_user_page_of_a_reference_is_refused(void **state)
{
	struct page p = PAGE(PC_REF);
	int fact;

	(void)state;
	assert_int_equal(page_put_pins(&p, 1), DEC_REFUSED);
	assert_word(&p, PC_REF);
	assert_true(page_try_add(&p, PC_PIN, 1, &fact));
	assert_int_equal(page_put_pins(&p, 2), DEC_REFUSED);
	assert_int_equal(page_put_pins(&p, 1), DEC_LIVE);
	assert_int_equal(page_put_pins(&p, 1), DEC_REFUSED);
	assert_int_equal(page_put_ref(&p), DEC_FREED);
	assert_int_equal(page_put_ref(&p), DEC_REFUSED);
	assert_word(&p, PC_FREE);
}

static void last_put_frees_exactly_once(void **state)
{
	static const uint64_t units[] = { PC_INTERNAL, PC_REF, PC_PIN };
	struct page p = PAGE(PC_FREE);

	(void)state;
	/* Every order of giving back one of each; whoever is last frees, nobody else. */
	for (int first = 0; first < 3; first++)
		for (int second = 0; second < 3; second++) {
			int order[3] = { first, second, 3 - first - second }, fact;

			if (first == second)
				continue;
			page_thaw(&p, PC_INTERNAL);
			assert_true(page_try_add(&p, PC_PIN, 1, &fact));
			assert_true(page_try_add(&p, PC_REF, 1, &fact));
			for (int i = 0; i < 3; i++) {
				uint64_t u = units[order[i]];

				fact = u == PC_PIN ? page_put_pins(&p, 1) : u == PC_REF ?
				       page_put_ref(&p) : page_dec(&p, PC_INTERNAL, 1);
				assert_int_equal(fact, i == 2 ? DEC_FREED : DEC_LIVE);
			}
			assert_word(&p, PC_FREE);
			assert_int_equal(page_put_pins(&p, 1), DEC_REFUSED);
			assert_int_equal(page_put_ref(&p), DEC_REFUSED);
			assert_word(&p, PC_FREE);
		}
	/* A run is put whole. */
	page_thaw(&p, 512 * PC_PIN);
	assert_int_equal(page_put_pins(&p, 511), DEC_LIVE);
	assert_int_equal(page_put_pins(&p, 2), DEC_REFUSED);
	assert_int_equal(page_put_pins(&p, 1), DEC_FREED);
}

static void free_page_refuses(void **state)
{
	struct page p = PAGE(PC_FREE);
	int fact;

	(void)state;
	assert_false(page_try_add(&p, PC_PIN, 512, &fact));
	assert_int_equal(fact, DEC_LIVE); /* the undo of a free page does not free it again */
	assert_false(page_try_add(&p, PC_REF, 1, &fact));
	assert_int_equal(fact, DEC_LIVE);
	assert_false(page_try_add(&p, PC_INTERNAL, 1, &fact));
	assert_int_equal(fact, DEC_LIVE);
	assert_word(&p, PC_FREE);
}

/* A stale pinner's increment and undo as two steps, with freeze and thaw between them. */
static void stale_increments_survive_freeze_and_thaw(void **state)
{
	struct page p = PAGE(PC_INTERNAL);

	(void)state;
	assert_false(page_freeze(&p, 2 * PC_INTERNAL));
	assert_false(page_freeze(&p, PC_INTERNAL + PC_PIN));
	assert_word(&p, PC_INTERNAL);
	assert_true(page_freeze(&p, PC_INTERNAL));
	assert_word(&p, PC_FREE);
	assert_false(page_freeze(&p, PC_INTERNAL));
	atomic_fetch_add(&p.count, 3 * PC_PIN); /* stale: sees FREE */
	page_thaw(&p, PC_INTERNAL);
	assert_word(&p, PC_INTERNAL + 3 * PC_PIN);
	assert_false(page_freeze(&p, PC_INTERNAL)); /* not while it is in */
	assert_int_equal(page_dec(&p, PC_PIN, 3), DEC_LIVE);
	assert_word(&p, PC_INTERNAL);

	/* In while the owner lets go: its undo is the last one and frees. */
	assert_true(page_freeze(&p, PC_INTERNAL));
	atomic_fetch_add(&p.count, PC_PIN);
	page_thaw(&p, PC_INTERNAL);
	assert_int_equal(page_dec(&p, PC_INTERNAL, 1), DEC_LIVE);
	assert_int_equal(page_dec(&p, PC_PIN, 1), DEC_FREED);

	/* In over free and alloc: neither frees twice nor loses the new owner's reference. */
	atomic_fetch_add(&p.count, PC_REF);
	page_thaw(&p, PC_INTERNAL); /* what allocation does */
	assert_int_equal(page_dec(&p, PC_REF, 1), DEC_LIVE);
	assert_word(&p, PC_INTERNAL);
	assert_int_equal(page_dec(&p, PC_INTERNAL, 1), DEC_FREED);
	assert_word(&p, PC_FREE);
}

static void sticky_flags(void **state)
{
	struct page p = PAGE(PC_INTERNAL);

	(void)state;
	atomic_store(&p.flags, PG_uptodate | PG_lru);
	assert_false(page_maybe_write_pinned(&p));
	page_mark_pin(&p, PG_wpinned);
	assert_int_equal(p.flags, PG_uptodate | PG_lru | PG_wpinned);
	assert_false(page_maybe_write_pinned(&p)); /* marked, no pin */
	atomic_fetch_add(&p.count, PC_PIN);
	assert_true(page_maybe_write_pinned(&p));
	page_mark_pin(&p, PG_wpinned | PG_longterm);
	page_mark_pin(&p, PG_wpinned | PG_longterm);
	assert_int_equal(p.flags, PG_uptodate | PG_lru | PG_wpinned | PG_longterm);

	/* Not while there is a pin; references do not matter. */
	assert_false(page_clear_sticky(&p));
	assert_true(page_maybe_write_pinned(&p));
	assert_int_equal(page_put_pins(&p, 1), DEC_LIVE);
	assert_int_equal(p.flags, PG_uptodate | PG_lru | PG_wpinned | PG_longterm);
	atomic_store(&p.count, 3 * PC_INTERNAL + PC_REF);
	assert_true(page_clear_sticky(&p));
	assert_int_equal(p.flags, PG_uptodate | PG_lru);
	assert_word(&p, 3 * PC_INTERNAL + PC_REF);
	/* A reader's pin is a pin, not a write pin. */
	atomic_fetch_add(&p.count, PC_PIN);
	assert_false(page_maybe_write_pinned(&p));
	assert_true(page_clear_sticky(&p)); /* nothing to clear */
}

static void head_of_a_folio(void **state)
{
	static struct page p[512];

	(void)state;
	for (unsigned i = 0; i < 512; i++)
		p[i].tail = (uint16_t)i;
	for (unsigned i = 0; i < 512; i++)
		assert_ptr_equal(page_head(&p[i]), &p[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fields_do_not_overlap),
		cmocka_unit_test(guard_refuses_and_undoes),
		cmocka_unit_test(refused_put_changes_nothing),
		cmocka_unit_test(refused_dec_changes_nothing),
		cmocka_unit_test(put_page_of_a_pin_is_refused),
		cmocka_unit_test(put_user_page_of_a_reference_is_refused),
		cmocka_unit_test(last_put_frees_exactly_once),
		cmocka_unit_test(free_page_refuses),
		cmocka_unit_test(stale_increments_survive_freeze_and_thaw),
		cmocka_unit_test(sticky_flags),
		cmocka_unit_test(head_of_a_folio),
	};

	return cmocka_run_group_tests_name("page", tests, NULL, NULL);
}
