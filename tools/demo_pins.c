/* SPDX-License-Identifier: MIT */
/*
 * demo_pins.c - a device writes into pinned pages of a mapped file while commits run.
 *
 * The device thread pins pages of the window for writing and lets io_uring read blocks of another
 * file into them; several reads are in flight, so pins are held while others come and go.
 * Meanwhile one thread commits and one reads all over the file, which is larger than the machine's
 * memory.  At the end every page of the closed file must hold the block that was read into it
 * last.
 */
#include "demo.h"

#include <pinfold/pinfold.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <liburing.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define PAGE PINFOLD_PAGE_SIZE
#define FILE_PAGES 16384u  /* 64 MiB */
#define MEMORY (32u << 20) /* half of that: pages must be evicted all the time */
#define BLOCKS 4096u       /* of the device's file */
#define RUN 8u             /* pages a read, at most */
#define DEPTH 8u           /* reads in flight */
#define SECONDS 2.5

struct pins {
	struct pins_result *result;
	struct pinfold *machine;
	struct pinfold_file *file;
	struct mm_struct *mm;
	char *base;
	int device; /* the file that is read from */
	char path[PATH_SIZE], device_path[PATH_SIZE];
	_Atomic bool stop;
	_Atomic uint64_t sink;
	uint64_t seed, random; /* random: the device thread's */
	uint32_t last[FILE_PAGES];  /* 1 + the block that a page got last; 0: none */
	uint64_t sum[BLOCKS];       /* of each block */
	bool busy[FILE_PAGES / RUN];
};

struct flight {
	unsigned slot, nr; /* pages slot * RUN and after */
	uint32_t block;
	struct page *page[RUN];
	struct iovec iov[RUN];
};

/* The first failure is kept. */
static void fail(struct pins *p, long rc, const char *what)
{
	if (!p->result->failed[0])
		snprintf(p->result->failed, sizeof(p->result->failed), "%s: %s", what,
		         strerror((int)-rc));
	p->stop = true;
}

static uint64_t next_random(uint64_t *state)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return *state >> 33;
}

/* Order matters in it, so a block in the wrong place or half of one is seen. */
static uint64_t checksum(const void *data)
{
	const uint64_t *w = data;
	uint64_t h = 0xcbf29ce484222325u;

	for (unsigned i = 0; i < PAGE / sizeof(*w); i++)
		h = (h ^ w[i]) * 0x100000001b3u;
	return h;
}

/* Every block differs from every other one in each of its words. */
static int make_device(struct pins *p)
{
	uint64_t *block = aligned_alloc(PAGE, PAGE);
	int fd = open(p->device_path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), rc = 0;

	if (!block || fd < 0)
		rc = -ENOMEM;
	for (uint64_t b = 0; rc == 0 && b < BLOCKS; b++) {
		for (uint64_t i = 0; i < PAGE / 8; i++)
			block[i] = (b * 512 + i + 1) * 0x9e3779b97f4a7c15u;
		p->sum[b] = checksum(block);
		if (pwrite(fd, block, PAGE, (off_t)(b * PAGE)) != (ssize_t)PAGE)
			rc = -EIO;
	}
	if (rc == 0 && fdatasync(fd) < 0)
		rc = -errno;
	free(block);
	if (fd >= 0)
		close(fd);
	if (rc < 0)
		return rc;
	p->device = open(p->device_path, O_RDONLY | O_DIRECT | O_CLOEXEC);
	p->result->direct = p->device >= 0;
	if (p->device < 0)
		p->device = open(p->device_path, O_RDONLY | O_CLOEXEC);
	return p->device < 0 ? -errno : 0;
}

static int open_all(struct pins *p)
{
	struct pinfold_options opts = { .size = sizeof(opts), .memory = MEMORY };
	struct pinfold_file_options fopts = { .size = sizeof(fopts),
		                              .flags = PINFOLD_FILE_DIRECT | PINFOLD_FILE_CREATE };
	long addr;
	int rc = pinfold_create(&opts, &p->machine);

	if (rc == 0)
		rc = pinfold_open(p->machine, p->path, &fopts, &p->file);
	if (rc == 0)
		rc = vfs_truncate(p->file, FILE_PAGES * PAGE);
	if (rc == 0)
		rc = demo_window(p->machine, &p->mm);
	if (rc < 0)
		return rc;
	addr = vm_mmap(p->mm, 0, FILE_PAGES * PAGE, PINFOLD_PROT_READ | PINFOLD_PROT_WRITE,
	               PINFOLD_MAP_SHARED, p->file, 0);
	if (addr < 0)
		return (int)addr;
	p->base = (char *)addr;
	return 0;
}

