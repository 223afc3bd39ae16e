/* SPDX-License-Identifier: MIT */
/*
 * drop_test.c - calls that drop the mmap lock while a page is read, and what others do meanwhile.
 *
 * Reads of the disk stop at a gate: while a thread waits there, it is known to be in the middle of its fault.  The disk
 * is the fake one with its readv replaced; without io_uring reads are done by the thread that faults.
 */
#include "anon.h"

#include "host/fake.h"
#include "host/file.h"
#include "mm/machine.h"

#include <pinfold/fault.h>
#include <pinfold/frame_vector.h>
#include <pinfold/uio.h>

/* ---- a disk with a gate ------------------------------------------------------------------------ */

static const struct host_disk_ops *real_ops;
static struct host_disk_ops gate_ops;
static _Atomic int arrived, tickets; /* reads that came to the gate; how many may pass */

#define OPEN 1000

static int64_t gated_readv(struct host_file *file, const struct iovec *iov, int n, uint64_t off)
{
	int ticket = atomic_fetch_add(&arrived, 1);

	while (atomic_load(&tickets) <= ticket)
		nap_ms(1);
	return real_ops->readv(file, iov, n, off);
}

struct scene {
	struct world w;
	struct host_disk *disk;
	unsigned long at; /* page 4: the only one in memory, but for 15 */
};

/* 16 pages with seed 0, on disk only; from here on reads wait. */
static void scene_start(struct scene *s, const struct kind *k)
{
	struct pinfold_options o = {
		.size = sizeof(o), .memory = 8 * MIB, .pool = 4 * MIB, .deadline_ms = 2000, .flags = PINFOLD_NO_URING,
	};
	struct setup set = { .file_flags = PINFOLD_FILE_CREATE };

	if (k->window == PINFOLD_WINDOW_DIRECT)
		need_window();
	arm_signals();
	*s = (struct scene){ .w = { .path = "data", .pages = 16, .fd = -1 }, .disk = fake_disk_create(1) };
	real_ops = s->disk->ops;
	gate_ops = *real_ops;
	gate_ops.readv = gated_readv;
	s->disk->ops = &gate_ops;
	atomic_store(&arrived, 0);
	atomic_store(&tickets, OPEN);
	assert_ok(machine_create_on(s->disk, &o, &s->w.m));
	world_open(&s->w, k, &set);
	assert_ok(vfs_truncate(s->w.file, 16 * PG));
	for (unsigned p = 0; p < 16; p++)
		store_page(&s->w, 0, p);
	assert_ok(pinfold_commit(s->w.file, 0, 0, NULL));
	assert_ok(pinfold_checkpoint(s->w.file));
	assert_int_equal(pinfold_reclaim(s->w.m, 100), 16);
	s->at = s->w.at + 4 * PG;
	assert_ok(put_user_page(pin_one(s->at, 0)));
	assert_ok(put_user_page(pin_one(s->w.at + 15 * PG, 0))); /* so that 5 is no sequential read */
	atomic_store(&arrived, 0);
	atomic_store(&tickets, 0);
}

static void scene_end(struct scene *s)
{
	world_close(&s->w);
	end_machine(s->w.m);
	fake_disk_destroy(s->disk);
}

static void open_gate(void)
{
	atomic_store(&tickets, OPEN);
}

/* ---- the calls, in a thread -------------------------------------------------------------------- */

enum call { LOCKED, REMOTE, POPULATE, FIXUP, UNLOCKED, FAST, FRAMES, ITER, FAULT_IN, COPY, NR_DROPPERS, IOV = NR_DROPPERS };

struct job {
	struct scene *s;
	enum call call;
	unsigned flags; /* 0, FOLL_WRITE, for pins FOLL_LONGTERM */
	unsigned long at;
	long n;
	bool keep;      /* the lock may not be dropped */
	/* out */
	struct page *pages[8];
	struct frame_vector *vec;
	long got;       /* pages, or -errno */
	int locked;
	bool unlocked, held; /* held: the lock, when the call returned */
	_Atomic int *writer, kept; /* kept: no writer came in before */
	pthread_t thread;
};

