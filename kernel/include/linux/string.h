/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md).  libc's functions, declared one by one: its header has names that drivers use. */
#ifndef KD_LINUX_STRING_H
#define KD_LINUX_STRING_H

#include <linux/types.h>

void *memcpy(void *to, const void *from, size_t n);
void *memmove(void *to, const void *from, size_t n);
void *memset(void *p, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);
void *memchr(const void *p, int c, size_t n);
size_t strlen(const char *s);
size_t strnlen(const char *s, size_t n);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t n);
int strcasecmp(const char *a, const char *b);
char *strcpy(char *to, const char *from);
char *strncpy(char *to, const char *from, size_t n);
char *strcat(char *to, const char *from);
char *strchr(const char *s, int c);
char *strrchr(const char *s, int c);
char *strstr(const char *s, const char *part);
char *strsep(char **s, const char *delim);
int snprintf(char *buf, size_t size, const char *fmt, ...) __printf(3, 4);
int sprintf(char *buf, const char *fmt, ...) __printf(2, 3);
int sscanf(const char *s, const char *fmt, ...) __attribute__((format(scanf, 2, 3)));

/* The length copied, or -E2BIG; what does not fit is cut off, the end is always a zero byte. */
ssize_t kd_strscpy(char *to, const char *from, size_t size);
/* Another size than the array's may be given, or none. */
#define kd_strscpy_size(to, from, size, ...) kd_strscpy(to, from, size)
#define strscpy(to, ...) kd_strscpy_size(to, __VA_ARGS__, sizeof(to))
#define strscpy_pad strscpy
size_t strlcpy(char *to, const char *from, size_t size) KD_SYM(strlcpy);
int scnprintf(char *buf, size_t size, const char *fmt, ...) KD_SYM(scnprintf) __printf(3, 4);
void *memchr_inv(const void *p, int c, size_t n) KD_SYM(memchr_inv);
int kstrtoul(const char *s, unsigned int base, unsigned long *v) KD_SYM(kstrtoul);
int kstrtol(const char *s, unsigned int base, long *v) KD_SYM(kstrtol);
int kstrtouint(const char *s, unsigned int base, unsigned int *v) KD_SYM(kstrtouint);
int kstrtoint(const char *s, unsigned int base, int *v) KD_SYM(kstrtoint);
int kstrtoull(const char *s, unsigned int base, unsigned long long *v) KD_SYM(kstrtoull);
#define kstrtou64(s, base, v) kstrtoull(s, base, v)
#define kstrtou32(s, base, v) kstrtouint(s, base, v)
#define kstrtos32(s, base, v) kstrtoint(s, base, v)
int kstrtobool(const char *s, bool *v) KD_SYM(kstrtobool);

#define memzero_explicit(p, n) memset(p, 0, n)

#endif
