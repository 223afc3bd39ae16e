/* SPDX-License-Identifier: MIT */
/* fault.c - see fault.h. */
#include "mm/fault.h"

#include <errno.h>

#include "mm/debug.h"
#include "mm/vmstat.h"

#define AROUND (16 * PAGE_SIZE)

static bool may_access(const struct vm_fault *vmf)
{
	if (vmf->flags & FAULT_WRITE)
		return vmf->vma->prot & PINFOLD_PROT_WRITE;
	return (vmf->vma->prot & PINFOLD_PROT_READ) || (vmf->flags & FAULT_FORCE);
}

/* What a slot of this VMA may say about a page. */
static uint64_t slot_rights(const struct vm_fault *vmf)
{
	const struct address_space *mapping = vmf->vma->mapping;
	uint64_t bits = 0;

	if (vmf->vma->prot & PINFOLD_PROT_READ)
		bits |= SLOT_READ;
	if (!(vmf->flags & FAULT_WRITE))
		return bits;
	bits |= SLOT_WRITE;
	/* A freeze that waits for pins has taken PINW away and wants it to stay away. */
	if ((vmf->flags & FAULT_PIN) || !(mapping->flags & PINFOLD_FILE_PIN_WAIT))
		bits |= SLOT_PINW;
	if (!mapping->ops->commits)
		bits |= SLOT_LTW;
	return bits;
}

static bool slot_good(uint64_t slot, const struct vm_fault *vmf)
{
	uint64_t need = SLOT_PRESENT;

	if (vmf->vma->prot & PINFOLD_PROT_READ)
		need |= SLOT_READ;
	if (vmf->flags & FAULT_WRITE)
		need |= vmf->flags & FAULT_PIN ? SLOT_WRITE | SLOT_PINW : SLOT_WRITE;
	return (slot & need) == need;
}

/*
 * Leaf locked, slot good.  An asynchronous file's page is writable without notice: it is installed
 * protected, the kernel takes the protection off at the first store and PAGEMAP_SCAN tells.
 */
static enum fault_fact install(struct vm_fault *vmf, uint64_t slot)
{
	bool async = vmf->vma->mapping->flags & PINFOLD_FILE_ASYNC_WP;
	int r;

	/* A load's translation comes with those around it, in one system call: fault_around(). */
	if (!(vmf->flags & FAULT_WINDOW) || !(vmf->flags & FAULT_WRITE))
		return FAULT_DONE;
	/*
	 * A page that could be read before has a translation, most likely: only its protection goes.  If it
	 * was dropped, that does nothing, and the access comes back for it.
	 */
	if (vmf->mapped && !async)
		r = tlb_unprotect(vmf->vma, vmf->addr);
	else
		r = tlb_install(vmf->vma, vmf->addr, PAGE_SIZE, (slot & SLOT_WRITE) && !async);
	if (!r)
		set_flag(pfn_to_page(vmf->vma->mm->machine, slot >> PAGE_SHIFT), PG_window);
	vmf->error = r;
	return r ? FAULT_ERROR : FAULT_DONE;
}

/* The page from the cache, or from the file, dropping the mmap lock for that if allowed. */
static enum fault_fact get_page_for(struct vm_fault *vmf, struct page_request *rq)
{
	struct address_space *mapping = vmf->vma->mapping;
	struct mm_struct *mm = vmf->vma->mm;
	bool drop = vmf->flags & FAULT_ALLOW_DROP;
	enum page_fact fact;

	rq->page = filemap_peek(mapping, rq->index);
	if (rq->page)
		return FAULT_DONE;
	rq->block = !(vmf->flags & FAULT_NOWAIT);
	if (drop && rq->block) {
		/* Without the lock the VMA may go; the count keeps its file open. */
		atomic_fetch_add(&mapping->users, 1);
		host_read_unlock(&mm->mmap_lock);
	} else {
		drop = false;
	}
	fact = filemap_get_page(rq);
	if (drop) {
		vmf->dropped = true;
		if (fact == PAGE_OK)
			put_internal(mapping->machine, rq->page);
		atomic_fetch_sub(&mapping->users, 1);
	}
	vmf->error = rq->error;
	switch (fact) {
	case PAGE_OK:
		return drop ? FAULT_AGAIN : FAULT_DONE;
	case PAGE_AGAIN:
		return FAULT_AGAIN;
	case PAGE_WOULD_BLOCK:
		return FAULT_BLOCK;
	case PAGE_NO_FRAME:
		return FAULT_NO_FRAME;
	default:
		return FAULT_ERROR;
	}
}

static enum fault_fact make_writable(struct vm_fault *vmf, struct page *page)
{
	switch (cut_make_writable(page, vmf->flags & FAULT_PIN)) {
	case CUT_OK:
		return FAULT_DONE;
	case CUT_LIMIT:
		return FAULT_LIMIT;
	case CUT_WAIT_PINS:
		return FAULT_WAIT_PINS;
	default:
		vmf->page = page;
		return FAULT_WAIT_CLAIM;
	}
}

/* Sets the slot and installs.  The reference on page becomes the slot's or is given back. */
static enum fault_fact set_slot(struct vm_fault *vmf, struct table *leaf, struct page *page)
{
	slot_t *slot = pt_slot(leaf, vmf->addr);
	enum fault_fact fact;
	bool taken;

