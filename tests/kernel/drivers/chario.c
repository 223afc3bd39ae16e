// SPDX-License-Identifier: MIT
/*
 * chario.c - a platform device that copies through user pages: a character device with a number and a class, a file that prints
 * what it did, scopes that let go by themselves.  Kernel source for 6.18.
 */
#include <linux/cdev.h>
#include <linux/cleanup.h>
#include <linux/debugfs.h>
#include <linux/hashtable.h>
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/platform_device.h>
#include <linux/seq_file.h>
#include <linux/slab.h>

struct chario {
	struct cdev cdev;
	dev_t number;
	struct class *class;
	struct dentry *dir;
	struct mutex lock;
	DECLARE_HASHTABLE(seen, 4);
	unsigned long long bytes;
};

/* A page of the user's that was written from. */
struct chario_seen {
	struct hlist_node node;
	unsigned long page, times;
};

static ssize_t chario_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	struct chario *c = dev_get_drvdata(dev);

	return sysfs_emit(buf, "%llu\n", c->bytes);
}

static DEVICE_ATTR(bytes, 0444, chario_show, NULL);
static struct attribute *chario_attrs[] = { &dev_attr_bytes.attr, NULL };
ATTRIBUTE_GROUPS(chario);

static int chario_note(struct chario *c, unsigned long page)
{
	struct chario_seen *s;

	guard(mutex)(&c->lock);
	hash_for_each_possible(c->seen, s, node, page) {
		if (s->page == page) {
			s->times++;
			return 0;
		}
	}
	s = kzalloc(sizeof(*s), GFP_KERNEL);
	if (!s)
		return -ENOMEM;
	s->page = page;
	s->times = 1;
	hash_add(c->seen, &s->node, page);
	return 0;
}

/* Adds up what the user wrote, from the pages themselves. */
static ssize_t chario_write(struct file *file, const char __user *buf, size_t n, loff_t *pos)
{
	struct chario *c = container_of(file->f_inode->i_cdev, struct chario, cdev);
	unsigned long start = (unsigned long)buf, nr = PFN_UP(offset_in_page(start) + n);
	struct page **pages __free(kvfree) = kvmalloc_array(nr, sizeof(*pages), GFP_KERNEL);
	int got, ret = 0, i;

	if (!pages)
		return -ENOMEM;
	got = pin_user_pages_fast(start, nr, 0, pages);
	if (got < 0)
		return got;
	for (i = 0; i < got && !ret; i++)
		ret = chario_note(c, (start >> PAGE_SHIFT) + i);
	unpin_user_pages(pages, got);
	if (ret)
		return ret;
	n = min_t(size_t, n, got * PAGE_SIZE - offset_in_page(start));
	scoped_guard(mutex, &c->lock)
		c->bytes += n;
	return n;
}

static int chario_pages_show(struct seq_file *m, void *v)
{
	struct chario *c = m->private;
	struct chario_seen *s;
	int i, n = 0;

	guard(mutex)(&c->lock);
	hash_for_each(c->seen, i, s, node)
		n++;
	seq_printf(m, "%d pages, %llu bytes\n", n, c->bytes);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(chario_pages);

static const struct file_operations chario_fops = {
	.owner = THIS_MODULE,
	.write = chario_write,
};

static int chario_probe(struct platform_device *pdev)
{
	struct chario *c = devm_kzalloc(&pdev->dev, sizeof(*c), GFP_KERNEL);
	struct device *dev;
	int ret;

	if (!c)
		return -ENOMEM;
	mutex_init(&c->lock);
	hash_init(c->seen);
	platform_set_drvdata(pdev, c);
	ret = alloc_chrdev_region(&c->number, 0, 1, "chario");
	if (ret)
		return ret;
	cdev_init(&c->cdev, &chario_fops);
	ret = cdev_add(&c->cdev, c->number, 1);
	if (ret)
		goto number;
	c->class = class_create("chario");
	if (IS_ERR(c->class)) {
		ret = PTR_ERR(c->class);
		goto cdev;
	}
	dev = device_create(c->class, &pdev->dev, c->number, c, "chario%d", 0);
	if (IS_ERR(dev)) {
		ret = PTR_ERR(dev);
		goto class;
	}
	/* The driver does without them. */
	c->dir = debugfs_create_dir("chario", NULL);
	debugfs_create_file("pages", 0444, c->dir, c, &chario_pages_fops);
	return 0;

class:
	class_destroy(c->class);
cdev:
	cdev_del(&c->cdev);
number:
	unregister_chrdev_region(c->number, 1);
	return dev_err_probe(&pdev->dev, ret, "no device\n");
}

static void chario_remove(struct platform_device *pdev)
{
	struct chario *c = platform_get_drvdata(pdev);
	struct chario_seen *s;
	struct hlist_node *next;
	int i;

	debugfs_remove(c->dir);
	device_destroy(c->class, c->number);
	class_destroy(c->class);
	cdev_del(&c->cdev);
	unregister_chrdev_region(c->number, 1);
	hash_for_each_safe(c->seen, i, next, s, node) {
		hash_del(&s->node);
		kfree(s);
	}
}

static struct platform_driver chario_driver = {
	.probe = chario_probe,
	.remove = chario_remove,
	.driver = { .name = "chario", .dev_groups = chario_groups },
};
module_platform_driver(chario_driver);
MODULE_DESCRIPTION("Copies through user pages");
MODULE_LICENSE("MIT");
