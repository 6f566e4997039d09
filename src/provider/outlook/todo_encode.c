/*-------------------------------------------------------------------------
 *
 * todo_encode.c
 *	  A task as a todoTask (see todo.h).
 *
 * Of the fields that changed, only those are written whose value the service's
 * own does not show already: a rule that is only spelled otherwise, or a
 * priority that it has no word for, is no change there.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "provider/outlook/todo.h"
#include "task/datetime.h"

#define BIT TS_FIELD_BIT
#define MAX_MEMBERS 24

typedef struct Encoder
{
	const TsTask *task;
	TsFieldMask changed;
	const TsTask *seen;			/* what the object shows; NULL: it is new */
	const TsJson *onto;
	const TsJson *copy;			/* of a new one: the object that it takes the place of, or NULL */
	const char *zone;
	StringInfoData patch;		/* what is to be sent */
	StringInfoData expected;	/* what the object should show then */
	const char *member[MAX_MEMBERS];	/* those in "expected" */
	int			nmembers;
	TsError    *err;
} Encoder;

static const char *
value_of(const Encoder *e, TsField f)
{
	return e->task->value[f];
}

/* Is the field to be written?  Of a new object, where it is set at all. */
static bool
differs(const Encoder *e, TsField f, const char *value)
{
	if (!(e->changed & BIT(f)))
		return false;
	return e->seen == NULL ? value != NULL : !ts_value_equal(f, value, e->seen->value[f]);
}

static void
expect(Encoder *e, const char *name, const char *raw, size_t len)
{
	ts_json_put_raw(&e->expected, name, raw, len);
	e->member[e->nmembers++] = name;
}

/* A member to be sent, from an object that holds only it. */
static void
put(Encoder *e, const char *name, const StringInfo value)
{
	ts_json_put_raw(&e->patch, name, value->data, value->len);
	expect(e, name, value->data, value->len);
}

static void
put_string(Encoder *e, const char *name, const char *value)
{
	StringInfoData quoted;

	initStringInfo(&quoted);
	ts_json_string(&quoted, value);
	put(e, name, &quoted);
}

static void
put_raw(Encoder *e, const char *name, const char *raw)
{
	StringInfoData value;

	initStringInfo(&value);
	appendStringInfoString(&value, raw);
	put(e, name, &value);
}

/* The value alone, of a writer that puts a member. */
static char *
date_value(const char *date, const char *zone)
{
	StringInfoData out;

	initStringInfo(&out);
	ts_json_open(&out);
	ts_todo_put_date(&out, "", date, zone);
	return out.data + strlen("{\"\":");
}

static char *
instant_value(const char *timestamp)
{
	StringInfoData out;

	initStringInfo(&out);
	ts_json_open(&out);
	ts_todo_put_instant(&out, "", timestamp);
	return out.data + strlen("{\"\":");
}

/* ---------- fields ---------- */

/*
 * Does a title show nothing?  The blanks of Unicode, and what an earlier Unicode
 * counted among them, as services still may.
 */
static bool
is_blank_title(const char *title)
{
	static const char *const blanks[] = {
		"\xC2\x85", "\u00a0", "\u1680", "\u180e", "\u2000", "\u2001", "\u2002", "\u2003", "\u2004",
		"\u2005", "\u2006", "\u2007", "\u2008", "\u2009", "\u200a", "\u200b", "\u2028", "\u2029",
		"\u202f", "\u205f", "\u3000", "\ufeff"
	};

	while (*title != '\0')
	{
		size_t		len = *title > 0 && *title <= ' ' ? 1 : 0;

		for (int i = 0; len == 0 && i < lengthof(blanks); i++)
		{
			if (strncmp(title, blanks[i], strlen(blanks[i])) == 0)
				len = strlen(blanks[i]);
		}
		if (len == 0)
			return false;
		title += len;
	}
	return true;
}

/* Some tenants refuse a task without a title. */
static char *
title_of(const char *title)
{
	return title == NULL || is_blank_title(title) ? pstrdup(TS_TODO_NO_TITLE) : ts_todo_trimmed(title);
}

static void
encode_title(Encoder *e)
{
	char	   *title = title_of(value_of(e, TS_TITLE));

	/* one that is empty there stays so, as long as it does here */
	if (e->seen != NULL && !differs(e, TS_TITLE, value_of(e, TS_TITLE)))
		return;
	if (e->seen == NULL || differs(e, TS_TITLE, title))
		put_string(e, "title", title);
}

