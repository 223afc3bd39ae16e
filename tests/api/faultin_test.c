/* SPDX-License-Identifier: MIT */
/* faultin_test.c - <pinfold/fault.h>: bringing pages in without holding them. */
#include "anon.h"

#include <pinfold/fault.h>

static uint64_t faults(struct pinfold *m)
{
	struct pinfold_stats s = stats_of(m);

	return s.faults_missing + s.faults_minor + s.faults_write;
}

/* ---- fixup_user_fault() ------------------------------------------------------------------------ */

static int fixup(const struct space *s, unsigned p, unsigned flags)
{
	int r;

	mmap_read_lock(s->mm);
	r = fixup_user_fault(NULL, s->mm, s->at + p * PG + 100, flags, NULL);
	mmap_read_unlock(s->mm);
	return r;
}

/* Clause F15: the page is good for the access afterwards; one fault at least, also where there is nothing to do. */
static void a_fixed_up_page_needs_no_fault(void **state)
{
	struct page *page;
	struct space s;
	struct world w;
	uint64_t n;

	WORLD(w, *state);
	s = space_of(&w);
	assert_ok(fixup(&s, 3, 0));
	assert_int_equal(get_user_pages_unlocked(w.at + 3 * PG, 1, &page, FOLL_NOWAIT), 1);
	assert_ok(put_user_page(page));
	assert_int_equal(stats_of(w.m).dirty_pages, 0);
	assert_ok(fixup(&s, 3, FAULT_FLAG_WRITE | FAULT_FLAG_REMOTE));
	assert_int_equal(stats_of(w.m).dirty_pages, 1);
	n = faults(w.m);
	if (w.window)
		fill((void *)(w.at + 3 * PG), 1, 3);
	assert_int_equal(get_user_pages_fast(w.at + 3 * PG, 1, FOLL_WRITE, &page), 1);
	assert_ok(put_user_page(page));
	assert_int_equal(faults(w.m), n);
	assert_ok(fixup(&s, 3, FAULT_FLAG_WRITE));
	assert_true(faults(w.m) > n);
	assert_int_equal(now_pinned(w.m), 0);
	world_end(&w);
}

/* Clause F15: the mapping's own right, no FORCE; and what else is -EFAULT. */
static void a_fixup_wants_the_right_itself(void **state)
{
	struct space s;
	struct world w;

	WORLD(w, *state, .pages = 4, .map_pages = 5);
	s = space_of(&w);
	assert_ok(vm_mprotect(w.mm, w.at, PG, PINFOLD_PROT_READ));
	assert_ok(vm_mprotect(w.mm, w.at + PG, PG, PINFOLD_PROT_NONE));
	assert_ok(fixup(&s, 0, 0));
	assert_int_equal(fixup(&s, 0, FAULT_FLAG_WRITE), -EFAULT);
	assert_int_equal(last_error(), -EACCES);
	assert_int_equal(fixup(&s, 1, 0), -EFAULT);
	assert_int_equal(fixup(&s, 4, 0), -EFAULT);
	assert_int_equal(last_error(), -ENXIO);
	assert_int_equal(fixup(&s, 5, 0), -EFAULT);
	assert_int_equal(last_error(), -EFAULT);
	mmap_read_lock(w.mm);
	assert_int_equal(fixup_user_fault(NULL, w.mm, ~0ul, 0, NULL), -EFAULT);
	mmap_read_unlock(w.mm);
	assert_int_equal(stats_of(w.m).dirty_pages, 0);
	world_end(&w);
}

/* Header: every bit of the flags is honoured or refused; the lock is wanted, and a live mm. */
static void wrong_arguments_of_a_fixup_are_refused(void **state)
{
	const unsigned good = FAULT_FLAG_WRITE | FAULT_FLAG_ALLOW_RETRY | FAULT_FLAG_REMOTE;
	bool unlocked = false;
	struct mm_struct *other;
	struct world w;

	WORLD(w, *state);
	assert_int_equal(fixup_user_fault(NULL, w.mm, w.at, 0, NULL), -EINVAL);
	assert_int_equal(fixup_user_fault(NULL, NULL, w.at, 0, NULL), -EINVAL);
	assert_ok(pinfold_mm_create(w.m, PINFOLD_WINDOW_NONE, &other));
	mmap_read_lock(w.mm);
	for (int bit = 0; bit < 32; bit++)
		assert_int_equal(fixup_user_fault(NULL, w.mm, w.at, 1u << bit, &unlocked),
		                 good >> bit & 1 ? 0 : -EINVAL);
	assert_int_equal(fixup_user_fault(NULL, w.mm, w.at, FAULT_FLAG_ALLOW_RETRY, NULL), -EINVAL);
	assert_int_equal(fixup_user_fault(NULL, other, w.at, 0, NULL), -EINVAL);
	mmap_read_unlock(w.mm);
	assert_ok(pinfold_mm_destroy(other));
	assert_int_equal(fixup_user_fault(NULL, other, w.at, 0, NULL), -EINVAL);
	world_end(&w);
}

