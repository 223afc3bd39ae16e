/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md).  Kernel threads are threads of the test, without an mm; one not stopped is a leak. */
#ifndef KD_LINUX_KTHREAD_H
#define KD_LINUX_KTHREAD_H

#include <linux/sched.h>

struct task_struct *kd_kthread(int (*fn)(void *data), void *data, const char *name);
#define kthread_run(fn, data, name, ...) kd_kthread(fn, data, name)
bool kthread_should_stop(void) KD_SYM(kthread_should_stop);
int kthread_stop(struct task_struct *task) KD_SYM(kthread_stop);
void kthread_use_mm(struct mm_struct *mm) KD_SYM(kthread_use_mm);
void kthread_unuse_mm(struct mm_struct *mm) KD_SYM(kthread_unuse_mm);
#define use_mm kthread_use_mm
#define unuse_mm kthread_unuse_mm

#endif
