/* SPDX-License-Identifier: MIT */
/*
 * parties.h - processes that are forked from each other, and their devices, on the kernel and on pinfold, with one
 * vocabulary for both.
 *
 * A side has some pages of memory, which a parent shows at the same offsets as the child that split() makes.  On Linux
 * the child is a process that does what it is told through a pipe; a device is io_uring with a registered buffer (a
 * long-term write pin; a process has up to two), a reference is vmsplice(), short pins are O_DIRECT and process_vm_*(),
 * FORCE is /proc/self/mem.  On pinfold the child is a snapshot, and the same are calls.
 *
 * A scenario writes what the parties see to one text, and whether pages are the same to another.  Pages are told apart
 * by the page frame that the kernel shows root in pagemap, of a process's memory as well as of extent windows.
 */
#ifndef PINFOLD_ORACLE_PARTIES_H
#define PINFOLD_ORACLE_PARTIES_H

#include "../api/anon.h"
#include "device.h"

#include <sys/uio.h>

enum who { P, C, G, PARTIES }; /* parent, child, another child: of either */

enum memory { ANON_PRIVATE, ANON_SHARED, FILE_PRIVATE, HUGE_PRIVATE, FILE_SHARED, MEMFD_SHARED };

#define FIRST_PAGES 8u
#define MOST_PINNED 512
#define MOST_COPIED (12 * PG)

enum op {
	LOAD, STORE, COPY_FROM, COPY_TO, FORCE_LOAD, FORCE_STORE, DIRECT_WRITE, DIRECT_READ, /* the last's byte: 9 */
	UNMAP, MAP, REMAP, ADVISE, PROTECT,                                                 /* ranges */
	PIN, DEVICE_STORE, DEVICE_LOAD, UNPIN, REFER, REFERENCE_LOAD, FRAME, FORK, REAP, FINISH
};

struct command {
	enum op op;
	unsigned long off, len;
	long arg;         /* byte, advice, rights, new length, party */
	unsigned long to; /* new offset, offset in the file, device */
	int flags;
};