static long job_iter(struct job *j)
{
	struct iovec iov = { (void *)j->at, (size_t)j->n * PG };
	struct iov_iter i;
	size_t start;
	long r = iov_iter_init(&i, j->flags ? ITER_DEST : ITER_SOURCE, &iov, 1, iov.iov_len);

	r = r ? r : iov_iter_get_pages(&i, j->pages, iov.iov_len, 8, &start);
	return r > 0 ? r / (long)PG : r;
}

static long job_copy(struct job *j)
{
	char buf[8 * PG];
	long r;

	fill(buf, 0, 4); /* what is there */
	r = access_process_vm(j->s->w.mm, j->at, buf, (size_t)j->n * PG, j->flags);
	return r > 0 ? r / (long)PG : r;
}

static long job_fault_in(struct job *j)
{
	size_t size = (size_t)j->n * PG, left;

	left = j->flags ? fault_in_safe_writeable((char *)j->at, size) : fault_in_readable((char *)j->at, size);
	return left == size ? -EFAULT : (long)((size - left) / PG);
}

static long job_iov(struct job *j)
{
	struct iovec iov[8];
	int n = 8;

	return pinfold_iov(j->at, (size_t)j->n * PG, j->flags, j->pages, iov, &n);
}

static long job_call(struct job *j)
{
	struct mm_struct *mm = j->s->w.mm;
	int *locked = j->keep ? NULL : &j->locked;

	switch (j->call) {
	case LOCKED:
		return j->keep ? get_user_pages(j->at, (unsigned long)j->n, j->flags, j->pages, NULL) :
		                 get_user_pages_locked(j->at, (unsigned long)j->n, j->flags, j->pages, locked);
	case REMOTE:
		return get_user_pages_remote(NULL, mm, j->at, (unsigned long)j->n, j->flags, j->pages, NULL, locked);
	case POPULATE:
		return populate_vma_page_range(vma_lookup(mm, j->at), j->at, j->at + (size_t)j->n * PG, locked);
	case FIXUP:
		return fixup_user_fault(NULL, mm, j->at, j->flags ? FAULT_FLAG_WRITE : 0, j->keep ? NULL : &j->unlocked);
	case UNLOCKED:
		return get_user_pages_unlocked(j->at, (unsigned long)j->n, j->pages, j->flags);
	case FAST:
		return get_user_pages_fast(j->at, (int)j->n, j->flags, j->pages);
	case FRAMES:
		return get_vaddr_frames(j->at, (unsigned)j->n, j->flags, j->vec);
	case ITER:
		return job_iter(j);
	case FAULT_IN:
		return job_fault_in(j);
	case IOV:
		return job_iov(j);
	default:
		return job_copy(j);
	}
}

static void *job_run(void *arg)
{
	struct job *j = arg;
	struct mm_struct *mm = j->s->w.mm;
	struct page *none[1];

	if (pinfold_use_mm(mm))
		return NULL;
	j->locked = 1;
	if (j->call <= FIXUP)
		mmap_read_lock(mm);
	j->got = job_call(j);
	if (j->writer)
		j->kept = !atomic_load(j->writer);
	j->held = get_user_pages(0x1000, 1, 0, none, NULL) == -EFAULT; /* -EINVAL: not held */
	if (j->held)
		mmap_read_unlock(mm);
	return pinfold_use_mm(NULL) ? NULL : j;
}

/* Starts it, and waits until it waits for its first read. */
static void job_start(struct job *j, struct scene *s)
{
	j->s = s;
	j->vec = frame_vector_create(8);
	assert_ok(pthread_create(&j->thread, NULL, job_run, j));
	assert_true(wait_for(&arrived, 1));
}

static void job_wait(struct job *j)
{
	void *r;

	assert_ok(pthread_join(j->thread, &r));
	assert_ptr_equal(r, j);
}

