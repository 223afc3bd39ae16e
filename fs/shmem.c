/* SPDX-License-Identifier: MIT */
/* shmem.c - files that live in frames only: zeroes at first, never evicted, nothing to commit. */
#include "fs/fs.h"

static int no_flush(struct address_space *mapping)
{
	(void)mapping;
	return 0;
}

static int set_size(struct address_space *mapping, uint64_t size)
{
	atomic_store(&mapping->home_size, size);
	return 0;
}

static int64_t get_size(struct address_space *mapping)
{
	return (int64_t)atomic_load(&mapping->home_size);
}

static void nothing(struct address_space *mapping)
{
	(void)mapping;
}

/* Without readv a missing page is zeroes. */
static const struct address_space_operations shmem_ops = {
	.commits = false,
	.flush = no_flush,
	.set_size = set_size,
	.get_size = get_size,
	.release = nothing,
	.child = nothing,
};

void shmem_init(struct address_space *mapping, uint64_t size)
{
	mapping->ops = &shmem_ops;
	atomic_store(&mapping->size, size);
	atomic_store(&mapping->home_size, size);
}
