/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md). */
#ifndef KD_LINUX_INIT_H
#define KD_LINUX_INIT_H

#include <linux/compiler.h>

#endif
