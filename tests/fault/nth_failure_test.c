/* SPDX-License-Identifier: MIT */
/*
 * nth_failure_test.c - the 1st, 2nd, 3rd ... allocation or host call inside a call fails, until a run
 * has none left to fail.  Each time: the error is a plain one, the state is as before, the machine's
 * check and the leak equation hold, and the same call without the failure succeeds.
 *
 * Only debug builds count calls; others skip.  Sanitizer builds find the memory that is lost.
 */
#include "../api/world.h"

#include "host/fake.h"
#include "mm/machine.h"

#include <dirent.h>

struct nth {
	const struct kind *kind;
	unsigned file_flags;
	unsigned long n;
	bool hit;       /* the nth call was reached and failed */
	unsigned hits;
};

/* An expression with its nth call failing. */
#define FAILING(t, expr) \
	({ \
		host_inject((t)->n); \
		__typeof__(expr) result_ = (expr); \
		(t)->hit = host_inject(0) >= (t)->n; \
		result_; \
	})

static bool plain_error(long r)
{
	if (r == -ENOMEM || r == -EIO || r == -ENOSPC || r == -EFAULT)
		return true;
	print_message("error %ld\n", r);
	return false;
}

static struct setup small(struct nth *t)
{
	return (struct setup){
		.pages = 16, .memory = 8 * MIB, .pool = 4 * MIB, .file_flags = t->file_flags,
		.deadline_ms = 50, .machine_flags = t->n % 2 ? PINFOLD_NO_URING : 0,
	};
}

static int descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static int mappings(void)
{
	FILE *f = fopen("/proc/self/maps", "r");
	char line[1200];
	int n = 0;

	while (fgets(line, sizeof(line), f))
		n += strstr(line, "pinfold-pool") || strstr(line, "pinfold-file");
	fclose(f);
	return n;
}

/* Runs a scenario for n = 1, 2, ... as long as there is something to fail.  How many did. */
static unsigned every_nth(const struct kind *k, unsigned file_flags, void (*scenario)(struct nth *t))
{
	struct nth t = { .kind = k, .file_flags = file_flags, .n = 1000000 };
	int fds, maps;

	if (!PINFOLD_DEBUG_BUILD) {
		print_message("skipped: only debug builds fail on purpose\n");
		skip();
	}
	if (k->window == PINFOLD_WINDOW_DIRECT)
		need_window();
	arm_signals();
	scenario(&t); /* what is opened once stays open */
	assert_false(t.hit);
	fds = descriptors();
	maps = mappings();
	/* two in a row without: odd and even runs differ */
	for (unsigned idle = 0, n = 1; idle < 2; n++) {
		t.n = n;
		scenario(&t);
		t.hits += t.hit;
		idle = t.hit ? 0 : idle + 1;
		if (descriptors() != fds || mappings() != maps)
			fail_msg("failure %u: %d descriptors, before %d; %d mappings, before %d", n,
			         descriptors(), fds, mappings(), maps);
		assert_true(n < 300);
	}
	return t.hits;
}

/* ---- machines, files, mms -------------------------------------------------------------------- */

static void create(struct nth *t)
{
	struct pinfold_options o = {
		.size = sizeof(o), .memory = 8 * MIB, .pool = 4 * MIB,
		.flags = t->n % 2 ? PINFOLD_NO_URING : 0,
	};
	struct pinfold *m = NULL;
	int r = FAILING(t, pinfold_create(&o, &m));

	if (r) {
		assert_true(t->hit && plain_error(r));
		assert_null(m);
		assert_ok(pinfold_create(&o, &m));
	}
	end_machine(m);
}

static void creating_a_machine(void **state)
{
	assert_true(every_nth(*state, 0, create) > 0);
}

static void open_file(struct nth *t)
{
	struct pinfold_file_options fo = { .size = sizeof(fo), .flags = t->kind->flags | t->file_flags };
	struct setup s = small(t);
	struct world w = { .pages = 16 };
	int r;

	new_path(w.path, sizeof(w.path));
	w.fd = new_file(w.path, 16 * PG, false);
	w.m = new_machine(&s);
	r = FAILING(t, pinfold_open(w.m, w.path, &fo, &w.file));
	if (r) {
		assert_true(t->hit && plain_error(r));
		assert_int_equal(stats_of(w.m).files, 0);
		check_machine(w.m);
	} else {
		assert_ok(pinfold_close(w.file));
	}
	assert_true(disk_is(&w, 0, 3));
	world_open(&w, t->kind, &s);
	store_page(&w, 1, 3);
	assert_ok(pinfold_commit(w.file, 0, 0, NULL));
	assert_true(disk_is(&w, 1, 3));
	world_end(&w);
}

