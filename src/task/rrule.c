/*-------------------------------------------------------------------------
 *
 * rrule.c
 *	  Recurrence rules: checking one, and the next occurrence.
 *
 * libical parses and iterates.  Its iterator searches up to the year 2582
 * before it gives up on a rule that never comes true (the 30th of February),
 * which at one candidate a second takes hours in which no signal is served;
 * so it only gets rules of at most a few candidates a day, and searches in
 * the years that it reaches last: the calendar repeats itself every 400 years.
 *
 * No memory of ours is allocated while a libical object lives, so an error
 * has nothing to leak.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <libical/ical.h>

#include "task/rrule.h"

#define MAX_RULE_LENGTH		1000
#define MAX_TIMES_A_DAY		4	/* candidates a day that are searched through */
#define CALENDAR_CYCLE		400 /* years */
#define SEARCHED_FROM		2100	/* the first of the 400 years to begin in */

typedef struct Until
{
	TsCivil		at;
	bool		is_date;
	bool		is_utc;
} Until;

/* The value of a part in a canonical rule, up to its ';', or NULL. */
static const char *
find_part(const char *rule, const char *name)
{
	size_t		len = strlen(name);

	for (const char *p = rule; p != NULL; p = strchr(p, ';'))
	{
		if (*p == ';')
			p++;
		if (strncmp(p, name, len) == 0 && p[len] == '=')
			return p + len + 1;
	}
	return NULL;
}

/* A positive 32-bit number that fills its part. */
static bool
parse_count(const char *s, int *count)
{
	int64		value = 0;

	if (*s < '0' || *s > '9')
		return false;
	for (; *s >= '0' && *s <= '9'; s++)
	{
		value = value * 10 + (*s - '0');
		if (value > PG_INT32_MAX)
			return false;
	}
	*count = value;
	return value > 0 && (*s == ';' || *s == '\0');
}

/* "20261231", "20261231T235959" or with a Z. */
static bool
parse_until(const char *s, Until *until)
{
	size_t		len = strcspn(s, ";");
	int			n = 0;

	memset(until, 0, sizeof(*until));
	if (strspn(s, "0123456789") < 8)
		return false;
	sscanf(s, "%4d%2d%2d", &until->at.year, &until->at.month, &until->at.day);
	if (!ts_date_is_valid(until->at.year, until->at.month, until->at.day))
		return false;
	until->is_date = len == 8;
	if (until->is_date)
		return true;
	if (s[8] != 'T' || strspn(s + 9, "0123456789") != 6)
		return false;
	sscanf(s + 9, "%2d%2d%2d%n", &until->at.hour, &until->at.minute, &until->at.second, &n);
	until->is_utc = s[15] == 'Z';
	return n == 6 && len == (until->is_utc ? 16 : 15) &&
		until->at.hour < 24 && until->at.minute < 60 && until->at.second < 61;
}

