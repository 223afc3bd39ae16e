/* SPDX-License-Identifier: MIT */
/*
 * fast_pin.h - the machinery of fast_pin.c and range_pin.c: the code under test, the memory that threads share, atomic
 * operations with store buffers, and seeded bugs.
 *
 * Memory order.  Each thread has a store buffer.  A store that is not seq_cst waits in it and becomes visible at some later
 * step: not before what the thread stored to the same object earlier and, if it is a release, not before anything that it
 * stored earlier.  So stores of two objects pass each other as on machines weaker than x86.  A seq_cst operation waits until the
 * buffer is empty; a read-modify-write that is not one reads memory at once, and what it changes waits.  Loads see the own
 * buffer first, and are done in their order: what a load gains by acquire is not seen here.
 *
 * An operation is a step only if another thread touches the same object and one of them writes: found out on the way.
 */
#ifndef PINFOLD_MODEL_FAST_PIN_H
#define PINFOLD_MODEL_FAST_PIN_H

#include "explore.h"

#undef TABLE_SLOTS
#define TABLE_SLOTS 2u
#undef TABLE_RANGES
#define TABLE_RANGES 2u

/* What the included code calls and this file stands for. */
#define host_lock(l) model_lock(l)
#define host_unlock(l) model_unlock(l)
#define host_mutex_init(l, r) ((void)((l)->rank = (r)))
#define host_held(l) true
#define host_rwsem_held(l) true
#define slab_alloc model_slab_alloc
#define slab_free model_slab_free
#define free_frame model_free_frame
#define get_internal model_get_internal
#define put_internal model_put_internal
#define alloc_anon model_alloc_anon
#define host_copy_shared(to, from, n) ((void)(to), (void)(from))
#define vma_next_index model_vma_next_index
#define tlb_begin model_tlb_begin
#define tlb_add model_tlb_add
#define tlb_flush model_tlb_flush
#define current_mm model_current_mm
#define gup_check model_gup_check
#define pin_range model_pin_range
#define vmstat_attach model_vmstat_attach
#define records_of_words model_records_of_words
#define registry_attach model_registry_attach
#define put_user_pages model_put_user_pages

int model_put_user_pages(struct page **pages, unsigned long n);

static void *model_slab_alloc(struct slab *s);
static void model_slab_free(struct slab *s, void *object);
static void model_lock(const struct host_mutex *l);
static void model_unlock(const struct host_mutex *l);

/* A thread's own numbers: no other thread can tell. */
#include "mm/vmstat.h"
#define count_own(e, n) ((void)(n))
#define count_event(m, e, n) ((void)(m))

/* RANGE_VERSION() as a seeded bug may have it: words of ranges are not dated. */
#include "mm/pt_range.h"
static bool undated(void);
#undef RANGE_VERSION
#define RANGE_VERSION(v) ((undated() ? 0 : (v)) << RANGE_VERSION_SHIFT)

#include "mm/pgtable.c" /* NOLINT: the code under test */
#include "mm/gup_fast.c" /* NOLINT */
#include "mm/fork.c" /* NOLINT */
#include "mm/pt_range.c" /* NOLINT */
#include "mm/gup_range.c" /* NOLINT */

/* ---- the world ------------------------------------------------------------------------------- */

#define MAX_THREADS 3
#define MAX_LOG 122
#define MAX_LOCS 72
#define MAX_BUFFER 6
#define NR_TABLES 16
#define NR_PAGES 6
#define NR_MMS 3
#define PFN0 1u /* of page[0] */

enum mm_name { A, B, C };

/* All memory that threads share.  Private to a thread, or constant: as the thread left it in this run. */
static struct world {
	struct mm_struct mm[NR_MMS];
	_Alignas(64) struct table table[NR_TABLES]; /* an entry has flags below */
	struct page page[PFN0 + NR_PAGES];
	_Atomic uint64_t list[NR_PAGES]; /* the page is on the free list */
	_Atomic uint64_t free_lock; /* that of locked_table is */
	unsigned used_tables, free_tables, used_pages;
	struct table *freed[NR_TABLES];
	struct vm_area_struct vma, *vmas[1];
} w, initial;
static struct pinfold machine;
static const struct table *locked_table; /* whose lock is one here; NULL: none, as no two threads want the same */

struct entry {
	uint8_t loc, what, release, v;
};

struct thread_state {
	uint8_t nlog, nbuf, ended;
	uint8_t retries;      /* from gup_fast_many() on: what came before is forgotten */
	uint8_t log[MAX_LOG]; /* numbers of `values`; DONE: a CAS was done */
	uint8_t pad[2];
	struct entry buf[MAX_BUFFER];
};
#define DONE 0x80

