/*-------------------------------------------------------------------------
 *
 * outlook_codec_test.c
 *	  todoTasks of Microsoft Graph: read, changed, made.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <time.h>

#include "graph_replay.h"
#include "provider/outlook/provider.h"
#include "provider/outlook/todo.h"
#include "task/datetime.h"

static TsCodecOptions opt = {
	.marker = "0d9f7b9e-0000-4000-8000-000000000001",
	.default_time_zone = "Europe/Berlin",
	.now = INT64CONST(1795348800000000)
};

#define FULL \
	"{\"@odata.etag\":\"W/\\\"a1\\\"\",\"id\":\"T1\",\"title\":\"Paint\",\"status\":\"waitingOnOthers\"," \
	"\"importance\":\"normal\",\"isReminderOn\":true," \
	"\"reminderDateTime\":{\"dateTime\":\"2026-03-01T08:30:00.0000000\",\"timeZone\":\"W. Europe Standard Time\"}," \
	"\"dueDateTime\":{\"dateTime\":\"2026-02-28T23:00:00.0000000\",\"timeZone\":\"UTC\"}," \
	"\"body\":{\"content\":\"<html><body><p>one</p><p>two</p></body></html>\",\"contentType\":\"html\"}," \
	"\"categories\":[\"home\",null,\"garden\"],\"hasAttachments\":false,\"future\":{\"x\":[1,2.50,\"\\u00e4\"]}," \
	"\"createdDateTime\":\"2026-01-01T10:00:00.1234567Z\",\"lastModifiedDateTime\":\"2026-01-02T10:00:00.1234567Z\"," \
	"\"linkedResources\":[{\"applicationName\":\"Mail\",\"externalId\":\"x\"}," \
	"{\"applicationName\":\"tasksync\",\"externalId\":\"0d9f7b9e-0000-4000-8000-000000000009\",\"displayName\":\"tasksync\"}]," \
	"\"checklistItems\":[{\"id\":\"c\",\"displayName\":\"step\",\"isChecked\":false}]}"

static TsRemoteTask
decoded(const char *payload)
{
	TsRemoteTask remote = {0};
	TsError		err = {0};

	if (!ts_todo_decode(payload, strlen(payload), &opt, &remote, &err))
		tap_ok(false, "decodes: %s (%s)", err.message, payload);
	return remote;
}

static char *
encoded(const TsTask *task, TsFieldMask changed, const char *onto)
{
	TsError		err = {0};
	char	   *payload = ts_todo_encode(task, changed, onto, onto ? strlen(onto) : 0, &opt, &err);

	if (payload == NULL)
		tap_ok(false, "encodes: %s", err.message);
	return payload ? payload : pstrdup("{}");
}

/* What would be sent; NULL: nothing. */
static char *
sent(const char *payload)
{
	TsError		err = {0};

	return ts_todo_body(payload, strlen(payload), &err);
}

/* A task with one field, the others as the service has them by itself. */
static TsTask
task_with(TsField f, const char *value)
{
	TsTask		task = {.known = TS_TODO_FIELDS};

	task.value[TS_TITLE] = "Title";
	task.value[TS_STATUS] = "TODO";
	task.value[TS_PRIORITY] = "NONE";
	task.value[TS_TAGS] = "[]";
	task.value[f] = (char *) value;
	return task;
}

/* What a task that takes the place of another is made as. */
static char *
copied(const TsTask *task, const char *from)
{
	TsCodecOptions plain = opt;
	char	   *copy;

	opt.copy_of = from;
	opt.copy_len = strlen(from);
	copy = encoded(task, TS_TODO_FIELDS, NULL);
	opt = plain;
	tap_ok(graph_valid_task(copy, true), "a valid new one");
	return copy;
}

/* What a change of one field sends. */
static char *
change(const char *onto, TsField f, const char *value)
{
	TsTask		task = decoded(onto).task;
	char	   *body;

	task.value[f] = (char *) value;
	body = sent(encoded(&task, TS_FIELD_BIT(f), onto));
	if (body != NULL)
		tap_ok(graph_valid_task(body, false), "a valid change of %s", ts_field_info[f].name);
	return body;
}

static char *
failure(const TsTask *task, TsFieldMask changed, const char *onto, const char *state)
{
	TsError		err = {0};

	tap_ok(ts_todo_encode(task, changed, onto, onto ? strlen(onto) : 0, &opt, &err) == NULL, "is refused");
	tap_is(err.sqlstate, state, "with %s", state);
	tap_ok(err.hint != NULL, "and a hint");
	return err.message;
}

static void
test_decode(void)
{
	TsRemoteTask r = decoded(FULL);

	tap_ok(r.is_task && !r.is_recurring, "a task");
	tap_is(r.uid, r.marker, "known by its marker, which it keeps in other lists");
	tap_is(r.marker, "0d9f7b9e-0000-4000-8000-000000000009", "its marker");
	tap_is(r.modified_at, "2026-01-02T10:00:00.123456+00:00", "its last change");
	tap_is(r.task.value[TS_TITLE], "Paint", "title");
	tap_is(r.task.value[TS_STATUS], "IN_PROGRESS", "status");
	tap_is(r.task.value[TS_PRIORITY], "NONE", "priority");
	tap_is(r.task.value[TS_DUE_DATE], "2026-03-01", "due");
	tap_is(r.task.value[TS_REMIND_AT], "2026-03-01T07:30:00+00:00", "reminder in a Windows zone");
	tap_is(r.task.value[TS_DESCRIPTION], "one\n\ntwo", "description");
	tap_is(r.task.value[TS_TAGS], "[\"home\", \"garden\"]", "tags");
	tap_is(r.task.value[TS_START_DATE], NULL, "no start");
	tap_ok(r.task.known == TS_TODO_FIELDS, "all fields are known");

	r = decoded("{\"id\":\"T\",\"title\":null,\"status\":\"somethingNew\",\"importance\":null,\"isReminderOn\":false,"
				"\"reminderDateTime\":{\"dateTime\":\"2026-01-01T00:00:00\",\"timeZone\":\"UTC\"},\"categories\":null}");
	tap_is(r.task.value[TS_TITLE], "", "no title");
	tap_is(r.task.value[TS_STATUS], "TODO", "an unknown status");
	tap_is(r.task.value[TS_REMIND_AT], NULL, "a reminder that is off");
	tap_is(r.task.value[TS_TAGS], "[]", "no tags");
	r = decoded("{\"id\":\"T\",\"@removed\":{\"reason\":\"deleted\"}}");
	tap_ok(!r.is_task, "a tombstone is no task");
}

