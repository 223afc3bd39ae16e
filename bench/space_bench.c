/* SPDX-License-Identifier: MIT */
/*
 * space_bench.c - address spaces: first touch, faults of windows, copy on write, snapshots, mremap, two threads, beside the
 * kernel's own and beside zeroing and copying a page.
 *
 * What is the same for all: anonymous memory of the same size, one thread unless said, all of it resident where it is
 * not the first touch that is measured.
 */
#include "bench.h"

#include <sys/syscall.h>
#include <sys/wait.h>

#define RW (PINFOLD_PROT_READ | PINFOLD_PROT_WRITE)
#define ANON (PINFOLD_MAP_PRIVATE | PINFOLD_MAP_ANONYMOUS)
#define LEAF (2 * MIB)
#define PER_CALL 512

/* One mapping of anonymous memory and the machine behind it. */
struct space {
	struct pinfold *machine;
	struct mm_struct *mm;
	unsigned long at;
	size_t size;
	enum pinfold_window window;
	bool folios;
};

static size_t touch_size, snap_size;

static void space_open(struct space *s, size_t size, size_t pool, enum pinfold_window window, bool folios)
{
	struct pinfold_options o = { .size = sizeof(o), .memory = pool, .pool = pool, .staging = MIB };

	*s = (struct space){ .size = size, .window = window, .folios = folios };
	MUST(pinfold_create(&o, &s->machine));
	MUST(pinfold_mm_create(s->machine, window, &s->mm));
}

static void space_map(struct space *s)
{
	s->at = (unsigned long)MUST(vm_mmap(s->mm, 0, s->size, RW, ANON, NULL, 0));
	if (s->folios)
		MUST(vm_madvise(s->mm, s->at, s->size, PINFOLD_MADV_HUGEPAGE));
	MUST(pinfold_use_mm(s->mm));
}

/* Pins and puts [from, from + n) pages for writing, `per` a call. */
static void pin_pages(unsigned long at, size_t pages, int per)
{
	struct page *page[PER_CALL];

	for (size_t i = 0; i < pages; i += (size_t)per) {
		if (get_user_pages_fast(at + i * PG, per, FOLL_WRITE, page) != per)
			die("get_user_pages_fast");
		MUST(put_user_pages(page, (unsigned long)per));
	}
}

static void store_pages(unsigned long at, size_t pages, size_t step)
{
	for (size_t i = 0; i < pages; i += step)
		*(volatile char *)(at + i * PG) = 1;
}

static char *kernel_map(size_t size, int flags)
{
	char *p = mmap(NULL, size + LEAF, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);

	if (p == MAP_FAILED)
		die("mmap");
	return p;
}

static char *aligned(char *p)
{
	return (char *)(((unsigned long)p + LEAF - 1) & ~(LEAF - 1));
}

/* ---- first touch ------------------------------------------------------------------------------- */

static void zero_pages(struct variant *v)
{
	static char *buf;
	double t;

	if (!buf)
		memset(buf = kernel_map(touch_size, 0), 1, touch_size);
	t = now_ns();
	for (size_t i = 0; i < touch_size; i += PG) {
		memset(buf + i, 0, PG);
		__asm__ volatile("" ::: "memory");
	}
	v->out[0] = (now_ns() - t) / (double)(touch_size / PG);
}

/* a: advice, or 0; b: MAP_POPULATE */
static void kernel_touch(struct variant *v)
{
	double t = now_ns();
	char *p = kernel_map(touch_size, v->b ? MAP_POPULATE : 0);

	if (!v->b) {
		if (v->a)
			madvise(p, touch_size + LEAF, (int)v->a);
		t = now_ns();
		store_pages((unsigned long)aligned(p), touch_size / PG, 1);
	}
	v->out[0] = (now_ns() - t) / (double)(touch_size / PG);
	munmap(p, touch_size + LEAF);
}

