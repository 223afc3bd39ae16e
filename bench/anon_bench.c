/* SPDX-License-Identifier: MIT */
/*
 * anon_bench.c - anonymous memory: the first touch of a page by a pin and by a pointer, the faults of windows whose page
 * is there, two threads at once, pins of 2 MiB folios; beside the kernel's own and beside zeroing a page.
 */
#include "space.h"

#include <liburing.h>
#include <sys/syscall.h>

static size_t size; /* of what is touched, on either side */

/* ---- first touch ------------------------------------------------------------------------------- */

/* a: advice; b: more flags of mmap(2), of which POPULATE is timed; c: the advice that is timed, or 0: stores are */
static void kernel_touch(struct variant *v)
{
	bool populate = v->b & MAP_POPULATE;
	double t = now_ns();
	char *p = kernel_map(size, (int)v->b, populate ? 0 : (int)v->a);

	if (!populate) {
		t = now_ns();
		if (!v->c)
			store_pages((unsigned long)p, size / PG, 1);
		else if (madvise(p, size, (int)v->c))
			die("madvise");
	}
	t = now_ns() - t;
	v->out[0] = t / (double)(size / PG);
	if (!populate && !v->c)
		v->out[1] = v->a == MADV_HUGEPAGE ? t / (double)(size / LEAF) : v->out[0];
	kernel_unmap(p, size);
}

/* p: the space; a: pages a call of write pins; 0: stores by pointer; -1: MADV_POPULATE_WRITE */
static void touch(struct variant *v)
{
	struct space *s = v->p;
	size_t pages = s->size / PG;
	double t;

	space_map(s);
	t = now_ns();
	if (v->a > 0)
		t = pin_pages(s->at, pages, (size_t)v->a, true);
	else if (v->a < 0)
		MUST(vm_madvise(s->mm, s->at, s->size, PINFOLD_MADV_POPULATE_WRITE));
	else
		store_pages(s->at, pages, 1);
	if (v->a <= 0)
		t = now_ns() - t;
	v->out[0] = t / (double)pages;
	if (!v->a)
		v->out[1] = s->folios ? t / (double)(s->size / LEAF) : v->out[0];
	if (s->window == PINFOLD_WINDOW_NONE && !s->folios)
		v->want[0] = 1.2 * ref.z_cold + 4 * ref.a;
	space_unmap(s);
}

/* The same 64 frames each time: what a working set that fits the second-level cache pays. */
static void touch_hot(struct variant *v)
{
	struct space s = *(struct space *)v->p;
	long rounds = in_full(64, 1);
	double t = 0;

	s.size = HOT_PAGES * PG;
	for (long r = -1; r < rounds; r++) {
		if (!r)
			t = 0;
		space_map(&s);
		t += pin_pages(s.at, HOT_PAGES, (size_t)v->a, true);
		space_unmap(&s);
	}
	v->out[0] = t / (double)(HOT_PAGES * (size_t)rounds);
	v->want[0] = 1.2 * ref.z + 4 * ref.a;
}

