/*-------------------------------------------------------------------------
 *
 * tzid.h
 *	  From iCalendar's time zone ids to IANA names, and back.
 *
 * A TZID is any text: an IANA name, one behind a vendor's prefix, a Windows
 * name, or something that only the VTIMEZONE beside it explains.  What cannot
 * be named is measured: the IANA zone that keeps the same time, else UTC.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TASKSYNC_TZID_H
#define TASKSYNC_TZID_H

#include "provider/caldav/contentline.h"
#include "task/datetime.h"
#include "task/winzones.h"

/*
 * ts_tzid_zone: the IANA name that a TZID stands for by its name or by what
 *		its VTIMEZONE says of itself; NULL when names do not tell.
 * ts_tzid_measure: for the others: the instant (seconds since the epoch) at
 *		which the zone's VTIMEZONE in "doc" shows "wall", and in *zone the IANA
 *		zone that agrees with it throughout that year, or NULL; false when
 *		there is no usable VTIMEZONE.
 */
extern char *ts_tzid_zone(const TsIcalDoc *doc, const char *tzid);
extern bool ts_tzid_measure(const TsIcalDoc *doc, const char *tzid, const TsCivil *wall,
							int64 *utc_seconds, const char **zone);

/*
 * ts_vtimezone_read: a VTIMEZONE, for ts_vtimezone_offset; false when it has
 *		rules that are not a time zone's.
 * ts_vtimezone_offset: seconds east of UTC when its clock shows "wall".
 */
typedef struct TsObservance TsObservance;

typedef struct TsVtimezone
{
	TsObservance *observances;
	int			n;
} TsVtimezone;

extern bool ts_vtimezone_read(const TsIcalComponent *comp, TsVtimezone *zone);
extern int	ts_vtimezone_offset(const TsVtimezone *zone, const TsCivil *wall);

/*
 * ts_vtimezone_find: the TZID of a VTIMEZONE in doc that stands for an IANA
 *		zone, or NULL.
 * ts_vtimezone_add: a VTIMEZONE for an IANA zone, as the first component of
 *		the document's VCALENDAR; its TZID is the IANA name.  It covers the
 *		times from the year before "wall" on.
 */
extern char *ts_vtimezone_find(const TsIcalDoc *doc, const char *zone);
extern void ts_vtimezone_add(TsIcalDoc *doc, const char *zone, const TsCivil *wall);

#endif							/* TASKSYNC_TZID_H */