static char *
description_of(const Encoder *e)
{
	const char *given = value_of(e, TS_DESCRIPTION);

	return given != NULL ? ts_todo_normal_text(given) : NULL;
}

/*
 * Does an object show a description already?  HTML has no words for a tab, say:
 * writing it once more would change nothing that can be seen.
 */
static bool
shows_description(const TsJson *object, const TsTask *shown, const char *text)
{
	const char *type = ts_json_get_string(ts_json_get(object, "body"), "contentType");
	const char *there = shown->value[TS_DESCRIPTION];

	if (there == NULL || text == NULL || ts_value_equal(TS_DESCRIPTION, there, text))
		return ts_value_equal(TS_DESCRIPTION, there, text);
	return type != NULL && pg_strcasecmp(type, "html") == 0 &&
		ts_value_equal(TS_DESCRIPTION, there, ts_todo_text_as_html(ts_todo_lasting_text(text)));
}

/* What changed is written as text, whatever it was. */
static void
encode_description(Encoder *e)
{
	char	   *text = description_of(e);
	StringInfoData body;

	if (!differs(e, TS_DESCRIPTION, text) ||
		(e->seen != NULL && shows_description(e->onto, e->seen, text)))
		return;
	initStringInfo(&body);
	ts_json_open(&body);
	ts_json_put_string(&body, "content", text != NULL ? ts_todo_lasting_text(text) : "");
	ts_json_put_string(&body, "contentType", "text");
	ts_json_close(&body);
	put(e, "body", &body);
}

/*
 * The service sets the day of completion itself, and only that it will is
 * noted here.
 */
static void
expect_completion(Encoder *e, bool completed)
{
	const char *at = value_of(e, TS_COMPLETED_AT);
	char	   *value;

	if (e->seen == NULL || (completed && at == NULL))
		return;
	value = date_value(completed ? pnstrdup(at, strlen("2026-01-31")) : NULL, "UTC");
	expect(e, "completedDateTime", value, strlen(value));
}

/* The service has one word for both. */
static bool
is_closed(const char *status)
{
	return status != NULL && (strcmp(status, "COMPLETED") == 0 || strcmp(status, "CANCELLED") == 0);
}

static void
encode_status(Encoder *e)
{
	static const char *const words[][2] = {
		{"TODO", "notStarted"}, {"IN_PROGRESS", "inProgress"},
		{"COMPLETED", "completed"}, {"CANCELLED", "completed"},
	};
	const char *status = value_of(e, TS_STATUS);
	bool		closed = is_closed(status);

	if (status == NULL || !differs(e, TS_STATUS, closed ? "COMPLETED" : status))
		return;
	for (int i = 0; i < lengthof(words); i++)
	{
		if (strcmp(status, words[i][0]) == 0)
			put_string(e, "status", words[i][1]);
	}
	if (closed || (e->seen != NULL && strcmp(e->seen->value[TS_STATUS], "COMPLETED") == 0))
		expect_completion(e, closed);
}

static void
encode_priority(Encoder *e)
{
	const char *priority = value_of(e, TS_PRIORITY);

	if (priority != NULL && strcmp(priority, "MEDIUM") == 0)
		priority = "NONE";
	if (priority == NULL || !differs(e, TS_PRIORITY, priority))
		return;
	put_string(e, "importance", strcmp(priority, "HIGH") == 0 ? "high"
			   : strcmp(priority, "LOW") == 0 ? "low" : "normal");
}

static void
encode_date(Encoder *e, TsField f, const char *name)
{
	if (differs(e, f, value_of(e, f)))
		put_raw(e, name, date_value(value_of(e, f), e->zone));
}

/* One without the other is refused, or ignored. */
static void
encode_reminder(Encoder *e)
{
	const char *at = value_of(e, TS_REMIND_AT);

	if (!differs(e, TS_REMIND_AT, at))
		return;
	put_raw(e, "isReminderOn", at != NULL ? "true" : "false");
	put_raw(e, "reminderDateTime", instant_value(at));
}

static void
encode_tags(Encoder *e)
{
	const char *tags = value_of(e, TS_TAGS);

	if (tags == NULL)
		tags = "[]";
	if (e->seen == NULL ? (e->changed & BIT(TS_TAGS)) && strcmp(tags, "[]") != 0
		: differs(e, TS_TAGS, tags))
		put_raw(e, "categories", tags);
}

/* ---------- recurrence ---------- */

