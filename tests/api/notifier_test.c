/* SPDX-License-Identifier: MIT */
/*
 * notifier_test.c - MMU notifiers: which changes are told to whom and when (clauses N1, N2, N3), and that a device
 * which follows an mm's tables without pins never shows what is gone.
 *
 * Callbacks do not call the library, so what they find at the start and at the end of a change is looked at by
 * another thread while they wait: struct gate.
 */
#include "world.h"

#include <pinfold/notifier.h>
#include <sched.h>

#define LEAF (512 * PG)
#define PRIVATE_ANON (PINFOLD_MAP_PRIVATE | PINFOLD_MAP_ANONYMOUS)
#define UNMAP MMU_NOTIFY_UNMAP
#define CLEAR MMU_NOTIFY_CLEAR
#define PROTECT_VMA MMU_NOTIFY_PROTECTION_VMA
#define PROTECT_PAGE MMU_NOTIFY_PROTECTION_PAGE

/* ---- a notifier that keeps a record ---------------------------------------------------------- */

#define RECORDS 256u

struct record {
	unsigned long start, end;
	enum mmu_notifier_event event;
	bool ended;
};

/* A callback stops here until somebody says go. */
struct gate {
	_Atomic int at, go;
};

struct recorder {
	struct mmu_notifier mn; /* first */
	struct mm_struct *mm;
	pthread_mutex_t lock;
	/* lock */
	unsigned nr, open, wrong, released;
	struct record log[RECORDS];
	struct gate *at_start, *at_end;
	struct page *put;       /* a pin that the next start gives back */
	bool gone;              /* unregistered: whatever comes is wrong */
};

static void stop_at(struct gate *gate)
{
	if (!gate)
		return;
	atomic_store(&gate->at, 1);
	wait_for(&gate->go, 1);
}

static void open_gate(struct gate *gate)
{
	atomic_store(&gate->go, 1);
}

static int on_start(struct mmu_notifier *mn, const struct mmu_notifier_range *range)
{
	struct recorder *r = (struct recorder *)mn;

	pthread_mutex_lock(&r->lock);
	r->wrong += r->gone || r->released || range->mm != r->mm || range->start >= range->end ||
	            range->start % PG || range->end % PG || r->nr == RECORDS;
	if (r->nr < RECORDS)
		r->log[r->nr++] = (struct record){ range->start, range->end, range->event, false };
	r->open++;
	if (r->put && put_user_page(r->put))
		r->wrong++;
	r->put = NULL;
	pthread_mutex_unlock(&r->lock);
	stop_at(r->at_start);
	return 0;
}

static struct record *open_record(struct recorder *r, const struct mmu_notifier_range *range)
{
	for (unsigned i = r->nr; i-- > 0;)
		if (!r->log[i].ended && r->log[i].start == range->start && r->log[i].end == range->end &&
		    r->log[i].event == range->event)
			return &r->log[i];
	return NULL;
}

static void on_end(struct mmu_notifier *mn, const struct mmu_notifier_range *range)
{
	struct recorder *r = (struct recorder *)mn;
	struct record *start;

	pthread_mutex_lock(&r->lock);
	start = open_record(r, range);
	r->wrong += r->gone || r->released || !start;
	if (start) {
		start->ended = true;
		r->open--;
	}
	pthread_mutex_unlock(&r->lock);
	stop_at(r->at_end);
}

static void on_release(struct mmu_notifier *mn, struct mm_struct *mm)
{
	struct recorder *r = (struct recorder *)mn;

	r->wrong += mm != r->mm || r->open;
	r->released++;
}

static const struct mmu_notifier_ops recording = { on_release, on_start, on_end };

static void prepare(struct recorder *r, struct mm_struct *mm)
{
	memset(r, 0, sizeof(*r));
	pthread_mutex_init(&r->lock, NULL);
	r->mm = mm;
	r->mn.ops = &recording;
}

static void watch(struct recorder *r, struct mm_struct *mm)
{
	prepare(r, mm);
	assert_ok(mmu_notifier_register(&r->mn, mm));
}

static void unwatch(struct recorder *r)
{
	assert_ok(mmu_notifier_unregister(&r->mn, r->mm));
	assert_int_equal(r->open + r->wrong + r->released, 0);
	r->gone = true;
}

static bool page_told(const struct recorder *r, enum mmu_notifier_event event, unsigned long addr)
{
	for (unsigned i = 0; i < r->nr; i++)
		if (r->log[i].event == event && r->log[i].start <= addr && addr < r->log[i].end)
			return true;
	return false;
}

/* Each of the pages was told with this event; every start has its end.  Forgets the record. */
static void assert_told(struct recorder *r, enum mmu_notifier_event event, unsigned long addr, unsigned pages)
{
	assert_int_equal(r->open + r->wrong, 0);
	for (unsigned p = 0; p < pages; p++)
		assert_true(page_told(r, event, addr + p * PG));
	r->nr = 0;
}

static void touch_all(struct world *w)
{
	for (unsigned p = 0; p < w->pages; p++)
		assert_true(page_is(w, 0, p));
}

/* ---- files ----------------------------------------------------------------------------------- */

/* Clauses N1, N2. */
static void unmapping_and_protecting_are_told(void **state)
{
	struct recorder r;
	struct world w;

	WORLD(w, *state);
	touch_all(&w);
	watch(&r, w.mm);
	assert_ok(vm_madvise(w.mm, w.at + 2 * PG, 4 * PG, PINFOLD_MADV_DONTNEED));
	assert_told(&r, CLEAR, w.at + 2 * PG, 4);
	touch_all(&w);
	assert_ok(vm_mprotect(w.mm, w.at, 16 * PG, PINFOLD_PROT_READ));
	assert_told(&r, PROTECT_VMA, w.at, 16);
	touch_all(&w);
	assert_int_equal(vm_mmap(w.mm, w.at, 16 * PG, RW, SHARED | PINFOLD_MAP_FIXED, w.file, 0), w.at);
	assert_told(&r, UNMAP, w.at, 16);
	touch_all(&w);
	assert_ok(vm_munmap(w.mm, w.at, 16 * PG));
	assert_told(&r, UNMAP, w.at, 16);
	assert_true(stats_of(w.m).notified >= 8);
	unwatch(&r);
	world_end(&w);
}

/* Clause N2: a pin changes nothing of it, and the page stays its holder's. */
static void what_is_pinned_is_told_too(void **state)
{
	struct recorder r;
	struct page *page;
	struct world w;

	WORLD(w, *state);
	page = pin_one(w.at + 3 * PG, 0);
	watch(&r, w.mm);
	assert_ok(vm_madvise(w.mm, w.at + 3 * PG, PG, PINFOLD_MADV_DONTNEED));
	assert_told(&r, CLEAR, w.at + 3 * PG, 1);
	assert_true(page_is(&w, 0, 3));
	assert_ok(vm_munmap(w.mm, w.at, 16 * PG));
	assert_told(&r, UNMAP, w.at + 3 * PG, 1);
	assert_true(is_filled(page_address(page), 0, 3));
	assert_ok(put_user_page(page));
	unwatch(&r);
	world_end(&w);
}

