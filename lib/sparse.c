/* SPDX-License-Identifier: MIT */
/* sparse.c - see sparse.h. */
#include "lib/sparse.h"

#include <errno.h>
#include <string.h>

#define MAX_DEPTH (64 / SPARSE_BITS)

struct path {
	struct sparse_node *node[MAX_DEPTH];
	unsigned slot[MAX_DEPTH];
	int depth; /* entries used; the last is the leaf */
};

static unsigned slot_of(const struct sparse_node *n, uint64_t index)
{
	return (unsigned)(index >> n->shift) & (SPARSE_SLOTS - 1);
}

static bool covers(const struct sparse_node *n, uint64_t index)
{
	unsigned top = n->shift + SPARSE_BITS;

	return top >= 64 || !(index >> top);
}

static bool bit(const uint64_t *map, unsigned i)
{
	return map[i / 64] >> (i % 64) & 1;
}

static bool any(const uint64_t *map)
{
	uint64_t all = 0;

	for (unsigned i = 0; i < SPARSE_SLOTS / 64; i++)
		all |= map[i];
	return all != 0;
}

void sparse_init(struct sparse *s, struct slab *slab)
{
	s->slab = slab;
	s->root = NULL;
}

static struct sparse_node *new_node(struct sparse *s, unsigned shift)
{
	struct sparse_node *n = slab_alloc(s->slab);

	if (n) {
		memset(n, 0, sizeof(*n));
		n->shift = shift;
	}
	return n;
}

/* The nodes from the root to index's leaf; false if they are not all there. */
static bool find(const struct sparse *s, uint64_t index, struct path *p)
{
	struct sparse_node *n = s->root;

	p->depth = 0;
	if (!n || !covers(n, index))
		return false;
	for (;;) {
		unsigned i = slot_of(n, index);

		p->node[p->depth] = n;
		p->slot[p->depth++] = i;
		if (!n->shift)
			return true;
		n = n->slot[i];
		if (!n)
			return false;
	}
}

void *sparse_get(const struct sparse *s, uint64_t index)
{
	struct sparse_node *n = s->root;

	if (!n || !covers(n, index))
		return NULL;
	while (n && n->shift)
		n = n->slot[slot_of(n, index)];
	return n ? n->slot[slot_of(n, index)] : NULL;
}

/* Puts a new root above the old one until it covers index. */
static int grow(struct sparse *s, uint64_t index)
{
	if (!s->root) {
		unsigned shift = 0;

		while (shift + SPARSE_BITS < 64 && index >> (shift + SPARSE_BITS))
			shift += SPARSE_BITS;
		s->root = new_node(s, shift);
		return s->root ? 0 : -ENOMEM;
	}
	while (!covers(s->root, index)) {
		struct sparse_node *n = new_node(s, s->root->shift + SPARSE_BITS);

		if (!n)
			return -ENOMEM;
		n->slot[0] = s->root;
		n->used = 1;
		for (unsigned m = 0; m < SPARSE_MARKS; m++)
			n->mark[m][0] = any(s->root->mark[m]);
		s->root = n;
	}
	return 0;
}

/* Removes nodes of the path that hold nothing, from the leaf up. */
static void prune(struct sparse *s, struct path *p)
{
	for (int d = p->depth - 1; d >= 0 && !p->node[d]->used; d--) {
		slab_free(s->slab, p->node[d]);
		if (!d) {
			s->root = NULL;
			break;
		}
		p->node[d - 1]->slot[p->slot[d - 1]] = NULL;
		p->node[d - 1]->used--;
	}
}

