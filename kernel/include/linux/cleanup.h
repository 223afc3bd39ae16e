/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md).  What is undone where a variable's scope ends: __free(), guard(), scoped_guard(). */
#ifndef KD_LINUX_CLEANUP_H
#define KD_LINUX_CLEANUP_H

#include <linux/compiler.h>

/* `code` sees the pointer as _T. */
#define DEFINE_FREE(name, type, code) \
	static inline __attribute__((unused)) void __free_##name(void *p) { type _T = *(type *)p; code; }
#define no_free_ptr(p) ({ __auto_type kd_p = (p); (p) = NULL; kd_p; })
#define return_ptr(p) return no_free_ptr(p)
#define retain_and_null_ptr(p) ((void)no_free_ptr(p))

#define DEFINE_CLASS(name, type, leave, enter, args...) \
	typedef type class_##name##_t; \
	static inline __attribute__((unused)) void class_##name##_leave(type *p) { type _T = *p; leave; } \
	static inline __attribute__((unused)) type class_##name##_enter(args) { type t = enter; return t; }
#define CLASS(name, var) \
	class_##name##_t var __attribute__((cleanup(class_##name##_leave), unused)) = class_##name##_enter
#define DEFINE_GUARD(name, type, lock, unlock) \
	DEFINE_CLASS(name, type, if (_T) { unlock; }, ({ lock; _T; }), type _T)
#define guard(name) CLASS(name, __UNIQUE_ID(guard))
#define scoped_guard(name, args...) \
	for (CLASS(name, kd_scope)(args), *kd_once = (void *)1; kd_once; kd_once = NULL)

#endif
