/* SPDX-License-Identifier: MIT */
/*
 * journal.h - the file beside a file that makes a commit whole: path + ".pinfold".
 *
 *     block 0      header: whose journal, who has it open, the number of the first record that counts
 *     blocks 1..   records, one behind the other
 *
 * A record is a descriptor (its number, the file's size, index and checksum of every page) and the
 * pages.  It is written page by page as the committer claims them, the descriptor last, and counts if
 * every checksum is right: so one flush is enough, and a record that a crash cut short is no record.
 * Records follow each other until the room is used up; then (checkpoint) the file itself is flushed,
 * the header says that the next record is the first, and writing goes on behind the header.  The header
 * must be on disk before the room is used again:
 *   1 records 5, 6 are home and flushed         2 record 7 overwrites 5 and a crash cuts it short
 *   3 5's descriptor is intact, its neighbour not: replaying 5 alone would bring old pages back.
 *
 * Replay applies the records in order, flushes the file, and makes the next number the first.
 * The journal knows of files as struct host_file only, and nothing of pages or mappings.
 */
#ifndef PINFOLD_JOURNAL_H
#define PINFOLD_JOURNAL_H

#include "host/host.h"
#include <pinfold/pinfold.h>

#define JOURNAL_SUFFIX ".pinfold"
#define JOURNAL_ROOM_MIN (16ull << 20)
#define JOURNAL_ROOM_MAX (256ull << 20)

struct journal_entry {
	uint64_t index, sum;
};

struct journal {
	struct host_file *file;
	struct host_ring *ring;
	char *block;          /* 4096 bytes for the header */
	uint64_t salt;        /* tells this journal's records from what lay on the disk before */
	uint64_t first, next; /* numbers: the first that counts, the next to write */
	uint64_t want;        /* bytes it should have; less on a full disk, more for a large record */
	uint64_t room;        /* bytes allocated, header and all */
	uint64_t pos;         /* where the next record goes */
	bool unsure;          /* a reset failed: the header on disk may say either number */
	struct host_file_id id;
	int pid;
	/* The record being written. */
	char *desc;           /* descriptor, its room in desc_len */
	size_t desc_len;
	uint64_t pages, done; /* said at begin, added so far */
};

/*
 * Opens or makes the journal of `home` and applies what it holds.  The caller has home's lock; the
 * journal's is taken here, since its writes in flight outlive a killed writer too.
 * j: zero but for ring and want.  0; -EUCLEAN another file's or version's; -EWOULDBLOCK; -ENOMEM; I/O
 * errors.
 */
int journal_open(struct host_disk *disk, const char *path, struct host_file *home, uint64_t deadline,
                 struct journal *j);
/* remove: nothing in it counts, the file goes too. */
void journal_close(struct host_disk *disk, const char *path, struct journal *j, bool remove);

/* Room for a record of n pages?  0; -EAGAIN: checkpoint first; -ENOSPC, -EIO, -ENOMEM. */
int journal_begin(struct journal *j, uint64_t pages, uint64_t file_size);
/* Starts writing the next n of them: addr[i] is the content of file page index[i], io has the same as its
 * iov.  The caller waits for io, and seals when all are there. */
void journal_add(struct journal *j, const uint64_t *index, const struct iovec *addr, unsigned n,
                 struct host_io *io);
/* Descriptor and flush: the commit point.  On error nothing counts and the next record takes its place;
 * *unsure: after a crash now the record may be found whole all the same. */
int journal_seal(struct journal *j, bool *unsure);
/* Where page k of the record sealed last lies, in blocks of 4096; reads such a block. */
uint32_t journal_block_of(const struct journal *j, uint64_t k);
int journal_read_block(struct journal *j, uint32_t block, void *buf);
/* Everything is home and flushed: nothing that was written so far counts any more. */
int journal_reset(struct journal *j);

/* Looks at path's journal without changing anything.  0 or -errno. */
int journal_inspect(struct host_disk *disk, const char *path, struct pinfold_journal_info *info);

/* Tests set it to 1: the flush at the commit point is left out.  They must notice. */
extern int journal_test_skip_flush;
/* Tests make it small. */
extern uint64_t journal_test_room;

#endif
