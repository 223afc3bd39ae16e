/* SPDX-License-Identifier: MIT */
/*
 * anon.h - what the tests of private memory share: address spaces and the place in them that a test looks at, as the
 * process sees it, and snapshots of them.
 *
 * A space's process loads and stores through pointers where there is a window.  Without one it uses
 * access_process_vm(), which is a short pin: a look at memory that is shared with a snapshot gives the mm a page of its
 * own (clause U1).
 */
#ifndef PINFOLD_API_ANON_H
#define PINFOLD_API_ANON_H

#include "world.h"

#define PRIVATE PINFOLD_MAP_PRIVATE
#define ANON PINFOLD_MAP_ANONYMOUS
#define FIXED PINFOLD_MAP_FIXED
#define RO PINFOLD_PROT_READ
#define LEAF (512 * PG)

/* Windows that take everything, and kinds of files in them. */
#define BOTH(fn) ON(pool, fn), ON(extent, fn)
#define FILES(fn) BOTH(fn), ON(direct, fn), ON(extent_direct, fn)

/* Windows of a space and of a snapshot of it. */
struct pair {
	enum pinfold_window parent, child;
};

static const struct pair none_none __attribute__((unused)) = { PINFOLD_WINDOW_NONE, PINFOLD_WINDOW_NONE };
static const struct pair none_extent __attribute__((unused)) = { PINFOLD_WINDOW_NONE, PINFOLD_WINDOW_EXTENT };
static const struct pair extent_none __attribute__((unused)) = { PINFOLD_WINDOW_EXTENT, PINFOLD_WINDOW_NONE };
static const struct pair extent_extent __attribute__((unused)) = { PINFOLD_WINDOW_EXTENT, PINFOLD_WINDOW_EXTENT };

#define PAIRS(fn) ON(none_none, fn), ON(none_extent, fn), ON(extent_none, fn), ON(extent_extent, fn)

struct space {
	struct mm_struct *mm;
	unsigned long at; /* aligned to 1 GiB; a snapshot's: what `at` of the other one became */
	bool window;
};

/* ---- machines and spaces ----------------------------------------------------------------------- */

HELPER struct pinfold *anon_machine(struct setup *s)
{
	arm_signals();
	if (!s->memory)
		s->memory = 24 * MIB;
	if (!s->pool)
		s->pool = 16 * MIB;
	return new_machine(s);
}
#define MACHINE(...) anon_machine(&(struct setup){ .pages = 0, __VA_ARGS__ })

HELPER struct space new_space(struct pinfold *m, enum pinfold_window mode)
{
	struct space s = { .at = 1ul << 40, .window = mode != PINFOLD_WINDOW_NONE };
	unsigned long end;

	assert_ok(pinfold_mm_create(m, mode, &s.mm));
	if (mode == PINFOLD_WINDOW_EXTENT) {
		assert_ok(pinfold_mm_range(s.mm, &s.at, &end));
		s.at = (s.at + 2 * GIB) & ~(GIB - 1);
		assert_true(s.at + 4 * GIB <= end);
	}
	return s;
}

HELPER struct space space_of(const struct world *w)
{
	return (struct space){ w->mm, w->at, w->window };
}

HELPER void end_space(struct space *s)
{
	assert_ok(pinfold_use_mm(NULL));
	assert_ok(pinfold_mm_destroy(s->mm));
	s->mm = NULL;
}

/* One space and its machine. */
HELPER void end_both(struct pinfold *m, struct space *s)
{
	end_space(s);
	end_machine(m);
}

/* Memory of the machine at page `first` of the space: flags has SHARED or PRIVATE. */
HELPER void map_anon(struct space *s, unsigned first, unsigned pages, int prot, int flags)
{
	unsigned long a = s->at + first * PG;

	assert_int_equal(vm_mmap(s->mm, a, pages * PG, prot, flags | ANON | PINFOLD_MAP_FIXED_NOREPLACE, NULL, 0), a);
}

HELPER void map_file(struct space *s, unsigned first, unsigned pages, int prot, int flags, struct pinfold_file *f,
                     unsigned file_page)
{
	unsigned long a = s->at + first * PG;

	assert_int_equal(vm_mmap(s->mm, a, pages * PG, prot, flags | PINFOLD_MAP_FIXED_NOREPLACE, f, file_page * PG),
	                 a);
}

