/* SPDX-License-Identifier: MIT */
/*
 * pinfold.h - machines, files, address spaces, commit.  gup.h, included here, has the pin calls.
 *
 *   machine   frames, tables, counters: struct pinfold.  Several in one process work.
 *   file      a regular file with pinfold's own page cache, or memory only
 *   mm        an address space; its window decides how pointers work.  Files, memory of its own, copies on
 *             write; dup_mmap() takes a snapshot of it
 *   commit    the only way from a dirty page to the file
 *
 * Every call returns a count, 0 or -errno and leaves errno alone.  Nothing is printed and no
 * thread is started.  Signal handlers (SIGBUS, SIGSEGV) are installed by the first mm with a window only.
 * Structs that begin with `size` are set up as { .size = sizeof(...) }; what is 0 is the default.
 * Unless a call says otherwise: any thread, may block, not async-signal-safe, no lock held.
 * After fork() every call in the child gives -EOWNERDEAD; exec and posix_spawn are not affected.
 */
#ifndef PINFOLD_PINFOLD_H
#define PINFOLD_PINFOLD_H

#include <pinfold/gup.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PINFOLD_PAGE_SIZE 4096UL

struct pinfold;      /* a machine */
struct pinfold_file; /* an open file */

/* ---- the machine ---------------------------------------------------------------------------- */

/* What a failed access was; for the fault policy and pinfold_last_fault(). */
struct pinfold_fault {
	size_t size;
	struct pinfold_file *file; /* NULL: no mapping there */
	uint64_t offset;           /* byte offset in the file */
	unsigned long address;     /* in the mm */
	int error;                 /* -EIO read, -ESTALE file shortened by somebody, -ENOSPC dirty
	                              limit, -ENOMEM no frame, -ENXIO beyond the end, -EACCES right */
	int write;
};

struct pinfold_options {
	size_t size;
	size_t memory;       /* bytes of page memory in all, pool and direct frames; 0: 256 MiB */
	size_t pool;         /* bytes of it in the pool, allocated at once; 0: memory / 8, at least
	                        4 MiB; a whole number of 2 MiB blocks is used.  Give memory here for
	                        pool files and memory-only files */
	size_t dirty_limit;  /* bytes that may be dirty or in a cut; 0: 3/4 of memory */
	size_t staging;      /* bytes of the pool kept for copies of pages in a cut; 0: pool / 4, at
	                        most 32 MiB */
	unsigned deadline_ms;/* waits for a commit, a pin, a lock; 0: 5000.  For frames, where nobody is known to be at
	                        work on some: a twentieth of it */
	unsigned flags;      /* PINFOLD_NO_* */
	/*
	 * Called in the thread whose load or store through a window cannot be served.  Return 0: try
	 * the access again; anything else: SIGBUS goes where it went before pinfold (default: the
	 * process dies).  Runs in signal context: async-signal-safe things only.
	 */
	int (*fault_policy)(void *arg, const struct pinfold_fault *fault);
	void *fault_arg;
	/* Called when an invariant is broken, instead of abort (debug) or counting (release). */
	void (*assert_hook)(const char *what);
	unsigned window_vmas; /* mappings of the process that extent windows may use up: over it their oldest
	                         translations go; 0: a quarter of vm.max_map_count */
	size_t pin_limit;     /* bytes that may be pinned at a time: each folio once, and what account_locked_vm() adds;
	                         over it a pin is -ENOMEM.  0: no limit.  With one pins take the slow path */
};
#define PINFOLD_NO_URING   1u /* do all I/O in the calling thread */
#define PINFOLD_NO_SIGNALS 2u /* the application owns SIGBUS/SIGSEGV: pinfold_handle_fault() */

/* 0; -EINVAL options; -ENOMEM memory or descriptors; -ENOSPC /tmpfs-like limits on the memfd. */
int pinfold_create(const struct pinfold_options *opts, struct pinfold **machine);

