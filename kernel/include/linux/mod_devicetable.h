/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md).  Tables of devices: types only. */
#ifndef KD_LINUX_MOD_DEVICETABLE_H
#define KD_LINUX_MOD_DEVICETABLE_H

#include <linux/types.h>

typedef unsigned long kernel_ulong_t;
struct of_device_id {
	char name[32], type[32], compatible[128];
	const void *data;
};
struct platform_device_id {
	char name[20];
	kernel_ulong_t driver_data;
};

#endif
