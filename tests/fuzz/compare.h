/* SPDX-License-Identifier: MIT */
/*
 * compare.h - runs one program on the kernel and on pinfold and compares after every step: the step's result, which
 * pages are mapped with which rights, the content of all pages of all parties, and of all pinned pages.  The whole
 * machine is checked now and then and at the end, with the leak equation.
 *
 * To look is to touch, and what is touched is no longer what it was: not there, or shared.  So a program may say "look
 * quiet": then of pinfold's pages only what slots and translations show is compared, until its end.
 */
#ifndef PINFOLD_FUZZ_COMPARE_H
#define PINFOLD_FUZZ_COMPARE_H

#include "library.h"

#include <sys/vfs.h>

#define CHECK_EVERY 8u

/* A party, as the runner knows it.  GONE: ended, but the process holds pins. */
enum life { NEVER, ALIVE, GONE };

struct run {
	const struct program *p;
	struct library l;
	struct shown *shown;
	enum life life[PARTIES];
	struct {
		bool used, write;
		unsigned party, page, n;
	} pin[SLOTS];
	unsigned file_pages;
	bool uring, in_memory; /* in_memory: the kernel's file has no disk */
};

__attribute__((format(printf, 2, 3), noreturn)) static void fail_run(struct run *r, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(r->shown->failure, sizeof(r->shown->failure), fmt, args);
	va_end(args);
	_exit(1);
}

static const struct view *view_of(struct run *r, unsigned party)
{
	return &r->shown->view[party];
}

/* ---- looking ------------------------------------------------------------------------------------- */

/* Linux shows what may be written only, where a page is there; here rights are what they say (V9, V10). */
static bool to_be_read(uint16_t state)
{
	return (state & READABLE) && !(state & BEYOND);
}

static void compare_words(struct run *r, unsigned party, unsigned page, const uint64_t *is, const char *by)
{
	const uint64_t *want = view_of(r, party)->word[page];

	for (unsigned i = 0; i < SPOTS; i++)
		if (is[i] != want[i])
			fail_run(r, "party %u page %u spot %u is %#lx, not %#lx, by %s", party, page, i, is[i], want[i],
			         by);
}

static void compare_mappings(struct run *r, unsigned party)
{
	const struct space *of = &r->l.s[party];

	mmap_read_lock(of->mm);
	for (unsigned p = 0; p < PAGES; p++) {
		uint16_t state = view_of(r, party)->state[p];
		const struct vm_area_struct *vma = vma_find(of->mm, of->at + p * PG);
		int prot = prot_of(state); /* the same values */

		if (!vma != !(state & MAPPED))
			fail_run(r, "party %u page %u is %s", party, p, vma ? "mapped" : "not mapped");
		if (vma && (vma->prot != prot || vma_private(vma) != !(state & IS_SHARED)))
			fail_run(r, "party %u page %u has rights %d, not %d, or is not shared alike", party, p, vma->prot,
			         prot);
	}
	mmap_read_unlock(of->mm);
}

static void look_quietly(struct run *r, unsigned party)
{
	const struct space *of = &r->l.s[party];
	uint64_t shown[SPOTS];

	for (unsigned p = 0; p < PAGES; p++) {
		uint16_t state = view_of(r, party)->state[p];
		/* Beside what is mapped the window is looked at here and there: it is a system call. */
		bool look = (state & MAPPED) || r->shown->thorough || p % 16 == r->shown->step % 16;
		bool visible = of->window && look && shown_content(of, p, shown);
		const char *c;

		/* Where the processor has no right to write without reading, the translation has both. */
		if (visible && !(state & (READABLE | WRITABLE)))
			fail_run(r, "party %u page %u is shown by the window without a right", party, p);
		if (!to_be_read(state))
			continue;
		if (visible)
			compare_words(r, party, p, shown, "translation");
		c = slot_content(&r->l, of, p);
		for (unsigned i = 0; c && i < SPOTS; i++)
			shown[i] = *(const volatile uint64_t *)(c + spot_of[i]);
		if (c)
			compare_words(r, party, p, shown, "slot");
	}
}

