/* SPDX-License-Identifier: MIT */
/*
 * lock.c - locks and waits.  One monitor guards the state of all of them: slow, but every wrong use is seen at the moment it
 * happens, and a wait for oneself is a report instead of a test that hangs.
 */
#include <errno.h>
#include <pthread.h>
#include <time.h>

#include <linux/ktime.h>
#include <linux/rwsem.h>
#include <linux/wait.h>

#include "kd.h"


static pthread_mutex_t monitor = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static __thread int atomic_depth;
static __thread char me;
static bool signalled;

const void *kd_me(void)
{
	return &me;
}

void kd_monitor_enter(void)
{
	pthread_mutex_lock(&monitor);
}

void kd_monitor_leave(void)
{
	pthread_mutex_unlock(&monitor);
}

void kd_monitor_wait(unsigned ms)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += ms * NSEC_PER_MSEC;
	until.tv_sec += until.tv_nsec / NSEC_PER_SEC;
	until.tv_nsec %= NSEC_PER_SEC;
	pthread_cond_timedwait(&changed, &monitor, &until);
}

void kd_signal(bool pending)
{
	signalled = pending;
}

bool kd_signal_pending(void)
{
	return signalled;
}

void kd_wake(void)
{
	kd_monitor_enter();
	pthread_cond_broadcast(&changed);
	kd_monitor_leave();
}

unsigned kd_waits_ms(void)
{
	return kd_opts.deadline_ms ? kd_opts.deadline_ms : 5000;
}

void kd_atomic(int step)
{
	atomic_depth += step;
	if (atomic_depth < 0) {
		kd_problem("preemption or RCU: let go more often than taken");
		atomic_depth = 0;
	}
}

int in_atomic(void)
{
	return atomic_depth > 0;
}

void kd_might_sleep(const char *call)
{
	if (atomic_depth > 0)
		kd_problem("%s() may sleep, and was called with a spinlock or under RCU", call);
}

/* Who holds a lock is in the ledger: key the lock, more the thread. */
static bool held_by_me(const struct kd_lock *l)
{
	return kd_drop_as(KD_LOCK, l, (unsigned long)&me, true);
}

static bool is_free(struct kd_lock *l, enum kd_mode mode)
{
	/* A lock that was left held by an earlier test, which has been told: nobody in this one holds it. */
	if ((l->writer || l->readers) && !kd_find(KD_LOCK, l, NULL)) {
		l->writer = NULL;
		l->readers = 0;
	}
	if (mode == KD_DOWN)
		return l->count > 0;
	return !l->writer && (mode == KD_READ || !l->readers);
}

static void mark(struct kd_lock *l, enum kd_mode mode, const char *call, const void *site)
{
	if (mode == KD_DOWN) {
		l->count--;
		return; /* anybody may give it back: who holds it is not known */
	}
	if (mode == KD_READ)
		l->readers++;
	else
		l->writer = &me;
	kd_take((struct kd_entry){ .kind = KD_LOCK, .key = l, .more = (unsigned long)&me, .call = call, .site = site });
}

static void acquire(struct kd_lock *l, enum kd_mode mode, int spin, const char *call, const void *site)
{
	char text[160];
	unsigned waited = 0;

	if (!spin)
		kd_might_sleep(call);
	snprintf(text, sizeof(text), "%s(%s): the thread has it already and would wait for itself", call, l->name);
	if (mode != KD_DOWN && held_by_me(l))
		kd_fatal(text);
	kd_monitor_enter();
	while (!is_free(l, mode)) {
		kd_monitor_wait(10);
		waited += 10;
		if (waited > kd_waits_ms()) {
			kd_monitor_leave();
			snprintf(text, sizeof(text), "%s(%s): waited %u ms", call, l->name, waited);
			kd_fatal(text);
		}
	}
	mark(l, mode, call, site);
	kd_monitor_leave();
	if (l->mm)
		kd_glue_lock(l->mm, mode == KD_WRITE);
	atomic_depth += spin;
}

void kd_lock(struct kd_lock *l, enum kd_mode mode, int spin, const char *call)
{
	acquire(l, mode, spin, call, KD_SITE);
}

int kd_lock_killable(struct kd_lock *l, enum kd_mode mode, const char *call)
{
	if (kd_inject(KD_SIGNAL) || kd_signal_pending())
		return -EINTR;
	acquire(l, mode, 0, call, KD_SITE);
	return 0;
}

int kd_trylock(struct kd_lock *l, enum kd_mode mode, int spin, const char *call)
{
	bool got;

	kd_monitor_enter();
	got = is_free(l, mode) && (!l->mm || kd_glue_trylock(l->mm, mode == KD_WRITE));
	if (got) {
		mark(l, mode, call, KD_SITE);
		atomic_depth += spin;
	}
	kd_monitor_leave();
	return got;
}

static bool let_go(struct kd_lock *l, enum kd_mode mode)
{
	if (mode == KD_DOWN) {
		l->count++;
		return true;
	}
	if (mode == KD_READ ? !l->readers : l->writer != &me)
		return false;
	if (!kd_drop_as(KD_LOCK, l, (unsigned long)&me, false))
		return false;
	if (mode == KD_READ)
		l->readers--;
	else
		l->writer = NULL;
	return true;
}

void kd_unlock(struct kd_lock *l, enum kd_mode mode, int spin, const char *call)
{
	bool good;

	kd_monitor_enter();
	good = let_go(l, mode);
	pthread_cond_broadcast(&changed);
	kd_monitor_leave();
	if (!good) {
		kd_problem("%s(%s): it is not held%s", call, l->name ? l->name : "?", mode == KD_READ ? " for reading" : "");
		return;
	}
	if (l->mm)
		kd_glue_unlock(l->mm, mode == KD_WRITE);
	atomic_depth -= spin;
}

void kd_lock_dropped(struct kd_lock *l)
{
	kd_monitor_enter();
	let_go(l, KD_READ);
	pthread_cond_broadcast(&changed);
	kd_monitor_leave();
}

int kd_held(const struct kd_lock *l, enum kd_mode mode)
{
	bool yes;

	kd_monitor_enter();
	yes = mode == KD_WRITE ? l->writer == &me : held_by_me(l);
	kd_monitor_leave();
	return yes;
}

/* ---- waits ------------------------------------------------------------------------------------- */

void complete(struct completion *c)
{
	kd_monitor_enter();
	if (c->done != UINT_MAX)
		c->done++;
	pthread_cond_broadcast(&changed);
	kd_monitor_leave();
}

void complete_all(struct completion *c)
{
	kd_monitor_enter();
	c->done = UINT_MAX;
	pthread_cond_broadcast(&changed);
	kd_monitor_leave();
}

bool try_wait_for_completion(struct completion *c)
{
	bool done;

	kd_monitor_enter();
	done = c->done;
	if (done && c->done != UINT_MAX)
		c->done--;
	kd_monitor_leave();
	return done;
}

bool completion_done(struct completion *c)
{
	bool done;

	kd_monitor_enter();
	done = c->done;
	kd_monitor_leave();
	return done;
}

ktime_t ktime_get(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * NSEC_PER_SEC + t.tv_nsec;
}
