/* SPDX-License-Identifier: MIT */
/*
 * pin_search.h - what fast_pin.c and range_pin.c share beside the machinery: what others do to the pages and tables, the
 * world that threads begin with, what must hold, and the search.
 *
 * What the rest of the library does (fault, zap, allocator) is written down here with the same inline functions, each line with
 * the function that it stands for.  A thread is a C function; its state is the list of values that its atomic operations
 * returned so far: a step runs the function again with them, performs one more operation, and stops before the next.
 */
#ifndef PINFOLD_MODEL_PIN_SEARCH_H
#define PINFOLD_MODEL_PIN_SEARCH_H

#include "pin_calls.h"

enum shape {
	ONE_PAGE = 0,
	TWO_PAGES = 1,  /* in A's leaf */
	ALL = 0,
	HUGE_SLOT = 2,  /* and no leaf: a folio of two pages */
	NO_TABLES = 4,  /* B has a root only */
	MORE = 8,       /* A has another table: only its leaf can be trimmed */
	LONG = 64,      /* hundreds of thousands of states */
	MARKED = 32,    /* the folio's pages have been pinned before */
	FORK = 16,      /* what B and C show is shared */
	KNOWN = 128,    /* threads have pinned through the leaf before, and remember it */
	BY_BATCH = 256,
	RANGED = 512,   /* ranges have been pinned in the leaf before */
	LOCKS = 1024,   /* the leaf's lock is one: several threads want it */
};

static const struct scenario {
	const char *name;
	unsigned shape;
	void (*body[MAX_THREADS])(void);
} *scenario;
static struct table *first_leaf; /* A's */

struct model {
	const struct scenario *scenarios;
	size_t nr_scenarios;
	const struct bug *bugs;
	size_t nr_bugs;
};

/* ---- threads ---------------------------------------------------------------------------------- */

#define OWN (SLOT_PRESENT | SLOT_ANON | SLOT_EXCL)
#define SECOND PAGE_SIZE /* address of the second page */

static uint64_t slot_of(unsigned page)
{
	return (uint64_t)(PFN0 + page) << PAGE_SHIFT;
}

static void owns(unsigned page, enum mm_name who)
{
	if (live())
		now.owner[page] = (uint8_t)(who + 1);
}

/* A pin of mm A was handed out. */
static void confirmed(struct page *p)
{
	if (!live())
		return;
	if (now.owner[page_of(p)] != A + 1)
		broken(NOT_ITS_PAGE);
	now.pins[page_of(p)]++;
}

SHARED_TOOL void put(struct page *p)
{
	giving_back = true;
	put_user_pages(&p, 1);
}

/* The thread has pinned through the leaf before: it knows the way. */
SHARED_TOOL void remember(void)
{
	current.walk_seq = atomic_load_explicit(&initial.mm[A].table_seq, memory_order_relaxed);
	current.walk_tag = 0;
	current.walk_leaf = first_leaf;
}

/* Of a page: slot_take() and slot_put() of zap_range(). */
static void zap(enum mm_name who, unsigned long addr)
{
	struct pt_pos pos;
	uint64_t s;

	if (!pt_lock(&w.mm[who], addr, &pos)) {
		broken(ASSERTION);
		return;
	}
	s = atomic_load_explicit(pos.slot, memory_order_relaxed);
	slot_set(pos.table, pos.slot, 0);
	pt_unlock(&pos);
	atomic_fetch_sub_explicit(&pfn_to_page(&machine, s >> PAGE_SHIFT)->mapcount, 1, memory_order_release);
	put_internal(&machine, pfn_to_page(&machine, s >> PAGE_SHIFT));
}

/* The frame is free, and alloc_folio() gives it to somebody. */
static void reuse(unsigned page, enum mm_name who)
{
	await(&w.list[page]);
	atomic_fetch_sub(&w.list[page], 1);
	page_thaw(&w.page[PFN0 + page], PC_INTERNAL);
	owns(page, who);
}

