/* SPDX-License-Identifier: MIT */
/* populate.c - the public calls that map, move, copy and advise. */
#include <errno.h>

#include "lib/export.h"
#include "mm/faultin.h"
#include "mm/folio.h"
#include "mm/fork.h"
#include "mm/mremap.h"
#include "mm/reclaim.h"
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

/* Starts the reads of a range, VMA by VMA.  Pages there or on their way, or -EFAULT: no mapping at its start. */
static long start_reads(struct mm_struct *mm, unsigned long start, unsigned long end, bool *full)
{
	struct faultin fi = { .mm = mm };
	long n = 0;

	if (current.mmap_held != mm)
		faultin_lock(&fi);
	*full = vma_range_full(mm, start, end);
	if (!vma_find(mm, start))
		n = -EFAULT;
	for (unsigned i = vma_next_index(mm, start); n >= 0 && i < mm->nr_vmas &&
	     mm->vmas[i]->start < end; i++) {
		struct vm_area_struct *vma = mm->vmas[i];
		unsigned long a = vma->start > start ? vma->start : start;
		unsigned long e = vma->end < end ? vma->end : end;

		if (vma_anon(vma)) /* nothing to read */
			continue;
		n += (long)filemap_readahead(vma->mapping, vma_index(vma, a), (e - a) >> PAGE_SHIFT);
	}
	if (fi.held)
		faultin_unlock(&fi);
	return n;
}

/* [start, end), for reading or writing.  0, or the error of the page at which it stopped. */
static int populate(struct mm_struct *mm, unsigned long start, unsigned long end, unsigned flags)
{
	struct faultin fi = { .mm = mm, .flags = flags };
	unsigned long reached;
	int r;

	faultin_enter(&fi);
	r = fault_range(&fi, start, end, &reached);
	faultin_exit(&fi);
	return r;
}

static int mm_populate(struct mm_struct *mm, unsigned long start, size_t len, bool write)
{
	int r;

	call_begin();
	r = populate(mm, start, start + len, write ? FAULT_WRITE : 0);
	call_end();
	return r;
}

/* F14: a hole is -ENOMEM, a mapping without the right -EINVAL, and what a page says goes through. */
static int advise_populate(struct mm_struct *mm, unsigned long start, unsigned long end, bool write)
{
	int need = write ? PINFOLD_PROT_WRITE : PINFOLD_PROT_READ, r = 0;

	while (start < end && !r) {
		struct vm_area_struct *vma;
		unsigned long to = 0;

		host_read_lock(&mm->mmap_lock);
		vma = vma_find(mm, start);
		r = !vma ? -ENOMEM : !(vma->prot & need) ? -EINVAL : 0;
		if (!r)
			to = vma->end < end ? vma->end : end;
		host_read_unlock(&mm->mmap_lock);
		if (!r)
			r = populate(mm, start, to, write ? FAULT_WRITE : 0);
		if (r == -ENXIO || r == -EIO || r == -ESTALE)
			r = -EFAULT;
		start = to;
	}
	return r;
}

PINFOLD_EXPORT long vm_mmap(struct mm_struct *mm, unsigned long addr, size_t len, int prot, int flags,
                            struct pinfold_file *file, uint64_t offset)
{
	struct mmap_request rq = {
		.mm = mm, .addr = addr, .len = len, .prot = prot, .flags = flags, .offset = offset,
	};
	bool anonymous = flags & PINFOLD_MAP_ANONYMOUS;
	long a = may_change(mm);

	if (!a && anonymous && (file || offset))
		a = -EINVAL;
	if (!a && !anonymous)
		a = file_enter(file);
	if (a)
		return a;
	if (anonymous) {
		rq.mapping = flags & PINFOLD_MAP_SHARED ? &mm->machine->shared : &mm->machine->anon;
		call_begin();
		a = do_mmap(&rq);
		call_end();
	} else {
		rq.mapping = &file->mapping;
		a = rq.mapping->machine == mm->machine ? do_mmap(&rq) : -EINVAL;
		file_leave(file);
	}
	/* F12: what is written to in private is copied at once. */
	if (a > 0 && (flags & PINFOLD_MAP_POPULATE))
		mm_populate(mm, (unsigned long)a, rq.len,
		            (flags & PINFOLD_MAP_PRIVATE) && (prot & PINFOLD_PROT_WRITE));
	return a;
}

PINFOLD_EXPORT long vm_mremap(struct mm_struct *mm, unsigned long addr, size_t old_len, size_t new_len, int flags,
                              unsigned long new_addr)
{
	struct mremap_request rq = {
		.mm = mm, .addr = addr, .old_len = old_len, .new_len = new_len, .flags = flags, .new_addr = new_addr,
	};
	long r = may_change(mm);

	if (r)
		return r;
	call_begin();
	r = do_mremap(&rq);
	call_end();
	return r;
}

