/*-------------------------------------------------------------------------
 *
 * guards.c
 *	  What follows for mappings: their state row, the projects' list of external
 *	  ids, tasks that lose their home, and TRUNCATE.
 *
 *-------------------------------------------------------------------------
 */
#include "track/track.h"

#include "catalog/pg_type.h"
#include "utils/rel.h"

PG_FUNCTION_INFO_V1(tasksync_mapping_changed);
PG_FUNCTION_INFO_V1(tasksync_mapping_goes);
PG_FUNCTION_INFO_V1(tasksync_replace_state);
PG_FUNCTION_INFO_V1(tasksync_hold_all);
PG_FUNCTION_INFO_V1(tasksync_wake);

/* The columns of a mapping that the statements below take, in this order. */
typedef struct MappingRow
{
	Datum		id;
	Datum		user_id;
	Datum		project_id;
	Datum		provider_id;
} MappingRow;

static MappingRow mapping_row(const TsRow *row);
static bool any_differs(const TsRow *a, const TsRow *b, const char *const *columns);
static void compare_siblings(MappingRow mapping);
static void look_anew(MappingRow mapping);
static void list_external_ids(MappingRow mapping);
static void run(SPIPlanPtr *plan, const char *sql, Datum first, Datum second, Datum third);

/*
 * AFTER ROW on task_list_mapping.  A mapping that is made, enabled or pointed
 * elsewhere may have missed journal rows of transactions that were already
 * running; its state row remembers since when it cannot.
 */
Datum
tasksync_mapping_changed(PG_FUNCTION_ARGS)
{
	static const char *const scope[] = {
		"sync_enabled", "sync_direction", "project_id", "mirror", NULL
	};
	static const char *const direction[] = {"sync_direction", NULL};
	static const char *const place[] = {"project_id", "external_list_id", NULL};
	static SPIPlanPtr make_state = NULL;
	static SPIPlanPtr renew_state = NULL;
	TriggerData *trigger = ts_trigger_data(fcinfo, TRIGGER_EVENT_ROW | TRIGGER_EVENT_AFTER);
	TupleDesc	desc = RelationGetDescr(trigger->tg_relation);
	TsIdentity	caller;
	TsRow		row;
	TsRow		updated;
	MappingRow	mapping;

	ts_become_owner(&caller);
	SPI_connect();
	ts_row_open(&row, desc, trigger->tg_trigtuple);
	mapping = mapping_row(&row);
	if (TRIGGER_FIRED_BY_UPDATE(trigger->tg_event))
	{
		ts_row_open(&updated, desc, trigger->tg_newtuple);
		if (any_differs(&row, &updated, scope))
		{
			run(&renew_state, "UPDATE tasksync.mapping_state"
				" SET enabled_xid = pg_current_xact_id(), compared_at = NULL"
				" WHERE mapping_id = $1 AND user_id = $2",
				mapping.id, mapping.user_id, mapping.project_id);
			compare_siblings(mapping);
		}
		if (any_differs(&row, &updated, direction))
			look_anew(mapping);
		if (any_differs(&row, &updated, place))
		{
			list_external_ids(mapping);
			list_external_ids(mapping_row(&updated));
		}
	}
	else
	{
		if (TRIGGER_FIRED_BY_INSERT(trigger->tg_event))
		{
			run(&make_state, "INSERT INTO tasksync.mapping_state (mapping_id, user_id)"
				" VALUES ($1, $2)",
				mapping.id, mapping.user_id, mapping.project_id);
			compare_siblings(mapping);
		}
		list_external_ids(mapping);
	}
	SPI_finish();
	ts_restore_identity(&caller);
	ts_wake_on_commit();
	return PointerGetDatum(NULL);
}

/* Tasks that left other lists for this project may move there now. */
static void
compare_siblings(MappingRow mapping)
{
	static SPIPlanPtr plan = NULL;

	run(&plan, "UPDATE tasksync.mapping_state s SET compared_at = NULL"
		" FROM tasksync.task_list_mapping m"
		" WHERE m.id = s.mapping_id AND m.user_id = s.user_id AND m.id <> $1"
		" AND m.user_id = $2 AND s.compared_at IS NOT NULL AND (m.provider_id = $3"
		"  OR EXISTS (SELECT FROM tasksync.task_link l WHERE l.mapping_id = m.id"
		"   AND l.user_id = m.user_id AND l.state = 'FROZEN'))",
		mapping.id, mapping.user_id, mapping.provider_id);
}

