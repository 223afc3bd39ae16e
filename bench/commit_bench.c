/* SPDX-License-Identifier: MIT */
/*
 * commit_bench.c - a commit beside the same bytes by other means: O_DIRECT pwrite and fdatasync, io_uring,
 * msync, LMDB.  First 64 MiB in sequence, then small commits one after the other, as an application that
 * commits often makes them: time, flushes and bytes of each.
 *
 * The data is on disk when the call returns, on every side.  After a crash pinfold's commit is whole or
 * absent, and so is LMDB's; the rows without a log promise no such thing.  "written twice" is what a log costs
 * whoever writes it: the bytes, a flush, the bytes again in place.
 */
#include "bench.h"

#include <liburing.h>
#ifdef HAVE_LMDB
#include <lmdb.h>
#endif

static size_t size;   /* of each file */
static char *data;    /* what the plain writes write */
static int direct = -1;
static struct io_uring ring;

/*
 * "a commit" is until it returned.  What commits leave to a checkpoint is made to happen behind the last of a
 * repetition, timed apart, and counted in "with checkpoint", so that nothing is hidden in a later call.
 */
static const struct figure figures[] = {
	{ "a commit", "us" }, { "throughput", "MiB/s" }, { "flushes a commit", "" },
	{ "written a dirty byte", "bytes" }, { "CPU time a commit", "us" }, { "checkpoint, a commit", "us" },
	{ "written with checkpoint", "bytes" }, { 0 },
};

struct plan {
	unsigned long n; /* pages a commit */
	long rounds;
	double t, cpu, flushes, written, checkpoint;
	unsigned long at; /* next page; every side goes through its file in the same order */
};

static double cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static struct plan begin(const struct variant *v)
{
	struct plan p = { .n = (unsigned long)v->a, .rounds = v->b };

	p.written = -io_written();
	return p;
}

static unsigned long next(struct plan *p)
{
	unsigned long at = p->at;

	p->at = at + p->n + p->n > size / PG ? 0 : at + p->n;
	return at;
}

static void end(struct variant *v, struct plan *p)
{
	double bytes = (double)p->n * PG * (double)p->rounds;

	p->written += io_written();
	v->out[0] = p->t / 1e3 / (double)p->rounds;
	v->out[1] = bytes / (double)MIB / (p->t / 1e9);
	v->out[2] = p->flushes / (double)p->rounds;
	v->out[3] = p->written / bytes;
	v->out[4] = p->cpu / 1e3 / (double)p->rounds;
}

static void dirty(char *base, unsigned long at, unsigned long n)
{
	static uint64_t round;

	round++;
	for (unsigned long i = 0; i < n; i++)
		*(volatile uint64_t *)(base + (at + i) * PG) = round;
}

/* Only the commit is timed, not the stores. */
static void with_pinfold(struct variant *v)
{
	struct side *s = v->p;
	struct plan p = begin(v);
	double written;

	for (long r = 0; r < p.rounds; r++) {
		struct pinfold_report rep = { .size = sizeof(rep) };
		unsigned long at = next(&p);
		double t, c;

		MUST(pinfold_write_begin(s->file, p.n * PG));
		dirty(s->base, at, p.n);
		MUST(pinfold_write_end(s->file));
		c = cpu_ns();
		t = now_ns();
		MUST(pinfold_commit(s->file, 0, 0, &rep));
		p.t += now_ns() - t;
		p.cpu += cpu_ns() - c;
		p.flushes += rep.flushes;
		if (rep.pages != p.n || rep.flags)
			die("commit of %llu pages, flags %u", (unsigned long long)rep.pages, rep.flags);
	}
	p.checkpoint = now_ns();
	written = io_written();
	MUST(pinfold_checkpoint(s->file));
	p.checkpoint = now_ns() - p.checkpoint;
	written = io_written() - written;
	p.written -= written;
	end(v, &p);
	v->out[5] = p.checkpoint / 1e3 / (double)p.rounds;
	v->out[6] = v->out[3] + written / ((double)p.n * PG * (double)p.rounds);
}

