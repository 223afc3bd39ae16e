/* SPDX-License-Identifier: MIT */
/*
 * nth_memory_test.c - address spaces: the 1st, 2nd, 3rd ... allocation (tables, VMAs, frames, translations) inside a call
 * fails, until a run has none left to fail.  Each time: a plain error or success, what was in memory is there, on both
 * sides of a snapshot, the machine's check and the leak equation hold, and the same call without the failure succeeds.
 *
 * Only debug builds count calls; others skip.
 */
#include "../api/anon.h"

#include "host/host.h"

#include <pinfold/fault.h>
#include <pinfold/frame_vector.h>
#include <pinfold/uio.h>

#define SMALL 16u         /* pages [0, 16): written one by one */
#define FOLIO (2u * 512)  /* [1024, 1536): a folio */
#define EMPTY (4u * 512)  /* [2048, ...): mapped, never touched; 2 MiB folios from 2560 on */
#define PAGES (6u * 512)

/* What there is before the call. */
struct scene {
	struct pinfold *m;
	struct space s, child; /* child: a snapshot, its tables shared */
	struct mm_struct *fresh; /* a new mm */
	struct page *pinned;     /* page 5 */
	unsigned long moved;     /* where SMALL is now; 0: where it was */
};

struct op {
	long (*run)(struct scene *c);
	bool child;        /* with a snapshot */
	bool pinned;       /* after that: a page is pinned */
	bool takes;        /* the call takes pages 4 .. 8 away */
	enum pinfold_window window;
};

static long ok_or(int signal)
{
	return signal ? -ENOMEM : 0;
}

static long pin_and_put(struct scene *c, unsigned p, unsigned flags)
{
	struct page *page;
	long r = pinfold_use_mm(c->s.mm);

	r = r ? r : get_user_pages_fast(c->s.at + p * PG, 1, flags, &page);
	return r == 1 ? put_user_page(page) : r;
}

static long touch(struct scene *c)
{
	return pin_and_put(c, EMPTY + 7, FOLL_WRITE);
}

static long touch_folio(struct scene *c)
{
	return pin_and_put(c, EMPTY + 512 + 7, FOLL_WRITE);
}

static long copy_on_write(struct scene *c)
{
	return pin_and_put(c, 3, FOLL_WRITE);
}

static long copy_of_a_folios_page(struct scene *c)
{
	return pin_and_put(c, FOLIO + 3, FOLL_WRITE);
}

static long own_page(struct scene *c)
{
	return pin_and_put(c, 3, 0);
}

static long map_more(struct scene *c)
{
	long a = vm_mmap(c->s.mm, c->s.at + (PAGES + 64) * PG, 4 * PG, RW, PRIVATE | ANON, NULL, 0);

	return a < 0 ? a : vm_munmap(c->s.mm, (unsigned long)a, 4 * PG);
}

static long duplicate(struct scene *c)
{
	return dup_mmap(c->fresh, c->s.mm);
}

static long move_to(struct scene *c, unsigned to, unsigned n)
{
	long a = vm_mremap(c->s.mm, c->s.at, n * PG, n * PG, PINFOLD_MREMAP_MAYMOVE | PINFOLD_MREMAP_FIXED,
	                   c->s.at + to * PG);

	c->moved = a > 0 ? (unsigned long)a : 0;
	return a < 0 ? a : 0;
}

static long move_slots(struct scene *c)
{
	return move_to(c, PAGES + 100, SMALL);
}

static long move_tables(struct scene *c)
{
	return move_to(c, 8 * 512, 512);
}

/* What does not fit the new length lies in a table with others' pages. */
static long move_and_shrink(struct scene *c)
{
	long a = vm_mremap(c->s.mm, c->s.at, (512 + SMALL) * PG, 512 * PG,
	                   PINFOLD_MREMAP_MAYMOVE | PINFOLD_MREMAP_FIXED, c->s.at + 8 * 512 * PG);

	c->moved = a > 0 ? (unsigned long)a : 0;
	return a < 0 ? a : 0;
}

