/* SPDX-License-Identifier: MIT */
/*
 * records.h - arrays of pointers to records of 64 bytes that follow each other: the pages of a folio.
 *
 * Written and compared with the widest registers the CPU has: such an array costs more than the pin of the folio.
 */
#ifndef PINFOLD_RECORDS_H
#define PINFOLD_RECORDS_H

#include <stddef.h>

#define RECORD_SIZE 64

/* p[i] = first + i records, for i < n. */
void records_fill(void *p, const void *first, size_t n);
/* How many of the n pointers at p are first, first + 1 record, first + 2, ... */
size_t records_in_row(const void *p, const void *first, size_t n);

#endif
