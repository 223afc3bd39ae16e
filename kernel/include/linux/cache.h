/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md). */
#ifndef KD_LINUX_CACHE_H
#define KD_LINUX_CACHE_H

#include <linux/compiler.h>

#endif
