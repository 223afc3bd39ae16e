/* SPDX-License-Identifier: MIT */
/*
 * linux_test.c - scenarios run on the kernel and on pinfold, results compared (contract.md, 6).
 *
 * A side is one way to have a file mapped: Linux with MAP_SHARED of a real file or of a memfd, and
 * pinfold with and without a window.  The kernel's short pins are reached through calls that take
 * them: process_vm_readv() is a read pin with a copy, vmsplice() a pin that is held in a pipe.
 * Each scenario writes what it saw to a line of text; all sides must have written the same.
 */
#include "../api/world.h"

#include <sys/uio.h>

#define ROOM 2000

struct side {
	const char *name;
	bool linux_side, memfd;
	struct world w;      /* pinfold's; of Linux's: at, pages, fd */
	char text[ROOM];
	size_t len;
};

__attribute__((format(printf, 2, 3))) static void say(struct side *s, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	s->len += (size_t)vsnprintf(s->text + s->len, ROOM - s->len, fmt, args);
	va_end(args);
	assert_true(s->len < ROOM);
}

/* ---- one vocabulary for all sides ------------------------------------------------------------ */

/* Bytes copied from the mapping, or -errno. */
static long copy_from(struct side *s, unsigned long off, void *buf, size_t len)
{
	struct iovec local = { buf, len }, remote = { (void *)(s->w.at + off), len };
	ssize_t n;

	if (!s->linux_side)
		return access_process_vm(s->w.mm, s->w.at + off, buf, len, 0);
	n = process_vm_readv(getpid(), &local, 1, &remote, 1, 0);
	return n < 0 ? -errno : n;
}

static long copy_to(struct side *s, unsigned long off, const void *buf, size_t len)
{
	struct iovec local = { (void *)(uintptr_t)buf, len };
	struct iovec remote = { (void *)(s->w.at + off), len };
	ssize_t n;

	if (!s->linux_side)
		return access_process_vm(s->w.mm, s->w.at + off, (void *)(uintptr_t)buf, len,
		                         FOLL_WRITE);
	n = process_vm_writev(getpid(), &local, 1, &remote, 1, 0);
	return n < 0 ? -errno : n;
}

static int protect(struct side *s, int prot)
{
	if (!s->linux_side)
		return vm_mprotect(s->w.mm, s->w.at, s->w.pages * PG, prot);
	return mprotect((void *)s->w.at, s->w.pages * PG, prot) ? -errno : 0;
}

static int advise(struct side *s, unsigned long off, size_t len, int advice)
{
	if (!s->linux_side)
		return vm_madvise(s->w.mm, s->w.at + off, len, advice);
	return madvise((void *)(s->w.at + off), len, advice) ? -errno : 0;
}

static int unmap(struct side *s)
{
	if (!s->linux_side)
		return vm_munmap(s->w.mm, s->w.at, s->w.pages * PG);
	return munmap((void *)s->w.at, s->w.pages * PG) ? -errno : 0;
}

static void remap(struct side *s)
{
	void *p;

	if (!s->linux_side) {
		s->w.at = map(&s->w, 0, s->w.pages, RW);
		return;
	}
	p = mmap(NULL, s->w.pages * PG, RW, MAP_SHARED, s->w.fd, 0);
	assert_ptr_not_equal(p, MAP_FAILED);
	s->w.at = (unsigned long)p;
}

/* The signal that a load (store) gets; sides without a window copy: an error is told as SIGSEGV or
 * SIGBUS by what Linux does there. */
static int touch(struct side *s, unsigned long off, bool write)
{
	volatile char *p = (char *)(s->w.at + off);
	char c = 1;
	long n;

	if (s->linux_side || s->w.window)
		return write ? signal_of(*p = 1) : signal_of((void)*p);
	n = write ? copy_to(s, off, &c, 1) : copy_from(s, off, &c, 1);
	if (n == 1)
		return 0;
	return last_error() == -ENXIO ? SIGBUS : SIGSEGV;
}

static void say_byte(struct side *s, unsigned long off)
{
	unsigned char c = 0;
	long n = copy_from(s, off, &c, 1);

	say(s, "%ld:%d ", n, c);
}

/* A page held: Linux in a pipe by vmsplice(), pinfold by a pin.  The first 16 bytes later. */
struct held {
	struct page *page;
	int pipe[2];
};

