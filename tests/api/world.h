/* SPDX-License-Identifier: MIT */
/*
 * world.h - what the API tests share: a machine with one file mapped in one mm, in each of the five
 * kinds there are, and the equations that hold when it is taken down.
 *
 * Use: WORLD(w, kind, .pages = 8, ...) ... world_end(&w).  A file page p holds fill(0, p) at first.
 * Files live in $PINFOLD_TEST_DIR, else in a folder made by mkdtemp and removed at exit.
 * world_end() ends every test: the machine's own check, no pin left, nothing left to close.
 *
 * Windows: world_main() takes SIGBUS and SIGSEGV before the library does, so that what the library
 * passes on comes back as signal_of(); cmocka replaces handlers around each test, WORLD puts the
 * library's back.
 */
#ifndef PINFOLD_API_WORLD_H
#define PINFOLD_API_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <pinfold/pinfold.h>

#define PG PINFOLD_PAGE_SIZE
#define MIB (1ul << 20)
#define GIB (1ul << 30)
#define RW (PINFOLD_PROT_READ | PINFOLD_PROT_WRITE)
#define SHARED PINFOLD_MAP_SHARED
#define HELPER static inline __attribute__((unused))

/* gcc's thread sanitizer maps memory of its own anywhere and holds signals back; both make system calls of their own. */
#ifdef __SANITIZE_THREAD__
#define THREAD_SANITIZER true
#else
#define THREAD_SANITIZER false
#endif
#ifdef __SANITIZE_ADDRESS__
#define SANITIZER true
#else
#define SANITIZER THREAD_SANITIZER
#endif

#define assert_ok(expr) assert_int_equal((expr), 0)
#define ON(kind_, fn) { #fn " (" #kind_ ")", fn, NULL, NULL, (void *)(uintptr_t)&kind_ }
#define WINDOWS(fn) ON(window, fn), ON(extent, fn), ON(extent_direct, fn)
#define EACH(fn) ON(pool, fn), ON(direct, fn), WINDOWS(fn)
#define PLAIN(fn) { #fn, fn, NULL, NULL, (void *)(uintptr_t)&pool }

/* How a file's frames and an mm's addresses are had. */
struct kind {
	unsigned flags; /* PINFOLD_FILE_* */
	enum pinfold_window window;
};

static const struct kind pool __attribute__((unused)) = { 0, PINFOLD_WINDOW_NONE };
static const struct kind direct __attribute__((unused)) = {
	PINFOLD_FILE_DIRECT, PINFOLD_WINDOW_NONE
};
static const struct kind window __attribute__((unused)) = {
	PINFOLD_FILE_DIRECT, PINFOLD_WINDOW_DIRECT
};
static const struct kind extent __attribute__((unused)) = { 0, PINFOLD_WINDOW_EXTENT };
static const struct kind extent_direct __attribute__((unused)) = {
	PINFOLD_FILE_DIRECT, PINFOLD_WINDOW_EXTENT
};

struct setup {
	unsigned pages;            /* of the file; 0: 16 */
	size_t bytes;              /* its size where that is not whole pages */
	bool sparse;               /* a hole all through */
	int prot;                  /* of the mapping; 0: RW */
	unsigned map_pages;        /* 0: pages */
	size_t map_offset;         /* bytes */
	unsigned file_flags, machine_flags, deadline_ms, window_vmas;
	size_t memory, pool, staging, dirty_limit, pin_limit;
	int (*policy)(void *arg, const struct pinfold_fault *fault);
	void *policy_arg;
};

struct world {
	struct pinfold *m;
	struct pinfold_file *file;
	struct mm_struct *mm;
	unsigned long at;  /* the mapping */
	unsigned pages;
	enum pinfold_window mode;
	bool window, direct; /* has one, of either mode; the file is direct */
	int fd;            /* the file behind the library's back */
	char path[600];
};

/* ---- content --------------------------------------------------------------------------------- */

HELPER uint64_t word_of(uint64_t seed, uint64_t page, uint64_t i)
{
	return (seed + 1) * 0x9e3779b97f4a7c15ull + page * 0x100000001b3ull + i;
}

HELPER void fill(void *to, uint64_t seed, uint64_t page)
{
	uint64_t *w = to;

	for (uint64_t i = 0; i < PG / 8; i++)
		w[i] = word_of(seed, page, i);
}

HELPER bool is_filled(const void *p, uint64_t seed, uint64_t page)
{
	const volatile uint64_t *w = p;

	for (uint64_t i = 0; i < PG / 8; i++)
		if (w[i] != word_of(seed, page, i))
			return false;
	return true;
}

HELPER bool is_zero(const void *p, size_t from, size_t to)
{
	const volatile char *c = p;

	for (size_t i = from; i < to; i++)
		if (c[i])
			return false;
	return true;
}

