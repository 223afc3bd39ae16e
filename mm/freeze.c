/* SPDX-License-Identifier: MIT */
/* freeze.c - see freeze.h. */
#include "mm/freeze.h"

#include <errno.h>
#include <string.h>

#include "mm/debug.h"

#define PROTECT_PAGES 64u
#define SLOT_WRITABLE (SLOT_WRITE | SLOT_PINW | SLOT_LTW)

/* Moves up to PROTECT_PAGES dirty pages from *index on into the cut. */
static unsigned move_to_cut(struct address_space *mapping, uint64_t *index, uint64_t last,
                            struct page **pages)
{
	unsigned n = 0;
	struct page *p;

	host_lock(&mapping->pages_lock);
	while (n < PROTECT_PAGES &&
	       (p = sparse_next(&mapping->pages, index, last, MARK_DIRTY))) {
		sparse_unmark(&mapping->pages, *index, MARK_DIRTY);
		sparse_mark(&mapping->pages, *index, MARK_CUT);
		VM_WARN_ON_PAGE(has_flag(p, PG_cut) || p->claim, p);
		/* In this order: a page that looked clean for a moment would be evicted. */
		clear_flag(p, PG_claimed);
		set_flag(p, PG_cut);
		clear_flag(p, PG_dirty);
		pages[n++] = p;
		++*index;
	}
	host_unlock(&mapping->pages_lock);
	return n;
}

/* Calls rmap_clear_bits() once per run of following pages. */
static void clear_runs(struct address_space *mapping, struct page **pages, unsigned n, uint64_t bits,
                       struct tlb_batch *tlb)
{
	for (unsigned i = 0, j; i < n; i = j) {
		for (j = i + 1; j < n && pages[j]->index == pages[i]->index + (j - i); j++)
			;
		rmap_clear_bits(mapping, pages[i]->index, j - i, bits, tlb);
	}
}

/*
 * section_sem and freeze_sem are held for writing: no page of the file becomes writable meanwhile.
 * A write pinner that came without them, on the fast path:
 *   1 it: counts its pin            2 here: slot not writable, barrier, count read
 *   3 it: looks at the slot again
 * Either 2 sees the pin, or 3 sees the slot and undoes.
 */
static void protect(struct address_space *mapping, uint64_t first, uint64_t last)
{
	struct page *pages[PROTECT_PAGES];
	struct tlb_batch tlb;
	uint64_t index = first;
	unsigned n;

	VM_BUG_ON(!host_rwsem_held(&mapping->freeze_sem) || !host_rwsem_held(&mapping->section_sem));
	VM_BUG_ON(mapping->cut_state != CUT_FREEZING);
	mapping->cut_pages = mapping->cut_pinned = 0;
	atomic_store(&mapping->cut_claims, 0);
	tlb_gather(mapping->machine);
	tlb_begin(&tlb, mapping->machine, TLB_PROTECT);
	while (index <= last && (n = move_to_cut(mapping, &index, last, pages))) {
		clear_runs(mapping, pages, n, SLOT_WRITABLE, &tlb);
		host_mb("gup_fast: xadd, then the slot again");
		for (unsigned i = 0; i < n; i++) {
			if (!page_maybe_write_pinned(pages[i]))
				continue;
			/* The device goes on writing: dirty for the next cut as well. */
			cut_set_dirty(pages[i]);
			mapping->cut_pinned++;
		}
		mapping->cut_pages += n;
	}
	tlb_flush(&tlb);
	tlb_finish(mapping->machine);
}

static bool range_write_pinned(struct address_space *mapping, uint64_t first, uint64_t last)
{
	struct page *p;
	bool pinned = false;

	host_lock(&mapping->pages_lock);
	for (uint64_t i = first; !pinned && i <= last &&
	     (p = sparse_next(&mapping->pages, &i, last, MARK_DIRTY)); i++)
		pinned = page_maybe_write_pinned(p);
	host_unlock(&mapping->pages_lock);
	return pinned;
}

/*
 * PIN_WAIT: new write pins are stopped, old ones waited for, while the CPU goes on storing and
 * faulting: a holder may need that to come to its end.  A put does not look whether somebody waits;
 * so this polls.  True: no write pins are left and none can come before pins_stopped is cleared.
 */
