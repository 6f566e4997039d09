/*
 * The journal for callers.
 */

CREATE FUNCTION tasksync.track_change(task_id uuid, change_type text, data jsonb DEFAULT NULL)
RETURNS bigint
LANGUAGE c AS 'MODULE_PATHNAME', 'tasksync_track_change';
COMMENT ON FUNCTION tasksync.track_change(uuid, text, jsonb) IS
	'writes a change that no trigger saw into the journal; the id of the last row written';

CREATE FUNCTION tasksync.changes_since(mapping_id uuid, since timestamptz)
RETURNS SETOF tasksync.task_change
LANGUAGE c STABLE ROWS 100
AS 'MODULE_PATHNAME', 'tasksync_changes_since';
COMMENT ON FUNCTION tasksync.changes_since(uuid, timestamptz) IS
	'the journal of a mapping from a time on, without rows that an older, still running transaction could precede';

CREATE FUNCTION tasksync.mark_as_synced(change_ids bigint[])
RETURNS int
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'tasksync_mark_as_synced';
COMMENT ON FUNCTION tasksync.mark_as_synced(bigint[]) IS
	'marks the caller''s journal rows as done; how many were marked';