static bool pins(const struct job *j)
{
	return j->call != POPULATE && j->call != FIXUP && j->call != FAULT_IN && j->call != COPY;
}

/* Gives back what it has, after a look: the file's pages at index[]. */
static void job_end(struct job *j, const unsigned *index)
{
	struct page **pages = j->call == FRAMES ? frame_vector_pages(j->vec) : j->pages;
	unsigned long n = pins(j) && j->got > 0 ? (unsigned long)j->got : 0;

	assert_int_equal(now_pinned(j->s->w.m), n);
	for (unsigned long i = 0; i < n; i++)
		assert_true(is_filled(page_address(pages[i]), 0, index[i]));
	if (j->call == FRAMES)
		assert_ok(put_vaddr_frames(j->vec));
	else
		assert_ok(put_user_pages(pages, n));
	assert_ok(frame_vector_destroy(j->vec));
}

/* What a call must say of a lock that it dropped. */
static void assert_dropped(const struct job *j)
{
	assert_int_equal(j->held, j->call == FIXUP);
	if (j->call == FIXUP)
		assert_true(j->unlocked);
	else if (j->call < FIXUP)
		assert_int_equal(j->locked, 0);
}

static const unsigned in_order[] = { 4, 5, 6 };

/* ---- dropping ---------------------------------------------------------------------------------- */

/* Clauses L2, L3, L17, Y8: a writer gets the lock while a page is read, and the call says what is true of it then. */
static void a_writer_gets_the_lock_while_a_page_is_read(void **state)
{
	for (enum call c = 0; c < NR_DROPPERS; c++) {
		struct job j = { .call = c, .n = c == FIXUP ? 1 : 3 };
		struct scene s;

		scene_start(&s, *state);
		j.at = s.at + (c == FIXUP ? PG : 0);
		job_start(&j, &s);
		mmap_write_lock(s.w.mm);
		mmap_write_unlock(s.w.mm);
		open_gate();
		job_wait(&j);
		assert_int_equal(j.got, c == FIXUP ? 0 : 3);
		assert_dropped(&j);
		job_end(&j, in_order);
		scene_end(&s);
	}
}

struct writer {
	struct mm_struct *mm;
	_Atomic int asked, in;
	pthread_t thread;
};

static void *write_lock(void *arg)
{
	struct writer *w = arg;

	atomic_store(&w->asked, 1);
	mmap_write_lock(w->mm);
	atomic_store(&w->in, 1);
	mmap_write_unlock(w->mm);
	return w;
}

static void writer_start(struct writer *w, struct mm_struct *mm)
{
	*w = (struct writer){ .mm = mm };
	assert_ok(pthread_create(&w->thread, NULL, write_lock, w));
	assert_true(wait_for(&w->asked, 1));
	nap_ms(20); /* time to come in, if it can */
}

/* Clause L1: without `locked` the lock is not dropped, however long the read takes. */
static void a_call_that_may_not_drop_the_lock_keeps_writers_out(void **state)
{
	for (enum call c = 0; c <= FIXUP; c++) {
		struct job j = { .call = c, .n = c == FIXUP ? 1 : 3, .keep = true };
		struct writer writer;
		struct scene s;

		scene_start(&s, *state);
		j.at = s.at + (c == FIXUP ? PG : 0);
		j.writer = &writer.in;
		writer.in = 0;
		job_start(&j, &s);
		writer_start(&writer, s.w.mm);
		assert_int_equal(atomic_load(&writer.in), 0);
		open_gate();
		job_wait(&j);
		assert_ok(pthread_join(writer.thread, NULL));
		assert_int_equal(j.got, c == FIXUP ? 0 : 3);
		assert_true(j.kept && j.held && j.locked == 1);
		job_end(&j, in_order);
		scene_end(&s);
	}
}

