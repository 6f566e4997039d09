/*-------------------------------------------------------------------------
 *
 * jobs.c
 *	  The rows of sync_job: queueing, claiming, ending.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "secret/secret.h"
#include "store/backend.h"
#include "store/sql.h"
#include "tasksync.h"
#include "utils/memutils.h"
#include "worker/jobs.h"

#define CLEAN_UP_BATCH 10000

/*
 * What the last look at the journal that was committed saw, and what the
 * present one sees: one that is rolled back has queued nothing.
 */
static char *looked = NULL;
static char *looking = NULL;

/*
 * Who queues a job for a mapping holds this lock until the end of the
 * transaction, so that nobody has to wait for it to see whether there is one.
 */
#define MAPPING_LOCK(mapping_id) \
	"pg_catalog.hashtextextended('tasksync job ' || " mapping_id "::text, 0)"

/*
 * The jobs that a dead worker has left RUNNING, which are all that are before
 * the first is claimed.  What it showed as SYNCING is no more; a status that a
 * user's transaction has locked is left to the next job.
 */
int64 *
ts_jobs_orphans(int *n)
{
	static TsStatement orphans = {
		"SELECT j.id FROM tasksync.sync_job j WHERE j.status = 'RUNNING'"
	};
	static TsStatement mappings = {
		"UPDATE tasksync.task_provider p SET sync_status = NULL WHERE (p.id, p.user_id) IN"
		" (SELECT s.id, s.user_id FROM tasksync.task_provider s WHERE s.sync_status = 'SYNCING'"
		"  FOR UPDATE SKIP LOCKED)"
	};
	static TsStatement lists = {
		"UPDATE tasksync.task_list_mapping m SET sync_status = NULL WHERE (m.id, m.user_id) IN"
		" (SELECT s.id, s.user_id FROM tasksync.task_list_mapping s WHERE s.sync_status = 'SYNCING'"
		"  FOR UPDATE SKIP LOCKED)"
	};
	int64	   *ids;

	ts_run_args(&mappings, 0, NULL);
	ts_run_args(&lists, 0, NULL);
	*n = ts_run_args(&orphans, 0, NULL);
	ids = palloc(sizeof(int64) * (*n + 1));
	for (int i = 0; i < *n; i++)
		ids[i] = ts_col_long(i, 1);
	return ids;
}

/*
 * A dead worker's job is tried again; where the same job was queued meanwhile,
 * that one does its work.  One that killed worker after worker is given up: the
 * schedule will queue another.  Fails where somebody is just queueing the same,
 * and has not committed.
 */
void
ts_jobs_take_over(int64 id)
{
	static TsStatement again = {
		"UPDATE tasksync.sync_job j SET status = 'PENDING', worker_pid = NULL, progress = NULL"
		" WHERE j.id = $1 AND j.status = 'RUNNING' AND j.attempts < 20"
		"  AND NOT EXISTS (SELECT FROM tasksync.sync_job q"
		"  WHERE q.status = 'PENDING' AND q.kind = j.kind AND q.user_id = j.user_id"
		"   AND q.provider_id = j.provider_id AND q.mapping_id IS NOT DISTINCT FROM j.mapping_id)",
		{INT8OID}
	};
	static TsStatement over = {
		"UPDATE tasksync.sync_job j SET status = 'FAILED', finished_at = pg_catalog.now(),"
		" error_code = 'TS503', error_message = 'the worker died',"
		" error_hint = 'The work goes on with the next job.'"
		" WHERE j.id = $1 AND j.status = 'RUNNING' RETURNING j.user_id, j.mapping_id::text",
		{INT8OID}
	};

	if (ts_run(&again, ts_long(id)) == 0 && ts_run(&over, ts_long(id)) > 0)
	{
		char	   *user_id = ts_col(0, 1);

		ts_jobs_notify(id, user_id, ts_col(0, 2), "FAILED");
	}
}

