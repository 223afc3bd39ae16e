/* SPDX-License-Identifier: MIT */
/* rmap.c - see rmap.h. */
#include "mm/rmap.h"

#include "mm/debug.h"
#include "mm/page_alloc.h"

bool rmap_map(struct table *leaf, slot_t *slot, const struct pinfold *m, struct page *page,
              uint64_t bits)
{
	uint64_t old = atomic_load_explicit(slot, memory_order_relaxed);
	uint64_t want = (uint64_t)page_to_pfn(m, page) << PAGE_SHIFT | SLOT_PRESENT | bits;

	if (has_flag(page_head(page), PG_head))
		want |= SLOT_FOLIO;
	VM_BUG_ON(!host_held(&leaf->lock));
	if (old) {
		VM_WARN_ON_PAGE((old ^ want) & ~SLOT_BITS, page);
		slot_set(leaf, slot, old | want);
		return false;
	}
	atomic_fetch_add_explicit(&page->mapcount, 1, memory_order_relaxed);
	slot_set(leaf, slot, want);
	return true;
}

/* Calls on each part of a VMA that shows file pages [index, index + n), one leaf at a time. */
struct rmap_visit {
	uint64_t index, last;
	void (*leaf)(struct rmap_visit *v, struct vm_area_struct *vma, struct table *leaf,
	             unsigned long start, unsigned long end);
	uint64_t bits;
	struct tlb_batch *tlb;
	struct page *page;
	unsigned unmapped;
};

static void visit_vma(struct rmap_visit *v, struct vm_area_struct *vma)
{
	uint64_t pages = (vma->end - vma->start) >> PAGE_SHIFT;
	uint64_t first = v->index > vma->pgoff ? v->index : vma->pgoff;
	uint64_t last = v->last < vma->pgoff + pages - 1 ? v->last : vma->pgoff + pages - 1;
	unsigned long a, end;

	VM_BUG_ON(!host_held(&vma->mapping->i_mmap_lock));
	if (first > last)
		return;
	end = vma_addr(vma, last) + PAGE_SIZE;
	for (a = vma_addr(vma, first); a < end;) {
		unsigned long next = (a & ~(LEAF_SIZE - 1)) + LEAF_SIZE;
		struct table *leaf = leaf_lock_if(vma->mm, a);

		if (next > end)
			next = end;
		if (leaf) {
			v->leaf(v, vma, leaf, a, next);
			host_unlock(&leaf->lock);
		}
		a = next;
	}
}

static void visit(struct address_space *mapping, struct rmap_visit *v)
{
	host_lock(&mapping->i_mmap_lock);
	for (struct vm_area_struct *vma = mapping->i_mmap; vma; vma = vma->next_in_file)
		visit_vma(v, vma);
	host_unlock(&mapping->i_mmap_lock);
}

static void clear_bits_leaf(struct rmap_visit *v, struct vm_area_struct *vma, struct table *leaf,
                            unsigned long start, unsigned long end)
{
	for (unsigned long a = start; a < end; a += PAGE_SIZE) {
		slot_t *slot = pt_slot(leaf, a);
		uint64_t s = atomic_load_explicit(slot, memory_order_relaxed);

		if (!(s & v->bits))
			continue;
		slot_set(leaf, slot, s & ~v->bits);
		if (v->tlb)
			tlb_add(v->tlb, vma, a, PAGE_SIZE);
	}
}

void rmap_clear_bits(struct address_space *mapping, uint64_t index, uint64_t n, uint64_t bits,
                     struct tlb_batch *tlb)
{
	struct rmap_visit v = {
		.index = index, .last = index + n - 1, .leaf = clear_bits_leaf,
		.bits = bits, .tlb = tlb,
	};

	visit(mapping, &v);
}

static void unmap_leaf(struct rmap_visit *v, struct vm_area_struct *vma, struct table *leaf,
                       unsigned long start, unsigned long end)
{
	for (unsigned long a = start; a < end; a += PAGE_SIZE) {
		slot_t *slot = pt_slot(leaf, a);
		uint64_t s = atomic_load_explicit(slot, memory_order_relaxed);

		if (!(s & SLOT_PRESENT) ||
		    pfn_to_page(vma->mm->machine, s >> PAGE_SHIFT) != v->page)
			continue;
		slot_set(leaf, slot, 0);
		atomic_fetch_sub_explicit(&v->page->mapcount, 1, memory_order_relaxed);
		v->unmapped++;
		tlb_add(v->tlb, vma, a, PAGE_SIZE);
	}
}