/* Clauses L13, L14, P1: unmapped by another thread meanwhile: what was obtained before stays obtained. */
static void a_mapping_that_went_meanwhile_ends_the_call_with_what_there_was(void **state)
{
	for (enum call c = 0; c < NR_DROPPERS; c++) {
		struct job j = { .call = c, .n = 3 };
		struct scene s;

		if (c == FIXUP)
			continue;
		scene_start(&s, *state);
		j.at = s.at;
		job_start(&j, &s);
		assert_ok(vm_munmap(s.w.mm, s.at, 3 * PG));
		open_gate();
		job_wait(&j);
		assert_int_equal(j.got, 1);
		assert_dropped(&j);
		job_end(&j, in_order);
		scene_end(&s);
	}
}

/* Clauses L3, L13, P13: all or nothing: what was obtained before is given back. */
static void iovecs_are_all_or_nothing_after_a_drop_too(void **state)
{
	for (int gone = 0; gone < 2; gone++) {
		struct job j = { .call = IOV, .n = 3 };
		struct scene s;

		scene_start(&s, *state);
		j.at = s.at;
		job_start(&j, &s);
		mmap_write_lock(s.w.mm);
		mmap_write_unlock(s.w.mm);
		if (gone)
			assert_ok(vm_munmap(s.w.mm, s.at + 2 * PG, PG));
		open_gate();
		job_wait(&j);
		assert_int_equal(j.got, gone ? -EFAULT : 3);
		assert_false(j.held);
		job_end(&j, in_order);
		scene_end(&s);
	}
}

/* Clauses L13, L17, F4, Y3: ... and nothing was: -EFAULT, and the lock's state is told all the same. */
static void a_mapping_that_went_before_the_first_page_is_efault(void **state)
{
	for (enum call c = 0; c < NR_DROPPERS; c++) {
		struct job j = { .call = c, .n = 2 };
		struct scene s;

		scene_start(&s, *state);
		j.at = s.at + PG;
		job_start(&j, &s);
		assert_ok(vm_munmap(s.w.mm, s.at, 3 * PG));
		open_gate();
		job_wait(&j);
		assert_int_equal(j.got, -EFAULT);
		assert_dropped(&j);
		job_end(&j, in_order);
		scene_end(&s);
	}
}

static void replace(struct scene *s, unsigned file_page, int prot)
{
	assert_int_equal(vm_mmap(s->w.mm, s->at, 3 * PG, prot, SHARED | FIXED, s->w.file, file_page * PG), s->at);
}

/*
 * Clauses L5, L13, L14, F2: replaced meanwhile, three times, each time by what must be read first: the call looks again,
 * drops the lock again, and ends with the pages that are mapped then, but for those it had.
 */
static void a_mapping_that_is_replaced_again_and_again_is_looked_up_again(void **state)
{
	static const unsigned index[] = { 4, 1, 2 }, from_second[] = { 1, 2 };
	static const unsigned where[] = { 10, 7, 0 }; /* backwards: not to be read ahead of */

	for (enum call c = 0; c < NR_DROPPERS; c++) {
		bool second = c == FIXUP || c == COPY; /* the content that it copied is not looked at */
		struct job j = { .call = c, .n = c == FIXUP ? 1 : second ? 2 : 3 };
		struct scene s;

		scene_start(&s, *state);
		j.at = s.at + (second ? PG : 0);
		job_start(&j, &s);
		for (int round = 0; round < 3; round++) {
			assert_true(wait_for(&arrived, round + 1));
			replace(&s, where[round], RW);
			atomic_store(&tickets, round + 1);
		}
		assert_true(wait_for(&arrived, 4));
		open_gate();
		job_wait(&j);
		assert_int_equal(j.got, c == FIXUP ? 0 : j.n);
		assert_dropped(&j);
		job_end(&j, second ? from_second : index);
		scene_end(&s);
	}
}

