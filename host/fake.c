/* SPDX-License-Identifier: MIT */
/*
 * fake.c - see fake.h: the disk in memory and its record.
 *
 * Calls are atomic under one lock.  There is no descriptor (fd -1): the ring does every request in
 * its call.  Every file is kept twice, as it was first and as it is now; the record holds the rest.
 *
 * What a cut leaves.  A write is settled once the next flush of its own file succeeded.  If that
 * failed, later ones do not settle it either, as in Linux, where the pages count as clean: it has
 * to be written again.  Names, sizes and allocations are settled by any later flush of the file
 * that succeeded, creates and unlinks also by flush_dir (the disk is one folder: any path will do).
 * What is not settled arrives or not, each for itself, in order; a write also in part, by sectors
 * of 512 bytes, its growth of the file with or without its data.  A write that failed with an
 * injected error (not ENOSPC) leaves some of its sectors, now and after a cut; it never settles.
 *
 * Injected failures: allocations count as FAKE_TRUNCATE, flush_dir as FAKE_FLUSH.  Calls that fail
 * for want of room or with a wrong argument are not recorded.  A file takes room up to the last
 * byte written or allocated; growing by truncate takes none.  A crash disk has the same file ids,
 * an empty record, no marks, no limit and no failure set; it knows nothing of fake_disk_shorten().
 */
#include "host/fake.h"
#include "host/file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { SECTOR = 512, READS = 8 };
enum fate { ABSENT, TORN, WHOLE };

struct image {
	uint8_t *data;
	uint64_t fill; /* bytes in data[]; the rest of the file is zero */
	uint64_t room; /* of data[] */
	uint64_t size;
	uint64_t held; /* up to here there are blocks: what counts against the limit */
};

struct node {
	struct node *next, *twin; /* twin: its copy, while a crash disk is made */
	char *path;
	uint64_t ino;
	bool linked, born;      /* born: by an entry of the record, absent from the first state */
	struct handle *holder;  /* of the lock */
	struct image base, now; /* the first state, which survives every cut, and the current one */
	bool next_flush, flushed; /* for settle(): the next one, a later one, was fine */
};

struct handle {
	struct host_file file;
	struct node *node;
};

struct entry {
	enum fake_op op;
	bool failed, grow; /* grow: a FAKE_TRUNCATE that allocates [off, off + len) */
	struct node *node; /* NULL: a flush_dir */
	uint64_t off, len; /* truncate: len is the size */
	uint8_t *data;     /* of a write */
};

struct mark {
	int kind;
	uint64_t value;
	unsigned long ops;
};

struct fake {
	struct host_disk disk;
	struct host_mutex lock;
	uint64_t seed, dev, inodes, limit;
	struct node *nodes;
	struct entry *rec;
	struct mark *mark;
	unsigned long nr, marks, fail_nth;
	unsigned fail_mask;
	int fail_err;
	bool fail_forever;
};

static uint64_t mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
	x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
	return x ^ (x >> 31);
}

static void *must(void *p)
{
	if (!p)
		host_panic("fake disk: no memory");
	return p;
}

/* Room for one more at p[n]: arrays double at powers of two. */
static void *grown(void *p, unsigned long n, size_t each)
{
	return n & (n - 1) ? p : must(realloc(p, (n ? 2 * n : 1) * each));
}

static struct fake *locked(struct host_disk *disk)
{
	host_lock(&((struct fake *)disk)->lock);
	return (struct fake *)disk;
}

static void unlock(struct fake **f)
{
	host_unlock(&(*f)->lock);
}

/* Holds the disk's lock to the end of the block. */
#define LOCKED(f, disk) struct fake *f __attribute__((cleanup(unlock), unused)) = locked(disk)

/* ---- images ---------------------------------------------------------------------------------- */

static void image_drop(struct image *img)
{
	free(img->data);
	*img = (struct image){ 0 };
}

static void image_copy(struct image *to, const struct image *from)
{
	*to = *from;
	to->room = from->fill + 1;
	to->data = must(malloc(to->room));
	if (from->fill)
		memcpy(to->data, from->data, from->fill);
}

