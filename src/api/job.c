/*-------------------------------------------------------------------------
 *
 * job.c
 *	  Queueing syncs, waiting for them, and the worker that does them.
 *
 * sync_now and wait_for_job are procedures that commit: what they queued is
 * visible to the worker, and while they wait no snapshot holds back anybody's
 * vacuum.
 *
 *-------------------------------------------------------------------------
 */
#include "api/api.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "pgstat.h"
#include "storage/latch.h"
#include "track/track.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/portal.h"
#include "utils/timestamp.h"
#include "worker/jobs.h"
#include "worker/worker.h"

PG_FUNCTION_INFO_V1(tasksync_sync_mapping);
PG_FUNCTION_INFO_V1(tasksync_sync_provider);
PG_FUNCTION_INFO_V1(tasksync_sync_all_for_user);
PG_FUNCTION_INFO_V1(tasksync_job_status);
PG_FUNCTION_INFO_V1(tasksync_cancel_job);
PG_FUNCTION_INFO_V1(tasksync_sync_now);
PG_FUNCTION_INFO_V1(tasksync_wait_for_job);
PG_FUNCTION_INFO_V1(tasksync_start_worker);

#define FIRST_POLL_MS	5
#define LAST_POLL_MS	200
#define WORKER_GRACE_MS 3000	/* for the launcher to start one */

/*
 * One PENDING job for the mapping (or, without one, the provider): the id of
 * the one that is there, due now, or of a new one.  The row stays locked until
 * the caller commits, so that the worker cannot take it before.
 */
int64
ts_queue_job(const char *user_id, const char *provider_id, const char *mapping_id)
{
	static TsStatement mapping = {
		"INSERT INTO tasksync.sync_job AS j (user_id, provider_id, mapping_id, max_attempts)"
		" VALUES ($1, $2, $3, $4)"
		" ON CONFLICT (mapping_id, user_id)"
		"  WHERE status = 'PENDING' AND kind = 'SYNC' AND mapping_id IS NOT NULL"
		" DO UPDATE SET run_at = LEAST(j.run_at, pg_catalog.now()) RETURNING j.id",
		{TEXTOID, UUIDOID, UUIDOID, INT4OID}
	};
	static TsStatement provider = {
		"INSERT INTO tasksync.sync_job AS j (user_id, provider_id, max_attempts)"
		" VALUES ($1, $2, $3)"
		" ON CONFLICT (provider_id, user_id)"
		"  WHERE status = 'PENDING' AND kind = 'SYNC' AND mapping_id IS NULL"
		" DO UPDATE SET run_at = LEAST(j.run_at, pg_catalog.now()) RETURNING j.id",
		{TEXTOID, UUIDOID, INT4OID}
	};

	if (mapping_id)
	{
		ts_jobs_lock_mapping(mapping_id);
		ts_run(&mapping, ts_text(user_id), ts_uuid(provider_id), ts_uuid(mapping_id),
			   ts_int(ts_max_attempts));
	}
	else
		ts_run(&provider, ts_text(user_id), ts_uuid(provider_id), ts_int(ts_max_attempts));
	ts_wake_on_commit();
	return ts_col_long(0, 1);
}

/* A mapping that waits for a person: 55000, or a WARNING where others go on. */
static void
report_waiting(int elevel, const char *mapping_id, const char *status)
{
	ereport(elevel,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("mapping \"%s\" is %s", mapping_id, status),
			 errhint("%s", strcmp(status, "HELD") == 0
					 ? "Look at its error_message, then call confirm_deletions()."
					 : strcmp(status, "DISCONNECTED") == 0
					 ? "Its list is gone; map the project to another list."
					 : "Enable it with update_mapping() or update_provider().")));
}