/*
 * Closes the machine.  All mms and files must be closed and all pins and references given back:
 * -EBUSY otherwise, and nothing changed (pinfold_get_stats() says what is left).  -EINVAL: not a
 * live machine, so a second close too.
 */
int pinfold_destroy(struct pinfold *machine);

struct pinfold_stats {
	size_t size;
	uint64_t pins_acquired, pins_released; /* in pages; equal at rest when nothing is pinned */
	uint64_t refs;                         /* public references held now */
	uint64_t frames, frames_free;          /* of the pool */
	uint64_t direct_frames, direct_free;
	uint64_t staging, staging_free;
	uint64_t dirty_pages;                  /* dirty, in a cut, or reserved */
	uint64_t files, mms, vmas, tables;
	uint64_t faults_missing, faults_minor, faults_write, faults_failed;
	uint64_t fast_pins, slow_pins;         /* pages pinned by either path */
	uint64_t pages_read, read_calls;
	uint64_t evicted, evict_skipped_pinned, evict_skipped_dirty, evict_second_chance;
	uint64_t commits, commit_pages, claims_by_writer, claims_by_committer;
	uint64_t journal_bytes, home_bytes, flushes, checkpoints;
	uint64_t window_installs, window_drops; /* system calls */
	uint64_t uring_reads, uring_writes;
	uint64_t invariants_broken;
	uint64_t zero_maps;                    /* reads of untouched memory that found the zero page */
	uint64_t cow_copied, cow_reused;       /* writes to pages that were shared: copied, or sole owner */
	uint64_t unshared;                     /* read pins that needed a page of their own: U3 */
	uint64_t folios_mapped, folio_fallbacks, folios_split; /* of 2 MiB; fallbacks: a smaller one was taken */
	uint64_t mappings_split;               /* 2 MiB mappings that became 512 of 4 KiB */
	uint64_t forks, leaves_shared, leaves_copied; /* dup_mmap(); page tables shared, copied since */
	uint64_t fork_copied;                  /* pinned pages copied at once: K2 */
	uint64_t moved_tables, moved_slots;    /* by vm_mremap() */
	uint64_t window_vmas;                  /* mappings that extent windows use now, at most */
	uint64_t window_evicted;               /* 2 MiB stretches of translations dropped for the budget */
	uint64_t notified;                     /* calls of MMU notifiers */
	uint64_t frames_cached;                /* of frames_free: in caches of one thread or a few */
	uint64_t pinned_pages;                 /* of folios with a pin, each folio once; in ranges: each range */
	uint64_t range_pages;                  /* of them pinned by ranges and counted on no page */
	uint64_t locked_pages;                 /* account_locked_vm() */
};
int pinfold_get_stats(struct pinfold *machine, struct pinfold_stats *stats);

/*
 * Walks the whole machine and recomputes every invariant of doc/invariants.md.  Nobody else may
 * use the machine meanwhile.  Result: the number of violations (0 is good), each reported to the
 * assert hook; -EINVAL.
 */
int pinfold_check(struct pinfold *machine);

/* Frees clean pages until `pages` are free or none is left.  Result: pages freed. */
long pinfold_reclaim(struct pinfold *machine, unsigned long pages);

/* ---- files ---------------------------------------------------------------------------------- */

struct pinfold_file_options {
	size_t size;
	unsigned flags;         /* PINFOLD_FILE_* */
	uint64_t max_size;      /* direct: address space kept for growth, bytes; 0: the file's size
	                           rounded up to 1 GiB, and at least 1 GiB */
	unsigned open_wait_ms;  /* wait that long for another holder's lock; 0: not at all */
	int holder_pid;         /* out, with -EBUSY: who has it open; 0 unknown */
	unsigned mode;          /* with PINFOLD_FILE_CREATE; 0: 0600 */
};
#define PINFOLD_FILE_DIRECT     0x01u /* frames at the file's own offsets: needed by direct windows */
#define PINFOLD_FILE_CREATE     0x02u /* create if missing */
#define PINFOLD_FILE_NO_JOURNAL 0x04u /* a crash inside a commit may leave a mix of old and new */
#define PINFOLD_FILE_ASYNC_WP   0x08u /* direct: no write faults; freeze holds the write sections until
                                         all is copied, and every store must be inside one */
