/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md).  Tables of hlists. */
#ifndef KD_LINUX_HASHTABLE_H
#define KD_LINUX_HASHTABLE_H

#include <linux/list.h>

#define DECLARE_HASHTABLE(name, bits) struct hlist_head name[1 << (bits)]
#define DEFINE_HASHTABLE(name, bits) DECLARE_HASHTABLE(name, bits) = { { NULL } }
#define HASH_SIZE(table) ARRAY_SIZE(table)
#define hash_64(v, bits) ((u32)(((u64)(v) * 0x9e3779b97f4a7c15ull) >> (64 - (bits))))
#define hash_32 hash_64
#define hash_long hash_64
#define hash_ptr(p, bits) hash_64((unsigned long)(p), bits)
#define hash_min hash_64
#define kd_bucket(table, key) (&(table)[hash_64(key, ilog2(HASH_SIZE(table)))])
#define hash_init(table) memset(table, 0, sizeof(table))
#define hash_add(table, node, key) hlist_add_head(node, kd_bucket(table, key))
#define hash_del(node) hlist_del_init(node)
#define hash_for_each(table, i, pos, member) \
	for ((i) = 0; (i) < HASH_SIZE(table); (i)++) hlist_for_each_entry(pos, &(table)[i], member)
#define hash_for_each_safe(table, i, n, pos, member) \
	for ((i) = 0; (i) < HASH_SIZE(table); (i)++) hlist_for_each_entry_safe(pos, n, &(table)[i], member)
#define hash_for_each_possible(table, pos, member, key) hlist_for_each_entry(pos, kd_bucket(table, key), member)

#endif
