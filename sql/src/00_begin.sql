\echo Use "CREATE EXTENSION tasksync" to load this file. \quit

/*
 * The schema is made here, and not by the control file, without IF NOT EXISTS:
 * nobody can own it, or have put anything into it, beforehand.
 */
CREATE SCHEMA tasksync;

COMMENT ON SCHEMA tasksync IS
	'tasks, kept the same here and at CalDAV and other task services';

/* Is this a database that can hold what services send? */
CREATE FUNCTION tasksync.require_encoding() RETURNS void
LANGUAGE c AS 'MODULE_PATHNAME', 'tasksync_require_encoding';
SELECT tasksync.require_encoding();
DROP FUNCTION tasksync.require_encoding();

CREATE FUNCTION tasksync.current_user_id()
RETURNS text
LANGUAGE c STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'tasksync_current_user_id';

COMMENT ON FUNCTION tasksync.current_user_id() IS
	'whose rows the caller works with: the setting tasksync.user_id, else current_user';
