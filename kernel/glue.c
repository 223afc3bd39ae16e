/* SPDX-License-Identifier: MIT */
/* glue.c - the test double's only file that speaks with pinfold: the machine, address spaces, pins, references. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>

#include <pinfold/notifier.h>
#include <pinfold/pinfold.h>

#include "kd.h"

static struct pinfold *machine;
static struct mm_struct *kernel_mm;
static unsigned long next_place, last_place; /* of the process's mappings */
static struct sigaction before[2]; /* of SIGSEGV, SIGBUS */
static const int signals[2] = { SIGSEGV, SIGBUS };

/* The process's own touches of its memory.  What is not ours happens again, in the hands of who was there before. */
static void touch(int sig, siginfo_t *info, void *context)
{
	if (!pinfold_handle_fault(sig, info, context))
		sigaction(sig, &before[sig == SIGBUS], NULL);
}

/* At each start, not once: test frames install handlers of their own around each test. */
static void arm(void)
{
	struct sigaction a = { .sa_sigaction = touch, .sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK };

	for (int i = 0; i < 2; i++)
		sigaction(signals[i], &a, &before[i]);
}

static void disarm(void)
{
	for (int i = 0; i < 2; i++) {
		struct sigaction now;

		sigaction(signals[i], NULL, &now);
		if (now.sa_sigaction == touch)
			sigaction(signals[i], &before[i], NULL);
	}
}

int kd_glue_start(size_t memory)
{
	/* All of it in the pool: memory of processes and of the kernel is anonymous. */
	int r = pinfold_create(&(struct pinfold_options){ .size = sizeof(struct pinfold_options), .memory = memory,
	                                                  .pool = memory, .staging = 1 << 21,
	                                                  .flags = PINFOLD_NO_SIGNALS | PINFOLD_NO_URING },
	                       &machine);

	if (!r)
		arm();
	return r;
}

int kd_glue_stop(void)
{
	int r;

	disarm();
	pinfold_use_mm(NULL);
	if (kernel_mm)
		pinfold_mm_destroy(kernel_mm);
	kernel_mm = NULL;
	r = pinfold_check(machine);
	if (r)
		kd_problem("%d of the machine's invariants are broken", r);
	r = pinfold_destroy(machine);
	machine = NULL;
	return r;
}

int kd_glue_mm_new(void **mm)
{
	int r = pinfold_mm_create(machine, PINFOLD_WINDOW_EXTENT, (struct mm_struct **)mm);

	return r ? r : pinfold_mm_range(*mm, &next_place, &last_place);
}

int kd_glue_mm_kernel(void **mm, unsigned long *singles, unsigned long *folios, size_t bytes)
{
	const int prot = PINFOLD_PROT_READ | PINFOLD_PROT_WRITE, flags = PINFOLD_MAP_PRIVATE | PINFOLD_MAP_ANONYMOUS;
	int r = pinfold_mm_create(machine, PINFOLD_WINDOW_NONE, &kernel_mm);
	long a;

	if (r)
		return r;
	*mm = kernel_mm;
	a = vm_mmap(kernel_mm, 1ul << 40, bytes, prot, flags, NULL, 0);
	*singles = (unsigned long)a;
	if (a > 0) {
		a = vm_mmap(kernel_mm, 1ul << 41, bytes, prot, flags, NULL, 0);
		*folios = (unsigned long)a;
	}
	return a < 0 ? (int)a : vm_madvise(kernel_mm, *folios, bytes, PINFOLD_MADV_HUGEPAGE);
}

int kd_glue_mm_end(void *mm)
{
	return pinfold_mm_destroy(mm);
}

/* Never where something was before: a hole that a test made stays one.  And with a hole behind it. */
long kd_glue_map(void *mm, size_t len, int prot, int flags)
{
	unsigned long at = next_place;

	if (last_place - at < len + PINFOLD_PAGE_SIZE)
		return -ENOMEM;
	next_place += len + PINFOLD_PAGE_SIZE;
	return vm_mmap(mm, at, len, prot, flags | PINFOLD_MAP_ANONYMOUS | PINFOLD_MAP_FIXED_NOREPLACE, NULL, 0);
}

int kd_glue_unmap(void *mm, unsigned long addr, size_t len)
{
	return vm_munmap(mm, addr, len);
}

int kd_glue_protect(void *mm, unsigned long addr, size_t len, int prot)
{
	return vm_mprotect(mm, addr, len, prot);
}

long kd_glue_copy(void *mm, unsigned long addr, void *buf, size_t len, bool write)
{
	return access_process_vm(mm, addr, buf, len, write ? FOLL_WRITE : 0);
}

static unsigned foll(unsigned flags)
{
	return (flags & GLUE_WRITE ? FOLL_WRITE : 0) | (flags & GLUE_DUMP ? FOLL_DUMP : 0) |
	       (flags & GLUE_FORCE ? FOLL_FORCE : 0) | (flags & GLUE_NOWAIT ? FOLL_NOWAIT : 0) |
	       (flags & GLUE_ANON ? FOLL_ANON : 0) | (flags & GLUE_LONGTERM ? FOLL_LONGTERM : 0);
}

