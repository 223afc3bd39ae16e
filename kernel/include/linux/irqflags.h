/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md). */
#ifndef KD_LINUX_IRQFLAGS_H
#define KD_LINUX_IRQFLAGS_H

#include <linux/spinlock.h>

#endif
