/*-------------------------------------------------------------------------
 *
 * value.c
 *	  One value of a task's field: checking it and bringing it to the
 *	  canonical form of its kind.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "task/datetime.h"
#include "task/rrule.h"
#include "task/task.h"

#define MAX_REPORTED_LENGTH	100 /* bytes of a bad value shown in an error */

static char *
canonical_word(TsField f, const char *raw)
{
	for (const char *const *word = ts_field_info[f].words; *word != NULL; word++)
	{
		if (strcmp(*word, raw) == 0)
			return pstrdup(raw);
	}
	return NULL;
}

static char *
canonical_date(const char *raw)
{
	TsCivil		wall;

	return ts_date_parse(raw, &wall) ? ts_date_text(&wall) : NULL;
}

static char *
canonical_time(const char *raw)
{
	TsCivil		wall;
	int			usec;

	return ts_time_parse(raw, &wall, &usec) ? ts_time_text(&wall, usec) : NULL;
}

static char *
canonical_timestamp(const char *raw)
{
	int64		usec;

	return ts_timestamp_parse(raw, &usec) ? ts_timestamp_text(usec) : NULL;
}

/* Both integer fields count something: no sign; a percentage ends at 100. */
static char *
canonical_integer(TsField f, const char *raw)
{
	int64		limit = f == TS_PERCENT_COMPLETE ? 100 : PG_INT32_MAX;
	int64		value = 0;

	if (*raw == '\0')
		return NULL;
	for (; *raw; raw++)
	{
		if (*raw < '0' || *raw > '9')
			return NULL;
		value = value * 10 + (*raw - '0');
		if (value > limit)
			return NULL;
	}
	return psprintf("%d", (int) value);
}

/*
 * ts_value_canonical
 *		Check one value of field f and bring it to its canonical form.
 *
 * "raw" is a text as jsonb's ->> gives it (tags: the JSON array itself).
 * NULL with *err set (22023, naming the field) when it is not a value of the
 * field.
 */
char *
ts_value_canonical(TsField f, const char *raw, TsError *err)
{
	char	   *value = NULL;

	switch (ts_field_info[f].kind)
	{
		case TS_KIND_TEXT:
		case TS_KIND_REFERENCE:
			return pstrdup(raw);
		case TS_KIND_WORD:
			value = canonical_word(f, raw);
			break;
		case TS_KIND_DATE:
			value = canonical_date(raw);
			break;
		case TS_KIND_TIME:
			value = canonical_time(raw);
			break;
		case TS_KIND_TIMESTAMP:
			value = canonical_timestamp(raw);
			break;
		case TS_KIND_INTEGER:
			value = canonical_integer(f, raw);
			break;
		case TS_KIND_ZONE:
			value = ts_zone_canonical(raw);
			break;
		case TS_KIND_RULE:
			value = ts_rrule_canonical(raw);
			break;
		case TS_KIND_TAGS:
			{
				int			n;
				char	  **tags = ts_tags_split(raw, &n);

				value = tags ? ts_tags_join(tags, n) : NULL;
				break;
			}
	}
	if (value == NULL)
		ts_error(err, "22023", "invalid value for \"%s\": \"%.*s\"",
				 ts_field_info[f].name, MAX_REPORTED_LENGTH, raw);
	return value;
}
