/*-------------------------------------------------------------------------
 *
 * launcher.c
 *	  Processes: who runs where, and starting them.
 *
 * The launcher knows the databases from the shared catalog only.  Whether one
 * has the extension is known inside it alone, so a worker is started to look;
 * it leaves at once where there is nothing to do.  A database where that was
 * so is looked at again when somebody creates the extension (hooks.c), and
 * every few minutes.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_database.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lock.h"
#include "storage/lwlock.h"
#include "storage/proc.h"
#include "storage/procarray.h"
#include "storage/procsignal.h"
#include "storage/shmem.h"
#include "tasksync.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/varlena.h"
#include "worker/failpoint.h"
#include "worker/worker.h"

#define LOCK_CLASS		0x5453	/* our own class of advisory locks: "TS" */
#define NAP_MS			10000	/* between looks at the databases */
#define FULL_NAP_MS		2000	/* … when no process could be had */
#define EMPTY_NAP_MS	120000	/* for one that had nothing for us */
#define START_DELAY_MS	1000	/* first pause before starting a dead worker again, … */
#define MAX_DELAY_MS	60000	/* … doubled up to this */
#define HEALTHY_MS		30000	/* one that lived so long starts afresh */
#define MAX_WORKERS		256

/* Who is there: in shared memory, for those who want to wake them. */
typedef struct WorkerSlot
{
	Oid			database;
	int			pid;
} WorkerSlot;

typedef struct SharedState
{
	LWLock	   *lock;
	int			launcher_pid;
	bool		rescan;			/* a database may have got the extension */
	WorkerSlot	slots[MAX_WORKERS];
} SharedState;

static SharedState *shared = NULL;
static shmem_request_hook_type prev_shmem_request = NULL;
static shmem_startup_hook_type prev_shmem_startup = NULL;

PGDLLEXPORT void ts_launcher_main(Datum arg);

bool
ts_is_preloaded(void)
{
	return shared != NULL;
}

static void
request_shmem(void)
{
	if (prev_shmem_request)
		prev_shmem_request();
	RequestAddinShmemSpace(MAXALIGN(sizeof(SharedState)));
	RequestNamedLWLockTranche("tasksync", 1);
}

static void
startup_shmem(void)
{
	bool		found;

	if (prev_shmem_startup)
		prev_shmem_startup();
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	shared = ShmemInitStruct("tasksync", sizeof(SharedState), &found);
	if (!found)
	{
		memset(shared, 0, sizeof(*shared));
		shared->lock = &(GetNamedLWLockTranche("tasksync"))->lock;
	}
	LWLockRelease(AddinShmemInitLock);
}

void
ts_launcher_register(void)
{
	BackgroundWorker w = {0};

	prev_shmem_request = shmem_request_hook;
	shmem_request_hook = request_shmem;
	prev_shmem_startup = shmem_startup_hook;
	shmem_startup_hook = startup_shmem;

	w.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	w.bgw_start_time = BgWorkerStart_RecoveryFinished;
	w.bgw_restart_time = 5;
	strlcpy(w.bgw_library_name, "tasksync", BGW_MAXLEN);
	strlcpy(w.bgw_function_name, "ts_launcher_main", BGW_MAXLEN);
	strlcpy(w.bgw_name, "tasksync launcher", BGW_MAXLEN);
	strlcpy(w.bgw_type, "tasksync launcher", BGW_MAXLEN);
	RegisterBackgroundWorker(&w);
}

/*
 * Finding and waking
 */

void
ts_wake_process(int pid)
{
	PGPROC	   *proc = pid ? BackendPidGetProc(pid) : NULL;

	if (proc)
		SetLatch(&proc->procLatch);
}

static void
worker_locktag(LOCKTAG *tag, Oid database)
{
	SET_LOCKTAG_ADVISORY(*tag, database, 1, 0, LOCK_CLASS);
}

static int
pid_from_shmem(Oid database)
{
	int			pid = 0;

	LWLockAcquire(shared->lock, LW_SHARED);
	for (int i = 0; i < MAX_WORKERS; i++)
		if (shared->slots[i].database == database && shared->slots[i].pid)
			pid = shared->slots[i].pid;
	LWLockRelease(shared->lock);
	return pid;
}

/* Without shared memory of ours the lock itself tells who holds it. */
static int
pid_from_lock(Oid database)
{
	LockData   *locks = GetLockStatusData();
	LOCKTAG		tag;

	worker_locktag(&tag, database);
	for (int i = 0; i < locks->nelements; i++)
	{
		LockInstanceData *l = &locks->locks[i];

		if (l->holdMask && memcmp(&l->locktag, &tag, sizeof(tag)) == 0)
			return l->pid;
	}
	return 0;
}

