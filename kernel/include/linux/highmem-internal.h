/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md). */
#ifndef KD_LINUX_HIGHMEM_INTERNAL_H
#define KD_LINUX_HIGHMEM_INTERNAL_H

#include <linux/highmem.h>

#endif
