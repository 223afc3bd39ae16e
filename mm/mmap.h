/* SPDX-License-Identifier: MIT */
/*
 * mmap.h - changes to an mm's mappings.  All of it takes the mmap lock for writing itself.  Mappings are split where a
 * range cuts them, and what can fail is done before anything changes.
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
/* Sets and clears VM_* flags. */
int do_madvise_flags(struct mm_struct *mm, unsigned long addr, size_t len, unsigned set, unsigned clear);

/* For mremap and fork, under the lock.  Whether all of [start, end) could be mapped now; a free place (0: none). */
bool place_ok(const struct mm_struct *mm, unsigned long start, unsigned long end);
/* A place that the caller names: 0, -EINVAL, -ENOMEM. */
int place_check(const struct mm_struct *mm, unsigned long addr, size_t len);
/* Sees to it that mappings and 2 MiB slots end at addr.  0, or -ENOMEM. */
int split_at(struct mm_struct *mm, unsigned long addr);
/* Unmaps a range that split_at() and zap_prepare() have been asked about. */
void unmap_range(struct mm_struct *mm, unsigned long start, unsigned long end);
/* Both of these for a range, and what was there unmapped.  0, or -ENOMEM and nothing changed. */
int unmap_checked(struct mm_struct *mm, unsigned long start, unsigned long end);
/* A direct window for a VMA that has mapping, prot and pgoff: at addr, or anywhere (0).  The address, or -errno. */
long direct_window_map(struct vm_area_struct *vma, unsigned long addr, size_t len);

/* addr and len are page-aligned (len is rounded up), not empty, do not wrap, lie in user space. */
int range_check(unsigned long addr, size_t *len);

#endif
