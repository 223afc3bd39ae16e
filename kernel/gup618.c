/* SPDX-License-Identifier: MIT */
/* gup618.c - the pin calls of 6.18. */
#include "gup.h"

#define INTERNAL 0x7f0000u /* TOUCH to MADV_POPULATE: the callers' from 6.4 on no more (clause A4) */

enum family { GET, PIN };

/* Clauses A4 to A9. */
static bool is_valid(const struct kd_gup *g, unsigned flags, enum family family)
{
	if (flags & INTERNAL || (g->locked && *g->locked != 1))
		return false;
	if (family == PIN)
		return !(flags & FOLL_GET) && g->pages && !(flags & FOLL_LONGTERM && flags & FOLL_PCI_P2PDMA);
	return !(flags & FOLL_LONGTERM) && (g->pages || !(flags & FOLL_GET));
}

/* 0; -EINVAL, told as the kernel does; -EOPNOTSUPP what this machine has not. */
static int check(struct kd_gup *g, unsigned flags, enum family family)
{
	const unsigned fast = FOLL_WRITE | FOLL_LONGTERM | FOLL_FORCE | FOLL_GET | FOLL_NOFAULT | FOLL_PCI_P2PDMA |
	                      FOLL_HONOR_NUMA_FAULT;
	bool valid = is_valid(g, flags, family) && (g->way != GLUE_FAST || !(flags & ~fast));

	if (WARN(!valid, "%s(): gup_flags 0x%x, pages or locked are not valid", g->call, flags))
		return -EINVAL;
	if (flags & FOLL_NOFAULT || flags & ~0x1fffu) {
		kd_problem("%s(): gup_flags 0x%x: not in this double", g->call, flags);
		return -EOPNOTSUPP;
	}
	g->reference = family == GET;
	g->flags = (flags & FOLL_WRITE ? GLUE_WRITE : 0) | (flags & FOLL_DUMP ? GLUE_DUMP : 0) |
	           (flags & FOLL_FORCE ? GLUE_FORCE : 0) | (flags & FOLL_NOWAIT ? GLUE_NOWAIT : 0) |
	           (flags & FOLL_ANON ? GLUE_ANON : 0) | (flags & FOLL_LONGTERM ? GLUE_LONGTERM : 0);
	return 0;
}

/* Of arguments that are not valid a slow pin says 0 (clause A10). */
static long run(struct kd_gup *g, unsigned flags, enum family family)
{
	int r = check(g, flags, family);

	if (r == -EINVAL && family == PIN && g->way != GLUE_FAST)
		return 0;
	return r ? r : kd_gup(g);
}

static int run_fast(struct kd_gup *g, int nr_pages, unsigned flags, enum family family)
{
	int r = check(g, flags, family);

	if (r || !nr_pages)
		return r;
	if (nr_pages < 0 || g->start + g->n * PAGE_SIZE < g->start)
		return -EOVERFLOW;
	return (int)kd_gup(g);
}

#define CALL(name, where, space, first, nr, list, lock) \
	struct kd_gup g = { .call = name, .site = KD_SITE, .mm = space, .way = where, .start = first, .n = nr, \
	                    .pages = list, .locked = lock }

long get_user_pages(unsigned long start, unsigned long nr_pages, unsigned int gup_flags, struct page **pages)
{
	CALL("get_user_pages", GLUE_LOCKED, current->mm, start, nr_pages, pages, NULL);

	return run(&g, gup_flags, GET);
}

long pin_user_pages(unsigned long start, unsigned long nr_pages, unsigned int gup_flags, struct page **pages)
{
	CALL("pin_user_pages", GLUE_LOCKED, current->mm, start, nr_pages, pages, NULL);

	return run(&g, gup_flags, PIN);
}

long get_user_pages_remote(struct mm_struct *mm, unsigned long start, unsigned long nr_pages, unsigned int gup_flags,
                           struct page **pages, int *locked)
{
	CALL("get_user_pages_remote", GLUE_LOCKED, mm, start, nr_pages, pages, locked);

	return run(&g, gup_flags, GET);
}

