/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md).  Devices: a name, a driver's data, and memory that goes with them.  No bus, no sysfs. */
#ifndef KD_LINUX_DEVICE_H
#define KD_LINUX_DEVICE_H

#include <linux/slab.h>
#include <linux/version.h>

struct attribute_group;
struct of_device_id;

struct device_driver {
	const char *name;
	struct module *owner;
	const struct of_device_id *of_match_table;
	const struct attribute_group **dev_groups;
};
/* What an attribute's is_visible() gets; for kobj_to_dev(). */
struct kobject {
	const char *name;
};
struct device {
	struct kobject kobj;
	struct device *parent;
	const char *init_name;
	struct device_driver *driver;
	void *driver_data, *platform_data;
	u64 *dma_mask, coherent_dma_mask;
	refcount_t kd_refs;
};

#define dev_name(dev) ((dev) && (dev)->init_name ? (dev)->init_name : "device")
#define dev_get_drvdata(dev) ((dev)->driver_data)
#define dev_set_drvdata(dev, data) ((void)((dev)->driver_data = (data)))
#define dev_get_platdata(dev) ((dev)->platform_data)
#define dev_to_node(dev) ((void)(dev), -1)
#define NUMA_NO_NODE (-1)
struct device *get_device(struct device *dev) KD_SYM(get_device);
void put_device(struct device *dev) KD_SYM(put_device);

#define dev_printk(level, dev, fmt, ...) printk(level "%s: " fmt, dev_name(dev), ##__VA_ARGS__)
#define dev_emerg(dev, fmt, ...) dev_printk(KERN_EMERG, dev, fmt, ##__VA_ARGS__)
#define dev_crit(dev, fmt, ...) dev_printk(KERN_CRIT, dev, fmt, ##__VA_ARGS__)
#define dev_err(dev, fmt, ...) dev_printk(KERN_ERR, dev, fmt, ##__VA_ARGS__)
#define dev_warn(dev, fmt, ...) dev_printk(KERN_WARNING, dev, fmt, ##__VA_ARGS__)
#define dev_notice(dev, fmt, ...) dev_printk(KERN_NOTICE, dev, fmt, ##__VA_ARGS__)
#define dev_info(dev, fmt, ...) dev_printk(KERN_INFO, dev, fmt, ##__VA_ARGS__)
#define dev_dbg(dev, fmt, ...) dev_printk(KERN_DEBUG, dev, fmt, ##__VA_ARGS__)
#define dev_vdbg dev_dbg
#define dev_err_ratelimited dev_err
#define dev_warn_ratelimited dev_warn
#define dev_info_ratelimited dev_info
#define dev_dbg_ratelimited dev_dbg
#define dev_err_once dev_err
#define dev_warn_once dev_warn
#define dev_WARN(dev, fmt, ...) WARN(1, fmt, ##__VA_ARGS__)
#define dev_err_probe(dev, err, fmt, ...) (dev_err(dev, fmt, ##__VA_ARGS__), (int)(err))

/* ---- classes of devices: a name for a cdev, for kd_open() ---- */

struct class {
	const char *name;
};
struct class *kd_class(const char *name);
#if KD_52
#define class_create(owner, name) kd_class(name)
#else
#define class_create(name) kd_class(name)
#endif
void class_destroy(struct class *c) KD_SYM(class_destroy);
struct device *device_create(struct class *c, struct device *parent, dev_t dev, void *data, const char *fmt, ...)
	KD_SYM(device_create) __printf(5, 6);
void device_destroy(struct class *c, dev_t dev) KD_SYM(device_destroy);

/* ---- attributes: a test calls show and store itself ---- */

struct attribute {
	const char *name;
	umode_t mode;
};
struct attribute_group {
	const char *name;
	umode_t (*is_visible)(struct kobject *kobj, struct attribute *attr, int n);
	struct attribute **attrs;
};
struct device_attribute {
	struct attribute attr;
	ssize_t (*show)(struct device *dev, struct device_attribute *attr, char *buf);
	ssize_t (*store)(struct device *dev, struct device_attribute *attr, const char *buf, size_t n);
};
#define kobj_to_dev(k) container_of(k, struct device, kobj)
#define __ATTR(n, m, s, t) { .attr = { .name = #n, .mode = (m) }, .show = (s), .store = (t) }
#define DEVICE_ATTR(n, m, s, t) struct device_attribute dev_attr_##n = __ATTR(n, m, s, t)
#define DEVICE_ATTR_RO(n) DEVICE_ATTR(n, 0444, n##_show, NULL)
#define DEVICE_ATTR_WO(n) DEVICE_ATTR(n, 0200, NULL, n##_store)
#define DEVICE_ATTR_RW(n) DEVICE_ATTR(n, 0644, n##_show, n##_store)
#define ATTRIBUTE_GROUPS(n) \
	static const struct attribute_group n##_group = { .attrs = n##_attrs }; \
	static const struct attribute_group *n##_groups[] __attribute__((unused)) = { &n##_group, NULL }
#define sysfs_emit(buf, fmt, ...) scnprintf(buf, PAGE_SIZE, fmt, ##__VA_ARGS__)

/* Freed by kd_device_release(dev), in the order last first: what the core does when a driver lets go of its device. */
void *devm_kmalloc(struct device *dev, size_t size, gfp_t gfp) KD_SYM(devm_kmalloc);
void devm_kfree(struct device *dev, const void *p) KD_SYM(devm_kfree);
#define devm_kzalloc(dev, size, gfp) devm_kmalloc(dev, size, (gfp) | __GFP_ZERO)
#define devm_kcalloc(dev, n, size, gfp) devm_kzalloc(dev, array_size(n, size), gfp)
#define devm_kmalloc_array(dev, n, size, gfp) devm_kmalloc(dev, array_size(n, size), gfp)
int devm_add_action(struct device *dev, void (*action)(void *data), void *data) KD_SYM(devm_add_action);
#define devm_add_action_or_reset(dev, action, data) ({ \
	int kd_e = devm_add_action(dev, action, data); if (kd_e) (action)(data); kd_e; })
void kd_device_release(struct device *dev);

#endif
