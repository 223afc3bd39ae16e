/* SPDX-License-Identifier: MIT */
/* frame_vector.c - the pages of a buffer, held for long. */
#include <errno.h>
#include <pinfold/frame_vector.h>
#include <stdlib.h>

#include "lib/export.h"
#include "mm/handle.h"
#include "mm/registry.h"

#define MOST_FRAMES (INT32_MAX / sizeof(void *) / 2)
/* What the fast call does not take. */
#define SLOW_FLAGS ~(unsigned)(FOLL_WRITE | FOLL_TOUCH | FOLL_GET | FOLL_FORCE | FOLL_LONGTERM)

PINFOLD_EXPORT struct frame_vector *frame_vector_create(unsigned int nr_frames)
{
	struct frame_vector *vec = NULL;

	if (nr_frames && nr_frames <= MOST_FRAMES && !host_fail())
		vec = malloc(sizeof(*vec) + nr_frames * sizeof(void *));
	if (vec)
		*vec = (struct frame_vector){ .nr_allocated = nr_frames };
	return vec;
}

PINFOLD_EXPORT int frame_vector_destroy(struct frame_vector *vec)
{
	if (!vec)
		return -EINVAL;
	if (vec->nr_frames)
		return -EBUSY;
	free(vec);
	return 0;
}

PINFOLD_EXPORT int get_vaddr_frames(unsigned long start, unsigned int nr_frames, unsigned int gup_flags,
                                    struct frame_vector *vec)
{
	struct page **pages = vec ? (struct page **)vec->ptrs : NULL;
	long r;

	if (!vec || vec->nr_frames)
		return vec ? -EBUSY : -EINVAL;
	if (nr_frames > vec->nr_allocated)
		nr_frames = vec->nr_allocated;
	gup_flags |= FOLL_LONGTERM;
	r = gup_flags & SLOW_FLAGS ? get_user_pages_unlocked(start, nr_frames, pages, gup_flags) :
	                             get_user_pages_fast(start, (int)nr_frames, gup_flags, pages);
	if (r <= 0)
		return r || !nr_frames ? (int)r : -EFAULT;
	vec->nr_frames = (unsigned)r;
	vec->got_ref = true;
	vec->is_pfns = false;
	vec->machine = registry_machine_of(pages[0]);
	return (int)r;
}

PINFOLD_EXPORT int put_vaddr_frames(struct frame_vector *vec)
{
	int r = vec->got_ref ? frame_vector_to_pages(vec) : 0;

	if (r)
		return r;
	if (vec->got_ref)
		r = put_user_pages((struct page **)vec->ptrs, vec->nr_frames);
	vec->got_ref = false;
	vec->nr_frames = 0;
	return r;
}

PINFOLD_EXPORT int frame_vector_to_pages(struct frame_vector *vec)
{
	unsigned long *pfns = (unsigned long *)vec->ptrs;

	if (!vec->is_pfns)
		return 0;
	/* The zero page's record stands behind those of the frames. */
	for (unsigned i = 0; i < vec->nr_frames; i++)
		if (pfns[i] > vec->machine->nr_frames)
			return -EINVAL;
	for (unsigned i = 0; i < vec->nr_frames; i++)
		vec->ptrs[i] = pfn_to_page(vec->machine, pfns[i]);
	vec->is_pfns = false;
	return 0;
}

PINFOLD_EXPORT void frame_vector_to_pfns(struct frame_vector *vec)
{
	unsigned long *pfns = (unsigned long *)vec->ptrs;

	if (vec->is_pfns)
		return;
	for (unsigned i = 0; i < vec->nr_frames; i++)
		pfns[i] = page_to_pfn(vec->machine, vec->ptrs[i]);
	vec->is_pfns = true;
}

PINFOLD_EXPORT unsigned int frame_vector_count(struct frame_vector *vec)
{
	return vec->nr_frames;
}

PINFOLD_EXPORT struct page **frame_vector_pages(struct frame_vector *vec)
{
	int r = frame_vector_to_pages(vec);

	return r ? (struct page **)(intptr_t)r : (struct page **)vec->ptrs;
}

PINFOLD_EXPORT unsigned long *frame_vector_pfns(struct frame_vector *vec)
{
	frame_vector_to_pfns(vec);
	return (unsigned long *)vec->ptrs;
}
