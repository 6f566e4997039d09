/*-------------------------------------------------------------------------
 *
 * vtodo_parts.h
 *	  What the files of the VTODO codec share; see vtodo.h for its entrance.
 *
 * A VTODO is read part by part (dates, alarm, the rest) and written part by
 * part: each writer compares what it read with what is wanted and touches its
 * own lines only.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TASKSYNC_VTODO_PARTS_H
#define TASKSYNC_VTODO_PARTS_H

#include "provider/caldav/contentline.h"
#include "provider/caldav/icaltime.h"
#include "provider/caldav/vtodo.h"

/* DTSTART, DUE and DURATION of a VTODO as they stand. */
typedef struct TsVtodoDates
{
	TsIcalLine *start_line;		/* NULL: none that can be read */
	TsIcalLine *due_line;
	TsIcalLine *duration_line;
	bool		has_start;
	bool		has_due;
	bool		due_by_duration;	/* due is start + DURATION */
	bool		start_ignored;	/* it is after the due */
	TsIcalTime	start;
	TsIcalTime	due;
	char	   *zone;			/* the task's one zone */
} TsVtodoDates;

/* The alarm that stands for remind_at. */
typedef struct TsVtodoAlarm
{
	TsIcalComponent *comp;		/* NULL: there is none */
	TsIcalLine *trigger;
	int64		at;				/* seconds since the epoch */
} TsVtodoAlarm;

/* An edit under way. */
typedef struct TsVtodoEdit
{
	TsIcalDoc  *doc;
	TsIcalComponent *todo;		/* the master VTODO */
	const TsVtodoOptions *opt;
	const char *default_zone;
	TsFieldMask changed;
	TsTask		was;			/* as decoded before the edit */
	TsTask		want;			/* was, with the changed fields as wanted */
	TsVtodoDates dates;			/* as read before the edit */
	TsVtodoAlarm alarm;			/* likewise */
} TsVtodoEdit;

/* decode */
extern TsIcalComponent *ts_vtodo_master(const TsIcalDoc *doc);
extern TsIcalComponent *ts_vtodo_next(const TsIcalDoc *doc, const TsIcalComponent *after);
extern void ts_vtodo_read(const TsIcalDoc *doc, const TsIcalComponent *todo,
						  const char *default_zone, TsTask *task);
extern const char *ts_vtodo_default_zone(const TsVtodoOptions *opt);
extern char *ts_vtodo_one_line(const char *text);
extern const char *ts_vtodo_status_word(const TsIcalComponent *todo);
extern TsIcalLine *ts_vtodo_parent_line(const TsIcalComponent *todo);
extern int	ts_vtodo_line_tags(const TsIcalLine *line, char ***tags);

/* dates */
extern void ts_vtodo_read_dates(const TsIcalDoc *doc, const TsIcalComponent *todo,
								TsVtodoDates *dates);
extern void ts_vtodo_dates_to_task(const TsVtodoDates *dates, TsTask *task);
extern bool ts_vtodo_write_dates(TsVtodoEdit *edit, TsError *err);
extern void ts_vtodo_put_time(TsVtodoEdit *edit, const char *name, TsIcalLine *line,
							  const TsIcalTime *was, const TsIcalTime *t);

/* alarm */
extern void ts_vtodo_read_alarm(const TsIcalDoc *doc, const TsIcalComponent *todo,
								const TsVtodoDates *dates, const char *default_zone,
								TsVtodoAlarm *alarm);
extern void ts_vtodo_write_alarm(TsVtodoEdit *edit);
extern void ts_vtodo_shift_alarms(TsVtodoEdit *edit, int64 seconds);

/* completion */
extern void ts_vtodo_write_completion(TsVtodoEdit *edit);
extern bool ts_vtodo_advance(TsVtodoEdit *edit);
extern bool ts_vtodo_add_exception(TsVtodoEdit *edit);
extern int64 ts_vtodo_completion_time(const TsVtodoEdit *edit);
extern void ts_vtodo_put_completed(TsVtodoEdit *edit, TsIcalComponent *todo);

extern bool ts_vtodo_differs(const TsVtodoEdit *edit, TsField f);

/* single properties: value escaped; NULL removes every line of that name */
extern void ts_vtodo_put(TsVtodoEdit *edit, TsIcalComponent *todo,
						 const char *name, const char *value);
extern void ts_vtodo_put_instant(TsVtodoEdit *edit, TsIcalComponent *todo,
								 const char *name, int64 usec);
extern char *ts_vtodo_utc(int64 usec);

#endif							/* TASKSYNC_VTODO_PARTS_H */
