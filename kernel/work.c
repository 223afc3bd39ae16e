/* SPDX-License-Identifier: MIT */
/* work.c - queued work, RCU callbacks, kernel threads. */
#include <pthread.h>
#include <stdlib.h>

#include <linux/kthread.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

#include "kd.h"

static struct workqueue_struct system_queue = { "system" };
struct workqueue_struct *system_wq = &system_queue;

/* Guarded by the monitor. */
static struct work_struct *queued, **tail = &queued;
static struct work_struct *running;
static struct rcu_head *callbacks;

bool queue_work(struct workqueue_struct *q, struct work_struct *w)
{
	bool fresh;

	kd_monitor_enter();
	fresh = !w->queued;
	if (fresh) {
		w->queued = true;
		w->queue = q;
		w->next = NULL;
		*tail = w;
		tail = &w->next;
	}
	kd_monitor_leave();
	return fresh;
}

/* Takes the first, or the one asked for, or the first of a queue; NULL: none. */
static struct work_struct *dequeue(const struct work_struct *which, const struct workqueue_struct *q)
{
	struct work_struct **at = &queued, *w;

	kd_monitor_enter();
	while (*at && ((which && *at != which) || (q && (*at)->queue != q)))
		at = &(*at)->next;
	w = *at;
	if (w) {
		*at = w->next;
		w->queued = false;
	}
	for (tail = &queued; *tail; tail = &(*tail)->next)
		;
	kd_monitor_leave();
	return w;
}

/* As a worker of the kernel's would: no mm, nothing held. */
static void execute(struct work_struct *w)
{
	static struct task_struct worker = { .comm = "kworker", .flags = PF_KTHREAD, .usage = REFCOUNT_INIT(1) };
	struct task_struct *before = kd_current();

	running = w;
	kd_set_current(&worker);
	w->func(w);
	kd_set_current(before);
	running = NULL;
}

static int run_callbacks(void)
{
	int n = 0;

	for (;; n++) {
		struct rcu_head *head;

		kd_monitor_enter();
		head = callbacks;
		if (head)
			callbacks = head->next;
		kd_monitor_leave();
		if (!head)
			return n;
		head->func(head);
	}
}

int kd_run_work(void)
{
	int n = run_callbacks();

	for (struct work_struct *w; (w = dequeue(NULL, NULL)); n++)
		execute(w);
	return n;
}

bool kd_wait_step(unsigned long long *since, long limit, const char *call)
{
	unsigned long long now = (unsigned long long)ktime_get() / NSEC_PER_MSEC;
	char text[120];

	kd_might_sleep(call);
	if (!*since)
		*since = now;
	if (kd_run_work())
		return true;
	if (limit >= 0 && now - *since >= (unsigned long long)limit)
		return false;
	if (limit < 0 && now - *since > kd_waits_ms()) {
		snprintf(text, sizeof(text), "%s(): nobody woke it in %u ms", call, kd_waits_ms());
		kd_fatal(text);
	}
	kd_monitor_enter();
	kd_monitor_wait(1);
	kd_monitor_leave();
	return true;
}

void kd_sleep(const char *call)
{
	kd_might_sleep(call);
	if (kd_run_work())
		return;
	kd_monitor_enter();
	kd_monitor_wait(1);
	kd_monitor_leave();
}

bool flush_work(struct work_struct *w)
{
	struct work_struct *found;

	kd_might_sleep("flush_work");
	if (w == running)
		kd_fatal("flush_work(): of the work that calls it");
	found = dequeue(w, NULL);
	if (found)
		execute(found);
	return found;
}

bool cancel_work_sync(struct work_struct *w)
{
	kd_might_sleep("cancel_work_sync");
	return dequeue(w, NULL);
}

void flush_workqueue(struct workqueue_struct *q)
{
	kd_might_sleep("flush_workqueue");
	for (struct work_struct *w; (w = dequeue(NULL, q));)
		execute(w);
}

struct workqueue_struct *kd_workqueue(const char *name)
{
	struct workqueue_struct *q = kmalloc(sizeof(*q), GFP_KERNEL);

	if (q)
		q->name = name;
	return q;
}

void destroy_workqueue(struct workqueue_struct *q)
{
	flush_workqueue(q);
	kfree(q);
}

void call_rcu(struct rcu_head *head, void (*func)(struct rcu_head *head))
{
	kd_monitor_enter();
	head->func = func;
	head->next = callbacks;
	callbacks = head;
	kd_monitor_leave();
}

void rcu_barrier(void)
{
	run_callbacks();
}

struct rcu_free {
	struct rcu_head head;
	void *p;
};

static void free_later(struct rcu_head *head)
{
	struct rcu_free *f = container_of(head, struct rcu_free, head);

	kfree(f->p);
	free(f);
}

void kd_kfree_rcu(void *p)
{
	struct rcu_free *f = kd_alloc(sizeof(*f));

	f->p = p;
	call_rcu(&f->head, free_later);
}

void kd_work_stop(void)
{
	kd_monitor_enter();
	queued = NULL;
	tail = &queued;
	callbacks = NULL;
	kd_monitor_leave();
}

/* ---- threads ------------------------------------------------------------------------------------ */

struct thread {
	struct task_struct task;
	pthread_t id;
	int (*fn)(void *data);
	void *data;
};

static void *body(void *arg)
{
	struct thread *t = arg;

	kd_set_current(&t->task);
	return (void *)(long)t->fn(t->data);
}

struct task_struct *kd_kthread(int (*fn)(void *data), void *data, const char *name)
{
	struct thread *t;

	if (kd_inject(KD_ALLOC))
		return ERR_PTR(-ENOMEM);
	t = kd_alloc(sizeof(*t));
	t->task = (struct task_struct){ .flags = PF_KTHREAD, .usage = REFCOUNT_INIT(1), .kd_thread = t };
	strscpy(t->task.comm, name, TASK_COMM_LEN);
	t->fn = fn;
	t->data = data;
	kd_take((struct kd_entry){ .kind = KD_THREAD, .key = &t->task, .call = "kthread_run", .site = KD_SITE });
	if (pthread_create(&t->id, NULL, body, t)) {
		kd_drop(KD_THREAD, &t->task, NULL);
		free(t);
		return ERR_PTR(-ENOMEM);
	}
	return &t->task;
}

bool kthread_should_stop(void)
{
	return __atomic_load_n(&current->kd_stop, __ATOMIC_ACQUIRE);
}

int kthread_stop(struct task_struct *task)
{
	struct thread *t = task->kd_thread;
	void *r;

	kd_might_sleep("kthread_stop");
	if (!kd_drop(KD_THREAD, task, NULL)) {
		kd_problem("kthread_stop(): not a thread, or stopped already");
		return -ESRCH;
	}
	__atomic_store_n(&task->kd_stop, true, __ATOMIC_RELEASE);
	kd_wake();
	pthread_join(t->id, &r);
	free(t);
	return (int)(long)r;
}

void put_task_struct(struct task_struct *t)
{
	refcount_dec(&t->usage);
}

void kthread_use_mm(struct mm_struct *mm)
{
	WARN_ON(current->mm);
	current->mm = mm;
}

void kthread_unuse_mm(struct mm_struct *mm)
{
	WARN_ON(current->mm != mm);
	current->mm = NULL;
}