/* p: the space; a: pages a call, 0: by pointer, -1: MADV_POPULATE_WRITE */
static void first_touch(struct variant *v)
{
	struct space *s = v->p;
	size_t pages = touch_size / PG;
	double t;

	space_map(s);
	t = now_ns();
	if (v->a > 0)
		pin_pages(s->at, pages, (int)v->a);
	else if (v->a < 0)
		MUST(vm_madvise(s->mm, s->at, s->size, PINFOLD_MADV_POPULATE_WRITE));
	else
		store_pages(s->at, pages, 1);
	v->out[0] = (now_ns() - t) / (double)pages;
	MUST(vm_munmap(s->mm, s->at, s->size));
}

static void first_touches(void)
{
	static const struct figure figures[] = { { "a page", "ns" }, { 0 } };
	static struct space none, folio, win, win_folio;
	struct variant v[] = {
		{ .name = "Z: zeroing a page of a buffer as large", .fn = zero_pages },
		{ .name = "kernel: store to untouched memory, 4 KiB", .fn = kernel_touch },
		{ .name = "kernel: the same, transparent huge pages", .fn = kernel_touch, .a = MADV_HUGEPAGE },
		{ .name = "kernel: MAP_POPULATE, 4 KiB", .fn = kernel_touch, .b = 1 },
		{ .name = "pinfold: write pins, 4 KiB, 1 page a call", .fn = first_touch, .p = &none, .a = 1 },
		{ .name = "pinfold: write pins, 4 KiB, 512 a call", .fn = first_touch, .p = &none, .a = PER_CALL },
		{ .name = "pinfold: write pins, 2 MiB folios, 512 a call", .fn = first_touch, .p = &folio,
		  .a = PER_CALL },
		{ .name = "pinfold: store by pointer, 4 KiB", .fn = first_touch, .p = &win },
		{ .name = "pinfold: store by pointer, 2 MiB folios", .fn = first_touch, .p = &win_folio },
		{ .name = "pinfold: POPULATE_WRITE of a window, 2 MiB folios", .fn = first_touch, .p = &win_folio,
		  .a = -1 },
	};
	struct group g = {
		.name = "First touch of anonymous memory",
		.note = "128 MiB, unmapped after each repetition.  Pins are put again at once.  By pointer: an extent window,\n"
		        "one fault for 4 KiB or 2 MiB.  Targets: 4 KiB by pins <= 1.2 Z + 4 A.",
		.figure = figures, .v = v, .n = sizeof(v) / sizeof(v[0]), .ref = 0, .reps = 7,
	};

	if (!wanted(g.name))
		return;
	space_open(&none, touch_size, 2 * touch_size, PINFOLD_WINDOW_NONE, false);
	space_open(&folio, touch_size, 2 * touch_size, PINFOLD_WINDOW_NONE, true);
	space_open(&win, touch_size, 2 * touch_size, PINFOLD_WINDOW_EXTENT, false);
	space_open(&win_folio, touch_size, 2 * touch_size, PINFOLD_WINDOW_EXTENT, true);
	run_group(&g);
}

/* ---- faults of windows whose page is there --------------------------------------------------------- */

