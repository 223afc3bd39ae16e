/* SPDX-License-Identifier: MIT */
/*
 * table.h - the table of scenarios: runs each row on the kernel and on pinfold and compares what was seen.
 *
 * A row is SCENARIO("a sentence", "clauses", function, memory, ...).  Each file has a part of the table and ends with
 * ORACLE_MAIN(); a row is a test for each way of pinfold that applies to its memory.  What is meant to differ
 * (doc/differences.md) stands in the row, DIFFERS() or .linux_pages and .pages, with both outcomes and the clause: both
 * are tested.
 */
#ifndef PINFOLD_ORACLE_TABLE_H
#define PINFOLD_ORACLE_TABLE_H

#include "parties.h"

#include <linux/magic.h>
#include <sched.h>
#include <sys/utsname.h>
#include <sys/vfs.h>

struct scenario {
	const char *name, *clauses;
	void (*run)(struct side *s);
	enum memory memory;
	bool direct;        /* wants O_DIRECT */
	bool dirty_tracked; /* wants a file system that writes back */
	int since;          /* wants this kernel: 617 is 6.17 */
	/* Where they differ: each side's own.  NULL: the same, whatever it is. */
	const char *differs, *linux_text, *text, *linux_pages, *pages;
};

#define SCENARIO(name_, clauses_, fn, memory_, ...) \
	{ .name = name_, .clauses = clauses_, .run = fn, .memory = memory_, __VA_ARGS__ }
#define DIFFERS(clause, linux_, pinfold_) .differs = clause, .linux_text = linux_, .text = pinfold_
#define PAGES_DIFFER(clause, linux_, pinfold_) .differs = clause, .linux_pages = linux_, .pages = pinfold_

/* ---- a side's beginning and end ----------------------------------------------------------------- */

HELPER bool has_file(const struct side *s)
{
	return s->memory == FILE_PRIVATE || s->memory == FILE_SHARED || s->memory == MEMFD_SHARED;
}

HELPER bool is_shared(const struct side *s)
{
	return s->memory == ANON_SHARED || s->memory == FILE_SHARED || s->memory == MEMFD_SHARED;
}

/* What is mapped at first: a file's mapping goes on behind its end. */
HELPER unsigned first_pages(const struct side *s)
{
	return s->memory == HUGE_PRIVATE ? 512 : FIRST_PAGES + (has_file(s) ? 2 : 0);
}

HELPER void fill_file(int fd)
{
	char page[PG];

	for (unsigned p = 0; p < FIRST_PAGES; p++) {
		fill(page, 0, p);
		assert_int_equal(pwrite(fd, page, PG, p * PG), PG);
	}
}

