/* SPDX-License-Identifier: MIT */
/*
 * fault.h - one look at one address: brings the page in, makes it writable, sets the slot, and in a
 * window installs the translation.
 *
 * It knows nothing of pins or devices: a CPU and a pin fault the same way.  It does not loop and does
 * not reclaim; what it cannot do now it tells as a fact, and the caller (gup.c) deals with it.
 */
#ifndef PINFOLD_FAULT_INTERNAL_H
#define PINFOLD_FAULT_INTERNAL_H

#include "mm/cow.h"
#include "mm/cut.h"
#include "mm/rmap.h"

/* mmap lock held for reading (writing without ALLOW_DROP). */
enum fault_fact handle_mm_fault(struct vm_fault *vmf);

/* Sets slots for pages that are cached already behind addr, read-only ones, up to `end`, in one VMA and one
 * leaf: a hint.  window: and the translations, that of addr too, which handle_mm_fault() left to this
 * call.  0 or -errno. */
int fault_around(struct vm_area_struct *vma, unsigned long addr, unsigned long end, bool window);

#endif
