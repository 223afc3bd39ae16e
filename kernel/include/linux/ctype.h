/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md). */
#ifndef KD_LINUX_CTYPE_H
#define KD_LINUX_CTYPE_H

int isalnum(int c), isalpha(int c), isdigit(int c), islower(int c), isprint(int c), ispunct(int c), isspace(int c),
	isupper(int c), isxdigit(int c), tolower(int c), toupper(int c);

#endif
