/*-------------------------------------------------------------------------
 *
 * tzid.c
 *	  What an iCalendar TZID stands for.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "provider/caldav/tzid.h"

#define PROBES_A_YEAR		24	/* half months: finer than any change of clocks */
#define MAX_SEGMENTS		3	/* America/Argentina/Buenos_Aires */

/* Bounds for documents made to take long, each line with a TZID of its own. */
#define MAX_LOOKUPS			10000
#define MAX_VTIMEZONES		1000

/* The VTIMEZONE component of this TZID, in any VCALENDAR, or NULL. */
static TsIcalComponent *
find_vtimezone(const TsIcalDoc *doc, const char *tzid)
{
	int			left = MAX_VTIMEZONES;

	for (TsIcalComponent *cal = doc->root.first_child; cal; cal = cal->next_sibling)
	{
		for (TsIcalComponent *comp = cal->first_child; comp && left > 0; comp = comp->next_sibling)
		{
			TsIcalLine *line;

			if (strcmp(comp->name, "VTIMEZONE") != 0)
				continue;
			left--;
			line = ts_ical_line(comp, "TZID", NULL);
			if (line != NULL && strcmp(ts_ical_value(line), tzid) == 0)
				return comp;
		}
	}
	return NULL;
}

/*
 * The IANA name itself or behind prefixes ("/freeassociation.sourceforge.net/
 * Europe/Berlin", "/citadel.org/20210210_1/Europe/Berlin"): the longest end of
 * the text that is a zone's name.
 */
static char *
zone_by_suffix(const char *tzid)
{
	const char *start = tzid + strlen(tzid);
	int			segments = 1;
	char	   *zone;

	while (start > tzid && (start[-1] != '/' || segments++ < MAX_SEGMENTS))
		start--;
	zone = ts_zone_canonical(start);
	for (const char *p = strchr(start, '/'); zone == NULL && p != NULL; p = strchr(p + 1, '/'))
		zone = ts_zone_canonical(p + 1);
	return zone;
}

static char *
zone_by_name(const char *name)
{
	const char *windows = ts_windows_zone(name);

	return windows ? pstrdup(windows) : zone_by_suffix(name);
}

static char *
find_zone(const TsIcalDoc *doc, const char *tzid)
{
	static const char *const hints[] = {
		"TZID-ALIAS-OF", "X-LIC-LOCATION", "X-TZINFO", NULL
	};
	char	   *zone = zone_by_name(tzid);
	TsIcalComponent *comp = zone ? NULL : find_vtimezone(doc, tzid);

	for (const char *const *hint = hints; comp != NULL && zone == NULL && *hint; hint++)
	{
		TsIcalLine *line = ts_ical_line(comp, *hint, NULL);

		if (line != NULL)
			zone = zone_by_name(ts_ical_value(line));
	}
	return zone;
}

/* Looks a TZID up, unless it is the one that was looked up last. */
static void
remember(const TsIcalDoc *doc, const char *tzid)
{
	TsIcalZoneMemo *memo = doc->zones;
	TsIcalComponent *comp;
	int			lookups = memo->lookups + 1;

	if (memo->tzid != NULL && strcmp(memo->tzid, tzid) == 0)
		return;
	memset(memo, 0, sizeof(*memo));
	memo->lookups = lookups;
	memo->tzid = pstrdup(tzid);
	if (lookups > MAX_LOOKUPS)
		return;
	memo->name = find_zone(doc, tzid);
	comp = memo->name ? NULL : find_vtimezone(doc, tzid);
	if (comp != NULL)
	{
		memo->vtimezone = palloc(sizeof(TsVtimezone));
		if (!ts_vtimezone_read(comp, memo->vtimezone))
			memo->vtimezone = NULL;
	}
}

char *
ts_tzid_zone(const TsIcalDoc *doc, const char *tzid)
{
	remember(doc, tzid);
	return doc->zones->name ? pstrdup(doc->zones->name) : NULL;
}

/* The n-th probe of a year: the 1st and the 15th of each month at noon. */
static TsCivil
probe_time(int year, int n)
{
	return (TsCivil) {.year = year,.month = n / 2 + 1,.day = n % 2 ? 15 : 1,.hour = 12};
}

/* Does an IANA zone keep a VTIMEZONE's time when the clock shows "wall"? */
static bool
agrees_at(const char *zone, const TsVtimezone *vtimezone, const TsCivil *wall)
{
	int64		utc;

	return ts_zone_to_utc(zone, wall, &utc) &&
		ts_wall_seconds(wall) - utc == ts_vtimezone_offset(vtimezone, wall);
}

/* ... and throughout that year? */
static bool
agrees_in_year(const char *zone, const TsVtimezone *vtimezone, const TsCivil *wall)
{
	if (!agrees_at(zone, vtimezone, wall))
		return false;
	for (int i = 0; i < PROBES_A_YEAR; i++)
	{
		TsCivil		at = probe_time(wall->year, i);

		if (!agrees_at(zone, vtimezone, &at))
			return false;
	}
	return true;
}

bool
ts_tzid_measure(const TsIcalDoc *doc, const char *tzid, const TsCivil *wall,
				int64 *utc_seconds, const char **zone)
{
	TsIcalZoneMemo *memo = doc->zones;

	remember(doc, tzid);
	if (memo->vtimezone == NULL)
		return false;
	*utc_seconds = ts_wall_seconds(wall) - ts_vtimezone_offset(memo->vtimezone, wall);
	*zone = memo->agreeing;
	if (memo->year == wall->year && *zone != NULL && agrees_at(*zone, memo->vtimezone, wall))
		return true;
	for (int i = 0; (*zone = ts_windows_zone_nth(i)) != NULL; i++)
	{
		if (agrees_in_year(*zone, memo->vtimezone, wall))
			break;
	}
	memo->year = wall->year;
	memo->agreeing = *zone;
	return true;
}
