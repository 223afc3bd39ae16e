/* SPDX-License-Identifier: MIT */
/*
 * gup_test.c - the pin calls against the clauses of contract.md, as design.md 3.1 replaces them.
 *
 * Each test is a sentence; the clause it shows stands above it.
 */
#include "world.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <malloc.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

static uint64_t acquired(struct world *w)
{
	return stats_of(w->m).pins_acquired;
}

static uint64_t pinned(struct world *w)
{
	struct pinfold_stats s = stats_of(w->m);

	return s.pins_acquired - s.pins_released;
}

/* ---- entry points ---------------------------------------------------------------------------- */

/* Clause A14, Q18: the same pages by every call, cold and warm. */
static void every_entry_point_pins_the_same_pages(void **state)
{
	struct page *first[4], *pages[4];
	struct world w;

	WORLD(w, *state);
	assert_int_equal(call(1, w.mm, w.at, 4, 0, first), 4);
	for (int c = 0; c < NR_CALLS; c++)
		for (unsigned write = 0; write <= FOLL_WRITE; write++) {
			assert_int_equal(call(c, w.mm, w.at, 4, write, pages), 4);
			assert_memory_equal(pages, first, sizeof(pages));
			for (unsigned i = 0; i < 4; i++)
				assert_true(is_filled(page_address(pages[i]), 0, i));
			assert_int_equal(pinned(&w), 8);
			assert_ok(put_user_pages(pages, 4));
		}
	assert_ok(put_user_pages(first, 4));
	world_end(&w);
}

/* Clause A14: the page that contains start is meant, then whole pages. */
static void start_need_not_be_aligned(void **state)
{
	struct page *pages[2];
	struct world w;

	WORLD(w, *state);
	for (int c = 0; c < NR_CALLS; c++) {
		assert_int_equal(call(c, w.mm, w.at + PG + 4095, 2, 0, pages), 2);
		assert_true(is_filled(page_address(pages[0]), 0, 1));
		assert_true(is_filled(page_address(pages[1]), 0, 2));
		assert_ok(put_user_pages(pages, 2));
	}
	world_end(&w);
}

/* Header: vmas[] names each page's mapping while the lock is held. */
static void vmas_are_those_of_the_pages(void **state)
{
	struct vm_area_struct *vmas[3] = { NULL };
	struct page *pages[3];
	struct world w;

	WORLD(w, *state, .pages = 2);
	assert_true(vm_mmap(w.mm, w.at + 2 * PG, PG, RW, SHARED | PINFOLD_MAP_FIXED_NOREPLACE,
	                    w.file, 0) > 0);
	mmap_read_lock(w.mm);
	assert_int_equal(get_user_pages(w.at, 3, 0, pages, vmas), 3);
	assert_non_null(vmas[0]);
	assert_ptr_equal(vmas[0], vmas[1]);
	assert_non_null(vmas[2]);
	assert_ptr_not_equal(vmas[0], vmas[2]);
	assert_ok(put_user_pages(pages, 3));
	assert_int_equal(get_user_pages_remote(NULL, w.mm, w.at, 2, 0, pages, vmas, NULL), 2);
	mmap_read_unlock(w.mm);
	assert_ok(put_user_pages(pages, 2));
	world_end(&w);
}

/* ---- arguments: clauses A1 .. A19 ------------------------------------------------------------ */

/* Clauses A1, A18: 0 pages give 0; the address and the array are not looked at. */
static void no_pages_give_zero_whatever_the_address(void **state)
{
	struct page *pages[1] = { (struct page *)1 };
	struct world w;

	WORLD(w, *state);
	for (int c = 0; c < NR_CALLS; c++) {
		assert_int_equal(call(c, w.mm, 0, 0, 0, pages), 0);
		assert_int_equal(call(c, w.mm, ~0ul, 0, FOLL_WRITE, pages), 0);
		assert_int_equal(call(c, w.mm, w.at, 0, 0, NULL), 0);
	}
	assert_ptr_equal(pages[0], (struct page *)1);
	world_end(&w);
}

/*
 * Clauses A2, A3 and A10 as replaced, A4, A16, H3: every bit that is not a public flag is refused, 0 pages or not.
 */
static void unknown_and_internal_flags_are_refused_by_every_call(void **state)
{
	const unsigned good = FOLL_WRITE | FOLL_TOUCH | FOLL_GET | FOLL_DUMP | FOLL_FORCE |
	                      FOLL_NOWAIT | FOLL_HWPOISON | FOLL_ANON | FOLL_LONGTERM;
	struct page *pages[1];
	struct world w;

	WORLD(w, *state);
	for (int c = 0; c < NR_CALLS; c++)
		for (int bit = 0; bit < 32; bit++) {
			if (good >> bit & 1)
				continue;
			assert_int_equal(call(c, w.mm, w.at, 1, 1u << bit, pages), -EINVAL);
			assert_int_equal(call(c, w.mm, w.at, 0, 1u << bit, pages), -EINVAL);
		}
	assert_int_equal(acquired(&w), 0);
	world_end(&w);
}

/* Clause A16: what cannot be combined with the fast call. */
static void the_fast_call_refuses_flags_of_the_slow_ones(void **state)
{
	const unsigned bad[] = { FOLL_NOWAIT, FOLL_HWPOISON, FOLL_ANON, FOLL_DUMP };
	struct page *pages[1];
	struct world w;

	WORLD(w, *state);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(get_user_pages_fast(w.at, 1, bad[i], pages), -EINVAL);
		assert_int_equal(get_user_pages_fast(w.at, 0, bad[i], pages), -EINVAL);
	}
	world_end(&w);
}

/* Clauses A5, A6, A7 as replaced: every get is a pin; TOUCH, GET, HWPOISON, DUMP change nothing. */
static void accepted_flags_that_change_nothing(void **state)
{
	const unsigned flags[] = { FOLL_TOUCH, FOLL_GET, FOLL_DUMP, FOLL_HWPOISON, FOLL_FORCE };
	struct page *page;
	struct world w;

	WORLD(w, *state);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(call(1, w.mm, w.at, 1, flags[i], &page), 1);
		assert_int_equal(pinned(&w), 1);
		assert_ok(put_user_page(page));
	}
	world_end(&w);
}

/* Clause A7 as replaced: without an array the pages are faulted in and counted, none is pinned. */
static void without_an_array_pages_are_faulted_in_and_counted(void **state)
{
	struct page *pages[4];
	struct pinfold_stats s;
	struct world w;

	WORLD(w, *state);
	for (int c = 0; c < NR_CALLS; c++)
		assert_int_equal(call(c, w.mm, w.at, 4, 0, NULL), 4);
	assert_int_equal(acquired(&w), 0);
	assert_int_equal(get_user_pages_fast(w.at, 4, 0, pages), 4);
	s = stats_of(w.m);
	assert_int_equal(s.fast_pins, 4);
	assert_int_equal(s.slow_pins, 0);
	assert_ok(put_user_pages(pages, 4));
	assert_int_equal(call(1, w.mm, w.at + 14 * PG, 4, 0, NULL), 2); /* P8 */
	world_end(&w);
}

