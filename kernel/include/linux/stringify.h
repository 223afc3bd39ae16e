/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md). */
#ifndef KD_LINUX_STRINGIFY_H
#define KD_LINUX_STRINGIFY_H

#include <linux/compiler.h>

#endif