long pin_user_pages_remote(struct mm_struct *mm, unsigned long start, unsigned long nr_pages, unsigned int gup_flags,
                           struct page **pages, int *locked)
{
	CALL("pin_user_pages_remote", GLUE_LOCKED, mm, start, nr_pages, pages, locked);

	return run(&g, gup_flags, PIN);
}

long get_user_pages_unlocked(unsigned long start, unsigned long nr_pages, struct page **pages, unsigned int gup_flags)
{
	CALL("get_user_pages_unlocked", GLUE_UNLOCKED, current->mm, start, nr_pages, pages, NULL);

	return run(&g, gup_flags, GET);
}

long pin_user_pages_unlocked(unsigned long start, unsigned long nr_pages, struct page **pages, unsigned int gup_flags)
{
	CALL("pin_user_pages_unlocked", GLUE_UNLOCKED, current->mm, start, nr_pages, pages, NULL);

	return run(&g, gup_flags, PIN);
}

int get_user_pages_fast(unsigned long start, int nr_pages, unsigned int gup_flags, struct page **pages)
{
	CALL("get_user_pages_fast", GLUE_FAST, current->mm, start, (unsigned long)nr_pages, pages, NULL);

	return run_fast(&g, nr_pages, gup_flags, GET);
}

int pin_user_pages_fast(unsigned long start, int nr_pages, unsigned int gup_flags, struct page **pages)
{
	CALL("pin_user_pages_fast", GLUE_FAST, current->mm, start, (unsigned long)nr_pages, pages, NULL);

	return run_fast(&g, nr_pages, gup_flags, PIN);
}

/* ---- releases ---------------------------------------------------------------------------------- */

/* A caller that hands on an error as its count. */
static bool is_error(unsigned long n, const char *call)
{
	return WARN(IS_ERR_VALUE(n), "%s(): %ld is an error, not a count", call, (long)n);
}

void unpin_user_page(struct page *page)
{
	kd_release(page, KD_PINNED, "unpin_user_page", false);
}

void unpin_user_pages(struct page **pages, unsigned long npages)
{
	if (is_error(npages, "unpin_user_pages"))
		return;
	for (unsigned long i = 0; i < npages; i++)
		if (pages[i])
			kd_release(pages[i], KD_PINNED, "unpin_user_pages", false);
}

void unpin_user_pages_dirty_lock(struct page **pages, unsigned long npages, bool make_dirty)
{
	if (!make_dirty) {
		unpin_user_pages(pages, npages);
		return;
	}
	kd_might_sleep("unpin_user_pages_dirty_lock");
	for (unsigned long i = 0; i < npages; i++)
		kd_release_dirty(pages[i], "unpin_user_pages_dirty_lock");
}

void unpin_user_page_range_dirty_lock(struct page *page, unsigned long npages, bool make_dirty)
{
	kd_might_sleep("unpin_user_page_range_dirty_lock");
	for (unsigned long i = 0; i < npages; i++) {
		if (make_dirty)
			kd_release_dirty(page + i, "unpin_user_page_range_dirty_lock");
		else
			kd_release(page + i, KD_PINNED, "unpin_user_page_range_dirty_lock", false);
	}
}

void unpin_user_folio(struct folio *folio, unsigned long npages)
{
	for (unsigned long i = 0; i < npages; i++)
		kd_release(&folio->page, KD_PINNED, "unpin_user_folio", false);
}

void unpin_folio(struct folio *folio)
{
	kd_release(&folio->page, KD_PINNED, "unpin_folio", false);
}

void unpin_folios(struct folio **folios, unsigned long nfolios)
{
	if (is_error(nfolios, "unpin_folios"))
		return;
	for (unsigned long i = 0; i < nfolios; i++)
		if (folios[i])
			kd_release(&folios[i]->page, KD_PINNED, "unpin_folios", false);
}

bool folio_maybe_dma_pinned(struct folio *folio)
{
	return kd_find(KD_PINNED, &folio->page, NULL);
}

void put_page(struct page *page)
{
	kd_release(page, KD_REFERENCE, "put_page", false);
}
