/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md). */
#ifndef KD_LINUX_STDDEF_H
#define KD_LINUX_STDDEF_H

#include_next <linux/stddef.h>

#include <linux/compiler.h>

#endif