/* ---- places, files --------------------------------------------------------------------------- */

static char folder[400];

HELPER void remove_folder(void)
{
	char command[450];

	snprintf(command, sizeof(command), "rm -rf '%s'", folder);
	if (system(command))
		fprintf(stderr, "cannot remove %s\n", folder);
}

HELPER void use_folder_in(const char *parent)
{
	snprintf(folder, sizeof(folder), "%s/pinfold-api-XXXXXX", parent);
	if (!mkdtemp(folder))
		abort();
	atexit(remove_folder);
}

HELPER void find_folder(void)
{
	const char *dir = getenv("PINFOLD_TEST_DIR"), *tmp = getenv("TMPDIR");

	if (folder[0])
		return;
	if (dir)
		snprintf(folder, sizeof(folder), "%s", dir);
	else
		use_folder_in(tmp ? tmp : "/tmp");
}

/* A new name in the folder each time: a test that failed may have left its file locked. */
HELPER void new_path(char *path, size_t size)
{
	static unsigned n;

	snprintf(path, size, "%s/f%d-%u", folder, (int)getpid(), n++);
}

/* A file of `bytes`, filled with seed 0 unless sparse.  A descriptor for looking at it. */
HELPER int new_file(const char *path, size_t bytes, bool sparse)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	char page[PG];

	assert_true(fd >= 0);
	for (size_t off = 0; !sparse && off < bytes; off += PG) {
		size_t n = bytes - off < PG ? bytes - off : PG;

		fill(page, 0, off / PG);
		assert_int_equal(pwrite(fd, page, n, (off_t)off), n);
	}
	assert_ok(ftruncate(fd, (off_t)bytes));
	return fd;
}

/* What the file itself holds at page p: the pattern of `seed`? */
HELPER bool disk_is(const struct world *w, uint64_t seed, uint64_t p)
{
	char page[PG];

	return pread(w->fd, page, PG, (off_t)(p * PG)) == (ssize_t)PG && is_filled(page, seed, p);
}

HELPER off_t disk_size(const struct world *w)
{
	struct stat st;

	return fstat(w->fd, &st) ? -1 : st.st_size;
}

HELPER bool exists(const char *path, const char *suffix)
{
	char name[700];

	snprintf(name, sizeof(name), "%s%s", path, suffix);
	return access(name, F_OK) == 0;
}

HELPER struct pinfold_stats stats_of(struct pinfold *m)
{
	struct pinfold_stats s = { .size = sizeof(s) };

	assert_ok(pinfold_get_stats(m, &s));
	return s;
}

/* ---- signals --------------------------------------------------------------------------------- */

static struct sigaction ours[2] __attribute__((unused)); /* as the library left them */
static int window_refused;         /* 0, or what pinfold_mm_create() said of a direct window */
static uint64_t frames_kept __attribute__((unused)); /* by a machine that is at rest: the zero page */
static _Thread_local sigjmp_buf app_jump;
static _Thread_local volatile sig_atomic_t app_armed;

HELPER void app_handler(int sig)
{
	struct sigaction dfl = { .sa_handler = SIG_DFL };

	if (app_armed)
		siglongjmp(app_jump, sig);
	sigaction(sig, &dfl, NULL);
}

/* The signal that the application gets from a statement; 0: none. */
#define signal_of(...) \
	({ \
		int sig_ = sigsetjmp(app_jump, 1); \
		if (!sig_) { \
			app_armed = 1; \
			__VA_ARGS__; \
		} \
		app_armed = 0; \
		sig_; \
	})

HELPER void arm_signals(void)
{
	sigaction(SIGBUS, &ours[0], NULL);
	sigaction(SIGSEGV, &ours[1], NULL);
}

/* Lets the library install its handlers behind the application's, once. */
HELPER void learn_signals(void)
{
	struct sigaction app = { .sa_handler = app_handler, .sa_flags = SA_NODEFER };
	struct pinfold_options o = { .size = sizeof(o), .memory = 8 * MIB, .pool = 4 * MIB };
	struct pinfold *m;
	struct mm_struct *mm;

	sigaction(SIGBUS, &app, NULL);
	sigaction(SIGSEGV, &app, NULL);
	if (pinfold_create(&o, &m))
		abort();
	frames_kept = stats_of(m).frames - stats_of(m).frames_free - stats_of(m).staging_free;
	window_refused = pinfold_mm_create(m, PINFOLD_WINDOW_DIRECT, &mm);
	if (!window_refused && pinfold_mm_destroy(mm))
		abort();
	if (pinfold_mm_create(m, PINFOLD_WINDOW_EXTENT, &mm) || pinfold_mm_destroy(mm))
		abort();
	if (pinfold_destroy(m))
		abort();
	sigaction(SIGBUS, NULL, &ours[0]);
	sigaction(SIGSEGV, NULL, &ours[1]);
}

