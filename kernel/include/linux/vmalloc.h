/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md).  Virtually contiguous memory. */
#ifndef KD_LINUX_VMALLOC_H
#define KD_LINUX_VMALLOC_H

#include <linux/slab.h>

#define VM_MAP 4ul
#define VM_ALLOC 2ul

void *vmalloc(unsigned long size) KD_SYM(vmalloc);
void *vzalloc(unsigned long size) KD_SYM(vzalloc);
#define vmalloc_user vzalloc
#define vcalloc(n, size) vzalloc(array_size(n, size))
#define vmalloc_array(n, size) vmalloc(array_size(n, size))
#define vmalloc_node(size, node) vmalloc(size)
#define vzalloc_node(size, node) vzalloc(size)
void vfree(const void *p) KD_SYM(vfree);
/* The pages one behind the other; they are mapped a second time, so what one sees the other sees. */
void *vmap(struct page **pages, unsigned int count, unsigned long flags, pgprot_t prot) KD_SYM(vmap);
void vunmap(const void *p) KD_SYM(vunmap);
#define vm_map_ram(pages, count, node) vmap(pages, count, VM_MAP, PAGE_KERNEL)
#define vm_unmap_ram(p, count) vunmap(p)
bool is_vmalloc_addr(const void *p) KD_SYM(is_vmalloc_addr);

#endif
