/* SPDX-License-Identifier: MIT */
/*
 * file_test.c - files: opening them and being refused, reading them in every way there is, more of
 * them than memory, and what happens when a read cannot be served.
 */
#include "world.h"

#include "host/fake.h"
#include "mm/machine.h"

#include <grp.h>
#include <sys/un.h>

static int try_open(struct pinfold *m, const char *path, unsigned flags)
{
	struct pinfold_file_options fo = { .size = sizeof(fo), .flags = flags };
	struct pinfold_file *file = NULL;
	int r = pinfold_open(m, path, &fo, &file);

	if (!r)
		assert_ok(pinfold_close(file));
	return r;
}

/* ---- open ------------------------------------------------------------------------------------ */

/* Header: -EACCES not a regular file. */
static void only_regular_files_are_opened(void **state)
{
	char dir[600], fifo[600], link[600];
	struct world w;

	WORLD(w, *state);
	new_path(dir, sizeof(dir));
	new_path(fifo, sizeof(fifo));
	new_path(link, sizeof(link));
	assert_ok(mkdir(dir, 0700));
	assert_ok(mkfifo(fifo, 0600));
	assert_ok(symlink(dir, link));
	assert_int_equal(try_open(w.m, dir, 0), -EACCES);
	assert_int_equal(try_open(w.m, fifo, 0), -EACCES);
	assert_int_equal(try_open(w.m, "/dev/null", 0), -EACCES);
	assert_int_equal(try_open(w.m, link, 0), -EACCES);
	assert_int_equal(try_open(w.m, dir, PINFOLD_FILE_CREATE), -EACCES);
	assert_int_equal(stats_of(w.m).files, 1);
	unlink(link);
	unlink(fifo);
	rmdir(dir);
	world_end(&w);
}

/* Header: -ENOENT, and CREATE with its mode. */
static void a_missing_file_is_made_only_when_asked(void **state)
{
	struct pinfold_file_options fo = { .size = sizeof(fo), .flags = PINFOLD_FILE_CREATE };
	struct pinfold_file *file;
	char path[600], below[700];
	struct stat st;
	struct world w;

	WORLD(w, *state);
	new_path(path, sizeof(path));
	snprintf(below, sizeof(below), "%s/x", path);
	assert_int_equal(try_open(w.m, path, 0), -ENOENT);
	assert_int_equal(try_open(w.m, below, PINFOLD_FILE_CREATE), -ENOENT);
	assert_false(exists(path, "") || exists(path, ".pinfold"));
	assert_ok(try_open(w.m, path, PINFOLD_FILE_CREATE));
	assert_ok(stat(path, &st));
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(st.st_size, 0);
	unlink(path);
	fo.mode = 0640;
	assert_ok(pinfold_open(w.m, path, &fo, &file));
	assert_int_equal(pinfold_size(file), 0);
	assert_ok(pinfold_close(file));
	assert_ok(stat(path, &st));
	assert_int_equal(st.st_mode & 0777, 0640);
	unlink(path);
	world_end(&w);
}

/* Header: -EINVAL flags, sizes; wrong pointers. */
static void wrong_options_are_refused(void **state)
{
	struct pinfold_file_options fo = { .size = sizeof(fo) };
	struct pinfold_file *file = NULL;
	char path[600];
	struct world w;

	WORLD(w, *state);
	new_path(path, sizeof(path));
	close(new_file(path, 8 * PG, false));
	for (int bit = 7; bit < 32; bit++)
		assert_int_equal(try_open(w.m, path, 1u << bit), -EINVAL);
	assert_int_equal(try_open(w.m, path, PINFOLD_FILE_ASYNC_WP), -EINVAL);
	fo.max_size = 8 * PG + 1;
	assert_int_equal(pinfold_open(w.m, path, &fo, &file), -EINVAL);
	fo.max_size = 4 * PG;
	assert_int_equal(pinfold_open(w.m, path, &fo, &file), -EFBIG);
	fo = (struct pinfold_file_options){ .size = 3 };
	assert_int_equal(pinfold_open(w.m, path, &fo, &file), -EINVAL);
	assert_int_equal(pinfold_open(w.m, NULL, NULL, &file), -EINVAL);
	assert_int_equal(pinfold_open(w.m, path, NULL, NULL), -EINVAL);
	assert_int_equal(pinfold_open(NULL, path, NULL, &file), -EINVAL);
	assert_int_equal(pinfold_open_memory(w.m, PG, NULL, NULL), -EINVAL);
	assert_null(file);
	assert_false(exists(path, ".pinfold"));
	assert_ok(pinfold_open(w.m, path, NULL, &file));
	assert_ok(pinfold_close(file));
	unlink(path);
	world_end(&w);
}