static void
test_bad(void)
{
	static const char *const bad[] = {
		"", "[]", "null", "{}", "{\"id\":\"T\"", "{\"id\":7}", "{\"id\":\"T\",\"title\":1}",
		"{\"id\":\"T\",\"body\":\"x\"}", "{\"id\":\"T\",\"dueDateTime\":\"2026-01-01\"}",
		"{\"id\":\"T\",\"dueDateTime\":{\"dateTime\":\"soon\",\"timeZone\":\"UTC\"}}",
		"{\"id\":\"T\",\"dueDateTime\":{}}", "{\"id\":\"T\",\"categories\":{}}",
		"{\"id\":\"T\",\"recurrence\":{}}", "{\"id\":\"T\",\"isReminderOn\":\"yes\"}",
		"{\"id\":\"T\",\"recurrence\":{\"pattern\":{\"type\":\"weekly\",\"interval\":1,\"daysOfWeek\":[]}}}",
		"{\"id\":\"T\",\"recurrence\":{\"pattern\":{\"type\":\"daily\",\"interval\":99999999999999}},\"title\":3}",
		"{\"id\":\"T\",\"dueDateTime\":{\"dateTime\":\"9999-12-31T23:00:00\",\"timeZone\":\"UTC\"}}",
	};

	for (int i = 0; i < lengthof(bad); i++)
	{
		TsRemoteTask r;
		TsError		err = {0};

		tap_ok(!ts_todo_decode(bad[i], strlen(bad[i]), &opt, &r, &err), "is no task: %.60s", bad[i]);
		tap_is(err.sqlstate, "TS502", "with TS502");
	}
}

/* ---------- dates ---------- */

/* However the service puts a day, it is that day. */
static void
test_days(void)
{
	static const char *const zones[] = {
		"Europe/Berlin", "America/Los_Angeles", "Pacific/Auckland", "Asia/Kolkata", "UTC",
		"Pacific/Kiritimati", "Pacific/Pago_Pago", "Africa/Cairo", "Europe/London"
	};
	static const char *const dates[] = {
		"2026-01-31", "2026-03-29", "2026-07-15", "2026-10-25", "2026-11-01", "2024-02-29"
	};
	int			bad = 0;
	int			n = 0;

	for (int z = 0; z < lengthof(zones); z++)
		for (int d = 0; d < lengthof(dates); d++)
		{
			TsCivil		midnight = {0};
			TsCivil		utc;
			int64		seconds;
			char	   *forms[2];

			opt.default_time_zone = zones[z];
			ts_date_parse(dates[d], &midnight);
			ts_zone_to_utc(zones[z], &midnight, &seconds);
			ts_wall_from_seconds(seconds, &utc);
			forms[0] = psprintf("{\"dateTime\":\"%sT00:00:00.0000000\",\"timeZone\":\"UTC\"}", dates[d]);
			forms[1] = psprintf("{\"dateTime\":\"%04d-%02d-%02dT%02d:%02d:00.0000000\",\"timeZone\":\"UTC\"}",
								utc.year, utc.month, utc.day, utc.hour, utc.minute);
			for (int f = 0; f < 2; f++)
			{
				char	   *payload = psprintf("{\"id\":\"T\",\"title\":\"t\",\"dueDateTime\":%s}", forms[f]);
				TsTask		task = decoded(payload).task;

				n++;
				/* an untouched midnight of UTC is that day too */
				if (task.value[TS_DUE_DATE] == NULL || strcmp(task.value[TS_DUE_DATE], dates[d]) != 0)
				{
					tap_note("%s in %s: %s", forms[f], zones[z], task.value[TS_DUE_DATE]);
					bad++;
				}
				if (sent(encoded(&task, TS_TODO_FIELDS, payload)) != NULL)
					bad++;		/* rewritten, though unchanged */
			}
		}
	opt.default_time_zone = "Europe/Berlin";
	tap_is_int(bad, 0, "%d days in %d zones", n, (int) lengthof(zones));

	/* a day that was set in another zone: midnight where people live */
	tap_is(decoded("{\"id\":\"T\",\"title\":\"t\",\"dueDateTime\":{\"dateTime\":\"2024-10-24T10:00:00\",\"timeZone\":\"UTC\"}}").task.value[TS_DUE_DATE],
		   "2024-10-24", "set at UTC-10, read at UTC+2");
	tap_is(decoded("{\"id\":\"T\",\"title\":\"t\",\"dueDateTime\":{\"dateTime\":\"2024-10-23T11:00:00\",\"timeZone\":\"UTC\"}}").task.value[TS_DUE_DATE],
		   "2024-10-24", "set at UTC+13, read at UTC+2");
	tap_is(decoded("{\"id\":\"T\",\"title\":\"t\",\"dueDateTime\":{\"dateTime\":\"2024-10-23T12:00:00\",\"timeZone\":\"UTC\"}}").task.value[TS_DUE_DATE],
		   "2024-10-24", "set at UTC+12, read at UTC+2");
	tap_is(decoded("{\"id\":\"T\",\"title\":\"t\",\"dueDateTime\":{\"dateTime\":\"2024-10-23T15:30:00\",\"timeZone\":\"Tokyo Standard Time\"}}").task.value[TS_DUE_DATE],
		   "2024-10-23", "a time that was given with the day");
	tap_is(decoded("{\"id\":\"T\",\"title\":\"t\",\"dueDateTime\":{\"dateTime\":\"2024-10-24T07:00:00\",\"timeZone\":\"UTC\"}}").task.value[TS_DUE_DATE],
		   "2024-10-24", "set at UTC-7, read at UTC+2");
	tap_is(decoded("{\"id\":\"T\",\"title\":\"t\",\"dueDateTime\":{\"dateTime\":\"2024-10-24T22:00:00\",\"timeZone\":\"No Such Zone\"}}").task.value[TS_DUE_DATE],
		   "2024-10-25", "in a zone that nobody knows");
	tap_is(decoded("{\"id\":\"T\",\"title\":\"t\",\"dueDateTime\":{\"dateTime\":\"2024-10-23T22:00:00Z\",\"timeZone\":\"Tokyo Standard Time\"}}").task.value[TS_DUE_DATE],
		   "2024-10-24", "an instant that tells its offset");
}

/* PostgreSQL's TimeZone may be one that is spelled out: no service knows it by that. */
static void
test_unnamed_zone(void)
{
	const char *own = opt.default_time_zone;
	const char *onto = "{\"id\":\"T\",\"title\":\"t\",\"dueDateTime\":{\"dateTime\":\"2026-01-30T00:00:00\",\"timeZone\":\"UTC\"}}";
	const char *clock = "{\"id\":\"T\",\"title\":\"t\",\"isReminderOn\":true,\"reminderDateTime\":{\"dateTime\":\"2026-01-30T08:00:00\",\"timeZone\":\"%s\"}}";
	TsTask		task = decoded(onto).task;

	opt.default_time_zone = "<+03>-3";
	tap_is(change(onto, TS_DUE_DATE, "2026-02-02"),
		   "{\"dueDateTime\":{\"dateTime\":\"2026-02-02T00:00:00\",\"timeZone\":\"UTC\"}}", "a day is one of UTC");
	tap_is(change(onto, TS_REMIND_AT, "2026-03-01T07:30:00+00:00"),
		   "{\"isReminderOn\":true,\"reminderDateTime\":{\"dateTime\":\"2026-03-01T07:30:00\",\"timeZone\":\"UTC\"}}", "a reminder is when it is");
	tap_is(decoded(psprintf(clock, "Tokyo Standard Time")).task.value[TS_REMIND_AT], "2026-01-29T23:00:00+00:00", "... also there");
	tap_is(decoded(psprintf(clock, "No Such Zone")).task.value[TS_REMIND_AT], "2026-01-30T08:00:00+00:00", "where nobody knows any zone, UTC is taken");
	task.value[TS_RECURRENCE_RULE] = "FREQ=DAILY;UNTIL=20261231T235959Z";
	tap_ok(strstr(encoded(&task, TS_TODO_FIELDS, NULL), "\"endDate\":\"2026-12-31\"") != NULL, "the end of a series is a day of UTC");
	opt.default_time_zone = "europe/berlin";
	tap_is(change(onto, TS_DUE_DATE, "2026-02-02"),
		   "{\"dueDateTime\":{\"dateTime\":\"2026-02-02T00:00:00\",\"timeZone\":\"Europe/Berlin\"}}", "a name is spelled as it is");
	opt.default_time_zone = own;
}

