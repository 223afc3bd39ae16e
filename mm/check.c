/* SPDX-License-Identifier: MIT */
/* check.c - the whole machine looked at from outside: mm_check(), and its numbers. */
#include <errno.h>
#include <string.h>

#include "lib/export.h"
#include "mm/debug.h"
#include "mm/filemap.h"
#include "mm/handle.h"
#include "mm/ledger.h"
#include "mm/lru.h"
#include "mm/machine.h"
#include "mm/rmap.h"
#include "mm/vmstat.h"

/* I1, I4: words that are zero, and the sum of all pins and references. */
static int check_words(struct pinfold *m, uint64_t *refs)
{
	uint64_t pins = 0;
	int bad = 0;

	for (struct mm_struct *mm = m->mms; mm; mm = mm->next)
		if (mm->magic == MM_MAGIC)
			pins += pt_range_pages(mm);

	*refs = 0;
	for (uint32_t i = 0; i < m->nr_frames; i++) {
		uint64_t c = page_count(pfn_to_page(m, i));

		if (!c || ((c & PC_FREE) && c != PC_FREE)) {
			debug_broken("I1: a page's word is zero, or FREE and counted",
			             pfn_to_page(m, i));
			bad++;
			continue;
		}
		if (c == PC_FREE)
			continue;
		pins += pc_pins(c);
		*refs += pc_refs(c);
	}
	if (pins != vmstat_pinned(m)) {
		debug_broken("I4: pins counted on pages and in ranges are not acquired minus released", NULL);
		bad++;
	}
	return bad;
}

static uint64_t locked_pages(const struct pinfold *m)
{
	uint64_t n = 0;

	for (struct mm_struct *mm = m->mms; mm; mm = mm->next)
		n += atomic_load(&mm->locked_vm);
	return n;
}

static int check_ledger(struct pinfold *m)
{
	uint64_t want = locked_pages(m) + (m->pin_limit ? ledger_pages(m) : 0);

	if (want == (uint64_t)atomic_load(&m->ledger))
		return 0;
	debug_broken("I4: the ledger is not what is pinned and accounted", NULL);
	return 1;
}

int mm_check(struct pinfold *m)
{
	uint64_t refs;
	int bad;

	/* Reads that nobody waited for leave pages locked until their end is noted. */
	while (host_ring_pending(m->ring))
		host_ring_reap(m->ring, 10000000);
	bad = check_words(m, &refs) + check_ledger(m) + page_alloc_check(m) + lru_check(m);
	for (struct pinfold_file *f = m->files; f; f = f->next)
		if (atomic_load(&f->magic) == FILE_MAGIC)
			bad += filemap_check(&f->mapping);
	for (struct mm_struct *mm = m->mms; mm; mm = mm->next)
		if (mm->magic == MM_MAGIC)
			bad += rmap_check_mm(mm);
	bad += rmap_check_counts(m) + filemap_check(&m->shared) + extent_check(m);
	return bad;
}

PINFOLD_EXPORT int pinfold_check(struct pinfold *m)
{
	int r = machine_check_live(m);

	if (r)
		return r;
	call_begin();
	r = mm_check(m);
	call_end();
	return r;
}

static void frames(struct pinfold *m, struct pinfold_stats *s)
{
	for (uint32_t i = 0; i < m->nr_frames; i++) {
		uint64_t c = page_count(pfn_to_page(m, i));

		if (!(c & PC_FREE))
			s->refs += pc_refs(c);
	}
	s->frames = m->pool_frames;
	s->frames_free = free_frames(m, &s->frames_cached);
	s->direct_frames = m->direct_frames;
	s->direct_free = atomic_load(&m->nr_direct_free);
	s->staging = m->staging_total;
	s->staging_free = atomic_load(&m->nr_staging);
	s->dirty_pages = (uint64_t)atomic_load(&m->dirty);
	s->locked_pages = locked_pages(m);
	s->pinned_pages = ledger_pages(m);
}

