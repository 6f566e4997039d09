/*-------------------------------------------------------------------------
 *
 * vtimezone.c
 *	  Adding a VTIMEZONE for an IANA zone to a document (RFC 5545, 3.6.5).
 *
 * libical writes a zone's whole history, back to the 1880s.  A task needs the
 * rules of its own time and those to come, so only these are taken over, with
 * the last rule before them as the ground they stand on.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <libical/ical.h>

#include "provider/caldav/tzid.h"

char *
ts_vtimezone_find(const TsIcalDoc *doc, const char *zone)
{
	for (TsIcalComponent *cal = doc->root.first_child; cal; cal = cal->next_sibling)
	{
		for (TsIcalComponent *comp = cal->first_child; comp; comp = comp->next_sibling)
		{
			TsIcalLine *line = strcmp(comp->name, "VTIMEZONE") == 0 ?
			ts_ical_line(comp, "TZID", NULL) : NULL;
			char	   *found = line ? ts_tzid_zone(doc, ts_ical_value(line)) : NULL;

			if (found != NULL && strcmp(found, zone) == 0)
				return pstrdup(ts_ical_value(line));
		}
	}
	return NULL;
}

/* libical's own text of a zone, copied; NULL when it has none. */
static char *
library_text(const char *zone)
{
	icaltimezone *tz;
	icalcomponent *comp;
	const char *text = NULL;

	ts_libical_setup();
	tz = icaltimezone_get_builtin_timezone(zone);
	comp = tz ? icaltimezone_get_component(tz) : NULL;
	if (comp != NULL)
		text = icalcomponent_as_ical_string(comp);	/* in libical's ring of buffers */
	return text ? pstrdup(text) : NULL;
}

/* The day (YYYYMMDD) on which an observance begins for the last time. */
static int
last_onset(const TsIcalComponent *observance)
{
	TsIcalLine *line = ts_ical_line(observance, "RRULE", NULL);
	const char *until = line ? strstr(ts_ical_value(line), "UNTIL=") : NULL;
	int			last = 0;

	if (line != NULL)
		return until ? atoi(until + strlen("UNTIL=")) : PG_INT32_MAX;
	line = ts_ical_line(observance, "DTSTART", NULL);
	if (line != NULL)
		last = atoi(ts_ical_value(line));
	for (line = NULL; (line = ts_ical_line(observance, "RDATE", line)) != NULL;)
		last = Max(last, atoi(ts_ical_value(line)));
	return last;
}

static void
append_component(StringInfo out, const TsIcalComponent *comp)
{
	for (const TsIcalLine *line = comp->begin; line != comp->end->next; line = line->next)
		appendStringInfo(out, "%s\n", line->text);
}

/* The lines of a short VTIMEZONE, each ended by an LF, or NULL. */
static char *
short_vtimezone(const char *zone, int since)
{
	StringInfoData out;
	TsError		err = {{0}};
	char	   *text = library_text(zone);
	TsIcalDoc  *doc = text ? ts_ical_parse(text, strlen(text), &err) : NULL;
	int			ground = 0;

	if (doc == NULL)
		return NULL;
	for (TsIcalComponent *c = doc->root.first_child->first_child; c; c = c->next_sibling)
	{
		int			onset = last_onset(c);

		if (onset < since && onset > ground)
			ground = onset;
	}
	initStringInfo(&out);
	appendStringInfo(&out, "BEGIN:VTIMEZONE\nTZID:%s\n", zone);
	for (TsIcalComponent *c = doc->root.first_child->first_child; c; c = c->next_sibling)
	{
		int			onset = last_onset(c);

		if (onset >= since || onset == ground)
			append_component(&out, c);
	}
	appendStringInfoString(&out, "END:VTIMEZONE\n");
	return out.data;
}

/* Where the first component of the first VCALENDAR begins; NULL without one. */
static TsIcalLine *
first_component(const TsIcalDoc *doc)
{
	TsIcalComponent *cal = doc->root.first_child;

	if (strcmp(cal->name, "VCALENDAR") != 0)
		return NULL;
	return cal->first_child ? cal->first_child->begin : cal->end;
}

void
ts_vtimezone_add(TsIcalDoc *doc, const char *zone, const TsCivil *wall)
{
	int			since = (wall->year - 1) * 10000 + wall->month * 100 + wall->day;
	TsIcalLine *where = first_component(doc);
	char	   *text = where ? short_vtimezone(zone, since) : NULL;

	for (char *line = text; line != NULL && *line != '\0';)
	{
		char	   *end = strchr(line, '\n');

		*end = '\0';
		ts_ical_add_before(doc, where, line);
		line = end + 1;
	}
}
