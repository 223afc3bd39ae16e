/* SPDX-License-Identifier: MIT */
/*
 * program.h - programs of the fuzzer: steps, their text, and programs made of a seed.
 *
 * A program is text, one step a line: a name and its fields in order.  A field is a number or a word of its list; '#'
 * begins a comment.  "look quiet" anywhere: pages are looked at as they are and not by touching them (compare.h);
 * "files direct": the file is a direct one.  Parties are processes: 0 is there at first, fork makes others of it.  Pages
 * are numbers in a party's addresses; spots are words in a page; slots hold pins.
 */
#ifndef PINFOLD_FUZZ_PROGRAM_H
#define PINFOLD_FUZZ_PROGRAM_H

#include "../api/anon.h"

#define PARTIES 4u
#define PAGES 1104u /* two tables and the beginning of a third */
#define SLOTS 6u
#define PIN_PAGES 4u
#define SPOTS 4u
#define FILE_PAGES 40u /* at first; as many zeroes in the memory-only one */
#define FILE_LIMIT 64u
#define COPY_PAGES 40u /* at most in one copy */
#define MAX_STEPS 64u
#define FIELDS 8u

enum field {
	NO_FIELD, PARTY, PAGE, COUNT, OFFSET, PROT, SHARING, OBJECT, HOW, MODE, ADVICE, SLOT, SUBPAGE, SPOT, RIGHT, TERM
};

enum prot { PROT_IS_NONE, PROT_IS_R, PROT_IS_W, PROT_IS_RW };
enum object { ANONYMOUS, REAL_FILE, MEMORY_FILE };
enum how { PLAIN_MAP, NOREPLACE_MAP, POPULATE_MAP };
enum mode { IN_PLACE, MAY_MOVE, FIXED_PLACE, DONT_UNMAP };

static const char *const words_of[][13] = {
	[PROT] = { "none", "r", "w", "rw" },
	[SHARING] = { "private", "shared" },
	[OBJECT] = { "anon", "file", "memory" },
	[HOW] = { "plain", "noreplace", "populate" },
	[MODE] = { "inplace", "maymove", "fixed", "dontunmap" },
	[ADVICE] = { "dontneed", "populate_read", "populate_write", "hugepage", "nohugepage", "dontfork", "dofork",
	             "wipeonfork", "keeponfork", "willneed" },
	[RIGHT] = { "read", "write" },
	[TERM] = { "short", "long" },
};
#define HUGEPAGE_ADVICE 3u
static const int advice_of[] = { 4, 22, 23, 14, 15, 10, 11, 18, 19, 3 };

static const unsigned limit_of[] = {
	[PARTY] = PARTIES, [PAGE] = PAGES, [COUNT] = PAGES + 1, [OFFSET] = FILE_LIMIT, [PROT] = 4, [SHARING] = 2,
	[OBJECT] = 3, [HOW] = 3, [MODE] = 4, [ADVICE] = 10, [SLOT] = SLOTS, [SUBPAGE] = PIN_PAGES, [SPOT] = SPOTS,
	[RIGHT] = 2, [TERM] = 2,
};

enum what {
	MAP, UNMAP, PROTECT, MOVE, ADVISE, FORK, END, LOAD, STORE, READ, WRITE, FORCE, PIN, DEVICE_STORE, PUT, GROW,
	COMMIT, RECLAIM, SPLIT, PREFETCH, WHATS
};

static const struct {
	const char *name;
	enum field field[FIELDS];
	unsigned weight;
} steps_of[] = {
	[MAP] = { "map", { PARTY, PAGE, COUNT, PROT, SHARING, OBJECT, OFFSET, HOW }, 10 },
	[UNMAP] = { "unmap", { PARTY, PAGE, COUNT }, 6 },
	[PROTECT] = { "protect", { PARTY, PAGE, COUNT, PROT }, 9 },
	[MOVE] = { "move", { PARTY, PAGE, COUNT, COUNT, MODE, PAGE }, 12 }, /* from, its size, the new one, to */
	[ADVISE] = { "advise", { PARTY, PAGE, COUNT, ADVICE }, 15 },
	[FORK] = { "fork", { PARTY, PARTY }, 11 },
	[END] = { "end", { PARTY }, 3 },
	[LOAD] = { "load", { PARTY, PAGE, SPOT }, 5 },
	[STORE] = { "store", { PARTY, PAGE, COUNT, SPOT }, 24 }, /* by pointer, page after page */
	[READ] = { "read", { PARTY, PAGE, COUNT }, 5 },
	[WRITE] = { "write", { PARTY, PAGE, COUNT }, 12 },
	[FORCE] = { "force", { PARTY, PAGE, SPOT }, 4 },
	[PIN] = { "pin", { SLOT, PARTY, PAGE, SUBPAGE, RIGHT, TERM }, 14 }, /* SUBPAGE: how many more than one */
	[DEVICE_STORE] = { "dstore", { SLOT, SUBPAGE, SPOT }, 8 },
	[PUT] = { "put", { SLOT }, 7 },
	[GROW] = { "grow", { OFFSET }, 2 },
	/* What the kernel does by itself, or does not need. */
	[COMMIT] = { "commit", { NO_FIELD }, 1 },
	[RECLAIM] = { "reclaim", { NO_FIELD }, 3 },
	[SPLIT] = { "split", { PARTY, PAGE }, 3 },
	[PREFETCH] = { "prefetch", { PARTY, PAGE, COUNT }, 1 },
};