#define PINFOLD_FILE_PIN_WAIT   0x10u /* commit waits for write pins (deadline) instead of writing a
                                         copy and keeping the page dirty */
#define PINFOLD_FILE_NO_ODIRECT 0x20u /* use the kernel's page cache */
#define PINFOLD_FILE_HOME_LATER 0x40u /* a commit ends with its journal, and checkpoints bring the file up to
                                         date: a page committed ten times is written home once.  Now and
                                         then a commit has a checkpoint to do and is long.  Who reads the
                                         file by other means sees the state of the last one */

/*
 * Opens a regular file, replays or discards its journal (path + ".pinfold"), takes its lock.
 * 0; -EACCES not a regular file, or not writable; -EBUSY open in another pinfold (holder_pid);
 * -ENOENT; -EFBIG larger than max_size; -EINVAL flags, not a page multiple of max_size; -EUCLEAN a journal of another file or
 * version; -ENOMEM; -EIO; -ENOSPC no room for the journal.  Nothing is changed on error.
 */
int pinfold_open(struct pinfold *machine, const char *path, struct pinfold_file_options *opts,
                 struct pinfold_file **file);

/* Memory only: `bytes` of zeroes that live in frames; never evicted, nothing to commit. */
int pinfold_open_memory(struct pinfold *machine, uint64_t bytes,
                        const struct pinfold_file_options *opts, struct pinfold_file **file);

/*
 * Closes.  What was not committed is gone.  -EBUSY: mapped, pinned, in a cut, or inside a write
 * section: nothing changed.  -EBADF: closed already.  -EIO: committed pages could not be brought
 * home; the file is closed all the same and the journal stays for the next open.
 */
int pinfold_close(struct pinfold_file *file);

/* The size as this process sees it (growth counts at once, on disk with the next commit). */
int64_t pinfold_size(struct pinfold_file *file);

/* Grows a file; holes read as zero.  -EFBIG beyond max_size; -EOPNOTSUPP smaller than now. */
int vfs_truncate(struct pinfold_file *file, uint64_t size) PINFOLD_SYM(vfs_truncate);

/* ---- address spaces ------------------------------------------------------------------------- */

enum pinfold_window {
	PINFOLD_WINDOW_NONE = 0,  /* addresses are names: pin, page_address(), put */
	PINFOLD_WINDOW_DIRECT = 1, /* an address is the pointer; shared mappings of direct files only; needs
	                              userfaultfd */
	PINFOLD_WINDOW_EXTENT = 2 /* an address is the pointer; everything can be mapped; needs nothing.  All of
	                             it lies in one stretch of addresses that is reserved at creation.  Isolated
	                             4 KiB pages use up mappings of the process (window_vmas): give it folios
	                             (MADV_HUGEPAGE) or touch it in runs */
};

/* 0; -ENOMEM; -EPERM or -ENOSYS: userfaultfd refused (pinfold doctor says how to get it, and an extent
 * window does without). */
int pinfold_mm_create(struct pinfold *machine, enum pinfold_window window, struct mm_struct **mm);

/* The addresses that vm_mmap() may give out: an extent window's stretch, else all of user space.  0, -EINVAL. */
int pinfold_mm_range(struct mm_struct *mm, unsigned long *start, unsigned long *end);

