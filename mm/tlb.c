/* SPDX-License-Identifier: MIT */
/* tlb.c - see tlb.h. */
#include "mm/tlb.h"

#include "mm/debug.h"
#include "mm/vmstat.h"

int vma_uffd(const struct vm_area_struct *vma)
{
	return vma->mm->machine->uffd[!!(vma->mapping->flags & PINFOLD_FILE_ASYNC_WP)];
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
	int uffd = vma_uffd(vma);

	if (vma->window < 0)
		return;
	if (tlb->nr) {
		unsigned last = tlb->nr - 1;

		unsigned long end = tlb->range[last].addr + tlb->range[last].len;

		if (tlb->range[last].vma == vma && addr >= end && addr - end <= tlb->gap) {
			tlb->range[last].len = addr + len - tlb->range[last].addr;
			return;
		}
	}
	if (tlb->nr == TLB_RANGES)
		tlb_flush(tlb);
	tlb->range[tlb->nr].vma = vma;
	tlb->range[tlb->nr].addr = addr;
	tlb->range[tlb->nr].len = len;
	tlb->range[tlb->nr++].uffd = uffd;
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

void tlb_flush(struct tlb_batch *tlb)
{
	for (unsigned i = 0; i < tlb->nr; i++) {
		int r;

		if (tlb->op == TLB_PROTECT)
			r = host_window_protect(tlb->range[i].uffd, tlb->range[i].addr,
			                        tlb->range[i].len, true);
		else
			r = host_window_drop(tlb->range[i].addr, tlb->range[i].len);
		/* Mapped and armed ranges cannot be refused; if they were, stores would go unseen. */
		VM_WARN_ON(r);
	}
	count_event(tlb->machine, WINDOW_DROPS, tlb->nr);
	tlb->nr = 0;
}

int tlb_install(const struct vm_area_struct *vma, unsigned long addr, size_t len, bool writable)
{
	count_event(vma->mm->machine, WINDOW_INSTALLS, 1);
	return host_window_install(vma_uffd(vma), addr, len, writable);
}

int tlb_unprotect(const struct vm_area_struct *vma, unsigned long addr)
{
	count_event(vma->mm->machine, WINDOW_INSTALLS, 1);
	return host_window_protect(vma_uffd(vma), addr, PAGE_SIZE, false);
}
