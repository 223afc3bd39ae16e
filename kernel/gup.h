/* SPDX-License-Identifier: MIT */
/* gup.h - one get or pin, as both versions of the interface describe it. */
#ifndef KERNEL_GUP_H
#define KERNEL_GUP_H

#include <linux/mm.h>

#include "kd.h"

struct kd_gup {
	const char *call;
	const void *site;
	struct mm_struct *mm;
	enum glue_way way;
	bool reference;      /* a plain reference, not a pin */
	unsigned flags;      /* GLUE_* */
	unsigned long start, n;
	struct page **pages; /* or NULL: fault in and count */
	int *locked;         /* or NULL */
};

long kd_gup(const struct kd_gup *g);
/* kind: what this call releases.  tolerant: it may be the other. */
void kd_release(struct page *page, enum kd_kind kind, const char *call, bool tolerant);
void kd_release_dirty(struct page *page, const char *call);

#endif
