/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md). */
#ifndef KD_LINUX_HARDIRQ_H
#define KD_LINUX_HARDIRQ_H

#include <linux/spinlock.h>

#endif
