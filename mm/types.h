/* SPDX-License-Identifier: MIT */
/*
 * types.h - the nouns of the machine, outermost first, and what tells look-alikes apart.
 *
 *   machine (struct pinfold)  owns frames, tables, files, mms; knows of no other machine
 *   mm       one address space: VMAs, page tables, a window
 *   VMA      one mapping of a file in an mm
 *   table    512 slots or 512 tables; reused only as a table (D8)
 *   slot     one page-table entry: pfn and rights.  The truth; the host's MMU is its TLB (D5)
 *   mapping  struct address_space: the cached pages of one file
 *   folio    2^order frames, allocated and freed as one; counts live on its first page
 *   page     the 64-byte record of one frame.  Pool frames lie in the machine's memfd; direct frames
 *            in the file's own, at the file's offsets
 *   frame    4 KiB of memory, named by its pfn: the index of its record
 *
 * A reference keeps a frame from being reused; a pin also keeps its place and its content.
 * A lock named in a group's comment guards that group.
 */
#ifndef PINFOLD_TYPES_H
#define PINFOLD_TYPES_H

#include "host/host.h"
#include "lib/slab.h"
#include "lib/sparse.h"
#include <pinfold/pinfold.h>

#define PAGE_SHIFT 12
#define PAGE_SIZE 4096UL
#define PAGE_MASK (~(PAGE_SIZE - 1))
#define MAX_ORDER 9
#define NO_PFN UINT32_MAX

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

/* ---- page ------------------------------------------------------------------------------------ */

enum page_flag {
	PG_locked = 1u << 0,      /* one owner may change the page's state; see filemap.h */
	PG_waiters = 1u << 1,     /* somebody sleeps until PG_locked is clear */
	PG_uptodate = 1u << 2,    /* the frame holds the file's content */
	PG_dirty = 1u << 3,       /* differs from the last cut; pages_lock, MARK_DIRTY follows it */
	PG_cut = 1u << 4,         /* in a cut that is not written yet; pages_lock, MARK_CUT */
	PG_claimed = 1u << 5,     /* its content for the cut has been copied; page lock */
	PG_home = 1u << 6,        /* committed, but the file not flushed since; pages_lock, MARK_HOME */
	PG_referenced = 1u << 7,  /* used since reclaim looked last */
	PG_active = 1u << 8,      /* on the active list; LRU lock */
	PG_lru = 1u << 9,         /* on a list; LRU lock */
	PG_window = 1u << 10,     /* has had a translation since its slots were cleared */
	PG_probed = 1u << 11,     /* reclaim dropped its translations to see whether it is used */
	PG_direct = 1u << 12,     /* a record of a direct frame */
	PG_head = 1u << 13,       /* first of a folio of order > 0 */
	PG_wpinned = 1u << 14,    /* D3's sticky flag: a write pin may be among the pins */
	PG_longterm = 1u << 15,   /* sticky: a long-term pin may be among them */
	PG_buddy = 1u << 16,      /* on the allocator's lists; alloc lock */
	PG_staging = 1u << 17     /* belongs to the machine's stock of copies */
};

#define PG_unclean (PG_dirty | PG_cut | PG_home)

struct page {
	_Atomic uint64_t count; /* D3: page.h */
	_Atomic uint32_t flags; /* enum page_flag; also the futex word of PG_locked */
	uint8_t order;          /* of the folio, on its head; of the free block, with PG_buddy */
	uint8_t pad;
	uint16_t tail;          /* distance from the folio's head, in pages */
	/* Set before the page enters the index, stable while it is there; pages_lock. */
	struct address_space *mapping;
	uint64_t index;         /* in the file, in pages */
	/* LRU lock, or the alloc lock while free. */
	uint32_t next, prev;
	struct page *claim;     /* the staging frame with the copy for the cut; page lock */
	void *addr;             /* of the frame; constant for pool pages */
	_Atomic uint32_t mapcount; /* slots that hold it; leaf lock of the slot for each step */
	uint32_t jblock;           /* PG_home: block of the journal with the committed copy; commit_lock */
};
_Static_assert(sizeof(struct page) == 64, "one page record is one cache line");

/* ---- page tables ----------------------------------------------------------------------------- */

typedef _Atomic uint64_t slot_t;

/* A slot's rights are the VMA's and the page's: PINW and LTW tell the lockless path enough. */
#define SLOT_PRESENT 0x1ull
#define SLOT_READ    0x2ull
#define SLOT_WRITE   0x4ull /* the CPU may store: implies PG_dirty for files that commit */
#define SLOT_PINW    0x8ull /* a write pin may be taken without asking anybody */
#define SLOT_LTW     0x10ull /* ... also a long-term one */
#define SLOT_FOLIO   0x20ull /* of a folio of order > 0: counts live on its head */
#define SLOT_BITS    0xfffull

