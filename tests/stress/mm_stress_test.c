/* SPDX-License-Identifier: MIT */
/*
 * mm_stress_test.c - all calls against each other, on files larger than the memory.
 *
 * Each page of a file has one owner, a thread, which alone changes it; so the owner knows what the page
 * holds to the last word, and everybody else that it never goes back.  Owners store by every kind of
 * pin, through windows, and in write sections; meanwhile others unmap, protect, drop, commit, flush,
 * evict and read ahead.  After each commit the file itself is looked at: what was stored before the
 * freeze is there, and of a section all or nothing.  At the end, and after close, everything is.
 *
 * PINFOLD_STRESS_SECONDS: for each scenario; 3.
 */
#include "tests/api/world.h"

#include <pinfold/fault.h>
#include <pinfold/frame_vector.h>
#include <pinfold/uio.h>

#define PAGES 6144u /* 24 MiB */
#define WORDS 64u   /* a page is looked at in: one per cache line */
#define BLOCK 16u   /* pages; ranges of commits are whole blocks */
#define HELD 8u
#define WRITERS 3u
#define SECTIONS 2u
#define READERS 2u
#define MAX_ARENAS 2u
#define MAX_THREADS 16u
#define COUNT_BITS 28

/* Who owns page p: p % 8.  0 to 2 writers, 3 and 7 the threads with sections, 6 nobody. */
#define OWNER_REMAP 4u
#define OWNER_PROTECT 5u

/* A file, mapped whole in a main mm that all threads use. */
struct arena {
	unsigned id;
	bool window, async;
	struct pinfold *m;
	struct pinfold_file *file;
	struct mm_struct *mm;
	struct mm_struct *side;    /* a second mm, without a window */
	unsigned long at;
	_Atomic uint32_t *count;   /* of each page: what its owner stored last */
	int fd;
	char path[600];
};

struct scene {
	struct arena arena[MAX_ARENAS];
	unsigned nr;
	bool one_machine;
	pthread_t thread[MAX_THREADS];
	unsigned nr_threads;
};

struct worker {
	struct scene *scene;
	unsigned me;
	uint64_t seed;
	uint64_t rounds;
	uint32_t *seen[MAX_ARENAS];     /* readers */
	struct page *held[HELD];        /* writers: pins kept over many rounds */
	unsigned held_page[HELD], held_arena[HELD];
};

static _Atomic bool ended;
static _Atomic bool commits_ended; /* only behind all others: they may wait for one */
static _Atomic unsigned wrongs;
static char first_wrong[300];

/* Threads do not assert: cmocka's jump is the main thread's. */
static void wrong(const char *what, const struct arena *a, unsigned page, long is, long want)
{
	if (!atomic_fetch_add(&wrongs, 1))
		snprintf(first_wrong, sizeof(first_wrong), "%s: file %u page %u is %ld, not %ld", what,
		         a ? a->id : 0, page, is, want);
	atomic_store(&ended, true);
}

static uint64_t pick(struct worker *w, uint64_t n)
{
	w->seed = w->seed * 6364136223846793005ull + 1442695040888963407ull;
	return (w->seed >> 33) % n;
}

static struct arena *pick_arena(struct worker *w)
{
	struct arena *a = &w->scene->arena[pick(w, w->scene->nr)];

	pinfold_use_mm(a->mm);
	return a;
}

static unsigned seconds(void)
{
	const char *s = getenv("PINFOLD_STRESS_SECONDS");

	return s && atoi(s) > 0 ? (unsigned)atoi(s) : 3;
}

/* ---- content: which word of which page of which file, and its page's count ----------------------- */

static uint64_t word_name(const struct arena *a, unsigned page, unsigned i)
{
	return (uint64_t)(a->id + 1) << 56 | ((uint64_t)page * 512 + i) << COUNT_BITS;
}

static void store_words(const struct arena *a, void *at, unsigned page, uint32_t count)
{
	_Atomic uint64_t *w = at;

	for (unsigned i = 0; i < 512; i += 512 / WORDS)
		atomic_store_explicit(&w[i], word_name(a, page, i) | count, memory_order_relaxed);
}

/* The smallest count of the page's words, all of which must be it if `exact`. */
static uint32_t load_words(const struct arena *a, const void *at, unsigned page, bool exact,
                           uint32_t least, const char *how)
{
	const _Atomic uint64_t *w = at;
	uint32_t min = UINT32_MAX;

	for (unsigned i = 0; i < 512; i += 512 / WORDS) {
		uint64_t v = atomic_load_explicit(&w[i], memory_order_relaxed);
		uint32_t count = v & ((1u << COUNT_BITS) - 1);

		if (v - count != word_name(a, page, i)) {
			char text[150];

			snprintf(text, sizeof(text), "%s: a strange word %016lx at %u", how,
			         (unsigned long)v, i);
			wrong(text, a, page, count, least);
			return least;
		}
		if (count < least || (exact && count > least))
			wrong(how, a, page, count, least);
		if (count < min)
			min = count;
	}
	return min;
}

