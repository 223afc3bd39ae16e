// SPDX-License-Identifier: MIT
/*
 * regmem.c - registers user memory with a device, for 5.2: pinned for as long as the user says, accounted in the mm, described
 * by a scatter list, mapped for DMA.  Kernel source, compiled as it is against pinfold's headers.
 *
 * SEED_BUG_*: mistakes that the leak check has to find.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/dma-mapping.h>
#include <linux/fs.h>
#include <linux/idr.h>
#include <linux/kref.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/scatterlist.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "regmem.h"

#define BATCH (PAGE_SIZE / sizeof(struct page *))

struct regmem {
	struct kref kref;
	struct mm_struct *mm;
	struct page **pages;
	unsigned long npages, offset, length;
	bool writable;
	struct sg_table sgt;
	int nmapped;
};

struct regmem_file {
	struct mutex lock; /* handles */
	struct idr handles;
};

static struct miscdevice regmem_misc;

static struct device *regmem_dev(void)
{
	return regmem_misc.this_device;
}

static enum dma_data_direction regmem_dir(const struct regmem *mem)
{
	return mem->writable ? DMA_BIDIRECTIONAL : DMA_TO_DEVICE;
}

static int regmem_account(struct regmem *mem)
{
	unsigned long limit = rlimit(RLIMIT_MEMLOCK) >> PAGE_SHIFT;
	s64 pinned = atomic64_add_return(mem->npages, &mem->mm->pinned_vm);

	if (pinned > limit && !capable(CAP_IPC_LOCK)) {
		atomic64_sub(mem->npages, &mem->mm->pinned_vm);
		return -ENOMEM;
	}
	return 0;
}

static void regmem_put_pages(struct regmem *mem, unsigned long n, bool dirty)
{
#ifdef SEED_BUG_PUT_PAGE
	unsigned long i;

	for (i = 0; i < n; i++)
		put_page(mem->pages[i]);
#else
	if (dirty)
		put_user_pages_dirty_lock(mem->pages, n);
	else
		put_user_pages(mem->pages, n);
#endif
}

static int regmem_pin(struct regmem *mem, unsigned long start)
{
	unsigned int flags = FOLL_LONGTERM | (mem->writable ? FOLL_WRITE : 0);
	unsigned long done = 0;
	long n = 0;

	down_read(&mem->mm->mmap_sem);
	while (done < mem->npages) {
		n = get_user_pages(start + done * PAGE_SIZE, min_t(unsigned long, mem->npages - done, BATCH), flags,
				   mem->pages + done, NULL);
		if (n <= 0)
			break;
		done += n;
		cond_resched();
		if (fatal_signal_pending(current)) {
			n = -EINTR;
			break;
		}
	}
#ifdef SEED_BUG_LOCK
	if (done < mem->npages)
		return -EFAULT;
#endif
	up_read(&mem->mm->mmap_sem);
	if (done == mem->npages && n > 0)
		return 0;
#ifndef SEED_BUG_PARTIAL
	regmem_put_pages(mem, done, false);
#endif
	return n < 0 ? n : -EFAULT;
}

static int regmem_map(struct regmem *mem)
{
	int ret;

	ret = sg_alloc_table_from_pages(&mem->sgt, mem->pages, mem->npages, mem->offset, mem->length, GFP_KERNEL);
	if (ret)
		return ret;
	mem->nmapped = dma_map_sg(regmem_dev(), mem->sgt.sgl, mem->sgt.nents, regmem_dir(mem));
	if (!mem->nmapped) {
#ifndef SEED_BUG_TABLE
		sg_free_table(&mem->sgt);
#endif
		return -EIO;
	}
	return 0;
}

static void regmem_release(struct kref *kref)
{
	struct regmem *mem = container_of(kref, struct regmem, kref);

#ifndef SEED_BUG_UNMAP
	dma_unmap_sg(regmem_dev(), mem->sgt.sgl, mem->sgt.nents, regmem_dir(mem));
#endif
	sg_free_table(&mem->sgt);
	regmem_put_pages(mem, mem->npages, mem->writable);
#ifndef SEED_BUG_UNACCOUNT
	atomic64_sub(mem->npages, &mem->mm->pinned_vm);
#endif
	mmdrop(mem->mm);
	kvfree(mem->pages);
	kfree(mem);
}

static struct regmem *regmem_get(const struct regmem_reg *reg)
{
	unsigned long start = reg->addr & PAGE_MASK;
	struct regmem *mem;
	int ret;

	if (!reg->length || reg->addr + reg->length < reg->addr)
		return ERR_PTR(-EINVAL);
	mem = kzalloc(sizeof(*mem), GFP_KERNEL);
	if (!mem)
		return ERR_PTR(-ENOMEM);
	kref_init(&mem->kref);
	mem->writable = reg->writable;
	mem->length = reg->length;
	mem->offset = offset_in_page(reg->addr);
	mem->npages = PAGE_ALIGN(mem->offset + reg->length) >> PAGE_SHIFT;
	mem->mm = current->mm;
	mmgrab(mem->mm);

	ret = regmem_account(mem);
	if (ret)
		goto free;
	mem->pages = kvmalloc_array(mem->npages, sizeof(*mem->pages), GFP_KERNEL);
	ret = -ENOMEM;
	if (!mem->pages)
		goto unaccount;
	ret = regmem_pin(mem, start);
	if (ret)
		goto free_pages;
	ret = regmem_map(mem);
	if (ret)
		goto unpin;
	return mem;

unpin:
	regmem_put_pages(mem, mem->npages, false);
free_pages:
	kvfree(mem->pages);
unaccount:
	atomic64_sub(mem->npages, &mem->mm->pinned_vm);
free:
	mmdrop(mem->mm);
	kfree(mem);
	return ERR_PTR(ret);
}

