/* SPDX-License-Identifier: MIT */
/*
 * count_word.c - all interleavings of small sets of threads on one frame's counting word.
 *
 * It runs the code of mm/page.h and mm/page.c itself: their atomic operations are macros here, and
 * each is one step.  So the model cannot differ from the code, and field widths are the real ones;
 * guards are reached by starting right below them.  A thread is a row of opcodes (see programs[]);
 * inside an opcode its state is the list of values that its atomic operations returned so far: a
 * step runs the opcode again with them, performs one more operation, and stops before the next.
 * States are kept in a hash set.
 *
 * Interleavings only: reordering by the processor is the business of the barriers that page.h names
 * (every read-modify-write is a full one); an asker without its barrier is one of the seeded bugs.
 *
 * What is checked in every state, and what at the end, stands in check_state() and check_end().
 * Each seeded bug of bugs[] must be found by one of the scenarios, or be harmless where it says so.
 * count_word NAME runs one scenario, count_word -b NAME one bug; both print a violation's trace.
 */
#include "explore.h"

#include "mm/page.h"
#include "mm/page.c" /* NOLINT: the code under test */

/* ---- the world ------------------------------------------------------------------------------- */

#define MAX_THREADS 5
#define MAX_LOG 6
#define DONE 0xff
#define FLAG_SHIFT 14 /* PG_wpinned and PG_longterm in a byte */

enum unit { INTERNAL, REFERENCE, PIN, NR_UNITS };
static const uint64_t unit_of[] = { PC_INTERNAL, PC_REF, PC_PIN };

enum thread_bit {
	OWNER = 1, /* froze the frame, or took it from the list */
	FREED = 2, /* must give it back */
	WRITE = 4, /* has confirmed a write pin */
	REUSED = 8 /* the frame was allocated since the thread looked at the slot */
};

struct thread_state {
	uint8_t pc, nlog;
	uint8_t bits;
	uint8_t hold[NR_UNITS]; /* confirmed, and not begun to give back */
	uint16_t log[MAX_LOG];  /* what the opcode's operations returned: numbers of `values` */
};

struct state {
	const char *broken;        /* what an opcode or page.c's own assertion found */
	uint16_t count;            /* a number of `values` */
	uint8_t flags;             /* PG_wpinned, PG_longterm */
	uint8_t slot;              /* 0: no translation */
	uint8_t list;              /* how often the frame is on the free list */
	uint8_t no;                /* somebody was told: not write-pinned */
	uint8_t stolen[NR_UNITS];  /* wrong puts accepted, or under way */
	struct thread_state t[MAX_THREADS];
};

static struct page page;
static _Atomic uint32_t slot, list;
static struct state now;         /* without count, flags, slot and list while a thread runs */
static struct thread_state *me;

/* ---- opcodes, programs, scenarios, bugs ------------------------------------------------------ */

enum op {
	O_END, O_LOOK, O_MARK, O_PIN, O_MARK_AGAIN, O_CONFIRM, O_UNDO, O_PUT, O_WRONG_PUT, O_GET,
	O_PUT_REF, O_WRONG_PUT_REF, O_IGET, O_IPUT, O_TAKE, O_ALLOC, O_FREEZE, O_THAW, O_EVICT,
	O_CLEAN, O_SET, O_CLEAR, O_ASK
};
static const char *const op_name[] = {
	"end", "look at slot", "mark", "pin", "mark again", "confirm", "undo", "put", "wrong put",
	"get_page", "put_page", "wrong put_page", "internal get", "internal put", "take from list",
	"alloc", "freeze", "thaw", "evict", "clear sticky", "set slot", "clear slot", "ask"
};

struct step {
	enum op op;
	unsigned n;  /* units */
	int fail;    /* FREEZE, GET, IGET: where to go on, from here, when it failed; 0: end */
};

/* gup_fast's order: flag, count, flag, slot. */
#define PINNER(n) { O_LOOK, 0, 0 }, { O_MARK, 0, 0 }, { O_PIN, n, 0 }, { O_MARK_AGAIN, 0, 0 }, \
	{ O_CONFIRM, n, 0 }, { O_UNDO, n, 0 }
#define READER(n) { O_LOOK, 0, 0 }, { O_PIN, n, 0 }, { O_CONFIRM, n, 0 }, { O_UNDO, n, 0 }

