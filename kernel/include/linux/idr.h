/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md). */
#ifndef KD_LINUX_IDR_H
#define KD_LINUX_IDR_H

#include <linux/xarray.h>

#endif
