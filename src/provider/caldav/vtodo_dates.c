/*-------------------------------------------------------------------------
 *
 * vtodo_dates.c
 *	  DTSTART, DUE and DURATION of a VTODO <-> the task's start, due and zone.
 *
 * Any mixture is accepted: a day beside a time, two zones, DUE before DTSTART,
 * DUE and DURATION both.  What is written is always sound (RFC 5545, 3.6.2 and
 * 3.8.2.3): one value type, never due before start, one of DUE and DURATION.
 * Where the two cannot both be kept it is the due that is.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "provider/caldav/tzid.h"
#include "provider/caldav/vtodo_parts.h"

#define DATE_FIELDS (TS_FIELD_BIT(TS_START_DATE) | TS_FIELD_BIT(TS_START_TIME) | \
					 TS_FIELD_BIT(TS_DUE_DATE) | TS_FIELD_BIT(TS_DUE_TIME) | \
					 TS_FIELD_BIT(TS_TIME_ZONE))

static const char *const typed_params[] = {"VALUE", "TZID", NULL};

static bool
same_zone(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

/* The same time as the clock of another zone shows it; floating stays. */
static TsIcalTime
in_zone(const TsIcalTime *t, const char *zone)
{
	TsIcalTime	shown = *t;
	int64		utc;

	if (t->is_date || t->zone == NULL || zone == NULL || same_zone(t->zone, zone))
		return shown;
	if (ts_zone_to_utc(t->zone, &t->wall, &utc) && ts_zone_from_utc(zone, utc, &shown.wall))
		shown.zone = unconstify(char *, zone);
	return shown;
}

/* Is a before b?  A day is before another, never before a time of that day. */
static bool
is_before(const TsIcalTime *a, const TsIcalTime *b)
{
	TsIcalTime	shown = in_zone(a, b->zone);
	int64		seconds = ts_wall_seconds(&shown.wall) - ts_wall_seconds(&b->wall);

	if (a->is_date || b->is_date)
		return ts_days_from_civil(shown.wall.year, shown.wall.month, shown.wall.day) <
			ts_days_from_civil(b->wall.year, b->wall.month, b->wall.day);
	return seconds < 0;
}

/* The first line of that name whose value is a time. */
static TsIcalLine *
read_time(const TsIcalDoc *doc, const TsIcalComponent *todo, const char *name, TsIcalTime *t)
{
	TsIcalLine *line = NULL;

	while ((line = ts_ical_line(todo, name, line)) != NULL)
	{
		if (ts_ical_time_read(doc, line, t))
			return line;
	}
	return NULL;
}

void
ts_vtodo_read_dates(const TsIcalDoc *doc, const TsIcalComponent *todo, TsVtodoDates *dates)
{
	TsIcalDuration d;

	memset(dates, 0, sizeof(*dates));
	dates->start_line = read_time(doc, todo, "DTSTART", &dates->start);
	dates->due_line = read_time(doc, todo, "DUE", &dates->due);
	dates->duration_line = ts_ical_line(todo, "DURATION", NULL);
	dates->has_start = dates->start_line != NULL;
	dates->has_due = dates->due_line != NULL;

	if (!dates->has_due && dates->has_start && dates->duration_line != NULL &&
		ts_ical_duration_parse(ts_ical_value(dates->duration_line), &d) &&
		d.days >= 0 && d.seconds >= 0 &&
		ts_ical_duration_add(&dates->start, &d, &dates->due))
		dates->has_due = dates->due_by_duration = true;

	dates->start_ignored = dates->has_start && dates->has_due &&
		is_before(&dates->due, &dates->start);
	if (dates->has_due && !dates->due.is_date)
		dates->zone = dates->due.zone;
	else if (dates->has_start && !dates->start_ignored && !dates->start.is_date)
		dates->zone = dates->start.zone;
}

static void
time_to_fields(const TsIcalTime *t, TsTask *task, TsField date, TsField time)
{
	task->value[date] = ts_date_text(&t->wall);
	if (!t->is_date)
		task->value[time] = ts_time_text(&t->wall, 0);
}

void
ts_vtodo_dates_to_task(const TsVtodoDates *dates, TsTask *task)
{
	if (dates->has_due)
		time_to_fields(&dates->due, task, TS_DUE_DATE, TS_DUE_TIME);
	if (dates->has_start && !dates->start_ignored)
	{
		TsIcalTime	shown = in_zone(&dates->start, dates->zone);

		time_to_fields(&shown, task, TS_START_DATE, TS_START_TIME);
	}
	task->value[TS_TIME_ZONE] = dates->zone ? pstrdup(dates->zone) : NULL;
}

