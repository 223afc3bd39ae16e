/* SPDX-License-Identifier: MIT */
/*
 * commit_test.c - decision D11 through the public calls: what reaches the file, when, and what the
 * calls say.  On real files; on the fake disk where a disk has to fail.
 *
 * Each test is a sentence; the promise it shows stands above it.
 */
#include "world.h"

#include "host/fake.h"
#include "mm/journal.h"
#include "mm/machine.h"

#include <sys/mount.h>

static uint64_t dirty(struct world *w)
{
	return stats_of(w->m).dirty_pages;
}

static void commit_all(struct world *w)
{
	struct pinfold_report r = { .size = sizeof(r) };

	assert_ok(pinfold_commit(w->file, 0, 0, &r));
	assert_int_equal(r.flags, 0);
	assert_int_equal(r.nr_failed, 0);
}

/* Closes and opens again, with a machine that knows nothing. */
static void reopen(struct world *w, const struct kind *k, struct setup s)
{
	world_close(w);
	end_machine(w->m);
	w->m = new_machine(&s);
	world_open(w, k, &s);
}

/* ---- what reaches the file ------------------------------------------------------------------- */

/* D11: a dirty page reaches the file only at commit. */
static void nothing_reaches_the_file_before_commit(void **state)
{
	struct pinfold_report r = { .size = sizeof(r) };
	struct world w;

	WORLD(w, *state);
	for (unsigned p = 0; p < w.pages; p++)
		store_page(&w, 1, p);
	assert_int_equal(dirty(&w), w.pages);
	pinfold_reclaim(w.m, 10000);
	assert_ok(vm_munmap(w.mm, w.at, w.pages * PG));
	assert_ok(pinfold_checkpoint(w.file));
	for (unsigned p = 0; p < w.pages; p++)
		assert_true(disk_is(&w, 0, p));
	w.at = map(&w, 0, w.pages, RW);
	for (unsigned p = 0; p < w.pages; p++)
		assert_true(page_is(&w, 1, p));
	assert_ok(pinfold_commit(w.file, 0, 0, &r));
	assert_int_equal(r.pages, w.pages);
	assert_int_equal(r.pinned, 0);
	assert_true(r.flushes >= 1);
	assert_int_equal(r.home_bytes, w.pages * PG);
	assert_true(r.journal_bytes >= w.pages * PG);
	for (unsigned p = 0; p < w.pages; p++)
		assert_true(disk_is(&w, 1, p));
	assert_int_equal(dirty(&w), 0);
	world_end(&w);
}

/* D11: the pages of earlier commits are caught again at their next store. */
static void every_commit_writes_what_was_stored_since_the_last(void **state)
{
	struct world w;

	WORLD(w, *state);
	for (unsigned k = 1; k <= 20; k++) {
		store_page(&w, k, k % 3);
		store_page(&w, k, 8);
		assert_int_equal(dirty(&w), 2);
		assert_true(disk_is(&w, k - 1, 8));
		commit_all(&w);
		assert_int_equal(dirty(&w), 0);
		assert_true(disk_is(&w, k, 8));
		assert_true(disk_is(&w, k, k % 3));
	}
	reopen(&w, *state, (struct setup){ 0 });
	assert_true(page_is(&w, 20, 2));
	assert_true(page_is(&w, 19, 1));
	assert_true(page_is(&w, 18, 0));
	assert_true(page_is(&w, 20, 8));
	assert_true(page_is(&w, 0, 9));
	world_end(&w);
}

/* Header: 0 also when nothing was dirty. */
static void a_commit_of_nothing_is_good(void **state)
{
	struct pinfold_report r = { .size = sizeof(r) };
	struct world w;

	WORLD(w, *state);
	assert_true(page_is(&w, 0, 0));
	assert_ok(pinfold_commit(w.file, 0, 0, &r));
	assert_int_equal(r.pages, 0);
	assert_int_equal(r.journal_bytes + r.home_bytes, 0);
	world_end(&w);
}

/* Header: what was not committed is gone at close. */
static void close_drops_what_was_not_committed(void **state)
{
	struct world w;

	WORLD(w, *state);
	store_page(&w, 1, 0);
	commit_all(&w);
	store_page(&w, 2, 0);
	store_page(&w, 2, 1);
	reopen(&w, *state, (struct setup){ 0 });
	assert_true(page_is(&w, 1, 0));
	assert_true(page_is(&w, 0, 1));
	assert_true(disk_is(&w, 1, 0));
	world_end(&w);
}

/* Header: growth counts at once in this process, on disk with the next commit. */
static void growth_reaches_the_file_with_the_commit(void **state)
{
	struct world w;

	WORLD(w, *state, .pages = 2, .map_pages = 8);
	assert_int_equal(vfs_truncate(w.file, PG), -EOPNOTSUPP);
	assert_ok(vfs_truncate(w.file, 5 * PG + 100));
	assert_int_equal(pinfold_size(w.file), 5 * PG + 100);
	assert_int_equal(disk_size(&w), 2 * PG);
	store_page(&w, 1, 5);
	commit_all(&w);
	assert_int_equal(disk_size(&w), 5 * PG + 100);
	assert_true(disk_is(&w, 0, 1));
	assert_ok(vfs_truncate(w.file, 6 * PG));
	reopen(&w, *state, (struct setup){ .map_pages = 8 });
	assert_int_equal(pinfold_size(w.file), 5 * PG + 100);
	world_end(&w);
}

/* Header: only the pages of the range; offset and length are whole pages. */
static void a_range_commits_its_pages_only(void **state)
{
	struct pinfold_report r = { .size = sizeof(r) };
	struct world w;

	WORLD(w, *state);
	for (unsigned p = 0; p < 8; p++)
		store_page(&w, 1, p);
	assert_int_equal(pinfold_commit(w.file, 1, PG, NULL), -EINVAL);
	assert_int_equal(pinfold_commit(w.file, 0, 100, NULL), -EINVAL);
	assert_int_equal(pinfold_freeze(w.file, PG, ~0ul - 4095), -EINVAL);
	assert_ok(pinfold_commit(w.file, 2 * PG, 2 * PG, &r));
	assert_int_equal(r.pages, 2);
	assert_int_equal(dirty(&w), 6);
	for (unsigned p = 0; p < 8; p++)
		assert_true(disk_is(&w, p == 2 || p == 3, p));
	assert_ok(pinfold_commit(w.file, 5 * PG, 0, &r));
	assert_int_equal(r.pages, 3);
	assert_ok(pinfold_commit(w.file, 100 * PG, PG, &r));
	assert_int_equal(r.pages, 0);
	commit_all(&w);
	for (unsigned p = 0; p < 8; p++)
		assert_true(disk_is(&w, 1, p));
	world_end(&w);
}

/* A last page in part is written in part: the file keeps its size to the byte. */
static void a_short_last_page_is_written_short(void **state)
{
	char page[PG], old[PG];
	struct world w;

	WORLD(w, *state, .bytes = 2 * PG + 700);
	store_page(&w, 1, 2);
	store_page(&w, 1, 1);
	commit_all(&w);
	assert_int_equal(disk_size(&w), 2 * PG + 700);
	assert_int_equal(pread(w.fd, page, PG, 2 * PG), 700);
	fill(old, 1, 2);
	assert_memory_equal(page, old, 700);
	assert_true(disk_is(&w, 1, 1));
	world_end(&w);
}

/* ---- freeze and commit_wait ------------------------------------------------------------------ */

/* Header: numbers rise; a second freeze -EBUSY; not the current cut -ENOENT. */
static void cuts_have_numbers_and_there_is_one_at_a_time(void **state)
{
	struct pinfold_report r = { .size = sizeof(r) };
	int64_t a, b;
	struct world w;

	WORLD(w, *state);
	assert_int_equal(pinfold_commit_wait(w.file, 0, NULL), -ENOENT);
	assert_int_equal(pinfold_commit_wait(w.file, 1, NULL), -ENOENT);
	store_page(&w, 1, 0);
	a = pinfold_freeze(w.file, 0, 0);
	assert_true(a > 0);
	assert_int_equal(pinfold_freeze(w.file, 0, 0), -EBUSY);
	assert_int_equal(pinfold_commit(w.file, 0, 0, NULL), -EBUSY);
	assert_int_equal(pinfold_commit_wait(w.file, a + 1, NULL), -ENOENT);
	assert_ok(vm_munmap(w.mm, w.at, w.pages * PG));
	assert_int_equal(pinfold_close(w.file), -EBUSY); /* in a cut */
	assert_true(disk_is(&w, 0, 0));
	assert_ok(pinfold_commit_wait(w.file, a, &r));
	assert_int_equal(r.cut, a);
	assert_int_equal(pinfold_commit_wait(w.file, a, NULL), -ENOENT);
	b = pinfold_freeze(w.file, 0, 0);
	assert_true(b > a);
	assert_ok(pinfold_commit_wait(w.file, b, NULL));
	world_end(&w);
}

