/* SPDX-License-Identifier: MIT */
/* filemap.c - see filemap.h. */
#include "mm/filemap.h"

#include <errno.h>
#include <string.h>

#include "mm/debug.h"
#include "mm/vmstat.h"

/* ---- mappings, and those of memory only --------------------------------------------------------- */

void mapping_init(struct address_space *mapping, struct pinfold *m, unsigned flags)
{
	mapping->machine = m;
	mapping->flags = flags;
	mapping->memfd = -1;
	host_mutex_init(&mapping->pages_lock, HOST_RANK_PAGES);
	host_mutex_init(&mapping->i_mmap_lock, HOST_RANK_IMMAP);
	host_mutex_init(&mapping->wb_lock, HOST_RANK_STATE);
	host_rwsem_init(&mapping->section_sem, HOST_RANK_SECTION);
	host_rwsem_init(&mapping->freeze_sem, HOST_RANK_FREEZE);
	sparse_init(&mapping->pages, &m->nodes);
}

static int no_flush(struct address_space *mapping)
{
	(void)mapping;
	return 0;
}

static int set_size(struct address_space *mapping, uint64_t size)
{
	atomic_store(&mapping->home_size, size);
	return 0;
}

static int64_t get_size(struct address_space *mapping)
{
	return (int64_t)atomic_load(&mapping->home_size);
}

static void nothing(struct address_space *mapping)
{
	(void)mapping;
}

const struct address_space_operations memory_ops = {
	.commits = false,
	.flush = no_flush,
	.set_size = set_size,
	.get_size = get_size,
	.release = nothing,
	.child = nothing,
};

/* ---- the page lock --------------------------------------------------------------------------- */

bool page_trylock(struct page *p)
{
	/* Acquire: partner of the release in page_unlock(). */
	return !(atomic_fetch_or_explicit(&p->flags, PG_locked, memory_order_acquire) & PG_locked);
}

void page_wait(struct pinfold *m, struct page *p)
{
	uint32_t f = atomic_fetch_or(&p->flags, PG_waiters) | PG_waiters;

	if (!(f & PG_locked))
		return;
	/* The read that holds the lock may be in the ring with nobody to take its completion. */
	if (host_ring_pending(m->ring)) {
		/* Nothing handled: another thread waits for completions, and will wake us for ours. */
		if (!host_ring_reap(m->ring, 1000000))
			host_wait(&p->flags, f, 1000000);
	} else {
		host_wait(&p->flags, f, 20000000);
	}
}

void page_lock(struct pinfold *m, struct page *p)
{
	while (!page_trylock(p))
		page_wait(m, p);
}

void page_unlock(struct page *p)
{
	uint32_t old = atomic_fetch_and_explicit(&p->flags, ~(uint32_t)(PG_locked | PG_waiters),
	                                         memory_order_release);

	VM_BUG_ON_PAGE(!(old & PG_locked), p);
	if (old & PG_waiters)
		host_wake(&p->flags, INT32_MAX);
}

/* ---- the index ------------------------------------------------------------------------------- */

/* The page with a reference.  NULL: none, or *busy is one that is being evicted. */
static struct page *find_get(struct address_space *mapping, uint64_t index, struct page **busy)
{
	struct page *p;

	*busy = NULL;
	host_lock(&mapping->pages_lock);
	p = sparse_get(&mapping->pages, index);
	if (p && !get_internal(mapping->machine, p)) {
		*busy = p;
		p = NULL;
	}
	host_unlock(&mapping->pages_lock);
	return p;
}

struct page *filemap_peek(struct address_space *mapping, uint64_t index)
{
	struct page *busy, *p = find_get(mapping, index, &busy);

	if (p && !has_flag(p, PG_uptodate)) {
		put_internal(mapping->machine, p);
		p = NULL;
	}
	return p;
}

static void punch(struct address_space *mapping, uint64_t index, uint64_t n)
{
	if (mapping->memfd >= 0)
		host_memfd_punch(mapping->memfd, index << PAGE_SHIFT, n << PAGE_SHIFT);
}

