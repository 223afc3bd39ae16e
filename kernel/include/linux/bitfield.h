/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md).  Fields of registers. */
#ifndef KD_LINUX_BITFIELD_H
#define KD_LINUX_BITFIELD_H

#include <linux/bitops.h>

#define __bf_shf(mask) __builtin_ctzll(mask)
#define FIELD_MAX(mask) ((__typeof__(mask))((mask) >> __bf_shf(mask)))
#define FIELD_FIT(mask, v) (!(((__typeof__(mask))(v) << __bf_shf(mask)) & ~(mask)))
#define FIELD_PREP(mask, v) (((__typeof__(mask))(v) << __bf_shf(mask)) & (mask))
#define FIELD_PREP_CONST FIELD_PREP
#define FIELD_GET(mask, reg) ((__typeof__(mask))(((reg) & (mask)) >> __bf_shf(mask)))

#endif
