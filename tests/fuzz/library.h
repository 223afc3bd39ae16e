/* SPDX-License-Identifier: MIT */
/*
 * library.h - the parties on pinfold: address spaces of one machine and snapshots of them, and pins.
 */
#ifndef PINFOLD_FUZZ_LIBRARY_H
#define PINFOLD_FUZZ_LIBRARY_H

#include "mm/pgtable.h"
#include "mm/vma.h"
#include "kernel.h"

/* MIXED: every other party has no window. */
enum windows { NONE, EXTENT, MIXED, DIRECT, WINDOW_KINDS };

static const char *const windows_name[] = { "none", "extent", "mixed", "direct" };

struct library {
	enum windows windows;
	struct pinfold *m;
	struct space s[PARTIES];
	struct pinfold_file *file, *memory;
	struct page *zero; /* the zero page */
	struct {
		struct page *page[PIN_PAGES];
		unsigned n;
	} held[SLOTS];
	uint64_t sum; /* of what a read saw */
};

static enum pinfold_window window_of(const struct library *l, unsigned party)
{
	static const enum pinfold_window of[] = {
		[NONE] = PINFOLD_WINDOW_NONE, [EXTENT] = PINFOLD_WINDOW_EXTENT, [DIRECT] = PINFOLD_WINDOW_DIRECT
	};

	return l->windows == MIXED ? (party % 2 ? PINFOLD_WINDOW_NONE : PINFOLD_WINDOW_EXTENT) : of[l->windows];
}

static struct space first_space(struct library *l)
{
	struct space s = new_space(l->m, window_of(l, 0));

	if (l->windows != DIRECT)
		return s;
	/* A page before and one behind, so that a snapshot's addresses lie as these do. */
	s.at = (free_place(PAGES + 1024) + LEAF) & ~(LEAF - 1);
	assert_int_equal(vm_mmap(s.mm, s.at - PG, PG, RO, SHARED | FIXED, l->file, 0), s.at - PG);
	assert_int_equal(vm_mmap(s.mm, s.at + PAGES * PG, PG, RO, SHARED | FIXED, l->file, 0), s.at + PAGES * PG);
	return s;
}

static struct page *find_zero_page(struct pinfold *m)
{
	struct space s = new_space(m, PINFOLD_WINDOW_NONE);
	struct page *zero;

	map_anon(&s, 0, 1, RO, PRIVATE);
	zero = page_at(&s, 0, 0);
	end_space(&s);
	return zero;
}

static void start_library(struct library *l, const struct program *p, const char *path)
{
	struct pinfold_file_options fo = {
		.size = sizeof(fo), .flags = p->direct_files || l->windows == DIRECT ? PINFOLD_FILE_DIRECT : 0
	};
	size_t frames = is_big(p) ? 40 * MIB : 8 * MIB;

	/* All that four parties can touch: to run out of memory is not the subject. */
	l->m = MACHINE(.memory = frames + 4 * MIB, .pool = frames, .staging = MIB, .deadline_ms = 5000);
	assert_ok(pinfold_open(l->m, path, &fo, &l->file));
	fo.flags = 0;
	assert_ok(pinfold_open_memory(l->m, FILE_PAGES * PG, &fo, &l->memory));
	l->zero = find_zero_page(l->m);
	l->s[0] = first_space(l);
}

static void end_library(struct library *l)
{
	for (unsigned i = 0; i < SLOTS; i++)
		if (l->held[i].n)
			assert_ok(put_user_pages(l->held[i].page, l->held[i].n));
	for (unsigned i = 0; i < PARTIES; i++)
		if (l->s[i].mm)
			end_space(&l->s[i]);
	check_machine(l->m);
	assert_ok(pinfold_close(l->memory));
	assert_ok(pinfold_close(l->file));
	end_machine(l->m);
}

/* ---- steps --------------------------------------------------------------------------------------- */

static const int library_prots[] = { 0, PINFOLD_PROT_READ, PINFOLD_PROT_WRITE, RW };

static long library_map(struct library *l, const struct step *s)
{
	struct space *of = &l->s[s->v[0]];
	unsigned long a = of->at + s->v[1] * PG;
	struct pinfold_file *file = s->v[5] == REAL_FILE ? l->file : s->v[5] == MEMORY_FILE ? l->memory : NULL;
	int flags = (s->v[4] ? SHARED : PRIVATE) | (file ? 0 : ANON) |
	            (s->v[7] == NOREPLACE_MAP ? PINFOLD_MAP_FIXED_NOREPLACE : FIXED) |
	            (s->v[7] == POPULATE_MAP ? PINFOLD_MAP_POPULATE : 0);
	long r = vm_mmap(of->mm, a, s->v[2] * PG, library_prots[s->v[3]], flags, file, file ? s->v[6] * PG : 0);

	return r == (long)a ? 0 : r < 0 ? r : -EXDEV;
}

