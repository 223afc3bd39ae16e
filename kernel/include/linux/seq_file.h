/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md).  Files whose content one call prints; iterators are not in this double. */
#ifndef KD_LINUX_SEQ_FILE_H
#define KD_LINUX_SEQ_FILE_H

#include <linux/fs.h>

struct seq_file {
	char *buf;
	size_t size, count;
	void *private;
	int (*kd_show)(struct seq_file *m, void *v);
};

void seq_printf(struct seq_file *m, const char *fmt, ...) KD_SYM(seq_printf) __printf(2, 3);
void seq_puts(struct seq_file *m, const char *s) KD_SYM(seq_puts);
void seq_putc(struct seq_file *m, char c) KD_SYM(seq_putc);
int single_open(struct file *file, int (*show)(struct seq_file *m, void *v), void *data) KD_SYM(single_open);
int single_release(struct inode *inode, struct file *file) KD_SYM(single_release);
ssize_t seq_read(struct file *file, char __user *buf, size_t n, loff_t *pos) KD_SYM(seq_read);
#define seq_lseek noop_llseek
#define DEFINE_SHOW_ATTRIBUTE(n) \
	static int n##_open(struct inode *inode, struct file *file) \
	{ \
		return single_open(file, n##_show, inode->i_private); \
	} \
	static const struct file_operations n##_fops = { \
		.open = n##_open, .read = seq_read, .llseek = seq_lseek, .release = single_release, \
	}

#endif