static void events(struct pinfold *m, struct pinfold_stats *s)
{
	uint64_t sum[NR_VM_EVENTS];

	vmstat_read(m, sum);
	s->pins_acquired = sum[PINS_ACQUIRED] + sum[RANGE_PAGES_IN];
	s->pins_released = sum[PINS_RELEASED] + sum[RANGE_PAGES_OUT];
	s->range_pages = sum[RANGE_PAGES_IN] - sum[RANGE_PAGES_OUT] - sum[RANGE_PAGES_MOVED];
	s->pinned_pages += s->range_pages;
	s->faults_missing = sum[FAULTS_MISSING];
	s->faults_minor = sum[FAULTS_MINOR];
	s->faults_write = sum[FAULTS_WRITE];
	s->faults_failed = sum[FAULTS_FAILED];
	s->slow_pins = sum[SLOW_PINS];
	s->pages_read = sum[PAGES_READ];
	s->read_calls = sum[READ_CALLS];
	s->evicted = sum[EVICTED];
	s->evict_skipped_pinned = sum[SKIPPED_PINNED];
	s->evict_skipped_dirty = sum[SKIPPED_DIRTY];
	s->evict_second_chance = sum[SECOND_CHANCE];
	s->commits = sum[COMMITS];
	s->commit_pages = sum[COMMIT_PAGES];
	s->claims_by_writer = sum[CLAIMS_WRITER];
	s->claims_by_committer = sum[CLAIMS_COMMITTER];
	s->journal_bytes = sum[JOURNAL_BYTES];
	s->home_bytes = sum[HOME_BYTES];
	s->flushes = sum[FLUSHES];
	s->checkpoints = sum[CHECKPOINTS];
	s->window_installs = sum[WINDOW_INSTALLS];
	s->window_drops = sum[WINDOW_DROPS];
	s->zero_maps = sum[ZERO_MAPS];
	s->cow_copied = sum[COW_COPIED];
	s->cow_reused = sum[COW_REUSED];
	s->unshared = sum[UNSHARED];
	s->folios_mapped = sum[FOLIOS_MAPPED];
	s->folio_fallbacks = sum[FOLIO_FALLBACKS];
	s->folios_split = sum[FOLIOS_SPLIT];
	s->mappings_split = sum[MAPPINGS_SPLIT];
	s->forks = sum[FORKS];
	s->leaves_shared = sum[LEAVES_SHARED];
	s->leaves_copied = sum[LEAVES_COPIED];
	s->fork_copied = sum[FORK_COPIED];
	s->moved_tables = sum[MOVED_TABLES];
	s->moved_slots = sum[MOVED_SLOTS];
	s->window_evicted = sum[WINDOW_EVICTED];
	s->notified = sum[NOTIFIED];
}

PINFOLD_EXPORT int pinfold_get_stats(struct pinfold *m, struct pinfold_stats *stats)
{
	struct pinfold_stats s = { .size = sizeof(s) };
	int r = machine_check_live(m);

	if (r)
		return r;
	if (!stats || stats->size < sizeof(size_t) || stats->size > sizeof(s))
		return -EINVAL;
	s.size = stats->size;
	frames(m, &s);
	events(m, &s);
	s.fast_pins = s.pins_acquired - s.slow_pins;
	s.files = atomic_load(&m->nr_files);
	s.mms = atomic_load(&m->nr_mms);
	s.vmas = atomic_load(&m->nr_vmas);
	for (int i = 0; i < TABLE_LEVELS; i++)
		s.tables += m->tables[i].live;
	s.uring_reads = host_ring_count(m->ring, false);
	s.uring_writes = host_ring_count(m->ring, true);
	host_lock(&m->window_lock);
	s.window_vmas = m->window_vmas;
	host_unlock(&m->window_lock);
	s.invariants_broken = debug_broken_count();
	memcpy(stats, &s, stats->size);
	return 0;
}