enum program {
	P_NONE, P_PIN, P_PIN2, P_READ, P_PUT, P_PUT2, P_WPUT, P_WPUT3, P_PUTREF, P_WPUTREF, P_UNMAP,
	P_EVICT, P_ALLOC, P_REMAP, P_FREEZE, P_GETREF, P_PINGET, P_IGET, P_CLEAN, P_CLEAN_ASK,
	P_ASK_CLEAN
};

static const struct step programs[][10] = {
	[P_PIN] = { PINNER(1), { O_PUT, 1, 0 } },
	[P_PIN2] = { PINNER(2), { O_PUT, 2, 0 } },
	[P_READ] = { READER(1), { O_PUT, 1, 0 } },
	[P_PUT] = { { O_PUT, 1, 0 } },           /* begins with a pin */
	[P_PUT2] = { { O_PUT, 2, 0 } },
	[P_WPUT] = { { O_WRONG_PUT, 1, 0 } },    /* begins with nothing */
	[P_WPUT3] = { { O_WRONG_PUT, 3, 0 } },
	[P_PUTREF] = { { O_PUT_REF, 1, 0 } },    /* begins with a reference */
	[P_WPUTREF] = { { O_WRONG_PUT_REF, 1, 0 } },
	/* The rest begin, where that matters, with the mapping's internal reference. */
	[P_UNMAP] = { { O_CLEAR, 0, 0 }, { O_IPUT, 1, 0 } },
	[P_EVICT] = { { O_CLEAR, 0, 0 }, { O_FREEZE, 1, 2 }, { O_EVICT, 0, 0 }, { O_IPUT, 1, 0 } },
	[P_ALLOC] = { { O_TAKE, 0, 0 }, { O_ALLOC, 1, 0 }, { O_IPUT, 1, 0 } },
	[P_REMAP] = { { O_TAKE, 0, 0 }, { O_ALLOC, 1, 0 }, { O_SET, 0, 0 }, { O_CLEAR, 0, 0 },
	              { O_IPUT, 1, 0 } },
	[P_FREEZE] = { { O_FREEZE, 1, 2 }, { O_THAW, 1, 0 }, { O_CLEAR, 0, 0 }, { O_IPUT, 1, 0 } },
	[P_GETREF] = { { O_GET, 1, 2 }, { O_PUT_REF, 1, 0 } },
	[P_PINGET] = { { O_GET, 1, 4 }, { O_PUT, 1, 0 }, { O_PUT_REF, 1, 0 }, { O_END, 0, 0 },
	               { O_PUT, 1, 0 } },
	[P_IGET] = { { O_IGET, 1, 2 }, { O_IPUT, 1, 0 } },
	[P_CLEAN] = { { O_CLEAN, 0, 0 } },
	/* Askers and cleaners exclude each other: here they are one thread. */
	[P_CLEAN_ASK] = { { O_CLEAN, 0, 0 }, { O_CLEAR, 0, 0 }, { O_ASK, 0, 0 } },
	[P_ASK_CLEAN] = { { O_CLEAR, 0, 0 }, { O_ASK, 0, 0 }, { O_CLEAN, 0, 0 }, { O_ASK, 0, 0 } },
};

struct who {
	enum program program;
	uint8_t hold[NR_UNITS];
};

#define MAPPED { 1, 0, 0 }
#define NOTHING { 0, 0, 0 }
#define A_PIN { 0, 0, 1 }
#define A_REF { 0, 1, 0 }

