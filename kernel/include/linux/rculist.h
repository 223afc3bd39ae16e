/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md). */
#ifndef KD_LINUX_RCULIST_H
#define KD_LINUX_RCULIST_H

#include <linux/list.h>

#endif
