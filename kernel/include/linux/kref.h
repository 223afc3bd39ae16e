/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md). */
#ifndef KD_LINUX_KREF_H
#define KD_LINUX_KREF_H

#include <linux/atomic.h>

#endif