/* The time that two fields of a task name; false without a date. */
static bool
time_from_fields(const TsTask *task, TsField date, TsField time, TsIcalTime *t)
{
	int			usec;

	memset(t, 0, sizeof(*t));
	if (task->value[date] == NULL || !ts_date_parse(task->value[date], &t->wall))
		return false;
	t->is_date = task->value[time] == NULL ||
		!ts_time_parse(task->value[time], &t->wall, &usec);
	if (t->is_date)
		return true;
	t->zone = task->value[TS_TIME_ZONE];
	return ts_ical_time_shift(t, 0);	/* 24:00 is the next day's midnight */
}

/* Gives start the value type of due. */
static void
match_type(TsIcalTime *start, const TsIcalTime *due)
{
	if (start->is_date == due->is_date)
		return;
	start->is_date = due->is_date;
	start->zone = due->zone;
	start->wall.hour = start->wall.minute = start->wall.second = 0;
}

static bool
same_time(const TsIcalTime *a, const TsIcalTime *b)
{
	return a->is_date == b->is_date &&
		ts_wall_seconds(&a->wall) == ts_wall_seconds(&b->wall) &&
		(a->is_date || same_zone(a->zone, b->zone));
}

/*
 * The TZID of a line, if it stood for a time's zone and does so at that time:
 * what a VTIMEZONE without a name was measured as holds for a year, and nearly.
 */
static char *
fitting_tzid(const TsIcalDoc *doc, const TsIcalLine *line, const TsIcalTime *was,
			 const TsIcalTime *t)
{
	char	   *tzid = line && was && same_zone(was->zone, t->zone) ? ts_ical_param(line, "TZID") : NULL;
	const char *zone = tzid ? ts_tzid_zone(doc, tzid) : NULL;
	int64		utc;

	if (tzid && zone == NULL && !ts_tzid_measure(doc, tzid, &t->wall, &utc, &zone))
		return NULL;
	return zone && same_zone(zone, t->zone) ? tzid : NULL;
}

/*
 * The TZID to write for a zone: the one that the old line or its neighbour
 * uses for it, one that the document explains, else the zone's name with a
 * VTIMEZONE of our own.  NULL for UTC and floating times.
 */
static char *
choose_tzid(TsVtodoEdit *edit, const TsIcalLine *line, const TsIcalTime *was,
			const TsIcalTime *t)
{
	const TsVtodoDates *dates = &edit->dates;
	char	   *tzid;

	if (t->is_date || t->zone == NULL || strcmp(t->zone, "UTC") == 0)
		return NULL;
	tzid = fitting_tzid(edit->doc, line, was, t);
	if (tzid == NULL)
		tzid = fitting_tzid(edit->doc, dates->due_line, &dates->due, t);
	if (tzid == NULL)
		tzid = fitting_tzid(edit->doc, dates->start_line, &dates->start, t);
	if (tzid == NULL)
		tzid = ts_vtimezone_find(edit->doc, t->zone);
	if (tzid == NULL)
	{
		tzid = pstrdup(t->zone);
		ts_vtimezone_add(edit->doc, t->zone, &t->wall);
	}
	return tzid;
}

/*
 * Can a line keep its parameters for a new time?  A TZID that nobody knows is
 * kept for floating times, which is what it was read as; but UTC has a Z, and
 * beside that no TZID is allowed.
 */
static bool
is_said_alike(const TsIcalLine *line, const TsIcalTime *was, const TsIcalTime *t)
{
	if (was->is_date != t->is_date || was->measured || !same_zone(was->zone, t->zone))
		return false;
	return t->is_date || t->zone == NULL || strcmp(t->zone, "UTC") != 0 ||
		ts_ical_param(line, "TZID") == NULL;
}

/*
 * ts_vtodo_put_time
 *		Set a DATE or DATE-TIME property.
 *
 * line: the one that holds it now, read as *was; both NULL for a new one.  The
 * line's other parameters stay.
 */
void
ts_vtodo_put_time(TsVtodoEdit *edit, const char *name, TsIcalLine *line,
				  const TsIcalTime *was, const TsIcalTime *t)
{
	char	   *tzid = choose_tzid(edit, line, was, t);
	char	   *header;

	if (line == NULL)
		line = ts_ical_line(edit->todo, name, NULL);	/* one that made no sense */
	if (line == NULL)
	{
		ts_ical_add(edit->doc, edit->todo, ts_ical_time_line(name, t, tzid));
		return;
	}
	if (was != NULL && is_said_alike(line, was, t))
	{
		ts_ical_set_value(edit->doc, line, ts_ical_time_print(t), NULL);
		return;
	}
	header = ts_ical_header(line, typed_params);
	ts_ical_set_text(edit->doc, line, ts_ical_time_line(header, t, tzid));
}

/*
 * A start that stands in a zone of its own is shown in the due's; it is
 * written back in its own, unless the clock there shows that time twice and
 * would be read as the other one.
 */
