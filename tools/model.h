/* SPDX-License-Identifier: MIT */
/*
 * model.h - the state that the store must have, computed again from the seed, and what a found
 * state is by that.
 */
#ifndef TOOLS_MODEL_H
#define TOOLS_MODEL_H

#include "demo.h"

/* In shared memory. */
struct model {
	uint64_t seed, records;
	unsigned threads;
	uint64_t commit; /* what balance[] and moves[] are the state of */
	struct generator generator[STORE_THREADS_MAX];
	/* Of each record: as it must be, and as it was found. */
	int64_t *balance, *found_balance;
	uint64_t *moves, *found_moves;
};

struct model *model_alloc(uint64_t seed, unsigned threads, uint64_t records);
/* Back to the first state. */
void model_reset(struct model *m);
/* Reads all records of an open store as found.  0 or -errno; -EBADMSG: a record is not itself. */
int model_load(struct model *m, struct store *s);
/*
 * What was found, when `finished` commits were done and `begun` begun.  RIGHT leaves the model at
 * the commit that was found, so that a run can go on from there; all else resets it.
 */
enum verdict model_judge(struct model *m, uint64_t finished, uint64_t begun);

#endif
