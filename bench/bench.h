/* SPDX-License-Identifier: MIT */
/*
 * bench.h - the harness of all benchmarks, in one header since every bench/NAME.c is a program of its own.
 *
 * A group is a list of variants.  One repetition runs every variant once, in order, so that all of them
 * see the same noise: a ratio inside a group can be trusted more than either figure.  A variant fills in
 * one or more figures; the table has the minimum, median and maximum of each over the repetitions, and
 * the median of its ratio, repetition by repetition, to the group's reference.  A variant with a target, from the same
 * repetition's references, also has what it is of that: 1.00 or less is reached.
 *
 *   --smoke     one repetition, no warm-up, small sizes: shows that the program works, measures nothing
 *   --json      one JSON object per line instead of tables
 *   --dir D     where files are made (default: the current folder); they are removed
 *   --only S    only groups whose name contains S
 *   --reps N    repetitions
 *   --machine   prints the machine and ends;  --no-machine leaves it out
 *
 * A group that cannot run prints a line "skipped: ..." that says what is missing.
 */
#ifndef BENCH_H
#define BENCH_H

#include <pinfold/pinfold.h>

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#define PG 4096ul
#define MIB (1ul << 20)
#define GIB (1ul << 30)
#define MAX_REPS 32
#define MAX_FIGURES 8

struct bench {
	const char *name; /* of the program */
	const char *dir;
	const char *only;
	bool smoke, json, no_machine;
	int reps;         /* 0: the program's own choice */
	char file[8][512]; /* to be removed at the end */
	int nr_files;
};

static struct bench bench = { .dir = "." };

/* One of the things a group measures; every variant has the same list. */
struct figure {
	const char *what, *unit;
};

struct variant {
	const char *name;
	/* Runs once and sets v->out[]; a figure that does not apply stays NAN. */
	void (*fn)(struct variant *v);
	void *p;
	long a, b, c;
	const char *missing; /* why it cannot be measured here: its row says so, fn is not called */
	double out[MAX_FIGURES];
	double want[MAX_FIGURES]; /* its target, from references that the same repetition measured; NAN none */
	double r[MAX_FIGURES][MAX_REPS];
	double w[MAX_FIGURES][MAX_REPS];
};

struct group {
	const char *name;
	const char *note;   /* printed below it: what is equal for all, what is not */
	const struct figure *figure; /* ends with { 0 } */
	struct variant *v;
	int n;
	int ref;            /* the variant that ratios refer to; -1: none */
	int reps;           /* of a full run */
	bool self_ref;      /* ratios refer to the first figure of ref, whatever the figure */
};

/* ---- ends ------------------------------------------------------------------------------------ */

static void bench_cleanup(void)
{
	for (int i = 0; i < bench.nr_files; i++) {
		char journal[540];

		snprintf(journal, sizeof(journal), "%s.pinfold", bench.file[i]);
		unlink(bench.file[i]);
		unlink(journal);
	}
	bench.nr_files = 0;
}

static void bench_signal(int sig)
{
	(void)sig;
	bench_cleanup();
	_exit(130);
}

static __attribute__((noreturn, format(printf, 1, 2))) void die(const char *fmt, ...)
{
	int err = errno;
	va_list ap;

	va_start(ap, fmt);
	fprintf(stderr, "%s: ", bench.name);
	vfprintf(stderr, fmt, ap);
	fprintf(stderr, " (%s)\n", strerror(err));
	va_end(ap);
	bench_cleanup();
	exit(1);
}

/* A pinfold call that must not fail; its result. */
static inline long must(long rc, const char *what)
{
	if (rc < 0) {
		errno = (int)-rc;
		die("%s", what);
	}
	return rc;
}
#define MUST(call) must((call), #call)

static inline void skipped(const char *what, const char *why)
{
	if (bench.json)
		printf("{\"bench\":\"%s\",\"skipped\":\"%s\",\"why\":\"%s\"}\n", bench.name, what, why);
	else
		printf("skipped: %s: %s\n\n", what, why);
	fflush(stdout);
}

/* ---- time, threads, numbers ------------------------------------------------------------------ */

