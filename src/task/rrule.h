/*-------------------------------------------------------------------------
 *
 * rrule.h
 *	  Recurrence rules (RFC 5545, 3.3.10) as far as tasks need them.
 *
 * A rule is a text that we check and pass on; it is never expanded.  The one
 * thing done with it is to find the occurrence that follows a given one, when
 * a recurring task is completed and moves on.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TASKSYNC_RRULE_H
#define TASKSYNC_RRULE_H

#include "task/datetime.h"
#include "task/task.h"

/*
 * ts_rrule_canonical: the rule without "RRULE:" and blanks, in capitals, its
 *		parts in the order given; NULL when it is not a rule.
 * ts_rrule_next: the occurrence after "from", which is one itself; "is_date"
 *		when the series has days without times; "zone" (NULL: floating) is what
 *		an UNTIL in UTC is measured with.  False when the series ends there, or
 *		when the rule is of a sort that tasks do not have (see rrule.c).
 * ts_rrule_count_down: the rule with its COUNT, if it has one, one less.
 */
extern char *ts_rrule_canonical(const char *raw);
extern bool ts_rrule_next(const char *rule, const TsCivil *from, bool is_date,
						  const char *zone, TsCivil *next);
extern char *ts_rrule_count_down(const char *rule);

/*
 * A rule taken to pieces (rrule_parts.c), as far as services that have no
 * RRULE could say it.
 */
#define TS_RRULE_MAX_DAYS	16
#define TS_NO_WEEKDAY		(-1)

typedef enum TsRruleFreq
{
	TS_FREQ_DAILY,
	TS_FREQ_WEEKLY,
	TS_FREQ_MONTHLY,
	TS_FREQ_YEARLY,
	TS_FREQ_OTHER
} TsRruleFreq;

typedef struct TsRruleParts
{
	TsRruleFreq freq;
	int			interval;
	int			count;			/* 0: none */
	bool		has_until;
	TsCivil		until;
	bool		until_is_date;
	bool		until_is_utc;
	struct
	{
		int			weekday;	/* 0 = Sunday */
		int			nth;		/* 0: every one */
	}			day[TS_RRULE_MAX_DAYS];
	int			ndays;
	int			month_day;		/* 0: none */
	int			month;			/* 0: none */
	int			set_pos;		/* 0: none */
	int			week_start;		/* 0 = Sunday, or TS_NO_WEEKDAY */
	bool		too_much;		/* it says more than stands here */
} TsRruleParts;

extern bool ts_rrule_parts(const char *rule, TsRruleParts *parts);

#endif							/* TASKSYNC_RRULE_H */
