/* SPDX-License-Identifier: MIT */
/*
 * fault_bench.c - what plain pointers cost: the touch of a resident page, the faults of a direct window,
 * beside the kernel's own for a shared mapping of a file on the same file system and of a memfd, and
 * beside the least a fault resolved in user space can cost (userfaultfd in SIGBUS mode, a handler that
 * does one ioctl and nothing else).
 */
#include "bench.h"

#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

static unsigned long pages; /* of every mapping */
static volatile uint64_t sink;

enum { FILE_MAP, MEMFD_MAP, NR_MAPS };
static char *map[NR_MAPS];
static char *hole_map;
static struct side file, hole, async;

/* ---- the least ------------------------------------------------------------------------------- */

static struct {
	int fd;
	char *area, *alias;
	bool protect; /* resolve write-protect faults, else minor ones */
	struct sigaction was;
} raw = { .fd = -1 };

static void raw_handler(int sig, siginfo_t *info, void *context)
{
	unsigned long addr = (unsigned long)info->si_addr & ~(PG - 1);
	struct uffdio_continue c = { .range = { addr, PG } };
	struct uffdio_writeprotect w = { .range = { addr, PG } };

	(void)sig;
	(void)context;
	if (addr - (unsigned long)raw.area >= pages * PG ||
	    (raw.protect ? ioctl(raw.fd, UFFDIO_WRITEPROTECT, &w) : ioctl(raw.fd, UFFDIO_CONTINUE, &c)))
		_exit(3);
}

static bool raw_open(void)
{
	struct uffdio_api api = { .api = UFFD_API,
		.features = UFFD_FEATURE_SIGBUS | UFFD_FEATURE_MINOR_SHMEM | UFFD_FEATURE_WP_HUGETLBFS_SHMEM };
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MINOR | UFFDIO_REGISTER_MODE_WP };
	int memfd = memfd_create("raw", MFD_CLOEXEC);

	raw.fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);
	if (raw.fd < 0 || memfd < 0 || ftruncate(memfd, (off_t)(pages * PG)) ||
	    ioctl(raw.fd, UFFDIO_API, &api))
		return false;
	raw.area = mmap(NULL, pages * PG, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0);
	raw.alias = mmap(NULL, pages * PG, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0);
	close(memfd);
	if (raw.area == MAP_FAILED || raw.alias == MAP_FAILED)
		return false;
	memset(raw.alias, 1, pages * PG);
	reg.range.start = (unsigned long)raw.area;
	reg.range.len = pages * PG;
	return !ioctl(raw.fd, UFFDIO_REGISTER, &reg);
}

/* ---- touching -------------------------------------------------------------------------------- */

static double load_each(const char *base, unsigned long step)
{
	uint64_t sum = 0;
	double t = now_ns();

	for (unsigned long i = 0; i < pages; i += step)
		sum += *(volatile uint64_t *)(uintptr_t)(base + i * PG);
	t = now_ns() - t;
	sink += sum;
	return t / (double)(pages / step);
}

static double store_each(char *base, unsigned long step)
{
	double t = now_ns();

	for (unsigned long i = 0; i < pages; i += step)
		*(volatile uint64_t *)(base + i * PG) = i;
	return (now_ns() - t) / (double)(pages / step);
}

static void raw_fault(struct variant *v)
{
	struct sigaction sa = { .sa_sigaction = raw_handler, .sa_flags = SA_SIGINFO | SA_NODEFER };
	struct uffdio_writeprotect w = { .range = { (unsigned long)raw.area, pages * PG },
		                         .mode = UFFDIO_WRITEPROTECT_MODE_WP };

	raw.protect = v->a;
	sigaction(SIGBUS, &sa, &raw.was);
	if (!v->a) {
		madvise(raw.area, pages * PG, MADV_DONTNEED);
		v->out[0] = load_each(raw.area, 16);
	} else {
		/* mapped by system calls, so that what is timed is the protection fault alone */
		for (unsigned long i = 0; i < pages; i++) {
			struct uffdio_continue c = { .range = { (unsigned long)raw.area + i * PG, PG } };

			ioctl(raw.fd, UFFDIO_CONTINUE, &c);
		}
		ioctl(raw.fd, UFFDIO_WRITEPROTECT, &w);
		v->out[0] = store_each(raw.area, 1);
	}
	sigaction(SIGBUS, &raw.was, NULL);
}

/* ---- resident -------------------------------------------------------------------------------- */

