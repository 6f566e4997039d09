/*-------------------------------------------------------------------------
 *
 * mapping.c
 *	  Mappings of projects to lists.
 *
 *-------------------------------------------------------------------------
 */
#include "api/api.h"

#include "catalog/pg_type.h"
#include "provider/provider.h"
#include "store/backend.h"
#include "task/plan.h"
#include "track/track.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(tasksync_create_mapping);
PG_FUNCTION_INFO_V1(tasksync_create_external_list);
PG_FUNCTION_INFO_V1(tasksync_update_mapping);
PG_FUNCTION_INFO_V1(tasksync_delete_mapping);
PG_FUNCTION_INFO_V1(tasksync_confirm_deletions);
PG_FUNCTION_INFO_V1(tasksync_retry_failed);

static TsStatement select_mapping = {
	"SELECT m FROM tasksync.task_list_mapping m WHERE m.id = $1 AND m.user_id = $2",
	{UUIDOID, TEXTOID}
};

static void
check_provider(const char *provider_id, const char *user_id)
{
	static TsStatement stmt = {
		"SELECT 1 FROM tasksync.task_provider p WHERE p.id = $1 AND p.user_id = $2",
		{UUIDOID, TEXTOID}
	};

	if (provider_id == NULL || ts_run(&stmt, ts_uuid(provider_id), ts_text(user_id)) == 0)
		ts_no_such("provider", provider_id);
}

void
ts_check_list_id(const char *given)
{
	if (given == NULL || given[0] == '\0')
		ts_bad_value("external_list_id", given, "task_lists() names the lists of a provider.");
}

char *
ts_list_id(const char *given, const TsProviderRow *row)
{
	const TsProvider *p = ts_provider_lookup(row->type);
	TsError		err = {0};
	char	   *id;

	if (p == NULL || p->list_id == NULL)
		return pstrdup(given);
	id = p->list_id(given, row->url, &err);
	if (id == NULL)
		ts_ereport(&err);
	return id;
}

static char *
project_name(const char *project_id, const char *user_id)
{
	static TsStatement stmt = {
		"SELECT j.name FROM tasksync.project j WHERE j.id = $1 AND j.user_id = $2",
		{UUIDOID, TEXTOID}
	};

	if (project_id == NULL || ts_run(&stmt, ts_uuid(project_id), ts_text(user_id)) == 0)
		ts_no_such("project", project_id);
	return ts_col_text(0, 1, NULL);
}

static void
check_direction(const char *direction)
{
	TsDirection unused;

	if (direction && !ts_direction_by_name(direction, &unused))
		ts_bad_value("sync_direction", direction, "Use BIDIRECTIONAL, TO_PROVIDER or FROM_PROVIDER.");
}

static void
check_policy(const char *policy)
{
	TsPolicy	unused;

	if (policy && !ts_policy_by_name(policy, &unused))
		ts_bad_value("conflict_policy", policy, "Use LATEST_WINS, LOCAL_WINS, REMOTE_WINS or MANUAL.");
}

typedef struct NewMapping
{
	const char *provider_id;
	const char *project_id;
	const char *list_id;
	const char *name;
	const char *direction;
	bool		sync_project_name;
	bool		is_auto_scheduled;
	bool		mirror;
	const char *policy;
} NewMapping;

/* A project named after its list; the first sync gives it the list's real name and colour. */
static char *
make_project(const char *user_id, const char *list_id)
{
	static TsStatement stmt = {
		"INSERT INTO tasksync.project (user_id, name) VALUES ($1, $2) RETURNING id::text",
		{TEXTOID, TEXTOID}
	};
	size_t		len = strlen(list_id);
	const char *end = list_id + len;
	const char *start;

	while (end > list_id && end[-1] == '/')
		end--;
	for (start = end; start > list_id && start[-1] != '/';)
		start--;
	ts_run(&stmt, ts_text(user_id), ts_text_len(start, end - start));
	return ts_col_text(0, 1, NULL);
}

