/* SPDX-License-Identifier: MIT */
/* slab.c - see slab.h.  One lock: objects are tables and nodes, taken once per 2 MiB of memory. */
#include "lib/slab.h"

/* The link lives in an object's last word: readers of a dead table look at its first words. */
static void **link_of(struct slab *s, void *object)
{
	return (void **)((char *)object + s->size - sizeof(void *));
}

void slab_init(struct slab *s, size_t size, size_t chunk)
{
	host_mutex_init(&s->lock, HOST_RANK_SLAB);
	s->size = (size + 63) & ~(size_t)63;
	s->chunk = (chunk + HOST_PAGE - 1) & ~(HOST_PAGE - 1);
	s->chunks = s->free = NULL;
	s->bump = s->end = NULL;
	s->live = 0;
}

void slab_destroy(struct slab *s)
{
	while (s->chunks) {
		void *next = *(void **)s->chunks;

		host_unmap(s->chunks, s->chunk);
		s->chunks = next;
	}
	s->free = NULL;
	s->bump = s->end = NULL;
	s->live = 0;
}

static bool slab_grow(struct slab *s)
{
	char *c = host_map(s->chunk);

	if (!c)
		return false;
	*(void **)c = s->chunks;
	s->chunks = c;
	s->bump = c + 64;
	s->end = c + s->chunk;
	return true;
}

void *slab_alloc(struct slab *s)
{
	void *o = NULL;

	if (host_fail())
		return NULL;
	host_lock(&s->lock);
	if (s->free) {
		o = s->free;
		s->free = *link_of(s, o);
	} else if ((s->bump && s->bump + s->size <= s->end) || slab_grow(s)) {
		o = s->bump;
		s->bump += s->size;
	}
	if (o)
		s->live++;
	host_unlock(&s->lock);
	return o;
}

void slab_free(struct slab *s, void *object)
{
	host_lock(&s->lock);
	*link_of(s, object) = s->free;
	s->free = object;
	s->live--;
	host_unlock(&s->lock);
}
