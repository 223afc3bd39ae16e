/* SPDX-License-Identifier: MIT */
/*
 * read_bench.c - random reads of a file four times the memory: by pins of a file in the pool (window none),
 * by pointers (direct window), beside mmap held to the same memory by a memory cgroup, and beside O_DIRECT
 * reads into one buffer, which keep nothing and so find nothing.
 *
 * Steady state: memory is full before the first repetition, and each keeps what its policy keeps from one
 * repetition to the next; a quarter of the reads can hit.
 */
#include "bench.h"

#include <liburing.h>
#include <sys/wait.h>

#define DEPTH 32

static size_t size, memory;
static const char *path;
static long reads;
static volatile uint64_t sink;

static const struct figure figures[] = {
	{ "a read", "us" }, { "reads", "1/s" }, { "device reads a read", "" }, { 0 },
};

/* The kernel's count of bytes that this process had read from storage. */
static double io_read(void)
{
	FILE *f = fopen("/proc/self/io", "r");
	unsigned long long v = 0;
	char line[128];

	while (f && fgets(line, sizeof(line), f))
		sscanf(line, "read_bytes: %llu", &v);
	if (f)
		fclose(f);
	return (double)v;
}

static uint64_t place(uint64_t *x)
{
	return rng(x) % (size / PG);
}

static void finish(struct variant *v, double ns, double bytes)
{
	v->out[0] = ns / 1e3 / (double)reads;
	v->out[1] = (double)reads / (ns / 1e9);
	v->out[2] = bytes / PG / (double)reads;
}

/* Every repetition of every variant reads elsewhere. */
static uint64_t seed(void)
{
	static uint64_t n;

	return 0x9e3779b97f4a7c15ull * ++n;
}

/* ---- pinfold --------------------------------------------------------------------------------- */

/* a: pages prefetched ahead */
static void by_pins(struct variant *v)
{
	struct side *s = v->p;
	uint64_t x = seed(), y = x, sum = 0;
	double t, bytes = io_read();

	MUST(pinfold_use_mm(s->mm));
	t = now_ns();
	for (long i = 0; v->a && i < v->a; i++)
		MUST(pinfold_prefetch(s->mm, (unsigned long)s->base + place(&y) * PG, PG));
	for (long i = 0; i < reads; i++) {
		struct page *page;

		if (v->a && i + v->a < reads)
			MUST(pinfold_prefetch(s->mm, (unsigned long)s->base + place(&y) * PG, PG));
		if (get_user_pages_fast((unsigned long)s->base + place(&x) * PG, 1, 0, &page) != 1)
			die("get_user_pages_fast");
		sum += *(uint64_t *)page_address(page);
		put_user_page(page);
	}
	t = now_ns() - t;
	sink += sum;
	MUST(pinfold_use_mm(NULL));
	finish(v, t, io_read() - bytes);
}

static void by_pointers(struct variant *v)
{
	struct side *s = v->p;
	uint64_t x = seed(), y = x, sum = 0;
	double t, bytes = io_read();

	t = now_ns();
	for (long i = 0; v->a && i < v->a; i++)
		MUST(pinfold_prefetch(s->mm, (unsigned long)s->base + place(&y) * PG, PG));
	for (long i = 0; i < reads; i++) {
		if (v->a && i + v->a < reads)
			MUST(pinfold_prefetch(s->mm, (unsigned long)s->base + place(&y) * PG, PG));
		sum += *(volatile uint64_t *)(s->base + place(&x) * PG);
	}
	t = now_ns() - t;
	sink += sum;
	finish(v, t, io_read() - bytes);
}

static void fill(struct side *s)
{
	char *buf = malloc(MIB);

	for (size_t off = 0; off < size; off += MIB)
		MUST(access_process_vm(s->mm, (unsigned long)s->base + off, buf, MIB, 0));
	free(buf);
}

/* ---- without pinfold ------------------------------------------------------------------------- */

static int direct;
static char *buffer;
static struct io_uring ring;

static void by_pread(struct variant *v)
{
	uint64_t x = seed(), sum = 0;
	double bytes = io_read(), t = now_ns();

	for (long i = 0; i < reads; i++) {
		if (pread(direct, buffer, PG, (off_t)(place(&x) * PG)) != (ssize_t)PG)
			die("pread");
		sum += *(uint64_t *)buffer;
	}
	t = now_ns() - t;
	sink += sum;
	finish(v, t, io_read() - bytes);
}