/* The owner's step: what it left there is there, then the next count. */
static void advance(struct arena *a, void *at, unsigned page, const char *how)
{
	uint32_t c = atomic_load_explicit(&a->count[page], memory_order_relaxed);

	load_words(a, at, page, true, c, how);
	store_words(a, at, page, c + 1);
	/* release: who commits from here on has the stores in its cut */
	atomic_store_explicit(&a->count[page], c + 1, memory_order_release);
}

static void *window_at(const struct arena *a, unsigned page)
{
	return (void *)(a->at + page * PG);
}

static unsigned own_page(struct worker *w, unsigned owner)
{
	return (unsigned)pick(w, PAGES / 8) * 8 + owner;
}

/* ---- owners that store by pins and through the window -------------------------------------------- */

static void write_by_fast_pin(struct worker *w, struct arena *a, unsigned page)
{
	struct page *p;
	int r = get_user_pages_fast(a->at + page * PG, 1, FOLL_WRITE, &p);

	if (r != 1) {
		wrong("fast write pin", a, page, r, 1);
		return;
	}
	advance(a, page_address(p), page, "fast write pin");
	r = pick(w, 2) ? put_user_page(p) : put_user_pages_dirty_lock(&p, 1);
	if (r)
		wrong("put", a, page, r, 0);
}

static void write_by_slow_pin(struct worker *w, struct arena *a, unsigned page)
{
	struct page *p;
	int locked = 1;
	long r;

	if (pick(w, 2)) {
		r = get_user_pages_unlocked(a->at + page * PG, 1, &p, FOLL_WRITE);
	} else {
		mmap_read_lock(a->mm);
		r = get_user_pages_locked(a->at + page * PG, 1, FOLL_WRITE, &p, &locked);
		if (locked)
			mmap_read_unlock(a->mm);
	}
	if (r != 1) {
		wrong("slow write pin", a, page, r, 1);
		return;
	}
	advance(a, page_address(p), page, "slow write pin");
	if (put_user_pages_dirty(&p, 1))
		wrong("dirty put", a, page, 1, 0);
}

static void write_by_batch(struct worker *w, struct arena *a, unsigned page)
{
	unsigned first = page - page % 8, n = 8 + 8 * (unsigned)pick(w, 4), me = page % 8;
	struct page *p[40];
	int r;

	if (first + n > PAGES)
		n = PAGES - first;
	r = get_user_pages_fast(a->at + first * PG, (int)n, FOLL_WRITE, p);
	if (r != (int)n)
		wrong("batch of write pins", a, first, r, n);
	for (int i = 0; i < r; i++)
		if (i % 8 == (int)me)
			advance(a, page_address(p[i]), first + (unsigned)i, "batch");
	if (r > 0 && put_user_pages_dirty_lock(p, (unsigned long)r))
		wrong("batch put", a, first, 1, 0);
}

static void write_by_copy(struct worker *w, struct arena *a, unsigned page)
{
	uint64_t buf[512];
	long r = access_process_vm(a->mm, a->at + page * PG, buf, PG, 0);
	uint32_t c;

	(void)w;
	if (r != (long)PG) {
		wrong("copy from", a, page, r, PG);
		return;
	}
	c = atomic_load_explicit(&a->count[page], memory_order_relaxed) + 1;
	load_words(a, buf, page, true, c - 1, "copy");
	store_words(a, buf, page, c);
	r = access_process_vm(a->mm, a->at + page * PG, buf, PG, FOLL_WRITE);
	if (r != (long)PG)
		wrong("copy to", a, page, r, PG);
	atomic_store_explicit(&a->count[page], c, memory_order_release); /* as advance() */
}

static void write_by_store(struct worker *w, struct arena *a, unsigned page)
{
	if (!a->window || a->async)
		write_by_copy(w, a, page);
	else
		advance(a, window_at(a, page), page, "store");
}

/*
 * What was fixed up may be gone again before the store, which then faults by itself.  The lock may be dropped: under it a
 * wait for room could end at the deadline only, see doc/locking.md.
 */
static void write_after_fixup(struct worker *w, struct arena *a, unsigned page)
{
	bool unlocked = false;
	int r;

	if (!a->async) { /* its stores want a section */
		mmap_read_lock(a->mm);
		r = fixup_user_fault(NULL, a->mm, a->at + page * PG, FAULT_FLAG_WRITE, &unlocked);
		mmap_read_unlock(a->mm);
		if (r)
			wrong("fixup", a, page, r, 0);
	}
	write_by_store(w, a, page);
}

static void write_by_iovec(struct worker *w, struct arena *a, unsigned page)
{
	struct iovec iov = { (char *)a->at + page * PG, PG };
	struct iov_iter i;
	struct page **p = NULL;
	size_t start = 0;
	ssize_t r;

	(void)w;
	if (iov_iter_init(&i, ITER_DEST, &iov, 1, PG))
		wrong("iovec", a, page, 1, 0);
	r = iov_iter_get_pages_alloc(&i, &p, PG, &start);
	if (r != (ssize_t)PG) {
		wrong("pages of an iovec", a, page, r, PG);
		return;
	}
	advance(a, page_address(p[0]), page, "iovec");
	if (put_user_pages_dirty_lock(p, 1))
		wrong("put of an iovec's page", a, page, 1, 0);
	free(p);
}

