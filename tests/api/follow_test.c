/* SPDX-License-Identifier: MIT */
/* follow_test.c - follow_page() and vma_lookup(): what a pin would get, without a fault. */
#include "anon.h"

#include "mm/page.h"

static struct page *follow(const struct space *s, unsigned p, unsigned flags)
{
	struct page *page;

	mmap_read_lock(s->mm);
	page = follow_page(vma_lookup(s->mm, s->at + p * PG), s->at + p * PG, flags);
	mmap_read_unlock(s->mm);
	return page;
}

static long follow_error(const struct space *s, unsigned p, unsigned flags)
{
	struct page *page = follow(s, p, flags);

	return IS_ERR(page) ? PTR_ERR(page) : page ? 1 : 0;
}

/* ---- files ------------------------------------------------------------------------------------- */

/* Header: the mapping, while its lock is held. */
static void a_mapping_is_found_by_any_of_its_addresses(void **state)
{
	struct vm_area_struct *vma;
	struct mm_struct *other;
	struct world w;

	WORLD(w, *state, .pages = 3);
	assert_null(vma_lookup(w.mm, w.at));
	assert_ok(pinfold_mm_create(w.m, PINFOLD_WINDOW_NONE, &other));
	mmap_read_lock(w.mm);
	vma = vma_lookup(w.mm, w.at);
	assert_non_null(vma);
	assert_ptr_equal(vma_lookup(w.mm, w.at + 3 * PG - 1), vma);
	assert_null(vma_lookup(w.mm, w.at + 3 * PG));
	assert_null(vma_lookup(w.mm, w.at - 1));
	assert_null(vma_lookup(w.mm, 0));
	assert_null(vma_lookup(w.mm, ~0ul));
	assert_null(vma_lookup(NULL, w.at));
	assert_null(vma_lookup(other, w.at));
	mmap_read_unlock(w.mm);
	assert_ok(pinfold_mm_destroy(other));
	assert_null(vma_lookup(other, w.at));
	world_end(&w);
}

/* Clause F1, contract 1.6: looks only: nothing is read, nothing becomes writable, nothing is held. */
static void a_look_brings_nothing_in_and_holds_nothing(void **state)
{
	struct pinfold_stats before, after;
	struct page *page;
	struct space s;
	struct world w;

	WORLD(w, *state);
	s = space_of(&w);
	before = stats_of(w.m);
	assert_null(follow(&s, 3, 0));
	assert_null(follow(&s, 3, FOLL_GET | FOLL_WRITE));
	after = stats_of(w.m);
	assert_int_equal(after.pages_read, before.pages_read);
	assert_int_equal(after.faults_missing + after.faults_minor + after.faults_failed,
	                 before.faults_missing + before.faults_minor + before.faults_failed);
	page = pin_at(&s, 3, 0);
	assert_ok(put_user_page(page));
	before = stats_of(w.m);
	assert_ptr_equal(follow(&s, 3, 0), page);
	assert_null(follow(&s, 3, FOLL_WRITE)); /* clean, so not writable yet */
	assert_int_equal(put_user_page(page), -EINVAL); /* not pinned */
	after = stats_of(w.m);
	assert_int_equal(after.pins_acquired, before.pins_acquired);
	assert_int_equal(after.dirty_pages, 0);
	assert_int_equal(pinfold_reclaim(w.m, 100), 1);
	assert_null(follow(&s, 3, 0));
	store_page(&w, 1, 3);
	assert_ptr_equal(follow(&s, 3, FOLL_WRITE), page_at(&s, 3, FOLL_WRITE));
	world_end(&w);
}