static int open_as_nobody(const char *path)
{
	struct setup s = { 0 };
	struct pinfold_file_options fo = { .size = sizeof(fo) };
	struct pinfold_file *file;
	struct pinfold *m;
	int r;

	if (geteuid() == 0 && (setgroups(0, NULL) || setgid(65534) || setuid(65534)))
		return 99;
	m = new_machine(&s);
	r = pinfold_open(m, path, &fo, &file);
	if (pinfold_destroy(m))
		return 98;
	return -r;
}

/* Header: -EACCES not writable, for a user whom the system may refuse. */
static void a_file_that_is_not_writable_is_refused(void **state)
{
	char path[600];
	pid_t pid;

	(void)state;
	new_path(path, sizeof(path));
	close(new_file(path, 8 * PG, false));
	chmod(path, 0444);
	chmod(folder, 0755);
	pid = fork();
	if (pid == 0)
		_exit(open_as_nobody(path));
	assert_int_equal(status_of(pid), EACCES);
	assert_false(exists(path, ".pinfold"));
	unlink(path);
}

/* ---- one at a time --------------------------------------------------------------------------- */

struct holder {
	pid_t pid;
	int to, from; /* pipes */
};

/* Another process that has the file open until it is told to let go. */
static void hold(struct holder *h, const char *path, unsigned flags)
{
	struct setup s = { 0 };
	struct pinfold_file_options fo = { .size = sizeof(fo), .flags = flags };
	struct pinfold_file *file;
	struct pinfold *m;
	int to[2], from[2];
	char c = 0;

	assert_ok(pipe(to));
	assert_ok(pipe(from));
	h->pid = fork();
	if (h->pid) {
		close(to[0]);
		close(from[1]);
		h->to = to[1];
		h->from = from[0];
		assert_int_equal(read(h->from, &c, 1), 1);
		assert_int_equal(c, 'o');
		return;
	}
	close(to[1]);
	m = new_machine(&s);
	c = pinfold_open(m, path, &fo, &file) ? 'x' : 'o';
	if (write(from[1], &c, 1) != 1 || read(to[0], &c, 1) != 1)
		_exit(1);
	if (c == 'l') /* let go later */
		nap_ms(150);
	_exit(pinfold_close(file) || pinfold_destroy(m));
}

static void let_go(struct holder *h, char how)
{
	assert_int_equal(write(h->to, &how, 1), 1);
}

static void end_holder(struct holder *h)
{
	assert_ok(status_of(h->pid));
	close(h->to);
	close(h->from);
}

/* Header: -EBUSY with the holder's pid; by every name of the file. */
static void a_file_open_elsewhere_is_busy_and_the_holder_named(void **state)
{
	struct pinfold_file_options fo = { .size = sizeof(fo) };
	struct setup s = { 0 };
	struct pinfold_file *file;
	char path[600], link[600];
	struct holder h;
	struct pinfold *m;

	(void)state;
	new_path(path, sizeof(path));
	new_path(link, sizeof(link));
	close(new_file(path, 8 * PG, false));
	assert_ok(symlink(path, link));
	hold(&h, path, 0);
	m = new_machine(&s);
	assert_int_equal(pinfold_open(m, path, &fo, &file), -EBUSY);
	assert_int_equal(fo.holder_pid, h.pid);
	fo.holder_pid = 0;
	assert_int_equal(pinfold_open(m, link, &fo, &file), -EBUSY);
	assert_int_equal(fo.holder_pid, h.pid);
	let_go(&h, 'n');
	end_holder(&h);
	assert_ok(pinfold_open(m, path, &fo, &file));
	assert_int_equal(fo.holder_pid, 0);
	assert_ok(pinfold_close(file));
	end_machine(m);
	unlink(link);
	unlink(path);
}

/* The same within a process: two machines, or one machine twice. */
static void a_file_is_open_once_in_a_process_too(void **state)
{
	struct pinfold_file_options fo = { .size = sizeof(fo) };
	struct setup s = { 0 };
	struct pinfold_file *file;
	struct pinfold *m;
	struct world w;

	WORLD(w, *state);
	m = new_machine(&s);
	assert_int_equal(pinfold_open(m, w.path, &fo, &file), -EBUSY);
	assert_int_equal(fo.holder_pid, getpid());
	assert_int_equal(pinfold_open(w.m, w.path, &fo, &file), -EBUSY);
	end_machine(m);
	assert_true(page_is(&w, 0, 0));
	world_end(&w);
}

