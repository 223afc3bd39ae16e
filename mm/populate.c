/* SPDX-License-Identifier: MIT */
/* populate.c - see populate.h; with it the public calls that map and advise. */
#include "mm/populate.h"

#include <errno.h>

#include "lib/export.h"
#include "mm/mmap.h"
#include "mm/vmstat.h"

/*
 * For calls that take the mmap lock for writing: 0, or why not.  Not under another mm's lock either:
 *   1 thread A holds mm a's lock, B mm b's      2 A unmaps in b, B in a: each waits for the other.
 */
static int may_change(const struct mm_struct *mm)
{
	int r = mm_check_live(mm);

	return r ? r : current.mmap_held ? -EDEADLK : 0;
}

/* Starts the reads of a range, VMA by VMA.  Pages there or on their way, or -EFAULT: no mapping. */
static long start_reads(struct mm_struct *mm, unsigned long start, unsigned long end)
{
	struct faultin fi = { .mm = mm };
	long n = 0;

	if (current.mmap_held != mm)
		faultin_lock(&fi);
	if (!vma_find(mm, start))
		n = -EFAULT;
	for (unsigned i = vma_next_index(mm, start); n >= 0 && i < mm->nr_vmas &&
	     mm->vmas[i]->start < end; i++) {
		struct vm_area_struct *vma = mm->vmas[i];
		unsigned long a = vma->start > start ? vma->start : start;
		unsigned long e = vma->end < end ? vma->end : end;

		n += (long)filemap_readahead(vma->mapping, vma_index(vma, a), (e - a) >> PAGE_SHIFT);
	}
	if (fi.held)
		faultin_unlock(&fi);
	return n;
}

long mm_populate(struct mm_struct *mm, unsigned long start, size_t len)
{
	struct faultin fi = { .mm = mm, .flags = FAULT_ALLOW_DROP };
	unsigned long a = start, end = start + len;

	if (mm->window == PINFOLD_WINDOW_DIRECT)
		fi.flags |= FAULT_WINDOW;
	call_begin();
	for (; a < end; a += PAGE_SIZE) {
		fi.want = (end - a) >> PAGE_SHIFT;
		if (faultin_page(&fi, a))
			break;
	}
	if (fi.held)
		faultin_unlock(&fi);
	call_end();
	return (long)((a - start) >> PAGE_SHIFT);
}

PINFOLD_EXPORT long vm_mmap(struct mm_struct *mm, unsigned long addr, size_t len, int prot, int flags,
                            struct pinfold_file *file, uint64_t offset)
{
	struct mmap_request rq = {
		.mm = mm, .addr = addr, .len = len, .prot = prot, .flags = flags, .offset = offset,
	};
	long a = may_change(mm);

	if (!a)
		a = file_enter(file);
	if (a)
		return a;
	rq.mapping = &file->mapping;
	if (rq.mapping->machine != mm->machine)
		a = -EINVAL;
	else
		a = do_mmap(&rq);
	file_leave(file);
	if (a > 0 && (flags & PINFOLD_MAP_POPULATE))
		mm_populate(mm, (unsigned long)a, rq.len);
	return a;
}

PINFOLD_EXPORT int vm_munmap(struct mm_struct *mm, unsigned long addr, size_t len)
{
	int r = may_change(mm);

	if (r)
		return r;
	call_begin();
	r = do_munmap(mm, addr, len);
	call_end();
	return r;
}

PINFOLD_EXPORT int vm_mprotect(struct mm_struct *mm, unsigned long addr, size_t len, int prot)
{
	int r = may_change(mm);

	if (r)
		return r;
	call_begin();
	r = do_mprotect(mm, addr, len, prot);
	call_end();
	return r;
}

PINFOLD_EXPORT int vm_madvise(struct mm_struct *mm, unsigned long addr, size_t len, int advice)
{
	int r = may_change(mm);

	if (!r)
		r = range_check(addr, &len);
	if (r)
		return r;
	call_begin();
	switch (advice) {
	case PINFOLD_MADV_WILLNEED:
		r = start_reads(mm, addr, addr + len) < 0 ? -ENOMEM : 0;
		break;
	case PINFOLD_MADV_DONTNEED:
		r = do_dontneed(mm, addr, len);
		break;
	default:
		r = -EINVAL;
	}
	call_end();
	return r;
}

PINFOLD_EXPORT long pinfold_prefetch(struct mm_struct *mm, unsigned long addr, size_t len)
{
	unsigned long start = addr & PAGE_MASK;
	long r = mm_check_live(mm);

	if (r)
		return r;
	len += addr - start;
	r = range_check(start, &len);
	if (r)
		return r;
	call_begin();
	r = start_reads(mm, start, start + len);
	call_end();
	return r;
}
