/* SPDX-License-Identifier: MIT */
/* progress.c - a line about what goes on now, on stderr. */
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include "demo.h"

static uint64_t started;

void demo_progress_start(void)
{
	started = now_ns();
}

void demo_progress(const char *format, ...)
{
	va_list ap;

	fprintf(stderr, "[%5.1f s] ", (double)(now_ns() - started) / 1e9);
	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	fprintf(stderr, "\n");
}
