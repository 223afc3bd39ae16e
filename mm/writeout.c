/* SPDX-License-Identifier: MIT */
/* writeout.c - see writeout.h. */
#include "mm/writeout.h"

#include <errno.h>
#include <string.h>

#include "mm/debug.h"
#include "mm/vmstat.h"

void batch_init(struct batch *b, char *bounce)
{
	memset(b, 0, sizeof(*b));
	for (unsigned i = 0; i < FLIGHTS; i++)
		b->flight[i].bounce = bounce + i * BATCH_PAGES * PAGE_SIZE;
}

void batch_start(struct batch *b, unsigned mark)
{
	b->mark = mark;
	b->finish = b->home = false;
	b->cursor = b->k = 0;
	b->error = 0;
	for (unsigned i = 0; i < FLIGHTS; i++)
		VM_BUG_ON(b->flight[i].nr_io);
}

void note_failure(struct batch *b, uint64_t off, uint64_t len, int err)
{
	struct pinfold_report *r = b->report;

	if (!b->error)
		b->error = err;
	if (r->nr_failed < sizeof(r->failed) / sizeof(r->failed[0]))
		r->failed[r->nr_failed] = (struct pinfold_range){ off, len, err };
	r->nr_failed++;
}

/* Waits for a flight's requests; it is free then. */
static void settle(struct batch *b, struct flight *f)
{
	for (unsigned i = 0; i < f->nr_io; i++) {
		struct host_io *io = &f->io[i];

		host_ring_wait(b->mapping->machine->ring, io);
		/* A journal's offsets are nobody's business: the first page tells where. */
		if (io->res != (int64_t)io->len)
			note_failure(b, b->home ? io->off : f->index[0] * PAGE_SIZE, io->len,
			             io->res < 0 ? (int)io->res : -EIO);
		else if (b->home)
			b->report->home_bytes += io->len;
	}
	f->nr_io = 0;
	if (f->n && b->finish)
		finish_flight(b, f, true);
	f->n = 0;
}

/* The pages cannot go away: none with a mark is evicted, and no file with a cut is closed. */
struct flight *batch_next(struct batch *b)
{
	struct flight *f = &b->flight[b->at++ % FLIGHTS];
	struct page *p;

	VM_BUG_ON(!host_held(&b->mapping->machine->commit_lock));
	settle(b, f);
	f->k = b->k;
	host_lock(&b->mapping->pages_lock);
	while (f->n < BATCH_PAGES &&
	       (p = sparse_next(&b->mapping->pages, &b->cursor, UINT64_MAX, (int)b->mark))) {
		f->page[f->n] = p;
		f->index[f->n++] = b->cursor++;
	}
	host_unlock(&b->mapping->pages_lock);
	b->k += f->n;
	return f->n ? f : NULL;
}

void batch_settle(struct batch *b)
{
	for (unsigned i = 0; i < FLIGHTS; i++)
		settle(b, &b->flight[b->at++ % FLIGHTS]);
}

/* ---- content --------------------------------------------------------------------------------- */

static char *bounce_of(struct flight *f, unsigned i)
{
	return f->bounce + i * PAGE_SIZE;
}

/* A copy that was made by a storing thread, or that is kept for the home write; NULL: none. */
static void *kept_copy(struct batch *b, struct flight *f, unsigned i)
{
	struct page *p = f->page[i];

	if (b->mapping->copies)
		return b->mapping->copies + (f->k + i) * PAGE_SIZE;
	return p->claim ? p->claim->addr : NULL;
}

/*
 * Claims page i: its content for the cut is in iov[i] afterwards.  Up to half of the staging frames keep
 * their copy until it is home; the others, and all of the second half, are the storing threads' who must
 * not wait.  Without a journal, or with home later, nothing is written a second time from a copy.
 */
static void claim_page(struct batch *b, struct flight *f, unsigned i)
{
	struct address_space *mapping = b->mapping;
	struct pinfold *m = mapping->machine;
	struct page *p = f->page[i];
	bool keep = mapping->journal && !(mapping->flags & PINFOLD_FILE_HOME_LATER);
	void *copy;

	page_lock(m, p);
	VM_BUG_ON_PAGE(!has_flag(p, PG_cut), p);
	if (!has_flag(p, PG_claimed)) {
		struct page *frame = NULL;

		if (keep && atomic_load(&m->nr_staging) > m->staging_total / 2)
			frame = staging_get(m);
		p->claim = frame;
		memcpy(frame ? frame->addr : bounce_of(f, i), p->addr, PAGE_SIZE);
		set_flag(p, PG_claimed);
		count_event(m, CLAIMS_COMMITTER, 1);
		page_clear_sticky(p);
	}
	copy = kept_copy(b, f, i);
	page_unlock(p);
	f->iov[i] = (struct iovec){ copy ? copy : bounce_of(f, i), PAGE_SIZE };
}