static void
test_completion(void)
{
	const char *done = "{\"id\":\"T\",\"title\":\"t\",\"status\":\"completed\",\"completedDateTime\":{\"dateTime\":\"2026-01-30T00:00:00.0000000\",\"timeZone\":\"UTC\"}}";
	const char *open = "{\"id\":\"T\",\"title\":\"t\",\"status\":\"notStarted\",\"completedDateTime\":{\"dateTime\":\"2026-01-30T00:00:00.0000000\",\"timeZone\":\"UTC\"}}";
	TsTask		task = decoded(done).task;
	char	   *payload;

	tap_is(task.value[TS_COMPLETED_AT], "2026-01-30T12:00:00+00:00", "a day of completion");
	tap_is(decoded(open).task.value[TS_COMPLETED_AT], NULL, "an open task was not completed");
	task.value[TS_COMPLETED_AT] = "2026-01-30T17:31:02.5+00:00";
	payload = encoded(&task, TS_FIELD_BIT(TS_COMPLETED_AT), done);
	tap_is(sent(payload), NULL, "a time of completion is never sent");
	tap_is(decoded(payload).task.value[TS_COMPLETED_AT], "2026-01-30T12:00:00+00:00", "nor expected there");

	task = decoded("{\"id\":\"T\",\"title\":\"t\",\"status\":\"notStarted\"}").task;
	task.value[TS_STATUS] = "COMPLETED";
	task.value[TS_COMPLETED_AT] = "2026-05-05T23:59:00+00:00";
	payload = encoded(&task, TS_FIELD_BIT(TS_STATUS) | TS_FIELD_BIT(TS_COMPLETED_AT),
					  "{\"id\":\"T\",\"title\":\"t\",\"status\":\"notStarted\"}");
	tap_is(sent(payload), "{\"status\":\"completed\"}", "completing sends the status");
	tap_is(decoded(payload).task.value[TS_COMPLETED_AT], "2026-05-05T12:00:00+00:00", "and expects the day");
	task = decoded(done).task;
	task.value[TS_STATUS] = "TODO";
	task.value[TS_COMPLETED_AT] = NULL;
	payload = encoded(&task, TS_FIELD_BIT(TS_STATUS) | TS_FIELD_BIT(TS_COMPLETED_AT), done);
	tap_is(sent(payload), "{\"status\":\"notStarted\"}", "opening again too");
	tap_is(decoded(payload).task.value[TS_COMPLETED_AT], NULL, "which ends the completion");
}

/* ---------- words ---------- */

static char *
object(const char *member, const char *value)
{
	return psprintf("{\"id\":\"T\",\"title\":\"t\",\"%s\":%s}", member, value);
}

static void
test_words(void)
{
	static const char *const statuses[][2] = {
		{"notStarted", "TODO"}, {"deferred", "TODO"}, {"inProgress", "IN_PROGRESS"},
		{"waitingOnOthers", "IN_PROGRESS"}, {"completed", "COMPLETED"}
	};
	static const char *const priorities[][3] = {
		{"low", "LOW", "low"}, {"normal", "NONE", "normal"}, {"high", "HIGH", "high"}
	};

	for (int i = 0; i < lengthof(statuses); i++)
	{
		char	   *onto = object("status", psprintf("\"%s\"", statuses[i][0]));

		tap_is(decoded(onto).task.value[TS_STATUS], statuses[i][1], "status %s", statuses[i][0]);
		tap_is(change(onto, TS_STATUS, statuses[i][1]), NULL, "is kept");
	}
	tap_is(change(object("status", "\"deferred\""), TS_STATUS, "IN_PROGRESS"), "{\"status\":\"inProgress\"}", "a change");
	tap_is(change(object("status", "\"waitingOnOthers\""), TS_STATUS, "TODO"), "{\"status\":\"notStarted\"}", "another");
	tap_is(change(object("status", "\"notStarted\""), TS_STATUS, "CANCELLED"), "{\"status\":\"completed\"}", "cancelled");
	tap_is(change(object("status", "\"completed\""), TS_STATUS, "CANCELLED"), NULL, "is closed already");
	for (int i = 0; i < lengthof(priorities); i++)
	{
		char	   *onto = object("importance", psprintf("\"%s\"", priorities[i][0]));

		tap_is(decoded(onto).task.value[TS_PRIORITY], priorities[i][1], "importance %s", priorities[i][0]);
		tap_is(change(onto, TS_PRIORITY, priorities[i][1]), NULL, "is kept");
		if (i != 1)
			tap_is(change(onto, TS_PRIORITY, "MEDIUM"), "{\"importance\":\"normal\"}", "MEDIUM is normal");
	}
	tap_is(change(object("importance", "\"normal\""), TS_PRIORITY, "MEDIUM"), NULL, "and no change of it");

	tap_is(change(object("x", "1"), TS_TITLE, "  two words\n"), "{\"title\":\"two words\"}", "a title is trimmed");
	tap_is(change(object("x", "1"), TS_TITLE, "t "), NULL, "blanks are no change");
	tap_is(change(object("x", "1"), TS_TITLE, " "), "{\"title\":\"(no title)\"}", "an empty one is replaced");
	tap_is(change("{\"id\":\"T\",\"title\":\"(no title)\"}", TS_TITLE, ""), NULL, "once");
	tap_is(change(object("x", "1"), TS_TITLE, "\u00a0"), "{\"title\":\"(no title)\"}", "one of a no-break space is empty");
	tap_is(change(object("x", "1"), TS_TITLE, "\u2003\t\u3000 \f\u200b\ufeff"), "{\"title\":\"(no title)\"}", "... or of any other blanks");
	tap_is(change("{\"id\":\"T\",\"title\":\"(no title)\"}", TS_TITLE, "\u00a0"), NULL, "... once, too");
	tap_is(change("{\"id\":\"T\",\"title\":\"\u00a0\"}", TS_TITLE, "\u00a0"), NULL, "... unless it is like that there");
	tap_is(change("{\"id\":\"T\",\"title\":\"\"}", TS_TITLE, ""), NULL, "an empty one there stays empty");
	tap_is(change(object("x", "1"), TS_TITLE, "\u00a0x\u00a0"), "{\"title\":\"\u00a0x\u00a0\"}", "what is not is as it is");
	tap_is(change(object("x", "1"), TS_TITLE, "\u00a1"), "{\"title\":\"\u00a1\"}", "also one that begins alike");

	tap_is(change(object("categories", "[\"b\",\"a\"]"), TS_TAGS, "[\"a\", \"b\"]"), NULL, "tags are a set");
	tap_is(change(object("categories", "[\"b\",\"a\"]"), TS_TAGS, "[\"a\"]"), "{\"categories\":[\"a\"]}", "a tag less");
	tap_is(change(object("categories", "[\"b\"]"), TS_TAGS, "[]"), "{\"categories\":[]}", "no tag");
	tap_is(change(object("x", "1"), TS_REMIND_AT, "2026-03-01T07:30:00+00:00"),
		   "{\"isReminderOn\":true,\"reminderDateTime\":{\"dateTime\":\"2026-03-01T07:30:00\",\"timeZone\":\"UTC\"}}", "a reminder");
	tap_is(change(FULL, TS_REMIND_AT, NULL), "{\"isReminderOn\":false,\"reminderDateTime\":null}", "none");
	tap_is(change(FULL, TS_DUE_DATE, "2026-03-02"),
		   "{\"dueDateTime\":{\"dateTime\":\"2026-03-02T00:00:00\",\"timeZone\":\"Europe/Berlin\"}}", "another day");
	tap_is(change(FULL, TS_DUE_DATE, NULL), "{\"dueDateTime\":null}", "no day");
	tap_is(change(FULL, TS_START_DATE, "2026-02-01"),
		   "{\"startDateTime\":{\"dateTime\":\"2026-02-01T00:00:00\",\"timeZone\":\"Europe/Berlin\"}}", "a start");
}

