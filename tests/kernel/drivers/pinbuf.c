// SPDX-License-Identifier: MIT
/*
 * pinbuf.c - a debugfs file that takes user pages in every way that 6.18 has, and keeps buffers as io_uring and V4L2 do: pinned
 * long-term, accounted to the user, filled by a worker.  Kernel source, compiled as it is against pinfold's headers.
 *
 * SEED_BUG_*: mistakes that the leak check has to find.
 */
#include <linux/completion.h>
#include <linux/debugfs.h>
#include <linux/dma-mapping.h>
#include <linux/highmem.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sched/signal.h>
#include <linux/sched/user.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

#include "pinbuf.h"

static struct dentry *pinbuf_dentry;
static struct device pinbuf_device = { .init_name = "pinbuf" };

/* ---- taking and giving back -------------------------------------------------------------- */

static bool pinbuf_is_pin(u32 mode)
{
	return mode >= PINBUF_PIN;
}

static bool pinbuf_is_fast(u32 mode)
{
	return mode == PINBUF_GET_FAST || mode == PINBUF_PIN_FAST;
}

static long pinbuf_take(u32 mode, unsigned long addr, unsigned long n, struct page **pages)
{
	switch (mode) {
	case PINBUF_GET:
		return get_user_pages(addr, n, 0, pages);
	case PINBUF_GET_FAST:
		return get_user_pages_fast(addr, n, 0, pages);
	case PINBUF_PIN:
		return pin_user_pages(addr, n, 0, pages);
	case PINBUF_PIN_FAST:
		return pin_user_pages_fast(addr, n, 0, pages);
	case PINBUF_LONGTERM:
		return pin_user_pages(addr, n, FOLL_LONGTERM, pages);
	}
	return -EINVAL;
}

static void pinbuf_give(u32 mode, struct page **pages, unsigned long n)
{
	unsigned long i;

#ifdef SEED_BUG_PUT_PIN
	mode = PINBUF_GET;
#endif
#ifdef SEED_BUG_UNPIN_GET
	mode = PINBUF_PIN;
#endif
	if (pinbuf_is_pin(mode)) {
		unpin_user_pages(pages, n);
		return;
	}
	for (i = 0; i < n; i++)
		put_page(pages[i]);
}

static u64 pinbuf_add_up(struct page *page)
{
	u8 *p = kmap_local_page(page);
	u64 sum = 0;
	int i;

	for (i = 0; i < PAGE_SIZE; i++)
		sum += p[i];
#ifndef SEED_BUG_KMAP
	kunmap_local(p);
#endif
	return sum;
}

static long pinbuf_sum_locked(struct pinbuf_sum *s, struct page **pages)
{
	unsigned long n = s->size >> PAGE_SHIFT, i;
	long got = 0;

	while (s->pages < n) {
		got = pinbuf_take(s->mode, s->addr + s->pages * PAGE_SIZE,
				  min_t(unsigned long, n - s->pages, s->batch), pages + s->pages);
		if (got <= 0)
			break;
		s->pages += got;
	}
	for (i = 0; i < s->pages; i++)
		s->sum += pinbuf_add_up(pages[i]);
	pinbuf_give(s->mode, pages, s->pages);
	return s->pages == n ? 0 : got < 0 ? got : -EFAULT;
}

static long pinbuf_sum(struct pinbuf_sum *s)
{
	ktime_t start = ktime_get();
	struct page **pages;
	long ret = -EINTR;

	if (!PAGE_ALIGNED(s->addr | s->size) || !s->size || !s->batch)
		return -EINVAL;
	pages = kvcalloc(s->size >> PAGE_SHIFT, sizeof(*pages), GFP_KERNEL);
	if (!pages)
		return -ENOMEM;
	s->pages = s->sum = 0;
	if (!pinbuf_is_fast(s->mode) && mmap_read_lock_killable(current->mm))
		goto free;
	ret = pinbuf_sum_locked(s, pages);
	if (!pinbuf_is_fast(s->mode))
		mmap_read_unlock(current->mm);
	s->nsec = ktime_to_ns(ktime_sub(ktime_get(), start));
#ifdef SEED_BUG_ARRAY
	if (ret)
		return ret;
#endif
free:
	kvfree(pages);
	return ret;
}

