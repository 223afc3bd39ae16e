/* SPDX-License-Identifier: MIT */
/*
 * pgtable.h - four levels of 512 entries; one walker that returns the slot.
 *
 * Tables come from the machine's type-stable slabs, one per level: a removed table may be reused as one of its level while a
 * lockless walker still reads it (D8).  Removal clears the parent's entry, bumps mm->table_seq, and
 * only then gives the table back; the walker samples the sequence before the root and compares it
 * after its xadd.  Entries are stored with release and loaded with acquire.
 *
 * A slot is changed under its leaf's lock.  Who comes without the mmap lock (reverse mapping) looks
 * under the lock whether the leaf is still the one it meant: leaf_lock_if().
 */
#ifndef PINFOLD_PGTABLE_H
#define PINFOLD_PGTABLE_H

#include "mm/types.h"

/* 0, or -ENOMEM. */
int pgtable_init(struct mm_struct *mm);
/* All tables back to the slab; every slot must be empty. */
void pgtable_destroy(struct mm_struct *mm);

/* The leaf that covers addr, or NULL.  Lockless. */
struct table *pt_leaf(const struct mm_struct *mm, unsigned long addr);
/* The same, made if it is missing; NULL: no memory.  mmap lock held (either way). */
struct table *pt_leaf_alloc(struct mm_struct *mm, unsigned long addr);
/* The slot of addr in its leaf. */
static inline slot_t *pt_slot(struct table *leaf, unsigned long addr)
{
	return &leaf->e[(addr >> PAGE_SHIFT) & (TABLE_SLOTS - 1)];
}

/* Locks the leaf of addr if there is one; it is mm's until unlocked.  NULL: none. */
struct table *leaf_lock_if(struct mm_struct *mm, unsigned long addr);

/* Leaf lock held.  Keeps leaf->used. */
static inline void slot_set(struct table *leaf, slot_t *slot, uint64_t v)
{
	uint64_t old = atomic_load_explicit(slot, memory_order_relaxed);

	leaf->used += !old && v;
	leaf->used -= old && !v;
	/* Release: a lockless walker that acquires it sees the page record as it was set up. */
	atomic_store_explicit(slot, v, memory_order_release);
}

/* Gives back the leaf tables of [start, end) that are empty.  mmap lock held for writing. */
void pt_trim(struct mm_struct *mm, unsigned long start, unsigned long end);

#endif
