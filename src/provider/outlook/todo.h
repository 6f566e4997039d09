/*-------------------------------------------------------------------------
 *
 * todo.h
 *	  The codec: a todoTask of Microsoft Graph, as JSON, and a task.
 *
 * A payload is the JSON of a todoTask as an answer showed it.  Encoding onto
 * one gives the task as it is expected to be, with one member more,
 * "@tasksync.patch": what is to be sent, which is only what changed.  Encoding
 * without one gives the new task as it is to be sent.  A payload that was
 * encoded can be decoded and encoded onto like any other.
 *
 * Fields that the service has no exact word for:
 *
 *	  status		waitingOnOthers is IN_PROGRESS, deferred TODO; CANCELLED is
 *					written as completed
 *	  priority		normal is NONE, MEDIUM is written as normal
 *	  due, start	days; the service has instants of some zone's midnight
 *	  completed_at	a day, at noon UTC, which is that day nearly everywhere; the
 *					service sets it, and nothing is ever sent of it
 *	  description	text; HTML is read as the text it shows; blanks that HTML
 *					would not show are written as no-break spaces
 *
 * todo_decode.c, todo_encode.c, todo_body.c (HTML), todo_date.c, todo_recur.c.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TASKSYNC_TODO_H
#define TASKSYNC_TODO_H

#include "provider/outlook/jsontree.h"
#include "provider/provider.h"

#define TS_TODO_FIELDS \
	(TS_FIELD_BIT(TS_TITLE) | TS_FIELD_BIT(TS_DESCRIPTION) | TS_FIELD_BIT(TS_STATUS) | \
	 TS_FIELD_BIT(TS_PRIORITY) | TS_FIELD_BIT(TS_START_DATE) | TS_FIELD_BIT(TS_DUE_DATE) | \
	 TS_FIELD_BIT(TS_COMPLETED_AT) | TS_FIELD_BIT(TS_RECURRENCE_RULE) | \
	 TS_FIELD_BIT(TS_REMIND_AT) | TS_FIELD_BIT(TS_TAGS))

extern bool ts_todo_decode(const char *payload, size_t len, const TsCodecOptions *opt,
						   TsRemoteTask *out, TsError *err);
extern char *ts_todo_encode(const TsTask *task, TsFieldMask changed, const char *onto,
							size_t onto_len, const TsCodecOptions *opt, TsError *err);

/* What of a payload that was encoded is to be sent: JSON, or NULL for nothing. */
extern char *ts_todo_shown(const char *payload, size_t len);
extern char *ts_todo_body(const char *payload, size_t len, TsError *err);

/* ---------- within the codec ---------- */

#define TS_TODO_PATCH		"@tasksync.patch"
#define TS_TODO_APPLICATION "tasksync"
#define TS_TODO_NO_TITLE	"(no title)"

extern bool ts_todo_read(const TsJson *root, const TsCodecOptions *opt, TsRemoteTask *out, TsError *err);
extern const char *ts_todo_zone(const TsCodecOptions *opt);
extern char *ts_todo_trimmed(const char *text); /* as a title is */

/*
 * Dates (todo_date.c).  value: a dateTimeTimeZone, NULL or JSON's null.
 *
 * ts_todo_date: the day that is meant; *result NULL where there is none.
 * ts_todo_instant: the instant; *result NULL where there is none.
 * ts_todo_noon: of a day, the instant in the middle.
 * ts_todo_put_date, ts_todo_put_instant: a member of that kind, or null.
 */
extern bool ts_todo_date(const TsJson *value, const char *zone, char **result, TsError *err);
extern bool ts_todo_instant(const TsJson *value, const char *zone, char **result, TsError *err);
extern char *ts_todo_noon(const char *date);
extern void ts_todo_put_date(StringInfo out, const char *name, const char *date, const char *zone);
extern void ts_todo_put_instant(StringInfo out, const char *name, const char *timestamp);

/*
 * Bodies (todo_body.c): the text that an itemBody shows, in the one form that
 * all texts are compared in; NULL where it shows none.  ts_todo_lasting_text: a
 * text in that form, as it is to be sent.  ts_todo_text_as_html: what it shows if
 * the service makes HTML of it.
 */
extern bool ts_todo_text(const TsJson *body, char **result, TsError *err);
extern char *ts_todo_normal_text(const char *text);
extern char *ts_todo_lasting_text(const char *text);
extern char *ts_todo_text_as_html(const char *text);

/*
 * Recurrence (todo_recur.c).
 *
 * ts_todo_rule: a patternedRecurrence as a rule; *result NULL where there is none.
 * ts_todo_range_text: its end as it stands in a rule (";COUNT=3", or empty).
 * ts_todo_pattern, ts_todo_range: a rule in two parts, as JSON; false with *err
 *		set (22023) where the service has no words for it.
 * ts_todo_follows_due: does a rule leave the day to the due date, and is "there"
 *		the same on some day?
 */
extern bool ts_todo_rule(const TsJson *recurrence, char **result, TsError *err);
extern char *ts_todo_range_text(const TsJson *recurrence);
extern bool ts_todo_pattern(const char *rule, const char *due_date, StringInfo out, TsError *err);
extern bool ts_todo_range(const char *rule, const char *due_date, const char *zone,
						  StringInfo out, TsError *err);
extern bool ts_todo_follows_due(const char *rule, const char *there, const char *zone);

#endif							/* TASKSYNC_TODO_H */
