/* SPDX-License-Identifier: MIT */
/* first.c - counts its runs in a mapped file.  cc first.c $(pkg-config --cflags --libs pinfold) */
#include <pinfold/pinfold.h>
#include <stdio.h>
#include <string.h>
#define CHECK(call) \
	if ((rc = (call)) < 0) \
		return fprintf(stderr, "%s: %s\n", #call, strerror((int)-rc)), 1

int main(int argc, char **argv)
{
	struct pinfold_options opts = { .size = sizeof(opts), .memory = 64 << 20 };
	struct pinfold_file_options how = { .size = sizeof(how),
	                                    .flags = PINFOLD_FILE_DIRECT | PINFOLD_FILE_CREATE };
	struct pinfold *machine;
	struct pinfold_file *file;
	struct mm_struct *mm;
	long rc;

	CHECK(pinfold_create(&opts, &machine));
	CHECK(pinfold_open(machine, argc > 1 ? argv[1] : "first.dat", &how, &file));
	CHECK(vfs_truncate(file, 1 << 20));
	CHECK(pinfold_mm_create(machine, PINFOLD_WINDOW_DIRECT, &mm));
	CHECK(vm_mmap(mm, 0, 1 << 20, PINFOLD_PROT_READ | PINFOLD_PROT_WRITE,
	              PINFOLD_MAP_SHARED, file, 0));

	long *runs = (long *)rc; /* an ordinary pointer */
	CHECK(pinfold_write_begin(file, sizeof(*runs)));
	++*runs; /* dirty; nothing of it reaches the disk ... */
	CHECK(pinfold_write_end(file));
	CHECK(pinfold_commit(file, 0, 0, NULL)); /* ... before this: all of it, or nothing */
	printf("run %ld is on disk\n", *runs);

	CHECK(pinfold_mm_destroy(mm));
	CHECK(pinfold_close(file));
	CHECK(pinfold_destroy(machine));
	return 0;
}
