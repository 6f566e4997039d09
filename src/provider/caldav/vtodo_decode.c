/*-------------------------------------------------------------------------
 *
 * vtodo_decode.c
 *	  A VTODO -> the canonical task: everything but dates and alarms.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "provider/caldav/vtodo_parts.h"
#include "task/rrule.h"

static char *
non_empty(char *text)
{
	return text != NULL && *text != '\0' ? text : NULL;
}

/* A line's value without blanks around it, cleaned. */
static char *
trimmed(const char *s)
{
	size_t		len;

	s += strspn(s, " \t");
	len = strlen(s);
	while (len > 0 && (s[len - 1] == ' ' || s[len - 1] == '\t'))
		len--;
	return ts_ical_clean(s, len);
}

/*
 * ts_vtodo_one_line
 *		A text that has to be one line, without blanks around it; NULL when
 *		nothing is left.
 */
char *
ts_vtodo_one_line(const char *text)
{
	char	   *line = pstrdup(text);

	for (char *p = line; *p; p++)
	{
		if (*p == '\n' || *p == '\r' || *p == '\t')
			*p = ' ';
	}
	return non_empty(trimmed(line));
}

/* The value of a property that holds a word, a number or the like; NULL. */
static char *
plain_value(const TsIcalComponent *todo, const char *name)
{
	TsIcalLine *line = ts_ical_line(todo, name, NULL);

	return line ? trimmed(ts_ical_value(line)) : NULL;
}

/* A TEXT property; empty counts as not there. */
static char *
text_value(const TsIcalComponent *todo, const char *name)
{
	TsIcalLine *line = ts_ical_line(todo, name, NULL);
	char	   *text = line ? ts_ical_unescape(ts_ical_value(line),
											   strlen(ts_ical_value(line))) : NULL;

	return text != NULL && *text != '\0' ? text : NULL;
}

/* A whole number of at most "max", or -1. */
static int
number_value(const TsIcalComponent *todo, const char *name, int max)
{
	char	   *text = plain_value(todo, name);
	int64		number = 0;

	if (text == NULL || *text == '\0')
		return -1;
	for (; *text; text++)
	{
		if (*text < '0' || *text > '9' || number > max)
			return -1;
		number = number * 10 + (*text - '0');
	}
	return number <= max ? number : -1;
}

/*
 * ts_vtodo_status_word
 *		What STATUS says; NULL where there is none, or an empty one.
 */
const char *
ts_vtodo_status_word(const TsIcalComponent *todo)
{
	return non_empty(plain_value(todo, "STATUS"));
}

/*
 * The status, from three properties that clients set independently of each
 * other (RFC 5545, 3.8.1.11, 3.8.1.8, 3.8.2.1): STATUS decides where it says
 * something, else COMPLETED, else 100 percent.
 */
static const char *
read_status(const TsIcalComponent *todo, int percent)
{
	const char *status = ts_vtodo_status_word(todo);
	bool		completed = non_empty(plain_value(todo, "COMPLETED")) != NULL;

	if (status != NULL)
	{
		if (pg_strcasecmp(status, "COMPLETED") == 0)
			return "COMPLETED";
		if (pg_strcasecmp(status, "IN-PROCESS") == 0)
			return "IN_PROGRESS";
		if (pg_strcasecmp(status, "CANCELLED") == 0)
			return "CANCELLED";
		if (pg_strcasecmp(status, "NEEDS-ACTION") == 0)
			return "TODO";
		return completed ? "COMPLETED" : "TODO";
	}
	return completed || percent == 100 ? "COMPLETED" : "TODO";
}

static const char *
read_priority(const TsIcalComponent *todo)
{
	int			priority = number_value(todo, "PRIORITY", 9);

	if (priority <= 0)
		return "NONE";
	return priority < 5 ? "HIGH" : priority == 5 ? "MEDIUM" : "LOW";
}

/* A point in time as a canonical timestamp; a DATE (SOGo, Google) is its noon. */
static char *
timestamp_value(const TsIcalDoc *doc, const TsIcalComponent *todo,
				const char *name, const char *default_zone)
{
	TsIcalLine *line = ts_ical_line(todo, name, NULL);
	TsIcalTime	t;
	int64		seconds;

	if (line == NULL || !ts_ical_time_read(doc, line, &t))
		return NULL;
	if (t.is_date)
	{
		t.wall.hour = 12;
		t.zone = "UTC";
	}
	if (!ts_ical_time_instant(&t, default_zone, &seconds))
		return NULL;
	return ts_timestamp_text(seconds * TS_USECS_PER_SEC);
}