static void kernel_minor(struct variant *v)
{
	static char *p;
	size_t pages = touch_size / 4 / PG;
	double t;

	if (!p) {
		int fd = (int)syscall(SYS_memfd_create, "bench", 0);

		if (fd < 0 || ftruncate(fd, (off_t)touch_size))
			die("memfd");
		p = mmap(NULL, touch_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (p == MAP_FAILED)
			die("mmap");
		memset(p, 1, touch_size);
	}
	madvise(p, touch_size, MADV_DONTNEED);
	t = now_ns();
	store_pages((unsigned long)p, pages, 1);
	v->out[0] = (now_ns() - t) / (double)pages;
}

/* p: a space or side's mm and place; the pages stay in the cache, translations and slots go. */
struct place {
	struct mm_struct *mm;
	unsigned long at;
	size_t stride; /* pages between two that are touched */
};

static void window_minor(struct variant *v)
{
	struct place *w = v->p;
	size_t pages = touch_size / 4 / PG;
	double t;

	MUST(vm_madvise(w->mm, w->at, touch_size, PINFOLD_MADV_DONTNEED));
	t = now_ns();
	store_pages(w->at, pages * w->stride, w->stride);
	v->out[0] = (now_ns() - t) / (double)pages;
}

static void window_faults(void)
{
	static const struct figure figures[] = { { "a fault", "ns" }, { 0 } };
	static struct place ext, scattered, direct;
	static struct space s;
	static struct side d;
	struct variant v[3 + 1] = {
		{ .name = "kernel: memfd, page cached", .fn = kernel_minor },
		{ .name = "pinfold: extent window, pages in a row", .fn = window_minor, .p = &ext },
		{ .name = "pinfold: extent window, every 4th page", .fn = window_minor, .p = &scattered },
		{ .name = "pinfold: direct window, pages in a row", .fn = window_minor, .p = &direct },
	};
	struct group g = {
		.name = "A store through a window whose page is there",
		.note = "The page is in memory, the translation is not (DONTNEED of shared memory).  An extent window's fault\n"
		        "is a signal and an mmap(), a direct window's a signal and a userfaultfd call.",
		.figure = figures, .v = v, .n = 4, .ref = 0, .reps = 7,
	};

	if (!wanted(g.name))
		return;
	space_open(&s, touch_size, 2 * touch_size, PINFOLD_WINDOW_EXTENT, false);
	ext.mm = scattered.mm = s.mm;
	ext.at = scattered.at = (unsigned long)MUST(vm_mmap(s.mm, 0, touch_size, RW, PINFOLD_MAP_SHARED |
	                                                    PINFOLD_MAP_ANONYMOUS | PINFOLD_MAP_POPULATE, NULL, 0));
	ext.stride = direct.stride = 1;
	scattered.stride = 4;
	if (side_open(&d, NULL, touch_size, 2 * touch_size, PINFOLD_WINDOW_DIRECT, 0)) {
		skipped("direct window", NO_WINDOW);
		g.n = 3;
	} else {
		direct.mm = d.mm;
		direct.at = (unsigned long)d.base;
		store_pages(direct.at, touch_size / PG, 1);
	}
	run_group(&g);
	side_close(&d);
}

/* ---- copy on write ------------------------------------------------------------------------------ */

#define COW_PAGES 8192ul /* cold: 32 MiB */
#define HOT_PAGES 64ul

static void copy_pages(struct variant *v)
{
	static char *a, *b;
	size_t pages = v->a ? HOT_PAGES : COW_PAGES;
	double t;

	if (!a) {
		memset(a = kernel_map(COW_PAGES * PG, 0), 1, COW_PAGES * PG);
		memset(b = kernel_map(COW_PAGES * PG, 0), 1, COW_PAGES * PG);
		/* The forks of other rows would make these copies on write. */
		madvise(a, COW_PAGES * PG, MADV_DONTFORK);
		madvise(b, COW_PAGES * PG, MADV_DONTFORK);
	}
	for (int round = v->a ? 0 : 1; round < 2; round++) {
		t = now_ns();
		for (size_t i = 0; i < pages; i++) {
			memcpy(b + i * PG, a + i * PG, PG);
			__asm__ volatile("" ::: "memory");
		}
	}
	v->out[0] = (now_ns() - t) / (double)pages;
}

/* A child that lives until it is told to end. */
static pid_t sleeping_child(int fd[2])
{
	pid_t pid;
	char c;

	if (pipe(fd))
		die("pipe");
	pid = fork();
	if (pid < 0)
		die("fork");
	if (!pid) {
		close(fd[1]);
		_exit(read(fd[0], &c, 1) < 0);
	}
	close(fd[0]);
	return pid;
}

static void end_child(pid_t pid, int fd[2])
{
	close(fd[1]);
	if (waitpid(pid, NULL, 0) != pid)
		die("waitpid");
}

static void kernel_cow(struct variant *v)
{
	static char *p;
	size_t pages = v->a ? HOT_PAGES : COW_PAGES;
	int fd[2];
	pid_t pid;
	double t;

	if (!p)
		memset(p = kernel_map(COW_PAGES * PG, 0), 1, COW_PAGES * PG);
	madvise(p, COW_PAGES * PG, MADV_NOHUGEPAGE);
	pid = sleeping_child(fd);
	if (v->b)
		end_child(pid, fd);
	t = now_ns();
	store_pages((unsigned long)p, pages, 1);
	v->out[0] = (now_ns() - t) / (double)pages;
	if (!v->b)
		end_child(pid, fd);
}

/* The first page of each table is written before the clock starts: a table's copy is not what is measured here. */
static void own_tables(struct space *s, size_t pages)
{
	for (size_t i = 0; i < pages; i += LEAF / PG)
		pin_pages(s->at + i * PG, 1, 1);
}

/* a: hot; b: the other side is gone; p: the space */
static void break_sharing(struct variant *v)
{
	struct space *s = v->p;
	size_t pages = v->a ? HOT_PAGES : COW_PAGES;
	struct mm_struct *snap;
	double t;

	MUST(pinfold_use_mm(s->mm));
	MUST(pinfold_mm_create(s->machine, PINFOLD_WINDOW_NONE, &snap));
	MUST(dup_mmap(snap, s->mm));
	if (v->b)
		MUST(pinfold_mm_destroy(snap));
	own_tables(s, pages);
	t = now_ns();
	if (s->window)
		store_pages(s->at, pages, 1);
	else
		pin_pages(s->at, pages, 1);
	v->out[0] = (now_ns() - t) / (double)pages;
	if (!v->b)
		MUST(pinfold_mm_destroy(snap));
}

static void copies_on_write(void)
{
	static const struct figure figures[] = { { "a page", "ns" }, { 0 } };
	static struct space none, win;
	struct variant v[] = {
		{ .name = "C: copying a page, cold", .fn = copy_pages },
		{ .name = "C: copying a page, hot", .fn = copy_pages, .a = 1 },
		{ .name = "kernel: store after fork(2), child alive", .fn = kernel_cow },
		{ .name = "kernel: store after the child is gone", .fn = kernel_cow, .b = 1 },
		{ .name = "pinfold: write pin after dup_mmap(), cold", .fn = break_sharing, .p = &none },
		{ .name = "pinfold: write pin after dup_mmap(), hot", .fn = break_sharing, .p = &none, .a = 1 },
		{ .name = "pinfold: write pin, the snapshot gone", .fn = break_sharing, .p = &none, .b = 1 },
		{ .name = "pinfold: store by pointer, cold", .fn = break_sharing, .p = &win },
		{ .name = "pinfold: store by pointer, the snapshot gone", .fn = break_sharing, .p = &win, .b = 1 },
	};
	struct group g = {
		.name = "Copy on write",
		.note = "32 MiB, or 256 KiB (hot); 4 KiB pages.  A pin is put again at once, so its row has the pair.\n"
		        "Target: <= 1.15 C + 4 A by pins.",
		.figure = figures, .v = v, .n = sizeof(v) / sizeof(v[0]), .ref = 0, .reps = 7,
	};

	if (!wanted(g.name))
		return;
	space_open(&none, COW_PAGES * PG, 4 * COW_PAGES * PG, PINFOLD_WINDOW_NONE, false);
	space_open(&win, COW_PAGES * PG, 4 * COW_PAGES * PG, PINFOLD_WINDOW_EXTENT, false);
	space_map(&win);
	store_pages(win.at, COW_PAGES, 1);
	space_map(&none);
	pin_pages(none.at, COW_PAGES, 1);
	run_group(&g);
}

/* ---- snapshots ---------------------------------------------------------------------------------- */

#define PROBES 64ul

/* a: advice; out: fork, first store to a stretch of 2 MiB, second */
static void kernel_fork(struct variant *v)
{
	char **p = v->p;
	int fd[2];
	pid_t pid;
	double t;

	if (!*p) {
		*p = kernel_map(snap_size, 0);
		madvise(*p, snap_size + LEAF, (int)v->a);
		*p = aligned(*p);
	}
	store_pages((unsigned long)*p, snap_size / PG, 1);
	madvise(*p, snap_size, MADV_DOFORK);
	t = now_ns();
	pid = sleeping_child(fd);
	v->out[0] = (now_ns() - t) / 1e3;
	t = now_ns();
	store_pages((unsigned long)*p, PROBES * LEAF / PG, LEAF / PG);
	v->out[1] = (now_ns() - t) / 1e3 / (double)PROBES;
	t = now_ns();
	store_pages((unsigned long)*p + PG, PROBES * LEAF / PG, LEAF / PG);
	v->out[2] = (now_ns() - t) / 1e3 / (double)PROBES;
	end_child(pid, fd);
	madvise(*p, snap_size, MADV_DONTFORK); /* the other rows' memory is no part of a fork */
}

static void copy_all(struct variant *v)
{
	static char *a, *b;
	double t;

	if (!a) {
		memset(a = kernel_map(snap_size, 0), 1, snap_size);
		memset(b = kernel_map(snap_size, 0), 1, snap_size);
		madvise(a, snap_size, MADV_DONTFORK);
		madvise(b, snap_size, MADV_DONTFORK);
	}
	t = now_ns();
	memcpy(b, a, snap_size);
	__asm__ volatile("" ::: "memory");
	v->out[0] = (now_ns() - t) / 1e3;
}

static void touch_again(struct space *s, unsigned long off)
{
	if (s->window)
		store_pages(s->at + off, PROBES * LEAF / PG, LEAF / PG);
	else
		for (unsigned long i = 0; i < PROBES; i++)
			pin_pages(s->at + off + i * LEAF, 1, 1);
}

/* a: pages to pin before; b: every page was pinned and put before; p: the space, mapped anew each time */
static void snapshot(struct variant *v)
{
	struct page *pinned[PER_CALL];
	struct space *s = v->p;
	struct mm_struct *snap;
	double t;

	space_map(s);
	MUST(vm_madvise(s->mm, s->at, s->size, PINFOLD_MADV_POPULATE_WRITE));
	if (s->window)
		store_pages(s->at, s->size / PG, 1);
	if (v->b)
		pin_pages(s->at, s->size / PG, PER_CALL);
	for (long i = 0; i < v->a; i++)
		if (get_user_pages_fast(s->at + (unsigned long)i * (s->size / PG / 64) * PG, 1, 0, &pinned[i]) != 1)
			die("get_user_pages_fast");
	MUST(pinfold_mm_create(s->machine, s->window, &snap));
	t = now_ns();
	MUST(dup_mmap(snap, s->mm));
	v->out[0] = (now_ns() - t) / 1e3;
	t = now_ns();
	touch_again(s, 0);
	v->out[1] = (now_ns() - t) / 1e3 / (double)PROBES;
	t = now_ns();
	touch_again(s, PG);
	v->out[2] = (now_ns() - t) / 1e3 / (double)PROBES;
	MUST(put_user_pages(pinned, (unsigned long)v->a));
	MUST(pinfold_mm_destroy(snap));
	MUST(vm_munmap(s->mm, s->at, s->size));
}

/* A direct window shows shared mappings only: the snapshot maps them again. */
static void direct_snapshot(struct variant *v)
{
	struct side *d = v->p;
	struct mm_struct *snap;
	double t;

	store_pages((unsigned long)d->base, d->size / PG, 1);
	MUST(pinfold_mm_create(d->machine, PINFOLD_WINDOW_DIRECT, &snap));
	t = now_ns();
	MUST(dup_mmap(snap, d->mm));
	v->out[0] = (now_ns() - t) / 1e3;
	MUST(pinfold_mm_destroy(snap));
}

static void snapshots(void)
{
	static const struct figure figures[] = {
		{ "snapshot", "us" }, { "first write to 2 MiB", "us" }, { "second write there", "us" }, { 0 },
	};
	static char *small, *huge;
	static struct space none, folio, win, win_folio;
	static struct side direct;
	struct variant v[] = {
		{ .name = "kernel: fork(2), 4 KiB", .fn = kernel_fork, .p = &small, .a = MADV_NOHUGEPAGE },
		{ .name = "kernel: fork(2), transparent huge pages", .fn = kernel_fork, .p = &huge, .a = MADV_HUGEPAGE },
		{ .name = "memcpy", .fn = copy_all },
		{ .name = "pinfold: no window, 4 KiB", .fn = snapshot, .p = &none },
		{ .name = "pinfold: no window, 4 KiB, 64 pages pinned", .fn = snapshot, .p = &none, .a = 64 },
		{ .name = "pinfold: no window, 4 KiB, all pinned before, none now", .fn = snapshot, .p = &none, .b = 1 },
		{ .name = "pinfold: no window, 2 MiB folios", .fn = snapshot, .p = &folio },
		{ .name = "pinfold: extent window, 4 KiB", .fn = snapshot, .p = &win },
		{ .name = "pinfold: extent window, 2 MiB folios", .fn = snapshot, .p = &win_folio },
		{ .name = "pinfold: direct window (shared: nothing to copy)", .fn = direct_snapshot, .p = &direct },
	};
	struct group g = {
		.name = "Snapshot of 1 GiB",
		.note = "All of it resident and written to.  fork(2)'s rows include a pipe and what else this process has.\n"
		        "Targets (D12): no window <= 12 us, one-piece window <= 60 us, folios in a window <= 300 us.",
		.figure = figures, .v = v, .n = sizeof(v) / sizeof(v[0]), .ref = 0, .reps = 7,
	};
	size_t pool = snap_size + snap_size / 4;

	if (!wanted(g.name))
		return;
	space_open(&none, snap_size, pool, PINFOLD_WINDOW_NONE, false);
	space_open(&folio, snap_size, pool, PINFOLD_WINDOW_NONE, true);
	space_open(&win, snap_size, pool, PINFOLD_WINDOW_EXTENT, false);
	space_open(&win_folio, snap_size, pool, PINFOLD_WINDOW_EXTENT, true);
	if (side_open(&direct, NULL, snap_size / 4, pool, PINFOLD_WINDOW_DIRECT, 0)) {
		skipped("direct window", NO_WINDOW);
		g.n--;
	}
	run_group(&g);
	side_close(&direct);
	MUST(pinfold_use_mm(NULL));
	for (int i = 0; i < 4; i++) {
		struct space *s = (struct space *[]){ &none, &folio, &win, &win_folio }[i];

		MUST(pinfold_mm_destroy(s->mm));
		MUST(pinfold_destroy(s->machine));
	}
}

/* ---- mremap ------------------------------------------------------------------------------------- */

static void kernel_mremap(struct variant *v)
{
	static char *p, *place;
	double t;

	if (!p) {
		p = aligned(kernel_map(snap_size, 0));
		madvise(p, snap_size, MADV_NOHUGEPAGE);
		memset(p, 1, snap_size);
		place = aligned(mmap(NULL, snap_size + LEAF, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	}
	t = now_ns();
	if (mremap(p, snap_size, snap_size, MREMAP_MAYMOVE | MREMAP_FIXED, place) != place)
		die("mremap");
	v->out[0] = (now_ns() - t) / 1e3;
	if (mremap(place, snap_size, snap_size, MREMAP_MAYMOVE | MREMAP_FIXED, p) != p)
		die("mremap");
}

/* a: bytes by which the new place is not congruent */
static void move(struct variant *v)
{
	struct space *s = v->p;
	int flags = PINFOLD_MREMAP_MAYMOVE | PINFOLD_MREMAP_FIXED;
	unsigned long to = s->at + 2 * ((s->size + GIB - 1) & ~(GIB - 1)) + (unsigned long)v->a;
	double t;

	if (s->window)
		store_pages(s->at, s->size / PG, 1);
	t = now_ns();
	MUST(vm_mremap(s->mm, s->at, s->size, s->size, flags, to));
	v->out[0] = (now_ns() - t) / 1e3;
	MUST(vm_mremap(s->mm, to, s->size, s->size, flags, s->at));
}

static void moves(void)
{
	static const struct figure figures[] = { { "mremap", "us" }, { 0 } };
	static struct space none, folio, win;
	struct variant v[] = {
		{ .name = "kernel: mremap(2), 4 KiB pages", .fn = kernel_mremap },
		{ .name = "pinfold: no window, 4 KiB, tables move", .fn = move, .p = &none },
		{ .name = "pinfold: no window, 4 KiB, slots move", .fn = move, .p = &none, .a = PG },
		{ .name = "pinfold: no window, 2 MiB folios", .fn = move, .p = &folio },
		{ .name = "pinfold: extent window, 2 MiB folios", .fn = move, .p = &win },
	};
	struct group g = {
		.name = "mremap of 1 GiB",
		.note = "All of it resident.  A window's old translations go, and come back by faults at the new place.",
		.figure = figures, .v = v, .n = sizeof(v) / sizeof(v[0]), .ref = 0, .reps = 7,
	};

	if (!wanted(g.name))
		return;
	space_open(&none, snap_size, snap_size + snap_size / 8, PINFOLD_WINDOW_NONE, false);
	space_open(&folio, snap_size, snap_size + snap_size / 8, PINFOLD_WINDOW_NONE, true);
	space_open(&win, snap_size, snap_size + snap_size / 8, PINFOLD_WINDOW_EXTENT, true);
	for (int i = 0; i < 3; i++) {
		struct space *s = (struct space *[]){ &none, &folio, &win }[i];

		space_map(s);
		MUST(vm_madvise(s->mm, s->at, s->size, PINFOLD_MADV_POPULATE_WRITE));
	}
	run_group(&g);
}

/* ---- two threads -------------------------------------------------------------------------------- */

struct toucher {
	struct mm_struct *mm;
	unsigned long at;
	size_t pages;
	pthread_barrier_t *start;
	int cpu;
	double ns;
};

static void *touch_thread(void *arg)
{
	struct toucher *t = arg;
	double from;

	on_cpu(t->cpu);
	MUST(pinfold_use_mm(t->mm));
	pin_pages(t->at, 1, 1); /* the thread's first call is another thing */
	pthread_barrier_wait(t->start);
	from = now_ns();
	pin_pages(t->at, t->pages, 1);
	t->ns = (now_ns() - from) / (double)t->pages;
	return NULL;
}

/* a: threads; b: in mms of their own */
static void touch_together(struct variant *v)
{
	struct space *s = v->p;
	size_t half = touch_size / 2;
	struct toucher t[2];
	pthread_barrier_t start;
	pthread_t thread[2];
	double sum = 0;

	pthread_barrier_init(&start, NULL, (unsigned)v->a);
	for (long i = 0; i < v->a; i++) {
		struct mm_struct *mm = v->b ? s[i].mm : s[0].mm;

		t[i] = (struct toucher){ mm, (unsigned long)MUST(vm_mmap(mm, 0, half, RW, ANON, NULL, 0)), half / PG,
			                 &start, (int)i, 0 };
	}
	for (long i = 0; i < v->a; i++)
		if (pthread_create(&thread[i], NULL, touch_thread, &t[i]))
			die("pthread_create");
	for (long i = 0; i < v->a; i++) {
		pthread_join(thread[i], NULL);
		sum += t[i].ns;
		MUST(vm_munmap(t[i].mm, t[i].at, half));
	}
	v->out[0] = sum / (double)v->a;
}

static void two_threads(void)
{
	static const struct figure figures[] = { { "a page, each thread", "ns" }, { 0 } };
	static struct space s[2];
	struct variant v[] = {
		{ .name = "first touch by write pins, one thread", .fn = touch_together, .p = s, .a = 1 },
		{ .name = "two threads, an mm each", .fn = touch_together, .p = s, .a = 2, .b = 1 },
		{ .name = "two threads, one mm", .fn = touch_together, .p = s, .a = 2 },
	};
	struct group g = {
		.name = "First touch by two threads",
		.note = "One machine, 64 MiB a thread, 4 KiB pages, one page a call: frames come from a cache for few threads.",
		.figure = figures, .v = v, .n = 3, .ref = 0, .reps = 7,
	};

	if (!wanted(g.name) || sysconf(_SC_NPROCESSORS_ONLN) < 2)
		return;
	space_open(&s[0], touch_size / 2, 2 * touch_size, PINFOLD_WINDOW_NONE, false);
	s[1] = s[0];
	MUST(pinfold_mm_create(s[0].machine, PINFOLD_WINDOW_NONE, &s[1].mm));
	run_group(&g);
	on_cpu(0);
}

/* ---- pins of folios ------------------------------------------------------------------------------ */

static void locked_add(struct variant *v)
{
	static _Atomic uint64_t line __attribute__((aligned(64)));
	double t = now_ns();

	for (long i = 0; i < 1000000; i++)
		atomic_fetch_add(&line, 1);
	v->out[0] = (now_ns() - t) / 1e6;
}

static void pin_resident(struct variant *v)
{
	struct space *s = v->p;
	long rounds = in_full(2000, 2);
	double t;

	MUST(pinfold_use_mm(s->mm));
	pin_pages(s->at, PER_CALL, PER_CALL);
	t = now_ns();
	for (long i = 0; i < rounds; i++)
		pin_pages(s->at, PER_CALL, PER_CALL);
	v->out[0] = (now_ns() - t) / (double)(rounds * PER_CALL);
}

static void folio_pins(void)
{
	static const struct figure figures[] = { { "a page, pin and put", "ns" }, { 0 } };
	static struct space none, folio;
	struct variant v[] = {
		{ .name = "A: one locked add, hot line", .fn = locked_add },
		{ .name = "anonymous 4 KiB pages, 512 a call", .fn = pin_resident, .p = &none },
		{ .name = "a 2 MiB folio, 512 a call", .fn = pin_resident, .p = &folio },
	};
	struct group g = {
		.name = "Pins of a 2 MiB folio",
		.note = "Resident; the pair, with 512 pointers written and read.",
		.figure = figures, .v = v, .n = 3, .ref = 0, .reps = 11,
	};

	if (!wanted(g.name))
		return;
	space_open(&none, 8 * MIB, 16 * MIB, PINFOLD_WINDOW_NONE, false);
	space_open(&folio, 8 * MIB, 16 * MIB, PINFOLD_WINDOW_NONE, true);
	space_map(&folio);
	space_map(&none);
	run_group(&g);
}

int main(int argc, char **argv)
{
	bench_start(argc, argv, "first touch, copy on write, snapshots beside the kernel's");
	on_cpu(0);
	touch_size = (size_t)in_full(128, 16) * MIB;
	snap_size = (size_t)in_full(1024, 160) * MIB;
	first_touches();
	window_faults();
	copies_on_write();
	snapshots();
	moves();
	two_threads();
	folio_pins();
	return 0;
}
