/* SPDX-License-Identifier: MIT */
/*
 * inject.c - failing on purpose, and stopping.
 *
 * A test sets host_inject(n) for n = 1, 2, 3, ... until a run makes fewer than n calls; so every
 * failure path is reached by counting.  Only debug builds count.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/host.h"

/* Both relaxed: they order nothing; a test sets them while no other call runs. */
static _Atomic unsigned long calls;
static _Atomic unsigned long fail_at;

unsigned long host_inject(unsigned long nth)
{
	if (!PINFOLD_DEBUG_BUILD)
		return 0;
	atomic_store_explicit(&fail_at, nth, memory_order_relaxed);
	return atomic_exchange_explicit(&calls, 0, memory_order_relaxed);
}

bool host_fail(void)
{
	unsigned long n;

	if (!PINFOLD_DEBUG_BUILD)
		return false;
	n = atomic_fetch_add_explicit(&calls, 1, memory_order_relaxed) + 1;
	return n == atomic_load_explicit(&fail_at, memory_order_relaxed);
}

void host_panic(const char *what)
{
	/* nothing can be done about a failed write: the process stops anyway */
	if (write(2, "pinfold: ", 9) < 0 || write(2, what, strlen(what)) < 0 ||
	    write(2, "\n", 1) < 0)
		abort();
	abort();
}