/* Clauses F15, W13: of memory: the zero page for a load, a page of its own for a store. */
static void a_fixup_of_memory_is_a_load_or_a_store(void **state)
{
	const struct kind *k = *state;
	struct pinfold *m = MACHINE();
	struct space s = new_space(m, k->window);

	map_anon(&s, 0, 4, RW, PRIVATE);
	assert_ok(fixup(&s, 0, 0));
	assert_int_equal(stats_of(m).zero_maps, 1);
	assert_ok(fixup(&s, 0, FAULT_FLAG_WRITE));
	poke(&s, 0, 5);
	assert_int_equal(peek(&s, 0), 5);
	end_both(m, &s);
}

/* ---- fault_in_*() ------------------------------------------------------------------------------ */

typedef size_t (*fault_in_fn)(char *, size_t);

static size_t readable(char *p, size_t size)
{
	return fault_in_readable(p, size);
}

static size_t safe(char *p, size_t size)
{
	return fault_in_safe_writeable(p, size);
}

static const fault_in_fn all_fault_in[] = { readable, fault_in_writeable, safe };
#define NR_FAULT_IN 3

/* Clause F16: bytes not reached: 0 for all, the rest behind a hole, size for nothing; size 0 is 0. */
static void bytes_not_reached_are_counted(void **state)
{
	for (int i = 0; i < NR_FAULT_IN; i++) {
		fault_in_fn fn = all_fault_in[i];
		struct world w;
		char *p;

		WORLD(w, *state, .pages = 3, .map_pages = 4);
		p = (char *)w.at;
		assert_int_equal(fn(p, 3 * PG), 0);
		assert_int_equal(fn(p + 100, 1), 0);
		assert_int_equal(fn(p, 0), 0);
		assert_int_equal(fn(NULL, 0), 0);
		/* the file ends */
		assert_int_equal(fn(p + 100, 3 * PG), 100);
		assert_int_equal(last_error(), -ENXIO);
		assert_int_equal(fn(p + 3 * PG - 1, 2), 1);
		assert_int_equal(fn(p + 3 * PG + 5, 10), 10);
		/* the mapping ends */
		assert_int_equal(fn(p + 4 * PG, PG), PG);
		assert_int_equal(last_error(), -EFAULT);
		assert_int_equal(fn(p - PG, 2 * PG), 2 * PG);
		/* no range */
		assert_int_equal(fn((char *)~0ul, 2), 2);
		assert_int_equal(fn((char *)~0ul, 1), 1);
		assert_int_equal(fn(p, ~0ul), ~0ul);
		assert_int_equal(fn((char *)~PG, PG + 1), PG + 1);
		assert_int_equal(now_pinned(w.m), 0);
		world_end(&w);
	}
}

/* Clause F16: nothing in memory changes, fault_in_writeable() included; a store needs no fault afterwards. */
static void faulting_in_changes_no_byte(void **state)
{
	for (int i = 0; i < NR_FAULT_IN; i++) {
		struct world w;
		uint64_t n;

		WORLD(w, *state);
		for (unsigned p = 0; p < 8; p += 2)
			store_page(&w, 1, p);
		assert_int_equal(all_fault_in[i]((char *)w.at + 10, 8 * PG - 20), 0);
		assert_int_equal(stats_of(w.m).dirty_pages, i ? 8 : 4);
		n = faults(w.m);
		if (w.window && i)
			for (unsigned p = 0; p < 8; p++)
				*(volatile char *)(w.at + p * PG) += 0;
		if (w.window)
			for (unsigned p = 0; p < 8; p++)
				(void)*(volatile char *)(w.at + p * PG);
		assert_int_equal(faults(w.m), n);
		for (unsigned p = 0; p < 8; p++)
			assert_true(page_is(&w, p % 2 ? 0 : 1, p));
		world_end(&w);
	}
}

