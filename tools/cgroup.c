/* SPDX-License-Identifier: MIT */
/*
 * cgroup.c - finds the memory controller and makes a cgroup with a limit.  See cgroup.h.
 */
#include "cgroup.h"

#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

static struct cgroup *current; /* to be removed when a signal stops the program */

static void remove_current(void)
{
	if (current)
		cgroup_remove(current);
}

static int write_text(const char *dir, const char *name, const char *text)
{
	char path[1024];
	int fd, rc = 0;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		rc = -errno;
	close(fd);
	return rc;
}

static uint64_t read_number(const char *dir, const char *name)
{
	char path[1024];
	unsigned long long v = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "re");
	if (!f)
		return 0;
	if (fscanf(f, "%llu", &v) != 1)
		v = 0;
	fclose(f);
	return v;
}

/* Is `word` in a list with commas? */
static bool listed(const char *list, const char *word)
{
	size_t n = strlen(word);

	for (const char *p = strstr(list, word); p; p = strstr(p + 1, word))
		if ((p == list || p[-1] == ',') && (!p[n] || p[n] == ',' || p[n] == '\n'))
			return true;
	return false;
}

/* Where the controller is mounted, and which of its folders that shows. */
static bool find_mount(bool v2, char point[512], char root[512])
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	char line[2048], type[64], opts[512];
	bool found = false;

	if (!f)
		return false;
	while (!found && fgets(line, sizeof(line), f)) {
		const char *dash = strstr(line, " - ");

		if (!dash || sscanf(line, "%*s %*s %*s %511s %511s", root, point) != 2 ||
		    sscanf(dash, " - %63s %*s %511s", type, opts) != 2)
			continue;
		found = v2 ? !strcmp(type, "cgroup2") :
			     !strcmp(type, "cgroup") && listed(opts, "memory");
	}
	fclose(f);
	return found;
}

/* Our own cgroup's path in that hierarchy. */
static bool find_own(bool v2, char own[512])
{
	FILE *f = fopen("/proc/self/cgroup", "re");
	char line[1024];
	bool found = false;

	if (!f)
		return false;
	while (!found && fgets(line, sizeof(line), f)) {
		char *list = strchr(line, ':'), *path = list ? strchr(list + 1, ':') : NULL;

		if (!path)
			continue;
		*path++ = 0;
		path[strcspn(path, "\n")] = 0;
		found = v2 ? list[1] == 0 : listed(list + 1, "memory");
		if (found)
			snprintf(own, 512, "%.511s", path);
	}
	fclose(f);
	return found;
}

/* The folder of our own cgroup, or the hierarchy's top where a namespace hides it. */
static bool own_folder(bool v2, char dir[600], char top[512])
{
	char root[512], own[512];
	const char *rest = own;
	size_t n;

	if (!find_mount(v2, top, root) || !find_own(v2, own))
		return false;
	n = strcmp(root, "/") ? strlen(root) : 0;
	if (!strncmp(own, root, n))
		rest += n;
	if (snprintf(dir, 600, "%s%s", top, rest) >= 600 || access(dir, F_OK) < 0)
		snprintf(dir, 600, "%s", top);
	return true;
}

static int make(struct cgroup *g, const char *parent)
{
	static unsigned serial;
	char probe[1024];

	snprintf(g->dir, sizeof(g->dir), "%s/pinfold-demo-%d-%u", parent, (int)getpid(), serial++);
	if (mkdir(g->dir, 0755) < 0)
		return -errno;
	snprintf(probe, sizeof(probe), "%s/%s", g->dir,
	         g->v2 ? "memory.max" : "memory.limit_in_bytes");
	if (access(probe, W_OK) < 0) {
		rmdir(g->dir);
		return g->v2 ? -EOPNOTSUPP : -EACCES;
	}
	return 0;
}

/*
 * In a bare chroot no hierarchy is mounted.  In a mount namespace of our own we may mount one: it
 * goes away with the process.
 */
static void mount_any(void)
{
	static bool tried;
	char path[PATH_SIZE], point[512], root[512];

	if (tried || geteuid() || find_mount(false, point, root) || find_mount(true, point, root))
		return;
	tried = true;
	room_path(path, ROOM_CGROUP);
	if (mkdir(path, 0700) < 0 || unshare(CLONE_NEWNS) < 0 ||
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return;
	if (mount("cgroup", path, "cgroup", 0, "memory") < 0)
		mount("cgroup2", path, "cgroup2", 0, NULL);
}

/*
 * Version 2 gives a child group the controller only if its parent passes it on, which a group with
 * processes in it may not; the top may.
 */
static int make_any(struct cgroup *g)
{
	char dir[600], top[512];
	int rc = -ENOENT;

	mount_any();
	g->v2 = false;
	if (own_folder(false, dir, top)) {
		rc = make(g, dir);
		if (rc < 0)
			rc = make(g, top);
	}
	if (rc == 0)
		return 0;
	g->v2 = true;
	if (!own_folder(true, dir, top))
		return rc;
	write_text(dir, "cgroup.subtree_control", "+memory");
	rc = make(g, dir);
	if (rc == 0)
		return 0;
	write_text(top, "cgroup.subtree_control", "+memory");
	return make(g, top);
}

bool cgroup_create(struct cgroup *g, uint64_t limit)
{
	char text[32];
	int rc;

	memset(g, 0, sizeof(*g));
	rc = make_any(g);
	if (rc == 0 && limit) {
		snprintf(text, sizeof(text), "%llu", (unsigned long long)limit);
		rc = write_text(g->dir, g->v2 ? "memory.max" : "memory.limit_in_bytes", text);
		/* Memory moved out to swap would not count: none of that, where we may say so. */
		if (g->v2)
			write_text(g->dir, "memory.swap.max", "0");
		else
			write_text(g->dir, "memory.memsw.limit_in_bytes", text);
		if (rc < 0)
			rmdir(g->dir);
	}
	if (rc == 0) {
		current = g;
		stop_hook = remove_current;
		return true;
	}
	g->dir[0] = 0;
	snprintf(g->why, sizeof(g->why), "no memory cgroup: %s%s", strerror(-rc),
	         geteuid() ? " (try as root)" : "");
	return false;
}

int cgroup_enter(const struct cgroup *g)
{
	return g->dir[0] ? write_text(g->dir, "cgroup.procs", "0") : 0;
}

uint64_t cgroup_peak(const struct cgroup *g)
{
	uint64_t v = 0;

	if (!g->dir[0])
		return 0;
	v = read_number(g->dir, g->v2 ? "memory.peak" : "memory.max_usage_in_bytes");
	/* memory.peak is younger than version 2: what is held now is the next best. */
	return v ? v : read_number(g->dir, g->v2 ? "memory.current" : "memory.usage_in_bytes");
}

void cgroup_remove(struct cgroup *g)
{
	/* The last process may still be on its way out. */
	for (int i = 0; g->dir[0] && i < 100; i++) {
		if (rmdir(g->dir) == 0 || errno == ENOENT)
			break;
		usleep(10000);
	}
	current = NULL;
	g->dir[0] = 0;
}