/* Clause A11. */
static void longterm_without_an_array_is_refused(void **state)
{
	struct world w;

	WORLD(w, *state);
	for (int c = 0; c < NR_CALLS; c++)
		assert_int_equal(call(c, w.mm, w.at, 1, FOLL_LONGTERM, NULL), -EINVAL);
	world_end(&w);
}

/* Clause A13 as replaced, A9: the locked protocol's arguments. */
static void locked_with_vmas_or_not_one_is_refused(void **state)
{
	struct vm_area_struct *vmas[1];
	struct page *pages[1];
	int locked = 1;
	struct world w;

	WORLD(w, *state);
	mmap_read_lock(w.mm);
	assert_int_equal(get_user_pages_remote(NULL, w.mm, w.at, 1, 0, pages, vmas, &locked),
	                 -EINVAL);
	assert_int_equal(locked, 1);
	locked = 0;
	assert_int_equal(get_user_pages_remote(NULL, w.mm, w.at, 1, 0, pages, NULL, &locked),
	                 -EINVAL);
	assert_int_equal(get_user_pages_locked(w.at, 1, 0, pages, &locked), -EINVAL);
	locked = 2;
	assert_int_equal(get_user_pages_locked(w.at, 1, 0, pages, &locked), -EINVAL);
	assert_int_equal(get_user_pages_locked(w.at, 1, 0, pages, NULL), -EINVAL);
	mmap_read_unlock(w.mm);
	assert_int_equal(acquired(&w), 0);
	world_end(&w);
}

/* Clauses A17, A19: overflow, the end of user space, negative counts. */
static void ranges_that_overflow_or_are_negative_are_refused(void **state)
{
	struct page *pages[2] = { NULL };
	struct world w;

	WORLD(w, *state);
	assert_int_equal(get_user_pages_fast(~0ul - PG, 2, 0, pages), -EOVERFLOW);
	assert_int_equal(get_user_pages_fast(1ul << 63, 2, 0, pages), -EFAULT);
	assert_int_equal(get_user_pages_fast(w.at, -1, 0, pages), -EINVAL);
	assert_int_equal(get_user_pages_fast(w.at, INT32_MIN, 0, pages), -EINVAL);
	for (int c = 1; c < NR_CALLS; c++) {
		assert_int_equal(call(c, w.mm, ~0ul - PG, 2, 0, pages), -EOVERFLOW);
		assert_int_equal(call(c, w.mm, w.at, -1, 0, pages), -EOVERFLOW);
		assert_int_equal(call(c, w.mm, 1ul << 63, 1, 0, pages), -EFAULT);
	}
	assert_null(pages[0]);
	assert_int_equal(acquired(&w), 0);
	world_end(&w);
}

struct late {
	struct mm_struct *mm;
	_Atomic int stage;
	long r;
};

static void *pin_when_the_mm_is_gone(void *arg)
{
	struct late *l = arg;
	struct page *page;

	l->r = pinfold_use_mm(l->mm);
	atomic_store(&l->stage, 1);
	if (wait_for(&l->stage, 2) && !l->r)
		l->r = get_user_pages_unlocked(PG, 1, &page, 0);
	return NULL;
}

/* Clause A22 as replaced: also for a thread whose mm another one destroyed. */
static void a_thread_whose_mm_is_gone_gets_einval(void **state)
{
	struct late l = { .r = 0 };
	pthread_t t;
	struct world w;

	WORLD(w, *state);
	assert_ok(pinfold_mm_create(w.m, PINFOLD_WINDOW_NONE, &l.mm));
	assert_ok(pthread_create(&t, NULL, pin_when_the_mm_is_gone, &l));
	assert_true(wait_for(&l.stage, 1));
	assert_ok(pinfold_mm_destroy(l.mm));
	atomic_store(&l.stage, 2);
	assert_ok(pthread_join(t, NULL));
	assert_int_equal(l.r, -EINVAL);
	world_end(&w);
}

/* Clause A22 as replaced: a dead mm is -EINVAL, as a missing one; a thread without one gets -EFAULT. */
static void a_thread_without_mm_gets_efault(void **state)
{
	struct page *pages[1];
	struct mm_struct *other;
	struct world w;

	WORLD(w, *state);
	assert_ok(pinfold_use_mm(NULL));
	assert_int_equal(get_user_pages_fast(w.at, 1, 0, pages), -EFAULT);
	assert_int_equal(get_user_pages_unlocked(w.at, 1, pages, 0), -EFAULT);
	assert_int_equal(get_user_pages(w.at, 1, 0, pages, NULL), -EFAULT);
	assert_int_equal(get_user_pages_remote(NULL, NULL, w.at, 1, 0, pages, NULL, NULL), -EINVAL);
	assert_ok(pinfold_mm_create(w.m, PINFOLD_WINDOW_NONE, &other));
	assert_ok(pinfold_use_mm(other));
	assert_ok(pinfold_mm_destroy(other));
	assert_int_equal(pinfold_use_mm(other), -EINVAL);
	assert_int_equal(get_user_pages_fast(w.at, 1, 0, pages), -EFAULT);
	assert_int_equal(get_user_pages_remote(NULL, other, w.at, 1, 0, pages, NULL, NULL), -EINVAL);
	world_end(&w);
}

/* Header, decision D1: the calls that want the mmap lock say so. */
static void without_the_mmap_lock_the_plain_calls_are_refused(void **state)
{
	struct page *pages[1];
	int locked = 1;
	struct world w;

	WORLD(w, *state);
	assert_int_equal(get_user_pages(w.at, 1, 0, pages, NULL), -EINVAL);
	assert_int_equal(get_user_pages_locked(w.at, 1, 0, pages, &locked), -EINVAL);
	assert_int_equal(get_user_pages_remote(NULL, w.mm, w.at, 1, 0, pages, NULL, NULL), -EINVAL);
	assert_int_equal(locked, 1);
	mmap_write_lock(w.mm);
	assert_int_equal(get_user_pages(w.at, 1, 0, pages, NULL), 1);
	mmap_write_unlock(w.mm);
	assert_ok(put_user_page(pages[0]));
	assert_int_equal(mmap_read_trylock(w.mm), 1);
	assert_int_equal(get_user_pages(w.at, 1, 0, pages, NULL), 1);
	mmap_read_unlock(w.mm);
	assert_ok(put_user_page(pages[0]));
	world_end(&w);
}

/*
 * Decision D1: what the caller passes may not lie in a window; checked before anything is stored.
 */
static void arrays_inside_a_window_are_refused(void **state)
{
	struct vm_area_struct **vmas;
	struct page **inside, *pages[2];
	struct iovec iov[2];
	int n = 2;
	struct world w;

	WORLD(w, *state);
	inside = (struct page **)(w.at + PG);
	vmas = (struct vm_area_struct **)(w.at + 2 * PG);
	for (int c = 0; c < NR_CALLS; c++) {
		assert_int_equal(call(c, w.mm, w.at, 2, 0, inside), -EFAULT);
		/* ends one entry inside */
		assert_int_equal(call(c, w.mm, w.at, 2, 0, (struct page **)(w.at - 8)), -EFAULT);
	}
	mmap_read_lock(w.mm);
	assert_int_equal(get_user_pages(w.at, 1, 0, pages, vmas), -EFAULT);
	mmap_read_unlock(w.mm);
	assert_int_equal(pinfold_iov(w.at, PG, 0, pages, (struct iovec *)inside, &n), -EFAULT);
	assert_int_equal(pinfold_iov(w.at, PG, 0, inside, iov, &n), -EFAULT);
	assert_int_equal(access_process_vm(w.mm, w.at, inside, 10, 0), -EFAULT);
	assert_int_equal(acquired(&w), 0);
	assert_true(page_is(&w, 0, 1));
	/* the puts: refused or served, never a crash, and no pin is lost */
	assert_int_equal(get_user_pages_fast(w.at, 2, 0, pages), 2);
	memcpy(inside, pages, sizeof(pages));
	if (put_user_pages(inside, 2))
		assert_ok(put_user_pages(pages, 2));
	assert_int_equal(pinned(&w), 0);
	world_end(&w);
}