/* As kernel_move(). */
static long library_move(struct library *l, const struct step *s)
{
	static const int flags[] = {
		0, PINFOLD_MREMAP_MAYMOVE, PINFOLD_MREMAP_MAYMOVE | PINFOLD_MREMAP_FIXED,
		PINFOLD_MREMAP_MAYMOVE | PINFOLD_MREMAP_DONTUNMAP | PINFOLD_MREMAP_FIXED
	};
	struct space *of = &l->s[s->v[0]];
	unsigned long from = of->at + s->v[1] * PG, to = of->at + s->v[5] * PG;
	size_t len = s->v[3] * PG;
	long r = vm_mremap(of->mm, from, s->v[2] * PG, len, flags[s->v[4]], to);

	if (r < 0 || r == (long)from || r == (long)to)
		return r < 0 ? r : r == (long)to && r != (long)from;
	r = vm_mremap(of->mm, (unsigned long)r, len, len, PINFOLD_MREMAP_MAYMOVE | PINFOLD_MREMAP_FIXED, to);
	return r == (long)to ? 1 : r;
}

static bool mm_is_empty(struct mm_struct *mm)
{
	bool empty;

	mmap_read_lock(mm);
	empty = !vma_next(mm, 0);
	mmap_read_unlock(mm);
	return empty;
}

static long library_fork(struct library *l, unsigned from, unsigned to)
{
	struct space s = { .window = window_of(l, to) != PINFOLD_WINDOW_NONE };
	int r = pinfold_mm_create(l->m, window_of(l, to), &s.mm);

	if (!r)
		r = dup_mmap(s.mm, l->s[from].mm);
	if (r)
		return r;
	s.at = l->s[from].at + (unsigned long)pinfold_mm_shift(s.mm);
	if (window_of(l, to) == PINFOLD_WINDOW_EXTENT && mm_is_empty(s.mm)) /* nothing moved, and not by anything */
		s.at = place_in(s.mm, PINFOLD_WINDOW_EXTENT, PAGES) & ~(LEAF - 1);
	l->s[to] = s;
	return 0;
}

/* What a touch gets where there is no window to touch. */
static long signal_without_window(long r)
{
	return r == 8 ? 0 : r != -EFAULT ? r : last_error() == -ENXIO ? -SIGBUS : -SIGSEGV;
}

static long library_load(struct library *l, const struct step *s)
{
	struct space *of = &l->s[s->v[0]];
	unsigned long a = of->at + s->v[1] * PG + spot_of[s->v[2]];
	volatile uint64_t word = 0;
	uint64_t copy = 0;
	long r;

	if (of->window)
		r = -signal_of(word = *(volatile uint64_t *)a);
	else
		r = signal_without_window(access_process_vm(of->mm, a, &copy, 8, 0));
	l->sum = of->window ? word : copy;
	return r;
}

static long library_store(struct library *l, const struct step *s, uint64_t value)
{
	struct space *of = &l->s[s->v[0]];
	unsigned long a = of->at + s->v[1] * PG + spot_of[s->v[3]];
	long r = 0;

	if (of->window)
		return kernel_store(a, s->v[2], value);
	for (unsigned p = 0; p < s->v[2] && !r; p++, value++)
		r = signal_without_window(access_process_vm(of->mm, a + p * PG, &value, 8, FOLL_WRITE));
	return r;
}

static long library_force(struct library *l, const struct step *s, uint64_t value)
{
	struct space *of = &l->s[s->v[0]];
	struct page *page;
	long r = get_user_pages_unlocked(of->at + s->v[1] * PG, 1, &page, FOLL_WRITE | FOLL_FORCE);

	if (r != 1)
		return r;
	*(volatile uint64_t *)((char *)page_address(page) + spot_of[s->v[2]]) = value;
	return put_user_page(page);
}

static long library_copy(struct library *l, const struct step *s, uint64_t value)
{
	struct space *of = &l->s[s->v[0]];
	long n;

	fill_copy(value, s->what == WRITE ? s->v[2] : 0);
	n = access_process_vm(of->mm, of->at + s->v[1] * PG, copied, s->v[2] * PG, s->what == WRITE ? FOLL_WRITE : 0);
	l->sum = n > 0 ? hash_of(copied[0], (size_t)n / 8) : 0;
	return n;
}

