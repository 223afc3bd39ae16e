/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md). */
#ifndef KD_ASM_IO_H
#define KD_ASM_IO_H

#include <linux/io.h>

#endif
