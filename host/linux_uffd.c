/* SPDX-License-Identifier: MIT */
/*
 * linux_uffd.c - direct windows: a range of a memory file whose first touches and first stores are
 * ours to serve.
 *
 * userfaultfd in SIGBUS mode: the kernel queues nothing, the thread that touched gets a signal and
 * serves itself.  Three events: missing (no page in the memory file), minor (a page, no
 * translation), write-protect.  Asynchronous: stores to protected pages just go on, and a scan says
 * which pages were stored to.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "host/host.h"
#include "host/linux.h"

#define FEATURES (UFFD_FEATURE_SIGBUS | UFFD_FEATURE_MISSING_SHMEM | UFFD_FEATURE_MINOR_SHMEM | \
                  UFFD_FEATURE_WP_HUGETLBFS_SHMEM | UFFD_FEATURE_PAGEFAULT_FLAG_WP)
#define FEATURES_ASYNC (UFFD_FEATURE_WP_UNPOPULATED | UFFD_FEATURE_WP_ASYNC)
#define MODES (UFFDIO_REGISTER_MODE_MISSING | UFFDIO_REGISTER_MODE_MINOR | UFFDIO_REGISTER_MODE_WP)
#define RUNS 128 /* runs a scan call; bounds the stack */

/* ---- opening -------------------------------------------------------------------------------- */

static int open_how(int how)
{
	int flags = O_CLOEXEC | O_NONBLOCK;
	int dev, fd;

	if (how == 1 || how == 2) {
		fd = (int)syscall(SYS_userfaultfd, how == 1 ? flags : flags | UFFD_USER_MODE_ONLY);
		return fd < 0 ? -errno : fd;
	}
	dev = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);
	if (dev < 0)
		return -errno;
	fd = ioctl(dev, USERFAULTFD_IOC_NEW, flags);
	if (fd < 0)
		fd = -errno;
	close(dev);
	return fd;
}

/* The system call's refusal is what is reported: the device is the way of last resort. */
static int open_any(int *how)
{
	int first = 0;

	for (*how = 1; *how <= 3; ++*how) {
		int fd = open_how(*how);

		if (fd >= 0)
			return fd;
		if (*how == 1)
			first = fd;
	}
	*how = 0;
	return first;
}

static int scan_fd(void);

int host_uffd_open(bool async, int *how)
{
	struct uffdio_api api = { .api = UFFD_API, .features = FEATURES };
	int kept = errno;
	int by = 0;
	int fd, err = 0;

	if (async)
		api.features |= FEATURES_ASYNC;
	fd = open_any(&by);
	if (fd >= 0) {
		if (ioctl(fd, UFFDIO_API, &api))
			err = errno == EINVAL ? -ENOSYS : -errno;
		else if (async)
			err = scan_fd();
		if (err < 0) {
			close(fd);
			fd = err;
			by = 0;
		}
	}
	if (how)
		*how = by;
	errno = kept;
	return fd;
}

/* ---- mapping -------------------------------------------------------------------------------- */

/* EAGAIN: the address space is just changing (a fork, a mapping); it passes. */
static int protect(int uffd, unsigned long addr, size_t len, bool on)
{
	struct uffdio_writeprotect wp = {
		.range = { addr, len },
		.mode = on ? UFFDIO_WRITEPROTECT_MODE_WP : 0,
	};

	while (ioctl(uffd, UFFDIO_WRITEPROTECT, &wp)) {
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
		host_yield();
	}
	return 0;
}

/* Asks the kernel, which refuses to scan a range that is not asynchronous: no second truth here. */
static bool is_async(unsigned long addr)
{
	struct page_region run;
	struct pm_scan_arg scan = {
		.size = sizeof(scan),
		.flags = PM_SCAN_WP_MATCHING | PM_SCAN_CHECK_WPASYNC,
		.start = addr,
		.end = addr + HOST_PAGE,
		.vec = (uintptr_t)&run,
		.vec_len = 1,
		.category_mask = PAGE_IS_WRITTEN,
		.return_mask = PAGE_IS_WRITTEN,
	};
	int fd = scan_fd();

	return fd >= 0 && ioctl(fd, PAGEMAP_SCAN, &scan) >= 0;
}

/* In this order: a thread that touches the range meanwhile gets SIGSEGV, never an unarmed page. */
static int arm(int uffd, unsigned long addr, size_t len, int prot)
{
	struct uffdio_register reg = { .range = { addr, len }, .mode = MODES };
	void *p = (void *)addr;
	int err;

	if (ioctl(uffd, UFFDIO_REGISTER, &reg))
		return -errno;
	if (madvise(p, len, MADV_DONTFORK))
		return -errno;
	/* a hint: a huge translation would have to be split at the first protect */
	madvise(p, len, MADV_NOHUGEPAGE);
	/*
	 * All of an asynchronous window is marked now.  What has no mark counts as written, even
	 * without a translation: the kernel drops those under memory pressure, and stores would be
	 * lost.  Costs 2 MiB of page tables and 5 to 11 ms a GiB.
	 */
	if (is_async(addr)) {
		err = protect(uffd, addr, len, true);
		if (err)
			return err;
	}
	return prot != PROT_NONE && mprotect(p, len, prot) ? -errno : 0;
}

