/* SPDX-License-Identifier: MIT */
/*
 * records.h - arrays of pointers to records of 64 bytes that follow each other: the pages of a folio.
 *
 * Written and compared with the widest registers the CPU has: such an array costs more than the pin of the folio.
 */
#ifndef PINFOLD_RECORDS_H
#define PINFOLD_RECORDS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RECORD_SIZE 64

/* p[i] = first + i records, for i < n. */
void records_fill(void *p, const void *first, size_t n);
/* How many of the n pointers at p are first, first + 1 record, first + 2, ... */
size_t records_in_row(const void *p, const void *first, size_t n);

/*
 * out[i] = base + (word[i] >> RECORDS_SHIFT) records, for i < n.  True if all words have the bits `need` and none has one of
 * `never`.  Words are read with acquire, each as a whole: a CPU's wide load of aligned words is one load for each.
 */
bool records_of_words(const _Atomic uint64_t *word, size_t n, uint64_t need, uint64_t never, const void *base, void *out);

/* The words' numbers begin here. */
#define RECORDS_SHIFT 12

#endif
