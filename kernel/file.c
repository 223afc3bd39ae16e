/* SPDX-License-Identifier: MIT */
/* file.c - what drivers offer by name (debugfs files, misc devices), and files that a test opened. */
#include <errno.h>
#include <stdlib.h>

#include <linux/cdev.h>
#include <linux/debugfs.h>
#include <linux/miscdevice.h>

#include "kd.h"

/* ---- names -------------------------------------------------------------------------------------- */

struct dentry {
	struct dentry *next, *parent;
	const char *name;
	const struct file_operations *fops; /* NULL: a folder */
	struct miscdevice *misc;
	struct inode inode;
};
static struct dentry *names;

static struct dentry *publish(const char *name, struct dentry *parent, const struct file_operations *fops,
                              const char *call, const void *site)
{
	struct dentry *d = kd_inject(KD_REGISTER) ? NULL : kd_alloc(sizeof(*d));

	if (!d)
		return NULL;
	*d = (struct dentry){ .next = names, .parent = parent, .name = name, .fops = fops };
	names = d;
	/* A module without an exit cannot take back what it registers. */
	kd_take((struct kd_entry){ .kind = KD_REGISTERED, .key = d, .call = call, .site = site,
	                           .more = kd_can_withdraw() });
	return d;
}

static void withdraw(struct dentry *d)
{
	for (struct dentry **at = &names; *at; at = &(*at)->next)
		if (*at == d) {
			*at = d->next;
			break;
		}
	kd_drop(KD_REGISTERED, d, NULL);
	free(d);
}

struct dentry *debugfs_create_file(const char *name, umode_t mode, struct dentry *parent, void *data,
                                   const struct file_operations *fops)
{
	struct dentry *d = IS_ERR(parent) ? NULL : publish(name, parent, fops, "debugfs_create_file", KD_SITE);

	if (!d)
		return ERR_PTR(IS_ERR(parent) ? PTR_ERR(parent) : -ENOMEM);
	d->inode.i_private = data;
	d->inode.i_mode = mode;
	return d;
}

struct dentry *debugfs_create_dir(const char *name, struct dentry *parent)
{
	struct dentry *d = IS_ERR(parent) ? NULL : publish(name, parent, NULL, "debugfs_create_dir", KD_SITE);

	return d ? d : ERR_PTR(-ENOMEM);
}

void debugfs_remove(struct dentry *d)
{
	bool again = true;

	if (IS_ERR_OR_NULL(d))
		return;
	while (again) {
		again = false;
		for (struct dentry *c = names; c; c = c->next)
			if (c->parent == d) {
				debugfs_remove(c);
				again = true;
				break;
			}
	}
	withdraw(d);
}

int misc_register(struct miscdevice *misc)
{
	struct dentry *d = publish(misc->name, NULL, misc->fops, "misc_register", KD_SITE);

	if (!d)
		return -ENOMEM;
	d->misc = misc;
	misc->kd_device = (struct device){ .parent = misc->parent, .init_name = misc->name };
	misc->this_device = &misc->kd_device;
	return 0;
}

void misc_deregister(struct miscdevice *misc)
{
	for (struct dentry *d = names; d; d = d->next)
		if (d->misc == misc) {
			misc->this_device = NULL;
			withdraw(d);
			return;
		}
	kd_problem("misc_deregister(%s): not registered", misc->name);
}

/* ---- files -------------------------------------------------------------------------------------- */

struct open_file {
	struct file file;
	struct inode inode;
};

/* A file of this name, not opened yet; NULL: none. */
static struct open_file *find_file(const char *name)
{
	struct open_file *o = kd_alloc(sizeof(*o));
	struct dentry *d = names;

	while (d && (!d->fops || strcmp(d->name, name)))
		d = d->next;
	if (d) {
		o->inode = d->inode;
		o->file.f_op = d->fops;
		o->file.private_data = d->misc;
		return o;
	}
	o->inode.i_cdev = kd_cdev_of(name, &o->inode.i_rdev);
	if (o->inode.i_cdev) {
		o->file.f_op = o->inode.i_cdev->ops;
		return o;
	}
	free(o);
	return NULL;
}

struct file *kd_open(const char *name, unsigned flags, int *err)
{
	struct open_file *o = find_file(name);

