/*-------------------------------------------------------------------------
 *
 * todo_recur.c
 *	  Graph's patternedRecurrence and RFC 5545's recurrence rules.
 *
 *		daily				FREQ=DAILY
 *		weekly				FREQ=WEEKLY;BYDAY=…			(or DAILY by days, every day)
 *		absoluteMonthly		FREQ=MONTHLY;BYMONTHDAY=n
 *		relativeMonthly		FREQ=MONTHLY;BYDAY=2TU		(days: with BYSETPOS)
 *		absoluteYearly		FREQ=YEARLY;BYMONTH=m;BYMONTHDAY=n
 *		relativeYearly		FREQ=YEARLY;BYMONTH=m;BYDAY=-1FR
 *
 * The last of all days of the week, of a month, is its last day: BYMONTHDAY=-1.
 * What a rule leaves to its first occurrence is said of the due date, which a
 * recurring task must have.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "provider/outlook/todo.h"
#include "task/rrule.h"

#define DAYS_A_WEEK		7
#define MAX_INTERVAL	9999

static const char *const day_words[] = {
	"sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"
};
static const char *const day_codes[] = {"SU", "MO", "TU", "WE", "TH", "FR", "SA"};

/* Which of a week's days: first, … fourth, last. */
static const char *const index_words[] = {"first", "second", "third", "fourth", "last"};
static const int index_numbers[] = {1, 2, 3, 4, -1};

#define MONDAY	1

static int
word_at(const char *const *words, int n, const char *word)
{
	for (int i = 0; word != NULL && i < n; i++)
	{
		if (pg_strcasecmp(words[i], word) == 0)
			return i;
	}
	return -1;
}

/* ---------- reading ---------- */

typedef struct Pattern
{
	const char *type;
	int			interval;
	int			month;
	int			day_of_month;
	bool		day[DAYS_A_WEEK];
	int			ndays;
	int			nth;			/* of "index" */
	int			week_start;
} Pattern;

static void
read_pattern(const TsJson *json, Pattern *p)
{
	const TsJson *days = ts_json_get_kind(json, "daysOfWeek", TS_JSON_ARRAY);
	int			index = word_at(index_words, lengthof(index_words), ts_json_get_string(json, "index"));

	memset(p, 0, sizeof(*p));
	p->type = ts_json_get_string(json, "type");
	p->interval = ts_json_get_int(json, "interval", 1);
	p->month = ts_json_get_int(json, "month", 0);
	p->day_of_month = ts_json_get_int(json, "dayOfMonth", 0);
	p->nth = index_numbers[Max(index, 0)];	/* the first where it is not said */
	p->week_start = word_at(day_words, DAYS_A_WEEK, ts_json_get_string(json, "firstDayOfWeek"));
	for (const TsJson *d = days != NULL ? days->first : NULL; d != NULL; d = d->next)
	{
		int			day = d->kind == TS_JSON_STRING ? word_at(day_words, DAYS_A_WEEK, d->text) : -1;

		if (day >= 0 && !p->day[day])
		{
			p->day[day] = true;
			p->ndays++;
		}
	}
}

/* ";BYDAY=MO,TU" */
static void
append_days(StringInfo rule, const Pattern *p, int nth)
{
	const char *separator = ";BYDAY=";

	for (int i = 0; i < DAYS_A_WEEK; i++)
	{
		int			day = (MONDAY + i) % DAYS_A_WEEK;

		if (!p->day[day])
			continue;
		appendStringInfoString(rule, separator);
		if (nth != 0)
			appendStringInfo(rule, "%d", nth);
		appendStringInfoString(rule, day_codes[day]);
		separator = ",";
	}
}

/* The days of a relative pattern. */
static void
append_relative(StringInfo rule, const Pattern *p)
{
	if (p->ndays == DAYS_A_WEEK && p->nth == -1)
		appendStringInfoString(rule, ";BYMONTHDAY=-1");
	else if (p->ndays == DAYS_A_WEEK)
		appendStringInfo(rule, ";BYMONTHDAY=%d", p->nth);
	else if (p->ndays == 1)
		append_days(rule, p, p->nth);
	else
	{
		append_days(rule, p, 0);
		appendStringInfo(rule, ";BYSETPOS=%d", p->nth);
	}
}

