/*-------------------------------------------------------------------------
 *
 * keep_row.c
 *	  BEFORE ROW triggers: what is filled in, what follows from what, and what
 *	  never changes.  Nothing that was given is overwritten, so that a dump
 *	  restores to what it was.
 *
 *-------------------------------------------------------------------------
 */
#include "track/track.h"

#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/rel.h"
#include "utils/timestamp.h"
#include "utils/xid8.h"
#include "access/xact.h"

PG_FUNCTION_INFO_V1(tasksync_keep_row);
PG_FUNCTION_INFO_V1(tasksync_keep_task);
PG_FUNCTION_INFO_V1(tasksync_stamp_xid);

const char *const ts_task_user_columns[] = {
	"project_id", "parent_task_id", "title", "description", "status",
	"priority", "start_date", "start_time", "due_date", "due_time",
	"time_zone", "duration_minutes", "percent_complete", "completed_at",
	"recurrence_rule", "remind_at", "tags", "url", "is_auto_scheduled", NULL
};

/* Columns of task by number - 1; looked up once a statement. */
typedef struct TaskColumns
{
	int			n_user_columns;
	int			user_columns[lengthof(ts_task_user_columns)];
	int			status;
	int			start_date;
	int			start_time;
	int			due_date;
	int			due_time;
	int			time_zone;
	int			recurrence_rule;
	int			percent_complete;
	int			completed_at;
	int			updated_at;
	int			source;
	int			provider_id;
	int			external_task_id;
	int			external_url;
	int			external_updated_at;
	int			last_synced_at;
	int			sync_status;
} TaskColumns;

static void refuse_password_in_url(const TsRow *row, const TsRow *old, Relation rel);
static const TaskColumns *task_columns(FunctionCallInfo fcinfo, const TsRow *row);
static void normalise_zone(TsRow *row, const TsRow *old, const TaskColumns *c,
						   Relation rel);
static void check_rule(TsRow *row, const TsRow *old, const TaskColumns *c, Relation rel);
static void clear_time_without_date(TsRow *row, const TsRow *old, int date, int time);
static void follow_status(TsRow *row, const TsRow *old, const TaskColumns *c);
static void forget_home(TsRow *row, const TsRow *old, const TaskColumns *c);
static bool user_columns_changed(const TsRow *row, const TsRow *old, const TaskColumns *c);
static void touch(TsRow *row, const TsRow *old, int updated_at);
static bool is_word(const TsRow *row, int column, const char *word);

/*
 * For the tables with an id and an updated_at.  The trigger's arguments are the
 * columns that are the users': when one of them changes, updated_at moves.
 */
Datum
tasksync_keep_row(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = ts_trigger_data(fcinfo, TRIGGER_EVENT_ROW |
										   TRIGGER_EVENT_BEFORE);
	Relation	rel = trigger->tg_relation;
	TsRow		row;
	TsRow		old;

	if (TRIGGER_FIRED_BY_INSERT(trigger->tg_event))
	{
		ts_row_open(&row, RelationGetDescr(rel), trigger->tg_trigtuple);
		ts_row_fill_defaults(&row, rel);
		refuse_password_in_url(&row, NULL, rel);
		return ts_row_result(&row);
	}

	ts_row_open(&row, RelationGetDescr(rel), trigger->tg_newtuple);
	ts_row_open(&old, RelationGetDescr(rel), trigger->tg_trigtuple);
	ts_row_keep_ids(&row, &old, rel);
	ts_row_fill_defaults(&row, rel);
	refuse_password_in_url(&row, &old, rel);
	for (int i = 0; i < trigger->tg_trigger->tgnargs; i++)
	{
		int			column = ts_row_column(&row, trigger->tg_trigger->tgargs[i]);

		if (!ts_row_same(&row, &old, column))
		{
			touch(&row, &old, ts_row_column(&row, "updated_at"));
			break;
		}
	}
	return ts_row_result(&row);
}

/* The same for task, and what is special to tasks. */
Datum
tasksync_keep_task(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = ts_trigger_data(fcinfo, TRIGGER_EVENT_ROW |
										   TRIGGER_EVENT_BEFORE);
	Relation	rel = trigger->tg_relation;
	const TaskColumns *c;
	TsRow		row;
	TsRow		old;

	if (TRIGGER_FIRED_BY_INSERT(trigger->tg_event))
	{
		ts_row_open(&row, RelationGetDescr(rel), trigger->tg_trigtuple);
		c = task_columns(fcinfo, &row);
		ts_row_fill_defaults(&row, rel);
		normalise_zone(&row, NULL, c, rel);
		check_rule(&row, NULL, c, rel);
		follow_status(&row, NULL, c);
		return ts_row_result(&row);
	}

	ts_row_open(&row, RelationGetDescr(rel), trigger->tg_newtuple);
	ts_row_open(&old, RelationGetDescr(rel), trigger->tg_trigtuple);
	c = task_columns(fcinfo, &row);
	ts_row_keep_ids(&row, &old, rel);
	ts_row_fill_defaults(&row, rel);
	forget_home(&row, &old, c);
	if (!user_columns_changed(&row, &old, c))
		return ts_row_result(&row);

	normalise_zone(&row, &old, c, rel);
	check_rule(&row, &old, c, rel);
	clear_time_without_date(&row, &old, c->start_date, c->start_time);
	clear_time_without_date(&row, &old, c->due_date, c->due_time);
	follow_status(&row, &old, c);
	touch(&row, &old, c->updated_at);
	if (ts_apply_mapping == NULL && !row.nulls[c->provider_id] &&
		ts_row_same(&row, &old, c->sync_status) &&
		!is_word(&row, c->sync_status, "CONFLICT"))
		ts_row_set(&row, c->sync_status, CStringGetTextDatum("PENDING"));
	return ts_row_result(&row);
}

