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

/* Tries to free `target` frames of a kind; how many it did.  *pending: a flush made or may be making
 * pages clean, so that another try may find more.  [sig] */
long reclaim_frames(struct pinfold *m, enum frame_kind kind, unsigned long target, bool *pending);
/* How many frames one reclaim should free: enough for several reads ahead, little of the whole. */
unsigned long reclaim_size(const struct pinfold *m, enum frame_kind kind);
/* Sees to it that a read of `want` pages finds frames; takes only pages that are clean and unused.  [sig] */
void reclaim_keep(struct pinfold *m, enum frame_kind kind, unsigned long want);

static inline enum frame_kind mapping_kind(const struct address_space *mapping)
{
	return mapping->memfd >= 0 ? FRAME_DIRECT : FRAME_POOL;
}

/* For close: evicts every page of the file.  The caller has discarded what was dirty, and nobody uses
 * the file or has a page of it pinned. */
void evict_all(struct address_space *mapping);

#endif