/* ---------- bodies ---------- */

static char *
text_of(const char *html)
{
	StringInfoData body;

	initStringInfo(&body);
	ts_json_open(&body);
	ts_json_put_string(&body, "content", html);
	ts_json_put_string(&body, "contentType", "html");
	ts_json_close(&body);
	return decoded(object("body", body.data)).task.value[TS_DESCRIPTION];
}

/* How long it takes, in seconds, to read a body or to refuse it. */
static double
seconds_for(const char *html, bool *read)
{
	clock_t		start = clock();
	StringInfoData body;
	TsRemoteTask r;
	TsError		err = {0};

	initStringInfo(&body);
	ts_json_open(&body);
	ts_json_put_string(&body, "content", html);
	ts_json_put_string(&body, "contentType", "html");
	ts_json_close(&body);
	body.data = object("body", body.data);
	*read = ts_todo_decode(body.data, strlen(body.data), &opt, &r, &err);
	return (double) (clock() - start) / CLOCKS_PER_SEC;
}

static void
test_slow_bodies(void)
{
	bool		read;

	tap_ok(seconds_for(tap_repeat("<p", " a%d", 140000, ">x"), &read) < 1 && !read, "a tag of very many attributes is refused");
	tap_ok(seconds_for(tap_repeat("<p", "/a%d", 140000, ">x"), &read) < 1 && !read, "... of any form");
	tap_ok(seconds_for(tap_repeat("<!-- <b x=' --><p", " a%d", 140000, ">x"), &read) < 1 && !read, "... wherever quotes are");
	tap_ok(seconds_for(tap_repeat("", "<a", 49000, ""), &read) < 1, "tags that do not end");
	tap_ok(seconds_for(tap_repeat("", "<p class=\"c%d\" style=\"a b c d e f g\" id=x dir=ltr>y", 15000, ""), &read) < 2 && read, "many with a few are read");
	tap_ok(seconds_for(tap_repeat("<ol>", "<li>%d", 49000, "</ol>"), &read) < 2 && read, "... and a list of many items");
}

static void
test_bodies(void)
{
	char	   *deep = palloc0(200001);

	tap_is(text_of("a<br>b<br/>\r\nc"), "a\nb\nc", "breaks");
	tap_is(text_of("<html><head><title>x</title><style>p {}</style></head><body>a &amp; b &lt;c&gt; &euro;&#228;&nbsp;d</body></html>"),
		   "a & b <c> \u20ac\u00e4 d", "entities, no head");
	tap_is(text_of("<p>one\n  two</p>\n<p>three</p>"), "one two\n\nthree", "paragraphs");
	tap_is(text_of("<div>a</div><div><br></div><div>b<br></div><div>c</div>"), "a\n\nb\nc", "Outlook's lines");
	tap_is(text_of("<ul><li>a</li><li>b<ul><li>c</li></ul></li></ul><ol><li>x</li><li>y</li></ol>z"),
		   "- a\n- b\n  - c\n1. x\n2. y\nz", "lists");
	tap_is(text_of("see <a href=\"https://example.org/x\">this</a>, <a href=\"https://a.b\">https://a.b</a>"),
		   "see this (https://example.org/x), https://a.b", "links");
	tap_is(text_of("<pre>a\n  b</pre>c"), "a\n  b\n\nc", "preformatted");
	tap_is(text_of("<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>"), "a b\nc", "a table");
	tap_is(text_of("<p><b>bold</b> and <i>italic</i></p><script>alert(1)</script><!-- no -->"), "bold and italic", "no scripts");
	tap_is(text_of(""), NULL, "nothing");
	tap_is(text_of("<html><body><div></div>\n</body></html>"), NULL, "nothing in much");
	tap_is(text_of("plain"), "plain", "no markup");
	tap_is(decoded(object("body", "{\"content\":\"a\\r\\nb\\r\\n\",\"contentType\":\"text\"}")).task.value[TS_DESCRIPTION], "a\nb", "text");
	tap_is(decoded(object("body", "{\"content\":\"<b>a</b>\",\"contentType\":\"text\"}")).task.value[TS_DESCRIPTION], "<b>a</b>", "text is no HTML");
	tap_is(decoded(object("body", "{\"content\":null,\"contentType\":\"text\"}")).task.value[TS_DESCRIPTION], NULL, "null");

	tap_is(change(FULL, TS_DESCRIPTION, "one\n\ntwo\n"), NULL, "what it shows is no change");
	tap_is(change(FULL, TS_DESCRIPTION, "one\r\ntwo"), "{\"body\":{\"content\":\"one\\ntwo\",\"contentType\":\"text\"}}", "a change is text");
	tap_is(change(FULL, TS_DESCRIPTION, NULL), "{\"body\":{\"content\":\"\",\"contentType\":\"text\"}}", "none");

	for (int i = 0; i < 19000; i++)
		memcpy(deep + strlen(deep), "<b>", 4);
	tap_is(text_of(psprintf("%sx", deep)), "x", "deep markup");
	for (int i = 19000; i < 50001; i++)
		memcpy(deep + 3 * i, "<b>", 4);
	{
		TsRemoteTask r;
		TsError		err = {0};
		char	   *payload = object("body", psprintf("{\"content\":\"%s\",\"contentType\":\"html\"}", deep));

		tap_ok(!ts_todo_decode(payload, strlen(payload), &opt, &r, &err), "too deep");
	}
}

/* The body that a description is sent as, and its description when the service makes HTML of it. */
static char *
as_html(const char *description)
{
	TsTask		task = task_with(TS_DESCRIPTION, description);
	char	   *new = encoded(&task, TS_TODO_FIELDS, NULL);
	TsError		err = {0};
	const TsJson *body = ts_json_get(ts_json_parse(new, strlen(new), &err), "body");
	StringInfoData html;

	tap_is(decoded(new).task.value[TS_DESCRIPTION], description, "comes back as text");
	initStringInfo(&html);
	for (const char *c = ts_json_get_string(body, "content"); *c; c++)
		*c == '\n' ? appendStringInfoString(&html, "<br>\r\n") : appendStringInfoChar(&html, *c);
	return text_of(html.data);
}