/*
 * Makes mm, which must be new and empty, a snapshot of oldmm: what fork(2) does to a process.  Private memory is
 * shared until somebody writes to it, shared mappings stay shared.  Pages that are pinned (by anybody, for
 * reading too) are copied now, and oldmm keeps the one that the device knows (clause K2).  VMAs under
 * MADV_DONTFORK are left out, under MADV_WIPEONFORK they are empty (K10).  No thread's store to oldmm through
 * its window is half in the snapshot: it is the memory of one moment.
 *
 * Addresses: a windowless mm has those of oldmm.  In a window an address is a pointer, so they are moved, all
 * by the same number: an address of oldmm plus pinfold_mm_shift(mm) is the one in mm.
 *
 * Cost: of the page tables, 2 MiB each, not of the pages.  Result: 0; -EINVAL mm not empty, with
 * notifiers, of another machine, or oldmm itself; -EOPNOTSUPP a window of a kind that cannot show what is mapped; -ENOMEM and mm is empty; -EDEADLK
 * the thread holds an mmap lock.
 */
int dup_mmap(struct mm_struct *mm, struct mm_struct *oldmm) PINFOLD_SYM(dup_mmap);
long pinfold_mm_shift(const struct mm_struct *mm);

/* Unmaps everything.  -EBUSY: the thread holds an mmap lock; -EBADF: destroyed already. */
int pinfold_mm_destroy(struct mm_struct *mm);

/* Values as in <sys/mman.h>. */
#define PINFOLD_PROT_NONE  0
#define PINFOLD_PROT_READ  1
#define PINFOLD_PROT_WRITE 2
#define PINFOLD_MAP_SHARED          0x01
#define PINFOLD_MAP_PRIVATE         0x02 /* stores go to a copy of the mm's own */
#define PINFOLD_MAP_FIXED           0x10
#define PINFOLD_MAP_ANONYMOUS       0x20 /* zeroes, in frames of the pool; file NULL, offset 0 */
#define PINFOLD_MAP_POPULATE        0x8000
#define PINFOLD_MAP_FIXED_NOREPLACE 0x100000
#define PINFOLD_MREMAP_MAYMOVE   1
#define PINFOLD_MREMAP_FIXED     2
#define PINFOLD_MREMAP_DONTUNMAP 4
#define PINFOLD_MADV_NORMAL         0
#define PINFOLD_MADV_WILLNEED       3
#define PINFOLD_MADV_DONTNEED       4
#define PINFOLD_MADV_DONTFORK      10
#define PINFOLD_MADV_DOFORK        11
#define PINFOLD_MADV_HUGEPAGE      14
#define PINFOLD_MADV_NOHUGEPAGE    15
#define PINFOLD_MADV_WIPEONFORK    18
#define PINFOLD_MADV_KEEPONFORK    19
#define PINFOLD_MADV_POPULATE_READ  22
#define PINFOLD_MADV_POPULATE_WRITE 23

/*
 * Maps [offset, offset + len) of a file, or memory of the machine's own (ANONYMOUS): SHARED or PRIVATE.  addr: 0, or a
 * hint, or with FIXED the place (what was mapped there is replaced; with FIXED_NOREPLACE -EEXIST).  Result: the
 * address, or -EINVAL (not aligned, empty, overflow, neither or both of SHARED and PRIVATE, beyond max_size),
 * -EEXIST, -ENOMEM (address space: outside the window's stretch too; VMAs), -EDEADLK (the thread holds the mmap lock),
 * -EOPNOTSUPP (a direct window takes shared mappings of direct files only; an asynchronous file wants a direct
 * window), -EBADF.  POPULATE faults all of it in (private and writable: copies); its errors are ignored, as in
 * Linux.  Neighbours that fit become one mapping.
 */
long vm_mmap(struct mm_struct *mm, unsigned long addr, size_t len, int prot, int flags,
             struct pinfold_file *file, uint64_t offset) PINFOLD_SYM(vm_mmap);

