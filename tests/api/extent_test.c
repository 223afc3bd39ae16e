/* SPDX-License-Identifier: MIT */
/*
 * extent_test.c - extent windows: pointers to everything that can be mapped, their budget of the process's mappings,
 * what the kernel and a forked child see of them, and threads.  Also every other API test runs on them (world.h).
 */
#include "anon.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <sys/uio.h>

static uint64_t seed_of(uint64_t *rnd)
{
	*rnd = *rnd * 6364136223846793005ull + 1442695040888963407ull;
	return *rnd >> 33;
}

/* ---- what pointers show ------------------------------------------------------------------------- */

/* One space with a mapping of every sort: 64 pages each, from page i * 64 on. */
static struct space all_sorts(struct world *w)
{
	struct space s = new_space(w->m, PINFOLD_WINDOW_EXTENT);

	map_anon(&s, 0, 64, RW, PRIVATE);
	map_anon(&s, 64, 64, RW, SHARED);
	map_file(&s, 128, 64, RW, PRIVATE, w->file, 0);
	map_file(&s, 192, 64, RW, SHARED, w->file, 0);
	return s;
}

/* What a page's first word should be: a private page of a file shows the file until it is stored to. */
static uint64_t expected(const uint64_t *word, const bool *own, unsigned p)
{
	return p / 64 == 2 && !own[p % 64] ? word[p + 64] : word[p];
}

/* Loads and stores in random order find what was stored last, by pointer and by pin, across commits and reclaim. */
static void pointers_show_every_sort_of_mapping(void **state)
{
	uint64_t word[256] = { 0 }, rnd = 1;
	bool own[64] = { false };
	struct space s;
	struct world w;

	WORLD(w, *state, .pages = 64);
	s = all_sorts(&w);
	for (unsigned p = 192; p < 256; p++)
		word[p] = word_of(0, p % 64, 0);
	for (uint64_t i = 1; i <= 6000; i++) {
		unsigned p = (unsigned)seed_of(&rnd) % 256;

		assert_int_equal(peek(&s, p * PG), expected(word, own, p));
		if (i % 3) {
			poke(&s, p * PG, i);
			word[p] = i;
			own[p % 64] |= p / 64 == 2;
		} else if (i % 5 == 0) {
			assert_int_equal(*device_word(page_at(&s, p, 0)), expected(word, own, p));
		}
		if (i % 500 == 0)
			assert_ok(pinfold_commit(w.file, 0, 0, NULL));
		if (i % 700 == 0)
			pinfold_reclaim(w.m, 100);
	}
	end_space(&s);
	assert_ok(pinfold_use_mm(w.mm));
	world_end(&w);
}

/* Clauses V4, V9, P8, P9: violations are the application's SIGSEGV, the end of a file its SIGBUS. */
static void violations_reach_the_application(void **state)
{
	struct space s;
	struct world w;
	unsigned long start, end;

	WORLD(w, *state, .pages = 8);
	s = new_space(w.m, PINFOLD_WINDOW_EXTENT);
	map_anon(&s, 0, 4, RW, PRIVATE);
	map_anon(&s, 4, 4, RO, PRIVATE);
	map_anon(&s, 8, 4, PINFOLD_PROT_NONE, PRIVATE);
	map_file(&s, 16, 16, RO, PRIVATE, w.file, 0);
	assert_ok(pinfold_mm_range(s.mm, &start, &end));
	for (int round = 0; round < 2; round++) {
		assert_int_equal(peek(&s, 5 * PG), 0);
		assert_int_equal(store_signal(s.at + 5 * PG), SIGSEGV);
		assert_int_equal(store_signal(s.at + 7 * PG), SIGSEGV);
		assert_int_equal(load_signal(s.at + 8 * PG), SIGSEGV);
		assert_int_equal(store_signal(s.at + 9 * PG), SIGSEGV);
		assert_int_equal(load_signal(s.at + 12 * PG), SIGSEGV);
		assert_int_equal(load_signal(start), SIGSEGV);
		assert_int_equal(load_signal(end - 1), SIGSEGV);
		assert_int_equal(store_signal(s.at + 17 * PG), SIGSEGV);
		assert_int_equal(load_signal(s.at + 24 * PG), SIGBUS);
		assert_int_equal(last_error(), -ENXIO);
		put_pages(&s, 1, 0, 2);
	}
	assert_true(pages_are(&s, 1, 0, 2) && is_filled((void *)(s.at + 18 * PG), 0, 2));
	assert_ok(vm_munmap(s.mm, s.at, 2 * PG));
	assert_int_equal(load_signal(s.at + PG), SIGSEGV);
	assert_int_equal(peek(&s, 2 * PG), 0);
	end_space(&s);
	assert_int_equal(load_signal(s.at + 2 * PG), SIGSEGV);
	assert_ok(pinfold_use_mm(w.mm));
	world_end(&w);
}

