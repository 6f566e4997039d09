/*-------------------------------------------------------------------------
 *
 * rotate.c
 *	  New keys for old.
 *
 * The order makes a crash harmless: the new key is in the file, on disk, before
 * anything is sealed with it; the old one goes out of the file in a later
 * transaction, once what is committed, and flushed, no longer needs it.  In
 * between the file holds both.
 *
 * All databases of a server share the file, so each says in its instance file
 * which key is the oldest that it needs.  One that has not said so needs all.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <sodium.h>
#include <unistd.h>

#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_database.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "secret/secret.h"
#include "storage/fd.h"
#include "store/sql.h"
#include "tasksync.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/syscache.h"

/* The secrets as they were, and what to write. */
typedef struct Resealing
{
	int			n;
	char	  **account;
	char	  **user;
	char	  **key_id;
	bytea	  **sealed;
} Resealing;

static void
load_secrets(Resealing *r)
{
	static TsStatement stmt = {
		"SELECT s.account_id::text, s.user_id, s.key_id, s.sealed FROM tasksync.secret s"
	};

	r->n = ts_run_args(&stmt, 0, NULL);
	r->account = palloc(sizeof(char *) * (r->n + 1));
	r->user = palloc(sizeof(char *) * (r->n + 1));
	r->key_id = palloc(sizeof(char *) * (r->n + 1));
	r->sealed = palloc(sizeof(bytea *) * (r->n + 1));
	for (int i = 0; i < r->n; i++)
	{
		bool		isnull;

		r->account[i] = ts_col(i, 1);
		r->user[i] = ts_col(i, 2);
		r->key_id[i] = ts_col(i, 3);
		r->sealed[i] = DatumGetByteaPCopy(SPI_getbinval(SPI_tuptable->vals[i],
														SPI_tuptable->tupdesc, 4, &isnull));
	}
}

static char *
as_hex(const bytea *b)
{
	size_t		len = VARSIZE(b) - VARHDRSZ;
	char	   *hex = palloc(len * 2 + 1);

	return sodium_bin2hex(hex, len * 2 + 1, (const unsigned char *) VARDATA(b), len);
}

/*
 * One secret under the new key, as hex; NULL where it cannot be opened.  Such a
 * one is lost already (a dump restored without its key, say), and is no reason to
 * keep the others under the old key.
 */
static char *
reseal(const Resealing *r, int i, const unsigned char *key)
{
	TsError		err = {0};
	char	   *json = ts_secret_open(r->account[i], r->user[i], r->key_id[i], r->sealed[i], &err);
	char	   *hex;

	if (json == NULL)
	{
		ereport(WARNING,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the credentials of account \"%s\" cannot be opened and stay as they are",
						r->account[i]),
				 errdetail("%s", err.message)));
		return NULL;
	}
	hex = as_hex(ts_secret_seal(r->account[i], r->user[i], json, key));
	sodium_memzero(json, strlen(json));
	return hex;
}

int
ts_keys_rotate(void)
{
	static TsStatement lock = {"LOCK TABLE tasksync.secret IN SHARE ROW EXCLUSIVE MODE"};
	static TsStatement write = {
		"UPDATE tasksync.secret s SET key_id = $1, sealed = pg_catalog.decode(n.sealed, 'hex')"
		" FROM unnest($2::uuid[], $3, $4) AS n (account_id, user_id, sealed)"
		" WHERE s.account_id = n.account_id AND s.user_id = n.user_id AND n.sealed IS NOT NULL",
		{TEXTOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID}
	};
	Resealing	r;
	TsError		err = {0};
	unsigned char key[TS_KEY_BYTES];
	char		key_id[TS_KEY_ID_CHARS + 1];
	char	  **hex;

	ts_run_args(&lock, 0, NULL);
	ts_instance_ensure();
	if (!ts_instance_check(&err) || !ts_key_add(key_id, &err) ||
		!ts_key_load(key_id, false, key, key_id, &err))
		ts_ereport(&err);
	load_secrets(&r);
	hex = palloc(sizeof(char *) * (r.n + 1));
	for (int i = 0; i < r.n; i++)
		hex[i] = reseal(&r, i, key);
	sodium_memzero(key, sizeof(key));
	return ts_run(&write, ts_text(key_id),
				  ts_texts((const char *const *) r.account, r.n),
				  ts_texts((const char *const *) r.user, r.n),
				  ts_texts((const char *const *) hex, r.n));
}

