/* SPDX-License-Identifier: MIT */
/*
 * fork.c - see fork.h.
 *
 * The order, with the old mm's lock held for writing, so that nobody faults and the slow pin is kept out:
 *   1 the VMAs of the new mm
 *   2 stop(): no fast pin succeeds any more, then a full barrier.  A pin that was counted before is seen below, one that
 *     comes after sees the table sequence (or its 2 MiB slot) changed and undoes (Q8, Q11)
 *   3 share(): tables, or slots; a slot that is left EXCL in the old mm shows a pinned page
 *   4 the old mm's translations become read-only, or go: no CPU stores through its window any more
 *   5 copy_pinned(): so what is copied is of the same moment as what is shared.  A device may go on writing
 */
#include "mm/fork.h"

#include <errno.h>

#include "mm/debug.h"
#include "mm/mmu_notifier.h"

#define GIB (1ul << 30)
#define SLOT_KEPT (~SLOT_RIGHTS & ~SLOT_EXCL)

struct dup {
	struct mm_struct *mm, *old;
	unsigned long low, high; /* of the old mm's mappings */
	long shift;
	bool partly; /* a mapping is not handed on whole: DONTFORK, WIPEONFORK */
};

/* Private, and its content is handed on. */
static bool inherited(const struct vm_area_struct *vma)
{
	return vma_private(vma) && !(vma->flags & (VM_DONTFORK | VM_WIPEONFORK));
}

/* ---- the new mm's mappings -------------------------------------------------------------------- */

/* A direct window's stretch of addresses in which all mappings lie as they do in the old mm.  Its shift, or -errno. */
static long direct_shift(const struct dup *d)
{
	unsigned long low = d->low & ~(HUGE_SIZE - 1);
	long a = host_extent_reserve(d->high - low, HUGE_SIZE);

	if (a < 0)
		return a;
	/* Freed again: its pieces are mapped there with NOREPLACE, so a race is an error and no harm. */
	host_window_unmap((unsigned long)a, d->high - low);
	return a - (long)low;
}

/* What to add to addresses.  0, or -errno. */
static int choose_shift(struct dup *d)
{
	d->shift = 0;
	if (!d->old->nr_vmas)
		return 0;
	if (d->mm->window == PINFOLD_WINDOW_EXTENT)
		d->shift = (long)(d->mm->arena - (d->old->arena ? d->old->arena : d->low & ~(GIB - 1)));
	if (d->mm->window == PINFOLD_WINDOW_DIRECT)
		d->shift = direct_shift(d);
	if (d->mm->window == PINFOLD_WINDOW_DIRECT && d->shift < 0 && d->shift > -4096)
		return (int)d->shift;
	return place_ok(d->mm, d->low + (unsigned long)d->shift, d->high + (unsigned long)d->shift) ? 0 : -ENOMEM;
}

static bool can_show(const struct mm_struct *mm, const struct vm_area_struct *vma)
{
	if (mm->window == PINFOLD_WINDOW_DIRECT)
		return !vma_private(vma) && vma->mapping->memfd >= 0;
	return mm->window != PINFOLD_WINDOW_EXTENT || !vma_async(vma);
}

static int dup_vma(struct dup *d, const struct vm_area_struct *vma)
{
	struct vm_area_struct *new = vma_alloc(d->mm);
	long a = 0;

	if (!new)
		return -ENOMEM;
	new->start = vma->start + (unsigned long)d->shift;
	new->end = vma->end + (unsigned long)d->shift;
	new->pgoff = vma->pgoff;
	new->prot = vma->prot;
	new->flags = vma->flags;
	new->mapping = vma->mapping;
	if (d->mm->window == PINFOLD_WINDOW_DIRECT)
		a = direct_window_map(new, new->start, new->end - new->start);
	if (a < 0) {
		vma_free(new);
		return (int)a;
	}
	vma_link(new);
	return 0;
}

static int dup_vmas(struct dup *d)
{
	struct mm_struct *old = d->old;

	for (unsigned i = 0; i < old->nr_vmas; i++) {
		struct vm_area_struct *vma = old->vmas[i];
		int r = 0;

		d->partly |= vma->flags & (VM_DONTFORK | VM_WIPEONFORK);
		if (vma->flags & VM_DONTFORK)
			continue;
		r = can_show(d->mm, vma) ? dup_vma(d, vma) : -EOPNOTSUPP;
		if (r)
			return r;
	}
	return 0;
}

/* ---- stretches of 2 MiB ----------------------------------------------------------------------- */

