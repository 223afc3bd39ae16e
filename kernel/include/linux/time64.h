/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md). */
#ifndef KD_LINUX_TIME64_H
#define KD_LINUX_TIME64_H

#include <linux/ktime.h>

#endif
