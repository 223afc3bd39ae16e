/* SPDX-License-Identifier: MIT */
/*
 * pin_race_test.c - every way to pin against everything that takes pages, tables and rights away: a table, one test a cell.
 *
 * A page's first word is its name, or 0 as long as nobody wrote to it; a word for each pinner is that pinner's alone.
 * Meanwhile a stranger, an address space of its own, takes frames and tables, fills them, looks that nobody else wrote to
 * them, and gives them back.  So a pin of a page that is free or somebody else's shows: as a strange name, as a word that
 * changed under the pin, or as damage to the stranger's page.
 *
 *   pinner \ disturber   remap dup protect cow unshare split dontneed commit evict
 *   fast, many, slow, remote, dirty, longterm: each with each, here
 *
 * A race of two instructions is hardly ever met here: those are the business of tests/model/fast_pin.c.
 *
 * Beside this: pins through windows of all modes against snapshots in tests/api/dup_race_test.c, of files larger than the
 * memory against commit, reclaim, mprotect and mmap in mm_stress_test.c.
 */
#include "../api/anon.h"

#define PAGES 8u
#define FILE_PAGES 1536u /* more than the pool has */
#define PINNERS 2u
#define MOST 6u          /* pages a pin */
#define MANY 100000u     /* refused pins of a thread, until it goes on to the next */
#define CHILD 0xc01dull
#define STRANGER 0x5742a9e2ull
#define WORD 8u          /* of the first pinner; the next word belongs to the next */
#define STORED 5u        /* word of the process's own stores */

struct scene {
	const struct way *way;
	const struct disturber *by;
	struct pinfold *m;
	struct space s;
	struct pinfold_file *file;
	unsigned pages;
	_Atomic int stop;
	_Atomic unsigned wrongs;
	_Atomic unsigned long pins;
	_Atomic unsigned ended; /* pinners */
	char first_wrong[200];
};

/* A way to pin n pages, and to put them. */
struct way {
	const char *name;
	unsigned n, flags;
	bool dirty;
	long (*pin)(struct scene *sc, unsigned long a, unsigned n, unsigned flags, struct page **pages);
};

struct disturber {
	const char *name;
	bool file;
	bool refuses;   /* a pin may be refused meanwhile */
	bool huge;      /* on memory that has folios of 2 MiB */
	bool keeps;     /* a page that is write-pinned stays the address's */
	enum pinfold_window window;
	void (*once)(struct scene *sc, unsigned round);
};

struct cell {
	const struct way *way;
	const struct disturber *by;
};

/* Threads do not assert: cmocka's jump is the main thread's. */
static void wrong(struct scene *sc, const char *what, unsigned page, uint64_t is, uint64_t want)
{
	if (!atomic_fetch_add(&sc->wrongs, 1))
		snprintf(sc->first_wrong, sizeof(sc->first_wrong), "%s: page %u: %lx, not %lx", what, page,
		         (unsigned long)is, (unsigned long)want);
	atomic_store(&sc->stop, 1);
}

static uint64_t name_of(unsigned page)
{
	return word_of(0, page, 0); /* as new_file() has it */
}

static uint64_t get(void *at, unsigned word)
{
	return atomic_load_explicit((_Atomic uint64_t *)at + word, memory_order_relaxed);
}

static void set(void *at, unsigned word, uint64_t v)
{
	atomic_store_explicit((_Atomic uint64_t *)at + word, v, memory_order_relaxed);
}

/* ---- pinners ------------------------------------------------------------------------------------ */

static long by_fast(struct scene *sc, unsigned long a, unsigned n, unsigned flags, struct page **pages)
{
	(void)sc;
	return get_user_pages_fast(a, (int)n, flags, pages);
}

static long by_unlocked(struct scene *sc, unsigned long a, unsigned n, unsigned flags, struct page **pages)
{
	(void)sc;
	return get_user_pages_unlocked(a, n, pages, flags);
}

static long by_remote(struct scene *sc, unsigned long a, unsigned n, unsigned flags, struct page **pages)
{
	int locked = 1;
	long r;

	mmap_read_lock(sc->s.mm);
	r = get_user_pages_remote(NULL, sc->s.mm, a, n, flags, pages, NULL, &locked);
	if (locked)
		mmap_read_unlock(sc->s.mm);
	return r;
}

static const struct way ways[] = {
	{ "fast", 1, 0, false, by_fast },
	{ "many", MOST, 0, false, by_fast },
	{ "slow", 1, 0, false, by_unlocked },
	{ "remote", MOST, 0, false, by_remote },
	{ "dirty", MOST, 0, true, by_fast },
	{ "longterm", 2, FOLL_LONGTERM, false, by_fast },
};

