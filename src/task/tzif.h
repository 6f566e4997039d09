/*-------------------------------------------------------------------------
 *
 * tzif.h
 *	  The system's time zone files (RFC 8536), read as they are.
 *
 * A zone is a list of changes, each to a type (offset, name, daylight or not),
 * and a rule for the years after the last one.  Zones are read once and kept
 * for the life of the process, in malloc'd memory.
 *
 * Why not libical's own reading of these files: it rebuilds iCalendar rules
 * from the changes and gets some zones wrong by an hour (in version 3.0.16
 * Africa/Cairo today, America/St_Johns from 2038 on).
 *
 *-------------------------------------------------------------------------
 */
#ifndef TASKSYNC_TZIF_H
#define TASKSYNC_TZIF_H

#include "task/datetime.h"

#define TS_ZONE_NAME_MAX	63

typedef struct TsZoneType
{
	int			offset;			/* seconds east of UTC */
	bool		is_dst;
	char		name[16];		/* "CET", "+0545" */
} TsZoneType;

/* When in a year the clocks change, by the clock before the change. */
typedef struct TsZoneDay
{
	char		kind;			/* 'M' month.week.day, 'J' or 'N': day of the year */
	int			month;
	int			week;			/* 5: the last one */
	int			day;			/* 'M': 0 = Sunday; 'J': 1-365 without Feb 29; 'N': 0-365 */
	int			time;			/* seconds after midnight, may be < 0 or > a day */
} TsZoneDay;

typedef struct TsZone
{
	struct TsZone *next;
	char		name[TS_ZONE_NAME_MAX + 1];
	int			nchanges;
	int64	   *change_at;		/* seconds since the epoch, ascending */
	uint8	   *change_to;		/* index of the type from then on */
	int			ntypes;
	TsZoneType *types;
	bool		has_rule;		/* standard and (if has_dst) daylight time hold on */
	bool		has_dst;
	TsZoneType	standard;
	TsZoneType	daylight;
	TsZoneDay	dst_begins;
	TsZoneDay	dst_ends;
} TsZone;

/*
 * ts_tzif_load: the zone of exactly this name, or NULL.
 * ts_tzif_find_name: the name as the files spell it, whatever the case of the
 *		letters, in name[TS_ZONE_NAME_MAX + 1]; false when there is none.
 * ts_tzif_type_at: what holds at an instant; never NULL.
 * ts_tzif_rule_day: the instant of the rule's change in a year.
 */
extern const TsZone *ts_tzif_load(const char *name);
extern bool ts_tzif_find_name(const char *any_case, char *name);
extern const TsZoneType *ts_tzif_type_at(const TsZone *zone, int64 utc_seconds);
extern int64 ts_tzif_rule_day(const TsZone *zone, int year, bool begins);

#endif							/* TASKSYNC_TZIF_H */