/* ESTIMATED-DURATION in minutes, rounded up. */
static char *
read_duration_minutes(const TsIcalComponent *todo)
{
	char	   *text = plain_value(todo, "ESTIMATED-DURATION");
	TsIcalDuration d;
	int64		minutes;

	if (text == NULL || !ts_ical_duration_parse(text, &d))
		return NULL;
	minutes = (d.days * TS_SECS_PER_DAY + d.seconds + 59) / 60;
	if (minutes < 0 || minutes > PG_INT32_MAX)
		return NULL;
	return psprintf("%d", (int) minutes);
}

/*
 * ts_vtodo_line_tags
 *		The tags of one CATEGORIES line, without blanks around them.
 */
int
ts_vtodo_line_tags(const TsIcalLine *line, char ***tags)
{
	const char *value = ts_ical_value(line);
	int			n = ts_ical_unescape_list(value, strlen(value), tags);
	int			kept = 0;

	for (int i = 0; i < n; i++)
	{
		char	   *tag = ts_vtodo_one_line((*tags)[i]);

		if (tag != NULL)
			(*tags)[kept++] = tag;
	}
	return kept;
}

/* All CATEGORIES lines as one JSON array, each tag once. */
static char *
read_tags(const TsIcalComponent *todo)
{
	char	  **all = palloc(sizeof(char *));
	int			nall = 0;
	int			max = 1;
	TsIcalLine *line = NULL;

	while ((line = ts_ical_line(todo, "CATEGORIES", line)) != NULL)
	{
		char	  **tags;
		int			n = ts_vtodo_line_tags(line, &tags);

		if (nall + n > max)
		{
			max = 2 * (nall + n);
			all = repalloc(all, max * sizeof(char *));
		}
		memcpy(all + nall, tags, n * sizeof(char *));
		nall += n;
	}
	return ts_tags_join(all, ts_tags_unique(all, nall));
}

/*
 * ts_vtodo_parent_line
 *		The RELATED-TO that names the parent, which is the first with that
 *		RELTYPE or none (RFC 5545, 3.8.4.5) and is not the task itself; NULL.
 */
TsIcalLine *
ts_vtodo_parent_line(const TsIcalComponent *todo)
{
	TsIcalLine *line = NULL;
	TsIcalLine *uid = ts_ical_line(todo, "UID", NULL);

	while ((line = ts_ical_line(todo, "RELATED-TO", line)) != NULL)
	{
		char	   *type = ts_ical_param(line, "RELTYPE");
		const char *value = ts_ical_value(line);

		if ((type == NULL || *type == '\0' || pg_strcasecmp(type, "PARENT") == 0) &&
			value[strspn(value, " \t")] != '\0' &&
			(uid == NULL || strcmp(value, ts_ical_value(uid)) != 0))
			return line;
	}
	return NULL;
}

static char *
read_parent(const TsIcalComponent *todo)
{
	TsIcalLine *line = ts_vtodo_parent_line(todo);
	const char *value = line ? ts_ical_value(line) : NULL;

	return value ? ts_vtodo_one_line(ts_ical_unescape(value, strlen(value))) : NULL;
}

static char *
read_rule(const TsIcalComponent *todo)
{
	char	   *text = plain_value(todo, "RRULE");

	return text ? ts_rrule_canonical(text) : NULL;
}

/*
 * ts_vtodo_read
 *		Everything a VTODO says, as a task with all fields known.
 */