	*err = -ENOENT;
	if (!o)
		return NULL;
	o->file.f_inode = &o->inode;
	o->file.f_flags = flags;
	o->file.f_mode = FMODE_READ | FMODE_WRITE;
	*err = o->file.f_op->open ? o->file.f_op->open(&o->inode, &o->file) : 0;
	if (*err) {
		free(o);
		return NULL;
	}
	kd_take((struct kd_entry){ .kind = KD_FILE, .key = o, .call = "kd_open", .site = KD_SITE });
	return &o->file;
}

int kd_close(struct file *file)
{
	struct open_file *o = container_of(file, struct open_file, file);
	int r = 0;

	if (file->f_op->flush)
		r = file->f_op->flush(file, NULL);
	if (file->f_op->release)
		file->f_op->release(file->f_inode, file);
	kd_drop(KD_FILE, o, NULL);
	free(o);
	return r;
}

/* User memory for an argument: never at its own pages' start or end, so that a wrong size meets other bytes. */
struct argument {
	char *base;
	size_t size;
};

static void *user_copy(struct argument *a, const void *from, size_t len)
{
	a->size = round_up(len + 64, PAGE_SIZE);
	a->base = kd_mmap(a->size, 3, 2);
	if (!a->base)
		return NULL;
	if (from)
		memcpy(a->base + 64, from, len);
	return a->base + 64;
}

long kd_ioctl(struct file *file, unsigned cmd, void *arg, size_t len)
{
	struct argument a;
	void *p = arg;
	long r;

	if (!file->f_op->unlocked_ioctl)
		return -ENOTTY;
	if (!len)
		return file->f_op->unlocked_ioctl(file, cmd, (unsigned long)arg);
	p = user_copy(&a, arg, len);
	if (!p)
		return -ENOMEM;
	r = file->f_op->unlocked_ioctl(file, cmd, (unsigned long)p);
	memcpy(arg, p, len);
	kd_munmap(a.base, a.size);
	return r;
}

ssize_t kd_read(struct file *file, void *buf, size_t len)
{
	struct argument a;
	ssize_t r;
	char *p;

	if (!file->f_op->read)
		return -EINVAL;
	p = user_copy(&a, NULL, len);
	if (!p)
		return -ENOMEM;
	r = file->f_op->read(file, p, len, &file->f_pos);
	if (r > 0)
		memcpy(buf, p, (size_t)r);
	kd_munmap(a.base, a.size);
	return r;
}

ssize_t kd_write(struct file *file, const void *buf, size_t len)
{
	struct argument a;
	ssize_t r;
	char *p;

	if (!file->f_op->write)
		return -EINVAL;
	p = user_copy(&a, buf, len);
	if (!p)
		return -ENOMEM;
	r = file->f_op->write(file, p, len, &file->f_pos);
	kd_munmap(a.base, a.size);
	return r;
}

int nonseekable_open(struct inode *inode, struct file *file)
{
	(void)inode;
	(void)file;
	return 0;
}

int simple_open(struct inode *inode, struct file *file)
{
	if (inode->i_private)
		file->private_data = inode->i_private;
	return 0;
}

/* Between the user and a buffer of the kernel's, from *pos on. */
static ssize_t simple_copy(void __user *user, char *kernel, size_t available, loff_t *pos, size_t n, bool to_user)
{
	size_t left;

	if (*pos < 0)
		return -EINVAL;
	if ((size_t)*pos >= available || !n)
		return 0;
	n = min(n, available - (size_t)*pos);
	left = to_user ? copy_to_user(user, kernel + *pos, n) : copy_from_user(kernel + *pos, user, n);
	if (left == n)
		return -EFAULT;
	*pos += (loff_t)(n - left);
	return (ssize_t)(n - left);
}

ssize_t simple_read_from_buffer(void __user *to, size_t n, loff_t *pos, const void *from, size_t available)
{
	return simple_copy(to, (char *)(unsigned long)from, available, pos, n, true);
}

ssize_t simple_write_to_buffer(void *to, size_t available, loff_t *pos, const void __user *from, size_t n)
{
	return simple_copy((void *)(unsigned long)from, to, available, pos, n, false);
}

loff_t noop_llseek(struct file *file, loff_t offset, int whence)
{
	(void)offset;
	(void)whence;
	return file->f_pos;
}

long compat_ptr_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	return file->f_op->unlocked_ioctl ? file->f_op->unlocked_ioctl(file, cmd, arg) : -ENOIOCTLCMD;
}

void kd_file_stop(void)
{
	while (names)
		withdraw(names);
}
