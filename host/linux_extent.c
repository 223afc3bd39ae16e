/* SPDX-License-Identifier: MIT */
/*
 * linux_extent.c - extent windows: a reservation that faults, and pieces of memory files mapped into it.
 *
 * The reservation is private, anonymous, without any right and without swap reserved: it costs one mapping and
 * no memory.  A piece is MAP_FIXED over it; clearing is a piece of reservation again, which the kernel merges with its
 * neighbours.  MADV_DONTFORK would be lost at each MAP_FIXED: so fork's child unmaps the whole stretch.
 */
#include <errno.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "host/host.h"
#include "host/linux.h"

#define RESERVED (MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE)

/*
 * Not mmap(): a sanitizer's is a write to the whole range, and would be one beside the application's stores.  What is
 * changed here is a translation; what keeps it apart from the accesses through it is the kernel.
 */
static int map_at(unsigned long addr, size_t len, int prot, int flags, int fd, uint64_t off)
{
	int kept = errno;
	int err = syscall(SYS_mmap, addr, len, prot, flags | MAP_FIXED, fd, (off_t)off) == -1 ? -errno : 0;

	errno = kept;
	return err;
}

long host_extent_reserve(size_t len, size_t align)
{
	int kept = errno;
	long result = -ENOMEM;
	char *p, *start;

	if (host_fail())
		return -ENOMEM;
	p = mmap(NULL, len + align, PROT_NONE, RESERVED, -1, 0);
	if (p != MAP_FAILED) {
		start = (char *)(((uintptr_t)p + align - 1) & ~(align - 1));
		if (start > p)
			munmap(p, (size_t)(start - p));
		if (start + len < p + len + align)
			munmap(start + len, (size_t)(p + len + align - (start + len)));
		result = (long)start;
	}
	errno = kept;
	return result;
}

int host_extent_map(unsigned long addr, size_t len, int fd, uint64_t off, bool writable)
{
	if (host_fail())
		return -ENOMEM;
	return map_at(addr, len, PROT_READ | (writable ? PROT_WRITE : 0), MAP_SHARED | MAP_NORESERVE, fd, off);
}

int host_extent_zeroes(unsigned long addr, size_t len)
{
	if (host_fail())
		return -ENOMEM;
	return map_at(addr, len, PROT_READ, RESERVED, -1, 0);
}

int host_extent_protect(unsigned long addr, size_t len, bool writable)
{
	return host_window_mprotect(addr, len, PROT_READ | (writable ? PROT_WRITE : 0));
}

int host_extent_clear(unsigned long addr, size_t len)
{
	return map_at(addr, len, PROT_NONE, RESERVED, -1, 0);
}

int host_extent_forbid(unsigned long addr, size_t len)
{
	return host_window_mprotect(addr, len, PROT_NONE);
}
