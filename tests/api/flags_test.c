/* SPDX-License-Identifier: MIT */
/*
 * flags_test.c - every bit of the FOLL flags in every call that takes them: honoured, always so, or -EINVAL; by one table,
 * which doc/differences.md shows, too.
 */
#include "anon.h"

#include "mm/types.h"

#include <pinfold/frame_vector.h>

enum flag_call { FAST, UNLOCKED, GUP, LOCKED, REMOTE, IOV, LOOK, FRAMES, COPY, BATCH, RANGE, NR_FLAG_CALLS }; /* 0 .. 4: call() */

/* For each call, in that order, H: changes what it does; A: accepted, always so; -: -EINVAL. */
static const struct row {
	unsigned flag;
	const char *name, *calls;
} rows[] = {
	{ FOLL_WRITE,    "WRITE",    "HHHHHHHHHHH" },
	{ FOLL_TOUCH,    "TOUCH",    "AAAAAAAA-AA" },
	{ FOLL_GET,      "GET",      "AAAAAAHA-AA" },
	{ FOLL_DUMP,     "DUMP",     "-HHHH-HH---" },
	{ FOLL_FORCE,    "FORCE",    "HHHHHHHH-H-" },
	{ FOLL_NOWAIT,   "NOWAIT",   "-HHHH-AH---" },
	{ 0x40,          "POPULATE", "-----------" },
	{ 0x80,          "SPLIT",    "-----------" },
	{ FOLL_HWPOISON, "HWPOISON", "-AAAA-AA---" },
	{ 0x200,         "NUMA",     "-----------" },
	{ 0x400,         "MIGRATION", "-----------" },
	{ 0x800,         "TRIED",    "-----------" },
	{ 0x1000,        "MLOCK",    "-----------" },
	{ 0x2000,        "REMOTE",   "-----------" },
	{ 0x4000,        "COW",      "-----------" },
	{ FOLL_ANON,     "ANON",     "-HHHH-HH---" },
	{ FOLL_LONGTERM, "LONGTERM", "HHHHHHHA-HH" },
};
#define NR_ROWS (sizeof(rows) / sizeof(rows[0]))

static char outcome_of(unsigned flag, enum flag_call c)
{
	for (unsigned i = 0; i < NR_ROWS; i++)
		if (rows[i].flag == flag)
			return rows[i].calls[c];
	return '-';
}

/* What a call did with one page. */
struct did {
	long r;        /* 1, 0 or -errno */
	uint64_t pins; /* held when it returned */
	bool own;      /* memory of the mm's own, no page of a file */
};

static void did_look(struct did *d, const struct space *s, unsigned long at, unsigned flags)
{
	struct page *page;

	mmap_read_lock(s->mm);
	page = follow_page(vma_lookup(s->mm, at), at, flags);
	mmap_read_unlock(s->mm);
	d->r = IS_ERR(page) ? PTR_ERR(page) : page ? 1 : 0;
	d->pins = now_pinned(s->mm->machine);
	if (d->r == 1)
		d->own = has_flag(page, PG_anon);
	if (d->r == 1 && (flags & FOLL_GET))
		assert_ok(put_user_page(page));
}

static void did_frames(struct did *d, const struct space *s, unsigned long at, unsigned flags)
{
	struct frame_vector *vec = frame_vector_create(1);

	d->r = get_vaddr_frames(at, 1, flags, vec);
	d->pins = now_pinned(s->mm->machine);
	if (d->r == 1)
		d->own = has_flag(frame_vector_pages(vec)[0], PG_anon);
	assert_ok(put_vaddr_frames(vec));
	assert_ok(frame_vector_destroy(vec));
}

static void did_range(struct did *d, const struct space *s, unsigned long at, unsigned flags)
{
	struct pinfold_range_pin range;
	struct page *page;
	int r = pinfold_pin_range(at, 1, flags, &page, &range);

	d->r = r ? r : 1;
	d->pins = now_pinned(s->mm->machine);
	if (r)
		return;
	d->own = has_flag(page, PG_anon);
	assert_ok(pinfold_unpin_range(&range));
}

static void did_pin(struct did *d, enum flag_call c, const struct space *s, unsigned long at, unsigned flags)
{
	struct page *page;
	struct iovec iov[1];
	int n = 1;

	if (c == IOV)
		d->r = pinfold_iov(at, PG, flags, &page, iov, &n);
	else if (c == BATCH)
		d->r = pinfold_pin_batch(&at, 1, flags, &page);
	else
		d->r = call((int)c, s->mm, at, 1, flags, &page);
	d->pins = now_pinned(s->mm->machine);
	if (d->r == 1) {
		d->own = has_flag(page, PG_anon);
		assert_ok(put_user_page(page));
	}
}

static struct did do_call(enum flag_call c, const struct space *s, unsigned p, unsigned flags)
{
	unsigned long at = s->at + p * PG;
	struct did d = { 0 };
	char byte = 0;

