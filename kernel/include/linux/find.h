/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md). */
#ifndef KD_LINUX_FIND_H
#define KD_LINUX_FIND_H

#include <linux/bitops.h>

#endif
