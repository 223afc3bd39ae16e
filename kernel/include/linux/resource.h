/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md).  Its constants are libc's, where that is included. */
#ifndef KD_LINUX_RESOURCE_H
#define KD_LINUX_RESOURCE_H

/* Numbers of limits; an enum in libc's header, so not from the kernel's, which would not go together with it. */
#ifndef _SYS_RESOURCE_H
#define RLIMIT_MEMLOCK 8
#define RLIMIT_NOFILE 7
#define RLIMIT_AS 9
#define RLIM_INFINITY (~0ul)
#endif

#endif
