/* SPDX-License-Identifier: MIT */
/* ledger_test.c - what is pinned, and one limit for it (contract.md, O-15): pin_limit and account_locked_vm(). */
#include "anon.h"

#include <pinfold/fault.h>
#include <pinfold/frame_vector.h>
#include <pinfold/uio.h>

#define LIMIT 8u
#define LIMITED .pool = 16 * MIB, .pin_limit = LIMIT * PG

static struct space written(struct pinfold *m, const struct kind *k, unsigned pages)
{
	struct space s = new_space(m, k->window);

	map_anon(&s, 0, pages, RW, PRIVATE);
	put_pages(&s, 1, 0, pages);
	assert_ok(pinfold_use_mm(s.mm));
	return s;
}

/* Clauses C8, C10 as replaced: a page counts once, however often it is pinned; over the limit a pin is refused, whole. */
static void over_the_limit_a_pin_is_refused(void **state)
{
	struct pinfold *m = MACHINE(LIMITED);
	struct space s = written(m, *state, 32);
	struct page *pages[32], *more[32];

	for (int c = 0; c < NR_CALLS; c++) {
		assert_int_equal(call(c, s.mm, s.at, 32, FOLL_WRITE, pages), LIMIT); /* clause P1 */
		assert_int_equal(stats_of(m).pinned_pages, LIMIT);
		assert_int_equal(call(c, s.mm, s.at + 20 * PG, 1, 0, more), -ENOMEM);
		assert_int_equal(call(c, s.mm, s.at, LIMIT, 0, more), LIMIT);
		assert_int_equal(stats_of(m).pinned_pages, LIMIT);
		assert_ok(pinfold_check(m));
		assert_ok(put_user_pages(pages, LIMIT));
		assert_int_equal(call(c, s.mm, s.at + 20 * PG, 1, 0, pages), -ENOMEM); /* still pinned once */
		assert_ok(put_user_pages_dirty(more, 1));
		assert_int_equal(call(c, s.mm, s.at + 20 * PG, 1, 0, pages), 1);
		assert_ok(put_user_page(pages[0]));
		assert_ok(put_user_pages_dirty_lock(more + 1, LIMIT - 1));
		assert_int_equal(stats_of(m).pinned_pages, 0);
	}
	end_both(m, &s);
}

/* Header: by a range, a batch and an iovec as well; nothing is left of a refused one. */
static void every_way_to_pin_asks_the_limit(void **state)
{
	struct pinfold *m = MACHINE(LIMITED);
	struct space s = written(m, *state, 32);
	struct pinfold_range_pin r;
	unsigned long addrs[LIMIT + 1];
	struct page *pages[32];
	struct iovec iov[32];
	char buf[(LIMIT + 1) * PG];
	int n = 32;

	for (unsigned i = 0; i <= LIMIT; i++)
		addrs[i] = s.at + 3 * i * PG;
	assert_int_equal(pinfold_pin_range(s.at, LIMIT + 1, FOLL_WRITE, pages, &r), -EFAULT);
	assert_int_equal(now_pinned(m), 0);
	assert_ok(pinfold_pin_range(s.at, LIMIT, FOLL_WRITE, pages, &r));
	assert_int_equal(stats_of(m).pinned_pages, LIMIT);
	assert_int_equal(access_process_vm(s.mm, s.at + 20 * PG, buf, 8, 0), -ENOMEM);
	assert_ok(pinfold_unpin_range(&r));
	assert_int_equal(pinfold_pin_batch(addrs, LIMIT + 1, 0, pages), LIMIT);
	assert_ok(put_user_pages(pages, LIMIT));
	assert_true(pinfold_iov(s.at, sizeof(buf), 0, pages, iov, &n) < 0);
	assert_int_equal(now_pinned(m), 0);
	assert_int_equal(get_user_pages_fast(s.at, 32, 0, NULL), 32); /* faults in, pins nothing for long */
	assert_int_equal(stats_of(m).pinned_pages, 0);
	end_both(m, &s);
}

static struct page *follow(const struct space *s, unsigned p, unsigned flags)
{
	struct page *page;

	mmap_read_lock(s->mm);
	page = follow_page(vma_lookup(s->mm, s->at + p * PG), s->at + p * PG, flags);
	mmap_read_unlock(s->mm);
	return page;
}