/*
 * Another direction: what one side did and was let be until now counts again.
 * So all objects are read anew, and what was deleted there under a direction
 * that does not take that over is no longer out of the game.
 */
static void
look_anew(MappingRow mapping)
{
	static SPIPlanPtr listing = NULL;
	static SPIPlanPtr links = NULL;

	run(&listing, "UPDATE tasksync.mapping_state SET cursor = NULL"
		" WHERE mapping_id = $1 AND user_id = $2",
		mapping.id, mapping.user_id, mapping.project_id);
	run(&links, "UPDATE tasksync.task_link l SET etag = NULL,"
		" local_base = CASE WHEN l.state = 'DEAD' THEN '{}' ELSE l.local_base END,"
		" remote_base = CASE WHEN l.state = 'DEAD' THEN '{}' ELSE l.remote_base END,"
		" state = CASE WHEN l.state = 'DEAD' AND EXISTS (SELECT FROM tasksync.task t"
		"  WHERE t.id = l.task_id AND t.user_id = l.user_id) THEN 'LIVE' ELSE l.state END"
		" WHERE l.mapping_id = $1 AND l.user_id = $2",
		mapping.id, mapping.user_id, mapping.project_id);
}

/*
 * BEFORE DELETE ROW on task_list_mapping, while its links are still there.
 * Tasks that have their home through it stay, as local tasks; what was open
 * between the two sides is settled for the one that remains, and what was still
 * to be sent is not.
 */
Datum
tasksync_mapping_goes(PG_FUNCTION_ARGS)
{
	static SPIPlanPtr disconnect = NULL;
	static SPIPlanPtr settle = NULL;
	static SPIPlanPtr forget = NULL;
	TriggerData *trigger = ts_trigger_data(fcinfo, TRIGGER_EVENT_ROW | TRIGGER_EVENT_BEFORE);
	TsIdentity	caller;
	TsRow		row;
	MappingRow	mapping;

	ts_become_owner(&caller);
	SPI_connect();
	ts_row_open(&row, RelationGetDescr(trigger->tg_relation), trigger->tg_trigtuple);
	mapping = mapping_row(&row);
	run(&disconnect, "UPDATE tasksync.task t SET provider_id = NULL"
		" WHERE t.id = ANY (ARRAY(SELECT l.task_id FROM tasksync.task_link l"
		"  WHERE l.mapping_id = $1 AND l.user_id = $2)) AND t.user_id = $2 AND t.provider_id = $3"
		" AND t.external_task_id IS NOT DISTINCT FROM"
		"  (SELECT l.external_task_id FROM tasksync.task_link l"
		"   WHERE l.task_id = t.id AND l.mapping_id = $1 AND l.user_id = $2)",
		mapping.id, mapping.user_id, mapping.provider_id);
	run(&settle, "UPDATE tasksync.task_conflict"
		" SET resolution = 'LOCAL', resolved_at = now()"
		" WHERE mapping_id = $1 AND user_id = $2 AND resolution IS NULL",
		mapping.id, mapping.user_id, mapping.provider_id);
	run(&forget, "DELETE FROM tasksync.task_change WHERE mapping_id = $1 AND user_id = $2",
		mapping.id, mapping.user_id, mapping.provider_id);
	SPI_finish();
	ts_restore_identity(&caller);
	return PointerGetDatum(trigger->tg_trigtuple);
}

/*
 * BEFORE INSERT ROW on mapping_state.  Restoring a mapping makes its state row;
 * the restored state row then takes that one's place.
 */
Datum
tasksync_replace_state(PG_FUNCTION_ARGS)
{
	static SPIPlanPtr plan = NULL;
	TriggerData *trigger = ts_trigger_data(fcinfo, TRIGGER_EVENT_ROW | TRIGGER_EVENT_BEFORE);
	TsIdentity	caller;
	TsRow		row;
	int			mapping_id;

	ts_become_owner(&caller);
	SPI_connect();
	ts_row_open(&row, RelationGetDescr(trigger->tg_relation), trigger->tg_trigtuple);
	mapping_id = ts_row_column(&row, "mapping_id");
	run(&plan, "DELETE FROM tasksync.mapping_state WHERE mapping_id = $1 AND user_id = $2",
		row.values[mapping_id], row.values[ts_row_column(&row, "user_id")],
		row.values[mapping_id]);
	SPI_finish();
	ts_restore_identity(&caller);
	return PointerGetDatum(trigger->tg_trigtuple);
}

