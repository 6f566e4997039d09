/*
 * Accounts, providers, mappings, jobs.
 */

CREATE FUNCTION tasksync.add_account(type text, label text, credentials jsonb, settings jsonb DEFAULT '{}')
RETURNS uuid
LANGUAGE c AS 'MODULE_PATHNAME', 'tasksync_add_account';
COMMENT ON FUNCTION tasksync.add_account(text, text, jsonb, jsonb) IS
	'makes an account at a service; its credentials are stored encrypted';

CREATE FUNCTION tasksync.set_credentials(account_id uuid, credentials jsonb)
RETURNS void
LANGUAGE c AS 'MODULE_PATHNAME', 'tasksync_set_credentials';
COMMENT ON FUNCTION tasksync.set_credentials(uuid, jsonb) IS
	'replaces an account''s credentials; ends NEEDS_AUTH';

CREATE FUNCTION tasksync.begin_oauth(account_id uuid, flow text DEFAULT 'DEVICE')
RETURNS TABLE (verification_uri text, user_code text, authorize_url text, expires_at timestamptz)
LANGUAGE c ROWS 1 AS 'MODULE_PATHNAME', 'tasksync_begin_oauth';
COMMENT ON FUNCTION tasksync.begin_oauth(uuid, text) IS
	'begins a login by OAuth, for types of accounts that have one (CALDAV has none)';

CREATE FUNCTION tasksync.finish_oauth(account_id uuid, code text DEFAULT NULL)
RETURNS boolean
LANGUAGE c AS 'MODULE_PATHNAME', 'tasksync_finish_oauth';
COMMENT ON FUNCTION tasksync.finish_oauth(uuid, text) IS
	'ends a login by OAuth, for types of accounts that have one (CALDAV has none)';

CREATE FUNCTION tasksync.add_provider(type text, name text DEFAULT NULL, credentials jsonb DEFAULT NULL,
	settings jsonb DEFAULT '{}', account_id uuid DEFAULT NULL, sync_interval int DEFAULT 15)
RETURNS uuid
LANGUAGE c AS 'MODULE_PATHNAME', 'tasksync_add_provider';
COMMENT ON FUNCTION tasksync.add_provider(text, text, jsonb, jsonb, uuid, int) IS
	'connects a task service; with credentials it makes the account too';

CREATE FUNCTION tasksync.update_provider(provider_id uuid, name text DEFAULT NULL, enabled boolean DEFAULT NULL,
	sync_enabled boolean DEFAULT NULL, sync_interval int DEFAULT NULL, conflict_policy text DEFAULT NULL,
	settings jsonb DEFAULT NULL)
RETURNS tasksync.task_provider
LANGUAGE c AS 'MODULE_PATHNAME', 'tasksync_update_provider';
COMMENT ON FUNCTION tasksync.update_provider(uuid, text, boolean, boolean, int, text, jsonb) IS
	'changes a provider; what is NULL stays';

CREATE FUNCTION tasksync.remove_provider(provider_id uuid, delete_tasks boolean DEFAULT false)
RETURNS void
LANGUAGE c AS 'MODULE_PATHNAME', 'tasksync_remove_provider';
COMMENT ON FUNCTION tasksync.remove_provider(uuid, boolean) IS
	'disconnects a provider; nothing is deleted at the service, and tasks here only when asked';

CREATE FUNCTION tasksync.create_mapping(provider_id uuid, external_list_id text, project_id uuid DEFAULT NULL,
	sync_direction text DEFAULT 'BIDIRECTIONAL', sync_project_name boolean DEFAULT true,
	is_auto_scheduled boolean DEFAULT true, mirror boolean DEFAULT false, conflict_policy text DEFAULT NULL)
RETURNS uuid
LANGUAGE c AS 'MODULE_PATHNAME', 'tasksync_create_mapping';
COMMENT ON FUNCTION tasksync.create_mapping(uuid, text, uuid, text, boolean, boolean, boolean, text) IS
	'maps a list at the service to a project, a new one if none is named, and queues the first sync';

CREATE FUNCTION tasksync.create_external_list(provider_id uuid, project_id uuid)
RETURNS uuid
LANGUAGE c AS 'MODULE_PATHNAME', 'tasksync_create_external_list';
COMMENT ON FUNCTION tasksync.create_external_list(uuid, uuid) IS
	'maps a project to a list that the next sync makes at the service';

