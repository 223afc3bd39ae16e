/* SPDX-License-Identifier: MIT */
/*
 * cgroup.h - a memory cgroup for one child, version 1 or 2.
 */
#ifndef TOOLS_CGROUP_H
#define TOOLS_CGROUP_H

#include <stdbool.h>
#include <stdint.h>

struct cgroup {
	char dir[768]; /* empty: there is none */
	bool v2;
	char why[160]; /* then, the reason */
};

/* Makes one below our own; limit 0: it only counts.  False: g->why. */
bool cgroup_create(struct cgroup *g, uint64_t limit);
/* Puts the calling process in.  0 or -errno. */
int cgroup_enter(const struct cgroup *g);
/* Most bytes that it held, page cache included; 0 unknown. */
uint64_t cgroup_peak(const struct cgroup *g);
void cgroup_remove(struct cgroup *g);

#endif