/* Clauses L13, P7, F15: replaced by a mapping without the right: checked again, refused there. */
static void a_mapping_that_became_read_only_meanwhile_is_not_written(void **state)
{
	for (enum call c = 0; c < NR_DROPPERS; c++) {
		struct job j = { .call = c, .n = 3, .flags = FOLL_WRITE };
		struct scene s;

		if (c == POPULATE || c == FRAMES) /* for loads; V7 */
			continue;
		scene_start(&s, *state);
		j.at = s.at + (c == FIXUP ? PG : 0);
		job_start(&j, &s);
		replace(&s, 4, PINFOLD_PROT_READ);
		open_gate();
		job_wait(&j);
		assert_int_equal(j.got, c == FIXUP ? -EFAULT : 1);
		assert_dropped(&j);
		job_end(&j, in_order);
		scene_end(&s);
	}
}

/* Page 4 and two more in a mapping of their own, then in a private one, while what the first was made of serves
 * another one, further up, where everything is shared. */
static unsigned long map_alone(struct scene *s)
{
	unsigned long a = s->w.at + 32 * PG;

	assert_int_equal(vm_mmap(s->w.mm, a, 3 * PG, RW, SHARED | FIXED, s->w.file, 4 * PG), a);
	return a;
}

static void make_private(struct scene *s, unsigned long a)
{
	assert_ok(vm_munmap(s->w.mm, a, 3 * PG));
	assert_int_equal(vm_mmap(s->w.mm, a + 32 * PG, 3 * PG, RW, SHARED | FIXED, s->w.file, 4 * PG), a + 32 * PG);
	assert_int_equal(vm_mmap(s->w.mm, a, 3 * PG, RW, PRIVATE | FIXED, s->w.file, 4 * PG), a);
}

/*
 * Clauses L13, U4: replaced by a private mapping of the same pages: a long-term pin wants pages of the mm's own there, and
 * not what was right for the mapping before.
 */
static void a_mapping_that_became_private_meanwhile_is_judged_anew(void **state)
{
	static const enum call calls[] = { LOCKED, REMOTE, UNLOCKED, FAST, FRAMES };

	for (unsigned i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		struct job j = { .call = calls[i], .n = 3, .flags = FOLL_LONGTERM };
		struct page **pages = j.pages;
		struct scene s;

		scene_start(&s, *state);
		j.at = map_alone(&s);
		job_start(&j, &s);
		make_private(&s, j.at);
		open_gate();
		job_wait(&j);
		assert_int_equal(j.got, 3);
		if (j.call == FRAMES)
			pages = frame_vector_pages(j.vec);
		assert_false(has_flag(pages[0], PG_anon));
		assert_true(has_flag(pages[1], PG_anon) && has_flag(pages[2], PG_anon));
		job_end(&j, in_order);
		scene_end(&s);
	}
}

/* Clauses L2, L14, F4, P1: a read that fails after the drop. */
static void a_read_error_after_the_drop_keeps_what_there_was(void **state)
{
	for (enum call c = 0; c < NR_DROPPERS; c++) {
		struct job j = { .call = c, .n = 3 };
		struct scene s;

		scene_start(&s, *state);
		j.at = s.at + (c == FIXUP ? PG : 0);
		fake_disk_fail(s.disk, 1 << 8, 1, EIO, true);
		job_start(&j, &s);
		open_gate();
		job_wait(&j);
		assert_int_equal(j.got, c == FIXUP ? -EFAULT : 1);
		assert_dropped(&j);
		fake_disk_fail(s.disk, 0, 0, 0, false);
		job_end(&j, in_order);
		assert_true(page_is(&s.w, 0, 5));
		scene_end(&s);
	}
}

/* Clauses L2, F1: nothing to wait for, nothing dropped. */
static void what_is_in_memory_is_had_without_dropping_the_lock(void **state)
{
	for (enum call c = 0; c <= FIXUP; c++) {
		struct job j = { .call = c, .n = 1 };
		struct scene s;

		scene_start(&s, *state);
		j.s = &s;
		j.at = s.at;
		j.vec = frame_vector_create(1);
		assert_ptr_equal(in_thread(job_run, &j), &j);
		assert_int_equal(j.got, c == FIXUP ? 0 : 1);
		assert_true(j.held && j.locked == 1 && !j.unlocked);
		assert_int_equal(atomic_load(&arrived), 0);
		job_end(&j, in_order);
		scene_end(&s);
	}
}

