/* SPDX-License-Identifier: MIT */
/*
 * file.h - how a kind of disk plugs into the host's file calls; for host/ only.
 *
 * file.c holds the public host_file_* calls: they ask host_fail(), keep errno, and go through the
 * disk's operations.  linux_file.c and fake.c each provide one table.
 */
#ifndef PINFOLD_HOST_FILE_H
#define PINFOLD_HOST_FILE_H

#include "host/host.h"

struct host_disk {
	const struct host_disk_ops *ops;
};

struct host_file {
	struct host_disk *disk;
	int fd;        /* the locked descriptor, for the ring; -1: no ring, done in the call */
	bool odirect;  /* fd was opened with O_DIRECT: aligned requests only go to the ring */
};

/* As the host_file_* calls of the same name in host.h. */
struct host_disk_ops {
	int (*open)(struct host_disk *, const char *, int flags, unsigned mode, struct host_file **);
	void (*close)(struct host_file *);
	int (*lock)(struct host_file *, uint64_t deadline);
	int (*ident)(struct host_file *, struct host_file_id *);
	int64_t (*size)(struct host_file *);
	int (*truncate)(struct host_file *, uint64_t);
	int (*alloc)(struct host_file *, uint64_t off, uint64_t len);
	int64_t (*readv)(struct host_file *, const struct iovec *, int, uint64_t);
	int64_t (*writev)(struct host_file *, const struct iovec *, int, uint64_t);
	int (*flush)(struct host_file *);
	int (*flush_dir)(struct host_disk *, const char *path);
	int (*unlink)(struct host_disk *, const char *path);
	void (*child)(struct host_file *); /* in a forked child: close the descriptors */
};


#endif
