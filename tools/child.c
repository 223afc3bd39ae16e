/* SPDX-License-Identifier: MIT */
/*
 * child.c - folder, children, signals of the demo.  See child.h.
 */
#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

void (*stop_hook)(void);
unsigned child_limit = CHILD_LIMIT;

static char room[PATH_SIZE - 256];
static volatile sig_atomic_t stop_signal;
static volatile pid_t running; /* the child to kill when a signal comes; 0: none */

static void on_signal(int sig)
{
	stop_signal = sig;
	if (running > 0)
		kill(running, SIGKILL);
}

static void leave_if_stopped(void)
{
	if (!stop_signal)
		return;
	if (stop_hook)
		stop_hook();
	room_remove();
	fprintf(stderr, "\nstopped; files removed\n");
	_exit(128 + stop_signal);
}

int room_create(const char *dir)
{
	struct sigaction sa = { .sa_handler = on_signal };
	char full[PATH_SIZE];

	if (!realpath(dir, full))
		return -errno;
	if (snprintf(room, sizeof(room), "%s/pinfold-demo-%d", full, (int)getpid()) >=
	    (int)sizeof(room))
		return -ENAMETOOLONG;
	if (mkdir(room, 0700) < 0) {
		room[0] = 0;
		return -errno;
	}
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGHUP, &sa, NULL);
	sigaction(SIGPIPE, &sa, NULL); /* nobody reads on: the same */
	return 0;
}

const char *room_dir(void)
{
	return room;
}

void room_path(char path[PATH_SIZE], const char *name)
{
	snprintf(path, PATH_SIZE, "%s/%.200s", room, name);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	remove(path);
	return 0;
}

void room_remove(void)
{
	char path[PATH_SIZE];

	if (!room[0])
		return;
	room_path(path, ROOM_CGROUP);
	umount2(path, MNT_DETACH);
	nftw(room, remove_one, 8, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
	room[0] = 0;
}

void *shared_alloc(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED) {
		fprintf(stderr, "pinfold: no memory for %zu bytes\n", size);
		room_remove();
		exit(1);
	}
	return p;
}

static void child_main(int (*fn)(void *), void *arg, pid_t parent)
{
	struct rlimit none = { 0, 0 };

	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	signal(SIGHUP, SIG_DFL);
	signal(SIGPIPE, SIG_DFL);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	alarm(child_limit);
	/* Children are killed on purpose: no core files. */
	setrlimit(RLIMIT_CORE, &none);
	_exit(fn(arg));
}

pid_t child_start(int (*fn)(void *), void *arg)
{
	pid_t self = getpid(), pid;

	leave_if_stopped();
	fflush(NULL);
	pid = fork();
	if (pid == 0)
		child_main(fn, arg, self);
	if (pid < 0)
		return -errno;
	running = pid;
	if (stop_signal) /* came before running was set */
		kill(pid, SIGKILL);
	return pid;
}

int child_wait(pid_t pid)
{
	int status = 0;

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	running = 0;
	leave_if_stopped();
	return status;
}

int child_run(int (*fn)(void *), void *arg)
{
	pid_t pid = child_start(fn, arg);

	return pid < 0 ? W_EXITCODE(1, 0) : child_wait(pid);
}

void child_status_text(char *buf, size_t size, int status)
{
	if (WIFSIGNALED(status))
		snprintf(buf, size, "killed by signal %d (%s)%s", WTERMSIG(status),
		         strsignal(WTERMSIG(status)),
		         WTERMSIG(status) == SIGKILL ? ": out of its memory?" :
		         WTERMSIG(status) == SIGALRM ? ": it did not end" :
		                                       "");
	else
		snprintf(buf, size, "exit %d", WEXITSTATUS(status));
}

static int exec_quietly(void *arg)
{
	char *const *argv = arg;
	int null = open("/dev/null", O_RDWR);

	if (null >= 0) {
		dup2(null, 0);
		dup2(null, 1);
		dup2(null, 2);
	}
	/* Tools of the administrator are not on every PATH. */
	setenv("PATH", "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin", 1);
	execvp(argv[0], argv);
	return 127;
}

int command(const char *const argv[])
{
	int status = child_run(exec_quietly, (void *)argv);

	return WIFEXITED(status) ? WEXITSTATUS(status) : 126;
}

void sleep_ms(unsigned ms)
{
	struct timespec t = { ms / 1000, (long)(ms % 1000) * 1000000 };

	nanosleep(&t, NULL);
}
