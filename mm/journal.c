/* SPDX-License-Identifier: MIT */
/* journal.c - see journal.h for the format's reasons. */
#include "mm/journal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "mm/debug.h"

#define BLOCK 4096ull
#define HEADER_MAGIC 0x314c4e4a44464e50ull /* "PNFDJNL1" */
#define RECORD_MAGIC 0x3143455244464e50ull
#define VERSION 1
#define IO_PAGES 256u

int journal_test_skip_flush;
uint64_t journal_test_room;

/* In the first 512 bytes of the file: one sector, written whole or not at all. */
struct header {
	uint64_t magic, version;
	struct host_file_id id;
	uint64_t salt, first;
	int64_t pid;
	uint8_t boot[16];
	uint64_t sum; /* of what stands above */
};

struct record {
	uint64_t magic, salt, number, pages, file_size;
	uint64_t sum; /* of the whole descriptor with this field 0 */
	struct journal_entry entry[];
};

static uint64_t desc_size(uint64_t pages)
{
	uint64_t n = sizeof(struct record) + pages * sizeof(struct journal_entry);

	return (n + BLOCK - 1) / BLOCK * BLOCK;
}

static uint64_t record_size(uint64_t pages)
{
	return desc_size(pages) + pages * PAGE_SIZE;
}

static uint64_t header_sum(const struct header *h)
{
	return XXH3_64bits(h, offsetof(struct header, sum));
}

static uint64_t desc_sum(struct record *r, size_t len)
{
	uint64_t was = r->sum, sum;

	r->sum = 0;
	sum = XXH3_64bits(r, len);
	r->sum = was;
	return sum;
}

/* Page-aligned memory from the host: O_DIRECT wants it. */
static int desc_room(struct journal *j, uint64_t pages)
{
	size_t len = desc_size(pages);
	char *p;

	if (j->desc_len >= len)
		return 0;
	p = host_map(len);
	if (!p)
		return -ENOMEM;
	if (j->desc)
		host_unmap(j->desc, j->desc_len);
	j->desc = p;
	j->desc_len = len;
	return 0;
}

static int write_all(struct journal *j, const void *p, size_t len, uint64_t off)
{
	struct iovec v = { (void *)(uintptr_t)p, len };
	int64_t r = host_file_writev(j->file, &v, 1, off);

	return r < 0 ? (int)r : (uint64_t)r == len ? 0 : -EIO;
}

/* Bytes read; short at the end of the file. */
static int64_t read_some(struct host_file *f, void *p, size_t len, uint64_t off)
{
	struct iovec v = { p, len };

	return host_file_readv(f, &v, 1, off);
}

static int write_header(struct journal *j, int pid)
{
	struct header h = {
		.magic = HEADER_MAGIC, .version = VERSION, .id = j->id, .salt = j->salt,
		.first = j->first, .pid = pid,
	};

	host_boot_id(h.boot);
	h.sum = header_sum(&h);
	memset(j->block, 0, BLOCK);
	memcpy(j->block, &h, sizeof(h));
	return write_all(j, j->block, BLOCK, 0);
}

/* 1 read and right, 0 none (empty or torn while it was made), or -errno. */
static int read_header(struct host_file *f, char *block, struct header *h)
{
	int64_t r = read_some(f, block, BLOCK, 0);

	if (r < 0)
		return (int)r;
	if ((uint64_t)r < sizeof(*h))
		return 0;
	memcpy(h, block, sizeof(*h));
	if (h->magic != HEADER_MAGIC)
		return h->magic ? -EUCLEAN : 0;
	if (h->version != VERSION)
		return -EUCLEAN;
	/* It is one sector, written whole: a wrong sum is damage, not a crash. */
	return h->sum == header_sum(h) ? 1 : -EUCLEAN;
}

/* ---- reading records ------------------------------------------------------------------------- */

