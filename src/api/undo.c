/*-------------------------------------------------------------------------
 *
 * undo.c
 *	  undo_sync: what a sync deleted or overwrote here comes back.
 *
 * A job's trash holds the tasks as they were before each of its writes.  They
 * are put back as a user's edits would: the journal takes note, and the next
 * sync carries them to the services.
 *
 *-------------------------------------------------------------------------
 */
#include "api/api.h"

#include "catalog/pg_type.h"
#include "track/track.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

PG_FUNCTION_INFO_V1(tasksync_undo_sync);

/*
 * The rows to go back to: of each task the oldest of the job ($1, user $2), and
 * whether the job deleted it in the end.  What they point at may be gone.
 */
#define OLDEST_ROWS \
	"WITH trash AS MATERIALIZED (" \
	" SELECT DISTINCT ON (x.task_id) x.task_id, x.old_row," \
	"  EXISTS (SELECT FROM tasksync.task_trash d WHERE d.job_id = $1 AND d.user_id = $2" \
	"   AND d.task_id = x.task_id AND d.action = 'DELETE' AND d.restored_at IS NULL) AS deleted," \
	"  EXISTS (SELECT FROM tasksync.task t WHERE t.id = x.task_id AND t.user_id = $2) AS is_there" \
	" FROM tasksync.task_trash x" \
	" WHERE x.job_id = $1 AND x.user_id = $2 AND x.restored_at IS NULL" \
	" ORDER BY x.task_id, x.created_at, x.action DESC), " \
	"old AS MATERIALIZED (" \
	" SELECT trash.task_id, trash.deleted, trash.is_there, r.*" \
	" FROM trash CROSS JOIN LATERAL pg_catalog.jsonb_populate_record(NULL::tasksync.task," \
	"  trash.old_row || pg_catalog.jsonb_build_object(" \
	"   'project_id', (SELECT j.id FROM tasksync.project j" \
	"    WHERE j.id::text = trash.old_row ->> 'project_id' AND j.user_id = $2)," \
	"   'parent_task_id', (SELECT p.id FROM (SELECT t.id FROM tasksync.task t WHERE t.user_id = $2" \
	"     UNION SELECT b.task_id FROM trash b WHERE b.deleted) p" \
	"    WHERE p.id::text = trash.old_row ->> 'parent_task_id'))) AS r) "

/* "prefix"column, … of the columns that are the users' */
static char *
user_columns(const char *prefix)
{
	StringInfoData list;

	initStringInfo(&list);
	for (int i = 0; ts_task_user_columns[i] != NULL; i++)
		appendStringInfo(&list, "%s%s%s", i > 0 ? ", " : "", prefix, ts_task_user_columns[i]);
	return list.data;
}

static const char *
kept(char *sql)
{
	return MemoryContextStrdup(TopMemoryContext, sql);
}

/* Deleted tasks are inserted again, without the home that they had. */
static const char *
insert_sql(void)
{
	return kept(psprintf(OLDEST_ROWS
						 "INSERT INTO tasksync.task (id, user_id, created_at, %s)"
						 " SELECT old.task_id, $2, old.created_at, %s FROM old"
						 " WHERE old.deleted AND NOT old.is_there RETURNING id::text",
						 user_columns(""), user_columns("old.")));
}

/* Overwritten ones get their columns back, where they are not so already. */
static const char *
update_sql(void)
{
	char	   *old = user_columns("old.");

	return kept(psprintf(OLDEST_ROWS
						 "UPDATE tasksync.task t SET (%s) = ROW (%s) FROM old"
						 " WHERE t.id = old.task_id AND t.user_id = $2 AND NOT old.deleted"
						 "  AND (%s) IS DISTINCT FROM (%s) RETURNING t.id::text",
						 user_columns(""), old, user_columns("t."), old));
}

/* The job must be the caller's, and over. */
static void
check_job(int64 job_id, const char *user_id)
{
	static TsStatement stmt = {
		"SELECT j.status IN ('PENDING', 'RUNNING') FROM tasksync.sync_job j"
		" WHERE j.id = $1 AND j.user_id = $2"
		" UNION ALL SELECT false FROM tasksync.task_trash x WHERE x.job_id = $1 AND x.user_id = $2"
		" LIMIT 1",
		{INT8OID, TEXTOID}
	};

	if (ts_run(&stmt, ts_long(job_id), ts_text(user_id)) == 0)
		ts_no_such("job", psprintf(INT64_FORMAT, job_id));
	if (ts_col_bool(0, 1))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("job " INT64_FORMAT " is not over yet", job_id),
				 errhint("Stop it with cancel_job(), or wait for its end.")));
}

/* Run one of the two, and mark what it brought back. */
static int
restore(TsStatement *stmt, int64 job_id, const char *user_id)
{
	static TsStatement mark = {
		"UPDATE tasksync.task_trash x SET restored_at = pg_catalog.now()"
		" WHERE x.job_id = $1 AND x.user_id = $2 AND x.task_id = ANY ($3::uuid[])",
		{INT8OID, TEXTOID, TEXTARRAYOID}
	};
	int			n = ts_run(stmt, ts_long(job_id), ts_text(user_id));
	char	  **ids = palloc(sizeof(char *) * (n + 1));

	for (int i = 0; i < n; i++)
		ids[i] = ts_col_text(i, 1, NULL);
	if (n > 0)
		ts_run(&mark, ts_long(job_id), ts_text(user_id), ts_texts((const char *const *) ids, n));
	return n;
}

/*
 * undo_sync(job_id bigint) → int
 *
 * The number of tasks brought back.  A task that the job deleted is inserted
 * with its old id, if it is not there; one that it overwrote gets back what its
 * columns were before the job, if it is still there.  A task's project and
 * parent are left out where they are gone.  What was brought back once is not
 * brought back again.  P0002: no such job; 55000: it is not over.
 */
Datum
tasksync_undo_sync(PG_FUNCTION_ARGS)
{
	static TsStatement insert = {NULL, {INT8OID, TEXTOID}};
	static TsStatement update = {NULL, {INT8OID, TEXTOID}};
	int64		job_id;
	TsCall		call;
	int			n;

	ts_required(fcinfo, 0, "job_id");
	job_id = PG_GETARG_INT64(0);
	if (insert.sql == NULL)
		insert.sql = insert_sql();
	if (update.sql == NULL)
		update.sql = update_sql();
	ts_api_begin(&call);
	check_job(job_id, call.user_id);
	n = restore(&insert, job_id, call.user_id);
	n += restore(&update, job_id, call.user_id);
	ts_api_end(&call);
	PG_RETURN_INT32(n);
}
