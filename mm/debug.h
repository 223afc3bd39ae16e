/* SPDX-License-Identifier: MIT */
/*
 * debug.h - what happens when the machine finds itself broken.
 *
 * VM_BUG_ON: debug builds only, for what is checked on hot paths.  VM_WARN_ON: always compiled.
 * A broken invariant goes to the hook the application set; without one debug builds stop and
 * release builds count it.  Never for a caller's mistake: that is -errno.
 */
#ifndef PINFOLD_MM_DEBUG_H
#define PINFOLD_MM_DEBUG_H

#include "mm/types.h"

/* Set by the newest machine that has a hook; NULL again by default. */
void debug_set_hook(void (*hook)(const char *what));
void debug_broken(const char *what, const struct page *page);
uint64_t debug_broken_count(void);

#define DEBUG_STR2(x) #x
#define DEBUG_STR(x) DEBUG_STR2(x)
#define VM_WARN_ON_PAGE(cond, page) \
	(unlikely(cond) ? debug_broken(__FILE__ ":" DEBUG_STR(__LINE__) ": " #cond, (page)) : (void)0)
#define VM_WARN_ON(cond) VM_WARN_ON_PAGE(cond, NULL)
#define VM_BUG_ON_PAGE(cond, page) \
	((PINFOLD_DEBUG_BUILD && unlikely(cond)) ? \
	 debug_broken(__FILE__ ":" DEBUG_STR(__LINE__) ": " #cond, (page)) : (void)0)
#define VM_BUG_ON(cond) VM_BUG_ON_PAGE(cond, NULL)

#endif
