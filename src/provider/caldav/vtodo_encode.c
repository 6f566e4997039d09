/*-------------------------------------------------------------------------
 *
 * vtodo_encode.c
 *	  The canonical task -> a VTODO, by editing the object as last seen.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "provider/caldav/vtodo_parts.h"

#define PRODID	"-//tasksync//tasksync 1.0//EN"

/*
 * ts_vtodo_utc
 *		An instant (microseconds) as a UTC DATE-TIME.
 */
char *
ts_vtodo_utc(int64 usec)
{
	TsIcalTime	t = {.zone = "UTC"};
	int64		seconds = usec / TS_USECS_PER_SEC;

	if (usec % TS_USECS_PER_SEC < 0)
		seconds--;
	if (!ts_wall_from_seconds(seconds, &t.wall))
		t.wall = (TsCivil) {.year = 1970,.month = 1,.day = 1};
	return ts_ical_time_print(&t);
}

/*
 * ts_vtodo_put_instant
 *		Set one of the properties that are UTC by definition.
 */
void
ts_vtodo_put_instant(TsVtodoEdit *edit, TsIcalComponent *todo, const char *name, int64 usec)
{
	static const char *const typed_params[] = {"VALUE", "TZID", NULL};
	TsIcalLine *line = ts_ical_line(todo, name, NULL);
	char	   *value = ts_vtodo_utc(usec);

	if (line == NULL)
		ts_ical_add(edit->doc, todo, psprintf("%s:%s", name, value));
	else
		ts_ical_set_value(edit->doc, line, value, typed_params);
}

/*
 * ts_vtodo_put
 *		Set a property that occurs once, its parameters kept, or remove it.
 *
 * A value that stands there already is not touched.
 */
void
ts_vtodo_put(TsVtodoEdit *edit, TsIcalComponent *todo, const char *name, const char *value)
{
	/* ALTREP is the value in another form, the others say how it was written */
	static const char *const stale[] = {"ALTREP", "ENCODING", "CHARSET", NULL};
	TsIcalLine *line = ts_ical_line(todo, name, NULL);

	if (value != NULL && line == NULL)
		ts_ical_add(edit->doc, todo, psprintf("%s:%s", name, value));
	else if (value != NULL && strcmp(ts_ical_value(line), value) != 0)
		ts_ical_set_value(edit->doc, line, value, stale);
	else if (value == NULL)
	{
		while ((line = ts_ical_line(todo, name, NULL)) != NULL)
			ts_ical_remove(edit->doc, line);
	}
}

/* ---------- the wanted values as they can be said here ---------- */

/* What a text becomes on its way out and back; empty is "not set". */
static char *
sayable_text(const char *text)
{
	char	   *escaped = ts_ical_escape(text);
	char	   *back = ts_ical_unescape(escaped, strlen(escaped));

	return *back != '\0' ? back : NULL;
}

static char *
sayable_timestamp(const char *text)
{
	int64		usec;
	int64		rest;

	if (!ts_timestamp_parse(text, &usec))
		return NULL;
	rest = usec % TS_USECS_PER_SEC;
	return ts_timestamp_text(usec - (rest < 0 ? rest + TS_USECS_PER_SEC : rest));
}

static char *
sayable_tags(const char *json)
{
	int			n;
	char	  **tags = ts_tags_split(json, &n);
	int			kept = 0;

	if (tags == NULL)
		return pstrdup("[]");
	for (int i = 0; i < n; i++)
	{
		char	   *tag = ts_vtodo_one_line(tags[i]);

		if (tag != NULL)
			tags[kept++] = tag;
	}
	return ts_tags_join(tags, ts_tags_unique(tags, kept));
}

static char *
sayable(TsField f, const char *value)
{
	switch (ts_field_info[f].kind)
	{
		case TS_KIND_TEXT:
		case TS_KIND_REFERENCE:
			return f == TS_URL || f == TS_PARENT_TASK_ID ?
				ts_vtodo_one_line(value) : sayable_text(value);
		case TS_KIND_TIMESTAMP:
			return sayable_timestamp(value);
		case TS_KIND_TAGS:
			return sayable_tags(value);
		default:
			return pstrdup(value);
	}
}

/* want = was, with the changed fields as the task has them. */
static void
overlay(TsVtodoEdit *edit, const TsTask *task)
{
	edit->want = edit->was;
	for (int f = 0; f < TS_NFIELDS; f++)
	{
		const char *value = task->value[f] ? task->value[f] : ts_field_info[f].fallback;

		if ((edit->changed & TS_FIELD_BIT(f)) == 0)
			continue;
		edit->want.value[f] = value ? sayable(f, value) : NULL;
		if (edit->want.value[f] == NULL && ts_field_info[f].fallback != NULL)
			edit->want.value[f] = pstrdup(ts_field_info[f].fallback);
	}
}

