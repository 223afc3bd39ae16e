/* SPDX-License-Identifier: MIT */
/*
 * memory_test.c - anonymous memory as a resource: what mapping it takes and when, populate, the end of it, and threads
 * that touch it first together.
 */
#include "anon.h"

#define SMALL .memory = 8 * MIB, .pool = 4 * MIB, .deadline_ms = 50

/* ---- mapping ------------------------------------------------------------------------------------ */

/* Header: SHARED or PRIVATE, one of them; ANONYMOUS without a file; what does not fit the stretch. */
static void wrong_mappings_of_memory_are_refused(void **state)
{
	const struct kind *k = *state;
	struct pinfold *m = MACHINE();
	struct space s = new_space(m, k->window);
	unsigned long start, end;

	assert_int_equal(vm_mmap(s.mm, 0, PG, RW, ANON, NULL, 0), -EINVAL);
	assert_int_equal(vm_mmap(s.mm, 0, PG, RW, ANON | SHARED | PRIVATE, NULL, 0), -EINVAL);
	assert_int_equal(vm_mmap(s.mm, 0, 0, RW, ANON | PRIVATE, NULL, 0), -EINVAL);
	assert_int_equal(vm_mmap(s.mm, 0, ~0ul, RW, ANON | PRIVATE, NULL, 0), -EINVAL);
	assert_int_equal(vm_mmap(s.mm, 0, PG, RW | 4, ANON | PRIVATE, NULL, 0), -EINVAL);
	assert_int_equal(vm_mmap(s.mm, s.at + 1, PG, RW, ANON | PRIVATE | FIXED, NULL, 0), -EINVAL);
	assert_int_equal(vm_mmap(s.mm, 0, PG, RW, PRIVATE, NULL, 0), -EBADF);
	assert_int_equal(pinfold_mm_range(NULL, &start, &end), -EINVAL);
	assert_ok(pinfold_mm_range(s.mm, &start, &end));
	assert_true(start < s.at && s.at < end);
	assert_int_equal(vm_mmap(s.mm, end, PG, RW, ANON | PRIVATE | FIXED, NULL, 0), -ENOMEM);
	assert_int_equal(vm_mmap(s.mm, end - PG, 2 * PG, RW, ANON | PRIVATE | FIXED, NULL, 0), -ENOMEM);
	assert_int_equal(vm_mmap(s.mm, 0, end - start + PG, RW, ANON | PRIVATE, NULL, 0), -ENOMEM);
	if (s.window)
		assert_int_equal(vm_mmap(s.mm, start - PG, 2 * PG, RW, ANON | PRIVATE | FIXED, NULL, 0), -ENOMEM);
	assert_int_equal(stats_of(m).vmas, 0);
	end_both(m, &s);
}

/* Header: a direct window takes shared mappings of direct files only; an asynchronous file wants one. */
static void a_direct_window_refuses_what_it_cannot_show(void **state)
{
	struct pinfold_file_options fo = { .size = sizeof(fo), .flags = PINFOLD_FILE_DIRECT | PINFOLD_FILE_ASYNC_WP };
	struct pinfold_file *async;
	struct space s;
	struct world w;
	char path[600];
	int fd;

	WORLD(w, *state);
	assert_int_equal(vm_mmap(w.mm, 0, PG, RW, ANON | PRIVATE, NULL, 0), -EOPNOTSUPP);
	assert_int_equal(vm_mmap(w.mm, 0, PG, RW, ANON | SHARED, NULL, 0), -EOPNOTSUPP);
	assert_int_equal(vm_mmap(w.mm, 0, PG, RW, PRIVATE, w.file, 0), -EOPNOTSUPP);
	assert_int_equal(stats_of(w.m).vmas, 1);
	new_path(path, sizeof(path));
	fd = new_file(path, 4 * PG, false);
	assert_ok(pinfold_open(w.m, path, &fo, &async));
	s = new_space(w.m, PINFOLD_WINDOW_EXTENT);
	assert_int_equal(vm_mmap(s.mm, 0, PG, RW, SHARED, async, 0), -EOPNOTSUPP);
	assert_int_equal(vm_mmap(s.mm, 0, PG, RW, PRIVATE, async, 0), -EOPNOTSUPP);
	end_space(&s);
	assert_ok(pinfold_close(async));
	close(fd);
	unlink(path);
	assert_ok(pinfold_use_mm(w.mm));
	world_end(&w);
}

