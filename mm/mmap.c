/* SPDX-License-Identifier: MIT */
/* mmap.c - see mmap.h. */
#include "mm/mmap.h"

#include <errno.h>

#include "mm/debug.h"
#include "mm/freeze.h"
#include "mm/mmu_notifier.h"
#include "mm/registry.h"


#define PROT_ALL (PINFOLD_PROT_READ | PINFOLD_PROT_WRITE)
#define FIXED_ANY (PINFOLD_MAP_FIXED | PINFOLD_MAP_FIXED_NOREPLACE)
#define MAP_KIND (PINFOLD_MAP_SHARED | PINFOLD_MAP_PRIVATE)
#define MAP_ALL (MAP_KIND | PINFOLD_MAP_ANONYMOUS | FIXED_ANY | PINFOLD_MAP_POPULATE)

int range_check(unsigned long addr, size_t *len)
{
	size_t l = (*len + PAGE_SIZE - 1) & PAGE_MASK;

	if (addr % PAGE_SIZE || !*len || l < *len || addr + l < addr || addr + l > VMA_HIGHEST)
		return -EINVAL;
	*len = l;
	return 0;
}

bool place_ok(const struct mm_struct *mm, unsigned long start, unsigned long end)
{
	unsigned long low = mm->arena ? mm->arena : VMA_LOWEST, high = mm->arena ? mm->arena_end : VMA_HIGHEST;

	return start >= low && end <= high && start < end;
}

int place_check(const struct mm_struct *mm, unsigned long addr, size_t len)
{
	if (addr % PAGE_SIZE || addr < VMA_LOWEST || addr + len < addr)
		return -EINVAL;
	return place_ok(mm, addr, addr + len) ? 0 : -ENOMEM;
}

/* What the window can show.  0 or -EOPNOTSUPP. */
static int window_check(const struct mmap_request *rq)
{
	const struct address_space *mapping = rq->mapping;
	enum pinfold_window window = rq->mm->window;

	if (window == PINFOLD_WINDOW_DIRECT && (mapping->memfd < 0 || !(rq->flags & PINFOLD_MAP_SHARED)))
		return -EOPNOTSUPP;
	/* Its stores are found by asking the host, which only a direct window's host can tell. */
	if ((mapping->flags & PINFOLD_FILE_ASYNC_WP) &&
	    (window == PINFOLD_WINDOW_EXTENT || !(rq->flags & PINFOLD_MAP_SHARED)))
		return -EOPNOTSUPP;
	return 0;
}

static int mmap_check(struct mmap_request *rq)
{
	int r = range_check(0, &rq->len);
	unsigned kind = (unsigned)rq->flags & MAP_KIND;

	if (r)
		return r;
	if ((rq->flags & ~MAP_ALL) || (rq->prot & ~PROT_ALL) || (kind != PINFOLD_MAP_SHARED &&
	    kind != PINFOLD_MAP_PRIVATE) || rq->offset % PAGE_SIZE || rq->offset + rq->len < rq->offset)
		return -EINVAL;
	if (rq->flags & FIXED_ANY)
		r = place_check(rq->mm, rq->addr, rq->len);
	if (r)
		return r;
	if (rq->mapping->memfd >= 0 && rq->offset + rq->len > rq->mapping->max_size)
		return -EINVAL;
	return window_check(rq);
}

/* Asynchronous files: i_mmap_lock, so that a freeze does not come between the scan and the marks. */
static void collect(struct vm_area_struct *vma)
{
	if (vma->mm->window != PINFOLD_WINDOW_DIRECT || !vma_async(vma))
		return;
	host_lock(&vma->mapping->i_mmap_lock);
	freeze_collect(vma, vma->start, vma->end);
	host_unlock(&vma->mapping->i_mmap_lock);
}