struct side {
	const char *name;
	bool linux_side;
	enum pinfold_window mode, child_mode;
	bool direct; /* pinfold's file is */
	enum memory memory;
	enum who parent[PARTIES];
	bool lives[PARTIES];
	/* Linux */
	unsigned long at;
	int to[PARTIES][2], from[PARTIES][2];
	/* pinfold */
	struct pinfold *m;
	struct pinfold_file *file;
	struct space s[PARTIES], shared; /* shared: the file as others see it */
	struct pinned {
		struct page *pages[MOST_PINNED];
		unsigned long skip;
		long n;
	} pinned[PARTIES][2];
	struct page *referred[PARTIES];
	int fd;
	char path[600];
	/* what was seen */
	char text[4000], pages[1000];
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

/* What one process has of devices, and of references. */
static struct device devices[2];

static struct {
	int pipe[2], direct;
} dev;

static long refer_to(unsigned long a)
{
	struct iovec v = { (void *)a, 16 };
	long r;

	if (pipe(dev.pipe))
		return -errno;
	r = vmsplice(dev.pipe[1], &v, 1, 0) == 16 ? 0 : -errno;
	if (r) {
		close(dev.pipe[0]);
		close(dev.pipe[1]);
	}
	return r;
}

static long device_command(const struct command *c, unsigned long a)
{
	struct device *d = &devices[c->to];
	unsigned char b[16] = { (unsigned char)c->arg };
	long r = 0;

	switch (c->op) {
	case PIN:
		return device_pin(d, a, c->len);
	case DEVICE_STORE:
		return pwrite(d->scratch, b, 1, (off_t)c->off) == 1 ? device_io(d, true, c->off, 1) : -errno;
	case DEVICE_LOAD:
		r = device_io(d, false, c->off, 1);
		return r ? r : pread(d->scratch, b, 1, (off_t)c->off) == 1 ? b[0] : -errno;
	case UNPIN:
		return device_unpin(d);
	case REFER:
		return refer_to(a);
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

/* What a copy is told as: how many bytes, and their sum. */
static long told(long n, const unsigned char *b)
{
	long sum = 0;

	for (long i = 0; i < n; i++)
		sum += b[i] * (i % 251 + 1);
	return n < 0 ? n : n + ((sum & 0xffffff) << 32);
}

/* A copy by the kernel; to memory: bytes of this value. */
static long copy(unsigned long a, unsigned long len, int value, bool to)
{
	static unsigned char b[MOST_COPIED];
	struct iovec local = { b, len }, remote = { (void *)a, len };
	long n;

	memset(b, value, len < MOST_COPIED ? len : MOST_COPIED);
	n = to ? process_vm_writev(getpid(), &local, 1, &remote, 1, 0) :
	         process_vm_readv(getpid(), &local, 1, &remote, 1, 0);
	return n < 0 ? -errno : to ? n : told(n, b);
}

static long force_byte(unsigned long a, unsigned char *b, bool to)
{
	int fd = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	long n = to ? pwrite(fd, b, 1, (off_t)a) : pread(fd, b, 1, (off_t)a), r = n == 1 ? 0 : -errno;

	close(fd);
	return r || to ? r : *b;
}

static long byte_command(const struct command *c, unsigned long a)
{
	unsigned char b = (unsigned char)c->arg;

	switch (c->op) {
	case LOAD:
		return load_byte(a);
	case STORE:
		return store_byte(a, c->arg);
	case COPY_FROM:
	case COPY_TO:
		return copy(a, c->len, b, c->op == COPY_TO);
	case FORCE_LOAD:
	case FORCE_STORE:
		return force_byte(a, &b, c->op == FORCE_STORE);
	case DIRECT_WRITE:
		return pwrite(dev.direct, (void *)a, PG, (off_t)PG) == (ssize_t)PG ? 0 : -errno;
	case DIRECT_READ:
		return pread(dev.direct, (void *)a, PG, 0) == (ssize_t)PG ? 0 : -errno;
	default:
		return device_command(c, a);
	}
}

static void serve(struct side *s, enum who who);

static long linux_fork(struct side *s, enum who who)
{
	static pid_t children[PARTIES];

	if (children[who]) {
		int status = status_of(children[who]);

		children[who] = 0;
		return status;
	}
	children[who] = fork();
	if (!children[who]) {
		memset(children, 0, sizeof(children));
		serve(s, who);
	}
	return children[who] > 0 ? 0 : -errno;
}

static long linux_map(const struct side *s, const struct command *c)
{
	void *p = (void *)(s->at + c->off);
	int fd = c->flags & MAP_ANONYMOUS ? -1 : s->fd;

	return mmap(p, c->len, (int)c->arg, c->flags, fd, (off_t)c->to) == MAP_FAILED ? -errno : 0;
}

static long linux_command(struct side *s, const struct command *c)
{
	unsigned long a = s->at + c->off;
	void *p = (void *)a;

	switch (c->op) {
	case UNMAP:
		return munmap(p, c->len) ? -errno : 0;
	case MAP:
		return linux_map(s, c);
	case REMAP:
		return mremap(p, c->len, (size_t)c->arg, c->flags, (void *)(s->at + c->to)) == MAP_FAILED ? -errno : 0;
	case ADVISE:
		return madvise(p, c->len, (int)c->arg) ? -errno : 0;
	case PROTECT:
		return mprotect(p, c->len, (int)c->arg) ? -errno : 0;
	case FRAME:
		return frame_of(a);
	case FORK:
	case REAP:
		return linux_fork(s, (enum who)c->arg);
	default:
		return byte_command(c, a);
	}
}

static void serve(struct side *s, enum who who)
{
	struct command c;
	long r;

	alarm(30);
	while (read(s->to[who][0], &c, sizeof(c)) == sizeof(c) && c.op != FINISH) {
		r = linux_command(s, &c);
		if (write(s->from[who][1], &r, sizeof(r)) != sizeof(r))
			break;
	}
	_exit(0);
}

/* ---- pinfold's side ----------------------------------------------------------------------------- */

/* What a touch gets: where there is no window, what it would have got. */
static long pinfold_touch(struct space *s, const struct command *c, unsigned long a)
{
	unsigned char b = (unsigned char)c->arg;

	if (s->window)
		return c->op == LOAD ? load_byte(a) : store_byte(a, c->arg);
	if (access_process_vm(s->mm, a, &b, 1, c->op == STORE ? FOLL_WRITE : 0) == 1)
		return c->op == STORE ? 0 : b;
	return last_error() == -ENXIO ? -SIGBUS : -SIGSEGV;
}

static long pinfold_copy(struct space *s, const struct command *c, unsigned long a)
{
	static unsigned char b[MOST_COPIED];
	long n;

	memset(b, (int)c->arg, c->len < MOST_COPIED ? c->len : MOST_COPIED);
	n = access_process_vm(s->mm, a, b, c->len, c->op == COPY_TO ? FOLL_WRITE : 0);
	return c->op == COPY_TO ? n : told(n, b);
}

static long pinfold_bytes(struct space *s, const struct command *c)
{
	unsigned long a = s->at + c->off;
	bool force = c->op == FORCE_LOAD || c->op == FORCE_STORE;
	struct page *page;
	unsigned char *b;
	long r;

	if (c->op == LOAD || c->op == STORE)
		return pinfold_touch(s, c, a);
	if (c->op == COPY_FROM || c->op == COPY_TO)
		return pinfold_copy(s, c, a);
	r = get_user_pages_unlocked(a, 1, &page, (force ? FOLL_FORCE : 0) |
	                            (c->op == FORCE_STORE || c->op == DIRECT_READ ? FOLL_WRITE : 0));
	if (r != 1)
		return force ? -EIO : r; /* what /proc/self/mem says */
	b = (unsigned char *)page_address(page) + (force ? a % PG : 0);
	if (c->op == DIRECT_READ)
		memset(b, 9, PG);
	else if (c->op == FORCE_STORE)
		*b = (unsigned char)c->arg;
	r = c->op == FORCE_LOAD ? *b : 0;
	assert_ok(put_user_page(page));
	return r;
}

/* All or nothing, as a registration. */
static long pinfold_pin(struct pinned *pin, unsigned long a, unsigned long len)
{
	long n = (long)((a % PG + len + PG - 1) / PG);
	long r = get_user_pages_fast(a, (int)n, FOLL_WRITE | FOLL_LONGTERM, pin->pages);

	pin->skip = a % PG;
	pin->n = n;
	if (r == n)
		return 0;
	if (r > 0)
		assert_ok(put_user_pages(pin->pages, (unsigned long)r));
	return r < 0 ? r : -EFAULT;
}

static volatile unsigned char *device_byte(struct pinned *pin, unsigned long off)
{
	unsigned long i = pin->skip + off;

	return (volatile unsigned char *)page_address(pin->pages[i / PG]) + i % PG;
}

static long pinfold_device(struct side *s, enum who who, const struct command *c)
{
	unsigned long a = s->s[who].at + c->off;
	struct pinned *pin = &s->pinned[who][c->to];
	struct page **ref = &s->referred[who];
	long r;

	switch (c->op) {
	case PIN:
		return pinfold_pin(pin, a, c->len);
	case DEVICE_STORE:
		*device_byte(pin, c->off) = (unsigned char)c->arg;
		return 0;
	case DEVICE_LOAD:
		return *device_byte(pin, c->off);
	case UNPIN:
		return put_user_pages(pin->pages, (unsigned long)pin->n);
	case REFER:
		r = get_user_pages_fast(a, 1, 0, ref);
		return r < 0 ? r : get_page(*ref) || put_user_page(*ref);
	case REFERENCE_LOAD:
		r = *(volatile unsigned char *)page_address(*ref);
		return put_page(*ref) ? -EINVAL : r;
	default:
		return -ENOSYS;
	}
}

static long pinfold_map(const struct side *s, const struct space *at, const struct command *c)
{
	struct pinfold_file *f = c->flags & MAP_ANONYMOUS ? NULL : s->file;
	long r = vm_mmap(at->mm, at->at + c->off, c->len, (int)c->arg, c->flags, f, c->to);

	return r < 0 ? r : 0;
}

static long pinfold_command(struct side *s, enum who who, const struct command *c)
{
	struct space *at = &s->s[who];
	unsigned long a = at->at + c->off;
	long r;

	assert_ok(pinfold_use_mm(at->mm));
	switch (c->op) {
	case UNMAP:
		return vm_munmap(at->mm, a, c->len);
	case MAP:
		return pinfold_map(s, at, c);
	case REMAP:
		r = vm_mremap(at->mm, a, c->len, (size_t)c->arg, c->flags, at->at + c->to);
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

static long perform(struct side *s, enum who who, struct command c)
{
	long r = -EPIPE;

	if (!s->linux_side)
		return pinfold_command(s, who, &c);
	if (who == P)
		return linux_command(s, &c);
	assert_int_equal(write(s->to[who][1], &c, sizeof(c)), sizeof(c));
	if (c.op != FINISH)
		assert_int_equal(read(s->from[who][0], &r, sizeof(r)), sizeof(r));
	return r;
}
#define act(s, who, ...) perform(s, who, (struct command){ .op = __VA_ARGS__ })

/* fork(2), dup_mmap(). */
HELPER void split_from(struct side *s, enum who parent, enum who child)
{
	s->parent[child] = parent;
	s->lives[child] = true;
	if (s->linux_side)
		assert_ok(act(s, parent, FORK, .arg = child));
	else
		s->s[child] = snapshot(s->m, &s->s[parent], s->child_mode);
}

HELPER void split(struct side *s)
{
	split_from(s, P, C);
}

/* A child ends. */
HELPER void end_of(struct side *s, enum who who)
{
	s->lives[who] = false;
	if (!s->linux_side) {
		end_space(&s->s[who]);
		return;
	}
	act(s, who, FINISH);
	if (s->parent[who] == P || s->lives[s->parent[who]]) /* else nobody is left to wait for it */
		assert_ok(act(s, s->parent[who], REAP, .arg = who));
}

HELPER void finish(struct side *s)
{
	end_of(s, C);
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