#define TABLE_SLOTS 512u
#define TABLE_LEVELS 4
#define LEAF_SIZE (TABLE_SLOTS * PAGE_SIZE)

struct table {
	slot_t e[TABLE_SLOTS];
	struct host_mutex lock;
	struct mm_struct *mm; /* owner; NULL: not in use.  lock */
	unsigned long base;   /* first address it covers; lock */
	uint32_t used;        /* entries that are not zero; lock */
	uint32_t level;       /* 0: leaf */
	void *link;           /* the slab's */
};

struct vm_area_struct {
	unsigned long start, end;       /* mmap lock; constant while linked */
	uint64_t pgoff;                 /* file page of start */
	int prot, old_prot;             /* mmap lock for writing + i_mmap_lock */
	int window;                     /* index in the table of windows, -1 none */
	struct mm_struct *mm;
	struct address_space *mapping;
	struct vm_area_struct *next_in_file; /* i_mmap_lock */
};

#define MM_MAGIC 0x70666d6du

struct mm_struct {
	uint32_t magic;
	enum pinfold_window window;
	struct pinfold *machine;
	struct host_rwsem mmap_lock;
	/* mmap lock */
	struct vm_area_struct **vmas; /* sorted by start */
	unsigned nr_vmas, room;
	/* D8 */
	struct table *root;
	_Atomic uint64_t table_seq;
	struct mm_struct *next; /* machine lock */
};

/* ---- files ----------------------------------------------------------------------------------- */

#define MARK_DIRTY 0
#define MARK_CUT   1
#define MARK_HOME  2

struct address_space;

/* What a file system does for its files; all of it may block.  I/O goes through struct host_io. */
struct address_space_operations {
	bool commits; /* dirty pages are written by commit; false: memory only, never evicted */
	/* Reads or writes now: bytes or -errno. */
	int64_t (*readv)(struct address_space *, const struct iovec *, int, uint64_t off);
	/* Starts requests; done() and the state tell the end.  io->file is filled in here. */
	void (*submit)(struct address_space *, struct host_io *, int n);
	int (*flush)(struct address_space *);
	int (*set_size)(struct address_space *, uint64_t size);
	int64_t (*get_size)(struct address_space *);
	void (*release)(struct address_space *);
	void (*child)(struct address_space *); /* in a forked child */
};

struct batch;

enum cut_state { CUT_NONE, CUT_FREEZING, CUT_FROZEN, CUT_WRITING };

struct journal;

struct address_space {
	struct pinfold *machine;
	const struct address_space_operations *ops;
	void *fs;
	unsigned flags;           /* PINFOLD_FILE_* */
	int memfd;                /* direct: the file's frames; -1 */
	char *alias;              /* the library's own view of all of memfd */
	uint64_t max_size;        /* bytes */
	_Atomic uint64_t size;    /* as this process sees it */
	_Atomic uint64_t home_size; /* as the last commit left the file on disk */

	struct host_mutex pages_lock;
	/* pages_lock */
	struct sparse pages;
	_Atomic uint64_t nr_pages; /* counts down when a page is out for good */

	struct host_mutex i_mmap_lock;
	struct vm_area_struct *i_mmap; /* i_mmap_lock */
	unsigned holds; /* i_mmap_lock; hold_stores() of reclaim: no protection may change */

	struct host_rwsem section_sem; /* read: inside a write section */
	struct host_rwsem freeze_sem;  /* read: while a page becomes writable */
	_Atomic uint32_t pins_stopped; /* PIN_WAIT: new write pins wait for it to become 0 */
	_Atomic uint32_t claim_event;  /* bumped when claims were made or a cut ended */
	_Atomic uint32_t users;        /* VMAs, and calls that dropped the mmap lock */

	/* The cut.  wb_lock guards the state; the rest belongs to whoever moved it. */
	struct host_mutex wb_lock;
	enum cut_state cut_state;
	int64_t cut;
	uint64_t cut_pages, cut_pinned, cut_size;
	uint64_t committed_size;       /* of the last commit; home_size follows it; commit_lock */
	_Atomic uint64_t cut_claims;   /* made by storing threads */
	bool home_failed;              /* the file lacks committed content that the journal has */
	uint64_t home_pages;           /* marked MARK_HOME */
	struct journal *journal;
	/* Asynchronous write-protect: the cut's pages, copied by freeze; reservations not charged yet. */
	char *copies;
	size_t copies_len;
	uint64_t async_reserved; /* pages; section_sem for reading + pages_lock */