static void opening_a_file(void **state)
{
	assert_true(every_nth(*state, 0, open_file) > 0);
	assert_true(every_nth(*state, PINFOLD_FILE_NO_JOURNAL, open_file) > 0);
	assert_true(every_nth(*state, PINFOLD_FILE_NO_ODIRECT, open_file) > 0);
}

static void open_new_file(struct nth *t)
{
	struct pinfold_file_options fo = {
		.size = sizeof(fo), .flags = t->kind->flags | PINFOLD_FILE_CREATE,
	};
	struct setup s = small(t);
	struct world w = { .pages = 16 };
	int r;

	new_path(w.path, sizeof(w.path));
	w.m = new_machine(&s);
	r = FAILING(t, pinfold_open(w.m, w.path, &fo, &w.file));
	if (r) {
		assert_true(t->hit && plain_error(r));
		assert_ok(pinfold_open(w.m, w.path, &fo, &w.file));
	}
	assert_int_equal(pinfold_size(w.file), 0);
	assert_ok(pinfold_close(w.file));
	end_machine(w.m);
	unlink(w.path);
}

static void creating_a_file(void **state)
{
	assert_true(every_nth(*state, 0, open_new_file) > 0);
}

static void open_memory(struct nth *t)
{
	struct pinfold_file_options fo = { .size = sizeof(fo), .flags = t->kind->flags };
	struct setup s = small(t);
	struct pinfold *m = new_machine(&s);
	struct pinfold_file *file = NULL;
	int r = FAILING(t, pinfold_open_memory(m, 16 * PG, &fo, &file));

	if (r) {
		assert_true(t->hit && plain_error(r));
		assert_ok(pinfold_open_memory(m, 16 * PG, &fo, &file));
	}
	assert_ok(pinfold_close(file));
	end_machine(m);
}

static void opening_a_memory_file(void **state)
{
	assert_true(every_nth(*state, 0, open_memory) > 0);
}

/* A disk on which three commits are in the journal and nothing of them is in the file. */
static struct host_disk *disk_to_replay(void)
{
	struct pinfold_options o = {
		.size = sizeof(o), .memory = 8 * MIB, .pool = 8 * MIB, .flags = PINFOLD_NO_URING,
	};
	struct host_disk *d = fake_disk_create(1), *crashed;
	struct setup s = { .file_flags = PINFOLD_FILE_CREATE, .map_pages = 16 };
	struct world w = { .path = "data", .pages = 16, .fd = -1 };

	assert_ok(machine_create_on(d, &o, &w.m));
	world_open(&w, &pool, &s);
	assert_ok(vfs_truncate(w.file, 16 * PG));
	for (unsigned k = 0; k < 3; k++) {
		store_page(&w, 1, k);
		assert_ok(pinfold_commit(w.file, 0, 0, NULL));
	}
	crashed = fake_disk_crash(d, fake_disk_ops(d), 1, 0);
	world_close(&w);
	end_machine(w.m);
	fake_disk_destroy(d);
	return crashed;
}

static void replay(struct nth *t)
{
	struct pinfold_file_options fo = { .size = sizeof(fo), .flags = t->kind->flags | t->file_flags };
	struct pinfold_options o = {
		.size = sizeof(o), .memory = 8 * MIB, .pool = 4 * MIB, .flags = PINFOLD_NO_URING,
	};
	struct setup s = { .file_flags = t->file_flags };
	struct host_disk *d = disk_to_replay();
	struct world w = { .path = "data", .pages = 16, .fd = -1 };
	int r;

	assert_ok(machine_create_on(d, &o, &w.m));
	r = FAILING(t, pinfold_open(w.m, "data", &fo, &w.file));
	if (r) {
		assert_true(t->hit && plain_error(r));
		check_machine(w.m);
	} else {
		assert_ok(pinfold_close(w.file));
	}
	world_open(&w, t->kind, &s);
	assert_int_equal(pinfold_size(w.file), 16 * PG);
	for (unsigned k = 0; k < 3; k++)
		assert_true(page_is(&w, 1, k));
	world_close(&w);
	end_machine(w.m);
	fake_disk_destroy(d);
}

static void opening_with_replay(void **state)
{
	assert_true(every_nth(*state, 0, replay) > 0);
	assert_true(every_nth(*state, PINFOLD_FILE_NO_JOURNAL, replay) > 0);
}

