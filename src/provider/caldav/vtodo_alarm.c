/*-------------------------------------------------------------------------
 *
 * vtodo_alarm.c
 *	  The one VALARM that is the task's remind_at (RFC 5545, 3.6.6; RFC 9074).
 *
 * A task may have many alarms and we have one reminder: it is the alarm that
 * we wrote or changed ourselves (marked by a property of our own, which a
 * server is free to lose), else the earliest one.  All others stay as they are.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "provider/caldav/vtodo_parts.h"

#define OUR_MARK	"X-TASKSYNC-REMINDER"

static bool
value_is(const TsIcalComponent *comp, const char *name, const char *word)
{
	TsIcalLine *line = ts_ical_line(comp, name, NULL);

	return line != NULL && pg_strcasecmp(ts_ical_value(line), word) == 0;
}

/* RFC 9074, 7.1: a snooze points at the alarm it repeats. */
static bool
is_snooze(const TsIcalComponent *comp)
{
	TsIcalLine *line = ts_ical_line(comp, "RELATED-TO", NULL);
	char	   *type = line ? ts_ical_param(line, "RELTYPE") : NULL;

	return type != NULL && pg_strcasecmp(type, "SNOOZE") == 0;
}

/* Alarms that remind nobody of a time: mails, places, Apple's placeholders. */
static bool
is_reminder(const TsIcalComponent *comp)
{
	return strcmp(comp->name, "VALARM") == 0 &&
		!value_is(comp, "ACTION", "NONE") &&
		!value_is(comp, "ACTION", "EMAIL") &&
		!value_is(comp, "ACTION", "PROCEDURE") &&
		ts_ical_line(comp, "PROXIMITY", NULL) == NULL &&
		ts_ical_line(comp, "X-APPLE-PROXIMITY", NULL) == NULL &&
		!is_snooze(comp);
}

/* An absolute trigger; Apple's "no alarm" is one in 1976. */
static bool
absolute_trigger(const TsIcalDoc *doc, const TsIcalLine *trigger, TsIcalTime *t)
{
	return ts_ical_time_read(doc, trigger, t) && !t->is_date && t->wall.year > 1976;
}

/*
 * What a relative trigger counts from: the start, or with RELATED=END the due;
 * the other one where that is missing, as most clients do.
 */
static const TsIcalTime *
trigger_anchor(const TsIcalLine *trigger, const TsVtodoDates *dates)
{
	char	   *related = ts_ical_param(trigger, "RELATED");
	bool		at_end = related != NULL && pg_strcasecmp(related, "END") == 0;
	bool		has_start = dates->has_start && !dates->start_ignored;

	if (dates->has_due && (at_end || !has_start))
		return &dates->due;
	return has_start ? &dates->start : NULL;
}

/* The instant at which an alarm goes off; false when it cannot be told. */
static bool
alarm_instant(const TsIcalDoc *doc, const TsIcalLine *trigger,
			  const TsVtodoDates *dates, const char *default_zone, int64 *at)
{
	const TsIcalTime *anchor = trigger_anchor(trigger, dates);
	TsIcalDuration d;
	TsIcalTime	t;

	if (absolute_trigger(doc, trigger, &t))
		return ts_ical_time_instant(&t, default_zone, at);
	if (anchor == NULL || !ts_ical_duration_parse(ts_ical_value(trigger), &d))
		return false;
	t = *anchor;
	t.is_date = false;
	if (t.zone == NULL)
		t.zone = unconstify(char *, default_zone);
	return ts_ical_duration_add(&t, &d, &t) && ts_ical_time_instant(&t, default_zone, at);
}

void
ts_vtodo_read_alarm(const TsIcalDoc *doc, const TsIcalComponent *todo,
					const TsVtodoDates *dates, const char *default_zone,
					TsVtodoAlarm *alarm)
{
	memset(alarm, 0, sizeof(*alarm));
	for (TsIcalComponent *comp = todo->first_child; comp; comp = comp->next_sibling)
	{
		TsIcalLine *trigger = ts_ical_line(comp, "TRIGGER", NULL);
		bool		ours = ts_ical_line(comp, OUR_MARK, NULL) != NULL;
		int64		at;

		if (!is_reminder(comp) || trigger == NULL ||
			!alarm_instant(doc, trigger, dates, default_zone, &at))
			continue;
		if (ours || alarm->comp == NULL || at < alarm->at)
			*alarm = (TsVtodoAlarm) {comp, trigger, at};
		if (ours)
			return;
	}
}

