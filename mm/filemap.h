/* SPDX-License-Identifier: MIT */
/*
 * filemap.h - a file's cached pages: the index, the page lock, reading.
 *
 * A page is in the index from before it is read until it is frozen and removed; the index has one
 * internal reference on it.  It enters locked and not uptodate; the reader unlocks it uptodate, or
 * takes it out again: who waited for the lock looks whether it is still the file's page.
 *
 * The page lock (PG_locked) is held by one owner who may change the page's state: a reader until the
 * content is there, who makes it writable, who claims it for a cut, who evicts it.  It is a sleeping
 * lock without an owner: the end of a read unlocks, in whichever thread handles it.  Nests inside the
 * mmap lock and freeze_sem, outside all others.  Two page locks are never waited for together.
 */
#ifndef PINFOLD_FILEMAP_H
#define PINFOLD_FILEMAP_H

#include "mm/lru.h"

#define FILL_PAGES 64u      /* one read: 256 KiB */
#define READAHEAD_MAX 64u   /* of a sequential reader at its faults */

enum page_fact {
	PAGE_OK,          /* rq->page: uptodate, with an internal reference */
	PAGE_AGAIN,       /* it was being read or evicted and the wait is over: look again */
	PAGE_WOULD_BLOCK, /* not there, and rq->block is false; nothing was started */
	PAGE_NO_FRAME,    /* the caller reclaims and looks again */
	PAGE_ERROR        /* rq->error: -ENXIO beyond the end, -EIO, -ESTALE, -ENOMEM */
};

struct page_request {
	struct address_space *mapping;
	uint64_t index;
	uint64_t want;   /* pages the caller goes on to use from here; at least 1 */
	bool block;      /* may do I/O and sleep */
	struct page *page;
	int error;
};

/* Finds the page, or reads it and what a sequential reader wants next.  [sig] */
enum page_fact filemap_get_page(struct page_request *rq);

/* The page if it is cached and uptodate, with an internal reference; else NULL.  Never blocks. */
struct page *filemap_peek(struct address_space *mapping, uint64_t index);

/* Starts reading what is missing of [index, index + n), as far as frames go.  With a ring the reads
 * are in flight on return, without one they are done.  Result: pages cached or started. */
uint64_t filemap_readahead(struct address_space *mapping, uint64_t index, uint64_t n);

void page_lock(struct pinfold *m, struct page *page);
bool page_trylock(struct page *page);
void page_unlock(struct page *page);
/* Sleeps until it was unlocked once, or a little; for somebody without a reference too. */
void page_wait(struct pinfold *m, struct page *page);

/* Takes locked, frozen pages of one file with following indexes out of the index, punches direct
 * frames, frees the frames and unlocks.  For reclaim and close. */
void filemap_remove(struct address_space *mapping, struct page **pages, unsigned n);

/* Pages in the file, the last one perhaps in part. */
static inline uint64_t file_pages(struct address_space *mapping)
{
	return (atomic_load(&mapping->size) + PAGE_SIZE - 1) >> PAGE_SHIFT;
}

int filemap_check(struct address_space *mapping);

/* Memory only: a missing page is zeroes, nothing is ever written. */
extern const struct address_space_operations memory_ops;
/* A mapping's locks and its empty index; all else is zero. */
void mapping_init(struct address_space *mapping, struct pinfold *m, unsigned flags);

#endif