static void create_mm(struct nth *t)
{
	struct setup s = small(t);
	struct pinfold *m = new_machine(&s);
	struct mm_struct *mm = NULL;
	int r = FAILING(t, pinfold_mm_create(m, t->kind->window, &mm));

	if (r) {
		assert_true(t->hit && plain_error(r));
		assert_int_equal(stats_of(m).mms + stats_of(m).tables, 0);
		assert_ok(pinfold_mm_create(m, t->kind->window, &mm));
	}
	assert_ok(pinfold_mm_destroy(mm));
	end_machine(m);
}

static void creating_an_mm(void **state)
{
	assert_true(every_nth(*state, 0, create_mm) > 0);
}

static void map_file(struct nth *t)
{
	struct setup s = small(t);
	struct world w;
	long a;

	world_start(&w, t->kind, &s);
	a = FAILING(t, vm_mmap(w.mm, 0, 16 * PG, RW, SHARED, w.file, 0));
	if (a < 0) {
		assert_true(t->hit && plain_error(a));
		assert_int_equal(stats_of(w.m).vmas, 1);
		check_machine(w.m);
		a = vm_mmap(w.mm, 0, 16 * PG, RW, SHARED, w.file, 0);
	}
	assert_true(a > 0);
	assert_ok(vm_munmap(w.mm, w.at, 16 * PG));
	w.at = (unsigned long)a;
	store_page(&w, 1, 2);
	assert_true(page_is(&w, 1, 2));
	world_end(&w);
}

static void mapping_a_file(void **state)
{
	every_nth(*state, 0, map_file);
}

/* POPULATE's own failures are ignored, as in Linux. */
static void map_populated(struct nth *t)
{
	struct setup s = small(t);
	struct world w;
	long a;

	world_start(&w, t->kind, &s);
	a = FAILING(t, vm_mmap(w.mm, 0, 16 * PG, RW, SHARED | PINFOLD_MAP_POPULATE, w.file, 0));
	assert_true(a > 0 || (t->hit && plain_error(a)));
	check_machine(w.m);
	for (unsigned p = 0; p < 16; p++)
		assert_true(page_is(&w, 0, p));
	world_end(&w);
}

static void mapping_with_populate(void **state)
{
	assert_true(every_nth(*state, 0, map_populated) > 0);
}

/* FIXED: what was mapped there is gone or still there whole; never half. */
static void map_over(struct nth *t)
{
	struct setup s = small(t);
	struct world w;
	long a;

	world_start(&w, t->kind, &s);
	store_page(&w, 1, 5);
	a = FAILING(t, vm_mmap(w.mm, w.at, 16 * PG, RW, SHARED | PINFOLD_MAP_FIXED, w.file, 0));
	check_machine(w.m);
	if (a < 0) {
		assert_true(t->hit && plain_error(a));
		assert_true(stats_of(w.m).vmas <= 1);
		a = vm_mmap(w.mm, w.at, 16 * PG, RW, SHARED | PINFOLD_MAP_FIXED, w.file, 0);
	}
	assert_int_equal(a, w.at);
	assert_true(page_is(&w, 1, 5));
	world_end(&w);
}

static void mapping_over_a_mapping(void **state)
{
	every_nth(*state, 0, map_over);
}

/* ---- faults ---------------------------------------------------------------------------------- */

static void pin_with(struct nth *t, unsigned flags, unsigned n)
{
	struct setup s = small(t);
	struct page *pages[16];
	struct world w;
	long r;

	world_start(&w, t->kind, &s);
	r = FAILING(t, get_user_pages_fast(w.at, (int)n, flags, pages));
	if (r < 0)
		assert_true(t->hit && plain_error(r) && plain_error(last_error()));
	check_machine(w.m);
	assert_int_equal(stats_of(w.m).pins_acquired, r < 0 ? 0 : r);
	for (long i = 0; i < r; i++)
		assert_true(is_filled(page_address(pages[i]), 0, (uint64_t)i));
	if (r > 0)
		assert_ok(put_user_pages(pages, (unsigned long)r));
	assert_int_equal(get_user_pages_fast(w.at, (int)n, flags, pages), n);
	for (unsigned i = 0; i < n; i++)
		assert_true(is_filled(page_address(pages[i]), 0, i));
	assert_ok(put_user_pages(pages, n));
	world_end(&w);
}

static void read_pin(struct nth *t)
{
	pin_with(t, 0, 1);
}

static void read_pins(struct nth *t)
{
	pin_with(t, 0, 16);
}

static void write_pins(struct nth *t)
{
	pin_with(t, FOLL_WRITE, 16);
}

