/* SPDX-License-Identifier: MIT */
/*
 * sparse.h - an array of pointers with a 64-bit index, mostly empty, with marks.
 *
 * A radix tree of 256-entry nodes.  A mark on an entry is also set on every node above it, so that
 * the next marked entry is found without looking at unmarked ones.  The caller locks; nodes come from
 * a slab, so that setting an entry works in the fault handler.
 */
#ifndef PINFOLD_SPARSE_H
#define PINFOLD_SPARSE_H

#include "lib/slab.h"

#define SPARSE_BITS 8
#define SPARSE_SLOTS (1u << SPARSE_BITS)
#define SPARSE_MARKS 3
#define SPARSE_NODE_SIZE sizeof(struct sparse_node)

struct sparse_node {
	void *slot[SPARSE_SLOTS];
	uint64_t mark[SPARSE_MARKS][SPARSE_SLOTS / 64];
	uint32_t used;
	uint32_t shift; /* index bits below this node's */
	void *link;     /* the slab's */
};

struct sparse {
	struct slab *slab; /* objects of SPARSE_NODE_SIZE */
	struct sparse_node *root;
};

void sparse_init(struct sparse *s, struct slab *slab);
void *sparse_get(const struct sparse *s, uint64_t index);
/* 0, or -ENOMEM and nothing changed.  entry is not NULL. */
int sparse_set(struct sparse *s, uint64_t index, void *entry);
/* Removes an entry with its marks and nodes that are empty now.  The old entry, or NULL. */
void *sparse_clear(struct sparse *s, uint64_t index);
/* Marks of an entry that exists. */
void sparse_mark(struct sparse *s, uint64_t index, unsigned mark);
void sparse_unmark(struct sparse *s, uint64_t index, unsigned mark);
bool sparse_marked(const struct sparse *s, uint64_t index, unsigned mark);
/* First entry at or after *index, not beyond last; mark < 0: any entry.  Sets *index; NULL: none. */
void *sparse_next(const struct sparse *s, uint64_t *index, uint64_t last, int mark);
/* Gives all nodes back. */
void sparse_free(struct sparse *s);

#endif