/*
 * Providers that are due get a job, and their next time: the interval with
 * ten per cent of jitter, so that they don't all come at once.
 */
static void
queue_due_providers(void)
{
	static TsStatement stmt = {
		"WITH due AS ("
		" UPDATE tasksync.task_provider p SET next_sync_at = pg_catalog.now()"
		"  + p.sync_interval * interval '1 min' * (0.9 + 0.2 * pg_catalog.random())"
		" FROM (SELECT id, user_id FROM tasksync.task_provider"
		"   WHERE enabled AND sync_enabled AND COALESCE(next_sync_at <= pg_catalog.now(), true)"
		"   ORDER BY next_sync_at FOR UPDATE SKIP LOCKED) d"
		" WHERE p.id = d.id AND p.user_id = d.user_id RETURNING p.id, p.user_id, p.account_id)"
		" INSERT INTO tasksync.sync_job (user_id, provider_id, max_attempts)"
		" SELECT due.user_id, due.id, $1 FROM due"
		" LEFT JOIN tasksync.connected_account a ON a.id = due.account_id AND a.user_id = due.user_id"
		" WHERE a.status IS DISTINCT FROM 'NEEDS_AUTH'"
		"  AND EXISTS (SELECT FROM tasksync.task_list_mapping m WHERE m.provider_id = due.id"
		"   AND m.user_id = due.user_id)"
		" ON CONFLICT DO NOTHING",
		{INT4OID}
	};

	ts_run(&stmt, ts_int(ts_max_attempts));
}

/*
 * Mappings for which the journal has rows that we have not looked at get a
 * job, a little later, so that a burst of edits goes out together.  What the
 * last look saw is told by its snapshot: ids are not in the order of commits.
 * A mapping that a user's open transaction has locked, or has queued a job for,
 * is passed over: nobody else's may wait for it.
 */
static void
queue_changed_mappings(void)
{
	static TsStatement snapshot = {"SELECT pg_catalog.pg_current_snapshot()::text"};
	static TsStatement stmt = {
		"WITH changed AS MATERIALIZED ("
		" SELECT c.user_id, m.provider_id, m.id, pg_catalog.min(c.created_at) AS since"
		" FROM tasksync.task_change c"
		" JOIN tasksync.task_list_mapping m ON m.id = c.mapping_id AND m.user_id = c.user_id"
		" JOIN tasksync.task_provider p ON p.id = m.provider_id AND p.user_id = m.user_id"
		" LEFT JOIN tasksync.connected_account a ON a.id = p.account_id AND a.user_id = p.user_id"
		" WHERE c.synced_at IS NULL"
		"  AND ($3::pg_snapshot IS NULL OR NOT pg_catalog.pg_visible_in_snapshot(c.xid, $3::pg_snapshot))"
		"  AND p.enabled AND p.sync_enabled AND m.sync_enabled"
		"  AND COALESCE(m.sync_status NOT IN ('HELD', 'DISCONNECTED'), true)"
		"  AND a.status IS DISTINCT FROM 'NEEDS_AUTH'"
		" GROUP BY c.user_id, m.provider_id, m.id"
		"), free AS MATERIALIZED ("
		" SELECT c.* FROM changed c"
		" JOIN tasksync.task_list_mapping m ON m.id = c.id AND m.user_id = c.user_id"
		" JOIN tasksync.task_provider p ON p.id = c.provider_id AND p.user_id = c.user_id"
		" WHERE pg_catalog.pg_try_advisory_xact_lock(" MAPPING_LOCK("c.id") ")"
		" FOR KEY SHARE OF m, p SKIP LOCKED"
		"), queued AS ("
		" INSERT INTO tasksync.sync_job (user_id, provider_id, mapping_id, max_attempts, run_at)"
		" SELECT f.user_id, f.provider_id, f.id, $1, f.since + $2 * interval '1 ms' FROM free f"
		" ON CONFLICT DO NOTHING)"
		" SELECT (SELECT pg_catalog.count(*) FROM changed) > (SELECT pg_catalog.count(*) FROM free)",
		{INT4OID, INT4OID, TEXTOID}
	};

	ts_run_args(&snapshot, 0, NULL);
	if (looking)
		pfree(looking);
	looking = MemoryContextStrdup(TopMemoryContext, ts_col(0, 1));
	ts_run(&stmt, ts_int(ts_max_attempts), ts_int(ts_push_delay_ms), ts_text(looked));
	if (ts_col_bool(0, 1))
	{
		/* what had to be passed over is looked for again */
		pfree(looking);
		looking = NULL;
	}
}

