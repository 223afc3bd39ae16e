/* SPDX-License-Identifier: MIT */
/*
 * linux_uring.c - many requests in flight through one io_uring, shared by a machine's threads.
 *
 * Two locks: one for the submission queue, one for the completion queue, never nested.  The thread
 * that has the completion lock is the reaper and the only one that sleeps in the kernel; others who
 * wait sleep on `turn`, which the reaper bumps whenever it has handled completions or gives up.  So
 * a thread waits for its own request by being the reaper or by watching one, and no thread of our
 * own is needed.
 *
 * A request's state lives in the caller's struct host_io; nothing is allocated after creation, so
 * the fault handler may submit and wait.  What the ring cannot take, or gives back unfinished, is
 * done by the calling thread.
 */
#include <errno.h>
#include <limits.h>
#include <liburing.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "host/file.h"
#include "host/linux.h"

#define BATCH 16
#define NAP_NS 5000000ULL /* a request done outside the ring wakes no reaper: look again */
/* FEAT_EXT_ARG: waits with a time limit that do not touch the submission queue */
#define FEATURES (IORING_FEAT_EXT_ARG | IORING_FEAT_NODROP | IORING_FEAT_SUBMIT_STABLE)

struct host_ring {
	struct io_uring uring;
	unsigned entries;
	struct host_mutex submit;   /* submission queue */
	struct host_mutex complete; /* completion queue; who has it is the reaper */
	_Atomic uint32_t used;      /* requests the kernel has; at most entries */
	_Atomic uint32_t pending;   /* the same until done() has run */
	_Atomic uint32_t turn;      /* bumped when a reaper leaves */
	_Atomic uint32_t sleepers;  /* on turn */
	_Atomic int event;
	_Atomic uint64_t count[2];  /* reads, writes */
};

struct completion {
	struct host_io *io;
	int64_t res;
};

/* ---- making and closing --------------------------------------------------------------------- */

struct host_ring *host_ring_create(unsigned entries)
{
	int kept = errno;
	struct host_ring *ring = host_map(sizeof(*ring));
	struct io_uring_params params = { .flags = IORING_SETUP_CLAMP };

	if (!ring)
		return NULL;
	if (io_uring_queue_init_params(entries, &ring->uring, &params)) {
		host_unmap(ring, sizeof(*ring));
		errno = kept;
		return NULL;
	}
	if ((params.features & FEATURES) != FEATURES || io_uring_ring_dontfork(&ring->uring)) {
		io_uring_queue_exit(&ring->uring);
		host_unmap(ring, sizeof(*ring));
		errno = kept;
		return NULL;
	}
	ring->entries = entries < params.sq_entries ? entries : params.sq_entries;
	host_mutex_init(&ring->submit, HOST_RANK_RING);
	host_mutex_init(&ring->complete, HOST_RANK_RING);
	atomic_init(&ring->event, -1);
	errno = kept;
	return ring;
}

void host_ring_destroy(struct host_ring *ring)
{
	int kept = errno;

	if (!ring)
		return;
	while (host_ring_pending(ring))
		host_ring_reap(ring, NAP_NS);
	io_uring_queue_exit(&ring->uring);
	/* relaxed: no other thread uses the ring any more */
	host_close(atomic_load_explicit(&ring->event, memory_order_relaxed));
	host_unmap(ring, sizeof(*ring));
	errno = kept;
}

void host_ring_child(struct host_ring *ring)
{
	if (!ring)
		return;
	/* not io_uring_queue_exit(): it would unmap queues that the child does not have */
	host_close(ring->uring.ring_fd);
	/* relaxed: a forked child has one thread */
	host_close(atomic_exchange_explicit(&ring->event, -1, memory_order_relaxed));
	ring->uring.ring_fd = -1;
}

int host_ring_eventfd(struct host_ring *ring)
{
	int kept = errno;
	int fd, err;

	if (!ring)
		return -EOPNOTSUPP;
	host_lock(&ring->submit);
	/* relaxed: written under this lock only */
	fd = atomic_load_explicit(&ring->event, memory_order_relaxed);
	if (fd < 0) {
		fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		err = fd < 0 ? -errno : io_uring_register_eventfd(&ring->uring, fd);
		if (err) {
			host_close(fd);
			fd = err;
		} else {
			/* release: pairs with the acquire in drain() and ring_signal() */
			atomic_store_explicit(&ring->event, fd, memory_order_release);
		}
	}
	host_unlock(&ring->submit);
	errno = kept;
	return fd;
}

unsigned host_ring_pending(struct host_ring *ring)
{
	/* acquire: pairs with the release in ring_settle; zero means that every done() has run */
	return ring ? atomic_load_explicit(&ring->pending, memory_order_acquire) : 0;
}

uint64_t host_ring_count(struct host_ring *ring, bool writes)
{
	/* relaxed: a statistic */
	return ring ? atomic_load_explicit(&ring->count[writes], memory_order_relaxed) : 0;
}

