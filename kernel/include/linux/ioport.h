/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md).  Ranges that a test gives a device. */
#ifndef KD_LINUX_IOPORT_H
#define KD_LINUX_IOPORT_H

#include <linux/types.h>

struct resource {
	resource_size_t start, end; /* both are in it */
	const char *name;
	unsigned long flags;
};
#define IORESOURCE_IO 0x100ul
#define IORESOURCE_MEM 0x200ul
#define IORESOURCE_IRQ 0x400ul

static inline resource_size_t resource_size(const struct resource *r)
{
	return r->end - r->start + 1;
}

#endif
