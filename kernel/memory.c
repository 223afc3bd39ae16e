/* SPDX-License-Identifier: MIT */
/* memory.c - kmalloc() and its kin.  New memory holds no zeroes unless they were asked for, and freed memory no old data. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <linux/err.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "kd.h"

#define NEW 0xa5
#define OLD 0x6b

enum family { SLAB, VIRTUAL, CACHE, VMAP };

static void *take(size_t size, gfp_t gfp, enum family family, const char *call, const void *site)
{
	void *p;

	if (gfpflags_allow_blocking(gfp))
		kd_might_sleep(call);
	if (size > SSIZE_MAX || (!(gfp & __GFP_NOFAIL) && kd_inject(KD_ALLOC)))
		return NULL;
	if (!size)
		return ZERO_SIZE_PTR;
	if (family == VIRTUAL)
		p = aligned_alloc(PAGE_SIZE, round_up(size, PAGE_SIZE));
	else
		p = malloc(size);
	if (!p)
		return NULL;
	memset(p, gfp & __GFP_ZERO ? 0 : NEW, size);
	kd_take((struct kd_entry){ .kind = KD_MEMORY, .key = p, .size = size, .more = family, .call = call, .site = site });
	return p;
}

void kd_memory_free(const struct kd_entry *e)
{
	void *p = (void *)(unsigned long)e->key;

	if (e->more == VMAP) {
		munmap(p, e->size);
		return;
	}
	memset(p, OLD, e->size);
	free(p);
}

/* families: a bit each, those that this call may free. */
static void give(const void *p, unsigned families, const char *call)
{
	struct kd_entry e;

	if (ZERO_OR_NULL_PTR(p))
		return;
	if (!kd_find(KD_MEMORY, p, &e)) {
		kd_problem("%s(%p): not allocated, or freed already", call, p);
		return;
	}
	if (!(families & BIT(e.more)))
		kd_problem("%s(%p): it came from %s()", call, p, e.call);
	kd_drop(KD_MEMORY, p, NULL);
	kd_memory_free(&e);
}

void *kd_memory(size_t size, unsigned gfp, const char *call, const void *site)
{
	return take(size, gfp, VIRTUAL, call, site);
}

void *kmalloc(size_t size, gfp_t gfp)
{
	return size > KMALLOC_MAX_SIZE ? NULL : take(size, gfp, SLAB, "kmalloc", KD_SITE);
}

void *kmalloc_array(size_t n, size_t size, gfp_t gfp)
{
	size_t all = array_size(n, size);

	return all > KMALLOC_MAX_SIZE ? NULL : take(all, gfp, SLAB, "kmalloc_array", KD_SITE);
}

void *kvmalloc(size_t size, gfp_t gfp)
{
	return take(size, gfp, VIRTUAL, "kvmalloc", KD_SITE);
}

void *kvmalloc_array(size_t n, size_t size, gfp_t gfp)
{
	return take(array_size(n, size), gfp, VIRTUAL, "kvmalloc_array", KD_SITE);
}

void *vmalloc(unsigned long size)
{
	return take(size, GFP_KERNEL, VIRTUAL, "vmalloc", KD_SITE);
}

void *vzalloc(unsigned long size)
{
	return take(size, GFP_KERNEL | __GFP_ZERO, VIRTUAL, "vzalloc", KD_SITE);
}

size_t ksize(const void *p)
{
	struct kd_entry e;

	return !ZERO_OR_NULL_PTR(p) && kd_find(KD_MEMORY, p, &e) ? e.size : 0;
}

void *krealloc(const void *p, size_t size, gfp_t gfp)
{
	size_t old = ksize(p);
	void *n;

	if (!size) {
		kfree(p);
		return ZERO_SIZE_PTR;
	}
	n = take(size, gfp, SLAB, "krealloc", KD_SITE);
	if (!n)
		return NULL;
	if (old)
		memcpy(n, p, old < size ? old : size);
	kfree(p);
	return n;
}

