/* SPDX-License-Identifier: MIT */
/*
 * range_test.c - pinfold_pin_range() and pinfold_pin_batch(): many pages by one call, counted on the leaf or fetched ahead.
 */
#include "anon.h"

#define FIRST 16u
#define NR 64u

/* Memory that is mapped and written to, so that its slots give all rights. */
static struct space written(struct pinfold *m, const struct kind *k, unsigned pages)
{
	struct space s = new_space(m, k->window);

	map_anon(&s, 0, pages, RW, PRIVATE);
	put_pages(&s, 1, 0, pages);
	return s;
}

static void pin_range(struct space *s, unsigned first, unsigned n, unsigned flags, struct page **pages,
                      struct pinfold_range_pin *r)
{
	assert_ok(pinfold_use_mm(s->mm));
	assert_ok(pinfold_pin_range(s->at + first * PG, (int)n, flags, pages, r));
}

/* Header: counted on the leaf: no page's count moves, and the statistics say it. */
static void a_range_is_counted_without_touching_its_pages(void **state)
{
	struct pinfold *m = MACHINE(.pool = 16 * MIB);
	struct space s = written(m, *state, 512);
	static struct page *pages[512], *single[512];
	struct pinfold_range_pin r, r2;

	assert_ok(pinfold_use_mm(s.mm));
	assert_int_equal(get_user_pages_fast(s.at, 512, FOLL_WRITE, single), 512);
	assert_ok(put_user_pages(single, 512));
	for (unsigned n = 1; n <= 512; n += n < 32 ? 31 : 60) {
		pin_range(&s, 512 - n, n, FOLL_WRITE, pages, &r);
		assert_non_null(r.part[0].table);
		assert_memory_equal(pages, single + 512 - n, n * sizeof(*pages));
		assert_int_equal(now_pinned(m), n);
		pin_range(&s, 0, n, 0, pages, &r2);
		assert_int_equal(now_pinned(m), 2 * n);
		assert_int_equal(put_user_page(pages[0]), -EINVAL); /* the range's pin is not a page's */
		assert_ok(pinfold_unpin_range(&r2));
		assert_ok(pinfold_unpin_range(&r));
		assert_int_equal(pinfold_unpin_range(&r), -EINVAL);
		assert_int_equal(now_pinned(m), 0);
	}
	end_space(&s);
	end_machine(m);
}

/* Over the border of two leaves; two handles of the same pages; more than a leaf has room for. */
static void ranges_cross_leaves_and_may_be_many(void **state)
{
	struct pinfold *m = MACHINE(.pool = 16 * MIB);
	struct space s = written(m, *state, 1536);
	static struct page *pages[20][NR];
	struct pinfold_range_pin r[20];

	for (unsigned i = 0; i < 20; i++)
		pin_range(&s, 512 - NR / 2 + i % 3, NR, i & 1 ? FOLL_WRITE : 0, pages[i], &r[i]);
	assert_int_equal(now_pinned(m), 20 * NR);
	assert_ok(pinfold_check(m));
	for (unsigned i = 0; i < 20; i++)
		assert_ok(pinfold_unpin_range(&r[(i * 7) % 20]));
	assert_int_equal(now_pinned(m), 0);
	end_space(&s);
	end_machine(m);
}

