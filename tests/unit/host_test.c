/* SPDX-License-Identifier: MIT */
/*
 * host_test.c - the real host: locks, sleeping, memory, files, ring, windows, signals, injection.
 *
 * One cmocka program; TMPDIR (default /tmp) holds its files.  What the system refuses
 * (userfaultfd, io_uring) is skipped by name.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host/file.h"
#include <pinfold/pinfold.h>

#define PG HOST_PAGE
#define MS 1000000ULL
#define ROUNDS 20000

static char path[256];

static struct host_file *open_file(int flags)
{
	struct host_file *f = NULL;

	assert_int_equal(
		host_file_open(&host_system_disk, path, flags | HOST_OPEN_CREATE, 0600, &f), 0);
	return f;
}

static void remove_file(void)
{
	host_file_unlink(&host_system_disk, path);
}

static void nap_ms(unsigned ms)
{
	_Atomic uint32_t word = 0;
	uint64_t end = host_now() + ms * MS;

	while (host_now() < end)
		host_wait(&word, 0, end - host_now() + 1);
}

/* ---- locks ---------------------------------------------------------------------------------- */

static struct host_mutex mutex = HOST_MUTEX_INIT(HOST_RANK_MMAP);
static struct host_rwsem sem;
static long guarded, guarded_twin;
static _Atomic int stage;

static void *count_under_mutex(void *arg)
{
	for (int i = 0; i < ROUNDS; i++) {
		host_lock(&mutex);
		assert_true(host_held(&mutex));
		guarded++;
		host_unlock(&mutex);
	}
	return arg;
}

static void mutex_excludes(void **state)
{
	pthread_t t;

	(void)state;
	guarded = 0;
	pthread_create(&t, NULL, count_under_mutex, NULL);
	count_under_mutex(NULL);
	pthread_join(t, NULL);
	assert_int_equal(guarded, 2 * ROUNDS);
	assert_true(host_trylock(&mutex));
	assert_false(host_trylock(&mutex));
	host_unlock(&mutex);
	assert_int_equal(host_held(&mutex), !PINFOLD_DEBUG_BUILD);
}

static void *read_and_write(void *arg)
{
	for (int i = 0; i < ROUNDS; i++) {
		if (i % 4) {
			host_read_lock(&sem);
			assert_int_equal(guarded, guarded_twin);
			host_read_unlock(&sem);
		} else {
			host_write_lock(&sem);
			guarded++;
			guarded_twin++;
			host_write_unlock(&sem);
		}
	}
	return arg;
}

static void rwsem_excludes(void **state)
{
	pthread_t t[3];

	(void)state;
	host_rwsem_init(&sem, HOST_RANK_MMAP);
	guarded = guarded_twin = 0;
	for (int i = 0; i < 3; i++)
		pthread_create(&t[i], NULL, read_and_write, NULL);
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	assert_int_equal(guarded, 3 * (ROUNDS / 4));
	assert_int_equal(atomic_load(&sem.state), 0);
	assert_int_equal(atomic_load(&sem.writers), 0);
}

static void *write_once(void *arg)
{
	host_write_lock(&sem);
	atomic_store(&stage, 2);
	host_write_unlock(&sem);
	return arg;
}

static void *read_once(void *arg)
{
	host_read_lock(&sem);
	assert_int_equal(atomic_load(&stage), 2);
	host_read_unlock(&sem);
	return arg;
}

static void waiting_writer_holds_new_readers_off(void **state)
{
	pthread_t w, r;

	(void)state;
	host_rwsem_init(&sem, HOST_RANK_MMAP);
	atomic_store(&stage, 1);
	host_read_lock(&sem);
	pthread_create(&w, NULL, write_once, NULL);
	while (!atomic_load(&sem.writers))
		host_yield();
	assert_false(host_read_trylock(&sem));
	pthread_create(&r, NULL, read_once, NULL);
	nap_ms(20);
	assert_int_equal(atomic_load(&stage), 1);
	host_read_unlock(&sem);
	pthread_join(w, NULL);
	pthread_join(r, NULL);
}

static void *try_write_shortly(void *arg)
{
	*(bool *)arg = host_write_lock_until(&sem, host_now() + 20 * MS);
	return arg;
}

static void writer_gives_up_at_its_deadline(void **state)
{
	bool got = true;
	pthread_t w, r;

	(void)state;
	host_rwsem_init(&sem, HOST_RANK_MMAP);
	atomic_store(&stage, 2);
	host_read_lock(&sem);
	pthread_create(&w, NULL, try_write_shortly, &got);
	while (!atomic_load(&sem.writers))
		host_yield();
	/* held off by the writer, let in when it gives up although the lock was never free */
	pthread_create(&r, NULL, read_once, NULL);
	pthread_join(w, NULL);
	pthread_join(r, NULL);
	assert_false(got);
	host_read_unlock(&sem);
	assert_true(host_write_lock_until(&sem, host_now() + 20 * MS));
	host_write_unlock(&sem);
}

