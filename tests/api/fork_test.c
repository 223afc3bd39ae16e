/* SPDX-License-Identifier: MIT */
/*
 * fork_test.c - fork(2), exec, system(), posix_spawn and the end of threads, beside windows, pins, I/O
 * in flight and write sections (decision D12, clauses K and M14 as far as a process's fork goes).
 *
 * The child has no machine: its calls say -EOWNERDEAD, its touch of a window is a signal, and
 * nothing that it does or keeps open reaches the parent.
 */
#include "world.h"

#include <pinfold/fault.h>
#include <pinfold/frame_vector.h>
#include <pinfold/uio.h>

#include <dirent.h>
#include <liburing.h>
#include <spawn.h>
#include <sys/syscall.h>

extern char **environ;

/* Runs fn in a forked child with 20 s to live; 0, or what it returned, or 1000 + signal. */
static int in_child(int (*fn)(void *), void *arg)
{
	pid_t pid = fork();

	if (pid == 0) {
		alarm(20);
		_exit(fn(arg));
	}
	return status_of(pid);
}

/* ---- calls ----------------------------------------------------------------------------------- */

struct child_args {
	struct world *w;
	struct page *page;
};

static int machine_calls(struct world *w)
{
	struct pinfold_file_options fo = { .size = sizeof(fo) };
	struct pinfold_stats s = { .size = sizeof(s) };
	struct pinfold_file *file;
	struct mm_struct *mm;
	const long r[] = {
		pinfold_destroy(w->m), pinfold_get_stats(w->m, &s), pinfold_check(w->m),
		pinfold_reclaim(w->m, 1), pinfold_open(w->m, w->path, &fo, &file),
		pinfold_open_memory(w->m, PG, NULL, &file),
		pinfold_mm_create(w->m, PINFOLD_WINDOW_NONE, &mm), pinfold_poll_fd(w->m),
		pinfold_progress(w->m),
	};

	for (unsigned i = 0; i < sizeof(r) / sizeof(r[0]); i++)
		if (r[i] != -EOWNERDEAD)
			return 1 + (int)i;
	return 0;
}

static int file_calls(struct world *w)
{
	const long r[] = {
		pinfold_size(w->file), vfs_truncate(w->file, 100 * PG),
		pinfold_write_begin(w->file, PG), pinfold_write_end(w->file),
		pinfold_freeze(w->file, 0, 0), pinfold_commit_wait(w->file, 1, NULL),
		pinfold_commit(w->file, 0, 0, NULL), pinfold_checkpoint(w->file),
		pinfold_close(w->file),
	};

	for (unsigned i = 0; i < sizeof(r) / sizeof(r[0]); i++)
		if (r[i] != -EOWNERDEAD)
			return 20 + (int)i;
	return 0;
}

static int mm_calls(struct world *w)
{
	char buf[8];
	const long r[] = {
		pinfold_use_mm(w->mm), vm_mmap(w->mm, 0, PG, RW, SHARED, w->file, 0),
		vm_munmap(w->mm, w->at, w->pages * PG), vm_mprotect(w->mm, w->at, w->pages * PG, RW),
		vm_madvise(w->mm, w->at, PG, PINFOLD_MADV_DONTNEED),
		access_process_vm(w->mm, w->at, buf, 8, 0), pinfold_prefetch(w->mm, w->at, PG),
		pinfold_mm_destroy(w->mm),
	};

	for (unsigned i = 0; i < sizeof(r) / sizeof(r[0]); i++)
		if (r[i] != -EOWNERDEAD)
			return 40 + (int)i;
	return 0;
}

