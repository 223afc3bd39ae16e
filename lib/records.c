/* SPDX-License-Identifier: MIT */
/* records.c - see records.h. */
#include "lib/records.h"

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

#define OFFSET_OF(w) ((w) >> RECORDS_SHIFT << 6) /* RECORD_SIZE is 64 */

#ifdef __SANITIZE_THREAD__
/* It does not know fences: one acquire a word, for its eyes. */
bool records_of_words(const _Atomic uint64_t *word, size_t n, uint64_t need, uint64_t never, const void *base, void *out)
{
	uint64_t wrong = 0, *to = out;

	for (size_t i = 0; i < n; i++) {
		uint64_t w = atomic_load_explicit(&word[i], memory_order_acquire);

		wrong |= (w & (need | never)) ^ need;
		to[i] = (uintptr_t)base + OFFSET_OF(w);
	}
	return !wrong;
}
#else
WIDE bool records_of_words(const _Atomic uint64_t *word, size_t n, uint64_t need, uint64_t never, const void *base,
                           void *out)
{
	uint64_t wrong = 0, w, at = (uintptr_t)base, mask = need | never, *to = out;
	const char *from = (const char *)word;
	four wrong4 = { 0 }, w4;
	size_t i = 0;

	for (; i + 4 <= n; i += 4) {
		memcpy(&w4, from + 8 * i, sizeof(w4));
		wrong4 |= (w4 & mask) ^ need;
		w4 = OFFSET_OF(w4) + at;
		memcpy(to + i, &w4, sizeof(w4));
	}
	for (; i < n; i++) {
		memcpy(&w, from + 8 * i, sizeof(w));
		wrong |= (w & mask) ^ need;
		to[i] = at + OFFSET_OF(w);
	}
	atomic_thread_fence(memory_order_acquire);
	return !(wrong | wrong4[0] | wrong4[1] | wrong4[2] | wrong4[3]);
}
#endif
