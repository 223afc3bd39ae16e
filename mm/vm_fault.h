/* SPDX-License-Identifier: MIT */
/* vm_fault.h - what a fault wants, and the facts it ends with: between gup.c, fault.c and cow.c. */
#ifndef PINFOLD_VM_FAULT_H
#define PINFOLD_VM_FAULT_H

#include "mm/types.h"

enum fault_fact {
	FAULT_DONE,       /* the slot is good for the access */
	FAULT_AGAIN,      /* something was waited for or read: look again */
	FAULT_BLOCK,      /* needs I/O, and NOWAIT was asked for */
	FAULT_NO_FRAME,   /* vmf->kind: reclaim, look again */
	FAULT_LIMIT,      /* too many dirty pages: wait for a commit */
	FAULT_WAIT_CLAIM, /* for the committer; vmf->page has a reference */
	FAULT_WAIT_PINS,  /* for a freeze that waits for pins */
	FAULT_ACCESS,     /* the mapping does not allow it: SIGSEGV */
	FAULT_ERROR,      /* vmf->error: SIGBUS */
	FAULT_NEED_PAGE   /* cow.c to fault.c: the file's page is wanted */
};

#define FAULT_WRITE      1u
#define FAULT_NOWAIT     2u
#define FAULT_ALLOW_DROP 4u  /* may drop the mmap lock (held for reading) to do I/O */
#define FAULT_WINDOW     8u  /* a CPU's access through the window: install the translation */
#define FAULT_PIN        16u /* on behalf of a write pin */
#define FAULT_FORCE      32u /* although the VMA does not allow it now */
#define FAULT_UNSHARE    64u /* a read that wants a page of the mm's own: for a pin (U1, U4) */

struct vm_fault {
	struct vm_area_struct *vma;
	unsigned long addr; /* page-aligned, inside vma */
	unsigned flags;
	uint64_t want;      /* pages that will be wanted from here */
	bool mapped;        /* fault.c's own: the slot showed the page before */
	bool told;          /* cow.c's own: notifiers know */
	/* out */
	bool dropped;       /* the mmap lock is not held any more, vma not valid */
	int error;
	struct page *page;
	enum frame_kind kind;
	unsigned long covered; /* the access is good up to here, at least: addr + 4096, or more */
};

#endif
