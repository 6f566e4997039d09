/*-------------------------------------------------------------------------
 *
 * vtodo_completion.c
 *	  STATUS, PERCENT-COMPLETE and COMPLETED, written together; and what it
 *	  means to complete a recurring task.
 *
 * RFC 5545 does not say what completing a recurring VTODO does.  By default
 * the master moves on to its next occurrence, as Apple's and most phone
 * clients do; or the occurrence gets an override, as desktop clients do.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "provider/caldav/vtodo_parts.h"

static const char *
status_word(const char *status)
{
	if (strcmp(status, "IN_PROGRESS") == 0)
		return "IN-PROCESS";
	if (strcmp(status, "TODO") == 0)
		return "NEEDS-ACTION";
	return status;				/* COMPLETED, CANCELLED */
}

/*
 * ts_vtodo_completion_time
 *		When the task was done: as the task says, else now (microseconds).
 */
int64
ts_vtodo_completion_time(const TsVtodoEdit *edit)
{
	const char *at = edit->want.value[TS_COMPLETED_AT];
	int64		usec;

	return at != NULL && ts_timestamp_parse(at, &usec) ? usec : edit->opt->now;
}

/*
 * ts_vtodo_put_completed
 *		Mark one VTODO, the master or an override, as done.
 */
void
ts_vtodo_put_completed(TsVtodoEdit *edit, TsIcalComponent *todo)
{
	ts_vtodo_put(edit, todo, "STATUS", "COMPLETED");
	ts_vtodo_put(edit, todo, "PERCENT-COMPLETE", "100");
	ts_vtodo_put_instant(edit, todo, "COMPLETED", ts_vtodo_completion_time(edit));
}

/* The task is not done (any longer): nothing may say that it is. */
static void
put_open(TsVtodoEdit *edit, const char *status)
{
	const char *percent = edit->was.value[TS_PERCENT_COMPLETE];

	ts_vtodo_put(edit, edit->todo, "STATUS", status_word(status));
	ts_vtodo_put(edit, edit->todo, "COMPLETED", NULL);
	if (percent != NULL && strcmp(percent, "100") == 0)
		ts_vtodo_put(edit, edit->todo, "PERCENT-COMPLETE", NULL);
}

static bool
complete_occurrence(TsVtodoEdit *edit)
{
	/* a task that becomes recurring in the same edit is done as it stands */
	if (edit->was.value[TS_RECURRENCE_RULE] == NULL ||
		edit->want.value[TS_RECURRENCE_RULE] == NULL)
		return false;
	return edit->opt->recurring_completion == TS_RECURRING_EXCEPTION ?
		ts_vtodo_add_exception(edit) : ts_vtodo_advance(edit);
}

/*
 * ts_vtodo_write_completion
 *		Bring the three properties to what is wanted; call last of all parts.
 */
void
ts_vtodo_write_completion(TsVtodoEdit *edit)
{
	const char *status = edit->want.value[TS_STATUS];
	bool		done = strcmp(status, "COMPLETED") == 0;

	if (ts_vtodo_differs(edit, TS_STATUS) && done)
	{
		if (!complete_occurrence(edit))
			ts_vtodo_put_completed(edit, edit->todo);
		return;
	}
	if (ts_vtodo_differs(edit, TS_STATUS))
		put_open(edit, status);
	if (ts_vtodo_differs(edit, TS_PERCENT_COMPLETE))
	{
		/* without a STATUS beside it the percentage would be taken for one */
		ts_vtodo_put(edit, edit->todo, "PERCENT-COMPLETE",
					 edit->want.value[TS_PERCENT_COMPLETE]);
		if (ts_vtodo_status_word(edit->todo) == NULL)
			ts_vtodo_put(edit, edit->todo, "STATUS", status_word(status));
	}
	if (done && ts_vtodo_differs(edit, TS_COMPLETED_AT) &&
		edit->want.value[TS_COMPLETED_AT] != NULL)
		ts_vtodo_put_instant(edit, edit->todo, "COMPLETED", ts_vtodo_completion_time(edit));
}
