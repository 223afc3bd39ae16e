/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md). */
#ifndef KD_LINUX_LINKAGE_H
#define KD_LINUX_LINKAGE_H

#include <linux/compiler.h>

#endif