/* The first stretch of [*first, end) of the shared anonymous memory that no mapping shows; its end. */
static uint64_t unmapped_stretch(struct address_space *mapping, uint64_t *first, uint64_t end)
{
	uint64_t stop = end;
	bool moved = true;

	host_lock(&mapping->i_mmap_lock);
	while (moved) {
		moved = false;
		stop = end;
		for (struct vm_area_struct *v = mapping->i_mmap; v; v = v->in_file.next) {
			uint64_t v_end = v->pgoff + ((v->end - v->start) >> PAGE_SHIFT);

			if (v->pgoff <= *first && v_end > *first) {
				*first = v_end;
				moved = true;
			} else if (v->pgoff > *first && v->pgoff < stop) {
				stop = v->pgoff;
			}
		}
	}
	host_unlock(&mapping->i_mmap_lock);
	return stop;
}

/*
 * Shared anonymous memory that no mapping shows any more: its pages leave the index, pinned ones belong to their
 * holders alone (M1).  Two that unmap the last mappings at once may both come here: each page goes once.
 */
static void release_shared(struct pinfold *m, uint64_t first, uint64_t end)
{
	struct address_space *mapping = &m->shared;

	while (first < end) {
		uint64_t stop = unmapped_stretch(mapping, &first, end);
		struct page *p = NULL;

		host_lock(&mapping->pages_lock);
		if (first < stop)
			p = sparse_next(&mapping->pages, &first, stop - 1, -1);
		if (p) {
			sparse_clear(&mapping->pages, first++);
			mapping->nr_pages--;
		} else if (first < stop) {
			first = stop;
		}
		host_unlock(&mapping->pages_lock);
		if (p)
			put_internal(m, p);
	}
}

/* One VMA and all that hangs on it.  Writing. */
static void unmap_vma(struct vm_area_struct *vma)
{
	struct mm_struct *mm = vma->mm;
	unsigned long start = vma->start, end = vma->end;
	int r;

	collect(vma);
	r = zap_range(vma, start, end, true);
	VM_WARN_ON(r);
	/* Off every list, then nobody may have it noted any more, and only then is the address anybody's. */
	vma_unlink(vma);
	if (mm->window == PINFOLD_WINDOW_DIRECT) {
		registry_remove_windows(start, end);
		tlb_wait(mm->machine);
		host_window_unmap(start, end - start);
	}
	pt_trim(mm, start, end);
	if (vma->mapping == &mm->machine->shared)
		release_shared(mm->machine, vma->pgoff, vma->pgoff + ((end - start) >> PAGE_SHIFT));
	vma_free(vma);
}

void unmap_range(struct mm_struct *mm, unsigned long start, unsigned long end)
{
	struct vm_area_struct *vma;

	while ((vma = vma_next(mm, start)) && vma->start < end)
		unmap_vma(vma);
}

int split_at(struct mm_struct *mm, unsigned long addr)
{
	struct vm_area_struct *vma = vma_find(mm, addr);
	struct table *dir = vma ? pt_dir(mm, addr) : NULL;

	if (!vma || vma->start == addr)
		return 0;
	/* A 2 MiB slot has one mapping's rights. */
	if (dir && addr % HUGE_SIZE && (atomic_load(pt_entry(dir, addr)) & SLOT_PRESENT) && pt_split(mm, dir, addr))
		return -ENOMEM;
	return vma_split(mm, addr);
}

/* Both ends.  0, or -ENOMEM and the mappings are as before. */
static int split_range(struct mm_struct *mm, unsigned long start, unsigned long end)
{
	int r = split_at(mm, start);

	if (!r)
		r = split_at(mm, end);
	if (r)
		vma_merge(mm, start, end);
	return r;
}

/* Tables that are not this mm's alone and lie in the range whole go as they are. */
static void detach_tables(struct mm_struct *mm, unsigned long start, unsigned long end)
{
	unsigned long done = (start + LEAF_SIZE - 1) & ~(LEAF_SIZE - 1);

	for (unsigned i = vma_next_index(mm, start); i < mm->nr_vmas && mm->vmas[i]->start < end; i++) {
		struct vm_area_struct *vma = mm->vmas[i];
		unsigned long a = vma->start & ~(LEAF_SIZE - 1);

		for (a = a < done ? done : a; a < vma->end && a + LEAF_SIZE <= end; a += LEAF_SIZE) {
			struct table *dir = pt_dir(mm, a);
			uint64_t e = dir ? atomic_load(pt_entry(dir, a)) : 0;

			done = a + LEAF_SIZE;
			if (!entry_leaf(e) || !(e & ENTRY_SHARED))
				continue;
			if (mm->arena) /* translations before pages that others may free */
				extent_drop(mm, a, LEAF_SIZE);
			pt_detach(mm, a);
		}
	}
}

