/* SPDX-License-Identifier: MIT */
/* open.c - files are opened and closed here: the mapping around a file system's part. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/fs.h"
#include "lib/export.h"
#include "mm/debug.h"
#include "mm/filemap.h"
#include "mm/handle.h"
#include "mm/reclaim.h"
#include "mm/vmstat.h"
#include "mm/writeback.h"

#define GIB (1ull << 30)
#define MAX_SIZE (1ull << 47)
#define FILE_FLAGS (PINFOLD_FILE_DIRECT | PINFOLD_FILE_CREATE | PINFOLD_FILE_NO_JOURNAL | \
                    PINFOLD_FILE_ASYNC_WP | PINFOLD_FILE_PIN_WAIT | PINFOLD_FILE_NO_ODIRECT | \
                    PINFOLD_FILE_HOME_LATER)

static int read_options(struct pinfold *m, const struct pinfold_file_options *in,
                        struct pinfold_file_options *o)
{
	memset(o, 0, sizeof(*o));
	if (in) {
		if (in->size < sizeof(size_t) || in->size > sizeof(*o) + 256)
			return -EINVAL;
		memcpy(o, in, in->size < sizeof(*o) ? in->size : sizeof(*o));
	}
	if ((o->flags & ~FILE_FLAGS) || o->max_size % PAGE_SIZE || o->max_size > MAX_SIZE)
		return -EINVAL;
	if ((o->flags & PINFOLD_FILE_ASYNC_WP) && !(o->flags & PINFOLD_FILE_DIRECT))
		return -EINVAL;
	if ((o->flags & PINFOLD_FILE_NO_JOURNAL) && (o->flags & PINFOLD_FILE_HOME_LATER))
		return -EINVAL;
	/* A machine whose memory is all pool has no frame for a direct file. */
	if ((o->flags & PINFOLD_FILE_DIRECT) && !m->direct_frames)
		return -EINVAL;
	return 0;
}

static struct pinfold_file *file_alloc(struct pinfold *m, unsigned flags)
{
	struct pinfold_file *f = file_struct_alloc();
	struct address_space *mapping;

	if (!f)
		return NULL;
	mapping = &f->mapping;
	mapping_init(mapping, m, flags);
	return f;
}

/* The sparse memory file of a direct file and the library's view of it.  0 or -errno. */
static int direct_setup(struct address_space *mapping)
{
	mapping->memfd = host_memfd("pinfold-file", mapping->max_size);
	if (mapping->memfd < 0)
		return mapping->memfd;
	mapping->alias = host_memfd_map(mapping->memfd, mapping->max_size);
	return mapping->alias ? 0 : -ENOMEM;
}

static void mapping_free(struct address_space *mapping)
{
	int memfd = mapping->memfd;

	if (mapping->alias)
		host_unmap(mapping->alias, mapping->max_size);
	mapping->alias = NULL;
	/* First: the child of a fork in between must not close a number that is another's by now. */
	mapping->memfd = -1;
	if (memfd >= 0)
		host_close(memfd);
	sparse_free(&mapping->pages);
}

static void publish(struct pinfold_file *f)
{
	struct pinfold *m = f->mapping.machine;

	/* commit_lock: reclaim walks the list for files to flush. */
	call_begin();
	host_lock(&m->commit_lock);
	f->next = m->files;
	m->files = f;
	atomic_store(&f->magic, FILE_MAGIC);
	host_unlock(&m->commit_lock);
	call_end();
	atomic_fetch_add(&m->nr_files, 1);
}

/* What is common to both kinds, behind their own part.  0 or -errno. */
static int finish_open(struct pinfold_file *f, const struct pinfold_file_options *o)
{
	struct address_space *mapping = &f->mapping;
	uint64_t size = atomic_load(&mapping->size);

	mapping->max_size = o->max_size;
	if (!mapping->max_size)
		mapping->max_size = size <= GIB ? GIB : (size + GIB - 1) / GIB * GIB;
	if (!(o->flags & PINFOLD_FILE_DIRECT)) {
		mapping->max_size = o->max_size ? o->max_size : MAX_SIZE;
		return size > mapping->max_size ? -EFBIG : 0;
	}
	return size > mapping->max_size ? -EFBIG : direct_setup(mapping);
}

