/*-------------------------------------------------------------------------
 *
 * todo_decode.c
 *	  A todoTask as a task (see todo.h).
 *
 * A payload shows all of a task: what is missing in it is not set, for the
 * service leaves out much of what is not.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "provider/outlook/todo.h"
#include "task/datetime.h"

typedef struct Word
{
	const char *there;
	const char *here;
} Word;

static const Word status_words[] = {
	{"notStarted", "TODO"},
	{"deferred", "TODO"},
	{"inProgress", "IN_PROGRESS"},
	{"waitingOnOthers", "IN_PROGRESS"},
	{"completed", "COMPLETED"},
};

static const Word importance_words[] = {
	{"normal", "NONE"},
	{"low", "LOW"},
	{"high", "HIGH"},
};

/* A word that is new to us is taken for the first, and kept as it is. */
static char *
translate(const Word *words, int n, const char *there)
{
	for (int i = 0; there != NULL && i < n; i++)
	{
		if (pg_strcasecmp(words[i].there, there) == 0)
			return pstrdup(words[i].here);
	}
	return pstrdup(words[0].here);
}

/* False where the member is there and of another kind. */
static bool
is_of_kind(const TsJson *root, const char *name, TsJsonKind kind, TsError *err)
{
	const TsJson *value = ts_json_get(root, name);

	if (value == NULL || value->kind == kind || value->kind == TS_JSON_NULL)
		return true;
	ts_error(err, "TS502", "\"%s\" of the task is not of its type", name);
	return false;
}

static bool
kinds_are_right(const TsJson *root, TsError *err)
{
	static const struct
	{
		const char *name;
		TsJsonKind	kind;
	}			members[] = {
		{"id", TS_JSON_STRING},
		{"title", TS_JSON_STRING},
		{"body", TS_JSON_OBJECT},
		{"status", TS_JSON_STRING},
		{"importance", TS_JSON_STRING},
		{"startDateTime", TS_JSON_OBJECT},
		{"dueDateTime", TS_JSON_OBJECT},
		{"completedDateTime", TS_JSON_OBJECT},
		{"isReminderOn", TS_JSON_BOOL},
		{"reminderDateTime", TS_JSON_OBJECT},
		{"recurrence", TS_JSON_OBJECT},
		{"categories", TS_JSON_ARRAY},
		{"linkedResources", TS_JSON_ARRAY},
	};

	for (int i = 0; i < lengthof(members); i++)
	{
		if (!is_of_kind(root, members[i].name, members[i].kind, err))
			return false;
	}
	return true;
}

char *
ts_todo_trimmed(const char *text)
{
	size_t		len;

	text += strspn(text, " \t\r\n");
	len = strlen(text);
	while (len > 0 && strchr(" \t\r\n", text[len - 1]) != NULL)
		len--;
	return pnstrdup(text, len);
}

static char *
read_tags(const TsJson *categories)
{
	char	  **tags;
	int			n = 0;

	for (const TsJson *c = categories != NULL ? categories->first : NULL; c != NULL; c = c->next)
		n++;
	tags = palloc(sizeof(char *) * (n + 1));
	n = 0;
	for (const TsJson *c = categories != NULL ? categories->first : NULL; c != NULL; c = c->next)
	{
		if (c->kind == TS_JSON_STRING && c->text[0] != '\0')
			tags[n++] = c->text;
	}
	return ts_tags_join(tags, ts_tags_unique(tags, n));
}

/* The task here that this one was made for. */
static char *
read_marker(const TsJson *resources)
{
	for (const TsJson *r = resources != NULL ? resources->first : NULL; r != NULL; r = r->next)
	{
		const char *application = ts_json_get_string(r, "applicationName");
		const char *id = ts_json_get_string(r, "externalId");

		if (application != NULL && id != NULL && strcmp(application, TS_TODO_APPLICATION) == 0)
			return pstrdup(id);
	}
	return NULL;
}

/* The service tells a day, and tells it of open tasks too if they were completed before. */
static bool
read_completion(const TsJson *root, const char *zone, TsTask *task, TsError *err)
{
	char	   *day;

	if (!ts_todo_date(ts_json_get(root, "completedDateTime"), zone, &day, err))
		return false;
	if (day != NULL && strcmp(task->value[TS_STATUS], "COMPLETED") == 0)
		task->value[TS_COMPLETED_AT] = ts_todo_noon(day);
	return true;
}

static bool
read_dates(const TsJson *root, const TsCodecOptions *opt, TsTask *task, TsError *err)
{
	const char *zone = ts_todo_zone(opt);

	if (!ts_todo_date(ts_json_get(root, "startDateTime"), zone, &task->value[TS_START_DATE], err) ||
		!ts_todo_date(ts_json_get(root, "dueDateTime"), zone, &task->value[TS_DUE_DATE], err) ||
		!read_completion(root, zone, task, err))
		return false;
	return !ts_json_get_bool(root, "isReminderOn") ||
		ts_todo_instant(ts_json_get(root, "reminderDateTime"), zone, &task->value[TS_REMIND_AT], err);
}

/*
 * ts_todo_read
 *		What the JSON of a todoTask says.
 */
bool
ts_todo_read(const TsJson *root, const TsCodecOptions *opt, TsRemoteTask *out, TsError *err)
{
	const char *title = ts_json_get_string(root, "title");
	const char *modified = ts_json_get_string(root, "lastModifiedDateTime");
	const char *id = ts_json_get_string(root, "id");
	TsTask	   *task = &out->task;
	int64		usec;

	memset(out, 0, sizeof(*out));
	if (root->kind != TS_JSON_OBJECT || (id == NULL && title == NULL))
	{
		ts_error(err, "TS502", "this is no task of Outlook");
		return false;
	}
	if (!kinds_are_right(root, err))
		return false;
	out->is_task = ts_json_get(root, "@removed") == NULL;
	task->known = TS_TODO_FIELDS;
	task->value[TS_TITLE] = ts_todo_trimmed(title != NULL ? title : "");
	task->value[TS_STATUS] = translate(status_words, lengthof(status_words), ts_json_get_string(root, "status"));
	task->value[TS_PRIORITY] = translate(importance_words, lengthof(importance_words),
										 ts_json_get_string(root, "importance"));
	task->value[TS_TAGS] = read_tags(ts_json_get_kind(root, "categories", TS_JSON_ARRAY));
	if (!ts_todo_text(ts_json_get(root, "body"), &task->value[TS_DESCRIPTION], err) ||
		!read_dates(root, opt, task, err) ||
		!ts_todo_rule(ts_json_get(root, "recurrence"), &task->value[TS_RECURRENCE_RULE], err))
		return false;
	out->is_recurring = task->value[TS_RECURRENCE_RULE] != NULL;
	out->marker = read_marker(ts_json_get_kind(root, "linkedResources", TS_JSON_ARRAY));

	/* moved to another list in the app, a task has another id, and still its links */
	out->uid = out->marker != NULL ? out->marker : id != NULL ? pstrdup(id) : NULL;
	if (modified != NULL && ts_timestamp_parse(modified, &usec))
		out->modified_at = ts_timestamp_text(usec);
	return true;
}

bool
ts_todo_decode(const char *payload, size_t len, const TsCodecOptions *opt,
			   TsRemoteTask *out, TsError *err)
{
	const TsJson *root;

	memset(err, 0, sizeof(*err));
	root = ts_json_parse(payload, len, err);
	return root != NULL && ts_todo_read(root, opt, out, err);
}
