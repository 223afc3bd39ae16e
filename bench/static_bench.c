/* SPDX-License-Identifier: MIT */
/* static_bench.c - pin_bench's one thread in a program that is linked with the static library. */
#define HOW_LINKED ", static link"
#include "pin_bench.c" /* NOLINT: the same program */
