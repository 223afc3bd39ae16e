/* SPDX-License-Identifier: MIT */
/*
 * vma.h - the mappings of one mm, sorted by address.  The mmap lock is held: for writing where a
 * comment says so.  A VMA is also on its file's list, for the reverse mapping.
 */
#ifndef PINFOLD_VMA_H
#define PINFOLD_VMA_H

#include "mm/types.h"

/* Addresses of windowless mms: [VMA_LOWEST, VMA_HIGHEST). */
#define VMA_LOWEST 0x10000ul
#define VMA_HIGHEST 0x7ffffffff000ul

/* The VMA that contains addr, or NULL. */
struct vm_area_struct *vma_find(const struct mm_struct *mm, unsigned long addr);
/* The first VMA that ends behind addr, or NULL. */
struct vm_area_struct *vma_next(const struct mm_struct *mm, unsigned long addr);
/* Index of the same in mm->vmas, nr_vmas if none. */
unsigned vma_next_index(const struct mm_struct *mm, unsigned long addr);
/* Is every page of [start, end) mapped? */
bool vma_range_full(const struct mm_struct *mm, unsigned long start, unsigned long end);
/* A free place of len bytes, at or above hint if one is there; 0: none. */
unsigned long vma_gap(const struct mm_struct *mm, unsigned long hint, size_t len);

/* A VMA that is not linked yet, with room for it in the mm; NULL: no memory.  Writing. */
struct vm_area_struct *vma_alloc(struct mm_struct *mm);
void vma_free(struct vm_area_struct *vma);
/* Links it into mm and lists (cannot fail), unlinks it from all.  Writing. */
void vma_link(struct vm_area_struct *vma);
void vma_unlink(struct vm_area_struct *vma);
/* Sees to it that no VMA lies across addr.  0, or -ENOMEM.  Writing. */
int vma_split(struct mm_struct *mm, unsigned long addr);
/* Makes one of neighbours that fit, from start's left neighbour to the one behind end.  Writing. */
void vma_merge(struct mm_struct *mm, unsigned long start, unsigned long end);
/* The locks of the lists that a VMA is on, for changes that reverse walkers must not see half of. */
void vma_lock_lists(struct vm_area_struct *vma);
void vma_unlock_lists(struct vm_area_struct *vma);

/* Stores to it go to pages of the mm's own. */
static inline bool vma_private(const struct vm_area_struct *vma)
{
	return !(vma->flags & VM_SHARED);
}

/* Private memory without a file behind it. */
static inline bool vma_anon(const struct vm_area_struct *vma)
{
	return vma->mapping == &vma->mm->machine->anon;
}

static inline uint64_t vma_index(const struct vm_area_struct *vma, unsigned long addr)
{
	return vma->pgoff + ((addr - vma->start) >> PAGE_SHIFT);
}

static inline unsigned long vma_addr(const struct vm_area_struct *vma, uint64_t index)
{
	return vma->start + ((index - vma->pgoff) << PAGE_SHIFT);
}

#endif
