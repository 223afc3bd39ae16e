/* SPDX-License-Identifier: MIT */
/* cut.c - see cut.h. */
#include "mm/cut.h"

#include <string.h>

#include "mm/debug.h"
#include "mm/vmstat.h"

bool cut_reserve(struct pinfold *m, uint64_t n)
{
	int64_t d = atomic_load(&m->dirty);

	do {
		if (d + (int64_t)n > m->dirty_limit)
			return false;
	} while (!atomic_compare_exchange_weak(&m->dirty, &d, d + (int64_t)n));
	return true;
}

void cut_unreserve(struct pinfold *m, uint64_t n)
{
	int64_t old;

	if (!n)
		return;
	old = atomic_fetch_sub(&m->dirty, (int64_t)n);
	VM_WARN_ON(old < (int64_t)n);
	atomic_fetch_add(&m->commit_event, 1);
	host_wake(&m->commit_event, INT32_MAX);
}

/* Sets the flag and its mark.  force: beyond the limit if need be.  False: the limit. */
static bool mark_dirty(struct page *page, bool force)
{
	struct address_space *mapping = page->mapping;
	struct pinfold *m = mapping->machine;
	struct section *s = current_section(mapping);
	bool ok = true;

	VM_BUG_ON_PAGE(!has_flag(page, PG_uptodate), page);
	if (!mapping->ops->commits)
		return true;
	host_lock(&mapping->pages_lock);
	if (!has_flag(page, PG_dirty)) {
		if (s && s->left && !force)
			s->left--;
		else if (force)
			atomic_fetch_add(&m->dirty, 1);
		else
			ok = cut_reserve(m, 1);
		if (ok) {
			set_flag(page, PG_dirty);
			sparse_mark(&mapping->pages, page->index, MARK_DIRTY);
			lru_del(m, page);
		}
	}
	host_unlock(&mapping->pages_lock);
	return ok;
}

void cut_set_dirty(struct page *page)
{
	/* Anonymous, or it left its file (clause D6): it goes nowhere. */
	if (page->mapping)
		mark_dirty(page, true);
}

/* Page locked.  False: no frame for the copy. */
static bool claim(struct page *page)
{
	struct address_space *mapping = page->mapping;
	struct page *copy = staging_get(mapping->machine);

	VM_BUG_ON_PAGE(!has_flag(page, PG_locked) || page->claim, page);
	if (!copy)
		return false;
	memcpy(copy->addr, page->addr, PAGE_SIZE);
	page->claim = copy;
	set_flag(page, PG_claimed);
	atomic_fetch_add(&mapping->cut_claims, 1);
	count_event(mapping->machine, CLAIMS_WRITER, 1);
	return true;
}

enum cut_fact cut_make_writable(struct page *page, bool pin)
{
	struct address_space *mapping = page->mapping;
	enum cut_fact fact = CUT_OK;
	uint32_t flags;

	/*
	 * Held until the slot is writable: freeze takes it for writing while it protects the dirty set,
	 * so no page becomes writable in the middle (resolving faults one by one during the
	 * protection breaks program order [M cut.c]).
	 */
	VM_BUG_ON_PAGE(!has_flag(page, PG_uptodate) || page_count(page) & PC_FREE, page);
	host_read_lock(&mapping->freeze_sem);
	page_lock(mapping->machine, page);
	/* One look: the end of a cut clears both, and takes no page lock. */
	flags = atomic_load(&page->flags);
	if (pin && atomic_load(&mapping->pins_stopped))
		fact = CUT_WAIT_PINS;
	else if ((flags & (PG_cut | PG_claimed)) == PG_cut && !claim(page))
		fact = CUT_WAIT_CLAIM;
	else if (!mark_dirty(page, false))
		fact = CUT_LIMIT;
	page_unlock(page);
	if (fact != CUT_OK)
		host_read_unlock(&mapping->freeze_sem);
	return fact;
}

void cut_event(struct address_space *mapping)
{
	atomic_fetch_add(&mapping->claim_event, 1);
	host_wake(&mapping->claim_event, INT32_MAX);
}

/* One sleep on an event word that was read before the condition was found false. */
static bool sleep_until(_Atomic uint32_t *word, uint32_t seen, uint64_t deadline)
{
	uint64_t now = host_now();

	if (now >= deadline)
		return false;
	host_wait(word, seen, deadline - now);
	return true;
}

bool cut_wait_room(struct pinfold *m, uint64_t deadline)
{
	uint32_t seen = atomic_load(&m->commit_event);

	if (atomic_load(&m->dirty) < m->dirty_limit)
		return true;
	return sleep_until(&m->commit_event, seen, deadline);
}

bool cut_wait_claim(struct address_space *mapping, struct page *page, uint64_t deadline)
{
	uint32_t seen = atomic_load(&mapping->claim_event);

	if (!has_flag(page, PG_cut) || has_flag(page, PG_claimed) ||
	    atomic_load(&mapping->machine->nr_staging))
		return true;
	/* Another file's cut may give staging frames back, without an event here: look again soon. */
	if (deadline > host_now() + 5000000)
		deadline = host_now() + 5000000;
	else if (deadline < host_now())
		return false;
	sleep_until(&mapping->claim_event, seen, deadline);
	return true;
}

bool cut_wait_pins(struct address_space *mapping, uint64_t deadline)
{
	uint32_t seen = atomic_load(&mapping->claim_event);

	if (!atomic_load(&mapping->pins_stopped))
		return true;
	return sleep_until(&mapping->claim_event, seen, deadline);
}

bool cut_move(struct address_space *mapping, enum cut_state from, enum cut_state to, int64_t cut)
{
	bool ok;

	host_lock(&mapping->wb_lock);
	ok = mapping->cut_state == from && (!cut || mapping->cut == cut);
	if (ok)
		mapping->cut_state = to;
	host_unlock(&mapping->wb_lock);
	return ok;
}

void cut_drop_claim(struct pinfold *m, struct page *page)
{
	if (page->claim)
		staging_put(m, page->claim);
	page->claim = NULL;
}

/* One page out of the cut and dirty again; was it so anyway? */
static bool abandon_page(struct address_space *mapping, struct page *page)
{
	bool both;

	/* The lock keeps a storing thread from claiming it for a cut that is no more. */
	page_lock(mapping->machine, page);
	host_lock(&mapping->pages_lock);
	both = has_flag(page, PG_dirty);
	set_flag(page, PG_dirty);
	sparse_mark(&mapping->pages, page->index, MARK_DIRTY);
	sparse_unmark(&mapping->pages, page->index, MARK_CUT);
	clear_flag(page, PG_cut | PG_claimed);
	cut_drop_claim(mapping->machine, page);
	host_unlock(&mapping->pages_lock);
	page_unlock(page);
	return both;
}

void cut_abandon(struct address_space *mapping)
{
	uint64_t index = 0, both = 0;
	struct page *page;

	for (;;) {
		host_lock(&mapping->pages_lock);
		page = sparse_next(&mapping->pages, &index, UINT64_MAX, MARK_CUT);
		host_unlock(&mapping->pages_lock);
		if (!page)
			break;
		both += abandon_page(mapping, page);
	}
	cut_unreserve(mapping->machine, both);
	cut_event(mapping);
}
