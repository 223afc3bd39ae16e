/* SPDX-License-Identifier: MIT */
/*
 * frame_vector.h - frame vectors: the pages behind a buffer, held for a device for long, with the names of Linux 5.2.
 *
 *   vec = frame_vector_create(nr);  get_vaddr_frames(...);  frame_vector_pages(vec);
 *   put_vaddr_frames(vec);          frame_vector_destroy(vec);
 *
 * The buffer may span mappings, and the pins are long-term ones (FOLL_LONGTERM), whatever the flags say.  A vector
 * belongs to one thread at a time: it has no lock.
 */
#ifndef PINFOLD_FRAME_VECTOR_H
#define PINFOLD_FRAME_VECTOR_H

#include <stdbool.h>

#include <pinfold/gup.h>

#ifdef __cplusplus
extern "C" {
#endif

struct pinfold;

struct frame_vector {
	unsigned int nr_allocated; /* frames there is room for */
	unsigned int nr_frames;    /* frames in ptrs[] */
	bool got_ref;              /* they are pinned */
	bool is_pfns;              /* ptrs[] holds frame numbers, else struct page * */
	struct pinfold *machine;   /* whose frames these are */
	__extension__ void *ptrs[]; /* see frame_vector_pages(), frame_vector_pfns() */
};

/*
 * An empty vector with room for nr_frames; NULL: 0, more than 134217727, or no memory.
 * Locks: none.  Does not block.
 */
struct frame_vector *frame_vector_create(unsigned int nr_frames) PINFOLD_SYM(frame_vector_create);

/* Frees it.  0; -EBUSY it still has frames: put_vaddr_frames() first (clause Y12); -EINVAL NULL. */
int frame_vector_destroy(struct frame_vector *vec) PINFOLD_SYM(frame_vector_destroy);

/*
 * Pins the pages that hold [start, start + nr_frames * 4096) of the thread's mm for long and puts them into vec.
 *
 * nr_frames: 0 gives 0 (clause Y1); more than there is room for: as many as there is (Y2)
 * gup_flags: as for get_user_pages_unlocked(); FOLL_LONGTERM is added
 *
 * Result: frames pinned, from the start; fewer than asked when one cannot be delivered, the error when it is the first.
 * Errors as get_user_pages_unlocked() with FOLL_LONGTERM, and -EFAULT where that gives 0 (Y7); -EBUSY vec has frames
 * already; -EINVAL vec is NULL.  On an error vec is empty, as before.
 * Locks: none, or the mmap lock of the mm, which is kept then.  May block and do I/O.
 */
int get_vaddr_frames(unsigned long start, unsigned int nr_frames, unsigned int gup_flags, struct frame_vector *vec)
	PINFOLD_SYM(get_vaddr_frames);

/*
 * Gives the pins back; the vector is empty then.  A second put does nothing (clause Y9).  Pages taken with FOLL_WRITE
 * have been dirty all along: nothing that the device wrote is lost.
 * Result: 0; -EINVAL a frame number was overwritten with one that is none: nothing was given back; or the first
 * error of put_user_pages(), and the vector is empty.
 * Locks: none.  Does not block.
 */
int put_vaddr_frames(struct frame_vector *vec) PINFOLD_SYM(put_vaddr_frames);

/*
 * Makes ptrs[] pages (0, or -EINVAL: a frame number that is none, and the vector is as before: clause Y10), or frame
 * numbers (which cannot fail).  Neither pins nor releases anything.
 */
int frame_vector_to_pages(struct frame_vector *vec) PINFOLD_SYM(frame_vector_to_pages);
void frame_vector_to_pfns(struct frame_vector *vec) PINFOLD_SYM(frame_vector_to_pfns);

/* How many; ptrs[] as pages or as frame numbers, converted if need be.  frame_vector_pages(): or an error, IS_ERR(). */
unsigned int frame_vector_count(struct frame_vector *vec) PINFOLD_SYM(frame_vector_count);
struct page **frame_vector_pages(struct frame_vector *vec) PINFOLD_SYM(frame_vector_pages);
unsigned long *frame_vector_pfns(struct frame_vector *vec) PINFOLD_SYM(frame_vector_pfns);

#ifdef __cplusplus
}
#endif
#endif
