/*
 * What the BEFORE triggers make of what is written.
 */
\getenv abs_srcdir PG_ABS_SRCDIR
\ir :abs_srcdir/common/two_of_each.sql

\set VERBOSITY terse

-- NULLs get the defaults, nothing that is given is overwritten
INSERT INTO tasksync.task (id, user_id, title, status, priority, tags, source, is_auto_scheduled, created_at)
VALUES (NULL, 'regress_ann', 'nothing given', NULL, NULL, NULL, NULL, NULL, NULL);
SELECT id IS NOT NULL AS id, status, priority, tags, source, is_auto_scheduled, created_at = updated_at AS times
FROM tasksync.task;
INSERT INTO tasksync.task (id, user_id, title, status, completed_at, percent_complete, created_at, updated_at)
VALUES (uid('t1'), 'regress_ann', 'given', 'COMPLETED', '2020-01-01 UTC', 40, '2019-01-01 UTC', '2019-06-01 UTC');
SELECT completed_at = '2020-01-01 UTC', percent_complete, created_at = '2019-01-01 UTC', updated_at = '2019-06-01 UTC'
FROM tasksync.task WHERE id = uid('t1');
SET tasksync.user_id = 'regress_bob';
INSERT INTO tasksync.project (user_id, name) VALUES (NULL, 'whose') RETURNING user_id, status, external_project_ids;
RESET tasksync.user_id;

-- completed_at and percent_complete follow the status
INSERT INTO tasksync.task (id, user_id, title, project_id, status) VALUES (uid('t2'), 'regress_ann', 'a', uid('p1'), 'COMPLETED');
SELECT completed_at IS NOT NULL AS done, percent_complete FROM tasksync.task WHERE id = uid('t2');
UPDATE tasksync.task SET status = 'TODO' WHERE id = uid('t2') RETURNING completed_at, percent_complete;
UPDATE tasksync.task SET percent_complete = 30 WHERE id = uid('t2') RETURNING status, percent_complete;
UPDATE tasksync.task SET status = 'COMPLETED' WHERE id = uid('t2') RETURNING completed_at IS NOT NULL AS done, percent_complete;
UPDATE tasksync.task SET title = 'b' WHERE id = uid('t2') RETURNING completed_at IS NOT NULL AS done, percent_complete;
UPDATE tasksync.task SET completed_at = '2021-01-01 UTC' WHERE id = uid('t2') RETURNING completed_at = '2021-01-01 UTC' AS kept;
UPDATE tasksync.task SET status = 'IN_PROGRESS', percent_complete = 70 WHERE id = uid('t2') RETURNING completed_at, percent_complete;
UPDATE tasksync.task SET status = 'CANCELLED' WHERE id = uid('t2') RETURNING completed_at, percent_complete;
UPDATE tasksync.task SET status = NULL WHERE id = uid('t2') RETURNING status;

-- taking a date away takes its time away
UPDATE tasksync.task SET due_date = '2026-03-01', due_time = '10:00', start_date = '2026-02-01', start_time = '09:00', time_zone = 'UTC' WHERE id = uid('t2');
UPDATE tasksync.task SET due_date = NULL WHERE id = uid('t2') RETURNING due_date, due_time, start_date, start_time;
UPDATE tasksync.task SET due_time = '10:00' WHERE id = uid('t2');

-- zones
UPDATE tasksync.task SET time_zone = 'europe/berlin' WHERE id = uid('t2') RETURNING time_zone;
UPDATE tasksync.task SET time_zone = 'Etc/GMT+3' WHERE id = uid('t2') RETURNING time_zone;
UPDATE tasksync.task SET time_zone = 'EST5EDT' WHERE id = uid('t2') RETURNING time_zone;
UPDATE tasksync.task SET time_zone = 'EST5EDT4' WHERE id = uid('t2') RETURNING time_zone;
UPDATE tasksync.task SET time_zone = NULL WHERE id = uid('t2') RETURNING time_zone;

