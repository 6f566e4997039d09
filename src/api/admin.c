/*-------------------------------------------------------------------------
 *
 * admin.c
 *	  What only administrators call: credentials from a file of the server, a
 *	  new key for all secrets, and taking over as the database that syncs.
 *
 *-------------------------------------------------------------------------
 */
#include "api/api.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "catalog/pg_authid.h"
#include "common/jsonapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "secret/secret.h"
#include "storage/fd.h"
#include "track/track.h"
#include "utils/acl.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(tasksync_set_credentials_file);
PG_FUNCTION_INFO_V1(tasksync_rotate_secret_key);
PG_FUNCTION_INFO_V1(tasksync_adopt_clone);
PG_FUNCTION_INFO_V1(tasksync_require_encoding);

#define MAX_CREDENTIALS_FILE (64 * 1024)

extern Datum tasksync_set_credentials(PG_FUNCTION_ARGS);

static void
could_not_read(const char *path)
{
	ereport(ERROR,
			(errcode_for_file_access(),
			 errmsg("could not read file \"%s\": %m", path)));
}

/*
 * A regular file's whole text; neither a pipe nor a device is waited for.  One
 * byte more than allowed is asked for, so that what is read tells whether the
 * file is too large.
 */
static char *
read_file(const char *path)
{
	int			fd = OpenTransientFile(path, O_RDONLY | O_NONBLOCK | PG_BINARY);
	char	   *text = palloc(MAX_CREDENTIALS_FILE + 2);
	struct stat st;
	size_t		len = 0;
	ssize_t		n = 0;

	if (fd < 0 || fstat(fd, &st) < 0)
		could_not_read(path);
	if (!S_ISREG(st.st_mode))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not a regular file", path)));
	while (len <= MAX_CREDENTIALS_FILE &&
		   (n = read(fd, text + len, MAX_CREDENTIALS_FILE + 1 - len)) > 0)
		len += n;
	if (n < 0)
		could_not_read(path);
	CloseTransientFile(fd);
	if (len > MAX_CREDENTIALS_FILE)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("file \"%s\" is too large", path),
				 errdetail("The limit is %d bytes.", MAX_CREDENTIALS_FILE)));
	text[len] = '\0';
	return text;
}

/*
 * Whether a text is a JSON object.  PostgreSQL's own jsonb_in() would show the
 * text in the context of its error, so nothing that it might refuse may reach
 * it.
 */
static bool
is_json_object(char *text)
{
	int			len = strlen(text);

	return text[strspn(text, " \t\r\n")] == '{' &&
		pg_verify_mbstr(GetDatabaseEncoding(), text, len, true) &&
		pg_parse_json(makeJsonLexContextCstringLen(text, len, GetDatabaseEncoding(), true),
					  &nullSemAction) == JSON_SUCCESS;
}

/*
 * set_credentials_file(account_id uuid, path text) → void
 *
 * set_credentials() with what a file on the server says, so that a secret
 * passes through no statement.  For superusers and members of
 * pg_read_server_files.  The file is one JSON object of at most 64 kB.
 */
Datum
tasksync_set_credentials_file(PG_FUNCTION_ARGS)
{
	char	   *path = ts_arg_text(fcinfo, 1);
	char	   *text;

	if (!has_privs_of_role(GetUserId(), ROLE_PG_READ_SERVER_FILES))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be superuser or have privileges of pg_read_server_files to read credentials from a file")));
	ts_required(fcinfo, 0, "account_id");
	ts_required(fcinfo, 1, "path");
	canonicalize_path(path);
	text = read_file(path);
	if (!is_json_object(text))
	{
		explicit_bzero(text, strlen(text));
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("file \"%s\" does not hold a JSON object", path)));
	}
	(void) DirectFunctionCall2(tasksync_set_credentials, PG_GETARG_DATUM(0), ts_jsonb_datum(text));
	explicit_bzero(text, strlen(text));
	PG_RETURN_VOID();
}

/*
 * rotate_secret_key() → int
 *
 * A new key, and all secrets of this database sealed with it; how many.  For
 * superusers and the extension's owner: EXECUTE alone is not enough.
 */
Datum
tasksync_rotate_secret_key(PG_FUNCTION_ARGS)
{
	TsCall		call;
	int			n;

	if (!has_privs_of_role(GetUserId(), ts_owner()))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be owner of extension \"tasksync\" to change the key of its secrets")));
	ts_api_begin(&call);
	n = ts_keys_rotate();
	ts_api_end(&call);
	PG_RETURN_INT32(n);
}

/*
 * adopt_clone() → void
 *
 * From now on this database is the one that syncs: it gets a new identity, and
 * compares everything with the services anew.  For the owner and whom he
 * grants EXECUTE.
 */
Datum
tasksync_adopt_clone(PG_FUNCTION_ARGS)
{
	TsCall		call;

	ts_api_begin(&call);
	ts_instance_adopt();
	ts_wake_on_commit();
	ts_api_end(&call);
	PG_RETURN_VOID();
}

/*
 * Called by the extension script.  Services speak UTF-8, and texts go between
 * them and our tables as they are, so the database has to as well (or not to
 * care: SQL_ASCII).
 */
Datum
tasksync_require_encoding(PG_FUNCTION_ARGS)
{
	if (GetDatabaseEncoding() != PG_UTF8 && GetDatabaseEncoding() != PG_SQL_ASCII)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("tasksync cannot work in a database with encoding \"%s\"",
						GetDatabaseEncodingName()),
				 errhint("Create the extension in a database with encoding UTF8.")));
	PG_RETURN_VOID();
}