/* Changes of rights are seen by the next access, whatever was cached before. */
static void rights_that_change_are_seen_by_pointers(void **state)
{
	const int prots[] = { RW, RO, PINFOLD_PROT_NONE, RW, PINFOLD_PROT_NONE, RO };
	struct space s;
	struct world w;

	WORLD(w, *state, .pages = 64);
	s = all_sorts(&w);
	for (unsigned i = 0; i < 24; i++) {
		int prot = prots[i % 6];

		for (unsigned p = 0; p < 256; p += 64) {
			unsigned long a = s.at + (p + i % 4) * PG;

			assert_ok(vm_mprotect(s.mm, s.at + p * PG, 8 * PG, prot));
			assert_int_equal(load_signal(a), prot & RO ? 0 : SIGSEGV);
			assert_int_equal(store_signal(a + 8), prot == RW ? 0 : SIGSEGV);
			assert_int_equal(store_signal(a + 9 * PG), 0); /* behind it */
		}
	}
	end_space(&s);
	assert_ok(pinfold_use_mm(w.mm));
	world_end(&w);
}

/* ---- the budget --------------------------------------------------------------------------------- */

/* Isolated pages use up mappings of the process: over the budget old translations go, no content is lost. */
static void windows_stay_within_their_budget(void **state)
{
	enum { PAGES = 3000, BUDGET = 64 };
	struct pinfold *m = MACHINE(.window_vmas = BUDGET, .memory = 32 * MIB, .pool = 28 * MIB);
	struct space s[2] = { new_space(m, PINFOLD_WINDOW_EXTENT), new_space(m, PINFOLD_WINDOW_EXTENT) };
	static uint64_t word[2][PAGES];
	uint64_t rnd = 7, most = 0;

	(void)state;
	memset(word, 0, sizeof(word));
	for (unsigned i = 0; i < 2; i++)
		map_anon(&s[i], 0, PAGES, RW, PRIVATE);
	for (uint64_t i = 1; i < 12000; i++) {
		unsigned who = (unsigned)seed_of(&rnd) % 2, p = (unsigned)seed_of(&rnd) % PAGES;
		volatile uint64_t *at = (uint64_t *)(s[who].at + p * PG);
		uint64_t used;

		assert_int_equal(at[3], word[who][p]);
		if (i % 3) {
			at[3] = i;
			word[who][p] = i;
		}
		used = stats_of(m).window_vmas;
		most = used > most ? used : most;
		assert_true(used <= BUDGET);
	}
	assert_true(stats_of(m).window_evicted > 0);
	assert_true(most > BUDGET / 2);
	for (unsigned who = 0; who < 2; who++)
		for (unsigned p = 0; p < PAGES; p++)
			assert_int_equal(peek(&s[who], p * PG + 24), word[who][p]);
	end_space(&s[0]);
	end_both(m, &s[1]);
}

/* The same for a file, with commits that find every dirty page though its translation went. */
static void files_are_whole_beyond_the_budget(void **state)
{
	enum { PAGES = 600 };
	uint64_t rnd = 3;
	struct world w;

	WORLD(w, *state, .pages = PAGES, .memory = 16 * MIB, .pool = 8 * MIB, .window_vmas = 32);
	for (unsigned round = 1; round < 4; round++) {
		for (unsigned n = 0; n < PAGES; n++) {
			unsigned p = (unsigned)seed_of(&rnd) % PAGES;

			((volatile uint64_t *)(w.at + p * PG))[9] = p * 10 + round;
			assert_true(stats_of(w.m).window_vmas <= 32);
		}
		assert_ok(pinfold_commit(w.file, 0, 0, NULL));
		for (unsigned p = 0; p < PAGES; p++) {
			uint64_t now = ((volatile uint64_t *)(w.at + p * PG))[9], disk;

			assert_int_equal(pread(w.fd, &disk, 8, (off_t)(p * PG + 72)), 8);
			assert_int_equal(disk, now);
			assert_true(now == word_of(0, p, 9) || (now > p * 10 && now <= p * 10 + round));
		}
	}
	assert_true(stats_of(w.m).window_evicted > 0);
	world_end(&w);
}

/* ---- system calls ------------------------------------------------------------------------------- */

