/* SPDX-License-Identifier: MIT */
/*
 * folio.h - making single pages of a folio.
 *
 * The folio's counts live on its head, so all slots that show it must be found and held still: they are those
 * of the private VMAs (list of `anon`) that cover its index.
 */
#ifndef PINFOLD_FOLIO_H
#define PINFOLD_FOLIO_H

#include "mm/rmap.h"

/* The caller has an internal reference on the head.  0; -EBUSY pins or references (H4); -EAGAIN it changes hands just
 * now; -ENOMEM.  Nothing changed but for 2 MiB slots that became 512. */
int folio_split(struct pinfold *m, struct page *head);

#endif
