/* SPDX-License-Identifier: MIT */
/*
 * vmstat.h - the calling thread's own state, and the machine's counters.
 *
 * Events are counted per thread, so that a pin costs one locked add and not two, and faults of two threads
 * do not meet: a thread's numbers belong to one machine at a time and are folded into it when the thread
 * turns to another or ends.  A thread that never pinned counts in the machine.  The block is thread-local
 * memory, so that the first pin of a thread allocates nothing.
 */
#ifndef PINFOLD_VMSTAT_H
#define PINFOLD_VMSTAT_H

#include "mm/types.h"

#define MAX_SECTIONS 8

struct section {
	struct address_space *mapping;
	uint64_t left; /* pages reserved and not dirtied yet */
};

struct current_thread {
	/* Whose counts these are; NULL: none yet. */
	struct pinfold *machine;
	struct page *pages;  /* machine's records: put_user_page() checks against them */
	uint64_t nr_records;
	_Atomic uint64_t event[NR_VM_EVENTS]; /* written by the thread, read by anyone */
	/* pinfold_use_mm(); NULL again when its machine goes, by whoever closes that: used_mm(). */
	struct mm_struct *_Atomic mm;
	/* The leaf that the last fast pin walked to, good while its mm's table_seq is walk_seq; 0: none. */
	unsigned long walk_tag;
	uint64_t walk_seq;
	struct table *walk_leaf;
	struct mm_struct *mmap_held;  /* its mmap lock is held through the public call */
	bool mmap_write;              /* for writing */
	/* In a call that must not be re-entered by a fault; a signal handler of the thread looks. */
	volatile int inside;
	bool in_notifier;             /* in a callback of an MMU notifier */
	unsigned nr_sections;
	struct section section[MAX_SECTIONS];
	struct pinfold_fault fault;   /* the last failed access; error 0: none */
	bool linked;
	struct current_thread *next, *prev;
};

extern HOST_TLS struct current_thread current;

/*
 * Around what takes locks: a signal handler that touches a window meanwhile is told (its signal goes where
 * it went before pinfold) and does not wait for locks of its own thread.  The fences bind the compiler: what is
 * said of a lock, like mmap_held, may not move out to where the handler takes it for the truth.
 */
static inline void call_begin(void)
{
	current.inside++;
	atomic_signal_fence(memory_order_seq_cst);
}

static inline void call_end(void)
{
	atomic_signal_fence(memory_order_seq_cst);
	current.inside--;
}

/* Is page a record of the thread's machine?  One compare: what is not a multiple of a record's size becomes huge. */
static inline bool own_record(const struct page *page)
{
	uint64_t off = (uintptr_t)page - (uintptr_t)current.pages;

	_Static_assert(sizeof(struct page) == 64, "six bits");
	return (off >> 6 | off << 58) < current.nr_records;
}

/* Makes m the machine whose pins the thread counts: at a thread's first pin, and at each change. */
void vmstat_attach(struct pinfold *m);
/* Exact at rest: the machine's own plus every thread's. */
void vmstat_read(struct pinfold *m, uint64_t sum[NR_VM_EVENTS]);
/* Pins acquired and not released. */
uint64_t vmstat_pinned(struct pinfold *m);
/* The thread's mm, or NULL.  Relaxed: others write NULL only, when there is nothing left that the mm could be used for. */
static inline struct mm_struct *used_mm(void)
{
	return atomic_load_explicit(&current.mm, memory_order_relaxed);
}

/* Forgets a machine that is about to go. */
void vmstat_detach_all(struct pinfold *m);
/* True in a forked child of a process that had a machine. */
extern bool vmstat_in_child;
/* In a forked child: only the calling thread is left. */
void vmstat_child(void);

/* For a thread whose machine it is.  Plain load and store: only the owner writes, readers want no torn value. */
static inline void count_own(enum vm_event e, uint64_t n)
{
	uint64_t v = atomic_load_explicit(&current.event[e], memory_order_relaxed);

	atomic_store_explicit(&current.event[e], v + n, memory_order_relaxed);
}

static inline void count_event(struct pinfold *m, enum vm_event e, uint64_t n)
{
	if (likely(current.machine == m))
		count_own(e, n);
	else
		atomic_fetch_add_explicit(&m->event[e], n, memory_order_relaxed);
}

/* The thread's section of mapping, or NULL. */
static inline struct section *current_section(const struct address_space *mapping)
{
	for (unsigned i = 0; i < current.nr_sections; i++)
		if (current.section[i].mapping == mapping)
			return &current.section[i];
	return NULL;
}

#endif
