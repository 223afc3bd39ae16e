/* SPDX-License-Identifier: MIT */
/*
 * mremap.h - mappings that grow, shrink and move.  Moving takes slots along, whole page tables where both places lie
 * alike in their 2 MiB stretches: never bytes, and counts do not change, so pins stay on the pages (M3).
 */
#ifndef PINFOLD_MREMAP_H
#define PINFOLD_MREMAP_H

#include "mm/mmap.h"

struct mremap_request {
	struct mm_struct *mm;
	unsigned long addr, new_addr;
	size_t old_len, new_len;
	int flags;
};

/* The address, or -errno as vm_mremap(). */
long do_mremap(struct mremap_request *rq);

#endif