static bool
rule_is_valid(const char *rule)
{
	struct icalrecurrencetype parsed;
	const char *count = find_part(rule, "COUNT");
	const char *until = find_part(rule, "UNTIL");
	Until		end;
	int			n;

	if (strspn(rule, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789=;,+-/") != strlen(rule))
		return false;
	if (count != NULL && !parse_count(count, &n))
		return false;
	if (until != NULL && !parse_until(until, &end))
		return false;
	icalerror_set_errors_are_fatal(0);	/* bad rules are no reason to abort() */
	parsed = icalrecurrencetype_from_string(rule);
	free(parsed.rscale);		/* strdup()ed by libical, and left to us */
	return parsed.freq != ICAL_NO_RECURRENCE;
}

char *
ts_rrule_canonical(const char *raw)
{
	StringInfoData rule;

	if (pg_strncasecmp(raw, "RRULE:", 6) == 0)
		raw += 6;
	if (strlen(raw) > MAX_RULE_LENGTH)
		return NULL;
	initStringInfo(&rule);
	for (const char *p = raw; *p; p++)
	{
		if (*p != ' ' && *p != '\t' && *p != '\r' && *p != '\n')
			appendStringInfoCharMacro(&rule, pg_ascii_toupper((unsigned char) *p));
	}
	while (rule.len > 0 && rule.data[rule.len - 1] == ';')
		rule.data[--rule.len] = '\0';
	return rule_is_valid(rule.data) ? rule.data : NULL;
}

/* Used entries of one of libical's BYxxx arrays. */
static int
count_entries(const short *entries, int size)
{
	int			n = 0;

	while (n < size && entries[n] != ICAL_RECURRENCE_ARRAY_MAX)
		n++;
	return n;
}

/* Can the next occurrence be searched for in bounded time? */
static bool
is_searchable(const struct icalrecurrencetype *rule)
{
	int			hours = count_entries(rule->by_hour, ICAL_BY_HOUR_SIZE);
	int			minutes = count_entries(rule->by_minute, ICAL_BY_MINUTE_SIZE);
	int			seconds = count_entries(rule->by_second, ICAL_BY_SECOND_SIZE);

	if (rule->freq == ICAL_NO_RECURRENCE)
		return false;
	if (rule->freq == ICAL_SECONDLY_RECURRENCE ||
		rule->freq == ICAL_MINUTELY_RECURRENCE ||
		rule->freq == ICAL_HOURLY_RECURRENCE)
		return hours + minutes + seconds == 0 &&
			count_entries(rule->by_day, ICAL_BY_DAY_SIZE) == 0 &&
			count_entries(rule->by_month_day, ICAL_BY_MONTHDAY_SIZE) == 0 &&
			count_entries(rule->by_year_day, ICAL_BY_YEARDAY_SIZE) == 0 &&
			count_entries(rule->by_week_no, ICAL_BY_WEEKNO_SIZE) == 0 &&
			count_entries(rule->by_month, ICAL_BY_MONTH_SIZE) == 0 &&
			count_entries(rule->by_set_pos, ICAL_BY_SETPOS_SIZE) == 0;
	return Max(hours, 1) * Max(minutes, 1) * Max(seconds, 1) <= MAX_TIMES_A_DAY;
}

/* How far a year, from 1 to 9999, is from its like among those to begin in. */
static int
shift_of_year(int year)
{
	return SEARCHED_FROM + (year + 100 * CALENDAR_CYCLE - SEARCHED_FROM) % CALENDAR_CYCLE - year;
}

/* The rule's first occurrence after "from", its COUNT and UNTIL left aside. */
static bool
find_next(struct icalrecurrencetype rule, const TsCivil *from, bool is_date, TsCivil *next)
{
	struct icaltimetype start = icaltime_null_time();
	struct icaltimetype found;
	icalrecur_iterator *iterator;
	int			shift = shift_of_year(from->year);

	start.year = from->year + shift;
	start.month = from->month;
	start.day = from->day;
	start.hour = from->hour;
	start.minute = from->minute;
	start.second = from->second;
	start.is_date = is_date;
	rule.count = 0;
	rule.until = icaltime_null_time();

	iterator = icalrecur_iterator_new(rule, start);
	if (iterator == NULL)
		return false;
	do
		found = icalrecur_iterator_next(iterator);
	while (!icaltime_is_null_time(found) && icaltime_compare(found, start) <= 0);
	icalrecur_iterator_free(iterator);

	if (icaltime_is_null_time(found))
		return false;
	*next = (TsCivil) {found.year - shift, found.month, found.day,
	found.hour, found.minute, found.second};
	return ts_date_is_valid(next->year, next->month, next->day);
}

/* Is an occurrence still within UNTIL, which is inclusive? */
static bool
is_within(const Until *until, const TsCivil *at, bool is_date, const char *zone)
{
	int64		seconds = ts_wall_seconds(at);

	if (until->is_date || is_date)
		return ts_days_from_civil(at->year, at->month, at->day) <=
			ts_days_from_civil(until->at.year, until->at.month, until->at.day);
	if (until->is_utc && zone != NULL && !ts_zone_to_utc(zone, at, &seconds))
		return false;
	return seconds <= ts_wall_seconds(&until->at);
}

bool
ts_rrule_next(const char *rule, const TsCivil *from, bool is_date,
			  const char *zone, TsCivil *next)
{
	struct icalrecurrencetype parsed;
	const char *count = find_part(rule, "COUNT");
	const char *until = find_part(rule, "UNTIL");
	Until		end;
	int			n;

	if (count != NULL && (!parse_count(count, &n) || n <= 1))
		return false;
	if (find_part(rule, "RSCALE") != NULL)
		return false;			/* another calendar's years */
	icalerror_set_errors_are_fatal(0);
	parsed = icalrecurrencetype_from_string(rule);
	if (!is_searchable(&parsed) || !find_next(parsed, from, is_date, next))
		return false;
	return until == NULL ||
		(parse_until(until, &end) && is_within(&end, next, is_date, zone));
}

char *
ts_rrule_count_down(const char *rule)
{
	const char *count = find_part(rule, "COUNT");
	int			n;

	if (count == NULL || !parse_count(count, &n))
		return pstrdup(rule);
	return psprintf("%.*s%d%s", (int) (count - rule), rule, n - 1,
					count + strcspn(count, ";"));
}
