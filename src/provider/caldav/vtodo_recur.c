/*-------------------------------------------------------------------------
 *
 * vtodo_recur.c
 *	  Completing one occurrence of a recurring VTODO: the master moves on, or
 *	  an override is added (RFC 5545, 3.8.4.4 and 3.8.5).
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "provider/caldav/vtodo_parts.h"
#include "task/rrule.h"

#define MAX_SKIPPED		10000	/* occurrences passed over in search of an open one */

/* A series: its rule, and the occurrence that is looked at. */
typedef struct Series
{
	char	   *rule;			/* COUNT counts from "at" on */
	TsIcalTime	first;			/* the master's DTSTART, or DUE where it has none */
	TsIcalTime	at;
} Series;

/* False when there is nothing for the rule to count from. */
static bool
begin_series(const TsVtodoEdit *edit, const TsVtodoDates *dates, Series *series)
{
	bool		has_start = dates->has_start && !dates->start_ignored;

	if (!has_start && !dates->has_due)
		return false;
	series->rule = edit->want.value[TS_RECURRENCE_RULE];
	series->first = series->at = has_start ? dates->start : dates->due;
	return true;
}

static bool
step_series(Series *series)
{
	TsCivil		next;

	if (!ts_rrule_next(series->rule, &series->at.wall, series->at.is_date,
					   series->at.zone, &next))
		return false;
	series->rule = ts_rrule_count_down(series->rule);
	series->at.wall = next;
	return true;
}

/*
 * An occurrence that is not as the rule says: an EXDATE or an override.  They
 * are read once; a daily task collects thousands of them over the years.
 */
typedef struct Exception
{
	int64		instant;		/* seconds since the epoch */
	int64		day;			/* by its own clock */
	bool		is_date;
	TsIcalComponent *override;	/* NULL: an EXDATE */
} Exception;

typedef struct Exceptions
{
	Exception  *all;
	int			n;
	int			max;
} Exceptions;

static Exception
describe_occurrence(const TsVtodoEdit *edit, const TsIcalTime *t)
{
	Exception	e = {.is_date = t->is_date};

	e.day = ts_days_from_civil(t->wall.year, t->wall.month, t->wall.day);
	ts_ical_time_instant(t, edit->default_zone, &e.instant);
	return e;
}

static void
add_exception(const TsVtodoEdit *edit, Exceptions *list, const TsIcalTime *t,
			  TsIcalComponent *override)
{
	if (list->n == list->max)
	{
		list->max = Max(16, list->max * 2);
		list->all = list->all == NULL ?
			palloc(list->max * sizeof(Exception)) :
			repalloc(list->all, list->max * sizeof(Exception));
	}
	list->all[list->n] = describe_occurrence(edit, t);
	list->all[list->n++].override = override;
}

/* One EXDATE line is a comma-separated list under one set of parameters. */
static void
collect_exdates(const TsVtodoEdit *edit, const TsIcalLine *line, Exceptions *list)
{
	const char *value = ts_ical_value(line);

	while (*value != '\0')
	{
		size_t		len = strcspn(value, ",");
		TsIcalLine	one = *line;
		TsIcalTime	t;

		one.text = psprintf("%.*s%.*s", line->value, line->text, (int) len, value);
		if (ts_ical_time_read(edit->doc, &one, &t))
			add_exception(edit, list, &t, NULL);
		value += len + (value[len] == ',' ? 1 : 0);
	}
}

static Exceptions
collect_exceptions(const TsVtodoEdit *edit)
{
	Exceptions	list = {0};
	TsIcalLine *line = NULL;
	TsIcalComponent *todo = NULL;
	TsIcalTime	t;

	while ((line = ts_ical_line(edit->todo, "EXDATE", line)) != NULL)
		collect_exdates(edit, line, &list);
	while ((todo = ts_vtodo_next(edit->doc, todo)) != NULL)
	{
		line = ts_ical_line(todo, "RECURRENCE-ID", NULL);
		if (line != NULL && ts_ical_time_read(edit->doc, line, &t))
			add_exception(edit, &list, &t, todo);
	}
	return list;
}

/* The exception at an occurrence, compared by the day where one is a day. */
static const Exception *
find_exception(const TsVtodoEdit *edit, const Exceptions *list, const TsIcalTime *at)
{
	Exception	wanted = describe_occurrence(edit, at);

	for (int i = 0; i < list->n; i++)
	{
		const Exception *e = &list->all[i];

		if (e->is_date || wanted.is_date ? e->day == wanted.day : e->instant == wanted.instant)
			return e;
	}
	return NULL;
}

static void
shift_time(TsVtodoEdit *edit, const char *name, TsIcalLine *line, const TsIcalTime *was,
		   int64 seconds)
{
	TsIcalTime	t = *was;

	if (line != NULL && ts_ical_time_shift(&t, seconds))
		ts_vtodo_put_time(edit, name, line, was, &t);
}

/* The master is open again, at its new date. */
static void
reopen(TsVtodoEdit *edit)
{
	if (ts_ical_line(edit->todo, "STATUS", NULL) != NULL)
		ts_vtodo_put(edit, edit->todo, "STATUS", "NEEDS-ACTION");
	ts_vtodo_put(edit, edit->todo, "COMPLETED", NULL);
	ts_vtodo_put(edit, edit->todo, "PERCENT-COMPLETE", NULL);
}

/*
 * ts_vtodo_advance
 *		Move the master on to the occurrence after the present one: DTSTART and
 *		DUE by the same span of the wall clock, alarms along with them, COUNT
 *		one less for each occurrence passed.
 *
 * False, and nothing changed, when the series ends here.
 */
