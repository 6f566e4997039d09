/*
 * Access of plain users.  The lists of columns and functions are in
 * src/api/access.c.
 */

CREATE FUNCTION tasksync.grant_access(role regrole)
RETURNS void
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'tasksync_grant_access';
COMMENT ON FUNCTION tasksync.grant_access(regrole) IS
	'gives a role everything that a plain user needs, and nothing more';

CREATE FUNCTION tasksync.revoke_access(role regrole)
RETURNS void
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'tasksync_revoke_access';
COMMENT ON FUNCTION tasksync.revoke_access(regrole) IS
	'takes back everything that a role may do with tasksync';
