/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md).  Speculation is not simulated: the index as it is, checked. */
#ifndef KD_LINUX_NOSPEC_H
#define KD_LINUX_NOSPEC_H

#include <linux/kernel.h>

#define array_index_nospec(index, size) ({ __auto_type kd_i = (index); BUG_ON(kd_i >= (size)); kd_i; })

#endif
