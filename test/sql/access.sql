/*
 * What plain users may read, write and call.
 */
\getenv abs_srcdir PG_ABS_SRCDIR
\ir :abs_srcdir/common/two_of_each.sql

\set VERBOSITY terse

INSERT INTO tasksync.task (id, user_id, title, project_id)
VALUES (uid('t1'), 'regress_ann', 'Paint', uid('p1')), (uid('t2'), 'regress_ann', 'Dig', uid('p2')),
	(uid('t3'), 'regress_bob', 'Report', uid('p3')), (uid('t4'), 'regress_bob', 'Chess', uid('p4'));
INSERT INTO tasksync.secret VALUES (uid('a1'), 'regress_ann', 'k', '\x00');
INSERT INTO tasksync.instance (database_oid) VALUES (1);

-- each sees their own
SET SESSION AUTHORIZATION regress_ann;
SELECT tasksync.current_user_id();
SELECT title FROM tasksync.task ORDER BY 1;
SELECT name FROM tasksync.project ORDER BY 1;
SELECT label FROM tasksync.connected_account ORDER BY 1;
SELECT name FROM tasksync.task_provider ORDER BY 1;
SELECT external_list_id FROM tasksync.task_list_mapping ORDER BY 1;
SELECT name_of(mapping_id) FROM tasksync.mapping_state ORDER BY 1;
SELECT name_of(task_id), change_type FROM tasksync.task_change ORDER BY id;
SELECT name, project_name, pending_changes, errors, conflicts FROM tasksync.mapping_status ORDER BY 2;
SELECT name, mappings, pending_changes FROM tasksync.provider_status ORDER BY 1;
SELECT * FROM tasksync.conflicts;
SELECT * FROM tasksync.sync_history;
SELECT * FROM tasksync.sync_progress;
SELECT * FROM tasksync.task_link;
SELECT * FROM tasksync.task_trash;
SELECT * FROM tasksync.secret;
SELECT * FROM tasksync.instance;

-- what is another's can be neither changed nor made
UPDATE tasksync.task SET title = 'mine' WHERE id = uid('t3');
DELETE FROM tasksync.task WHERE id = uid('t3');
INSERT INTO tasksync.task (user_id, title) VALUES ('regress_bob', 'x');
INSERT INTO tasksync.project (user_id, name) VALUES ('regress_bob', 'x');
SELECT tasksync.track_change(uid('t3'), 'UPDATE');
SELECT * FROM tasksync.changes_since(uid('m3'), NULL);
SELECT tasksync.mark_as_synced(ARRAY[3, 4]);

-- users write the users' columns of task and project
INSERT INTO tasksync.task (id, title, project_id, tags) VALUES (uid('t5'), 'Sweep', uid('p1'), '{a}') RETURNING user_id;
INSERT INTO tasksync.task (id, user_id, title) VALUES (uid('t5'), 'regress_ann', 'Sweep')
ON CONFLICT (id, user_id) DO UPDATE SET title = 'Sweep twice' RETURNING title;
UPDATE tasksync.task SET title = 'Swept', status = 'COMPLETED' WHERE id = uid('t5');
INSERT INTO tasksync.project (id, name, color) VALUES (uid('p5'), 'Cellar', '#000000');
UPDATE tasksync.project SET name = 'Attic' WHERE id = uid('p5');
DELETE FROM tasksync.project WHERE id = uid('p5');
DELETE FROM tasksync.task WHERE id = uid('t5');
-- and not the others
UPDATE tasksync.task SET user_id = 'regress_ann';
UPDATE tasksync.task SET source = 'CALDAV';
UPDATE tasksync.task SET provider_id = uid('s1');
UPDATE tasksync.task SET external_task_id = 'x';
UPDATE tasksync.task SET sync_status = NULL;
UPDATE tasksync.task SET last_synced_at = NULL;
UPDATE tasksync.task SET updated_at = now();
INSERT INTO tasksync.task (title, source) VALUES ('x', 'CALDAV');
UPDATE tasksync.project SET external_project_ids = '{}';