void claim_flight(struct batch *b, struct flight *f)
{
	for (unsigned i = 0; i < f->n; i++)
		claim_page(b, f, i);
	cut_event(b->mapping);
}

/*
 * A page's committed content: the committer's or a writer's copy if it was kept; the frame itself if
 * nobody made it writable since (a copy of it, so that nobody waits for the write); else what the journal
 * has.
 */
static int fetch_page(struct batch *b, struct flight *f, unsigned i)
{
	struct page *p = f->page[i];
	uint32_t newer = b->mark == MARK_HOME ? PG_dirty | PG_cut : PG_dirty;
	void *copy = b->mark == MARK_HOME ? NULL : kept_copy(b, f, i);
	int r = 0;

	if (!copy) {
		copy = bounce_of(f, i);
		page_lock(b->mapping->machine, p);
		if (!has_flag(p, newer)) {
			memcpy(copy, p->addr, PAGE_SIZE);
			page_unlock(p);
		} else {
			page_unlock(p);
			r = journal_read_block(b->mapping->journal, p->jblock, copy);
		}
	}
	f->iov[i] = (struct iovec){ copy, PAGE_SIZE };
	return r;
}

void fetch_flight(struct batch *b, struct flight *f)
{
	for (unsigned i = 0; i < f->n; i++) {
		int r = fetch_page(b, f, i);

		if (r)
			note_failure(b, f->index[i] * PAGE_SIZE, PAGE_SIZE, r);
	}
}

/* ---- writing --------------------------------------------------------------------------------- */

/* Joins what lies side by side in memory; how many entries. */
static int join(struct iovec *to, const struct iovec *from, unsigned n)
{
	int k = 0;

	for (unsigned i = 0; i < n; i++) {
		if (k && (char *)to[k - 1].iov_base + to[k - 1].iov_len == from[i].iov_base)
			to[k - 1].iov_len += from[i].iov_len;
		else
			to[k++] = from[i];
	}
	return k;
}

void flight_to_journal(struct batch *b, struct flight *f)
{
	VM_BUG_ON(b->mapping->cut_state != CUT_WRITING);
	f->io[0] = (struct host_io){ .iov = f->vec, .nr = join(f->vec, f->iov, f->n) };
	f->nr_io = 1;
	journal_add(b->mapping->journal, f->index, f->iov, f->n, f->io);
	b->report->journal_bytes += (uint64_t)f->n * PAGE_SIZE;
}

/* A request per run of following pages. */
void flight_to_home(struct batch *b, struct flight *f)
{
	int used = 0;

	for (unsigned i = 0, j; i < f->n; i = j) {
		uint64_t off = f->index[i] * PAGE_SIZE, len;
		struct iovec *vec = &f->vec[used];
		int nr;

		for (j = i + 1; j < f->n && f->index[j] == f->index[i] + (j - i); j++)
			;
		len = (uint64_t)(j - i) * PAGE_SIZE;
		if (off + len > b->size) { /* the last page in part */
			f->iov[j - 1].iov_len -= off + len - b->size;
			len = b->size - off;
		}
		nr = join(vec, &f->iov[i], j - i);
		used += nr;
		f->io[f->nr_io++] = (struct host_io){
			.iov = vec, .nr = nr, .write = true, .off = off, .len = len,
		};
	}
	b->mapping->ops->submit(b->mapping, f->io, (int)f->nr_io);
}

void finish_flight(struct batch *b, struct flight *f, bool unflushed)
{
	struct address_space *mapping = b->mapping;

	VM_BUG_ON(b->mark != MARK_CUT);
	host_lock(&mapping->pages_lock);
	for (unsigned i = 0; i < f->n; i++) {
		struct page *p = f->page[i];

		sparse_unmark(&mapping->pages, f->index[i], MARK_CUT);
		/* Before it leaves the cut: a page that looked clean for a moment would be evicted. */
		if (unflushed && !has_flag(p, PG_home)) {
			set_flag(p, PG_home);
			sparse_mark(&mapping->pages, f->index[i], MARK_HOME);
			mapping->home_pages++;
		}
		cut_drop_claim(mapping->machine, p);
		clear_flag(p, PG_cut | PG_claimed);
		cut_cleaned(mapping->machine, p);
	}
	host_unlock(&mapping->pages_lock);
	cut_unreserve(mapping->machine, f->n);
	cut_event(mapping);
}