/* D11 steps 2, 3: the cut is what was there at the freeze; a store saves it first. */
static void a_store_behind_the_freeze_is_not_in_the_cut(void **state)
{
	struct pinfold_report r = { .size = sizeof(r) };
	int64_t cut;
	struct world w;

	WORLD(w, *state);
	for (unsigned p = 0; p < 6; p++)
		store_page(&w, 1, p);
	cut = pinfold_freeze(w.file, 0, 0);
	assert_true(cut > 0);
	for (unsigned p = 2; p < 8; p++)
		store_page(&w, 2, p);
	assert_int_equal(dirty(&w), 12);
	assert_ok(pinfold_commit_wait(w.file, cut, &r));
	assert_int_equal(r.pages, 6);
	assert_int_equal(r.claimed_by_writers, 4);
	for (unsigned p = 0; p < 8; p++)
		assert_true(disk_is(&w, p < 6, p));
	assert_int_equal(dirty(&w), 6);
	for (unsigned p = 2; p < 8; p++)
		assert_true(page_is(&w, 2, p));
	commit_all(&w);
	for (unsigned p = 2; p < 8; p++)
		assert_true(disk_is(&w, 2, p));
	world_end(&w);
}

struct job {
	struct world *w;
	_Atomic int stage;
	_Atomic int stop;
	int result;
	int64_t cut;
};

static void *store_later(void *arg)
{
	struct job *j = arg;

	j->result = pinfold_use_mm(j->w->mm);
	atomic_store(&j->stage, 1);
	wait_for(&j->stop, 1);
	for (unsigned p = 0; p < 4; p++)
		store_page(j->w, 2, p);
	atomic_store(&j->stage, 2);
	return NULL;
}

/* D11 step 3: the first thread that stores claims; it does not wait for the I/O. */
static void another_thread_stores_while_the_cut_is_frozen(void **state)
{
	struct pinfold_report r = { .size = sizeof(r) };
	struct job j = { 0 };
	pthread_t t;
	struct world w;

	WORLD(w, *state);
	j.w = &w;
	pthread_create(&t, NULL, store_later, &j);
	for (unsigned p = 0; p < 4; p++)
		store_page(&w, 1, p);
	assert_true(wait_for(&j.stage, 1));
	j.cut = pinfold_freeze(w.file, 0, 0);
	atomic_store(&j.stop, 1);
	assert_true(wait_for(&j.stage, 2));
	pthread_join(t, NULL);
	assert_ok(pinfold_commit_wait(w.file, j.cut, &r));
	assert_int_equal(r.claimed_by_writers, 4);
	for (unsigned p = 0; p < 4; p++)
		assert_true(disk_is(&w, 1, p) && page_is(&w, 2, p));
	world_end(&w);
}

/* D11 step 3: no frame left for a copy: the store waits for the committer's claim, and goes on. */
static void a_store_without_a_frame_for_its_copy_waits_for_the_committer(void **state)
{
	enum { N = 200 };
	struct job j = { 0 };
	pthread_t t;
	struct world w;

	WORLD(w, *state, .pages = N, .staging = 16 * PG, .deadline_ms = 20000);
	for (unsigned p = 0; p < N; p++)
		store_page(&w, 1, p);
	j.w = &w;
	j.cut = pinfold_freeze(w.file, 0, 0);
	assert_true(j.cut > 0);
	for (unsigned p = 100; p < 116; p++)
		store_page(&w, 2, p); /* uses the frames up */
	pthread_create(&t, NULL, store_later, &j);
	assert_true(wait_for(&j.stage, 1));
	atomic_store(&j.stop, 1);
	nap_ms(50);
	assert_int_equal(atomic_load(&j.stage), 1);
	assert_ok(pinfold_commit_wait(w.file, j.cut, NULL));
	assert_true(wait_for(&j.stage, 2));
	pthread_join(t, NULL);
	for (unsigned p = 0; p < N; p++)
		assert_true(disk_is(&w, 1, p));
	assert_true(page_is(&w, 2, 0) && page_is(&w, 2, 115));
	world_end(&w);
}

static void *count_in_order(void *arg)
{
	struct job *j = arg;
	volatile uint64_t *a = (uint64_t *)j->w->at, *b = (uint64_t *)(j->w->at + 9 * PG);

	for (uint64_t i = 1; !atomic_load(&j->stop); i++) {
		*a = i;
		*b = i;
		atomic_store(&j->stage, 1);
	}
	return NULL;
}

/* D11 step 2, experiments/cut.c: without sections the cut keeps each thread's program order. */
static void a_cut_keeps_program_order(void **state)
{
	struct job j = { 0 };
	pthread_t t;
	uint64_t a, b, last = 0;
	struct world w;

	WORLD(w, *state);
	*(uint64_t *)w.at = *(uint64_t *)(w.at + 9 * PG) = 0;
	j.w = &w;
	pthread_create(&t, NULL, count_in_order, &j);
	assert_true(wait_for(&j.stage, 1));
	for (int k = 0; k < 150; k++) {
		commit_all(&w);
		assert_int_equal(pread(w.fd, &a, 8, 0), 8);
		assert_int_equal(pread(w.fd, &b, 8, 9 * PG), 8);
		if (b > a || a > b + 1 || a < last)
			fail_msg("commit %d: %lu then %lu, before %lu", k, a, b, last);
		last = a;
	}
	atomic_store(&j.stop, 1);
	pthread_join(t, NULL);
	assert_true(last > 0);
	world_end(&w);
}

static void *drop_translations(void *arg)
{
	struct job *j = arg;

	while (!atomic_load(&j->stop))
		j->result |= vm_madvise(j->w->mm, j->w->at, j->w->pages * PG, PINFOLD_MADV_DONTNEED);
	return NULL;
}

static void *reclaim_often(void *arg)
{
	struct job *j = arg;

	while (!atomic_load(&j->stop))
		pinfold_reclaim(j->w->m, 4);
	return NULL;
}

static void *store_at_random(void *arg)
{
	struct job *j = arg;
	uint32_t r = 1;

	for (uint64_t i = 1; !atomic_load(&j->stop); i++) {
		r = r * 1664525 + 1013904223;
		*(volatile uint64_t *)(j->w->at + (r >> 28) * PG) = i;
	}
	return NULL;
}

/*
 * Decision D5: remove is slot, drop, only then copy: a translation that is being dropped while a cut
 * is fixed must not let a store pass unseen.  What memory holds at the end is what the file gets.
 */
static void stores_are_not_lost_beside(void *(*other)(void *), const struct kind *k)
{
	struct job drop = { 0 }, store = { 0 };
	pthread_t t[2];
	char page[PG];
	struct world w;

	WORLD(w, k);
	drop.w = store.w = &w;
	for (int round = 0; round < 30; round++) {
		atomic_store(&drop.stop, 0);
		atomic_store(&store.stop, 0);
		pthread_create(&t[0], NULL, other, &drop);
		pthread_create(&t[1], NULL, store_at_random, &store);
		for (int i = 0; i < 5; i++)
			commit_all(&w);
		atomic_store(&store.stop, 1);
		pthread_join(t[1], NULL);
		atomic_store(&drop.stop, 1);
		pthread_join(t[0], NULL);
		commit_all(&w);
		for (unsigned p = 0; p < w.pages; p++) {
			assert_int_equal(pread(w.fd, page, PG, (off_t)(p * PG)), PG);
			if (memcmp(page, (void *)(w.at + p * PG), PG))
				fail_msg("round %d: page %u in memory is not what was committed",
				         round, p);
		}
	}
	assert_ok(drop.result);
	world_end(&w);
}

static void stores_beside_dontneed_and_freeze_are_not_lost(void **state)
{
	stores_are_not_lost_beside(drop_translations, *state);
}

static void stores_beside_reclaim_and_freeze_are_not_lost(void **state)
{
	stores_are_not_lost_beside(reclaim_often, *state);
}

/* ---- write sections -------------------------------------------------------------------------- */

