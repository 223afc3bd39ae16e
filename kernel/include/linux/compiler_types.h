/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md). */
#ifndef KD_LINUX_COMPILER_TYPES_H
#define KD_LINUX_COMPILER_TYPES_H

#include <linux/compiler.h>

#endif