/* ---- outside the queue ---------------------------------------------------------------------- */

/* For who polls the eventfd: requests done outside the kernel's queue count too. */
static void ring_signal(struct host_ring *ring)
{
	uint64_t one = 1;
	/* acquire: pairs with the release in host_ring_eventfd */
	int fd = ring ? atomic_load_explicit(&ring->event, memory_order_acquire) : -1;

	/* a full counter is readable all the same, so the result says nothing */
	if (fd >= 0 && write(fd, &one, sizeof(one)) < 0)
		return;
}

static void io_now(struct host_ring *ring, struct host_io *io)
{
	host_io_now(io);
	ring_signal(ring);
}

/* ---- completions ---------------------------------------------------------------------------- */

/* Caller is the reaper.  Moves up to BATCH completions out of the queue. */
static unsigned ring_peek(struct host_ring *ring, struct completion *out)
{
	struct io_uring_cqe *cqe[BATCH];
	unsigned n = io_uring_peek_batch_cqe(&ring->uring, cqe, BATCH);

	/* acq_rel: what the submitter did with io is before us; partner is ring_start() */
	if (n)
		atomic_fetch_sub_explicit(&ring->used, n, memory_order_acq_rel);
	for (unsigned i = 0; i < n; i++)
		out[i] = (struct completion){ io_uring_cqe_get_data(cqe[i]), cqe[i]->res };
	io_uring_cq_advance(&ring->uring, n);
	return n;
}

/* Caller is the reaper and sleeps in the kernel until a completion is there or time is up. */
static void ring_sleep(struct host_ring *ring, uint64_t ns)
{
	struct __kernel_timespec t = { (long long)(ns / 1000000000), (long long)(ns % 1000000000) };
	struct io_uring_cqe *cqe;

	/* any error, EINTR too, is a short sleep; the caller looks again */
	io_uring_wait_cqe_timeout(&ring->uring, &cqe, &t);
}

/* Without the completion lock: runs done() and wakes.  Then another may be the reaper. */
static void ring_settle(struct host_ring *ring, struct completion *c, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		host_io_complete(c[i].io, c[i].res);
	/* release: pairs with the acquire in host_ring_pending */
	if (n)
		atomic_fetch_sub_explicit(&ring->pending, n, memory_order_release);
	/* seq_cst, both: partner is {sleepers + 1, the kernel's look at turn} in ring_turn */
	atomic_fetch_add_explicit(&ring->turn, 1, memory_order_seq_cst);
	if (atomic_load_explicit(&ring->sleepers, memory_order_seq_cst))
		host_wake(&ring->turn, INT_MAX);
}

/* Tries to be the reaper, for one batch: how many were handled, -1 somebody else is. */
static int ring_reap(struct host_ring *ring, uint64_t wait_ns)
{
	struct completion done[BATCH];
	unsigned n;

	if (!host_trylock(&ring->complete))
		return -1;
	n = ring_peek(ring, done);
	/* relaxed: only the reaper subtracts; an addition not seen yet is seen in the next round */
	if (!n && wait_ns && atomic_load_explicit(&ring->used, memory_order_relaxed)) {
		ring_sleep(ring, wait_ns);
		n = ring_peek(ring, done);
	}
	host_unlock(&ring->complete);
	ring_settle(ring, done, n);
	return (int)n;
}

/*
 * Makes progress of any kind, or sleeps a little.  seen: `turn` as it was before the caller looked
 * at what it waits for; `word` is slept on when nothing is in the kernel's hands.
 */
static void ring_turn(struct host_ring *ring, uint32_t seen, _Atomic uint32_t *word)
{
	int n = ring_reap(ring, NAP_NS);

	if (n < 0) {
		/* seq_cst: partner is {turn + 1, look at sleepers} in ring_settle */
		atomic_fetch_add_explicit(&ring->sleepers, 1, memory_order_seq_cst);
		host_wait(&ring->turn, seen, NAP_NS);
		/* relaxed: too many sleepers only cost a wake */
		atomic_fetch_sub_explicit(&ring->sleepers, 1, memory_order_relaxed);
	/* relaxed: a hint where to sleep, and the sleep is bounded */
	} else if (!n && word && !atomic_load_explicit(&ring->used, memory_order_relaxed)) {
		host_wait(word, 0, NAP_NS);
	}
}

static void drain(struct host_ring *ring)
{
	uint64_t n;
	/* acquire: pairs with the release in host_ring_eventfd */
	int fd = atomic_load_explicit(&ring->event, memory_order_acquire);

	/* before looking at the queue: a completion behind the look makes it readable again */
	if (fd >= 0 && read(fd, &n, sizeof(n)) < 0)
		return;
}

int host_ring_reap(struct host_ring *ring, uint64_t wait_ns)
{
	int kept = errno;
	int n, total = 0;

	if (!ring)
		return 0;
	drain(ring);
	while ((n = ring_reap(ring, total ? 0 : wait_ns)) > 0) {
		total += n;
		if (n < BATCH)
			break;
	}
	errno = kept;
	return total;
}

