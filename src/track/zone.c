/*-------------------------------------------------------------------------
 *
 * zone.c
 *	  Which time zone names are good: those of the IANA database.
 *
 *-------------------------------------------------------------------------
 */
#include "track/track.h"

#include "pgtime.h"

static bool may_be_posix(const char *name);

/*
 * pg_tzset() also takes POSIX specifications ("FOO-3"), which no calendar
 * understands.  It says nothing about which of the two it found, but answers
 * a file's own spelling, and a specification in capitals.
 */
const char *
ts_zone_name(const char *name)
{
	pg_tz	   *zone;
	const char *spelling;

	if (strncmp(name, "posix/", 6) == 0 || strncmp(name, "right/", 6) == 0)
		return NULL;
	zone = pg_tzset(name);
	if (zone == NULL || !pg_tz_acceptable(zone))
		return NULL;
	spelling = pg_get_timezone_name(zone);
	return may_be_posix(spelling) ? NULL : spelling;
}

/*
 * A specification has digits and no small letters.  Of the IANA names without
 * small letters only these have digits.
 */
static bool
may_be_posix(const char *name)
{
	static const char *const exceptions[] = {
		"EST5EDT", "CST6CDT", "MST7MDT", "PST8PDT", "GMT0", "GMT+0", "GMT-0"
	};

	if (strpbrk(name, "0123456789") == NULL ||
		strpbrk(name, "abcdefghijklmnopqrstuvwxyz") != NULL)
		return false;
	for (int i = 0; i < lengthof(exceptions); i++)
	{
		if (strcmp(name, exceptions[i]) == 0)
			return false;
	}
	return true;
}
