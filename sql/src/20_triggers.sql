/*
 * Triggers.  BEFORE ROW ones fill in and keep what never changes, AFTER
 * STATEMENT ones write the journal.  The arguments of keep_row are the columns
 * whose change moves updated_at.
 */

CREATE FUNCTION tasksync.keep_row() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'tasksync_keep_row';
COMMENT ON FUNCTION tasksync.keep_row() IS
	'fills what is NULL with the defaults, keeps id and user_id, moves updated_at';

CREATE FUNCTION tasksync.keep_task() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'tasksync_keep_task';
COMMENT ON FUNCTION tasksync.keep_task() IS
	'as keep_row; also completed_at, the time zone and what a task without a home forgets';

CREATE FUNCTION tasksync.stamp_xid() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'tasksync_stamp_xid';
COMMENT ON FUNCTION tasksync.stamp_xid() IS
	'notes the writing transaction in the column given as argument';

CREATE FUNCTION tasksync.journal() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'tasksync_journal';
COMMENT ON FUNCTION tasksync.journal() IS
	'writes what a statement did to tasks into task_change; refuses circles of parents';

CREATE FUNCTION tasksync.mapping_changed() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'tasksync_mapping_changed';
COMMENT ON FUNCTION tasksync.mapping_changed() IS
	'keeps mapping_state and project.external_project_ids, wakes the worker';

CREATE FUNCTION tasksync.mapping_goes() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'tasksync_mapping_goes';
COMMENT ON FUNCTION tasksync.mapping_goes() IS
	'disconnects the tasks of a mapping that is deleted and settles its conflicts';

CREATE FUNCTION tasksync.replace_state() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'tasksync_replace_state';
COMMENT ON FUNCTION tasksync.replace_state() IS
	'lets a restored state row take the place of the one that the mapping made';

CREATE FUNCTION tasksync.hold_all() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'tasksync_hold_all';
COMMENT ON FUNCTION tasksync.hold_all() IS
	'puts all mappings to HELD after TRUNCATE, so that nothing is deleted anywhere';

CREATE FUNCTION tasksync.wake() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'tasksync_wake';
COMMENT ON FUNCTION tasksync.wake() IS
	'has the worker look again when the transaction commits';

/* project */

CREATE TRIGGER keep_row BEFORE INSERT OR UPDATE ON tasksync.project
	FOR EACH ROW EXECUTE FUNCTION tasksync.keep_row('name', 'description', 'color', 'status');
COMMENT ON TRIGGER keep_row ON tasksync.project IS
	'defaults, ids, updated_at';

CREATE TRIGGER wake AFTER UPDATE OF name, color ON tasksync.project
	FOR EACH STATEMENT EXECUTE FUNCTION tasksync.wake();
COMMENT ON TRIGGER wake ON tasksync.project IS
	'a new name or colour is to go to the lists';

/* connected_account */

CREATE TRIGGER keep_row BEFORE INSERT OR UPDATE ON tasksync.connected_account
	FOR EACH ROW EXECUTE FUNCTION tasksync.keep_row('label', 'settings');
COMMENT ON TRIGGER keep_row ON tasksync.connected_account IS
	'defaults, ids, updated_at';

/* task_provider */

CREATE TRIGGER keep_row BEFORE INSERT OR UPDATE ON tasksync.task_provider
	FOR EACH ROW EXECUTE FUNCTION tasksync.keep_row('name', 'enabled', 'account_id',
		'sync_enabled', 'sync_interval', 'settings', 'conflict_policy');
COMMENT ON TRIGGER keep_row ON tasksync.task_provider IS
	'defaults, ids, updated_at';

CREATE TRIGGER wake
	AFTER UPDATE OF enabled, sync_enabled, sync_interval, settings, next_sync_at
	ON tasksync.task_provider
	FOR EACH STATEMENT EXECUTE FUNCTION tasksync.wake();
