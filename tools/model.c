/* SPDX-License-Identifier: MIT */
/*
 * model.c - replays the generators and compares.  See model.h.
 */
#include "model.h"

#include <errno.h>
#include <string.h>

struct model *model_alloc(uint64_t seed, unsigned threads, uint64_t records)
{
	struct model *m = shared_alloc(sizeof(*m));

	m->seed = seed;
	m->threads = threads;
	m->records = records;
	m->balance = shared_alloc(records * sizeof(*m->balance));
	m->found_balance = shared_alloc(records * sizeof(*m->balance));
	m->moves = shared_alloc(records * sizeof(*m->moves));
	m->found_moves = shared_alloc(records * sizeof(*m->moves));
	model_reset(m);
	return m;
}

void model_reset(struct model *m)
{
	m->commit = 0;
	for (unsigned t = 0; t < m->threads; t++)
		generator_init(&m->generator[t], m->seed, t, m->threads, m->records);
	for (uint64_t i = 0; i < m->records; i++) {
		m->balance[i] = STORE_START_BALANCE;
		m->moves[i] = 0;
	}
}

static int take(void *arg, uint64_t i, const struct record *r)
{
	struct model *m = arg;
	struct record first;

	record_init(&first, i);
	if (r->number != i || memcmp(r->rest, first.rest, sizeof(r->rest)))
		return -EBADMSG;
	m->found_balance[i] = r->balance;
	m->found_moves[i] = r->moves;
	return 0;
}

int model_load(struct model *m, struct store *s)
{
	int rc = store_scan(s, take, m);

	return rc == -EBADMSG ? store_fail(s, rc, "a record is not itself") : rc;
}

static bool differs(const struct model *m, uint64_t i)
{
	return m->balance[i] != m->found_balance[i] || m->moves[i] != m->found_moves[i];
}

/* How the number of records that differ changes. */
static int move(struct model *m, uint64_t i, int64_t amount)
{
	int before = differs(m, i);

	m->balance[i] += amount;
	m->moves[i]++;
	return differs(m, i) - before;
}

/* On to the next commit's state. */
static int64_t step(struct model *m)
{
	int64_t change = 0;

	for (unsigned t = 0; t < m->threads; t++)
		for (unsigned i = 0; i < RUN_BATCH; i++) {
			struct transfer x;

			generator_next(&m->generator[t], &x);
			change += move(m, x.from, -x.amount);
			change += move(m, x.to, x.amount);
		}
	m->commit++;
	return change;
}

static int64_t difference(const struct model *m)
{
	int64_t n = 0;

	for (uint64_t i = 0; i < m->records; i++)
		n += differs(m, i);
	return n;
}

/* Goes on until the state is what was found; false: it is none up to `last`. */
static bool search(struct model *m, uint64_t last)
{
	int64_t diff = difference(m);

	while (diff && m->commit < last)
		diff += step(m);
	return diff == 0;
}

enum verdict model_judge(struct model *m, uint64_t finished, uint64_t begun)
{
	enum verdict v = VERDICT_TORN;
	bool found = search(m, begun);

	if (!found && m->commit >= begun) {
		/* Not from where the run began: older than that, or no state of a commit. */
		for (uint64_t i = 0; i < m->records; i++)
			if (m->found_moves[i] > m->moves[i])
				v = VERDICT_UNCOMMITTED;
		model_reset(m);
		found = search(m, begun);
	}
	if (found)
		v = m->commit >= finished ? VERDICT_RIGHT : VERDICT_LOST;
	if (v != VERDICT_RIGHT)
		model_reset(m);
	return v;
}