static void give_back(struct worker *w, unsigned slot)
{
	int r;

	if (!w->held[slot])
		return;
	r = pick(w, 2) ? put_user_page(w->held[slot]) : put_user_pages_dirty_lock(&w->held[slot], 1);
	if (r)
		wrong("late put", &w->scene->arena[w->held_arena[slot]], w->held_page[slot], r, 0);
	w->held[slot] = NULL;
}

/* A device that goes on writing while commits come and go. */
static void write_by_held_pin(struct worker *w, struct arena *a, unsigned page)
{
	unsigned slot = (unsigned)pick(w, HELD);
	int r;

	if (w->held[slot] && pick(w, 4)) {
		a = &w->scene->arena[w->held_arena[slot]];
		advance(a, page_address(w->held[slot]), w->held_page[slot], "held pin");
		return;
	}
	give_back(w, slot);
	r = get_user_pages_fast(a->at + page * PG, 1, FOLL_WRITE, &w->held[slot]);
	if (r != 1) {
		w->held[slot] = NULL;
		wrong("pin to hold", a, page, r, 1);
	}
	w->held_page[slot] = page;
	w->held_arena[slot] = a->id;
}

static void *writer(void *arg)
{
	static void (*const way[])(struct worker *, struct arena *, unsigned) = {
		write_by_fast_pin, write_by_slow_pin, write_by_batch, write_by_store, write_by_copy,
		write_by_held_pin, write_after_fixup, write_by_iovec,
	};
	struct worker *w = arg;

	for (; !atomic_load(&ended); w->rounds++) {
		struct arena *a = pick_arena(w);
		unsigned page = own_page(w, w->me);

		/* Mostly a part that stays in memory, so that there is something to be faster than. */
		if (pick(w, 8))
			page %= 1024;
		way[pick(w, sizeof(way) / sizeof(way[0]))](w, a, page);
	}
	for (unsigned i = 0; i < HELD; i++)
		give_back(w, i);
	return NULL;
}

/* ---- owners that store in sections: two pages of a block in one step ------------------------------ */

static unsigned pair_page(unsigned block, unsigned me, unsigned second)
{
	return block * BLOCK + 3 + 4 * me + 8 * second;
}

static void write_pair(struct worker *w, struct arena *a)
{
	unsigned block = (unsigned)pick(w, pick(w, 8) ? 64 : PAGES / BLOCK);
	bool stores = a->window && (a->async || pick(w, 2));

	pinfold_use_mm(a->mm);
	for (unsigned i = 0; i < 2; i++) {
		unsigned page = pair_page(block, w->me, i);

		if (stores)
			advance(a, window_at(a, page), page, "store in a section");
		else
			write_by_fast_pin(w, a, page);
	}
}

/* False: no room now; a commit will make some. */
static bool begin(struct arena *a, size_t bytes)
{
	int r = pinfold_write_begin(a->file, bytes);

	if (r == -ENOSPC)
		nap_ms(1);
	else if (r)
		wrong("write_begin", a, 0, r, 0);
	return !r;
}

static void end(struct arena *a)
{
	int r = pinfold_write_end(a->file);

	if (r)
		wrong("write_end", a, 0, r, 0);
}

static void *section_writer(void *arg)
{
	struct worker *w = arg;

	for (; !atomic_load(&ended); w->rounds++) {
		struct arena *a = pick_arena(w), *b = pick(w, 4) ? a : pick_arena(w);

		if (!begin(a, 2 * PG))
			continue;
		write_pair(w, a);
		if (b != a && begin(b, 2 * PG)) {
			write_pair(w, b);
			end(b);
		}
		end(a);
	}
	return NULL;
}

/* ---- those who only look -------------------------------------------------------------------------- */

static void look(struct worker *w, struct arena *a, const void *at, unsigned page, const char *how)
{
	uint32_t *seen = &w->seen[a->id][page];

	*seen = load_words(a, at, page, false, *seen, how);
}

static void look_by_pin(struct worker *w, struct arena *a, unsigned page)
{
	unsigned n = pick(w, 2) ? 1 : 1 + (unsigned)pick(w, 32);
	struct page *p[32];
	long r;

	if (page + n > PAGES)
		n = PAGES - page;
	if (pick(w, 2))
		r = get_user_pages_fast(a->at + page * PG, (int)n, 0, p);
	else
		r = get_user_pages_unlocked(a->at + page * PG, n, p, 0);
	if (r != (long)n)
		wrong("read pins", a, page, r, n);
	for (long i = 0; i < r; i++)
		look(w, a, page_address(p[i]), page + (unsigned)i, "read pin");
	if (r <= 0)
		return;
	if (r == 1 && !pick(w, 4)) /* dirty for nothing; few, as the limit does not hold them off */
		r = put_user_pages_dirty(p, (unsigned long)r);
	else
		r = put_user_pages(p, (unsigned long)r);
	if (r)
		wrong("put of read pins", a, page, r, 0);
}