/* A mapping of the user's: its provider; with "ready", 55000 where it cannot sync. */
static char *
provider_of_mapping(const char *mapping_id, const char *user_id, bool ready)
{
	static TsStatement stmt = {
		"SELECT m.provider_id::text, m.sync_status, m.sync_enabled AND p.enabled"
		" FROM tasksync.task_list_mapping m"
		" JOIN tasksync.task_provider p ON p.id = m.provider_id AND p.user_id = m.user_id"
		" WHERE m.id = $1 AND m.user_id = $2",
		{UUIDOID, TEXTOID}
	};
	char	   *provider_id;
	char	   *status;

	if (mapping_id == NULL || ts_run(&stmt, ts_uuid(mapping_id), ts_text(user_id)) == 0)
		ts_no_such("mapping", mapping_id);
	provider_id = ts_col_text(0, 1, NULL);
	status = ts_col_text(0, 2, NULL);
	if (ready && status && (strcmp(status, "HELD") == 0 || strcmp(status, "DISCONNECTED") == 0))
		report_waiting(ERROR, mapping_id, status);
	if (ready && !ts_col_bool(0, 3))
		report_waiting(ERROR, mapping_id, "disabled");
	return provider_id;
}

static void
check_provider(const char *provider_id, const char *user_id, bool ready)
{
	static TsStatement stmt = {
		"SELECT p.enabled, p.name FROM tasksync.task_provider p WHERE p.id = $1 AND p.user_id = $2",
		{UUIDOID, TEXTOID}
	};

	if (provider_id == NULL || ts_run(&stmt, ts_uuid(provider_id), ts_text(user_id)) == 0)
		ts_no_such("provider", provider_id);
	if (ready && !ts_col_bool(0, 1))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("provider \"%s\" is disabled", ts_col_text(0, 2, NULL)),
				 errhint("Enable it with update_provider().")));
}

/*
 * A sync of a provider (NULL: of all that the user has) passes over mappings
 * that wait for a person, and says so; where a provider that was named has
 * nothing but such, it has failed.
 */
static void
report_all_waiting(const char *provider_id, const char *user_id)
{
	static TsStatement waiting = {
		"SELECT m.id::text, m.sync_status FROM tasksync.task_list_mapping m"
		" JOIN tasksync.task_provider p ON p.id = m.provider_id AND p.user_id = m.user_id"
		" WHERE m.user_id = $1 AND ($2::uuid IS NULL OR m.provider_id = $2)"
		"  AND m.sync_enabled AND p.enabled AND m.sync_status IN ('HELD', 'DISCONNECTED')"
		" ORDER BY m.created_at, m.id",
		{TEXTOID, UUIDOID}
	};
	static TsStatement ready = {
		"SELECT 1 FROM tasksync.task_list_mapping m WHERE m.user_id = $1 AND m.provider_id = $2"
		" AND m.sync_enabled AND COALESCE(m.sync_status NOT IN ('HELD', 'DISCONNECTED'), true)",
		{TEXTOID, UUIDOID}
	};
	bool		fails = provider_id != NULL &&
		ts_run(&ready, ts_text(user_id), ts_uuid(provider_id)) == 0;
	int			n = ts_run(&waiting, ts_text(user_id), ts_uuid(provider_id));

	for (int i = 0; i < n; i++)
		report_waiting(fails ? ERROR : WARNING, ts_col_text(i, 1, NULL), ts_col_text(i, 2, NULL));
}

/* sync_mapping(mapping_id uuid) → bigint */
Datum
tasksync_sync_mapping(PG_FUNCTION_ARGS)
{
	char	   *id = ts_arg_uuid(fcinfo, 0);
	TsCall		call;
	int64		job;

	ts_api_begin(&call);
	job = ts_queue_job(call.user_id, provider_of_mapping(id, call.user_id, false), id);
	ts_api_end(&call);
	PG_RETURN_INT64(job);
}

/* sync_provider(provider_id uuid) → bigint */
Datum
tasksync_sync_provider(PG_FUNCTION_ARGS)
{
	char	   *id = ts_arg_uuid(fcinfo, 0);
	TsCall		call;
	int64		job;

	ts_api_begin(&call);
	check_provider(id, call.user_id, false);
	job = ts_queue_job(call.user_id, id, NULL);
	ts_api_end(&call);
	PG_RETURN_INT64(job);
}