void host_ring_wait(struct host_ring *ring, struct host_io *io)
{
	int kept = errno;

	for (;;) {
		/* acquire: pairs with the release in ring_settle */
		uint32_t seen = ring ? atomic_load_explicit(&ring->turn, memory_order_acquire) : 0;

		/* acquire: pairs with the release in linux_io.c */
		if (atomic_load_explicit(&io->state, memory_order_acquire))
			break;
		if (ring)
			ring_turn(ring, seen, &io->state);
		else
			host_wait(&io->state, 0, 0);
	}
	errno = kept;
}

/* ---- submissions ---------------------------------------------------------------------------- */

static bool ring_takes(struct host_ring *ring, const struct host_io *io)
{
	if (!ring || io->file->fd < 0 || io->nr < 1 || io->nr > IOV_MAX || !io->len)
		return false;
	return !io->file->odirect || iov_aligned(io->iov, io->nr, io->off);
}

/* Takes room for one more request, so that the completion queue cannot overflow. */
static bool ring_room(struct host_ring *ring)
{
	uint32_t used = atomic_load_explicit(&ring->used, memory_order_relaxed);

	while (used < ring->entries)
		/* relaxed: a count; ring_start() orders */
		if (atomic_compare_exchange_weak_explicit(&ring->used, &used, used + 1,
		                                          memory_order_relaxed,
		                                          memory_order_relaxed)) {
			/* relaxed: the thread that adds is not the one that waits for zero */
			atomic_fetch_add_explicit(&ring->pending, 1, memory_order_relaxed);
			return true;
		}
	return false;
}

static void ring_leave(struct host_ring *ring, unsigned n)
{
	/* relaxed: these requests were never seen by the kernel */
	atomic_fetch_sub_explicit(&ring->used, n, memory_order_relaxed);
	atomic_fetch_sub_explicit(&ring->pending, n, memory_order_relaxed);
}

static bool ring_prepare(struct host_ring *ring, struct host_io *io)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->uring);

	if (!sqe)
		return false;
	if (io->write)
		io_uring_prep_writev(sqe, io->file->fd, io->iov, (unsigned)io->nr, io->off);
	else
		io_uring_prep_readv(sqe, io->file->fd, io->iov, (unsigned)io->nr, io->off);
	io_uring_sqe_set_data(sqe, io);
	/* relaxed: a statistic */
	atomic_fetch_add_explicit(&ring->count[io->write], 1, memory_order_relaxed);
	return true;
}

/*
 * Hands the queue to the kernel; how many of its last requests were refused and taken back.  They
 * can be, as the kernel reads the queue only inside this call and this lock.
 */
static unsigned ring_flush(struct host_ring *ring)
{
	struct io_uring_sq *sq = &ring->uring.sq;
	unsigned left;
	int r;

	do
		r = io_uring_submit(&ring->uring);
	while ((left = io_uring_sq_ready(&ring->uring)) && (r > 0 || r == -EINTR));
	if (left) {
		sq->sqe_tail -= left;
		sq->sqe_head = sq->sqe_tail;
		io_uring_smp_store_release(sq->ktail, sq->sqe_tail);
	}
	return left;
}

/* Starts the first few of ios that the ring takes and has room for; how many. */
static int ring_start(struct host_ring *ring, struct host_io *ios, int n)
{
	unsigned refused = 0;
	int i = 0;

	host_lock(&ring->submit);
	while (i < n && ring_takes(ring, &ios[i]) && ring_room(ring)) {
		if (!ring_prepare(ring, &ios[i])) {
			ring_leave(ring, 1);
			break;
		}
		i++;
	}
	if (i) {
		/* release: all that was done with the requests comes before their completion, which
		 * may free them; the kernel is in between, and no tool sees through it */
		atomic_fetch_add_explicit(&ring->used, 0, memory_order_release);
		refused = ring_flush(ring);
	}
	host_unlock(&ring->submit);
	ring_leave(ring, refused);
	for (int k = i - (int)refused; k < i; k++)
		io_now(ring, &ios[k]);
	return i;
}

void host_ring_submit(struct host_ring *ring, struct host_io *ios, int n)
{
	int kept = errno;

	for (int i = 0; i < n; i++) {
		ios[i].res = 0;
		/* relaxed: nobody else knows of the request yet */
		atomic_store_explicit(&ios[i].state, 0, memory_order_relaxed);
	}
	for (int i = 0; i < n;) {
		/* acquire: pairs with the release in ring_settle */
		uint32_t seen = ring ? atomic_load_explicit(&ring->turn, memory_order_acquire) : 0;
		int started;

		if (!ring_takes(ring, &ios[i])) {
			io_now(ring, &ios[i++]);
			continue;
		}
		started = ring_start(ring, ios + i, n - i);
		i += started;
		if (!started)
			ring_turn(ring, seen, NULL);
	}
	errno = kept;
}
