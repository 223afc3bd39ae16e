/* SPDX-License-Identifier: MIT */
/*
 * slab.h - objects of one size that stay objects of that size for the life of the slab.
 *
 * A freed object may be handed out again as the same kind of object, but its memory never becomes
 * anything else before slab_destroy(): a reader that still holds a stale pointer reads a live or dead
 * object, not foreign memory (decision D8).  No malloc: usable in the fault handler.
 */
#ifndef PINFOLD_SLAB_H
#define PINFOLD_SLAB_H

#include "host/host.h"

struct slab {
	struct host_mutex lock;
	size_t size;      /* of one object, a multiple of 64 */
	size_t chunk;     /* bytes taken from the host at a time */
	void *chunks;     /* list of chunks, linked through their first word */
	void *free;       /* list of free objects, linked through their last word */
	char *bump, *end; /* untouched rest of the newest chunk */
	unsigned long live;
};

void slab_init(struct slab *s, size_t size, size_t chunk);
/* Gives every chunk back; objects still live are lost. */
void slab_destroy(struct slab *s);
/* An object with unspecified content (zeroed when never used before), or NULL. */
void *slab_alloc(struct slab *s);
void slab_free(struct slab *s, void *object);

#endif
