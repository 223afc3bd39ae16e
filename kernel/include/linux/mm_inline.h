/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md). */
#ifndef KD_LINUX_MM_INLINE_H
#define KD_LINUX_MM_INLINE_H

#include <linux/mm.h>

#endif
