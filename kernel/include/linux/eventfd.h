/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md).  The type: there are no file descriptors here. */
#ifndef KD_LINUX_EVENTFD_H
#define KD_LINUX_EVENTFD_H

#include <linux/wait.h>

struct eventfd_ctx;

#endif
