/*-------------------------------------------------------------------------
 *
 * journal.c
 *	  AFTER STATEMENT triggers on task: what happened, for whom it matters.
 *
 * One statement of a user becomes one statement here, however many rows it has.
 * A task's row goes to every mapping that it concerns: those of its project
 * that carry it, and those that still have a link to it (it was deleted, or has
 * moved out of the mapping's project).  A change of columns that are not the
 * user's is no event.
 *
 *-------------------------------------------------------------------------
 */
#include "track/track.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/rel.h"
#include "utils/rls.h"
#include "utils/tuplestore.h"
#include "utils/uuid.h"

PG_FUNCTION_INFO_V1(tasksync_journal);

const char *ts_apply_mapping = NULL;
void		(*ts_wake_hook) (void) = NULL;

typedef enum Event
{
	EVENT_INSERT,
	EVENT_UPDATE,
	EVENT_DELETE,
	N_EVENTS
} Event;

/*
 * A plan is made with the number of changed rows that it first meets in mind,
 * and the tables as they are, and kept.  That is fine for a few rows.  For many,
 * a hash join over all links may be right or a loop over an index, and the plan
 * is made anew.
 */
#define MANY_ROWS	50

static SPIPlanPtr plans[N_EVENTS][2];

static void write_journal(TriggerData *trigger, Event event);
static void have_all_compared(void);
static char *journal_sql(Event event, TupleDesc desc);
static void append_differences(StringInfo sql, Event event);
static void append_whole_row(StringInfo sql, TupleDesc desc);
static Datum apply_mapping_datum(bool *isnull);

Datum
tasksync_journal(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = ts_trigger_data(fcinfo, TRIGGER_EVENT_AFTER);
	TsIdentity	caller;
	Event		event;

	if (TRIGGER_FIRED_BY_INSERT(trigger->tg_event))
		event = EVENT_INSERT;
	else if (TRIGGER_FIRED_BY_UPDATE(trigger->tg_event))
		event = EVENT_UPDATE;
	else
		event = EVENT_DELETE;

	ts_become_owner(&caller);
	SPI_connect();
	if (SPI_register_trigger_data(trigger) != SPI_OK_TD_REGISTER)
		elog(ERROR, "could not register the changed rows");
	if (event != EVENT_DELETE)
		ts_refuse_cycles(trigger);
	if (event == EVENT_INSERT && !row_security)
		have_all_compared();
	else
		write_journal(trigger, event);
	SPI_finish();
	ts_restore_identity(&caller);
	return PointerGetDatum(NULL);
}

static void
write_journal(TriggerData *trigger, Event event)
{
	Tuplestorestate *rows = event == EVENT_DELETE ?
		trigger->tg_oldtable : trigger->tg_newtable;
	int64		n_rows = tuplestore_tuple_count(rows);
	Oid			types[1] = {UUIDOID};
	bool		isnull;
	Datum		mapping = apply_mapping_datum(&isnull);
	bool		many = n_rows >= MANY_ROWS;
	SPIPlanPtr *plan = &plans[event][many];

	if (n_rows == 0)
		return;
	if (*plan == NULL)
		ts_plan(plan, journal_sql(event, RelationGetDescr(trigger->tg_relation)),
				1, types, many ? CURSOR_OPT_CUSTOM_PLAN : 0);
	if (SPI_execute_plan(*plan, &mapping, isnull ? "n" : " ", false, 0) != SPI_OK_INSERT)
		elog(ERROR, "could not write the journal");
	if (SPI_processed > 0)
		ts_wake_on_commit();
}

/*
 * Whoever restores a dump has row_security off; pg_dump sees to that.  The
 * journal of those tasks is in the dump, and rows written here would take its
 * ids.  In place of them, the next sync compares all tasks with their links.
 */
static void
have_all_compared(void)
{
	static SPIPlanPtr plan = NULL;

	ts_plan(&plan, "UPDATE tasksync.mapping_state"
			" SET enabled_xid = pg_current_xact_id(), compared_at = NULL"
			" WHERE (mapping_id, user_id) IN"
			"  (SELECT m.id, m.user_id FROM new_rows t"
			"   JOIN tasksync.task_list_mapping m"
			"    ON m.project_id = t.project_id AND m.user_id = t.user_id)",
			0, NULL, CURSOR_OPT_CUSTOM_PLAN);
	if (SPI_execute_plan(plan, NULL, NULL, false, 0) != SPI_OK_UPDATE)
		elog(ERROR, "could not have restored tasks compared");
	if (SPI_processed > 0)
		ts_wake_on_commit();
}

/*
 * "concerned" pairs each changed task, as "t" of TS_MAPPING_CARRIES_TASK, with
 * its mappings; only then is the change itself worked out, for many a task
 * concerns none.  $1 is the mapping that a sync writes from.
 */