long host_window_map(int uffd, int memfd, unsigned long addr, size_t len, uint64_t off, int prot)
{
	int flags = MAP_SHARED | MAP_NORESERVE | (addr ? MAP_FIXED_NOREPLACE : 0);
	int kept = errno;
	long result;
	void *p;

	if (host_fail())
		return -ENOMEM;
	p = mmap((void *)addr, len, PROT_NONE, flags, memfd, (off_t)off);
	if (p == MAP_FAILED) {
		result = -errno;
	} else if (addr && (unsigned long)p != addr) {
		/* a kernel that takes the address for a hint */
		munmap(p, len);
		result = -EEXIST;
	} else {
		result = arm(uffd, (unsigned long)p, len, prot);
		if (result)
			munmap(p, len);
		else
			result = (long)p;
	}
	errno = kept;
	return result;
}

int host_window_unmap(unsigned long addr, size_t len)
{
	int kept = errno;
	int err = munmap((void *)addr, len) ? -errno : 0;

	errno = kept;
	return err;
}

int host_window_mprotect(unsigned long addr, size_t len, int prot)
{
	int kept = errno;
	int err = mprotect((void *)addr, len, prot) ? -errno : 0;

	errno = kept;
	return err;
}

/* ---- translations --------------------------------------------------------------------------- */

/* One call's worth: bytes that are done now, or -errno. */
static int64_t install_some(int uffd, unsigned long addr, size_t len, bool writable)
{
	struct uffdio_continue c = {
		.range = { addr, len },
		.mode = writable ? 0 : UFFDIO_CONTINUE_MODE_WP,
	};
	int err;

	if (!ioctl(uffd, UFFDIO_CONTINUE, &c))
		return (int64_t)len;
	if (errno == EAGAIN || errno == EINTR) {
		if (c.mapped > 0)
			return c.mapped;
		host_yield();
		return 0;
	}
	if (errno != EEXIST)
		return -errno;
	/* the first page is mapped already */
	err = writable ? protect(uffd, addr, HOST_PAGE, false) : 0;
	return err ? err : (int64_t)HOST_PAGE;
}

int host_window_install(int uffd, unsigned long addr, size_t len, bool writable)
{
	int kept = errno;
	size_t done = 0;
	int err = 0;

	while (!err && done < len) {
		int64_t n = install_some(uffd, addr + done, len - done, writable);

		if (n < 0)
			err = (int)n;
		else
			done += (size_t)n;
	}
	errno = kept;
	return err;
}

int host_window_protect(int uffd, unsigned long addr, size_t len, bool on)
{
	int kept = errno;
	int err = protect(uffd, addr, len, on);

	errno = kept;
	return err;
}

int host_window_drop(unsigned long addr, size_t len)
{
	int kept = errno;
	int err;

	do
		err = madvise((void *)addr, len, MADV_DONTNEED) ? -errno : 0;
	while (err == -EINTR || err == -EAGAIN);
	/* mlockall() locked the window: its translations may go all the same. */
	if (err == -EINVAL)
		err = madvise((void *)addr, len, MADV_DONTNEED_LOCKED) ? -errno : 0;
	errno = kept;
	return err;
}

/* ---- scanning ------------------------------------------------------------------------------- */

static _Atomic int pagemap = -1;

/* An open pagemap shows the process that opened it: of no use to the child. */
static void forget_pagemap(void)
{
	/* relaxed: a forked child has one thread */
	host_close(atomic_exchange_explicit(&pagemap, -1, memory_order_relaxed));
}

/* The descriptor, opened once, or -errno. */
static int scan_fd(void)
{
	/* relaxed: a descriptor is a number, nothing is read through it */
	int fd = atomic_load_explicit(&pagemap, memory_order_relaxed);
	int none = -1;
	int err;

	if (fd >= 0)
		return fd;
	err = host_at_fork_child(forget_pagemap);
	if (err)
		return err;
	fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (atomic_compare_exchange_strong_explicit(&pagemap, &none, fd, memory_order_relaxed,
	                                            memory_order_relaxed))
		return fd;
	close(fd);
	return none;
}

int host_window_scan(unsigned long addr, size_t len, void (*hit)(void *, unsigned long, size_t),
                     void *arg)
{
	struct page_region run[RUNS];
	struct pm_scan_arg scan = {
		.size = sizeof(scan),
		.flags = PM_SCAN_WP_MATCHING | PM_SCAN_CHECK_WPASYNC,
		.start = addr,
		.end = addr + len,
		.vec = (uintptr_t)run,
		.vec_len = RUNS,
		.category_mask = PAGE_IS_WRITTEN,
		.return_mask = PAGE_IS_WRITTEN,
	};
	int kept = errno;
	int fd = scan_fd();
	int n = 0, err = fd < 0 ? fd : 0;

	while (!err && scan.start < scan.end) {
		n = ioctl(fd, PAGEMAP_SCAN, &scan);
		if (n < 0 && errno != EINTR && errno != EAGAIN)
			err = -errno;
		for (int i = 0; i < n; i++)
			hit(arg, run[i].start, run[i].end - run[i].start);
		if (n >= 0)
			scan.start = scan.walk_end;
	}
	errno = kept;
	return err;
}