/* What is looked at in each table, or folio, is far from the last: asked for early. */
static void look_ahead(struct pinfold *m, struct table *dir, unsigned long addr)
{
	unsigned i = addr / LEAF_SIZE % TABLE_SLOTS + 8;
	uint64_t e = i < TABLE_SLOTS ? atomic_load_explicit(&dir->e[i], memory_order_relaxed) : 0;

	if (e & SLOT_PRESENT)
		__builtin_prefetch(pfn_to_page(m, e >> PAGE_SHIFT), 1);
	else if (e)
		__builtin_prefetch(&entry_leaf(e)->used, 1);
}

/* Calls on each 2 MiB stretch that an inherited mapping touches, once. */
static int each_stretch(struct dup *d, int (*fn)(struct dup *d, unsigned long addr, struct table *dir, slot_t *entry))
{
	struct mm_struct *old = d->old;
	unsigned long done = 0;
	int r = 0;

	for (unsigned i = 0; i < old->nr_vmas && !r; i++) {
		struct vm_area_struct *vma = old->vmas[i];
		unsigned long a = vma->start & ~(LEAF_SIZE - 1);

		if (!inherited(vma))
			continue;
		for (a = a < done ? done : a; a < vma->end && !r; a += LEAF_SIZE) {
			struct table *dir = pt_dir(old, a);

			if (dir)
				look_ahead(old->machine, dir, a);
			if (dir && atomic_load_explicit(pt_entry(dir, a), memory_order_relaxed))
				r = fn(d, a, dir, pt_entry(dir, a));
			done = a + LEAF_SIZE;
		}
	}
	return r;
}

static int stop(struct dup *d, unsigned long addr, struct table *dir, slot_t *entry)
{
	uint64_t e;

	(void)d;
	(void)addr;
	host_lock(&dir->lock);
	e = atomic_load_explicit(entry, memory_order_relaxed);
	if (e & SLOT_PRESENT)
		slot_set(dir, entry, e & ~SLOT_RIGHTS);
	else
		pt_stop(entry);
	host_unlock(&dir->lock);
	return 0;
}

/* Does part of the stretch belong to a mapping that is not handed on? */
static bool partly_inherited(const struct dup *d, unsigned long addr)
{
	for (unsigned i = vma_next_index(d->old, addr); d->partly && i < d->old->nr_vmas &&
	     d->old->vmas[i]->start < addr + LEAF_SIZE; i++)
		if (d->old->vmas[i]->flags & (VM_DONTFORK | VM_WIPEONFORK))
			return true;
	return false;
}

static bool any_pinned(struct pinfold *m, struct table *leaf)
{
	/* Partner: gup_fast_walk(), which marks before it counts. */
	if (!atomic_load(&leaf->pinned))
		return false;
	/*
	 * Not marked, then, until the next pin.  Who has seen the mark, and remembers the walk, remembers a sequence from
	 * before pt_bump(); until this leaf's entry says again that it is the mm's own, which bumps it once more, nobody
	 * walks to it.
	 */
	atomic_store(&leaf->pinned, 0);
	for (unsigned i = 0; i < TABLE_SLOTS; i++) {
		uint64_t s = atomic_load_explicit(&leaf->e[i], memory_order_relaxed);

		if ((s & SLOT_EXCL) && page_maybe_pinned(pfn_to_page(m, s >> PAGE_SHIFT))) {
			atomic_store(&leaf->pinned, 1);
			return true;
		}
	}
	return false;
}

/* One slot: shared, or left alone if its page is pinned.  Leaf locked; `to` is nobody's yet. */
static int share_slot(struct pinfold *m, struct table *leaf, slot_t *slot, struct table *to, slot_t *to_slot)
{
	uint64_t s = atomic_load_explicit(slot, memory_order_relaxed);
	struct page *page = pfn_to_page(m, s >> PAGE_SHIFT);

	if (!(s & (SLOT_ANON | SLOT_ZERO))) /* a page of the file: found again at a fault (K8) */
		return 0;
	if ((s & SLOT_EXCL) && page_maybe_pinned(page))
		return 0;
	if (s & SLOT_ANON) {
		if (!get_internal(m, page_head(page)))
			return -ENOMEM;
		atomic_fetch_add_explicit(&page->mapcount, 1, memory_order_relaxed);
	}
	slot_set(leaf, slot, s & SLOT_KEPT);
	slot_set(to, to_slot, s & SLOT_KEPT);
	return 0;
}

/* What an inherited mapping has of a stretch. */
struct share {
	const struct vm_area_struct *vma;
	unsigned long a, end;
	unsigned next; /* mapping to look at */
};

