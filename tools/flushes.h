/* SPDX-License-Identifier: MIT */
/*
 * flushes.h - counts the calls of this process that wait for the disk.
 */
#ifndef TOOLS_FLUSHES_H
#define TOOLS_FLUSHES_H

#include <stdint.h>

/* fsync, fdatasync, msync, and writes through a descriptor with O_SYNC or O_DSYNC, so far. */
uint64_t flushes_counted(void);

#endif
