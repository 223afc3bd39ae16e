/* SPDX-License-Identifier: MIT */
/* kd.c - starting and ending, runs with failures. */
#include <errno.h>
#include <stdlib.h>

#include <linux/kernel.h>

#include "kd.h"

#define MAX_FAILURES 10000u

struct kd_options kd_opts;
static bool started;

/* ---- start, stop --------------------------------------------------------------------------------- */

int kd_start(const struct kd_options *opts)
{
	unsigned long singles, folios;
	void *user, *kernel;
	int r;

	if (started)
		return -EBUSY;
	if (opts && opts->size != sizeof(*opts))
		return -EINVAL;
	kd_opts = opts ? *opts : (struct kd_options){ .size = sizeof(kd_opts) };
	if (!kd_opts.memory)
		kd_opts.memory = 16 << 20;
	kd_set_fatal(kd_opts.fatal);
	kd_log_clear();
	r = kd_glue_start(kd_opts.memory);
	if (r)
		return r;
	r = kd_glue_mm_kernel(&kernel, &singles, &folios, kd_opts.memory);
	if (!r)
		r = kd_glue_mm_new(&user);
	if (r) {
		kd_glue_stop();
		return r;
	}
	kd_pages_start(kernel, singles, folios, kd_opts.memory);
	kd_user_start(user);
	started = true;
	return 0;
}

static bool any(const struct kd_entry *e, const void *arg)
{
	(void)e;
	(void)arg;
	return true;
}

/* Gives back to the machine, and to libc, what the driver kept. */
static void drop_all(void)
{
	static const enum kd_kind kinds[] = { KD_PINNED, KD_REFERENCE, KD_MEMORY, KD_FILE };
	struct kd_entry e;

	for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++)
		while (kd_search(kinds[i], any, NULL, &e)) {
			void *p = (void *)(unsigned long)e.key;

			if (e.kind == KD_PINNED)
				kd_glue_unpin(p);
			else if (e.kind == KD_REFERENCE)
				kd_glue_put(p);
			else if (e.kind == KD_MEMORY)
				kd_memory_free(&e);
			else
				free(p);
			kd_drop_as(e.kind, e.key, e.more, false);
		}
}

int kd_stop(void)
{
	int n;

	if (!started)
		return -EINVAL;
	n = kd_check();
	kd_work_stop();
	kd_file_stop();
	kd_device_stop();
	kd_chardev_stop();
	kd_notifier_stop();
	kd_pages_stop();
	kd_user_stop();
	drop_all();
	if (kd_glue_stop())
		n += !n; /* counts that the ledger does not know of */
	kd_forget();
	started = false;
	return n;
}

/* ---- runs with failures --------------------------------------------------------------------------- */

/* One run, the n-th pass of the point failing.  What run() gave. */
static int run_once(const struct kd_scenario *s, unsigned long n, struct kd_outcome *o, bool *failed)
{
	int r = kd_start(s->opts);
	bool softly; /* who asks for the rest has not failed */

	if (r)
		return r;
	kd_fail_nth(s->point, n);
	r = s->run(s->arg);
	*failed = kd_failed();
	softly = kd_failed_softly();
	kd_fail_nth(s->point, 0);
	o->runs++;
	o->failures += *failed;
	o->silent += *failed && !r && !softly;
	if (kd_check()) {
		if (!o->bad++)
			kd_first(o->first, sizeof(o->first));
	}
	kd_stop();
	return r;
}

int kd_run_all(const struct kd_scenario *s, struct kd_outcome *o)
{
	bool failed = false;

	*o = (struct kd_outcome){ 0 };
	if (run_once(s, 0, o, &failed))
		return -EINVAL;
	for (unsigned long n = 1; n <= MAX_FAILURES; n++) {
		run_once(s, n, o, &failed);
		if (!failed)
			return o->bad ? -EUCLEAN : 0;
	}
	return -E2BIG;
}