static void touch_by_pins(void)
{
	static const struct figure figures[] = { { "a page", "ns" }, { 0 } };
	static struct space base, folio;
	struct variant v[] = {
		{ .name = "Z: zeroing a page, cold", .fn = ref_zero_cold },
		{ .name = "Z: zeroing a page, hot", .fn = ref_zero_hot },
		{ .name = "A: one locked add, hot line", .fn = ref_add },
		{ .name = "kernel: store, 4 KiB", .fn = kernel_touch, .a = MADV_NOHUGEPAGE },
		{ .name = "kernel: MADV_POPULATE_WRITE, 4 KiB", .fn = kernel_touch, .a = MADV_NOHUGEPAGE,
		  .c = PINFOLD_MADV_POPULATE_WRITE },
		{ .name = "kernel: MAP_POPULATE, 4 KiB", .fn = kernel_touch, .b = MAP_POPULATE },
		{ .name = "kernel: store, transparent huge pages", .fn = kernel_touch, .a = MADV_HUGEPAGE,
		  .missing = no_huge_pages() },
		{ .name = "pinfold: write pin, 4 KiB, hot, 1 a call", .fn = touch_hot, .p = &base, .a = 1 },
		{ .name = "pinfold: write pin, 4 KiB, cold, 1 a call", .fn = touch, .p = &base, .a = 1 },
		{ .name = "pinfold: write pin, 4 KiB, cold, 512 a call", .fn = touch, .p = &base, .a = PER_CALL },
		{ .name = "pinfold: MADV_POPULATE_WRITE, 4 KiB, cold", .fn = touch, .p = &base, .a = -1 },
		{ .name = "pinfold: write pin, 2 MiB folios, 512 a call", .fn = touch, .p = &folio, .a = PER_CALL },
		{ .name = "pinfold: MADV_POPULATE_WRITE, 2 MiB folios", .fn = touch, .p = &folio, .a = -1 },
	};
	struct group g = {
		.name = "First touch of anonymous memory, no window", .figure = figures, .v = v,
		.n = sizeof(v) / sizeof(v[0]), .reps = 9,
	};
	char note[400];

	if (!wanted(g.name))
		return;
	space_open(&base, size, 2 * size, PINFOLD_WINDOW_NONE, false);
	space_open(&folio, size, 2 * size, PINFOLD_WINDOW_NONE, true);
	space_map(&base);
	g.note = pool_note(note, sizeof(note), &base, "128 MiB, unmapped after each repetition; hot: 256 KiB.  Pins are put "
	                   "later, not timed.\nTargets: 1.2 Z + 4 A at the same temperature.");
	space_unmap(&base);
	if (run_group(&g)) {
		print_times(&g, "kernel's store, of pinfold's pin, cold", 3, 8, 0);
		print_times(&g, "kernel's store, of pinfold's pin, hot", 3, 7, 0);
		print_times(&g, "kernel's MADV_POPULATE_WRITE, of pinfold's", 4, 10, 0);
		print_times(&g, "kernel's huge pages, of pinfold's folios by MADV_POPULATE_WRITE", 6, 12, 0);
	}
	space_close(&base);
	space_close(&folio);
}

/* ---- memory of a file, or shared, whose page is there ------------------------------------------- */

#define IN_A_ROW (size / 4 / PG) /* pages that are touched; with gaps: four, or 16, times as far */

/* Shared memory that is resident, seen through what is measured.  The kernel's: no mm. */
struct place {
	struct mm_struct *mm;
	unsigned long at;
};

static struct place memfd, ext, direct, names;

static void forget(const struct place *p)
{
	if (p->mm)
		MUST(vm_madvise(p->mm, p->at, size, PINFOLD_MADV_DONTNEED));
	else if (madvise((void *)p->at, size, MADV_DONTNEED))
		die("madvise");
}

/* p: the place; a: pages from one to the next.  b: not loads */
static void minor(struct variant *v)
{
	const struct place *p = v->p;
	size_t n = IN_A_ROW, loads = size / PG / 16;
	double t;

	forget(p);
	t = now_ns();
	store_pages(p->at, n * (size_t)v->a, (size_t)v->a);
	v->out[0] = (now_ns() - t) / (double)n;
	if (v->b)
		return;
	forget(p);
	t = now_ns();
	load_pages(p->at, size / PG, 16);
	v->out[1] = (now_ns() - t) / (double)loads;
}

/* a: pages from one to the next, in a cycle of all; c: of A, what is wanted */
static void minor_pin(struct variant *v)
{
	size_t n = IN_A_ROW, all = size / PG, i = 0;
	struct page *page[PER_CALL];
	double t, sum = 0;

	MUST(pinfold_use_mm(names.mm));
	forget(&names);
	for (size_t done = 0; done < n; done += PER_CALL) {
		t = now_ns();
		for (size_t j = 0; j < PER_CALL; j++, i = (i + (size_t)v->a) % all)
			if (get_user_pages_fast(names.at + i * PG, 1, FOLL_WRITE, &page[j]) != 1)
				die("get_user_pages_fast");
		sum += now_ns() - t;
		MUST(put_user_pages(page, PER_CALL));
	}
	v->out[0] = sum / (double)n;
	v->want[0] = (double)v->c / 10 * ref.a;
}

