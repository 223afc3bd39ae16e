/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md). */
#ifndef KD_LINUX_MINMAX_H
#define KD_LINUX_MINMAX_H

#include <linux/kernel.h>

#endif
