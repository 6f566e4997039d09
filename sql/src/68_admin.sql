/*
 * For administrators.
 */

CREATE FUNCTION tasksync.set_credentials_file(account_id uuid, path text)
RETURNS void
LANGUAGE c AS 'MODULE_PATHNAME', 'tasksync_set_credentials_file';
COMMENT ON FUNCTION tasksync.set_credentials_file(uuid, text) IS
	'new credentials for an account, from a file on the server that holds one JSON object';
GRANT EXECUTE ON FUNCTION tasksync.set_credentials_file(uuid, text) TO pg_read_server_files;

CREATE FUNCTION tasksync.rotate_secret_key()
RETURNS int
LANGUAGE c AS 'MODULE_PATHNAME', 'tasksync_rotate_secret_key';
COMMENT ON FUNCTION tasksync.rotate_secret_key() IS
	'makes a new key and seals all credentials with it; how many';

CREATE FUNCTION tasksync.adopt_clone()
RETURNS void
LANGUAGE c AS 'MODULE_PATHNAME', 'tasksync_adopt_clone';
COMMENT ON FUNCTION tasksync.adopt_clone() IS
	'makes this copy of a database the one that syncs; until then it touches no service';
