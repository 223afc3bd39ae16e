/* SPDX-License-Identifier: MIT */
/*
 * run.h - threads that transfer, and the schedule of commits that every engine gets.
 *
 * After RUN_BATCH transfers each the threads meet.  When the commit before is done, the last to
 * arrive calls freeze and all go on; a further thread, the committer, waits for the commit.  So
 * commit k is the state after threads * RUN_BATCH * k transfers, exactly, with an engine that can
 * freeze.
 */
#ifndef TOOLS_RUN_H
#define TOOLS_RUN_H

#include "stat.h"
#include "store.h"

#include <stdatomic.h>

#define RUN_BATCH 500
#define RUN_LEGS 4 /* warm-up, then three rounds */

/* In shared memory: what the parent knows when the child is killed. */
struct run_shared {
	_Atomic uint64_t begun;    /* set before anything of the commit can be on disk */
	_Atomic uint64_t finished; /* set after the engine said that it is */
};

/* A part of a run, cut at meetings. */
struct run_leg {
	double seconds;
	uint64_t transfers, commits;
	uint64_t written;             /* bytes, /proc/self/io */
	uint64_t flushes;             /* system calls that flush */
	uint64_t own_flushes, own_bytes; /* what the engine reports */
	struct hist transfer, commit, freeze;
};

struct run_result {
	int rc;
	char error[160];
	uint64_t transfers;  /* all that are committed */
	struct run_leg leg[RUN_LEGS];
};

struct run_plan {
	struct store *store;
	unsigned threads;
	uint64_t seed;
	const struct generator *resume; /* a generator for each thread, to go on from; NULL: new */
	double leg_seconds[RUN_LEGS]; /* all 0: until killed */
	struct run_shared *shared;
	struct run_result *result;    /* NULL: until killed, nothing measured */
};

/* The store is open and stays open.  0, or -errno with the store's error. */
int run(const struct run_plan *plan);

#endif
