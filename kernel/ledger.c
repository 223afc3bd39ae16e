/* SPDX-License-Identifier: MIT */
/* ledger.c - what the driver holds, what was wrong, and what is to fail next. */
#include <dlfcn.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "kd.h"

#define BUCKETS 4096u
#define TEXT 320

struct problem {
	struct problem *next;
	unsigned long times;
	char text[TEXT];
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct kd_entry *table[BUCKETS];
static unsigned long taken[KD_KINDS], live[KD_KINDS];
static struct problem *problems, **last = &problems;
static void (*fatal_hook)(const char *what);
static enum kd_point fail_point;
static unsigned long fail_in; /* passes until the failure; 0: none */
static bool failed;
static enum kd_point failed_at;
static void (*counters)(void (*tell)(const char *text));

static const char *const names[KD_KINDS] = {
	[KD_MEMORY] = "memory", [KD_PAGES] = "pages", [KD_PINNED] = "pin", [KD_REFERENCE] = "page reference",
	[KD_MAPPED] = "DMA mapping", [KD_KMAP] = "kmap", [KD_LOCK] = "lock held", [KD_FILE] = "open file",
	[KD_THREAD] = "kernel thread", [KD_MM] = "mm reference", [KD_USER] = "user reference",
	[KD_DEVICE] = "device reference", [KD_REGISTERED] = "registration", [KD_MODULE] = "module reference",
	[KD_NOTIFIER] = "MMU notifier",
};

void *kd_alloc(size_t size)
{
	void *p = calloc(1, size);

	if (!p)
		abort(); /* the test's machine is out of memory: nothing to be tested */
	return p;
}

static struct kd_entry **bucket(enum kd_kind kind, const void *key)
{
	unsigned long h = ((unsigned long)key >> 4) * 0x9e3779b97f4a7c15ul + kind;

	return &table[(h >> 40) % BUCKETS];
}

void kd_take(struct kd_entry e)
{
	struct kd_entry *n = kd_alloc(sizeof(*n)), **at = bucket(e.kind, e.key);

	*n = e;
	pthread_mutex_lock(&mutex);
	n->nth = ++taken[e.kind];
	live[e.kind]++;
	n->next = *at;
	*at = n;
	pthread_mutex_unlock(&mutex);
}

static struct kd_entry **locate(enum kd_kind kind, const void *key)
{
	struct kd_entry **at = bucket(kind, key);

	while (*at && ((*at)->kind != kind || (*at)->key != key))
		at = &(*at)->next;
	return at;
}

bool kd_find(enum kd_kind kind, const void *key, struct kd_entry *out)
{
	struct kd_entry *e;

	pthread_mutex_lock(&mutex);
	e = *locate(kind, key);
	if (e && out)
		*out = *e;
	pthread_mutex_unlock(&mutex);
	return e;
}

bool kd_drop(enum kd_kind kind, const void *key, struct kd_entry *out)
{
	struct kd_entry **at, *e;

	pthread_mutex_lock(&mutex);
	at = locate(kind, key);
	e = *at;
	if (e) {
		*at = e->next;
		live[kind]--;
	}
	pthread_mutex_unlock(&mutex);
	if (!e)
		return false;
	if (out)
		*out = *e;
	free(e);
	return true;
}

bool kd_drop_as(enum kd_kind kind, const void *key, unsigned long more, bool look)
{
	struct kd_entry **at, *e;
	bool found;

	pthread_mutex_lock(&mutex);
	at = locate(kind, key);
	while (*at && ((*at)->kind != kind || (*at)->key != key || (*at)->more != more))
		at = &(*at)->next;
	e = *at;
	found = e;
	if (found && !look) {
		*at = e->next;
		live[kind]--;
		free(e);
	}
	pthread_mutex_unlock(&mutex);
	return found;
}

unsigned long kd_live(enum kd_kind kind)
{
	unsigned long n;

	pthread_mutex_lock(&mutex);
	n = live[kind];
	pthread_mutex_unlock(&mutex);
	return n;
}

bool kd_search(enum kd_kind kind, bool (*fits)(const struct kd_entry *e, const void *arg), const void *arg,
               struct kd_entry *out)
{
	bool found = false;

