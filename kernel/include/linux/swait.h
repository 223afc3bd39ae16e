/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md). */
#ifndef KD_LINUX_SWAIT_H
#define KD_LINUX_SWAIT_H

#include <linux/wait.h>

#endif
