/* SPDX-License-Identifier: MIT */
/*
 * host.h - everything the machine asks of the system below it, with pre- and postconditions.
 *
 * Only files in host/ include system headers.  linux_*.c are the real host; fake.c is a second one
 * for files: seeded, failing on demand, recording every write and flush.  Every call returns 0, a
 * count or -errno and keeps errno.  Calls marked [sig] may be made from the fault handler: raw
 * system calls, no malloc, no print, bounded stack.
 */
#ifndef PINFOLD_HOST_H
#define PINFOLD_HOST_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#define HOST_PAGE 4096UL
#define HOST_TLS _Thread_local __attribute__((tls_model("initial-exec")))

/* PINFOLD_DEBUG_BUILD is 0 or 1, set by the build; code tests it with a plain if. */
#ifndef PINFOLD_DEBUG_BUILD
#define PINFOLD_DEBUG_BUILD 0
#endif

/* ---- memory --------------------------------------------------------------------------------- */

/* Zeroed, page-aligned, private memory; pages appear on first touch, from 2 MiB on as huge ones where the system
 * lets them.  NULL when there is none.
 * host_unmap() wants the same length.  [sig] */
void *host_map(size_t len);
void host_unmap(void *p, size_t len);

/* A memory file, close-on-exec, of `len` bytes, nothing allocated.  fd or -errno. */
int host_memfd(const char *name, size_t len);
void host_close(int fd);
/* Allocates [off, off+len) of it, so that no later touch can fail: 0, -ENOMEM/-ENOSPC.  [sig] */
int host_memfd_alloc(int fd, uint64_t off, size_t len);
/* Gives [off, off+len) back; every mapping of it loses it at once.  [sig] */
int host_memfd_punch(int fd, uint64_t off, size_t len);
/* Maps all of it shared, readable and writable, not inherited by fork.  NULL on failure. */
void *host_memfd_map(int fd, size_t len);
/* Copies memory that the application or a device may be storing to, as a device would: old or new words,
 * that is their affair.  ThreadSanitizer is not asked about it. */
void host_copy_shared(void *to, const void *from, size_t n);
/* Asks for 2 MiB host pages behind [p, p+len); a hint, failure is fine. */
void host_collapse(void *p, size_t len);

/* ---- threads, time -------------------------------------------------------------------------- */

/* Monotonic nanoseconds.  [sig] */
uint64_t host_now(void);
/* Sleeps while *word == seen; returns on wake, timeout (ns; 0: none) or for no reason.  [sig] */
void host_wait(_Atomic uint32_t *word, uint32_t seen, uint64_t timeout_ns);
/* Wakes up to n sleepers on word.  [sig] */
void host_wake(_Atomic uint32_t *word, int n);
void host_yield(void);
/* A small number for the calling thread, > 0, cached.  [sig] */
int host_tid(void);
int host_pid(void);
/* Does a process of this number exist now? */
bool host_pid_alive(int pid);
/* Writes the running system's boot id (16 bytes), zeroes if unknown. */
void host_boot_id(uint8_t id[16]);
/* Seeds and names; not secret. */
uint64_t host_random(void);
/* Calls fn in the calling thread's exit, once; arg is the block registered first.  0 or -errno. */
int host_at_thread_exit(void (*fn)(void *), void *arg);
/* Calls fn in every fork()ed child, before fork() returns there.  Registers once per fn. */
int host_at_fork_child(void (*fn)(void));

/*
 * Locks.  Ranks must rise while locks are nested (equal is refused, but for HOST_RANK_LEAF, taken in
 * address order); debug builds check it for every thread and stop with both names.  The order is
 * told in doc/locking.md.  [sig]: all of them.
 */
enum host_rank {
	HOST_RANK_SECTION = 12, /* write sections of a file */
	HOST_RANK_MMAP = 40,    /* the mmap lock */
	HOST_RANK_MACHINE = 42, /* a machine's list of mms */
	HOST_RANK_COMMIT = 45,  /* one commit at a time per machine */
	HOST_RANK_STATE = 47,   /* where a file's cut stands */
	HOST_RANK_FREEZE = 50,  /* first writes of a file, against freeze */
	HOST_RANK_TABLE = 55,   /* the table of machines and windows */
	HOST_RANK_TLB = 57,     /* notes of translations to drop, against unmapping */
	HOST_RANK_IMMAP = 60,   /* the list of a file's mappings */
	HOST_RANK_ANON = 61,    /* the list of private mappings */
	HOST_RANK_NOTIFY = 63,  /* an mm's notifiers, around their callbacks */
	HOST_RANK_DIR = 65,     /* a page table that points to tables */
	HOST_RANK_LEAF = 70,    /* a page table that points to pages */
	HOST_RANK_WINDOW = 75,  /* translations of extent windows */
	HOST_RANK_PAGES = 80,   /* a file's index of pages */
	HOST_RANK_LRU = 85,
	HOST_RANK_CACHE = 88,   /* a few free frames */
	HOST_RANK_ALLOC = 90,   /* frames */
	HOST_RANK_SLAB = 93,
	HOST_RANK_RING = 95,
	HOST_RANK_STAT = 97
};