/* ---- partial results: group P ---------------------------------------------------------------- */

/* Clauses P1, P2, P8, P3: a count beats the error, which the next call tells. */
static void a_hole_ends_the_call_with_what_there_was(void **state)
{
	struct page *pages[6];
	struct world w;

	WORLD(w, *state, .pages = 3);
	for (int c = 0; c < NR_CALLS; c++) {
		pages[3] = (struct page *)1;
		assert_int_equal(call(c, w.mm, w.at, 6, 0, pages), 3);
		assert_int_equal(pinned(&w), 3);
		assert_int_equal(call(c, w.mm, w.at + 3 * PG, 3, 0, pages + 3), -EFAULT);
		assert_int_equal(last_error(), -EFAULT);
		assert_ok(put_user_pages(pages, 3));
	}
	world_end(&w);
}

/* Clause P9: beyond the end of the file. */
static void the_end_of_the_file_ends_the_call(void **state)
{
	struct pinfold_fault f = { .size = sizeof(f) };
	struct page *pages[6];
	struct world w;

	WORLD(w, *state, .pages = 3, .map_pages = 6);
	for (int c = 0; c < NR_CALLS; c++) {
		assert_int_equal(call(c, w.mm, w.at, 6, 0, pages), 3);
		assert_ok(put_user_pages(pages, 3));
		assert_int_equal(call(c, w.mm, w.at + 3 * PG, 3, FOLL_WRITE, pages), -EFAULT);
		assert_ok(pinfold_last_fault(&f));
		assert_int_equal(f.error, -ENXIO);
		assert_ptr_equal(f.file, w.file);
		assert_int_equal(f.offset, 3 * PG);
		assert_int_equal(f.address, w.at + 3 * PG);
		assert_int_equal(f.write, 1);
	}
	world_end(&w);
}

/* Clause P7: the next mapping does not allow it. */
static void a_mapping_without_the_right_ends_the_call(void **state)
{
	struct page *pages[4];
	struct world w;

	WORLD(w, *state, .pages = 2);
	assert_true(vm_mmap(w.mm, w.at + 2 * PG, 2 * PG, PINFOLD_PROT_READ,
	                    SHARED | PINFOLD_MAP_FIXED_NOREPLACE, w.file, 0) > 0);
	for (int c = 0; c < NR_CALLS; c++) {
		assert_int_equal(call(c, w.mm, w.at, 4, FOLL_WRITE, pages), 2);
		assert_ok(put_user_pages(pages, 2));
		assert_int_equal(call(c, w.mm, w.at + 2 * PG, 1, FOLL_WRITE, pages), -EFAULT);
		assert_int_equal(last_error(), -EACCES);
		assert_int_equal(call(c, w.mm, w.at, 4, 0, pages), 4);
		assert_ok(put_user_pages(pages, 4));
	}
	world_end(&w);
}

/* Clause P3: what the lockless part got stays when the slow part fails. */
static void the_fast_part_is_kept_when_the_slow_part_fails(void **state)
{
	struct page *pages[6];
	struct world w;

	WORLD(w, *state, .pages = 3, .map_pages = 6);
	assert_int_equal(get_user_pages_fast(w.at, 2, 0, NULL), 2);
	assert_int_equal(get_user_pages_fast(w.at, 2, 0, pages), 2); /* attached, resident */
	assert_ok(put_user_pages(pages, 2));
	assert_int_equal(get_user_pages_fast(w.at, 6, 0, pages), 3);
	assert_int_equal(pinned(&w), 3);
	assert_ok(put_user_pages(pages, 3));
	/* all three are the lockless part's now, and the slow part has none */
	assert_int_equal(get_user_pages_fast(w.at, 6, 0, pages), 3);
	assert_int_equal(pinned(&w), 3);
	assert_ok(put_user_pages(pages, 3));
	assert_int_equal(get_user_pages_fast(w.at + 3 * PG, 3, 0, pages), -EFAULT);
	world_end(&w);
}

/* Clause P12: one page twice in a request is two entries and two pins. */
static void duplicates_are_pinned_twice(void **state)
{
	struct page *pages[3];
	struct world w;

	WORLD(w, *state, .pages = 1);
	for (unsigned i = 1; i < 3; i++)
		assert_true(vm_mmap(w.mm, w.at + i * PG, PG, RW,
		                    SHARED | PINFOLD_MAP_FIXED_NOREPLACE, w.file, 0) > 0);
	for (int c = 0; c < NR_CALLS; c++) {
		assert_int_equal(call(c, w.mm, w.at, 3, FOLL_WRITE, pages), 3);
		assert_ptr_equal(pages[0], pages[1]);
		assert_ptr_equal(pages[0], pages[2]);
		assert_int_equal(pinned(&w), 3);
		for (int i = 0; i < 3; i++)
			assert_ok(put_user_page(pages[i]));
		assert_int_equal(put_user_page(pages[0]), -EINVAL);
	}
	world_end(&w);
}

/* Clause P14: short at a hole, page-granular; an error only when nothing was copied. */
static void copies_are_short_at_a_hole(void **state)
{
	char *buf = malloc(8 * PG), page[PG];
	struct world w;

	WORLD(w, *state, .pages = 3, .map_pages = 5);
	assert_int_equal(access_process_vm(w.mm, w.at + 100, buf, 4 * PG, 0), 3 * PG - 100);
	fill(page, 0, 1);
	assert_memory_equal(buf + PG - 100, page, PG);
	assert_int_equal(access_process_vm(w.mm, w.at + 3 * PG, buf, 10, 0), -EFAULT);
	assert_int_equal(access_process_vm(w.mm, w.at + 5 * PG, buf, 10, 0), -EFAULT);
	assert_int_equal(access_process_vm(w.mm, w.at, buf, 0, 0), 0);
	assert_int_equal(access_process_vm(w.mm, w.at, buf, 1, FOLL_FORCE), -EINVAL);
	fill(page, 7, 2);
	assert_int_equal(access_process_vm(w.mm, w.at + 2 * PG, page, PG, FOLL_WRITE), PG);
	assert_true(page_is(&w, 7, 2));
	assert_int_equal(stats_of(w.m).dirty_pages, 1);
	free(buf);
	world_end(&w);
}

/* ---- VMA checks: group V --------------------------------------------------------------------- */

