/* SPDX-License-Identifier: MIT */
/*
 * freeze.h - fixing a cut (decision D11, steps 1 and 2): writers are drained, the dirty set is
 * protected as a whole and moved into the cut, writers go on.
 *
 * What a write pin means for a page of the cut is one question, page_maybe_write_pinned(): a copy will
 * be written and the page stays dirty, so that nothing written through the pin is ever lost.
 */
#ifndef PINFOLD_FREEZE_H
#define PINFOLD_FREEZE_H

#include "mm/cut.h"
#include "mm/rmap.h"

/* As pinfold_freeze(), for file pages first .. last. */
int64_t freeze_file(struct address_space *mapping, uint64_t first, uint64_t last);

/* Asynchronous files: what was stored to [start, end) of a window since it was last protected becomes
 * dirty.  The caller holds i_mmap_lock, else a freeze might see neither the store nor the mark. */
void freeze_collect(struct vm_area_struct *vma, unsigned long start, unsigned long end);

#endif