static void resident(struct variant *v)
{
	load_each(v->p, 1); /* whatever was not mapped is now */
	v->out[0] = load_each(v->p, 1);
	v->out[1] = store_each(v->p, 1);
	v->out[1] = store_each(v->p, 1);
}

/* ---- faults that find the page in memory ----------------------------------------------------- */

static void kernel_minor(struct variant *v)
{
	load_each(v->p, 1);
	madvise(v->p, pages * PG, MADV_DONTNEED);
	v->out[0] = load_each(v->p, 16);
	madvise(v->p, pages * PG, MADV_DONTNEED);
	v->out[1] = load_each(v->p, 1);
}

static void pinfold_minor(struct variant *v)
{
	struct side *s = v->p;

	load_each(s->base, 1);
	MUST(vm_madvise(s->mm, (unsigned long)s->base, s->size, PINFOLD_MADV_DONTNEED));
	v->out[0] = load_each(s->base, 16);
	MUST(vm_madvise(s->mm, (unsigned long)s->base, s->size, PINFOLD_MADV_DONTNEED));
	v->out[1] = load_each(s->base, 1);
}

/* ---- faults that do not ---------------------------------------------------------------------- */

/* The page is in the kernel's page cache, or a hole: no device in the figure. */
static void pinfold_missing(struct variant *v)
{
	struct side *s = v->p;

	for (int k = 0; k < 2; k++) {
		struct pinfold_stats st = { .size = sizeof(st) };

		/* dirty pages stay; used ones get a second chance */
		MUST(pinfold_commit(s->file, 0, 0, NULL));
		for (int i = 0; i < 8; i++)
			MUST(pinfold_reclaim(s->machine, pages));
		MUST(pinfold_get_stats(s->machine, &st));
		if (st.direct_free != st.direct_frames)
			die("%llu pages were not evicted",
			    (unsigned long long)(st.direct_frames - st.direct_free));
		v->out[k] = load_each(s->base, k ? 1 : 16);
	}
}

static void kernel_hole(struct variant *v)
{
	for (int k = 0; k < 2; k++) {
		int fd = open(v->p, O_RDONLY | O_CLOEXEC);

		madvise(hole_map, pages * PG, MADV_DONTNEED);
		posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
		close(fd);
		madvise(hole_map, pages * PG, k ? MADV_NORMAL : MADV_RANDOM);
		v->out[k] = load_each(hole_map, k ? 1 : 16);
	}
}

/* ---- first store ----------------------------------------------------------------------------- */

static void kernel_store(struct variant *v)
{
	load_each(v->p, 1);
	if (msync(v->p, pages * PG, MS_SYNC))
		die("msync");
	v->out[0] = store_each(v->p, 1);
}

static void memfd_store(struct variant *v)
{
	madvise(v->p, pages * PG, MADV_DONTNEED);
	v->out[0] = store_each(v->p, 1);
}

static void pinfold_store(struct variant *v)
{
	struct side *s = v->p;

	MUST(pinfold_commit(s->file, 0, 0, NULL));
	load_each(s->base, 1);
	MUST(pinfold_write_begin(s->file, s->size));
	v->out[0] = store_each(s->base, 1);
	MUST(pinfold_write_end(s->file));
}

/* ---- groups ---------------------------------------------------------------------------------- */

