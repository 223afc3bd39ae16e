/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md).  The current task: the test's process, or a kernel thread, which has no mm. */
#ifndef KD_LINUX_SCHED_H
#define KD_LINUX_SCHED_H

#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/ktime.h>
#include <linux/mm_types.h>
#include <linux/resource.h>
#include <linux/wait.h>

#define TASK_COMM_LEN 16
#define PF_EXITING 0x4u
#define PF_KTHREAD 0x200000u

struct task_struct {
	struct mm_struct *mm, *active_mm;
	struct task_struct *group_leader;
	pid_t pid, tgid;
	unsigned int flags;
	char comm[TASK_COMM_LEN];
	refcount_t usage;
	void *kd_thread;
	bool kd_stop;
};

struct task_struct *kd_current(void);
#define current kd_current()
#define task_pid_nr(t) ((t)->pid)
#define task_tgid_nr(t) ((t)->tgid)
#define get_task_struct(t) (refcount_inc(&(t)->usage), (t))
void put_task_struct(struct task_struct *t) KD_SYM(put_task_struct);

/* True when the test said kd_signal(true). */
#define signal_pending(t) ((void)(t), kd_signal_pending())
#define fatal_signal_pending signal_pending

/* The mm stays usable (mmget), or just its struct (mmgrab). */
struct mm_struct *get_task_mm(struct task_struct *t) KD_SYM(get_task_mm);
void mmget(struct mm_struct *mm) KD_SYM(mmget);
bool mmget_not_zero(struct mm_struct *mm) KD_SYM(mmget_not_zero);
void mmput(struct mm_struct *mm) KD_SYM(mmput);
#define mmput_async mmput
void mmgrab(struct mm_struct *mm) KD_SYM(mmgrab);
void mmdrop(struct mm_struct *mm) KD_SYM(mmdrop);

/* The test's limit (kd_options.memlock for RLIMIT_MEMLOCK); RLIM_INFINITY for others. */
unsigned long rlimit(unsigned int limit) KD_SYM(rlimit);
#define task_rlimit(t, limit) ((void)(t), rlimit(limit))
#define schedule() kd_sleep("schedule")
#define yield() kd_sleep("yield")

#endif
