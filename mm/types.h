/* SPDX-License-Identifier: MIT */
/*
 * types.h - the nouns of the machine, outermost first, and what tells look-alikes apart.
 *
 *   machine (struct pinfold)  owns frames, tables, files, mms; knows of no other machine
 *   mm       one address space: VMAs, page tables, a window
 *   VMA      one mapping in an mm: of a file or of anonymous memory, shared or private
 *   table    512 slots or 512 tables; reused only as a table (D8).  A leaf may belong to several mms after
 *            dup_mmap(): then it is changed by nobody, who wants to change it takes a copy first (D12)
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
#include <pinfold/notifier.h>
#include <pinfold/pinfold.h>

#define PAGE_SHIFT 12
#define PAGE_SIZE 4096UL
#define PAGE_MASK (~(PAGE_SIZE - 1))
#define MAX_ORDER 9
#define NO_PFN UINT32_MAX

#define HUGE_ORDER 9
#define HUGE_SIZE (PAGE_SIZE << HUGE_ORDER)

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
	PG_staging = 1u << 17,    /* belongs to the machine's stock of copies */
	PG_anon = 1u << 18        /* anonymous: belongs to the slots that show it, and to no file */
};

#define PG_unclean (PG_dirty | PG_cut | PG_home)

struct page {
	_Atomic uint64_t count; /* D3: page.h */
	_Atomic uint32_t flags; /* enum page_flag; also the futex word of PG_locked */
	_Atomic uint8_t order;  /* of the folio, on its head; of the free block, with PG_buddy: page_set_order() */
	uint8_t pad;
	_Atomic uint16_t tail;  /* distance from the folio's head, in pages */
	/* Set before the page enters the index, stable while it is there; pages_lock.  PG_anon: the machine's
	 * `anon`, for good. */
	struct address_space *mapping;
	union {
		uint64_t index; /* in the file, in pages; PG_anon: in the VMA's terms.  Heads and single pages */
		_Atomic uint64_t subpins; /* folio's pages 1 .. 8: 64 of its pages each, see folio_mark_pin() */
	};
	/* LRU lock, or the alloc lock while free. */
	uint32_t next, prev;
	struct page *claim;     /* the staging frame with the copy for the cut; page lock */
	void *addr;             /* of the frame; constant for pool pages */
	_Atomic uint32_t mapcount; /* 4 KiB slots that hold it; leaf lock of the slot for each step */
	union {
		uint32_t jblock;   /* PG_home: block of the journal with the committed copy; commit_lock */
		_Atomic uint32_t hugemaps; /* a folio's head: 2 MiB slots that hold it; dir lock */
	};
};
_Static_assert(sizeof(struct page) == 64, "one page record is one cache line");

/* ---- page tables ----------------------------------------------------------------------------- */

typedef _Atomic uint64_t slot_t;

/*
 * What is true of the page: PRESENT, FOLIO, ANON, EXCL, ZERO, HUGE.  What the mm may do with it: the rest, a copy of
 * what VMA and page say together, so that the lockless path needs to look nowhere else.  Rights missing here are
 * added by a fault; rights here are never more than the VMA's.
 */
#define SLOT_PRESENT 0x1ull
#define SLOT_READ    0x2ull
#define SLOT_WRITE   0x4ull /* the CPU may store: implies PG_dirty for files that commit, EXCL for ANON */
#define SLOT_PINW    0x8ull /* a write pin may be taken without asking anybody */
#define SLOT_LTW     0x10ull /* ... also a long-term one */
#define SLOT_FOLIO   0x20ull /* of a folio of order > 0: counts live on its head */
#define SLOT_PINR    0x40ull /* a read pin may be taken without asking */
#define SLOT_LTR     0x80ull /* ... also a long-term one */
#define SLOT_ANON    0x100ull
#define SLOT_EXCL    0x200ull /* ANON: no other slot shows it, so it may be written and pinned (U1) */
#define SLOT_ZERO    0x400ull /* the zero page: not counted */
#define SLOT_HUGE    0x800ull /* an entry of a level-1 table that maps a whole 2 MiB folio */
#define SLOT_BITS    0xfffull
#define SLOT_RIGHTS  (SLOT_READ | SLOT_WRITE | SLOT_PINW | SLOT_LTW | SLOT_PINR | SLOT_LTR)
#define SLOT_WRITES  (SLOT_WRITE | SLOT_PINW | SLOT_LTW)

/* Entries of upper tables point to tables, which are aligned to 64: the lowest bit tells a slot (HUGE). */
#define ENTRY_SHARED 0x2ull /* the leaf below belongs to other mms as well */
#define ENTRY_FLAGS  0x3full

#define TABLE_SLOTS 512u
#define TABLE_LEVELS 4
#define LEAF_SIZE (TABLE_SLOTS * PAGE_SIZE)

#define TABLE_RANGES 7u

