/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md). */
#ifndef KD_LINUX_PGTABLE_H
#define KD_LINUX_PGTABLE_H

#include <linux/mm.h>

#endif
