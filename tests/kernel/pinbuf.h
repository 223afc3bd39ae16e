/* SPDX-License-Identifier: MIT */
/* pinbuf.h - what the tests of drivers/pinbuf.c call: its ioctls, and all of them in one run. */
#ifndef TESTS_KERNEL_PINBUF_H
#define TESTS_KERNEL_PINBUF_H

#include "kernel.h"

#include "drivers/pinbuf.h"

HELPER long sum(struct file *f, const void *at, size_t pages, enum pinbuf_mode mode, unsigned batch, struct pinbuf_sum *s)
{
	*s = (struct pinbuf_sum){ .addr = (uintptr_t)at, .size = pages * PG, .mode = mode, .batch = batch };
	return kd_ioctl(f, PINBUF_SUM, s, sizeof(*s));
}

HELPER long add(struct file *f, const void *at, size_t pages, unsigned *id)
{
	struct pinbuf_add a = { .addr = (uintptr_t)at, .size = pages * PG };
	long r = kd_ioctl(f, PINBUF_ADD, &a, sizeof(a));

	*id = a.id;
	return r;
}

HELPER long fill(struct file *f, unsigned id, int byte)
{
	struct pinbuf_fill a = { .id = id, .byte = (unsigned)byte };

	return kd_ioctl(f, PINBUF_FILL, &a, sizeof(a));
}

HELPER long del(struct file *f, unsigned id)
{
	return kd_ioctl(f, PINBUF_DEL, &id, sizeof(id));
}

HELPER int everything(void *arg)
{
	unsigned char *p = kd_mmap(8 * PG, RW, MAP_PRIVATE);
	struct pinbuf_sum s;
	struct file *f;
	unsigned id;
	long r = 0;
	int err = kd_init();

	(void)arg;
	if (err)
		return err;
	f = kd_open("pinbuf", 0, &err);
	if (!f)
		goto exit;
	for (unsigned mode = PINBUF_GET; mode <= PINBUF_LONGTERM && !r; mode++)
		r = sum(f, p, 8, mode, 4, &s);
	if (!r)
		r = add(f, p, 8, &id);
	if (!r)
		r = fill(f, id, 1);
	if (!r)
		r = add(f, p + PG, 2, &id);
	if (!r)
		r = del(f, id);
	kd_close(f);
	err = (int)r;
exit:
	kd_exit();
	return err;
}

#endif
