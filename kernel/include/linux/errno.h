/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md).  libc includes this file as well. */
#ifndef KD_LINUX_ERRNO_H
#define KD_LINUX_ERRNO_H

#include_next <linux/errno.h>

#define ERESTARTSYS 512
#define ENOIOCTLCMD 515
#define EPROBE_DEFER 517
#define ENOTSUPP 524

#endif