static void open_memfd(void)
{
	int fd = (int)syscall(SYS_memfd_create, "bench", 1u);
	void *p;

	if (fd < 0 || ftruncate(fd, (off_t)size))
		die("memfd");
	p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		die("mmap memfd");
	close(fd);
	memset(p, 1, size);
	memfd.at = (unsigned long)p;
}

static void open_shared(struct space *s, struct place *p, enum pinfold_window window)
{
	space_open(s, size, 2 * size, window, false);
	p->mm = s->mm;
	p->at = (unsigned long)MUST(vm_mmap(s->mm, 0, size, RW, PINFOLD_MAP_SHARED | PINFOLD_MAP_ANONYMOUS, NULL, 0));
	MUST(vm_madvise(s->mm, p->at, size, PINFOLD_MADV_POPULATE_WRITE));
}

static void minor_faults(struct side *d)
{
	static const struct figure figures[] = { { "a store or pin", "ns" }, { "a load, 1 page in 16", "ns" }, { 0 } };
	const char *why = d->machine ? NULL : NO_WINDOW;
	struct variant v[] = {
		{ .name = "kernel: memfd, in a row", .fn = minor, .p = &memfd, .a = 1 },
		{ .name = "A: one locked add, hot line", .fn = ref_add },
		{ .name = "pinfold: extent window, in a row", .fn = minor, .p = &ext, .a = 1 },
		{ .name = "pinfold: extent window, every 4th page", .fn = minor, .p = &ext, .a = 4, .b = 1 },
		{ .name = "pinfold: direct window, in a row", .fn = minor, .p = &direct, .a = 1, .missing = why },
		{ .name = "pinfold: write pin, in a row", .fn = minor_pin, .a = 1, .c = 35 },
		{ .name = "pinfold: write pin, far apart", .fn = minor_pin, .a = 4001, .c = 100 },
	};
	struct group g = {
		.name = "Minor fault: the page is in memory, slot and translation are not", .figure = figures, .v = v,
		.n = sizeof(v) / sizeof(v[0]), .reps = 7,
		.note = "Shared memory of 128 MiB after DONTNEED.  An extent window's fault is a signal and an mmap(), a direct "
		        "window's a\nsignal and a userfaultfd call, a pin's neither.  Targets: 3.5 A in a row, 10 A apart.",
	};

	run_group(&g);
	print_times(&g, "kernel's memfd fault, of pinfold's pin in a row", 0, 5, 0);
	print_times(&g, "extent window's fault, of the kernel's memfd fault", 2, 0, 0);
}

