/* SPDX-License-Identifier: MIT */
/*
 * gup.c - the pin calls.  From top to bottom: check the arguments once; the fast path; loop A, under
 * the mmap lock: look at the slot, pin, or fault and look again.
 *
 * This is the only file that loops over faults.  Everything below returns a fact.
 */
#include "mm/gup.h"

#include <errno.h>

#include "lib/export.h"
#include "mm/debug.h"
#include "mm/ledger.h"
#include "mm/reclaim.h"
#include "mm/registry.h"

#define GUP_FLAGS (FOLL_WRITE | FOLL_TOUCH | FOLL_GET | FOLL_DUMP | FOLL_FORCE | FOLL_NOWAIT | \
                   FOLL_HWPOISON | FOLL_ANON | FOLL_LONGTERM)
#define RETRY_LIMIT 1000000u

struct mm_struct *current_mm(int *err)
{
	struct mm_struct *mm = used_mm();

	*err = mm ? mm_check_live(mm) : vmstat_in_child ? -EOWNERDEAD : -EFAULT;
	return *err ? NULL : mm;
}

struct mm_struct *held_mm(int *err)
{
	struct mm_struct *mm = current.mmap_held;

	*err = mm ? mm_check_live(mm) : vmstat_in_child ? -EOWNERDEAD : -EINVAL;
	return *err ? NULL : mm;
}

void faultin_lock(struct faultin *fi)
{
	/* A thread that holds another mm's lock, or a section, for which a freeze waits: waiting writers must not close a
	 * circle (locking.md). */
	if (current.mmap_held || current.nr_sections)
		host_read_lock_nested(&fi->mm->mmap_lock);
	else
		host_read_lock(&fi->mm->mmap_lock);
	fi->held = true;
}

void faultin_unlock(struct faultin *fi)
{
	host_read_unlock(&fi->mm->mmap_lock);
	fi->held = false;
	fi->dropped = true;
}

void faultin_enter(struct faultin *fi)
{
	if (current.mmap_held == fi->mm)
		fi->held = true;
	else
		fi->flags |= FAULT_ALLOW_DROP;
}

void faultin_exit(struct faultin *fi)
{
	if (fi->held && current.mmap_held != fi->mm)
		faultin_unlock(fi);
}

int faultin_caller(struct faultin *fi, const int *locked)
{
	/* A lock held for writing cannot be dropped as one for reading (L2). */
	if (current.mmap_held != fi->mm || (locked && (*locked != 1 || current.mmap_write)))
		return -EINVAL;
	fi->held = true;
	if (locked)
		fi->flags |= FAULT_ALLOW_DROP;
	return 0;
}

void faultin_tell(struct faultin *fi, int *locked)
{
	if (!fi->dropped)
		return;
	if (fi->held)
		faultin_unlock(fi);
	current.mmap_held = NULL;
	*locked = 0;
}

/* ---- fault and look again -------------------------------------------------------------------- */

/* What is waited where nobody is known to be at work on frames: others may have pages in hand, but not be running. */
static uint64_t moment(const struct faultin *fi)
{
	return fi->mm->machine->opts.deadline_ms * 1000000ull / 20;
}

static uint64_t deadline(struct faultin *fi)
{
	if (!fi->deadline)
		fi->deadline = host_now() + fi->mm->machine->opts.deadline_ms * 1000000ull;
	return fi->deadline;
}

/* Waits are better done without the lock: who ends them may need it. */
static void drop_for_wait(struct faultin *fi)
{
	if (fi->held && (fi->flags & FAULT_ALLOW_DROP))
		faultin_unlock(fi);
}

