/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md).  Character devices: the struct; a test calls the driver's file operations itself. */
#ifndef KD_LINUX_CDEV_H
#define KD_LINUX_CDEV_H

#include <linux/fs.h>
#include <linux/kdev_t.h>

struct cdev {
	struct module *owner;
	const struct file_operations *ops;
	struct list_head list;
	dev_t dev;
	unsigned int count;
};

#endif