/* A job for each enabled provider of a user; their ids. */
static int64 *
queue_all(const char *user_id, int *n)
{
	static TsStatement stmt = {
		"SELECT p.id::text FROM tasksync.task_provider p WHERE p.user_id = $1 AND p.enabled"
		" ORDER BY p.created_at, p.id",
		{TEXTOID}
	};
	int			nproviders = ts_run(&stmt, ts_text(user_id));
	char	  **ids = palloc(sizeof(char *) * (nproviders + 1));
	int64	   *jobs = palloc(sizeof(int64) * (nproviders + 1));

	for (int i = 0; i < nproviders; i++)
		ids[i] = ts_col_text(i, 1, NULL);
	for (int i = 0; i < nproviders; i++)
		jobs[i] = ts_queue_job(user_id, ids[i], NULL);
	*n = nproviders;
	return jobs;
}

/* sync_all_for_user(user_id text) → SETOF bigint */
Datum
tasksync_sync_all_for_user(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	char	   *user_id = ts_arg_text(fcinfo, 0);
	int64	   *jobs;
	int			n;
	TsCall		call;

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	ts_api_begin(&call);
	if (user_id && strcmp(user_id, call.user_id) != 0 && !superuser_arg(call.identity.role))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("only a superuser may sync for another user")));
	jobs = queue_all(user_id ? user_id : call.user_id, &n);
	ts_api_end(&call);
	for (int i = 0; i < n; i++)
	{
		Datum		value = Int64GetDatum(jobs[i]);
		bool		isnull = false;

		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, &value, &isnull);
	}
	return (Datum) 0;
}

/* job_status(job_id bigint) → sync_job */
Datum
tasksync_job_status(PG_FUNCTION_ARGS)
{
	static TsStatement stmt = {
		"SELECT j FROM tasksync.sync_job j WHERE j.id = $1 AND j.user_id = $2",
		{INT8OID, TEXTOID}
	};
	int64		id = PG_GETARG_INT64(0);
	TsCall		call;
	Datum		row;

	ts_api_begin(&call);
	row = ts_row_by_id(&stmt, "job", ts_long(id), psprintf(INT64_FORMAT, id), &call);
	ts_api_end(&call);
	PG_RETURN_DATUM(row);
}

/* cancel_job(job_id bigint) → boolean */
Datum
tasksync_cancel_job(PG_FUNCTION_ARGS)
{
	static TsStatement stmt = {
		"UPDATE tasksync.sync_job j SET cancel_requested = true,"
		" status = CASE WHEN j.status = 'PENDING' THEN 'CANCELLED' ELSE j.status END,"
		" finished_at = CASE WHEN j.status = 'PENDING' THEN pg_catalog.now() END"
		" WHERE j.id = $1 AND j.user_id = $2 AND j.status IN ('PENDING', 'RUNNING')"
		" RETURNING j.status = 'CANCELLED', j.mapping_id::text",
		{INT8OID, TEXTOID}
	};
	static TsStatement exists = {
		"SELECT 1 FROM tasksync.sync_job j WHERE j.id = $1 AND j.user_id = $2",
		{INT8OID, TEXTOID}
	};
	int64		id = PG_GETARG_INT64(0);
	TsCall		call;
	bool		cancelled;

	ts_api_begin(&call);
	if (ts_run(&exists, ts_long(id), ts_text(call.user_id)) == 0)
		ts_no_such("job", psprintf(INT64_FORMAT, id));
	cancelled = ts_run(&stmt, ts_long(id), ts_text(call.user_id)) > 0;
	if (cancelled && ts_col_bool(0, 1))
		ts_jobs_notify(id, call.user_id, ts_col_text(0, 2, NULL), "CANCELLED");
	ts_wake_on_commit();
	ts_api_end(&call);
	PG_RETURN_BOOL(cancelled);
}

