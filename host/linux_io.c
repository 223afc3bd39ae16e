/* SPDX-License-Identifier: MIT */
/*
 * linux_io.c - the end of a request: what the kernel left undone is done here, by the calling
 * thread; then the request's owner is told.  For linux_uring.c, which moves requests.
 */
#include <errno.h>
#include <limits.h>

#include "host/file.h"
#include "host/linux.h"

#define PART 32 /* iovec entries a call; bounds the stack */

/* The last touch of io but for the wake, which uses its address only. */
static void io_end(struct host_io *io, int64_t res)
{
	bool detached = io->detached;

	io->res = res;
	if (io->done)
		io->done(io);
	if (detached) /* done() may have freed it */
		return;
	/* release: res and what done() did; pairs with the acquire of who waits for state */
	atomic_store_explicit(&io->state, 1, memory_order_release);
	host_wake(&io->state, INT_MAX);
}

static bool worth_another_try(int64_t res)
{
	/* the submitting thread ended, no memory, or no direct I/O after all */
	return res == -EINTR || res == -EAGAIN || res == -ECANCELED || res == -ENOMEM ||
	       res == -EINVAL || res == -EOPNOTSUPP;
}

/* Does what is left behind the first `done` bytes; result of the whole. */
static int64_t io_rest(struct host_io *io, uint64_t done)
{
	struct iov_walk w = { io->iov, io->nr, 0 };
	struct iovec part[PART];
	int n;

	iov_advance(&w, done);
	while ((n = iov_rest(&w, part, PART)) > 0) {
		int64_t want = 0, r;

		for (int i = 0; i < n; i++)
			want += (int64_t)part[i].iov_len;
		r = io->write ? host_file_writev(io->file, part, n, io->off + done)
		              : host_file_readv(io->file, part, n, io->off + done);
		if (r < 0)
			return r;
		done += (uint64_t)r;
		if (r < want)
			break;
		iov_advance(&w, (size_t)r);
	}
	return (int64_t)done;
}

void host_io_complete(struct host_io *io, int64_t res)
{
	if (worth_another_try(res))
		res = io_rest(io, 0);
	else if (res >= 0 && (uint64_t)res < io->len)
		res = io_rest(io, (uint64_t)res);
	io_end(io, res);
}

void host_io_now(struct host_io *io)
{
	int64_t res = io->write ? host_file_writev(io->file, io->iov, io->nr, io->off)
	                        : host_file_readv(io->file, io->iov, io->nr, io->off);

	io_end(io, res);
}
