/*-------------------------------------------------------------------------
 *
 * mapping.c
 *	  What is to be synced, and how it ended.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "store/backend.h"
#include "store/sql.h"
#include "tasksync.h"
#include "track/track.h"

TsProviderRow *
ts_load_provider(const char *provider_id, const char *user_id)
{
	static TsStatement stmt = {
		"SELECT p.type, p.name, p.account_id::text, a.status,"
		" (COALESCE(a.settings, '{}') || p.settings)::text,"
		" COALESCE(p.settings ->> 'url', p.settings ->> 'base_url', a.settings ->> 'url',"
		"  a.settings ->> 'base_url'),"
		" p.enabled"
		" FROM tasksync.task_provider p"
		" LEFT JOIN tasksync.connected_account a ON a.id = p.account_id AND a.user_id = p.user_id"
		" WHERE p.id = $1 AND p.user_id = $2",
		{UUIDOID, TEXTOID}
	};
	TsProviderRow *row;

	if (ts_run(&stmt, ts_uuid(provider_id), ts_text(user_id)) == 0)
		return NULL;
	row = palloc0(sizeof(*row));
	row->id = pstrdup(provider_id);
	row->user_id = pstrdup(user_id);
	row->type = ts_col(0, 1);
	row->name = ts_col(0, 2);
	row->account_id = ts_col(0, 3);
	row->account_status = ts_col(0, 4);
	row->settings = ts_col(0, 5);
	row->url = ts_col(0, 6);
	row->enabled = ts_col_bool(0, 7);
	return row;
}

void
ts_account_is_due(const char *account_id, const char *user_id)
{
	static TsStatement stmt = {
		"UPDATE tasksync.task_provider p SET next_sync_at = pg_catalog.now()"
		" WHERE p.account_id = $1 AND p.user_id = $2 AND p.error_code IS NOT NULL",
		{UUIDOID, TEXTOID}
	};

	ts_run(&stmt, ts_uuid(account_id), ts_text(user_id));
}

static void
read_mapping(int i, TsMapping *m)
{
	TsPolicy	policy;

	memset(m, 0, sizeof(*m));
	m->id = ts_col(i, 1);
	m->user_id = ts_col(i, 2);
	m->provider_id = ts_col(i, 3);
	m->project_id = ts_col(i, 4);
	m->external_list_id = ts_col(i, 5);
	m->name = ts_col(i, 6);
	ts_direction_by_name(ts_col(i, 7), &m->direction);
	if (ts_policy_by_name(ts_col(i, 8), &policy))
		m->policy = policy;
	m->mirror = ts_col_bool(i, 9);
	m->is_auto_scheduled = ts_col_bool(i, 10);
	m->sync_project_name = ts_col_bool(i, 11);
	m->cursor = ts_col(i, 12);
	m->caps = ts_col(i, 13);
	m->first_pull = ts_col_bool(i, 14);
	m->audit_due = ts_col_bool(i, 15);
	m->compare_due = ts_col_bool(i, 16);
	m->deletions_confirmed = ts_col_bool(i, 17);
	m->nlinks = ts_col_long(i, 18);
	m->project_name = ts_col(i, 19);
	m->project_color = ts_col(i, 20);
	m->base_name = ts_col(i, 21);
	m->base_color = ts_col(i, 22);
	m->base_project_name = ts_col(i, 23);
	m->base_project_color = ts_col(i, 24);
	m->project_from_list = ts_col_bool(i, 25);
	m->list_agreed = m->base_name != NULL;
	m->gone_since = ts_col(i, 26);
	m->held = ts_col_bool(i, 27);
	m->scope = ts_col(i, 28);
	m->account = ts_col(i, 29);
	m->auth_version = ts_col(i, 30);
	m->pulled_seq = ts_col_long(i, 31);
}

/*
 * The mappings to be synced (that one, or all of the provider); or the others,
 * held ones included, which are only read.
 */
