/* SPDX-License-Identifier: MIT */
/*
 * space.h - what anon_bench.c and fork_bench.c share: anonymous memory of pinfold's and of the kernel's, and the
 * references of one repetition, from which targets are computed.
 */
#ifndef BENCH_SPACE_H
#define BENCH_SPACE_H

#include "bench.h"

#define RW (PINFOLD_PROT_READ | PINFOLD_PROT_WRITE)
#define ANON (PINFOLD_MAP_PRIVATE | PINFOLD_MAP_ANONYMOUS)
#define LEAF (2 * MIB)
#define HOT_PAGES 64ul /* used again and again: 256 KiB */
#define PER_CALL 512

/* The folder where the kernel says what it does with huge pages. */
#define THP_FOLDER "/sys/kernel/mm/transparent_hugepage"

/* ---- pinfold's side ---------------------------------------------------------------------------- */

/* One mapping of anonymous memory and the machine behind it. */
struct space {
	struct pinfold *machine;
	struct mm_struct *mm;
	unsigned long at;
	size_t size;
	enum pinfold_window window;
	bool folios;
};

static inline void space_open(struct space *s, size_t size, size_t pool, enum pinfold_window window, bool folios)
{
	struct pinfold_options o = { .size = sizeof(o), .memory = pool, .pool = pool, .staging = MIB };

	*s = (struct space){ .size = size, .window = window, .folios = folios };
	MUST(pinfold_create(&o, &s->machine));
	MUST(pinfold_mm_create(s->machine, window, &s->mm));
}

static inline void space_close(struct space *s)
{
	if (!s->machine)
		return;
	MUST(pinfold_use_mm(NULL));
	MUST(pinfold_mm_destroy(s->mm));
	MUST(pinfold_destroy(s->machine));
	s->machine = NULL;
}

static inline void space_map(struct space *s)
{
	s->at = (unsigned long)MUST(vm_mmap(s->mm, 0, s->size, RW, ANON, NULL, 0));
	if (s->folios)
		MUST(vm_madvise(s->mm, s->at, s->size, PINFOLD_MADV_HUGEPAGE));
	MUST(pinfold_use_mm(s->mm));
}

/* What a row says of folios must be so. */
static inline void space_unmap(struct space *s)
{
	struct pinfold_stats st = { .size = sizeof(st) };

	MUST(pinfold_get_stats(s->machine, &st));
	if (s->folios ? st.folio_fallbacks || !st.folios_mapped : st.folios_mapped)
		die("%s: %llu folios, %llu fallbacks", s->folios ? "2 MiB" : "4 KiB",
		    (unsigned long long)st.folios_mapped, (unsigned long long)st.folio_fallbacks);
	MUST(vm_munmap(s->mm, s->at, s->size));
}

/*
 * Pins pages for writing, `per` a call, and puts them.  The time of the gets alone, in ns, if `apart`; else of both.
 * They are put at the latest when 512 are held.
 */
static inline double pin_pages(unsigned long at, size_t pages, size_t per, bool apart)
{
	struct page *page[PER_CALL];
	size_t batch = !apart ? per : pages < PER_CALL ? pages : PER_CALL;
	double t = now_ns(), sum = 0;

	for (size_t i = 0; i < pages; i += batch) {
		if (apart)
			t = now_ns();
		for (size_t j = 0; j < batch; j += per)
			if (get_user_pages_fast(at + (i + j) * PG, (int)per, FOLL_WRITE, page + j) != (int)per)
				die("get_user_pages_fast");
		if (apart)
			sum += now_ns() - t;
		if (per == 1 && batch == 1 ? put_user_page(page[0]) : put_user_pages(page, batch))
			die("put_user_pages");
	}
	return apart ? sum : now_ns() - t;
}

/* ---- the kernel's ------------------------------------------------------------------------------ */

static inline void store_pages(unsigned long at, size_t pages, size_t step)
{
	for (size_t i = 0; i < pages; i += step)
		*(volatile char *)(at + i * PG) = 1;
}

static inline void load_pages(unsigned long at, size_t pages, size_t step)
{
	for (size_t i = 0; i < pages; i += step)
		(void)*(volatile char *)(at + i * PG);
}

/* At a whole 2 MiB. */
static inline char *kernel_map(size_t size, int flags, int advice)
{
	char *r = mmap(NULL, size + LEAF, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0), *p;

	if (r == MAP_FAILED)
		die("mmap");
	p = (char *)(((unsigned long)r + LEAF - 1) & ~(LEAF - 1));
	munmap(r, size + LEAF);
	p = mmap(p, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE | flags, -1, 0);
	if (p == MAP_FAILED)
		die("mmap");
	if (advice)
		madvise(p, size, advice);
	return p;
}

