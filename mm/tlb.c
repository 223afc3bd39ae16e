/* SPDX-License-Identifier: MIT */
/* tlb.c - see tlb.h. */
#include "mm/tlb.h"

#include "mm/debug.h"
#include "mm/vmstat.h"

int vma_uffd(const struct vm_area_struct *vma)
{
	return vma->mm->machine->uffd[!!(vma->mapping->flags & PINFOLD_FILE_ASYNC_WP)];
}

bool vma_async(const struct vm_area_struct *vma)
{
	return vma->mapping->flags & PINFOLD_FILE_ASYNC_WP;
}

void tlb_begin(struct tlb_batch *tlb, struct pinfold *m, enum tlb_op op)
{
	tlb->machine = m;
	tlb->op = op;
	/* What lies between two dirty pages is clean, so protected: to protect it again is harmless, and
	 * cheaper than a second call. */
	tlb->gap = op == TLB_PROTECT ? 32 * PAGE_SIZE : 0;
	tlb->nr = 0;
}

void tlb_add(struct tlb_batch *tlb, const struct vm_area_struct *vma, unsigned long addr, size_t len)
{
	enum pinfold_window window = vma->mm->window;

	if (window == PINFOLD_WINDOW_NONE)
		return;
	if (tlb->nr) {
		unsigned last = tlb->nr - 1;

		unsigned long end = tlb->range[last].addr + tlb->range[last].len;

		if (tlb->range[last].mm == vma->mm && addr >= end && addr - end <= tlb->gap &&
		    (addr == end || window == PINFOLD_WINDOW_DIRECT)) {
			tlb->range[last].len = addr + len - tlb->range[last].addr;
			return;
		}
	}
	if (tlb->nr == TLB_RANGES)
		tlb_flush(tlb);
	tlb->range[tlb->nr].mm = vma->mm;
	tlb->range[tlb->nr].addr = addr;
	tlb->range[tlb->nr].len = len;
	tlb->range[tlb->nr++].uffd = window == PINFOLD_WINDOW_EXTENT ? -1 : vma_uffd(vma);
}

void tlb_gather(struct pinfold *m)
{
	host_read_lock(&m->tlb_sem);
}

void tlb_finish(struct pinfold *m)
{
	host_read_unlock(&m->tlb_sem);
}

void tlb_wait(struct pinfold *m)
{
	host_write_lock(&m->tlb_sem);
	host_write_unlock(&m->tlb_sem);
}

static void flush_one(struct tlb_batch *tlb, unsigned i)
{
	unsigned long addr = tlb->range[i].addr;
	size_t len = tlb->range[i].len;
	int r = 0;

	if (tlb->range[i].uffd < 0 && tlb->op == TLB_PROTECT)
		extent_protect(tlb->range[i].mm, addr, len);
	else if (tlb->range[i].uffd < 0)
		extent_drop(tlb->range[i].mm, addr, len);
	else if (tlb->op == TLB_PROTECT)
		r = host_window_protect(tlb->range[i].uffd, addr, len, true);
	else
		r = host_window_drop(addr, len);
	/* Mapped and armed ranges cannot be refused; if they were, stores would go unseen. */
	VM_WARN_ON(r);
	if (tlb->range[i].uffd >= 0)
		count_event(tlb->machine, WINDOW_DROPS, 1);
}

void tlb_flush(struct tlb_batch *tlb)
{
	for (unsigned i = 0; i < tlb->nr; i++)
		flush_one(tlb, i);
	tlb->nr = 0;
}

void tlb_flush_extents(struct tlb_batch *tlb)
{
	for (unsigned i = 0; i < tlb->nr; i++)
		if (tlb->range[i].uffd < 0)
			flush_one(tlb, i);
	tlb->nr = 0;
}

int tlb_install(const struct vm_area_struct *vma, struct extent_run *run)
{
	if (vma->mm->window == PINFOLD_WINDOW_EXTENT)
		return extent_install(vma->mm, run);
	count_event(vma->mm->machine, WINDOW_INSTALLS, 1);
	return host_window_install(vma_uffd(vma), run->addr, run->n * PAGE_SIZE, run->writable);
}

int tlb_unprotect(const struct vm_area_struct *vma, unsigned long addr, struct page *page)
{
	struct extent_run run = { .addr = addr, .n = 1, .first = page, .writable = true };

	if (vma->mm->window == PINFOLD_WINDOW_EXTENT)
		return extent_install(vma->mm, &run);
	count_event(vma->mm->machine, WINDOW_INSTALLS, 1);
	return host_window_protect(vma_uffd(vma), addr, PAGE_SIZE, false);
}
