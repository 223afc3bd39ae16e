/* SPDX-License-Identifier: MIT */
/*
 * flushes.c - stands between LMDB and libc, so that what LMDB flushes is counted and not believed.
 *
 * The program's own definitions of these functions are found before libc's, by shared libraries
 * too. What goes through io_uring is not seen here: pinfold reports its flushes itself.
 */
#include "flushes.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static _Atomic uint64_t counted;

uint64_t flushes_counted(void)
{
	return atomic_load(&counted);
}

int fsync(int fd)
{
	atomic_fetch_add(&counted, 1);
	return (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd)
{
	atomic_fetch_add(&counted, 1);
	return (int)syscall(SYS_fdatasync, fd);
}

int msync(void *addr, size_t len, int flags)
{
	if (flags & MS_SYNC)
		atomic_fetch_add(&counted, 1);
	return (int)syscall(SYS_msync, addr, len, flags);
}

/* LMDB writes its root page through a descriptor with O_DSYNC: that write is a flush, too. */
ssize_t pwrite(int fd, const void *buf, size_t len, off_t off)
{
	if (fcntl(fd, F_GETFL) & (O_DSYNC | O_SYNC))
		atomic_fetch_add(&counted, 1);
	return syscall(SYS_pwrite64, fd, buf, len, off);
}
