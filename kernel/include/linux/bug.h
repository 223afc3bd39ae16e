/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md).  A warning fails the test's leak check; BUG() calls the fatal hook, which does not return. */
#ifndef KD_LINUX_BUG_H
#define KD_LINUX_BUG_H

#include <linux/compiler.h>

void kd_warn(const char *file, int line, const char *fmt, ...) __printf(3, 4);
void kd_bug(const char *file, int line, const char *what) __noreturn;

#define WARN(c, fmt...) ({ \
	int kd_c = !!(c); \
	if (unlikely(kd_c)) \
		kd_warn(__FILE__, __LINE__, fmt); \
	unlikely(kd_c); \
})
#define WARN_ON(c) WARN(c, "WARN_ON(%s)", #c)
/* Told every time, as WARN_ON: runs of one test must not depend on those before. */
#define WARN_ON_ONCE(c) WARN(c, "WARN_ON_ONCE(%s)", #c)
#define WARN_ONCE(c, fmt...) WARN(c, fmt)
#define BUG() kd_bug(__FILE__, __LINE__, "BUG()")
#define BUG_ON(c) do { if (unlikely(c)) kd_bug(__FILE__, __LINE__, "BUG_ON(" #c ")"); } while (0)
#define VM_BUG_ON(c) BUG_ON(c)
#define VM_BUG_ON_PAGE(c, page) BUG_ON(c)
#define VM_WARN_ON(c) WARN_ON(c)
#define VM_WARN_ON_ONCE(c) WARN_ON(c)

#endif
