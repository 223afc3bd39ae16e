/* SPDX-License-Identifier: MIT */
/* alloc_test.c - mm/page_alloc on a machine that has nothing but frames. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mm/debug.h"
#include "mm/page_alloc.h"

#define BLOCK (1u << MAX_ORDER)

static unsigned complaints;

static void complain(const char *what)
{
	(void)what;
	complaints++;
}

/* What page_alloc needs of a machine. */
static struct pinfold *machine(uint32_t pool, uint32_t direct, uint32_t staging, int expect)
{
	struct pinfold *m = calloc(1, sizeof(*m));

	assert_non_null(m);
	m->pool_frames = pool;
	m->direct_frames = direct;
	m->nr_frames = pool + direct;
	m->pages_len = (m->nr_frames * sizeof(struct page) + HOST_PAGE - 1) & ~(HOST_PAGE - 1);
	m->pages = host_map(m->pages_len);
	m->pool = host_map(pool * PAGE_SIZE);
	assert_non_null(m->pages);
	assert_non_null(m->pool);
	complaints = 0;
	debug_set_hook(complain);
	assert_int_equal(page_alloc_init(m, staging), expect);
	return m;
}

static void close_machine(struct pinfold *m)
{
	assert_int_equal(complaints, 0);
	debug_set_hook(NULL);
	host_unmap(m->pool, m->pool_frames * PAGE_SIZE);
	host_unmap(m->pages, m->pages_len);
	free(m);
}

static uint32_t free_blocks(struct pinfold *m, unsigned order)
{
	uint32_t n = 0;

	for (uint32_t i = m->buddy[order]; i != NO_PFN; i = pfn_to_page(m, i)->next)
		n++;
	return n;
}

/* Everything is free and merged as far as it goes. */
static void assert_whole(struct pinfold *m)
{
	assert_int_equal(free_frames(m, NULL), m->pool_frames);
	assert_int_equal(page_alloc_check(m), 0); /* empties the caches */
	assert_int_equal(free_blocks(m, MAX_ORDER), m->pool_frames / BLOCK);
	for (unsigned o = 0; o < MAX_ORDER; o++)
		assert_int_equal(free_blocks(m, o), m->pool_frames >> o & 1);
	assert_int_equal(page_alloc_check(m), 0);
}

static void assert_folio(struct pinfold *m, struct page *p, unsigned order)
{
	uint32_t pfn = page_to_pfn(m, p);

	assert_non_null(p);
	assert_true(pfn + (1u << order) <= m->pool_frames);
	assert_int_equal(pfn & ((1u << order) - 1), 0);
	assert_ptr_equal(p->addr, m->pool + pfn * PAGE_SIZE);
	assert_int_equal(p->order, order);
	assert_int_equal(atomic_load(&p->flags), order ? PG_head : 0);
	assert_int_equal(page_count(p), PC_INTERNAL);
	for (unsigned i = 0; i < 1u << order; i++) {
		assert_ptr_equal(page_head(p + i), p);
		if (i)
			assert_int_equal(page_count(p + i), PC_FREE);
	}
}

/* ---- the buddy allocator --------------------------------------------------------------------- */

static void each_order_to_exhaustion(void **state)
{
	static const uint32_t sizes[] = { BLOCK, 3 * BLOCK, 700 };
	static struct page *got[3 * BLOCK];

	(void)state;
	for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
		struct pinfold *m = machine(sizes[s], 0, 0, 0);

		assert_whole(m);
		for (unsigned order = 0; order <= MAX_ORDER; order++) {
			uint32_t n = sizes[s] >> order;

			for (uint32_t i = 0; i < n; i++) {
				got[i] = alloc_folio(m, order);
				assert_folio(m, got[i], order);
				memset(got[i]->addr, (int)i, PAGE_SIZE << order);
			}
			assert_null(alloc_folio(m, order));
			assert_int_equal(free_frames(m, NULL), sizes[s] - (n << order));
			for (uint32_t i = 0; i < n; i++) { /* nobody wrote over another */
				assert_int_equal(*(unsigned char *)got[i]->addr, i & 0xff);
				assert_memory_equal(got[i]->addr, (char *)got[i]->addr + 1,
				                    (PAGE_SIZE << order) - 1);
			}
			/* Back in an order that merges late: even ones, then odd ones. */
			for (uint32_t i = 0; i < n; i += 2)
				put_internal(m, got[i]);
			for (uint32_t i = 1; i < n; i += 2)
				put_internal(m, got[i]);
			assert_whole(m);
		}
		close_machine(m);
	}
}

