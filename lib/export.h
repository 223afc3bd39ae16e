/* SPDX-License-Identifier: MIT */
/*
 * export.h - marks the public functions.
 *
 * Everything is built with hidden visibility.  A function that a header in include/pinfold declares
 * is defined as `PINFOLD_EXPORT int pinfold_x(...)`; nothing else may carry the mark.
 */
#ifndef PINFOLD_EXPORT_H
#define PINFOLD_EXPORT_H

#define PINFOLD_EXPORT __attribute__((visibility("default")))

#endif
