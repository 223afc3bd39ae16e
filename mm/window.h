/* SPDX-License-Identifier: MIT */
/*
 * window.h - the fault handler of native loads and stores.
 *
 * It runs in the thread that touched the page, in signal context: raw system calls, no malloc, no
 * print, errno kept, bounded stack.  A thread that is inside a library call has no business in a
 * window: its fault is not served.
 */
#ifndef PINFOLD_WINDOW_H
#define PINFOLD_WINDOW_H

#include "mm/gup.h"

/* True: served, the access may be tried again. */
enum host_fault window_fault(unsigned long addr, bool write, int sig);

#endif
