/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md). */
#ifndef KD_LINUX_LOG2_H
#define KD_LINUX_LOG2_H

#include <linux/kernel.h>

#endif
