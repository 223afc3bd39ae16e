/* SPDX-License-Identifier: MIT */
/*
 * commit_crash_test.c - power cuts at every kind of moment: an open finds one commit's state.
 *
 * One program (world.h) commits its way through a history on the fake disk; then disks are rebuilt
 * as a cut at some prefix of the record may leave them, opened with a new machine, and read whole.
 * A failure names the prefix, mode and seed that show it again: everything here is deterministic.
 *
 * CRASH_CUTS=n in the environment: that many random cuts per history instead of the default;
 * CRASH_SEED=n: another history.  An argument is a pattern of tests to run.
 */
#include "tests/crash/world.h"
#include "mm/journal.h"

#include <malloc.h>
#include <pthread.h>

#define JOURNAL DATA ".pinfold"
#define ROOM (96 * HOST_PAGE) /* for few commits, so that checkpoints come by themselves */

enum { HISTORIES = 6, LENGTH = 50, CUTS = 170 };
enum { ON_WRITE = 1 << FAKE_WRITE, ON_FLUSH = 1 << FAKE_FLUSH, ON_SIZE = 1 << FAKE_TRUNCATE,
       ON_READ = 1 << 8 };

static unsigned long from_env(const char *name, unsigned long otherwise)
{
	const char *text = getenv(name);

	return text ? strtoul(text, NULL, 0) : otherwise;
}

static struct model *model_new(uint64_t history, unsigned commits)
{
	struct model *m = calloc(1, sizeof(*m));

	assert_non_null(m);
	m->seed = mix(from_env("CRASH_SEED", 1) + history);
	model_extend(m, 0, 0, commits);
	return m;
}

/* ---- living ---------------------------------------------------------------------------------- */

/* What the program does beside writing and committing, after commit k. */
static void between(struct run *r, const struct model *m, unsigned k, bool early)
{
	uint64_t x = mix(m->seed ^ k << 8);

	if (x % 17 == 0)
		assert_int_equal(pinfold_checkpoint(r->file), 0);
	if ((x >> 8) % 7 == 0)
		assert_true(pinfold_reclaim(r->machine, 1000) >= 0);
	if ((x >> 16) % 5 == 0)
		assert_good(view_is(r, m, k + early));
	if ((x >> 24) % 29 == 0 && !early) {
		assert_int_equal(run_close(r), 0);
		assert_int_equal(run_open(r, r->disk, r->memory, r->flags), 0);
	}
}

/* Freezes, makes the next state's stores, and only then writes the cut. */
static void commit_split(struct run *r, const struct model *m, unsigned k)
{
	struct pinfold_report report = { .size = sizeof(report) };
	int64_t cut = pinfold_freeze(r->file, 0, 0);

	assert_true(cut > 0);
	assert_int_equal(pinfold_freeze(r->file, 0, 0), -EBUSY);
	prepare(r, m, k + 1);
	assert_int_equal(pinfold_commit_wait(r->file, cut, &report), 0);
	assert_int_equal(report.nr_failed, 0);
}

struct storer {
	struct run *run;
	const struct model *m;
	unsigned k;
};

static void *store_next(void *arg)
{
	struct storer *s = arg;

	prepare(s->run, s->m, s->k);
	assert_int_equal(pinfold_use_mm(NULL), 0);
	return NULL;
}

