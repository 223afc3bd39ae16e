/* SPDX-License-Identifier: MIT */
/*
 * writeback.h - freeze, commit, checkpoint (decision D11): the only code that writes to a file.
 *
 *   freeze      drains the write sections, protects the dirty set, moves it into the cut
 *   commit      claims each page of the cut, journal, flush: the commit point; then home
 *   checkpoint  flushes the file and empties the journal
 *
 * The state of a file's cut, and who moves it:
 *
 *   NONE --freeze--> FREEZING --(protected)--> FROZEN --commit_wait--> WRITING --> NONE
 *                        \--(pins stayed)--> NONE
 *
 * What a write pin means for a page in the cut is one function, page_maybe_write_pinned(): a copy is
 * written and the page stays dirty, so that nothing written through the pin is ever lost.
 */
#ifndef PINFOLD_WRITEBACK_H
#define PINFOLD_WRITEBACK_H

#include "mm/cut.h"
#include "mm/journal.h"
#include "mm/rmap.h"

/* All as the public calls in pinfold.h; the arguments are checked. */
int64_t writeback_freeze(struct address_space *mapping, uint64_t first, uint64_t last);
int writeback_commit(struct address_space *mapping, int64_t cut, struct pinfold_report *report);
int writeback_checkpoint(struct address_space *mapping);

/* Bytes of a machine's batch (struct batch is private). */
size_t writeback_batch_size(void);

/* For reclaim: pages of some file are committed but not flushed; flush one such file.  True: pages
 * may be clean now.  Never waits for a commit in progress. */
bool writeback_relieve(struct pinfold *m);

/* For close: no cut may be open (-EBUSY).  Forgets what is dirty. */
int writeback_discard(struct address_space *mapping);

/* Asynchronous files: what was stored to [start, end) of a window since it was last protected becomes
 * dirty.  The caller sees to it that nobody stores meanwhile, or does not mind. */
void writeback_collect(struct vm_area_struct *vma, unsigned long start, unsigned long end);

#endif