/* Header: the rest of the family: what pins asks the limit, what only looks or faults in does not. */
static void frames_iterators_and_looks_that_hold_ask_the_limit(void **state)
{
	struct pinfold *m = MACHINE(LIMITED);
	struct space s = written(m, *state, 32);
	struct frame_vector *vec = frame_vector_create(32);
	struct iovec iov = { (char *)s.at + 20 * PG, 4 * PG };
	struct page **pages;
	struct iov_iter i;
	size_t start;

	assert_int_equal(get_vaddr_frames(s.at, 32, 0, vec), LIMIT);
	assert_int_equal(stats_of(m).pinned_pages, LIMIT);
	assert_ok(iov_iter_init(&i, ITER_SOURCE, &iov, 1, 4 * PG));
	assert_int_equal(iov_iter_get_pages_alloc(&i, &pages, 4 * PG, &start), -ENOMEM);
	assert_int_equal(PTR_ERR(follow(&s, 20, FOLL_GET)), -ENOMEM);
	assert_false(IS_ERR(follow(&s, 20, 0)) || !follow(&s, 20, 0));
	assert_int_equal(fault_in_writeable((char *)s.at, 32 * PG), 0);
	assert_ok(put_vaddr_frames(vec));
	assert_int_equal(stats_of(m).pinned_pages, 0);
	assert_int_equal(iov_iter_get_pages_alloc(&i, &pages, 4 * PG, &start), 4 * PG);
	assert_ptr_equal(follow(&s, 20, FOLL_GET), pages[0]);
	assert_int_equal(stats_of(m).pinned_pages, 4);
	assert_ok(put_user_page(pages[0]));
	assert_ok(put_user_pages(pages, 4));
	free(pages);
	assert_int_equal(stats_of(m).pinned_pages, 0);
	assert_ok(frame_vector_destroy(vec));
	end_both(m, &s);
}

/* Clause C4: a folio is charged once, at its full size, for each of its pages that is pinned. */
static void a_folio_is_charged_whole_and_once(void **state)
{
	struct pinfold *m = MACHINE(.pool = 16 * MIB, .pin_limit = 513 * PG);
	struct space s = new_space(m, ((const struct kind *)*state)->window);
	struct page *part[4], *other[3];

	map_anon(&s, 0, 1024, RW, PRIVATE);
	assert_ok(vm_madvise(s.mm, s.at, 512 * PG, PINFOLD_MADV_HUGEPAGE));
	put_pages(&s, 1, 0, 1024);
	assert_ok(pinfold_use_mm(s.mm));
	assert_int_equal(get_user_pages_fast(s.at + 7 * PG, 4, FOLL_WRITE, part), 4);
	assert_int_equal(stats_of(m).pinned_pages, 512);
	assert_int_equal(get_user_pages_fast(s.at + 600 * PG, 2, FOLL_WRITE, other), 1);
	assert_ok(put_user_pages(part, 3));
	assert_int_equal(stats_of(m).pinned_pages, 513);
	assert_ok(put_user_page(part[3]));
	assert_int_equal(stats_of(m).pinned_pages, 1);
	assert_int_equal(get_user_pages_fast(s.at + 601 * PG, 2, FOLL_WRITE, other + 1), 2);
	assert_ok(put_user_pages(other, 3));
	end_both(m, &s);
}

/* Clause C2: what callers account for themselves counts against the same limit. */
static void accounted_memory_and_pins_share_the_limit(void **state)
{
	struct pinfold *m = MACHINE(LIMITED);
	struct space s = written(m, *state, 32), s2;
	struct page *pages[32];

	assert_int_equal(account_locked_vm(s.mm, LIMIT + 1, true), -ENOMEM);
	assert_ok(account_locked_vm(s.mm, LIMIT - 2, true));
	assert_int_equal(get_user_pages_fast(s.at, 4, 0, pages), 2);
	assert_int_equal(account_locked_vm(s.mm, 1, true), -ENOMEM);
	assert_int_equal(stats_of(m).locked_pages, LIMIT - 2);
	assert_ok(put_user_pages(pages, 2));
	assert_ok(account_locked_vm(s.mm, 2, true));
	assert_int_equal(account_locked_vm(s.mm, LIMIT + 1, false), -EINVAL);
	assert_int_equal(account_locked_vm(s.mm, ~0ul, true), -ENOMEM);
	assert_int_equal(account_locked_vm(s.mm, ~0ul, false), -EINVAL);
	assert_int_equal(account_locked_vm(NULL, 1, true), -EINVAL);
	assert_ok(account_locked_vm(s.mm, LIMIT, false));
	assert_ok(account_locked_vm(s.mm, 0, false));
	s2 = new_space(m, PINFOLD_WINDOW_NONE);
	assert_ok(account_locked_vm(s2.mm, LIMIT, true));
	assert_int_equal(account_locked_vm(s2.mm, 1, false), 0);
	assert_ok(pinfold_check(m));
	end_space(&s2); /* and what it had is free again (clause C9) */
	assert_ok(account_locked_vm(s.mm, LIMIT, true));
	assert_ok(account_locked_vm(s.mm, LIMIT, false));
	end_both(m, &s);
}

