/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md). */
#ifndef KD_LINUX_EXPORT_H
#define KD_LINUX_EXPORT_H

#include <linux/module.h>

#endif