static void image_extend(struct image *img, uint64_t end)
{
	img->size = img->size < end ? end : img->size;
}

static void image_hold(struct image *img, uint64_t end)
{
	img->held = img->held < end ? end : img->held;
	image_extend(img, end);
}

static void image_write(struct image *img, const uint8_t *data, uint64_t off, uint64_t len)
{
	if (img->room < off + len) {
		img->room = off + len < 2 * img->room ? 2 * img->room : off + len;
		img->data = must(realloc(img->data, img->room));
	}
	if (img->fill < off + len) {
		memset(img->data + img->fill, 0, off + len - img->fill);
		img->fill = off + len;
	}
	memcpy(img->data + off, data, len);
	image_hold(img, off + len);
}

static size_t image_read(const struct image *img, uint8_t *buf, size_t len, uint64_t off)
{
	size_t there;

	len = off >= img->size ? 0 : len < img->size - off ? len : img->size - off;
	there = off >= img->fill ? 0 : len < img->fill - off ? len : img->fill - off;
	if (there)
		memcpy(buf, img->data + off, there);
	if (there < len)
		memset(buf + there, 0, len - there);
	return len;
}

static void image_truncate(struct image *img, uint64_t size)
{
	img->size = size;
	img->fill = img->fill < size ? img->fill : size;
	img->held = img->held < size ? img->held : size;
}

/* Some sectors of a write: its first or last ones, all but one, or a free choice, by r. */
static void image_tear(struct image *img, const struct entry *e, uint64_t r)
{
	uint64_t first = e->off / SECTOR, end = e->off + e->len;
	uint64_t n = (end - 1) / SECTOR - first + 1, pick = mix(r) % n;

	for (uint64_t s = 0; s < n; s++) {
		uint64_t lo = (first + s) * SECTOR, hi = lo + SECTOR < end ? lo + SECTOR : end;
		bool kinds[] = { s < pick, s > pick, s != pick, mix(r ^ s) >> 63 };

		lo = lo < e->off ? e->off : lo;
		if (kinds[r & 3])
			image_write(img, e->data + (lo - e->off), lo, hi - lo);
	}
	if (r & 4)
		image_extend(img, end);
}

static void image_apply(struct image *img, const struct entry *e, enum fate fate, uint64_t r)
{
	if (e->op == FAKE_WRITE && fate == TORN) {
		image_tear(img, e, r);
	} else if (e->op == FAKE_WRITE && fate == WHOLE) {
		image_write(img, e->data, e->off, e->len);
	} else if (e->op == FAKE_TRUNCATE && fate == WHOLE && e->grow) {
		image_hold(img, e->off + e->len);
	} else if (e->op == FAKE_TRUNCATE && fate == WHOLE) {
		image_truncate(img, e->len);
	}
}

/* ---- files and record ------------------------------------------------------------------------ */

static struct entry *record(struct fake *f, enum fake_op op, struct node *node, int err)
{
	f->rec = grown(f->rec, f->nr, sizeof(*f->rec));
	f->rec[f->nr] = (struct entry){ .op = op, .node = node, .failed = err };
	return &f->rec[f->nr++];
}

/* -errno if an operation of this kind has to fail now. */
static int injected(struct fake *f, int kind)
{
	if (!f->fail_nth || !(f->fail_mask & 1u << kind))
		return 0;
	if (f->fail_nth > 1) {
		f->fail_nth--;
		return 0;
	}
	f->fail_nth = f->fail_forever;
	return -f->fail_err;
}

static bool has_room(struct fake *f, const struct image *img, uint64_t end)
{
	uint64_t used = end > img->held ? end - img->held : 0;

	for (struct node *n = f->nodes; n && used; n = n->next)
		used += n->linked ? n->now.held : 0;
	return !f->limit || used <= f->limit;
}

static struct node *lookup(struct fake *f, const char *path)
{
	struct node *n = f->nodes;

	while (n && !(n->linked && !strcmp(n->path, path)))
		n = n->next;
	return n;
}

