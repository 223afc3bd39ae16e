/* SPDX-License-Identifier: MIT */
/* regmem.h - the ioctls of regmem.c: user memory registered with a device. */
#ifndef REGMEM_H
#define REGMEM_H

#include <linux/ioctl.h>
#include <linux/types.h>

struct regmem_reg {
	__u64 addr, length;
	__u32 writable;
	__u32 handle;  /* out */
	__u32 entries; /* out: pieces that the device sees */
	__u32 pad;
};

struct regmem_copy {
	__u32 handle, pad;
	__u64 offset, length;
	__u64 buffer; /* of user memory, for the device's data */
};

#define REGMEM_REG _IOWR('r', 1, struct regmem_reg)
#define REGMEM_UNREG _IOW('r', 2, __u32)
#define REGMEM_READ _IOWR('r', 3, struct regmem_copy)  /* the device's view into buffer */
#define REGMEM_WRITE _IOWR('r', 4, struct regmem_copy) /* buffer into the device's view */

#endif
