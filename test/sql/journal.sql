/*
 * The journal: every way of changing tasks, and what must not be journalled.
 */
\getenv abs_srcdir PG_ABS_SRCDIR
\ir :abs_srcdir/common/two_of_each.sql

\set VERBOSITY terse
SET SESSION AUTHORIZATION regress_ann;

-- INSERT, one row and many; a task without a project concerns nobody
INSERT INTO tasksync.task (id, title, project_id, tags, due_date)
VALUES (uid('t1'), 'Paint', uid('p1'), '{a,b}', '2026-03-01'), (uid('t2'), 'Dig', uid('p2'), '{}', NULL), (uid('t3'), 'Think', NULL, '{}', NULL);
-- INSERT … SELECT
INSERT INTO tasksync.task (id, title, project_id) SELECT uid('t4'), title || ' again', project_id FROM tasksync.task WHERE id = uid('t1');
-- UPDATE, also FROM; what stays as it was is no change
UPDATE tasksync.task SET title = 'Paint walls', priority = 'HIGH', description = NULL WHERE id = uid('t1');
UPDATE tasksync.task SET title = title;
UPDATE tasksync.task SET title = v.title FROM (VALUES (uid('t1'), 'Paint'), (uid('t2'), 'Dig deep')) v (id, title) WHERE v.id = task.id;
-- ON CONFLICT: new ones and old ones in one statement
INSERT INTO tasksync.task (id, title, project_id) VALUES (uid('t1'), 'Paint it', uid('p1')), (uid('t5'), 'Sweep', uid('p1'))
ON CONFLICT (id, user_id) DO UPDATE SET title = EXCLUDED.title;
INSERT INTO tasksync.task (id, title, project_id) VALUES (uid('t1'), 'no', uid('p1')) ON CONFLICT (id, user_id) DO NOTHING;
-- MERGE: all three
MERGE INTO tasksync.task t USING (VALUES (uid('t4'), NULL), (uid('t5'), 'Sweep it'), (uid('t6'), 'Mow')) v (id, title) ON t.id = v.id
WHEN MATCHED AND v.title IS NULL THEN DELETE
WHEN MATCHED THEN UPDATE SET title = v.title
WHEN NOT MATCHED THEN INSERT (id, title, project_id) VALUES (v.id, v.title, uid('p2'));
-- a writing CTE
WITH gone AS (DELETE FROM tasksync.task WHERE id = uid('t6') RETURNING title, project_id)
INSERT INTO tasksync.task (id, title, project_id) SELECT uid('t7'), title, project_id FROM gone;
-- completing
UPDATE tasksync.task SET status = 'COMPLETED' WHERE id = uid('t7');
-- joining a project, and DELETE
UPDATE tasksync.task SET project_id = uid('p1') WHERE id = uid('t3');
DELETE FROM tasksync.task WHERE id = uid('t3');
SELECT * FROM journal;

-- a DELETE holds every column of the table
SELECT c.change_data ? a.attname::text AS there, count(*) = count(*) FILTER (WHERE c.change_data -> a.attname ? 'old') AS old
FROM tasksync.task_change c JOIN pg_attribute a ON a.attrelid = 'tasksync.task'::regclass AND a.attnum > 0
WHERE c.change_type = 'DELETE' GROUP BY 1;

-- times are in UTC, whatever the session's zone and style
SET TimeZone = 'Asia/Tokyo';
SET DateStyle = 'SQL, DMY';
UPDATE tasksync.task SET remind_at = '2026-03-01 12:00:00+01', due_date = '2026-12-31', due_time = '17:30' WHERE id = uid('t1');
SELECT change_data -> 'remind_at' ->> 'new' AS remind_at, change_data -> 'due_date' ->> 'new' AS due_date, change_data -> 'due_time' ->> 'new' AS due_time
FROM tasksync.task_change ORDER BY id DESC LIMIT 1;
SHOW TimeZone;
RESET TimeZone;
RESET DateStyle;

-- what is rolled back was never there
BEGIN;
SAVEPOINT one;
UPDATE tasksync.task SET title = 'never' WHERE id = uid('t1');
ROLLBACK TO one;
UPDATE tasksync.task SET title = 'really' WHERE id = uid('t1');
COMMIT;
DO $$
BEGIN
	UPDATE tasksync.task SET title = 'never either' WHERE id = uid('t1');
	RAISE EXCEPTION 'no';
EXCEPTION WHEN raise_exception THEN
	NULL;
END $$;
SELECT current_user, current_setting('search_path') <> 'pg_catalog, pg_temp' AS own_path;
SELECT data FROM journal ORDER BY task, data DESC;
RESET SESSION AUTHORIZATION;
TRUNCATE tasksync.task_change;

-- COPY, as a role that may
COPY tasksync.task (id, user_id, title, project_id) FROM stdin;
00000000-0000-0000-0074-000000000011	regress_ann	Copied	00000000-0000-0000-0070-000000000001
00000000-0000-0000-0074-000000000012	regress_bob	Copied too	00000000-0000-0000-0070-000000000003
\.
SELECT * FROM journal;
TRUNCATE tasksync.task_change;

