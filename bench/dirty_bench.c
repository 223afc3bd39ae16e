/* SPDX-License-Identifier: MIT */
/*
 * dirty_bench.c - random 8-byte stores over a resident file and the commit that makes them durable, beside
 * mmap and msync.  Time per store, time and bytes of the commit, flushes.
 *
 * What is the same: the file system, all of the file in memory, no memory limit that bites, one thread,
 * data on disk when the call returns.  What is not: pinfold's commit is whole or absent after a crash,
 * msync promises no such thing; NO_JOURNAL gives pinfold's without that promise.
 */
#include "bench.h"

static size_t size;
static uint64_t seed = 0x9e3779b97f4a7c15ull;

/*
 * "by the commit" is what happened until it returned.  What it left to a checkpoint is made to happen then,
 * timed apart, and counted in "in all", so that nothing is hidden in a later call.
 */
static const struct figure figures[] = {
	{ "a store", "ns" }, { "commit", "ms" }, { "both", "ms" }, { "checkpoint after it", "ms" },
	{ "flushes by the commit", "" }, { "written by the commit", "MiB" }, { "written in all", "MiB" },
	{ "per dirty page's byte", "bytes" }, { 0 },
};

/* The same places for every variant of a repetition: the seed moves on at the last one. */
static double stores(char *base, long n, unsigned long *dirty)
{
	static uint64_t *seen;
	uint64_t x = seed;
	double t;

	if (!seen)
		seen = calloc(size / PG / 64 + 1, 8);
	t = now_ns();
	for (long i = 0; i < n; i++) {
		uint64_t r = rng(&x);

		*(volatile uint64_t *)(base + (r % (size / 8)) * 8) = r;
	}
	t = now_ns() - t;
	memset(seen, 0, (size / PG / 64 + 1) * 8);
	x = seed;
	*dirty = 0;
	for (long i = 0; i < n; i++) {
		uint64_t page = rng(&x) % (size / 8) * 8 / PG;

		*dirty += !(seen[page / 64] >> page % 64 & 1);
		seen[page / 64] |= 1ull << page % 64;
	}
	return t;
}

static void finish(struct variant *v, double t0, double t1, double bytes, double all, unsigned long dirty)
{
	v->out[0] = t0 / (double)v->a;
	v->out[1] = t1 / 1e6;
	v->out[2] = (t0 + t1) / 1e6;
	v->out[5] = bytes / (double)MIB;
	v->out[6] = all / (double)MIB;
	v->out[7] = all / ((double)dirty * PG);
	if (v->b) /* the last of the group */
		rng(&seed);
}

static void with_msync(struct variant *v)
{
	double w = io_written(), t0, t1;
	unsigned long dirty;

	t0 = stores(v->p, v->a, &dirty);
	t1 = now_ns();
	if (msync(v->p, size, MS_SYNC))
		die("msync");
	t1 = now_ns() - t1;
	v->out[4] = 1;
	w = io_written() - w;
	finish(v, t0, t1, w, w, dirty);
}

static void with_pinfold(struct variant *v)
{
	struct side *s = v->p;
	struct pinfold_report r = { .size = sizeof(r) };
	double w = io_written(), t0, t1, t2, bytes;
	unsigned long dirty;

	MUST(pinfold_write_begin(s->file, (size_t)v->a < size / PG ? (size_t)v->a * PG : size));
	t0 = stores(s->base, v->a, &dirty);
	MUST(pinfold_write_end(s->file));
	t1 = now_ns();
	MUST(pinfold_commit(s->file, 0, 0, &r));
	t1 = now_ns() - t1;
	if (r.pages != dirty || r.flags)
		die("commit of %llu pages instead of %lu", (unsigned long long)r.pages, dirty);
	bytes = io_written() - w;
	/* the kernel's count can be more by what a file system adds, never less */
	if (bytes > 0 && bytes < (double)(r.journal_bytes + r.home_bytes))
		die("the report says more than was written");
	t2 = now_ns();
	MUST(pinfold_checkpoint(s->file));
	v->out[3] = (now_ns() - t2) / 1e6;
	v->out[4] = r.flushes;
	finish(v, t0, t1, bytes, io_written() - w, dirty);
}

static void load_all(const char *base)
{
	uint64_t sum = 0;

	for (size_t off = 0; off < size; off += PG)
		sum += *(volatile uint64_t *)(uintptr_t)(base + off);
	(void)sum;
}

int main(int argc, char **argv)
{
	static const char *const mode[] = { "pinfold, journal", "pinfold, ASYNC_WP, journal",
		                            "pinfold, NO_JOURNAL" };
	static const unsigned flag[] = { 0, PINFOLD_FILE_ASYNC_WP, PINFOLD_FILE_NO_JOURNAL };
	static const long count[] = { 1024, 16384, 131072 };
	struct side side[3];
	struct variant v[4];
	char *map;
	int n = 1;

	bench_start(argc, argv, "random 8-byte stores and the commit that follows, beside msync");
	size = bench.smoke ? 16 * MIB : GIB;
	on_cpu(0);
	map = map_file(make_file("dirty-mmap", size, true), size);
	madvise(map, size, MADV_RANDOM);
	load_all(map);
	v[0] = (struct variant){ .name = "mmap, msync", .fn = with_msync, .p = map };
	for (int i = 0; i < 3; i++) {
		if (side_open(&side[i], make_file("dirty", size, true), size, size + size / 4 + 64 * MIB,
		              PINFOLD_WINDOW_DIRECT, flag[i])) {
			skipped(mode[i], NO_WINDOW);
			continue;
		}
		load_all(side[i].base);
		v[n++] = (struct variant){ .name = mode[i], .fn = with_pinfold, .p = &side[i] };
	}
	v[n - 1].b = 1;
	for (int i = 0; i < 3; i++) {
		char name[80];
		struct group g = { .name = name, .figure = figures, .v = v, .n = n, .reps = 5,
			           .note = "All of the file is resident on every side; the same places are "
			                   "stored to. msync counts as one flush." };

		snprintf(name, sizeof(name), "%ld random 8-byte stores over %s, then commit",
		         bench.smoke ? count[i] / 16 : count[i], bench.smoke ? "16 MiB" : "1 GiB");
		for (int k = 0; k < n; k++)
			v[k].a = bench.smoke ? count[i] / 16 : count[i];
		run_group(&g);
	}
	for (int i = 0; i < n - 1; i++)
		side_close(v[i + 1].p);
	return 0;
}