static void look_by_copy(struct run *r, unsigned party, bool whole)
{
	const struct space *of = &r->l.s[party];
	static uint64_t page[PG / 8];
	uint64_t words[SPOTS];

	for (unsigned p = 0; p < PAGES; p++) {
		uint16_t state = view_of(r, party)->state[p];
		long n;

		if (!to_be_read(state))
			continue;
		n = access_process_vm(of->mm, of->at + p * PG, page, PG, 0);
		if (n != PG)
			fail_run(r, "party %u page %u cannot be read: %ld", party, p, n);
		for (unsigned i = 0; i < SPOTS; i++)
			words[i] = page[spot_of[i] / 8];
		compare_words(r, party, p, words, "copy");
		if (whole && hash_of(page, PG / 8) != view_of(r, party)->hash[p])
			fail_run(r, "party %u page %u differs between the spots", party, p);
	}
}

static void look_through_window(struct run *r, unsigned party, bool whole)
{
	const struct view *want = view_of(r, party);
	static struct view v;
	unsigned p = 0;

	while (p < PAGES) {
		unsigned first = p;
		int sig;

		while (p < PAGES && to_be_read(want->state[p]))
			v.state[p++] = 0;
		sig = look_by_pointer(r->l.s[party].at, first, p, whole, &v);
		for (unsigned q = first; q < p; q++) {
			if (sig || v.state[q])
				fail_run(r, "party %u page %u or near: a load gives signal %d", party, q,
				         sig ? sig : SIGBUS);
			compare_words(r, party, q, v.word[q], "load");
			if (whole && v.hash[q] != want->hash[q])
				fail_run(r, "party %u page %u differs between the spots", party, q);
		}
		while (p < PAGES && !to_be_read(want->state[p]))
			p++;
	}
}

/* What must not be had, at some of the pages: each costs a signal. */
static void try_what_is_refused(struct run *r, unsigned party)
{
	const struct space *of = &r->l.s[party];

	unsigned stride = r->shown->thorough ? 1 : 5;

	for (unsigned p = r->shown->step % stride; p < PAGES; p += stride) {
		uint16_t state = view_of(r, party)->state[p];
		bool mapped = state & MAPPED, beyond = state & BEYOND;

		if (mapped && !(state & READABLE) && !(state & WRITABLE) && !refused(of, p * PG, false))
			fail_run(r, "party %u page %u can be read", party, p);
		if (mapped && !beyond && !(state & WRITABLE) && !refused(of, p * PG, true))
			fail_run(r, "party %u page %u can be written", party, p);
		if (beyond && of->window && load_signal(of->at + p * PG) != SIGBUS)
			fail_run(r, "party %u page %u: no SIGBUS beyond the end", party, p);
	}
}

static void compare_pins(struct run *r)
{
	for (unsigned s = 0; s < SLOTS; s++)
		for (unsigned i = 0; r->pin[s].used && i < r->pin[s].n; i++)
			for (unsigned j = 0; j < SPOTS; j++) {
				const char *p = page_address(r->l.held[s].page[i]);
				uint64_t is = *(const volatile uint64_t *)(p + spot_of[j]);
				uint64_t want = r->shown->device[s][i][j];

				if (is != want)
					fail_run(r, "pin %u page %u spot %u is %#lx, not %#lx", s, i, j, is, want);
			}
}

static long tell(struct run *r, unsigned party, enum order what)
{
	long n = order(party, (struct command){ .order = what });

	if (n < 0)
		fail_run(r, "the fuzzer's own process %u: order %d gives %ld", party, what, n);
	return n;
}

static void look_at_all(struct run *r, bool last)
{
	for (unsigned i = 0; i < PARTIES; i++) {
		if (r->life[i] != NEVER)
			tell(r, i, LOOK_AT_PINS);
		if (r->life[i] == ALIVE)
			tell(r, i, last ? LOOK_WHOLE : LOOK);
	}
	compare_pins(r);
	for (unsigned i = 0; i < PARTIES; i++) {
		if (r->life[i] != ALIVE)
			continue;
		compare_mappings(r, i);
		if (r->p->quiet)
			look_quietly(r, i);
		if (r->p->quiet && !last)
			continue;
		if (r->l.s[i].window)
			look_through_window(r, i, last);
		else
			look_by_copy(r, i, last);
		try_what_is_refused(r, i);
	}
}

/* ---- what differs, and is meant to (doc/differences.md) -------------------------------------------- */

