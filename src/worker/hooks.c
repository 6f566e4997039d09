/*-------------------------------------------------------------------------
 *
 * hooks.c
 *	  Commits and DDL that concern the workers.
 *
 * A transaction that changed tasks, or queued a job, wakes the worker once,
 * when it commits.  (PREPARE TRANSACTION wakes nobody at COMMIT PREPARED: the
 * worker finds the change at its next look.)
 *
 * With the library preloaded, DDL is watched in every session: DROP DATABASE
 * and its like end the worker first, since they wait for nobody for long;
 * CREATE EXTENSION and ALTER EXTENSION tell the launcher.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_database.h"
#include "commands/dbcommands.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "tcop/utility.h"
#include "track/track.h"
#include "utils/acl.h"
#include "utils/syscache.h"
#include "worker/worker.h"

static ProcessUtility_hook_type prev_process_utility = NULL;
bool		ts_is_worker = false;

static bool wake_at_commit = false;
static bool wake_launcher_at_commit = false;

static void
at_transaction_end(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_COMMIT)
	{
		if (wake_at_commit)
			ts_wake_worker(MyDatabaseId);
		if (wake_launcher_at_commit)
			ts_wake_launcher();
	}
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE)
		wake_at_commit = wake_launcher_at_commit = false;
}

/* The worker itself need not be woken: it looks again after every job. */
void
ts_wake_worker_on_commit(void)
{
	wake_at_commit = !ts_is_worker;
}

/* DROP EXTENSION of ours? */
static bool
drops_us(const Node *stmt)
{
	ListCell   *lc;

	if (!IsA(stmt, DropStmt) || ((const DropStmt *) stmt)->removeType != OBJECT_EXTENSION)
		return false;
	foreach(lc, ((const DropStmt *) stmt)->objects)
		if (strcmp(strVal(lfirst(lc)), "tasksync") == 0)
			return true;
	return false;
}

/* ALTER EXTENSION … UPDATE of ours? */
static bool
updates_us(const Node *stmt)
{
	return IsA(stmt, AlterExtensionStmt) &&
		strcmp(((const AlterExtensionStmt *) stmt)->extname, "tasksync") == 0;
}

/*
 * The database that a statement needs to be free of our worker, or InvalidOid.
 * DROP EXTENSION, and the script of an update, lock our tables one after the other, and would meet the
 * worker's transactions in a deadlock.
 */
static Oid
database_to_be_left(const Node *stmt)
{
	const char *name = NULL;
	ListCell   *lc;

	if (drops_us(stmt) || updates_us(stmt))
		return MyDatabaseId;
	if (IsA(stmt, DropdbStmt))
		name = ((const DropdbStmt *) stmt)->dbname;
	else if (IsA(stmt, RenameStmt) && ((const RenameStmt *) stmt)->renameType == OBJECT_DATABASE)
		name = ((const RenameStmt *) stmt)->subname;
	else if (IsA(stmt, AlterDatabaseStmt))
	{
		foreach(lc, ((const AlterDatabaseStmt *) stmt)->options)
			if (strcmp(((const DefElem *) lfirst(lc))->defname, "tablespace") == 0)
				name = ((const AlterDatabaseStmt *) stmt)->dbname;
	}
	else if (IsA(stmt, CreatedbStmt))
	{
		foreach(lc, ((const CreatedbStmt *) stmt)->options)
		{
			const DefElem *option = lfirst(lc);

			if (strcmp(option->defname, "template") == 0 && option->arg &&
				IsA(option->arg, String))
				name = strVal(option->arg);
		}
	}
	return name ? get_database_oid(name, true) : InvalidOid;
}

/*
 * May the user do what the database's worker has to end for?  If not, the
 * statement says so, and who has no rights must not stop everybody's syncs.
 */
static bool
may_end_worker(const Node *stmt, Oid database)
{
	HeapTuple	tuple;
	bool		is_template;

	if (drops_us(stmt) || updates_us(stmt))
		return superuser() ||
			pg_extension_ownercheck(get_extension_oid("tasksync", true), GetUserId());
	if (pg_database_ownercheck(database, GetUserId()))
		return true;
	tuple = SearchSysCache1(DATABASEOID, ObjectIdGetDatum(database));
	is_template = HeapTupleIsValid(tuple) &&
		((Form_pg_database) GETSTRUCT(tuple))->datistemplate;
	if (HeapTupleIsValid(tuple))
		ReleaseSysCache(tuple);
	return IsA(stmt, CreatedbStmt) && is_template;
}

static void
process_utility(PlannedStmt *pstmt, const char *queryString, bool readOnlyTree,
				ProcessUtilityContext context, ParamListInfo params,
				QueryEnvironment *queryEnv, DestReceiver *dest, QueryCompletion *qc)
{
	const Node *stmt = pstmt->utilityStmt;
	Oid			database = database_to_be_left(stmt);

	if (OidIsValid(database) && (database != MyDatabaseId || drops_us(stmt) || updates_us(stmt)) &&
		may_end_worker(stmt, database))
		ts_stop_worker(database);

	if (prev_process_utility)
		prev_process_utility(pstmt, queryString, readOnlyTree, context, params, queryEnv, dest, qc);
	else
		standard_ProcessUtility(pstmt, queryString, readOnlyTree, context, params, queryEnv,
								dest, qc);

	if (IsA(stmt, CreateExtensionStmt) || IsA(stmt, CreatedbStmt) || updates_us(stmt))
		wake_launcher_at_commit = true;
	if (drops_us(stmt))
		wake_at_commit = true;
}

void
ts_worker_init(void)
{
	RegisterXactCallback(at_transaction_end, NULL);
	ts_wake_hook = ts_wake_worker_on_commit;
	if (!process_shared_preload_libraries_in_progress || IsBinaryUpgrade)
		return;
	prev_process_utility = ProcessUtility_hook;
	ProcessUtility_hook = process_utility;
	ts_launcher_register();
}
