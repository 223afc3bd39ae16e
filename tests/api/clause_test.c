/* SPDX-License-Identifier: MIT */
/*
 * clause_test.c - clauses of contract.md that no other file's subject covers: faults that are not needed, holes, what a
 * commit or a dropped lock means for a pin, and pins beside everything that takes pages and tables away.
 */
#include "anon.h"

static uint64_t faults(struct pinfold *m)
{
	struct pinfold_stats s = stats_of(m);

	return s.faults_missing + s.faults_minor + s.faults_write;
}

/* ---- arguments, mappings ------------------------------------------------------------------------ */

static void *pin_without_an_mm(void *arg)
{
	struct world *w = arg;
	struct task_struct *task = (struct task_struct *)8; /* looking at it would be a crash */
	struct page *pages[2] = { NULL };
	long r[3];
	int locked = 1;

	r[0] = get_user_pages_fast(w->at, 1, 0, pages);
	mmap_read_lock(w->mm);
	r[1] = get_user_pages_remote(NULL, w->mm, w->at + PG, 2, 0, pages, NULL, NULL);
	if (r[1] == 2 && !put_user_pages(pages, 2))
		r[2] = get_user_pages_remote(task, w->mm, w->at + PG, 1, FOLL_WRITE, pages, NULL, &locked);
	else
		r[2] = -1;
	if (locked)
		mmap_read_unlock(w->mm);
	return r[0] == -EFAULT && r[2] == 1 ? pages[0] : NULL;
}

/* Clause A20: a thread without an mm pins in any; the task is not looked at. */
static void a_thread_without_an_mm_pins_in_anothers(void **state)
{
	struct page *page, *own;
	struct world w;

	WORLD(w, *state);
	page = in_thread(pin_without_an_mm, &w);
	assert_non_null(page);
	own = pin_one(w.at + PG, 0);
	assert_ptr_equal(own, page);
	assert_ok(put_user_page(own));
	assert_ok(put_user_page(page));
	world_end(&w);
}

/* Clause P13: one refused mapping in the range, and nothing stays pinned. */
static void an_iovec_list_across_a_refused_mapping_pins_nothing(void **state)
{
	struct page *pages[4];
	struct iovec iov[4];
	struct world w;
	int n = 4;

	WORLD(w, *state, .pages = 2);
	assert_int_equal(vm_mmap(w.mm, w.at + 2 * PG, 2 * PG, RO, SHARED | PINFOLD_MAP_FIXED_NOREPLACE, w.file, 0),
	                 w.at + 2 * PG);
	assert_int_equal(pinfold_iov(w.at, 4 * PG, FOLL_WRITE, pages, iov, &n), -EFAULT);
	assert_int_equal(now_pinned(w.m), 0);
	n = 4;
	assert_int_equal(pinfold_iov(w.at, 4 * PG, 0, pages, iov, &n), 4);
	assert_int_equal(now_pinned(w.m), 4);
	assert_ok(put_user_pages(pages, 4));
	world_end(&w);
}

/* Clause V21: advice about forks and folios does not matter to pins. */
static void advice_that_stays_does_not_change_what_can_be_pinned(void **state)
{
	const int advice[] = { PINFOLD_MADV_DONTFORK, PINFOLD_MADV_WIPEONFORK, PINFOLD_MADV_HUGEPAGE,
	                       PINFOLD_MADV_NOHUGEPAGE };
	const unsigned flags[] = { 0, FOLL_WRITE, FOLL_LONGTERM, FOLL_WRITE | FOLL_LONGTERM };
	const struct kind *k = *state;
	struct pinfold *m = MACHINE();
	struct space s = new_space(m, k->window);
	struct page *page;

	for (unsigned a = 0; a < 4; a++) {
		map_anon(&s, 0, 512, RW, PRIVATE);
		assert_ok(vm_madvise(s.mm, s.at, LEAF, advice[a]));
		assert_ok(pinfold_use_mm(s.mm));
		poke(&s, 9 * PG, 6);
		for (int c = 0; c < NR_CALLS; c++)
			for (unsigned f = 0; f < 4; f++) {
				assert_int_equal(call(c, s.mm, s.at + 9 * PG, 1, flags[f], &page), 1);
				assert_int_equal(*device_word(page), 6);
				assert_ok(vm_madvise(s.mm, s.at, LEAF, advice[a]));
				assert_ptr_equal(page_at(&s, 9, FOLL_WRITE), page);
				assert_ok(put_user_page(page));
			}
		assert_ok(vm_munmap(s.mm, s.at, LEAF));
	}
	end_both(m, &s);
}