/* The rule without its end; false where the pattern makes no sense. */
static bool
rule_of_pattern(const Pattern *p, StringInfo rule)
{
	bool		relative = p->type != NULL && pg_strncasecmp(p->type, "relative", 8) == 0;
	const char *kind = p->type == NULL ? "" : relative || pg_strncasecmp(p->type, "absolute", 8) == 0
		? p->type + 8 : p->type;
	bool		yearly = pg_strcasecmp(kind, "yearly") == 0;
	bool		monthly = pg_strcasecmp(kind, "monthly") == 0;
	bool		weekly = pg_strcasecmp(kind, "weekly") == 0;

	if (!yearly && !monthly && !weekly && pg_strcasecmp(kind, "daily") != 0)
		return false;
	if (p->interval < 1 || p->interval > MAX_INTERVAL)
		return false;
	if ((weekly || ((yearly || monthly) && relative)) && p->ndays == 0)
		return false;
	if ((yearly || monthly) && !relative && (p->day_of_month < 1 || p->day_of_month > 31))
		return false;
	if (yearly && (p->month < 1 || p->month > 12))
		return false;

	appendStringInfo(rule, "FREQ=%s", yearly ? "YEARLY" : monthly ? "MONTHLY" : weekly ? "WEEKLY" : "DAILY");
	if (p->interval > 1)
		appendStringInfo(rule, ";INTERVAL=%d", p->interval);
	if (yearly)
		appendStringInfo(rule, ";BYMONTH=%d", p->month);
	if (weekly)
		append_days(rule, p, 0);
	else if (relative && (yearly || monthly))
		append_relative(rule, p);
	else if (yearly || monthly)
		appendStringInfo(rule, ";BYMONTHDAY=%d", p->day_of_month);
	/* RFC 5545: weeks begin on Monday where nothing is said; to Graph, on Sunday */
	if (weekly && p->interval > 1 && p->week_start != MONDAY)
		appendStringInfo(rule, ";WKST=%s", day_codes[Max(p->week_start, 0)]);
	return true;
}

/* The end of a rule: empty, ";COUNT=…" or ";UNTIL=…". */
static void
append_end(StringInfo rule, const TsJson *range)
{
	const char *type = ts_json_get_string(range, "type");
	const char *end = ts_json_get_string(range, "endDate");
	int			count = ts_json_get_int(range, "numberOfOccurrences", 0);
	TsCivil		day;

	if (type == NULL)
		return;
	if (pg_strcasecmp(type, "numbered") == 0 && count > 0)
		appendStringInfo(rule, ";COUNT=%d", count);
	else if (pg_strcasecmp(type, "endDate") == 0 && end != NULL && ts_date_parse(end, &day))
		appendStringInfo(rule, ";UNTIL=%04d%02d%02d", day.year, day.month, day.day);
}

char *
ts_todo_range_text(const TsJson *recurrence)
{
	StringInfoData text;

	initStringInfo(&text);
	append_end(&text, ts_json_get(recurrence, "range"));
	return text.data;
}

bool
ts_todo_rule(const TsJson *recurrence, char **result, TsError *err)
{
	StringInfoData rule;
	Pattern		pattern;

	*result = NULL;
	if (recurrence == NULL || recurrence->kind == TS_JSON_NULL)
		return true;
	initStringInfo(&rule);
	read_pattern(ts_json_get(recurrence, "pattern"), &pattern);
	if (!rule_of_pattern(&pattern, &rule))
	{
		ts_error(err, "TS502", "the task has a recurrence that can't be understood");
		if (pattern.type != NULL)
			ts_error_detail(err, "Its pattern is of type \"%.40s\".", pattern.type);
		return false;
	}
	append_end(&rule, ts_json_get(recurrence, "range"));
	*result = rule.data;
	return true;
}

/* ---------- writing ---------- */

static bool
unspeakable(TsError *err, const char *rule, const char *why)
{
	ts_error(err, "22023", "Outlook has no words for the recurrence rule \"%.200s\"", rule);
	ts_error_detail(err, "%s", why);
	ts_error_hint(err, "It knows every n-th day, days of every n-th week, and one day of every n-th month or year, such as the 15th, the second Tuesday or the last day.");
	return false;
}

static void
put_number(StringInfo out, const char *name, int value)
{
	char	   *text = psprintf("%d", value);

	ts_json_put_raw(out, name, text, strlen(text));
}

static void
put_days(StringInfo out, const bool *day)
{
	StringInfoData days;

	initStringInfo(&days);
	for (int i = 0; i < DAYS_A_WEEK; i++)
	{
		if (day[i])
			appendStringInfo(&days, "%s\"%s\"", days.len > 0 ? "," : "[", day_words[i]);
	}
	appendStringInfoChar(&days, ']');
	ts_json_put_raw(out, "daysOfWeek", days.data, days.len);
}

