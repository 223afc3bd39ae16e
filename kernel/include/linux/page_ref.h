/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md). */
#ifndef KD_LINUX_PAGE_REF_H
#define KD_LINUX_PAGE_REF_H

#include <linux/mm.h>

#endif