static void *commit_all(void *arg)
{
	struct pins *p = arg;

	while (!p->stop) {
		struct pinfold_report report = { .size = sizeof(report) };
		int rc = pinfold_commit(p->file, 0, 0, &report);

		if (rc < 0)
			fail(p, rc, "pinfold_commit");
		p->result->commits++;
		p->result->commit_pages += report.pages;
		p->result->commit_pinned += report.pinned;
		sleep_ms(2);
	}
	return NULL;
}

/* Plain loads all over the file: eviction has work, and meets pinned pages. */
static void *read_around(void *arg)
{
	struct pins *p = arg;
	uint64_t random = p->seed ^ 1, sum = 0;

	while (!p->stop)
		sum += *(volatile char *)(p->base + next_random(&random) % FILE_PAGES * PAGE);
	p->sink += sum;
	return NULL;
}

/* Pins a free run of pages and queues the read.  0 or -errno. */
static int launch(struct pins *p, struct io_uring *ring, struct flight *f)
{
	struct io_uring_sqe *sqe;
	unsigned slot;
	int n;

	do
		slot = (unsigned)(next_random(&p->random) % (FILE_PAGES / RUN));
	while (p->busy[slot]);
	f->slot = slot;
	f->nr = 1 + (unsigned)(next_random(&p->random) % RUN);
	f->block = (uint32_t)(next_random(&p->random) % (BLOCKS - RUN));
	n = get_user_pages_fast((unsigned long)(p->base + (uint64_t)slot * RUN * PAGE), (int)f->nr,
	                        FOLL_WRITE, f->page);
	if (n <= 0)
		return n < 0 ? n : -EFAULT;
	f->nr = (unsigned)n;
	for (unsigned i = 0; i < f->nr; i++)
		f->iov[i] = (struct iovec){ page_address(f->page[i]), PAGE };
	p->busy[slot] = true;
	sqe = io_uring_get_sqe(ring); /* there are twice as many as reads in flight */
	io_uring_prep_readv(sqe, p->device, f->iov, f->nr, (uint64_t)f->block * PAGE);
	io_uring_sqe_set_data(sqe, f);
	return 0;
}

/* The device is done: look at what it wrote, give the pins back. */
static int land(struct pins *p, struct flight *f, int res)
{
	int rc;

	if (res != (int)(f->nr * PAGE))
		return res < 0 ? res : -EIO;
	for (unsigned i = 0; i < f->nr; i++)
		p->last[f->slot * RUN + i] = f->block + i + 1;
	rc = put_user_pages_dirty_lock(f->page, f->nr);
	p->busy[f->slot] = false;
	p->result->reads++;
	p->result->pages += f->nr;
	return rc;
}

/* Puts back what a failure left pinned, so that the machine can be closed. */
static void device_loop(struct pins *p, struct io_uring *ring, struct flight *flights)
{
	unsigned out = 0;
	int rc = 0;

	while (out < DEPTH && rc == 0) {
		rc = launch(p, ring, &flights[out]);
		out += rc == 0;
	}
	while (out) {
		struct io_uring_cqe *cqe;
		struct flight *f;
		int res;

		if (io_uring_submit_and_wait(ring, 1) < 0 || io_uring_wait_cqe(ring, &cqe) < 0) {
			rc = -EIO;
			break;
		}
		f = io_uring_cqe_get_data(cqe);
		res = land(p, f, cqe->res);
		io_uring_cqe_seen(ring, cqe);
		out--;
		if (rc == 0)
			rc = res;
		if (rc == 0 && !p->stop) {
			rc = launch(p, ring, f);
			out += rc == 0;
		}
	}
	if (rc < 0)
		fail(p, rc, "io_uring read into pinned pages");
}

static void *device(void *arg)
{
	struct pins *p = arg;
	struct flight *flights = calloc(DEPTH, sizeof(*flights));
	struct io_uring ring;
	int rc;

	pinfold_use_mm(p->mm);
	rc = flights ? io_uring_queue_init(2 * DEPTH, &ring, 0) : -ENOMEM;

	if (rc < 0) {
		fail(p, rc, "io_uring");
	} else {
		device_loop(p, &ring, flights);
		io_uring_queue_exit(&ring);
	}
	pinfold_use_mm(NULL);
	free(flights);
	return NULL;
}

static void run_threads(struct pins *p)
{
	void *(*const work[])(void *) = { device, commit_all, read_around };
	pthread_t thread[3];
	uint64_t start = now_ns();
	unsigned n = 0;

	for (; n < 3; n++) {
		int rc = pthread_create(&thread[n], NULL, work[n], p);

		if (rc) {
			fail(p, -rc, "pthread_create");
			break;
		}
	}
	while (!p->stop && (double)(now_ns() - start) / 1e9 < SECONDS)
		sleep_ms(20);
	p->stop = true;
	while (n)
		pthread_join(thread[--n], NULL);
	p->result->seconds = (double)(now_ns() - start) / 1e9;
}

