/* SPDX-License-Identifier: MIT */
/*
 * stat.c - histograms of times, numbers as text.  See stat.h.
 */
#include "stat.h"

#include <stdio.h>
#include <time.h>

uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Values below HIST_SUB have a bucket each; others are named by the top bit and four bits after. */
static unsigned bucket_of(uint64_t v)
{
	unsigned top;

	if (v < HIST_SUB)
		return (unsigned)v;
	top = 63u - (unsigned)__builtin_clzll(v);
	return (top - 3) * HIST_SUB + (unsigned)((v >> (top - 4)) & (HIST_SUB - 1));
}

/* The middle of a bucket. */
static uint64_t value_of(unsigned b)
{
	unsigned top = b / HIST_SUB + 3;

	if (b < HIST_SUB)
		return b;
	return ((uint64_t)(HIST_SUB + b % HIST_SUB) << (top - 4)) + ((1ull << (top - 4)) >> 1);
}

void hist_add(struct hist *h, uint64_t ns)
{
	h->count++;
	h->bucket[bucket_of(ns)]++;
	if (ns > h->max)
		h->max = ns;
}

void hist_merge(struct hist *into, const struct hist *from)
{
	into->count += from->count;
	if (from->max > into->max)
		into->max = from->max;
	for (unsigned b = 0; b < HIST_BUCKETS; b++)
		into->bucket[b] += from->bucket[b];
}

uint64_t hist_percentile(const struct hist *h, double p)
{
	uint64_t want = (uint64_t)((double)h->count * p), seen = 0;

	for (unsigned b = 0; b < HIST_BUCKETS; b++) {
		seen += h->bucket[b];
		/* The middle of the last bucket may lie above the largest value in it. */
		if (seen > want)
			return value_of(b) < h->max ? value_of(b) : h->max;
	}
	return h->max;
}

char *text_time(char *buf, size_t size, uint64_t ns)
{
	double v = (double)ns;

	if (ns < 1000)
		snprintf(buf, size, "%.0f ns", v);
	else if (ns < 100000)
		snprintf(buf, size, "%.1f us", v / 1e3);
	else if (ns < 1000000)
		snprintf(buf, size, "%.0f us", v / 1e3);
	else if (ns < 100000000)
		snprintf(buf, size, "%.1f ms", v / 1e6);
	else if (ns < 1000000000)
		snprintf(buf, size, "%.0f ms", v / 1e6);
	else
		snprintf(buf, size, "%.2f s", v / 1e9);
	return buf;
}

char *text_bytes(char *buf, size_t size, double bytes)
{
	static const char *const unit[] = { "B", "KiB", "MiB", "GiB", "TiB" };
	unsigned u = 0;

	while (bytes >= 1024 && u < 4) {
		bytes /= 1024;
		u++;
	}
	snprintf(buf, size, "%.*f %s", bytes < 100 && bytes != (double)(long)bytes, bytes, unit[u]);
	return buf;
}

char *text_count(char *buf, size_t size, double n)
{
	if (n < 10000)
		snprintf(buf, size, "%.0f", n);
	else if (n < 1e6)
		snprintf(buf, size, n < 1e5 ? "%.1fk" : "%.0fk", n / 1e3);
	else
		snprintf(buf, size, "%.2fM", n / 1e6);
	return buf;
}

void sort3(double v[3])
{
	for (int i = 0; i < 3; i++)
		for (int j = i + 1; j < 3; j++)
			if (v[j] < v[i]) {
				double t = v[i];

				v[i] = v[j];
				v[j] = t;
			}
}
