/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md). */
#ifndef KD_LINUX_RWLOCK_H
#define KD_LINUX_RWLOCK_H

#include <linux/spinlock.h>

#endif
