/* SPDX-License-Identifier: MIT */
/*
 * pinfold.c - the command line: finds the command.  Public headers only, here and in all of tools/.
 */
#include "tools.h"

#include <pinfold/pinfold.h>

#include <getopt.h>
#include <stdio.h>
#include <string.h>

static const char usage[] =
	"usage: pinfold COMMAND\n"
	"\n"
	"  doctor                 what this system offers to pinfold, and how to get what is "
	"missing\n"
	"  demo [OPTIONS]         one store on mmap, LMDB and pinfold: speed, crashes, pins\n"
	"      --dir D            folder for its files (.)\n"
	"      --size BYTES       of the store (1G)\n"
	"      --memory BYTES     for each column but the first (256M)\n"
	"      --threads N        that transfer, 1 to 16 (2)\n"
	"      --kills N          by SIGKILL, for each engine (20)\n"
	"      --cuts N           of power, for each engine; root only (10)\n"
	"      --seconds S        of a round, three for each column (2)\n"
	"      --seed N           of the transfers and crash times (from the clock)\n"
	"      --example          print only the example in C\n"
	"  check FILE [--repair]  the state of FILE's journal; bring the file up to date\n"
	"  help, --help           this text\n"
	"  version, --version     the library's version\n"
	"\n"
	"BYTES take K, M, G.  Exit status: 0; 1 found something or failed; 2 wrong usage.\n";

int usage_error(const char *what)
{
	fprintf(stderr, "pinfold: %s\n\n%s", what, usage);
	return EXIT_USAGE;
}

int no_options(int argc, char **argv)
{
	static const struct option none[] = { { 0 } };

	return getopt_long(argc, argv, "+", none, NULL) == -1 ? optind : argc + 1;
}

static int cmd_help(int argc, char **argv)
{
	(void)argc, (void)argv;
	fputs(usage, stdout);
	return 0;
}

static int cmd_version(int argc, char **argv)
{
	(void)argc, (void)argv;
	printf("pinfold %s\n", pinfold_version());
	return 0;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*run)(int argc, char **argv);
	} commands[] = {
		{ "doctor", cmd_doctor },   { "demo", cmd_demo },         { "check", cmd_check },
		{ "help", cmd_help },       { "--help", cmd_help },       { "-h", cmd_help },
		{ "version", cmd_version }, { "--version", cmd_version }, { "-V", cmd_version },
	};

	if (argc < 2)
		return usage_error("no command");
	for (unsigned i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (!strcmp(argv[1], commands[i].name))
			return commands[i].run(argc - 1, argv + 1);
	return usage_error("no such command");
}
