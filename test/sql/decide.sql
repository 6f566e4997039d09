/*
 * resolve_conflict and undo_sync over rows made by hand, and what only
 * administrators call.
 */
\getenv abs_srcdir PG_ABS_SRCDIR
\ir :abs_srcdir/common/two_of_each.sql

\set VERBOSITY terse

-- a task with one link and an open conflict in title and due date
CREATE FUNCTION public.new_conflict(task uuid, mapping uuid, fields text[] DEFAULT '{title,due_date}') RETURNS void
LANGUAGE sql AS $$
	INSERT INTO tasksync.task_link (user_id, task_id, mapping_id, external_task_id, external_uid, local_base, remote_base, sync_status)
	SELECT t.user_id, t.id, mapping, 'o' || name_of(t.id) || name_of(mapping), 'u' || name_of(t.id),
		(to_jsonb(t) - '{id,user_id,project_id,created_at,updated_at,source,provider_id,external_task_id,external_url,external_updated_at,last_synced_at,sync_status,is_auto_scheduled}'::text[])
		|| '{"title": "base", "due_date": null}',
		'{"title": "base", "due_date": null, "priority": "NONE"}', 'SYNCED'
	FROM tasksync.task t WHERE t.id = task;
	INSERT INTO tasksync.task_conflict (user_id, task_id, mapping_id, fields, base, local, remote)
	SELECT t.user_id, t.id, mapping, fields, '{"title": "base", "due_date": null}', jsonb_build_object('title', t.title, 'due_date', t.due_date),
		'{"title": "theirs", "due_date": "2026-05-05", "parent_task_id": "unk1"}'::jsonb - CASE WHEN 'parent_task_id' = ANY (fields) THEN '' ELSE 'parent_task_id' END
	FROM tasksync.task t WHERE t.id = task;
$$;
CREATE FUNCTION public.start_over() RETURNS void
LANGUAGE sql AS $$
	DELETE FROM tasksync.task;
	DELETE FROM tasksync.task_link;
	DELETE FROM tasksync.task_conflict;
	DELETE FROM tasksync.task_trash;
	DELETE FROM tasksync.sync_job;
	INSERT INTO tasksync.task (id, user_id, project_id, title, due_date, provider_id, external_task_id, sync_status)
	VALUES (uid('t1'), 'regress_ann', uid('p1'), 'ours', '2026-04-04', uid('s1'), 'x', 'CONFLICT');
	SELECT new_conflict(uid('t1'), uid('m1'));
	DELETE FROM tasksync.task_change;
$$;
CREATE VIEW public.state AS
SELECT t.title, t.due_date, t.sync_status, name_of(l.mapping_id) AS mapping, jsonb_strip_nulls(l.local_base - 'status' - 'priority' - 'tags') AS local_base, l.remote_base, l.sync_status AS link
FROM tasksync.task t JOIN tasksync.task_link l ON l.task_id = t.id ORDER BY l.mapping_id;
CREATE VIEW public.queue AS
SELECT user_id, name_of(provider_id) AS provider, name_of(mapping_id) AS mapping, status FROM tasksync.sync_job ORDER BY mapping_id;
GRANT SELECT ON public.state, public.queue TO PUBLIC;

-- KEEP_LOCAL: ours has no base any more, theirs is noted as seen; it is sent
SELECT start_over();
SET SESSION AUTHORIZATION regress_ann;
SELECT title, due_date, sync_status FROM tasksync.resolve_conflict(uid('t1'), 'KEEP_LOCAL');
SELECT * FROM state;
SELECT * FROM journal;
SELECT * FROM queue;
SELECT resolution, resolved_at IS NOT NULL AS resolved FROM tasksync.task_conflict;
SELECT count(*) FROM tasksync.conflicts;
-- once
SELECT tasksync.resolve_conflict(uid('t1'), 'KEEP_LOCAL');
RESET SESSION AUTHORIZATION;

-- USE_REMOTE: both sides are theirs, nothing is sent to them
SELECT start_over();
SET SESSION AUTHORIZATION regress_ann;
SELECT title, due_date, sync_status FROM tasksync.resolve_conflict(uid('t1'), 'USE_REMOTE');
SELECT * FROM state;
SELECT * FROM journal;
SELECT * FROM queue;
SELECT resolution FROM tasksync.task_conflict;
RESET SESSION AUTHORIZATION;

