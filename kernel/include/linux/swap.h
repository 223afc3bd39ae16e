/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md). */
#ifndef KD_LINUX_SWAP_H
#define KD_LINUX_SWAP_H

#include <linux/mm.h>

#endif