/* Clauses M1, M2, R12: the pages stay the holder's, whatever the mapping becomes. */
static void pages_of_a_range_outlive_their_mapping(void **state)
{
	struct pinfold *m = MACHINE(.pool = 16 * MIB);
	struct space s = written(m, *state, 512);
	struct pinfold_range_pin r, near;
	struct page *pages[NR], *others[NR];

	pin_range(&s, FIRST, NR, FOLL_WRITE | FOLL_LONGTERM, pages, &r);
	pin_range(&s, FIRST + NR, NR, FOLL_WRITE, others, &near);
	assert_ok(vm_madvise(s.mm, s.at + FIRST * PG, 2 * PG, PINFOLD_MADV_DONTNEED));
	assert_ok(vm_munmap(s.mm, s.at + (FIRST + 8) * PG, 8 * PG));
	put_pages(&s, 9, FIRST, 2); /* new pages at the old addresses */
	for (unsigned i = 0; i < NR; i++)
		assert_true(is_filled(page_address(pages[i]), 1, FIRST + i));
	assert_int_equal(now_pinned(m), 2 * NR);
	assert_ok(pinfold_check(m));
	assert_ok(pinfold_unpin_range(&r));
	assert_int_equal(now_pinned(m), NR);
	assert_ok(pinfold_unpin_range(&near)); /* untouched by all that */
	assert_int_equal(now_pinned(m), 0);
	end_space(&s);
	end_machine(m);
}

/* Clause M3: moved with its table, or slot by slot. */
static void a_range_moves_with_its_pages(void **state)
{
	struct pinfold *m = MACHINE(.pool = 16 * MIB);
	struct space s = written(m, *state, 1024);
	struct pinfold_range_pin r, r2;
	struct page *pages[NR], *again[NR];
	long at;

	for (unsigned off = 0; off < 2; off++) {
		pin_range(&s, 512, NR, FOLL_WRITE, pages, &r);
		at = vm_mremap(s.mm, s.at + 512 * PG, 512 * PG, 512 * PG, PINFOLD_MREMAP_MAYMOVE | PINFOLD_MREMAP_FIXED,
		               s.at + 4096 * PG + off * 3 * PG);
		assert_int_equal(at, s.at + 4096 * PG + off * 3 * PG);
		assert_ok(pinfold_pin_range((unsigned long)at, NR, FOLL_WRITE, again, &r2));
		assert_memory_equal(pages, again, sizeof(pages));
		assert_ok(pinfold_unpin_range(&r));
		assert_ok(pinfold_unpin_range(&r2));
		assert_int_equal(vm_mremap(s.mm, (unsigned long)at, 512 * PG, 512 * PG,
		                           PINFOLD_MREMAP_MAYMOVE | PINFOLD_MREMAP_FIXED, s.at + 512 * PG),
		                 s.at + 512 * PG);
		assert_int_equal(now_pinned(m), 0);
	}
	end_space(&s);
	end_machine(m);
}

/* Clauses K2, K6, K12: a snapshot gets copies of the range's pages, and of no others. */
static void a_snapshot_copies_the_pages_of_a_range(void **state)
{
	const struct kind *k = *state;
	struct pinfold *m = MACHINE(.pool = 16 * MIB);
	struct space s = written(m, k, 512), c;
	struct pinfold_range_pin r;
	struct page *pages[NR];
	uint64_t before = stats_of(m).fork_copied;

	pin_range(&s, FIRST, NR, FOLL_WRITE, pages, &r);
	c = snapshot(m, &s, k->window);
	assert_int_equal(stats_of(m).fork_copied - before, NR);
	for (unsigned i = 0; i < NR; i++)
		memset(page_address(pages[i]), 0x77, PG);
	assert_true(pages_are(&c, 1, FIRST, NR));
	assert_ok(pinfold_use_mm(s.mm));
	assert_ok(pinfold_unpin_range(&r));
	assert_int_equal(now_pinned(m), 0);
	end_space(&c);
	end_space(&s);
	end_machine(m);
}

/* Header: what cannot be counted on the leaf is pinned page by page, and the handle is good all the same. */
static void what_a_leaf_cannot_count_is_pinned_by_pages(void **state)
{
	struct pinfold *m = MACHINE(.pool = 16 * MIB);
	struct space s = new_space(m, ((const struct kind *)*state)->window);
	struct pinfold_range_pin r;
	struct page *pages[NR];

	map_anon(&s, 0, 512, RW, PRIVATE);
	pin_range(&s, 0, NR, FOLL_WRITE, pages, &r); /* nothing is mapped yet */
	assert_int_equal(now_pinned(m), NR);
	assert_ok(put_user_page(pages[3]));          /* so each page has its own */
	assert_int_equal(pinfold_unpin_range(&r), -EINVAL);
	assert_int_equal(now_pinned(m), 0);
	end_space(&s);
	end_machine(m);
}

