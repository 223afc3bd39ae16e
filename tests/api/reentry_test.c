/* SPDX-License-Identifier: MIT */
/*
 * reentry_test.c - calls that come while the thread, or the process, is in the middle of another one:
 * two mms under each other's locks, a signal handler that touches a window inside a call, a fork
 * inside an open.
 */
#include "world.h"

#include <dirent.h>

static _Atomic bool ended;
static _Atomic unsigned wrongs;

#define expect(expr, value) ((expr) == (value) ? (void)0 : (void)atomic_fetch_add(&wrongs, 1))

/* ---- two mms ------------------------------------------------------------------------------------- */

struct pair {
	struct world *w;
	struct mm_struct *mm, *other;
	unsigned long at, at_other;
};

static void *reads_under_the_lock(void *arg)
{
	struct pair *p = arg;
	struct page *page;
	char b[64];

	while (!atomic_load(&ended)) {
		mmap_read_lock(p->mm);
		expect(access_process_vm(p->other, p->at_other, b, 64, 0), 64);
		expect(get_user_pages_remote(NULL, p->mm, p->at, 1, 0, &page, NULL, NULL), 1);
		expect(put_user_page(page), 0);
		expect(pinfold_prefetch(p->mm, p->at, 4 * PG) > 0, 1);
		expect(pinfold_prefetch(p->other, p->at_other, 4 * PG) > 0, 1);
		expect(vm_munmap(p->other, p->at_other, PG), -EDEADLK);
		expect(vm_madvise(p->other, p->at_other, PG, PINFOLD_MADV_DONTNEED), -EDEADLK);
		expect(pinfold_mm_destroy(p->other), -EBUSY);
		mmap_read_unlock(p->mm);
	}
	return NULL;
}

static void *changes(void *arg)
{
	struct pair *p = arg;

	while (!atomic_load(&ended)) {
		expect(vm_mprotect(p->mm, p->at, 16 * PG, RW), 0);
		expect(vm_madvise(p->mm, p->at, 16 * PG, PINFOLD_MADV_DONTNEED), 0);
	}
	return NULL;
}

/* No circle of two threads that hold one lock each and want the other's, beside two writers. */
static void under_the_lock_of_another_mm(void **state)
{
	struct pair p[2];
	struct mm_struct *mm;
	pthread_t t[4];
	struct world w;
	long at;

	WORLD(w, *state, .pages = 16);
	assert_ok(pinfold_mm_create(w.m, ((const struct kind *)*state)->window, &mm));
	at = vm_mmap(mm, 0, 16 * PG, RW, SHARED, w.file, 0);
	assert_true(at > 0);
	p[0] = (struct pair){ &w, w.mm, mm, w.at, (unsigned long)at };
	p[1] = (struct pair){ &w, mm, w.mm, (unsigned long)at, w.at };
	atomic_store(&ended, false);
	atomic_store(&wrongs, 0);
	for (int i = 0; i < 4; i++)
		assert_ok(pthread_create(&t[i], NULL, i < 2 ? reads_under_the_lock : changes,
		                         &p[i % 2]));
	nap_ms(500);
	atomic_store(&ended, true);
	for (int i = 0; i < 4; i++)
		assert_ok(pthread_join(t[i], NULL));
	assert_int_equal(atomic_load(&wrongs), 0);
	assert_ok(pinfold_mm_destroy(mm));
	world_end(&w);
}

/* ---- a signal handler that touches a window ------------------------------------------------------ */

#define SIG_PAGES 512u

static char *touched;

static void touch(int sig)
{
	static unsigned seed = 1;

	(void)sig;
	seed = seed * 1103515245 + 12345;
	(void)*(volatile char *)(touched + (seed >> 8) % SIG_PAGES * PG);
}

