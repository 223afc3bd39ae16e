/* SPDX-License-Identifier: MIT */
/*
 * gup_fast.c - the lockless walk (decision D8).  It may only say "not me": what it does not pin is the
 * slow path's.
 *
 * No lock, no system call, no allocation.  For a run of one folio's pages: one xadd.  The order:
 *   1 sample mm->table_seq          (acquire; partner: the release bump in pgtable.c)
 *   2 load parents and slot         (acquire; partner: slot_set())
 *   3 set the sticky flags, if clear
 *   4 xadd the pins                 (full barrier; partner: host_mb() in writeback.c and the leaf lock's
 *                                    release before a freeze of the count)
 *   5 look at the flags again, load the slot again (seq_cst: not before 4), compare the sequence: any
 *     change undoes
 */
#include <errno.h>

#include "lib/export.h"
#include "lib/records.h"
#include "mm/gup.h"
#include "mm/registry.h"

static inline __attribute__((always_inline)) const struct table *
gup_fast_child(const struct table *t, unsigned long addr, unsigned level)
{
	return (const struct table *)(uintptr_t)atomic_load_explicit(
		&t->e[(addr >> (PAGE_SHIFT + 9 * level)) & (TABLE_SLOTS - 1)], memory_order_acquire);
}

/* How many of the following slots show the next pages of the same folio. */
static inline unsigned gup_fast_run(const slot_t *slot, uint64_t first, struct page *page,
                                    unsigned max)
{
	unsigned n = 1, left = (1u << atomic_load_explicit(&page_head(page)->order, memory_order_relaxed)) - page_tail(page);

	if (max > left)
		max = left;
	while (n < max && atomic_load_explicit(&slot[n], memory_order_acquire) ==
	                  first + ((uint64_t)n << PAGE_SHIFT))
		n++;
	return n;
}

/* Do n slots still show the pages that begin with s? */
static inline bool gup_fast_same(const slot_t *slot, uint64_t s, unsigned n)
{
	bool same = true;

	for (unsigned i = 0; i < n; i++)
		same &= atomic_load(&slot[i]) == s + ((uint64_t)i << PAGE_SHIFT);
	return same;
}

/* Pages [first, first + n) of a folio, which `slots` slots from `slot` on showed when the first was read as s. */
struct fast_folio {
	struct page *head;
	unsigned first, n;
	const slot_t *slot;
	uint64_t s;
	unsigned slots;
};

/*
 * Are the pins that were counted on the head those of these pages?  A page's slot is cleared before its frame is freed or
 * its folio split.  But the same frames may have come back to the same slots as other folios: were these pages the
 * head's when the slots were looked at?  Marks: page.h.
 */
static inline bool gup_fast_confirm(const struct fast_folio *f)
{
	if (!gup_fast_same(f->slot, f->s, f->slots) || page_head(f->head + f->first) != f->head ||
	    page_head(f->head + f->first + f->n - 1) != f->head)
		return false;
	if (folio_marks(f->head, f->first, f->n, false))
		return true;
	folio_marks(f->head, f->first, f->n, true);
	return gup_fast_same(f->slot, f->s, f->slots);
}

/* One xadd.  How many; 0: not me. */
static inline unsigned gup_fast_pages(struct pinfold *m, const struct fast_folio *f, uint32_t sticky, struct page **pages)
{
	if (unlikely(!page_pin(m, f->head, f->n, sticky)))
		return 0;
	if (unlikely(!gup_fast_confirm(f))) {
		page_unpin(m, f->head, f->n);
		return 0;
	}
	records_fill(pages, f->head + f->first, f->n);
	return f->n;
}

/* Those that slot[0], read as s, and its followers show. */
static __attribute__((noinline)) unsigned gup_fast_folio(struct pinfold *m, const slot_t *slot, uint64_t s,
                                                         unsigned max, uint32_t sticky,
                                                         struct page **pages)
{
	struct page *page = pfn_to_page(m, s >> PAGE_SHIFT), *head = page_head(page);
	struct fast_folio f = { .head = head, .first = (unsigned)(page - head), .slot = slot, .s = s };

	f.n = f.slots = gup_fast_run(slot, s, page, max);
	return gup_fast_pages(m, &f, sticky, pages);
}

