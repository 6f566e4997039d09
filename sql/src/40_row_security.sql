/*
 * Row security.  It is enabled, not forced: the owner, as whom the engine works,
 * is not held by it and names user_id in its statements.
 */

ALTER TABLE tasksync.project ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON tasksync.project
	USING (user_id OPERATOR(pg_catalog.=) tasksync.current_user_id())
	WITH CHECK (user_id OPERATOR(pg_catalog.=) tasksync.current_user_id());
COMMENT ON POLICY own_rows ON tasksync.project IS 'users work with their own rows';

ALTER TABLE tasksync.connected_account ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON tasksync.connected_account
	USING (user_id OPERATOR(pg_catalog.=) tasksync.current_user_id())
	WITH CHECK (user_id OPERATOR(pg_catalog.=) tasksync.current_user_id());
COMMENT ON POLICY own_rows ON tasksync.connected_account IS 'users work with their own rows';

ALTER TABLE tasksync.task_provider ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON tasksync.task_provider
	USING (user_id OPERATOR(pg_catalog.=) tasksync.current_user_id())
	WITH CHECK (user_id OPERATOR(pg_catalog.=) tasksync.current_user_id());
COMMENT ON POLICY own_rows ON tasksync.task_provider IS 'users work with their own rows';

ALTER TABLE tasksync.task ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON tasksync.task
	USING (user_id OPERATOR(pg_catalog.=) tasksync.current_user_id())
	WITH CHECK (user_id OPERATOR(pg_catalog.=) tasksync.current_user_id());
COMMENT ON POLICY own_rows ON tasksync.task IS 'users work with their own rows';

ALTER TABLE tasksync.task_list_mapping ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON tasksync.task_list_mapping
	USING (user_id OPERATOR(pg_catalog.=) tasksync.current_user_id())
	WITH CHECK (user_id OPERATOR(pg_catalog.=) tasksync.current_user_id());
COMMENT ON POLICY own_rows ON tasksync.task_list_mapping IS 'users work with their own rows';

ALTER TABLE tasksync.task_link ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON tasksync.task_link
	USING (user_id OPERATOR(pg_catalog.=) tasksync.current_user_id())
	WITH CHECK (user_id OPERATOR(pg_catalog.=) tasksync.current_user_id());
COMMENT ON POLICY own_rows ON tasksync.task_link IS 'users work with their own rows';

ALTER TABLE tasksync.task_change ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON tasksync.task_change
	USING (user_id OPERATOR(pg_catalog.=) tasksync.current_user_id())
	WITH CHECK (user_id OPERATOR(pg_catalog.=) tasksync.current_user_id());
COMMENT ON POLICY own_rows ON tasksync.task_change IS 'users work with their own rows';

ALTER TABLE tasksync.task_conflict ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON tasksync.task_conflict
	USING (user_id OPERATOR(pg_catalog.=) tasksync.current_user_id())
	WITH CHECK (user_id OPERATOR(pg_catalog.=) tasksync.current_user_id());
COMMENT ON POLICY own_rows ON tasksync.task_conflict IS 'users work with their own rows';

ALTER TABLE tasksync.task_trash ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON tasksync.task_trash
	USING (user_id OPERATOR(pg_catalog.=) tasksync.current_user_id())
	WITH CHECK (user_id OPERATOR(pg_catalog.=) tasksync.current_user_id());
COMMENT ON POLICY own_rows ON tasksync.task_trash IS 'users work with their own rows';

ALTER TABLE tasksync.sync_job ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON tasksync.sync_job
	USING (user_id OPERATOR(pg_catalog.=) tasksync.current_user_id())
	WITH CHECK (user_id OPERATOR(pg_catalog.=) tasksync.current_user_id());
COMMENT ON POLICY own_rows ON tasksync.sync_job IS 'users work with their own rows';

ALTER TABLE tasksync.mapping_state ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON tasksync.mapping_state
	USING (user_id OPERATOR(pg_catalog.=) tasksync.current_user_id())
	WITH CHECK (user_id OPERATOR(pg_catalog.=) tasksync.current_user_id());
COMMENT ON POLICY own_rows ON tasksync.mapping_state IS 'users work with their own rows';

ALTER TABLE tasksync.task_intent ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON tasksync.task_intent
	USING (user_id OPERATOR(pg_catalog.=) tasksync.current_user_id())
	WITH CHECK (user_id OPERATOR(pg_catalog.=) tasksync.current_user_id());
COMMENT ON POLICY own_rows ON tasksync.task_intent IS 'users work with their own rows';

ALTER TABLE tasksync.task_inbox ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON tasksync.task_inbox
	USING (user_id OPERATOR(pg_catalog.=) tasksync.current_user_id())
	WITH CHECK (user_id OPERATOR(pg_catalog.=) tasksync.current_user_id());
COMMENT ON POLICY own_rows ON tasksync.task_inbox IS 'users work with their own rows';

ALTER TABLE tasksync.dead_remote ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON tasksync.dead_remote
	USING (user_id OPERATOR(pg_catalog.=) tasksync.current_user_id())
	WITH CHECK (user_id OPERATOR(pg_catalog.=) tasksync.current_user_id());
COMMENT ON POLICY own_rows ON tasksync.dead_remote IS 'users work with their own rows';

ALTER TABLE tasksync.secret ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON tasksync.secret
	USING (user_id OPERATOR(pg_catalog.=) tasksync.current_user_id())
	WITH CHECK (user_id OPERATOR(pg_catalog.=) tasksync.current_user_id());
COMMENT ON POLICY own_rows ON tasksync.secret IS 'users work with their own rows';

/* No policy at all: nobody but the owner sees the row. */
ALTER TABLE tasksync.instance ENABLE ROW LEVEL SECURITY;
