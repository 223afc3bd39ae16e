/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md). */
#ifndef KD_LINUX_MMDEBUG_H
#define KD_LINUX_MMDEBUG_H

#include <linux/bug.h>

#endif
