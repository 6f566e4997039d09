/*-------------------------------------------------------------------------
 *
 * access.c
 *	  grant_access and revoke_access: what a plain user may do.
 *
 * Reading is bounded by row security, writing by columns, calling by a list of
 * names: what is added to the schema later is granted to nobody until it is
 * named here.  TRIGGER, REFERENCES, TRUNCATE and CREATE are never granted: with
 * any of them a user's code could run with the worker's rights.
 *
 *-------------------------------------------------------------------------
 */
#include "tasksync.h"

#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(tasksync_grant_access);
PG_FUNCTION_INFO_V1(tasksync_revoke_access);

/* Columns of task that users write; a new row may also have the next ones. */
#define TASK_COLUMNS \
	"project_id, parent_task_id, title, description, status, priority," \
	" start_date, start_time, due_date, due_time, time_zone, duration_minutes," \
	" percent_complete, completed_at, recurrence_rule, remind_at, tags, url," \
	" is_auto_scheduled"
#define PROJECT_COLUMNS "name, description, color, status"
#define NEW_ROW_COLUMNS "id, user_id, created_at, updated_at"

/* Statements that end where the role follows. */
static const char *const grants[] = {
	"GRANT USAGE ON SCHEMA tasksync TO",
	"GRANT INSERT (" NEW_ROW_COLUMNS ", " TASK_COLUMNS "),"
	" UPDATE (" TASK_COLUMNS "), DELETE ON tasksync.task TO",
	"GRANT INSERT (" NEW_ROW_COLUMNS ", " PROJECT_COLUMNS "),"
	" UPDATE (" PROJECT_COLUMNS "), DELETE ON tasksync.project TO",
	"GRANT UPDATE (name, enabled, sync_enabled, sync_interval, conflict_policy,"
	" settings, next_sync_at), DELETE ON tasksync.task_provider TO",
	"GRANT UPDATE (sync_enabled, sync_direction, sync_project_name, mirror,"
	" conflict_policy, is_auto_scheduled), DELETE ON tasksync.task_list_mapping TO",
	NULL
};

static const char *const revokes[] = {
	"REVOKE ALL ON ALL TABLES IN SCHEMA tasksync FROM",
	"REVOKE ALL ON ALL ROUTINES IN SCHEMA tasksync FROM",
	"REVOKE ALL ON SCHEMA tasksync FROM",
	NULL
};

/* All tables and views of the schema can be read, but for these. */
#define READABLE_RELATIONS \
	"SELECT format('GRANT SELECT ON %s TO', c.oid::regclass)" \
	" FROM pg_class c WHERE c.relnamespace = 'tasksync'::regnamespace" \
	" AND c.relkind IN ('r', 'v') AND c.relname NOT IN ('secret', 'instance')" \
	" ORDER BY c.relname"

/*
 * Left out are what an administrator calls: grant_access, revoke_access,
 * rotate_secret_key, adopt_clone and start_worker.  (set_credentials_file is granted to
 * pg_read_server_files by the extension script.)
 */
#define CALLABLE_FUNCTIONS \
	"SELECT format('GRANT EXECUTE ON ROUTINE %s TO', p.oid::regprocedure)" \
	" FROM pg_proc p WHERE p.pronamespace = 'tasksync'::regnamespace" \
	" AND p.proname IN (" \
	" 'current_user_id'," \
	" 'add_provider', 'update_provider', 'remove_provider', 'add_account'," \
	" 'set_credentials', 'begin_oauth', 'finish_oauth', 'validate_connection'," \
	" 'task_lists', 'registered_types'," \
	" 'create_mapping', 'create_external_list', 'map_all_lists'," \
	" 'update_mapping', 'delete_mapping', 'preview_mapping', 'confirm_deletions'," \
	" 'sync_mapping', 'sync_provider', 'sync_all_for_user', 'job_status'," \
	" 'cancel_job', 'sync_now', 'wait_for_job', 'verify_mapping', 'retry_failed'," \
	" 'undo_sync', 'resolve_conflict', 'progress'," \
	" 'track_change', 'changes_since', 'mark_as_synced'," \
	" 'decode_task', 'encode_task', 'merge_task')" \
	" ORDER BY p.oid"

static const char *role_to_change(Oid role);
static void run_all(const char *const *statements, const char *role);
static void run_generated(const char *query, const char *role);
static void run_utility(const char *statement, const char *role);

/* grant_access(role regrole) -> void */
Datum
tasksync_grant_access(PG_FUNCTION_ARGS)
{
	const char *role = role_to_change(PG_GETARG_OID(0));
	TsIdentity	caller;

	ts_become_owner(&caller);
	SPI_connect();
	run_all(grants, role);
	run_generated(READABLE_RELATIONS, role);
	run_generated(CALLABLE_FUNCTIONS, role);
	SPI_finish();
	ts_restore_identity(&caller);
	PG_RETURN_VOID();
}

/* revoke_access(role regrole) -> void */
Datum
tasksync_revoke_access(PG_FUNCTION_ARGS)
{
	const char *role = role_to_change(PG_GETARG_OID(0));
	TsIdentity	caller;

	ts_become_owner(&caller);
	SPI_connect();
	run_all(revokes, role);
	SPI_finish();
	ts_restore_identity(&caller);
	PG_RETURN_VOID();
}

/*
 * The role's name, quoted.  EXECUTE on these functions alone must not be enough
 * to hand out rights, so the caller has to be the owner.
 */
static const char *
role_to_change(Oid role)
{
	char	   *name = GetUserNameFromId(role, true);

	if (name == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("role with OID %u does not exist", role)));
	if (!has_privs_of_role(GetUserId(), ts_owner()))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be owner of extension \"tasksync\" to change who may use it")));
	return quote_identifier(name);
}

static void
run_all(const char *const *statements, const char *role)
{
	for (; *statements != NULL; statements++)
		run_utility(*statements, role);
}

/* A query whose rows are statements. */
static void
run_generated(const char *query, const char *role)
{
	SPITupleTable *rows;
	uint64		n_rows;

	if (SPI_execute(query, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not list what is to be granted");
	rows = SPI_tuptable;
	n_rows = SPI_processed;
	for (uint64 i = 0; i < n_rows; i++)
		run_utility(SPI_getvalue(rows->vals[i], rows->tupdesc, 1), role);
}

static void
run_utility(const char *statement, const char *role)
{
	char	   *sql = psprintf("%s %s", statement, role);
	int			result = SPI_execute(sql, false, 0);

	if (result != SPI_OK_UTILITY)
		elog(ERROR, "could not execute \"%s\": %s", sql, SPI_result_code_string(result));
}
