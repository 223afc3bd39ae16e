/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md).  There is one user. */
#ifndef KD_LINUX_CRED_H
#define KD_LINUX_CRED_H

#include <linux/atomic.h>

struct user_struct {
	refcount_t __count;
	atomic_long_t locked_vm; /* pages */
};

struct user_struct *kd_user(void);
#define current_user() kd_user()
struct user_struct *get_uid(struct user_struct *u) KD_SYM(get_uid);
void free_uid(struct user_struct *u) KD_SYM(free_uid);

#endif