bool
ts_vtodo_advance(TsVtodoEdit *edit)
{
	Exceptions	exceptions = collect_exceptions(edit);
	const Exception *exception;
	TsVtodoDates dates;
	Series		series;
	int			skipped = 0;
	int64		from;
	int64		to;
	int64		seconds;

	ts_vtodo_read_dates(edit->doc, edit->todo, &dates);
	if (!begin_series(edit, &dates, &series))
		return false;
	do
	{
		if (++skipped > MAX_SKIPPED || !step_series(&series))
			return false;
		exception = find_exception(edit, &exceptions, &series.at);
	} while (exception != NULL && exception->override == NULL);

	seconds = ts_wall_seconds(&series.at.wall) - ts_wall_seconds(&series.first.wall);
	shift_time(edit, "DTSTART", dates.start_line, &dates.start, seconds);
	shift_time(edit, "DUE", dates.due_line, &dates.due, seconds);
	if (strcmp(series.rule, edit->want.value[TS_RECURRENCE_RULE]) != 0)
		ts_vtodo_put(edit, edit->todo, "RRULE", series.rule);
	if (ts_ical_time_instant(&series.first, edit->default_zone, &from) &&
		ts_ical_time_instant(&series.at, edit->default_zone, &to))
		ts_vtodo_shift_alarms(edit, to - from);
	reopen(edit);
	return true;
}

static bool
is_done(const TsVtodoEdit *edit, const TsIcalComponent *todo)
{
	TsTask		task;

	ts_vtodo_read(edit->doc, todo, edit->default_zone, &task);
	return strcmp(task.value[TS_STATUS], "COMPLETED") == 0 ||
		strcmp(task.value[TS_STATUS], "CANCELLED") == 0;
}

/* Properties that belong to the series, or that the override gets anew. */
static bool
is_copied(const TsIcalLine *line)
{
	static const char *const not_copied[] = {
		"RRULE", "RDATE", "EXDATE", "EXRULE", "DTSTART", "DUE", "STATUS",
		"PERCENT-COMPLETE", "COMPLETED", "RECURRENCE-ID"
	};

	if (line->name_len == 0)
		return false;
	for (int i = 0; i < lengthof(not_copied); i++)
	{
		if (strlen(not_copied[i]) == (size_t) line->name_len &&
			pg_strncasecmp(line->text, not_copied[i], line->name_len) == 0)
			return false;
	}
	return true;
}

/* "NAME" with the parameters of a date line and a shifted value. */
static char *
shifted_line(const char *name, const TsIcalLine *line, const TsIcalTime *t, int64 seconds)
{
	TsIcalTime	shifted = *t;

	ts_ical_time_shift(&shifted, seconds);
	if (t->measured && strcmp(t->zone, "UTC") == 0)
		return ts_ical_time_line(name, &shifted, NULL);	/* its TZID has no name */
	return psprintf("%s%s:%s", name, ts_ical_header(line, NULL) + line->name_len,
					ts_ical_time_print(&shifted));
}

/* The master's own lines, without its alarms, as a done occurrence. */
static void
add_override(TsVtodoEdit *edit, const TsVtodoDates *dates, const Series *series)
{
	TsIcalLine *where = edit->todo->end->next;
	int64		seconds = ts_wall_seconds(&series->at.wall) -
	ts_wall_seconds(&series->first.wall);
	const TsIcalLine *first = dates->has_start && !dates->start_ignored ?
	dates->start_line : dates->due_line;
	int			depth = 0;

	ts_ical_add_before(edit->doc, where, "BEGIN:VTODO");
	for (TsIcalLine *line = edit->todo->begin->next; line != edit->todo->end; line = line->next)
	{
		if (line->name_len == 5 && pg_strncasecmp(line->text, "BEGIN", 5) == 0)
			depth++;
		else if (line->name_len == 3 && pg_strncasecmp(line->text, "END", 3) == 0)
			depth--;
		else if (depth == 0 && is_copied(line))
			ts_ical_add_before(edit->doc, where, line->text);
	}
	ts_ical_add_before(edit->doc, where,
					   shifted_line("RECURRENCE-ID", first, &series->first, seconds));
	if (dates->start_line != NULL)
		ts_ical_add_before(edit->doc, where,
						   shifted_line("DTSTART", dates->start_line, &dates->start, seconds));
	if (dates->due_line != NULL)
		ts_ical_add_before(edit->doc, where,
						   shifted_line("DUE", dates->due_line, &dates->due, seconds));
	ts_ical_add_before(edit->doc, where, "STATUS:COMPLETED");
	ts_ical_add_before(edit->doc, where, "PERCENT-COMPLETE:100");
	ts_ical_add_before(edit->doc, where,
					   psprintf("COMPLETED:%s", ts_vtodo_utc(ts_vtodo_completion_time(edit))));
	ts_ical_add_before(edit->doc, where, "END:VTODO");
}

/*
 * ts_vtodo_add_exception
 *		Complete the first occurrence that is still open by an override; one
 *		that has an override already is completed there.
 *
 * False, and nothing changed, when no occurrence is open.
 */
bool
ts_vtodo_add_exception(TsVtodoEdit *edit)
{
	Exceptions	exceptions = collect_exceptions(edit);
	TsVtodoDates dates;
	Series		series;

	ts_vtodo_read_dates(edit->doc, edit->todo, &dates);
	if (!begin_series(edit, &dates, &series))
		return false;
	for (int skipped = 0; skipped <= MAX_SKIPPED; skipped++)
	{
		const Exception *e = find_exception(edit, &exceptions, &series.at);

		if (e == NULL)
		{
			add_override(edit, &dates, &series);
			return true;
		}
		if (e->override != NULL && !is_done(edit, e->override))
		{
			ts_vtodo_put_completed(edit, e->override);
			return true;
		}
		if (!step_series(&series))
			return false;
	}
	return false;
}