struct step {
	enum what what;
	unsigned v[FIELDS];
};

struct program {
	bool quiet, direct_files;
	unsigned n;
	struct step step[MAX_STEPS];
};

/* Has it folios, or ranges of 2 MiB? */
static inline bool is_big(const struct program *p)
{
	for (unsigned i = 0; i < p->n; i++)
		if ((p->step[i].what == ADVISE && p->step[i].v[3] == HUGEPAGE_ADVICE) ||
		    (p->step[i].what == MAP && p->step[i].v[2] > 100))
			return true;
	return false;
}

static inline unsigned fields_of(enum what what)
{
	unsigned n = 0;

	while (n < FIELDS && steps_of[what].field[n])
		n++;
	return n;
}

/* Which field of a step is its party, page; FIELDS: none. */
static inline unsigned field_at(enum what what, enum field field)
{
	unsigned i = 0;

	while (i < FIELDS && steps_of[what].field[i] != field)
		i++;
	return i;
}

/* ---- text ---------------------------------------------------------------------------------------- */

HELPER void print_step(FILE *to, const struct step *s)
{
	fprintf(to, "%s", steps_of[s->what].name);
	for (unsigned i = 0; i < fields_of(s->what); i++) {
		enum field f = steps_of[s->what].field[i];

		if (f < sizeof(words_of) / sizeof(words_of[0]) && words_of[f][0])
			fprintf(to, " %s", words_of[f][s->v[i]]);
		else
			fprintf(to, " %u", s->v[i]);
	}
	fprintf(to, "\n");
}

HELPER void print_program(FILE *to, const struct program *p)
{
	if (p->quiet)
		fprintf(to, "look quiet\n");
	if (p->direct_files)
		fprintf(to, "files direct\n");
	for (unsigned i = 0; i < p->n; i++)
		print_step(to, &p->step[i]);
}

/* False: no such word or number. */
HELPER bool parse_field(enum field f, const char *text, unsigned *v)
{
	char *end;

	if (!text)
		return false;
	if (f < sizeof(words_of) / sizeof(words_of[0]) && words_of[f][0]) {
		for (*v = 0; *v < limit_of[f]; ++*v)
			if (!strcmp(words_of[f][*v], text))
				return true;
		return false;
	}
	*v = (unsigned)strtoul(text, &end, 10);
	return !*end && *v < limit_of[f];
}

HELPER bool parse_step(struct program *p, const char *name, char **rest)
{
	struct step *s = &p->step[p->n];

	if (p->n == MAX_STEPS)
		return false;
	for (s->what = 0; s->what < WHATS && strcmp(steps_of[s->what].name, name);)
		s->what++;
	if (s->what == WHATS)
		return false;
	for (unsigned i = 0; i < fields_of(s->what); i++)
		if (!parse_field(steps_of[s->what].field[i], strtok_r(NULL, " \t", rest), &s->v[i]))
			return false;
	p->n++;
	return true;
}

/* The number of the line that is none; 0: all are; -1: the file cannot be read. */
HELPER int read_program(const char *path, struct program *p)
{
	FILE *f = fopen(path, "re");
	char line[200];
	int bad = f ? 0 : -1;

	memset(p, 0, sizeof(*p));
	for (int n = 1; f && !bad && fgets(line, sizeof(line), f); n++) {
		char *rest, *name;

		line[strcspn(line, "#\n")] = 0;
		name = strtok_r(line, " \t", &rest);
		if (!name)
			continue;
		if (!strcmp(name, "look"))
			p->quiet = !strcmp(rest, "quiet");
		else if (!strcmp(name, "files"))
			p->direct_files = !strcmp(rest, "direct");
		else if (!parse_step(p, name, &rest))
			bad = n;
	}
	if (f)
		fclose(f);
	return bad;
}