/* Clauses V4, V5: no write right; FORCE does not help on shared mappings. */
static void a_write_pin_wants_a_writable_mapping_force_or_not(void **state)
{
	struct page *page;
	struct world w;

	WORLD(w, *state, .prot = PINFOLD_PROT_READ);
	for (int c = 0; c < NR_CALLS; c++) {
		assert_int_equal(call(c, w.mm, w.at, 1, FOLL_WRITE, &page), -EFAULT);
		assert_int_equal(call(c, w.mm, w.at, 1, FOLL_WRITE | FOLL_FORCE, &page), -EFAULT);
		assert_int_equal(call(c, w.mm, w.at, 1, 0, &page), 1);
		assert_ok(put_user_page(page));
	}
	world_end(&w);
}

/* Clause V2: only anonymous mappings, and there are none yet. */
static void anon_is_refused_on_a_file(void **state)
{
	struct page *page;
	struct world w;

	WORLD(w, *state);
	for (int c = 1; c < NR_CALLS; c++)
		assert_int_equal(call(c, w.mm, w.at, 1, FOLL_ANON, &page), -EFAULT);
	world_end(&w);
}

/* Clauses V7, V8, Q5, A12 as replaced: long-term write pins of a file that commits are refused; others are not. */
static void longterm_write_pins_of_file_pages_are_refused(void **state)
{
	struct page *page, *again;
	struct world w;

	WORLD(w, *state);
	for (int c = 0; c < NR_CALLS; c++) {
		assert_int_equal(call(c, w.mm, w.at, 1, FOLL_WRITE | FOLL_LONGTERM, &page), -EFAULT);
		assert_int_equal(call(c, w.mm, w.at, 1, FOLL_LONGTERM, &page), 1);
		/* evaluated at pin time only, and not for short pins */
		assert_int_equal(call(c, w.mm, w.at, 1, FOLL_WRITE, &again), 1);
		assert_int_equal(call(c, w.mm, w.at, 1, FOLL_WRITE | FOLL_LONGTERM, &page), -EFAULT);
		assert_ok(put_user_page(page));
		assert_ok(put_user_page(again));
	}
	world_end(&w);
}

/* Clause V7: memory files have nothing to write back. */
static void longterm_write_pins_of_memory_files_are_granted(void **state)
{
	const struct kind *k = *state;
	struct pinfold_file_options fo = { .size = sizeof(fo), .flags = k->flags };
	struct pinfold_file *file;
	struct page *page;
	struct world w;
	long a;

	WORLD(w, k);
	assert_ok(pinfold_open_memory(w.m, 4 * PG, &fo, &file));
	a = vm_mmap(w.mm, 0, 4 * PG, RW, SHARED, file, 0);
	assert_true(a > 0);
	for (int c = 0; c < NR_CALLS; c++) {
		assert_int_equal(call(c, w.mm, (unsigned long)a, 1, FOLL_WRITE | FOLL_LONGTERM, &page),
		                 1);
		assert_ok(put_user_pages_dirty(&page, 1)); /* clause D6: only a flag */
	}
	assert_int_equal(stats_of(w.m).dirty_pages, 0);
	assert_ok(vm_munmap(w.mm, (unsigned long)a, 4 * PG));
	assert_ok(pinfold_close(file));
	world_end(&w);
}

/* Clauses V9, V10 as replaced, V11, Q4: rights are the VMA's, populated or not, fast or slow. */
static void reading_wants_read_right_or_force(void **state)
{
	const int prots[] = { PINFOLD_PROT_NONE, PINFOLD_PROT_WRITE };
	struct page *page;
	struct world w;

	WORLD(w, *state);
	for (int i = 0; i < 2; i++) {
		unsigned long a = map(&w, 0, 4, prots[i]);

		for (int c = 0; c < NR_CALLS; c++) {
			assert_int_equal(call(c, w.mm, a, 1, 0, &page), -EFAULT);
			assert_int_equal(last_error(), -EACCES);
			assert_int_equal(call(c, w.mm, a, 1, FOLL_FORCE, &page), 1);
			assert_true(is_filled(page_address(page), 0, 0));
			assert_ok(put_user_page(page));
			assert_int_equal(call(c, w.mm, a, 1, 0, &page), -EFAULT);
			if (!prots[i])
				continue;
			assert_int_equal(call(c, w.mm, a, 1, FOLL_WRITE, &page), 1);
			assert_ok(put_user_page(page));
			assert_int_equal(call(c, w.mm, a, 1, 0, &page), -EFAULT);
		}
		assert_int_equal(call(0, w.mm, a, 1, FOLL_WRITE | FOLL_FORCE, &page),
		                 prots[i] ? 1 : -EFAULT);
		if (prots[i])
			assert_ok(put_user_page(page));
	}
	world_end(&w);
}

/* Clause V11: a mapping that became PROT_NONE gives nothing, also what was resident. */
static void a_mapping_made_prot_none_gives_nothing(void **state)
{
	struct page *page;
	struct world w;

	WORLD(w, *state);
	assert_true(page_is(&w, 0, 0));
	assert_ok(vm_mprotect(w.mm, w.at, w.pages * PG, PINFOLD_PROT_NONE));
	for (int c = 0; c < NR_CALLS; c++)
		assert_int_equal(call(c, w.mm, w.at, 1, 0, &page), -EFAULT);
	assert_ok(vm_mprotect(w.mm, w.at, w.pages * PG, RW));
	assert_true(page_is(&w, 0, 0));
	world_end(&w);
}

/* ---- locking: group L ------------------------------------------------------------------------ */

static void *write_lock_and_go(void *arg)
{
	mmap_write_lock(arg);
	mmap_write_unlock(arg);
	return arg;
}

/* Clauses L1, L2: only a call with `locked` may drop the lock, and says so. */
static void a_drop_of_the_lock_is_told_by_locked(void **state)
{
	struct page *pages[2];
	int locked = 1;
	struct world w;

	WORLD(w, *state, .machine_flags = PINFOLD_NO_URING);
	/* L1: never dropped, though it has to read */
	mmap_read_lock(w.mm);
	assert_int_equal(get_user_pages(w.at, 1, 0, pages, NULL), 1);
	assert_int_equal(get_user_pages(w.at, 1, 0, pages + 1, NULL), 1);
	mmap_read_unlock(w.mm);
	assert_ok(put_user_pages(pages, 2));
	/* L2: resident, not dropped */
	mmap_read_lock(w.mm);
	assert_int_equal(get_user_pages_locked(w.at, 1, 0, pages, &locked), 1);
	assert_int_equal(locked, 1);
	assert_ok(put_user_page(pages[0]));
	/* one page that must be read */
	assert_int_equal(get_user_pages_locked(w.at + 15 * PG, 1, 0, pages, &locked), 1);
	assert_int_equal(locked, 0);
	assert_ok(put_user_page(pages[0]));
	/* not held: a writer gets it, and the plain call misses it */
	assert_ptr_equal(in_thread(write_lock_and_go, w.mm), w.mm);
	assert_int_equal(get_user_pages(w.at, 1, 0, pages, NULL), -EINVAL);
	world_end(&w);
}

/* Clause L2 when it fails: locked says what is true then too. */
static void a_failing_call_says_whether_the_lock_is_held(void **state)
{
	struct page *pages[1];
	int locked = 1;
	struct world w;

	WORLD(w, *state, .pages = 1, .map_pages = 2);
	mmap_read_lock(w.mm);
	assert_int_equal(get_user_pages_locked(0x1000, 1, 0, pages, &locked), -EFAULT);
	assert_int_equal(locked, 1);
	assert_int_equal(get_user_pages_locked(w.at + PG, 1, 0, pages, &locked), -EFAULT);
	if (locked)
		mmap_read_unlock(w.mm);
	assert_ptr_equal(in_thread(write_lock_and_go, w.mm), w.mm);
	world_end(&w);
}