/* {"pattern": …} or {"pattern": …, "range": …} */
static char *
recurrence_text(const char *pattern, const char *range)
{
	StringInfoData out;

	initStringInfo(&out);
	ts_json_open(&out);
	ts_json_put_raw(&out, "pattern", pattern, strlen(pattern));
	if (range != NULL)
		ts_json_put_raw(&out, "range", range, strlen(range));
	ts_json_close(&out);
	return out.data;
}

/* The rule that a pattern alone stands for, "" for none. */
static const char *
rule_of(const TsJson *recurrence)
{
	const TsJson *pattern = ts_json_get(recurrence, "pattern");
	TsError		err = {0};
	char	   *rule;

	if (pattern == NULL)
		return "";
	rule = recurrence_text(ts_json_raw(pattern), NULL);
	return ts_todo_rule(ts_json_parse(rule, strlen(rule), &err), &rule, &err) && rule != NULL ? rule : "";
}

/*
 * Of a task that is made anew in another list: a series that began at the due
 * date, and whose count did, would not be the one that was.
 */
static void
put_copied_recurrence(Encoder *e, const TsJson *old, const char *pattern, const char *range,
					  bool same_rule)
{
	const TsJson *old_range = ts_json_get_kind(old, "range", TS_JSON_OBJECT);

	if (old_range != NULL)
		range = ts_json_raw(old_range);
	put_raw(e, "recurrence", same_rule ? ts_json_raw(old) : recurrence_text(pattern, range));
}

/*
 * The range of a recurrence that is there can't be relied on to be accepted,
 * even if it is what was just read; so it is only sent where it is another.
 */
static void
put_recurrence(Encoder *e, const char *pattern, const char *range)
{
	const TsJson *old = ts_json_get_kind(e->seen != NULL ? e->onto : e->copy, "recurrence",
										 TS_JSON_OBJECT);
	char	   *whole = recurrence_text(pattern, range);
	const TsJson *new = ts_json_parse(whole, strlen(whole), e->err);
	bool		same_end = strcmp(ts_todo_range_text(old), ts_todo_range_text(new)) == 0;
	bool		same_rule = same_end && old != NULL && strcmp(rule_of(old), rule_of(new)) == 0;
	char	   *sent;

	if (e->seen == NULL && same_end && old != NULL)
	{
		put_copied_recurrence(e, old, pattern, range, same_rule);
		return;
	}
	if (e->seen != NULL && same_rule)
		return;
	sent = recurrence_text(pattern, e->seen != NULL && same_end ? NULL : range);
	ts_json_put_raw(&e->patch, "recurrence", sent, strlen(sent));
	expect(e, "recurrence", whole, strlen(whole));
}

static bool
needs_due_date(Encoder *e)
{
	ts_error(e->err, "22023", "a recurring task needs a due date in Outlook");
	ts_error_hint(e->err, "Give the task a due_date, or clear its recurrence_rule.");
	return false;
}

/* Does our rule leave the day to the due date, and say else what is shown? */
static bool
follows_due(const Encoder *e, const TsTask *shown)
{
	const char *rule = value_of(e, TS_RECURRENCE_RULE);
	const char *there = shown->value[TS_RECURRENCE_RULE];

	return rule != NULL && there != NULL && ts_todo_follows_due(rule, there, e->zone);
}

/* A rule that names no day is another where the due date moves, though it reads the same. */
static bool
is_rule_written(const Encoder *e)
{
	if (e->changed & BIT(TS_RECURRENCE_RULE))
		return true;
	return e->seen != NULL && (e->task->known & BIT(TS_RECURRENCE_RULE)) &&
		differs(e, TS_DUE_DATE, value_of(e, TS_DUE_DATE)) && follows_due(e, e->seen);
}

static bool
encode_recurrence(Encoder *e)
{
	bool		written = is_rule_written(e);
	const char *rule = written || e->seen == NULL
		? value_of(e, TS_RECURRENCE_RULE) : e->seen->value[TS_RECURRENCE_RULE];
	const char *due = e->changed & BIT(TS_DUE_DATE) || e->seen == NULL
		? value_of(e, TS_DUE_DATE) : e->seen->value[TS_DUE_DATE];
	StringInfoData pattern;
	StringInfoData range;

	if (rule != NULL && due == NULL && (written || e->changed & BIT(TS_DUE_DATE)))
		return needs_due_date(e);
	if (!written)
		return true;
	if (rule == NULL)
	{
		if (e->seen != NULL && e->seen->value[TS_RECURRENCE_RULE] != NULL)
			put_raw(e, "recurrence", "null");
		return true;
	}
	initStringInfo(&pattern);
	initStringInfo(&range);
	if (!ts_todo_pattern(rule, due, &pattern, e->err) ||
		!ts_todo_range(rule, due, e->zone, &range, e->err))
		return false;
	put_recurrence(e, pattern.data, range.data);
	return true;
}