static void look_by_ref(struct worker *w, struct arena *a, unsigned page)
{
	struct page *p;
	int r = get_user_pages_fast(a->at + page * PG, 1, 0, &p);

	if (r != 1) {
		wrong("pin for a reference", a, page, r, 1);
		return;
	}
	if (get_page(p) || put_user_page(p))
		wrong("reference", a, page, 1, 0);
	look(w, a, page_address(p), page, "reference");
	if (put_page(p))
		wrong("put of a reference", a, page, 1, 0);
}

static void look_at_once(struct worker *w, struct arena *a, unsigned page)
{
	struct page *p;
	long r = get_user_pages_unlocked(a->at + page * PG, 1, &p, FOLL_NOWAIT);

	if (r < 0 || r > 1)
		wrong("NOWAIT", a, page, r, 0);
	if (r != 1)
		return;
	look(w, a, page_address(p), page, "NOWAIT pin");
	put_user_page(p);
}

/* Brought in, and found without a fault where nobody took it away in between. */
static void look_by_follow(struct worker *w, struct arena *a, unsigned page)
{
	unsigned long at = a->at + page * PG;
	struct page *p;

	if (fault_in_readable((char *)at, PG))
		wrong("fault_in", a, page, 1, 0);
	mmap_read_lock(a->mm);
	p = follow_page(vma_lookup(a->mm, at), at, FOLL_GET);
	mmap_read_unlock(a->mm);
	if (IS_ERR(p))
		wrong("follow_page", a, page, PTR_ERR(p), 0);
	if (!p || IS_ERR(p))
		return;
	look(w, a, page_address(p), page, "followed page");
	if (put_user_page(p))
		wrong("put of a followed page", a, page, 1, 0);
}

static void look_by_vector(struct worker *w, struct arena *a, unsigned page)
{
	unsigned n = page + 8 > PAGES ? PAGES - page : 8;
	struct frame_vector *vec = frame_vector_create(n);
	int r = vec ? get_vaddr_frames(a->at + page * PG, n, 0, vec) : -ENOMEM;

	if (r != (int)n)
		wrong("frame vector", a, page, r, n);
	if (!vec)
		return;
	if (pick(w, 2))
		frame_vector_to_pfns(vec);
	for (int i = 0; i < r; i++)
		look(w, a, page_address(frame_vector_pages(vec)[i]), page + (unsigned)i, "frame");
	if (put_vaddr_frames(vec) || frame_vector_destroy(vec))
		wrong("put of frames", a, page, 1, 0);
}

static void *reader(void *arg)
{
	struct worker *w = arg;

	for (; !atomic_load(&ended); w->rounds++) {
		struct arena *a = pick_arena(w);
		unsigned page = (unsigned)pick(w, pick(w, 4) ? 1024 : PAGES);

		switch (pick(w, 7)) {
		case 0:
			look_by_ref(w, a, page);
			break;
		case 5:
			look_by_follow(w, a, page);
			break;
		case 6:
			look_by_vector(w, a, page);
			break;
		case 1:
			look_at_once(w, a, page);
			break;
		case 2:
		case 3:
			if (a->window) {
				look(w, a, window_at(a, page), page, "load");
				break;
			}
			/* fallthrough */
		default:
			look_by_pin(w, a, page);
		}
	}
	return NULL;
}

/* ---- those who disturb ---------------------------------------------------------------------------- */

/* An owner's step on a mapping of its own. */
static void advance_in(struct worker *w, struct arena *a, struct mm_struct *mm, unsigned long at,
                       unsigned page)
{
	struct page *p;

	if (mm == a->side || !a->window || pick(w, 2)) {
		int r;

		pinfold_use_mm(mm);
		r = get_user_pages_fast(at, 1, FOLL_WRITE, &p);
		if (r != 1) {
			wrong("write pin on another mapping", a, page, r, 1);
			return;
		}
		advance(a, page_address(p), page, "pin on another mapping");
		put_user_pages_dirty_lock(&p, 1);
	} else if (!a->async) {
		advance(a, (void *)at, page, "store to another mapping");
	} else if (begin(a, PG)) {
		advance(a, (void *)at, page, "store to another mapping, in a section");
		end(a);
	}
}

static void *remapper(void *arg)
{
	struct worker *w = arg;

	for (; !atomic_load(&ended); w->rounds++) {
		struct arena *a = pick_arena(w);
		struct mm_struct *mm = pick(w, 3) ? a->mm : a->side;
		unsigned first = (unsigned)pick(w, 64) * 8, n = 8 * (1 + (unsigned)pick(w, 64));
		unsigned flags = SHARED | (pick(w, 4) ? 0 : PINFOLD_MAP_POPULATE);
		long at = vm_mmap(mm, 0, n * PG, RW, (int)flags, a->file, first * PG);

		if (at < 0) {
			wrong("mmap", a, first, at, 0);
			break;
		}
		for (unsigned i = 0; i < n && !atomic_load(&ended); i += 8)
			advance_in(w, a, mm, (unsigned long)at + (i + OWNER_REMAP) * PG,
			           first + i + OWNER_REMAP);
		if (vm_munmap(mm, (unsigned long)at, n * PG))
			wrong("munmap", a, first, 1, 0);
	}
	return NULL;
}

