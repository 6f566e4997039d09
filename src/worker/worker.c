/*-------------------------------------------------------------------------
 *
 * worker.c
 *	  The worker of one database: its loop.
 *
 * Between two waits no transaction is open.  Every round asks first whether
 * the extension is still there: DROP EXTENSION ends us, and we hold nothing
 * that it would have to wait for.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "commands/dbcommands.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "secret/secret.h"
#include "storage/ipc.h"
#include "store/backend.h"
#include "tasksync.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "worker/failpoint.h"
#include "worker/jobs.h"
#include "worker/runner.h"
#include "worker/token.h"
#include "worker/worker.h"

#define IDLE_MS			10000	/* the longest sleep */
#define BUSY_MS			1000	/* … while something runs: progress, cancellation */
#define FAILED_MS		5000	/* … when a look for work has failed */
#define LOCKED_MS		200		/* … when something is due that others hold */
#define CLEAN_UP_MS		(10 * 60 * 1000)
#define STALE_MS		60000	/* … between looks for mappings that no sync gets through to */

PGDLLEXPORT void ts_worker_main(Datum arg);

typedef struct Worker
{
	MemoryContext cxt;
	MemoryContext round;		/* reset every round */
	TsNet	   *net;
	TsRunner  **runners;
	int			nrunners;
	int			max_runners;
	bool		has_predecessor;	/* what a dead worker left was not looked for yet */
	int64	   *orphans;		/* jobs that it left, and that are not taken over yet */
	int			norphans;
	TimestampTz cleaned_at;
	TimestampTz stale_looked_at;
	long		sleep_ms;
} Worker;

/* What one round asks the database, in one transaction. */
typedef struct Round
{
	Worker	   *worker;
	bool		installed;
	TsJob	   *jobs;
	int			njobs;
	int64	   *cancelled;
	int			ncancelled;
	long		next_due;
} Round;

/*
 * Is there something to work for?  An extension of another version is not for
 * this library: ALTER EXTENSION … UPDATE ends us, and the launcher starts anew.
 */
static bool
is_installed(void)
{
	TsError		err = {0};
	char	   *version;
	bool		installed;

	StartTransactionCommand();
	version = ts_extension_version();
	installed = version && ts_check_version(version, &err);
	if (ts_failed(&err))
		ereport(LOG,
				(errmsg("tasksync worker for database \"%s\" does not work: %s",
						get_database_name(MyDatabaseId), err.message),
				 errhint("%s", err.hint)));
	CommitTransactionCommand();
	return installed;
}

/* What is about to be sent is on disk before it is sent, or nobody could ever tell. */
static void
fix_durability(void)
{
	if (synchronous_commit == SYNCHRONOUS_COMMIT_OFF)
		SetConfigOption("synchronous_commit", "local", PGC_USERSET, PGC_S_OVERRIDE);
}

/* New settings may take the database from us, unless we were started by hand. */
static void
reload_settings(void)
{
	bool		wanted = true;

	ConfigReloadPending = false;
	ProcessConfigFile(PGC_SIGHUP);
	fix_durability();
	if (ts_is_preloaded())
	{
		StartTransactionCommand();
		wanted = ts_is_wanted(get_database_name(MyDatabaseId));
		CommitTransactionCommand();
	}
	if (!wanted)
		proc_exit(0);
}

static void
orphans_body(void *arg)
{
	Worker	   *w = arg;
	MemoryContext old = MemoryContextSwitchTo(w->cxt);

	w->orphans = ts_jobs_orphans(&w->norphans);
	MemoryContextSwitchTo(old);
}

static void
take_over_body(void *arg)
{
	ts_jobs_take_over(*(int64 *) arg);
}

/*
 * Take over from a worker that died, each job in a transaction of its own: one
 * whose successor is being queued in somebody's open transaction has to wait
 * for that, and the others must not.  False: nothing may be claimed yet.
 */
static bool
take_over(Worker *w)
{
	TsError		err = {0};
	int			n = 0;

	if (w->has_predecessor && !ts_in_transaction(orphans_body, w, &err))
	{
		w->norphans = 0;
		ereport(LOG, (errmsg("tasksync worker could not take over: %s", err.message)));
		return false;
	}
	w->has_predecessor = false;
	for (int i = 0; i < w->norphans; i++)
		if (!ts_in_transaction(take_over_body, &w->orphans[i], &err))
			w->orphans[n++] = w->orphans[i];
	w->norphans = n;
	return true;
}