/* The share behind sh; the first if it is all zero.  False: no more. */
static bool next_share(const struct dup *d, unsigned long addr, struct share *sh)
{
	unsigned i = sh->vma ? sh->next : vma_next_index(d->old, addr);

	while (i < d->old->nr_vmas && !inherited(d->old->vmas[i]))
		i++;
	if (i >= d->old->nr_vmas || d->old->vmas[i]->start >= addr + LEAF_SIZE)
		return false;
	sh->vma = d->old->vmas[i];
	sh->a = sh->vma->start > addr ? sh->vma->start : addr;
	sh->end = sh->vma->end < addr + LEAF_SIZE ? sh->vma->end : addr + LEAF_SIZE;
	sh->next = i + 1;
	return true;
}

/*
 * Slot by slot.  A leaf that others have too is copied first; one that is only marked stays so until all is done, and is
 * then claimed: else a fast pin could come between the look at a page's pins and its slot.  Either way, and after the
 * split of a 2 MiB slot, no slot gives a right until a fault gives it again.
 */
static int share_slots(struct dup *d, unsigned long addr, slot_t *entry)
{
	struct pinfold *m = d->old->machine;
	struct table *leaf = entry_leaf(atomic_load(entry)), *to;
	struct share sh = { 0 };
	struct pt_pos pos;
	int r = 0;

	if (pt_own(d->mm, addr + (unsigned long)d->shift, &pos))
		return -ENOMEM;
	/* Reverse walkers are kept out by the lock of `anon`, and nobody else knows of the new mm. */
	to = pos.table;
	pt_unlock(&pos);
	if (atomic_load(&leaf->sharers) > 1) {
		if (pt_own(d->old, addr, &pos))
			return -ENOMEM;
		leaf = pos.table;
	} else {
		host_lock(&leaf->lock);
	}
	while (!r && next_share(d, addr, &sh))
		for (; sh.a < sh.end && !r; sh.a += PAGE_SIZE)
			r = share_slot(m, leaf, pt_slot(leaf, sh.a), to, pt_slot(to, sh.a));
	host_unlock(&leaf->lock);
	if (!pt_own(d->old, addr, &pos)) /* to claim a leaf takes no memory */
		pt_unlock(&pos);
	return r;
}

static int share_huge(struct dup *d, unsigned long addr, struct table *dir, slot_t *entry)
{
	uint64_t s = atomic_load_explicit(entry, memory_order_relaxed);
	struct page *head = pfn_to_page(d->old->machine, s >> PAGE_SHIFT);
	struct table *to;

	if (pc_pins(atomic_load(&head->count)) && (s & SLOT_EXCL)) {
		if (pt_split(d->old, dir, addr))
			return -ENOMEM;
		return share_slots(d, addr, entry);
	}
	to = pt_dir_alloc(d->mm, addr + (unsigned long)d->shift);
	if (!to || !get_internal(d->old->machine, head))
		return -ENOMEM;
	/* Nobody has it pinned, and nobody can: what was marked is past.  Every pin sets PG_referenced before it counts. */
	if ((s & SLOT_EXCL) && has_flag(head, PG_referenced)) {
		clear_flag(head, PG_referenced);
		folio_clear_pins(head);
	}
	atomic_fetch_add_explicit(&head->hugemaps, 1, memory_order_relaxed);
	host_lock(&dir->lock);
	slot_set(dir, entry, s & SLOT_KEPT);
	host_unlock(&dir->lock);
	pt_set_huge(to, addr + (unsigned long)d->shift, s & SLOT_KEPT);
	return 0;
}

static int share(struct dup *d, unsigned long addr, struct table *dir, slot_t *entry)
{
	uint64_t e = atomic_load_explicit(entry, memory_order_relaxed);
	struct table *leaf = entry_leaf(e), *to;
	bool anon;

	if (!leaf)
		return share_huge(d, addr, dir, entry);
	/* Reclaim may be taking pages of files out: what is pure stays so. */
	host_lock(&leaf->lock);
	if (atomic_load_explicit(&leaf->ranged, memory_order_relaxed)) {
		range_close(leaf, RANGE_ALL);
		range_open(leaf);
	}
	anon = leaf->anon == leaf->used;
	host_unlock(&leaf->lock);
	if (!anon || partly_inherited(d, addr) || any_pinned(d->old->machine, leaf))
		return share_slots(d, addr, entry);
	to = pt_dir_alloc(d->mm, addr + (unsigned long)d->shift);
	if (!to)
		return -ENOMEM;
	pt_share(entry, to, pt_entry(to, addr + (unsigned long)d->shift));
	count_event(d->old->machine, LEAVES_SHARED, 1);
	return 0;
}

