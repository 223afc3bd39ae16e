/* SPDX-License-Identifier: MIT */
/*
 * store.c - records, the generator of transfers, the one code path that applies them.
 */
#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHUNK (1u << 20)
#define AHEAD (4u << 20)

_Static_assert(sizeof(struct record) == 256, "sixteen records fill a page, none crosses one");

int store_fail(struct store *s, int rc, const char *what)
{
	snprintf(s->error, sizeof(s->error), "%s: %s", what, strerror(-rc));
	return rc;
}

void record_init(struct record *r, uint64_t number)
{
	r->number = number;
	r->balance = STORE_START_BALANCE;
	r->moves = 0;
	for (unsigned i = 0; i < 29; i++)
		r->rest[i] = (number + i) * 0x9e3779b97f4a7c15u;
}

/* splitmix64: any seed will do, and the sequence is the same on every machine. */
static uint64_t random64(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static double random_unit(uint64_t *state)
{
	return (double)(random64(state) >> 11) * 0x1p-53;
}

void generator_init(struct generator *g, uint64_t seed, unsigned thread, unsigned threads,
                    uint64_t records)
{
	g->count = records / threads;
	g->first = g->count * thread;
	g->state = seed + thread * 0x632be59bd9b4e019u;
	g->low = log(1.5) - 1;
	g->high = log((double)g->count + 0.5);
	g->accept = 2 - exp(log(2.5) - 0.5);
}

/*
 * Rejection-inversion (Hoermann and Derflinger) for the weights 1/k: draw from the continuous
 * density 1/x, round, and reject what the rounding made too likely.  About one exp() for a rank
 * and no table.
 */
static uint64_t zipf_rank(struct generator *g)
{
	for (;;) {
		double u = g->high + random_unit(&g->state) * (g->low - g->high);
		double x = exp(u), k = floor(x + 0.5);

		if (k < 1)
			k = 1;
		if (k > (double)g->count)
			k = (double)g->count;
		if (k - x <= g->accept || u >= log(k + 0.5) - 1 / k)
			return (uint64_t)k - 1;
	}
}

/* Often-used records should not be neighbours.  A prime larger than count hits each record once. */
static uint64_t scatter(const struct generator *g, uint64_t rank)
{
	return g->first + rank * 2654435761u % g->count;
}

void generator_next(struct generator *g, struct transfer *t)
{
	uint64_t from = zipf_rank(g), to = zipf_rank(g);

	if (to == from)
		to = (to + 1) % g->count;
	t->from = scatter(g, from);
	t->to = scatter(g, to);
	t->amount = 1 + (int64_t)(random64(&g->state) % 100);
}

static int move(struct store *s, uint64_t i, int64_t amount)
{
	struct record copy, *r = &copy;
	int rc;

	if (s->base) {
		r = (struct record *)s->base + i;
	} else {
		rc = s->engine->get(s, i, r);
		if (rc < 0)
			return rc;
	}
	r->balance += amount;
	r->moves++;
	return s->base ? 0 : s->engine->put(s, i, r);
}

int store_transfer(struct store *s, const struct transfer *t)
{
	const struct engine *e = s->engine;
	int rc = e->begin ? e->begin(s) : 0;

	if (rc < 0)
		return rc;
	rc = move(s, t->from, -t->amount);
	if (rc == 0)
		rc = move(s, t->to, t->amount);
	if (rc == 0 && e->end)
		rc = e->end(s);
	return rc;
}

int store_read(struct store *s, uint64_t i, struct record *r)
{
	if (!s->base)
		return s->engine->get(s, i, r);
	memcpy(r, (struct record *)s->base + i, sizeof(*r));
	return 0;
}

int store_scan(struct store *s, int (*take)(void *arg, uint64_t i, const struct record *r),
               void *arg)
{
	int rc = 0;

	for (uint64_t i = 0; rc >= 0 && i < s->records; i++) {
		uint64_t off = i * sizeof(struct record);
		struct record r;

		if (s->engine->ahead && off % AHEAD == 0)
			s->engine->ahead(s, off, s->size - off < AHEAD ? s->size - off : AHEAD);
		rc = store_read(s, i, &r);
		if (rc >= 0)
			rc = take(arg, i, &r);
	}
	return rc < 0 ? rc : 0;
}

static int write_all(int fd, const char *p, size_t len)
{
	while (len) {
		ssize_t n = write(fd, p, len);

		if (n < 0)
			return -errno;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

int flat_create(struct store *s)
{
	struct record *buf = malloc(CHUNK);
	int fd = open(s->path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), rc = 0;

	if (!buf || fd < 0) {
		rc = fd < 0 ? -errno : -ENOMEM;
		if (fd >= 0)
			close(fd);
		free(buf);
		return store_fail(s, rc, s->path);
	}
	for (uint64_t done = 0; rc == 0 && done < s->size; done += CHUNK) {
		for (uint64_t i = 0; i < CHUNK / sizeof(*buf); i++)
			record_init(&buf[i], done / sizeof(*buf) + i);
		rc = write_all(fd, (char *)buf, s->size - done < CHUNK ? s->size - done : CHUNK);
	}
	if (rc == 0 && fdatasync(fd) < 0)
		rc = -errno;
	close(fd);
	free(buf);
	return rc < 0 ? store_fail(s, rc, s->path) : 0;
}

void file_cool(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return;
	fdatasync(fd);
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	close(fd);
}

void file_warm(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char *buf = malloc(CHUNK);

	if (fd >= 0 && buf) {
		/* "Random" reads a request's pages one by one, and still all at once. */
		posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
		while (read(fd, buf, CHUNK) > 0)
			;
	}
	if (fd >= 0)
		close(fd);
	free(buf);
}

static int sum_add(void *arg, uint64_t number, const struct record *r)
{
	struct store_sum *sum = arg;

	sum->balance += r->balance;
	sum->moves += r->moves;
	sum->strange += r->number != number;
	return 0;
}

static int flat_sum(struct store *s, struct store_sum *sum)
{
	struct record *buf = malloc(CHUNK);
	int fd = open(s->path, O_RDONLY | O_CLOEXEC), rc = 0;
	uint64_t number = 0;
	ssize_t n = 1;

	if (!buf || fd < 0)
		rc = fd < 0 ? -errno : -ENOMEM;
	while (rc == 0 && n > 0) {
		n = read(fd, buf, CHUNK);
		if (n < 0)
			rc = -errno;
		for (ssize_t i = 0; i < n / (ssize_t)sizeof(*buf); i++, number++)
			sum_add(sum, number, &buf[i]);
	}
	if (rc == 0 && number != s->records)
		rc = -EIO;
	if (fd >= 0)
		close(fd);
	free(buf);
	return rc < 0 ? store_fail(s, rc, s->path) : 0;
}

int store_sum(struct store *s, struct store_sum *sum)
{
	int rc, rc2;

	memset(sum, 0, sizeof(*sum));
	if (s->engine->flat)
		return flat_sum(s, sum);
	rc = s->engine->open(s);
	if (rc < 0)
		return rc;
	rc = store_scan(s, sum_add, sum);
	rc2 = s->engine->close(s);
	return rc < 0 ? rc : rc2;
}
