/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md).  Character devices: kd_open() finds them by the name that device_create() gave the number. */
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

int alloc_chrdev_region(dev_t *dev, unsigned int first, unsigned int n, const char *name) KD_SYM(alloc_chrdev_region);
void unregister_chrdev_region(dev_t dev, unsigned int n) KD_SYM(unregister_chrdev_region);
void cdev_init(struct cdev *cdev, const struct file_operations *fops) KD_SYM(cdev_init);
int cdev_add(struct cdev *cdev, dev_t dev, unsigned int n) KD_SYM(cdev_add);
void cdev_del(struct cdev *cdev) KD_SYM(cdev_del);

#endif
