/*-------------------------------------------------------------------------
 *
 * vtimezone_read.c
 *	  What a VTIMEZONE says: the offset at a wall-clock time.
 *
 * Only the yearly rules that time zones have are understood: a day of a month,
 * by its number, by weekday, or by both.  A general expansion (libical's runs
 * from 1601, where Outlook's zones begin, to 2582) takes longer than a whole
 * list of tasks does here; and it is exposed to rules that never end.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "provider/caldav/icaltime.h"
#include "provider/caldav/tzid.h"

#define MAX_OBSERVANCES		500
#define MAX_ONSETS			2000	/* RDATEs, of all observances together */

/* A rule's day in each year. */
typedef struct YearlyRule
{
	int			month;
	int			weekday;		/* 0 = Sunday; -1: any */
	int			nth;			/* 1 first, -1 last; 0: any that is in "days" */
	uint32		days;			/* bit per day of the month; 0: any */
	bool		has_until;
	bool		until_is_utc;
	int64		until;			/* seconds */
} YearlyRule;

struct TsObservance
{
	int			from;			/* offsets in seconds east of UTC */
	int			to;
	TsCivil		first;			/* DTSTART, by the clock before the change */
	bool		has_rule;
	YearlyRule	rule;
	int64	   *onsets;			/* DTSTART and RDATEs, in wall-clock seconds */
	int			nonsets;
};

/*
 * "+0100", "-003000"; Synology writes offsets with seconds without their
 * hours: "+5730" for "+005730".
 */
static bool
parse_offset(const TsIcalLine *line, int *offset)
{
	const char *s = line ? ts_ical_value(line) : "";
	int			sign = *s == '-' ? -1 : 1;
	char		digits[8];
	int			value;

	s += strspn(s, "+- ");
	strlcpy(digits, s, sizeof(digits));
	digits[strspn(digits, "0123456789")] = '\0';
	value = atoi(digits);
	if (strlen(digits) == 4 && value / 100 > 15)
		*offset = value / 100 * 60 + value % 100;
	else if (strlen(digits) == 4)
		*offset = value / 100 * 3600 + value % 100 * 60;
	else if (strlen(digits) == 6)
		*offset = value / 10000 * 3600 + value / 100 % 100 * 60 + value % 100;
	else
		return false;
	*offset *= sign;
	return abs(*offset) < TS_SECS_PER_DAY;
}

/* "SU", "2SU", "-1SU" */
static bool
parse_weekday(const char *s, YearlyRule *rule)
{
	static const char *const names[] = {"SU", "MO", "TU", "WE", "TH", "FR", "SA"};

	rule->nth = strtol(s, unconstify(char **, &s), 10);
	for (rule->weekday = 0; rule->weekday < 7; rule->weekday++)
	{
		if (strcmp(s, names[rule->weekday]) == 0)
			return rule->nth >= -5 && rule->nth <= 5;
	}
	return false;
}

/* "8,9,10" */
static bool
parse_days(const char *s, YearlyRule *rule)
{
	while (*s != '\0')
	{
		long		day = strtol(s, unconstify(char **, &s), 10);

		if (day < 1 || day > 31)
			return false;
		rule->days |= (uint32) 1 << day;
		if (*s == ',')
			s++;
		else if (*s != '\0')
			return false;
	}
	return true;
}

static bool
parse_part(const char *name, const char *value, YearlyRule *rule)
{
	TsIcalTime	until;

	if (strcmp(name, "FREQ") == 0)
		return strcmp(value, "YEARLY") == 0;
	if (strcmp(name, "BYMONTH") == 0)
	{
		rule->month = atoi(value);
		return rule->month >= 1 && rule->month <= 12;
	}
	if (strcmp(name, "BYDAY") == 0)
		return parse_weekday(value, rule);
	if (strcmp(name, "BYMONTHDAY") == 0)
		return parse_days(value, rule);
	if (strcmp(name, "UNTIL") == 0)
	{
		if (!ts_ical_time_parse(value, &until))
			return false;
		rule->has_until = true;
		rule->until_is_utc = until.zone != NULL;
		rule->until = ts_wall_seconds(&until.wall) + (until.is_date ? TS_SECS_PER_DAY - 1 : 0);
		return true;
	}
	/* the others must not change what a yearly rule means */
	return strcmp(name, "WKST") == 0 ||
		(strcmp(name, "INTERVAL") == 0 && strcmp(value, "1") == 0);
}

/* A rule whose day is not said falls on DTSTART's. */
static bool
parse_rule(const char *text, const TsCivil *first, YearlyRule *rule)
{
	char	   *copy = pstrdup(text);

	memset(rule, 0, sizeof(*rule));
	rule->weekday = -1;
	rule->month = first->month;
	for (char *p = copy; *p; p++)
		*p = pg_ascii_toupper((unsigned char) *p);
	for (char *part = strtok(copy, "; "); part != NULL; part = strtok(NULL, "; "))
	{
		char	   *value = strchr(part, '=');

		if (value == NULL)
			return false;
		*value++ = '\0';
		if (!parse_part(part, value, rule))
			return false;
	}
	if (rule->weekday < 0 && rule->days == 0)
		rule->days = (uint32) 1 << first->day;
	return true;
}

