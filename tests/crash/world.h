/* SPDX-License-Identifier: MIT */
/*
 * world.h - what the crash tests share: a history of commits that can be recomputed, a program that
 * lives through it on a fake disk, and the inspection of what a cut left.
 *
 * State k is the file as commit k leaves it.  A model holds states 0..n: the file's size, and for
 * each page which commit touched it last; a page's content is derived from (version, page).  So
 * every page found on a disk tells whose it is, and a page that is nobody's is torn.
 *
 * Use: model_extend(); run_open() on a disk, live(), run_close(); then inspect() disks made by
 * fake_disk_crash().  Functions return a message (static, valid until the next) or NULL: good.
 */
#ifndef PINFOLD_TEST_WORLD_H
#define PINFOLD_TEST_WORLD_H

#include "host/fake.h"
#include "mm/machine.h"

#include <pinfold/pinfold.h>

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { PAGES = 512, STATES = 80, BATCH = 32, BEGUN = 1, FINISHED = 2 };
/* Page memory of a machine; half of it is staging, with TIGHT only TIGHT_STAGING pages. */
enum { SMALL = 2 << 20, TIGHT = 6 << 20, LARGE = 8 << 20, TIGHT_STAGING = 16 };
#define DATA "data"

struct model {
	uint64_t seed;
	uint64_t size[STATES];
	uint32_t ver[STATES][PAGES]; /* 0: never written */
	uint16_t len[STATES][PAGES]; /* bytes that the version wrote */
};

struct run {
	struct host_disk *disk;
	struct pinfold *machine;
	size_t memory;
	unsigned flags; /* of the file */
	struct pinfold_file *file;
	struct mm_struct *mm;
	unsigned long addr;
};

static uint64_t mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
	x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
	return x ^ (x >> 31);
}

__attribute__((format(printf, 1, 2))) static const char *message(const char *fmt, ...)
{
	static char text[600], last[600];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	memcpy(last, text, sizeof(last)); /* text may be among the arguments next time */
	return last;
}

static uint64_t pages_of(uint64_t size)
{
	return (size + HOST_PAGE - 1) / HOST_PAGE;
}

/* ---- history --------------------------------------------------------------------------------- */

static uint32_t version(unsigned life, unsigned k)
{
	return (life + 1) << 16 | k;
}

/* State k out of state k - 1: grown or not, some pages touched, some of them often. */
static void model_step(struct model *m, unsigned life, unsigned k)
{
	uint64_t r = mix(m->seed ^ mix(version(life, k))), size = m->size[k - 1];
	unsigned touch = r % 23 == 0 ? 800 : r % 11 == 0 ? 40 + (r >> 8) % 40 : 1 + (r >> 8) % 12;
	unsigned pages;

	memcpy(m->ver[k], m->ver[k - 1], sizeof(m->ver[k]));
	memcpy(m->len[k], m->len[k - 1], sizeof(m->len[k]));
	if (size == 0 && m->seed % 3 == 0)
		size = 400 * HOST_PAGE; /* large commits are of more than one batch then */
	else if (size == 0 || (r >> 16) % 5 == 0)
		size = (pages_of(size) + 1 + (r >> 20) % 24) * HOST_PAGE;
	if (size > m->size[k - 1] && (r >> 24) % 3 == 0)
		size -= 1 + (r >> 28) % 3000;
	if (size > PAGES * HOST_PAGE)
		size = m->size[k - 1];
	m->size[k] = size;
	pages = (unsigned)pages_of(size);
	if ((r >> 32) % 13 == 0)
		touch = 0; /* growth alone, or nothing at all */
	for (unsigned i = 0; i < touch; i++) {
		bool hot = touch < 100 && pages > 8 && mix(r ^ i) & 1;
		unsigned p = (unsigned)(mix(r + i) % (hot ? 8 : pages));
		uint64_t left = size - p * HOST_PAGE;

		m->ver[k][p] = version(life, k);
		m->len[k][p] = (uint16_t)(left < HOST_PAGE ? left : HOST_PAGE);
	}
}

/* States from + 1 .. to, as the program's life number `life` makes them out of state `from`. */
static void model_extend(struct model *m, unsigned life, unsigned from, unsigned to)
{
	assert_true(to < STATES);
	for (unsigned k = from + 1; k <= to; k++)
		model_step(m, life, k);
}

static bool touched(const struct model *m, unsigned k, unsigned page)
{
	return m->ver[k][page] != m->ver[k - 1][page];
}

static void page_fill(uint64_t *w, uint32_t ver, unsigned page, unsigned len)
{
	uint64_t x = mix((uint64_t)ver << 32 | page);

	memset(w, 0, HOST_PAGE);
	if (!ver)
		return;
	w[0] = (uint64_t)ver << 32 | page;
	for (unsigned i = 1; i < HOST_PAGE / 8; i++) {
		x = x * 6364136223846793005u + 1442695040888963407u;
		w[i] = x ^ x >> 29;
	}
	memset((char *)w + len, 0, HOST_PAGE - len);
}

