/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md). */
#ifndef KD_LINUX_SYSFS_H
#define KD_LINUX_SYSFS_H

#include <linux/device.h>

#endif