/* Blanks that HTML would not show are sent as such that it does. */
static void
test_blanks(void)
{
	static const char *const texts[] = {
		"  indented", "list:\n  - one\n    - two\n\n    deeper", "a  b   c", "one\n \ntwo", "caf\u00e9\n  \u00e9"
	};
	static const char *const lost[][2] = {
		{"a\tb & <c>", "a b &amp; &lt;c&gt;"}, {"\ttab", "tab"}, {"a  \nb", "a<br>b"}, {"10\u00a0km", "10&nbsp;km"}
	};
	const char *onto = object("body", "{\"content\":\"a\\n  b\",\"contentType\":\"text\"}");

	for (int i = 0; i < lengthof(texts); i++)
		tap_is(as_html(texts[i]), i == 3 ? "one\n\ntwo" : texts[i], "... and as HTML");
	for (int i = 0; i < lengthof(lost); i++)
	{
		char	   *html = psprintf("{\"content\":\"%s\",\"contentType\":\"html\"}", lost[i][1]);
		TsTask		task = task_with(TS_DESCRIPTION, lost[i][0]);

		tap_is(change(object("body", html), TS_DESCRIPTION, lost[i][0]), NULL, "HTML has no words for a tab or a blank at the end");
		task.value[TS_TITLE] = "t";
		tap_ok(strstr(copied(&task, object("body", html)), html) != NULL, "... and is copied as it is");
	}
	tap_is(change(object("body", "{\"content\":\"a<br>b\",\"contentType\":\"html\"}"), TS_DESCRIPTION, "a\n b"),
		   "{\"body\":{\"content\":\"a\\n\u00a0b\",\"contentType\":\"text\"}}", "it has for a blank at the beginning");
	tap_is(change(object("body", "{\"content\":\"a b\",\"contentType\":\"text\"}"), TS_DESCRIPTION, "a\tb"),
		   "{\"body\":{\"content\":\"a\\tb\",\"contentType\":\"text\"}}", "text has for a tab");
	tap_is(change(object("body", "null"), TS_DESCRIPTION, "a b\n  c  d \n"),
		   "{\"body\":{\"content\":\"a b\\n\u00a0\u00a0c \u00a0d\",\"contentType\":\"text\"}}", "no more than is needed");
	tap_is(change(onto, TS_DESCRIPTION, "a\n  b"), NULL, "what is there is not rewritten");
	tap_is(decoded(object("body", "{\"content\":\"\u00a0 a\\n\u00a0b\\n10\u00a0km\u00a0\u00a0c\",\"contentType\":\"text\"}")).task.value[TS_DESCRIPTION],
		   "  a\n b\n10\u00a0km  c", "one between two words is somebody's own");
	tap_is(decoded(object("body", "{\"content\":\"\u00a0\u00a0\",\"contentType\":\"text\"}")).task.value[TS_DESCRIPTION], NULL, "nothing but blanks is nothing");
	tap_is(change(onto, TS_DESCRIPTION, "a\n\u00a0 b"), NULL, "they are no change");
}

/* ---------- recurrence ---------- */

static char *
recurrence(const char *pattern, const char *range)
{
	return psprintf("{\"id\":\"T\",\"title\":\"t\",\"dueDateTime\":{\"dateTime\":\"2026-01-30T00:00:00\",\"timeZone\":\"UTC\"},"
					"\"recurrence\":{\"pattern\":{%s},\"range\":{%s,\"startDate\":\"2026-01-30\"}}}", pattern, range);
}

/* Every pattern with every range: read, unchanged, and made anew from what was read. */
static void
test_patterns(void)
{
	static const char *const patterns[][2] = {
		{"\"type\":\"daily\",\"interval\":1,\"month\":0,\"dayOfMonth\":0,\"firstDayOfWeek\":\"sunday\",\"index\":\"first\"", "FREQ=DAILY"},
		{"\"type\":\"daily\",\"interval\":3", "FREQ=DAILY;INTERVAL=3"},
		{"\"type\":\"weekly\",\"interval\":1,\"daysOfWeek\":[\"friday\"],\"firstDayOfWeek\":\"sunday\"", "FREQ=WEEKLY;BYDAY=FR"},
		{"\"type\":\"weekly\",\"interval\":2,\"daysOfWeek\":[\"sunday\",\"wednesday\",\"monday\"],\"firstDayOfWeek\":\"monday\"", "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,WE,SU"},
		{"\"type\":\"weekly\",\"interval\":2,\"daysOfWeek\":[\"tuesday\"]", "FREQ=WEEKLY;INTERVAL=2;BYDAY=TU;WKST=SU"},
		{"\"type\":\"weekly\",\"interval\":4,\"daysOfWeek\":[\"tuesday\"],\"firstDayOfWeek\":\"saturday\"", "FREQ=WEEKLY;INTERVAL=4;BYDAY=TU;WKST=SA"},
		{"\"type\":\"absoluteMonthly\",\"interval\":1,\"dayOfMonth\":31", "FREQ=MONTHLY;BYMONTHDAY=31"},
		{"\"type\":\"absoluteMonthly\",\"interval\":6,\"dayOfMonth\":1", "FREQ=MONTHLY;INTERVAL=6;BYMONTHDAY=1"},
		{"\"type\":\"relativeMonthly\",\"interval\":1,\"daysOfWeek\":[\"tuesday\"],\"index\":\"second\"", "FREQ=MONTHLY;BYDAY=2TU"},
		{"\"type\":\"relativeMonthly\",\"interval\":1,\"daysOfWeek\":[\"friday\"],\"index\":\"last\"", "FREQ=MONTHLY;BYDAY=-1FR"},
		{"\"type\":\"relativeMonthly\",\"interval\":2,\"daysOfWeek\":[\"saturday\",\"sunday\"],\"index\":\"first\"", "FREQ=MONTHLY;INTERVAL=2;BYDAY=SA,SU;BYSETPOS=1"},
		{"\"type\":\"relativeMonthly\",\"interval\":1,\"daysOfWeek\":[\"monday\",\"tuesday\",\"wednesday\",\"thursday\",\"friday\"],\"index\":\"last\"", "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1"},
		{"\"type\":\"relativeMonthly\",\"interval\":1,\"daysOfWeek\":[\"sunday\",\"monday\",\"tuesday\",\"wednesday\",\"thursday\",\"friday\",\"saturday\"],\"index\":\"last\"", "FREQ=MONTHLY;BYMONTHDAY=-1"},
		{"\"type\":\"absoluteYearly\",\"interval\":1,\"month\":2,\"dayOfMonth\":29", "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29"},
		{"\"type\":\"relativeYearly\",\"interval\":1,\"month\":11,\"daysOfWeek\":[\"thursday\"],\"index\":\"fourth\"", "FREQ=YEARLY;BYMONTH=11;BYDAY=4TH"},
		{"\"type\":\"relativeYearly\",\"interval\":2,\"month\":5,\"daysOfWeek\":[\"saturday\",\"sunday\"],\"index\":\"third\"", "FREQ=YEARLY;INTERVAL=2;BYMONTH=5;BYDAY=SA,SU;BYSETPOS=3"},
	};
	static const char *const ranges[][2] = {
		{"\"type\":\"noEnd\",\"endDate\":\"0001-01-01\",\"numberOfOccurrences\":0", ""},
		{"\"type\":\"numbered\",\"numberOfOccurrences\":5", ";COUNT=5"},
		{"\"type\":\"endDate\",\"endDate\":\"2027-12-31\"", ";UNTIL=20271231"},
	};

	for (int p = 0; p < lengthof(patterns); p++)
		for (int r = 0; r < lengthof(ranges); r++)
		{
			char	   *onto = recurrence(patterns[p][0], ranges[r][0]);
			TsRemoteTask remote = decoded(onto);
			TsError		err = {0};
			char	   *rule = psprintf("%s%s", patterns[p][1], ranges[r][1]);
			char	   *new;

			tap_is(remote.task.value[TS_RECURRENCE_RULE], rule, "read");
			tap_ok(remote.is_recurring, "recurring");
			tap_is(ts_value_canonical(TS_RECURRENCE_RULE, rule, &err), rule, "in canonical form");
			tap_is(sent(encoded(&remote.task, TS_TODO_FIELDS, onto)), NULL, "unchanged");
			new = encoded(&remote.task, TS_TODO_FIELDS, NULL);
			tap_ok(graph_valid_task(new, true), "a valid new one");
			tap_is(decoded(new).task.value[TS_RECURRENCE_RULE], rule, "that says the same");
		}
}

