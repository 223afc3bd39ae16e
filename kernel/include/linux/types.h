/* SPDX-License-Identifier: MIT */
/*
 * Test double (doc/kernel.md).  Types.  What libc has, too, is libc's, so that a test may include both; so uint64_t and
 * loff_t are long here, u64 is unsigned long long as in the kernel.
 */
#ifndef KD_LINUX_TYPES_H
#define KD_LINUX_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include_next <linux/types.h>

#include <linux/compiler.h>

typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;
typedef __s8 s8;
typedef __s16 s16;
typedef __s32 s32;
typedef __s64 s64;
typedef u64 dma_addr_t;
typedef u64 phys_addr_t;
typedef phys_addr_t resource_size_t;
typedef unsigned int gfp_t;
typedef unsigned int fmode_t;
typedef unsigned long pgoff_t;
typedef u64 sector_t;
typedef unsigned short umode_t;
typedef unsigned int vm_fault_t;
typedef unsigned int __poll_t;
typedef struct { int counter; } atomic_t;
typedef struct { s64 counter; } atomic64_t;
#define ATOMIC_INIT(v) { (v) }
#define ATOMIC64_INIT(v) { (v) }

struct list_head {
	struct list_head *next, *prev;
};
struct hlist_node {
	struct hlist_node *next, **pprev;
};
struct hlist_head {
	struct hlist_node *first;
};
struct rcu_head {
	struct rcu_head *next;
	void (*func)(struct rcu_head *head);
};
#define callback_head rcu_head

#define DECLARE_BITMAP(name, bits) unsigned long name[((bits) + 63) / 64]

#define U8_MAX 255
#define U16_MAX 65535
#define U32_MAX 4294967295u
#define U64_MAX (~0ull)
#define S32_MAX 2147483647
#define S64_MAX 0x7fffffffffffffffll
#define PHYS_ADDR_MAX (~(phys_addr_t)0)

#endif
