/* SPDX-License-Identifier: MIT */
/*
 * extent.h - extent windows: translations are pieces of memory files mapped into the mm's stretch of addresses.
 *
 * What is mapped is remembered here, per 4 KiB, in chunks of 2 MiB: cached bits belong to the window and not to
 * the slot, whose table several mms may share (D5).  The chunk knows where the kernel can merge neighbours, so the
 * number of the process's mappings that windows use is known, and kept under a budget: the oldest chunk's translations
 * go first.  Dropping a translation is always right.
 *
 * install = [table lock: read slot, extent_install()]; remove = [table lock: change slot], extent_drop().
 * window_lock guards all of it; the kernel has one lock for a process's mappings anyway.
 */
#ifndef PINFOLD_EXTENT_H
#define PINFOLD_EXTENT_H

#include "mm/page_alloc.h"

void extent_init_machine(struct pinfold *m);
/* The reservation.  0, or -ENOMEM. */
int extent_init(struct mm_struct *mm);
/* Everything is unmapped and no batch of drops names the mm any more. */
void extent_exit(struct mm_struct *mm);
/* In a forked child: the stretch goes. */
void extent_child(struct mm_struct *mm);

/* Pages to show: n from addr on, whose frames follow each other, in one 2 MiB stretch. */
struct extent_run {
	unsigned long addr;
	unsigned n;
	unsigned at; /* the one that is wanted */
	struct page *first;
	bool writable;
};

/* Shows what is wanted, and around it what is not shown like that already.  0, -ENOMEM.  The table is locked.  [sig] */
int extent_install(struct mm_struct *mm, struct extent_run *run);
/* Forgets the translations of a range; no such left on return.  [sig] */
void extent_drop(struct mm_struct *mm, unsigned long addr, size_t len);
/* Takes the right to store off what is shown of a range; may forget it instead.  [sig] */
void extent_protect(struct mm_struct *mm, unsigned long addr, size_t len);
/* The chunks' numbers against the machine's; violations. */
int extent_check(struct pinfold *m);

#endif
