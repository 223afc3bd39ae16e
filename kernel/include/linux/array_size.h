/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md). */
#ifndef KD_LINUX_ARRAY_SIZE_H
#define KD_LINUX_ARRAY_SIZE_H

#include <linux/kernel.h>

#endif