/* ---- buffers that stay ------------------------------------------------------------------- */

struct pinbuf {
	struct user_struct *user;
	struct page **pages;
	dma_addr_t *dma;
	unsigned long npages;
	struct work_struct work;
	struct completion filled;
	u8 byte;
};

static int pinbuf_account(struct pinbuf *b)
{
	unsigned long limit = rlimit(RLIMIT_MEMLOCK) >> PAGE_SHIFT;
	long old, new;

	b->user = get_uid(current_user());
	if (capable(CAP_IPC_LOCK))
		limit = ULONG_MAX;
	old = atomic_long_read(&b->user->locked_vm);
	do {
		new = old + b->npages;
		if (new > limit) {
			free_uid(b->user);
			return -ENOMEM;
		}
	} while (!atomic_long_try_cmpxchg(&b->user->locked_vm, &old, new));
	return 0;
}

static void pinbuf_unaccount(struct pinbuf *b)
{
	atomic_long_sub(b->npages, &b->user->locked_vm);
	free_uid(b->user);
}

static void pinbuf_unmap(struct pinbuf *b, unsigned long n)
{
	while (n--)
		dma_unmap_page(&pinbuf_device, b->dma[n], PAGE_SIZE, DMA_FROM_DEVICE);
}

static int pinbuf_map(struct pinbuf *b)
{
	unsigned long i;

	for (i = 0; i < b->npages; i++) {
		b->dma[i] = dma_map_page(&pinbuf_device, b->pages[i], 0, PAGE_SIZE, DMA_FROM_DEVICE);
		if (dma_mapping_error(&pinbuf_device, b->dma[i])) {
			pinbuf_unmap(b, i);
			return -EIO;
		}
	}
	return 0;
}

static int pinbuf_pin(struct pinbuf *b, unsigned long addr)
{
	long n = pin_user_pages_fast(addr, b->npages, FOLL_WRITE | FOLL_LONGTERM, b->pages);

	if (n == b->npages)
		return 0;
	if (n > 0)
		unpin_user_pages(b->pages, n);
	return n < 0 ? n : -EFAULT;
}

static void pinbuf_work(struct work_struct *work)
{
	struct pinbuf *b = container_of(work, struct pinbuf, work);
	unsigned long i;

	for (i = 0; i < b->npages; i++)
		memset(phys_to_virt(b->dma[i]), b->byte, PAGE_SIZE);
	complete(&b->filled);
}

static void pinbuf_free(struct pinbuf *b)
{
	cancel_work_sync(&b->work);
#ifdef SEED_BUG_EARLY_UNPIN
	unpin_user_pages_dirty_lock(b->pages, b->npages, true);
	pinbuf_unmap(b, b->npages);
#else
	pinbuf_unmap(b, b->npages);
	unpin_user_pages_dirty_lock(b->pages, b->npages, true);
#endif
	pinbuf_unaccount(b);
	kvfree(b->dma);
	kvfree(b->pages);
	kfree(b);
}

static struct pinbuf *pinbuf_new(const struct pinbuf_add *add)
{
	struct pinbuf *b;
	int ret = -ENOMEM;

	if (!PAGE_ALIGNED(add->addr | add->size) || !add->size)
		return ERR_PTR(-EINVAL);
	b = kzalloc(sizeof(*b), GFP_KERNEL_ACCOUNT);
	if (!b)
		return ERR_PTR(-ENOMEM);
	b->npages = add->size >> PAGE_SHIFT;
	INIT_WORK(&b->work, pinbuf_work);
	init_completion(&b->filled);
	b->pages = kvcalloc(b->npages, sizeof(*b->pages), GFP_KERNEL);
	b->dma = kvcalloc(b->npages, sizeof(*b->dma), GFP_KERNEL);
	if (!b->pages || !b->dma)
		goto free;
	ret = pinbuf_account(b);
	if (ret)
		goto free;
	ret = pinbuf_pin(b, add->addr);
	if (ret)
		goto unaccount;
	ret = pinbuf_map(b);
	if (ret)
		goto unpin;
	return b;

unpin:
	unpin_user_pages(b->pages, b->npages);
unaccount:
	pinbuf_unaccount(b);
free:
	kvfree(b->dma);
	kvfree(b->pages);
	kfree(b);
	return ERR_PTR(ret);
}