/* ---- programs of a seed --------------------------------------------------------------------------- */

struct stretch {
	unsigned first, n;
};

#define REMEMBERED 12u

/* What a maker knows of the parties: where something may be mapped. */
struct maker {
	uint64_t seed;
	bool shared_file_only, big; /* big: folios, ranges of 2 MiB */
	struct stretch known[PARTIES][REMEMBERED];
	unsigned nr_known[PARTIES];
	bool alive[PARTIES];
	int forked; /* who was just forked: steps beside shared tables; -1 */
};

HELPER unsigned rnd(struct maker *m, unsigned n)
{
	m->seed = m->seed * 6364136223846793005ull + 1442695040888963407ull;
	return (unsigned)((m->seed >> 33) % n);
}

/* Few places, so that steps meet; around the ends of tables most of all. */
HELPER struct stretch any_place(struct maker *m)
{
	static const unsigned around[] = { 0, 4, 30, 500, 508, 512, 1016, 1024 };
	struct stretch s = { around[rnd(m, 8)] + rnd(m, 8), 1 + rnd(m, 12) };

	if (m->big && rnd(m, 4) == 0)
		s = (struct stretch){ 512 * rnd(m, 2), 512 };
	else if (m->big && rnd(m, 8) == 0)
		s = (struct stretch){ rnd(m, 512), 480 + rnd(m, 100) };
	return s;
}

/* In, or partly beside, what is known. */
HELPER struct stretch known_place(struct maker *m, unsigned party)
{
	unsigned skip, n = m->nr_known[party];
	struct stretch s;

	if (!n || rnd(m, 12) == 0)
		return any_place(m);
	s = m->known[party][rnd(m, n)];
	if (rnd(m, 2))
		return s;
	skip = rnd(m, s.n);
	s.first += skip;
	s.n = 1 + rnd(m, s.n - skip + (rnd(m, 6) == 0 ? 3 : 0));
	return s;
}

HELPER void remember(struct maker *m, unsigned party, struct stretch s)
{
	unsigned *n = &m->nr_known[party];

	m->known[party][*n < REMEMBERED ? (*n)++ : rnd(m, REMEMBERED)] = s;
}

HELPER unsigned living(struct maker *m)
{
	unsigned p = rnd(m, PARTIES);

	while (!m->alive[p])
		p = (p + 1) % PARTIES;
	return p;
}

HELPER unsigned make_field(struct maker *m, enum field f)
{
	static const unsigned prots[] = { PROT_IS_RW, PROT_IS_RW, PROT_IS_RW, PROT_IS_R, PROT_IS_R, PROT_IS_NONE };

	if (f == PROT)
		return rnd(m, 30) ? prots[rnd(m, 6)] : PROT_IS_W;
	if (f == OFFSET)
		return rnd(m, FILE_PAGES + 3);
	if (f == SUBPAGE)
		return rnd(m, 3) ? 0 : rnd(m, PIN_PAGES);
	return rnd(m, limit_of[f]);
}

HELPER void make_map(struct maker *m, struct step *s)
{
	static const unsigned objects[] = { ANONYMOUS, ANONYMOUS, ANONYMOUS, REAL_FILE, REAL_FILE, MEMORY_FILE };
	struct stretch at = any_place(m);

	s->v[1] = at.first;
	s->v[2] = at.n;
	s->v[3] = rnd(m, 5) ? PROT_IS_RW : s->v[3];
	s->v[4] = rnd(m, 3) == 0;
	s->v[5] = objects[rnd(m, 6)];
	s->v[7] = rnd(m, 3) ? PLAIN_MAP : s->v[7];
	if (m->shared_file_only) {
		s->v[4] = 1;
		s->v[5] = REAL_FILE;
	}
	if (s->v[5] != ANONYMOUS && s->v[2] > FILE_PAGES)
		s->v[2] = FILE_PAGES;
	remember(m, s->v[0], at);
}

HELPER void make_move(struct maker *m, struct step *s)
{
	struct stretch to = any_place(m);

	s->v[3] = rnd(m, 3) ? s->v[2] : 1 + rnd(m, 20);
	s->v[4] = rnd(m, 2) ? FIXED_PLACE : rnd(m, 4);
	if (s->v[4] == DONT_UNMAP)
		s->v[3] = s->v[2];
	s->v[5] = rnd(m, 4) ? to.first : s->v[1] % 512 + 512 * rnd(m, 2);
	remember(m, s->v[0], (struct stretch){ s->v[5], s->v[3] });
}

