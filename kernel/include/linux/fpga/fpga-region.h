/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md).  Types that stand in other drivers' structs. */
#ifndef KD_LINUX_FPGA_REGION_H
#define KD_LINUX_FPGA_REGION_H

#include <linux/device.h>

struct fpga_region;
struct fpga_manager;
struct fpga_bridge;

#endif
