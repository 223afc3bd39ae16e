/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md). */
#ifndef KD_LINUX_PFN_H
#define KD_LINUX_PFN_H

#include <linux/mm.h>

#endif
