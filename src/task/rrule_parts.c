/*-------------------------------------------------------------------------
 *
 * rrule_parts.c
 *	  A recurrence rule taken to pieces, for services that have a form of
 *	  their own for it.
 *
 * As in rrule.c, libical parses, and nothing of ours is allocated meanwhile.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <libical/ical.h>

#include "task/rrule.h"

StaticAssertDecl(TS_RRULE_MAX_DAYS <= ICAL_BY_DAY_SIZE, "days of a rule");

static const TsRruleFreq freqs[] = {
	[ICAL_SECONDLY_RECURRENCE] = TS_FREQ_OTHER,
	[ICAL_MINUTELY_RECURRENCE] = TS_FREQ_OTHER,
	[ICAL_HOURLY_RECURRENCE] = TS_FREQ_OTHER,
	[ICAL_DAILY_RECURRENCE] = TS_FREQ_DAILY,
	[ICAL_WEEKLY_RECURRENCE] = TS_FREQ_WEEKLY,
	[ICAL_MONTHLY_RECURRENCE] = TS_FREQ_MONTHLY,
	[ICAL_YEARLY_RECURRENCE] = TS_FREQ_YEARLY,
	[ICAL_NO_RECURRENCE] = TS_FREQ_OTHER,
};

/*
 * The only entry of a BYxxx part, 0 where there is none; more than one is more
 * than a caller of this can say.
 */
static int
single_entry(const short *entries, bool *too_much)
{
	if (entries[0] == ICAL_RECURRENCE_ARRAY_MAX)
		return 0;
	*too_much |= entries[1] != ICAL_RECURRENCE_ARRAY_MAX;
	return entries[0];
}

static bool
has_entries(const short *entries)
{
	return entries[0] != ICAL_RECURRENCE_ARRAY_MAX;
}

/* ICAL_SUNDAY_WEEKDAY is 1; 0 is Sunday here. */
static int
weekday_number(int weekday)
{
	return weekday == ICAL_NO_WEEKDAY ? TS_NO_WEEKDAY : weekday - 1;
}

static void
read_days(const struct icalrecurrencetype *rule, TsRruleParts *parts)
{
	for (int i = 0; i < ICAL_BY_DAY_SIZE && rule->by_day[i] != ICAL_RECURRENCE_ARRAY_MAX; i++)
	{
		if (parts->ndays == TS_RRULE_MAX_DAYS)
		{
			parts->too_much = true;
			return;
		}
		parts->day[parts->ndays].weekday =
			weekday_number(icalrecurrencetype_day_day_of_week(rule->by_day[i]));
		parts->day[parts->ndays++].nth = icalrecurrencetype_day_position(rule->by_day[i]);
	}
}

/*
 * ts_rrule_parts
 *		Takes a canonical rule to pieces; false when it is none.
 */
bool
ts_rrule_parts(const char *rule, TsRruleParts *parts)
{
	struct icalrecurrencetype parsed;

	memset(parts, 0, sizeof(*parts));
	icalerror_set_errors_are_fatal(0);
	parsed = icalrecurrencetype_from_string(rule);
	parts->too_much = parsed.rscale != NULL;	/* another calendar's years */
	free(parsed.rscale);
	if (parsed.freq == ICAL_NO_RECURRENCE)
		return false;

	parts->freq = freqs[parsed.freq];
	parts->interval = Max(parsed.interval, 1);
	parts->count = parsed.count;
	parts->week_start = weekday_number(parsed.week_start);
	read_days(&parsed, parts);
	parts->month_day = single_entry(parsed.by_month_day, &parts->too_much);
	parts->month = single_entry(parsed.by_month, &parts->too_much);
	parts->set_pos = single_entry(parsed.by_set_pos, &parts->too_much);
	parts->too_much |= parts->freq == TS_FREQ_OTHER || has_entries(parsed.by_second) ||
		has_entries(parsed.by_minute) || has_entries(parsed.by_hour) ||
		has_entries(parsed.by_week_no) || has_entries(parsed.by_year_day);

	parts->has_until = !icaltime_is_null_time(parsed.until);
	if (parts->has_until)
	{
		parts->until = (TsCivil) {parsed.until.year, parsed.until.month, parsed.until.day,
			parsed.until.hour, parsed.until.minute, parsed.until.second
		};
		parts->until_is_date = parsed.until.is_date;
		parts->until_is_utc = icaltime_is_utc(parsed.until);
	}
	return true;
}