/* Header: FOLL_GET is a pin like any other. */
static void with_get_the_page_is_pinned(void **state)
{
	struct page *page, *again;
	struct space s;
	struct world w;

	WORLD(w, *state);
	s = space_of(&w);
	assert_ok(put_user_page(pin_at(&s, 2, 0)));
	page = follow(&s, 2, FOLL_GET);
	assert_true(is_filled(page_address(page), 0, 2));
	assert_int_equal(now_pinned(w.m), 1);
	assert_int_equal(pinfold_reclaim(w.m, 100), 0);
	assert_ok(vm_munmap(w.mm, w.at + 2 * PG, PG));
	assert_true(is_filled(page_address(page), 0, 2)); /* M1 */
	assert_ok(put_user_page(page));
	assert_int_equal(put_user_page(page), -EINVAL);
	assert_ok(put_user_page(pin_at(&s, 3, FOLL_WRITE)));
	page = follow(&s, 3, FOLL_GET | FOLL_WRITE);
	again = follow(&s, 3, FOLL_GET | FOLL_LONGTERM);
	assert_ptr_equal(page, again);
	assert_int_equal(now_pinned(w.m), 2);
	assert_ok(put_user_pages_dirty_lock(&page, 1));
	assert_ok(put_user_page(again));
	world_end(&w);
}

/* Header: the mapping of the address, of the mm whose lock is held; it is compared, never looked into. */
static void the_wrong_mapping_is_refused(void **state)
{
	struct vm_area_struct *vma;
	struct world w, other;

	WORLD(w, *state);
	WORLD(other, &pool);
	assert_int_equal(PTR_ERR(follow_page(NULL, w.at, 0)), -EINVAL);
	mmap_read_lock(other.mm);
	assert_int_equal(PTR_ERR(follow_page((struct vm_area_struct *)64, w.at, 0)), -EINVAL);
	vma = vma_lookup(other.mm, other.at);
	mmap_read_unlock(other.mm);
	assert_int_equal(PTR_ERR(follow_page(vma, other.at, 0)), -EINVAL); /* not held */
	mmap_write_lock(w.mm);
	assert_int_equal(PTR_ERR(follow_page(vma, other.at, 0)), -EINVAL);
	assert_int_equal(PTR_ERR(follow_page(vma, w.at, 0)), -EINVAL);
	assert_int_equal(PTR_ERR(follow_page(NULL, w.at + w.pages * PG, 0)), -EINVAL);
	assert_int_equal(PTR_ERR(follow_page(vma_lookup(w.mm, w.at), w.at + w.pages * PG, 0)), -EINVAL);
	assert_int_equal(PTR_ERR(follow_page(vma_lookup(w.mm, w.at), ~0ul, 0)), -EOVERFLOW);
	assert_null(follow_page(vma_lookup(w.mm, w.at), w.at + 100, 0));
	mmap_write_unlock(w.mm);
	assert_int_equal(now_pinned(w.m), 0);
	world_end(&other);
	world_end(&w);
}

/* Clauses V2, V4, V7, V9 as replaced: the rights are those that a pin asks for. */
static void a_mapping_without_the_right_is_told(void **state)
{
	struct space s;
	struct world w;

	WORLD(w, *state);
	s = space_of(&w);
	for (unsigned p = 0; p < 2; p++)
		assert_ok(put_user_page(pin_at(&s, p, FOLL_WRITE)));
	assert_int_equal(follow_error(&s, 0, FOLL_ANON), -EFAULT);
	assert_int_equal(follow_error(&s, 0, FOLL_GET | FOLL_WRITE | FOLL_LONGTERM), -EFAULT);
	assert_int_equal(follow_error(&s, 0, FOLL_LONGTERM), -EINVAL); /* A11: nothing to hold */
	assert_ok(vm_mprotect(w.mm, w.at, PG, PINFOLD_PROT_READ));
	assert_ok(vm_mprotect(w.mm, w.at + PG, PG, PINFOLD_PROT_NONE));
	assert_int_equal(follow_error(&s, 0, FOLL_WRITE), -EFAULT);
	assert_int_equal(follow_error(&s, 0, FOLL_WRITE | FOLL_FORCE), -EFAULT); /* V5: shared */
	assert_int_equal(follow_error(&s, 1, 0), -EFAULT);
	assert_null(follow(&s, 1, FOLL_FORCE));
	for (unsigned p = 0; p < 2; p++) {
		struct page *page = page_at(&s, p, FOLL_FORCE);

		assert_ptr_equal(follow(&s, p, FOLL_FORCE), page);
	}
	world_end(&w);
}

