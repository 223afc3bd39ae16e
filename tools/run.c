/* SPDX-License-Identifier: MIT */
/*
 * run.c - the threads, the meeting, the committer, the clock.  See run.h.
 */
#include "run.h"

#include "flushes.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct run {
	const struct run_plan *plan;
	pthread_mutex_t lock;
	pthread_cond_t met;  /* the round went on, or stop */
	pthread_cond_t work; /* a commit for the committer, or stop */
	pthread_cond_t idle; /* the committer has none */
	unsigned arrived;
	uint64_t round;
	bool committing, stop;
	int rc; /* the first failure */
	uint64_t freeze_ns;
	unsigned half; /* of a deferring engine's batches: the one being filled */
	unsigned leg;
	uint64_t leg_start;
	struct run_leg base; /* the counters at its start */
	struct worker *workers;
};

struct worker {
	struct run *run;
	struct generator generator;
	pthread_t thread;
	struct hist hist;
	struct transfer batch[2][RUN_BATCH]; /* of a deferring engine */
};

/* Bytes that this process had written to storage; 0 where the kernel does not tell. */
static uint64_t written_bytes(void)
{
	FILE *f = fopen("/proc/self/io", "re");
	char line[128];
	unsigned long long v = 0;

	if (!f)
		return 0;
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "write_bytes: %llu", &v) == 1)
			break;
	fclose(f);
	return v;
}

static void read_counters(struct run *r, struct run_leg *now)
{
	struct store *s = r->plan->store;

	now->written = written_bytes();
	now->flushes = flushes_counted();
	now->own_flushes = s->own_flushes;
	now->own_bytes = s->own_bytes;
	now->commits = atomic_load(&r->plan->shared->finished);
}

/* The threads stand and no commit runs: what was counted since the last call is the leg. */
static void end_leg(struct run *r)
{
	struct run_leg *leg = &r->plan->result->leg[r->leg], now;
	unsigned threads = r->plan->threads;

	read_counters(r, &now);
	leg->seconds = (double)(now_ns() - r->leg_start) / 1e9;
	leg->commits = now.commits - r->base.commits;
	leg->transfers = leg->commits * threads * RUN_BATCH;
	leg->written = now.written - r->base.written;
	leg->flushes = now.flushes - r->base.flushes;
	leg->own_flushes = now.own_flushes - r->base.own_flushes;
	leg->own_bytes = now.own_bytes - r->base.own_bytes;
	for (unsigned t = 0; t < threads; t++) {
		hist_merge(&leg->transfer, &r->workers[t].hist);
		memset(&r->workers[t].hist, 0, sizeof(r->workers[t].hist));
	}
	r->leg++;
	read_counters(r, &r->base);
	r->leg_start = now_ns();
}

static void fail(struct run *r, int rc)
{
	pthread_mutex_lock(&r->lock);
	if (!r->rc)
		r->rc = rc;
	r->stop = true;
	pthread_cond_broadcast(&r->met);
	pthread_cond_broadcast(&r->work);
	pthread_cond_broadcast(&r->idle);
	pthread_mutex_unlock(&r->lock);
}

/* By the last to arrive, lock held, no commit under way.  Starts the next one. */
static void lead(struct run *r)
{
	const struct run_plan *p = r->plan;
	uint64_t t;
	int rc;

	if (p->result && (double)(now_ns() - r->leg_start) / 1e9 >= p->leg_seconds[r->leg]) {
		end_leg(r);
		/* The transfers since the last commit get theirs, unmeasured. */
		if (r->leg == RUN_LEGS)
			r->stop = true;
	}
	atomic_fetch_add(&p->shared->begun, 1);
	t = now_ns();
	rc = p->store->engine->freeze ? p->store->engine->freeze(p->store) : 0;
	r->freeze_ns = now_ns() - t;
	if (rc < 0) {
		r->rc = rc;
		r->stop = true;
		return;
	}
	r->half ^= 1;
	r->committing = true;
	pthread_cond_signal(&r->work);
}

/* False: leave. */
static bool meet(struct run *r)
{
	bool on;

	pthread_mutex_lock(&r->lock);
	if (++r->arrived == r->plan->threads) {
		while (r->committing && !r->stop)
			pthread_cond_wait(&r->idle, &r->lock);
		r->arrived = 0;
		if (!r->stop)
			lead(r);
		r->round++;
		pthread_cond_broadcast(&r->met);
	} else {
		uint64_t round = r->round;

		while (r->round == round && !r->stop)
			pthread_cond_wait(&r->met, &r->lock);
	}
	on = !r->stop;
	pthread_mutex_unlock(&r->lock);
	return on;
}

