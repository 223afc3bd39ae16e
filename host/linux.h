/* SPDX-License-Identifier: MIT */
/*
 * linux.h - what the linux_*.c files share: kernel constants newer than the build machine's
 * headers, a walk over an iovec array, and a few helpers.  For host/ only.
 *
 * The constants are part of the kernel's ABI; defining them here keeps one binary working on every
 * kernel, which answers -EINVAL or -ENOTTY where it lacks one.
 */
#ifndef PINFOLD_HOST_LINUX_H
#define PINFOLD_HOST_LINUX_H

#include <linux/fs.h>
#include <linux/userfaultfd.h>

#include "host/host.h"

#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY 1
#endif
#ifndef USERFAULTFD_IOC_NEW
#define USERFAULTFD_IOC_NEW _IO(0xAA, 0x00)
#endif
#ifndef UFFD_FEATURE_WP_HUGETLBFS_SHMEM
#define UFFD_FEATURE_WP_HUGETLBFS_SHMEM (1 << 12)
#endif
#ifndef UFFD_FEATURE_WP_UNPOPULATED
#define UFFD_FEATURE_WP_UNPOPULATED (1 << 13)
#endif
#ifndef UFFD_FEATURE_WP_ASYNC
#define UFFD_FEATURE_WP_ASYNC (1 << 15)
#endif
#ifndef UFFDIO_CONTINUE_MODE_WP
#define UFFDIO_CONTINUE_MODE_WP ((__u64)1 << 1)
#endif

#ifndef PAGEMAP_SCAN
#define PAGE_IS_WRITTEN (1 << 1)
#define PM_SCAN_WP_MATCHING (1 << 0)
#define PM_SCAN_CHECK_WPASYNC (1 << 1)
struct page_region {
	__u64 start, end, categories;
};
struct pm_scan_arg {
	__u64 size, flags, start, end, walk_end, vec, vec_len, max_pages;
	__u64 category_inverted, category_mask, category_anyof_mask, return_mask;
};
#define PAGEMAP_SCAN _IOWR('f', 16, struct pm_scan_arg)
#endif

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

/* One turn of a short spin. */
static inline void host_relax(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

/* Where a partly done transfer stands: `skip` bytes of iov[0] are done. */
struct iov_walk {
	const struct iovec *iov;
	int n;
	size_t skip;
};

/* Copies what is left, at most max entries, to part; how many. */
static inline int iov_rest(const struct iov_walk *w, struct iovec *part, int max)
{
	int k = w->n < max ? w->n : max;

	for (int i = 0; i < k; i++)
		part[i] = w->iov[i];
	if (k) {
		part[0].iov_base = (char *)part[0].iov_base + w->skip;
		part[0].iov_len -= w->skip;
	}
	return k;
}

static inline void iov_advance(struct iov_walk *w, size_t bytes)
{
	bytes += w->skip;
	while (w->n && bytes >= w->iov->iov_len) {
		bytes -= w->iov->iov_len;
		w->iov++;
		w->n--;
	}
	w->skip = w->n ? bytes : 0;
}

static inline bool iov_aligned(const struct iovec *iov, int n, uint64_t off)
{
	uintptr_t bits = off;

	for (int i = 0; i < n; i++)
		bits |= (uintptr_t)iov[i].iov_base | iov[i].iov_len;
	return !(bits & (HOST_PAGE - 1));
}

/* Does a whole request in the caller.  In linux_io.c. */
void host_io_now(struct host_io *io);
/* Ends a request for which the kernel said res: does the rest, if any, in the caller. */
void host_io_complete(struct host_io *io, int64_t res);

/* Reads a small text file into buf, always terminated.  Bytes or -errno.  In probe.c. */
int host_read_text(const char *path, char *buf, size_t size);

#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED 24
#endif

#endif
