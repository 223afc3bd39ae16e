/* SPDX-License-Identifier: MIT */
/*
 * mmap.h - changes to an mm's mappings.  All of it takes the mmap lock for writing itself.  Whole
 * mappings only: a range that cuts one is refused before anything changes.
 */
#ifndef PINFOLD_MMAP_H
#define PINFOLD_MMAP_H

#include "mm/rmap.h"

struct mmap_request {
	struct mm_struct *mm;
	struct address_space *mapping;
	unsigned long addr;
	size_t len;
	int prot, flags;
	uint64_t offset;
};

/* The address, or -errno as vm_mmap().  Does not populate. */
long do_mmap(struct mmap_request *rq);
int do_munmap(struct mm_struct *mm, unsigned long addr, size_t len);
int do_mprotect(struct mm_struct *mm, unsigned long addr, size_t len, int prot);
/* MADV_DONTNEED. */
int do_dontneed(struct mm_struct *mm, unsigned long addr, size_t len);

/* addr and len are page-aligned (len is rounded up), not empty, do not wrap, lie in user space. */
int range_check(unsigned long addr, size_t *len);

#endif
