/* SPDX-License-Identifier: MIT */
/*
 * dup_change_test.c - snapshots and what else happens to an mm: changes of one side's mappings while tables are shared,
 * files among the memory, errors in the middle.  Threads and devices stand in dup_race_test.c.
 */
#include "anon.h"

#define N 24u /* pages of the mapping that is changed */

/* ---- changes of one side ------------------------------------------------------------------------ */

/* Each does something to pages 8 .. 15 of a space whose pages hold seed 1; the space then shows what `shows` says. */
struct change {
	const char *name;
	void (*run)(struct space *s);
	bool (*shows)(struct space *s);
};

static void unmap_part(struct space *s)
{
	assert_ok(vm_munmap(s->mm, s->at + 8 * PG, 8 * PG));
}

static bool has_a_hole(struct space *s)
{
	return refused(s, 8 * PG, false) && refused(s, 15 * PG, true);
}

static void empty_part(struct space *s)
{
	assert_ok(vm_madvise(s->mm, s->at + 8 * PG, 8 * PG, PINFOLD_MADV_DONTNEED));
}

static bool is_empty(struct space *s)
{
	return pages_are_zero(s, 8, 8);
}

static void protect_part(struct space *s)
{
	assert_ok(vm_mprotect(s->mm, s->at + 8 * PG, 8 * PG, RO));
}

static bool is_read_only(struct space *s)
{
	return pages_are(s, 1, 8, 8) && refused(s, 8 * PG, true) && refused(s, 15 * PG, true);
}

static void protect_and_back(struct space *s)
{
	protect_part(s);
	assert_ok(vm_mprotect(s->mm, s->at, N * PG, RW));
	put_pages(s, 1, 9, 1);
}

static bool is_whole(struct space *s)
{
	return pages_are(s, 1, 8, 8);
}

static void move_part(struct space *s)
{
	unsigned long to = s->at + 64 * PG;

	assert_int_equal(vm_mremap(s->mm, s->at + 8 * PG, 8 * PG, 8 * PG,
	                           PINFOLD_MREMAP_MAYMOVE | PINFOLD_MREMAP_FIXED, to), to);
}

static bool has_moved(struct space *s)
{
	struct space moved = *s;

	moved.at += 56 * PG;
	if (!has_a_hole(s) || !pages_are(&moved, 1, 8, 8))
		return false;
	put_pages(&moved, 2, 8, 8);
	return pages_are(&moved, 2, 8, 8);
}

static void move_part_and_back(struct space *s)
{
	move_part(s);
	assert_int_equal(vm_mremap(s->mm, s->at + 64 * PG, 8 * PG, 8 * PG,
	                           PINFOLD_MREMAP_MAYMOVE | PINFOLD_MREMAP_FIXED, s->at + 8 * PG), s->at + 8 * PG);
}

static void replace_part(struct space *s)
{
	assert_int_equal(vm_mmap(s->mm, s->at + 8 * PG, 8 * PG, RW, ANON | SHARED | FIXED, NULL, 0), s->at + 8 * PG);
}

static void store_to_part(struct space *s)
{
	put_pages(s, 7, 8, 8);
}

static bool has_stores(struct space *s)
{
	return pages_are(s, 7, 8, 8);
}

static const struct change changes[] = {
	{ "munmap", unmap_part, has_a_hole },
	{ "DONTNEED", empty_part, is_empty },
	{ "mprotect", protect_part, is_read_only },
	{ "mprotect and back", protect_and_back, is_whole },
	{ "mremap", move_part, has_moved },
	{ "mremap and back", move_part_and_back, is_whole },
	{ "mmap over it", replace_part, is_empty },
	{ "stores", store_to_part, has_stores },
};

