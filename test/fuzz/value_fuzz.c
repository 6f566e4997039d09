/*-------------------------------------------------------------------------
 *
 * value_fuzz.c
 *	  Single values: of every field, and of iCalendar.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fuzz.h"
#include "provider/caldav/icaltime.h"

static void
check_fields(const char *raw)
{
	for (int f = 0; f < TS_NFIELDS; f++)
	{
		TsError		err = {{0}};
		char	   *value = ts_value_canonical(f, raw, &err);

		fuzz_check((value == NULL) == ts_failed(&err), "%s: \"%s\"", ts_field_info[f].name, raw);
		if (fuzz_is_utf8(raw))
		{
			fuzz_check_error(&err);
			fuzz_check_value(f, value);
		}
	}
}

static void
check_timestamp(const char *raw)
{
	int64		usec;
	int64		again;
	char	   *text;

	if (!ts_timestamp_parse(raw, &usec))
		return;
	text = ts_timestamp_text(usec);
	fuzz_check(text != NULL && ts_timestamp_parse(text, &again) && again == usec,
			   "\"%s\" is \"%s\"", raw, text ? text : "(none)");
}

static void
check_zones(const TsIcalTime *t)
{
	for (int i = 0; fuzz_zone(i) != NULL; i++)
	{
		int64		utc;
		int64		back;
		TsCivil		wall;

		fuzz_check(ts_zone_to_utc(fuzz_zone(i), &t->wall, &utc), "%s", fuzz_zone(i));
		if (!ts_zone_from_utc(fuzz_zone(i), utc, &wall))
			continue;			/* outside the calendar */
		fuzz_check(ts_zone_to_utc(fuzz_zone(i), &wall, &back) && Abs(back - utc) <= 2 * 3600,
				   "%s: " INT64_FORMAT " " INT64_FORMAT, fuzz_zone(i), utc, back);
	}
}

static void
check_ical_time(const char *raw)
{
	TsIcalTime	t;
	TsIcalTime	again;
	char	   *text;

	if (!ts_ical_time_parse(raw, &t))
		return;
	text = ts_ical_time_print(&t);
	fuzz_check(ts_ical_time_parse(text, &again) &&
			   ts_wall_seconds(&again.wall) == ts_wall_seconds(&t.wall) &&
			   again.is_date == t.is_date && (again.zone == NULL) == (t.zone == NULL),
			   "\"%s\" is \"%s\"", raw, text);
	check_zones(&t);
}

/* The instant of a time; floating ones by UTC. */
static int64
instant(const TsIcalTime *t)
{
	int64		utc = 0;

	fuzz_check(ts_ical_time_instant(t, "UTC", &utc), "%s", ts_ical_time_print(t));
	return utc;
}

/* A duration leads from a start to an end, and between the two there is as much. */
static void
check_duration(const char *raw)
{
	TsIcalTime	start = {.wall = {2026, 3, 28, 2, 30, 0}};
	TsIcalTime	end;
	TsIcalTime	again;
	TsIcalDuration d;
	TsIcalDuration same;
	TsIcalDuration between;

	if (!ts_ical_duration_parse(raw, &d))
		return;
	fuzz_check(ts_ical_duration_parse(ts_ical_duration_print(&d), &same) &&
			   same.days == d.days && same.seconds == d.seconds,
			   "\"%s\" is \"%s\"", raw, ts_ical_duration_print(&d));
	for (int i = 0; i < 4; i++)
	{
		start.zone = i == 0 ? NULL : unconstify(char *, fuzz_zone(i));
		if (!ts_ical_duration_add(&start, &d, &end))
			continue;
		if (d.days < 0 || d.seconds < 0)
			continue;
		between = ts_ical_duration_between(&start, &end);
		fuzz_check(between.days >= 0 && between.seconds >= 0, "\"%s\"", raw);
		fuzz_check(ts_ical_duration_add(&start, &between, &again) &&
				   instant(&again) == instant(&end),
				   "\"%s\" from %s: %s, then %s", raw, start.zone ? start.zone : "floating",
				   ts_ical_time_print(&end), ts_ical_time_print(&again));
	}
}

void
fuzz_one(const char *data, size_t len)
{
	FuzzInput	in = {data, len};
	char	   *raw = fuzz_rest(&in);

	check_fields(raw);
	check_timestamp(raw);
	check_ical_time(raw);
	check_duration(raw);
}
