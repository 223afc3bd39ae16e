/* SPDX-License-Identifier: MIT */
/* machine.c - a machine from its options, its end with the leak equation, its numbers. */
#include "mm/machine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/export.h"
#include "mm/debug.h"
#include "mm/extent.h"
#include "mm/filemap.h"
#include "mm/handle.h"
#include "mm/lru.h"
#include "mm/reclaim.h"
#include "mm/registry.h"
#include "mm/vmstat.h"
#include "mm/writeout.h"

#define MIB (1ul << 20)
#define HUGE (2 * MIB)
#define RING_ENTRIES 256u
#define MIN_STAGING 16u
#define MAX_STAGING (32 * MIB)

static size_t round_up(size_t v, size_t to)
{
	return (v + to - 1) / to * to;
}

/* The options with their defaults filled in.  0 or -EINVAL. */
static int read_options(const struct pinfold_options *in, struct pinfold_options *o)
{
	memset(o, 0, sizeof(*o));
	if (in) {
		if (in->size < sizeof(size_t) || in->size > sizeof(*o) + 256)
			return -EINVAL;
		memcpy(o, in, in->size < sizeof(*o) ? in->size : sizeof(*o));
	}
	o->size = sizeof(*o);
	if ((o->flags & ~(PINFOLD_NO_URING | PINFOLD_NO_SIGNALS)) || (o->pin_limit && o->pin_limit < PAGE_SIZE))
		return -EINVAL;
	if (!o->window_vmas) {
		struct pinfold_probe probe = { .size = sizeof(probe) };

		host_probe_mappings(&probe);
		o->window_vmas = (unsigned)(probe.max_map_count / 4);
	}
	if (!o->memory)
		o->memory = 256 * MIB;
	if (!o->pool)
		o->pool = o->memory / 8 < 4 * MIB ? 4 * MIB : o->memory / 8;
	o->pool = round_up(o->pool, HUGE);
	o->memory = round_up(o->memory, PAGE_SIZE);
	if (!o->staging)
		o->staging = o->pool / 4 < MAX_STAGING ? o->pool / 4 : MAX_STAGING;
	o->staging = round_up(o->staging, PAGE_SIZE);
	if (o->staging < MIN_STAGING * PAGE_SIZE)
		o->staging = MIN_STAGING * PAGE_SIZE;
	if (o->pool > o->memory || o->staging >= o->pool || o->memory >> PAGE_SHIFT > 1ul << 30)
		return -EINVAL;
	if (!o->dirty_limit)
		o->dirty_limit = (o->memory - o->staging) / 4 * 3;
	if (!o->deadline_ms)
		o->deadline_ms = 5000;
	return 0;
}

static void machine_free(struct pinfold *m)
{
	for (int i = 0; i < TABLE_LEVELS; i++)
		slab_destroy(&m->tables[i]);
	slab_destroy(&m->nodes);
	slab_destroy(&m->vmas);
	slab_destroy(&m->fills);
	slab_destroy(&m->chunks);
	host_ring_destroy(m->ring);
	for (int i = 0; i < 2; i++)
		if (m->uffd[i] >= 0)
			host_close(m->uffd[i]);
	if (m->pages)
		host_unmap(m->pages, m->pages_len);
	if (m->bounce)
		host_unmap(m->bounce, FLIGHTS * BATCH_PAGES * PAGE_SIZE);
	if (m->pool)
		host_unmap(m->pool, m->opts.pool + PAGE_SIZE);
	if (m->pool_fd >= 0)
		host_close(m->pool_fd);
	while (m->mms) {
		struct mm_struct *mm = m->mms;

		m->mms = mm->next;
		mm_struct_free(mm);
	}
	while (m->files) {
		struct pinfold_file *f = m->files;

		m->files = f->next;
		file_struct_free(f);
	}
	free(m->batch);
	free(m);
}

/* The record behind the frames' own; its word never changes (Z2). */
static void zero_page_init(struct pinfold *m)
{
	m->zero = &m->pages[m->nr_frames];
	m->zero->addr = m->pool + m->opts.pool;
	m->zero->mapping = &m->anon;
	atomic_store(&m->zero->count, PC_INTERNAL);
	atomic_store(&m->zero->flags, PG_anon | PG_uptodate);
}