/* Clause N1. */
static void pins_tell_nothing(void **state)
{
	struct recorder r;
	struct page *page;
	struct world w;

	WORLD(w, *state);
	watch(&r, w.mm);
	touch_all(&w);
	for (unsigned p = 0; p < 8; p++) {
		page = pin_one(w.at + p * PG, p % 2 ? FOLL_WRITE : 0);
		assert_ok(p % 2 ? put_user_pages_dirty_lock(&page, 1) : put_user_page(page));
	}
	mmap_read_lock(w.mm);
	assert_int_equal(get_user_pages(w.at + PG, 1, 0, &page, NULL), 1);
	mmap_read_unlock(w.mm);
	assert_ok(put_user_page(page));
	assert_int_equal(r.nr, 0);
	assert_int_equal(stats_of(w.m).notified, 0);
	unwatch(&r);
	world_end(&w);
}

static void reclaim_all(struct world *w)
{
	while (pinfold_reclaim(w->m, 1000000) > 0)
		;
}

/* Clause N2: each mm that shows the page is told. */
static void eviction_is_told_to_every_mm(void **state)
{
	struct recorder r, other;
	struct mm_struct *mm;
	struct world w;
	long at;

	WORLD(w, *state);
	assert_ok(pinfold_mm_create(w.m, PINFOLD_WINDOW_NONE, &mm));
	at = vm_mmap(mm, 0, 8 * PG, RW, SHARED, w.file, 4 * PG);
	assert_true(at > 0);
	touch_all(&w);
	assert_ok(pinfold_use_mm(mm));
	for (unsigned p = 0; p < 8; p++)
		assert_ok(put_user_page(pin_one((unsigned long)at + p * PG, 0)));
	assert_ok(pinfold_use_mm(w.mm));
	watch(&r, w.mm);
	watch(&other, mm);
	reclaim_all(&w);
	assert_int_equal(stats_of(w.m).evicted, 16);
	assert_told(&r, CLEAR, w.at, 16);
	assert_told(&other, CLEAR, (unsigned long)at, 8);
	unwatch(&r);
	unwatch(&other);
	assert_ok(pinfold_mm_destroy(mm));
	world_end(&w);
}

static void a_freeze_tells_what_it_protects(void **state)
{
	struct recorder r;
	struct world w;
	int64_t cut;

	WORLD(w, *state);
	store_page(&w, 1, 3);
	store_page(&w, 1, 4);
	store_page(&w, 1, 9);
	watch(&r, w.mm);
	cut = pinfold_freeze(w.file, 0, 0);
	assert_true(cut > 0);
	assert_int_equal(r.open, 0);
	assert_true(page_told(&r, PROTECT_PAGE, w.at + 9 * PG));
	assert_told(&r, PROTECT_PAGE, w.at + 3 * PG, 2);
	assert_ok(pinfold_commit_wait(w.file, cut, NULL));
	unwatch(&r);
	world_end(&w);
}

static bool on_last(struct mmu_interval_notifier *mni, const struct mmu_notifier_range *range, unsigned long seq)
{
	mmu_interval_set_seq(mni, seq);
	return range->event == MMU_NOTIFY_RELEASE;
}

/* Header: release() is called once, last; who was not removed is removed. */
static void the_end_of_an_mm_is_told_last(void **state)
{
	static const struct mmu_interval_notifier_ops ops = { on_last };
	struct mmu_interval_notifier mni = { 0 };
	struct mm_struct *mm;
	struct recorder r;
	unsigned long seq;
	struct world w;
	long at;

	WORLD(w, *state);
	assert_ok(pinfold_mm_create(w.m, PINFOLD_WINDOW_NONE, &mm));
	at = vm_mmap(mm, 0, 8 * PG, RW, SHARED | PINFOLD_MAP_POPULATE, w.file, 0);
	assert_true(at > 0);
	watch(&r, mm);
	assert_ok(mmu_interval_notifier_insert(&mni, mm, (unsigned long)at, PG, &ops));
	seq = mmu_interval_read_begin(&mni);
	assert_ok(pinfold_mm_destroy(mm));
	assert_int_equal(r.released, 1);
	assert_told(&r, UNMAP, (unsigned long)at, 8);
	assert_true(mmu_interval_read_retry(&mni, seq));
	assert_int_equal(mmu_notifier_unregister(&r.mn, mm), -EINVAL);
	assert_int_equal(mmu_interval_notifier_remove(&mni), -EINVAL);
	/* Both are free for another mm. */
	r.mm = w.mm;
	r.released = 0;
	assert_ok(mmu_notifier_register(&r.mn, w.mm));
	assert_ok(mmu_interval_notifier_insert(&mni, w.mm, w.at, PG, &ops));
	assert_ok(mmu_interval_notifier_remove(&mni));
	unwatch(&r);
	world_end(&w);
}

/* ---- what may be called, and when ---------------------------------------------------------------- */

static void mistakes_are_refused(void **state)
{
	static const struct mmu_interval_notifier_ops ops = { on_last }, none = { NULL };
	struct mmu_interval_notifier mni = { 0 }, other = { 0 };
	struct mmu_notifier bare = { 0 };
	struct mm_struct *dead;
	struct recorder r;
	struct world w;

	WORLD(w, *state);
	assert_ok(pinfold_mm_create(w.m, PINFOLD_WINDOW_NONE, &dead));
	assert_ok(pinfold_mm_destroy(dead));
	prepare(&r, w.mm);
	assert_int_equal(mmu_notifier_register(NULL, w.mm), -EINVAL);
	assert_int_equal(mmu_notifier_register(&bare, w.mm), -EINVAL);
	assert_int_equal(mmu_notifier_register(&r.mn, NULL), -EINVAL);
	assert_int_equal(mmu_notifier_register(&r.mn, dead), -EINVAL);
	assert_int_equal(mmu_notifier_unregister(&r.mn, w.mm), -EINVAL);
	assert_int_equal(mmu_notifier_unregister(NULL, w.mm), -EINVAL);
	assert_ok(mmu_notifier_register(&r.mn, w.mm));
	assert_int_equal(mmu_notifier_register(&r.mn, w.mm), -EINVAL);
	assert_int_equal(mmu_notifier_unregister(&r.mn, NULL), -EINVAL);
	unwatch(&r);
	assert_int_equal(mmu_notifier_unregister(&r.mn, w.mm), -EINVAL);
	assert_int_equal(mmu_interval_notifier_insert(NULL, w.mm, w.at, PG, &ops), -EINVAL);
	assert_int_equal(mmu_interval_notifier_insert(&mni, dead, w.at, PG, &ops), -EINVAL);
	assert_int_equal(mmu_interval_notifier_insert(&mni, w.mm, w.at, 0, &ops), -EINVAL);
	assert_int_equal(mmu_interval_notifier_insert(&mni, w.mm, w.at, PG, NULL), -EINVAL);
	assert_int_equal(mmu_interval_notifier_insert(&mni, w.mm, w.at, PG, &none), -EINVAL);
	assert_int_equal(mmu_interval_notifier_insert(&mni, w.mm, w.at, ~0ul, &ops), -EOVERFLOW);
	assert_int_equal(mmu_interval_notifier_remove(&mni), -EINVAL);
	assert_int_equal(mmu_interval_notifier_remove(NULL), -EINVAL);
	assert_ok(mmu_interval_notifier_insert(&mni, w.mm, 0, ~0ul, &ops));
	assert_ok(mmu_interval_notifier_insert(&other, w.mm, w.at, 1, &ops));
	assert_int_equal(mmu_interval_notifier_insert(&mni, w.mm, 0, PG, &ops), -EINVAL);
	assert_ok(mmu_interval_notifier_remove(&mni));
	assert_ok(mmu_interval_notifier_remove(&other));
	assert_int_equal(mmu_interval_notifier_remove(&mni), -EINVAL);
	world_end(&w);
}

