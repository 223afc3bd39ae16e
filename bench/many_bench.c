/* SPDX-License-Identifier: MIT */
/*
 * many_bench.c - pins of many pages: a range under one handle, scattered pages one by one and in batches, long rows.
 * Beside: one locked add (A), io_uring's buffer slots, and a pool as one writes it by hand: a flat table from address to
 * frame and an atomic count per frame.
 */
#include "bench.h"

#include <liburing.h>

#define MOST 512ul       /* pages a call */
#define ADDRESSES (1ul << 17)

static struct side mem;
static size_t size; /* of mem */
static _Atomic uint64_t line[32] __attribute__((aligned(256)));
static double a_ns; /* A in this repetition */
static unsigned long *addrs;

static void locked_add(struct variant *v)
{
	long n = in_full(128 * 1024, 4096);
	double t = now_ns();

	for (long i = 0; i < n; i++)
		atomic_fetch_add(&line[0], 1);
	v->out[0] = a_ns = (now_ns() - t) / (double)n;
}

/* ---- a range with a handle ----------------------------------------------------------------------- */

static const struct figure range_figures[] = {
	{ "add", "ns" }, { "get (update)", "ns/page" }, { "put (clear)", "ns/page" }, { "both", "ns/page" }, { 0 },
};

static void set_pair(struct variant *v, double get, double put, double pages)
{
	v->out[1] = get / pages;
	v->out[2] = put / pages;
	v->out[3] = v->out[1] + v->out[2];
}

/* a pages, b: hundredths of A that a page may cost */
static void range_pin(struct variant *v)
{
	static struct page *pages[MOST];
	long rounds = in_full(64 * 1024, 1024) / v->a;
	unsigned long base = (unsigned long)mem.base;
	struct pinfold_range_pin r;
	double get = 0, put = 0, t0, t1;

	for (long i = 0; i < rounds; i++) {
		t0 = now_ns();
		MUST(pinfold_pin_range(base, (int)v->a, FOLL_WRITE, pages, &r));
		t1 = now_ns();
		MUST(pinfold_unpin_range(&r));
		get += t1 - t0;
		put += now_ns() - t1;
	}
	set_pair(v, get, put, (double)(rounds * v->a));
	t0 = now_ns(); /* without the clock in between */
	for (long i = 0; i < rounds; i++) {
		MUST(pinfold_pin_range(base, (int)v->a, FOLL_WRITE, pages, &r));
		MUST(pinfold_unpin_range(&r));
	}
	v->out[3] = (now_ns() - t0) / (double)(rounds * v->a);
	v->want[3] = (double)v->b / 100 * a_ns;
}

static void page_pins(struct variant *v)
{
	static struct page *pages[MOST];
	long rounds = in_full(64 * 1024, 1024) / v->a;
	unsigned long base = (unsigned long)mem.base;
	double get = 0, put = 0, t0, t1;

	for (long i = 0; i < rounds; i++) {
		t0 = now_ns();
		MUST(get_user_pages_fast(base, (int)v->a, FOLL_WRITE, pages));
		t1 = now_ns();
		MUST(put_user_pages(pages, (unsigned long)v->a));
		get += t1 - t0;
		put += now_ns() - t1;
	}
	set_pair(v, get, put, (double)(rounds * v->a));
}

static struct io_uring ring;