/* The exit status of fn run in a child with no output. */
static int in_child(void (*fn)(void))
{
	pid_t pid = fork();
	int status = 0;

	if (!pid) {
		int null = open("/dev/null", O_WRONLY);

		dup2(null, 2);
		signal(SIGABRT, SIG_DFL);
		fn();
		_exit(0);
	}
	waitpid(pid, &status, 0);
	return status;
}

static void take_against_the_order(void)
{
	struct host_mutex low = HOST_MUTEX_INIT(HOST_RANK_SECTION);

	host_lock(&mutex);
	host_lock(&low);
}

static void take_equal_leaves_downwards(void)
{
	struct host_mutex leaf[2];

	host_mutex_init(&leaf[0], HOST_RANK_LEAF);
	host_mutex_init(&leaf[1], HOST_RANK_LEAF);
	host_lock(&leaf[1]);
	host_lock(&leaf[0]);
}

static void take_equal_leaves_upwards(void)
{
	struct host_mutex leaf[2];

	host_mutex_init(&leaf[0], HOST_RANK_LEAF);
	host_mutex_init(&leaf[1], HOST_RANK_LEAF);
	host_lock(&leaf[0]);
	host_lock(&leaf[1]);
	host_unlock(&leaf[0]);
	host_unlock(&leaf[1]);
}

static void ranks_are_checked_in_debug_builds(void **state)
{
	(void)state;
	if (!PINFOLD_DEBUG_BUILD) {
		print_message("skipped: needs the debug build\n");
		skip();
	}
	assert_true(WIFSIGNALED(in_child(take_against_the_order)));
	assert_true(WIFSIGNALED(in_child(take_equal_leaves_downwards)));
	assert_int_equal(in_child(take_equal_leaves_upwards), 0);
}

/* ---- time, threads, memory ------------------------------------------------------------------ */

static _Atomic uint32_t word;
static int ended;

static void *set_word(void *arg)
{
	nap_ms(5);
	atomic_store(&word, 1);
	host_wake(&word, 1);
	return arg;
}

static void wait_ends_by_time_and_by_wake(void **state)
{
	uint64_t t = host_now();
	pthread_t th;

	(void)state;
	errno = 77;
	atomic_store(&word, 0);
	host_wait(&word, 1, 0);
	while (host_now() < t + 10 * MS)
		host_wait(&word, 0, 10 * MS);
	assert_true(host_now() - t < 5000 * MS);
	pthread_create(&th, NULL, set_word, NULL);
	while (!atomic_load(&word))
		host_wait(&word, 0, 0);
	pthread_join(th, NULL);
	assert_int_equal(errno, 77);
}

static void note_end(void *arg)
{
	++*(int *)arg;
}

static void *register_end(void *arg)
{
	int other = 0;

	assert_int_equal(host_at_thread_exit(note_end, arg), 0);
	assert_int_equal(host_at_thread_exit(note_end, &other), 0);
	assert_true(host_tid() > 0 && host_tid() == host_tid());
	return arg;
}

static int forked;

static void note_fork(void)
{
	forked++;
}

static void check_fork(void)
{
	_exit(forked == 1 && host_tid() == getpid() ? 0 : 1);
}

static void ends_of_threads_and_forks_are_told(void **state)
{
	uint8_t id[16], zero[16] = { 0 };
	pthread_t t;

	(void)state;
	ended = 0;
	pthread_create(&t, NULL, register_end, &ended);
	pthread_join(t, NULL);
	assert_int_equal(ended, 1);
	assert_int_equal(host_at_fork_child(note_fork), 0);
	assert_int_equal(host_at_fork_child(note_fork), 0);
	assert_int_equal(in_child(check_fork), 0);
	assert_int_equal(forked, 0);
	host_boot_id(id);
	assert_memory_not_equal(id, zero, 16);
	assert_true(host_random() != host_random());
}

static void memory_file_is_allocated_and_punched(void **state)
{
	int fd = host_memfd("host-test", 64 * PG);
	unsigned char *p;
	void *m;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(host_memfd_alloc(fd, 8 * PG, 8 * PG), 0);
	p = host_memfd_map(fd, 64 * PG);
	assert_non_null(p);
	p[8 * PG] = 1;
	p[9 * PG] = 2;
	assert_int_equal(host_memfd_punch(fd, 8 * PG, PG), 0);
	assert_int_equal(p[8 * PG], 0);
	assert_int_equal(p[9 * PG], 2);
	assert_int_equal(host_memfd_alloc(-1, 0, PG), -EBADF);
	host_collapse(p, 64 * PG);
	host_unmap(p, 64 * PG);
	host_close(fd);
	m = host_map(3 * PG);
	assert_non_null(m);
	assert_int_equal(((unsigned char *)m)[2 * PG], 0);
	host_unmap(m, 3 * PG);
}

