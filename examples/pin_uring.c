/* SPDX-License-Identifier: MIT */
/*
 * pin_uring.c - lets io_uring read the head of a file straight into pages of a mapped file.
 *
 *   pin_uring FROM TO        (TO is created, or its first pages are overwritten)
 *
 * The pages are pinned for as long as the device may write: they stay where they are, are not
 * evicted, and a commit meanwhile knows about them.  A window pointer given to the system call
 * instead would be EFAULT for pages that are not there yet.
 */
#include <pinfold/pinfold.h>

#include <fcntl.h>
#include <liburing.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define NR 16
#define LEN (NR * PINFOLD_PAGE_SIZE)

struct app {
	struct pinfold *machine;
	struct pinfold_file *file;
	struct mm_struct *mm;
	unsigned long addr;
};

static int app_open(struct app *a, const char *path)
{
	struct pinfold_options opts = { .size = sizeof(opts), .memory = 64 << 20 };
	struct pinfold_file_options fopts = { .size = sizeof(fopts),
		                              .flags = PINFOLD_FILE_DIRECT | PINFOLD_FILE_CREATE };
	long rc = pinfold_create(&opts, &a->machine);

	if (rc == 0)
		rc = pinfold_open(a->machine, path, &fopts, &a->file);
	if (rc == 0 && pinfold_size(a->file) < (int64_t)LEN)
		rc = vfs_truncate(a->file, LEN);
	if (rc == 0)
		rc = pinfold_mm_create(a->machine, PINFOLD_WINDOW_DIRECT, &a->mm);
	if (rc == 0)
		rc = vm_mmap(a->mm, 0, LEN, PINFOLD_PROT_READ | PINFOLD_PROT_WRITE,
		             PINFOLD_MAP_SHARED, a->file, 0);
	a->addr = rc < 0 ? 0 : (unsigned long)rc;
	return rc < 0 ? (int)rc : 0;
}

/* One read into n pinned pages.  Bytes read or -errno. */
static int device_read(int fd, struct page **pages, int n)
{
	struct iovec iov[NR];
	struct io_uring ring;
	struct io_uring_cqe *cqe;
	int rc = io_uring_queue_init(1, &ring, 0);

	if (rc < 0)
		return rc;
	for (int i = 0; i < n; i++)
		iov[i] = (struct iovec){ page_address(pages[i]), PINFOLD_PAGE_SIZE };
	io_uring_prep_readv(io_uring_get_sqe(&ring), fd, iov, (unsigned)n, 0);
	rc = io_uring_submit_and_wait(&ring, 1);
	if (rc >= 0)
		rc = io_uring_wait_cqe(&ring, &cqe);
	if (rc >= 0)
		rc = cqe->res;
	io_uring_queue_exit(&ring);
	return rc;
}

/* Pin, read, put, commit.  Bytes read or -errno. */
static int copy_in(struct app *a, int fd)
{
	struct page *pages[NR];
	int n, got, rc;

	pinfold_use_mm(a->mm); /* the calls below act on this thread's mm */
	n = get_user_pages_fast(a->addr, NR, FOLL_WRITE, pages);
	if (n < 0)
		return n;
	got = device_read(fd, pages, n);
	rc = put_user_pages_dirty_lock(pages, (unsigned long)n);
	pinfold_use_mm(NULL);
	if (got < 0 || rc < 0)
		return got < 0 ? got : rc;
	rc = pinfold_commit(a->file, 0, LEN, NULL);
	return rc < 0 ? rc : got;
}

int main(int argc, char **argv)
{
	struct app a = { 0 };
	int fd, rc;

	if (argc != 3) {
		fprintf(stderr, "usage: pin_uring FROM TO\n");
		return 2;
	}
	fd = open(argv[1], O_RDONLY);
	if (fd < 0) {
		perror(argv[1]);
		return 1;
	}
	rc = app_open(&a, argv[2]);
	if (rc == 0)
		rc = copy_in(&a, fd);
	if (rc < 0)
		fprintf(stderr, "pin_uring: %s\n", strerror(-rc));
	else
		printf("%d bytes by io_uring into pinned pages, committed\n", rc);
	if (a.mm)
		pinfold_mm_destroy(a.mm);
	if (a.file)
		pinfold_close(a.file);
	if (a.machine && pinfold_destroy(a.machine) < 0)
		return 1;
	close(fd);
	return rc < 0;
}