/* Rules as people write them, and what they are to Graph. */
static void
test_rules(void)
{
	static const char *const rules[][2] = {
		{"FREQ=WEEKLY", "FREQ=WEEKLY;BYDAY=FR"},
		{"FREQ=MONTHLY", "FREQ=MONTHLY;BYMONTHDAY=30"},
		{"FREQ=YEARLY", "FREQ=YEARLY;BYMONTH=1;BYMONTHDAY=30"},
		{"FREQ=YEARLY;BYMONTH=3", "FREQ=YEARLY;BYMONTH=3;BYMONTHDAY=30"},
		{"FREQ=DAILY;BYDAY=MO,TU,WE,TH,FR", "FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR"},
		{"FREQ=MONTHLY;BYDAY=TU;BYSETPOS=2", "FREQ=MONTHLY;BYDAY=2TU"},
		{"FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR,SA,SU;BYSETPOS=-1", "FREQ=MONTHLY;BYMONTHDAY=-1"},
		{"FREQ=DAILY;INTERVAL=1;WKST=SU", "FREQ=DAILY"},
		{"FREQ=DAILY;UNTIL=20261231T225959Z", "FREQ=DAILY;UNTIL=20261231"},
		{"FREQ=DAILY;UNTIL=20261231T230000Z", "FREQ=DAILY;UNTIL=20270101"},
		{"FREQ=DAILY;UNTIL=20261231T235959", "FREQ=DAILY;UNTIL=20261231"},
	};
	static const char *const unspeakable[] = {
		"FREQ=HOURLY", "FREQ=MINUTELY", "FREQ=DAILY;BYHOUR=9", "FREQ=MONTHLY;BYMONTHDAY=1,15",
		"FREQ=MONTHLY;BYMONTHDAY=-2", "FREQ=YEARLY;BYMONTH=1,7;BYMONTHDAY=1", "FREQ=YEARLY;BYWEEKNO=20",
		"FREQ=YEARLY;BYYEARDAY=100", "FREQ=MONTHLY;BYDAY=5MO", "FREQ=MONTHLY;BYDAY=1MO,3MO",
		"FREQ=MONTHLY;BYDAY=MO", "FREQ=MONTHLY;BYDAY=MO,TU;BYSETPOS=1,2", "FREQ=YEARLY;BYDAY=1MO",
		"FREQ=YEARLY;BYMONTHDAY=1", "FREQ=MONTHLY;BYMONTH=3;BYMONTHDAY=1", "FREQ=DAILY;BYMONTH=3",
		"FREQ=DAILY;INTERVAL=2;BYDAY=MO", "FREQ=WEEKLY;BYSETPOS=1;BYDAY=MO,TU",
		"FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13", "FREQ=DAILY;COUNT=3;UNTIL=20270101", "FREQ=MONTHLY;BYMONTHDAY=1;BYSETPOS=1"
	};

	for (int i = 0; i < lengthof(rules); i++)
	{
		TsTask		task = task_with(TS_RECURRENCE_RULE, rules[i][0]);
		char	   *new;

		task.value[TS_DUE_DATE] = "2026-01-30";
		new = encoded(&task, TS_TODO_FIELDS, NULL);
		tap_ok(graph_valid_task(new, true), "valid: %s", rules[i][0]);
		tap_is(decoded(new).task.value[TS_RECURRENCE_RULE], rules[i][1], "%s", rules[i][0]);
	}
	for (int i = 0; i < lengthof(unspeakable); i++)
	{
		TsTask		task = task_with(TS_RECURRENCE_RULE, unspeakable[i]);

		task.value[TS_DUE_DATE] = "2026-01-30";
		tap_note("%s", failure(&task, TS_TODO_FIELDS, NULL, "22023"));
	}
}

static void
test_recurrence_changes(void)
{
	char	   *daily = recurrence("\"type\":\"daily\",\"interval\":1", "\"type\":\"noEnd\"");
	char	   *five = recurrence("\"type\":\"daily\",\"interval\":1", "\"type\":\"numbered\",\"numberOfOccurrences\":5");
	const char *once = "{\"id\":\"T\",\"title\":\"t\",\"dueDateTime\":{\"dateTime\":\"2026-01-30T00:00:00\",\"timeZone\":\"UTC\"}}";
	TsTask		task;

	tap_is(change(daily, TS_RECURRENCE_RULE, "FREQ=DAILY;INTERVAL=1"), NULL, "only spelled otherwise");
	tap_is(change(daily, TS_RECURRENCE_RULE, NULL), "{\"recurrence\":null}", "none any more");
	tap_is(change(daily, TS_RECURRENCE_RULE, "FREQ=DAILY;INTERVAL=2"),
		   "{\"recurrence\":{\"pattern\":{\"type\":\"daily\",\"interval\":2}}}", "another pattern: no range");
	tap_is(change(five, TS_RECURRENCE_RULE, "FREQ=DAILY;INTERVAL=2;COUNT=5"),
		   "{\"recurrence\":{\"pattern\":{\"type\":\"daily\",\"interval\":2}}}", "also where there is an end");
	tap_is(change(five, TS_RECURRENCE_RULE, "FREQ=DAILY;COUNT=4"),
		   "{\"recurrence\":{\"pattern\":{\"type\":\"daily\",\"interval\":1},\"range\":{\"type\":\"numbered\",\"startDate\":\"2026-01-30\",\"numberOfOccurrences\":4}}}",
		   "another end");
	tap_is(change(once, TS_RECURRENCE_RULE, "FREQ=DAILY"),
		   "{\"recurrence\":{\"pattern\":{\"type\":\"daily\",\"interval\":1}}}", "a new one");
	tap_is(change(once, TS_RECURRENCE_RULE, NULL), NULL, "none, as before");

	task = decoded("{\"id\":\"T\",\"title\":\"t\"}").task;
	task.value[TS_RECURRENCE_RULE] = "FREQ=DAILY";
	failure(&task, TS_FIELD_BIT(TS_RECURRENCE_RULE), "{\"id\":\"T\",\"title\":\"t\"}", "22023");
	task = decoded(daily).task;
	task.value[TS_DUE_DATE] = NULL;
	failure(&task, TS_FIELD_BIT(TS_DUE_DATE), daily, "22023");
	tap_ok(encoded(&task, TS_FIELD_BIT(TS_TITLE), daily) != NULL, "other changes go through");
}