/* Clause L2: the lock that may be dropped is one for reading; another is refused, and stays. */
static void a_lock_held_for_writing_is_never_dropped(void **state)
{
	struct page *pages[1];
	int locked = 1;
	struct world w;

	WORLD(w, *state);
	mmap_write_lock(w.mm);
	assert_int_equal(get_user_pages_locked(w.at, 1, 0, pages, &locked), -EINVAL);
	assert_int_equal(get_user_pages_remote(NULL, w.mm, w.at, 1, 0, pages, NULL, &locked), -EINVAL);
	assert_int_equal(locked, 1);
	assert_int_equal(get_user_pages(w.at, 1, 0, pages, NULL), 1);
	mmap_write_unlock(w.mm);
	assert_ok(put_user_page(pages[0]));
	world_end(&w);
}

/* Clause L3, Q1: without the lock on entry, without it on exit. */
static void unlocked_and_fast_leave_no_lock_behind(void **state)
{
	struct page *page;
	struct world w;

	WORLD(w, *state);
	assert_int_equal(get_user_pages_unlocked(w.at, 1, &page, 0), 1);
	assert_ok(put_user_page(page));
	assert_ptr_equal(in_thread(write_lock_and_go, w.mm), w.mm);
	assert_int_equal(get_user_pages_fast(w.at + PG, 1, 0, &page), 1);
	assert_ok(put_user_page(page));
	assert_ptr_equal(in_thread(write_lock_and_go, w.mm), w.mm);
	world_end(&w);
}

/* Clauses L10, L11, L12, A23: 0 at once, the read started, the page there after progress. */
static void nowait_gives_zero_and_the_page_comes_by_itself(void **state)
{
	struct pollfd p = { .events = POLLIN };
	struct page *page;
	int locked = 1;
	struct world w;

	need_uring();
	WORLD(w, *state);
	p.fd = pinfold_poll_fd(w.m);
	assert_true(p.fd >= 0);
	mmap_read_lock(w.mm);
	assert_int_equal(get_user_pages_locked(w.at, 1, FOLL_NOWAIT, &page, &locked), 0);
	assert_int_equal(locked, 1);
	mmap_read_unlock(w.mm);
	assert_int_equal(poll(&p, 1, 5000), 1);
	while (get_user_pages_unlocked(w.at, 1, &page, FOLL_NOWAIT) == 0)
		assert_true(pinfold_progress(w.m) >= 0);
	assert_true(is_filled(page_address(page), 0, 0));
	assert_ok(put_user_page(page));
	/* count so far */
	assert_int_equal(get_user_pages_unlocked(w.at, 2, (struct page *[2]){ NULL }, FOLL_NOWAIT), 1);
	assert_int_equal(pinned(&w), 1);
	assert_int_equal(get_user_pages_fast(w.at, 1, 0, &page), 1);
	assert_ok(put_user_page(page));
	assert_ok(put_user_page(page));
	world_end(&w);
}

/* Without io_uring nothing can be started: 0, and a waiting call reads. */
static void nowait_without_io_uring_reads_nothing(void **state)
{
	struct page *page;
	struct world w;

	WORLD(w, *state, .machine_flags = PINFOLD_NO_URING);
	assert_int_equal(pinfold_poll_fd(w.m), -EOPNOTSUPP);
	assert_int_equal(get_user_pages_unlocked(w.at, 1, &page, FOLL_NOWAIT), 0);
	assert_int_equal(stats_of(w.m).pages_read, 0);
	assert_int_equal(pinfold_prefetch(w.mm, w.at, PG), 1);
	assert_int_equal(get_user_pages_unlocked(w.at, 1, &page, FOLL_NOWAIT), 1);
	assert_ok(put_user_page(page));
	assert_int_equal(pinfold_progress(w.m), 0);
	world_end(&w);
}

/* Header: prefetch starts reads, poll and progress tell of them. */
static void prefetched_pages_are_there_without_another_read(void **state)
{
	struct pollfd p = { .events = POLLIN };
	uint64_t end = now_ms() + 5000;
	struct page *pages[16];
	struct world w;

	WORLD(w, *state);
	p.fd = pinfold_poll_fd(w.m);
	assert_int_equal(pinfold_prefetch(w.mm, w.at, 16 * PG), 16);
	while (stats_of(w.m).pages_read < 16 && now_ms() < end) {
		if (p.fd >= 0)
			poll(&p, 1, 10);
		assert_true(pinfold_progress(w.m) >= 0);
	}
	assert_int_equal(stats_of(w.m).pages_read, 16);
	assert_int_equal(get_user_pages_unlocked(w.at, 16, pages, FOLL_NOWAIT), 16);
	assert_int_equal(stats_of(w.m).pages_read, 16);
	assert_ok(put_user_pages(pages, 16));
	assert_int_equal(pinfold_prefetch(w.mm, w.at, 16 * PG), 16);
	assert_int_equal(pinfold_prefetch(w.mm, 0x1000, PG), -EFAULT);
	world_end(&w);
}

/* ---- counting: group R, decision D3 ---------------------------------------------------------- */

/* Clauses R1, R2, R5, D1 as replaced: each release is refused where its count is zero, and changes nothing. */
static void a_release_meant_for_the_other_count_is_refused(void **state)
{
	struct page *page;
	struct world w;

	WORLD(w, *state);
	page = pin_one(w.at, 0);
	assert_int_equal(put_page(page), -EINVAL);
	assert_int_equal(pinned(&w), 1);
	assert_ok(get_page(page));
	assert_int_equal(stats_of(w.m).refs, 1);
	assert_ok(put_user_page(page));
	assert_int_equal(put_user_page(page), -EINVAL);
	assert_int_equal(put_user_pages_dirty(&page, 1), -EINVAL);
	assert_int_equal(stats_of(w.m).dirty_pages, 0);
	assert_int_equal(stats_of(w.m).refs, 1);
	assert_ok(get_page(page)); /* referenced is enough */
	assert_ok(put_page(page));
	assert_ok(put_page(page));
	assert_int_equal(put_page(page), -EINVAL);
	assert_int_equal(get_page(page), -EINVAL); /* neither pinned nor referenced any more */
	assert_ok(pinfold_check(w.m));
	world_end(&w);
}

/* Clauses D2, D11 as replaced: a list stops nowhere, every good entry is released, the first error is returned. */
static void a_bad_entry_in_a_list_does_not_keep_the_others(void **state)
{
	int (*const put[])(struct page **, unsigned long) = {
		put_user_pages, put_user_pages_dirty, put_user_pages_dirty_lock
	};
	struct page *pages[4], *list[6], *never;
	struct world w;

	WORLD(w, *state);
	never = pin_one(w.at + 8 * PG, 0);
	assert_ok(put_user_page(never));
	for (int i = 0; i < 3; i++) {
		assert_int_equal(get_user_pages_fast(w.at, 4, FOLL_WRITE, pages), 4);
		list[0] = pages[0];
		list[1] = NULL;
		list[2] = pages[1];
		list[3] = never;
		list[4] = pages[2];
		list[5] = pages[3];
		assert_int_equal(put[i](list, 6), -EINVAL);
		assert_int_equal(pinned(&w), 0);
		assert_ok(put[i](list, 0)); /* clause D2 */
	}
	world_end(&w);
}

