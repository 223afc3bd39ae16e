/* SPDX-License-Identifier: MIT */
/*
 * tools.h - the commands of `pinfold`, and what they do with wrong arguments.
 */
#ifndef TOOLS_TOOLS_H
#define TOOLS_TOOLS_H

#define EXIT_USAGE 2

/* argv[0] is the command's name.  The program's exit status. */
int cmd_doctor(int argc, char **argv);
int cmd_demo(int argc, char **argv);
int cmd_check(int argc, char **argv);

/* Says what is wrong and how it is called; EXIT_USAGE. */
int usage_error(const char *what);
/* getopt for a command without options: its first argument's index, above argc after an error. */
int no_options(int argc, char **argv);

#endif