TsMapping *
ts_load_mappings(const char *provider_id, const char *user_id, const char *mapping_id,
				 bool others, int *n)
{
	static TsStatement stmt = {
		"SELECT m.id, m.user_id, m.provider_id, m.project_id, m.external_list_id, m.name,"
		" m.sync_direction, COALESCE(m.conflict_policy, p.conflict_policy), m.mirror,"
		" m.is_auto_scheduled, m.sync_project_name, s.cursor, s.caps::text, s.full_at IS NULL,"
		" COALESCE(s.full_at < pg_catalog.now() - interval '1 day', true),"
		" COALESCE(s.compared_at < pg_catalog.now() - interval '1 day', true)"
		"  OR s.enabled_xid >= pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot()),"
		" s.deletions_confirmed_at IS NOT NULL,"
		" (SELECT pg_catalog.count(*) FROM tasksync.task_link l WHERE l.mapping_id = m.id"
		"   AND l.user_id = m.user_id AND l.external_task_id IS NOT NULL),"
		" j.name, pg_catalog.lower(j.color), s.list_base ->> 'name', s.list_base ->> 'color',"
		" s.list_base ->> 'project_name', s.list_base ->> 'project_color',"
		" (s.list_base ->> 'from_list')::boolean,"
		" s.gone_since, m.sync_status IS NOT DISTINCT FROM 'HELD', s.scope, s.account,"
		" s.auth_version, s.pulled_seq"
		" FROM tasksync.task_list_mapping m"
		" JOIN tasksync.task_provider p ON p.id = m.provider_id AND p.user_id = m.user_id"
		" JOIN tasksync.project j ON j.id = m.project_id AND j.user_id = m.user_id"
		" JOIN tasksync.mapping_state s ON s.mapping_id = m.id AND s.user_id = m.user_id"
		" WHERE m.provider_id = $1 AND m.user_id = $2 AND p.enabled AND m.sync_enabled"
		"  AND m.sync_status IS DISTINCT FROM 'DISCONNECTED'"
		"  AND (m.sync_status IS NOT DISTINCT FROM 'HELD' OR ($3::uuid IS NOT NULL AND m.id <> $3)) = $4"
		"  AND (m.id IS NOT DISTINCT FROM $3 OR $3 IS NULL OR $4)"
		" ORDER BY m.created_at, m.id",
		{UUIDOID, TEXTOID, UUIDOID, BOOLOID}
	};
	TsMapping  *mappings;

	*n = ts_run(&stmt, ts_uuid(provider_id), ts_text(user_id), ts_uuid(mapping_id),
				ts_bool(others));
	mappings = palloc(sizeof(TsMapping) * (*n + 1));
	for (int i = 0; i < *n; i++)
		read_mapping(i, &mappings[i]);
	return mappings;
}

/* Writes only what is new: a sync with nothing to do leaves the row alone. */
void
ts_store_pull_end(void *db, const TsMapping *m, const TsPullEnd *end)
{
	static TsStatement stmt = {
		"UPDATE tasksync.mapping_state s SET cursor = COALESCE($3, s.cursor),"
		" caps = COALESCE($4::jsonb, s.caps), gone_since = NULL,"
		" full_at = CASE WHEN $5 THEN pg_catalog.now() ELSE s.full_at END,"
		" pulled_seq = CASE WHEN $6 > 0 THEN $6 ELSE s.pulled_seq END"
		" WHERE s.mapping_id = $1 AND s.user_id = $2 AND ($5 OR $7 OR s.gone_since IS NOT NULL"
		"  OR s.cursor IS DISTINCT FROM COALESCE($3, s.cursor)"
		"  OR s.caps IS DISTINCT FROM COALESCE($4::jsonb, s.caps))",
		{UUIDOID, TEXTOID, TEXTOID, TEXTOID, BOOLOID, INT8OID, BOOLOID}
	};

	ts_run(&stmt, ts_uuid(m->id), ts_text(m->user_id), ts_text(end->cursor), ts_text(end->caps),
		   ts_bool(end->complete), ts_long(end->seq), ts_bool(end->untold));
}

/* An account that the service does not tell any more is taken to be the same. */
void
ts_store_scope_known(void *db, const TsMapping *m, const TsScope *scope)
{
	static TsStatement stmt = {
		"UPDATE tasksync.mapping_state s SET scope = $3, account = COALESCE($4, s.account),"
		" auth_version = $5 WHERE s.mapping_id = $1 AND s.user_id = $2",
		{UUIDOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID}
	};

	ts_run(&stmt, ts_uuid(m->id), ts_text(m->user_id), ts_text(scope->scope),
		   ts_text(scope->account), ts_text(scope->auth_version));
}

void
ts_store_list_made(void *db, const TsMapping *m, const TsList *list)
{
	static TsStatement mapping = {
		"UPDATE tasksync.task_list_mapping m SET external_list_id = $3, name = $4,"
		" external_list_color = $5, external_list_path = $6"
		" WHERE m.id = $1 AND m.user_id = $2",
		{UUIDOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID}
	};

	ts_run(&mapping, ts_uuid(m->id), ts_text(m->user_id), ts_text(list->id), ts_text(list->name),
		   ts_text(list->color), ts_text(list->path));
	ts_store_list_agreed(db, m, list->name, list->color, false);
}

/*
 * What the list is called and coloured now, and the project beside it, become
 * the base of the next comparison.  With set_project the project first follows
 * in what the list has changed.
 */
