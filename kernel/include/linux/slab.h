/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md).  Memory: every block is in the ledger with the call and the place that took it. */
#ifndef KD_LINUX_SLAB_H
#define KD_LINUX_SLAB_H

#include <linux/cleanup.h>
#include <linux/gfp.h>
#include <linux/overflow.h>

#define ARCH_KMALLOC_MINALIGN 16
#define ZERO_SIZE_PTR ((void *)16)
#define ZERO_OR_NULL_PTR(p) ((unsigned long)(p) <= 16)
#define KMALLOC_MAX_SIZE (4ul << 20)

void *kmalloc(size_t size, gfp_t gfp) KD_SYM(kmalloc);
void *kmalloc_array(size_t n, size_t size, gfp_t gfp) KD_SYM(kmalloc_array);
void *krealloc(const void *p, size_t size, gfp_t gfp) KD_SYM(krealloc);
void kfree(const void *p) KD_SYM(kfree);
void kfree_sensitive(const void *p) KD_SYM(kfree_sensitive);
size_t ksize(const void *p) KD_SYM(ksize);
char *kstrdup(const char *s, gfp_t gfp) KD_SYM(kstrdup);
char *kasprintf(gfp_t gfp, const char *fmt, ...) KD_SYM(kasprintf) __printf(2, 3);
void *kmemdup(const void *p, size_t size, gfp_t gfp) KD_SYM(kmemdup);
void *kvmalloc(size_t size, gfp_t gfp) KD_SYM(kvmalloc);
void *kvmalloc_array(size_t n, size_t size, gfp_t gfp) KD_SYM(kvmalloc_array);
void kvfree(const void *p) KD_SYM(kvfree);

#define kzalloc(size, gfp) kmalloc(size, (gfp) | __GFP_ZERO)
#define kcalloc(n, size, gfp) kmalloc_array(n, size, (gfp) | __GFP_ZERO)
#define kzalloc_node(size, gfp, node) kzalloc(size, gfp)
#define kmalloc_node(size, gfp, node) kmalloc(size, gfp)
#define kvzalloc(size, gfp) kvmalloc(size, (gfp) | __GFP_ZERO)
#define kvcalloc(n, size, gfp) kvmalloc_array(n, size, (gfp) | __GFP_ZERO)
#define kzfree kfree_sensitive

DEFINE_FREE(kfree, void *, if (!IS_ERR_OR_NULL(_T)) kfree(_T))
DEFINE_FREE(kvfree, void *, if (!IS_ERR_OR_NULL(_T)) kvfree(_T))

/* ---- caches of one size ---- */

struct kmem_cache {
	const char *name;
	size_t size;
	void (*ctor)(void *p);
};
#define SLAB_HWCACHE_ALIGN 0x2000u
#define SLAB_ACCOUNT 0x4000000u
#define SLAB_PANIC 0x40000u
struct kmem_cache *kmem_cache_create(const char *name, unsigned int size, unsigned int align, unsigned int flags,
                                     void (*ctor)(void *p)) KD_SYM(kmem_cache_create);
void kmem_cache_destroy(struct kmem_cache *cache) KD_SYM(kmem_cache_destroy);
void *kmem_cache_alloc(struct kmem_cache *cache, gfp_t gfp) KD_SYM(kmem_cache_alloc);
void kmem_cache_free(struct kmem_cache *cache, void *p) KD_SYM(kmem_cache_free);
#define kmem_cache_zalloc(cache, gfp) kmem_cache_alloc(cache, (gfp) | __GFP_ZERO)
#define KMEM_CACHE(type, flags) kmem_cache_create(#type, sizeof(struct type), __alignof__(struct type), flags, NULL)

#endif