/* ---- faults ------------------------------------------------------------------------------------- */

/* Clauses F1, W1: what is there takes no fault, and a read dirties nothing. */
static void what_is_there_is_pinned_without_a_fault(void **state)
{
	struct page *pages[4];
	struct world w;
	uint64_t before;

	WORLD(w, *state);
	for (int c = 0; c < NR_CALLS; c++) {
		assert_int_equal(call(c, w.mm, w.at, 4, 0, pages), 4);
		assert_ok(put_user_pages(pages, 4));
	}
	assert_int_equal(stats_of(w.m).dirty_pages, 0);
	for (unsigned p = 0; p < 4; p++)
		store_page(&w, 2, p);
	before = faults(w.m);
	for (int c = 0; c < NR_CALLS; c++)
		for (unsigned write = 0; write <= FOLL_WRITE; write++) {
			assert_int_equal(call(c, w.mm, w.at, 4, write, pages), 4);
			assert_true(is_filled(page_address(pages[3]), 2, 3));
			assert_ok(put_user_pages(pages, 4));
		}
	assert_int_equal(faults(w.m), before);
	assert_int_equal(call(1, w.mm, w.at + 8 * PG, 1, 0, pages), 1);
	assert_true(faults(w.m) > before);
	assert_ok(put_user_page(pages[0]));
	world_end(&w);
}

/* Clauses Q16 as replaced, Q17: the fast path's write pins are of pages that are dirty already, and stay so. */
static void write_pins_by_the_fast_path_are_of_dirty_pages(void **state)
{
	struct page *pages[4];
	struct pinfold_stats before, after;
	struct world w;

	WORLD(w, *state);
	assert_int_equal(get_user_pages_fast(w.at, 4, 0, NULL), 4); /* there, and clean */
	for (unsigned round = 0; round < 2; round++) {
		before = stats_of(w.m);
		assert_int_equal(before.dirty_pages, 0);
		assert_int_equal(get_user_pages_fast(w.at, 4, FOLL_WRITE, pages), 4);
		after = stats_of(w.m);
		assert_int_equal(after.dirty_pages, 4);
		assert_int_equal(after.slow_pins - before.slow_pins, 4);
		assert_ok(put_user_pages(pages, 4));
		assert_int_equal(get_user_pages_fast(w.at, 4, FOLL_WRITE, pages), 4);
		before = stats_of(w.m);
		assert_int_equal(before.slow_pins, after.slow_pins);
		assert_int_equal(before.fast_pins - after.fast_pins, 4);
		for (unsigned p = 0; p < 4; p++)
			fill(page_address(pages[p]), 5 + round, p);
		assert_ok(put_user_pages(pages, 4));
		assert_int_equal(stats_of(w.m).dirty_pages, 4);
		assert_ok(pinfold_commit(w.file, 0, 0, NULL));
		assert_true(disk_is(&w, 5 + round, 3));
	}
	world_end(&w);
}

/* Clause F6: a hole of a file gets a page of the file's at a read, which is dirty when it is pinned for writing. */
static void holes_of_a_file_are_pages_of_its_own(void **state)
{
	struct page *pages[2], *again;
	struct world w;

	WORLD(w, *state, .sparse = true);
	for (int c = 0; c < NR_CALLS; c++) {
		unsigned long at = w.at + (unsigned)c * 2 * PG;

		assert_int_equal(call(c, w.mm, at, 2, 0, pages), 2);
		assert_ptr_not_equal(pages[0], pages[1]);
		assert_true(is_zero(page_address(pages[1]), 0, PG));
		assert_int_equal(now_pinned(w.m), 2);
		assert_int_equal(stats_of(w.m).dirty_pages, c);
		assert_int_equal(call(c, w.mm, at, 1, FOLL_WRITE, &again), 1);
		assert_ptr_equal(again, pages[0]);
		assert_int_equal(stats_of(w.m).dirty_pages, c + 1);
		fill(page_address(again), 3, (unsigned)c * 2);
		assert_ok(put_user_page(again));
		assert_ok(put_user_pages(pages, 2));
	}
	assert_ok(pinfold_commit(w.file, 0, 0, NULL));
	for (unsigned c = 0; c < NR_CALLS; c++)
		assert_true(disk_is(&w, 3, c * 2));
	world_end(&w);
}