/* No frame: reclaim; none to be had: a commit may free some, unless this thread is what it waits for. */
static int wait_for_frame(struct faultin *fi, enum frame_kind kind)
{
	struct pinfold *m = fi->mm->machine;
	uint32_t seen = atomic_load(&m->commit_event);
	bool pending;
	uint64_t now;

	drop_for_wait(fi);
	if (reclaim_frames(m, kind, reclaim_size(m, kind), &pending))
		return 0;
	now = host_now();
	/* A commit of another thread, or a flush, will make pages clean; in a section no freeze comes, but
	 * the commit of an earlier cut may be under way.  Else a moment for pages that others have in
	 * hand: a read, an eviction. */
	if (!pending && (current.nr_sections || !atomic_load(&m->dirty)) && deadline(fi) > now + moment(fi))
		fi->deadline = now + moment(fi);
	if (now >= deadline(fi))
		return -ENOMEM;
	/* Pins end without an event: look again now and then. */
	host_wait(&m->commit_event, seen, 2000000);
	return 0;
}

/* Too many dirty pages.  Inside a section nobody can commit: waiting would be for nothing (D11). */
static int wait_for_room(struct faultin *fi)
{
	if (current.nr_sections || (fi->flags & FAULT_NOWAIT))
		return -ENOSPC;
	drop_for_wait(fi);
	return cut_wait_room(fi->mm->machine, deadline(fi)) ? 0 : -ENOSPC;
}

/* A file's page is claimed for a commit, or a commit waits for pins: until that is over. */
static int wait_for_commit(struct faultin *fi, struct vm_fault *vmf, struct address_space *mapping)
{
	bool over;

	atomic_fetch_add(&mapping->users, 1); /* without the lock the VMA may go: the file stays open */
	drop_for_wait(fi);
	over = vmf->page ? cut_wait_claim(mapping, vmf->page, deadline(fi)) : cut_wait_pins(mapping, deadline(fi));
	atomic_fetch_sub(&mapping->users, 1);
	return over ? 0 : -EBUSY;
}

/* What the handler could not do is done here, or is an error.  mapping: the VMA's, which may be gone. */
static int resolve(struct faultin *fi, struct vm_fault *vmf, enum fault_fact fact,
                   struct address_space *mapping)
{
	int r;

	switch (fact) {
	case FAULT_DONE:
	case FAULT_AGAIN:
		return 0;
	case FAULT_BLOCK:
		return 1;
	case FAULT_NO_FRAME:
		return fi->flags & FAULT_NOWAIT ? 1 : wait_for_frame(fi, vmf->kind);
	case FAULT_LIMIT:
		return wait_for_room(fi);
	case FAULT_WAIT_CLAIM:
		r = fi->flags & FAULT_NOWAIT ? 1 : wait_for_commit(fi, vmf, mapping);
		put_internal(fi->mm->machine, vmf->page);
		return r;
	case FAULT_WAIT_PINS:
		return fi->flags & FAULT_NOWAIT ? 1 : wait_for_commit(fi, vmf, mapping);
	case FAULT_ACCESS:
		return -EACCES;
	case FAULT_ERROR:
	case FAULT_NEED_PAGE: /* fault.c's own */
		return vmf->error;
	}
	return -EFAULT;
}

static void note_failure(struct faultin *fi, unsigned long addr, struct vm_area_struct *vma, int err)
{
	struct pinfold_fault f = {
		.size = sizeof(f), .address = addr, .error = err,
		.write = !!(fi->flags & FAULT_WRITE),
	};

	if (vma && vma->mapping->ops->readv) { /* anonymous memory is nobody's file */
		f.file = (struct pinfold_file *)vma->mapping;
		f.offset = vma_index(vma, addr) << PAGE_SHIFT;
	}
	current.fault = f;
	count_event(fi->mm->machine, FAULTS_FAILED, 1);
}

