/*-------------------------------------------------------------------------
 *
 * datetime.c
 *	  Calendar arithmetic, and the texts of dates, times and timestamps.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "task/datetime.h"

/*
 * ts_days_from_civil
 *		Days since 1970-01-01 of a date of the proleptic Gregorian calendar.
 *
 * Counts years from March, so that the leap day is a year's last one, in eras
 * of 400 years, which all have 146097 days.
 */
int64
ts_days_from_civil(int year, int month, int day)
{
	int64		y = month <= 2 ? year - 1 : year;
	int64		era = (y >= 0 ? y : y - 399) / 400;
	int64		year_of_era = y - era * 400;
	int64		day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
	int64		day_of_era = year_of_era * 365 + year_of_era / 4 -
	year_of_era / 100 + day_of_year;

	return era * 146097 + day_of_era - 719468;
}

/* The inverse; sets only the date's part. */
static void
civil_from_days(int64 days, TsCivil *wall)
{
	int64		shifted = days + 719468;
	int64		era = (shifted >= 0 ? shifted : shifted - 146096) / 146097;
	int64		day_of_era = shifted - era * 146097;
	int64		year_of_era = (day_of_era - day_of_era / 1460 +
							   day_of_era / 36524 - day_of_era / 146096) / 365;
	int64		day_of_year = day_of_era - (365 * year_of_era +
											year_of_era / 4 - year_of_era / 100);
	int64		month = (5 * day_of_year + 2) / 153;

	wall->day = day_of_year - (153 * month + 2) / 5 + 1;
	wall->month = month < 10 ? month + 3 : month - 9;
	wall->year = year_of_era + era * 400 + (wall->month <= 2 ? 1 : 0);
}

/*
 * ts_wall_seconds
 *		A wall-clock reading as a count of seconds (see datetime.h).
 */
int64
ts_wall_seconds(const TsCivil *wall)
{
	return ts_days_from_civil(wall->year, wall->month, wall->day) * TS_SECS_PER_DAY +
		wall->hour * 3600 + wall->minute * 60 + wall->second;
}

/*
 * ts_wall_from_seconds
 *		The inverse; false when the result is outside the years 1 to 9999.
 */
bool
ts_wall_from_seconds(int64 seconds, TsCivil *wall)
{
	static const int64 first = INT64CONST(-62135596800);	/* 0001-01-01 */
	static const int64 last = INT64CONST(253402300799); /* 9999-12-31 23:59:59 */
	int64		days;
	int			rest;

	if (seconds < first || seconds > last)
		return false;
	days = seconds / TS_SECS_PER_DAY;
	rest = seconds % TS_SECS_PER_DAY;
	if (rest < 0)
	{
		rest += TS_SECS_PER_DAY;
		days--;
	}
	civil_from_days(days, wall);
	wall->hour = rest / 3600;
	wall->minute = rest / 60 % 60;
	wall->second = rest % 60;
	return true;
}

/*
 * ts_date_is_valid
 *		Is there such a day, in the years 1 to 9999?
 */
bool
ts_date_is_valid(int year, int month, int day)
{
	static const int month_days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool		leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	if (year < 1 || year > 9999 || month < 1 || month > 12 || day < 1)
		return false;
	return day <= month_days[month - 1] + (month == 2 && leap ? 1 : 0);
}

/* Reads exactly n digits; false leaves *s where the first other byte is. */
static bool
take_digits(const char **s, int n, int *value)
{
	*value = 0;
	for (; n > 0; n--)
	{
		if (**s < '0' || **s > '9')
			return false;
		*value = *value * 10 + (*(*s)++ - '0');
	}
	return true;
}

static bool
take_char(const char **s, char c)
{
	if (**s != c)
		return false;
	(*s)++;
	return true;
}

static bool
take_date(const char **s, TsCivil *wall)
{
	return take_digits(s, 4, &wall->year) && take_char(s, '-') &&
		take_digits(s, 2, &wall->month) && take_char(s, '-') &&
		take_digits(s, 2, &wall->day) &&
		ts_date_is_valid(wall->year, wall->month, wall->day);
}

/* The digits after the decimal point; those beyond microseconds are dropped. */
static bool
take_fraction(const char **s, int *usec)
{
	int			scale = 100000;

	*usec = 0;
	if (**s < '0' || **s > '9')
		return false;
	for (; **s >= '0' && **s <= '9'; (*s)++)
	{
		*usec += (**s - '0') * scale;
		scale /= 10;
	}
	return true;
}

