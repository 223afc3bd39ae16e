/* SPDX-License-Identifier: MIT */
/*
 * handle.h - are a caller's machine, mm and file live?
 *
 * Structs of closed files and destroyed mms are kept until their machine goes, and then reused only as
 * such structs: a second close, or a call on what went with its machine, is told and not a crash.  A call
 * on a file counts as a user while it runs: close finds it busy.
 */
#ifndef PINFOLD_HANDLE_H
#define PINFOLD_HANDLE_H

#include "mm/types.h"

/* 0, -EINVAL (not live), -EOWNERDEAD (in a forked child). */
int machine_check_live(const struct pinfold *m);
int mm_check_live(const struct mm_struct *mm);

/* Zeroed, or NULL; from memory that stays what it is for the life of the process. */
struct pinfold_file *file_struct_alloc(void);
void file_struct_free(struct pinfold_file *file);
struct mm_struct *mm_struct_alloc(void);
void mm_struct_free(struct mm_struct *mm);

/* Counts the caller as a user of the file: 0; -EBADF closed or NULL, -EOWNERDEAD. */
int file_enter(struct pinfold_file *file);
void file_leave(struct pinfold_file *file);

#endif
