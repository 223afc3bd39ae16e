/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md). */
#ifndef KD_LINUX_CAPABILITY_H
#define KD_LINUX_CAPABILITY_H

#include <linux/types.h>

#include_next <linux/capability.h>

/* What the test says with kd_capable(), for all capabilities; false to begin with. */
bool capable(int cap) KD_SYM(capable);
#define ns_capable(ns, cap) capable(cap)

#endif
