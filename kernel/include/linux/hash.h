/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md). */
#ifndef KD_LINUX_HASH_H
#define KD_LINUX_HASH_H

#include <linux/hashtable.h>

#endif
