/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md). */
#ifndef KD_LINUX_BITS_H
#define KD_LINUX_BITS_H

#include <linux/bitops.h>

#endif