/* Loads the descriptor at pos into j->desc.  1 right, 0 no record there, or -errno. */
static int load_desc(struct journal *j, uint64_t pos, uint64_t number)
{
	struct record *r;
	int64_t got;
	uint64_t len;
	int err = desc_room(j, 1);

	if (err)
		return err;
	got = read_some(j->file, j->desc, BLOCK, pos);
	if (got < 0)
		return (int)got;
	r = (struct record *)j->desc;
	if (got < (int64_t)BLOCK || r->magic != RECORD_MAGIC || r->salt != j->salt ||
	    r->number != number || r->pages > (1ull << 36))
		return 0;
	len = desc_size(r->pages);
	if (pos + record_size(r->pages) > (uint64_t)host_file_size(j->file))
		return 0;
	err = desc_room(j, r->pages);
	if (err)
		return err;
	got = read_some(j->file, j->desc, len, pos);
	if (got < 0)
		return (int)got;
	r = (struct record *)j->desc;
	return got == (int64_t)len && r->sum == desc_sum(r, len);
}

/* Pages k .. k + n of the record in j->desc, read into buf and checked.  1 right, 0 wrong, -errno. */
static int load_pages(struct journal *j, uint64_t pos, uint64_t k, uint64_t n, char *buf)
{
	struct record *r = (struct record *)j->desc;
	int64_t got = read_some(j->file, buf, n * PAGE_SIZE, pos + desc_size(r->pages) + k * PAGE_SIZE);

	if (got < 0)
		return (int)got;
	if ((uint64_t)got < n * PAGE_SIZE)
		return 0;
	for (uint64_t i = 0; i < n; i++)
		if (XXH3_64bits(buf + i * PAGE_SIZE, PAGE_SIZE) != r->entry[k + i].sum)
			return 0;
	return 1;
}

/* Writes them home, all in flight together: their order does not matter before the flush. */
static int write_pages(struct journal *j, struct host_file *home, uint64_t k, uint64_t n, char *buf)
{
	struct record *r = (struct record *)j->desc;
	struct host_io io[IO_PAGES];
	struct iovec iov[IO_PAGES];
	int nr = 0, err = 0;

	for (uint64_t i = 0; i < n; i++) {
		uint64_t off = r->entry[k + i].index * PAGE_SIZE, len = PAGE_SIZE;

		if (off >= r->file_size)
			continue;
		if (len > r->file_size - off)
			len = r->file_size - off;
		iov[nr] = (struct iovec){ buf + i * PAGE_SIZE, len };
		io[nr] = (struct host_io){
			.file = home, .iov = &iov[nr], .nr = 1, .write = true, .off = off, .len = len,
		};
		nr++;
	}
	host_ring_submit(j->ring, io, nr);
	for (int i = 0; i < nr; i++) {
		host_ring_wait(j->ring, &io[i]);
		if (!err && io[i].res != (int64_t)io[i].len)
			err = io[i].res < 0 ? (int)io[i].res : -EIO;
	}
	return err;
}

/* The pages of the record in j->desc: checked, and written to home if there is one.
 * 1 all right, 0 a wrong page, or -errno. */
static int run_pages(struct journal *j, uint64_t pos, struct host_file *home, char *buf)
{
	uint64_t pages = ((struct record *)j->desc)->pages;
	int r = 1;

	for (uint64_t k = 0, n; r == 1 && k < pages; k += n) {
		n = pages - k < IO_PAGES ? pages - k : IO_PAGES;
		r = load_pages(j, pos, k, n, buf);
		if (r == 1 && home) {
			int err = write_pages(j, home, k, n, buf);

			if (err)
				return err;
		}
	}
	return r;
}

/*
 * Goes through the records that count.  A record is checked whole before any of it is applied.
 * Leaves j->next and j->pos behind the last good one.  home NULL: nothing is applied.
 */
static int run_records(struct journal *j, struct host_file *home, struct pinfold_journal_info *info)
{
	char *buf = host_map(IO_PAGES * PAGE_SIZE);
	int r = buf ? 1 : -ENOMEM;

	j->next = j->first;
	j->pos = BLOCK;
	while (r == 1) {
		struct record *rec;

		r = load_desc(j, j->pos, j->next);
		if (r != 1)
			break;
		r = run_pages(j, j->pos, NULL, buf);
		rec = (struct record *)j->desc;
		if (r != 1) {
			if (info)
				info->torn = 1;
			break;
		}
		if (home) {
			/* Files only grow: never cut off what a later record of the same run will write. */
			if (host_file_size(home) < (int64_t)rec->file_size)
				r = host_file_truncate(home, rec->file_size) ? -EIO : 1;
			if (r == 1)
				r = run_pages(j, j->pos, home, buf);
			if (r != 1)
				break;
		}
		if (info) {
			info->commits++;
			info->pages += rec->pages;
			info->bytes += record_size(rec->pages);
			info->file_size = rec->file_size;
		}
		j->pos += record_size(rec->pages);
		j->next++;
	}
	if (buf)
		host_unmap(buf, IO_PAGES * PAGE_SIZE);
	return r < 0 ? r : 0;
}

