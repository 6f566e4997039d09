/*-------------------------------------------------------------------------
 *
 * jobs.h
 *	  The rows of sync_job, as the worker handles them.
 *
 * All of these run in a transaction of their own (ts_in_transaction).
 *
 *-------------------------------------------------------------------------
 */
#ifndef TASKSYNC_JOBS_H
#define TASKSYNC_JOBS_H

#include "sync/sync.h"

typedef struct TsJob
{
	int64		id;
	char	   *user_id;
	char	   *provider_id;
	char	   *mapping_id;		/* NULL: all of the provider */
	char	   *kind;
	char	   *list_id;		/* DELETE_LIST */
	char	   *account_id;		/* OAUTH */
	int			attempts;
	int			max_attempts;
} TsJob;

/* What became of a job. */
typedef struct TsJobEnd
{
	const TsJob *job;
	const TsError *error;		/* NULL or empty: succeeded */
	bool		cancelled;
	bool		auth_failed;
	int			retry_after;
	int			look_again;		/* no end, in fact: the job is due again in so many seconds */
	const char *result;			/* JSON */
	const char *account_id;		/* auth_failed: whose credentials were refused, or NULL … */
	const char *auth_version;	/* … and which (TsAuth's) */
	int			grant;
} TsJobEnd;

/* At start: the jobs that a dead worker left RUNNING; and each is PENDING again. */
extern int64 *ts_jobs_orphans(int *n);
extern void ts_jobs_take_over(int64 id);

/* For who queues a job of a mapping: held until the end of the transaction. */
extern void ts_jobs_lock_mapping(const char *mapping_id);

/* Queue what is due: providers by their schedule, mappings with new changes. */
extern void ts_jobs_schedule(void);

/* … and that is committed. */
extern void ts_jobs_scheduled(void);

/* Up to n jobs that are due become RUNNING; allocated in CurrentMemoryContext. */
extern TsJob *ts_jobs_claim(int max, int *n);

/* Milliseconds until something is due, at most max_ms. */
extern long ts_jobs_next_due(long max_ms);

/* Which of the running jobs were asked to stop. */
extern int64 *ts_jobs_cancelled(int *n);

/* NOTIFY that a job has ended. */
extern void ts_jobs_notify(int64 id, const char *user_id, const char *mapping_id, const char *status);

extern void ts_jobs_finish(const TsJobEnd *end);
extern void ts_jobs_progress(int64 id, const char *json);

/* NOTIFY and LOG, once each time, which mappings no sync gets through to any more. */
extern void ts_jobs_tell_stale(void);

/* Old history goes, in batches. */
extern void ts_jobs_clean_up(void);

#endif							/* TASKSYNC_JOBS_H */
