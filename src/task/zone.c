/*-------------------------------------------------------------------------
 *
 * zone.c
 *	  IANA time zones: which names there are, and wall clock <-> instant.
 *
 * libical keeps the zones that were used once for the life of the process; no
 * object of its is owned here, so there is nothing to free on an error.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <libical/ical.h>

#include "task/datetime.h"

void
ts_libical_setup(void)
{
	icalerror_set_errors_are_fatal(0);
}

/*
 * Zone names become file names inside libical: only what a zone's name may
 * look like goes there.  "right/" zones count leap seconds, the others named
 * here are no zones of their own.
 */
static bool
looks_like_zone(const char *name)
{
	static const char *const unwanted[] = {
		"right/", "posix/", "posixrules", "localtime", "Factory", "leap"
	};
	size_t		len = strlen(name);

	if (len == 0 || len > 63 || strstr(name, "..") != NULL)
		return false;
	if (!((name[0] >= 'A' && name[0] <= 'Z') || (name[0] >= 'a' && name[0] <= 'z')))
		return false;
	if (strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
			   "0123456789_+-/") != len)
		return false;
	for (int i = 0; i < lengthof(unwanted); i++)
	{
		if (strncmp(name, unwanted[i], strlen(unwanted[i])) == 0)
			return false;
	}
	return true;
}

static icaltimezone *
lookup_zone(const char *name)
{
	icaltimezone *zone;

	if (!looks_like_zone(name))
		return NULL;
	ts_libical_setup();
	if (strcmp(name, "UTC") == 0)
		return icaltimezone_get_utc_timezone();
	zone = icaltimezone_get_builtin_timezone(name);
	/* a file that is not zone data can leave a zone without rules */
	if (zone != NULL && icaltimezone_get_component(zone) == NULL &&
		zone != icaltimezone_get_utc_timezone())
		return NULL;
	return zone;
}

/* The listed zone whose name has these letters in any case, or NULL. */
static const char *
find_ignoring_case(const char *name)
{
	icalarray  *zones;

	ts_libical_setup();
	zones = icaltimezone_get_builtin_timezones();
	for (size_t i = 0; i < zones->num_elements; i++)
	{
		const char *location =
			icaltimezone_get_location(icalarray_element_at(zones, i));

		if (location != NULL && pg_strcasecmp(location, name) == 0)
			return location;
	}
	return NULL;
}

/*
 * ts_zone_canonical
 *		See datetime.h.  Zones outside the geographic list ("Etc/GMT+5",
 *		"EST5EDT", "UTC") are written in capitals after any folder.
 */
char *
ts_zone_canonical(const char *name)
{
	const char *listed;
	char	   *guess;
	char	   *last;

	if (lookup_zone(name) != NULL)
		return pstrdup(name);
	if (!looks_like_zone(name))
		return NULL;
	listed = find_ignoring_case(name);
	if (listed != NULL)
		return pstrdup(listed);

	guess = pstrdup(name);
	for (char *p = guess; *p; p++)
		*p = pg_toupper((unsigned char) *p);
	last = strrchr(guess, '/');
	for (char *p = guess + 1; last != NULL && p < last; p++)
		*p = pg_tolower((unsigned char) *p);
	return lookup_zone(guess) != NULL ? guess : NULL;
}

/*
 * ts_zone_offset
 *		Seconds east of UTC at an instant; false for an unknown zone.
 */
bool
ts_zone_offset(const char *zone, int64 utc_seconds, int *offset)
{
	icaltimezone *tz = lookup_zone(zone);
	struct icaltimetype when = icaltime_null_time();
	TsCivil		utc;

	if (tz == NULL || !ts_wall_from_seconds(utc_seconds, &utc))
		return false;
	when.year = utc.year;
	when.month = utc.month;
	when.day = utc.day;
	when.hour = utc.hour;
	when.minute = utc.minute;
	when.second = utc.second;
	when.zone = icaltimezone_get_utc_timezone();
	*offset = icaltimezone_get_utc_offset_of_utc_time(tz, &when, NULL);
	return true;
}

/*
 * ts_zone_to_utc
 *		The instant at which the wall clock of "zone" shows "wall".
 *
 * Asks for the offsets a day before and a day after and tries both: that
 * settles the hours around a change of the clocks by a rule of our own (the
 * one in datetime.h) rather than by what a library happens to do.
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
