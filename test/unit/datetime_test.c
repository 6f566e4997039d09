/*-------------------------------------------------------------------------
 *
 * datetime_test.c
 *	  Calendar arithmetic, zones, recurrence rules.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "tap.h"
#include "task/datetime.h"
#include "task/rrule.h"

static TsCivil
civil(const char *text)
{
	TsCivil		wall = {0};
	int			usec;
	char	   *date = pnstrdup(text, 10);

	if (!ts_date_parse(date, &wall) ||
		(strlen(text) > 11 && !ts_time_parse(text + 11, &wall, &usec)))
		tap_ok(false, "bad time in a test: %s", text);
	return wall;
}

static char *
civil_text(const TsCivil *wall)
{
	return psprintf("%s %s", ts_date_text(wall), ts_time_text(wall, 0));
}

static void
test_calendar(void)
{
	TsCivil		wall;
	int64		days = ts_days_from_civil(1, 1, 1);
	bool		same = true;
	int64		last = ts_days_from_civil(9999, 12, 31);

	tap_is_int(ts_days_from_civil(1970, 1, 1), 0, "the epoch");
	tap_is_int(ts_days_from_civil(2000, 3, 1), 11017, "after a leap day");
	tap_is_int(last, 2932896, "the last day");
	for (; days <= last; days++)
	{
		same &= ts_wall_from_seconds(days * TS_SECS_PER_DAY, &wall) &&
			ts_date_is_valid(wall.year, wall.month, wall.day) &&
			ts_days_from_civil(wall.year, wall.month, wall.day) == days;
	}
	tap_ok(same, "every day of the years 1 to 9999 there and back");
	tap_ok(!ts_wall_from_seconds((last + 1) * TS_SECS_PER_DAY, &wall), "no year 10000");
	tap_ok(!ts_wall_from_seconds(ts_days_from_civil(1, 1, 1) * TS_SECS_PER_DAY - 1, &wall),
		   "no year 0");
}

static void
zone_is(const char *zone, const char *local, const char *utc)
{
	TsCivil		wall = civil(local);
	TsCivil		got;
	int64		seconds = 0;

	tap_ok(ts_zone_to_utc(zone, &wall, &seconds), "%s knows %s", zone, local);
	ts_wall_from_seconds(seconds, &got);
	tap_is(civil_text(&got), utc, "... which is that in UTC");
	tap_reset();
}

static void
test_zones(void)
{
	static const char *const zones[] = {
		"Europe/Berlin", "America/Los_Angeles", "Pacific/Auckland",
		"Australia/Lord_Howe", "Asia/Kolkata", "America/St_Johns", "UTC"
	};
	TsCivil		wall;

	zone_is("Europe/Berlin", "2026-11-22 17:30", "2026-11-22 16:30:00");
	zone_is("Europe/Berlin", "2026-07-01 00:00", "2026-06-30 22:00:00");
	zone_is("Europe/Berlin", "2026-03-29 01:59:59", "2026-03-29 00:59:59");
	zone_is("Europe/Berlin", "2026-03-29 02:30", "2026-03-29 01:30:00");	/* skipped */
	zone_is("Europe/Berlin", "2026-03-29 03:00", "2026-03-29 01:00:00");
	zone_is("Europe/Berlin", "2026-10-25 02:30", "2026-10-25 00:30:00");	/* twice: the first */
	zone_is("Europe/Berlin", "2026-10-25 03:00", "2026-10-25 02:00:00");
	zone_is("America/Los_Angeles", "2026-03-08 02:30", "2026-03-08 10:30:00");
	zone_is("America/Los_Angeles", "2026-11-01 01:30", "2026-11-01 08:30:00");
	zone_is("Pacific/Auckland", "2026-04-05 02:30", "2026-04-04 13:30:00");
	zone_is("Pacific/Auckland", "2026-09-27 02:30", "2026-09-26 14:30:00");
	zone_is("Pacific/Auckland", "2026-01-01 00:00", "2025-12-31 11:00:00");
	zone_is("Asia/Kathmandu", "2026-01-01 00:00", "2025-12-31 18:15:00");
	zone_is("UTC", "2026-01-01 00:00", "2026-01-01 00:00:00");

	for (int z = 0; z < lengthof(zones); z++)
	{
		bool		same = true;

		for (int64 t = ts_days_from_civil(2025, 1, 1) * TS_SECS_PER_DAY;
			 t < ts_days_from_civil(2028, 1, 1) * TS_SECS_PER_DAY; t += 1800)
		{
			int64		back;

			/* the second of two equal readings comes back as the first */
			if (!ts_zone_from_utc(zones[z], t, &wall) ||
				!ts_zone_to_utc(zones[z], &wall, &back) ||
				(back != t && back != t - 3600 && back != t - 1800))
				same = false;
		}
		tap_ok(same, "%s: every half hour of three years there and back", zones[z]);
	}
	tap_ok(!ts_zone_to_utc("Nowhere/At_All", &wall, &(int64) {0}), "an unknown zone");
}

