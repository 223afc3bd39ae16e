/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md).  What is exported is an ordinary symbol of the test program. */
#ifndef KD_LINUX_EXPORT_H
#define KD_LINUX_EXPORT_H

#define EXPORT_SYMBOL(x) extern __typeof__(x) x
#define EXPORT_SYMBOL_GPL EXPORT_SYMBOL
#define EXPORT_SYMBOL_NS(x, ns) EXPORT_SYMBOL(x)
#define EXPORT_SYMBOL_NS_GPL(x, ns) EXPORT_SYMBOL(x)

#endif
