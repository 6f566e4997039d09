/*-------------------------------------------------------------------------
 *
 * values.c
 *	  A task's fields as SQL's values.
 *
 * The engine's canonical texts (task.h) are what the types' own input
 * functions read; in a base they are the strings that to_jsonb() gives, so
 * that a base compares with a row.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "store/sql.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"

static TsArg
tags_value(const char *json)
{
	int			n;
	char	  **tags = ts_tags_split(json, &n);

	return ts_texts((const char *const *) tags, n);
}

/* Three arguments, as input functions of types with a modifier take. */
static TsArg
read_by(PGFunction input, const char *value)
{
	return (TsArg) {DirectFunctionCall3(input, CStringGetDatum(value),
										ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)), false};
}

TsArg
ts_timestamp(const char *value)
{
	return value ? read_by(timestamptz_in, value) : ts_text(NULL);
}

/* A field as the value of its column, whose default stands for NULL where it has to. */
TsArg
ts_field_value(TsField f, const char *value)
{
	if (value == NULL)
		value = ts_field_info[f].fallback;
	if (value == NULL)
		return ts_text(NULL);
	switch (ts_field_info[f].kind)
	{
		case TS_KIND_DATE:
			return read_by(date_in, value);
		case TS_KIND_TIME:
			return read_by(time_in, value);
		case TS_KIND_TIMESTAMP:
			return ts_timestamp(value);
		case TS_KIND_INTEGER:
			return read_by(int4in, value);
		case TS_KIND_TAGS:
			return tags_value(value);
		case TS_KIND_REFERENCE:
			return ts_uuid(value);
		case TS_KIND_TEXT:
		case TS_KIND_WORD:
		case TS_KIND_ZONE:
		case TS_KIND_RULE:
			break;
	}
	return ts_text(value);
}

/* The type of a field's column. */
Oid
ts_field_type(TsField f)
{
	switch (ts_field_info[f].kind)
	{
		case TS_KIND_DATE:
			return DATEOID;
		case TS_KIND_TIME:
			return TIMEOID;
		case TS_KIND_TIMESTAMP:
			return TIMESTAMPTZOID;
		case TS_KIND_INTEGER:
			return INT4OID;
		case TS_KIND_TAGS:
			return TEXTARRAYOID;
		case TS_KIND_REFERENCE:
			return UUIDOID;
		case TS_KIND_TEXT:
		case TS_KIND_WORD:
		case TS_KIND_ZONE:
		case TS_KIND_RULE:
			break;
	}
	return TEXTOID;
}

static JsonbValue
json_string(const char *s)
{
	return (JsonbValue) {.type = jbvString,.val.string = {strlen(s), unconstify(char *, s)}};
}

static void
push_tags(JsonbParseState **state, const char *json)
{
	int			n;
	char	  **tags = ts_tags_split(json, &n);

	pushJsonbValue(state, WJB_BEGIN_ARRAY, NULL);
	for (int i = 0; i < n; i++)
	{
		JsonbValue	tag = json_string(tags[i]);

		pushJsonbValue(state, WJB_ELEM, &tag);
	}
	pushJsonbValue(state, WJB_END_ARRAY, NULL);
}

static void
push_field(JsonbParseState **state, TsField f, const char *value)
{
	JsonbValue	key = json_string(ts_field_info[f].name);
	JsonbValue	v = {.type = jbvNull};

	pushJsonbValue(state, WJB_KEY, &key);
	if (value != NULL && ts_field_info[f].kind == TS_KIND_TAGS)
	{
		push_tags(state, value);
		return;
	}
	if (value != NULL && ts_field_info[f].kind == TS_KIND_INTEGER)
	{
		v.type = jbvNumeric;
		v.val.numeric = DatumGetNumeric(read_by(numeric_in, value).value);
	}
	else if (value != NULL)
		v = json_string(value);
	pushJsonbValue(state, WJB_VALUE, &v);
}

/* As jsonb sorts keys: the shorter first, then by bytes. */
static int
compare_fields(const void *a, const void *b)
{
	const char *one = ts_field_info[*(const TsField *) a].name;
	const char *other = ts_field_info[*(const TsField *) b].name;
	int			shorter = (int) strlen(one) - (int) strlen(other);

	return shorter != 0 ? shorter : strcmp(one, other);
}

/* The fields in the order in which jsonb keeps them, which spares it sorting each object. */
static const TsField *
fields_sorted(void)
{
	static TsField sorted[TS_NFIELDS];
	static bool done = false;

	if (!done)
	{
		for (TsField f = 0; f < TS_NFIELDS; f++)
			sorted[f] = f;
		qsort(sorted, TS_NFIELDS, sizeof(TsField), compare_fields);
		done = true;
	}
	return sorted;
}

/* What ts_task_to_json() prints of all known fields, as jsonb. */
TsArg
ts_task_jsonb(const TsTask *task)
{
	const TsField *sorted = fields_sorted();
	JsonbParseState *state = NULL;
	JsonbValue *object;

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	for (int i = 0; i < TS_NFIELDS; i++)
		if (task->known & TS_FIELD_BIT(sorted[i]))
			push_field(&state, sorted[i], task->value[sorted[i]]);
	object = pushJsonbValue(&state, WJB_END_OBJECT, NULL);
	return (TsArg) {JsonbPGetDatum(JsonbValueToJsonb(object)), false};
}