struct state {
	uint8_t mem[MAX_LOCS];
	uint8_t owner[NR_PAGES]; /* mm whose page it is, + 1; 0: nobody's */
	uint8_t pins[NR_PAGES];  /* confirmed and not begun to give back */
	uint8_t broken, pad[3];
	struct thread_state t[MAX_THREADS];
};
_Static_assert(sizeof(struct state) % 8 == 0, "hashed by words");

static const char *const broken_text[] = {
	NULL, "a pin was confirmed of a page that is not the address space's", "an assertion of the code failed",
	"a pinned page became free", "an object is freed twice",
	"a pinned page is shared", "a pin or a page is lost",
};
enum broken { FINE, NOT_ITS_PAGE, ASSERTION, TAKEN_AWAY, FREED_TWICE, SHARED, LOST };

static struct state now;
static int me;                  /* the thread that runs */
static unsigned replayed;
static bool stepped, blocked, telling;
static jmp_buf out_of_thread;

/* Objects that were touched, by address; which threads did, and which wrote. */
static struct {
	const volatile void *o;
	uint8_t size, touched, written, shared;
} locs[MAX_LOCS];
static unsigned nr_locs;
static bool again; /* an object turned out to be shared */

/* Right behind the operation that this step performs: for what changes with it. */
static bool live(void)
{
	return stepped && replayed == now.t[me].nlog;
}

static void broken(enum broken b)
{
	if (live() && !now.broken)
		now.broken = (uint8_t)b;
}

void debug_broken(const char *what, const struct page *page)
{
	(void)page;
	if (telling)
		printf("    %s\n", what);
	broken(ASSERTION);
}

/* A state has room for small numbers. */
static uint8_t number(uint64_t v)
{
	uint16_t n = number_of(v);

	if (n >= DONE)
		abort();
	return (uint8_t)n;
}

static unsigned page_of(const struct page *p)
{
	return (unsigned)(p - &w.page[PFN0]);
}

/* ---- seeded bugs ------------------------------------------------------------------------------ */

enum loc_name { L_ANY, L_SEQ, L_COUNT, L_FLAGS, L_ENTRY, L_SLOT, L_PINNED, L_MARKS, L_VERSION, L_WORD, L_RANGED };

enum act {
	BLIND,  /* the load says what the thread saw there before */
	NOPINS, /* it says that there are none */
	ZERO,   /* it says 0, whatever it did */
	OLD_DATE, /* it is not done if it gives a range's word a version */
	NO_LOCK,  /* no operation: the lock is none */
	UNDATED,  /* no operation: words of ranges have no version */
	DROP,   /* the store is not done */
	RELAX,  /* it is no barrier */
	LATE    /* it is done behind the thread's next `until` */
};

struct match {
	const char *in; /* the function that has it; NULL: any */
	enum prim what;
	enum loc_name loc;
	unsigned nth;   /* of the thread's; 0: all */
};

struct bug {
	unsigned where; /* a scenario's shape */
	const char *name;
	struct match m;
	enum act act;
	struct match until;
};

static const struct bug *bug;
static unsigned long bug_hits;

static bool undated(void)
{
	bool yes = bug && bug->act == UNDATED;

	bug_hits += yes;
	return yes;
}

static unsigned seen_match, seen_until; /* by this thread in this run */
static struct { bool waits, due; const volatile void *o; enum prim what; size_t size; uint64_t arg; } late;

static enum loc_name name_of(const volatile void *o)
{
	if ((size_t)((const volatile char *)o - (const volatile char *)&w) >= sizeof(w))
		return L_ANY;
	for (int i = 0; i < NR_MMS; i++)
		if (o == &w.mm[i].table_seq)
			return L_SEQ;
	for (int i = 0; i < NR_TABLES; i++) {
		if (o == &w.table[i].pinned)
			return L_PINNED;
		if (o == &w.table[i].version)
			return L_VERSION;
		if (o == &w.table[i].ranged)
			return L_RANGED;
		if (o == &w.table[i].range[0] || o == &w.table[i].range[1])
			return L_WORD;
		if (o == &w.table[i].e[0] || o == &w.table[i].e[1])
			return w.table[i].level ? L_ENTRY : L_SLOT;
	}
	for (unsigned i = 0; i < PFN0 + NR_PAGES; i++) {
		if (o == &w.page[i].count)
			return L_COUNT;
		if (o == &w.page[i].flags)
			return L_FLAGS;
		if (o == &w.page[i].subpins)
			return L_MARKS;
	}
	return L_ANY;
}

static bool matches(const struct match *m, const char *in, enum prim what, enum loc_name loc)
{
	return m->what == what && m->loc == loc && (!m->in || !strcmp(m->in, in));
}

