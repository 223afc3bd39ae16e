/* SPDX-License-Identifier: MIT */
/*
 * cow.h - faults on private mappings: zero page, pages of the mm's own, copies on write, unsharing for pins.
 *
 * A page that an mm may write to or pin is its own: its slot is SLOT_EXCL, no other slot shows it (clauses U1, I6).  A
 * snapshot takes that away, sharing it; a write or a pin then finds out whether the page is the mm's alone
 * by now, or takes a copy.  So a pin and the mm never come to see different pages (W10).
 *
 * A CPU and a pin break sharing the same way: nothing here knows of pins.
 */
#ifndef PINFOLD_COW_H
#define PINFOLD_COW_H

#include "mm/rmap.h"
#include "mm/vm_fault.h"

/*
 * One look at a private mapping's slot.  mmap lock held.  file_page: NULL, or the file's page for the address with a
 * reference, which is given back or becomes the slot's.  FAULT_NEED_PAGE: come again with it.
 */
enum fault_fact cow_fault(struct vm_fault *vmf, struct page *file_page);

#endif
