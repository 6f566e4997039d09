/*-------------------------------------------------------------------------
 *
 * ics_edit.c
 *	  Edits of iCalendar objects drawn by chance, and what must hold of each.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "ics.h"
#include "ics_edit.h"
#include "provider/caldav/contentline.h"
#include "task/datetime.h"

#define BIT(f)			TS_FIELD_BIT(f)
#define DATES			(BIT(TS_START_DATE) | BIT(TS_START_TIME) | BIT(TS_DUE_DATE) | \
						 BIT(TS_DUE_TIME) | BIT(TS_TIME_ZONE))
#define COMPLETION		(BIT(TS_STATUS) | BIT(TS_PERCENT_COMPLETE) | BIT(TS_COMPLETED_AT))

#define PICK(array) (array)[below(lengthof(array))]

/* Where the edit that is being drawn takes its numbers from. */
static IcsChance below;

static char *
random_text(void)
{
	static const char *const parts[] = {
		"a", "B", " ", ",", ";", "\\", "\\n", "\n", "\xC3\xBC", "\xE2\x82\xAC", "\xF0\x9F\xA5\x9B",
		":", "\"", "^n", "BEGIN:VTODO", "word", "\t", "=", "END:VALARM\n"
	};
	StringInfoData out;

	initStringInfo(&out);
	for (int n = 1 + below(40); n > 0; n--)
		appendStringInfoString(&out, PICK(parts));
	appendStringInfoChar(&out, 'x');	/* no blanks at the end */
	return out.data;
}

static char *
random_date(void)
{
	static const char *const dates[] = {
		"2026-03-08", "2026-03-28", "2026-03-29", "2026-03-30", "2026-04-05", "2026-09-27",
		"2026-10-25", "2026-11-01", "2026-12-31", "2027-01-01", "2028-02-29", "2038-07-01"
	};

	return pstrdup(PICK(dates));
}

static char *
random_value(TsField f)
{
	static const char *const times[] = {
		"00:00:00", "01:30:00", "02:00:00", "02:30:00", "03:00:00", "12:00:00", "23:59:59"
	};
	static const char *const zones[] = {
		"Europe/Berlin", "America/Los_Angeles", "Pacific/Auckland", "UTC", "Asia/Kolkata"
	};
	static const char *const rules[] = {
		"FREQ=DAILY", "FREQ=WEEKLY;BYDAY=MO,FR", "FREQ=MONTHLY;COUNT=5"
	};
	static const char *const instants[] = {
		"2026-03-29T01:00:00+00:00", "2026-10-25T00:30:00+00:00", "2030-01-01T00:00:00+00:00"
	};
	char	   *tags[2];

	switch (ts_field_info[f].kind)
	{
		case TS_KIND_WORD:
			return pstrdup(ts_field_info[f].words[below(4)]);
		case TS_KIND_DATE:
			return random_date();
		case TS_KIND_TIME:
			return pstrdup(PICK(times));
		case TS_KIND_TIMESTAMP:
			return pstrdup(PICK(instants));
		case TS_KIND_INTEGER:
			return psprintf("%u", below(101));
		case TS_KIND_ZONE:
			return pstrdup(PICK(zones));
		case TS_KIND_RULE:
			return pstrdup(PICK(rules));
		case TS_KIND_TAGS:
			tags[0] = below(2) ? "a" : "work";
			tags[1] = psprintf("t,%u;", below(5));
			return ts_tags_join(tags, below(3));
		case TS_KIND_REFERENCE:
			return psprintf("parent,%u", below(9));
		default:
			return f == TS_URL ? psprintf("https://x/%u;,", below(9)) : random_text();
	}
}

/* Dates are made whole: a time has its date, zones a time. */
void
ics_draw_edit(TsTask *task, IcsChance chance)
{
	TsFieldMask mask = 0;

	below = chance;
	memset(task, 0, sizeof(*task));
	for (int f = 0; f < TS_NFIELDS; f++)
	{
		if (below(4) != 0)
			continue;
		mask |= BIT(f);
		if (below(4) != 0 || ts_field_info[f].fallback != NULL)
			task->value[f] = random_value(f);
	}
	if (mask & DATES)
	{
		mask |= DATES;
		task->value[TS_DUE_DATE] = below(4) ? random_date() : NULL;
		task->value[TS_START_DATE] = below(2) ? random_date() : NULL;
		if (task->value[TS_DUE_DATE] == NULL)
			task->value[TS_DUE_TIME] = NULL;
		if (task->value[TS_START_DATE] == NULL)
			task->value[TS_START_TIME] = NULL;
		if (task->value[TS_DUE_TIME] == NULL && task->value[TS_START_TIME] == NULL)
			task->value[TS_TIME_ZONE] = NULL;
	}
	task->known = mask;
}

static bool
decode(const char *text, TsVtodo *todo)
{
	TsError		err;

	return ts_vtodo_decode(text, strlen(text), &ics_options, todo, &err) && todo->is_vtodo;
}

