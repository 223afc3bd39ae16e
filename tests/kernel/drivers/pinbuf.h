/* SPDX-License-Identifier: MIT */
/* pinbuf.h - the ioctls of pinbuf.c: ways to take user pages, and buffers that stay. */
#ifndef PINBUF_H
#define PINBUF_H

#include <linux/ioctl.h>
#include <linux/types.h>

enum pinbuf_mode { PINBUF_GET, PINBUF_GET_FAST, PINBUF_PIN, PINBUF_PIN_FAST, PINBUF_LONGTERM };

/* Takes the range, adds up its bytes, lets go. */
struct pinbuf_sum {
	__u64 addr, size;
	__u32 mode, batch; /* pages a call */
	__u64 sum;         /* out */
	__u64 pages;       /* out: taken */
	__u64 nsec;        /* out */
};

/* A buffer that stays until it is taken away, or the file is closed. */
struct pinbuf_add {
	__u64 addr, size;
	__u32 id; /* out */
	__u32 pad;
};

/* The device fills the buffer with `byte`, later; waits until it has. */
struct pinbuf_fill {
	__u32 id;
	__u32 byte;
};

#define PINBUF_SUM _IOWR('p', 1, struct pinbuf_sum)
#define PINBUF_ADD _IOWR('p', 2, struct pinbuf_add)
#define PINBUF_DEL _IOW('p', 3, __u32)
#define PINBUF_FILL _IOW('p', 4, struct pinbuf_fill)

#endif