/*
 * The file's text
 */

#define KEY_LINE "tasksync-key "

static char *
next_line(char *line)
{
	line += strcspn(line, "\n");
	return *line ? line + 1 : line;
}

/* Where the line of a key begins (NULL: the last key's); NULL: it is not there. */
static char *
line_of(char *text, const char *key_id)
{
	char	   *start = psprintf(KEY_LINE "%s%s", key_id ? key_id : "", key_id ? " " : "");
	char	   *found = NULL;

	for (char *line = text; *line; line = next_line(line))
		if (strncmp(line, start, strlen(start)) == 0)
			found = line;
	return found;
}

/* The first line that our own secrets need: of those they are sealed with, or the last. */
static char *
first_needed_here(char *text)
{
	static TsStatement stmt = {"SELECT DISTINCT s.key_id FROM tasksync.secret s"};
	char	   *first = line_of(text, NULL);
	int			n = ts_run_args(&stmt, 0, NULL);

	for (int i = 0; i < n; i++)
	{
		char	   *line = line_of(text, ts_col(i, 1));

		if (line && line < first)
			first = line;
	}
	return first;
}

/* Has the database gone that an instance file is of?  Of another server's we can't know. */
static bool
is_dropped(const TsInstance *other)
{
	return other->system == GetSystemIdentifier() &&
		!SearchSysCacheExists1(DATABASEOID, ObjectIdGetDatum(other->database));
}

/* The first line that any database needs. */
static char *
first_needed(char *text, char *here)
{
	char	   *folder = ts_key_folder();
	DIR		   *dir = AllocateDir(folder);
	struct dirent *entry;
	char	   *first = here;

	while ((entry = ReadDirExtended(dir, folder, LOG)) != NULL)
	{
		size_t		len = strlen(entry->d_name);
		TsInstance	other;
		char	   *line;

		if (len < 9 || strcmp(entry->d_name + len - 9, ".instance") != 0 ||
			!ts_instance_read(psprintf("%s/%s", folder, entry->d_name), &other) ||
			is_dropped(&other))
			continue;
		line = other.needs[0] ? line_of(text, other.needs) : text;
		if (line == NULL)
			line = text;
		first = Min(first, line);
	}
	if (dir == NULL)
		first = text;
	FreeDir(dir);
	return first;
}

/* The id in a line. */
static char *
id_of(const char *line)
{
	const char *id = line + strlen(KEY_LINE);

	return pnstrdup(id, strcspn(id, " \n"));
}

/*
 * Nobody may be sealing or opening: the table is locked against all, and what is
 * committed is made to stay, or a crash could bring back a secret whose key has
 * gone.  Where somebody has the table there will be another time.
 */
void
ts_keys_prune(void)
{
	static TsStatement lock = {"LOCK TABLE tasksync.secret IN ACCESS EXCLUSIVE MODE NOWAIT"};
	static TsStatement any = {"SELECT FROM tasksync.instance"};
	char	   *path = ts_key_file_path();
	TsError		err = {0};
	char	   *text;
	char	   *here;
	char	   *first;
	bool		alone;
	int			fd;

	if (ts_run_args(&any, 0, NULL) == 0 || access(path, F_OK) != 0 || !ts_instance_check(&err) ||
		(text = ts_key_file_read(path, &err)) == NULL)
		return;
	here = line_of(text, NULL);
	alone = here == NULL || here == text;
	sodium_memzero(text, strlen(text));
	if (alone)
		return;
	ts_run_args(&lock, 0, NULL);
	XLogFlush(GetXLogInsertRecPtr());
	fd = ts_key_file_lock(path);
	text = fd >= 0 ? ts_key_file_read(path, &err) : NULL;
	if (text != NULL && (here = first_needed_here(text)) != NULL)
	{
		first = ts_instance_needs(id_of(here)) ? first_needed(text, here) : text;
		if (first > text && ts_replace_file(path, first))
			ereport(LOG, (errmsg("tasksync took keys that nothing needs any more out of \"%s\"", path)));
		sodium_memzero(text, strlen(text));
	}
	if (fd >= 0)
		CloseTransientFile(fd);
}
