/*-------------------------------------------------------------------------
 *
 * icaltime.c
 *	  iCalendar's dates, times and durations <-> our own.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "provider/caldav/icaltime.h"
#include "provider/caldav/tzid.h"

/* No duration is longer than the calendar's years 1 to 9999. */
#define MAX_DURATION_DAYS	INT64CONST(3652059)
#define MAX_DURATION_SECS	(MAX_DURATION_DAYS * TS_SECS_PER_DAY)

/* Two digits or four, with an optional separator before them ('\0': none). */
static bool
take_number(const char **s, char separator, int digits, int *value)
{
	if (separator != '\0' && **s == separator)
		(*s)++;
	*value = 0;
	for (; digits > 0; digits--)
	{
		if (**s < '0' || **s > '9')
			return false;
		*value = *value * 10 + (*(*s)++ - '0');
	}
	return true;
}

/* "173000", "1730"; a leap second is the second before it. */
static bool
take_time_of_day(const char **s, TsCivil *wall)
{
	if (!take_number(s, 'T', 2, &wall->hour) || !take_number(s, ':', 2, &wall->minute))
		return false;
	if (**s == ':' || (**s >= '0' && **s <= '9'))
	{
		if (!take_number(s, ':', 2, &wall->second))
			return false;
	}
	if (**s == '.')				/* no fractions in iCalendar, but seen */
	{
		(*s)++;
		*s += strspn(*s, "0123456789");
	}
	if (wall->hour > 23 || wall->minute > 59 || wall->second > 60)
		return false;
	wall->second = Min(wall->second, 59);
	return true;
}

bool
ts_ical_time_parse(const char *value, TsIcalTime *t)
{
	const char *s = value + strspn(value, " \t");

	memset(t, 0, sizeof(*t));
	if (!take_number(&s, '\0', 4, &t->wall.year) ||
		!take_number(&s, '-', 2, &t->wall.month) ||
		!take_number(&s, '-', 2, &t->wall.day) ||
		!ts_date_is_valid(t->wall.year, t->wall.month, t->wall.day))
		return false;
	t->is_date = *s != 'T';
	if (!t->is_date && !take_time_of_day(&s, &t->wall))
		return false;
	if (!t->is_date && (*s == 'Z' || *s == 'z'))
	{
		t->zone = "UTC";
		s++;
	}
	return s[strspn(s, " \t\r")] == '\0';
}

/* Finds the zone of a time with a TZID; an unknown one leaves it floating. */
static void
resolve_zone(const TsIcalDoc *doc, const char *tzid, TsIcalTime *t)
{
	const char *measured;
	int64		utc;

	t->zone = ts_tzid_zone(doc, tzid);
	if (t->zone != NULL || !ts_tzid_measure(doc, tzid, &t->wall, &utc, &measured))
		return;
	if (measured != NULL)
		t->zone = pstrdup(measured);
	else if (ts_wall_from_seconds(utc, &t->wall))
		t->zone = "UTC";
	t->measured = t->zone != NULL;
}

bool
ts_ical_time_read(const TsIcalDoc *doc, const TsIcalLine *line, TsIcalTime *t)
{
	char	   *type = ts_ical_param(line, "VALUE");
	char	   *tzid = ts_ical_param(line, "TZID");

	if (!ts_ical_time_parse(ts_ical_value(line), t))
		return false;
	if (type != NULL && pg_strcasecmp(type, "DATE") == 0 && !t->is_date)
	{
		t->is_date = true;
		t->zone = NULL;
		t->wall.hour = t->wall.minute = t->wall.second = 0;
	}
	if (!t->is_date && t->zone == NULL && tzid != NULL && *tzid != '\0')
		resolve_zone(doc, tzid, t);
	return true;
}

char *
ts_ical_time_print(const TsIcalTime *t)
{
	const TsCivil *w = &t->wall;

	if (t->is_date)
		return psprintf("%04d%02d%02d", w->year, w->month, w->day);
	return psprintf("%04d%02d%02dT%02d%02d%02d%s", w->year, w->month, w->day,
					w->hour, w->minute, w->second,
					t->zone != NULL && strcmp(t->zone, "UTC") == 0 ? "Z" : "");
}

char *
ts_ical_time_line(const char *name, const TsIcalTime *t, const char *tzid)
{
	if (t->is_date)
		return psprintf("%s;VALUE=DATE:%s", name, ts_ical_time_print(t));
	if (tzid == NULL)
		return psprintf("%s:%s", name, ts_ical_time_print(t));
	return psprintf("%s;TZID=%s:%s", name, ts_ical_param_quote(tzid), ts_ical_time_print(t));
}

