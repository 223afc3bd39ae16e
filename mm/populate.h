/* SPDX-License-Identifier: MIT */
/* populate.h - bringing whole ranges in: MAP_POPULATE, MADV_WILLNEED, pinfold_prefetch(). */
#ifndef PINFOLD_POPULATE_H
#define PINFOLD_POPULATE_H

#include "mm/gup.h"

/* Sets the slots of [start, start + len) for reading, and in a window the translations; stops at the
 * first page that cannot be had.  No lock held.  Pages populated. */
long mm_populate(struct mm_struct *mm, unsigned long start, size_t len);

#endif
