/* SPDX-License-Identifier: MIT */
/* writeback.c - see writeback.h. */
#include "mm/writeback.h"

#include <errno.h>
#include <string.h>

#include "mm/debug.h"
#include "mm/vmstat.h"
#include "mm/writeout.h"

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

/* Writes what has mark to the file; what had MARK_CUT is out of the cut then.  What fails is noted in
 * b->error and the report. */
static void write_marked(struct batch *b, unsigned mark)
{
	struct flight *f;
	int r;

	batch_start(b, mark);
	b->finish = mark == MARK_CUT;
	b->home = true;
	b->size = b->mapping->committed_size;
	r = grow_home(b->mapping);
	if (r)
		note_failure(b, 0, b->size, r);
	while ((f = batch_next(b))) {
		fetch_flight(b, f);
		/* Behind a failure nothing more is written: the journal has all of it. */
		if (!b->error)
			flight_to_home(b, f);
	}
	batch_settle(b);
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

	VM_BUG_ON(!host_held(&mapping->machine->commit_lock));
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
	struct flight *f;
	bool unsure;
	int r = journal_begin(j, mapping->cut_pages, mapping->cut_size);

	if (r == -EAGAIN) {
		r = checkpoint(mapping, report);
		if (!r)
			r = journal_begin(j, mapping->cut_pages, mapping->cut_size);
	}
	if (r)
		return r;
	batch_start(b, MARK_CUT);
	while (!b->error && (f = batch_next(b))) {
		claim_flight(b, f);
		flight_to_journal(b, f);
	}
	/* Before the descriptor: with a page that failed, and an earlier try's at the same place, a commit
	 * that was refused would be there all the same [M commit_crash_test]. */
	batch_settle(b);
	if (b->error)
		return b->error;
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
	struct flight *f;

	batch_start(b, MARK_CUT);
	while ((f = batch_next(b)))
		for (unsigned i = 0; i < f->n; i++)
			f->page[i]->jblock = journal_block_of(b->mapping->journal, f->k + i);
	batch_settle(b);
}

static void leave_cut(struct batch *b, bool unflushed)
{
	struct flight *f;

	batch_start(b, MARK_CUT);
	while ((f = batch_next(b)))
		finish_flight(b, f, unflushed);
	batch_settle(b);
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
		leave_cut(b, true);
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
	struct flight *f;

	mapping->committed_size = mapping->cut_size;
	batch_start(b, MARK_CUT);
	b->home = true;
	b->size = mapping->cut_size;
	b->error = grow_home(mapping);
	while (!b->error && (f = batch_next(b))) {
		claim_flight(b, f);
		flight_to_home(b, f);
	}
	batch_settle(b);
	if (!b->error)
		b->error = flush(mapping, b->report);
	if (b->error) {
		mapping->committed_size = was;
		return b->error;
	}
	leave_cut(b, false);
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
