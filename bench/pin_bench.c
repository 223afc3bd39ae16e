/* SPDX-License-Identifier: MIT */
/*
 * pin_bench.c - what a pin costs: get_user_pages_fast() and put_user_page(s) per page, beside one locked
 * add on a hot line (A) and beside the kernel's own pin as user space can reach it, io_uring's update and
 * clear of a slot in a sparse table of registered buffers.
 */
#include "bench.h"

#include <liburing.h>

#ifndef HOW_LINKED
#define HOW_LINKED ""
#define SHARED_LIBRARY true
#else
#define SHARED_LIBRARY false
#endif
#define FILE_PAGES 4096ul
#define MAX_PAGES 1024ul
#define HOT 256ul /* pages used in turn: their records stay in the first-level cache */

static struct side mem;  /* memory only: no fault, no commit in the way */
static struct side disk; /* a regular file, for dirty puts */
static _Atomic uint64_t line[2][32] __attribute__((aligned(256)));
static long calls; /* pages handled per measurement */
static double a_ns; /* A in this repetition */

/* ---- one thread ------------------------------------------------------------------------------ */

static void locked_add(struct variant *v)
{
	double t = now_ns();

	for (long i = 0; i < calls; i++)
		atomic_fetch_add(&line[0][0], 1);
	v->out[0] = a_ns = (now_ns() - t) / (double)calls;
}

/* a pages a call.  out: a batch of gets, of puts, both in turn */
static void pin_put(struct variant *v)
{
	struct page *pages[FILE_PAGES];
	unsigned long n = (unsigned long)v->a, per = n > HOT ? n : HOT;
	unsigned long base = (unsigned long)mem.base;
	double get = 0, put = 0, pair, t0, t1, t2;
	long rounds = calls / (long)per;

	for (long r = 0; r < rounds; r++) {
		t0 = now_ns();
		for (unsigned long i = 0; i < per; i += n)
			if (get_user_pages_fast(base + i * PG, (int)n, FOLL_WRITE, pages + i) != (int)n)
				die("get_user_pages_fast");
		t1 = now_ns();
		for (unsigned long i = 0; i < per; i += n)
			if (n == 1 ? put_user_page(pages[i]) : put_user_pages(pages + i, n))
				die("put_user_pages");
		t2 = now_ns();
		get += t1 - t0;
		put += t2 - t1;
	}
	t0 = now_ns();
	for (long r = 0; r < rounds; r++)
		for (unsigned long i = 0; i < per; i += n) {
			get_user_pages_fast(base + i * PG, (int)n, FOLL_WRITE, pages);
			n == 1 ? put_user_page(pages[0]) : put_user_pages(pages, n);
		}
	pair = now_ns() - t0;
	v->out[1] = get / (double)(rounds * (long)per);
	v->out[2] = put / (double)(rounds * (long)per);
	v->out[3] = pair / (double)(rounds * (long)per);
	if (n == 1) {
		v->want[3] = (SHARED_LIBRARY ? 2.8 : 2.6) * a_ns;
	} else {
		v->want[1] = 1.2 * a_ns;
		v->want[2] = 1.15 * a_ns;
	}
}

/*
 * The least that a counted pin of base pages does, with nothing around it: an xadd on the count of each 64-byte
 * record, its old value tested, the pointer stored; and back.
 */
static void least(struct variant *v)
{
	static struct record {
		_Atomic uint64_t count;
		uint64_t rest[7];
	} record[512] __attribute__((aligned(64))), *volatile pages[512];
	long per = v->a > (long)HOT ? v->a : (long)HOT, rounds = calls / per;
	double get = 0, put = 0, t0, t1;

	for (long r = 0; r < rounds; r++) {
		t0 = now_ns();
		for (long i = 0; i < per; i++) {
			if (atomic_fetch_add(&record[i].count, 1) >> 62)
				die("count");
			pages[i] = &record[i];
		}
		t1 = now_ns();
		for (long i = 0; i < per; i++)
			if (!atomic_fetch_sub(&pages[i]->count, 1))
				die("count");
		get += t1 - t0;
		put += now_ns() - t1;
	}
	v->out[1] = get / (double)(rounds * per);
	v->out[2] = put / (double)(rounds * per);
	v->out[3] = v->out[1] + v->out[2];
}

