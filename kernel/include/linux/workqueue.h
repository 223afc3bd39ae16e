/* SPDX-License-Identifier: MIT */
/*
 * Test double (doc/kernel.md).  Work runs when somebody waits for it: flush, cancel_..._sync, destroy, any wait, or the test's
 * kd_run_work().  In the thread that waits, without its mm.  Delays are over at once.
 */
#ifndef KD_LINUX_WORKQUEUE_H
#define KD_LINUX_WORKQUEUE_H

#include <linux/list.h>

struct work_struct;
typedef void (*work_func_t)(struct work_struct *work);
struct workqueue_struct;
struct work_struct {
	work_func_t func;
	struct work_struct *next;
	struct workqueue_struct *queue;
	bool queued;
};
struct delayed_work {
	struct work_struct work;
};
struct workqueue_struct {
	const char *name;
};
#define __WORK_INITIALIZER(n, f) { .func = (f) }
#define DECLARE_WORK(n, f) struct work_struct n = __WORK_INITIALIZER(n, f)
#define DECLARE_DELAYED_WORK(n, f) struct delayed_work n = { __WORK_INITIALIZER(n, f) }
#define INIT_WORK(w, f) (*(w) = (struct work_struct)__WORK_INITIALIZER(w, f))
#define INIT_DELAYED_WORK(w, f) INIT_WORK(&(w)->work, f)
#define INIT_WORK_ONSTACK INIT_WORK
#define WQ_UNBOUND 2u
#define WQ_FREEZABLE 4u
#define WQ_MEM_RECLAIM 8u
#define WQ_HIGHPRI 16u
extern struct workqueue_struct *system_wq KD_SYM(system_wq);
#define system_unbound_wq system_wq
#define system_long_wq system_wq

bool queue_work(struct workqueue_struct *q, struct work_struct *w) KD_SYM(queue_work);
bool flush_work(struct work_struct *w) KD_SYM(flush_work);
bool cancel_work_sync(struct work_struct *w) KD_SYM(cancel_work_sync);
void flush_workqueue(struct workqueue_struct *q) KD_SYM(flush_workqueue);
struct workqueue_struct *kd_workqueue(const char *name);
void destroy_workqueue(struct workqueue_struct *q) KD_SYM(destroy_workqueue);
#define schedule_work(w) queue_work(system_wq, w)
#define flush_scheduled_work() flush_workqueue(system_wq)
#define drain_workqueue flush_workqueue
#define queue_delayed_work(q, w, ticks) ((void)(ticks), queue_work(q, &(w)->work))
#define schedule_delayed_work(w, ticks) queue_delayed_work(system_wq, w, ticks)
#define mod_delayed_work queue_delayed_work
#define flush_delayed_work(w) flush_work(&(w)->work)
#define cancel_delayed_work(w) cancel_work_sync(&(w)->work)
#define cancel_delayed_work_sync(w) cancel_work_sync(&(w)->work)
#define to_delayed_work(w) container_of(w, struct delayed_work, work)
#define work_pending(w) ((w)->queued)
#define destroy_work_on_stack(w) (void)(w)
#define alloc_workqueue(name, flags, max, ...) kd_workqueue(name)
#define alloc_ordered_workqueue(name, flags, ...) kd_workqueue(name)
#define create_singlethread_workqueue(name) kd_workqueue(name)
#define create_workqueue(name) kd_workqueue(name)

#endif
