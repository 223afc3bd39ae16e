/* SPDX-License-Identifier: MIT */
/*
 * fake_test.c - the fake disk: what it keeps, what a cut may leave of it, how it fails.
 *
 * Run it alone; it needs nothing of the machine.  Cuts are checked over many seeds: what may not
 * happen never does, and what may happen does at least once.
 */
#include "host/fake.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SEEDS = 400, SECTOR = 512 };

static struct host_file *open_file(struct host_disk *d, const char *path)
{
	struct host_file *f = NULL;

	assert_int_equal(host_file_open(d, path, HOST_OPEN_CREATE, 0600, &f), 0);
	assert_non_null(f);
	return f;
}

static int64_t put(struct host_file *f, uint64_t off, size_t len, int fill)
{
	uint8_t *buf = malloc(len);
	struct iovec iov = { buf, len };
	int64_t n;

	memset(buf, fill, len);
	n = host_file_writev(f, &iov, 1, off);
	free(buf);
	return n;
}

/* The byte that fills [off, off + len) of the file, -1 if it is mixed or short. */
static int fill_of(struct host_disk *d, const char *path, uint64_t off, size_t len)
{
	uint8_t *buf = malloc(len);
	int fill = -1;

	if (fake_disk_read(d, path, buf, len, off) == (int64_t)len) {
		fill = buf[0];
		for (size_t i = 1; i < len; i++)
			fill = buf[i] == fill ? fill : -1;
	}
	free(buf);
	return fill;
}

static void test_read_write(void **state)
{
	struct host_disk *d = fake_disk_create(1);
	struct host_file *f = open_file(d, "a"), *g = NULL;
	struct host_file_id id, other;
	char x[10] = "abcdefghij", y[20];
	struct iovec out[2] = { { x, 4 }, { x + 4, 6 } }, in[2] = { { y, 3 }, { y + 3, 17 } };

	(void)state;
	assert_int_equal(host_file_open(d, "b", 0, 0, &g), -ENOENT);
	assert_int_equal(host_file_size(f), 0);
	assert_int_equal(host_file_writev(f, out, 2, 5000), 10);
	assert_int_equal(host_file_size(f), 5010);
	assert_int_equal(host_file_readv(f, in, 2, 5000), 10);
	assert_memory_equal(y, x, 10);
	assert_int_equal(host_file_readv(f, in, 2, 5005), 5);
	assert_memory_equal(y, x + 5, 5);
	assert_int_equal(host_file_readv(f, in, 2, 5010), 0);
	assert_int_equal(host_file_readv(f, in, 2, 1 << 20), 0);
	assert_int_equal(fill_of(d, "a", 0, 5000), 0);
	assert_int_equal(host_file_truncate(f, 5002), 0);
	assert_int_equal(host_file_truncate(f, 6000), 0);
	assert_int_equal(host_file_size(f), 6000);
	assert_int_equal(fill_of(d, "a", 5002, 998), 0);
	assert_int_equal(fill_of(d, "a", 5000, 1), 'a');
	assert_int_equal(host_file_alloc(f, 8000, 1000), 0);
	assert_int_equal(fake_disk_file_size(d, "a"), 9000);

	g = open_file(d, "b");
	assert_int_equal(host_file_ident(f, &id), 0);
	assert_int_equal(host_file_ident(g, &other), 0);
	assert_int_equal(id.dev, other.dev);
	assert_int_not_equal(id.ino, other.ino);
	host_file_close(g);
	assert_int_equal(host_file_unlink(d, "b"), 0);
	assert_int_equal(host_file_unlink(d, "b"), -ENOENT);
	assert_int_equal(fake_disk_file_size(d, "b"), -ENOENT);
	assert_int_equal(fake_disk_read(d, "b", y, 1, 0), -ENOENT);

	assert_int_equal(fake_disk_shorten(d, "a", 4097), 0);
	assert_int_equal(host_file_size(f), 4097);
	assert_int_equal(fake_disk_shorten(d, "b", 0), -ENOENT);
	host_file_close(f);
	fake_disk_destroy(d);
}

