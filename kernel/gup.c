/* SPDX-License-Identifier: MIT */
/*
 * gup.c - gets, pins and their releases: what both versions of the interface have in common.  gup52.c and gup618.c are the two.
 *
 * A pin is the machine's pin.  A plain get is a pin that is exchanged for a reference before it is handed out.
 */
#include <linux/highmem.h>

#include "gup.h"

/* How the call is made; without the lock that it wants it is told, and made all the same, with the lock. */
static int way_of(const struct kd_gup *g, enum glue_way *way)
{
	bool held = kd_held(&g->mm->mmap_lock.lock, KD_READ);

	*way = g->way;
	if (g->way == GLUE_LOCKED && !held) {
		kd_problem("%s(): the mmap lock is not held", g->call);
		*way = GLUE_UNLOCKED;
	}
	if (g->way != GLUE_LOCKED && held) {
		kd_problem("%s(): takes the mmap lock, which the thread holds", g->call);
		return -EDEADLK;
	}
	return 0;
}

/* Pages taken are in the ledger, and are references if that was asked for. */
static void note(const struct kd_gup *g, long n)
{
	for (long i = 0; i < n; i++) {
		struct page *page = g->pages[i];

		if (g->reference) {
			kd_glue_get(page);
			kd_glue_unpin(page);
		}
		kd_take((struct kd_entry){ .kind = g->reference ? KD_REFERENCE : KD_PINNED, .key = page, .size = PAGE_SIZE,
		                           .call = g->call, .site = g->site });
	}
}

long kd_gup(const struct kd_gup *g)
{
	unsigned long n = g->n;
	enum glue_way way;
	int locked = 1;
	long r;

	kd_might_sleep(g->call);
	if (!g->mm)
		return -EFAULT;
	r = way_of(g, &way);
	if (r)
		return r;
	if (n && kd_inject(KD_PIN))
		return -ENOMEM;
	if (n && kd_inject(KD_PIN_SHORT)) {
		if (n == 1)
			return -EFAULT;
		n /= 2;
	}
	r = kd_glue_pin(g->mm->kd_mm, way, g->start, n, g->flags, g->pages,
	             g->locked && way == GLUE_LOCKED ? &locked : NULL);
	if (g->locked && way == GLUE_LOCKED && locked && kd_inject(KD_DROP)) {
		kd_glue_unlock(g->mm->kd_mm, false);
		locked = 0;
	}
	if (!locked) {
		kd_lock_dropped(&g->mm->mmap_lock.lock);
		*g->locked = 0;
	}
	if (g->pages)
		note(g, r);
	return r;
}

/* Some DMA mapping of the page whose address is arg? */
static bool is_mapped(const struct kd_entry *e, const void *arg)
{
	const char *p = arg, *from = e->key;

	return from < p + PAGE_SIZE && p < from + e->size;
}

static void check_dma(struct page *page, const char *call)
{
	struct kd_entry e;

	if (!kd_live(KD_MAPPED) || kd_find(KD_PINNED, page, NULL) || kd_find(KD_REFERENCE, page, NULL))
		return;
	if (kd_search(KD_MAPPED, is_mapped, kd_glue_address(page), &e))
		kd_problem("%s(): %s() still maps the page for a device", call, e.call);
}

void kd_release(struct page *page, enum kd_kind kind, const char *call, bool tolerant)
{
	enum kd_kind other = kind == KD_PINNED ? KD_REFERENCE : KD_PINNED;
	struct kd_entry e = { .kind = kind };
	int r;

	if (kind == KD_REFERENCE && kd_own_put(page, call))
		return;
	if (!kd_drop(kind, page, NULL)) {
		if (!kd_drop(other, page, &e)) {
			kd_problem("%s(%p): the page is not held", call, (void *)page);
			return;
		}
		if (!tolerant)
			kd_problem("%s(): mismatch: %s() took the page", call, e.call);
	}
	check_dma(page, call);
	if (e.kind == KD_REFERENCE)
		r = kd_glue_put(page);
	else if (PageDirty(page))
		r = kd_glue_unpin_dirty(page, false);
	else
		r = kd_glue_unpin(page);
	if (r)
		kd_problem("%s(%p): refused by the machine: %d", call, (void *)page, r);
}

void kd_release_dirty(struct page *page, const char *call)
{
	if (kd_find(KD_PINNED, page, NULL))
		set_page_dirty(page);
	kd_release(page, KD_PINNED, call, false);
}

void get_page(struct page *page)
{
	if (kd_own_get(page))
		return;
	if (!kd_find(KD_PINNED, page, NULL) && !kd_find(KD_REFERENCE, page, NULL)) {
		kd_problem("get_page(%p): the page is not held", (void *)page);
		return;
	}
	if (kd_glue_get(page)) {
		kd_problem("get_page(%p): refused by the machine", (void *)page);
		return;
	}
	kd_take((struct kd_entry){ .kind = KD_REFERENCE, .key = page, .size = PAGE_SIZE, .call = "get_page", .site = KD_SITE });
}

void release_pages(struct page **pages, int n)
{
	bool tolerant = kd_opts.flags & KD_PUT_PAGE_RELEASES;

	for (int i = 0; i < n; i++)
		kd_release(pages[i], KD_REFERENCE, "release_pages", tolerant);
}
