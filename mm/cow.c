/* SPDX-License-Identifier: MIT */
/* cow.c - see cow.h. */
#include "mm/cow.h"

#include <errno.h>

#include "mm/debug.h"
#include "mm/mmu_notifier.h"
#include "mm/page_alloc.h"

#define SMALL_FOLIO_ORDER 4u /* 64 KiB, where 2 MiB do not fit */

/* The caller wants a page of its own, to write to or to pin. */
static bool wants_own(const struct vm_fault *vmf)
{
	return vmf->flags & (FAULT_WRITE | FAULT_UNSHARE);
}

/* What the mm may do with a page: more with one of its own. */
static uint64_t rights(const struct vm_area_struct *vma, bool own)
{
	uint64_t r = 0;

	if (vma->prot & PINFOLD_PROT_READ)
		r |= SLOT_READ | (own ? SLOT_PINR | SLOT_LTR : 0);
	if (own && (vma->prot & PINFOLD_PROT_WRITE))
		r |= SLOT_WRITE | SLOT_PINW | SLOT_LTW;
	return r;
}

/* A page of the file in a private mapping: to read, and to pin for a short time (U4). */
static uint64_t file_rights(const struct vm_area_struct *vma)
{
	return vma->prot & PINFOLD_PROT_READ ? SLOT_READ | SLOT_PINR : 0;
}

static bool slot_good(const struct vm_fault *vmf, uint64_t s)
{
	uint64_t need = SLOT_PRESENT;

	if ((vmf->flags & FAULT_WRITE) && (vmf->vma->prot & PINFOLD_PROT_WRITE))
		need |= SLOT_WRITE;
	else if (wants_own(vmf)) /* FORCE gives no right to the CPU (W6) */
		need |= SLOT_EXCL;
	else if (vmf->vma->prot & PINFOLD_PROT_READ)
		need |= SLOT_READ;
	return (s & need) == need;
}

/* The wanted page and what lies around it in one leaf with the same rights, in frames that follow: one mapping. */
static void run_around(const struct vm_fault *vmf, const struct pt_pos *pos, uint64_t s, struct extent_run *run)
{
	unsigned at = (unsigned)(vmf->addr % LEAF_SIZE >> PAGE_SHIFT), lo = at, hi = at + 1;
	unsigned long base = vmf->addr & ~(LEAF_SIZE - 1);

	while (lo && base + lo * PAGE_SIZE > vmf->vma->start &&
	       atomic_load_explicit(&pos->table->e[lo - 1], memory_order_relaxed) == s - (at - lo + 1) * PAGE_SIZE)
		lo--;
	while (hi < TABLE_SLOTS && base + hi * PAGE_SIZE < vmf->vma->end &&
	       atomic_load_explicit(&pos->table->e[hi], memory_order_relaxed) == s + (hi - at) * PAGE_SIZE)
		hi++;
	run->addr = base + lo * PAGE_SIZE;
	run->first -= at - lo;
	run->at = at - lo;
	run->n = hi - lo;
}

/* Table locked; s: the slot as it is or is about to be. */
static enum fault_fact install(struct vm_fault *vmf, const struct pt_pos *pos, uint64_t s)
{
	struct vm_area_struct *vma = vmf->vma;
	struct extent_run run = {
		.addr = vmf->addr, .n = 1, .first = pfn_to_page(vma->mm->machine, s >> PAGE_SHIFT),
		.writable = !pos->shared && (s & SLOT_WRITE),
	};

	if (pos->huge) {
		run.at = page_tail(run.first);
		run.first -= run.at;
		run.addr -= run.at * PAGE_SIZE;
		run.n = TABLE_SLOTS;
	}
	vmf->covered = run.addr + run.n * PAGE_SIZE;
	if (!(vmf->flags & FAULT_WINDOW) || !(vma->prot & (PINFOLD_PROT_READ | PINFOLD_PROT_WRITE)))
		return FAULT_DONE;
	if ((s & SLOT_ANON) && !pos->huge)
		run_around(vmf, pos, s, &run);
	vmf->error = tlb_install(vma, &run);
	if (!vmf->error)
		vmf->covered = run.addr + run.n * PAGE_SIZE;
	if (!vmf->error && !(s & (SLOT_ANON | SLOT_ZERO)))
		set_flag(run.first, PG_window);
	return vmf->error ? FAULT_ERROR : FAULT_DONE;
}

