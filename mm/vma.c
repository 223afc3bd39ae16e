/* SPDX-License-Identifier: MIT */
/* vma.c - see vma.h.  An array: mappings are few, and a binary search of it beats a tree. */
#include "mm/vma.h"

#include <stdlib.h>
#include <string.h>

#include "mm/debug.h"

unsigned vma_next_index(const struct mm_struct *mm, unsigned long addr)
{
	unsigned lo = 0, hi = mm->nr_vmas;

	VM_BUG_ON(!host_rwsem_held(&mm->mmap_lock));
	while (lo < hi) {
		unsigned mid = (lo + hi) / 2;

		if (mm->vmas[mid]->end <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

struct vm_area_struct *vma_next(const struct mm_struct *mm, unsigned long addr)
{
	unsigned i = vma_next_index(mm, addr);

	return i < mm->nr_vmas ? mm->vmas[i] : NULL;
}

struct vm_area_struct *vma_find(const struct mm_struct *mm, unsigned long addr)
{
	struct vm_area_struct *vma = vma_next(mm, addr);

	return vma && vma->start <= addr ? vma : NULL;
}

bool vma_range_cuts(const struct mm_struct *mm, unsigned long start, unsigned long end)
{
	const struct vm_area_struct *first = vma_find(mm, start), *last = vma_find(mm, end - 1);

	return (first && first->start < start) || (last && last->end > end);
}

bool vma_range_full(const struct mm_struct *mm, unsigned long start, unsigned long end)
{
	while (start < end) {
		const struct vm_area_struct *vma = vma_find(mm, start);

		if (!vma)
			return false;
		start = vma->end;
	}
	return true;
}

static unsigned long gap_from(const struct mm_struct *mm, unsigned long at, size_t len)
{
	for (unsigned i = vma_next_index(mm, at); i < mm->nr_vmas; i++) {
		if (mm->vmas[i]->start >= at && mm->vmas[i]->start - at >= len)
			return at;
		at = mm->vmas[i]->end;
	}
	return at < VMA_HIGHEST && VMA_HIGHEST - at >= len ? at : 0;
}

unsigned long vma_gap(const struct mm_struct *mm, unsigned long hint, size_t len)
{
	unsigned long a = 0;

	if (hint >= VMA_LOWEST && hint < VMA_HIGHEST)
		a = gap_from(mm, hint, len);
	return a ? a : gap_from(mm, VMA_LOWEST, len);
}

struct vm_area_struct *vma_alloc(struct mm_struct *mm)
{
	struct vm_area_struct *vma;

	if (mm->nr_vmas == mm->room) {
		unsigned room = mm->room ? 2 * mm->room : 8;
		struct vm_area_struct **v = NULL;

		if (!host_fail())
			v = realloc(mm->vmas, room * sizeof(*v));
		if (!v)
			return NULL;
		mm->vmas = v;
		mm->room = room;
	}
	vma = slab_alloc(&mm->machine->vmas);
	if (!vma)
		return NULL;
	memset(vma, 0, sizeof(*vma));
	vma->mm = mm;
	vma->window = -1;
	return vma;
}

void vma_free(struct vm_area_struct *vma)
{
	slab_free(&vma->mm->machine->vmas, vma);
}

void vma_link(struct vm_area_struct *vma)
{
	struct mm_struct *mm = vma->mm;
	struct address_space *mapping = vma->mapping;
	unsigned i = vma_next_index(mm, vma->start);

	VM_BUG_ON(mm->nr_vmas == mm->room);
	VM_BUG_ON(vma->start >= vma->end || (vma->start | vma->end) & ~PAGE_MASK);
	VM_BUG_ON(i < mm->nr_vmas && mm->vmas[i]->start < vma->end);
	memmove(&mm->vmas[i + 1], &mm->vmas[i], (mm->nr_vmas - i) * sizeof(mm->vmas[0]));
	mm->vmas[i] = vma;
	mm->nr_vmas++;
	atomic_fetch_add(&mapping->users, 1);
	atomic_fetch_add(&mm->machine->nr_vmas, 1);
	host_lock(&mapping->i_mmap_lock);
	vma->next_in_file = mapping->i_mmap;
	mapping->i_mmap = vma;
	host_unlock(&mapping->i_mmap_lock);
}

void vma_unlink(struct vm_area_struct *vma)
{
	struct mm_struct *mm = vma->mm;
	struct address_space *mapping = vma->mapping;
	unsigned i = vma_next_index(mm, vma->start);

	VM_BUG_ON(mm->vmas[i] != vma);
	mm->nr_vmas--;
	memmove(&mm->vmas[i], &mm->vmas[i + 1], (mm->nr_vmas - i) * sizeof(mm->vmas[0]));
	host_lock(&mapping->i_mmap_lock);
	for (struct vm_area_struct **p = &mapping->i_mmap; *p; p = &(*p)->next_in_file)
		if (*p == vma) {
			*p = vma->next_in_file;
			break;
		}
	host_unlock(&mapping->i_mmap_lock);
	atomic_fetch_sub(&mm->machine->nr_vmas, 1);
	atomic_fetch_sub(&mapping->users, 1);
}
