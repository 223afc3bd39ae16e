/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md).  Bits and bitmaps. */
#ifndef KD_LINUX_BITOPS_H
#define KD_LINUX_BITOPS_H

#include <linux/string.h>

#define BITS_PER_BYTE 8
#define BITS_PER_LONG 64
#define BITS_PER_LONG_LONG 64
#define BIT(n) (1ul << (n))
#define BIT_ULL(n) (1ull << (n))
#define BIT_WORD(n) ((n) / BITS_PER_LONG)
#define BIT_MASK(n) (1ul << ((n) % BITS_PER_LONG))
#define GENMASK(h, l) ((~0ul >> (63 - (h))) & (~0ul << (l)))
#define GENMASK_ULL(h, l) ((~0ull >> (63 - (h))) & (~0ull << (l)))
#define BITS_TO_LONGS(n) (((n) + BITS_PER_LONG - 1) / BITS_PER_LONG)
#define BITS_PER_TYPE(type) (sizeof(type) * BITS_PER_BYTE)

static inline void set_bit(long nr, volatile unsigned long *p)
{
	__atomic_fetch_or(p + BIT_WORD(nr), BIT_MASK(nr), __ATOMIC_SEQ_CST);
}

static inline void clear_bit(long nr, volatile unsigned long *p)
{
	__atomic_fetch_and(p + BIT_WORD(nr), ~BIT_MASK(nr), __ATOMIC_SEQ_CST);
}

static inline void change_bit(long nr, volatile unsigned long *p)
{
	__atomic_fetch_xor(p + BIT_WORD(nr), BIT_MASK(nr), __ATOMIC_SEQ_CST);
}

static inline bool test_bit(long nr, const volatile unsigned long *p)
{
	return __atomic_load_n(p + BIT_WORD(nr), __ATOMIC_RELAXED) & BIT_MASK(nr);
}

static inline bool test_and_set_bit(long nr, volatile unsigned long *p)
{
	return __atomic_fetch_or(p + BIT_WORD(nr), BIT_MASK(nr), __ATOMIC_SEQ_CST) & BIT_MASK(nr);
}

static inline bool test_and_clear_bit(long nr, volatile unsigned long *p)
{
	return __atomic_fetch_and(p + BIT_WORD(nr), ~BIT_MASK(nr), __ATOMIC_SEQ_CST) & BIT_MASK(nr);
}

#define __set_bit set_bit
#define __clear_bit clear_bit
#define clear_bit_unlock clear_bit
#define test_and_set_bit_lock test_and_set_bit

static inline unsigned long __ffs(unsigned long v)
{
	return (unsigned long)__builtin_ctzl(v);
}

static inline unsigned long __fls(unsigned long v)
{
	return 63ul - (unsigned long)__builtin_clzl(v);
}

static inline int fls64(u64 v)
{
	return v ? 64 - __builtin_clzll(v) : 0;
}

static inline int fls(unsigned int v)
{
	return v ? 32 - __builtin_clz(v) : 0;
}

#define ffs(v) __builtin_ffs(v)
#define ffz(v) __ffs(~(v))
#define fls_long(v) fls64(v)
#define hweight8(v) ((unsigned int)__builtin_popcount((u8)(v)))
#define hweight16(v) ((unsigned int)__builtin_popcount((u16)(v)))
#define hweight32(v) ((unsigned int)__builtin_popcount(v))
#define hweight64(v) ((unsigned long)__builtin_popcountll(v))
#define hweight_long(v) hweight64(v)
#define count_trailing_zeros(v) ((int)((v) ? __builtin_ctzl(v) : 64))
#define count_leading_zeros(v) ((int)((v) ? __builtin_clzl(v) : 64))

/* The first bit at or behind `from` that is `set`, or size. */
static inline unsigned long kd_find_bit(const unsigned long *p, unsigned long size, unsigned long from, bool set)
{
	while (from < size && test_bit((long)from, p) != set)
		from++;
	return from < size ? from : size;
}

#define find_first_bit(p, size) kd_find_bit(p, size, 0, true)
#define find_next_bit(p, size, from) kd_find_bit(p, size, from, true)
#define find_first_zero_bit(p, size) kd_find_bit(p, size, 0, false)
#define find_next_zero_bit(p, size, from) kd_find_bit(p, size, from, false)
#define for_each_set_bit(bit, p, size) \
	for ((bit) = find_first_bit(p, size); (bit) < (size); (bit) = find_next_bit(p, size, (bit) + 1))

static inline void bitmap_zero(unsigned long *p, unsigned int bits)
{
	memset(p, 0, BITS_TO_LONGS(bits) * sizeof(long));
}

static inline void bitmap_set(unsigned long *p, unsigned int from, unsigned int n)
{
	while (n--)
		set_bit(from++, p);
}

static inline void bitmap_clear(unsigned long *p, unsigned int from, unsigned int n)
{
	while (n--)
		clear_bit(from++, p);
}

static inline unsigned int bitmap_weight(const unsigned long *p, unsigned int bits)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < bits; i++)
		n += test_bit(i, p);
	return n;
}

#define bitmap_empty(p, bits) (find_first_bit(p, bits) >= (bits))
#define bitmap_full(p, bits) (find_first_zero_bit(p, bits) >= (bits))

#endif