/* ---- files ---------------------------------------------------------------------------------- */

static unsigned char *pages(int n, int fill)
{
	unsigned char *p = host_map((size_t)n * PG);

	assert_non_null(p);
	memset(p, fill, (size_t)n * PG);
	return p;
}

static void read_back(int flags)
{
	struct host_file *f = open_file(flags);
	unsigned char *a = pages(8, 'a'), *b = pages(8, 0);
	struct iovec wr[2] = { { a, PG }, { a + 4 * PG, 2 * PG } };
	struct iovec odd[2] = { { b + 1, 100 }, { b + 2 * PG + 3, 4000 } };
	struct iovec all = { b, 8 * PG };

	assert_int_equal(host_file_writev(f, wr, 2, 2 * PG), 3 * PG);
	assert_int_equal(host_file_size(f), 5 * PG);
	/* hole, then data, then the end */
	assert_int_equal(host_file_readv(f, &all, 1, 0), 5 * PG);
	assert_int_equal(b[0] + b[2 * PG - 1], 0);
	assert_memory_equal(b + 2 * PG, a, 3 * PG);
	assert_int_equal(host_file_writev(f, &(struct iovec){ "xyz", 3 }, 1, 5 * PG - 1), 3);
	assert_int_equal(host_file_size(f), 5 * PG + 2);
	assert_int_equal(host_file_readv(f, odd, 2, 5 * PG - 51), 53);
	assert_int_equal(b[1 + 49], 'a');
	assert_memory_equal(b + 1 + 50, "xyz", 3);
	/* aligned, ending in the middle of a page */
	assert_int_equal(host_file_readv(f, &all, 1, 4 * PG), PG + 2);
	assert_memory_equal(b + PG - 1, "xyz", 3);
	assert_int_equal(host_file_readv(f, &all, 1, 64 * PG), 0);
	assert_int_equal(host_file_alloc(f, 8 * PG, PG), 0);
	assert_int_equal(host_file_size(f), 9 * PG);
	assert_int_equal(host_file_truncate(f, PG), 0);
	assert_int_equal(host_file_flush(f), 0);
	assert_int_equal(host_file_flush_dir(&host_system_disk, path), 0);
	assert_int_equal(host_file_readv(f, &all, 1, 0), PG);
	host_file_close(f);
	remove_file();
	host_unmap(a, 8 * PG);
	host_unmap(b, 8 * PG);
}

static void file_reads_what_was_written(void **state)
{
	(void)state;
	read_back(0);
	read_back(HOST_OPEN_NO_ODIRECT);
}

static void only_regular_files_are_opened(void **state)
{
	struct host_file *f;

	(void)state;
	assert_int_equal(host_file_open(&host_system_disk, path, 0, 0, &f), -ENOENT);
	assert_int_equal(host_file_open(&host_system_disk, "/", 0, 0, &f), -EACCES);
	assert_int_equal(host_file_open(&host_system_disk, "/", HOST_OPEN_RDONLY, 0, &f), -EACCES);
	assert_int_equal(host_file_open(&host_system_disk, "/dev/null", 0, 0, &f), -EACCES);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(host_file_open(&host_system_disk, path, 0, 0, &f), -EACCES);
	remove_file();
}

static void many_pieces_are_one_transfer(void **state)
{
	enum { N = 1500, SIZE = 7 };
	struct host_file *f = open_file(0);
	static char out[N * SIZE], in[N * SIZE];
	static struct iovec wr[N], rd[N];

	(void)state;
	for (int i = 0; i < N; i++) {
		memset(out + i * SIZE, 'a' + i % 26, SIZE);
		wr[i] = (struct iovec){ out + i * SIZE, SIZE };
		rd[i] = (struct iovec){ in + i * SIZE, SIZE };
	}
	assert_int_equal(host_file_writev(f, wr, N, 5), N * SIZE);
	assert_int_equal(host_file_readv(f, rd, N, 5), N * SIZE);
	assert_memory_equal(out, in, sizeof(out));
	host_file_close(f);
	remove_file();
}

static void lock_excludes_a_second_open(void **state)
{
	struct host_file *a = open_file(0), *b = open_file(0);
	struct host_file_id x, y;
	uint64_t t = host_now();

	(void)state;
	assert_int_equal(host_file_ident(a, &x), 0);
	assert_int_equal(host_file_ident(b, &y), 0);
	assert_true(x.dev == y.dev && x.ino == y.ino);
	assert_int_equal(host_file_lock(a, 0), 0);
	assert_int_equal(host_file_lock(b, 0), -EWOULDBLOCK);
	assert_int_equal(host_file_lock(b, t + 20 * MS), -EWOULDBLOCK);
	assert_true(host_now() >= t + 20 * MS);
	host_file_close(a);
	assert_int_equal(host_file_lock(b, 0), 0);
	host_file_close(b);
	remove_file();
}

/* ---- ring ----------------------------------------------------------------------------------- */

