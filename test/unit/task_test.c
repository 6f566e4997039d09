/*-------------------------------------------------------------------------
 *
 * task_test.c
 *	  The canonical record: values, JSON, tags, comparing.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "tap.h"
#include "task/task.h"

static void
value_is(TsField f, const char *raw, const char *expected)
{
	TsError		err = {{0}};
	char	   *value = ts_value_canonical(f, raw, &err);

	tap_is(value, expected, "%s: '%s'", ts_field_info[f].name, raw);
	tap_is(err.sqlstate, expected ? "" : "22023", "... and its error");
	tap_reset();
}

static void
test_values(void)
{
	static const struct
	{
		TsField		field;
		const char *raw;
		const char *expected;
	}			cases[] =
	{
		{TS_TITLE, "a \"b\"\n", "a \"b\"\n"},
		{TS_STATUS, "COMPLETED", "COMPLETED"},
		{TS_STATUS, "completed", NULL},
		{TS_STATUS, "", NULL},
		{TS_PRIORITY, "HIGH", "HIGH"},
		{TS_PRIORITY, "URGENT", NULL},
		{TS_DUE_DATE, "2026-11-22", "2026-11-22"},
		{TS_DUE_DATE, "2024-02-29", "2024-02-29"},
		{TS_DUE_DATE, "2026-02-29", NULL},
		{TS_DUE_DATE, "2026-11-22T00:00:00", NULL},
		{TS_DUE_DATE, "22.11.2026", NULL},
		{TS_DUE_DATE, "0000-01-01", NULL},
		{TS_DUE_DATE, "infinity", NULL},
		{TS_DUE_TIME, "17:30", "17:30:00"},
		{TS_DUE_TIME, "17:30:05.2500", "17:30:05.25"},
		{TS_DUE_TIME, "24:00:00", "24:00:00"},
		{TS_DUE_TIME, "24:00:01", NULL},
		{TS_DUE_TIME, "7:30", NULL},
		{TS_DUE_TIME, "17:60", NULL},
		{TS_TIME_ZONE, "Europe/Berlin", "Europe/Berlin"},
		{TS_TIME_ZONE, "europe/berlin", "Europe/Berlin"},
		{TS_TIME_ZONE, "UTC", "UTC"},
		{TS_TIME_ZONE, "utc", "UTC"},
		{TS_TIME_ZONE, "Etc/GMT+5", "Etc/GMT+5"},
		{TS_TIME_ZONE, "Mars/Olympus", NULL},
		{TS_TIME_ZONE, "../../etc/passwd", NULL},
		{TS_TIME_ZONE, "Europe", NULL},
		{TS_TIME_ZONE, "", NULL},
		{TS_TIME_ZONE, "posixrules", NULL},
		{TS_DURATION_MINUTES, "090", "90"},
		{TS_DURATION_MINUTES, "-5", NULL},
		{TS_DURATION_MINUTES, "1.5", NULL},
		{TS_DURATION_MINUTES, "99999999999", NULL},
		{TS_PERCENT_COMPLETE, "100", "100"},
		{TS_PERCENT_COMPLETE, "101", NULL},
		{TS_COMPLETED_AT, "2026-11-22T16:30:00+00:00", "2026-11-22T16:30:00+00:00"},
		{TS_COMPLETED_AT, "2026-11-22 17:30:00+01", "2026-11-22T16:30:00+00:00"},
		{TS_COMPLETED_AT, "2026-11-22T17:30:00.120+0100", "2026-11-22T16:30:00.12+00:00"},
		{TS_COMPLETED_AT, "2026-11-22T10:30:00-06:00", "2026-11-22T16:30:00+00:00"},
		{TS_COMPLETED_AT, "2026-11-22T16:30Z", "2026-11-22T16:30:00+00:00"},
		{TS_COMPLETED_AT, "2026-12-31T23:30:00-01:00", "2027-01-01T00:30:00+00:00"},
		{TS_COMPLETED_AT, "1969-12-31T23:59:59.999999Z", "1969-12-31T23:59:59.999999+00:00"},
		{TS_COMPLETED_AT, "2026-11-22", NULL},
		{TS_COMPLETED_AT, "2026-11-22T16:30:00+99:00", NULL},
		{TS_COMPLETED_AT, "9999-12-31T23:59:59-01:00", NULL},
		{TS_COMPLETED_AT, "now", NULL},
		{TS_RECURRENCE_RULE, "FREQ=DAILY;COUNT=3", "FREQ=DAILY;COUNT=3"},
		{TS_RECURRENCE_RULE, "RRULE:freq=weekly; byday=mo,we;", "FREQ=WEEKLY;BYDAY=MO,WE"},
		{TS_RECURRENCE_RULE, "FREQ=SOMETIMES", NULL},
		{TS_RECURRENCE_RULE, "FREQ=DAILY;COUNT=0", NULL},
		{TS_RECURRENCE_RULE, "FREQ=DAILY;COUNT=99999999999", NULL},
		{TS_RECURRENCE_RULE, "FREQ=DAILY;UNTIL=20261301", NULL},
		{TS_RECURRENCE_RULE, "FREQ=DAILY;UNTIL=20261231T000000Z;COUNT=2", NULL},
		{TS_RECURRENCE_RULE, "FREQ=DAILY\nDUE:20260101", NULL},
		{TS_RECURRENCE_RULE, "", NULL},
		{TS_TAGS, "[\"b\",\"a\",\"b\",null]", "[\"b\", \"a\"]"},
		{TS_TAGS, "[]", "[]"},
		{TS_TAGS, "[1]", NULL},
		{TS_TAGS, "\"a\"", NULL},
		{TS_TAGS, "[[\"a\"]]", NULL},
		{TS_TAGS, "{\"a\": 1}", NULL},
		{TS_TAGS, "", NULL},
	};

	for (int i = 0; i < lengthof(cases); i++)
		value_is(cases[i].field, cases[i].raw, cases[i].expected);
}

static void
json_is(const char *json, const char *expected)
{
	TsTask		task;
	TsError		err;
	StringInfoData out;

	initStringInfo(&out);
	if (ts_task_from_json(json, strlen(json), &task, &err))
		ts_task_to_json(&task, TS_ALL_FIELDS, &out);
	else
		appendStringInfoString(&out, err.sqlstate);
	tap_is(out.data, expected, "json %.60s", json);
	if (ts_failed(&err))
		tap_note("%s / %s", err.message, err.detail ? err.detail : "-");
	tap_reset();
}

static void
test_json(void)
{
	StringInfoData deep;

	json_is("{}", "{}");
	json_is(" {\"title\": \"a\\u00e4\\n\\u0001\\\"\"}", "{\"title\": \"a\xC3\xA4\\n\\u0001\\\"\"}");
	json_is("{\"id\": 5, \"x\": {\"title\": [1]}, \"due_date\": \"2026-11-22\", \"due_time\": null}",
			"{\"due_date\": \"2026-11-22\", \"due_time\": null}");
	json_is("{\"percent_complete\": 50, \"tags\": [\"x\", \"y\"]}",
			"{\"percent_complete\": 50, \"tags\": [\"x\", \"y\"]}");
	json_is("{\"status\": null, \"priority\": null, \"tags\": null, \"title\": null}",
			"{\"title\": \"\", \"status\": \"TODO\", \"priority\": \"NONE\", \"tags\": []}");
	json_is("{\"title\": \"a\", \"title\": \"b\"}", "{\"title\": \"b\"}");
	json_is("{\"status\": \"DONE\"}", "22023");
	json_is("{\"title\": {\"a\": 1}}", "22023");
	json_is("{\"title\": [\"a\"]}", "22023");
	json_is("{\"tags\": \"a\"}", "22023");
	json_is("{\"tags\": [{\"a\": 1}]}", "22023");
	json_is("{\"title\": \"a\"", "22023");
	json_is("[]", "22023");
	json_is("\"title\"", "22023");
	json_is("", "22023");
	json_is("{\"title\": \"\\u0000\"}", "22023");

	initStringInfo(&deep);
	for (int i = 0; i < 100000; i++)
		appendStringInfoString(&deep, "{\"a\":[");
	json_is(deep.data, "22023");
}

static void
test_compare(void)
{
	TsTask		a = {0};
	TsTask		b = {0};
	TsTask		c;

	tap_ok(ts_value_equal(TS_TAGS, "[\"a\", \"b\"]", "[\"b\",\"a\"]"), "tags are a set");
	tap_ok(!ts_value_equal(TS_TAGS, "[\"a\"]", "[\"b\"]"), "different tags");
	tap_ok(ts_value_equal(TS_TITLE, NULL, NULL), "NULL equals NULL");
	tap_ok(!ts_value_equal(TS_TITLE, NULL, ""), "NULL is not empty");
	tap_is_int(ts_field_by_name("due_date", 8), TS_DUE_DATE, "field by name");
	tap_is_int(ts_field_by_name("due_dat", 7), -1, "no such field");

	a.known = TS_FIELD_BIT(TS_TITLE) | TS_FIELD_BIT(TS_URL) | TS_FIELD_BIT(TS_TAGS);
	b.known = TS_FIELD_BIT(TS_TITLE) | TS_FIELD_BIT(TS_URL) | TS_FIELD_BIT(TS_STATUS);
	a.value[TS_TITLE] = "x";
	b.value[TS_TITLE] = "y";
	a.value[TS_URL] = b.value[TS_URL] = "u";
	tap_is_int(ts_task_diff(&a, &b, TS_ALL_FIELDS),
			   TS_FIELD_BIT(TS_TITLE) | TS_FIELD_BIT(TS_TAGS) | TS_FIELD_BIT(TS_STATUS),
			   "diff: what differs and what one side does not know");
	tap_is_int(ts_task_diff(&a, &b, TS_FIELD_BIT(TS_URL)), 0, "diff looks at the mask only");
	ts_task_copy(&c, &a);
	tap_ok(c.value[TS_TITLE] != a.value[TS_TITLE] &&
		   ts_task_diff(&a, &c, TS_ALL_FIELDS) == 0, "a copy is deep and equal");
}

static void
test_errors(void)
{
	TsError		err;

	ts_error(&err, "TS502", "bad %s %d", "thing", 7);
	ts_error_detail(&err, "%0500d", 1);
	ts_error_hint(&err, "try");
	tap_is(err.sqlstate, "TS502", "sqlstate");
	tap_is(err.message, "bad thing 7", "message");
	tap_is_int(strlen(err.detail), 500, "a long detail");
	ts_error_detail(&err, "%01998d\xE2\x82\xAC", 1);
	tap_is(err.detail + 1990, "00000001...", "one that is too long");
	ts_error(&err, "22023", "x");
	tap_ok(err.detail == NULL && err.hint == NULL, "a new error forgets the old detail");
	ts_error(&err, "TS502", "END:%.4s", "abc\xC3\xBC");
	tap_is(err.message, "END:abc?", "a character that was cut in two");
	ts_error(&err, "TS502", "a\x07 \xFF\xC3\xBC");
	tap_is(err.message, "a? ?\xC3\xBC", "bytes that no table takes");
}

int
main(void)
{
	tap_start();
	test_values();
	test_json();
	test_compare();
	test_errors();
	return tap_done();
}
