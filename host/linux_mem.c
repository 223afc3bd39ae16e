/* SPDX-License-Identifier: MIT */
/*
 * linux_mem.c - memory from the kernel: private mappings and memory files.
 *
 * A memory file is allocated by fallocate, never by a store: a store into a hole of a full system
 * is a SIGBUS inside the library, a failed fallocate is an error code.
 */
#include <errno.h>
#include <string.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "host/host.h"
#include "host/linux.h"

#define ALIGN (2ul << 20)

void *host_map(size_t len)
{
	int kept = errno;
	void *p;

	if (host_fail())
		return NULL;
	p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
	         -1, 0);
	/* Page records and tables, met in any order: a miss of the TLB each.  A hint. */
	if (p != MAP_FAILED && len >= ALIGN)
		madvise(p, len, MADV_HUGEPAGE);
	errno = kept;
	return p == MAP_FAILED ? NULL : p;
}

void host_unmap(void *p, size_t len)
{
	int kept = errno;

	if (p)
		munmap(p, len);
	errno = kept;
}

/* vm.memfd_noexec = 2 refuses one without NOEXEC_SEAL; kernels before 6.3 refuse one with it. */
static int memfd(const char *name)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_NOEXEC_SEAL);

	if (fd < 0 && errno == EINVAL)
		fd = memfd_create(name, MFD_CLOEXEC);
	return fd;
}

int host_memfd(const char *name, size_t len)
{
	int kept = errno;
	int fd, err = 0;

	if (host_fail())
		return -ENOMEM;
	fd = memfd(name);
	if (fd < 0) {
		err = -errno;
	} else if (ftruncate(fd, (off_t)len)) {
		err = -errno;
		close(fd);
	}
	errno = kept;
	return err ? err : fd;
}

void host_close(int fd)
{
	int kept = errno;

	if (fd >= 0)
		close(fd);
	errno = kept;
}

static int allocate(int fd, int mode, uint64_t off, size_t len)
{
	int kept = errno;
	int err;

	do
		err = fallocate(fd, mode, (off_t)off, (off_t)len) ? -errno : 0;
	while (err == -EINTR);
	errno = kept;
	return err;
}

int host_memfd_alloc(int fd, uint64_t off, size_t len)
{
	if (host_fail())
		return -ENOMEM;
	return allocate(fd, 0, off, len);
}

int host_memfd_punch(int fd, uint64_t off, size_t len)
{
	return allocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, off, len);
}

/* Where the file's 2 MiB stretches can be 2 MiB pages. */
static void *map_aligned(int fd, size_t len)
{
	int flags = MAP_SHARED | MAP_NORESERVE, err;
	char *r = mmap(NULL, len + ALIGN, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	char *p, *end = r + len + ALIGN;

	if (r == MAP_FAILED)
		return MAP_FAILED;
	p = (char *)(((uintptr_t)r + ALIGN - 1) & ~(ALIGN - 1));
	err = mmap(p, len, PROT_READ | PROT_WRITE, flags | MAP_FIXED, fd, 0) == MAP_FAILED;
	if (err)
		munmap(r, len + ALIGN);
	if (!err && p > r)
		munmap(r, (size_t)(p - r));
	len = (len + HOST_PAGE - 1) & ~(HOST_PAGE - 1);
	if (!err && p + len < end)
		munmap(p + len, (size_t)(end - (p + len)));
	return err ? MAP_FAILED : p;
}

void *host_memfd_map(int fd, size_t len)
{
	int kept = errno;
	void *p;

	if (host_fail())
		return NULL;
	p = map_aligned(fd, len);
	if (p != MAP_FAILED && madvise(p, len, MADV_DONTFORK)) {
		munmap(p, len);
		p = MAP_FAILED;
	}
	errno = kept;
	return p == MAP_FAILED ? NULL : p;
}

void host_collapse(void *p, size_t len)
{
	int kept = errno;

	madvise(p, len, MADV_COLLAPSE);
	errno = kept;
}

int host_read_text(const char *path, char *buf, size_t size)
{
	int kept = errno;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = 0;
	size_t have = 0;
	int err = 0;

	buf[0] = '\0';
	if (fd < 0) {
		err = -errno;
		errno = kept;
		return err;
	}
	while (have < size - 1 && (n = read(fd, buf + have, size - 1 - have)) > 0)
		have += (size_t)n;
	if (n < 0)
		err = -errno;
	buf[have] = '\0';
	close(fd);
	errno = kept;
	return err ? err : (int)have;
}

#ifdef __SANITIZE_THREAD__
/* Not memcpy(), which the sanitizer replaces, nor a loop that the compiler makes one of. */
__attribute__((no_sanitize("thread"), optimize("no-tree-loop-distribute-patterns")))
void host_copy_shared(void *to, const void *from, size_t n)
{
	const volatile unsigned char *f = from;
	volatile unsigned char *t = to;

	while (n--)
		*t++ = *f++;
}
#else
void host_copy_shared(void *to, const void *from, size_t n)
{
	memcpy(to, from, n);
}
#endif
