/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md).  A node's range; trees of them are not in this double. */
#ifndef KD_LINUX_INTERVAL_TREE_H
#define KD_LINUX_INTERVAL_TREE_H

#include <linux/rbtree.h>

struct interval_tree_node {
	struct rb_node rb;
	unsigned long start, last; /* both are in it */
};

#endif
