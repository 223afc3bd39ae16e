/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md). */
#ifndef KD_LINUX_CONTAINER_OF_H
#define KD_LINUX_CONTAINER_OF_H

#include <linux/kernel.h>

#endif
