/* SPDX-License-Identifier: MIT */
/*
 * demo_crash.c - kills and power cuts, each followed by a look at the file.
 *
 * A writer runs the demo's transfers until it is struck.  Then a fresh process opens the store as
 * its owner would after a crash, and what it reads is judged against the commits begun and
 * finished, which the writer counted in shared memory.  After a right verdict the next writer goes
 * on from there.
 */
#include "demo.h"
#include "model.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define CRASH_SIZE (64u << 20)
/* Less than the file, so that eviction takes part. */
#define CRASH_MEMORY (48u << 20)
#define IMAGE_SIZE (512u << 20)
#define MIN_MS 20
#define MAX_MS 220

#define EXT4_IOC_SHUTDOWN _IOR('X', 125, uint32_t)
#define EXT4_GOING_FLAGS_NOLOGFLUSH 2u

struct crash {
	const struct demo_options *options;
	struct store store;
	struct crash_count *count;
	struct run_shared *shared;
	struct model *model;
	char path[PATH_SIZE];
	bool fresh; /* the file must be written anew */
	uint64_t finished; /* as known at the moment of the crash */
	uint64_t random;
	const char *mount, *image; /* NULL: kills */
};

/* In shared memory: what a checking child found. */
static struct {
	int opened;
	enum verdict verdict;
	char note[200];
} *found;

