/*-------------------------------------------------------------------------
 *
 * zone.c
 *	  IANA time zones: which names there are, and wall clock <-> instant.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "task/datetime.h"
#include "task/tzif.h"

char *
ts_zone_canonical(const char *name)
{
	char		found[TS_ZONE_NAME_MAX + 1];

	return ts_tzif_find_name(name, found) ? pstrdup(found) : NULL;
}

/*
 * ts_zone_offset
 *		Seconds east of UTC at an instant; false for an unknown zone.
 */
bool
ts_zone_offset(const char *zone, int64 utc_seconds, int *offset)
{
	const TsZone *tz = ts_tzif_load(zone);

	if (tz != NULL)
		*offset = ts_tzif_type_at(tz, utc_seconds)->offset;
	return tz != NULL;
}

/*
 * ts_zone_to_utc
 *		The instant at which the wall clock of "zone" shows "wall".
 *
 * Tries the offsets of a day before and a day after: that settles the hours
 * around a change of the clocks by the rule in datetime.h.
 */
bool
ts_zone_to_utc(const char *zone, const TsCivil *wall, int64 *utc_seconds)
{
	int64		local = ts_wall_seconds(wall);
	int			before;
	int			after;
	int			check;

	if (!ts_zone_offset(zone, local - TS_SECS_PER_DAY, &before) ||
		!ts_zone_offset(zone, local + TS_SECS_PER_DAY, &after))
		return false;
	*utc_seconds = local - before;
	if (before == after)
		return true;
	if (ts_zone_offset(zone, local - before, &check) && check == before)
		return true;
	if (ts_zone_offset(zone, local - after, &check) && check == after)
		*utc_seconds = local - after;
	return true;
}

bool
ts_zone_from_utc(const char *zone, int64 utc_seconds, TsCivil *wall)
{
	int			offset;

	return ts_zone_offset(zone, utc_seconds, &offset) &&
		ts_wall_from_seconds(utc_seconds + offset, wall);
}
