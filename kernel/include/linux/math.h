/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md). */
#ifndef KD_LINUX_MATH_H
#define KD_LINUX_MATH_H

#include <linux/kernel.h>

#endif