void kfree(const void *p)
{
	give(p, BIT(SLAB) | BIT(CACHE), "kfree");
}

void kfree_sensitive(const void *p)
{
	give(p, BIT(SLAB), "kfree_sensitive");
}

void kvfree(const void *p)
{
	give(p, BIT(SLAB) | BIT(VIRTUAL), "kvfree");
}

void vfree(const void *p)
{
	kd_might_sleep("vfree");
	give(p, BIT(VIRTUAL), "vfree");
}

char *kstrdup(const char *s, gfp_t gfp)
{
	char *p = s ? take(strlen(s) + 1, gfp, SLAB, "kstrdup", KD_SITE) : NULL;

	return p ? strcpy(p, s) : NULL;
}

void *kmemdup(const void *p, size_t size, gfp_t gfp)
{
	void *n = take(size, gfp, SLAB, "kmemdup", KD_SITE);

	return n ? memcpy(n, p, size) : NULL;
}

char *kasprintf(gfp_t gfp, const char *fmt, ...)
{
	va_list args;
	char *p;
	int n;

	va_start(args, fmt);
	n = vsnprintf(NULL, 0, fmt, args);
	va_end(args);
	p = n < 0 ? NULL : take((size_t)n + 1, gfp, SLAB, "kasprintf", KD_SITE);
	va_start(args, fmt);
	if (p)
		vsnprintf(p, (size_t)n + 1, fmt, args);
	va_end(args);
	return p;
}

/* ---- caches ------------------------------------------------------------------------------------ */

struct kmem_cache *kmem_cache_create(const char *name, unsigned int size, unsigned int align, unsigned int flags,
                                     void (*ctor)(void *p))
{
	struct kmem_cache *c = take(sizeof(*c), GFP_KERNEL, CACHE, "kmem_cache_create", KD_SITE);

	(void)align;
	(void)flags;
	if (c)
		*c = (struct kmem_cache){ name, size, ctor };
	return c;
}

void kmem_cache_destroy(struct kmem_cache *cache)
{
	give(cache, BIT(CACHE), "kmem_cache_destroy");
}

void *kmem_cache_alloc(struct kmem_cache *cache, gfp_t gfp)
{
	void *p = take(cache->size, gfp, CACHE, "kmem_cache_alloc", KD_SITE);

	if (p && cache->ctor)
		cache->ctor(p);
	return p;
}

void kmem_cache_free(struct kmem_cache *cache, void *p)
{
	(void)cache;
	give(p, BIT(CACHE), "kmem_cache_free");
}

/* ---- pages one behind the other ------------------------------------------------------------------ */

void *vmap(struct page **pages, unsigned int count, unsigned long flags, pgprot_t prot)
{
	size_t size = count * PAGE_SIZE;
	char *to;

	(void)flags;
	(void)prot;
	kd_might_sleep("vmap");
	if (!count || kd_inject(KD_ALLOC))
		return NULL;
	to = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (to == MAP_FAILED)
		return NULL;
	for (unsigned int i = 0; i < count; i++) {
		void *from = kd_glue_address(pages[i]), *at = to + i * PAGE_SIZE;

		/* An old size of 0 maps shared memory a second time. */
		if (!from || mremap(from, 0, PAGE_SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, at) != at) {
			munmap(to, size);
			return NULL;
		}
	}
	kd_take((struct kd_entry){ .kind = KD_MEMORY, .key = to, .size = size, .more = VMAP, .call = "vmap", .site = KD_SITE });
	return to;
}

void vunmap(const void *p)
{
	kd_might_sleep("vunmap");
	give(p, BIT(VMAP), "vunmap");
}

static bool holds(const struct kd_entry *e, const void *p)
{
	return (e->more == VIRTUAL || e->more == VMAP) && p >= e->key && (const char *)p < (const char *)e->key + e->size;
}

bool is_vmalloc_addr(const void *p)
{
	return kd_search(KD_MEMORY, holds, p, NULL);
}
