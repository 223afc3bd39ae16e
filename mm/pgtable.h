/* SPDX-License-Identifier: MIT */
/*
 * pgtable.h - four levels of 512 entries, and the one way to a slot.
 *
 * Tables come from the machine's type-stable slabs, one per level: a removed table may be reused as one of its level
 * while a lockless walker still reads it (D8).  Whatever takes a table away from an mm (removed, shared with another
 * mm, replaced by a copy, moved) changes the parent's entry and bumps mm->table_seq while it holds the table's lock;
 * only then may the table be somebody else's.  So:
 *   - the lockless walker samples the sequence before the root and compares it after its xadd;
 *   - who samples it, walks, locks the table and finds it unchanged has a table of this mm for as long as it holds
 *     the lock: pt_lock().
 * Entries are stored with release and loaded with acquire.
 *
 * An entry of a level-1 table ("dir") is empty, a leaf, a leaf that is shared with other mms (ENTRY_SHARED: nobody
 * changes its slots), or a slot of 2 MiB (SLOT_HUGE).  Slots change under the lock of the table they are in.
 */
#ifndef PINFOLD_PGTABLE_H
#define PINFOLD_PGTABLE_H

#include "mm/pt_range.h"

/* Where an address's slot is; `table` is locked. */
struct pt_pos {
	struct table *table;
	slot_t *slot;
	bool shared; /* other mms have this leaf too: not to be changed */
	bool huge;   /* table is a dir and the slot one of 2 MiB */
};

/* 0, or -ENOMEM. */
int pgtable_init(struct mm_struct *mm);
/* All tables back to the slab; every slot must be empty. */
void pgtable_destroy(struct mm_struct *mm);

/* The dir that covers addr, or NULL.  Lockless: a name, unless the mmap lock is held. */
struct table *pt_dir(const struct mm_struct *mm, unsigned long addr);
struct table *pt_dir_alloc(struct mm_struct *mm, unsigned long addr);

static inline slot_t *pt_slot(struct table *leaf, unsigned long addr)
{
	return &leaf->e[(addr >> PAGE_SHIFT) & (TABLE_SLOTS - 1)];
}

static inline slot_t *pt_entry(struct table *dir, unsigned long addr)
{
	return &dir->e[addr / LEAF_SIZE % TABLE_SLOTS];
}

/* The leaf that an entry names; NULL: empty, or a 2 MiB slot. */
static inline struct table *entry_leaf(uint64_t e)
{
	return e & SLOT_PRESENT ? NULL : (struct table *)(uintptr_t)(e & ~ENTRY_FLAGS);
}

/* Finds the slot of addr and locks its table.  False: there is no table, so nothing is mapped.  No lock needed. */
bool pt_lock(struct mm_struct *mm, unsigned long addr, struct pt_pos *pos);
static inline void pt_unlock(struct pt_pos *pos)
{
	host_unlock(&pos->table->lock);
}

/*
 * The same for a slot that may be changed: makes the leaf, splits a 2 MiB slot, takes a copy of a leaf that is
 * shared.  0, or -ENOMEM and nothing locked.  mmap lock held, either way.
 */
int pt_own(struct mm_struct *mm, unsigned long addr, struct pt_pos *pos);

/* What a locked pos shows of addr as if it were a 4 KiB slot, or 0. */
static inline uint64_t pos_read(const struct pt_pos *pos, unsigned long addr)
{
	uint64_t s = atomic_load_explicit(pos->slot, memory_order_relaxed);

	return pos->huge ? s + (addr & (HUGE_SIZE - 1) & PAGE_MASK) : s;
}

/* Table locked.  Keeps used and anon. */
static inline void slot_set(struct table *t, slot_t *slot, uint64_t v)
{
	uint64_t old = atomic_load_explicit(slot, memory_order_relaxed);
	bool ranges = unlikely(atomic_load_explicit(&t->ranged, memory_order_relaxed)) && range_loses(old, v);

	if (ranges)
		range_close(t, (unsigned)(slot - t->e));
	t->used += !old && v;
	t->used -= old && !v;
	if (!t->level) {
		t->anon += !(old & (SLOT_ANON | SLOT_ZERO)) && (v & (SLOT_ANON | SLOT_ZERO));
		t->anon -= (old & (SLOT_ANON | SLOT_ZERO)) && !(v & (SLOT_ANON | SLOT_ZERO));
	}
	/* Release: a lockless walker that acquires it sees the page record as it was set up. */
	atomic_store_explicit(slot, v, memory_order_release);
	if (ranges)
		range_open(t);
}

/* Puts a 2 MiB slot into the empty entry of addr: false, and nothing changed, if there is a leaf by now.  mmap lock held. */
bool pt_set_huge(struct table *dir, unsigned long addr, uint64_t slot);

/* Makes 512 slots of a 2 MiB slot, if it is one.  The dir stays meanwhile.  0, or -ENOMEM. */
int pt_split(struct mm_struct *mm, struct table *dir, unsigned long addr);

/* Gives the mm's share of a shared leaf back, slots and all.  False: it is not shared.  mmap lock held. */
bool pt_detach(struct mm_struct *mm, unsigned long addr);

/*
 * For dup_mmap(), both mmap locks held for writing.  pt_stop(): no page of the leaf behind an entry may be pinned from
 * here on without the mmap lock, once pt_bump() has been called, until pt_own() claims it again.  pt_share(): another
 * mm gets a share of it.
 */
void pt_stop(slot_t *entry);
void pt_bump(struct mm_struct *mm);
void pt_share(slot_t *entry, struct table *to_dir, slot_t *to_entry);

/* Takes the entry of addr (a leaf, shared or not, or a 2 MiB slot) out of the tree, and puts one in: vm_mremap().  mmap
 * lock held for writing, reverse walkers kept out. */
uint64_t pt_take_entry(struct mm_struct *mm, unsigned long addr);
void pt_put_entry(struct mm_struct *mm, unsigned long addr, uint64_t e);
/* An empty leaf that was taken out. */
void pt_drop_table(struct mm_struct *mm, struct table *leaf);

/* Pages of the mm's ranges that are not counted on themselves (pt_range.h).  At rest. */
uint64_t pt_range_pages(const struct mm_struct *mm);

/* Gives back the leaf tables of [start, end) that are empty.  mmap lock held for writing. */
void pt_trim(struct mm_struct *mm, unsigned long start, unsigned long end);

#endif