static void protect(struct arena *a, unsigned long at, unsigned n, int prot)
{
	int r = vm_mprotect(a->mm, at, n * PG, prot);

	if (r)
		wrong("mprotect", a, 0, r, 0);
}

static void *protector(void *arg)
{
	enum { N = 256 };
	struct worker *w = arg;
	long at[MAX_ARENAS];

	for (unsigned k = 0; k < w->scene->nr; k++) {
		struct arena *a = &w->scene->arena[k];

		at[k] = vm_mmap(a->mm, 0, N * PG, RW, SHARED, a->file, 0);
		if (at[k] < 0)
			wrong("mmap to protect", a, 0, at[k], 0);
	}
	for (; !atomic_load(&ended); w->rounds++) {
		struct arena *a = pick_arena(w);
		unsigned long base = (unsigned long)at[a->id];
		unsigned page = (unsigned)pick(w, N / 8) * 8 + OWNER_PROTECT;
		unsigned long addr = base + page * PG;
		struct page *p;

		advance_in(w, a, a->mm, addr, page);
		protect(a, base, N, PINFOLD_PROT_READ);
		if (a->window)
			load_words(a, (void *)addr, page, true, a->count[page], "read-only load");
		if (get_user_pages_fast(addr, 1, FOLL_WRITE, &p) != -EFAULT)
			wrong("write pin of a read-only mapping", a, page, 0, -EFAULT);
		protect(a, base, N, PINFOLD_PROT_NONE);
		if (get_user_pages_fast(addr, 1, 0, &p) != -EFAULT)
			wrong("read pin without the right", a, page, 0, -EFAULT);
		protect(a, base, N, RW);
	}
	for (unsigned k = 0; k < w->scene->nr; k++)
		vm_munmap(w->scene->arena[k].mm, (unsigned long)at[k], N * PG);
	return NULL;
}

static void *dropper(void *arg)
{
	struct worker *w = arg;

	for (; !atomic_load(&ended); w->rounds++) {
		struct arena *a = pick_arena(w);
		unsigned first = (unsigned)pick(w, PAGES - 64), n = 1 + (unsigned)pick(w, 64);
		unsigned long at = a->at + (pick(w, 2) ? first % 1024 : first) * PG;
		long r;

		switch (pick(w, 5)) {
		case 0:
			r = pinfold_reclaim(a->m, 1 + pick(w, 256));
			break;
		case 3: /* changes nothing, and must give no right back that reclaim took for a moment */
			r = vm_mprotect(a->mm, a->at, PAGES * PG, RW);
			break;
		case 1:
			r = pinfold_prefetch(a->mm, at, n * PG);
			break;
		case 2:
			r = vm_madvise(a->mm, at, n * PG, PINFOLD_MADV_WILLNEED);
			pinfold_progress(a->m);
			break;
		default:
			r = vm_madvise(a->mm, at, n * PG, PINFOLD_MADV_DONTNEED);
		}
		if (r < 0)
			wrong("advice", a, first, r, 0);
	}
	return NULL;
}

/* ---- commits, and what the file holds then -------------------------------------------------------- */

static void read_file(struct arena *a, unsigned page, uint64_t *buf)
{
	if (pread(a->fd, buf, PG, (off_t)(page * PG)) != (ssize_t)PG)
		wrong("pread", a, page, errno, 0);
}

/* Of each block of the range one ordinary page: its count before the freeze. */
static unsigned checked_page(unsigned block)
{
	static const unsigned owner[] = { 0, 1, 2, OWNER_REMAP, OWNER_PROTECT };

	return block * BLOCK + owner[block % 5];
}

static void check_file(struct arena *a, unsigned first, unsigned blocks, const uint32_t *least)
{
	uint64_t one[512], two[512];

	for (unsigned i = 0; i < blocks; i++) {
		unsigned page = checked_page(first + i);

		read_file(a, page, one);
		load_words(a, one, page, false, least[i], "the file after a commit");
		for (unsigned k = 0; k < SECTIONS; k++) {
			unsigned p = pair_page(first + i, k, 0), q = pair_page(first + i, k, 1);

			read_file(a, p, one);
			read_file(a, q, two);
			load_words(a, two, q, true,
			           load_words(a, one, p, true, one[0] & ((1u << COUNT_BITS) - 1),
			                      "half a page of a section"),
			           "half a section in the file");
		}
	}
}

