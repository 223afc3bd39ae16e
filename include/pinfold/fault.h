/* SPDX-License-Identifier: MIT */
/*
 * fault.h - bringing pages in without holding them, with the names and values of Linux.
 *
 * Behind these calls a page may be gone again at any time: what must stay is pinned (gup.h).  In a window they also
 * install the translations, so that a load, a store or a system call finds the page.
 */
#ifndef PINFOLD_FAULT_H
#define PINFOLD_FAULT_H

#include <errno.h>
#include <stdbool.h>

#include <pinfold/gup.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- one page --------------------------------------------------------------------------------- */

/* Flags of a fault, values of 5.2.  Any other bit is -EINVAL. */
#define FAULT_FLAG_WRITE       0x01 /* for a store */
#define FAULT_FLAG_ALLOW_RETRY 0x04 /* the lock may be dropped: always so with `unlocked`, -EINVAL without */
#define FAULT_FLAG_REMOTE      0x80 /* accepted, changes nothing: there are no protection keys */

/*
 * Makes the page of `address` good for a load or a store (clause F15): one fault at least, also where there is nothing
 * to do, and more until it is resolved.
 *
 * tsk:      ignored, may be NULL
 * unlocked: NULL, the lock is not dropped; else set to true if it was dropped meanwhile (and left alone if not): then
 *           mappings may have changed and pointers to them are stale (clause L17)
 *
 * Result: 0; -EINVAL flags, no live mm, mmap lock not held, or held for writing with `unlocked`; -EFAULT no mapping, no
 * right (there is no FORCE), beyond the end of the file, read error; -ENOMEM; -ENOSPC dirty limit, deadline passed;
 * -EOWNERDEAD in the child of a fork.
 * Locks: mmap lock held, for reading if `unlocked`; held on return whatever the result.  May block and do I/O.
 */
int fixup_user_fault(struct task_struct *tsk, struct mm_struct *mm, unsigned long address, unsigned int fault_flags,
                     bool *unlocked) PINFOLD_SYM(fixup_user_fault);

/* ---- ranges ----------------------------------------------------------------------------------- */

/*
 * Brings [uaddr, uaddr + size) of the thread's mm in, for loads (readable) or stores (writeable), from its start up to
 * the first page that cannot be had.  Nothing in memory changes: fault_in_writeable() and fault_in_safe_writeable() do
 * the same, where Linux's first one stores zeroes (clause F16).  For stores pages of a file count as dirty behind it.
 *
 * uaddr: an address of the mm; not looked at by pointer, so it need not be one
 *
 * Result: the number of bytes NOT reached: 0 is all, `size` none: a range that wraps, no mm, in the child of a fork.
 * pinfold_last_fault() says why.
 * Locks: none, or the mmap lock of the mm, which is kept then.  May block and do I/O.  The names are those of Linux 5.16.
 */
size_t fault_in_readable(const char *uaddr, size_t size) PINFOLD_SYM(fault_in_readable);
size_t fault_in_writeable(char *uaddr, size_t size) PINFOLD_SYM(fault_in_writeable);
size_t fault_in_safe_writeable(const char *uaddr, size_t size) PINFOLD_SYM(fault_in_safe_writeable);

/* The same as 5.2 has them: 0, or -EFAULT if anything was not reached. */
#define fault_in_pages_readable(uaddr, size) (fault_in_readable((uaddr), (size_t)(size)) ? -EFAULT : 0)
#define fault_in_pages_writeable(uaddr, size) (fault_in_writeable((uaddr), (size_t)(size)) ? -EFAULT : 0)

/*
 * Brings [start, end) of a mapping in, as mlock and MAP_POPULATE do: private and writable pages for stores, so that they
 * are the mm's own, all others for loads (clause F12).
 *
 * vma:        contains [start, end), page-aligned, start <= end, of the mm whose lock the thread holds
 * locked:     NULL, or as for get_user_pages_remote()
 *
 * Result: pages brought in, fewer than asked where one failed; its error if it was the first: -EINVAL not aligned, not
 * inside vma, mmap lock not held, *locked not 1, held for writing with `locked`; -EFAULT PROT_NONE, beyond the end
 * of the file, read error; -ENOMEM; -EOWNERDEAD in the child of a fork.
 * Locks: mmap lock held, kept unless `locked` says otherwise.  May block and do I/O.
 */
long populate_vma_page_range(struct vm_area_struct *vma, unsigned long start, unsigned long end, int *locked)
	PINFOLD_SYM(populate_vma_page_range);

/* ---- what a handler says ---------------------------------------------------------------------- */

typedef unsigned int vm_fault_t;

#define VM_FAULT_OOM            0x000001u
#define VM_FAULT_SIGBUS         0x000002u
#define VM_FAULT_MAJOR          0x000004u
#define VM_FAULT_WRITE          0x000008u
#define VM_FAULT_HWPOISON       0x000010u
#define VM_FAULT_HWPOISON_LARGE 0x000020u
#define VM_FAULT_SIGSEGV        0x000040u
#define VM_FAULT_NOPAGE         0x000100u
#define VM_FAULT_LOCKED         0x000200u
#define VM_FAULT_RETRY          0x000400u
#define VM_FAULT_FALLBACK       0x000800u
#define VM_FAULT_DONE_COW       0x001000u
#define VM_FAULT_NEEDDSYNC      0x002000u
#define VM_FAULT_COMPLETED      0x004000u /* since 6.0 */
#define VM_FAULT_HINDEX_MASK    0x0f0000u
#define VM_FAULT_ERROR (VM_FAULT_OOM | VM_FAULT_SIGBUS | VM_FAULT_SIGSEGV | VM_FAULT_HWPOISON | \
                        VM_FAULT_HWPOISON_LARGE | VM_FAULT_FALLBACK)

/*
 * The errno of a handler's result (contract 2.4): -ENOMEM, -EHWPOISON (with FOLL_HWPOISON in foll_flags, else
 * -EFAULT), -EFAULT, or 0: no error that has one.  Reads its arguments only: any context, async-signal-safe.
 */
int vm_fault_to_errno(vm_fault_t vm_fault, int foll_flags) PINFOLD_SYM(vm_fault_to_errno);

#ifdef __cplusplus
}
#endif
#endif
