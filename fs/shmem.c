/* SPDX-License-Identifier: MIT */
/* shmem.c - files that live in frames only: zeroes at first, never evicted, nothing to commit. */
#include "fs/fs.h"
#include "mm/filemap.h"

void shmem_init(struct address_space *mapping, uint64_t size)
{
	mapping->ops = &memory_ops;
	atomic_store(&mapping->size, size);
	atomic_store(&mapping->home_size, size);
}
