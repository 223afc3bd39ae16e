/* SPDX-License-Identifier: MIT */
/*
 * folio_test.c - memory in folios of 2 MiB (group H): mapped and pinned whole or in part, their mappings split under
 * pins, the folios themselves split when nobody holds them, copied page by page by snapshots.
 */
#include "anon.h"

#define ONE 512u /* pages */

/* n folios' worth of memory at page 0 that wants folios, not touched yet. */
static struct space huge_space(struct pinfold *m, enum pinfold_window mode, unsigned n)
{
	struct space s = new_space(m, mode);

	map_anon(&s, 0, n * ONE, RW, PRIVATE);
	assert_ok(vm_madvise(s.mm, s.at, n * LEAF, PINFOLD_MADV_HUGEPAGE));
	return s;
}

/* The same, page p holding seed 1. */
static struct space filled_folios(struct pinfold *m, enum pinfold_window mode, unsigned n)
{
	struct space s = huge_space(m, mode, n);

	put_pages(&s, 1, 0, n * ONE);
	assert_int_equal(stats_of(m).folios_mapped, n);
	return s;
}

/* ---- mapped and pinned whole -------------------------------------------------------------------- */

/* Clauses H1, H2, D9: one pin call has all 512, in order and in one piece; each counts. */
static void a_folio_is_pinned_in_one_call(void **state)
{
	const struct kind *k = *state;
	struct pinfold *m = MACHINE();
	uint64_t before = frames_free(m);
	struct space s = filled_folios(m, k->window, 2);
	struct page **pages = calloc(2 * ONE, sizeof(*pages));

	assert_int_equal(frames_free(m), before - 2 * ONE);
	assert_int_equal(stats_of(m).folio_fallbacks, 0);
	assert_ok(pinfold_use_mm(s.mm));
	for (int c = 0; c < NR_CALLS; c++) {
		const unsigned flags[] = { 0, FOLL_WRITE, FOLL_LONGTERM | FOLL_WRITE };

		assert_int_equal(call(c, s.mm, s.at, 2 * ONE, flags[c % 3], pages), 2 * ONE);
		assert_int_equal(now_pinned(m), 2 * ONE);
		for (unsigned p = 0; p < 2 * ONE; p++) {
			assert_true(is_filled(page_address(pages[p]), 1, p));
			if (p % ONE)
				assert_ptr_equal(page_address(pages[p]), (char *)page_address(pages[p - 1]) + PG);
		}
		assert_ok(c & 1 ? put_user_pages(pages, 2 * ONE) : put_user_pages_dirty_lock(pages, 2 * ONE));
		assert_int_equal(now_pinned(m), 0);
	}
	free(pages);
	end_both(m, &s);
}

/* Clauses H9, H10, P10, D9: from the middle, in pieces, given back one by one; the wrong release is refused. */
static void parts_of_a_folio_are_pinned_and_counted(void **state)
{
	const struct kind *k = *state;
	struct pinfold *m = MACHINE();
	struct space s = filled_folios(m, k->window, 1);
	struct page *pages[ONE], *more[8];

	assert_ok(pinfold_use_mm(s.mm));
	for (int c = 0; c < NR_CALLS; c++) {
		assert_int_equal(call(c, s.mm, s.at + 300 * PG, ONE, FOLL_WRITE, pages), ONE - 300);
		assert_true(is_filled(page_address(pages[0]), 1, 300) && is_filled(page_address(pages[211]), 1, 511));
		assert_int_equal(call(c, s.mm, s.at + 305 * PG, 8, 0, more), 8);
		assert_ptr_equal(more[0], pages[5]);
		assert_int_equal(now_pinned(m), ONE - 300 + 8);
		assert_int_equal(put_page(pages[7]), -EINVAL);
		for (unsigned i = 0; i < ONE - 300; i++)
			assert_ok(put_user_page(pages[ONE - 301 - i]));
		assert_int_equal(now_pinned(m), 8);
		assert_ok(put_user_pages(more, 8));
		assert_int_equal(put_user_page(pages[0]), -EINVAL);
		assert_int_equal(put_user_pages(more, 8), -EINVAL);
	}
	end_both(m, &s);
}

