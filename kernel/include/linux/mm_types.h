/* SPDX-License-Identifier: MIT */
/*
 * Test double (doc/kernel.md).  Pages are the machine's own records, so pages[i] + 1 is the next frame's; what is in them is
 * asked by calls.  An mm is one of the machine's address spaces with the counters that callers keep in it.
 */
#ifndef KD_LINUX_MM_TYPES_H
#define KD_LINUX_MM_TYPES_H

#include <linux/atomic.h>
#include <linux/rbtree.h>
#include <linux/spinlock.h>
#include <linux/list.h>

struct page {
	unsigned long kd_private[8];
};

/* A folio is known by its first page. */
struct folio {
	struct page page;
};

typedef struct {
	unsigned long pgprot;
} pgprot_t;
#define __pgprot(x) ((pgprot_t){ (x) })
#define pgprot_val(x) ((x).pgprot)
#define PAGE_KERNEL __pgprot(3)
#define PAGE_KERNEL_RO __pgprot(1)
#define PAGE_SHARED __pgprot(3)

struct vm_area_struct;
struct file;
struct vm_operations_struct;

struct mm_struct {
	union {
		struct rw_semaphore mmap_lock;
		struct rw_semaphore mmap_sem;
	};
	atomic_t mm_users, mm_count;
	unsigned long total_vm, locked_vm; /* pages */
	atomic64_t pinned_vm;              /* pages */
	struct vm_area_struct *mmap;       /* sorted; kd_mmap() and its kin keep it */
	int map_count;
	void *kd_mm;                       /* the machine's address space */
	struct mm_struct *kd_next;
};

struct vm_area_struct {
	unsigned long vm_start, vm_end;
	struct vm_area_struct *vm_next;
	struct mm_struct *vm_mm;
	pgprot_t vm_page_prot;
	unsigned long vm_flags;
	unsigned long vm_pgoff;
	struct file *vm_file;
	const struct vm_operations_struct *vm_ops;
	void *vm_private_data;
};

/* A driver's own mappings: types only, and calls that say that this double has none. */
struct vm_fault {
	struct vm_area_struct *vma;
	unsigned int flags;
	pgoff_t pgoff;
	unsigned long address;
	struct page *page;
};
struct vm_operations_struct {
	void (*open)(struct vm_area_struct *vma);
	void (*close)(struct vm_area_struct *vma);
	vm_fault_t (*fault)(struct vm_fault *vmf);
	vm_fault_t (*page_mkwrite)(struct vm_fault *vmf);
	int (*access)(struct vm_area_struct *vma, unsigned long addr, void *buf, int len, int write);
};
#define VM_FAULT_OOM 0x1u
#define VM_FAULT_SIGBUS 0x2u
#define VM_FAULT_NOPAGE 0x100u
#define VM_FAULT_LOCKED 0x200u

#define VM_NONE 0ul
#define VM_READ 0x1ul
#define VM_WRITE 0x2ul
#define VM_EXEC 0x4ul
#define VM_SHARED 0x8ul
#define VM_MAYREAD 0x10ul
#define VM_MAYWRITE 0x20ul
#define VM_MAYEXEC 0x40ul
#define VM_MAYSHARE 0x80ul
#define VM_PFNMAP 0x400ul
#define VM_LOCKED 0x2000ul
#define VM_IO 0x4000ul
#define VM_DONTCOPY 0x20000ul
#define VM_DONTEXPAND 0x40000ul
#define VM_ACCOUNT 0x100000ul
#define VM_HUGETLB 0x400000ul
#define VM_DONTDUMP 0x4000000ul
#define VM_MIXEDMAP 0x10000000ul

#endif