/* ---- opening --------------------------------------------------------------------------------- */

static int start_new(struct journal *j)
{
	j->salt = host_random();
	j->first = j->next = 1;
	j->pos = BLOCK;
	j->unsure = false;
	return 0;
}

static int replay(struct journal *j, struct host_file *home)
{
	int r = run_records(j, home, NULL);

	if (!r && j->next != j->first)
		r = host_file_flush(home);
	j->first = j->next;
	j->pos = BLOCK;
	return r;
}

/* A journal with an identity: ours, or one that nothing hangs on. */
static int adopt(struct journal *j, struct host_file *home, const struct header *h)
{
	struct pinfold_journal_info info = { .size = sizeof(info) };
	int r;

	j->salt = h->salt;
	j->first = h->first;
	if (h->id.dev == j->id.dev && h->id.ino == j->id.ino)
		return replay(j, home);
	r = run_records(j, NULL, &info);
	if (r)
		return r;
	return info.commits ? -EUCLEAN : start_new(j);
}

static int journal_start(struct host_disk *disk, const char *path, struct host_file *home,
                         struct journal *j)
{
	struct header h;
	int r = read_header(j->file, j->block, &h);

	if (r < 0)
		return r;
	r = r ? adopt(j, home, &h) : start_new(j);
	if (r)
		return r;
	j->pid = host_pid();
	/* Behind a replay the header must be on disk before the room is used again; behind a start
	 * the file's name must be. */
	r = write_header(j, j->pid);
	if (!r)
		r = host_file_flush(j->file);
	if (!r)
		r = host_file_flush_dir(disk, path);
	j->room = (uint64_t)host_file_size(j->file);
	return r;
}

int journal_open(struct host_disk *disk, const char *path, struct host_file *home, uint64_t deadline,
                 struct journal *j)
{
	int r;

	j->block = host_map(BLOCK);
	if (!j->block)
		return -ENOMEM;
	r = host_file_ident(home, &j->id);
	if (!r)
		r = host_file_open(disk, path, HOST_OPEN_CREATE, 0600, &j->file);
	if (!r) {
		r = host_file_lock(j->file, deadline);
		if (!r)
			r = journal_start(disk, path, home, j);
		if (r) {
			host_file_close(j->file);
			j->file = NULL;
		}
	}
	if (r)
		journal_close(disk, path, j, false);
	return r;
}

void journal_close(struct host_disk *disk, const char *path, struct journal *j, bool remove)
{
	if (j->file) {
		if (!remove)
			write_header(j, 0); /* nobody has it open: a courtesy, not needed for replay */
		else
			host_file_unlink(disk, path);
		host_file_close(j->file);
	}
	if (j->desc)
		host_unmap(j->desc, j->desc_len);
	if (j->block)
		host_unmap(j->block, BLOCK);
	memset(j, 0, sizeof(*j));
}

int journal_inspect(struct host_disk *disk, const char *path, struct pinfold_journal_info *info)
{
	struct journal j = { .pid = 0 };
	struct header h;
	int r = host_file_open(disk, path, HOST_OPEN_RDONLY, 0, &j.file);

	if (r)
		return r == -ENOENT ? 0 : r;
	info->exists = 1;
	j.block = host_map(BLOCK);
	r = j.block ? read_header(j.file, j.block, &h) : -ENOMEM;
	if (r == 1) {
		uint8_t boot[16];

		info->valid = 1;
		host_boot_id(boot);
		/* A pid of an earlier boot is nobody, and so is one that is gone. */
		if (!memcmp(boot, h.boot, sizeof(boot)) && host_pid_alive((int)h.pid))
			info->holder_pid = (int)h.pid;
		j.salt = h.salt;
		j.first = h.first;
		r = run_records(&j, NULL, info);
	}
	host_file_close(j.file);
	if (j.desc)
		host_unmap(j.desc, j.desc_len);
	if (j.block)
		host_unmap(j.block, BLOCK);
	return r < 0 ? r : 0;
}