/* Sets a slot that showed nothing, or the same page, and installs. */
static enum fault_fact set_and_install(struct vm_fault *vmf, struct pt_pos *pos, uint64_t s)
{
	slot_set(pos->table, pos->slot, s);
	return install(vmf, pos, pos->huge ? s + (vmf->addr & (HUGE_SIZE - 1)) : s);
}

static uint64_t anon_slot(const struct vm_area_struct *vma, const struct page *page)
{
	return (uint64_t)page_to_pfn(vma->mm->machine, page) << PAGE_SHIFT | SLOT_PRESENT | SLOT_ANON | SLOT_EXCL |
	       rights(vma, true);
}

static enum fault_fact no_frame(struct vm_fault *vmf)
{
	vmf->kind = FRAME_POOL;
	return FAULT_NO_FRAME;
}

/*
 * Puts a page of the mm's own in place of the one that slot s shows: src copied, or zeroes.  The old one is read-only
 * everywhere, so its content stands still (a page of a file: as still as its writers).
 *
 *   1 slot emptied: no pin finds either page      3 slot set: pins find the new one
 *   2 the translation changes to the new page, in one step
 * A pin that wrote to the new page between 2 and 3 would be seen by CPUs through the old translation as not written.
 */
static enum fault_fact replace(struct vm_fault *vmf, struct pt_pos *pos, uint64_t s, const struct page *src)
{
	struct vm_area_struct *vma = vmf->vma;
	struct pinfold *m = vma->mm->machine;
	struct page *new;
	enum fault_fact fact;
	uint64_t v;

	new = alloc_anon(m, 0, vma_index(vma, vmf->addr), !src);
	if (!new)
		return no_frame(vmf);
	if (src)
		host_copy_shared(new->addr, src->addr, PAGE_SIZE);
	atomic_store_explicit(&new->mapcount, 1, memory_order_relaxed);
	count_event(m, vmf->flags & FAULT_WRITE ? COW_COPIED : UNSHARED, 1);
	slot_set(pos->table, pos->slot, 0);
	v = anon_slot(vma, new);
	fact = install(vmf, pos, v);
	if (vma->mm->window == PINFOLD_WINDOW_EXTENT && (fact != FAULT_DONE || !(vmf->flags & FAULT_WINDOW)))
		extent_drop(vma->mm, vmf->addr, PAGE_SIZE);
	slot_set(pos->table, pos->slot, v);
	slot_put(m, s);
	return fact;
}

/* Whole 64 KiB where they are free.  False: one page, then. */
static bool small_folio(struct vm_fault *vmf, struct pt_pos *pos)
{
	const unsigned n = 1u << SMALL_FOLIO_ORDER;
	struct vm_area_struct *vma = vmf->vma;
	unsigned long start = vmf->addr & ~(n * PAGE_SIZE - 1);
	slot_t *slot = pt_slot(pos->table, start);
	struct page *p;

	if (!(vma->flags & VM_HUGE) || start < vma->start || start + n * PAGE_SIZE > vma->end)
		return false;
	for (unsigned i = 0; i < n; i++)
		if (atomic_load_explicit(&slot[i], memory_order_relaxed))
			return false;
	p = alloc_anon(vma->mm->machine, SMALL_FOLIO_ORDER, vma_index(vma, start), true);
	if (!p)
		return false;
	/* The allocator's reference is the first slot's. */
	atomic_fetch_add(&p->count, (n - 1) * PC_INTERNAL);
	for (unsigned i = 0; i < n; i++) {
		atomic_store_explicit(&p[i].mapcount, 1, memory_order_relaxed);
		slot_set(pos->table, &slot[i], anon_slot(vma, p + i) | SLOT_FOLIO);
	}
	return true;
}

/* An empty slot of anonymous memory. */
static enum fault_fact fill_anon(struct vm_fault *vmf, struct pt_pos *pos)
{
	struct vm_area_struct *vma = vmf->vma;
	struct pinfold *m = vma->mm->machine;
	struct page *p;

