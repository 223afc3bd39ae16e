/* SPDX-License-Identifier: MIT */
/*
 * demo_speed.c - runs each column in a process of its own, and checks the sum afterwards.
 */
#include "cgroup.h"
#include "demo.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct job {
	const struct demo_options *options;
	struct column *column;
	struct cgroup cgroup;
	struct store store;
	struct run_shared *shared;
	char path[PATH_SIZE];
	bool create; /* by the process that runs: its page cache is counted, too */
};

/*
 * pinfold's limit is for the whole process, so its page memory is a part of it.  The rest is for
 * the program, for records of pages, and for page tables: the kernel's of two views, the library's
 * one.
 */
static uint64_t engine_memory(const struct column *c, const struct demo_options *o)
{
	uint64_t rest = (14u << 20) + o->memory / 32 + o->size / 96;

	if (c->engine != &engine_pinfold)
		return 0;
	return rest < o->memory * 3 / 4 ? o->memory - rest : o->memory / 4;
}

/* In kB in /proc/self/status. */
static uint64_t resident_peak(void)
{
	FILE *f = fopen("/proc/self/status", "re");
	unsigned long long kb = 0;
	char line[128];

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "VmHWM: %llu", &kb) == 1)
			break;
	if (f)
		fclose(f);
	return kb * 1024;
}

static int load(void *arg)
{
	struct job *j = arg;
	int rc = j->store.engine->create(&j->store);

	if (rc < 0)
		snprintf(j->column->failed, sizeof(j->column->failed), "%s", j->store.error);
	return rc < 0;
}

static int column_child(void *arg)
{
	struct job *j = arg;
	struct column *c = j->column;
	double s = j->options->seconds;
	struct run_plan plan = { .store = &j->store,
		                 .threads = j->options->threads,
		                 .seed = j->options->seed,
		                 .leg_seconds = { s * 0.6, s, s, s },
		                 .shared = j->shared,
		                 .result = &c->result };
	int rc = cgroup_enter(&j->cgroup);

	if (rc < 0)
		snprintf(c->unlimited, sizeof(c->unlimited), "cgroup: %s", strerror(-rc));
	if (j->create) {
		if (load(j))
			return 1;
		file_cool(j->path);
		file_warm(j->path);
	}
	rc = j->store.engine->open(&j->store);
	if (rc == 0) {
		rc = run(&plan);
		c->peak = resident_peak();
		if (j->store.engine->close(&j->store) < 0 && rc == 0)
			rc = -EIO;
	}
	if (rc < 0)
		snprintf(c->failed, sizeof(c->failed), "%s", j->store.error);
	return rc < 0;
}

/* The sum must be what it was, and every transfer of every run must be in it. */
static void check_sum(struct job *j, uint64_t moves)
{
	struct column *c = j->column;
	struct store_sum sum;
	int rc = store_sum(&j->store, &sum);

	if (rc < 0) {
		snprintf(c->failed, sizeof(c->failed), "reading back: %s", j->store.error);
		return;
	}
	c->sum_right = sum.strange == 0 && sum.moves == moves &&
	               sum.balance == (int64_t)j->store.records * STORE_START_BALANCE;
	if (!c->sum_right)
		snprintf(c->failed, sizeof(c->failed),
		         "WRONG: sum %" PRId64 " instead of %" PRId64 ", %" PRIu64
		         " moves instead of %" PRIu64 ", %" PRIu64 " strange records",
		         sum.balance, (int64_t)j->store.records * STORE_START_BALANCE, sum.moves,
		         moves, sum.strange);
}

static void run_column(struct job *j, uint64_t *moves)
{
	struct column *c = j->column;
	int status;

	if (!cgroup_create(&j->cgroup, c->limited ? j->options->memory : 0) && c->limited)
		snprintf(c->unlimited, sizeof(c->unlimited), "%s", j->cgroup.why);
	child_limit = CHILD_LIMIT + (unsigned)(8 * j->options->seconds) +
	              (unsigned)(j->options->size >> 25);
	status = child_run(column_child, j);
	child_limit = CHILD_LIMIT;
	if (status && !c->failed[0]) {
		char text[100];

		child_status_text(text, sizeof(text), status);
		snprintf(c->failed, sizeof(c->failed), "its process: %s", text);
	}
	if (cgroup_peak(&j->cgroup)) {
		c->peak = cgroup_peak(&j->cgroup);
		c->peak_cgroup = true;
	}
	cgroup_remove(&j->cgroup);
	if (c->failed[0])
		return;
	*moves += 2 * c->result.transfers;
	demo_progress("%s: reading back %" PRIu64 " records", c->title, j->store.records);
	check_sum(j, *moves);
}

/*
 * The flat file is written once and used by all columns that keep it flat: transfers keep the sum,
 * from whatever state they go on.  LMDB has a file of its own.
 */
void demo_speed(const struct demo_options *o, struct column *columns)
{
	uint64_t moves[2] = { 0, 0 };
	struct run_shared *shared = shared_alloc(sizeof(*shared));

	for (int i = 0; i < COLUMNS; i++) {
		struct column *c = &columns[i];
		bool flat = c->engine->flat;
		struct job j = { .options = o, .column = c, .shared = shared, .create = i == 0 };

		if (engine_missing(c->engine)) {
			snprintf(c->skipped, sizeof(c->skipped), "skipped: %s",
			         engine_missing(c->engine));
			continue;
		}
		memset(shared, 0, sizeof(*shared));
		room_path(j.path, flat ? "store.dat" : "store.lmdb");
		j.store = (struct store){ .engine = c->engine,
			                  .path = j.path,
			                  .size = o->size,
			                  .records = o->size / sizeof(struct record),
			                  .memory = engine_memory(c, o) };
		demo_progress("column %d of %d: %s%s", i + 1, COLUMNS, c->title,
		              flat && i ? "" : ", writing its file first");
		child_limit = 0;
		if (!flat && child_run(load, &j)) {
			if (!c->failed[0])
				snprintf(c->failed, sizeof(c->failed), "loading failed");
		} else {
			/* What another column left in the page cache would be a gift. */
			if (i)
				file_cool(j.path);
			run_column(&j, &moves[flat]);
		}
		if (!flat)
			unlink(j.path);
	}
}
