/* SPDX-License-Identifier: MIT */
/* access.c - copying from and to an mm through short pins, and pins as iovecs. */
#include <errno.h>

#include "lib/export.h"
#include "mm/gup.h"
#include "mm/registry.h"

#define ACCESS_PAGES 16u

/* One step: as many pages as fit.  Bytes copied or -errno. */
static long copy_some(struct mm_struct *mm, unsigned long addr, char *buf, size_t len, unsigned flags)
{
	struct page *pages[ACCESS_PAGES];
	size_t skip = addr & ~PAGE_MASK, done = 0;
	size_t nr = (skip + len + PAGE_SIZE - 1) >> PAGE_SHIFT;
	long got = pin_range(mm, addr, nr < ACCESS_PAGES ? nr : ACCESS_PAGES, flags & FOLL_WRITE, pages);

	for (long i = 0; i < got; i++, skip = 0) {
		char *p = (char *)page_address(pages[i]) + skip;
		size_t n = PAGE_SIZE - skip < len - done ? PAGE_SIZE - skip : len - done;

		if (flags & FOLL_WRITE)
			host_copy_shared(p, buf + done, n);
		else
			host_copy_shared(buf + done, p, n);
		done += n;
	}
	if (got > 0 && (flags & FOLL_WRITE))
		put_user_pages_dirty_lock(pages, (unsigned long)got);
	else if (got > 0)
		put_user_pages(pages, (unsigned long)got);
	return got > 0 ? (long)done : got;
}

PINFOLD_EXPORT long access_process_vm(struct mm_struct *mm, unsigned long addr, void *buf, size_t len,
                                      unsigned int gup_flags)
{
	size_t done = 0;
	long r = mm_check_live(mm);

	if (!r && (gup_flags & ~(unsigned)FOLL_WRITE))
		r = -EINVAL;
	if (!r && addr + len < addr)
		r = -EOVERFLOW;
	if (!r && in_window(buf, len))
		r = -EFAULT;
	while (!r && done < len) {
		r = copy_some(mm, addr + done, (char *)buf + done, len - done, gup_flags);
		if (r > 0) {
			done += (size_t)r;
			r = 0;
		}
	}
	return done ? (long)done : r;
}

/* Describes pinned pages as runs.  Runs used, or -EMSGSIZE. */
static int describe(struct page **pages, long nr, size_t skip, size_t len, struct iovec *iov, int room)
{
	int n = 0;

	for (long i = 0; i < nr; i++, skip = 0) {
		char *p = (char *)page_address(pages[i]) + skip;
		size_t l = PAGE_SIZE - skip < len ? PAGE_SIZE - skip : len;

		len -= l;
		if (n && (char *)iov[n - 1].iov_base + iov[n - 1].iov_len == p) {
			iov[n - 1].iov_len += l;
			continue;
		}
		if (n == room)
			return -EMSGSIZE;
		iov[n++] = (struct iovec){ p, l };
	}
	return n;
}

PINFOLD_EXPORT long pinfold_iov(unsigned long start, size_t len, unsigned int gup_flags,
                                struct page **pages, struct iovec *iov, int *nr_iov)
{
	size_t skip = start & ~PAGE_MASK;
	size_t nr = (skip + len + PAGE_SIZE - 1) >> PAGE_SHIFT;
	long got;
	int runs;

	if (!pages || !iov || !nr_iov || *nr_iov < 0 || nr > INT32_MAX || skip + len < len)
		return -EINVAL;
	if (in_window(iov, (size_t)*nr_iov * sizeof(*iov)) || in_window(nr_iov, sizeof(*nr_iov)))
		return -EFAULT;
	got = get_user_pages_fast(start, (int)nr, gup_flags, pages);
	if (got < 0)
		return got;
	runs = (size_t)got == nr ? describe(pages, got, skip, len, iov, *nr_iov) : -EFAULT;
	if (runs < 0) {
		put_user_pages(pages, (unsigned long)got);
		return runs;
	}
	*nr_iov = runs;
	return got;
}
