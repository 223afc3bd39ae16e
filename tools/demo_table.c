/* SPDX-License-Identifier: MIT */
/*
 * demo_table.c - the demo's results in print: the table of speeds, and the comparison in words.
 */
#include "demo.h"

#include <stdio.h>
#include <string.h>

#define LABEL 27
#define CELL 19

enum unit { UNIT_COUNT, UNIT_TIME, UNIT_BYTES };

/* What a row takes from a leg; less than 0: this column has no such figure. */
struct row {
	const char *label;
	enum unit unit;
	bool high; /* more is better */
	double (*value)(const struct column *c, const struct run_leg *l);
};

static double per_commit(const struct run_leg *l, uint64_t v)
{
	return l->commits ? (double)v / (double)l->commits : -1;
}

static double v_speed(const struct column *c, const struct run_leg *l)
{
	(void)c;
	return (double)l->transfers / l->seconds;
}

static double percentile(const struct hist *h, double p)
{
	return h->count ? (double)hist_percentile(h, p) : -1;
}

#define HIST_VALUE(name, hist, p) \
	static double name(const struct column *c, const struct run_leg *l) \
	{ \
		(void)c; \
		return percentile(&l->hist, p); \
	}
HIST_VALUE(v_transfer_50, transfer, 0.5)
HIST_VALUE(v_transfer_99, transfer, 0.99)
HIST_VALUE(v_transfer_max, transfer, 1)
HIST_VALUE(v_commit_50, commit, 0.5)
HIST_VALUE(v_commit_99, commit, 0.99)
HIST_VALUE(v_commit_max, commit, 1)

static double v_freeze(const struct column *c, const struct run_leg *l)
{
	return c->engine->freeze ? percentile(&l->freeze, 0.5) : -1;
}

static double v_written(const struct column *c, const struct run_leg *l)
{
	(void)c;
	return per_commit(l, l->written);
}

static double v_reported(const struct column *c, const struct run_leg *l)
{
	return c->engine->reports ? per_commit(l, l->own_bytes) : -1;
}

static double v_flushes(const struct column *c, const struct run_leg *l)
{
	return per_commit(l, c->engine->reports ? l->own_flushes : l->flushes);
}

static const struct row rows[] = {
	{ "transfers a second", UNIT_COUNT, true, v_speed },
	{ "a transfer, p50", UNIT_TIME, false, v_transfer_50 },
	{ "  p99", UNIT_TIME, false, v_transfer_99 },
	{ "  max", UNIT_TIME, false, v_transfer_max },
	{ "a commit, p50", UNIT_TIME, false, v_commit_50 },
	{ "  p99", UNIT_TIME, false, v_commit_99 },
	{ "  max", UNIT_TIME, false, v_commit_max },
	{ "  of it threads stand, p50", UNIT_TIME, false, v_freeze },
	{ "bytes written per commit", UNIT_BYTES, false, v_written },
	{ "  as the engine reports", UNIT_BYTES, false, v_reported },
	{ "flushes per commit", UNIT_COUNT, false, v_flushes },
};
#define ROWS (sizeof(rows) / sizeof(rows[0]))
/* Names of the rows for a sentence, where the label alone would not do. */
static const char *const row_words[ROWS] = {
	"transfers a second", "p50 of a transfer", "p99 of a transfer", "the longest transfer",
	"p50 of a commit",    "p99 of a commit",   "the longest commit", NULL,
	"bytes written per commit", NULL, "flushes per commit",
};

/* Minimum, median, maximum of the three rounds.  False: no figure. */
static bool three(const struct row *r, const struct column *c, double v[3])
{
	for (int i = 0; i < 3; i++) {
		v[i] = r->value(c, &c->result.leg[1 + i]);
		if (v[i] < 0)
			return false;
	}
	sort3(v);
	return true;
}

/* Three values with one unit, chosen by the middle one. */
static void cell(char buf[64], enum unit unit, const double v[3])
{
	static const struct {
		double base;
		const char *name[4];
	} u[] = { { 1000, { "", "k", "M", "G" } },
		  { 1000, { "ns", "us", "ms", "s" } },
		  { 1024, { "B", "KiB", "MiB", "GiB" } } };
	double div = 1;
	int n = 0, digits;

	while (n < 3 && v[1] / div >= u[unit].base) {
		div *= u[unit].base;
		n++;
	}
	digits = v[1] / div >= 100 ? 0 : v[1] / div >= 10 ? 1 : 2;
	if (unit == UNIT_TIME && n == 0)
		digits = 0;
	snprintf(buf, 64, "%.*f %.*f %.*f%s%s", digits, v[0] / div, digits, v[1] / div, digits,
	         v[2] / div, *u[unit].name[n] ? " " : "", u[unit].name[n]);
}

static bool has_figures(const struct column *c)
{
	return !c->skipped[0] && c->result.leg[RUN_LEGS - 1].commits;
}

