/* SPDX-License-Identifier: MIT */
/* pgtable.c - see pgtable.h. */
#include "mm/pgtable.h"

#include <errno.h>

#include "mm/debug.h"

#define SLOT_TRUTH (SLOT_PRESENT | SLOT_FOLIO | SLOT_ANON | SLOT_EXCL | SLOT_ZERO | ~SLOT_BITS)

static unsigned entry_of(unsigned long addr, unsigned level)
{
	return (addr >> (PAGE_SHIFT + 9 * level)) & (TABLE_SLOTS - 1);
}

static uint64_t load(const slot_t *e)
{
	/* Acquire: partner of the release in slot_set(). */
	return atomic_load_explicit(e, memory_order_acquire);
}

static struct table *child(const struct table *t, unsigned long addr)
{
	return (struct table *)(uintptr_t)load(&t->e[entry_of(addr, t->level)]);
}

static struct table *table_new(struct mm_struct *mm, unsigned long addr, unsigned level)
{
	struct table *t = slab_alloc(&mm->machine->tables[level]);

	if (!t)
		return NULL;
	/* A dead table's entries are all zero, and so is new memory: a stale walker never meets an entry that is half
	 * set up. */
	if (!t->lock.rank)
		host_mutex_init(&t->lock, level ? HOST_RANK_DIR : HOST_RANK_LEAF);
	host_lock(&t->lock);
	VM_WARN_ON(t->used || t->anon); /* a stale pinner may have a word in it still, and will find the sequence changed */
	t->machine = mm->machine;
	if (t->level != level) /* stale walkers of a reused one read it */
		t->level = level;
	t->base = addr & ~((1ul << (PAGE_SHIFT + 9 * (level + 1))) - 1);
	atomic_store_explicit(&t->sharers, 1, memory_order_relaxed);
	atomic_store_explicit(&t->pinned, 0, memory_order_relaxed);
	host_unlock(&t->lock);
	return t;
}

static void table_free(struct mm_struct *mm, struct table *t)
{
	slab_free(&mm->machine->tables[t->level], t);
}

/*
 * Sequences are never used twice, by no mm, so that a thread may remember its last leaf by the sequence alone.  An mm
 * counts in a stretch of its own, and takes another at the end of it; the first numbers of each stay free, for
 * bumps that come on the way.
 */
#define SEQ_BITS 24
#define SEQ_SPARE 4096u

static uint64_t new_stretch(void)
{
	static _Atomic uint64_t stretches;

	return (atomic_fetch_add_explicit(&stretches, 1, memory_order_relaxed) + 1) << SEQ_BITS | SEQ_SPARE;
}

/* The table's lock is held.  seq_cst: partner of the walkers' loads, behind their xadd or lock. */
static void bump(struct mm_struct *mm)
{
	uint64_t was = atomic_fetch_add(&mm->table_seq, 1);

	if (unlikely(!((was + 1) & ((1u << SEQ_BITS) - 1))))
		atomic_store(&mm->table_seq, new_stretch());
}

int pgtable_init(struct mm_struct *mm)
{
	atomic_store(&mm->table_seq, new_stretch());
	mm->root = table_new(mm, 0, TABLE_LEVELS - 1);
	return mm->root ? 0 : -ENOMEM;
}

static void free_tree(struct mm_struct *mm, struct table *t)
{
	for (unsigned i = 0; t->level && i < TABLE_SLOTS; i++) {
		uint64_t e = atomic_load(&t->e[i]);

		if (e) {
			VM_WARN_ON(e & ENTRY_FLAGS);
			free_tree(mm, (struct table *)(uintptr_t)(e & ~ENTRY_FLAGS));
			atomic_store(&t->e[i], 0);
			t->used--;
		}
	}
	VM_WARN_ON(t->used);
	table_free(mm, t);
}

void pgtable_destroy(struct mm_struct *mm)
{
	struct table *root = mm->root;

	mm->root = NULL;
	bump(mm);
	if (root)
		free_tree(mm, root);
}

struct table *pt_dir(const struct mm_struct *mm, unsigned long addr)
{
	struct table *t = mm->root;

	while (t && t->level > 1)
		t = child(t, addr);
	return t;
}

/* The child below t, made if missing.  Two faults may want the same one: t's lock decides. */
static struct table *table_link(struct mm_struct *mm, struct table *t, unsigned long addr)
{
	struct table *c = child(t, addr), *new;
	slot_t *e = &t->e[entry_of(addr, t->level)];

