/* SPDX-License-Identifier: MIT */
/*
 * anon_model_test.c - random calls on memory, snapshots, folios and pins against a model that knows only what each
 * party is to see.
 *
 * The model: a page of a space names a cell, which holds one word, or none if it was never written.  A snapshot gives
 * private pages cells of their own with the same word, shared pages the same cell.  A pin names the cell that its page
 * had; so whoever writes, holder or process, is seen by the other as long as the page is there (clauses U1, W10, M1
 * to M4, K2).  A pin of the zero page names no cell: zeroes for ever (Z4).
 *
 * One thread, a seed: a failure comes again.  PINFOLD_STRESS_SECONDS: for each kind of windows; 3.  PINFOLD_SEED: only
 * that one.
 */
#include "../api/anon.h"

#define PAGES 1536u /* of a space's addresses: 3 tables */
#define SPACES 4u
#define PINS 24u
#define STEPS 600u

struct cell {
	uint64_t word;
	unsigned users;
};

struct entry {
	bool mapped, shared, dontfork, wipe;
	int prot;
	struct cell *cell; /* shared: always; private: NULL as long as it was not written */
};

struct held {
	struct page *page;
	struct cell *cell; /* NULL: the zero page */
	bool write;
};

struct model {
	struct pinfold *m;
	uint64_t run, seed, next_word, moves;
	unsigned step;
	const char *doing;
	struct page *zero;
	struct space s[SPACES];
	struct entry e[SPACES][PAGES];
	struct held held[PINS];
};

static uint64_t rnd(struct model *d, uint64_t n)
{
	d->seed = d->seed * 6364136223846793005ull + 1442695040888963407ull;
	return (d->seed >> 33) % n;
}

static struct cell *use(struct cell *c)
{
	if (c)
		c->users++;
	return c;
}

static void drop(struct cell *c)
{
	if (c && !--c->users)
		free(c);
}

static struct cell *new_cell(uint64_t word)
{
	struct cell *c = malloc(sizeof(*c));

	*c = (struct cell){ word, 1 };
	return c;
}

static void forget(struct entry *e)
{
	drop(e->cell);
	*e = (struct entry){ 0 };
}

/* ---- looking ------------------------------------------------------------------------------------ */

