/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md).  Time is real, a tick is a millisecond. */
#ifndef KD_LINUX_KTIME_H
#define KD_LINUX_KTIME_H

#include <linux/kernel.h>

#define HZ 1000
#define NSEC_PER_SEC 1000000000l
#define NSEC_PER_MSEC 1000000l
#define NSEC_PER_USEC 1000l
#define USEC_PER_SEC 1000000l
#define USEC_PER_MSEC 1000l
#define MSEC_PER_SEC 1000l

typedef s64 ktime_t;
typedef s64 time64_t;
ktime_t ktime_get(void) KD_SYM(ktime_get);
#define ktime_get_ns() ((u64)ktime_get())
#define ktime_get_boottime ktime_get
#define ktime_get_raw ktime_get
#define ktime_get_real_seconds() (ktime_get() / NSEC_PER_SEC)
#define ktime_sub(a, b) ((a) - (b))
#define ktime_add(a, b) ((a) + (b))
#define ktime_add_ns(a, n) ((a) + (s64)(n))
#define ktime_add_us(a, n) ((a) + (s64)(n) * 1000)
#define ktime_add_ms(a, n) ((a) + (s64)(n) * 1000000)
#define ktime_to_ns(t) (t)
#define ktime_to_us(t) ((t) / 1000)
#define ktime_to_ms(t) ((t) / 1000000)
#define ktime_us_delta(a, b) (((a) - (b)) / 1000)
#define ktime_ms_delta(a, b) (((a) - (b)) / 1000000)
#define ktime_before(a, b) ((a) < (b))
#define ktime_after(a, b) ((a) > (b))

#define jiffies ((unsigned long)(ktime_get() / NSEC_PER_MSEC))
#define get_jiffies_64() ((u64)jiffies)
#define msecs_to_jiffies(ms) ((unsigned long)(ms))
#define usecs_to_jiffies(us) (((unsigned long)(us) + 999) / 1000)
#define jiffies_to_msecs(t) ((unsigned int)(t))
#define jiffies_to_usecs(t) ((unsigned int)(t) * 1000)
#define time_after(a, b) ((long)((b) - (a)) < 0)
#define time_before(a, b) time_after(b, a)
#define time_after_eq(a, b) ((long)((a) - (b)) >= 0)
#define time_before_eq(a, b) time_after_eq(b, a)
#define MAX_JIFFY_OFFSET (LONG_MAX / 2)

/* A sleep runs queued work, and lasts a moment whatever was asked. */
void kd_sleep(const char *call);
#define msleep(ms) ((void)(ms), kd_sleep("msleep"))
#define msleep_interruptible(ms) ((void)(ms), kd_sleep("msleep_interruptible"), 0ul)
#define ssleep(s) ((void)(s), kd_sleep("ssleep"))
#define usleep_range(a, b) ((void)(a), (void)(b), kd_sleep("usleep_range"))
#define fsleep(us) ((void)(us), kd_sleep("fsleep"))
#define udelay(us) (void)(us)
#define ndelay(ns) (void)(ns)
#define mdelay(ms) (void)(ms)

#endif
