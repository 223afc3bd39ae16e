/* SPDX-License-Identifier: MIT */
/*
 * probe.c - what this system offers: each facility is tried, not guessed from a version.
 */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "host/host.h"
#include "host/linux.h"
#include <pinfold/pinfold.h>

#define PATH_BUF 512

/* A file that holds one number; `none` if there is no file or no number ("max"). */
static uint64_t read_number(const char *path, uint64_t none)
{
	char text[64], *end;
	int kept = errno;
	uint64_t n;

	if (host_read_text(path, text, sizeof(text)) <= 0)
		return none;
	n = strtoull(text, &end, 10);
	errno = kept;
	return end == text ? none : n;
}

/* ---- memory limit --------------------------------------------------------------------------- */

/* dir + path + file, cut short one folder at a time: a limit binds everything below it. */
static uint64_t tree_limit(const char *dir, const char *path, const char *file)
{
	uint64_t limit = UINT64_MAX;
	char full[PATH_BUF];
	size_t dirlen = strlen(dir), len = strlen(path);

	if (dirlen + len + strlen(file) + 2 > sizeof(full))
		len = 0;
	for (;;) {
		uint64_t n;
		char *slash;

		memcpy(full, dir, dirlen);
		memcpy(full + dirlen, path, len);
		full[dirlen + len] = '/';
		strcpy(full + dirlen + len + 1, file);
		n = read_number(full, UINT64_MAX);
		if (n < limit)
			limit = n;
		if (!len)
			return limit;
		full[dirlen + len] = '\0';
		slash = strrchr(full + dirlen, '/');
		len = slash ? (size_t)(slash - full) - dirlen : 0;
	}
}

/* One line of /proc/self/cgroup: "0::/path" (v2) or "4:cpu,memory:/path" (v1). */
static uint64_t line_limit(char *line)
{
	char *kinds = strchr(line, ':');
	char *path = kinds ? strchr(kinds + 1, ':') : NULL;

	if (!path)
		return UINT64_MAX;
	*kinds++ = '\0';
	*path++ = '\0';
	if (!*kinds)
		return tree_limit("/sys/fs/cgroup", path, "memory.max");
	if (strstr(kinds, "memory"))
		return tree_limit("/sys/fs/cgroup/memory", path, "memory.limit_in_bytes");
	return UINT64_MAX;
}

uint64_t host_memory_limit(void)
{
	uint64_t limit = UINT64_MAX;
	int kept = errno;
	char text[4096], *rest = NULL;
	struct sysinfo si;

	if (!sysinfo(&si))
		limit = (uint64_t)si.totalram * si.mem_unit;
	host_read_text("/proc/self/cgroup", text, sizeof(text));
	for (char *l = strtok_r(text, "\n", &rest); l; l = strtok_r(NULL, "\n", &rest)) {
		uint64_t n = line_limit(l);

		if (n < limit)
			limit = n;
	}
	errno = kept;
	return limit;
}

/* ---- facilities ----------------------------------------------------------------------------- */

static int kept_close(int fd)
{
	host_close(fd);
	return fd < 0 ? fd : 0;
}

static int probe_syscall(int flags)
{
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | flags);

	return kept_close(fd < 0 ? -errno : fd);
}

static int probe_dev(void)
{
	int dev = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);
	int fd;

	if (dev < 0)
		return -errno;
	fd = ioctl(dev, USERFAULTFD_IOC_NEW, O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		fd = -errno;
	close(dev);
	return kept_close(fd);
}

static int probe_uring(void)
{
	struct io_uring ring;
	int err = io_uring_queue_init(2, &ring, 0);

	if (!err)
		io_uring_queue_exit(&ring);
	return err;
}

/* An empty range: the kernel checks the arguments and walks nothing. */
static int probe_scan(void)
{
	struct pm_scan_arg scan = { .size = sizeof(scan), .return_mask = PAGE_IS_WRITTEN };
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	int err = 0;

	if (fd < 0)
		return -errno;
	if (ioctl(fd, PAGEMAP_SCAN, &scan) < 0)
		err = -errno;
	close(fd);
	return err;
}

void host_probe_mappings(struct pinfold_probe *probe)
{
	probe->max_map_count = read_number("/proc/sys/vm/max_map_count", 65530);
}

void host_probe(struct pinfold_probe *probe)
{
	int kept = errno;
	struct rlimit rl;
	int fd;

	fd = memfd_create("pinfold-probe", MFD_CLOEXEC);
	probe->memfd = kept_close(fd < 0 ? -errno : fd);
	probe->userfaultfd = probe_syscall(0);
	probe->uffd_user_mode_only = probe_syscall(UFFD_USER_MODE_ONLY);
	probe->uffd_dev = probe_dev();
	probe->uring = probe_uring();
	probe->pagemap_scan = probe_scan();
	/* the whole set of events, as a window needs it; how says which door was open */
	host_close(host_uffd_open(false, &probe->uffd_how));
	probe->memlock = getrlimit(RLIMIT_MEMLOCK, &rl) ? 0 : (uint64_t)rl.rlim_cur;
	host_probe_mappings(probe);
	probe->memory_limit = host_memory_limit();
	errno = kept;
}
