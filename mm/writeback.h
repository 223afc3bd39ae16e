/* SPDX-License-Identifier: MIT */
/*
 * writeback.h - commit and checkpoint (decision D11, steps 3 and 4): the only code that writes a file.
 *
 *   commit      claims each page of the cut; journal, flush: the commit point; then home
 *   checkpoint  flushes the file and empties the journal
 */
#ifndef PINFOLD_WRITEBACK_H
#define PINFOLD_WRITEBACK_H

#include "mm/cut.h"
#include "mm/journal.h"

/* As the public calls in pinfold.h; the arguments are checked. */
int writeback_commit(struct address_space *mapping, int64_t cut, struct pinfold_report *report);
int writeback_checkpoint(struct address_space *mapping);

/* For reclaim: if pages of some file are committed but not flushed, flushes one such file: DONE, they
 * are clean now.  Never waits for a commit in progress: BUSY, that one may make pages clean. */
enum relief { RELIEF_NOTHING, RELIEF_BUSY, RELIEF_DONE };
enum relief writeback_relieve(struct pinfold *m);

/* For close: no cut may be open (-EBUSY).  Forgets what is dirty. */
int writeback_discard(struct address_space *mapping);

#endif
