/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md). */
#ifndef KD_LINUX_REFCOUNT_H
#define KD_LINUX_REFCOUNT_H

#include <linux/atomic.h>

#endif
