/* SPDX-License-Identifier: MIT */
/*
 * gup.h - what populate, access and the window share with the pin calls: the one loop that faults and
 * looks again (decision D6).
 */
#ifndef PINFOLD_GUP_INTERNAL_H
#define PINFOLD_GUP_INTERNAL_H

#include "mm/fault.h"
#include "mm/handle.h"

/* An mm with its lock, and what an access wants of it. */
struct faultin {
	struct mm_struct *mm;
	unsigned flags;     /* FAULT_* for the handler; ALLOW_DROP: the lock may be dropped */
	bool held;          /* the mmap lock is held, for reading unless ALLOW_DROP is clear */
	bool dropped;       /* it was not held for some time */
	bool looked;        /* this fault has had its first look */
	uint64_t want;
	unsigned long covered; /* out: good up to here, at least */
	uint64_t deadline;  /* 0: set at the first wait */
};

/*
 * Makes the slot of addr good for the access and in a window installs the translation.
 * 0: it was, and may not be any more: look.  1: would block (NOWAIT).  -errno: -EFAULT no mapping or no
 * right, -ENXIO, -EIO, -ESTALE, -ENOMEM, -ENOSPC, -EBUSY.  The lock is held on return iff fi->held.
 */
int faultin_page(struct faultin *fi, unsigned long addr);

/* Takes or drops the lock of fi, noting it. */
void faultin_lock(struct faultin *fi);
void faultin_unlock(struct faultin *fi);

/*
 * Around faults of a call that was given no lock: takes note of the one that the thread holds through the public call,
 * under which it goes on and which is kept; any other may be dropped, and is not held after faultin_exit().
 */
void faultin_enter(struct faultin *fi);
void faultin_exit(struct faultin *fi);

/*
 * The same for a call that wants the lock held.  locked: NULL, the lock stays; else it may be dropped, and faultin_tell()
 * says so: then it is not held any more (L2).  faultin_caller(): 0, or -EINVAL not held, *locked not 1, held for writing.
 */
int faultin_caller(struct faultin *fi, const int *locked);
void faultin_tell(struct faultin *fi, int *locked);

/* The thread's live mm; NULL and *err. */
struct mm_struct *current_mm(int *err);
/* The live mm whose mmap lock the thread holds through the public call; NULL and *err. */
struct mm_struct *held_mm(int *err);

/* The arguments of a pin call, checked once.  0 or -errno. */
long gup_check(unsigned long start, unsigned long nr, unsigned flags, struct page **pages);

/* The page flags that a pin of this kind sets. */
static inline uint32_t pin_flags(unsigned gup_flags)
{
	return PG_referenced | (gup_flags & FOLL_WRITE ? PG_wpinned : 0) |
	       (gup_flags & FOLL_LONGTERM ? PG_longterm : 0);
}

/* gup_fast.c: the leaf of addr as the lockless pin finds it, or NULL.  seq: the mm's table sequence, sampled before and to be
 * compared after the pin was counted. */
struct table *gup_leaf(struct mm_struct *mm, unsigned long addr, uint64_t seq);

/* Reasons a file has for a failed page are told by pinfold_last_fault(); a pin says -EFAULT (F4). */
long gup_errno(int r);

/* What a pin would get of addr's slot without a fault; with FOLL_GET it is pinned, not counted as an event.  NULL: a fault
 * is needed, or *err.  mmap lock held. */
struct page *gup_look(struct vm_area_struct *vma, unsigned long addr, unsigned flags, int *err);

/* As get_user_pages_unlocked(), for a given mm. */
long pin_range(struct mm_struct *mm, unsigned long start, unsigned long nr, unsigned gup_flags,
               struct page **pages);

#endif
