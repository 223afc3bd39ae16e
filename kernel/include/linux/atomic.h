/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md).  Counters: atomic_t, atomic64_t, atomic_long_t, refcount_t, struct kref. */
#ifndef KD_LINUX_ATOMIC_H
#define KD_LINUX_ATOMIC_H

#include <linux/kernel.h>

typedef struct {
	long counter;
} atomic_long_t;
#define ATOMIC_LONG_INIT(v) { (v) }

#define KD_ATOMIC(prefix, T, V) \
static inline V prefix##_read(const T *v) { return __atomic_load_n(&v->counter, __ATOMIC_RELAXED); } \
static inline void prefix##_set(T *v, V i) { __atomic_store_n(&v->counter, i, __ATOMIC_RELAXED); } \
static inline V prefix##_add_return(V i, T *v) { return __atomic_add_fetch(&v->counter, i, __ATOMIC_SEQ_CST); } \
static inline V prefix##_sub_return(V i, T *v) { return __atomic_sub_fetch(&v->counter, i, __ATOMIC_SEQ_CST); } \
static inline V prefix##_fetch_add(V i, T *v) { return __atomic_fetch_add(&v->counter, i, __ATOMIC_SEQ_CST); } \
static inline V prefix##_fetch_sub(V i, T *v) { return __atomic_fetch_sub(&v->counter, i, __ATOMIC_SEQ_CST); } \
static inline void prefix##_or(V i, T *v) { __atomic_fetch_or(&v->counter, i, __ATOMIC_SEQ_CST); } \
static inline void prefix##_and(V i, T *v) { __atomic_fetch_and(&v->counter, i, __ATOMIC_SEQ_CST); } \
static inline V prefix##_xchg(T *v, V i) { return __atomic_exchange_n(&v->counter, i, __ATOMIC_SEQ_CST); } \
static inline V prefix##_cmpxchg(T *v, V old, V new_) \
{ \
	__atomic_compare_exchange_n(&v->counter, &old, new_, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST); \
	return old; \
} \
static inline bool prefix##_try_cmpxchg(T *v, V *old, V new_) \
{ \
	return __atomic_compare_exchange_n(&v->counter, old, new_, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST); \
} \
static inline bool prefix##_add_unless(T *v, V i, V unless) \
{ \
	V old = prefix##_read(v); \
	while (old != unless && !prefix##_try_cmpxchg(v, &old, old + i)) \
		; \
	return old != unless; \
} \
static inline void prefix##_add(V i, T *v) { prefix##_add_return(i, v); } \
static inline void prefix##_sub(V i, T *v) { prefix##_sub_return(i, v); } \
static inline void prefix##_inc(T *v) { prefix##_add_return(1, v); } \
static inline void prefix##_dec(T *v) { prefix##_sub_return(1, v); } \
static inline V prefix##_inc_return(T *v) { return prefix##_add_return(1, v); } \
static inline V prefix##_dec_return(T *v) { return prefix##_sub_return(1, v); } \
static inline bool prefix##_inc_and_test(T *v) { return !prefix##_add_return(1, v); } \
static inline bool prefix##_dec_and_test(T *v) { return !prefix##_sub_return(1, v); } \
static inline bool prefix##_sub_and_test(V i, T *v) { return !prefix##_sub_return(i, v); } \
static inline bool prefix##_inc_not_zero(T *v) { return prefix##_add_unless(v, 1, 0); }

KD_ATOMIC(atomic, atomic_t, int)
KD_ATOMIC(atomic64, atomic64_t, s64)
KD_ATOMIC(atomic_long, atomic_long_t, long)

#define cmpxchg(p, old, new_) __sync_val_compare_and_swap(p, old, new_)
#define xchg(p, v) __atomic_exchange_n(p, v, __ATOMIC_SEQ_CST)

/* A reference count that goes below zero or up from it is a problem, and told. */
typedef struct refcount_struct {
	atomic_t refs;
} refcount_t;
#define REFCOUNT_INIT(n) { ATOMIC_INIT(n) }

static inline void refcount_set(refcount_t *r, int n)
{
	atomic_set(&r->refs, n);
}

static inline unsigned int refcount_read(const refcount_t *r)
{
	return (unsigned int)atomic_read(&r->refs);
}

static inline void refcount_inc(refcount_t *r)
{
	WARN(atomic_inc_return(&r->refs) <= 1, "refcount_inc() of a count of 0");
}

static inline bool refcount_inc_not_zero(refcount_t *r)
{
	return atomic_inc_not_zero(&r->refs);
}

static inline bool refcount_dec_and_test(refcount_t *r)
{
	int n = atomic_dec_return(&r->refs);

	WARN(n < 0, "refcount_dec_and_test() of a count of 0");
	return !n;
}

static inline void refcount_dec(refcount_t *r)
{
	WARN(refcount_dec_and_test(r), "refcount_dec() took the last reference");
}

struct kref {
	refcount_t refcount;
};
#define KREF_INIT(n) { REFCOUNT_INIT(n) }

static inline void kref_init(struct kref *k)
{
	refcount_set(&k->refcount, 1);
}

static inline void kref_get(struct kref *k)
{
	refcount_inc(&k->refcount);
}

static inline int kref_get_unless_zero(struct kref *k)
{
	return refcount_inc_not_zero(&k->refcount);
}

static inline unsigned int kref_read(const struct kref *k)
{
	return refcount_read(&k->refcount);
}

static inline int kref_put(struct kref *k, void (*release)(struct kref *k))
{
	if (!refcount_dec_and_test(&k->refcount))
		return 0;
	release(k);
	return 1;
}

#endif
