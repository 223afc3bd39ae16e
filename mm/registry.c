/* SPDX-License-Identifier: MIT */
/* registry.c - see registry.h. */
#include "mm/registry.h"

#include <errno.h>

#include "mm/vmstat.h"

struct machine_entry {
	struct pinfold *_Atomic m;
	struct page *pages, *end; /* stable while m is not NULL */
};

/*
 * A window is published by its mm pointer, stored last with release; a reader that sees it sees the
 * bounds.  Removal clears it first.  A reader that raced with a removal finds an mm that has no such
 * VMA any more: it looks under the mmap lock, and mm structs live as long as their machine.
 */
struct window_entry {
	struct mm_struct *_Atomic mm;
	_Atomic unsigned long start, end;
};

static struct host_mutex table_lock = HOST_MUTEX_INIT(HOST_RANK_TABLE);
static struct machine_entry machines[MAX_MACHINES];
static _Atomic unsigned nr_machines; /* entries ever used */
static struct window_entry windows[MAX_WINDOWS];
static _Atomic int nr_windows;
_Atomic unsigned long window_lowest = ~0ul, window_highest = 1;

int registry_add_machine(struct pinfold *m)
{
	unsigned i;

	host_lock(&table_lock);
	for (i = 0; i < MAX_MACHINES && atomic_load(&machines[i].m); i++)
		;
	if (i == MAX_MACHINES) {
		host_unlock(&table_lock);
		return -ENOMEM;
	}
	machines[i].pages = m->pages;
	machines[i].end = m->pages + m->nr_frames + 1;
	atomic_store_explicit(&machines[i].m, m, memory_order_release);
	if (i >= atomic_load(&nr_machines))
		atomic_store_explicit(&nr_machines, i + 1, memory_order_release);
	host_unlock(&table_lock);
	return 0;
}

void registry_remove_machine(struct pinfold *m)
{
	host_lock(&table_lock);
	for (unsigned i = 0; i < MAX_MACHINES; i++)
		if (atomic_load(&machines[i].m) == m)
			atomic_store_explicit(&machines[i].m, NULL, memory_order_release);
	host_unlock(&table_lock);
}

bool registry_has_machine(const struct pinfold *m)
{
	unsigned n = atomic_load_explicit(&nr_machines, memory_order_acquire);

	for (unsigned i = 0; m && i < n; i++)
		if (atomic_load_explicit(&machines[i].m, memory_order_acquire) == m)
			return true;
	return false;
}

struct pinfold *registry_machine_of(const struct page *page)
{
	unsigned n = atomic_load_explicit(&nr_machines, memory_order_acquire);

	for (unsigned i = 0; i < n; i++) {
		struct pinfold *m = atomic_load_explicit(&machines[i].m, memory_order_acquire);

		if (m && page >= machines[i].pages && page < machines[i].end)
			return ((uintptr_t)page - (uintptr_t)machines[i].pages) % sizeof(*page) ?
			       NULL : m;
	}
	return NULL;
}

struct pinfold *registry_attach(const struct page *page, int *err)
{
	struct pinfold *m = registry_machine_of(page);

	*err = -EINVAL;
	if (!m)
		return NULL;
	*err = -EOWNERDEAD;
	if (atomic_load_explicit(&m->dead, memory_order_relaxed))
		return NULL;
	if (current.machine != m)
		vmstat_attach(m);
	return m;
}

void registry_child(void (*fn)(struct pinfold *m))
{
	/* The lock may have been held by a thread that does not exist here. */
	host_mutex_init(&table_lock, HOST_RANK_TABLE);
	for (int i = 0; i < MAX_WINDOWS; i++)
		atomic_store(&windows[i].mm, NULL);
	atomic_store(&window_lowest, ~0ul);
	atomic_store(&window_highest, 1);
	for (unsigned i = 0; i < MAX_MACHINES; i++)
		if (atomic_load(&machines[i].m))
			fn(atomic_load(&machines[i].m));
}

/* table_lock held.  A free entry, or -ENOMEM. */
static int free_window(void)
{
	for (int i = 0; i < MAX_WINDOWS; i++)
		if (!atomic_load(&windows[i].mm))
			return i;
	return -ENOMEM;
}

static void publish_window(int i, struct mm_struct *mm, unsigned long start, unsigned long end)
{
	atomic_store(&windows[i].start, start);
	atomic_store(&windows[i].end, end);
	if (start < atomic_load(&window_lowest))
		atomic_store(&window_lowest, start);
	if (end > atomic_load(&window_highest))
		atomic_store(&window_highest, end);
	atomic_store_explicit(&windows[i].mm, mm, memory_order_release);
	if (i >= atomic_load(&nr_windows))
		atomic_store_explicit(&nr_windows, i + 1, memory_order_release);
}

int registry_add_window(struct mm_struct *mm, unsigned long start, unsigned long end)
{
	int i;

	host_lock(&table_lock);
	i = free_window();
	if (i >= 0)
		publish_window(i, mm, start, end);
	host_unlock(&table_lock);
	return i < 0 ? i : 0;
}

int registry_split_window(unsigned long addr)
{
	int r = 0;

	host_lock(&table_lock);
	for (int i = 0; i < atomic_load(&nr_windows); i++) {
		struct mm_struct *mm = atomic_load(&windows[i].mm);
		unsigned long end = atomic_load(&windows[i].end);

		if (!mm || addr <= atomic_load(&windows[i].start) || addr >= end)
			continue;
		r = free_window();
		if (r >= 0) {
			/* The new one first: no address is outside of both at any time. */
			publish_window(r, mm, addr, end);
			atomic_store(&windows[i].end, addr);
			r = 0;
		}
		break;
	}
	host_unlock(&table_lock);
	return r;
}

void registry_remove_windows(unsigned long start, unsigned long end)
{
	unsigned long low = ~0ul, high = 1;

	host_lock(&table_lock);
	for (int i = 0; i < MAX_WINDOWS; i++) {
		unsigned long s = atomic_load(&windows[i].start), e = atomic_load(&windows[i].end);

		if (!atomic_load(&windows[i].mm))
			continue;
		if (s >= start && e <= end) {
			atomic_store_explicit(&windows[i].mm, NULL, memory_order_release);
			continue;
		}
		low = s < low ? s : low;
		high = e > high ? e : high;
	}
	atomic_store(&window_lowest, low);
	atomic_store(&window_highest, high);
	host_unlock(&table_lock);
}

struct mm_struct *registry_window_of(unsigned long addr)
{
	int n = atomic_load_explicit(&nr_windows, memory_order_acquire);

	for (int i = 0; i < n; i++) {
		struct mm_struct *mm = atomic_load_explicit(&windows[i].mm, memory_order_acquire);

		if (mm && addr >= atomic_load_explicit(&windows[i].start, memory_order_relaxed) &&
		    addr < atomic_load_explicit(&windows[i].end, memory_order_relaxed))
			return mm;
	}
	return NULL;
}

bool registry_in_window_slow(unsigned long start, unsigned long end)
{
	int n = atomic_load_explicit(&nr_windows, memory_order_acquire);

	for (int i = 0; i < n; i++)
		if (atomic_load_explicit(&windows[i].mm, memory_order_acquire) &&
		    start < atomic_load_explicit(&windows[i].end, memory_order_relaxed) &&
		    end > atomic_load_explicit(&windows[i].start, memory_order_relaxed))
			return true;
	return false;
}
