/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md). */
#ifndef KD_LINUX_SPRINTF_H
#define KD_LINUX_SPRINTF_H

#include <linux/kernel.h>

#endif