static const struct scenario {
	const char *name;
	uint64_t env[NR_UNITS]; /* held by others from begin to end */
	uint8_t slot;
	uint32_t flags;
	struct who who[MAX_THREADS];
} scenarios[] = {
	{ "stale pinners, unmap, reuse", NOTHING, 1, 0,
	  { { P_UNMAP, MAPPED }, { P_PIN, NOTHING }, { P_READ, NOTHING }, { P_ALLOC, NOTHING } } },
	{ "stale pinners, mapped again", NOTHING, 1, PG_wpinned,
	  { { P_UNMAP, MAPPED }, { P_READ, NOTHING }, { P_READ, NOTHING }, { P_REMAP, NOTHING } } },
	{ "three stale pinners", NOTHING, 1, PG_wpinned,
	  { { P_UNMAP, MAPPED }, { P_READ, NOTHING }, { P_READ, NOTHING }, { P_READ, NOTHING },
	    { P_ALLOC, NOTHING } } },
	{ "last pins put at once", NOTHING, 0, 0,
	  { { P_PUT, A_PIN }, { P_PUT2, { 0, 0, 2 } }, { P_PUT, A_PIN }, { P_ALLOC, NOTHING } } },
	{ "evict against pinners", NOTHING, 1, PG_wpinned,
	  { { P_EVICT, MAPPED }, { P_READ, NOTHING }, { P_PIN2, NOTHING }, { P_ALLOC, NOTHING } } },
	{ "freeze, thaw, unmap against pinners", NOTHING, 1, PG_wpinned,
	  { { P_FREEZE, MAPPED }, { P_READ, NOTHING }, { P_READ, NOTHING },
	    { P_ALLOC, NOTHING } } },
	{ "freeze against a stale internal reference", NOTHING, 1, 0,
	  { { P_FREEZE, MAPPED }, { P_IGET, NOTHING }, { P_IGET, NOTHING },
	    { P_ALLOC, NOTHING } } },
	{ "get_page from a pin, evict", NOTHING, 1, 0,
	  { { P_EVICT, MAPPED }, { P_PINGET, A_PIN }, { P_PIN, NOTHING }, { P_ALLOC, NOTHING } } },
	{ "get_page of a page that may be free", NOTHING, 1, 0,
	  { { P_EVICT, MAPPED }, { P_GETREF, NOTHING }, { P_GETREF, NOTHING },
	    { P_ALLOC, NOTHING } } },
	{ "put_page by one without reference", NOTHING, 1, 0,
	  { { P_UNMAP, MAPPED }, { P_PINGET, A_PIN }, { P_WPUTREF, NOTHING },
	    { P_ALLOC, NOTHING } } },
	{ "put_page of pins", { 0, 0, 1 }, 0, 0,
	  { { P_WPUTREF, NOTHING }, { P_WPUTREF, NOTHING }, { P_PUT, A_PIN } } },
	{ "put_page of pins, pinners, evict", NOTHING, 1, PG_wpinned,
	  { { P_EVICT, MAPPED }, { P_WPUTREF, NOTHING }, { P_READ, NOTHING },
	    { P_READ, NOTHING } } },
	{ "wrong puts and the last put", NOTHING, 0, 0,
	  { { P_PUT, A_PIN }, { P_WPUT, NOTHING }, { P_WPUT, NOTHING }, { P_ALLOC, NOTHING } } },
	{ "wrong run and put of a run", NOTHING, 1, 0,
	  { { P_PUT2, { 0, 0, 2 } }, { P_WPUT3, NOTHING }, { P_PIN2, NOTHING },
	    { P_UNMAP, MAPPED } } },
	{ "wrong put and a stale pinner", NOTHING, 1, PG_wpinned,
	  { { P_PUT, A_PIN }, { P_WPUT, NOTHING }, { P_READ, NOTHING }, { P_UNMAP, MAPPED } } },
	{ "wrong put and put_page", NOTHING, 1, 0,
	  { { P_PUT, A_PIN }, { P_WPUT, NOTHING }, { P_PUTREF, A_REF }, { P_UNMAP, MAPPED } } },
	{ "wrong put, pinners, evict", NOTHING, 1, PG_wpinned,
	  { { P_EVICT, MAPPED }, { P_PUT, A_PIN }, { P_WPUT, NOTHING }, { P_READ, NOTHING },
	    { P_READ, NOTHING } } },
	{ "wrong put while references are at their guard", { 0, PC_REF_MAX, 0 }, 1, PG_wpinned,
	  { { P_UNMAP, MAPPED }, { P_WPUT, NOTHING }, { P_READ, NOTHING }, { P_READ, NOTHING } } },
	{ "pins at their guard", { 1, 0, PC_PIN_MAX - 1 }, 1, PG_wpinned,
	  { { P_READ, NOTHING }, { P_READ, NOTHING }, { P_PIN2, NOTHING } } },
	{ "references at their guard", { 1, PC_REF_MAX - 1, 0 }, 1, PG_wpinned,
	  { { P_GETREF, NOTHING }, { P_GETREF, NOTHING }, { P_READ, NOTHING },
	    { P_WPUTREF, NOTHING } } },
	{ "internal references at their guard", { PC_INTERNAL_MAX - 1, 0, 0 }, 1, PG_wpinned,
	  { { P_IGET, NOTHING }, { P_IGET, NOTHING }, { P_GETREF, NOTHING },
	    { P_READ, NOTHING } } },
	{ "cleaned, then: is it write-pinned?", MAPPED, 1, PG_wpinned,
	  { { P_CLEAN_ASK, NOTHING }, { P_PIN, NOTHING }, { P_PIN, NOTHING },
	    { P_READ, NOTHING } } },
	{ "is it write-pinned? then cleaned", MAPPED, 1, PG_wpinned,
	  { { P_ASK_CLEAN, NOTHING }, { P_PIN, NOTHING }, { P_PIN, NOTHING } } },
	{ "clear sticky beside holders", MAPPED, 1, PG_wpinned,
	  { { P_CLEAN, NOTHING }, { P_PUTREF, A_REF }, { P_IGET, NOTHING }, { P_PUT, A_PIN } } },
	{ "is it write-pinned? with a reader", MAPPED, 1, 0,
	  { { P_CLEAN_ASK, NOTHING }, { P_PIN, NOTHING }, { P_READ, NOTHING },
	    { P_READ, NOTHING } } },
};