static struct host_ring *need_ring(unsigned entries)
{
	struct pinfold_probe p = { .size = sizeof(p) };
	struct host_ring *ring = host_ring_create(entries);

	if (!ring) {
		host_probe(&p);
		print_message("skipped: io_uring is refused (%s)\n", strerror(-p.uring));
		assert_int_not_equal(p.uring, 0);
		skip();
	}
	return ring;
}

enum { READS = 64 };

static struct host_file *numbered_file(void)
{
	struct host_file *f = open_file(0);
	unsigned char *p = pages(READS, 0);

	for (size_t i = 0; i < READS; i++)
		memset(p + i * PG, (int)i + 1, PG);
	assert_int_equal(host_file_writev(f, &(struct iovec){ p, READS * PG }, 1, 0), READS * PG);
	host_unmap(p, READS * PG);
	return f;
}

struct reader {
	struct host_ring *ring;
	struct host_file *file;
	_Atomic int done;
	size_t shift; /* 1: unaligned */
};

static void count_done(struct host_io *io)
{
	struct reader *r = io->arg;

	/* relaxed: read after the state of every request was */
	atomic_fetch_add_explicit(&r->done, 1, memory_order_relaxed);
}

static void *read_numbered(void *arg)
{
	struct reader *r = arg;
	unsigned char *p = pages(READS + 1, 0);
	struct host_io io[READS];
	struct iovec iov[READS];

	for (size_t i = 0; i < READS; i++) {
		iov[i] = (struct iovec){ p + i * PG + r->shift, PG - r->shift };
		io[i] = (struct host_io){ .file = r->file, .iov = &iov[i], .nr = 1, .off = i * PG,
			                  .len = PG - r->shift, .done = count_done, .arg = r };
	}
	host_ring_submit(r->ring, io, READS);
	for (size_t i = 0; i < READS; i++) {
		host_ring_wait(r->ring, &io[i]);
		assert_int_equal(io[i].res, PG - r->shift);
		assert_int_equal(p[i * PG + r->shift], i + 1);
		assert_int_equal(p[i * PG + PG - 1], i + 1);
	}
	host_unmap(p, (READS + 1) * PG);
	return r;
}

static void read_from_threads(struct host_ring *ring, size_t shift)
{
	struct reader a = { .ring = ring, .file = numbered_file(), .shift = shift }, b = a;
	pthread_t t;

	for (int round = 1; round <= 50; round++) {
		pthread_create(&t, NULL, read_numbered, &a);
		read_numbered(&b);
		pthread_join(t, NULL);
		assert_int_equal(a.done, round * READS);
		assert_int_equal(b.done, round * READS);
	}
	host_file_close(a.file);
	remove_file();
}

static void ring_serves_two_threads(void **state)
{
	struct host_ring *ring = need_ring(READS);

	(void)state;
	read_from_threads(ring, 0);
	assert_int_equal(host_ring_count(ring, false), 100 * READS);
	assert_int_equal(host_ring_pending(ring), 0);
	host_ring_destroy(ring);
}

static void ring_with_little_room_serves_all(void **state)
{
	struct host_ring *ring = need_ring(3);

	(void)state;
	read_from_threads(ring, 0);
	host_ring_destroy(ring);
}

static void without_a_ring_the_bytes_are_the_same(void **state)
{
	(void)state;
	read_from_threads(NULL, 0);
	read_from_threads(NULL, 1);
	assert_int_equal(host_ring_eventfd(NULL), -EOPNOTSUPP);
	assert_int_equal(host_ring_reap(NULL, 0), 0);
}

static void unaligned_requests_are_done_by_the_caller(void **state)
{
	struct host_ring *ring = need_ring(READS);

	(void)state;
	read_from_threads(ring, 1);
	host_ring_destroy(ring);
}

static void requests_the_kernel_refuses_are_done_by_the_caller(void **state)
{
	struct host_ring *ring = need_ring(READS);

	(void)state;
	/* without its descriptor every system call on the ring fails */
	host_ring_child(ring);
	read_from_threads(ring, 0);
	assert_int_equal(host_ring_pending(ring), 0);
	host_ring_destroy(ring);
}

struct writer {
	struct host_ring *ring;
	struct host_io *ios;
};

static void *submit_and_exit(void *arg)
{
	struct writer *w = arg;

	host_ring_submit(w->ring, w->ios, READS);
	return NULL;
}