/* fill_anon() */
static void map(enum mm_name who, unsigned long addr, unsigned page)
{
	struct pt_pos pos;

	if (pt_own(&w.mm[who], addr, &pos)) {
		broken(ASSERTION);
		return;
	}
	atomic_store_explicit(&w.page[PFN0 + page].mapcount, 1, memory_order_relaxed);
	slot_set(pos.table, pos.slot, slot_of(page) | OWN | SLOT_RIGHTS);
	pt_unlock(&pos);
}

SHARED_TOOL void reuse_frame(void)
{
	zap(A, 0);
	reuse(0, B);
	map(B, 0, 0);
}

SHARED_TOOL void map_again(void)
{
	zap(A, 0);
	reuse(0, A);
	map(A, 0, 0);
}

SHARED_TOOL void reuse_tables(void)
{
	zap(A, 0);
	pt_trim(&w.mm[A], 0, LEAF_SIZE);
	map(B, 0, 1);
}

/* mremap(): the table to another place, and a new page to the old one's. */
SHARED_TOOL void move_table(void)
{
	uint64_t e = pt_take_entry(&w.mm[A], 0);

	pt_put_entry(&w.mm[B], 0, e); /* of another mm here: so that a pin by the old address is seen to be wrong */
	owns(0, B);
}

/* dup_locked() */
static void snapshot(enum mm_name child)
{
	struct dup d = { .mm = &w.mm[child], .old = &w.mm[A] };

	each_stretch(&d, stop);
	pt_bump(d.old);
	if (each_stretch(&d, share) || each_stretch(&d, copy_pinned))
		broken(ASSERTION);
}

/* The process stores to the page: cow_fault(). */
static void store(void)
{
	struct pinfold *m = &machine;
	struct page *page, *new;
	struct pt_pos pos;
	uint64_t s;

	if (pt_own(&w.mm[A], 0, &pos))
		return;
	s = atomic_load_explicit(pos.slot, memory_order_relaxed);
	page = pfn_to_page(m, s >> PAGE_SHIFT);
	if ((s & SLOT_EXCL) || atomic_load(&page->mapcount) == 1) { /* small_slot() */
		slot_set(pos.table, pos.slot, s | SLOT_EXCL | SLOT_RIGHTS);
		return;
	}
	new = alloc_anon(m, 0, 0, false); /* replace() */
	atomic_store_explicit(&new->mapcount, 1, memory_order_relaxed);
	slot_set(pos.table, pos.slot, 0);
	slot_set(pos.table, pos.slot, slot_of(page_of(new)) | OWN | SLOT_RIGHTS);
	atomic_fetch_sub_explicit(&page->mapcount, 1, memory_order_release); /* slot_put() */
	put_internal(m, page);
}

SHARED_TOOL void dup(void)
{
	snapshot(B);
}

SHARED_TOOL void dup_and_store(void)
{
	snapshot(B);
	store();
}

/* A child that ends: the parent's table is its own again, and shared a second time. */
SHARED_TOOL void dup_twice(void)
{
	snapshot(B);
	if (!pt_detach(&w.mm[B], 0))
		zap(B, 0);
	store();
	snapshot(C);
}

/* ---- the world that they begin with ----------------------------------------------------------- */

static const struct table *dirs[NR_MMS];

/* Tables of an mm from the root down, `levels` of them. */
static struct table *make_tables(enum mm_name who, unsigned levels)
{
	struct table *t = NULL;

	for (unsigned i = 0; i < levels; i++) {
		struct table *child_table = &w.table[w.used_tables++];

		child_table->level = TABLE_LEVELS - 1 - i;
		child_table->machine = &machine;
		atomic_init(&child_table->sharers, 1);
		if (t) {
			atomic_init(&t->e[0], (uintptr_t)child_table);
			t->used = 1;
		} else {
			w.mm[who].root = child_table;
		}
		t = child_table;
	}
	return t;
}

static void map_first(struct table *t, unsigned i, unsigned page)
{
	atomic_init(&t->e[i], slot_of(page) | OWN | SLOT_RIGHTS);
	t->used++;
	t->anon++;
	atomic_init(&w.page[PFN0 + page].mapcount, 1);
}

