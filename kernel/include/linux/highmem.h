/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md).  Every page has an address; a mapping that is not undone is a leak all the same. */
#ifndef KD_LINUX_HIGHMEM_H
#define KD_LINUX_HIGHMEM_H

#include <linux/mm.h>
#include <linux/uaccess.h>

void *kmap(struct page *page) KD_SYM(kmap);
void kunmap(struct page *page) KD_SYM(kunmap);
/* These are undone in the order last first, as the kernel wants it. */
void *kmap_local_page(struct page *page) KD_SYM(kmap_local_page);
void kunmap_local(const void *addr) KD_SYM(kunmap_local);
void *kmap_atomic(struct page *page) KD_SYM(kmap_atomic);
void kunmap_atomic(const void *addr) KD_SYM(kunmap_atomic);
#define kmap_local_folio(folio, offset) \
	((char *)kmap_local_page(folio_page(folio, (offset) >> PAGE_SHIFT)) + offset_in_page(offset))

#define clear_page(p) memset(p, 0, PAGE_SIZE)
#define copy_page(to, from) memcpy(to, from, PAGE_SIZE)
#define clear_highpage(page) clear_page(page_address(page))
#define clear_user_highpage(page, addr) clear_highpage(page)
#define copy_highpage(to, from) copy_page(page_address(to), page_address(from))
#define memcpy_from_page(to, page, offset, n) ((void)memcpy(to, (char *)page_address(page) + (offset), n))
#define memcpy_to_page(page, offset, from, n) ((void)memcpy((char *)page_address(page) + (offset), from, n))
#define memzero_page(page, offset, n) ((void)memset((char *)page_address(page) + (offset), 0, n))
#define flush_dcache_page(page) (void)(page)
#define flush_kernel_dcache_page(page) (void)(page)
#define flush_kernel_vmap_range(p, n) (void)(p)
#define invalidate_kernel_vmap_range(p, n) (void)(p)

#endif
