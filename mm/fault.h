/* SPDX-License-Identifier: MIT */
/*
 * fault.h - one look at one address: brings the page in, makes it writable, sets the slot, and in a
 * window installs the translation.
 *
 * It knows nothing of pins or devices: a CPU and a pin fault the same way.  It does not loop and does
 * not reclaim; what it cannot do now it tells as a fact, and the caller (gup.c) deals with it.
 */
#ifndef PINFOLD_FAULT_H
#define PINFOLD_FAULT_H

#include "mm/cut.h"
#include "mm/rmap.h"

enum fault_fact {
	FAULT_DONE,       /* the slot is good for the access */
	FAULT_AGAIN,      /* something was waited for or read: look again */
	FAULT_BLOCK,      /* needs I/O, and NOWAIT was asked for */
	FAULT_NO_FRAME,   /* reclaim, look again */
	FAULT_LIMIT,      /* too many dirty pages: wait for a commit */
	FAULT_WAIT_CLAIM, /* for the committer; vmf->page has a reference */
	FAULT_WAIT_PINS,  /* for a freeze that waits for pins */
	FAULT_ACCESS,     /* the mapping does not allow it: SIGSEGV */
	FAULT_ERROR       /* vmf->error: SIGBUS */
};

#define FAULT_WRITE      1u
#define FAULT_NOWAIT     2u
#define FAULT_ALLOW_DROP 4u  /* may drop the mmap lock (held for reading) to do I/O */
#define FAULT_WINDOW     8u  /* a CPU's access through the window: install the translation */
#define FAULT_PIN        16u /* on behalf of a write pin */
#define FAULT_FORCE      32u /* read although the VMA does not allow it now */

struct vm_fault {
	struct vm_area_struct *vma;
	unsigned long addr; /* page-aligned, inside vma */
	unsigned flags;
	uint64_t want;      /* pages that will be wanted from here */
	bool mapped;        /* fault.c's own: the slot showed the page before */
	/* out */
	bool dropped;       /* the mmap lock is not held any more, vma not valid */
	int error;
	struct page *page;
};

/* mmap lock held for reading (writing without ALLOW_DROP). */
enum fault_fact handle_mm_fault(struct vm_fault *vmf);

/* Sets slots for pages that are cached already behind addr, read-only ones, up to `end`, in one VMA and one
 * leaf: a hint.  window: and the translations, that of addr too, which handle_mm_fault() left to this
 * call.  0 or -errno. */
int fault_around(struct vm_area_struct *vma, unsigned long addr, unsigned long end, bool window);

#endif