/* The mapping, and with it a project where it is to have a new one. */
static char *
insert_mapping(const char *user_id, NewMapping *m)
{
	static TsStatement stmt = {
		"INSERT INTO tasksync.task_list_mapping (user_id, provider_id, project_id, external_list_id,"
		" name, sync_direction, sync_project_name, is_auto_scheduled, mirror, conflict_policy)"
		" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) RETURNING id::text",
		{TEXTOID, UUIDOID, UUIDOID, TEXTOID, TEXTOID, TEXTOID, BOOLOID, BOOLOID, BOOLOID, TEXTOID}
	};
	static TsStatement from_list = {
		"UPDATE tasksync.mapping_state s SET list_base = '{\"from_list\": true}'"
		" WHERE s.mapping_id = $1 AND s.user_id = $2",
		{UUIDOID, TEXTOID}
	};
	bool		new_project = m->project_id == NULL;
	char	   *id;

	if (new_project)
		m->project_id = make_project(user_id, m->list_id);
	ts_run(&stmt, ts_text(user_id), ts_uuid(m->provider_id), ts_uuid(m->project_id),
		   ts_text(m->list_id), ts_text(m->name), ts_text(m->direction),
		   ts_bool(m->sync_project_name), ts_bool(m->is_auto_scheduled), ts_bool(m->mirror),
		   ts_text(m->policy));
	id = ts_col_text(0, 1, NULL);
	if (new_project)
		ts_run(&from_list, ts_uuid(id), ts_text(user_id));
	return id;
}

char *
ts_make_mapping(const char *user_id, const char *provider_id, const char *list_id,
				const char *project_id)
{
	NewMapping	m = {
		.provider_id = provider_id,
		.list_id = list_id,
		.project_id = project_id,
		.direction = "BIDIRECTIONAL",
		.sync_project_name = true,
		.is_auto_scheduled = true
	};

	if (project_id)
		(void) project_name(project_id, user_id);
	return insert_mapping(user_id, &m);
}

/*
 * create_mapping(provider_id uuid, external_list_id text, project_id uuid,
 *		sync_direction text, sync_project_name boolean, is_auto_scheduled
 *		boolean, mirror boolean, conflict_policy text) → uuid
 */
Datum
tasksync_create_mapping(PG_FUNCTION_ARGS)
{
	NewMapping	m = {
		.provider_id = ts_arg_uuid(fcinfo, 0),
		.list_id = ts_arg_text(fcinfo, 1),
		.project_id = ts_arg_uuid(fcinfo, 2),
		.direction = PG_ARGISNULL(3) ? "BIDIRECTIONAL" : ts_arg_text(fcinfo, 3),
		.sync_project_name = PG_ARGISNULL(4) || PG_GETARG_BOOL(4),
		.is_auto_scheduled = PG_ARGISNULL(5) || PG_GETARG_BOOL(5),
		.mirror = !PG_ARGISNULL(6) && PG_GETARG_BOOL(6),
		.policy = ts_arg_text(fcinfo, 7)
	};
	TsCall		call;
	char	   *id;

	check_direction(m.direction);
	check_policy(m.policy);
	ts_check_list_id(m.list_id);
	ts_api_begin(&call);
	check_provider(m.provider_id, call.user_id);
	m.list_id = ts_list_id(m.list_id, ts_load_provider(m.provider_id, call.user_id));
	if (m.project_id)
		(void) project_name(m.project_id, call.user_id);
	id = insert_mapping(call.user_id, &m);
	(void) ts_queue_job(call.user_id, m.provider_id, id);
	ts_api_end(&call);
	PG_RETURN_DATUM(ts_uuid_datum(id));
}

/*
 * create_external_list(provider_id uuid, project_id uuid) → uuid: the list is
 * made by the job that this queues
 */
Datum
tasksync_create_external_list(PG_FUNCTION_ARGS)
{
	NewMapping	m = {
		.provider_id = ts_arg_uuid(fcinfo, 0),
		.project_id = ts_arg_uuid(fcinfo, 1),
		.direction = "BIDIRECTIONAL",
		.sync_project_name = true,
		.is_auto_scheduled = true
	};
	TsCall		call;
	char	   *id;

	ts_api_begin(&call);
	check_provider(m.provider_id, call.user_id);
	m.name = project_name(m.project_id, call.user_id);
	id = insert_mapping(call.user_id, &m);
	(void) ts_queue_job(call.user_id, m.provider_id, id);
	ts_api_end(&call);
	PG_RETURN_DATUM(ts_uuid_datum(id));
}

/*
 * update_mapping(mapping_id uuid, sync_enabled boolean, sync_direction text,
 *		sync_project_name boolean, is_auto_scheduled boolean, mirror boolean,
 *		conflict_policy text) → task_list_mapping: NULL leaves a column as it is
 */