/* Clauses H1, R13: references as well count for the folio; they keep it when its mapping goes. */
static void a_reference_to_one_page_keeps_the_folio(void **state)
{
	const struct kind *k = *state;
	struct pinfold *m = MACHINE();
	uint64_t free = frames_free(m);
	struct space s = filled_folios(m, k->window, 1);
	struct page *page = pin_at(&s, 77, 0);

	assert_ok(get_page(page));
	assert_ok(put_user_page(page));
	assert_int_equal(stats_of(m).refs, 1);
	assert_ok(vm_munmap(s.mm, s.at, LEAF));
	assert_int_equal(frames_free(m), free - ONE);
	assert_true(is_filled(page_address(page), 1, 77));
	assert_ok(put_page(page));
	assert_int_equal(put_page(page), -EINVAL);
	assert_int_equal(frames_free(m), free);
	end_both(m, &s);
}

/* Decision D5: a folio is one mapping of a window, made by one call. */
static void a_window_maps_a_folio_with_one_call(void **state)
{
	const struct kind *k = *state;
	struct pinfold *m = MACHINE();
	struct space s = huge_space(m, k->window, 2);
	struct pinfold_stats before = stats_of(m), after;

	poke(&s, 5 * PG, 1);
	for (unsigned p = 0; p < ONE; p++)
		assert_int_equal(peek(&s, p * PG + 8), 0);
	put_pages(&s, 1, 0, ONE);
	after = stats_of(m);
	assert_int_equal(after.folios_mapped, 1);
	assert_int_equal(after.window_installs - before.window_installs, 1);
	assert_true(after.window_vmas - before.window_vmas <= 1);
	end_both(m, &s);
}

/* Header: NOHUGEPAGE is the default; a mapping with no room for 2 MiB has smaller ones; reads find zeroes. */
static void folios_come_where_they_are_asked_for_and_fit(void **state)
{
	const struct kind *k = *state;
	struct pinfold *m = MACHINE();
	struct space s = new_space(m, k->window);

	map_anon(&s, 0, 4 * ONE, RW, PRIVATE);
	put_pages(&s, 1, 3, 1);
	assert_int_equal(stats_of(m).folios_mapped, 0);
	assert_ok(vm_madvise(s.mm, s.at + LEAF, LEAF, PINFOLD_MADV_HUGEPAGE));
	assert_ok(vm_madvise(s.mm, s.at + 2 * LEAF, LEAF, PINFOLD_MADV_NOHUGEPAGE));
	put_pages(&s, 1, ONE + 3, 1);
	put_pages(&s, 1, 2 * ONE + 3, 1);
	assert_int_equal(stats_of(m).folios_mapped, 1);
	assert_true(pages_are_zero(&s, ONE, 3) && pages_are_zero(&s, ONE + 4, ONE - 4));
	map_anon(&s, 4 * ONE + 5, ONE, RW, PRIVATE); /* 2 MiB, but across a border */
	assert_ok(vm_madvise(s.mm, s.at + (4 * ONE + 5) * PG, LEAF, PINFOLD_MADV_HUGEPAGE));
	put_pages(&s, 1, 4 * ONE + 5, ONE);
	assert_int_equal(stats_of(m).folios_mapped, 1);
	assert_true(pages_are(&s, 1, 4 * ONE + 5, ONE));
	end_both(m, &s);
}

/* Clause Z4: what was read first shows zeroes, and is written page by page or whole: the same content. */
static void memory_that_was_read_first_is_written_right(void **state)
{
	const struct kind *k = *state;
	struct pinfold *m = MACHINE();
	struct space s = huge_space(m, k->window, 1);
	struct page *pages[ONE];

	assert_ok(pinfold_use_mm(s.mm));
	assert_int_equal(get_user_pages_fast(s.at, ONE, 0, pages), ONE);
	assert_int_equal(stats_of(m).pins_acquired, 0);
	assert_true(pages_are_zero(&s, 0, ONE));
	put_pages(&s, 1, 100, 50);
	assert_true(is_zero(page_address(pages[120]), 0, PG));
	assert_ok(put_user_pages(pages, ONE));
	assert_true(pages_are_zero(&s, 0, 100) && pages_are(&s, 1, 100, 50) && pages_are_zero(&s, 150, ONE - 150));
	assert_int_equal(get_user_pages_fast(s.at, ONE, FOLL_WRITE, pages), ONE);
	assert_ok(put_user_pages(pages, ONE));
	assert_true(pages_are(&s, 1, 100, 50) && pages_are_zero(&s, 0, 100));
	end_both(m, &s);
}

