/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md).  Which kernel's API the headers declare: 6.18, or with -DPINFOLD_KERNEL_VERSION=0x050200, or
 * KERNEL_VERSION(5,2,0), 5.2. */
#ifndef KD_LINUX_VERSION_H
#define KD_LINUX_VERSION_H

#define KERNEL_VERSION(a, b, c) (((a) << 16) + ((b) << 8) + ((c) > 255 ? 255 : (c)))

#ifndef PINFOLD_KERNEL_VERSION
#define PINFOLD_KERNEL_VERSION KERNEL_VERSION(6, 18, 0)
#endif
#define LINUX_VERSION_CODE (PINFOLD_KERNEL_VERSION)
#define LINUX_VERSION_MAJOR (LINUX_VERSION_CODE >> 16)
#define LINUX_VERSION_PATCHLEVEL ((LINUX_VERSION_CODE >> 8) & 255)

#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 2, 0) && LINUX_VERSION_CODE < KERNEL_VERSION(5, 4, 0)
#define KD_52 1
#elif LINUX_VERSION_CODE >= KERNEL_VERSION(6, 5, 0)
#define KD_52 0
#else
#error "pinfold's kernel headers know the pin calls of 5.2 (and 5.3) and of 6.5 to 6.18"
#endif

#endif
