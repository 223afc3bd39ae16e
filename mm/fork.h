/* SPDX-License-Identifier: MIT */
/*
 * fork.h - dup_mmap(): a snapshot of an mm (decision D12).
 *
 * Page tables are shared until somebody wants to change one.  A table that shows pinned pages, or pages of files, or
 * memory that the new mm is not to have, is gone through slot by slot: pinned pages are copied, the others shared.
 */
#ifndef PINFOLD_FORK_H
#define PINFOLD_FORK_H

#include "mm/mmap.h"

/* As dup_mmap(), but for the arguments' checks.  mm is empty on error. */
int do_dup_mmap(struct mm_struct *mm, struct mm_struct *old);

#endif