int unmap_checked(struct mm_struct *mm, unsigned long start, unsigned long end)
{
	struct vm_area_struct *vma = vma_next(mm, start);
	int r;

	if (!vma || vma->start >= end)
		return 0;
	r = split_range(mm, start, end);
	if (!r)
		r = zap_prepare(mm, start, end);
	if (r) {
		vma_merge(mm, start, end);
		return r;
	}
	notify_start(mm, start, end, MMU_NOTIFY_UNMAP);
	detach_tables(mm, start, end);
	unmap_range(mm, start, end);
	notify_end(mm, start, end, MMU_NOTIFY_UNMAP);
	return 0;
}

/* Finds the place of a mapping in a window of extents, or without one.  The address or -errno. */
static long place(struct mmap_request *rq)
{
	unsigned long a;

	if (rq->flags & FIXED_ANY)
		return (long)rq->addr;
	a = rq->addr & PAGE_MASK;
	if (!a && rq->len >= HUGE_SIZE) { /* where 2 MiB folios fit */
		a = vma_gap(rq->mm, 0, rq->len + HUGE_SIZE - PAGE_SIZE);
		a = (a + HUGE_SIZE - 1) & ~(HUGE_SIZE - 1);
	}
	a = vma_gap(rq->mm, a, rq->len);
	return a ? (long)a : -ENOMEM;
}

static int window_uffd(struct pinfold *m, int async)
{
	int fd;

	host_lock(&m->lock);
	fd = m->uffd[async];
	if (fd < 0) {
		fd = host_uffd_open(async, &m->uffd_how);
		if (fd >= 0)
			m->uffd[async] = fd;
	}
	host_unlock(&m->lock);
	return fd;
}

long direct_window_map(struct vm_area_struct *vma, unsigned long addr, size_t len)
{
	int fd = window_uffd(vma->mm->machine, vma_async(vma));
	long a;

	if (fd < 0)
		return fd;
	a = host_window_map(fd, vma->mapping->memfd, addr, len, vma->pgoff << PAGE_SHIFT, vma->prot);
	if (a < 0)
		return a;
	if (!registry_add_window(vma->mm, (unsigned long)a, (unsigned long)a + len))
		return a;
	host_window_unmap((unsigned long)a, len);
	return -ENOMEM;
}

/* The host's mmap finds the place and the window is armed at once. */
static long place_direct(struct mmap_request *rq, struct vm_area_struct *vma)
{
	unsigned long want = rq->addr & PAGE_MASK;
	long a = direct_window_map(vma, want, rq->len);

	if (a < 0 && want && !(rq->flags & FIXED_ANY)) /* a hint only */
		a = direct_window_map(vma, 0, rq->len);
	return a;
}

/* What FIXED finds at its place.  0: free now. */
static int clear_place(struct mmap_request *rq)
{
	struct vm_area_struct *vma = vma_next(rq->mm, rq->addr);

	if (!(rq->flags & FIXED_ANY) || !vma || vma->start >= rq->addr + rq->len)
		return 0;
	if (rq->flags & PINFOLD_MAP_FIXED_NOREPLACE)
		return -EEXIST;
	return unmap_checked(rq->mm, rq->addr, rq->addr + rq->len);
}

/* Anonymous memory: shared, a range of the machine's own that nobody had before; private, named by its address. */
static uint64_t anon_pgoff(const struct mmap_request *rq, unsigned long addr)
{
	struct pinfold *m = rq->mm->machine;

	if (rq->mapping == &m->shared)
		return atomic_fetch_add(&m->shared_next, rq->len >> PAGE_SHIFT);
	return rq->mapping == &m->anon ? addr >> PAGE_SHIFT : rq->offset >> PAGE_SHIFT;
}