static void every_callback_may_be_missing(void **state)
{
	static const struct mmu_notifier_ops none = { NULL, NULL, NULL };
	struct mmu_notifier mn = { .ops = &none };
	struct mm_struct *mm;
	struct world w;
	long at;

	WORLD(w, *state);
	assert_ok(pinfold_mm_create(w.m, PINFOLD_WINDOW_NONE, &mm));
	at = vm_mmap(mm, 0, 8 * PG, RW, SHARED | PINFOLD_MAP_POPULATE, w.file, 0);
	assert_ok(mmu_notifier_register(&mn, mm));
	assert_ok(vm_madvise(mm, (unsigned long)at, PG, PINFOLD_MADV_DONTNEED));
	reclaim_all(&w);
	assert_ok(pinfold_mm_destroy(mm));
	assert_int_equal(stats_of(w.m).notified, 0);
	world_end(&w);
}

/* Header: a thread that holds an mmap lock may leave, not come. */
static void under_the_mmap_lock_nobody_registers(void **state)
{
	static const struct mmu_interval_notifier_ops ops = { on_last };
	struct mmu_interval_notifier mni = { 0 }, late = { 0 };
	struct recorder r, other;
	struct world w;

	WORLD(w, *state);
	watch(&r, w.mm);
	prepare(&other, w.mm);
	assert_ok(mmu_interval_notifier_insert(&mni, w.mm, w.at, PG, &ops));
	mmap_read_lock(w.mm);
	assert_int_equal(mmu_notifier_register(&other.mn, w.mm), -EDEADLK);
	assert_int_equal(mmu_interval_notifier_insert(&late, w.mm, w.at, PG, &ops), -EDEADLK);
	assert_ok(mmu_interval_notifier_remove(&mni));
	unwatch(&r);
	mmap_read_unlock(w.mm);
	world_end(&w);
}

/* A notifier that tries everything in its callbacks. */
struct meddler {
	struct mmu_notifier mn; /* first */
	struct mmu_interval_notifier mni, late;
	struct recorder other;
	unsigned wrong, calls;
};

static bool on_meddled(struct mmu_interval_notifier *mni, const struct mmu_notifier_range *range, unsigned long seq)
{
	(void)range;
	mmu_interval_set_seq(mni, seq);
	return true;
}
static const struct mmu_interval_notifier_ops meddled = { on_meddled };

static void meddle(struct meddler *m, struct mm_struct *mm)
{
	m->calls++;
	m->wrong += mmu_notifier_register(&m->other.mn, mm) != -EDEADLK;
	m->wrong += mmu_notifier_unregister(&m->mn, mm) != -EDEADLK;
	m->wrong += mmu_interval_notifier_insert(&m->late, mm, 0, PG, &meddled) != -EDEADLK;
	m->wrong += mmu_interval_notifier_remove(&m->mni) != -EDEADLK;
	m->wrong += !mmu_interval_read_retry(&m->mni, mmu_interval_read_begin(&m->mni));
}

static int meddle_start(struct mmu_notifier *mn, const struct mmu_notifier_range *range)
{
	meddle((struct meddler *)mn, range->mm);
	return 0;
}

static void meddle_end(struct mmu_notifier *mn, const struct mmu_notifier_range *range)
{
	meddle((struct meddler *)mn, range->mm);
}

/* Header: -EDEADLK from a callback; pins may be given back there. */
static void callbacks_may_put_pins_and_nothing_else(void **state)
{
	static const struct mmu_notifier_ops ops = { NULL, meddle_start, meddle_end };
	struct meddler m;
	struct recorder r;
	struct world w;

	WORLD(w, *state);
	memset(&m, 0, sizeof(m));
	m.mn.ops = &ops;
	prepare(&m.other, w.mm);
	assert_ok(mmu_notifier_register(&m.mn, w.mm));
	assert_ok(mmu_interval_notifier_insert(&m.mni, w.mm, w.at, 16 * PG, &meddled));
	watch(&r, w.mm);
	r.put = pin_one(w.at + 2 * PG, 0);
	assert_ok(vm_munmap(w.mm, w.at, 16 * PG));
	assert_int_equal(m.wrong, 0);
	assert_true(m.calls >= 2);
	assert_null(r.put);
	unwatch(&r);
	assert_ok(mmu_interval_notifier_remove(&m.mni));
	assert_ok(mmu_notifier_unregister(&m.mn, w.mm));
	world_end(&w);
}

/* Clause N3: a pin's fault tells that a page changes; the device then lets go of a page of another machine, which is the
 * thread's for the count of that put.  The pin is counted where it belongs all the same. */
static void a_pin_whose_callback_puts_another_machines_page_is_counted_rightly(void **state)
{
	struct recorder r;
	struct world w, other;
	struct page *page;
	long a;

	WORLD(other, *state);
	WORLD(w, *state);
	a = vm_mmap(w.mm, 0, PG, RW, PRIVATE_ANON, NULL, 0);
	assert_true(a > 0);
	page = pin_one((unsigned long)a, 0); /* the zero page */
	assert_ok(put_user_page(page));
	watch(&r, w.mm);
	assert_ok(pinfold_use_mm(other.mm));
	r.put = pin_one(other.at, 0);
	assert_ok(pinfold_use_mm(w.mm));
	assert_int_equal(get_user_pages_unlocked((unsigned long)a, 1, &page, FOLL_WRITE), 1);
	assert_null(r.put);
	assert_int_equal(stats_of(w.m).pins_acquired - stats_of(w.m).pins_released, 1);
	assert_int_equal(stats_of(other.m).pins_acquired - stats_of(other.m).pins_released, 0);
	assert_ok(put_user_page(page));
	unwatch(&r);
	assert_ok(vm_munmap(w.mm, (unsigned long)a, PG));
	world_end(&w);
	world_end(&other);
}

static int calls_of_a_child(struct world *w, struct recorder *r, struct mmu_interval_notifier *mni)
{
	struct mmu_interval_notifier late = { 0 };
	struct recorder other;

	prepare(&other, w->mm);
	return (mmu_notifier_register(&other.mn, w->mm) != -EOWNERDEAD) +
	       (mmu_notifier_unregister(&r->mn, w->mm) != -EOWNERDEAD) +
	       (mmu_interval_notifier_insert(&late, w->mm, 0, PG, &meddled) != -EOWNERDEAD) +
	       (mmu_interval_notifier_remove(mni) != -EOWNERDEAD) +
	       !mmu_interval_read_retry(mni, mmu_interval_read_begin(mni));
}

static void a_child_of_fork_is_told_that_it_has_none(void **state)
{
	struct mmu_interval_notifier mni = { 0 };
	struct recorder r;
	struct world w;
	pid_t pid;

	WORLD(w, *state);
	watch(&r, w.mm);
	assert_ok(mmu_interval_notifier_insert(&mni, w.mm, w.at, PG, &meddled));
	pid = fork();
	if (!pid) {
		alarm(20);
		_exit(calls_of_a_child(&w, &r, &mni));
	}
	assert_int_equal(status_of(pid), 0);
	assert_ok(mmu_interval_notifier_remove(&mni));
	unwatch(&r);
	world_end(&w);
}

/* ---- when ------------------------------------------------------------------------------------ */

