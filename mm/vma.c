/* SPDX-License-Identifier: MIT */
/* vma.c - see vma.h.  An array: mappings are few, and a binary search of it beats a tree. */
#include "mm/vma.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mm/debug.h"
#include "mm/registry.h"

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
	unsigned long high = mm->arena ? mm->arena_end : VMA_HIGHEST;

	for (unsigned i = vma_next_index(mm, at); i < mm->nr_vmas; i++) {
		if (mm->vmas[i]->start >= at && mm->vmas[i]->start - at >= len)
			return at;
		at = mm->vmas[i]->end;
	}
	return at < high && high - at >= len ? at : 0;
}

unsigned long vma_gap(const struct mm_struct *mm, unsigned long hint, size_t len)
{
	unsigned long low = mm->arena ? mm->arena : VMA_LOWEST, a = 0;

	if (hint >= low && hint < VMA_HIGHEST)
		a = gap_from(mm, hint, len);
	return a ? a : gap_from(mm, low, len);
}

struct vm_area_struct *vma_alloc(struct mm_struct *mm)
{
	struct vm_area_struct *vma;

	/* For this one, and for two splits before it is linked. */
	if (mm->nr_vmas + 3 > mm->room) {
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
	return vma;
}

void vma_free(struct vm_area_struct *vma)
{
	slab_free(&vma->mm->machine->vmas, vma);
}

static void list_add(struct vma_list *l, struct vm_area_struct *vma, struct vm_area_struct **head,
                     struct vma_list *next)
{
	l->next = *head;
	l->prev = head;
	if (next)
		next->prev = &l->next;
	*head = vma;
}

static void list_del(struct vma_list *l, struct vma_list *next)
{
	*l->prev = l->next;
	if (next)
		next->prev = l->prev;
}

void vma_lock_lists(struct vm_area_struct *vma)
{
	if (!vma_anon(vma))
		host_lock(&vma->mapping->i_mmap_lock);
	if (vma_private(vma))
		host_lock(&vma->mm->machine->anon.i_mmap_lock);
}

void vma_unlock_lists(struct vm_area_struct *vma)
{
	if (vma_private(vma))
		host_unlock(&vma->mm->machine->anon.i_mmap_lock);
	if (!vma_anon(vma))
		host_unlock(&vma->mapping->i_mmap_lock);
}

/* Locks of the lists held. */
static void lists_add(struct vm_area_struct *vma)
{
	struct vm_area_struct *file = vma->mapping->i_mmap, **anon = &vma->mm->machine->anon.i_mmap;

	if (!vma_anon(vma))
		list_add(&vma->in_file, vma, &vma->mapping->i_mmap, file ? &file->in_file : NULL);
	if (vma_private(vma))
		list_add(&vma->in_anon, vma, anon, *anon ? &(*anon)->in_anon : NULL);
}

static void lists_del(struct vm_area_struct *vma)
{
	struct vm_area_struct *f = vma->in_file.next, *a = vma->in_anon.next;

	if (!vma_anon(vma))
		list_del(&vma->in_file, f ? &f->in_file : NULL);
	if (vma_private(vma))
		list_del(&vma->in_anon, a ? &a->in_anon : NULL);
}

static void array_add(struct vm_area_struct *vma)
{
	struct mm_struct *mm = vma->mm;
	unsigned i = vma_next_index(mm, vma->start);

	VM_BUG_ON(mm->nr_vmas == mm->room);
	VM_BUG_ON(vma->start >= vma->end || (vma->start | vma->end) & ~PAGE_MASK);
	VM_BUG_ON(i < mm->nr_vmas && mm->vmas[i]->start < vma->end);
	memmove(&mm->vmas[i + 1], &mm->vmas[i], (mm->nr_vmas - i) * sizeof(mm->vmas[0]));
	mm->vmas[i] = vma;
	mm->nr_vmas++;
	atomic_fetch_add(&vma->mapping->users, 1);
	atomic_fetch_add(&mm->machine->nr_vmas, 1);
}

static void array_del(struct vm_area_struct *vma)
{
	struct mm_struct *mm = vma->mm;
	unsigned i = vma_next_index(mm, vma->start);

	VM_BUG_ON(mm->vmas[i] != vma);
	mm->nr_vmas--;
	memmove(&mm->vmas[i], &mm->vmas[i + 1], (mm->nr_vmas - i) * sizeof(mm->vmas[0]));
	atomic_fetch_sub(&mm->machine->nr_vmas, 1);
	atomic_fetch_sub(&vma->mapping->users, 1);
}

void vma_link(struct vm_area_struct *vma)
{
	array_add(vma);
	vma_lock_lists(vma);
	lists_add(vma);
	vma_unlock_lists(vma);
}

void vma_unlink(struct vm_area_struct *vma)
{
	array_del(vma);
	vma_lock_lists(vma);
	lists_del(vma);
	vma_unlock_lists(vma);
}

int vma_split(struct mm_struct *mm, unsigned long addr)
{
	struct vm_area_struct *vma = vma_find(mm, addr), *tail;

	if (!vma || vma->start == addr)
		return 0;
	tail = vma_alloc(mm);
	if (!tail)
		return -ENOMEM;
	if (mm->window == PINFOLD_WINDOW_DIRECT && registry_split_window(addr)) {
		vma_free(tail);
		return -ENOMEM;
	}
	*tail = *vma;
	tail->start = addr;
	tail->pgoff = vma_index(vma, addr);
	/* At once for reverse walkers: a page is in one of the two. */
	vma_lock_lists(vma);
	vma->end = addr;
	lists_add(tail);
	vma_unlock_lists(vma);
	array_add(tail);
	return 0;
}

static bool fits(const struct vm_area_struct *a, const struct vm_area_struct *b)
{
	return a->end == b->start && a->mapping == b->mapping && a->flags == b->flags && a->prot == b->prot &&
	       vma_index(a, a->end) == b->pgoff;
}

void vma_merge(struct mm_struct *mm, unsigned long start, unsigned long end)
{
	unsigned i = vma_next_index(mm, start);

	for (i = i ? i - 1 : 0; i + 1 < mm->nr_vmas && mm->vmas[i]->end <= end;) {
		struct vm_area_struct *a = mm->vmas[i], *b = mm->vmas[i + 1];
		unsigned long to = b->end;

		if (!fits(a, b)) {
			i++;
			continue;
		}
		array_del(b);
		vma_lock_lists(a);
		lists_del(b);
		a->end = to;
		vma_unlock_lists(a);
		vma_free(b);
	}
}