static void by_uring(struct variant *v)
{
	uint64_t x = seed(), sum = 0;
	double bytes = io_read(), t = now_ns();
	long sent = 0, done = 0;
	bool used[DEPTH] = { false };

	while (done < reads) {
		struct io_uring_cqe *cqe;

		for (int i = 0; i < DEPTH && sent < reads; i++) {
			struct io_uring_sqe *sqe = used[i] ? NULL : io_uring_get_sqe(&ring);

			if (!sqe)
				continue;
			io_uring_prep_read(sqe, direct, buffer + i * PG, PG, place(&x) * PG);
			sqe->user_data = (uint64_t)i;
			used[i] = true;
			sent++;
		}
		if (io_uring_submit_and_wait(&ring, 1) < 0)
			die("io_uring");
		while (!io_uring_peek_cqe(&ring, &cqe)) {
			if (cqe->res != (int)PG)
				die("io_uring read");
			sum += *(uint64_t *)(buffer + cqe->user_data * PG);
			used[cqe->user_data] = false;
			done++;
			io_uring_cqe_seen(&ring, cqe);
		}
	}
	t = now_ns() - t;
	sink += sum;
	finish(v, t, io_read() - bytes);
}

/* ---- mmap in a process of its own, held to `memory` ------------------------------------------ */

struct answer {
	double ns, bytes;
};

static struct {
	int ask[2], reply[2];
	pid_t pid;
	char group[256];
	bool limited;
} child;

static bool put_text(const char *dir, const char *name, const char *text)
{
	char file[300];
	int fd;
	bool ok;

	snprintf(file, sizeof(file), "%s/%s", dir, name);
	fd = open(file, O_WRONLY | O_CLOEXEC);
	ok = fd >= 0 && write(fd, text, strlen(text)) > 0;
	if (fd >= 0)
		close(fd);
	return ok;
}

/* Puts this process into a new memory cgroup, version 1 or 2, at the usual places.  False: not allowed. */
static bool enter_cgroup(size_t limit)
{
	static const char *const top[] = { "/sys/fs/cgroup/memory", "/sys/fs/cgroup" };
	char text[32];

	snprintf(text, sizeof(text), "%zu", limit);
	for (int i = 0; i < 2; i++) {
		snprintf(child.group, sizeof(child.group), "%s/pinfold-bench-%d", top[i], (int)getppid());
		if (i)
			put_text(top[i], "cgroup.subtree_control", "+memory");
		if (mkdir(child.group, 0755))
			continue;
		if (put_text(child.group, i ? "memory.max" : "memory.limit_in_bytes", text) &&
		    put_text(child.group, "cgroup.procs", "0"))
			return true;
		rmdir(child.group);
	}
	return false;
}

static void child_main(void)
{
	char ok, *map, ahead;
	uint64_t x, y, sum = 0;
	struct answer a;

	if (read(child.ask[0], &ok, 1) != 1) /* the file is there */
		_exit(0);
	ok = enter_cgroup(memory);
	map = map_file(path, size);
	for (size_t off = 0; ok && off < size; off += PG) /* fill, in order; without a limit stay cold */
		sum += *(volatile uint64_t *)(map + off);
	madvise(map, size, MADV_RANDOM);
	if (write(child.reply[1], &ok, 1) != 1)
		_exit(1);
	while (read(child.ask[0], &ahead, 1) == 1) {
		if (!ok) { /* nothing else bounds what it keeps */
			int fd = open(path, O_RDONLY | O_CLOEXEC);

			madvise(map, size, MADV_DONTNEED);
			posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
			close(fd);
		}
		if (read(child.ask[0], &x, sizeof(x)) != sizeof(x))
			break;
		y = x;
		a.bytes = -io_read();
		a.ns = -now_ns();
		for (long i = 0; i < ahead; i++)
			madvise(map + place(&y) * PG, PG, MADV_WILLNEED);
		for (long i = 0; i < reads; i++) {
			if (ahead && i + ahead < reads)
				madvise(map + place(&y) * PG, PG, MADV_WILLNEED);
			sum += *(volatile uint64_t *)(map + place(&x) * PG);
		}
		a.ns += now_ns();
		a.bytes += io_read();
		sink = sum;
		if (write(child.reply[1], &a, sizeof(a)) != sizeof(a))
			break;
	}
	_exit(0);
}

/* Before anything else takes memory or starts a ring. */
static void child_start(void)
{
	if (pipe2(child.ask, O_CLOEXEC) || pipe2(child.reply, O_CLOEXEC))
		die("pipe");
	fflush(stdout);
	child.pid = fork();
	if (child.pid < 0)
		die("fork");
	if (!child.pid) {
		close(child.ask[1]);
		close(child.reply[0]);
		signal(SIGINT, SIG_DFL);
		signal(SIGTERM, SIG_DFL);
		child_main();
	}
	close(child.ask[0]);
	close(child.reply[1]);
}