/* One transfer, timed. */
static int apply(struct run *r, struct worker *w, const struct transfer *t)
{
	uint64_t start = now_ns();
	int rc = store_transfer(r->plan->store, t);

	hist_add(&w->hist, now_ns() - start);
	return rc;
}

static void *work(void *arg)
{
	struct worker *w = arg;
	struct run *r = w->run;
	bool deferred = r->plan->store->engine->deferred;
	unsigned half = 0;

	do {
		for (unsigned i = 0; i < RUN_BATCH; i++) {
			struct transfer t;
			int rc;

			generator_next(&w->generator, &t);
			if (deferred) {
				w->batch[half][i] = t;
				continue;
			}
			rc = apply(r, w, &t);
			if (rc < 0) {
				fail(r, rc);
				return NULL;
			}
		}
		half ^= 1;
	} while (meet(r));
	return NULL;
}

/* What the threads handed over at the meeting, thread by thread: their records do not touch. */
static int apply_deferred(struct run *r)
{
	for (unsigned t = 0; t < r->plan->threads; t++)
		for (unsigned i = 0; i < RUN_BATCH; i++) {
			struct worker *w = &r->workers[t];
			int rc = apply(r, w, &w->batch[r->half ^ 1][i]);

			if (rc < 0)
				return rc;
		}
	return 0;
}

static int commit(struct run *r)
{
	const struct run_plan *p = r->plan;
	uint64_t start;
	int rc = 0;

	if (p->store->engine->deferred)
		rc = apply_deferred(r);
	start = now_ns();
	if (rc == 0)
		rc = p->store->engine->commit(p->store);
	if (rc < 0)
		return rc;
	if (p->result && r->leg < RUN_LEGS) {
		hist_add(&p->result->leg[r->leg].commit, now_ns() - start + r->freeze_ns);
		hist_add(&p->result->leg[r->leg].freeze, r->freeze_ns);
	}
	atomic_fetch_add(&p->shared->finished, 1);
	return 0;
}

/* In the thread that called run().  After stop the last commit is still done. */
static void committer(struct run *r)
{
	pthread_mutex_lock(&r->lock);
	for (;;) {
		int rc;

		while (!r->committing && !r->stop)
			pthread_cond_wait(&r->work, &r->lock);
		if (!r->committing || r->rc)
			break;
		pthread_mutex_unlock(&r->lock);
		rc = commit(r);
		if (rc < 0)
			fail(r, rc);
		pthread_mutex_lock(&r->lock);
		r->committing = false;
		pthread_cond_broadcast(&r->idle);
	}
	pthread_mutex_unlock(&r->lock);
}

int run(const struct run_plan *plan)
{
	struct run r = { .plan = plan,
		         .lock = PTHREAD_MUTEX_INITIALIZER,
		         .met = PTHREAD_COND_INITIALIZER,
		         .work = PTHREAD_COND_INITIALIZER,
		         .idle = PTHREAD_COND_INITIALIZER };
	unsigned started = 0;

	r.workers = calloc(plan->threads, sizeof(*r.workers));
	if (!r.workers)
		return store_fail(plan->store, -ENOMEM, "threads");
	read_counters(&r, &r.base);
	r.leg_start = now_ns();
	for (; started < plan->threads; started++) {
		struct worker *w = &r.workers[started];
		int rc;

		w->run = &r;
		generator_init(&w->generator, plan->seed, started, plan->threads,
		               plan->store->records);
		if (plan->resume)
			w->generator = plan->resume[started];
		rc = pthread_create(&w->thread, NULL, work, w);
		if (rc) {
			fail(&r, store_fail(plan->store, -rc, "pthread_create"));
			break;
		}
	}
	if (!r.rc)
		committer(&r);
	for (unsigned t = 0; t < started; t++)
		pthread_join(r.workers[t].thread, NULL);
	if (plan->result) {
		plan->result->rc = r.rc;
		memcpy(plan->result->error, plan->store->error, sizeof(plan->result->error));
		plan->result->transfers =
			atomic_load(&plan->shared->finished) * plan->threads * RUN_BATCH;
	}
	free(r.workers);
	return r.rc;
}
