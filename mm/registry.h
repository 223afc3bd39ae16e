/* SPDX-License-Identifier: MIT */
/*
 * registry.h - the only global state: which machines live, and which windows.
 *
 * put_user_page() finds a page's machine here, the signal handler finds a faulting address's mm, and
 * every public call asks whether its arrays lie in a window.  Readers take no lock.
 */
#ifndef PINFOLD_REGISTRY_H
#define PINFOLD_REGISTRY_H

#include "mm/types.h"

#define MAX_MACHINES 64
#define MAX_WINDOWS 1024

/* 0, -ENOMEM when the table is full. */
int registry_add_machine(struct pinfold *m);
void registry_remove_machine(struct pinfold *m);
/* True if m is a live machine; safe for any pointer. */
bool registry_has_machine(const struct pinfold *m);
/* The machine whose record `page` is (exactly at a record's start), or NULL. */
struct pinfold *registry_machine_of(const struct page *page);
/* The same, and the thread's counts are turned to it; NULL and *err: -EINVAL no page of a machine, -EOWNERDEAD. */
struct pinfold *registry_attach(const struct page *page, int *err);
/* Marks every machine dead and calls fn for each: for a forked child. */
void registry_child(void (*fn)(struct pinfold *m));

/* 0, or -ENOMEM. */
int registry_add_window(struct mm_struct *mm, unsigned long start, unsigned long end);
/* Makes two of the one that contains addr, unless it begins there.  0, or -ENOMEM. */
int registry_split_window(unsigned long addr);
/* Those that lie in [start, end). */
void registry_remove_windows(unsigned long start, unsigned long end);
/* The mm whose window contains addr, or NULL.  [sig] */
struct mm_struct *registry_window_of(unsigned long addr);

extern _Atomic unsigned long window_lowest, window_highest;

/* Does [p, p + len) touch a window?  Two loads when it does not, in the usual case. */
bool registry_in_window_slow(unsigned long start, unsigned long end);
static inline bool in_window(const void *p, size_t len)
{
	unsigned long a = (unsigned long)p;

	if (likely(a >= atomic_load_explicit(&window_highest, memory_order_relaxed) ||
	           a + len <= atomic_load_explicit(&window_lowest, memory_order_relaxed)))
		return false;
	return registry_in_window_slow(a, a + len);
}

#endif