/* Header: no 2 MiB in one piece: smaller ones, and as much memory as ever. */
static void a_fragmented_pool_gives_smaller_folios(void **state)
{
	const struct kind *k = *state;
	struct pinfold *m = MACHINE();
	struct space s = huge_space(m, k->window, 4);
	unsigned all = (unsigned)frames_free(m), n = 0;

	map_anon(&s, 4 * ONE, all, RW, PRIVATE);
	put_pages(&s, 1, 4 * ONE, all);
	assert_int_equal(frames_free(m), 0);
	for (unsigned p = 4 * ONE; p < 4 * ONE + all; p += 2, n++) /* every other frame */
		assert_ok(vm_madvise(s.mm, s.at + p * PG, PG, PINFOLD_MADV_DONTNEED));
	assert_int_equal(frames_free(m), n);
	put_pages(&s, 2, 0, ONE);
	assert_int_equal(stats_of(m).folios_mapped, 0);
	assert_true(stats_of(m).folio_fallbacks > 0);
	assert_true(pages_are(&s, 2, 0, ONE));
	for (unsigned p = 4 * ONE + 1; p < 4 * ONE + all; p += 2)
		assert_true(pages_are(&s, 1, p, 1));
	end_both(m, &s);
}

/* ---- the mapping splits, the folio does not ----------------------------------------------------- */

/* Clauses H4, U11: a part protected, unmapped, moved while a device has all of it: the same pages, nothing copied. */
static void the_mapping_of_a_pinned_folio_splits_freely(void **state)
{
	const struct kind *k = *state;
	struct pinfold *m = MACHINE();
	uint64_t free = frames_free(m);
	struct space s = filled_folios(m, k->window, 1), moved = s;
	struct page *pages[ONE];

	assert_ok(pinfold_use_mm(s.mm));
	assert_int_equal(get_user_pages_fast(s.at, ONE, FOLL_WRITE, pages), ONE);
	assert_ok(vm_mprotect(s.mm, s.at + 10 * PG, 10 * PG, RO));
	assert_int_equal(stats_of(m).mappings_split, 1);
	assert_true(refused(&s, 10 * PG, true) && refused(&s, 19 * PG, true));
	assert_ok(vm_munmap(s.mm, s.at + 100 * PG, 50 * PG));
	assert_true(refused(&s, 100 * PG, false));
	moved.at += LEAF;
	assert_int_equal(vm_mremap(s.mm, s.at + 200 * PG, 50 * PG, 50 * PG, PINFOLD_MREMAP_MAYMOVE | PINFOLD_MREMAP_FIXED,
	                           moved.at + 200 * PG), moved.at + 200 * PG);
	for (unsigned p = 0; p < ONE; p++) {
		const struct space *at = p >= 200 && p < 250 ? &moved : &s;

		*device_word(pages[p]) = p + 5000;
		if (p >= 100 && p < 150)
			continue;
		assert_int_equal(peek(at, p * PG), p + 5000);
		assert_ptr_equal(page_at(at, p, 0), pages[p]);
	}
	assert_int_equal(stats_of(m).cow_copied, 0);
	assert_int_equal(frames_free(m), free - ONE);
	assert_int_equal(*device_word(pages[120]), 5120);
	assert_ok(put_user_pages_dirty_lock(pages, ONE));
	end_both(m, &s);
}

