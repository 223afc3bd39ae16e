/* SPDX-License-Identifier: MIT */
/* writeback.c - see writeback.h. */
#include "mm/writeback.h"

#include <errno.h>
#include <string.h>

#include "mm/debug.h"
#include "mm/vmstat.h"

/* ---- commit ---------------------------------------------------------------------------------- */

struct batch {
	struct address_space *mapping;
	uint64_t cursor;  /* next file page to look at */
	uint64_t k;       /* pages of the cut before this batch */
	unsigned n;
	struct page *page[BATCH_PAGES];
	uint64_t index[BATCH_PAGES];
	struct iovec iov[BATCH_PAGES];
	struct host_io io[BATCH_PAGES];
	struct pinfold_report *report;
	int error; /* the first */
};

/* The next pages of the cut.  They cannot go away: no page in a cut is evicted, no file closed. */
static bool next_batch(struct batch *b)
{
	struct page *p;

	b->k += b->n;
	b->n = 0;
	host_lock(&b->mapping->pages_lock);
	while (b->n < BATCH_PAGES &&
	       (p = sparse_next(&b->mapping->pages, &b->cursor, UINT64_MAX, MARK_CUT))) {
		b->page[b->n] = p;
		b->index[b->n++] = b->cursor++;
	}
	host_unlock(&b->mapping->pages_lock);
	return b->n;
}

static char *bounce_of(struct batch *b, unsigned i)
{
	return b->mapping->machine->bounce + i * PAGE_SIZE;
}

/* A copy that was made by a storing thread, or that is kept for the home write; NULL: none. */
static void *kept_copy(struct batch *b, unsigned i)
{
	struct page *p = b->page[i];

	if (b->mapping->copies)
		return b->mapping->copies + (b->k + i) * PAGE_SIZE;
	return p->claim ? p->claim->addr : NULL;
}

/*
 * Claims page i of the batch: its content for the cut is in iov[i] afterwards.  Up to half of the
 * staging frames keep their copy until it is home; the others, and all of the second half, are the
 * storing threads' who must not wait.
 */
static void claim_page(struct batch *b, unsigned i)
{
	struct pinfold *m = b->mapping->machine;
	struct page *p = b->page[i];
	void *copy;

	page_lock(m, p);
	if (!has_flag(p, PG_claimed)) {
		struct page *frame = NULL;

		if (atomic_load(&m->nr_staging) > m->staging_total / 2)
			frame = staging_get(m);
		p->claim = frame;
		memcpy(frame ? frame->addr : bounce_of(b, i), p->addr, PAGE_SIZE);
		set_flag(p, PG_claimed);
		count_event(m, CLAIMS_COMMITTER, 1);
		page_clear_sticky(p);
	}
	copy = kept_copy(b, i);
	page_unlock(p);
	b->iov[i] = (struct iovec){ copy ? copy : bounce_of(b, i), PAGE_SIZE };
}

static void claim_batch(struct batch *b)
{
	for (unsigned i = 0; i < b->n; i++)
		claim_page(b, i);
	cut_event(b->mapping);
}

/* The content again, for the home write, when the committer's copy was not kept: the frame itself if
 * nobody made it writable since (a copy of it, so that nobody waits for the write), else the journal. */
static int fetch_page(struct batch *b, unsigned i)
{
	struct page *p = b->page[i];
	void *copy = kept_copy(b, i);
	int r = 0;

	if (!copy) {
		copy = bounce_of(b, i);
		page_lock(b->mapping->machine, p);
		if (!has_flag(p, PG_dirty)) {
			memcpy(copy, p->addr, PAGE_SIZE);
			page_unlock(p);
		} else {
			page_unlock(p);
			r = journal_read_back(b->mapping->journal, b->k + i, copy);
		}
	}
	b->iov[i] = (struct iovec){ copy, PAGE_SIZE };
	return r;
}

