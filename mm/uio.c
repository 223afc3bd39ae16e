/* SPDX-License-Identifier: MIT */
/* uio.c - iovecs, and the pages behind them in short pins. */
#include <errno.h>
#include <pinfold/uio.h>
#include <stdlib.h>

#include "lib/export.h"
#include "mm/registry.h"

/* What may not be touched: the thread is inside a call. */
static int iter_check(const struct iov_iter *i)
{
	return in_window(i, sizeof(*i)) || in_window(i->iov, i->nr_segs * sizeof(*i->iov)) ? -EFAULT : 0;
}

/* To the segment of the position: behind those that are used up, or empty. */
static void iter_settle(struct iov_iter *i)
{
	while (i->nr_segs && i->iov_offset >= i->iov->iov_len) {
		i->iov++;
		i->nr_segs--;
		i->iov_offset = 0;
	}
}

/* Do the segments hold count bytes? */
static bool holds(const struct iovec *iov, unsigned long nr_segs, size_t count)
{
	for (unsigned long s = 0; s < nr_segs && count; s++)
		count -= iov[s].iov_len < count ? iov[s].iov_len : count;
	return !count;
}

PINFOLD_EXPORT int iov_iter_init(struct iov_iter *i, unsigned int direction, const struct iovec *iov,
                                 unsigned long nr_segs, size_t count)
{
	struct iov_iter it = { .type = direction, .count = count, .iov = iov, .nr_segs = nr_segs };
	bool good = direction <= ITER_SOURCE && nr_segs <= SIZE_MAX / sizeof(*iov) && (iov || !nr_segs);

	if (in_window(i, sizeof(*i)) || (good && iter_check(&it)))
		return -EFAULT;
	good = good && holds(iov, nr_segs, count);
	if (good)
		iter_settle(&it);
	*i = good ? it : (struct iov_iter){ .type = ITER_DEST };
	return good ? 0 : -EINVAL;
}

PINFOLD_EXPORT size_t iov_iter_count(const struct iov_iter *i)
{
	return i->count;
}

PINFOLD_EXPORT int iov_iter_advance(struct iov_iter *i, size_t bytes)
{
	int r = iter_check(i);

	if (r)
		return r;
	if (bytes > i->count)
		bytes = i->count;
	i->count -= bytes;
	while (bytes && i->nr_segs) {
		size_t n = i->iov->iov_len - i->iov_offset;

		n = n < bytes ? n : bytes;
		i->iov_offset += n;
		bytes -= n;
		iter_settle(i);
	}
	return 0;
}

/* Bytes behind the position that lie in one segment. */
struct span {
	unsigned long addr;
	size_t skip, len; /* skip: of the first page */
	int nr;           /* pages */
};

/* 0 or -errno; s->len 0: at the end, or maxsize is 0. */
static int iter_span(const struct iov_iter *i, size_t maxsize, unsigned maxpages, const size_t *start, struct span *s)
{
	int r = iter_check(i);

	*s = (struct span){ .len = maxsize < i->count ? maxsize : i->count };
	if (!r && in_window(start, sizeof(*start)))
		r = -EFAULT;
	if (!r && !maxpages)
		r = -EINVAL;
	if (r || !s->len || !i->nr_segs) {
		s->len = 0;
		return r;
	}
	s->addr = (unsigned long)i->iov->iov_base + i->iov_offset;
	s->skip = s->addr & ~PAGE_MASK;
	if (maxpages > INT32_MAX)
		maxpages = INT32_MAX;
	if (s->len > i->iov->iov_len - i->iov_offset)
		s->len = i->iov->iov_len - i->iov_offset;
	if (s->len > maxpages * PAGE_SIZE - s->skip)
		s->len = maxpages * PAGE_SIZE - s->skip;
	s->nr = (int)((s->skip + s->len + PAGE_SIZE - 1) >> PAGE_SHIFT);
	return 0;
}

static ssize_t pin_span(const struct iov_iter *i, const struct span *s, struct page **pages, size_t *start)
{
	int got = get_user_pages_fast(s->addr, s->nr, i->type == ITER_DEST ? FOLL_WRITE : 0, pages);

	if (got <= 0)
		return got;
	*start = s->skip;
	return (ssize_t)(got == s->nr ? s->len : (size_t)got * PAGE_SIZE - s->skip);
}

PINFOLD_EXPORT ssize_t iov_iter_get_pages(struct iov_iter *i, struct page **pages, size_t maxsize, unsigned int maxpages,
                                          size_t *start)
{
	struct span s;
	int r = iter_span(i, maxsize, maxpages, start, &s);

	return r || !s.len ? r : pin_span(i, &s, pages, start);
}

PINFOLD_EXPORT ssize_t iov_iter_get_pages_alloc(struct iov_iter *i, struct page ***pages, size_t maxsize, size_t *start)
{
	struct page **array;
	struct span s;
	ssize_t r = iter_span(i, maxsize, INT32_MAX, start, &s);

	if (!r && in_window(pages, sizeof(*pages)))
		r = -EFAULT;
	if (r || !s.len)
		return r;
	array = host_fail() ? NULL : malloc((size_t)s.nr * sizeof(*array));
	if (!array)
		return -ENOMEM;
	r = pin_span(i, &s, array, start);
	if (r > 0)
		*pages = array;
	else
		free(array);
	return r;
}
