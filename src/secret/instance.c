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
 * A base backup that is started on the machine of its original finds the
 * original's file, though, for the row names its folder.  So the file also says
 * whose it is: which data directory, in which system, on which timeline.  Where
 * that directory is another than ours and still there, we are a copy, but for
 * two cases: the folder was copied, as for a standby that is to take over; or we
 * were promoted, and what was the primary no longer runs.  Then the file is made
 * ours, and it is the other that finds itself to be a copy.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <fcntl.h>
#include <signal.h>
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

/* A small file's text; false when it can't be read. */
static bool
read_small_file(const char *path, char *text, size_t size)
{
	int			fd = OpenTransientFile(path, O_RDONLY | PG_BINARY);
	ssize_t		n;

	if (fd < 0)
		return false;
	n = read(fd, text, size - 1);
	CloseTransientFile(fd);
	text[Max(n, 0)] = '\0';
	return n > 0;
}

bool
ts_instance_read(const char *path, TsInstance *instance)
{
	char		text[MAXPGPATH + 512];
	char	   *save = NULL;
	char	   *line;

	memset(instance, 0, sizeof(*instance));
	if (!read_small_file(path, text, sizeof(text)) ||
		(line = strtok_r(text, "\n", &save)) == NULL)
		return false;
	instance->database = strtoul(line, NULL, 10);
	while ((line = strtok_r(NULL, "\n", &save)) != NULL)
	{
		int			path_at = 0;

		(void) sscanf(line, "system " UINT64_FORMAT, &instance->system);
		(void) sscanf(line, "timeline %u", &instance->timeline);
		(void) sscanf(line, "needs %16s", instance->needs);
		(void) sscanf(line, "folder " UINT64_FORMAT ":" UINT64_FORMAT,
					  &instance->folder_device, &instance->folder_inode);
		if (sscanf(line, "data " UINT64_FORMAT ":" UINT64_FORMAT " %n",
				   &instance->data_device, &instance->data_inode, &path_at) == 2 && path_at > 0)
			strlcpy(instance->data, line + path_at, sizeof(instance->data));
	}
	return true;
}

static bool
identify(const char *path, uint64 *device, uint64 *inode)
{
	struct stat st;

	if (stat(path, &st) != 0)
		return false;
	*device = st.st_dev;
	*inode = st.st_ino;
	return true;
}

/* What the file is to say of this database, but for the keys that it needs. */
static void
describe_us(TsInstance *us)
{
	memset(us, 0, sizeof(*us));
	us->database = MyDatabaseId;
	us->system = GetSystemIdentifier();
	us->timeline = RecoveryInProgress() ? 0 : GetWALInsertionTimeLine();
	strlcpy(us->data, DataDir, sizeof(us->data));
	(void) identify(DataDir, &us->data_device, &us->data_inode);
	(void) identify(ts_key_folder(), &us->folder_device, &us->folder_inode);
}

static char *
as_text(const TsInstance *i)
{
	return psprintf("%u\nsystem " UINT64_FORMAT "\ndata " UINT64_FORMAT ":" UINT64_FORMAT " %s\n"
					"folder " UINT64_FORMAT ":" UINT64_FORMAT "\ntimeline %u\n%s%s%s",
					i->database, i->system, i->data_device, i->data_inode, i->data,
					i->folder_device, i->folder_inode, i->timeline,
					i->needs[0] ? "needs " : "", i->needs, i->needs[0] ? "\n" : "");
}

static void
write_instance_file(const char *id)
{
	char	   *path = instance_path(id);
	char	   *folder = ts_key_folder();
	TsInstance	us;

	if (mkdir(folder, 0700) == 0)
		fsync_fname(folder, true);
	describe_us(&us);
	if (!ts_write_new_file(path, as_text(&us)))
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

/*
 * Copy or original?
 */

/* Does a directory hold a data directory of our system? */
static bool
holds_our_system(const char *data)
{
	uint64		system = 0;
	int			fd = OpenTransientFile(psprintf("%s/global/pg_control", data), O_RDONLY | PG_BINARY);
	bool		ok;

	if (fd < 0)
		return false;
	/* the identifier is the first member of ControlFileData, in all versions */
	ok = read(fd, &system, sizeof(system)) == sizeof(system) && system == GetSystemIdentifier();
	CloseTransientFile(fd);
	return ok;
}

/* Does a server run on it that may write, or might one? */
static bool
runs_as_primary(const char *data)
{
	char		text[64];
	pid_t		pid;

	if (access(psprintf("%s/standby.signal", data), F_OK) == 0 ||
		!read_small_file(psprintf("%s/postmaster.pid", data), text, sizeof(text)))
		return false;
	pid = strtol(text, NULL, 10);
	return pid > 0 && (kill(pid, 0) == 0 || errno == EPERM);
}

/*
 * Is the database that the file names another one, of which we are a copy?  A
 * data directory that has been moved, to this machine or on it, is not there any
 * more where it was.
 */
static bool
names_another(const TsInstance *file, const TsInstance *us)
{
	uint64		device,
				inode;

	if (file->system != us->system)
		return file->system != 0;	/* 0: the file of an earlier version */
	if (strcmp(file->data, us->data) == 0 ||
		(file->data_device == us->data_device && file->data_inode == us->data_inode))
		return false;
	if (!identify(file->data, &device, &inode) ||
		(device == us->data_device && inode == us->data_inode) ||
		!holds_our_system(file->data))
		return false;
	if (file->folder_device != us->folder_device || file->folder_inode != us->folder_inode)
		return false;			/* the folder is not the other's, it was copied for us */
	return us->timeline <= file->timeline || runs_as_primary(file->data);
}

/* Does the file beside the key name this very database?  From now on, if so. */
static bool
file_names_us(const char *id)
{
	char	   *path = instance_path(id);
	TsInstance	file;
	TsInstance	us;
	int			lock;

	if (!ts_instance_read(path, &file) || file.database != MyDatabaseId)
		return false;
	describe_us(&us);
	if (names_another(&file, &us))
		return false;
	strlcpy(us.needs, file.needs, sizeof(us.needs));
	if (!RecoveryInProgress() && strcmp(as_text(&us), as_text(&file)) != 0 &&
		(lock = ts_key_file_lock(ts_key_file_path())) >= 0)
	{
		(void) ts_replace_file(path, as_text(&us));
		CloseTransientFile(lock);
	}
	return true;
}

/* To be called with the key file locked. */
bool
ts_instance_needs(const char *key_id)
{
	static TsStatement stmt = {"SELECT id FROM tasksync.instance"};
	TsInstance	us;
	TsInstance	file;
	char	   *path;

	if (ts_run_args(&stmt, 0, NULL) == 0)
		return false;
	path = instance_path(ts_col(0, 1));
	describe_us(&us);
	strlcpy(us.needs, key_id, sizeof(us.needs));
	return (ts_instance_read(path, &file) && strcmp(as_text(&us), as_text(&file)) == 0) ||
		ts_replace_file(path, as_text(&us));
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