static int create(void *arg)
{
	struct crash *c = arg;
	int rc = c->store.engine->create(&c->store);

	if (rc == 0)
		file_cool(c->path);
	if (rc == 0 && c->mount) {
		int fd = open(c->mount, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		/* The power cut is to meet the writer, not the preparation. */
		if (fd < 0 || syncfs(fd) < 0)
			rc = store_fail(&c->store, -errno, "syncfs");
		close(fd);
	}
	if (rc < 0)
		snprintf(found->note, sizeof(found->note), "%s", c->store.error);
	return rc < 0;
}

static int writer(void *arg)
{
	struct crash *c = arg;
	struct run_plan plan = { .store = &c->store,
		                 .threads = c->options->threads,
		                 .resume = c->model->generator,
		                 .shared = c->shared };
	int rc = c->store.engine->open(&c->store);

	if (rc == 0)
		rc = run(&plan);
	/* Only a power cut may end it with an error. */
	snprintf(found->note, sizeof(found->note), "writer: %s", c->store.error);
	return rc < 0;
}

static int check(void *arg)
{
	struct crash *c = arg;
	int rc = c->store.engine->open(&c->store);

	found->opened = rc == 0;
	if (rc == 0) {
		rc = model_load(c->model, &c->store);
		if (c->store.engine->close(&c->store) < 0)
			rc = -EIO;
	}
	if (rc < 0) {
		snprintf(found->note, sizeof(found->note), "%s", c->store.error);
		found->verdict = VERDICT_TORN;
		model_reset(c->model);
		return 0;
	}
	found->verdict = model_judge(c->model, c->finished, atomic_load(&c->shared->begun));
	if (found->verdict != VERDICT_RIGHT)
		snprintf(found->note, sizeof(found->note), "commits %" PRIu64 " finished, %" PRIu64
		         " begun", c->finished, atomic_load(&c->shared->begun));
	return 0;
}

static unsigned random_ms(struct crash *c)
{
	c->random = c->random * 6364136223846793005u + 1442695040888963407u;
	return MIN_MS + (unsigned)(c->random >> 33) % (MAX_MS - MIN_MS);
}

/* The file system forgets what is not on its disk, at once; the process goes on for a moment. */
static int cut_power(struct crash *c)
{
	uint32_t flag = EXT4_GOING_FLAGS_NOLOGFLUSH;
	int fd = open(c->mount, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = 0;

	if (fd < 0)
		return -errno;
	c->finished = atomic_load(&c->shared->finished);
	if (ioctl(fd, EXT4_IOC_SHUTDOWN, &flag) < 0)
		rc = -errno;
	close(fd);
	return rc;
}

static int mount_image(struct crash *c)
{
	const char *const argv[] = { "mount", "-o", "loop", c->image, c->mount, NULL };

	return command(argv);
}

/* I/O of the killed writer may hold the file system for a moment. */
static int mount_again(struct crash *c)
{
	for (int i = 0; umount2(c->mount, 0) < 0; i++) {
		if (i == 500)
			return -errno;
		sleep_ms(10);
	}
	return mount_image(c) ? -EIO : 0;
}

/* Until the writer has begun a commit, or ended. */
static bool writer_ready(struct crash *c, pid_t pid)
{
	for (int i = 0; i < 2000; i++) {
		siginfo_t info = { .si_pid = 0 };

		if (atomic_load(&c->shared->begun) > c->model->commit)
			return true;
		if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid)
			return false;
		sleep_ms(5);
	}
	return false;
}

/* One crash.  False: there is no use in going on. */
static bool crash_once(struct crash *c)
{
	pid_t pid;
	bool ready;
	int rc = 0;

	found->note[0] = 0;
	if (c->fresh && child_run(create, c)) {
		snprintf(c->count->note, sizeof(c->count->note), "no file: %.150s", found->note);
		return false;
	}
	atomic_store(&c->shared->begun, c->model->commit);
	atomic_store(&c->shared->finished, c->model->commit);
	pid = child_start(writer, c);
	ready = pid > 0 && writer_ready(c, pid);
	if (ready) {
		sleep_ms(random_ms(c));
		rc = c->mount ? cut_power(c) : 0;
	}
	if (pid > 0) {
		kill(pid, SIGKILL);
		child_wait(pid);
	}
	if (!c->mount)
		c->finished = atomic_load(&c->shared->finished);
	if (ready && rc == 0 && c->mount)
		rc = mount_again(c);
	if (!ready || rc < 0) {
		snprintf(c->count->note, sizeof(c->count->note), "%s %.150s",
		         ready ? "power switch:" : "the writer did not start:",
		         ready ? strerror(-rc) : found->note);
		return false;
	}
	if (child_run(check, c)) {
		snprintf(found->note, sizeof(found->note), "the checking process died");
		found->verdict = VERDICT_TORN;
		model_reset(c->model);
	}
	return true;
}

static void crash_engine(struct crash *c, unsigned times, const char *what)
{
	const struct engine *e = c->count->engine;

	c->store = (struct store){ .engine = e,
		                   .path = c->path,
		                   .size = CRASH_SIZE,
		                   .records = CRASH_SIZE / sizeof(struct record),
		                   .memory = CRASH_MEMORY };
	c->fresh = true;
	model_reset(c->model);
	for (unsigned i = 0; i < times; i++) {
		if (i % 10 == 0)
			demo_progress("%s: %s, %u of %u", e->name, what, i, times);
		if (!crash_once(c))
			break;
		c->count->done++;
		c->count->verdict[found->verdict]++;
		c->fresh = found->verdict != VERDICT_RIGHT;
		if (c->fresh)
			snprintf(c->count->note, sizeof(c->count->note), "%s", found->note);
	}
	unlink(c->path);
}

static void crash_all(struct crash *c, struct crash_count counts[CRASH_ENGINES], unsigned times,
                      const char *what)
{
	const char *dir = c->mount ? c->mount : room_dir();

	for (int i = 0; i < CRASH_ENGINES; i++) {
		c->count = &counts[i];
		if (counts[i].skipped[0])
			continue;
		snprintf(c->path, sizeof(c->path), "%.3900s/crash-%d.dat", dir, i);
		crash_engine(c, times, what);
	}
}

static void crash_init(struct crash *c, const struct demo_options *o,
                       struct crash_count counts[CRASH_ENGINES])
{
	static const struct engine *const engines[CRASH_ENGINES] = { &engine_mmap, &engine_lmdb,
		                                                     &engine_pinfold };

	memset(c, 0, sizeof(*c));
	c->options = o;
	c->random = o->seed;
	c->shared = shared_alloc(sizeof(*c->shared));
	c->model = model_alloc(o->seed, o->threads, CRASH_SIZE / sizeof(struct record));
	found = shared_alloc(sizeof(*found));
	for (int i = 0; i < CRASH_ENGINES; i++) {
		counts[i].engine = engines[i];
		if (engine_missing(engines[i]))
			snprintf(counts[i].skipped, sizeof(counts[i].skipped), "skipped: %s",
			         engine_missing(engines[i]));
	}
}

static void skip_all(struct crash_count counts[CRASH_ENGINES], const char *why)
{
	for (int i = 0; i < CRASH_ENGINES; i++)
		if (!counts[i].skipped[0])
			snprintf(counts[i].skipped, sizeof(counts[i].skipped), "not run: %s", why);
}

void demo_kills(const struct demo_options *o, struct crash_count counts[CRASH_ENGINES])
{
	struct crash c;

	crash_init(&c, o, counts);
	if (!o->kills)
		skip_all(counts, "--kills 0");
	crash_all(&c, counts, o->kills, "kills");
}

struct cuts {
	struct crash crash;
	struct crash_count *counts;
};

/* An empty ext4 in a file.  NULL, or why there is none. */
static const char *make_image(const struct crash *c)
{
	const char *const mkfs[] = { "mkfs.ext4", "-q", "-F", c->image, NULL };
	int fd = open(c->image, O_RDWR | O_CREAT | O_CLOEXEC, 0600), rc;

	if (fd < 0 || ftruncate(fd, IMAGE_SIZE) < 0 || mkdir(c->mount, 0700) < 0) {
		if (fd >= 0)
			close(fd);
		return "no image file";
	}
	close(fd);
	rc = command(mkfs);
	if (rc)
		return rc == 127 ? "install e2fsprogs (mkfs.ext4)" : "mkfs.ext4 failed";
	return NULL;
}

/*
 * In a mount namespace of its own: what it mounts, and the loop device with it, goes when the last
 * process of it ends, however that happens.
 */
static int cutter(void *arg)
{
	struct cuts *cuts = arg;
	struct crash *c = &cuts->crash;

	child_limit = CHILD_LIMIT;
	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
		skip_all(cuts->counts, "no mount namespace");
		return 0;
	}
	if (mount_image(c)) {
		skip_all(cuts->counts, "no loop mount (mount -o loop failed)");
		return 0;
	}
	crash_all(c, cuts->counts, c->options->cuts, "power cuts");
	umount2(c->mount, MNT_DETACH);
	return 0;
}

