/* SPDX-License-Identifier: MIT */
/*
 * doctor.c - what this system offers to pinfold; for what is missing, the fix in one line.
 */
#include "demo.h"
#include "stat.h"
#include "tools.h"

#include <pinfold/pinfold.h>

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#define POOL_DEFAULT (32u << 20) /* of a machine of 256 MiB */

static void line(const char *name, const char *state, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void line(const char *name, const char *state, const char *format, ...)
{
	va_list ap;

	printf("%-14s %-8s ", name, state);
	va_start(ap, format);
	vprintf(format, ap);
	va_end(ap);
	printf("\n");
}

static void print_uffd(const struct pinfold_probe *p)
{
	static const char *const how[] = { "", "by system call", "by system call, user mode only",
		                           "by /dev/userfaultfd" };

	if (p->uffd_how >= 1 && p->uffd_how <= 3)
		line("userfaultfd", "ok", "%s", how[p->uffd_how]);
	else
		line("userfaultfd", "missing",
		     "(%s) no direct windows, extent windows do without; fix: "
		     "setfacl -m u:$USER:rw /dev/userfaultfd, or sysctl "
		     "vm.unprivileged_userfaultfd=1, or seccomp (Docker: --security-opt "
		     "seccomp=unconfined)",
		     p->userfaultfd ? strerror(-p->userfaultfd) : "not all events: before Linux 5.19");
}

static void print_optional(const struct pinfold_probe *p)
{
	if (p->uring == 0)
		line("io_uring", "ok", "several reads and writes at a time");
	else
		line("io_uring", "missing",
		     "(%s) the calling thread does its I/O; fix: sysctl "
		     "kernel.io_uring_disabled=0, or seccomp (Docker: --security-opt "
		     "seccomp=unconfined)",
		     strerror(-p->uring));
	if (p->pagemap_scan == 0)
		line("PAGEMAP_SCAN", "ok", "for PINFOLD_FILE_ASYNC_WP");
	else
		line("PAGEMAP_SCAN", "missing",
		     "(%s) no PINFOLD_FILE_ASYNC_WP; fix: Linux 6.7 or later",
		     strerror(-p->pagemap_scan));
}

static void print_limits(const struct pinfold_probe *p)
{
	char a[32], b[32];

	text_bytes(b, sizeof(b), POOL_DEFAULT);
	if (p->memlock == UINT64_MAX)
		line("MEMLOCK", "ok", "unlimited");
	else if (p->memlock >= POOL_DEFAULT)
		line("MEMLOCK", "ok", "%s", text_bytes(a, sizeof(a), (double)p->memlock));
	else
		line("MEMLOCK", "small",
		     "%s: too little to register a pool of %s with a device; not needed else; fix: "
		     "ulimit -l %u, systemd LimitMEMLOCK=",
		     text_bytes(a, sizeof(a), (double)p->memlock), b, POOL_DEFAULT / 1024);
	if (p->max_map_count >= 65530)
		line("max_map_count", "ok", "%" PRIu64 "; a direct mapping of any size takes a few, extent "
		     "windows up to a quarter",
		     p->max_map_count);
	else
		line("max_map_count", "small", "%" PRIu64 "; fix: sysctl vm.max_map_count=65530",
		     p->max_map_count);
	text_bytes(a, sizeof(a), (double)p->memory_limit);
	if (p->memory_limit >= (512u << 20))
		line("memory limit", "ok", "%s (cgroup or RAM)", a);
	else
		line("memory limit", "small",
		     "%s (cgroup or RAM): the default machine takes 256 MiB; fix: give "
		     "pinfold_options.memory",
		     a);
}

int doctor_print(void)
{
	struct pinfold_probe p = { .size = sizeof(p) };
	struct utsname u;
	int rc = pinfold_get_probe(&p);

	if (rc < 0) {
		printf("pinfold_get_probe: %s\n", strerror(-rc));
		return 1;
	}
	line("pinfold", "", "%s", pinfold_version());
	if (uname(&u) == 0)
		line("kernel", "ok", "%s %s %s", u.sysname, u.release, u.machine);
	if (p.memfd == 0)
		line("memfd", "ok", "page memory");
	else
		line("memfd", "missing",
		     "(%s) nothing works without; fix: Linux 3.17 or later, seccomp",
		     strerror(-p.memfd));
	print_uffd(&p);
	print_optional(&p);
	print_limits(&p);
	if (p.memfd || !p.uffd_how)
		printf("direct windows (plain pointers): no; %s\n",
		       p.memfd ? "nor anything else" : "pins and page_address() work");
	else
		printf("direct windows (plain pointers): yes\n");
	if (!p.memfd)
		printf("extent windows (plain pointers): yes; they need nothing of the above but "
		       "memfd and mappings\n");
	return p.memfd || !p.uffd_how;
}

int cmd_doctor(int argc, char **argv)
{
	if (no_options(argc, argv) != argc)
		return usage_error("doctor takes no arguments");
	return doctor_print();
}
