/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md). */
#ifndef KD_LINUX_SCHED_MM_H
#define KD_LINUX_SCHED_MM_H

#include <linux/sched.h>

#endif