/* Header: open_wait_ms waits that long for another holder. */
static void open_waits_as_long_as_it_is_told(void **state)
{
	struct pinfold_file_options fo = { .size = sizeof(fo), .open_wait_ms = 100 };
	struct setup s = { 0 };
	struct pinfold_file *file;
	char path[600];
	struct holder h;
	struct pinfold *m;
	uint64_t start;

	(void)state;
	new_path(path, sizeof(path));
	close(new_file(path, 8 * PG, false));
	hold(&h, path, PINFOLD_FILE_NO_JOURNAL);
	m = new_machine(&s);
	start = now_ms();
	assert_int_equal(pinfold_open(m, path, &fo, &file), -EBUSY);
	assert_in_range(now_ms() - start, 90, 3000);
	assert_int_equal(fo.holder_pid, 0); /* no journal to say it */
	fo.open_wait_ms = 10000;
	let_go(&h, 'l');
	assert_ok(pinfold_open(m, path, &fo, &file));
	assert_in_range(now_ms() - start, 100, 9000);
	end_holder(&h);
	assert_ok(pinfold_close(file));
	end_machine(m);
	unlink(path);
}

/* ---- reading --------------------------------------------------------------------------------- */

/* Every third page is a hole; 1234 bytes in the last page. */
static int odd_file(const char *path, unsigned pages)
{
	int fd = new_file(path, (pages - 1) * PG + 1234, true);
	char page[PG];

	for (unsigned p = 0; p < pages; p++) {
		size_t n = p == pages - 1 ? 1234 : PG;

		if (p % 3 == 1)
			continue;
		fill(page, 0, p);
		assert_int_equal(pwrite(fd, page, n, (off_t)(p * PG)), n);
	}
	return fd;
}

static bool odd_page_is(const void *at, unsigned p, unsigned pages)
{
	char page[PG] = { 0 };
	size_t n = p == pages - 1 ? 1234 : PG;

	if (p % 3 != 1)
		fill(page, 0, p);
	return !memcmp(at, page, n) && is_zero(at, n, PG);
}

static void read_odd_file(const struct kind *k, struct setup *s, const char *dir)
{
	struct world w = { .pages = 100 };
	struct page *pages[100];

	snprintf(w.path, sizeof(w.path), "%s/odd%d", dir, (int)getpid());
	w.fd = odd_file(w.path, w.pages);
	w.m = new_machine(s);
	world_open(&w, k, s);
	assert_int_equal(pinfold_size(w.file), 99 * PG + 1234);
	if (w.window)
		for (unsigned p = 99; p < 100; p -= 7) /* backwards, one by one */
			assert_true(odd_page_is((void *)(w.at + p * PG), p, 100));
	assert_int_equal(get_user_pages_fast(w.at, 100, 0, pages), 100);
	for (unsigned p = 0; p < 100; p++)
		assert_true(odd_page_is(page_address(pages[p]), p, 100));
	assert_ok(put_user_pages(pages, 100));
	world_end(&w);
}

/* Issue 2: io_uring, O_DIRECT, preadv by the caller: same results. */
static void every_way_to_read_gives_the_same(void **state)
{
	const char *const dirs[] = { folder, "/dev/shm" };

	if (((const struct kind *)*state)->window == PINFOLD_WINDOW_DIRECT)
		need_window();
	arm_signals();
	for (int d = 0; d < 2; d++)
		for (int uring = 0; uring < 2; uring++)
			for (int cached = 0; cached < 2; cached++) {
				struct setup s = {
					.machine_flags = uring ? 0 : PINFOLD_NO_URING,
					.file_flags = cached ? PINFOLD_FILE_NO_ODIRECT : 0,
				};

				if (!access(dirs[d], W_OK))
					read_odd_file(*state, &s, dirs[d]);
			}
}

/* Issue 2: holes stay holes where nobody stored. */
static void a_commit_into_a_hole_fills_its_pages_only(void **state)
{
	struct stat before, after;
	struct world w;

	WORLD(w, *state, .pages = 256, .sparse = true);
	assert_ok(fstat(w.fd, &before));
	for (unsigned p = 0; p < 256; p++) {
		struct page *page = pin_one(w.at + p * PG, 0);

		assert_true(is_zero(page_address(page), 0, PG));
		assert_ok(put_user_page(page));
	}
	store_page(&w, 1, 100);
	assert_ok(pinfold_commit(w.file, 0, 0, NULL));
	assert_ok(fstat(w.fd, &after));
	assert_true(disk_is(&w, 1, 100));
	assert_true(after.st_blocks - before.st_blocks <= 128);
	world_end(&w);
}

