/* SPDX-License-Identifier: MIT */
/* iter.c - iterators over user memory. */
#include <linux/slab.h>
#include <linux/uio.h>

#include "gup.h"

void iov_iter_init(struct iov_iter *i, unsigned int direction, const struct iovec *iov, unsigned long n, size_t count)
{
	*i = (struct iov_iter){ .data_source = direction, .count = count, .__iov = iov, .nr_segs = n };
}

int import_ubuf(int rw, void __user *buf, size_t len, struct iov_iter *i)
{
	if (!access_ok(buf, len))
		return -EFAULT;
	*i = (struct iov_iter){ .data_source = rw, .count = len, .nr_segs = 1, .kd_one = { buf, len } };
	return 0;
}

/* The rest of the range it is in. */
static struct iovec here(struct iov_iter *i)
{
	const struct iovec *v;
	struct iovec rest;

	for (;;) {
		v = i->__iov ? i->__iov : &i->kd_one;
		if (i->iov_offset < v->iov_len || i->nr_segs <= 1)
			break;
		i->__iov++;
		i->nr_segs--;
		i->iov_offset = 0;
	}
	rest.iov_base = (char *)v->iov_base + i->iov_offset;
	rest.iov_len = min(v->iov_len - i->iov_offset, i->count);
	return rest;
}

void iov_iter_advance(struct iov_iter *i, size_t n)
{
	n = min(n, i->count);
	while (n) {
		size_t now = min(here(i).iov_len, n);

		if (!now)
			return;
		i->iov_offset += now;
		i->count -= now;
		n -= now;
	}
}

static size_t copy(struct iov_iter *i, char *buf, size_t n, bool to_user)
{
	size_t done = 0;

	while (done < n && i->count) {
		struct iovec v = here(i);
		size_t now = min(v.iov_len, n - done), left;

		left = to_user ? copy_to_user(v.iov_base, buf + done, now) : copy_from_user(buf + done, v.iov_base, now);
		iov_iter_advance(i, now - left);
		done += now - left;
		if (left || !now)
			break;
	}
	return done;
}

size_t copy_from_iter(void *to, size_t n, struct iov_iter *i)
{
	WARN(!i->data_source, "copy_from_iter() of a destination");
	return copy(i, to, n, false);
}

size_t copy_to_iter(const void *from, size_t n, struct iov_iter *i)
{
	WARN(i->data_source, "copy_to_iter() of a source");
	return copy(i, (char *)(unsigned long)from, n, true);
}

ssize_t iov_iter_extract_pages(struct iov_iter *i, struct page ***pages, size_t max, unsigned int max_pages,
                               unsigned int flags, size_t *offset)
{
	struct iovec v = here(i);
	unsigned long at = (unsigned long)v.iov_base;
	size_t n = min(min(v.iov_len, max), max_pages * PAGE_SIZE - offset_in_page(at));
	unsigned long nr = (offset_in_page(at) + n + PAGE_SIZE - 1) >> PAGE_SHIFT;
	bool own = !*pages;
	int got;

	if (!n)
		return 0;
	if (own)
		*pages = kvmalloc_array(nr, sizeof(**pages), GFP_KERNEL);
	if (!*pages)
		return -ENOMEM;
	got = pin_user_pages_fast(at, (int)nr, flags | (i->data_source ? 0 : FOLL_WRITE), *pages);
	if (got <= 0) {
		if (own) {
			kvfree(*pages);
			*pages = NULL;
		}
		return got < 0 ? got : -EFAULT;
	}
	*offset = offset_in_page(at);
	n = min(n, (size_t)got * PAGE_SIZE - *offset);
	iov_iter_advance(i, n);
	return (ssize_t)n;
}