static void with_msync(struct variant *v)
{
	struct plan p = begin(v);

	for (long r = 0; r < p.rounds; r++) {
		unsigned long at = next(&p);
		double t, c;

		dirty(v->p, at, p.n);
		c = cpu_ns();
		t = now_ns();
		if (msync((char *)v->p + at * PG, p.n * PG, MS_SYNC))
			die("msync");
		p.t += now_ns() - t;
		p.cpu += cpu_ns() - c;
		p.flushes++;
	}
	end(v, &p);
}

static void write_direct(unsigned long at, unsigned long n)
{
	for (unsigned long i = 0; i < n; i += 256) {
		size_t len = (n - i < 256 ? n - i : 256) * PG;

		if (pwrite(direct, data + i * PG, len, (off_t)((at + i) * PG)) != (ssize_t)len)
			die("pwrite O_DIRECT");
	}
}

/* c: how many times the bytes are written; a flush between the times, one at the end of the first */
static void with_pwrite(struct variant *v)
{
	struct plan p = begin(v);

	for (long r = 0; r < p.rounds; r++) {
		unsigned long at = next(&p);
		double c = cpu_ns(), t = now_ns();

		if (v->c > 1) /* the log: the file's second half */
			write_direct(size / PG + at, p.n);
		else
			write_direct(at, p.n);
		if (fdatasync(direct))
			die("fdatasync");
		if (v->c > 1)
			write_direct(at, p.n);
		p.t += now_ns() - t;
		p.cpu += cpu_ns() - c;
		p.flushes++;
	}
	end(v, &p);
}

static void with_uring(struct variant *v)
{
	struct plan p = begin(v);

	for (long r = 0; r < p.rounds; r++) {
		unsigned long at = next(&p), sent = 0, done = 0;
		double c = cpu_ns(), t = now_ns();

		while (done < p.n) {
			struct io_uring_cqe *cqe;

			while (sent < p.n && sent - done < 8 * 256) {
				unsigned long n = p.n - sent < 256 ? p.n - sent : 256;
				struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

				io_uring_prep_write(sqe, direct, data + sent * PG, (unsigned)(n * PG),
				                    (at + sent) * PG);
				sqe->user_data = n;
				sent += n;
			}
			if (io_uring_submit_and_wait(&ring, 1) < 0 || io_uring_wait_cqe(&ring, &cqe) ||
			    cqe->res != (int)(cqe->user_data * PG))
				die("io_uring write");
			done += cqe->user_data;
			io_uring_cqe_seen(&ring, cqe);
		}
		if (fdatasync(direct))
			die("fdatasync");
		p.t += now_ns() - t;
		p.cpu += cpu_ns() - c;
		p.flushes++;
	}
	end(v, &p);
}

#ifdef HAVE_LMDB
static MDB_env *env;
static MDB_dbi dbi;
static char lmdb_path[520];

static void lmdb_open(void)
{
	const char *path = make_file("commit-lmdb", 0, false);
	MDB_txn *txn;
	char lock[530];

	snprintf(lmdb_path, sizeof(lmdb_path), "%s", path);
	unlink(path);
	snprintf(lock, sizeof(lock), "%s-lock", path);
	if (mdb_env_create(&env) || mdb_env_set_mapsize(env, 4 * size + 256 * MIB) ||
	    mdb_env_open(env, path, MDB_NOSUBDIR | MDB_NOTLS, 0600) || mdb_txn_begin(env, NULL, 0, &txn) ||
	    mdb_dbi_open(txn, NULL, MDB_INTEGERKEY, &dbi) || mdb_txn_commit(txn))
		die("lmdb %s", path);
	unlink(lock);
}