static int pin_calls(struct world *w, struct page *page)
{
	struct page *pages[1] = { page }, *out[1];
	struct iovec iov[1], memory = { (void *)w->at, PG };
	struct frame_vector *vec = frame_vector_create(1);
	struct iov_iter i;
	size_t start;
	int n = 1, init = iov_iter_init(&i, ITER_SOURCE, &memory, 1, PG);
	const long r[] = {
		get_user_pages_fast(w->at, 1, 0, out), get_user_pages_unlocked(w->at, 1, out, 0),
		get_user_pages(w->at, 1, 0, out, NULL), get_user_pages_locked(w->at, 1, 0, out, &n),
		get_user_pages_remote(NULL, w->mm, w->at, 1, 0, out, NULL, NULL),
		pinfold_iov(w->at, PG, 0, out, iov, &n), put_user_page(page),
		put_user_pages(pages, 1), put_user_pages_dirty(pages, 1),
		put_user_pages_dirty_lock(pages, 1), get_page(page), put_page(page),
		PTR_ERR(follow_page(NULL, w->at, 0)), populate_vma_page_range(NULL, w->at, w->at, NULL),
		fixup_user_fault(NULL, w->mm, w->at, 0, NULL), get_vaddr_frames(w->at, 1, 0, vec),
		iov_iter_get_pages(&i, out, PG, 1, &start),
		fault_in_readable((char *)w->at, PG) == PG ? -EOWNERDEAD : 0,
	};

	for (unsigned k = 0; k < sizeof(r) / sizeof(r[0]); k++)
		if (r[k] != -EOWNERDEAD)
			return 60 + (int)k;
	return init | frame_vector_destroy(vec);
}

static int all_calls(void *arg)
{
	struct child_args *a = arg;
	int r = machine_calls(a->w);

	if (!r)
		r = mm_calls(a->w);
	if (!r)
		r = pin_calls(a->w, a->page);
	return r ? r : file_calls(a->w);
}

/* Header: every call in the child gives -EOWNERDEAD, and changes nothing in the parent. */
static void every_call_in_the_child_says_so(void **state)
{
	struct child_args a;
	struct world w;

	WORLD(w, *state);
	a.w = &w;
	a.page = pin_one(w.at, FOLL_WRITE);
	assert_ok(get_page(a.page));
	fill(page_address(a.page), 1, 0);
	assert_ok(in_child(all_calls, &a));
	check_machine(w.m);
	assert_ok(put_page(a.page));
	assert_ok(put_user_page(a.page));
	assert_ok(pinfold_commit(w.file, 0, 0, NULL));
	assert_true(disk_is(&w, 1, 0));
	world_end(&w);
}

static int child_in_section(void *arg)
{
	struct world *w = arg;

	return pinfold_write_end(w->file) == -EOWNERDEAD ? 0 : 1;
}

/* The child has neither the section nor the mmap lock of the thread that forked. */
static void a_fork_inside_a_section_or_under_the_mmap_lock(void **state)
{
	struct page *page;
	struct world w;

	WORLD(w, *state);
	assert_ok(pinfold_write_begin(w.file, 2 * PG));
	store_page(&w, 1, 0);
	assert_ok(in_child(child_in_section, &w));
	store_page(&w, 1, 1);
	assert_ok(pinfold_write_end(w.file));
	mmap_read_lock(w.mm);
	assert_ok(in_child(child_in_section, &w));
	assert_int_equal(get_user_pages(w.at, 1, 0, &page, NULL), 1);
	mmap_read_unlock(w.mm);
	assert_ok(put_user_page(page));
	assert_ok(pinfold_commit(w.file, 0, 0, NULL));
	assert_true(disk_is(&w, 1, 0) && disk_is(&w, 1, 1));
	world_end(&w);
}

/* ---- memory and descriptors ------------------------------------------------------------------ */

static int load_window(void *arg)
{
	return *(volatile char *)((struct world *)arg)->at;
}

static int store_window(void *arg)
{
	memset((void *)((struct world *)arg)->at, 0xee, PG);
	return 0;
}

/* Issue 2, D12: the child's touch of a window is its death, and no harm to the parent. */
static void a_child_that_touches_a_window_dies_alone(void **state)
{
	struct world w;

	WORLD(w, *state);
	store_page(&w, 1, 0);
	assert_in_range(in_child(load_window, &w), 1000 + SIGBUS, 1000 + SIGSEGV);
	assert_in_range(in_child(store_window, &w), 1000 + SIGBUS, 1000 + SIGSEGV);
	assert_true(page_is(&w, 1, 0));
	store_page(&w, 2, 1);
	assert_ok(pinfold_commit(w.file, 0, 0, NULL));
	assert_true(disk_is(&w, 1, 0) && disk_is(&w, 2, 1));
	world_end(&w);
}

static int scribble(void *arg)
{
	memset(arg, 0xee, PG);
	return 0;
}