unsigned rmap_unmap(struct address_space *mapping, struct page *page, struct tlb_batch *tlb)
{
	struct rmap_visit v = {
		.index = page->index, .last = page->index, .leaf = unmap_leaf,
		.tlb = tlb, .page = page,
	};

	visit(mapping, &v);
	return v.unmapped;
}

/* One leaf of zap_range(): slots emptied; the pages, whose references are now ours. */
static unsigned zap_leaf(struct vm_area_struct *vma, struct table *leaf, unsigned long start,
                         unsigned long end, struct page **pages)
{
	unsigned n = 0;

	for (unsigned long a = start; a < end; a += PAGE_SIZE) {
		slot_t *slot = pt_slot(leaf, a);
		uint64_t s = atomic_load_explicit(slot, memory_order_relaxed);

		if (!(s & SLOT_PRESENT))
			continue;
		pages[n] = pfn_to_page(vma->mm->machine, s >> PAGE_SHIFT);
		atomic_fetch_sub_explicit(&pages[n++]->mapcount, 1, memory_order_relaxed);
		slot_set(leaf, slot, 0);
	}
	return n;
}

void zap_range(struct vm_area_struct *vma, unsigned long start, unsigned long end)
{
	struct pinfold *m = vma->mm->machine;
	struct page *pages[64];

	VM_BUG_ON(!host_rwsem_held(&vma->mm->mmap_lock));
	VM_BUG_ON(start < vma->start || end > vma->end);
	/* A freeze between slot and drop would find no slot to protect, and not see what is stored through
	 * the translation until it is gone. */
	host_read_lock(&vma->mapping->freeze_sem);
	for (unsigned long a = start; a < end;) {
		unsigned long next = (a & ~(64 * PAGE_SIZE - 1)) + 64 * PAGE_SIZE;
		struct table *leaf = leaf_lock_if(vma->mm, a);
		struct tlb_batch tlb;
		unsigned n = 0;

		if (!leaf) { /* nothing in these 2 MiB */
			a = (a & ~(LEAF_SIZE - 1)) + LEAF_SIZE;
			continue;
		}
		if (next > end)
			next = end;
		n = zap_leaf(vma, leaf, a, next, pages);
		host_unlock(&leaf->lock);
		if (n) {
			tlb_begin(&tlb, m, TLB_DROP);
			tlb_add(&tlb, vma, a, next - a);
			tlb_flush(&tlb);
		}
		for (unsigned i = 0; i < n; i++)
			put_internal(m, pages[i]);
		a = next;
	}
	host_read_unlock(&vma->mapping->freeze_sem);
}

static int check_slot(struct vm_area_struct *vma, unsigned long a, uint64_t s)
{
	struct pinfold *m = vma->mm->machine;
	struct page *p;
	int bad = 0;

	if (!(s & SLOT_PRESENT) || s >> PAGE_SHIFT >= m->nr_frames) {
		debug_broken("I7: a slot that is neither empty nor present", NULL);
		return 1;
	}
	p = pfn_to_page(m, s >> PAGE_SHIFT);
	bad += p->mapping != vma->mapping || p->index != vma_index(vma, a) ||
	       (page_count(p) & PC_FREE);
	bad += !has_flag(p, PG_uptodate);
	if (bad)
		debug_broken("I7: a slot holds a page that is not the file's there", p);
	if ((s & SLOT_WRITE) && vma->mapping->ops->commits && !has_flag(p, PG_dirty) &&
	    !(vma->mapping->flags & PINFOLD_FILE_ASYNC_WP)) {
		debug_broken("I8: a writable slot of a clean page", p);
		bad++;
	}
	return bad;
}

int rmap_check_mm(struct mm_struct *mm)
{
	int bad = 0;

	for (unsigned i = 0; i < mm->nr_vmas; i++) {
		struct vm_area_struct *vma = mm->vmas[i];

		for (unsigned long a = vma->start; a < vma->end;) {
			struct table *leaf = pt_leaf(mm, a);
			uint64_t s;

			if (!leaf) {
				a = (a & ~(LEAF_SIZE - 1)) + LEAF_SIZE;
				continue;
			}
			s = atomic_load(pt_slot(leaf, a));
			if (s)
				bad += check_slot(vma, a, s);
			a += PAGE_SIZE;
		}
	}
	return bad;
}
