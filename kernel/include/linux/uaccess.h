/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md).  User memory is that of the current task's mm; anything else faults. */
#ifndef KD_LINUX_UACCESS_H
#define KD_LINUX_UACCESS_H

#include <linux/sched.h>

/* The bytes that were not copied, from the end.  Copying to the kernel: those are zero. */
unsigned long copy_from_user(void *to, const void __user *from, unsigned long n) KD_SYM(copy_from_user);
unsigned long copy_to_user(void __user *to, const void *from, unsigned long n) KD_SYM(copy_to_user);
unsigned long clear_user(void __user *to, unsigned long n) KD_SYM(clear_user);
/* The length without the zero byte, or -EFAULT; n when there is none. */
long strncpy_from_user(char *to, const char __user *from, long n) KD_SYM(strncpy_from_user);
void *memdup_user(const void __user *from, size_t n) KD_SYM(memdup_user);
void *vmemdup_user(const void __user *from, size_t n) KD_SYM(vmemdup_user);
#define memdup_array_user(from, n, size) memdup_user(from, array_size(n, size))
/* 0, -E2BIG, -EFAULT. */
int copy_struct_from_user(void *to, size_t ksize, const void __user *from, size_t usize) KD_SYM(copy_struct_from_user);
bool kd_access_ok(unsigned long addr, unsigned long n);
#define __copy_from_user copy_from_user
#define __copy_to_user copy_to_user
#define copy_from_user_nofault copy_from_user

#define access_ok(p, n) kd_access_ok((unsigned long)(p), n)
#define get_user(x, p) ({ \
	__typeof__(*(p)) kd_v; \
	int kd_e = copy_from_user(&kd_v, p, sizeof(kd_v)) ? -EFAULT : 0; \
	(x) = (__typeof__(x))kd_v; \
	kd_e; \
})
#define put_user(x, p) ({ \
	__typeof__(*(p)) kd_v = (__typeof__(*(p)))(x); \
	copy_to_user(p, &kd_v, sizeof(kd_v)) ? -EFAULT : 0; \
})
#define __get_user get_user
#define __put_user put_user

/* The bytes that could not be faulted in. */
size_t fault_in_readable(const char __user *p, size_t n) KD_SYM(fault_in_readable);
size_t fault_in_writeable(char __user *p, size_t n) KD_SYM(fault_in_writeable);
size_t fault_in_safe_writeable(const char __user *p, size_t n) KD_SYM(fault_in_writeable);
/* What access_process_vm() does for a debugger.  Bytes copied. */
int access_process_vm(struct task_struct *t, unsigned long addr, void *buf, int n, unsigned int flags)
	KD_SYM(access_process_vm);

#endif
