/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md).  Registers are memory that the test made. */
#ifndef KD_LINUX_IO_H
#define KD_LINUX_IO_H

#include <linux/kernel.h>

#define readb(p) READ_ONCE(*(const volatile u8 *)(p))
#define readw(p) READ_ONCE(*(const volatile u16 *)(p))
#define readl(p) READ_ONCE(*(const volatile u32 *)(p))
#define readq(p) READ_ONCE(*(const volatile u64 *)(p))
#define writeb(v, p) WRITE_ONCE(*(volatile u8 *)(p), v)
#define writew(v, p) WRITE_ONCE(*(volatile u16 *)(p), v)
#define writel(v, p) WRITE_ONCE(*(volatile u32 *)(p), v)
#define writeq(v, p) WRITE_ONCE(*(volatile u64 *)(p), v)
#define __raw_readl readl
#define __raw_readq readq
#define __raw_writel writel
#define __raw_writeq writeq
#define readl_relaxed readl
#define readq_relaxed readq
#define writel_relaxed writel
#define writeq_relaxed writeq
#define ioread32 readl
#define iowrite32 writel
#define memcpy_fromio(to, from, n) memcpy(to, (const void *)(from), n)
#define memcpy_toio(to, from, n) memcpy((void *)(to), from, n)
#define memset_io(to, c, n) memset((void *)(to), c, n)

#endif