static long pinbuf_ioctl_add(struct xarray *buffers, void __user *arg)
{
	struct pinbuf_add add;
	struct pinbuf *b;
	int ret;

	if (copy_from_user(&add, arg, sizeof(add)))
		return -EFAULT;
	b = pinbuf_new(&add);
	if (IS_ERR(b))
		return PTR_ERR(b);
	ret = xa_alloc(buffers, &add.id, b, xa_limit_31b, GFP_KERNEL);
	if (ret) {
		pinbuf_free(b);
		return ret;
	}
	if (copy_to_user(arg, &add, sizeof(add))) {
		xa_erase(buffers, add.id);
		pinbuf_free(b);
		return -EFAULT;
	}
	return 0;
}

static long pinbuf_ioctl_fill(struct xarray *buffers, void __user *arg)
{
	struct pinbuf_fill fill;
	struct pinbuf *b;

	if (copy_from_user(&fill, arg, sizeof(fill)))
		return -EFAULT;
	b = xa_load(buffers, fill.id);
	if (!b)
		return -ENOENT;
	b->byte = fill.byte;
	reinit_completion(&b->filled);
	schedule_work(&b->work);
	if (!wait_for_completion_timeout(&b->filled, msecs_to_jiffies(1000)))
		return -ETIMEDOUT;
	return 0;
}

static long pinbuf_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	void __user *user = (void __user *)arg;
	struct pinbuf_sum sum;
	struct pinbuf *b;
	u32 id;
	long ret;

	switch (cmd) {
	case PINBUF_SUM:
		if (copy_from_user(&sum, user, sizeof(sum)))
			return -EFAULT;
		ret = pinbuf_sum(&sum);
		if (copy_to_user(user, &sum, sizeof(sum)))
			return -EFAULT;
		return ret;
	case PINBUF_ADD:
		return pinbuf_ioctl_add(file->private_data, user);
	case PINBUF_DEL:
		if (get_user(id, (u32 __user *)user))
			return -EFAULT;
		b = xa_erase(file->private_data, id);
		if (!b)
			return -ENOENT;
		pinbuf_free(b);
		return 0;
	case PINBUF_FILL:
		return pinbuf_ioctl_fill(file->private_data, user);
	}
	return -ENOTTY;
}

static int pinbuf_open(struct inode *inode, struct file *file)
{
	struct xarray *buffers = kmalloc(sizeof(*buffers), GFP_KERNEL);

	if (!buffers)
		return -ENOMEM;
	xa_init_flags(buffers, XA_FLAGS_ALLOC1);
	file->private_data = buffers;
	return nonseekable_open(inode, file);
}

static int pinbuf_release(struct inode *inode, struct file *file)
{
	struct xarray *buffers = file->private_data;
	struct pinbuf *b;
	unsigned long id;

	xa_for_each(buffers, id, b) {
		xa_erase(buffers, id);
		pinbuf_free(b);
	}
	xa_destroy(buffers);
	kfree(buffers);
	return 0;
}

static const struct file_operations pinbuf_fops = {
	.open = pinbuf_open,
	.release = pinbuf_release,
	.unlocked_ioctl = pinbuf_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};

static int __init pinbuf_init(void)
{
	pinbuf_dentry = debugfs_create_file("pinbuf", 0600, NULL, NULL, &pinbuf_fops);
	return PTR_ERR_OR_ZERO(pinbuf_dentry);
}

static void __exit pinbuf_exit(void)
{
	debugfs_remove(pinbuf_dentry);
}

module_init(pinbuf_init);
module_exit(pinbuf_exit);
MODULE_DESCRIPTION("Every way to take user pages");
MODULE_LICENSE("MIT");
