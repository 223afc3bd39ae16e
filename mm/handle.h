/* SPDX-License-Identifier: MIT */
/*
 * handle.h - are a caller's machine, mm and file live?
 *
 * Structs of closed files and destroyed mms are kept until their machine goes, so that a second close
 * is told and not a crash.  A call on a file counts as a user while it runs: close finds it busy.
 */
#ifndef PINFOLD_HANDLE_H
#define PINFOLD_HANDLE_H

#include "mm/types.h"

/* 0, -EINVAL (not live), -EOWNERDEAD (in a forked child). */
int machine_check_live(const struct pinfold *m);
int mm_check_live(const struct mm_struct *mm);

/* Counts the caller as a user of the file: 0; -EBADF closed or NULL, -EOWNERDEAD. */
int file_enter(struct pinfold_file *file);
void file_leave(struct pinfold_file *file);

#endif
