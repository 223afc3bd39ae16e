/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md). */
#ifndef KD_LINUX_SCHED_SIGNAL_H
#define KD_LINUX_SCHED_SIGNAL_H

#include <linux/sched.h>

#endif
