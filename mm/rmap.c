/* SPDX-License-Identifier: MIT */
/* rmap.c - see rmap.h. */
#include "mm/rmap.h"

#include <errno.h>

#include "mm/debug.h"
#include "mm/mmu_notifier.h"
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
	enum mmu_notifier_event event;
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
	bool tell;

	VM_BUG_ON(!host_held(&vma->mapping->i_mmap_lock));
	if (first > last)
		return;
	end = vma_addr(vma, last) + PAGE_SIZE;
	a = vma_addr(vma, first);
	/* Who listens is told when the translations are gone; else they go with the caller's batch. */
	tell = v->tlb && notifiers_any(vma->mm);
	if (tell)
		notify_start(vma->mm, a, end, v->event);
	for (; a < end;) {
		unsigned long next = (a & ~(LEAF_SIZE - 1)) + LEAF_SIZE;
		struct pt_pos pos;

		if (next > end)
			next = end;
		if (pt_lock(vma->mm, a, &pos)) {
			/* No file's folio is mapped whole.  A leaf that is shared has nothing of files, one that is only
			 * marked (dup_mmap under way, or failed) may have. */
			if (!pos.huge)
				v->leaf(v, vma, pos.table, a, next);
			pt_unlock(&pos);
		}
		a = next;
	}
	if (tell) {
		tlb_flush(v->tlb);
		notify_end(vma->mm, vma_addr(vma, first), end, v->event);
	}
}

/* The file's VMAs; anonymous pages have a visitor of their own (folio.c). */
static void visit(struct address_space *mapping, struct rmap_visit *v)
{
	host_lock(&mapping->i_mmap_lock);
	for (struct vm_area_struct *vma = mapping->i_mmap; vma; vma = vma->in_file.next)
		visit_vma(v, vma);
	host_unlock(&mapping->i_mmap_lock);
}

static void clear_bits_leaf(struct rmap_visit *v, struct vm_area_struct *vma, struct table *leaf,
                            unsigned long start, unsigned long end)
{
	for (unsigned long a = start; a < end; a += PAGE_SIZE) {
		slot_t *slot = pt_slot(leaf, a);
		uint64_t s = atomic_load_explicit(slot, memory_order_relaxed);

		/* A private VMA's own pages are no business of the file's. */
		if (!(s & v->bits) || (s & SLOT_ANON))
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
		.bits = bits, .tlb = tlb, .event = MMU_NOTIFY_PROTECTION_PAGE,
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
		.tlb = tlb, .page = page, .event = MMU_NOTIFY_CLEAR,
	};

	visit(mapping, &v);
	return v.unmapped;
}

/* ---- emptying --------------------------------------------------------------------------------- */

void slot_put(struct pinfold *m, uint64_t s)
{
	struct page *p = pfn_to_page(m, s >> PAGE_SHIFT);

	if (s & SLOT_ZERO)
		return;
	/* Not before the translation went: who then finds that it is the only one writes in place. */
	if (s & SLOT_HUGE)
		atomic_fetch_sub_explicit(&p->hugemaps, 1, memory_order_release);
	else
		atomic_fetch_sub_explicit(&p->mapcount, 1, memory_order_release);
	put_internal(m, page_head(p));
}

/* Table locked: the slot is empty now, its counts and references are the caller's: slot_put(). */
static uint64_t slot_take(struct table *t, slot_t *slot)
{
	uint64_t s = atomic_load_explicit(slot, memory_order_relaxed);

	if (s)
		slot_set(t, slot, 0);
	return s;
}

#define ZAP_SLOTS 64u

/* Slots taken, and not given back yet because translations may stand. */
struct zap {
	struct vm_area_struct *vma;
	bool writing;       /* the mmap lock is held for writing */
	unsigned long from; /* translations to drop: [from, to) */
	unsigned n;
	uint64_t slot[ZAP_SLOTS];
};

static void zap_flush(struct zap *z, unsigned long to)
{
	struct pinfold *m = z->vma->mm->machine;
	struct tlb_batch tlb;

	if (z->n) {
		tlb_begin(&tlb, m, TLB_DROP);
		tlb_add(&tlb, z->vma, z->from, to - z->from);
		tlb_flush(&tlb);
	}
	for (unsigned i = 0; i < z->n; i++)
		slot_put(m, z->slot[i]);
	z->n = 0;
	z->from = to;
}

