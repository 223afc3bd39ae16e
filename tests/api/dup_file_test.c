/* SPDX-License-Identifier: MIT */
/*
 * dup_file_test.c - snapshots beside commits: a file's mapping and private memory in one 2 MiB, and snapshots that fail.
 */
#include "anon.h"

#include <sys/resource.h>

/* I8, D11: a snapshot takes no right from a file's slots without taking the translation, or stores would go unseen. */
static void stores_to_a_file_after_a_snapshot_are_in_the_right_cut(void **state)
{
	volatile char *p;
	struct space s, c;
	struct world w;
	int64_t cut;
	char byte;

	WORLD(w, *state);
	s = space_of(&w);
	map_anon(&s, 16, 16, RW, PRIVATE);
	p = (volatile char *)w.at;
	p[0] = 1;
	p[16 * PG] = 'x';
	assert_ok(pinfold_commit(w.file, 0, 0, NULL));
	p[0] = 2;
	c = snapshot(w.m, &s, PINFOLD_WINDOW_EXTENT);
	cut = pinfold_freeze(w.file, 0, 0);
	assert_true(cut > 0);
	p[0] = 3;
	assert_ok(pinfold_commit_wait(w.file, cut, NULL));
	assert_ok(pinfold_checkpoint(w.file));
	assert_int_equal(pread(w.fd, &byte, 1, 0), 1);
	assert_int_equal(byte, 2);
	p[0] = 4;
	assert_ok(pinfold_commit(w.file, 0, 0, NULL));
	assert_ok(pinfold_checkpoint(w.file));
	assert_int_equal(pread(w.fd, &byte, 1, 0), 1);
	assert_int_equal(byte, 4);
	assert_int_equal(peek(&c, 16 * PG), 'x');
	end_space(&c);
	assert_ok(pinfold_use_mm(w.mm));
	world_end(&w);
}

#define PINNED 600u

/* Header: -ENOMEM and the new mm is empty; nothing that the system refuses is needed for that. */
static void a_snapshot_without_memory_leaves_an_empty_mm(void **state)
{
	const struct kind *k = *state;
	struct pinfold *m;
	struct rlimit was, tight;
	static struct page *page[PINNED];
	struct mm_struct *mm;
	struct space s;
	int r;

#ifdef __SANITIZE_ADDRESS__
	print_message("skipped: a sanitizer needs address space of its own\n");
	skip();
#endif
	if (THREAD_SANITIZER) {
		print_message("skipped: a sanitizer needs address space of its own\n");
		skip();
	}
	m = MACHINE(.pool = 32 * MIB, .memory = 36 * MIB);
	s = new_space(m, k->window);
	map_anon(&s, 0, 16, RW, PRIVATE);
	map_anon(&s, 16, 16, RW, PRIVATE);
	put_pages(&s, 1, 0, 32);
	assert_ok(vm_mprotect(s.mm, s.at + 16 * PG, 16 * PG, RO));
	map_anon(&s, 512, PINNED * 512, RW, PRIVATE);
	for (unsigned i = 0; i < PINNED; i++)
		page[i] = pin_at(&s, 512 + i * 512, FOLL_WRITE);
	assert_ok(pinfold_mm_create(m, k->window, &mm));
	assert_ok(getrlimit(RLIMIT_AS, &was));
	tight = was;
	tight.rlim_cur = 1 << 20;
	assert_ok(setrlimit(RLIMIT_AS, &tight));
	r = dup_mmap(mm, s.mm);
	assert_ok(setrlimit(RLIMIT_AS, &was));
	assert_int_equal(r, -ENOMEM);
	check_machine(m);
	assert_true(pages_are(&s, 1, 0, 32));
	assert_ok(dup_mmap(mm, s.mm));
	check_machine(m);
	assert_ok(put_user_pages(page, PINNED));
	assert_ok(pinfold_mm_destroy(mm));
	end_both(m, &s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON(extent, stores_to_a_file_after_a_snapshot_are_in_the_right_cut),
		ON(extent_direct, stores_to_a_file_after_a_snapshot_are_in_the_right_cut),
		ON(pool, a_snapshot_without_memory_leaves_an_empty_mm),
	};

	return world_main(tests);
}