/* A leap second counts as the second before it: no clock here has one. */
static bool
take_time(const char **s, TsCivil *wall, int *usec)
{
	wall->second = 0;
	*usec = 0;
	if (!take_digits(s, 2, &wall->hour) || !take_char(s, ':') ||
		!take_digits(s, 2, &wall->minute))
		return false;
	if (take_char(s, ':'))
	{
		if (!take_digits(s, 2, &wall->second))
			return false;
		if (take_char(s, '.') && !take_fraction(s, usec))
			return false;
	}
	if (wall->hour == 24)
		return wall->minute == 0 && wall->second == 0 && *usec == 0;
	if (wall->hour > 24 || wall->minute > 59 || wall->second > 60)
		return false;
	if (wall->second == 60)
		wall->second = 59;
	return true;
}

/* Seconds east of UTC: "Z", "+01", "+0100", "+01:00", "+00:57:30"; "" is UTC. */
static bool
take_offset(const char **s, int *offset)
{
	int			sign = **s == '-' ? -1 : 1;
	int			hour;
	int			minute = 0;
	int			second = 0;

	*offset = 0;
	if (**s == '\0' || take_char(s, 'Z') || take_char(s, 'z'))
		return true;
	if (!take_char(s, '+') && !take_char(s, '-'))
		return false;
	if (!take_digits(s, 2, &hour))
		return false;
	take_char(s, ':');
	if (**s != '\0' && !take_digits(s, 2, &minute))
		return false;
	take_char(s, ':');
	if (**s != '\0' && !take_digits(s, 2, &second))
		return false;
	if (hour > 15 || minute > 59 || second > 59)
		return false;
	*offset = sign * (hour * 3600 + minute * 60 + second);
	return true;
}

bool
ts_date_parse(const char *s, TsCivil *wall)
{
	return take_date(&s, wall) && *s == '\0';
}

bool
ts_time_parse(const char *s, TsCivil *wall, int *usec)
{
	return take_time(&s, wall, usec) && *s == '\0';
}

bool
ts_timestamp_parse(const char *s, int64 *usec)
{
	TsCivil		wall;
	TsCivil		utc;
	int			fraction;
	int			offset;
	int64		seconds;

	if (!take_date(&s, &wall))
		return false;
	if (!take_char(&s, 'T') && !take_char(&s, 't') && !take_char(&s, ' '))
		return false;
	if (!take_time(&s, &wall, &fraction))
		return false;
	take_char(&s, ' ');
	if (!take_offset(&s, &offset) || *s != '\0')
		return false;
	seconds = ts_wall_seconds(&wall) - offset;
	if (!ts_wall_from_seconds(seconds, &utc))
		return false;
	*usec = seconds * TS_USECS_PER_SEC + fraction;
	return true;
}

/* Writes exactly n digits: what take_digits() reads. */
static char *
put_digits(char *out, int n, int value)
{
	for (int i = n - 1; i >= 0; i--)
	{
		out[i] = '0' + value % 10;
		value /= 10;
	}
	return out + n;
}

static char *
put_char(char *out, char c)
{
	*out = c;
	return out + 1;
}

static char *
put_date(char *out, const TsCivil *wall)
{
	out = put_char(put_digits(out, 4, wall->year), '-');
	out = put_char(put_digits(out, 2, wall->month), '-');
	return put_digits(out, 2, wall->day);
}

/* The fraction without trailing zeros as PostgreSQL prints it; nothing for zero. */
static char *
put_time(char *out, const TsCivil *wall, int usec)
{
	out = put_char(put_digits(out, 2, wall->hour), ':');
	out = put_char(put_digits(out, 2, wall->minute), ':');
	out = put_digits(out, 2, wall->second);
	if (usec == 0)
		return out;
	out = put_digits(put_char(out, '.'), 6, usec);
	while (out[-1] == '0')
		out--;
	return out;
}

char *
ts_date_text(const TsCivil *wall)
{
	char	   *text = palloc(sizeof("9999-12-31"));

	*put_date(text, wall) = '\0';
	return text;
}

char *
ts_time_text(const TsCivil *wall, int usec)
{
	char	   *text = palloc(sizeof("23:59:59.999999"));

	*put_time(text, wall, usec) = '\0';
	return text;
}

/*
 * ts_timestamp_text
 *		The canonical text of an instant; NULL outside the years 1 to 9999.
 */
char *
ts_timestamp_text(int64 usec)
{
	char	   *text;
	char	   *end;
	TsCivil		wall;
	int64		seconds = usec / TS_USECS_PER_SEC;
	int			fraction = usec % TS_USECS_PER_SEC;

	if (fraction < 0)
	{
		fraction += TS_USECS_PER_SEC;
		seconds--;
	}
	if (!ts_wall_from_seconds(seconds, &wall))
		return NULL;
	text = palloc(sizeof("9999-12-31T23:59:59.999999+00:00"));
	end = put_char(put_date(text, &wall), 'T');
	strcpy(put_time(end, &wall, fraction), "+00:00");
	return text;
}