static void
set_trigger(TsVtodoEdit *edit, TsIcalComponent *comp, TsIcalLine *trigger, int64 at)
{
	static const char *const typed_params[] = {"VALUE", "RELATED", "TZID", NULL};

	ts_ical_set_text(edit->doc, trigger,
					 psprintf("%s;VALUE=DATE-TIME:%s",
							  ts_ical_header(trigger, typed_params),
							  ts_vtodo_utc(at * TS_USECS_PER_SEC)));
	if (ts_ical_line(comp, OUR_MARK, NULL) == NULL)
		ts_ical_add(edit->doc, comp, OUR_MARK ":TRUE");
}

/* A DISPLAY alarm must have a DESCRIPTION: the task's title. */
static void
add_alarm(TsVtodoEdit *edit, int64 at)
{
	TsIcalLine *end = edit->todo->end;
	const char *title = edit->want.value[TS_TITLE];

	ts_ical_add_before(edit->doc, end, "BEGIN:VALARM");
	ts_ical_add_before(edit->doc, end, "ACTION:DISPLAY");
	ts_ical_add_before(edit->doc, end,
					   psprintf("DESCRIPTION:%s", ts_ical_escape(title ? title : "")));
	ts_ical_add_before(edit->doc, end,
					   psprintf("TRIGGER;VALUE=DATE-TIME:%s",
								ts_vtodo_utc(at * TS_USECS_PER_SEC)));
	ts_ical_add_before(edit->doc, end, OUR_MARK ":TRUE");
	ts_ical_add_before(edit->doc, end, "END:VALARM");
}

/* The alarm with our mark, even one whose instant nobody can tell for now. */
static TsIcalComponent *
marked_alarm(const TsIcalComponent *todo)
{
	TsIcalComponent *comp = todo->first_child;

	while (comp && (!is_reminder(comp) || ts_ical_line(comp, "TRIGGER", NULL) == NULL ||
					ts_ical_line(comp, OUR_MARK, NULL) == NULL))
		comp = comp->next_sibling;
	return comp;
}

/*
 * ts_vtodo_write_alarm
 *		Bring the reminder to what is wanted; call after the dates are written.
 *
 * A relative alarm moves with its date, which is what it is for; only one that
 * has lost its date is pinned to the instant it had.
 */
void
ts_vtodo_write_alarm(TsVtodoEdit *edit)
{
	TsVtodoAlarm *alarm = &edit->alarm;
	const char *want = edit->want.value[TS_REMIND_AT];
	TsVtodoDates dates;
	int64		usec;

	ts_vtodo_read_dates(edit->doc, edit->todo, &dates);
	if ((edit->changed & TS_FIELD_BIT(TS_REMIND_AT)) == 0)
	{
		if (alarm->comp != NULL &&
			!alarm_instant(edit->doc, alarm->trigger, &dates, edit->default_zone, &usec))
			set_trigger(edit, alarm->comp, alarm->trigger, alarm->at);
	}
	else if (want == NULL || !ts_timestamp_parse(want, &usec))
	{
		if (alarm->comp != NULL)
			ts_ical_remove_component(edit->doc, alarm->comp);
	}
	else
	{
		int64		at = usec / TS_USECS_PER_SEC;
		TsIcalComponent *marked = marked_alarm(edit->todo);
		TsVtodoAlarm as_dated;

		ts_vtodo_read_alarm(edit->doc, edit->todo, &dates, edit->default_zone, &as_dated);
		if (as_dated.comp != NULL && as_dated.at == at)
			return;
		if (marked != NULL)
			set_trigger(edit, marked, ts_ical_line(marked, "TRIGGER", NULL), at);
		else if (alarm->comp == NULL)
			add_alarm(edit, at);
		else
			set_trigger(edit, alarm->comp, alarm->trigger, at);
	}
}

/*
 * ts_vtodo_shift_alarms
 *		Move every absolute alarm along with a task that moves on.
 */
void
ts_vtodo_shift_alarms(TsVtodoEdit *edit, int64 seconds)
{
	for (TsIcalComponent *comp = edit->todo->first_child; comp; comp = comp->next_sibling)
	{
		TsIcalLine *trigger = ts_ical_line(comp, "TRIGGER", NULL);
		TsIcalTime	t;
		int64		at;

		if (!is_reminder(comp) || trigger == NULL ||
			!absolute_trigger(edit->doc, trigger, &t) ||
			!ts_ical_time_instant(&t, edit->default_zone, &at))
			continue;
		ts_ical_set_text(edit->doc, trigger,
						 psprintf("TRIGGER;VALUE=DATE-TIME:%s",
								  ts_vtodo_utc((at + seconds) * TS_USECS_PER_SEC)));
	}
}