/*
 * Clauses L10, L11, L12, A23, Y7: while another thread reads the page: the lock stays, *locked stays 1, the count so far
 * or 0, and no read is waited for.
 */
static void nowait_keeps_the_lock_and_waits_for_nobody(void **state)
{
	struct job j = { .call = UNLOCKED, .n = 2 };
	struct frame_vector *vec = frame_vector_create(4);
	struct page *pages[3];
	struct writer writer;
	int locked = 1;
	struct scene s;

	scene_start(&s, *state);
	j.at = s.at + PG;
	job_start(&j, &s);
	mmap_read_lock(s.w.mm);
	writer_start(&writer, s.w.mm);
	assert_int_equal(get_user_pages_locked(s.at, 3, FOLL_NOWAIT, pages, &locked), 1);
	assert_int_equal(get_user_pages_locked(s.at + PG, 1, FOLL_NOWAIT, pages + 1, &locked), 0);
	assert_int_equal(get_user_pages_remote(NULL, s.w.mm, s.at + PG, 1, FOLL_NOWAIT, pages + 1, NULL, &locked), 0);
	assert_int_equal(get_user_pages(s.at + PG, 1, FOLL_NOWAIT, pages + 1, NULL), 0);
	assert_int_equal(get_user_pages_unlocked(s.at + PG, 1, pages + 1, FOLL_NOWAIT), 0);
	assert_int_equal(get_vaddr_frames(s.at + PG, 1, FOLL_NOWAIT, vec), -EFAULT);
	assert_null(follow_page(vma_lookup(s.w.mm, s.at), s.at + PG, FOLL_NOWAIT | FOLL_GET));
	assert_int_equal(locked, 1);
	assert_int_equal(atomic_load(&writer.in), 0);
	mmap_read_unlock(s.w.mm);
	assert_ok(put_user_page(pages[0]));
	assert_int_equal(atomic_load(&arrived), 1);
	open_gate();
	job_wait(&j);
	assert_ok(pthread_join(writer.thread, NULL));
	assert_int_equal(j.got, 2);
	job_end(&j, in_order + 1);
	assert_ok(frame_vector_destroy(vec));
	scene_end(&s);
}

/* Clause L2: the lock that may be dropped is one for reading. */
static void a_lock_held_for_writing_may_not_be_dropped(void **state)
{
	bool unlocked = false;
	int locked = 1;
	struct world w;

	WORLD(w, *state);
	mmap_write_lock(w.mm);
	assert_int_equal(populate_vma_page_range(vma_lookup(w.mm, w.at), w.at, w.at + PG, &locked), -EINVAL);
	assert_int_equal(fixup_user_fault(NULL, w.mm, w.at, 0, &unlocked), -EINVAL);
	assert_true(locked == 1 && !unlocked);
	assert_int_equal(stats_of(w.m).pages_read, 0);
	/* under it, without dropping it */
	assert_int_equal(populate_vma_page_range(vma_lookup(w.mm, w.at), w.at + PG, w.at + 2 * PG, NULL), 1);
	assert_ok(fixup_user_fault(NULL, w.mm, w.at + 2 * PG, 0, NULL));
	mmap_write_unlock(w.mm);
	world_end(&w);
}

struct section {
	struct world *w;
	_Atomic int inside, go;
	int r;
};

/* A section whose holder wants the mmap lock in it. */
static void *hold_section(void *arg)
{
	struct section *sec = arg;
	struct page *page;

	sec->r = pinfold_use_mm(sec->w->mm);
	sec->r = sec->r ? sec->r : pinfold_write_begin(sec->w->file, PG);
	atomic_store(&sec->inside, 1);
	if (!wait_for(&sec->go, 1) || sec->r)
		return NULL;
	if (get_user_pages_unlocked(sec->w->at, 1, &page, 0) != 1 || put_user_page(page))
		return NULL;
	sec->r = pinfold_write_end(sec->w->file);
	return arg;
}