Datum
tasksync_update_mapping(PG_FUNCTION_ARGS)
{
	static TsStatement stmt = {
		"UPDATE tasksync.task_list_mapping m SET sync_enabled = COALESCE($3, m.sync_enabled),"
		" sync_direction = COALESCE($4, m.sync_direction),"
		" sync_project_name = COALESCE($5, m.sync_project_name),"
		" is_auto_scheduled = COALESCE($6, m.is_auto_scheduled), mirror = COALESCE($7, m.mirror),"
		" conflict_policy = COALESCE($8, m.conflict_policy)"
		" WHERE m.id = $1 AND m.user_id = $2",
		{UUIDOID, TEXTOID, BOOLOID, TEXTOID, BOOLOID, BOOLOID, BOOLOID, TEXTOID}
	};
	char	   *id = ts_arg_uuid(fcinfo, 0);
	char	   *direction = ts_arg_text(fcinfo, 2);
	char	   *policy = ts_arg_text(fcinfo, 6);
	TsArg		null = ts_text(NULL);
	TsCall		call;
	Datum		row;

	check_direction(direction);
	check_policy(policy);
	ts_api_begin(&call);
	if (id == NULL ||
		ts_run(&stmt, ts_uuid(id), ts_text(call.user_id),
			   PG_ARGISNULL(1) ? null : ts_bool(PG_GETARG_BOOL(1)), ts_text(direction),
			   PG_ARGISNULL(3) ? null : ts_bool(PG_GETARG_BOOL(3)),
			   PG_ARGISNULL(4) ? null : ts_bool(PG_GETARG_BOOL(4)),
			   PG_ARGISNULL(5) ? null : ts_bool(PG_GETARG_BOOL(5)), ts_text(policy)) == 0)
		ts_no_such("mapping", id);
	row = ts_row_by_id(&select_mapping, "mapping", ts_uuid(id), id, &call);
	ts_wake_on_commit();
	ts_api_end(&call);
	PG_RETURN_DATUM(row);
}

/*
 * delete_mapping(mapping_id uuid, delete_external_list boolean, delete_tasks
 *		boolean) → void: the list at the service is deleted by a job, after the
 *		caller's commit
 */
Datum
tasksync_delete_mapping(PG_FUNCTION_ARGS)
{
	static TsStatement find = {
		"SELECT m.provider_id::text, m.external_list_id, m.project_id::text"
		" FROM tasksync.task_list_mapping m WHERE m.id = $1 AND m.user_id = $2 FOR UPDATE",
		{UUIDOID, TEXTOID}
	};
	static TsStatement linked = {
		"SELECT pg_catalog.array_agg(t.id::text) FROM tasksync.task t"
		" JOIN tasksync.task_link l ON l.task_id = t.id AND l.user_id = t.user_id"
		" WHERE l.mapping_id = $1 AND l.user_id = $2",
		{UUIDOID, TEXTOID}
	};
	static TsStatement disconnect = {
		"UPDATE tasksync.task t SET provider_id = NULL, external_task_id = NULL, external_url = NULL,"
		" sync_status = NULL"
		" WHERE t.id = ANY (ARRAY(SELECT l.task_id FROM tasksync.task_link l"
		"  WHERE l.mapping_id = $1 AND l.user_id = $2)) AND t.user_id = $2 AND t.provider_id = $3",
		{UUIDOID, TEXTOID, UUIDOID},
		.unbounded = true
	};
	static TsStatement remove = {
		"DELETE FROM tasksync.task_list_mapping m WHERE m.id = $1 AND m.user_id = $2",
		{UUIDOID, TEXTOID}
	};
	static TsStatement delete_tasks = {
		"DELETE FROM tasksync.task t WHERE t.user_id = $1 AND t.id = ANY ($2::uuid[])",
		{TEXTOID, TEXTARRAYOID}
	};
	static TsStatement delete_list = {
		"INSERT INTO tasksync.sync_job (user_id, provider_id, kind, args, max_attempts)"
		" VALUES ($1, $2, 'DELETE_LIST', pg_catalog.jsonb_build_object('list', $3), $4)",
		{TEXTOID, UUIDOID, TEXTOID, INT4OID}
	};
	char	   *id = ts_arg_uuid(fcinfo, 0);
	bool		with_list = !PG_ARGISNULL(1) && PG_GETARG_BOOL(1);
	bool		with_tasks = !PG_ARGISNULL(2) && PG_GETARG_BOOL(2);
	char	   *provider_id;
	char	   *list_id;
	char	  **ids;
	int			n;
	TsCall		call;

	ts_api_begin(&call);
	if (id == NULL || ts_run(&find, ts_uuid(id), ts_text(call.user_id)) == 0)
		ts_no_such("mapping", id);
	provider_id = ts_col_text(0, 1, NULL);
	list_id = ts_col_text(0, 2, NULL);
	ts_run(&linked, ts_uuid(id), ts_text(call.user_id));
	ids = ts_col_texts(0, 1, &n);
	ts_run(&disconnect, ts_uuid(id), ts_text(call.user_id), ts_uuid(provider_id));
	ts_run(&remove, ts_uuid(id), ts_text(call.user_id));
	if (with_tasks && n > 0)
		ts_run(&delete_tasks, ts_text(call.user_id), ts_texts((const char *const *) ids, n));
	if (with_list && list_id)
		ts_run(&delete_list, ts_text(call.user_id), ts_uuid(provider_id), ts_text(list_id),
			   ts_int(ts_max_attempts));
	ts_wake_on_commit();
	ts_api_end(&call);
	PG_RETURN_VOID();
}

