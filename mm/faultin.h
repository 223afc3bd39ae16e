/* SPDX-License-Identifier: MIT */
/* faultin.h - bringing whole ranges in, without pins: populate and the calls of <pinfold/fault.h>. */
#ifndef PINFOLD_FAULTIN_H
#define PINFOLD_FAULTIN_H

#include "mm/gup.h"

/*
 * Makes the pages of [start, end) good for the access that fi->flags say, and in a window installs their translations.
 * 0, or the error of the page at which it stopped, as faultin_page(); *reached: up to there it is done.
 */
int fault_range(struct faultin *fi, unsigned long start, unsigned long end, unsigned long *reached);

#endif
