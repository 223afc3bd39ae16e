/* SPDX-License-Identifier: MIT */
/*
 * Test double (doc/kernel.md).  Ordered trees with the kernel's calls: the user finds the place, links the node and has the
 * tree balanced.  Balanced by priorities drawn from the nodes' addresses, so what is red in the kernel is nothing here.
 */
#ifndef KD_LINUX_RBTREE_H
#define KD_LINUX_RBTREE_H

#include <linux/kernel.h>

struct rb_node {
	struct rb_node *kd_parent, *rb_right, *rb_left;
};
struct rb_root {
	struct rb_node *rb_node;
};
struct rb_root_cached {
	struct rb_root rb_root;
};
#define RB_ROOT (struct rb_root){ NULL }
#define RB_ROOT_CACHED (struct rb_root_cached){ { NULL } }
#define RB_EMPTY_ROOT(root) (!(root)->rb_node)
#define RB_EMPTY_NODE(node) ((node)->kd_parent == (node))
#define RB_CLEAR_NODE(node) ((node)->kd_parent = (node))
#define rb_entry container_of
#define rb_entry_safe(p, type, member) ({ __auto_type kd_p = (p); kd_p ? rb_entry(kd_p, type, member) : NULL; })
#define rb_parent(node) ((node)->kd_parent)

static inline void rb_link_node(struct rb_node *node, struct rb_node *parent, struct rb_node **link)
{
	node->kd_parent = parent;
	node->rb_left = node->rb_right = NULL;
	*link = node;
}

void rb_insert_color(struct rb_node *node, struct rb_root *root) KD_SYM(rb_insert_color);
void rb_erase(struct rb_node *node, struct rb_root *root) KD_SYM(rb_erase);
void rb_replace_node(struct rb_node *victim, struct rb_node *node, struct rb_root *root) KD_SYM(rb_replace_node);
struct rb_node *rb_first(const struct rb_root *root) KD_SYM(rb_first);
struct rb_node *rb_last(const struct rb_root *root) KD_SYM(rb_last);
struct rb_node *rb_next(const struct rb_node *node) KD_SYM(rb_next);
struct rb_node *rb_prev(const struct rb_node *node) KD_SYM(rb_prev);
/* Children before their parents: what is left of a tree whose nodes are being freed. */
struct rb_node *rb_first_postorder(const struct rb_root *root) KD_SYM(rb_first_postorder);
struct rb_node *rb_next_postorder(const struct rb_node *node) KD_SYM(rb_next_postorder);

#define rb_first_cached(cached) rb_first(&(cached)->rb_root)
#define rb_insert_color_cached(node, cached, leftmost) ((void)(leftmost), rb_insert_color(node, &(cached)->rb_root))
#define rb_erase_cached(node, cached) rb_erase(node, &(cached)->rb_root)
#define rbtree_postorder_for_each_entry_safe(pos, n, root, member) \
	for (pos = rb_entry_safe(rb_first_postorder(root), __typeof__(*pos), member); \
	     pos && ({ n = rb_entry_safe(rb_next_postorder(&pos->member), __typeof__(*pos), member); 1; }); pos = n)

#endif