static inline double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static inline void on_cpu(int cpu)
{
	cpu_set_t s;

	CPU_ZERO(&s);
	CPU_SET(cpu % (int)sysconf(_SC_NPROCESSORS_CONF), &s);
	sched_setaffinity(0, sizeof(s), &s); /* a cpuset that forbids it costs precision only */
}

static inline uint64_t rng(uint64_t *s)
{
	uint64_t x = *s;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return *s = x;
}

static inline long in_full(long full, long smoke)
{
	return bench.smoke ? smoke : full;
}

/* What this process has written to storage so far, by the kernel's count; 0 unknown. */
static inline double io_written(void)
{
	FILE *f = fopen("/proc/self/io", "r");
	unsigned long long v = 0;
	char line[128];

	while (f && fgets(line, sizeof(line), f))
		sscanf(line, "write_bytes: %llu", &v);
	if (f)
		fclose(f);
	return (double)v;
}

/* ---- files ----------------------------------------------------------------------------------- */

/* A file of `size` bytes in --dir, removed at the end.  filled: written with numbers, so that no page of
 * it is a hole, on disk and out of the kernel's page cache. */
static inline const char *make_file(const char *name, size_t size, bool filled)
{
	char *path = bench.file[bench.nr_files];
	uint64_t *buf = malloc(MIB), x = 88172645463325252ull;
	int fd;

	snprintf(path, sizeof(bench.file[0]), "%s/pinfold-%s-%d-%d.dat", bench.dir, name, (int)getpid(),
	         bench.nr_files++);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 || !buf || ftruncate(fd, (off_t)size))
		die("%s", path);
	for (size_t off = 0; filled && off < size; off += MIB) {
		size_t n = size - off < MIB ? size - off : MIB;

		for (size_t i = 0; i < MIB / 8; i++)
			buf[i] = rng(&x);
		if (pwrite(fd, buf, n, (off_t)off) != (ssize_t)n)
			die("write %s", path);
	}
	if (fsync(fd))
		die("fsync %s", path);
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	free(buf);
	close(fd);
	return path;
}

/* O_DIRECT where the file system has it; else -1 and the caller skips. */
static inline int open_direct(const char *path)
{
	return open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
}

static inline char *map_file(const char *path, size_t size)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	void *p = fd < 0 ? MAP_FAILED : mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (p == MAP_FAILED)
		die("mmap %s", path);
	close(fd);
	return p;
}

/* One file of one machine, mapped: what most benchmarks need of pinfold. */
struct side {
	struct pinfold *machine;
	struct pinfold_file *file;
	struct mm_struct *mm;
	char *base;
	size_t size;
};

/* 0, or why there is no such window here. */
static inline int side_open(struct side *s, const char *path, size_t size, size_t memory,
                            enum pinfold_window window, unsigned flags)
{
	struct pinfold_options o = { .size = sizeof(o), .memory = memory, .dirty_limit = memory,
		                     .pool = window == PINFOLD_WINDOW_NONE ? memory : 0 };
	struct pinfold_file_options f = { .size = sizeof(f), .flags = flags };
	int rc;

	memset(s, 0, sizeof(*s));
	s->size = size;
	if (window == PINFOLD_WINDOW_DIRECT)
		f.flags |= PINFOLD_FILE_DIRECT;
	MUST(pinfold_create(&o, &s->machine));
	rc = pinfold_mm_create(s->machine, window, &s->mm);
	if (rc) {
		pinfold_destroy(s->machine);
		s->machine = NULL;
		return rc;
	}
	if (path)
		MUST(pinfold_open(s->machine, path, &f, &s->file));
	else
		MUST(pinfold_open_memory(s->machine, size, &f, &s->file));
	s->base = (char *)MUST(vm_mmap(s->mm, 0, size, PINFOLD_PROT_READ | PINFOLD_PROT_WRITE,
	                               PINFOLD_MAP_SHARED, s->file, 0));
	return 0;
}

static inline void side_close(struct side *s)
{
	if (!s->machine)
		return;
	pinfold_use_mm(NULL);
	MUST(pinfold_mm_destroy(s->mm));
	MUST(pinfold_close(s->file));
	MUST(pinfold_destroy(s->machine));
	s->machine = NULL;
}