/* An empty file has no page; growth gives it some. */
static void an_empty_file_can_grow(void **state)
{
	struct page *page;
	struct world w;

	WORLD(w, *state, .bytes = 1, .map_pages = 4);
	world_close(&w);
	assert_ok(ftruncate(w.fd, 0));
	world_open(&w, *state, &(struct setup){ .map_pages = 4 });
	assert_int_equal(pinfold_size(w.file), 0);
	assert_int_equal(get_user_pages_fast(w.at, 1, 0, &page), -EFAULT);
	if (w.window)
		assert_int_equal(signal_of((void)*(volatile char *)w.at), SIGBUS);
	assert_ok(vfs_truncate(w.file, 2 * PG));
	store_page(&w, 1, 1);
	assert_int_equal(get_user_pages_fast(w.at + 2 * PG, 1, 0, &page), -EFAULT);
	assert_ok(pinfold_commit(w.file, 0, 0, NULL));
	assert_int_equal(disk_size(&w), 2 * PG);
	assert_true(disk_is(&w, 1, 1));
	world_end(&w);
}

static uint64_t word_at(struct world *w, unsigned long off)
{
	uint64_t v = 1;

	assert_int_equal(access_process_vm(w->mm, w->at + off, &v, 8, 0), 8);
	return v;
}

/*
 * Header: growth reads as zero.  What was stored behind the end, in the last page, is not the file's:
 * after growth memory and file must not tell two stories (clause M6 is the same of shrinking).
 */
static void what_was_stored_behind_the_end_does_not_come_back(void **state)
{
	const uint64_t junk = 0x4b4e554a4b4e554a;
	uint64_t found = 1;

	for (int commit_first = 0; commit_first < 2; commit_first++) {
		struct world w;

		WORLD(w, *state, .bytes = PG + 700, .map_pages = 4);
		assert_int_equal(access_process_vm(w.mm, w.at + PG + 1000, (void *)(uintptr_t)&junk, 8,
		                                   FOLL_WRITE), 8);
		if (commit_first)
			assert_ok(pinfold_commit(w.file, 0, 0, NULL));
		assert_ok(vfs_truncate(w.file, 3 * PG));
		assert_int_equal(word_at(&w, PG + 1000), 0);
		assert_ok(pinfold_commit(w.file, 0, 0, NULL));
		assert_int_equal(disk_size(&w), 3 * PG);
		assert_int_equal(pread(w.fd, &found, 8, PG + 1000), 8);
		assert_int_equal(found, 0);
		assert_int_equal(word_at(&w, PG + 1000), 0);
		world_end(&w);
	}
}

/* Header: -EFBIG beyond max_size. */
static void growth_ends_at_max_size(void **state)
{
	const struct kind *k = *state;
	struct pinfold_file_options fo = {
		.size = sizeof(fo), .flags = k->flags, .max_size = 32 * PG,
	};
	struct pinfold_file *file;
	char path[600];
	struct world w;

	WORLD(w, k);
	new_path(path, sizeof(path));
	close(new_file(path, 8 * PG, false));
	assert_ok(pinfold_open(w.m, path, &fo, &file));
	assert_ok(vfs_truncate(file, 32 * PG));
	assert_int_equal(vfs_truncate(file, 32 * PG + 1), -EFBIG);
	assert_int_equal(vfs_truncate(file, 31 * PG), -EOPNOTSUPP);
	assert_int_equal(pinfold_size(file), 32 * PG);
	assert_ok(pinfold_close(file));
	unlink(path);
	world_end(&w);
}

/* ---- more than memory ------------------------------------------------------------------------ */

#define BIG 4000u
#define BIG_SETUP .pages = BIG, .memory = 12 * MIB, .pool = 6 * MIB

/* Issue 2: files larger than memory make progress, by pins. */
static void a_file_larger_than_memory_is_read_through_pins(void **state)
{
	struct page *pages[32];
	struct pinfold_stats s;
	struct world w;

	WORLD(w, *state, BIG_SETUP);
	for (int pass = 0; pass < 2; pass++)
		for (unsigned p = 0, n; p < BIG; p += n) {
			n = BIG - p < 32 ? BIG - p : 32;
			assert_int_equal(get_user_pages_fast(w.at + p * PG, (int)n, 0, pages), n);
			for (unsigned i = 0; i < n; i++)
				assert_true(is_filled(page_address(pages[i]), 0, p + i));
			assert_ok(put_user_pages(pages, n));
		}
	s = stats_of(w.m);
	assert_true(s.evicted >= 2 * BIG - s.frames - s.direct_frames);
	assert_int_equal((s.frames + s.direct_frames) * PG, 12 * MIB);
	world_end(&w);
}