void
ts_jobs_lock_mapping(const char *mapping_id)
{
	static TsStatement stmt = {
		"SELECT pg_catalog.pg_advisory_xact_lock(" MAPPING_LOCK("$1") ")",
		{UUIDOID}
	};

	ts_run(&stmt, ts_uuid(mapping_id));
}

void
ts_jobs_schedule(void)
{
	queue_due_providers();
	queue_changed_mappings();
}

void
ts_jobs_scheduled(void)
{
	if (looking == NULL)
		return;
	if (looked)
		pfree(looked);
	looked = looking;
	looking = NULL;
}

TsJob *
ts_jobs_claim(int max, int *n)
{
	/*
	 * One job at a time for a provider: a cycle may touch all its lists.  The
	 * others of it must not use up the limit either; and none goes out before
	 * the time that the service has named, whoever has queued it.
	 */
	static TsStatement stmt = {
		"UPDATE tasksync.sync_job j SET status = 'RUNNING', attempts = j.attempts + 1,"
		" started_at = pg_catalog.now(), finished_at = NULL, worker_pid = $2, progress = NULL,"
		" error_code = NULL, error_message = NULL, error_detail = NULL, error_hint = NULL"
		" FROM (SELECT s.id, s.user_id FROM tasksync.sync_job s"
		"  WHERE s.status = 'PENDING' AND (s.id, s.user_id) IN ("
		"   SELECT due.id, due.user_id FROM"
		"   (SELECT DISTINCT ON (q.provider_id, q.user_id) q.id, q.user_id FROM tasksync.sync_job q"
		"   WHERE q.status = 'PENDING' AND q.run_at <= pg_catalog.now()"
		"    AND NOT EXISTS (SELECT FROM tasksync.sync_job r WHERE r.status = 'RUNNING'"
		"     AND r.provider_id = q.provider_id AND r.user_id = q.user_id)"
		"    AND NOT EXISTS (SELECT FROM tasksync.task_provider p WHERE p.id = q.provider_id"
		"     AND p.user_id = q.user_id AND p.retry_after > pg_catalog.now())"
		"   ORDER BY q.provider_id, q.user_id, q.run_at, q.id) due)"
		"  ORDER BY s.run_at LIMIT $1 FOR UPDATE SKIP LOCKED) next"
		" WHERE j.id = next.id AND j.user_id = next.user_id"
		" RETURNING j.id, j.user_id, j.provider_id::text, j.mapping_id::text, j.kind,"
		"  j.args ->> 'list', j.attempts, j.max_attempts, j.args ->> 'account'",
		{INT4OID, INT4OID}
	};
	TsJob	   *jobs;

	*n = ts_run(&stmt, ts_int(max), ts_int(MyProcPid));
	jobs = palloc0(sizeof(TsJob) * (*n + 1));
	for (int i = 0; i < *n; i++)
	{
		jobs[i].id = ts_col_long(i, 1);
		jobs[i].user_id = ts_col(i, 2);
		jobs[i].provider_id = ts_col(i, 3);
		jobs[i].mapping_id = ts_col(i, 4);
		jobs[i].kind = ts_col(i, 5);
		jobs[i].list_id = ts_col(i, 6);
		jobs[i].attempts = ts_col_int(i, 7);
		jobs[i].max_attempts = ts_col_int(i, 8);
		jobs[i].account_id = ts_col(i, 9);
	}
	return jobs;
}