static char *
journal_sql(Event event, TupleDesc desc)
{
	static const char *const words[N_EVENTS] = {"CREATE", "UPDATE", "DELETE"};
	const char *changed = event == EVENT_DELETE ? "old_rows" : "new_rows";
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql, "WITH concerned (id, user_id, provider_id, mapping_id) AS ("
					 " SELECT t.id, t.user_id, m.provider_id, m.id"
					 " FROM %s t JOIN tasksync.task_list_mapping m"
					 "  ON m.project_id = t.project_id AND m.user_id = t.user_id"
					 " WHERE %s AND %s AND m.id IS DISTINCT FROM $1"
					 " UNION ALL"
					 " SELECT t.id, t.user_id, m.provider_id, m.id"
					 " FROM %s t JOIN tasksync.task_link l"
					 "  ON l.task_id = t.id AND l.user_id = t.user_id"
					 " JOIN tasksync.task_list_mapping m"
					 "  ON m.id = l.mapping_id AND m.user_id = l.user_id"
					 " WHERE %s AND (%s) IS NOT TRUE AND m.id IS DISTINCT FROM $1) ",
					 changed, TS_MAPPING_PUSHES, TS_MAPPING_CARRIES_TASK,
					 changed, TS_MAPPING_PUSHES, TS_MAPPING_CARRIES_TASK);
	appendStringInfo(&sql, "INSERT INTO tasksync.task_change"
					 " (user_id, task_id, provider_id, mapping_id, change_type, change_data)"
					 " SELECT c.user_id, c.id, c.provider_id, c.mapping_id, '%s', d.data"
					 " FROM concerned c",
					 words[event]);
	if (event != EVENT_DELETE)
		appendStringInfoString(&sql, " JOIN new_rows n"
							   " ON n.id = c.id AND n.user_id = c.user_id");
	if (event != EVENT_INSERT)
		appendStringInfoString(&sql, " JOIN old_rows o"
							   " ON o.id = c.id AND o.user_id = c.user_id");
	appendStringInfoString(&sql, " CROSS JOIN LATERAL (SELECT ");
	if (event == EVENT_DELETE)
		append_whole_row(&sql, desc);
	else
		append_differences(&sql, event);
	appendStringInfoString(&sql, ") d (data) WHERE d.data IS NOT NULL");
	return sql.data;
}

/*
 * {"column": {"old": …, "new": …}} for what differs, and NULL where nothing
 * does.  All that a new task has set differs from what was not there.
 */
static void
append_differences(StringInfo sql, Event event)
{
	appendStringInfoString(sql, "jsonb_object_agg(v.name,"
						   " jsonb_build_object('old', v.old, 'new', v.new))"
						   " FROM (VALUES ");
	for (int i = 0; ts_task_user_columns[i] != NULL; i++)
	{
		const char *column = ts_task_user_columns[i];

		appendStringInfo(sql, "%s('%s', ", i > 0 ? ", " : "", column);
		if (event == EVENT_INSERT)
			appendStringInfo(sql, "NULL::jsonb, to_jsonb(n.%s))", column);
		else
			appendStringInfo(sql, "to_jsonb(o.%s), to_jsonb(n.%s))", column, column);
	}
	appendStringInfoString(sql, ") v (name, old, new)"
						   " WHERE v.old IS DISTINCT FROM v.new");
}

/* {"column": {"old": …}} for every column: the task can be revived */
static void
append_whole_row(StringInfo sql, TupleDesc desc)
{
	const char *separator = "";

	appendStringInfoString(sql, "jsonb_build_object(");
	for (int i = 0; i < desc->natts; i++)
	{
		const char *column = NameStr(TupleDescAttr(desc, i)->attname);

		if (TupleDescAttr(desc, i)->attisdropped)
			continue;
		appendStringInfo(sql, "%s%s, jsonb_build_object('old', o.%s)",
						 separator, quote_literal_cstr(column), quote_identifier(column));
		separator = ", ";
	}
	appendStringInfoString(sql, ")");
}

static Datum
apply_mapping_datum(bool *isnull)
{
	*isnull = ts_apply_mapping == NULL;
	if (*isnull)
		return (Datum) 0;
	return DirectFunctionCall1(uuid_in, CStringGetDatum(ts_apply_mapping));
}

SPIPlanPtr
ts_plan(SPIPlanPtr *plan, const char *sql, int nargs, Oid *argtypes, int options)
{
	if (*plan == NULL)
	{
		SPIPlanPtr	made = SPI_prepare_cursor(sql, nargs, argtypes, options);

		if (made == NULL)
			elog(ERROR, "could not prepare \"%s\": %s",
				 sql, SPI_result_code_string(SPI_result));
		SPI_keepplan(made);
		*plan = made;
	}
	return *plan;
}

void
ts_wake_on_commit(void)
{
	if (ts_wake_hook != NULL)
		ts_wake_hook();
}