/* Seeded bugs: most of them change what prim() does for one operation of page.h. */
enum bug {
	B_NONE, B_ALLOC_STORES, B_THAW_STORES, B_UNDO_NO_FREE, B_FREE_NO_CAS, B_NO_FREE_CHECK,
	B_NO_GUARD_CHECK, B_NO_SECOND_MARK, B_MARK_LATE, B_NO_CONFIRM, B_NO_ADD_BACK, B_ASK_EARLY,
	B_FREEZE_STORES, B_PUT_BLIND, B_PUT_XADD, B_PUT_REF_XADD, B_CLEAN_BLIND, B_CLEAN_FREEZES,
	B_NO_FIRST_MARK, B_ASK_FLAG_FIRST
};
enum expect {
	FOUND,
	HARMLESS /* known to change nothing: if it is found after all, this table is wrong */
};

static const struct {
	enum bug bug;
	enum expect expect;
	const char *name;
} bugs[] = {
	{ B_ALLOC_STORES, FOUND, "alloc stores the count" },
	{ B_THAW_STORES, FOUND, "thaw stores the count" },
	{ B_UNDO_NO_FREE, FOUND, "undo that reaches zero frees nothing" },
	{ B_FREE_NO_CAS, FOUND, "last put sets FREE without looking" },
	{ B_NO_FREE_CHECK, FOUND, "pinner does not look at FREE" },
	{ B_NO_GUARD_CHECK, FOUND, "pinner does not look at the guards" },
	{ B_NO_SECOND_MARK, FOUND, "flag not looked at after the count" },
	{ B_MARK_LATE, FOUND, "flag set after the slot was looked at again" },
	{ B_NO_CONFIRM, FOUND, "slot not looked at again" },
	{ B_NO_ADD_BACK, FOUND, "put of a pin looks, subtracts, refuses" },
	{ B_ASK_EARLY, FOUND, "asker looks before its change of the slot is seen (no barrier)" },
	{ B_FREEZE_STORES, FOUND, "freeze does not compare" },
	{ B_PUT_BLIND, FOUND, "put of a pin does not look first" },
	{ B_PUT_XADD, FOUND, "put of a pin looks, subtracts, adds back" },
	{ B_PUT_REF_XADD, FOUND, "put_page subtracts, adds back" },
	{ B_CLEAN_BLIND, FOUND, "sticky flags cleared, pins not looked at again" },
	{ B_CLEAN_FREEZES, FOUND, "sticky flags cleared on a page frozen with others' references" },
	{ B_NO_FIRST_MARK, HARMLESS, "flag set after the count only, then the slot looked at" },
	{ B_ASK_FLAG_FIRST, HARMLESS, "asker reads the flag before the count" },
};

static const struct scenario *scenario;
static enum bug bug;
static unsigned long bug_hits; /* operations that the bug changed */

/* ---- one atomic operation -------------------------------------------------------------------- */

static jmp_buf stop;
static enum op running;
static unsigned replayed;
static bool stepped, telling;

static bool hit(enum bug b, bool applies)
{
	if (bug != b || !applies)
		return false;
	bug_hits++;
	return true;
}

