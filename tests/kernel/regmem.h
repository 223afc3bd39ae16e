/* SPDX-License-Identifier: MIT */
/* regmem.h - what the tests of drivers/regmem.c call: its ioctls, and all of them in one run. */
#ifndef TESTS_KERNEL_REGMEM_H
#define TESTS_KERNEL_REGMEM_H

#include "kernel.h"

#include "drivers/regmem.h"

HELPER long reg(struct file *f, const void *at, size_t len, int writable, struct regmem_reg *r)
{
	*r = (struct regmem_reg){ .addr = (uintptr_t)at, .length = len, .writable = (unsigned)writable };
	return kd_ioctl(f, REGMEM_REG, r, sizeof(*r));
}

HELPER long unreg(struct file *f, unsigned handle)
{
	return kd_ioctl(f, REGMEM_UNREG, &handle, sizeof(handle));
}

/* The device's data goes through user memory `via`. */
HELPER long device(struct file *f, unsigned cmd, unsigned handle, size_t offset, size_t len, void *via)
{
	struct regmem_copy c = { .handle = handle, .offset = offset, .length = len, .buffer = (uintptr_t)via };

	return kd_ioctl(f, cmd, &c, sizeof(c));
}

HELPER int everything(void *arg)
{
	unsigned char *p = kd_mmap(1400 * PG, RW, MAP_PRIVATE), *via = kd_mmap(PG, RW, MAP_PRIVATE);
	struct regmem_reg a, b;
	struct file *f;
	long r;
	int err = kd_init();

	(void)arg;
	if (err)
		return err;
	f = kd_open("regmem", 0, &err);
	if (!f)
		goto exit;
	/* More than one call's pages; and in two steps one that is closed with the file. */
	r = reg(f, p, 600 * PG, 1, &a);
	if (!r)
		r = reg(f, p + PG, 3 * PG, 0, &b);
	if (!r)
		r = device(f, REGMEM_READ, b.handle, 1, 100, via);
	if (!r)
		r = device(f, REGMEM_WRITE, a.handle, PG, 100, via);
	if (!r)
		r = unreg(f, a.handle);
	kd_close(f);
	err = (int)r;
exit:
	kd_exit();
	return err;
}

#endif