struct pinner {
	struct scene *sc;
	unsigned me;
	unsigned rounds;
};

/* A page as its pinner finds it: with a name that it may have. */
static void look(struct scene *sc, void *at, unsigned p, const char *what)
{
	uint64_t name = get(at, 0);

	if (name != name_of(p) && (name || sc->by->file))
		wrong(sc, what, p, name, name_of(p));
}

/* Another pin of what is write-pinned gets the same page. */
static void pin_again(struct scene *sc, struct page *page, unsigned p)
{
	struct page *second;
	int n = get_user_pages_fast(sc->s.at + p * PG, 1, FOLL_WRITE, &second);

	if (n == 1 ? second != page : !sc->by->refuses)
		wrong(sc, "the page of a pinned address is another one", p, (uint64_t)n, 1);
	if (n == 1 && put_user_page(second))
		wrong(sc, "put", p, 0, 0);
}

static void hold(struct pinner *t, struct page **pages, long n, unsigned first, bool write, uint64_t stamp)
{
	struct scene *sc = t->sc;

	for (long i = 0; i < n; i++) {
		void *at = page_address(pages[i]);

		look(sc, at, first + (unsigned)i, "pinned");
		if (!write)
			continue;
		set(at, 0, name_of(first + (unsigned)i));
		set(at, WORD + t->me, stamp + (uint64_t)i);
	}
	if ((stamp >> 8) % 4 == 0)
		sched_yield();
	for (long i = 0; i < n; i++) {
		void *at = page_address(pages[i]);

		look(sc, at, first + (unsigned)i, "pinned still");
		if (!write)
			continue;
		if (get(at, WORD + t->me) != stamp + (uint64_t)i)
			wrong(sc, "the pinner's word", first + (unsigned)i, get(at, WORD + t->me), stamp + (uint64_t)i);
		set(at, WORD + t->me, stamp + 0x80 + (uint64_t)i); /* a snapshot of meanwhile must not see this */
		if (sc->by->keeps)
			pin_again(sc, pages[i], first + (unsigned)i);
	}
}

/* False: refused, as it may be. */
static bool one_pin(struct pinner *t, unsigned round)
{
	struct scene *sc = t->sc;
	const struct way *way = sc->way;
	unsigned first = (round * 7 + t->me) % (sc->pages - way->n + 1);
	bool write = round % 3 && !(sc->by->file && (way->flags & FOLL_LONGTERM));
	struct page *pages[MOST];
	long n = way->pin(sc, sc->s.at + first * PG, way->n, way->flags | (write ? FOLL_WRITE : 0), pages);

	if (n <= 0) {
		if (n != -EFAULT || !sc->by->refuses)
			wrong(sc, "pin refused", first, (uint64_t)n, way->n);
		return false;
	}
	hold(t, pages, n, first, write, (uint64_t)round << 8);
	if (way->dirty && write ? put_user_pages_dirty_lock(pages, (unsigned long)n) :
	                          put_user_pages(pages, (unsigned long)n))
		wrong(sc, "put refused", first, 0, 0);
	atomic_fetch_add(&sc->pins, (unsigned long)n);
	return true;
}

static void *pin_and_look(void *arg)
{
	unsigned refused = 0;
	struct pinner *t = arg;

	if (pinfold_use_mm(t->sc->s.mm))
		wrong(t->sc, "use_mm", 0, 0, 0);
	for (unsigned r = 1; r <= t->rounds && !atomic_load(&t->sc->stop); r++)
		while (!one_pin(t, r) && !atomic_load(&t->sc->stop) && refused++ < MANY)
			sched_yield();
	atomic_fetch_add(&t->sc->ended, 1);
	return NULL;
}

/* ---- the stranger -------------------------------------------------------------------------------- */

static void a_life(struct scene *sc, struct mm_struct *mm)
{
	struct page *pages[16];
	long a = vm_mmap(mm, 0, 16 * PG, RW, PRIVATE | ANON, NULL, 0);
	int n = a > 0 ? get_user_pages_fast((unsigned long)a, 16, FOLL_WRITE, pages) : 0;

	if (a < 0)
		wrong(sc, "the stranger's mapping", 0, (uint64_t)a, 0);
	for (int i = 0; i < n; i++)
		for (unsigned w = 0; w < WORD + PINNERS; w++) {
			if (get(page_address(pages[i]), w))
				wrong(sc, "the stranger's new page is not zero", (unsigned)i, get(page_address(pages[i]), w), 0);
			set(page_address(pages[i]), w, STRANGER);
		}
	sched_yield();
	for (int i = 0; i < n; i++)
		for (unsigned w = 0; w < WORD + PINNERS; w++)
			if (get(page_address(pages[i]), w) != STRANGER)
				wrong(sc, "the stranger's page", (unsigned)i, get(page_address(pages[i]), w), STRANGER);
	if (n > 0 && put_user_pages(pages, (unsigned long)n))
		wrong(sc, "the stranger's put", 0, 0, 0);
	if (a > 0 && vm_munmap(mm, (unsigned long)a, 16 * PG))
		wrong(sc, "the stranger's munmap", 0, 0, 0);
}

