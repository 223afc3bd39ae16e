/* SPDX-License-Identifier: MIT */
/* machine.h - making a machine on a given disk: for tests; pinfold_create() takes the system's. */
#ifndef PINFOLD_MACHINE_H
#define PINFOLD_MACHINE_H

#include "mm/types.h"

/* As pinfold_create(); regular files are opened on `disk`, which must outlive the machine. */
int machine_create_on(struct host_disk *disk, const struct pinfold_options *opts, struct pinfold **m);

/* mm_check(): every invariant of the machine at rest; the number of violations. */
int mm_check(struct pinfold *m);

/* sizeof(struct fill), private to filemap.c. */
size_t filemap_fill_size(void);

#endif
