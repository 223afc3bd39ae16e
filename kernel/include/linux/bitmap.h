/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md). */
#ifndef KD_LINUX_BITMAP_H
#define KD_LINUX_BITMAP_H

#include <linux/bitops.h>

#endif
