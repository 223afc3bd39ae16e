/* SPDX-License-Identifier: MIT */
/*
 * Test double (doc/kernel.md).  Waiting.  A wait first runs work that is queued, since in the kernel somebody else would; it
 * ends after the deadline (kd_options.deadline_ms) with a problem told and the fatal hook, not never.
 */
#ifndef KD_LINUX_WAIT_H
#define KD_LINUX_WAIT_H

#include <linux/list.h>
#include <linux/spinlock.h>

typedef struct wait_queue_head {
	unsigned long woken;
} wait_queue_head_t;
#define __WAIT_QUEUE_HEAD_INITIALIZER(x) { 0 }
#define DECLARE_WAIT_QUEUE_HEAD(x) wait_queue_head_t x = __WAIT_QUEUE_HEAD_INITIALIZER(x)
#define init_waitqueue_head(q) ((void)((q)->woken = 0))

void kd_wake(void);
#define wake_up(q) ((void)(q), kd_wake())
#define wake_up_all wake_up
#define wake_up_interruptible wake_up
#define wake_up_interruptible_all wake_up
#define wake_up_interruptible_sync wake_up

/* One step of a wait: runs queued work, or sleeps a moment.  ms: since when, in and out, 0 first.  False: over `limit` ms. */
bool kd_wait_step(unsigned long long *since, long limit, const char *call);
bool kd_signal_pending(void);
#define kd_wait(cond, limit, signals) ({ \
	unsigned long long kd_since = 0; \
	long kd_left = 1; \
	while (!(cond)) { \
		if ((signals) && kd_signal_pending()) { \
			kd_left = -ERESTARTSYS; \
			break; \
		} \
		if (!kd_wait_step(&kd_since, limit, "wait_event")) { \
			kd_left = !!(cond); \
			break; \
		} \
	} \
	kd_left; \
})
#define wait_event(q, cond) ((void)(q), (void)kd_wait(cond, -1, 0))
#define wait_event_interruptible(q, cond) ((void)(q), (int)(kd_wait(cond, -1, 1) < 0 ? -ERESTARTSYS : 0))
#define wait_event_killable wait_event_interruptible
#define wait_event_timeout(q, cond, ticks) ((void)(q), kd_wait(cond, (long)(ticks), 0))
#define wait_event_interruptible_timeout(q, cond, ticks) ((void)(q), kd_wait(cond, (long)(ticks), 1))

struct completion {
	unsigned int done;
};
#define COMPLETION_INITIALIZER(x) { 0 }
#define COMPLETION_INITIALIZER_ONSTACK(x) { 0 }
#define DECLARE_COMPLETION(x) struct completion x = COMPLETION_INITIALIZER(x)
#define DECLARE_COMPLETION_ONSTACK DECLARE_COMPLETION
static inline void init_completion(struct completion *c)
{
	c->done = 0;
}
#define reinit_completion init_completion
void complete(struct completion *c) KD_SYM(complete);
void complete_all(struct completion *c) KD_SYM(complete_all);
bool try_wait_for_completion(struct completion *c) KD_SYM(try_wait_for_completion);
bool completion_done(struct completion *c) KD_SYM(completion_done);
#define wait_for_completion(c) ((void)kd_wait(try_wait_for_completion(c), -1, 0))
#define wait_for_completion_interruptible(c) ((int)(kd_wait(try_wait_for_completion(c), -1, 1) < 0 ? -ERESTARTSYS : 0))
#define wait_for_completion_killable wait_for_completion_interruptible
#define wait_for_completion_timeout(c, ticks) ((unsigned long)kd_wait(try_wait_for_completion(c), (long)(ticks), 0))
#define wait_for_completion_interruptible_timeout(c, ticks) kd_wait(try_wait_for_completion(c), (long)(ticks), 1)

#endif