COMMENT ON TRIGGER wake ON tasksync.task_provider IS
	'a provider may have become due';

/* task */

CREATE TRIGGER keep_task BEFORE INSERT OR UPDATE ON tasksync.task
	FOR EACH ROW EXECUTE FUNCTION tasksync.keep_task();
COMMENT ON TRIGGER keep_task ON tasksync.task IS
	'defaults, ids, updated_at, completed_at, time zone, sync_status';

CREATE TRIGGER journal_insert AFTER INSERT ON tasksync.task
	REFERENCING NEW TABLE AS new_rows
	FOR EACH STATEMENT EXECUTE FUNCTION tasksync.journal();
COMMENT ON TRIGGER journal_insert ON tasksync.task IS
	'new tasks go to the journal';

CREATE TRIGGER journal_update AFTER UPDATE ON tasksync.task
	REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
	FOR EACH STATEMENT EXECUTE FUNCTION tasksync.journal();
COMMENT ON TRIGGER journal_update ON tasksync.task IS
	'changed tasks go to the journal';

CREATE TRIGGER journal_delete AFTER DELETE ON tasksync.task
	REFERENCING OLD TABLE AS old_rows
	FOR EACH STATEMENT EXECUTE FUNCTION tasksync.journal();
COMMENT ON TRIGGER journal_delete ON tasksync.task IS
	'deleted tasks go to the journal';

CREATE TRIGGER hold_all AFTER TRUNCATE ON tasksync.task
	FOR EACH STATEMENT EXECUTE FUNCTION tasksync.hold_all();
COMMENT ON TRIGGER hold_all ON tasksync.task IS
	'TRUNCATE deletes nothing at any service';

/* task_list_mapping */

CREATE TRIGGER keep_row BEFORE INSERT OR UPDATE ON tasksync.task_list_mapping
	FOR EACH ROW EXECUTE FUNCTION tasksync.keep_row('project_id', 'sync_direction',
		'sync_enabled', 'sync_project_name', 'is_auto_scheduled', 'mirror', 'conflict_policy');
COMMENT ON TRIGGER keep_row ON tasksync.task_list_mapping IS
	'defaults, ids, updated_at';

CREATE TRIGGER mapping_goes BEFORE DELETE ON tasksync.task_list_mapping
	FOR EACH ROW EXECUTE FUNCTION tasksync.mapping_goes();
COMMENT ON TRIGGER mapping_goes ON tasksync.task_list_mapping IS
	'its tasks stay, as local ones';

CREATE TRIGGER mapping_changed
	AFTER INSERT OR DELETE
		OR UPDATE OF project_id, external_list_id, sync_enabled, sync_direction, mirror
	ON tasksync.task_list_mapping
	FOR EACH ROW EXECUTE FUNCTION tasksync.mapping_changed();
COMMENT ON TRIGGER mapping_changed ON tasksync.task_list_mapping IS
	'state row, the project''s list of external ids, wake-up';

/* what a restore brings */

CREATE TRIGGER replace_state BEFORE INSERT ON tasksync.mapping_state
	FOR EACH ROW EXECUTE FUNCTION tasksync.replace_state();
COMMENT ON TRIGGER replace_state ON tasksync.mapping_state IS
	'a restored row replaces the one that its mapping has just made';

CREATE TRIGGER stamp_xid BEFORE INSERT ON tasksync.mapping_state
	FOR EACH ROW EXECUTE FUNCTION tasksync.stamp_xid('enabled_xid');
COMMENT ON TRIGGER stamp_xid ON tasksync.mapping_state IS
	'transaction numbers of another server mean nothing here';

CREATE TRIGGER stamp_xid BEFORE INSERT ON tasksync.task_change
	FOR EACH ROW EXECUTE FUNCTION tasksync.stamp_xid('xid');
COMMENT ON TRIGGER stamp_xid ON tasksync.task_change IS
	'transaction numbers of another server mean nothing here';
