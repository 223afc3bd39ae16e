/* SPDX-License-Identifier: MIT */
/*
 * pages.c - pages of the kernel's own, and what can be asked about any page.
 *
 * Own pages are pinned pages of an address space that no process sees.  A free one keeps its place there, so it costs no call
 * that would need the mmap lock; its references are counted here.
 */
#include <pthread.h>
#include <stdlib.h>

#include <linux/highmem.h>
#include <linux/mm.h>

#include "kd.h"

#define BUCKETS 1024u
#define FOLIO_PAGES 512u

/* 2^order frames that were allocated as one. */
struct own {
	struct own *next;     /* free */
	struct page *pages[FOLIO_PAGES];
	unsigned int order;
	unsigned int refs;    /* 0: free */
	unsigned int frames;  /* members */
};
/* Where a page belongs. */
struct member {
	struct member *next;
	struct page *page;
	struct own *own;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct member *members[BUCKETS];
static struct own *free_ones, *free_folios; /* a folio serves every order above 0 */
static void *kernel_mm;
static unsigned long next_single, next_folio, single_end, folio_end;
static struct page *first; /* names the place of all others */
static char *first_address;

static struct member **bucket(const struct page *page)
{
	return &members[((unsigned long)page / sizeof(*page)) % BUCKETS];
}

static struct own *own_of(const struct page *page)
{
	struct member *m = *bucket(page);

	while (m && m->page != page)
		m = m->next;
	return m ? m->own : NULL;
}

/* The frames of a place that was never used before; NULL: the machine has no more. */
static struct own *populate(bool folio)
{
	unsigned long *next = folio ? &next_folio : &next_single, n = folio ? FOLIO_PAGES : 1;
	struct own *o;

	if (*next + n * PAGE_SIZE > (folio ? folio_end : single_end))
		return NULL;
	o = kd_alloc(sizeof(*o));
	for (unsigned long i = 0; i < n; i++) {
		struct member *m;

		if (kd_glue_pin(kernel_mm, GLUE_FAST, *next + i * PAGE_SIZE, 1, GLUE_WRITE, &o->pages[i], NULL) != 1 ||
		    o->pages[i] != o->pages[0] + i) {
			/* No room, or no folio: what is there of it stays unused. */
			if (o->pages[i] && !own_of(o->pages[i]))
				kd_glue_unpin(o->pages[i]);
			*next += n * PAGE_SIZE;
			if (!o->frames)
				free(o);
			return NULL;
		}
		m = kd_alloc(sizeof(*m));
		o->frames++;
		*m = (struct member){ *bucket(o->pages[i]), o->pages[i], o };
		*bucket(o->pages[i]) = m;
	}
	*next += n * PAGE_SIZE;
	return o;
}

void kd_pages_start(void *mm, unsigned long singles, unsigned long folios, size_t bytes)
{
	kernel_mm = mm;
	next_single = singles;
	next_folio = folios;
	single_end = singles + bytes;
	folio_end = folios + bytes;
	free_ones = populate(false);
	first = free_ones->pages[0];
	first_address = kd_glue_address(first);
}

void kd_pages_stop(void)
{
	for (unsigned i = 0; i < BUCKETS; i++) {
		for (struct member *m; (m = members[i]); free(m)) {
			struct own *o = m->own;

			members[i] = m->next;
			kd_glue_unpin(m->page);
			if (!--o->frames)
				free(o);
		}
	}
	free_ones = free_folios = NULL;
}

struct page *alloc_pages(gfp_t gfp, unsigned int order)
{
	struct own **from = order ? &free_folios : &free_ones, *o;