bool
ts_ical_time_instant(const TsIcalTime *t, const char *floating_zone, int64 *utc_seconds)
{
	return ts_zone_to_utc(t->zone ? t->zone : floating_zone, &t->wall, utc_seconds);
}

bool
ts_ical_time_shift(TsIcalTime *t, int64 seconds)
{
	return ts_wall_from_seconds(ts_wall_seconds(&t->wall) + seconds, &t->wall);
}

/* Adds "number unit" to a duration; false when it is no unit or too much. */
static bool
add_unit(TsIcalDuration *d, int64 number, char unit)
{
	switch (pg_ascii_toupper((unsigned char) unit))
	{
		case 'W':
			d->days += 7 * number;
			break;
		case 'D':
			d->days += number;
			break;
		case 'H':
			d->seconds += 3600 * number;
			break;
		case 'M':
			d->seconds += 60 * number;
			break;
		case 'S':
			d->seconds += number;
			break;
		default:
			return false;
	}
	return d->days <= MAX_DURATION_DAYS && d->seconds <= MAX_DURATION_SECS;
}

bool
ts_ical_duration_parse(const char *value, TsIcalDuration *d)
{
	const char *s = value + strspn(value, " \t");
	int			sign = *s == '-' ? -1 : 1;
	bool		any = false;

	memset(d, 0, sizeof(*d));
	if (*s == '-' || *s == '+')
		s++;
	if (*s != 'P' && *s != 'p')
		return false;
	for (s++; *s != '\0' && *s != ' ' && *s != '\t';)
	{
		int64		number = 0;

		if (*s == 'T' || *s == 't')
		{
			s++;
			continue;
		}
		if (*s < '0' || *s > '9')
			return false;
		for (; *s >= '0' && *s <= '9'; s++)
		{
			number = number * 10 + (*s - '0');
			if (number > MAX_DURATION_SECS)
				return false;
		}
		if (*s == '\0' || !add_unit(d, number, *s++))
			return false;
		any = true;
	}
	d->days *= sign;
	d->seconds *= sign;
	return any;
}

char *
ts_ical_duration_print(const TsIcalDuration *d)
{
	StringInfoData out;
	int64		rest = Abs(d->seconds);

	initStringInfo(&out);
	appendStringInfo(&out, "%sP", d->days < 0 || d->seconds < 0 ? "-" : "");
	if (d->days != 0 || rest == 0)
		appendStringInfo(&out, INT64_FORMAT "D", Abs(d->days));
	if (rest != 0)
		appendStringInfoChar(&out, 'T');
	if (rest >= 3600)
		appendStringInfo(&out, INT64_FORMAT "H", rest / 3600);
	if (rest % 3600 >= 60)
		appendStringInfo(&out, INT64_FORMAT "M", rest % 3600 / 60);
	if (rest % 60 != 0)
		appendStringInfo(&out, INT64_FORMAT "S", rest % 60);
	return out.data;
}

bool
ts_ical_duration_add(const TsIcalTime *start, const TsIcalDuration *d, TsIcalTime *end)
{
	int64		utc;

	*end = *start;
	if (!ts_ical_time_shift(end, d->days * TS_SECS_PER_DAY))
		return false;
	if (d->seconds == 0)
		return true;
	end->is_date = false;		/* a day and some hours is a time of day */
	if (end->zone == NULL)
		return ts_ical_time_shift(end, d->seconds);
	return ts_zone_to_utc(end->zone, &end->wall, &utc) &&
		ts_zone_from_utc(end->zone, utc + d->seconds, &end->wall);
}

/*
 * ts_ical_duration_between
 *		The duration that leads from start to a later end: whole days by the
 *		calendar and what is left exactly; start's clock counts.
 */
TsIcalDuration
ts_ical_duration_between(const TsIcalTime *start, const TsIcalTime *end)
{
	const char *zone = start->zone ? start->zone : "UTC";
	TsIcalDuration d = {0};
	TsIcalTime	day;
	int64		from;
	int64		to;

	if (!ts_ical_time_instant(start, zone, &from) || !ts_ical_time_instant(end, zone, &to))
		return d;
	d.days = (to - from) / TS_SECS_PER_DAY + 1;
	do
	{
		day = *start;
		d.days--;
		if (!ts_ical_time_shift(&day, d.days * TS_SECS_PER_DAY) ||
			!ts_ical_time_instant(&day, zone, &from))
			return d;
		d.seconds = to - from;
	} while (d.seconds < 0 && d.days > 0);
	return d;
}