static struct pinfold *evicting;
static _Atomic int stop_evicting;

static void *evict(void *arg)
{
	while (!atomic_load(&stop_evicting))
		pinfold_reclaim(evicting, 100);
	return arg;
}

/* Header: a pin through a look holds against eviction, whenever it comes. */
static void looks_and_evictions_never_meet(void **state)
{
	unsigned looks = 0;
	pthread_t t;
	struct space s;
	struct world w;

	WORLD(w, *state);
	s = space_of(&w);
	evicting = w.m;
	atomic_store(&stop_evicting, 0);
	assert_ok(pthread_create(&t, NULL, evict, NULL));
	for (unsigned i = 0; i < 100000 && stats_of(w.m).evicted < 200; i++) {
		struct page *page = follow(&s, i % 4, FOLL_GET);

		if (page)
			looks++;
		else
			page = pin_at(&s, i % 4, 0);
		assert_true(is_filled(page_address(page), 0, i % 4));
		assert_ok(put_user_page(page));
	}
	atomic_store(&stop_evicting, 1);
	assert_ok(pthread_join(t, NULL));
	print_message("%u looks found the page, %lu pages were evicted\n", looks, (unsigned long)stats_of(w.m).evicted);
	world_end(&w);
}

/* ---- memory ------------------------------------------------------------------------------------ */

/* Clauses V18, Z2, Z4, Z7: untouched memory is nothing, or the zero page; for a dump both are errors. */
static void untouched_memory_shows_nothing_or_the_zero_page(void **state)
{
	const struct kind *k = *state;
	struct pinfold *m = MACHINE();
	struct space s = new_space(m, k->window);
	struct page *zero;

	map_anon(&s, 0, 4, RW, PRIVATE);
	assert_null(follow(&s, 0, 0));
	assert_int_equal(follow_error(&s, 0, FOLL_DUMP), -EFAULT);
	zero = page_at(&s, 0, 0);
	assert_ptr_equal(follow(&s, 0, 0), zero);
	assert_ptr_equal(follow(&s, 0, FOLL_GET), zero);
	assert_int_equal(now_pinned(m), 0);
	assert_ok(put_user_page(zero));
	assert_null(follow(&s, 0, FOLL_WRITE));
	assert_null(follow(&s, 0, FOLL_GET | FOLL_LONGTERM)); /* U4: wants a page of its own */
	assert_int_equal(follow_error(&s, 0, FOLL_DUMP), -EFAULT);
	poke(&s, 0, 7);
	assert_int_equal(*device_word(follow(&s, 0, FOLL_DUMP)), 7);
	assert_ptr_equal(follow(&s, 0, FOLL_WRITE | FOLL_ANON), page_at(&s, 0, 0));
	end_both(m, &s);
}

/* Clause U1: a page that is shared with a snapshot is not to be pinned, so a look finds nothing. */
static void pages_shared_with_a_snapshot_are_not_found(void **state)
{
	const struct kind *k = *state;
	struct pinfold *m = MACHINE();
	struct space s = new_space(m, k->window), child;
	struct page *page;

	map_anon(&s, 0, 4, RW, PRIVATE);
	put_pages(&s, 1, 0, 4);
	page = page_at(&s, 1, 0);
	assert_ptr_equal(follow(&s, 1, 0), page);
	child = snapshot(m, &s, k->window);
	assert_null(follow(&s, 1, 0));
	assert_null(follow(&s, 1, FOLL_GET));
	assert_null(follow(&child, 1, FOLL_GET | FOLL_WRITE));
	put_pages(&s, 2, 1, 1);
	assert_ptr_equal(follow(&s, 1, 0), page_at(&s, 1, FOLL_WRITE));
	assert_true(pages_are(&child, 1, 1, 1));
	end_space(&child);
	end_both(m, &s);
}