/* Header: -EDEADLK inside a section of the same file, for commits of any; sections nest by file. */
static void sections_refuse_what_would_deadlock(void **state)
{
	const struct kind *k = *state;
	struct world a, b;

	WORLD(a, k);
	WORLD(b, k);
	assert_int_equal(pinfold_write_end(a.file), -EINVAL);
	assert_ok(pinfold_write_begin(a.file, PG));
	assert_int_equal(pinfold_write_begin(a.file, PG), -EDEADLK);
	assert_int_equal(pinfold_freeze(a.file, 0, 0), -EDEADLK);
	assert_int_equal(pinfold_commit(a.file, 0, 0, NULL), -EDEADLK);
	assert_int_equal(pinfold_commit_wait(a.file, 1, NULL), -EDEADLK);
	assert_int_equal(pinfold_checkpoint(a.file), -EDEADLK);
	assert_ok(pinfold_write_begin(b.file, PG));
	assert_int_equal(pinfold_commit(b.file, 0, 0, NULL), -EDEADLK);
	assert_ok(vm_munmap(a.mm, a.at, a.pages * PG));
	assert_int_equal(pinfold_close(a.file), -EBUSY); /* inside a write section */
	assert_ok(pinfold_write_end(a.file));
	assert_ok(pinfold_write_end(b.file));
	assert_int_equal(pinfold_write_end(b.file), -EINVAL);
	mmap_read_lock(a.mm);
	assert_int_equal(pinfold_write_begin(a.file, PG), -EDEADLK);
	mmap_read_unlock(a.mm);
	assert_int_equal(dirty(&a) + dirty(&b), 0);
	commit_all(&a);
	world_end(&b);
	world_end(&a);
}

/* Header: begin reserves, end gives back what was not used; over the limit -ENOSPC. */
static void begin_reserves_and_end_gives_back(void **state)
{
	struct world w;

	WORLD(w, *state, .dirty_limit = 8 * PG);
	assert_int_equal(pinfold_write_begin(w.file, 8 * PG + 1), -ENOSPC);
	assert_int_equal(dirty(&w), 0);
	assert_ok(pinfold_write_begin(w.file, 3 * PG + 1));
	assert_int_equal(dirty(&w), 4);
	store_page(&w, 1, 0);
	store_page(&w, 1, 1);
	store_page(&w, 2, 1);
	assert_int_equal(dirty(&w), 4);
	assert_ok(pinfold_write_end(w.file));
	assert_int_equal(dirty(&w), 2);
	assert_int_equal(pinfold_write_begin(w.file, 7 * PG), -ENOSPC);
	assert_ok(pinfold_write_begin(w.file, 6 * PG));
	assert_ok(pinfold_write_end(w.file));
	commit_all(&w);
	assert_ok(pinfold_write_begin(w.file, 8 * PG));
	assert_ok(pinfold_write_end(w.file));
	assert_ok(pinfold_write_begin(w.file, 0));
	assert_ok(pinfold_write_end(w.file));
	world_end(&w);
}

static void *freeze_and_write(void *arg)
{
	struct job *j = arg;

	atomic_store(&j->stage, 1);
	j->cut = pinfold_freeze(j->w->file, 0, 0);
	atomic_store(&j->stage, 2);
	j->result = pinfold_commit_wait(j->w->file, j->cut, NULL);
	return NULL;
}

/* Header: stores between begin and end are in one cut: a freeze waits for the end. */
static void a_freeze_waits_for_the_end_of_a_section(void **state)
{
	struct job j = { 0 };
	pthread_t t;
	struct world w;

	WORLD(w, *state);
	j.w = &w;
	assert_ok(pinfold_write_begin(w.file, 2 * PG));
	store_page(&w, 1, 0);
	pthread_create(&t, NULL, freeze_and_write, &j);
	assert_true(wait_for(&j.stage, 1));
	nap_ms(50);
	assert_int_equal(atomic_load(&j.stage), 1);
	store_page(&w, 1, 1);
	assert_ok(pinfold_write_end(w.file));
	assert_true(wait_for(&j.stage, 2));
	pthread_join(t, NULL);
	assert_ok(j.result);
	assert_true(disk_is(&w, 1, 0) && disk_is(&w, 1, 1));
	world_end(&w);
}

static void *transfer(void *arg)
{
	struct job *j = arg;

	j->result = pinfold_use_mm(j->w->mm);
	for (uint64_t i = 1; !atomic_load(&j->stop) && !j->result; i++) {
		j->result = pinfold_write_begin(j->w->file, 2 * PG);
		for (int half = 0; half < 2 && !j->result; half++)
			if (access_process_vm(j->w->mm, j->w->at + (half ? 5 * PG : 0), &i, 8,
			                      FOLL_WRITE) != 8)
				j->result = -EIO;
		if (!j->result)
			j->result = pinfold_write_end(j->w->file);
		atomic_store(&j->stage, 1);
	}
	return NULL;
}

/* Header: all of a section or nothing of it. */
static void a_section_is_in_a_cut_whole(void **state)
{
	struct job j = { 0 };
	uint64_t a, b, last = 0;
	pthread_t t;
	struct world w;

	WORLD(w, *state);
	j.w = &w;
	commit_all(&w);
	pthread_create(&t, NULL, transfer, &j);
	assert_true(wait_for(&j.stage, 1));
	for (int k = 0; k < 60; k++) {
		commit_all(&w);
		assert_int_equal(pread(w.fd, &a, 8, 0), 8);
		assert_int_equal(pread(w.fd, &b, 8, 5 * PG), 8);
		if (a != b || a < last)
			fail_msg("commit %d: %lu and %lu, before %lu", k, a, b, last);
		last = a;
	}
	atomic_store(&j.stop, 1);
	pthread_join(t, NULL);
	assert_ok(j.result);
	world_end(&w);
}

/* ---- the limit of dirty pages ---------------------------------------------------------------- */

struct policy {
	_Atomic int calls;
	int error, write;
	uint64_t offset;
};

/* Runs in signal context.  Anything but 0: the signal goes to the application. */
static int note_policy(void *arg, const struct pinfold_fault *f)
{
	struct policy *p = arg;

	p->error = f->error;
	p->write = f->write;
	p->offset = f->offset;
	atomic_fetch_add(&p->calls, 1);
	return 1;
}

/* D11 step 1: inside a section a store beyond the reservation never waits. */
static void a_store_beyond_the_limit_inside_a_section_fails_at_once(void **state)
{
	struct policy p = { 0 };
	struct page *page;
	uint64_t start;
	struct world w;

	WORLD(w, *state, .dirty_limit = 4 * PG, .deadline_ms = 20000, .policy = note_policy,
	      .policy_arg = &p);
	assert_ok(pinfold_write_begin(w.file, 4 * PG));
	for (unsigned i = 0; i < 4; i++)
		store_page(&w, 1, i);
	start = now_ms();
	assert_int_equal(get_user_pages_fast(w.at + 4 * PG, 1, FOLL_WRITE, &page), -ENOSPC);
	assert_int_equal(last_error(), -ENOSPC);
	if (w.window) {
		assert_int_equal(signal_of(*(volatile char *)(w.at + 5 * PG) = 1), SIGBUS);
		assert_int_equal(p.calls, 1);
		assert_int_equal(p.error, -ENOSPC);
		assert_int_equal(p.write, 1);
		assert_int_equal(p.offset, 5 * PG);
	}
	assert_true(now_ms() - start < 5000);
	store_page(&w, 2, 0); /* dirty already: goes on */
	assert_ok(pinfold_write_end(w.file));
	assert_true(disk_is(&w, 0, 0));
	commit_all(&w);
	assert_true(disk_is(&w, 2, 0) && disk_is(&w, 1, 3) && disk_is(&w, 0, 5));
	world_end(&w);
}

/* Issue 2: a store without reservation waits for another thread's commit. */
static void a_store_beyond_the_limit_waits_for_a_commit(void **state)
{
	struct job j = { 0 };
	pthread_t t;
	struct world w;

	WORLD(w, *state, .dirty_limit = 4 * PG, .deadline_ms = 20000);
	for (unsigned i = 8; i < 12; i++)
		store_page(&w, 1, i);
	j.w = &w;
	atomic_store(&j.stop, 1);
	pthread_create(&t, NULL, store_later, &j);
	assert_true(wait_for(&j.stage, 1));
	nap_ms(50);
	assert_int_equal(atomic_load(&j.stage), 1);
	assert_int_equal(dirty(&w), 4);
	commit_all(&w);
	assert_true(wait_for(&j.stage, 2));
	pthread_join(t, NULL);
	assert_true(disk_is(&w, 1, 11) && disk_is(&w, 0, 0));
	commit_all(&w);
	assert_true(disk_is(&w, 2, 3));
	world_end(&w);
}