-- a dump brings its journal with it; the next sync compares instead
UPDATE tasksync.mapping_state SET compared_at = now();
SET row_security = off;
INSERT INTO tasksync.task (id, user_id, title, project_id) VALUES (uid('t15'), 'regress_ann', 'restored', uid('p2'));
RESET row_security;
SELECT * FROM journal;
SELECT name_of(mapping_id) AS mapping FROM tasksync.mapping_state WHERE compared_at IS NULL;

-- columns that the engine keeps are no news
UPDATE tasksync.task SET sync_status = 'SYNCED', last_synced_at = now(), provider_id = uid('s1'), external_task_id = 'x', source = 'CALDAV'
WHERE id = uid('t11');
SELECT * FROM journal;

-- whom it concerns: the home's mapping and mirrors, if they may push; enabled or not
INSERT INTO tasksync.task_list_mapping (id, user_id, provider_id, project_id, external_list_id)
VALUES (uid('m5'), 'regress_ann', uid('s2'), uid('p1'), '/ann/second/');
UPDATE tasksync.task_list_mapping SET sync_enabled = false WHERE id = uid('m1');
UPDATE tasksync.task SET title = 'at home only' WHERE id = uid('t11');
INSERT INTO tasksync.task (id, user_id, title, project_id) VALUES (uid('t13'), 'regress_ann', 'homeless', uid('p1'));
UPDATE tasksync.task_list_mapping SET mirror = true WHERE id = uid('m5');
UPDATE tasksync.task SET title = 'mirrored' WHERE id = uid('t11');
UPDATE tasksync.task_list_mapping SET sync_direction = 'FROM_PROVIDER' WHERE id = uid('m1');
UPDATE tasksync.task SET title = 'to the mirror' WHERE id = uid('t11');
UPDATE tasksync.task_list_mapping SET sync_direction = 'TO_PROVIDER', sync_enabled = true WHERE id = uid('m1');
SELECT task, mapping, change_type, data FROM journal;
TRUNCATE tasksync.task_change;

-- links keep their mapping informed after a move, and after a delete
INSERT INTO tasksync.task_link (task_id, mapping_id, user_id, external_task_id)
VALUES (uid('t11'), uid('m1'), 'regress_ann', 'x'), (uid('t11'), uid('m5'), 'regress_ann', 'y'), (uid('t12'), uid('m3'), 'regress_bob', 'x');
UPDATE tasksync.task SET project_id = uid('p2') WHERE id = uid('t11');
SELECT task, mapping, change_type, data IS NOT NULL AS moved FROM journal ORDER BY task, mapping;
TRUNCATE tasksync.task_change;
UPDATE tasksync.task SET project_id = NULL WHERE id = uid('t11');
SELECT task, mapping, change_type FROM journal ORDER BY task, mapping;
TRUNCATE tasksync.task_change;
DELETE FROM tasksync.task WHERE id IN (uid('t11'), uid('t12'), uid('t13'));
SELECT task, mapping, change_type, data FROM journal ORDER BY task, mapping;
TRUNCATE tasksync.task_change;

-- many rows take another plan, to the same end
INSERT INTO tasksync.task (user_id, title, project_id) SELECT 'regress_bob', i::text, CASE WHEN i % 2 = 0 THEN uid('p3') ELSE uid('p4') END FROM generate_series(1, 3000) i;
UPDATE tasksync.task SET title = title || '!', due_date = '2026-01-01' WHERE user_id = 'regress_bob';
UPDATE tasksync.task SET title = title WHERE user_id = 'regress_bob';
DELETE FROM tasksync.task WHERE user_id = 'regress_bob';
SELECT mapping, change_type, count(*), count(DISTINCT task) AS tasks FROM journal GROUP BY 1, 2 ORDER BY 1, 2;
TRUNCATE tasksync.task_change;

-- for callers
SET SESSION AUTHORIZATION regress_ann;
SELECT tasksync.track_change(uid('t1'), 'UPDATE', '{"title": {"old": "a", "new": "b"}}') IS NOT NULL AS written;
SELECT tasksync.track_change(uid('t9'), 'UPDATE');
SELECT tasksync.track_change(uid('t1'), 'CHANGE');
SELECT tasksync.track_change(uid('t1'), 'UPDATE', '[]');
SELECT tasksync.track_change(NULL, 'UPDATE');
INSERT INTO tasksync.task (id, title) VALUES (uid('t14'), 'nowhere');
SELECT tasksync.track_change(uid('t14'), 'CREATE') IS NOT NULL AS written;
SELECT * FROM journal ORDER BY task, mapping;
SELECT name_of(task_id) AS task, name_of(mapping_id) AS mapping, change_type, change_data FROM tasksync.changes_since(uid('m1'), '2000-01-01');
SELECT count(*) FROM tasksync.changes_since(uid('m1'), 'infinity');
SELECT count(*) FROM tasksync.changes_since(uid('m1'), NULL);
SELECT * FROM tasksync.changes_since(uid('m9'), NULL);
SELECT tasksync.mark_as_synced(array_agg(id) || 999999::bigint) FROM tasksync.task_change;
SELECT tasksync.mark_as_synced(array_agg(id)) FROM tasksync.task_change;
SELECT count(*) FROM tasksync.task_change WHERE synced_at IS NULL;
RESET SESSION AUTHORIZATION;