static void note_failure(struct batch *b, uint64_t off, uint64_t len, int err)
{
	struct pinfold_report *r = b->report;

	if (!b->error)
		b->error = err;
	if (r->nr_failed < sizeof(r->failed) / sizeof(r->failed[0]))
		r->failed[r->nr_failed] = (struct pinfold_range){ off, len, err };
	r->nr_failed++;
}

/* Writes iov[] to the file, a request per run of following pages. */
static void write_home(struct batch *b)
{
	struct address_space *mapping = b->mapping;
	uint64_t size = mapping->cut_size;
	int n = 0;

	for (unsigned i = 0, j; i < b->n; i = j) {
		uint64_t off = b->index[i] * PAGE_SIZE, len;

		for (j = i + 1; j < b->n && b->index[j] == b->index[i] + (j - i); j++)
			;
		len = (uint64_t)(j - i) * PAGE_SIZE;
		if (off + len > size) { /* the last page in part */
			b->iov[j - 1].iov_len -= off + len - size;
			len = size - off;
		}
		b->io[n++] = (struct host_io){
			.iov = &b->iov[i], .nr = (int)(j - i), .write = true, .off = off, .len = len,
		};
	}
	mapping->ops->submit(mapping, b->io, n);
	for (int i = 0; i < n; i++) {
		struct host_io *io = &b->io[i];

		host_ring_wait(mapping->machine->ring, io);
		if (io->res != (int64_t)io->len)
			note_failure(b, io->off, io->len, io->res < 0 ? (int)io->res : -EIO);
		else
			b->report->home_bytes += io->len;
	}
}

/* The batch is committed: out of the cut.  unflushed: its pages wait for a checkpoint. */
static void finish_batch(struct batch *b, bool unflushed)
{
	struct address_space *mapping = b->mapping;

	host_lock(&mapping->pages_lock);
	for (unsigned i = 0; i < b->n; i++) {
		struct page *p = b->page[i];

		sparse_unmark(&mapping->pages, b->index[i], MARK_CUT);
		/* Before it leaves the cut: a page that looked clean for a moment would be evicted. */
		if (unflushed && !has_flag(p, PG_home)) {
			set_flag(p, PG_home);
			sparse_mark(&mapping->pages, b->index[i], MARK_HOME);
			mapping->home_pages++;
		}
		cut_drop_claim(mapping->machine, p);
		clear_flag(p, PG_cut | PG_claimed);
	}
	host_unlock(&mapping->pages_lock);
	cut_unreserve(mapping->machine, b->n);
	cut_event(mapping);
}

static int flush(struct address_space *mapping, struct pinfold_report *report)
{
	report->flushes++;
	count_event(mapping->machine, FLUSHES, 1);
	return mapping->ops->flush(mapping);
}

/* commit_lock held.  Everything committed is home and flushed, or -errno and nothing changed. */
static int checkpoint(struct address_space *mapping, struct pinfold_report *report)
{
	struct journal *j = mapping->journal;
	uint64_t i = 0;
	struct page *p;
	int r;

	if (!j || j->first == j->next)
		return 0;
	/* What a failed write or flush left undone is written again from the journal: after a failed
	 * flush nobody knows what the file holds. */
	if (mapping->home_failed) {
		int64_t size;

		r = journal_apply(j);
		size = r ? 0 : mapping->ops->get_size(mapping);
		if (r || size < 0)
			return r ? r : (int)size;
		/* It may have grown the file: what is evicted from now on is read from there. */
		if ((uint64_t)size > atomic_load(&mapping->home_size))
			atomic_store(&mapping->home_size, (uint64_t)size);
	}
	r = flush(mapping, report);
	if (r) {
		mapping->home_failed = true;
		return r;
	}
	report->flushes++;
	count_event(mapping->machine, FLUSHES, 1);
	r = journal_reset(j);
	if (r)
		return r;
	count_event(mapping->machine, CHECKPOINTS, 1);
	mapping->home_failed = false;
	host_lock(&mapping->pages_lock);
	for (; (p = sparse_next(&mapping->pages, &i, UINT64_MAX, MARK_HOME)); i++) {
		sparse_unmark(&mapping->pages, i, MARK_HOME);
		clear_flag(p, PG_home);
		mapping->home_pages--;
	}
	host_unlock(&mapping->pages_lock);
	return 0;
}

