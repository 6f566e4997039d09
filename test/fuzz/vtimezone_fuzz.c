/*-------------------------------------------------------------------------
 *
 * vtimezone_fuzz.c
 *	  VTIMEZONEs: read, measured, and one of ours added.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fuzz.h"
#include "provider/caldav/icaltime.h"
#include "provider/caldav/tzid.h"

static const TsCivil moments[] = {
	{1, 1, 1, 0, 0, 0}, {1970, 1, 1, 0, 0, 0}, {2026, 3, 29, 2, 30, 0}, {2026, 7, 1, 12, 0, 0},
	{2026, 10, 25, 2, 30, 0}, {2028, 2, 29, 23, 59, 59}, {9999, 12, 31, 23, 59, 59}
};

static void
check_component(const TsIcalDoc *doc, const TsIcalComponent *comp)
{
	TsIcalLine *tzid = ts_ical_line(comp, "TZID", NULL);
	TsVtimezone zone;

	if (!ts_vtimezone_read(comp, &zone))
		return;
	fuzz_check(zone.n > 0, "%d", zone.n);
	for (int i = 0; i < lengthof(moments); i++)
	{
		int			offset = ts_vtimezone_offset(&zone, &moments[i]);

		fuzz_check(Abs(offset) < TS_SECS_PER_DAY, "%d", offset);
	}
	for (int i = 0; tzid != NULL && i < 2; i++)
	{
		const char *name = NULL;
		int64		utc;

		ts_tzid_zone(doc, ts_ical_value(tzid));
		if (ts_tzid_measure(doc, ts_ical_value(tzid), &moments[2 + i], &utc, &name))
			fuzz_check(Abs(utc - ts_wall_seconds(&moments[2 + i])) < TS_SECS_PER_DAY, "%d", i);
	}
}

/* A VTIMEZONE of ours keeps the zone's time, from the year before on. */
static void
check_added(TsIcalDoc *doc, const char *name, const TsCivil *wall)
{
	TsError		err = {{0}};
	TsVtimezone zone;
	TsIcalDoc  *again;
	char	   *text;
	int64		utc;

	ts_vtimezone_add(doc, name, wall);
	text = ts_ical_print(doc);
	again = ts_ical_parse(text, strlen(text), &err);
	fuzz_check(again != NULL, "%s\n%s", err.message, text);
	if (strcmp(again->root.first_child->name, "VCALENDAR") != 0)
		return;
	fuzz_check(ts_vtimezone_read(again->root.first_child->first_child, &zone), "%s", text);
	fuzz_check(ts_zone_to_utc(name, wall, &utc), "%s", name);
	fuzz_check(ts_vtimezone_offset(&zone, wall) == ts_wall_seconds(wall) - utc,
			   "%s: %d, not " INT64_FORMAT, name, ts_vtimezone_offset(&zone, wall),
			   ts_wall_seconds(wall) - utc);
}

void
fuzz_one(const char *data, size_t len)
{
	TsError		err = {{0}};
	TsIcalDoc  *doc = ts_ical_parse(data, len, &err);
	TsCivil		wall = {.year = 2026,.month = 1 + len % 12,.day = 1 + len / 12 % 28,.hour = 12};

	if (doc == NULL)
		return;
	for (TsIcalComponent *cal = doc->root.first_child; cal; cal = cal->next_sibling)
	{
		for (TsIcalComponent *comp = cal->first_child; comp; comp = comp->next_sibling)
			check_component(doc, comp);
	}
	ts_vtimezone_find(doc, "Europe/Berlin");
	check_added(doc, fuzz_zone(len % 11), &wall);
}