int sparse_set(struct sparse *s, uint64_t index, void *entry)
{
	struct path p = { .depth = 0 };
	struct sparse_node *n;
	unsigned i;

	if (grow(s, index))
		return -ENOMEM;
	for (n = s->root; ; n = n->slot[i]) {
		i = slot_of(n, index);
		p.node[p.depth] = n;
		p.slot[p.depth++] = i;
		if (!n->shift)
			break;
		if (n->slot[i])
			continue;
		n->slot[i] = new_node(s, n->shift - SPARSE_BITS);
		if (!n->slot[i]) {
			prune(s, &p);
			return -ENOMEM;
		}
		n->used++;
	}
	if (!n->slot[i])
		n->used++;
	n->slot[i] = entry;
	return 0;
}

void sparse_mark(struct sparse *s, uint64_t index, unsigned mark)
{
	struct path p;

	if (!find(s, index, &p))
		return;
	for (int d = p.depth - 1; d >= 0; d--)
		p.node[d]->mark[mark][p.slot[d] / 64] |= 1ull << (p.slot[d] % 64);
}

static void unmark(struct path *p, unsigned mark)
{
	for (int d = p->depth - 1; d >= 0; d--) {
		p->node[d]->mark[mark][p->slot[d] / 64] &= ~(1ull << (p->slot[d] % 64));
		if (any(p->node[d]->mark[mark]))
			break;
	}
}

void sparse_unmark(struct sparse *s, uint64_t index, unsigned mark)
{
	struct path p;

	if (find(s, index, &p))
		unmark(&p, mark);
}

bool sparse_marked(const struct sparse *s, uint64_t index, unsigned mark)
{
	struct path p;

	return find(s, index, &p) && bit(p.node[p.depth - 1]->mark[mark], p.slot[p.depth - 1]);
}

void *sparse_clear(struct sparse *s, uint64_t index)
{
	struct path p;
	struct sparse_node *leaf;
	void *old;

	if (!find(s, index, &p))
		return NULL;
	leaf = p.node[p.depth - 1];
	old = leaf->slot[p.slot[p.depth - 1]];
	if (!old)
		return NULL;
	for (unsigned m = 0; m < SPARSE_MARKS; m++)
		unmark(&p, m);
	leaf->slot[p.slot[p.depth - 1]] = NULL;
	leaf->used--;
	prune(s, &p);
	return old;
}

/* First slot of n at or after i that is used (or marked); SPARSE_SLOTS if none. */
static unsigned next_slot(const struct sparse_node *n, unsigned i, int mark)
{
	if (mark < 0) {
		while (i < SPARSE_SLOTS && !n->slot[i])
			i++;
		return i;
	}
	while (i < SPARSE_SLOTS) {
		uint64_t w = n->mark[mark][i / 64] >> (i % 64);

		if (w)
			return i + (unsigned)__builtin_ctzll(w);
		i = (i | 63) + 1;
	}
	return SPARSE_SLOTS;
}

void *sparse_next(const struct sparse *s, uint64_t *index, uint64_t last, int mark)
{
	uint64_t at = *index;

	while (s->root && at <= last && covers(s->root, at)) {
		struct sparse_node *n = s->root;
		unsigned i;

		for (;;) {
			unsigned from = slot_of(n, at);

			i = next_slot(n, from, mark);
			if (i != from) /* skip whole subtrees: the bits below begin at zero */
				at = (((at >> n->shift) - from + i) << n->shift);
			if (i == SPARSE_SLOTS || !n->shift)
				break;
			n = n->slot[i];
		}
		if (i == SPARSE_SLOTS) {
			if (!at) /* wrapped */
				return NULL;
			continue; /* at is the first index behind n: descend again */
		}
		if (at > last)
			return NULL;
		*index = at;
		return n->slot[i];
	}
	return NULL;
}

static void free_below(struct sparse *s, struct sparse_node *n)
{
	for (unsigned i = 0; n->shift && i < SPARSE_SLOTS; i++)
		if (n->slot[i])
			free_below(s, n->slot[i]);
	slab_free(s->slab, n);
}

void sparse_free(struct sparse *s)
{
	if (s->root)
		free_below(s, s->root);
	s->root = NULL;
}
