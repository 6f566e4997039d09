/*-------------------------------------------------------------------------
 *
 * cycle.c
 *	  No task is its own ancestor.
 *
 * Checked after the statement and not row by row, since a statement may set
 * several parents at once.  (A task that is its own parent breaks a CHECK.)
 *
 *-------------------------------------------------------------------------
 */
#include "track/track.h"

#include "access/xact.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"

/* Tasks that an UPDATE has put under another parent. */
#define MOVED_ROWS \
	"moved (id, user_id, parent_task_id) AS (" \
	" SELECT n.id, n.user_id, n.parent_task_id FROM new_rows n" \
	" JOIN old_rows o ON o.id = n.id AND o.user_id = n.user_id" \
	" WHERE n.parent_task_id IS NOT NULL" \
	"  AND n.parent_task_id IS DISTINCT FROM o.parent_task_id)"

/*
 * A new task can only close a circle with others of its own statement: nothing
 * else can point at it yet.
 */
#define NEW_PARENTS \
	"moved (id, user_id, parent_task_id) AS (" \
	" SELECT n.id, n.user_id, n.parent_task_id FROM new_rows n" \
	" WHERE n.parent_task_id IS NOT NULL AND EXISTS (SELECT FROM new_rows c" \
	"  WHERE c.parent_task_id = n.id AND c.user_id = n.user_id))"

/* UNION, not UNION ALL: it ends in a circle too. */
#define FIND_CYCLE \
	", ancestor (id, user_id, of_task) AS (" \
	" SELECT parent_task_id, user_id, id FROM moved" \
	" UNION" \
	" SELECT t.parent_task_id, a.user_id, a.of_task" \
	" FROM ancestor a JOIN tasksync.task t ON t.id = a.id AND t.user_id = a.user_id" \
	" WHERE t.parent_task_id IS NOT NULL)" \
	" SELECT id FROM ancestor WHERE id = of_task LIMIT 1"

static bool lock_users_of_moved_tasks(void);

/*
 * Two transactions that each put a task under the other's would not see each
 * other.  So all that move a user's tasks take turns, and the one that comes
 * later looks with the latest snapshot, whatever its isolation level.
 */
void
ts_refuse_cycles(TriggerData *trigger)
{
	static SPIPlanPtr after_insert = NULL;
	static SPIPlanPtr after_update = NULL;
	SPIPlanPtr	plan;

	if (TRIGGER_FIRED_BY_INSERT(trigger->tg_event))
		plan = ts_plan(&after_insert, "WITH RECURSIVE " NEW_PARENTS FIND_CYCLE, 0, NULL, 0);
	else if (lock_users_of_moved_tasks())
		plan = ts_plan(&after_update, "WITH RECURSIVE " MOVED_ROWS FIND_CYCLE, 0, NULL, 0);
	else
		return;

	CommandCounterIncrement();
	if (SPI_execute_snapshot(plan, NULL, NULL, GetLatestSnapshot(), InvalidSnapshot,
							 false, false, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not look for cycles of parents");
	if (SPI_processed > 0)
		ereport(ERROR,
				(errcode(ERRCODE_CHECK_VIOLATION),
				 errmsg("task \"%s\" would become a subtask of itself",
						SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1)),
				 errhint("Move one of the tasks out of the circle first.")));
}

/* In the order of user_id, so that nobody waits in a circle; whether there are any. */
static bool
lock_users_of_moved_tasks(void)
{
	static SPIPlanPtr plan = NULL;

	ts_plan(&plan, "WITH " MOVED_ROWS
			" SELECT pg_advisory_xact_lock(hashtextextended('tasksync parents', hashtextextended(u.user_id, 0)))"
			" FROM (SELECT DISTINCT user_id FROM moved ORDER BY user_id) u",
			0, NULL, 0);
	if (SPI_execute_plan(plan, NULL, NULL, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not lock the users of moved tasks");
	return SPI_processed > 0;
}
