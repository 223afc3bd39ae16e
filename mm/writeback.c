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
	unsigned mark;    /* MARK_CUT, or MARK_HOME for a checkpoint */
	uint64_t size;    /* of the file, for its last page */
	uint64_t cursor;  /* next file page to look at */
	uint64_t k;       /* pages before this batch */
	unsigned n;
	struct page *page[BATCH_PAGES];
	uint64_t index[BATCH_PAGES];
	struct iovec iov[BATCH_PAGES];
	struct host_io io[BATCH_PAGES];
	struct pinfold_report *report;
	int error; /* the first */
};

static void start_batch(struct batch *b, unsigned mark)
{
	b->mark = mark;
	b->cursor = b->k = 0;
	b->n = 0;
	b->error = 0;
}

/* The next pages with the mark.  They cannot go away: neither kind is evicted, and no file closed. */
static bool next_batch(struct batch *b)
{
	struct page *p;

	b->k += b->n;
	b->n = 0;
	host_lock(&b->mapping->pages_lock);
	while (b->n < BATCH_PAGES &&
	       (p = sparse_next(&b->mapping->pages, &b->cursor, UINT64_MAX, (int)b->mark))) {
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

/*
 * A page's committed content, for the home write: the committer's or a writer's copy if it was kept; the
 * frame itself if nobody made it writable since (a copy of it, so that nobody waits for the write); else
 * what the journal has.
 */
static int fetch_page(struct batch *b, unsigned i)
{
	struct page *p = b->page[i];
	uint32_t newer = b->mark == MARK_HOME ? PG_dirty | PG_cut : PG_dirty;
	void *copy = b->mark == MARK_HOME ? NULL : kept_copy(b, i);
	int r = 0;

	if (!copy) {
		copy = bounce_of(b, i);
		page_lock(b->mapping->machine, p);
		if (!has_flag(p, newer)) {
			memcpy(copy, p->addr, PAGE_SIZE);
			page_unlock(p);
		} else {
			page_unlock(p);
			r = journal_read_block(b->mapping->journal, p->jblock, copy);
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
	uint64_t size = b->size;
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

	VM_BUG_ON(b->mark != MARK_CUT);

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
		cut_cleaned(mapping->machine, p);
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

/* Behind a commit point: the file as large as the last commit says. */
static int grow_home(struct address_space *mapping)
{
	int r = 0;

	if (mapping->committed_size > atomic_load(&mapping->home_size)) {
		r = mapping->ops->set_size(mapping, mapping->committed_size);
		if (!r)
			atomic_store(&mapping->home_size, mapping->committed_size);
	}
	return r;
}

/* Writes what has mark to the file.  What fails is noted in b->error and the report. */
static void write_marked(struct batch *b, unsigned mark)
{
	start_batch(b, mark);
	b->size = b->mapping->committed_size;
	b->error = grow_home(b->mapping);
	if (b->error)
		note_failure(b, 0, b->size, b->error);
	while (next_batch(b)) {
		for (unsigned i = 0; i < b->n; i++) {
			int r = fetch_page(b, i);

			if (r)
				note_failure(b, b->index[i] * PAGE_SIZE, PAGE_SIZE, r);
		}
		/* Behind a failure nothing more is written: the journal has all of it. */
		if (!b->error)
			write_home(b);
		if (mark == MARK_CUT)
			finish_batch(b, true);
	}
}

static void clear_home_marks(struct address_space *mapping)
{
	uint64_t i = 0;
	struct page *p;

	host_lock(&mapping->pages_lock);
	for (; (p = sparse_next(&mapping->pages, &i, UINT64_MAX, MARK_HOME)); i++) {
		sparse_unmark(&mapping->pages, i, MARK_HOME);
		clear_flag(p, PG_home);
		cut_cleaned(mapping->machine, p);
		mapping->home_pages--;
	}
	host_unlock(&mapping->pages_lock);
}

/* commit_lock held, no batch in use.  Everything committed is home and flushed, or -errno and the
 * journal is as it was. */
static int checkpoint(struct address_space *mapping, struct pinfold_report *report)
{
	struct batch *b = mapping->machine->batch;
	struct journal *j = mapping->journal;
	int r;

	if (!j || j->first == j->next)
		return 0;
	b->mapping = mapping;
	b->report = report;
	/* A failed write or flush leaves nobody knowing what the file holds: all of it again. */
	if ((mapping->flags & PINFOLD_FILE_HOME_LATER) || mapping->home_failed) {
		write_marked(b, MARK_HOME);
		r = b->error;
		if (r)
			return r;
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
	clear_home_marks(mapping);
	return 0;
}

/* Journal and flush.  0: the cut is committed. */
static int commit_to_journal(struct batch *b)
{
	struct address_space *mapping = b->mapping;
	struct journal *j = mapping->journal;
	struct pinfold_report *report = b->report;
	bool unsure;
	int r = journal_begin(j, mapping->cut_pages, mapping->cut_size);

	if (r == -EAGAIN) {
		r = checkpoint(mapping, report);
		if (!r)
			r = journal_begin(j, mapping->cut_pages, mapping->cut_size);
	}
	start_batch(b, MARK_CUT);
	while (!r && next_batch(b)) {
		claim_batch(b);
		r = journal_add(j, b->index, b->iov, b->n);
		if (r)
			note_failure(b, b->index[0] * PAGE_SIZE, b->n * PAGE_SIZE, r);
		report->journal_bytes += (uint64_t)b->n * PAGE_SIZE;
	}
	if (r)
		return r;
	r = journal_seal(j, &unsure);
	report->flushes++;
	report->journal_bytes += j->desc_len;
	if (r && unsure)
		report->flags |= PINFOLD_COMMIT_FLUSH_FAILED;
	count_event(mapping->machine, FLUSHES, 1);
	count_event(mapping->machine, JOURNAL_BYTES, report->journal_bytes);
	return r;
}

/* Behind the commit point: where each page's copy is, should it be wanted from the journal. */
static void note_blocks(struct batch *b)
{
	start_batch(b, MARK_CUT);
	while (next_batch(b))
		for (unsigned i = 0; i < b->n; i++)
			b->page[i]->jblock = journal_block_of(b->mapping->journal, b->k + i);
}

/* Brings the cut home, or leaves that to a checkpoint.  What fails is told by a flag. */
static void bring_home(struct batch *b)
{
	struct address_space *mapping = b->mapping;
	struct pinfold *m = mapping->machine;

	mapping->committed_size = mapping->cut_size;
	note_blocks(b);
	if (!(mapping->flags & PINFOLD_FILE_HOME_LATER)) {
		write_marked(b, MARK_CUT);
		if (b->error)
			mapping->home_failed = true;
	} else {
		start_batch(b, MARK_CUT);
		while (next_batch(b))
			finish_batch(b, true);
		/* Before they stand in the way of who needs frames. */
		if (mapping->home_pages <= m->nr_frames / 4 || checkpoint(mapping, b->report))
			b->error = -EAGAIN;
	}
	if (b->error)
		b->report->flags |= PINFOLD_COMMIT_NOT_HOME;
}

/* Without a journal: straight into the file. */
static int commit_in_place(struct batch *b)
{
	struct address_space *mapping = b->mapping;
	uint64_t was = mapping->committed_size;

	mapping->committed_size = mapping->cut_size;
	start_batch(b, MARK_CUT);
	b->size = mapping->cut_size;
	b->error = grow_home(mapping);
	while (!b->error && next_batch(b)) {
		claim_batch(b);
		write_home(b);
	}
	if (!b->error)
		b->error = flush(mapping, b->report);
	if (b->error) {
		mapping->committed_size = was;
		return b->error;
	}
	start_batch(b, MARK_CUT);
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
	b->mapping = mapping;
	b->report = &rep;
	rep.pages = mapping->cut_pages;
	rep.pinned = mapping->cut_pinned;
	if (mapping->cut_pages || mapping->cut_size != mapping->committed_size)
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
		cut_cleaned(mapping->machine, p);
	}
	host_unlock(&mapping->pages_lock);
	clear_home_marks(mapping);
	cut_unreserve(mapping->machine, n + mapping->async_reserved);
	mapping->async_reserved = 0;
	return 0;
}