static struct io_uring ring;

/* a pages a call, through one slot of a sparse table */
static void uring_slot(struct variant *v)
{
	static char *area;
	struct iovec some, none = { 0 };
	long loops = calls / 64 / v->a + 8;
	double update = 0, clear = 0, t0, t1, t2;
	__u64 tag = 0;

	if (!area) {
		area = mmap(NULL, 512 * PG, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (area == MAP_FAILED)
			die("mmap");
		madvise(area, 512 * PG, MADV_NOHUGEPAGE);
		memset(area, 1, 512 * PG);
	}
	some = (struct iovec){ area, (size_t)v->a * PG };
	for (long i = 0; i < loops; i++) {
		t0 = now_ns();
		if (io_uring_register_buffers_update_tag(&ring, 0, &some, &tag, 1) != 1)
			die("buffer slot update");
		t1 = now_ns();
		if (io_uring_register_buffers_update_tag(&ring, 0, &none, &tag, 1) != 1)
			die("buffer slot clear");
		t2 = now_ns();
		update += t1 - t0;
		clear += t2 - t1;
	}
	v->out[1] = update / (double)(loops * v->a);
	v->out[2] = clear / (double)(loops * v->a);
	v->out[3] = v->out[1] + v->out[2];
}

/* ---- peers in user space ---------------------------------------------------------------------- */

/* A pool as one writes it by hand: the range checked, a flat table from page to frame, a count per frame. */
static struct frame {
	_Atomic uint32_t count;
	uint32_t flags;
	void *addr;
} hand[FILE_PAGES];

static int hand_get(unsigned long addr, unsigned long n, struct frame **out)
{
	unsigned long first = (addr - (unsigned long)mem.base) / PG;

	if (addr < (unsigned long)mem.base || first + n > FILE_PAGES)
		return -1;
	for (unsigned long i = 0; i < n; i++) {
		if (atomic_fetch_add(&hand[first + i].count, 1) >> 31)
			return -1;
		out[i] = &hand[first + i];
	}
	return 0;
}

static int hand_put(struct frame **f, unsigned long n)
{
	for (unsigned long i = 0; i < n; i++)
		if (!atomic_fetch_sub(&f[i]->count, 1))
			return -1;
	return 0;
}

static void by_hand(struct variant *v)
{
	static struct frame *f[FILE_PAGES];
	unsigned long n = (unsigned long)v->a, per = n > HOT ? n : HOT, base = (unsigned long)mem.base;
	long rounds = calls / (long)per;
	double get = 0, put = 0, t0, t1;

	for (long r = 0; r < rounds; r++) {
		t0 = now_ns();
		for (unsigned long i = 0; i < per; i += n)
			if (hand_get(base + i * PG, n, f + i))
				die("by hand");
		t1 = now_ns();
		for (unsigned long i = 0; i < per; i += n)
			if (hand_put(f + i, n))
				die("by hand");
		get += t1 - t0;
		put += now_ns() - t1;
	}
	v->out[1] = get / (double)(rounds * (long)per);
	v->out[2] = put / (double)(rounds * (long)per);
	v->out[3] = v->out[1] + v->out[2];
}

#ifdef HAVE_UCS
#include <ucs/memory/rcache.h>

static ucs_status_t registers_nothing(void *context, ucs_rcache_t *cache, void *arg, ucs_rcache_region_t *region,
                                      uint16_t flags)
{
	(void)context, (void)cache, (void)arg, (void)region, (void)flags;
	return UCS_OK;
}

static void deregisters_nothing(void *context, ucs_rcache_t *cache, ucs_rcache_region_t *region)
{
	(void)context, (void)cache, (void)region;
}

static void shows_nothing(void *context, ucs_rcache_t *cache, ucs_rcache_region_t *region, char *buf, size_t max)
{
	(void)context, (void)cache, (void)region, (void)max;
	buf[0] = '\0';
}

/* UCX's cache of registrations, hit: one region that is there already.  Its callbacks cost nothing here. */
static void ucx_hit(struct variant *v)
{
	static const ucs_rcache_ops_t ops = { registers_nothing, deregisters_nothing, shows_nothing };
	ucs_rcache_params_t p = {
		.region_struct_size = sizeof(ucs_rcache_region_t), .alignment = UCS_RCACHE_MIN_ALIGNMENT,
		.max_alignment = PG, .ucm_event_priority = 1000, .ops = &ops, .max_regions = ~0ul, .max_size = ~0ul,
		.max_unreleased = ~0ul,
	};
	static ucs_rcache_t *cache;
	static char *area;
	ucs_rcache_region_t *r[HOT];
	unsigned long n = (unsigned long)v->a;
	long rounds = calls / (long)HOT / 4;
	double get = 0, put = 0, t0, t1;

	if (!cache) {
		area = mmap(NULL, MAX_PAGES * PG, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (area == MAP_FAILED || ucs_rcache_create(&p, "bench", NULL, &cache) != UCS_OK ||
		    ucs_rcache_get(cache, area, MAX_PAGES * PG, PROT_READ | PROT_WRITE, NULL, &r[0]) != UCS_OK)
			die("ucs_rcache");
		ucs_rcache_region_put(cache, r[0]);
	}
	for (long k = 0; k < rounds; k++) {
		t0 = now_ns();
		for (unsigned long i = 0; i < HOT; i++)
			if (ucs_rcache_get(cache, area + i * PG, n * PG, PROT_READ | PROT_WRITE, NULL, &r[i]) != UCS_OK)
				die("ucs_rcache_get");
		t1 = now_ns();
		for (unsigned long i = 0; i < HOT; i++)
			ucs_rcache_region_put(cache, r[i]);
		get += t1 - t0;
		put += now_ns() - t1;
	}
	v->out[1] = get / (double)(rounds * (long)(HOT * n));
	v->out[2] = put / (double)(rounds * (long)(HOT * n));
	v->out[3] = v->out[1] + v->out[2];
}
static const char *const no_ucx = NULL;
#else
static void ucx_hit(struct variant *v)
{
	v->out[1] = v->out[2] = v->out[3] = NAN;
}
static const char *const no_ucx = "libucx-dev is not installed";
#endif

static const struct figure pin_figures[] = {
	{ "add", "ns" }, { "get (update)", "ns/page" }, { "put (clear)", "ns/page" },
	{ "both", "ns/page" }, { 0 },
};

static void one_thread(bool uring)
{
	static const long sizes[] = { 1, 32, 512 };

	for (int i = 0; i < 3; i++) {
		struct variant v[] = {
			{ .name = "A: one locked add, hot line", .fn = locked_add },
			{ .name = "the least: xadd per 64-byte record, tested", .fn = least, .a = sizes[i] },
			{ .name = "pinfold get_user_pages_fast, put", .fn = pin_put, .a = sizes[i] },
			{ .name = "by hand: flat table, atomic per page", .fn = by_hand, .a = sizes[i] },
			{ .name = "UCX rcache hit, one region, no page counted", .fn = ucx_hit, .a = sizes[i],
			  .missing = no_ucx },
			{ .name = "io_uring buffer slot, anonymous memory", .fn = uring_slot, .a = sizes[i] },
		};
		char name[64];
		struct group g = { .name = name, .figure = pin_figures, .v = v, .n = uring ? 6 : 5,
			           .reps = 31, .self_ref = true,
			           .note = "FOLL_WRITE on mapped, resident pages of a memory-only file; "
			                   "io_uring's slot is a long-term write pin.  By hand: no rights, no "
			                   "flags, nothing may change the table meanwhile." };

		snprintf(name, sizeof(name), "Pin and put, 1 thread, %ld page%s a call" HOW_LINKED, sizes[i],
		         i ? "s" : "");
		if (!run_group(&g))
			continue;
		if (uring)
			print_times(&g, "io_uring's update and clear cost, of pinfold's get and put", 5, 2, 3);
		if (!no_ucx)
			print_times(&g, "UCX's hit and its put, of pinfold's get and put", 4, 2, 3);
	}
}

/* ---- dirty ----------------------------------------------------------------------------------- */

/* Pin for writing, dirty put: the page is dirty already, as after any write pin.  b: under the page lock */
static void pin_dirty(struct variant *v)
{
	struct page *pages[512];
	unsigned long n = (unsigned long)v->a, base = (unsigned long)disk.base;
	long loops = calls / 512;
	double t;

	MUST(pinfold_use_mm(disk.mm));
	t = now_ns();
	for (long l = 0; l < loops; l++)
		for (unsigned long i = 0; i < 512; i += n) {
			get_user_pages_fast(base + i % HOT * (n < HOT) * PG, (int)n, FOLL_WRITE, pages);
			if (v->b ? put_user_pages_dirty_lock(pages, n) : put_user_pages_dirty(pages, n))
				die("put_user_pages_dirty");
		}
	v->out[0] = (now_ns() - t) / (double)(loops * 512);
	MUST(pinfold_use_mm(mem.mm));
}

/* Clean pages under read pins: this put sets the mark.  Only the put is timed. */
static void first_dirty(struct variant *v)
{
	struct page *pages[512];
	double t, sum = 0;
	int loops = (int)in_full(8, 1);

	MUST(pinfold_use_mm(disk.mm));
	for (int i = 0; i < loops; i++) {
		MUST(pinfold_commit(disk.file, 0, 0, NULL));
		if (get_user_pages_fast((unsigned long)disk.base, 512, 0, pages) != 512)
			die("get_user_pages_fast");
		t = now_ns();
		if (v->b ? put_user_pages_dirty_lock(pages, 512) : put_user_pages_dirty(pages, 512))
			die("put_user_pages_dirty");
		sum += now_ns() - t;
	}
	v->out[0] = sum / (512.0 * loops);
	MUST(pinfold_use_mm(mem.mm));
}

static void dirty(void)
{
	static const struct figure fig[] = { { "time", "ns/page" }, { 0 } };
	struct variant v[] = {
		{ .name = "A: one locked add, hot line", .fn = locked_add },
		{ .name = "get + dirty put, page dirty already, 1 a call", .fn = pin_dirty, .a = 1 },
		{ .name = "get + dirty put, page dirty already, 512 a call", .fn = pin_dirty, .a = 512 },
		{ .name = "get + dirty put under the page lock, 512 a call", .fn = pin_dirty, .a = 512, .b = 1 },
		{ .name = "first dirty put of a clean page (put alone), 512", .fn = first_dirty },
		{ .name = "the same under the page lock", .fn = first_dirty, .b = 1 },
	};
	struct group g = { .name = "Dirty put, 1 thread", .figure = fig, .v = v, .n = 6, .reps = 15,
		           .note = "Pages of a regular file in the pool." };

	if (!wanted(g.name))
		return;
	MUST(side_open(&disk, make_file("pin", 512 * PG, true), 512 * PG, 16 * MIB, PINFOLD_WINDOW_NONE,
	               PINFOLD_FILE_NO_JOURNAL));
	run_group(&g);
	side_close(&disk);
	pinfold_use_mm(mem.mm);
}

/* ---- two threads ----------------------------------------------------------------------------- */

struct job {
	const struct variant *v;
	pthread_barrier_t *start;
	int nr;
	double ns;
};

static void *thread_job(void *arg)
{
	struct job *j = arg;
	struct page *pages[512];
	unsigned long n = (unsigned long)j->v->a, per = n > HOT ? n : HOT;
	bool same = j->v->b;
	unsigned long base = (unsigned long)mem.base + (same ? 0 : j->nr * 1024 * PG);
	_Atomic uint64_t *hot = &line[same ? 0 : j->nr][0];
	double t;

	on_cpu(j->nr);
	MUST(pinfold_use_mm(mem.mm));
	if (n) /* attaches the thread before the clock runs */
		put_user_pages(pages, (unsigned long)MUST(get_user_pages_fast(base, 1, FOLL_WRITE, pages)));
	pthread_barrier_wait(j->start);
	t = now_ns();
	if (!n)
		for (long i = 0; i < calls; i++)
			atomic_fetch_add(hot, 1);
	for (long done = 0; n && done < calls; done += (long)per)
		for (unsigned long i = 0; i < per; i += n) {
			unsigned long a = same && n == 1 ? base : base + i * PG;

			get_user_pages_fast(a, (int)n, FOLL_WRITE, pages);
			n == 1 ? put_user_page(pages[0]) : put_user_pages(pages, n);
		}
	j->ns = (now_ns() - t) / (double)calls;
	pinfold_use_mm(NULL);
	return NULL;
}

/* a pages a call (0: locked add), b: both threads on the same page (line) */
static void threads2(struct variant *v)
{
	pthread_barrier_t start;
	struct job j[2];
	pthread_t t[2];

	pthread_barrier_init(&start, NULL, 2);
	for (int i = 0; i < 2; i++) {
		j[i] = (struct job){ .v = v, .start = &start, .nr = i };
		if (pthread_create(&t[i], NULL, thread_job, &j[i]))
			die("pthread_create");
	}
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	pthread_barrier_destroy(&start);
	v->out[0] = (j[0].ns + j[1].ns) / 2;
}

static void two_threads(void)
{
	static const struct figure fig[] = { { "both, a thread", "ns/page" }, { 0 } };
	struct variant own[] = {
		{ .name = "A: locked add, a line for each thread", .fn = threads2 },
		{ .name = "get + put, own pages, 1 a call", .fn = threads2, .a = 1 },
		{ .name = "get + put, own pages, 32 a call", .fn = threads2, .a = 32 },
		{ .name = "get + put, own pages, 512 a call", .fn = threads2, .a = 512 },
	};
	struct variant same[] = {
		{ .name = "A: locked add, one line for both threads", .fn = threads2, .b = 1 },
		{ .name = "get + put, the same page, 1 a call", .fn = threads2, .a = 1, .b = 1 },
		{ .name = "get + put, the same 32 pages in one call", .fn = threads2, .a = 32, .b = 1 },
		{ .name = "get + put, the same 512 pages in one call", .fn = threads2, .a = 512, .b = 1 },
	};
	struct group g = { .name = "Pin and put, 2 threads, own pages", .figure = fig, .v = own, .n = 4,
		           .reps = 31 };
	struct group h = { .name = "Pin and put, 2 threads, same page", .figure = fig, .v = same, .n = 4,
		           .reps = 31 };

	if (sysconf(_SC_NPROCESSORS_ONLN) < 2) {
		skipped("2 threads", "one CPU only");
		return;
	}
	run_group(&g);
	run_group(&h);
}

int main(int argc, char **argv)
{
	struct page *pages[FILE_PAGES];
	bool uring;

	bench_start(argc, argv, "a pin beside one locked add and beside io_uring's buffer slot");
	calls = in_full(128 * 1024, 4096); /* under a millisecond: mostly no other process in between */
	on_cpu(0);
	MUST(side_open(&mem, NULL, FILE_PAGES * PG, 2 * FILE_PAGES * PG, PINFOLD_WINDOW_NONE, 0));
	MUST(pinfold_use_mm(mem.mm));
	if (get_user_pages_fast((unsigned long)mem.base, FILE_PAGES, FOLL_WRITE, pages) != (int)FILE_PAGES)
		die("cannot populate");
	MUST(put_user_pages(pages, FILE_PAGES));
	uring = !io_uring_queue_init(8, &ring, 0);
	if (uring && io_uring_register_buffers_sparse(&ring, 8)) {
		io_uring_queue_exit(&ring);
		uring = false;
	}
	if (!uring)
		skipped("io_uring's buffer slot", "io_uring is refused here, see `pinfold doctor`");
	one_thread(uring);
	if (SHARED_LIBRARY) {
		dirty();
		two_threads();
	}
	if (uring)
		io_uring_queue_exit(&ring);
	side_close(&mem);
	return 0;
}
