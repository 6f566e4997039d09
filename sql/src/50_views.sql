/*
 * Views.  All are security_invoker: row security holds for whoever asks.
 */

CREATE VIEW tasksync.mapping_status WITH (security_invoker) AS
SELECT m.id AS mapping_id, m.user_id, m.provider_id, p.type AS provider_type,
	p.name AS provider_name, m.project_id, j.name AS project_name,
	m.external_list_id, m.name, m.sync_enabled, m.sync_direction, m.mirror,
	m.sync_status, m.error_code, m.error_message, m.last_synced_at,
	CASE WHEN p.enabled AND p.sync_enabled AND m.sync_enabled
		THEN p.next_sync_at END AS next_sync_at,
	p.enabled AND p.sync_enabled AND m.sync_enabled
		AND COALESCE(pg_catalog.isfinite(p.next_sync_at), true)
		AND COALESCE(m.last_synced_at, m.created_at)
			< pg_catalog.now() - 3 * p.sync_interval * interval '1 min' AS is_stale,
	(SELECT pg_catalog.count(*) FROM tasksync.task_link l
	 WHERE l.mapping_id = m.id AND l.user_id = m.user_id) AS linked_tasks,
	(SELECT pg_catalog.count(DISTINCT c.task_id) FROM tasksync.task_change c
	 WHERE c.mapping_id = m.id AND c.user_id = m.user_id
	 AND c.synced_at IS NULL) AS pending_changes,
	(SELECT pg_catalog.count(*) FROM tasksync.task_link l
	 WHERE l.mapping_id = m.id AND l.user_id = m.user_id
	 AND l.error_code IS NOT NULL)
	+ (SELECT pg_catalog.count(*) FROM tasksync.task_inbox i
	   WHERE i.mapping_id = m.id AND i.user_id = m.user_id
	   AND i.error_code IS NOT NULL) AS errors,
	(SELECT pg_catalog.count(*) FROM tasksync.task_conflict x
	 WHERE x.mapping_id = m.id AND x.user_id = m.user_id
	 AND x.resolution IS NULL) AS conflicts
FROM tasksync.task_list_mapping m
JOIN tasksync.task_provider p ON p.id = m.provider_id AND p.user_id = m.user_id
JOIN tasksync.project j ON j.id = m.project_id AND j.user_id = m.user_id;

COMMENT ON VIEW tasksync.mapping_status IS
	'how each mapping stands: last and next sync, tasks still to send, errors, open conflicts';

CREATE VIEW tasksync.provider_status WITH (security_invoker) AS
SELECT p.id AS provider_id, p.user_id, p.type, p.name, p.enabled, p.sync_enabled,
	p.sync_interval, p.sync_status, p.error_code, p.error_message,
	p.account_id, a.label AS account_label, a.status AS account_status,
	p.last_synced_at,
	CASE WHEN p.enabled AND p.sync_enabled THEN p.next_sync_at END AS next_sync_at,
	s.is_stale, s.mappings, s.linked_tasks, s.pending_changes, s.errors, s.conflicts
FROM tasksync.task_provider p
LEFT JOIN tasksync.connected_account a ON a.id = p.account_id AND a.user_id = p.user_id
CROSS JOIN LATERAL (
	SELECT pg_catalog.count(*) AS mappings,
		COALESCE(pg_catalog.bool_or(m.is_stale), false) AS is_stale,
		COALESCE(pg_catalog.sum(m.linked_tasks), 0)::bigint AS linked_tasks,
		COALESCE(pg_catalog.sum(m.pending_changes), 0)::bigint AS pending_changes,
		COALESCE(pg_catalog.sum(m.errors), 0)::bigint AS errors,
		COALESCE(pg_catalog.sum(m.conflicts), 0)::bigint AS conflicts
	FROM tasksync.mapping_status m
	WHERE m.provider_id = p.id AND m.user_id = p.user_id) s;

COMMENT ON VIEW tasksync.provider_status IS
	'how each provider stands, with the sums over its mappings';

CREATE VIEW tasksync.sync_history WITH (security_invoker) AS
SELECT b.id AS job_id, b.user_id, b.provider_id, b.mapping_id, b.kind, b.status,
	b.attempts, b.started_at, b.finished_at,
	EXTRACT(epoch FROM b.finished_at - b.started_at) AS seconds,
	b.result, b.error_code, b.error_message, b.error_detail, b.error_hint
FROM tasksync.sync_job b
WHERE b.finished_at IS NOT NULL;

COMMENT ON VIEW tasksync.sync_history IS
	'jobs that have ended, with what they did';

CREATE VIEW tasksync.sync_progress WITH (security_invoker) AS
SELECT b.id AS job_id, b.user_id, b.provider_id, b.mapping_id, b.kind,
	b.progress ->> 'phase' AS phase,
	(b.progress ->> 'done')::int AS done,
	(b.progress ->> 'total')::int AS total,
	EXTRACT(epoch FROM pg_catalog.clock_timestamp() - b.started_at) AS seconds
FROM tasksync.sync_job b
WHERE b.status = 'RUNNING';

COMMENT ON VIEW tasksync.sync_progress IS
	'what each running sync is doing';

CREATE VIEW tasksync.conflicts WITH (security_invoker) AS
SELECT x.id AS conflict_id, x.user_id, x.task_id, t.title, x.mapping_id,
	f.field, x.base -> f.field AS base, x.local -> f.field AS local,
	x.remote -> f.field AS remote, x.created_at
FROM tasksync.task_conflict x
CROSS JOIN LATERAL pg_catalog.unnest(x.fields) AS f (field)
LEFT JOIN tasksync.task t ON t.id = x.task_id AND t.user_id = x.user_id
WHERE x.resolution IS NULL;

COMMENT ON VIEW tasksync.conflicts IS
	'open conflicts, a row for each task and field';