static void touch_by_pointer(struct space *base, struct space *folio)
{
	static const struct figure figures[] = { { "a page", "ns" }, { "a fault", "ns" }, { 0 } };
	struct variant v[] = {
		{ .name = "kernel: store, 4 KiB", .fn = kernel_touch, .a = MADV_NOHUGEPAGE },
		{ .name = "kernel: MADV_POPULATE_WRITE, 4 KiB", .fn = kernel_touch, .a = MADV_NOHUGEPAGE,
		  .c = PINFOLD_MADV_POPULATE_WRITE },
		{ .name = "kernel: store, transparent huge pages", .fn = kernel_touch, .a = MADV_HUGEPAGE,
		  .missing = no_huge_pages() },
		{ .name = "kernel: MADV_POPULATE_WRITE, transparent huge pages", .fn = kernel_touch, .a = MADV_HUGEPAGE,
		  .c = PINFOLD_MADV_POPULATE_WRITE, .missing = no_huge_pages() },
		{ .name = "Z: zeroing a page, cold", .fn = ref_zero_cold },
		{ .name = "pinfold: extent window, store, 4 KiB", .fn = touch, .p = base },
		{ .name = "pinfold: extent window, POPULATE_WRITE, 4 KiB", .fn = touch, .p = base, .a = -1 },
		{ .name = "pinfold: extent window, store, 2 MiB folios", .fn = touch, .p = folio },
		{ .name = "pinfold: extent window, POPULATE_WRITE, folios", .fn = touch, .p = folio, .a = -1 },
	};
	struct group g = {
		.name = "First touch of anonymous memory, by pointer", .figure = figures, .v = v,
		.n = sizeof(v) / sizeof(v[0]), .reps = 7,
		.note = "128 MiB in a row, unmapped after each repetition.  \"a fault\" is of 4 KiB, or of 2 MiB.",
	};

	run_group(&g);
	print_times(&g, "extent window's fault, of the kernel's, 4 KiB", 5, 0, 1);
	print_times(&g, "extent window's fault, of the kernel's, 2 MiB", 7, 2, 1);
}

static void windows(void)
{
	static struct space base, folio, shared, none;
	static struct side d;

	if (wanted("First touch of anonymous memory, by pointer")) {
		space_open(&base, size, 2 * size, PINFOLD_WINDOW_EXTENT, false);
		space_open(&folio, size, 2 * size, PINFOLD_WINDOW_EXTENT, true);
		touch_by_pointer(&base, &folio);
		space_close(&base);
		space_close(&folio);
	}
	if (!wanted("Minor fault"))
		return;
	open_memfd();
	open_shared(&shared, &ext, PINFOLD_WINDOW_EXTENT);
	open_shared(&none, &names, PINFOLD_WINDOW_NONE);
	if (!side_open(&d, NULL, size, 2 * size, PINFOLD_WINDOW_DIRECT, 0)) {
		direct = (struct place){ d.mm, (unsigned long)d.base };
		store_pages(direct.at, size / PG, 1);
	}
	minor_faults(&d);
	side_close(&d);
	space_close(&shared);
	space_close(&none);
	munmap((void *)memfd.at, size);
}

/* ---- two threads ------------------------------------------------------------------------------- */

enum work { ZERO, KERNEL, PINFOLD, ADD, PIN_PUT };

/* One thread's share: half of `size`. */
struct job {
	enum work work;
	struct space *s;
	unsigned long at;
	long per;
	int cpu;
	pthread_barrier_t *start;
	double ns;
};

static _Atomic uint64_t own_line[2][32] __attribute__((aligned(256)));

static void *job_thread(void *arg)
{
	struct job *j = arg;
	size_t pages = size / 2 / PG, loops = (size_t)in_full(64, 1), hot = j->per == 1 ? 256 : PER_CALL;
	double t;

	on_cpu(j->cpu);
	if (j->s) {
		MUST(pinfold_use_mm(j->s->mm));
		pin_pages(j->at, j->work == PIN_PUT ? hot : 1, 1, false); /* a thread's first call is another thing */
	}
	pthread_barrier_wait(j->start);
	t = now_ns();
	switch (j->work) {
	case ZERO:
		for (size_t i = 0; i < pages; i++) {
			memset((char *)j->at + i * PG, 0, PG);
			__asm__ volatile("" ::: "memory");
		}
		break;
	case KERNEL:
		store_pages(j->at, pages, 1);
		break;
	case PINFOLD:
		pin_pages(j->at, pages, (size_t)j->per, false);
		break;
	case ADD:
		pages = loops * PER_CALL;
		for (size_t i = 0; i < pages; i++)
			atomic_fetch_add(&own_line[j->cpu % 2][0], 1);
		break;
	case PIN_PUT:
		pages = loops * hot;
		for (size_t i = 0; i < loops; i++)
			pin_pages(j->at, hot, (size_t)j->per, false);
		break;
	}
	j->ns = (now_ns() - t) / (double)pages;
	pinfold_use_mm(NULL);
	return NULL;
}