static bool stop_pins(struct address_space *mapping, uint64_t first, uint64_t last)
{
	uint64_t end = host_now() + mapping->machine->opts.deadline_ms * 1000000ull;
	_Atomic uint32_t nobody = 0;
	bool pinned;

	/* With freeze_sem, so that no pin is between its look at pins_stopped and its slot. */
	host_write_lock(&mapping->freeze_sem);
	atomic_store(&mapping->pins_stopped, 1);
	rmap_clear_bits(mapping, first, last - first + 1, SLOT_PINW | SLOT_LTW, NULL);
	host_write_unlock(&mapping->freeze_sem);
	host_mb("gup_fast: xadd, then the slot again");
	while ((pinned = range_write_pinned(mapping, first, last)) && host_now() < end)
		host_wait(&nobody, 0, 200000);
	return !pinned;
}

static void start_pins(struct address_space *mapping)
{
	atomic_store(&mapping->pins_stopped, 0);
	cut_event(mapping);
}

static void collect_hit(void *arg, unsigned long addr, size_t len)
{
	struct vm_area_struct *vma = arg;

	for (size_t off = 0; off < len; off += PAGE_SIZE) {
		struct page *p = filemap_peek(vma->mapping, vma_index(vma, addr + off));

		if (p) {
			cut_set_dirty(p);
			put_internal(vma->mm->machine, p);
		}
	}
}

void freeze_collect(struct vm_area_struct *vma, unsigned long start, unsigned long end)
{
	if (vma->mm->window == PINFOLD_WINDOW_DIRECT && vma_async(vma))
		VM_WARN_ON(host_window_scan(start, end - start, collect_hit, vma));
}

/* Asynchronous files: find what was stored to, protect it again, and copy it while the writers are
 * held: later there is no fault in which to save it.  0 or -ENOMEM. */
static int freeze_async(struct address_space *mapping, uint64_t first, uint64_t last)
{
	uint64_t index = first, n = 0;
	struct page *p;

	host_lock(&mapping->i_mmap_lock);
	for (struct vm_area_struct *v = mapping->i_mmap; v; v = v->in_file.next)
		freeze_collect(v, v->start, v->end);
	host_unlock(&mapping->i_mmap_lock);
	cut_unreserve(mapping->machine, mapping->async_reserved);
	mapping->async_reserved = 0;
	protect(mapping, first, last);
	if (!mapping->cut_pages)
		return 0;
	mapping->copies_len = mapping->cut_pages * PAGE_SIZE;
	mapping->copies = host_map(mapping->copies_len);
	if (!mapping->copies) {
		cut_abandon(mapping);
		return -ENOMEM;
	}
	host_lock(&mapping->pages_lock);
	for (index = first; index <= last &&
	     (p = sparse_next(&mapping->pages, &index, last, MARK_CUT)); index++, n++) {
		memcpy(mapping->copies + n * PAGE_SIZE, p->addr, PAGE_SIZE);
		set_flag(p, PG_claimed);
	}
	host_unlock(&mapping->pages_lock);
	return 0;
}

static int freeze_locked(struct address_space *mapping, uint64_t first, uint64_t last)
{
	int r = 0;

	mapping->cut_pages = mapping->cut_pinned = 0;
	if (mapping->flags & PINFOLD_FILE_ASYNC_WP)
		r = freeze_async(mapping, first, last);
	else
		protect(mapping, first, last);
	mapping->cut_size = atomic_load(&mapping->size);
	return r;
}

int64_t freeze_file(struct address_space *mapping, uint64_t first, uint64_t last)
{
	bool pin_wait = mapping->flags & PINFOLD_FILE_PIN_WAIT;
	int64_t r;

	if (!cut_move(mapping, CUT_NONE, CUT_FREEZING, 0))
		return -EBUSY;
	if (pin_wait && !stop_pins(mapping, first, last)) {
		start_pins(mapping);
		cut_move(mapping, CUT_FREEZING, CUT_NONE, 0);
		return -EBUSY;
	}
	host_write_lock(&mapping->section_sem);
	host_write_lock(&mapping->freeze_sem);
	r = freeze_locked(mapping, first, last);
	host_write_unlock(&mapping->freeze_sem);
	host_write_unlock(&mapping->section_sem);
	if (pin_wait)
		start_pins(mapping);
	if (r) {
		cut_move(mapping, CUT_FREEZING, CUT_NONE, 0);
		return r;
	}
	r = ++mapping->cut;
	cut_move(mapping, CUT_FREEZING, CUT_FROZEN, 0);
	return r;
}