/* ---------- the parts ---------- */

/*
 * ts_vtodo_differs
 *		Is another value wanted than there is?
 */
bool
ts_vtodo_differs(const TsVtodoEdit *edit, TsField f)
{
	return !ts_value_equal(f, edit->was.value[f], edit->want.value[f]);
}

static void
write_text(TsVtodoEdit *edit, TsField f, const char *name)
{
	const char *value = edit->want.value[f];

	if (ts_vtodo_differs(edit, f))
		ts_vtodo_put(edit, edit->todo, name, value ? ts_ical_escape(value) : NULL);
}

/* The HTML twin of a description that changes would go on saying the old one. */
static void
write_description(TsVtodoEdit *edit)
{
	write_text(edit, TS_DESCRIPTION, "DESCRIPTION");
	if (ts_vtodo_differs(edit, TS_DESCRIPTION))
		ts_vtodo_put(edit, edit->todo, "X-ALT-DESC", NULL);
}

static void
write_priority(TsVtodoEdit *edit)
{
	const char *want = edit->want.value[TS_PRIORITY];
	const char *number = NULL;

	if (!ts_vtodo_differs(edit, TS_PRIORITY))
		return;
	if (strcmp(want, "HIGH") == 0)
		number = "1";
	else if (strcmp(want, "MEDIUM") == 0)
		number = "5";
	else if (strcmp(want, "LOW") == 0)
		number = "9";
	ts_vtodo_put(edit, edit->todo, "PRIORITY", number);
}

static void
write_duration_minutes(TsVtodoEdit *edit)
{
	const char *want = edit->want.value[TS_DURATION_MINUTES];
	TsIcalDuration d = {0};

	if (!ts_vtodo_differs(edit, TS_DURATION_MINUTES))
		return;
	if (want != NULL)
		d.seconds = strtol(want, NULL, 10) * INT64CONST(60);
	ts_vtodo_put(edit, edit->todo, "ESTIMATED-DURATION",
				 want ? (d.seconds ? ts_ical_duration_print(&d) : "PT0S") : NULL);
}

static void
write_plain(TsVtodoEdit *edit, TsField f, const char *name)
{
	if (ts_vtodo_differs(edit, f))
		ts_vtodo_put(edit, edit->todo, name, edit->want.value[f]);
}

static char *
join_tags(char **tags, int n)
{
	StringInfoData out;

	initStringInfo(&out);
	for (int i = 0; i < n; i++)
		appendStringInfo(&out, "%s%s", i > 0 ? "," : "", ts_ical_escape(tags[i]));
	return out.data;
}

/* Takes what is not wanted out of one CATEGORIES line; false when it is empty then. */
static bool
prune_line(TsVtodoEdit *edit, TsIcalLine *line, char **wanted, int nwanted)
{
	char	  **tags;
	int			n = ts_vtodo_line_tags(line, &tags);
	int			kept = 0;

	for (int i = 0; i < n; i++)
	{
		if (ts_tags_contain(wanted, nwanted, tags[i]))
			tags[kept++] = tags[i];
	}
	if (kept == 0)
		ts_ical_remove(edit->doc, line);
	else if (kept < n)
		ts_ical_set_value(edit->doc, line, join_tags(tags, kept), NULL);
	return kept > 0;
}

/* Removes the tags that went, adds the new ones to the last line left. */
static void
write_tags(TsVtodoEdit *edit)
{
	int			nwant;
	int			nhad;
	char	  **want = ts_tags_split(edit->want.value[TS_TAGS], &nwant);
	char	  **had = ts_tags_split(edit->was.value[TS_TAGS], &nhad);
	char	  **wanted = ts_tags_sorted(want, nwant);
	TsIcalLine *last = NULL;
	TsIcalLine *next;
	int			nnew = 0;

	if (!ts_vtodo_differs(edit, TS_TAGS))
		return;
	for (TsIcalLine *line = ts_ical_line(edit->todo, "CATEGORIES", NULL); line; line = next)
	{
		next = ts_ical_line(edit->todo, "CATEGORIES", line);
		if (prune_line(edit, line, wanted, nwant))
			last = line;
	}
	had = ts_tags_sorted(had, nhad);
	for (int i = 0; i < nwant; i++)
	{
		if (!ts_tags_contain(had, nhad, want[i]))
			want[nnew++] = want[i];
	}
	if (nnew > 0 && last != NULL)
		ts_ical_set_value(edit->doc, last,
						  psprintf("%s,%s", ts_ical_value(last), join_tags(want, nnew)), NULL);
	else if (nnew > 0)
		ts_ical_add(edit->doc, edit->todo, psprintf("CATEGORIES:%s", join_tags(want, nnew)));
}

