/* SPDX-License-Identifier: MIT */
/*
 * check_test.c - pinfold_check() finds what it promises: each test breaks one invariant of
 * doc/invariants.md by hand, sees it reported, and puts it right again.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "mm/filemap.h"
#include "mm/machine.h"
#include "mm/rmap.h"

static unsigned reports;
static char last[256];

static void hook(const char *what)
{
	reports++;
	strncpy(last, what, sizeof(last) - 1);
}

struct world {
	struct pinfold *m;
	struct pinfold_file *f;
	struct mm_struct *mm;
	unsigned long addr;
	struct page *page; /* file page 0, cached, its slot set, clean */
};

static int setup(void **state)
{
	static struct world w;
	struct pinfold_options o = {
		.size = sizeof(o), .memory = 8 << 20, .pool = 8 << 20, .assert_hook = hook,
	};
	char c;

	assert_int_equal(pinfold_create(&o, &w.m), 0);
	assert_int_equal(pinfold_open_memory(w.m, 1 << 20, NULL, &w.f), 0);
	assert_int_equal(pinfold_mm_create(w.m, PINFOLD_WINDOW_NONE, &w.mm), 0);
	w.addr = (unsigned long)vm_mmap(w.mm, 0, 1 << 20, PINFOLD_PROT_READ | PINFOLD_PROT_WRITE,
	                                PINFOLD_MAP_SHARED, w.f, 0);
	assert_int_equal(access_process_vm(w.mm, w.addr, &c, 1, 0), 1);
	w.page = filemap_peek(&w.f->mapping, 0);
	put_internal(w.m, w.page);
	assert_int_equal(pinfold_check(w.m), 0);
	reports = 0;
	*state = &w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	assert_int_equal(pinfold_check(w->m), 0);
	assert_int_equal(pinfold_mm_destroy(w->mm), 0);
	assert_int_equal(pinfold_close(w->f), 0);
	assert_int_equal(pinfold_destroy(w->m), 0);
	return 0;
}

static void expect_broken(struct world *w, const char *name)
{
	reports = 0;
	assert_true(pinfold_check(w->m) > 0);
	assert_true(reports > 0);
	assert_non_null(strstr(last, name));
}

static void a_word_that_is_zero_at_rest_breaks_I1(void **state)
{
	struct world *w = *state;
	uint64_t c = atomic_load(&w->page->count);

	atomic_store(&w->page->count, 0);
	reports = 0;
	assert_true(pinfold_check(w->m) > 0);
	assert_true(reports > 0);
	atomic_store(&w->page->count, c);
}

static void a_frame_missing_from_the_lists_breaks_I2(void **state)
{
	struct world *w = *state;

	atomic_fetch_sub(&w->m->nr_free, 1);
	expect_broken(w, "I2");
	atomic_fetch_add(&w->m->nr_free, 1);
}

static void a_write_to_a_free_frame_breaks_I3(void **state)
{
	struct world *w = *state;
	unsigned o = 0;
	char *c;

	if (!PINFOLD_DEBUG_BUILD) {
		print_message("skipped: needs the debug build\n");
		skip();
	}
	while (w->m->buddy[o] == NO_PFN)
		o++;
	c = pfn_to_page(w->m, w->m->buddy[o])->addr;
	c[100] ^= 1;
	expect_broken(w, "I2/I3");
	c[100] ^= 1;
}

static void a_pin_that_nobody_took_breaks_I4(void **state)
{
	struct world *w = *state;

	atomic_fetch_add(&w->page->count, PC_PIN);
	expect_broken(w, "I4");
	atomic_fetch_sub(&w->page->count, PC_PIN);
}

static void a_charge_that_nobody_owes_breaks_I4(void **state)
{
	struct world *w = *state;

	atomic_fetch_add(&w->m->ledger, 1);
	expect_broken(w, "I4");
	atomic_fetch_sub(&w->m->ledger, 1);
}

static struct table *leaf_of(struct mm_struct *mm, unsigned long addr)
{
	struct pt_pos pos;

	assert_true(pt_lock(mm, addr, &pos));
	assert_false(pos.huge);
	pt_unlock(&pos);
	return pos.table;
}

static void a_slot_that_shows_another_page_breaks_I7(void **state)
{
	struct world *w = *state;
	struct table *leaf = leaf_of(w->mm, w->addr);
	slot_t *slot = pt_slot(leaf, w->addr);
	uint64_t s = atomic_load(slot);

	atomic_store(slot, s + (1ull << PAGE_SHIFT));
	expect_broken(w, "I7");
	atomic_store(slot, s);
}

static void a_reference_too_many_breaks_I7(void **state)
{
	struct world *w = *state;

	atomic_fetch_add(&w->page->count, PC_INTERNAL);
	expect_broken(w, "I7/I9");
	atomic_fetch_sub(&w->page->count, PC_INTERNAL);
}