/* ---------- the whole ---------- */

static bool
encode_fields(Encoder *e)
{
	encode_title(e);
	encode_description(e);
	encode_status(e);
	encode_priority(e);
	encode_date(e, TS_START_DATE, "startDateTime");
	encode_date(e, TS_DUE_DATE, "dueDateTime");
	encode_reminder(e);
	encode_tags(e);
	return encode_recurrence(e);
}

/* The members that a client may write, of each object in an array; "": none of those. */
static void
append_writable(StringInfo out, const TsJson *array, const char *const *names, int n)
{
	for (const TsJson *one = array ? array->first : NULL; one != NULL; one = one->next)
	{
		const char *application = ts_json_get_string(one, "applicationName");
		StringInfoData object;

		if (application != NULL && strcmp(application, TS_TODO_APPLICATION) == 0)
			continue;
		initStringInfo(&object);
		ts_json_open(&object);
		for (int i = 0; i < n; i++)
		{
			const TsJson *value = ts_json_get(one, names[i]);

			if (value != NULL && value->kind != TS_JSON_NULL)
				ts_json_put_raw(&object, names[i], value->raw, value->raw_len);
		}
		ts_json_close(&object);
		appendStringInfo(out, "%s%s", out->len > 0 ? "," : "", object.data);
	}
}

static void
put_array(Encoder *e, const char *name, const StringInfo elements)
{
	if (elements->len > 0)
		put_raw(e, name, psprintf("[%s]", elements->data));
}

/*
 * The links of a new task.  Ours is the marker by which it is known again when
 * its id was never learned; people see it as a link of the task.  Those of other
 * applications come along from the list that it leaves.
 */
static void
put_links(Encoder *e, const char *marker)
{
	static const char *const writable[] = {"applicationName", "displayName", "externalId", "webUrl"};
	StringInfoData links;

	initStringInfo(&links);
	if (marker != NULL)
	{
		StringInfoData ours;

		initStringInfo(&ours);
		ts_json_open(&ours);
		ts_json_put_string(&ours, "applicationName", TS_TODO_APPLICATION);
		ts_json_put_string(&ours, "displayName", TS_TODO_APPLICATION);
		ts_json_put_string(&ours, "externalId", marker);
		ts_json_close(&ours);
		appendStringInfoString(&links, ours.data);
	}
	append_writable(&links, ts_json_get_kind(e->copy, "linkedResources", TS_JSON_ARRAY), writable,
					lengthof(writable));
	put_array(e, "linkedResources", &links);
}

/* The object that a new one takes the place of is deleted after it: files would be, too. */
static bool
is_portable(const TsJson *copy, TsError *err)
{
	if (!ts_json_get_bool(copy, "hasAttachments"))
		return true;
	ts_error(err, "22023", "a task with attachments can't be moved to another list of Outlook from here");
	ts_error_hint(err, "Move it in Microsoft To Do, or move the task back to its project.");
	return false;
}

/*
 * Is an occurrence done that was still open where it comes from?  A task that is
 * made done has no next one: it is made as it was, and what is done about it is
 * to be sent after that.
 */
static bool
completes_series(const Encoder *e, const TsTask *shown)
{
	return shown->value[TS_RECURRENCE_RULE] != NULL && value_of(e, TS_RECURRENCE_RULE) != NULL &&
		is_closed(value_of(e, TS_STATUS)) && !is_closed(shown->value[TS_STATUS]);
}

/*
 * What a task that moves from another list has there and we have no column for:
 * its steps; and the service's own words for what was not changed here.
 */
