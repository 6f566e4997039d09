/*-------------------------------------------------------------------------
 *
 * rrule_fuzz.c
 *	  Recurrence rules.  Input: a rule, a newline, bytes that choose the rest.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fuzz.h"
#include "task/rrule.h"

#define STEPS 2

/*
 * Any day of the calendar, often the end of a month; mostly of the years from
 * which a search in vain is over soon (see rrule.c).
 */
static TsCivil
choose_start(FuzzInput *in)
{
	static const int years[] = {
		2096, 2099, 2098, 2092, 2097, 2091, 2095, 2094, 1699, 9699, 2026, 2100, 1, 9999
	};
	TsCivil		at = {.year = years[fuzz_below(in, lengthof(years))]};

	at.month = 1 + fuzz_below(in, 12);
	at.day = 31 - fuzz_below(in, 31);
	while (!ts_date_is_valid(at.year, at.month, at.day))
		at.day--;
	at.hour = fuzz_below(in, 24);
	at.minute = fuzz_below(in, 60);
	at.second = fuzz_below(in, 60);
	return at;
}

static void
check_steps(const char *rule, TsCivil at, bool is_date, const char *zone)
{
	TsCivil		next;

	if (is_date)
		at.hour = at.minute = at.second = 0;
	for (int i = 0; i < STEPS && ts_rrule_next(rule, &at, is_date, zone, &next); i++)
	{
		char	   *fewer = ts_rrule_count_down(rule);

		fuzz_check(ts_date_is_valid(next.year, next.month, next.day) &&
				   next.hour >= 0 && next.hour < 24 && next.minute >= 0 && next.minute < 60 &&
				   next.second >= 0 && next.second < 60,
				   "%s: %d-%d-%d %d:%d:%d", rule, next.year, next.month, next.day,
				   next.hour, next.minute, next.second);
		fuzz_check(ts_wall_seconds(&next) > ts_wall_seconds(&at), "%s", rule);
		fuzz_check(!is_date || next.hour + next.minute + next.second == 0, "%s", rule);
		fuzz_check_value(TS_RECURRENCE_RULE, fewer);
		rule = fewer;
		at = next;
	}
}

void
fuzz_one(const char *data, size_t len)
{
	FuzzInput	in = {data, len};
	char	   *raw = fuzz_line(&in, '\n');
	char	   *rule = ts_rrule_canonical(raw);
	const char *zone = fuzz_zone(fuzz_below(&in, 8));
	bool		is_date = fuzz_below(&in, 2);

	if (rule == NULL)
		return;
	fuzz_check_value(TS_RECURRENCE_RULE, rule);
	check_steps(rule, choose_start(&in), is_date, is_date ? NULL : zone);
}