static int hold(struct side *s, struct held *h, unsigned long off)
{
	struct iovec v = { (void *)(s->w.at + off), 16 };

	if (!s->linux_side)
		return get_user_pages_fast(s->w.at + off, 1, 0, &h->page) == 1 ? 0 : -EFAULT;
	assert_ok(pipe(h->pipe));
	if (vmsplice(h->pipe[1], &v, 1, 0) == 16)
		return 0;
	close(h->pipe[0]);
	close(h->pipe[1]);
	return -errno;
}

static void let_go(struct side *s, struct held *h, unsigned char *first16)
{
	if (!s->linux_side) {
		memcpy(first16, page_address(h->page), 16);
		assert_ok(put_user_page(h->page));
		return;
	}
	assert_int_equal(read(h->pipe[0], first16, 16), 16);
	close(h->pipe[0]);
	close(h->pipe[1]);
}

/* ---- scenarios: what is the same on every side ----------------------------------------------- */

/* Clauses P1, P9, P14: copies across the end of the file. */
static void partial_reads_at_the_end_of_the_file(struct side *s)
{
	const struct { unsigned long off; size_t len; } t[] = {
		{ 0, 10 }, { 7 * PG, PG }, { 7 * PG + 100, 2 * PG }, { 6 * PG, 4 * PG }, { 8 * PG, 1 },
		{ 8 * PG - 1, 2 }, { 0, 12 * PG },
	};
	char *buf = calloc(13, PG);

	for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		long n = copy_from(s, t[i].off, buf, t[i].len);

		say(s, "%ld:%d ", n, n > 0 ? (unsigned char)buf[n - 1] : 0);
	}
	free(buf);
}

/* Clause P8: across the end of the mapping: nothing is mapped there on any side. */
static void partial_writes_at_the_end_of_the_file(struct side *s)
{
	char buf[3 * PG];

	memset(buf, 7, sizeof(buf));
	say(s, "%ld ", copy_to(s, 7 * PG, buf, 2 * PG));
	say(s, "%ld ", copy_to(s, 8 * PG, buf, PG));
	say(s, "%ld ", copy_to(s, 6 * PG + 5, buf, 3 * PG));
	say_byte(s, 7 * PG + 9);
}

/* Clauses V4, V9, V11: rights of the mapping, populated and not. */
static void rights(struct side *s)
{
	const int prots[] = { PINFOLD_PROT_READ, PINFOLD_PROT_NONE, RW };
	char c = 3;

	say(s, "%d%d ", touch(s, 0, false), touch(s, 0, true));
	for (int i = 0; i < 3; i++) {
		say(s, "[%d ", protect(s, prots[i]));
		for (unsigned long off = 0; off <= 2 * PG; off += 2 * PG) {
			say(s, "%ld %ld ", copy_from(s, off, &c, 1), copy_to(s, off, &c, 1));
			say(s, "%d %d ", touch(s, off, false), touch(s, off, true));
		}
		say(s, "] ");
	}
}

/* Clause M2: DONTNEED of a shared file mapping loses nothing. */
static void dontneed(struct side *s)
{
	unsigned char b[16], c = 99;
	struct held h;

	say(s, "%ld ", copy_to(s, 3 * PG, &c, 1));
	say(s, "%d ", hold(s, &h, 3 * PG));
	say(s, "%d ", advise(s, 0, 8 * PG, MADV_DONTNEED));
	say_byte(s, 3 * PG);
	c = 98;
	say(s, "%ld ", copy_to(s, 3 * PG, &c, 1));
	let_go(s, &h, b);
	say(s, "%d ", b[0]); /* holder and mapping are one page */
	say(s, "%d ", advise(s, 1, PG, MADV_DONTNEED));
	say(s, "%d ", advise(s, 2 * PG, PG, MADV_WILLNEED));
}

/* Clause M1: the holder keeps the page when its mapping goes, and sees what is stored later. */
static void munmap_under_a_pin(struct side *s)
{
	unsigned char b[16], c = 55;
	struct held h;

	say(s, "%ld ", copy_to(s, 2 * PG, &c, 1));
	say(s, "%d ", hold(s, &h, 2 * PG));
	say(s, "%d ", unmap(s));
	remap(s);
	say_byte(s, 2 * PG);
	c = 56;
	say(s, "%ld ", copy_to(s, 2 * PG, &c, 1));
	let_go(s, &h, b);
	say(s, "%d ", b[0]);
}