HELPER void make_fork(struct maker *m, struct step *s)
{
	s->v[1] = rnd(m, PARTIES);
	if (s->v[1] == s->v[0])
		s->v[1] = (s->v[1] + 1) % PARTIES;
	memcpy(m->known[s->v[1]], m->known[s->v[0]], sizeof(m->known[0]));
	m->nr_known[s->v[1]] = m->nr_known[s->v[0]];
	m->forked = (int)s->v[rnd(m, 2)];
	m->alive[s->v[1]] = true;
}

HELPER struct step make_step(struct maker *m, enum what what)
{
	struct step s = { .what = what };
	unsigned page = field_at(what, PAGE), party = field_at(what, PARTY);
	struct stretch at = { 0, 1 };

	for (unsigned i = 0; i < fields_of(what); i++)
		s.v[i] = make_field(m, steps_of[what].field[i]);
	if (party < FIELDS)
		s.v[party] = m->forked >= 0 ? (unsigned)m->forked : living(m);
	m->forked = -1;
	if (page < FIELDS) {
		at = known_place(m, s.v[party]);
		s.v[page] = at.first;
	}
	if (field_at(what, COUNT) < FIELDS)
		s.v[field_at(what, COUNT)] = at.n;
	if (what == MAP)
		make_map(m, &s);
	if (what == MOVE)
		make_move(m, &s);
	if (what == FORK)
		make_fork(m, &s);
	if (what == ADVISE && s.v[3] == HUGEPAGE_ADVICE && !m->big)
		s.v[3]++;
	if (what == GROW)
		s.v[0] = FILE_PAGES + 1 + rnd(m, FILE_LIMIT - FILE_PAGES - 1);
	/* The last one does not end. */
	if (what == END) {
		m->alive[s.v[0]] = false;
		for (unsigned i = 0, n = 0; i < PARTIES; i++)
			if (!(n += m->alive[i]) && i == PARTIES - 1)
				m->alive[s.v[0]] = true;
	}
	return s;
}

HELPER enum what some_what(struct maker *m)
{
	unsigned sum = 0, at;
	static const enum what beside_a_fork[] = { UNMAP, PROTECT, MOVE, ADVISE, ADVISE, PIN };
	enum what what = 0;

	/* Any store takes a table of the party's own: what else there is must come first. */
	if (m->forked >= 0 && rnd(m, 3))
		return beside_a_fork[rnd(m, 6)];
	for (unsigned i = 0; i < WHATS; i++)
		sum += steps_of[i].weight;
	for (at = rnd(m, sum); at >= steps_of[what].weight; what++)
		at -= steps_of[what].weight;
	return what;
}

/* Fields stay in the addresses that there are. */
HELPER void clamp(struct step *s)
{
	unsigned page = field_at(s->what, PAGE), count = field_at(s->what, COUNT);

	if (page < FIELDS && s->v[page] >= PAGES)
		s->v[page] = PAGES - 1;
	if (count < FIELDS && s->v[page] + s->v[count] > PAGES)
		s->v[count] = PAGES - s->v[page];
	if (s->what == MOVE && s->v[5] + s->v[3] > PAGES)
		s->v[5] = PAGES - s->v[3];
	if (s->what == MOVE && s->v[1] + s->v[3] > PAGES)
		s->v[3] = PAGES - s->v[1];
	if ((s->what == READ || s->what == WRITE) && s->v[2] > COPY_PAGES)
		s->v[2] = COPY_PAGES;
}

HELPER void make_program(struct program *p, uint64_t seed)
{
	struct maker m = { .seed = seed * 0x9e3779b97f4a7c15ull, .alive = { true }, .forked = -1 };

	memset(p, 0, sizeof(*p));
	for (unsigned i = 0; i < 8; i++)
		rnd(&m, 2);
	m.shared_file_only = rnd(&m, 4) == 0;
	m.big = rnd(&m, 5) == 0;
	p->quiet = rnd(&m, 3) > 0;
	p->direct_files = rnd(&m, 3) == 0;
	p->n = 8 + rnd(&m, MAX_STEPS - 8);
	for (unsigned i = 0; i < p->n; i++) {
		p->step[i] = make_step(&m, i < 2 ? MAP : i < 4 ? STORE + 2 * rnd(&m, 2) : some_what(&m));
		clamp(&p->step[i]);
	}
}

#endif
