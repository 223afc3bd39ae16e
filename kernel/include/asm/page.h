/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md). */
#ifndef KD_ASM_PAGE_H
#define KD_ASM_PAGE_H

#include <linux/kernel.h>

#endif