/*
 * Issue 2: up to a deadline, then the fault policy (the default is SIGBUS); never a silent write.
 */
static void a_store_beyond_the_limit_fails_after_the_deadline(void **state)
{
	struct page *page;
	uint64_t start;
	struct world w;

	WORLD(w, *state, .dirty_limit = 2 * PG, .deadline_ms = 100);
	store_page(&w, 1, 0);
	store_page(&w, 1, 1);
	start = now_ms();
	assert_int_equal(get_user_pages_fast(w.at + 2 * PG, 1, FOLL_WRITE, &page), -ENOSPC);
	assert_true(now_ms() - start >= 90);
	if (w.window) {
		assert_int_equal(signal_of(*(volatile char *)(w.at + 3 * PG) = 1), SIGBUS);
		assert_int_equal(last_error(), -ENOSPC);
	}
	assert_true(page_is(&w, 0, 2) && page_is(&w, 0, 3));
	assert_true(disk_is(&w, 0, 0) && disk_is(&w, 0, 3));
	world_end(&w);
}

/* ---- pins ------------------------------------------------------------------------------------ */

/*
 * Issue 2: under a write pin a commit writes a copy; nothing written through the pin is ever lost.
 */
static void a_page_under_a_write_pin_is_copied_and_stays_dirty(void **state)
{
	struct pinfold_report r = { .size = sizeof(r) };
	struct page *page;
	struct world w;

	WORLD(w, *state);
	page = pin_one(w.at, FOLL_WRITE);
	fill(page_address(page), 1, 0);
	store_page(&w, 1, 1);
	assert_ok(pinfold_commit(w.file, 0, 0, &r));
	assert_int_equal(r.pages, 2);
	assert_int_equal(r.pinned, 1);
	assert_true(disk_is(&w, 1, 0) && disk_is(&w, 1, 1));
	assert_int_equal(dirty(&w), 1);
	fill(page_address(page), 2, 0); /* the device goes on */
	assert_true(disk_is(&w, 1, 0));
	pinfold_reclaim(w.m, 10000);
	assert_ok(put_user_page(page)); /* and nobody says dirty */
	assert_ok(pinfold_commit(w.file, 0, 0, &r));
	assert_int_equal(r.pages, 1);
	assert_int_equal(r.pinned, 0);
	assert_true(disk_is(&w, 2, 0));
	assert_int_equal(dirty(&w), 0);
	world_end(&w);
}

/*
 * The same between freeze and commit_wait: the cut may hold either, later content reaches the next.
 */
static void device_writes_behind_a_freeze_reach_the_next_commit(void **state)
{
	struct page *page;
	int64_t cut;
	struct world w;

	WORLD(w, *state);
	page = pin_one(w.at, FOLL_WRITE);
	fill(page_address(page), 1, 0);
	cut = pinfold_freeze(w.file, 0, 0);
	assert_true(cut > 0);
	fill(page_address(page), 2, 0);
	assert_ok(put_user_page(page));
	assert_ok(pinfold_commit_wait(w.file, cut, NULL));
	assert_true(disk_is(&w, 1, 0) || disk_is(&w, 2, 0));
	commit_all(&w);
	assert_true(disk_is(&w, 2, 0));
	world_end(&w);
}

/* Decision D3: read pins say nothing about stores. */
static void a_read_pin_does_not_keep_a_page_dirty(void **state)
{
	struct pinfold_report r = { .size = sizeof(r) };
	struct page *page;
	struct world w;

	WORLD(w, *state);
	page = pin_one(w.at, 0);
	store_page(&w, 1, 1);
	if (w.window) /* stored by the CPU under the read pin */
		store_page(&w, 1, 0);
	assert_ok(pinfold_commit(w.file, 0, 0, &r));
	assert_int_equal(r.pinned, 0);
	assert_int_equal(dirty(&w), 0);
	assert_ok(put_user_page(page));
	world_end(&w);
}

struct device {
	struct world *w;
	_Atomic int stop, writes;
	unsigned first;
	uint64_t last[4]; /* what was written to each of its pages */
	int bad;
};

/* Writes whole pages under short write pins and never says dirty. */
static void *device_writes(void *arg)
{
	struct device *d = arg;
	struct page *page;
	uint32_t r = d->first + 1;

	d->bad = pinfold_use_mm(d->w->mm);
	for (uint64_t k = 1; !atomic_load(&d->stop) && !d->bad; k++) {
		unsigned i = (r = r * 1664525 + 1013904223) >> 30;

		d->bad = get_user_pages_fast(d->w->at + (d->first + i) * PG, 1, FOLL_WRITE, &page) != 1;
		if (d->bad)
			break;
		fill(page_address(page), k, d->first + i);
		d->last[i] = k;
		d->bad = put_user_page(page);
		atomic_fetch_add(&d->writes, 1);
	}
	return NULL;
}

/*
 * Issue 2: nothing written through a pin is ever lost, whatever commits and reclaim do meanwhile.
 */
static void device_writes_are_not_lost_beside_commits(void **state)
{
	struct device d[2] = { 0 };
	pthread_t t[2];
	struct world w;

	WORLD(w, *state, .pages = 8);
	for (unsigned i = 0; i < 2; i++) {
		d[i].w = &w;
		d[i].first = 4 * i;
	}
	for (int round = 0; round < 15; round++) {
		for (int i = 0; i < 2; i++) {
			atomic_store(&d[i].stop, 0);
			atomic_store(&d[i].writes, 0);
			pthread_create(&t[i], NULL, device_writes, &d[i]);
		}
		assert_true(wait_for(&d[0].writes, 4) && wait_for(&d[1].writes, 4));
		for (int k = 0; k < 5; k++) {
			commit_all(&w);
			pinfold_reclaim(w.m, 4);
		}
		for (int i = 0; i < 2; i++) {
			atomic_store(&d[i].stop, 1);
			pthread_join(t[i], NULL);
			assert_ok(d[i].bad);
		}
		commit_all(&w);
		assert_int_equal(dirty(&w), 0);
		for (unsigned p = 0; p < 8; p++)
			assert_true(disk_is(&w, d[p / 4].last[p % 4], p));
	}
	world_end(&w);
}

static void *put_later(void *arg)
{
	struct job *j = arg;
	struct page *page;

	j->result = pinfold_use_mm(j->w->mm) ? -1 :
	            get_user_pages_fast(j->w->at, 1, FOLL_WRITE, &page);
	if (j->result != 1)
		return NULL;
	atomic_store(&j->stage, 1);
	nap_ms(80);
	/* the holder's own thread can still fault and store while the freeze waits */
	if (j->w->window)
		fill((void *)(j->w->at + 7 * PG), 4, 7);
	fill(page_address(page), 3, 0);
	j->result = put_user_page(page);
	atomic_store(&j->stage, 2);
	return NULL;
}

/* Header, PIN_WAIT: -EBUSY when a write pin does not go away in time; nothing changed. */
static void pin_wait_gives_up_at_the_deadline(void **state)
{
	struct page *page;
	uint64_t start;
	struct world w;

	WORLD(w, *state, .file_flags = PINFOLD_FILE_PIN_WAIT, .deadline_ms = 100);
	page = pin_one(w.at, FOLL_WRITE);
	fill(page_address(page), 1, 0);
	start = now_ms();
	assert_int_equal(pinfold_commit(w.file, 0, 0, NULL), -EBUSY);
	assert_true(now_ms() - start >= 90);
	assert_int_equal(dirty(&w), 1);
	assert_true(disk_is(&w, 0, 0));
	store_page(&w, 2, 1); /* pins work again */
	assert_ok(put_user_page(page));
	commit_all(&w);
	assert_true(disk_is(&w, 1, 0) && disk_is(&w, 2, 1));
	world_end(&w);
}

