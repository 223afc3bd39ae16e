/* SPDX-License-Identifier: MIT */
/*
 * linux_file.c - the system's files.
 *
 * Each file has up to two open descriptions: one past the kernel's page cache (O_DIRECT) for
 * aligned requests, and one through it for the rest.  Without O_DIRECT both are one.  The lock is
 * flock on the description that io_uring uses: a killed process's requests hold it until they have
 * landed.  The other one needs none, as its requests are system calls, which end before the process
 * does.
 *
 * A forked child closes them all, those too that a thread was just opening: a description that it kept
 * would keep the lock when this process is killed.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "host/file.h"
#include "host/linux.h"

#define PART 32 /* iovec entries a system call; bounds the stack */
#define LOCK_POLL_NS 2000000

struct linux_file {
	struct host_file base;
	int cached; /* the description through the page cache; may be base.fd */
	_Atomic bool used;
	struct linux_file *next; /* constant once it is on the list */
};

/* Every one there ever was: a child can walk the list whatever the other threads were doing to it. */
static struct linux_file *_Atomic files;
static _Atomic unsigned forks; /* begun */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static int once_err;

static struct linux_file *linux_file(struct host_file *file)
{
	return (struct linux_file *)file;
}

static void close_descriptors(struct linux_file *f)
{
	int fd = f->base.fd, cached = f->cached;

	/* Forgotten first: a fork in between must not find a number that is another's by now. */
	f->base.fd = f->cached = -1;
	if (fd >= 0)
		close(fd);
	if (cached >= 0 && cached != fd)
		close(cached);
}

/* ---- forks ---------------------------------------------------------------------------------- */

static void before_fork(void)
{
	atomic_fetch_add(&forks, 1);
}

/* No unlock here: it would take the parent's lock away. */
static void in_child(void)
{
	for (struct linux_file *f = atomic_load(&files); f; f = f->next)
		close_descriptors(f);
}

static void watch_forks(void)
{
	once_err = pthread_atfork(before_fork, NULL, in_child);
}

/* One that is not used, without descriptors; or NULL. */
static struct linux_file *file_new(void)
{
	struct linux_file *f;

	pthread_once(&once, watch_forks);
	if (once_err)
		return NULL;
	for (f = atomic_load(&files); f; f = f->next) {
		bool used = false;

		if (atomic_compare_exchange_strong(&f->used, &used, true))
			return f;
	}
	f = calloc(1, sizeof(*f));
	if (!f)
		return NULL;
	f->base.fd = f->cached = -1;
	atomic_init(&f->used, true);
	f->next = atomic_load(&files);
	while (!atomic_compare_exchange_weak(&files, &f->next, f))
		;
	return f;
}

/* ---- opening -------------------------------------------------------------------------------- */

/* Everything that says "not a file you may write" is one error to the caller. */
static int open_error(int err)
{
	switch (err) {
	case EPERM:
	case EROFS:
	case EISDIR:
	case ENXIO:
	case ENODEV:
		return -EACCES;
	}
	return -err;
}

/* O_NONBLOCK, as opening a FIFO would wait; taken off again, as io_uring honours it on files. */
static int open_regular(const char *path, int flags, unsigned mode)
{
	struct stat st;
	int fd = open(path, flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, (mode_t)mode);
	int err = 0;

	if (fd < 0)
		return open_error(errno);
	if (fstat(fd, &st))
		err = -errno;
	else if (!S_ISREG(st.st_mode))
		err = -EACCES;
	else if (fcntl(fd, F_SETFL, flags & O_DIRECT))
		err = -errno;
	if (err)
		close(fd);
	return err ? err : fd;
}

static bool same_file(int a, int b)
{
	struct stat x, y;

	return !fstat(a, &x) && !fstat(b, &y) && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* Does page alignment do for direct I/O?  A system that does not tell is tried. */
static bool page_alignment_does(int fd)
{
	struct statx sx;

	memset(&sx, 0, sizeof(sx));
	if (statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &sx) || !(sx.stx_mask & STATX_DIOALIGN))
		return true;
	return sx.stx_dio_mem_align && sx.stx_dio_mem_align <= HOST_PAGE &&
	       sx.stx_dio_offset_align && sx.stx_dio_offset_align <= HOST_PAGE;
}

/* A second description of the file behind `cached`; -1: the file system does not take O_DIRECT. */
static int open_direct(const char *path, int flags, int cached)
{
	int fd = open_regular(path, (flags & O_ACCMODE) | O_DIRECT, 0);

	if (fd < 0)
		return -1;
	/* the path may name another file by now */
	if (same_file(fd, cached) && page_alignment_does(fd))
		return fd;
	close(fd);
	return -1;
}

/* Both descriptions.  0 or -errno. */
static int open_both(struct linux_file *f, const char *path, int os, unsigned mode, bool want_direct)
{
	int cached = open_regular(path, os, mode), direct = -1;

	if (cached < 0)
		return cached;
	if (want_direct)
		direct = open_direct(path, os, cached);
	f->base.odirect = direct >= 0;
	f->base.fd = direct >= 0 ? direct : cached;
	f->cached = cached;
	return 0;
}

static int sys_open(struct host_disk *disk, const char *path, int flags, unsigned mode,
                    struct host_file **file)
{
	struct linux_file *f = file_new();
	int os = flags & HOST_OPEN_RDONLY ? O_RDONLY : O_RDWR;
	unsigned seen;
	int err;