static char *
encode(const TsTask *task, TsFieldMask mask, const char *onto)
{
	TsError		err;
	char	   *text = ts_vtodo_encode(task, mask, onto, onto ? strlen(onto) : 0, &ics_options, &err);

	return text ? text : psprintf("error %s %s", err.sqlstate, err.message);
}

static bool
equal(const TsTask *a, const TsTask *b, TsField f)
{
	return ts_value_equal(f, a->value[f], b->value[f]);
}

/*
 * The fields whose values after the edit are not simply the wanted or the old
 * ones: a series that moves on changes its dates, a relative alarm moves with
 * them, completion is three fields in one, mixed or reversed dates are mended.
 * A percentage beside a new status is overruled by it, once.
 */
static TsFieldMask
entangled(const TsTask *was, const TsTask *want, TsFieldMask mask)
{
	const char *status = mask & BIT(TS_STATUS) ? want->value[TS_STATUS] : was->value[TS_STATUS];
	const char *rule = mask & BIT(TS_RECURRENCE_RULE) ? want->value[TS_RECURRENCE_RULE] :
	was->value[TS_RECURRENCE_RULE];
	bool		mixed = (want->value[TS_DUE_TIME] == NULL) != (want->value[TS_START_TIME] == NULL);
	TsFieldMask fields = 0;

	if (mask & BIT(TS_STATUS))
		fields |= BIT(TS_PERCENT_COMPLETE) | BIT(TS_COMPLETED_AT);
	if (strcmp(status, "COMPLETED") != 0 || want->value[TS_COMPLETED_AT] == NULL)
		fields |= BIT(TS_COMPLETED_AT);
	if (strcmp(status, "COMPLETED") == 0 && !equal(was, want, TS_STATUS) && rule != NULL)
		fields |= COMPLETION | DATES | BIT(TS_REMIND_AT) | BIT(TS_RECURRENCE_RULE);
	if ((mask & DATES) && !(mask & BIT(TS_REMIND_AT)))
		fields |= BIT(TS_REMIND_AT);
	if ((mask & BIT(TS_REMIND_AT)) && want->value[TS_REMIND_AT] == NULL)
		fields |= BIT(TS_REMIND_AT);	/* another alarm may come to light */
	if (want->value[TS_DUE_DATE] != NULL && want->value[TS_START_DATE] != NULL &&
		(mixed || strcmp(want->value[TS_START_DATE], want->value[TS_DUE_DATE]) >= 0))
		fields |= BIT(TS_START_DATE) | BIT(TS_START_TIME) |
			(want->value[TS_DUE_TIME] == NULL ? BIT(TS_TIME_ZONE) : 0);
	return fields;
}

/* The properties that a change of a field may touch. */
static bool
may_touch(const char *line, TsFieldMask mask)
{
	static const struct
	{
		TsFieldMask fields;
		const char *names;
	}			rules[] =
	{
		{BIT(TS_TITLE), " SUMMARY "},
		{BIT(TS_DESCRIPTION), " DESCRIPTION X-ALT-DESC "},
		{BIT(TS_PRIORITY), " PRIORITY "},
		{BIT(TS_DURATION_MINUTES), " ESTIMATED-DURATION "},
		{BIT(TS_RECURRENCE_RULE) | BIT(TS_STATUS), " RRULE "},
		{BIT(TS_TAGS), " CATEGORIES "},
		{BIT(TS_URL), " URL "},
		{BIT(TS_PARENT_TASK_ID), " RELATED-TO "},
		{COMPLETION, " STATUS PERCENT-COMPLETE COMPLETED DTSTART DUE TRIGGER "},
		{DATES, " DTSTART DUE DURATION TRIGGER BEGIN END TZID TZOFFSETFROM TZOFFSETTO TZNAME RRULE "
		"X-TASKSYNC-REMINDER "},
		{BIT(TS_REMIND_AT), " BEGIN END ACTION DESCRIPTION TRIGGER UID X-TASKSYNC-REMINDER "
		"X-WR-ALARMUID X-KDE-KCALCORE-ENABLED "},
	};
	char	   *name = psprintf(" %.*s ", (int) strcspn(line, ";:"), line);

	for (char *p = name; *p != '\0'; p++)
		*p = pg_ascii_toupper((unsigned char) *p);

	for (int i = 0; i < lengthof(rules); i++)
	{
		if ((mask & rules[i].fields) != 0 && strstr(rules[i].names, name) != NULL)
			return true;
	}
	return false;
}

/* What is broken, with all that is needed to see it. */
static char *
broken(const char *what, TsField f, const TsTask *want, const char *before, const char *after)
{
	StringInfoData json;

	initStringInfo(&json);
	ts_task_to_json(want, TS_ALL_FIELDS, &json);
	return psprintf("%s (%s)\nedit: %s\nbefore: %s\nafter: %s\nlines: %s", what,
					ts_field_info[f].name, json.data, ics_decode(before), ics_decode(after),
					ics_difference(before, after));
}

