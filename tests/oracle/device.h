/* SPDX-License-Identifier: MIT */
/*
 * device.h - the kernel's device: io_uring with a registered buffer, which is a long-term write pin, and a scratch file
 * that it reads from and writes to.
 */
#ifndef PINFOLD_ORACLE_DEVICE_H
#define PINFOLD_ORACLE_DEVICE_H

#include "../api/world.h"

#include <liburing.h>

struct device {
	struct io_uring ring;
	unsigned long at;
	int scratch;
};

/* Pins [a, a + len).  0 or -errno. */
HELPER long device_pin(struct device *d, unsigned long a, size_t len)
{
	struct iovec v = { (void *)a, len };
	int r = io_uring_queue_init(4, &d->ring, 0);

	if (r)
		return r;
	d->at = a;
	d->scratch = memfd_create("scratch", MFD_CLOEXEC);
	r = io_uring_register_buffers(&d->ring, &v, 1);
	if (r) {
		io_uring_queue_exit(&d->ring);
		close(d->scratch);
	}
	return r;
}

/* Moves bytes [off, off + len) of the buffer to or from the same place of the scratch file.  0 or -errno. */
HELPER int device_io(struct device *d, bool to_memory, size_t off, size_t len)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&d->ring);
	struct io_uring_cqe *cqe;
	int r;

	if (to_memory)
		io_uring_prep_read_fixed(sqe, d->scratch, (void *)(d->at + off), (unsigned)len, off, 0);
	else
		io_uring_prep_write_fixed(sqe, d->scratch, (void *)(d->at + off), (unsigned)len, off, 0);
	io_uring_submit(&d->ring);
	if (io_uring_wait_cqe(&d->ring, &cqe))
		return -EIO;
	r = cqe->res;
	io_uring_cqe_seen(&d->ring, cqe);
	return r == (int)len ? 0 : r < 0 ? r : -EIO;
}

/* Gives the pin back; queue_exit() alone does so some time later. */
HELPER long device_unpin(struct device *d)
{
	int r = io_uring_unregister_buffers(&d->ring);

	io_uring_queue_exit(&d->ring);
	close(d->scratch);
	return r;
}

#endif