static void *committer(void *arg)
{
	struct worker *w = arg;
	uint32_t least[64];

	for (; !atomic_load(&commits_ended); w->rounds++) {
		struct arena *a = pick_arena(w);
		bool part = pick(w, 4) == 0;
		unsigned first = (unsigned)pick(w, pick(w, 2) ? 1 : PAGES / BLOCK - 64), n = 64;
		struct pinfold_report rep = { .size = sizeof(rep) };
		int64_t cut;
		int r;

		for (unsigned i = 0; i < n; i++)
			least[i] = atomic_load_explicit(&a->count[checked_page(first + i)],
			                                memory_order_acquire);
		cut = pinfold_freeze(a->file, part ? first * BLOCK * PG : 0,
		                     part ? (uint64_t)n * BLOCK * PG : 0);
		if (cut < 0)
			wrong("freeze", a, first, cut, 1);
		if (!pick(w, 4))
			nap_ms((unsigned)pick(w, 10));
		r = cut < 0 ? 0 : pinfold_commit_wait(a->file, cut, &rep);
		if (r || rep.flags)
			wrong("commit", a, first, r, rep.flags);
		else
			check_file(a, first, n, least);
		if (!pick(w, 8) && (r = pinfold_checkpoint(a->file)))
			wrong("checkpoint", a, 0, r, 0);
	}
	return NULL;
}

/* ---- a scene from beginning to end ---------------------------------------------------------------- */