	assert_ok(pinfold_use_mm(s->mm));
	if (c == LOOK)
		did_look(&d, s, at, flags);
	else if (c == FRAMES)
		did_frames(&d, s, at, flags);
	else if (c == RANGE)
		did_range(&d, s, at, flags);
	else if (c == COPY)
		d.r = access_process_vm(s->mm, at, &byte, 1, flags);
	else
		did_pin(&d, c, s, at, flags);
	return d;
}

/* A look must find the page there, and hold it for what only a holder may ask for. */
static struct did do_flag(enum flag_call c, const struct space *s, unsigned p, unsigned flag)
{
	return do_call(c, s, p, c == LOOK && flag == FOLL_LONGTERM ? flag | FOLL_GET : flag);
}

/* Clauses A3, A4, A16 as replaced: every single bit, in every call: what is not honoured is refused, and nothing happens. */
static void every_bit_is_honoured_or_refused(void **state)
{
	struct pinfold_stats before, after;
	struct space s;
	struct world w;

	WORLD(w, *state);
	s = space_of(&w);
	for (enum flag_call c = 0; c < NR_FLAG_CALLS; c++)
		for (int bit = 0; bit < 32; bit++) {
			unsigned flag = 1u << bit;

			if (outcome_of(flag, c) != '-') {
				assert_int_not_equal(do_flag(c, &s, 1, flag).r, -EINVAL);
				continue;
			}
			before = stats_of(w.m);
			assert_int_equal(do_flag(c, &s, 2, flag).r, -EINVAL);
			assert_int_equal(do_flag(c, &s, 2, flag | FOLL_WRITE).r, -EINVAL);
			after = stats_of(w.m);
			assert_int_equal(after.pins_acquired, before.pins_acquired);
			assert_int_equal(after.dirty_pages, before.dirty_pages);
			assert_int_equal(after.faults_missing + after.faults_write,
			                 before.faults_missing + before.faults_write);
		}
	world_end(&w);
}

/* Clauses A5, A7 as replaced, F7: flags that are accepted because it is always so: with and without, the same. */
static void accepted_flags_change_nothing(void **state)
{
	struct space s;
	struct world w;

	WORLD(w, *state);
	s = space_of(&w);
	assert_true(page_is(&w, 0, 1));
	for (unsigned i = 0; i < NR_ROWS; i++)
		for (enum flag_call c = 0; c < NR_FLAG_CALLS; c++) {
			struct did with, without;

			if (rows[i].calls[c] != 'A')
				continue;
			without = do_call(c, &s, 1, 0);
			with = do_call(c, &s, 1, rows[i].flag);
			assert_int_equal(with.r, 1);
			assert_int_equal(with.r, without.r);
			assert_int_equal(with.pins, without.pins);
			assert_int_equal(with.own, without.own);
		}
	world_end(&w);
}

/* ---- what honoured flags change ---------------------------------------------------------------- */

/* Pages of the space: a file shared, read-only, not accessible, private; 16 of memory, untouched. */
enum { FILE_AT = 0, RO_AT = 32, NONE_AT = 48, MEMORY_AT = 64, PRIVATE_AT = 96 };

/* WRITE: wants the right to write. */
static void write_shows(enum flag_call c, const struct space *s)
{
	assert_ok(put_user_page(pin_at(s, RO_AT, 0)));
	assert_int_equal(do_call(c, s, RO_AT, 0).r, 1);
	assert_int_equal(do_call(c, s, RO_AT, FOLL_WRITE).r, -EFAULT);
	assert_int_equal(last_error(), -EACCES);
}

/* FORCE: reads what may not be read. */
static void force_shows(enum flag_call c, const struct space *s)
{
	assert_ok(put_user_page(pin_at(s, NONE_AT, FOLL_FORCE)));
	assert_int_equal(do_call(c, s, NONE_AT, 0).r, -EFAULT);
	assert_int_equal(do_call(c, s, NONE_AT, FOLL_FORCE).r, 1);
}

/* ANON: anonymous mappings only. */
static void anon_shows(enum flag_call c, const struct space *s)
{
	assert_ok(put_user_page(pin_at(s, FILE_AT, 0)));
	poke(s, MEMORY_AT * PG, 1);
	assert_int_equal(do_call(c, s, FILE_AT, 0).r, 1);
	assert_int_equal(do_call(c, s, FILE_AT, FOLL_ANON).r, -EFAULT);
	assert_int_equal(do_call(c, s, MEMORY_AT, FOLL_ANON).r, 1);
}

/* DUMP: untouched memory is an error, and stays untouched. */
static void dump_shows(enum flag_call c, const struct space *s)
{
	unsigned p = MEMORY_AT + 1 + (unsigned)c;

	assert_int_equal(do_call(c, s, p, FOLL_DUMP).r, -EFAULT);
	assert_int_equal(do_call(c, s, p, 0).r, c == LOOK ? 0 : 1);
	poke(s, p * PG, 1);
	assert_int_equal(do_call(c, s, p, FOLL_DUMP).r, 1);
}