/* A snapshot of `of` in a window of this mode. */
HELPER struct space snapshot(struct pinfold *m, struct space *of, enum pinfold_window mode)
{
	struct space s = { .window = mode != PINFOLD_WINDOW_NONE };

	assert_ok(pinfold_mm_create(m, mode, &s.mm));
	assert_ok(dup_mmap(s.mm, of->mm));
	s.at = of->at + (unsigned long)pinfold_mm_shift(s.mm);
	return s;
}

HELPER uint64_t frames_free(struct pinfold *m)
{
	return stats_of(m).frames_free;
}

/* ---- what the process sees and does ------------------------------------------------------------ */

HELPER uint64_t peek(const struct space *s, unsigned long off)
{
	uint64_t v = 0;

	if (s->window)
		return *(volatile uint64_t *)(s->at + off);
	assert_int_equal(access_process_vm(s->mm, s->at + off, &v, 8, 0), 8);
	return v;
}

HELPER void poke(const struct space *s, unsigned long off, uint64_t v)
{
	if (s->window)
		*(volatile uint64_t *)(s->at + off) = v;
	else
		assert_int_equal(access_process_vm(s->mm, s->at + off, &v, 8, FOLL_WRITE), 8);
}

/* Stores the pattern of `seed` to pages [first, first + n). */
HELPER void put_pages(const struct space *s, uint64_t seed, unsigned first, unsigned n)
{
	char page[PG];

	for (unsigned p = first; p < first + n; p++) {
		unsigned long a = s->at + p * PG;

		fill(s->window ? (void *)a : page, seed, p);
		if (!s->window)
			assert_int_equal(access_process_vm(s->mm, a, page, PG, FOLL_WRITE), PG);
	}
}

/* Page p, or a copy of it. */
HELPER const void *look_at(const struct space *s, unsigned p, char *copy)
{
	unsigned long a = s->at + p * PG;

	if (s->window)
		return (const void *)a;
	assert_int_equal(access_process_vm(s->mm, a, copy, PG, 0), PG);
	return copy;
}

HELPER bool pages_are(const struct space *s, uint64_t seed, unsigned first, unsigned n)
{
	char copy[PG];

	for (unsigned p = first; p < first + n; p++)
		if (!is_filled(look_at(s, p, copy), seed, p))
			return false;
	return true;
}

HELPER bool pages_are_zero(const struct space *s, unsigned first, unsigned n)
{
	char copy[PG];

	for (unsigned p = first; p < first + n; p++)
		if (!is_zero(look_at(s, p, copy), 0, PG))
			return false;
	return true;
}

/* The signal that the application gets from an access through a window; 0: none.  A store changes nothing. */
static __attribute__((noinline, unused)) int load_signal(unsigned long a)
{
	return signal_of((void)*(volatile char *)a);
}

static __attribute__((noinline, unused)) int store_signal(unsigned long a)
{
	return signal_of(__atomic_fetch_or((char *)a, 0, __ATOMIC_RELAXED));
}

/* Is the access refused as a violation?  Where there is no window, by pin. */
HELPER bool refused(const struct space *s, unsigned long off, bool write)
{
	char c = 0;

	if (s->window)
		return (write ? store_signal(s->at + off) : load_signal(s->at + off)) == SIGSEGV;
	return access_process_vm(s->mm, s->at + off, &c, 1, write ? FOLL_WRITE : 0) == -EFAULT &&
	       (last_error() == -EACCES || last_error() == -EFAULT);
}

/* ---- pins -------------------------------------------------------------------------------------- */

/* Pins page p; the space's mm is the thread's from here on. */
HELPER struct page *pin_at(const struct space *s, unsigned p, unsigned flags)
{
	assert_ok(pinfold_use_mm(s->mm));
	return pin_one(s->at + p * PG, flags);
}

/* The page that a pin of p gets now.  Of shared private memory a read pin, too, makes one of its own (U1). */
HELPER struct page *page_at(const struct space *s, unsigned p, unsigned flags)
{
	struct page *page = pin_at(s, p, flags);

	assert_ok(put_user_page(page));
	return page;
}

HELPER uint64_t now_pinned(struct pinfold *m)
{
	struct pinfold_stats s = stats_of(m);

	return s.pins_acquired - s.pins_released;
}

/* A word of a pinned page: what the device sees and writes. */
HELPER volatile uint64_t *device_word(struct page *page)
{
	return (volatile uint64_t *)page_address(page);
}

#endif