/* Header: a hint is taken where it is free, and is no more than that; NOREPLACE; all of it inside the stretch. */
static void places_are_found_inside_the_stretch(void **state)
{
	const struct kind *k = *state;
	struct pinfold *m = MACHINE();
	struct space s = new_space(m, k->window);
	unsigned long start, end;
	long a, b;

	assert_ok(pinfold_mm_range(s.mm, &start, &end));
	map_anon(&s, 0, 4, RW, PRIVATE);
	a = vm_mmap(s.mm, s.at + PG, 2 * PG, RW, ANON | PRIVATE, NULL, 0);
	assert_true(a > 0 && ((unsigned long)a >= s.at + 4 * PG || (unsigned long)a + 2 * PG <= s.at));
	b = vm_mmap(s.mm, s.at + 64 * PG, 2 * PG, RW, ANON | PRIVATE, NULL, 0);
	assert_int_equal(b, s.at + 64 * PG);
	assert_int_equal(vm_mmap(s.mm, s.at + 3 * PG, 2 * PG, RW, ANON | PRIVATE | PINFOLD_MAP_FIXED_NOREPLACE, NULL, 0),
	                 -EEXIST);
	for (int i = 0; i < 100; i++) {
		a = vm_mmap(s.mm, 0, 3 * PG, RW, ANON | PRIVATE, NULL, 0);
		assert_true((unsigned long)a >= start && (unsigned long)a + 3 * PG <= end);
		assert_int_equal(access_process_vm(s.mm, (unsigned long)a, &b, 8, FOLL_WRITE), 8);
	}
	end_both(m, &s);
}

/* Clause P14: copies go across mappings of all sorts and end at the first hole. */
static void copies_cross_mappings_and_end_at_a_hole(void **state)
{
	const struct kind *k = *state;
	char *buf = malloc(8 * PG), page[PG];
	struct pinfold *m = MACHINE();
	struct space s = new_space(m, k->window);

	map_anon(&s, 0, 2, RW, PRIVATE);
	map_anon(&s, 2, 2, RW, SHARED);
	for (unsigned p = 0; p < 4; p++)
		fill(buf + p * PG, 3, p);
	assert_int_equal(access_process_vm(s.mm, s.at, buf, 8 * PG, FOLL_WRITE), 4 * PG);
	assert_true(pages_are(&s, 3, 0, 4));
	memset(buf, 0, 8 * PG);
	assert_int_equal(access_process_vm(s.mm, s.at + 100, buf, 8 * PG, 0), 4 * PG - 100);
	fill(page, 3, 3);
	assert_memory_equal(buf + 3 * PG - 100, page, PG);
	assert_int_equal(access_process_vm(s.mm, s.at + 4 * PG, buf, 8, 0), -EFAULT);
	free(buf);
	end_both(m, &s);
}

/* ---- when frames come and go -------------------------------------------------------------------- */

/* Clause M1: shared memory lives as long as a mapping of it or a pin. */
static void shared_memory_goes_with_its_last_mapping(void **state)
{
	const struct kind *k = *state;
	struct pinfold *m = MACHINE();
	struct space s = new_space(m, k->window);
	uint64_t free = frames_free(m);
	struct page *page;

	map_anon(&s, 0, 8, RW, SHARED);
	put_pages(&s, 1, 0, 8);
	assert_int_equal(frames_free(m), free - 8);
	page = pin_at(&s, 5, FOLL_WRITE);
	assert_ok(vm_munmap(s.mm, s.at, 8 * PG));
	assert_int_equal(frames_free(m), free - 1);
	assert_true(is_filled(page_address(page), 1, 5));
	map_anon(&s, 0, 8, RW, SHARED);
	assert_true(pages_are_zero(&s, 5, 1)); /* another memory */
	assert_ok(put_user_page(page));
	assert_ok(vm_munmap(s.mm, s.at, 8 * PG));
	assert_int_equal(frames_free(m), free);
	end_both(m, &s);
}