/* A call in a thread of its own. */
struct job {
	int (*call)(struct job *j);
	struct world *w;
	struct mm_struct *mm, *child;
	unsigned long at;
	struct recorder *r;
	struct mmu_interval_notifier *mni;
	unsigned long seq;
	_Atomic int done;
	int result;
	pthread_t thread;
};

static void *job_thread(void *arg)
{
	struct job *j = arg;

	j->result = j->call(j);
	atomic_store(&j->done, 1);
	return NULL;
}

static void start_job(struct job *j, int (*fn)(struct job *j))
{
	j->call = fn;
	atomic_store(&j->done, 0);
	assert_ok(pthread_create(&j->thread, NULL, job_thread, j));
}

/* It waits for something that has not come. */
static void assert_waits(struct job *j)
{
	nap_ms(20);
	assert_int_equal(atomic_load(&j->done), 0);
}

static void end_job(struct job *j)
{
	assert_ok(pthread_join(j->thread, NULL));
	assert_int_equal(j->result, 0);
}

static int job_dontneed(struct job *j)
{
	return vm_madvise(j->mm, j->at, PG, PINFOLD_MADV_DONTNEED);
}

static int job_store(struct job *j)
{
	uint64_t v = 1;

	return access_process_vm(j->mm, j->at, &v, sizeof(v), FOLL_WRITE) != sizeof(v);
}

static int job_munmap(struct job *j)
{
	return vm_munmap(j->mm, j->w->at, 16 * PG);
}

static int job_mprotect(struct job *j)
{
	return vm_mprotect(j->mm, j->w->at, 16 * PG, PINFOLD_PROT_NONE);
}

static int job_move(struct job *j)
{
	unsigned long to = j->at + LEAF;

	return vm_mremap(j->mm, j->at, PG, PG, PINFOLD_MREMAP_MAYMOVE | PINFOLD_MREMAP_FIXED, to) != (long)to;
}

static int job_snapshot(struct job *j)
{
	return dup_mmap(j->child, j->mm);
}

static int job_reclaim(struct job *j)
{
	return pinfold_reclaim(j->w->m, 1000000) < 0;
}

static int job_freeze(struct job *j)
{
	int64_t cut = pinfold_freeze(j->w->file, 0, 0);

	return cut > 0 ? pinfold_commit_wait(j->w->file, cut, NULL) : -1;
}

static int job_register(struct job *j)
{
	return mmu_notifier_register(&j->r->mn, j->mm);
}

static int job_unregister(struct job *j)
{
	int r = mmu_notifier_unregister(&j->r->mn, j->mm);

	pthread_mutex_lock(&j->r->lock);
	j->r->gone = true;
	pthread_mutex_unlock(&j->r->lock);
	return r;
}

static int job_read_begin(struct job *j)
{
	j->seq = mmu_interval_read_begin(j->mni);
	return 0;
}

/* When start is told the fast path still finds the slot, with its rights. */
static void there_at_start(struct job *j, int (*change)(struct job *), unsigned flags)
{
	struct gate gate = { 0 };
	struct recorder r;
	unsigned long addr;
	uint64_t slow;

	watch(&r, j->mm);
	r.at_start = &gate;
	start_job(j, change);
	assert_true(wait_for(&gate.at, 1));
	pthread_mutex_lock(&r.lock);
	addr = r.log[0].start;
	pthread_mutex_unlock(&r.lock);
	slow = stats_of(j->w->m).slow_pins;
	assert_ok(put_user_page(pin_one(addr, flags)));
	assert_int_equal(stats_of(j->w->m).slow_pins, slow);
	open_gate(&gate);
	end_job(j);
	unwatch(&r);
}

static void a_change_is_told_before_it_is_made(void **state)
{
	struct world w;
	struct job j;

	WORLD(w, *state);
	j = (struct job){ .w = &w, .mm = w.mm, .at = w.at + 3 * PG };
	touch_all(&w);
	there_at_start(&j, job_dontneed, 0);
	touch_all(&w);
	there_at_start(&j, job_reclaim, 0);
	store_page(&w, 0, 2);
	there_at_start(&j, job_freeze, FOLL_WRITE);
	touch_all(&w);
	there_at_start(&j, job_mprotect, 0);
	assert_ok(vm_mprotect(w.mm, w.at, 16 * PG, RW));
	touch_all(&w);
	there_at_start(&j, job_munmap, 0);
	world_end(&w);
}

/* And its end after it is made. */
static void the_slot_is_gone_at_end(void **state)
{
	struct gate gate = { 0 };
	struct recorder r;
	struct world w;
	struct job j;
	uint64_t slow;

	WORLD(w, *state);
	touch_all(&w);
	watch(&r, w.mm);
	r.at_end = &gate;
	j = (struct job){ .w = &w, .mm = w.mm, .at = w.at + 3 * PG };
	start_job(&j, job_dontneed);
	assert_true(wait_for(&gate.at, 1));
	slow = stats_of(w.m).slow_pins;
	assert_ok(put_user_page(pin_one(w.at + 3 * PG, 0)));
	assert_int_equal(stats_of(w.m).slow_pins, slow + 1);
	open_gate(&gate);
	end_job(&j);
	unwatch(&r);
	world_end(&w);
}

/* Whole pairs: who registers in the middle of a change waits for its end, and is not told of it. */
static void registered_in_the_middle(struct world *w, int (*change)(struct job *), bool at_end)
{
	struct gate gate = { 0 };
	struct recorder r, late;
	struct job j = { .w = w, .mm = w->mm, .at = w->at + 3 * PG }, reg = { .r = &late, .mm = w->mm };

	watch(&r, w->mm);
	prepare(&late, w->mm);
	*(at_end ? &r.at_end : &r.at_start) = &gate;
	start_job(&j, change);
	assert_true(wait_for(&gate.at, 1));
	start_job(&reg, job_register);
	assert_waits(&reg);
	open_gate(&gate);
	end_job(&j);
	end_job(&reg);
	unwatch(&r);
	assert_int_equal(late.open + late.wrong, 0);
	assert_ok(mmu_notifier_unregister(&late.mn, w->mm));
}

static void who_registers_waits_for_changes_under_way(void **state)
{
	struct world w;

	WORLD(w, *state);
	for (int at_end = 0; at_end < 2; at_end++) {
		touch_all(&w);
		registered_in_the_middle(&w, job_dontneed, at_end);
		touch_all(&w);
		registered_in_the_middle(&w, job_reclaim, at_end);
		store_page(&w, 0, 2);
		registered_in_the_middle(&w, job_freeze, at_end);
	}
	world_end(&w);
}

/* Header: no callback runs or starts after it returned. */
static void who_unregisters_waits_for_callbacks(void **state)
{
	struct job j, un;
	struct world w;

	WORLD(w, *state);
	for (int at_end = 0; at_end < 2; at_end++) {
		struct gate gate = { 0 };
		struct recorder r;

		touch_all(&w);
		watch(&r, w.mm);
		*(at_end ? &r.at_end : &r.at_start) = &gate;
		j = (struct job){ .w = &w, .mm = w.mm, .at = w.at + 3 * PG };
		un = (struct job){ .r = &r, .mm = w.mm };
		start_job(&j, job_dontneed);
		assert_true(wait_for(&gate.at, 1));
		start_job(&un, job_unregister);
		assert_waits(&un);
		open_gate(&gate);
		end_job(&un);
		end_job(&j);
		assert_ok(vm_madvise(w.mm, w.at, 16 * PG, PINFOLD_MADV_DONTNEED));
		assert_int_equal(r.wrong, 0);
	}
	world_end(&w);
}

