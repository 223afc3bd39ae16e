/* SPDX-License-Identifier: MIT */
/*
 * parties.h - a process, its forked child and a device, on the kernel and on pinfold, with one vocabulary for both.
 *
 * A side has some pages of memory, which a parent shows at the same offsets as the child that split() makes.  On Linux
 * the child is a process that does what it is told through a pipe; a device is io_uring with a registered buffer (a
 * long-term write pin), a reference is vmsplice(), short pins are O_DIRECT and process_vm_*(), FORCE is /proc/self/mem.
 * On pinfold the child is a snapshot, and the same are calls.
 *
 * A scenario writes what the parties see to one text, and whether pages are the same to another.  Pages are told apart
 * by the page frame that the kernel shows root in pagemap, of a process's memory as well as of extent windows.
 */
#ifndef PINFOLD_ORACLE_PARTIES_H
#define PINFOLD_ORACLE_PARTIES_H

#include "../api/anon.h"
#include "device.h"

#include <sys/uio.h>

enum who { P, C }; /* parent, child */

enum memory { ANON_PRIVATE, ANON_SHARED, FILE_PRIVATE, HUGE_PRIVATE };

#define FIRST_PAGES 8u

enum op {
	LOAD, STORE, COPY_FROM, COPY_TO, FORCE_STORE, DIRECT_WRITE, DIRECT_READ, /* bytes: the last's is 9 */
	UNMAP, MOVE, ADVISE, PROTECT,                                           /* ranges */
	PIN, DEVICE_STORE, DEVICE_LOAD, UNPIN, REFER, REFERENCE_LOAD, FRAME, FINISH
};

struct command {
	enum op op;
	unsigned long off, len;
	long arg; /* byte, offset, advice or rights */
};

struct side {
	const char *name;
	bool linux_side;
	enum pinfold_window mode;
	enum memory memory;
	/* Linux */
	unsigned long at;
	pid_t child;
	int to[2], from[2];
	/* pinfold */
	struct pinfold *m;
	struct pinfold_file *file;
	struct space s[2], shared; /* shared: the file as others see it */
	struct page *pinned[2], *referred[2];
	int fd;
	char path[600];
	/* what was seen */
	char text[1000], pages[300];
};

__attribute__((format(printf, 2, 3), unused)) static void say(struct side *s, const char *fmt, ...)
{
	size_t len = strlen(s->text);
	va_list args;

	va_start(args, fmt);
	vsnprintf(s->text + len, sizeof(s->text) - len, fmt, args);
	va_end(args);
}

/* ---- the kernel's side -------------------------------------------------------------------------- */

/* What one process has of a device. */
static struct {
	struct device ring;
	int pipe[2], direct;
} dev;

static long device_command(const struct command *c, unsigned long a)
{
	struct iovec v = { (void *)a, 16 };
	unsigned char b[16] = { (unsigned char)c->arg };
	long r = 0;

	switch (c->op) {
	case PIN:
		return device_pin(&dev.ring, a, PG);
	case DEVICE_STORE:
		return pwrite(dev.ring.scratch, b, 1, 0) == 1 ? device_io(&dev.ring, true, 0, 1) : -errno;
	case DEVICE_LOAD:
		r = device_io(&dev.ring, false, 0, 1);
		return r ? r : pread(dev.ring.scratch, b, 1, 0) == 1 ? b[0] : -errno;
	case UNPIN:
		return device_unpin(&dev.ring);
	case REFER:
		return pipe(dev.pipe) || vmsplice(dev.pipe[1], &v, 1, 0) != 16 ? -errno : 0;
	case REFERENCE_LOAD:
		r = read(dev.pipe[0], b, 16) == 16 ? b[0] : -errno;
		close(dev.pipe[0]);
		close(dev.pipe[1]);
		return r;
	default:
		return -ENOSYS;
	}
}

/* A byte, or minus the signal. */
static long load_byte(unsigned long a)
{
	int sig = load_signal(a);

	return sig ? -sig : *(volatile unsigned char *)a;
}

static long store_byte(unsigned long a, long v)
{
	int sig = store_signal(a);

	if (!sig)
		*(volatile unsigned char *)a = (unsigned char)v;
	return -sig;
}

