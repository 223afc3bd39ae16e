/* SPDX-License-Identifier: MIT */
/* faultin.c - see faultin.h. */
#include "mm/faultin.h"

#include <errno.h>
#include <pinfold/fault.h>

#include "lib/export.h"
#include "mm/vmstat.h"

static int fault_pages(struct faultin *fi, unsigned long start, unsigned long end, unsigned long *reached)
{
	unsigned long a = start;
	int r = 0;

	while (a < end && !r) {
		fi->want = (end - a) >> PAGE_SHIFT;
		r = faultin_page(fi, a);
		if (!r)
			a = fi->covered > a ? fi->covered : a + PAGE_SIZE;
	}
	*reached = a < end ? a : end;
	return r;
}

int fault_range(struct faultin *fi, unsigned long start, unsigned long end, unsigned long *reached)
{
	unsigned long shown;
	int r;

	if (fi->mm->window == PINFOLD_WINDOW_DIRECT)
		fi->flags |= FAULT_WINDOW;
	r = fault_pages(fi, start, end, reached);
	/* An extent window shows what lies together as one piece: when all of it is there. */
	if (*reached > start && fi->mm->window == PINFOLD_WINDOW_EXTENT) {
		fi->flags |= FAULT_WINDOW;
		fault_pages(fi, start, *reached, &shown);
	}
	return r;
}

/* ---- one page ---------------------------------------------------------------------------------- */

#define FIXUP_FLAGS (FAULT_FLAG_WRITE | FAULT_FLAG_ALLOW_RETRY | FAULT_FLAG_REMOTE)

PINFOLD_EXPORT int fixup_user_fault(struct task_struct *tsk, struct mm_struct *mm, unsigned long address,
                                    unsigned int fault_flags, bool *unlocked)
{
	struct faultin fi = { .mm = mm, .flags = fault_flags & FAULT_FLAG_WRITE ? FAULT_WRITE : 0 };
	unsigned long reached, page = address & PAGE_MASK;
	int r = mm_check_live(mm), one = 1;

	(void)tsk; /* 5.2 counts its faults; nobody here has such a counter */
	if (!r && ((fault_flags & ~(unsigned)FIXUP_FLAGS) || (!unlocked && (fault_flags & FAULT_FLAG_ALLOW_RETRY))))
		r = -EINVAL;
	if (!r)
		r = faultin_caller(&fi, unlocked ? &one : NULL);
	if (r)
		return r;
	call_begin();
	r = page + PAGE_SIZE ? fault_range(&fi, page, page + PAGE_SIZE, &reached) : -EFAULT;
	if (!fi.held)
		faultin_lock(&fi);
	if (fi.dropped)
		*unlocked = true;
	call_end();
	return (int)gup_errno(r);
}

/* ---- ranges ------------------------------------------------------------------------------------ */

/* The bytes that were not reached. */
static size_t fault_in(const char *uaddr, size_t size, unsigned flags)
{
	unsigned long addr = (unsigned long)uaddr, reached = 0;
	int err;
	struct faultin fi = { .mm = current_mm(&err), .flags = flags };

	if (!size || !fi.mm || addr + size - 1 < addr)
		return size;
	faultin_enter(&fi);
	call_begin();
	fault_range(&fi, addr & PAGE_MASK, ((addr + size - 1) & PAGE_MASK) + PAGE_SIZE, &reached);
	faultin_exit(&fi);
	call_end();
	if (reached <= addr)
		return size;
	return reached - addr < size ? size - (reached - addr) : 0;
}

PINFOLD_EXPORT size_t fault_in_readable(const char *uaddr, size_t size)
{
	return fault_in(uaddr, size, 0);
}

PINFOLD_EXPORT size_t fault_in_writeable(char *uaddr, size_t size)
{
	return fault_in(uaddr, size, FAULT_WRITE);
}

PINFOLD_EXPORT size_t fault_in_safe_writeable(const char *uaddr, size_t size)
{
	return fault_in(uaddr, size, FAULT_WRITE);
}

PINFOLD_EXPORT long populate_vma_page_range(struct vm_area_struct *vma, unsigned long start, unsigned long end,
                                            int *locked)
{
	int r;
	struct faultin fi = { .mm = held_mm(&r), .flags = FAULT_FORCE };
	unsigned long reached = start;

	if (!r && (((start | end) & ~PAGE_MASK) || start > end || !vma || vma_find(fi.mm, start) != vma || end > vma->end))
		r = -EINVAL;
	if (!r)
		r = faultin_caller(&fi, locked);
	if (r)
		return r;
	if (vma_private(vma) && (vma->prot & PINFOLD_PROT_WRITE))
		fi.flags |= FAULT_WRITE;
	call_begin();
	r = vma->prot ? fault_range(&fi, start, end, &reached) : -EFAULT;
	faultin_tell(&fi, locked);
	call_end();
	return reached > start ? (long)((reached - start) >> PAGE_SHIFT) : gup_errno(r);
}

/* ---- what a handler says ----------------------------------------------------------------------- */

PINFOLD_EXPORT int vm_fault_to_errno(vm_fault_t vm_fault, int foll_flags)
{
	if (vm_fault & VM_FAULT_OOM)
		return -ENOMEM;
	if (vm_fault & (VM_FAULT_HWPOISON | VM_FAULT_HWPOISON_LARGE))
		return foll_flags & FOLL_HWPOISON ? -EHWPOISON : -EFAULT;
	return vm_fault & (VM_FAULT_SIGBUS | VM_FAULT_SIGSEGV) ? -EFAULT : 0;
}