static const char NO_WINDOW[] = "userfaultfd refused, see `pinfold doctor`";

/* ---- the table ------------------------------------------------------------------------------- */

static int cmp_double(const void *x, const void *y)
{
	double a = *(const double *)x, b = *(const double *)y;

	return a < b ? -1 : a > b;
}

static inline double median(const double *v, int n)
{
	double s[MAX_REPS];

	memcpy(s, v, (size_t)n * sizeof(*s));
	qsort(s, (size_t)n, sizeof(*s), cmp_double);
	return n % 2 ? s[n / 2] : (s[n / 2 - 1] + s[n / 2]) / 2;
}

static inline char *number(char buf[24], double v)
{
	double a = fabs(v);

	snprintf(buf, 24, a != 0 && a < 0.1 ? "%.4f" : a != 0 && a < 10 ? "%.2f" : a < 100 ? "%.1f" : "%.0f", v);
	return buf;
}

static unsigned long long steal_ticks(void)
{
	FILE *f = fopen("/proc/stat", "r");
	unsigned long long v[8] = { 0 };

	if (f && fscanf(f, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", v, v + 1, v + 2, v + 3, v + 4,
	                v + 5, v + 6, v + 7) < 8)
		v[7] = 0;
	if (f)
		fclose(f);
	return v[7];
}

/* The median of x / y, repetition by repetition. */
static inline double median_ratio(const double *x, const double *y, int reps)
{
	double ratio[MAX_REPS];

	for (int i = 0; i < reps; i++)
		ratio[i] = x[i] / y[i];
	return isfinite(ratio[0]) ? median(ratio, reps) : NAN;
}

static bool any_target(const struct group *g)
{
	for (int i = 0; i < g->n; i++)
		for (int k = 0; g->figure[k].what; k++)
			if (!g->v[i].missing && isfinite(g->v[i].w[k][0]))
				return true;
	return false;
}

static void print_missing(const struct group *g, const struct variant *v)
{
	if (bench.json)
		printf("{\"bench\":\"%s\",\"group\":\"%s\",\"variant\":\"%s\",\"not_measured\":\"%s\"}\n",
		       bench.name, g->name, v->name, v->missing);
	else
		printf("| %-52s | not measured: %s |||||%s%s\n", v->name, v->missing, g->ref < 0 ? "" : "|",
		       any_target(g) ? "||" : "");
}

static void print_row(const struct group *g, struct variant *v, int k, int reps)
{
	const struct variant *ref = g->ref < 0 || g->v[g->ref].missing ? NULL : &g->v[g->ref];
	const double *base = ref ? ref->r[g->self_ref ? 0 : k] : NULL;
	double med = median(v->r[k], reps), rat = NAN, want = NAN, of_want = NAN;
	double lo = INFINITY, hi = -INFINITY;
	char b[6][24];

	for (int i = 0; i < reps; i++) {
		lo = fmin(lo, v->r[k][i]);
		hi = fmax(hi, v->r[k][i]);
	}
	if (base)
		rat = median_ratio(v->r[k], base, reps);
	if (isfinite(v->w[k][0])) {
		want = median(v->w[k], reps);
		of_want = median_ratio(v->r[k], v->w[k], reps);
	}
	if (bench.json) {
		printf("{\"bench\":\"%s\",\"group\":\"%s\",\"variant\":\"%s\",\"figure\":\"%s\","
		       "\"unit\":\"%s\",\"min\":%g,\"median\":%g,\"max\":%g,\"reps\":%d", bench.name,
		       g->name, v->name, g->figure[k].what, g->figure[k].unit, lo, med, hi, reps);
		if (isfinite(rat))
			printf(",\"ratio\":%g,\"reference\":\"%s\"", rat, ref->name);
		if (isfinite(want))
			printf(",\"target\":%g,\"of_target\":%g", want, of_want);
		puts("}");
		return;
	}
	printf("| %-52s | %-24s | %9s | %9s | %9s | %-8s |", v->name, g->figure[k].what,
	       number(b[0], lo), number(b[1], med), number(b[2], hi), g->figure[k].unit);
	if (g->ref >= 0)
		printf(" %7s |", isfinite(rat) ? number(b[3], rat) : "");
	if (any_target(g))
		printf(" %9s | %9s |", isfinite(want) ? number(b[4], want) : "",
		       isfinite(want) ? number(b[5], of_want) : "");
	putchar('\n');
}

