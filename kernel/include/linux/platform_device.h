/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md).  Platform devices; the test makes one and calls the driver's probe and remove. */
#ifndef KD_LINUX_PLATFORM_DEVICE_H
#define KD_LINUX_PLATFORM_DEVICE_H

#include <linux/device.h>
#include <linux/ioport.h>
#include <linux/mod_devicetable.h>
#include <linux/module.h>

struct platform_device {
	const char *name;
	int id;
	struct device dev;
	u32 num_resources;
	struct resource *resource;
};
/* For kd_platform_add(). */
struct platform_driver {
	int (*probe)(struct platform_device *pdev);
#if KD_52
	int (*remove)(struct platform_device *pdev);
#else
	union {
		void (*remove)(struct platform_device *pdev);
		void (*remove_new)(struct platform_device *pdev); /* 6.3 to 6.12 */
	};
#endif
	void (*shutdown)(struct platform_device *pdev);
	struct device_driver driver;
	const struct platform_device_id *id_table;
	struct platform_driver *kd_next;
};

int platform_driver_register(struct platform_driver *drv) KD_SYM(platform_driver_register);
void platform_driver_unregister(struct platform_driver *drv) KD_SYM(platform_driver_unregister);
#define module_platform_driver(drv) \
	static int drv##_kd_init(void) { return platform_driver_register(&(drv)); } \
	static void drv##_kd_exit(void) { platform_driver_unregister(&(drv)); } \
	module_init(drv##_kd_init) module_exit(drv##_kd_exit)
/* The n-th of this type, or NULL. */
static inline struct resource *platform_get_resource(struct platform_device *pdev, unsigned int type, unsigned int n)
{
	for (u32 i = 0; i < pdev->num_resources; i++)
		if ((pdev->resource[i].flags & type) == type && !n--)
			return &pdev->resource[i];
	return NULL;
}

#define to_platform_device(d) container_of(d, struct platform_device, dev)
#define platform_get_drvdata(pdev) dev_get_drvdata(&(pdev)->dev)
#define platform_set_drvdata(pdev, data) dev_set_drvdata(&(pdev)->dev, data)

#endif