-- providers and mappings: settings, and DELETE
UPDATE tasksync.task_provider SET name = 'Uno', enabled = true, sync_enabled = true, sync_interval = 5,
	conflict_policy = 'MANUAL', settings = '{}', next_sync_at = now() WHERE id = uid('s1');
UPDATE tasksync.task_list_mapping SET sync_enabled = true, sync_direction = 'BIDIRECTIONAL', sync_project_name = true,
	mirror = true, conflict_policy = NULL, is_auto_scheduled = false WHERE id = uid('m1');
UPDATE tasksync.task_provider SET type = 'TODOIST';
UPDATE tasksync.task_provider SET account_id = NULL;
UPDATE tasksync.task_provider SET error_message = 'x';
UPDATE tasksync.task_list_mapping SET external_list_id = 'x';
UPDATE tasksync.task_list_mapping SET project_id = uid('p2');
INSERT INTO tasksync.task_provider (type, name) VALUES ('CALDAV', 'x');
INSERT INTO tasksync.task_list_mapping (provider_id, project_id) VALUES (uid('s1'), uid('p1'));
DELETE FROM tasksync.task_list_mapping WHERE id = uid('m2');
DELETE FROM tasksync.task_provider WHERE id = uid('s2');
-- the rest is read only
DELETE FROM tasksync.connected_account;
UPDATE tasksync.connected_account SET label = 'x';
INSERT INTO tasksync.task_change (task_id, change_type) VALUES (uid('t1'), 'UPDATE');
DELETE FROM tasksync.task_change;
UPDATE tasksync.task_link SET etag = 'x';
INSERT INTO tasksync.sync_job (provider_id) VALUES (uid('s1'));
DELETE FROM tasksync.mapping_state;
SELECT nextval('tasksync.sync_seq');
TRUNCATE tasksync.task;
CREATE TRIGGER mine BEFORE INSERT ON tasksync.task FOR EACH ROW EXECUTE FUNCTION tasksync.keep_task();
CREATE TABLE tasksync.mine ();
SELECT tasksync.grant_access('regress_ann');

-- whose rows these are can't be chosen by a plain user …
SET tasksync.user_id = 'regress_bob';
RESET SESSION AUTHORIZATION;
-- … but by a role that may set it: an application's
GRANT SET ON PARAMETER tasksync.user_id TO regress_ann;
SET SESSION AUTHORIZATION regress_ann;
SET tasksync.user_id = 'regress_bob';
SELECT title FROM tasksync.task ORDER BY 1;
INSERT INTO tasksync.task (title) VALUES ('for Bob') RETURNING user_id;
SET tasksync.user_id = '';
SELECT tasksync.current_user_id();
RESET tasksync.user_id;
RESET SESSION AUTHORIZATION;
REVOKE SET ON PARAMETER tasksync.user_id FROM regress_ann;

-- the session's identity does not leak into rows: they keep the row's
SET tasksync.user_id = 'regress_cyd';
UPDATE tasksync.task SET title = 'Painted' WHERE id = uid('t1') RETURNING user_id;
SELECT user_id, name_of(task_id) FROM tasksync.task_change ORDER BY id DESC LIMIT 1;
RESET tasksync.user_id;

-- arguments of grant_access
SELECT tasksync.grant_access('0');
SELECT tasksync.grant_access('nobody_of_this_name');

-- and back
SELECT tasksync.revoke_access('regress_ann');
SET SESSION AUTHORIZATION regress_ann;
SELECT * FROM tasksync.task;
SELECT tasksync.current_user_id();
RESET SESSION AUTHORIZATION;
SELECT count(*) FROM pg_shdepend d JOIN pg_database b ON b.oid = d.dbid AND b.datname = current_database()
WHERE d.refobjid = 'regress_ann'::regrole;