/* Does a leaf have slots outside of [a, end)? */
static bool used_outside(struct table *leaf, unsigned long a, unsigned long end)
{
	unsigned first = (unsigned)(a % LEAF_SIZE >> PAGE_SHIFT), n = (unsigned)((end - a) >> PAGE_SHIFT), in = 0;

	for (unsigned i = first; i < first + n; i++)
		in += !!atomic_load_explicit(&leaf->e[i], memory_order_relaxed);
	return leaf->used > in;
}

/*
 * A shared leaf whose slots are all to go: the mm gives its share back.  Its translations first, else they would stand
 * for pages that the others may free; the write lock keeps faults from bringing them back.  True: gone.
 */
static bool zap_share(struct zap *z, unsigned long a, unsigned long end)
{
	struct tlb_batch tlb;

	tlb_begin(&tlb, z->vma->mm->machine, TLB_DROP);
	tlb_add(&tlb, z->vma, a, end - a);
	tlb_flush(&tlb);
	return pt_detach(z->vma->mm, a);
}

/* [a, end) of one 2 MiB stretch. */
static int zap_stretch(struct zap *z, unsigned long a, unsigned long end)
{
	struct mm_struct *mm = z->vma->mm;
	bool whole = !(a % LEAF_SIZE) && end - a == LEAF_SIZE, drop;
	struct pt_pos pos;

	if (!pt_lock(mm, a, &pos))
		return 0;
	if (pos.huge && whole) {
		z->slot[z->n++] = slot_take(pos.table, pos.slot);
		pt_unlock(&pos);
		zap_flush(z, end);
		return 0;
	}
	if (pos.shared || pos.huge) {
		drop = pos.shared && z->writing && (whole || !used_outside(pos.table, a, end));
		pt_unlock(&pos);
		if (drop && zap_share(z, a, end))
			return 0;
		if (pt_own(mm, a, &pos))
			return -ENOMEM;
	}
	for (; a < end; a += PAGE_SIZE) {
		uint64_t s = slot_take(pos.table, pt_slot(pos.table, a));

		if (s)
			z->slot[z->n++] = s;
		if (z->n < ZAP_SLOTS)
			continue;
		pt_unlock(&pos);
		zap_flush(z, a + PAGE_SIZE);
		if (a + PAGE_SIZE == end)
			return 0;
		if (pt_own(mm, a, &pos))
			return -ENOMEM;
	}
	pt_unlock(&pos);
	return 0;
}

int zap_range(struct vm_area_struct *vma, unsigned long start, unsigned long end, bool writing)
{
	struct zap z = { .vma = vma, .writing = writing, .from = start };
	int r = 0;

	VM_BUG_ON(!host_rwsem_held(&vma->mm->mmap_lock));
	VM_BUG_ON(start < vma->start || end > vma->end);
	/* A freeze between slot and drop would find no slot to protect, and not see what is stored through
	 * the translation until it is gone. */
	if (!vma_anon(vma))
		host_read_lock(&vma->mapping->freeze_sem);
	for (unsigned long a = start; a < end && !r;) {
		unsigned long next = (a & ~(LEAF_SIZE - 1)) + LEAF_SIZE;

		if (next > end)
			next = end;
		if (!z.n)
			z.from = a;
		r = zap_stretch(&z, a, next);
		a = next;
	}
	zap_flush(&z, end);
	if (!vma_anon(vma))
		host_read_unlock(&vma->mapping->freeze_sem);
	return r;
}

/* The stretch of addr if it is not all of [start, end)'s: so that a part of it can be emptied. */
static int own_edge(struct mm_struct *mm, unsigned long addr, unsigned long start, unsigned long end)
{
	unsigned long base = addr & ~(LEAF_SIZE - 1);
	struct pt_pos pos;
	bool mine;

	if ((base >= start && base + LEAF_SIZE <= end) || !pt_lock(mm, addr, &pos))
		return 0;
	/* A share all of whose slots go is given back, not copied. */
	mine = !pos.huge && (!pos.shared || !used_outside(pos.table, base > start ? base : start,
	                                                  base + LEAF_SIZE < end ? base + LEAF_SIZE : end));
	pt_unlock(&pos);
	if (mine)
		return 0;
	if (pt_own(mm, addr, &pos))
		return -ENOMEM;
	pt_unlock(&pos);
	return 0;
}

