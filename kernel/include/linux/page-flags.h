/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md).  What can be asked about a page. */
#ifndef KD_LINUX_PAGE_FLAGS_H
#define KD_LINUX_PAGE_FLAGS_H

#include <linux/mm_types.h>

bool PageDirty(struct page *page) KD_SYM(PageDirty);
/* Pages have no reserved ones among them, no hugetlbfs, no highmem and no poison. */
#define PageReserved(page) ((void)(page), false)
#define PageHuge(page) ((void)(page), false)
#define PageHighMem(page) ((void)(page), false)
#define PageHWPoison(page) ((void)(page), false)
#define folio_test_dirty(folio) PageDirty(&(folio)->page)
#define folio_test_hugetlb(folio) ((void)(folio), false)

#endif