static long unmap_part(struct scene *c)
{
	return vm_munmap(c->s.mm, c->s.at + 4 * PG, 4 * PG);
}

static long forget_part(struct scene *c)
{
	return vm_madvise(c->s.mm, c->s.at + 4 * PG, 4 * PG, PINFOLD_MADV_DONTNEED);
}

static long protect_part(struct scene *c)
{
	long r = vm_mprotect(c->s.mm, c->s.at + 4 * PG, 4 * PG, RO);

	return r ? r : vm_mprotect(c->s.mm, c->s.at + (FOLIO + 4) * PG, 4 * PG, RO);
}

static long advise_part(struct scene *c)
{
	return vm_madvise(c->s.mm, c->s.at + (FOLIO + 4) * PG, 4 * PG, PINFOLD_MADV_NOHUGEPAGE);
}

static long split(struct scene *c)
{
	return pinfold_split_folio(c->s.mm, c->s.at + FOLIO * PG);
}

static long populate(struct scene *c)
{
	return vm_madvise(c->s.mm, c->s.at + EMPTY * PG, 64 * PG, PINFOLD_MADV_POPULATE_WRITE);
}

static long fix_up(struct scene *c)
{
	bool unlocked;
	long r;

	mmap_read_lock(c->s.mm);
	r = fixup_user_fault(NULL, c->s.mm, c->s.at + (EMPTY + 7) * PG, FAULT_FLAG_WRITE, &unlocked);
	mmap_read_unlock(c->s.mm);
	return r;
}

static long fault_in(struct scene *c)
{
	long r = pinfold_use_mm(c->s.mm);

	return r || !fault_in_writeable((char *)c->s.at + 3 * PG, 10 * PG) ? r : -ENOMEM;
}

/* Fewer than asked for: for want of what failed. */
static long populate_range(struct scene *c)
{
	unsigned long a = c->s.at + EMPTY * PG;
	int locked = 1;
	long r;

	mmap_read_lock(c->s.mm);
	r = populate_vma_page_range(vma_lookup(c->s.mm, a), a, a + 8 * PG, &locked);
	if (locked)
		mmap_read_unlock(c->s.mm);
	return r < 0 ? r : r == 8 ? 0 : -ENOMEM;
}

static long take_frames(struct scene *c)
{
	struct frame_vector *vec = frame_vector_create(8);
	long r = pinfold_use_mm(c->s.mm);

	if (r || !vec)
		return r ? r : -ENOMEM;
	r = get_vaddr_frames(c->s.at, 8, FOLL_WRITE, vec);
	if (put_vaddr_frames(vec) || frame_vector_destroy(vec))
		return -EIO;
	return r < 0 ? r : r == 8 ? 0 : -ENOMEM;
}

static long take_iovec(struct scene *c)
{
	struct iovec iov = { (char *)c->s.at + EMPTY * PG, 8 * PG };
	struct page **pages = NULL;
	struct iov_iter i;
	size_t start;
	long r = pinfold_use_mm(c->s.mm);

	r = r ? r : iov_iter_init(&i, ITER_DEST, &iov, 1, 8 * PG);
	r = r ? r : iov_iter_get_pages_alloc(&i, &pages, 8 * PG, &start);
	if (r > 0 && put_user_pages(pages, (unsigned long)r / PG))
		return -EIO;
	if ((r > 0) != !!pages)
		return -EIO;
	free(pages);
	return r < 0 ? r : r == 8 * (long)PG ? 0 : -ENOMEM;
}

static long store_by_pointer(struct scene *c)
{
	return ok_or(store_signal(c->s.at + 3 * PG));
}

static long load_by_pointer(struct scene *c)
{
	return ok_or(load_signal(c->s.at + (EMPTY + 9) * PG));
}

