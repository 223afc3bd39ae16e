/* SPDX-License-Identifier: MIT */
/*
 * uio.h - the pages behind an iovec, step by step, for one I/O: struct iov_iter with the names of Linux 5.2.
 *
 *   iov_iter_init(&i, ITER_DEST, iov, n, count);
 *   while (iov_iter_count(&i)) { iov_iter_get_pages(...);  the I/O;  put_user_pages*();  iov_iter_advance(...); }
 *
 * The pins are short ones.  The iovec's addresses are addresses of the thread's mm; the iovec array itself, the iterator
 * and what results are stored to may not lie in a window (-EFAULT).  An iterator belongs to one thread at a time.
 */
#ifndef PINFOLD_UIO_H
#define PINFOLD_UIO_H

#include <pinfold/gup.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Which way the data goes; values of 5.2's READ and WRITE, names of 6.1. */
#define ITER_DEST   0u /* into the iovec's memory: its pages are pinned with FOLL_WRITE */
#define ITER_SOURCE 1u /* out of it */

struct iov_iter {
	unsigned int type;       /* ITER_DEST, ITER_SOURCE */
	size_t iov_offset;       /* position in *iov */
	size_t count;            /* bytes left */
	const struct iovec *iov; /* the segment of the position, and nr_segs - 1 behind it */
	unsigned long nr_segs;
};

/*
 * Sets i to the first `count` bytes of an iovec, which must stay as it is.
 * Result (5.2: void): 0; -EINVAL direction, or count is more than the segments hold; -EFAULT i or iov inside a window.  On
 * -EINVAL i is at its end: 0 bytes.
 * Locks: none.  Does not block.
 */
int iov_iter_init(struct iov_iter *i, unsigned int direction, const struct iovec *iov, unsigned long nr_segs,
                  size_t count) PINFOLD_SYM(iov_iter_init);

/* Bytes left. */
size_t iov_iter_count(const struct iov_iter *i) PINFOLD_SYM(iov_iter_count);

/* Moves on by `bytes`, at most to the end.  0 (5.2: void); -EFAULT i or the iovec inside a window. */
int iov_iter_advance(struct iov_iter *i, size_t bytes) PINFOLD_SYM(iov_iter_advance);

/*
 * Pins the pages behind the position, within its segment.  The position stays: iov_iter_advance().
 *
 * pages:    out, maxpages entries
 * maxsize:  bytes; 0 gives 0
 * maxpages: more than 0
 * start:    out: where in pages[0] the data begins
 *
 * Result: bytes, from *start in pages[0] on; the pages are those that hold them, one pin each.  0: at the end.  Fewer
 * than could be had when a page cannot be delivered; its error if it is the first, as get_user_pages_fast().  -EINVAL
 * maxpages 0; -EFAULT the iterator, the iovec, pages or start inside a window.  On an error nothing is pinned.
 * Locks: none.  May block and do I/O.
 */
ssize_t iov_iter_get_pages(struct iov_iter *i, struct page **pages, size_t maxsize, unsigned int maxpages, size_t *start)
	PINFOLD_SYM(iov_iter_get_pages);

/*
 * The same, with an array made for it: *pages, to be given to free(3) by the caller when the result is more than 0 (else
 * it is not touched).  -ENOMEM: no memory for it.
 */
ssize_t iov_iter_get_pages_alloc(struct iov_iter *i, struct page ***pages, size_t maxsize, size_t *start)
	PINFOLD_SYM(iov_iter_get_pages_alloc);

#ifdef __cplusplus
}
#endif
#endif
