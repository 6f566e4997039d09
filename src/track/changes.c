/*-------------------------------------------------------------------------
 *
 * changes.c
 *	  The journal for callers: track_change, changes_since, mark_as_synced.
 *
 *-------------------------------------------------------------------------
 */
#include "track/track.h"

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

PG_FUNCTION_INFO_V1(tasksync_track_change);
PG_FUNCTION_INFO_V1(tasksync_changes_since);
PG_FUNCTION_INFO_V1(tasksync_mark_as_synced);

static void check_change(const char *change_type, Jsonb *data);
static void check_exists(const char *what, const char *sql, Datum id, Datum user_id);
static int64 insert_changes(Datum *args, const char *nulls);

/*
 * track_change(task_id uuid, change_type text, data jsonb) -> bigint
 *
 * For changes that no trigger saw.  One row for each mapping that the task
 * concerns, or one of no mapping where there is none; the answer is the last
 * row's id.  P0002 where the user has no such task, 22023 for a bad argument.
 */
Datum
tasksync_track_change(PG_FUNCTION_ARGS)
{
	Datum		args[4];
	char		nulls[5] = "    ";
	TsIdentity	caller;
	int64		id;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("task_id and change_type of a change must not be null")));
	check_change(TextDatumGetCString(PG_GETARG_DATUM(1)),
				 PG_ARGISNULL(2) ? NULL : PG_GETARG_JSONB_P(2));
	args[0] = PG_GETARG_DATUM(0);
	args[1] = CStringGetTextDatum(ts_current_user_id());
	args[2] = PG_GETARG_DATUM(1);
	args[3] = PG_ARGISNULL(2) ? (Datum) 0 : PG_GETARG_DATUM(2);
	nulls[3] = PG_ARGISNULL(2) ? 'n' : ' ';

	ts_become_owner(&caller);
	SPI_connect();
	check_exists("task", "SELECT FROM tasksync.task WHERE id = $1 AND user_id = $2"
				 " UNION ALL"
				 " SELECT FROM tasksync.task_link WHERE task_id = $1 AND user_id = $2",
				 args[0], args[1]);
	id = insert_changes(args, nulls);
	SPI_finish();
	ts_restore_identity(&caller);
	ts_wake_on_commit();
	PG_RETURN_INT64(id);
}

static void
check_change(const char *change_type, Jsonb *data)
{
	if (strcmp(change_type, "CREATE") != 0 && strcmp(change_type, "UPDATE") != 0 &&
		strcmp(change_type, "DELETE") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("change type \"%s\" is not known", change_type),
				 errhint("Use CREATE, UPDATE or DELETE.")));
	if (data != NULL && !JB_ROOT_IS_OBJECT(data))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("data of a change must be a JSON object")));
}

static int64
insert_changes(Datum *args, const char *nulls)
{
	Oid			types[4] = {UUIDOID, TEXTOID, TEXTOID, JSONBOID};
	bool		isnull;

	if (SPI_execute_with_args("WITH concerned AS ("
							  " SELECT m.provider_id, m.id FROM tasksync.task_list_mapping m"
							  " LEFT JOIN tasksync.task t ON t.id = $1 AND t.user_id = $2"
							  " LEFT JOIN tasksync.task_link l ON l.task_id = $1"
							  "  AND l.mapping_id = m.id AND l.user_id = $2"
							  " WHERE m.user_id = $2 AND " TS_MAPPING_PUSHES
							  "  AND (l.id IS NOT NULL OR " TS_MAPPING_CARRIES_TASK ")),"
							  " written AS ("
							  " INSERT INTO tasksync.task_change"
							  "  (user_id, task_id, provider_id, mapping_id, change_type, change_data)"
							  " SELECT $2, $1, c.provider_id, c.id, $3, coalesce($4, '{}')"
							  " FROM (SELECT) one LEFT JOIN concerned c ON true"
							  " RETURNING id)"
							  " SELECT max(id) FROM written",
							  4, types, args, nulls, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not write the journal");
	return DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc,
									   1, &isnull));
}

/* P0002 unless the statement of ($1 uuid, $2 text) finds a row. */
static void
check_exists(const char *what, const char *sql, Datum id, Datum user_id)
{
	Oid			types[2] = {UUIDOID, TEXTOID};
	Datum		values[2] = {id, user_id};

	if (SPI_execute_with_args(sql, 2, types, values, NULL, true, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not look for a %s", what);
	if (SPI_processed == 0)
		ereport(ERROR,
				(errcode(ERRCODE_NO_DATA_FOUND),
				 errmsg("%s \"%s\" does not exist", what,
						DatumGetCString(DirectFunctionCall1(uuid_out, id)))));
}

/*
 * changes_since(mapping_id uuid, since timestamptz) -> SETOF task_change
 *
 * The journal of a mapping from a time on (NULL: from the start), by id.  Ids
 * are not in commit order: only rows of transactions older than every running
 * one are answered, and the caller's own, so that a reader who goes on from the
 * last row misses none.  P0002 where the user has no such mapping.
 */
Datum
tasksync_changes_since(PG_FUNCTION_ARGS)
{
	Oid			types[3] = {UUIDOID, TEXTOID, TIMESTAMPTZOID};
	Datum		values[3];
	TsIdentity	caller;
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	InitMaterializedSRF(fcinfo, 0);
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("mapping_id must not be null")));
	values[0] = PG_GETARG_DATUM(0);
	values[1] = CStringGetTextDatum(ts_current_user_id());
	values[2] = PG_ARGISNULL(1) ? TimestampTzGetDatum(DT_NOBEGIN) : PG_GETARG_DATUM(1);

	ts_become_owner(&caller);
	SPI_connect();
	check_exists("mapping", "SELECT FROM tasksync.task_list_mapping"
				 " WHERE id = $1 AND user_id = $2", values[0], values[1]);
	if (SPI_execute_with_args("SELECT c.* FROM tasksync.task_change c"
							  " WHERE c.mapping_id = $1 AND c.user_id = $2 AND c.created_at >= $3"
							  " AND (c.xid < pg_snapshot_xmin(pg_current_snapshot())"
							  "  OR c.xid = pg_current_xact_id_if_assigned())"
							  " ORDER BY c.id",
							  3, types, values, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the journal");
	for (uint64 i = 0; i < SPI_processed; i++)
		tuplestore_puttuple(result->setResult, SPI_tuptable->vals[i]);
	SPI_finish();
	ts_restore_identity(&caller);
	return (Datum) 0;
}

/*
 * mark_as_synced(change_ids bigint[]) -> int
 *
 * Marks the user's own journal rows as done; those that are not there, done
 * already or another user's are passed over.  Answers how many were marked.
 */
Datum
tasksync_mark_as_synced(PG_FUNCTION_ARGS)
{
	Oid			types[2] = {INT8ARRAYOID, TEXTOID};
	Datum		values[2];
	TsIdentity	caller;
	uint64		marked;

	values[0] = PG_GETARG_DATUM(0);
	values[1] = CStringGetTextDatum(ts_current_user_id());
	ts_become_owner(&caller);
	SPI_connect();
	if (SPI_execute_with_args("UPDATE tasksync.task_change SET synced_at = clock_timestamp(),"
							  " error_code = NULL, error_message = NULL"
							  " WHERE id = ANY ($1) AND user_id = $2 AND synced_at IS NULL",
							  2, types, values, NULL, false, 0) != SPI_OK_UPDATE)
		elog(ERROR, "could not mark journal rows");
	marked = SPI_processed;
	SPI_finish();
	ts_restore_identity(&caller);
	PG_RETURN_INT32((int32) marked);
}