/* Clause F13: what MAP_POPULATE cannot have is no error of the mapping; what lies before it is there. */
static void map_populate_fails_for_nothing_that_is_missing(void **state)
{
	struct page *pages[3];
	struct world w;
	long a;

	WORLD(w, *state, .pages = 3);
	a = vm_mmap(w.mm, w.at + 8 * PG, 6 * PG, RO, SHARED | PINFOLD_MAP_POPULATE | PINFOLD_MAP_FIXED_NOREPLACE,
	            w.file, 0);
	assert_int_equal(a, w.at + 8 * PG);
	assert_int_equal(stats_of(w.m).pages_read, 3);
	assert_int_equal(get_user_pages_fast((unsigned long)a, 3, 0, pages), 3);
	assert_int_equal(stats_of(w.m).pages_read, 3);
	assert_ok(put_user_pages(pages, 3));
	assert_int_equal(get_user_pages_fast((unsigned long)a + 3 * PG, 1, 0, pages), -EFAULT);
	world_end(&w);
}

/* ---- commits ------------------------------------------------------------------------------------ */

/* Clauses F17, W16: nobody commits the cut meanwhile: a pin that waited for that would never come back. */
static void pins_of_pages_in_a_cut_do_not_wait_for_the_commit(void **state)
{
	struct pinfold_report r = { .size = sizeof(r) };
	struct page *page;
	struct world w;
	int64_t cut;

	WORLD(w, *state);
	for (unsigned p = 0; p < 2 * NR_CALLS; p++)
		store_page(&w, 1, p);
	cut = pinfold_freeze(w.file, 0, 0);
	assert_true(cut > 0);
	for (unsigned c = 0; c < NR_CALLS; c++) {
		assert_int_equal(call((int)c, w.mm, w.at + c * PG, 1, 0, &page), 1);
		assert_true(is_filled(page_address(page), 1, c));
		assert_ok(put_user_page(page));
		assert_int_equal(call((int)c, w.mm, w.at + (NR_CALLS + c) * PG, 1, FOLL_WRITE, &page), 1);
		fill(page_address(page), 2, NR_CALLS + c);
		assert_ok(put_user_page(page));
	}
	assert_ok(pinfold_commit_wait(w.file, (uint64_t)cut, &r));
	assert_int_equal(r.claimed_by_writers, NR_CALLS);
	for (unsigned p = 0; p < 2 * NR_CALLS; p++)
		assert_true(disk_is(&w, 1, p));
	world_end(&w);
}

struct device {
	struct world *w;
	_Atomic int stop;
	uint64_t rounds, lost;
};

/* Writes through a read pin and says so at the release: the duty of clause D12 is all that keeps it. */
static void *write_and_release_dirty(void *arg)
{
	struct device *d = arg;

	if (pinfold_use_mm(d->w->mm))
		return d;
	do {
		struct page *page;
		uint64_t *word;

		if (get_user_pages_fast(d->w->at, 1, 0, &page) != 1)
			return d;
		word = page_address(page);
		d->lost += d->rounds && __atomic_load_n(word, __ATOMIC_RELAXED) != d->rounds;
		__atomic_store_n(word, ++d->rounds, __ATOMIC_RELAXED);
		if ((d->rounds & 1 ? put_user_pages_dirty : put_user_pages_dirty_lock)(&page, 1))
			return d;
	} while (!atomic_load(&d->stop));
	return NULL;
}

/* Clauses D5, D12: whatever commits and eviction come between, what was written before a dirty release stays. */
static void dirty_releases_beside_commits_and_eviction_lose_nothing(void **state)
{
	struct device d = { .rounds = 0 };
	uint64_t end = now_ms() + 300, last;
	pthread_t t;
	struct world w;

	WORLD(w, *state);
	d.w = &w;
	assert_ok(pthread_create(&t, NULL, write_and_release_dirty, &d));
	do {
		assert_ok(pinfold_commit(w.file, 0, 0, NULL));
		pinfold_reclaim(w.m, 100);
		pinfold_reclaim(w.m, 100);
	} while (now_ms() < end);
	atomic_store(&d.stop, 1);
	assert_ok(pthread_join(t, (void **)&last));
	assert_int_equal(last, 0);
	assert_true(d.rounds > 0);
	assert_int_equal(d.lost, 0);
	assert_ok(pinfold_commit(w.file, 0, 0, NULL));
	assert_int_equal(pread(w.fd, &last, 8, 0), 8);
	assert_int_equal(last, d.rounds);
	world_end(&w);
}

/* ---- waiting ------------------------------------------------------------------------------------ */

