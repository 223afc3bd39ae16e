/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md). */
#ifndef KD_ASM_ATOMIC_H
#define KD_ASM_ATOMIC_H

#include <linux/atomic.h>

#endif
