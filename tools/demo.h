/* SPDX-License-Identifier: MIT */
/*
 * demo.h - what the parts of `pinfold demo` share: the options, what each part found out.
 */
#ifndef TOOLS_DEMO_H
#define TOOLS_DEMO_H

#include "child.h"
#include "run.h"

struct demo_options {
	const char *dir;
	uint64_t size, memory;
	unsigned threads, kills, cuts;
	double seconds; /* of one round */
	uint64_t seed;
};

struct pinfold;
struct mm_struct;

/* A direct window; where userfaultfd is refused an extent window, which needs nothing.  0 or -errno. */
int demo_window(struct pinfold *machine, struct mm_struct **mm);

/* ---- speed ---- */

#define COLUMNS 4
enum { COLUMN_MMAP_ALL, COLUMN_MMAP, COLUMN_LMDB, COLUMN_PINFOLD };

struct column {
	const char *title;
	const struct engine *engine;
	bool limited;
	/* found out: */
	char skipped[160];     /* not empty: why there is nothing else */
	char failed[200];      /* not empty: what went wrong */
	char unlimited[160];   /* not empty: why there is no memory limit */
	uint64_t peak;         /* bytes of memory, 0 unknown */
	bool peak_cgroup;      /* counted by the cgroup, page cache included */
	bool sum_right;
	struct run_result result;
};

/* columns: shared memory, zeroed. */
void demo_speed(const struct demo_options *o, struct column *columns);
void demo_speed_print(const struct demo_options *o, const struct column *columns);
/* Where pinfold was slower, and by what factor. */
void demo_speed_words(const struct column *columns);

/* ---- crashes ---- */

enum verdict { VERDICT_RIGHT, VERDICT_LOST, VERDICT_UNCOMMITTED, VERDICT_TORN, VERDICTS };
#define CRASH_ENGINES 3

struct crash_count {
	const struct engine *engine;
	char skipped[160];
	unsigned done, verdict[VERDICTS];
	char note[200]; /* of the last one that was not right and not counted by a word */
};

void demo_kills(const struct demo_options *o, struct crash_count counts[CRASH_ENGINES]);
void demo_cuts(const struct demo_options *o, struct crash_count counts[CRASH_ENGINES]);
void demo_crash_print(const char *what, const struct crash_count counts[CRASH_ENGINES]);

/* ---- pins ---- */

struct pins_result {
	const char *missing; /* not NULL: why there is nothing else */
	char failed[200]; /* not empty: what went wrong */
	bool direct;      /* the device's file was read past the page cache */
	double seconds;
	uint64_t reads, pages;             /* by io_uring, into pinned pages */
	uint64_t commits, commit_pages, commit_pinned;
	uint64_t checked, wrong;           /* pages of the closed file against what was read last */
	uint64_t taken, released;          /* pins, in pages, by the machine's own count */
	uint64_t evicted, skipped;         /* by eviction; skipped because pinned */
};

void demo_pins(const struct demo_options *o, struct pins_result *r);
void demo_pins_print(const struct pins_result *r);

/* ---- words ---- */

/* A line about what goes on now, on stderr, with the seconds since the start. */
void demo_progress_start(void);
void demo_progress(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The text of examples/first.c. */
extern const char demo_example[];
/* Prints what the system offers.  0: everything that a direct window needs. */
int doctor_print(void);

#endif