void demo_cuts(const struct demo_options *o, struct crash_count counts[CRASH_ENGINES])
{
	char image[PATH_SIZE], mnt[PATH_SIZE];
	struct cuts *cuts = shared_alloc(sizeof(*cuts));
	const char *why = NULL;

	crash_init(&cuts->crash, o, counts);
	cuts->counts = counts;
	room_path(image, "image.ext4");
	room_path(mnt, "mnt");
	cuts->crash.image = image;
	cuts->crash.mount = mnt;
	if (!o->cuts)
		why = "--cuts 0";
	else if (geteuid())
		why = "needs root (loop mount, EXT4_IOC_SHUTDOWN)";
	else
		why = make_image(&cuts->crash);
	child_limit = 0; /* the limit is for each process that it starts */
	if (why)
		skip_all(counts, why);
	else if (child_run(cutter, cuts))
		skip_all(counts, "the process with the mount died");
	child_limit = CHILD_LIMIT;
	unlink(image);
	rmdir(mnt);
}

void demo_crash_print(const char *what, const struct crash_count counts[CRASH_ENGINES])
{
	static const char *const name[VERDICTS] = { "right", "LOST", "UNCOMMITTED", "TORN" };
	bool any = false;

	printf("  %-24s %12s", what, "crashes");
	for (int v = 0; v < VERDICTS; v++)
		printf(" %12s", name[v]);
	printf("\n");
	for (int i = 0; i < CRASH_ENGINES; i++) {
		const struct crash_count *c = &counts[i];

		printf("    %-22s", c->engine->name);
		if (c->skipped[0]) {
			printf(" %s\n", c->skipped);
			continue;
		}
		printf(" %12u", c->done);
		for (int v = 0; v < VERDICTS; v++)
			printf(" %12u", c->verdict[v]);
		printf("\n");
		any = any || c->note[0];
	}
	for (int i = 0; any && i < CRASH_ENGINES; i++)
		if (counts[i].note[0])
			printf("    last of %s that was not right: %s\n", counts[i].engine->name,
			       counts[i].note);
}