/* Commits what is left, closes everything, keeps the machine's counts. */
static void close_all(struct pins *p)
{
	struct pinfold_stats st = { .size = sizeof(st) };
	int rc = p->base ? pinfold_commit(p->file, 0, 0, NULL) : 0;

	if (rc < 0)
		fail(p, rc, "the last commit");
	if (p->machine && pinfold_get_stats(p->machine, &st) == 0) {
		p->result->taken = st.pins_acquired;
		p->result->released = st.pins_released;
		p->result->evicted = st.evicted;
		p->result->skipped = st.evict_skipped_pinned;
	}
	rc = p->mm ? pinfold_mm_destroy(p->mm) : 0;
	if (rc < 0)
		fail(p, rc, "pinfold_mm_destroy");
	rc = p->file ? pinfold_close(p->file) : 0;
	if (rc < 0)
		fail(p, rc, "pinfold_close");
	rc = p->machine ? pinfold_destroy(p->machine) : 0;
	if (rc < 0)
		fail(p, rc, "pinfold_destroy");
}

/* The file, read as any program would, against the blocks that went into it last. */
static void verify(struct pins *p)
{
	static _Alignas(4096) char buf[PAGE], zero[PAGE];
	uint64_t zeroes = checksum(zero);
	int fd = open(p->path, O_RDONLY | O_CLOEXEC);

	if (fd < 0) {
		fail(p, -errno, "reading back");
		return;
	}
	for (uint64_t i = 0; i < FILE_PAGES; i++) {
		uint64_t want = p->last[i] ? p->sum[p->last[i] - 1] : zeroes;

		if (pread(fd, buf, PAGE, (off_t)(i * PAGE)) != (ssize_t)PAGE) {
			fail(p, -EIO, "reading back");
			break;
		}
		p->result->checked += p->last[i] != 0;
		p->result->wrong += checksum(buf) != want;
	}
	close(fd);
}

static int pins_child(void *arg)
{
	struct pins *p = arg;
	int rc = make_device(p);

	if (rc < 0) {
		fail(p, rc, "the device's file");
		return 1;
	}
	rc = open_all(p);
	if (rc < 0)
		fail(p, rc, "opening");
	else
		run_threads(p);
	close_all(p);
	if (rc == 0)
		verify(p);
	return p->result->failed[0] != 0;
}

void demo_pins(const struct demo_options *o, struct pins_result *r)
{
	struct pinfold_probe probe = { .size = sizeof(probe) };
	struct pins *p;
	int status;

	/* pinfold does without; this application of it does not */
	if (pinfold_get_probe(&probe) == 0 && probe.uring) {
		r->missing = "io_uring is refused";
		return;
	}
	p = calloc(1, sizeof(*p));
	if (!p) {
		snprintf(r->failed, sizeof(r->failed), "no memory");
		return;
	}
	p->result = r;
	p->seed = p->random = o->seed;
	room_path(p->path, "pins.dat");
	room_path(p->device_path, "pins.device");
	status = child_run(pins_child, p);
	if (status && !r->failed[0]) {
		char text[100];

		child_status_text(text, sizeof(text), status);
		snprintf(r->failed, sizeof(r->failed), "its process: %s", text);
	}
	unlink(p->path);
	unlink(p->device_path);
	free(p);
}

void demo_pins_print(const struct pins_result *r)
{
	if (r->missing) {
		printf("Pins: io_uring reads into pages pinned with FOLL_WRITE\n\n"
		       "  skipped: pins: %s\n",
		       r->missing);
		return;
	}
	printf("Pins: io_uring reads %s into pages pinned with FOLL_WRITE, while commits and "
	       "eviction run; %.1f s\n\n",
	       r->direct ? "past the page cache (O_DIRECT)" : "through the page cache", r->seconds);
	if (r->failed[0])
		printf("  failed: %s\n", r->failed);
	printf("  device reads            %" PRIu64 ", of %" PRIu64 " pages\n", r->reads, r->pages);
	printf("  commits meanwhile       %" PRIu64 ", of %" PRIu64 " pages, %" PRIu64
	       " of them under a write pin\n",
	       r->commits, r->commit_pages, r->commit_pinned);
	printf("  device writes lost      %" PRIu64 " (checksums of %" PRIu64
	       " pages in the closed file)\n",
	       r->wrong, r->checked);
	printf("  pins taken, released    %" PRIu64 ", %" PRIu64 "; leaked %" PRId64 "\n", r->taken,
	       r->released, (int64_t)(r->taken - r->released));
	printf("  eviction                %" PRIu64 " pages; met and skipped a pinned one %" PRIu64
	       " times\n",
	       r->evicted, r->skipped);
}