/* ---- the program ----------------------------------------------------------------------------- */

/*
 * Most of the time would go into making machines.  With keep_machines small ones are used again, on
 * another disk each time; forget_machines() closes them.
 */
static bool keep_machines;
static struct pinfold *kept[4];

static struct pinfold *machine_get(struct run *r)
{
	struct pinfold_options opts = {
		.size = sizeof(opts), .memory = r->memory, .pool = r->memory,
		.staging = r->memory / 2, .deadline_ms = 1000, .flags = PINFOLD_NO_URING,
	};
	struct pinfold *m = NULL;

	for (int i = 0; i < 4 && !m && r->memory == SMALL; i++) {
		m = kept[i];
		kept[i] = NULL;
	}
	if (m) {
		m->disk = r->disk;
		return m;
	}
	if (r->flags & PINFOLD_FILE_DIRECT)
		opts.memory += PAGES * HOST_PAGE;
	if (r->memory == TIGHT)
		opts.staging = TIGHT_STAGING * HOST_PAGE;
	assert_int_equal(machine_create_on(r->disk, &opts, &m), 0);
	return m;
}

static void machine_put(struct run *r)
{
	assert_int_equal(pinfold_check(r->machine), 0);
	for (int i = 0; i < 4 && keep_machines && r->memory == SMALL; i++) {
		if (!kept[i]) {
			kept[i] = r->machine;
			return;
		}
	}
	assert_int_equal(pinfold_destroy(r->machine), 0);
}

static void forget_machines(void)
{
	keep_machines = false;
	for (int i = 0; i < 4; i++) {
		if (kept[i])
			assert_int_equal(pinfold_destroy(kept[i]), 0);
		kept[i] = NULL;
	}
}

/* PINFOLD_FILE_HOME_LATER in the tests' second turn: for every file with a journal. */
static unsigned turn_flags;

/* Opens the file on that disk with a machine of its own: 0 or -errno with all undone. */
static int run_open(struct run *r, struct host_disk *disk, size_t memory, unsigned flags)
{
	struct pinfold_file_options fo = {
		.size = sizeof(fo), .flags = flags | PINFOLD_FILE_CREATE,
	};
	const int prot = PINFOLD_PROT_READ | PINFOLD_PROT_WRITE;
	long addr;
	int err;

	if (!(flags & PINFOLD_FILE_NO_JOURNAL))
		fo.flags |= turn_flags;
	*r = (struct run){ .disk = disk, .memory = memory, .flags = flags };
	r->machine = machine_get(r);
	err = pinfold_open(r->machine, DATA, &fo, &r->file);
	if (err) {
		machine_put(r);
		return err;
	}
	assert_int_equal(pinfold_mm_create(r->machine, PINFOLD_WINDOW_NONE, &r->mm), 0);
	addr = vm_mmap(r->mm, 0, PAGES * HOST_PAGE, prot, PINFOLD_MAP_SHARED, r->file, 0);
	assert_true(addr > 0);
	r->addr = (unsigned long)addr;
	return 0;
}

/* What pinfold_close() said; everything else has to be right. */
static int run_close(struct run *r)
{
	int err;

	assert_int_equal(pinfold_use_mm(NULL), 0);
	assert_int_equal(pinfold_mm_destroy(r->mm), 0);
	assert_int_equal(pinfold_check(r->machine), 0);
	err = pinfold_close(r->file);
	machine_put(r);
	return err;
}

static void store_page(struct run *r, const struct model *m, unsigned k, unsigned p)
{
	unsigned long at = r->addr + p * HOST_PAGE;
	uint64_t w[HOST_PAGE / 8];
	struct page *page;

	page_fill(w, m->ver[k][p], p, m->len[k][p]);
	if (mix(k * 1000 + p) & 1) {
		long n = access_process_vm(r->mm, at, w, m->len[k][p], FOLL_WRITE);

		assert_int_equal(n, m->len[k][p]);
		return;
	}
	assert_int_equal(get_user_pages_fast(at, 1, FOLL_WRITE, &page), 1);
	memcpy(page_address(page), w, m->len[k][p]);
	assert_int_equal(put_user_pages_dirty_lock(&page, 1), 0);
}

/* Everything that commit k is to write: growth and stores, at times in a write section. */
static void prepare(struct run *r, const struct model *m, unsigned k)
{
	bool section = mix(k) % 3 == 0;
	unsigned n = 0;

	assert_int_equal(pinfold_use_mm(r->mm), 0); /* an inspection may have been between */
	if (m->size[k] != m->size[k - 1])
		assert_int_equal(vfs_truncate(r->file, m->size[k]), 0);
	for (unsigned p = 0; p < PAGES; p++)
		n += touched(m, k, p);
	if (section)
		assert_int_equal(pinfold_write_begin(r->file, n * HOST_PAGE), 0);
	for (unsigned p = 0; p < PAGES; p++)
		if (touched(m, k, p))
			store_page(r, m, k, p);
	if (section)
		assert_int_equal(pinfold_write_end(r->file), 0);
}