static void set_up(void)
{
	unsigned shape = scenario->shape;
	struct table *dir, *leaf;

	memset(&w, 0, sizeof(w));
	memset(&machine, 0, sizeof(machine));
	first_leaf = NULL;
	locked_table = NULL;
	atomic_init(&w.free_lock, 1);
	machine.pages = w.page;
	machine.nr_frames = machine.pool_frames = PFN0 + NR_PAGES;
	machine.zero = w.page;
	for (unsigned i = 0; i < NR_MMS; i++) {
		w.mm[i].machine = &machine;
		atomic_init(&w.mm[i].table_seq, (uint64_t)(i + 1) << 40);
	}
	for (unsigned i = 0; i < NR_PAGES; i++) {
		atomic_init(&w.page[PFN0 + i].count, PC_INTERNAL);
		atomic_init(&w.page[PFN0 + i].flags,
		            PG_anon | PG_uptodate | PG_referenced | PG_wpinned | PG_longterm);
	}
	dir = make_tables(A, TABLE_LEVELS - 1);
	if (shape & MORE) { /* never looked at */
		atomic_init(&dir->e[1], (uintptr_t)dir);
		dir->used = 1;
	}
	if (shape & HUGE_SLOT) {
		atomic_init(&dir->e[0], slot_of(0) | OWN | SLOT_RIGHTS | SLOT_FOLIO | SLOT_HUGE);
		atomic_init(&w.page[PFN0].hugemaps, 1);
		w.page[PFN0].order = 1;
		atomic_init(&w.page[PFN0 + 1].tail, 1);
		atomic_init(&w.page[PFN0 + 1].count, PC_FREE);
		atomic_init(&w.page[PFN0 + 1].subpins, shape & MARKED ? 3 : 0);
	} else {
		leaf = &w.table[w.used_tables++];
		leaf->machine = &machine;
		atomic_init(&leaf->sharers, 1);
		atomic_init(&leaf->ranged, shape & RANGED ? 1 : 0);
		atomic_init(&leaf->pinned, shape & KNOWN ? 1 : 0);
		atomic_init(&dir->e[0], (uintptr_t)leaf);
		first_leaf = leaf;
		locked_table = shape & LOCKS ? leaf : NULL;
		map_first(leaf, 0, 0);
		if (shape & TWO_PAGES)
			map_first(leaf, 1, 1);
	}
	dir->used++;
	dirs[B] = make_tables(B, shape & NO_TABLES ? 1 : TABLE_LEVELS - 1);
	dirs[C] = make_tables(C, TABLE_LEVELS - 1);
	w.used_pages = 2;
	w.vma = (struct vm_area_struct){ .end = LEAF_SIZE, .prot = PINFOLD_PROT_READ | PINFOLD_PROT_WRITE,
	                                 .mm = &w.mm[A], .mapping = &machine.anon };
	w.vmas[0] = &w.vma;
	w.mm[A].vmas = w.vmas;
	w.mm[A].nr_vmas = 1;
	initial = w;
}

/* ---- what must hold --------------------------------------------------------------------------- */

/* What an object holds in a state. */
static uint64_t held(const struct state *s, const volatile void *o, size_t size)
{
	for (unsigned i = 0; i < nr_locs; i++)
		if (locs[i].o == o && locs[i].shared)
			return values[s->mem[i]];
	return read_object((const volatile char *)&initial + ((const volatile char *)o - (const volatile char *)&w), size);
}

static bool shows(const struct state *s, const struct table *dir, unsigned page)
{
	uint64_t e = held(s, &dir->e[0], 8);
	const struct table *leaf = entry_leaf(e);
	bool yes = (e & SLOT_PRESENT) && ((e ^ slot_of(0)) & ~SLOT_BITS) == 0;

	for (unsigned i = 0; leaf && i < TABLE_SLOTS; i++) {
		uint64_t v = held(s, &leaf->e[i], 8);

		yes |= (v & SLOT_PRESENT) && ((v ^ slot_of(page)) & ~SLOT_BITS) == 0;
	}
	return yes;
}

