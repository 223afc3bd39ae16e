/* SPDX-License-Identifier: MIT */
/*
 * child.h - the demo's own folder on disk, and its child processes; both are gone at the end, also
 * after SIGINT.
 */
#ifndef TOOLS_CHILD_H
#define TOOLS_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PATH_SIZE 4096
#define ROOM_CGROUP "cgroup" /* a file name in the room: may be mounted on */

/* Makes dir/pinfold-demo-PID and takes over SIGINT, SIGTERM, SIGHUP and SIGPIPE.  0 or -errno. */
int room_create(const char *dir);
const char *room_dir(void);
/* The path of a file in it. */
void room_path(char path[PATH_SIZE], const char *name);
/* Removes it with all that is in it. */
void room_remove(void);

/* Called before the program leaves because of a signal, if set. */
extern void (*stop_hook)(void);

/* Zeroed memory that children share; the program ends if there is none. */
void *shared_alloc(size_t size);

/* Seconds after which a child started from now on is stopped: it hangs.  0: never. */
extern unsigned child_limit;
#define CHILD_LIMIT 120

/*
 * A child that runs fn(arg), exits with its result, and dies with its parent.  Starting one leaves
 * the program, cleaned up, when a signal asked for that.  -errno if there is none.
 */
pid_t child_start(int (*fn)(void *), void *arg);
/* Its wait status.  Leaves the program, cleaned up, when a signal asked for that. */
int child_wait(pid_t pid);
int child_run(int (*fn)(void *), void *arg);
/* As text: "exit 3", "killed by signal 9 ...". */
void child_status_text(char *buf, size_t size, int status);

/* Runs a program from PATH, its output thrown away.  Its exit status; 127: not there. */
int command(const char *const argv[]);

void sleep_ms(unsigned ms);

#endif