	if (!f)
		return -ENOMEM;
	if (flags & HOST_OPEN_CREATE)
		os |= O_CREAT;
	/* The child of a fork in between has descriptions that it cannot find: take new ones. */
	do {
		close_descriptors(f);
		seen = atomic_load(&forks);
		err = open_both(f, path, os, mode, !(flags & HOST_OPEN_NO_ODIRECT));
		host_mb("before_fork(): count, then the child's copy of the list");
	} while (!err && atomic_load(&forks) != seen);
	if (err) {
		atomic_store(&f->used, false);
		return err;
	}
	f->base.disk = disk;
	*file = &f->base;
	return 0;
}

static void sys_close(struct host_file *file)
{
	/* not left to close(): a child that did not run our fork handler shares the description */
	flock(file->fd, LOCK_UN);
	close_descriptors(linux_file(file));
	atomic_store(&linux_file(file)->used, false);
}

static void sys_child(struct host_file *file)
{
	close_descriptors(linux_file(file));
}

/* flock has no deadline, and an alarm belongs to the application: so ask again. */
static int sys_lock(struct host_file *file, uint64_t deadline)
{
	struct timespec nap = { 0, LOCK_POLL_NS };

	for (;;) {
		if (!flock(file->fd, LOCK_EX | LOCK_NB))
			return 0;
		if (errno != EWOULDBLOCK && errno != EINTR)
			return -errno;
		if (host_now() >= deadline)
			return -EWOULDBLOCK;
		nanosleep(&nap, NULL);
	}
}

/* ---- metadata ------------------------------------------------------------------------------- */

static int sys_ident(struct host_file *file, struct host_file_id *id)
{
	struct statfs fs;
	struct stat st;

	if (fstat(file->fd, &st) || fstatfs(file->fd, &fs))
		return -errno;
	/* The file system's own id: device numbers may change with a reboot, just when a journal counts. */
	id->dev = (uint64_t)(uint32_t)fs.f_fsid.__val[0] << 32 | (uint32_t)fs.f_fsid.__val[1];
	id->ino = st.st_ino;
	return 0;
}

static int64_t sys_size(struct host_file *file)
{
	struct stat st;

	return fstat(file->fd, &st) ? -errno : (int64_t)st.st_size;
}

static int sys_truncate(struct host_file *file, uint64_t size)
{
	int err;

	do
		err = ftruncate(file->fd, (off_t)size) ? -errno : 0;
	while (err == -EINTR);
	return err;
}

static int sys_alloc(struct host_file *file, uint64_t off, uint64_t len)
{
	int err;

	do
		err = fallocate(file->fd, 0, (off_t)off, (off_t)len) ? -errno : 0;
	while (err == -EINTR);
	return err;
}

static int sys_flush(struct host_file *file)
{
	/* once: the kernel reports a lost write to one call only, so asking again would hide it */
	return fdatasync(file->fd) ? -errno : 0;
}

static int sys_flush_dir(struct host_disk *disk, const char *path)
{
	const char *slash = strrchr(path, '/');
	char *dir = slash ? strndup(path, slash == path ? 1 : (size_t)(slash - path)) : strdup(".");
	int fd, err = 0;

	(void)disk;
	if (!dir)
		return -ENOMEM;
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		err = -errno;
	free(dir);
	if (fd < 0)
		return err;
	/* EINVAL: a file system whose folders need no flush */
	if (fsync(fd) && errno != EINVAL)
		err = -errno;
	close(fd);
	return err;
}

static int sys_unlink(struct host_disk *disk, const char *path)
{
	(void)disk;
	return unlink(path) ? -errno : 0;
}

/* ---- data ----------------------------------------------------------------------------------- */

static ssize_t move(int fd, const struct iovec *iov, int n, uint64_t off, bool write)
{
	ssize_t r = write ? pwritev(fd, iov, n, (off_t)off) : preadv(fd, iov, n, (off_t)off);

	return r < 0 ? -errno : r;
}

static int64_t transfer(struct linux_file *f, struct iov_walk w, uint64_t off, bool write)
{
	bool direct = f->base.odirect && iov_aligned(w.iov, w.n, off);
	struct iovec part[PART];
	uint64_t done = 0;
	int n;

	iov_advance(&w, 0);
	while ((n = iov_rest(&w, part, PART)) > 0) {
		/* behind a page cut by the end of the file nothing is aligned */
		bool past = direct && done % HOST_PAGE == 0;
		ssize_t r = move(past ? f->base.fd : f->cached, part, n, off + done, write);

		if (r == -EINTR)
			continue;
		if (r == -EINVAL && past) {
			direct = false;
			continue;
		}
		if (r < 0)
			return r;
		if (!r)
			return write ? -EIO : (int64_t)done;
		done += (uint64_t)r;
		iov_advance(&w, (size_t)r);
	}
	return (int64_t)done;
}

static int64_t sys_readv(struct host_file *file, const struct iovec *iov, int n, uint64_t off)
{
	return transfer(linux_file(file), (struct iov_walk){ iov, n, 0 }, off, false);
}

static int64_t sys_writev(struct host_file *file, const struct iovec *iov, int n, uint64_t off)
{
	return transfer(linux_file(file), (struct iov_walk){ iov, n, 0 }, off, true);
}

static const struct host_disk_ops sys_ops = {
	.open = sys_open,
	.close = sys_close,
	.lock = sys_lock,
	.ident = sys_ident,
	.size = sys_size,
	.truncate = sys_truncate,
	.alloc = sys_alloc,
	.readv = sys_readv,
	.writev = sys_writev,
	.flush = sys_flush,
	.flush_dir = sys_flush_dir,
	.unlink = sys_unlink,
	.child = sys_child,
};

struct host_disk host_system_disk = { &sys_ops };