	pthread_mutex_lock(&mutex);
	for (unsigned i = 0; i < BUCKETS && !found; i++)
		for (struct kd_entry *e = table[i]; e && !found; e = e->next)
			if (e->kind == kind && fits(e, arg)) {
				found = true;
				if (out)
					*out = *e;
			}
	pthread_mutex_unlock(&mutex);
	return found;
}

/* ---- problems ---------------------------------------------------------------------------------- */

static void add_problem(const char *text)
{
	struct problem *p;

	pthread_mutex_lock(&mutex);
	for (p = problems; p && strcmp(p->text, text); p = p->next)
		;
	if (!p) {
		p = kd_alloc(sizeof(*p));
		snprintf(p->text, TEXT, "%s", text);
		*last = p;
		last = &p->next;
	}
	p->times++;
	pthread_mutex_unlock(&mutex);
}

void kd_problem(const char *fmt, ...)
{
	char text[TEXT];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	add_problem(text);
}

void kd_set_counters(void (*check)(void (*tell)(const char *text)))
{
	counters = check;
}

void kd_set_fatal(void (*fatal)(const char *what))
{
	fatal_hook = fatal;
}

void kd_fatal(const char *what)
{
	add_problem(what);
	if (fatal_hook)
		fatal_hook(what);
	fprintf(stderr, "pinfold kernel test double: %s\n", what);
	kd_report(stderr);
	abort();
}

int kd_expect(const char *part)
{
	int n = 0;

	pthread_mutex_lock(&mutex);
	for (struct problem **at = &problems, *p; (p = *at);) {
		if (!strstr(p->text, part)) {
			at = &p->next;
			continue;
		}
		*at = p->next;
		free(p);
		n++;
	}
	for (last = &problems; *last; last = &(*last)->next)
		;
	pthread_mutex_unlock(&mutex);
	return n;
}

/* ---- the report -------------------------------------------------------------------------------- */

struct listing {
	FILE *to;         /* or NULL */
	const char *part; /* to look for, or NULL */
	char *first;      /* where the first line goes, or NULL */
	size_t size;
	int n;
	bool found;
};

static struct listing *listing; /* for line(); who lists holds the mutex */

static void line(const char *text)
{
	struct listing *l = listing;

	if (!l->n && l->first)
		snprintf(l->first, l->size, "%s", text);
	if (l->to)
		fprintf(l->to, "%s\n", text);
	if (l->part && strstr(text, l->part))
		l->found = true;
	l->n++;
}

/* A place as addr2line wants it: file and offset. */
static void place(const void *site, char *to, size_t size)
{
	Dl_info info;

	if (site && dladdr(site, &info) && info.dli_fname)
		snprintf(to, size, " at %s+0x%lx", info.dli_fname,
		         (unsigned long)((const char *)site - (const char *)info.dli_fbase) - 1);
	else
		*to = 0;
}

static void leak(const struct kd_entry *e)
{
	char where[200], text[TEXT];

	place(e->site, where, sizeof(where));
	snprintf(text, sizeof(text), "leak: %s #%lu, %zu bytes, %p, by %s()%s", names[e->kind], e->nth, e->size, e->key,
	         e->call, where);
	line(text);
}

static void list(struct listing *l)
{
	pthread_mutex_lock(&mutex);
	listing = l;
	for (struct problem *p = problems; p; p = p->next) {
		char text[TEXT + 32];

		snprintf(text, sizeof(text), "%s (%lu times)", p->text, p->times);
		line(p->times > 1 ? text : p->text);
	}
	for (unsigned i = 0; i < BUCKETS; i++)
		for (struct kd_entry *e = table[i]; e; e = e->next)
			/* What stays registered for good is what a kernel without unloading has. */
			if (e->kind < KD_HELD && !(e->kind == KD_REGISTERED && !e->more))
				leak(e);
	if (counters)
		counters(line);
	listing = NULL;
	pthread_mutex_unlock(&mutex);
}

int kd_check(void)
{
	struct listing l = { 0 };

	list(&l);
	return l.n;
}

void kd_report(FILE *to)
{
	list(&(struct listing){ .to = to });
}

bool kd_told(const char *part)
{
	struct listing l = { .part = part };

	list(&l);
	return l.found;
}

void kd_first(char *to, size_t size)
{
	list(&(struct listing){ .first = to, .size = size });
}

void kd_forget(void)
{
	pthread_mutex_lock(&mutex);
	for (unsigned i = 0; i < BUCKETS; i++)
		for (struct kd_entry *e; (e = table[i]); free(e))
			table[i] = e->next;
	for (struct problem *p; (p = problems); free(p))
		problems = p->next;
	last = &problems;
	memset(taken, 0, sizeof(taken));
	memset(live, 0, sizeof(live));
	fail_in = 0;
	failed = false;
	pthread_mutex_unlock(&mutex);
}

/* ---- failures ---------------------------------------------------------------------------------- */

void kd_fail_nth(enum kd_point point, unsigned long n)
{
	pthread_mutex_lock(&mutex);
	fail_point = point;
	fail_in = n;
	failed = false;
	pthread_mutex_unlock(&mutex);
}

bool kd_failed(void)
{
	return failed;
}

bool kd_failed_softly(void)
{
	return failed && (failed_at == KD_PIN_SHORT || failed_at == KD_DROP);
}

bool kd_inject(enum kd_point point)
{
	bool now;

	pthread_mutex_lock(&mutex);
	now = fail_in && (fail_point == point || fail_point == KD_ANY) && !--fail_in;
	if (now) {
		failed = true;
		failed_at = point;
	}
	pthread_mutex_unlock(&mutex);
	return now;
}