/* What the operation finds and leaves.  *ok: a CAS succeeded.  Seeded bugs live here. */
static uint64_t change(enum prim what, uint64_t *old, uint64_t arg, const uint64_t *expected,
                       bool *ok)
{
	bool freeing = (what == CAS || what == CAS_WEAK) && arg == PC_FREE;
	bool pinning = what == ADD && (running == O_PIN || running == O_GET || running == O_IGET);
	uint64_t was = *old;

	*ok = expected && *expected == was;
	if (hit(B_ALLOC_STORES, what == ADD && running == O_ALLOC) ||
	    hit(B_THAW_STORES, what == ADD && (running == O_THAW || running == O_CLEAN)))
		return arg + PC_FREE;
	if (hit(B_FREE_NO_CAS, freeing && running != O_FREEZE && running != O_CLEAN) ||
	    hit(B_FREEZE_STORES, what == CAS && running == O_FREEZE))
		return *ok = true, arg;
	if (hit(B_NO_FREE_CHECK, pinning && (was & PC_FREE)))
		*old = was & ~PC_FREE;
	if (hit(B_NO_GUARD_CHECK, pinning && (was & PC_GUARDS)))
		*old = was & ~PC_GUARDS;
	switch (what) {
	case ADD: return was + arg;
	case SUB: return was - arg;
	case OR: return was | arg;
	case AND: return was & arg;
	case STORE: case EXCHANGE: return arg;
	case CAS: case CAS_WEAK: return *ok ? arg : was;
	default: return was;
	}
}

static void tell(enum prim what, const volatile void *o, uint64_t old, uint64_t new)
{
	static const char *const name[] = { "load", "store", "add", "sub", "or", "and", "cas",
	                                    "cas" };
	const char *object = o == &page.count ? "count" : o == &page.flags ? "flags" :
	                     o == &slot ? "slot" : "list";

	printf("    T%d %-16s %-5s %-5s %016llx -> %016llx\n", (int)(me - now.t), op_name[running],
	       name[what], object, (unsigned long long)old, (unsigned long long)new);
}

/* A failed CAS in a loop leaves its thread where a load of the same value would: one log entry. */
static void log_value(enum prim what, uint64_t v, bool ok)
{
	if (what == CAS_WEAK && !ok)
		me->nlog = 0;
	if (me->nlog == MAX_LOG)
		abort();
	me->log[me->nlog++] = (uint16_t)(number_of(v) | (ok ? 0x8000 : 0));
	replayed = me->nlog;
}

static uint64_t prim(enum prim what, const volatile void *o, size_t size, uint64_t arg, uint64_t *expected,
                     memory_order order, const char *in)
{
	uint64_t old, new;
	bool ok;

	(void)order;
	(void)in;
	if (replayed < me->nlog) {
		old = values[me->log[replayed] & 0x7fff];
		ok = me->log[replayed++] & 0x8000;
	} else {
		if (stepped)
			longjmp(stop, 1);
		stepped = true;
		old = read_object(o, size);
		new = change(what, &old, arg, expected, &ok);
		if (telling)
			tell(what, o, read_object(o, size), new);
		write_object(o, size, new);
		log_value(what, old, ok);
	}
	if (!expected)
		return old;
	if (!ok)
		*expected = old;
	return ok;
}

/* page.c's assertions. */
void debug_broken(const char *what, const struct page *p)
{
	(void)p;
	now.broken = what;
}

/* ---- opcodes --------------------------------------------------------------------------------- */

static void freed_if(int fact)
{
	bool undo = running == O_PIN || running == O_UNDO || running == O_GET;

	if ((fact & DEC_FREED) && !hit(B_UNDO_NO_FREE, undo))
		me->bits |= FREED;
}

static int free_zero(void)
{
	uint64_t zero = 0;

	return atomic_compare_exchange_strong(&page.count, &zero, PC_FREE) ? DEC_FREED : DEC_LIVE;
}

/* A put that subtracts, looks at what there was, and adds back: wrong, see B_PUT_XADD. */
static int subtract_first(uint64_t delta, uint64_t unit)
{
	uint64_t old = atomic_fetch_sub(&page.count, delta);

	if (pc_field(old, unit) * unit >= delta)
		return old == delta ? free_zero() : DEC_LIVE;
	if (hit(B_NO_ADD_BACK, true))
		return DEC_REFUSED;
	old = atomic_fetch_add(&page.count, delta);
	return DEC_REFUSED | (old + delta == 0 ? free_zero() : DEC_LIVE);
}

static int put(enum unit u, unsigned n)
{
	uint64_t c;

	if (u == INTERNAL)
		return page_dec(&page, PC_INTERNAL, n);
	if (hit(B_PUT_BLIND, u == PIN) || hit(B_PUT_REF_XADD, u == REFERENCE))
		return subtract_first(unit_of[u] * n, unit_of[u]);
	if (u == REFERENCE)
		return page_put_ref(&page);
	if (bug != B_NO_ADD_BACK && !hit(B_PUT_XADD, true))
		return page_put_pins(&page, n);
	c = page_count(&page);
	if ((c & PC_FREE) || pc_pins(c) < n)
		return DEC_REFUSED;
	return subtract_first(PC_PIN * n, PC_PIN);
}