/* Clause N1: read_begin, change, read_retry. */
static void a_sequence_stands_until_its_range_changes(void **state)
{
	struct mmu_interval_notifier low = { 0 }, high = { 0 };
	unsigned long seq[2];
	struct world w;

	WORLD(w, *state);
	touch_all(&w);
	/* Ranges need no alignment: the last byte of page 1 to the first of page 2. */
	assert_ok(mmu_interval_notifier_insert(&low, w.mm, w.at + 2 * PG - 1, 2, &meddled));
	assert_ok(mmu_interval_notifier_insert(&high, w.mm, w.at + 8 * PG, 8 * PG, &meddled));
	seq[0] = mmu_interval_read_begin(&low);
	seq[1] = mmu_interval_read_begin(&high);
	assert_ok(vm_madvise(w.mm, w.at, PG, PINFOLD_MADV_DONTNEED));
	assert_ok(vm_madvise(w.mm, w.at + 3 * PG, 5 * PG, PINFOLD_MADV_DONTNEED));
	assert_false(mmu_interval_read_retry(&low, seq[0]) || mmu_interval_read_retry(&high, seq[1]));
	assert_ok(vm_madvise(w.mm, w.at + PG, PG, PINFOLD_MADV_DONTNEED));
	assert_true(mmu_interval_read_retry(&low, seq[0]));
	assert_false(mmu_interval_read_retry(&high, seq[1]));
	seq[0] = mmu_interval_read_begin(&low);
	assert_false(mmu_interval_read_retry(&low, seq[0]));
	assert_ok(vm_madvise(w.mm, w.at + 2 * PG, 7 * PG, PINFOLD_MADV_DONTNEED));
	assert_true(mmu_interval_read_retry(&low, seq[0]) && mmu_interval_read_retry(&high, seq[1]));
	assert_ok(mmu_interval_notifier_remove(&low));
	assert_ok(mmu_interval_notifier_remove(&high));
	world_end(&w);
}

/* Clause N1: and a reader that comes in the middle of a change waits for its end. */
static void read_begin_waits_for_changes_under_way(void **state)
{
	struct mmu_interval_notifier mni = { 0 };
	struct gate gate = { 0 };
	struct recorder r;
	struct job j, read;
	struct world w;

	WORLD(w, *state);
	touch_all(&w);
	assert_ok(mmu_interval_notifier_insert(&mni, w.mm, w.at, 16 * PG, &meddled));
	watch(&r, w.mm);
	r.at_start = &gate; /* called behind the intervals */
	j = (struct job){ .w = &w, .mm = w.mm, .at = w.at + 3 * PG };
	read = (struct job){ .mni = &mni };
	start_job(&j, job_dontneed);
	assert_true(wait_for(&gate.at, 1));
	start_job(&read, job_read_begin);
	assert_waits(&read);
	open_gate(&gate);
	end_job(&j);
	end_job(&read);
	assert_false(mmu_interval_read_retry(&mni, read.seq));
	assert_ok(mmu_interval_notifier_remove(&mni));
	unwatch(&r);
	world_end(&w);
}

/* ---- anonymous memory: an mm of its own beside the world's --------------------------------------- */

#define BOTH(fn) ON(pool, fn), ON(extent, fn)

struct own {
	struct world w;
	struct mm_struct *mm, *child;
	unsigned long at; /* of 2 MiB, aligned; as much behind it is free */
	enum pinfold_window window;
};

static void own_start(struct own *o, const struct kind *k)
{
	struct setup s = { .pages = 16, .memory = 24 * MIB, .pool = 16 * MIB };
	long at;

	world_start(&o->w, &pool, &s);
	o->child = NULL;
	o->window = k->window;
	assert_ok(pinfold_mm_create(o->w.m, k->window, &o->mm));
	at = vm_mmap(o->mm, 0, 3 * LEAF, RW, PRIVATE_ANON, NULL, 0);
	assert_true(at > 0);
	o->at = ((unsigned long)at + LEAF - 1) & ~(LEAF - 1);
	assert_ok(vm_munmap(o->mm, o->at + LEAF, LEAF));
	assert_ok(pinfold_use_mm(o->mm));
}

static int drop_child(struct own *o)
{
	int r = o->child ? pinfold_mm_destroy(o->child) : 0;

	o->child = NULL;
	return r;
}

/* The child stays, so that pages are shared. */
static int snapshot(struct own *o)
{
	int r = drop_child(o);

	if (!r)
		r = pinfold_mm_create(o->w.m, o->window, &o->child);
	return r ? r : dup_mmap(o->child, o->mm);
}

static void own_end(struct own *o)
{
	assert_ok(drop_child(o));
	assert_ok(pinfold_use_mm(NULL));
	assert_ok(pinfold_mm_destroy(o->mm));
	world_end(&o->w);
}

/* Stores to the first word of page p, as a program or as a device does.  0 or not. */
static int store_word(struct own *o, unsigned p, uint64_t v)
{
	unsigned long a = o->at + p * PG;
	struct page *page;

	if (o->window) {
		atomic_store((_Atomic uint64_t *)a, v);
		return 0;
	}
	if (get_user_pages_fast(a, 1, FOLL_WRITE, &page) != 1)
		return -1;
	atomic_store((_Atomic uint64_t *)page_address(page), v);
	return put_user_pages_dirty(&page, 1);
}

static uint64_t word_at(struct mm_struct *mm, unsigned long addr)
{
	uint64_t v = 0;

	assert_int_equal(access_process_vm(mm, addr, &v, sizeof(v), 0), sizeof(v));
	return v;
}

static void store_words(struct own *o, unsigned pages, uint64_t v)
{
	for (unsigned p = 0; p < pages; p++)
		assert_ok(store_word(o, p, v + p));
}

/* Clause N1. */
static void a_snapshot_is_told_to_the_mm_it_is_taken_of(void **state)
{
	struct recorder r;
	struct own o;

	own_start(&o, *state);
	store_words(&o, 8, 100);
	watch(&r, o.mm);
	assert_ok(snapshot(&o));
	assert_told(&r, PROTECT_PAGE, o.at, 8);
	assert_ok(vm_munmap(o.child, o.at + (unsigned long)pinfold_mm_shift(o.child), 8 * PG));
	assert_ok(drop_child(&o));
	/* What the child does is not the parent's, and it has no notifier. */
	assert_int_equal(r.nr + r.released, 0);
	unwatch(&r);
	own_end(&o);
}

/* Clause N3: told to the mm whose page is replaced, and to no other. */
static void a_copy_on_write_is_told(void **state)
{
	struct recorder r, child;
	struct own o;

	own_start(&o, *state);
	store_words(&o, 8, 100);
	assert_ok(snapshot(&o));
	watch(&r, o.mm);
	watch(&child, o.child);
	assert_ok(store_word(&o, 3, 1));
	assert_told(&r, CLEAR, o.at + 3 * PG, 1);
	assert_int_equal(child.nr, 0);
	assert_int_equal(word_at(o.child, o.at + (unsigned long)pinfold_mm_shift(o.child) + 3 * PG), 103);
	unwatch(&child);
	unwatch(&r);
	own_end(&o);
}