PINFOLD_EXPORT int dup_mmap(struct mm_struct *mm, struct mm_struct *oldmm)
{
	int r = may_change(mm);

	if (!r)
		r = may_change(oldmm);
	if (!r && (mm == oldmm || mm->machine != oldmm->machine))
		r = -EINVAL;
	if (r)
		return r;
	call_begin();
	r = do_dup_mmap(mm, oldmm);
	/* Copies of pinned pages want frames: once more with those that can be had (D7). */
	if (r == -ENOMEM) {
		bool pending;

		reclaim_frames(mm->machine, FRAME_POOL, reclaim_size(mm->machine, FRAME_POOL), &pending);
		r = do_dup_mmap(mm, oldmm);
	}
	call_end();
	return r;
}

PINFOLD_EXPORT int pinfold_split_folio(struct mm_struct *mm, unsigned long addr)
{
	int r = mm_check_live(mm);
	struct faultin fi = { .mm = mm };
	struct page *head = NULL;
	struct pt_pos pos;
	bool got = false;

	if (r)
		return r;
	call_begin();
	if (current.mmap_held != mm)
		faultin_lock(&fi);
	if (pt_lock(mm, addr, &pos)) {
		uint64_t s = pos_read(&pos, addr & PAGE_MASK);

		/* The slot's reference keeps it until we have our own. */
		if ((s & SLOT_PRESENT) && !(s & SLOT_ZERO))
			head = page_head(pfn_to_page(mm->machine, s >> PAGE_SHIFT));
		got = head && get_internal(mm->machine, head);
		pt_unlock(&pos);
	}
	r = got ? folio_split(mm->machine, head) : head ? -EAGAIN : -EFAULT;
	if (got)
		put_internal(mm->machine, head);
	if (fi.held)
		faultin_unlock(&fi);
	call_end();
	return r;
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

/* Advice that mappings remember. */
static const struct flag_advice {
	int advice;
	unsigned set, clear;
} flag_advice[] = {
	{ PINFOLD_MADV_NORMAL, 0, 0 },
	{ PINFOLD_MADV_HUGEPAGE, VM_HUGE, 0 },
	{ PINFOLD_MADV_NOHUGEPAGE, 0, VM_HUGE },
	{ PINFOLD_MADV_DONTFORK, VM_DONTFORK, 0 },
	{ PINFOLD_MADV_DOFORK, 0, VM_DONTFORK },
	{ PINFOLD_MADV_WIPEONFORK, VM_WIPEONFORK, 0 },
	{ PINFOLD_MADV_KEEPONFORK, 0, VM_WIPEONFORK },
};

static const struct flag_advice *find_flag_advice(int advice)
{
	for (size_t i = 0; i < sizeof(flag_advice) / sizeof(flag_advice[0]); i++)
		if (flag_advice[i].advice == advice)
			return &flag_advice[i];
	return NULL;
}

static bool advice_known(int advice)
{
	return advice == PINFOLD_MADV_WILLNEED || advice == PINFOLD_MADV_DONTNEED ||
	       advice == PINFOLD_MADV_POPULATE_READ || advice == PINFOLD_MADV_POPULATE_WRITE ||
	       find_flag_advice(advice);
}

static int advise(struct mm_struct *mm, unsigned long addr, size_t len, int advice)
{
	const struct flag_advice *f;
	bool full;

	switch (advice) {
	case PINFOLD_MADV_WILLNEED:
		return start_reads(mm, addr, addr + len, &full) < 0 || !full ? -ENOMEM : 0;
	case PINFOLD_MADV_DONTNEED:
		return do_dontneed(mm, addr, len);
	case PINFOLD_MADV_POPULATE_READ:
	case PINFOLD_MADV_POPULATE_WRITE:
		return advise_populate(mm, addr, addr + len, advice == PINFOLD_MADV_POPULATE_WRITE);
	default:
		f = find_flag_advice(advice);
		return do_madvise_flags(mm, addr, len, f->set, f->clear);
	}
}

PINFOLD_EXPORT int vm_madvise(struct mm_struct *mm, unsigned long addr, size_t len, int advice)
{
	int r = may_change(mm);

	if (!r && (!advice_known(advice) || addr % PAGE_SIZE))
		r = -EINVAL;
	if (r || !len)
		return r;
	r = range_check(addr, &len);
	if (r)
		return r;
	call_begin();
	r = advise(mm, addr, len, advice);
	call_end();
	return r;
}

PINFOLD_EXPORT long pinfold_prefetch(struct mm_struct *mm, unsigned long addr, size_t len)
{
	unsigned long start = addr & PAGE_MASK;
	long r = mm_check_live(mm);
	bool full;

	if (r)
		return r;
	len += addr - start;
	r = range_check(start, &len);
	if (r)
		return r;
	call_begin();
	r = start_reads(mm, start, start + len, &full);
	call_end();
	return r;
}
