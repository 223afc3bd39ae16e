/* SPDX-License-Identifier: MIT */
/*
 * stat.h - times and what they add up to: a histogram with 1/16 precision, and how numbers are
 * written in a table.
 */
#ifndef TOOLS_STAT_H
#define TOOLS_STAT_H

#include <stddef.h>
#include <stdint.h>

#define HIST_SUB 16 /* buckets for each power of two: a percentile is right within 1/16 */
#define HIST_BUCKETS (64 * HIST_SUB)

/* Written by one thread, read when it stands still. */
struct hist {
	uint64_t count, max;
	uint32_t bucket[HIST_BUCKETS];
};

uint64_t now_ns(void);

void hist_add(struct hist *h, uint64_t ns);
void hist_merge(struct hist *into, const struct hist *from);
/* The value below which the share p (0 to 1) lies; 0 of an empty histogram. */
uint64_t hist_percentile(const struct hist *h, double p);

/* Short texts in a caller's buffer, which is returned. */
char *text_time(char *buf, size_t size, uint64_t ns);
char *text_bytes(char *buf, size_t size, double bytes);
char *text_count(char *buf, size_t size, double n);

/* Sorts three values. */
void sort3(double v[3]);

#endif
