/* SPDX-License-Identifier: MIT */
/*
 * fork_bench.c - snapshots: dup_mmap() of 1 GiB beside fork(2) and a copy, what the first writes after it pay, a page
 * that is copied on write beside the copy alone and the kernel's; and vm_mremap() beside mremap(2).
 */
#include "space.h"

#include <sys/wait.h>

static size_t snap_size, cow_size; /* bytes: of what is a snapshot of; of what is copied on write, cold */

/* ---- the kernel's side ------------------------------------------------------------------------- */

/*
 * A process of its own, started before there is any machine: what its forks cost is its memory's price and not that of
 * pinfold's tables.  It does `work` when it is asked, while this process waits.
 */
struct helper {
	pid_t pid;
	int to, from;
};

static void helper_start(struct helper *h, void (*work)(char ask, double *out))
{
	double out[MAX_FIGURES];
	int to[2], from[2];
	char ask;

	fflush(NULL);
	if (pipe(to) || pipe(from))
		die("pipe");
	h->pid = fork();
	if (h->pid < 0)
		die("fork");
	if (!h->pid) {
		signal(SIGINT, SIG_DFL);
		signal(SIGTERM, SIG_DFL);
		bench.nr_files = 0;
		close(to[1]);
		close(from[0]);
		while (read(to[0], &ask, 1) == 1) {
			for (int k = 0; k < MAX_FIGURES; k++)
				out[k] = NAN;
			work(ask, out);
			if (write(from[1], out, sizeof(out)) != sizeof(out))
				break;
		}
		_exit(0);
	}
	close(to[0]);
	close(from[1]);
	h->to = to[1];
	h->from = from[0];
}

static void helper_ask(struct helper *h, char ask, double *out)
{
	if (write(h->to, &ask, 1) != 1 || read(h->from, out, MAX_FIGURES * sizeof(*out)) != MAX_FIGURES * sizeof(*out))
		die("the helper process is gone");
}

