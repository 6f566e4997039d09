/*-------------------------------------------------------------------------
 *
 * icaltime.h
 *	  iCalendar's DATE, DATE-TIME and DURATION values (RFC 5545, 3.3.4-3.3.6).
 *
 *-------------------------------------------------------------------------
 */
#ifndef TASKSYNC_ICALTIME_H
#define TASKSYNC_ICALTIME_H

#include "provider/caldav/contentline.h"
#include "task/datetime.h"

typedef struct TsIcalTime
{
	TsCivil		wall;			/* all zero time for a DATE */
	bool		is_date;		/* a day; has no zone */
	char	   *zone;			/* IANA name, "UTC" for a Z; NULL: floating */
	bool		measured;		/* zone is not the line's own: see tzid.h */
} TsIcalTime;

/* A nominal part, counted in calendar days, and an exact one. */
typedef struct TsIcalDuration
{
	int64		days;
	int64		seconds;
} TsIcalDuration;

/*
 * ts_ical_time_parse: a value alone: "20261122", "20261122T173000" and with
 *		a Z (then zone is "UTC"); also the extended forms with '-' and ':'.
 * ts_ical_time_read: a line with its VALUE and TZID.
 * ts_ical_time_print: the value; "Z" when zone is "UTC".
 * ts_ical_time_line: a line "NAME[;VALUE=DATE|;TZID=tzid]:value"; tzid NULL:
 *		UTC or floating by t->zone.
 * ts_ical_time_instant: seconds since the epoch; floating times and days (their
 *		midnight) by "floating_zone", an IANA name.
 * ts_ical_time_shift: by seconds on the wall clock.
 * ts_ical_duration_parse: also "PT2D", "P1DT" and lower case, as clients write.
 * ts_ical_duration_add: the days by the calendar, the rest exactly.
 */
extern bool ts_ical_time_parse(const char *value, TsIcalTime *t);
extern bool ts_ical_time_read(const TsIcalDoc *doc, const TsIcalLine *line, TsIcalTime *t);
extern char *ts_ical_time_print(const TsIcalTime *t);
extern char *ts_ical_time_line(const char *name, const TsIcalTime *t, const char *tzid);
extern bool ts_ical_time_instant(const TsIcalTime *t, const char *floating_zone,
								 int64 *utc_seconds);
extern bool ts_ical_time_shift(TsIcalTime *t, int64 seconds);
extern bool ts_ical_duration_parse(const char *value, TsIcalDuration *d);
extern char *ts_ical_duration_print(const TsIcalDuration *d);
extern bool ts_ical_duration_add(const TsIcalTime *start, const TsIcalDuration *d,
								 TsIcalTime *end);
extern TsIcalDuration ts_ical_duration_between(const TsIcalTime *start, const TsIcalTime *end);

#endif							/* TASKSYNC_ICALTIME_H */