static void print_group(const struct group *g, int reps, unsigned long long steal)
{
	const struct variant *ref = g->ref < 0 ? NULL : &g->v[g->ref];
	bool target = any_target(g);

	if (!bench.json) {
		printf("### %s\n\n", g->name);
		if (g->note)
			printf("%s\n", g->note);
		printf("%s%s%s%d repetition%s%s, %llu ticks stolen.\n\n", ref ? "Ratios are to \"" : "",
		       ref ? ref->name : "", ref ? "\". " : "", reps, reps == 1 ? "" : "s, interleaved",
		       bench.smoke ? " (smoke run: no measurement)" : "", steal);
		printf("| %-52s | %-24s | %9s | %9s | %9s | %-8s |%s%s\n", "", "", "min", "median", "max",
		       "", ref ? "   ratio |" : "", target ? "    target | of target |" : "");
		printf("|:---|:---|---:|---:|---:|:---|%s%s\n", ref ? "---:|" : "", target ? "---:|---:|" : "");
	}
	for (int i = 0; i < g->n; i++) {
		if (g->v[i].missing)
			print_missing(g, &g->v[i]);
		for (int k = 0; !g->v[i].missing && g->figure[k].what; k++)
			if (isfinite(g->v[i].r[k][0]))
				print_row(g, &g->v[i], k, reps);
	}
	if (!bench.json)
		putchar('\n');
	fflush(stdout);
}

static inline bool wanted(const char *group)
{
	return !bench.only || strstr(group, bench.only);
}

/* Runs and prints.  False: not asked for. */
static inline bool run_group(struct group *g)
{
	int reps = bench.smoke ? 1 : bench.reps ? bench.reps : g->reps;
	unsigned long long steal = steal_ticks();

	if (!wanted(g->name) || !g->n)
		return false;
	if (reps > MAX_REPS)
		reps = MAX_REPS;
	for (int rep = bench.smoke ? 0 : -1; rep < reps; rep++) /* -1 is the warm-up */
		for (int i = 0; i < g->n; i++) {
			struct variant *v = &g->v[i];

			for (int k = 0; k < MAX_FIGURES; k++)
				v->out[k] = v->want[k] = NAN;
			if (!v->missing)
				v->fn(v);
			for (int k = 0; rep >= 0 && k < MAX_FIGURES; k++) {
				v->r[k][rep] = v->out[k];
				v->w[k][rep] = v->want[k];
			}
		}
	print_group(g, reps, steal_ticks() - steal);
	return true;
}

/* "what: 12.3 times" from two figures of a group that ran, by the median over its repetitions. */
static inline void print_times(const struct group *g, const char *what, int dividend, int divisor, int k)
{
	int reps = bench.smoke ? 1 : bench.reps ? bench.reps : g->reps;
	double m;

	if (g->v[dividend].missing || g->v[divisor].missing)
		return;
	m = median_ratio(g->v[dividend].r[k], g->v[divisor].r[k], reps > MAX_REPS ? MAX_REPS : reps);
	if (!isfinite(m))
		return;
	if (bench.json)
		printf("{\"bench\":\"%s\",\"group\":\"%s\",\"times\":\"%s\",\"median\":%g}\n", bench.name,
		       g->name, what, m);
	else
		printf("%s: %.2f times\n\n", what, m);
}

/* ---- start ----------------------------------------------------------------------------------- */

static inline const char *fs_name(long type)
{
	switch ((unsigned long)type) {
	case 0xef53: return "ext4";
	case 0x58465342: return "xfs";
	case 0x9123683e: return "btrfs";
	case 0x01021994: return "tmpfs (memory: its figures say nothing about a disk)";
	case 0x794c7630: return "overlayfs";
	case 0x2fc12fc1: return "zfs";
	case 0x6969: return "nfs";
	default: return NULL;
	}
}