static void order_too_large(void **state)
{
	struct pinfold *m = machine(BLOCK, 0, 0, 0);
	struct page *p = alloc_folio(m, 0);

	(void)state;
	assert_null(alloc_folio(m, MAX_ORDER));
	assert_non_null(p);
	put_internal(m, p);
	p = alloc_folio(m, MAX_ORDER);
	assert_folio(m, p, MAX_ORDER);
	assert_null(alloc_folio(m, 0));
	put_internal(m, p);
	assert_whole(m);
	close_machine(m);
}

/* A bitmap of who has which frame. */
static void random_against_a_bitmap(void **state)
{
	enum { FRAMES = 2 * BLOCK + 136, MOST = 400 };
	static bool taken[FRAMES];
	static struct page *held[MOST];
	struct pinfold *m = machine(FRAMES, 0, 0, 0);
	uint32_t n = 0, used = 0;

	(void)state;
	srand(3);
	for (int round = 0; round < 20000; round++) {
		unsigned order = (unsigned)rand() % (rand() % 100 ? 5 : 10);

		if (n < MOST && rand() % 20 < (round / 1000 % 2 ? 7 : 13)) {
			struct page *p = alloc_folio(m, order);

			if (!p)
				continue;
			assert_folio(m, p, order);
			for (uint32_t i = 0; i < 1u << order; i++) {
				assert_false(taken[page_to_pfn(m, p) + i]);
				taken[page_to_pfn(m, p) + i] = true;
			}
			used += 1u << order;
			held[n++] = p;
			*(char *)p->addr = 1;
		} else if (n) {
			uint32_t i = (uint32_t)rand() % n;

			order = held[i]->order;
			memset(&taken[page_to_pfn(m, held[i])], 0, 1u << order);
			used -= 1u << order;
			put_internal(m, held[i]);
			held[i] = held[--n];
		}
		assert_int_equal(free_frames(m, NULL), FRAMES - used);
		if (round % 1000 == 0)
			assert_int_equal(page_alloc_check(m), 0);
	}
	while (n)
		put_internal(m, held[--n]);
	memset(taken, 0, sizeof(taken));
	assert_whole(m);
	close_machine(m);
}

/* ---- counts ---------------------------------------------------------------------------------- */

/* Stale pinners' increments, on every frame, over allocation, splitting, freeing and merging. */
static void words_are_never_stored(void **state)
{
	struct pinfold *m = machine(BLOCK, 4, 0, 0);
	struct page *p;

	(void)state;
	for (uint32_t i = 0; i < m->nr_frames; i++)
		atomic_fetch_add(&m->pages[i].count, (1 + i % 7) * PC_PIN);
	p = alloc_folio(m, 3);
	assert_non_null(p);
	assert_int_equal(page_count(p), PC_INTERNAL + (1 + page_to_pfn(m, p) % 7) * PC_PIN);
	for (uint32_t i = 1; i < 8; i++)
		assert_int_equal(page_count(p + i),
		                 PC_FREE + (1 + page_to_pfn(m, p + i) % 7) * PC_PIN);
	put_internal(m, p); /* the stale pinner below is the last one, and frees */
	assert_int_equal(free_frames(m, NULL), BLOCK - 8);
	for (uint32_t i = 0; i < m->nr_frames; i++)
		assert_false(dec_done(m, &m->pages[i], page_dec(&m->pages[i], PC_PIN, 1 + i % 7)));
	for (uint32_t i = 0; i < m->nr_frames; i++)
		assert_int_equal(page_count(&m->pages[i]), PC_FREE);
	assert_whole(m);
	close_machine(m);
}