/* Clause D11 as replaced: NULL and foreign pages. */
static void what_is_not_a_page_is_refused(void **state)
{
	struct page *page, *bad[6];
	char stack[64];
	struct world w;

	WORLD(w, *state);
	page = pin_one(w.at, 0);
	bad[0] = NULL;
	bad[1] = (struct page *)stack;
	bad[2] = (struct page *)((char *)page + 8); /* misaligned */
	bad[3] = (struct page *)((char *)page - 1);
	bad[4] = (struct page *)w.at;
	bad[5] = (struct page *)~0ul;
	for (int i = 0; i < 6; i++) {
		assert_int_equal(put_user_page(bad[i]), -EINVAL);
		assert_int_equal(put_page(bad[i]), -EINVAL);
		assert_int_equal(get_page(bad[i]), -EINVAL);
		assert_int_equal(put_user_pages_dirty_lock(bad + i, 1), -EINVAL);
		assert_null(page_address(bad[i]));
	}
	assert_int_equal(pinned(&w), 1);
	assert_ok(put_user_page(page));
	world_end(&w);
}

/* Decision D1: the machine of a page is found from its address; of a closed machine none. */
static void two_machines_keep_their_pages_apart(void **state)
{
	struct page *one, *two;
	struct world a, b;

	WORLD(a, *state);
	WORLD(b, *state);
	two = pin_one(b.at, 0);
	assert_ok(pinfold_use_mm(a.mm));
	one = pin_one(a.at, 0);
	assert_int_equal(pinned(&a), 1);
	assert_int_equal(pinned(&b), 1);
	assert_ok(put_user_page(two));
	assert_int_equal(pinned(&a), 1);
	assert_int_equal(pinned(&b), 0);
	world_end(&b);
	assert_int_equal(put_user_page(two), -EINVAL);
	assert_null(page_address(two));
	assert_ok(put_user_page(one));
	world_end(&a);
}

/* Clauses R8, R10: many pins of one page. */
static void one_page_can_be_pinned_many_times(void **state)
{
	struct page *pages[64];
	struct world w;

	WORLD(w, *state);
	for (int i = 0; i < 100000; i++)
		pages[i % 64] = pin_one(w.at, i & 1);
	assert_int_equal(pinned(&w), 100000);
	for (int i = 0; i < 100000; i += 50)
		assert_ok(put_user_pages(pages, 50));
	assert_int_equal(put_user_page(pages[0]), -EINVAL);
	world_end(&w);
}

/* Clause R6, decision D3: at the guard a reference is refused, and pins are not hurt. */
static void too_many_references_are_refused(void **state)
{
	struct page *page, *again;
	unsigned n = 0;
	struct world w;

	WORLD(w, *state);
	page = pin_one(w.at, 0);
	while (n < 70000 && !get_page(page))
		n++;
	assert_in_range(n, 1000, 65535);
	assert_int_equal(get_page(page), -ENOMEM);
	assert_int_equal(stats_of(w.m).refs, n);
	assert_ok(put_page(page));
	n--;
	again = pin_one(w.at, 0);
	assert_ptr_equal(again, page);
	assert_ok(put_user_page(again));
	while (n--)
		assert_ok(put_page(page));
	assert_int_equal(put_page(page), -EINVAL);
	assert_ok(put_user_page(page));
	world_end(&w);
}

/* Clause R12, M14: closing waits for nobody, it refuses; a reference alone keeps the frame. */
static void a_pin_or_a_reference_keeps_file_and_machine_open(void **state)
{
	struct page *page;
	struct world w;

	WORLD(w, *state);
	page = pin_one(w.at, 0);
	assert_int_equal(pinfold_close(w.file), -EBUSY); /* mapped */
	assert_ok(vm_munmap(w.mm, w.at, w.pages * PG));
	assert_int_equal(pinfold_close(w.file), -EBUSY); /* pinned */
	assert_int_equal(pinfold_destroy(w.m), -EBUSY);
	assert_ok(get_page(page));
	assert_ok(put_user_page(page));
	assert_int_equal(pinfold_close(w.file), -EBUSY); /* referenced */
	assert_true(is_filled(page_address(page), 0, 0));
	assert_ok(put_page(page));
	world_end(&w);
}

/* ---- release and dirtying: group D ----------------------------------------------------------- */

static void *put_in_thread(void *arg)
{
	return (void *)(intptr_t)put_user_page(arg);
}

static void *put_dirty_in_thread(void *arg)
{
	struct page *page = arg;

	return (void *)(intptr_t)put_user_pages_dirty(&page, 1);
}

/* Clauses D13, D14: any thread, also without an mm, also when the mm is gone. */
static void pages_are_released_by_any_thread_and_after_the_mm(void **state)
{
	struct page *pages[2];
	struct world w;

	WORLD(w, *state);
	assert_int_equal(get_user_pages_fast(w.at, 2, FOLL_WRITE, pages), 2);
	assert_null(in_thread(put_dirty_in_thread, pages[0]));
	assert_ok(pinfold_use_mm(NULL));
	assert_ok(pinfold_mm_destroy(w.mm));
	assert_true(is_filled(page_address(pages[1]), 0, 1));
	assert_null(in_thread(put_in_thread, pages[1]));
	assert_int_equal(pinned(&w), 0);
	assert_ok(pinfold_mm_create(w.m, PINFOLD_WINDOW_NONE, &w.mm));
	world_end(&w);
}

/* Clauses D3, D4: a dirty page is not dirtied twice. */
static void the_dirty_releases_mark_each_page_once(void **state)
{
	struct page *pages[4];
	struct world w;

	WORLD(w, *state);
	assert_int_equal(get_user_pages_fast(w.at, 4, 0, pages), 4);
	assert_int_equal(stats_of(w.m).dirty_pages, 0);
	assert_ok(put_user_pages_dirty(pages, 2));
	assert_int_equal(stats_of(w.m).dirty_pages, 2);
	assert_ok(put_user_pages_dirty_lock(pages + 2, 2));
	assert_int_equal(stats_of(w.m).dirty_pages, 4);
	assert_int_equal(get_user_pages_fast(w.at, 4, 0, pages), 4);
	assert_ok(put_user_pages_dirty(pages, 4));
	assert_int_equal(stats_of(w.m).dirty_pages, 4);
	assert_ok(pinfold_commit(w.file, 0, 0, NULL));
	assert_int_equal(stats_of(w.m).dirty_pages, 0);
	world_end(&w);
}

/*
 * Clauses F7, D7 as replaced: a write pin counts as dirty when it is taken: no release can fail.
 */
static void a_write_pin_is_counted_as_dirty_when_it_is_taken(void **state)
{
	struct page *page;
	struct world w;

	WORLD(w, *state);
	page = pin_one(w.at, FOLL_WRITE);
	assert_int_equal(stats_of(w.m).dirty_pages, 1);
	fill(page_address(page), 5, 0);
	assert_ok(put_user_page(page)); /* without dirty: nothing is lost all the same */
	assert_ok(pinfold_commit(w.file, 0, 0, NULL));
	assert_true(disk_is(&w, 5, 0));
	world_end(&w);
}