/* Value of the first line "key ...: value" of a /proc file. */
static inline void proc_value(const char *path, const char *key, char *out, size_t size)
{
	FILE *f = fopen(path, "r");
	char line[512], *colon;

	snprintf(out, size, "unknown");
	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, key, strlen(key)) && (colon = strchr(line, ':'))) {
			colon += 1 + strspn(colon + 1, " \t");
			colon[strcspn(colon, "\n")] = 0;
			snprintf(out, size, "%s", colon);
			break;
		}
	if (f)
		fclose(f);
}

static inline void print_machine(void)
{
	struct utsname u;
	struct statfs fs = { 0 };
	char cpu[128], family[32], model[32], mem[64], hex[32], date[32];
	const char *name;
	double load[3] = { 0 };
	time_t t = time(NULL);

	uname(&u);
	proc_value("/proc/cpuinfo", "model name", cpu, sizeof(cpu));
	proc_value("/proc/cpuinfo", "cpu family", family, sizeof(family));
	proc_value("/proc/cpuinfo", "model\t", model, sizeof(model));
	proc_value("/proc/meminfo", "MemTotal", mem, sizeof(mem));
	if (statfs(bench.dir, &fs))
		die("%s", bench.dir);
	name = fs_name((long)fs.f_type);
	snprintf(hex, sizeof(hex), "type 0x%lx", (unsigned long)fs.f_type);
	if (getloadavg(load, 3) < 0)
		load[0] = 0;
	strftime(date, sizeof(date), "%Y-%m-%d %H:%M UTC", gmtime(&t));
	if (bench.json)
		printf("{\"machine\":{\"kernel\":\"%s %s\",\"cpu\":\"%s\",\"family\":\"%s\",\"model\":\"%s\","
		       "\"cpus\":%ld,\"memory\":\"%s\",\"filesystem\":\"%s\",\"load\":%g,\"date\":\"%s\","
		       "\"pinfold\":\"%s\"}}\n", u.sysname, u.release, cpu, family, model,
		       sysconf(_SC_NPROCESSORS_ONLN), mem, name ? name : hex, load[0], date,
		       pinfold_version());
	else
		printf("pinfold %s, %s %s (%s), %ld CPUs %s family %s model %s, %s memory,\n"
		       "file system of %s: %s. Load when it began: %.2f. %s\n\n", pinfold_version(),
		       u.sysname, u.release, u.machine, sysconf(_SC_NPROCESSORS_ONLN), cpu, family, model,
		       mem, bench.dir, name ? name : hex, load[0], date);
}

static inline void bench_start(int argc, char **argv, const char *title)
{
	bool machine_only = false;

	bench.name = strrchr(argv[0], '/') ? strrchr(argv[0], '/') + 1 : argv[0];
	for (int i = 1; i < argc; i++) {
		const char *a = argv[i];

		if (!strcmp(a, "--smoke"))
			bench.smoke = true;
		else if (!strcmp(a, "--json"))
			bench.json = true;
		else if (!strcmp(a, "--machine"))
			machine_only = true;
		else if (!strcmp(a, "--no-machine"))
			bench.no_machine = true;
		else if (!strcmp(a, "--dir") && i + 1 < argc)
			bench.dir = argv[++i];
		else if (!strcmp(a, "--only") && i + 1 < argc)
			bench.only = argv[++i];
		else if (!strcmp(a, "--reps") && i + 1 < argc)
			bench.reps = atoi(argv[++i]);
		else {
			fprintf(stderr, "usage: %s [--smoke] [--json] [--dir D] [--only GROUP] [--reps N] "
			        "[--machine] [--no-machine]\n", bench.name);
			exit(2);
		}
	}
	if (machine_only || !bench.no_machine)
		print_machine();
	if (machine_only)
		exit(0);
	if (!bench.json)
		printf("## %s: %s\n\n", bench.name, title);
	fflush(stdout);
	atexit(bench_cleanup);
	signal(SIGINT, bench_signal);
	signal(SIGTERM, bench_signal);
}

#endif