/* D12: whatever one side does to a part of a shared table, the other side keeps what it has. */
static void a_change_of_one_side_is_not_seen_by_the_other(void **state)
{
	const struct pair *k = *state;
	struct pinfold *m = MACHINE();
	uint64_t free = frames_free(m);

	for (unsigned i = 0; i < 2 * sizeof(changes) / sizeof(changes[0]); i++) {
		const struct change *c = &changes[i / 2];
		struct space s[2], *one = &s[i % 2], *other = &s[!(i % 2)];

		s[0] = new_space(m, k->parent);
		map_anon(&s[0], 0, N, RW, PRIVATE);
		put_pages(&s[0], 1, 0, N);
		s[1] = snapshot(m, &s[0], k->child);
		c->run(one);
		if (!c->shows(one) || !pages_are(one, 1, 0, 8) || !pages_are(one, 1, 16, 8) || !pages_are(other, 1, 0, N))
			fail_msg("after %s by the %s", c->name, i % 2 ? "child" : "parent");
		put_pages(other, 3, 10, 4);
		put_pages(one, 4, 0, 2);
		if (!pages_are(other, 1, 0, 10) || !pages_are(other, 3, 10, 4) || !pages_are(one, 4, 0, 2))
			fail_msg("after %s by the %s, and stores", c->name, i % 2 ? "child" : "parent");
		check_machine(m);
		end_space(one);
		assert_true(pages_are(other, 3, 10, 4) && pages_are(other, 1, 14, 10));
		end_space(other);
		assert_int_equal(frames_free(m), free);
	}
	end_machine(m);
}

/* All of a table at once: munmap of 2 MiB of one side, a move of it, and of everything. */
static void whole_tables_go_from_one_side_only(void **state)
{
	const struct pair *k = *state;
	struct pinfold *m = MACHINE();
	struct space p = new_space(m, k->parent), c;
	uint64_t free = frames_free(m);

	map_anon(&p, 0, 3 * 512, RW, PRIVATE);
	for (unsigned i = 0; i < 3; i++)
		put_pages(&p, 1, i * 512 + 7, 3);
	c = snapshot(m, &p, k->child);
	assert_ok(vm_munmap(c.mm, c.at, LEAF));
	assert_int_equal(vm_mremap(c.mm, c.at + LEAF, LEAF, LEAF, PINFOLD_MREMAP_MAYMOVE | PINFOLD_MREMAP_FIXED, c.at), c.at);
	assert_ok(vm_madvise(p.mm, p.at + 2 * LEAF, LEAF, PINFOLD_MADV_DONTNEED));
	assert_true(pages_are(&p, 1, 7, 3) && pages_are(&p, 1, 512 + 7, 3) && pages_are_zero(&p, 1024 + 7, 3));
	assert_true(pages_are(&c, 1, 1024 + 7, 3) && refused(&c, 519 * PG, false));
	assert_int_equal(peek(&c, 7 * PG), word_of(1, 512 + 7, 0));
	put_pages(&c, 2, 7, 1);
	assert_true(pages_are(&p, 1, 7, 3) && pages_are(&p, 1, 512 + 7, 3));
	end_space(&p);
	assert_true(pages_are(&c, 2, 7, 1) && pages_are(&c, 1, 1024 + 7, 3));
	end_space(&c);
	assert_int_equal(frames_free(m), free);
	end_machine(m);
}

/* D5: what a window showed of a table that others keep is gone with the mapping, the table being cut or whole. */
static void a_window_forgets_a_shared_table(void **state)
{
	const struct pair *k = *state;
	struct pinfold *m = MACHINE();

	for (unsigned i = 0; i < 4; i++) {
		unsigned n = i < 2 ? N : 512;
		struct space s[2], *one = &s[i % 2], *other = &s[!(i % 2)];

		s[0] = new_space(m, k->parent);
		map_anon(&s[0], 0, n, RW, PRIVATE);
		put_pages(&s[0], 1, 0, N);
		s[1] = snapshot(m, &s[0], k->child);
		for (unsigned p = 0; p < N && one->window; p++) /* shown, and the table still shared */
			assert_int_equal(peek(one, p * PG), word_of(1, p, 0));
		assert_ok(vm_munmap(one->mm, one->at, n * PG));
		for (unsigned p = 0; p < N; p++)
			assert_true(refused(one, p * PG, false));
		map_anon(one, 0, n, RW, PRIVATE);
		assert_true(pages_are_zero(one, 0, N) && pages_are(other, 1, 0, N));
		end_space(one);
		end_space(other);
	}
	end_machine(m);
}