struct host_mutex {
	_Atomic uint32_t state; /* 0 free, 1 held, 2 held and waited for */
	uint32_t rank;
};
#define HOST_MUTEX_INIT(r) { 0, (r) }
void host_mutex_init(struct host_mutex *m, enum host_rank rank);
void host_lock(struct host_mutex *m);
bool host_trylock(struct host_mutex *m);
void host_unlock(struct host_mutex *m);
bool host_held(const struct host_mutex *m); /* exact in debug builds, else true */

/* Many readers or one writer; a waiting writer holds new readers off. */
struct host_rwsem {
	_Atomic uint32_t state;   /* readers; top bit: a writer holds it */
	_Atomic uint32_t writers; /* waiting or holding */
	_Atomic uint32_t wake;    /* bumped when a writer leaves or the last reader does */
	uint32_t rank;
};
void host_rwsem_init(struct host_rwsem *s, enum host_rank rank);
void host_read_lock(struct host_rwsem *s);
/* For a thread that holds another lock of this rank for reading: writers that only wait do not hold it
 * off, else two such threads and two writers could wait in a circle.  No rank check. */
void host_read_lock_nested(struct host_rwsem *s);
bool host_read_trylock(struct host_rwsem *s);
void host_read_unlock(struct host_rwsem *s);
void host_write_lock(struct host_rwsem *s);
bool host_write_trylock(struct host_rwsem *s); /* its rank is not asked: it does not wait */
/* false: not got before the deadline (host_now() time; 0: none). */
bool host_write_lock_until(struct host_rwsem *s, uint64_t deadline);
void host_write_unlock(struct host_rwsem *s);
bool host_rwsem_held(const struct host_rwsem *s); /* by this thread, either way; exact in debug builds */

/* Full memory barrier; says in its argument who the partner is. */
#define host_mb(partner) atomic_thread_fence(memory_order_seq_cst)

/* ---- files ---------------------------------------------------------------------------------- */

struct host_file; /* an open regular file or journal */
struct host_disk; /* where files live: the system, or a fake one */

/* The real one. */
extern struct host_disk host_system_disk;

enum { HOST_OPEN_CREATE = 1, HOST_OPEN_NO_ODIRECT = 2, HOST_OPEN_RDONLY = 4 };

struct host_file_id {
	uint64_t dev, ino;
};

/*
 * Opens a regular file for reading and writing.  0; -EACCES not regular or no right; -ENOENT; ...
 * mode: for CREATE.  The descriptor is close-on-exec.
 */
int host_file_open(struct host_disk *disk, const char *path, int flags, unsigned mode,
                   struct host_file **file);
void host_file_close(struct host_file *file);
/* Exclusive lock on the open file that all of its I/O uses: it outlives a killed process's I/O in
 * flight.  0; -EWOULDBLOCK not got before the deadline (host_now() time, 0: no waiting). */
int host_file_lock(struct host_file *file, uint64_t deadline);
int host_file_ident(struct host_file *file, struct host_file_id *id);
int64_t host_file_size(struct host_file *file);
int host_file_truncate(struct host_file *file, uint64_t size);
/* Allocates blocks for [off, off+len), growing the file: 0, -ENOSPC, -EOPNOTSUPP.  */
int host_file_alloc(struct host_file *file, uint64_t off, uint64_t len);
/* Like preadv/pwritev, but whole: short only at the end of the file.  Bytes or -errno.  Aligned to
 * 4096 where `off`, every length and every base are; else through the kernel's page cache.  [sig] */
int64_t host_file_readv(struct host_file *file, const struct iovec *iov, int n, uint64_t off);
int64_t host_file_writev(struct host_file *file, const struct iovec *iov, int n, uint64_t off);
/* All completed writes are on stable storage when it returns 0. */
int host_file_flush(struct host_file *file);
/* Makes a create or unlink in the file's folder durable. */
int host_file_flush_dir(struct host_disk *disk, const char *path);
int host_file_unlink(struct host_disk *disk, const char *path);
/* The file's one name, without links, from malloc: what lies beside it must be found by any path.  0,
 * -ENOENT, -ENOMEM, ... */
int host_file_real_path(struct host_disk *disk, const char *path, char **real);

/* Several requests in flight.  Fields before `res` are the caller's; iov must live until done. */
struct host_io {
	struct host_file *file;
	const struct iovec *iov;
	int nr;
	bool write;
	bool detached;                     /* nobody waits for it: done() may free it */
	uint64_t off;
	uint64_t len;                      /* sum of iov */
	void (*done)(struct host_io *io);  /* or NULL; any thread, no lock held but none that it takes */
	void *arg;
	int64_t res;                       /* bytes or -errno, valid once state is 1 */
	_Atomic uint32_t state;            /* 0 in flight, 1 done: woken when it changes */
};
struct host_ring; /* io_uring, shared by a machine's threads */

/* NULL: not available or not wanted; every call below takes NULL and works in the caller. */
struct host_ring *host_ring_create(unsigned entries);
void host_ring_destroy(struct host_ring *ring);
/* Starts them all; short transfers are continued.  Never fails: an error is each request's res.
 * A fake file's request, or one without a ring, is done before the call returns. */