/* Header: all or nothing, and the errors; nothing stays pinned. */
static void a_range_is_all_or_nothing(void **state)
{
	struct pinfold *m = MACHINE(.pool = 16 * MIB);
	struct space s = written(m, *state, 1024);
	static struct page *pages[512];
	struct pinfold_range_pin r;

	assert_ok(vm_munmap(s.mm, s.at + 520 * PG, PG));
	assert_ok(pinfold_use_mm(s.mm));
	assert_int_equal(pinfold_pin_range(s.at + 500 * PG, 64, FOLL_WRITE, pages, &r), -EFAULT);
	assert_int_equal(pinfold_unpin_range(&r), -EINVAL);
	assert_int_equal(pinfold_pin_range(s.at + 520 * PG, 1, FOLL_WRITE, pages, &r), -EFAULT);
	assert_int_equal(pinfold_pin_range(s.at, 0, 0, pages, &r), -EINVAL);
	assert_int_equal(pinfold_pin_range(s.at, -1, 0, pages, &r), -EINVAL);
	assert_int_equal(pinfold_pin_range(s.at, 513, 0, pages, &r), -EINVAL);
	assert_int_equal(pinfold_pin_range(s.at, 1, 0, NULL, &r), -EINVAL);
	assert_int_equal(pinfold_pin_range(s.at, 1, 0, pages, NULL), -EINVAL);
	assert_int_equal(pinfold_unpin_range(NULL), -EINVAL);
	for (unsigned bit = 0; bit < 32; bit++) {
		unsigned ok = FOLL_WRITE | FOLL_LONGTERM | FOLL_TOUCH | FOLL_GET;

		assert_int_equal(pinfold_pin_range(s.at, 1, 1u << bit, pages, &r), (1u << bit) & ok ? 0 : -EINVAL);
		if ((1u << bit) & ok)
			assert_ok(pinfold_unpin_range(&r));
	}
	assert_int_equal(pinfold_pin_range(~0ul - 100 * PG, 512, 0, pages, &r), -EOVERFLOW);
	assert_ok(pinfold_use_mm(NULL));
	assert_int_equal(pinfold_pin_range(s.at, 1, 0, pages, &r), -EFAULT);
	assert_int_equal(now_pinned(m), 0);
	end_space(&s);
	end_machine(m);
}

/* Clause V10 as replaced: rights are the mapping's, by this way too. */
static void a_range_asks_the_mappings_rights(void **state)
{
	struct pinfold *m = MACHINE(.pool = 16 * MIB);
	struct space s = written(m, *state, 512);
	struct page *pages[NR];
	struct pinfold_range_pin r;

	pin_range(&s, 0, NR, FOLL_WRITE, pages, &r);
	assert_ok(vm_mprotect(s.mm, s.at, 8 * PG, RO));
	assert_int_equal(now_pinned(m), NR); /* clause M4 */
	assert_int_equal(pinfold_pin_range(s.at, NR, FOLL_WRITE, pages, &r), -EFAULT);
	pin_range(&s, 0, NR, 0, pages, &r);
	assert_ok(pinfold_unpin_range(&r));
	assert_int_equal(now_pinned(m), NR);
	for (unsigned i = 0; i < NR; i++)
		assert_ok(put_user_page(pages[i])); /* mprotect() has counted the first on the pages */
	end_space(&s);
	end_machine(m);
}

/* ---- batches ------------------------------------------------------------------------------------- */