/*
 * The trigger's argument is a column of type xid8 that is to hold the writing
 * transaction.  Whatever was given is overwritten: a restored row comes with
 * the number of a transaction of another server, which means nothing here, or
 * worse, lies in the future.
 */
Datum
tasksync_stamp_xid(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = ts_trigger_data(fcinfo, TRIGGER_EVENT_ROW |
										   TRIGGER_EVENT_BEFORE);
	FullTransactionId xid = GetCurrentFullTransactionId();
	TsRow		row;
	int			column;

	ts_row_open(&row, RelationGetDescr(trigger->tg_relation), trigger->tg_trigtuple);
	column = ts_row_column(&row, trigger->tg_trigger->tgargs[0]);
	if (row.nulls[column] ||
		!FullTransactionIdEquals(DatumGetFullTransactionId(row.values[column]), xid))
		ts_row_set(&row, column, FullTransactionIdGetDatum(xid));
	return ts_row_result(&row);
}

/* Has a URL a user name, and with it perhaps a password, before its host? */
static bool
has_user_name(const char *url, size_t len)
{
	const char *end = url + len;
	const char *p = url;

	while (p + 1 < end && !(p[0] == '/' && p[1] == '/'))
		p++;
	for (p += 2; p < end && strchr("/?#", *p) == NULL; p++)
	{
		if (*p == '@')
			return true;
	}
	return false;
}

/*
 * Settings are read and dumped as they are: a password must not get there in a
 * URL.  A CHECK would do, but its message shows the row.
 */
static void
refuse_password_in_url(const TsRow *row, const TsRow *old, Relation rel)
{
	static const char *const members[] = {"url", "base_url", "login_url"};
	int			attnum = SPI_fnumber(row->desc, "settings");
	Jsonb	   *settings;

	if (attnum <= 0 || row->nulls[attnum - 1] ||
		(old != NULL && ts_row_same(row, old, attnum - 1)))
		return;
	settings = DatumGetJsonbP(row->values[attnum - 1]);
	if (!JB_ROOT_IS_OBJECT(settings))
		return;					/* a CHECK refuses it */
	for (int i = 0; i < lengthof(members); i++)
	{
		JsonbValue	value;

		if (getKeyJsonValueFromContainer(&settings->root, members[i], strlen(members[i]),
										 &value) != NULL &&
			value.type == jbvString &&
			has_user_name(value.val.string.val, value.val.string.len))
			ereport(ERROR,
					(errcode(ERRCODE_CHECK_VIOLATION),
					 errmsg("the \"%s\" in settings has a user name in it", members[i]),
					 errhint("User name and password belong in the account's credentials."),
					 errtablecol(rel, attnum)));
	}
}

/* Kept in the trigger's call information, which lives as long as the query. */
static const TaskColumns *
task_columns(FunctionCallInfo fcinfo, const TsRow *row)
{
	TaskColumns *c = fcinfo->flinfo->fn_extra;

	if (c != NULL)
		return c;
	c = MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt, sizeof(TaskColumns));
	for (; ts_task_user_columns[c->n_user_columns] != NULL; c->n_user_columns++)
		c->user_columns[c->n_user_columns] =
			ts_row_column(row, ts_task_user_columns[c->n_user_columns]);
	c->status = ts_row_column(row, "status");
	c->start_date = ts_row_column(row, "start_date");
	c->start_time = ts_row_column(row, "start_time");
	c->due_date = ts_row_column(row, "due_date");
	c->due_time = ts_row_column(row, "due_time");
	c->time_zone = ts_row_column(row, "time_zone");
	c->recurrence_rule = ts_row_column(row, "recurrence_rule");
	c->percent_complete = ts_row_column(row, "percent_complete");
	c->completed_at = ts_row_column(row, "completed_at");
	c->updated_at = ts_row_column(row, "updated_at");
	c->source = ts_row_column(row, "source");
	c->provider_id = ts_row_column(row, "provider_id");
	c->external_task_id = ts_row_column(row, "external_task_id");
	c->external_url = ts_row_column(row, "external_url");
	c->external_updated_at = ts_row_column(row, "external_updated_at");
	c->last_synced_at = ts_row_column(row, "last_synced_at");
	c->sync_status = ts_row_column(row, "sync_status");
	fcinfo->flinfo->fn_extra = c;
	return c;
}