/* Memory: the pool, its records, the committer's buffers.  0 or -errno. */
static int machine_memory(struct pinfold *m)
{
	struct pinfold_options *o = &m->opts;
	int r;

	m->pool_frames = (uint32_t)(o->pool >> PAGE_SHIFT);
	m->direct_frames = (uint32_t)((o->memory - o->pool) >> PAGE_SHIFT);
	m->nr_frames = m->pool_frames + m->direct_frames;
	m->pages_len = (m->nr_frames + 1) * sizeof(struct page);
	if (m->pages_len > HUGE) /* whole ones only: the system places such mappings where they can be huge pages */
		m->pages_len = round_up(m->pages_len, HUGE);
	m->pool_fd = host_memfd("pinfold-pool", o->pool + PAGE_SIZE); /* and the zero page */
	if (m->pool_fd < 0)
		return m->pool_fd;
	/* All of it now: later a full system would be a SIGBUS inside the library (D4). */
	r = host_memfd_alloc(m->pool_fd, 0, o->pool + PAGE_SIZE);
	if (r)
		return r;
	m->pool = host_memfd_map(m->pool_fd, o->pool + PAGE_SIZE);
	m->pages = host_map(m->pages_len);
	m->bounce = host_map(FLIGHTS * BATCH_PAGES * PAGE_SIZE);
	m->batch = host_fail() ? NULL : malloc(sizeof(*m->batch));
	if (!m->pool || !m->pages || !m->bounce || !m->batch)
		return -ENOMEM;
	batch_init(m->batch, m->bounce);
	host_collapse(m->pool, o->pool);
	zero_page_init(m);
	return page_alloc_init(m, (uint32_t)(o->staging >> PAGE_SHIFT));
}

static void child_machine(struct pinfold *m)
{
	atomic_store(&m->dead, 1);
	/* Else the files' locks would live as long as this child. */
	for (struct pinfold_file *f = m->files; f; f = f->next) {
		if (f->mapping.ops)
			f->mapping.ops->child(&f->mapping);
		if (f->mapping.memfd >= 0)
			host_close(f->mapping.memfd);
	}
	for (struct mm_struct *mm = m->mms; mm; mm = mm->next)
		extent_child(mm);
	host_ring_child(m->ring);
	host_close(m->pool_fd);
	for (int i = 0; i < 2; i++)
		if (m->uffd[i] >= 0)
			host_close(m->uffd[i]);
}

/* Pool, direct windows and aliases are MADV_DONTFORK: the child does not have them. */
static void in_child(void)
{
	vmstat_child();
	registry_child(child_machine);
}

/* What stands behind anonymous memory. */
static void memory_mappings(struct pinfold *m)
{
	mapping_init(&m->anon, m, 0);
	host_mutex_init(&m->anon.i_mmap_lock, HOST_RANK_ANON);
	m->anon.ops = &memory_ops;
	mapping_init(&m->shared, m, 0);
	m->shared.ops = &memory_ops;
	m->shared.max_size = 1ull << 63;
	atomic_store(&m->shared.size, 1ull << 63);
}