static void scene_start(struct scene *c, const struct op *op)
{
	*c = (struct scene){ .m = MACHINE(.deadline_ms = 50, .pool = 20 * MIB, .memory = 24 * MIB) };
	c->s = new_space(c->m, op->window);
	map_anon(&c->s, 0, PAGES, RW, PRIVATE);
	assert_ok(vm_madvise(c->s.mm, c->s.at + FOLIO * PG, 512 * PG, PINFOLD_MADV_HUGEPAGE));
	assert_ok(vm_madvise(c->s.mm, c->s.at + (EMPTY + 512) * PG, 512 * PG, PINFOLD_MADV_HUGEPAGE));
	put_pages(&c->s, 1, 0, SMALL);
	put_pages(&c->s, 1, 512, 2 * SMALL);
	put_pages(&c->s, 1, FOLIO, SMALL);
	if (op->child)
		c->child = snapshot(c->m, &c->s, op->window);
	if (op->pinned)
		c->pinned = pin_at(&c->s, 5, 0);
	assert_ok(pinfold_mm_create(c->m, op->window, &c->fresh));
}

/* What was stored is there.  taken: pages 4 .. 8 are empty, or not there. */
static void scene_check(struct scene *c, bool taken)
{
	struct space now = c->s;

	if (c->moved)
		now.at = c->moved;
	assert_true(pages_are(&now, 1, 0, 4) && pages_are(&now, 1, 8, SMALL - 8));
	assert_true(taken || pages_are(&now, 1, 4, 4));
	assert_true(pages_are(&c->s, 1, FOLIO, SMALL));
	if (c->child.mm)
		assert_true(pages_are(&c->child, 1, 0, SMALL) && pages_are(&c->child, 1, FOLIO, SMALL));
	if (c->pinned)
		assert_true(is_filled(page_address(c->pinned), 1, 5));
}

static void scene_end(struct scene *c)
{
	if (c->pinned)
		assert_ok(put_user_page(c->pinned));
	assert_ok(pinfold_mm_destroy(c->fresh));
	if (c->child.mm)
		end_space(&c->child);
	end_both(c->m, &c->s);
}

/* One run with its nth call failing.  Was there one? */
static bool run_nth(const struct op *op, unsigned long n)
{
	struct scene c;
	bool hit;
	long r;

	scene_start(&c, op);
	host_inject(n);
	r = op->run(&c);
	hit = host_inject(0) >= n;
	assert_true(r == 0 || (hit && (r == -ENOMEM || r == -EFAULT || r == -EAGAIN)));
	check_machine(c.m);
	scene_check(&c, op->takes && !r);
	if (r)
		assert_ok(op->run(&c));
	check_machine(c.m);
	scene_check(&c, op->takes);
	scene_end(&c);
	return hit;
}

static void every_nth(void **state)
{
	const struct op *op = *state;
	unsigned hits = 0;

	if (!PINFOLD_DEBUG_BUILD) {
		print_message("skipped: only debug builds fail on purpose\n");
		skip();
	}
	for (unsigned long n = 1; n < 400; n++) {
		if (!run_nth(op, n))
			break;
		hits++;
	}
	assert_true(hits > 0 && hits < 399);
}

/* A look takes no memory: it finds the page or it does not. */
static void looking_takes_no_memory(void **state)
{
	struct scene c;
	struct page *page;
	unsigned long calls;

	(void)state;
	if (!PINFOLD_DEBUG_BUILD) {
		print_message("skipped: only debug builds fail on purpose\n");
		skip();
	}
	scene_start(&c, &(struct op){ .window = PINFOLD_WINDOW_NONE });
	host_inject(1);
	mmap_read_lock(c.s.mm);
	page = follow_page(vma_lookup(c.s.mm, c.s.at), c.s.at + 3 * PG, FOLL_GET | FOLL_WRITE | FOLL_LONGTERM);
	mmap_read_unlock(c.s.mm);
	calls = host_inject(0);
	assert_int_equal(calls, 0);
	assert_true(is_filled(page_address(page), 1, 3));
	assert_ok(put_user_page(page));
	scene_end(&c);
}

