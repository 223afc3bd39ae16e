/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md). */
#ifndef KD_LINUX_IO_64_NONATOMIC_HI_LO_H
#define KD_LINUX_IO_64_NONATOMIC_HI_LO_H

#include <linux/io.h>

#endif
