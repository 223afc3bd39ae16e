/* SPDX-License-Identifier: MIT */
/*
 * kd.h - inside of the kernel test double.  glue.c speaks with pinfold and knows none of the kernel's names; the others are
 * written against the double's own headers and know none of pinfold's.  What is between them stands here.
 *
 * Files, from below: ledger glue text lock memory pages work gup (gup52, gup618) user notifier sg dma device chardev file seq
 * tree xarray iter kd.
 */
#ifndef KERNEL_KD_H
#define KERNEL_KD_H

#include <pinfold/kd.h>

struct page;

/* ---- glue.c: address spaces are void *, flags those of glue_flag ------------------------------- */

enum glue_flag {
	GLUE_WRITE = 1, GLUE_DUMP = 2, GLUE_FORCE = 4, GLUE_NOWAIT = 8, GLUE_ANON = 16, GLUE_LONGTERM = 32,
};
enum glue_way { GLUE_LOCKED, GLUE_UNLOCKED, GLUE_FAST };

int kd_glue_start(size_t memory);
int kd_glue_stop(void);
int kd_glue_mm_new(void **mm);
/* Memory that no process sees, for pages of the kernel's own: single ones, or folios of 512. */
int kd_glue_mm_kernel(void **mm, unsigned long *singles, unsigned long *folios, size_t bytes);
int kd_glue_mm_end(void *mm);
long kd_glue_map(void *mm, size_t len, int prot, int flags);
int kd_glue_unmap(void *mm, unsigned long addr, size_t len);
int kd_glue_protect(void *mm, unsigned long addr, size_t len, int prot);
long kd_glue_copy(void *mm, unsigned long addr, void *buf, size_t len, bool write);
long kd_glue_pin(void *mm, enum glue_way way, unsigned long start, unsigned long n, unsigned flags, struct page **pages,
              int *locked);
int kd_glue_unpin(struct page *page);
int kd_glue_unpin_dirty(struct page *page, bool lock);
int kd_glue_get(struct page *page);
int kd_glue_put(struct page *page);
void *kd_glue_address(const struct page *page);
void kd_glue_lock(void *mm, bool write);
bool kd_glue_trylock(void *mm, bool write);
void kd_glue_unlock(void *mm, bool write);

struct kd_glue_notifier;
/* invalidate: of an interval; start and end: of a whole mm. */
struct kd_glue_calls {
	void (*start)(void *arg, unsigned long start, unsigned long end, unsigned event);
	void (*end)(void *arg, unsigned long start, unsigned long end, unsigned event);
	bool (*invalidate)(void *arg, unsigned long start, unsigned long end, unsigned event, unsigned long seq);
};
int kd_glue_notify(void *mm, const struct kd_glue_calls *calls, void *arg, struct kd_glue_notifier **out);
int kd_glue_unnotify(struct kd_glue_notifier *n);
int kd_glue_interval(void *mm, unsigned long start, unsigned long length, const struct kd_glue_calls *calls, void *arg,
                     struct kd_glue_notifier **out);
int kd_glue_uninterval(struct kd_glue_notifier *n);
unsigned long kd_glue_read_begin(struct kd_glue_notifier *n);
int kd_glue_read_retry(struct kd_glue_notifier *n, unsigned long seq);
void kd_glue_set_seq(struct kd_glue_notifier *n, unsigned long seq);

/* ---- ledger.c: what is held, what was wrong, what is to fail ------------------------------------ */

enum kd_kind {
	KD_MEMORY, KD_PAGES, KD_PINNED, KD_REFERENCE, KD_MAPPED, KD_KMAP, KD_LOCK, KD_FILE, KD_THREAD, KD_MM, KD_USER,
	KD_DEVICE, KD_REGISTERED, KD_MODULE, KD_NOTIFIER,
	KD_HELD,            /* those below are not leaks */
	KD_DIRTY = KD_HELD, KD_FRAME, KD_KINDS
};

/* One thing held. */
struct kd_entry {
	struct kd_entry *next;
	enum kd_kind kind;
	const void *key;
	size_t size;        /* bytes */
	unsigned long more; /* the kind's own */
	const char *call;
	const void *site;
	unsigned long nth;  /* of its kind since kd_start() */
};
#define KD_SITE __builtin_return_address(0)

void kd_take(struct kd_entry e);
/* The newest of this kind and key; false: none.  out: NULL, or where to. */
bool kd_drop(enum kd_kind kind, const void *key, struct kd_entry *out);
bool kd_find(enum kd_kind kind, const void *key, struct kd_entry *out);
/* The same with an equal `more`; look: it stays there. */
bool kd_drop_as(enum kd_kind kind, const void *key, unsigned long more, bool look);
/* How many of a kind there are. */
unsigned long kd_live(enum kd_kind kind);
/* Any entry for which fits() is true. */
bool kd_search(enum kd_kind kind, bool (*fits)(const struct kd_entry *e, const void *arg), const void *arg,
               struct kd_entry *out);
void kd_problem(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void kd_fatal(const char *what) __attribute__((noreturn));
bool kd_inject(enum kd_point point);
/* The one that happened is one that a caller may get over: a short pin, a lock let go. */
bool kd_failed_softly(void);
void kd_forget(void);
void kd_set_fatal(void (*fatal)(const char *what));
/* What is counted elsewhere: check() tells a line for each counter that is not what it should be. */
void kd_set_counters(void (*check)(void (*tell)(const char *text)));
/* The first of the problems and leaks. */
void kd_first(char *to, size_t size);

/* ---- the rest ---------------------------------------------------------------------------------- */

extern struct kd_options kd_opts;
void kd_log_clear(void);
/* Locks the monitor that all locks and waits share, and sleeps on it for at most ms. */
void kd_monitor_enter(void);
void kd_monitor_leave(void);
void kd_monitor_wait(unsigned ms);
unsigned kd_waits_ms(void);

struct kd_lock;
/* The machine let go of an mmap lock by itself. */
void kd_lock_dropped(struct kd_lock *l);

/* Memory for the double's own use stands in no ledger. */
void *kd_alloc(size_t size);

/* As kvmalloc(), in another call's name. */
void *kd_memory(size_t size, unsigned gfp, const char *call, const void *site);
void kd_memory_free(const struct kd_entry *e);
void kd_pages_start(void *mm, unsigned long singles, unsigned long folios, size_t bytes);
void kd_pages_stop(void);
/* A page of the kernel's own: its references are counted here. */
struct cdev;
struct cdev *kd_cdev_of(const char *name, dev_t *dev);
void kd_chardev_stop(void);
struct task_struct;
void kd_set_current(struct task_struct *t);
bool kd_own_get(struct page *page);
bool kd_own_put(struct page *page, const char *call);
int kd_user_start(void *mm);
void kd_user_stop(void);
void kd_notifier_stop(void);
/* What is registered now can be taken back: the module whose init runs has an exit. */
bool kd_can_withdraw(void);
void kd_device_stop(void);
void kd_file_stop(void);
void kd_work_stop(void);
const void *kd_me(void);

#endif