/* ---- one atomic operation --------------------------------------------------------------------- */

static uint64_t applied(enum prim what, uint64_t old, uint64_t arg, size_t size)
{
	uint64_t v = what == ADD ? old + arg : what == SUB ? old - arg : what == OR ? old | arg :
	             what == AND ? old & arg : arg;

	return size == 8 ? v : size == 4 ? (uint32_t)v : (uint16_t)v;
}

/* The object's number; -1: not of the world. */
static int loc_of(const volatile void *o, size_t size)
{
	size_t at = (size_t)((const volatile char *)o - (const volatile char *)&w);

	if (at >= sizeof(w))
		return -1;
	for (unsigned i = 0; i < nr_locs; i++)
		if (locs[i].o == o)
			return (int)i;
	if (nr_locs == MAX_LOCS)
		abort();
	locs[nr_locs].o = o;
	locs[nr_locs].size = (uint8_t)size;
	locs[nr_locs].touched = locs[nr_locs].written = locs[nr_locs].shared = 0;
	return (int)nr_locs++;
}

/* From now on an object's operations are steps. */
static void make_shared(int loc)
{
	locs[loc].shared = 1;
	again = true;
}

static void touch(int loc, bool write)
{
	bool known = !write || !locs[loc].shared || (locs[loc].written & (1 << me));

	locs[loc].touched |= (uint8_t)(1 << me);
	if (write)
		locs[loc].written |= (uint8_t)(1 << me);
	if (!known)
		again = true; /* only_writer() was another then */
	if (!locs[loc].shared && locs[loc].written && (locs[loc].touched & (locs[loc].touched - 1)))
		make_shared(loc);
}

/* Then what it loads is no step: what it stored last is in its plain memory, too. */
static bool only_writer(int loc)
{
	return locs[loc].written == 1 << me;
}

static const char *loc_text(int loc)
{
	static const char *const name[] = { "object", "table_seq", "count", "flags", "entry", "slot", "pinned", "marks",
	                                    "version", "word", "ranged" };
	static char text[40];
	size_t at = (size_t)((const volatile char *)locs[loc].o - (const volatile char *)&w);

	snprintf(text, sizeof(text), "%s@%zx", name[name_of(locs[loc].o)], at);
	return text;
}

/* Buffer entry i of thread t becomes visible. */
static void flush_entry(int t, unsigned i)
{
	struct thread_state *ts = &now.t[t];
	struct entry e = ts->buf[i];
	uint64_t old = values[now.mem[e.loc]], new = applied(e.what, old, values[e.v], locs[e.loc].size);

	now.mem[e.loc] = number(new);
	memmove(&ts->buf[i], &ts->buf[i + 1], (ts->nbuf - i - 1) * sizeof(e));
	memset(&ts->buf[--ts->nbuf], 0, sizeof(e));
	if (telling)
		printf("    T%d %-22s %-5s %-16s %016llx -> %016llx\n", t, "(buffer)", "", loc_text(e.loc),
		       (unsigned long long)old, (unsigned long long)new);
}

static bool may_flush(const struct thread_state *t, unsigned i)
{
	for (unsigned k = 0; k < i; k++)
		if (t->buf[i].release || t->buf[k].loc == t->buf[i].loc)
			return false;
	return i < t->nbuf;
}

/* What this thread would load. */
static uint64_t value_seen(int loc)
{
	const struct thread_state *t = &now.t[me];
	uint64_t v = values[now.mem[loc]];

	for (unsigned i = 0; i < t->nbuf; i++)
		if (t->buf[i].loc == loc)
			v = applied(t->buf[i].what, v, values[t->buf[i].v], locs[loc].size);
	return v;
}

static bool releases(memory_order m)
{
	return m == memory_order_release || m == memory_order_acq_rel || m == memory_order_seq_cst;
}

/* Does it to memory or buffer.  What the object held; *ok: a CAS was done. */
static uint64_t perform(enum prim what, int loc, uint64_t arg, const uint64_t *expected, memory_order order, bool *ok)
{
	struct thread_state *t = &now.t[me];
	bool full = order == memory_order_seq_cst && what != LOAD;
	uint64_t old;

	while (full && t->nbuf)
		flush_entry(me, 0);
	old = value_seen(loc);
	*ok = expected && *expected == old;
	if (what == LOAD || (expected && !*ok))
		return old;
	if (full) {
		now.mem[loc] = number(applied(what, old, arg, locs[loc].size));
		return old;
	}
	if (t->nbuf == MAX_BUFFER) /* as deep as it is here */
		flush_entry(me, 0);
	t->buf[t->nbuf++] = (struct entry){ .loc = (uint8_t)loc, .what = (uint8_t)what, .release = releases(order),
	                                    .v = number(arg) };
	return old;
}

