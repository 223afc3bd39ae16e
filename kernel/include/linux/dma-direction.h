/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md). */
#ifndef KD_LINUX_DMA_DIRECTION_H
#define KD_LINUX_DMA_DIRECTION_H

#include <linux/dma-mapping.h>

#endif
