/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md).  Files of drivers: what kd_open(), kd_ioctl(), kd_read(), kd_write(), kd_close() call. */
#ifndef KD_LINUX_FS_H
#define KD_LINUX_FS_H

#include <linux/device.h>
#include <linux/ioctl.h>
#include <linux/uaccess.h>

struct cdev;
struct module;
struct file;
struct inode;
struct dentry;
struct poll_table_struct;

struct file_operations {
	struct module *owner;
	loff_t (*llseek)(struct file *file, loff_t offset, int whence);
	ssize_t (*read)(struct file *file, char __user *buf, size_t n, loff_t *pos);
	ssize_t (*write)(struct file *file, const char __user *buf, size_t n, loff_t *pos);
	__poll_t (*poll)(struct file *file, struct poll_table_struct *wait);
	long (*unlocked_ioctl)(struct file *file, unsigned int cmd, unsigned long arg);
	long (*compat_ioctl)(struct file *file, unsigned int cmd, unsigned long arg);
	int (*mmap)(struct file *file, struct vm_area_struct *vma);
	int (*open)(struct inode *inode, struct file *file);
	int (*flush)(struct file *file, void *owner);
	int (*release)(struct inode *inode, struct file *file);
	int (*fsync)(struct file *file, loff_t start, loff_t end, int datasync);
	int (*fasync)(int fd, struct file *file, int on);
};
struct inode {
	void *i_private;
	umode_t i_mode;
	dev_t i_rdev;
	struct cdev *i_cdev; /* the test's to set */
	loff_t i_size;
};
struct file {
	const struct file_operations *f_op;
	struct inode *f_inode;
	void *private_data;
	unsigned int f_flags;
	fmode_t f_mode;
	loff_t f_pos;
};
/* Letter by letter libc's, whose header a test may include too. */
#ifndef O_RDONLY
#define O_ACCMODE 0003
#define O_RDONLY 00
#define O_WRONLY 01
#define O_RDWR 02
#define O_EXCL 0200
#define O_APPEND 02000
#define O_NONBLOCK 04000
#endif
#define FMODE_READ 1u
#define FMODE_WRITE 2u
#define file_inode(file) ((file)->f_inode)
#define imajor(inode) ((unsigned int)((inode)->i_rdev >> 20))
#define iminor(inode) ((unsigned int)((inode)->i_rdev & 0xfffff))
#ifndef S_IRUSR
#define S_IRUSR 0400
#define S_IWUSR 0200
#endif
#define S_IRUGO 0444
#define S_IWUGO 0222

int nonseekable_open(struct inode *inode, struct file *file) KD_SYM(nonseekable_open);
/* The open of files whose private data is their inode's. */
int simple_open(struct inode *inode, struct file *file) KD_SYM(simple_open);
ssize_t simple_read_from_buffer(void __user *to, size_t n, loff_t *pos, const void *from, size_t available)
	KD_SYM(simple_read_from_buffer);
ssize_t simple_write_to_buffer(void *to, size_t available, loff_t *pos, const void __user *from, size_t n)
	KD_SYM(simple_write_to_buffer);
loff_t noop_llseek(struct file *file, loff_t offset, int whence) KD_SYM(noop_llseek);
#define no_llseek noop_llseek
#define default_llseek noop_llseek
/* Calls unlocked_ioctl: all there is is 64 bits wide. */
long compat_ptr_ioctl(struct file *file, unsigned int cmd, unsigned long arg) KD_SYM(compat_ptr_ioctl);

#endif