static void requests_outlive_their_thread(void **state)
{
	struct host_ring *ring = need_ring(READS);
	struct host_file *f[2] = { open_file(0), open_file(HOST_OPEN_NO_ODIRECT) };
	unsigned char *p = pages(READS, 'o'), *q = pages(READS, 0);
	struct host_io ios[READS];
	struct iovec iov[READS];
	struct writer w = { ring, ios };
	pthread_t t;

	(void)state;
	for (int k = 0; k < 2; k++) {
		for (size_t i = 0; i < READS; i++) {
			iov[i] = (struct iovec){ p + i * PG, PG };
			ios[i] = (struct host_io){ .file = f[k], .iov = &iov[i], .nr = 1,
				                   .write = true, .off = 2 * i * PG, .len = PG };
		}
		pthread_create(&t, NULL, submit_and_exit, &w);
		pthread_join(t, NULL);
		for (size_t i = 0; i < READS; i++) {
			host_ring_wait(ring, &ios[i]);
			assert_int_equal(ios[i].res, PG);
			iov[i].iov_base = q;
			assert_int_equal(host_file_readv(f[k], &iov[i], 1, 2 * i * PG), PG);
			assert_memory_equal(p, q, PG);
		}
	}
	host_ring_destroy(ring);
	host_file_close(f[0]);
	host_file_close(f[1]);
	remove_file();
	host_unmap(p, READS * PG);
	host_unmap(q, READS * PG);
}

static void short_transfers_end_at_the_end_of_the_file(void **state)
{
	struct host_ring *ring = need_ring(4);
	struct host_file *f = open_file(0);
	unsigned char *p = pages(4, 'q'), *q = pages(4, 0);
	struct iovec wr = { p, 4 * PG }, rd = { q, 4 * PG };
	struct host_io io = { .file = f, .iov = &wr, .nr = 1, .write = true, .len = 4 * PG };

	(void)state;
	host_ring_submit(ring, &io, 1);
	host_ring_wait(ring, &io);
	assert_int_equal(io.res, 4 * PG);
	assert_int_equal(host_ring_count(ring, true), 1);
	assert_int_equal(host_file_truncate(f, 2 * PG + 100), 0);
	io = (struct host_io){ .file = f, .iov = &rd, .nr = 1, .off = PG, .len = 4 * PG };
	host_ring_submit(ring, &io, 1);
	host_ring_wait(ring, &io);
	assert_int_equal(io.res, PG + 100);
	assert_memory_equal(p, q, PG + 100);
	/* an error is the request's result */
	rd.iov_base = (void *)PG;
	host_ring_submit(ring, &io, 1);
	host_ring_wait(ring, &io);
	assert_int_equal(io.res, -EFAULT);
	host_ring_destroy(ring);
	host_file_close(f);
	remove_file();
	host_unmap(p, 4 * PG);
	host_unmap(q, 4 * PG);
}

static void eventfd_tells_of_completions(void **state)
{
	struct host_ring *ring = need_ring(4);
	struct host_file *f = numbered_file();
	unsigned char *p = pages(1, 0);
	struct iovec iov = { p, PG };
	struct host_io io = { .file = f, .iov = &iov, .nr = 1, .len = PG };
	struct pollfd pfd = { .fd = host_ring_eventfd(ring), .events = POLLIN };

	(void)state;
	assert_true(pfd.fd >= 0);
	assert_int_equal(host_ring_eventfd(ring), pfd.fd);
	for (int i = 0; i < 10; i++) {
		iov.iov_len = io.len = i % 2 ? PG : PG - 1; /* in turn past the ring */
		host_ring_submit(ring, &io, 1);
		while (!atomic_load(&io.state)) {
			assert_int_equal(poll(&pfd, 1, 5000), 1);
			host_ring_reap(ring, 0);
		}
		assert_int_equal(io.res, io.len);
		host_ring_reap(ring, 0);
		assert_int_equal(poll(&pfd, 1, 0), 0);
	}
	host_ring_destroy(ring);
	host_file_close(f);
	remove_file();
	host_unmap(p, PG);
}

enum { STALE = 16, STALE_LEN = 1 << 20 };

static void write_until_killed(_Atomic int *ready, int fill)
{
	struct host_ring *ring = host_ring_create(STALE);
	struct host_file *f = open_file(0);
	static struct host_io io[STALE];
	static struct iovec iov;

	iov = (struct iovec){ pages(STALE_LEN / (int)PG, fill), STALE_LEN };
	for (int i = 0; i < STALE; i++)
		io[i] = (struct host_io){ .file = f, .iov = &iov, .nr = 1, .write = true,
			                  .off = (uint64_t)i * STALE_LEN, .len = STALE_LEN };
	host_file_lock(f, 0);
	atomic_store(ready, 1);
	host_ring_submit(ring, io, STALE);
	for (;;)
		pause();
}

static void sample(struct host_file *f, unsigned char *out, unsigned char *buf)
{
	for (uint64_t i = 0; i < STALE; i++) {
		struct iovec iov = { buf, PG };

		assert_true(host_file_readv(f, &iov, 1, i * STALE_LEN + STALE_LEN - PG) >= 0);
		out[i] = buf[0];
	}
}

