/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md). */
#ifndef KD_LINUX_OVERFLOW_H
#define KD_LINUX_OVERFLOW_H

#include <linux/kernel.h>

#endif
