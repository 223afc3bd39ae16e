/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md). */
#ifndef KD_LINUX_HUGE_MM_H
#define KD_LINUX_HUGE_MM_H

#include <linux/mm.h>

#endif