/* What is sent of a task with a rule whose due date moves. */
static char *
moved_due(const char *onto, const char *rule, const char *due)
{
	TsTask		task = decoded(onto).task;
	char	   *body;

	task.value[TS_RECURRENCE_RULE] = (char *) rule;
	task.value[TS_DUE_DATE] = (char *) due;
	body = sent(encoded(&task, TS_FIELD_BIT(TS_DUE_DATE), onto));
	tap_ok(graph_valid_task(body, false), "valid: %s moved", rule);
	return body;
}

/* A rule that names no day has that of the due date, which may be another now. */
static void
test_rules_by_due_date(void)
{
	static const char *const moved[][3] = {
		{"FREQ=WEEKLY", "FREQ=WEEKLY;BYDAY=FR", "\"daysOfWeek\":[\"monday\"]"},
		{"FREQ=WEEKLY;INTERVAL=2;COUNT=5", "FREQ=WEEKLY;INTERVAL=2;BYDAY=TU;COUNT=5", "\"daysOfWeek\":[\"monday\"]"},
		{"FREQ=MONTHLY;UNTIL=20261231T225959Z", "FREQ=MONTHLY;BYMONTHDAY=30;UNTIL=20261231", "\"dayOfMonth\":2"},
		{"FREQ=YEARLY", "FREQ=YEARLY;BYMONTH=1;BYMONTHDAY=30", "\"dayOfMonth\":2,\"month\":2"},
		{"FREQ=YEARLY;BYMONTH=3", "FREQ=YEARLY;BYMONTH=3;BYMONTHDAY=30", "\"dayOfMonth\":2,\"month\":3"},
	};
	static const char *const stays[][2] = {
		{"FREQ=DAILY", "FREQ=DAILY"},
		{"FREQ=WEEKLY;BYDAY=FR", "FREQ=WEEKLY;BYDAY=FR"},
		{"FREQ=MONTHLY;BYMONTHDAY=30", "FREQ=MONTHLY;BYMONTHDAY=30"},
		/* what else differs was not to be sent */
		{"FREQ=WEEKLY", "FREQ=WEEKLY;INTERVAL=2;BYDAY=FR"},
		{"FREQ=WEEKLY;INTERVAL=2", "FREQ=WEEKLY;INTERVAL=2;BYDAY=FR;WKST=SU"},
		{"FREQ=WEEKLY", "FREQ=WEEKLY;BYDAY=MO,FR"},
		{"FREQ=WEEKLY", "FREQ=WEEKLY;BYDAY=FR;COUNT=5"},
		{"FREQ=WEEKLY;UNTIL=20261231", "FREQ=WEEKLY;BYDAY=FR;UNTIL=20270101"},
		{"FREQ=MONTHLY", "FREQ=MONTHLY;BYDAY=-1FR"},
		{"FREQ=MONTHLY", "FREQ=MONTHLY;BYMONTHDAY=-1"},
		{"FREQ=YEARLY;BYMONTH=3", "FREQ=YEARLY;BYMONTH=4;BYMONTHDAY=30"},
	};

	for (int i = 0; i < lengthof(moved) + lengthof(stays); i++)
	{
		const char *const *rules = i < lengthof(moved) ? moved[i] : stays[i - lengthof(moved)];
		TsTask		task = task_with(TS_RECURRENCE_RULE, rules[1]);
		char	   *onto;
		char	   *body;

		task.value[TS_DUE_DATE] = "2026-01-30";
		onto = psprintf("{\"id\":\"T\",%s", encoded(&task, TS_TODO_FIELDS, NULL) + 1);
		body = moved_due(onto, rules[0], "2026-02-02");
		if (i < lengthof(moved))
			tap_ok(strstr(body, moved[i][2]) != NULL && strstr(body, "range") == NULL, "%s moves: %s", rules[0], body);
		else
			tap_ok(strstr(body, "recurrence") == NULL, "%s stays %s", rules[0], rules[1]);
	}
}

/* ---------- the whole ---------- */

static void
test_whole(void)
{
	TsTask		task = decoded(FULL).task;
	TsTask		back;
	char	   *payload;
	char	   *again;

	tap_is(encoded(&task, 0, FULL), FULL, "nothing changed is the same text");
	tap_is(encoded(&task, TS_FIELD_BIT(TS_TITLE), FULL), FULL, "a field that is as it was, too");

	task.value[TS_TITLE] = "Paint \"twice\"";
	payload = encoded(&task, TS_FIELD_BIT(TS_TITLE), FULL);
	tap_is(sent(payload), "{\"title\":\"Paint \\\"twice\\\"\"}", "only what changed is sent");
	tap_ok(strstr(payload, "\"future\":{\"x\":[1,2.50,\"\\u00e4\"]}") != NULL, "what we don't know stays as it is");
	tap_ok(strstr(payload, "\"checklistItems\":[{") != NULL, "the steps too");
	back = decoded(payload).task;
	tap_ok(ts_task_diff(&back, &task, TS_TODO_FIELDS) == 0, "and decodes to the task");
	tap_is(encoded(&task, 0, payload), payload, "which can be encoded onto");
	task.value[TS_PRIORITY] = "HIGH";
	again = encoded(&task, TS_FIELD_BIT(TS_PRIORITY), payload);
	tap_is(sent(again), "{\"importance\":\"high\"}", "without sending the title again");
	again = encoded(&task, TS_FIELD_BIT(TS_TITLE), payload);
	tap_is(sent(again), NULL, "a change that is there is not sent again");

	memset(&task, 0, sizeof(task));
	task.known = TS_TODO_FIELDS;
	task.value[TS_TITLE] = "All";
	task.value[TS_DESCRIPTION] = "lines\n  of\ntext \xF0\x9F\x98\x80";
	task.value[TS_STATUS] = "IN_PROGRESS";
	task.value[TS_PRIORITY] = "HIGH";
	task.value[TS_START_DATE] = "2026-02-01";
	task.value[TS_DUE_DATE] = "2026-02-03";
	task.value[TS_RECURRENCE_RULE] = "FREQ=DAILY;INTERVAL=2;COUNT=9";
	task.value[TS_REMIND_AT] = "2026-02-03T06:00:00+00:00";
	task.value[TS_TAGS] = "[\"b\", \"a\"]";
	payload = encoded(&task, TS_ALL_FIELDS, NULL);
	tap_ok(graph_valid_task(payload, true), "a valid new task");
	back = decoded(payload).task;
	tap_ok(ts_task_diff(&back, &task, TS_TODO_FIELDS) == 0, "all that it can carry comes back");
	tap_is(decoded(payload).marker, opt.marker, "with its marker");
	tap_is(sent(payload), payload, "all of it is sent");

	task = task_with(TS_TITLE, "");
	tap_is(decoded(encoded(&task, TS_ALL_FIELDS, NULL)).task.value[TS_TITLE], "(no title)", "a new one without title");

	/* strings that can't be stored */
	back = decoded("{\"id\":\"T\",\"title\":\"a\\u0000b\\ud800c\\udc00\xFF\",\"future\":\"\\ud83d\\ude00\"}").task;
	tap_is(back.value[TS_TITLE], "a\uFFFD" "b\uFFFD" "c\uFFFD\uFFFD", "are mended");
}