	_Atomic uint64_t ra_next;      /* the index at which a sequential reader would fault next */
	_Atomic uint32_t ra_size;      /* pages read at once then */
};

#define FILE_MAGIC 0x70666669u
#define FILE_CLOSING 0x70666663u

struct pinfold_file {
	struct address_space mapping; /* first: a file is its mapping */
	_Atomic uint32_t magic;
	struct pinfold_file *next;    /* commit_lock; never unlinked before the machine goes */
};

/* ---- machine --------------------------------------------------------------------------------- */

enum frame_kind { FRAME_POOL = 0, FRAME_DIRECT = 1 };

struct lru {
	struct host_mutex lock;
	/* lock */
	uint32_t head[2], tail[2]; /* [0] inactive, [1] active */
	uint64_t nr[2];
};

enum vm_event {
	FAULTS_MISSING, FAULTS_MINOR, FAULTS_WRITE, FAULTS_FAILED, PAGES_READ, READ_CALLS, EVICTED,
	SKIPPED_PINNED, SKIPPED_DIRTY, SECOND_CHANCE, COMMITS, COMMIT_PAGES, CLAIMS_WRITER,
	CLAIMS_COMMITTER, JOURNAL_BYTES, HOME_BYTES, FLUSHES, CHECKPOINTS, WINDOW_INSTALLS,
	WINDOW_DROPS, SLOW_PINS, INVARIANTS_BROKEN, NR_VM_EVENTS
};

/* Per-thread counts, folded into the machine's: see vmstat.h. */
enum pin_stat { PINS_ACQUIRED, PINS_RELEASED, NR_PIN_STATS };

#define MACHINE_MAGIC 0x70666d63u

struct pinfold {
	uint32_t magic;
	_Atomic uint32_t dead; /* in a forked child */
	struct pinfold_options opts;
	struct host_disk *disk;
	struct host_ring *ring;
	int uffd[2];           /* [1]: asynchronous write-protect; -1 not open */
	int uffd_how;

	/* Frames: constant after creation. */
	int pool_fd;
	char *pool;
	uint32_t pool_frames, direct_frames, nr_frames;
	struct page *pages;
	size_t pages_len;

	struct host_mutex alloc_lock;
	/* alloc_lock */
	uint32_t buddy[MAX_ORDER + 1]; /* heads, NO_PFN: empty */
	uint32_t direct_free;          /* head */
	uint32_t staging;              /* head */
	_Atomic uint32_t nr_free, nr_direct_free, nr_staging;
	uint32_t staging_total;

	struct lru lru[2]; /* by frame_kind */
	/* One slab per level: what a stale walker reads in a reused table is an entry of that level. */
	struct slab tables[TABLE_LEVELS];
	struct slab nodes, vmas, fills;
	struct host_rwsem tlb_sem; /* tlb.h */

	_Atomic int64_t dirty;      /* pages dirty, in a cut, or reserved */
	int64_t dirty_limit;        /* pages */
	_Atomic uint32_t commit_event; /* bumped when dirty went down */
	char *bounce;               /* the committer's buffer; commit_lock */
	struct batch *batch;        /* and its list; commit_lock */
	struct host_mutex commit_lock;

	struct host_mutex lock;
	/* lock */
	struct mm_struct *mms;
	struct pinfold_file *files; /* commit_lock */
	_Atomic uint64_t nr_files, nr_mms, nr_vmas; /* live ones */

	_Atomic uint64_t event[NR_VM_EVENTS];
	_Atomic uint64_t pin_stat[NR_PIN_STATS];
};

/* Pages of one flight to the disk: 1 MiB. */
#define BATCH_PAGES 256u

static inline struct page *pfn_to_page(const struct pinfold *m, uint64_t pfn)
{
	return &m->pages[pfn];
}

static inline uint32_t page_to_pfn(const struct pinfold *m, const struct page *page)
{
	return (uint32_t)(page - m->pages);
}

static inline bool has_flag(const struct page *page, uint32_t flag)
{
	return atomic_load_explicit(&page->flags, memory_order_acquire) & flag;
}

static inline void set_flag(struct page *page, uint32_t flag)
{
	atomic_fetch_or_explicit(&page->flags, flag, memory_order_acq_rel);
}

static inline void clear_flag(struct page *page, uint32_t flag)
{
	atomic_fetch_and_explicit(&page->flags, ~flag, memory_order_acq_rel);
}

#endif