	if (c)
		return c;
	new = table_new(mm, addr, t->level - 1);
	if (!new)
		return NULL;
	host_lock(&t->lock);
	c = (struct table *)(uintptr_t)atomic_load_explicit(e, memory_order_relaxed);
	if (!c)
		slot_set(t, e, (uintptr_t)new);
	host_unlock(&t->lock);
	if (!c)
		return new;
	table_free(mm, new);
	return c;
}

struct table *pt_dir_alloc(struct mm_struct *mm, unsigned long addr)
{
	struct table *t = mm->root;

	while (t && t->level > 1)
		t = table_link(mm, t, addr);
	return t;
}

bool pt_lock(struct mm_struct *mm, unsigned long addr, struct pt_pos *pos)
{
	for (;;) {
		uint64_t seq = atomic_load(&mm->table_seq), e;
		struct table *dir = pt_dir(mm, addr);

		e = dir ? load(pt_entry(dir, addr)) : 0;
		if (!e)
			return false;
		pos->huge = e & SLOT_PRESENT;
		pos->shared = !pos->huge && (e & ENTRY_SHARED);
		pos->table = pos->huge ? dir : entry_leaf(e);
		pos->slot = pos->huge ? pt_entry(dir, addr) : pt_slot(pos->table, addr);
		host_lock(&pos->table->lock);
		/* A 2 MiB slot may have become a leaf, or gone, without a table of the mm going. */
		if (atomic_load(&mm->table_seq) == seq &&
		    (!pos->huge || (load(pos->slot) & SLOT_PRESENT)))
			return true;
		host_unlock(&pos->table->lock);
	}
}

/* ---- 2 MiB slots ------------------------------------------------------------------------------ */

bool pt_set_huge(struct table *dir, unsigned long addr, uint64_t slot)
{
	slot_t *e = pt_entry(dir, addr);
	bool ok;

	host_lock(&dir->lock);
	ok = !atomic_load_explicit(e, memory_order_relaxed);
	if (ok)
		slot_set(dir, e, slot);
	host_unlock(&dir->lock);
	return ok;
}

/* The folio's counts follow: a reference a slot. */
int pt_split(struct mm_struct *mm, struct table *dir, unsigned long addr)
{
	struct table *leaf = table_new(mm, addr, 0);
	struct pinfold *m = mm->machine;
	slot_t *e = pt_entry(dir, addr);
	struct page *head;
	int r = 0;
	uint64_t s;

	if (!leaf)
		return -ENOMEM;
	host_lock(&dir->lock);
	s = load(e);
	if (s & SLOT_PRESENT) {
		head = pfn_to_page(m, s >> PAGE_SHIFT);
		if (page_get_units(m, head, PC_INTERNAL, TABLE_SLOTS - 1)) {
			for (unsigned i = 0; i < TABLE_SLOTS; i++) {
				atomic_fetch_add_explicit(&head[i].mapcount, 1, memory_order_relaxed);
				slot_set(leaf, &leaf->e[i], (s & ~SLOT_HUGE) + i * PAGE_SIZE);
			}
			/* Release: partner of sole_owner(), which must not see neither count. */
			atomic_fetch_sub_explicit(&head->hugemaps, 1, memory_order_release);
			/* Pinned pages may be among them: a snapshot has to look. */
			atomic_store(&leaf->pinned, 1);
			slot_set(dir, e, (uintptr_t)leaf);
			count_event(m, MAPPINGS_SPLIT, 1);
			leaf = NULL;
		} else {
			r = -ENOMEM;
		}
	}
	host_unlock(&dir->lock);
	if (leaf)
		table_free(mm, leaf);
	return r;
}

/* ---- shared leaves ---------------------------------------------------------------------------- */

void pt_stop(slot_t *entry)
{
	/* A leaf that is marked shared and is not: the state that the last of several mms finds. */
	atomic_fetch_or_explicit(entry, ENTRY_SHARED, memory_order_release);
}

void pt_bump(struct mm_struct *mm)
{
	bump(mm);
}

void pt_share(slot_t *entry, struct table *to_dir, slot_t *to_entry)
{
	uint64_t e = atomic_load_explicit(entry, memory_order_relaxed);

	/* Relaxed: only who has a share adds one, under its mmap lock; others may be leaving. */
	atomic_fetch_add_explicit(&entry_leaf(e)->sharers, 1, memory_order_relaxed);
	slot_set(to_dir, to_entry, e);
}

/* The page that a slot counts on, or NULL.  Leaf locked, or nobody else's. */
static struct page *counted_page(const struct pinfold *m, const slot_t *slot)
{
	uint64_t s = atomic_load_explicit(slot, memory_order_relaxed);

	return s && !(s & SLOT_ZERO) ? pfn_to_page(m, s >> PAGE_SHIFT) : NULL;
}

