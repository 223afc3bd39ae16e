/* SPDX-License-Identifier: MIT */
/* kd.c - starting and ending, messages, runs with failures. */
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <linux/kernel.h>
#include <linux/string.h>

#include "kd.h"

#define LOG 65536u
#define MAX_FAILURES 10000u

struct kd_options kd_opts;
static bool started;

/* ---- messages ------------------------------------------------------------------------------------ */

static pthread_mutex_t log_mutex = PTHREAD_MUTEX_INITIALIZER;
static char log_text[LOG];
static size_t log_used;

static void append(const char *text)
{
	size_t n = strlen(text);

	pthread_mutex_lock(&log_mutex);
	if (log_used + n + 2 > LOG) /* a test that looks does so soon: the older half goes */
		memmove(log_text, log_text + LOG / 2, log_used -= LOG / 2);
	if (log_used + n + 2 <= LOG) {
		memcpy(log_text + log_used, text, n + 1);
		log_used += n;
	}
	pthread_mutex_unlock(&log_mutex);
	if (kd_opts.flags & KD_VERBOSE)
		fputs(text, stderr);
}

int printk(const char *fmt, ...)
{
	char text[1024];
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	append(text);
	return n;
}

void kd_hex_dump(const char *prefix, int rowsize, const void *buf, unsigned long len)
{
	const unsigned char *p = buf;

	for (unsigned long i = 0; i < len; i++)
		printk("%s%s%02x%s", i % rowsize ? "" : prefix, i % rowsize ? " " : "", p[i],
		       i + 1 == len || i % rowsize == rowsize - 1u ? "\n" : "");
}

bool kd_logged(const char *part)
{
	bool found;

	pthread_mutex_lock(&log_mutex);
	found = strstr(log_text, part);
	pthread_mutex_unlock(&log_mutex);
	return found;
}

void kd_warn(const char *file, int line, const char *fmt, ...)
{
	char text[256];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	kd_problem("warning: %s:%d: %s", file, line, text);
}

void kd_bug(const char *file, int line, const char *what)
{
	char text[256];

	snprintf(text, sizeof(text), "%s:%d: %s", file, line, what);
	kd_fatal(text);
}

/* ---- strings ------------------------------------------------------------------------------------- */

ssize_t kd_strscpy(char *to, const char *from, size_t size)
{
	size_t n = strnlen(from, size);

	if (!size)
		return -E2BIG;
	memcpy(to, from, n == size ? n - 1 : n);
	to[n == size ? n - 1 : n] = 0;
	return n == size ? -E2BIG : (ssize_t)n;
}

size_t strlcpy(char *to, const char *from, size_t size)
{
	kd_strscpy(to, from, size);
	return strlen(from);
}

int scnprintf(char *buf, size_t size, const char *fmt, ...)
{
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(buf, size, fmt, args);
	va_end(args);
	return size && n >= (int)size ? (int)size - 1 : n;
}

void *memchr_inv(const void *p, int c, size_t n)
{
	const unsigned char *b = p;

	while (n && *b == (unsigned char)c)
		b++, n--;
	return n ? (void *)(unsigned long)b : NULL;
}

static int number(const char *s, unsigned int base, long long *v, bool is_unsigned)
{
	char *end;

	errno = 0;
	*v = is_unsigned ? (long long)strtoull(s, &end, (int)base) : strtoll(s, &end, (int)base);
	if (*end == '\n')
		end++;
	return errno == ERANGE ? -ERANGE : end == s || *end || (is_unsigned && *s == '-') ? -EINVAL : 0;
}

int kstrtoul(const char *s, unsigned int base, unsigned long *v)
{
	long long n;
	int r = number(s, base, &n, true);

	if (!r)
		*v = (unsigned long)n;
	return r;
}

int kstrtoull(const char *s, unsigned int base, unsigned long long *v)
{
	unsigned long n;
	int r = kstrtoul(s, base, &n);

	if (!r)
		*v = n;
	return r;
}

int kstrtol(const char *s, unsigned int base, long *v)
{
	long long n;
	int r = number(s, base, &n, false);

	if (!r)
		*v = (long)n;
	return r;
}

int kstrtouint(const char *s, unsigned int base, unsigned int *v)
{
	unsigned long n;
	int r = kstrtoul(s, base, &n);

	if (!r && n > UINT_MAX)
		return -ERANGE;
	if (!r)
		*v = (unsigned int)n;
	return r;
}

int kstrtoint(const char *s, unsigned int base, int *v)
{
	long n;
	int r = kstrtol(s, base, &n);

	if (!r && (n > INT_MAX || n < INT_MIN))
		return -ERANGE;
	if (!r)
		*v = (int)n;
	return r;
}

int kstrtobool(const char *s, bool *v)
{
	bool yes = *s && strchr("yY1tT", *s), no = *s && strchr("nN0fF", *s);

	if (yes || no)
		*v = yes;
	return yes || no ? 0 : -EINVAL;
}

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
	pthread_mutex_lock(&log_mutex);
	log_used = 0;
	*log_text = 0;
	pthread_mutex_unlock(&log_mutex);
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
	bool short_; /* who asks for the rest has not failed */

	if (r)
		return r;
	kd_fail_nth(s->point, n);
	r = s->run(s->arg);
	*failed = kd_failed();
	short_ = kd_failed_short();
	kd_fail_nth(s->point, 0);
	o->runs++;
	o->failures += *failed;
	o->silent += *failed && !r && !short_;
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