static void pinning(void **state)
{
	assert_true(every_nth(*state, 0, read_pin) > 0);
	assert_true(every_nth(*state, 0, read_pins) > 0);
	assert_true(every_nth(*state, 0, write_pins) > 0);
}

static void prefetch(struct nth *t)
{
	struct setup s = small(t);
	struct world w;
	long r;

	world_start(&w, t->kind, &s);
	r = FAILING(t, pinfold_prefetch(w.mm, w.at, 16 * PG));
	assert_in_range(r, 0, 16);
	check_machine(w.m);
	for (unsigned p = 0; p < 16; p++)
		assert_true(page_is(&w, 0, p));
	world_end(&w);
}

static void prefetching(void **state)
{
	assert_true(every_nth(*state, 0, prefetch) > 0);
}

static void touch(struct nth *t, bool write)
{
	struct setup s = small(t);
	struct world w;
	int sig;

	world_start(&w, t->kind, &s);
	sig = FAILING(t, signal_of({
		volatile uint64_t *p = (uint64_t *)(w.at + 3 * PG);

		if (write)
			*p = 7;
		else
			(void)*p;
	}));
	if (sig) {
		assert_int_equal(sig, SIGBUS);
		assert_true(t->hit && plain_error(last_error()));
	}
	check_machine(w.m);
	if (!write || sig)
		assert_true(page_is(&w, 0, 3));
	*(volatile uint64_t *)(w.at + 3 * PG) = 7;
	assert_int_equal(*(volatile uint64_t *)(w.at + 3 * PG), 7);
	assert_int_equal(stats_of(w.m).dirty_pages, 1);
	world_end(&w);
}

static void window_load(struct nth *t)
{
	touch(t, false);
}

static void window_store(struct nth *t)
{
	touch(t, true);
}

static void touching_a_window(void **state)
{
	assert_true(every_nth(*state, 0, window_load) > 0);
	assert_true(every_nth(*state, 0, window_store) > 0);
}

static void pin_memory(struct nth *t)
{
	struct pinfold_file_options fo = { .size = sizeof(fo), .flags = t->kind->flags };
	struct setup s = small(t);
	struct pinfold_file *file;
	struct page *pages[4];
	struct world w;
	unsigned long a;
	long r;

	world_start(&w, t->kind, &s);
	assert_ok(pinfold_open_memory(w.m, 4 * PG, &fo, &file));
	a = (unsigned long)vm_mmap(w.mm, 0, 4 * PG, RW, SHARED, file, 0);
	r = FAILING(t, get_user_pages_fast(a, 4, FOLL_WRITE, pages));
	assert_true(r > 0 || (t->hit && plain_error(r)));
	check_machine(w.m);
	if (r > 0)
		assert_ok(put_user_pages(pages, (unsigned long)r));
	assert_int_equal(get_user_pages_fast(a, 4, FOLL_WRITE, pages), 4);
	assert_true(is_zero(page_address(pages[3]), 0, PG));
	assert_ok(put_user_pages(pages, 4));
	assert_ok(vm_munmap(w.mm, a, 4 * PG));
	assert_ok(pinfold_close(file));
	world_end(&w);
}

static void pinning_a_memory_file(void **state)
{
	assert_true(every_nth(*state, 0, pin_memory) > 0);
}

/* ---- commit ---------------------------------------------------------------------------------- */

static void store_in_section(struct world *w, uint64_t seed, unsigned p)
{
	assert_ok(pinfold_write_begin(w->file, PG));
	store_page(w, seed, p);
	assert_ok(pinfold_write_end(w->file));
}

static void commit(struct nth *t)
{
	struct pinfold_report rep = { .size = sizeof(rep) };
	struct setup s = small(t);
	struct world w;
	int r;

	s.map_pages = 32;
	world_start(&w, t->kind, &s);
	assert_ok(vfs_truncate(w.file, 20 * PG));
	for (unsigned p = 2; p < 18; p += 3)
		store_in_section(&w, 1, p);
	r = FAILING(t, pinfold_commit(w.file, 0, 0, &rep));
	if (r) {
		assert_true(t->hit && plain_error(r));
		assert_true(disk_is(&w, 0, 2) || (t->file_flags & PINFOLD_FILE_NO_JOURNAL));
		assert_true(stats_of(w.m).dirty_pages >= 6);
	}
	assert_true(disk_is(&w, 0, 3));
	check_machine(w.m);
	for (unsigned p = 2; p < 18; p += 3)
		assert_true(page_is(&w, 1, p));
	store_in_section(&w, 2, 5);
	assert_ok(pinfold_commit(w.file, 0, 0, NULL));
	assert_ok(pinfold_checkpoint(w.file));
	assert_int_equal(stats_of(w.m).dirty_pages, 0);
	assert_int_equal(disk_size(&w), 20 * PG);
	for (unsigned p = 2; p < 18; p += 3)
		assert_true(disk_is(&w, p == 5 ? 2 : 1, p));
	world_end(&w);
}