int machine_create_on(struct host_disk *disk, const struct pinfold_options *opts, struct pinfold **out)
{
	struct pinfold_options o;
	struct pinfold *m;
	int r = read_options(opts, &o);

	if (r || !out)
		return -EINVAL;
	m = host_fail() ? NULL : aligned_alloc(_Alignof(struct pinfold), sizeof(*m));
	if (!m)
		return -ENOMEM;
	memset(m, 0, sizeof(*m));
	m->opts = o;
	m->disk = disk;
	m->pool_fd = m->uffd[0] = m->uffd[1] = -1;
	host_mutex_init(&m->lock, HOST_RANK_MACHINE);
	host_mutex_init(&m->commit_lock, HOST_RANK_COMMIT);
	for (int i = 0; i < TABLE_LEVELS; i++)
		slab_init(&m->tables[i], sizeof(struct table), i ? 4 * sizeof(struct table) :
		          o.memory >= 512 * MIB ? HUGE : 64 * sizeof(struct table));
	host_rwsem_init(&m->tlb_sem, HOST_RANK_TLB);
	slab_init(&m->nodes, SPARSE_NODE_SIZE, 64 * SPARSE_NODE_SIZE);
	slab_init(&m->vmas, sizeof(struct vm_area_struct), 1 << 14);
	slab_init(&m->fills, filemap_fill_size(), 1 << 16);
	lru_init(m);
	memory_mappings(m);
	extent_init_machine(m);
	m->window_budget = o.window_vmas;
	m->dirty_limit = (int64_t)(o.dirty_limit >> PAGE_SHIFT);
	m->pin_limit = (int64_t)(o.pin_limit >> PAGE_SHIFT);
	r = machine_memory(m);
	if (!r)
		r = host_at_fork_child(in_child);
	if (!r && !(o.flags & PINFOLD_NO_URING))
		m->ring = host_ring_create(RING_ENTRIES);
	if (!r)
		r = registry_add_machine(m);
	if (r) {
		machine_free(m);
		return r;
	}
	if (o.assert_hook)
		debug_set_hook(o.assert_hook);
	m->magic = MACHINE_MAGIC;
	*out = m;
	return 0;
}

PINFOLD_EXPORT int pinfold_create(const struct pinfold_options *opts, struct pinfold **machine)
{
	return machine_create_on(&host_system_disk, opts, machine);
}

/* Frames that are neither free nor in stock: held by a pin or a reference from outside. */
static bool frames_out(struct pinfold *m)
{
	return free_frames(m, NULL) + atomic_load(&m->nr_staging) != m->pool_frames ||
	       atomic_load(&m->nr_direct_free) != m->direct_frames;
}

/* The leak equation: with everything closed nothing is out. */
static void check_leaks(struct pinfold *m)
{
	VM_WARN_ON(vmstat_pinned(m));
	for (int i = 0; i < TABLE_LEVELS; i++)
		VM_WARN_ON(m->tables[i].live);
	VM_WARN_ON(m->nodes.live || m->vmas.live || m->fills.live || m->chunks.live);
	VM_WARN_ON(atomic_load(&m->shared.nr_pages) || m->window_vmas);
	VM_WARN_ON(atomic_load(&m->dirty));
	VM_WARN_ON(host_ring_pending(m->ring));
}

PINFOLD_EXPORT int pinfold_destroy(struct pinfold *m)
{
	int r = machine_check_live(m);

	if (r)
		return r;
	call_begin();
	while (host_ring_pending(m->ring))
		host_ring_reap(m->ring, 10000000);
	call_end();
	if (atomic_load(&m->nr_files) || atomic_load(&m->nr_mms) || frames_out(m))
		return -EBUSY;
	check_leaks(m);
	registry_remove_machine(m);
	vmstat_detach_all(m);
	m->magic = 0;
	if (m->opts.assert_hook)
		debug_set_hook(NULL);
	machine_free(m);
	return 0;
}

PINFOLD_EXPORT long pinfold_reclaim(struct pinfold *m, unsigned long pages)
{
	long r = machine_check_live(m);
	bool pending;

	if (r)
		return r;
	call_begin();
	r = reclaim_frames(m, FRAME_DIRECT, pages, &pending);
	if ((unsigned long)r < pages)
		r += reclaim_frames(m, FRAME_POOL, pages - (unsigned long)r, &pending);
	call_end();
	return r;
}

PINFOLD_EXPORT int pinfold_poll_fd(struct pinfold *m)
{
	int r = machine_check_live(m);

	if (r)
		return r;
	return m->ring ? host_ring_eventfd(m->ring) : -EOPNOTSUPP;
}

PINFOLD_EXPORT int pinfold_progress(struct pinfold *m)
{
	int r = machine_check_live(m);

	if (r)
		return r;
	call_begin();
	r = host_ring_reap(m->ring, 0);
	call_end();
	return r;
}

PINFOLD_EXPORT int pinfold_get_probe(struct pinfold_probe *probe)
{
	if (!probe || probe->size != sizeof(*probe))
		return -EINVAL;
	host_probe(probe);
	return 0;
}

PINFOLD_EXPORT const char *pinfold_version(void)
{
	return "0.1.0";
}