-- MERGE: what differs from theirs is sent
SELECT start_over();
SET SESSION AUTHORIZATION regress_ann;
SELECT tasksync.resolve_conflict(uid('t1'), 'MERGE');
SELECT tasksync.resolve_conflict(uid('t1'), 'MERGE', '{"title": "both"}');
SELECT tasksync.resolve_conflict(uid('t1'), 'MERGE', '[]');
SELECT tasksync.resolve_conflict(uid('t1'), 'MERGE', '{"title": "both", "due_date": "soon"}');
SELECT tasksync.resolve_conflict(uid('t1'), 'USE_REMOTE', '{"title": "both"}');
SELECT tasksync.resolve_conflict(uid('t1'), 'BOTH');
SELECT tasksync.resolve_conflict(uid('t1'), NULL);
SELECT tasksync.resolve_conflict(uid('t2'), 'USE_REMOTE');
SELECT tasksync.resolve_conflict(NULL, 'USE_REMOTE');
SELECT title, due_date, priority, sync_status FROM tasksync.resolve_conflict(uid('t1'), 'MERGE', '{"title": "ours and theirs", "due_date": "2026-05-05", "priority": "HIGH"}');
SELECT * FROM state;
SELECT * FROM journal;
SELECT resolution FROM tasksync.task_conflict;
RESET SESSION AUTHORIZATION;

-- another's conflict
SELECT start_over();
SET SESSION AUTHORIZATION regress_bob;
SELECT tasksync.resolve_conflict(uid('t1'), 'KEEP_LOCAL');
RESET SESSION AUTHORIZATION;

-- a mirror is told of what the home's service had, and sent it; its own conflict yields
INSERT INTO tasksync.task_list_mapping (id, user_id, provider_id, project_id, external_list_id, mirror)
VALUES (uid('m5'), 'regress_ann', uid('s2'), uid('p1'), '/ann/mirror/', true);
INSERT INTO tasksync.task_conflict (user_id, task_id, mapping_id, fields, base, local, remote, created_at)
VALUES ('regress_ann', uid('t1'), uid('m5'), '{title,priority}', '{}', '{}', '{"title": "mirrored", "priority": "LOW"}', '2020-01-01');
INSERT INTO tasksync.task_link (user_id, task_id, mapping_id, external_task_id, local_base, remote_base)
SELECT user_id, task_id, uid('m5'), 'o5', local_base, remote_base FROM tasksync.task_link WHERE mapping_id = uid('m1');
SET SESSION AUTHORIZATION regress_ann;
SELECT title, due_date, priority, sync_status FROM tasksync.resolve_conflict(uid('t1'), 'USE_REMOTE');
SELECT * FROM state;
SELECT * FROM journal;
SELECT * FROM queue;
RESET SESSION AUTHORIZATION;

-- the parent: theirs is named by its uid
SELECT start_over();
INSERT INTO tasksync.task (id, user_id, project_id, title) VALUES (uid('t2'), 'regress_ann', uid('p1'), 'parent'), (uid('t3'), 'regress_ann', uid('p1'), 'child');
INSERT INTO tasksync.task_link (user_id, task_id, mapping_id, external_task_id, external_uid) VALUES ('regress_ann', uid('t2'), uid('m1'), 'op', 'unk1');
SELECT new_conflict(uid('t3'), uid('m1'), '{parent_task_id}');
SELECT title, name_of(parent_task_id) AS parent FROM tasksync.resolve_conflict(uid('t3'), 'USE_REMOTE');
SET SESSION AUTHORIZATION regress_ann;
SELECT title, name_of(parent_task_id) AS parent FROM tasksync.resolve_conflict(uid('t3'), 'USE_REMOTE');
SELECT name_of((local_base ->> 'parent_task_id')::uuid) AS local_base, remote_base ->> 'parent_task_id' AS remote_base FROM tasksync.task_link WHERE task_id = uid('t3');
RESET SESSION AUTHORIZATION;
SELECT new_conflict(uid('t1'), uid('m2'), '{parent_task_id}');
SET SESSION AUTHORIZATION regress_ann;
SELECT tasksync.resolve_conflict(uid('t1'), 'MERGE', '{"title": "x", "due_date": null, "parent_task_id": "nobody"}');
RESET SESSION AUTHORIZATION;