/* Clause H4: not while it is pinned or referenced; then it splits, and what is not mapped any more is free. */
static void a_folio_splits_when_nobody_holds_it(void **state)
{
	const struct kind *k = *state;
	struct pinfold *m = MACHINE();
	uint64_t free = frames_free(m);
	struct space s = filled_folios(m, k->window, 1);
	struct page *page = pin_at(&s, 400, FOLL_WRITE);

	assert_int_equal(pinfold_split_folio(s.mm, s.at), -EBUSY);
	assert_ok(get_page(page));
	assert_ok(put_user_page(page));
	assert_int_equal(pinfold_split_folio(s.mm, s.at + 3 * PG), -EBUSY);
	assert_ok(vm_munmap(s.mm, s.at + 100 * PG, 300 * PG));
	assert_int_equal(pinfold_split_folio(s.mm, s.at), -EBUSY);
	assert_int_equal(frames_free(m), free - ONE);
	assert_ok(put_page(page));
	assert_int_equal(pinfold_split_folio(s.mm, s.at + 100 * PG), -EFAULT); /* no page there */
	assert_int_equal(frames_free(m), free - ONE);
	assert_ok(pinfold_split_folio(s.mm, s.at + 50 * PG));
	assert_int_equal(stats_of(m).folios_split, 1);
	assert_int_equal(frames_free(m), free - ONE + 300);
	assert_true(pages_are(&s, 1, 0, 100) && pages_are(&s, 1, 400, ONE - 400));
	assert_ptr_equal(page_at(&s, 400, FOLL_WRITE), page);
	assert_ok(pinfold_split_folio(s.mm, s.at)); /* one already */
	assert_int_equal(stats_of(m).folios_split, 1);
	check_machine(m);
	assert_ok(vm_munmap(s.mm, s.at, 50 * PG));
	assert_int_equal(frames_free(m), free - ONE + 350);
	put_pages(&s, 2, 60, 10);
	assert_true(pages_are(&s, 1, 50, 10) && pages_are(&s, 2, 60, 10) && pages_are(&s, 1, 70, 30));
	assert_int_equal(pinfold_split_folio(NULL, s.at), -EINVAL);
	assert_int_equal(pinfold_split_folio(s.mm, s.at + 64 * LEAF), -EFAULT);
	end_both(m, &s);
}

/* Clause M2: DONTNEED of all of it frees it, of a part shows zeroes; the part's frames come with a split. */
static void dontneed_of_a_folio_and_of_a_part(void **state)
{
	const struct kind *k = *state;
	struct pinfold *m = MACHINE();
	uint64_t free = frames_free(m);
	struct space s = filled_folios(m, k->window, 2);

	assert_ok(vm_madvise(s.mm, s.at, LEAF, PINFOLD_MADV_DONTNEED));
	assert_int_equal(frames_free(m), free - ONE);
	assert_ok(vm_madvise(s.mm, s.at + LEAF + 8 * PG, 100 * PG, PINFOLD_MADV_DONTNEED));
	assert_true(pages_are_zero(&s, 0, ONE) && pages_are(&s, 1, ONE, 8) && pages_are_zero(&s, ONE + 8, 100) &&
	            pages_are(&s, 1, ONE + 108, ONE - 108));
	assert_ok(pinfold_split_folio(s.mm, s.at + LEAF));
	assert_int_equal(frames_free(m), free - ONE + 100);
	assert_true(pages_are(&s, 1, ONE, 8) && pages_are(&s, 1, ONE + 108, ONE - 108));
	end_both(m, &s);
}

/* Clause M3: a folio moves whole where both places stand alike, and stays one. */
static void a_folio_moves_whole(void **state)
{
	const struct kind *k = *state;
	struct pinfold *m = MACHINE();
	struct space s = filled_folios(m, k->window, 1), moved = s;
	struct page *page = pin_at(&s, 9, FOLL_WRITE);

	moved.at += 8 * LEAF;
	assert_int_equal(vm_mremap(s.mm, s.at, LEAF, LEAF, PINFOLD_MREMAP_MAYMOVE | PINFOLD_MREMAP_FIXED, moved.at),
	                 moved.at);
	assert_int_equal(stats_of(m).mappings_split, 0);
	assert_int_equal(stats_of(m).moved_slots, 0);
	assert_true(pages_are(&moved, 1, 0, ONE) && refused(&s, 0, false));
	poke(&moved, 9 * PG, 2);
	assert_int_equal(*device_word(page), 2);
	assert_int_equal(vm_mremap(s.mm, moved.at, LEAF, LEAF, PINFOLD_MREMAP_MAYMOVE | PINFOLD_MREMAP_FIXED,
	                           s.at + 3 * PG), s.at + 3 * PG); /* not alike: in 512 slots */
	moved.at = s.at + 3 * PG;
	assert_int_equal(stats_of(m).mappings_split, 1);
	assert_int_equal(peek(&moved, 9 * PG), 2);
	assert_ptr_equal(page_at(&moved, 9, 0), page);
	assert_true(pages_are(&moved, 1, 0, 9) && pages_are(&moved, 1, 10, ONE - 10));
	assert_ok(put_user_page(page));
	end_both(m, &s);
}