static void *commit(void *arg)
{
	return pinfold_commit(((struct world *)arg)->file, 0, 0, NULL) ? NULL : arg;
}

/* At the limit of dirty pages a call waits for a commit, which waits for a section, whose holder waits for the mmap lock
 * behind a writer. */
static void wait_for_room_by(enum call call, bool keep, const struct kind *k)
{
	struct job j = { .call = call, .n = 1, .flags = FOLL_WRITE, .keep = keep };
	struct section sec = { .inside = 0 };
	struct scene s;
	struct writer writer;
	pthread_t holder, committer;
	void *r;

	WORLD(s.w, k, .dirty_limit = 8 * PG, .deadline_ms = 20000);
	sec.w = &s.w;
	assert_ok(pthread_create(&holder, NULL, hold_section, &sec));
	assert_true(wait_for(&sec.inside, 1));
	for (unsigned p = 1; p < 8; p++)
		store_page(&s.w, 1, p);
	j.s = &s;
	j.at = s.w.at + 9 * PG;
	j.vec = frame_vector_create(1);
	assert_ok(pthread_create(&j.thread, NULL, job_run, &j));
	nap_ms(20); /* waits for room */
	writer_start(&writer, s.w.mm);
	assert_ok(pthread_create(&committer, NULL, commit, &s.w));
	nap_ms(20); /* waits for the section */
	atomic_store(&sec.go, 1);
	job_wait(&j);
	assert_ok(pthread_join(committer, &r));
	assert_ptr_equal(r, &s.w);
	assert_ok(pthread_join(holder, &r));
	assert_ptr_equal(r, &sec);
	assert_ok(pthread_join(writer.thread, NULL));
	assert_int_equal(sec.r, 0);
	if (j.got != (j.call == FIXUP ? 0 : 1))
		fail_msg("call %d, the lock %s: it got no room, but %ld", j.call, keep ? "kept" : "dropped", j.got);
	assert_int_equal(j.held, keep || j.call == FIXUP || (j.call < FIXUP && j.locked));
	job_end(&j, (const unsigned[]){ 9 });
	world_end(&s.w);
}

/* Clause L2, decision D11: the call has dropped the lock, and all come through. */
static void room_is_waited_for_without_the_lock(void **state)
{
	static const enum call calls[] = { LOCKED, REMOTE, FIXUP, UNLOCKED, FAST };

	for (unsigned i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		wait_for_room_by(calls[i], false, *state);
}

/* Clause L1, decision D11: the call keeps the lock; the section's holder is not held off by the writer that waits for it. */
static void room_is_waited_for_under_the_lock(void **state)
{
	static const enum call calls[] = { LOCKED, REMOTE, FIXUP };

	for (unsigned i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		wait_for_room_by(calls[i], true, *state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		EACH(a_writer_gets_the_lock_while_a_page_is_read),
		EACH(a_call_that_may_not_drop_the_lock_keeps_writers_out),
		EACH(a_mapping_that_went_meanwhile_ends_the_call_with_what_there_was),
		EACH(iovecs_are_all_or_nothing_after_a_drop_too),
		EACH(a_mapping_that_went_before_the_first_page_is_efault),
		EACH(a_mapping_that_is_replaced_again_and_again_is_looked_up_again),
		EACH(a_mapping_that_became_read_only_meanwhile_is_not_written),
		FILES(a_mapping_that_became_private_meanwhile_is_judged_anew),
		EACH(a_read_error_after_the_drop_keeps_what_there_was),
		EACH(what_is_in_memory_is_had_without_dropping_the_lock),
		EACH(nowait_keeps_the_lock_and_waits_for_nobody),
		EACH(a_lock_held_for_writing_may_not_be_dropped),
		EACH(room_is_waited_for_without_the_lock),
		EACH(room_is_waited_for_under_the_lock),
	};

	return world_main(tests);
}