/*
 * Any page-aligned range; mappings are split where it cuts one.  munmap: holes are fine; pins outlive it (clause
 * M1).  mprotect: -ENOMEM for a hole, what lies before it is done (as Linux does).  An empty range is -EINVAL for
 * munmap, else 0.  All: -ENOMEM no memory for a split, nothing changed; -EDEADLK while the thread holds an mmap lock.
 *
 * madvise: WILLNEED starts reading and returns.  DONTNEED: shared pages stay in the cache; private ones are gone, zeroes
 * or the file's again at the next touch; pins keep the old page (M2).  HUGEPAGE: 2 MiB folios where they fit, else
 * smaller ones; NOHUGEPAGE: none (the default).  POPULATE_READ, POPULATE_WRITE: fault in; errors as in Linux (F14):
 * -ENOMEM a hole, -EFAULT beyond the end of a file.  DONTFORK, DOFORK, WIPEONFORK (private anonymous
 * only, else -EINVAL), KEEPONFORK, NORMAL.  -EINVAL other advice, -ENOMEM a hole.
 */
int vm_munmap(struct mm_struct *mm, unsigned long addr, size_t len) PINFOLD_SYM(vm_munmap);
int vm_mprotect(struct mm_struct *mm, unsigned long addr, size_t len, int prot)
	PINFOLD_SYM(vm_mprotect);
int vm_madvise(struct mm_struct *mm, unsigned long addr, size_t len, int advice)
	PINFOLD_SYM(vm_madvise);

/*
 * Resizes or moves [addr, addr + old_len) of one mapping.  Slots move, page tables where they can, never bytes:
 * pins and the process stay on the same pages (clause M3).  MREMAP_FIXED (with MAYMOVE): to new_addr, what was there
 * is unmapped.  MREMAP_DONTUNMAP (with MAYMOVE, sizes equal, private anonymous): the old place stays mapped, empty.
 * To shrink is to unmap the rest, whatever lies there.  Shared anonymous memory does not grow.
 * Result: the address, or -EINVAL (not aligned, flags, overlap), -EFAULT (not one mapping), -ENOMEM (cannot grow
 * here, no room), -EDEADLK.  Nothing changed on error.
 */
long vm_mremap(struct mm_struct *mm, unsigned long addr, size_t old_len, size_t new_len, int flags,
               unsigned long new_addr) PINFOLD_SYM(vm_mremap);

/*
 * Makes a 2 MiB folio that is mapped at addr 512 pages of their own, so that parts of it can be freed.  0, also if it
 * is one already; -EBUSY pinned or referenced (clause H4), nothing changed; -EAGAIN in use by others just
 * now; -EFAULT no page there.
 */
int pinfold_split_folio(struct mm_struct *mm, unsigned long addr);

/*
 * Copies from or to an mm through short pins; works for every window, also for ranges that are not
 * resident.  gup_flags: 0 reads into buf, FOLL_WRITE writes from it.  Result: bytes copied (short at
 * a hole, clause P14), or an error when none was.
 */
long access_process_vm(struct mm_struct *mm, unsigned long addr, void *buf, size_t len,
                       unsigned int gup_flags) PINFOLD_SYM(access_process_vm);

/*
 * Starts reading [addr, addr + len).  Where io_uring is available the call returns before the data
 * is there; pinfold_poll_fd() becomes readable as reads complete, and pinfold_progress() takes note
 * of them (so does any thread that waits for one of the pages).  Without io_uring the caller reads
 * now.  Result: pages started or already there; -EFAULT no mapping.
 */
long pinfold_prefetch(struct mm_struct *mm, unsigned long addr, size_t len);

/* An eventfd, owned by the machine; -EOPNOTSUPP without io_uring (nothing is ever pending). */
int pinfold_poll_fd(struct pinfold *machine);

/* Handles completed reads.  Result: how many.  Never blocks. */
int pinfold_progress(struct pinfold *machine);

/*
 * For applications that install their own SIGBUS or SIGSEGV handler: call it first.  1: it was
 * ours and is served, return from the handler; 0: not ours.  Async-signal-safe.
 */
int pinfold_handle_fault(int sig, void *siginfo, void *ucontext);

/* The thread's last failed access, by pointer or by pin.  -ENOENT: none. */
int pinfold_last_fault(struct pinfold_fault *fault);

/* ---- commit --------------------------------------------------------------------------------- */

