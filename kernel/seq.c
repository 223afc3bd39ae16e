/* SPDX-License-Identifier: MIT */
/* seq.c - files whose content one call prints. */
#include <stdarg.h>
#include <stdio.h>

#include <linux/seq_file.h>

void seq_printf(struct seq_file *m, const char *fmt, ...)
{
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(m->buf + m->count, m->size - m->count, fmt, args);
	va_end(args);
	/* Full: seq_read() tries again with more. */
	m->count = min(m->count + (size_t)n, m->size);
}

void seq_puts(struct seq_file *m, const char *s)
{
	seq_printf(m, "%s", s);
}

void seq_putc(struct seq_file *m, char c)
{
	seq_printf(m, "%c", c);
}

int single_open(struct file *file, int (*show)(struct seq_file *m, void *v), void *data)
{
	struct seq_file *m = kzalloc(sizeof(*m), GFP_KERNEL);

	if (!m)
		return -ENOMEM;
	m->kd_show = show;
	m->private = data;
	file->private_data = m;
	return 0;
}

int single_release(struct inode *inode, struct file *file)
{
	struct seq_file *m = file->private_data;

	(void)inode;
	kvfree(m->buf);
	kfree(m);
	return 0;
}

ssize_t seq_read(struct file *file, char __user *buf, size_t n, loff_t *pos)
{
	struct seq_file *m = file->private_data;

	for (size_t size = PAGE_SIZE; !m->buf; size *= 2) {
		int r;

		m->buf = kvmalloc(size, GFP_KERNEL);
		if (!m->buf)
			return -ENOMEM;
		m->size = size;
		m->count = 0;
		r = m->kd_show(m, NULL);
		if (!r && m->count < m->size)
			break;
		kvfree(m->buf);
		m->buf = NULL;
		if (r)
			return r;
	}
	return simple_read_from_buffer(buf, n, pos, m->buf, m->count);
}
