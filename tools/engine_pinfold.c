/* SPDX-License-Identifier: MIT */
/*
 * engine_pinfold.c - the store in a window: plain pointers, one write section for a
 * transfer, freeze when the threads have met, commit_wait while they go on.
 */
#include "demo.h"

#include <pinfold/pinfold.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define POOL (12u << 20)

struct own {
	struct pinfold *machine;
	struct pinfold_file *file;
	struct mm_struct *mm;
	int64_t cut;
};

static int pinfold_store_close(struct store *s)
{
	struct own *o = s->own;
	int rc = 0, rc2;

	if (o->mm) {
		rc = pinfold_mm_destroy(o->mm);
		if (rc < 0)
			store_fail(s, rc, "pinfold_mm_destroy");
	}
	if (o->file) {
		rc2 = pinfold_close(o->file);
		if (rc2 < 0)
			rc = store_fail(s, rc2, "pinfold_close");
	}
	if (o->machine) {
		rc2 = pinfold_destroy(o->machine);
		if (rc2 < 0)
			rc = store_fail(s, rc2, "pinfold_destroy");
	}
	free(o);
	s->own = NULL;
	s->base = NULL;
	return rc;
}

int demo_window(struct pinfold *machine, struct mm_struct **mm)
{
	int rc = pinfold_mm_create(machine, PINFOLD_WINDOW_DIRECT, mm);

	if (rc == -EPERM || rc == -ENOSYS)
		rc = pinfold_mm_create(machine, PINFOLD_WINDOW_EXTENT, mm);
	return rc;
}

static int own_open(struct store *s, struct own *o)
{
	/*
	 * All pages are direct ones: of the pool only the copies of a cut are used, about one page
	 * for each record of 1,000 transfers.
	 */
	bool small = s->memory < (64u << 20);
	struct pinfold_options opts = { .size = sizeof(opts),
		                        .memory = s->memory,
		                        .pool = small ? 0 : POOL,
		                        .staging = small ? 0 : POOL - (4u << 20) };
	/* After a crash the dead process's I/O keeps the lock for a moment. */
	struct pinfold_file_options fopts = { .size = sizeof(fopts),
		                              .flags = PINFOLD_FILE_DIRECT,
		                              .open_wait_ms = 5000 };
	long addr;
	int rc = pinfold_create(&opts, &o->machine);

	if (rc < 0)
		return store_fail(s, rc, "pinfold_create");
	rc = pinfold_open(o->machine, s->path, &fopts, &o->file);
	if (rc < 0)
		return store_fail(s, rc, "pinfold_open");
	rc = demo_window(o->machine, &o->mm);
	if (rc < 0)
		return store_fail(s, rc, "pinfold_mm_create");
	addr = vm_mmap(o->mm, 0, s->size, PINFOLD_PROT_READ | PINFOLD_PROT_WRITE,
	               PINFOLD_MAP_SHARED, o->file, 0);
	if (addr < 0)
		return store_fail(s, (int)addr, "vm_mmap");
	s->base = (char *)addr;
	return 0;
}

static int pinfold_store_open(struct store *s)
{
	struct own *o = calloc(1, sizeof(*o));
	char error[sizeof(s->error)];
	int rc;

	if (!o)
		return store_fail(s, -ENOMEM, "pinfold");
	s->own = o;
	rc = own_open(s, o);
	if (rc < 0) {
		/* What failed first is what is told. */
		memcpy(error, s->error, sizeof(error));
		pinfold_store_close(s);
		memcpy(s->error, error, sizeof(error));
	}
	return rc;
}

/* A transfer stores to two records, so to two pages at most. */
static int pinfold_store_begin(struct store *s)
{
	struct own *o = s->own;
	int rc = pinfold_write_begin(o->file, 2 * PINFOLD_PAGE_SIZE);

	return rc < 0 ? store_fail(s, rc, "pinfold_write_begin") : 0;
}

static int pinfold_store_end(struct store *s)
{
	struct own *o = s->own;
	int rc = pinfold_write_end(o->file);

	return rc < 0 ? store_fail(s, rc, "pinfold_write_end") : 0;
}

static int pinfold_store_freeze(struct store *s)
{
	struct own *o = s->own;

	o->cut = pinfold_freeze(o->file, 0, 0);
	return o->cut < 0 ? store_fail(s, (int)o->cut, "pinfold_freeze") : 0;
}

static int pinfold_store_commit(struct store *s)
{
	struct own *o = s->own;
	struct pinfold_report report = { .size = sizeof(report) };
	int rc = pinfold_commit_wait(o->file, o->cut, &report);

	if (rc < 0)
		return store_fail(s, rc, "pinfold_commit_wait");
	s->own_flushes += report.flushes;
	s->own_bytes += report.journal_bytes + report.home_bytes;
	return 0;
}

static void pinfold_store_ahead(struct store *s, uint64_t off, uint64_t len)
{
	struct own *o = s->own;

	vm_madvise(o->mm, (unsigned long)s->base + off, len, PINFOLD_MADV_WILLNEED);
}

static int pinfold_store_create(struct store *s)
{
	char journal[4096 + 16];

	/* The journal of an earlier store at this path would be replayed into the new one. */
	snprintf(journal, sizeof(journal), "%s.pinfold", s->path);
	unlink(journal);
	return flat_create(s);
}

const struct engine engine_pinfold = {
	.name = "pinfold",
	.reports = true,
	.flat = true,
	.create = pinfold_store_create,
	.open = pinfold_store_open,
	.begin = pinfold_store_begin,
	.end = pinfold_store_end,
	.freeze = pinfold_store_freeze,
	.commit = pinfold_store_commit,
	.ahead = pinfold_store_ahead,
	.close = pinfold_store_close,
};
