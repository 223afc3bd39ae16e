/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md).  All there is is 64 bits wide. */
#ifndef KD_LINUX_COMPAT_H
#define KD_LINUX_COMPAT_H

#include <linux/types.h>

#define compat_ptr(p) ((void __user *)(unsigned long)(p))
#define in_compat_syscall() false
typedef __u32 compat_uptr_t;
typedef __u32 compat_ulong_t;

#endif