/* Header, PIN_WAIT: waits for the put, and the cut holds what was written until then. */
static void pin_wait_commits_behind_the_put(void **state)
{
	struct pinfold_report r = { .size = sizeof(r) };
	struct job j = { 0 };
	pthread_t t;
	struct world w;

	WORLD(w, *state, .file_flags = PINFOLD_FILE_PIN_WAIT, .deadline_ms = 20000);
	j.w = &w;
	pthread_create(&t, NULL, put_later, &j);
	assert_true(wait_for(&j.stage, 1));
	assert_ok(pinfold_commit(w.file, 0, 0, &r));
	assert_int_equal(atomic_load(&j.stage), 2);
	assert_int_equal(r.pinned, 0);
	pthread_join(t, NULL);
	assert_ok(j.result);
	assert_true(disk_is(&w, 3, 0));
	assert_int_equal(dirty(&w), 0);
	if (w.window)
		assert_true(disk_is(&w, 4, 7));
	store_page(&w, 5, 0);
	commit_all(&w);
	world_end(&w);
}

/* ---- other files ----------------------------------------------------------------------------- */

/* Header, NO_JOURNAL: 0 means in the file; no file beside it. */
static void without_a_journal_commits_go_straight_into_the_file(void **state)
{
	struct pinfold_report r = { .size = sizeof(r) };
	int64_t cut;
	struct world w;

	WORLD(w, *state, .pages = 3, .map_pages = 6, .file_flags = PINFOLD_FILE_NO_JOURNAL);
	store_page(&w, 1, 0);
	assert_ok(vfs_truncate(w.file, 5 * PG));
	store_page(&w, 1, 4);
	assert_true(disk_is(&w, 0, 0));
	cut = pinfold_freeze(w.file, 0, 0);
	store_page(&w, 2, 0);
	assert_ok(pinfold_commit_wait(w.file, cut, &r));
	assert_int_equal(r.journal_bytes, 0);
	assert_false(exists(w.path, ".pinfold"));
	assert_int_equal(disk_size(&w), 5 * PG);
	assert_true(disk_is(&w, 1, 0) && disk_is(&w, 1, 4));
	commit_all(&w);
	assert_true(disk_is(&w, 2, 0));
	assert_ok(pinfold_checkpoint(w.file));
	world_end(&w);
}

/* Header, ASYNC_WP: no write faults; the cut is copied while the sections are held off. */
static void asynchronous_windows_commit_what_was_stored_in_sections(void **state)
{
	struct pinfold_report r = { .size = sizeof(r) };
	struct pinfold_stats before;
	int64_t cut;
	struct world w;

	WORLD(w, *state, .file_flags = PINFOLD_FILE_ASYNC_WP);
	for (unsigned p = 0; p < w.pages; p++)
		assert_true(page_is(&w, 0, p));
	before = stats_of(w.m);
	for (unsigned k = 1; k < 10; k++) {
		assert_ok(pinfold_write_begin(w.file, 4 * PG));
		for (unsigned p = 3; p < 7; p++)
			store_page(&w, k, p);
		assert_ok(pinfold_write_end(w.file));
		cut = pinfold_freeze(w.file, 0, 0);
		assert_true(cut > 0);
		assert_ok(pinfold_write_begin(w.file, PG));
		store_page(&w, k + 100, 3);
		assert_ok(pinfold_write_end(w.file));
		assert_true(disk_is(&w, k - 1, 6));
		assert_ok(pinfold_commit_wait(w.file, cut, &r));
		assert_int_equal(r.pages, 4);
		for (unsigned p = 3; p < 7; p++)
			assert_true(disk_is(&w, k, p));
		assert_true(page_is(&w, k + 100, 3));
	}
	assert_int_equal(stats_of(w.m).faults_write, before.faults_write);
	commit_all(&w);
	assert_true(disk_is(&w, 109, 3));
	assert_int_equal(dirty(&w), 0);
	world_end(&w);
}

/* ASYNC_WP needs frames at the file's offsets; eviction does not lose a store. */
static void asynchronous_windows_survive_reclaim(void **state)
{
	struct world w;

	WORLD(w, *state, .pages = 64, .file_flags = PINFOLD_FILE_ASYNC_WP);
	assert_ok(pinfold_write_begin(w.file, 16 * PG));
	for (unsigned p = 0; p < 64; p += 4)
		store_page(&w, 1, p);
	for (unsigned p = 1; p < 64; p += 4)
		assert_true(page_is(&w, 0, p));
	for (int i = 0; i < 4; i++)
		pinfold_reclaim(w.m, 10000);
	for (unsigned p = 0; p < 64; p++)
		assert_true(is_filled((void *)(w.at + p * PG), p % 4 == 0, p));
	assert_ok(pinfold_write_end(w.file));
	commit_all(&w);
	for (unsigned p = 0; p < 64; p++)
		assert_true(disk_is(&w, p % 4 == 0, p));
	world_end(&w);
}

/* Two files of a machine, two committers: one after the other, both right. */
static void *commit_often(void *arg)
{
	struct job *j = arg;

	j->result = pinfold_use_mm(j->w->mm);
	for (unsigned k = 1; k <= 20 && !j->result; k++) {
		store_page(j->w, k, k % 16);
		j->result = pinfold_commit(j->w->file, 0, 0, NULL);
		if (!disk_is(j->w, k, k % 16))
			j->result = -EIO;
	}
	return NULL;
}

static void two_files_commit_side_by_side(void **state)
{
	const struct kind *k = *state;
	struct job j[2] = { 0 };
	struct world a, b;
	pthread_t t;

	WORLD(a, k);
	b = a;
	new_path(b.path, sizeof(b.path));
	b.fd = new_file(b.path, 16 * PG, false);
	world_open(&b, k, &(struct setup){ .pages = 16 });
	j[0].w = &a;
	j[1].w = &b;
	pthread_create(&t, NULL, commit_often, &j[0]);
	commit_often(&j[1]);
	pthread_join(t, NULL);
	assert_ok(j[0].result);
	assert_ok(j[1].result);
	world_close(&b);
	close(b.fd);
	unlink(b.path);
	world_end(&a);
}

/* Header: closed files, wrong handles. */
static void commit_calls_on_a_closed_file_say_so(void **state)
{
	struct pinfold_file *gone;
	struct world w;

	WORLD(w, *state);
	assert_ok(pinfold_open_memory(w.m, PG, NULL, &gone));
	assert_ok(pinfold_close(gone));
	assert_int_equal(pinfold_close(gone), -EBADF);
	assert_int_equal(pinfold_write_begin(gone, 1), -EBADF);
	assert_int_equal(pinfold_write_end(gone), -EBADF);
	assert_int_equal(pinfold_freeze(gone, 0, 0), -EBADF);
	assert_int_equal(pinfold_commit_wait(gone, 1, NULL), -EBADF);
	assert_int_equal(pinfold_commit(gone, 0, 0, NULL), -EBADF);
	assert_int_equal(pinfold_checkpoint(gone), -EBADF);
	assert_int_equal(pinfold_size(gone), -EBADF);
	assert_int_equal(vfs_truncate(gone, 2 * PG), -EBADF);
	assert_int_equal(pinfold_commit(NULL, 0, 0, NULL), -EBADF);
	world_end(&w);
}

/* Memory files: nothing to commit, never an error. */
static void a_memory_file_has_nothing_to_commit(void **state)
{
	const struct kind *k = *state;
	struct pinfold_file_options fo = { .size = sizeof(fo), .flags = k->flags };
	struct pinfold_report r = { .size = sizeof(r) };
	struct world w;

	WORLD(w, k);
	world_close(&w);
	assert_ok(pinfold_open_memory(w.m, 4 * PG, &fo, &w.file));
	assert_ok(pinfold_mm_create(w.m, k->window, &w.mm));
	w.at = map(&w, 0, 4, RW);
	assert_ok(pinfold_use_mm(w.mm));
	store_page(&w, 1, 3);
	assert_int_equal(dirty(&w), 0);
	assert_ok(pinfold_commit(w.file, 0, 0, &r));
	assert_int_equal(r.pages, 0);
	pinfold_reclaim(w.m, 100000);
	assert_true(page_is(&w, 1, 3));
	assert_ok(pinfold_checkpoint(w.file));
	world_end(&w);
}

/* ---- disks that fail ------------------------------------------------------------------------- */

struct fake_world {
	struct world w;
	struct host_disk *disk;
};

static bool fake_is(struct fake_world *f, uint64_t seed, uint64_t p)
{
	char page[PG];

	return fake_disk_read(f->disk, "data", page, PG, p * PG) == (int64_t)PG &&
	       is_filled(page, seed, p);
}

