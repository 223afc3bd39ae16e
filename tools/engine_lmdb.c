/* SPDX-License-Identifier: MIT */
/*
 * engine_lmdb.c - the store in LMDB: one value for a record, a commit is mdb_txn_commit() with its
 * flushes.
 *
 * LMDB has one write transaction at a time, and it belongs to one thread: the demo's threads hand
 * their transfers to the committing thread (deferred), which applies them and commits.
 */
#include "store.h"

#if defined(HAVE_LMDB) || defined(PINFOLD_HAVE_LMDB)
#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOAD_BATCH 100000

struct lmdb {
	MDB_env *env;
	MDB_dbi dbi;
	MDB_txn *txn; /* begun by the first access after a commit */
	MDB_cursor *cursor;
};

/* LMDB's own errors are below 0 too, but no errno: kept as text, -EIO as number. */
static int lmdb_fail(struct store *s, int rc, const char *what)
{
	snprintf(s->error, sizeof(s->error), "%s: %s", what, mdb_strerror(rc));
	return rc > 0 ? -rc : -EIO;
}

static int lmdb_begin(struct store *s)
{
	struct lmdb *l = s->own;
	int rc;

	if (l->txn)
		return 0;
	rc = mdb_txn_begin(l->env, NULL, 0, &l->txn);
	if (rc)
		return lmdb_fail(s, rc, "mdb_txn_begin");
	rc = mdb_cursor_open(l->txn, l->dbi, &l->cursor);
	return rc ? lmdb_fail(s, rc, "mdb_cursor_open") : 0;
}

static int lmdb_get(struct store *s, uint64_t i, struct record *r)
{
	struct lmdb *l = s->own;
	MDB_val key = { sizeof(i), &i }, value;
	int rc = lmdb_begin(s);

	if (rc < 0)
		return rc;
	rc = mdb_cursor_get(l->cursor, &key, &value, MDB_SET);
	if (rc)
		return lmdb_fail(s, rc, "mdb_cursor_get");
	memcpy(r, value.mv_data, sizeof(*r));
	return 0;
}

/* Directly after lmdb_get() of the same record: the cursor stands on it. */
static int lmdb_put(struct store *s, uint64_t i, const struct record *r)
{
	struct lmdb *l = s->own;
	MDB_val key = { sizeof(i), &i }, value = { sizeof(*r), (void *)r };
	int rc = mdb_cursor_put(l->cursor, &key, &value, MDB_CURRENT);

	return rc ? lmdb_fail(s, rc, "mdb_cursor_put") : 0;
}

static int lmdb_commit(struct store *s)
{
	struct lmdb *l = s->own;
	int rc;

	if (!l->txn)
		return 0;
	mdb_cursor_close(l->cursor);
	rc = mdb_txn_commit(l->txn);
	l->txn = NULL;
	return rc ? lmdb_fail(s, rc, "mdb_txn_commit") : 0;
}

/* The file's order is not the keys': all of it, once. */
static void lmdb_ahead(struct store *s, uint64_t off, uint64_t len)
{
	(void)len;
	if (off == 0)
		file_warm(s->path);
}

static int lmdb_close(struct store *s)
{
	struct lmdb *l = s->own;

	if (l->txn) {
		mdb_cursor_close(l->cursor);
		mdb_txn_abort(l->txn);
	}
	mdb_env_close(l->env);
	free(l);
	s->own = NULL;
	return 0;
}

static int env_open(struct store *s, unsigned flags)
{
	struct lmdb *l = calloc(1, sizeof(*l));
	MDB_txn *txn;
	int rc;

	if (!l)
		return store_fail(s, -ENOMEM, "lmdb");
	rc = mdb_env_create(&l->env);
	if (rc) {
		free(l);
		return lmdb_fail(s, rc, "mdb_env_create");
	}
	s->own = l;
	/* Old versions of pages wait to be reused: room for them beside the data. */
	rc = mdb_env_set_mapsize(l->env, s->size * 4);
	if (!rc)
		rc = mdb_env_open(l->env, s->path, flags | MDB_NOSUBDIR | MDB_NORDAHEAD, 0600);
	if (!rc)
		rc = mdb_txn_begin(l->env, NULL, 0, &txn);
	if (!rc) {
		rc = mdb_dbi_open(txn, NULL, MDB_INTEGERKEY | MDB_CREATE, &l->dbi);
		if (rc)
			mdb_txn_abort(txn);
		else
			rc = mdb_txn_commit(txn);
	}
	if (rc) {
		lmdb_fail(s, rc, s->path);
		lmdb_close(s);
		return rc > 0 ? -rc : -EIO;
	}
	return 0;
}

static int lmdb_open(struct store *s)
{
	return env_open(s, 0);
}

static int load_batch(struct store *s, uint64_t first, uint64_t end)
{
	struct lmdb *l = s->own;
	MDB_txn *txn;
	int rc = mdb_txn_begin(l->env, NULL, 0, &txn);

	if (rc)
		return lmdb_fail(s, rc, "mdb_txn_begin");
	for (uint64_t i = first; rc == 0 && i < end; i++) {
		struct record r;
		MDB_val key = { sizeof(i), &i }, value = { sizeof(r), &r };

		record_init(&r, i);
		rc = mdb_put(txn, l->dbi, &key, &value, MDB_APPEND);
	}
	if (rc)
		mdb_txn_abort(txn);
	else
		rc = mdb_txn_commit(txn);
	return rc ? lmdb_fail(s, rc, "load") : 0;
}

static int lmdb_create(struct store *s)
{
	char lock[4096 + 8];
	int rc;

	snprintf(lock, sizeof(lock), "%s-lock", s->path);
	unlink(s->path);
	unlink(lock);
	rc = env_open(s, MDB_NOSYNC);
	if (rc < 0)
		return rc;
	for (uint64_t i = 0; rc == 0 && i < s->records; i += LOAD_BATCH)
		rc = load_batch(s, i, i + LOAD_BATCH < s->records ? i + LOAD_BATCH : s->records);
	if (rc == 0) {
		struct lmdb *l = s->own;

		rc = mdb_env_sync(l->env, 1);
		rc = rc ? lmdb_fail(s, rc, "mdb_env_sync") : 0;
	}
	lmdb_close(s);
	return rc;
}

const struct engine engine_lmdb = {
	.name = "LMDB",
	.deferred = true,
	.create = lmdb_create,
	.open = lmdb_open,
	.commit = lmdb_commit,
	.get = lmdb_get,
	.put = lmdb_put,
	.ahead = lmdb_ahead,
	.close = lmdb_close,
};
#else
const struct engine engine_lmdb = { .name = "LMDB", .deferred = true };
#endif

const char *engine_missing(const struct engine *e)
{
	return e->create ? NULL : "install liblmdb-dev";
}