/* Clauses M3, K2: a page that was moved under a pin, by its table or slot by slot, is still known as pinned. */
static void a_pinned_page_that_was_moved_is_copied_at_once(void **state)
{
	const struct pair *k = *state;
	const unsigned to[] = { 4 * 512, 4 * 512 + 9 };
	struct pinfold *m = MACHINE();

	for (unsigned i = 0; i < 2; i++) {
		struct space p = new_space(m, k->parent), c;
		uint64_t before = stats_of(m).fork_copied;
		struct page *page;

		map_anon(&p, 0, 512, RW, PRIVATE);
		put_pages(&p, 1, 0, 16);
		page = pin_at(&p, 5, FOLL_WRITE);
		assert_int_equal(vm_mremap(p.mm, p.at, LEAF, LEAF, PINFOLD_MREMAP_MAYMOVE | PINFOLD_MREMAP_FIXED,
		                           p.at + to[i] * PG), p.at + to[i] * PG);
		p.at += to[i] * PG;
		c = snapshot(m, &p, k->child);
		assert_int_equal(stats_of(m).fork_copied, before + 1);
		*device_word(page) = 4;
		assert_int_equal(peek(&p, 5 * PG), 4);
		poke(&p, 5 * PG, 5);
		assert_int_equal(*device_word(page), 5);
		assert_true(pages_are(&c, 1, 0, 16));
		assert_ok(put_user_page(page));
		end_space(&c);
		end_space(&p);
	}
	end_machine(m);
}

/* ---- files -------------------------------------------------------------------------------------- */

/*
 * Clauses K8, K9: a shared and a private mapping of a file and memory of the mm's own, in one 2 MiB: each keeps its
 * rule in the child.
 */
static void files_and_memory_in_one_table(void **state)
{
	const struct kind *k = *state;
	struct page *page;
	struct space p, c;
	struct world w;

	WORLD(w, k, .pages = 8);
	p = new_space(w.m, k->window);
	map_anon(&p, 0, 8, RW, PRIVATE);
	map_file(&p, 8, 8, RW, PRIVATE, w.file, 0);
	map_file(&p, 16, 8, RW, SHARED, w.file, 0);
	map_anon(&p, 24, 8, RW, SHARED);
	put_pages(&p, 1, 0, 4);
	put_pages(&p, 1, 24, 4);
	put_pages(&p, 1, 9, 1);                    /* its own already */
	assert_int_equal(peek(&p, 10 * PG), word_of(0, 2, 0)); /* the file's still */
	page = pin_at(&p, 19, FOLL_WRITE);         /* of the file */
	c = snapshot(w.m, &p, k->window);
	assert_int_equal(stats_of(w.m).fork_copied, 0);
	put_pages(&c, 2, 1, 1);
	put_pages(&c, 2, 9, 2);
	put_pages(&c, 2, 25, 1);
	poke(&c, 20 * PG, 5);
	poke(&p, 12 * PG, 6); /* the parent's own */
	assert_true(pages_are(&p, 1, 0, 4) && pages_are(&p, 1, 9, 1) && pages_are(&p, 2, 25, 1));
	assert_int_equal(peek(&p, 10 * PG), word_of(0, 2, 0));
	assert_int_equal(peek(&p, 20 * PG), 5);
	assert_int_equal(peek(&c, 12 * PG), 5); /* the file's still */
	*device_word(page) = 8;
	assert_int_equal(peek(&c, 19 * PG), 8);
	assert_ptr_equal(page_at(&c, 19, FOLL_WRITE), page);
	assert_ok(put_user_page(page));
	end_space(&p);
	assert_ok(pinfold_commit(w.file, 0, 0, NULL));
	assert_true(pages_are(&c, 2, 9, 2) && disk_is(&w, 0, 1) && disk_is(&w, 0, 2));
	poke(&c, 21 * PG, 9); /* after the commit protected it */
	assert_ok(pinfold_use_mm(w.mm));
	assert_int_equal(peek(&(struct space){ w.mm, w.at, w.window }, 5 * PG), 9);
	end_space(&c);
	assert_ok(pinfold_use_mm(w.mm));
	world_end(&w);
}