/* The same by pointers, from two threads. */
struct reader {
	struct world *w;
	unsigned bad;
	uint64_t seed;
};

static void *read_by_pointer(void *arg)
{
	struct reader *r = arg;
	uint64_t x = r->seed;

	for (unsigned i = 0; i < BIG; i++) {
		unsigned p = i;

		if (r->seed) {
			x = x * 6364136223846793005u + 1442695040888963407u;
			p = (unsigned)(x >> 33) % BIG;
		}
		r->bad += !is_filled((void *)(r->w->at + p * PG), 0, p);
	}
	return NULL;
}

static void a_file_larger_than_memory_is_read_through_pointers(void **state)
{
	struct reader r[2];
	pthread_t t;
	struct world w;

	WORLD(w, *state, BIG_SETUP);
	r[0] = (struct reader){ &w, 0, 0 };
	r[1] = (struct reader){ &w, 0, 7 };
	pthread_create(&t, NULL, read_by_pointer, &r[0]);
	read_by_pointer(&r[1]);
	pthread_join(t, NULL);
	assert_int_equal(r[0].bad + r[1].bad, 0);
	assert_true(stats_of(w.m).evicted > 0);
	world_end(&w);
}

/* Stores over all of it, committed now and then: each page once and right. */
static void a_file_larger_than_memory_is_written(void **state)
{
	struct world w;

	WORLD(w, *state, BIG_SETUP, .dirty_limit = 600 * PG);
	for (unsigned p = 0; p < BIG; p++) {
		unsigned q = p * 7 % BIG;

		store_page(&w, 1, q);
		if (p % 500 == 499)
			assert_ok(pinfold_commit(w.file, 0, 0, NULL));
	}
	assert_ok(pinfold_commit(w.file, 0, 0, NULL));
	for (unsigned p = 0; p < BIG; p++)
		assert_true(disk_is(&w, 1, p));
	world_end(&w);
}

static void scan(struct world *w, unsigned first, unsigned last)
{
	for (unsigned p = first; p < last; p++) {
		struct page *page = pin_one(w->at + p * PG, 0);

		assert_true(is_filled(page_address(page), 0, p));
		assert_ok(put_user_page(page));
	}
}

/* Issue 2: eviction of clean pages only; pinned and dirty pages never. */
static void pinned_and_dirty_pages_are_never_evicted(void **state)
{
	struct page *pages[100], *again[100];
	struct pinfold_stats s;
	struct world w;

	WORLD(w, *state, BIG_SETUP);
	assert_int_equal(get_user_pages_fast(w.at, 100, 0, pages), 100);
	for (unsigned p = 100; p < 200; p++)
		store_page(&w, 1, p);
	scan(&w, 200, BIG);
	pinfold_reclaim(w.m, 100000);
	assert_int_equal(get_user_pages_fast(w.at, 100, 0, again), 100);
	assert_memory_equal(pages, again, sizeof(pages));
	for (unsigned p = 0; p < 100; p++)
		assert_true(is_filled(page_address(pages[p]), 0, p));
	for (unsigned p = 100; p < 200; p++)
		assert_true(page_is(&w, 1, p) && disk_is(&w, 0, p));
	s = stats_of(w.m);
	assert_true(s.evict_skipped_pinned > 0);
	assert_int_equal(s.dirty_pages, 100);
	assert_ok(put_user_pages(pages, 100));
	assert_ok(put_user_pages(again, 100));
	world_end(&w);
}

/* Header: -ENOMEM no frame could be had; pins are given back, it goes on. */
static void with_all_memory_pinned_there_is_no_frame(void **state)
{
	enum { N = 2500 };
	struct page **pages = calloc(N, sizeof(*pages)), *one;
	struct world w;
	int n;

	WORLD(w, *state, .pages = N, .memory = 8 * MIB, .pool = 4 * MIB);
	n = get_user_pages_fast(w.at, N, 0, pages);
	assert_in_range(n, 500, 1100);
	assert_int_equal(get_user_pages_fast(w.at + (unsigned)n * PG, 1, 0, &one), -ENOMEM);
	assert_int_equal(last_error(), -ENOMEM);
	if (w.window) {
		assert_int_equal(signal_of((void)*(volatile char *)(w.at + (unsigned)n * PG)), SIGBUS);
		assert_int_equal(last_error(), -ENOMEM);
	}
	assert_ok(put_user_pages(pages, (unsigned)n));
	scan(&w, (unsigned)n, N);
	free(pages);
	world_end(&w);
}