/* A file of 8 pages with seed 0, committed and home. */
static void fake_start(struct fake_world *f, const struct kind *k, unsigned flags)
{
	struct pinfold_options o = {
		.size = sizeof(o), .memory = 8 * MIB, .pool = 4 * MIB, .deadline_ms = 1000,
	};
	struct setup s = { .file_flags = flags | PINFOLD_FILE_CREATE, .map_pages = 16 };

	if (k->window == PINFOLD_WINDOW_DIRECT)
		need_window();
	arm_signals();
	memset(f, 0, sizeof(*f));
	f->disk = fake_disk_create(1);
	f->w.pages = 8;
	strcpy(f->w.path, "data");
	assert_ok(machine_create_on(f->disk, &o, &f->w.m));
	world_open(&f->w, k, &s);
	assert_ok(vfs_truncate(f->w.file, 8 * PG));
	for (unsigned p = 0; p < 8; p++)
		store_page(&f->w, 0, p);
	assert_ok(pinfold_commit(f->w.file, 0, 0, NULL));
	assert_ok(pinfold_checkpoint(f->w.file));
}

static void fake_end(struct fake_world *f)
{
	world_close(&f->w);
	end_machine(f->w.m);
	fake_disk_destroy(f->disk);
}

/* D11: before the commit point an error leaves file and journal old, and a retry may succeed. */
static void a_full_disk_leaves_the_file_old_and_a_retry_succeeds(void **state)
{
	struct pinfold_report r = { .size = sizeof(r) };
	struct fake_world f;

	fake_start(&f, *state, 0);
	assert_ok(vfs_truncate(f.w.file, 16 * PG));
	for (unsigned p = 0; p < 16; p++)
		store_page(&f.w, 1, p);
	fake_disk_fail(f.disk, 1 << FAKE_WRITE, 1, ENOSPC, true);
	assert_int_equal(pinfold_commit(f.w.file, 0, 0, &r), -ENOSPC);
	assert_true(r.nr_failed >= 1);
	assert_int_equal(r.failed[0].error, -ENOSPC);
	assert_int_equal(dirty(&f.w), 16);
	for (unsigned p = 0; p < 8; p++)
		assert_true(fake_is(&f, 0, p));
	assert_int_equal(fake_disk_file_size(f.disk, "data"), 8 * PG);
	assert_int_equal(pinfold_commit(f.w.file, 0, 0, &r), -ENOSPC);
	store_page(&f.w, 2, 3);
	fake_disk_fail(f.disk, 0, 0, 0, false);
	assert_ok(pinfold_commit(f.w.file, 0, 0, &r));
	assert_int_equal(r.pages, 16);
	for (unsigned p = 0; p < 16; p++)
		assert_true(fake_is(&f, p == 3 ? 2 : 1, p));
	fake_end(&f);
}

/* One operation of a commit fails: the outcome is one of D11's, and the retry brings all. */
static bool one_failing_operation(const struct kind *k, unsigned flags, unsigned long nth, bool forever)
{
	struct pinfold_report r = { .size = sizeof(r) };
	struct fake_world f;
	int err;
	bool hit;

	fake_start(&f, k, flags);
	for (unsigned p = 2; p < 6; p++)
		store_page(&f.w, 1, p);
	fake_disk_fail(f.disk, 0xff, nth, EIO, forever);
	err = pinfold_commit(f.w.file, 0, 0, &r);
	hit = err || r.flags;
	fake_disk_fail(f.disk, 0, 0, 0, false);
	assert_true(err == 0 || err == -EIO);
	if (err && !(flags & PINFOLD_FILE_NO_JOURNAL))
		for (unsigned p = 0; p < 8; p++)
			assert_true(fake_is(&f, 0, p));
	assert_int_equal(dirty(&f.w), err ? 4 : 0);
	if (!err)
		for (unsigned p = 2; p < 6; p++)
			assert_true(page_is(&f.w, 1, p));
	store_page(&f.w, 2, 5);
	assert_ok(pinfold_commit(f.w.file, 0, 0, &r));
	assert_ok(pinfold_checkpoint(f.w.file));
	for (unsigned p = 0; p < 8; p++)
		assert_true(fake_is(&f, p < 2 || p > 5 ? 0 : p == 5 ? 2 : 1, p));
	fake_end(&f);
	return hit;
}

static void any_failing_write_or_flush_of_a_commit_is_survived(void **state)
{
	for (unsigned flags = 0; flags <= PINFOLD_FILE_NO_JOURNAL; flags += PINFOLD_FILE_NO_JOURNAL)
		for (int forever = 0; forever < 2; forever++) {
			unsigned hits = 0;

			for (unsigned n = 1; n < 8; n++)
				hits += one_failing_operation(*state, flags, n, forever);
			assert_in_range(hits, 2, 6); /* all of them, and once none was left */
		}
}

/* D11: behind the commit point the call is 0 with "not home yet", and the journal is kept. */
static void a_failing_home_write_is_told_and_the_journal_kept(void **state)
{
	struct pinfold_report r = { .size = sizeof(r) };
	struct fake_world f;
	unsigned n = 0;

	fake_start(&f, *state, 0);
	store_page(&f.w, 1, 2);
	/* find the home write: the first that fails without failing the commit */
	do {
		store_page(&f.w, 1, 2);
		fake_disk_fail(f.disk, 1 << FAKE_WRITE, ++n, EIO, true);
	} while (pinfold_commit(f.w.file, 0, 0, &r) && n < 20);
	assert_int_equal(r.flags, PINFOLD_COMMIT_NOT_HOME);
	assert_int_equal(r.failed[0].offset, 2 * PG);
	assert_int_equal(r.failed[0].length, PG);
	assert_int_equal(r.failed[0].error, -EIO);
	assert_true(page_is(&f.w, 1, 2));
	pinfold_reclaim(f.w.m, 10000); /* may not go: the file does not have it */
	assert_true(page_is(&f.w, 1, 2));
	assert_int_equal(pinfold_checkpoint(f.w.file), -EIO);
	assert_ok(pinfold_use_mm(NULL));
	assert_ok(pinfold_mm_destroy(f.w.mm));
	assert_int_equal(pinfold_close(f.w.file), -EIO); /* closed all the same */
	assert_int_equal(pinfold_close(f.w.file), -EBADF);
	end_machine(f.w.m);
	fake_disk_fail(f.disk, 0, 0, 0, false);
	assert_ok(machine_create_on(f.disk, NULL, &f.w.m));
	world_open(&f.w, *state, &(struct setup){ 0 });
	assert_true(fake_is(&f, 1, 2)); /* replayed */
	assert_true(page_is(&f.w, 1, 2));
	fake_end(&f);
}

/*
 * D11: a journal flush that failed leaves old or new after a crash and is reported as such; where the
 * record could be taken back for sure it is old, and nothing is left to report.
 */
static void a_failing_journal_flush_is_told(void **state)
{
	struct pinfold_report r = { .size = sizeof(r) };

	for (int forever = 0; forever < 2; forever++) {
		struct fake_world f;

		fake_start(&f, *state, 0);
		store_page(&f.w, 1, 2);
		fake_disk_fail(f.disk, 1 << FAKE_FLUSH, 1, EIO, forever);
		assert_int_equal(pinfold_commit(f.w.file, 0, 0, &r), -EIO);
		assert_int_equal(r.flags, forever ? PINFOLD_COMMIT_FLUSH_FAILED : 0);
		assert_true(fake_is(&f, 0, 2));
		assert_int_equal(dirty(&f.w), 1);
		fake_disk_fail(f.disk, 0, 0, 0, false);
		assert_ok(pinfold_commit(f.w.file, 0, 0, &r));
		assert_int_equal(r.flags, 0);
		assert_true(fake_is(&f, 1, 2));
		fake_end(&f);
	}
}

