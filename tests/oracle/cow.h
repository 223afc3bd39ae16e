/* SPDX-License-Identifier: MIT */
/*
 * cow.h - runs a scenario of parties.h on each side and compares what was seen.  What is meant to differ (design.md 3.1)
 * stands in the table of scenarios with both outcomes and the clause.
 */
#ifndef PINFOLD_ORACLE_COW_H
#define PINFOLD_ORACLE_COW_H

#include "parties.h"

#include <sched.h>

struct scenario {
	void (*run)(struct side *s);
	enum memory memory;
	bool direct; /* wants O_DIRECT */
	/* Where they differ: each side's own.  NULL: the same, whatever it is. */
	const char *clause, *linux_text, *text, *linux_pages, *pages;
};

/* ---- running ------------------------------------------------------------------------------------ */

static void start_linux(struct side *s)
{
	int flags = s->memory == ANON_SHARED ? MAP_SHARED : MAP_PRIVATE;
	size_t len = s->memory == HUGE_PRIVATE ? LEAF : FIRST_PAGES * PG;
	char *p = mmap(NULL, 8 * LEAF, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	assert_ptr_not_equal(p, MAP_FAILED);
	s->at = ((unsigned long)p + LEAF - 1) & ~(LEAF - 1);
	s->fd = -1;
	if (s->memory == FILE_PRIVATE) {
		new_path(s->path, sizeof(s->path));
		s->fd = new_file(s->path, len, false);
		len += 2 * PG; /* beyond its end */
	}
	p = mmap((void *)s->at, len, PROT_READ | PROT_WRITE, flags | MAP_FIXED | (s->fd < 0 ? MAP_ANONYMOUS : 0), s->fd,
	         0);
	assert_int_equal((unsigned long)p, s->at);
	if (s->memory == HUGE_PRIVATE)
		assert_ok(madvise(p, len, MADV_HUGEPAGE));
}

static void start_pinfold(struct side *s)
{
	struct pinfold_file_options fo = { .size = sizeof(fo) };

	s->m = MACHINE();
	s->s[P] = new_space(s->m, s->mode);
	s->fd = -1;
	if (s->memory == FILE_PRIVATE) {
		new_path(s->path, sizeof(s->path));
		s->fd = new_file(s->path, FIRST_PAGES * PG, false);
		assert_ok(pinfold_open(s->m, s->path, &fo, &s->file));
		map_file(&s->s[P], 0, FIRST_PAGES + 2, RW, PRIVATE, s->file, 0);
		s->shared = new_space(s->m, PINFOLD_WINDOW_NONE);
		map_file(&s->shared, 0, FIRST_PAGES, RW, SHARED, s->file, 0);
		return;
	}
	map_anon(&s->s[P], 0, s->memory == HUGE_PRIVATE ? 512 : FIRST_PAGES, RW,
	         s->memory == ANON_SHARED ? SHARED : PRIVATE);
	if (s->memory == HUGE_PRIVATE)
		assert_ok(vm_madvise(s->s[P].mm, s->s[P].at, LEAF, PINFOLD_MADV_HUGEPAGE));
}

static void end_side(struct side *s)
{
	if (s->linux_side ? s->child > 0 : !!s->s[C].mm)
		finish(s);
	if (s->linux_side) {
		munmap((void *)(s->at & ~(LEAF - 1)), 7 * LEAF);
	} else {
		end_space(&s->s[P]);
		if (s->file) {
			end_space(&s->shared);
			assert_ok(pinfold_close(s->file));
		}
		end_machine(s->m);
	}
	if (s->fd >= 0) {
		close(s->fd);
		unlink(s->path);
	}
}

static bool as_expected(const struct side *s, const struct scenario *c, const struct side *first)
{
	const char *text = s->linux_side ? c->linux_text : c->text;
	const char *pages = s->linux_side ? c->linux_pages : c->pages;

	if (strcmp(s->text, text ? text : first->text))
		return false;
	/* Without a window there is nothing to look at, and without root no frame is shown. */
	if (geteuid() || (!s->linux_side && s->mode == PINFOLD_WINDOW_NONE))
		return true;
	return !strcmp(s->pages, pages ? pages : first->pages);
}

static void compare(const struct scenario *c)
{
	struct side s[] = {
		{ .name = "Linux", .linux_side = true },
		{ .name = "pinfold, extent", .mode = PINFOLD_WINDOW_EXTENT },
		{ .name = "pinfold, none", .mode = PINFOLD_WINDOW_NONE },
	};
	bool good = true;

	for (int i = 0; i < 3; i++) {
		arm_signals();
		s[i].memory = c->memory;
		if (s[i].linux_side)
			start_linux(&s[i]);
		else
			start_pinfold(&s[i]);
		c->run(&s[i]);
		end_side(&s[i]);
	}
	for (int i = 0; i < 3; i++)
		good &= as_expected(&s[i], c, &s[0]);
	for (int i = 0; i < 3 && !good; i++)
		print_message("%-16s %s | %s\n", s[i].name, s[i].text, s[i].pages);
	assert_true(good);
}

static bool has_huge_pages(void)
{
	int fd = open("/sys/kernel/mm/transparent_hugepage/enabled", O_RDONLY | O_CLOEXEC);
	char text[100] = "[never]";

	if (fd >= 0 && read(fd, text, sizeof(text) - 1) < 0)
		print_message("cannot read transparent_hugepage/enabled\n");
	close(fd);
	return !strstr(text, "[never]");
}

static void run_scenario(void **state)
{
	const struct scenario *c = *state;

	need_uring();
	if ((c->direct && dev.direct < 0) || (c->memory == HUGE_PRIVATE && !has_huge_pages())) {
		print_message("skipped: no %s here\n", c->direct ? "O_DIRECT" : "huge pages");
		skip();
	}
	if (geteuid())
		print_message("pages are not compared: not root\n");
	compare(c);
}

/* On several CPUs the kernel's caches of pages hold references now and then, and it copies what it would reuse (W10). */
HELPER void stay_on_one_cpu(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((unsigned)sched_getcpu(), &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		abort();
}

/* Where O_DIRECT reads find a page of nines, and writes have another to go to. */
HELPER void open_direct_file(void)
{
	char path[600], page[PG];
	int fd;

	find_folder();
	new_path(path, sizeof(path));
	memset(page, 9, PG);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || pwrite(fd, page, PG, 0) != (ssize_t)PG || ftruncate(fd, 2 * PG))
		abort();
	dev.direct = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
	close(fd);
	unlink(path);
}

#define SCENARIO(fn, memory_, ...) \
	{ #fn, run_scenario, NULL, NULL, &(struct scenario){ .run = fn, .memory = memory_, __VA_ARGS__ } }

/* ---- short forms: p is a page, b a byte ---------------------------------------------------------- */

HELPER long load(struct side *s, enum who who, unsigned p)
{
	return act(s, who, LOAD, p * PG, 0, 0);
}

HELPER long store(struct side *s, enum who who, unsigned p, int b)
{
	return act(s, who, STORE, p * PG, 0, b);
}

HELPER long frame(struct side *s, enum who who, unsigned p)
{
	return act(s, who, FRAME, p * PG, 0, 0);
}

HELPER long pin(struct side *s, enum who who, unsigned p)
{
	return act(s, who, PIN, p * PG, 0, 0);
}

HELPER long unpin(struct side *s, enum who who)
{
	return act(s, who, UNPIN, 0, 0, 0);
}

HELPER long device(struct side *s, enum who who)
{
	return act(s, who, DEVICE_LOAD, 0, 0, 0);
}

HELPER void device_writes(struct side *s, enum who who, int b)
{
	assert_ok(act(s, who, DEVICE_STORE, 0, 0, b));
}

HELPER long advise(struct side *s, enum who who, unsigned p, unsigned n, int advice)
{
	return act(s, who, ADVISE, p * PG, n * PG, advice);
}

HELPER long protect(struct side *s, enum who who, unsigned p, unsigned n, int prot)
{
	return act(s, who, PROTECT, p * PG, n * PG, prot);
}

/* Bytes of pages 0 .. n - 1 as a party sees them. */
HELPER void say_pages(struct side *s, enum who who, unsigned n)
{
	say(s, "%c", who == P ? 'P' : 'C');
	for (unsigned p = 0; p < n; p++)
		say(s, "%c%ld", p ? ',' : ' ', load(s, who, p));
	say(s, "; ");
}

/* Are two frames one page? */
HELPER void say_same(struct side *s, const char *what, long a, long b)
{
	size_t len = strlen(s->pages);

	snprintf(s->pages + len, sizeof(s->pages) - len, "%s %s; ", what, a == b ? "same" : "other");
}

/* Pages 0 .. 3 hold 1 .. 4. */
HELPER void fill_first(struct side *s)
{
	for (unsigned p = 0; p < 4; p++)
		assert_ok(store(s, P, p, 1 + (int)p));
}

#endif