/* Only the system's refusal is a reason to do without: an error of the library is none. */
HELPER bool no_window(void)
{
	struct pinfold_probe p = { .size = sizeof(p) };

	if (!window_refused)
		return false;
	assert_ok(pinfold_get_probe(&p));
	assert_int_equal(p.uffd_how, 0);
	return true;
}

HELPER void need_window(void)
{
	if (!no_window())
		return;
	print_message("skipped: userfaultfd is refused (%s)\n", strerror(-window_refused));
	skip();
}

HELPER void need_uring(void)
{
	struct pinfold_probe p = { .size = sizeof(p) };

	assert_ok(pinfold_get_probe(&p));
	if (!p.uring)
		return;
	print_message("skipped: io_uring is refused (%s)\n", strerror(-p.uring));
	skip();
}

/* ---- worlds ---------------------------------------------------------------------------------- */

HELPER struct pinfold *new_machine(const struct setup *s)
{
	struct pinfold_options o = {
		.size = sizeof(o), .memory = s->memory ? s->memory : 8 * MIB,
		.pool = s->pool ? s->pool : 4 * MIB, .staging = s->staging,
		.dirty_limit = s->dirty_limit, .pin_limit = s->pin_limit, .deadline_ms = s->deadline_ms ? s->deadline_ms : 2000,
		.window_vmas = s->window_vmas, .flags = s->machine_flags, .fault_policy = s->policy, .fault_arg = s->policy_arg,
	};
	struct pinfold *m;

	assert_ok(pinfold_create(&o, &m));
	return m;
}

/*
 * An address with n free pages of the process behind it, so that windows can stand side by side.  The
 * system fills a gap from its upper end: other mappings do not come down here.
 */
