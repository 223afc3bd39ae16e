/* SPDX-License-Identifier: MIT */
/* sg.c - scatter lists. */
#include <linux/scatterlist.h>

#include "kd.h"

void sg_init_table(struct scatterlist *sg, unsigned int n)
{
	memset(sg, 0, n * sizeof(*sg));
	sg[n - 1].kd_end = true;
}

void sg_set_buf(struct scatterlist *sg, const void *buf, unsigned int len)
{
	sg_set_page(sg, virt_to_page(buf), len, (unsigned int)offset_in_page(buf));
}

void sg_init_one(struct scatterlist *sg, const void *buf, unsigned int len)
{
	sg_init_table(sg, 1);
	sg_set_buf(sg, buf, len);
}

int sg_nents(struct scatterlist *sg)
{
	int n = 0;

	for (; sg; sg = sg_next(sg))
		n++;
	return n;
}

struct scatterlist *sg_last(struct scatterlist *sg, unsigned int n)
{
	return sg + n - 1;
}

static int alloc_table(struct sg_table *t, unsigned int n, gfp_t gfp, const char *call, const void *site)
{
	memset(t, 0, sizeof(*t));
	if (!n)
		return -EINVAL;
	t->sgl = kd_memory(array_size(n, sizeof(*t->sgl)), gfp, call, site);
	if (!t->sgl)
		return -ENOMEM;
	sg_init_table(t->sgl, n);
	t->nents = t->orig_nents = n;
	return 0;
}

int sg_alloc_table(struct sg_table *t, unsigned int n, gfp_t gfp)
{
	return alloc_table(t, n, gfp, "sg_alloc_table", KD_SITE);
}

void sg_free_table(struct sg_table *t)
{
	kvfree(t->sgl);
	memset(t, 0, sizeof(*t));
}

/* Pages from `i` on that follow each other, of n, in at most max bytes. */
static unsigned int run_of(struct page **pages, unsigned int i, unsigned int n, unsigned long max)
{
	unsigned int k = 1;

	while (i + k < n && (k + 1) * PAGE_SIZE <= max &&
	       page_to_pfn(pages[i + k]) == page_to_pfn(pages[i + k - 1]) + 1)
		k++;
	return k;
}

static void fill(struct scatterlist *sg, struct page **pages, unsigned int n, unsigned int offset, unsigned long size,
                 unsigned long max)
{
	for (unsigned int i = 0, k; i < n; i += k, sg++, offset = 0) {
		unsigned long len;

		k = run_of(pages, i, n, max);
		len = min(k * PAGE_SIZE - offset, size);
		sg_set_page(sg, pages[i], (unsigned int)len, offset);
		size -= len;
	}
}

static unsigned int runs_in(struct page **pages, unsigned int n, unsigned long max)
{
	unsigned int runs = 0;

	for (unsigned int i = 0; i < n; i += run_of(pages, i, n, max))
		runs++;
	return runs;
}

int sg_alloc_table_from_pages_segment(struct sg_table *t, struct page **pages, unsigned int n, unsigned int offset,
                                      unsigned long size, unsigned int max_segment, gfp_t gfp)
{
	unsigned long max = max_segment & PAGE_MASK;
	int r;

	if (!max || !n)
		return -EINVAL;
	r = alloc_table(t, runs_in(pages, n, max), gfp, "sg_alloc_table_from_pages", KD_SITE);
	if (!r)
		fill(t->sgl, pages, n, offset, size, max);
	return r;
}

/* The kernel fills space it kept for `left` pages; here the list moves into a longer one. */
int sg_alloc_append_table_from_pages(struct sg_append_table *t, struct page **pages, unsigned int n, unsigned int offset,
                                     unsigned long size, unsigned int max_segment, unsigned int left, gfp_t gfp)
{
	unsigned int old = t->sgt.orig_nents;
	struct sg_table longer;
	int r;

	(void)left;
	if (!(max_segment & PAGE_MASK) || !n)
		return -EINVAL;
	r = alloc_table(&longer, old + runs_in(pages, n, max_segment & PAGE_MASK), gfp, "sg_alloc_append_table_from_pages",
	                KD_SITE);
	if (r)
		return r;
	if (old) {
		memcpy(longer.sgl, t->sgt.sgl, old * sizeof(*longer.sgl));
		sg_unmark_end(longer.sgl + old - 1);
		sg_free_table(&t->sgt);
	}
	fill(longer.sgl + old, pages, n, offset, size, max_segment & PAGE_MASK);
	t->sgt = longer;
	t->total_nents = longer.orig_nents;
	t->prv = longer.sgl + longer.orig_nents - 1;
	return 0;
}

void sg_free_append_table(struct sg_append_table *t)
{
	sg_free_table(&t->sgt);
	memset(t, 0, sizeof(*t));
}

static size_t copy(struct scatterlist *sg, unsigned int n, char *buf, size_t len, size_t skip, bool to_list)
{
	size_t done = 0;

	for (; n-- && sg && done < len; sg = sg_next(sg)) {
		size_t now;

		if (skip >= sg->length) {
			skip -= sg->length;
			continue;
		}
		now = min(sg->length - skip, len - done);
		if (to_list)
			memcpy((char *)sg_virt(sg) + skip, buf + done, now);
		else
			memcpy(buf + done, (char *)sg_virt(sg) + skip, now);
		done += now;
		skip = 0;
	}
	return done;
}

size_t sg_pcopy_from_buffer(struct scatterlist *sg, unsigned int n, const void *buf, size_t len, off_t skip)
{
	return copy(sg, n, (char *)(unsigned long)buf, len, (size_t)skip, true);
}

size_t sg_pcopy_to_buffer(struct scatterlist *sg, unsigned int n, void *buf, size_t len, off_t skip)
{
	return copy(sg, n, buf, len, (size_t)skip, false);
}

/* ---- page by page -------------------------------------------------------------------------------- */

void __sg_page_iter_start(struct sg_page_iter *it, struct scatterlist *sg, unsigned int n, unsigned long pgoffset)
{
	*it = (struct sg_page_iter){ .sg = sg, .sg_pgoffset = (unsigned int)pgoffset, .__nents = n };
}

static bool step(struct sg_page_iter *it, bool dma)
{
	if (!it->__nents || !it->sg)
		return false;
	it->sg_pgoffset += (unsigned int)it->__pg_advance;
	it->__pg_advance = 1;
	for (;;) {
		unsigned int bytes = dma ? sg_dma_len(it->sg) : it->sg->length + it->sg->offset;
		unsigned int pages = (unsigned int)DIV_ROUND_UP(bytes, PAGE_SIZE);

		if (it->sg_pgoffset < pages)
			return true;
		it->sg_pgoffset -= pages;
		it->sg = sg_next(it->sg);
		if (!--it->__nents || !it->sg)
			return false;
	}
}

bool __sg_page_iter_next(struct sg_page_iter *it)
{
	return step(it, false);
}

bool __sg_page_iter_dma_next(struct sg_dma_page_iter *it)
{
	return step(&it->base, true);
}
