/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md). */
#ifndef KD_LINUX_PAGEMAP_H
#define KD_LINUX_PAGEMAP_H

#include <linux/mm.h>

#endif
