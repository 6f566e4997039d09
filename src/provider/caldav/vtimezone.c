/*-------------------------------------------------------------------------
 *
 * vtimezone.c
 *	  Adding a VTIMEZONE for an IANA zone to a document (RFC 5545, 3.6.5).
 *
 * It says what holds from the year before the task's time on: changes one by
 * one as long as they follow no rule, then the zone's rule as two yearly
 * observances.  That is how other clients write it too, in ten lines rather
 * than the zone's whole history.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "provider/caldav/icaltime.h"
#include "provider/caldav/tzid.h"
#include "task/tzif.h"

#define MAX_SINGLE_CHANGES	24	/* of a zone that never comes to a rule */
#define MAX_LOOKED_AT		100 /* VTIMEZONEs of a document */

/* Adds lines to a document before one of its lines. */
typedef struct Writer
{
	TsIcalDoc  *doc;
	TsIcalLine *where;
} Writer;

static void
put(Writer *writer, char *line)
{
	ts_ical_add_before(writer->doc, writer->where, line);
}

/* Can a TZID be said in a parameter as it stands?  (RFC 5545 3.1: no control, no quote) */
static bool
is_sayable(const char *tzid)
{
	return strchr(tzid, '"') == NULL && strcmp(ts_ical_clean(tzid, strlen(tzid)), tzid) == 0;
}

char *
ts_vtimezone_find(const TsIcalDoc *doc, const char *zone)
{
	int			left = MAX_LOOKED_AT;

	for (TsIcalComponent *cal = doc->root.first_child; cal; cal = cal->next_sibling)
	{
		for (TsIcalComponent *comp = cal->first_child; comp; comp = comp->next_sibling)
		{
			TsIcalLine *line = NULL;
			char	   *found = NULL;

			if (strcmp(comp->name, "VTIMEZONE") == 0 && left-- > 0)
				line = ts_ical_line(comp, "TZID", NULL);
			if (line != NULL)
				found = ts_tzid_zone(doc, ts_ical_value(line));
			if (found != NULL && strcmp(found, zone) == 0 && is_sayable(ts_ical_value(line)))
				return pstrdup(ts_ical_value(line));
		}
	}
	return NULL;
}

static char *
offset_text(int offset)
{
	int			rest = abs(offset);
	char	   *text = psprintf("%c%02d%02d", offset < 0 ? '-' : '+',
								rest / 3600, rest / 60 % 60);

	return rest % 60 ? psprintf("%s%02d", text, rest % 60) : text;
}

/* One observance: from an instant on, with an RRULE or once. */
static void
put_observance(Writer *writer, const TsZoneType *from, const TsZoneType *to,
			   int64 instant, const char *rule)
{
	const char *kind = to->is_dst ? "DAYLIGHT" : "STANDARD";
	TsIcalTime	onset = {0};

	if (!ts_wall_from_seconds(instant + from->offset, &onset.wall))
		return;
	put(writer, psprintf("BEGIN:%s", kind));
	put(writer, psprintf("DTSTART:%s", ts_ical_time_print(&onset)));
	put(writer, psprintf("TZOFFSETFROM:%s", offset_text(from->offset)));
	put(writer, psprintf("TZOFFSETTO:%s", offset_text(to->offset)));
	put(writer, psprintf("TZNAME:%s", to->name));
	if (rule != NULL)
		put(writer, psprintf("RRULE:%s", rule));
	put(writer, psprintf("END:%s", kind));
}

/* First day of the month of the seven among which a rule's weekday falls. */
static int
first_of_week(const TsZoneDay *day)
{
	static const int month_days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

	return day->week == 5 ? month_days[day->month - 1] - 6 : 7 * day->week - 6;
}

/*
 * A rule's day as an RRULE, or NULL.  POSIX allows times before midnight and
 * after the day's end, which move the day: "the Saturday of the 24th to the
 * 30th" where the rule says an hour before the last Sunday.
 */