/* D12: also not through the library's own view of a pinned page. */
static void a_child_cannot_scribble_on_pinned_pages(void **state)
{
	struct page *page;
	struct world w;
	int status;

	WORLD(w, *state);
	page = pin_one(w.at, FOLL_WRITE);
	status = in_child(scribble, page_address(page));
	if (!THREAD_SANITIZER) /* else something of its own may lie there in the child */
		assert_in_range(status, 1000 + SIGBUS, 1000 + SIGSEGV);
	assert_true(is_filled(page_address(page), 0, 0));
	fill(page_address(page), 1, 0);
	assert_ok(put_user_pages_dirty(&page, 1));
	assert_ok(pinfold_commit(w.file, 0, 0, NULL));
	assert_true(disk_is(&w, 1, 0));
	world_end(&w);
}

static bool is_ours(const char *name, const char *path)
{
	const char *const parts[] = { "pinfold-pool", "pinfold-file", "io_uring", "userfaultfd" };

	for (unsigned i = 0; i < 4; i++)
		if (strstr(name, parts[i]))
			return true;
	return strstr(name, path);
}

/* Descriptors of the machine that this process has; the test's own one is not counted. */
static int descriptors(void *arg)
{
	struct world *w = arg;
	DIR *d = opendir("/proc/self/fd");
	char link[300], name[700];
	struct dirent *e;
	int found = 0;

	while (d && (e = readdir(d))) {
		ssize_t n;

		snprintf(link, sizeof(link), "/proc/self/fd/%s", e->d_name);
		n = readlink(link, name, sizeof(name) - 1);
		if (n <= 0 || atoi(e->d_name) == w->fd)
			continue;
		name[n] = 0;
		found += is_ours(name, w->path);
	}
	return d ? closedir(d), found : 99;
}

static int mappings(void *arg)
{
	struct world *w = arg;
	FILE *f = fopen("/proc/self/maps", "r");
	char line[1200];
	int found = 0;

	while (f && fgets(line, sizeof(line), f))
		found += is_ours(line, w->path);
	return f ? fclose(f), found : 99;
}

/* D12: the child handler closes files and rings and has no mapping of frames. */
static void the_child_keeps_no_descriptor_and_no_frame(void **state)
{
	struct world w;

	WORLD(w, *state);
	store_page(&w, 1, 0);
	assert_true(descriptors(&w) > 0);
	assert_true(mappings(&w) > 0);
	assert_ok(in_child(descriptors, &w));
	assert_ok(in_child(mappings, &w));
	world_end(&w);
}

/* ---- the file's lock ------------------------------------------------------------------------- */

enum way { BY_FORK, BY_SYSCALL, BY_SPAWN };