/* Header: -EOPNOTSUPP a window that cannot show what is mapped; a direct one can show direct files. */
static void a_direct_window_takes_and_gives_what_it_can_show(void **state)
{
	const enum pinfold_window modes[] = { PINFOLD_WINDOW_NONE, PINFOLD_WINDOW_DIRECT, PINFOLD_WINDOW_EXTENT };
	struct space p, c, d;
	struct mm_struct *mm;
	struct world w;

	WORLD(w, *state);
	p = space_of(&w);
	for (unsigned i = 0; i < 3; i++) {
		c = snapshot(w.m, &p, modes[i]);
		poke(&c, 3 * PG, 40 + i);
		assert_int_equal(peek(&p, 3 * PG), 40 + i);
		d = snapshot(w.m, &c, PINFOLD_WINDOW_DIRECT);
		poke(&d, 4 * PG, 50 + i);
		assert_int_equal(peek(&p, 4 * PG), 50 + i);
		end_space(&d);
		if (modes[i] != PINFOLD_WINDOW_DIRECT) {
			assert_int_equal(vm_mmap(c.mm, c.at + 64 * PG, PG, RW, ANON | PRIVATE | FIXED, NULL, 0),
			                 c.at + 64 * PG);
			assert_ok(pinfold_mm_create(w.m, PINFOLD_WINDOW_DIRECT, &mm));
			assert_int_equal(dup_mmap(mm, c.mm), -EOPNOTSUPP);
			assert_ok(pinfold_mm_destroy(mm));
		}
		end_space(&c);
	}
	assert_ok(pinfold_use_mm(w.mm));
	assert_ok(pinfold_commit(w.file, 0, 0, NULL));
	world_end(&w);
}

/* ---- errors ------------------------------------------------------------------------------------- */

/* Header: -EINVAL, -EDEADLK; nothing changed. */
static void wrong_snapshots_are_refused(void **state)
{
	const struct pair *k = *state;
	struct pinfold *m = MACHINE(), *other = MACHINE();
	struct space p = new_space(m, k->parent), far = new_space(other, k->parent);
	struct mm_struct *mm;

	map_anon(&p, 0, 4, RW, PRIVATE);
	put_pages(&p, 1, 0, 4);
	assert_ok(pinfold_mm_create(m, k->child, &mm));
	assert_int_equal(dup_mmap(NULL, p.mm), -EINVAL);
	assert_int_equal(dup_mmap(mm, NULL), -EINVAL);
	assert_int_equal(dup_mmap(p.mm, p.mm), -EINVAL);
	assert_int_equal(dup_mmap(p.mm, mm), -EINVAL); /* not empty */
	assert_int_equal(dup_mmap(far.mm, p.mm), -EINVAL);
	mmap_read_lock(p.mm);
	assert_int_equal(dup_mmap(mm, p.mm), -EDEADLK);
	mmap_read_unlock(p.mm);
	mmap_write_lock(mm);
	assert_int_equal(dup_mmap(mm, p.mm), -EDEADLK);
	mmap_write_unlock(mm);
	assert_int_equal(stats_of(m).vmas, 1);
	assert_ok(dup_mmap(mm, p.mm));
	assert_int_equal(dup_mmap(mm, p.mm), -EINVAL);
	assert_ok(pinfold_mm_destroy(mm));
	assert_int_equal(dup_mmap(mm, p.mm), -EINVAL); /* gone */
	end_both(other, &far);
	end_both(m, &p);
}

