/* SPDX-License-Identifier: MIT */
/*
 * linux_time.c - time, sleeping on a word, names of threads and processes, their ends.
 *
 * A word is slept on with a private futex: it belongs to one process.  host_wait() may return for
 * no reason, so callers loop on their own condition.
 */
#include <signal.h>
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "host/host.h"
#include "host/linux.h"

#define NSEC 1000000000ULL
#define CHILD_FNS 8

uint64_t host_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * NSEC + (uint64_t)t.tv_nsec;
}

void host_wait(_Atomic uint32_t *word, uint32_t seen, uint64_t timeout_ns)
{
	struct timespec t = { (time_t)(timeout_ns / NSEC), (long)(timeout_ns % NSEC) };
	int kept = errno;

	syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, seen, timeout_ns ? &t : NULL, NULL, 0);
	errno = kept;
}

void host_wake(_Atomic uint32_t *word, int n)
{
	int kept = errno;

	syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, n, NULL, NULL, 0);
	errno = kept;
}

void host_yield(void)
{
	int kept = errno;

	sched_yield();
	errno = kept;
}

/* ---- names ---------------------------------------------------------------------------------- */

static HOST_TLS int tid;

int host_tid(void)
{
	if (!tid)
		tid = (int)syscall(SYS_gettid);
	return tid;
}

int host_pid(void)
{
	return (int)getpid();
}

bool host_pid_alive(int pid)
{
	int kept = errno;
	bool alive = pid > 0 && (!kill(pid, 0) || errno == EPERM);

	errno = kept;
	return alive;
}

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

void host_boot_id(uint8_t id[16])
{
	char text[64];
	int nibbles = 0;

	memset(id, 0, 16);
	host_read_text("/proc/sys/kernel/random/boot_id", text, sizeof(text));
	for (const char *c = text; *c && nibbles < 32; c++) {
		if (hex(*c) < 0)
			continue;
		id[nibbles / 2] = (uint8_t)(id[nibbles / 2] << 4 | hex(*c));
		nibbles++;
	}
	if (nibbles < 32)
		memset(id, 0, 16);
}

uint64_t host_random(void)
{
	static _Atomic uint64_t calls;
	int kept = errno;
	uint64_t r;

	if (getrandom(&r, sizeof(r), GRND_NONBLOCK) != (ssize_t)sizeof(r)) {
		/* relaxed: the counter only makes two calls differ */
		r = host_now() ^ (uint64_t)getpid() << 40;
		r += atomic_fetch_add_explicit(&calls, 1, memory_order_relaxed) + 1;
		r = (r ^ r >> 31) * 0x9e3779b97f4a7c15ULL;
		r ^= r >> 29;
	}
	errno = kept;
	return r;
}

/* ---- ends of threads and processes ---------------------------------------------------------- */

struct thread_end {
	void (*fn)(void *);
	void *arg;
};

/* In static TLS, which outlives the key's destructor; so registering needs no memory. */
static HOST_TLS struct thread_end thread_end;
static pthread_once_t key_once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static int key_err;

static void run_thread_end(void *p)
{
	struct thread_end end = *(struct thread_end *)p;

	/* emptied first: fn, or another key's destructor, may register this thread anew */
	*(struct thread_end *)p = (struct thread_end){ NULL, NULL };
	if (end.fn)
		end.fn(end.arg);
}

static void make_key(void)
{
	key_err = pthread_key_create(&key, run_thread_end);
}

int host_at_thread_exit(void (*fn)(void *), void *arg)
{
	int err;

	pthread_once(&key_once, make_key);
	if (key_err)
		return -key_err;
	if (thread_end.fn)
		return thread_end.fn == fn ? 0 : -EBUSY;
	err = pthread_setspecific(key, &thread_end);
	if (err)
		return -err;
	thread_end = (struct thread_end){ fn, arg };
	return 0;
}

typedef void (*child_fn)(void);

static _Atomic(child_fn) child_fns[CHILD_FNS];
static pthread_once_t child_once = PTHREAD_ONCE_INIT;
static int child_err;

static void run_child_fns(void)
{
	tid = 0;
	for (int i = 0; i < CHILD_FNS; i++) {
		/* acquire: pairs with the release in host_at_fork_child */
		child_fn fn = atomic_load_explicit(&child_fns[i], memory_order_acquire);

		if (fn)
			fn();
	}
}

static void make_child(void)
{
	child_err = pthread_atfork(NULL, NULL, run_child_fns);
}

int host_at_fork_child(void (*fn)(void))
{
	pthread_once(&child_once, make_child);
	if (child_err)
		return -child_err;
	for (int i = 0; i < CHILD_FNS; i++) {
		child_fn there = NULL;

		/* release: what fn needs was stored before; partner is run_child_fns */
		if (atomic_compare_exchange_strong_explicit(&child_fns[i], &there, fn,
		                                            memory_order_release,
		                                            memory_order_relaxed))
			return 0;
		if (there == fn)
			return 0;
	}
	return -ENOMEM;
}