/* The page frame behind an address of this process; 0 unknown. */
static long frame_of(unsigned long a)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	uint64_t e = 0;

	if (load_signal(a) || pread(fd, &e, 8, (off_t)(a / PG * 8)) != 8)
		e = 0;
	close(fd);
	return (long)(e & ((1ull << 55) - 1));
}

static long copy_byte(unsigned long a, unsigned char *b, bool to)
{
	struct iovec local = { b, 1 }, remote = { (void *)a, 1 };
	long n = to ? process_vm_writev(getpid(), &local, 1, &remote, 1, 0) :
	              process_vm_readv(getpid(), &local, 1, &remote, 1, 0);

	return n == 1 ? 0 : -errno;
}

static long force_byte(unsigned long a, const unsigned char *b)
{
	int fd = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	long r = pwrite(fd, b, 1, (off_t)a) == 1 ? 0 : -errno;

	close(fd);
	return r;
}

static long byte_command(const struct command *c, unsigned long a)
{
	unsigned char b = (unsigned char)c->arg;
	long r;

	switch (c->op) {
	case LOAD:
		return load_byte(a);
	case STORE:
		return store_byte(a, c->arg);
	case COPY_FROM:
		r = copy_byte(a, &b, false);
		return r ? r : b;
	case COPY_TO:
		return copy_byte(a, &b, true);
	case FORCE_STORE:
		return force_byte(a, &b);
	case DIRECT_WRITE:
		return pwrite(dev.direct, (void *)a, PG, (off_t)PG) == (ssize_t)PG ? 0 : -errno;
	case DIRECT_READ:
		return pread(dev.direct, (void *)a, PG, 0) == (ssize_t)PG ? 0 : -errno;
	default:
		return device_command(c, a);
	}
}

static long linux_command(unsigned long at, const struct command *c)
{
	unsigned long a = at + c->off;
	void *p = (void *)a;

	switch (c->op) {
	case UNMAP:
		return munmap(p, c->len) ? -errno : 0;
	case MOVE:
		return mremap(p, c->len, c->len, MREMAP_MAYMOVE | MREMAP_FIXED, (void *)(at + (unsigned long)c->arg)) ==
		               MAP_FAILED ? -errno : 0;
	case ADVISE:
		return madvise(p, c->len, (int)c->arg) ? -errno : 0;
	case PROTECT:
		return mprotect(p, c->len, (int)c->arg) ? -errno : 0;
	case FRAME:
		return frame_of(a);
	default:
		return byte_command(c, a);
	}
}

static void serve_as_child(struct side *s)
{
	struct command c;
	long r;

	alarm(30);
	while (read(s->to[0], &c, sizeof(c)) == sizeof(c) && c.op != FINISH) {
		r = linux_command(s->at, &c);
		if (write(s->from[1], &r, sizeof(r)) != sizeof(r))
			break;
	}
	_exit(0);
}

/* ---- pinfold's side ----------------------------------------------------------------------------- */

static long pinfold_bytes(struct space *s, const struct command *c)
{
	unsigned long a = s->at + c->off;
	unsigned char b = (unsigned char)c->arg;
	bool write = c->op == STORE || c->op == COPY_TO;
	struct page *page;
	long r;

	if (s->window && (c->op == LOAD || c->op == STORE))
		return c->op == LOAD ? load_byte(a) : store_byte(a, c->arg);
	if (c->op <= COPY_TO) {
		r = access_process_vm(s->mm, a, &b, 1, write ? FOLL_WRITE : 0);
		if (r != 1 && c->op <= STORE) /* without a window: what a touch would have got */
			return last_error() == -ENXIO ? -SIGBUS : -SIGSEGV;
		return r != 1 ? r : write ? 0 : b;
	}
	r = get_user_pages_unlocked(a, 1, &page, c->op == FORCE_STORE  ? FOLL_WRITE | FOLL_FORCE :
	                                         c->op == DIRECT_READ ? FOLL_WRITE : 0);
	if (r != 1)
		return c->op == FORCE_STORE ? -EIO : r;
	if (c->op == DIRECT_READ)
		memset(page_address(page), 9, PG);
	else if (c->op == FORCE_STORE)
		((unsigned char *)page_address(page))[a % PG] = b;
	return put_user_page(page);
}

