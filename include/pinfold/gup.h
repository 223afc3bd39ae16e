/* SPDX-License-Identifier: MIT */
/*
 * gup.h - the pin calls, with the names, signatures and flag values of Linux 5.2's <linux/mm.h>.
 *
 * A pin says: the content of this page is in use by a device or a reader.  The frame stays where
 * it is, is not evicted and does not count as clean until put_user_page() gives it back.  A
 * reference (get_page/put_page) only keeps the frame from being reused.  The two are counted
 * apart, and a release meant for the other one is refused.
 *
 * Every get_user_pages*() here takes a pin: what Linux 6.18 calls pin_user_pages*().
 *
 * The library's symbols are all called pinfold_*; the kernel's names exist in this header only.
 */
#ifndef PINFOLD_GUP_H
#define PINFOLD_GUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#ifdef __cplusplus
extern "C" {
#endif

struct page;           /* the record of one 4 KiB frame */
struct mm_struct;      /* an address space */
struct vm_area_struct; /* one mapping in it */
struct task_struct;    /* opaque, may be NULL: accepted for the signature's sake */

#define PINFOLD_SYM(name) __asm__("pinfold_" #name)

/*
 * Flags of the get calls, values of 5.2.  Any other bit, and POPULATE 0x40, SPLIT 0x80,
 * NUMA 0x200, MIGRATION 0x400, TRIED 0x800, MLOCK 0x1000, REMOTE 0x2000, COW 0x4000, is -EINVAL.
 */
#define FOLL_WRITE    0x01    /* the holder will write */
#define FOLL_TOUCH    0x02    /* mark accessed (always done) */
#define FOLL_GET      0x04    /* accepted, changes nothing: every get is a pin */
#define FOLL_DUMP     0x08    /* holes and zero pages of anonymous memory are -EFAULT, nothing is allocated */
#define FOLL_FORCE    0x10    /* read what is mapped without that right; write a private copy of it */
#define FOLL_NOWAIT   0x20    /* start I/O if needed, do not wait for it */
#define FOLL_HWPOISON 0x100   /* report -EHWPOISON instead of -EFAULT */
#define FOLL_ANON     0x8000  /* only anonymous mappings */
#define FOLL_LONGTERM 0x10000 /* lifetime decided by the holder, not by one I/O */

/*
 * The thread's address space for the calls without an mm argument.  NULL takes it away again.
 * Result: 0, or -EINVAL (not an mm of a live machine).  Locks: none.  Signal-safe: no.
 */
int pinfold_use_mm(struct mm_struct *mm);

/*
 * The mmap lock.  get_user_pages(), _remote() and _locked() want it held by the caller; without it
 * they give -EINVAL.  A thread that holds it may still touch windows; it must not take it twice.
 * trylock: 1 taken, 0 not.  May block.
 */
void mmap_read_lock(struct mm_struct *mm) PINFOLD_SYM(mmap_read_lock);
int mmap_read_trylock(struct mm_struct *mm) PINFOLD_SYM(mmap_read_trylock);
void mmap_read_unlock(struct mm_struct *mm) PINFOLD_SYM(mmap_read_unlock);
void mmap_write_lock(struct mm_struct *mm) PINFOLD_SYM(mmap_write_lock);
void mmap_write_unlock(struct mm_struct *mm) PINFOLD_SYM(mmap_write_unlock);

/*
 * Pin the pages that hold [start, start + nr_pages * 4096).
 *
 * start:    an address of the mm; need not be aligned, the page that contains it is meant
 * nr_pages: 0 gives 0, nothing is looked at (clause A1)
 * pages:    out, at least nr_pages entries, not inside a window.  NULL: fault in and count only
 *           (not with FOLL_LONGTERM)
 * vmas:     out or NULL; valid while the mmap lock is held
 *
 * Result: the number of pages pinned, from the start without a gap.  Fewer than asked when one
 * cannot be delivered; the error is returned only when there is none (clause P1).  0 for
 * nr_pages > 0 only with FOLL_NOWAIT.
 *   -EINVAL  flags, mmap lock not held, no live mm
 *   -EOVERFLOW  the range wraps
 *   -EFAULT  no mapping, no right, beyond the end of the file, read error
 *            (pinfold_last_fault() says which), pages[] inside a window, no mm
 *   -ENOMEM  no frame could be had
 *   -ENOSPC  a write pin found the limit of dirty pages reached, deadline passed
 *   -EOWNERDEAD  in the child of a fork
 * Locks: mmap lock held for read or write, kept.  May block and do I/O.
 */
long get_user_pages(unsigned long start, unsigned long nr_pages, unsigned int gup_flags,
                    struct page **pages, struct vm_area_struct **vmas) PINFOLD_SYM(get_user_pages);

/*
 * As get_user_pages(), for another mm.  locked: NULL, or points to 1 with the lock held for read;
 * the lock may then be dropped, *locked is 0 and the lock not held on return (clause L2).
 * -EINVAL: locked with vmas, *locked not 1, the lock held for writing.
 */
long get_user_pages_remote(struct task_struct *tsk, struct mm_struct *mm, unsigned long start,
                           unsigned long nr_pages, unsigned int gup_flags, struct page **pages,
                           struct vm_area_struct **vmas, int *locked)
	PINFOLD_SYM(get_user_pages_remote);

/* As get_user_pages(); the lock may be dropped, see get_user_pages_remote(). */
long get_user_pages_locked(unsigned long start, unsigned long nr_pages, unsigned int gup_flags,
                           struct page **pages, int *locked) PINFOLD_SYM(get_user_pages_locked);

/* As get_user_pages(); takes the lock itself.  Mind the order of the arguments: it is Linux's. */
long get_user_pages_unlocked(unsigned long start, unsigned long nr_pages, struct page **pages,
                             unsigned int gup_flags) PINFOLD_SYM(get_user_pages_unlocked);

/*
 * The fast one: lockless for what is mapped, then as _unlocked.  Do not hold the mmap lock.
 * nr_pages: 0 gives 0, negative -EINVAL.  No system call and no allocation on a hit.
 */
int get_user_pages_fast(unsigned long start, int nr_pages, unsigned int gup_flags,
                        struct page **pages) PINFOLD_SYM(get_user_pages_fast);

/*
 * Pins the page at each of nr addresses of the thread's mm, in any order, as nr calls of get_user_pages_fast() of one
 * page do, for scattered pages two to four times faster: the memory they are found and counted in is fetched for
 * many at once.  put_user_pages() gives them back, and fetches ahead as well.
 *
 * addrs, pages: nr entries, not inside a window.  gup_flags: those of get_user_pages_fast().
 * Result: how many, from the first on, are pinned; fewer than nr only where a page could not be, and if that is the
 * first the error: those of get_user_pages_fast(), -EINVAL also for NULL.  nr 0 gives 0, negative -EINVAL.
 * Context: as get_user_pages_fast().
 */
int pinfold_pin_batch(const unsigned long *addrs, int nr, unsigned int gup_flags, struct page **pages);

#define PINFOLD_RANGE_PAGES 512

/* One pin of a range; the caller's memory, the library's content, from pin to unpin. */
struct pinfold_range_pin {
	struct page **pages;
	unsigned nr;
	struct pinfold_range_part {
		void *table;
		unsigned word, nr;
	} part[2];
};

/*
 * Pins up to 512 pages in a row of the thread's mm, all or none, under one handle: counted where the pages are mapped and
 * not on each, which costs a tenth of get_user_pages_fast().  They are pinned like any others; once somebody unmaps,
 * moves or snapshots some of them, their pins are counted on the pages.
 *
 * start:     an address in the first page
 * nr:        1 .. PINFOLD_RANGE_PAGES
 * gup_flags: FOLL_WRITE, FOLL_LONGTERM; TOUCH and GET change nothing
 * pages:     out, nr pages; not inside a window, and not changed or freed before the unpin
 * range:     out, the handle; not inside a window, nor moved
 * Result: 0; -EINVAL a bad argument; -EFAULT an array inside a window; the errors of get_user_pages_fast(), -EFAULT
 * also where that would have pinned only some: then nothing stays pinned.
 * unpin: 0; -EINVAL not pinned (any more); -EOWNERDEAD in the child of a fork; errors of put_user_pages() for a pages[]
 * that was changed.
 * Context: as get_user_pages_fast() and put_user_pages().  Pages of a file that commits, pinned for writing, pages of
 * folios, and more than seven ranges at a time in 2 MiB are pinned one by one behind the handle.
 */
int pinfold_pin_range(unsigned long start, int nr, unsigned int gup_flags, struct page **pages,
                      struct pinfold_range_pin *range);
int pinfold_unpin_range(struct pinfold_range_pin *range);

/*
 * The mapping that contains addr, or NULL: there is none, mm is not live, or the thread does not hold its lock.  Good for
 * as long as the lock is held.
 * Locks: mmap lock held for read or write, kept.  Never blocks.  The name is that of Linux 5.14.
 */
struct vm_area_struct *vma_lookup(struct mm_struct *mm, unsigned long addr) PINFOLD_SYM(vma_lookup);

/* Results that are a pointer, or an error from -4095 to -1 in its place. */
#ifndef IS_ERR
#define IS_ERR(ptr) ((uintptr_t)(ptr) >= (uintptr_t)-4095)
#define PTR_ERR(ptr) ((long)(intptr_t)(ptr))
#endif

/*
 * The page that a pin of `address` would get now, without a fault: looks only, brings nothing in.
 *
 * vma:        the mapping that contains address, of the mm whose lock the thread holds (vma_lookup())
 * foll_flags: FOLL_*, as for the pins.  With FOLL_GET the page is pinned, give it back with put_user_page().  Without it
 *             nothing holds the page: a name, good for comparing and for nothing else
 *
 * Result: the page; NULL if a fault would be needed (nothing there, a write to a page not writable yet, a page
 * shared with a snapshot that a pin must have for itself); or an error, see IS_ERR() and PTR_ERR():
 *   -EINVAL  flags, FOLL_LONGTERM without FOLL_GET, not the mapping of address, mmap lock not held
 *   -EOVERFLOW  the last page of all addresses
 *   -EFAULT  what a pin says without looking at the page: no right, FOLL_ANON on a file; FOLL_DUMP of untouched
 *            anonymous memory
 *   -ENOMEM  the page's pins cannot be counted any further, or the machine's pin_limit is reached
 *   -EOWNERDEAD  in the child of a fork
 * Locks: mmap lock held for read or write, kept.  Never does I/O.
 */
struct page *follow_page(struct vm_area_struct *vma, unsigned long address, unsigned int foll_flags)
	PINFOLD_SYM(follow_page);

/*
 * Give pins back.  Where 5.2 returns void these tell: 0, or
 *   -EFAULT  the array lies inside a window
 *   -EINVAL  not a page of a live machine, or a page without a pin: refused, nothing changed.
 *            A list stops nowhere: every good entry is released, the first error is returned
 *   -EOWNERDEAD  in the child of a fork
 * The _dirty calls mark each page dirty before they release it, _lock under the page lock (may
 * block); without _lock the page lock is not taken (clauses D3, D4).
 * Context: any thread.  put_user_page(s) never block; not async-signal-safe.
 */
int put_user_page(struct page *page) PINFOLD_SYM(put_user_page);
int put_user_pages(struct page **pages, unsigned long npages) PINFOLD_SYM(put_user_pages);
int put_user_pages_dirty(struct page **pages, unsigned long npages) PINFOLD_SYM(put_user_pages_dirty);
int put_user_pages_dirty_lock(struct page **pages, unsigned long npages)
	PINFOLD_SYM(put_user_pages_dirty_lock);

/*
 * A plain reference: keeps the frame, says nothing about its content.  The page must be pinned or
 * referenced already.  Result: 0; -EINVAL not a page, or (put) no reference to give back;
 * -ENOMEM (get) too many.  put_page() on a pin is refused.
 */
int get_page(struct page *page) PINFOLD_SYM(get_page);
int put_page(struct page *page) PINFOLD_SYM(put_page);

/*
 * Adds `pages` to what the mm's machine has pinned (inc), or takes them off: for callers that account for their own.
 * They count against pinfold_options.pin_limit; what is left at the mm's end is taken off.
 * Result: 0; -ENOMEM over the limit; -EINVAL no live mm, or more than was added: nothing changed; -EOWNERDEAD.
 * Signature of Linux 5.3.  Context: any thread; never blocks; signal-safe: no.
 */
int account_locked_vm(struct mm_struct *mm, unsigned long pages, bool inc) PINFOLD_SYM(account_locked_vm);

/*
 * The pointer to a pinned page's 4096 bytes: in the pool, or in the library's own view of a direct
 * file.  Good for the CPU, io_uring and system calls for as long as the pin is held; NULL for what
 * is not a page.
 */
void *page_address(const struct page *page) PINFOLD_SYM(page_address);

/*
 * Pin [start, start + len) of the thread's mm and describe it as iovecs, one per contiguous run.
 * This is how a window pointer goes to a system call or a device.
 *
 * pages: out, room for every page of the range; iov: out, *nr_iov entries on entry, used ones on
 * return.  Result: the number of pages pinned; all or nothing: -EFAULT and the errors of
 * get_user_pages(), -EMSGSIZE if the runs do not fit into iov (nothing stays pinned).
 */
long pinfold_iov(unsigned long start, size_t len, unsigned int gup_flags, struct page **pages,
                 struct iovec *iov, int *nr_iov);

#ifdef __cplusplus
}
#endif
#endif