/* 0 = Sunday */
static int
weekday_of(const TsCivil *day)
{
	int64		days = ts_days_from_civil(day->year, day->month, day->day) + 4;	/* 1970-01-01 was a Thursday */

	return (int) ((days % DAYS_A_WEEK + DAYS_A_WEEK) % DAYS_A_WEEK);
}

static void
open_pattern(StringInfo out, const char *type, const TsRruleParts *r)
{
	ts_json_open(out);
	ts_json_put_string(out, "type", type);
	put_number(out, "interval", r->interval);
}

static int
first_weekday(const TsRruleParts *r)
{
	return r->week_start == TS_NO_WEEKDAY ? MONDAY : r->week_start;
}

static void
weekly_pattern(StringInfo out, const TsRruleParts *r, const TsCivil *due)
{
	bool		day[DAYS_A_WEEK] = {false};

	for (int i = 0; i < r->ndays; i++)
		day[r->day[i].weekday] = true;
	if (r->ndays == 0)
		day[weekday_of(due)] = true;
	open_pattern(out, "weekly", r);
	put_days(out, day);
	ts_json_put_string(out, "firstDayOfWeek",
					   day_words[first_weekday(r)]);
}

/*
 * Which of the days it is ("second", "last"), as an index of index_words; -1
 * where that can't be said.  The days of a month may each be numbered (2TU), or
 * be a set of which one is taken (BYSETPOS).
 */
static int
index_of_days(const TsRruleParts *r)
{
	int			nth = r->set_pos;

	for (int i = 0; i < r->ndays; i++)
	{
		if (r->day[i].nth != 0 && (r->set_pos != 0 || r->ndays > 1))
			return -1;
		if (r->day[i].nth != 0)
			nth = r->day[i].nth;
	}
	for (int i = 0; i < lengthof(index_numbers); i++)
	{
		if (index_numbers[i] == nth)
			return i;
	}
	return -1;
}

static void
relative_pattern(StringInfo out, const TsRruleParts *r, bool yearly, int index, bool last_day)
{
	bool		day[DAYS_A_WEEK] = {false};

	for (int i = 0; i < DAYS_A_WEEK; i++)
		day[i] = last_day;
	for (int i = 0; i < r->ndays; i++)
		day[r->day[i].weekday] = true;
	open_pattern(out, yearly ? "relativeYearly" : "relativeMonthly", r);
	put_days(out, day);
	ts_json_put_string(out, "index", index_words[index]);
}

/* FREQ=MONTHLY and FREQ=YEARLY; the reason why not, or NULL. */
static const char *
monthly_pattern(StringInfo out, const TsRruleParts *r, const TsCivil *due)
{
	bool		yearly = r->freq == TS_FREQ_YEARLY;
	int			index = r->ndays > 0 ? index_of_days(r) : -1;

	if (!yearly && r->month != 0)
		return "A monthly rule can't be bound to one month.";
	if (yearly && r->month == 0 && (r->month_day != 0 || r->ndays > 0))
		return "A yearly rule needs its month (BYMONTH).";
	if (r->ndays > 0 && r->month_day != 0)
		return "BYDAY and BYMONTHDAY can't be combined.";
	if (r->ndays > 0 && index < 0)
		return "Of the days of a month, only the first four or the last can be meant, and only one of them.";
	if (r->ndays == 0 && r->set_pos != 0)
		return "BYSETPOS needs BYDAY.";
	if (r->month_day < -1)
		return "Of the days counted from the end of a month, only the last can be meant.";

	if (r->ndays > 0)
		relative_pattern(out, r, yearly, index, false);
	else if (r->month_day == -1)
		relative_pattern(out, r, yearly, lengthof(index_words) - 1, true);
	else
	{
		open_pattern(out, yearly ? "absoluteYearly" : "absoluteMonthly", r);
		put_number(out, "dayOfMonth", r->month_day != 0 ? r->month_day : due->day);
	}
	if (yearly)
		put_number(out, "month", r->month != 0 ? r->month : due->month);
	return NULL;
}

static bool
has_numbered_days(const TsRruleParts *r)
{
	for (int i = 0; i < r->ndays; i++)
	{
		if (r->day[i].nth != 0)
			return true;
	}
	return false;
}