/* Journal and flush.  0: the cut is committed. */
static int commit_to_journal(struct batch *b)
{
	struct address_space *mapping = b->mapping;
	struct journal *j = mapping->journal;
	struct pinfold_report *report = b->report;
	bool flush_failed;
	int r = journal_begin(j, mapping->cut_pages, mapping->cut_size);

	if (r == -EAGAIN) {
		r = checkpoint(mapping, report);
		if (!r)
			r = journal_begin(j, mapping->cut_pages, mapping->cut_size);
	}
	while (!r && next_batch(b)) {
		claim_batch(b);
		r = journal_add(j, b->index, b->iov, b->n);
		if (r)
			note_failure(b, b->index[0] * PAGE_SIZE, b->n * PAGE_SIZE, r);
		report->journal_bytes += (uint64_t)b->n * PAGE_SIZE;
	}
	if (r)
		return r;
	r = journal_seal(j, &flush_failed);
	report->flushes++;
	report->journal_bytes += j->desc_len;
	if (r && flush_failed)
		report->flags |= PINFOLD_COMMIT_FLUSH_FAILED;
	count_event(mapping->machine, FLUSHES, 1);
	count_event(mapping->machine, JOURNAL_BYTES, report->journal_bytes);
	return r;
}

/* Behind the commit point: brings the cut home.  What fails is told by a flag. */
static void bring_home(struct batch *b)
{
	struct address_space *mapping = b->mapping;

	b->cursor = b->k = b->n = 0;
	b->error = 0;
	if (mapping->cut_size > atomic_load(&mapping->home_size)) {
		int r = mapping->ops->set_size(mapping, mapping->cut_size);

		if (r)
			note_failure(b, 0, mapping->cut_size, r);
		else
			atomic_store(&mapping->home_size, mapping->cut_size);
	}
	while (next_batch(b)) {
		for (unsigned i = 0; i < b->n; i++) {
			int r = fetch_page(b, i);

			if (r)
				note_failure(b, b->index[i] * PAGE_SIZE, PAGE_SIZE, r);
		}
		/* A batch with a page that could not be read back stays in the journal whole. */
		if (!b->error)
			write_home(b);
		finish_batch(b, true);
	}
	if (b->error) {
		mapping->home_failed = true;
		b->report->flags |= PINFOLD_COMMIT_NOT_HOME;
	}
}

/* Without a journal: straight into the file. */
static int commit_in_place(struct batch *b)
{
	struct address_space *mapping = b->mapping;
	int r = 0;

	if (mapping->cut_size > atomic_load(&mapping->home_size)) {
		r = mapping->ops->set_size(mapping, mapping->cut_size);
		if (r)
			return r;
		atomic_store(&mapping->home_size, mapping->cut_size);
	}
	while (next_batch(b)) {
		claim_batch(b);
		write_home(b);
	}
	r = b->error ? b->error : flush(mapping, b->report);
	if (r)
		return r;
	b->cursor = b->k = b->n = 0;
	while (next_batch(b))
		finish_batch(b, false);
	return 0;
}

static int write_cut(struct batch *b)
{
	struct address_space *mapping = b->mapping;
	int64_t size = mapping->ops->get_size(mapping);
	int r;

	if (size < 0)
		return (int)size;
	/* Somebody cut the file short: what stood there is not ours to bring back silently. */
	if ((uint64_t)size < atomic_load(&mapping->home_size) && !mapping->home_failed)
		return -ESTALE;
	if (!mapping->journal)
		return commit_in_place(b);
	r = commit_to_journal(b);
	if (!r)
		bring_home(b);
	return r;
}

