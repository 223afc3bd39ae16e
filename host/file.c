/* SPDX-License-Identifier: MIT */
/*
 * file.c - the public file calls: each may be made to fail, keeps errno, and goes to its disk.
 *
 * One place for both, so that a disk's own operations need to know about neither.
 */
#include <errno.h>
#include <string.h>
#include <stdlib.h>

#include "host/file.h"

int host_file_open(struct host_disk *disk, const char *path, int flags, unsigned mode,
                   struct host_file **file)
{
	int kept = errno;
	int err;

	if (host_fail())
		return -ENOMEM;
	err = disk->ops->open(disk, path, flags, mode, file);
	errno = kept;
	return err;
}

void host_file_close(struct host_file *file)
{
	int kept = errno;

	if (file)
		file->disk->ops->close(file);
	errno = kept;
}

int host_file_lock(struct host_file *file, uint64_t deadline)
{
	int kept = errno;
	int err;

	if (host_fail())
		return -EIO;
	err = file->disk->ops->lock(file, deadline);
	errno = kept;
	return err;
}

int host_file_ident(struct host_file *file, struct host_file_id *id)
{
	int kept = errno;
	int err;

	if (host_fail())
		return -EIO;
	err = file->disk->ops->ident(file, id);
	errno = kept;
	return err;
}

int64_t host_file_size(struct host_file *file)
{
	int kept = errno;
	int64_t size;

	if (host_fail())
		return -EIO;
	size = file->disk->ops->size(file);
	errno = kept;
	return size;
}

int host_file_truncate(struct host_file *file, uint64_t size)
{
	int kept = errno;
	int err;

	if (host_fail())
		return -EIO;
	err = file->disk->ops->truncate(file, size);
	errno = kept;
	return err;
}

int host_file_alloc(struct host_file *file, uint64_t off, uint64_t len)
{
	int kept = errno;
	int err;

	if (host_fail())
		return -ENOSPC;
	err = file->disk->ops->alloc(file, off, len);
	errno = kept;
	return err;
}

int64_t host_file_readv(struct host_file *file, const struct iovec *iov, int n, uint64_t off)
{
	int kept = errno;
	int64_t got;

	if (host_fail())
		return -EIO;
	got = file->disk->ops->readv(file, iov, n, off);
	errno = kept;
	return got;
}

int64_t host_file_writev(struct host_file *file, const struct iovec *iov, int n, uint64_t off)
{
	int kept = errno;
	int64_t put;

	if (host_fail())
		return -EIO;
	put = file->disk->ops->writev(file, iov, n, off);
	errno = kept;
	return put;
}

int host_file_flush(struct host_file *file)
{
	int kept = errno;
	int err;

	if (host_fail())
		return -EIO;
	err = file->disk->ops->flush(file);
	errno = kept;
	return err;
}

int host_file_flush_dir(struct host_disk *disk, const char *path)
{
	int kept = errno;
	int err;

	if (host_fail())
		return -EIO;
	err = disk->ops->flush_dir(disk, path);
	errno = kept;
	return err;
}

int host_file_unlink(struct host_disk *disk, const char *path)
{
	int kept = errno;
	int err;

	if (host_fail())
		return -EIO;
	err = disk->ops->unlink(disk, path);
	errno = kept;
	return err;
}

void host_file_child(struct host_file *file)
{
	int kept = errno;

	if (file)
		file->disk->ops->child(file);
	errno = kept;
}

int host_file_real_path(struct host_disk *disk, const char *path, char **real)
{
	int kept = errno, err = 0;

	if (host_fail())
		return -ENOMEM;
	*real = disk == &host_system_disk ? realpath(path, NULL) : strdup(path);
	if (!*real)
		err = -errno;
	errno = kept;
	return err;
}