/* Header, D5: the kernel does not fault for us: EFAULT where nothing is cached; a pinned page's address works. */
static void system_calls_want_pinned_pages(void **state)
{
	struct pinfold *m = MACHINE();
	struct space s = new_space(m, PINFOLD_WINDOW_EXTENT);
	struct page *pages[4];
	struct iovec iov[4];
	char data[3 * PG];
	int fd[2], n = 4;

	(void)state;
	assert_ok(pipe(fd));
	map_anon(&s, 0, 8, RW, PRIVATE);
	assert_int_equal(write(fd[1], (void *)s.at, 8), -1);
	assert_int_equal(errno, EFAULT);
	assert_int_equal(peek(&s, 0), 0); /* cached, to read only */
	assert_int_equal(write(fd[1], (void *)s.at, 8), 8);
	assert_int_equal(read(fd[0], (void *)s.at, 8), -1);
	assert_int_equal(errno, EFAULT);
	assert_int_equal(read(fd[0], data, 8), 8);
	assert_ok(pinfold_use_mm(s.mm));
	assert_int_equal(pinfold_iov(s.at + 100, 3 * PG, FOLL_WRITE, pages, iov, &n), 4);
	for (unsigned p = 0; p < 3; p++)
		fill(data + p * PG, 4, p);
	assert_int_equal(write(fd[1], data, sizeof(data)), sizeof(data));
	assert_int_equal(readv(fd[0], iov, n), 3 * PG);
	assert_memory_equal((void *)(s.at + 100), data, sizeof(data));
	assert_ok(put_user_pages_dirty(pages, 4));
	close(fd[0]);
	close(fd[1]);
	end_both(m, &s);
}

struct sleeper {
	struct page *page;
	struct space *s;
	_Atomic int there;
	int result;
};

static void *futex_wait(void *arg)
{
	struct sleeper *t = arg;
	uint32_t *word = page_address(t->page);

	atomic_store(&t->there, 1);
	while (__atomic_load_n(word, __ATOMIC_ACQUIRE) == 0)
		if (syscall(SYS_futex, word, FUTEX_WAIT, 0, NULL, NULL, 0) && errno != EAGAIN && errno != EINTR)
			return t->result = errno, NULL;
	/* Through the window.  Atomic, because a sanitizer takes it for other memory than the futex. */
	t->result = __atomic_load_n((uint32_t *)t->s->at + 1, __ATOMIC_RELAXED) == 5 ? 0 : -1;
	return NULL;
}

/* The recipe for a futex word in a window: pin it, and use page_address(), on both sides. */
static void a_pinned_word_works_as_a_futex(void **state)
{
	struct pinfold *m = MACHINE();
	struct space s = new_space(m, PINFOLD_WINDOW_EXTENT);
	struct sleeper t = { .s = &s };
	pthread_t thread;
	uint32_t *word;

	(void)state;
	map_anon(&s, 0, 1, RW, PRIVATE);
	t.page = pin_at(&s, 0, FOLL_WRITE);
	word = page_address(t.page);
	pthread_create(&thread, NULL, futex_wait, &t);
	assert_true(wait_for(&t.there, 1));
	nap_ms(20);
	__atomic_store_n((uint32_t *)s.at + 1, 5, __ATOMIC_RELAXED);
	__atomic_store_n((uint32_t *)s.at, 1, __ATOMIC_RELEASE); /* by pointer, seen by the address */
	assert_true(syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0) >= 0);
	pthread_join(thread, NULL);
	assert_ok(t.result);
	assert_ok(put_user_page(t.page));
	end_both(m, &s);
}

/* ---- fork(2) ------------------------------------------------------------------------------------ */

struct family {
	struct pinfold *m;
	struct space *s;
	struct mm_struct *empty;
};

static int status_in_child(int (*fn)(struct family *), struct family *f)
{
	pid_t pid = fork();

	if (pid == 0) {
		alarm(20);
		_exit(fn(f));
	}
	return status_of(pid);
}

static int load_in_child(struct family *f)
{
	return *(volatile char *)f->s->at;
}

static int store_in_child(struct family *f)
{
	*(volatile char *)(f->s->at + 600 * PG) = 1;
	return 0;
}

static int calls_in_child(struct family *f)
{
	unsigned long start, end;
	const long r[] = {
		dup_mmap(f->empty, f->s->mm), pinfold_mm_range(f->s->mm, &start, &end),
		vm_mmap(f->s->mm, 0, PG, RW, ANON | PRIVATE, NULL, 0),
		vm_mremap(f->s->mm, f->s->at, PG, 2 * PG, PINFOLD_MREMAP_MAYMOVE, 0),
		vm_madvise(f->s->mm, f->s->at, PG, PINFOLD_MADV_POPULATE_WRITE),
		pinfold_split_folio(f->s->mm, f->s->at), pinfold_mm_destroy(f->s->mm),
		get_user_pages_fast(f->s->at, 1, 0, (struct page *[1]){ NULL }),
	};

	for (unsigned i = 0; i < sizeof(r) / sizeof(r[0]); i++)
		if (r[i] != -EOWNERDEAD)
			return 1 + (int)i;
	return 0;
}

