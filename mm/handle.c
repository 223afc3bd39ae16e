/* SPDX-License-Identifier: MIT */
/* handle.c - see handle.h. */
#include "mm/handle.h"

#include <errno.h>
#include <string.h>

#include "mm/registry.h"
#include "mm/vmstat.h"

static struct slab files = {
	.lock = HOST_MUTEX_INIT(HOST_RANK_SLAB), .chunk = 1 << 16,
	.size = (sizeof(struct pinfold_file) + 63) & ~(size_t)63,
};
static struct slab mms = {
	.lock = HOST_MUTEX_INIT(HOST_RANK_SLAB), .chunk = 1 << 14,
	.size = (sizeof(struct mm_struct) + 63) & ~(size_t)63,
};

struct pinfold_file *file_struct_alloc(void)
{
	struct pinfold_file *f;

	call_begin();
	f = slab_alloc(&files);
	call_end();
	if (f)
		memset(f, 0, sizeof(*f));
	return f;
}

void file_struct_free(struct pinfold_file *f)
{
	atomic_store(&f->magic, 0);
	call_begin();
	slab_free(&files, f);
	call_end();
}

struct mm_struct *mm_struct_alloc(void)
{
	struct mm_struct *mm;

	call_begin();
	mm = slab_alloc(&mms);
	call_end();
	if (mm)
		memset(mm, 0, sizeof(*mm));
	return mm;
}

void mm_struct_free(struct mm_struct *mm)
{
	mm->magic = 0;
	call_begin();
	slab_free(&mms, mm);
	call_end();
}

int machine_check_live(const struct pinfold *m)
{
	if (!registry_has_machine(m))
		return -EINVAL;
	return atomic_load_explicit(&m->dead, memory_order_relaxed) ? -EOWNERDEAD : 0;
}

int mm_check_live(const struct mm_struct *mm)
{
	if (!mm || mm->magic != MM_MAGIC)
		return -EINVAL;
	return atomic_load_explicit(&mm->machine->dead, memory_order_relaxed) ? -EOWNERDEAD : 0;
}

int file_enter(struct pinfold_file *file)
{
	if (!file)
		return -EBADF;
	/* Counted first, then looked at; close changes magic first, then looks at the count: one of the
	 * two sees the other (both are seq_cst). */
	atomic_fetch_add(&file->mapping.users, 1);
	if (atomic_load(&file->magic) != FILE_MAGIC) {
		atomic_fetch_sub(&file->mapping.users, 1);
		return -EBADF;
	}
	if (atomic_load_explicit(&file->mapping.machine->dead, memory_order_relaxed)) {
		atomic_fetch_sub(&file->mapping.users, 1);
		return -EOWNERDEAD;
	}
	/* A signal handler that touches a window from here on would wait for this call's own locks. */
	call_begin();
	return 0;
}

void file_leave(struct pinfold_file *file)
{
	call_end();
	atomic_fetch_sub(&file->mapping.users, 1);
}