static struct node *node_new(struct fake *f, const char *path, uint64_t ino, bool born)
{
	struct node *n = must(calloc(1, sizeof(*n)));

	*n = (struct node){ .next = f->nodes, .ino = ino, .linked = true, .born = born };
	n->path = must(strdup(path));
	f->nodes = n;
	return n;
}

static struct node *node_of(struct host_file *file)
{
	return ((struct handle *)file)->node;
}

/* ---- the operations of host/file.h ----------------------------------------------------------- */

static int fake_open(struct host_disk *disk, const char *path, int flags, unsigned mode,
                     struct host_file **file)
{
	LOCKED(f, disk);
	struct node *n = lookup(f, path);
	struct handle *h;
	int err = n ? 0 : flags & HOST_OPEN_CREATE ? injected(f, FAKE_CREATE) : -ENOENT;

	(void)mode;
	if (err)
		return err;
	if (!n) {
		n = node_new(f, path, ++f->inodes, true);
		record(f, FAKE_CREATE, n, 0);
	}
	h = must(calloc(1, sizeof(*h)));
	*h = (struct handle){ { disk, -1, false }, n };
	*file = &h->file;
	return 0;
}

static void fake_close(struct host_file *file)
{
	LOCKED(f, file->disk);
	struct node *n = node_of(file);

	if (n->holder == (struct handle *)file)
		n->holder = NULL;
	free(file);
}

static int fake_lock(struct host_file *file, uint64_t deadline)
{
	struct node *n = node_of(file);
	_Atomic uint32_t nobody = 0;

	for (;; host_wait(&nobody, 0, 1000000)) {
		LOCKED(f, file->disk);

		if (!n->holder)
			n->holder = (struct handle *)file;
		if (n->holder == (struct handle *)file)
			return 0;
		if (host_now() >= deadline)
			return -EWOULDBLOCK;
	}
}

static int fake_ident(struct host_file *file, struct host_file_id *id)
{
	*id = (struct host_file_id){ ((struct fake *)file->disk)->dev, node_of(file)->ino };
	return 0;
}

static int64_t fake_size(struct host_file *file)
{
	LOCKED(f, file->disk);

	return (int64_t)node_of(file)->now.size;
}

/* Truncate, and with grow alloc. */
static int fake_resize(struct host_file *file, bool grow, uint64_t off, uint64_t len)
{
	LOCKED(f, file->disk);
	struct image *img = &node_of(file)->now;
	int err = injected(f, FAKE_TRUNCATE);
	struct entry *e;

	if (!err && grow && !has_room(f, img, off + len))
		err = -ENOSPC;
	if (err)
		return err;
	e = record(f, FAKE_TRUNCATE, node_of(file), 0);
	e->grow = grow;
	e->off = off;
	e->len = len;
	image_apply(img, e, WHOLE, 0);
	return 0;
}

static int fake_truncate(struct host_file *file, uint64_t size)
{
	return fake_resize(file, false, 0, size);
}

static int fake_alloc(struct host_file *file, uint64_t off, uint64_t len)
{
	return len ? fake_resize(file, true, off, len) : -EINVAL;
}

static int64_t fake_readv(struct host_file *file, const struct iovec *iov, int n, uint64_t off)
{
	LOCKED(f, file->disk);
	int64_t done = injected(f, READS);

	for (int i = 0; done >= 0 && i < n; i++)
		done += (int64_t)image_read(&node_of(file)->now, iov[i].iov_base, iov[i].iov_len,
		                            off + (uint64_t)done);
	return done;
}

static int64_t fake_writev(struct host_file *file, const struct iovec *iov, int n, uint64_t off)
{
	LOCKED(f, file->disk);
	struct image *img = &node_of(file)->now;
	int err = injected(f, FAKE_WRITE);
	struct entry *e;
	uint64_t len = 0;

	for (int i = 0; i < n; i++)
		len += iov[i].iov_len;
	if (!err && !has_room(f, img, off + len))
		err = -ENOSPC;
	if (err == -ENOSPC || !len)
		return err;
	e = record(f, FAKE_WRITE, node_of(file), err);
	e->data = must(malloc(len));
	e->off = off;
	for (int i = 0; i < n; e->len += iov[i++].iov_len)
		memcpy(e->data + e->len, iov[i].iov_base, iov[i].iov_len);
	image_apply(img, e, err ? TORN : WHOLE, mix(f->seed + f->nr));
	return err ? err : (int64_t)len;
}