/* Those from `at` on of the folio that a 2 MiB slot shows. */
static __attribute__((noinline)) unsigned gup_fast_huge(struct pinfold *m, const slot_t *slot, unsigned at,
                                                        unsigned n, uint64_t need, uint32_t sticky,
                                                        struct page **pages)
{
	uint64_t s = atomic_load_explicit(slot, memory_order_acquire);
	struct fast_folio f = {
		.head = pfn_to_page(m, s >> PAGE_SHIFT), .first = at, .n = n, .slot = slot, .s = s, .slots = 1,
	};

	if ((s & (need | SLOT_HUGE)) != (need | SLOT_HUGE))
		return 0;
	return gup_fast_pages(m, &f, sticky, pages);
}

/* One plain page, which a slot showed as s.  False: not me. */
static inline __attribute__((always_inline)) bool
gup_fast_page(struct pinfold *m, struct page *page, const slot_t *slot, uint64_t s, uint32_t sticky)
{
	page_mark_pin(page, sticky);
	if (likely(!(atomic_fetch_add(&page->count, PC_PIN) & PC_REFUSE))) {
		page_mark_pin(page, sticky);
		if (likely(atomic_load(slot) == s))
			return true;
	}
	page_unpin(m, page, 1);
	return false;
}

/* Pins what it can of nr pages from a slot on, inside one leaf.  need: slot bits; sticky: page flags.
 * How many.  Pages of their own folio without a loop or a call: the price is the xadd's. */
static inline __attribute__((always_inline)) unsigned
gup_fast_leaf(struct pinfold *m, const slot_t *slot, unsigned nr, uint64_t need, uint32_t sticky,
              struct page **pages)
{
	struct page *frames = m->pages;
	unsigned done = 0;

	while (done < nr) {
		uint64_t s = atomic_load_explicit(&slot[done], memory_order_acquire);
		struct page *page = &frames[s >> PAGE_SHIFT];

		if (unlikely((s & (need | SLOT_FOLIO)) != need)) {
			unsigned n = (s & need) == need ?
				gup_fast_folio(m, slot + done, s, nr - done, sticky, pages + done) : 0;

			if (!n)
				break;
			done += n;
			continue;
		}
		if (unlikely(!gup_fast_page(m, page, &slot[done], s, sticky)))
			break;
		pages[done++] = page;
	}
	return done;
}

/* The dir of addr, or NULL. */
static inline const struct table *gup_fast_dir(const struct mm_struct *mm, unsigned long addr)
{
	const struct table *t = mm->root;

	/* Unrolled: the loop costs more than the loads. */
	_Static_assert(TABLE_LEVELS == 4, "two steps down");
	if (unlikely(!t)) /* another thread destroyed the mm */
		return NULL;
	t = gup_fast_child(t, addr, 3);
	return likely(t) ? gup_fast_child(t, addr, 2) : NULL;
}

/* Did the thread's last walk go to the leaf of addr, and no table of its mm was removed or shared since?  The sequence is
 * no other mm's. */
static inline bool gup_fast_walked(unsigned long addr, uint64_t seq)
{
	return likely(current.walk_seq == seq && current.walk_tag == addr / LEAF_SIZE);
}

/* The leaf of addr, or NULL: none, a 2 MiB slot, or a leaf that is shared: then no page of it may be pinned (U1). */
static inline struct table *gup_fast_leaf_of(const struct mm_struct *mm, unsigned long addr)
{
	const struct table *t = gup_fast_dir(mm, addr);
	uint64_t e = likely(t) ? atomic_load_explicit(&t->e[addr / LEAF_SIZE % TABLE_SLOTS], memory_order_acquire) : 0;

	return likely(!(e & ENTRY_FLAGS)) ? (struct table *)(uintptr_t)e : NULL;
}

/*
 * Before the first pin through a leaf:
 *   1 here: the leaf may have pinned pages     2 dup_mmap: entry shared, sequence bumped (full barrier)
 *   3 the xadd (full barrier)                  4 dup_mmap: marked?  Then it looks at each page's pins
 *   5 the sequence again: one of the two sees the other.  The mark stays for as long as the leaf lives, so
 * that who remembers the walk need not set it again.
 */
