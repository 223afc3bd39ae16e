/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md).  Pieces of pages. */
#ifndef KD_LINUX_BVEC_H
#define KD_LINUX_BVEC_H

#include <linux/mm.h>

struct bio_vec {
	struct page *bv_page;
	unsigned int bv_len, bv_offset;
};

static inline void bvec_set_page(struct bio_vec *bv, struct page *page, unsigned int len, unsigned int offset)
{
	*bv = (struct bio_vec){ page, len, offset };
}


#endif