static void groups(const char *hole_path, bool direct, bool raw_ok)
{
	static const struct figure touch[] = { { "load", "ns/page" }, { "store again", "ns/page" }, { 0 } };
	static const struct figure fault[] = { { "one page in 16", "ns/fault" },
		                               { "every page", "ns/page" }, { 0 } };
	static const struct figure store[] = { { "first store", "ns/page" }, { 0 } };
	struct variant r[] = {
		{ .name = "mmap of a file, MAP_SHARED", .fn = resident, .p = map[FILE_MAP] },
		{ .name = "mmap of a memfd", .fn = resident, .p = map[MEMFD_MAP] },
		{ .name = "pinfold direct window", .fn = resident, .p = file.base },
	};
	struct variant m[5] = {
		{ .name = "mmap of a file, page cache", .fn = kernel_minor, .p = map[FILE_MAP] },
		{ .name = "mmap of a memfd", .fn = kernel_minor, .p = map[MEMFD_MAP] },
	};
	struct variant x[5] = {
		{ .name = "mmap of a file, page in the page cache", .fn = kernel_minor, .p = map[FILE_MAP] },
		{ .name = "mmap of a file, hole", .fn = kernel_hole, .p = (void *)(uintptr_t)hole_path },
	};
	struct variant s[5] = {
		{ .name = "mmap of a file, page clean and mapped", .fn = kernel_store, .p = map[FILE_MAP] },
		{ .name = "mmap of a memfd, page not mapped", .fn = memfd_store, .p = map[MEMFD_MAP] },
	};
	struct group g[4] = {
		{ .name = "Touch of a resident page", .figure = touch, .v = r, .n = direct ? 3 : 2, .reps = 15,
		  .note = "The translation is there: the CPU does the work, pinfold is not involved." },
		{ .name = "Minor fault: page in memory, translation dropped", .figure = fault, .v = m, .n = 2,
		  .reps = 7, .note = "Both map 16 pages around a fault; \"every page\" is divided by all." },
		{ .name = "Missing fault: page not in pinfold's memory", .figure = fault, .v = x, .n = 2,
		  .reps = 7, .note = "No device: the file is in the kernel's page cache (opened with "
		  "NO_ODIRECT), or a hole.  The kernel's fault on the former only maps." },
		{ .name = "First store to a clean page", .figure = store, .v = s, .n = 2, .reps = 7,
		  .note = "Each page after a commit (msync) and a load; inside a write section." },
	};

	if (raw_ok) {
		m[g[1].n++] = (struct variant){ .name = "userfaultfd, SIGBUS, bare UFFDIO_CONTINUE",
			                        .fn = raw_fault };
		s[g[3].n++] = (struct variant){ .name = "userfaultfd, SIGBUS, bare UFFDIO_WRITEPROTECT",
			                        .fn = raw_fault, .a = 1 };
	}
	if (direct) {
		m[g[1].n++] = (struct variant){ .name = "pinfold direct window", .fn = pinfold_minor, .p = &file };
		x[g[2].n++] = (struct variant){ .name = "pinfold direct window, page in the page cache",
			                        .fn = pinfold_missing, .p = &file };
		x[g[2].n++] = (struct variant){ .name = "pinfold direct window, hole (O_DIRECT)",
			                        .fn = pinfold_missing, .p = &hole };
		s[g[3].n++] = (struct variant){ .name = "pinfold direct window", .fn = pinfold_store, .p = &file };
	}
	if (async.machine)
		s[g[3].n++] = (struct variant){ .name = "pinfold direct window, ASYNC_WP", .fn = pinfold_store,
			                        .p = &async };
	for (int i = 0; i < 4; i++)
		run_group(&g[i]);
}

int main(int argc, char **argv)
{
	const char *path, *hole_path;
	bool direct, raw_ok;
	size_t size;
	int fd;

	bench_start(argc, argv, "touches and faults of a direct window beside the kernel's");
	pages = (unsigned long)in_full(8192, 256);
	size = pages * PG;
	on_cpu(0);
	map[FILE_MAP] = map_file(make_file("fault-mmap", size, true), size);
	hole_path = make_file("fault-hole", size, false);
	hole_map = map_file(hole_path, size);
	fd = memfd_create("bench", MFD_CLOEXEC);
	if (fd < 0 || ftruncate(fd, (off_t)size))
		die("memfd");
	map[MEMFD_MAP] = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map[MEMFD_MAP] == MAP_FAILED)
		die("mmap memfd");
	memset(map[MEMFD_MAP], 1, size);
	close(fd);
	raw_ok = raw_open();
	if (!raw_ok)
		skipped("the bare userfaultfd fault", NO_WINDOW);

	path = make_file("fault", size, true);
	direct = !side_open(&file, path, size, 4 * size + 64 * MIB, PINFOLD_WINDOW_DIRECT,
	                    PINFOLD_FILE_NO_JOURNAL | PINFOLD_FILE_NO_ODIRECT);
	if (direct) {
		side_open(&hole, make_file("fault-hole2", size, false), size, 4 * size + 64 * MIB,
		          PINFOLD_WINDOW_DIRECT, PINFOLD_FILE_NO_JOURNAL);
		if (side_open(&async, make_file("fault-async", size, true), size, 4 * size + 64 * MIB,
		              PINFOLD_WINDOW_DIRECT, PINFOLD_FILE_NO_JOURNAL | PINFOLD_FILE_ASYNC_WP))
			skipped("ASYNC_WP", "asynchronous write-protect needs Linux 6.7");
	} else {
		skipped("pinfold's direct window", NO_WINDOW);
	}
	groups(hole_path, direct, raw_ok);
	side_close(&async);
	side_close(&hole);
	side_close(&file);
	return 0;
}