	if (gfpflags_allow_blocking(gfp))
		kd_might_sleep("alloc_pages");
	if (order > 9 || (!(gfp & __GFP_NOFAIL) && kd_inject(KD_ALLOC)))
		return NULL;
	pthread_mutex_lock(&mutex);
	o = *from;
	if (o)
		*from = o->next;
	else
		o = populate(order);
	if (o) {
		o->order = order;
		o->refs = 1;
	}
	pthread_mutex_unlock(&mutex);
	if (!o)
		return NULL;
	memset(kd_glue_address(o->pages[0]), gfp & __GFP_ZERO ? 0 : 0xa5, PAGE_SIZE << order);
	kd_take((struct kd_entry){ .kind = KD_PAGES, .key = o->pages[0], .size = PAGE_SIZE << order, .call = "alloc_pages",
	                           .site = KD_SITE });
	return o->pages[0];
}

bool kd_own_get(struct page *page)
{
	struct own *o;
	bool good;

	pthread_mutex_lock(&mutex);
	o = own_of(page);
	good = o && o->refs;
	if (good)
		o->refs++;
	pthread_mutex_unlock(&mutex);
	if (o && !good)
		kd_problem("get_page(%p): the page is free", (void *)page);
	if (good)
		kd_take((struct kd_entry){ .kind = KD_PAGES, .key = o->pages[0], .size = PAGE_SIZE << o->order,
		                           .call = "get_page", .site = KD_SITE });
	return o;
}

bool kd_own_put(struct page *page, const char *call)
{
	struct own *o;

	pthread_mutex_lock(&mutex);
	o = own_of(page);
	pthread_mutex_unlock(&mutex);
	if (!o)
		return false;
	if (!kd_drop(KD_PAGES, o->pages[0], NULL)) {
		kd_problem("%s(%p): the page is free already", call, (void *)page);
		return true;
	}
	pthread_mutex_lock(&mutex);
	if (!--o->refs) {
		struct own **to = o->order ? &free_folios : &free_ones;

		memset(kd_glue_address(o->pages[0]), 0x6b, PAGE_SIZE << o->order);
		o->next = *to;
		*to = o;
	}
	pthread_mutex_unlock(&mutex);
	return true;
}

void __free_pages(struct page *page, unsigned int order)
{
	struct own *o = own_of(page);

	if (!o)
		kd_problem("__free_pages(%p): not from alloc_pages()", (void *)page);
	else if (o->order != order || o->pages[0] != page)
		kd_problem("__free_pages(%p, %u): it was allocated with order %u", (void *)page, order, o->order);
	else
		kd_own_put(page, "__free_pages");
}

unsigned long __get_free_pages(gfp_t gfp, unsigned int order)
{
	struct page *page = alloc_pages(gfp, order);

	return page ? (unsigned long)kd_glue_address(page) : 0;
}

void free_pages(unsigned long addr, unsigned int order)
{
	struct page *page = addr ? virt_to_page((void *)addr) : NULL;

	if (page)
		__free_pages(page, order);
}

/* ---- any page ---------------------------------------------------------------------------------- */

void *page_address(const struct page *page)
{
	return kd_glue_address(page);
}

/* Records and frames are in the same order, so any of them names the place of all others. */
static struct page *page_at(const void *addr)
{
	long n = ((const char *)addr - first_address) >> PAGE_SHIFT;
	struct page *page = (struct page *)((unsigned long)first + (unsigned long)n * sizeof(*first));

	return kd_glue_address(page) == (void *)((unsigned long)addr & PAGE_MASK) ? page : NULL;
}

bool virt_addr_valid(const void *addr)
{
	return page_at(addr);
}

struct page *virt_to_page(const void *addr)
{
	struct page *page = page_at(addr);

	if (!page)
		kd_problem("virt_to_page(%p): memory that has no page (only alloc_page() and pins have)", addr);
	return page;
}

struct page *kd_compound_head(const struct page *page, unsigned long *nr)
{
	struct own *o;

	pthread_mutex_lock(&mutex);
	o = own_of(page);
	pthread_mutex_unlock(&mutex);
	if (nr)
		*nr = o ? 1ul << o->order : 1;
	return o ? o->pages[0] : (struct page *)(unsigned long)page;
}

static bool is_held(const struct page *page)
{
	return kd_find(KD_PINNED, page, NULL) || kd_find(KD_REFERENCE, page, NULL) || own_of(page);
}

int set_page_dirty(struct page *page)
{
	if (!is_held(page))
		kd_problem("set_page_dirty(%p): the page is not held", (void *)page);
	if (kd_find(KD_DIRTY, page, NULL))
		return 0;
	kd_take((struct kd_entry){ .kind = KD_DIRTY, .key = page });
	return 1;
}

int set_page_dirty_lock(struct page *page)
{
	kd_might_sleep("set_page_dirty_lock");
	return set_page_dirty(page);
}

bool PageDirty(struct page *page)
{
	return kd_find(KD_DIRTY, page, NULL);
}

void dump_page(struct page *page, const char *reason)
{
	printk(KERN_WARNING "page %p at %p: %s%s%s, %s\n", (void *)page, kd_glue_address(page),
	       kd_find(KD_PINNED, page, NULL) ? "pinned" : "not pinned",
	       kd_find(KD_REFERENCE, page, NULL) ? ", referenced" : "", PageDirty(page) ? ", dirty" : "", reason);
}

/* ---- kmap: more tells the ways apart ------------------------------------------------------------- */

static void *map(struct page *page, unsigned long way, const char *call, const void *site)
{
	void *p = kd_glue_address(page);

	kd_take((struct kd_entry){ .kind = KD_KMAP, .key = p, .size = PAGE_SIZE, .more = way, .call = call, .site = site });
	return p;
}

static void unmap(const void *p, unsigned long way, const char *call)
{
	const void *key = (const void *)((unsigned long)p & PAGE_MASK);

	if (!kd_drop_as(KD_KMAP, key, way, false))
		kd_problem("%s(%p): not mapped that way", call, p);
}

void *kmap(struct page *page)
{
	kd_might_sleep("kmap");
	return map(page, 0, "kmap", KD_SITE);
}

void kunmap(struct page *page)
{
	unmap(kd_glue_address(page), 0, "kunmap");
}

void *kmap_local_page(struct page *page)
{
	return map(page, 1, "kmap_local_page", KD_SITE);
}

void kunmap_local(const void *addr)
{
	unmap(addr, 1, "kunmap_local");
}

void *kmap_atomic(struct page *page)
{
	kd_atomic(1);
	return map(page, 2, "kmap_atomic", KD_SITE);
}

void kunmap_atomic(const void *addr)
{
	unmap(addr, 2, "kunmap_atomic");
	kd_atomic(-1);
}