static enum broken check_state(const struct state *s)
{
	if (s->broken)
		return (enum broken)s->broken;
	for (unsigned i = 0; i < NR_PAGES; i++) {
		const struct page *p = &w.page[PFN0 + i], *head = scenario->shape & HUGE_SLOT && i == 1 ? p - 1 : p;

		if (!s->pins[i])
			continue;
		if (!s->owner[i] || (held(s, &head->count, 8) & PC_FREE))
			return TAKEN_AWAY;
		if ((scenario->shape & FORK) && (shows(s, dirs[B], i) || shows(s, dirs[C], i)))
			return SHARED;
	}
	return FINE;
}

/* Nobody can go on. */
static enum broken check_end(const struct state *s)
{
	for (int i = 0; i < MAX_THREADS; i++)
		if (scenario->body[i] && !s->t[i].ended)
			return LOST;
	for (unsigned i = 0; i < NR_PAGES; i++)
		if (pc_pins(held(s, &w.page[PFN0 + i].count, 8)))
			return LOST;
	for (unsigned i = 0; i < TABLE_RANGES && first_leaf; i++)
		if (held(s, &first_leaf->range[i], 8))
			return LOST;
	return FINE;
}

/* ---- the search ------------------------------------------------------------------------------- */

#define RUN 0 /* struct way's `what`: else a buffer's entry + 1 */

static void new_run(void)
{
	w = initial;
	current = (struct current_thread){
		.machine = &machine, .mm = &w.mm[A], .pages = w.page, .nr_records = COUNT(w.page),
	};
	memset(last_seen, 0, sizeof(last_seen));
	memset(&late, 0, sizeof(late));
	seen_match = seen_until = replayed = 0;
	giving_back = false;
	stepped = blocked = false;
}

/* Lets thread i do one operation.  False: it has ended or must wait. */
static bool run_thread(int i)
{
	if (!scenario->body[i] || now.t[i].ended)
		return false;
	me = i;
	new_run();
	if (!setjmp(out_of_thread)) {
		scenario->body[i]();
		late.due = true;
		do_late();
		now.t[i].ended = 1;
	}
	return !blocked;
}

static bool step(const struct state *from, struct way way)
{
	now = *from;
	if (way.what == RUN)
		return run_thread(way.thread);
	if (!may_flush(&from->t[way.thread], way.what - 1u))
		return false;
	flush_entry(way.thread, way.what - 1u);
	return true;
}

/* What the check looks at, although one thread writes it alone. */
static void watch(const volatile void *o, size_t size)
{
	locs[loc_of(o, size)].shared = 1;
}

static void begin(void)
{
	struct state s;

	if (scenario->shape & FORK)
		for (unsigned i = B; i <= C; i++)
			watch(&dirs[i]->e[0], 8);
	for (unsigned i = 0; (scenario->shape & FORK) && i < 2; i++)
		watch(&w.page[PFN0 + i].count, 8); /* a pin is held for a step at least */
	for (unsigned i = 0; (scenario->shape & RANGED) && i < TABLE_RANGES; i++)
		watch(&first_leaf->range[i], 8);
	for (unsigned i = w.used_tables; (scenario->shape & FORK) && i < w.used_tables + 3; i++)
		for (unsigned k = 0; k < (scenario->shape & (TWO_PAGES | HUGE_SLOT) ? 2 : 1); k++)
			watch(&w.table[i].e[k], 8);
	memset(&s, 0, sizeof(s));
	for (unsigned i = 0; i < nr_locs; i++) {
		size_t at = (size_t)((const volatile char *)locs[i].o - (const volatile char *)&w);

		s.mem[i] = number(read_object((const char *)&initial + at, locs[i].size));
	}
	s.owner[0] = A + 1;
	for (unsigned i = 2; i < NR_PAGES; i++)
		s.owner[i] = A + 1;
	s.owner[1] = scenario->shape & (TWO_PAGES | HUGE_SLOT) ? A + 1 : B + 1;
	forget_states(sizeof(s));
	add_state(&s, (struct way){ 0 });
}

