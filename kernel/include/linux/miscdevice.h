/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md).  Character devices by name, for kd_open(). */
#ifndef KD_LINUX_MISCDEVICE_H
#define KD_LINUX_MISCDEVICE_H

#include <linux/fs.h>
#include <linux/module.h>

#define MISC_DYNAMIC_MINOR 255

struct miscdevice {
	int minor;
	const char *name;
	const struct file_operations *fops;
	struct list_head list;
	struct device *parent;
	struct device *this_device;
	const char *nodename;
	umode_t mode;
	struct device kd_device;
};

/* file->private_data is the miscdevice when open is called. */
int misc_register(struct miscdevice *misc) KD_SYM(misc_register);
void misc_deregister(struct miscdevice *misc) KD_SYM(misc_deregister);
#define module_misc_device(m) \
	static int m##_kd_init(void) { return misc_register(&(m)); } \
	static void m##_kd_exit(void) { misc_deregister(&(m)); } \
	module_init(m##_kd_init) module_exit(m##_kd_exit)

#endif
