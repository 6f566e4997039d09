/*
 * What goes with what, and what stays.
 */
\getenv abs_srcdir PG_ABS_SRCDIR
\ir :abs_srcdir/common/two_of_each.sql

\set VERBOSITY terse

INSERT INTO tasksync.task (id, user_id, title, project_id, parent_task_id)
SELECT uid('t' || i), 'regress_ann', 'task ' || i, CASE WHEN i <= 4 THEN uid('p1') ELSE uid('p2') END,
	CASE WHEN i IN (2, 3) THEN uid('t1') WHEN i = 6 THEN uid('t5') END FROM generate_series(1, 6) i;
UPDATE tasksync.task SET provider_id = CASE WHEN project_id = uid('p1') THEN uid('s1') ELSE uid('s2') END,
	source = 'CALDAV', external_task_id = title || '.ics', sync_status = 'SYNCED', last_synced_at = now();
INSERT INTO tasksync.task_link (task_id, mapping_id, user_id, external_task_id)
SELECT id, CASE WHEN project_id = uid('p1') THEN uid('m1') ELSE uid('m2') END, user_id, external_task_id FROM tasksync.task;
INSERT INTO tasksync.task_conflict (task_id, mapping_id, user_id, fields, local, remote)
VALUES (uid('t1'), uid('m1'), 'regress_ann', '{title}', '{"title": "a"}', '{"title": "b"}'),
	(uid('t5'), uid('m2'), 'regress_ann', '{title,status}', '{"title": "a", "status": "TODO"}', '{"title": "b", "status": "COMPLETED"}');
INSERT INTO tasksync.task_trash (task_id, mapping_id, user_id, old_row) VALUES (uid('t9'), uid('m1'), 'regress_ann', '{}');
INSERT INTO tasksync.task_inbox (mapping_id, user_id, external_task_id) VALUES (uid('m1'), 'regress_ann', 'x'), (uid('m2'), 'regress_ann', 'x');
INSERT INTO tasksync.task_intent (mapping_id, user_id, task_id, kind) VALUES (uid('m1'), 'regress_ann', uid('t1'), 'UPDATE');
INSERT INTO tasksync.dead_remote (mapping_id, user_id, external_task_id) VALUES (uid('m1'), 'regress_ann', 'y');
INSERT INTO tasksync.sync_job (user_id, provider_id, mapping_id) VALUES ('regress_ann', uid('s1'), uid('m1')), ('regress_ann', uid('s2'), uid('m2'));
INSERT INTO tasksync.secret VALUES (uid('a1'), 'regress_ann', 'k', '\x00');
TRUNCATE tasksync.task_change;

SELECT name_of(conflict_id) IS NOT NULL AS id, title, field, local, remote FROM tasksync.conflicts ORDER BY 2, 3;

-- a task: its subtasks become top-level; the delete is journalled, links stay for it
SET SESSION AUTHORIZATION regress_ann;
DELETE FROM tasksync.task WHERE id = uid('t1');
SELECT name_of(id) AS task, name_of(parent_task_id) AS parent, sync_status FROM tasksync.task ORDER BY 1;
SELECT task, mapping, change_type, data FROM journal ORDER BY change_type, task;
SELECT name_of(task_id) AS link FROM tasksync.task_link ORDER BY 1;
RESET SESSION AUTHORIZATION;
TRUNCATE tasksync.task_change;

-- parent and child together
DELETE FROM tasksync.task WHERE id IN (uid('t5'), uid('t6'));
SELECT task, mapping, change_type FROM journal ORDER BY task;
TRUNCATE tasksync.task_change;

-- a project: tasks stay without one, mapping and links go, nothing is deleted there
SET SESSION AUTHORIZATION regress_ann;
DELETE FROM tasksync.project WHERE id = uid('p1');
SELECT name_of(id) AS task, project_id, provider_id, source, external_task_id, sync_status FROM tasksync.task ORDER BY 1;
SELECT name_of(id) AS mapping FROM tasksync.task_list_mapping ORDER BY 1;
SELECT name_of(task_id) AS link FROM tasksync.task_link ORDER BY 1;
SELECT * FROM journal;
SELECT name_of(mapping_id) AS mapping, count(*) FROM tasksync.mapping_state GROUP BY 1 ORDER BY 1;
SELECT name_of(mapping_id) AS inbox FROM tasksync.task_inbox;
SELECT count(*) AS intents FROM tasksync.task_intent;
SELECT name_of(mapping_id) AS job FROM tasksync.sync_job;
SELECT name_of(task_id) AS task, mapping_id, resolution, resolved_at IS NOT NULL AS resolved FROM tasksync.task_conflict WHERE task_id = uid('t1');
SELECT name_of(task_id) AS trash, mapping_id FROM tasksync.task_trash;
RESET SESSION AUTHORIZATION;

-- a provider: mappings and links go, tasks stay and are disconnected
INSERT INTO tasksync.task (id, user_id, title, project_id, provider_id, source, external_task_id, sync_status)
VALUES (uid('t7'), 'regress_ann', 'task 7', uid('p2'), uid('s2'), 'CALDAV', '7.ics', 'SYNCED'), (uid('t8'), 'regress_ann', 'task 8', uid('p2'), uid('s2'), 'CALDAV', '8.ics', 'SYNCED');
INSERT INTO tasksync.task_link (task_id, mapping_id, user_id, external_task_id) VALUES (uid('t7'), uid('m2'), 'regress_ann', '7.ics');
TRUNCATE tasksync.task_change;
SET SESSION AUTHORIZATION regress_ann;
DELETE FROM tasksync.task_provider WHERE id = uid('s2');
SELECT name_of(id) AS task, name_of(project_id) AS project, provider_id, source, external_task_id, sync_status FROM tasksync.task WHERE id IN (uid('t7'), uid('t8')) ORDER BY 1;
SELECT count(*) AS mappings FROM tasksync.task_list_mapping WHERE provider_id = uid('s2');
SELECT count(*) AS links FROM tasksync.task_link;
SELECT * FROM journal;
SELECT external_project_ids FROM tasksync.project WHERE id = uid('p2');
RESET SESSION AUTHORIZATION;

-- an account in use is kept; one that is not takes its secret along
DELETE FROM tasksync.connected_account WHERE id = uid('a1');
DELETE FROM tasksync.task_provider WHERE id = uid('s1');
DELETE FROM tasksync.connected_account WHERE id = uid('a1');
SELECT count(*) AS secrets FROM tasksync.secret;

-- bob has lost nothing
SELECT (SELECT count(*) FROM tasksync.project p WHERE p.user_id = 'regress_bob') AS projects,
	(SELECT count(*) FROM tasksync.task_provider s WHERE s.user_id = 'regress_bob') AS providers,
	(SELECT count(*) FROM tasksync.task_list_mapping m WHERE m.user_id = 'regress_bob') AS mappings;

-- TRUNCATE: nothing is journalled, all mappings wait
INSERT INTO tasksync.task (user_id, title, project_id) VALUES ('regress_bob', 'x', uid('p3'));
TRUNCATE tasksync.task_change;
TRUNCATE tasksync.task;
SELECT * FROM journal;
SELECT name_of(m.id) AS mapping, m.sync_status, m.error_code, m.error_message, s.held
FROM tasksync.task_list_mapping m JOIN tasksync.mapping_state s ON s.mapping_id = m.id ORDER BY 1;