int
ts_worker_pid(Oid database)
{
	int			pid = shared ? pid_from_shmem(database) : 0;

	return pid ? pid : pid_from_lock(database);
}

void
ts_wake_worker(Oid database)
{
	ts_wake_process(ts_worker_pid(database));
}

void
ts_wake_launcher(void)
{
	if (shared)
	{
		shared->rescan = true;
		ts_wake_process(shared->launcher_pid);
	}
}

static void
leave_slot(int code, Datum arg)
{
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < MAX_WORKERS; i++)
		if (shared->slots[i].pid == MyProcPid)
			memset(&shared->slots[i], 0, sizeof(WorkerSlot));
	LWLockRelease(shared->lock);
}

bool
ts_worker_lock(void)
{
	LOCKTAG		tag;

	worker_locktag(&tag, MyDatabaseId);
	if (LockAcquire(&tag, ExclusiveLock, true, true) == LOCKACQUIRE_NOT_AVAIL)
		return false;
	if (shared == NULL)
		return true;
	before_shmem_exit(leave_slot, 0);
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < MAX_WORKERS; i++)
		if (shared->slots[i].pid == 0)
		{
			shared->slots[i].database = MyDatabaseId;
			shared->slots[i].pid = MyProcPid;
			break;
		}
	LWLockRelease(shared->lock);
	return true;
}

/*
 * Starting and stopping
 */

static bool
register_worker(Oid database, BackgroundWorkerHandle **handle)
{
	BackgroundWorker w = {0};

	w.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	w.bgw_start_time = BgWorkerStart_RecoveryFinished;
	w.bgw_restart_time = BGW_NEVER_RESTART;
	w.bgw_notify_pid = MyProcPid;
	w.bgw_main_arg = ObjectIdGetDatum(database);
	strlcpy(w.bgw_library_name, "tasksync", BGW_MAXLEN);
	strlcpy(w.bgw_function_name, "ts_worker_main", BGW_MAXLEN);
	ts_pass_failpoints(&w);
	snprintf(w.bgw_name, BGW_MAXLEN, "tasksync worker for database %u", database);
	strlcpy(w.bgw_type, "tasksync worker", BGW_MAXLEN);
	return RegisterDynamicBackgroundWorker(&w, handle);
}

static void
did_not_start(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("the tasksync worker did not start"),
			 errhint("More details may be available in the server log.")));
}

int
ts_start_worker(Oid database)
{
	BackgroundWorkerHandle *handle;
	pid_t		pid = ts_worker_pid(database);

	if (pid)
		return pid;
	if (!register_worker(database, &handle))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("could not start the tasksync worker"),
				 errhint("Raise max_worker_processes.")));
	if (WaitForBackgroundWorkerStartup(handle, &pid) != BGWH_STARTED)
		did_not_start();

	/* It is there for others once it holds its lock; the postmaster tells us of its end. */
	for (int i = 0; i < 500 && ts_worker_pid(database) == 0; i++)
	{
		pid_t		ignored;

		if (GetBackgroundWorkerPid(handle, &ignored) == BGWH_STOPPED)
			did_not_start();
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, 10,
						 PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
	return pid;
}