static void *be_strange(void *arg)
{
	struct scene *sc = arg;
	struct mm_struct *mm;

	if (pinfold_mm_create(sc->m, PINFOLD_WINDOW_NONE, &mm) || pinfold_use_mm(mm)) {
		wrong(sc, "the stranger's mm", 0, 0, 0);
		return NULL;
	}
	do
		a_life(sc, mm);
	while (!atomic_load(&sc->stop));
	if (pinfold_mm_destroy(mm))
		wrong(sc, "the stranger's end", 0, 0, 0);
	return NULL;
}

/* ---- disturbers ---------------------------------------------------------------------------------- */

static void must(struct scene *sc, long r, const char *what)
{
	if (r < 0)
		wrong(sc, what, 0, (uint64_t)r, 0);
}

static void remap(struct scene *sc, unsigned round)
{
	(void)round;
	must(sc, vm_munmap(sc->s.mm, sc->s.at, PAGES * PG), "munmap");
	must(sc, vm_mmap(sc->s.mm, sc->s.at, PAGES * PG, RW, PRIVATE | ANON | FIXED, NULL, 0), "mmap");
}

static bool child_of(struct scene *sc, struct mm_struct **mm)
{
	int r = pinfold_mm_create(sc->m, PINFOLD_WINDOW_NONE, mm);

	must(sc, r, "child");
	if (r)
		return false;
	r = dup_mmap(*mm, sc->s.mm);
	must(sc, r, "dup_mmap");
	return true;
}

static uint64_t child_word(struct scene *sc, struct mm_struct *mm, unsigned p, unsigned word)
{
	uint64_t v = 0;

	if (access_process_vm(mm, sc->s.at + (unsigned long)pinfold_mm_shift(mm) + p * PG + word * 8, &v, 8, 0) != 8)
		wrong(sc, "a look at the child", p, 0, 0);
	return v;
}

/* The child's pages stand still, and what it stores is its own. */
static void dup_and_store(struct scene *sc, unsigned round)
{
	uint64_t name = CHILD, before[PAGES];
	struct mm_struct *mm;

	if (!child_of(sc, &mm))
		return;
	for (unsigned p = 0; p < PAGES; p++)
		before[p] = child_word(sc, mm, p, WORD);
	for (unsigned p = 0; p < PAGES; p++) {
		unsigned long a = sc->s.at + (unsigned long)pinfold_mm_shift(mm) + p * PG;

		if ((p + round) % 2 && access_process_vm(mm, a, &name, 8, FOLL_WRITE) != 8)
			wrong(sc, "a child's store", p, 0, 0);
		if (child_word(sc, mm, p, WORD) != before[p])
			wrong(sc, "the child's page changed", p, child_word(sc, mm, p, WORD), before[p]);
	}
	must(sc, pinfold_mm_destroy(mm), "child's end");
}

static void protect(struct scene *sc, unsigned round)
{
	must(sc, vm_mprotect(sc->s.mm, sc->s.at, PAGES * PG, round % 2 ? RO : PINFOLD_PROT_NONE), "mprotect");
	must(sc, vm_mprotect(sc->s.mm, sc->s.at, PAGES * PG, RW), "mprotect");
}

/* The process stores to what it shares: through its window. */
static void cow_by_store(struct scene *sc, unsigned round)
{
	uint64_t before[PAGES];
	struct mm_struct *mm;

	for (unsigned p = 0; p < PAGES; p++)
		before[p] = get((void *)(sc->s.at + p * PG), STORED);
	if (!child_of(sc, &mm))
		return;
	for (unsigned p = 0; p < PAGES; p++)
		set((void *)(sc->s.at + p * PG), STORED, round + 1);
	for (unsigned p = 0; p < PAGES; p++) {
		if (child_word(sc, mm, p, STORED) != before[p])
			wrong(sc, "the child sees a later store", p, child_word(sc, mm, p, STORED), before[p]);
		if (get((void *)(sc->s.at + p * PG), STORED) != round + 1)
			wrong(sc, "a store is lost", p, get((void *)(sc->s.at + p * PG), STORED), round + 1);
	}
	must(sc, pinfold_mm_destroy(mm), "child's end");
}