/* The lock is held; vma is new. */
static long map_vma(struct mmap_request *rq, struct vm_area_struct *vma)
{
	long a = clear_place(rq);

	vma->mapping = rq->mapping;
	vma->prot = rq->prot;
	vma->flags = rq->flags & PINFOLD_MAP_SHARED ? VM_SHARED : 0;
	vma->pgoff = rq->offset >> PAGE_SHIFT;
	if (!a)
		a = rq->mm->window == PINFOLD_WINDOW_DIRECT ? place_direct(rq, vma) : place(rq);
	if (a < 0)
		return a;
	vma->start = (unsigned long)a;
	vma->end = vma->start + rq->len;
	vma->pgoff = anon_pgoff(rq, vma->start);
	vma_link(vma);
	vma_merge(rq->mm, vma->start, vma->end);
	return a;
}

long do_mmap(struct mmap_request *rq)
{
	struct vm_area_struct *vma;
	long a = mmap_check(rq);

	if (a)
		return a;
	host_write_lock(&rq->mm->mmap_lock);
	/* Room in the array for this one and for those that clear_place() splits. */
	vma = vma_alloc(rq->mm);
	a = vma ? map_vma(rq, vma) : -ENOMEM;
	if (a < 0 && vma)
		vma_free(vma);
	host_write_unlock(&rq->mm->mmap_lock);
	return a;
}

int do_munmap(struct mm_struct *mm, unsigned long addr, size_t len)
{
	int r = range_check(addr, &len);

	if (r)
		return r;
	host_write_lock(&mm->mmap_lock);
	r = unmap_checked(mm, addr, addr + len);
	host_write_unlock(&mm->mmap_lock);
	return r;
}

/*
 * The host's protection and the VMA's word for it, together: reclaim of an asynchronous file changes
 * the one for a moment and puts it back as the other says.  In between it must stay:
 *   1 reclaim takes the right to store away, finds a page clean      2 here: the right is back
 *   3 a store through a translation that is still there, unseen      4 reclaim frees the page
 */
static int change_prot(struct vm_area_struct *vma, int prot)
{
	struct host_mutex *lock = &vma->mapping->i_mmap_lock;
	int r = 0;

	host_lock(lock);
	while (vma->mapping->holds) {
		host_unlock(lock);
		host_yield();
		host_lock(lock);
	}
	if (vma->mm->window == PINFOLD_WINDOW_DIRECT)
		r = host_window_mprotect(vma->start, vma->end - vma->start, prot);
	/*
	 * What was stored, asynchronously, while it was allowed: known before the VMA says that it is not.
	 *   1 here: read-only now       2 reclaim: a mapping without the right has no stores to be found; frees the page
	 */
	if (!r && vma->mm->window == PINFOLD_WINDOW_DIRECT && vma_async(vma) && (vma->prot & ~prot & PINFOLD_PROT_WRITE))
		freeze_collect(vma, vma->start, vma->end);
	if (!r) {
		vma->old_prot = vma->prot;
		vma->prot = prot;
	}
	host_unlock(lock);
	return r;
}

/* All VMAs of [start, end), or none.  0 or -errno. */
static int change_prots(struct mm_struct *mm, unsigned long start, unsigned long end, int prot)
{
	unsigned first = vma_next_index(mm, start);

	for (unsigned i = first; i < mm->nr_vmas && mm->vmas[i]->start < end; i++) {
		int r = change_prot(mm->vmas[i], prot);

		if (!r)
			continue;
		while (i-- > first)
			change_prot(mm->vmas[i], mm->vmas[i]->old_prot);
		return r;
	}
	return 0;
}

/* Slots carry the rights.  More come at the next touch; fewer must not stay anywhere. */
static void lower_rights(struct vm_area_struct *vma, int gone)
{
	uint64_t rights = 0;

	if (gone & PINFOLD_PROT_READ)
		rights |= SLOT_READ | SLOT_PINR | SLOT_LTR;
	if (gone & PINFOLD_PROT_WRITE)
		rights |= SLOT_WRITES;
	if (!rights)
		return;
	if (vma_private(vma)) {
		slots_take_rights(vma, vma->start, vma->end, rights);
		return;
	}
	/* The file's pages come back from the cache. */
	collect(vma);
	VM_WARN_ON(zap_range(vma, vma->start, vma->end, true));
}

