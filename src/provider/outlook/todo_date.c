/*-------------------------------------------------------------------------
 *
 * todo_date.c
 *	  Graph's dateTimeTimeZone: {"dateTime": "2026-01-31T00:00:00.0000000",
 *	  "timeZone": "UTC"}, a wall clock's reading and its zone, which has a
 *	  Windows name or an IANA one.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "provider/outlook/todo.h"
#include "task/datetime.h"
#include "task/winzones.h"

#define HALF_A_DAY		(TS_SECS_PER_DAY / 2)
#define FARTHEST_WEST	(10 * 3600)	/* seconds behind UTC */

typedef struct Reading
{
	bool		is_set;
	int64		wall;			/* seconds, as if it were UTC */
	char	   *zone;			/* an IANA name; NULL: nobody knows */
} Reading;

/*
 * The zone that texts of the codec's are written in.  PostgreSQL's own may be no
 * name but a rule ("<+03>-3"), which the service would refuse: then it is UTC.
 */
const char *
ts_todo_zone(const TsCodecOptions *opt)
{
	char	   *name = opt != NULL && opt->default_time_zone != NULL
		? ts_zone_canonical(opt->default_time_zone) : NULL;

	return name != NULL ? name : "UTC";
}

static char *
zone_named(const char *name)
{
	const char *iana = name != NULL ? ts_windows_zone(name) : "UTC";

	return ts_zone_canonical(iana != NULL ? iana : name);
}

/* The text without the fraction of its seconds, of which there are seven digits. */
static char *
without_fraction(const char *text)
{
	const char *dot = strchr(text, '.');

	if (dot == NULL)
		return pstrdup(text);
	return psprintf("%.*s%s", (int) (dot - text), text, dot + 1 + strspn(dot + 1, "0123456789"));
}

static bool
bad_value(TsError *err, const char *text)
{
	ts_error(err, "TS502", "the task has a date that can't be understood: \"%.40s\"", text);
	return false;
}

static bool
read_value(const TsJson *value, Reading *reading, TsError *err)
{
	const char *text = ts_json_get_string(value, "dateTime");
	char	   *clock;
	int64		usec;

	memset(reading, 0, sizeof(*reading));
	if (value == NULL || value->kind == TS_JSON_NULL)
		return true;
	if (text == NULL)
		return bad_value(err, "");
	clock = without_fraction(text);
	if (!ts_timestamp_parse(clock, &usec))
		return bad_value(err, text);
	reading->is_set = true;
	reading->wall = usec / TS_USECS_PER_SEC - (usec % TS_USECS_PER_SEC < 0);
	/* a text that tells its offset was read as an instant already */
	reading->zone = strlen(clock) > strlen("2026-01-31T00:00:00") ? pstrdup("UTC")
		: zone_named(ts_json_get_string(value, "timeZone"));
	return true;
}

/* The reading's instant, or false for a time out of the calendar. */
static bool
instant_of(const Reading *reading, const char *zone, int64 *utc_seconds)
{
	TsCivil		wall;

	return ts_wall_from_seconds(reading->wall, &wall) &&
		ts_zone_to_utc(reading->zone != NULL ? reading->zone : zone, &wall, utc_seconds);
}

/* The midnight that a day begins with, of any second in it. */
static int64
midnight_before(int64 seconds)
{
	int64		of_day = seconds % TS_SECS_PER_DAY;

	return seconds - (of_day < 0 ? of_day + TS_SECS_PER_DAY : of_day);
}

/*
 * The service keeps a day as the instant of its midnight in the zone of whoever
 * set it, which it does not tell: it shows the instant in UTC.  Midnight on the
 * clock is that day, whatever the zone.  An instant that is midnight in our zone
 * is that day here.  Any other was set elsewhere, and where is known well enough:
 * people live from ten hours behind UTC to fourteen before it, and hardly any of
 * them beyond, so that an instant up to 10:00 is midnight west of Greenwich, and a
 * later one the next day's midnight east of it.
 *
 * A zone that is told, and in which it is not midnight, has a time that somebody
 * gave with the day: that is dropped.
 */
bool
ts_todo_date(const TsJson *value, const char *zone, char **result, TsError *err)
{
	Reading		reading;
	TsCivil		wall;
	int64		utc;
	int64		seconds;

	*result = NULL;
	if (!read_value(value, &reading, err))
		return false;
	if (!reading.is_set)
		return true;
	seconds = reading.wall;
	if (seconds % TS_SECS_PER_DAY != 0)
	{
		if (reading.zone == NULL)
			seconds += HALF_A_DAY;
		else if (instant_of(&reading, zone, &utc) && ts_zone_from_utc(zone, utc, &wall) &&
				 ts_wall_seconds(&wall) % TS_SECS_PER_DAY == 0)
			seconds = ts_wall_seconds(&wall);
		else if (strcmp(reading.zone, "UTC") == 0)
			seconds += TS_SECS_PER_DAY - FARTHEST_WEST - 1;
	}
	if (!ts_wall_from_seconds(midnight_before(seconds), &wall))
		return bad_value(err, ts_json_get_string(value, "dateTime"));
	*result = ts_date_text(&wall);
	return true;
}

/* In a zone that nobody knows, the clock is taken for one of ours. */
bool
ts_todo_instant(const TsJson *value, const char *zone, char **result, TsError *err)
{
	Reading		reading;
	TsCivil		wall;
	int64		utc;

	*result = NULL;
	if (!read_value(value, &reading, err))
		return false;
	if (!reading.is_set)
		return true;
	if (!instant_of(&reading, zone, &utc) || !ts_wall_from_seconds(utc, &wall))
		return bad_value(err, ts_json_get_string(value, "dateTime"));
	*result = ts_timestamp_text(utc * TS_USECS_PER_SEC);
	return true;
}

char *
ts_todo_noon(const char *date)
{
	return psprintf("%sT12:00:00+00:00", date);
}

static void
put_value(StringInfo out, const char *name, const char *date_time, const char *zone)
{
	StringInfoData value;

	initStringInfo(&value);
	ts_json_open(&value);
	ts_json_put_string(&value, "dateTime", date_time);
	ts_json_put_string(&value, "timeZone", zone);
	ts_json_close(&value);
	ts_json_put_raw(out, name, value.data, value.len);
}

void
ts_todo_put_date(StringInfo out, const char *name, const char *date, const char *zone)
{
	if (date == NULL)
		ts_json_put_raw(out, name, "null", 4);
	else
		put_value(out, name, psprintf("%sT00:00:00", date), zone);
}

void
ts_todo_put_instant(StringInfo out, const char *name, const char *timestamp)
{
	if (timestamp == NULL)
		ts_json_put_raw(out, name, "null", 4);
	else
		put_value(out, name, pnstrdup(timestamp, strcspn(timestamp, "+")), "UTC");
}
