/* SPDX-License-Identifier: MIT */
/*
 * demo.c - pinfold demo: options, the order of the parts, the words around their figures.
 */
#include "demo.h"

#include "tools.h"

#include <pinfold/pinfold.h>

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>

#define TMPFS 0x01021994


/* A whole number with K, M or G.  False: it is none, or not within the bounds. */
static bool parse(const char *text, uint64_t low, uint64_t high, uint64_t *out)
{
	static const char unit[] = "KMG";
	char *end;
	const char *u;
	unsigned shift = 0;
	unsigned long long v;

	errno = 0;
	v = strtoull(text, &end, 10);
	if (end == text || errno || *text == '-')
		return false;
	u = *end ? strchr(unit, *end & ~0x20) : NULL;
	if (u) {
		shift = 10u * (unsigned)(u - unit + 1);
		end++;
	}
	if (*end || v > UINT64_MAX >> shift)
		return false;
	*out = v << shift;
	return *out >= low && *out <= high;
}

/* 0; or what is wrong. */
static const char *set_option(struct demo_options *o, int opt)
{
	uint64_t v;
	char *end;

	switch (opt) {
	case 'd':
		o->dir = optarg;
		return NULL;
	case 's':
		if (!parse(optarg, 64u << 20, 1ull << 40, &v))
			return "--size: 64M to 1024G";
		o->size = v & ~((1ull << 20) - 1);
		return NULL;
	case 'm':
		return parse(optarg, 32u << 20, 1ull << 40, &o->memory) ? NULL :
		                                                          "--memory: 32M to 1024G";
	case 't':
		if (!parse(optarg, 1, STORE_THREADS_MAX, &v))
			return "--threads: 1 to 16";
		o->threads = (unsigned)v;
		return NULL;
	case 'k':
	case 'c':
		if (!parse(optarg, 0, 100000, &v))
			return "--kills, --cuts: 0 to 100000";
		*(opt == 'k' ? &o->kills : &o->cuts) = (unsigned)v;
		return NULL;
	case 'n':
		o->seconds = strtod(optarg, &end);
		if (*end || !(o->seconds >= 0.1 && o->seconds <= 3600))
			return "--seconds: 0.1 to 3600";
		return NULL;
	case 'r':
		return parse(optarg, 0, UINT64_MAX, &o->seed) ? NULL : "--seed: a whole number";
	}
	return "demo: wrong option";
}

static const char *fs_name(long type)
{
	static const struct {
		long type;
		const char *name;
	} names[] = {
		{ 0xef53, "ext4" },     { 0x58465342, "xfs" },  { 0x9123683e, "btrfs" },
		{ TMPFS, "tmpfs" },     { 0x794c7630, "overlay" }, { 0x6969, "nfs" },
		{ 0xf2f52010, "f2fs" }, { 0x2fc12fc1, "zfs" },  { 0x65735546, "fuse" },
		{ 0xca451a4e, "bcachefs" },
	};

	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (names[i].type == type)
			return names[i].name;
	return "a file system of another kind";
}

/* Names the file system and looks for room.  False: there is too little. */
static bool look_at_place(const struct demo_options *o)
{
	/* Two files at once at most: LMDB keeps old versions of pages, so up to twice the size. */
	uint64_t need = 3 * o->size + (1ull << 30), free;
	char a[32], b[32];
	struct statfs fs;

	if (statfs(room_dir(), &fs) < 0)
		return false;
	free = (uint64_t)fs.f_bavail * (uint64_t)fs.f_bsize;
	printf("Files: in %s, on %s, %s free; removed at the end\n", room_dir(),
	       fs_name((long)fs.f_type), text_bytes(a, sizeof(a), (double)free));
	if (fs.f_type == TMPFS)
		printf("WARNING: tmpfs is memory.  Nothing reaches a disk here: the figures say "
		       "nothing about commits.\n");
	if (free >= need)
		return true;
	fprintf(stderr, "pinfold: %s free, %s needed; use --dir or a smaller --size\n", a,
	        text_bytes(b, sizeof(b), (double)need));
	return false;
}

static void introduce(const struct demo_options *o)
{
	struct pinfold_probe p = { .size = sizeof(p) };
	char size[32];
	struct utsname u;

	uname(&u);
	printf("Store: %s of %zu-byte records, chosen by a Zipf law; a transfer takes from one and "
	       "gives to another,\nso the sum never changes.  "
	       "Seed %" PRIu64 ", %ld CPUs, Linux %s\n",
	       text_bytes(size, sizeof(size), (double)o->size), sizeof(struct record), o->seed,
	       sysconf(_SC_NPROCESSORS_ONLN), u.release);
	if (pinfold_get_probe(&p) == 0 && !p.uffd_how)
		printf("Window: an extent window; direct ones are refused (pinfold doctor, below)\n");
}

struct findings {
	struct column columns[COLUMNS];
	struct crash_count kills[CRASH_ENGINES], cuts[CRASH_ENGINES];
	struct pins_result pins;
};

