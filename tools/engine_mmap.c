/* SPDX-License-Identifier: MIT */
/*
 * engine_mmap.c - the store on a plain shared mapping, made durable with msync().
 *
 * There is no freeze: what a commit holds is not fixed, because the kernel may write any page at
 * any time and threads go on storing while msync() runs.  That is what MAP_SHARED promises.
 */
#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

static int mmap_open(struct store *s)
{
	int fd = open(s->path, O_RDWR | O_CLOEXEC), rc = 0;
	void *p;

	if (fd < 0)
		return store_fail(s, -errno, s->path);
	p = mmap(NULL, s->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		rc = store_fail(s, -errno, "mmap");
	close(fd);
	if (rc < 0)
		return rc;
	/* Records are chosen at random: reading around a fault would only cost memory. */
	madvise(p, s->size, MADV_RANDOM);
	s->base = p;
	return 0;
}

static int mmap_commit(struct store *s)
{
	return msync(s->base, s->size, MS_SYNC) < 0 ? store_fail(s, -errno, "msync") : 0;
}

static void mmap_ahead(struct store *s, uint64_t off, uint64_t len)
{
	madvise(s->base + off, len, MADV_WILLNEED);
}

static int mmap_close(struct store *s)
{
	munmap(s->base, s->size);
	s->base = NULL;
	return 0;
}

const struct engine engine_mmap = {
	.name = "mmap+msync",
	.flat = true,
	.create = flat_create,
	.open = mmap_open,
	.commit = mmap_commit,
	.ahead = mmap_ahead,
	.close = mmap_close,
};
