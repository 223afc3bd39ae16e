/* SPDX-License-Identifier: MIT */
/*
 * check.c - pinfold check FILE: what a file's journal holds; with --repair, brings the file up to
 * date.
 */
#include "stat.h"
#include "tools.h"

#include <pinfold/pinfold.h>

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static int failed(const char *path, const char *what, int rc)
{
	fprintf(stderr, "pinfold: %s: %s: %s\n", path, what, strerror(-rc));
	return 1;
}

/* 0: an open would change nothing. */
static int print_state(const char *path, const struct pinfold_journal_info *j)
{
	char text[32];

	printf("%s\n", path);
	if (!j->exists) {
		printf("  journal      none: the file is as the last commit left it\n");
		return 0;
	}
	printf("  journal      %s.pinfold, %s\n", path,
	       j->valid ? "belongs to the file" : "NOT of this file or version: open refuses");
	if (j->holder_pid)
		printf("  open         by process %d\n", j->holder_pid);
	else
		printf("  open         by nobody\n");
	if (!j->valid)
		return 1;
	printf("  to replay    %" PRIu64 " commits, %" PRIu64 " pages, %s\n", j->commits, j->pages,
	       text_bytes(text, sizeof(text), (double)j->bytes));
	if (j->commits)
		printf("  file size    %" PRIu64 " bytes after the replay\n", j->file_size);
	printf("  behind them  %s\n",
	       j->torn ? "a commit that is not whole: discarded at open" : "nothing");
	return j->commits || j->torn;
}

static int look(const char *path, int *dirty)
{
	struct pinfold_journal_info j = { .size = sizeof(j) };
	int rc = pinfold_journal_state(path, &j);

	if (rc < 0)
		return failed(path, "journal", rc);
	*dirty = print_state(path, &j);
	return 0;
}

/* An open replays or discards, a close brings home. */
static int repair(const char *path)
{
	struct pinfold_options opts = { .size = sizeof(opts), .memory = 32u << 20 };
	struct pinfold_file_options fopts = { .size = sizeof(fopts), .open_wait_ms = 1000 };
	struct pinfold *machine;
	struct pinfold_file *file;
	int rc = pinfold_create(&opts, &machine);

	if (rc < 0)
		return failed(path, "machine", rc);
	rc = pinfold_open(machine, path, &fopts, &file);
	if (rc == -EBUSY)
		fprintf(stderr, "pinfold: %s: open in process %d\n", path, fopts.holder_pid);
	else if (rc < 0)
		failed(path, "open", rc);
	if (rc == 0) {
		rc = pinfold_close(file);
		if (rc < 0)
			failed(path, "close", rc);
	}
	pinfold_destroy(machine);
	return rc < 0;
}

int cmd_check(int argc, char **argv)
{
	static const struct option options[] = { { "repair", no_argument, NULL, 'r' }, { 0 } };
	int opt, fix = 0, dirty = 0;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (opt != 'r')
			return usage_error("check: wrong option");
		fix = 1;
	}
	if (optind != argc - 1)
		return usage_error("check wants one file");
	if (look(argv[optind], &dirty))
		return 1;
	if (fix && !dirty)
		printf("nothing to repair\n");
	if (!fix || !dirty)
		return dirty;
	if (repair(argv[optind]))
		return 1;
	printf("repaired:\n");
	return look(argv[optind], &dirty) || dirty;
}