	if (!wants_own(vmf)) {
		count_event(m, ZERO_MAPS, 1);
		return set_and_install(vmf, pos, (uint64_t)page_to_pfn(m, m->zero) << PAGE_SHIFT | SLOT_PRESENT |
		                                         SLOT_ZERO | rights(vma, false));
	}
	if (small_folio(vmf, pos))
		return install(vmf, pos, atomic_load_explicit(pos->slot, memory_order_relaxed));
	p = alloc_anon(m, 0, vma_index(vma, vmf->addr), true);
	if (!p)
		return no_frame(vmf);
	atomic_store_explicit(&p->mapcount, 1, memory_order_relaxed);
	return set_and_install(vmf, pos, anon_slot(vma, p));
}

/* An empty slot of a file's private mapping.  *file_page becomes NULL if the slot takes it. */
static enum fault_fact fill_file(struct vm_fault *vmf, struct pt_pos *pos, struct page **file_page)
{
	struct vm_area_struct *vma = vmf->vma;
	struct pinfold *m = vma->mm->machine;
	struct page *p;

	if (!*file_page)
		return FAULT_NEED_PAGE;
	if (!wants_own(vmf)) {
		rmap_map(pos->table, pos->slot, m, *file_page, file_rights(vma));
		*file_page = NULL;
		return install(vmf, pos, atomic_load_explicit(pos->slot, memory_order_relaxed));
	}
	p = alloc_anon(m, 0, vma_index(vma, vmf->addr), false);
	if (!p)
		return no_frame(vmf);
	host_copy_shared(p->addr, (*file_page)->addr, PAGE_SIZE);
	atomic_store_explicit(&p->mapcount, 1, memory_order_relaxed);
	count_event(m, vmf->flags & FAULT_WRITE ? COW_COPIED : UNSHARED, 1);
	return set_and_install(vmf, pos, anon_slot(vma, p));
}

/*
 * Is this slot the only one that shows the page, though it was shared before?  Then nobody can make it two: another slot
 * would have to be there to be copied from.  A plain reference is somebody who must not see later writes (W11).
 */
static bool sole_owner(struct page *page)
{
	struct page *head = page_head(page);

	/* In this order: a 2 MiB slot that becomes 512 counts in mapcount before it ceases to in hugemaps. */
	if (head->order && atomic_load(&head->hugemaps))
		return false;
	return atomic_load(&page->mapcount) == 1 && !pc_refs(page_count(head));
}

/* A 4 KiB slot of a leaf that is the mm's own.  Locked. */
static enum fault_fact small_slot(struct vm_fault *vmf, struct pt_pos *pos, struct page **file_page)
{
	struct vm_area_struct *vma = vmf->vma;
	struct pinfold *m = vma->mm->machine;
	uint64_t s = atomic_load_explicit(pos->slot, memory_order_relaxed);
	struct page *page = pfn_to_page(m, s >> PAGE_SHIFT);

	if (!s)
		return vma_anon(vma) ? fill_anon(vmf, pos) : fill_file(vmf, pos, file_page);
	if (slot_good(vmf, s))
		return install(vmf, pos, s);
	if (s & SLOT_EXCL)
		return set_and_install(vmf, pos, s | rights(vma, true));
	if (!wants_own(vmf))
		return set_and_install(vmf, pos, s | (s & (SLOT_ANON | SLOT_ZERO) ? rights(vma, false) :
		                                                                      file_rights(vma)));
	if ((s & SLOT_ANON) && sole_owner(page)) {
		count_event(m, COW_REUSED, 1);
		return set_and_install(vmf, pos, s | SLOT_EXCL | rights(vma, true));
	}
	/* N3: the page behind the address changes. */
	if (!vmf->told && notifiers_any(vma->mm))
		return FAULT_AGAIN;
	return replace(vmf, pos, s, s & SLOT_ZERO ? NULL : page);
}

/* A 2 MiB slot, locked.  FAULT_AGAIN: it must become 512 first. */
static enum fault_fact huge_slot(struct vm_fault *vmf, struct pt_pos *pos)
{
	struct vm_area_struct *vma = vmf->vma;
	uint64_t s = atomic_load_explicit(pos->slot, memory_order_relaxed), c;