/* The part of [start, end) that is mapped without a hole; its end. */
static unsigned long full_until(const struct mm_struct *mm, unsigned long start, unsigned long end)
{
	while (start < end) {
		const struct vm_area_struct *vma = vma_find(mm, start);

		if (!vma)
			return start;
		start = vma->end;
	}
	return end;
}

static int protect_range(struct mm_struct *mm, unsigned long start, unsigned long end, int prot)
{
	int r = split_range(mm, start, end);

	if (!r)
		r = zap_prepare(mm, start, end); /* shared mappings' slots are emptied */
	if (!r) {
		notify_start(mm, start, end, MMU_NOTIFY_PROTECTION_VMA);
		r = change_prots(mm, start, end, prot);
		for (unsigned i = vma_next_index(mm, start); !r && i < mm->nr_vmas && mm->vmas[i]->start < end; i++)
			lower_rights(mm->vmas[i], mm->vmas[i]->old_prot & ~prot);
		notify_end(mm, start, end, MMU_NOTIFY_PROTECTION_VMA);
	}
	vma_merge(mm, start, end);
	return r;
}

int do_mprotect(struct mm_struct *mm, unsigned long addr, size_t len, int prot)
{
	unsigned long end;
	int r;

	if (addr % PAGE_SIZE || (prot & ~PROT_ALL))
		return -EINVAL;
	if (!len)
		return 0;
	r = range_check(addr, &len);
	if (r)
		return r;
	host_write_lock(&mm->mmap_lock);
	/* As Linux does: what lies before a hole is changed. */
	end = full_until(mm, addr, addr + len);
	if (end > addr)
		r = protect_range(mm, addr, end, prot);
	host_write_unlock(&mm->mmap_lock);
	return r ? r : end < addr + len ? -ENOMEM : 0;
}

int do_dontneed(struct mm_struct *mm, unsigned long addr, size_t len)
{
	int r = range_check(addr, &len);
	unsigned long end = addr + len;

	if (r)
		return r;
	/* For reading is enough: slots have their own locks, and no VMA changes. */
	host_read_lock(&mm->mmap_lock);
	if (!vma_range_full(mm, addr, end))
		r = -ENOMEM; /* as in Linux: said at the end, done where it can be */
	notify_start(mm, addr, end, MMU_NOTIFY_CLEAR);
	for (unsigned i = vma_next_index(mm, addr); i < mm->nr_vmas && mm->vmas[i]->start < end; i++) {
		struct vm_area_struct *vma = mm->vmas[i];

		/* There the translations know what was stored; to drop them is only a hint. */
		if (vma_async(vma))
			continue;
		if (zap_range(vma, vma->start > addr ? vma->start : addr, vma->end < end ? vma->end : end, false))
			r = -ENOMEM;
	}
	notify_end(mm, addr, end, MMU_NOTIFY_CLEAR);
	host_read_unlock(&mm->mmap_lock);
	return r;
}

/*
 * As Linux does: holes are passed over and told at the end, a mapping that cannot take the advice ends it, and what lies
 * before that is done.
 */
int do_madvise_flags(struct mm_struct *mm, unsigned long addr, size_t len, unsigned set, unsigned clear)
{
	int r = range_check(addr, &len), told = 0;
	unsigned long end = addr + len;

	if (r)
		return r;
	host_write_lock(&mm->mmap_lock);
	if (!vma_range_full(mm, addr, end))
		told = -ENOMEM;
	/* K10: only memory that is zeroes behind its content can be given out empty. */
	for (unsigned i = vma_next_index(mm, addr); i < mm->nr_vmas && mm->vmas[i]->start < end; i++)
		if ((set & VM_WIPEONFORK) && !vma_anon(mm->vmas[i])) {
			told = -EINVAL;
			end = mm->vmas[i]->start > addr ? mm->vmas[i]->start : addr;
		}
	r = end > addr ? split_range(mm, addr, end) : told;
	for (unsigned i = vma_next_index(mm, addr); !r && i < mm->nr_vmas && mm->vmas[i]->start < end; i++)
		mm->vmas[i]->flags = (mm->vmas[i]->flags & ~clear) | set;
	vma_merge(mm, addr, end);
	host_write_unlock(&mm->mmap_lock);
	return r ? r : told;
}
