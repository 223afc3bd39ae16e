/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md).  Modules; their inits and exits are in <linux/init.h>. */
#ifndef KD_LINUX_MODULE_H
#define KD_LINUX_MODULE_H

#include <linux/kernel.h>

struct module {
	const char *name;
};
#define THIS_MODULE ((struct module *)NULL)

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
bool try_module_get(struct module *m) KD_SYM(try_module_get);
void module_put(struct module *m) KD_SYM(module_put);
#define __module_get(m) ((void)try_module_get(m))

#endif