/*
 * A write section: stores between begin and end are in one cut, all of them.  bytes: how much may
 * become dirty inside, rounded up to pages; reserved now.  0; -ENOSPC over the dirty limit: commit
 * first; -EDEADLK inside a section of the same file, or holding an mmap lock; -ENOMEM a ninth section;
 * -EBADF; end: -EINVAL without a begin.  Waits while a freeze protects.
 * Sections belong to the thread; sections of different files nest, in any order.
 */
int pinfold_write_begin(struct pinfold_file *file, size_t bytes);
int pinfold_write_end(struct pinfold_file *file);

struct pinfold_range {
	uint64_t offset, length;
	int error;
};

/* What a commit did, or why not. */
struct pinfold_report {
	size_t size;
	unsigned flags;            /* PINFOLD_COMMIT_* */
	uint64_t cut;
	uint64_t pages;            /* in the cut */
	uint64_t pinned;           /* of them under a write pin: a copy was written, still dirty */
	uint64_t claimed_by_writers;
	uint64_t journal_bytes, home_bytes;
	unsigned flushes;
	unsigned nr_failed;        /* ranges that could not be written; first 8 in failed[] */
	struct pinfold_range failed[8];
};
#define PINFOLD_COMMIT_NOT_HOME      1u /* committed, but the file itself is not up to date yet (an error,
                                           or HOME_LATER): the journal is kept and replayed */
#define PINFOLD_COMMIT_FLUSH_FAILED  2u /* with an error: after a crash now the state is old or new;
                                           without it, surely old */

/*
 * Freeze fixes the cut: the dirty pages of [offset, offset + length) as they are now; length 0: to
 * the end.  Writers are held only meanwhile.  Result: the cut's number, > 0; -EBUSY another cut of
 * this file is not written yet, or a write pin did not go away in time (PIN_WAIT); -EDEADLK inside a
 * section; -EINVAL not page-aligned; -EBADF.
 */
int64_t pinfold_freeze(struct pinfold_file *file, uint64_t offset, uint64_t length);

/*
 * Writes a cut.  0: it is on disk and survives a crash whole (with NO_JOURNAL: is in the file).
 * Otherwise nothing of it is promised, its pages are dirty again, and another freeze and commit may be
 * tried: -ENOSPC, -EIO, -ESTALE (somebody shortened the file), -ENOENT not the current cut.
 */
int pinfold_commit_wait(struct pinfold_file *file, int64_t cut, struct pinfold_report *report);

/* Freeze, then commit_wait.  0 also when nothing was dirty. */
int pinfold_commit(struct pinfold_file *file, uint64_t offset, uint64_t length,
                   struct pinfold_report *report);

/* Brings everything committed home, flushes it and empties the journal.  0, -EIO, -ENOSPC, -EBADF. */
int pinfold_checkpoint(struct pinfold_file *file);

/* ---- looking from outside ------------------------------------------------------------------- */

/* The state of path's journal; changes nothing. */
struct pinfold_journal_info {
	size_t size;
	int exists, valid;      /* valid: the header belongs to this file and version */
	int holder_pid;         /* 0: nobody has it open */
	uint64_t commits;       /* whole commits that an open would replay */
	uint64_t pages, bytes;  /* in them */
	uint64_t file_size;     /* after the replay */
	int torn;               /* behind them begins a commit that is not whole: discarded at open */
};
int pinfold_journal_state(const char *path, struct pinfold_journal_info *info);

/* What this system offers; each 0 or -errno.  Extent windows are always there. */
struct pinfold_probe {
	size_t size;
	int memfd, userfaultfd, uffd_user_mode_only, uffd_dev, uring, pagemap_scan;
	uint64_t memlock, max_map_count, memory_limit; /* bytes, count, bytes (cgroup or RAM) */
	int uffd_how;           /* 0 none, 1 system call, 2 user mode only, 3 /dev/userfaultfd */
};
int pinfold_get_probe(struct pinfold_probe *probe);

const char *pinfold_version(void);

#ifdef __cplusplus
}
#endif
#endif