/* Issue 2, lru.h: a hot set stays while a scan passes. */
static void a_scan_leaves_the_hot_set_alone(void **state)
{
	enum { HOT = 200, STEP = 50 };
	unsigned long again = 0, touches = 0, before;
	struct world w;

	WORLD(w, *state, BIG_SETUP, .machine_flags = PINFOLD_NO_URING);
	for (int i = 0; i < 6; i++)
		scan(&w, 0, HOT);
	for (unsigned p = HOT; p + STEP <= BIG; p += STEP) {
		scan(&w, p, p + STEP);
		before = stats_of(w.m).pages_read;
		for (unsigned h = 0; h < HOT; h += 2) {
			if (w.window)
				assert_true(is_filled((void *)(w.at + h * PG), 0, h));
			else
				scan(&w, h, h + 1);
			touches++;
		}
		again += stats_of(w.m).pages_read - before;
	}
	print_message("%lu of %lu touches of the hot set read again\n", again, touches);
	assert_true(again * 20 < touches);
	world_end(&w);
}

/* Issue 2, D4: the memory limit covers pool and direct frames together. */
static void the_memory_limit_covers_pool_and_direct_frames(void **state)
{
	struct pinfold_stats s;
	unsigned long held;
	struct stat st;
	struct world w;

	WORLD(w, *state, BIG_SETUP);
	for (unsigned p = 0; p < BIG; p += 16) {
		scan(&w, p, p + 16 < BIG ? p + 16 : BIG);
		s = stats_of(w.m);
		assert_true(s.direct_free <= s.direct_frames && s.frames_free <= s.frames);
	}
	s = stats_of(w.m);
	assert_int_equal((s.frames + s.direct_frames) * PG, 12 * MIB);
	if (w.direct) {
		/* what the host really gave: the file's own memory file */
		assert_ok(fstat(w.file->mapping.memfd, &st));
		held = (unsigned long)st.st_blocks / 8;
		assert_true(held > 0);
		assert_true(held <= s.direct_frames);
		assert_int_equal(held, s.direct_frames - s.direct_free);
	}
	world_end(&w);
}

/* Header: reclaim frees clean pages; they are read again. */
static void reclaim_frees_clean_pages_on_demand(void **state)
{
	struct pinfold_stats s;
	struct world w;
	long n;

	WORLD(w, *state, .pages = 64);
	scan(&w, 0, 64);
	n = pinfold_reclaim(w.m, 64);
	assert_int_equal(n, 64);
	assert_int_equal(pinfold_reclaim(w.m, 64), 0);
	s = stats_of(w.m);
	assert_int_equal(s.evicted, 64);
	assert_int_equal(s.frames_free + s.staging_free + s.direct_free, s.frames + s.direct_frames);
	scan(&w, 0, 64);
	assert_int_equal(stats_of(w.m).pages_read, 128);
	world_end(&w);
}

/* Header: memory files live in frames, are never evicted; more than there is is -ENOMEM. */
static void memory_files_are_never_evicted(void **state)
{
	const struct kind *k = *state;
	struct pinfold_file_options fo = { .size = sizeof(fo), .flags = k->flags };
	struct pinfold_file *file;
	struct page *page;
	struct world w;
	unsigned long a;
	unsigned n = 0;

	WORLD(w, k, .pages = 100, .memory = 8 * MIB, .pool = 4 * MIB);
	assert_ok(pinfold_open_memory(w.m, 2000 * PG, &fo, &file));
	a = (unsigned long)vm_mmap(w.mm, 0, 2000 * PG, RW, SHARED, file, 0);
	while (n < 2000 && get_user_pages_fast(a + n * PG, 1, FOLL_WRITE, &page) == 1) {
		assert_true(is_zero(page_address(page), 0, PG));
		fill(page_address(page), 3, n++);
		assert_ok(put_user_page(page));
	}
	assert_in_range(n, 500, 1100);
	assert_int_equal(last_error(), -ENOMEM);
	assert_int_equal(pinfold_reclaim(w.m, 10000), 0);
	for (unsigned p = 0; p < n; p++) {
		page = pin_one(a + p * PG, 0);
		assert_true(is_filled(page_address(page), 3, p));
		assert_ok(put_user_page(page));
	}
	assert_ok(vm_munmap(w.mm, a, 2000 * PG));
	assert_ok(pinfold_close(file));
	scan(&w, 0, 100); /* its frames are free again */
	world_end(&w);
}