static void lock_outlives_a_killed_writer(void **state)
{
	_Atomic int *ready = mmap(NULL, PG, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
	                          -1, 0);
	unsigned char *buf = pages(1, 0), before[STALE], after[STALE];

	(void)state;
	for (int round = 1; round <= 4; round++) {
		struct host_file *f;
		pid_t pid;

		atomic_store(ready, 0);
		pid = fork();
		if (!pid)
			write_until_killed(ready, round);
		while (!atomic_load(ready))
			host_yield();
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		f = open_file(0);
		assert_int_equal(host_file_lock(f, host_now() + 10000 * MS), 0);
		sample(f, before, buf);
		nap_ms(50);
		sample(f, after, buf);
		assert_memory_equal(before, after, STALE);
		host_file_close(f);
	}
	remove_file();
	host_unmap(buf, PG);
	munmap((void *)ready, PG);
}

/* ---- windows -------------------------------------------------------------------------------- */

enum { WIN = 64 };

static struct {
	int uffd, memfd;
	unsigned long addr;
	unsigned char *alias;
	bool present[WIN];
	volatile int missing, minor, writes;
} win;

/* What the library does, in small: a page is "read", mapped protected, made writable at a store. */
static enum host_fault serve(unsigned long addr, bool write, int sig)
{
	unsigned long page = addr & ~(PG - 1), i = (page - win.addr) / PG;

	if (!win.addr || addr < win.addr || i >= WIN || sig != SIGBUS)
		return HOST_FAULT_OTHER;
	if (!win.present[i]) {
		win.missing++;
		if (host_memfd_alloc(win.memfd, i * PG, PG))
			return HOST_FAULT_OTHER;
		memset(win.alias + i * PG, 'f', PG);
		win.present[i] = true;
	} else if (write) {
		win.writes++;
		return host_window_install(win.uffd, page, PG, true) ? HOST_FAULT_OTHER : HOST_FAULT_SERVED;
	} else {
		win.minor++;
	}
	return host_window_install(win.uffd, page, PG, false) ? HOST_FAULT_OTHER : HOST_FAULT_SERVED;
}

static struct sigaction ours[2]; /* as host_fault_handler() left them */

/* cmocka puts handlers of its own around each test; this brings the library's back. */
static void arm_signals(void)
{
	sigaction(SIGBUS, &ours[0], NULL);
	sigaction(SIGSEGV, &ours[1], NULL);
}

static void open_window(bool async)
{
	int how = -1;

	memset(&win, 0, sizeof(win));
	win.uffd = host_uffd_open(async, &how);
	if (win.uffd < 0) {
		print_message("skipped: userfaultfd is refused (%s)%s\n", strerror(-win.uffd),
		              async ? ", or PAGEMAP_SCAN" : "");
		assert_int_equal(how, 0);
		skip();
	}
	assert_in_range(how, 1, 3);
	arm_signals();
	win.memfd = host_memfd("window", WIN * PG);
	win.alias = host_memfd_map(win.memfd, WIN * PG);
	win.addr = (unsigned long)host_window_map(win.uffd, win.memfd, 0, WIN * PG, 0,
	                                          PROT_READ | PROT_WRITE);
	assert_true((long)win.addr > 0);
}

static void close_window(void)
{
	assert_int_equal(host_window_unmap(win.addr, WIN * PG), 0);
	host_unmap(win.alias, WIN * PG);
	host_close(win.memfd);
	host_close(win.uffd);
	win.addr = 0;
}

static unsigned char load(int page)
{
	return *(volatile unsigned char *)(win.addr + (unsigned long)page * PG);
}

static void store(int page, unsigned char c)
{
	*(volatile unsigned char *)(win.addr + (unsigned long)page * PG) = c;
}

static void faults_are_served_by_the_thread(void **state)
{
	(void)state;
	open_window(false);
	errno = 77;
	assert_int_equal(load(3), 'f');
	assert_int_equal(win.missing, 1);
	store(3, 'w');
	assert_int_equal(win.writes, 1);
	store(3, 'x');
	assert_int_equal(win.writes, 1);
	assert_int_equal(win.alias[3 * PG], 'x');
	assert_int_equal(errno, 77);
	assert_int_equal(host_window_protect(win.uffd, win.addr, WIN * PG, true), 0);
	store(3, 'y');
	assert_int_equal(win.writes, 2);
	assert_int_equal(host_window_drop(win.addr, WIN * PG), 0);
	assert_int_equal(load(3), 'y');
	assert_int_equal(win.minor, 1);
	assert_int_equal(host_memfd_punch(win.memfd, 3 * PG, PG), 0);
	win.present[3] = false;
	assert_int_equal(load(3), 'f');
	assert_int_equal(win.missing, 2);
	close_window();
}