/* A destroyed mm gives its share of tables back: nothing has to be had for that. */
static void destroying_takes_no_memory(void **state)
{
	struct pinfold *m = MACHINE();
	struct mm_struct *a, *b;
	unsigned long calls;

	(void)state;
	if (!PINFOLD_DEBUG_BUILD) {
		print_message("skipped: only debug builds fail on purpose\n");
		skip();
	}
	assert_ok(pinfold_mm_create(m, PINFOLD_WINDOW_NONE, &a));
	assert_ok(pinfold_mm_create(m, PINFOLD_WINDOW_NONE, &b));
	assert_true(vm_mmap(a, 0, 16 * PG, RW, PRIVATE | ANON | PINFOLD_MAP_POPULATE, NULL, 0) > 0);
	assert_ok(dup_mmap(b, a));
	host_inject(1);
	assert_ok(pinfold_mm_destroy(b));
	calls = host_inject(0);
	assert_true(calls <= 1);
	check_machine(m);
	assert_ok(pinfold_mm_destroy(a));
	end_machine(m);
}

#define OP(name, win, ...) \
	static const struct op name##_##win = { .run = name, .window = PINFOLD_WINDOW_##win, __VA_ARGS__ }
#define BOTH_OPS(name, ...) OP(name, NONE, __VA_ARGS__); OP(name, EXTENT, __VA_ARGS__)

BOTH_OPS(touch, .child = false);
BOTH_OPS(touch_folio, .child = false);
BOTH_OPS(copy_on_write, .child = true);
BOTH_OPS(copy_of_a_folios_page, .child = true);
BOTH_OPS(own_page, .child = true);
BOTH_OPS(map_more, .child = false);
BOTH_OPS(duplicate, .child = true, .pinned = true);
BOTH_OPS(move_slots, .child = true);
BOTH_OPS(move_tables, .child = true);
BOTH_OPS(move_and_shrink, .child = true);
BOTH_OPS(unmap_part, .child = true, .takes = true);
BOTH_OPS(forget_part, .child = true, .takes = true);
BOTH_OPS(protect_part, .child = true);
BOTH_OPS(advise_part, .child = true);
BOTH_OPS(split, .child = true);
BOTH_OPS(populate, .child = false);
BOTH_OPS(fix_up, .child = false);
BOTH_OPS(fault_in, .child = true);
BOTH_OPS(populate_range, .child = false);
BOTH_OPS(take_frames, .child = true);
BOTH_OPS(take_iovec, .child = false);
OP(store_by_pointer, EXTENT, .child = true);
OP(load_by_pointer, EXTENT, .child = true);

#define TEST(name, win) { #name " (" #win ")", every_nth, NULL, NULL, (void *)(uintptr_t)&name##_##win }
#define TESTS(name) TEST(name, NONE), TEST(name, EXTENT)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TESTS(touch),
		TESTS(touch_folio),
		TESTS(copy_on_write),
		TESTS(copy_of_a_folios_page),
		TESTS(own_page),
		TESTS(map_more),
		TESTS(duplicate),
		TESTS(move_slots),
		TESTS(move_tables),
		TESTS(move_and_shrink),
		TESTS(unmap_part),
		TESTS(forget_part),
		TESTS(protect_part),
		TESTS(advise_part),
		TESTS(split),
		TESTS(populate),
		TESTS(fix_up),
		TESTS(fault_in),
		TESTS(populate_range),
		TESTS(take_frames),
		TESTS(take_iovec),
		PLAIN(looking_takes_no_memory),
		PLAIN(destroying_takes_no_memory),
		TEST(store_by_pointer, EXTENT),
		TEST(load_by_pointer, EXTENT),
	};

	return world_main(tests);
}
