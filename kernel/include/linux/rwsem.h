/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md). */
#ifndef KD_LINUX_RWSEM_H
#define KD_LINUX_RWSEM_H

#include <linux/spinlock.h>

#endif
