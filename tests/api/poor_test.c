/* SPDX-License-Identifier: MIT */
/*
 * poor_test.c - what the system refuses is said by the probe, and what was not used is not counted.
 *
 * The tests hold on every system.  Under tests/poor/poor.c (make check-poor) they also insist that everything is
 * refused, so that a hole in its filter is not taken for a good result.
 */
#include "world.h"

#include <poll.h>
#include <sys/resource.h>

#define MEMLOCK (8ul << 20) /* tests/poor/poor.c */

static bool poor(void)
{
	return getenv("PINFOLD_POOR") != NULL;
}

static struct pinfold_probe probe(void)
{
	struct pinfold_probe p = { .size = sizeof(p) };

	assert_ok(pinfold_get_probe(&p));
	return p;
}

static void the_probe_names_what_is_refused(void **state)
{
	struct pinfold_probe p = probe();
	struct rlimit r;

	(void)state;
	assert_ok(p.memfd);
	assert_ok(getrlimit(RLIMIT_MEMLOCK, &r));
	assert_int_equal(p.memlock, (uint64_t)r.rlim_cur);
	if (!poor())
		return;
	assert_int_equal(p.userfaultfd, -EPERM);
	assert_int_equal(p.uffd_user_mode_only, -EPERM);
	assert_int_equal(p.uffd_how, 0);
	assert_int_equal(p.uring, -EPERM);
	assert_true(r.rlim_max <= MEMLOCK);
	assert_int_not_equal(geteuid(), 0);
}

/* Header: the error of userfaultfd, and the machine works on without. */
static void a_direct_window_is_refused_with_the_probes_error(void **state)
{
	struct pinfold_probe p = probe();
	struct mm_struct *mm = NULL;
	struct page *page;
	struct world w;
	int r;

	WORLD(w, *state);
	r = pinfold_mm_create(w.m, PINFOLD_WINDOW_DIRECT, &mm);
	/* -ENOSYS: a kernel before 5.19 has the call, but not all events */
	assert_int_equal(r, p.uffd_how ? 0 : p.userfaultfd ? p.userfaultfd : -ENOSYS);
	assert_int_equal(stats_of(w.m).mms, r ? 1 : 2);
	if (!r)
		assert_ok(pinfold_mm_destroy(mm));
	page = pin_one(w.at, FOLL_WRITE);
	assert_true(is_filled(page_address(page), 0, 0));
	assert_ok(put_user_page(page));
	world_end(&w);
}

/* Reads ahead, stores and commits; the counters say how. */
static void read_and_commit(const struct kind *k, unsigned flags, bool ring)
{
	uint64_t end = now_ms() + 5000;
	struct pinfold_stats s;
	struct pollfd p = { .events = POLLIN };
	struct world w;

	WORLD(w, k, .machine_flags = flags);
	p.fd = pinfold_poll_fd(w.m);
	if (ring)
		assert_true(p.fd >= 0);
	else
		assert_int_equal(p.fd, -EOPNOTSUPP);
	assert_int_equal(pinfold_prefetch(w.mm, w.at, 16 * PG), 16);
	while (stats_of(w.m).pages_read < 16 && now_ms() < end) {
		if (ring)
			poll(&p, 1, 10);
		assert_true(pinfold_progress(w.m) >= 0);
	}
	assert_true(page_is(&w, 0, 15));
	store_page(&w, 1, 3);
	assert_ok(pinfold_commit(w.file, 0, 0, NULL));
	assert_true(disk_is(&w, 1, 3));
	s = stats_of(w.m);
	assert_int_equal(s.pages_read, 16);
	assert_true(s.read_calls > 0 && s.commits == 1 && s.flushes > 0);
	assert_int_equal(s.uring_reads > 0, ring);
	assert_int_equal(s.uring_writes > 0, ring);
	world_end(&w);
}

/* Header: poll_fd -EOPNOTSUPP without io_uring; doc/design.md D15: the caller does its I/O. */
static void the_counters_tell_who_did_the_io(void **state)
{
	read_and_commit(*state, 0, probe().uring == 0);
	read_and_commit(*state, PINFOLD_NO_URING, false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PLAIN(the_probe_names_what_is_refused),
		ON(pool, a_direct_window_is_refused_with_the_probes_error),
		ON(direct, a_direct_window_is_refused_with_the_probes_error),
		ON(extent, a_direct_window_is_refused_with_the_probes_error),
		EACH(the_counters_tell_who_did_the_io),
	};

	return world_main(tests);
}
