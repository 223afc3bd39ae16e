/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md).  Arrays by index, and the calls of IDR and IDA on top of them.  No marks, no multi-index entries. */
#ifndef KD_LINUX_XARRAY_H
#define KD_LINUX_XARRAY_H

#include <linux/gfp.h>
#include <linux/spinlock.h>

/* Sorted by index; its memory is the caller's allocations, and counts as theirs until the entries are erased. */
struct kd_slot {
	unsigned long index;
	void *entry;
};
struct xarray {
	spinlock_t xa_lock;
	gfp_t xa_flags;
	struct kd_slot *slots;
	unsigned long n, room;
	unsigned long next; /* cyclic allocation */
};
struct xa_limit {
	u32 max, min;
};
#define XA_FLAGS_ALLOC 1u
#define XA_FLAGS_ALLOC1 2u
#define XA_LIMIT(a, b) (struct xa_limit){ .min = (a), .max = (b) }
#define xa_limit_32b XA_LIMIT(0, UINT_MAX)
#define xa_limit_31b XA_LIMIT(0, INT_MAX)
#define xa_limit_16b XA_LIMIT(0, 65535)
#define XARRAY_INIT(name, flags) { .xa_lock = __SPIN_LOCK_UNLOCKED(name.xa_lock), .xa_flags = (flags) }
#define DEFINE_XARRAY_FLAGS(name, flags) struct xarray name = XARRAY_INIT(name, flags)
#define DEFINE_XARRAY(name) DEFINE_XARRAY_FLAGS(name, 0)
#define DEFINE_XARRAY_ALLOC(name) DEFINE_XARRAY_FLAGS(name, XA_FLAGS_ALLOC)
#define DEFINE_XARRAY_ALLOC1(name) DEFINE_XARRAY_FLAGS(name, XA_FLAGS_ALLOC1)

void xa_init_flags(struct xarray *xa, gfp_t flags) KD_SYM(xa_init_flags);
#define xa_init(xa) xa_init_flags(xa, 0)
void *xa_load(struct xarray *xa, unsigned long index) KD_SYM(xa_load);
/* The old entry, or an error pointer for xa_err(). */
void *xa_store(struct xarray *xa, unsigned long index, void *entry, gfp_t gfp) KD_SYM(xa_store);
void *xa_erase(struct xarray *xa, unsigned long index) KD_SYM(xa_erase);
int xa_insert(struct xarray *xa, unsigned long index, void *entry, gfp_t gfp) KD_SYM(xa_insert);
int xa_alloc(struct xarray *xa, u32 *id, void *entry, struct xa_limit limit, gfp_t gfp) KD_SYM(xa_alloc);
int xa_alloc_cyclic(struct xarray *xa, u32 *id, void *entry, struct xa_limit limit, u32 *next, gfp_t gfp)
	KD_SYM(xa_alloc_cyclic);
void *xa_find(struct xarray *xa, unsigned long *index, unsigned long max, unsigned int present) KD_SYM(xa_find);
void *xa_find_after(struct xarray *xa, unsigned long *index, unsigned long max, unsigned int present)
	KD_SYM(xa_find_after);
void xa_destroy(struct xarray *xa) KD_SYM(xa_destroy);
#define XA_PRESENT 8u
#define xa_empty(xa) (!(xa)->n)
#define xa_is_err(e) IS_ERR(e)
#define xa_err(e) (IS_ERR(e) ? (int)PTR_ERR(e) : 0)
#define xa_lock(xa) spin_lock(&(xa)->xa_lock)
#define xa_unlock(xa) spin_unlock(&(xa)->xa_lock)
#define xa_mk_value(v) ((void *)(((unsigned long)(v) << 1) | 1))
#define xa_to_value(e) ((unsigned long)(e) >> 1)
#define xa_is_value(e) ((unsigned long)(e) & 1)
#define xa_for_each_range(xa, index, entry, first, last) \
	for (index = (first), entry = xa_find(xa, &index, last, XA_PRESENT); entry; \
	     entry = xa_find_after(xa, &index, last, XA_PRESENT))
#define xa_for_each_start(xa, index, entry, first) xa_for_each_range(xa, index, entry, first, ULONG_MAX)
#define xa_for_each(xa, index, entry) xa_for_each_start(xa, index, entry, 0)

/* ---- IDR, IDA ---- */

struct idr {
	struct xarray xa;
};
struct ida {
	struct xarray xa;
};
#define IDR_INIT(name) { XARRAY_INIT(name.xa, XA_FLAGS_ALLOC) }
#define IDA_INIT(name) { XARRAY_INIT(name.xa, XA_FLAGS_ALLOC) }
#define DEFINE_IDR(name) struct idr name = IDR_INIT(name)
#define DEFINE_IDA(name) struct ida name = IDA_INIT(name)
#define idr_init(i) xa_init_flags(&(i)->xa, XA_FLAGS_ALLOC)
#define ida_init(i) xa_init_flags(&(i)->xa, XA_FLAGS_ALLOC)
/* The id in [start, end), end 0: no bound; -ENOSPC, -ENOMEM. */
int kd_id_alloc(struct xarray *xa, void *entry, int start, int end, gfp_t gfp);
#define idr_alloc(i, p, start, end, gfp) kd_id_alloc(&(i)->xa, p, start, end, gfp)
#define idr_find(i, id) xa_load(&(i)->xa, id)
#define idr_remove(i, id) xa_erase(&(i)->xa, id)
#define idr_destroy(i) xa_destroy(&(i)->xa)
#define idr_is_empty(i) xa_empty(&(i)->xa)
#define idr_preload(gfp) (void)(gfp)
#define idr_preload_end() (void)0
#define idr_for_each_entry(i, entry, id) \
	for (unsigned long kd_id = ((id) = 0, 0); \
	     ((entry) = xa_find(&(i)->xa, &kd_id, INT_MAX, XA_PRESENT)) && ((id) = (int)kd_id, (void)(id), 1); kd_id++)
#define ida_alloc(i, gfp) kd_id_alloc(&(i)->xa, xa_mk_value(0), 0, 0, gfp)
#define ida_alloc_min(i, min, gfp) kd_id_alloc(&(i)->xa, xa_mk_value(0), (int)(min), 0, gfp)
#define ida_alloc_max(i, max, gfp) kd_id_alloc(&(i)->xa, xa_mk_value(0), 0, (int)(max) + 1, gfp)
#define ida_simple_get(i, start, end, gfp) kd_id_alloc(&(i)->xa, xa_mk_value(0), (int)(start), (int)(end), gfp)
#define ida_free(i, id) ((void)xa_erase(&(i)->xa, (unsigned long)(id)))
#define ida_simple_remove ida_free
#define ida_destroy(i) xa_destroy(&(i)->xa)
#define ida_is_empty(i) xa_empty(&(i)->xa)

#endif
