/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md). */
#ifndef KD_ASM_UACCESS_H
#define KD_ASM_UACCESS_H

#include <linux/uaccess.h>

#endif