/* One look.  0 and *done, 0 look again, 1 would block, or -errno. */
static int faultin_once(struct faultin *fi, unsigned long addr, bool *done)
{
	struct vm_area_struct *vma = vma_find(fi->mm, addr), copy;
	struct vm_fault vmf = {
		.vma = vma, .addr = addr, .flags = fi->flags, .want = fi->want,
	};
	struct address_space *mapping;
	bool private; /* its translation was installed with its slot */
	enum fault_fact fact;
	int r, around = 0;

	if (!vma) {
		note_failure(fi, addr, NULL, -EFAULT);
		return -EFAULT;
	}
	/* For the report: the lock may be dropped below. */
	copy = (struct vm_area_struct){
		.start = vma->start, .pgoff = vma->pgoff, .mapping = vma->mapping,
	};
	mapping = vma->mapping;
	private = vma_private(vma);
	/* Once a fault: what the last look read must not go before this one sees it. */
	if (!fi->looked && !(fi->flags & FAULT_NOWAIT))
		reclaim_keep(fi->mm->machine, mapping_kind(mapping), READAHEAD_MAX);
	fi->looked = true;
	fact = handle_mm_fault(&vmf);
	fi->covered = vmf.covered;
	if (vmf.dropped) {
		fi->held = false;
		fi->dropped = true;
	}
	*done = fact == FAULT_DONE;
	if (*done && !private && (fi->flags & FAULT_WINDOW ? !(fi->flags & FAULT_WRITE) : fi->want > 1))
		around = fault_around(vma, addr, addr + (fi->want > 16 ? fi->want : 16) * PAGE_SIZE,
		                      fi->flags & FAULT_WINDOW);
	r = around ? around : resolve(fi, &vmf, fact, mapping);
	if (r < 0)
		note_failure(fi, addr, &copy, r);
	return r == -EACCES ? -EFAULT : r;
}

int faultin_page(struct faultin *fi, unsigned long addr)
{
	fi->looked = false;
	/* Bounded: each round either waited for something, or lost the page to somebody else's work. */
	for (unsigned tries = 0; tries < RETRY_LIMIT; tries++) {
		bool done = false;
		int r;

		if (!fi->held)
			faultin_lock(fi);
		r = faultin_once(fi, addr, &done);
		if (r || done)
			return r;
	}
	VM_WARN_ON(true);
	return -EBUSY;
}

/* ---- loop A ---------------------------------------------------------------------------------- */

struct gup {
	struct faultin fi;
	unsigned flags;
	unsigned long addr, end;
	struct page **pages;
	struct vm_area_struct **vmas;
	struct vm_area_struct *vma; /* checked; NULL: look it up */
	unsigned long done, zeroes; /* of them the zero page: not counted */
	unsigned long ahead;        /* read-ahead was started up to here */
	bool look;                  /* pin nothing */
};

/* V2's order for the mappings there are.  0 or -EFAULT. */
static int check_vma(const struct vm_area_struct *vma, unsigned flags)
{
	bool dirty_tracked = vma->mapping->ops->commits && !vma_private(vma) && (vma->prot & PINFOLD_PROT_WRITE);

	if ((flags & FOLL_ANON) && !vma_anon(vma))
		return -EFAULT;
	/* V7, until leases exist: nobody could take the pages back for a commit. */
	if ((flags & FOLL_WRITE) && (flags & FOLL_LONGTERM) && dirty_tracked)
		return -EFAULT;
	/* FORCE writes to a private copy only (V5). */
	if (flags & FOLL_WRITE)
		return (vma->prot & PINFOLD_PROT_WRITE) || ((flags & FOLL_FORCE) && vma_private(vma)) ? 0 : -EFAULT;
	return (vma->prot & PINFOLD_PROT_READ) || (flags & FOLL_FORCE) ? 0 : -EFAULT;
}

/* What a slot is good for, asked under its lock. */
enum slot_fact { SLOT_TAKE, SLOT_TAKE_ZERO, SLOT_FAULT, SLOT_UNSHARE };

/*
 * A page of the mm's own is pinned as it is, with FORCE also against the VMA's word (W3).  Everything else in a private
 * mapping is shared with somebody: not to be written, and to be pinned only for a short read, where it cannot
 * change: a page of the file, the zero page (U1, U4, Z4).
 */
