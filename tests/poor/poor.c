/* SPDX-License-Identifier: MIT */
/*
 * poor.c - runs a program on a system that offers little:  poor [-k] PROGRAM [ARGUMENT...]
 *
 *   io_uring, userfaultfd   refused with EPERM, as the default profile of container engines does
 *   MEMLOCK                 8 MiB, the kernel's default
 *   root                    becomes nobody, without groups; -k: stays, for a program that nobody cannot reach
 *
 * PINFOLD_POOR=1 in its environment tells the program.  Exit status 77 and a line "skipped: reason": this system
 * cannot do one of these; 126: PROGRAM cannot be run.
 */
#include <errno.h>
#include <grp.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <linux/userfaultfd.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
#endif

#ifndef USERFAULTFD_IOC_NEW /* Linux 6.1 */
#define USERFAULTFD_IOC_NEW _IO(0xAA, 0)
#endif

#define NOBODY  65534 /* has no rights, also where no account has the name; scripts/check knows it */
#define MEMLOCK (8UL << 20)
#define X32     0x40000000 /* x86-64's other numbers for the same calls; no call elsewhere */

#define LOAD(field)   BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define ANSWER(what)  BPF_STMT(BPF_RET | BPF_K, (what))
#define REFUSE(error) ANSWER(SECCOMP_RET_ERRNO | (error))
#define REFUSE_CALL(number) \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (number), 0, 1), REFUSE(EPERM)

static int skipped(const char *what)
{
	printf("skipped: poor: %s: %s\n", what, strerror(errno));
	return 77;
}

static int filter(void)
{
#ifdef ARCH
	struct sock_filter code[] = {
		LOAD(arch),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCH, 1, 0),
		REFUSE(ENOSYS), /* 32-bit calls have other numbers */
		LOAD(nr),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, X32, 0, 1),
		REFUSE(ENOSYS),
		REFUSE_CALL(SYS_userfaultfd),
		REFUSE_CALL(SYS_io_uring_setup),
		REFUSE_CALL(SYS_io_uring_enter),
		REFUSE_CALL(SYS_io_uring_register),
		/* Some systems let everybody open /dev/userfaultfd.  An ioctl's number is in the lower half. */
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_ioctl, 0, 3),
		LOAD(args[1]),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, USERFAULTFD_IOC_NEW, 0, 1),
		REFUSE(EPERM),
		ANSWER(SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(code) / sizeof(code[0]), code };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -1;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
#else
	errno = ENOSYS;
	return -1;
#endif
}

static int limit(void)
{
	struct rlimit now;

	if (getrlimit(RLIMIT_MEMLOCK, &now))
		return -1;
	if (now.rlim_max > MEMLOCK)
		now.rlim_max = MEMLOCK;
	if (now.rlim_cur > now.rlim_max)
		now.rlim_cur = now.rlim_max;
	return setrlimit(RLIMIT_MEMLOCK, &now);
}

int main(int argc, char **argv)
{
	int keep = argc > 1 && !strcmp(argv[1], "-k");

	if (argc < 2 + keep) {
		fprintf(stderr, "usage: poor [-k] PROGRAM [ARGUMENT...]\n");
		return 2;
	}
	if (limit())
		return skipped("MEMLOCK");
	if (!keep && geteuid() == 0 &&
	    (setgroups(0, NULL) || setresgid(NOBODY, NOBODY, NOBODY) ||
	     setresuid(NOBODY, NOBODY, NOBODY)))
		return skipped("root cannot become nobody");
	if (filter())
		return skipped("no seccomp filter");
	if (setenv("PINFOLD_POOR", "1", 1))
		return skipped("environment");
	execvp(argv[1 + keep], argv + 1 + keep);
	perror(argv[1 + keep]);
	return 126;
}