HELPER void start_linux(struct side *s)
{
	int flags = is_shared(s) ? MAP_SHARED : MAP_PRIVATE;
	size_t len = first_pages(s) * PG;
	char *p = mmap(NULL, 8 * LEAF, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	assert_ptr_not_equal(p, MAP_FAILED);
	for (int i = C; i < PARTIES; i++)
		assert_ok(pipe(s->to[i]) || pipe(s->from[i]));
	s->at = ((unsigned long)p + LEAF - 1) & ~(LEAF - 1);
	if (s->memory == MEMFD_SHARED) {
		s->fd = memfd_create("oracle", MFD_CLOEXEC);
		fill_file(s->fd);
	} else if (has_file(s)) {
		s->fd = new_file(s->path, FIRST_PAGES * PG, false);
	}
	p = mmap((void *)s->at, len, RW, flags | MAP_FIXED | (s->fd < 0 ? MAP_ANONYMOUS : 0), s->fd, 0);
	assert_int_equal((unsigned long)p, s->at);
	if (s->memory == HUGE_PRIVATE)
		assert_ok(madvise(p, len, MADV_HUGEPAGE));
}

HELPER void start_file(struct side *s)
{
	struct pinfold_file_options fo = { .size = sizeof(fo), .flags = s->direct ? PINFOLD_FILE_DIRECT : 0 };
	char page[PG];

	if (s->memory == MEMFD_SHARED) {
		assert_ok(pinfold_open_memory(s->m, FIRST_PAGES * PG, NULL, &s->file));
	} else {
		s->fd = new_file(s->path, FIRST_PAGES * PG, false);
		assert_ok(pinfold_open(s->m, s->path, &fo, &s->file));
	}
	if (s->mode == PINFOLD_WINDOW_DIRECT)
		s->s[P].at = free_place(1024);
	map_file(&s->s[P], 0, first_pages(s), RW, is_shared(s) ? SHARED : PRIVATE, s->file, 0);
	s->shared = new_space(s->m, PINFOLD_WINDOW_NONE);
	map_file(&s->shared, 0, FIRST_PAGES, RW, SHARED, s->file, 0);
	for (unsigned p = 0; s->memory == MEMFD_SHARED && p < FIRST_PAGES; p++) {
		fill(page, 0, p);
		assert_int_equal(access_process_vm(s->shared.mm, s->shared.at + p * PG, page, PG, FOLL_WRITE), PG);
	}
}

HELPER void start_pinfold(struct side *s)
{
	s->m = MACHINE();
	s->s[P] = new_space(s->m, s->mode);
	if (has_file(s))
		start_file(s);
	else
		map_anon(&s->s[P], 0, first_pages(s), RW, is_shared(s) ? SHARED : PRIVATE);
	if (s->memory == HUGE_PRIVATE)
		assert_ok(vm_madvise(s->s[P].mm, s->s[P].at, LEAF, PINFOLD_MADV_HUGEPAGE));
}

HELPER void start_side(struct side *s)
{
	arm_signals();
	s->fd = -1;
	new_path(s->path, sizeof(s->path));
	if (s->linux_side)
		start_linux(s);
	else
		start_pinfold(s);
}

HELPER void end_linux(struct side *s)
{
	munmap((void *)(s->at & ~(LEAF - 1)), 7 * LEAF);
	for (int i = C; i < PARTIES; i++)
		for (int j = 0; j < 2; j++) {
			close(s->to[i][j]);
			close(s->from[i][j]);
		}
}

HELPER void end_pinfold(struct side *s)
{
	end_space(&s->s[P]);
	if (s->file) {
		end_space(&s->shared);
		assert_ok(pinfold_close(s->file));
	}
	end_machine(s->m);
}

HELPER void end_side(struct side *s)
{
	for (int i = PARTIES - 1; i > P; i--)
		if (s->lives[i])
			end_of(s, (enum who)i);
	if (s->linux_side)
		end_linux(s);
	else
		end_pinfold(s);
	if (s->fd >= 0)
		close(s->fd);
	unlink(s->path);
}

/* ---- one row, one way --------------------------------------------------------------------------- */

static const struct way {
	const char *name;
	enum pinfold_window mode, child_mode;
	bool direct; /* file, so for shared mappings of one only */
} ways[] = {
	{ "extent window", PINFOLD_WINDOW_EXTENT, PINFOLD_WINDOW_EXTENT, false },
	{ "no window", PINFOLD_WINDOW_NONE, PINFOLD_WINDOW_NONE, false },
	{ "window, children without", PINFOLD_WINDOW_EXTENT, PINFOLD_WINDOW_NONE, false },
	{ "no window, children with", PINFOLD_WINDOW_NONE, PINFOLD_WINDOW_EXTENT, false },
	{ "direct file", PINFOLD_WINDOW_NONE, PINFOLD_WINDOW_NONE, true },
	{ "direct window", PINFOLD_WINDOW_DIRECT, PINFOLD_WINDOW_DIRECT, true },
};
#define NR_WAYS (sizeof(ways) / sizeof(ways[0]))

struct row {
	const struct scenario *c;
	const struct way *way;
	char name[250];
};

HELPER bool as_expected(const struct side *s, const struct scenario *c, const struct side *first)
{
	const char *text = s->linux_side ? c->linux_text : c->text;
	const char *pages = s->linux_side ? c->linux_pages : c->pages;

	if (strcmp(s->text, text ? text : first->text))
		return false;
	/* Without a window there is nothing to look at, and without root no frame is shown. */
	if (geteuid() || (!s->linux_side && (!s->mode || !s->child_mode)))
		return true;
	return !strcmp(s->pages, pages ? pages : first->pages);
}

HELPER void compare(const struct scenario *c, const struct way *way)
{
	static struct side s[2];
	bool good = true;

	memset(s, 0, sizeof(s));
	s[0] = (struct side){ .name = "Linux", .linux_side = true };
	s[1] = (struct side){ .name = way->name, .mode = way->mode, .child_mode = way->child_mode,
	                      .direct = way->direct };
	for (int i = 0; i < 2; i++) {
		s[i].memory = c->memory;
		start_side(&s[i]);
		c->run(&s[i]);
		end_side(&s[i]);
		good &= as_expected(&s[i], c, &s[0]);
	}
	for (int i = 0; i < 2 && !good; i++)
		print_message("%-26s %s | %s\n", s[i].name, s[i].text, s[i].pages);
	assert_true(good);
}

HELPER bool has_huge_pages(void)
{
	int fd = open("/sys/kernel/mm/transparent_hugepage/enabled", O_RDONLY | O_CLOEXEC);
	char text[100] = "[never]";

	if (fd >= 0 && read(fd, text, sizeof(text) - 1) < 0)
		print_message("cannot read transparent_hugepage/enabled\n");
	close(fd);
	return !strstr(text, "[never]");
}

HELPER bool is_written_back(void)
{
	struct statfs st;

	return !statfs(folder, &st) && st.f_type != TMPFS_MAGIC;
}

HELPER int kernel_version(void)
{
	struct utsname u;
	int major = 0, minor = 0;

	if (uname(&u) || sscanf(u.release, "%d.%d", &major, &minor) != 2)
		return 0;
	return 100 * major + minor;
}

/* What the machine lacks that the scenario wants. */
HELPER const char *lacking(const struct scenario *c)
{
	if (c->direct && dev.direct < 0)
		return "O_DIRECT";
	if (c->memory == HUGE_PRIVATE && !has_huge_pages())
		return "huge pages";
	if (kernel_version() < c->since)
		return "kernel that new";
	return c->dirty_tracked && !is_written_back() ? "file system that writes back" : NULL;
}

HELPER void run_row(void **state)
{
	const struct row *row = *state;
	const char *what = lacking(row->c);

	need_uring();
	if (row->way->mode == PINFOLD_WINDOW_DIRECT)
		need_window();
	if (what) {
		print_message("skipped: no %s here\n", what);
		skip();
	}
	if (geteuid())
		print_message("pages are not compared: not root\n");
	compare(row->c, row->way);
}

/* Does the clause, or what the document calls it, stand in the first column? */
HELPER bool is_documented(FILE *f, const char *clause)
{
	char line[2000];

	rewind(f);
	while (fgets(line, sizeof(line), f)) {
		char *cell = line[0] == '|' ? strtok(line + 1, "|") : NULL;
		char *at = cell ? strstr(cell, clause) : NULL;

		if (at && (at[strlen(clause)] < '0' || at[strlen(clause)] > '9'))
			return true;
	}
	return false;
}

static struct {
	const struct scenario *rows;
	size_t n;
} whole;

HELPER void every_difference_is_documented(void **state)
{
	const char *source = getenv("PINFOLD_SOURCE");
	char path[600];
	FILE *f;

	(void)state;
	if (!source) {
		print_message("skipped: PINFOLD_SOURCE does not say where doc/differences.md is\n");
		skip();
	}
	snprintf(path, sizeof(path), "%s/doc/differences.md", source);
	f = fopen(path, "r");
	assert_non_null(f);
	for (size_t i = 0; i < whole.n; i++)
		if (whole.rows[i].differs && !is_documented(f, whole.rows[i].differs))
			fail_msg("%s: no %s in doc/differences.md", whole.rows[i].name, whole.rows[i].differs);
	fclose(f);
}

/* ---- the table ---------------------------------------------------------------------------------- */

/* On several CPUs the kernel's caches of pages hold references now and then: it copies what it would reuse (W10). */
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

HELPER int run_table(const struct scenario *table, size_t n, bool mixed)
{
	struct CMUnitTest *tests = calloc(n * NR_WAYS + 1, sizeof(*tests));
	struct row *rows = calloc(n * NR_WAYS, sizeof(*rows));
	size_t nr = 0;
	int r;

	if (!tests || !rows)
		abort();
	stay_on_one_cpu();
	open_direct_file();
	learn_signals();
	for (size_t i = 0; i < n * NR_WAYS; i++) {
		struct row *row = &rows[nr];

		row->c = &table[i / NR_WAYS];
		row->way = &ways[i % NR_WAYS];
		if (row->way->direct && row->c->memory != FILE_SHARED)
			continue;
		if (row->way->mode != row->way->child_mode && !mixed)
			continue;
		snprintf(row->name, sizeof(row->name), "%s (Linux, %s)", row->c->name, row->way->name);
		tests[nr++] = (struct CMUnitTest){ row->name, run_row, NULL, NULL, row };
	}
	whole.rows = table;
	whole.n = n;
	tests[nr++] = (struct CMUnitTest){ .name = "every difference is documented",
	                                   .test_func = every_difference_is_documented };
	r = _cmocka_run_group_tests("oracle", tests, nr, NULL, NULL);
	free(tests);
	free(rows);
	return r;
}

/* mixed: children in windows of another kind than the parent's, too. */
#define ORACLE_MAIN(table, mixed) \
	int main(void) \
	{ \
		return run_table(table, sizeof(table) / sizeof((table)[0]), mixed); \
	}

/* ---- short forms: p is a page, n how many, b a byte ---------------------------------------------- */

HELPER long load(struct side *s, enum who who, unsigned p)
{
	return act(s, who, LOAD, p * PG);
}

HELPER long store(struct side *s, enum who who, unsigned p, int b)
{
	return act(s, who, STORE, p * PG, .arg = b);
}

HELPER long frame(struct side *s, enum who who, unsigned p)
{
	return act(s, who, FRAME, p * PG);
}

HELPER long pin_pages(struct side *s, enum who who, unsigned p, unsigned n)
{
	return act(s, who, PIN, p * PG, n * PG);
}

HELPER long pin(struct side *s, enum who who, unsigned p)
{
	return pin_pages(s, who, p, 1);
}

/* By the other device of the party. */
HELPER long pin_again(struct side *s, enum who who, unsigned p)
{
	return act(s, who, PIN, p * PG, PG, .to = 1);
}

HELPER long unpin(struct side *s, enum who who)
{
	return act(s, who, UNPIN);
}

HELPER long unpin_again(struct side *s, enum who who)
{
	return act(s, who, UNPIN, .to = 1);
}

/* Page p of those that are pinned. */
HELPER long device_page(struct side *s, enum who who, unsigned p)
{
	return act(s, who, DEVICE_LOAD, p * PG);
}

HELPER long device(struct side *s, enum who who)
{
	return device_page(s, who, 0);
}

HELPER void device_writes_page(struct side *s, enum who who, unsigned p, int b)
{
	assert_ok(act(s, who, DEVICE_STORE, p * PG, .arg = b));
}

HELPER void device_writes(struct side *s, enum who who, int b)
{
	device_writes_page(s, who, 0, b);
}

HELPER long refer(struct side *s, enum who who, unsigned p)
{
	return act(s, who, REFER, p * PG);
}

HELPER long referred(struct side *s, enum who who)
{
	return act(s, who, REFERENCE_LOAD);
}

HELPER long advise(struct side *s, enum who who, unsigned p, unsigned n, int advice)
{
	return act(s, who, ADVISE, p * PG, n * PG, advice);
}

HELPER long protect(struct side *s, enum who who, unsigned p, unsigned n, int prot)
{
	return act(s, who, PROTECT, p * PG, n * PG, prot);
}

HELPER long unmap(struct side *s, enum who who, unsigned p, unsigned n)
{
	return act(s, who, UNMAP, p * PG, n * PG);
}

HELPER long map_more(struct side *s, enum who who, unsigned p, unsigned n, int prot, int flags)
{
	return act(s, who, MAP, p * PG, n * PG, prot, .flags = flags | MAP_FIXED | MAP_ANONYMOUS);
}

/* The side's file from page `first` on. */
HELPER long map_its_file(struct side *s, enum who who, unsigned p, unsigned n, int flags, unsigned first)
{
	return act(s, who, MAP, p * PG, n * PG, RW, first * PG, flags | MAP_FIXED);
}

HELPER long move(struct side *s, enum who who, unsigned p, unsigned n, unsigned to)
{
	return act(s, who, REMAP, p * PG, n * PG, (long)(n * PG), to * PG, MREMAP_MAYMOVE | MREMAP_FIXED);
}

HELPER long resize(struct side *s, enum who who, unsigned p, unsigned n, unsigned new_n)
{
	return act(s, who, REMAP, p * PG, n * PG, (long)(new_n * PG));
}

/* Bytes; the result is told as how many, and their sum. */
HELPER long copy_from(struct side *s, enum who who, unsigned long off, unsigned long len)
{
	return act(s, who, COPY_FROM, off, len);
}

HELPER long copy_to(struct side *s, enum who who, unsigned long off, unsigned long len, int b)
{
	return act(s, who, COPY_TO, off, len, b);
}

/* Bytes of pages 0 .. n - 1 as a party sees them. */
HELPER void say_pages(struct side *s, enum who who, unsigned n)
{
	say(s, "%c", "PCG"[who]);
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