static enum slot_fact private_slot(const struct gup *g, uint64_t s, bool shared)
{
	bool longterm = g->flags & FOLL_LONGTERM, own = (s & SLOT_EXCL) && !shared;

	if (g->flags & FOLL_WRITE)
		return own && ((s & SLOT_WRITE) || !(g->vma->prot & PINFOLD_PROT_WRITE)) ? SLOT_TAKE : SLOT_FAULT;
	if (own)
		return SLOT_TAKE;
	if (!s)
		return longterm ? SLOT_UNSHARE : SLOT_FAULT;
	if (longterm || (s & SLOT_ANON))
		return SLOT_UNSHARE;
	return s & SLOT_ZERO ? SLOT_TAKE_ZERO : SLOT_TAKE;
}

static enum slot_fact judge_slot(const struct gup *g, uint64_t s, bool shared)
{
	uint64_t need = SLOT_PRESENT | (g->flags & FOLL_WRITE ? SLOT_WRITE | SLOT_PINW : 0);

	if (vma_private(g->vma))
		return private_slot(g, s, shared);
	return (s & need) == need ? SLOT_TAKE : SLOT_FAULT;
}

/* Counts a pin of a page whose slot cannot change now.  0, or -ENOMEM. */
static int pin_page(struct gup *g, struct pt_pos *pos, struct page *page)
{
	struct page *head = page_head(page);

	if (!pos->huge)
		atomic_store(&pos->table->pinned, 1); /* before the count; partner: dup_mmap(), which has the mmap lock */
	if (head->order)
		folio_marks(head, page_tail(page), 1, true);
	/* The slot's own reference keeps FREE away: it is the guard (clause R6). */
	if (ledger_limited(g->fi.mm->machine))
		return ledger_pin(g->fi.mm->machine, head, 1, pin_flags(g->flags));
	return page_pin(g->fi.mm->machine, head, 1, pin_flags(g->flags)) ? 0 : -ENOMEM;
}

/* Pins what the slot shows.  The lock keeps the slot, and with it the page, from changing.  NULL: a fault is needed, for
 * which fi.flags say what kind, or *err. */
static struct page *pin_slot(struct gup *g, int *err)
{
	struct pinfold *m = g->fi.mm->machine;
	enum slot_fact fact = SLOT_FAULT;
	struct page *page = NULL;
	struct pt_pos pos;
	bool there = pt_lock(g->fi.mm, g->addr, &pos);
	uint64_t s = there ? pos_read(&pos, g->addr) : 0;

	*err = 0;
	g->fi.flags &= ~FAULT_UNSHARE;
	fact = judge_slot(g, s, there && pos.shared);
	if (fact == SLOT_TAKE || fact == SLOT_TAKE_ZERO)
		page = pfn_to_page(m, s >> PAGE_SHIFT);
	if (fact == SLOT_TAKE && g->look)
		set_flag(page_head(page), PG_referenced);
	else if (fact == SLOT_TAKE)
		*err = pin_page(g, &pos, page);
	if (there)
		pt_unlock(&pos);
	/* V18, Z7: what was never written is a hole of a dump. */
	if ((g->flags & FOLL_DUMP) && (fact == SLOT_TAKE_ZERO || (!s && vma_anon(g->vma))))
		*err = -EFAULT;
	if (fact == SLOT_UNSHARE)
		g->fi.flags |= FAULT_UNSHARE;
	return *err ? NULL : page;
}

static void unpin(struct gup *g, struct page *page)
{
	struct pinfold *m = g->fi.mm->machine;

	if (page != m->zero)
		dec_done(m, page_head(page), put_pins(m, page_head(page), 1));
}

