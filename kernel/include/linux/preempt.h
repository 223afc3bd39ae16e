/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md). */
#ifndef KD_LINUX_PREEMPT_H
#define KD_LINUX_PREEMPT_H

#include <linux/spinlock.h>

#endif
