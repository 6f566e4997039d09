/*
 * What a sync has done, decided otherwise.
 */

CREATE FUNCTION tasksync.resolve_conflict(task_id uuid, resolution text, merged jsonb DEFAULT NULL)
RETURNS tasksync.task
LANGUAGE c AS 'MODULE_PATHNAME', 'tasksync_resolve_conflict';
COMMENT ON FUNCTION tasksync.resolve_conflict(uuid, text, jsonb) IS
	'decides a task''s open conflict: KEEP_LOCAL, USE_REMOTE, or MERGE with a value for every field in conflict';

CREATE FUNCTION tasksync.undo_sync(job_id bigint)
RETURNS int
LANGUAGE c AS 'MODULE_PATHNAME', 'tasksync_undo_sync';
COMMENT ON FUNCTION tasksync.undo_sync(bigint) IS
	'brings back what a job deleted or overwrote here, as ordinary local edits; the number of tasks brought back';