static int flush(struct host_disk *disk, struct node *node)
{
	LOCKED(f, disk);
	int err = injected(f, FAKE_FLUSH);

	record(f, FAKE_FLUSH, node, err);
	return err;
}

static int fake_flush(struct host_file *file)
{
	return flush(file->disk, node_of(file));
}

static int fake_flush_dir(struct host_disk *disk, const char *path)
{
	(void)path;
	return flush(disk, NULL);
}

static int fake_unlink(struct host_disk *disk, const char *path)
{
	LOCKED(f, disk);
	struct node *n = lookup(f, path);
	int err = n ? injected(f, FAKE_UNLINK) : -ENOENT;

	if (err)
		return err;
	record(f, FAKE_UNLINK, n, 0);
	n->linked = false;
	return 0;
}

static void fake_child(struct host_file *file)
{
	(void)file;
}

static const struct host_disk_ops fake_ops = {
	fake_open, fake_close, fake_lock, fake_ident, fake_size, fake_truncate, fake_alloc,
	fake_readv, fake_writev, fake_flush, fake_flush_dir, fake_unlink, fake_child,
};

/* ---- cuts ------------------------------------------------------------------------------------ */

/* For each of the first `ops` entries: is it settled behind them? */
static bool *settle(struct fake *f, unsigned long ops)
{
	bool *settled = must(calloc(ops + 1, 1)), dir = false;

	for (struct node *n = f->nodes; n; n = n->next)
		n->next_flush = n->flushed = false;
	for (unsigned long i = ops; i-- > 0;) {
		const struct entry *e = &f->rec[i];
		struct node *n = e->node;

		if (e->op == FAKE_FLUSH && !n) {
			dir |= !e->failed;
		} else if (e->op == FAKE_FLUSH) {
			n->next_flush = !e->failed;
			n->flushed |= !e->failed;
		} else if (e->op == FAKE_WRITE) {
			settled[i] = n->next_flush && !e->failed;
		} else {
			settled[i] = (e->op != FAKE_UNLINK && n->flushed) ||
			             (e->op != FAKE_TRUNCATE && dir);
		}
	}
	return settled;
}

/* What becomes of an entry; mode and seed as in fake_disk_crash(), r: its own dice. */
static enum fate fate_of(const struct entry *e, bool settled, int mode, uint64_t seed, uint64_t r)
{
	/* Chances in 256 to arrive whole, to be torn.  A cut has a character, from "hardly any" to
	 * "all but one": with even chances the rare subsets would never come up. */
	static const uint8_t chance[4][2] = { { 12, 24 }, { 80, 80 }, { 170, 50 }, { 232, 16 } };
	const uint8_t *c = chance[mix(seed) & 3];
	unsigned roll = r >> 56;

	if (e->failed)
		return mode == 0 || (mode == 2 && roll < 128) ? TORN : ABSENT;
	if (mode == 0 || settled)
		return WHOLE;
	if (mode == 1)
		return ABSENT;
	if (e->op == FAKE_WRITE && roll >= c[0] && roll < c[0] + c[1])
		return TORN;
	return roll < c[0] ? WHOLE : ABSENT;
}

/* The entry, in the disk `to` made of the twins. */
static void replay(struct fake *to, const struct entry *e, enum fate fate, uint64_t r)
{
	struct node *n = e->node, *old;

	if (e->op == FAKE_CREATE && fate == WHOLE) {
		old = lookup(to, n->path);
		if (old)
			old->linked = false; /* its unlink must have arrived too */
		n->twin = node_new(to, n->path, n->ino, false);
	} else if (n && n->twin && e->op == FAKE_UNLINK && fate == WHOLE) {
		n->twin->linked = false;
	} else if (n && n->twin) {
		image_apply(&n->twin->now, e, fate, r);
	}
}