/* ---- the old mm's window, and pinned pages ------------------------------------------------------ */

static void protect_translations(struct dup *d)
{
	struct tlb_batch tlb;

	/* Read-only they show the right pages still. */
	tlb_begin(&tlb, d->old->machine, TLB_PROTECT);
	for (unsigned i = 0; i < d->old->nr_vmas; i++) {
		struct vm_area_struct *vma = d->old->vmas[i];

		if (inherited(vma))
			tlb_add(&tlb, vma, vma->start, vma->end - vma->start);
	}
	tlb_flush(&tlb);
}

/* K2, K3: the new mm gets a copy of its own.  0, or -ENOMEM. */
static int copy_page(struct dup *d, const struct vm_area_struct *vma, unsigned long a, uint64_t s)
{
	struct pinfold *m = d->old->machine;
	struct page *new = alloc_anon(m, 0, vma_index(vma, a), false);
	struct pt_pos pos;

	if (!new)
		return -ENOMEM;
	if (pt_own(d->mm, a + (unsigned long)d->shift, &pos)) {
		put_internal(m, new);
		return -ENOMEM;
	}
	host_copy_shared(new->addr, pfn_to_page(m, s >> PAGE_SHIFT)->addr, PAGE_SIZE);
	atomic_store_explicit(&new->mapcount, 1, memory_order_relaxed);
	slot_set(pos.table, pos.slot, (uint64_t)page_to_pfn(m, new) << PAGE_SHIFT | SLOT_PRESENT | SLOT_ANON | SLOT_EXCL);
	pt_unlock(&pos);
	count_event(m, FORK_COPIED, 1);
	return 0;
}

/* What is still the old mm's own in a table that was gone through slot by slot. */
static int copy_pinned(struct dup *d, unsigned long addr, struct table *dir, slot_t *entry)
{
	uint64_t e = atomic_load_explicit(entry, memory_order_relaxed);
	struct table *leaf = entry_leaf(e);
	struct share sh = { 0 };
	int r = 0;

	(void)dir;
	if (!leaf || (e & ENTRY_SHARED))
		return 0;
	while (!r && next_share(d, addr, &sh))
		for (; sh.a < sh.end && !r; sh.a += PAGE_SIZE) {
			uint64_t s = atomic_load_explicit(pt_slot(leaf, sh.a), memory_order_relaxed);

			if (s & SLOT_EXCL)
				r = copy_page(d, sh.vma, sh.a, s);
		}
	return r;
}

/* Both locks held for writing. */
static int dup_locked(struct dup *d)
{
	struct host_mutex *anon = &d->old->machine->anon.i_mmap_lock;
	int r = choose_shift(d);

	if (!r)
		r = dup_vmas(d);
	if (r)
		return r;
	d->mm->shift = d->shift;
	host_lock(anon); /* folio_split() changes all mms' tables */
	each_stretch(d, stop);
	pt_bump(d->old);
	r = each_stretch(d, share);
	host_unlock(anon);
	protect_translations(d);
	return r ? r : each_stretch(d, copy_pinned);
}

int do_dup_mmap(struct mm_struct *mm, struct mm_struct *old)
{
	struct dup d = { .mm = mm, .old = old };
	int r = -EINVAL;

	host_write_lock(&old->mmap_lock);
	/* A new mm that somebody is busy with is not new. */
	if (!host_write_trylock(&mm->mmap_lock)) {
		host_write_unlock(&old->mmap_lock);
		return -EINVAL;
	}
	if (old->nr_vmas) {
		d.low = old->vmas[0]->start;
		d.high = old->vmas[old->nr_vmas - 1]->end;
	}
	/* Who listens to a new mm already would be told nothing of what it gets. */
	if (!mm->nr_vmas && !notifiers_any(mm)) {
		if (old->nr_vmas)
			notify_start(old, d.low, d.high, MMU_NOTIFY_PROTECTION_PAGE);
		r = dup_locked(&d);
		if (old->nr_vmas)
			notify_end(old, d.low, d.high, MMU_NOTIFY_PROTECTION_PAGE);
		if (r)
			VM_WARN_ON(unmap_checked(mm, 0, VMA_HIGHEST));
		else
			count_event(old->machine, FORKS, 1);
	}
	host_write_unlock(&mm->mmap_lock);
	host_write_unlock(&old->mmap_lock);
	return r;
}
