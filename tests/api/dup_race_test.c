/* SPDX-License-Identifier: MIT */
/*
 * dup_race_test.c - snapshots while threads store and pin, and while a device writes: what a snapshot shows is of one
 * moment and stands still; a pin and its process never part (clauses K2, K11, K12, Q11, W10).
 */
#include "anon.h"

#include <liburing.h>

/* ---- stores ------------------------------------------------------------------------------------- */

struct storer {
	struct space *s;
	unsigned long a, b; /* offsets of two words */
	_Atomic int stop;
};

static void *store_in_turn(void *arg)
{
	struct storer *t = arg;
	volatile uint64_t *a = (uint64_t *)(t->s->at + t->a), *b = (uint64_t *)(t->s->at + t->b);

	for (uint64_t i = 1; !atomic_load(&t->stop); i++) {
		*a = i;
		*b = i;
	}
	return NULL;
}

/* Clause K11 as replaced: no thread's store is half in the snapshot: of two that follow each other never the second alone. */
static void a_snapshot_is_the_memory_of_one_moment(void **state)
{
	const struct pair *k = *state;
	struct pinfold *m = MACHINE();
	struct space p = new_space(m, k->parent);
	struct storer t[2] = { { &p, 0, 1700 * PG, 0 }, { &p, 900 * PG, 8, 0 } }; /* up and down the tables */
	pthread_t thread[2];

	map_anon(&p, 0, 2048, RW, PRIVATE);
	for (int i = 0; i < 2; i++)
		pthread_create(&thread[i], NULL, store_in_turn, &t[i]);
	for (unsigned n = 0; n < 100; n++) {
		struct space c = snapshot(m, &p, k->child);

		for (int i = 0; i < 2; i++) {
			uint64_t a = peek(&c, t[i].a), b = peek(&c, t[i].b);

			if (a != b && a != b + 1)
				fail_msg("snapshot %u: %lu was stored before %lu", n, a, b);
			if (n % 16 == 0)
				nap_ms(1);
			assert_int_equal(peek(&c, t[i].a), a);
			assert_int_equal(peek(&c, t[i].b), b);
		}
		end_space(&c);
	}
	for (int i = 0; i < 2; i++) {
		atomic_store(&t[i].stop, 1);
		pthread_join(thread[i], NULL);
	}
	end_both(m, &p);
}

/* ---- pins --------------------------------------------------------------------------------------- */

#define PAGES 8u

struct pinner {
	struct space *s;
	unsigned me;
	_Atomic int stop;
	uint64_t rounds;
	int result;
};

/* One pin: what the device and the process write, each sees of the other, as long as it lasts.  0, or where not. */
static int one_pin(struct pinner *t, unsigned long a, uint64_t v, unsigned flags)
{
	volatile uint64_t *mine = (uint64_t *)a + 2 * t->me;
	struct page *page, *again;
	volatile uint64_t *dev;
	int bad = 0;

	if (get_user_pages_fast(a, 1, flags, &page) != 1)
		return 1;
	dev = device_word(page) + 2 * t->me;
	if (get_user_pages_fast(a, 1, FOLL_WRITE, &again) != 1)
		bad = 2;
	else if (again != page)
		bad = 3;
	dev[0] = v;
	if (!bad && t->s->window) {
		bad = mine[0] != v ? 4 : 0;
		mine[1] = v;
		bad = !bad && dev[1] != v ? 5 : bad;
		dev[1] = v + 1;
		bad = !bad && mine[1] != v + 1 ? 6 : bad;
	}
	if (bad != 2 && put_user_page(again))
		bad = 7;
	return put_user_page(page) ? 8 : bad;
}

static void *pin_and_compare(void *arg)
{
	struct pinner *t = arg;

	t->result = pinfold_use_mm(t->s->mm);
	if (t->result)
		return NULL;
	do { /* once at least, however late the thread gets its turn */
		uint64_t v = ++t->rounds * 4;

		t->result = one_pin(t, t->s->at + (v / 4 + t->me) % PAGES * PG, v, v & 4 ? FOLL_WRITE : FOLL_LONGTERM);
	} while (!atomic_load(&t->stop) && !t->result);
	return NULL;
}

