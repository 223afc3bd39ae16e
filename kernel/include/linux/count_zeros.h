/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md). */
#ifndef KD_LINUX_COUNT_ZEROS_H
#define KD_LINUX_COUNT_ZEROS_H

#include <linux/bitops.h>

#endif