/* An unlinked file lives on for its handles; a new one of that name is another. */
static void test_unlink_open(void **state)
{
	struct host_disk *d = fake_disk_create(2);
	struct host_file *f = open_file(d, "a"), *g;

	(void)state;
	put(f, 0, 100, 'x');
	assert_int_equal(host_file_unlink(d, "a"), 0);
	assert_int_equal(put(f, 100, 100, 'y'), 100);
	assert_int_equal(host_file_size(f), 200);
	g = open_file(d, "a");
	assert_int_equal(host_file_size(g), 0);
	host_file_close(f);
	host_file_close(g);
	fake_disk_destroy(d);
}

static void *unlock_later(void *file)
{
	struct timespec ts = { 0, 20000000 };

	nanosleep(&ts, NULL);
	host_file_close(file);
	return NULL;
}

static void test_lock(void **state)
{
	struct host_disk *d = fake_disk_create(3);
	struct host_file *f = open_file(d, "a"), *g = open_file(d, "a"), *h = open_file(d, "b");
	uint64_t start = host_now();
	pthread_t t;

	(void)state;
	assert_int_equal(host_file_lock(f, 0), 0);
	assert_int_equal(host_file_lock(f, 0), 0);
	assert_int_equal(host_file_lock(h, 0), 0);
	assert_int_equal(host_file_lock(g, 0), -EWOULDBLOCK);
	assert_int_equal(host_file_lock(g, start + 10000000), -EWOULDBLOCK);
	assert_true(host_now() >= start + 10000000);
	assert_int_equal(pthread_create(&t, NULL, unlock_later, f), 0);
	assert_int_equal(host_file_lock(g, host_now() + 10000000000), 0);
	pthread_join(t, NULL);
	host_file_close(g);
	host_file_close(h);
	fake_disk_destroy(d);
}

static void test_marks(void **state)
{
	struct host_disk *d = fake_disk_create(4);
	struct host_file *f;
	unsigned long ops;

	(void)state;
	fake_disk_mark(d, 1, 7);
	f = open_file(d, "a");
	put(f, 0, 10, 1);
	ops = fake_disk_ops(d);
	assert_int_equal(ops, 2);
	fake_disk_mark(d, 1, 9);
	fake_disk_mark(d, 2, 3);
	assert_int_equal(fake_disk_ops(d), ops);
	host_file_flush(f);
	assert_int_equal(fake_disk_ops(d), ops + 1);
	assert_int_equal(fake_disk_marked(d, 1, 0), 7);
	assert_int_equal(fake_disk_marked(d, 1, ops - 1), 7);
	assert_int_equal(fake_disk_marked(d, 1, ops), 9);
	assert_int_equal(fake_disk_marked(d, 2, ops - 1), 0);
	assert_int_equal(fake_disk_marked(d, 2, ops + 1), 3);
	host_file_close(f);
	fake_disk_destroy(d);
}

/* Flushed data is there in every mode; a flush of one file says nothing of another. */
static void test_flush_is_per_file(void **state)
{
	struct host_disk *d = fake_disk_create(5);
	struct host_file *f = open_file(d, "a"), *g = open_file(d, "b");
	bool lost = false, kept = false;

	(void)state;
	host_file_flush_dir(d, "a");
	put(f, 0, 4096, 'a');
	put(g, 0, 4096, 'b');
	host_file_flush(f);
	for (int mode = 0; mode < 3; mode++) {
		for (uint64_t seed = 0; seed < (mode == 2 ? SEEDS : 1); seed++) {
			struct host_disk *c = fake_disk_crash(d, fake_disk_ops(d), mode, seed);
			int b = fill_of(c, "b", 0, 4096);

			assert_int_equal(fill_of(c, "a", 0, 4096), 'a');
			if (mode == 0)
				assert_int_equal(b, 'b');
			if (mode == 1)
				assert_int_equal(fake_disk_file_size(c, "b"), 0);
			lost |= b != 'b';
			kept |= mode == 2 && b == 'b';
			fake_disk_destroy(c);
		}
	}
	assert_true(lost && kept);
	host_file_close(f);
	host_file_close(g);
	fake_disk_destroy(d);
}

