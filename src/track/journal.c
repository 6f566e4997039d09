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
 * and kept.  One for a few rows must never be used for many, nor the reverse: a
 * hash join over all links is as bad for one row as a loop is for a million.
 */
#define MANY_ROWS	1000

static SPIPlanPtr plans[N_EVENTS][2];

static void write_journal(TriggerData *trigger, Event event);
static char *journal_sql(Event event);
static void append_changed_insert(StringInfo sql);
static void append_changed_update(StringInfo sql);
static void append_changed_delete(StringInfo sql);
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
	SPIPlanPtr *plan;

	if (n_rows == 0)
		return;
	plan = &plans[event][n_rows >= MANY_ROWS];
	if (*plan == NULL)
		ts_plan(plan, journal_sql(event), 1, types);
	if (SPI_execute_plan(*plan, &mapping, isnull ? "n" : " ", false, 0) != SPI_OK_INSERT)
		elog(ERROR, "could not write the journal");
	if (SPI_processed > 0)
		ts_wake_on_commit();
}

/*
 * "changed" holds a row for each task that changed, as "t" of
 * TS_MAPPING_CARRIES_TASK, with the change itself in "data".  $1 is the mapping
 * that a sync writes from.  Inserting again what was deleted finds links too.
 */
static char *
journal_sql(Event event)
{
	static const char *const words[N_EVENTS] = {"CREATE", "UPDATE", "DELETE"};
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfoString(&sql,
						   "WITH changed (id, user_id, project_id, provider_id, data) AS (");
	if (event == EVENT_INSERT)
		append_changed_insert(&sql);
	else if (event == EVENT_UPDATE)
		append_changed_update(&sql);
	else
		append_changed_delete(&sql);
	appendStringInfo(&sql, "), concerned (user_id, task_id, provider_id, mapping_id, data) AS ("
					 " SELECT t.user_id, t.id, m.provider_id, m.id, t.data"
					 " FROM changed t JOIN tasksync.task_list_mapping m"
					 "  ON m.project_id = t.project_id AND m.user_id = t.user_id"
					 " WHERE %s AND %s"
					 " UNION ALL"
					 " SELECT t.user_id, t.id, m.provider_id, m.id, t.data"
					 " FROM changed t JOIN tasksync.task_link l"
					 "  ON l.task_id = t.id AND l.user_id = t.user_id"
					 " JOIN tasksync.task_list_mapping m"
					 "  ON m.id = l.mapping_id AND m.user_id = l.user_id"
					 " WHERE %s AND (%s) IS NOT TRUE) ",
					 TS_MAPPING_PUSHES, TS_MAPPING_CARRIES_TASK,
					 TS_MAPPING_PUSHES, TS_MAPPING_CARRIES_TASK);
	appendStringInfo(&sql, "INSERT INTO tasksync.task_change"
					 " (user_id, task_id, provider_id, mapping_id, change_type, change_data)"
					 " SELECT user_id, task_id, provider_id, mapping_id, '%s', data"
					 " FROM concerned WHERE mapping_id IS DISTINCT FROM $1",
					 words[event]);
	return sql.data;
}

/* {"column": {"old": null, "new": …}} for what is set */
static void
append_changed_insert(StringInfo sql)
{
	appendStringInfoString(sql,
						   "SELECT n.id, n.user_id, n.project_id, n.provider_id,"
						   " (SELECT jsonb_object_agg(c.name,"
						   "   jsonb_build_object('old', NULL, 'new', c.new))"
						   "  FROM (VALUES ");
	for (int i = 0; ts_task_user_columns[i] != NULL; i++)
		appendStringInfo(sql, "%s('%s', to_jsonb(n.%s))", i > 0 ? ", " : "",
						 ts_task_user_columns[i], ts_task_user_columns[i]);
	appendStringInfoString(sql, ") c (name, new) WHERE c.new IS NOT NULL)"
						   " FROM new_rows n");
}

/* {"column": {"old": …, "new": …}} for what differs; no row where nothing does */
static void
append_changed_update(StringInfo sql)
{
	appendStringInfoString(sql,
						   "SELECT n.id, n.user_id, n.project_id, n.provider_id, d.data"
						   " FROM new_rows n JOIN old_rows o"
						   "  ON o.id = n.id AND o.user_id = n.user_id"
						   " CROSS JOIN LATERAL"
						   " (SELECT jsonb_object_agg(c.name,"
						   "   jsonb_build_object('old', c.old, 'new', c.new))"
						   "  FROM (VALUES ");
	for (int i = 0; ts_task_user_columns[i] != NULL; i++)
		appendStringInfo(sql, "%s('%s', to_jsonb(o.%s), to_jsonb(n.%s))", i > 0 ? ", " : "",
						 ts_task_user_columns[i], ts_task_user_columns[i],
						 ts_task_user_columns[i]);
	appendStringInfoString(sql, ") c (name, old, new)"
						   "  WHERE c.old IS DISTINCT FROM c.new) d (data)"
						   " WHERE d.data IS NOT NULL");
}

/* {"column": {"old": …, "new": null}} for every column: the task can be revived */
static void
append_changed_delete(StringInfo sql)
{
	appendStringInfoString(sql,
						   "SELECT o.id, o.user_id, o.project_id, o.provider_id,"
						   " (SELECT jsonb_object_agg(c.key,"
						   "   jsonb_build_object('old', c.value, 'new', NULL))"
						   "  FROM jsonb_each(to_jsonb(o)) c)"
						   " FROM old_rows o");
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
ts_plan(SPIPlanPtr *plan, const char *sql, int nargs, Oid *argtypes)
{
	if (*plan == NULL)
	{
		SPIPlanPtr	made = SPI_prepare(sql, nargs, argtypes);

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