-- every zone that the server lists is good, in its own spelling
INSERT INTO tasksync.task (user_id, title, time_zone)
SELECT 'regress_bob', z.name, z.name FROM pg_timezone_names z
WHERE z.name !~ '^(posix|right)/' AND z.name NOT IN ('localtime', 'posixrules');
SELECT count(*) > 400 AS many, bool_and(title = time_zone) AS as_listed FROM tasksync.task WHERE user_id = 'regress_bob';

-- updated_at moves with the user's columns only, and within a transaction too
BEGIN;
UPDATE tasksync.task SET updated_at = '2020-01-01 UTC' WHERE id = uid('t2') RETURNING updated_at = '2020-01-01 UTC' AS given;
UPDATE tasksync.task SET sync_status = 'SYNCED', last_synced_at = now(), provider_id = uid('s1'), external_task_id = 'x', source = 'CALDAV'
WHERE id = uid('t2') RETURNING updated_at = '2020-01-01 UTC' AS same, sync_status;
UPDATE tasksync.task SET title = title WHERE id = uid('t2') RETURNING updated_at = '2020-01-01 UTC' AS same, sync_status;
UPDATE tasksync.task SET title = 'c' WHERE id = uid('t2') RETURNING updated_at > now() AS moved, sync_status;
UPDATE tasksync.task SET sync_status = 'CONFLICT' WHERE id = uid('t2');
UPDATE tasksync.task SET title = 'd' WHERE id = uid('t2') RETURNING sync_status;
-- without its home a task is a local one again
UPDATE tasksync.task SET provider_id = NULL WHERE id = uid('t2')
RETURNING source, external_task_id, external_url, last_synced_at, sync_status;
COMMIT;
UPDATE tasksync.project SET updated_at = '2020-01-01 UTC', last_synced_at = now();
SELECT name, updated_at = '2020-01-01 UTC' AS same FROM tasksync.project WHERE user_id = 'regress_ann' ORDER BY 1;
UPDATE tasksync.project SET color = '#AAbb01' WHERE id = uid('p1') RETURNING updated_at > now() AS moved;

-- a mapping's state and the project's list of external ids
SELECT name, external_project_ids = pg_catalog.jsonb_build_object(uid('s1'), '/ann/house/') AS listed FROM tasksync.project WHERE id = uid('p1');
INSERT INTO tasksync.task_list_mapping (id, user_id, provider_id, project_id) VALUES (uid('m5'), 'regress_ann', uid('s2'), uid('p1'));
UPDATE tasksync.task_list_mapping SET external_list_id = '/ann/new/' WHERE id = uid('m5');
SELECT p.name, name_of(e.key::uuid) AS provider, e.value FROM tasksync.project p, jsonb_each_text(p.external_project_ids) e
WHERE p.user_id = 'regress_ann' ORDER BY 1, 2;
DELETE FROM tasksync.task_list_mapping WHERE id = uid('m1');
SELECT p.name, name_of(e.key::uuid) AS provider, e.value FROM tasksync.project p, jsonb_each_text(p.external_project_ids) e
WHERE p.user_id = 'regress_ann' ORDER BY 1, 2;
SELECT name_of(mapping_id) AS mapping, enabled_xid < pg_current_xact_id() AS before, compared_at FROM tasksync.mapping_state ORDER BY 1;
BEGIN;
UPDATE tasksync.mapping_state SET compared_at = '2020-01-01 UTC';
UPDATE tasksync.task_list_mapping SET sync_enabled = false WHERE id = uid('m2');
UPDATE tasksync.task_list_mapping SET sync_direction = 'TO_PROVIDER' WHERE id = uid('m3');
UPDATE tasksync.task_list_mapping SET sync_enabled = true, last_synced_at = now() WHERE id = uid('m4');
SELECT name_of(mapping_id) AS mapping, enabled_xid = pg_current_xact_id() AS now, compared_at IS NULL AS to_compare FROM tasksync.mapping_state ORDER BY 1;
COMMIT;

-- a restored state row takes the place of the one the mapping made
INSERT INTO tasksync.mapping_state (mapping_id, user_id, cursor, enabled_xid)
VALUES (uid('m2'), 'regress_ann', 'token', '9999999999');
SELECT cursor, enabled_xid < '9999999999' AS of_this_server FROM tasksync.mapping_state WHERE mapping_id = uid('m2');
