/*
 * The codecs and the planner for callers, and which services there are.
 */

CREATE FUNCTION tasksync.decode_task(type text, payload text)
RETURNS jsonb
LANGUAGE c STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'tasksync_decode_task';
COMMENT ON FUNCTION tasksync.decode_task(text, text) IS
	'an object of a service as a canonical task, keys = columns of task; NULL: it is no task; parent_task_id is the parent''s id there';

CREATE FUNCTION tasksync.encode_task(type text, task jsonb, onto text DEFAULT NULL)
RETURNS text
LANGUAGE c VOLATILE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'tasksync_encode_task';
COMMENT ON FUNCTION tasksync.encode_task(text, jsonb, text) IS
	'a canonical task as an object of a service; onto: the object as last seen, of which all that the task does not say survives';

CREATE FUNCTION tasksync.merge_task(
	local_base jsonb,
	remote_base jsonb,
	local jsonb,
	remote jsonb,
	policy text DEFAULT 'LATEST_WINS',
	carries text[] DEFAULT NULL,
	local_times jsonb DEFAULT NULL,
	remote_time timestamptz DEFAULT NULL,
	OUT local_patch jsonb,
	OUT remote_patch jsonb,
	OUT conflicts text[],
	OUT new_local_base jsonb,
	OUT new_remote_base jsonb)
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'tasksync_merge_task';
COMMENT ON FUNCTION tasksync.merge_task(jsonb, jsonb, jsonb, jsonb, text, text[], jsonb, timestamptz) IS
	'the planner: what is to be done on either side; NULL in = not there, a NULL patch = delete, {} = nothing to do';

CREATE FUNCTION tasksync.registered_types()
RETURNS TABLE (type text, name text, carries text[], capabilities jsonb)
LANGUAGE c STABLE ROWS 10
AS 'MODULE_PATHNAME', 'tasksync_registered_types';
COMMENT ON FUNCTION tasksync.registered_types() IS
	'the services compiled in or registered by another extension';

CREATE VIEW tasksync.provider_types WITH (security_invoker) AS
SELECT r.type, r.name, r.carries, r.capabilities
FROM tasksync.registered_types() r;

COMMENT ON VIEW tasksync.provider_types IS
	'the services there are, the columns of a task that each can carry, and what else it can do';