static void
next_is(const char *rule, const char *from, const char *zone, const char *expected)
{
	bool		is_date = strlen(from) == 10;
	TsCivil		start = civil(from);
	TsCivil		next;
	bool		found = ts_rrule_next(rule, &start, is_date, zone, &next);

	tap_is(!found ? NULL : is_date ? ts_date_text(&next) : civil_text(&next), expected,
		   "%s after %s", rule, from);
	tap_reset();
}

static void
test_rules(void)
{
	next_is("FREQ=DAILY", "2026-03-28 08:30", "Europe/Berlin", "2026-03-29 08:30:00");
	next_is("FREQ=DAILY", "2026-12-31", NULL, "2027-01-01");
	next_is("FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,FR", "2026-11-20", NULL, "2026-11-30");
	next_is("FREQ=MONTHLY;BYMONTHDAY=31", "2026-01-31", NULL, "2026-03-31");
	next_is("FREQ=MONTHLY;BYMONTHDAY=-1", "2026-01-31", NULL, "2026-02-28");
	next_is("FREQ=MONTHLY;BYDAY=1MO", "2026-03-02", NULL, "2026-04-06");
	next_is("FREQ=YEARLY", "2024-02-29", NULL, "2028-02-29");
	next_is("FREQ=YEARLY;BYDAY=20MO", "2026-05-18", NULL, "2027-05-17");
	next_is("FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1", "2026-10-30 17:00", NULL,
			"2026-11-30 17:00:00");
	next_is("FREQ=HOURLY;INTERVAL=6", "2026-03-28 22:00", NULL, "2026-03-29 04:00:00");
	next_is("FREQ=DAILY;BYHOUR=9,17;BYMINUTE=0", "2026-03-28 09:00", NULL, "2026-03-28 17:00:00");
	/* ends */
	next_is("FREQ=DAILY;COUNT=2", "2026-03-28", NULL, "2026-03-29");
	next_is("FREQ=DAILY;COUNT=1", "2026-03-28", NULL, NULL);
	next_is("FREQ=DAILY;UNTIL=20260329", "2026-03-28", NULL, "2026-03-29");
	next_is("FREQ=DAILY;UNTIL=20260328", "2026-03-28", NULL, NULL);
	next_is("FREQ=DAILY;UNTIL=20260329T070000Z", "2026-03-28 09:00", "Europe/Berlin",
			"2026-03-29 09:00:00");
	next_is("FREQ=DAILY;UNTIL=20260329T065959Z", "2026-03-28 09:00", "Europe/Berlin", NULL);
	next_is("FREQ=DAILY;UNTIL=20260329T090000", "2026-03-28 09:00", "Europe/Berlin",
			"2026-03-29 09:00:00");
	/* never, and never searched for */
	next_is("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", "2026-03-28", NULL, NULL);
	next_is("FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=30", "2026-03-28 00:00", NULL, NULL);
	next_is("FREQ=DAILY;BYHOUR=1,2,3;BYMINUTE=1,2,3;BYMONTH=2;BYMONTHDAY=30",
			"2026-03-28 00:00", NULL, NULL);
	next_is("RSCALE=CHINESE;FREQ=YEARLY", "2026-03-28", NULL, NULL);
	/* far from our time */
	next_is("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29", "9992-02-29", NULL, "9996-02-29");
	next_is("FREQ=MONTHLY;BYDAY=1MO", "0001-01-01", NULL, "0001-02-05");
	next_is("FREQ=DAILY", "9999-12-31", NULL, NULL);
	next_is("FREQ=YEARLY;BYMONTH=2", "0001-01-31", NULL, NULL);

	tap_is(ts_rrule_count_down("FREQ=DAILY;COUNT=10;INTERVAL=2"),
		   "FREQ=DAILY;COUNT=9;INTERVAL=2", "count down in the middle");
	tap_is(ts_rrule_count_down("COUNT=2"), "COUNT=1", "count down alone");
	tap_is(ts_rrule_count_down("FREQ=DAILY"), "FREQ=DAILY", "nothing to count");
}

int
main(void)
{
	tap_start();
	test_calendar();
	test_zones();
	test_rules();
	return tap_done();
}