/* What pinfold promised and did not keep, in words; how many. */
static int broken(const struct findings *f)
{
	const struct column *p = &f->columns[COLUMN_PINFOLD];
	const struct crash_count *crash[2] = { &f->kills[CRASH_ENGINES - 1],
		                               &f->cuts[CRASH_ENGINES - 1] };
	int n = 0;

	if (p->failed[0])
		n += printf("BROKEN: pinfold's column: %s\n", p->failed) > 0;
	for (int i = 0; i < 2; i++)
		if (crash[i]->verdict[VERDICT_RIGHT] != crash[i]->done)
			n += printf("BROKEN: pinfold after a crash: %s\n", crash[i]->note) > 0;
		else if (crash[i]->note[0])
			n += printf("BROKEN: pinfold's crashes ended: %s\n", crash[i]->note) > 0;
	if (f->pins.failed[0])
		n += printf("BROKEN: pins: %s\n", f->pins.failed) > 0;
	if (f->pins.wrong)
		n += printf("BROKEN: %" PRIu64 " device writes lost\n", f->pins.wrong) > 0;
	if (f->pins.taken != f->pins.released)
		n += printf("BROKEN: pins leaked\n") > 0;
	return n;
}

static void print_crashes(const struct findings *f)
{
	printf("\nCrashes: a 64 MiB file; what it holds afterwards, judged by the commits "
	       "begun and finished\n\n");
	demo_crash_print("SIGKILL", f->kills);
	demo_crash_print("power cut", f->cuts);
	printf("\nright: the state of a commit between finished and begun.  LOST: of an older "
	       "one.\n"
	       "UNCOMMITTED: holds a later transfer.  TORN: no commit's state.\n"
	       "A power cut is EXT4_IOC_SHUTDOWN of an ext4 in a file: what was written to that "
	       "file "
	       "stays, so a\nmissing flush is not found here, but by the tests that replay "
	       "recorded "
	       "writes (make check).\n\n");
}

static void print_words(const struct findings *f)
{
	printf("\nWhat this shows.  mmap keeps what MAP_SHARED promises, and no more: stores reach "
	       "the file, at some\ntime, in some order; msync() says when they have.  That is no "
	       "commit.  "
	       "So engines add a log, or copy\nbefore they write as LMDB does; pinfold keeps the "
	       "pointers of mmap and writes only what you commit.\n\n");
	demo_speed_words(f->columns);
	printf("\nThe program (examples/first.c):\n\n%s\nThis system (pinfold doctor):\n\n",
	       demo_example);
}

static void set_column(struct column *c, const char *title, const struct engine *e, bool limited)
{
	c->title = title;
	c->engine = e;
	c->limited = limited;
}

static int demo(const struct demo_options *o)
{
	struct findings *f = shared_alloc(sizeof(*f));
	int n;

	set_column(&f->columns[COLUMN_MMAP_ALL], "mmap+msync with all memory", &engine_mmap, false);
	set_column(&f->columns[COLUMN_MMAP], "mmap+msync", &engine_mmap, true);
	set_column(&f->columns[COLUMN_LMDB], "LMDB", &engine_lmdb, true);
	set_column(&f->columns[COLUMN_PINFOLD], "pinfold", &engine_pinfold, true);
	introduce(o);
	if (!look_at_place(o))
		return 1;
	printf("\n");
	demo_speed(o, f->columns);
	demo_kills(o, f->kills);
	demo_cuts(o, f->cuts);
	demo_progress("pins");
	demo_pins(o, &f->pins);
	demo_progress("done");
	demo_speed_print(o, f->columns);
	print_crashes(f);
	demo_pins_print(&f->pins);
	print_words(f);
	doctor_print();
	printf("\n");
	n = broken(f);
	if (n == 0)
		printf("pinfold kept its guarantees in this run.\n");
	return n != 0;
}

int cmd_demo(int argc, char **argv)
{
	static const struct option options[] = {
		{ "dir", required_argument, NULL, 'd' },
		{ "size", required_argument, NULL, 's' },
		{ "memory", required_argument, NULL, 'm' },
		{ "threads", required_argument, NULL, 't' },
		{ "kills", required_argument, NULL, 'k' },
		{ "cuts", required_argument, NULL, 'c' },
		{ "seconds", required_argument, NULL, 'n' },
		{ "seed", required_argument, NULL, 'r' },
		{ "example", no_argument, NULL, 'e' },
		{ 0 },
	};
	struct demo_options o = { .dir = ".",
		                  .size = 1ull << 30,
		                  .memory = 256u << 20,
		                  .threads = 2,
		                  .kills = 20,
		                  .cuts = 10,
		                  .seconds = 2 };
	int opt, rc;

	demo_progress_start();
	o.seed = now_ns() % 1000000;
	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		const char *wrong;

		if (opt == 'e') {
			fputs(demo_example, stdout);
			return 0;
		}
		wrong = set_option(&o, opt);
		if (wrong)
			return usage_error(wrong);
	}
	if (optind != argc)
		return usage_error("demo takes options only");
	setvbuf(stdout, NULL, _IOLBF, 0); /* in order with the progress, also in a pipe */
	rc = room_create(o.dir);
	if (rc < 0) {
		fprintf(stderr, "pinfold: %s: %s\n", o.dir, strerror(-rc));
		return 1;
	}
	rc = demo(&o);
	room_remove();
	return rc;
}
