/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md). */
#ifndef KD_LINUX_MATH64_H
#define KD_LINUX_MATH64_H

#include <linux/kernel.h>

#endif
