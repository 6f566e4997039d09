/*
 * What a bad value in plain DML breaks.
 */
\getenv abs_srcdir PG_ABS_SRCDIR
\ir :abs_srcdir/common/two_of_each.sql

\set VERBOSITY terse
\set SHOW_CONTEXT never

-- words
INSERT INTO tasksync.task (title, status) VALUES ('x', 'DONE');
INSERT INTO tasksync.task (title, priority) VALUES ('x', 'high');
INSERT INTO tasksync.task (title, source) VALUES ('x', 'caldav');
INSERT INTO tasksync.task (title, sync_status) VALUES ('x', 'OK');
INSERT INTO tasksync.project (name, status) VALUES ('x', 'DELETED');
UPDATE tasksync.task_provider SET conflict_policy = 'NEWEST';
UPDATE tasksync.task_provider SET sync_status = 'HELD';
UPDATE tasksync.task_provider SET type = 'caldav';
UPDATE tasksync.task_list_mapping SET sync_direction = 'BOTH';
UPDATE tasksync.task_list_mapping SET sync_status = 'SYNCED';
UPDATE tasksync.connected_account SET status = 'EXPIRED';
INSERT INTO tasksync.sync_job (status) VALUES ('DONE');
INSERT INTO tasksync.sync_job (kind) VALUES ('PULL');
INSERT INTO tasksync.task_change (task_id, change_type) VALUES (uid('t1'), 'MOVE');
INSERT INTO tasksync.task_conflict (task_id, resolution) VALUES (uid('t1'), 'BOTH');
INSERT INTO tasksync.task_link (task_id, mapping_id, user_id, state) VALUES (uid('t1'), uid('m1'), 'regress_ann', 'GONE');

-- numbers, colours, tags, dates, zones, settings
INSERT INTO tasksync.task (title, percent_complete) VALUES ('x', 101);
INSERT INTO tasksync.task (title, percent_complete) VALUES ('x', -1);
INSERT INTO tasksync.task (title, duration_minutes) VALUES ('x', -5);
UPDATE tasksync.task_provider SET sync_interval = 0;
INSERT INTO tasksync.project (name, color) VALUES ('x', 'red');
INSERT INTO tasksync.project (name, color) VALUES ('x', '#12345');
INSERT INTO tasksync.task (title, tags) VALUES ('x', ARRAY['a', NULL]);
INSERT INTO tasksync.task (title, tags) VALUES ('x', ARRAY[['a'], ['b']]);
INSERT INTO tasksync.task (title, due_time) VALUES ('x', '12:00');
INSERT INTO tasksync.task (title, start_time) VALUES ('x', '12:00');
INSERT INTO tasksync.task (title, time_zone) VALUES ('x', 'Europe/Atlantis');
INSERT INTO tasksync.task (title, time_zone) VALUES ('x', 'FOO-3');
INSERT INTO tasksync.task (title, time_zone) VALUES ('x', '');
UPDATE tasksync.task_provider SET settings = '[]';
INSERT INTO tasksync.task (title) VALUES (NULL);

-- in every one of them the error is a check_violation (or not_null for the title)
DO $$
BEGIN
	INSERT INTO tasksync.task (title, time_zone) VALUES ('x', 'Mars/Olympus');
EXCEPTION WHEN check_violation THEN
	RAISE NOTICE 'check_violation';
END $$;

-- the same id may belong to two users; a row can't point at another user's
INSERT INTO tasksync.task (id, user_id, title, project_id)
VALUES (uid('t1'), 'regress_ann', 'hers', uid('p1')), (uid('t1'), 'regress_bob', 'his', uid('p3'));
INSERT INTO tasksync.task (user_id, title, project_id) VALUES ('regress_ann', 'x', uid('p3'));
UPDATE tasksync.task SET project_id = uid('p3') WHERE user_id = 'regress_ann';
INSERT INTO tasksync.task (user_id, title, parent_task_id) VALUES ('regress_cyd', 'x', uid('t1'));
UPDATE tasksync.task_provider SET account_id = uid('a3') WHERE id = uid('s1');
INSERT INTO tasksync.task_list_mapping (user_id, provider_id, project_id)
VALUES ('regress_ann', uid('s3'), uid('p1'));

