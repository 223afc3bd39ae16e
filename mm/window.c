/* SPDX-License-Identifier: MIT */
/* window.c - see window.h. */
#include "mm/window.h"

#include <errno.h>

#include "lib/export.h"
#include "mm/registry.h"
#include "mm/vmstat.h"

/* Served by no means: what the application wants then. */
static enum host_fault failed(struct mm_struct *mm)
{
	const struct pinfold_options *o = &mm->machine->opts;

	/* A store to a read-only mapping, or an address where nothing is mapped, is the application's own SIGSEGV. */
	if (current.fault.error == -EACCES || current.fault.error == -EFAULT)
		return HOST_FAULT_OTHER;
	if (o->fault_policy && !o->fault_policy(o->fault_arg, &current.fault))
		return HOST_FAULT_SERVED;
	return HOST_FAULT_BUS;
}

enum host_fault window_fault(unsigned long addr, bool write, int sig)
{
	struct mm_struct *mm = registry_window_of(addr);
	struct faultin fi = { .mm = mm, .want = 1, .flags = FAULT_WINDOW };
	int r;

	(void)sig; /* SIGSEGV too: a store that eviction holds off, then it is served like any other */
	if (!mm || current.inside || mm->magic != MM_MAGIC)
		return HOST_FAULT_OTHER;
	if (write)
		fi.flags |= FAULT_WRITE;
	faultin_enter(&fi);
	call_begin();
	r = faultin_page(&fi, addr & PAGE_MASK);
	faultin_exit(&fi);
	call_end();
	return r ? failed(mm) : HOST_FAULT_SERVED;
}

PINFOLD_EXPORT int pinfold_handle_fault(int sig, void *siginfo, void *ucontext)
{
	return host_fault_dispatch(sig, siginfo, ucontext);
}

PINFOLD_EXPORT int pinfold_last_fault(struct pinfold_fault *fault)
{
	size_t size = fault ? fault->size : 0;

	if (!size)
		return -EINVAL;
	if (!current.fault.error)
		return -ENOENT;
	if (size > sizeof(current.fault))
		size = sizeof(current.fault);
	for (size_t i = 0; i < size; i++)
		((char *)fault)[i] = ((char *)&current.fault)[i];
	fault->size = size;
	return 0;
}