/* Clause K4: no frame for the copy of a pinned page: -ENOMEM, the new mm is empty, the old one whole. */
static void without_frames_for_pinned_pages_nothing_is_changed(void **state)
{
	const struct pair *k = *state;
	struct pinfold *m = MACHINE(.memory = 8 * MIB, .pool = 4 * MIB, .deadline_ms = 50);
	struct space p = new_space(m, k->parent), c;
	struct page *pages[16], *one;
	struct mm_struct *mm;
	unsigned n = 0;

	map_anon(&p, 0, 16, RW, PRIVATE);
	put_pages(&p, 1, 0, 16);
	assert_ok(pinfold_use_mm(p.mm));
	assert_int_equal(get_user_pages_fast(p.at, 16, FOLL_WRITE, pages), 16);
	map_anon(&p, 600, 2000, RW, PRIVATE);
	while (get_user_pages_fast(p.at + (600 + n) * PG, 1, FOLL_WRITE, &one) == 1)
		n += !put_user_page(one);
	assert_ok(vm_munmap(p.mm, p.at + 600 * PG, 9 * PG)); /* nine of the sixteen */
	assert_int_equal(frames_free(m), 9);
	assert_ok(pinfold_mm_create(m, k->child, &mm));
	assert_int_equal(dup_mmap(mm, p.mm), -ENOMEM);
	assert_int_equal(stats_of(m).vmas, 2);
	assert_int_equal(frames_free(m), 9);
	check_machine(m);
	for (unsigned i = 0; i < 16; i++) {
		poke(&p, i * PG, 70 + i);
		assert_int_equal(*device_word(pages[i]), 70 + i);
		assert_ptr_equal(page_at(&p, i, FOLL_WRITE), pages[i]);
	}
	assert_int_equal(frames_free(m), 9);
	assert_ok(vm_munmap(p.mm, p.at + 609 * PG, 40 * PG));
	assert_ok(dup_mmap(mm, p.mm)); /* it is empty, so it can be one now */
	c = (struct space){ mm, p.at + (unsigned long)pinfold_mm_shift(mm), k->child != PINFOLD_WINDOW_NONE };
	assert_int_equal(peek(&c, 5 * PG), 75);
	poke(&p, 5 * PG, 1);
	assert_int_equal(peek(&c, 5 * PG), 75);
	assert_ok(put_user_pages(pages, 16));
	end_space(&c);
	end_both(m, &p);
}

/* Clause U8: no frame for a copy on write: an error for who writes, and both sides keep what they have. */
static void without_a_frame_a_shared_page_stays_as_it_is(void **state)
{
	const struct pair *k = *state;
	struct pinfold *m = MACHINE(.memory = 8 * MIB, .pool = 4 * MIB, .deadline_ms = 50);
	struct space p = new_space(m, k->parent), c;
	uint64_t v = 1;
	unsigned n;

	map_anon(&p, 0, 2000, RW, PRIVATE);
	put_pages(&p, 1, 0, 8);
	c = snapshot(m, &p, k->child);
	for (n = 8; access_process_vm(p.mm, p.at + n * PG, &v, 8, FOLL_WRITE) == 8; n++)
		;
	for (unsigned who = 0; who < 2; who++) {
		struct space *s = who ? &c : &p;

		assert_ok(pinfold_use_mm(s->mm));
		assert_int_equal(access_process_vm(s->mm, s->at, &v, 8, FOLL_WRITE), -ENOMEM);
		assert_int_equal(get_user_pages_fast(s->at + PG, 1, 0, (struct page *[1]){ NULL }), -ENOMEM);
		if (s->window) {
			assert_int_equal(store_signal(s->at), SIGBUS);
			assert_int_equal(last_error(), -ENOMEM);
			assert_true(pages_are(s, 1, 0, 8));
		}
	}
	assert_ok(vm_munmap(p.mm, p.at + 8 * PG, 1992 * PG));
	put_pages(&p, 2, 0, 1);
	put_pages(&c, 3, 1, 1);
	assert_true(pages_are(&p, 2, 0, 1) && pages_are(&p, 1, 1, 7));
	assert_true(pages_are(&c, 1, 0, 1) && pages_are(&c, 3, 1, 1) && pages_are(&c, 1, 2, 6));
	end_space(&c);
	end_both(m, &p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PAIRS(a_change_of_one_side_is_not_seen_by_the_other),
		PAIRS(whole_tables_go_from_one_side_only),
		PAIRS(a_window_forgets_a_shared_table),
		PAIRS(a_pinned_page_that_was_moved_is_copied_at_once),
		FILES(files_and_memory_in_one_table),
		ON(window, a_direct_window_takes_and_gives_what_it_can_show),
		PAIRS(wrong_snapshots_are_refused),
		PAIRS(without_frames_for_pinned_pages_nothing_is_changed),
		PAIRS(without_a_frame_a_shared_page_stays_as_it_is),
	};

	return world_main(tests);
}