static void
round_body(void *arg)
{
	Round	   *r = arg;
	Worker	   *w = r->worker;

	if (w->nrunners > 0)
		r->cancelled = ts_jobs_cancelled(&r->ncancelled);
	ts_jobs_schedule();
	if (w->nrunners < ts_max_concurrent_syncs)
		r->jobs = ts_jobs_claim(ts_max_concurrent_syncs - w->nrunners, &r->njobs);
	r->next_due = ts_jobs_next_due(IDLE_MS);
}

static void
clean_up_body(void *arg)
{
	ts_jobs_clean_up();
}

static void
prune_body(void *arg)
{
	ts_keys_prune();
}

/* Where the secrets are in use (55P03), the keys are looked at again soon. */
static void
clean_up(Worker *w)
{
	TsError		err = {0};

	w->cleaned_at = GetCurrentTimestamp();
	if (!ts_in_transaction(clean_up_body, NULL, &err))
		ereport(LOG, (errmsg("tasksync worker could not clean up: %s", err.message)));
	if (ts_in_transaction(prune_body, NULL, &err))
		return;
	if (strcmp(err.sqlstate, "55P03") == 0)
		w->cleaned_at = TimestampTzPlusMilliseconds(w->cleaned_at, IDLE_MS - CLEAN_UP_MS);
	else
		ereport(LOG, (errmsg("tasksync worker could not look at the keys: %s", err.message)));
}

static void
stale_body(void *arg)
{
	ts_jobs_tell_stale();
}

static void
look_for_stale(Worker *w)
{
	TsError		err = {0};

	w->stale_looked_at = GetCurrentTimestamp();
	if (!ts_in_transaction(stale_body, NULL, &err))
		ereport(LOG, (errmsg("tasksync worker could not look for stale mappings: %s", err.message)));
}

static void
add_runner(Worker *w, const TsJob *job)
{
	if (w->nrunners == w->max_runners)
	{
		w->max_runners = Max(16, w->max_runners * 2);
		w->runners = w->runners
			? repalloc(w->runners, sizeof(TsRunner *) * w->max_runners)
			: palloc(sizeof(TsRunner *) * w->max_runners);
	}
	w->runners[w->nrunners++] = ts_runner_start(w->net, job);
}

static bool
drop_finished(Worker *w)
{
	int			n = 0;

	for (int i = 0; i < w->nrunners; i++)
		if (ts_runner_is_done(w->runners[i]))
			ts_runner_free(w->runners[i]);
		else
			w->runners[n++] = w->runners[i];
	if (n == w->nrunners)
		return false;
	w->nrunners = n;
	return true;
}

static void
cancel_runners(Worker *w, const Round *r)
{
	for (int i = 0; i < r->ncancelled; i++)
		for (int j = 0; j < w->nrunners; j++)
			if (ts_runner_job(w->runners[j]) == r->cancelled[i])
				ts_runner_cancel(w->runners[j]);
}

/*
 * One round: schedule, claim, start.  A failure of the round itself (a lock
 * timeout, a read-only phase) is logged and tried again at the next one.
 */
static void
look_for_work(Worker *w)
{
	Round		r = {w};
	TsError		err = {0};
	MemoryContext old = MemoryContextSwitchTo(w->round);
	bool		unrecorded = ts_tokens_tend();

	w->sleep_ms = FAILED_MS;
	if (!take_over(w))
		 /* it was logged */ ;
	else if (!ts_in_transaction(round_body, &r, &err))
		ereport(LOG, (errmsg("tasksync worker could not look for work: %s", err.message)));
	else
	{
		ts_jobs_scheduled();

		/*
		 * What is due and yet could not be taken is locked by somebody's open
		 * transaction: that is no reason to ask without a pause.
		 */
		w->sleep_ms = r.njobs > 0 ? r.next_due : Max(r.next_due, LOCKED_MS);
		if (w->norphans > 0 || unrecorded)
			w->sleep_ms = Min(w->sleep_ms, LOCKED_MS);
		MemoryContextSwitchTo(w->cxt);
		cancel_runners(w, &r);
		for (int i = 0; i < r.njobs; i++)
			add_runner(w, &r.jobs[i]);
	}
	MemoryContextSwitchTo(old);
	MemoryContextReset(w->round);
}

