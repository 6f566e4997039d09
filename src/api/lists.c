/*-------------------------------------------------------------------------
 *
 * lists.c
 *	  What the service has: does the connection work, which lists are there,
 *	  map all of them.
 *
 *-------------------------------------------------------------------------
 */
#include "api/live.h"

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "secret/secret.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(tasksync_validate_connection);
PG_FUNCTION_INFO_V1(tasksync_task_lists);
PG_FUNCTION_INFO_V1(tasksync_map_all_lists);

/* What the check found, for all to see; a sync under way shows its own state. */
static void
note_connection(const TsCall *call, const char *provider_id, const TsError *err)
{
	static TsStatement stmt = {
		"UPDATE tasksync.task_provider p SET error_code = $3, error_message = $4,"
		" sync_status = CASE WHEN $3 IS NOT NULL THEN 'ERROR'"
		"  WHEN p.sync_status = 'ERROR' THEN 'OK' ELSE p.sync_status END"
		" WHERE p.id = $1 AND p.user_id = $2",
		{UUIDOID, TEXTOID, TEXTOID, TEXTOID}
	};
	bool		failed = ts_failed(err);

	ts_run(&stmt, ts_uuid(provider_id), ts_text(call->user_id),
		   ts_text(failed ? err->sqlstate : NULL), ts_text(failed ? err->message : NULL));
}

/*
 * validate_connection(provider_id uuid) → boolean
 *
 * Asks the service for its lists.  False, with the reason in
 * task_provider.error_code and error_message, when that does not work;
 * refused credentials also make the account NEEDS_AUTH, after which no request
 * is sent until there are new ones.
 */
Datum
tasksync_validate_connection(PG_FUNCTION_ARGS)
{
	char	   *id = ts_arg_uuid(fcinfo, 0);
	TsOp		op = {.kind = TS_OP_LISTS};
	TsError		err = {0};
	TsCall		call;
	TsLive	   *live;

	ts_api_begin(&call);
	live = ts_live_begin(&call, id, &err);
	if (live)
	{
		TsConversation *conv = ts_live_converse(live, &op, NULL, NULL);

		err = conv->error;
		if (conv->auth_failed && live->row->account_id &&
			!ts_account_refused(live->row->account_id, call.user_id, live->auth.version,
								live->auth.grant))
			ts_credentials_changed(live->row->account_id, &err);
	}
	note_connection(&call, id, &err);
	if (live)
		ts_live_end(live);
	ts_api_end(&call);
	PG_RETURN_BOOL(!ts_failed(&err));
}

/* One text of each list, as text[]. */
static TsArg
list_texts(const TsConversation *conv, size_t offset)
{
	const char **values = palloc(sizeof(char *) * (conv->nlists + 1));

	for (int i = 0; i < conv->nlists; i++)
		values[i] = *(char **) ((char *) &conv->lists[i] + offset);
	return ts_texts(values, conv->nlists);
}

static TsArg
lists_writable(const TsConversation *conv)
{
	bool	   *values = palloc(sizeof(bool) * (conv->nlists + 1));

	for (int i = 0; i < conv->nlists; i++)
		values[i] = conv->lists[i].is_writable;
	return ts_bools(values, conv->nlists);
}

/*
 * task_lists(provider_id uuid) → SETOF (external_list_id text, name text,
 *		color text, path text, description text, is_writable boolean,
 *		mapping_id uuid, project_id uuid)
 *
 * The lists at the service, asked now, and where the caller has mapped them.
 */
