/* SPDX-License-Identifier: MIT */
/* gup52.c - the pin calls of 5.2. */
#define PINFOLD_KERNEL_VERSION 0x050200
#include "gup.h"

/* Longterm in a call that cannot look at the mappings any more (clause A3), and what this machine has not. */
static int check(struct kd_gup *g, unsigned flags, bool longterm)
{
	const unsigned known = FOLL_WRITE | FOLL_TOUCH | FOLL_GET | FOLL_DUMP | FOLL_FORCE | FOLL_NOWAIT | FOLL_HWPOISON |
	                       FOLL_ANON | FOLL_LONGTERM;

	if (flags & ~known)
		kd_problem("%s(): gup_flags 0x%x: not in this double", g->call, flags & ~known);
	if (flags & ~known)
		return -EINVAL;
	if (WARN(flags & FOLL_LONGTERM && !longterm, "%s() with FOLL_LONGTERM", g->call))
		return -EINVAL;
	if (flags & FOLL_LONGTERM && !g->pages)
		return -EINVAL;
	g->flags = (flags & FOLL_WRITE ? GLUE_WRITE : 0) | (flags & FOLL_DUMP ? GLUE_DUMP : 0) |
	           (flags & FOLL_FORCE ? GLUE_FORCE : 0) | (flags & FOLL_NOWAIT ? GLUE_NOWAIT : 0) |
	           (flags & FOLL_ANON ? GLUE_ANON : 0) | (flags & FOLL_LONGTERM ? GLUE_LONGTERM : 0);
	return 0;
}

static long run(struct kd_gup *g, unsigned flags, bool longterm)
{
	int r = check(g, flags, longterm);

	return r ? r : kd_gup(g);
}

static void fill_vmas(struct mm_struct *mm, unsigned long start, long n, struct vm_area_struct **vmas)
{
	for (long i = 0; vmas && i < n; i++)
		vmas[i] = vma_lookup(mm, start + (unsigned long)i * PAGE_SIZE);
}

long get_user_pages(unsigned long start, unsigned long nr_pages, unsigned int gup_flags, struct page **pages,
                    struct vm_area_struct **vmas)
{
	struct kd_gup g = { .call = "get_user_pages", .site = KD_SITE, .mm = current->mm, .start = start, .n = nr_pages,
	                    .pages = pages };
	long r = run(&g, gup_flags, true);

	fill_vmas(g.mm, start, r, vmas);
	return r;
}

long get_user_pages_remote(struct task_struct *tsk, struct mm_struct *mm, unsigned long start, unsigned long nr_pages,
                           unsigned int gup_flags, struct page **pages, struct vm_area_struct **vmas, int *locked)
{
	struct kd_gup g = { .call = "get_user_pages_remote", .site = KD_SITE, .mm = mm, .start = start, .n = nr_pages,
	                    .pages = pages, .locked = locked };
	long r;

	(void)tsk;
	BUG_ON(locked && (vmas || *locked != 1));
	r = run(&g, gup_flags, false);
	fill_vmas(mm, start, r, vmas);
	return r;
}

long get_user_pages_locked(unsigned long start, unsigned long nr_pages, unsigned int gup_flags, struct page **pages,
                           int *locked)
{
	struct kd_gup g = { .call = "get_user_pages_locked", .site = KD_SITE, .mm = current->mm, .start = start, .n = nr_pages,
	                    .pages = pages, .locked = locked };

	BUG_ON(locked && *locked != 1);
	return run(&g, gup_flags, false);
}

long get_user_pages_unlocked(unsigned long start, unsigned long nr_pages, struct page **pages, unsigned int gup_flags)
{
	struct kd_gup g = { .call = "get_user_pages_unlocked", .site = KD_SITE, .mm = current->mm, .way = GLUE_UNLOCKED,
	                    .start = start, .n = nr_pages, .pages = pages };

	return run(&g, gup_flags, false);
}

int get_user_pages_fast(unsigned long start, int nr_pages, unsigned int gup_flags, struct page **pages)
{
	struct kd_gup g = { .call = "get_user_pages_fast", .site = KD_SITE, .mm = current->mm, .way = GLUE_FAST,
	                    .start = start, .n = (unsigned long)nr_pages, .pages = pages };

	return nr_pages <= 0 ? 0 : (int)run(&g, gup_flags, true);
}

void put_user_page(struct page *page)
{
	kd_release(page, KD_PINNED, "put_user_page", false);
}

void put_user_pages(struct page **pages, unsigned long npages)
{
	for (unsigned long i = 0; i < npages; i++)
		kd_release(pages[i], KD_PINNED, "put_user_pages", false);
}

void put_user_pages_dirty(struct page **pages, unsigned long npages)
{
	for (unsigned long i = 0; i < npages; i++)
		kd_release_dirty(pages[i], "put_user_pages_dirty");
}

void put_user_pages_dirty_lock(struct page **pages, unsigned long npages)
{
	kd_might_sleep("put_user_pages_dirty_lock");
	for (unsigned long i = 0; i < npages; i++)
		kd_release_dirty(pages[i], "put_user_pages_dirty_lock");
}

void put_page(struct page *page)
{
	kd_release(page, KD_REFERENCE, "put_page", kd_opts.flags & KD_PUT_PAGE_RELEASES);
}
