/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md).  A test calls the driver's poll with wait NULL: what is ready now. */
#ifndef KD_LINUX_POLL_H
#define KD_LINUX_POLL_H

#include <linux/fs.h>
#include <linux/wait.h>

typedef struct poll_table_struct poll_table;

#define EPOLLIN ((__poll_t)0x001)
#define EPOLLPRI ((__poll_t)0x002)
#define EPOLLOUT ((__poll_t)0x004)
#define EPOLLERR ((__poll_t)0x008)
#define EPOLLHUP ((__poll_t)0x010)
#define EPOLLRDNORM ((__poll_t)0x040)
#define EPOLLWRNORM ((__poll_t)0x100)
#define poll_wait(file, queue, table) ((void)(file), (void)(queue), (void)(table))

#endif