struct host_disk *fake_disk_crash(struct host_disk *disk, unsigned long ops, int mode,
                                  uint64_t seed)
{
	struct fake *to = (struct fake *)fake_disk_create(mix(seed ^ ops));
	LOCKED(f, disk);
	bool *settled;

	ops = ops < f->nr ? ops : f->nr;
	settled = settle(f, ops);
	to->dev = f->dev;
	to->inodes = f->inodes;
	for (struct node *n = f->nodes; n; n = n->next) {
		n->twin = n->born ? NULL : node_new(to, n->path, n->ino, false);
		if (n->twin)
			image_copy(&n->twin->now, &n->base);
	}
	for (unsigned long i = 0; i < ops; i++) {
		const struct entry *e = &f->rec[i];
		/* A write that failed is torn as it was then, unless the seed says how. */
		uint64_t r = mix((mode == 2 ? mix(seed) : f->seed + 1) + i);

		replay(to, e, fate_of(e, settled[i], mode, seed, r), r);
	}
	for (struct node *n = to->nodes; n; n = n->next) {
		n->born = !n->linked; /* one that is gone: as if the record had made it */
		image_copy(&n->base, &n->now);
	}
	free(settled);
	return &to->disk;
}

/* ---- the rest of fake.h ---------------------------------------------------------------------- */

struct host_disk *fake_disk_create(uint64_t seed)
{
	struct fake *f = must(calloc(1, sizeof(*f)));

	f->disk.ops = &fake_ops;
	host_mutex_init(&f->lock, HOST_RANK_STAT);
	f->seed = seed;
	f->dev = mix(~seed);
	return &f->disk;
}

void fake_disk_destroy(struct host_disk *disk)
{
	struct fake *f = (struct fake *)disk;

	for (unsigned long i = 0; i < f->nr; i++)
		free(f->rec[i].data);
	for (struct node *n = f->nodes, *next; n; n = next) {
		next = n->next;
		image_drop(&n->base);
		image_drop(&n->now);
		free(n->path);
		free(n);
	}
	free(f->rec);
	free(f->mark);
	free(f);
}

unsigned long fake_disk_ops(struct host_disk *disk)
{
	LOCKED(f, disk);

	return f->nr;
}

void fake_disk_mark(struct host_disk *disk, int kind, uint64_t value)
{
	LOCKED(f, disk);

	f->mark = grown(f->mark, f->marks, sizeof(*f->mark));
	f->mark[f->marks++] = (struct mark){ kind, value, f->nr };
}

uint64_t fake_disk_marked(struct host_disk *disk, int kind, unsigned long ops)
{
	LOCKED(f, disk);
	uint64_t max = 0;

	for (const struct mark *m = f->mark; m < f->mark + f->marks; m++)
		if (m->kind == kind && m->ops <= ops && m->value > max)
			max = m->value;
	return max;
}

void fake_disk_fail(struct host_disk *disk, unsigned mask, unsigned long nth, int err, bool forever)
{
	LOCKED(f, disk);

	f->fail_mask = mask;
	f->fail_nth = nth;
	f->fail_err = err;
	f->fail_forever = forever;
}

void fake_disk_limit(struct host_disk *disk, uint64_t bytes)
{
	LOCKED(f, disk);

	f->limit = bytes;
}

int64_t fake_disk_read(struct host_disk *disk, const char *path, void *buf, size_t len,
                       uint64_t off)
{
	LOCKED(f, disk);
	const struct node *n = lookup(f, path);

	return n ? (int64_t)image_read(&n->now, buf, len, off) : -ENOENT;
}

int64_t fake_disk_file_size(struct host_disk *disk, const char *path)
{
	LOCKED(f, disk);
	const struct node *n = lookup(f, path);

	return n ? (int64_t)n->now.size : -ENOENT;
}

int fake_disk_shorten(struct host_disk *disk, const char *path, uint64_t size)
{
	LOCKED(f, disk);
	struct node *n = lookup(f, path);

	if (n && size < n->now.size)
		image_truncate(&n->now, size);
	return n ? 0 : -ENOENT;
}
