/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md). */
#ifndef KD_ASM_BUG_H
#define KD_ASM_BUG_H

#include <linux/bug.h>

#endif