/* ---- snapshots ---------------------------------------------------------------------------------- */

/*
 * Clause K6 as replaced: of a folio pinned in some pages the child gets copies of those, and shares the rest.  (Which
 * pages of a folio are pinned is known as those that were since it was last without pins, D3: no other pins, then.)
 */
static void a_snapshot_copies_only_the_pinned_pages_of_a_folio(void **state)
{
	const struct pair *k = *state;
	struct pinfold *m = MACHINE();
	struct space p = huge_space(m, k->parent, 2), c;
	const unsigned pinned[] = { 0, 77, 511, ONE + 200 };
	struct page *page[4];
	uint64_t free;

	assert_ok(vm_madvise(p.mm, p.at, 2 * LEAF, PINFOLD_MADV_POPULATE_WRITE));
	assert_int_equal(stats_of(m).folios_mapped, 2);
	assert_ok(pinfold_use_mm(p.mm));
	for (unsigned i = 0; i < 4; i++) { /* by the fast call and by slow ones */
		assert_int_equal(call((int)i, p.mm, p.at + pinned[i] * PG, 1, i & 1 ? FOLL_WRITE : 0, &page[i]), 1);
		fill(page_address(page[i]), 1, pinned[i]);
	}
	free = frames_free(m);
	c = snapshot(m, &p, k->child);
	assert_int_equal(stats_of(m).fork_copied, 4);
	assert_int_equal(frames_free(m), free - 4);
	for (unsigned i = 0; i < 4; i++) {
		poke(&p, pinned[i] * PG + 8, 3);
		assert_int_equal(device_word(page[i])[1], 3);
		*device_word(page[i]) = 4;
		assert_int_equal(peek(&p, pinned[i] * PG), 4);
		assert_ptr_equal(page_at(&p, pinned[i], FOLL_WRITE), page[i]);
		assert_true(pages_are(&c, 1, pinned[i], 1));
	}
	assert_int_equal(frames_free(m), free - 4);
	assert_true(pages_are_zero(&c, 1, 76) && pages_are_zero(&c, ONE + 201, 300) && pages_are_zero(&p, 78, 433));
	for (unsigned i = 0; i < 4; i++)
		assert_ok(put_user_page(page[i]));
	end_space(&c);
	end_both(m, &p);
}

/* The same when the folio's mapping has been split since, by a change of a part, and by a move of all. */
static void a_pinned_page_is_copied_though_its_mapping_was_split(void **state)
{
	const struct pair *k = *state;
	struct pinfold *m = MACHINE();

	for (unsigned moved = 0; moved < 2; moved++) {
		struct space p = huge_space(m, k->parent, 1), c;
		uint64_t before = stats_of(m).fork_copied;
		struct page *page;

		assert_ok(vm_madvise(p.mm, p.at, LEAF, PINFOLD_MADV_POPULATE_WRITE));
		page = pin_at(&p, 30, 0);
		if (!moved) {
			assert_ok(vm_mprotect(p.mm, p.at + 100 * PG, PG, RO));
		} else {
			assert_int_equal(vm_mremap(p.mm, p.at, LEAF, LEAF, PINFOLD_MREMAP_MAYMOVE | PINFOLD_MREMAP_FIXED,
			                           p.at + 2 * LEAF + 7 * PG), p.at + 2 * LEAF + 7 * PG);
			p.at += 2 * LEAF + 7 * PG;
		}
		c = snapshot(m, &p, k->child);
		assert_int_equal(stats_of(m).fork_copied, before + 1);
		*device_word(page) = 4;
		assert_int_equal(peek(&p, 30 * PG), 4);
		poke(&p, 30 * PG, 5);
		assert_int_equal(*device_word(page), 5);
		assert_true(pages_are_zero(&c, 29, 3));
		assert_ok(put_user_page(page));
		end_space(&c);
		end_space(&p);
	}
	end_machine(m);
}

