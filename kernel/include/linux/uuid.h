/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md). */
#ifndef KD_LINUX_UUID_H
#define KD_LINUX_UUID_H

#include <linux/string.h>

typedef struct {
	__u8 b[16];
} guid_t;
typedef struct {
	__u8 b[16];
} uuid_t;
#define UUID_SIZE 16

static inline bool guid_equal(const guid_t *a, const guid_t *b)
{
	return !memcmp(a, b, sizeof(*a));
}

static inline void guid_copy(guid_t *to, const guid_t *from)
{
	memcpy(to, from, sizeof(*to));
}

static inline bool uuid_equal(const uuid_t *a, const uuid_t *b)
{
	return !memcmp(a, b, sizeof(*a));
}

#endif