-- one list, one project; lists that are yet to be made are as many as you like
INSERT INTO tasksync.task_list_mapping (user_id, provider_id, project_id, external_list_id)
VALUES ('regress_ann', uid('s1'), uid('p1'), '/ann/other/');
INSERT INTO tasksync.task_list_mapping (user_id, provider_id, project_id, external_list_id)
VALUES ('regress_ann', uid('s1'), uid('p2'), '/ann/house/');
INSERT INTO tasksync.project (id, user_id, name)
VALUES (uid('p5'), 'regress_ann', 'New'), (uid('p6'), 'regress_ann', 'Newer');
INSERT INTO tasksync.task_list_mapping (user_id, provider_id, project_id)
VALUES ('regress_ann', uid('s1'), uid('p5')), ('regress_ann', uid('s1'), uid('p6'));
INSERT INTO tasksync.task_provider (user_id, type, name, account_id)
VALUES ('regress_ann', 'CALDAV', 'x', uid('a1'));
INSERT INTO tasksync.task_provider (user_id, type, name) VALUES ('regress_ann', 'TODOIST', 'x');
INSERT INTO tasksync.task_provider (user_id, type, name) VALUES ('regress_ann', 'TODOIST', 'y');

-- one pending job for each mapping and each provider; others are free
INSERT INTO tasksync.sync_job (user_id, provider_id, mapping_id) VALUES ('regress_ann', uid('s1'), uid('m1'));
INSERT INTO tasksync.sync_job (user_id, provider_id, mapping_id) VALUES ('regress_ann', uid('s1'), uid('m1'));
INSERT INTO tasksync.sync_job (user_id, provider_id) VALUES ('regress_ann', uid('s1'));
INSERT INTO tasksync.sync_job (user_id, provider_id) VALUES ('regress_ann', uid('s1'));
INSERT INTO tasksync.sync_job (user_id, provider_id, kind) VALUES ('regress_ann', uid('s1'), 'DELETE_LIST'), ('regress_ann', uid('s1'), 'DELETE_LIST');
UPDATE tasksync.sync_job SET status = 'RUNNING' WHERE mapping_id = uid('m1');
INSERT INTO tasksync.sync_job (user_id, provider_id, mapping_id) VALUES ('regress_ann', uid('s1'), uid('m1'));

-- ids never change
UPDATE tasksync.task SET id = uid('t2') WHERE user_id = 'regress_ann';
UPDATE tasksync.task SET user_id = 'regress_bob' WHERE user_id = 'regress_ann';
UPDATE tasksync.project SET id = uid('p9') WHERE id = uid('p1');
UPDATE tasksync.task_list_mapping SET user_id = 'regress_bob' WHERE id = uid('m1');
UPDATE tasksync.task_provider SET id = uid('s9') WHERE id = uid('s1');

-- no task is above itself
INSERT INTO tasksync.task (id, user_id, title, parent_task_id)
VALUES (uid('t2'), 'regress_ann', 'a', NULL), (uid('t3'), 'regress_ann', 'b', uid('t2')), (uid('t4'), 'regress_ann', 'c', uid('t3'));
UPDATE tasksync.task SET parent_task_id = id WHERE id = uid('t2');
UPDATE tasksync.task SET parent_task_id = uid('t4') WHERE id = uid('t2');
INSERT INTO tasksync.task (id, user_id, title, parent_task_id)
VALUES (uid('t5'), 'regress_ann', 'a', uid('t6')), (uid('t6'), 'regress_ann', 'b', uid('t5'));
-- turning a chain round in one statement is no circle
UPDATE tasksync.task SET parent_task_id = CASE id WHEN uid('t2') THEN uid('t3') WHEN uid('t3') THEN uid('t4') END
WHERE id IN (uid('t2'), uid('t3'), uid('t4'));
SELECT title, name_of(parent_task_id) AS parent FROM tasksync.task WHERE id IN (uid('t2'), uid('t3'), uid('t4')) ORDER BY 1;