/*
 * confirm_deletions(mapping_id uuid) → void: a held mapping goes on, and its
 * next sync may delete what it was held for
 */
Datum
tasksync_confirm_deletions(PG_FUNCTION_ARGS)
{
	static TsStatement find = {
		"SELECT m.provider_id::text, COALESCE(m.sync_status = 'HELD', false)"
		" FROM tasksync.task_list_mapping m WHERE m.id = $1 AND m.user_id = $2 FOR UPDATE",
		{UUIDOID, TEXTOID}
	};
	static TsStatement release = {
		"UPDATE tasksync.task_list_mapping m SET sync_status = NULL, error_code = NULL,"
		" error_message = NULL WHERE m.id = $1 AND m.user_id = $2",
		{UUIDOID, TEXTOID}
	};
	static TsStatement confirm = {
		"UPDATE tasksync.mapping_state s SET deletions_confirmed_at = pg_catalog.now(),"
		" compared_at = NULL"
		" WHERE s.mapping_id = $1 AND s.user_id = $2",
		{UUIDOID, TEXTOID}
	};
	char	   *id = ts_arg_uuid(fcinfo, 0);
	char	   *provider_id;
	TsCall		call;

	ts_api_begin(&call);
	if (id == NULL || ts_run(&find, ts_uuid(id), ts_text(call.user_id)) == 0)
		ts_no_such("mapping", id);
	provider_id = ts_col_text(0, 1, NULL);
	if (!ts_col_bool(0, 2))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("mapping \"%s\" is not held", id),
				 errhint("Only mappings whose sync_status is HELD wait for a confirmation.")));
	ts_run(&release, ts_uuid(id), ts_text(call.user_id));
	ts_run(&confirm, ts_uuid(id), ts_text(call.user_id));
	(void) ts_queue_job(call.user_id, provider_id, id);
	ts_api_end(&call);
	PG_RETURN_VOID();
}

/*
 * retry_failed(mapping_id uuid) → int: items set aside after errors are due
 * now; NULL: those of all the caller's mappings
 */
Datum
tasksync_retry_failed(PG_FUNCTION_ARGS)
{
	static TsStatement stmt = {
		"WITH links AS (UPDATE tasksync.task_link l SET retry_at = pg_catalog.now(), fail_count = 0"
		"  WHERE l.user_id = $2 AND ($1::uuid IS NULL OR l.mapping_id = $1) AND l.retry_at IS NOT NULL"
		"  RETURNING l.mapping_id),"
		" inbox AS (UPDATE tasksync.task_inbox i SET retry_at = pg_catalog.now(), fail_count = 0"
		"  WHERE i.user_id = $2 AND ($1::uuid IS NULL OR i.mapping_id = $1) AND i.error_code IS NOT NULL"
		"  RETURNING i.mapping_id),"
		" retried AS (SELECT mapping_id FROM links UNION ALL SELECT mapping_id FROM inbox)"
		" SELECT (SELECT pg_catalog.count(*) FROM retried),"
		"  (SELECT pg_catalog.array_agg(DISTINCT m.id::text || ' ' || m.provider_id::text)"
		"   FROM retried JOIN tasksync.task_list_mapping m ON m.id = retried.mapping_id"
		"    AND m.user_id = $2)",
		{UUIDOID, TEXTOID}
	};
	char	   *id = ts_arg_uuid(fcinfo, 0);
	char	  **pairs;
	int			npairs;
	int64		count;
	TsCall		call;

	ts_api_begin(&call);
	if (id && ts_run(&select_mapping, ts_uuid(id), ts_text(call.user_id)) == 0)
		ts_no_such("mapping", id);
	ts_run(&stmt, ts_uuid(id), ts_text(call.user_id));
	count = ts_col_long(0, 1);
	pairs = ts_col_texts(0, 2, &npairs);
	for (int i = 0; i < npairs; i++)
	{
		char	   *blank = strchr(pairs[i], ' ');

		*blank = '\0';
		(void) ts_queue_job(call.user_id, blank + 1, pairs[i]);
	}
	ts_api_end(&call);
	PG_RETURN_INT32((int32) count);
}
