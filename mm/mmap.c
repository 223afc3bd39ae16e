/* SPDX-License-Identifier: MIT */
/* mmap.c - see mmap.h. */
#include "mm/mmap.h"

#include <errno.h>

#include "mm/debug.h"
#include "mm/freeze.h"
#include "mm/registry.h"


#define PROT_ALL (PINFOLD_PROT_READ | PINFOLD_PROT_WRITE)
#define FIXED_ANY (PINFOLD_MAP_FIXED | PINFOLD_MAP_FIXED_NOREPLACE)
#define MAP_ALL (PINFOLD_MAP_SHARED | FIXED_ANY | PINFOLD_MAP_POPULATE)

int range_check(unsigned long addr, size_t *len)
{
	size_t l = (*len + PAGE_SIZE - 1) & PAGE_MASK;

	if (addr % PAGE_SIZE || !*len || l < *len || addr + l < addr || addr + l > VMA_HIGHEST)
		return -EINVAL;
	*len = l;
	return 0;
}

static int mmap_check(struct mmap_request *rq)
{
	int r = range_check(rq->flags & FIXED_ANY ? rq->addr : 0, &rq->len);

	if (r)
		return r;
	if (!(rq->flags & PINFOLD_MAP_SHARED) || (rq->flags & ~MAP_ALL) || (rq->prot & ~PROT_ALL) ||
	    rq->offset % PAGE_SIZE || rq->offset + rq->len < rq->offset)
		return -EINVAL;
	if ((rq->flags & FIXED_ANY) && rq->addr < VMA_LOWEST)
		return -EINVAL;
	if (rq->mapping->memfd >= 0 && rq->offset + rq->len > rq->mapping->max_size)
		return -EINVAL;
	if (rq->mm->window == PINFOLD_WINDOW_DIRECT && rq->mapping->memfd < 0)
		return -EOPNOTSUPP;
	return 0;
}

/* Asynchronous files: i_mmap_lock, so that a freeze does not come between the scan and the marks. */
static void collect(struct vm_area_struct *vma)
{
	host_lock(&vma->mapping->i_mmap_lock);
	freeze_collect(vma, vma->start, vma->end);
	host_unlock(&vma->mapping->i_mmap_lock);
}

/* One VMA and all that hangs on it.  Writing. */
static void unmap_vma(struct vm_area_struct *vma)
{
	struct mm_struct *mm = vma->mm;
	unsigned long start = vma->start, end = vma->end;

	collect(vma);
	zap_range(vma, start, end);
	/* Off every list, then nobody may have it noted any more, and only then is the address anybody's. */
	vma_unlink(vma);
	if (vma->window >= 0) {
		registry_remove_window(vma->window);
		tlb_wait(mm->machine);
		host_window_unmap(start, end - start);
	}
	pt_trim(mm, start, end);
	vma_free(vma);
}

static void unmap_range(struct mm_struct *mm, unsigned long start, unsigned long end)
{
	struct vm_area_struct *vma;

	while ((vma = vma_next(mm, start)) && vma->start < end)
		unmap_vma(vma);
}

/* Finds the place of a mapping without a window.  The address or -errno. */
static long place_without_window(struct mmap_request *rq)
{
	unsigned long a;

	if (rq->flags & FIXED_ANY)
		return (long)rq->addr;
	a = vma_gap(rq->mm, rq->addr & PAGE_MASK, rq->len);
	return a ? (long)a : -ENOMEM;
}

/* The same for a window: the host's mmap finds the place and the window is armed at once. */
static long place_window(struct mmap_request *rq, struct vm_area_struct *vma)
{
	struct pinfold *m = rq->mm->machine;
	int async = !!(rq->mapping->flags & PINFOLD_FILE_ASYNC_WP);
	unsigned long want = rq->addr & PAGE_MASK;
	long a;

	host_lock(&m->lock);
	if (m->uffd[async] < 0) {
		int fd = host_uffd_open(async, &m->uffd_how);

		if (fd < 0) {
			host_unlock(&m->lock);
			return fd;
		}
		m->uffd[async] = fd;
	}
	host_unlock(&m->lock);
	a = host_window_map(m->uffd[async], rq->mapping->memfd, want, rq->len, rq->offset, rq->prot);
	if (a < 0 && want && !(rq->flags & FIXED_ANY)) /* a hint only */
		a = host_window_map(m->uffd[async], rq->mapping->memfd, 0, rq->len, rq->offset,
		                    rq->prot);
	if (a < 0)
		return a;
	vma->window = registry_add_window(rq->mm, (unsigned long)a, (unsigned long)a + rq->len);
	if (vma->window < 0) {
		host_window_unmap((unsigned long)a, rq->len);
		return -ENOMEM;
	}
	return a;
}