static void make_file(struct arena *a)
{
	uint64_t page[512];

	new_path(a->path, sizeof(a->path));
	a->fd = open(a->path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	assert_true(a->fd >= 0);
	for (unsigned p = 0; p < PAGES; p++) {
		memset(page, 0, sizeof(page));
		store_words(a, page, p, 0);
		assert_int_equal(pwrite(a->fd, page, PG, (off_t)(p * PG)), PG);
	}
}

/* No access of these tests may fail: says which did, before it kills. */
static int say_fault(void *arg, const struct pinfold_fault *f)
{
	(void)arg;
	dprintf(2, "no fault may fail: error %d, %s at %#lx, file offset %#lx\n", f->error, f->write ? "store" : "load",
	        f->address, (unsigned long)f->offset);
	return 1;
}

static struct pinfold *small_machine(unsigned flags)
{
	bool direct_file = flags & PINFOLD_FILE_DIRECT;
	struct pinfold_options o = {
		.size = sizeof(o), .memory = direct_file ? 16 * MIB : 8 * MIB,
		.pool = direct_file ? 4 * MIB : 8 * MIB, .staging = MIB, .dirty_limit = 4 * MIB,
		.deadline_ms = 60000, .fault_policy = say_fault,
	};
	struct pinfold *m;

	assert_ok(pinfold_create(&o, &m));
	return m;
}

static void open_arena(struct scene *s, unsigned flags, bool window_mm)
{
	struct pinfold_file_options fo = { .size = sizeof(fo), .flags = flags };
	struct arena *a = &s->arena[s->nr];
	bool share = s->nr && s->one_machine;
	long at;

	a->id = s->nr++;
	a->window = window_mm;
	a->async = flags & PINFOLD_FILE_ASYNC_WP;
	a->count = calloc(PAGES, sizeof(*a->count));
	assert_non_null(a->count);
	make_file(a);
	a->m = share ? s->arena[0].m : small_machine(flags);
	assert_ok(pinfold_open(a->m, a->path, &fo, &a->file));
	if (share) {
		a->mm = s->arena[0].mm;
		a->side = s->arena[0].side;
	} else {
		assert_ok(pinfold_mm_create(a->m, window_mm, &a->mm));
		assert_ok(pinfold_mm_create(a->m, PINFOLD_WINDOW_NONE, &a->side));
	}
	at = vm_mmap(a->mm, 0, PAGES * PG, RW, SHARED, a->file, 0);
	assert_true(at > 0);
	a->at = (unsigned long)at;
}

/* Everything is as its owner left it: by pin, and by load. */
static void check_arena(struct arena *a)
{
	assert_ok(pinfold_use_mm(a->mm));
	for (unsigned p = 0; p < PAGES; p++) {
		struct page *page = pin_one(a->at + p * PG, 0);

		load_words(a, page_address(page), p, true, a->count[p], "at the end, by pin");
		assert_ok(put_user_page(page));
		if (a->window)
			load_words(a, window_at(a, p), p, true, a->count[p], "at the end, by load");
	}
	assert_ok(pinfold_use_mm(NULL));
}

static void close_arena(struct scene *s, struct arena *a)
{
	struct pinfold_report rep = { .size = sizeof(rep) };
	uint64_t buf[512];
	char journal[700];

	/* First: dirty puts pass the limit, and with every frame dirty there is none for the look. */
	assert_ok(pinfold_commit(a->file, 0, 0, &rep));
	assert_int_equal(rep.pinned, 0);
	check_arena(a);
	assert_ok(vm_munmap(a->mm, a->at, PAGES * PG));
	check_machine(a->m);
	assert_ok(pinfold_close(a->file));
	snprintf(journal, sizeof(journal), "%s.pinfold", a->path);
	assert_int_equal(access(journal, F_OK), -1);
	for (unsigned p = 0; p < PAGES; p++) {
		read_file(a, p, buf);
		load_words(a, buf, p, true, a->count[p], "in the closed file");
	}
	close(a->fd);
	unlink(a->path);
	free(a->count);
	if (a != s->arena && s->one_machine)
		return;
	assert_ok(pinfold_mm_destroy(a->mm));
	assert_ok(pinfold_mm_destroy(a->side));
}

static void start(struct scene *s, struct worker *w, void *(*fn)(void *), unsigned me)
{
	static uint64_t seed = 1;

	w += s->nr_threads;
	w->scene = s;
	w->me = me;
	w->seed = seed++ * 0x9e3779b97f4a7c15ull;
	for (unsigned i = 0; i < s->nr; i++)
		w->seen[i] = calloc(PAGES, sizeof(uint32_t));
	assert_ok(pthread_create(&s->thread[s->nr_threads++], NULL, fn, w));
}

static void run(struct scene *s)
{
	struct worker w[MAX_THREADS] = { 0 };
	uint64_t end_ms = now_ms() + seconds() * 1000, rounds = 0;

	atomic_store(&ended, false);
	atomic_store(&commits_ended, false);
	atomic_store(&wrongs, 0);
	for (unsigned i = 0; i < WRITERS; i++)
		start(s, w, writer, i);
	for (unsigned i = 0; i < SECTIONS; i++)
		start(s, w, section_writer, i);
	for (unsigned i = 0; i < READERS; i++)
		start(s, w, reader, i);
	start(s, w, remapper, 0);
	start(s, w, protector, 0);
	start(s, w, dropper, 0);
	start(s, w, committer, 0);
	while (now_ms() < end_ms && !atomic_load(&ended))
		nap_ms(10);
	atomic_store(&ended, true);
	for (unsigned i = 0; i < s->nr_threads; i++) {
		if (i == s->nr_threads - 1) /* the committer */
			atomic_store(&commits_ended, true);
		pthread_join(s->thread[i], NULL);
		rounds += w[i].rounds;
		for (unsigned k = 0; k < s->nr; k++)
			free(w[i].seen[k]);
		if (getenv("PINFOLD_STRESS_VERBOSE"))
			print_message("thread %u: %lu rounds\n", i, (unsigned long)w[i].rounds);
	}
	print_message("%lu rounds\n", (unsigned long)rounds);
}

static void finish(struct scene *s)
{
	struct pinfold_stats st = stats_of(s->arena[0].m);

	print_message("%lu dirty at the end, %lu frames free; %lu fast pins, %lu slow, %lu evicted, "
	              "%lu commits of %lu pages, %lu claims by writers\n",
	              (unsigned long)st.dirty_pages, (unsigned long)(st.frames_free + st.direct_free),
	              (unsigned long)st.fast_pins, (unsigned long)st.slow_pins,
	              (unsigned long)st.evicted, (unsigned long)st.commits,
	              (unsigned long)st.commit_pages, (unsigned long)st.claims_by_writer);
	for (unsigned i = s->nr; i-- > 0;)
		if (!atomic_load(&wrongs))
			close_arena(s, &s->arena[i]);
	if (atomic_load(&wrongs))
		fail_msg("%u wrong; first: %s", atomic_load(&wrongs), first_wrong);
	end_machine(s->arena[0].m);
	if (!s->one_machine && s->nr == 2)
		end_machine(s->arena[1].m);
}

static void act(unsigned flags, bool window_mm, unsigned files, bool one_machine)
{
	struct scene s = { .one_machine = one_machine };

	if (window_mm)
		need_window();
	arm_signals();
	for (unsigned i = 0; i < files; i++)
		open_arena(&s, flags, window_mm);
	run(&s);
	finish(&s);
}

static void direct_window(void **state)
{
	(void)state;
	act(PINFOLD_FILE_DIRECT, true, 1, true);
}

static void pool_without_window(void **state)
{
	(void)state;
	act(0, false, 1, true);
}

static void direct_without_window(void **state)
{
	(void)state;
	act(PINFOLD_FILE_DIRECT | PINFOLD_FILE_NO_JOURNAL, false, 1, true);
}

static void asynchronous_window(void **state)
{
	(void)state;
	act(PINFOLD_FILE_DIRECT | PINFOLD_FILE_ASYNC_WP, true, 1, true);
}

static void two_files(void **state)
{
	(void)state;
	act(PINFOLD_FILE_DIRECT, true, 2, true);
}

static void two_machines(void **state)
{
	(void)state;
	act(PINFOLD_FILE_DIRECT, true, 2, false);
}

/* ---- files that come and go under reclaim ---------------------------------------------------------- */

#define CHURN 3u
#define CHURN_PAGES 512u

struct churn {
	struct worker w; /* first */
	struct arena a;
};

/* One life of a file: what was committed in earlier ones is there, what was not is gone. */
static void one_life(struct churn *c, unsigned flags, struct mm_struct *mm)
{
	struct pinfold_file_options fo = { .size = sizeof(fo), .flags = flags };
	struct arena *a = &c->a;
	uint32_t add[CHURN_PAGES] = { 0 };
	bool keep = pick(&c->w, 4);
	struct page *p[16];
	long at;
	int r = pinfold_open(a->m, a->path, &fo, &a->file);

	at = r ? r : vm_mmap(mm, 0, CHURN_PAGES * PG, RW, SHARED, a->file, 0);
	if (at < 0) {
		wrong("open and map", a, 0, at, 0);
		return;
	}
	for (unsigned first = 0; first < CHURN_PAGES; first += 16) {
		bool write = !pick(&c->w, 4);

		r = get_user_pages_fast((unsigned long)at + first * PG, 16, write ? FOLL_WRITE : 0, p);
		if (r != 16)
			wrong("pin in a life", a, first, r, 16);
		for (int i = 0; i < r; i++) {
			unsigned page = first + (unsigned)i;

			load_words(a, page_address(p[i]), page, true, a->count[page], "a life");
			if (write)
				store_words(a, page_address(p[i]), page, a->count[page] + ++add[page]);
		}
		if (r > 0)
			put_user_pages(p, (unsigned long)r);
	}
	if (keep && (r = pinfold_commit(a->file, 0, 0, NULL)))
		wrong("commit in a life", a, 0, r, 0);
	for (unsigned i = 0; keep && i < CHURN_PAGES; i++)
		a->count[i] += add[i];
	if ((r = vm_munmap(mm, (unsigned long)at, CHURN_PAGES * PG)) || (r = pinfold_close(a->file)))
		wrong("unmap and close", a, 0, r, 0);
}

static void *churner(void *arg)
{
	struct churn *c = arg;
	struct mm_struct *mm;

	for (; !atomic_load(&ended); c->w.rounds++) {
		unsigned flags = pick(&c->w, 2) ? PINFOLD_FILE_DIRECT : 0;

		if (pinfold_mm_create(c->a.m, PINFOLD_WINDOW_NONE, &mm) || pinfold_use_mm(mm))
			wrong("mm", &c->a, 0, 1, 0);
		else
			one_life(c, flags | (pick(&c->w, 4) ? 0 : PINFOLD_FILE_NO_JOURNAL), mm);
		if (pinfold_mm_destroy(mm))
			wrong("mm_destroy", &c->a, 0, 1, 0);
	}
	return NULL;
}

static void *reclaimer(void *arg)
{
	struct pinfold *m = arg;

	while (!atomic_load(&ended))
		if (pinfold_reclaim(m, 64) < 0)
			wrong("reclaim", NULL, 0, 1, 0);
	return NULL;
}

static void open_and_close(void **state)
{
	struct pinfold *m = small_machine(PINFOLD_FILE_DIRECT);
	uint64_t end_ms = now_ms() + seconds() * 1000, rounds = 0;
	static struct churn c[CHURN];
	pthread_t t[CHURN + 2];

	(void)state;
	memset(c, 0, sizeof(c));
	atomic_store(&ended, false);
	atomic_store(&wrongs, 0);
	for (unsigned i = 0; i < CHURN; i++) {
		c[i].a.m = m;
		c[i].a.id = i;
		c[i].w.seed = i + 1;
		c[i].a.count = calloc(PAGES, sizeof(*c[i].a.count));
		make_file(&c[i].a);
		assert_ok(ftruncate(c[i].a.fd, CHURN_PAGES * PG));
		assert_ok(pthread_create(&t[i], NULL, churner, &c[i]));
	}
	for (unsigned i = CHURN; i < CHURN + 2; i++)
		assert_ok(pthread_create(&t[i], NULL, reclaimer, m));
	while (now_ms() < end_ms && !atomic_load(&ended))
		nap_ms(10);
	atomic_store(&ended, true);
	for (unsigned i = 0; i < CHURN + 2; i++)
		pthread_join(t[i], NULL);
	for (unsigned i = 0; i < CHURN; i++) {
		uint64_t buf[512];

		rounds += c[i].w.rounds;
		for (unsigned p = 0; p < CHURN_PAGES; p++) {
			read_file(&c[i].a, p, buf);
			load_words(&c[i].a, buf, p, true, c[i].a.count[p], "after the last life");
		}
		close(c[i].a.fd);
		unlink(c[i].a.path);
		free(c[i].a.count);
	}
	print_message("%lu lives\n", (unsigned long)rounds);
	if (atomic_load(&wrongs))
		fail_msg("%u wrong; first: %s", atomic_load(&wrongs), first_wrong);
	end_machine(m);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(direct_window),
		cmocka_unit_test(pool_without_window),
		cmocka_unit_test(direct_without_window),
		cmocka_unit_test(asynchronous_window),
		cmocka_unit_test(two_files),
		cmocka_unit_test(two_machines),
		cmocka_unit_test(open_and_close),
	};

	if (argc > 1) /* one scenario, by hand */
		cmocka_set_test_filter(argv[1]);
	return world_main(tests);
}
