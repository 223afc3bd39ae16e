/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md).  Scatter lists; one is one array, chains are not in this double. */
#ifndef KD_LINUX_SCATTERLIST_H
#define KD_LINUX_SCATTERLIST_H

#include <linux/mm.h>

struct scatterlist {
	struct page *kd_page;
	bool kd_end;
	unsigned int offset, length;
	dma_addr_t dma_address;
	unsigned int dma_length;
};
struct sg_table {
	struct scatterlist *sgl;
	unsigned int nents, orig_nents;
};
struct sg_append_table {
	struct sg_table sgt;
	struct scatterlist *prv;
	unsigned int total_nents;
};
#define SG_MAX_SINGLE_ALLOC (PAGE_SIZE / sizeof(struct scatterlist))
#define SCATTERLIST_MAX_SEGMENT 0xfffff000u

#define sg_page(sg) ((sg)->kd_page)
#define sg_assign_page(sg, page) ((void)((sg)->kd_page = (page)))
#define sg_is_last(sg) ((sg)->kd_end)
#define sg_mark_end(sg) ((void)((sg)->kd_end = true))
#define sg_unmark_end(sg) ((void)((sg)->kd_end = false))
#define sg_dma_address(sg) ((sg)->dma_address)
#define sg_dma_len(sg) ((sg)->dma_length)
#define sg_phys(sg) (page_to_phys(sg_page(sg)) + (sg)->offset)
#define sg_virt(sg) ((void *)((char *)page_address(sg_page(sg)) + (sg)->offset))

static inline void sg_set_page(struct scatterlist *sg, struct page *page, unsigned int len, unsigned int offset)
{
	sg->kd_page = page;
	sg->offset = offset;
	sg->length = len;
}

#define sg_set_folio(sg, folio, len, off) sg_set_page(sg, folio_page(folio, (off) >> PAGE_SHIFT), len, offset_in_page(off))

static inline struct scatterlist *sg_next(struct scatterlist *sg)
{
	return sg->kd_end ? NULL : sg + 1;
}

void sg_init_table(struct scatterlist *sg, unsigned int n) KD_SYM(sg_init_table);
void sg_init_one(struct scatterlist *sg, const void *buf, unsigned int len) KD_SYM(sg_init_one);
/* buf has a struct page: alloc_page(), a pinned page; not kmalloc(). */
void sg_set_buf(struct scatterlist *sg, const void *buf, unsigned int len) KD_SYM(sg_set_buf);
int sg_nents(struct scatterlist *sg) KD_SYM(sg_nents);
struct scatterlist *sg_last(struct scatterlist *sg, unsigned int n) KD_SYM(sg_last);
int sg_alloc_table(struct sg_table *t, unsigned int n, gfp_t gfp) KD_SYM(sg_alloc_table);
void sg_free_table(struct sg_table *t) KD_SYM(sg_free_table);
/* Neighbouring frames become one entry, up to max_segment bytes. */
int sg_alloc_table_from_pages_segment(struct sg_table *t, struct page **pages, unsigned int n, unsigned int offset,
                                      unsigned long size, unsigned int max_segment, gfp_t gfp)
	KD_SYM(sg_alloc_table_from_pages_segment);
#define sg_alloc_table_from_pages(t, pages, n, offset, size, gfp) \
	sg_alloc_table_from_pages_segment(t, pages, n, offset, size, SCATTERLIST_MAX_SEGMENT, gfp)
int sg_alloc_append_table_from_pages(struct sg_append_table *t, struct page **pages, unsigned int n, unsigned int offset,
                                     unsigned long size, unsigned int max_segment, unsigned int left, gfp_t gfp)
	KD_SYM(sg_alloc_append_table_from_pages);
void sg_free_append_table(struct sg_append_table *t) KD_SYM(sg_free_append_table);
size_t sg_pcopy_from_buffer(struct scatterlist *sg, unsigned int n, const void *buf, size_t len, off_t skip)
	KD_SYM(sg_pcopy_from_buffer);
size_t sg_pcopy_to_buffer(struct scatterlist *sg, unsigned int n, void *buf, size_t len, off_t skip)
	KD_SYM(sg_pcopy_to_buffer);
#define sg_copy_from_buffer(sg, n, buf, len) sg_pcopy_from_buffer(sg, n, buf, len, 0)
#define sg_copy_to_buffer(sg, n, buf, len) sg_pcopy_to_buffer(sg, n, buf, len, 0)

#define for_each_sg(list, sg, n, i) for (i = 0, sg = (list); i < (n); i++, sg = sg_next(sg))
#define for_each_sgtable_sg(t, sg, i) for_each_sg((t)->sgl, sg, (t)->orig_nents, i)
#define for_each_sgtable_dma_sg(t, sg, i) for_each_sg((t)->sgl, sg, (t)->nents, i)

/* ---- page by page ---- */

struct sg_page_iter {
	struct scatterlist *sg;
	unsigned int sg_pgoffset, __nents;
	int __pg_advance;
};
struct sg_dma_page_iter {
	struct sg_page_iter base;
};
void __sg_page_iter_start(struct sg_page_iter *it, struct scatterlist *sg, unsigned int n, unsigned long pgoffset)
	KD_SYM(__sg_page_iter_start);
bool __sg_page_iter_next(struct sg_page_iter *it) KD_SYM(__sg_page_iter_next);
bool __sg_page_iter_dma_next(struct sg_dma_page_iter *it) KD_SYM(__sg_page_iter_dma_next);
#define sg_page_iter_page(it) (sg_page((it)->sg) + (it)->sg_pgoffset)
#define sg_page_iter_dma_address(it) \
	(sg_dma_address((it)->base.sg) + ((dma_addr_t)(it)->base.sg_pgoffset << PAGE_SHIFT))
#define for_each_sg_page(list, it, n, pgoffset) \
	for (__sg_page_iter_start(it, list, n, pgoffset); __sg_page_iter_next(it);)
#define for_each_sg_dma_page(list, it, n, pgoffset) \
	for (__sg_page_iter_start(&(it)->base, list, n, pgoffset); __sg_page_iter_dma_next(it);)
#define for_each_sgtable_page(t, it, pgoffset) for_each_sg_page((t)->sgl, it, (t)->orig_nents, pgoffset)
#define for_each_sgtable_dma_page(t, it, pgoffset) for_each_sg_dma_page((t)->sgl, it, (t)->nents, pgoffset)

#endif
