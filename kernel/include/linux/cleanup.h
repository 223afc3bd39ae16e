/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md). */
#ifndef KD_LINUX_CLEANUP_H
#define KD_LINUX_CLEANUP_H

#include <linux/compiler.h>

#endif