/* The end of both opens: the file is the caller's, or what was set up of it goes.  r. */
static int hand_out(struct pinfold_file *f, int r, struct pinfold_file **file)
{
	if (r) {
		mapping_free(&f->mapping);
		file_struct_free(f);
		return r;
	}
	publish(f);
	*file = f;
	return 0;
}

PINFOLD_EXPORT int pinfold_open(struct pinfold *m, const char *path, struct pinfold_file_options *opts,
                                struct pinfold_file **file)
{
	struct pinfold_file_options o;
	struct pinfold_file *f;
	int holder = 0, r = machine_check_live(m);

	if (r)
		return r;
	if (!path || !file || read_options(m, opts, &o))
		return -EINVAL;
	f = file_alloc(m, o.flags);
	if (!f)
		return -ENOMEM;
	r = hostfs_open(&f->mapping, path, &o, &holder);
	if (opts && opts->size >= offsetof(struct pinfold_file_options, holder_pid) + sizeof(int))
		opts->holder_pid = holder;
	if (!r) {
		r = finish_open(f, &o);
		if (r)
			f->mapping.ops->release(&f->mapping);
	}
	return hand_out(f, r, file);
}

PINFOLD_EXPORT int pinfold_open_memory(struct pinfold *m, uint64_t bytes,
                                       const struct pinfold_file_options *opts,
                                       struct pinfold_file **file)
{
	struct pinfold_file_options o;
	struct pinfold_file *f;
	int r = machine_check_live(m);

	if (r)
		return r;
	if (!file || read_options(m, opts, &o) ||
	    (o.flags & (PINFOLD_FILE_ASYNC_WP | PINFOLD_FILE_CREATE | PINFOLD_FILE_HOME_LATER)))
		return -EINVAL;
	f = file_alloc(m, o.flags);
	if (!f)
		return -ENOMEM;
	shmem_init(&f->mapping, bytes);
	return hand_out(f, finish_open(f, &o), file);
}

static bool any_held(struct address_space *mapping)
{
	uint64_t i = 0;
	struct page *p;
	bool found = false;

	host_lock(&mapping->pages_lock);
	for (; !found && (p = sparse_next(&mapping->pages, &i, UINT64_MAX, -1)); i++)
		found = pc_pins(page_count(p)) || pc_refs(page_count(p));
	host_unlock(&mapping->pages_lock);
	return found;
}

/* Nobody may come in any more; is somebody there?  0 or -EBUSY. */
static int close_check(struct address_space *mapping)
{
	struct pinfold *m = mapping->machine;

	/* Reads that were started ahead count as users until their end is noted. */
	while (atomic_load(&mapping->users) && host_ring_pending(m->ring))
		host_ring_reap(m->ring, 10000000);
	if (atomic_load(&mapping->users) || any_held(mapping))
		return -EBUSY;
	return mapping->cut_state == CUT_NONE ? 0 : -EBUSY;
}

PINFOLD_EXPORT int pinfold_close(struct pinfold_file *file)
{
	uint32_t live = FILE_MAGIC;
	struct address_space *mapping;
	struct pinfold *m;
	int r;

	/* Looked at first: a struct that is not live may have outlived its machine. */
	if (!file || atomic_load(&file->magic) != FILE_MAGIC)
		return -EBADF;
	mapping = &file->mapping;
	m = mapping->machine;
	if (atomic_load(&m->dead))
		return -EOWNERDEAD;
	if (!atomic_compare_exchange_strong(&file->magic, &live, FILE_CLOSING))
		return -EBADF;
	call_begin();
	r = close_check(mapping);
	if (r) {
		atomic_store(&file->magic, FILE_MAGIC);
		call_end();
		return r;
	}
	r = writeback_checkpoint(mapping);
	writeback_discard(mapping);
	evict_all(mapping);
	/* Reclaim may be looking at the file's numbers right now. */
	host_lock(&m->commit_lock);
	atomic_store(&file->magic, 0);
	host_unlock(&m->commit_lock);
	mapping->ops->release(mapping);
	mapping_free(mapping);
	atomic_fetch_sub(&m->nr_files, 1);
	call_end();
	return r ? -EIO : 0;
}

PINFOLD_EXPORT int pinfold_journal_state(const char *path, struct pinfold_journal_info *info)
{
	struct pinfold_journal_info i = { .size = sizeof(i) };
	int r;

	if (!path || !info || info->size != sizeof(*info))
		return -EINVAL;
	r = hostfs_inspect(&host_system_disk, path, &i);
	if (!r)
		*info = i;
	return r;
}