static void
tend(Worker *w)
{
	MemoryContext old = MemoryContextSwitchTo(w->round);

	for (int i = 0; i < w->nrunners; i++)
		ts_runner_report(w->runners[i]);
	if (ConfigReloadPending)
	{
		reload_settings();
		w->cleaned_at = w->stale_looked_at = 0;
	}
	if (TimestampDifferenceExceeds(w->cleaned_at, GetCurrentTimestamp(), CLEAN_UP_MS))
		clean_up(w);
	if (TimestampDifferenceExceeds(w->stale_looked_at, GetCurrentTimestamp(), STALE_MS))
		look_for_stale(w);
	MemoryContextSwitchTo(old);
	MemoryContextReset(w->round);
}

static void
run(Worker *w)
{
	TimestampTz looked_at = 0;
	bool		look = true;

	for (;;)
	{
		long		wait_ms;

		if (look || TimestampDifferenceExceeds(looked_at, GetCurrentTimestamp(),
											   w->nrunners ? Min(BUSY_MS, w->sleep_ms) : w->sleep_ms))
		{
			if (!is_installed())
				proc_exit(0);
			looked_at = GetCurrentTimestamp();
			look_for_work(w);
		}
		look = drop_finished(w);
		tend(w);
		pgstat_report_stat(true);
		pgstat_report_activity(w->nrunners ? STATE_RUNNING : STATE_IDLE, w->nrunners ? "syncing" : NULL);
		wait_ms = look ? 0 : w->nrunners ? Min(BUSY_MS, w->sleep_ms) : w->sleep_ms;
		MemoryContextSwitchTo(w->cxt);
		if (ts_net_wait(w->net, wait_ms))
			look = true;
		CHECK_FOR_INTERRUPTS();
		look |= drop_finished(w);
	}
}

/*
 * The engine's statements look up rows by key, a batch at a time, in tables
 * that may have grown a thousandfold since their last ANALYZE.  How to run them
 * is known beforehand: by index, whatever the statistics of a moment ago say.
 * (A FULL JOIN is hashed all the same, having no other way; JIT would be
 * called for by the costs that the switched-off plans pretend.)
 */
static void
fix_plans(void)
{
	static const char *const off[] = {
		"enable_seqscan", "enable_bitmapscan", "enable_hashjoin", "enable_mergejoin",
		"enable_material", "jit"
	};

	for (int i = 0; i < lengthof(off); i++)
		SetConfigOption(off[i], "off", PGC_USERSET, PGC_S_OVERRIDE);

	/*
	 * A row that a user's open transaction has locked must not stop everybody
	 * else's syncs: the item is set aside and tried again.
	 */
	SetConfigOption("lock_timeout", "300ms", PGC_SUSET, PGC_S_OVERRIDE);

	/* What a database sets for its sessions is not meant for us: see lock_rows(). */
	SetConfigOption("session_replication_role", "origin", PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("default_transaction_isolation", "read committed", PGC_USERSET, PGC_S_OVERRIDE);
	SetConfigOption("default_transaction_read_only", "off", PGC_USERSET, PGC_S_OVERRIDE);
	SetConfigOption("statement_timeout", "0", PGC_USERSET, PGC_S_OVERRIDE);
	fix_durability();
}

void
ts_worker_main(Datum arg)
{
	Worker	   *w;
	MemoryContext cxt;

	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnectionByOid(DatumGetObjectId(arg), InvalidOid, 0);

	ts_is_worker = true;
	if (!is_installed())
		proc_exit(0);
	if (!ts_worker_lock())
		proc_exit(0);
	pgstat_report_appname("tasksync");
	fix_plans();

	cxt = AllocSetContextCreate(TopMemoryContext, "tasksync worker", ALLOCSET_DEFAULT_SIZES);
	w = MemoryContextAllocZero(cxt, sizeof(Worker));
	w->cxt = cxt;
	w->round = AllocSetContextCreate(cxt, "tasksync round", ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(cxt);
	w->net = ts_net_create(cxt);
	ts_tokens_begin(w->net, cxt);
	w->cleaned_at = w->stale_looked_at = GetCurrentTimestamp();
	w->has_predecessor = true;
	ts_arm_failpoints(MyBgworkerEntry);
	run(w);
}
