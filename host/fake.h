/* SPDX-License-Identifier: MIT */
/*
 * fake.h - a disk in memory for tests: every write, truncate and flush is recorded, operations fail
 * on demand, and the files that a power cut may leave can be rebuilt from the record.
 *
 * Use:  disk = fake_disk_create(seed); pass it to machine_create_on(); run; then for a prefix of the
 * record fake_disk_crash() gives a new disk with what may be there after the cut: everything before
 * the file's last finished flush, and of the later writes a chosen subset, the last ones torn at
 * sectors of 512 bytes.
 */
#ifndef PINFOLD_FAKE_H
#define PINFOLD_FAKE_H

#include "host/host.h"

enum fake_op { FAKE_WRITE, FAKE_TRUNCATE, FAKE_FLUSH, FAKE_UNLINK, FAKE_CREATE };

struct host_disk *fake_disk_create(uint64_t seed);
void fake_disk_destroy(struct host_disk *disk);
/* Number of recorded operations. */
unsigned long fake_disk_ops(struct host_disk *disk);
/* A mark in the record that costs nothing: stored with the current length, for "commit k began". */
void fake_disk_mark(struct host_disk *disk, int kind, uint64_t value);
/* The largest value of marks of this kind among the first `ops` operations; 0 if none. */
uint64_t fake_disk_marked(struct host_disk *disk, int kind, unsigned long ops);
/* A new disk as it may look after a cut behind `ops` operations.  mode 0: all of them arrived; 1: only
 * flushed ones; 2: a subset of the unflushed chosen by seed, each whole or torn. */
struct host_disk *fake_disk_crash(struct host_disk *disk, unsigned long ops, int mode, uint64_t seed);
/* The nth next operation (of the kinds in mask, 1 << fake_op, reads: 1 << 8) fails with err, and with
 * forever all that follow too.  0: off. */
void fake_disk_fail(struct host_disk *disk, unsigned mask, unsigned long nth, int err, bool forever);
/* Room in bytes for all files together; a write or allocation beyond is -ENOSPC.  0: no limit. */
void fake_disk_limit(struct host_disk *disk, uint64_t bytes);
/* Direct looks, unrecorded. */
int64_t fake_disk_read(struct host_disk *disk, const char *path, void *buf, size_t len, uint64_t off);
int64_t fake_disk_file_size(struct host_disk *disk, const char *path);
int fake_disk_shorten(struct host_disk *disk, const char *path, uint64_t size);

#endif