static void uring_slot(struct variant *v)
{
	static char *area;
	struct iovec some, none = { 0 };
	long rounds = in_full(2048, 64) / v->a + 8;
	double get = 0, put = 0, t0, t1;
	__u64 tag = 0;

	if (!area) {
		area = mmap(NULL, MOST * PG, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (area == MAP_FAILED)
			die("mmap");
		madvise(area, MOST * PG, MADV_NOHUGEPAGE);
		memset(area, 1, MOST * PG);
	}
	some = (struct iovec){ area, (size_t)v->a * PG };
	for (long i = 0; i < rounds; i++) {
		t0 = now_ns();
		if (io_uring_register_buffers_update_tag(&ring, 0, &some, &tag, 1) != 1)
			die("buffer slot update");
		t1 = now_ns();
		if (io_uring_register_buffers_update_tag(&ring, 0, &none, &tag, 1) != 1)
			die("buffer slot clear");
		get += t1 - t0;
		put += now_ns() - t1;
	}
	set_pair(v, get, put, (double)(rounds * v->a));
}

static void ranges(void)
{
	static const struct { long pages, hundredths; } of[] = { { 32, 20 }, { 512, 15 } };
	bool uring = !io_uring_queue_init(8, &ring, 0) && !io_uring_register_buffers_sparse(&ring, 8);

	for (int i = 0; i < 2; i++) {
		struct variant v[] = {
			{ .name = "A: one locked add, hot line", .fn = locked_add },
			{ .name = "pinfold_pin_range, unpin", .fn = range_pin, .a = of[i].pages, .b = of[i].hundredths },
			{ .name = "pinfold get_user_pages_fast, put", .fn = page_pins, .a = of[i].pages },
			{ .name = "io_uring buffer slot, anonymous memory", .fn = uring_slot, .a = of[i].pages,
			  .missing = uring ? NULL : "io_uring is refused here, see `pinfold doctor`" },
		};
		char name[80];
		struct group g = { .name = name, .figure = range_figures, .v = v, .n = 4, .reps = 31, .self_ref = true,
			           .note = "Base pages, resident, for writing, with an array of their pointers.  The clock "
			                   "is read twice in \"get\" and \"put\", not in pinfold_pin_range's \"both\"." };

		snprintf(name, sizeof(name), "A range of %ld pages under one handle", of[i].pages);
		if (run_group(&g) && uring)
			print_times(&g, "io_uring's update and clear cost, of a range's pin and unpin", 3, 1, 3);
	}
	if (uring)
		io_uring_queue_exit(&ring);
}

/* ---- scattered pages ----------------------------------------------------------------------------- */

/* The pool one writes by hand: where an address's frame is, and how often it is in use. */
static struct frame {
	_Atomic uint32_t count;
	uint32_t flags;
	void *addr;
} *frames;
static uint32_t *frame_of;

static void make_pool(size_t pages)
{
	frames = mmap(NULL, pages * sizeof(*frames), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	frame_of = mmap(NULL, pages * sizeof(*frame_of), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (frames == MAP_FAILED || frame_of == MAP_FAILED)
		die("mmap");
	for (size_t i = 0; i < pages; i++) {
		frame_of[i] = (uint32_t)(pages - 1 - i);
		frames[i].addr = mem.base + i * PG;
	}
}

static struct frame *hand_frame(unsigned long addr)
{
	return &frames[frame_of[(addr - (unsigned long)mem.base) / PG]];
}

static void hand_single(struct variant *v)
{
	long n = in_full(ADDRESSES, 1024);
	double t = now_ns();

	for (long i = 0; i < n; i++) {
		struct frame *f = hand_frame(addrs[i]);

		if (atomic_fetch_add(&f->count, 1) >> 31 || !f->addr)
			die("count");
		atomic_fetch_sub(&f->count, 1);
	}
	v->out[1] = (now_ns() - t) / (double)n;
}

static void hand_batch(struct variant *v)
{
	struct frame *f[256];
	long n = in_full(ADDRESSES, 1024);
	double t = now_ns();

	for (long i = 0; i < n; i += v->a) {
		for (long k = 0; k < v->a; k++)
			__builtin_prefetch(&frame_of[(addrs[i + k] - (unsigned long)mem.base) / PG]);
		for (long k = 0; k < v->a; k++) {
			f[k] = hand_frame(addrs[i + k]);
			__builtin_prefetch(f[k], 1);
		}
		for (long k = 0; k < v->a; k++)
			if (atomic_fetch_add(&f[k]->count, 1) >> 31)
				die("count");
		for (long k = 0; k < v->a; k++)
			atomic_fetch_sub(&f[k]->count, 1);
	}
	v->out[1] = (now_ns() - t) / (double)n;
}

static void single(struct variant *v)
{
	long n = in_full(ADDRESSES, 1024);
	struct page *page;
	double t = now_ns();

	for (long i = 0; i < n; i++) {
		if (get_user_pages_fast(addrs[i], 1, FOLL_WRITE, &page) != 1 || put_user_page(page))
			die("get_user_pages_fast");
	}
	v->out[1] = (now_ns() - t) / (double)n;
}

/* a pages a call, b times A */
static void batch(struct variant *v)
{
	struct page *pages[256];
	long n = in_full(ADDRESSES, 1024);
	double t = now_ns();

	for (long i = 0; i < n; i += v->a)
		if (pinfold_pin_batch(addrs + i, (int)v->a, FOLL_WRITE, pages) != v->a ||
		    put_user_pages(pages, (unsigned long)v->a))
			die("pinfold_pin_batch");
	v->out[1] = (now_ns() - t) / (double)n;
	v->want[1] = (double)v->b * a_ns;
}

static void scattered(void)
{
	static const struct figure figures[] = { { "add", "ns" }, { "pin and put", "ns/page" }, { 0 } };
	static const struct { size_t gib; long times_a; } of[] = { { 1, 4 }, { 8, 5 } };
	uint64_t seed = 88172645463325252ull;

	addrs = malloc(ADDRESSES * sizeof(*addrs));
	if (!addrs)
		die("malloc");
	for (int i = 0; i < 2; i++) {
		char name[80];
		const char *why = of[i].gib * GIB <= size || bench.smoke ? NULL : "too little memory free";
		struct variant v[] = {
			{ .name = "A: one locked add, hot line", .fn = locked_add },
			{ .name = "pinfold: get_user_pages_fast, put, 1 a call", .fn = single, .missing = why },
			{ .name = "pinfold_pin_batch, put, 32 a call", .fn = batch, .a = 32, .b = of[i].times_a, .missing = why },
			{ .name = "pinfold_pin_batch, put, 256 a call", .fn = batch, .a = 256, .b = of[i].times_a, .missing = why },
			{ .name = "by hand: atomic per page, 1 a call", .fn = hand_single, .missing = why },
			{ .name = "by hand: atomic per page, prefetched, 32 a call", .fn = hand_batch, .a = 32, .missing = why },
		};
		struct group g = { .name = name, .figure = figures, .v = v, .n = 6, .reps = 11, .self_ref = true,
			           .note = "Random pages, resident.  By hand: 16 bytes a frame, a flat table; no rights, no flags, "
			                   "no page tables, no check of who else changes them." };
		size_t pages = (bench.smoke ? size : of[i].gib * GIB) / PG;

		snprintf(name, sizeof(name), "Scattered pages of %zu GiB", of[i].gib);
		if (!wanted(g.name))
			continue;
		for (size_t k = 0; !why && k < ADDRESSES; k++)
			addrs[k] = (unsigned long)mem.base + rng(&seed) % pages * PG;
		if (!why && !frames)
			make_pool(size / PG);
		run_group(&g);
	}
	free(addrs);
}

/* ---- rows ------------------------------------------------------------------------------------------ */

/* a MiB in a row, once or for as long as 64 MiB take */
static void row(struct variant *v)
{
	static struct page *pages[MOST];
	unsigned long n = (unsigned long)v->a * MIB / PG, least = (unsigned long)in_full(16384, 512), done = 0;
	double t = now_ns();

	for (; done < least || done < n; done += MOST) {
		unsigned long a = (unsigned long)mem.base + done % n * PG;
		unsigned long some = n < MOST ? n : MOST;

		if (get_user_pages_fast(a, (int)some, FOLL_WRITE, pages) != (int)some || put_user_pages(pages, some))
			die("get_user_pages_fast");
		done -= MOST - some;
	}
	v->out[1] = (now_ns() - t) / (double)done;
}

static void rows(void)
{
	static const struct figure figures[] = { { "add", "ns" }, { "pin and put", "ns/page" }, { 0 } };
	static char name[8][64];
	struct variant v[9] = { { .name = "A: one locked add, hot line", .fn = locked_add } };
	struct group g = { .name = "Pages in a row", .figure = figures, .v = v, .n = 1, .reps = 9, .self_ref = true,
		           .note = "512 pages a call, base pages, through the whole of it." };

	for (long mib = 1; mib <= 16384 && g.n < 9; mib *= mib == 1024 ? 8 : mib == 8192 ? 2 : 32, g.n++) {
		snprintf(name[g.n - 1], sizeof(name[0]), "pinfold get_user_pages_fast, put, %ld MiB", mib);
		v[g.n] = (struct variant){ .name = name[g.n - 1], .fn = row, .a = mib,
			                   .missing = (size_t)mib * MIB <= size ? NULL : "too little memory free" };
	}
	run_group(&g);
}

/* What may be used up: two thirds of what is free, in whole GiB of 1, 8 or 16. */
static size_t memory_to_use(void)
{
	FILE *f = fopen("/proc/meminfo", "r");
	unsigned long kib = 0;
	char text[128];

	while (f && fgets(text, sizeof(text), f))
		if (sscanf(text, "MemAvailable: %lu", &kib) == 1)
			break;
	if (f)
		fclose(f);
	for (size_t gib = 16; gib >= 1; gib = gib == 16 ? 8 : gib == 8 ? 1 : 0)
		if (kib / 5 * 4 >= (gib + gib / 16) * 1024 * 1024)
			return gib * GIB;
	return 64 * MIB;
}

int main(int argc, char **argv)
{
	bench_start(argc, argv, "pins of many pages: ranges, scattered pages, long rows");
	on_cpu(0);
	size = bench.smoke ? 64 * MIB : memory_to_use();
	MUST(side_open(&mem, NULL, size, size + size / 32 + 48 * MIB, PINFOLD_WINDOW_NONE, 0));
	MUST(pinfold_use_mm(mem.mm));
	MUST(vm_madvise(mem.mm, (unsigned long)mem.base, size, PINFOLD_MADV_POPULATE_WRITE));
	ranges();
	scattered();
	rows();
	side_close(&mem);
	return 0;
}