static void install_skips_what_is_mapped(void **state)
{
	unsigned long len = WIN * PG;

	(void)state;
	open_window(false);
	/* a page that the memory file lacks cannot be mapped */
	assert_int_equal(host_window_install(win.uffd, win.addr, PG, true), -EFAULT);
	assert_int_equal(host_memfd_alloc(win.memfd, 0, len), 0);
	memset(win.present, 1, WIN);
	assert_int_equal(host_window_install(win.uffd, win.addr + 5 * PG, 3 * PG, false), 0);
	assert_int_equal(host_window_install(win.uffd, win.addr + 20 * PG, PG, true), 0);
	assert_int_equal(host_window_install(win.uffd, win.addr, len, false), 0);
	store(20, 1);
	assert_int_equal(win.writes, 0);
	store(6, 1);
	store(30, 1);
	assert_int_equal(win.writes, 2);
	assert_int_equal(host_window_drop(win.addr + 40 * PG, 8 * PG), 0);
	assert_int_equal(host_window_install(win.uffd, win.addr, len, true), 0);
	for (int i = 0; i < WIN; i++)
		store(i, 2);
	assert_int_equal(win.writes, 2);
	assert_int_equal(win.missing + win.minor, 0);
	close_window();
}

static void windows_go_exactly_where_asked(void **state)
{
	unsigned long at;

	(void)state;
	open_window(false);
	at = win.addr;
	assert_int_equal(host_window_map(win.uffd, win.memfd, at, PG, 0, PROT_READ), -EEXIST);
	assert_int_equal(host_window_unmap(at, WIN * PG), 0);
	assert_int_equal(host_window_map(win.uffd, win.memfd, at, WIN * PG, 0, PROT_READ), at);
	assert_int_equal(load(0), 'f');
	assert_int_equal(host_window_mprotect(at, WIN * PG, PROT_READ | PROT_WRITE), 0);
	store(0, 'n');
	assert_int_equal(win.alias[0], 'n');
	close_window();
}

static void touch_window(void)
{
	store(0, 1);
}

static void child_has_no_window(void **state)
{
	(void)state;
	open_window(false);
	store(0, 7);
	assert_int_not_equal(in_child(touch_window), 0);
	assert_int_equal(load(0), 7);
	close_window();
}

static unsigned char hits[WIN];

static void note_hit(void *arg, unsigned long addr, size_t len)
{
	++*(int *)arg;
	for (unsigned long i = (addr - win.addr) / PG; len; len -= PG)
		hits[i++] = 1;
}

/* The pages of the window that the scan finds, one character each. */
static void scan_is(const char *want)
{
	int runs = 0;

	memset(hits, 0, sizeof(hits));
	assert_int_equal(host_window_scan(win.addr, WIN * PG, note_hit, &runs), 0);
	for (int i = 0; want[i]; i++)
		assert_int_equal(hits[i], want[i] == 'w');
}

static void scan_finds_written_pages_only(void **state)
{
	(void)state;
	open_window(true);
	scan_is("--------");
	assert_int_equal(load(1), 'f');
	assert_int_equal(load(2), 'f');
	scan_is("--------");
	store(2, 1);
	store(5, 1);
	assert_int_equal(win.writes, 0);
	scan_is("--w--w--");
	scan_is("--------");
	store(2, 2);
	/* a written page is still one when its translation is gone, a clean one still clean */
	assert_int_equal(host_window_drop(win.addr, WIN * PG), 0);
	scan_is("--w-----");
	assert_int_equal(load(1), 'f');
	assert_int_equal(load(2), 2);
	scan_is("--------");
	/* more runs than one call reports */
	for (int i = 0; i < WIN; i += 2)
		store(i, 3);
	scan_is("w-w-w-w-w-w-w-w-w-w-");
	close_window();
}

static void ordinary_windows_are_not_scanned(void **state)
{
	int runs = 0;

	(void)state;
	open_window(false);
	assert_true(host_window_scan(win.addr, WIN * PG, note_hit, &runs) < 0);
	assert_int_equal(runs, 0);
	close_window();
}

/* ---- signals -------------------------------------------------------------------------------- */

static volatile int app_calls, app_code;
static sigjmp_buf app_jump;

/* The application's own handler, there before the library's. */
static void app_handler(int sig, siginfo_t *info, void *ucontext)
{
	(void)sig;
	(void)ucontext;
	app_calls++;
	app_code = info->si_code;
	if (info->si_code > 0)
		siglongjmp(app_jump, 1);
}

static void foreign_signals_reach_the_earlier_handler(void **state)
{
	volatile unsigned char *p;
	int fd = host_memfd("short", PG);

	(void)state;
	arm_signals();
	p = host_memfd_map(fd, PG);
	assert_int_equal(ftruncate(fd, 0), 0);
	app_calls = 0;
	if (!sigsetjmp(app_jump, 1))
		p[0] = 1;
	assert_int_equal(app_calls, 1);
	assert_int_equal(app_code, BUS_ADRERR);
	raise(SIGBUS);
	assert_int_equal(app_calls, 2);
	assert_true(app_code <= 0);
	host_unmap((void *)p, PG);
	host_close(fd);
}

static void touch_nothing(void)
{
	volatile uintptr_t nowhere = 8; /* volatile: the compiler must not know */

	*(volatile char *)nowhere = 1;
}