static void
take_along(Encoder *e, const TsTask *shown)
{
	static const char *const writable[] = {"displayName", "isChecked"};
	const TsJson *body = ts_json_get_kind(e->copy, "body", TS_JSON_OBJECT);
	const TsJson *status = ts_json_get_kind(e->copy, "status", TS_JSON_STRING);
	const TsJson *recurrence = ts_json_get_kind(e->copy, "recurrence", TS_JSON_OBJECT);
	const char *content = ts_json_get_string(body, "content");
	StringInfoData steps;

	initStringInfo(&steps);
	append_writable(&steps, ts_json_get_kind(e->copy, "checklistItems", TS_JSON_ARRAY), writable,
					lengthof(writable));
	put_array(e, "checklistItems", &steps);
	/* an image, say, is no text, but something to see */
	if (content != NULL && content[0] != '\0' &&
		shows_description(e->copy, shown, description_of(e)))
	{
		put_raw(e, "body", ts_json_raw(body));
		e->changed &= ~BIT(TS_DESCRIPTION);
	}
	if (ts_value_equal(TS_STATUS, shown->value[TS_STATUS], value_of(e, TS_STATUS)) ||
		completes_series(e, shown))
	{
		if (status != NULL)
			put_raw(e, "status", ts_json_raw(status));
		e->changed &= ~BIT(TS_STATUS);
	}
	/* put off there, perhaps: it still recurs on the day that it did */
	if (follows_due(e, shown) &&
		ts_value_equal(TS_DUE_DATE, shown->value[TS_DUE_DATE], value_of(e, TS_DUE_DATE)))
	{
		put_raw(e, "recurrence", ts_json_raw(recurrence));
		e->changed &= ~BIT(TS_RECURRENCE_RULE);
	}
}

static bool
is_expected(const Encoder *e, const char *name)
{
	for (int i = 0; i < e->nmembers; i++)
	{
		if (strcmp(e->member[i], name) == 0)
			return true;
	}
	return strcmp(name, TS_TODO_PATCH) == 0;
}

/* The object as it was, with what is expected in place of what was, and the patch. */
static char *
edited(Encoder *e)
{
	StringInfoData out;
	size_t		len = e->expected.len - 1;

	ts_json_close(&e->patch);
	initStringInfo(&out);
	ts_json_open(&out);
	for (const TsJson *m = e->onto->first; m != NULL; m = m->next)
	{
		if (!is_expected(e, m->name))
			ts_json_put_raw(&out, m->name, m->raw, m->raw_len);
	}
	if (len > 0)
		appendStringInfo(&out, "%s%s", out.len > 1 ? "," : "", e->expected.data + 1);
	if (e->patch.len > 2)
		ts_json_put_raw(&out, TS_TODO_PATCH, e->patch.data, e->patch.len);
	ts_json_close(&out);
	return out.data;
}

char *
ts_todo_encode(const TsTask *task, TsFieldMask changed, const char *onto, size_t onto_len,
			   const TsCodecOptions *opt, TsError *err)
{
	Encoder		e = {
		.task = task,.changed = changed & TS_TODO_FIELDS,.zone = ts_todo_zone(opt),.err = err
	};
	TsRemoteTask seen;

	memset(err, 0, sizeof(*err));
	if (onto != NULL && e.changed == 0)
		return pnstrdup(onto, onto_len);
	initStringInfo(&e.patch);
	initStringInfo(&e.expected);
	ts_json_open(&e.patch);
	ts_json_open(&e.expected);
	if (onto != NULL)
	{
		e.onto = ts_json_parse(onto, onto_len, err);
		if (e.onto == NULL || !ts_todo_read(e.onto, opt, &seen, err))
			return NULL;
		e.seen = &seen.task;
	}
	else if (opt != NULL && opt->copy_of != NULL)
	{
		e.copy = ts_json_parse(opt->copy_of, opt->copy_len, err);
		if (e.copy == NULL || !ts_todo_read(e.copy, opt, &seen, err))
			return NULL;
		if (!is_portable(e.copy, err))
			return NULL;
		take_along(&e, &seen.task);
	}
	if (!encode_fields(&e))
		return NULL;
	if (onto != NULL)
		return edited(&e);
	put_links(&e, opt != NULL ? opt->marker : NULL);
	ts_json_close(&e.patch);
	return e.patch.data;
}

/*
 * ts_todo_shown
 *		A payload that was encoded, as the service would show it: without the patch.
 */
char *
ts_todo_shown(const char *payload, size_t len)
{
	TsError		err = {0};
	const TsJson *root = ts_json_parse(payload, len, &err);

	return ts_json_get(root, TS_TODO_PATCH) != NULL ? ts_json_without(root, TS_TODO_PATCH)
		: pnstrdup(payload, len);
}

/*
 * ts_todo_body
 *		What of a payload that was encoded is to be sent.
 *
 * The patch of one that was encoded onto another; all of a new one, which has
 * no id yet.
 */
char *
ts_todo_body(const char *payload, size_t len, TsError *err)
{
	const TsJson *root = ts_json_parse(payload, len, err);
	const TsJson *patch = ts_json_get_kind(root, TS_TODO_PATCH, TS_JSON_OBJECT);

	if (root == NULL)
		return NULL;
	if (patch != NULL)
		return ts_json_raw(patch);
	return ts_json_get(root, "id") == NULL ? ts_json_raw(root) : NULL;
}