/* Reads in flight at close are waited for. */
static void close_waits_for_reads_in_flight(void **state)
{
	struct world w;

	WORLD(w, *state, .pages = 512);
	assert_int_equal(pinfold_prefetch(w.mm, w.at, 512 * PG), 512);
	world_end(&w);
}

/* ---- reads that fail ------------------------------------------------------------------------- */

struct policy {
	_Atomic int calls;
	struct pinfold_fault last;
	int fd;       /* heals by growing the file */
	int result;
};

/* Runs in signal context: ftruncate() may be called there. */
static int note_policy(void *arg, const struct pinfold_fault *f)
{
	struct policy *p = arg;

	p->last = *f;
	atomic_fetch_add(&p->calls, 1);
	if (p->result == 0 && ftruncate(p->fd, 16 * PG))
		return 1;
	return p->result;
}

/* Issue 2: somebody shortens the file: an error, never the kernel's SIGBUS. */
static void a_file_that_was_shortened_gives_an_error(void **state)
{
	struct policy pol = { .result = 1 };
	struct pinfold_fault f = { .size = sizeof(f) };
	struct page *page;
	struct world w;

	WORLD(w, *state, .policy = note_policy, .policy_arg = &pol);
	assert_true(page_is(&w, 0, 15)); /* cached */
	assert_ok(ftruncate(w.fd, 4 * PG));
	assert_true(page_is(&w, 0, 15));
	assert_int_equal(get_user_pages_fast(w.at + 8 * PG, 1, 0, &page), -EFAULT);
	assert_ok(pinfold_last_fault(&f));
	assert_int_equal(f.error, -ESTALE);
	assert_int_equal(f.offset, 8 * PG);
	assert_ptr_equal(f.file, w.file);
	assert_int_equal(pol.calls, 0);
	if (w.window) {
		assert_int_equal(signal_of((void)*(volatile char *)(w.at + 9 * PG)), SIGBUS);
		assert_int_equal(pol.calls, 1);
		assert_int_equal(pol.last.error, -ESTALE);
		assert_int_equal(pol.last.offset, 9 * PG);
		assert_int_equal(pol.last.address, w.at + 9 * PG);
		assert_int_equal(pol.last.write, 0);
	}
	assert_true(page_is(&w, 0, 3));
	assert_ok(ftruncate(w.fd, 16 * PG));
	page = pin_one(w.at + 8 * PG, 0);
	assert_true(is_zero(page_address(page), 0, PG));
	assert_ok(put_user_page(page));
	world_end(&w);
}

/* Header: a policy that returns 0 has the access tried again. */
static void a_policy_may_heal_and_have_the_access_tried_again(void **state)
{
	struct policy pol = { .result = 0 };
	struct world w;

	WORLD(w, *state, .policy = note_policy, .policy_arg = &pol);
	pol.fd = w.fd;
	assert_ok(ftruncate(w.fd, 4 * PG));
	errno = 77;
	assert_int_equal(*(volatile uint64_t *)(w.at + 9 * PG), 0);
	assert_int_equal(errno, 77);
	assert_int_equal(pol.calls, 1);
	world_end(&w);
}

struct fake_world {
	struct world w;
	struct host_disk *disk;
};

/*
 * Issue 2: a read that fails is -EFAULT to a pin, a SIGBUS to a load; both say -EIO; later it
 * works.
 */