/* a: threads; b: the work; c: pages a call; p: spaces, one for each thread, or the same */
static void together(struct variant *v)
{
	static double alone[PIN_PUT + 1];
	struct space **s = v->p;
	pthread_barrier_t start;
	pthread_t thread[2];
	struct job j[2];
	char *area = NULL;
	double sum = 0;

	pthread_barrier_init(&start, NULL, (unsigned)v->a);
	if (v->b == KERNEL)
		area = kernel_map(size, 0, MADV_NOHUGEPAGE);
	for (long i = 0; i < v->a; i++) {
		j[i] = (struct job){ (enum work)v->b, s ? s[i] : NULL, 0, v->c, (int)i, &start, 0 };
		if (v->b == ZERO)
			j[i].at = (unsigned long)ref_buffer((int)i);
		else if (s)
			j[i].at = (unsigned long)MUST(vm_mmap(s[i]->mm, 0, size / 2, RW, ANON, NULL, 0));
		else
			j[i].at = (unsigned long)area + (size_t)i * (size / 2);
	}
	for (long i = 0; i < v->a; i++)
		if (pthread_create(&thread[i], NULL, job_thread, &j[i]))
			die("pthread_create");
	for (long i = 0; i < v->a; i++) {
		pthread_join(thread[i], NULL);
		sum += j[i].ns;
		if (s)
			MUST(vm_munmap(s[i]->mm, j[i].at, size / 2));
	}
	if (area)
		kernel_unmap(area, size);
	pthread_barrier_destroy(&start);
	v->out[0] = sum / (double)v->a;
	if (v->a == 1)
		alone[v->b] = v->out[0];
	else
		v->out[1] = 2 * alone[v->b] / v->out[0];
}

static void two_threads(void)
{
	static const struct figure figures[] = { { "a page, each thread", "ns" }, { "throughput, of one's", "times" }, { 0 } };
	static struct space s[3];
	struct space *one[] = { &s[0], &s[0] }, *mms[] = { &s[0], &s[1] }, *machines[] = { &s[0], &s[2] };
	struct variant v[] = {
		{ .name = "Z: zeroing a page, 1 thread", .fn = together, .a = 1, .b = ZERO },
		{ .name = "Z: zeroing a page, 2 threads", .fn = together, .a = 2, .b = ZERO },
		{ .name = "kernel: store, 4 KiB, 1 thread", .fn = together, .a = 1, .b = KERNEL },
		{ .name = "kernel: store, 4 KiB, 2 threads, one process", .fn = together, .a = 2, .b = KERNEL },
		{ .name = "pinfold: write pin, 1 thread", .fn = together, .p = one, .a = 1, .b = PINFOLD, .c = 1 },
		{ .name = "pinfold: write pin, 2 threads, an mm each", .fn = together, .p = mms, .a = 2, .b = PINFOLD, .c = 1 },
		{ .name = "pinfold: write pin, 2 threads, one mm", .fn = together, .p = one, .a = 2, .b = PINFOLD, .c = 1 },
		{ .name = "pinfold: write pin, 2 threads, a machine each", .fn = together, .p = machines, .a = 2, .b = PINFOLD,
		  .c = 1 },
	};
	struct group g = {
		.name = "First touch by two threads at once", .figure = figures, .v = v, .n = sizeof(v) / sizeof(v[0]),
		.reps = 9,
		.note = "64 MiB a thread, 4 KiB pages, cold, one page a call, put at once: frames come from one machine's lists, "
		        "or from\ntwo.  What zeroing scales to is what the CPUs and their memory allow.",
	};

	if (!wanted(g.name) && !wanted("Pin and put of anonymous pages"))
		return;
	if (sysconf(_SC_NPROCESSORS_ONLN) < 2) {
		skipped("2 threads", "one CPU only");
		return;
	}
	space_open(&s[0], size, 2 * size, PINFOLD_WINDOW_NONE, false);
	space_open(&s[2], size, 2 * size, PINFOLD_WINDOW_NONE, false);
	s[1] = s[0];
	MUST(pinfold_mm_create(s[0].machine, PINFOLD_WINDOW_NONE, &s[1].mm));
	run_group(&g);

	for (long per = 1; per <= PER_CALL; per += PER_CALL - 1) {
		struct variant w[] = {
			{ .name = "A: locked add, 1 thread", .fn = together, .a = 1, .b = ADD },
			{ .name = "A: locked add, a line for each of 2 threads", .fn = together, .a = 2, .b = ADD },
			{ .name = "pinfold: get + put, 1 thread", .fn = together, .p = one, .a = 1, .b = PIN_PUT, .c = per },
			{ .name = "pinfold: get + put, 2 threads, an mm each", .fn = together, .p = mms, .a = 2, .b = PIN_PUT,
			  .c = per },
			{ .name = "pinfold: get + put, 2 threads, one mm", .fn = together, .p = one, .a = 2, .b = PIN_PUT,
			  .c = per },
		};
		char name[80];
		struct group h = { .name = name, .figure = figures, .v = w, .n = 5, .reps = 31 };

		snprintf(name, sizeof(name), "Pin and put of anonymous pages by two threads, %ld page%s a call", per,
		         per == 1 ? "" : "s");
		run_group(&h);
	}
	MUST(pinfold_mm_destroy(s[1].mm));
	space_close(&s[0]);
	space_close(&s[2]);
	on_cpu(0);
}