static void trace(uint32_t at)
{
	if (!at)
		return;
	trace(states.came[at].parent);
	telling = true;
	step(state_at(states.came[at].parent), states.came[at]);
	telling = false;
}

static enum broken report(enum broken wrong, uint32_t at, bool verbose)
{
	if (verbose && wrong) {
		printf("  %s:\n", broken_text[wrong]);
		trace(at);
	}
	return wrong;
}

/* As far as the objects that are known to be shared are all.  The first violation on a shortest way. */
static enum broken search(bool verbose)
{
	begin();
	again = false;
	for (uint32_t at = 0; at < states.nr && !again; at++) {
		struct state from;
		enum broken wrong;
		bool moved = false;

		memcpy(&from, state_at(at), sizeof(from)); /* the array moves when it grows */
		wrong = check_state(&from);
		for (int k = 0; !wrong && !again && k < MAX_THREADS * (1 + MAX_BUFFER); k++) {
			struct way way = { at, (uint8_t)(k % MAX_THREADS), (uint8_t)(k / MAX_THREADS) };

			if (!step(&from, way))
				continue;
			moved = true;
			if (!again)
				add_state(&now, way);
		}
		if (!wrong && !moved)
			wrong = check_end(&from);
		if (wrong && !again)
			return report(wrong, at, verbose);
	}
	return FINE;
}

static enum broken explore(bool verbose)
{
	enum broken wrong;

	nr_values = 0;
	memset(value_hash, 0, sizeof(value_hash));
	nr_locs = 0;
	set_up();
	do {
		w = initial;
		wrong = search(verbose);
	} while (again);
	return wrong;
}

static int check_scenarios(const struct model *model, const char *only)
{
	unsigned long total = 0;
	int failed = 0;

	for (size_t i = 0; i < model->nr_scenarios; i++) {
		enum broken wrong;

		scenario = &model->scenarios[i];
		if (only ? strcmp(only, scenario->name) : SLOW && (scenario->shape & LONG))
			continue;
		wrong = explore(only != NULL);
		total += states.nr;
		printf("%8u states  %s%s%s\n", states.nr, scenario->name, wrong ? ": " : "",
		       wrong ? broken_text[wrong] : "");
		failed += wrong != FINE;
	}
	printf("%8lu states  in all\n", total);
	return failed;
}

static int check_bug(const struct model *model, const struct bug *b, bool verbose)
{
	enum broken wrong = FINE;

	bug = b;
	bug_hits = 0;
	for (size_t i = 0; i < model->nr_scenarios && !wrong; i++) {
		scenario = &model->scenarios[i];
		if ((scenario->shape & b->where) == b->where)
			wrong = explore(verbose);
	}
	bug = NULL;
	printf("%s  %s%s", wrong ? "found    " : "NOT FOUND", b->name, bug_hits ? "" : " (changed nothing)");
	if (wrong)
		printf("\n             by \"%s\": %s", scenario->name, broken_text[wrong]);
	printf("\n");
	return !wrong;
}

/* NAME: runs one scenario; -b NAME: one bug.  Both print a violation's trace.  What main() returns. */
static int run_model(int argc, char **argv, const struct model *model)
{
	bool one_bug = argc > 2 && !strcmp(argv[1], "-b");
	int failed = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!one_bug)
		failed += check_scenarios(model, argc > 1 ? argv[1] : NULL);
	if (SLOW && !one_bug)
		printf("seeded bugs: not under the thread sanitizer, there is one thread\n");
	for (size_t b = 0; b < model->nr_bugs && (one_bug || (argc == 1 && !SLOW)); b++)
		if (!one_bug || !strcmp(argv[2], model->bugs[b].name))
			failed += check_bug(model, &model->bugs[b], one_bug);
	printf("%d failed\n", failed);
	return failed ? 1 : 0;
}

#endif