static bool
is_named(const TsIcalLine *line, const char *name)
{
	return line->name_len == (int) strlen(name) && pg_strncasecmp(line->text, name, line->name_len) == 0;
}

/*
 * Where an alarm that begins at this line ends, with all that is nested in it;
 * the line itself if none does.
 */
static const TsIcalLine *
end_of_alarm(const TsIcalDoc *doc, const TsIcalLine *line)
{
	const TsIcalLine *end = line;
	int			depth = 0;

	if (!is_named(line, "BEGIN") || pg_strcasecmp(ts_ical_value(line), "VALARM") != 0)
		return line;
	for (; end != &doc->head; end = end->next)
	{
		depth += is_named(end, "BEGIN") - is_named(end, "END");
		if (depth == 0)
			return end;
	}
	return line;
}

/*
 * The next line that no change of these fields may touch, or NULL.  A reminder
 * that is not wanted goes with all that is in its alarm.
 */
static const TsIcalLine *
next_kept(const TsIcalDoc *doc, const TsIcalLine *line, const TsTask *want)
{
	TsFieldMask mask = want->known;
	bool		alarms_go = (mask & BIT(TS_REMIND_AT)) != 0 && want->value[TS_REMIND_AT] == NULL;

	for (line = line->next; line != &doc->head; line = line->next)
	{
		if (alarms_go)
			line = end_of_alarm(doc, line);
		if (!may_touch(line->text, mask) && pg_strncasecmp(line->text, "DTSTAMP", 7) != 0 &&
			pg_strncasecmp(line->text, "LAST-MODIFIED", 13) != 0)
			return line;
	}
	return NULL;
}

/* Are the lines that an edit is not about the same bytes in the same order? */
static bool
others_are_kept(const char *before, const char *after, const TsTask *want)
{
	TsError		err = {{0}};
	TsIcalDoc  *old = ts_ical_parse(before, strlen(before), &err);
	TsIcalDoc  *new = ts_ical_parse(after, strlen(after), &err);
	const TsIcalLine *a = old ? &old->head : NULL;
	const TsIcalLine *b = new ? &new->head : NULL;

	while (a != NULL && b != NULL)
	{
		a = next_kept(old, a, want);
		b = next_kept(new, b, want);
		if (a == NULL || b == NULL)
			return a == b;
		if (a->raw_len != b->raw_len || memcmp(a->raw, b->raw, a->raw_len) != 0)
			return false;
	}
	return false;
}

/* May the same edit again find something to do? */
static bool
is_once_only(const TsTask *want, TsFieldMask mask, TsFieldMask skip)
{
	return (skip & BIT(TS_STATUS)) != 0 ||
		((skip & BIT(TS_PERCENT_COMPLETE)) != 0 && (mask & BIT(TS_PERCENT_COMPLETE)) != 0) ||
		((mask & BIT(TS_REMIND_AT)) != 0 && want->value[TS_REMIND_AT] == NULL);
}

char *
ics_check_identity(const char *text)
{
	TsVtodo		todo;
	char	   *again;

	if (!decode(text, &todo))
		return NULL;
	again = encode(&todo.task, TS_ALL_FIELDS, text);
	return strcmp(again, text) == 0 ? NULL :
		broken("encoding its own values is not the identity", TS_TITLE, &todo.task, text, again);
}

char *
ics_check_edit(const char *before, const TsTask *want)
{
	TsFieldMask mask = want->known;
	char	   *after = encode(want, mask, before);
	TsFieldMask skip;
	TsVtodo		old;
	TsVtodo		new;

	if (!decode(before, &old) || !decode(after, &new))
		return broken("does not decode", TS_TITLE, want, before, after);
	skip = entangled(&old.task, want, mask);
	for (int f = 0; f < TS_NFIELDS; f++)
	{
		const TsTask *expected = mask & BIT(f) ? want : &old.task;

		if ((skip & BIT(f)) == 0 && !equal(&new.task, expected, f))
			return broken("is not what was wanted", f, want, before, after);
	}
	if (!others_are_kept(before, after, want))
		return broken("other lines are not the same bytes", TS_TITLE, want, before, after);
	if (!is_once_only(want, mask, skip) && strcmp(encode(want, mask, after), after) != 0)
		return broken("the same edit again changes something", TS_TITLE, want, before, after);
	return ics_check_identity(after);
}

char *
ics_check_new(const TsTask *want)
{
	char	   *text = encode(want, want->known, NULL);
	TsTask		nothing = {.value[TS_STATUS] = "TODO"};
	TsFieldMask skip = entangled(&nothing, want, want->known);
	TsVtodo		todo;

	if (!decode(text, &todo))
		return broken("a new object does not decode", TS_TITLE, want, text, text);
	for (int f = 0; f < TS_NFIELDS; f++)
	{
		if ((want->known & BIT(f)) != 0 && (skip & BIT(f)) == 0 && !equal(&todo.task, want, f))
			return broken("a new object is not what was wanted", f, want, text, text);
	}
	return ics_check_identity(text);
}
