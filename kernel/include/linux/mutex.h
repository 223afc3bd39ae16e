/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md). */
#ifndef KD_LINUX_MUTEX_H
#define KD_LINUX_MUTEX_H

#include <linux/spinlock.h>

#endif