long
ts_jobs_next_due(long max_ms)
{
	static TsStatement stmt = {
		"SELECT LEAST($1, GREATEST(0, pg_catalog.ceil(1000 * pg_catalog.date_part('epoch',"
		" LEAST((SELECT pg_catalog.min(GREATEST(j.run_at, w.retry_after)) FROM tasksync.sync_job j"
		"    LEFT JOIN tasksync.task_provider w ON w.id = j.provider_id AND w.user_id = j.user_id"
		"    WHERE j.status = 'PENDING' AND NOT EXISTS (SELECT FROM tasksync.sync_job r WHERE r.status = 'RUNNING'"
		"     AND r.provider_id = j.provider_id)),"
		"  (SELECT pg_catalog.min(p.next_sync_at) FROM tasksync.task_provider p"
		"    WHERE p.enabled AND p.sync_enabled AND pg_catalog.isfinite(p.next_sync_at)))"
		"  - pg_catalog.clock_timestamp()))))::int8",
		{INT8OID}
	};

	ts_run(&stmt, ts_long(max_ms));
	return ts_col_null(0, 1) ? max_ms : (long) ts_col_long(0, 1);
}

int64 *
ts_jobs_cancelled(int *n)
{
	static TsStatement stmt = {
		"SELECT j.id FROM tasksync.sync_job j WHERE j.status = 'RUNNING' AND j.cancel_requested"
	};
	int64	   *ids;

	*n = ts_run_args(&stmt, 0, NULL);
	ids = palloc(sizeof(int64) * (*n + 1));
	for (int i = 0; i < *n; i++)
		ids[i] = ts_col_long(i, 1);
	return ids;
}

/* Would trying again help?  Refused credentials, hosts and settings stay so. */
static bool
is_final(const TsError *err)
{
	static const char *const final[] = {"TS401", "42501", "55000", "22023", "P0002"};

	for (int i = 0; i < lengthof(final); i++)
		if (strcmp(err->sqlstate, final[i]) == 0)
			return true;
	return false;
}

/* RUNNING becomes PENDING again, later; false when its successor is queued already. */
static bool
try_again(const TsJobEnd *end)
{
	static TsStatement stmt = {
		"UPDATE tasksync.sync_job j SET status = 'PENDING', worker_pid = NULL, progress = NULL,"
		" run_at = pg_catalog.now() + GREATEST($3 * interval '1 s',"
		"  LEAST(interval '1 h', $4 * interval '1 ms' * pg_catalog.power(2, j.attempts - 1))"
		"   * (0.8 + 0.4 * pg_catalog.random())),"
		" result = $5::jsonb, error_code = $6, error_message = $7, error_detail = $8, error_hint = $9"
		" WHERE j.id = $1 AND j.user_id = $2 AND NOT EXISTS (SELECT FROM tasksync.sync_job q"
		"  WHERE q.status = 'PENDING' AND q.kind = j.kind AND q.user_id = j.user_id"
		"   AND q.provider_id = j.provider_id AND q.mapping_id IS NOT DISTINCT FROM j.mapping_id)",
		{INT8OID, TEXTOID, INT4OID, INT4OID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID}
	};

	return ts_run(&stmt, ts_long(end->job->id), ts_text(end->job->user_id),
				  ts_int(Max(0, end->retry_after)), ts_int(ts_retry_base_delay_ms),
				  ts_text(end->result), ts_text(end->error->sqlstate),
				  ts_text(end->error->message), ts_text(end->error->detail),
				  ts_text(end->error->hint)) > 0;
}