static void *commit_later(void *arg)
{
	struct world *w = arg;

	nap_ms(50);
	return (void *)(intptr_t)pinfold_commit(w->file, 0, 0, NULL);
}

/* Clause L5: with the lock dropped a page is tried again until it is had or the deadline passes. */
static void a_page_is_tried_until_it_is_had_or_the_deadline_passes(void **state)
{
	struct page *page;
	int locked = 1;
	pthread_t t;
	struct world w;
	void *r;

	WORLD(w, *state, .dirty_limit = 4 * PG, .deadline_ms = 600);
	for (unsigned p = 8; p < 12; p++)
		store_page(&w, 1, p);
	mmap_read_lock(w.mm);
	assert_int_equal(get_user_pages_locked(w.at, 1, FOLL_WRITE, &page, &locked), -ENOSPC);
	assert_int_equal(locked, 0);
	assert_ok(pthread_create(&t, NULL, commit_later, &w));
	locked = 1;
	mmap_read_lock(w.mm);
	assert_int_equal(get_user_pages_locked(w.at, 1, FOLL_WRITE, &page, &locked), 1);
	assert_int_equal(locked, 0);
	assert_true(is_filled(page_address(page), 0, 0));
	assert_ok(pthread_join(t, &r));
	assert_null(r);
	assert_ok(put_user_page(page));
	world_end(&w);
}

/* Clause L14: what was pinned before the lock was dropped is held behind it as well. */
static void pages_pinned_before_a_drop_stay_pinned(void **state)
{
	struct page *pages[3], *again[2];
	int locked = 1;
	struct world w;

	WORLD(w, *state, .pages = 600, .machine_flags = PINFOLD_NO_URING);
	/* another mapping, so that the third page is one far away, and has to be read */
	assert_int_equal(vm_mmap(w.mm, w.at + 600 * PG, PG, RW, SHARED | PINFOLD_MAP_FIXED_NOREPLACE, w.file, 300 * PG),
	                 w.at + 600 * PG);
	assert_int_equal(get_user_pages_unlocked(w.at + 598 * PG, 2, again, 0), 2);
	mmap_read_lock(w.mm);
	assert_int_equal(get_user_pages_locked(w.at + 598 * PG, 3, 0, pages, &locked), 3);
	assert_int_equal(locked, 0);
	assert_int_equal(now_pinned(w.m), 5);
	assert_memory_equal(pages, again, sizeof(again));
	for (unsigned i = 0; i < 3; i++)
		assert_true(is_filled(page_address(pages[i]), 0, i < 2 ? 598 + i : 300));
	assert_ok(put_user_pages(pages, 3));
	assert_ok(put_user_pages(again, 2));
	world_end(&w);
}

/* ---- changes under a pin ------------------------------------------------------------------------ */

/* Clause M13: populating what is pinned leaves the page where it is. */
static void populating_under_a_pin_keeps_the_page(void **state)
{
	const struct kind *k = *state;
	struct pinfold *m = MACHINE();
	struct space s = new_space(m, k->window);
	struct page *page;

	for (unsigned write = 0; write <= FOLL_WRITE; write++) {
		map_anon(&s, 0, 8, RW, PRIVATE);
		put_pages(&s, 1, 0, 8);
		page = pin_at(&s, 3, write);
		assert_ok(vm_madvise(s.mm, s.at, 8 * PG, PINFOLD_MADV_POPULATE_READ));
		assert_ok(vm_madvise(s.mm, s.at, 8 * PG, PINFOLD_MADV_POPULATE_WRITE));
		assert_ptr_equal(page_at(&s, 3, FOLL_WRITE), page);
		poke(&s, 3 * PG, 9);
		assert_int_equal(*device_word(page), 9);
		assert_ok(put_user_page(page));
		assert_ok(vm_munmap(s.mm, s.at, 8 * PG));
	}
	assert_int_equal(stats_of(m).cow_copied, 0);
	end_both(m, &s);
}

/* ---- pins beside everything that takes pages away ----------------------------------------------- */

enum { STRETCH = 1024, BATCH = 8 };

struct walker {
	struct space *s;
	unsigned me;
	_Atomic int stop;
	uint64_t rounds, pinned, wrong;
};

static uint64_t next_random(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005ull + 1442695040888963407ull;
	return *seed >> 33;
}

/* A page's words are 0 until somebody who has it pinned for writing stores its number. */
static bool is_page(struct page *page, unsigned p)
{
	uint64_t v = __atomic_load_n((uint64_t *)page_address(page), __ATOMIC_RELAXED);

	return !v || v == p + 1;
}

