/*-------------------------------------------------------------------------
 *
 * json_fuzz.c
 *	  Everything that is read as JSON: tasks, tags, cursors, settings.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fuzz.h"
#include "provider/caldav/caldav.h"
#include "provider/caldav/provider.h"

static void
check_task(const char *json, size_t len)
{
	TsTask		task;
	TsTask		again;
	TsError		err;
	StringInfoData out;

	if (!ts_task_from_json(json, len, &task, &err))
	{
		fuzz_check(strcmp(err.sqlstate, "22023") == 0, "%s", err.sqlstate);
		if (fuzz_is_utf8(json))
			fuzz_check_error(&err);
		return;
	}
	fuzz_check(!ts_failed(&err), "%s", err.message);
	fuzz_check((task.known & ~TS_ALL_FIELDS) == 0, "%x", task.known);
	for (int f = 0; f < TS_NFIELDS; f++)
	{
		fuzz_check(task.value[f] == NULL || (task.known & TS_FIELD_BIT(f)) != 0, "%d", f);
		if (fuzz_is_utf8(json))
			fuzz_check_value(f, task.value[f]);
	}
	initStringInfo(&out);
	ts_task_to_json(&task, TS_ALL_FIELDS, &out);
	fuzz_check(ts_task_from_json(out.data, out.len, &again, &err), "%s: %s", err.message, out.data);
	fuzz_check(again.known == task.known && ts_task_diff(&task, &again, TS_ALL_FIELDS) == 0,
			   "%s", out.data);
}

static void
check_tags(const char *json)
{
	int			n;
	int			n2;
	char	  **tags = ts_tags_split(json, &n);
	char	   *joined;

	if (tags == NULL)
		return;
	joined = ts_tags_join(tags, n);
	fuzz_check(ts_tags_split(joined, &n2) != NULL && n2 == n, "%s", joined);
	fuzz_check(ts_tags_unique(tags, n) == n, "%s", joined);
}

/* What is kept between conversations is read back as it was written. */
static void
check_cursor(const char *json)
{
	DavConversation c = {.base = {.cxt = CurrentMemoryContext}};
	DavConversation c2 = c;
	char	   *text;

	dav_cursor_load(&c, json);
	text = dav_cursor_text(c.pull.token, c.pull.ctag);
	dav_cursor_load(&c2, text);
	fuzz_check((c.pull.token == NULL) == (c2.pull.token == NULL) &&
			   (c.pull.ctag == NULL) == (c2.pull.ctag == NULL), "%s", text);
	fuzz_check(c.pull.token == NULL || strcmp(c.pull.token, c2.pull.token) == 0, "%s", text);
	fuzz_check(c.pull.ctag == NULL || strcmp(c.pull.ctag, c2.pull.ctag) == 0, "%s", text);
}

static void
check_settings(const char *json)
{
	DavCaps		caps;
	TsError		err = {{0}};

	dav_caps_load(&caps, json);
	if (!ts_caldav_provider.check_settings(json, &err) && fuzz_is_utf8(json))
		fuzz_check_error(&err);
}

void
fuzz_one(const char *data, size_t len)
{
	FuzzInput	in = {data, len};
	char	   *json = fuzz_rest(&in);

	check_task(json, strlen(json));
	check_tags(json);
	check_cursor(json);
	check_settings(json);
}