static void one_call(struct world *w, unsigned which, unsigned n)
{
	unsigned long a = w->at + n * 37 % (SIG_PAGES - 16) * PG;
	struct page *p[16];
	struct mm_struct *mm;
	int r;

	switch (which) {
	case 0:
		vm_madvise(w->mm, a, 16 * PG, PINFOLD_MADV_DONTNEED);
		break;
	case 1:
		pinfold_prefetch(w->mm, a, 16 * PG);
		pinfold_reclaim(w->m, 64);
		break;
	case 2:
		r = get_user_pages_fast(a, 16, 0, p);
		if (r > 0)
			put_user_pages_dirty(p, (unsigned long)r);
		if (n % 16 == 0)
			pinfold_commit(w->file, 0, 0, NULL);
		break;
	case 3:
		if (!pinfold_mm_create(w->m, PINFOLD_WINDOW_NONE, &mm))
			pinfold_mm_destroy(mm);
		break;
	default:
		mmap_write_lock(w->mm);
		mmap_write_unlock(w->mm);
	}
}

/* In a child: dies of the signal, as it stands in a call; or ends well, if none ever came inside. */
static void interrupted(const struct kind *k, unsigned which)
{
	struct sigaction sa = { .sa_handler = touch, .sa_flags = SA_RESTART };
	struct itimerspec every = { { 0, 97000 }, { 0, 97000 } };
	struct sigevent ev = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };
	uint64_t until = now_ms() + 500;
	struct world w;
	timer_t timer;

	alarm(20);
	WORLD(w, k, .pages = SIG_PAGES);
	touched = (char *)w.at;
	sigaction(SIGUSR1, &sa, NULL);
	if (timer_create(CLOCK_MONOTONIC, &ev, &timer) || timer_settime(timer, 0, &every, NULL))
		_exit(1);
	for (unsigned n = 0; now_ms() < until; n++)
		one_call(&w, which, n);
	_exit(0);
}

static void a_handler_inside_a_call_is_told_and_not_stuck(void **state)
{
	const struct kind *k = *state;
	int sig = k->window == PINFOLD_WINDOW_DIRECT ? SIGBUS : SIGSEGV; /* as the system sent it */

	if (k->window == PINFOLD_WINDOW_DIRECT)
		need_window();
	arm_signals();
	for (unsigned which = 0; which < 5; which++) {
		pid_t pid = fork();
		int st;

		if (pid == 0)
			interrupted(k, which);
		st = status_of(pid);
		if (st && st != 1000 + sig)
			fail_msg("call %u: the child ended with %d", which, st);
	}
}

/* ---- a touch at every instruction of a call ---------------------------------------------------------- */

#ifdef __x86_64__
#define STRIDE 16u /* pages that one fault shows at most */
#define STEPS 1024u

static volatile unsigned steps, told;

/* After each instruction: either the page is shown, or the application hears of it. */
static void after_an_instruction(int sig)
{
	(void)sig;
	told += !!signal_of((void)*(volatile char *)(touched + steps++ % STEPS * STRIDE * PG));
}

/* Sets and clears the trap flag; a red zone may be in use. */
#define single_step(on) \
	__asm__ volatile("lea -128(%%rsp), %%rsp\n\tpushfq\n\tandq %0, (%%rsp)\n\torq %1, (%%rsp)\n\t" \
	                 "popfq\n\tlea 128(%%rsp), %%rsp" : : "i"(~0x100), "i"((on) ? 0x100 : 0) : "memory", "cc")

#define STEPPED(w, ...) \
	do { \
		if (vm_madvise((w)->mm, (w)->at, (w)->pages * PG, PINFOLD_MADV_DONTNEED)) \
			_exit(3); \
		steps = 0; \
		single_step(1); \
		__VA_ARGS__; \
		single_step(0); \
		if (steps < 2 || steps > STEPS) /* each met a page that was not shown */ \
			_exit(4); \
	} while (0)

static void stepped(const struct kind *k)
{
	struct sigaction sa = { .sa_handler = after_an_instruction };
	struct world w;

	alarm(20);
	WORLD(w, k, .pages = STEPS * STRIDE, .sparse = true, .memory = 192 * MIB, .pool = 96 * MIB);
	touched = (char *)w.at;
	assert_ok(sigaction(SIGTRAP, &sa, NULL));
	STEPPED(&w, mmap_read_lock(w.mm); mmap_read_unlock(w.mm));
	STEPPED(&w, mmap_write_lock(w.mm); mmap_write_unlock(w.mm));
	STEPPED(&w, mmap_read_trylock(w.mm); mmap_read_unlock(w.mm));
	STEPPED(&w, pinfold_write_begin(w.file, 1));
	STEPPED(&w, pinfold_write_end(w.file));
	world_end(&w);
	_exit(told ? 0 : 2); /* inside a call it was not served */
}

