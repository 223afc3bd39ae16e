/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md).  Files by name, for kd_open(); folders are names only. */
#ifndef KD_LINUX_DEBUGFS_H
#define KD_LINUX_DEBUGFS_H

#include <linux/fs.h>

struct dentry *debugfs_create_file(const char *name, umode_t mode, struct dentry *parent, void *data,
                                   const struct file_operations *fops) KD_SYM(debugfs_create_file);
#define debugfs_create_file_unsafe debugfs_create_file
struct dentry *debugfs_create_dir(const char *name, struct dentry *parent) KD_SYM(debugfs_create_dir);
/* With all that is below it. */
void debugfs_remove(struct dentry *d) KD_SYM(debugfs_remove);
#define debugfs_remove_recursive debugfs_remove

#endif