void
ts_vtodo_read(const TsIcalDoc *doc, const TsIcalComponent *todo,
			  const char *default_zone, TsTask *task)
{
	int			percent = number_value(todo, "PERCENT-COMPLETE", 100);
	char	   *title = text_value(todo, "SUMMARY");
	char	   *url = plain_value(todo, "URL");
	TsVtodoDates dates;
	TsVtodoAlarm alarm;

	memset(task, 0, sizeof(*task));
	task->known = TS_ALL_FIELDS;
	task->value[TS_TITLE] = title ? title : pstrdup("");
	task->value[TS_DESCRIPTION] = text_value(todo, "DESCRIPTION");
	task->value[TS_STATUS] = pstrdup(read_status(todo, percent));
	task->value[TS_PRIORITY] = pstrdup(read_priority(todo));
	task->value[TS_DURATION_MINUTES] = read_duration_minutes(todo);
	if (percent >= 0)
		task->value[TS_PERCENT_COMPLETE] = psprintf("%d", percent);
	if (strcmp(task->value[TS_STATUS], "COMPLETED") == 0)
		task->value[TS_COMPLETED_AT] = timestamp_value(doc, todo, "COMPLETED", default_zone);
	task->value[TS_RECURRENCE_RULE] = read_rule(todo);
	task->value[TS_TAGS] = read_tags(todo);
	if (url != NULL)
		task->value[TS_URL] = ts_vtodo_one_line(url);
	task->value[TS_PARENT_TASK_ID] = read_parent(todo);

	ts_vtodo_read_dates(doc, todo, &dates);
	ts_vtodo_dates_to_task(&dates, task);
	ts_vtodo_read_alarm(doc, todo, &dates, default_zone, &alarm);
	if (alarm.comp != NULL)
		task->value[TS_REMIND_AT] = ts_timestamp_text(alarm.at * TS_USECS_PER_SEC);
}

/*
 * ts_vtodo_next
 *		The document's next VTODO after "after" (NULL: the first), or NULL.  A
 *		VTODO without a VCALENDAR around it counts.
 */
TsIcalComponent *
ts_vtodo_next(const TsIcalDoc *doc, const TsIcalComponent *after)
{
	const TsIcalComponent *comp = after;

	if (comp == NULL)
		comp = &doc->root;
	for (;;)
	{
		if (comp->first_child != NULL && strcmp(comp->name, "VTODO") != 0)
			comp = comp->first_child;
		else
		{
			while (comp->next_sibling == NULL && comp->parent != NULL)
				comp = comp->parent;
			comp = comp->next_sibling;
		}
		if (comp == NULL || strcmp(comp->name, "VTODO") == 0)
			return unconstify(TsIcalComponent *, comp);
	}
}

/*
 * ts_vtodo_master
 *		The VTODO that is the task: the first one that is no override, else the
 *		first one; NULL when there is none.
 */
TsIcalComponent *
ts_vtodo_master(const TsIcalDoc *doc)
{
	TsIcalComponent *todo = NULL;

	while ((todo = ts_vtodo_next(doc, todo)) != NULL)
	{
		if (ts_ical_line(todo, "RECURRENCE-ID", NULL) == NULL)
			return todo;
	}
	return ts_vtodo_next(doc, NULL);
}

/*
 * ts_vtodo_default_zone
 *		The zone in which floating times become instants.
 */
const char *
ts_vtodo_default_zone(const TsVtodoOptions *opt)
{
	char	   *zone = opt && opt->default_time_zone ?
	ts_zone_canonical(opt->default_time_zone) : NULL;

	return zone ? zone : "UTC";
}

bool
ts_vtodo_decode(const char *payload, size_t len, const TsVtodoOptions *opt,
				TsVtodo *out, TsError *err)
{
	const char *zone = ts_vtodo_default_zone(opt);
	TsIcalComponent *master;
	TsIcalDoc  *doc;

	memset(out, 0, sizeof(*out));
	memset(err, 0, sizeof(*err));
	doc = ts_ical_parse(payload, len, err);
	if (doc == NULL)
		return false;
	master = ts_vtodo_master(doc);
	if (master == NULL)
		return true;

	out->is_vtodo = true;
	ts_vtodo_read(doc, master, zone, &out->task);
	out->uid = non_empty(text_value(master, "UID"));
	out->parent_uid = out->task.value[TS_PARENT_TASK_ID];
	out->last_modified = timestamp_value(doc, master, "LAST-MODIFIED", zone);
	out->is_recurring = ts_ical_line(master, "RRULE", NULL) != NULL ||
		ts_ical_line(master, "RDATE", NULL) != NULL;
	for (TsIcalComponent *todo = NULL; (todo = ts_vtodo_next(doc, todo)) != NULL;)
	{
		out->ntodos++;
		if (ts_ical_line(todo, "RECURRENCE-ID", NULL) != NULL)
			out->has_overrides = true;
	}
	return true;
}