/* ---- pins of folios ---------------------------------------------------------------------------- */

/* p: the space, resident; a, b, c: hundredths of A that a get, a put, both are to cost */
static void pin_resident(struct variant *v)
{
	struct space *s = v->p;
	struct page *page[PER_CALL];
	long rounds = in_full(500, 2);
	double t0, t1, get = 0, put = 0;

	MUST(pinfold_use_mm(s->mm));
	for (long i = 0; i < rounds; i++) {
		t0 = now_ns();
		if (get_user_pages_fast(s->at, PER_CALL, FOLL_WRITE, page) != PER_CALL)
			die("get_user_pages_fast");
		t1 = now_ns();
		if (put_user_pages(page, PER_CALL))
			die("put_user_pages");
		get += t1 - t0;
		put += now_ns() - t1;
	}
	v->out[1] = get / (double)(rounds * PER_CALL);
	v->out[2] = put / (double)(rounds * PER_CALL);
	v->out[3] = v->out[1] + v->out[2];
	v->want[1] = (double)v->a / 100 * ref.a;
	if (v->b)
		v->want[2] = (double)v->b / 100 * ref.a;
}

/* The least that 512 pages of one folio cost: one add, 512 pointers written; read again, one add. */
static void least_of_folio(struct variant *v)
{
	static _Atomic uint64_t count;
	static uintptr_t page[PER_CALL];
	uintptr_t record = (uintptr_t)page, differ = 0;
	long rounds = in_full(500, 2);
	double t0, t1, get = 0, put = 0;

	for (long i = 0; i < rounds; i++) {
		t0 = now_ns();
		atomic_fetch_add(&count, PER_CALL);
		for (uintptr_t k = 0; k < PER_CALL; k++)
			page[k] = record + k * 64;
		__asm__ volatile("" ::: "memory");
		t1 = now_ns();
		for (uintptr_t k = 0; k < PER_CALL; k++)
			differ |= page[k] ^ (record + k * 64);
		__asm__ volatile("" : "+r"(differ) :: "memory");
		atomic_fetch_sub(&count, PER_CALL);
		get += t1 - t0;
		put += now_ns() - t1;
	}
	if (differ)
		die("count");
	v->out[1] = get / (double)(rounds * PER_CALL);
	v->out[2] = put / (double)(rounds * PER_CALL);
	v->out[3] = v->out[1] + v->out[2];
}

static struct io_uring ring;