/* Header: the mapping's rights count, and a right that ends in the middle. */
static void faulting_in_ends_at_a_mapping_without_the_right(void **state)
{
	struct world w;
	char *p;

	WORLD(w, *state);
	p = (char *)w.at;
	assert_ok(vm_mprotect(w.mm, w.at + 2 * PG, PG, PINFOLD_PROT_READ));
	assert_ok(vm_mprotect(w.mm, w.at + 3 * PG, PG, PINFOLD_PROT_NONE));
	assert_int_equal(fault_in_readable(p + 10, 4 * PG), PG + 10);
	assert_int_equal(fault_in_writeable(p + 10, 4 * PG), 2 * PG + 10);
	assert_int_equal(fault_in_safe_writeable(p + 2 * PG, 1), 1);
	assert_int_equal(last_error(), -EACCES);
	assert_int_equal(stats_of(w.m).dirty_pages, 2);
	world_end(&w);
}

/* Header: 5.2's two calls say 0 or -EFAULT. */
static void the_older_calls_say_efault(void **state)
{
	struct world w;
	char *p;

	WORLD(w, *state, .pages = 2);
	p = (char *)w.at;
	assert_int_equal(fault_in_pages_readable(p, 2 * (int)PG), 0);
	assert_int_equal(fault_in_pages_readable(p + PG, (int)PG + 1), -EFAULT);
	assert_int_equal(fault_in_pages_writeable(p, 2 * (int)PG), 0);
	assert_int_equal(fault_in_pages_writeable(p + PG, (int)PG + 1), -EFAULT);
	assert_int_equal(fault_in_pages_readable(p, 0), 0);
	assert_int_equal(fault_in_pages_writeable(p, -1), -EFAULT);
	world_end(&w);
}

/* Header: the thread's mm, or nothing; under the mmap lock it stays held. */
static void faulting_in_is_of_the_threads_mm(void **state)
{
	struct page *page;
	struct world w;

	WORLD(w, *state);
	assert_ok(pinfold_use_mm(NULL));
	for (int i = 0; i < NR_FAULT_IN; i++)
		assert_int_equal(all_fault_in[i]((char *)w.at, PG), PG);
	assert_ok(pinfold_use_mm(w.mm));
	mmap_read_lock(w.mm);
	for (int i = 0; i < NR_FAULT_IN; i++)
		assert_int_equal(all_fault_in[i]((char *)w.at + (unsigned)i * 4 * PG, PG), 0);
	assert_int_equal(get_user_pages(w.at, 1, 0, &page, NULL), 1);
	mmap_read_unlock(w.mm);
	assert_ok(put_user_page(page));
	world_end(&w);
}

/* Header: memory of the machine: zero pages for loads, pages for stores, as many as are reached. */
static void memory_is_faulted_in_as_it_is_used(void **state)
{
	const struct kind *k = *state;
	struct pinfold *m = MACHINE();
	struct space s = new_space(m, k->window);
	uint64_t free;
	char *p = (char *)s.at;

	map_anon(&s, 0, 16, RW, PRIVATE);
	map_anon(&s, 16, 512, RW, SHARED);
	assert_ok(pinfold_use_mm(s.mm));
	poke(&s, 3 * PG, 3);
	free = frames_free(m);
	assert_int_equal(fault_in_readable(p, 16 * PG), 0);
	assert_int_equal(frames_free(m), free);
	assert_int_equal(stats_of(m).zero_maps, 15);
	assert_int_equal(fault_in_safe_writeable(p + PG, 15 * PG), 0);
	assert_int_equal(frames_free(m), free - 14);
	assert_int_equal(peek(&s, 3 * PG), 3);
	assert_int_equal(fault_in_writeable(p + 8 * PG, 520 * PG), 0);
	assert_int_equal(fault_in_writeable(p + 8 * PG, 521 * PG), PG);
	assert_int_equal(peek(&s, 3 * PG), 3);
	end_both(m, &s);
}

/* ---- populate_vma_page_range() ----------------------------------------------------------------- */

static long populate(const struct space *s, unsigned p, unsigned n)
{
	unsigned long a = s->at + p * PG;
	long r;

	mmap_read_lock(s->mm);
	r = populate_vma_page_range(vma_lookup(s->mm, a), a, a + n * PG, NULL);
	mmap_read_unlock(s->mm);
	return r;
}

