/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md). */
#ifndef KD_LINUX_JIFFIES_H
#define KD_LINUX_JIFFIES_H

#include <linux/ktime.h>

#endif