/* Clause N3. */
static void unsharing_for_a_read_pin_is_told(void **state)
{
	struct recorder r;
	struct page *page;
	uint64_t unshared;
	struct own o;

	own_start(&o, *state);
	store_words(&o, 8, 100);
	assert_ok(snapshot(&o));
	watch(&r, o.mm);
	unshared = stats_of(o.w.m).unshared;
	page = pin_one(o.at + 5 * PG, 0);
	assert_int_equal(stats_of(o.w.m).unshared, unshared + 1);
	assert_told(&r, CLEAR, o.at + 5 * PG, 1);
	assert_int_equal(*(uint64_t *)page_address(page), 105);
	assert_ok(put_user_page(page));
	unwatch(&r);
	own_end(&o);
}

/* Clause N3: whoever was shown the zero page, or a page of a file, is told when a page of its own comes there. */
static void a_first_store_is_told_to_who_has_read(void **state)
{
	struct recorder r;
	struct page *page, *now;
	struct own o;
	long at;

	own_start(&o, *state);
	at = vm_mmap(o.mm, 0, 4 * PG, RW, PINFOLD_MAP_PRIVATE, o.w.file, 0);
	assert_true(at > 0);
	watch(&r, o.mm);
	for (int i = 0; i < 2; i++) {
		unsigned long a = i ? (unsigned long)at + PG : o.at + 7 * PG;

		page = pin_one(a, 0);
		assert_ok(put_user_page(page));
		now = pin_one(a, FOLL_WRITE);
		assert_ok(put_user_pages_dirty(&now, 1));
		if (now != page)
			assert_told(&r, CLEAR, a, 1);
	}
	unwatch(&r);
	own_end(&o);
}

/* Clause N1: where pages go away from, not where they come to. */
static void a_move_is_told(void **state)
{
	unsigned long to;
	struct recorder r;
	struct page *page;
	struct own o;

	own_start(&o, *state);
	store_words(&o, 8, 100);
	to = o.at + LEAF + 5 * PG;
	page = pin_one(o.at + 3 * PG, 0);
	watch(&r, o.mm);
	assert_int_equal(vm_mremap(o.mm, o.at, 8 * PG, 8 * PG, PINFOLD_MREMAP_MAYMOVE | PINFOLD_MREMAP_FIXED, to),
	                 to);
	assert_told(&r, UNMAP, o.at, 8);
	assert_int_equal(vm_mremap(o.mm, to, 8 * PG, 8 * PG, PINFOLD_MREMAP_MAYMOVE | PINFOLD_MREMAP_FIXED |
	                           PINFOLD_MREMAP_DONTUNMAP, o.at), o.at);
	assert_told(&r, UNMAP, to, 8);
	assert_int_equal(*(uint64_t *)page_address(page), 103);
	assert_ok(put_user_page(page));
	store_words(&o, 8, 200);
	assert_int_equal(vm_mremap(o.mm, o.at, 8 * PG, 4 * PG, 0, 0), o.at);
	assert_told(&r, UNMAP, o.at + 4 * PG, 4);
	unwatch(&r);
	own_end(&o);
}

static void snapshots_and_moves_are_told_before_they_are_made(void **state)
{
	struct own o;
	struct job j;

	own_start(&o, *state);
	store_words(&o, 8, 100);
	assert_ok(pinfold_mm_create(o.w.m, o.window, &o.child));
	j = (struct job){ .w = &o.w, .mm = o.mm, .at = o.at + 3 * PG, .child = o.child };
	there_at_start(&j, job_snapshot, FOLL_WRITE);
	store_words(&o, 8, 200);
	there_at_start(&j, job_move, FOLL_WRITE);
	own_end(&o);
}

/* Header: start before the change, end after it: at start the old page can still be pinned, at end no more. */
static void the_old_page_is_there_at_start_and_gone_at_end(void **state)
{
	struct gate start = { 0 }, end = { 0 };
	struct page *page, *old;
	struct recorder r;
	struct own o;
	struct job j;

	own_start(&o, *state);
	store_words(&o, 8, 100);
	old = pin_one(o.at + 3 * PG, 0);
	watch(&r, o.mm);
	r.at_start = &start;
	r.at_end = &end;
	j = (struct job){ .w = &o.w, .mm = o.mm, .at = o.at + 3 * PG };
	start_job(&j, job_dontneed);
	assert_true(wait_for(&start.at, 1));
	page = pin_one(o.at + 3 * PG, 0);
	assert_ptr_equal(page, old);
	assert_ok(put_user_page(page));
	open_gate(&start);
	assert_true(wait_for(&end.at, 1));
	page = pin_one(o.at + 3 * PG, 0);
	assert_ptr_not_equal(page, old);
	assert_int_equal(*(uint64_t *)page_address(page), 0);
	assert_ok(put_user_page(page));
	open_gate(&end);
	end_job(&j);
	assert_ok(put_user_page(old));
	unwatch(&r);
	own_end(&o);
}

/* Clause N3: the copy is there at the end, for the fast path too. */
static void the_copy_is_there_at_end(void **state)
{
	struct gate gate = { 0 };
	struct page *page;
	struct recorder r;
	uint64_t slow;
	struct own o;
	struct job j;

	own_start(&o, *state);
	store_words(&o, 8, 100);
	assert_ok(snapshot(&o));
	watch(&r, o.mm);
	r.at_end = &gate;
	j = (struct job){ .w = &o.w, .mm = o.mm, .at = o.at + 3 * PG };
	start_job(&j, job_store);
	assert_true(wait_for(&gate.at, 1));
	slow = stats_of(o.w.m).slow_pins;
	page = pin_one(o.at + 3 * PG, FOLL_WRITE);
	assert_int_equal(stats_of(o.w.m).slow_pins, slow);
	open_gate(&gate);
	end_job(&j);
	assert_int_equal(*(uint64_t *)page_address(page), 1);
	assert_ok(put_user_page(page));
	assert_told(&r, CLEAR, o.at + 3 * PG, 1);
	unwatch(&r);
	own_end(&o);
}

/* ---- a device with a page table of its own ------------------------------------------------------- */

#define SHOWN 32u
#define DEVICE_THREADS 2

struct device {
	struct mmu_interval_notifier mni; /* first */
	struct mm_struct *mm;
	unsigned long at;
	unsigned pages;
	pthread_mutex_t lock;
	const void *shadow[SHOWN]; /* lock */
	bool (*good)(struct device *d, unsigned p, const void *shown);
	/* Of anonymous page p: the last change that is done, and the last that began and leaves zeroes. */
	_Atomic uint64_t done[SHOWN], zeroed[SHOWN];
	uint64_t changes;
	_Atomic bool ended;
	_Atomic unsigned wrongs, seeds;
	_Atomic uint64_t filled, retried, used;
	pthread_t thread[DEVICE_THREADS];
};

static bool device_invalidate(struct mmu_interval_notifier *mni, const struct mmu_notifier_range *range,
                              unsigned long seq)
{
	struct device *d = (struct device *)mni;

	pthread_mutex_lock(&d->lock);
	mmu_interval_set_seq(mni, seq);
	for (unsigned p = 0; p < d->pages; p++)
		if (d->at + p * PG < range->end && d->at + (p + 1) * PG > range->start)
			d->shadow[p] = NULL;
	pthread_mutex_unlock(&d->lock);
	return true;
}