/*
 * The RELATED-TO that was read as the parent is changed.  Of a task that is to
 * have none all such lines go: the next one would be its parent then.
 */
static void
write_parent(TsVtodoEdit *edit)
{
	const char *want = edit->want.value[TS_PARENT_TASK_ID];
	TsIcalLine *line = ts_vtodo_parent_line(edit->todo);

	if (!ts_vtodo_differs(edit, TS_PARENT_TASK_ID))
		return;
	for (; line != NULL && want == NULL; line = ts_vtodo_parent_line(edit->todo))
		ts_ical_remove(edit->doc, line);
	if (line != NULL)
		ts_ical_set_value(edit->doc, line, ts_ical_escape(want), NULL);
	else if (want != NULL)
		ts_ical_add(edit->doc, edit->todo,
					psprintf("RELATED-TO;RELTYPE=PARENT:%s", ts_ical_escape(want)));
}

static bool
write_parts(TsVtodoEdit *edit, TsError *err)
{
	write_text(edit, TS_TITLE, "SUMMARY");
	write_description(edit);
	write_priority(edit);
	write_duration_minutes(edit);
	write_plain(edit, TS_RECURRENCE_RULE, "RRULE");
	write_tags(edit);
	write_plain(edit, TS_URL, "URL");
	write_parent(edit);
	if (!ts_vtodo_write_dates(edit, err))
		return false;
	ts_vtodo_write_alarm(edit);
	ts_vtodo_write_completion(edit);
	return true;
}

static void
stamp(TsVtodoEdit *edit)
{
	ts_vtodo_put_instant(edit, edit->todo, "LAST-MODIFIED", edit->opt->now);
	ts_vtodo_put_instant(edit, edit->todo, "DTSTAMP", edit->opt->now);
}

/* The object that a new task begins as. */
static char *
empty_object(const TsVtodoOptions *opt)
{
	char	   *now = ts_vtodo_utc(opt->now);

	return psprintf("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:" PRODID "\r\n"
					"BEGIN:VTODO\r\nUID:%s\r\nDTSTAMP:%s\r\nCREATED:%s\r\n"
					"LAST-MODIFIED:%s\r\nSUMMARY:\r\nSTATUS:NEEDS-ACTION\r\n"
					"END:VTODO\r\nEND:VCALENDAR\r\n",
					ts_ical_escape(opt->uid), now, now, now);
}

/* Every value that is going to be written must be one of its field. */
static bool
check_values(const TsTask *task, TsFieldMask changed, TsTask *checked, TsError *err)
{
	*checked = *task;
	for (int f = 0; f < TS_NFIELDS; f++)
	{
		if ((changed & TS_FIELD_BIT(f)) == 0 || task->value[f] == NULL)
			continue;
		checked->value[f] = ts_value_canonical(f, task->value[f], err);
		if (checked->value[f] == NULL)
			return false;
	}
	return true;
}

char *
ts_vtodo_encode(const TsTask *task, TsFieldMask changed,
				const char *onto, size_t onto_len,
				const TsVtodoOptions *opt, TsError *err)
{
	TsVtodoEdit edit = {.opt = opt,.default_zone = ts_vtodo_default_zone(opt)};
	TsTask		checked;

	memset(err, 0, sizeof(*err));
	if (onto == NULL && (opt->uid == NULL || *opt->uid == '\0'))
	{
		ts_error(err, "22023", "a new task needs a UID");
		return NULL;
	}
	if (onto == NULL)
	{
		onto = empty_object(opt);
		onto_len = strlen(onto);
		changed = TS_ALL_FIELDS;
	}
	edit.changed = changed & task->known;
	edit.doc = ts_ical_parse(onto, onto_len, err);
	edit.todo = edit.doc ? ts_vtodo_master(edit.doc) : NULL;
	if (edit.todo == NULL)
	{
		if (!ts_failed(err))
			ts_error(err, "TS502", "iCalendar object has no VTODO");
		return NULL;
	}
	ts_vtodo_read(edit.doc, edit.todo, edit.default_zone, &edit.was);
	ts_vtodo_read_dates(edit.doc, edit.todo, &edit.dates);
	ts_vtodo_read_alarm(edit.doc, edit.todo, &edit.dates, edit.default_zone, &edit.alarm);
	if (!check_values(task, edit.changed, &checked, err))
		return NULL;
	overlay(&edit, &checked);
	if (!write_parts(&edit, err))
		return NULL;
	if (edit.doc->changed)
		stamp(&edit);
	return ts_ical_print(edit.doc);
}