static void by_mmap(struct variant *v)
{
	char ahead = (char)v->a;
	uint64_t x = seed();
	struct answer a;

	if (write(child.ask[1], &ahead, 1) != 1 || write(child.ask[1], &x, sizeof(x)) != sizeof(x) ||
	    read(child.reply[0], &a, sizeof(a)) != sizeof(a))
		die("the mmap process ended");
	finish(v, a.ns, a.bytes);
}

static void child_end(void)
{
	char dir[256];

	close(child.ask[1]);
	waitpid(child.pid, NULL, 0);
	snprintf(dir, sizeof(dir), "/sys/fs/cgroup/memory/pinfold-bench-%d", (int)getpid());
	for (int i = 0; i < 100 && rmdir(dir) && errno == EBUSY; i++)
		usleep(10000);
	snprintf(dir, sizeof(dir), "/sys/fs/cgroup/pinfold-bench-%d", (int)getpid());
	for (int i = 0; i < 100 && rmdir(dir) && errno == EBUSY; i++)
		usleep(10000);
}

/* ---------------------------------------------------------------------------------------------- */

int main(int argc, char **argv)
{
	struct side pool = { 0 }, window = { 0 };
	struct variant v[8];
	struct group g = { .name = "Random reads of a file four times the memory", .figure = figures, .v = v,
		           .reps = 5 };
	char start = 1, name[2][96], note[256];
	int n = 0;

	bench_start(argc, argv, "random reads of a file four times the memory");
	size = bench.smoke ? 64 * MIB : GIB;
	memory = size / 4;
	reads = in_full(8192, 256);
	if (!wanted(g.name))
		return 0;
	/* The name is made before the fork so that both sides know it. */
	path = bench.file[0];
	snprintf(bench.file[0], sizeof(bench.file[0]), "%s/pinfold-read-%d-0.dat", bench.dir, (int)getpid());
	child_start();
	make_file("read", size, true);
	if (write(child.ask[1], &start, 1) != 1 || read(child.reply[0], &start, 1) != 1)
		die("the mmap process ended");
	child.limited = start;
	snprintf(name[0], 96, "mmap, MADV_RANDOM, %s",
	         child.limited ? "memory cgroup" : "unlimited, cold each time");
	snprintf(name[1], 96, "mmap, MADV_WILLNEED %d ahead, %s", DEPTH,
	         child.limited ? "memory cgroup" : "unlimited, cold");
	snprintf(note, sizeof(note), "A file of %zu MiB, %zu MiB of memory%s; 1 thread, %ld reads of 8 bytes in a "
	         "page.  O_DIRECT rows keep nothing.", size / MIB, memory / MIB,
	         child.limited ? "" : " (but for mmap: no memory cgroup to be had here)", reads);
	g.note = note;
	v[n++] = (struct variant){ .name = name[0], .fn = by_mmap };
	v[n++] = (struct variant){ .name = name[1], .fn = by_mmap, .a = DEPTH };
	direct = open_direct(path);
	buffer = aligned_alloc(PG, DEPTH * PG);
	if (direct < 0) {
		skipped("O_DIRECT rows", "this file system has no O_DIRECT: use --dir");
	} else {
		v[n++] = (struct variant){ .name = "pread O_DIRECT, no cache", .fn = by_pread };
		if (io_uring_queue_init(DEPTH, &ring, 0))
			skipped("io_uring", "refused here, see `pinfold doctor`");
		else
			v[n++] = (struct variant){ .name = "io_uring O_DIRECT, 32 at once, no cache",
				                   .fn = by_uring };
	}
	MUST(side_open(&pool, path, size, memory, PINFOLD_WINDOW_NONE, 0));
	fill(&pool);
	v[n++] = (struct variant){ .name = "pinfold pins, pool", .fn = by_pins, .p = &pool };
	v[n++] = (struct variant){ .name = "pinfold pins, pinfold_prefetch 32 ahead", .fn = by_pins, .p = &pool,
		                   .a = DEPTH };
	g.n = n;
	run_group(&g);
	side_close(&pool);

	/* One pinfold has a file at a time. */
	g.name = "The same by pointers";
	if (side_open(&window, path, size, memory, PINFOLD_WINDOW_DIRECT, 0)) {
		skipped("pinfold's direct window", NO_WINDOW);
	} else {
		fill(&window);
		v[g.n - 2] = (struct variant){ .name = "pinfold pointers, direct window", .fn = by_pointers,
			                       .p = &window };
		v[g.n - 1] = (struct variant){ .name = "pinfold pointers, pinfold_prefetch 32 ahead",
			                       .fn = by_pointers, .p = &window, .a = DEPTH };
		run_group(&g);
		side_close(&window);
	}
	child_end();
	return 0;
}