/* Clauses Q8, Q11, Q12, Q14, W10: whenever a pin is taken beside a snapshot, the page stays the process's. */
static void pins_beside_snapshots_stay_with_the_process(void **state)
{
	const struct pair *k = *state;
	struct pinfold *m = MACHINE();
	struct space p = new_space(m, k->parent);
	struct pinner t[2];
	pthread_t thread[2];
	uint64_t word[PAGES][4];

	map_anon(&p, 0, PAGES, RW, PRIVATE);
	for (unsigned i = 0; i < 2; i++) {
		t[i] = (struct pinner){ .s = &p, .me = i };
		pthread_create(&thread[i], NULL, pin_and_compare, &t[i]);
	}
	for (unsigned n = 0; n < 300; n++) {
		struct space c = snapshot(m, &p, k->child);

		for (unsigned i = 0; i < 4 * PAGES; i++)
			word[i / 4][i % 4] = peek(&c, i / 4 * PG + i % 4 * 8);
		sched_yield();
		for (unsigned i = 0; i < 4 * PAGES; i++) /* a child's page stands still, whoever had it pinned */
			assert_int_equal(peek(&c, i / 4 * PG + i % 4 * 8), word[i / 4][i % 4]);
		end_space(&c);
	}
	for (unsigned i = 0; i < 2; i++) {
		atomic_store(&t[i].stop, 1);
		pthread_join(thread[i], NULL);
		assert_ok(t[i].result);
		assert_true(t[i].rounds > 0);
	}
	end_both(m, &p);
}

/* ---- a device ----------------------------------------------------------------------------------- */

#define IO 16u

/* Asks for `len` bytes of fd at off into a page's memory. */
static int submit_read(struct io_uring *ring, int fd, struct page *page, size_t len, uint64_t off)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	io_uring_prep_read(sqe, fd, page_address(page), (unsigned)len, off);
	return io_uring_submit(ring) == 1 ? 0 : -1;
}

static int reap(struct io_uring *ring, unsigned n, int len)
{
	struct io_uring_cqe *cqe;

	while (n--) {
		if (io_uring_wait_cqe(ring, &cqe) || cqe->res != len)
			return -1;
		io_uring_cqe_seen(ring, cqe);
	}
	return 0;
}

/*
 * Reads in flight while the snapshot is made, both sides storing to the other half of the page before the data comes:
 * the device's bytes are the parent's, all of them, and none of them the child's.
 */
static void a_read_in_flight_at_the_snapshot_is_the_parents(void **state)
{
	const struct pair *k = *state;
	struct page *pages[IO];
	struct io_uring ring;
	struct pinfold *m;
	struct space p, c;
	char data[PG];
	int fd[2];

	need_uring();
	assert_ok(io_uring_queue_init(2 * IO, &ring, 0));
	assert_ok(pipe(fd));
	m = MACHINE();
	p = new_space(m, k->parent);
	map_anon(&p, 0, IO, RW, PRIVATE);
	put_pages(&p, 1, 0, IO);
	assert_ok(pinfold_use_mm(p.mm));
	assert_int_equal(get_user_pages_fast(p.at, IO, FOLL_WRITE, pages), IO);
	for (unsigned i = 0; i < IO; i++) {
		assert_ok(submit_read(&ring, fd[0], pages[i], PG / 2, 0));
		c = snapshot(m, &p, k->child);
		poke(&p, i * PG + PG / 2, 100 + i);
		poke(&c, i * PG + PG / 2, 200 + i);
		fill(data, 5, i);
		assert_int_equal(write(fd[1], data, PG / 2), PG / 2);
		assert_ok(reap(&ring, 1, PG / 2));
		for (unsigned w = 0; w < PG / 16; w++) {
			assert_int_equal(peek(&p, i * PG + w * 8), word_of(5, i, w));
			assert_int_equal(peek(&c, i * PG + w * 8), word_of(1, i, w));
		}
		assert_int_equal(device_word(pages[i])[PG / 16], 100 + i);
		assert_int_equal(peek(&p, i * PG + PG / 2), 100 + i);
		assert_int_equal(peek(&c, i * PG + PG / 2), 200 + i);
		assert_int_equal(peek(&p, i * PG + PG / 2 + 8), word_of(1, i, PG / 16 + 1));
		end_space(&c);
		assert_ok(pinfold_use_mm(p.mm));
	}
	assert_ok(put_user_pages_dirty_lock(pages, IO));
	io_uring_queue_exit(&ring);
	close(fd[0]);
	close(fd[1]);
	end_both(m, &p);
}

struct reader {
	const struct pair *k;
	struct pinfold *m;
	struct space *p;
	int fd;
	unsigned first; /* page */
	int result;     /* 0, or the step that went wrong */
};

/* What a side holds of IO pages. */
static bool copy_out(const struct space *s, unsigned first, char *to)
{
	return access_process_vm(s->mm, s->at + first * PG, to, IO * PG, 0) == (long)(IO * PG);
}