/* A page without a pin: only as long as its notifier has not called. */
static void device_fill(struct device *d, unsigned p)
{
	const void *shown;
	struct page *page;
	unsigned long seq;
	int again;

	do {
		seq = mmu_interval_read_begin(&d->mni);
		if (get_user_pages_fast(d->at + p * PG, 1, 0, &page) != 1)
			return;
		shown = page_address(page);
		if (put_user_page(page))
			atomic_fetch_add(&d->wrongs, 1);
		pthread_mutex_lock(&d->lock);
		again = mmu_interval_read_retry(&d->mni, seq);
		if (!again)
			d->shadow[p] = shown;
		pthread_mutex_unlock(&d->lock);
		atomic_fetch_add(again ? &d->retried : &d->filled, 1);
	} while (again && !atomic_load(&d->ended));
}

static void device_use(struct device *d, unsigned p)
{
	pthread_mutex_lock(&d->lock);
	if (d->shadow[p]) {
		atomic_fetch_add(&d->used, 1);
		if (!d->good(d, p, d->shadow[p]))
			atomic_fetch_add(&d->wrongs, 1);
	}
	pthread_mutex_unlock(&d->lock);
}

static void *device_thread(void *arg)
{
	struct device *d = arg;
	unsigned seed = atomic_fetch_add(&d->seeds, 1);

	if (pinfold_use_mm(d->mm))
		atomic_fetch_add(&d->wrongs, 1);
	while (!atomic_load(&d->ended)) {
		seed = seed * 1103515245 + 12345;
		device_fill(d, (seed >> 16) % d->pages);
		device_use(d, (seed >> 8) % d->pages);
	}
	return NULL;
}

static void device_start(struct device *d, struct mm_struct *mm, unsigned long at, unsigned pages)
{
	static const struct mmu_interval_notifier_ops ops = { device_invalidate };

	d->mm = mm;
	d->at = at;
	d->pages = pages;
	pthread_mutex_init(&d->lock, NULL);
	assert_ok(mmu_interval_notifier_insert(&d->mni, mm, at, pages * PG, &ops));
	for (int i = 0; i < DEVICE_THREADS; i++)
		assert_ok(pthread_create(&d->thread[i], NULL, device_thread, d));
}

static void device_end(struct device *d)
{
	atomic_store(&d->ended, true);
	for (int i = 0; i < DEVICE_THREADS; i++)
		assert_ok(pthread_join(d->thread[i], NULL));
	assert_ok(mmu_interval_notifier_remove(&d->mni));
	assert_int_equal(atomic_load(&d->wrongs), 0);
	assert_true(atomic_load(&d->used) > 0);
}

/* While the threads of the device run nothing jumps out of the test. */
#define expect(d, expr) ((expr) ? (void)0 : (void)atomic_fetch_add(&(d)->wrongs, 1))

/* What cannot be looked up is not shown, however long the device tries. */
static void expect_dark(struct device *d, unsigned first, unsigned n)
{
	for (int i = 0; i < 3; i++) {
		pthread_mutex_lock(&d->lock);
		for (unsigned p = first; p < first + n; p++)
			expect(d, !d->shadow[p]);
		pthread_mutex_unlock(&d->lock);
		sched_yield();
	}
}

/* Until the device shows something again, so that there is something to invalidate. */
static void let_it_fill(struct device *d)
{
	uint64_t was = atomic_load(&d->filled), end = now_ms() + 50;

	while (atomic_load(&d->filled) < was + 4 && now_ms() < end)
		sched_yield();
}

/* Each kind of change at least twice; more while there is time. */
static bool go_on(struct device *d, unsigned i, uint64_t since)
{
	return !atomic_load(&d->wrongs) && (i < 12 || (i < 150 && now_ms() - since < 500));
}

static bool good_file_page(struct device *d, unsigned p, const void *shown)
{
	(void)d;
	return is_filled(shown, 0, p);
}

static void change_file(struct device *d, struct world *w, unsigned i)
{
	size_t len = w->pages * PG;

	switch (i % 4) {
	case 0:
		expect(d, !vm_munmap(w->mm, w->at, len));
		expect_dark(d, 0, d->pages);
		expect(d, vm_mmap(w->mm, w->at, len, RW, SHARED | PINFOLD_MAP_FIXED, w->file, 0) == (long)w->at);
		break;
	case 1:
		expect(d, !vm_mprotect(w->mm, w->at, len, PINFOLD_PROT_NONE));
		expect_dark(d, 0, d->pages);
		expect(d, !vm_mprotect(w->mm, w->at, len, RW));
		break;
	case 2:
		expect(d, !vm_madvise(w->mm, w->at + i % 8 * PG, 7 * PG, PINFOLD_MADV_DONTNEED));
		break;
	default:
		expect(d, pinfold_reclaim(w->m, 1000000) >= 0);
	}
}

/* Clause N1: without pins a device's view of a file is never that of another page, or of none. */
static void a_device_follows_a_file(void **state)
{
	uint64_t since = now_ms();
	static struct device d;
	struct world w;

	WORLD(w, *state);
	memset(&d, 0, sizeof(d));
	d.good = good_file_page;
	device_start(&d, w.mm, w.at, 16);
	for (unsigned i = 0; go_on(&d, i, since); i++) {
		let_it_fill(&d);
		change_file(&d, &w, i);
	}
	device_end(&d);
	world_end(&w);
}

/* The word is no older than the last change that is done. */
static bool good_word(struct device *d, unsigned p, const void *shown)
{
	uint64_t done = atomic_load(&d->done[p]);
	uint64_t v = atomic_load((const _Atomic uint64_t *)shown);

	return v ? v >= done : atomic_load(&d->zeroed[p]) >= done;
}

static void begin_zeroes(struct device *d, unsigned first, unsigned n)
{
	d->changes++;
	for (unsigned p = first; p < first + n; p++)
		atomic_store(&d->zeroed[p], d->changes);
}

static void end_change(struct device *d, unsigned first, unsigned n)
{
	for (unsigned p = first; p < first + n; p++)
		atomic_store(&d->done[p], d->changes);
}

static void store_some(struct device *d, struct own *o, unsigned first, unsigned n)
{
	for (unsigned p = first; p < first + n; p++) {
		d->changes++;
		expect(d, !store_word(o, p, d->changes));
		end_change(d, p, 1);
	}
}

static void move_there_and_back(struct device *d, struct own *o, unsigned first, unsigned n)
{
	unsigned long a = o->at + first * PG, away = a + LEAF;
	int flags = PINFOLD_MREMAP_MAYMOVE | PINFOLD_MREMAP_FIXED;

	expect(d, vm_mremap(o->mm, a, n * PG, n * PG, flags, away) == (long)away);
	expect_dark(d, first, n);
	expect(d, vm_mremap(o->mm, away, n * PG, n * PG, flags, a) == (long)a);
}

static void unmap_and_map(struct device *d, struct own *o, unsigned first, unsigned n)
{
	unsigned long a = o->at + first * PG;

	begin_zeroes(d, first, n);
	expect(d, !vm_munmap(o->mm, a, n * PG));
	expect_dark(d, first, n);
	expect(d, vm_mmap(o->mm, a, n * PG, RW, PRIVATE_ANON | PINFOLD_MAP_FIXED, NULL, 0) == (long)a);
	end_change(d, first, n);
}