/* Tell who listens that a job has ended. */
void
ts_jobs_notify(int64 id, const char *user_id, const char *mapping_id, const char *status)
{
	static TsStatement stmt = {
		"SELECT pg_catalog.pg_notify('tasksync', pg_catalog.json_build_object('event', 'job',"
		" 'user_id', $1, 'job_id', $2, 'mapping_id', $3, 'status', $4)::text)",
		{TEXTOID, INT8OID, TEXTOID, TEXTOID}
	};

	ts_run(&stmt, ts_text(user_id), ts_long(id), ts_text(mapping_id), ts_text(status));
}

/* A row that somebody has locked is for the next time. */
void
ts_jobs_tell_stale(void)
{
	static TsStatement stmt = {
		"WITH told AS ("
		" UPDATE tasksync.mapping_state s SET stale_told_at = pg_catalog.now()"
		" FROM (SELECT f.mapping_id, f.user_id, v.sync_status, v.last_synced_at"
		"  FROM tasksync.mapping_status v"
		"  JOIN tasksync.mapping_state f ON f.mapping_id = v.mapping_id AND f.user_id = v.user_id"
		"  WHERE v.is_stale AND (f.stale_told_at IS NULL OR f.stale_told_at < v.last_synced_at)"
		"  FOR UPDATE OF f SKIP LOCKED) d"
		" WHERE s.mapping_id = d.mapping_id AND s.user_id = d.user_id"
		" RETURNING d.*)"
		" SELECT told.mapping_id::text, COALESCE(told.last_synced_at::text, 'it was made'),"
		" pg_catalog.pg_notify('tasksync', pg_catalog.json_build_object('event', 'stale',"
		"  'user_id', told.user_id, 'job_id', NULL, 'mapping_id', told.mapping_id,"
		"  'status', told.sync_status)::text) FROM told"
	};
	int			n = ts_run_args(&stmt, 0, NULL);

	for (int i = 0; i < n; i++)
		ereport(LOG,
				(errmsg("tasksync mapping \"%s\" has not been synced since %s", ts_col(i, 1), ts_col(i, 2)),
				 errhint("The view tasksync.mapping_status tells why.")));
}

static void
close_job(const TsJobEnd *end, const char *status)
{
	static TsStatement stmt = {
		"UPDATE tasksync.sync_job j SET status = $3, finished_at = pg_catalog.clock_timestamp(),"
		" worker_pid = NULL, progress = NULL, result = $4::jsonb, error_code = $5,"
		" error_message = $6, error_detail = $7, error_hint = $8"
		" WHERE j.id = $1 AND j.user_id = $2",
		{INT8OID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID}
	};
	const TsError *err = end->error;
	const TsJob *job = end->job;

	ts_run(&stmt, ts_long(job->id), ts_text(job->user_id), ts_text(status), ts_text(end->result),
		   ts_text(err ? err->sqlstate : NULL), ts_text(err ? err->message : NULL),
		   ts_text(err ? err->detail : NULL), ts_text(err ? err->hint : NULL));
	ts_jobs_notify(job->id, job->user_id, job->mapping_id, status);
}

static void
show_in_provider(const TsJobEnd *end)
{
	static TsStatement stmt = {
		"UPDATE tasksync.task_provider p SET sync_status = CASE WHEN $3::text IS NULL THEN 'OK' ELSE 'ERROR' END,"
		" error_code = $3, error_message = $4,"
		" last_synced_at = CASE WHEN $3 IS NULL THEN pg_catalog.now() ELSE p.last_synced_at END,"
		" retry_after = CASE WHEN $5 > 0 THEN pg_catalog.clock_timestamp() + $5 * interval '1 s' END"
		" WHERE p.id = $1 AND p.user_id = $2",
		{UUIDOID, TEXTOID, TEXTOID, TEXTOID, INT4OID}
	};
	const TsError *err = end->error;

	ts_run(&stmt, ts_uuid(end->job->provider_id), ts_text(end->job->user_id),
		   ts_text(err ? err->sqlstate : NULL), ts_text(err ? err->message : NULL),
		   ts_int(end->retry_after));
}