/* One round: reads, a snapshot at once, stores by both, completions, comparison.  before and after: IO pages each. */
static int read_beside_a_snapshot(struct reader *r, struct io_uring *ring, unsigned round, char *before, char *after)
{
	struct space c = { .window = r->k->child != PINFOLD_WINDOW_NONE };
	unsigned long at = r->p->at + r->first * PG;
	struct page *pages[IO];
	uint64_t v = round;
	int bad = 0;

	if (get_user_pages_fast(at, IO, FOLL_WRITE, pages) != IO)
		return 1;
	for (unsigned i = 0; i < IO; i++)
		bad |= submit_read(ring, r->fd, pages[i], PG, ((round + i) % 64) * PG);
	if (bad || pinfold_mm_create(r->m, r->k->child, &c.mm) || dup_mmap(c.mm, r->p->mm))
		return 2;
	c.at = r->p->at + (unsigned long)pinfold_mm_shift(c.mm);
	if (!copy_out(&c, r->first, before))
		return 3;
	if (reap(ring, IO, (int)PG))
		return 4;
	if (access_process_vm(r->p->mm, at + 8, &v, 8, FOLL_WRITE) != 8 || !copy_out(&c, r->first, after))
		return 5;
	if (memcmp(before, after, IO * PG)) /* the child saw the device, or its parent */
		return 6;
	if (access_process_vm(c.mm, c.at + r->first * PG + 16, &v, 8, FOLL_WRITE) != 8)
		return 7;
	for (unsigned i = 1; i < IO; i++)
		if (!is_filled(page_address(pages[i]), 0, (round + i) % 64))
			return 8;
	if (!copy_out(r->p, r->first, after) || !is_filled(after + PG, 0, (round + 1) % 64))
		return 9;
	if (((uint64_t *)after)[1] != v || ((uint64_t *)after)[2] != word_of(0, round % 64, 2))
		return 10;
	return put_user_pages_dirty_lock(pages, IO) || pinfold_mm_destroy(c.mm) ? 11 : 0;
}

static void *read_beside_snapshots(void *arg)
{
	struct reader *r = arg;
	char *before = malloc(IO * PG), *after = malloc(IO * PG);
	struct io_uring ring;

	r->result = pinfold_use_mm(r->p->mm) || io_uring_queue_init(2 * IO, &ring, 0) ? 99 : 0;
	for (unsigned n = 0; n < 60 && !r->result; n++)
		r->result = read_beside_a_snapshot(r, &ring, n, before, after);
	if (r->result != 99)
		io_uring_queue_exit(&ring);
	free(before);
	free(after);
	return NULL;
}

static int open_direct(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);

	return fd >= 0 ? fd : open(path, O_RDONLY | O_CLOEXEC);
}

/* Reads of a real file that come when they like, by one thread and by two that make snapshots of one mm. */
static void device_reads_beside_snapshots_reach_the_parent_only(void **state)
{
	const struct pair *k = *state;
	struct reader r[2];
	struct pinfold *m;
	struct space p;
	pthread_t t[2];
	char path[600];
	int fd, direct_fd;

	need_uring();
	m = MACHINE();
	p = new_space(m, k->parent);
	new_path(path, sizeof(path));
	fd = new_file(path, 64 * PG, false);
	assert_ok(fsync(fd));
	direct_fd = open_direct(path);
	assert_true(direct_fd >= 0);
	map_anon(&p, 0, 2 * IO, RW, PRIVATE);
	for (unsigned threads = 1; threads <= 2; threads++) {
		for (unsigned i = 0; i < threads; i++) {
			r[i] = (struct reader){ k, m, &p, direct_fd, i * IO, 0 };
			pthread_create(&t[i], NULL, read_beside_snapshots, &r[i]);
		}
		for (unsigned i = 0; i < threads; i++)
			pthread_join(t[i], NULL);
		for (unsigned i = 0; i < threads; i++)
			assert_int_equal(r[i].result, 0);
	}
	close(direct_fd);
	close(fd);
	unlink(path);
	end_both(m, &p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON(extent_extent, a_snapshot_is_the_memory_of_one_moment),
		ON(extent_none, a_snapshot_is_the_memory_of_one_moment),
		PAIRS(pins_beside_snapshots_stay_with_the_process),
		PAIRS(a_read_in_flight_at_the_snapshot_is_the_parents),
		PAIRS(device_reads_beside_snapshots_reach_the_parent_only),
	};

	return world_main(tests);
}