/* Read pins of what is shared, by the child and by the process: each gets a page of its own. */
static void unshare_by_pin(struct scene *sc, unsigned round)
{
	unsigned flags = round % 2 ? FOLL_LONGTERM : 0;
	struct page *mine[PAGES], *its[PAGES];
	struct mm_struct *mm;
	int n = 0, k;

	if (!child_of(sc, &mm))
		return;
	must(sc, pinfold_use_mm(mm), "use_mm");
	k = get_user_pages_fast(sc->s.at, PAGES, flags, its);
	must(sc, pinfold_use_mm(sc->s.mm), "use_mm");
	n = get_user_pages_fast(sc->s.at, PAGES, flags, mine);
	if (k != (int)PAGES || n != (int)PAGES)
		wrong(sc, "read pins", 0, (uint64_t)k, PAGES);
	for (int i = 0; i < n && i < k; i++) /* but the zero page is everybody's */
		if (mine[i] == its[i] && get(page_address(mine[i]), 0))
			wrong(sc, "two processes pinned one page", (unsigned)i, 0, 0);
	if ((n > 0 && put_user_pages(mine, (unsigned long)n)) || (k > 0 && put_user_pages(its, (unsigned long)k)))
		wrong(sc, "put", 0, 0, 0);
	must(sc, pinfold_mm_destroy(mm), "child's end");
}

/* A folio is split, mapping and frames, and thrown away for a new one. */
static void split(struct scene *sc, unsigned round)
{
	int r = pinfold_split_folio(sc->s.mm, sc->s.at + round % 512 * PG);

	if (r && r != -EBUSY && r != -EAGAIN && r != -EFAULT)
		wrong(sc, "split", 0, (uint64_t)r, 0);
	if (round % 4 == 0)
		must(sc, vm_madvise(sc->s.mm, sc->s.at, LEAF, PINFOLD_MADV_DONTNEED), "DONTNEED");
}

static void dontneed(struct scene *sc, unsigned round)
{
	must(sc, vm_madvise(sc->s.mm, sc->s.at + round % PAGES * PG, PG, PINFOLD_MADV_DONTNEED), "DONTNEED");
}

static void commit(struct scene *sc, unsigned round)
{
	(void)round;
	must(sc, pinfold_commit(sc->file, 0, 0, NULL), "commit");
}

static void evict(struct scene *sc, unsigned round)
{
	must(sc, pinfold_reclaim(sc->m, 64), "reclaim");
	if (round % 8 == 0) /* what is dirty stays */
		commit(sc, round);
}

static const struct disturber disturbers[] = {
	{ "remap", false, true, false, false, PINFOLD_WINDOW_NONE, remap },
	{ "dup", false, false, false, true, PINFOLD_WINDOW_NONE, dup_and_store },
	{ "protect", false, true, false, true, PINFOLD_WINDOW_NONE, protect },
	{ "cow", false, false, false, true, PINFOLD_WINDOW_EXTENT, cow_by_store },
	{ "unshare", false, false, false, true, PINFOLD_WINDOW_NONE, unshare_by_pin },
	{ "split", false, false, true, false, PINFOLD_WINDOW_NONE, split },
	{ "dontneed", false, false, false, false, PINFOLD_WINDOW_NONE, dontneed },
	{ "commit", true, false, false, true, PINFOLD_WINDOW_NONE, commit },
	{ "evict", true, false, false, true, PINFOLD_WINDOW_NONE, evict },
};

/* ---- a cell -------------------------------------------------------------------------------------- */

static void map_scene(struct scene *sc, char *path, int *fd)
{
	struct pinfold_file_options fo = { .size = sizeof(fo) };

	sc->pages = sc->by->file ? FILE_PAGES : sc->by->huge ? 512 : PAGES;
	if (sc->by->file) {
		new_path(path, 600);
		*fd = new_file(path, FILE_PAGES * PG, false);
		assert_ok(pinfold_open(sc->m, path, &fo, &sc->file));
		map_file(&sc->s, 0, FILE_PAGES, RW, SHARED, sc->file, 0);
		return;
	}
	map_anon(&sc->s, 0, sc->pages, RW, PRIVATE);
	if (sc->by->huge)
		assert_ok(vm_madvise(sc->s.mm, sc->s.at, LEAF, PINFOLD_MADV_HUGEPAGE));
}

static unsigned rounds(void)
{
	return THREAD_SANITIZER || getenv("PINFOLD_TEST_SLOW") ? 100 : 400;
}

