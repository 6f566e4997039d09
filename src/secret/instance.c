/*-------------------------------------------------------------------------
 *
 * instance.c
 *	  Which database this is: the guard against clones.
 *
 * The instance row holds a random identity and the database's OID; the file
 * <identity>.instance beside the key file holds the OID and the system
 * identifier of the cluster.  A dump takes the row along, and may be restored
 * where the file can be read and the OID happens to be the same: databases of
 * new clusters are numbered alike.  A base backup takes the OID and the
 * identifier too, but not the file.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "secret/secret.h"
#include "storage/fd.h"
#include "store/sql.h"
#include "tasksync.h"

static char *
instance_path(const char *id)
{
	return psprintf("%s/%s.instance", ts_key_folder(), id);
}

/* What the file of this very database says. */
static char *
our_names(void)
{
	return psprintf("%u " UINT64_FORMAT "\n", MyDatabaseId, GetSystemIdentifier());
}

static void
write_instance_file(const char *id)
{
	char	   *path = instance_path(id);
	char	   *folder = ts_key_folder();

	if (mkdir(folder, 0700) == 0)
		fsync_fname(folder, true);
	if (!ts_write_new_file(path, our_names()))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("could not create file \"%s\": %m", path),
				 errhint("Set tasksync.secret_key_file to a path where the server may create files.")));
}

void
ts_instance_ensure(void)
{
	static TsStatement stmt = {
		"INSERT INTO tasksync.instance (database_oid, key_file) VALUES ($1, $2)"
		" ON CONFLICT DO NOTHING RETURNING id",
		{OIDOID, TEXTOID}
	};
	TsArg		oid = {ObjectIdGetDatum(MyDatabaseId), false};

	if (ts_run(&stmt, oid, ts_text(ts_key_file_path())) > 0)
		write_instance_file(ts_col(0, 1));
}

/* Does the file beside the key name this very database? */
static bool
file_names_us(const char *id)
{
	char	   *path = instance_path(id);
	char		text[64] = "";
	int			fd = OpenTransientFile(path, O_RDONLY | PG_BINARY);
	ssize_t		n;

	if (fd < 0)
		return false;
	n = read(fd, text, sizeof(text) - 1);
	CloseTransientFile(fd);
	return n > 0 && strcmp(text, our_names()) == 0;
}

bool
ts_instance_check(TsError *err)
{
	static TsStatement stmt = {"SELECT id, database_oid FROM tasksync.instance"};
	static TsStatement accounts = {"SELECT FROM tasksync.connected_account LIMIT 1"};
	char	   *id;

	/* An account is never without it, but while a dump is being restored. */
	if (ts_run_args(&stmt, 0, NULL) == 0)
	{
		if (ts_run_args(&accounts, 0, NULL) == 0)
			return true;
		ts_error(err, "55000", "this database does not know which one it is");
		ts_error_hint(err, "When nothing is being restored into it any more, call tasksync.adopt_clone().");
		return false;
	}
	id = ts_col(0, 1);			/* the path below is looked up by a statement of its own */
	if (strtoul(ts_col(0, 2), NULL, 10) == MyDatabaseId && file_names_us(id))
		return true;
	ts_error(err, "55000", "this database is a copy of one that syncs with the same services");
	ts_error_detail(err, "The file \"%s\" does not name it.", instance_path(id));
	ts_error_hint(err, "If the original is gone, or no longer syncs, call tasksync.adopt_clone().");
	return false;
}

/* From now on this database is the one: a new identity, comparing everything anew. */
void
ts_instance_adopt(void)
{
	static TsStatement identity = {
		"UPDATE tasksync.instance SET id = pg_catalog.gen_random_uuid(), database_oid = $1,"
		" key_file = $2, adopted_at = pg_catalog.now() RETURNING id",
		{OIDOID, TEXTOID}
	};
	static TsStatement forget = {"UPDATE tasksync.instance SET key_file = NULL"};
	static TsStatement state = {
		"UPDATE tasksync.mapping_state SET cursor = NULL, full_at = NULL, compared_at = NULL,"
		" enabled_xid = pg_catalog.pg_current_xact_id()"
	};
	TsArg		oid = {ObjectIdGetDatum(MyDatabaseId), false};

	ts_instance_ensure();
	ts_run_args(&forget, 0, NULL);
	if (ts_run(&identity, oid, ts_text(ts_key_file_path())) > 0)
		write_instance_file(ts_col(0, 1));
	ts_run_args(&state, 0, NULL);
}