long kd_glue_pin(void *mm, enum glue_way way, unsigned long start, unsigned long n, unsigned flags, struct page **pages,
              int *locked)
{
	if (way == GLUE_LOCKED)
		return get_user_pages_remote(NULL, mm, start, n, foll(flags), pages, NULL, locked);
	pinfold_use_mm(mm);
	if (way == GLUE_FAST)
		return get_user_pages_fast(start, (int)n, foll(flags), pages);
	return get_user_pages_unlocked(start, n, pages, foll(flags));
}

int kd_glue_unpin(struct page *page)
{
	return put_user_page(page);
}

int kd_glue_unpin_dirty(struct page *page, bool lock)
{
	return lock ? put_user_pages_dirty_lock(&page, 1) : put_user_pages_dirty(&page, 1);
}

int kd_glue_get(struct page *page)
{
	return get_page(page);
}

int kd_glue_put(struct page *page)
{
	return put_page(page);
}

void *kd_glue_address(const struct page *page)
{
	return page_address(page);
}

void kd_glue_lock(void *mm, bool write)
{
	if (write)
		mmap_write_lock(mm);
	else
		mmap_read_lock(mm);
}

bool kd_glue_trylock(void *mm, bool write)
{
	/* There is no trylock for writing; the double's own lock was free, so nobody else has this one. */
	if (!write)
		return mmap_read_trylock(mm);
	mmap_write_lock(mm);
	return true;
}

void kd_glue_unlock(void *mm, bool write)
{
	if (write)
		mmap_write_unlock(mm);
	else
		mmap_read_unlock(mm);
}

/* ---- notifiers: the machine's, each with the double's beside it ---------------------------------- */

struct kd_glue_notifier {
	union {
		struct mmu_notifier mn;
		struct mmu_interval_notifier mni;
	};
	const struct kd_glue_calls *calls;
	void *arg;
};

#define OF(ptr, member) ((struct kd_glue_notifier *)((char *)(ptr) - offsetof(struct kd_glue_notifier, member)))

static int on_start(struct mmu_notifier *mn, const struct mmu_notifier_range *r)
{
	struct kd_glue_notifier *n = OF(mn, mn);

	n->calls->start(n->arg, r->start, r->end, r->event);
	return 0;
}

static void on_end(struct mmu_notifier *mn, const struct mmu_notifier_range *r)
{
	struct kd_glue_notifier *n = OF(mn, mn);

	n->calls->end(n->arg, r->start, r->end, r->event);
}

static bool on_invalidate(struct mmu_interval_notifier *mni, const struct mmu_notifier_range *r, unsigned long seq)
{
	struct kd_glue_notifier *n = OF(mni, mni);

	return n->calls->invalidate(n->arg, r->start, r->end, r->event, seq);
}

static const struct mmu_notifier_ops whole_ops = { .invalidate_range_start = on_start, .invalidate_range_end = on_end };
static const struct mmu_interval_notifier_ops interval_ops = { .invalidate = on_invalidate };

static struct kd_glue_notifier *new_notifier(const struct kd_glue_calls *calls, void *arg)
{
	struct kd_glue_notifier *n = kd_alloc(sizeof(*n));

	n->calls = calls;
	n->arg = arg;
	return n;
}

int kd_glue_notify(void *mm, const struct kd_glue_calls *calls, void *arg, struct kd_glue_notifier **out)
{
	struct kd_glue_notifier *n = new_notifier(calls, arg);
	int r;

	n->mn.ops = &whole_ops;
	r = mmu_notifier_register(&n->mn, mm);
	if (r)
		free(n);
	else
		*out = n;
	return r;
}

int kd_glue_unnotify(struct kd_glue_notifier *n)
{
	int r = mmu_notifier_unregister(&n->mn, n->mn.mm);

	if (!r)
		free(n);
	return r;
}

int kd_glue_interval(void *mm, unsigned long start, unsigned long length, const struct kd_glue_calls *calls, void *arg,
                     struct kd_glue_notifier **out)
{
	struct kd_glue_notifier *n = new_notifier(calls, arg);
	int r;

	/* Before the call: it may be told of a change before it returns. */
	*out = n;
	r = mmu_interval_notifier_insert(&n->mni, mm, start, length, &interval_ops);
	if (r) {
		*out = NULL;
		free(n);
	}
	return r;
}

int kd_glue_uninterval(struct kd_glue_notifier *n)
{
	int r = mmu_interval_notifier_remove(&n->mni);

	if (!r)
		free(n);
	return r;
}

unsigned long kd_glue_read_begin(struct kd_glue_notifier *n)
{
	return mmu_interval_read_begin(&n->mni);
}

int kd_glue_read_retry(struct kd_glue_notifier *n, unsigned long seq)
{
	return mmu_interval_read_retry(&n->mni, seq);
}

void kd_glue_set_seq(struct kd_glue_notifier *n, unsigned long seq)
{
	mmu_interval_set_seq(&n->mni, seq);
}
