/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md). */
#ifndef KD_LINUX_DEV_PRINTK_H
#define KD_LINUX_DEV_PRINTK_H

#include <linux/device.h>

#endif