static void internal_references(void **state)
{
	struct pinfold *m = machine(BLOCK, 0, 0, 0);
	struct page *p = alloc_folio(m, 2);

	(void)state;
	assert_non_null(p);
	assert_true(get_internal(m, p));
	assert_int_equal(page_count(p), 2 * PC_INTERNAL);
	put_internal(m, p);
	assert_false(page_freeze(p, 2 * PC_INTERNAL));
	assert_true(page_freeze(p, PC_INTERNAL));
	assert_false(get_internal(m, p));
	assert_int_equal(page_count(p), PC_FREE);
	free_frame(m, p); /* whoever froze may free */
	assert_whole(m);
	assert_false(get_internal(m, p));
	assert_whole(m);
	assert_true(dec_done(m, p, page_put_pins(p, 1)));
	assert_true(dec_done(m, p, page_put_ref(p)));
	assert_whole(m);

	/* A reference dropped twice is found, and frees nothing. */
	put_internal(m, p);
	assert_int_equal(complaints, 1);
	complaints = 0;
	assert_whole(m);
	close_machine(m);
}

/* ---- poison ---------------------------------------------------------------------------------- */

static void write_to_a_free_frame_is_found(void **state)
{
	static const size_t at[] = { 0, 1, 4095, 4096, 3 * 4096 + 77, 8 * 4096 - 1 };
	struct pinfold *m = machine(BLOCK, 0, 0, 0);

	(void)state;
	if (!PINFOLD_DEBUG_BUILD) {
		close_machine(m);
		print_message("skipped: needs the debug build\n");
		skip();
	}
	for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
		struct page *p = alloc_folio(m, 3);
		char *c = p->addr;

		assert_int_equal(c[at[i]], POISON_BYTE); /* as it was freed: a reader sees it */
		put_internal(m, p);
		c[at[i]] ^= 1;
		assert_true(page_alloc_check(m) > 0);
		assert_true(complaints > 0);
		complaints = 0;
		p = alloc_folio(m, 3);
		assert_ptr_equal(p->addr, c);
		assert_int_equal(complaints, 1);
		complaints = 0;
		put_internal(m, p);
		assert_whole(m);
	}
	close_machine(m);
}

/* The check itself: each of its rules, broken. */
static void check_finds_damage(void **state)
{
	struct pinfold *m = machine(2 * BLOCK, 3, 2, 0);
	struct page *p = pfn_to_page(m, m->buddy[MAX_ORDER]);

	(void)state;
	assert_int_equal(page_alloc_check(m), 0);
	atomic_fetch_sub(&p[5].count, PC_FREE);
	assert_true(page_alloc_check(m) > 0);
	atomic_fetch_add(&p[5].count, PC_FREE);
	clear_flag(p, PG_buddy);
	assert_true(page_alloc_check(m) > 0);
	set_flag(p, PG_buddy);
	p->order--;
	assert_true(page_alloc_check(m) > 0);
	p->order++;
	atomic_fetch_add(&m->nr_free, 1);
	assert_true(page_alloc_check(m) > 0);
	atomic_fetch_sub(&m->nr_free, 1);
	atomic_fetch_add(&m->nr_staging, 1);
	assert_true(page_alloc_check(m) > 0);
	atomic_fetch_sub(&m->nr_staging, 1);
	atomic_fetch_add(&pfn_to_page(m, m->staging)->count, PC_PIN);
	assert_true(page_alloc_check(m) > 0);
	atomic_fetch_sub(&pfn_to_page(m, m->staging)->count, PC_PIN);
	atomic_fetch_sub(&pfn_to_page(m, m->direct_free)->count, PC_FREE);
	assert_true(page_alloc_check(m) > 0);
	atomic_fetch_add(&pfn_to_page(m, m->direct_free)->count, PC_FREE);
	complaints = 0;
	assert_int_equal(page_alloc_check(m), 0);
	close_machine(m);
}