static inline void gup_fast_mark(struct table *leaf)
{
	if (!atomic_load_explicit(&leaf->pinned, memory_order_relaxed))
		atomic_store_explicit(&leaf->pinned, 1, memory_order_relaxed);
}

/* As gup_fast_leaf_of(), marked, and remembered.  seq: mm's table sequence, sampled before. */
static inline __attribute__((always_inline)) struct table *
gup_fast_walk(const struct mm_struct *mm, unsigned long addr, uint64_t seq)
{
	struct table *leaf;

	if (gup_fast_walked(addr, seq))
		return current.walk_leaf;
	leaf = gup_fast_leaf_of(mm, addr);
	if (unlikely(!leaf))
		return NULL;
	gup_fast_mark(leaf);
	current.walk_tag = addr / LEAF_SIZE;
	current.walk_seq = seq;
	current.walk_leaf = leaf;
	return leaf;
}

struct table *gup_leaf(struct mm_struct *mm, unsigned long addr, uint64_t seq)
{
	return gup_fast_walk(mm, addr, seq);
}

/* Up to n pages inside one 2 MiB stretch. */
static inline __attribute__((always_inline)) unsigned
gup_fast_stretch(struct mm_struct *mm, unsigned long addr, uint64_t seq, unsigned n, uint64_t need, uint32_t sticky,
                 struct page **pages)
{
	const struct table *t = gup_fast_walk(mm, addr, seq);
	unsigned at = (addr >> PAGE_SHIFT) & (TABLE_SLOTS - 1);

	if (likely(t))
		return gup_fast_leaf(mm->machine, &t->e[at], n, need, sticky, pages);
	t = gup_fast_dir(mm, addr);
	return t ? gup_fast_huge(mm->machine, &t->e[addr / LEAF_SIZE % TABLE_SLOTS], at, n, need, sticky, pages) : 0;
}

static inline __attribute__((always_inline)) unsigned long
gup_fast(struct mm_struct *mm, unsigned long addr, unsigned long nr, uint64_t need, uint32_t sticky,
         struct page **pages)
{
	unsigned long done = 0;

	while (done < nr) {
		uint64_t seq = atomic_load_explicit(&mm->table_seq, memory_order_acquire);
		unsigned at = (addr >> PAGE_SHIFT) & (TABLE_SLOTS - 1), n = TABLE_SLOTS - at, got;

		if (n > nr - done)
			n = (unsigned)(nr - done);
		got = gup_fast_stretch(mm, addr, seq, n, need, sticky, pages + done);
		/* A table of this mm was removed meanwhile, perhaps this one: nothing that was read from
		 * it counts. */
		if (unlikely(atomic_load(&mm->table_seq) != seq)) {
			for (unsigned i = 0; i < got; i++)
				page_unpin(mm->machine, page_head(pages[done + i]), 1);
			break;
		}
		done += got;
		if (got < n)
			break;
		addr += (unsigned long)n << PAGE_SHIFT;
	}
	return done;
}

/* ---- the call ---------------------------------------------------------------------------------- */

/* What the lockless path needs of a slot. */
static inline uint64_t fast_need(unsigned flags)
{
	uint64_t need = SLOT_PRESENT;

	if (!(flags & FOLL_WRITE))
		return need | SLOT_PINR | (flags & FOLL_LONGTERM ? SLOT_LTR : 0);
	need |= SLOT_WRITE | SLOT_PINW;
	return flags & FOLL_LONGTERM ? need | SLOT_LTW : need;
}

#define FAST_FLAGS (FOLL_WRITE | FOLL_TOUCH | FOLL_GET | FOLL_LONGTERM | FOLL_FORCE)

/* The rest of get_user_pages_fast(): what was not pinned, and everything that is wrong. */
static __attribute__((noinline)) int gup_fast_slow(unsigned long start, int nr, int done,
                                                   unsigned flags, struct page **pages)
{
	int err;
	struct mm_struct *mm = current_mm(&err);
	long r;

	if (nr <= 0)
		return nr < 0 || (flags & ~(unsigned)FAST_FLAGS) ? -EINVAL : 0; /* A2 */
	r = mm ? gup_check(start, (unsigned long)nr, flags, pages) : err;
	if (!r && (flags & ~(unsigned)FAST_FLAGS))
		r = -EINVAL; /* A16 */
	if (r)
		return (int)r;
	if (unlikely(current.machine != mm->machine)) { /* before the first pin is counted */
		vmstat_attach(mm->machine);
		return get_user_pages_fast(start, nr, flags, pages);
	}
	r = pin_range(mm, start + ((unsigned long)done << PAGE_SHIFT), (unsigned long)(nr - done), flags,
	              pages ? pages + done : NULL);
	if (r < 0)
		return done ? done : (int)r; /* P3 */
	return done + (int)r;
}

