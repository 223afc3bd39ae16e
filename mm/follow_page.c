/* SPDX-License-Identifier: MIT */
/* follow_page.c - looking without a fault: a mapping by its address, a page by its slot. */
#include <errno.h>

#include "lib/export.h"
#include "mm/gup.h"
#include "mm/vmstat.h"

PINFOLD_EXPORT struct vm_area_struct *vma_lookup(struct mm_struct *mm, unsigned long addr)
{
	return mm_check_live(mm) || current.mmap_held != mm ? NULL : vma_find(mm, addr);
}

/* The arguments; vma is compared and not looked into: it may be stale.  0 or -errno. */
static int follow_check(const struct vm_area_struct *vma, unsigned long addr, unsigned flags)
{
	struct page *page;
	int r;
	struct mm_struct *mm = held_mm(&r);

	if (!r)
		r = (int)gup_check(addr, 1, flags, flags & FOLL_GET ? &page : NULL);
	if (!r && (!vma || vma_find(mm, addr) != vma))
		r = -EINVAL;
	return r;
}

PINFOLD_EXPORT struct page *follow_page(struct vm_area_struct *vma, unsigned long address, unsigned int foll_flags)
{
	int r = follow_check(vma, address, foll_flags);
	struct pinfold *m;
	struct page *page;

	if (r)
		return (struct page *)(intptr_t)r;
	m = vma->mm->machine;
	call_begin();
	page = gup_look(vma, address, foll_flags, &r);
	call_end();
	if (page && page != m->zero && (foll_flags & FOLL_GET)) {
		count_event(m, PINS_ACQUIRED, 1);
		count_event(m, SLOW_PINS, 1);
	}
	return r ? (struct page *)(intptr_t)r : page;
}
