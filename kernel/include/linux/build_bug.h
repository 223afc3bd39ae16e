/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md). */
#ifndef KD_LINUX_BUILD_BUG_H
#define KD_LINUX_BUILD_BUG_H

#include <linux/kernel.h>

#endif