static char *
rule_text(const TsZoneDay *day)
{
	static const char *const weekdays[] = {"SU", "MO", "TU", "WE", "TH", "FR", "SA"};
	int			moved = (day->time + 7 * TS_SECS_PER_DAY) / TS_SECS_PER_DAY - 7;
	int			first = first_of_week(day) + moved;
	const char *weekday = weekdays[(day->day + moved + 14) % 7];
	StringInfoData days;

	if (day->kind != 'M')
		return NULL;
	if (moved == 0)
		return psprintf("FREQ=YEARLY;BYMONTH=%d;BYDAY=%d%s", day->month,
						day->week == 5 ? -1 : day->week, weekday);
	if (first < 1 || first + 6 > 30)
		return NULL;
	initStringInfo(&days);
	for (int d = first; d < first + 7; d++)
		appendStringInfo(&days, "%s%d", d > first ? "," : "", d);
	return psprintf("FREQ=YEARLY;BYMONTH=%d;BYMONTHDAY=%s;BYDAY=%s", day->month,
					days.data, weekday);
}

/* Do the zone's changes of a year fall on the rule's days? */
static bool
year_follows_rule(const TsZone *zone, int year)
{
	int64		begins = ts_tzif_rule_day(zone, year, true);
	int64		ends = ts_tzif_rule_day(zone, year, false);

	return ts_tzif_type_at(zone, begins)->offset == zone->daylight.offset &&
		ts_tzif_type_at(zone, begins - 1)->offset == zone->standard.offset &&
		ts_tzif_type_at(zone, ends)->offset == zone->standard.offset &&
		ts_tzif_type_at(zone, ends - 1)->offset == zone->daylight.offset;
}

/* The first year from "year" on after which the rule always holds. */
static int
first_ruled_year(const TsZone *zone, int year)
{
	TsCivil		last = {.year = year};
	int			ruled;

	if (zone->nchanges > 0)
		ts_wall_from_seconds(zone->change_at[zone->nchanges - 1], &last);
	for (ruled = Max(last.year, year) + 1; ruled > year; ruled--)
	{
		if (!year_follows_rule(zone, ruled - 1))
			break;
	}
	return ruled;
}

/* The changes from "since" up to "until", each for itself. */
static void
put_changes(Writer *writer, const TsZone *zone, int64 since, int64 until)
{
	int			n = 0;

	for (int i = 0; i < zone->nchanges && n < MAX_SINGLE_CHANGES; i++)
	{
		int64		at = zone->change_at[i];

		if (at < since || at >= until)
			continue;
		put_observance(writer, ts_tzif_type_at(zone, at - 1), ts_tzif_type_at(zone, at),
					   at, NULL);
		n++;
	}
}

static void
put_rule(Writer *writer, const TsZone *zone, int year, const char *begins, const char *ends)
{
	put_observance(writer, &zone->standard, &zone->daylight,
				   ts_tzif_rule_day(zone, year, true), begins);
	put_observance(writer, &zone->daylight, &zone->standard,
				   ts_tzif_rule_day(zone, year, false), ends);
}

void
ts_vtimezone_add(TsIcalDoc *doc, const char *name, const TsCivil *wall)
{
	const TsZone *zone = ts_tzif_load(name);
	TsIcalComponent *cal = doc->root.first_child;
	Writer		writer = {doc, cal->first_child ? cal->first_child->begin : cal->end};
	int			year = Max(wall->year - 1, 2);
	int64		since = ts_days_from_civil(year, 1, 1) * TS_SECS_PER_DAY;
	char	   *begins;
	char	   *ends;
	const TsZoneType *ground;

	if (zone == NULL || strcmp(cal->name, "VCALENDAR") != 0)
		return;
	begins = zone->has_dst ? rule_text(&zone->dst_begins) : NULL;
	ends = zone->has_dst ? rule_text(&zone->dst_ends) : NULL;
	ground = ts_tzif_type_at(zone, since);

	put(&writer, "BEGIN:VTIMEZONE");
	put(&writer, psprintf("TZID:%s", name));
	put_observance(&writer, ground, ground, since - TS_SECS_PER_DAY, NULL);
	if (begins != NULL && ends != NULL)
	{
		int			ruled = first_ruled_year(zone, year);

		put_changes(&writer, zone, since,
					ts_days_from_civil(ruled, 1, 1) * TS_SECS_PER_DAY);
		put_rule(&writer, zone, ruled, begins, ends);
	}
	else
		put_changes(&writer, zone, since, PG_INT64_MAX);
	put(&writer, "END:VTIMEZONE");
}