static void a_read_error_is_told_and_does_not_stay(void **state)
{
	const struct kind *k = *state;
	struct pinfold_options o = { .size = sizeof(o), .memory = 8 * MIB, .pool = 4 * MIB };
	struct setup s = { .file_flags = PINFOLD_FILE_CREATE, .map_pages = 8 };
	struct world w = { .path = "data", .pages = 8, .fd = -1 };
	struct host_disk *disk = fake_disk_create(1);
	struct page *page;

	if (k->window == PINFOLD_WINDOW_DIRECT)
		need_window();
	arm_signals();
	assert_ok(machine_create_on(disk, &o, &w.m));
	world_open(&w, k, &s);
	assert_ok(vfs_truncate(w.file, 8 * PG));
	for (unsigned p = 0; p < 8; p++)
		store_page(&w, 0, p);
	assert_ok(pinfold_commit(w.file, 0, 0, NULL));
	assert_ok(pinfold_checkpoint(w.file));
	assert_int_equal(pinfold_reclaim(w.m, 100), 8);
	fake_disk_fail(disk, 1 << 8, 1, EIO, true);
	assert_int_equal(get_user_pages_fast(w.at, 8, 0, &page), -EFAULT);
	assert_int_equal(last_error(), -EIO);
	if (w.window) {
		assert_int_equal(signal_of((void)*(volatile char *)(w.at + 2 * PG)), SIGBUS);
		assert_int_equal(last_error(), -EIO);
		assert_int_equal(signal_of(*(volatile char *)(w.at + 3 * PG) = 1), SIGBUS);
	}
	assert_int_equal(stats_of(w.m).dirty_pages, 0);
	fake_disk_fail(disk, 0, 0, 0, false);
	for (unsigned p = 0; p < 8; p++)
		assert_true(page_is(&w, 0, p));
	world_close(&w);
	end_machine(w.m);
	fake_disk_destroy(disk);
}

/* Header: an application that owns the signals calls pinfold_handle_fault() first. */
static _Atomic int own_handled, own_other;
static volatile char *volatile nowhere = (char *)8;

static void own_handler(int sig, siginfo_t *info, void *context)
{
	if (pinfold_handle_fault(sig, info, context)) {
		atomic_fetch_add(&own_handled, 1);
		return;
	}
	atomic_fetch_add(&own_other, 1);
	app_handler(sig);
}

static void an_application_may_own_the_signals(void **state)
{
	struct sigaction own = {
		.sa_sigaction = own_handler, .sa_flags = SA_SIGINFO | SA_NODEFER,
	};
	struct world w;

	WORLD(w, *state, .map_pages = 20, .machine_flags = PINFOLD_NO_SIGNALS);
	atomic_store(&own_handled, 0);
	atomic_store(&own_other, 0);
	sigaction(SIGBUS, &own, NULL);
	sigaction(SIGSEGV, &own, NULL);
	for (unsigned p = 0; p < w.pages; p++)
		store_page(&w, 1, p);
	assert_true(atomic_load(&own_handled) >= (int)w.pages);
	assert_int_equal(atomic_load(&own_other), 0);
	/* not served: it comes as the system sent it */
	assert_int_equal(signal_of((void)*(volatile char *)(w.at + 18 * PG)),
	                 w.mode == PINFOLD_WINDOW_DIRECT ? SIGBUS : SIGSEGV);
	assert_int_equal(signal_of((void)*nowhere), SIGSEGV);
	assert_int_equal(atomic_load(&own_other), 2);
	assert_ok(pinfold_commit(w.file, 0, 0, NULL));
	assert_true(disk_is(&w, 1, 7));
	arm_signals();
	world_end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PLAIN(only_regular_files_are_opened),
		PLAIN(a_missing_file_is_made_only_when_asked),
		PLAIN(wrong_options_are_refused),
		PLAIN(a_file_that_is_not_writable_is_refused),
		PLAIN(a_file_open_elsewhere_is_busy_and_the_holder_named),
		EACH(a_file_is_open_once_in_a_process_too),
		PLAIN(open_waits_as_long_as_it_is_told),
		EACH(every_way_to_read_gives_the_same),
		EACH(a_commit_into_a_hole_fills_its_pages_only),
		EACH(an_empty_file_can_grow),
		EACH(what_was_stored_behind_the_end_does_not_come_back),
		EACH(growth_ends_at_max_size),
		EACH(a_file_larger_than_memory_is_read_through_pins),
		WINDOWS(a_file_larger_than_memory_is_read_through_pointers),
		EACH(a_file_larger_than_memory_is_written),
		EACH(pinned_and_dirty_pages_are_never_evicted),
		EACH(with_all_memory_pinned_there_is_no_frame),
		EACH(a_scan_leaves_the_hot_set_alone),
		EACH(the_memory_limit_covers_pool_and_direct_frames),
		EACH(reclaim_frees_clean_pages_on_demand),
		EACH(memory_files_are_never_evicted),
		EACH(close_waits_for_reads_in_flight),
		EACH(a_file_that_was_shortened_gives_an_error),
		WINDOWS(a_policy_may_heal_and_have_the_access_tried_again),
		EACH(a_read_error_is_told_and_does_not_stay),
		WINDOWS(an_application_may_own_the_signals),
	};

	return world_main(tests);
}
