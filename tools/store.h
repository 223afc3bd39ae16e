/* SPDX-License-Identifier: MIT */
/*
 * store.h - the store of the demo: an array of records, moved between in pairs.
 *
 * An engine is a struct of functions under one code path: the same records, the same transfers,
 * the same schedule of commits.  Engines with plain pointers set base and are stored to in place;
 * others get and put whole records.
 *
 * Every thread has its own part of the records and a seeded generator, so the state after any
 * number of transfers can be computed again, by anybody, exactly.
 */
#ifndef TOOLS_STORE_H
#define TOOLS_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STORE_START_BALANCE 1000
#define STORE_THREADS_MAX 16

struct record {
	uint64_t number; /* its index: never changes */
	int64_t balance;
	uint64_t moves; /* transfers that it took part in: says how late a found record is */
	uint64_t rest[29];
};

struct engine;

/* One open store. */
struct store {
	const struct engine *engine;
	const char *path;
	uint64_t size, records; /* bytes, and how many records fit */
	uint64_t memory;        /* bytes the engine may use; 0: as it likes */
	char *base;             /* plain pointers, or NULL */
	void *own;              /* the engine's */
	uint64_t own_flushes, own_bytes; /* what the engine itself reports, summed over commits */
	char error[160];        /* what failed, after a call that returned less than 0 */
};

/* Every function gives 0 or -errno and fills s->error then. */
struct engine {
	const char *name;
	/* One writer at a time: threads hand their transfers to the committing thread. */
	bool deferred;
	/* The engine counts flushes and bytes itself (own_flushes, own_bytes). */
	bool reports;
	/* The closed file is the array of records, nothing else. */
	bool flat;
	int (*create)(struct store *s); /* the first state, on disk */
	int (*open)(struct store *s);
	int (*begin)(struct store *s); /* around the stores of one transfer; NULL: nothing */
	int (*end)(struct store *s);
	int (*freeze)(struct store *s); /* all threads stand; NULL: nothing */
	int (*commit)(struct store *s); /* threads go on meanwhile */
	int (*get)(struct store *s, uint64_t i, struct record *r); /* without base only */
	int (*put)(struct store *s, uint64_t i, const struct record *r);
	/* All of [off, off + len) is about to be read, in order; NULL: no use. */
	void (*ahead)(struct store *s, uint64_t off, uint64_t len);
	int (*close)(struct store *s);
};

extern const struct engine engine_mmap, engine_lmdb, engine_pinfold;
/* NULL, or why the engine is not in this build. */
const char *engine_missing(const struct engine *e);

struct transfer {
	uint64_t from, to;
	int64_t amount;
};

/* Zipf law with exponent 1 over `count` records from `first`; see generator_next(). */
struct generator {
	uint64_t state, first, count;
	double low, high, accept;
};

void generator_init(struct generator *g, uint64_t seed, unsigned thread, unsigned threads,
                    uint64_t records);
void generator_next(struct generator *g, struct transfer *t);

void record_init(struct record *r, uint64_t number);
int store_transfer(struct store *s, const struct transfer *t);
/* Reads record i, by pointer or by get. */
int store_read(struct store *s, uint64_t i, struct record *r);
/* Calls take() with all records in order, until it gives less than 0. */
int store_scan(struct store *s, int (*take)(void *arg, uint64_t i, const struct record *r),
               void *arg);
/* Remembers what failed; gives rc back. */
int store_fail(struct store *s, int rc, const char *what);
/* Writes the first state into a plain file, down to the disk. */
int flat_create(struct store *s);
/* Takes a file out of the page cache, after what is dirty of it went to the disk. */
void file_cool(const char *path);
/*
 * Reads a file into the page cache, as single pages: a larger folio would be written whole for each
 * store to it through a shared mapping, which is no fault of mmap's users.
 */
void file_warm(const char *path);

/* What all records together hold. */
struct store_sum {
	int64_t balance;
	uint64_t moves;
	uint64_t strange; /* records whose number is not theirs */
};
/* Of a closed store.  Flat files are read with pread, others through the engine. */
int store_sum(struct store *s, struct store_sum *sum);

#endif
