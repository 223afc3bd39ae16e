/* SPDX-License-Identifier: MIT */
/* records.c - see records.h. */
#include "lib/records.h"

#include <stdint.h>
#include <string.h>

typedef uint64_t four __attribute__((vector_size(32)));

#define FOURS 4 /* of them a round */

/* The choice is made once, by the dynamic linker: before a sanitizer is there to see it. */
#if defined(__x86_64__) && defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define WIDE __attribute__((target_clones("avx2", "default")))
#else
#define WIDE
#endif

/* A macro, as a function may not return one where the CPU has none. */
#define FOUR_FROM(at) { (at), (at) + RECORD_SIZE, (at) + 2 * RECORD_SIZE, (at) + 3 * RECORD_SIZE }

WIDE void records_fill(void *p, const void *first, size_t n)
{
	uint64_t at = (uintptr_t)first, *out = p;
	four v = FOUR_FROM(at);
	size_t i = 0;

	for (; i + 4 <= n; i += 4, v += 4 * RECORD_SIZE)
		memcpy(out + i, &v, sizeof(v));
	for (; i < n; i++)
		out[i] = at + i * RECORD_SIZE;
}

WIDE size_t records_in_row(const void *p, const void *first, size_t n)
{
	uint64_t at = (uintptr_t)first;
	const uint64_t *in = p;
	four want = FOUR_FROM(at);
	size_t i = 0;

	for (; i + 4 * FOURS <= n; i += 4 * FOURS) {
		four diff = { 0 }, is;

		for (unsigned k = 0; k < FOURS; k++, want += 4 * RECORD_SIZE) {
			memcpy(&is, in + i + 4 * k, sizeof(is));
			diff |= is ^ want;
		}
		if (diff[0] | diff[1] | diff[2] | diff[3])
			break;
	}
	while (i < n && in[i] == at + i * RECORD_SIZE)
		i++;
	return i;
}
