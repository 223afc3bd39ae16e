/* SPDX-License-Identifier: MIT */
/*
 * kernel_test.c - random programs of memory calls, forks and pins, on the kernel and on pinfold.
 *
 *   --seconds N     how long to make programs; 60 in a release build, 8 in others; 0: until ^C
 *   --seed N        the first seed; 1.  With --once only that one.  A seed is a program
 *   --window KIND   none, extent, mixed or direct; all
 *   --replay FILE   only that program
 *   --keep FOLDER   programs that meet what no other one has met are shrunk and written there
 *
 * The programs of corpus/ come first, always.  One that fails is shrunk and printed: a file with that text is what
 * --replay takes.  PINFOLD_SOURCE names the source tree.
 */
#include "shrink.h"

#include <dirent.h>

struct options {
	unsigned seconds;
	uint64_t seed;
	bool once;
	int windows; /* -1: all */
	const char *replay, *keep;
};

struct totals {
	unsigned programs, steps, skipped, abandoned;
};

/* What a program must meet that nobody has met, to be kept. */
#define NEW_PAIRS 8u
#define TELL_EVERY_MS 60000u

static struct bench bench;
static volatile sig_atomic_t stopped; /* ^C */
static uint8_t seen[sizeof(bench.shown->seen)];

/* A direct window shows shared mappings of direct files only. */
static bool suits(const struct program *p, enum windows windows)
{
	if (windows != DIRECT)
		return true;
	if (no_window())
		return false;
	for (unsigned i = 0; i < p->n; i++)
		if (p->step[i].what == MAP && (p->step[i].v[4] != 1 || p->step[i].v[5] != REAL_FILE))
			return false;
	return true;
}

static void report(struct program *p, enum windows windows, const char *from)
{
	struct purpose why = { .windows = windows };

	memcpy(why.failure, bench.shown->failure, sizeof(why.failure));
	printf("# %s, window %s: step %u: %s\n", from, windows_name[windows], bench.shown->step, bench.shown->failure);
	bench.thorough = true;
	shrink(&bench, p, &why);
	if (run_once(&bench, p, windows) == FAILED)
		printf("# shrunk in %u runs; step %u: %s\n", bench.runs, bench.shown->step, bench.shown->failure);
	else
		printf("# does not fail again\n");
	printf("# --window %s --replay FILE:\n", windows_name[windows]);
	print_program(stdout, p);
	fflush(stdout);
	bench.thorough = false;
}

/* False: it fails, and stands on the output. */
static bool agrees(struct program *p, enum windows windows, const char *from, struct totals *t)
{
	enum outcome o = run_once(&bench, p, windows);

	t->programs++;
	t->steps += bench.shown->done;
	t->skipped += bench.shown->skipped;
	t->abandoned += o == ABANDONED;
	if (o == FAILED)
		report(p, windows, from);
	return o != FAILED;
}

/* What the last program met, and nobody before. */
static unsigned new_pairs(uint8_t *only)
{
	unsigned n = 0;

	for (size_t i = 0; i < sizeof(seen); i++) {
		only[i] = bench.shown->seen[i] & (uint8_t)~seen[i];
		n += (unsigned)__builtin_popcount(only[i]);
	}
	return n;
}

static void take_note(void)
{
	for (size_t i = 0; i < sizeof(seen); i++)
		seen[i] |= bench.shown->seen[i];
}

static unsigned pairs_seen(void)
{
	unsigned n = 0;

	for (size_t i = 0; i < sizeof(seen); i++)
		n += (unsigned)__builtin_popcount(seen[i]);
	return n;
}

static void keep(const struct options *o, const struct program *made, enum windows windows, uint64_t seed)
{
	uint8_t only[sizeof(seen)];
	struct program p = *made;
	struct purpose why = { .windows = windows, .wanted = only };
	char path[700];
	FILE *f;

	if (new_pairs(only) < NEW_PAIRS)
		return;
	shrink(&bench, &p, &why);
	if (!serves(&bench, &p, &why))
		return;
	take_note();
	snprintf(path, sizeof(path), "%s/%s-%lu.txt", o->keep, windows_name[windows], seed);
	f = fopen(path, "we");
	if (!f)
		return;
	print_program(f, &p);
	fclose(f);
}

/* ---- the two suites ------------------------------------------------------------------------------ */

static int is_text(const struct dirent *d)
{
	size_t n = strlen(d->d_name);

	return n > 4 && !strcmp(d->d_name + n - 4, ".txt");
}

static bool replay(const struct options *o, const char *path, struct totals *t)
{
	struct program p;
	int bad = read_program(path, &p);
	bool good = true;

	if (bad) {
		printf("# %s, line %d: not a step\n", path, bad);
		return false;
	}
	for (enum windows w = 0; w < WINDOW_KINDS; w++) {
		if ((o->windows >= 0 && o->windows != (int)w) || !suits(&p, w))
			continue;
		bench.thorough = true;
		good = good && agrees(&p, w, path, t);
		bench.thorough = false;
		take_note();
	}
	return good;
}