/* Header: without a limit it is counted, and nothing is refused. */
static void without_a_limit_all_is_only_counted(void **state)
{
	struct pinfold *m = MACHINE(.pool = 16 * MIB);
	struct space s = written(m, *state, 512);
	static struct page *pages[512];
	struct pinfold_range_pin r;

	assert_ok(account_locked_vm(s.mm, 1ul << 30, true));
	assert_int_equal(stats_of(m).locked_pages, 1ul << 30);
	assert_ok(account_locked_vm(s.mm, 1ul << 30, false));
	assert_int_equal(get_user_pages_fast(s.at, 100, 0, pages), 100);
	assert_ok(pinfold_pin_range(s.at + 200 * PG, 50, 0, pages + 200, &r));
	assert_int_equal(stats_of(m).pinned_pages, 150);
	assert_int_equal(stats_of(m).range_pages, 50);
	assert_ok(vm_munmap(s.mm, s.at + 220 * PG, PG));
	assert_int_equal(stats_of(m).range_pages, 0);
	assert_int_equal(stats_of(m).pinned_pages, 150);
	assert_ok(pinfold_unpin_range(&r));
	assert_ok(put_user_pages(pages, 100));
	assert_int_equal(stats_of(m).pinned_pages, 0);
	end_both(m, &s);
}

struct pinner {
	struct space *s;
	unsigned seed;
	_Atomic int *stop;
	int bad;
};

static void *pin_some(void *arg)
{
	struct pinner *p = arg;
	struct page *pages[LIMIT];

	p->bad = pinfold_use_mm(p->s->mm);
	while (!atomic_load(p->stop) && !p->bad) {
		unsigned n = 1 + (p->seed = p->seed * 1103515245 + 12345) / 65536 % LIMIT;
		int got = get_user_pages_fast(p->s->at + p->seed / 7 % 24 * PG, (int)n, FOLL_WRITE, pages);

		if (got > 0)
			p->bad = put_user_pages(pages, (unsigned long)got);
		else if (got != -ENOMEM)
			p->bad = 1;
	}
	return NULL;
}

/* Charges and their returns of many threads at the limit: none is lost. */
static void the_sum_is_right_after_a_race_at_the_limit(void **state)
{
	struct pinfold *m = MACHINE(LIMITED);
	struct space s = written(m, *state, 32);
	_Atomic int stop = 0;
	struct pinner p[3];
	pthread_t t[3];

	for (unsigned i = 0; i < 3; i++) {
		p[i] = (struct pinner){ &s, i + 1, &stop, 0 };
		assert_ok(pthread_create(&t[i], NULL, pin_some, &p[i]));
	}
	nap_ms(200);
	atomic_store(&stop, 1);
	for (unsigned i = 0; i < 3; i++) {
		pthread_join(t[i], NULL);
		assert_int_equal(p[i].bad, 0);
	}
	assert_ok(account_locked_vm(s.mm, LIMIT, true)); /* all of it is there */
	assert_ok(account_locked_vm(s.mm, LIMIT, false));
	end_both(m, &s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(over_the_limit_a_pin_is_refused),
		BOTH(every_way_to_pin_asks_the_limit),
		BOTH(frames_iterators_and_looks_that_hold_ask_the_limit),
		BOTH(a_folio_is_charged_whole_and_once),
		BOTH(accounted_memory_and_pins_share_the_limit),
		BOTH(without_a_limit_all_is_only_counted),
		ON(pool, the_sum_is_right_after_a_race_at_the_limit),
	};

	return world_main(tests);
}
