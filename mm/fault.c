/* SPDX-License-Identifier: MIT */
/* fault.c - see fault.h. */
#include "mm/fault.h"

#include <errno.h>

#include "mm/debug.h"
#include "mm/vmstat.h"

#define AROUND (16 * PAGE_SIZE)

static bool may_access(const struct vm_fault *vmf)
{
	if (vmf->flags & FAULT_WRITE) /* FORCE: into a copy, so not where stores are shared (V5) */
		return (vmf->vma->prot & PINFOLD_PROT_WRITE) ||
		       ((vmf->flags & FAULT_FORCE) && vma_private(vmf->vma));
	return (vmf->vma->prot & PINFOLD_PROT_READ) || (vmf->flags & FAULT_FORCE);
}

/* What a slot of a shared mapping may say about a page. */
static uint64_t slot_rights(const struct vm_fault *vmf)
{
	const struct address_space *mapping = vmf->vma->mapping;
	uint64_t bits = 0;

	if (vmf->vma->prot & PINFOLD_PROT_READ)
		bits |= SLOT_READ | SLOT_PINR | SLOT_LTR;
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
	struct page *page = pfn_to_page(vmf->vma->mm->machine, slot >> PAGE_SHIFT);
	bool async = vma_async(vmf->vma);
	int r;

	/* A load's translation comes with those around it, in one system call: fault_around(). */
	if (!(vmf->flags & FAULT_WINDOW) || !(vmf->flags & FAULT_WRITE))
		return FAULT_DONE;
	/*
	 * A page that could be read before has a translation, most likely: only its protection goes.  If it
	 * was dropped, that does nothing, and the access comes back for it.
	 */
	if (vmf->mapped && !async)
		r = tlb_unprotect(vmf->vma, vmf->addr, page);
	else
		r = tlb_install(vmf->vma, &(struct extent_run){ .addr = vmf->addr, .n = 1, .first = page,
		                .writable = (slot & SLOT_WRITE) && !async });
	if (!r)
		set_flag(page, PG_window);
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
	/* Memory is there at once; and shared memory that was unmapped meanwhile would get a page that nobody takes out. */
	if (drop && rq->block && mapping->ops->readv) {
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
	vmf->kind = mapping->memfd >= 0 ? FRAME_DIRECT : FRAME_POOL;
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
static enum fault_fact set_slot(struct vm_fault *vmf, struct page *page)
{
	enum fault_fact fact = FAULT_ERROR;
	struct pt_pos pos;
	bool taken = false;

	VM_BUG_ON_PAGE(!has_flag(page, PG_uptodate) || page->mapping != vmf->vma->mapping, page);
	VM_BUG_ON_PAGE(page->index != vma_index(vmf->vma, vmf->addr), page);
	vmf->error = pt_own(vmf->vma->mm, vmf->addr, &pos);
	if (!vmf->error) {
		taken = rmap_map(pos.table, pos.slot, vmf->vma->mm->machine, page, slot_rights(vmf));
		fact = install(vmf, atomic_load_explicit(pos.slot, memory_order_relaxed));
		pt_unlock(&pos);
	}
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

/* The slot as it is, and whether that is enough; then the translation is installed. */
static bool look(struct vm_fault *vmf, uint64_t *old, enum fault_fact *fact)
{
	struct pinfold *m = vmf->vma->mm->machine;
	struct pt_pos pos;
	bool good;

	*old = 0;
	if (!pt_lock(vmf->vma->mm, vmf->addr, &pos))
		return false;
	/* A leaf that is shared has nothing of a shared mapping. */
	if (!pos.shared && !pos.huge)
		*old = atomic_load_explicit(pos.slot, memory_order_relaxed);
	good = slot_good(*old, vmf);
	if (good) {
		/* The translation was dropped, or never there: the slot is the truth.  Repeating an
		 * install that another thread did is harmless. */
		*fact = install(vmf, *old);
		set_flag(pfn_to_page(m, *old >> PAGE_SHIFT), PG_referenced);
	}
	pt_unlock(&pos);
	if (good)
		count_event(m, FAULTS_MINOR, 1);
	vmf->mapped = *old & SLOT_READ;
	return good;
}

static enum fault_fact shared_fault(struct vm_fault *vmf, struct page_request *rq)
{
	struct mm_struct *mm = vmf->vma->mm;
	bool write = vmf->flags & FAULT_WRITE;
	enum fault_fact fact;
	uint64_t old;

	vmf->mapped = false;
	if (look(vmf, &old, &fact))
		return fact;
	fact = get_page_for(vmf, rq);
	if (fact != FAULT_DONE)
		return fact;
	count_fault(vmf, old);
	set_flag(rq->page, PG_referenced);
	if (write) {
		fact = make_writable(vmf, rq->page);
		if (fact != FAULT_DONE) {
			if (fact != FAULT_WAIT_CLAIM)
				put_internal(mm->machine, rq->page);
			return fact;
		}
	}
	fact = set_slot(vmf, rq->page);
	if (write)
		cut_written(vmf->vma->mapping);
	return fact;
}

static enum fault_fact private_fault(struct vm_fault *vmf, struct page_request *rq)
{
	enum fault_fact fact = cow_fault(vmf, NULL);

	if (fact == FAULT_NEED_PAGE) {
		fact = get_page_for(vmf, rq);
		if (fact != FAULT_DONE)
			return fact;
		set_flag(rq->page, PG_referenced);
		fact = cow_fault(vmf, rq->page);
	}
	if (fact == FAULT_DONE)
		count_fault(vmf, 0);
	return fact;
}

enum fault_fact handle_mm_fault(struct vm_fault *vmf)
{
	struct vm_area_struct *vma = vmf->vma;
	struct page_request rq = {
		.mapping = vma->mapping, .index = vma_index(vma, vmf->addr), .want = vmf->want,
	};

	VM_BUG_ON(!host_rwsem_held(&vma->mm->mmap_lock));
	VM_BUG_ON(vmf->addr & ~PAGE_MASK || vmf->addr < vma->start || vmf->addr >= vma->end);
	vmf->covered = vmf->addr + PAGE_SIZE;
	vmf->kind = FRAME_POOL;
	if (!may_access(vmf))
		return FAULT_ACCESS;
	return vma_private(vma) ? private_fault(vmf, &rq) : shared_fault(vmf, &rq);
}

/* One page of fault_around(): true if the slot holds it. */
static bool map_cached(struct vm_area_struct *vma, unsigned long a)
{
	struct pinfold *m = vma->mm->machine;
	struct page *page = filemap_peek(vma->mapping, vma_index(vma, a));
	bool taken = false, there = false;
	struct pt_pos pos;

	if (!page)
		return false;
	if (pt_lock(vma->mm, a, &pos)) {
		there = !pos.shared && !pos.huge;
		if (there && !atomic_load_explicit(pos.slot, memory_order_relaxed))
			taken = rmap_map(pos.table, pos.slot, m, page, SLOT_READ | SLOT_PINR | SLOT_LTR);
		pt_unlock(&pos);
	}
	if (!taken)
		put_internal(m, page);
	return there;
}

/* Leaf locked: pages from a slot on that a direct window shows with one call, or an extent window with one mapping. */
static unsigned run_length(struct vm_area_struct *vma, const slot_t *slot, unsigned max)
{
	struct pinfold *m = vma->mm->machine;
	bool extent = vma->mm->window == PINFOLD_WINDOW_EXTENT;
	uint64_t first = atomic_load_explicit(slot, memory_order_relaxed);
	unsigned n = 0;

	for (; n < max; n++) {
		uint64_t s = atomic_load_explicit(&slot[n], memory_order_relaxed);
		struct page *p = pfn_to_page(m, s >> PAGE_SHIFT);

		if (!(s & SLOT_READ))
			break;
		if (extent && n && (s != first + n * PAGE_SIZE || has_flag(p, PG_direct)))
			break;
		set_flag(p, PG_window);
	}
	return n;
}

/* The translations of up to n pages from addr on.  The lock so that no slot of them is emptied before. */
static int install_run(struct vm_area_struct *vma, unsigned long addr, unsigned n)
{
	bool extent = vma->mm->window == PINFOLD_WINDOW_EXTENT;
	struct pt_pos pos;
	int r = 0;

	if (!pt_lock(vma->mm, addr, &pos))
		return 0;
	n = pos.shared || pos.huge ? 0 : run_length(vma, pos.slot, n);
	if (n) {
		uint64_t s = atomic_load(pos.slot);
		struct extent_run run = {
			.addr = addr, .n = n, .first = pfn_to_page(vma->mm->machine, s >> PAGE_SHIFT),
			.writable = extent && (s & SLOT_WRITE),
		};

		r = tlb_install(vma, &run);
		/* Reclaim holds stores off a part of the run: for the host it is two mappings at the moment. */
		if (r == -ENOENT && n > 1) {
			run.n = 1;
			r = tlb_install(vma, &run);
		}
	}
	pt_unlock(&pos);
	return r;
}

int fault_around(struct vm_area_struct *vma, unsigned long addr, unsigned long end, bool window)
{
	unsigned long a;

	if (window && end > addr + AROUND)
		end = addr + AROUND;
	if (end > (addr & ~(LEAF_SIZE - 1)) + LEAF_SIZE)
		end = (addr & ~(LEAF_SIZE - 1)) + LEAF_SIZE;
	if (end > vma->end)
		end = vma->end;
	if (!(vma->prot & PINFOLD_PROT_READ))
		end = addr + PAGE_SIZE;
	for (a = addr + PAGE_SIZE; a < end && map_cached(vma, a); a += PAGE_SIZE)
		;
	return window ? install_run(vma, addr, (unsigned)((a - addr) >> PAGE_SHIFT)) : 0;
}
