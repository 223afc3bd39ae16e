/* SPDX-License-Identifier: MIT */
/*
 * shrink.h - a program in a process of its own, so that a crash or a hang is a result, and the search for the shortest
 * program that is still wanted: because it fails, or because it meets what no other one does.
 */
#ifndef PINFOLD_FUZZ_SHRINK_H
#define PINFOLD_FUZZ_SHRINK_H

#include "compare.h"

#define RUN_SECONDS 30u
#define SHRINK_RUNS 800u

enum outcome { AGREED, ABANDONED, FAILED };

/* The text that failing processes left, in `shown`; what a library's assertion printed goes to `errors`. */
struct bench {
	struct shown *shown;
	int errors;
	unsigned runs;
	bool thorough;
	struct paths paths;
};

static void start_bench(struct bench *b)
{
	b->shown = mmap(NULL, sizeof(*b->shown), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	b->errors = memfd_create("errors", MFD_CLOEXEC);
	if (b->shown == MAP_FAILED || b->errors < 0)
		abort();
	new_path(b->paths.side[0], sizeof(b->paths.side[0]));
	new_path(b->paths.side[1], sizeof(b->paths.side[1]));
	snprintf(b->paths.journal, sizeof(b->paths.journal), "%s.pinfold", b->paths.side[1]);
}

/* Adds what was printed. */
static void explain(struct bench *b, const char *what, int number)
{
	size_t len = strlen(b->shown->failure), room = sizeof(b->shown->failure) - len;
	char text[400];
	ssize_t n = pread(b->errors, text, sizeof(text) - 1, 0);

	text[n > 0 ? n : 0] = 0;
	if (!len)
		snprintf(b->shown->failure, room, "%s %d%s%s", what, number, *text ? ": " : "", text);
}

static enum outcome run_once(struct bench *b, const struct program *p, enum windows windows)
{
	int status = 0;
	pid_t pid;

	memset(b->shown, 0, sizeof(*b->shown));
	b->shown->thorough = b->thorough;
	if (ftruncate(b->errors, 0) || lseek(b->errors, 0, SEEK_SET))
		abort();
	b->runs++;
	fflush(NULL);
	pid = fork();
	if (!pid) {
		dup2(b->errors, STDOUT_FILENO);
		dup2(b->errors, STDERR_FILENO);
		signal(SIGINT, SIG_IGN); /* ends the search, after this program */
		alarm(RUN_SECONDS);
		run_program(p, windows, b->shown, &b->paths);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		abort();
	if (!status)
		return b->shown->abandoned ? ABANDONED : AGREED;
	if (WIFSIGNALED(status))
		explain(b, WTERMSIG(status) == SIGALRM ? "hangs, signal" : "died of signal", WTERMSIG(status));
	else
		explain(b, "exit status", WEXITSTATUS(status));
	return FAILED;
}

/* ---- shrinking ----------------------------------------------------------------------------------- */

/* What a program is kept for: it fails as it did, or (wanted) it sets these bits of what was seen. */
struct purpose {
	enum windows windows;
	const uint8_t *wanted;
	char failure[600];
};

/* The same words, whatever the numbers. */
static bool alike(const char *a, const char *b)
{
	while (*a && *b) {
		a += strspn(a, "0123456789abcdefx-");
		b += strspn(b, "0123456789abcdefx-");
		if (*a != *b)
			return false;
		a += *a != 0;
		b += *b != 0;
	}
	return *a == *b;
}

static bool serves(struct bench *b, const struct program *p, const struct purpose *why)
{
	enum outcome o = run_once(b, p, why->windows);

	if (!why->wanted)
		return o == FAILED && alike(b->shown->failure, why->failure);
	for (size_t i = 0; i < sizeof(b->shown->seen); i++)
		if (why->wanted[i] & ~b->shown->seen[i])
			return false;
	return o == AGREED;
}

static bool without(struct bench *b, struct program *p, unsigned first, unsigned n, const struct purpose *why)
{
	struct program less = *p;

	memmove(&less.step[first], &less.step[first + n], (less.n - first - n) * sizeof(less.step[0]));
	less.n -= n;
	if (!less.n || !serves(b, &less, why))
		return false;
	*p = less;
	return true;
}

static void drop_steps(struct bench *b, struct program *p, const struct purpose *why)
{
	for (unsigned n = p->n / 2; n; n /= 2)
		for (unsigned end = p->n; end >= n && b->runs < SHRINK_RUNS; end -= end > p->n ? end - p->n : n)
			if (end <= p->n)
				without(b, p, end - n, n, why);
}

/* Smaller numbers, earlier words.  True: one of them will do. */
static bool simplify_field(struct bench *b, struct program *p, unsigned step, unsigned field, const struct purpose *why)
{
	unsigned was = p->step[step].v[field], tries[] = { 0, 1, was / 2, was - 1 };

	for (unsigned i = 0; i < 4 && was && b->runs < SHRINK_RUNS; i++) {
		if (tries[i] >= was)
			continue;
		p->step[step].v[field] = tries[i];
		if (serves(b, p, why))
			return true;
		p->step[step].v[field] = was;
	}
	return false;
}

/* Everything from page `least` on comes nearer to 0, together.  True: that will do. */
static bool shift_pages(struct bench *b, struct program *p, unsigned least, unsigned by, const struct purpose *why)
{
	struct program moved = *p;

	for (unsigned i = 0; i < p->n; i++)
		for (unsigned f = 0; f < fields_of(p->step[i].what); f++)
			if (steps_of[p->step[i].what].field[f] == PAGE && p->step[i].v[f] >= least)
				moved.step[i].v[f] -= by;
	if (!serves(b, &moved, why))
		return false;
	*p = moved;
	return true;
}

static void shift_all(struct bench *b, struct program *p, const struct purpose *why)
{
	for (unsigned i = 0; i < p->n; i++) {
		unsigned f = field_at(p->step[i].what, PAGE), by = f < FIELDS ? p->step[i].v[f] : 0;

		while (by && b->runs < SHRINK_RUNS)
			if (!shift_pages(b, p, p->step[i].v[f], by, why) || by > p->step[i].v[f])
				by /= 2;
	}
}

static bool simplify(struct bench *b, struct program *p, const struct purpose *why)
{
	bool any = false;

	for (unsigned i = 0; i < p->n; i++)
		for (unsigned f = 0; f < fields_of(p->step[i].what); f++)
			while (simplify_field(b, p, i, f, why))
				any = true;
	return any;
}

/* Fewer lines at the head are simpler, too. */
static void simplify_head(struct bench *b, struct program *p, const struct purpose *why)
{
	bool *flags[] = { &p->quiet, &p->direct_files };

	for (unsigned i = 0; i < 2; i++) {
		bool was = *flags[i];

		*flags[i] = false;
		if (was && !serves(b, p, why))
			*flags[i] = true;
	}
}

static void shrink(struct bench *b, struct program *p, const struct purpose *why)
{
	b->runs = 0;
	if (!why->wanted && b->shown->step + 1 < p->n) {
		struct program less = *p;

		less.n = b->shown->step + 1;
		if (serves(b, &less, why))
			*p = less;
	}
	drop_steps(b, p, why);
	shift_all(b, p, why);
	do
		drop_steps(b, p, why);
	while (b->runs < SHRINK_RUNS && simplify(b, p, why));
	simplify_head(b, p, why);
}

#endif