#define HOLDS(d, cond) \
	do { \
		if (!(cond)) \
			fail_msg("seed %lu step %u, %s: %s", (d)->run, (d)->step, (d)->doing, #cond); \
	} while (0)

/* A snapshot's stretch may begin and end with what was mapped of the other one; outside is somebody else's. */
static bool inside(const struct space *s, unsigned first, unsigned n)
{
	unsigned long start, end;

	assert_ok(pinfold_mm_range(s->mm, &start, &end));
	return s->at + first * PG >= start && s->at + (first + n) * PG <= end;
}

/* A load as the process does it; where it has no right to, a violation. */
static void look(struct model *d, unsigned i, unsigned p)
{
	const struct entry *e = &d->e[i][p];
	uint64_t want = e->cell ? e->cell->word : 0, word = 0;
	unsigned long a = d->s[i].at + p * PG;

	if (e->mapped && (e->prot & RO)) {
		word = peek(&d->s[i], p * PG);
		if (word != want)
			fail_msg("seed %lu step %u, %s: space %u page %u is %lu, not %lu", d->run, d->step, d->doing, i, p,
			         word, want);
	} else {
		HOLDS(d, access_process_vm(d->s[i].mm, a, &word, 8, 0) == -EFAULT);
		HOLDS(d, !d->s[i].window || p % 8 || !inside(&d->s[i], p, 1) || load_signal(a) == SIGSEGV);
	}
}

static void look_at_all(struct model *d)
{
	for (unsigned i = 0; i < SPACES; i++)
		for (unsigned p = 0; d->s[i].mm && p < PAGES; p += 1 + (unsigned)rnd(d, 5))
			look(d, i, p);
	for (unsigned h = 0; h < PINS; h++)
		if (d->held[h].page)
			HOLDS(d, *device_word(d->held[h].page) == (d->held[h].cell ? d->held[h].cell->word : 0));
}

/* ---- calls -------------------------------------------------------------------------------------- */

struct range {
	unsigned i, first, n;
	struct space *s;
	unsigned long at;
};

static struct range some_range(struct model *d)
{
	struct range r = { .i = (unsigned)rnd(d, SPACES) };
	unsigned whole = (unsigned)rnd(d, 4);

	while (!d->s[r.i].mm)
		r.i = (r.i + 1) % SPACES;
	r.first = whole ? (unsigned)rnd(d, PAGES) : 512 * (unsigned)rnd(d, 3);
	r.n = whole == 1 ? 1 + (unsigned)rnd(d, 600) : whole ? 1 + (unsigned)rnd(d, 20) : 512;
	if (r.first + r.n > PAGES)
		r.n = PAGES - r.first;
	r.s = &d->s[r.i];
	r.at = r.s->at + r.first * PG;
	return r;
}

static void map_memory(struct model *d, struct range r)
{
	bool shared = rnd(d, 4) == 0;
	int prot = rnd(d, 5) ? RW : RO;

	d->doing = shared ? "mmap shared" : "mmap private";
	if (!inside(r.s, r.first, r.n))
		return;
	HOLDS(d, vm_mmap(r.s->mm, r.at, r.n * PG, prot, ANON | FIXED | (shared ? SHARED : PRIVATE), NULL, 0) ==
	                 (long)r.at);
	if (rnd(d, 2))
		HOLDS(d, vm_madvise(r.s->mm, r.at, r.n * PG, PINFOLD_MADV_HUGEPAGE) == 0);
	for (unsigned p = r.first; p < r.first + r.n; p++) {
		struct entry *e = &d->e[r.i][p];

		forget(e);
		*e = (struct entry){ .mapped = true, .shared = shared, .prot = prot };
		if (shared)
			e->cell = new_cell(0);
	}
}

static void unmap_memory(struct model *d, struct range r)
{
	d->doing = "munmap";
	HOLDS(d, vm_munmap(r.s->mm, r.at, r.n * PG) == 0);
	for (unsigned p = r.first; p < r.first + r.n; p++)
		forget(&d->e[r.i][p]);
}

/* Pages from the first on that are mapped. */
static unsigned mapped_run(struct model *d, struct range r)
{
	unsigned n = 0;

	while (n < r.n && d->e[r.i][r.first + n].mapped)
		n++;
	return n;
}

static void protect_memory(struct model *d, struct range r)
{
	const int prots[] = { RW, RW, RO, PINFOLD_PROT_NONE };
	int prot = prots[rnd(d, 4)];
	unsigned n = mapped_run(d, r);

	d->doing = "mprotect";
	HOLDS(d, vm_mprotect(r.s->mm, r.at, r.n * PG, prot) == (n < r.n ? -ENOMEM : 0));
	for (unsigned p = r.first; p < r.first + n; p++)
		d->e[r.i][p].prot = prot;
}

static void empty_memory(struct model *d, struct range r)
{
	d->doing = "DONTNEED";
	r.n = mapped_run(d, r);
	if (!r.n)
		return;
	HOLDS(d, vm_madvise(r.s->mm, r.at, r.n * PG, PINFOLD_MADV_DONTNEED) == 0);
	for (unsigned p = r.first; p < r.first + r.n; p++) {
		struct entry *e = &d->e[r.i][p];

		if (e->shared)
			continue;
		drop(e->cell);
		e->cell = NULL;
	}
}

static void move_memory(struct model *d, struct range r)
{
	unsigned to = (unsigned)rnd(d, PAGES), n = mapped_run(d, r);
	struct entry *from = d->e[r.i];
	long ret;

	d->doing = "mremap";
	if (!n || to + n > PAGES || (to < r.first + n && r.first < to + n) || !inside(r.s, to, n))
		return;
	ret = vm_mremap(r.s->mm, r.at, n * PG, n * PG, PINFOLD_MREMAP_MAYMOVE | PINFOLD_MREMAP_FIXED,
	                r.s->at + to * PG);
	if (ret == -EFAULT) /* not one mapping */
		return;
	HOLDS(d, ret == (long)(r.s->at + to * PG));
	d->moves++;
	for (unsigned p = 0; p < n; p++) {
		forget(&from[to + p]);
		from[to + p] = from[r.first + p];
		from[r.first + p] = (struct entry){ 0 };
	}
}

static void advise_memory(struct model *d, struct range r)
{
	const int advice[] = { PINFOLD_MADV_DONTFORK, PINFOLD_MADV_DOFORK, PINFOLD_MADV_NOHUGEPAGE,
	                       PINFOLD_MADV_POPULATE_READ, PINFOLD_MADV_KEEPONFORK, PINFOLD_MADV_WIPEONFORK,
	                       PINFOLD_MADV_HUGEPAGE };
	unsigned which = (unsigned)rnd(d, 7), n = mapped_run(d, r);
	bool all_private = true;
	int ret;

	d->doing = "madvise";
	for (unsigned p = r.first; p < r.first + n; p++)
		all_private &= !d->e[r.i][p].shared && (d->e[r.i][p].prot & RO);
	if (!n || (!all_private && (which == 3 || which == 5)))
		return;
	ret = vm_madvise(r.s->mm, r.at, n * PG, advice[which]);
	HOLDS(d, ret == 0);
	for (unsigned p = r.first; p < r.first + n; p++) {
		struct entry *e = &d->e[r.i][p];

		e->dontfork = which == 0 || (e->dontfork && which != 1);
		e->wipe = which == 5 || (e->wipe && which != 4);
	}
}

static void end_one(struct model *d, unsigned i)
{
	d->doing = "destroy";
	if (!d->s[i].mm)
		return;
	end_space(&d->s[i]);
	for (unsigned p = 0; p < PAGES; p++)
		forget(&d->e[i][p]);
}

static void snapshot_one(struct model *d, const struct pair *k)
{
	unsigned from = (unsigned)rnd(d, SPACES), to = (unsigned)rnd(d, SPACES);

	if (from == to || !d->s[from].mm)
		return;
	end_one(d, to);
	d->doing = "dup_mmap";
	d->s[to] = snapshot(d->m, &d->s[from], rnd(d, 2) ? k->parent : k->child);
	for (unsigned p = 0; p < PAGES; p++) {
		const struct entry *old = &d->e[from][p];
		struct entry *new = &d->e[to][p];

		if (!old->mapped || old->dontfork)
			continue;
		*new = *old;
		if (old->shared)
			use(old->cell);
		else
			new->cell = old->cell && !old->wipe ? new_cell(old->cell->word) : NULL;
	}
}

static void store_to_memory(struct model *d, struct range r)
{
	d->doing = "store";
	for (unsigned p = r.first; p < r.first + r.n; p += 1 + (unsigned)rnd(d, 4)) {
		struct entry *e = &d->e[r.i][p];
		uint64_t word = ++d->next_word;

		if (!e->mapped || !(e->prot & PINFOLD_PROT_WRITE))
			continue;
		poke(r.s, p * PG, word);
		if (e->cell)
			e->cell->word = word;
		else
			e->cell = new_cell(word);
	}
}

static void pin_some(struct model *d, struct range r)
{
	const unsigned all[] = { 0, FOLL_WRITE, FOLL_LONGTERM, FOLL_WRITE | FOLL_LONGTERM, FOLL_FORCE,
	                         FOLL_FORCE | FOLL_WRITE };
	unsigned flags = all[rnd(d, 6)];
	struct held *h = &d->held[rnd(d, PINS)];
	struct entry *e = &d->e[r.i][r.first];
	bool ok = e->mapped && ((flags & FOLL_WRITE ? e->prot & PINFOLD_PROT_WRITE : e->prot & RO) ||
	                        ((flags & FOLL_FORCE) && (!(flags & FOLL_WRITE) || !e->shared)));
	struct page *page;

	d->doing = "pin";
	if (h->page)
		return;
	HOLDS(d, pinfold_use_mm(r.s->mm) == 0);
	HOLDS(d, get_user_pages_fast(r.at, 1, flags, &page) == (ok ? 1 : -EFAULT));
	if (!ok)
		return;
	HOLDS(d, page != d->zero || (!e->cell && !(flags & (FOLL_WRITE | FOLL_LONGTERM))));
	if (!e->cell && page != d->zero) /* or a page of a folio that is written to elsewhere */
		e->cell = new_cell(0);
	*h = (struct held){ page, use(e->cell), flags & FOLL_WRITE };
	HOLDS(d, *device_word(page) == (e->cell ? e->cell->word : 0));
}

static void device_writes(struct model *d)
{
	struct held *h = &d->held[rnd(d, PINS)];

	d->doing = "a device's store";
	if (!h->page || !h->cell || !h->write)
		return;
	h->cell->word = ++d->next_word;
	*device_word(h->page) = h->cell->word;
}

static void unpin_one(struct model *d)
{
	struct held *h = &d->held[rnd(d, PINS)];

	d->doing = "put";
	if (!h->page)
		return;
	HOLDS(d, put_user_page(h->page) == 0);
	drop(h->cell);
	*h = (struct held){ 0 };
}

static void split_some(struct model *d, struct range r)
{
	int ret = pinfold_split_folio(r.s->mm, r.at);

	d->doing = "split";
	HOLDS(d, ret == 0 || ret == -EBUSY || ret == -EFAULT || ret == -EAGAIN);
	HOLDS(d, ret != -EFAULT || !d->e[r.i][r.first].cell || d->e[r.i][r.first].shared);
}

static void one_step(struct model *d, const struct pair *k)
{
	struct range r = some_range(d);

	switch (rnd(d, 24)) {
	case 0: map_memory(d, r); break;
	case 1: unmap_memory(d, r); break;
	case 2: case 3: protect_memory(d, r); break;
	case 4: empty_memory(d, r); break;
	case 5: case 6: move_memory(d, r); break;
	case 7: advise_memory(d, r); break;
	case 8: case 9: snapshot_one(d, k); break;
	case 10: case 11: case 12: case 13: pin_some(d, r); break;
	case 14: case 15: device_writes(d); break;
	case 16: case 17: unpin_one(d); break;
	case 18: split_some(d, r); break;
	default: store_to_memory(d, r);
	}
}

/* Takes whatever is left down. */
static void end_run(struct model *d)
{
	for (unsigned h = 0; h < PINS; h++)
		if (d->held[h].page) {
			assert_ok(put_user_page(d->held[h].page));
			drop(d->held[h].cell);
		}
	for (unsigned i = 0; i < SPACES; i++)
		end_one(d, i);
	end_machine(d->m);
	free(d);
}

static struct page *zero_page(struct model *d)
{
	struct space s = new_space(d->m, PINFOLD_WINDOW_NONE);
	struct page *zero;

	map_anon(&s, 0, 1, RO, PRIVATE);
	zero = page_at(&s, 0, 0);
	end_space(&s);
	return zero;
}

/* How many mappings moved. */
static uint64_t one_run(const struct pair *k, uint64_t seed)
{
	struct model *d = calloc(1, sizeof(*d));
	uint64_t moves;

	d->m = MACHINE(.memory = 68 * MIB, .pool = 64 * MIB, .staging = MIB, .window_vmas = seed % 3 ? 0 : 48);
	d->run = d->seed = seed;
	d->zero = zero_page(d);
	d->s[0] = new_space(d->m, k->parent);
	map_memory(d, (struct range){ 0, 0, PAGES, &d->s[0], d->s[0].at });
	for (d->step = 0; d->step < STEPS; d->step++) {
		one_step(d, k);
		if (d->step % 8 == 0)
			look_at_all(d);
		if (d->step % 64 == 0)
			check_machine(d->m);
	}
	moves = d->moves;
	end_run(d);
	return moves;
}

static void calls_and_model_agree(void **state)
{
	const char *s = getenv("PINFOLD_STRESS_SECONDS"), *seed = getenv("PINFOLD_SEED");
	uint64_t end = now_ms() + (s && atoi(s) > 0 ? 1000ull * (unsigned)atoi(s) : 3000);
	uint64_t n = seed ? strtoull(seed, NULL, 0) : 1, moves = 0;

	do
		moves += one_run(*state, n++);
	while (!seed && now_ms() < end);
	print_message("%lu seeds\n", n - 1);
	assert_true(seed || moves > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = { PAIRS(calls_and_model_agree) };

	return world_main(tests);
}