/* b: 2 MiB of one huge page, or of 512 pages */
static void uring_slot(struct variant *v)
{
	static char *area[2];
	struct iovec some, none = { 0 };
	long rounds = in_full(100, 2);
	double t0, t1, get = 0, put = 0;
	__u64 tag = 0;

	if (!area[v->b]) {
		area[v->b] = kernel_map(LEAF, 0, v->b ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
		memset(area[v->b], 1, LEAF);
	}
	some = (struct iovec){ area[v->b], LEAF };
	for (long i = 0; i < rounds; i++) {
		t0 = now_ns();
		if (io_uring_register_buffers_update_tag(&ring, 0, &some, &tag, 1) != 1)
			die("buffer slot update");
		t1 = now_ns();
		if (io_uring_register_buffers_update_tag(&ring, 0, &none, &tag, 1) != 1)
			die("buffer slot clear");
		get += t1 - t0;
		put += now_ns() - t1;
	}
	v->out[1] = get / (double)(rounds * PER_CALL);
	v->out[2] = put / (double)(rounds * PER_CALL);
	v->out[3] = v->out[1] + v->out[2];
}

static void folio_pins(void)
{
	static const struct figure figures[] = {
		{ "add", "ns" }, { "get (update)", "ns/page" }, { "put (clear)", "ns/page" }, { "both", "ns/page" }, { 0 },
	};
	static struct space base, folio;
	bool uring = !io_uring_queue_init(8, &ring, 0) && !io_uring_register_buffers_sparse(&ring, 8);
	const char *why = uring ? NULL : "io_uring is refused here, see `pinfold doctor`";
	struct variant v[] = {
		{ .name = "A: one locked add, hot line", .fn = ref_add },
		{ .name = "the least for a folio: one xadd, 512 pointers", .fn = least_of_folio },
		{ .name = "pinfold: 512 anonymous pages of 4 KiB", .fn = pin_resident, .p = &base, .a = 120, .b = 115 },
		{ .name = "pinfold: a folio of 2 MiB", .fn = pin_resident, .p = &folio, .a = 3 },
		{ .name = "io_uring buffer slot, 512 pages of 4 KiB", .fn = uring_slot, .missing = why },
		{ .name = "io_uring buffer slot, a huge page", .fn = uring_slot, .b = 1,
		  .missing = why ? why : no_huge_pages() },
	};
	struct group g = {
		.name = "Pins of 2 MiB, 512 pages a call", .figure = figures, .v = v, .n = sizeof(v) / sizeof(v[0]),
		.reps = 31, .self_ref = true,
		.note = "Resident; with an array of 512 pointers.  Targets: 1.2 A a page to get, 1.15 A to put; a folio's 0.03 A "
		        "to get.",
	};

	if (!wanted(g.name))
		return;
	space_open(&base, LEAF, 8 * LEAF, PINFOLD_WINDOW_NONE, false);
	space_open(&folio, LEAF, 8 * LEAF, PINFOLD_WINDOW_NONE, true);
	space_map(&base);
	pin_pages(base.at, PER_CALL, PER_CALL, false);
	space_map(&folio);
	pin_pages(folio.at, PER_CALL, PER_CALL, false);
	run_group(&g);
	print_times(&g, "io_uring's update and clear cost, of pinfold's get and put, 4 KiB", 4, 2, 3);
	print_times(&g, "io_uring's update and clear cost, of pinfold's get and put, 2 MiB", 5, 3, 3);
	space_unmap(&base);
	space_unmap(&folio);
	space_close(&base);
	space_close(&folio);
	if (uring)
		io_uring_queue_exit(&ring);
}

int main(int argc, char **argv)
{
	bench_start(argc, argv, "anonymous memory: first touch, faults of windows, folios");
	on_cpu(0);
	size = (size_t)in_full(128, 16) * MIB;
	ref_size = size / 2;
	touch_by_pins();
	windows();
	two_threads();
	folio_pins();
	return 0;
}
