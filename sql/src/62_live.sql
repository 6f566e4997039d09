/*
 * Calls that ask the service at once, from the caller's own backend.  They
 * change nothing there.
 */

CREATE FUNCTION tasksync.validate_connection(provider_id uuid)
RETURNS boolean
LANGUAGE c AS 'MODULE_PATHNAME', 'tasksync_validate_connection';
COMMENT ON FUNCTION tasksync.validate_connection(uuid) IS
	'whether the service answers and takes the credentials; if not, the reason is in task_provider.error_message';

CREATE FUNCTION tasksync.task_lists(provider_id uuid)
RETURNS TABLE (external_list_id text, name text, color text, path text, description text,
	is_writable boolean, mapping_id uuid, project_id uuid)
LANGUAGE c ROWS 20
AS 'MODULE_PATHNAME', 'tasksync_task_lists';
COMMENT ON FUNCTION tasksync.task_lists(uuid) IS
	'the lists that the service has now, and the caller''s mappings of them';

CREATE FUNCTION tasksync.map_all_lists(provider_id uuid)
RETURNS SETOF uuid
LANGUAGE c ROWS 20
AS 'MODULE_PATHNAME', 'tasksync_map_all_lists';
COMMENT ON FUNCTION tasksync.map_all_lists(uuid) IS
	'makes a project and a mapping for every list that has none, queues their first sync; the new mappings';

CREATE FUNCTION tasksync.preview_mapping(provider_id uuid, external_list_id text, project_id uuid DEFAULT NULL)
RETURNS TABLE (side text, action text, title text, task_id uuid, external_task_id text)
LANGUAGE c AS 'MODULE_PATHNAME', 'tasksync_preview_mapping';
COMMENT ON FUNCTION tasksync.preview_mapping(uuid, text, uuid) IS
	'what the first sync of a list with a project (or, once mapped, the next sync) would do; changes nothing';

CREATE FUNCTION tasksync.verify_mapping(mapping_id uuid)
RETURNS TABLE (task_id uuid, external_task_id text, field text, local text, remote text)
LANGUAGE c AS 'MODULE_PATHNAME', 'tasksync_verify_mapping';
COMMENT ON FUNCTION tasksync.verify_mapping(uuid) IS
	'reads the whole list again and tells every difference; field ''task'': it is on one side only, whose title is shown; no row = in sync';
