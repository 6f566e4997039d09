/*-------------------------------------------------------------------------
 *
 * key.c
 *	  The key file.
 *
 * A line per key, "tasksync-key ID BASE64", the newest last; older ones are
 * kept as long as secrets are sealed with them.  By default it is secret.key in
 * the folder <data directory>.tasksync, beside the data directory: no base
 * backup carries it.  The place is chosen once and remembered in the instance
 * row.  The file is created exclusively, for its owner alone, and is refused
 * when others can read it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <fcntl.h>
#include <sodium.h>
#include <sys/stat.h>
#include <unistd.h>

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "secret/secret.h"
#include "storage/fd.h"
#include "store/sql.h"
#include "tasksync.h"

#define MAX_KEY_FILE (64 * 1024)

/* The remembered place, else the setting, else the default. */
char *
ts_key_file_path(void)
{
	static TsStatement stmt = {"SELECT key_file FROM tasksync.instance WHERE key_file IS NOT NULL"};

	if (ts_secret_key_file[0])
		return pstrdup(ts_secret_key_file);
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

static bool
make_key_file(const char *path, TsError *err)
{
	unsigned char key[TS_KEY_BYTES];
	unsigned char id[TS_KEY_ID_CHARS / 2];
	char		id_hex[TS_KEY_ID_CHARS + 1];
	char		text[256];
	char		base64[sodium_base64_ENCODED_LEN(TS_KEY_BYTES, sodium_base64_VARIANT_ORIGINAL)];
	char	   *folder = pstrdup(path);
	bool		ok;

	get_parent_directory(folder);
	if (mkdir(folder, 0700) == 0)
		fsync_fname(folder, true);
	randombytes_buf(key, sizeof(key));
	randombytes_buf(id, sizeof(id));
	sodium_bin2hex(id_hex, sizeof(id_hex), id, sizeof(id));
	sodium_bin2base64(base64, sizeof(base64), key, sizeof(key), sodium_base64_VARIANT_ORIGINAL);
	snprintf(text, sizeof(text), "tasksync-key %s %s\n", id_hex, base64);
	ok = ts_write_new_file(path, text) || errno == EEXIST;
	if (!ok)
	{
		ts_error(err, "55000", "could not create the key file \"%s\"", path);
		ts_error_detail(err, "%s.", strerror(errno));
		ts_error_hint(err, "Set tasksync.secret_key_file to a path where the server may create files.");
	}
	sodium_memzero(key, sizeof(key));
	sodium_memzero(base64, sizeof(base64));
	sodium_memzero(text, sizeof(text));
	return ok;
}

/* The whole file, or NULL with err set. */
static char *
read_key_file(const char *path, TsError *err)
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
	text = read_key_file(path, err);
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
