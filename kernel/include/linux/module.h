/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md).  A module's init and exit are registered before main(); kd_init() and kd_exit() call them. */
#ifndef KD_LINUX_MODULE_H
#define KD_LINUX_MODULE_H

#include <linux/kernel.h>

struct module {
	const char *name;
};
#define THIS_MODULE ((struct module *)NULL)

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

#define MODULE_LICENSE(x) _Static_assert(sizeof(x) > 0, "")
#define MODULE_AUTHOR MODULE_LICENSE
#define MODULE_DESCRIPTION MODULE_LICENSE
#define MODULE_VERSION MODULE_LICENSE
#define MODULE_ALIAS MODULE_LICENSE
#define MODULE_IMPORT_NS(x) _Static_assert(1, "")
#define MODULE_DEVICE_TABLE(bus, table) _Static_assert(1, "")
#define MODULE_PARM_DESC(name, text) _Static_assert(1, "")
/* A parameter is a variable of the driver: a test has no other way to it than the driver's own source. */
#define module_param(name, type, mode) _Static_assert(sizeof(name) > 0, "")
#define module_param_named(name, variable, type, mode) _Static_assert(sizeof(variable) > 0, "")
#define EXPORT_SYMBOL(x) extern __typeof__(x) x
#define EXPORT_SYMBOL_GPL EXPORT_SYMBOL
#define EXPORT_SYMBOL_NS(x, ns) EXPORT_SYMBOL(x)
#define EXPORT_SYMBOL_NS_GPL(x, ns) EXPORT_SYMBOL(x)
bool try_module_get(struct module *m) KD_SYM(try_module_get);
void module_put(struct module *m) KD_SYM(module_put);
#define __module_get(m) ((void)try_module_get(m))

#endif
