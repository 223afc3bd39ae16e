/* SPDX-License-Identifier: MIT */
/*
 * writeout.h - pages of a cut on their way to the disk.
 *
 * A pass goes over a file's pages with one mark, some at a time (a flight), each with its own bounce
 * buffer.  Several flights are under way at once, so that the device has a queue and copying goes on
 * beside it.  I/O never reads a frame that can be stored to: a flight's content is copies.
 *
 * The caller holds commit_lock: the flights are the machine's.
 */
#ifndef PINFOLD_WRITEOUT_H
#define PINFOLD_WRITEOUT_H

#include "mm/cut.h"
#include "mm/journal.h"

#define FLIGHTS 4u

struct flight {
	uint64_t k;      /* pages of the pass before these */
	unsigned n;      /* pages; 0: not in use */
	unsigned nr_io;  /* requests under way */
	char *bounce;
	struct page *page[BATCH_PAGES];
	uint64_t index[BATCH_PAGES];
	struct iovec iov[BATCH_PAGES]; /* the content of each page */
	struct iovec vec[BATCH_PAGES]; /* the same with neighbours joined, for the requests */
	struct host_io io[BATCH_PAGES];
};

struct batch {
	struct address_space *mapping;
	struct pinfold_report *report;
	uint64_t size;     /* of the file, for its last page */
	unsigned mark;     /* MARK_CUT, or MARK_HOME for a checkpoint */
	bool finish;       /* pages leave the cut, unflushed, when their write has ended */
	bool home;         /* the writes go to the file: counted in the report */
	uint64_t cursor;   /* next file page to look at */
	uint64_t k;        /* pages up to it */
	unsigned at;       /* the flight used next */
	int error;         /* the first of the pass */
	struct flight flight[FLIGHTS];
};

/* The machine's, once. */
void batch_init(struct batch *b, char *bounce);
/* Begins a pass.  Nothing is under way. */
void batch_start(struct batch *b, unsigned mark);
/* The next pages with the mark, in the flight that has been under way longest; NULL: no more. */
struct flight *batch_next(struct batch *b);
/* Waits for all that is under way. */
void batch_settle(struct batch *b);

/* Claims the pages for the cut: iov is their content as the cut has it. */
void claim_flight(struct batch *b, struct flight *f);
/* The committed content again, for the home write. */
void fetch_flight(struct batch *b, struct flight *f);
/* Starts writing to the journal's record, or to the file. */
void flight_to_journal(struct batch *b, struct flight *f);
void flight_to_home(struct batch *b, struct flight *f);
/* The pages are committed: out of the cut.  unflushed: they wait for a checkpoint. */
void finish_flight(struct batch *b, struct flight *f, bool unflushed);

void note_failure(struct batch *b, uint64_t off, uint64_t len, int err);

#endif