/* Many pages missing: start reading them together before the first is waited for. */
static void read_ahead(struct gup *g)
{
	unsigned long end = g->vma->end < g->end ? g->vma->end : g->end;
	uint64_t n = (end - g->addr) >> PAGE_SHIFT;

	/* Without a ring it would be done here, under the lock: the fault reads as much, and drops it. */
	if (g->addr < g->ahead || n < 2 || (g->flags & FOLL_NOWAIT) || !g->fi.mm->machine->ring ||
	    !g->vma->mapping->ops->readv)
		return;
	if (n > TABLE_SLOTS)
		n = TABLE_SLOTS;
	reclaim_keep(g->fi.mm->machine, mapping_kind(g->vma->mapping), n);
	filemap_readahead(g->vma->mapping, vma_index(g->vma, g->addr), n);
	g->ahead = g->addr + (n << PAGE_SHIFT);
}

/* FOLL_NOWAIT: the read is started where that does not mean doing it. */
static void start_read(struct gup *g)
{
	if (g->fi.mm->machine->ring && g->vma && g->vma->mapping->ops->readv)
		filemap_readahead(g->vma->mapping, vma_index(g->vma, g->addr), 1);
}

/* One page: 1 delivered, 0 not without waiting, or -errno. */
static int gup_one(struct gup *g)
{
	struct page *page;
	int r;

	for (unsigned tries = 0; tries < RETRY_LIMIT; tries++) {
		if (!g->fi.held) {
			faultin_lock(&g->fi);
			g->vma = NULL;
		}
		if (!g->vma || g->addr >= g->vma->end) {
			g->vma = vma_find(g->fi.mm, g->addr);
			r = g->vma ? check_vma(g->vma, g->flags) : -EFAULT;
			if (r) {
				note_failure(&g->fi, g->addr, g->vma, g->vma ? -EACCES : r);
				return r;
			}
		}
		page = pin_slot(g, &r);
		if (r)
			return r;
		if (page) {
			if (g->pages)
				g->pages[g->done] = page;
			else
				unpin(g, page);
			g->zeroes += page == g->fi.mm->machine->zero;
			if (g->vmas)
				g->vmas[g->done] = g->vma;
			return 1;
		}
		read_ahead(g);
		g->fi.want = (g->end - g->addr) >> PAGE_SHIFT;
		r = faultin_page(&g->fi, g->addr);
		if (r == 1) {
			start_read(g);
			return 0;
		}
		if (r)
			return r;
		if (g->fi.flags & FAULT_ALLOW_DROP)
			g->vma = NULL; /* the lock may have been dropped and taken again */
	}
	return -EBUSY;
}

long gup_errno(int r)
{
	return r == -ENXIO || r == -EIO || r == -ESTALE || r == -EACCES ? -EFAULT : r;
}

static long gup_loop(struct gup *g)
{
	struct pinfold *m = g->fi.mm->machine;
	long first = 0;

	if (unlikely(current.machine != m))
		vmstat_attach(m);
	call_begin();
	while (g->addr < g->end) {
		int r = gup_one(g);

		if (r <= 0) {
			first = gup_errno(r);
			break;
		}
		g->done++;
		g->addr += PAGE_SIZE;
	}
	call_end();
	if (g->pages) {
		/* Not count_own(): a notifier's callback may have put pages of another machine. */
		count_event(m, PINS_ACQUIRED, g->done - g->zeroes);
		count_event(m, SLOW_PINS, g->done - g->zeroes);
	}
	return g->done ? (long)g->done : first;
}

/* ---- arguments ------------------------------------------------------------------------------- */

long gup_check(unsigned long start, unsigned long nr, unsigned flags, struct page **pages)
{
	if ((flags & ~(unsigned)GUP_FLAGS) || (!pages && (flags & FOLL_LONGTERM)))
		return -EINVAL;
	if (!nr)
		return 0;
	if (nr > (~0ul >> PAGE_SHIFT) || (start & PAGE_MASK) + (nr << PAGE_SHIFT) < (start & PAGE_MASK))
		return -EOVERFLOW;
	if (pages && in_window(pages, nr * sizeof(*pages)))
		return -EFAULT;
	return 0;
}