/* Header: as single calls, in any order, over leaves, folios and pages that are not there yet. */
static void a_batch_pins_as_single_calls_do(void **state)
{
	struct pinfold *m = MACHINE(.pool = 32 * MIB, .memory = 40 * MIB);
	struct space s = written(m, *state, 1024);
	static unsigned long addrs[600];
	static struct page *pages[600], *page;

	map_anon(&s, 2048, 1024, RW, PRIVATE);
	assert_ok(vm_madvise(s.mm, s.at + 2048 * PG, 1024 * PG, PINFOLD_MADV_HUGEPAGE));
	for (unsigned i = 0; i < 600; i++)
		addrs[i] = s.at + (i % 3 ? i * 37 % 1024 : 2048 + i * 53 % 1024) * PG + i;
	assert_ok(pinfold_use_mm(s.mm));
	for (unsigned write = 0; write <= FOLL_WRITE; write++) {
		unsigned flags = write ? FOLL_WRITE : FOLL_WRITE | FOLL_LONGTERM;

		assert_int_equal(pinfold_pin_batch(addrs, 600, flags, pages), 600);
		for (unsigned i = 0; i < 600; i++) {
			assert_int_equal(get_user_pages_fast(addrs[i], 1, 0, &page), 1);
			assert_ptr_equal(page, pages[i]);
			assert_ok(put_user_page(page));
		}
		assert_int_equal(now_pinned(m), 600);
		assert_ok(put_user_pages(pages, 600));
		assert_int_equal(now_pinned(m), 0);
	}
	end_space(&s);
	end_machine(m);
}

/* Clauses P1, A2, A16: a count beats the error; bad arguments. */
static void a_batch_ends_at_the_first_page_it_cannot_pin(void **state)
{
	struct pinfold *m = MACHINE(.pool = 16 * MIB);
	struct space s = written(m, *state, 512);
	unsigned long addrs[100];
	struct page *pages[100];

	for (unsigned i = 0; i < 100; i++)
		addrs[i] = s.at + i * 5 * PG;
	assert_ok(pinfold_use_mm(s.mm));
	for (unsigned bad = 0; bad < 100; bad += 33) {
		unsigned long kept = addrs[bad];

		for (unsigned which = 0; which < 3; which++) {
			addrs[bad] = which == 0 ? s.at + 600 * PG : which == 1 ? ~0ul : 1ul << 63;
			assert_int_equal(pinfold_pin_batch(addrs, 100, 0, pages), bad ? (int)bad : which == 1 ? -EOVERFLOW : -EFAULT);
			assert_ok(put_user_pages(pages, bad));
		}
		addrs[bad] = kept;
	}
	assert_int_equal(pinfold_pin_batch(addrs, 0, 0, NULL), 0);
	assert_int_equal(pinfold_pin_batch(addrs, -1, 0, pages), -EINVAL);
	assert_int_equal(pinfold_pin_batch(addrs, 0, FOLL_NOWAIT, pages), -EINVAL);
	assert_int_equal(pinfold_pin_batch(NULL, 1, 0, pages), -EINVAL);
	assert_int_equal(pinfold_pin_batch(addrs, 1, 0, NULL), -EINVAL);
	assert_ok(pinfold_use_mm(NULL));
	assert_int_equal(pinfold_pin_batch(addrs, 1, 0, pages), -EFAULT);
	assert_int_equal(now_pinned(m), 0);
	end_space(&s);
	end_machine(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(a_range_is_counted_without_touching_its_pages),
		BOTH(ranges_cross_leaves_and_may_be_many),
		BOTH(pages_of_a_range_outlive_their_mapping),
		BOTH(a_range_moves_with_its_pages),
		BOTH(a_snapshot_copies_the_pages_of_a_range),
		BOTH(what_a_leaf_cannot_count_is_pinned_by_pages),
		BOTH(a_range_is_all_or_nothing),
		BOTH(a_range_asks_the_mappings_rights),
		BOTH(a_batch_pins_as_single_calls_do),
		BOTH(a_batch_ends_at_the_first_page_it_cannot_pin),
	};

	return world_main(tests);
}
