/* SPDX-License-Identifier: MIT */
/* commit.c - the public side of decision D11: write sections, freeze, commit, checkpoint. */
#include <errno.h>
#include <string.h>

#include "lib/export.h"
#include "mm/freeze.h"
#include "mm/handle.h"
#include "mm/vmstat.h"
#include "mm/writeback.h"

PINFOLD_EXPORT int pinfold_write_begin(struct pinfold_file *file, size_t bytes)
{
	uint64_t n = bytes / PAGE_SIZE + !!(bytes % PAGE_SIZE);
	int r = file_enter(file);

	if (r)
		return r;
	if (current_section(&file->mapping))
		r = -EDEADLK;
	else if (current.nr_sections == MAX_SECTIONS)
		r = -ENOMEM;
	else if (current.mmap_held)
		r = -EDEADLK; /* a freeze waits for sections, and faults in it for the mmap lock */
	if (!r && !current.machine)
		vmstat_attach(file->mapping.machine); /* the end of the thread ends its sections */
	if (!r && !cut_reserve(file->mapping.machine, n))
		r = -ENOSPC;
	if (r) {
		file_leave(file);
		return r;
	}
	/*
	 * 1 thread A is in a section of f, B in one of g    2 freezes of f and g wait for them
	 * 3 A begins one of g, B one of f: held off by the waiting freezes, none of the four would go on.
	 */
	if (current.nr_sections)
		host_read_lock_nested(&file->mapping.section_sem);
	else
		host_read_lock(&file->mapping.section_sem);
	current.section[current.nr_sections++] = (struct section){ &file->mapping, n };
	call_end();
	return 0; /* and a user of the file until write_end */
}

PINFOLD_EXPORT int pinfold_write_end(struct pinfold_file *file)
{
	struct section *s;
	int r = file_enter(file);
	uint64_t left;

	if (r)
		return r;
	s = current_section(&file->mapping);
	if (!s) {
		file_leave(file);
		return -EINVAL;
	}
	left = s->left;
	*s = current.section[--current.nr_sections];
	if (file->mapping.flags & PINFOLD_FILE_ASYNC_WP) {
		/* What was stored is not known before the next freeze: until then all of it counts. */
		host_lock(&file->mapping.pages_lock);
		file->mapping.async_reserved += left;
		host_unlock(&file->mapping.pages_lock);
		left = 0;
	}
	host_read_unlock(&file->mapping.section_sem);
	cut_unreserve(file->mapping.machine, left);
	atomic_fetch_sub(&file->mapping.users, 1); /* begin's */
	file_leave(file);
	return 0;
}

/* File pages of [offset, offset + length), the last one inclusive.  0 or -EINVAL. */
static int page_range(uint64_t offset, uint64_t length, uint64_t *first, uint64_t *last)
{
	if (offset % PAGE_SIZE || offset + length < offset)
		return -EINVAL;
	*first = offset >> PAGE_SHIFT;
	*last = length ? (offset + length - 1) >> PAGE_SHIFT : UINT64_MAX;
	/* Half a page cannot be committed: the other half would be too. */
	return length % PAGE_SIZE ? -EINVAL : 0;
}

PINFOLD_EXPORT int64_t pinfold_freeze(struct pinfold_file *file, uint64_t offset, uint64_t length)
{
	uint64_t first, last;
	int64_t r = file_enter(file);

	if (r)
		return r;
	r = page_range(offset, length, &first, &last);
	if (!r && (current.nr_sections || current.mmap_held))
		r = -EDEADLK;
	if (!r)
		r = freeze_file(&file->mapping, first, last);
	file_leave(file);
	return r;
}

PINFOLD_EXPORT int pinfold_commit_wait(struct pinfold_file *file, int64_t cut,
                                       struct pinfold_report *report)
{
	int r = file_enter(file);

	if (r)
		return r;
	if (current.nr_sections || current.mmap_held)
		r = -EDEADLK;
	else
		r = writeback_commit(&file->mapping, cut, report);
	file_leave(file);
	return r;
}

PINFOLD_EXPORT int pinfold_commit(struct pinfold_file *file, uint64_t offset, uint64_t length,
                                  struct pinfold_report *report)
{
	int64_t cut = pinfold_freeze(file, offset, length);

	return cut < 0 ? (int)cut : pinfold_commit_wait(file, cut, report);
}

PINFOLD_EXPORT int pinfold_checkpoint(struct pinfold_file *file)
{
	int r = file_enter(file);

	if (r)
		return r;
	r = current.nr_sections ? -EDEADLK : writeback_checkpoint(&file->mapping);
	file_leave(file);
	return r;
}

PINFOLD_EXPORT int64_t pinfold_size(struct pinfold_file *file)
{
	int64_t r = file_enter(file);

	if (r)
		return r;
	r = (int64_t)atomic_load(&file->mapping.size);
	file_leave(file);
	return r;
}

/*
 * Zeroes what stands behind the old end in its page: read as zero, it may have been stored to since,
 * and such stores reach no file.  The page's lock keeps two growing threads apart.
 */
static void grow(struct address_space *mapping, uint64_t size)
{
	uint64_t old = atomic_load(&mapping->size);

	while (size > old) {
		struct page *p = old % PAGE_SIZE ? filemap_peek(mapping, old >> PAGE_SHIFT) : NULL;

		if (p) {
			page_lock(mapping->machine, p);
			if (atomic_load(&mapping->size) == old)
				memset((char *)p->addr + old % PAGE_SIZE, 0,
				       PAGE_SIZE - old % PAGE_SIZE);
		}
		if (atomic_compare_exchange_strong(&mapping->size, &old, size))
			old = size;
		if (p) {
			page_unlock(p);
			put_internal(mapping->machine, p);
		}
	}
}

PINFOLD_EXPORT int vfs_truncate(struct pinfold_file *file, uint64_t size)
{
	struct address_space *mapping;
	int r = file_enter(file);

	if (r)
		return r;
	mapping = &file->mapping;
	if (size < atomic_load(&mapping->size))
		r = -EOPNOTSUPP;
	else if (size > mapping->max_size)
		r = -EFBIG;
	else
		grow(mapping, size);
	file_leave(file);
	return r;
}