/* One look of many; whoever began another login has cancelled this one. */
static void
look_again(const TsJobEnd *end)
{
	static TsStatement stmt = {
		"UPDATE tasksync.sync_job j SET status = CASE WHEN j.cancel_requested THEN 'CANCELLED' ELSE 'PENDING' END,"
		" finished_at = CASE WHEN j.cancel_requested THEN pg_catalog.now() END,"
		" worker_pid = NULL, attempts = 0, run_at = pg_catalog.now() + $3 * interval '1 s'"
		" WHERE j.id = $1 AND j.user_id = $2",
		{INT8OID, TEXTOID, INT4OID}
	};

	ts_run(&stmt, ts_long(end->job->id), ts_text(end->job->user_id), ts_int(end->look_again));
}

void
ts_jobs_finish(const TsJobEnd *end)
{
	bool		failed = end->error && ts_failed(end->error);
	TsJobEnd	e = *end;
	TsError		changed = {0};

	if (end->look_again > 0 && !end->cancelled)
	{
		look_again(end);
		return;
	}
	if (!failed)
		e.error = NULL;
	if (end->cancelled)
	{
		e.error = NULL;
		close_job(&e, "CANCELLED");
		return;
	}
	if (end->account_id && !ts_account_refused(end->account_id, end->job->user_id,
											   end->auth_version, end->grant))
	{
		ts_credentials_changed(end->account_id, &changed);
		e.error = &changed;
	}
	show_in_provider(&e);
	if (failed && !is_final(e.error) && end->job->attempts < end->job->max_attempts &&
		try_again(&e))
		return;
	close_job(&e, failed ? "FAILED" : "SUCCEEDED");
}

void
ts_jobs_progress(int64 id, const char *json)
{
	static TsStatement stmt = {
		"UPDATE tasksync.sync_job j SET progress = $2::jsonb WHERE j.id = $1 AND j.status = 'RUNNING'",
		{INT8OID, TEXTOID}
	};

	ts_run(&stmt, ts_long(id), ts_text(json));
}

void
ts_jobs_clean_up(void)
{
	static TsStatement statements[] = {
		{"DELETE FROM tasksync.sync_job WHERE (id, user_id) IN (SELECT id, user_id FROM tasksync.sync_job"
			" WHERE finished_at < pg_catalog.now() - $1 * interval '1 s' LIMIT $2)",
		{INT4OID, INT4OID}},
		{"DELETE FROM tasksync.task_change WHERE (id, user_id) IN (SELECT id, user_id FROM tasksync.task_change"
			" WHERE synced_at < pg_catalog.now() - $1 * interval '1 s' LIMIT $2)",
		{INT4OID, INT4OID}},
		{"DELETE FROM tasksync.task_trash WHERE (id, user_id) IN (SELECT id, user_id FROM tasksync.task_trash"
			" WHERE created_at < pg_catalog.now() - $1 * interval '1 s' LIMIT $2)",
		{INT4OID, INT4OID}},
		{"DELETE FROM tasksync.task_conflict WHERE (id, user_id) IN (SELECT id, user_id FROM tasksync.task_conflict"
			" WHERE resolved_at < pg_catalog.now() - $1 * interval '1 s' LIMIT $2)",
		{INT4OID, INT4OID}},
		{"DELETE FROM tasksync.dead_remote WHERE (mapping_id, external_task_id, user_id) IN"
			" (SELECT mapping_id, external_task_id, user_id FROM tasksync.dead_remote"
			" WHERE died_at < pg_catalog.now() - GREATEST($1 * interval '1 s', interval '180 days') LIMIT $2)",
		{INT4OID, INT4OID}}
	};

	for (int i = 0; i < lengthof(statements); i++)
		ts_run(&statements[i], ts_int(ts_history_retention_s), ts_int(CLEAN_UP_BATCH));
}