/*
 * Each place names its row.  Beside those here: after_pin() (Z8, H11), in_the_way() (direct windows), to_be_read()
 * (V9, V10), library_pin() (P1) and kernel_force() (-EIO is /proc/self/mem's -EFAULT).  Programs have nothing of the
 * rows about stack growth (V13 to V15), FOLL_NOWAIT, files that shrink (M5), notifiers (N1) and limits (C7).
 */

static bool range_has(const struct view *v, unsigned page, unsigned n, uint16_t set, uint16_t of)
{
	for (unsigned p = page; p < page + n; p++)
		if ((v->state[p] & of) == set)
			return true;
	return false;
}

static unsigned kernel_mappings(const struct view *v, unsigned page, unsigned n)
{
	unsigned count = 1;

	for (unsigned p = page + 1; p < page + n; p++)
		count += v->map[p] != v->map[p - 1];
	return count;
}

static unsigned moved_pages(const struct step *s)
{
	return s->v[3] < s->v[2] ? s->v[3] : s->v[2];
}

/* No mapping is looked at but the first page's: it shrinks where it is, or its arguments are wrong (-EINVAL). */
static bool first_page_only(const struct step *s)
{
	if (s->v[4] == IN_PLACE || s->v[4] == MAY_MOVE)
		return s->v[3] <= s->v[2];
	return (s->v[4] == DONT_UNMAP && s->v[2] != s->v[3]) ||
	       (s->v[5] < s->v[1] + s->v[2] && s->v[1] < s->v[5] + s->v[3]);
}

/* The step must fail on pinfold with this and is no step of the kernel's; 0: none such. */
static long refused_here(struct run *r, const struct step *s)
{
	uint16_t state = s->what == MOVE ? view_of(r, s->v[0])->state[s->v[1]] : 0;
	bool one;

	if (!(state & MAPPED) || first_page_only(s))
		return 0;
	/* "M (mremap)", several mappings: Linux 6.17 and later moves them, and holes between them; here -EFAULT. */
	one = mappings_in(&r->l.s[s->v[0]], s->v[1], moved_pages(s)) == 1;
	if (!one)
		return s->v[2] == s->v[3] ? -EFAULT : 0;
	/* "M (mremap)": MREMAP_DONTUNMAP for private anonymous memory only. */
	if (s->v[4] == DONT_UNMAP && (state & (IS_SHARED | OF_FILE | OF_MEMORY)))
		return -EINVAL;
	/* "M (mremap)": shared anonymous memory does not grow; on Linux it does, and what is new is beyond its end. */
	if ((state & IS_SHARED) && !(state & (OF_FILE | OF_MEMORY)) && s->v[3] > s->v[2])
		return -ENOMEM;
	return 0;
}

/* The step has no counterpart as things are: it is left out on both sides. */
static bool left_out(struct run *r, const struct step *s)
{
	const struct view *v = view_of(r, s->what == MOVE || s->what == READ || s->what == LOAD ? s->v[0] : 0);

	switch (s->what) {
	case MOVE:
		/* Neighbours that the kernel keeps apart, for their reverse maps differ, are one mapping here. */
		return (v->state[s->v[1]] & MAPPED) && !first_page_only(s) &&
		       kernel_mappings(v, s->v[1], moved_pages(s)) > 1 &&
		       mappings_in(&r->l.s[s->v[0]], s->v[1], moved_pages(s)) == 1;
	case READ:
		/* V9, V10: what may only be written. */
	case LOAD:
		return range_has(v, s->v[1], s->what == READ ? s->v[2] : 1, WRITABLE, READABLE | WRITABLE);
	case PIN:
		/* Views are of one page; a registered buffer is long and for writing. */
		if (s->v[3] && !(s->v[4] && s->v[5]))
			return true;
		/* V7: on Linux only files that are written back refuse it, here all but memory. */
		if (r->in_memory && s->v[4] && s->v[5] &&
		    range_has(view_of(r, s->v[1]), s->v[2], s->v[3] + 1, OF_FILE | IS_SHARED, OF_FILE | IS_SHARED))
			return true;
		return !r->uring;
	default:
		return false;
	}
}

/* ---- running ------------------------------------------------------------------------------------- */