void
ts_store_list_agreed(void *db, const TsMapping *m, const char *name, const char *color,
					 bool set_project)
{
	static TsStatement project = {
		"UPDATE tasksync.project j SET"
		" name = CASE WHEN s.list_base ->> 'name' IS DISTINCT FROM $3 THEN $3 ELSE j.name END,"
		" color = CASE WHEN s.list_base ->> 'color' IS DISTINCT FROM $4"
		"  THEN COALESCE($4, j.color) ELSE j.color END"
		" FROM tasksync.task_list_mapping m"
		" JOIN tasksync.mapping_state s ON s.mapping_id = m.id AND s.user_id = m.user_id"
		" WHERE m.id = $1 AND m.user_id = $2 AND j.id = m.project_id AND j.user_id = m.user_id",
		{UUIDOID, TEXTOID, TEXTOID, TEXTOID}
	};
	static TsStatement mapping = {
		"UPDATE tasksync.task_list_mapping m SET name = $3, external_list_color = $4"
		" WHERE m.id = $1 AND m.user_id = $2",
		{UUIDOID, TEXTOID, TEXTOID, TEXTOID}
	};
	static TsStatement state = {
		"UPDATE tasksync.mapping_state s"
		" SET list_base = pg_catalog.jsonb_build_object('name', $3, 'color', $4,"
		"  'project_name', j.name, 'project_color', pg_catalog.lower(j.color))"
		" FROM tasksync.task_list_mapping m"
		" JOIN tasksync.project j ON j.id = m.project_id AND j.user_id = m.user_id"
		" WHERE m.id = $1 AND m.user_id = $2 AND s.mapping_id = m.id AND s.user_id = m.user_id",
		{UUIDOID, TEXTOID, TEXTOID, TEXTOID}
	};

	ts_apply_mapping = m->id;
	if (set_project)
		ts_run(&project, ts_uuid(m->id), ts_text(m->user_id), ts_text(name), ts_text(color));
	ts_run(&mapping, ts_uuid(m->id), ts_text(m->user_id), ts_text(name), ts_text(color));
	ts_run(&state, ts_uuid(m->id), ts_text(m->user_id), ts_text(name), ts_text(color));
	ts_apply_mapping = NULL;
}

void
ts_store_hold(void *db, const TsMapping *m, const char *why)
{
	static TsStatement stmt = {
		"WITH held AS (UPDATE tasksync.mapping_state s"
		"  SET held = pg_catalog.jsonb_build_object('why', $3, 'at', pg_catalog.now())"
		"  WHERE s.mapping_id = $1 AND s.user_id = $2)"
		" UPDATE tasksync.task_list_mapping m SET sync_status = 'HELD', error_code = '55000',"
		" error_message = $3"
		" WHERE m.id = $1 AND m.user_id = $2",
		{UUIDOID, TEXTOID, TEXTOID}
	};

	ts_run(&stmt, ts_uuid(m->id), ts_text(m->user_id), ts_text(why));
}

bool
ts_store_list_missing(void *db, const TsMapping *m)
{
	static TsStatement since = {
		"UPDATE tasksync.mapping_state s SET gone_since = COALESCE(s.gone_since, pg_catalog.now())"
		" WHERE s.mapping_id = $1 AND s.user_id = $2"
		" RETURNING s.gone_since <= pg_catalog.now() - $3 * interval '1 s'"
		"  AND s.gone_since < pg_catalog.now()",
		{UUIDOID, TEXTOID, INT4OID}
	};
	static TsStatement disconnect = {
		"UPDATE tasksync.task_list_mapping m SET sync_status = 'DISCONNECTED'"
		" WHERE m.id = $1 AND m.user_id = $2",
		{UUIDOID, TEXTOID}
	};

	if (ts_run(&since, ts_uuid(m->id), ts_text(m->user_id), ts_int(ts_list_gone_after_s)) == 0 ||
		!ts_col_bool(0, 1))
		return false;
	ts_run(&disconnect, ts_uuid(m->id), ts_text(m->user_id));
	return true;
}

void
ts_store_mapping_end(void *db, const TsMapping *m, const TsError *err)
{
	static TsStatement stmt = {
		"UPDATE tasksync.task_list_mapping m SET"
		" last_synced_at = CASE WHEN $3::text IS NULL THEN pg_catalog.now() ELSE m.last_synced_at END,"
		" sync_status = CASE WHEN m.sync_status = 'DISCONNECTED' THEN m.sync_status"
		"  WHEN $3 IS NULL THEN 'OK' ELSE 'ERROR' END,"
		" error_code = $3, error_message = $4"
		/* held by a TRUNCATE meanwhile */
		" WHERE m.id = $1 AND m.user_id = $2 AND m.sync_status IS DISTINCT FROM 'HELD'",
		{UUIDOID, TEXTOID, TEXTOID, TEXTOID}
	};
	static TsStatement confirmed = {
		"UPDATE tasksync.mapping_state s SET deletions_confirmed_at = NULL, held = NULL"
		" WHERE s.mapping_id = $1 AND s.user_id = $2 AND s.deletions_confirmed_at IS NOT NULL",
		{UUIDOID, TEXTOID}
	};
	/* what was learned of the service since the pull; it may be what keeps the next run from failing */
	static TsStatement learned = {
		"UPDATE tasksync.mapping_state s SET caps = $3::jsonb"
		" WHERE s.mapping_id = $1 AND s.user_id = $2 AND s.caps IS DISTINCT FROM $3::jsonb",
		{UUIDOID, TEXTOID, TEXTOID}
	};
	bool		failed = ts_failed(err);

	ts_run(&stmt, ts_uuid(m->id), ts_text(m->user_id), ts_text(failed ? err->sqlstate : NULL),
		   ts_text(failed ? err->message : NULL));
	if (!failed && m->deletions_confirmed)
		ts_run(&confirmed, ts_uuid(m->id), ts_text(m->user_id));
	if (m->caps != NULL)
		ts_run(&learned, ts_uuid(m->id), ts_text(m->user_id), ts_text(m->caps));
}