/* A reference and a map count for each page of a leaf.  False: a guard (R6), and nothing taken. */
static bool leaf_get_pages(struct pinfold *m, struct table *leaf)
{
	for (unsigned i = 0; i < TABLE_SLOTS; i++) {
		struct page *p = counted_page(m, &leaf->e[i]);

		if (!p)
			continue;
		if (!get_internal(m, page_head(p))) {
			while (i--) {
				p = counted_page(m, &leaf->e[i]);
				if (!p)
					continue;
				atomic_fetch_sub_explicit(&p->mapcount, 1, memory_order_relaxed);
				put_internal(m, page_head(p));
			}
			return false;
		}
		atomic_fetch_add_explicit(&p->mapcount, 1, memory_order_relaxed);
	}
	return true;
}

/* The last mm that has the leaf: what was exclusive is so again, but VMAs may have changed meanwhile.  Pages of files are
 * in leaves only that were marked and never shared: their slots' rights stand, as their translations do. */
static void claim_leaf(struct table *leaf)
{
	for (unsigned i = 0; i < TABLE_SLOTS; i++) {
		uint64_t s = atomic_load_explicit(&leaf->e[i], memory_order_relaxed);

		if (s & (SLOT_ANON | SLOT_ZERO))
			atomic_store_explicit(&leaf->e[i], s & SLOT_TRUTH, memory_order_release);
	}
}

/* Both leaves show the same pages now: nobody's own, for either. */
static void copy_leaf(struct table *leaf, struct table *new)
{
	for (unsigned i = 0; i < TABLE_SLOTS; i++) {
		uint64_t s = atomic_load_explicit(&leaf->e[i], memory_order_relaxed);

		s &= SLOT_TRUTH & ~SLOT_EXCL;
		atomic_store_explicit(&leaf->e[i], s, memory_order_release);
		if (s)
			slot_set(new, &new->e[i], s);
	}
}

/*
 * Gives the mm a leaf of its own in place of one it shares.  0 (also if it was so already) or -ENOMEM.
 *
 * Nobody may write to or pin a page through a shared leaf, so its slots' rights are of no use to anyone, and taking them
 * away in place disturbs nobody.  Translations of shared pages are read-only and stay right.
 */
static int unshare(struct mm_struct *mm, struct table *dir, unsigned long addr)
{
	struct table *new = table_new(mm, addr, 0), *leaf;
	struct pinfold *m = mm->machine;
	slot_t *entry = pt_entry(dir, addr);
	int r = new ? 0 : -ENOMEM;
	uint64_t e;

	host_lock(&dir->lock);
	e = load(entry);
	leaf = entry_leaf(e);
	if (leaf && (e & ENTRY_SHARED)) {
		host_lock(&leaf->lock);
		/* One: ours, and nobody else can add to it.  Acquire: partner of the release in drop_share(). */
		if (atomic_load_explicit(&leaf->sharers, memory_order_acquire) == 1) {
			claim_leaf(leaf);
			leaf->base = addr & ~(LEAF_SIZE - 1);
			atomic_store_explicit(entry, (uintptr_t)leaf, memory_order_release);
			r = 0;
		} else if (!r && leaf_get_pages(m, leaf)) {
			copy_leaf(leaf, new);
			atomic_fetch_sub_explicit(&leaf->sharers, 1, memory_order_release);
			atomic_store_explicit(entry, (uintptr_t)new, memory_order_release);
			count_event(m, LEAVES_COPIED, 1);
			new = NULL;
		} else {
			r = -ENOMEM;
		}
		bump(mm);
		host_unlock(&leaf->lock);
	}
	host_unlock(&dir->lock);
	if (new)
		table_free(mm, new);
	return r;
}

bool pt_detach(struct mm_struct *mm, unsigned long addr)
{
	struct table *dir = pt_dir(mm, addr), *leaf;
	slot_t *entry = dir ? pt_entry(dir, addr) : NULL;
	bool gone = false;

	if (!dir || !(load(entry) & ENTRY_SHARED) || !entry_leaf(load(entry)))
		return false;
	host_lock(&dir->lock);
	leaf = entry_leaf(load(entry));
	if (leaf && (load(entry) & ENTRY_SHARED)) {
		host_lock(&leaf->lock);
		/* The last one must empty it: pt_own() claims it for that. */
		gone = atomic_load_explicit(&leaf->sharers, memory_order_acquire) > 1;
		if (gone) {
			slot_set(dir, entry, 0);
			bump(mm);
			/* Release: what this mm did to the leaf is seen by who finds itself alone. */
			atomic_fetch_sub_explicit(&leaf->sharers, 1, memory_order_release);
		}
		host_unlock(&leaf->lock);
	}
	host_unlock(&dir->lock);
	return gone;
}