static void a_touch_at_every_instruction_is_served_or_told(void **state)
{
	const struct kind *k = *state;
	pid_t pid;
	int st;

#ifdef __SANITIZE_THREAD__
	print_message("skipped: the thread sanitizer holds signals back\n");
	skip();
#endif
	if (k->window == PINFOLD_WINDOW_DIRECT)
		need_window();
	arm_signals();
	pid = fork();
	if (pid == 0)
		stepped(k);
	st = status_of(pid);
	if (st)
		fail_msg("%s (the child's status: %d)", st == 1000 + SIGALRM ? "a touch inside a call was stuck" :
		         st == 2 ? "no touch was inside a call" : st == 4 ? "the calls had too many steps" :
		         "a step failed", st);
}
#else
static void a_touch_at_every_instruction_is_served_or_told(void **state)
{
	(void)state;
	print_message("skipped: the trap flag is x86-64's\n");
	skip();
}
#endif

/* ---- a fork inside an open ----------------------------------------------------------------------- */

static void *opens_and_closes(void *arg)
{
	struct world *w = arg;
	struct pinfold_file_options fo = { .size = sizeof(fo) };
	struct pinfold_file *f;

	while (!atomic_load(&ended)) {
		int r = pinfold_open(w->m, w->path, &fo, &f);

		expect(r, 0);
		if (!r)
			expect(pinfold_close(f), 0);
	}
	return NULL;
}

/* How many descriptors of the child hold a lock: with them it would outlive this process. */
static unsigned locks_of(pid_t pid)
{
	char name[400], text[2000];
	struct dirent *e;
	unsigned n = 0;
	DIR *dir;

	snprintf(name, sizeof(name), "/proc/%d/fdinfo", (int)pid);
	dir = opendir(name);
	assert_non_null(dir);
	while ((e = readdir(dir))) {
		int fd;
		ssize_t got;

		snprintf(name, sizeof(name), "/proc/%d/fdinfo/%s", (int)pid, e->d_name);
		fd = open(name, O_RDONLY | O_CLOEXEC);
		got = read(fd, text, sizeof(text) - 1);
		text[got > 0 ? got : 0] = '\0';
		n += !!strstr(text, "FLOCK");
		close(fd);
	}
	closedir(dir);
	return n;
}

static void a_fork_during_open_takes_no_lock_along(void **state)
{
	uint64_t until = now_ms() + 1000;
	unsigned forks = 0, locks = 0;
	struct world w;
	pthread_t t;

	WORLD(w, *state);
	assert_ok(vm_munmap(w.mm, w.at, w.pages * PG));
	assert_ok(pinfold_close(w.file));
	atomic_store(&ended, false);
	atomic_store(&wrongs, 0);
	assert_ok(pthread_create(&t, NULL, opens_and_closes, &w));
	for (; now_ms() < until; forks++) {
		int ready[2];
		pid_t pid;
		char c;

		assert_ok(pipe(ready));
		pid = fork();
		if (pid == 0) {
			close(ready[1]); /* says that the library's part of the fork is over */
			pause();
			_exit(0);
		}
		close(ready[1]);
		assert_int_equal(read(ready[0], &c, 1), 0);
		close(ready[0]);
		locks += locks_of(pid);
		kill(pid, SIGKILL);
		status_of(pid);
	}
	atomic_store(&ended, true);
	assert_ok(pthread_join(t, NULL));
	print_message("%u forks\n", forks);
	assert_int_equal(locks, 0);
	assert_int_equal(atomic_load(&wrongs), 0);
	assert_ok(pinfold_use_mm(NULL));
	assert_ok(pinfold_mm_destroy(w.mm));
	end_machine(w.m);
	close(w.fd);
	unlink(w.path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		EACH(under_the_lock_of_another_mm),
		WINDOWS(a_handler_inside_a_call_is_told_and_not_stuck),
		WINDOWS(a_touch_at_every_instruction_is_served_or_told),
		ON(pool, a_fork_during_open_takes_no_lock_along),
	};

	return world_main(tests);
}