/* Clause F12: shared pages are read, not dirtied; there is no fault afterwards. */
static void shared_files_are_populated_for_reading(void **state)
{
	struct page *pages[16];
	struct space s;
	struct world w;
	uint64_t n;

	WORLD(w, *state);
	s = space_of(&w);
	assert_int_equal(populate(&s, 2, 12), 12);
	assert_int_equal(stats_of(w.m).dirty_pages, 0);
	n = faults(w.m);
	if (w.window)
		for (unsigned p = 2; p < 14; p++)
			assert_true(is_filled((void *)(w.at + p * PG), 0, p));
	assert_int_equal(get_user_pages_unlocked(w.at + 2 * PG, 12, pages, FOLL_NOWAIT), 12);
	assert_ok(put_user_pages(pages, 12));
	assert_int_equal(faults(w.m), n);
	world_end(&w);
}

/* Clause F12: private and writable: copies at once; private and read-only: the file's pages. */
static void private_writable_pages_are_populated_for_writing(void **state)
{
	struct space s;
	struct world w;

	WORLD(w, *state);
	s = new_space(w.m, w.mode);
	map_file(&s, 0, 8, RW, PRIVATE, w.file, 0);
	map_file(&s, 8, 8, RO, PRIVATE, w.file, 8);
	assert_int_equal(populate(&s, 0, 8), 8);
	assert_int_equal(stats_of(w.m).cow_copied, 8);
	assert_int_equal(populate(&s, 8, 8), 8);
	assert_int_equal(stats_of(w.m).cow_copied, 8);
	assert_true(pages_are(&s, 0, 0, 16));
	assert_int_equal(stats_of(w.m).dirty_pages, 0);
	end_space(&s);
	assert_ok(pinfold_use_mm(w.mm));
	world_end(&w);
}

/* Clause F12: anonymous memory: frames where it may be written, zero pages where not; folios count as their pages. */
static void memory_is_populated_by_its_rights(void **state)
{
	const struct kind *k = *state;
	struct pinfold *m = MACHINE();
	struct space s = new_space(m, k->window);
	uint64_t free;

	map_anon(&s, 0, 512, RW, PRIVATE);
	map_anon(&s, 512, 4, RO, PRIVATE);
	map_anon(&s, 516, 4, PINFOLD_PROT_WRITE, PRIVATE);
	map_anon(&s, 520, 4, PINFOLD_PROT_WRITE, SHARED);
	assert_ok(vm_madvise(s.mm, s.at, LEAF, PINFOLD_MADV_HUGEPAGE));
	free = frames_free(m);
	assert_int_equal(populate(&s, 10, 100), 100);
	assert_int_equal(stats_of(m).folios_mapped, 1);
	assert_int_equal(populate(&s, 0, 512), 512);
	assert_int_equal(frames_free(m), free - 512);
	assert_int_equal(populate(&s, 512, 4), 4);
	assert_int_equal(frames_free(m), free - 512);
	assert_int_equal(populate(&s, 516, 4), 4);
	assert_int_equal(frames_free(m), free - 516);
	assert_int_equal(populate(&s, 520, 4), 4); /* for reading, which it is not for: as Linux, by force */
	end_both(m, &s);
}

/* Clauses F12, P1: PROT_NONE is -EFAULT; the end of a file gives the count, and the error when it comes first. */
static void populating_ends_where_a_page_cannot_be_had(void **state)
{
	struct space s;
	struct world w;

	WORLD(w, *state, .pages = 4, .map_pages = 8);
	s = space_of(&w);
	assert_int_equal(populate(&s, 0, 8), 4);
	assert_int_equal(populate(&s, 4, 4), -EFAULT);
	assert_int_equal(last_error(), -ENXIO);
	assert_int_equal(populate(&s, 1, 0), 0);
	assert_ok(vm_mprotect(w.mm, w.at, 2 * PG, PINFOLD_PROT_NONE));
	assert_int_equal(populate(&s, 0, 2), -EFAULT);
	assert_int_equal(populate(&s, 2, 2), 2);
	world_end(&w);
}

