/* SPDX-License-Identifier: MIT */
/*
 * Test double (doc/kernel.md).  A DMA address is the memory's address in this process.  Every mapping is in the ledger: one
 * not undone is a leak; one undone with another size or direction, twice, or while its pages are released first, is a problem.
 */
#ifndef KD_LINUX_DMA_MAPPING_H
#define KD_LINUX_DMA_MAPPING_H

#include <linux/device.h>
#include <linux/scatterlist.h>

enum dma_data_direction { DMA_BIDIRECTIONAL, DMA_TO_DEVICE, DMA_FROM_DEVICE, DMA_NONE };
#define DMA_MAPPING_ERROR (~(dma_addr_t)0)
#define DMA_BIT_MASK(n) ((n) == 64 ? ~0ull : (1ull << (n)) - 1)
#define DMA_ATTR_WEAK_ORDERING 0x2ul
#define DMA_ATTR_WRITE_COMBINE 0x4ul
#define DMA_ATTR_SKIP_CPU_SYNC 0x20ul
#define DMA_ATTR_NO_WARN 0x100ul

dma_addr_t kd_dma_map(struct device *dev, void *p, size_t size, enum dma_data_direction dir, const char *call);
void kd_dma_unmap(struct device *dev, dma_addr_t addr, size_t size, enum dma_data_direction dir, const char *call);
#define dma_map_page_attrs(dev, page, offset, size, dir, attrs) \
	kd_dma_map(dev, (char *)page_address(page) + (offset), size, dir, "dma_map_page")
#define dma_map_single_attrs(dev, p, size, dir, attrs) kd_dma_map(dev, p, size, dir, "dma_map_single")
#define dma_map_page(dev, page, offset, size, dir) dma_map_page_attrs(dev, page, offset, size, dir, 0)
#define dma_map_single(dev, p, size, dir) dma_map_single_attrs(dev, p, size, dir, 0)
#define dma_unmap_page_attrs(dev, addr, size, dir, attrs) kd_dma_unmap(dev, addr, size, dir, "dma_unmap_page")
#define dma_unmap_single_attrs(dev, addr, size, dir, attrs) kd_dma_unmap(dev, addr, size, dir, "dma_unmap_single")
#define dma_unmap_page(dev, addr, size, dir) dma_unmap_page_attrs(dev, addr, size, dir, 0)
#define dma_unmap_single(dev, addr, size, dir) dma_unmap_single_attrs(dev, addr, size, dir, 0)
/* A mapping that nobody asked about with this before it is undone is told, as the kernel's checker does. */
int dma_mapping_error(struct device *dev, dma_addr_t addr) KD_SYM(dma_mapping_error);

/* How many entries; 0 on failure. */
int dma_map_sg_attrs(struct device *dev, struct scatterlist *sg, int n, enum dma_data_direction dir, unsigned long attrs)
	KD_SYM(dma_map_sg_attrs);
void dma_unmap_sg_attrs(struct device *dev, struct scatterlist *sg, int n, enum dma_data_direction dir,
                        unsigned long attrs) KD_SYM(dma_unmap_sg_attrs);
int dma_map_sgtable(struct device *dev, struct sg_table *t, enum dma_data_direction dir, unsigned long attrs)
	KD_SYM(dma_map_sgtable);
#define dma_map_sg(dev, sg, n, dir) dma_map_sg_attrs(dev, sg, n, dir, 0)
#define dma_unmap_sg(dev, sg, n, dir) dma_unmap_sg_attrs(dev, sg, n, dir, 0)
#define dma_unmap_sgtable(dev, t, dir, attrs) dma_unmap_sg_attrs(dev, (t)->sgl, (int)(t)->orig_nents, dir, attrs)

void *dma_alloc_coherent(struct device *dev, size_t size, dma_addr_t *addr, gfp_t gfp) KD_SYM(dma_alloc_coherent);
void dma_free_coherent(struct device *dev, size_t size, void *p, dma_addr_t addr) KD_SYM(dma_free_coherent);
#define dma_alloc_attrs(dev, size, addr, gfp, attrs) dma_alloc_coherent(dev, size, addr, gfp)
#define dma_free_attrs(dev, size, p, addr, attrs) dma_free_coherent(dev, size, p, addr)

/* The memory is one and the same, so there is nothing to bring in step; that the range is mapped is looked at. */
void kd_dma_sync(struct device *dev, dma_addr_t addr, const char *call);
#define dma_sync_single_for_cpu(dev, addr, size, dir) kd_dma_sync(dev, addr, "dma_sync_single_for_cpu")
#define dma_sync_single_for_device(dev, addr, size, dir) kd_dma_sync(dev, addr, "dma_sync_single_for_device")
#define dma_sync_sg_for_cpu(dev, sg, n, dir) kd_dma_sync(dev, sg_dma_address(sg), "dma_sync_sg_for_cpu")
#define dma_sync_sg_for_device(dev, sg, n, dir) kd_dma_sync(dev, sg_dma_address(sg), "dma_sync_sg_for_device")
#define dma_sync_sgtable_for_cpu(dev, t, dir) dma_sync_sg_for_cpu(dev, (t)->sgl, (t)->orig_nents, dir)
#define dma_sync_sgtable_for_device(dev, t, dir) dma_sync_sg_for_device(dev, (t)->sgl, (t)->orig_nents, dir)

/* Addresses have 47 bits: -EIO for less. */
int dma_set_mask(struct device *dev, u64 mask) KD_SYM(dma_set_mask);
#define dma_set_coherent_mask dma_set_mask
#define dma_set_mask_and_coherent dma_set_mask
#define dma_get_max_seg_size(dev) 65536u
#define dma_get_mask(dev) DMA_BIT_MASK(64)

#endif