static void walk_once(struct walker *t, uint64_t *seed)
{
	unsigned first = (unsigned)(next_random(seed) % (STRETCH - BATCH)), flags = next_random(seed) & FOLL_WRITE;
	struct page *pages[BATCH];
	int n = get_user_pages_fast(t->s->at + first * PG, 1 + (int)(next_random(seed) % BATCH), flags, pages);

	t->rounds++;
	if (n < 0) {
		t->wrong += n != -EFAULT;
		return;
	}
	t->pinned += (unsigned)n;
	for (int i = 0; i < n; i++) {
		if (flags)
			__atomic_store_n((uint64_t *)page_address(pages[i]), first + (unsigned)i + 1, __ATOMIC_RELAXED);
		t->wrong += !is_page(pages[i], first + (unsigned)i);
	}
	for (int i = 0; i < n; i++) /* and still, after whatever came in between */
		t->wrong += !is_page(pages[i], first + (unsigned)i);
	t->wrong += put_user_pages(pages, (unsigned)n) != 0;
}

static void *walk(void *arg)
{
	struct walker *t = arg;
	uint64_t seed = t->me;

	if (pinfold_use_mm(t->s->mm))
		return t;
	do
		walk_once(t, &seed);
	while (!atomic_load(&t->stop));
	return NULL;
}

static void change(struct space *s, uint64_t *seed)
{
	unsigned long at = s->at + next_random(seed) % 2 * LEAF;
	unsigned p = (unsigned)(next_random(seed) % (STRETCH - 64));

	switch (next_random(seed) % 4) {
	case 0: /* the table goes */
		assert_ok(vm_munmap(s->mm, at, LEAF));
		assert_int_equal(vm_mmap(s->mm, at, LEAF, RW, PRIVATE | ANON | FIXED, NULL, 0), at);
		break;
	case 1:
		assert_ok(vm_mprotect(s->mm, s->at + p * PG, 64 * PG, RO));
		assert_ok(vm_mprotect(s->mm, s->at + p * PG, 64 * PG, RW));
		break;
	default:
		assert_ok(vm_madvise(s->mm, s->at + p * PG, 64 * PG, PINFOLD_MADV_DONTNEED));
	}
}

/*
 * Clause F2: a pin has the page of its address, or none, whatever goes meanwhile.  (What the lockless walk must look at
 * again is a matter of nanoseconds: a model finds it, this does not.)
 */
static void pins_beside_changes_are_of_the_page_that_was_asked_for(void **state)
{
	const struct kind *k = *state;
	struct pinfold *m = MACHINE();
	struct space s = new_space(m, k->window);
	struct walker t[2];
	pthread_t thread[2];
	uint64_t end = now_ms() + 400, seed = 7;
	void *r;

	map_anon(&s, 0, STRETCH, RW, PRIVATE);
	for (unsigned i = 0; i < 2; i++) {
		t[i] = (struct walker){ .s = &s, .me = i + 1 };
		assert_ok(pthread_create(&thread[i], NULL, walk, &t[i]));
	}
	do
		change(&s, &seed);
	while (now_ms() < end);
	for (unsigned i = 0; i < 2; i++) {
		atomic_store(&t[i].stop, 1);
		assert_ok(pthread_join(thread[i], &r));
		assert_null(r);
		assert_true(t[i].rounds > 0);
		assert_int_equal(t[i].wrong, 0);
	}
	assert_int_equal(now_pinned(m), 0);
	end_both(m, &s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		EACH(a_thread_without_an_mm_pins_in_anothers),
		EACH(an_iovec_list_across_a_refused_mapping_pins_nothing),
		BOTH(advice_that_stays_does_not_change_what_can_be_pinned),
		EACH(what_is_there_is_pinned_without_a_fault),
		EACH(write_pins_by_the_fast_path_are_of_dirty_pages),
		EACH(holes_of_a_file_are_pages_of_its_own),
		EACH(map_populate_fails_for_nothing_that_is_missing),
		EACH(pins_of_pages_in_a_cut_do_not_wait_for_the_commit),
		EACH(dirty_releases_beside_commits_and_eviction_lose_nothing),
		EACH(a_page_is_tried_until_it_is_had_or_the_deadline_passes),
		EACH(pages_pinned_before_a_drop_stay_pinned),
		BOTH(populating_under_a_pin_keeps_the_page),
		BOTH(pins_beside_changes_are_of_the_page_that_was_asked_for),
	};

	return world_main(tests);
}