/* The unit stops being held when the put begins; a refused one is still held. */
static void give_back(enum unit u, unsigned n, bool wrong)
{
	int fact;

	if (!me->nlog) {
		if (wrong)
			now.stolen[u] += n;
		else
			me->hold[u] -= n;
		if (u == PIN)
			me->bits &= ~WRITE;
	}
	fact = put(u, n);
	freed_if(fact);
	if (!(fact & DEC_REFUSED))
		return;
	if (wrong)
		now.stolen[u] -= n;
	else
		me->hold[u] += n;
}

/* An undo is refused when a wrong put took what it had added: that is then this thread's loss. */
static void undone(enum unit u, unsigned n, int fact)
{
	freed_if(fact);
	if (fact & DEC_REFUSED)
		me->hold[u] += n;
}

static void take(enum unit u, const struct step *s)
{
	int fact;

	if (page_try_add(&page, unit_of[u], s->n, &fact)) {
		if (u != PIN) /* a pin counts once it is confirmed */
			me->hold[u] += s->n;
		me->pc++;
		return;
	}
	undone(u, s->n, fact);
	me->pc = s->fail ? me->pc + s->fail : DONE;
}

static void confirm(const struct step *s)
{
	bool mapped = atomic_load(&slot);

	if (hit(B_NO_CONFIRM, true) || mapped) {
		if (!mapped && (me->bits & REUSED))
			now.broken = "a pin of a frame that became somebody else's";
		me->hold[PIN] += s->n;
		if (me->pc > 3) /* PINNER, not READER */
			me->bits |= WRITE;
		me->pc += 2;
	} else {
		me->pc++;
	}
}

static void ask(void)
{
	bool yes;

	if (hit(B_ASK_FLAG_FIRST, true))
		yes = (atomic_load(&page.flags) & PG_wpinned) && pc_pins(atomic_load(&page.count));
	else
		yes = page_maybe_write_pinned(&page);
	now.no |= !yes;
}

static void clean(void)
{
	if (hit(B_CLEAN_BLIND, true)) {
		if (!pc_pins(atomic_load(&page.count)))
			atomic_fetch_and(&page.flags, ~(uint32_t)PG_wpinned);
	} else if (hit(B_CLEAN_FREEZES, true)) { /* with it, references that others hold */
		uint64_t c = page_count(&page);

		if (!(c & PC_FREE) && !pc_pins(c) && page_freeze(&page, c)) {
			atomic_fetch_and(&page.flags, ~(uint32_t)PG_wpinned);
			page_thaw(&page, c);
		}
	} else {
		page_clear_sticky(&page);
	}
}

static void mark(void)
{
	bool skip = hit(B_NO_FIRST_MARK, running == O_MARK) ||
	            hit(B_NO_SECOND_MARK, running == O_MARK_AGAIN) || hit(B_MARK_LATE, true);

	if (!skip)
		page_mark_pin(&page, PG_wpinned);
}

/* B_MARK_LATE: one step between confirmation and put. */
static bool mark_late(void)
{
	if (!hit(B_MARK_LATE, (me->bits & WRITE) && !me->nlog && !(page.flags & PG_wpinned)))
		return false;
	atomic_fetch_or(&page.flags, PG_wpinned);
	return true;
}