/* A rule that is new here must be one that RFC 5545 knows. */
static void
check_rule(TsRow *row, const TsRow *old, const TaskColumns *c, Relation rel)
{
	TsError		err = {0};
	char	   *given;

	if (row->nulls[c->recurrence_rule] ||
		(old != NULL && ts_row_same(row, old, c->recurrence_rule)))
		return;
	given = TextDatumGetCString(row->values[c->recurrence_rule]);
	if (ts_value_canonical(TS_RECURRENCE_RULE, given, &err) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_CHECK_VIOLATION),
				 errmsg("recurrence rule \"%s\" of a task cannot be understood", given),
				 errhint("Use the value of an RFC 5545 RRULE, such as FREQ=WEEKLY;BYDAY=MO."),
				 errtablecol(rel, c->recurrence_rule + 1)));
}

/* A zone that is new here must be one that calendars know; its spelling is theirs. */
static void
normalise_zone(TsRow *row, const TsRow *old, const TaskColumns *c, Relation rel)
{
	char	   *given;
	const char *name;

	if (row->nulls[c->time_zone] ||
		(old != NULL && ts_row_same(row, old, c->time_zone)))
		return;
	given = TextDatumGetCString(row->values[c->time_zone]);
	name = ts_zone_name(given);
	if (name == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_CHECK_VIOLATION),
				 errmsg("time zone \"%s\" of a task is not known", given),
				 errhint("Use an IANA name as listed in pg_timezone_names, or NULL for a floating time."),
				 errtablecol(rel, c->time_zone + 1)));
	if (strcmp(name, given) != 0)
		ts_row_set(row, c->time_zone, CStringGetTextDatum(name));
}

/*
 * Taking a date away takes its time away.  A time given without a date is left
 * to the CHECK, except to a sync: a service may well take the date away while a
 * time is set here.
 */
static void
clear_time_without_date(TsRow *row, const TsRow *old, int date, int time)
{
	if (row->nulls[date] && (!old->nulls[date] || ts_apply_mapping != NULL))
		ts_row_set_null(row, time);
}

/*
 * A completed task has a time of completion; it goes when the task is opened
 * again.  When a user (not a sync) does that, percent_complete follows.
 */
static void
follow_status(TsRow *row, const TsRow *old, const TaskColumns *c)
{
	bool		is_done = is_word(row, c->status, "COMPLETED");
	bool		was_done = old != NULL && is_word(old, c->status, "COMPLETED");
	bool		by_user = ts_apply_mapping == NULL;

	if (is_done && row->nulls[c->completed_at])
		ts_row_set(row, c->completed_at, TimestampTzGetDatum(GetCurrentTimestamp()));
	if (old == NULL || is_done == was_done)
		return;

	if (was_done && ts_row_same(row, old, c->completed_at))
		ts_row_set_null(row, c->completed_at);
	if (by_user && ts_row_same(row, old, c->percent_complete))
	{
		if (is_done)
			ts_row_set(row, c->percent_complete, Int32GetDatum(100));
		else if (!row->nulls[c->percent_complete] &&
				 DatumGetInt32(row->values[c->percent_complete]) == 100)
			ts_row_set_null(row, c->percent_complete);
	}
}

/* A task that loses its home provider is a local one again. */
static void
forget_home(TsRow *row, const TsRow *old, const TaskColumns *c)
{
	if (!row->nulls[c->provider_id] || old->nulls[c->provider_id])
		return;
	ts_row_set(row, c->source, CStringGetTextDatum("LOCAL"));
	ts_row_set_null(row, c->external_task_id);
	ts_row_set_null(row, c->external_url);
	ts_row_set_null(row, c->external_updated_at);
	ts_row_set_null(row, c->last_synced_at);
	ts_row_set_null(row, c->sync_status);
}

static bool
user_columns_changed(const TsRow *row, const TsRow *old, const TaskColumns *c)
{
	for (int i = 0; i < c->n_user_columns; i++)
	{
		if (!ts_row_same(row, old, c->user_columns[i]))
			return true;
	}
	return false;
}

/* The clock, not now(): two edits in one transaction are two edits. */
static void
touch(TsRow *row, const TsRow *old, int updated_at)
{
	if (ts_row_same(row, old, updated_at))
		ts_row_set(row, updated_at, TimestampTzGetDatum(GetCurrentTimestamp()));
}

static bool
is_word(const TsRow *row, int column, const char *word)
{
	text	   *value;

	if (row->nulls[column])
		return false;
	value = DatumGetTextPP(row->values[column]);
	return VARSIZE_ANY_EXHDR(value) == strlen(word) &&
		memcmp(VARDATA_ANY(value), word, strlen(word)) == 0;
}