/* ---- writing --------------------------------------------------------------------------------- */

/* Blocks now, so that a full disk is told before the commit and a flush in the steady state has no
 * sizes to write.  On a nearly full disk what this record needs must do. */
static int make_room(struct journal *j, uint64_t need)
{
	uint64_t room = journal_test_room ? journal_test_room : j->want;
	int r;

	if (room < BLOCK + need)
		room = BLOCK + need;
	if (j->room >= room)
		return 0;
	r = host_file_alloc(j->file, 0, room);
	if (r == -ENOSPC && j->room < BLOCK + need) {
		room = BLOCK + need;
		r = host_file_alloc(j->file, 0, room);
	}
	if (!r || r == -EOPNOTSUPP)
		j->room = room;
	return j->room < BLOCK + need ? r : 0;
}

int journal_begin(struct journal *j, uint64_t pages, uint64_t file_size)
{
	uint64_t need = record_size(pages);
	struct record *r;
	int err = desc_room(j, pages);

	if (!err)
		err = make_room(j, need);
	if (err)
		return err;
	if (j->pos + need > j->room)
		return -EAGAIN;
	if (j->unsure) {
		/* Before the next record counts the header must say again where the first one is; the
		 * record's own flush takes it along. */
		err = write_header(j, j->pid);
		if (err)
			return err;
	}
	memset(j->desc, 0, desc_size(pages));
	r = (struct record *)j->desc;
	r->magic = RECORD_MAGIC;
	r->salt = j->salt;
	r->number = j->next;
	r->pages = pages;
	r->file_size = file_size;
	j->pages = pages;
	j->done = 0;
	return 0;
}

void journal_add(struct journal *j, const uint64_t *index, const struct iovec *addr, unsigned n,
                 struct host_io *io)
{
	struct record *r = (struct record *)j->desc;

	VM_BUG_ON(j->done + n > j->pages);
	io->file = j->file;
	io->write = true;
	io->off = j->pos + desc_size(j->pages) + j->done * PAGE_SIZE;
	io->len = (uint64_t)n * PAGE_SIZE;
	/* On its way before the sums are computed: they belong to the descriptor. */
	host_ring_submit(j->ring, io, 1);
	for (unsigned i = 0; i < n; i++) {
		r->entry[j->done + i].index = index[i];
		r->entry[j->done + i].sum = XXH3_64bits(addr[i].iov_base, PAGE_SIZE);
	}
	j->done += n;
}

/* A record whose end failed may be on disk whole, though nobody was promised it.  Takes it away: true if
 * that is certain. */
static bool revoke(struct journal *j)
{
	memset(j->block, 0, BLOCK);
	return !write_all(j, j->block, BLOCK, j->pos) && !host_file_flush(j->file);
}

int journal_seal(struct journal *j, bool *unsure)
{
	struct record *r = (struct record *)j->desc;
	size_t len = desc_size(j->pages);
	int err;

	*unsure = false;
	VM_BUG_ON(j->done != j->pages);
	r->sum = 0;
	r->sum = desc_sum(r, len);
	err = write_all(j, j->desc, len, j->pos);
	if (!err && !journal_test_skip_flush)
		err = host_file_flush(j->file);
	if (err) {
		*unsure = !revoke(j);
		return err;
	}
	j->pos += record_size(j->pages);
	j->next++;
	j->unsure = false;
	return 0;
}

uint32_t journal_block_of(const struct journal *j, uint64_t k)
{
	return (uint32_t)(j->pos / BLOCK - (j->pages - k));
}

int journal_read_block(struct journal *j, uint32_t block, void *buf)
{
	int64_t r = read_some(j->file, buf, PAGE_SIZE, block * BLOCK);

	return r < 0 ? (int)r : r == (int64_t)PAGE_SIZE ? 0 : -EIO;
}

int journal_reset(struct journal *j)
{
	uint64_t was = j->first;
	int r;

	j->first = j->next;
	r = write_header(j, j->pid);
	if (!r)
		r = host_file_flush(j->file);
	if (r) {
		/* The old records stay; the next one goes behind them or waits for a better reset. */
		j->first = was;
		j->unsure = true;
		return r;
	}
	j->pos = BLOCK;
	j->unsure = false;
	return 0;
}