/* ---- mapping changes: group M ---------------------------------------------------------------- */

/* Clause M1: the holder keeps the page and its content; a shared file's page is found again. */
static void munmap_leaves_the_pin_its_page(void **state)
{
	struct page *page, *again;
	struct world w;

	WORLD(w, *state);
	page = pin_one(w.at, FOLL_WRITE);
	assert_ok(vm_munmap(w.mm, w.at, w.pages * PG));
	assert_int_equal(get_user_pages_fast(w.at, 1, 0, &again), -EFAULT);
	fill(page_address(page), 3, 0);
	w.at = map(&w, 0, w.pages, RW);
	assert_true(page_is(&w, 3, 0));
	again = pin_one(w.at, 0);
	assert_ptr_equal(again, page);
	assert_ok(put_user_page(again));
	assert_ok(put_user_pages_dirty(&page, 1));
	world_end(&w);
}

/*
 * Clause M2: DONTNEED drops translations; the next touch finds the same page, holder and mm agree.
 */
static void dontneed_leaves_pin_and_page(void **state)
{
	struct page *page, *again;
	struct world w;

	WORLD(w, *state);
	page = pin_one(w.at, FOLL_WRITE);
	fill(page_address(page), 2, 0);
	assert_ok(vm_madvise(w.mm, w.at, w.pages * PG, PINFOLD_MADV_DONTNEED));
	assert_true(page_is(&w, 2, 0));
	fill(page_address(page), 4, 0);
	assert_true(page_is(&w, 4, 0));
	again = pin_one(w.at, FOLL_WRITE);
	assert_ptr_equal(again, page);
	assert_ok(put_user_page(again));
	assert_ok(put_user_page(page));
	world_end(&w);
}

/* Clause M4: a write pin goes on writing to a mapping that became read-only. */
static void mprotect_has_no_effect_on_a_pin(void **state)
{
	struct page *page, *again;
	struct world w;

	WORLD(w, *state);
	page = pin_one(w.at, FOLL_WRITE);
	assert_ok(vm_mprotect(w.mm, w.at, w.pages * PG, PINFOLD_PROT_READ));
	fill(page_address(page), 9, 0);
	assert_true(page_is(&w, 9, 0));
	for (int c = 0; c < NR_CALLS; c++)
		assert_int_equal(call(c, w.mm, w.at, 1, FOLL_WRITE, &again), -EFAULT);
	assert_ok(put_user_pages_dirty_lock(&page, 1));
	assert_ok(pinfold_commit(w.file, 0, 0, NULL));
	assert_true(disk_is(&w, 9, 0));
	world_end(&w);
}

/* ---- the fast path: group Q ------------------------------------------------------------------ */

/*
 * Clauses Q3, Q7, Q18: all resident: all by the fast path, across leaf tables, and the same pages.
 */
static void fast_gives_what_slow_gives(void **state)
{
	enum { N = 1200 };
	struct page **slow = calloc(N, sizeof(*slow)), **fast = calloc(N, sizeof(*fast));
	struct pinfold_stats before, after;
	struct world w;

	WORLD(w, *state, .pages = N, .memory = 24 * MIB, .pool = 12 * MIB);
	for (unsigned write = 0; write <= FOLL_WRITE; write++) {
		assert_int_equal(get_user_pages_unlocked(w.at, N, slow, write), N);
		before = stats_of(w.m);
		assert_int_equal(get_user_pages_fast(w.at, N, write, fast), N);
		after = stats_of(w.m);
		assert_memory_equal(slow, fast, N * sizeof(*slow));
		assert_int_equal(after.fast_pins - before.fast_pins, N);
		assert_int_equal(after.slow_pins, before.slow_pins);
		assert_ok(put_user_pages(slow, N));
		assert_ok(put_user_pages(fast, N));
	}
	free(slow);
	free(fast);
	world_end(&w);
}

/* Clause Q7: a page that is missing in the middle is not skipped. */
static void the_fast_walk_never_skips_a_page(void **state)
{
	struct page *pages[8];
	struct world w;

	WORLD(w, *state, .pages = 8);
	assert_int_equal(get_user_pages_fast(w.at, 8, 0, NULL), 8);
	assert_ok(vm_madvise(w.mm, w.at + 3 * PG, PG, PINFOLD_MADV_DONTNEED));
	assert_int_equal(get_user_pages_fast(w.at, 8, 0, pages), 8);
	for (unsigned i = 0; i < 8; i++)
		assert_true(is_filled(page_address(pages[i]), 0, i));
	assert_ok(put_user_pages(pages, 8));
	world_end(&w);
}

static _Atomic int trapped;

static void on_sigsys(int sig)
{
	(void)sig;
	atomic_fetch_add(&trapped, 1);
}

/* From here on the thread's system calls are trapped, but for those that end a thread. */
static bool trap_system_calls(void)
{
	static const unsigned allowed[] = {
		SYS_exit, SYS_futex, SYS_madvise, SYS_munmap, SYS_rt_sigprocmask, SYS_rt_sigreturn,
		SYS_write, SYS_sigaltstack
	};
	enum { N = sizeof(allowed) / sizeof(allowed[0]) };
	struct sock_filter f[N + 3] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	};
	struct sock_fprog prog = { N + 3, f };

	for (unsigned i = 0; i < N; i++)
		f[i + 1] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, allowed[i],
		                                        (unsigned char)(N - i), 0);
	f[N + 1] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP);
	f[N + 2] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	return !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) &&
	       !prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog);
}

struct trapped_run {
	struct world *w;
	int bad, calls, control, skipped;
	size_t grown;
};

static void *pin_under_trap(void *arg)
{
	struct trapped_run *t = arg;
	unsigned long addrs[16];
	struct pinfold_range_pin r;
	struct page *pages[16];
	size_t heap;

	for (unsigned i = 0; i < 16; i++)
		addrs[i] = t->w->at + i * 7 % 16 * PG;
	/* the thread's first pin may attach it, and the first range prepare the table */
	t->bad = pinfold_use_mm(t->w->mm) || get_user_pages_fast(t->w->at, 16, 0, pages) != 16 ||
	         put_user_pages(pages, 16) || pinfold_pin_range(t->w->at, 16, 0, pages, &r) || pinfold_unpin_range(&r);
	heap = mallinfo2().uordblks;
	if (!trap_system_calls()) {
		t->skipped = 1;
		return NULL;
	}
	for (int i = 0; i < 100000 && !t->bad; i++) {
		unsigned n = 1 + (unsigned)i % 16;

		t->bad |= get_user_pages_fast(t->w->at, (int)n, i & 1, pages) != (int)n;
		t->bad |= i & 2 ? put_user_pages_dirty(pages, n) : put_user_pages(pages, n);
		t->bad |= !page_address(pages[0]);
		t->bad |= pinfold_pin_batch(addrs, (int)n, i & 1, pages) != (int)n || put_user_pages(pages, n);
		t->bad |= pinfold_pin_range(t->w->at, (int)n, i & 1, pages, &r) || pinfold_unpin_range(&r);
	}
	t->calls = atomic_load(&trapped);
	t->grown = mallinfo2().uordblks - heap;
	syscall(SYS_getppid);
	t->control = atomic_load(&trapped) - t->calls;
	return NULL;
}