/* All but one plain page. */
static __attribute__((noinline)) int gup_fast_many(unsigned long start, int nr_pages, unsigned gup_flags,
                                                   struct page **pages)
{
	struct mm_struct *mm = used_mm();
	unsigned long nr = (unsigned long)(long)nr_pages, done;

	start &= PAGE_MASK;
	/* One test for all that is not plain; the slow end tells the cases apart. */
	if (unlikely(!mm || !pages || nr_pages <= 0 || (gup_flags & ~(unsigned)FAST_FLAGS) ||
	             mm->machine != current.machine || mm->machine->pin_limit || start + (nr << PAGE_SHIFT) > VMA_HIGHEST ||
	             start > VMA_HIGHEST || in_window(pages, nr * sizeof(*pages))))
		return gup_fast_slow(start, nr_pages, 0, gup_flags, pages);
	done = gup_fast(mm, start, nr, fast_need(gup_flags), pin_flags(gup_flags), pages);
	count_own(PINS_ACQUIRED, done);
	if (likely(done == nr))
		return nr_pages;
	return gup_fast_slow(start, nr_pages, (int)done, gup_flags, pages);
}

/* ---- scattered pages ----------------------------------------------------------------------------- */

#define BATCH 32u /* misses that are on their way together; more than a CPU keeps track of */

struct spot {
	struct table *leaf;
	const slot_t *slot;
	uint64_t s;
};

/* The slots of addresses up to the first that has none in a leaf.  How many. */
static unsigned find_spots(const struct mm_struct *mm, const unsigned long *addrs, unsigned n, struct spot *spot)
{
	unsigned i;

	for (i = 0; i < n && addrs[i] < VMA_HIGHEST; i++) {
		spot[i].leaf = gup_fast_leaf_of(mm, addrs[i]);
		if (unlikely(!spot[i].leaf))
			break;
		spot[i].slot = &spot[i].leaf->e[(addrs[i] >> PAGE_SHIFT) & (TABLE_SLOTS - 1)];
		__builtin_prefetch(spot[i].slot);
		__builtin_prefetch(&spot[i].leaf->pinned);
	}
	return i;
}

/* Three passes, each over memory that the one before asked for: slots, records, counts. */
static unsigned gup_fast_batch(struct mm_struct *mm, const unsigned long *addrs, unsigned n, uint64_t need,
                               uint32_t sticky, struct page **pages)
{
	uint64_t seq = atomic_load_explicit(&mm->table_seq, memory_order_acquire);
	struct pinfold *m = mm->machine;
	struct spot spot[BATCH];
	unsigned got;

	n = find_spots(mm, addrs, n, spot);
	for (unsigned i = 0; i < n; i++) {
		gup_fast_mark(spot[i].leaf);
		spot[i].s = atomic_load_explicit(spot[i].slot, memory_order_acquire);
		pages[i] = pfn_to_page(m, spot[i].s >> PAGE_SHIFT);
		__builtin_prefetch(pages[i], 1);
	}
	for (got = 0; got < n; got++) {
		const struct spot *at = &spot[got];

		if (unlikely((at->s & need) != need))
			break;
		if (unlikely(at->s & SLOT_FOLIO ? !gup_fast_folio(m, at->slot, at->s, 1, sticky, &pages[got]) :
		                                  !gup_fast_page(m, pages[got], at->slot, at->s, sticky)))
			break;
	}
	if (likely(atomic_load(&mm->table_seq) == seq))
		return got;
	while (got)
		page_unpin(m, page_head(pages[--got]), 1);
	return 0;
}