static void a_writable_slot_of_a_clean_page_breaks_I8(void **state)
{
	struct world *w = *state;
	struct address_space_operations commits = *w->f->mapping.ops, *was;
	struct table *leaf = leaf_of(w->mm, w->addr);
	slot_t *slot = pt_slot(leaf, w->addr);
	uint64_t s = atomic_load(slot);

	commits.commits = true;
	was = (struct address_space_operations *)(uintptr_t)w->f->mapping.ops;
	w->f->mapping.ops = &commits;
	atomic_store(slot, s | SLOT_WRITE);
	reports = 0;
	assert_int_not_equal(rmap_check_mm(w->mm), 0);
	assert_non_null(strstr(last, "I8"));
	atomic_store(slot, s);
	w->f->mapping.ops = was;
}

static void a_dirty_flag_without_its_mark_breaks_I9(void **state)
{
	struct world *w = *state;

	set_flag(w->page, PG_dirty);
	expect_broken(w, "I9");
	clear_flag(w->page, PG_dirty);
}

/* Anonymous memory with one page; its slot. */
static slot_t *anon_page(struct world *w, unsigned long *addr)
{
	long a = vm_mmap(w->mm, 0, 1 << 20, PINFOLD_PROT_READ | PINFOLD_PROT_WRITE,
	                 PINFOLD_MAP_PRIVATE | PINFOLD_MAP_ANONYMOUS, NULL, 0);

	assert_true(a > 0);
	*addr = (unsigned long)a;
	assert_int_equal(access_process_vm(w->mm, *addr, "x", 1, FOLL_WRITE), 1);
	return pt_slot(leaf_of(w->mm, *addr), *addr);
}

/* Clause U12 as replaced. */
static void a_right_to_a_page_that_is_not_the_mms_own_breaks_I6(void **state)
{
	struct world *w = *state;
	unsigned long addr;
	slot_t *slot = anon_page(w, &addr);
	uint64_t s = atomic_load(slot);

	atomic_store(slot, s & ~SLOT_EXCL);
	expect_broken(w, "I6");
	atomic_store(slot, s);
}

static void a_page_of_the_mms_own_that_is_shown_twice_breaks_I6(void **state)
{
	struct world *w = *state;
	unsigned long addr;
	slot_t *slot = anon_page(w, &addr);
	struct page *page = pfn_to_page(w->m, atomic_load(slot) >> PAGE_SHIFT);
	struct table *leaf = leaf_of(w->mm, addr);

	atomic_fetch_add(&page->mapcount, 1);
	slot_set(leaf, slot + 1, atomic_load(slot));
	reports = 0;
	assert_int_not_equal(rmap_check_mm(w->mm), 0);
	assert_non_null(strstr(last, "I6"));
	slot_set(leaf, slot + 1, 0);
	atomic_fetch_sub(&page->mapcount, 1);
}

static void a_map_count_that_no_slot_stands_for_breaks_I7(void **state)
{
	struct world *w = *state;
	unsigned long addr;
	slot_t *slot = anon_page(w, &addr);
	struct page *page = pfn_to_page(w->m, atomic_load(slot) >> PAGE_SHIFT);

	slot_set(leaf_of(w->mm, addr), slot, atomic_load(slot) & ~(SLOT_EXCL | SLOT_RIGHTS));
	atomic_fetch_add(&page->mapcount, 1);
	expect_broken(w, "I7");
	atomic_fetch_sub(&page->mapcount, 1);
}

static void a_slot_that_allows_more_than_its_mapping_breaks_I11(void **state)
{
	struct world *w = *state;
	unsigned long addr;
	slot_t *slot = anon_page(w, &addr);
	uint64_t s;

	assert_int_equal(vm_mprotect(w->mm, addr, 1 << 20, PINFOLD_PROT_READ), 0);
	s = atomic_load(slot);
	assert_int_equal(s & SLOT_WRITES, 0);
	atomic_store(slot, s | SLOT_WRITE);
	expect_broken(w, "I11");
	atomic_store(slot, s);
}

static void a_window_that_counts_its_mappings_wrongly_breaks_I11(void **state)
{
	struct world *w = *state;

	w->m->window_vmas++;
	expect_broken(w, "I11");
	w->m->window_vmas--;
}

#define BREAKS(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BREAKS(a_word_that_is_zero_at_rest_breaks_I1),
		BREAKS(a_frame_missing_from_the_lists_breaks_I2),
		BREAKS(a_write_to_a_free_frame_breaks_I3),
		BREAKS(a_pin_that_nobody_took_breaks_I4),
		BREAKS(a_charge_that_nobody_owes_breaks_I4),
		BREAKS(a_slot_that_shows_another_page_breaks_I7),
		BREAKS(a_reference_too_many_breaks_I7),
		BREAKS(a_writable_slot_of_a_clean_page_breaks_I8),
		BREAKS(a_dirty_flag_without_its_mark_breaks_I9),
		BREAKS(a_right_to_a_page_that_is_not_the_mms_own_breaks_I6),
		BREAKS(a_page_of_the_mms_own_that_is_shown_twice_breaks_I6),
		BREAKS(a_map_count_that_no_slot_stands_for_breaks_I7),
		BREAKS(a_slot_that_allows_more_than_its_mapping_breaks_I11),
		BREAKS(a_window_that_counts_its_mappings_wrongly_breaks_I11),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
