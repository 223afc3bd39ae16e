/* SPDX-License-Identifier: MIT */
/* mremap.c - see mremap.h. */
#include "mm/mremap.h"

#include <errno.h>

#include "mm/debug.h"
#include "mm/mmu_notifier.h"
#include "mm/registry.h"

#define FLAGS (PINFOLD_MREMAP_MAYMOVE | PINFOLD_MREMAP_FIXED | PINFOLD_MREMAP_DONTUNMAP)

/* ---- moving slots ------------------------------------------------------------------------------ */

/* Do both places lie alike, so that a table, or a 2 MiB slot, serves the new one as it is? */
static bool alike(unsigned long from, unsigned long to, size_t len)
{
	return !(from % LEAF_SIZE) && !(to % LEAF_SIZE) && len >= LEAF_SIZE;
}

/* How far a step from `from` to `to` can go at most. */
static size_t step(unsigned long from, unsigned long to, size_t len)
{
	size_t a = LEAF_SIZE - from % LEAF_SIZE, b = LEAF_SIZE - to % LEAF_SIZE;

	a = a < b ? a : b;
	return a < len ? a : len;
}

/* All tables that the move needs, so that it cannot fail.  0, or -ENOMEM; what was made is trimmed by the caller. */
static int prepare(struct mm_struct *mm, unsigned long from, unsigned long to, size_t len)
{
	while (len) {
		size_t n = step(from, to, len);
		struct pt_pos pos;

		if (alike(from, to, len)) {
			if (!pt_dir_alloc(mm, to))
				return -ENOMEM;
		} else if (pt_lock(mm, from, &pos)) {
			bool own = !pos.shared && !pos.huge;

			pt_unlock(&pos);
			if (!own) {
				if (pt_own(mm, from, &pos))
					return -ENOMEM;
				pt_unlock(&pos);
			}
			if (pt_own(mm, to, &pos))
				return -ENOMEM;
			pt_unlock(&pos);
		}
		from += n;
		to += n;
		len -= n;
	}
	return 0;
}

/* Slots of one leaf to one other, which have no more in common than the mm. */
static void move_slots(struct mm_struct *mm, unsigned long from, unsigned long to, size_t len)
{
	uint64_t kept[64], moved = 0;

	while (len) {
		size_t n = len < sizeof(kept) / 8 * PAGE_SIZE ? len : sizeof(kept) / 8 * PAGE_SIZE;
		struct pt_pos pos;

		if (!pt_lock(mm, from, &pos))
			return;
		for (size_t i = 0; i < n / PAGE_SIZE; i++) {
			kept[i] = atomic_load_explicit(&pos.slot[i], memory_order_relaxed);
			if (kept[i])
				slot_set(pos.table, &pos.slot[i], 0);
		}
		pt_unlock(&pos);
		/* A fast pin that read the old slot finds it empty and undoes; nobody else looks meanwhile. */
		if (!pt_lock(mm, to, &pos))
			return;
		for (size_t i = 0; i < n / PAGE_SIZE; i++)
			if (kept[i]) {
				slot_set(pos.table, &pos.slot[i], kept[i]);
				moved++;
			}
		/* Pins may be among them. */
		atomic_store(&pos.table->pinned, 1);
		pt_unlock(&pos);
		from += n;
		to += n;
		len -= n;
	}
	count_event(mm->machine, MOVED_SLOTS, moved);
}

static void move_range(struct mm_struct *mm, unsigned long from, unsigned long to, size_t len)
{
	while (len) {
		size_t n = step(from, to, len);

		if (alike(from, to, len)) {
			uint64_t e = pt_take_entry(mm, from);

			if (e) {
				struct table *empty = entry_leaf(pt_take_entry(mm, to));

				VM_WARN_ON(empty && empty->used);
				pt_put_entry(mm, to, e);
				if (empty)
					pt_drop_table(mm, empty);
				count_event(mm->machine, MOVED_TABLES, 1);
			}
		} else {
			move_slots(mm, from, to, n);
		}
		from += n;
		to += n;
		len -= n;
	}
}

/* ---- moving a mapping --------------------------------------------------------------------------- */

static void drop_translations(struct vm_area_struct *vma, unsigned long start, unsigned long end)
{
	struct tlb_batch tlb;

	tlb_begin(&tlb, vma->mm->machine, TLB_DROP);
	tlb_add(&tlb, vma, start, end - start);
	tlb_flush(&tlb);
}