/* Clause F12: POPULATE takes frames where the process may write, and there is no fault afterwards. */
static void populate_makes_pages_where_the_process_may_write(void **state)
{
	const struct kind *k = *state;
	struct pinfold *m = MACHINE();
	struct space s = new_space(m, k->window);
	uint64_t free = frames_free(m), faults;
	struct page *pages[8];
	struct pinfold_stats st;

	map_anon(&s, 0, 8, RW, PRIVATE | PINFOLD_MAP_POPULATE);
	assert_int_equal(frames_free(m), free - 8);
	map_anon(&s, 8, 8, RO, PRIVATE | PINFOLD_MAP_POPULATE); /* the zero page */
	assert_int_equal(frames_free(m), free - 8);
	map_anon(&s, 16, 8, PINFOLD_PROT_NONE, PRIVATE | PINFOLD_MAP_POPULATE); /* F12, F13: nothing */
	assert_int_equal(frames_free(m), free - 8);
	map_anon(&s, 24, 8, RW, SHARED | PINFOLD_MAP_POPULATE);
	assert_int_equal(frames_free(m), free - 16);
	assert_ok(pinfold_use_mm(s.mm));
	assert_int_equal(get_user_pages_fast(s.at, 8, FOLL_WRITE, pages), 8);
	assert_ok(put_user_pages(pages, 8));
	st = stats_of(m);
	assert_int_equal(st.fast_pins, 8);
	assert_int_equal(st.slow_pins, 0);
	if (s.window) {
		faults = st.faults_missing + st.faults_minor + st.faults_write;
		put_pages(&s, 1, 0, 8);
		assert_true(pages_are(&s, 1, 0, 8));
		st = stats_of(m);
		assert_int_equal(st.faults_missing + st.faults_minor + st.faults_write, faults);
	}
	end_both(m, &s);
}

/* Clauses F14, V16: POPULATE_READ maps the zero page, POPULATE_WRITE a page; the errors; the part before them is done. */
static void populate_advice_reads_or_writes(void **state)
{
	const struct kind *k = *state;
	struct pinfold *m = MACHINE();
	struct space s = new_space(m, k->window);
	uint64_t free = frames_free(m);

	map_anon(&s, 0, 8, RW, PRIVATE);
	map_anon(&s, 8, 2, RO, PRIVATE);
	map_anon(&s, 12, 2, RW, SHARED);
	assert_ok(vm_madvise(s.mm, s.at, 8 * PG, PINFOLD_MADV_POPULATE_READ));
	assert_int_equal(frames_free(m), free);
	assert_ok(vm_madvise(s.mm, s.at + PG, 2 * PG, PINFOLD_MADV_POPULATE_WRITE));
	assert_int_equal(frames_free(m), free - 2);
	assert_int_equal(vm_madvise(s.mm, s.at + 6 * PG, 4 * PG, PINFOLD_MADV_POPULATE_WRITE), -EINVAL);
	assert_int_equal(frames_free(m), free - 4);
	assert_int_equal(vm_madvise(s.mm, s.at + 8 * PG, 5 * PG, PINFOLD_MADV_POPULATE_READ), -ENOMEM);
	assert_ok(vm_madvise(s.mm, s.at + 12 * PG, 2 * PG, PINFOLD_MADV_POPULATE_READ));
	assert_int_equal(frames_free(m), free - 6); /* Z5 */
	assert_int_equal(vm_madvise(s.mm, s.at + 10 * PG, PG, PINFOLD_MADV_POPULATE_WRITE), -ENOMEM);
	assert_int_equal(vm_madvise(s.mm, s.at + 1, PG, PINFOLD_MADV_POPULATE_READ), -EINVAL);
	assert_true(pages_are_zero(&s, 0, 10));
	end_both(m, &s);
}

/* ---- the end of memory -------------------------------------------------------------------------- */