/* NOWAIT: what is not in memory is not read. */
static void nowait_shows(enum flag_call c, const struct space *s)
{
	uint64_t read;

	pinfold_reclaim(s->mm->machine, 1000);
	read = stats_of(s->mm->machine).pages_read;
	assert_int_equal(do_call(c, s, FILE_AT + 9, FOLL_NOWAIT).r, c == FRAMES ? -EFAULT : 0);
	assert_int_equal(stats_of(s->mm->machine).pages_read, read);
	assert_int_equal(do_call(c, s, FILE_AT + 9, 0).r, 1);
}

/* LONGTERM: not a file's page where it may be replaced by a copy; without a fault there is none. */
static void longterm_shows(enum flag_call c, const struct space *s)
{
	unsigned p = PRIVATE_AT + (unsigned)c;
	struct did d;

	assert_ok(put_user_page(pin_at(s, p, 0)));
	d = do_call(c, s, p, 0);
	assert_true(d.r == 1 && !d.own);
	d = do_flag(c, s, p, FOLL_LONGTERM);
	assert_true(c == LOOK ? !d.r : d.r == 1 && d.own);
}

/* GET: follow_page() holds the page. */
static void get_shows(enum flag_call c, const struct space *s)
{
	assert_ok(put_user_page(pin_at(s, FILE_AT, 0)));
	assert_int_equal(do_call(c, s, FILE_AT, 0).pins, 0);
	assert_int_equal(do_call(c, s, FILE_AT, FOLL_GET).pins, 1);
}

static void (*shows(unsigned flag))(enum flag_call, const struct space *)
{
	switch (flag) {
	case FOLL_WRITE:
		return write_shows;
	case FOLL_FORCE:
		return force_shows;
	case FOLL_ANON:
		return anon_shows;
	case FOLL_DUMP:
		return dump_shows;
	case FOLL_NOWAIT:
		return nowait_shows;
	case FOLL_LONGTERM:
		return longterm_shows;
	default:
		return get_shows;
	}
}

/* Clauses V2, V4, V9, V18, L10, T3: what each honoured flag changes, in each call that honours it. */
static void honoured_flags_show(void **state)
{
	struct space s;
	struct world w;

	WORLD(w, *state, .machine_flags = PINFOLD_NO_URING);
	s = new_space(w.m, w.mode);
	map_file(&s, FILE_AT, 16, RW, SHARED, w.file, 0);
	map_file(&s, RO_AT, 8, RO, SHARED, w.file, 0);
	map_file(&s, NONE_AT, 8, PINFOLD_PROT_NONE, SHARED, w.file, 0);
	map_anon(&s, MEMORY_AT, 16, RW, PRIVATE);
	map_file(&s, PRIVATE_AT, 16, RO, PRIVATE, w.file, 0);
	for (unsigned i = 0; i < NR_ROWS; i++)
		for (enum flag_call c = 0; c < NR_FLAG_CALLS; c++) {
			if (rows[i].calls[c] != 'H')
				continue;
			shows(rows[i].flag)(c, &s);
			assert_int_equal(now_pinned(w.m), 0);
		}
	end_space(&s);
	assert_ok(pinfold_use_mm(w.mm));
	world_end(&w);
}

/* ---- the document ------------------------------------------------------------------------------ */

/* The columns of the document's table. */
static const enum flag_call columns[] = { UNLOCKED, FAST, RANGE, LOOK, FRAMES, COPY };

static const char *word_for(char outcome)
{
	return outcome == 'H' ? "honoured" : outcome == 'A' ? "always" : "-EINVAL";
}

static void table_line(char *line, size_t size, const struct row *row)
{
	int n = snprintf(line, size, "| %s |", row->name);

	for (unsigned i = 0; i < sizeof(columns) / sizeof(columns[0]); i++)
		n += snprintf(line + n, size - (size_t)n, " %s |", word_for(row->calls[columns[i]]));
}

/* Decision D1: the table in doc/differences.md is this one; calls that share a column agree. */
static void the_document_says_the_same(void **state)
{
	const char *source = getenv("PINFOLD_SOURCE");
	static char text[1 << 16];
	char path[500], line[300];
	FILE *f;

	(void)state;
	for (unsigned i = 0; i < NR_ROWS; i++) {
		const char *c = rows[i].calls;

		assert_true(c[GUP] == c[UNLOCKED] && c[LOCKED] == c[UNLOCKED] && c[REMOTE] == c[UNLOCKED]);
		assert_true(c[IOV] == c[FAST] && c[BATCH] == c[FAST]);
	}
	if (!source) {
		print_message("skipped: PINFOLD_SOURCE is not set: where is the source tree?\n");
		skip();
	}
	snprintf(path, sizeof(path), "%s/doc/differences.md", source);
	f = fopen(path, "r");
	assert_non_null(f);
	assert_true(fread(text, 1, sizeof(text) - 1, f) > 0);
	fclose(f);
	for (unsigned i = 0; i < NR_ROWS; i++) {
		table_line(line, sizeof(line), &rows[i]);
		if (!strstr(text, line))
			fail_msg("doc/differences.md has no line '%s'", line);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		EACH(every_bit_is_honoured_or_refused),
		EACH(accepted_flags_change_nothing),
		FILES(honoured_flags_show),
		PLAIN(the_document_says_the_same),
	};

	return world_main(tests);
}