/*
 * Moves [addr, addr + len) of vma to `to`, a new VMA that is linked already.  Reverse walkers must not find a page at
 * neither place: the locks of the lists.  A freeze must not come between a slot that moved and its old translation,
 * through which stores would go unseen: freeze_sem.
 */
static void move_mapping(struct vm_area_struct *vma, unsigned long addr, struct vm_area_struct *to, size_t len)
{
	if (!vma_anon(vma))
		host_read_lock(&vma->mapping->freeze_sem);
	vma_lock_lists(vma);
	move_range(vma->mm, addr, to->start, len);
	vma_unlock_lists(vma);
	drop_translations(vma, addr, addr + len);
	if (!vma_anon(vma))
		host_read_unlock(&vma->mapping->freeze_sem);
}

/* A place for the new mapping, with a window if there is one.  The address, or -errno. */
static long new_place(const struct mremap_request *rq, struct vm_area_struct *new)
{
	struct mm_struct *mm = rq->mm;
	bool fixed = rq->flags & PINFOLD_MREMAP_FIXED;
	unsigned long at = rq->addr % HUGE_SIZE, a;

	if (mm->window == PINFOLD_WINDOW_DIRECT)
		return direct_window_map(new, fixed ? rq->new_addr : 0, rq->new_len);
	if (fixed)
		return (long)rq->new_addr;
	/* Where it lies as it did in its 2 MiB stretches, if there is room: then tables can move. */
	a = vma_gap(mm, 0, rq->new_len + HUGE_SIZE);
	if (a)
		a = ((a - at + HUGE_SIZE - 1) & ~(HUGE_SIZE - 1)) + at;
	a = vma_gap(mm, a, rq->new_len);
	return a ? (long)a : -ENOMEM;
}

static void undo_place(struct vm_area_struct *new, unsigned long a, size_t len)
{
	if (new->mm->window != PINFOLD_WINDOW_DIRECT)
		return;
	registry_remove_windows(a, a + len);
	host_window_unmap(a, len);
}

/* What is to be had before anything changes.  The address, or -errno. */
static long prepare_move(const struct mremap_request *rq, struct vm_area_struct *new)
{
	struct mm_struct *mm = rq->mm;
	size_t len = rq->old_len < rq->new_len ? rq->old_len : rq->new_len;
	long a;

	a = split_at(mm, rq->addr);
	if (!a)
		a = split_at(mm, rq->addr + rq->old_len);
	if (!a && !(rq->flags & PINFOLD_MREMAP_DONTUNMAP))
		a = zap_prepare(mm, rq->addr, rq->addr + rq->old_len); /* what does not move is unmapped */
	if (!a && (rq->flags & PINFOLD_MREMAP_FIXED))
		a = unmap_checked(mm, rq->new_addr, rq->new_addr + rq->new_len);
	if (!a)
		a = new_place(rq, new);
	if (a < 0)
		return a;
	if (prepare(mm, rq->addr, (unsigned long)a, len)) {
		undo_place(new, (unsigned long)a, rq->new_len);
		pt_trim(mm, (unsigned long)a, (unsigned long)a + rq->new_len);
		return -ENOMEM;
	}
	return a;
}

static long move(const struct mremap_request *rq)
{
	struct mm_struct *mm = rq->mm;
	struct vm_area_struct *vma, *new = vma_alloc(mm);
	unsigned long end = rq->addr + rq->old_len;
	size_t len = rq->old_len < rq->new_len ? rq->old_len : rq->new_len;
	long a;

	if (!new)
		return -ENOMEM;
	vma = vma_find(mm, rq->addr);
	new->mapping = vma->mapping;
	new->prot = vma->prot;
	new->flags = vma->flags;
	new->pgoff = vma_index(vma, rq->addr);
	a = prepare_move(rq, new);
	if (a < 0) {
		vma_free(new);
		vma_merge(mm, rq->addr, end);
		return a;
	}
	vma = vma_find(mm, rq->addr); /* the part that moves, now alone */
	new->start = (unsigned long)a;
	new->end = new->start + rq->new_len;
	notify_start(mm, rq->addr, end, MMU_NOTIFY_UNMAP);
	vma_link(new);
	move_mapping(vma, rq->addr, new, len);
	if (!(rq->flags & PINFOLD_MREMAP_DONTUNMAP))
		unmap_range(mm, rq->addr, end);
	else
		pt_trim(mm, rq->addr, end);
	notify_end(mm, rq->addr, end, MMU_NOTIFY_UNMAP);
	vma_merge(mm, rq->addr, end);
	vma_merge(mm, new->start, new->end);
	return a;
}