static void committing(void **state)
{
	const struct kind *k = *state;

	assert_true(every_nth(k, 0, commit) > 0);
	assert_true(every_nth(k, PINFOLD_FILE_NO_JOURNAL, commit) > 0);
	assert_true(every_nth(k, PINFOLD_FILE_PIN_WAIT, commit) > 0);
	if (k->window == PINFOLD_WINDOW_DIRECT)
		assert_true(every_nth(k, PINFOLD_FILE_ASYNC_WP, commit) > 0);
}

static void checkpoint(struct nth *t)
{
	struct setup s = small(t);
	struct world w;
	int r;

	world_start(&w, t->kind, &s);
	store_page(&w, 1, 2);
	assert_ok(pinfold_commit(w.file, 0, 0, NULL));
	r = FAILING(t, pinfold_checkpoint(w.file));
	if (r)
		assert_true(t->hit && plain_error(r));
	check_machine(w.m);
	store_page(&w, 2, 3);
	assert_ok(pinfold_commit(w.file, 0, 0, NULL));
	assert_ok(pinfold_checkpoint(w.file));
	assert_true(disk_is(&w, 1, 2) && disk_is(&w, 2, 3));
	world_end(&w);
}

static void checkpointing(void **state)
{
	assert_true(every_nth(*state, 0, checkpoint) > 0);
}

/* Header: -EIO at close means closed all the same, the journal stays for the next open. */
static void close_file(struct nth *t)
{
	struct setup s = small(t);
	struct world w;
	int r;

	world_start(&w, t->kind, &s);
	store_page(&w, 1, 2);
	assert_ok(pinfold_commit(w.file, 0, 0, NULL));
	store_page(&w, 2, 3);
	assert_ok(pinfold_use_mm(NULL));
	assert_ok(pinfold_mm_destroy(w.mm));
	r = FAILING(t, pinfold_close(w.file));
	assert_true(r == 0 || (t->hit && r == -EIO));
	check_machine(w.m);
	assert_int_equal(pinfold_close(w.file), -EBADF);
	assert_int_equal(stats_of(w.m).files, 0);
	world_open(&w, t->kind, &s);
	assert_true(page_is(&w, 1, 2) && page_is(&w, 0, 3));
	world_end(&w);
}

static void closing(void **state)
{
	every_nth(*state, 0, close_file);
	every_nth(*state, PINFOLD_FILE_NO_JOURNAL, close_file);
}

/* What memory pressure does: reclaim, and the reads that follow. */
static void under_pressure(struct nth *t)
{
	struct setup s = small(t);
	struct world w;
	unsigned good = 0;

	s.pages = 1500;
	world_start(&w, t->kind, &s);
	host_inject(t->n * 40);
	for (unsigned p = 0; p < s.pages; p += 1) {
		struct page *page;

		if (get_user_pages_fast(w.at + p * PG, 1, 0, &page) != 1)
			continue;
		good += is_filled(page_address(page), 0, p);
		assert_ok(put_user_page(page));
	}
	t->hit = host_inject(0) >= t->n * 40;
	assert_true(good >= s.pages - 1);
	check_machine(w.m);
	assert_true(page_is(&w, 0, 0) && page_is(&w, 0, 1499));
	world_end(&w);
}

static void reading_more_than_memory(void **state)
{
	assert_true(every_nth(*state, 0, under_pressure) > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PLAIN(creating_a_machine),
		EACH(opening_a_file),
		EACH(creating_a_file),
		EACH(opening_a_memory_file),
		EACH(opening_with_replay),
		EACH(creating_an_mm),
		EACH(mapping_a_file),
		EACH(mapping_with_populate),
		EACH(mapping_over_a_mapping),
		EACH(pinning),
		EACH(prefetching),
		ON(window, touching_a_window),
		EACH(pinning_a_memory_file),
		EACH(committing),
		EACH(checkpointing),
		EACH(closing),
		EACH(reading_more_than_memory),
	};

	/* In memory: thousands of commits, and it is not the disk that is tested. */
	if (access("/dev/shm", W_OK) == 0)
		use_folder_in("/dev/shm");
	return world_main(tests);
}