/* Clause M4: a right that is taken away does not touch the pin. */
static void mprotect_under_a_pin(struct side *s)
{
	unsigned char b[16], c = 77;
	struct held h;

	say(s, "%ld ", copy_to(s, 5 * PG, &c, 1));
	say(s, "%d ", hold(s, &h, 5 * PG));
	say(s, "%d ", protect(s, PROT_NONE));
	say(s, "%d ", hold(s, &(struct held){ 0 }, 5 * PG));
	let_go(s, &h, b);
	say(s, "%d ", b[0]);
	say(s, "%d ", protect(s, RW));
	say_byte(s, 5 * PG);
}

/* Touches beyond the end of the file, and holes inside it. */
static void touches_beyond_the_end(struct side *s)
{
	say(s, "%d %d ", touch(s, 7 * PG, false), touch(s, 7 * PG + 4095, true));
	say(s, "%d %d ", touch(s, 8 * PG, false), touch(s, 9 * PG, true));
	say(s, "%d ", hold(s, &(struct held){ 0 }, 8 * PG));
}

/* Arguments of the mapping calls where both have the same words for it. */
static void bad_ranges(struct side *s)
{
	say(s, "%d ", advise(s, 100, PG, MADV_DONTNEED));
	say(s, "%d ", advise(s, 0, ~0ul - PG, MADV_DONTNEED));
	say(s, "%d ", advise(s, 0, PG, 77));
}

/* ---- sides ----------------------------------------------------------------------------------- */

static void start_linux(struct side *s)
{
	arm_signals();
	new_path(s->w.path, sizeof(s->w.path));
	s->w.pages = 12;
	if (s->memfd) {
		char page[PG];

		s->w.fd = memfd_create("oracle", MFD_CLOEXEC);
		for (unsigned p = 0; p < 8; p++) {
			fill(page, 0, p);
			assert_int_equal(pwrite(s->w.fd, page, PG, p * PG), PG);
		}
	} else {
		s->w.fd = new_file(s->w.path, 8 * PG, false);
	}
	remap(s);
}

static void end_linux(struct side *s)
{
	munmap((void *)s->w.at, s->w.pages * PG);
	close(s->w.fd);
	unlink(s->w.path);
}

static void run_side(struct side *s, const struct kind *k, void (*scenario)(struct side *))
{
	if (s->linux_side) {
		start_linux(s);
		scenario(s);
		end_linux(s);
		return;
	}
	if (k->window == PINFOLD_WINDOW_DIRECT && no_window()) {
		s->name = NULL;
		return;
	}
	WORLD(s->w, k, .pages = 8, .map_pages = 12);
	s->w.pages = 12;
	scenario(s);
	world_end(&s->w);
}

static void compare(void (*scenario)(struct side *))
{
	struct side s[] = {
		{ .name = "Linux, file", .linux_side = true },
		{ .name = "Linux, memfd", .linux_side = true, .memfd = true },
		{ .name = "pinfold, pool" }, { .name = "pinfold, direct" }, { .name = "pinfold, window" },
	};
	const struct kind *kinds[] = { NULL, NULL, &pool, &direct, &window };
	bool same = true;

	for (int i = 0; i < 5; i++)
		run_side(&s[i], kinds[i], scenario);
	for (int i = 1; i < 5; i++)
		same &= !s[i].name || !strcmp(s[0].text, s[i].text);
	for (int i = 0; i < 5 && !same; i++)
		print_message("%-16s %s\n", s[i].name ? s[i].name : "(skipped)", s[i].text);
	assert_true(same);
	if (no_window()) {
		print_message("skipped: userfaultfd is refused (%s); all but the window do as Linux does\n",
		              strerror(-window_refused));
		skip();
	}
}

#define SCENARIO(fn) { #fn, run_scenario, NULL, NULL, (void *)(uintptr_t)fn }

static void run_scenario(void **state)
{
	compare((void (*)(struct side *))(uintptr_t)*state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCENARIO(partial_reads_at_the_end_of_the_file),
		SCENARIO(partial_writes_at_the_end_of_the_file),
		SCENARIO(rights),
		SCENARIO(dontneed),
		SCENARIO(munmap_under_a_pin),
		SCENARIO(mprotect_under_a_pin),
		SCENARIO(touches_beyond_the_end),
		SCENARIO(bad_ranges),
	};

	return world_main(tests);
}