void host_ring_submit(struct host_ring *ring, struct host_io *ios, int n);
/* Waits until io is done, handling completions of any request on the way. */
void host_ring_wait(struct host_ring *ring, struct host_io *io);
/* Handles what has completed, without blocking; how many.  wait_ns > 0: waits that long for one if
 * requests are in flight and no other thread waits already. */
int host_ring_reap(struct host_ring *ring, uint64_t wait_ns);
/* Requests in flight. */
unsigned host_ring_pending(struct host_ring *ring);
/* An eventfd that becomes readable at completions: fd (owned by the ring) or -errno. */
int host_ring_eventfd(struct host_ring *ring);
/* Closes the descriptors in a forked child, touching nothing shared. */
void host_ring_child(struct host_ring *ring);
void host_file_child(struct host_file *file);
uint64_t host_ring_count(struct host_ring *ring, bool writes);

/* ---- windows: userfaultfd and the signals ---------------------------------------------------- */

/* A userfaultfd in SIGBUS mode with missing, minor and write-protect events on shared memory.
 * async: write-protect resolved by the kernel.  fd or -errno; *how as in pinfold_probe.uffd_how. */
int host_uffd_open(bool async, int *how);
/* Reserves and maps a window: [off, off+len) of the memfd at addr (0: anywhere; else exactly there,
 * -EEXIST if something of the process is mapped), armed, not inherited by fork.  Address or -errno. */
long host_window_map(int uffd, int memfd, unsigned long addr, size_t len, uint64_t off, int prot);
int host_window_unmap(unsigned long addr, size_t len);
int host_window_mprotect(unsigned long addr, size_t len, int prot);
/* Maps pages that the memfd has.  writable: else write-protected.  Pages that are mapped already
 * stay (and become writable if asked).  0, -errno.  [sig] */
int host_window_install(int uffd, unsigned long addr, size_t len, bool writable);
/* Write-protects (or not) what is mapped in the range.  [sig] */
int host_window_protect(int uffd, unsigned long addr, size_t len, bool protect);
/* Forgets the translations of the range; the memory stays.  [sig] */
int host_window_drop(unsigned long addr, size_t len);
/* Asynchronous mode: finds pages written since they were last protected, protects them again.
 * Calls hit(arg, addr, len) per run.  0 or -errno. */
int host_window_scan(unsigned long addr, size_t len, void (*hit)(void *, unsigned long, size_t),
                     void *arg);

/*
 * Extent windows: pieces of memory files in a stretch of addresses that is reserved and empty: touching it is
 * SIGSEGV.  Not inherited by fork() where nothing was mapped; who forks unmaps the rest (host_window_unmap()).
 * map and clear: -ENOMEM when the process has too many mappings.  All of them [sig].
 */
long host_extent_reserve(size_t len, size_t align); /* address or -errno */
int host_extent_map(unsigned long addr, size_t len, int fd, uint64_t off, bool writable);
int host_extent_zeroes(unsigned long addr, size_t len); /* readable, nothing behind it */
int host_extent_protect(unsigned long addr, size_t len, bool writable); /* of what is mapped */
int host_extent_clear(unsigned long addr, size_t len);
/* No right to what is mapped: works also where nothing can be mapped any more. */
int host_extent_forbid(unsigned long addr, size_t len);

enum host_fault {
	HOST_FAULT_OTHER,  /* not ours: the signal goes where it went before */
	HOST_FAULT_SERVED,
	HOST_FAULT_BUS     /* ours, and there is nothing to show: SIGBUS, also where the host says SIGSEGV */
};
/* fault(addr, write) is called for SIGBUS and SIGSEGV.  Installed once; signals not
 * served go to the handler that was there.  0 or -errno. */
int host_fault_handler(enum host_fault (*fault)(unsigned long addr, bool write, int sig));
/* Names fault() without installing anything, for applications that call host_fault_dispatch(). */
int host_fault_use(enum host_fault (*fault)(unsigned long addr, bool write, int sig));
/* The same for an application's own handler: true if served.  [sig] */
bool host_fault_dispatch(int sig, void *siginfo, void *ucontext);

/* ---- what there is, and failing on purpose ---------------------------------------------------- */

struct pinfold_probe;
void host_probe(struct pinfold_probe *probe);
/* max_map_count only. */
void host_probe_mappings(struct pinfold_probe *probe);
uint64_t host_memory_limit(void);

/*
 * Debug builds: the nth next call (1: the very next) that may fail does, once; 0: off.  Counts
 * host_map, host_memfd, host_memfd_alloc, host_memfd_map, host_window_map, host_extent_*, host_file_*, objects of slabs
 * and frames of the pool.
 * Returns how many calls that may fail were made since the last host_inject().
 */
unsigned long host_inject(unsigned long nth);
/* True if the calling function has to fail now: host functions and allocators.  [sig] */
bool host_fail(void);
/* Fatal: prints what with a raw write and stops.  [sig] */
_Noreturn void host_panic(const char *what);

#endif