-- undo_sync: jobs of ann's that deleted and overwrote
SELECT start_over();
INSERT INTO tasksync.sync_job (id, user_id, provider_id, status) VALUES (1, 'regress_ann', uid('s1'), 'SUCCEEDED'), (2, 'regress_ann', uid('s1'), 'RUNNING'), (3, 'regress_bob', uid('s3'), 'SUCCEEDED');
INSERT INTO tasksync.task (id, user_id, project_id, parent_task_id, title, description, tags, provider_id, external_task_id, created_at)
VALUES (uid('t2'), 'regress_ann', uid('p1'), NULL, 'parent', 'old', '{a,b}', uid('s1'), 'o2', '2020-01-01'), (uid('t3'), 'regress_ann', uid('p1'), uid('t2'), 'child', NULL, '{}', uid('s1'), 'o3', '2020-01-02'),
	(uid('t4'), 'regress_ann', uid('p2'), NULL, 'moved', NULL, '{}', NULL, NULL, '2020-01-03'), (uid('t5'), 'regress_ann', uid('p1'), NULL, 'twice', NULL, '{}', NULL, NULL, '2020-01-04');
CREATE FUNCTION public.trash(task uuid, job bigint, what text, at timestamptz, patch jsonb DEFAULT '{}') RETURNS void
LANGUAGE sql AS $$
	INSERT INTO tasksync.task_trash (user_id, task_id, mapping_id, job_id, action, old_row, created_at)
	SELECT t.user_id, t.id, uid('m1'), job, what, to_jsonb(t) || patch, at FROM tasksync.task t WHERE t.id = task;
$$;
SELECT trash(uid('t2'), 1, 'UPDATE', '2026-01-01', '{"title": "parent as it was"}'), trash(uid('t2'), 1, 'DELETE', '2026-01-02'), trash(uid('t3'), 1, 'DELETE', '2026-01-02'),
	trash(uid('t4'), 1, 'DELETE', '2026-01-02'), trash(uid('t5'), 1, 'UPDATE', '2026-01-01', '{"title": "first", "priority": "HIGH"}'), trash(uid('t5'), 1, 'UPDATE', '2026-01-03', '{"title": "second"}'),
	trash(uid('t1'), 1, 'UPDATE', '2026-01-01') \g /dev/null
DELETE FROM tasksync.task WHERE id IN (uid('t2'), uid('t3'), uid('t4'));
DELETE FROM tasksync.project WHERE id = uid('p2');
DELETE FROM tasksync.task_change;
SET SESSION AUTHORIZATION regress_ann;
SELECT tasksync.undo_sync(1);
SELECT name_of(id) AS task, title, description, tags, priority, name_of(parent_task_id) AS parent, name_of(project_id) AS project, source, provider_id, created_at < '2021-01-01' AS old FROM tasksync.task ORDER BY id;
SELECT task, mapping, change_type, data FROM journal ORDER BY task, mapping, change_type;
SELECT tasksync.undo_sync(1);
-- the user's later deletion stands
DELETE FROM tasksync.task WHERE id = uid('t5');
SELECT tasksync.undo_sync(1);
SELECT tasksync.undo_sync(2);
SELECT tasksync.undo_sync(3);
SELECT tasksync.undo_sync(4);
SELECT tasksync.undo_sync(NULL);

-- administrators
SELECT tasksync.adopt_clone();
SELECT tasksync.set_credentials_file(uid('a1'), '/etc/passwd');
RESET SESSION AUTHORIZATION;
GRANT pg_read_server_files TO regress_ann;
SET SESSION AUTHORIZATION regress_ann;
SELECT tasksync.set_credentials_file(uid('a1'), '/etc/passwd');
SELECT tasksync.set_credentials_file(uid('a1'), '/dev/null');
SELECT tasksync.set_credentials_file(uid('a1'), '/');
SELECT tasksync.set_credentials_file(uid('a1'), '/nonexistent/file');
SELECT tasksync.set_credentials_file(uid('a1'), NULL);
SELECT tasksync.set_credentials_file(NULL, '/etc/passwd');
RESET SESSION AUTHORIZATION;
REVOKE pg_read_server_files FROM regress_ann;

DROP FUNCTION public.trash, public.start_over, public.new_conflict;
DROP VIEW public.state, public.queue;