static unsigned living_parties(const struct run *r)
{
	unsigned n = 0;

	for (unsigned i = 0; i < PARTIES; i++)
		n += r->life[i] == ALIVE;
	return n;
}

/* Is there what the step is about? */
static bool possible(struct run *r, const struct step *s)
{
	unsigned party = field_at(s->what, PARTY), slot = field_at(s->what, SLOT);
	unsigned page = field_at(s->what, PAGE), count = field_at(s->what, COUNT);

	if (party < FIELDS && r->life[s->v[party]] != ALIVE)
		return false;
	if (count < FIELDS && (!s->v[count] || s->v[page] + s->v[count] > PAGES))
		return false;
	switch (s->what) {
	case FORK: return r->life[s->v[1]] == NEVER;
	case END: return living_parties(r) > 1;
	case GROW: return s->v[0] >= r->file_pages;
	case READ: case WRITE: return s->v[2] <= COPY_PAGES;
	case MOVE: return s->v[3] && s->v[1] + s->v[3] <= PAGES && s->v[5] + s->v[3] <= PAGES;
	case PIN: return !r->pin[s->v[slot]].used && s->v[2] + s->v[3] < PAGES;
	case DEVICE_STORE: return r->pin[s->v[0]].used && r->pin[s->v[0]].write && s->v[1] < r->pin[s->v[0]].n;
	case PUT: return r->pin[s->v[slot]].used;
	default: return true;
	}
}

static unsigned pins_of(const struct run *r, unsigned party)
{
	unsigned n = 0;

	for (unsigned s = 0; s < SLOTS; s++)
		n += r->pin[s].used && r->pin[s].party == party;
	return n;
}

static void end_party(struct run *r, unsigned party)
{
	bool holds = pins_of(r, party);

	tell(r, party, holds ? LEAVE : FINISH);
	end_space(&r->l.s[party]);
	r->life[party] = holds ? GONE : NEVER;
}

/* The kernel's half of a step is done by the party, or by the one that holds the pin. */
static unsigned doer(const struct run *r, const struct step *s)
{
	unsigned party = field_at(s->what, PARTY);

	if (s->what == DEVICE_STORE || s->what == PUT)
		return r->pin[s->v[0]].party;
	if (s->what == GROW) /* any */
		for (party = 0; r->life[party] == NEVER;)
			party++;
	return s->what == GROW ? party : s->v[party];
}

static void after_pin(struct run *r, const struct step *s, long result)
{
	struct page *page = r->l.held[s->v[0]].page[0];

	if (result)
		return;
	/* Z8, H11: whether untouched memory beside what was written is the zero page depends on the folio's size. */
	if (r->shown->zero_pin != (page == r->l.zero)) {
		order(s->v[1], (struct command){ .step = { PUT, { s->v[0] } } });
		assert_ok(library_put(&r->l, s->v[0]));
		r->shown->skipped++;
		return;
	}
	r->pin[s->v[0]].used = true;
	r->pin[s->v[0]].write = s->v[4];
	r->pin[s->v[0]].party = s->v[1];
	r->pin[s->v[0]].page = s->v[2];
	r->pin[s->v[0]].n = s->v[3] + 1;
}

static void after_step(struct run *r, const struct step *s, long result)
{
	unsigned party;

	if (s->what == PIN)
		after_pin(r, s, result);
	if (result)
		return;
	if (s->what == FORK)
		r->life[s->v[1]] = ALIVE;
	if (s->what == GROW)
		r->file_pages = s->v[0];
	if (s->what != PUT)
		return;
	party = r->pin[s->v[0]].party;
	r->pin[s->v[0]].used = false;
	if (r->life[party] == GONE && !pins_of(r, party)) {
		tell(r, party, FINISH);
		r->life[party] = NEVER;
	}
}

/* A direct window's addresses are the process's own: somebody else's mapping may have come there meanwhile. */
static bool in_the_way(struct run *r, const struct step *s, long result)
{
	return r->l.windows == DIRECT && result == -EEXIST && (s->what == MAP || s->what == MOVE);
}