int pt_own(struct mm_struct *mm, unsigned long addr, struct pt_pos *pos)
{
	struct table *dir = pt_dir_alloc(mm, addr);
	slot_t *entry = dir ? pt_entry(dir, addr) : NULL;

	VM_BUG_ON(!host_rwsem_held(&mm->mmap_lock));
	if (!dir)
		return -ENOMEM;
	for (;;) {
		uint64_t e = load(entry);
		int r = 0;

		if (!e)
			r = table_link(mm, dir, addr) ? 0 : -ENOMEM;
		else if (e & SLOT_PRESENT)
			r = pt_split(mm, dir, addr);
		else if (e & ENTRY_SHARED)
			r = unshare(mm, dir, addr);
		if (r)
			return r;
		e = load(entry);
		if (!e || (e & ENTRY_FLAGS))
			continue;
		pos->table = entry_leaf(e);
		host_lock(&pos->table->lock);
		/* The mmap lock keeps the dir, and this lock the entry. */
		if (load(entry) == e) {
			pos->slot = pt_slot(pos->table, addr);
			pos->shared = pos->huge = false;
			return 0;
		}
		host_unlock(&pos->table->lock);
	}
}

/* ---- moving and removing ------------------------------------------------------------------------ */

uint64_t pt_take_entry(struct mm_struct *mm, unsigned long addr)
{
	struct table *dir = pt_dir(mm, addr);
	slot_t *entry = dir ? pt_entry(dir, addr) : NULL;
	uint64_t e;

	if (!dir)
		return 0;
	host_lock(&dir->lock);
	e = load(entry);
	if (e) {
		slot_set(dir, entry, 0);
		bump(mm);
	}
	host_unlock(&dir->lock);
	return e;
}

void pt_put_entry(struct mm_struct *mm, unsigned long addr, uint64_t e)
{
	struct table *dir = pt_dir(mm, addr);

	VM_BUG_ON(!dir || load(pt_entry(dir, addr)));
	host_lock(&dir->lock);
	if (!(e & ENTRY_FLAGS))
		entry_leaf(e)->base = addr & ~(LEAF_SIZE - 1);
	slot_set(dir, pt_entry(dir, addr), e);
	bump(mm);
	host_unlock(&dir->lock);
}

void pt_drop_table(struct mm_struct *mm, struct table *leaf)
{
	VM_WARN_ON(leaf->used);
	table_free(mm, leaf);
}

/* Takes an empty table out of its parent.  True: gone. */
static bool trim_one(struct mm_struct *mm, struct table *parent, struct table *t, unsigned long addr)
{
	slot_t *e = &parent->e[entry_of(addr, parent->level)];
	bool empty;

	/* Ranks rise from a dir to its leaf only; and nobody else changes upper tables' entries now. */
	if (parent->level == 1)
		host_lock(&parent->lock);
	host_lock(&t->lock);
	empty = !t->used;
	if (empty) {
		slot_set(parent, e, 0);
		/*
		 * 1 the walker sampled the sequence   2 here: entry cleared, sequence bumped, table reused
		 * 3 the walker pins what a slot of the reused table says, then compares: changed, it undoes.
		 */
		bump(mm);
	}
	host_unlock(&t->lock);
	if (parent->level == 1)
		host_unlock(&parent->lock);
	if (empty)
		table_free(mm, t);
	return empty;
}

void pt_trim(struct mm_struct *mm, unsigned long start, unsigned long end)
{
	for (unsigned long a = start & ~(LEAF_SIZE - 1); a < end; a += LEAF_SIZE) {
		struct table *path[TABLE_LEVELS], *t = mm->root;
		int d = 0;
		uint64_t e = 0;

		while (t && t->level) {
			path[d++] = t;
			e = load(&t->e[entry_of(a, t->level)]);
			t = e & ENTRY_FLAGS ? NULL : (struct table *)(uintptr_t)e;
		}
		if (e & ENTRY_FLAGS) /* a shared leaf or a 2 MiB slot: in use */
			continue;
		if (!t) /* a hole: the lowest table there is */
			t = path[--d];
		while (d > 0 && trim_one(mm, path[d - 1], t, a))
			t = path[--d];
	}
}

static uint64_t tree_range_pages(const struct table *t)
{
	uint64_t n = t->level ? 0 : range_pages(t);

	for (unsigned i = 0; t->level && i < TABLE_SLOTS; i++) {
		const struct table *c = entry_leaf(load(&t->e[i]));

		n += c ? tree_range_pages(c) : 0;
	}
	return n;
}

uint64_t pt_range_pages(const struct mm_struct *mm)
{
	return mm->root ? tree_range_pages(mm->root) : 0;
}