int zap_prepare(struct mm_struct *mm, unsigned long start, unsigned long end)
{
	int r = own_edge(mm, start, start, end);

	return r ? r : own_edge(mm, end - 1, start, end);
}

/* Rights of a shared leaf's slots count for nothing, and pt_own() takes them all away. */
static void take_rights(struct vm_area_struct *vma, unsigned long a, unsigned long end, uint64_t rights)
{
	struct pt_pos pos;

	if (!pt_lock(vma->mm, a, &pos))
		return;
	if (pos.huge) {
		slot_set(pos.table, pos.slot, atomic_load_explicit(pos.slot, memory_order_relaxed) & ~rights);
	} else if (atomic_load(&pos.table->sharers) == 1) {
		for (; a < end; a += PAGE_SIZE) {
			slot_t *slot = pt_slot(pos.table, a);
			uint64_t s = atomic_load_explicit(slot, memory_order_relaxed);

			if (s & rights)
				slot_set(pos.table, slot, s & ~rights);
		}
	}
	pt_unlock(&pos);
}

void slots_take_rights(struct vm_area_struct *vma, unsigned long start, unsigned long end, uint64_t rights)
{
	struct tlb_batch tlb;

	for (unsigned long a = start; a < end;) {
		unsigned long next = (a & ~(LEAF_SIZE - 1)) + LEAF_SIZE;

		take_rights(vma, a, next < end ? next : end, rights);
		a = next;
	}
	tlb_begin(&tlb, vma->mm->machine, TLB_DROP);
	tlb_add(&tlb, vma, start, end - start);
	tlb_flush(&tlb);
}

/* ---- checking --------------------------------------------------------------------------------- */

static int check_file_slot(struct vm_area_struct *vma, unsigned long a, uint64_t s, struct page *p)
{
	int bad = 0;

	bad += p->mapping != vma->mapping || p->index != vma_index(vma, a) ||
	       (page_count(p) & PC_FREE);
	bad += !has_flag(p, PG_uptodate);
	if (bad)
		debug_broken("I7: a slot holds a page that is not the file's there", p);
	if (vma_private(vma) && (s & (SLOT_WRITES | SLOT_LTR))) {
		debug_broken("I6: a private mapping may write to a page of the file", p);
		bad++;
	}
	if ((s & SLOT_WRITE) && vma->mapping->ops->commits && !has_flag(p, PG_dirty) &&
	    !(vma->mapping->flags & PINFOLD_FILE_ASYNC_WP)) {
		debug_broken("I8: a writable slot of a clean page", p);
		bad++;
	}
	return bad;
}

static int check_anon_slot(struct vm_area_struct *vma, unsigned long a, uint64_t s, struct page *p)
{
	struct page *head = page_head(p);
	uint32_t maps = atomic_load(&p->mapcount) + (head->order ? atomic_load(&head->hugemaps) : 0);
	int bad = 0;

	bad += !vma_private(vma) || !has_flag(head, PG_anon) || (page_count(head) & PC_FREE) || !maps;
	bad += head->index + page_tail(p) != vma_index(vma, a);
	bad += !!(s & SLOT_FOLIO) != !!head->order;
	if (bad)
		debug_broken("I7: a slot holds a page that is not anonymous, or another place's", p);
	if ((s & SLOT_EXCL) && maps != 1) {
		debug_broken("I6: a page of the mm's own is shown elsewhere too", p);
		bad++;
	}
	return bad;
}

static int check_slot(struct vm_area_struct *vma, unsigned long a, uint64_t s, bool shared)
{
	struct pinfold *m = vma->mm->machine;
	uint64_t need = 0;
	struct page *p;
	int bad;

	if (!(s & SLOT_PRESENT) || s >> PAGE_SHIFT > m->nr_frames) {
		debug_broken("I7: a slot that is neither empty nor present", NULL);
		return 1;
	}
	p = pfn_to_page(m, s >> PAGE_SHIFT);
	if (s & SLOT_ZERO)
		return p != m->zero || !vma_anon(vma) || (s & (SLOT_RIGHTS & ~SLOT_READ));
	bad = s & SLOT_ANON ? check_anon_slot(vma, a, s, p) : check_file_slot(vma, a, s, p);
	if ((s & SLOT_ANON) && (s & (SLOT_WRITES | SLOT_PINR | SLOT_LTR)))
		need = SLOT_EXCL;
	if ((s & need) != need || (shared && !(s & SLOT_ANON))) {
		debug_broken("I6: a slot gives rights to a page that is not its own", p);
		bad++;
	}
	if (shared)
		return bad;
	if (((s & SLOT_WRITE) && !(vma->prot & PINFOLD_PROT_WRITE)) ||
	    ((s & SLOT_READ) && !(vma->prot & PINFOLD_PROT_READ))) {
		debug_broken("I11: a slot allows more than its mapping", p);
		bad++;
	}
	return bad;
}

