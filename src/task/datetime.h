/*-------------------------------------------------------------------------
 *
 * datetime.h
 *	  Dates, wall-clock times, instants and time zones.
 *
 * Three things are kept apart: a calendar day, a wall-clock reading (TsCivil,
 * a day and a time of day, in whatever zone its owner says) and an instant
 * (seconds or microseconds since 1970-01-01 00:00 UTC).  Only the ts_zone_*
 * functions turn a wall-clock reading into an instant or back.
 *
 * The calendar is the proleptic Gregorian one, years 1 to 9999.  Zones are
 * IANA names, as the system's zone files have them (tzif.h).
 *
 *-------------------------------------------------------------------------
 */
#ifndef TASKSYNC_DATETIME_H
#define TASKSYNC_DATETIME_H

#define TS_SECS_PER_DAY		INT64CONST(86400)
#define TS_USECS_PER_SEC	INT64CONST(1000000)

typedef struct TsCivil
{
	int			year;			/* 1 .. 9999 */
	int			month;			/* 1 .. 12 */
	int			day;			/* 1 .. 31 */
	int			hour;			/* 0 .. 23 */
	int			minute;
	int			second;
} TsCivil;

/*
 * Arithmetic.  A wall-clock reading counts its seconds as if it were UTC, so
 * that two readings of one zone can be subtracted and shifted by the clock on
 * the wall.
 */
extern int64 ts_days_from_civil(int year, int month, int day);
extern int64 ts_wall_seconds(const TsCivil *wall);
extern bool ts_wall_from_seconds(int64 seconds, TsCivil *wall);
extern bool ts_date_is_valid(int year, int month, int day);

/*
 * Texts.  The parsers take every usual spelling and answer false for
 * anything else; the writers give the canonical form of task.h.
 *
 * ts_date_parse: "2026-11-22"; sets only the date's part of *wall.
 * ts_time_parse: "17:30", "17:30:00", "17:30:00.25", "24:00"; sets only the
 *		time's part and *usec, the microseconds after the second.
 * ts_timestamp_parse: a date, 'T' or blank, a time, and an offset: "Z", "+01",
 *		"+0100", "+01:00"; none means UTC.  Microseconds since the epoch.
 */
extern bool ts_date_parse(const char *s, TsCivil *wall);
extern bool ts_time_parse(const char *s, TsCivil *wall, int *usec);
extern bool ts_timestamp_parse(const char *s, int64 *usec);
extern char *ts_date_text(const TsCivil *wall);
extern char *ts_time_text(const TsCivil *wall, int usec);
extern char *ts_timestamp_text(int64 usec);

/*
 * Zones (zone.c).
 *
 * ts_zone_canonical: the name as the zone data spells it, whatever the case
 *		of the letters; NULL when there is no such zone.
 * ts_zone_to_utc: a reading that happens twice is the first one, one that is
 *		skipped is read with the offset before the gap (RFC 5545, 3.3.5).
 */
extern char *ts_zone_canonical(const char *name);
extern bool ts_zone_offset(const char *zone, int64 utc_seconds, int *offset);
extern bool ts_zone_to_utc(const char *zone, const TsCivil *wall, int64 *utc_seconds);
extern bool ts_zone_from_utc(const char *zone, int64 utc_seconds, TsCivil *wall);

#endif							/* TASKSYNC_DATETIME_H */