/* Header, HOME_LATER: a commit ends with its journal; the checkpoint brings the file up to date. */
static void home_later_leaves_the_file_to_the_checkpoint(void **state)
{
	struct pinfold_report r = { .size = sizeof(r) };
	struct setup s = { .file_flags = PINFOLD_FILE_HOME_LATER };
	struct world w;

	WORLD(w, *state, .file_flags = PINFOLD_FILE_HOME_LATER);
	for (unsigned k = 1; k <= 4; k++) {
		store_page(&w, k, 0);
		store_page(&w, k, k);
		assert_ok(pinfold_commit(w.file, 0, 0, &r));
		assert_int_equal(r.flags, PINFOLD_COMMIT_NOT_HOME);
		assert_int_equal(r.home_bytes, 0);
		assert_true(disk_is(&w, 0, 0) && disk_is(&w, 0, k));
	}
	assert_int_equal(dirty(&w), 0);
	pinfold_reclaim(w.m, 10000);
	for (unsigned k = 1; k <= 4; k++)
		assert_true(page_is(&w, k, k));
	store_page(&w, 9, 1); /* not committed: not brought home */
	assert_ok(pinfold_checkpoint(w.file));
	assert_true(disk_is(&w, 4, 0) && disk_is(&w, 1, 1) && disk_is(&w, 4, 4));
	assert_true(page_is(&w, 9, 1));
	store_page(&w, 5, 5);
	assert_ok(pinfold_commit(w.file, 0, 0, NULL));
	reopen(&w, *state, s); /* close is a checkpoint */
	assert_true(disk_is(&w, 5, 5) && disk_is(&w, 9, 1));
	assert_true(page_is(&w, 5, 5) && page_is(&w, 9, 1));
	world_end(&w);
}

/* Issue 2: a disk that is really full; a small file system in a loop device. */
static char mounted[500];

static void unmount_small(void)
{
	if (mounted[0] && umount2(mounted, MNT_DETACH) == 0)
		mounted[0] = 0;
}

static bool mount_small(const char **where)
{
	char dir[450], command[4000];

	unmount_small(); /* of a test that failed */
	snprintf(dir, sizeof(dir), "%s/small%d", folder, (int)getpid());
	snprintf(command, sizeof(command),
	         "mkdir -p %s && truncate -s 4M %s.img && mkfs.ext4 -q -F -O ^has_journal -b 4096 %s.img "
	         ">/dev/null 2>&1 && mount -o loop %s.img %s 2>/dev/null", dir, dir, dir, dir, dir);
	if (geteuid() || system(command))
		return false;
	strcpy(mounted, dir);
	*where = mounted;
	return true;
}

static void fill_up(const char *name)
{
	int fd = open(name, O_RDWR | O_CREAT, 0600);
	char page[PG] = { 1 };

	while (write(fd, page, PG) == (ssize_t)PG)
		;
	close(fd);
}

static void a_really_full_file_system_loses_nothing(void **state)
{
	const char *dir;
	char ballast[600];
	struct setup s = { .pages = 16, .map_pages = 64 };
	struct world w = { .pages = 16 };

	if (((const struct kind *)*state)->window == PINFOLD_WINDOW_DIRECT)
		need_window();
	arm_signals();
	if (!mount_small(&dir)) {
		print_message("skipped: not root, or no loop device or mkfs.ext4\n");
		skip();
	}
	journal_test_room = 32 * PG;
	snprintf(w.path, sizeof(w.path), "%s/data", dir);
	snprintf(ballast, sizeof(ballast), "%s/ballast", dir);
	w.fd = new_file(w.path, 16 * PG, false);
	w.m = new_machine(&s);
	world_open(&w, *state, &s);
	store_page(&w, 1, 0);
	commit_all(&w);
	assert_ok(vfs_truncate(w.file, 64 * PG));
	fill_up(ballast);
	for (unsigned p = 0; p < 64; p++)
		store_page(&w, 2, p);
	assert_int_equal(pinfold_commit(w.file, 0, 0, NULL), -ENOSPC);
	assert_true(disk_is(&w, 1, 0) && disk_is(&w, 0, 1));
	assert_int_equal(disk_size(&w), 16 * PG);
	unlink(ballast);
	commit_all(&w);
	for (unsigned p = 0; p < 64; p++)
		assert_true(disk_is(&w, 2, p));
	world_end(&w);
	journal_test_room = 0;
	unmount_small();
	assert_false(mounted[0]);
}

/* ---- the journal seen from outside ----------------------------------------------------------- */

/* Header: checkpoint empties the journal; journal_state changes nothing. */
static void a_checkpoint_empties_the_journal(void **state)
{
	struct pinfold_journal_info i = { .size = sizeof(i) };
	struct world w;

	WORLD(w, *state);
	for (unsigned k = 1; k <= 3; k++) {
		store_page(&w, k, 0);
		store_page(&w, k, k);
		commit_all(&w);
	}
	assert_ok(pinfold_journal_state(w.path, &i));
	assert_true(i.exists && i.valid && !i.torn);
	assert_int_equal(i.commits, 3);
	assert_int_equal(i.pages, 6);
	assert_int_equal(i.holder_pid, getpid());
	assert_int_equal(i.file_size, w.pages * PG);
	assert_ok(pinfold_checkpoint(w.file));
	assert_ok(pinfold_journal_state(w.path, &i));
	assert_int_equal(i.commits, 0);
	assert_int_equal(stats_of(w.m).checkpoints, 1);
	store_page(&w, 7, 0);
	commit_all(&w);
	assert_ok(pinfold_journal_state(w.path, &i));
	assert_int_equal(i.commits, 1);
	world_close(&w);
	assert_ok(pinfold_journal_state(w.path, &i));
	assert_false(i.exists);
	world_open(&w, *state, &(struct setup){ 0 });
	world_end(&w);
	assert_int_equal(pinfold_journal_state(w.path, &i), -ENOENT);
	i.size = 3;
	assert_int_equal(pinfold_journal_state(w.path, &i), -EINVAL);
	assert_int_equal(pinfold_journal_state(NULL, &i), -EINVAL);
}

/* A child that commits k pages, one by one, stores one more, says so and waits to be killed. */
static void killed_child(const char *path, const struct kind *k, unsigned commits)
{
	struct setup s = { .pages = 16 };
	struct world w = { .pages = 16 };
	int ready[2];
	char c;
	pid_t pid;

	assert_ok(pipe(ready));
	pid = fork();
	if (pid) {
		close(ready[1]);
		assert_int_equal(read(ready[0], &c, 1), 1);
		close(ready[0]);
		kill(pid, SIGKILL);
		assert_int_equal(status_of(pid), 1000 + SIGKILL);
		return;
	}
	arm_signals();
	strcpy(w.path, path);
	w.m = new_machine(&s);
	world_open(&w, k, &s);
	for (unsigned i = 0; i < commits; i++) {
		store_page(&w, 1, i);
		commit_all(&w);
	}
	store_page(&w, 9, 15);
	if (write(ready[1], "r", 1) != 1)
		_exit(1);
	for (;;)
		pause();
}

static void prepare_killed(struct world *w, const struct kind *k, unsigned commits)
{
	char zero[16 * PG];

	if (k->window == PINFOLD_WINDOW_DIRECT)
		need_window();
	memset(w, 0, sizeof(*w));
	w->pages = 16;
	new_path(w->path, sizeof(w->path));
	w->fd = new_file(w->path, 16 * PG, false);
	killed_child(w->path, k, commits);
	/* as if nothing had reached the file itself before a power cut */
	memset(zero, 0, sizeof(zero));
	assert_int_equal(pwrite(w->fd, zero, sizeof(zero), 0), sizeof(zero));
}

/*
 * Header, D11: a killed process's commits are replayed at open, what it did not commit is not
 * there.
 */
static void commits_of_a_killed_process_are_replayed(void **state)
{
	struct pinfold_journal_info i = { .size = sizeof(i) };
	struct setup s = { .pages = 16 };
	char page[PG];
	struct world w;

	prepare_killed(&w, *state, 3);
	assert_ok(pinfold_journal_state(w.path, &i));
	assert_true(i.exists && i.valid && !i.torn);
	assert_int_equal(i.commits, 3);
	arm_signals();
	w.m = new_machine(&s);
	world_open(&w, *state, &s);
	for (unsigned p = 0; p < 3; p++)
		assert_true(page_is(&w, 1, p) && disk_is(&w, 1, p));
	assert_int_equal(pread(w.fd, page, PG, 15 * PG), PG);
	assert_true(is_zero(page, 0, PG));
	assert_ok(pinfold_journal_state(w.path, &i));
	assert_int_equal(i.commits, 0);
	assert_int_equal(i.holder_pid, getpid());
	world_end(&w);
}

/* Header: holder_pid 0 means that nobody has it open; a dead process is nobody. */
static void a_dead_process_holds_no_journal(void **state)
{
	struct pinfold_journal_info i = { .size = sizeof(i) };
	struct setup s = { .pages = 16 };
	struct world w;

	prepare_killed(&w, *state, 1);
	assert_ok(pinfold_journal_state(w.path, &i));
	w.m = new_machine(&s);
	world_open(&w, *state, &s);
	world_end(&w);
	assert_int_equal(i.holder_pid, 0);
}