	c = page_count(pfn_to_page(vma->mm->machine, s >> PAGE_SHIFT));
	if (!(s & SLOT_EXCL) && wants_own(vmf)) {
		if (pc_internal(c) != 1 || pc_refs(c))
			return FAULT_AGAIN;
		count_event(vma->mm->machine, COW_REUSED, 1);
		s |= SLOT_EXCL;
	}
	return set_and_install(vmf, pos, s | rights(vma, s & SLOT_EXCL));
}

/* A 2 MiB folio for an address where there is nothing yet.  True: mapped. */
static bool huge_page(struct vm_fault *vmf)
{
	struct vm_area_struct *vma = vmf->vma;
	struct pinfold *m = vma->mm->machine;
	unsigned long start = vmf->addr & ~(HUGE_SIZE - 1);
	struct table *dir;
	struct page *p;

	if (!(vma->flags & VM_HUGE) || !vma_anon(vma) || !wants_own(vmf) || start < vma->start ||
	    start + HUGE_SIZE > vma->end)
		return false;
	dir = pt_dir_alloc(vma->mm, start);
	if (!dir || atomic_load(pt_entry(dir, start)))
		return false;
	p = alloc_anon(m, HUGE_ORDER, vma_index(vma, start), true);
	if (!p) {
		count_event(m, FOLIO_FALLBACKS, 1);
		return false;
	}
	atomic_store(&p->hugemaps, 1);
	if (pt_set_huge(dir, start, anon_slot(vma, p) | SLOT_FOLIO | SLOT_HUGE)) {
		count_event(m, FOLIOS_MAPPED, 1);
		return true;
	}
	atomic_store(&p->hugemaps, 0);
	put_internal(m, p);
	return false;
}

enum look_fact { LOOK_DONE, LOOK_EMPTY, LOOK_OWN, LOOK_TELL };

/* What can be done with the table that is there. */
static enum look_fact look(struct vm_fault *vmf, struct page **file_page, enum fault_fact *fact)
{
	enum look_fact r = LOOK_DONE;
	struct pt_pos pos;
	uint64_t s;

	if (!pt_lock(vmf->vma->mm, vmf->addr, &pos))
		return LOOK_EMPTY;
	s = pos_read(&pos, vmf->addr);
	if (pos.shared && s && !wants_own(vmf)) {
		*fact = install(vmf, &pos, s);
	} else if (pos.shared) {
		r = LOOK_OWN;
	} else if (pos.huge) {
		*fact = slot_good(vmf, s) ? install(vmf, &pos, s) : huge_slot(vmf, &pos);
		r = *fact == FAULT_AGAIN ? LOOK_OWN : LOOK_DONE;
	} else {
		*fact = small_slot(vmf, &pos, file_page);
		r = *fact == FAULT_AGAIN ? LOOK_TELL : LOOK_DONE;
	}
	pt_unlock(&pos);
	return r;
}

enum fault_fact cow_fault(struct vm_fault *vmf, struct page *file_page)
{
	enum fault_fact fact = FAULT_DONE;
	struct mm_struct *mm = vmf->vma->mm;
	unsigned long addr = vmf->addr;
	enum look_fact l;
	struct pt_pos pos;

	while ((l = look(vmf, &file_page, &fact)) != LOOK_DONE) {
		if (l == LOOK_EMPTY && huge_page(vmf))
			continue;
		if (l == LOOK_TELL) {
			notify_start(mm, addr, addr + PAGE_SIZE, MMU_NOTIFY_CLEAR);
			vmf->told = true;
			continue;
		}
		vmf->error = pt_own(mm, addr, &pos);
		if (vmf->error) {
			fact = FAULT_ERROR;
			break;
		}
		pt_unlock(&pos);
	}
	if (vmf->told)
		notify_end(mm, addr, addr + PAGE_SIZE, MMU_NOTIFY_CLEAR);
	vmf->told = false;
	if (file_page)
		put_internal(mm->machine, file_page);
	return fact;
}
