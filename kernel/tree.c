/* SPDX-License-Identifier: MIT */
/* tree.c - ordered trees, balanced as treaps: a node's priority is a hash of its address. */
#include <linux/rbtree.h>

static unsigned long priority(const struct rb_node *n)
{
	unsigned long h = (unsigned long)n * 0x9e3779b97f4a7c15ul;

	return h ^ h >> 29;
}

static void replace(struct rb_node *old, struct rb_node *new_, struct rb_root *root)
{
	struct rb_node *parent = old->kd_parent;

	if (new_)
		new_->kd_parent = parent;
	if (!parent)
		root->rb_node = new_;
	else if (parent->rb_left == old)
		parent->rb_left = new_;
	else
		parent->rb_right = new_;
}

/* n takes its parent's place, the parent becomes its child. */
static void rotate_up(struct rb_node *n, struct rb_root *root)
{
	struct rb_node *p = n->kd_parent;
	bool left = p->rb_left == n;
	struct rb_node *inner = left ? n->rb_right : n->rb_left;

	replace(p, n, root);
	if (left) {
		p->rb_left = inner;
		n->rb_right = p;
	} else {
		p->rb_right = inner;
		n->rb_left = p;
	}
	if (inner)
		inner->kd_parent = p;
	p->kd_parent = n;
}

void rb_insert_color(struct rb_node *node, struct rb_root *root)
{
	while (node->kd_parent && priority(node->kd_parent) < priority(node))
		rotate_up(node, root);
}

void rb_erase(struct rb_node *node, struct rb_root *root)
{
	while (node->rb_left && node->rb_right)
		rotate_up(priority(node->rb_left) > priority(node->rb_right) ? node->rb_left : node->rb_right, root);
	replace(node, node->rb_left ? node->rb_left : node->rb_right, root);
}

void rb_replace_node(struct rb_node *victim, struct rb_node *node, struct rb_root *root)
{
	/* The new one has the old one's place for as long as the tree is not changed there: order holds, balance may not. */
	*node = *victim;
	replace(victim, node, root);
	if (node->rb_left)
		node->rb_left->kd_parent = node;
	if (node->rb_right)
		node->rb_right->kd_parent = node;
}

static struct rb_node *end(const struct rb_node *n, bool left)
{
	while (n && (left ? n->rb_left : n->rb_right))
		n = left ? n->rb_left : n->rb_right;
	return (struct rb_node *)(unsigned long)n;
}

static struct rb_node *step(const struct rb_node *n, bool forward)
{
	const struct rb_node *below = forward ? n->rb_right : n->rb_left;
	struct rb_node *p;

	if (below)
		return end(below, forward);
	while ((p = n->kd_parent) && n == (forward ? p->rb_right : p->rb_left))
		n = p;
	return p;
}

struct rb_node *rb_first(const struct rb_root *root)
{
	return end(root->rb_node, true);
}

struct rb_node *rb_last(const struct rb_root *root)
{
	return end(root->rb_node, false);
}

/* An erased node still has its parent and children as they were, so callers may go on from it, as in the kernel. */
struct rb_node *rb_next(const struct rb_node *node)
{
	return RB_EMPTY_NODE(node) ? NULL : step(node, true);
}

struct rb_node *rb_prev(const struct rb_node *node)
{
	return RB_EMPTY_NODE(node) ? NULL : step(node, false);
}

static struct rb_node *deepest(const struct rb_node *n)
{
	while (n && (n->rb_left || n->rb_right))
		n = n->rb_left ? n->rb_left : n->rb_right;
	return (struct rb_node *)(unsigned long)n;
}

struct rb_node *rb_first_postorder(const struct rb_root *root)
{
	return deepest(root->rb_node);
}

struct rb_node *rb_next_postorder(const struct rb_node *node)
{
	struct rb_node *p = node->kd_parent;

	return p && node == p->rb_left && p->rb_right ? deepest(p->rb_right) : p;
}