/* Clauses U4, W3: pages of a file in a private mapping: found for a short read only; its own copy for all. */
static void private_pages_of_files_are_found_as_a_pin_would_take_them(void **state)
{
	struct world w;
	struct page *page;
	struct space s;

	WORLD(w, *state);
	s = new_space(w.m, w.mode);
	map_file(&s, 0, 8, RO, PRIVATE, w.file, 0);
	page = page_at(&s, 2, 0);
	assert_ptr_equal(follow(&s, 2, FOLL_GET), page);
	assert_ok(put_user_page(page));
	assert_null(follow(&s, 2, FOLL_GET | FOLL_LONGTERM));
	assert_int_equal(follow_error(&s, 2, FOLL_WRITE), -EFAULT);
	assert_null(follow(&s, 2, FOLL_WRITE | FOLL_FORCE));
	page = page_at(&s, 2, FOLL_WRITE | FOLL_FORCE);
	assert_ptr_equal(follow(&s, 2, FOLL_WRITE | FOLL_FORCE), page);
	assert_ptr_equal(follow(&s, 2, FOLL_GET | FOLL_LONGTERM), page);
	assert_ok(put_user_page(page));
	end_space(&s);
	assert_ok(pinfold_use_mm(w.mm));
	world_end(&w);
}

/* Header: a page of a folio is found, and pinned, by itself. */
static void pages_of_a_folio_are_found_one_by_one(void **state)
{
	const struct kind *k = *state;
	struct pinfold *m = MACHINE();
	struct space s = new_space(m, k->window);
	struct page *head, *page;

	map_anon(&s, 0, 512, RW, PRIVATE);
	assert_ok(vm_madvise(s.mm, s.at, LEAF, PINFOLD_MADV_HUGEPAGE));
	poke(&s, 0, 1);
	assert_int_equal(stats_of(m).folios_mapped, 1);
	head = follow(&s, 0, FOLL_WRITE);
	page = follow(&s, 77, FOLL_GET | FOLL_WRITE);
	assert_int_equal((char *)page_address(page) - (char *)page_address(head), 77 * PG);
	assert_int_equal(pinfold_split_folio(s.mm, s.at), -EBUSY);
	assert_ok(put_user_page(page));
	assert_ok(pinfold_split_folio(s.mm, s.at));
	assert_ptr_equal(follow(&s, 77, 0), page);
	end_both(m, &s);
}

/* Clause R6: a page whose pins are at their guard. */
static void a_page_that_cannot_be_pinned_any_more_is_enomem(void **state)
{
	const struct kind *k = *state;
	struct pinfold *m = MACHINE();
	struct space s = new_space(m, k->window);
	struct page *page;

	map_anon(&s, 0, 1, RW, PRIVATE);
	poke(&s, 0, 1);
	page = page_at(&s, 0, 0);
	atomic_fetch_add(&page->count, PC_PIN * PC_PIN_MAX);
	assert_int_equal(follow_error(&s, 0, FOLL_GET), -ENOMEM);
	atomic_fetch_sub(&page->count, PC_PIN * PC_PIN_MAX);
	assert_ptr_equal(follow(&s, 0, FOLL_GET), page);
	assert_ok(put_user_page(page));
	end_both(m, &s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		EACH(a_mapping_is_found_by_any_of_its_addresses),
		EACH(a_look_brings_nothing_in_and_holds_nothing),
		EACH(with_get_the_page_is_pinned),
		EACH(the_wrong_mapping_is_refused),
		EACH(a_mapping_without_the_right_is_told),
		EACH(looks_and_evictions_never_meet),
		BOTH(untouched_memory_shows_nothing_or_the_zero_page),
		BOTH(pages_shared_with_a_snapshot_are_not_found),
		FILES(private_pages_of_files_are_found_as_a_pin_would_take_them),
		BOTH(pages_of_a_folio_are_found_one_by_one),
		BOTH(a_page_that_cannot_be_pinned_any_more_is_enomem),
	};

	return world_main(tests);
}