CREATE FUNCTION tasksync.update_mapping(mapping_id uuid, sync_enabled boolean DEFAULT NULL,
	sync_direction text DEFAULT NULL, sync_project_name boolean DEFAULT NULL,
	is_auto_scheduled boolean DEFAULT NULL, mirror boolean DEFAULT NULL, conflict_policy text DEFAULT NULL)
RETURNS tasksync.task_list_mapping
LANGUAGE c AS 'MODULE_PATHNAME', 'tasksync_update_mapping';
COMMENT ON FUNCTION tasksync.update_mapping(uuid, boolean, text, boolean, boolean, boolean, text) IS
	'changes a mapping; what is NULL stays';

CREATE FUNCTION tasksync.delete_mapping(mapping_id uuid, delete_external_list boolean DEFAULT false,
	delete_tasks boolean DEFAULT false)
RETURNS void
LANGUAGE c AS 'MODULE_PATHNAME', 'tasksync_delete_mapping';
COMMENT ON FUNCTION tasksync.delete_mapping(uuid, boolean, boolean) IS
	'ends a mapping; the list at the service and the tasks here go only when asked';

CREATE FUNCTION tasksync.confirm_deletions(mapping_id uuid)
RETURNS void
LANGUAGE c AS 'MODULE_PATHNAME', 'tasksync_confirm_deletions';
COMMENT ON FUNCTION tasksync.confirm_deletions(uuid) IS
	'lets the deletions that a mapping is held for go on';

CREATE FUNCTION tasksync.retry_failed(mapping_id uuid DEFAULT NULL)
RETURNS int
LANGUAGE c AS 'MODULE_PATHNAME', 'tasksync_retry_failed';
COMMENT ON FUNCTION tasksync.retry_failed(uuid) IS
	'tries items again that were set aside after errors; how many';

CREATE FUNCTION tasksync.sync_mapping(mapping_id uuid)
RETURNS bigint
LANGUAGE c AS 'MODULE_PATHNAME', 'tasksync_sync_mapping';
COMMENT ON FUNCTION tasksync.sync_mapping(uuid) IS
	'queues a sync of one mapping; the job''s id';

CREATE FUNCTION tasksync.sync_provider(provider_id uuid)
RETURNS bigint
LANGUAGE c AS 'MODULE_PATHNAME', 'tasksync_sync_provider';
COMMENT ON FUNCTION tasksync.sync_provider(uuid) IS
	'queues a sync of all mappings of a provider; the job''s id';

CREATE FUNCTION tasksync.sync_all_for_user(user_id text DEFAULT tasksync.current_user_id())
RETURNS SETOF bigint
LANGUAGE c ROWS 10
AS 'MODULE_PATHNAME', 'tasksync_sync_all_for_user';
COMMENT ON FUNCTION tasksync.sync_all_for_user(text) IS
	'queues a sync of every provider of a user; the jobs'' ids';

CREATE FUNCTION tasksync.job_status(job_id bigint)
RETURNS tasksync.sync_job
LANGUAGE c STRICT STABLE AS 'MODULE_PATHNAME', 'tasksync_job_status';
COMMENT ON FUNCTION tasksync.job_status(bigint) IS 'a job of the caller''s';

CREATE FUNCTION tasksync.cancel_job(job_id bigint)
RETURNS boolean
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'tasksync_cancel_job';
COMMENT ON FUNCTION tasksync.cancel_job(bigint) IS
	'cancels a pending or running job; false when it had ended already';

CREATE PROCEDURE tasksync.sync_now(provider_id uuid DEFAULT NULL, mapping_id uuid DEFAULT NULL,
	timeout interval DEFAULT '5 min')
LANGUAGE c AS 'MODULE_PATHNAME', 'tasksync_sync_now';
COMMENT ON PROCEDURE tasksync.sync_now(uuid, uuid, interval) IS
	'queues a sync, commits, and waits for its end; raises the job''s error';

CREATE PROCEDURE tasksync.wait_for_job(job_id bigint, timeout interval DEFAULT '5 min')
LANGUAGE c AS 'MODULE_PATHNAME', 'tasksync_wait_for_job';
COMMENT ON PROCEDURE tasksync.wait_for_job(bigint, interval) IS
	'waits for a job''s end; raises its error';

CREATE FUNCTION tasksync.start_worker()
RETURNS int
LANGUAGE c AS 'MODULE_PATHNAME', 'tasksync_start_worker';
COMMENT ON FUNCTION tasksync.start_worker() IS
	'starts this database''s worker where the library is not preloaded; its pid';