/* Values of a page less LMDB's header, so that each fills one overflow page or leaf. */
static void with_lmdb(struct variant *v)
{
	struct plan p = begin(v);

	for (long r = 0; r < p.rounds; r++) {
		unsigned long at = next(&p);
		double c = cpu_ns(), t = now_ns();
		MDB_txn *txn;

		if (mdb_txn_begin(env, NULL, 0, &txn))
			die("lmdb begin");
		for (unsigned long i = 0; i < p.n; i++) {
			size_t k = at + i;
			MDB_val key = { sizeof(k), &k }, val = { 4000, data + i * PG };

			if (mdb_put(txn, dbi, &key, &val, 0))
				die("lmdb put");
		}
		if (mdb_txn_commit(txn))
			die("lmdb commit");
		p.t += now_ns() - t;
		p.cpu += cpu_ns() - c;
		p.flushes += 2; /* fdatasync of the data, O_DSYNC write of the root page */
	}
	end(v, &p);
}
#endif

int main(int argc, char **argv)
{
	static const struct {
		unsigned long n;
		long rounds;
		const char *name;
	} plan[] = {
		{ 16384, 1, "Commit of 64 MiB in sequence" },
		{ 1, 64, "Commits of 1 page, one after the other" },
		{ 16, 64, "Commits of 16 pages, one after the other" },
		{ 256, 32, "Commits of 256 pages, one after the other" },
	};
	struct side journal, plain;
	struct variant v[8];
	bool uring;
	int n = 0;
	char *map;

	bench_start(argc, argv, "commits beside O_DIRECT writes with fdatasync, msync and LMDB");
	size = bench.smoke ? 8 * MIB : 128 * MIB;
	data = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (data == MAP_FAILED)
		die("mmap");
	for (size_t i = 0; i < size; i += 8)
		*(uint64_t *)(data + i) = i * 0x9e3779b97f4a7c15ull;
	direct = open_direct(make_file("commit-direct", 2 * size, true));
	uring = !io_uring_queue_init(16, &ring, 0);
	if (direct >= 0) {
		v[n++] = (struct variant){ .name = "pwrite O_DIRECT, fdatasync", .fn = with_pwrite, .c = 1 };
		v[n++] = (struct variant){ .name = "the same, written twice as a log does", .fn = with_pwrite,
			                   .c = 2 };
		if (uring)
			v[n++] = (struct variant){ .name = "io_uring O_DIRECT 1 MiB x 8, fdatasync",
				                   .fn = with_uring };
		else
			skipped("io_uring", "refused here, see `pinfold doctor`");
	} else {
		skipped("O_DIRECT rows", "this file system has no O_DIRECT: use --dir");
	}
	map = map_file(make_file("commit-mmap", size, true), size);
	v[n++] = (struct variant){ .name = "mmap, msync", .fn = with_msync, .p = map };
	if (side_open(&journal, make_file("commit", size, true), size, 3 * size + 64 * MIB,
	              PINFOLD_WINDOW_DIRECT, 0) ||
	    side_open(&plain, make_file("commit-plain", size, true), size, 3 * size + 64 * MIB,
	              PINFOLD_WINDOW_DIRECT, PINFOLD_FILE_NO_JOURNAL)) {
		skipped("pinfold", NO_WINDOW);
		return 0;
	}
	v[n++] = (struct variant){ .name = "pinfold, journal", .fn = with_pinfold, .p = &journal };
	v[n++] = (struct variant){ .name = "pinfold, NO_JOURNAL", .fn = with_pinfold, .p = &plain };
#ifdef HAVE_LMDB
	lmdb_open();
	v[n++] = (struct variant){ .name = "LMDB put of 4000-byte values, commit", .fn = with_lmdb };
#else
	skipped("LMDB rows", "install liblmdb-dev and build again");
#endif
	for (int i = 0; i < 4; i++) {
		struct group g = { .name = plan[i].name, .figure = figures, .v = v, .n = n,
			           .reps = i ? 7 : 5,
			           .note = "Stores are not timed, LMDB's puts are.  LMDB's two flushes are by "
			                   "its design, not counted." };

		for (int k = 0; k < n; k++) {
			v[k].a = bench.smoke && plan[i].n > 1024 ? 1024 : (long)plan[i].n;
			v[k].b = bench.smoke ? 1 : plan[i].rounds;
		}
		run_group(&g);
	}
	side_close(&journal);
	side_close(&plain);
#ifdef HAVE_LMDB
	mdb_env_close(env);
#endif
	return 0;
}