/* What FIXED finds at its place.  0: free now. */
static int clear_place(struct mmap_request *rq)
{
	unsigned long end = rq->addr + rq->len;
	struct vm_area_struct *vma = vma_next(rq->mm, rq->addr);

	if (!(rq->flags & FIXED_ANY) || !vma || vma->start >= end)
		return 0;
	if (rq->flags & PINFOLD_MAP_FIXED_NOREPLACE)
		return -EEXIST;
	if (vma_range_cuts(rq->mm, rq->addr, end))
		return -EOPNOTSUPP;
	unmap_range(rq->mm, rq->addr, end);
	return 0;
}

long do_mmap(struct mmap_request *rq)
{
	struct vm_area_struct *vma;
	long a = mmap_check(rq);

	if (a)
		return a;
	host_write_lock(&rq->mm->mmap_lock);
	vma = vma_alloc(rq->mm);
	if (!vma) {
		host_write_unlock(&rq->mm->mmap_lock);
		return -ENOMEM;
	}
	vma->mapping = rq->mapping;
	a = clear_place(rq);
	if (!a)
		a = rq->mm->window == PINFOLD_WINDOW_DIRECT ? place_window(rq, vma) :
		                                              place_without_window(rq);
	if (a < 0) {
		vma_free(vma);
	} else {
		vma->start = (unsigned long)a;
		vma->end = vma->start + rq->len;
		vma->pgoff = rq->offset >> PAGE_SHIFT;
		vma->prot = rq->prot;
		vma_link(vma);
	}
	host_write_unlock(&rq->mm->mmap_lock);
	return a;
}

int do_munmap(struct mm_struct *mm, unsigned long addr, size_t len)
{
	int r = range_check(addr, &len);

	if (r)
		return r;
	host_write_lock(&mm->mmap_lock);
	if (vma_range_cuts(mm, addr, addr + len))
		r = -EOPNOTSUPP;
	else
		unmap_range(mm, addr, addr + len);
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
	int r = 0;

	host_lock(&vma->mapping->i_mmap_lock);
	while (vma->mapping->holds) {
		host_unlock(&vma->mapping->i_mmap_lock);
		host_yield();
		host_lock(&vma->mapping->i_mmap_lock);
	}
	if (vma->window >= 0)
		r = host_window_mprotect(vma->start, vma->end - vma->start, prot);
	if (!r) {
		vma->old_prot = vma->prot;
		vma->prot = prot;
	}
	host_unlock(&vma->mapping->i_mmap_lock);
	return r;
}

/* All of n VMAs from `first` on, or none.  0 or -errno. */
static int change_prots(struct mm_struct *mm, unsigned first, unsigned n, int prot)
{
	for (unsigned i = 0; i < n; i++) {
		int r = change_prot(mm->vmas[first + i], prot);

		if (!r)
			continue;
		while (i--)
			change_prot(mm->vmas[first + i], mm->vmas[first + i]->old_prot);
		return r;
	}
	return 0;
}

int do_mprotect(struct mm_struct *mm, unsigned long addr, size_t len, int prot)
{
	int r = range_check(addr, &len);
	unsigned first, n = 0;

	if (r)
		return r;
	if (prot & ~PROT_ALL)
		return -EINVAL;
	host_write_lock(&mm->mmap_lock);
	if (vma_range_cuts(mm, addr, addr + len))
		r = -EOPNOTSUPP;
	else if (!vma_range_full(mm, addr, addr + len))
		r = -ENOMEM;
	first = vma_next_index(mm, addr);
	while (first + n < mm->nr_vmas && mm->vmas[first + n]->start < addr + len)
		n++;
	if (!r)
		r = change_prots(mm, first, n, prot);
	for (unsigned i = 0; !r && i < n; i++) {
		struct vm_area_struct *vma = mm->vmas[first + i];

		/* Slots carry the rights.  More come at the next touch; fewer must not stay anywhere. */
		if (vma->old_prot & ~prot) {
			collect(vma);
			zap_range(vma, vma->start, vma->end);
		}
	}
	host_write_unlock(&mm->mmap_lock);
	return r;
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
	for (unsigned i = vma_next_index(mm, addr); i < mm->nr_vmas && mm->vmas[i]->start < end; i++) {
		struct vm_area_struct *vma = mm->vmas[i];

		/* There the translations know what was stored; to drop them is only a hint. */
		if (vma->mapping->flags & PINFOLD_FILE_ASYNC_WP)
			continue;
		zap_range(vma, vma->start > addr ? vma->start : addr, vma->end < end ? vma->end : end);
	}
	host_read_unlock(&mm->mmap_lock);
	return r;
}
