/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md). */
#ifndef KD_ASM_BARRIER_H
#define KD_ASM_BARRIER_H

#include <linux/compiler.h>

#endif
