/* SPDX-License-Identifier: MIT */
/*
 * hostfs.c - regular files of the host.
 *
 * The order at open: the file, its lock, then the journal (which applies what a crash left) and only
 * then the size.  The lock belongs to the open file that the I/O uses, so that a killed writer's
 * requests in flight are over before anybody replays [M stale_io.c].
 */
#include "fs/fs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mm/journal.h"

struct hostfs {
	struct host_file *file;
	char *journal_path;
	struct journal journal;
};

static struct hostfs *fs_of(struct address_space *mapping)
{
	return mapping->fs;
}

static int64_t hostfs_readv(struct address_space *mapping, const struct iovec *iov, int n,
                            uint64_t off)
{
	return host_file_readv(fs_of(mapping)->file, iov, n, off);
}

static void hostfs_submit(struct address_space *mapping, struct host_io *ios, int n)
{
	for (int i = 0; i < n; i++)
		ios[i].file = fs_of(mapping)->file;
	host_ring_submit(mapping->machine->ring, ios, n);
}

static int hostfs_flush(struct address_space *mapping)
{
	return host_file_flush(fs_of(mapping)->file);
}

static int hostfs_set_size(struct address_space *mapping, uint64_t size)
{
	return host_file_truncate(fs_of(mapping)->file, size);
}

static int64_t hostfs_get_size(struct address_space *mapping)
{
	return host_file_size(fs_of(mapping)->file);
}

static void free_fs(struct hostfs *fs)
{
	free(fs->journal_path);
	free(fs);
}

static void hostfs_release(struct address_space *mapping)
{
	struct hostfs *fs = fs_of(mapping);
	struct journal *j = &fs->journal;

	/* The child of a fork from here on must not look at what is being freed. */
	mapping->fs = NULL;
	/* Emptied by the last checkpoint: the file stands alone again. */
	if (mapping->journal)
		journal_close(mapping->machine->disk, fs->journal_path, j, j->first == j->next);
	host_file_close(fs->file);
	free_fs(fs);
	mapping->journal = NULL;
}

static void hostfs_child(struct address_space *mapping)
{
	struct hostfs *fs = fs_of(mapping);

	if (!fs)
		return;
	host_file_child(fs->file);
	if (fs->journal.file)
		host_file_child(fs->journal.file);
}

static const struct address_space_operations hostfs_ops = {
	.commits = true,
	.readv = hostfs_readv,
	.submit = hostfs_submit,
	.flush = hostfs_flush,
	.set_size = hostfs_set_size,
	.get_size = hostfs_get_size,
	.release = hostfs_release,
	.child = hostfs_child,
};

/* The journal's name, from malloc: beside the file itself, by whatever path it was opened. */
static int journal_path(struct host_disk *disk, const char *path, char **name)
{
	char *real, *p = NULL;
	int r = host_file_real_path(disk, path, &real);
	size_t n;

	if (r)
		return r;
	n = strlen(real);
	if (!host_fail())
		p = realloc(real, n + sizeof(JOURNAL_SUFFIX));
	if (!p) {
		free(real);
		return -ENOMEM;
	}
	memcpy(p + n, JOURNAL_SUFFIX, sizeof(JOURNAL_SUFFIX));
	*name = p;
	return 0;
}

int hostfs_inspect(struct host_disk *disk, const char *path, struct pinfold_journal_info *info)
{
	char *p = NULL;
	int r = journal_path(disk, path, &p);

	if (!r)
		r = journal_inspect(disk, p, info);
	free(p);
	return r;
}

static int who_holds(struct host_disk *disk, const char *path)
{
	struct pinfold_journal_info info = { .size = sizeof(info) };

	return hostfs_inspect(disk, path, &info) ? 0 : info.holder_pid;
}

/*
 * A checkpoint costs two flushes and comes when the room is used up: rarely is better.  But pages that
 * wait for it cannot be evicted: half of the memory at most.
 */
static uint64_t journal_room(const struct pinfold *m)
{
	uint64_t room = (m->opts.memory / 2) & PAGE_MASK;

	return room < JOURNAL_ROOM_MIN ? JOURNAL_ROOM_MIN : room > JOURNAL_ROOM_MAX ? JOURNAL_ROOM_MAX :
	                                                                            room;
}

/* A file without a journal may have one from an earlier open: what it holds is committed. */
static int settle_journal(struct address_space *mapping, struct hostfs *fs, const char *path,
                          uint64_t deadline)
{
	struct host_disk *disk = mapping->machine->disk;
	struct pinfold_journal_info info = { .size = sizeof(info) };
	int r;

	if (mapping->flags & PINFOLD_FILE_NO_JOURNAL) {
		r = hostfs_inspect(disk, path, &info);
		if (r || !info.commits)
			return r;
	}
	fs->journal.ring = mapping->machine->ring;
	fs->journal.want = journal_room(mapping->machine);
	r = journal_open(disk, fs->journal_path, fs->file, deadline, &fs->journal);
	if (!r && (mapping->flags & PINFOLD_FILE_NO_JOURNAL))
		journal_close(disk, fs->journal_path, &fs->journal, true);
	return r == -EWOULDBLOCK ? -EBUSY : r;
}

/* The file is open: lock, journal, size. */
static int hostfs_start(struct address_space *mapping, struct hostfs *fs, const char *path,
                        uint64_t deadline, int *holder_pid)
{
	struct pinfold *m = mapping->machine;
	int r = host_file_lock(fs->file, deadline);
	int64_t size;

	if (r == -EWOULDBLOCK) {
		*holder_pid = who_holds(m->disk, path);
		return -EBUSY;
	}
	if (!r)
		r = settle_journal(mapping, fs, path, deadline);
	if (r)
		return r;
	size = host_file_size(fs->file);
	if (size < 0)
		return (int)size;
	atomic_store(&mapping->size, (uint64_t)size);
	atomic_store(&mapping->home_size, (uint64_t)size);
	mapping->committed_size = (uint64_t)size;
	return 0;
}

int hostfs_open(struct address_space *mapping, const char *path,
                const struct pinfold_file_options *opts, int *holder_pid)
{
	uint64_t deadline = opts->open_wait_ms ? host_now() + opts->open_wait_ms * 1000000ull : 0;
	struct host_disk *disk = mapping->machine->disk;
	struct hostfs *fs = host_fail() ? NULL : calloc(1, sizeof(*fs));
	int flags = 0, r;

	if (!fs)
		return -ENOMEM;
	if (opts->flags & PINFOLD_FILE_CREATE)
		flags |= HOST_OPEN_CREATE;
	if (opts->flags & PINFOLD_FILE_NO_ODIRECT)
		flags |= HOST_OPEN_NO_ODIRECT;
	r = host_file_open(disk, path, flags, opts->mode ? opts->mode : 0600, &fs->file);
	if (!r) {
		r = journal_path(disk, path, &fs->journal_path);
		if (!r)
			r = hostfs_start(mapping, fs, path, deadline, holder_pid);
		if (r) {
			if (fs->journal.file)
				journal_close(disk, fs->journal_path, &fs->journal, false);
			host_file_close(fs->file);
		}
	}
	if (r) {
		free_fs(fs);
		return r;
	}
	mapping->fs = fs;
	mapping->ops = &hostfs_ops;
	mapping->journal = fs->journal.file ? &fs->journal : NULL;
	return 0;
}