/* FREQ=DAILY and FREQ=WEEKLY; the reason why not, or NULL. */
static const char *
daily_pattern(StringInfo out, const TsRruleParts *r, const TsCivil *due)
{
	if (r->month != 0 || r->month_day != 0 || r->set_pos != 0 || has_numbered_days(r))
		return "Of a daily or weekly rule only the days of the week can be chosen.";
	if (r->freq == TS_FREQ_DAILY && r->ndays > 0 && r->interval > 1)
		return "Every n-th day can't be bound to days of the week.";
	if (r->freq == TS_FREQ_WEEKLY || r->ndays > 0)
		weekly_pattern(out, r, due);
	else
		open_pattern(out, "daily", r);
	return NULL;
}

static bool
take_apart(const char *rule, TsRruleParts *r, TsError *err)
{
	if (!ts_rrule_parts(rule, r))
	{
		ts_error(err, "22023", "invalid recurrence rule \"%.200s\"", rule);
		ts_error_hint(err, "It must be an RRULE value of RFC 5545.");
		return false;
	}
	if (r->too_much || r->month > 12 || r->interval > MAX_INTERVAL)
		return unspeakable(err, rule, "It has parts that Outlook does not know, or several values of one part.");
	if (r->count > 0 && r->has_until)
		return unspeakable(err, rule, "It ends in two ways, by COUNT and by UNTIL.");
	return true;
}

bool
ts_todo_pattern(const char *rule, const char *due_date, StringInfo out, TsError *err)
{
	TsRruleParts r;
	TsCivil		due;
	const char *why;

	if (!take_apart(rule, &r, err))
		return false;
	if (!ts_date_parse(due_date, &due))
		return unspeakable(err, rule, "The task's due date is no date.");
	if (r.freq == TS_FREQ_MONTHLY || r.freq == TS_FREQ_YEARLY)
		why = monthly_pattern(out, &r, &due);
	else
		why = daily_pattern(out, &r, &due);
	if (why != NULL)
		return unspeakable(err, rule, why);
	ts_json_close(out);
	return true;
}

/* The last day that an UNTIL allows, on the calendar of the zone. */
static bool
until_day(const TsRruleParts *r, const char *zone, TsCivil *day)
{
	*day = r->until;
	return !r->until_is_utc || ts_zone_from_utc(zone, ts_wall_seconds(&r->until), day);
}

bool
ts_todo_range(const char *rule, const char *due_date, const char *zone, StringInfo out, TsError *err)
{
	TsRruleParts r;
	TsCivil		last;

	if (!take_apart(rule, &r, err))
		return false;
	ts_json_open(out);
	ts_json_put_string(out, "type", r.count > 0 ? "numbered" : r.has_until ? "endDate" : "noEnd");
	ts_json_put_string(out, "startDate", due_date);
	if (r.count > 0)
		put_number(out, "numberOfOccurrences", r.count);
	if (r.has_until && !until_day(&r, zone, &last))
		return unspeakable(err, rule, "Its end is no date.");
	if (r.has_until)
		ts_json_put_string(out, "endDate", ts_date_text(&last));
	ts_json_close(out);
	return true;
}

/* ---------- comparing ---------- */

static bool
same_end(const TsRruleParts *a, const TsRruleParts *b, const char *zone)
{
	TsCivil		last_a;
	TsCivil		last_b;

	if (a->count != b->count || a->has_until != b->has_until)
		return false;
	if (!a->has_until)
		return true;
	return until_day(a, zone, &last_a) && until_day(b, zone, &last_b) &&
		last_a.year == last_b.year && last_a.month == last_b.month && last_a.day == last_b.day;
}

bool
ts_todo_follows_due(const char *rule, const char *there, const char *zone)
{
	TsRruleParts r;
	TsRruleParts t;

	if (!ts_rrule_parts(rule, &r) || !ts_rrule_parts(there, &t) || r.too_much || t.too_much)
		return false;
	if (r.ndays > 0 || r.month_day != 0 || r.set_pos != 0 || t.set_pos != 0)
		return false;
	if (r.freq != t.freq || r.interval != t.interval || !same_end(&r, &t, zone))
		return false;
	if (r.freq == TS_FREQ_WEEKLY)
		return t.ndays == 1 && (r.interval == 1 || first_weekday(&r) == first_weekday(&t));
	return (r.freq == TS_FREQ_MONTHLY || r.freq == TS_FREQ_YEARLY) && t.ndays == 0 &&
		t.month_day > 0 && (r.month == 0 || r.month == t.month);
}
