/*-------------------------------------------------------------------------
 *
 * vtodo_fuzz.c
 *	  iCalendar objects as tasks.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fuzz.h"
#include "provider/caldav/vtodo.h"

static const TsVtodoOptions options = {
	.uid = "new-uid",.now = INT64CONST(1795348800000000),.default_time_zone = "Europe/Berlin"
};

static void
check_storable(const char *text)
{
	fuzz_check(text == NULL || fuzz_is_utf8(text), "\"%s\"", text);
}

void
fuzz_one(const char *data, size_t len)
{
	TsVtodo		todo;
	TsError		err;
	char	   *text;

	if (!ts_vtodo_decode(data, len, &options, &todo, &err))
	{
		fuzz_check(strcmp(err.sqlstate, "TS502") == 0, "%s", err.sqlstate);
		fuzz_check_error(&err);
		return;
	}
	if (!todo.is_vtodo)
		return;
	fuzz_check(todo.ntodos > 0 && todo.task.known == TS_ALL_FIELDS, "%d", todo.ntodos);
	for (int f = 0; f < TS_NFIELDS; f++)
		fuzz_check_value(f, todo.task.value[f]);
	check_storable(todo.uid);
	check_storable(todo.parent_uid);
	check_storable(todo.last_modified);

	/* nothing to change changes nothing */
	text = ts_vtodo_encode(&todo.task, TS_ALL_FIELDS, data, len, &options, &err);
	fuzz_check(text != NULL, "%s %s", err.sqlstate, err.message);
	if (memchr(data, '\0', len) == NULL)
		fuzz_check(strlen(text) == len && memcmp(text, data, len) == 0, "%s", text);
}