/* A task that moves to another list is made anew there, with all that it had. */
static void
test_copy(void)
{
	TsRemoteTask was = decoded(FULL);
	TsTask		task = was.task;
	TsCodecOptions plain = opt;
	char	   *copy;

	opt.marker = "0d9f7b9e-0000-4000-8000-000000000001";
	opt.copy_of = FULL;
	opt.copy_len = strlen(FULL);
	copy = encoded(&task, TS_TODO_FIELDS, NULL);
	tap_ok(strstr(copy, "\"checklistItems\":[{\"displayName\":\"step\",\"isChecked\":false}]") != NULL, "its steps come along");
	tap_ok(strstr(copy, "\"status\":\"waitingOnOthers\"") != NULL, "... the service's own word for its status");
	tap_ok(strstr(copy, "<p>two</p>") != NULL, "... its HTML");
	tap_ok(strstr(copy, "\"linkedResources\":[{\"applicationName\":\"tasksync\",\"displayName\":\"tasksync\","
				  "\"externalId\":\"0d9f7b9e-0000-4000-8000-000000000001\"},{\"applicationName\":\"Mail\",\"externalId\":\"x\"}]") != NULL,
		   "... and the links of others, with ours");
	task.value[TS_DESCRIPTION] = "three";
	task.value[TS_STATUS] = "TODO";
	copy = encoded(&task, TS_TODO_FIELDS, NULL);
	tap_ok(strstr(copy, "<p>") == NULL && strstr(copy, "\"content\":\"three\"") != NULL, "what was changed here is ours");
	tap_ok(strstr(copy, "\"status\":\"notStarted\"") != NULL, "... each of it");
	opt = plain;
}

/* What shows no text may still be something to see. */
static void
test_copy_body(void)
{
	const char *image = "{\"content\":\"<html><body><img src=\\\"https://example.com/x.png\\\"></body></html>\",\"contentType\":\"html\"}";
	char	   *from = object("body", image);
	TsTask		task = decoded(from).task;

	tap_is(task.value[TS_DESCRIPTION], NULL, "an image has no text");
	tap_ok(strstr(copied(&task, from), psprintf("\"body\":%s", image)) != NULL, "but comes along");
	task.value[TS_DESCRIPTION] = "text\n";
	tap_ok(strstr(copied(&task, from), "\"body\":{\"content\":\"text\",\"contentType\":\"text\"}") != NULL, "unless something was written here");
	from = object("body", "{\"content\":\"<b>text</b>\",\"contentType\":\"html\"}");
	tap_ok(strstr(copied(&task, from), "<b>text</b>") != NULL, "what only ends in an empty line is what was there");
	task.value[TS_DESCRIPTION] = NULL;
	tap_ok(strstr(copied(&task, from), "\"body\"") == NULL, "what was cleared here is not there");
	from = object("body", "{\"content\":\"\",\"contentType\":\"text\"}");
	tap_ok(strstr(copied(&task, from), "\"body\"") == NULL, "and nothing is made of nothing");
}

/* The third of five is due: the count is of a series that began before. */
static void
test_copy_recurrence(void)
{
	const char *weekly = "\"pattern\":{\"type\":\"weekly\",\"interval\":1,\"month\":0,\"dayOfMonth\":0,\"daysOfWeek\":[\"friday\"],\"firstDayOfWeek\":\"sunday\",\"index\":\"first\"}";
	const char *range = "\"range\":{\"type\":\"numbered\",\"startDate\":\"2026-01-16\",\"endDate\":\"0001-01-01\",\"recurrenceTimeZone\":\"Europe/Berlin\",\"numberOfOccurrences\":5}";
	char	   *from = psprintf("{\"id\":\"T\",\"title\":\"t\",\"dueDateTime\":{\"dateTime\":\"2026-01-30T00:00:00\",\"timeZone\":\"UTC\"},\"recurrence\":{%s,%s}}", weekly, range);
	TsTask		task = decoded(from).task;

	tap_is(task.value[TS_RECURRENCE_RULE], "FREQ=WEEKLY;BYDAY=FR;COUNT=5", "a rule");
	tap_ok(strstr(copied(&task, from), psprintf("\"recurrence\":{%s,%s}", weekly, range)) != NULL, "a series goes on where it was");
	task.value[TS_RECURRENCE_RULE] = "FREQ=WEEKLY;COUNT=5";
	tap_ok(strstr(copied(&task, from), psprintf("\"recurrence\":{%s,%s}", weekly, range)) != NULL, "... if its rule is only spelled otherwise, too");
	task.value[TS_RECURRENCE_RULE] = "FREQ=DAILY;INTERVAL=2;COUNT=5";
	tap_ok(strstr(copied(&task, from), psprintf("\"recurrence\":{\"pattern\":{\"type\":\"daily\",\"interval\":2},%s}", range)) != NULL, "with another pattern, its end stays");
	task.value[TS_RECURRENCE_RULE] = "FREQ=WEEKLY;BYDAY=FR;COUNT=2";
	tap_ok(strstr(copied(&task, from), "\"range\":{\"type\":\"numbered\",\"startDate\":\"2026-01-30\",\"numberOfOccurrences\":2}") != NULL, "another end begins anew");
	task.value[TS_RECURRENCE_RULE] = NULL;
	tap_ok(strstr(copied(&task, from), "recurrence") == NULL, "and none is none");

	/* an occurrence that is done here is yet to be done there */
	task = decoded(from).task;
	task.value[TS_STATUS] = "COMPLETED";
	tap_is(decoded(copied(&task, from)).task.value[TS_STATUS], "TODO", "it is made open");
	task.value[TS_RECURRENCE_RULE] = NULL;
	tap_is(decoded(copied(&task, from)).task.value[TS_STATUS], "COMPLETED", "... unless the series ends");
	task.value[TS_RECURRENCE_RULE] = "FREQ=WEEKLY;BYDAY=FR;COUNT=5";
	tap_is(decoded(copied(&task, psprintf("{\"status\":\"completed\",%s", from + 1))).task.value[TS_STATUS], "COMPLETED", "... or it was done there");
	task = decoded(from).task;

	/* put off there, or here */
	from = psprintf("{\"id\":\"T\",\"title\":\"t\",\"dueDateTime\":{\"dateTime\":\"2026-02-01T00:00:00\",\"timeZone\":\"UTC\"},\"recurrence\":{%s,%s}}", weekly, range);
	task.value[TS_RECURRENCE_RULE] = "FREQ=WEEKLY;COUNT=5";
	task.value[TS_DUE_DATE] = "2026-02-01";
	tap_ok(strstr(copied(&task, from), psprintf("\"recurrence\":{%s,%s}", weekly, range)) != NULL, "a rule that names no day has the one that it had");
	task.value[TS_DUE_DATE] = "2026-02-02";
	tap_ok(strstr(copied(&task, from), "\"daysOfWeek\":[\"monday\"]") != NULL, "... until the due date moves");
}

int
main(int argc, char **argv)
{
	tap_start();
	test_decode();
	test_bad();
	test_days();
	tap_reset();
	test_unnamed_zone();
	test_completion();
	test_words();
	test_bodies();
	test_slow_bodies();
	test_blanks();
	tap_reset();
	test_patterns();
	test_rules();
	test_recurrence_changes();
	test_rules_by_due_date();
	test_whole();
	test_copy();
	test_copy_body();
	test_copy_recurrence();
	return tap_done();
}
