/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md).  Allocation flags, whole pages. */
#ifndef KD_LINUX_GFP_H
#define KD_LINUX_GFP_H

#include <linux/mm_types.h>

#define __GFP_HIGH 0x20u
#define __GFP_IO 0x40u
#define __GFP_FS 0x80u
#define __GFP_ZERO 0x100u
#define __GFP_DIRECT_RECLAIM 0x400u
#define __GFP_KSWAPD_RECLAIM 0x800u
#define __GFP_RECLAIM (__GFP_DIRECT_RECLAIM | __GFP_KSWAPD_RECLAIM)
#define __GFP_NOWARN 0x2000u
#define __GFP_RETRY_MAYFAIL 0x4000u
#define __GFP_NOFAIL 0x8000u
#define __GFP_NORETRY 0x10000u
#define __GFP_COMP 0x40000u
#define __GFP_ACCOUNT 0x400000u
#define __GFP_HIGHMEM 0x02u
#define __GFP_DMA 0x01u
#define __GFP_DMA32 0x04u
#define __GFP_MOVABLE 0x08u
#define GFP_ATOMIC (__GFP_HIGH | __GFP_KSWAPD_RECLAIM)
#define GFP_KERNEL (__GFP_RECLAIM | __GFP_IO | __GFP_FS)
#define GFP_KERNEL_ACCOUNT (GFP_KERNEL | __GFP_ACCOUNT)
#define GFP_NOWAIT __GFP_KSWAPD_RECLAIM
#define GFP_NOIO __GFP_RECLAIM
#define GFP_NOFS (__GFP_RECLAIM | __GFP_IO)
#define GFP_USER GFP_KERNEL
#define GFP_HIGHUSER (GFP_USER | __GFP_HIGHMEM)
#define GFP_HIGHUSER_MOVABLE (GFP_HIGHUSER | __GFP_MOVABLE)
#define GFP_DMA __GFP_DMA
#define GFP_DMA32 __GFP_DMA32
#define gfpflags_allow_blocking(gfp) (!!((gfp) & __GFP_DIRECT_RECLAIM))

/* The largest order here is 9, whichever version. */
#define MAX_PAGE_ORDER 9
#define MAX_ORDER 10
#define get_order(size) ((int)order_base_2(DIV_ROUND_UP(size, PAGE_SIZE)))

/* Pages with a struct page, frames of the machine's own.  order: up to 9. */
struct page *alloc_pages(gfp_t gfp, unsigned int order) KD_SYM(alloc_pages);
void __free_pages(struct page *page, unsigned int order) KD_SYM(__free_pages);
unsigned long __get_free_pages(gfp_t gfp, unsigned int order) KD_SYM(__get_free_pages);
void free_pages(unsigned long addr, unsigned int order) KD_SYM(free_pages);
#define alloc_page(gfp) alloc_pages(gfp, 0)
#define alloc_pages_node(node, gfp, order) alloc_pages(gfp, order)
#define __free_page(page) __free_pages(page, 0)
#define __get_free_page(gfp) __get_free_pages(gfp, 0)
#define get_zeroed_page(gfp) __get_free_pages((gfp) | __GFP_ZERO, 0)
#define free_page(addr) free_pages(addr, 0)

#endif
