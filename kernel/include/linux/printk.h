/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md).  Messages go to a log that tests read with kd_logged(). */
#ifndef KD_LINUX_PRINTK_H
#define KD_LINUX_PRINTK_H

#include <linux/compiler.h>

#define KERN_EMERG "<0>"
#define KERN_ALERT "<1>"
#define KERN_CRIT "<2>"
#define KERN_ERR "<3>"
#define KERN_WARNING "<4>"
#define KERN_NOTICE "<5>"
#define KERN_INFO "<6>"
#define KERN_DEBUG "<7>"
#define KERN_CONT ""
#define KERN_DEFAULT ""

#ifndef KBUILD_MODNAME
#define KBUILD_MODNAME "module"
#endif
#ifndef pr_fmt
#define pr_fmt(fmt) fmt
#endif

/* %p's extensions (%pK, %pad ...) are printed as plain pointers, with the letters after them. */
int printk(const char *fmt, ...) KD_SYM(printk);
#define _printk printk

#define pr_emerg(fmt, ...) printk(KERN_EMERG pr_fmt(fmt), ##__VA_ARGS__)
#define pr_alert(fmt, ...) printk(KERN_ALERT pr_fmt(fmt), ##__VA_ARGS__)
#define pr_crit(fmt, ...) printk(KERN_CRIT pr_fmt(fmt), ##__VA_ARGS__)
#define pr_err(fmt, ...) printk(KERN_ERR pr_fmt(fmt), ##__VA_ARGS__)
#define pr_warn(fmt, ...) printk(KERN_WARNING pr_fmt(fmt), ##__VA_ARGS__)
#define pr_warning pr_warn
#define pr_notice(fmt, ...) printk(KERN_NOTICE pr_fmt(fmt), ##__VA_ARGS__)
#define pr_info(fmt, ...) printk(KERN_INFO pr_fmt(fmt), ##__VA_ARGS__)
#define pr_debug(fmt, ...) printk(KERN_DEBUG pr_fmt(fmt), ##__VA_ARGS__)
#define pr_devel pr_debug
#define pr_cont(fmt, ...) printk(KERN_CONT fmt, ##__VA_ARGS__)
#define pr_err_once pr_err
#define pr_warn_once pr_warn
#define pr_info_once pr_info
#define pr_err_ratelimited pr_err
#define pr_warn_ratelimited pr_warn
#define pr_info_ratelimited pr_info
#define pr_debug_ratelimited pr_debug
#define printk_ratelimited printk
#define printk_once printk
#define printk_ratelimit() 1

enum { DUMP_PREFIX_NONE, DUMP_PREFIX_ADDRESS, DUMP_PREFIX_OFFSET };
/* Bytes in hexadecimal, rowsize a line. */
void kd_hex_dump(const char *prefix, int rowsize, const void *buf, unsigned long len);
#define print_hex_dump(level, prefix, type, rowsize, group, buf, len, ascii) kd_hex_dump(prefix, rowsize, buf, len)
#define print_hex_dump_debug(prefix, type, rowsize, group, buf, len, ascii) kd_hex_dump(prefix, rowsize, buf, len)
#define print_hex_dump_bytes(prefix, type, buf, len) kd_hex_dump(prefix, 16, buf, len)

#endif