static void run_cell(struct scene *sc)
{
	struct pinner t[PINNERS];
	pthread_t thread[PINNERS + 1];
	unsigned round = 0;

	assert_ok(pthread_create(&thread[PINNERS], NULL, be_strange, sc));
	for (unsigned i = 0; i < PINNERS; i++) {
		t[i] = (struct pinner){ sc, i, rounds() };
		assert_ok(pthread_create(&thread[i], NULL, pin_and_look, &t[i]));
	}
	do
		sc->by->once(sc, round++);
	while (atomic_load(&sc->ended) < PINNERS);
	for (unsigned i = 0; i < PINNERS; i++)
		pthread_join(thread[i], NULL);
	atomic_store(&sc->stop, 1);
	pthread_join(thread[PINNERS], NULL);
	if (atomic_load(&sc->wrongs))
		fail_msg("%u wrong; first: %s", atomic_load(&sc->wrongs), sc->first_wrong);
	assert_true(round > 0);
	assert_true(atomic_load(&sc->pins) > 0);
}

/* Whatever happens beside a pin, the page is the address space's when the pin is had, and stays what it
 * is until it is put. */
static void a_pin_beside_a_change_is_of_the_right_page(void **state)
{
	const struct cell *c = *state;
	struct scene sc = { .way = c->way, .by = c->by };
	char path[600];
	int fd = -1;

	sc.m = MACHINE(.pool = 4 * MIB, .memory = 8 * MIB, .deadline_ms = 60000);
	sc.s = new_space(sc.m, c->by->window);
	map_scene(&sc, path, &fd);
	run_cell(&sc);
	if (sc.file)
		assert_ok(pinfold_commit(sc.file, 0, 0, NULL));
	end_space(&sc.s);
	if (sc.file) {
		assert_ok(pinfold_close(sc.file));
		close(fd);
		unlink(path);
	}
	end_machine(sc.m);
}

/* ---- another machine ----------------------------------------------------------------------------- */

static void *pin_in_turns(void *arg)
{
	struct pinner *t = arg;

	while (!atomic_load(&t->sc->stop)) {
		if (pinfold_use_mm(t->sc->s.mm))
			wrong(t->sc, "use_mm", 0, 0, 0);
		for (unsigned r = 1; r <= 16; r++)
			one_pin(t, r);
	}
	return NULL;
}

/* Decision D1: a machine that is closed is no business of threads that use another, which may turn to an mm just then. */
static void pins_go_on_while_another_machine_is_closed(void **state)
{
	struct scene sc = { .way = &ways[0], .by = &disturbers[0], .pages = PAGES };
	struct pinner t = { .sc = &sc };
	pthread_t thread;

	(void)state;
	sc.m = MACHINE();
	sc.s = new_space(sc.m, PINFOLD_WINDOW_NONE);
	map_anon(&sc.s, 0, PAGES, RW, PRIVATE);
	assert_ok(pthread_create(&thread, NULL, pin_in_turns, &t));
	for (unsigned i = 0; i < rounds() / 4 && !atomic_load(&sc.stop); i++) {
		struct pinfold *m = MACHINE();
		struct space s = new_space(m, PINFOLD_WINDOW_NONE);

		map_anon(&s, 0, 1, RW, PRIVATE);
		page_at(&s, 0, FOLL_WRITE);
		end_both(m, &s);
	}
	atomic_store(&sc.stop, 1);
	pthread_join(thread, NULL);
	assert_int_equal(atomic_load(&sc.wrongs), 0);
	end_both(sc.m, &sc.s);
}

#define WAYS (sizeof(ways) / sizeof(ways[0]))
#define DISTURBERS (sizeof(disturbers) / sizeof(disturbers[0]))

int main(int argc, char **argv)
{
	static struct CMUnitTest tests[WAYS * DISTURBERS + 1];
	static struct cell cells[WAYS * DISTURBERS];
	static char names[WAYS * DISTURBERS][80];

	for (unsigned i = 0; i < WAYS * DISTURBERS; i++) {
		cells[i] = (struct cell){ &ways[i % WAYS], &disturbers[i / WAYS] };
		snprintf(names[i], sizeof(names[i]), "a %s pin beside %s is of the right page", cells[i].way->name,
		         cells[i].by->name);
		tests[i] = (struct CMUnitTest){ names[i], a_pin_beside_a_change_is_of_the_right_page, NULL, NULL, &cells[i] };
	}
	tests[WAYS * DISTURBERS] = (struct CMUnitTest)PLAIN(pins_go_on_while_another_machine_is_closed);
	if (argc > 1) /* one cell, by hand */
		cmocka_set_test_filter(argv[1]);
	return world_main(tests);
}