static int check_stretch(struct vm_area_struct *vma, unsigned long a, unsigned long end)
{
	struct pt_pos pos;
	int bad = 0;

	if (!pt_lock(vma->mm, a, &pos))
		return 0;
	for (; a < end; a += PAGE_SIZE) {
		uint64_t s;

		if (!pos.huge)
			pos.slot = pt_slot(pos.table, a);
		s = pos_read(&pos, a);
		if (s)
			bad += check_slot(vma, a, s, pos.shared && (s & SLOT_ANON || atomic_load(&pos.table->sharers) > 1));
	}
	pt_unlock(&pos);
	return bad;
}

int rmap_check_mm(struct mm_struct *mm)
{
	int bad = 0;

	host_read_lock(&mm->mmap_lock);
	for (unsigned i = 0; i < mm->nr_vmas; i++) {
		struct vm_area_struct *vma = mm->vmas[i];

		for (unsigned long a = vma->start; a < vma->end;) {
			unsigned long next = (a & ~(LEAF_SIZE - 1)) + LEAF_SIZE;

			bad += check_stretch(vma, a, next < vma->end ? next : vma->end);
			a = next;
		}
	}
	host_read_unlock(&mm->mmap_lock);
	return bad;
}

/* Counts what the tables show of each frame: maps[pfn], once per leaf however many mms have it. */
static void count_dir(struct pinfold *m, struct table *dir, uint32_t *maps, uint32_t stamp)
{
	for (unsigned i = 0; i < TABLE_SLOTS; i++) {
		uint64_t e = atomic_load(&dir->e[i]);
		struct table *leaf = entry_leaf(e);

		if (e & SLOT_PRESENT) {
			for (unsigned k = 0; k < TABLE_SLOTS; k++)
				maps[(e >> PAGE_SHIFT) + k]++;
			continue;
		}
		if (!leaf || leaf->seen == stamp)
			continue;
		leaf->seen = stamp;
		for (unsigned k = 0; k < TABLE_SLOTS; k++) {
			uint64_t s = atomic_load(&leaf->e[k]);

			if (s && !(s & SLOT_ZERO) && s >> PAGE_SHIFT < m->nr_frames)
				maps[s >> PAGE_SHIFT]++;
		}
	}
}

static void count_tree(struct pinfold *m, struct table *t, uint32_t *maps, uint32_t stamp)
{
	if (t->level == 1) {
		count_dir(m, t, maps, stamp);
		return;
	}
	for (unsigned i = 0; i < TABLE_SLOTS; i++) {
		uint64_t e = atomic_load(&t->e[i]);

		if (e)
			count_tree(m, (struct table *)(uintptr_t)e, maps, stamp);
	}
}

int rmap_check_counts(struct pinfold *m)
{
	static _Atomic uint32_t stamps;
	uint32_t stamp = atomic_fetch_add(&stamps, 1) + 1, *maps = host_map(m->nr_frames * sizeof(*maps));
	int bad = 0;

	if (!maps)
		return 0;
	for (struct mm_struct *mm = m->mms; mm; mm = mm->next)
		if (mm->magic == MM_MAGIC && mm->root)
			count_tree(m, mm->root, maps, stamp);
	for (uint32_t i = 0; i < m->nr_frames && !bad; i++) {
		struct page *p = pfn_to_page(m, i), *head = page_head(p);
		uint32_t n = atomic_load(&p->mapcount);

		if (page_count(head) & PC_FREE)
			continue;
		if (head->order && has_flag(head, PG_head))
			n += atomic_load(&head->hugemaps);
		bad = n != maps[i];
		if (bad)
			debug_broken("I7: a page's map count is not the number of slots that show it", p);
	}
	host_unmap(maps, m->nr_frames * sizeof(*maps));
	return bad;
}