/* A folio that two sides share: a store copies a page of 4 KiB; who is left has it whole, and writes in place. */
static void a_store_to_a_shared_folio_copies_one_page(void **state)
{
	const struct pair *k = *state;
	struct pinfold *m = MACHINE();
	struct space p = filled_folios(m, k->parent, 1), c = snapshot(m, &p, k->child);
	uint64_t free = frames_free(m);
	struct page *mine;

	put_pages(&c, 2, 30, 1);
	put_pages(&p, 3, 40, 1);
	assert_int_equal(frames_free(m), free - 2);
	assert_int_equal(stats_of(m).cow_copied, 2);
	assert_ok(vm_munmap(c.mm, c.at + 256 * PG, 256 * PG));
	assert_true(pages_are(&p, 1, 0, 40) && pages_are(&p, 3, 40, 1) && pages_are(&p, 1, 41, ONE - 41));
	assert_true(pages_are(&c, 1, 0, 30) && pages_are(&c, 2, 30, 1) && pages_are(&c, 1, 31, 225));
	mine = page_at(&c, 31, FOLL_WRITE);
	end_space(&p);
	put_pages(&c, 4, 31, 1);
	assert_ptr_equal(page_at(&c, 31, FOLL_WRITE), mine);
	assert_true(pages_are(&c, 1, 0, 30) && pages_are(&c, 2, 30, 1) && pages_are(&c, 4, 31, 1) &&
	            pages_are(&c, 1, 32, 224));
	end_both(m, &c);
}

/* Clause W11: what a reference holds of a folio that was shared is copied by who writes, though nobody else maps it. */
static void a_referenced_folio_that_was_shared_is_copied_by_who_writes(void **state)
{
	const struct pair *k = *state;
	struct pinfold *m = MACHINE();
	struct space p = filled_folios(m, k->parent, 1), c;
	struct page *ref = pin_at(&p, 77, 0);

	assert_ok(get_page(ref));
	assert_ok(put_user_page(ref));
	poke(&p, 77 * PG, 5); /* never shared: in place */
	assert_int_equal(*device_word(ref), 5);
	c = snapshot(m, &p, k->child);
	end_space(&c);
	put_pages(&p, 2, 77, 1);
	assert_int_equal(*device_word(ref), 5);
	assert_true(pages_are(&p, 2, 77, 1) && pages_are(&p, 1, 76, 1) && pages_are(&p, 1, 78, 1));
	assert_ok(put_page(ref));
	end_both(m, &p);
}

/* Clause W10: the only one left that maps it writes to the folio as it is, and has it in one piece. */
static void the_last_owner_keeps_the_folio(void **state)
{
	const struct pair *k = *state;
	struct pinfold *m = MACHINE();
	struct space s[2];

	for (unsigned left = 0; left < 2; left++) {
		uint64_t free = frames_free(m);
		struct page *page;

		s[0] = huge_space(m, k->parent, 1);
		put_pages(&s[0], 1, 0, ONE);
		page = page_at(&s[0], 17, FOLL_WRITE);
		s[1] = snapshot(m, &s[0], k->child);
		end_space(&s[!left]);
		put_pages(&s[left], 2, 17, 1);
		assert_ptr_equal(page_at(&s[left], 17, FOLL_WRITE), page);
		assert_int_equal(frames_free(m), free - ONE);
		assert_int_equal(stats_of(m).cow_copied, 0);
		assert_true(pages_are(&s[left], 1, 0, 17) && pages_are(&s[left], 1, 18, ONE - 18));
		end_space(&s[left]);
		assert_int_equal(frames_free(m), free);
	}
	end_machine(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(a_folio_is_pinned_in_one_call),
		BOTH(parts_of_a_folio_are_pinned_and_counted),
		BOTH(a_reference_to_one_page_keeps_the_folio),
		ON(extent, a_window_maps_a_folio_with_one_call),
		BOTH(folios_come_where_they_are_asked_for_and_fit),
		BOTH(memory_that_was_read_first_is_written_right),
		BOTH(a_fragmented_pool_gives_smaller_folios),
		BOTH(the_mapping_of_a_pinned_folio_splits_freely),
		BOTH(a_folio_splits_when_nobody_holds_it),
		BOTH(dontneed_of_a_folio_and_of_a_part),
		BOTH(a_folio_moves_whole),
		PAIRS(a_snapshot_copies_only_the_pinned_pages_of_a_folio),
		PAIRS(a_pinned_page_is_copied_though_its_mapping_was_split),
		PAIRS(a_store_to_a_shared_folio_copies_one_page),
		PAIRS(a_referenced_folio_that_was_shared_is_copied_by_who_writes),
		PAIRS(the_last_owner_keeps_the_folio),
	};

	return world_main(tests);
}