static void tell(enum prim what, int loc, uint64_t old, uint64_t arg, const char *in)
{
	static const char *const name[] = { "load", "store", "add", "sub", "or", "and", "cas", "cas", "xchg" };

	if (telling)
		printf("    T%d %-22s %-5s %-16s %016llx, %016llx\n", me, in, name[what], loc_text(loc),
		       (unsigned long long)old, (unsigned long long)arg);
}

/* A first try that came to nothing leaves nothing behind: its thread is as one that begins with gup_fast_many().  (But for
 * the walk that it remembers; the scenarios in which a thread pins twice have that.) */
static void forget_first_try(void)
{
	struct thread_state *t = &now.t[me];

	t->retries = 1;
	t->nlog = 0;
	memset(t->log, 0, sizeof(t->log));
	longjmp(out_of_thread, 1);
}

/* An operation as the code has it, or a seeded bug has made it. */
static uint64_t operate(enum prim what, const volatile void *o, size_t size, uint64_t arg, uint64_t *expected,
                        memory_order order, const char *in)
{
	struct thread_state *t = &now.t[me];
	int loc = loc_of(o, size);
	uint64_t old;
	bool ok = false;

	if (loc >= 0)
		touch(loc, what != LOAD);
	if (again) /* what was noted of this thread does not fit any more */
		longjmp(out_of_thread, 1);
	if (loc < 0 || !locs[loc].shared || (what == LOAD && only_writer(loc))) { /* plain memory */
		old = read_object(o, size);
		ok = expected && *expected == old;
		if (what != LOAD && (!expected || ok))
			write_object(o, size, applied(what, old, arg, size));
	} else if (replayed < t->nlog) {
		old = values[t->log[replayed] & (DONE - 1)];
		ok = t->log[replayed++] & DONE;
	} else {
		if (stepped)
			longjmp(out_of_thread, 1);
		if (!t->retries && replayed && !strcmp(in, "gup_fast"))
			forget_first_try();
		stepped = true;
		old = perform(what, loc, arg, expected, order, &ok);
		tell(what, loc, old, arg, in);
		if (t->nlog == MAX_LOG)
			abort();
		t->log[t->nlog++] = (uint8_t)(number(old) | (ok ? DONE : 0));
		replayed = t->nlog;
	}
	if (loc >= 0 && locs[loc].shared && what != LOAD && only_writer(loc) && (!expected || ok))
		write_object(o, size, applied(what, old, arg, size));
	if (!expected)
		return old;
	if (!ok)
		*expected = old;
	return ok;
}

static void do_late(void)
{
	if (!late.waits || !late.due)
		return;
	late.waits = false;
	operate(late.what, late.o, late.size, late.arg, NULL, memory_order_seq_cst, "(late)");
}

/* The values that the thread's loads of an object returned last: for BLIND. */
static uint64_t last_seen[L_RANGED + 1];

static uint64_t prim(enum prim what, const volatile void *o, size_t size, uint64_t arg, uint64_t *expected,
                     memory_order order, const char *in)
{
	enum loc_name name = name_of(o);
	bool hit = bug && matches(&bug->m, in, what, name) && (++seen_match == bug->m.nth || !bug->m.nth);
	uint64_t r;

	do_late();
	if (hit) {
		bug_hits++;
		if (bug->act == DROP || (bug->act == OLD_DATE && !(arg & RANGE_CANCELLED)))
			return 0;
		if (bug->act == BLIND)
			return last_seen[name];
		if (bug->act == NOPINS)
			return PC_INTERNAL;
		if (bug->act == RELAX)
			order = memory_order_relaxed;
	}
	if (hit && bug->act == LATE) {
		late.waits = true;
		late.due = false;
		late.what = what;
		late.o = o;
		late.size = size;
		late.arg = arg;
		return what == CAS; /* it thinks that it was done */
	}
	r = operate(what, o, size, arg, expected, order, in);
	if (hit && bug->act == ZERO)
		r = 0;
	if (what == LOAD)
		last_seen[name] = r;
	if (late.waits && matches(&bug->until, in, what, name) && (++seen_until == bug->until.nth || !bug->until.nth))
		late.due = true;
	return r;
}

/* Waits until an object is not zero. */
static void await(_Atomic uint64_t *o)
{
	struct thread_state *t = &now.t[me];
	int loc = loc_of(o, 8);

	do_late();
	if (!locs[loc].shared) { /* others store to it, or this waits for good */
		make_shared(loc);
		longjmp(out_of_thread, 1);
	}
	if (replayed == t->nlog && !stepped && !value_seen(loc)) {
		blocked = true;
		longjmp(out_of_thread, 1);
	}
	atomic_load(o);
}

#endif
