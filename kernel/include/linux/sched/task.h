/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md). */
#ifndef KD_LINUX_SCHED_TASK_H
#define KD_LINUX_SCHED_TASK_H

#include <linux/sched.h>

#endif