static void gup_init(struct gup *g, struct mm_struct *mm, unsigned long start, unsigned long nr,
                     unsigned flags)
{
	*g = (struct gup){
		.fi = { .mm = mm }, .flags = flags, .addr = start & PAGE_MASK,
		.end = (start & PAGE_MASK) + (nr << PAGE_SHIFT),
	};
	if (flags & FOLL_WRITE)
		g->fi.flags |= FAULT_WRITE | FAULT_PIN;
	if (flags & FOLL_NOWAIT)
		g->fi.flags |= FAULT_NOWAIT;
	if (flags & FOLL_FORCE)
		g->fi.flags |= FAULT_FORCE;
}

long pin_range(struct mm_struct *mm, unsigned long start, unsigned long nr, unsigned flags,
               struct page **pages)
{
	struct gup g;
	long r;

	gup_init(&g, mm, start, nr, flags);
	g.pages = pages;
	faultin_enter(&g.fi);
	call_begin();
	r = gup_loop(&g);
	faultin_exit(&g.fi);
	call_end();
	return r;
}

struct page *gup_look(struct vm_area_struct *vma, unsigned long addr, unsigned flags, int *err)
{
	struct gup g;

	*err = check_vma(vma, flags);
	if (*err)
		return NULL;
	gup_init(&g, vma->mm, addr, 1, flags);
	g.vma = vma;
	g.look = !(flags & FOLL_GET);
	return pin_slot(&g, err);
}

/* The calls that want the lock held by the caller; locked as in Linux (clauses L1, L2). */
static long gup_held(struct gup *g, int *locked)
{
	long r = faultin_caller(&g->fi, locked);

	if (r)
		return r;
	call_begin();
	r = gup_loop(g);
	faultin_tell(&g->fi, locked);
	call_end();
	return r;
}

PINFOLD_EXPORT long get_user_pages_remote(struct task_struct *tsk, struct mm_struct *mm,
                                          unsigned long start, unsigned long nr_pages,
                                          unsigned int gup_flags, struct page **pages,
                                          struct vm_area_struct **vmas, int *locked)
{
	long r = mm_check_live(mm);
	struct gup g;

	(void)tsk; /* 5.2 counts its faults; nobody here has such a counter */
	if (!r)
		r = gup_check(start, nr_pages, gup_flags, pages);
	if (!r && vmas && (locked || in_window(vmas, nr_pages * sizeof(*vmas))))
		r = locked ? -EINVAL : -EFAULT;
	if (r || !nr_pages)
		return r;
	gup_init(&g, mm, start, nr_pages, gup_flags);
	g.pages = pages;
	g.vmas = vmas;
	return gup_held(&g, locked);
}

PINFOLD_EXPORT long get_user_pages(unsigned long start, unsigned long nr_pages,
                                   unsigned int gup_flags, struct page **pages,
                                   struct vm_area_struct **vmas)
{
	int err;
	struct mm_struct *mm = current_mm(&err);

	return mm ? get_user_pages_remote(NULL, mm, start, nr_pages, gup_flags, pages, vmas, NULL) :
	            err;
}

PINFOLD_EXPORT long get_user_pages_locked(unsigned long start, unsigned long nr_pages,
                                          unsigned int gup_flags, struct page **pages, int *locked)
{
	int err;
	struct mm_struct *mm = current_mm(&err);

	if (!locked)
		return -EINVAL;
	return mm ? get_user_pages_remote(NULL, mm, start, nr_pages, gup_flags, pages, NULL, locked) :
	            err;
}

PINFOLD_EXPORT long get_user_pages_unlocked(unsigned long start, unsigned long nr_pages,
                                            struct page **pages, unsigned int gup_flags)
{
	int err;
	struct mm_struct *mm = current_mm(&err);
	long r = mm ? gup_check(start, nr_pages, gup_flags, pages) : err;

	return r || !nr_pages ? r : pin_range(mm, start, nr_pages, gup_flags, pages);
}
