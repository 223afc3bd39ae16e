/* SPDX-License-Identifier: MIT */
/* vmstat.c - see vmstat.h. */
#include "mm/vmstat.h"

#include "mm/debug.h"

HOST_TLS struct current_thread current;
bool vmstat_in_child;

static struct host_mutex threads_lock = HOST_MUTEX_INIT(HOST_RANK_STAT);
static struct current_thread *threads; /* threads_lock */

/* Caller holds threads_lock.  Adding to the machine before clearing the thread's own would count
 * twice for a reader; both sides take the lock. */
static void fold(struct current_thread *t)
{
	for (int i = 0; t->machine && i < NR_VM_EVENTS; i++) {
		uint64_t v = atomic_load_explicit(&t->event[i], memory_order_relaxed);

		if (v)
			atomic_fetch_add_explicit(&t->machine->event[i], v, memory_order_relaxed);
		atomic_store_explicit(&t->event[i], 0, memory_order_relaxed);
	}
}

static void thread_exit(void *arg)
{
	struct current_thread *t = arg;

	/* A thread that ends inside a write section would hold every freeze for good. */
	while (t->nr_sections) {
		struct section *s = &t->section[--t->nr_sections];
		struct pinfold *m = s->mapping->machine;

		if (s->mapping->flags & PINFOLD_FILE_ASYNC_WP) {
			/* As pinfold_write_end(): what was stored is not known yet. */
			host_lock(&s->mapping->pages_lock);
			s->mapping->async_reserved += s->left;
			host_unlock(&s->mapping->pages_lock);
		} else {
			atomic_fetch_sub(&m->dirty, (int64_t)s->left);
		}
		/* as cut_unreserve(): somebody may wait for room */
		atomic_fetch_add(&m->commit_event, 1);
		host_wake(&m->commit_event, INT32_MAX);
		host_read_unlock(&s->mapping->section_sem);
		atomic_fetch_sub(&s->mapping->users, 1);
	}
	if (t->mmap_held && t->mmap_write)
		host_write_unlock(&t->mmap_held->mmap_lock);
	else if (t->mmap_held)
		host_read_unlock(&t->mmap_held->mmap_lock);
	t->mmap_held = NULL;
	host_lock(&threads_lock);
	fold(t);
	t->machine = NULL;
	t->pages = NULL;
	t->nr_records = 0;
	if (t->linked) {
		*(t->prev ? &t->prev->next : &threads) = t->next;
		if (t->next)
			t->next->prev = t->prev;
		t->linked = false;
	}
	host_unlock(&threads_lock);
	atomic_store_explicit(&t->mm, NULL, memory_order_relaxed);
}

void vmstat_attach(struct pinfold *m)
{
	struct current_thread *t = &current;

	host_lock(&threads_lock);
	fold(t);
	t->walk_seq = 0; /* of another machine's mm */
	t->machine = m;
	t->pages = m->pages;
	t->nr_records = m->pin_limit ? 0 : m->nr_frames + 1; /* a limit: no put is plain (ledger.h) */
	if (!t->linked) {
		t->prev = NULL;
		t->next = threads;
		if (threads)
			threads->prev = t;
		threads = t;
		t->linked = true;
		host_at_thread_exit(thread_exit, t);
	}
	host_unlock(&threads_lock);
}

void vmstat_read(struct pinfold *m, uint64_t sum[NR_VM_EVENTS])
{
	host_lock(&threads_lock);
	for (int i = 0; i < NR_VM_EVENTS; i++)
		sum[i] = atomic_load_explicit(&m->event[i], memory_order_relaxed);
	for (struct current_thread *t = threads; t; t = t->next)
		for (int i = 0; t->machine == m && i < NR_VM_EVENTS; i++)
			sum[i] += atomic_load_explicit(&t->event[i], memory_order_relaxed);
	host_unlock(&threads_lock);
}

uint64_t vmstat_pinned(struct pinfold *m)
{
	uint64_t sum[NR_VM_EVENTS];

	vmstat_read(m, sum);
	return sum[PINS_ACQUIRED] + sum[RANGE_PAGES_IN] - sum[PINS_RELEASED] - sum[RANGE_PAGES_OUT];
}

void vmstat_detach_all(struct pinfold *m)
{
	host_lock(&threads_lock);
	for (struct current_thread *t = threads; t; t = t->next) {
		struct mm_struct *mm = atomic_load_explicit(&t->mm, memory_order_relaxed);

		/* A thread of another machine goes on meanwhile, and may turn to an mm of that just now. */
		if (mm && mm->machine == m)
			atomic_compare_exchange_strong(&t->mm, &mm, NULL);
		if (t->machine != m)
			continue;
		fold(t);
		/* The number alone: a thread that puts a page of another machine now finds it not in here, whatever it reads. */
		t->nr_records = 0;
		t->machine = NULL;
	}
	host_unlock(&threads_lock);
}

void vmstat_child(void)
{
	/* The lock may have been held by a thread that is gone. */
	host_mutex_init(&threads_lock, HOST_RANK_STAT);
	threads = NULL;
	vmstat_in_child = true;
	current = (struct current_thread){ 0 };
}