/* Header: no system call and no allocation on a hit. */
static void hits_make_no_system_call_and_allocate_nothing(void **state)
{
	struct sigaction sa = { .sa_handler = on_sigsys }, old;
	struct trapped_run t = { 0 };
	struct world w;

	if (SANITIZER) {
		print_message("skipped: a sanitizer makes system calls of its own\n");
		skip();
	}
	WORLD(w, *state);
	assert_int_equal(get_user_pages_fast(w.at, 16, FOLL_WRITE, NULL), 16);
	sigaction(SIGSYS, &sa, &old);
	atomic_store(&trapped, 0);
	t.w = &w;
	in_thread(pin_under_trap, &t);
	sigaction(SIGSYS, &old, NULL);
	if (t.skipped)
		print_message("skipped: seccomp filters are refused\n");
	assert_int_equal(t.bad, 0);
	assert_int_equal(t.calls, 0);
	assert_int_equal(t.grown, 0);
	assert_int_equal(t.control, !t.skipped);
	world_end(&w);
}

/* ---- pinfold_iov ----------------------------------------------------------------------------- */

/* Header: one iovec per contiguous run, first and last in part. */
static void iovecs_describe_the_range_in_runs(void **state)
{
	struct page *pages[4];
	struct iovec iov[4];
	int n = 4;
	size_t sum = 0;
	struct world w;

	WORLD(w, *state);
	assert_int_equal(pinfold_iov(w.at + 10, 3 * PG, 0, pages, iov, &n), 4);
	assert_ptr_equal(iov[0].iov_base, (char *)page_address(pages[0]) + 10);
	for (int i = 0; i < n; i++)
		sum += iov[i].iov_len;
	assert_int_equal(sum, 3 * PG);
	if (w.direct)
		assert_int_equal(n, 1);
	assert_int_equal(pinned(&w), 4);
	assert_ok(put_user_pages(pages, 4));
	world_end(&w);
}

/* Header: all or nothing. */
static void an_iovec_list_that_does_not_fit_leaves_nothing_pinned(void **state)
{
	struct page *pages[4];
	struct iovec iov[4];
	int n = 0;
	struct world w;

	WORLD(w, *state, .pages = 3);
	assert_int_equal(pinfold_iov(w.at, PG, 0, pages, iov, &n), -EMSGSIZE);
	n = 4;
	assert_int_equal(pinfold_iov(w.at + PG, 3 * PG, 0, pages, iov, &n), -EFAULT);
	assert_int_equal(pinfold_iov(w.at, PG, FOLL_NOWAIT, pages, iov, &n), -EINVAL);
	assert_int_equal(pinfold_iov(w.at, PG, 0, NULL, iov, &n), -EINVAL);
	n = -1;
	assert_int_equal(pinfold_iov(w.at, PG, 0, pages, iov, &n), -EINVAL);
	n = 4;
	assert_int_equal(pinfold_iov(w.at, 0, 0, pages, iov, &n), 0);
	assert_int_equal(pinned(&w), 0);
	world_end(&w);
}

/* Header: the thread's last failed access, or none. */
static void *last_fault_of_a_new_thread(void *arg)
{
	struct pinfold_fault f = { .size = sizeof(f) };

	(void)arg;
	return (void *)(intptr_t)pinfold_last_fault(&f);
}

static void a_thread_has_its_own_last_fault(void **state)
{
	struct page *page;
	struct world w;

	WORLD(w, *state);
	assert_int_equal(get_user_pages_fast(0x1000, 1, 0, &page), -EFAULT);
	assert_int_equal(last_error(), -EFAULT);
	assert_int_equal((intptr_t)in_thread(last_fault_of_a_new_thread, NULL), -ENOENT);
	assert_int_equal(pinfold_last_fault(NULL), -EINVAL);
	world_end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		EACH(every_entry_point_pins_the_same_pages),
		EACH(start_need_not_be_aligned),
		EACH(vmas_are_those_of_the_pages),
		PLAIN(no_pages_give_zero_whatever_the_address),
		PLAIN(unknown_and_internal_flags_are_refused_by_every_call),
		PLAIN(the_fast_call_refuses_flags_of_the_slow_ones),
		EACH(accepted_flags_that_change_nothing),
		EACH(without_an_array_pages_are_faulted_in_and_counted),
		PLAIN(longterm_without_an_array_is_refused),
		PLAIN(locked_with_vmas_or_not_one_is_refused),
		PLAIN(ranges_that_overflow_or_are_negative_are_refused),
		PLAIN(a_thread_whose_mm_is_gone_gets_einval),
		PLAIN(a_thread_without_mm_gets_efault),
		PLAIN(without_the_mmap_lock_the_plain_calls_are_refused),
		WINDOWS(arrays_inside_a_window_are_refused),
		EACH(a_hole_ends_the_call_with_what_there_was),
		EACH(the_end_of_the_file_ends_the_call),
		EACH(a_mapping_without_the_right_ends_the_call),
		EACH(the_fast_part_is_kept_when_the_slow_part_fails),
		EACH(duplicates_are_pinned_twice),
		EACH(copies_are_short_at_a_hole),
		EACH(a_write_pin_wants_a_writable_mapping_force_or_not),
		PLAIN(anon_is_refused_on_a_file),
		EACH(longterm_write_pins_of_file_pages_are_refused),
		EACH(longterm_write_pins_of_memory_files_are_granted),
		EACH(reading_wants_read_right_or_force),
		EACH(a_mapping_made_prot_none_gives_nothing),
		EACH(a_drop_of_the_lock_is_told_by_locked),
		EACH(a_failing_call_says_whether_the_lock_is_held),
		EACH(a_lock_held_for_writing_is_never_dropped),
		EACH(unlocked_and_fast_leave_no_lock_behind),
		EACH(nowait_gives_zero_and_the_page_comes_by_itself),
		EACH(nowait_without_io_uring_reads_nothing),
		EACH(prefetched_pages_are_there_without_another_read),
		EACH(a_release_meant_for_the_other_count_is_refused),
		EACH(a_bad_entry_in_a_list_does_not_keep_the_others),
		EACH(what_is_not_a_page_is_refused),
		EACH(two_machines_keep_their_pages_apart),
		EACH(one_page_can_be_pinned_many_times),
		EACH(too_many_references_are_refused),
		EACH(a_pin_or_a_reference_keeps_file_and_machine_open),
		EACH(pages_are_released_by_any_thread_and_after_the_mm),
		EACH(the_dirty_releases_mark_each_page_once),
		EACH(a_write_pin_is_counted_as_dirty_when_it_is_taken),
		EACH(munmap_leaves_the_pin_its_page),
		EACH(dontneed_leaves_pin_and_page),
		EACH(mprotect_has_no_effect_on_a_pin),
		EACH(fast_gives_what_slow_gives),
		EACH(the_fast_walk_never_skips_a_page),
		EACH(hits_make_no_system_call_and_allocate_nothing),
		EACH(iovecs_describe_the_range_in_runs),
		EACH(an_iovec_list_that_does_not_fit_leaves_nothing_pinned),
		PLAIN(a_thread_has_its_own_last_fault),
	};

	return world_main(tests);
}