static void print_row(const struct row *r, const struct column *columns)
{
	char buf[64];
	double v[3];

	printf("%-*s", LABEL, r->label);
	for (int i = 0; i < COLUMNS; i++) {
		if (has_figures(&columns[i]) && three(r, &columns[i], v))
			cell(buf, r->unit, v);
		else
			snprintf(buf, sizeof(buf), "-");
		printf(" %*s", CELL, buf);
	}
	printf("\n");
}

/* A row with one text for each column. */
static void print_texts(const char *label, char text[COLUMNS][32])
{
	printf("%-*s", LABEL, label);
	for (int i = 0; i < COLUMNS; i++)
		printf(" %*s", CELL, text[i]);
	printf("\n");
}

static void head(const struct demo_options *o, const struct column *columns)
{
	char title[COLUMNS][32], memory[COLUMNS][32];

	for (int i = 0; i < COLUMNS; i++) {
		const struct column *c = &columns[i];

		snprintf(title[i], 32, "%s", c->engine->name);
		if (!c->limited)
			snprintf(memory[i], 32, "all");
		else if (c->unlimited[0])
			snprintf(memory[i], 32, "unlimited");
		else
			text_bytes(memory[i], 32, (double)o->memory);
		if (c->skipped[0])
			snprintf(memory[i], 32, "skipped");
	}
	print_texts("", title);
	print_texts("memory allowed", memory);
}

static void tail(const struct column *columns)
{
	char peak[COLUMNS][32], sum[COLUMNS][32];

	for (int i = 0; i < COLUMNS; i++) {
		const struct column *c = &columns[i];

		snprintf(peak[i], 32, "-");
		if (c->peak && !c->skipped[0])
			text_bytes(peak[i], 32, (double)c->peak);
		snprintf(sum[i], 32, "%s",
		         c->skipped[0]  ? "-" :
		         c->sum_right   ? "right" :
		         c->failed[0]   ? "failed" :
		                          "-");
	}
	print_texts("memory used, peak", peak);
	print_texts("sum read back", sum);
}

void demo_speed_print(const struct demo_options *o, const struct column *columns)
{
	bool counted = true;

	printf("Speed: %u threads; a commit for each %u transfers; minimum, median, maximum of 3 "
	       "rounds of %g s\n\n",
	       o->threads, o->threads * RUN_BATCH, o->seconds);
	head(o, columns);
	for (unsigned i = 0; i < ROWS; i++)
		print_row(&rows[i], columns);
	tail(columns);
	printf("\n");
	for (int i = 0; i < COLUMNS; i++) {
		const struct column *c = &columns[i];

		if (c->skipped[0] || c->failed[0] || c->unlimited[0])
			printf("%s: %s%s%s\n", c->title, c->skipped, c->failed,
			       c->failed[0] || c->skipped[0] ? "" : c->unlimited);
		counted = counted && (c->peak_cgroup || c->skipped[0]);
	}
	printf("Threads meet, freeze and go on; a further thread waits for the commit.  mmap cannot "
	       "freeze: its\ncut is not fixed.  LMDB has one writer: the further thread applies the "
	       "transfers and commits.\nColumns with a limit start with a cold cache and %g s of "
	       "warm-up.\nBytes: write_bytes of /proc/self/io.  Flushes: fsync, fdatasync, msync and O_DSYNC "
	       "writes counted\non their way to the kernel; pinfold's as its commit reports them.  "
	       "Memory: %s.\n",
	       0.6 * o->seconds,
	       counted ? "of the cgroup, page cache included" :
	                 "of the cgroup where there is one, else resident");
}

/* One comparison; the rows where pinfold lost. */
static void words_against(const struct column *p, const struct column *c)
{
	unsigned worse = 0, compared = 0;
	char list[1024] = "";

	for (unsigned i = 0; i < ROWS; i++) {
		double a[3], b[3], factor;
		size_t at = strlen(list);

		if (!row_words[i] || !three(&rows[i], p, a) || !three(&rows[i], c, b) ||
		    a[1] <= 0 || b[1] <= 0)
			continue;
		compared++;
		factor = rows[i].high ? b[1] / a[1] : a[1] / b[1];
		if (factor < 1.005)
			continue;
		snprintf(list + at, sizeof(list) - at, "\n    %-26s %.2f times %s", row_words[i],
		         factor, rows[i].high ? "fewer" : i >= 8 ? "as many" : "as long");
		worse++;
	}
	if (worse)
		printf("  than %s, in %u of %u medians:%s\n", c->title, worse, compared, list);
	else
		printf("  than %s: in none of %u medians\n", c->title, compared);
}

void demo_speed_words(const struct column *columns)
{
	const struct column *p = &columns[COLUMN_PINFOLD];

	if (!has_figures(p)) {
		printf("pinfold has no figures to compare.\n");
		return;
	}
	printf("Where pinfold was slower, or wrote or flushed more, in this run:\n");
	for (int i = 0; i < COLUMNS; i++)
		if (i != COLUMN_PINFOLD && has_figures(&columns[i]))
			words_against(p, &columns[i]);
}