void filemap_remove(struct address_space *mapping, struct page **pages, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		VM_BUG_ON_PAGE(!has_flag(pages[i], PG_locked) || has_flag(pages[i], PG_unclean), pages[i]);
		VM_BUG_ON_PAGE(pages[i]->index != pages[0]->index + i, pages[i]);
	}
	/* Punched while the index still has them: nobody can put a new page there before. */
	punch(mapping, pages[0]->index, n);
	host_lock(&mapping->pages_lock);
	for (unsigned i = 0; i < n; i++)
		sparse_clear(&mapping->pages, pages[i]->index);
	mapping->nr_pages -= n;
	host_unlock(&mapping->pages_lock);
	for (unsigned i = 0; i < n; i++) {
		/* Cleaned, and put on its list, after it was frozen.  Out of the index nobody does that. */
		lru_del(mapping->machine, pages[i]);
		/* Unlocked first: the record is somebody else's once it is on the free list. */
		page_unlock(pages[i]);
		free_frame(mapping->machine, pages[i]);
	}
}

/* ---- reading --------------------------------------------------------------------------------- */

/* One read of following pages, all new, all locked by it. */
struct fill {
	struct host_io io;
	struct address_space *mapping;
	uint64_t first;
	unsigned n;
	bool from_slab;
	uint64_t bytes; /* that the file has of them */
	struct page *pages[FILL_PAGES];
	struct iovec iov[FILL_PAGES];
};

_Static_assert(sizeof(struct fill) <= 4096, "a fill lies on the fault handler's stack");

size_t filemap_fill_size(void);
size_t filemap_fill_size(void)
{
	return sizeof(struct fill);
}

static struct page *new_page(struct address_space *mapping, uint64_t index)
{
	struct pinfold *m = mapping->machine;
	bool direct = mapping->memfd >= 0;
	struct page *p = direct ? alloc_direct(m) : alloc_folio(m, 0);

	if (!p)
		return NULL;
	if (direct)
		p->addr = mapping->alias + (index << PAGE_SHIFT);
	p->mapping = mapping;
	p->index = index;
	set_flag(p, PG_locked);
	/* The allocator's reference is the index's; this one is the reader's. */
	atomic_fetch_add(&p->count, PC_INTERNAL);
	return p;
}

/* Puts new locked pages into the index, from f->first until one is there or none is to be had. */
static enum page_fact fill_begin(struct fill *f, struct address_space *mapping, uint64_t index,
                                 uint64_t want)
{
	uint64_t end = file_pages(mapping);
	enum page_fact fact = PAGE_AGAIN;

	f->mapping = mapping;
	f->first = index;
	f->n = 0;
	host_lock(&mapping->pages_lock);
	while (f->n < want && f->n < FILL_PAGES && index + f->n < end) {
		struct page *p;

		if (sparse_get(&mapping->pages, index + f->n))
			break;
		p = new_page(mapping, index + f->n);
		if (!p) {
			fact = PAGE_NO_FRAME;
			break;
		}
		if (sparse_set(&mapping->pages, index + f->n, p)) {
			page_unlock(p);
			put_internal(mapping->machine, p);
			put_internal(mapping->machine, p);
			fact = PAGE_ERROR;
			break;
		}
		f->pages[f->n++] = p;
	}
	mapping->nr_pages += f->n;
	host_unlock(&mapping->pages_lock);
	return f->n ? PAGE_OK : fact;
}

/* Takes pages out again: not uptodate, so nobody used them; waiters find that they are not the
 * file's any more. */
static void fill_abort(struct fill *f)
{
	struct pinfold *m = f->mapping->machine;

	punch(f->mapping, f->first, f->n);
	host_lock(&f->mapping->pages_lock);
	for (unsigned i = 0; i < f->n; i++)
		sparse_clear(&f->mapping->pages, f->first + i);
	f->mapping->nr_pages -= f->n;
	host_unlock(&f->mapping->pages_lock);
	for (unsigned i = 0; i < f->n; i++) {
		put_internal(m, f->pages[i]); /* the index's */
		page_unlock(f->pages[i]);
		put_internal(m, f->pages[i]);
	}
}

static unsigned fill_iov(struct fill *f)
{
	unsigned nr = 0;
	uint64_t left = f->bytes;

	for (unsigned i = 0; i < f->n && left; i++) {
		size_t len = left < PAGE_SIZE ? left : PAGE_SIZE;
		char *addr = f->pages[i]->addr;

		left -= len;
		if (nr && (char *)f->iov[nr - 1].iov_base + f->iov[nr - 1].iov_len == addr)
			f->iov[nr - 1].iov_len += len;
		else
			f->iov[nr++] = (struct iovec){ addr, len };
	}
	/* O_DIRECT wants whole blocks; what the read leaves out of the last page is zeroed after. */
	if (nr && f->bytes % PAGE_SIZE)
		f->iov[nr - 1].iov_len += PAGE_SIZE - f->bytes % PAGE_SIZE;
	return nr;
}

