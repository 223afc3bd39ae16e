/* SPDX-License-Identifier: MIT */
/* dma.c - DMA mappings: an address is the memory's own, and the ledger has what is mapped. */
#include <errno.h>

#include <linux/dma-mapping.h>

#include "kd.h"

/* An entry's `more`: the direction, that the caller asked about errors, the size.  A page may be mapped more than once. */
#define ASKED 0x100ul
#define MORE(dir, size) ((unsigned long)(dir) | (size) << 16)
#define DIR(more) ((more) & 0xfful)
#define KEY(addr) ((const void *)(unsigned long)(addr))

static void note(dma_addr_t addr, size_t size, unsigned long more, const char *call, const void *site)
{
	kd_take((struct kd_entry){ .kind = KD_MAPPED, .key = KEY(addr), .size = size, .more = more, .call = call, .site = site });
}

dma_addr_t kd_dma_map(struct device *dev, void *p, size_t size, enum dma_data_direction dir, const char *call)
{
	(void)dev;
	if (kd_inject(KD_DMA))
		return DMA_MAPPING_ERROR;
	if (!p || !size) {
		kd_problem("%s(%p, %zu): no memory", call, p, size);
		return DMA_MAPPING_ERROR;
	}
	note((dma_addr_t)(unsigned long)p, size, MORE(dir, size), call, KD_SITE);
	return (dma_addr_t)(unsigned long)p;
}

int dma_mapping_error(struct device *dev, dma_addr_t addr)
{
	struct kd_entry e;

	(void)dev;
	if (addr == DMA_MAPPING_ERROR)
		return -ENOMEM;
	if (kd_drop(KD_MAPPED, KEY(addr), &e))
		note(addr, e.size, e.more | ASKED, e.call, e.site);
	return 0;
}

void kd_dma_unmap(struct device *dev, dma_addr_t addr, size_t size, enum dma_data_direction dir, const char *call)
{
	struct kd_entry e;

	(void)dev;
	if (kd_drop_as(KD_MAPPED, KEY(addr), MORE(dir, size) | ASKED, false))
		return;
	if (kd_drop_as(KD_MAPPED, KEY(addr), MORE(dir, size), false))
		kd_problem("%s(0x%llx): nobody asked dma_mapping_error() about it", call, addr);
	else if (!kd_drop(KD_MAPPED, KEY(addr), &e))
		kd_problem("%s(0x%llx): not mapped", call, addr);
	else if (e.size != size)
		kd_problem("%s(0x%llx): %zu bytes, mapped were %zu", call, addr, size, e.size);
	else
		kd_problem("%s(0x%llx): direction %d, mapped was %lu", call, addr, (int)dir, DIR(e.more));
}

int dma_map_sg_attrs(struct device *dev, struct scatterlist *sg, int n, enum dma_data_direction dir, unsigned long attrs)
{
	(void)dev;
	(void)attrs;
	if (kd_inject(KD_DMA))
		return 0;
	for (int i = 0; i < n; i++, sg = sg_next(sg)) {
		sg->dma_address = sg_phys(sg);
		sg->dma_length = sg->length;
		note(sg->dma_address, sg->length, MORE(dir, (size_t)sg->length) | ASKED, "dma_map_sg", KD_SITE);
	}
	return n;
}

void dma_unmap_sg_attrs(struct device *dev, struct scatterlist *sg, int n, enum dma_data_direction dir,
                        unsigned long attrs)
{
	(void)attrs;
	for (int i = 0; i < n; i++, sg = sg_next(sg))
		kd_dma_unmap(dev, sg_phys(sg), sg->length, dir, "dma_unmap_sg");
}

int dma_map_sgtable(struct device *dev, struct sg_table *t, enum dma_data_direction dir, unsigned long attrs)
{
	int n = dma_map_sg_attrs(dev, t->sgl, (int)t->orig_nents, dir, attrs);

	if (n > 0)
		t->nents = (unsigned int)n;
	return n > 0 ? 0 : -EIO;
}

void *dma_alloc_coherent(struct device *dev, size_t size, dma_addr_t *addr, gfp_t gfp)
{
	void *p = kvmalloc(size, gfp | __GFP_ZERO);

	(void)dev;
	if (p)
		*addr = (dma_addr_t)(unsigned long)p;
	return p;
}

void dma_free_coherent(struct device *dev, size_t size, void *p, dma_addr_t addr)
{
	(void)dev;
	if (p && (ksize(p) != size || addr != (dma_addr_t)(unsigned long)p))
		kd_problem("dma_free_coherent(%p): another size or address than allocated", p);
	kvfree(p);
}

static bool holds(const struct kd_entry *e, const void *p)
{
	return p >= e->key && (const char *)p < (const char *)e->key + e->size;
}

void kd_dma_sync(struct device *dev, dma_addr_t addr, const char *call)
{
	(void)dev;
	if (!kd_search(KD_MAPPED, holds, KEY(addr), NULL))
		kd_problem("%s(0x%llx): not mapped", call, addr);
}

int dma_set_mask(struct device *dev, u64 mask)
{
	(void)dev;
	return mask >= DMA_BIT_MASK(47) ? 0 : -EIO;
}