static void run_op(const struct step *s)
{
	running = s->op;
	replayed = 0;
	switch (s->op) {
	case O_LOOK:
		me->pc = atomic_load(&slot) ? me->pc + 1 : DONE;
		me->bits &= ~REUSED;
		return;
	case O_MARK: case O_MARK_AGAIN: mark(); break;
	case O_PIN: take(PIN, s); return;
	case O_GET: take(REFERENCE, s); return;
	case O_IGET: take(INTERNAL, s); return;
	case O_CONFIRM: confirm(s); return;
	case O_UNDO: undone(PIN, s->n, page_dec(&page, PC_PIN, s->n)); me->pc = DONE; return;
	case O_PUT:
		if (mark_late())
			return; /* and comes back for the put */
		give_back(PIN, s->n, false);
		break;
	case O_WRONG_PUT: give_back(PIN, s->n, true); break;
	case O_PUT_REF: give_back(REFERENCE, 1, false); break;
	case O_WRONG_PUT_REF: give_back(REFERENCE, 1, true); break;
	case O_IPUT: give_back(INTERNAL, s->n, false); break;
	case O_TAKE: atomic_fetch_sub(&list, 1u); me->bits |= OWNER; break;
	case O_ALLOC: case O_THAW:
		page_thaw(&page, PC_INTERNAL);
		for (int i = 0; s->op == O_ALLOC && i < MAX_THREADS; i++)
			now.t[i].bits |= REUSED;
		me->bits &= ~OWNER;
		me->hold[INTERNAL] = 1;
		break;
	case O_FREEZE:
		if (!page_freeze(&page, s->n * PC_INTERNAL)) {
			me->pc += s->fail;
			return;
		}
		me->bits |= OWNER;
		break;
	case O_EVICT: me->bits = FREED; me->hold[INTERNAL] = 0; me->pc = DONE; return;
	case O_CLEAN: clean(); break;
	case O_SET: atomic_store(&slot, 1u); break;
	case O_CLEAR:
		if (hit(B_ASK_EARLY, s[1].op == O_ASK)) { /* the store waits in a buffer */
			running = O_ASK;
			ask();
			break;
		}
		atomic_store(&slot, 0u);
		break;
	case O_ASK:
		if (bug == B_ASK_EARLY)
			atomic_store(&slot, 0u);
		else
			ask();
		break;
	case O_END: me->pc = DONE; return;
	}
	me->pc++;
}

/* Lets thread i do one atomic operation.  False: it has ended or must wait. */
static bool step(const struct state *from, int i)
{
	const struct step *program = programs[scenario->who[i].program];

	now = *from;
	me = &now.t[i];
	page.count = values[now.count];
	page.flags = (uint32_t)now.flags << FLAG_SHIFT;
	slot = now.slot;
	list = now.list;
	stepped = false;
	if (!setjmp(stop)) {
		while (!stepped) {
			if (me->bits & FREED) {
				running = O_END;
				replayed = 0;
				me->bits &= ~FREED;
				atomic_fetch_add(&list, 1u);
			} else if (me->pc == DONE) {
				return false;
			} else if (program[me->pc].op == O_TAKE && !list) {
				return false;
			} else {
				run_op(&program[me->pc]);
			}
			me->nlog = 0;
		}
	}
	memset(&me->log[me->nlog], 0, sizeof(me->log[0]) * (MAX_LOG - me->nlog));
	now.count = number_of(page.count);
	now.flags = (uint8_t)(page.flags >> FLAG_SHIFT);
	now.slot = (uint8_t)slot;
	now.list = (uint8_t)list;
	return true;
}

/* ---- what must hold -------------------------------------------------------------------------- */

static uint64_t held(const struct state *s, enum unit u)
{
	uint64_t n = scenario->env[u];

	for (int i = 0; i < MAX_THREADS; i++)
		n += s->t[i].hold[u];
	return n;
}

/* NULL, or what is wrong. */
static const char *check_state(const struct state *s)
{
	static const uint64_t most[] = { PC_INTERNAL_MAX, PC_REF_MAX, PC_PIN_MAX + 1 };
	uint64_t word = values[s->count];
	unsigned owners = s->list;
	const struct thread_state *owner = NULL;

	if (s->broken)
		return s->broken;
	for (int i = 0; i < MAX_THREADS; i++) {
		if (s->t[i].bits & (OWNER | FREED)) {
			owners++;
			owner = &s->t[i];
		}
		if (s->no && (s->t[i].bits & WRITE))
			return "a write pin is confirmed, the asker was told that there is none";
	}
	if (owners > 1)
		return "the frame was freed or frozen twice";
	if (owners && !(word & PC_REFUSE))
		return "the frame is free or frozen, but its word lets pinners in";
	for (int u = 0; u < NR_UNITS; u++) {
		uint64_t n = held(s, u), own = owner ? owner->hold[u] : 0;

		if (owners && n > own + s->stolen[u])
			return "the frame is free or frozen, but somebody holds it";
		if (n > most[u] + s->stolen[u])
			return "more are held than the guard allows";
	}
	return NULL;
}