/* ---- inspection ------------------------------------------------------------------------------ */

/* Does `found` hold page p of state k?  Else a message. */
static const char *page_is(const struct model *m, unsigned k, unsigned p, const void *found)
{
	uint64_t want[HOST_PAGE / 8], head;
	unsigned at = 0;
	uint32_t ver;

	page_fill(want, m->ver[k][p], p, m->len[k][p]);
	if (!memcmp(want, found, HOST_PAGE))
		return NULL;
	memcpy(&head, found, 8);
	ver = (uint32_t)(head >> 32);
	while (((const char *)want)[at] == ((const char *)found)[at])
		at++;
	return message("page %u begins as version %u of life %d of page %u, wanted version %u of"
	               " life %d (%u bytes), first difference at byte %u", p, ver & 0xffff,
	               (int)(ver >> 16) - 1, (uint32_t)head, m->ver[k][p] & 0xffff,
	               (int)(m->ver[k][p] >> 16) - 1, m->len[k][p], at);
}

/* Compares [0, size) as the program sees it with state k, at most BATCH pages pinned at a time. */
static const char *view_is(struct run *r, const struct model *m, unsigned k)
{
	unsigned pages = (unsigned)pages_of(m->size[k]);
	const char *bad = NULL;
	struct page *pin[BATCH];

	assert_int_equal(pinfold_use_mm(r->mm), 0);
	if (pinfold_size(r->file) != (int64_t)m->size[k])
		return message("size %ld, wanted %lu", (long)pinfold_size(r->file), m->size[k]);
	for (unsigned p = 0, n; p < pages && !bad; p += n) {
		int got;

		n = pages - p < BATCH ? pages - p : BATCH;
		got = get_user_pages_fast(r->addr + p * HOST_PAGE, (int)n, 0, pin);
		if (got != (int)n) {
			bad = message("reading %u pages at page %u gave %d", n, p, got);
			n = got > 0 ? (unsigned)got : 0;
		}
		for (unsigned i = 0; i < n && !bad; i++)
			bad = page_is(m, k, p + i, page_address(pin[i]));
		assert_int_equal(put_user_pages(pin, n), 0);
	}
	return bad;
}

/* The same on the disk itself. */
static const char *disk_is(struct host_disk *d, const struct model *m, unsigned k)
{
	int64_t size = fake_disk_file_size(d, DATA);
	char buf[HOST_PAGE];
	const char *bad = NULL;

	if (size != (int64_t)m->size[k])
		return message("size on disk %ld, wanted %lu", (long)size, m->size[k]);
	for (unsigned p = 0; p < pages_of(m->size[k]) && !bad; p++) {
		memset(buf, 0, sizeof(buf));
		fake_disk_read(d, DATA, buf, sizeof(buf), p * HOST_PAGE);
		bad = page_is(m, k, p, buf);
	}
	return bad;
}

/* Opens what a cut left: exactly one state of lo..hi must be there, before and after closing. */
static const char *inspect(struct host_disk *d, const struct model *m, unsigned lo, unsigned hi,
                           unsigned *found)
{
	const char *bad = message("lo %u is over hi %u", lo, hi);
	struct run r;
	unsigned k;
	int err = run_open(&r, d, SMALL, 0);

	if (err)
		return message("open gave %d", err);
	for (k = lo; k <= hi; k++) {
		bad = view_is(&r, m, k);
		if (!bad)
			break;
	}
	err = run_close(&r);
	if (bad)
		return message("not a state of %u..%u: %s", lo, hi, bad);
	if (err)
		return message("close gave %d", err);
	if (found)
		*found = k;
	bad = disk_is(d, m, k);
	return bad ? message("after closing state %u: %s", k, bad) : NULL;
}

/* One cut of a recorded life.  The range comes from the marks. */
static const char *inspect_cut(struct host_disk *d, const struct model *m, unsigned long prefix,
                               int mode, uint64_t seed)
{
	unsigned lo = (unsigned)fake_disk_marked(d, FINISHED, prefix);
	unsigned hi = (unsigned)fake_disk_marked(d, BEGUN, prefix);
	struct host_disk *c = fake_disk_crash(d, prefix, mode, seed);
	const char *bad = inspect(c, m, lo, hi, NULL);

	fake_disk_destroy(c);
	if (!bad)
		return NULL;
	return message("prefix %lu of %lu, mode %d, seed %lu: %s", prefix, fake_disk_ops(d), mode,
	               seed, bad);
}

#define assert_good(expr) \
	do { \
		const char *bad_ = (expr); \
		if (bad_) \
			fail_msg("%s", bad_); \
	} while (0)

#endif
