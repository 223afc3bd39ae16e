/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md). */
#ifndef KD_LINUX_MODULEPARAM_H
#define KD_LINUX_MODULEPARAM_H

#include <linux/module.h>

#endif