Datum
tasksync_task_lists(PG_FUNCTION_ARGS)
{
	static TsStatement stmt = {
		"SELECT i.id, i.name, i.color, i.path, i.description, i.is_writable, m.id, m.project_id"
		" FROM unnest($3::text[], $4::text[], $5::text[], $6::text[], $7::text[],"
		"  $8::boolean[]) AS i(id, name, color, path, description, is_writable)"
		" LEFT JOIN tasksync.task_list_mapping m ON m.provider_id = $1 AND m.user_id = $2"
		"  AND m.external_list_id = i.id"
		" ORDER BY i.name, i.id",
		{UUIDOID, TEXTOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID,
			BOOLARRAYOID}
	};
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	char	   *id = ts_arg_uuid(fcinfo, 0);
	TsConversation *conv;
	TsLive	   *live;
	TsCall		call;

	InitMaterializedSRF(fcinfo, 0);
	ts_api_begin(&call);
	live = ts_live_require(&call, id);
	conv = ts_live_lists(live);
	ts_run(&stmt, ts_uuid(id), ts_text(call.user_id), list_texts(conv, offsetof(TsList, id)),
		   list_texts(conv, offsetof(TsList, name)), list_texts(conv, offsetof(TsList, color)),
		   list_texts(conv, offsetof(TsList, path)),
		   list_texts(conv, offsetof(TsList, description)), lists_writable(conv));
	for (uint64 i = 0; i < SPI_processed; i++)
		tuplestore_puttuple(result->setResult, SPI_tuptable->vals[i]);
	ts_live_end(live);
	ts_api_end(&call);
	return (Datum) 0;
}

/* Does the caller have a mapping of this list? */
static bool
is_mapped(const TsCall *call, const char *provider_id, const TsList *list)
{
	static TsStatement stmt = {
		"SELECT 1 FROM tasksync.task_list_mapping m"
		" WHERE m.provider_id = $1 AND m.user_id = $2 AND m.external_list_id = $3",
		{UUIDOID, TEXTOID, TEXTOID}
	};

	return ts_run(&stmt, ts_uuid(provider_id), ts_text(call->user_id), ts_text(list->id)) > 0;
}

/*
 * A project and a mapping for a list as it was just seen: both sides have one
 * name and colour to begin with.  A list that may only be read is only read.
 */
static char *
map_list(const TsCall *call, const char *provider_id, const TsList *list)
{
	static TsStatement stmt = {
		"WITH made AS (INSERT INTO tasksync.project (user_id, name, color) VALUES ($1, $4, $5)"
		"  RETURNING id)"
		" INSERT INTO tasksync.task_list_mapping (user_id, provider_id, project_id,"
		"  external_list_id, name, external_list_color, external_list_path, sync_direction)"
		" SELECT $1, $2, made.id, $3, $4, $5, $6,"
		"  CASE WHEN $7 THEN 'BIDIRECTIONAL' ELSE 'FROM_PROVIDER' END FROM made"
		" RETURNING id::text, project_id::text",
		{TEXTOID, UUIDOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, BOOLOID}
	};
	TsMapping	m = {.user_id = call->user_id};

	ts_run(&stmt, ts_text(call->user_id), ts_uuid(provider_id), ts_text(list->id),
		   ts_text(list->name ? list->name : list->id), ts_text(list->color),
		   ts_text(list->path), ts_bool(list->is_writable));
	m.id = ts_col_text(0, 1, NULL);
	m.project_id = ts_col_text(0, 2, NULL);
	ts_store_list_agreed(NULL, &m, list->name ? list->name : list->id, list->color, false);
	return m.id;
}

/*
 * map_all_lists(provider_id uuid) → SETOF uuid
 *
 * A new project for each list that is not mapped yet, whether it can be
 * written or only read; the mappings made.  Their first sync is queued, as one
 * job of the provider.
 */
Datum
tasksync_map_all_lists(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	char	   *id = ts_arg_uuid(fcinfo, 0);
	bool		nulls[1] = {false};
	int			nmapped = 0;
	TsConversation *conv;
	TsLive	   *live;
	TsCall		call;

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	ts_api_begin(&call);
	live = ts_live_require(&call, id);
	conv = ts_live_lists(live);
	for (int i = 0; i < conv->nlists; i++)
		if (!is_mapped(&call, id, &conv->lists[i]))
		{
			Datum		mapping = ts_uuid_datum(map_list(&call, id, &conv->lists[i]));

			tuplestore_putvalues(result->setResult, result->setDesc, &mapping, nulls);
			nmapped++;
		}
	if (nmapped > 0)
		(void) ts_queue_job(call.user_id, id, NULL);
	ts_live_end(live);
	ts_api_end(&call);
	return (Datum) 0;
}
