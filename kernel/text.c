/* SPDX-License-Identifier: MIT */
/* text.c - messages, warnings, strings and numbers. */
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <linux/kernel.h>
#include <linux/string.h>

#include "kd.h"

#define LOG 65536u

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

void kd_log_clear(void)
{
	pthread_mutex_lock(&log_mutex);
	log_used = 0;
	*log_text = 0;
	pthread_mutex_unlock(&log_mutex);
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