static long pinfold_device(struct side *s, enum who who, const struct command *c)
{
	unsigned long a = s->s[who].at + c->off;
	struct page **pin = &s->pinned[who], **ref = &s->referred[who];
	long r;

	switch (c->op) {
	case PIN:
		return get_user_pages_fast(a, 1, FOLL_WRITE | FOLL_LONGTERM, pin) == 1 ? 0 : -EFAULT;
	case DEVICE_STORE:
		*(volatile unsigned char *)page_address(*pin) = (unsigned char)c->arg;
		return 0;
	case DEVICE_LOAD:
		return *(volatile unsigned char *)page_address(*pin);
	case UNPIN:
		return put_user_page(*pin);
	case REFER:
		if (get_user_pages_fast(a, 1, 0, ref) != 1)
			return -EFAULT;
		return get_page(*ref) || put_user_page(*ref);
	case REFERENCE_LOAD:
		r = *(volatile unsigned char *)page_address(*ref);
		return put_page(*ref) ? -EINVAL : r;
	default:
		return -ENOSYS;
	}
}

static long pinfold_command(struct side *s, enum who who, const struct command *c)
{
	struct space *at = &s->s[who];
	unsigned long a = at->at + c->off, to = at->at + (unsigned long)c->arg;
	long r;

	assert_ok(pinfold_use_mm(at->mm));
	switch (c->op) {
	case UNMAP:
		return vm_munmap(at->mm, a, c->len);
	case MOVE:
		r = vm_mremap(at->mm, a, c->len, c->len, PINFOLD_MREMAP_MAYMOVE | PINFOLD_MREMAP_FIXED, to);
		return r < 0 ? r : 0;
	case ADVISE:
		return vm_madvise(at->mm, a, c->len, (int)c->arg);
	case PROTECT:
		return vm_mprotect(at->mm, a, c->len, (int)c->arg);
	case FRAME:
		return at->window ? frame_of(a) : 0;
	default:
		return c->op <= DIRECT_READ ? pinfold_bytes(at, c) : pinfold_device(s, who, c);
	}
}

/* ---- both --------------------------------------------------------------------------------------- */

static long act(struct side *s, enum who who, enum op op, unsigned long off, unsigned long len, long arg)
{
	struct command c = { op, off, len, arg };
	long r = -EPIPE;

	if (!s->linux_side)
		return pinfold_command(s, who, &c);
	if (who == P)
		return linux_command(s->at, &c);
	assert_int_equal(write(s->to[1], &c, sizeof(c)), sizeof(c));
	assert_int_equal(read(s->from[0], &r, sizeof(r)), sizeof(r));
	return r;
}

/* fork(2), dup_mmap(). */
HELPER void split(struct side *s)
{
	if (!s->linux_side) {
		s->s[C] = snapshot(s->m, &s->s[P], s->mode);
		return;
	}
	assert_ok(pipe(s->to) || pipe(s->from));
	s->child = fork();
	if (!s->child)
		serve_as_child(s);
	assert_true(s->child > 0);
}

/* The child ends. */
HELPER void finish(struct side *s)
{
	struct command c = { .op = FINISH };

	if (!s->linux_side) {
		end_space(&s->s[C]);
		return;
	}
	assert_int_equal(write(s->to[1], &c, sizeof(c)), sizeof(c));
	assert_int_equal(status_of(s->child), 0);
	for (int i = 0; i < 2; i++) {
		close(s->to[i]);
		close(s->from[i]);
	}
	s->child = 0;
}

/* The first byte of the file's page as others see it, and a store to it by them. */
HELPER long file_load(struct side *s, unsigned page)
{
	unsigned char b = 0;

	if (s->linux_side)
		return pread(s->fd, &b, 1, (off_t)(page * PG)) == 1 ? b : -errno;
	return access_process_vm(s->shared.mm, s->shared.at + page * PG, &b, 1, 0) == 1 ? b : -EIO;
}

HELPER void file_store(struct side *s, unsigned page, unsigned char b)
{
	if (s->linux_side)
		assert_int_equal(pwrite(s->fd, &b, 1, (off_t)(page * PG)), 1);
	else
		assert_int_equal(access_process_vm(s->shared.mm, s->shared.at + page * PG, &b, 1, FOLL_WRITE), 1);
}

#endif