	VM_BUG_ON_PAGE(!has_flag(page, PG_uptodate) || page->mapping != vmf->vma->mapping, page);
	VM_BUG_ON_PAGE(page->index != vma_index(vmf->vma, vmf->addr), page);
	host_lock(&leaf->lock);
	taken = rmap_map(leaf, slot, vmf->vma->mm->machine, page, slot_rights(vmf));
	fact = install(vmf, atomic_load_explicit(slot, memory_order_relaxed));
	host_unlock(&leaf->lock);
	if (!taken)
		put_internal(vmf->vma->mm->machine, page);
	return fact;
}

static void count_fault(struct vm_fault *vmf, uint64_t old)
{
	struct pinfold *m = vmf->vma->mm->machine;

	if (vmf->flags & FAULT_WRITE)
		count_event(m, FAULTS_WRITE, 1);
	else
		count_event(m, old ? FAULTS_MINOR : FAULTS_MISSING, 1);
}

enum fault_fact handle_mm_fault(struct vm_fault *vmf)
{
	struct vm_area_struct *vma = vmf->vma;
	struct page_request rq = {
		.mapping = vma->mapping, .index = vma_index(vma, vmf->addr), .want = vmf->want,
	};
	bool write = vmf->flags & FAULT_WRITE;
	struct table *leaf;
	enum fault_fact fact;
	uint64_t old;

	VM_BUG_ON(!host_rwsem_held(&vma->mm->mmap_lock));
	VM_BUG_ON(vmf->addr & ~PAGE_MASK || vmf->addr < vma->start || vmf->addr >= vma->end);
	if (!may_access(vmf))
		return FAULT_ACCESS;
	leaf = pt_leaf_alloc(vma->mm, vmf->addr);
	vmf->error = -ENOMEM;
	if (!leaf)
		return FAULT_ERROR;
	host_lock(&leaf->lock);
	old = atomic_load_explicit(pt_slot(leaf, vmf->addr), memory_order_relaxed);
	vmf->mapped = false;
	if (slot_good(old, vmf)) {
		/* The translation was dropped, or never there: the slot is the truth.  Repeating an
		 * install that another thread did is harmless. */
		fact = install(vmf, old);
		if (old & SLOT_PRESENT)
			set_flag(pfn_to_page(vma->mm->machine, old >> PAGE_SHIFT), PG_referenced);
		host_unlock(&leaf->lock);
		count_event(vma->mm->machine, FAULTS_MINOR, 1);
		return fact;
	}
	vmf->mapped = old & SLOT_READ;
	host_unlock(&leaf->lock);
	fact = get_page_for(vmf, &rq);
	if (fact != FAULT_DONE)
		return fact;
	count_fault(vmf, old);
	set_flag(rq.page, PG_referenced);
	if (write) {
		fact = make_writable(vmf, rq.page);
		if (fact != FAULT_DONE) {
			if (fact != FAULT_WAIT_CLAIM)
				put_internal(vma->mm->machine, rq.page);
			return fact;
		}
	}
	fact = set_slot(vmf, leaf, rq.page);
	if (write)
		cut_written(vma->mapping);
	return fact;
}

/* One page of fault_around(): true if the slot holds it. */
static bool map_cached(struct vm_area_struct *vma, struct table *leaf, unsigned long a)
{
	struct pinfold *m = vma->mm->machine;
	struct page *page = filemap_peek(vma->mapping, vma_index(vma, a));
	bool taken = false, present;

	if (!page)
		return false;
	host_lock(&leaf->lock);
	present = atomic_load_explicit(pt_slot(leaf, a), memory_order_relaxed);
	if (!present)
		taken = rmap_map(leaf, pt_slot(leaf, a), m, page, SLOT_READ);
	host_unlock(&leaf->lock);
	if (!taken)
		put_internal(m, page);
	return true;
}

int fault_around(struct vm_area_struct *vma, unsigned long addr, unsigned long end, bool window)
{
	struct table *leaf = pt_leaf(vma->mm, addr);
	unsigned long a = addr;
	int r = 0;

	if (!leaf)
		return 0;
	if (window && end > addr + AROUND)
		end = addr + AROUND;
	if (end > (addr & ~(LEAF_SIZE - 1)) + LEAF_SIZE)
		end = (addr & ~(LEAF_SIZE - 1)) + LEAF_SIZE;
	if (end > vma->end)
		end = vma->end;
	if (!(vma->prot & PINFOLD_PROT_READ))
		end = addr + PAGE_SIZE;
	for (a = addr + PAGE_SIZE; a < end && map_cached(vma, leaf, a); a += PAGE_SIZE)
		;
	if (!window)
		return 0;
	/* One call for the run; the lock so that no slot of it is emptied before. */
	host_lock(&leaf->lock);
	end = a;
	for (a = addr; a < end && atomic_load_explicit(pt_slot(leaf, a), memory_order_relaxed);
	     a += PAGE_SIZE)
		set_flag(pfn_to_page(vma->mm->machine,
		                     atomic_load(pt_slot(leaf, a)) >> PAGE_SHIFT), PG_window);
	if (a > addr)
		r = tlb_install(vma, addr, a - addr, false);
	/* Reclaim holds stores off a part of the run: for the host it is two mappings at the moment. */
	if (r == -ENOENT && a > addr + PAGE_SIZE)
		r = tlb_install(vma, addr, PAGE_SIZE, false);
	host_unlock(&leaf->lock);
	return r;
}