static void report_out(struct pinfold_report *to, struct pinfold_report *from)
{
	size_t size = to ? to->size : 0;

	if (size > sizeof(*from))
		size = sizeof(*from);
	from->size = size;
	if (size)
		memcpy(to, from, size);
}

static void free_copies(struct address_space *mapping)
{
	if (mapping->copies)
		host_unmap(mapping->copies, mapping->copies_len);
	mapping->copies = NULL;
}

int writeback_commit(struct address_space *mapping, int64_t cut, struct pinfold_report *report)
{
	struct pinfold *m = mapping->machine;
	struct pinfold_report rep = { .cut = (uint64_t)cut };
	struct batch *b = m->batch;
	int r = 0;

	/* The committer's buffers are the machine's: one commit at a time. */
	host_lock(&m->commit_lock);
	if (cut <= 0 || !cut_move(mapping, CUT_FROZEN, CUT_WRITING, cut)) {
		host_unlock(&m->commit_lock);
		return -ENOENT;
	}
	memset(b, 0, offsetof(struct batch, page));
	b->mapping = mapping;
	b->report = &rep;
	b->error = 0;
	rep.pages = mapping->cut_pages;
	rep.pinned = mapping->cut_pinned;
	if (mapping->cut_pages || mapping->cut_size != atomic_load(&mapping->home_size))
		r = write_cut(b);
	if (r)
		cut_abandon(mapping);
	free_copies(mapping);
	rep.claimed_by_writers = atomic_load(&mapping->cut_claims);
	count_event(m, COMMITS, !r);
	count_event(m, COMMIT_PAGES, r ? 0 : rep.pages);
	count_event(m, HOME_BYTES, rep.home_bytes);
	cut_move(mapping, CUT_WRITING, CUT_NONE, 0);
	host_unlock(&m->commit_lock);
	report_out(report, &rep);
	return r;
}

size_t writeback_batch_size(void)
{
	return sizeof(struct batch);
}

int writeback_checkpoint(struct address_space *mapping)
{
	struct pinfold_report rep = { .size = sizeof(rep) };
	int r;

	host_lock(&mapping->machine->commit_lock);
	r = checkpoint(mapping, &rep);
	host_unlock(&mapping->machine->commit_lock);
	return r;
}

enum relief writeback_relieve(struct pinfold *m)
{
	struct pinfold_report rep = { .size = sizeof(rep) };
	enum relief found = RELIEF_NOTHING;

	if (!host_trylock(&m->commit_lock))
		return RELIEF_BUSY;
	/* Files are only added, and closed, under commit_lock too: fs/open.c. */
	for (struct pinfold_file *f = m->files; f && found == RELIEF_NOTHING; f = f->next)
		if (atomic_load(&f->magic) == FILE_MAGIC && f->mapping.home_pages &&
		    !checkpoint(&f->mapping, &rep))
			found = RELIEF_DONE;
	host_unlock(&m->commit_lock);
	return found;
}

int writeback_discard(struct address_space *mapping)
{
	uint64_t i = 0, n = 0;
	struct page *p;

	if (!cut_move(mapping, CUT_NONE, CUT_NONE, 0))
		return -EBUSY;
	host_lock(&mapping->pages_lock);
	for (; (p = sparse_next(&mapping->pages, &i, UINT64_MAX, MARK_DIRTY)); i++, n++) {
		sparse_unmark(&mapping->pages, i, MARK_DIRTY);
		clear_flag(p, PG_dirty);
	}
	for (i = 0; (p = sparse_next(&mapping->pages, &i, UINT64_MAX, MARK_HOME)); i++) {
		sparse_unmark(&mapping->pages, i, MARK_HOME);
		clear_flag(p, PG_home);
		mapping->home_pages--;
	}
	host_unlock(&mapping->pages_lock);
	cut_unreserve(mapping->machine, n + mapping->async_reserved);
	mapping->async_reserved = 0;
	return 0;
}