/* Mode 2 over a flushed file: writes arrive in any subset, whole or by whole sectors only. */
static void test_subsets_and_tears(void **state)
{
	struct host_disk *d = fake_disk_create(6);
	struct host_file *f = open_file(d, "a");
	unsigned seen = 0, torn = 0, prefix = 0;

	(void)state;
	put(f, 0, 3 * 8192, '.');
	host_file_flush(f);
	for (int i = 0; i < 3; i++)
		put(f, (uint64_t)i * 8192, 8192, 'a' + i);
	for (uint64_t seed = 0; seed < 4 * SEEDS; seed++) {
		struct host_disk *c = fake_disk_crash(d, fake_disk_ops(d), 2, seed);
		unsigned whole = 0;

		assert_int_equal(fake_disk_file_size(c, "a"), 3 * 8192);
		for (int i = 0; i < 3; i++) {
			unsigned arrived = 0, changes = 0;

			for (int s = 0, last = -1; s < 16; s++) {
				uint64_t off = (uint64_t)i * 8192 + (uint64_t)s * SECTOR;
				int b = fill_of(c, "a", off, SECTOR);

				assert_true(b == '.' || b == 'a' + i);
				arrived += b != '.';
				changes += last != -1 && last != b;
				last = b;
			}
			whole |= (arrived == 16) << i;
			torn |= (arrived != 0 && arrived != 16) << i;
			prefix += changes == 1;
		}
		seen |= 1u << whole;
		fake_disk_destroy(c);
	}
	assert_int_equal(seen, 0xff);
	assert_int_equal(torn, 7);
	assert_true(prefix > 0);
	host_file_close(f);
	fake_disk_destroy(d);
}

/* Of two writes to a place an old one never comes out on top of a new one that is settled. */
static void test_order_of_overwrites(void **state)
{
	struct host_disk *d = fake_disk_create(7);
	struct host_file *f = open_file(d, "a");
	unsigned seen = 0;

	(void)state;
	put(f, 0, SECTOR, '0');
	put(f, 0, SECTOR, '1');
	host_file_flush(f);
	put(f, 0, SECTOR, '2');
	put(f, 0, SECTOR, '3');
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		struct host_disk *c = fake_disk_crash(d, fake_disk_ops(d), 2, seed);
		int b = fill_of(c, "a", 0, SECTOR);

		assert_true(b >= '1' && b <= '3');
		seen |= 1u << (b - '0');
		fake_disk_destroy(c);
	}
	assert_int_equal(seen, 0xe);
	host_file_close(f);
	fake_disk_destroy(d);
}

/* Every prefix, mode 0 and 1: exactly what was written, and what was flushed, by then. */
static void test_prefixes(void **state)
{
	struct host_disk *d = fake_disk_create(8);
	struct host_file *f = open_file(d, "a");

	(void)state;
	for (int i = 1; i <= 20; i++) {
		put(f, 0, 4096, i);
		if (i % 5 == 0)
			host_file_flush(f);
	}
	for (unsigned long ops = 1, writes = 0, flushed = 0; ops < fake_disk_ops(d); ops++) {
		struct host_disk *all, *safe;

		if ((ops + 1) % 6 == 1)
			flushed = writes;
		else
			writes++;
		all = fake_disk_crash(d, ops + 1, 0, 0);
		safe = fake_disk_crash(d, ops + 1, 1, 0);
		assert_int_equal(fill_of(all, "a", 0, 4096), (int)writes);
		assert_int_equal(fill_of(safe, "a", 0, 4096), flushed ? (int)flushed : -1);
		fake_disk_destroy(all);
		fake_disk_destroy(safe);
	}
	host_file_close(f);
	fake_disk_destroy(d);
}

static void test_sizes(void **state)
{
	struct host_disk *d = fake_disk_create(9);
	struct host_file *f = open_file(d, "a");
	unsigned seen = 0;

	(void)state;
	put(f, 0, 4096, 'a');
	host_file_flush(f);
	host_file_truncate(f, 3 * 4096);
	host_file_alloc(f, 3 * 4096, 4096);
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		struct host_disk *c = fake_disk_crash(d, fake_disk_ops(d), 2, seed);
		int64_t size = fake_disk_file_size(c, "a");

		assert_true(size == 4096 || size == 3 * 4096 || size == 4 * 4096);
		assert_int_equal(fill_of(c, "a", 0, 4096), 'a');
		seen |= 1u << size / 4096;
		fake_disk_destroy(c);
	}
	assert_int_equal(seen, 1 << 1 | 1 << 3 | 1 << 4);
	host_file_flush(f);
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		struct host_disk *c = fake_disk_crash(d, fake_disk_ops(d), 2, seed);

		assert_int_equal(fake_disk_file_size(c, "a"), 4 * 4096);
		fake_disk_destroy(c);
	}
	host_file_close(f);
	fake_disk_destroy(d);
}