static bool replay_corpus(const struct options *o, struct totals *t)
{
	const char *source = getenv("PINFOLD_SOURCE");
	char folder_of[600], path[900];
	struct dirent **names;
	bool good = true;
	int n;

	snprintf(folder_of, sizeof(folder_of), "%s/tests/fuzz/corpus", source ? source : ".");
	n = scandir(folder_of, &names, is_text, alphasort);
	if (n <= 0)
		printf("# no programs in %s\n", folder_of);
	for (int i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "%s/%s", folder_of, names[i]->d_name);
		good = good && replay(o, path, t);
		free(names[i]);
	}
	if (n >= 0)
		free(names);
	return good && n > 0;
}

static bool try_seed(const struct options *o, uint64_t seed, struct totals *t)
{
	struct program p;
	char from[40];

	make_program(&p, seed);
	snprintf(from, sizeof(from), "seed %lu", seed);
	for (enum windows w = 0; w < WINDOW_KINDS; w++) {
		if ((o->windows >= 0 && o->windows != (int)w) || !suits(&p, w))
			continue;
		if (!agrees(&p, w, from, t))
			return false;
		if (o->keep)
			keep(o, &p, w, seed);
		take_note();
	}
	return true;
}

static bool try_seeds(const struct options *o, struct totals *t)
{
	uint64_t end = o->seconds ? now_ms() + 1000ull * o->seconds : UINT64_MAX, seed = o->seed;
	uint64_t tell = now_ms() + TELL_EVERY_MS;
	bool good = true;

	do {
		good = try_seed(o, seed++, t);
		if (now_ms() < tell)
			continue;
		printf("# seed %lu: %u programs, %u steps\n", seed - 1, t->programs, t->steps);
		fflush(stdout);
		tell += TELL_EVERY_MS;
	} while (good && !stopped && !o->once && now_ms() < end);
	printf("# seeds %lu to %lu\n", o->seed, seed - 1);
	return good;
}

/* ---- the program --------------------------------------------------------------------------------- */

static bool parse_options(int argc, char **argv, struct options *o)
{
	for (int i = 1; i < argc; i++) {
		const char *value = i + 1 < argc ? argv[i + 1] : NULL;

		if (!strcmp(argv[i], "--once")) {
			o->once = true;
			continue;
		}
		if (!value)
			return false;
		if (!strcmp(argv[i], "--seconds"))
			o->seconds = (unsigned)atoi(value);
		else if (!strcmp(argv[i], "--seed"))
			o->seed = strtoull(value, NULL, 0);
		else if (!strcmp(argv[i], "--replay"))
			o->replay = value;
		else if (!strcmp(argv[i], "--keep"))
			o->keep = value;
		else if (!strcmp(argv[i], "--window"))
			for (o->windows = 0; o->windows < WINDOW_KINDS && strcmp(windows_name[o->windows], value);)
				o->windows++;
		else
			return false;
		i++;
	}
	return o->windows < WINDOW_KINDS;
}

static bool tell_result(int number, bool good, const char *what, const struct totals *t)
{
	printf("%sok %d - %s\n# %u programs, %u steps, %u left out, %u abandoned, %u pairs of step and state\n",
	       good ? "" : "not ", number, what, t->programs, t->steps, t->skipped, t->abandoned, pairs_seen());
	fflush(stdout);
	return good;
}

/* A folder of our own: children that end by exit() must not remove it. */
static void find_place(char *made, size_t size)
{
	const char *tmp = getenv("TMPDIR");

	*made = 0;
	if (getenv("PINFOLD_TEST_DIR"))
		return;
	snprintf(made, size, "%s/pinfold-fuzz-XXXXXX", tmp ? tmp : "/tmp");
	if (!mkdtemp(made) || setenv("PINFOLD_TEST_DIR", made, 1))
		abort();
}

static void stop(int sig)
{
	stopped = sig;
}

int main(int argc, char **argv)
{
	struct options o = { .seconds = PINFOLD_DEBUG_BUILD ? 8 : 60, .seed = 1, .windows = -1 };
	struct totals t[2] = { { 0 } };
	char made[500];
	bool good;

	if (!parse_options(argc, argv, &o)) {
		fprintf(stderr, "see tests/fuzz/kernel_test.c\n");
		return 2;
	}
	find_place(made, sizeof(made));
	find_folder();
	learn_signals();
	signal(SIGINT, stop);
	start_bench(&bench);
	if (o.replay) {
		good = tell_result(1, replay(&o, o.replay, &t[0]), "the program agrees with the kernel", &t[0]);
	} else {
		printf("1..4\n");
		good = tell_result(1, replay_corpus(&o, &t[0]), "the corpus agrees with the kernel", &t[0]);
		good &= tell_result(2, try_seeds(&o, &t[1]), "random programs agree with the kernel", &t[1]);
		printf("ok 3 - with pins%s\n", has_uring() ? "" : " # SKIP io_uring is refused");
		printf("ok 4 - with direct windows%s\n", no_window() ? " # SKIP userfaultfd is refused" : "");
	}
	if (*made)
		remove_folder();
	return good ? 0 : 1;
}