/* A child that does nothing but live.  BY_SYSCALL: without the library's fork handler. */
static pid_t idle_child(enum way way)
{
	char *argv[] = { "sleep", "30", NULL };
	pid_t pid = -1;

	if (way == BY_SPAWN) {
		if (posix_spawnp(&pid, "sleep", NULL, NULL, argv, environ))
			return -1;
		return pid;
	}
	pid = way == BY_FORK ? fork() : (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
	if (pid == 0) {
		alarm(30);
		for (;;)
			pause();
	}
	return pid;
}

/* Issue 2: the lock does not outlive its owner because of a child. */
static void the_lock_ends_with_close_though_a_child_lives(void **state)
{
	for (enum way way = BY_FORK; way <= BY_SPAWN; way++) {
		struct setup s = { .pages = 16 };
		struct world w;
		pid_t pid;

		WORLD(w, *state);
		store_page(&w, 1, 0);
		assert_ok(pinfold_commit(w.file, 0, 0, NULL));
		pid = idle_child(way);
		assert_true(pid > 0);
		world_close(&w);
		world_open(&w, *state, &s);
		assert_true(page_is(&w, 1, 0));
		kill(pid, SIGKILL);
		assert_int_equal(status_of(pid), 1000 + SIGKILL);
		world_end(&w);
	}
}

/* The same when the owner was killed: a child of its own must not keep the file. */
static void the_lock_ends_with_a_killed_owner_though_its_child_lives(void **state)
{
	struct setup s = { .pages = 16 };
	struct world w = { .pages = 16 };
	int ready[2];
	pid_t owner, child = 0;

	if (((const struct kind *)*state)->window == PINFOLD_WINDOW_DIRECT)
		need_window();
	new_path(w.path, sizeof(w.path));
	w.fd = new_file(w.path, 16 * PG, false);
	assert_ok(pipe(ready));
	owner = fork();
	if (owner == 0) {
		arm_signals();
		w.m = new_machine(&s);
		world_open(&w, *state, &s);
		store_page(&w, 1, 0);
		if (pinfold_commit(w.file, 0, 0, NULL))
			_exit(1);
		/* the child itself tells: the library's handler, which lets the lock go, has run then */
		if (fork() == 0) {
			alarm(30);
			child = getpid();
		}
		if (child && write(ready[1], &child, sizeof(child)) != sizeof(child))
			_exit(1);
		for (;;)
			pause();
	}
	assert_int_equal(read(ready[0], &child, sizeof(child)), sizeof(child));
	kill(owner, SIGKILL);
	assert_int_equal(status_of(owner), 1000 + SIGKILL);
	close(ready[0]);
	close(ready[1]);
	arm_signals();
	w.m = new_machine(&s);
	world_open(&w, *state, &s);
	assert_true(page_is(&w, 1, 0));
	kill(child, SIGKILL);
	world_end(&w);
}

/* ---- fork, exec, system, posix_spawn under load ---------------------------------------------- */

struct load {
	struct world *w;
	_Atomic int stop;
	int result;
	unsigned first;
};

static void *pin_and_commit(void *arg)
{
	struct load *l = arg;
	struct page *pages[4];

	l->result = pinfold_use_mm(l->w->mm);
	for (unsigned k = 1; !atomic_load(&l->stop) && !l->result; k++) {
		unsigned long a = l->w->at + l->first * PG;

		if (get_user_pages_fast(a, 4, FOLL_WRITE, pages) != 4) {
			l->result = -1;
			break;
		}
		fill(page_address(pages[k % 4]), k, l->first + k % 4);
		l->result = put_user_pages_dirty_lock(pages, 4);
		if (l->w->window) /* faults while the address space is being copied */
			fill((void *)(a + (k + 1) % 4 * PG), k, l->first + (k + 1) % 4);
		if (!l->result && k % 4 == 0 && l->first == 0)
			l->result = pinfold_commit(l->w->file, 0, 0, NULL);
	}
	return NULL;
}

static void start_load(struct load *l, pthread_t *t, struct world *w)
{
	for (int i = 0; i < 2; i++) {
		l[i] = (struct load){ .w = w, .first = 8 * (unsigned)i };
		assert_ok(pthread_create(&t[i], NULL, pin_and_commit, &l[i]));
	}
}

static void end_load(struct load *l, pthread_t *t)
{
	for (int i = 0; i < 2; i++) {
		atomic_store(&l[i].stop, 1);
		pthread_join(t[i], NULL);
		assert_ok(l[i].result);
	}
}

/* The child of a fork at any moment neither hangs on a lock of a thread that is gone nor touches the
 * parent's state. */
static void forks_beside_pins_and_commits(void **state)
{
	struct child_args a;
	struct load l[2];
	pthread_t t[2];
	struct world w;

	WORLD(w, *state);
	a.w = &w;
	a.page = pin_one(w.at + 15 * PG, 0);
	start_load(l, t, &w);
	for (int i = 0; i < 60; i++)
		assert_ok(in_child(all_calls, &a));
	end_load(l, t);
	assert_ok(put_user_page(a.page));
	assert_ok(pinfold_commit(w.file, 0, 0, NULL));
	world_end(&w);
}

/* Header: exec and posix_spawn are not affected; system() is both. */
static void programs_are_started_beside_pins_and_commits(void **state)
{
	char *argv[] = { "true", NULL };
	struct load l[2];
	pthread_t t[2];
	struct world w;
	pid_t pid;

	WORLD(w, *state);
	start_load(l, t, &w);
	for (int i = 0; i < 10; i++) {
		assert_ok(system("true"));
		assert_ok(posix_spawnp(&pid, "true", NULL, NULL, argv, environ));
		assert_ok(status_of(pid));
		pid = fork();
		if (pid == 0) {
			execvp("true", argv);
			_exit(127);
		}
		assert_ok(status_of(pid));
	}
	end_load(l, t);
	assert_ok(pinfold_commit(w.file, 0, 0, NULL));
	world_end(&w);
}

static int child_of_reads(void *arg)
{
	struct child_args *a = arg;

	return put_user_page(a->page) == -EOWNERDEAD ? 0 : 1;
}

/*
 * Issue 2: fork, exec and system() during pinned I/O: the device's data arrives in the parent's
 * page.
 */
static void forks_during_reads_into_pinned_pages(void **state)
{
	enum { N = 16 };
	struct child_args a;
	struct page *pages[N];
	struct io_uring ring;
	struct io_uring_cqe *cqe;
	char piece[PG];
	int p[2];
	struct world w;

	need_uring();
	WORLD(w, *state);
	assert_ok(io_uring_queue_init(32, &ring, 0));
	assert_ok(pipe(p));
	assert_int_equal(get_user_pages_fast(w.at, N, FOLL_WRITE, pages), N);
	a.w = &w;
	a.page = pages[0];
	for (unsigned i = 0; i < N; i++) {
		struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

		io_uring_prep_read(sqe, p[0], page_address(pages[i]), PG, 0);
		sqe->user_data = i;
		/* in flight: the pipe is empty until after the child was made */
		assert_int_equal(io_uring_submit(&ring), 1);
		if (i % 8 == 0)
			assert_ok(system("true"));
		else
			assert_ok(in_child(child_of_reads, &a));
		fill(piece, 5, i);
		assert_int_equal(write(p[1], piece, PG), PG);
		assert_ok(io_uring_wait_cqe(&ring, &cqe));
		assert_int_equal(cqe->res, PG);
		assert_int_equal(cqe->user_data, i);
		io_uring_cqe_seen(&ring, cqe);
		assert_true(is_filled(page_address(pages[i]), 5, i));
	}
	assert_ok(put_user_pages_dirty_lock(pages, N));
	assert_ok(pinfold_commit(w.file, 0, 0, NULL));
	for (unsigned i = 0; i < N; i++)
		assert_true(disk_is(&w, 5, i) && page_is(&w, 5, i));
	io_uring_queue_exit(&ring);
	close(p[0]);
	close(p[1]);
	world_end(&w);
}

static int child_of_prefetch(void *arg)
{
	struct world *w = arg;

	return pinfold_progress(w->m) == -EOWNERDEAD ? 0 : 1;
}

/* The machine's own reads in flight belong to the parent's ring. */
static void forks_during_the_machines_own_reads(void **state)
{
	struct world w;

	WORLD(w, *state, .pages = 1024, .memory = 24 * MIB, .pool = 12 * MIB);
	for (unsigned i = 0; i < 1024; i += 128) {
		assert_int_equal(pinfold_prefetch(w.mm, w.at + i * PG, 128 * PG), 128);
		assert_ok(in_child(child_of_prefetch, &w));
	}
	for (unsigned i = 0; i < 1024; i++)
		assert_true(page_is(&w, 0, i));
	world_end(&w);
}

/* ---- the end of threads ---------------------------------------------------------------------- */

static void *end_in_section(void *arg)
{
	struct load *l = arg;

	l->result = pinfold_use_mm(l->w->mm);
	if (!l->result)
		l->result = pinfold_write_begin(l->w->file, 4 * PG);
	if (!l->result)
		store_page(l->w, 1, 0);
	return NULL;
}

/* Issue 2, D12: a thread that ends inside a section ends the section: nobody waits for ever. */
static void a_thread_that_ends_inside_a_section_ends_it(void **state)
{
	struct load l = { 0 };
	struct world w;

	WORLD(w, *state, .dirty_limit = 8 * PG);
	l.w = &w;
	for (int i = 0; i < 3; i++) {
		in_thread(end_in_section, &l);
		assert_ok(l.result);
		assert_int_equal(stats_of(w.m).dirty_pages, 1);
		assert_ok(pinfold_commit(w.file, 0, 0, NULL));
		assert_true(disk_is(&w, 1, 0));
		assert_int_equal(stats_of(w.m).dirty_pages, 0);
	}
	assert_ok(pinfold_write_begin(w.file, 8 * PG));
	assert_ok(pinfold_write_end(w.file));
	world_end(&w);
}

/* The same of an asynchronous window: what the thread stored is found by the next freeze. */
static void a_dead_threads_asynchronous_stores_are_committed(void **state)
{
	struct load l = { 0 };
	struct world w;

	WORLD(w, *state, .file_flags = PINFOLD_FILE_ASYNC_WP);
	l.w = &w;
	in_thread(end_in_section, &l);
	assert_ok(l.result);
	assert_ok(pinfold_commit(w.file, 0, 0, NULL));
	assert_true(disk_is(&w, 1, 0));
	assert_int_equal(stats_of(w.m).dirty_pages, 0);
	world_end(&w);
}

/* What a dead thread had reserved wakes those who wait for room. */
static void *wait_for_room(void *arg)
{
	struct load *l = arg;

	l->result = pinfold_use_mm(l->w->mm);
	if (!l->result)
		store_page(l->w, 2, 5);
	return NULL;
}

static void *end_in_section_late(void *arg)
{
	struct load *l = arg;

	l->result = pinfold_use_mm(l->w->mm);
	if (!l->result)
		l->result = pinfold_write_begin(l->w->file, 4 * PG);
	atomic_store(&l->stop, 1);
	nap_ms(100);
	return NULL;
}

static void a_dead_threads_reservation_wakes_who_waits_for_room(void **state)
{
	struct load l = { 0 }, waiter = { 0 };
	uint64_t start = now_ms();
	pthread_t t[2];
	struct world w;

	WORLD(w, *state, .dirty_limit = 4 * PG, .deadline_ms = 5000);
	l.w = waiter.w = &w;
	pthread_create(&t[0], NULL, end_in_section_late, &l);
	assert_true(wait_for(&l.stop, 1));
	pthread_create(&t[1], NULL, wait_for_room, &waiter);
	pthread_join(t[0], NULL);
	pthread_join(t[1], NULL);
	assert_ok(l.result);
	assert_ok(waiter.result);
	assert_true(now_ms() - start < 3000);
	assert_true(page_is(&w, 2, 5));
	world_end(&w);
}

static void *pin_and_end(void *arg)
{
	struct load *l = arg;
	struct page *page = NULL;

	l->result = pinfold_use_mm(l->w->mm);
	if (get_user_pages_fast(l->w->at, 1, FOLL_WRITE, &page) != 1)
		l->result = -1;
	return page;
}

/* Clause M14: pins survive until their owner's release; the counts of a dead thread stay. */
static void pins_of_a_dead_thread_stay(void **state)
{
	struct load l = { 0 };
	struct page *page;
	struct world w;

	WORLD(w, *state);
	l.w = &w;
	for (int i = 0; i < 3; i++) {
		page = in_thread(pin_and_end, &l);
		assert_ok(l.result);
		assert_int_equal(stats_of(w.m).pins_acquired - stats_of(w.m).pins_released, 1);
		fill(page_address(page), 6, 0);
		assert_ok(put_user_page(page));
	}
	assert_ok(pinfold_commit(w.file, 0, 0, NULL));
	assert_true(disk_is(&w, 6, 0));
	world_end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		EACH(every_call_in_the_child_says_so),
		EACH(a_fork_inside_a_section_or_under_the_mmap_lock),
		WINDOWS(a_child_that_touches_a_window_dies_alone),
		EACH(a_child_cannot_scribble_on_pinned_pages),
		EACH(the_child_keeps_no_descriptor_and_no_frame),
		EACH(the_lock_ends_with_close_though_a_child_lives),
		EACH(the_lock_ends_with_a_killed_owner_though_its_child_lives),
		EACH(forks_beside_pins_and_commits),
		EACH(programs_are_started_beside_pins_and_commits),
		EACH(forks_during_reads_into_pinned_pages),
		EACH(forks_during_the_machines_own_reads),
		EACH(a_thread_that_ends_inside_a_section_ends_it),
		ON(window, a_dead_threads_asynchronous_stores_are_committed),
		EACH(a_dead_threads_reservation_wakes_who_waits_for_room),
		EACH(pins_of_a_dead_thread_stay),
	};

	return world_main(tests);
}