/* What the cuts leave of "a", as a set: 1 no file, 2 the old one, 4 the new one, 8 an empty one. */
static unsigned names_seen(struct host_disk *d)
{
	unsigned seen = 0;

	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		struct host_disk *c = fake_disk_crash(d, fake_disk_ops(d), 2, seed);
		bool gone = fake_disk_file_size(c, "a") == -ENOENT;
		int b = fill_of(c, "a", 0, SECTOR);

		seen |= gone ? 1 : b == 'o' ? 2 : b == 'n' ? 4 : 8;
		fake_disk_destroy(c);
	}
	return seen;
}

static void test_names(void **state)
{
	struct host_disk *d = fake_disk_create(10);
	struct host_file *f = open_file(d, "a");

	(void)state;
	assert_int_equal(names_seen(d), 1 | 8); /* absent, or there and empty */
	put(f, 0, SECTOR, 'o');
	host_file_flush(f);
	assert_int_equal(names_seen(d), 2);
	host_file_close(f);
	host_file_unlink(d, "a");
	assert_int_equal(names_seen(d), 1 | 2);
	f = open_file(d, "a");
	put(f, 0, SECTOR, 'n');
	assert_int_equal(names_seen(d), 1 | 2 | 4 | 8);
	host_file_flush(f);
	assert_int_equal(names_seen(d), 4);
	host_file_close(f);
	host_file_unlink(d, "a");
	host_file_flush_dir(d, "a");
	assert_int_equal(names_seen(d), 1);
	fake_disk_destroy(d);
}

/* After a flush that failed the writes before it are in doubt for good, until written again. */
static void test_failed_flush(void **state)
{
	struct host_disk *d = fake_disk_create(11);
	struct host_file *f = open_file(d, "a");
	unsigned seen = 0;

	(void)state;
	put(f, 0, SECTOR, 'o');
	host_file_flush(f);
	put(f, 0, SECTOR, 'n');
	fake_disk_fail(d, 1 << FAKE_FLUSH, 1, EIO, false);
	assert_int_equal(host_file_flush(f), -EIO);
	assert_int_equal(host_file_flush(f), 0);
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		struct host_disk *c = fake_disk_crash(d, fake_disk_ops(d), 2, seed);

		seen |= fill_of(c, "a", 0, SECTOR) == 'o' ? 1 : 2;
		fake_disk_destroy(c);
	}
	assert_int_equal(seen, 3);
	put(f, 0, SECTOR, 'n');
	host_file_flush(f);
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		struct host_disk *c = fake_disk_crash(d, fake_disk_ops(d), 2, seed);

		assert_int_equal(fill_of(c, "a", 0, SECTOR), 'n');
		fake_disk_destroy(c);
	}
	host_file_close(f);
	fake_disk_destroy(d);
}