/* Allocates the memory, fixes how much there is to read.  0 or -ENOMEM. */
static int fill_prepare(struct fill *f)
{
	struct address_space *mapping = f->mapping;
	uint64_t off = f->first << PAGE_SHIFT, home = 0;
	uint64_t len = (uint64_t)f->n << PAGE_SHIFT;

	if (mapping->memfd >= 0 && host_memfd_alloc(mapping->memfd, off, len))
		return -ENOMEM;
	if (mapping->ops->readv)
		home = atomic_load(&mapping->home_size);
	f->bytes = home > off ? home - off : 0;
	if (f->bytes > len)
		f->bytes = len;
	f->io = (struct host_io){ .iov = f->iov, .off = off, .arg = f };
	f->io.nr = (int)fill_iov(f);
	for (int i = 0; i < f->io.nr; i++)
		f->io.len += f->iov[i].iov_len;
	return 0;
}

/* res: what the read returned.  0: the pages are there; else they are out again. */
static int fill_end(struct fill *f, int64_t res)
{
	struct pinfold *m = f->mapping->machine;
	int err = res < 0 ? (int)res : (uint64_t)res < f->bytes ? -ESTALE : 0;

	if (err) {
		fill_abort(f);
		return err;
	}
	if (f->mapping->memfd < 0 || f->bytes % PAGE_SIZE)
		for (unsigned i = (unsigned)(f->bytes >> PAGE_SHIFT); i < f->n; i++) {
			size_t from = i == f->bytes >> PAGE_SHIFT ? f->bytes % PAGE_SIZE : 0;

			memset((char *)f->pages[i]->addr + from, 0, PAGE_SIZE - from);
		}
	if (f->bytes) {
		count_event(m, PAGES_READ, f->n);
		count_event(m, READ_CALLS, 1);
	}
	for (unsigned i = 0; i < f->n; i++) {
		VM_BUG_ON_PAGE(has_flag(f->pages[i], PG_uptodate | PG_unclean), f->pages[i]);
		set_flag(f->pages[i], PG_uptodate);
		if (f->mapping->ops->commits)
			lru_add(m, f->pages[i]);
		page_unlock(f->pages[i]);
		put_internal(m, f->pages[i]);
	}
	return 0;
}

/* Reads in this thread, without the ring: also right for the fault handler. */
static int fill_now(struct fill *f)
{
	int64_t res = 0;

	if (fill_prepare(f)) {
		fill_abort(f);
		return -ENOMEM;
	}
	if (f->io.nr)
		res = f->mapping->ops->readv(f->mapping, f->iov, f->io.nr, f->io.off);
	return fill_end(f, res);
}

static void fill_done(struct host_io *io)
{
	struct fill *f = io->arg;
	struct address_space *mapping = f->mapping;

	fill_end(f, io->res);
	slab_free(&mapping->machine->fills, f);
	atomic_fetch_sub(&mapping->users, 1);
}

static void fill_start(struct fill *f)
{
	struct address_space *mapping = f->mapping;

	if (fill_prepare(f)) {
		fill_abort(f);
		slab_free(&mapping->machine->fills, f);
		return;
	}
	if (!f->io.nr) {
		fill_end(f, 0);
		slab_free(&mapping->machine->fills, f);
		return;
	}
	/* Keeps the file open until the completion was handled. */
	atomic_fetch_add(&mapping->users, 1);
	f->io.done = fill_done;
	f->io.detached = true;
	mapping->ops->submit(mapping, &f->io, 1);
}

/* How many pages a fault at index should read. */
static uint64_t readahead_size(struct address_space *mapping, uint64_t index, uint64_t want)
{
	struct pinfold *m = mapping->machine;
	uint32_t size = atomic_load_explicit(&mapping->ra_size, memory_order_relaxed);
	uint64_t n, room;

	/* Nothing to be gained, and behind a range of the shared anonymous memory lies somebody else's. */
	if (!mapping->ops->readv)
		return 1;
	/* The pair may be torn between threads: then one read is larger or smaller than it should. */
	if (atomic_load_explicit(&mapping->ra_next, memory_order_relaxed) != index)
		size = 1;
	else
		size = size < 2 ? 4 : size < READAHEAD_MAX ? size * 2 : READAHEAD_MAX;
	n = want > size ? want : size;
	room = mapping->memfd >= 0 ? atomic_load(&m->nr_direct_free) : atomic_load(&m->nr_free);
	/* Reading ahead must not eat the frames that others fault for. */
	if (n > room / 2 + 1)
		n = room / 2 + 1;
	if (n > FILL_PAGES)
		n = FILL_PAGES;
	atomic_store_explicit(&mapping->ra_size, size, memory_order_relaxed);
	return n;
}

