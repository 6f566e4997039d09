/*-------------------------------------------------------------------------
 *
 * backend.c
 *	  Transactions of the engine, and the table of its store functions.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "store/backend.h"
#include "store/sql.h"
#include "tasksync.h"
#include "track/track.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "worker/failpoint.h"

void
ts_error_from_catch(TsError *err)
{
	ErrorData  *e = CopyErrorData();

	FlushErrorState();
	memset(err, 0, sizeof(*err));
	strlcpy(err->sqlstate, unpack_sql_state(e->sqlerrcode), sizeof(err->sqlstate));
	err->message = e->message ? pstrdup(e->message) : pstrdup("unknown error");
	err->detail = e->detail ? pstrdup(e->detail) : NULL;
	err->hint = e->hint ? pstrdup(e->hint) : NULL;
	FreeErrorData(e);
}

bool
ts_in_transaction(void (*body) (void *arg), void *arg, TsError *err)
{
	MemoryContext caller = CurrentMemoryContext;
	volatile bool ok = false;

	PG_TRY();
	{
		TsIdentity	saved;

		ts_step("before a transaction");
		SetCurrentStatementStartTimestamp();
		StartTransactionCommand();
		PushActiveSnapshot(GetTransactionSnapshot());
		SPI_connect();
		ts_become_owner(&saved);
		MemoryContextSwitchTo(caller);
		body(arg);
		ts_restore_identity(&saved);
		SPI_finish();
		PopActiveSnapshot();
		ts_step("before a commit");
		CommitTransactionCommand();
		ts_step("after a commit");
		ok = true;
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(caller);
		ts_error_from_catch(err);
		ts_apply_mapping = NULL;
		AbortCurrentTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(caller);
	return ok;
}

static bool
transact(void *db, void (*body) (void *arg), void *arg, TsError *err)
{
	if (!((TsDb *) db)->in_transaction)
		return ts_in_transaction(body, arg, err);
	body(arg);
	return true;
}

static int64
next_seq(void *db)
{
	static TsStatement stmt = {"SELECT pg_catalog.nextval('tasksync.sync_seq')"};

	ts_run_args(&stmt, 0, NULL);
	return ts_col_long(0, 1);
}

const TsStore ts_sql_store = {
	.transact = transact,
	.next_seq = next_seq,
	.known = ts_store_known,
	.external_ids = ts_store_external_ids,
	.links = ts_store_links,
	.links_by_task = ts_store_links_by_task,
	.parents = ts_store_parents,
	.circular = ts_store_circular,
	.unlinked = ts_store_unlinked,
	.inbox_put = ts_store_inbox_put,
	.inbox = ts_store_inbox,
	.inbox_drop = ts_store_inbox_drop,
	.relink_moves = ts_store_relink_moves,
	.apply = ts_store_apply,
	.pull_end = ts_store_pull_end,
	.scope_known = ts_store_scope_known,
	.swinging = ts_store_swinging,
	.candidates = ts_store_candidates,
	.intents_put = ts_store_intents_put,
	.intents = ts_store_intents,
	.intents_doubt = ts_store_intents_doubt,
	.push_end = ts_store_push_end,
	.list_made = ts_store_list_made,
	.list_agreed = ts_store_list_agreed,
	.hold = ts_store_hold,
	.list_missing = ts_store_list_missing,
	.mapping_end = ts_store_mapping_end,
};