static long regmem_ioctl_reg(struct regmem_file *rf, unsigned long arg)
{
	struct regmem_reg reg;
	struct regmem *mem;
	int id;

	if (copy_from_user(&reg, (void __user *)arg, sizeof(reg)))
		return -EFAULT;
	mem = regmem_get(&reg);
	if (IS_ERR(mem))
		return PTR_ERR(mem);

	mutex_lock(&rf->lock);
	id = idr_alloc(&rf->handles, mem, 1, 0, GFP_KERNEL);
	mutex_unlock(&rf->lock);
	if (id < 0) {
		kref_put(&mem->kref, regmem_release);
		return id;
	}
	reg.handle = id;
	reg.entries = mem->nmapped;
	if (!copy_to_user((void __user *)arg, &reg, sizeof(reg)))
		return 0;
	/* The user does not know the handle. */
	mutex_lock(&rf->lock);
	idr_remove(&rf->handles, id);
	mutex_unlock(&rf->lock);
	kref_put(&mem->kref, regmem_release);
	return -EFAULT;
}

static long regmem_ioctl_unreg(struct regmem_file *rf, unsigned long arg)
{
	struct regmem *mem;
	u32 handle;

	if (get_user(handle, (u32 __user *)arg))
		return -EFAULT;
	mutex_lock(&rf->lock);
	mem = idr_remove(&rf->handles, handle);
	mutex_unlock(&rf->lock);
	if (!mem)
		return -ENOENT;
	kref_put(&mem->kref, regmem_release);
	return 0;
}

static struct regmem *regmem_find(struct regmem_file *rf, u32 handle)
{
	struct regmem *mem;

	mutex_lock(&rf->lock);
	mem = idr_find(&rf->handles, handle);
	if (mem)
		kref_get(&mem->kref);
	mutex_unlock(&rf->lock);
	return mem;
}

/* What the device does: it knows the scatter list, not the user's addresses. */
static long regmem_ioctl_copy(struct regmem_file *rf, unsigned long arg, bool write)
{
	struct regmem_copy copy;
	struct regmem *mem;
	long ret = -EINVAL;
	void *bounce;

	if (copy_from_user(&copy, (void __user *)arg, sizeof(copy)))
		return -EFAULT;
	mem = regmem_find(rf, copy.handle);
	if (!mem)
		return -ENOENT;
	if (copy.offset > mem->length || copy.length > mem->length - copy.offset || (write && !mem->writable))
		goto put;
	bounce = kvmalloc(copy.length, GFP_KERNEL);
	ret = -ENOMEM;
	if (!bounce)
		goto put;
	ret = 0;
	if (write) {
		if (copy_from_user(bounce, u64_to_user_ptr(copy.buffer), copy.length))
			ret = -EFAULT;
		else
			sg_pcopy_from_buffer(mem->sgt.sgl, mem->sgt.orig_nents, bounce, copy.length, copy.offset);
	} else {
		sg_pcopy_to_buffer(mem->sgt.sgl, mem->sgt.orig_nents, bounce, copy.length, copy.offset);
		if (copy_to_user(u64_to_user_ptr(copy.buffer), bounce, copy.length))
			ret = -EFAULT;
	}
	kvfree(bounce);
put:
	kref_put(&mem->kref, regmem_release);
	return ret;
}

static long regmem_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct regmem_file *rf = file->private_data;

	switch (cmd) {
	case REGMEM_REG:
		return regmem_ioctl_reg(rf, arg);
	case REGMEM_UNREG:
		return regmem_ioctl_unreg(rf, arg);
	case REGMEM_READ:
		return regmem_ioctl_copy(rf, arg, false);
	case REGMEM_WRITE:
		return regmem_ioctl_copy(rf, arg, true);
	}
	return -ENOTTY;
}

static int regmem_open(struct inode *inode, struct file *file)
{
	struct regmem_file *rf = kzalloc(sizeof(*rf), GFP_KERNEL);

	if (!rf)
		return -ENOMEM;
	mutex_init(&rf->lock);
	idr_init(&rf->handles);
	file->private_data = rf;
	return nonseekable_open(inode, file);
}

static int regmem_close(struct inode *inode, struct file *file)
{
	struct regmem_file *rf = file->private_data;
	struct regmem *mem;
	int id;

#ifndef SEED_BUG_CLOSE
	idr_for_each_entry(&rf->handles, mem, id)
		kref_put(&mem->kref, regmem_release);
#endif
	idr_destroy(&rf->handles);
	kfree(rf);
	return 0;
}

static const struct file_operations regmem_fops = {
	.owner = THIS_MODULE,
	.open = regmem_open,
	.release = regmem_close,
	.unlocked_ioctl = regmem_ioctl,
	.llseek = no_llseek,
};

static struct miscdevice regmem_misc = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "regmem",
	.fops = &regmem_fops,
};

static int __init regmem_init(void)
{
	int ret = misc_register(&regmem_misc);

	if (ret)
		pr_err("no device: %d\n", ret);
	return ret;
}

static void __exit regmem_exit(void)
{
	misc_deregister(&regmem_misc);
}

module_init(regmem_init);
module_exit(regmem_exit);
MODULE_DESCRIPTION("User memory registered with a device");
MODULE_LICENSE("MIT");
