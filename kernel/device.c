/* SPDX-License-Identifier: MIT */
/* device.c - modules, and devices with what goes with them. */
#include <errno.h>
#include <stdlib.h>

#include <linux/platform_device.h>

#include "kd.h"

/* ---- modules ------------------------------------------------------------------------------------ */

#define MODULES 64

/* Registered before main(), so in an array of fixed size: one source file each. */
static struct entry {
	const char *file;
	enum kd_level level;
	int (*init)(void);
	void (*exit)(void);
	bool running;
} modules[MODULES];
static unsigned nr_modules;
static const struct entry *current_module; /* whose init runs */

static struct entry *module_of(const char *file)
{
	for (unsigned i = 0; i < nr_modules; i++)
		if (!strcmp(modules[i].file, file))
			return &modules[i];
	if (nr_modules == MODULES)
		abort();
	modules[nr_modules].file = file;
	return &modules[nr_modules++];
}

void kd_add_init(enum kd_level level, const char *module, const char *file, int (*init)(void))
{
	struct entry *m = module_of(file);

	(void)module;
	m->level = level;
	m->init = init;
}

void kd_add_exit(const char *file, void (*exit)(void))
{
	module_of(file)->exit = exit;
}

int kd_init(void)
{
	for (unsigned level = KD_INIT_EARLY; level <= KD_INIT_LATE; level++) {
		for (unsigned i = 0; i < nr_modules; i++) {
			struct entry *m = &modules[i];
			int r;

			if (!m->init || m->level != level || m->running)
				continue;
			current_module = m;
			r = m->init();
			current_module = NULL;
			m->running = !r;
			if (r) {
				kd_exit();
				return r;
			}
		}
	}
	return 0;
}

void kd_exit(void)
{
	for (unsigned level = KD_INIT_LATE + 1; level-- > KD_INIT_EARLY;) {
		for (unsigned i = nr_modules; i--;) {
			struct entry *m = &modules[i];

			if (m->running && m->level == level && m->exit)
				m->exit();
			if (m->level == level)
				m->running = false;
		}
	}
}

bool kd_can_withdraw(void)
{
	return !current_module || current_module->exit;
}

bool try_module_get(struct module *m)
{
	kd_take((struct kd_entry){ .kind = KD_MODULE, .key = m, .call = "try_module_get", .site = KD_SITE });
	return true;
}

void module_put(struct module *m)
{
	if (!kd_drop(KD_MODULE, m, NULL))
		kd_problem("module_put(): it was not taken");
}

/* ---- devices ------------------------------------------------------------------------------------ */

struct device *get_device(struct device *dev)
{
	if (dev)
		kd_take((struct kd_entry){ .kind = KD_DEVICE, .key = dev, .call = "get_device", .site = KD_SITE });
	return dev;
}

void put_device(struct device *dev)
{
	if (dev && !kd_drop(KD_DEVICE, dev, NULL))
		kd_problem("put_device(%s): it was not taken", dev_name(dev));
}

/* What goes with a device, the newest first. */
struct managed {
	struct managed *next;
	struct device *dev;
	void *data;
	void (*action)(void *data);
};
static struct managed *managed;

static void free_block(void *p)
{
	kfree(p);
}

int devm_add_action(struct device *dev, void (*action)(void *data), void *data)
{
	struct managed *m;

	if (kd_inject(KD_ALLOC))
		return -ENOMEM;
	m = kd_alloc(sizeof(*m));
	*m = (struct managed){ managed, dev, data, action };
	managed = m;
	return 0;
}

void *devm_kmalloc(struct device *dev, size_t size, gfp_t gfp)
{
	void *p = kmalloc(size, gfp);
	struct managed *m = p ? kd_alloc(sizeof(*m)) : NULL;

	if (p) {
		*m = (struct managed){ managed, dev, p, free_block };
		managed = m;
	}
	return p;
}

/* Takes the newest that is dev's, and whose data it is or any. */
static bool unmanage(struct device *dev, const void *data)
{
	for (struct managed **at = &managed, *m; (m = *at); at = &m->next) {
		void (*action)(void *data) = m->action;
		void *of = m->data;

		if (m->dev != dev || (data && (of != data || action != free_block)))
			continue;
		*at = m->next;
		free(m);
		action(of);
		return true;
	}
	return false;
}

void devm_kfree(struct device *dev, const void *p)
{
	if (!unmanage(dev, p))
		kd_problem("devm_kfree(%p): not the device's", p);
}

void kd_device_release(struct device *dev)
{
	while (unmanage(dev, NULL))
		;
}

void kd_device_stop(void)
{
	for (struct managed *m; (m = managed); free(m))
		managed = m->next;
	for (unsigned i = 0; i < nr_modules; i++)
		modules[i].running = false;
}