static long library_pin(struct library *l, const struct step *s)
{
	struct page **page = l->held[s->v[0]].page;
	unsigned flags = (s->v[4] ? FOLL_WRITE : 0) | (s->v[5] ? FOLL_LONGTERM : 0);
	long n = s->v[3] + 1, got = get_user_pages_fast(l->s[s->v[1]].at + s->v[2] * PG, (int)n, flags, page);

	if (got == n) {
		l->held[s->v[0]].n = (unsigned)n;
		return 0;
	}
	/* A registered buffer is all or nothing, a get says how many (P1). */
	if (got > 0)
		assert_ok(put_user_pages(page, (unsigned long)got));
	return got < 0 ? got : -EFAULT;
}

static long library_put(struct library *l, unsigned slot)
{
	int r = put_user_pages(l->held[slot].page, l->held[slot].n);

	l->held[slot].n = 0;
	return r;
}

/* What has no other side must do as it says. */
static long library_alone(struct library *l, const struct step *s)
{
	struct space *of = &l->s[s->v[0]];
	long r;

	switch (s->what) {
	case COMMIT:
		return pinfold_commit(l->file, 0, 0, NULL);
	case RECLAIM:
		r = pinfold_reclaim(l->m, 10000);
		return r < 0 ? r : 0;
	case SPLIT:
		r = pinfold_split_folio(of->mm, of->at + s->v[1] * PG);
		return r == -EBUSY || r == -EFAULT || r == -EAGAIN ? 0 : r;
	default:
		r = pinfold_prefetch(of->mm, of->at + s->v[1] * PG, s->v[2] * PG);
		pinfold_progress(l->m);
		return r < 0 && r != -EFAULT ? r : 0;
	}
}

static long library_step(struct library *l, const struct step *s, uint64_t value)
{
	unsigned party = field_at(s->what, PARTY) < FIELDS ? s->v[field_at(s->what, PARTY)] : 0;
	struct space *of = &l->s[party];
	unsigned long a = of->at + s->v[1] * PG;
	size_t len = s->v[2] * PG;

	assert_ok(pinfold_use_mm(of->mm));
	switch (s->what) {
	case MAP: return library_map(l, s);
	case UNMAP: return vm_munmap(of->mm, a, len);
	case PROTECT: return vm_mprotect(of->mm, a, len, library_prots[s->v[3]]);
	case MOVE: return library_move(l, s);
	case ADVISE: return vm_madvise(of->mm, a, len, advice_of[s->v[3]]);
	case FORK: return library_fork(l, s->v[0], s->v[1]);
	case LOAD: return library_load(l, s);
	case STORE: return library_store(l, s, value);
	case READ: case WRITE: return library_copy(l, s, value);
	case FORCE: return library_force(l, s, value);
	case PIN: return library_pin(l, s);
	case PUT: return library_put(l, s->v[0]);
	case GROW: return vfs_truncate(l->file, s->v[0] * PG);
	case DEVICE_STORE:
		*(volatile uint64_t *)((char *)page_address(l->held[s->v[0]].page[s->v[1]]) + spot_of[s->v[2]]) = value;
		return 0;
	default: return library_alone(l, s);
	}
}

/* How many mappings lie in a range, as pinfold joins them; 0: there is a hole. */
static unsigned mappings_in(const struct space *of, unsigned page, unsigned n)
{
	unsigned long a = of->at + page * PG, end = a + n * PG;
	const struct vm_area_struct *vma;
	unsigned count = 0;

	mmap_read_lock(of->mm);
	for (; a < end && (vma = vma_find(of->mm, a)); a = vma->end)
		count++;
	mmap_read_unlock(of->mm);
	return a < end ? 0 : count;
}

/* ---- looking without touching --------------------------------------------------------------------- */

/* The page that a slot shows, or NULL. */
static const void *slot_content(struct library *l, const struct space *of, unsigned page)
{
	unsigned long a = of->at + page * PG;
	struct pt_pos pos;
	uint64_t s;

	if (!pt_lock(of->mm, a, &pos))
		return NULL;
	s = pos_read(&pos, a);
	pt_unlock(&pos);
	return s & SLOT_PRESENT ? page_address(pfn_to_page(l->m, s >> PAGE_SHIFT)) : NULL;
}

/* What a window shows: words that the kernel copies if there is a translation.  False: none. */
static bool shown_content(const struct space *of, unsigned page, uint64_t *word)
{
	struct iovec local = { word, 8 * SPOTS }, remote[SPOTS];

	for (unsigned i = 0; i < SPOTS; i++)
		remote[i] = (struct iovec){ (void *)(of->at + page * PG + spot_of[i]), 8 };
	return process_vm_readv(getpid(), &local, 1, remote, SPOTS, 0) == 8 * SPOTS;
}

#endif
