/* SPDX-License-Identifier: MIT */
/* mm.c - address spaces come and go; the thread's current one; the public mmap lock. */
#include <errno.h>
#include <stdlib.h>

#include "lib/export.h"
#include "mm/debug.h"
#include "mm/handle.h"
#include "mm/mmap.h"
#include "mm/mmu_notifier.h"
#include "mm/pgtable.h"
#include "mm/registry.h"
#include "mm/vma.h"
#include "mm/vmstat.h"
#include "mm/window.h"

static int signals_setup(struct pinfold *m)
{
	return m->opts.flags & PINFOLD_NO_SIGNALS ? host_fault_use(window_fault) :
	                                            host_fault_handler(window_fault);
}

/* What a direct mm needs of the system, once per machine.  0 or -errno. */
static int window_setup(struct pinfold *m)
{
	int fd = 0;

	host_lock(&m->lock);
	if (m->uffd[0] < 0) {
		fd = host_uffd_open(false, &m->uffd_how);
		if (fd >= 0)
			m->uffd[0] = fd;
	}
	host_unlock(&m->lock);
	if (fd < 0)
		return fd;
	return signals_setup(m);
}

/* The stretch of addresses and its entry in the table of windows.  0, or -ENOMEM. */
static int extent_setup(struct mm_struct *mm)
{
	int r = extent_init(mm);

	if (r)
		return r;
	r = registry_add_window(mm, mm->arena, mm->arena_end);
	if (r)
		extent_exit(mm);
	return r;
}

static int mm_create(struct pinfold *m, enum pinfold_window window, struct mm_struct **out)
{
	struct mm_struct *mm;
	int r;

	mm = mm_struct_alloc();
	if (!mm)
		return -ENOMEM;
	mm->machine = m;
	mm->window = window;
	host_rwsem_init(&mm->mmap_lock, HOST_RANK_MMAP);
	notifiers_init(mm);
	r = pgtable_init(mm);
	if (!r && window == PINFOLD_WINDOW_EXTENT)
		r = extent_setup(mm);
	if (r) {
		if (mm->root)
			pgtable_destroy(mm);
		mm_struct_free(mm);
		return r;
	}
	mm->magic = MM_MAGIC;
	host_lock(&m->lock);
	mm->next = m->mms;
	m->mms = mm;
	host_unlock(&m->lock);
	atomic_fetch_add(&m->nr_mms, 1);
	*out = mm;
	return 0;
}

PINFOLD_EXPORT int pinfold_mm_create(struct pinfold *m, enum pinfold_window window,
                                     struct mm_struct **out)
{
	int r = machine_check_live(m);

	if (!r && (!out || (unsigned)window > PINFOLD_WINDOW_EXTENT))
		r = -EINVAL;
	if (r)
		return r;
	call_begin();
	if (window == PINFOLD_WINDOW_DIRECT)
		r = window_setup(m);
	if (window == PINFOLD_WINDOW_EXTENT)
		r = signals_setup(m);
	if (!r)
		r = mm_create(m, window, out);
	call_end();
	return r;
}

PINFOLD_EXPORT int pinfold_mm_destroy(struct mm_struct *mm)
{
	int r = mm_check_live(mm);

	if (r)
		return r == -EINVAL ? -EBADF : r;
	if (current.mmap_held) /* this one's or another's: may_change() */
		return -EBUSY;
	call_begin();
	r = do_munmap(mm, 0, VMA_HIGHEST);
	VM_WARN_ON(r);
	host_write_lock(&mm->mmap_lock);
	notifiers_release(mm);
	mm->magic = 0;
	if (mm->arena) {
		/* Nobody may have an address of it noted when it becomes somebody else's. */
		registry_remove_windows(mm->arena, mm->arena_end);
		tlb_wait(mm->machine);
		extent_exit(mm);
	}
	pgtable_destroy(mm);
	free(mm->vmas);
	mm->vmas = NULL;
	mm->room = 0;
	host_write_unlock(&mm->mmap_lock);
	call_end();
	atomic_fetch_sub(&mm->machine->ledger, (int64_t)atomic_exchange(&mm->locked_vm, 0));
	atomic_fetch_sub(&mm->machine->nr_mms, 1);
	if (used_mm() == mm)
		atomic_store_explicit(&current.mm, NULL, memory_order_relaxed);
	return 0;
}

PINFOLD_EXPORT int pinfold_mm_range(struct mm_struct *mm, unsigned long *start, unsigned long *end)
{
	int r = mm_check_live(mm);

	if (r || !start || !end)
		return r ? r : -EINVAL;
	*start = mm->arena ? mm->arena : VMA_LOWEST;
	*end = mm->arena ? mm->arena_end : VMA_HIGHEST;
	return 0;
}

PINFOLD_EXPORT long pinfold_mm_shift(const struct mm_struct *mm)
{
	return mm_check_live(mm) ? 0 : mm->shift;
}

PINFOLD_EXPORT int pinfold_use_mm(struct mm_struct *mm)
{
	int r = mm ? mm_check_live(mm) : 0;

	if (r)
		return r;
	if (mm && current.machine != mm->machine)
		vmstat_attach(mm->machine);
	atomic_store_explicit(&current.mm, mm, memory_order_relaxed);
	return 0;
}

/* ---- the public mmap lock: the thread remembers, so that its faults do not take it again --------- */

static void held(struct mm_struct *mm, bool write)
{
	current.mmap_held = mm;
	current.mmap_write = write;
}

PINFOLD_EXPORT void mmap_read_lock(struct mm_struct *mm)
{
	call_begin();
	host_read_lock(&mm->mmap_lock);
	held(mm, false);
	call_end();
}

PINFOLD_EXPORT int mmap_read_trylock(struct mm_struct *mm)
{
	int got;

	call_begin();
	got = host_read_trylock(&mm->mmap_lock);
	if (got)
		held(mm, false);
	call_end();
	return got;
}

PINFOLD_EXPORT void mmap_read_unlock(struct mm_struct *mm)
{
	call_begin();
	held(NULL, false);
	host_read_unlock(&mm->mmap_lock);
	call_end();
}

PINFOLD_EXPORT void mmap_write_lock(struct mm_struct *mm)
{
	call_begin();
	host_write_lock(&mm->mmap_lock);
	held(mm, true);
	call_end();
}

PINFOLD_EXPORT void mmap_write_unlock(struct mm_struct *mm)
{
	call_begin();
	held(NULL, false);
	host_write_unlock(&mm->mmap_lock);
	call_end();
}
