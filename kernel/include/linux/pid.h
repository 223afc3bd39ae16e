/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md). */
#ifndef KD_LINUX_PID_H
#define KD_LINUX_PID_H

#include <linux/sched.h>

#endif