/* ---- the call ----------------------------------------------------------------------------------- */

/* Grows it where it is.  False: it cannot. */
static bool grow(const struct mremap_request *rq, struct vm_area_struct *vma)
{
	struct mm_struct *mm = rq->mm;
	unsigned long end = rq->addr + rq->old_len, new_end = rq->addr + rq->new_len;
	struct vm_area_struct *next = vma_next(mm, end), tail = *vma;

	if (vma->end != end || !place_ok(mm, rq->addr, new_end) ||
	    (next && next->start < new_end) || vma->mapping == &mm->machine->shared)
		return false;
	/* The window grows by a piece of its own, which the host joins. */
	tail.pgoff = vma_index(vma, end);
	if (mm->window == PINFOLD_WINDOW_DIRECT && direct_window_map(&tail, end, new_end - end) < 0)
		return false;
	vma_lock_lists(vma);
	vma->end = new_end;
	vma_unlock_lists(vma);
	vma_merge(mm, rq->addr, new_end);
	return true;
}

static int check(struct mremap_request *rq)
{
	bool fixed = rq->flags & PINFOLD_MREMAP_FIXED, dontunmap = rq->flags & PINFOLD_MREMAP_DONTUNMAP;

	if (range_check(rq->addr, &rq->old_len) || range_check(0, &rq->new_len) || (rq->flags & ~FLAGS))
		return -EINVAL;
	if ((fixed || dontunmap) && !(rq->flags & PINFOLD_MREMAP_MAYMOVE))
		return -EINVAL;
	if (dontunmap && rq->old_len != rq->new_len)
		return -EINVAL;
	if (fixed && rq->new_addr < rq->addr + rq->old_len && rq->addr < rq->new_addr + rq->new_len)
		return -EINVAL;
	return fixed ? place_check(rq->mm, rq->new_addr, rq->new_len) : 0;
}

/* The lock is held. */
static long change_mapping(struct mremap_request *rq)
{
	struct mm_struct *mm = rq->mm;
	struct vm_area_struct *vma = vma_find(mm, rq->addr);
	unsigned long end = rq->addr + rq->old_len;
	bool may_move = rq->flags & PINFOLD_MREMAP_MAYMOVE;
	bool stays = !(rq->flags & (PINFOLD_MREMAP_FIXED | PINFOLD_MREMAP_DONTUNMAP)) && rq->new_len <= rq->old_len;
	size_t kept = rq->old_len < rq->new_len ? rq->old_len : rq->new_len;
	uint64_t last;
	long r = 0;

	/* To shrink is to unmap the rest, whatever is there, and first of all: as in Linux. */
	if (!vma || (rq->addr + kept > vma->end && !stays))
		return -EFAULT;
	if ((rq->flags & PINFOLD_MREMAP_DONTUNMAP) && !vma_anon(vma))
		return -EINVAL;
	last = vma_index(vma, rq->addr) + (rq->new_len >> PAGE_SHIFT);
	if (vma->mapping->memfd >= 0 && last > vma->mapping->max_size >> PAGE_SHIFT)
		return -EINVAL;
	/* Behind a shared anonymous range lies somebody else's. */
	if (vma->mapping == &mm->machine->shared && rq->new_len > rq->old_len)
		return -ENOMEM;
	if (stays && rq->new_len < rq->old_len)
		r = unmap_checked(mm, rq->addr + rq->new_len, end);
	if (stays)
		return r ? r : (long)rq->addr;
	if (rq->flags & (PINFOLD_MREMAP_FIXED | PINFOLD_MREMAP_DONTUNMAP))
		return move(rq);
	if (grow(rq, vma))
		return (long)rq->addr;
	return may_move ? move(rq) : -ENOMEM;
}

long do_mremap(struct mremap_request *rq)
{
	long r = check(rq);

	if (r)
		return r;
	host_write_lock(&rq->mm->mmap_lock);
	r = change_mapping(rq);
	host_write_unlock(&rq->mm->mmap_lock);
	return r;
}