static void
to_own_zone(const TsVtodoDates *dates, TsIcalTime *start)
{
	const TsIcalTime *own = &dates->start;
	TsIcalTime	moved;
	TsIcalTime	back;

	if (!dates->has_start || own->is_date || start->is_date ||
		same_zone(own->zone, dates->zone))
		return;
	if (own->zone == NULL || start->zone == NULL)
	{
		if (same_zone(start->zone, dates->zone))
			start->zone = own->zone;
	}
	else
	{
		moved = in_zone(start, own->zone);
		back = in_zone(&moved, start->zone);
		if (same_time(&back, start))
			*start = moved;
	}
}

/* Removes what was read as the property, and others of the name, which would be read next. */
static void
remove_lines(TsVtodoEdit *edit, const char *name, TsIcalLine **line)
{
	if (*line != NULL)
		ts_vtodo_put(edit, edit->todo, name, NULL);
	*line = NULL;
}

static void
write_start(TsVtodoEdit *edit, const TsIcalTime *start)
{
	TsVtodoDates *dates = &edit->dates;

	if (start == NULL)
		remove_lines(edit, "DTSTART", &dates->start_line);
	else if (!dates->has_start || !same_time(start, &dates->start))
		ts_vtodo_put_time(edit, "DTSTART", dates->start_line,
						  dates->has_start ? &dates->start : NULL, start);
}

/*
 * The due as a DURATION after the start, where it was one before.  False if none
 * leads there: to a time that the clock skips, or in a zone of its own.
 */
static bool
write_duration(TsVtodoEdit *edit, const TsIcalTime *start, const TsIcalTime *due)
{
	TsVtodoDates *dates = &edit->dates;
	TsIcalDuration d;
	TsIcalTime	end;

	if (!dates->due_by_duration || start == NULL || due == NULL)
		return false;
	if (same_time(start, &dates->start) && same_time(due, &dates->due))
		return true;
	d = ts_ical_duration_between(start, due);
	if (!ts_ical_duration_add(start, &d, &end) || !same_time(&end, due))
		return false;
	ts_ical_set_value(edit->doc, dates->duration_line, ts_ical_duration_print(&d), NULL);
	return true;
}

static void
write_due(TsVtodoEdit *edit, const TsIcalTime *start, const TsIcalTime *due)
{
	TsVtodoDates *dates = &edit->dates;

	if (write_duration(edit, start, due))
		return;
	remove_lines(edit, "DURATION", &dates->duration_line);
	if (due == NULL)
		remove_lines(edit, "DUE", &dates->due_line);
	else if (dates->due_line == NULL || !same_time(due, &dates->due))
		ts_vtodo_put_time(edit, "DUE", dates->due_line,
						  dates->due_line ? &dates->due : NULL, due);
}

static bool
dates_differ(const TsTask *was, const TsTask *want)
{
	TsIcalTime	a;
	TsIcalTime	b;
	bool		has_a = time_from_fields(was, TS_DUE_DATE, TS_DUE_TIME, &a);
	bool		has_b = time_from_fields(want, TS_DUE_DATE, TS_DUE_TIME, &b);

	if (has_a != has_b || (has_a && !same_time(&a, &b)))
		return true;
	has_a = time_from_fields(was, TS_START_DATE, TS_START_TIME, &a);
	has_b = time_from_fields(want, TS_START_DATE, TS_START_TIME, &b);
	return has_a != has_b || (has_a && !same_time(&a, &b));
}

/*
 * ts_vtodo_write_dates
 *		Bring DTSTART, DUE and DURATION to what is wanted.
 *
 * A start that would be after the due is left out; one whose type is not the
 * due's takes that.  False with *err set when a value makes no sense.
 */
bool
ts_vtodo_write_dates(TsVtodoEdit *edit, TsError *err)
{
	const TsTask *want = &edit->want;
	TsIcalTime	start;
	TsIcalTime	due;
	bool		has_start;
	bool		has_due;

	if ((edit->changed & DATE_FIELDS) == 0 || !dates_differ(&edit->was, want))
		return true;
	has_start = time_from_fields(want, TS_START_DATE, TS_START_TIME, &start);
	has_due = time_from_fields(want, TS_DUE_DATE, TS_DUE_TIME, &due);
	if ((want->value[TS_START_DATE] != NULL && !has_start) ||
		(want->value[TS_DUE_DATE] != NULL && !has_due))
	{
		ts_error(err, "22023", "invalid start or due date");
		return false;
	}
	if (has_start && has_due)
	{
		match_type(&start, &due);
		has_start = !is_before(&due, &start);
	}
	if (has_start && has_due)
		to_own_zone(&edit->dates, &start);
	write_start(edit, has_start ? &start : NULL);
	write_due(edit, has_start ? &start : NULL, has_due ? &due : NULL);
	return true;
}