static void test_fail(void **state)
{
	struct host_disk *d = fake_disk_create(12);
	struct host_file *f = open_file(d, "a"), *g = NULL;
	char b[8];
	struct iovec iov = { b, sizeof(b) };

	(void)state;
	fake_disk_fail(d, 1 << FAKE_WRITE, 3, EIO, false);
	assert_int_equal(put(f, 0, 8, 1), 8);
	assert_int_equal(host_file_flush(f), 0);
	assert_int_equal(put(f, 0, 8, 2), 8);
	assert_int_equal(put(f, 0, 8, 3), -EIO);
	assert_int_equal(put(f, 0, 8, 4), 8);
	fake_disk_fail(d, 1 << FAKE_TRUNCATE | 1 << FAKE_CREATE | 1 << 8, 2, ENOSPC, true);
	assert_int_equal(host_file_readv(f, &iov, 1, 0), 8);
	assert_int_equal(host_file_truncate(f, 100), -ENOSPC);
	assert_int_equal(host_file_alloc(f, 0, 100), -ENOSPC);
	assert_int_equal(host_file_readv(f, &iov, 1, 0), -ENOSPC);
	assert_int_equal(host_file_open(d, "b", HOST_OPEN_CREATE, 0, &g), -ENOSPC);
	assert_int_equal(put(f, 0, 8, 5), 8);
	assert_int_equal(fake_disk_file_size(d, "a"), 8);
	fake_disk_fail(d, 0, 0, 0, false);
	assert_int_equal(host_file_truncate(f, 100), 0);
	fake_disk_fail(d, 1 << FAKE_UNLINK, 1, EIO, false);
	assert_int_equal(host_file_unlink(d, "a"), -EIO);
	assert_int_equal(host_file_unlink(d, "a"), 0);
	host_file_close(f);
	fake_disk_destroy(d);
}

/* A write that failed tore what was there: what one sees now is what a cut in mode 0 leaves. */
static void test_failed_write_tears(void **state)
{
	unsigned same = 0, torn = 0;

	(void)state;
	for (uint64_t seed = 0; seed < 64; seed++) {
		struct host_disk *d = fake_disk_create(seed), *c;
		struct host_file *f = open_file(d, "a");
		uint8_t now[8192], then[8192];

		put(f, 0, 8192, 'o');
		host_file_flush(f);
		fake_disk_fail(d, 1 << FAKE_WRITE, 1, EIO, false);
		assert_int_equal(put(f, 0, 8192, 'n'), -EIO);
		host_file_flush(f);
		c = fake_disk_crash(d, fake_disk_ops(d), 0, 0);
		assert_int_equal(fake_disk_read(d, "a", now, 8192, 0), 8192);
		assert_int_equal(fake_disk_read(c, "a", then, 8192, 0), 8192);
		assert_memory_equal(now, then, 8192);
		fake_disk_destroy(c);
		c = fake_disk_crash(d, fake_disk_ops(d), 1, 0);
		assert_int_equal(fill_of(c, "a", 0, 8192), 'o');
		fake_disk_destroy(c);
		if (fill_of(d, "a", 0, 8192) == -1)
			torn++;
		else
			same++;
		host_file_close(f);
		fake_disk_destroy(d);
	}
	assert_true(torn > 32 && torn + same == 64);
}

static void test_limit(void **state)
{
	struct host_disk *d = fake_disk_create(13);
	struct host_file *f = open_file(d, "a"), *g = open_file(d, "b");
	unsigned long ops;

	(void)state;
	fake_disk_limit(d, 3 * 4096);
	assert_int_equal(host_file_truncate(f, 1 << 20), 0);
	assert_int_equal(put(f, 0, 4096, 1), 4096);
	assert_int_equal(host_file_alloc(g, 0, 8192), 0);
	ops = fake_disk_ops(d);
	assert_int_equal(put(f, 4096, 1, 1), -ENOSPC);
	assert_int_equal(host_file_alloc(g, 8192, 1), -ENOSPC);
	assert_int_equal(fake_disk_ops(d), ops);
	assert_int_equal(put(f, 0, 4096, 2), 4096);
	assert_int_equal(put(g, 4096, 4096, 2), 4096);
	assert_int_equal(host_file_truncate(g, 4096), 0);
	assert_int_equal(put(f, 4096, 4096, 3), 4096);
	assert_int_equal(put(f, 8192, 4096, 3), -ENOSPC);
	host_file_close(g);
	assert_int_equal(host_file_unlink(d, "b"), 0);
	assert_int_equal(put(f, 8192, 4096, 3), 4096);
	fake_disk_limit(d, 0);
	assert_int_equal(put(f, 0, 1 << 16, 4), 1 << 16);
	host_file_close(f);
	fake_disk_destroy(d);
}