/* ---- direct records, staging ----------------------------------------------------------------- */

static void direct_records(void **state)
{
	enum { N = 37 };
	struct pinfold *m = machine(BLOCK, N, 0, 0);
	struct page *got[N];

	(void)state;
	for (int round = 0; round < 3; round++) {
		for (uint32_t i = 0; i < N; i++) {
			got[i] = alloc_direct(m);
			assert_non_null(got[i]);
			assert_true(page_to_pfn(m, got[i]) >= m->pool_frames);
			assert_true(page_to_pfn(m, got[i]) < m->nr_frames);
			assert_int_equal(page_count(got[i]), PC_INTERNAL);
			assert_int_equal(atomic_load(&got[i]->flags), PG_direct);
			assert_null(got[i]->addr);
			for (uint32_t j = 0; j < i; j++)
				assert_ptr_not_equal(got[i], got[j]);
			got[i]->addr = m->pool;
			set_flag(got[i], PG_dirty | PG_wpinned);
		}
		assert_null(alloc_direct(m));
		assert_int_equal(atomic_load(&m->nr_direct_free), 0);
		for (uint32_t i = 0; i < N; i++)
			put_internal(m, got[(i * 5 + (uint32_t)round) % N]);
		assert_int_equal(atomic_load(&m->nr_direct_free), N);
		assert_whole(m); /* no record ever becomes a frame of the pool */
	}
	close_machine(m);
}

static void staging_stock(void **state)
{
	enum { N = 20 };
	struct pinfold *m = machine(BLOCK, 0, N, 0);
	struct page *got[N];

	(void)state;
	assert_int_equal(m->staging_total, N);
	for (int round = 0; round < 3; round++) {
		assert_int_equal(free_frames(m, NULL), BLOCK - N);
		assert_int_equal(atomic_load(&m->nr_staging), N);
		assert_int_equal(page_alloc_check(m), 0);
		for (int i = 0; i < N; i++) {
			got[i] = staging_get(m);
			assert_non_null(got[i]);
			assert_true(has_flag(got[i], PG_staging));
			assert_int_equal(page_count(got[i]), PC_INTERNAL);
			for (int j = 0; j < i; j++)
				assert_ptr_not_equal(got[i], got[j]);
			memset(got[i]->addr, i, PAGE_SIZE);
		}
		assert_null(staging_get(m));
		for (int i = 0; i < N; i++)
			staging_put(m, got[(i * 3 + round) % N]);
	}
	/* The stock is nobody else's. */
	while (alloc_folio(m, 0))
		;
	assert_int_equal(free_frames(m, NULL), 0);
	assert_int_equal(atomic_load(&m->nr_staging), N);
	close_machine(m);
}

static void stock_larger_than_the_pool(void **state)
{
	(void)state;
	close_machine(machine(BLOCK, 8, BLOCK, 0));
	close_machine(machine(BLOCK, 8, BLOCK + 1, -ENOMEM));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_order_to_exhaustion),
		cmocka_unit_test(order_too_large),
		cmocka_unit_test(random_against_a_bitmap),
		cmocka_unit_test(words_are_never_stored),
		cmocka_unit_test(internal_references),
		cmocka_unit_test(write_to_a_free_frame_is_found),
		cmocka_unit_test(check_finds_damage),
		cmocka_unit_test(direct_records),
		cmocka_unit_test(staging_stock),
		cmocka_unit_test(stock_larger_than_the_pool),
	};

	return cmocka_run_group_tests_name("alloc", tests, NULL, NULL);
}
