/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md).  Arithmetic, minimum and maximum, container_of(). */
#ifndef KD_LINUX_KERNEL_H
#define KD_LINUX_KERNEL_H

#include <limits.h>

#include <asm/byteorder.h>
#include <linux/bitops.h>
#include <linux/bug.h>
#include <linux/err.h>
#include <linux/export.h>
#include <linux/init.h>
#include <linux/printk.h>
#include <linux/version.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define sizeof_field(type, member) sizeof(((type *)0)->member)
#define FIELD_SIZEOF sizeof_field
#define offsetofend(type, member) (offsetof(type, member) + sizeof_field(type, member))
#define container_of(ptr, type, member) ((type *)((char *)(ptr) - offsetof(type, member)))
#define container_of_const container_of
#define typeof_member(type, member) __typeof__(((type *)0)->member)

#define min(a, b) ({ __auto_type kd_a = (a); __auto_type kd_b = (b); kd_a < kd_b ? kd_a : kd_b; })
#define max(a, b) ({ __auto_type kd_a = (a); __auto_type kd_b = (b); kd_a > kd_b ? kd_a : kd_b; })
#define min_t(type, a, b) ({ type kd_a = (a), kd_b = (b); kd_a < kd_b ? kd_a : kd_b; })
#define max_t(type, a, b) ({ type kd_a = (a), kd_b = (b); kd_a > kd_b ? kd_a : kd_b; })
#define min3(a, b, c) min(min(a, b), c)
#define max3(a, b, c) max(max(a, b), c)
#define min_not_zero(a, b) ({ __auto_type kd_x = (a); __auto_type kd_y = (b); \
	!kd_x ? kd_y : !kd_y ? kd_x : min(kd_x, kd_y); })
#define clamp(v, lo, hi) min(max(v, lo), hi)
#define clamp_t(type, v, lo, hi) min_t(type, max_t(type, v, lo), hi)
#define clamp_val(v, lo, hi) clamp_t(__typeof__(v), v, lo, hi)
#define swap(a, b) do { __typeof__(a) kd_s = (a); (a) = (b); (b) = kd_s; } while (0)
#define abs(x) ({ __auto_type kd_n = (x); kd_n < 0 ? -kd_n : kd_n; })

#define ALIGN(x, a) (((x) + ((__typeof__(x))(a) - 1)) & ~((__typeof__(x))(a) - 1))
#define ALIGN_DOWN(x, a) ((x) & ~((__typeof__(x))(a) - 1))
#define IS_ALIGNED(x, a) (((x) & ((__typeof__(x))(a) - 1)) == 0)
#define PTR_ALIGN(p, a) ((__typeof__(p))ALIGN((unsigned long)(p), (a)))
#define DIV_ROUND_UP(n, d) (((n) + (d) - 1) / (d))
#define DIV_ROUND_UP_ULL DIV_ROUND_UP
#define DIV_ROUND_CLOSEST(n, d) (((n) + (d) / 2) / (d))
#define roundup(x, y) ((((x) + ((y) - 1)) / (y)) * (y))
#define rounddown(x, y) ((x) - (x) % (y))
#define round_up(x, y) ALIGN(x, y)
#define round_down(x, y) ALIGN_DOWN(x, y)
#define upper_32_bits(n) ((u32)((u64)(n) >> 32))
#define lower_32_bits(n) ((u32)(n))
#define u64_to_user_ptr(x) ((void __user *)(unsigned long)(x))

#define check_add_overflow(a, b, d) __builtin_add_overflow(a, b, d)
#define check_sub_overflow(a, b, d) __builtin_sub_overflow(a, b, d)
#define check_mul_overflow(a, b, d) __builtin_mul_overflow(a, b, d)

static inline size_t size_mul(size_t a, size_t b)
{
	size_t r;

	return __builtin_mul_overflow(a, b, &r) ? SIZE_MAX : r;
}

static inline size_t size_add(size_t a, size_t b)
{
	size_t r;

	return __builtin_add_overflow(a, b, &r) ? SIZE_MAX : r;
}

#define array_size size_mul
#define array3_size(a, b, c) size_mul(size_mul(a, b), c)
#define struct_size(p, member, n) size_add(sizeof(*(p)), size_mul(sizeof(*(p)->member), n))
#define flex_array_size(p, member, n) size_mul(sizeof(*(p)->member), n)

static inline bool is_power_of_2(unsigned long n)
{
	return n && !(n & (n - 1));
}

#define ilog2(n) ((n) ? 63 - __builtin_clzll((unsigned long long)(n)) : -1)
#define order_base_2(n) ((n) > 1 ? ilog2((n) - 1) + 1 : 0)
#define bits_per(n) ((n) < 2 ? 1 : ilog2(n) + 1)
#define roundup_pow_of_two(n) (1ul << order_base_2(n))
#define rounddown_pow_of_two(n) (1ul << ilog2(n))

static inline u64 div_u64_rem(u64 n, u32 d, u32 *rem)
{
	*rem = (u32)(n % d);
	return n / d;
}

#define div_u64(n, d) ((u64)(n) / (u32)(d))
#define div64_u64(n, d) ((u64)(n) / (u64)(d))
#define do_div(n, d) ({ u32 kd_r = (u32)((n) % (u32)(d)); (n) /= (u32)(d); kd_r; })

/* May the caller sleep here?  Under a spinlock it is a problem, and told. */
void kd_might_sleep(const char *call);
#define might_sleep() kd_might_sleep(__func__)
#define might_sleep_if(c) do { if (c) might_sleep(); } while (0)
static inline int cond_resched(void)
{
	kd_might_sleep("cond_resched");
	return 0;
}

#define cpu_relax() barrier()

#define PAGE_SHIFT 12
#define PAGE_SIZE (1ul << PAGE_SHIFT)
#define PAGE_MASK (~(PAGE_SIZE - 1))

#endif
