/* SPDX-License-Identifier: MIT */
/*
 * kd.h - a test's side of the kernel test double (doc/kernel.md): it starts the double, maps user memory, calls the driver's
 * entry points, injects failures, and asks what the driver left behind.
 *
 * It goes together with libc's headers, with the double's <linux/...> ones, and with nothing of pinfold's own.
 *
 * Unless a call says otherwise: 0 or -errno, any thread.
 */
#ifndef PINFOLD_KD_H
#define PINFOLD_KD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct file;
struct page;
struct mm_struct;
struct platform_device;

struct kd_options {
	size_t size;
	size_t memory;            /* bytes of page memory, user's and kernel's; 0: 16 MiB */
	unsigned long memlock;    /* RLIMIT_MEMLOCK in bytes; 0: no limit */
	unsigned deadline_ms;     /* a wait longer than that is a problem; 0: 5000 */
	unsigned flags;           /* KD_* below */
	/* BUG(), a lock taken twice, a wait without end.  Must not return (longjmp, exit); NULL: the report goes to
	 * stderr and the process aborts. */
	void (*fatal)(const char *what);
};
#define KD_PUT_PAGE_RELEASES 1u /* 5.2: put_page() may release a pin, as 5.2's own drivers have it */
#define KD_VERBOSE           2u /* the driver's messages go to stderr, too */

/* A machine, one user process (`current` of every thread of the test) with an empty address space.  -EBUSY started
 * already; errors of pinfold_create(). */
int kd_start(const struct kd_options *opts);
/* kd_check(), then all of it is taken down, whatever is left.  Result: that of kd_check(). */
int kd_stop(void);

/* ---- user memory ----------------------------------------------------------------------------- */

/* Zeroes at an address where nothing was before: a plain pointer for the test.  prot, flags (MAP_SHARED, MAP_PRIVATE):
 * those of <sys/mman.h>.  NULL: none. */
void *kd_mmap(size_t len, int prot, int flags);
int kd_munmap(void *addr, size_t len);
int kd_mprotect(void *addr, size_t len, int prot);
/* Was the page there marked dirty (set_page_dirty(), a dirty release) since kd_start()? */
bool kd_dirty(const void *addr);

/* ---- the process ----------------------------------------------------------------------------- */

void kd_capable(bool yes);          /* CAP_IPC_LOCK and all the others */
void kd_memlock(unsigned long bytes);
void kd_signal(bool pending);       /* waits and killable locks end with it */
void kd_no_mm(bool yes);            /* `current` has no mm, as in the kernel's own threads */
/* The counters that callers keep: current->mm's, and the user's. */
long kd_locked_vm(void), kd_pinned_vm(void), kd_user_locked_vm(void);

/* ---- the driver ------------------------------------------------------------------------------ */

/* Calls all modules' init, by level, then in the order of linking; stops at the first that fails and undoes those
 * before.  Result: that one's. */
int kd_init(void);
/* Calls exit, last first; what a module that has one left registered is a leak from then on. */
void kd_exit(void);

/* A device of this name: its driver's probe is called, whose result is *err.  NULL then; -ENODEV: no driver. */
struct platform_device *kd_platform_add(const char *name, int *err);
/* Calls the driver's remove, and what devm_ calls left to the device; it is gone then. */
void kd_platform_del(struct platform_device *pdev);

/* Opens a debugfs file, misc device or character device by its name.  *err: -ENOENT, or what open said; NULL then. */
struct file *kd_open(const char *name, unsigned flags, int *err);
/* arg: len bytes that are copied to user memory, whose address the driver gets, and back.  len 0: arg is the number itself. */
long kd_ioctl(struct file *file, unsigned cmd, void *arg, size_t len);
ssize_t kd_read(struct file *file, void *buf, size_t len);
ssize_t kd_write(struct file *file, const void *buf, size_t len);
int kd_close(struct file *file);
/* Runs queued work, and RCU callbacks.  Result: how many. */
int kd_run_work(void);

/* ---- what came of it ------------------------------------------------------------------------- */

/*
 * Problems told so far, and leaks there are now: memory, pages, pins, references, DMA mappings, kmaps, locks, files, threads,
 * references to mms, users and devices, locked_vm and pinned_vm.  0 is good.  What was told stays told.
 */
int kd_check(void);
/* All of them, a line each: what, the n-th of its kind, by which call, from where (for addr2line). */
void kd_report(FILE *to);
/* Takes back problems (not leaks) whose text has this part in it: they were what the test wanted.  Result: how many. */
int kd_expect(const char *part);
/* Is there a problem or leak with this part? */
bool kd_told(const char *part);
/* Has a message of the driver's this part? */
bool kd_logged(const char *part);

/* ---- failures -------------------------------------------------------------------------------- */

enum kd_point {
	KD_ALLOC,     /* kmalloc() and all that allocates: NULL, -ENOMEM.  Not with __GFP_NOFAIL */
	KD_PIN,       /* a get or pin: -ENOMEM */
	KD_PIN_SHORT, /* a get or pin delivers the first half, of one page: -EFAULT */
	KD_DROP,      /* a call with `locked` lets go of the mmap lock: no failure, but another way */
	KD_COPY,      /* copy_from_user() and its kin: the last byte is not copied */
	KD_DMA,       /* a DMA mapping cannot be made */
	KD_SIGNAL,    /* a killable lock or wait: -EINTR */
	KD_REGISTER,  /* misc_register(), debugfs */
	KD_POINTS
};
#define KD_ANY KD_POINTS /* whichever comes */

/* The n-th (from 1) time from now that this point is passed fails, that one only; n 0: none. */
void kd_fail_nth(enum kd_point point, unsigned long n);
/* Did it happen? */
bool kd_failed(void);

/* A test that is run once without failures, then with the first, the second ... failing, until none is left to fail. */
struct kd_scenario {
	/* Between kd_start() and kd_stop().  0, or -errno as the driver said it. */
	int (*run)(void *arg);
	void *arg;
	const struct kd_options *opts;
	enum kd_point point;
};
struct kd_outcome {
	unsigned long runs, failures; /* failures: injected; each a run */
	unsigned long silent;         /* of them, but for KD_PIN_SHORT and KD_DROP: run() gave 0 all the same */
	unsigned long bad;            /* runs after which kd_check() found something */
	char first[512];              /* the first problem found */
};
/* 0: all runs were clean and the one without failures gave 0.  -EINVAL: it did not.  -EUCLEAN: `bad`.  More than 10000
 * failures: -E2BIG. */
int kd_run_all(const struct kd_scenario *s, struct kd_outcome *o);

#ifdef __cplusplus
}
#endif
#endif
