/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md).  Iterators over user memory, one range or several; pages of it come from the pin calls. */
#ifndef KD_LINUX_UIO_H
#define KD_LINUX_UIO_H

#include <sys/uio.h>

#include <linux/uaccess.h>

#define ITER_DEST 0
#define ITER_SOURCE 1
#ifndef READ
#define READ 0
#define WRITE 1
#endif

struct iov_iter {
	bool data_source;
	size_t iov_offset, count;
	const struct iovec *__iov;
	unsigned long nr_segs;
	struct iovec kd_one; /* import_ubuf() */
};

void iov_iter_init(struct iov_iter *i, unsigned int direction, const struct iovec *iov, unsigned long n, size_t count)
	KD_SYM(iov_iter_init);
/* 0, -EFAULT. */
int import_ubuf(int rw, void __user *buf, size_t len, struct iov_iter *i) KD_SYM(import_ubuf);
void iov_iter_advance(struct iov_iter *i, size_t n) KD_SYM(iov_iter_advance);
/* Bytes copied. */
size_t copy_from_iter(void *to, size_t n, struct iov_iter *i) KD_SYM(copy_from_iter);
size_t copy_to_iter(const void *from, size_t n, struct iov_iter *i) KD_SYM(copy_to_iter);
#define iov_iter_count(i) ((i)->count)
#define iov_iter_rw(i) ((i)->data_source ? WRITE : READ)
#define iov_iter_is_bvec(i) ((void)(i), false)
#define user_backed_iter(i) ((void)(i), true)

/*
 * The next piece, of one range: how many bytes, -errno.  *pages: room for max_pages, or NULL and it is allocated.  Advances.
 * Pins for user memory, so released with unpin_user_page().
 */
ssize_t iov_iter_extract_pages(struct iov_iter *i, struct page ***pages, size_t max, unsigned int max_pages,
                               unsigned int flags, size_t *offset) KD_SYM(iov_iter_extract_pages);
#define iov_iter_extract_will_pin(i) user_backed_iter(i)

#endif