/* A crash disk is a disk: same ids, its own record, and it can be cut again. */
static void test_second_generation(void **state)
{
	struct host_disk *d = fake_disk_create(14), *c, *cc;
	struct host_file *f = open_file(d, "a");
	struct host_file_id id, again;

	(void)state;
	put(f, 0, 8192, 'a');
	host_file_flush(f);
	put(f, 4096, 4096, 'b');
	c = fake_disk_crash(d, fake_disk_ops(d), 0, 0);
	host_file_ident(f, &id);
	host_file_close(f);
	fake_disk_destroy(d);

	assert_int_equal(fake_disk_ops(c), 0);
	f = open_file(c, "a");
	host_file_ident(f, &again);
	assert_int_equal(id.dev, again.dev);
	assert_int_equal(id.ino, again.ino);
	assert_int_equal(host_file_lock(f, 0), 0);
	put(f, 0, 4096, 'c');
	cc = fake_disk_crash(c, fake_disk_ops(c), 1, 0);
	assert_int_equal(fill_of(cc, "a", 0, 4096), 'a');
	assert_int_equal(fill_of(cc, "a", 4096, 4096), 'b');
	fake_disk_destroy(cc);
	host_file_unlink(c, "a");
	host_file_flush_dir(c, "a");
	cc = fake_disk_crash(c, fake_disk_ops(c), 0, 0);
	assert_int_equal(fake_disk_file_size(cc, "a"), -ENOENT);
	fake_disk_destroy(cc);
	cc = fake_disk_crash(c, 0, 0, 0);
	assert_int_equal(fill_of(cc, "a", 0, 4096), 'a');
	fake_disk_destroy(cc);
	host_file_close(f);
	fake_disk_destroy(c);
}

/* The same calls with the same seeds give the same disks. */
static void test_deterministic(void **state)
{
	uint8_t first[1 << 16], second[1 << 16];

	(void)state;
	for (uint64_t seed = 0; seed < 20; seed++) {
		for (int turn = 0; turn < 2; turn++) {
			struct host_disk *d = fake_disk_create(15), *c;
			struct host_file *f = open_file(d, "a");

			put(f, 0, 1 << 16, '.');
			host_file_flush(f);
			for (int i = 0; i < 30; i++)
				put(f, (uint64_t)i * 2000, 3000, i);
			c = fake_disk_crash(d, fake_disk_ops(d), 2, seed);
			fake_disk_read(c, "a", turn ? second : first, 1 << 16, 0);
			host_file_close(f);
			fake_disk_destroy(c);
			fake_disk_destroy(d);
		}
		assert_memory_equal(first, second, 1 << 16);
	}
}

struct worker {
	struct host_disk *disk;
	int nr;
};

static void *work(void *arg)
{
	struct worker *w = arg;
	char name[2] = { (char)('a' + w->nr), 0 };
	struct host_file *f = open_file(w->disk, name);

	for (int i = 0; i < 500; i++) {
		put(f, (uint64_t)(i % 10) * 4096, 4096, i & 0xff);
		if (i % 10 == 9)
			host_file_flush(f);
	}
	host_file_close(f);
	return NULL;
}

static void test_threads(void **state)
{
	struct host_disk *d = fake_disk_create(16), *c;
	struct worker w[4];
	pthread_t t[4];

	(void)state;
	for (int i = 0; i < 4; i++) {
		w[i] = (struct worker){ d, i };
		pthread_create(&t[i], NULL, work, &w[i]);
	}
	for (int i = 0; i < 50; i++)
		fake_disk_destroy(fake_disk_crash(d, fake_disk_ops(d), 2, (uint64_t)i));
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	assert_int_equal(fake_disk_ops(d), 4 * (1 + 500 + 50));
	c = fake_disk_crash(d, fake_disk_ops(d), 1, 0);
	assert_int_equal(fill_of(c, "c", 4096, 4096), 491 & 0xff);
	fake_disk_destroy(c);
	fake_disk_destroy(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read_write),
		cmocka_unit_test(test_unlink_open),
		cmocka_unit_test(test_lock),
		cmocka_unit_test(test_marks),
		cmocka_unit_test(test_flush_is_per_file),
		cmocka_unit_test(test_subsets_and_tears),
		cmocka_unit_test(test_order_of_overwrites),
		cmocka_unit_test(test_prefixes),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_failed_flush),
		cmocka_unit_test(test_fail),
		cmocka_unit_test(test_failed_write_tears),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_second_generation),
		cmocka_unit_test(test_deterministic),
		cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
