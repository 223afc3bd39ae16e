/* SPDX-License-Identifier: MIT */
/*
 * ledger.h - how much of a machine is pinned, against one limit for all (contract.md, O-15): each folio once, whoever pins it
 * and how often, and what account_locked_vm() adds.
 *
 * Only a machine with a limit keeps the sum: the lockless ways are closed there, as a pin of one page would meet
 * with all others on it.  A folio is charged by the pin that finds none before it, and given back by the put that
 * leaves none: one word decides, so each charge has its return.  Over the limit the pin that did it goes.
 */
#ifndef PINFOLD_LEDGER_H
#define PINFOLD_LEDGER_H

#include "mm/page_alloc.h"

static inline bool ledger_limited(const struct pinfold *m)
{
	return unlikely(m->pin_limit);
}

/* page_pin() and page_put_pins() of a machine with a limit.  pin: 0, or -ENOMEM; put: enum dec_fact. */
int ledger_pin(struct pinfold *m, struct page *head, unsigned n, uint32_t sticky);
int ledger_put(struct pinfold *m, struct page *head, uint64_t n);
/* A put in any machine; the same facts. */
static inline int put_pins(struct pinfold *m, struct page *head, uint64_t n)
{
	return ledger_limited(m) ? ledger_put(m, head, n) : page_put_pins(head, n);
}

/* The sum as the pages have it; at rest. */
uint64_t ledger_pages(struct pinfold *m);

#endif