/* Maps n pages and stores to them until there is no frame; how many could be had. */
static unsigned use_it_up(struct space *s, unsigned n)
{
	struct page *page;
	unsigned p = 0;

	assert_ok(pinfold_use_mm(s->mm));
	for (; p < n && get_user_pages_fast(s->at + p * PG, 1, FOLL_WRITE, &page) == 1; p++) {
		fill(page_address(page), 1, p);
		assert_ok(put_user_page(page));
	}
	return p;
}

/* Clauses F4, P1: -ENOMEM after what could be had, nothing is lost, and what is given back can be had again. */
static void at_the_end_of_memory_calls_fail_and_nothing_is_lost(void **state)
{
	const struct kind *k = *state;
	struct pinfold *m = MACHINE(SMALL);
	struct space s = new_space(m, k->window);
	struct page *pages[8];
	uint64_t v = 1;
	unsigned n;

	map_anon(&s, 0, 2000, RW, PRIVATE);
	n = use_it_up(&s, 2000);
	assert_in_range(n, 500, 1024);
	assert_int_equal(frames_free(m), 0);
	assert_int_equal(last_error(), -ENOMEM);
	assert_int_equal(get_user_pages_fast(s.at + (n - 3) * PG, 8, FOLL_WRITE, pages), 3); /* P1 */
	assert_ok(put_user_pages(pages, 3));
	for (int c = 0; c < NR_CALLS; c++)
		assert_int_equal(call(c, s.mm, s.at + n * PG, 1, FOLL_WRITE, pages), -ENOMEM);
	assert_int_equal(call(1, s.mm, s.at + n * PG, 1, FOLL_LONGTERM, pages), -ENOMEM);
	assert_int_equal(access_process_vm(s.mm, s.at + n * PG - 4, &v, 8, FOLL_WRITE), 4);
	assert_int_equal(vm_madvise(s.mm, s.at + n * PG, PG, PINFOLD_MADV_POPULATE_WRITE), -ENOMEM);
	if (s.window) {
		assert_int_equal(store_signal(s.at + n * PG), SIGBUS);
		assert_int_equal(last_error(), -ENOMEM);
	}
	assert_true(pages_are_zero(&s, n, 20)); /* the zero page is always there */
	assert_true(pages_are(&s, 1, 0, n - 1));
	check_machine(m);
	assert_ok(vm_madvise(s.mm, s.at, 10 * PG, PINFOLD_MADV_DONTNEED));
	put_pages(&s, 2, n, 10);
	assert_true(pages_are(&s, 2, n, 10) && pages_are_zero(&s, 0, 10) && pages_are(&s, 1, 10, n - 11));
	end_both(m, &s);
}

/* The same for shared memory: its pages are not evicted either. */
static void shared_memory_that_does_not_fit_is_refused(void **state)
{
	const struct kind *k = *state;
	struct pinfold *m = MACHINE(SMALL);
	struct space s = new_space(m, k->window);
	struct page *page;
	unsigned n;

	map_anon(&s, 0, 2000, RW, SHARED);
	n = use_it_up(&s, 2000);
	assert_in_range(n, 500, 1024);
	assert_int_equal(get_user_pages_fast(s.at + n * PG, 1, 0, &page), -ENOMEM); /* Z5 */
	if (s.window)
		assert_int_equal(load_signal(s.at + n * PG), SIGBUS);
	assert_true(pages_are(&s, 1, 0, n));
	assert_ok(vm_munmap(s.mm, s.at, 2000 * PG));
	map_anon(&s, 0, 500, RW, PRIVATE);
	put_pages(&s, 3, 0, 500);
	assert_true(pages_are(&s, 3, 0, 500));
	end_both(m, &s);
}

