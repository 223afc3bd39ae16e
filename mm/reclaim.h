/* SPDX-License-Identifier: MIT */
/*
 * reclaim.h - makes frames free by evicting clean, unpinned pages.
 *
 * Called by entry points that hold at most the mmap lock for reading (D7).  It waits for no page and
 * for no commit: a page that is locked, pinned, dirty, in a cut or not flushed is passed by and
 * counted.  The policy is told in lru.h.
 */
#ifndef PINFOLD_RECLAIM_H
#define PINFOLD_RECLAIM_H

#include "mm/writeback.h"

/* Tries to free `target` frames of a kind; how many it did.  [sig] */
long reclaim_frames(struct pinfold *m, enum frame_kind kind, unsigned long target);

/* For close: evicts every page of the file, dirty or not.  The caller has discarded what was dirty and
 * nobody uses the file.  True: none is left; false: some are pinned or referenced. */
bool evict_all(struct address_space *mapping);

#endif