/* The last that was started first: it has the others' pipes. */
static void helper_end(struct helper *h)
{
	close(h->to);
	close(h->from);
	waitpid(h->pid, NULL, 0);
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

static char *resident(size_t bytes, int advice)
{
	char *p = kernel_map(bytes, 0, advice);

	memset(p, 1, bytes);
	if (advice == MADV_HUGEPAGE && huge_bytes(p, bytes) != bytes)
		die("not all in huge pages");
	return p;
}

/* ---- copy on write ----------------------------------------------------------------------------- */

static struct helper forker[2]; /* of base pages, of huge ones */

/* 'c', 'h': the child alive, cold or hot; 'C', 'H': gone */
static void serve_cow(char ask, double *out)
{
	static char *area[2];
	bool hot = ask == 'h' || ask == 'H', gone = ask == 'C' || ask == 'H';
	size_t bytes = hot ? HOT_PAGES * PG : cow_size, n = bytes / PG;
	long rounds = hot ? in_full(16, 1) : 1;
	double t, sum = 0;
	int fd[2];

	if (!area[hot])
		area[hot] = resident(bytes, MADV_NOHUGEPAGE);
	for (long r = 0; r < rounds; r++) {
		pid_t pid = sleeping_child(fd);

		if (gone)
			end_child(pid, fd);
		t = now_ns();
		store_pages((unsigned long)area[hot], n, 1);
		sum += now_ns() - t;
		if (!gone)
			end_child(pid, fd);
	}
	out[0] = sum / (double)(n * (size_t)rounds);
}

/* a: what is asked for; p: the helper */
static void ask_helper(struct variant *v)
{
	helper_ask(v->p, (char)v->a, v->out);
}

/* The last page of each table is written before the clock starts: a table's copy is not what is measured here. */
static void own_tables(const struct space *s)
{
	for (size_t end = LEAF; end - LEAF < s->size; end += LEAF)
		pin_pages(s->at + (end < s->size ? end : s->size) - PG, 1, 1, false);
}

/* p: the space; a: hot; b: the other side is gone */
static void break_sharing(struct variant *v)
{
	struct space *s = v->p;
	struct pinfold_stats was = { .size = sizeof(was) }, is = was;
	size_t n = s->size / PG, shared = n - (s->size + LEAF - 1) / LEAF;
	long rounds = v->a ? in_full(64, 1) : 1;
	double t, sum = 0;

	MUST(pinfold_use_mm(s->mm));
	for (long r = v->a ? -1 : 0; r < rounds; r++) {
		struct mm_struct *snap;

		if (!r)
			sum = 0;
		MUST(pinfold_mm_create(s->machine, PINFOLD_WINDOW_NONE, &snap));
		MUST(dup_mmap(snap, s->mm));
		if (v->b)
			MUST(pinfold_mm_destroy(snap));
		own_tables(s);
		MUST(pinfold_get_stats(s->machine, &was));
		t = now_ns();
		if (s->window) {
			store_pages(s->at, n, 1);
			sum += now_ns() - t;
		} else {
			sum += pin_pages(s->at, n, 1, true);
		}
		MUST(pinfold_get_stats(s->machine, &is));
		/* Each page once, by what the row says. */
		if (is.cow_copied - was.cow_copied != (v->b ? 0 : shared))
			die("%llu of %zu copied", (unsigned long long)(is.cow_copied - was.cow_copied), shared);
		if (!v->b)
			MUST(pinfold_mm_destroy(snap));
	}
	v->out[0] = sum / (double)(shared * (size_t)rounds);
	if (!s->window && !v->b)
		v->want[0] = 1.15 * (v->a ? ref.c : ref.c_cold) + 4 * ref.a;
}

static void copies_on_write(void)
{
	static const struct figure figures[] = { { "a page", "ns" }, { 0 } };
	static struct space none, none_hot, win, win_hot;
	struct space *all[] = { &none, &none_hot, &win, &win_hot };
	struct variant v[] = {
		{ .name = "C: copying a page, cold", .fn = ref_copy_cold },
		{ .name = "C: copying a page, hot", .fn = ref_copy_hot },
		{ .name = "A: one locked add, hot line", .fn = ref_add },
		{ .name = "kernel: store after fork(2), child alive, cold", .fn = ask_helper, .p = forker, .a = 'c' },
		{ .name = "kernel: store after fork(2), child alive, hot", .fn = ask_helper, .p = forker, .a = 'h' },
		{ .name = "kernel: store, the child gone, cold", .fn = ask_helper, .p = forker, .a = 'C' },
		{ .name = "kernel: store, the child gone, hot", .fn = ask_helper, .p = forker, .a = 'H' },
		{ .name = "pinfold: write pin after dup_mmap(), cold", .fn = break_sharing, .p = &none },
		{ .name = "pinfold: write pin after dup_mmap(), hot", .fn = break_sharing, .p = &none_hot, .a = 1 },
		{ .name = "pinfold: write pin, the snapshot gone, cold", .fn = break_sharing, .p = &none, .b = 1 },
		{ .name = "pinfold: write pin, the snapshot gone, hot", .fn = break_sharing, .p = &none_hot, .a = 1, .b = 1 },
		{ .name = "pinfold: extent window, store, cold", .fn = break_sharing, .p = &win },
		{ .name = "pinfold: extent window, store, hot", .fn = break_sharing, .p = &win_hot, .a = 1 },
		{ .name = "pinfold: extent window, the snapshot gone, cold", .fn = break_sharing, .p = &win, .b = 1 },
		{ .name = "pinfold: extent window, the snapshot gone, hot", .fn = break_sharing, .p = &win_hot, .a = 1, .b = 1 },
	};
	struct group g = {
		.name = "Copy on write, 4 KiB pages", .figure = figures, .v = v, .n = sizeof(v) / sizeof(v[0]), .reps = 9,
		.note = "64 MiB (window: 16), or 256 KiB (hot), in a row.  Each table was made the mm's own before; a pin's put is "
		        "not timed.\nTarget of a pin that copies: 1.15 C + 4 A at the same temperature.",
	};

	if (!wanted(g.name))
		return;
	helper_start(&forker[0], serve_cow);
	for (int i = 0; i < 4; i++) {
		size_t bytes = i % 2 ? HOT_PAGES * PG : i ? cow_size / 4 : cow_size;

		space_open(all[i], bytes, (3 * bytes / LEAF + 4) * LEAF, i / 2 ? PINFOLD_WINDOW_EXTENT : PINFOLD_WINDOW_NONE, false);
		space_map(all[i]);
		if (all[i]->window)
			store_pages(all[i]->at, all[i]->size / PG, 1);
		else
			pin_pages(all[i]->at, all[i]->size / PG, 1, false);
	}
	if (run_group(&g)) {
		print_times(&g, "kernel's copy on write, of pinfold's pin, cold", 3, 7, 0);
		print_times(&g, "kernel's copy on write, of pinfold's pin, hot", 4, 8, 0);
		print_times(&g, "kernel's reuse, of pinfold's pin, cold", 5, 9, 0);
		print_times(&g, "extent window's store, of the kernel's copy on write, cold", 11, 3, 0);
	}
	for (int i = 0; i < 4; i++)
		space_close(all[i]);
	helper_end(&forker[0]);
}

/* ---- snapshots --------------------------------------------------------------------------------- */

static unsigned long probes; /* stretches of 2 MiB that are written to after it */

enum { SNAPSHOT, FIRST, SECOND, TABLE, LOAD };

static void serve_fork(char *p, bool huge, double *out)
{
	int fd[2];
	pid_t pid;
	double t;

	store_pages((unsigned long)p, snap_size / PG, 1);
	t = now_ns();
	pid = sleeping_child(fd);
	out[SNAPSHOT] = (now_ns() - t) / 1e3;
	t = now_ns();
	store_pages((unsigned long)p, probes * LEAF / PG, LEAF / PG);
	out[FIRST] = (now_ns() - t) / 1e3 / (double)probes;
	t = now_ns();
	store_pages((unsigned long)p + PG, probes * LEAF / PG, LEAF / PG);
	out[SECOND] = (now_ns() - t) / 1e3 / (double)probes;
	if (huge)
		out[TABLE] = out[FIRST] - out[SECOND];
	end_child(pid, fd);
}

/* 'm': memcpy(), else a fork */
static void serve_base(char ask, double *out)
{
	static char *p, *copy;
	double t;

	if (!p)
		p = resident(snap_size, MADV_NOHUGEPAGE);
	if (ask != 'm') {
		serve_fork(p, false, out);
		return;
	}
	if (!copy) {
		copy = resident(snap_size, MADV_NOHUGEPAGE);
		madvise(copy, snap_size, MADV_DONTFORK);
	}
	t = now_ns();
	memcpy(copy, p, snap_size);
	__asm__ volatile("" ::: "memory");
	out[SNAPSHOT] = (now_ns() - t) / 1e3;
}

static void serve_huge(char ask, double *out)
{
	static char *p;

	(void)ask;
	if (!p)
		p = resident(snap_size, MADV_HUGEPAGE);
	serve_fork(p, true, out);
	/* The writes have split huge pages: new ones. */
	if (madvise(p, probes * LEAF, MADV_DONTNEED))
		die("madvise");
	memset(p, 1, probes * LEAF);
	if (huge_bytes(p, snap_size) != snap_size)
		die("not all in huge pages");
}

/* One page in each of the first 2 MiB stretches.  us each */
static double write_apart(const struct space *s, unsigned long off)
{
	double t = now_ns();

	if (s->window)
		store_pages(s->at + off, probes * LEAF / PG, LEAF / PG);
	else
		for (unsigned long i = 0; i < probes; i++)
			pin_pages(s->at + off + i * LEAF, 1, 1, false);
	return (now_ns() - t) / 1e3 / (double)probes;
}

/* Loads in the snapshot, in other stretches than were written to.  us each */
static double load_apart(const struct space *s, const struct mm_struct *snap)
{
	unsigned long at = s->at + (unsigned long)pinfold_mm_shift(snap) + probes * LEAF;
	double t = now_ns();

	load_pages(at, probes / 2 * LEAF / PG, LEAF / PG);
	return (now_ns() - t) / 1e3 / (double)(probes / 2);
}

/*
 * p: the space, mapped anew each time; a: pages that are pinned; b: all were pinned once, or, in a window of 4 KiB pages, it
 * is touched and not populated; c: us that are wanted
 */
static void snapshot(struct variant *v)
{
	struct page *pinned[PER_CALL];
	struct space *s = v->p;
	struct mm_struct *snap;
	double t;

	space_map(s);
	if (!s->window || !v->b)
		MUST(vm_madvise(s->mm, s->at, s->size, PINFOLD_MADV_POPULATE_WRITE));
	if (s->window)
		store_pages(s->at, s->size / PG, 1);
	for (size_t i = 0; !s->window && v->b && i < s->size / PG; i += PER_CALL)
		pin_pages(s->at + i * PG, PER_CALL, PER_CALL, false);
	for (long i = 0; i < v->a; i++)
		if (get_user_pages_fast(s->at + (unsigned long)i * (s->size / PG / (size_t)v->a) * PG, 1, 0, &pinned[i]) != 1)
			die("get_user_pages_fast");
	MUST(pinfold_mm_create(s->machine, s->window, &snap));
	t = now_ns();
	MUST(dup_mmap(snap, s->mm));
	v->out[SNAPSHOT] = (now_ns() - t) / 1e3;
	v->out[FIRST] = write_apart(s, 0);
	v->out[SECOND] = write_apart(s, PG);
	v->out[TABLE] = v->out[FIRST] - v->out[SECOND];
	if (s->window)
		v->out[LOAD] = load_apart(s, snap);
	if (v->c)
		v->want[SNAPSHOT] = (double)v->c;
	if (!s->window && !s->folios)
		v->want[TABLE] = 3.2;
	MUST(put_user_pages(pinned, (unsigned long)v->a));
	MUST(pinfold_mm_destroy(snap));
	space_unmap(s);
}

/* A direct window shows shared mappings only: the snapshot maps the file again. */
static void direct_snapshot(struct variant *v)
{
	struct side *d = v->p;
	struct mm_struct *snap;
	unsigned long at;
	double t;

	store_pages((unsigned long)d->base, d->size / PG, 1);
	MUST(pinfold_mm_create(d->machine, PINFOLD_WINDOW_DIRECT, &snap));
	t = now_ns();
	MUST(dup_mmap(snap, d->mm));
	v->out[SNAPSHOT] = (now_ns() - t) / 1e3;
	at = (unsigned long)d->base + (unsigned long)pinfold_mm_shift(snap);
	t = now_ns();
	load_pages(at, probes / 2 * LEAF / PG, LEAF / PG);
	v->out[LOAD] = (now_ns() - t) / 1e3 / (double)(probes / 2);
	MUST(pinfold_mm_destroy(snap));
}

static void snapshots(void)
{
	static const struct figure figures[] = {
		{ "the snapshot", "us" }, { "first write to 2 MiB", "us" }, { "second write there", "us" },
		{ "the first's more", "us" }, { "load in the new one", "us" }, { 0 },
	};
	static struct space none, folio, win, win_folio;
	static struct side direct;
	struct space *all[] = { &none, &folio, &win, &win_folio };
	const char *no_direct;
	struct variant v[] = {
		{ .name = "kernel: fork(2), 4 KiB", .fn = ask_helper, .p = &forker[0], .a = 'f' },
		{ .name = "kernel: fork(2), transparent huge pages", .fn = ask_helper, .p = &forker[1], .a = 'f',
		  .missing = no_huge_pages() },
		{ .name = "memcpy() of 1 GiB, 4 KiB", .fn = ask_helper, .p = &forker[0], .a = 'm' },
		{ .name = "pinfold: no window, 4 KiB", .fn = snapshot, .p = &none, .c = 12 },
		{ .name = "pinfold: no window, 4 KiB, 64 pages pinned", .fn = snapshot, .p = &none, .a = 64 },
		{ .name = "pinfold: no window, 4 KiB, all pinned once", .fn = snapshot, .p = &none, .b = 1 },
		{ .name = "pinfold: no window, 2 MiB folios", .fn = snapshot, .p = &folio, .c = 12 },
		{ .name = "pinfold: no window, 2 MiB folios, 64 pages pinned", .fn = snapshot, .p = &folio, .a = 64 },
		{ .name = "pinfold: extent window, 4 KiB, populated", .fn = snapshot, .p = &win, .c = 60 },
		{ .name = "pinfold: extent window, 4 KiB, touched in a row", .fn = snapshot, .p = &win, .b = 1, .c = 60 },
		{ .name = "pinfold: extent window, 2 MiB folios", .fn = snapshot, .p = &win_folio, .c = 300 },
		{ .name = "pinfold: direct window, file shared by both", .fn = direct_snapshot, .p = &direct },
	};
	struct group g = {
		.name = "Snapshot of 1 GiB", .figure = figures, .v = v, .n = sizeof(v) / sizeof(v[0]), .reps = 5,
		.note = "Resident and written to before each.  fork(2) is a process's that has only this memory.  "
		        "\"first write\":\nof a page in each of 64 stretches, copied; \"second\": of another page there; \"the first's "
		        "more\": for the table.\nTargets (D12): 12 us without a window, 60 us a window in one piece, 300 us a window of "
		        "folios, 3.2 us a table.",
	};
	size_t pool = snap_size + snap_size / 8 + 16 * MIB;

	if (!wanted(g.name))
		return;
	helper_start(&forker[0], serve_base);
	helper_start(&forker[1], serve_huge);
	for (int i = 0; i < 4; i++)
		space_open(all[i], snap_size, pool, i < 2 ? PINFOLD_WINDOW_NONE : PINFOLD_WINDOW_EXTENT, i % 2);
	no_direct = side_open(&direct, NULL, snap_size, 2 * snap_size, PINFOLD_WINDOW_DIRECT, 0) ? NO_WINDOW : NULL;
	v[g.n - 1].missing = no_direct;
	if (run_group(&g)) {
		print_times(&g, "fork(2), of a snapshot without a window, 4 KiB (target 1800)", 0, 3, 0);
		print_times(&g, "fork(2) of huge pages, of a snapshot without a window, folios (target 60)", 1, 6, 0);
		print_times(&g, "fork(2), of a snapshot of a window, 4 KiB, populated", 0, 8, 0);
		print_times(&g, "fork(2), of a snapshot of a window, 4 KiB, touched", 0, 9, 0);
		print_times(&g, "fork(2) of huge pages, of a snapshot of a window, folios", 1, 10, 0);
	}
	side_close(&direct);
	for (int i = 0; i < 4; i++)
		space_close(all[i]);
	helper_end(&forker[1]);
	helper_end(&forker[0]);
}

/* ---- mremap ------------------------------------------------------------------------------------ */

/* a: where both places lie in their 2 MiB, or 1 GiB: bytes by which they differ */
static void kernel_move(struct variant *v)
{
	static char *from;
	char *to;
	char *room = mmap(NULL, snap_size + 2 * GIB, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	double t;

	if (room == MAP_FAILED)
		die("mmap");
	if (!from)
		from = resident(snap_size, MADV_NOHUGEPAGE);
	/* `from` lies at a whole 2 MiB. */
	to = (char *)(((unsigned long)room + GIB - 1) & ~(GIB - 1)) + (unsigned long)from % GIB + v->a;
	t = now_ns();
	if (mremap(from, snap_size, snap_size, MREMAP_MAYMOVE | MREMAP_FIXED, to) != to)
		die("mremap");
	v->out[0] = (now_ns() - t) / 1e3;
	if (mremap(to, snap_size, snap_size, MREMAP_MAYMOVE | MREMAP_FIXED, from) != from)
		die("mremap");
	munmap(room, snap_size + 2 * GIB);
}

/* p: the mover; a: as above */
static void move(struct variant *v)
{
	int flags = PINFOLD_MREMAP_MAYMOVE | PINFOLD_MREMAP_FIXED;
	struct space *s = v->p;
	unsigned long to = s->at + 2 * GIB + (unsigned long)v->a;
	double t;

	if (s->window) {
		MUST(vm_madvise(s->mm, s->at, s->size, PINFOLD_MADV_POPULATE_WRITE));
		store_pages(s->at, s->size / PG, 1);
	}
	t = now_ns();
	MUST(vm_mremap(s->mm, s->at, s->size, s->size, flags, to));
	v->out[0] = (now_ns() - t) / 1e3;
	t = now_ns();
	if (s->window) {
		store_pages(to, s->size / PG, LEAF / PG);
		v->out[1] = (now_ns() - t) / 1e3 / (double)(s->size / LEAF);
	}
	MUST(vm_mremap(s->mm, to, s->size, s->size, flags, s->at));
}

static void moves(void)
{
	static const struct figure figures[] = { { "the move", "us" }, { "store there, each 2 MiB", "us" }, { 0 } };
	static struct space none, folio, win, win_folio;
	struct space *all[] = { &none, &folio, &win, &win_folio };
	struct variant v[] = {
		{ .name = "kernel: mremap(2), 4 KiB, tables move", .fn = kernel_move, .a = LEAF },
		{ .name = "kernel: mremap(2), 4 KiB, tables of tables move", .fn = kernel_move },
		{ .name = "kernel: mremap(2), 4 KiB, entries move", .fn = kernel_move, .a = PG },
		{ .name = "pinfold: no window, 4 KiB, tables move", .fn = move, .p = &none },
		{ .name = "pinfold: no window, 4 KiB, slots move", .fn = move, .p = &none, .a = PG },
		{ .name = "pinfold: no window, 2 MiB folios", .fn = move, .p = &folio },
		{ .name = "pinfold: extent window, 4 KiB, populated", .fn = move, .p = &win },
		{ .name = "pinfold: extent window, 2 MiB folios", .fn = move, .p = &win_folio },
	};
	struct group g = {
		.name = "mremap() of 1 GiB", .figure = figures, .v = v, .n = sizeof(v) / sizeof(v[0]), .reps = 5,
		.note = "Resident, in a window also shown.  \"tables move\": from and to lie alike in 2 MiB; the kernel can move more at "
		        "once\nif they lie alike in 1 GiB.  A window's translations go, and come back by faults at the new place.",
	};

	if (!wanted(g.name))
		return;
	for (int i = 0; i < 4; i++) {
		space_open(all[i], snap_size, snap_size + snap_size / 8 + 16 * MIB,
		           i < 2 ? PINFOLD_WINDOW_NONE : PINFOLD_WINDOW_EXTENT, i % 2);
		space_map(all[i]);
		MUST(vm_madvise(all[i]->mm, all[i]->at, snap_size, PINFOLD_MADV_POPULATE_WRITE));
	}
	if (run_group(&g)) {
		print_times(&g, "mremap(2), of a move without a window, tables", 0, 3, 0);
		print_times(&g, "mremap(2), of a move without a window, entries", 2, 4, 0);
		print_times(&g, "move of a window of 4 KiB, of mremap(2)", 6, 0, 0);
	}
	for (int i = 0; i < 4; i++)
		space_close(all[i]);
}

int main(int argc, char **argv)
{
	bench_start(argc, argv, "snapshots beside fork(2), copy on write, mremap");
	on_cpu(0);
	snap_size = (size_t)in_full(1024, 32) * MIB;
	probes = (unsigned long)in_full(64, 8);
	cow_size = (size_t)in_full(64, 8) * MIB;
	ref_size = cow_size;
	copies_on_write();
	snapshots();
	moves();
	return 0;
}