/* Is a day of the rule's month the rule's day? */
static bool
is_rule_day(const YearlyRule *rule, int year, int day)
{
	int			weekday = (ts_days_from_civil(year, rule->month, day) % 7 + 11) % 7;

	if (rule->days != 0 && (rule->days & ((uint32) 1 << day)) == 0)
		return false;
	if (rule->weekday < 0)
		return true;
	if (weekday != rule->weekday)
		return false;
	if (rule->nth > 0)
		return (day - 1) / 7 + 1 == rule->nth;
	if (rule->nth < 0)
		return ts_date_is_valid(year, rule->month, day + 7 * (-rule->nth - 1)) &&
			!ts_date_is_valid(year, rule->month, day - 7 * rule->nth);
	return true;
}

/* The rule's onset in a year, in wall-clock seconds; false when there is none. */
static bool
onset_in_year(const TsObservance *obs, int year, int64 *onset)
{
	for (int day = 1; ts_date_is_valid(year, obs->rule.month, day); day++)
	{
		TsCivil		at = obs->first;

		if (!is_rule_day(&obs->rule, year, day))
			continue;
		at.year = year;
		at.month = obs->rule.month;
		at.day = day;
		*onset = ts_wall_seconds(&at);
		return *onset >= ts_wall_seconds(&obs->first) &&
			(!obs->rule.has_until ||
			 *onset - (obs->rule.until_is_utc ? obs->from : 0) <= obs->rule.until);
	}
	return false;
}

/* How many RDATEs there are, in lines of comma-separated lists. */
static int
count_rdates(const TsIcalComponent *comp)
{
	TsIcalLine *line = NULL;
	int			n = 0;

	while ((line = ts_ical_line(comp, "RDATE", line)) != NULL)
	{
		n++;
		for (const char *p = ts_ical_value(line); *p; p++)
			n += *p == ',';
	}
	return n;
}

/* DTSTART and the RDATEs. */
static bool
read_onsets(const TsIcalComponent *comp, TsObservance *obs, int *total)
{
	int			nrdates = count_rdates(comp);
	TsIcalLine *line = NULL;
	TsIcalTime	t;

	*total += nrdates;
	if (*total > MAX_ONSETS)
		return false;
	obs->onsets = palloc((nrdates + 1) * sizeof(int64));
	obs->onsets[obs->nonsets++] = ts_wall_seconds(&obs->first);
	while ((line = ts_ical_line(comp, "RDATE", line)) != NULL)
	{
		char	   *list = pstrdup(ts_ical_value(line));

		for (char *one = strtok(list, ","); one != NULL; one = strtok(NULL, ","))
		{
			if (!ts_ical_time_parse(one, &t))
				return false;
			obs->onsets[obs->nonsets++] = ts_wall_seconds(&t.wall);
		}
	}
	return true;
}

static bool
read_observance(const TsIcalComponent *comp, TsObservance *obs, int *total)
{
	TsIcalLine *start = ts_ical_line(comp, "DTSTART", NULL);
	TsIcalLine *rule = ts_ical_line(comp, "RRULE", NULL);
	TsIcalTime	t;

	memset(obs, 0, sizeof(*obs));
	if (start == NULL || !ts_ical_time_parse(ts_ical_value(start), &t) ||
		!parse_offset(ts_ical_line(comp, "TZOFFSETFROM", NULL), &obs->from) ||
		!parse_offset(ts_ical_line(comp, "TZOFFSETTO", NULL), &obs->to))
		return false;
	obs->first = t.wall;
	obs->has_rule = rule != NULL;
	if (obs->has_rule && !parse_rule(ts_ical_value(rule), &obs->first, &obs->rule))
		return false;
	return read_onsets(comp, obs, total);
}

bool
ts_vtimezone_read(const TsIcalComponent *comp, TsVtimezone *zone)
{
	int			max = 0;
	int			total = 0;

	for (TsIcalComponent *c = comp->first_child; c != NULL; c = c->next_sibling)
		max++;
	zone->n = 0;
	zone->observances = palloc0((max + 1) * sizeof(TsObservance));
	if (max > MAX_OBSERVANCES)
		return false;
	for (TsIcalComponent *c = comp->first_child; c != NULL; c = c->next_sibling)
	{
		if (strcmp(c->name, "STANDARD") != 0 && strcmp(c->name, "DAYLIGHT") != 0)
			continue;
		if (!read_observance(c, &zone->observances[zone->n++], &total))
			return false;
	}
	return zone->n > 0;
}

/*
 * The latest onset of an observance that the clock has passed at "wall".  A
 * time that a change skips counts as before it.
 */
static bool
latest_onset(const TsObservance *obs, const TsCivil *wall, int64 *latest)
{
	int64		now = ts_wall_seconds(wall) - Max(obs->to - obs->from, 0);
	bool		found = false;

	for (int i = 0; i < obs->nonsets; i++)
	{
		if (obs->onsets[i] <= now && (!found || obs->onsets[i] > *latest))
		{
			*latest = obs->onsets[i];
			found = true;
		}
	}
	for (int year = wall->year - 1; obs->has_rule && year <= wall->year; year++)
	{
		int64		onset = 0;

		if (onset_in_year(obs, year, &onset) && onset <= now && (!found || onset > *latest))
		{
			*latest = onset;
			found = true;
		}
	}
	return found;
}

int
ts_vtimezone_offset(const TsVtimezone *zone, const TsCivil *wall)
{
	const TsObservance *holds = NULL;
	const TsObservance *earliest = &zone->observances[0];
	int64		since = 0;

	for (int i = 0; i < zone->n; i++)
	{
		const TsObservance *obs = &zone->observances[i];
		int64		onset = 0;

		if (obs->onsets[0] < earliest->onsets[0])
			earliest = obs;
		if (latest_onset(obs, wall, &onset) && (holds == NULL || onset > since))
		{
			holds = obs;
			since = onset;
		}
	}
	return holds ? holds->to : earliest->from;
}