static inline void kernel_unmap(char *p, size_t size)
{
	munmap(p, size);
}

/* How much of [p, p + size) the kernel shows in 2 MiB pages. */
static inline size_t huge_bytes(const void *p, size_t size)
{
	FILE *f = fopen("/proc/self/smaps", "r");
	unsigned long start, end, kib, in = 0;
	char line[512];
	size_t sum = 0;

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			in = start < (unsigned long)p + size && end > (unsigned long)p;
		else if (in && (sscanf(line, "AnonHugePages: %lu", &kib) == 1 ||
		                sscanf(line, "ShmemPmdMapped: %lu", &kib) == 1))
			sum += kib << 10;
	}
	if (f)
		fclose(f);
	return sum;
}

/* Does the kernel give 2 MiB pages to who asks?  Tried, since a container may differ from what /sys says.  NULL: yes. */
static inline const char *no_huge_pages(void)
{
	static const char *why = "";
	char *p;

	if (why && !*why) {
		p = kernel_map(8 * LEAF, 0, MADV_HUGEPAGE);
		memset(p, 1, 8 * LEAF);
		why = huge_bytes(p, 8 * LEAF) == 8 * LEAF ? NULL :
			"no transparent huge pages (" THP_FOLDER "/enabled, or memory in pieces)";
		kernel_unmap(p, 8 * LEAF);
	}
	return why;
}

/* ---- references -------------------------------------------------------------------------------- */

/* Of this repetition, in ns: one locked add; zeroing and copying a page, hot and cold; the kernel's own. */
static struct {
	double a, z, z_cold, c, c_cold;
} ref;

static size_t ref_size; /* bytes that the cold ones go through: more than any cache has */

static inline void ref_add(struct variant *v)
{
	static _Atomic uint64_t line __attribute__((aligned(64)));
	long n = in_full(200000, 1000);
	double t = now_ns();

	for (long i = 0; i < n; i++)
		atomic_fetch_add(&line, 1);
	v->out[0] = ref.a = (now_ns() - t) / (double)n;
}

/* Two buffers of ref_size, in 2 MiB pages where there are some, as the pool is. */
static inline char *ref_buffer(int i)
{
	static char *buf[2];

	if (!buf[i]) {
		buf[i] = kernel_map(ref_size, 0, MADV_HUGEPAGE);
		memset(buf[i], 1, ref_size);
		madvise(buf[i], ref_size, MADV_DONTFORK);
	}
	return buf[i];
}

static inline double ref_time(void (*fn)(char *to, char *from), bool hot)
{
	char *to = ref_buffer(0), *from = ref_buffer(1);
	size_t pages = hot ? HOT_PAGES : ref_size / PG;
	long rounds = hot ? in_full(64, 1) : 1;
	double t = 0;

	for (long r = hot ? -1 : 0; r < rounds; r++) {
		if (r <= 0)
			t = now_ns();
		for (size_t i = 0; i < pages; i++) {
			fn(to + i * PG, from + i * PG);
			__asm__ volatile("" ::: "memory");
		}
	}
	return (now_ns() - t) / (double)((size_t)rounds * pages);
}

static inline void zero_page(char *to, char *from)
{
	(void)from;
	memset(to, 0, PG);
}

static inline void copy_page(char *to, char *from)
{
	memcpy(to, from, PG);
}

static inline void ref_zero_hot(struct variant *v)
{
	v->out[0] = ref.z = ref_time(zero_page, true);
}

static inline void ref_zero_cold(struct variant *v)
{
	v->out[0] = ref.z_cold = ref_time(zero_page, false);
}

static inline void ref_copy_hot(struct variant *v)
{
	v->out[0] = ref.c = ref_time(copy_page, true);
}

static inline void ref_copy_cold(struct variant *v)
{
	v->out[0] = ref.c_cold = ref_time(copy_page, false);
}

/* Says beside a table of what the memory of both sides consists. */
static inline const char *pool_note(char *buf, size_t size, const struct space *s, const char *text)
{
	struct page *page;
	size_t huge = 0;
	void *p;

	MUST(pinfold_use_mm(s->mm));
	if (get_user_pages_fast(s->at, 1, FOLL_WRITE, &page) == 1) {
		p = page_address(page);
		huge = huge_bytes(p, 1);
		put_user_page(page);
	}
	snprintf(buf, size, "%s  The kernel has %zu MiB of pinfold's pool in 2 MiB pages.", text, huge / MIB);
	return buf;
}

#endif