/*
 * AFTER TRUNCATE on task.  Nobody can say which tasks were meant, so nothing is
 * journalled and nothing is deleted anywhere: every mapping waits for a person.
 */
Datum
tasksync_hold_all(PG_FUNCTION_ARGS)
{
	TsIdentity	caller;

	(void) ts_trigger_data(fcinfo, TRIGGER_EVENT_AFTER);
	ts_become_owner(&caller);
	SPI_connect();
	if (SPI_execute("UPDATE tasksync.task_list_mapping"
					" SET sync_status = 'HELD', error_code = '55000',"
					" error_message = 'all tasks were removed here by TRUNCATE; nothing was deleted at the service'",
					false, 0) != SPI_OK_UPDATE ||
		SPI_execute("UPDATE tasksync.mapping_state SET held = '{\"why\": \"TRUNCATE\"}'",
					false, 0) != SPI_OK_UPDATE)
		elog(ERROR, "could not hold the mappings after TRUNCATE");
	SPI_finish();
	ts_restore_identity(&caller);
	return PointerGetDatum(NULL);
}

/* AFTER STATEMENT, wherever a change is something that the worker should see. */
Datum
tasksync_wake(PG_FUNCTION_ARGS)
{
	(void) ts_trigger_data(fcinfo, TRIGGER_EVENT_AFTER);
	ts_wake_on_commit();
	return PointerGetDatum(NULL);
}

static MappingRow
mapping_row(const TsRow *row)
{
	MappingRow	mapping;

	mapping.id = row->values[ts_row_column(row, "id")];
	mapping.user_id = row->values[ts_row_column(row, "user_id")];
	mapping.project_id = row->values[ts_row_column(row, "project_id")];
	mapping.provider_id = row->values[ts_row_column(row, "provider_id")];
	return mapping;
}

static bool
any_differs(const TsRow *a, const TsRow *b, const char *const *columns)
{
	for (; *columns != NULL; columns++)
	{
		if (!ts_row_same(a, b, ts_row_column(a, *columns)))
			return true;
	}
	return false;
}

/*
 * project.external_project_ids: provider -> list.  The project is locked by a
 * statement of its own, so that the next one sees the mappings of whoever held
 * the lock before.
 */
static void
list_external_ids(MappingRow mapping)
{
	static SPIPlanPtr lock = NULL;
	static SPIPlanPtr list = NULL;

	run(&lock, "SELECT FROM tasksync.project WHERE id = $1 AND user_id = $2"
		" FOR NO KEY UPDATE",
		mapping.project_id, mapping.user_id, mapping.id);
	run(&list, "UPDATE tasksync.project p SET external_project_ids = e.ids"
		" FROM (SELECT coalesce(jsonb_object_agg(m.provider_id::text, m.external_list_id),"
		"  '{}') AS ids FROM tasksync.task_list_mapping m"
		"  WHERE m.project_id = $1 AND m.user_id = $2 AND m.external_list_id IS NOT NULL) e"
		" WHERE p.id = $1 AND p.user_id = $2 AND p.external_project_ids <> e.ids",
		mapping.project_id, mapping.user_id, mapping.id);
}

/*
 * A statement of (uuid, text, uuid), of which it may ignore the last.  Planned
 * each time: a mapping may have any number of tasks.
 */
static void
run(SPIPlanPtr *plan, const char *sql, Datum first, Datum second, Datum third)
{
	Oid			types[3] = {UUIDOID, TEXTOID, UUIDOID};
	Datum		values[3] = {first, second, third};
	int			result;

	ts_plan(plan, sql, 3, types, CURSOR_OPT_CUSTOM_PLAN);
	result = SPI_execute_plan(*plan, values, NULL, false, 0);
	if (result < 0)
		elog(ERROR, "could not execute \"%s\": %s", sql, SPI_result_code_string(result));
}