/*
 * Waiting
 */

static void
refuse_transaction_block(FunctionCallInfo fcinfo, const char *name)
{
	if (fcinfo->context && IsA(fcinfo->context, CallContext) &&
		!castNode(CallContext, fcinfo->context)->atomic)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
			 errmsg("%s cannot run inside a transaction block", name),
			 errhint("Queue the sync with sync_mapping() or sync_provider(), commit, and look at job_status().")));
}

static void
pause_ms(long ms)
{
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, ms,
					 PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
}

/* A launcher that is just starting one is given a moment. */
static void
require_worker(void)
{
	long		waited = 0;

	while (ts_worker_pid(MyDatabaseId) == 0)
	{
		if (!ts_is_preloaded() || waited >= WORKER_GRACE_MS)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("no tasksync worker is running in this database"),
					 errhint(ts_is_preloaded()
							 ? "See tasksync.databases, max_worker_processes and the server log."
							 : "Add tasksync to shared_preload_libraries, or call tasksync.start_worker().")));
		if (waited == 0)
			ts_wake_launcher();
		pause_ms(50);
		waited += 50;
	}
}

typedef struct JobState
{
	bool		finished;
	bool		cancelled;
	TsError		error;			/* of a FAILED job */
} JobState;

/* One look, in a transaction of its own; strings go to cxt. */
static void
look_at_job(int64 id, const char *user_id, MemoryContext cxt, JobState *state)
{
	static TsStatement stmt = {
		"SELECT j.status, j.error_code, j.error_message, j.error_detail, j.error_hint"
		" FROM tasksync.sync_job j WHERE j.id = $1 AND j.user_id = $2",
		{INT8OID, TEXTOID}
	};
	TsIdentity	saved;
	char	   *status;
	MemoryContext old;

	memset(state, 0, sizeof(*state));
	ts_become_owner(&saved);
	if (ts_run(&stmt, ts_long(id), ts_text(user_id)) == 0)
		ts_no_such("job", psprintf(INT64_FORMAT, id));
	old = MemoryContextSwitchTo(cxt);
	status = ts_col_text(0, 1, NULL);
	state->cancelled = strcmp(status, "CANCELLED") == 0;
	state->finished = state->cancelled || strcmp(status, "SUCCEEDED") == 0 ||
		strcmp(status, "FAILED") == 0;
	if (strcmp(status, "FAILED") == 0)
	{
		strlcpy(state->error.sqlstate, ts_col_null(0, 2) ? "XX000" : ts_col_text(0, 2, NULL),
				sizeof(state->error.sqlstate));
		state->error.message = ts_col_null(0, 3) ? "the sync failed" : ts_col_text(0, 3, NULL);
		state->error.detail = ts_col_text(0, 4, NULL);
		state->error.hint = ts_col_text(0, 5, NULL);
	}
	MemoryContextSwitchTo(old);
	ts_restore_identity(&saved);
}

/* Wait for one job; SPI is connected, nonatomic. */
static void
wait_for_job(int64 id, const char *user_id, TimestampTz deadline, MemoryContext cxt)
{
	TimestampTz start = GetCurrentTimestamp();

	for (;;)
	{
		JobState	state;
		long		waited;

		look_at_job(id, user_id, cxt, &state);
		SPI_commit();			/* lets go of the snapshot */
		if (state.finished)
		{
			if (ts_failed(&state.error))
				ts_ereport(&state.error);
			if (state.cancelled)
				ereport(ERROR,
						(errcode(ERRCODE_QUERY_CANCELED),
						 errmsg("job " INT64_FORMAT " was cancelled", id)));
			return;
		}
		if (GetCurrentTimestamp() >= deadline)
			ereport(ERROR,
					(errcode(ERRCODE_QUERY_CANCELED),
					 errmsg("timed out waiting for job " INT64_FORMAT, id),
					 errhint("The job goes on; see tasksync.job_status(" INT64_FORMAT ").", id)));
		waited = TimestampDifferenceMilliseconds(start, GetCurrentTimestamp());
		pause_ms(Min(Max(waited / 50, FIRST_POLL_MS), LAST_POLL_MS));
	}
}