static void change_own(struct device *d, struct own *o, unsigned i)
{
	unsigned first = i * 7 % (SHOWN / 2), n = 1 + i * 5 % (SHOWN / 2);
	unsigned long a = o->at + first * PG;

	switch (i % 6) {
	case 0:
		begin_zeroes(d, first, n);
		expect(d, !vm_madvise(o->mm, a, n * PG, PINFOLD_MADV_DONTNEED));
		end_change(d, first, n);
		break;
	case 1:
		unmap_and_map(d, o, first, n);
		break;
	case 2:
		expect(d, !vm_mprotect(o->mm, a, n * PG, PINFOLD_PROT_NONE));
		expect_dark(d, first, n);
		expect(d, !vm_mprotect(o->mm, a, n * PG, RW));
		break;
	case 3:
		move_there_and_back(d, o, first, n);
		break;
	case 4:
		/* All of it, so that a folio may come next. */
		begin_zeroes(d, 0, SHOWN);
		expect(d, !vm_madvise(o->mm, o->at, LEAF, PINFOLD_MADV_DONTNEED));
		end_change(d, 0, SHOWN);
		break;
	default:
		/* The stores that follow copy what the snapshot shares. */
		expect(d, !snapshot(o));
	}
}

static void follow_memory(struct own *o, int advice)
{
	uint64_t since = now_ms();
	static struct device d;

	memset(&d, 0, sizeof(d));
	d.good = good_word;
	/* A store before the device's first look, which would bring zero pages of 4 KiB. */
	assert_ok(vm_madvise(o->mm, o->at, LEAF, advice));
	store_some(&d, o, 0, 1);
	device_start(&d, o->mm, o->at, SHOWN);
	for (unsigned i = 0; go_on(&d, i, since); i++) {
		expect(&d, !vm_madvise(o->mm, o->at, LEAF, advice));
		store_some(&d, o, i * 3 % SHOWN / 2, SHOWN / 2);
		let_it_fill(&d);
		change_own(&d, o, i);
	}
	device_end(&d);
}

/* Clauses N1, N3: nor is its view of memory of the mm's own ever older than the last store or DONTNEED. */
static void a_device_follows_memory_through_snapshots(void **state)
{
	struct own o;

	own_start(&o, *state);
	follow_memory(&o, PINFOLD_MADV_NOHUGEPAGE);
	own_end(&o);
}

static void a_device_follows_folios_through_snapshots(void **state)
{
	struct own o;

	own_start(&o, *state);
	follow_memory(&o, PINFOLD_MADV_HUGEPAGE);
	assert_true(stats_of(o.w.m).folios_mapped > 0);
	own_end(&o);
}

/* ---- notifiers that come and go beside changes --------------------------------------------------- */

struct counter {
	struct mmu_notifier mn; /* first */
	_Atomic long open, starts;
	_Atomic unsigned wrong;
};

static int count_start(struct mmu_notifier *mn, const struct mmu_notifier_range *range)
{
	struct counter *c = (struct counter *)mn;

	(void)range;
	atomic_fetch_add(&c->open, 1);
	atomic_fetch_add(&c->starts, 1);
	return 0;
}

static void count_end(struct mmu_notifier *mn, const struct mmu_notifier_range *range)
{
	struct counter *c = (struct counter *)mn;

	(void)range;
	if (atomic_fetch_sub(&c->open, 1) <= 0)
		atomic_fetch_add(&c->wrong, 1);
}

struct churn {
	struct world *w;
	_Atomic bool ended;
	_Atomic unsigned wrongs;
	_Atomic long starts;
};

static void *come_and_go(void *arg)
{
	static const struct mmu_notifier_ops ops = { NULL, count_start, count_end };
	struct churn *c = arg;

	while (!atomic_load(&c->ended)) {
		struct counter n = { .mn = { .ops = &ops } };
		struct mmu_interval_notifier mni = { 0 };

		expect(c, !mmu_notifier_register(&n.mn, c->w->mm));
		expect(c, !mmu_interval_notifier_insert(&mni, c->w->mm, c->w->at, 8 * PG, &meddled));
		for (int i = 0; i < 3; i++) {
			mmu_interval_read_begin(&mni);
			sched_yield();
		}
		expect(c, !mmu_interval_notifier_remove(&mni));
		expect(c, !mmu_notifier_unregister(&n.mn, c->w->mm));
		expect(c, !atomic_load(&n.wrong));
		atomic_fetch_add(&c->starts, atomic_load(&n.starts));
	}
	return NULL;
}

static void *change(void *arg)
{
	struct churn *c = arg;
	struct page *page;

	pinfold_use_mm(c->w->mm);
	for (unsigned i = 0; !atomic_load(&c->ended); i++) {
		unsigned long a = c->w->at + i % 16 * PG;

		if (get_user_pages_fast(a, 1, i % 3 ? 0 : FOLL_WRITE, &page) == 1)
			expect(c, !(i % 3 ? put_user_page(page) : put_user_pages_dirty_lock(&page, 1)));
		expect(c, !vm_madvise(c->w->mm, a, PG, PINFOLD_MADV_DONTNEED));
		if (i % 8 == 0)
			pinfold_commit(c->w->file, 0, 0, NULL);
		if (i % 8 == 4)
			pinfold_reclaim(c->w->m, 8);
	}
	return NULL;
}

/* No end without its start, and no reader that sleeps for good. */
static void notifiers_come_and_go_beside_changes(void **state)
{
	struct churn c = { 0 };
	pthread_t t[4];
	struct world w;

	WORLD(w, *state);
	c.w = &w;
	for (int i = 0; i < 4; i++)
		assert_ok(pthread_create(&t[i], NULL, i % 2 ? come_and_go : change, &c));
	nap_ms(200);
	atomic_store(&c.ended, true);
	for (int i = 0; i < 4; i++)
		assert_ok(pthread_join(t[i], NULL));
	assert_int_equal(atomic_load(&c.wrongs), 0);
	assert_true(atomic_load(&c.starts) > 0);
	world_end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		EACH(unmapping_and_protecting_are_told),
		EACH(what_is_pinned_is_told_too),
		EACH(pins_tell_nothing),
		EACH(eviction_is_told_to_every_mm),
		EACH(a_freeze_tells_what_it_protects),
		EACH(the_end_of_an_mm_is_told_last),
		PLAIN(mistakes_are_refused),
		PLAIN(every_callback_may_be_missing),
		PLAIN(under_the_mmap_lock_nobody_registers),
		EACH(callbacks_may_put_pins_and_nothing_else),
		ON(pool, a_pin_whose_callback_puts_another_machines_page_is_counted_rightly),
		PLAIN(a_child_of_fork_is_told_that_it_has_none),
		EACH(a_change_is_told_before_it_is_made),
		EACH(the_slot_is_gone_at_end),
		EACH(who_registers_waits_for_changes_under_way),
		EACH(who_unregisters_waits_for_callbacks),
		EACH(a_sequence_stands_until_its_range_changes),
		EACH(read_begin_waits_for_changes_under_way),
		EACH(notifiers_come_and_go_beside_changes),
		EACH(a_device_follows_a_file),
		BOTH(a_snapshot_is_told_to_the_mm_it_is_taken_of),
		BOTH(a_copy_on_write_is_told),
		BOTH(unsharing_for_a_read_pin_is_told),
		BOTH(a_first_store_is_told_to_who_has_read),
		BOTH(a_move_is_told),
		BOTH(snapshots_and_moves_are_told_before_they_are_made),
		BOTH(the_old_page_is_there_at_start_and_gone_at_end),
		BOTH(the_copy_is_there_at_end),
		BOTH(a_device_follows_memory_through_snapshots),
		BOTH(a_device_follows_folios_through_snapshots),
	};

	return world_main(tests);
}
