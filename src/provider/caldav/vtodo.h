/*-------------------------------------------------------------------------
 *
 * vtodo.h
 *	  The VTODO codec: an iCalendar object <-> the canonical task.
 *
 * Decoding reads what servers really store, with the repairs that good clients
 * make.  Encoding never prints an object anew: it edits the text as last seen,
 * and only the lines of the fields that changed (plus LAST-MODIFIED and
 * DTSTAMP) differ afterwards.  Where nothing changes the text comes back byte
 * for byte.
 *
 * A task is the master VTODO of its resource; overrides of single occurrences
 * (RECURRENCE-ID) are carried along and never read as tasks.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TASKSYNC_VTODO_H
#define TASKSYNC_VTODO_H

#include "task/task.h"

/* What completing a recurring task does to its object. */
typedef enum TsRecurringCompletion
{
	TS_RECURRING_ADVANCE,		/* the master moves on to the next occurrence */
	TS_RECURRING_EXCEPTION		/* the occurrence gets an override that is done */
} TsRecurringCompletion;

typedef struct TsVtodoOptions
{
	const char *uid;			/* encode: a new object's UID */
	int64		now;			/* encode: microseconds since 1970-01-01 UTC */
	const char *default_time_zone;	/* instants of floating times; NULL: UTC */
	TsRecurringCompletion recurring_completion;
} TsVtodoOptions;

typedef struct TsVtodo
{
	bool		is_vtodo;		/* false: other components only; the rest is empty */
	TsTask		task;			/* all fields known; parent_task_id: the parent's UID */
	char	   *uid;			/* NULL: it has none */
	char	   *parent_uid;
	char	   *last_modified;	/* canonical timestamp or NULL */
	bool		is_recurring;
	bool		has_overrides;
	int			ntodos;			/* VTODOs in the object, overrides included */
} TsVtodo;

/*
 * ts_vtodo_decode
 *		Read an iCalendar object of "len" bytes (RFC 5545).
 *
 * opt may be NULL; only its default_time_zone is looked at.  False with *err
 * set (TS502) when the text is not an iCalendar object.  An object without a
 * VTODO is no error: is_vtodo is false then.
 */
extern bool ts_vtodo_decode(const char *payload, size_t len, const TsVtodoOptions *opt,
							TsVtodo *out, TsError *err);

/*
 * ts_vtodo_encode
 *		The object's text with the fields in "changed" set to task's values.
 *
 * onto: the object as last seen; NULL: a new object of all fields that the
 * task knows, whatever "changed" says.  Returns NULL with *err set: TS502 when
 * onto is not an object with a VTODO, 22023 when the task cannot be written or
 * a new object has no UID.
 */
extern char *ts_vtodo_encode(const TsTask *task, TsFieldMask changed,
							 const char *onto, size_t onto_len,
							 const TsVtodoOptions *opt, TsError *err);

#endif							/* TASKSYNC_VTODO_H */
