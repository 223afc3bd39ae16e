/* SPDX-License-Identifier: MIT */
/* chardev.c - character devices with numbers and classes, platform drivers. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <linux/cdev.h>
#include <linux/platform_device.h>

#include "kd.h"

#define MAJOR_OF_ALL 240
#define KEY(dev) ((const void *)(unsigned long)(dev))

/* ---- numbers, cdevs, names ---------------------------------------------------------------------- */

/* The name of a number. */
struct named {
	struct named *next;
	dev_t dev;
	char name[64];
	struct device device;
};
static struct named *names;
static struct list_head cdevs = LIST_HEAD_INIT(cdevs);
static unsigned int next_minor;

int alloc_chrdev_region(dev_t *dev, unsigned int first, unsigned int n, const char *name)
{
	(void)name;
	if (kd_inject(KD_REGISTER))
		return -ENOMEM;
	*dev = MKDEV(MAJOR_OF_ALL, max(first, next_minor));
	next_minor = MINOR(*dev) + n;
	kd_take((struct kd_entry){ .kind = KD_REGISTERED, .key = KEY(*dev), .more = 1, .call = "alloc_chrdev_region",
	                           .site = KD_SITE });
	return 0;
}

void unregister_chrdev_region(dev_t dev, unsigned int n)
{
	(void)n;
	if (!kd_drop(KD_REGISTERED, KEY(dev), NULL))
		kd_problem("unregister_chrdev_region(): not allocated");
}

void cdev_init(struct cdev *cdev, const struct file_operations *fops)
{
	*cdev = (struct cdev){ .ops = fops };
}

int cdev_add(struct cdev *cdev, dev_t dev, unsigned int n)
{
	if (kd_inject(KD_REGISTER))
		return -ENOMEM;
	cdev->dev = dev;
	cdev->count = n;
	list_add(&cdev->list, &cdevs);
	kd_take((struct kd_entry){ .kind = KD_REGISTERED, .key = cdev, .more = 1, .call = "cdev_add", .site = KD_SITE });
	return 0;
}

void cdev_del(struct cdev *cdev)
{
	if (kd_drop(KD_REGISTERED, cdev, NULL))
		list_del(&cdev->list);
	else
		kd_problem("cdev_del(): not added");
}

struct class *kd_class(const char *name)
{
	struct class *c = kmalloc(sizeof(*c), GFP_KERNEL);

	if (!c)
		return ERR_PTR(-ENOMEM);
	c->name = name;
	return c;
}

void class_destroy(struct class *c)
{
	if (!IS_ERR_OR_NULL(c))
		kfree(c);
}

struct device *device_create(struct class *c, struct device *parent, dev_t dev, void *data, const char *fmt, ...)
{
	struct named *d;
	va_list args;

	(void)c;
	if (kd_inject(KD_REGISTER))
		return ERR_PTR(-ENOMEM);
	d = kd_alloc(sizeof(*d));
	va_start(args, fmt);
	vsnprintf(d->name, sizeof(d->name), fmt, args);
	va_end(args);
	d->dev = dev;
	d->device = (struct device){ .parent = parent, .init_name = d->name, .driver_data = data };
	d->next = names;
	names = d;
	kd_take((struct kd_entry){ .kind = KD_REGISTERED, .key = d, .more = 1, .call = "device_create", .site = KD_SITE });
	return &d->device;
}

void device_destroy(struct class *c, dev_t dev)
{
	(void)c;
	for (struct named **at = &names, *d; (d = *at); at = &d->next)
		if (d->dev == dev) {
			*at = d->next;
			kd_drop(KD_REGISTERED, d, NULL);
			free(d);
			return;
		}
	kd_problem("device_destroy(): not created");
}

struct cdev *kd_cdev_of(const char *name, dev_t *dev)
{
	struct named *d = names;
	struct cdev *c;

	while (d && strcmp(d->name, name))
		d = d->next;
	list_for_each_entry(c, &cdevs, list)
		if (d && d->dev >= c->dev && d->dev < c->dev + c->count) {
			*dev = d->dev;
			return c;
		}
	return NULL;
}

/* ---- platform drivers ----------------------------------------------------------------------------- */

static struct platform_driver *drivers;

int platform_driver_register(struct platform_driver *drv)
{
	if (kd_inject(KD_REGISTER))
		return -ENOMEM;
	drv->kd_next = drivers;
	drivers = drv;
	kd_take((struct kd_entry){ .kind = KD_REGISTERED, .key = drv, .more = 1, .call = "platform_driver_register",
	                           .site = KD_SITE });
	return 0;
}

void platform_driver_unregister(struct platform_driver *drv)
{
	struct platform_driver **at = &drivers;

	while (*at && *at != drv)
		at = &(*at)->kd_next;
	if (*at)
		*at = drv->kd_next;
	if (!kd_drop(KD_REGISTERED, drv, NULL))
		kd_problem("platform_driver_unregister(): not registered");
}

struct platform_device *kd_platform_add(const char *name, int *err)
{
	struct platform_driver *drv = drivers;
	struct platform_device *pdev;

	while (drv && strcmp(drv->driver.name, name))
		drv = drv->kd_next;
	*err = -ENODEV;
	if (!drv)
		return NULL;
	pdev = kd_alloc(sizeof(*pdev));
	*pdev = (struct platform_device){ .name = name, .id = -1, .dev = { .init_name = name, .driver = &drv->driver } };
	*err = drv->probe ? drv->probe(pdev) : 0;
	if (!*err)
		return pdev;
	kd_device_release(&pdev->dev);
	free(pdev);
	return NULL;
}

void kd_platform_del(struct platform_device *pdev)
{
	struct platform_driver *drv = container_of(pdev->dev.driver, struct platform_driver, driver);

	/* Of either version: what 5.2's returns nobody looks at. */
	if (drv->remove)
		drv->remove(pdev);
	kd_device_release(&pdev->dev);
	free(pdev);
}

void kd_chardev_stop(void)
{
	for (struct named *d; (d = names); free(d))
		names = d->next;
	INIT_LIST_HEAD(&cdevs);
	drivers = NULL;
	next_minor = 0;
}