/* Nobody can go on: everything was given back, or a wrong put took it. */
static const char *check_end(const struct state *s)
{
	uint64_t word = 0;
	bool stolen = false;

	for (int u = 0; u < NR_UNITS; u++) {
		if (!s->stolen[u] && held(s, u) != scenario->env[u])
			return "a rightful put or undo was refused";
		if (held(s, u) < s->stolen[u])
			return "more was put than there was";
		word += unit_of[u] * (held(s, u) - s->stolen[u]);
		stolen |= s->stolen[u] != 0;
	}
	for (int i = 0; i < MAX_THREADS; i++) {
		const struct step *program = programs[scenario->who[i].program];

		if (s->t[i].pc != DONE && program[s->t[i].pc].op != O_END && !(word && stolen))
			return "the frame is lost: somebody waits for it";
	}
	if (!word && (values[s->count] != PC_FREE || s->list != 1))
		return "the frame is not back on the list with FREE and nothing else";
	if (word && (values[s->count] != word || s->list))
		return "the word is not what is held";
	return NULL;
}

/* ---- the search ------------------------------------------------------------------------------ */

static bool verbose;
static bool fails[sizeof(scenarios) / sizeof(scenarios[0])]; /* without any seeded bug */

/* Prints the way to a state. */
static void trace(uint32_t at)
{
	if (!at)
		return;
	trace(states.came[at].parent);
	telling = true;
	step(state_at(states.came[at].parent), states.came[at].thread);
	telling = false;
}

static void begin(void)
{
	struct state s;
	uint64_t word = 0;

	memset(&s, 0, sizeof(s));
	for (int i = 0; i < MAX_THREADS; i++)
		for (int u = 0; u < NR_UNITS; u++)
			s.t[i].hold[u] = scenario->who[i].hold[u];
	for (int u = 0; u < NR_UNITS; u++)
		word += unit_of[u] * held(&s, u);
	s.count = number_of(word);
	s.slot = scenario->slot;
	s.flags = (uint8_t)(scenario->flags >> FLAG_SHIFT);
	forget_states(sizeof(s));
	add_state(&s, (struct way){ 0 });
}

/* NULL, or the first violation on a shortest way. */
static const char *explore(void)
{
	begin();
	for (uint32_t at = 0; at < states.nr; at++) {
		struct state from;
		const char *wrong;
		bool moved = false;

		memcpy(&from, state_at(at), sizeof(from)); /* the array moves when it grows */
		wrong = check_state(&from);
		for (int i = 0; !wrong && i < MAX_THREADS; i++) {
			if (!step(&from, i))
				continue;
			moved = true;
			add_state(&now, (struct way){ at, (uint8_t)i, 0 });
		}
		if (!wrong && !moved)
			wrong = check_end(&from);
		if (wrong) {
			if (verbose) {
				printf("  %s:\n", wrong);
				trace(at);
			}
			return wrong;
		}
	}
	return NULL;
}

static int check_scenarios(const char *only)
{
	unsigned long total = 0;
	int failed = 0;

	for (size_t i = 0; i < COUNT(scenarios); i++) {
		const char *wrong;

		scenario = &scenarios[i];
		if (only && strcmp(only, scenario->name))
			continue;
		wrong = explore();
		total += states.nr;
		printf("%8u states  %s%s%s\n", states.nr, scenario->name, wrong ? ": " : "",
		       wrong ? wrong : "");
		fails[i] = wrong != NULL;
		failed += fails[i];
	}
	printf("%8lu states  in all\n", total);
	return failed;
}

static int check_bug(size_t b)
{
	const char *wrong = NULL;
	size_t i;
	bool bad;

	bug = bugs[b].bug;
	bug_hits = 0;
	for (i = 0; i < COUNT(scenarios) && !wrong; i++) {
		scenario = &scenarios[i];
		wrong = fails[i] ? NULL : explore();
	}
	bug = B_NONE;
	bad = (bugs[b].expect == FOUND) != (wrong != NULL) || !bug_hits;
	printf("%s  %s", bad ? "WRONG   " : wrong ? "found   " : "harmless", bugs[b].name);
	if (wrong)
		printf("\n            by \"%s\": %s", scenarios[i - 1].name, wrong);
	printf("\n");
	return bad;
}

/* Clauses Q10, R6, R12, R5 as replaced. */
int main(int argc, char **argv)
{
	bool one_bug = argc > 2 && !strcmp(argv[1], "-b");
	int failed = 0;

	verbose = argc > 1;
	if (!one_bug)
		failed += check_scenarios(argc > 1 ? argv[1] : NULL);
	if (SLOW && !one_bug)
		printf("seeded bugs: not under the thread sanitizer, there is one thread\n");
	for (size_t b = 0; b < COUNT(bugs) && (one_bug || (argc == 1 && !SLOW)); b++)
		if (!one_bug || !strcmp(argv[2], bugs[b].name))
			failed += check_bug(b);
	printf("%d failed\n", failed);
	return failed ? 1 : 0;
}
