/* SPDX-License-Identifier: MIT */
/* pgtable.c - see pgtable.h. */
#include "mm/pgtable.h"

#include <errno.h>
#include <string.h>

#include "mm/debug.h"

static unsigned entry_of(unsigned long addr, unsigned level)
{
	return (addr >> (PAGE_SHIFT + 9 * level)) & (TABLE_SLOTS - 1);
}

static struct table *child(const struct table *t, unsigned long addr)
{
	/* Acquire: partner of the release in table_link(). */
	return (struct table *)(uintptr_t)atomic_load_explicit(&t->e[entry_of(addr, t->level)],
	                                                        memory_order_acquire);
}

static struct table *table_new(struct mm_struct *mm, unsigned long addr, unsigned level)
{
	struct table *t = slab_alloc(&mm->machine->tables[level]);

	if (!t)
		return NULL;
	/* A dead table's entries are all zero: pt_trim() gives back empty ones only.  New memory is
	 * zero too.  So a stale walker never meets an entry that is half set up. */
	if (!t->lock.rank)
		host_mutex_init(&t->lock, HOST_RANK_LEAF);
	host_lock(&t->lock);
	VM_WARN_ON(t->used || t->mm);
	t->mm = mm;
	t->level = level;
	t->base = addr & ~((1ul << (PAGE_SHIFT + 9 * (level + 1))) - 1);
	host_unlock(&t->lock);
	return t;
}

static void table_free(struct mm_struct *mm, struct table *t)
{
	host_lock(&t->lock);
	t->mm = NULL;
	host_unlock(&t->lock);
	slab_free(&mm->machine->tables[t->level], t);
}

int pgtable_init(struct mm_struct *mm)
{
	atomic_store(&mm->table_seq, 0);
	mm->root = table_new(mm, 0, TABLE_LEVELS - 1);
	return mm->root ? 0 : -ENOMEM;
}

static void free_tree(struct mm_struct *mm, struct table *t)
{
	for (unsigned i = 0; t->level && i < TABLE_SLOTS; i++) {
		uint64_t e = atomic_load(&t->e[i]);

		if (e) {
			free_tree(mm, (struct table *)(uintptr_t)e);
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
	atomic_fetch_add(&mm->table_seq, 1);
	if (root)
		free_tree(mm, root);
}

struct table *pt_leaf(const struct mm_struct *mm, unsigned long addr)
{
	struct table *t = mm->root;

	while (t && t->level)
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

struct table *pt_leaf_alloc(struct mm_struct *mm, unsigned long addr)
{
	struct table *t = mm->root;

	while (t && t->level)
		t = table_link(mm, t, addr);
	return t;
}

struct table *leaf_lock_if(struct mm_struct *mm, unsigned long addr)
{
	struct table *t = pt_leaf(mm, addr);

	if (!t)
		return NULL;
	host_lock(&t->lock);
	if (t->mm == mm && t->level == 0 && t->base == (addr & ~(LEAF_SIZE - 1)))
		return t;
	/* It was trimmed, and perhaps reused, since the walk: then it held nothing of addr. */
	host_unlock(&t->lock);
	return NULL;
}

/* Takes an empty table out of its parent.  True: gone. */
static bool trim_one(struct mm_struct *mm, struct table *parent, struct table *t)
{
	slot_t *e = &parent->e[entry_of(t->base, parent->level)];

	host_lock(&t->lock);
	if (t->used) {
		host_unlock(&t->lock);
		return false;
	}
	/* From here a reverse walker that holds a pointer to t finds it not mm's. */
	t->mm = NULL;
	host_unlock(&t->lock);
	host_lock(&parent->lock);
	slot_set(parent, e, 0);
	host_unlock(&parent->lock);
	/*
	 * 1 the walker sampled the sequence   2 here: entry cleared, sequence bumped, table reused
	 * 3 the walker pins what a slot of the reused table says, then compares: changed, it undoes.
	 * seq_cst: partner of the walker's load after its xadd.
	 */
	atomic_fetch_add(&mm->table_seq, 1);
	slab_free(&mm->machine->tables[t->level], t);
	return true;
}

void pt_trim(struct mm_struct *mm, unsigned long start, unsigned long end)
{
	for (unsigned long a = start & ~(LEAF_SIZE - 1); a < end; a += LEAF_SIZE) {
		struct table *path[TABLE_LEVELS], *t = mm->root;
		int d = 0;

		while (t && t->level) {
			path[d++] = t;
			t = child(t, a);
		}
		/* A hole: nothing below; its upper tables go with their last leaf. */
		while (t && d > 0 && trim_one(mm, path[d - 1], t))
			t = --d > 0 ? path[d] : NULL;
	}
}
