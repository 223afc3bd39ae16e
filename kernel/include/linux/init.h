/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md).  A module's init and exit are registered before main(); kd_init() and kd_exit() call them. */
#ifndef KD_LINUX_INIT_H
#define KD_LINUX_INIT_H

#include <linux/printk.h>

enum kd_level { KD_INIT_EARLY, KD_INIT_DEVICE, KD_INIT_LATE };
void kd_add_init(enum kd_level level, const char *module, const char *file, int (*init)(void));
void kd_add_exit(const char *file, void (*exit)(void));
#define KD_INITCALL(level, fn) \
	static void __attribute__((constructor)) fn##_kd_register(void) \
	{ \
		kd_add_init(level, KBUILD_MODNAME, __FILE__, fn); \
	}
#define module_init(fn) KD_INITCALL(KD_INIT_DEVICE, fn)
#define device_initcall(fn) KD_INITCALL(KD_INIT_DEVICE, fn)
#define subsys_initcall(fn) KD_INITCALL(KD_INIT_EARLY, fn)
#define late_initcall(fn) KD_INITCALL(KD_INIT_LATE, fn)
#define module_exit(fn) \
	static void __attribute__((constructor)) fn##_kd_register(void) \
	{ \
		kd_add_exit(__FILE__, fn); \
	}

#endif
