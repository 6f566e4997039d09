/*-------------------------------------------------------------------------
 *
 * key.c
 *	  The key file.
 *
 * A line per key, "tasksync-key ID BASE64", the newest last; older ones are
 * kept as long as secrets are sealed with them (rotate.c).  By default it is
 * secret.key in the folder <data directory>.tasksync, beside the data directory:
 * no base backup carries it.  The place is chosen once and remembered in the
 * instance row.  The file is made for its owner alone, and is refused when
 * others can read it.
 *
 * All databases of a server share the file.  It is never written in place: who
 * changes it holds a lock on a file beside it, writes a new one and renames
 * that, so a reader and a crash find either the old or the new one, whole.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <fcntl.h>
#include <sodium.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "secret/secret.h"
#include "storage/fd.h"
#include "store/sql.h"
#include "tasksync.h"

#define MAX_KEY_FILE (64 * 1024)
#define MAX_KEY_LINE 128

/* A key that lies in the data directory is in every copy of it. */
static char *
outside_data_directory(const char *setting)
{
	char	   *path = pstrdup(setting);
	char	   *folder = pstrdup(setting);
	char	   *real;
	bool		inside;

	canonicalize_path(path);
	get_parent_directory(folder);
	real = realpath(folder, NULL);
	inside = !is_absolute_path(path) || path_is_prefix_of_path(DataDir, path) ||
		(real && path_is_prefix_of_path(DataDir, real));
	free(real);
	if (inside)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("tasksync.secret_key_file must not be in the data directory"),
				 errdetail("It is \"%s\".", setting),
				 errhint("Set it to an absolute path that no base backup carries.")));
	return path;
}

/* The setting, else the remembered place, else the default. */
char *
ts_key_file_path(void)
{
	static TsStatement stmt = {"SELECT key_file FROM tasksync.instance WHERE key_file IS NOT NULL"};

	if (ts_secret_key_file[0])
		return outside_data_directory(ts_secret_key_file);
	if (ts_run_args(&stmt, 0, NULL) > 0)
		return ts_col(0, 1);
	return psprintf("%s.tasksync/secret.key", DataDir);
}

char *
ts_key_folder(void)
{
	char	   *path = ts_key_file_path();

	get_parent_directory(path);
	return path;
}

/* A file of our own, new, readable by nobody else, and on disk; errno tells why not. */
bool
ts_write_new_file(const char *path, const char *text)
{
	size_t		len = strlen(text);
	int			fd = OpenTransientFilePerm(path, O_CREAT | O_EXCL | O_WRONLY | PG_BINARY, 0600);
	bool		ok;

	if (fd < 0)
		return false;
	ok = write(fd, text, len) == (ssize_t) len && pg_fsync(fd) == 0;
	if (CloseTransientFile(fd) != 0 || !ok)
	{
		unlink(path);
		return false;
	}
	fsync_fname(path, false);
	return true;
}

/* The same, in the place of what was there: never half of it, whatever happens. */
bool
ts_replace_file(const char *path, const char *text)
{
	char	   *draft = psprintf("%s.new", path);

	(void) unlink(draft);		/* of a process that died */
	if (!ts_write_new_file(draft, text))
		return false;
	if (durable_rename(draft, path, LOG) == 0)
		return true;
	(void) unlink(draft);
	return false;
}

/*
 * Nobody else changes the key file until the descriptor is closed, by
 * CloseTransientFile() or by an ERROR.  -1: it can't be had, errno tells why.
 */
int
ts_key_file_lock(const char *path)
{
	char	   *folder = pstrdup(path);
	int			fd;

	get_parent_directory(folder);
	if (mkdir(folder, 0700) == 0)
		fsync_fname(folder, true);
	fd = OpenTransientFilePerm(psprintf("%s.lock", path), O_CREAT | O_RDWR | PG_BINARY, 0600);
	while (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0)
	{
		CHECK_FOR_INTERRUPTS();
		pg_usleep(5000L);
	}
	return fd;
}

/* A new key as a line of the file; its id into key_id. */
static void
make_key_line(char *line, char *key_id)
{
	unsigned char key[TS_KEY_BYTES];
	unsigned char id[TS_KEY_ID_CHARS / 2];
	char		base64[sodium_base64_ENCODED_LEN(TS_KEY_BYTES, sodium_base64_VARIANT_ORIGINAL)];

	randombytes_buf(key, sizeof(key));
	randombytes_buf(id, sizeof(id));
	sodium_bin2hex(key_id, TS_KEY_ID_CHARS + 1, id, sizeof(id));
	sodium_bin2base64(base64, sizeof(base64), key, sizeof(key), sodium_base64_VARIANT_ORIGINAL);
	snprintf(line, MAX_KEY_LINE, "tasksync-key %s %s\n", key_id, base64);
	sodium_memzero(key, sizeof(key));
	sodium_memzero(base64, sizeof(base64));
}

static void
could_not_write(const char *path, TsError *err)
{
	ts_error(err, "55000", "could not create the key file \"%s\"", path);
	ts_error_detail(err, "%s.", strerror(errno));
	ts_error_hint(err, "Set tasksync.secret_key_file to a path where the server may create files.");
}