static void journal_name(const struct world *w, char *name, size_t size)
{
	snprintf(name, size, "%s.pinfold", w->path);
}

/*
 * Issue 2: also after a partly written journal: the torn record is discarded, those before count.
 */
static void a_torn_journal_is_replayed_up_to_the_tear(void **state)
{
	struct pinfold_journal_info i = { .size = sizeof(i) };
	struct setup s = { .pages = 16 };
	char name[700], page[PG];
	struct world w;
	int fd;

	prepare_killed(&w, *state, 3);
	journal_name(&w, name, sizeof(name));
	fd = open(name, O_RDWR);
	/* header, then descriptor and page for each: the third record's page */
	assert_int_equal(pwrite(fd, "torn", 4, 6 * PG + 512), 4);
	close(fd);
	assert_ok(pinfold_journal_state(w.path, &i));
	assert_int_equal(i.commits, 2);
	assert_int_equal(i.torn, 1);
	w.m = new_machine(&s);
	arm_signals();
	world_open(&w, *state, &s);
	assert_true(page_is(&w, 1, 0) && page_is(&w, 1, 1));
	assert_int_equal(pread(w.fd, page, PG, 2 * PG), PG);
	assert_true(is_zero(page, 0, PG));
	world_end(&w);
}

/* Header: -EUCLEAN a journal of another file; nothing is changed. */
static void a_journal_of_another_file_is_refused(void **state)
{
	const struct kind *k = *state;
	struct pinfold_file_options fo = { .size = sizeof(fo), .flags = k->flags };
	struct pinfold_file *file;
	struct setup s = { .pages = 16 };
	char other[600], name[700], command[4000];
	struct world w;
	int fd;

	prepare_killed(&w, k, 2);
	new_path(other, sizeof(other));
	fd = new_file(other, 16 * PG, false);
	close(fd);
	journal_name(&w, name, sizeof(name));
	snprintf(command, sizeof(command), "cp %s %s.pinfold && cp %s %s.copy", name, other, name, name);
	assert_ok(system(command));
	w.m = new_machine(&s);
	arm_signals();
	assert_int_equal(pinfold_open(w.m, other, &fo, &file), -EUCLEAN);
	snprintf(command, sizeof(command), "cmp -s %s.pinfold %s.copy && rm %s.copy %s.pinfold %s",
	         other, name, name, other, other);
	assert_ok(system(command));
	world_open(&w, k, &s);
	assert_true(page_is(&w, 1, 0) && page_is(&w, 1, 1));
	world_end(&w);
}

/* Issue 2: opened without a journal later, what an earlier journal holds is not lost. */
static void a_journal_left_behind_is_replayed_without_journal_too(void **state)
{
	struct setup s = { .pages = 16, .file_flags = PINFOLD_FILE_NO_JOURNAL };
	struct world w;

	prepare_killed(&w, *state, 2);
	w.m = new_machine(&s);
	arm_signals();
	world_open(&w, *state, &s);
	assert_true(page_is(&w, 1, 0) && page_is(&w, 1, 1));
	assert_false(exists(w.path, ".pinfold"));
	world_end(&w);
}

/* The journal's room is used up again and again: checkpoints happen by themselves. */
static void a_small_journal_makes_its_own_checkpoints(void **state)
{
	struct world w;

	journal_test_room = 24 * PG;
	WORLD(w, *state);
	journal_test_room = 24 * PG;
	for (unsigned k = 1; k <= 30; k++) {
		for (unsigned p = 0; p < 4; p++)
			store_page(&w, k, (k + p) % 16);
		commit_all(&w);
	}
	assert_true(stats_of(w.m).checkpoints > 3);
	journal_test_room = 0;
	reopen(&w, *state, (struct setup){ .pages = 16 });
	for (unsigned p = 0; p < 4; p++)
		assert_true(page_is(&w, 30, (30 + p) % 16));
	world_end(&w);
}

/*
 * Issue 2: somebody shortens the file: an error, and what stood there is not brought back silently.
 */
static void a_file_that_was_shortened_is_not_written(void **state)
{
	struct world w;

	WORLD(w, *state);
	store_page(&w, 1, 0);
	assert_ok(ftruncate(w.fd, 4 * PG));
	assert_int_equal(pinfold_commit(w.file, 0, 0, NULL), -ESTALE);
	assert_int_equal(dirty(&w), 1);
	assert_int_equal(disk_size(&w), 4 * PG);
	assert_true(disk_is(&w, 0, 0));
	assert_ok(ftruncate(w.fd, 16 * PG));
	commit_all(&w);
	assert_true(disk_is(&w, 1, 0));
	world_end(&w);
}

/* Header: a report of an older, shorter size gets what it has room for. */
static void a_report_may_be_shorter(void **state)
{
	struct pinfold_report r = { .size = offsetof(struct pinfold_report, pinned) };
	struct world w;

	WORLD(w, *state);
	r.pinned = 77;
	store_page(&w, 1, 0);
	assert_ok(pinfold_commit(w.file, 0, 0, &r));
	assert_int_equal(r.pages, 1);
	assert_int_equal(r.pinned, 77);
	assert_int_equal(r.size, offsetof(struct pinfold_report, pinned));
	world_end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		EACH(nothing_reaches_the_file_before_commit),
		EACH(every_commit_writes_what_was_stored_since_the_last),
		EACH(a_commit_of_nothing_is_good),
		EACH(close_drops_what_was_not_committed),
		EACH(growth_reaches_the_file_with_the_commit),
		EACH(a_range_commits_its_pages_only),
		EACH(a_short_last_page_is_written_short),
		EACH(cuts_have_numbers_and_there_is_one_at_a_time),
		EACH(a_store_behind_the_freeze_is_not_in_the_cut),
		EACH(another_thread_stores_while_the_cut_is_frozen),
		EACH(a_store_without_a_frame_for_its_copy_waits_for_the_committer),
		WINDOWS(a_cut_keeps_program_order),
		WINDOWS(stores_beside_dontneed_and_freeze_are_not_lost),
		WINDOWS(stores_beside_reclaim_and_freeze_are_not_lost),
		EACH(sections_refuse_what_would_deadlock),
		EACH(begin_reserves_and_end_gives_back),
		EACH(a_freeze_waits_for_the_end_of_a_section),
		EACH(a_section_is_in_a_cut_whole),
		EACH(a_store_beyond_the_limit_inside_a_section_fails_at_once),
		EACH(a_store_beyond_the_limit_waits_for_a_commit),
		EACH(a_store_beyond_the_limit_fails_after_the_deadline),
		EACH(a_page_under_a_write_pin_is_copied_and_stays_dirty),
		EACH(device_writes_behind_a_freeze_reach_the_next_commit),
		EACH(a_read_pin_does_not_keep_a_page_dirty),
		EACH(device_writes_are_not_lost_beside_commits),
		EACH(pin_wait_gives_up_at_the_deadline),
		EACH(pin_wait_commits_behind_the_put),
		EACH(without_a_journal_commits_go_straight_into_the_file),
		ON(window, asynchronous_windows_commit_what_was_stored_in_sections),
		ON(window, asynchronous_windows_survive_reclaim),
		EACH(two_files_commit_side_by_side),
		PLAIN(commit_calls_on_a_closed_file_say_so),
		EACH(a_memory_file_has_nothing_to_commit),
		EACH(a_full_disk_leaves_the_file_old_and_a_retry_succeeds),
		EACH(any_failing_write_or_flush_of_a_commit_is_survived),
		EACH(a_failing_home_write_is_told_and_the_journal_kept),
		EACH(a_failing_journal_flush_is_told),
		EACH(home_later_leaves_the_file_to_the_checkpoint),
		EACH(a_really_full_file_system_loses_nothing),
		EACH(a_checkpoint_empties_the_journal),
		EACH(commits_of_a_killed_process_are_replayed),
		PLAIN(a_dead_process_holds_no_journal),
		EACH(a_torn_journal_is_replayed_up_to_the_tear),
		PLAIN(a_journal_of_another_file_is_refused),
		EACH(a_journal_left_behind_is_replayed_without_journal_too),
		EACH(a_small_journal_makes_its_own_checkpoints),
		EACH(a_file_that_was_shortened_is_not_written),
		PLAIN(a_report_may_be_shorter),
	};

	int failed = world_main(tests);

	unmount_small();
	return failed;
}
