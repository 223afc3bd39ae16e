/* SPDX-License-Identifier: MIT */
/*
 * fs.h - the file systems: each fills in a mapping's operations.  They know files of the host and the
 * mapping's own fields, nothing of mms, pins or commits.
 */
#ifndef PINFOLD_FS_H
#define PINFOLD_FS_H

#include "mm/types.h"

/* Memory only. */
void shmem_init(struct address_space *mapping, uint64_t size);

/*
 * A regular file: opened, locked, its size taken; the journal unless NO_JOURNAL.  Everything else of
 * mapping is set up.  *holder_pid: with -EBUSY, who has it open, or 0.  On error nothing is left.
 */
int hostfs_open(struct address_space *mapping, const char *path,
                const struct pinfold_file_options *opts, int *holder_pid);
/* What an open of path would find in its journal. */
int hostfs_inspect(struct host_disk *disk, const char *path, struct pinfold_journal_info *info);

#endif
