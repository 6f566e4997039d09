/*-------------------------------------------------------------------------
 *
 * encode_fuzz.c
 *	  Edits of iCalendar objects.  Input: the object; after a NUL, which is in
 *	  none, the bytes that the edit is drawn from.  Without them its own text
 *	  is what chance there is.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fuzz.h"
#include "ics_edit.h"

static const TsVtodoOptions exception = {
	.uid = "new-uid",.now = INT64CONST(1795348800000000),.default_time_zone = "Europe/Berlin",
	.recurring_completion = TS_RECURRING_EXCEPTION
};

static FuzzInput chance;

static uint32
draw(uint32 n)
{
	return fuzz_below(&chance, n);
}

static bool
has_todo(const char *text)
{
	TsVtodo		todo;
	TsError		err;

	return ts_vtodo_decode(text, strlen(text), &exception, &todo, &err) && todo.is_vtodo;
}

/* Completing an occurrence by an override: it is still an object, of one task. */
static void
check_exception(const char *text)
{
	TsTask		want = {.known = TS_FIELD_BIT(TS_STATUS),.value[TS_STATUS] = "COMPLETED"};
	TsError		err;
	char	   *after = ts_vtodo_encode(&want, want.known, text, strlen(text), &exception, &err);

	fuzz_check(after != NULL && has_todo(after), "%s\n%s", text, after ? after : err.message);
}

void
fuzz_one(const char *data, size_t len)
{
	FuzzInput	in = {data, len};
	char	   *text = fuzz_rest(&in);
	char	   *complaint;
	TsTask		want;

	chance = in.len > 0 ? in : (FuzzInput) {data, len};
	ics_draw_edit(&want, draw);
	if (!has_todo(text))
		return;
	complaint = ics_check_edit(text, &want);
	fuzz_check(complaint == NULL, "%s\nof\n%s", complaint, text);
	check_exception(text);
}