static void raise_segv(void)
{
	raise(SIGSEGV);
}

static void without_an_earlier_handler_the_process_dies(void **state)
{
	(void)state;
	arm_signals();
	assert_int_not_equal(in_child(touch_nothing), 0);
	assert_int_not_equal(in_child(raise_segv), 0);
}

/* ---- probe, injection ----------------------------------------------------------------------- */

static void probe_says_what_works(void **state)
{
	struct pinfold_probe p = { .size = sizeof(p) };
	struct host_ring *ring = host_ring_create(4);
	int how, fd = host_uffd_open(false, &how);

	(void)state;
	host_probe(&p);
	assert_int_equal(p.memfd, 0);
	assert_int_equal(p.uffd_how, how);
	assert_int_equal(!p.uring, !!ring);
	assert_true(p.memory_limit > 0 && p.memory_limit != UINT64_MAX);
	assert_true(p.max_map_count > 0);
	host_close(fd);
	host_ring_destroy(ring);
}

static void nth_call_fails_once(void **state)
{
	struct host_file *f = NULL;
	void *p, *q;
	int fd;

	(void)state;
	if (!PINFOLD_DEBUG_BUILD) {
		assert_int_equal(host_inject(1), 0);
		assert_false(host_fail());
		print_message("skipped: needs the debug build\n");
		skip();
	}
	host_inject(2);
	p = host_map(PG);
	assert_non_null(p);
	assert_null(host_map(PG));
	q = host_map(PG);
	assert_non_null(q);
	assert_int_equal(host_inject(1), 3);
	assert_int_equal(host_memfd("x", PG), -ENOMEM);
	fd = host_memfd("x", PG);
	assert_int_equal(host_inject(1), 2);
	assert_int_equal(host_memfd_alloc(fd, 0, PG), -ENOMEM);
	host_inject(1);
	assert_null(host_memfd_map(fd, PG));
	host_inject(1);
	assert_int_equal(host_window_map(-1, fd, 0, PG, 0, PROT_READ), -ENOMEM);
	host_inject(1);
	assert_int_equal(
		host_file_open(&host_system_disk, path, HOST_OPEN_CREATE, 0600, &f), -ENOMEM);
	assert_int_equal(host_inject(0), 1);
	host_unmap(p, PG);
	host_unmap(q, PG);
	host_close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mutex_excludes),
		cmocka_unit_test(rwsem_excludes),
		cmocka_unit_test(waiting_writer_holds_new_readers_off),
		cmocka_unit_test(writer_gives_up_at_its_deadline),
		cmocka_unit_test(ranks_are_checked_in_debug_builds),
		cmocka_unit_test(wait_ends_by_time_and_by_wake),
		cmocka_unit_test(ends_of_threads_and_forks_are_told),
		cmocka_unit_test(memory_file_is_allocated_and_punched),
		cmocka_unit_test(file_reads_what_was_written),
		cmocka_unit_test(only_regular_files_are_opened),
		cmocka_unit_test(many_pieces_are_one_transfer),
		cmocka_unit_test(lock_excludes_a_second_open),
		cmocka_unit_test(ring_serves_two_threads),
		cmocka_unit_test(ring_with_little_room_serves_all),
		cmocka_unit_test(without_a_ring_the_bytes_are_the_same),
		cmocka_unit_test(unaligned_requests_are_done_by_the_caller),
		cmocka_unit_test(requests_the_kernel_refuses_are_done_by_the_caller),
		cmocka_unit_test(requests_outlive_their_thread),
		cmocka_unit_test(short_transfers_end_at_the_end_of_the_file),
		cmocka_unit_test(eventfd_tells_of_completions),
		cmocka_unit_test(lock_outlives_a_killed_writer),
		cmocka_unit_test(faults_are_served_by_the_thread),
		cmocka_unit_test(install_skips_what_is_mapped),
		cmocka_unit_test(windows_go_exactly_where_asked),
		cmocka_unit_test(child_has_no_window),
		cmocka_unit_test(scan_finds_written_pages_only),
		cmocka_unit_test(ordinary_windows_are_not_scanned),
		cmocka_unit_test(foreign_signals_reach_the_earlier_handler),
		cmocka_unit_test(without_an_earlier_handler_the_process_dies),
		cmocka_unit_test(probe_says_what_works),
		cmocka_unit_test(nth_call_fails_once),
	};
	struct sigaction sa = { .sa_sigaction = app_handler, .sa_flags = SA_SIGINFO };
	const char *dir = getenv("TMPDIR");

	snprintf(path, sizeof(path), "%s/pinfold-host-%d", dir ? dir : "/tmp", (int)getpid());
	sigaction(SIGBUS, &sa, NULL);
	if (host_fault_handler(serve) || host_fault_handler(serve))
		return 1;
	sigaction(SIGBUS, NULL, &ours[0]);
	sigaction(SIGSEGV, NULL, &ours[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