PINFOLD_EXPORT int pinfold_pin_batch(const unsigned long *addrs, int nr, unsigned int gup_flags, struct page **pages)
{
	struct mm_struct *mm = used_mm();
	int done = 0;

	if (nr <= 0 || (gup_flags & ~(unsigned)FAST_FLAGS))
		return nr < 0 || (gup_flags & ~(unsigned)FAST_FLAGS) ? -EINVAL : 0;
	if (!addrs || !pages)
		return -EINVAL;
	if (in_window(addrs, (size_t)nr * sizeof(*addrs)) || in_window(pages, (size_t)nr * sizeof(*pages)))
		return -EFAULT;
	while (done < nr) {
		unsigned n = nr - done < (int)BATCH ? (unsigned)(nr - done) : BATCH, got = 0;
		int r;

		if (likely(mm && mm->machine == current.machine && !mm->machine->pin_limit))
			got = gup_fast_batch(mm, addrs + done, n, fast_need(gup_flags), pin_flags(gup_flags),
			                     pages + done);
		count_own(PINS_ACQUIRED, got);
		done += (int)got;
		if (likely(got == n))
			continue;
		r = gup_fast_many(addrs[done], 1, gup_flags, pages + done);
		if (r != 1)
			return done ? done : r;
		done++;
	}
	return done;
}

/* ---- one page ------------------------------------------------------------------------------------ */

/* A pin of one page that was not confirmed. */
static __attribute__((noinline, cold)) int gup_fast_again(unsigned long start, int nr_pages, unsigned gup_flags,
                                                          struct page **pages, struct page *page)
{
	page_unpin(current.machine, page, 1);
	return gup_fast_many(start, nr_pages, gup_flags, pages);
}

/*
 * One page of its own folio in the leaf of the thread's last walk, the same steps as gup_fast_leaf() without loops and
 * calls.  A locked add waits for every store before it, so spilled and saved registers cost more here than the walk:
 * whatever is not plain is a jump to gup_fast_many(), which looks at everything again.  The sticky flags are looked at
 * once, after the count: a pin that finds one missing is undone, so that it need not be set before.
 */
static inline __attribute__((always_inline)) int
pin_one(unsigned long start, unsigned gup_flags, struct page **pages, uint64_t need, uint32_t sticky)
{
	struct mm_struct *mm = used_mm();
	uint64_t seq = atomic_load_explicit(&mm->table_seq, memory_order_acquire), s;
	const slot_t *slot;
	struct page *page;

	if (!gup_fast_walked(start, seq))
		return gup_fast_many(start, 1, gup_flags, pages);
	slot = &current.walk_leaf->e[(start >> PAGE_SHIFT) & (TABLE_SLOTS - 1)];
	s = atomic_load_explicit(slot, memory_order_acquire);
	page = &current.pages[s >> PAGE_SHIFT];
	if (unlikely((s & (need | SLOT_FOLIO)) != need))
		return gup_fast_many(start, 1, gup_flags, pages);
	if (unlikely(atomic_fetch_add(&page->count, PC_PIN) & PC_REFUSE ||
	             (sticky & ~atomic_load_explicit(&page->flags, memory_order_acquire)) ||
	             atomic_load(slot) != s || atomic_load(&mm->table_seq) != seq))
		return gup_fast_again(start, 1, gup_flags, pages, page);
	pages[0] = page;
	count_own(PINS_ACQUIRED, 1);
	return 1;
}

PINFOLD_EXPORT __attribute__((aligned(64))) int get_user_pages_fast(unsigned long start, int nr_pages, unsigned int gup_flags,
                                       struct page **pages)
{
	const unsigned plain = FAST_FLAGS & ~FOLL_LONGTERM;

	/* No window ends at 0: NULL is below them. */
	if (unlikely((((unsigned)nr_pages ^ 1) | (gup_flags & ~plain)) || !used_mm() ||
	             (unsigned long)pages < atomic_load_explicit(&window_highest, memory_order_relaxed)))
		return gup_fast_many(start, nr_pages, gup_flags, pages);
	/* Twice, for two sets of constants in place of registers. */
	if (gup_flags & FOLL_WRITE)
		return pin_one(start, gup_flags, pages, SLOT_PRESENT | SLOT_WRITE | SLOT_PINW,
		               PG_referenced | PG_wpinned);
	return pin_one(start, gup_flags, pages, SLOT_PRESENT | SLOT_PINR, PG_referenced);
}