HELPER unsigned long free_place(unsigned n)
{
	size_t len = n * PG + 64 * MIB;
	void *p = mmap(NULL, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	assert_ptr_not_equal(p, MAP_FAILED);
	munmap(p, len);
	return (unsigned long)p;
}

/* The same for an mm: in its stretch, where it has one. */
HELPER unsigned long place_in(struct mm_struct *mm, enum pinfold_window mode, unsigned n)
{
	unsigned long start, end;

	if (mode != PINFOLD_WINDOW_EXTENT)
		return free_place(n);
	assert_ok(pinfold_mm_range(mm, &start, &end));
	assert_true(end - start >= 4 * GIB);
	return start + GIB;
}

HELPER unsigned long map(struct world *w, unsigned first, unsigned pages, int prot)
{
	long a = vm_mmap(w->mm, 0, pages * PG, prot, SHARED, w->file, first * PG);

	assert_true(a > 0);
	return (unsigned long)a;
}

/* Opens w->path in w->m and maps it. */
HELPER void world_open(struct world *w, const struct kind *k, const struct setup *s)
{
	struct pinfold_file_options fo = { .size = sizeof(fo), .flags = k->flags | s->file_flags };
	unsigned n = s->map_pages ? s->map_pages : w->pages;
	long a;

	w->mode = k->window;
	w->window = k->window != PINFOLD_WINDOW_NONE;
	w->direct = k->flags & PINFOLD_FILE_DIRECT;
	assert_ok(pinfold_open(w->m, w->path, &fo, &w->file));
	assert_ok(pinfold_mm_create(w->m, k->window, &w->mm));
	w->at = place_in(w->mm, k->window, n + 128);
	a = vm_mmap(w->mm, w->at, n * PG, s->prot ? s->prot : RW, SHARED, w->file, s->map_offset);
	assert_int_equal(a, w->at);
	assert_ok(pinfold_use_mm(w->mm));
}

HELPER void world_start(struct world *w, const struct kind *k, struct setup *s)
{
	if (k->window == PINFOLD_WINDOW_DIRECT)
		need_window();
	arm_signals();
	memset(w, 0, sizeof(*w));
	if (!s->pages)
		s->pages = s->bytes ? (unsigned)((s->bytes + PG - 1) / PG) : 16;
	w->pages = s->pages;
	new_path(w->path, sizeof(w->path));
	w->fd = new_file(w->path, s->bytes ? s->bytes : s->pages * PG, s->sparse);
	w->m = new_machine(s);
	world_open(w, k, s);
}
#define WORLD(w, k, ...) world_start(&(w), (k), &(struct setup){ __VA_ARGS__ })

HELPER void check_machine(struct pinfold *m)
{
	struct pinfold_stats s;

	assert_ok(pinfold_check(m));
	s = stats_of(m);
	assert_int_equal(s.invariants_broken, 0);
}

/* The leak equation of a machine with everything closed. */
HELPER void end_machine(struct pinfold *m)
{
	struct pinfold_stats s;

	check_machine(m);
	s = stats_of(m);
	assert_int_equal(s.pins_acquired, s.pins_released);
	assert_int_equal(s.refs, 0);
	assert_int_equal(s.files + s.mms + s.vmas + s.tables + s.dirty_pages, 0);
	assert_int_equal(s.frames_free + s.staging_free + frames_kept, s.frames);
	assert_int_equal(s.direct_free, s.direct_frames);
	assert_ok(pinfold_destroy(m));
}

HELPER void world_close(struct world *w)
{
	assert_ok(pinfold_use_mm(NULL));
	assert_ok(pinfold_mm_destroy(w->mm));
	check_machine(w->m);
	assert_ok(pinfold_close(w->file));
}

HELPER void world_end(struct world *w)
{
	char journal[700];

	world_close(w);
	end_machine(w->m);
	assert_false(exists(w->path, ".pinfold"));
	close(w->fd);
	unlink(w->path);
	snprintf(journal, sizeof(journal), "%s.pinfold", w->path);
	unlink(journal);
}

/* ---- small things ---------------------------------------------------------------------------- */

#define NR_CALLS 5

/* The five entry points with one signature; those that want the lock get it here. */
HELPER long call(int which, struct mm_struct *mm, unsigned long at, long n, unsigned flags,
                 struct page **pages)
{
	int locked = 1;
	long r;

	if (which == 0)
		return get_user_pages_fast(at, (int)n, flags, pages);
	if (which == 1)
		return get_user_pages_unlocked(at, (unsigned long)n, pages, flags);
	mmap_read_lock(mm);
	if (which == 2)
		r = get_user_pages(at, (unsigned long)n, flags, pages, NULL);
	else if (which == 3)
		r = get_user_pages_locked(at, (unsigned long)n, flags, pages, &locked);
	else
		r = get_user_pages_remote(NULL, mm, at, (unsigned long)n, flags, pages, NULL, &locked);
	if (locked)
		mmap_read_unlock(mm);
	return r;
}

HELPER struct page *pin_one(unsigned long addr, unsigned flags)
{
	struct page *page = NULL;

	assert_int_equal(get_user_pages_fast(addr, 1, flags, &page), 1);
	assert_non_null(page_address(page));
	return page;
}

/*
 * Stores the pattern of `seed` to page p: through the window where there is one, else a write pin.
 */
HELPER void store_page(struct world *w, uint64_t seed, unsigned p)
{
	unsigned long a = w->at + p * PG;
	struct page *page;

	if (w->window) {
		fill((void *)a, seed, p);
		return;
	}
	page = pin_one(a, FOLL_WRITE);
	fill(page_address(page), seed, p);
	assert_ok(put_user_pages_dirty_lock(&page, 1));
}

/* What page p of the mapping holds: by pin, and by load where there is a window. */
HELPER bool page_is(struct world *w, uint64_t seed, unsigned p)
{
	struct page *page = pin_one(w->at + p * PG, 0);
	bool ok = is_filled(page_address(page), seed, p);

	assert_ok(put_user_page(page));
	return ok && (!w->window || is_filled((void *)(w->at + p * PG), seed, p));
}

HELPER int last_error(void)
{
	struct pinfold_fault f = { .size = sizeof(f) };

	return pinfold_last_fault(&f) ? 0 : f.error;
}

HELPER uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

HELPER void nap_ms(unsigned ms)
{
	struct timespec t = { ms / 1000, ms % 1000 * 1000000l };

	nanosleep(&t, NULL);
}

/* Runs fn in a thread of its own and returns what it returned. */
HELPER void *in_thread(void *(*fn)(void *), void *arg)
{
	pthread_t t;
	void *r;

	assert_ok(pthread_create(&t, NULL, fn, arg));
	assert_ok(pthread_join(t, &r));
	return r;
}

/* Waits until *flag has at least the value; false after 10 s. */
HELPER bool wait_for(_Atomic int *flag, int value)
{
	uint64_t end = now_ms() + 10000;

	while (atomic_load(flag) < value && now_ms() < end)
		nap_ms(1);
	return atomic_load(flag) >= value;
}

/* The exit status of a child, or 1000 + the signal that ended it. */
HELPER int status_of(pid_t pid)
{
	int st = 0;

	if (waitpid(pid, &st, 0) != pid)
		return -1;
	return WIFEXITED(st) ? WEXITSTATUS(st) : 1000 + WTERMSIG(st);
}

#define world_main(tests) \
	(find_folder(), learn_signals(), cmocka_run_group_tests(tests, NULL, NULL))

#endif
