/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md). */
#ifndef KD_LINUX_SPINLOCK_TYPES_H
#define KD_LINUX_SPINLOCK_TYPES_H

#include <linux/spinlock.h>

#endif