static void both(struct run *r, const struct step *s, uint64_t value)
{
	long kernel = order(doer(r, s), (struct command){ .step = *s, .value = value });
	uint64_t sum = r->shown->sum;
	bool reads = s->what == LOAD || s->what == READ;
	long here;

	if (kernel == SKIPPED) {
		r->shown->skipped++;
		return;
	}
	here = library_step(&r->l, s, value);
	if (kernel != here && in_the_way(r, s, here)) {
		r->shown->abandoned = true;
		_exit(0);
	}
	if (kernel != here)
		fail_run(r, "%s gives %ld, not %ld", steps_of[s->what].name, here, kernel);
	if (reads && kernel >= 0 && r->l.sum != sum)
		fail_run(r, "%s sees %#lx, not %#lx", steps_of[s->what].name, r->l.sum, sum);
	after_step(r, s, kernel);
}

/* Notes a pair of a step and what it meets. */
static void note(struct run *r, const struct step *s)
{
	unsigned page = field_at(s->what, PAGE), party = field_at(s->what, PARTY), key = s->what;
	uint16_t state = page < FIELDS ? view_of(r, s->v[party])->state[s->v[page]] : 0;
	bool pinned = false;

	for (unsigned i = 0; page < FIELDS && i < SLOTS; i++)
		pinned |= r->pin[i].used && r->pin[i].party == s->v[party] && r->pin[i].page == s->v[page];
	for (unsigned i = 0; i < fields_of(s->what); i++) {
		enum field f = steps_of[s->what].field[i];

		if (f == PROT || f == SHARING || f == OBJECT || f == MODE || f == ADVICE || f == RIGHT || f == TERM)
			key = key * 13 + s->v[i] + 1;
	}
	key = ((key * 1024 + state) * 2 + pinned) * 2654435761u >> 16;
	r->shown->seen[key / 8] |= (uint8_t)(1u << key % 8);
}

static void one_step(struct run *r, const struct step *s)
{
	uint64_t value = (uint64_t)(r->shown->step + 1) << 16;
	long want, is;

	if (!possible(r, s) || left_out(r, s)) {
		r->shown->skipped++;
		return;
	}
	note(r, s);
	want = refused_here(r, s);
	if (s->what == END) {
		end_party(r, s->v[0]);
	} else if (want || s->what >= COMMIT) {
		is = library_step(&r->l, s, value);
		if (is != want)
			fail_run(r, "%s gives %ld, not %ld", steps_of[s->what].name, is, want);
	} else {
		both(r, s, value);
	}
	r->shown->done++;
}

static int open_memory_file(void)
{
	int fd = memfd_create("memory", MFD_CLOEXEC);

	assert_true(fd >= 0 && !ftruncate(fd, FILE_PAGES * PG));
	return fd;
}

static bool is_in_memory(int fd)
{
	struct statfs st;

	return !fstatfs(fd, &st) && st.f_type == 0x01021994; /* tmpfs */
}

static bool has_uring(void)
{
	struct pinfold_probe p = { .size = sizeof(p) };

	return !pinfold_get_probe(&p) && !p.uring;
}

/* The files of each run, one after the other. */
struct paths {
	char side[2][600], journal[620];
};

/* In a process of its own; ends it. */
__attribute__((noreturn)) static void run_program(const struct program *p, enum windows windows, struct shown *shown,
                                                   const struct paths *paths)
{
	static struct run r;
	int fd[2], broken;

	r.p = p;
	r.shown = shown;
	r.l.windows = windows;
	r.file_pages = FILE_PAGES;
	r.life[0] = ALIVE;
	for (int i = 0; i < 2; i++)
		fd[i] = new_file(paths->side[i], FILE_PAGES * PG, false);
	unlink(paths->journal); /* of one that died */
	start_kernel(shown, fd[0], open_memory_file());
	r.uring = has_uring();
	r.in_memory = is_in_memory(fd[0]);
	start_library(&r.l, p, paths->side[1]);
	for (shown->step = 0; shown->step < p->n; shown->step++) {
		one_step(&r, &p->step[shown->step]);
		look_at_all(&r, shown->step == p->n - 1);
		if ((shown->step % CHECK_EVERY == 0 || shown->thorough) && (broken = pinfold_check(r.l.m)))
			fail_run(&r, "pinfold_check() says %d", broken);
	}
	/* What an assertion says is not told outside of a test. */
	snprintf(shown->failure, sizeof(shown->failure), "at the end a check or the leak equation is broken");
	end_library(&r.l);
	_exit(0);
}

#endif