struct table {
	slot_t e[TABLE_SLOTS];
	/* Leaf: ranges that are pinned as such, and what dates them: pt_range.h.  One line. */
	_Atomic uint64_t range[TABLE_RANGES];
	_Atomic uint64_t version;
	struct host_mutex lock;
	_Atomic uint32_t ranged; /* ranges may be pinned here; lock */
	uint32_t seen;        /* check.c's */
	unsigned long base;   /* first address it covers, in the mm that made it */
	uint32_t used;        /* entries that are not zero; lock */
	uint32_t anon;        /* of them ANON or ZERO: a leaf of nothing else can be shared */
	uint32_t level;       /* 0: leaf */
	_Atomic uint32_t sharers; /* mms that have an entry for it; 1 unless ENTRY_SHARED */
	_Atomic uint32_t pinned;  /* leaf: the fast path has been here, so pages may be pinned; until it is freed */
	uint32_t pad;
	struct pinfold *machine;
	void *link;           /* the slab's */
};
_Static_assert(sizeof(struct table) % 64 == 0, "the slab's link lies in link");

#define VM_SHARED     1u
#define VM_HUGE       2u  /* MADV_HUGEPAGE */
#define VM_DONTFORK   4u
#define VM_WIPEONFORK 8u

struct vma_list {
	struct vm_area_struct *next, **prev;
};

struct vm_area_struct {
	/* mmap lock for writing + i_mmap_lock of the lists it is on */
	unsigned long start, end;
	uint64_t pgoff;       /* file page of start; anonymous: its page number when it was made, kept by mremap */
	int prot, old_prot;
	unsigned flags;       /* VM_*; mmap lock for writing */
	struct mm_struct *mm;
	struct address_space *mapping; /* anonymous and private: the machine's `anon` */
	struct vma_list in_file; /* mapping's i_mmap_lock; not for `anon` */
	struct vma_list in_anon; /* private ones; the i_mmap_lock of `anon` */
};

struct mm_notifiers {
	struct host_rwsem sem;    /* read: around callbacks; write: the lists change */
	_Atomic uint32_t any;     /* a list is not empty */
	_Atomic uint32_t event;   /* bumped when an interval's invalidation ends */
	struct mmu_notifier *list;
	struct mmu_interval_notifier *intervals;
	_Atomic uint64_t seq;
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
	_Atomic uint64_t table_seq; /* bumped when a table is removed, shared, replaced or moved */
	struct mm_notifiers notifiers;
	/* Extent window: constant; its translations: window_lock. */
	unsigned long arena, arena_end;
	struct sparse chunks;
	_Atomic uint64_t locked_vm; /* pages: account_locked_vm() */
	long shift;             /* what dup_mmap() added to the addresses of the mm it was made from */
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
struct window_chunk;

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
	struct vm_area_struct *i_mmap; /* i_mmap_lock; `anon`: linked by in_anon */
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
	WINDOW_DROPS, SLOW_PINS, INVARIANTS_BROKEN, ZERO_MAPS, COW_COPIED, COW_REUSED, UNSHARED,
	FOLIOS_MAPPED, FOLIO_FALLBACKS, FOLIOS_SPLIT, MAPPINGS_SPLIT, FORKS, LEAVES_SHARED, LEAVES_COPIED,
	FORK_COPIED, MOVED_TABLES, MOVED_SLOTS, WINDOW_EVICTED, NOTIFIED, PINS_ACQUIRED, PINS_RELEASED,
	RANGE_PAGES_IN, RANGE_PAGES_OUT, /* pinned and released as counted on a leaf: pt_range.h */
	RANGE_PAGES_MOVED, /* from there to the pages */
	NR_VM_EVENTS
};

/* Free 4 KiB frames close at hand: threads are spread over them, so that they do not meet on alloc_lock. */
#define FRAME_CACHES 16u
#define CACHE_FRAMES 64u
struct frame_cache {
	_Alignas(64) struct host_mutex lock;
	uint32_t n;
	uint32_t pfn[CACHE_FRAMES];
};

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
	uint32_t pool_frames, direct_frames, nr_frames; /* records behind these: 1, the zero page's */
	struct page *pages;
	size_t pages_len;

	struct host_mutex alloc_lock;
	/* alloc_lock */
	uint32_t buddy[MAX_ORDER + 1]; /* heads, NO_PFN: empty */
	uint32_t direct_free;          /* head */
	uint32_t staging;              /* head */
	_Atomic uint32_t nr_free, nr_direct_free, nr_staging;
	uint32_t staging_total;

	struct frame_cache cache[FRAME_CACHES];
	struct page *zero;     /* reads of untouched anonymous memory; its word never changes (Z2) */

	struct lru lru[2]; /* by frame_kind */
	struct address_space anon;   /* stands for all anonymous memory: no index, the list of private VMAs */
	struct address_space shared; /* MAP_SHARED | MAP_ANONYMOUS: each mapping has a range of its own */
	_Atomic uint64_t shared_next;

	struct host_mutex window_lock; /* extent windows' translations */
	/* window_lock */
	struct window_chunk *oldest, *newest;
	uint64_t window_vmas;
	uint64_t window_budget;
	struct slab chunks;
	/* One slab per level: what a stale walker reads in a reused table is an entry of that level. */
	struct slab tables[TABLE_LEVELS];
	struct slab nodes, vmas, fills;
	struct host_rwsem tlb_sem; /* tlb.h */

	int64_t pin_limit;          /* pages; 0: none */
	_Atomic int64_t ledger;     /* pages charged: ledger.h */

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

	_Atomic uint64_t event[NR_VM_EVENTS]; /* but for what threads have not folded in yet: vmstat.h */
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