/* Decision D7: pages of files make room for anonymous ones; dirty ones do not. */
static void clean_pages_of_files_make_room(void **state)
{
	const struct kind *k = *state;
	struct space s;
	struct world w;
	unsigned n;

	WORLD(w, k, .pages = 600, .memory = 8 * MIB, .pool = 4 * MIB, .staging = 64 * PG, .deadline_ms = 50);
	for (unsigned p = 0; p < 600; p++)
		assert_true(page_is(&w, 0, p));
	for (unsigned p = 0; p < 50; p++)
		store_page(&w, 1, p);
	s = new_space(w.m, k->window);
	map_anon(&s, 0, 2000, RW, PRIVATE);
	n = use_it_up(&s, 2000);
	assert_in_range(n, 800, 1024 - 64 - 50);
	assert_true(pages_are(&s, 1, 0, n));
	end_space(&s);
	assert_ok(pinfold_use_mm(w.mm));
	for (unsigned p = 0; p < 600; p++)
		assert_true(page_is(&w, p < 50, p));
	world_end(&w);
}

/* ---- threads ------------------------------------------------------------------------------------ */

struct toucher {
	struct space *s;
	unsigned me;
	_Atomic int *round;
	int result;
};

#define ROUNDS 200u
#define TOUCHED 16u

/* Adds one to its own word of each page, by pin or pointer, as soon as the round begins. */
static void *touch_pages(void *arg)
{
	struct toucher *t = arg;

	t->result = pinfold_use_mm(t->s->mm);
	for (unsigned r = 1; r <= ROUNDS && !t->result; r++) {
		if (!wait_for(t->round, (int)r))
			t->result = -1;
		for (unsigned i = 0; i < TOUCHED && !t->result; i++) {
			unsigned long a = t->s->at + (i * 5 + t->me) % TOUCHED * PG;
			struct page *page;

			if (t->s->window && (r + t->me) % 2) {
				((volatile uint64_t *)a)[t->me]++;
				continue;
			}
			if (get_user_pages_fast(a, 1, FOLL_WRITE, &page) != 1)
				t->result = -2;
			else
				device_word(page)[t->me]++, t->result = put_user_page(page);
		}
		atomic_fetch_add(t->round + 1, 1);
	}
	return NULL;
}

/* Two threads that touch a page first find one page. */
static void first_touches_of_two_threads_find_one_page(void **state)
{
	const struct kind *k = *state;
	struct pinfold *m = MACHINE();
	struct space s = new_space(m, k->window);
	_Atomic int round[2] = { 0, 0 }; /* begun, ended by threads */
	struct toucher t[2];
	pthread_t thread[2];

	map_anon(&s, 0, TOUCHED, RW, PRIVATE);
	for (unsigned i = 0; i < 2; i++) {
		t[i] = (struct toucher){ &s, i, round, 0 };
		pthread_create(&thread[i], NULL, touch_pages, &t[i]);
	}
	for (unsigned r = 1; r <= ROUNDS; r++) {
		assert_ok(vm_madvise(s.mm, s.at, TOUCHED * PG, PINFOLD_MADV_DONTNEED));
		if (r % 2)
			assert_true(pages_are_zero(&s, 0, TOUCHED)); /* shows the zero page at first */
		atomic_store(&round[0], (int)r);
		assert_true(wait_for(&round[1], (int)r * 2));
		for (unsigned p = 0; p < TOUCHED; p++)
			for (unsigned i = 0; i < 2; i++)
				assert_int_equal(peek(&s, p * PG + i * 8), 1);
	}
	for (unsigned i = 0; i < 2; i++) {
		pthread_join(thread[i], NULL);
		assert_ok(t[i].result);
	}
	end_both(m, &s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(wrong_mappings_of_memory_are_refused),
		ON(window, a_direct_window_refuses_what_it_cannot_show),
		BOTH(places_are_found_inside_the_stretch),
		BOTH(copies_cross_mappings_and_end_at_a_hole),
		BOTH(shared_memory_goes_with_its_last_mapping),
		BOTH(populate_makes_pages_where_the_process_may_write),
		BOTH(populate_advice_reads_or_writes),
		BOTH(at_the_end_of_memory_calls_fail_and_nothing_is_lost),
		BOTH(shared_memory_that_does_not_fit_is_refused),
		BOTH(clean_pages_of_files_make_room),
		BOTH(first_touches_of_two_threads_find_one_page),
	};

	return world_main(tests);
}