static enum page_fact get_missing(struct page_request *rq)
{
	struct fill f;
	uint64_t n;
	enum page_fact fact;
	int err;

	if (rq->index >= file_pages(rq->mapping)) {
		rq->error = -ENXIO;
		return PAGE_ERROR;
	}
	if (!rq->block)
		return PAGE_WOULD_BLOCK;
	n = readahead_size(rq->mapping, rq->index, rq->want);
	fact = fill_begin(&f, rq->mapping, rq->index, n);
	if (fact != PAGE_OK) {
		rq->error = -ENOMEM;
		return fact;
	}
	n = f.n;
	set_flag(f.pages[0], PG_referenced); /* reclaim must not take it before the fault sees it */
	err = fill_now(&f);
	if (err && n > 1) { /* which page is bad? only the one asked for matters */
		n = 1;
		fact = fill_begin(&f, rq->mapping, rq->index, 1);
		if (fact != PAGE_OK) {
			rq->error = -ENOMEM;
			return fact;
		}
		set_flag(f.pages[0], PG_referenced);
		err = fill_now(&f);
	}
	atomic_store_explicit(&rq->mapping->ra_next, rq->index + n, memory_order_relaxed);
	rq->error = err;
	return err ? PAGE_ERROR : PAGE_AGAIN;
}

enum page_fact filemap_get_page(struct page_request *rq)
{
	struct pinfold *m = rq->mapping->machine;
	struct page *busy, *p = find_get(rq->mapping, rq->index, &busy);

	if (!p && busy) {
		if (!rq->block)
			return PAGE_WOULD_BLOCK;
		page_wait(m, busy);
		return PAGE_AGAIN;
	}
	if (!p)
		return get_missing(rq);
	if (has_flag(p, PG_uptodate)) {
		rq->page = p;
		return PAGE_OK;
	}
	if (rq->block)
		page_wait(m, p);
	put_internal(m, p);
	return rq->block ? PAGE_AGAIN : PAGE_WOULD_BLOCK;
}

uint64_t filemap_readahead(struct address_space *mapping, uint64_t index, uint64_t n)
{
	struct pinfold *m = mapping->machine;
	uint64_t i = 0, end = file_pages(mapping);

	if (index >= end)
		return 0;
	if (n > end - index)
		n = end - index;
	while (i < n) {
		struct fill *f;
		bool cached;

		host_lock(&mapping->pages_lock);
		cached = sparse_get(&mapping->pages, index + i);
		host_unlock(&mapping->pages_lock);
		if (cached) {
			i++;
			continue;
		}
		f = slab_alloc(&m->fills);
		if (!f)
			break;
		switch (fill_begin(f, mapping, index + i, n - i)) {
		case PAGE_OK:
			i += f->n;
			fill_start(f);
			continue;
		case PAGE_AGAIN: /* somebody was faster */
			slab_free(&m->fills, f);
			continue;
		default:
			slab_free(&m->fills, f);
			return i;
		}
	}
	return i;
}

int filemap_check(struct address_space *mapping)
{
	uint64_t n = 0, home = 0;
	uint64_t i = 0;
	struct page *p;
	int bad = 0;

	host_lock(&mapping->pages_lock);
	for (; (p = sparse_next(&mapping->pages, &i, UINT64_MAX, -1)); i++, n++) {
		uint64_t c = page_count(p);

		bad += p->mapping != mapping || p->index != i || (c & PC_FREE) ||
		       !has_flag(p, PG_uptodate) || has_flag(p, PG_locked);
		bad += pc_internal(c) != 1 + atomic_load(&p->mapcount);
		bad += !!has_flag(p, PG_dirty) != sparse_marked(&mapping->pages, i, MARK_DIRTY);
		bad += !!has_flag(p, PG_cut) != sparse_marked(&mapping->pages, i, MARK_CUT);
		bad += !!has_flag(p, PG_home) != sparse_marked(&mapping->pages, i, MARK_HOME);
		bad += (mapping->ops->commits && !has_flag(p, PG_unclean)) != !!has_flag(p, PG_lru);
		if (bad) {
			debug_broken("I7/I9: a cached page's record, counts or marks are wrong", p);
			break;
		}
		home += !!has_flag(p, PG_home);
	}
	bad += !bad && (n != mapping->nr_pages || home != mapping->home_pages);
	host_unlock(&mapping->pages_lock);
	return bad;
}