static TimestampTz
deadline_of(FunctionCallInfo fcinfo, int n)
{
	Interval   *timeout = PG_ARGISNULL(n) ? NULL : PG_GETARG_INTERVAL_P(n);

	if (timeout == NULL)
		return DT_NOEND;
	return DatumGetTimestampTz(DirectFunctionCall2(timestamptz_pl_interval,
												   TimestampTzGetDatum(GetCurrentTimestamp()),
												   IntervalPGetDatum(timeout)));
}

/* CALL wait_for_job(job_id bigint, timeout interval) */
Datum
tasksync_wait_for_job(PG_FUNCTION_ARGS)
{
	MemoryContext cxt = PortalContext;
	TimestampTz deadline;
	char	   *user_id;
	JobState	state;

	ts_required(fcinfo, 0, "job_id");
	refuse_transaction_block(fcinfo, "wait_for_job");
	ts_require_version();
	deadline = deadline_of(fcinfo, 1);
	user_id = MemoryContextStrdup(cxt, ts_current_user_id());
	SPI_connect_ext(SPI_OPT_NONATOMIC);
	look_at_job(PG_GETARG_INT64(0), user_id, cxt, &state);
	if (!state.finished)
		require_worker();
	wait_for_job(PG_GETARG_INT64(0), user_id, deadline, cxt);
	SPI_finish();
	PG_RETURN_VOID();
}

/* Queue what sync_now was asked for; the jobs' ids in cxt. */
static int64 *
queue_now(const char *user_id, const char *provider_id, const char *mapping_id,
		  MemoryContext cxt, int *n)
{
	TsIdentity	saved;
	int64	   *jobs;
	int64	   *copy;

	ts_become_owner(&saved);
	*n = 1;
	jobs = palloc(sizeof(int64));
	if (mapping_id)
	{
		char	   *owner = provider_of_mapping(mapping_id, user_id, true);

		if (provider_id && strcmp(provider_id, owner) != 0)
			ts_no_such("mapping", mapping_id);
		jobs[0] = ts_queue_job(user_id, owner, mapping_id);
	}
	else if (provider_id)
	{
		check_provider(provider_id, user_id, true);
		report_all_waiting(provider_id, user_id);
		jobs[0] = ts_queue_job(user_id, provider_id, NULL);
	}
	else
	{
		report_all_waiting(NULL, user_id);
		jobs = queue_all(user_id, n);
	}
	copy = MemoryContextAlloc(cxt, sizeof(int64) * (*n + 1));
	memcpy(copy, jobs, sizeof(int64) * *n);
	ts_restore_identity(&saved);
	return copy;
}

/* CALL sync_now(provider_id uuid, mapping_id uuid, timeout interval) */
Datum
tasksync_sync_now(PG_FUNCTION_ARGS)
{
	MemoryContext cxt = PortalContext;
	TimestampTz deadline;
	char	   *user_id;
	int64	   *jobs;
	int			n;

	refuse_transaction_block(fcinfo, "sync_now");
	ts_require_version();
	require_worker();
	deadline = deadline_of(fcinfo, 2);
	user_id = MemoryContextStrdup(cxt, ts_current_user_id());
	SPI_connect_ext(SPI_OPT_NONATOMIC);
	jobs = queue_now(user_id, ts_arg_uuid(fcinfo, 0), ts_arg_uuid(fcinfo, 1), cxt, &n);
	SPI_commit();
	for (int i = 0; i < n; i++)
		wait_for_job(jobs[i], user_id, deadline, cxt);
	SPI_finish();
	PG_RETURN_VOID();
}

/* start_worker() → int */
Datum
tasksync_start_worker(PG_FUNCTION_ARGS)
{
	ts_require_version();
	PG_RETURN_INT32(ts_start_worker(MyDatabaseId));
}