/* The first key, unless there is a file meanwhile. */
static bool
make_key_file(const char *path, TsError *err)
{
	char		line[MAX_KEY_LINE];
	char		key_id[TS_KEY_ID_CHARS + 1];
	int			lock = ts_key_file_lock(path);
	bool		ok;

	if (lock < 0)
	{
		could_not_write(path, err);
		return false;
	}
	make_key_line(line, key_id);
	ok = access(path, F_OK) == 0 || ts_replace_file(path, line);
	if (!ok)
		could_not_write(path, err);
	sodium_memzero(line, sizeof(line));
	CloseTransientFile(lock);
	return ok;
}

bool
ts_key_add(char *key_id, TsError *err)
{
	char	   *path = ts_key_file_path();
	char		line[MAX_KEY_LINE];
	char	   *text;
	char	   *both;
	int			lock = ts_key_file_lock(path);

	if (lock < 0)
	{
		could_not_write(path, err);
		return false;
	}
	text = access(path, F_OK) == 0 ? ts_key_file_read(path, err) : pstrdup("");
	if (text != NULL)
	{
		make_key_line(line, key_id);
		both = psprintf("%s%s%s", text,
						text[0] && text[strlen(text) - 1] != '\n' ? "\n" : "", line);
		if (strlen(both) > MAX_KEY_FILE)
		{
			ts_error(err, "55000", "key file \"%s\" has no room for another key", path);
			ts_error_hint(err, "Keys that nothing needs any more go within ten minutes, or when the configuration is reloaded, if a worker runs.");
		}
		else if (!ts_replace_file(path, both))
			could_not_write(path, err);
		sodium_memzero(line, sizeof(line));
		sodium_memzero(text, strlen(text));
		sodium_memzero(both, strlen(both));
	}
	CloseTransientFile(lock);
	return !ts_failed(err);
}

/* The whole file, or NULL with err set. */
char *
ts_key_file_read(const char *path, TsError *err)
{
	struct stat st;
	char	   *text = NULL;
	int			fd = OpenTransientFile(path, O_RDONLY | PG_BINARY);

	if (fd < 0)
	{
		ts_error(err, "55000", "could not open the key file \"%s\"", path);
		ts_error_detail(err, "%s.", strerror(errno));
		ts_error_hint(err, "Restore the key file, or set the credentials again with set_credentials().");
		return NULL;
	}
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || (st.st_mode & (S_IRWXG | S_IRWXO)) ||
		st.st_uid != geteuid())
	{
		ts_error(err, "55000", "key file \"%s\" can be read by others", path);
		ts_error_hint(err, "It must belong to the server's user, with permissions 0600.");
	}
	else if (st.st_size <= 0 || st.st_size > MAX_KEY_FILE)
		ts_error(err, "55000", "key file \"%s\" is empty or too large", path);
	else
	{
		text = palloc0(st.st_size + 1);
		if (read(fd, text, st.st_size) != st.st_size)
		{
			ts_error(err, "55000", "could not read the key file \"%s\"", path);
			text = NULL;
		}
	}
	CloseTransientFile(fd);
	return text;
}

/* The wanted key among the lines of the file; the last when wanted_id is NULL. */
static bool
find_key(char *text, const char *wanted_id, unsigned char *key, char *key_id)
{
	char	   *save = NULL;
	bool		found = false;

	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
	{
		char		id[TS_KEY_ID_CHARS + 1];
		char		base64[64];
		size_t		len = 0;

		if (sscanf(line, "tasksync-key %16s %63s", id, base64) == 2 &&
			(wanted_id == NULL || strcmp(id, wanted_id) == 0) &&
			sodium_base642bin(key, TS_KEY_BYTES, base64, strlen(base64), NULL, &len, NULL,
							  sodium_base64_VARIANT_ORIGINAL) == 0 && len == TS_KEY_BYTES)
		{
			strlcpy(key_id, id, TS_KEY_ID_CHARS + 1);
			found = true;
		}
		sodium_memzero(base64, sizeof(base64));
	}
	return found;
}

bool
ts_key_load(const char *wanted_id, bool ensure, unsigned char *key, char *key_id, TsError *err)
{
	char	   *path = ts_key_file_path();
	char	   *text;
	size_t		len;
	bool		found;

	if (sodium_init() < 0)
	{
		ts_error(err, "55000", "could not initialize libsodium");
		return false;
	}
	if (ensure && access(path, F_OK) != 0 && !make_key_file(path, err))
		return false;
	text = ts_key_file_read(path, err);
	if (text == NULL)
		return false;
	len = strlen(text);
	found = find_key(text, wanted_id, key, key_id);
	sodium_memzero(text, len);
	if (!found)
	{
		ts_error(err, "55000", "key file \"%s\" does not hold the key of these credentials", path);
		ts_error_hint(err, "Restore the key file, or set the credentials again with set_credentials().");
	}
	return found;
}
