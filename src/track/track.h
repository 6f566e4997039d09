/*-------------------------------------------------------------------------
 *
 * track.h
 *	  The triggers of our tables.
 *
 * BEFORE ROW triggers normalise what users write: NULLs get their defaults,
 * completed_at follows status, updated_at moves when a user's column changes,
 * ids never change.  AFTER STATEMENT triggers with transition tables write the
 * journal (task_change) in one statement, as the owner: users cannot write to
 * it.  Guards keep the cascades, TRUNCATE and a restore from doing harm.
 *
 * The room is entered by PostgreSQL alone, except for the two variables below.
 * It knows no provider and no network, and takes user_id from the rows, never
 * from the session.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TASKSYNC_TRACK_H
#define TASKSYNC_TRACK_H

#include "tasksync.h"

#include "commands/trigger.h"
#include "executor/spi.h"

/*
 * The mapping that a sync is writing from, as a uuid's text; NULL while users
 * write.  The engine sets it around its writes (and resets it when they fail):
 * they are journalled for other mappings, not for this one, and the user's own
 * conveniences (PENDING, percent_complete) stay out of the way.
 */
extern const char *ts_apply_mapping;

/*
 * Called after something was written that the worker should look at; it is to
 * arrange for the worker to be woken at commit, and must be cheap to call
 * often.  NULL where there is no worker.
 */
extern void (*ts_wake_hook) (void);

extern void ts_wake_on_commit(void);

/*
 * NEW (or OLD) of a BEFORE ROW trigger, taken apart by column number - 1.
 */
typedef struct TsRow
{
	TupleDesc	desc;
	HeapTuple	tuple;
	Datum	   *values;
	bool	   *nulls;
	bool		changed;		/* to be put together again by ts_row_result */
} TsRow;

/*
 * ts_trigger_data: the call's TriggerData; ERROR where it is not a call by the
 *		trigger manager, at the given level and time.
 * ts_row_open: takes a tuple apart; values point into the tuple.
 * ts_row_column: a column's index; ERROR where the table has none of that name.
 * ts_row_set, ts_row_set_null: change a column.
 * ts_row_same: whether a column is byte for byte the same in two rows.
 * ts_row_result: what the trigger answers.
 */
extern TriggerData *ts_trigger_data(FunctionCallInfo fcinfo, TriggerEvent when);
extern void ts_row_open(TsRow *row, TupleDesc desc, HeapTuple tuple);
extern int	ts_row_column(const TsRow *row, const char *name);
extern void ts_row_set(TsRow *row, int column, Datum value);
extern void ts_row_set_null(TsRow *row, int column);
extern bool ts_row_same(const TsRow *a, const TsRow *b, int column);
extern Datum ts_row_result(const TsRow *row);

/*
 * What all tables have in common.
 *
 * ts_row_fill_defaults: gives NOT NULL columns that are NULL their defaults.
 * ts_row_keep_ids: ERROR where id or user_id changes.
 */
extern void ts_row_fill_defaults(TsRow *row, Relation rel);
extern void ts_row_keep_ids(const TsRow *row, const TsRow *old, Relation rel);

/*
 * Columns of task that are the user's: a change of one of them moves
 * updated_at and is journalled.  The list ends with NULL.
 */
extern const char *const ts_task_user_columns[];

/*
 * Which mappings a task's changes concern, in SQL over a mapping "m" and a
 * task "t": those of its project that may push, if the task has its home there,
 * has none in this project (it is new, or has come from another project), or
 * the mapping mirrors the tasks of other homes.
 */
#define TS_MAPPING_PUSHES "m.sync_direction <> 'FROM_PROVIDER'"
#define TS_MAPPING_CARRIES_TASK \
	"(m.project_id = t.project_id AND" \
	" (m.mirror OR t.provider_id IS NULL OR t.provider_id = m.provider_id OR" \
	"  NOT EXISTS (SELECT FROM tasksync.task_list_mapping h" \
	"   WHERE h.provider_id = t.provider_id AND h.project_id = t.project_id" \
	"   AND h.user_id = t.user_id)))"

/*
 * ts_plan: a plan kept for the life of the backend; *plan is made when NULL,
 *		with these options of SPI_prepare_cursor().  To be called with SPI
 *		connected and as the owner.
 */
extern SPIPlanPtr ts_plan(SPIPlanPtr *plan, const char *sql, int nargs, Oid *argtypes,
						  int options);

/* ts_refuse_cycles: 23514 where a statement made a task its own ancestor. */
extern void ts_refuse_cycles(TriggerData *trigger);

/*
 * ts_zone_name: the IANA name of a zone in its own spelling, or NULL where
 *		there is no such zone.
 */
extern const char *ts_zone_name(const char *name);

#endif							/* TASKSYNC_TRACK_H */
