/*-------------------------------------------------------------------------
 *
 * tzid.c
 *	  What an iCalendar TZID stands for.
 *
 * libical evaluates VTIMEZONEs, but it expands their rules one by one up to
 * the year 2582, so it is only handed a VTIMEZONE rebuilt from the few lines
 * that matter, with yearly rules and not too many of them.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <libical/ical.h>

#include "provider/caldav/tzid.h"
#include "task/rrule.h"

#define MAX_OBSERVANCES		200
#define MAX_RULES			32
#define PROBES_A_YEAR		24	/* half months: finer than any change of clocks */

/* The VTIMEZONE component of this TZID, in any VCALENDAR, or NULL. */
static TsIcalComponent *
find_vtimezone(const TsIcalDoc *doc, const char *tzid)
{
	for (TsIcalComponent *cal = doc->root.first_child; cal; cal = cal->next_sibling)
	{
		for (TsIcalComponent *comp = cal->first_child; comp; comp = comp->next_sibling)
		{
			TsIcalLine *line;

			if (strcmp(comp->name, "VTIMEZONE") != 0)
				continue;
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
	char	   *zone = ts_zone_canonical(tzid);

	for (const char *p = strchr(tzid, '/'); zone == NULL && p != NULL; p = strchr(p + 1, '/'))
		zone = ts_zone_canonical(p + 1);
	return zone;
}

static char *
zone_by_name(const char *name)
{
	const char *windows = ts_windows_zone(name);

	return windows ? pstrdup(windows) : zone_by_suffix(name);
}

char *
ts_tzid_zone(const TsIcalDoc *doc, const char *tzid)
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

/*
 * Appends a TZOFFSET line.  Synology writes seconds-precise offsets without
 * their hours: +5730 for +005730.
 */
static void
append_offset(StringInfo out, const TsIcalLine *line)
{
	const char *value = ts_ical_value(line);
	const char *digits = value + strspn(value, "+-");
	bool		no_hours = strlen(digits) == 4 && atoi(digits) / 100 > 15;

	appendStringInfo(out, "%.*s:%.*s%s%s\r\n", line->name_len, line->text,
					 (int) (digits - value), value, no_hours ? "00" : "", digits);
}

/* Only yearly rules without times of day are ever needed, or safe to expand. */
static bool
is_zone_rule(const char *value)
{
	char	   *rule = ts_rrule_canonical(value);

	return rule != NULL && strstr(rule, "FREQ=YEARLY") != NULL &&
		strstr(rule, "BYHOUR") == NULL && strstr(rule, "BYMINUTE") == NULL &&
		strstr(rule, "BYSECOND") == NULL && strstr(rule, "RSCALE") == NULL;
}

/* Appends one STANDARD or DAYLIGHT; false when it is not to be trusted. */
static bool
append_observance(StringInfo out, const TsIcalComponent *comp, int *nrules)
{
	static const char *const needed[] = {"DTSTART", "TZOFFSETFROM", "TZOFFSETTO"};
	TsIcalLine *line;

	appendStringInfo(out, "BEGIN:%s\r\n", comp->name);
	for (int i = 0; i < lengthof(needed); i++)
	{
		line = ts_ical_line(comp, needed[i], NULL);
		if (line == NULL)
			return false;
		if (i == 0)
			appendStringInfo(out, "DTSTART:%s\r\n", ts_ical_value(line));
		else
			append_offset(out, line);
	}
	for (line = NULL; (line = ts_ical_line(comp, "RRULE", line)) != NULL;)
	{
		if (++*nrules > MAX_RULES || !is_zone_rule(ts_ical_value(line)))
			return false;
		appendStringInfo(out, "RRULE:%s\r\n", ts_ical_value(line));
	}
	for (line = NULL; (line = ts_ical_line(comp, "RDATE", line)) != NULL;)
		appendStringInfo(out, "%s\r\n", line->text);
	appendStringInfo(out, "END:%s\r\n", comp->name);
	return true;
}

/* The VTIMEZONE as text for libical, or NULL. */
static char *
rebuild_vtimezone(const TsIcalComponent *comp)
{
	StringInfoData out;
	int			nobservances = 0;
	int			nrules = 0;

	initStringInfo(&out);
	appendStringInfoString(&out, "BEGIN:VTIMEZONE\r\nTZID:x\r\n");
	for (TsIcalComponent *c = comp->first_child; c != NULL; c = c->next_sibling)
	{
		if (strcmp(c->name, "STANDARD") != 0 && strcmp(c->name, "DAYLIGHT") != 0)
			continue;
		if (++nobservances > MAX_OBSERVANCES || !append_observance(&out, c, &nrules))
			return NULL;
	}
	appendStringInfoString(&out, "END:VTIMEZONE\r\n");
	return nobservances > 0 ? out.data : NULL;
}

static struct icaltimetype
wall_to_libical(const TsCivil *wall)
{
	struct icaltimetype t = icaltime_null_time();

	t.year = wall->year;
	t.month = wall->month;
	t.day = wall->day;
	t.hour = wall->hour;
	t.minute = wall->minute;
	t.second = wall->second;
	return t;
}

/* The n-th probe of a year: the 1st and the 15th of each month at noon. */
static TsCivil
probe_time(int year, int n)
{
	return (TsCivil) {.year = year,.month = n / 2 + 1,.day = n % 2 ? 15 : 1,.hour = 12};
}

/*
 * Offsets of a VTIMEZONE at "wall" (the last element) and at the probes of its
 * year.  Allocates nothing while libical's objects live.
 */
static bool
measure_offsets(const char *vtimezone, const TsCivil *wall, int offsets[PROBES_A_YEAR + 1])
{
	icalcomponent *comp;
	icaltimezone *zone;
	bool		ok;

	icalerror_set_errors_are_fatal(0);	/* bad input is no reason to abort() */
	comp = icalcomponent_new_from_string(vtimezone);
	if (comp == NULL)
		return false;
	zone = icaltimezone_new();
	ok = icaltimezone_set_component(zone, comp) != 0;
	for (int i = 0; ok && i <= PROBES_A_YEAR; i++)
	{
		TsCivil		at = i < PROBES_A_YEAR ? probe_time(wall->year, i) : *wall;
		struct icaltimetype t = wall_to_libical(&at);

		offsets[i] = icaltimezone_get_utc_offset(zone, &t, NULL);
	}
	if (!ok)
		icalcomponent_free(comp);
	icaltimezone_free(zone, 1);
	return ok;
}

/* Does an IANA zone keep these offsets at the same wall-clock times? */
static bool
zone_agrees(const char *zone, const TsCivil *wall, const int offsets[PROBES_A_YEAR + 1])
{
	for (int i = PROBES_A_YEAR; i >= 0; i--)
	{
		TsCivil		at = i < PROBES_A_YEAR ? probe_time(wall->year, i) : *wall;
		int64		utc;

		if (!ts_zone_to_utc(zone, &at, &utc) ||
			ts_wall_seconds(&at) - utc != offsets[i])
			return false;
	}
	return true;
}

bool
ts_tzid_measure(const TsIcalDoc *doc, const char *tzid, const TsCivil *wall,
				int64 *utc_seconds, const char **zone)
{
	TsIcalComponent *comp = find_vtimezone(doc, tzid);
	char	   *vtimezone = comp ? rebuild_vtimezone(comp) : NULL;
	int			offsets[PROBES_A_YEAR + 1];

	if (vtimezone == NULL || !measure_offsets(vtimezone, wall, offsets))
		return false;
	*utc_seconds = ts_wall_seconds(wall) - offsets[PROBES_A_YEAR];
	for (int i = 0; (*zone = ts_windows_zone_nth(i)) != NULL; i++)
	{
		if (zone_agrees(*zone, wall, offsets))
			break;
	}
	return true;
}
