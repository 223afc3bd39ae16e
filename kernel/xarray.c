/* SPDX-License-Identifier: MIT */
/* xarray.c - arrays by index: sorted, grown by doubling. */
#include <errno.h>

#include <linux/slab.h>
#include <linux/xarray.h>

#include "kd.h"

void xa_init_flags(struct xarray *xa, gfp_t flags)
{
	*xa = (struct xarray){ .xa_flags = flags };
	spin_lock_init(&xa->xa_lock);
}

/* The first slot at or behind index. */
static unsigned long slot_of(const struct xarray *xa, unsigned long index)
{
	unsigned long lo = 0, hi = xa->n;

	while (lo < hi) {
		unsigned long mid = (lo + hi) / 2;

		if (xa->slots[mid].index < index)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static bool is_at(const struct xarray *xa, unsigned long slot, unsigned long index)
{
	return slot < xa->n && xa->slots[slot].index == index;
}

void *xa_load(struct xarray *xa, unsigned long index)
{
	unsigned long s;
	void *entry;

	spin_lock(&xa->xa_lock);
	s = slot_of(xa, index);
	entry = is_at(xa, s, index) ? xa->slots[s].entry : NULL;
	spin_unlock(&xa->xa_lock);
	return entry;
}

static void *erase(struct xarray *xa, unsigned long index)
{
	unsigned long s = slot_of(xa, index);
	void *old;

	if (!is_at(xa, s, index))
		return NULL;
	old = xa->slots[s].entry;
	memmove(xa->slots + s, xa->slots + s + 1, (--xa->n - s) * sizeof(*xa->slots));
	if (!xa->n) {
		kfree(xa->slots);
		xa->slots = NULL;
		xa->room = 0;
	}
	return old;
}

/* Room for one more, without the lock while it allocates. */
static int grow(struct xarray *xa, gfp_t gfp)
{
	while (xa->n == xa->room) {
		unsigned long room = xa->room ? 2 * xa->room : 8;
		struct kd_slot *slots;

		spin_unlock(&xa->xa_lock);
		slots = kmalloc_array(room, sizeof(*slots), gfp);
		spin_lock(&xa->xa_lock);
		if (!slots)
			return -ENOMEM;
		if (room <= xa->room) {
			kfree(slots);
			continue;
		}
		if (xa->n)
			memcpy(slots, xa->slots, xa->n * sizeof(*slots));
		kfree(xa->slots);
		xa->slots = slots;
		xa->room = room;
	}
	return 0;
}

static void put(struct xarray *xa, unsigned long index, void *entry)
{
	unsigned long s = slot_of(xa, index);

	memmove(xa->slots + s + 1, xa->slots + s, (xa->n++ - s) * sizeof(*xa->slots));
	xa->slots[s] = (struct kd_slot){ index, entry };
}

void *xa_store(struct xarray *xa, unsigned long index, void *entry, gfp_t gfp)
{
	void *old = NULL;
	unsigned long s;
	int r = 0;

	spin_lock(&xa->xa_lock);
	s = slot_of(xa, index);
	if (!entry) {
		old = erase(xa, index);
	} else if (is_at(xa, s, index)) {
		old = xa->slots[s].entry;
		xa->slots[s].entry = entry;
	} else {
		r = grow(xa, gfp);
		if (!r)
			put(xa, index, entry);
	}
	spin_unlock(&xa->xa_lock);
	return r ? ERR_PTR(r) : old;
}

void *xa_erase(struct xarray *xa, unsigned long index)
{
	void *old;

	spin_lock(&xa->xa_lock);
	old = erase(xa, index);
	spin_unlock(&xa->xa_lock);
	return old;
}

int xa_insert(struct xarray *xa, unsigned long index, void *entry, gfp_t gfp)
{
	int r;

	spin_lock(&xa->xa_lock);
	r = grow(xa, gfp);
	if (!r && is_at(xa, slot_of(xa, index), index))
		r = -EBUSY;
	if (!r)
		put(xa, index, entry);
	spin_unlock(&xa->xa_lock);
	return r;
}

/* The first free index in [min, max]; -EBUSY. */
static int first_free(const struct xarray *xa, unsigned long min, unsigned long max, unsigned long *index)
{
	unsigned long s = slot_of(xa, min);

	for (*index = min; is_at(xa, s, *index); s++)
		++*index;
	return *index > max ? -EBUSY : 0;
}

int xa_alloc(struct xarray *xa, u32 *id, void *entry, struct xa_limit limit, gfp_t gfp)
{
	unsigned long index = 0, from = limit.min;
	int r;

	if (xa->xa_flags & XA_FLAGS_ALLOC1 && !from)
		from = 1;
	spin_lock(&xa->xa_lock);
	r = grow(xa, gfp);
	if (!r)
		r = first_free(xa, from, limit.max, &index);
	if (!r) {
		put(xa, index, entry);
		*id = (u32)index;
	}
	spin_unlock(&xa->xa_lock);
	return r;
}

int xa_alloc_cyclic(struct xarray *xa, u32 *id, void *entry, struct xa_limit limit, u32 *next, gfp_t gfp)
{
	struct xa_limit behind = { .min = max(limit.min, *next), .max = limit.max };
	int r = xa_alloc(xa, id, entry, behind, gfp);

	if (r == -EBUSY) {
		r = xa_alloc(xa, id, entry, limit, gfp);
		r = r ? r : 1;
	}
	if (r >= 0)
		*next = *id + 1;
	return r;
}

int kd_id_alloc(struct xarray *xa, void *entry, int start, int end, gfp_t gfp)
{
	u32 id;
	int r;

	if (start < 0)
		return -EINVAL;
	r = xa_alloc(xa, &id, entry, XA_LIMIT((u32)start, end > 0 ? (u32)end - 1 : INT_MAX), gfp);
	return r == -EBUSY ? -ENOSPC : r ? r : (int)id;
}

void *xa_find(struct xarray *xa, unsigned long *index, unsigned long max, unsigned int present)
{
	void *entry = NULL;
	unsigned long s;

	(void)present;
	spin_lock(&xa->xa_lock);
	s = slot_of(xa, *index);
	if (s < xa->n && xa->slots[s].index <= max) {
		*index = xa->slots[s].index;
		entry = xa->slots[s].entry;
	}
	spin_unlock(&xa->xa_lock);
	return entry;
}

void *xa_find_after(struct xarray *xa, unsigned long *index, unsigned long max, unsigned int present)
{
	if (*index == ULONG_MAX)
		return NULL;
	++*index;
	return xa_find(xa, index, max, present);
}

void xa_destroy(struct xarray *xa)
{
	spin_lock(&xa->xa_lock);
	kfree(xa->slots);
	xa->slots = NULL;
	xa->n = xa->room = 0;
	spin_unlock(&xa->xa_lock);
}
