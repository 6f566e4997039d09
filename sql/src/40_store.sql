/*
 * What the engine's own statements share.
 */

CREATE FUNCTION tasksync.task_fields(task tasksync.task)
RETURNS jsonb
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
	SELECT pg_catalog.jsonb_build_object(
		'title', (task_fields.task).title,
		'description', (task_fields.task).description,
		'status', (task_fields.task).status,
		'priority', (task_fields.task).priority,
		'start_date', (task_fields.task).start_date,
		'start_time', (task_fields.task).start_time,
		'due_date', (task_fields.task).due_date,
		'due_time', (task_fields.task).due_time,
		'time_zone', (task_fields.task).time_zone,
		'duration_minutes', (task_fields.task).duration_minutes,
		'percent_complete', (task_fields.task).percent_complete,
		'completed_at', (task_fields.task).completed_at,
		'recurrence_rule', (task_fields.task).recurrence_rule,
		'remind_at', (task_fields.task).remind_at,
		'tags', (task_fields.task).tags,
		'url', (task_fields.task).url,
		'parent_task_id', (task_fields.task).parent_task_id);
END;
REVOKE ALL ON FUNCTION tasksync.task_fields(tasksync.task) FROM PUBLIC;
COMMENT ON FUNCTION tasksync.task_fields(tasksync.task) IS
	'the synchronised columns of a task as a canonical object (with time zone UTC): what bases of links are compared with';

/*
 * The mapping that takes in tasks made in a project: its oldest enabled one
 * that may push.
 */
CREATE FUNCTION tasksync.home_mapping(project_id uuid, user_id text)
RETURNS uuid
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
	SELECT m.id
	FROM tasksync.task_list_mapping m
	JOIN tasksync.task_provider p ON p.id = m.provider_id AND p.user_id = m.user_id
	WHERE m.project_id = home_mapping.project_id
	  AND m.user_id = home_mapping.user_id
	  AND m.sync_enabled AND p.enabled
	  AND m.sync_direction <> 'FROM_PROVIDER'
	  AND m.sync_status IS DISTINCT FROM 'DISCONNECTED'
	ORDER BY m.created_at, m.id
	LIMIT 1;
END;
REVOKE ALL ON FUNCTION tasksync.home_mapping(uuid, text) FROM PUBLIC;
COMMENT ON FUNCTION tasksync.home_mapping(uuid, text) IS
	'the mapping of a project to which tasks made here are sent';