/* The same with the stores in another thread, while the cut is written: every order is right. */
static void commit_raced(struct run *r, const struct model *m, unsigned k)
{
	struct storer s = { r, m, k + 1 };
	int64_t cut = pinfold_freeze(r->file, 0, 0);
	pthread_t thread;

	assert_true(cut > 0);
	assert_int_equal(pthread_create(&thread, NULL, store_next, &s), 0);
	assert_int_equal(pinfold_commit_wait(r->file, cut, NULL), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
}

/* A commit while the last pages that it writes are under write pins: it writes copies. */
static void commit_pinned(struct run *r, const struct model *m, unsigned k)
{
	struct pinfold_report report = { .size = sizeof(report) };
	struct page *page[4];
	unsigned n = 0;

	for (unsigned p = PAGES; p-- > 0 && n < 4;) {
		if (!touched(m, k, p))
			continue;
		assert_int_equal(get_user_pages_fast(r->addr + p * HOST_PAGE, 1, FOLL_WRITE,
		                                     &page[n++]), 1);
	}
	assert_int_equal(pinfold_commit(r->file, 0, 0, &report), 0);
	assert_true(report.pinned >= n);
	assert_int_equal(put_user_pages_dirty_lock(page, n), 0);
}

/* A commit of no more than what changed; pages that were pinned before may stay dirty. */
static void commit_range(struct run *r, const struct model *m, unsigned k)
{
	unsigned first = 0, end = PAGES;

	while (first < PAGES - 1 && !touched(m, k, first))
		first++;
	while (end > first + 1 && !touched(m, k, end - 1))
		end--;
	end -= first;
	assert_int_equal(pinfold_commit(r->file, first * HOST_PAGE, end * HOST_PAGE, NULL), 0);
}


/* Commits from + 1 .. to, each marked, on a file that holds state `from`. */
static void live(struct run *r, const struct model *m, unsigned from, unsigned to)
{
	bool early = false;

	for (unsigned k = from + 1; k <= to; k++) {
		uint64_t style = mix(m->seed ^ mix(k)) % 5;

		if (!early)
			prepare(r, m, k);
		early = style == 0 && k < to;
		fake_disk_mark(r->disk, BEGUN, k);
		if (early && r->memory == TIGHT) /* too few copies to store without the committer */
			commit_raced(r, m, k);
		else if (early)
			commit_split(r, m, k);
		else if (style == 1)
			commit_pinned(r, m, k);
		else if (style == 2)
			commit_range(r, m, k);
		else
			assert_int_equal(pinfold_commit(r->file, 0, 0, NULL), 0);
		fake_disk_mark(r->disk, FINISHED, k);
		between(r, m, k, early);
	}
}

/* A whole life on a new disk, closed properly. */
static struct host_disk *lived(const struct model *m, unsigned commits, size_t memory,
                               unsigned flags)
{
	struct host_disk *d = fake_disk_create(m->seed);
	struct run r;

	assert_int_equal(run_open(&r, d, memory, flags), 0);
	live(&r, m, 0, commits);
	assert_good(view_is(&r, m, commits));
	assert_int_equal(run_close(&r), 0);
	assert_good(disk_is(d, m, commits));
	return d;
}

/* ---- cuts ------------------------------------------------------------------------------------ */

static void test_cuts_everywhere(void **state)
{
	unsigned long cuts = from_env("CRASH_CUTS", CUTS);

	(void)state;
	for (unsigned h = 0; h < HISTORIES; h++) {
		struct model *m = model_new(h, LENGTH);
		struct host_disk *d = lived(m, LENGTH, h % 2 ? TIGHT : LARGE,
		                            h % 3 == 2 ? PINFOLD_FILE_DIRECT : 0);

		for (unsigned long i = 0; i < cuts; i++) {
			uint64_t r = mix(m->seed + i);
			int mode = r % 8 < 2 ? (int)(r % 8) : 2;

			unsigned long prefix = (r >> 8) % (fake_disk_ops(d) + 1);

			assert_good(inspect_cut(d, m, prefix, mode, r >> 32));
		}
		fake_disk_destroy(d);
		free(m);
	}
}

/* Every prefix of some stretches: from before a commit to past the next one. */
static void test_every_prefix_of_commits(void **state)
{
	struct model *m = model_new(10, 48);
	struct host_disk *d = lived(m, 48, LARGE, 0);
	unsigned long ops = fake_disk_ops(d);

	(void)state;
	keep_machines = true;
	for (unsigned long prefix = 0; prefix <= ops; prefix++) {
		unsigned k = (unsigned)fake_disk_marked(d, BEGUN, prefix);

		if (k % 12 > 2)
			continue;
		assert_good(inspect_cut(d, m, prefix, 0, 0));
		assert_good(inspect_cut(d, m, prefix, 1, 0));
		for (uint64_t seed = 0; seed < 2; seed++)
			assert_good(inspect_cut(d, m, prefix, 2, mix(prefix) + seed));
	}
	fake_disk_destroy(d);
	free(m);
	forget_machines();
}

/* Every prefix of a file of few pages whose journal begins again at every other commit. */
static void test_journal_wraps(void **state)
{
	struct host_disk *d;
	struct model *m;
	uint64_t h = 70;

	(void)state;
	keep_machines = true;
	for (m = model_new(h, 30); m->size[30] > 80 * HOST_PAGE; m = model_new(++h, 30))
		free(m);
	journal_test_room = 24 * HOST_PAGE;
	d = lived(m, 30, LARGE, 0);
	journal_test_room = ROOM;
	for (unsigned long prefix = 0; prefix <= fake_disk_ops(d); prefix++)
		for (uint64_t seed = 0; seed < 10; seed++)
			assert_good(inspect_cut(d, m, prefix, 2, mix(prefix) + seed));
	fake_disk_destroy(d);
	free(m);
	forget_machines();
}

/* A cut while the journal of a cut is replayed: the same state as without the second one. */
static void test_cut_in_replay(void **state)
{
	struct model *m = model_new(11, 40);
	struct host_disk *d = lived(m, 40, TIGHT, 0);
	unsigned long ops = fake_disk_ops(d);

	(void)state;
	keep_machines = true;
	for (uint64_t i = 0; i < 40; i++) {
		unsigned long prefix = mix(m->seed + i) % (ops + 1);
		struct host_disk *c = fake_disk_crash(d, prefix, 2, i);
		unsigned lo = (unsigned)fake_disk_marked(d, FINISHED, prefix), k;

		assert_good(inspect(c, m, lo, (unsigned)fake_disk_marked(d, BEGUN, prefix), &k));
		for (unsigned long j = 0; j <= fake_disk_ops(c); j += 1 + fake_disk_ops(c) / 12) {
			struct host_disk *cc = fake_disk_crash(c, j, 2, i + j);
			const char *bad = inspect(cc, m, k, k, NULL);

			if (bad)
				fail_msg("prefix %lu of %lu, mode 2, seed %lu, then in the replay"
				         " prefix %lu of %lu, seed %lu: %s", prefix, ops, i, j,
				         fake_disk_ops(c), i + j, bad);
			fake_disk_destroy(cc);
		}
		fake_disk_destroy(c);
	}
	fake_disk_destroy(d);
	free(m);
	forget_machines();
}

/* After a cut the program goes on, and is cut again: nothing of its first life comes back. */
static void test_second_life(void **state)
{
	(void)state;
	keep_machines = true;
	for (uint64_t i = 0; i < 12; i++) {
		struct model *m = model_new(12 + i, 30);
		struct host_disk *d = lived(m, 30, LARGE, 0), *c;
		unsigned long prefix = mix(m->seed + i) % (fake_disk_ops(d) + 1), start;
		unsigned lo = (unsigned)fake_disk_marked(d, FINISHED, prefix), k;
		unsigned hi = (unsigned)fake_disk_marked(d, BEGUN, prefix);
		struct run r;

		c = fake_disk_crash(d, prefix, 2, i);
		assert_int_equal(run_open(&r, c, LARGE, 0), 0);
		for (k = lo; k < hi && view_is(&r, m, k); k++)
			;
		assert_good(view_is(&r, m, k));
		start = fake_disk_ops(c);
		fake_disk_mark(c, BEGUN, k);
		fake_disk_mark(c, FINISHED, k);
		model_extend(m, 1, k, k + 12);
		live(&r, m, k, k + 12);
		assert_int_equal(run_close(&r), 0);
		for (uint64_t j = 0; j < 40; j++) {
			/* half of them in its first commits: they overwrite the old journal */
			unsigned long span = j % 2 ? 16 : fake_disk_ops(c) - start + 1;
			uint64_t x = mix(i << 32 | j);
			const char *bad;

			bad = inspect_cut(c, m, start + x % span, 2, x);
			if (bad)
				fail_msg("first life %lu, cut at %lu: %s", i, prefix, bad);
		}
		fake_disk_destroy(c);
		fake_disk_destroy(d);
		free(m);
	}
	forget_machines();
}

/*
 * Without a journal: between commits the last one is there; inside one, all pages but those that it
 * writes are.
 */
static const char *loose_cut(struct host_disk *d, const struct model *m, unsigned long prefix,
                             uint64_t seed)
{
	unsigned lo = (unsigned)fake_disk_marked(d, FINISHED, prefix);
	unsigned hi = (unsigned)fake_disk_marked(d, BEGUN, prefix);
	struct host_disk *c = fake_disk_crash(d, prefix, 2, seed);
	const char *bad = NULL;
	struct run r;

	assert_int_equal(run_open(&r, c, SMALL, PINFOLD_FILE_NO_JOURNAL), 0);
	if (lo == hi)
		bad = view_is(&r, m, lo);
	for (unsigned p = 0; p < PAGES && lo != hi && !bad; p++) {
		uint64_t w[HOST_PAGE / 8] = { 0 };

		if (touched(m, hi, p) || p >= pages_of(m->size[lo]))
			continue;
		if (access_process_vm(r.mm, r.addr + p * HOST_PAGE, w, HOST_PAGE, 0) <= 0)
			bad = message("page %u cannot be read", p);
		else
			bad = page_is(m, lo, p, w);
	}
	assert_int_equal(run_close(&r), 0);
	fake_disk_destroy(c);
	return bad ? message("prefix %lu of %lu, mode 2, seed %lu, commits %u..%u: %s", prefix,
	                     fake_disk_ops(d), seed, lo, hi, bad) : NULL;
}

static void test_no_journal(void **state)
{
	struct model *m = model_new(30, 60);
	struct host_disk *d = lived(m, 60, LARGE, PINFOLD_FILE_NO_JOURNAL);
	unsigned quiet = 0;

	(void)state;
	keep_machines = true;
	for (uint64_t i = 0; i < 250; i++)
		assert_good(loose_cut(d, m, mix(i) % (fake_disk_ops(d) + 1), i));
	for (unsigned long prefix = 0; prefix <= fake_disk_ops(d); prefix++) {
		if (fake_disk_marked(d, BEGUN, prefix) != fake_disk_marked(d, FINISHED, prefix))
			continue;
		assert_good(loose_cut(d, m, prefix, prefix));
		quiet++;
	}
	assert_true(quiet > 0);
	fake_disk_destroy(d);
	free(m);
	forget_machines();
}

/* The test must be able to fail: without the journal's flush it finds something. */
static void test_finds_missing_flush(void **state)
{
	struct model *m = model_new(11, 40);
	struct host_disk *d;
	unsigned bad = 0;

	(void)state;
	keep_machines = true;
	journal_test_skip_flush = 1;
	d = lived(m, 40, TIGHT, 0);
	journal_test_skip_flush = 0;
	for (uint64_t i = 0; i < 200; i++)
		bad += inspect_cut(d, m, mix(i) % (fake_disk_ops(d) + 1), 2, i) != NULL;
	print_message("without the flush before the home writes: %u of 200 cuts are wrong\n", bad);
	assert_true(bad > 0);
	fake_disk_destroy(d);
	free(m);
	forget_machines();
}

/* ---- errors ---------------------------------------------------------------------------------- */

struct failure {
	unsigned mask;
	int err;
	bool forever;
};

static const struct failure failures[] = {
	{ ON_WRITE, EIO, false }, { ON_WRITE, EIO, true }, { ON_WRITE, ENOSPC, false },
	{ ON_WRITE, ENOSPC, true }, { ON_FLUSH, EIO, false }, { ON_FLUSH, EIO, true },
	{ ON_SIZE, ENOSPC, false }, { ON_SIZE, ENOSPC, true }, { ON_SIZE, EIO, true },
	{ ON_WRITE | ON_FLUSH | ON_SIZE, EIO, false },
};
enum { NR_FAILURES = sizeof(failures) / sizeof(failures[0]), BEFORE = 6 };

/* One case: what fails, and where we are in it, for the message. */
struct trial {
	struct run r;
	const struct model *m;
	size_t memory;
	const struct failure *x;
	unsigned long nth;
	unsigned k;      /* the state the program sees */
	bool unsure;     /* a commit said that it may or may not survive */
	const char *when;
};

static unsigned pages_touched(const struct model *m, unsigned k)
{
	unsigned n = 0;

	for (unsigned p = 0; p < PAGES; p++)
		n += touched(m, k, p);
	return n;
}

/*
 * A history whose commits BEFORE + 1 to + 3 all write something, and the first grows the file.
 * large: that one is of more pages than the committer takes at once; else the file is small.
 */
static struct model *trial_model(bool large)
{
	for (uint64_t h = 40;; h++) {
		struct model *m = model_new(h, BEFORE + 4);
		unsigned n = pages_touched(m, BEFORE + 1);

		if (n && pages_touched(m, BEFORE + 2) && pages_touched(m, BEFORE + 3) &&
		    m->size[BEFORE + 1] > m->size[BEFORE] &&
		    (large ? n > BATCH_PAGES : m->size[BEFORE + 3] < 64 * HOST_PAGE))
			return m;
		free(m);
	}
}

static void trial_fail(struct trial *t, const char *what)
{
	fail_msg("journal of %lu pages, mask %x, error %d%s at operation %lu, %s: %s",
	         journal_test_room / HOST_PAGE, t->x->mask, t->x->err,
	         t->x->forever ? " and all that follow" : "", t->nth, t->when, what);
}

/* A file with some commits, the last ones perhaps not home. */
static void trial_begin(struct trial *t, const struct model *m, const struct failure *x,
                        unsigned long nth, unsigned commits)
{
	*t = (struct trial){ .m = m, .x = x, .nth = nth, .k = commits, .when = "before" };
	t->memory = pages_touched(m, BEFORE + 1) > BATCH_PAGES ? LARGE : SMALL;
	assert_int_equal(run_open(&t->r, fake_disk_create(m->seed), t->memory, 0), 0);
	live(&t->r, m, 0, commits);
}

static void trial_store(struct trial *t)
{
	prepare(&t->r, t->m, ++t->k);
}

static void trial_arm(struct trial *t, bool on)
{
	fake_disk_fail(t->r.disk, t->x->mask, on ? t->nth : 0, t->x->err, t->x->forever);
}

/* Cuts now, and behind some of the operations from `first` on: the last commit that finished is
 * there, or any later one that began; but now none of those, unless unsure. */
static void trial_cuts(struct trial *t, unsigned long first)
{
	struct host_disk *d = t->r.disk;
	unsigned long now = fake_disk_ops(d), step = 1 + (now - first) / 8;

	for (unsigned long i = 0; first + i < now + step; i += step) {
		unsigned long ops = first + i < now ? first + i : now;
		unsigned lo = (unsigned)fake_disk_marked(d, FINISHED, ops);
		unsigned hi = (unsigned)fake_disk_marked(d, BEGUN, ops);
		bool last = ops == now;

		for (int j = last ? 0 : 2; j < (last ? 4 : 3); j++) {
			int mode = j < 2 ? j : 2;
			uint64_t seed = mix(t->nth + i) + (uint64_t)j;
			struct host_disk *c = fake_disk_crash(d, ops, mode, seed);
			const char *bad = inspect(c, t->m, lo, last && !t->unsure ? lo : hi, NULL);

			if (bad)
				trial_fail(t, message("prefix %lu of %lu, mode %d, seed %lu: %s",
				                      ops, now, mode, seed, bad));
			fake_disk_destroy(c);
		}
	}
}

static void trial_view(struct trial *t)
{
	const char *bad = view_is(&t->r, t->m, t->k);

	if (bad)
		trial_fail(t, bad);
}

/* Commits state t->k and looks at what cuts behind it leave. */
static int trial_commit(struct trial *t, const char *when, bool inside)
{
	struct pinfold_report report = { .size = sizeof(report) };
	unsigned long ops = fake_disk_ops(t->r.disk);
	int err;

	t->when = when;
	fake_disk_mark(t->r.disk, BEGUN, t->k);
	err = pinfold_commit(t->r.file, 0, 0, &report);
	if (!err)
		fake_disk_mark(t->r.disk, FINISHED, t->k);
	if (!err && report.flags & PINFOLD_COMMIT_FLUSH_FAILED)
		trial_fail(t, "commit gave 0 and the flag of a failed flush");
	t->unsure = err ? t->unsure || report.flags & PINFOLD_COMMIT_FLUSH_FAILED : false;
	trial_cuts(t, inside ? ops + 1 : fake_disk_ops(t->r.disk));
	trial_view(t);
	return err;
}

static void trial_end(struct trial *t)
{
	struct host_disk *d = t->r.disk;

	t->when = "at the end";
	trial_view(t);
	if (run_close(&t->r))
		trial_fail(t, "close failed");
	if (disk_is(d, t->m, t->k))
		trial_fail(t, disk_is(d, t->m, t->k));
	fake_disk_destroy(d);
}

static void commit_fails(const struct model *m, const struct failure *x, unsigned long nth)
{
	struct trial t;
	int err;

	trial_begin(&t, m, x, nth, BEFORE);
	trial_store(&t);
	trial_arm(&t, true);
	err = trial_commit(&t, "commit", false);
	if (err && err != -x->err)
		trial_fail(&t, message("commit gave %d", err));
	if (x->forever && err && !trial_commit(&t, "second try", false))
		trial_fail(&t, "second commit gave 0");
	trial_arm(&t, false);
	if (nth % 2)
		trial_store(&t);
	if (trial_commit(&t, "retry", true))
		trial_fail(&t, "retry failed");
	assert_true(pinfold_reclaim(t.r.machine, 1000) >= 0);
	trial_view(&t);
	trial_store(&t);
	if (trial_commit(&t, "next commit", false))
		trial_fail(&t, "failed");
	trial_end(&t);
}

/* Operations that a commit, and a checkpoint, make when nothing fails. */
static unsigned long operations(const struct model *m, bool checkpoint)
{
	struct trial t;
	unsigned long n;

	trial_begin(&t, m, &failures[0], 0, BEFORE);
	trial_store(&t);
	n = fake_disk_ops(t.r.disk);
	assert_int_equal(trial_commit(&t, "counting", true), 0);
	n = checkpoint ? fake_disk_ops(t.r.disk) : n;
	if (checkpoint)
		assert_int_equal(pinfold_checkpoint(t.r.file), 0);
	n = fake_disk_ops(t.r.disk) - n;
	trial_end(&t);
	return n;
}

/* Each operation of those counted by operations() fails, in every way, with three journals: one
 * that is full at every commit, one at some, one never.  Of a large commit only some operations. */
static void each_failure(bool checkpoint, void (*fn)(const struct model *, const struct failure *,
                                                      unsigned long))
{
	static const unsigned rooms[] = { 4, 96, 1024 };

	keep_machines = true;
	for (unsigned turn = 0; turn < 4; turn++) {
		struct model *m = trial_model(turn == 3);
		unsigned long ops, step;

		journal_test_room = rooms[turn % 3] * HOST_PAGE;
		ops = operations(m, checkpoint);
		assert_true(ops > 1);
		step = 1 + ops / (turn == 3 ? 5 : 24);
		for (unsigned i = 0; i < NR_FAILURES; i += turn == 3 ? 3 : 1)
			for (unsigned long nth = 1 + i % step; nth <= ops; nth += step)
				fn(m, &failures[i], nth);
		free(m);
	}
	journal_test_room = ROOM;
	forget_machines();
}

static void test_commit_errors(void **state)
{
	(void)state;
	each_failure(false, commit_fails);
}

/* later: the program goes on committing before it tries again. */
static void checkpoint_fails(const struct model *m, const struct failure *x, unsigned long nth,
                             bool later)
{
	struct trial t;
	int err;

	trial_begin(&t, m, x, nth, BEFORE);
	trial_store(&t);
	assert_int_equal(trial_commit(&t, "commit", false), 0);
	t.when = "checkpoint";
	trial_arm(&t, true);
	err = pinfold_checkpoint(t.r.file);
	if (err && err != -x->err)
		trial_fail(&t, message("gave %d", err));
	trial_cuts(&t, fake_disk_ops(t.r.disk));
	trial_arm(&t, false);
	trial_view(&t);
	if (later) {
		trial_store(&t);
		if (trial_commit(&t, "commit after checkpoint", true))
			trial_fail(&t, "failed");
	}
	assert_true(pinfold_reclaim(t.r.machine, 1000) >= 0); /* may be that second try */
	trial_view(&t);
	t.when = "second checkpoint";
	if (pinfold_checkpoint(t.r.file))
		trial_fail(&t, "failed");
	if (disk_is(t.r.disk, m, t.k))
		trial_fail(&t, disk_is(t.r.disk, m, t.k));
	trial_cuts(&t, fake_disk_ops(t.r.disk));
	trial_end(&t);
}

static void checkpoint_fails_twice(const struct model *m, const struct failure *x,
                                   unsigned long nth)
{
	checkpoint_fails(m, x, nth, false);
	checkpoint_fails(m, x, nth, true);
}

static void test_checkpoint_errors(void **state)
{
	(void)state;
	each_failure(true, checkpoint_fails_twice);
}

/* Without a journal an error leaves the file as it may; but the next commit makes it right. */
static void in_place_fails(const struct model *m, const struct failure *x, unsigned long nth)
{
	const unsigned k = BEFORE + 1;
	struct host_disk *d = fake_disk_create(m->seed);
	struct trial t = { .m = m, .x = x, .nth = nth, .k = k, .when = "without journal" };
	int err;

	assert_int_equal(run_open(&t.r, d, SMALL, PINFOLD_FILE_NO_JOURNAL), 0);
	live(&t.r, m, 0, BEFORE);
	prepare(&t.r, m, k);
	trial_arm(&t, true);
	err = pinfold_commit(t.r.file, 0, 0, NULL);
	trial_arm(&t, false);
	if (err && err != -x->err)
		trial_fail(&t, message("commit gave %d", err));
	trial_view(&t);
	if (pinfold_commit(t.r.file, 0, 0, NULL))
		trial_fail(&t, "retry failed");
	fake_disk_mark(d, BEGUN, k);
	fake_disk_mark(d, FINISHED, k);
	for (uint64_t seed = 0; seed < 4; seed++)
		if (loose_cut(d, m, fake_disk_ops(d), seed))
			trial_fail(&t, loose_cut(d, m, fake_disk_ops(d), seed));
	trial_end(&t);
}

static void test_no_journal_errors(void **state)
{
	struct model *m = trial_model(false);

	(void)state;
	keep_machines = true;
	for (unsigned i = 0; i < NR_FAILURES; i++)
		for (unsigned long nth = 1; nth <= 12; nth++)
			in_place_fails(m, &failures[i], nth);
	free(m);
	forget_machines();
}

/* Committed pages that cannot be brought home at close: the next open has them. */
static void close_fails(const struct model *m, const struct failure *x, unsigned long nth)
{
	struct trial t;
	int err;

	trial_begin(&t, m, x, nth, BEFORE);
	trial_store(&t);
	assert_int_equal(trial_commit(&t, "commit", false), 0);
	t.when = "close";
	trial_arm(&t, true);
	err = run_close(&t.r);
	if (err && err != -EIO && err != -x->err)
		trial_fail(&t, message("close gave %d", err));
	trial_cuts(&t, fake_disk_ops(t.r.disk));
	trial_arm(&t, false);
	assert_int_equal(run_open(&t.r, t.r.disk, SMALL, 0), 0);
	trial_end(&t);
}

/* The nth operation of an open that replays fails: the next open finds the same. */
static void open_fails(const struct model *m, const struct failure *x, unsigned long nth)
{
	struct trial t;
	struct host_disk *d;

	trial_begin(&t, m, x, nth, BEFORE);
	trial_store(&t);
	assert_int_equal(trial_commit(&t, "commit", false), 0);
	d = fake_disk_crash(t.r.disk, fake_disk_ops(t.r.disk), 1, 0);
	fake_disk_mark(d, BEGUN, t.k);
	fake_disk_mark(d, FINISHED, t.k);
	trial_end(&t);
	t.when = "open";
	t.r.disk = d;
	trial_arm(&t, true);
	if (run_open(&t.r, d, SMALL, 0)) {
		t.r.disk = d;
		trial_cuts(&t, fake_disk_ops(d));
		trial_arm(&t, false);
		assert_int_equal(run_open(&t.r, d, SMALL, 0), 0);
	}
	trial_arm(&t, false);
	trial_view(&t);
	trial_cuts(&t, fake_disk_ops(d));
	trial_store(&t);
	if (trial_commit(&t, "commit after open", false))
		trial_fail(&t, "failed");
	trial_end(&t);
}

static void test_open_and_close_errors(void **state)
{
	static const struct failure reads[] = { { ON_READ, EIO, false }, { ON_READ, EIO, true } };
	struct model *m = trial_model(false);
	unsigned long ops = operations(m, true) + 6;

	(void)state;
	keep_machines = true;
	for (unsigned long nth = 1; nth <= ops; nth++) {
		for (unsigned i = 0; i < NR_FAILURES; i++) {
			close_fails(m, &failures[i], nth);
			open_fails(m, &failures[i], nth);
		}
		open_fails(m, &reads[nth % 2], nth);
		close_fails(m, &reads[nth % 2], nth);
	}
	free(m);
	forget_machines();
}

/* One commit on a disk with `room` pages left; what was refused works once there is room again. */
static int full_disk(const struct model *m, unsigned before, unsigned long room)
{
	static const struct failure full = { 0, ENOSPC, true };
	struct trial t;
	int64_t used;
	int err;

	trial_begin(&t, m, &full, room, before);
	trial_store(&t);
	used = fake_disk_file_size(t.r.disk, DATA) + fake_disk_file_size(t.r.disk, JOURNAL);
	fake_disk_limit(t.r.disk, (uint64_t)used + room * HOST_PAGE + 1);
	err = trial_commit(&t, "commit", false);
	if (err && err != -ENOSPC)
		trial_fail(&t, message("commit gave %d", err));
	assert_true(pinfold_reclaim(t.r.machine, 1000) >= 0);
	trial_view(&t);
	fake_disk_limit(t.r.disk, 0);
	if (trial_commit(&t, "retry", true))
		trial_fail(&t, "failed");
	trial_end(&t);
	return err;
}

static void test_no_room(void **state)
{
	struct model *m = trial_model(false);
	unsigned fit = 0, refused = 0;

	(void)state;
	keep_machines = true;
	for (unsigned long room = 0; room < 128; room += 2) {
		int err = full_disk(m, 0, room);

		fit += !err;
		refused += err != 0;
	}
	print_message("full disk: %u first commits refused, %u fit\n", refused, fit);
	assert_true(refused > 0 && fit > 0);
	for (unsigned long room = 0; room < 24; room++)
		full_disk(m, BEFORE, room);
	free(m);
	forget_machines();
}

static int home_later(void **state)
{
	(void)state;
	turn_flags = PINFOLD_FILE_HOME_LATER;
	return 0;
}

static int home_at_once(void **state)
{
	(void)state;
	turn_flags = 0;
	return 0;
}

#define LATER(f) { #f " (home later)", f, home_later, home_at_once, NULL }

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cuts_everywhere),
		cmocka_unit_test(test_every_prefix_of_commits),
		cmocka_unit_test(test_journal_wraps),
		cmocka_unit_test(test_cut_in_replay),
		cmocka_unit_test(test_second_life),
		cmocka_unit_test(test_no_journal),
		cmocka_unit_test(test_finds_missing_flush),
		cmocka_unit_test(test_commit_errors),
		cmocka_unit_test(test_checkpoint_errors),
		cmocka_unit_test(test_no_journal_errors),
		cmocka_unit_test(test_open_and_close_errors),
		cmocka_unit_test(test_no_room),
		LATER(test_cuts_everywhere),
		LATER(test_every_prefix_of_commits),
		LATER(test_cut_in_replay),
		LATER(test_second_life),
		LATER(test_commit_errors),
		LATER(test_checkpoint_errors),
		LATER(test_open_and_close_errors),
		LATER(test_no_room),
	};

	journal_test_room = ROOM;
	/* Thousands of disks of some MiB: let the allocator keep its memory. */
	mallopt(M_MMAP_THRESHOLD, 1 << 30);
	mallopt(M_TRIM_THRESHOLD, 1 << 30);
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