void
ts_stop_worker(Oid database)
{
	for (int i = 0; i < 100; i++)
	{
		int			pid = ts_worker_pid(database);

		if (pid == 0)
			return;
		if (i % 20 == 0)
			kill(pid, SIGTERM);
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, 50,
						 PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
}

/*
 * The launcher's own memory of a database
 */
typedef struct DatabaseEntry
{
	Oid			oid;
	bool		seen;
	bool		started;		/* a worker of ours was started and not yet missed */
	BackgroundWorkerHandle *handle;
	TimestampTz started_at;
	TimestampTz not_before;
	long		delay_ms;
} DatabaseEntry;

static DatabaseEntry *entries = NULL;
static int	nentries = 0;

static DatabaseEntry *
entry_of(Oid oid)
{
	for (int i = 0; i < nentries; i++)
		if (entries[i].oid == oid)
			return &entries[i];
	if (entries == NULL)
		entries = MemoryContextAlloc(TopMemoryContext, sizeof(DatabaseEntry));
	else
		entries = repalloc(entries, sizeof(DatabaseEntry) * (nentries + 1));
	memset(&entries[nentries], 0, sizeof(DatabaseEntry));
	entries[nentries].oid = oid;
	return &entries[nentries++];
}

bool
ts_is_wanted(const char *name)
{
	char	   *list = pstrdup(ts_databases);
	List	   *names;
	ListCell   *lc;

	if (list[0] == '\0')
		return true;
	if (!SplitIdentifierString(list, ',', &names))
		return false;
	foreach(lc, names)
		if (strcmp(lfirst(lc), name) == 0)
			return true;
	return false;
}

/* Mark the databases that may have the extension. */
static void
scan_databases(void)
{
	Relation	rel;
	TableScanDesc scan;
	HeapTuple	tup;

	for (int i = 0; i < nentries; i++)
		entries[i].seen = false;
	StartTransactionCommand();
	(void) GetTransactionSnapshot();
	rel = table_open(DatabaseRelationId, AccessShareLock);
	scan = table_beginscan_catalog(rel, 0, NULL);
	while (HeapTupleIsValid(tup = heap_getnext(scan, ForwardScanDirection)))
	{
		Form_pg_database db = (Form_pg_database) GETSTRUCT(tup);

		if (!db->datistemplate && db->datallowconn && ts_is_wanted(NameStr(db->datname)))
			entry_of(db->oid)->seen = true;
	}
	table_endscan(scan);
	table_close(rel, AccessShareLock);
	CommitTransactionCommand();

	for (int i = nentries - 1; i >= 0; i--)
		if (!entries[i].seen)
			entries[i] = entries[--nentries];
}

/* A worker that is gone: soon again if it lived, later if it had nothing to do. */
static void
note_end(DatabaseEntry *e)
{
	TimestampTz now = GetCurrentTimestamp();
	bool		healthy = TimestampDifferenceExceeds(e->started_at, now, HEALTHY_MS);
	bool		empty = !TimestampDifferenceExceeds(e->started_at, now, START_DELAY_MS);

	e->started = false;
	pfree(e->handle);
	if (healthy || e->delay_ms == 0)
		e->delay_ms = START_DELAY_MS;
	else
		e->delay_ms = Min(e->delay_ms * 2, empty ? EMPTY_NAP_MS : MAX_DELAY_MS);
	e->not_before = TimestampTzPlusMilliseconds(now, e->delay_ms);
}

static void
start_missing_workers(void)
{
	static bool complained = false;

	for (int i = 0; i < nentries; i++)
	{
		DatabaseEntry *e = &entries[i];
		MemoryContext old;
		bool		registered;
		pid_t		pid;

		if (e->started && GetBackgroundWorkerPid(e->handle, &pid) == BGWH_STOPPED)
			note_end(e);
		if (e->started || GetCurrentTimestamp() < e->not_before || ts_worker_pid(e->oid))
			continue;
		/* the handle is looked at in later rounds */
		old = MemoryContextSwitchTo(TopMemoryContext);
		registered = register_worker(e->oid, &e->handle);
		MemoryContextSwitchTo(old);
		if (registered)
		{
			e->started = true;
			e->started_at = GetCurrentTimestamp();
			complained = false;
		}
		else
		{
			e->not_before = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), FULL_NAP_MS);
			if (!complained)
				ereport(LOG,
						(errmsg("no process for a tasksync worker"),
						 errhint("Raise max_worker_processes.")));
			complained = true;
		}
	}
}

/* How long until something may be due. */
static long
nap(void)
{
	TimestampTz now = GetCurrentTimestamp();
	long		ms = NAP_MS;

	for (int i = 0; i < nentries; i++)
		if (!entries[i].started)
			ms = Min(ms, Max(100, TimestampDifferenceMilliseconds(now, entries[i].not_before)));
	return ms;
}

static void
leave_launcher(int code, Datum arg)
{
	shared->launcher_pid = 0;
}

void
ts_launcher_main(Datum arg)
{
	MemoryContext cxt;

	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnection(NULL, NULL, 0);
	before_shmem_exit(leave_launcher, 0);
	shared->launcher_pid = MyProcPid;
	cxt = AllocSetContextCreate(TopMemoryContext, "tasksync launcher", ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(cxt);

	for (;;)
	{
		scan_databases();
		MemoryContextSwitchTo(cxt);
		start_missing_workers();
		MemoryContextReset(cxt);
		pgstat_report_activity(STATE_IDLE, NULL);
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, nap(),
						 PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();

		if (shared->rescan)
		{
			shared->rescan = false;
			for (int i = 0; i < nentries; i++)
				entries[i].not_before = 0;
		}
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
		}
	}
}