/* D12: a forked child has nothing of a window: calls say so, a touch is its end, and the parent does not notice. */
static void a_forked_child_has_nothing_of_a_window(void **state)
{
	struct pinfold *m = MACHINE();
	struct space s = new_space(m, PINFOLD_WINDOW_EXTENT), c;
	struct family f = { .m = m, .s = &s };

	(void)state;
	map_anon(&s, 0, 1024, RW, PRIVATE);
	assert_ok(vm_madvise(s.mm, s.at + LEAF, LEAF, PINFOLD_MADV_HUGEPAGE));
	put_pages(&s, 1, 0, 4);
	put_pages(&s, 1, 600, 1);
	c = snapshot(m, &s, PINFOLD_WINDOW_EXTENT);
	assert_true(pages_are(&c, 1, 600, 1));
	assert_ok(pinfold_mm_create(m, PINFOLD_WINDOW_EXTENT, &f.empty));
	assert_int_equal(status_in_child(load_in_child, &f), 1000 + SIGSEGV);
	assert_int_equal(status_in_child(store_in_child, &f), 1000 + SIGSEGV);
	assert_ok(status_in_child(calls_in_child, &f));
	f.s = &c;
	assert_int_equal(status_in_child(store_in_child, &f), 1000 + SIGSEGV);
	assert_ok(system("true"));
	assert_true(pages_are(&s, 1, 0, 4) && pages_are(&s, 1, 600, 1) && pages_are(&c, 1, 600, 1));
	put_pages(&s, 2, 1, 1);
	assert_true(pages_are(&c, 1, 1, 1));
	assert_ok(pinfold_mm_destroy(f.empty));
	end_space(&c);
	end_both(m, &s);
}

/* ---- threads ------------------------------------------------------------------------------------ */

struct counter {
	unsigned long at;
	unsigned pages;
	_Atomic int *stop;
	uint64_t added;
};

static void *count_up(void *arg)
{
	struct counter *c = arg;

	for (unsigned p = 0; !atomic_load(c->stop); p = (p + 7) % c->pages, c->added++)
		__atomic_fetch_add((uint64_t *)(c->at + p * PG), 1, __ATOMIC_RELAXED);
	return NULL;
}

/* Locked adds of two threads to the same words, while translations and rights change beneath: none is lost. */
static void stores_of_threads_are_not_lost_beside_changes(void **state)
{
	enum { PAGES = 64 };
	struct pinfold *m = MACHINE(.window_vmas = 24);
	struct space s = new_space(m, PINFOLD_WINDOW_EXTENT), snap;
	_Atomic int stop = 0;
	struct counter c[2];
	pthread_t t[2];
	uint64_t sum = 0;

	(void)state;
	map_anon(&s, 0, PAGES / 2, RW, PRIVATE);
	map_anon(&s, PAGES / 2, PAGES / 2, RW, SHARED);
	for (int i = 0; i < 2; i++) {
		c[i] = (struct counter){ s.at, PAGES, &stop, 0 };
		pthread_create(&t[i], NULL, count_up, &c[i]);
	}
	for (unsigned i = 0; i < 200; i++) {
		struct page *page;

		assert_ok(vm_madvise(s.mm, s.at + PAGES / 2 * PG, PAGES / 2 * PG, PINFOLD_MADV_DONTNEED));
		page = pin_at(&s, i % PAGES, i & 1 ? FOLL_WRITE : 0);
		snap = snapshot(m, &s, i & 2 ? PINFOLD_WINDOW_EXTENT : PINFOLD_WINDOW_NONE);
		poke(&snap, i % (PAGES / 2) * PG, 1); /* its own */
		assert_ok(vm_mprotect(s.mm, s.at + i % 8 * 8 * PG, 8 * PG, RW));
		assert_ok(put_user_page(page));
		end_space(&snap);
	}
	atomic_store(&stop, 1);
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	for (unsigned p = 0; p < PAGES; p++)
		sum += peek(&s, p * PG);
	assert_int_equal(sum, c[0].added + c[1].added);
	end_both(m, &s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON(extent, pointers_show_every_sort_of_mapping),
		ON(extent_direct, pointers_show_every_sort_of_mapping),
		ON(extent, violations_reach_the_application),
		ON(extent_direct, violations_reach_the_application),
		ON(extent, rights_that_change_are_seen_by_pointers),
		ON(extent_direct, rights_that_change_are_seen_by_pointers),
		PLAIN(windows_stay_within_their_budget),
		ON(extent, files_are_whole_beyond_the_budget),
		ON(extent_direct, files_are_whole_beyond_the_budget),
		PLAIN(system_calls_want_pinned_pages),
		PLAIN(a_pinned_word_works_as_a_futex),
		PLAIN(a_forked_child_has_nothing_of_a_window),
		PLAIN(stores_of_threads_are_not_lost_beside_changes),
	};

	return world_main(tests);
}
