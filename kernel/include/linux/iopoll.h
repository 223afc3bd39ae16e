/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md).  Waiting for a register. */
#ifndef KD_LINUX_IOPOLL_H
#define KD_LINUX_IOPOLL_H

#include <linux/delay.h>
#include <linux/io.h>

#define read_poll_timeout(op, v, cond, sleep_us, timeout_us, before, args...) ({ \
	ktime_t kd_end = ktime_get() + (ktime_t)(timeout_us) * NSEC_PER_USEC; \
	while ((v) = op(args), !(cond)) { \
		if ((timeout_us) && ktime_get() > kd_end) \
			break; \
		usleep_range(sleep_us, sleep_us); \
	} \
	(cond) ? 0 : -ETIMEDOUT; \
})
#define readx_poll_timeout(op, addr, v, cond, sleep_us, timeout_us) \
	read_poll_timeout(op, v, cond, sleep_us, timeout_us, false, addr)
#define readl_poll_timeout(addr, v, cond, sleep_us, timeout_us) readx_poll_timeout(readl, addr, v, cond, sleep_us, timeout_us)
#define readq_poll_timeout(addr, v, cond, sleep_us, timeout_us) readx_poll_timeout(readq, addr, v, cond, sleep_us, timeout_us)

#endif