/* Header: aligned, inside the mapping, the lock held, *locked 1. */
static void wrong_ranges_are_not_populated(void **state)
{
	struct vm_area_struct *vma;
	int locked = 0;
	struct world w;

	WORLD(w, *state);
	assert_ok(vm_mprotect(w.mm, w.at + 8 * PG, 8 * PG, PINFOLD_PROT_READ));
	assert_int_equal(populate_vma_page_range(NULL, w.at, w.at + PG, NULL), -EINVAL);
	mmap_read_lock(w.mm);
	vma = vma_lookup(w.mm, w.at);
	assert_int_equal(populate_vma_page_range(vma, w.at + 1, w.at + PG, NULL), -EINVAL);
	assert_int_equal(populate_vma_page_range(vma, w.at, w.at + 1, NULL), -EINVAL);
	assert_int_equal(populate_vma_page_range(vma, w.at + PG, w.at, NULL), -EINVAL);
	assert_int_equal(populate_vma_page_range(vma, w.at, w.at + 9 * PG, NULL), -EINVAL);
	assert_int_equal(populate_vma_page_range(vma, w.at + 8 * PG, w.at + 9 * PG, NULL), -EINVAL);
	assert_int_equal(populate_vma_page_range(vma, w.at - PG, w.at, NULL), -EINVAL);
	assert_int_equal(populate_vma_page_range((struct vm_area_struct *)64, w.at, w.at + PG, NULL), -EINVAL);
	assert_int_equal(populate_vma_page_range(NULL, w.at - PG, w.at, NULL), -EINVAL);
	assert_int_equal(populate_vma_page_range(vma, w.at, w.at + PG, &locked), -EINVAL);
	assert_int_equal(locked, 0);
	mmap_read_unlock(w.mm);
	assert_int_equal(populate_vma_page_range(vma, w.at, w.at + PG, NULL), -EINVAL);
	assert_int_equal(stats_of(w.m).pages_read, 0);
	world_end(&w);
}

/* ---- vm_fault_to_errno() ----------------------------------------------------------------------- */

/* Contract 2.4: the order of the table, for every mask of errors, and nothing else changes it. */
static void a_handlers_result_becomes_an_errno(void **state)
{
	static const unsigned bits[] = {
		VM_FAULT_OOM, VM_FAULT_HWPOISON, VM_FAULT_HWPOISON_LARGE, VM_FAULT_SIGBUS, VM_FAULT_SIGSEGV,
		VM_FAULT_FALLBACK, VM_FAULT_MAJOR | VM_FAULT_WRITE | VM_FAULT_NOPAGE | VM_FAULT_LOCKED | VM_FAULT_RETRY |
		VM_FAULT_DONE_COW | VM_FAULT_NEEDDSYNC | VM_FAULT_COMPLETED | VM_FAULT_HINDEX_MASK,
	};

	(void)state;
	for (unsigned set = 0; set < 1u << 7; set++) {
		vm_fault_t fault = 0;

		for (unsigned i = 0; i < 7; i++)
			fault |= set >> i & 1 ? bits[i] : 0;
		for (int bit = -1; bit < 31; bit++) {
			int flags = bit < 0 ? 0 : 1 << bit;
			int want = set & 1 ? -ENOMEM : set & 6 ? flags == FOLL_HWPOISON ? -EHWPOISON : -EFAULT :
			           set & 24 ? -EFAULT : 0;

			assert_int_equal(vm_fault_to_errno(fault, flags), want);
		}
	}
	assert_int_equal(VM_FAULT_ERROR, 0x873);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		EACH(a_fixed_up_page_needs_no_fault),
		EACH(a_fixup_wants_the_right_itself),
		EACH(wrong_arguments_of_a_fixup_are_refused),
		BOTH(a_fixup_of_memory_is_a_load_or_a_store),
		EACH(bytes_not_reached_are_counted),
		EACH(faulting_in_changes_no_byte),
		EACH(faulting_in_ends_at_a_mapping_without_the_right),
		EACH(the_older_calls_say_efault),
		EACH(faulting_in_is_of_the_threads_mm),
		BOTH(memory_is_faulted_in_as_it_is_used),
		EACH(shared_files_are_populated_for_reading),
		FILES(private_writable_pages_are_populated_for_writing),
		BOTH(memory_is_populated_by_its_rights),
		EACH(populating_ends_where_a_page_cannot_be_had),
		EACH(wrong_ranges_are_not_populated),
		PLAIN(a_handlers_result_becomes_an_errno),
	};

	return world_main(tests);
}
