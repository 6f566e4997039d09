/*-------------------------------------------------------------------------
 *
 * task.h
 *	  The canonical task: what every room agrees a task is.
 *
 * A task is an array of optional text values, one a field, each in the one
 * canonical form of its kind, so that comparing, storing, merging and sending
 * a field never needs to know which field it is:
 *
 *	  text			as it is (UTF-8)
 *	  word			upper case, from the field's set (STATUS, PRIORITY)
 *	  date			2026-11-22			a calendar day, never an instant
 *	  time			17:30:00			a wall-clock time, never an instant
 *	  timestamp		2026-11-22T16:30:00+00:00  (UTC; .ffffff when not zero)
 *	  integer		decimal
 *	  zone			an IANA name; NULL = floating
 *	  rule			an RFC 5545 RRULE value without its "RRULE:"
 *	  tags			a JSON array of strings, compared as a set
 *	  reference		the parent task; our side: its uuid; a service's side: the
 *					parent's id there (whatever the service calls it)
 *
 * These are the forms that to_jsonb(row of tasksync.task) gives in a session
 * with time zone UTC, so a jsonb base and a row compare by bytes.
 *
 * A value of NULL is SQL's NULL ("not set").  "known" says which fields the
 * record speaks of at all: a base read back from a half-recorded write, or a
 * service without tags, leaves bits off, and an unknown field is neither equal
 * to nor different from anything but itself.
 *
 * This room is pure: it uses PostgreSQL's memory contexts, StringInfo and JSON
 * lexer, and nothing else of a server.  Errors come back by value (TsError).
 * All results are allocated in CurrentMemoryContext.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TASKSYNC_TASK_H
#define TASKSYNC_TASK_H

#include "lib/stringinfo.h"

/* In the order of the table's columns; the names are the column names. */
typedef enum TsField
{
	TS_TITLE,
	TS_DESCRIPTION,
	TS_STATUS,
	TS_PRIORITY,
	TS_START_DATE,
	TS_START_TIME,
	TS_DUE_DATE,
	TS_DUE_TIME,
	TS_TIME_ZONE,
	TS_DURATION_MINUTES,
	TS_PERCENT_COMPLETE,
	TS_COMPLETED_AT,
	TS_RECURRENCE_RULE,
	TS_REMIND_AT,
	TS_TAGS,
	TS_URL,
	TS_PARENT_TASK_ID,
	TS_NFIELDS
} TsField;

typedef uint32 TsFieldMask;

#define TS_FIELD_BIT(f)		(((TsFieldMask) 1) << (f))
#define TS_ALL_FIELDS		((((TsFieldMask) 1) << TS_NFIELDS) - 1)

typedef enum TsKind
{
	TS_KIND_TEXT,
	TS_KIND_WORD,
	TS_KIND_DATE,
	TS_KIND_TIME,
	TS_KIND_TIMESTAMP,
	TS_KIND_INTEGER,
	TS_KIND_ZONE,
	TS_KIND_RULE,
	TS_KIND_TAGS,
	TS_KIND_REFERENCE
} TsKind;

typedef struct TsFieldInfo
{
	const char *name;			/* the column's name */
	TsKind		kind;
	const char *const *words;	/* TS_KIND_WORD: the allowed words, NULL ends */
	const char *fallback;		/* NOT NULL columns: the default, else NULL */
} TsFieldInfo;

extern const TsFieldInfo ts_field_info[TS_NFIELDS];

typedef struct TsTask
{
	TsFieldMask known;			/* fields this record speaks of */
	char	   *value[TS_NFIELDS];	/* canonical text, NULL = not set */
} TsTask;

/*
 * An error by value.  sqlstate is one of the contract's ("22023", "TS502" …);
 * "" means no error.  No text here may ever hold a secret.
 */
typedef struct TsError
{
	char		sqlstate[6];
	char	   *message;		/* one line, names the object */
	char	   *detail;			/* what the service said, or NULL */
	char	   *hint;			/* what the user can do, or NULL */
} TsError;

#define ts_failed(err)	((err)->sqlstate[0] != '\0')

extern void ts_error(TsError *err, const char *sqlstate, const char *fmt,...) pg_attribute_printf(3, 4);
extern void ts_error_detail(TsError *err, const char *fmt,...) pg_attribute_printf(2, 3);
extern void ts_error_hint(TsError *err, const char *fmt,...) pg_attribute_printf(2, 3);
extern char *ts_error_text(const TsError *err);	/* all of it, as psql shows it */
extern void ts_error_copy(TsError *to, const TsError *from, MemoryContext cxt);

/*
 * Records.
 *
 * ts_field_by_name: -1 when there is no such field.
 * ts_value_equal: compares by the field's kind (tags as sets); NULL equals NULL.
 * ts_task_diff: fields among "mask" that both know and that differ, plus those
 *		that exactly one of the two knows.
 */
extern int	ts_field_by_name(const char *name, size_t len);
extern bool ts_value_equal(TsField f, const char *a, const char *b);
extern TsFieldMask ts_task_diff(const TsTask *a, const TsTask *b, TsFieldMask mask);
extern void ts_task_copy(TsTask *to, const TsTask *from);

/*
 * JSON objects whose keys are column names.
 *
 * ts_task_from_json: unknown keys are ignored, keys that are not there stay
 *		unknown, values are checked and brought to canonical form (22023).
 * ts_task_to_json: the known fields among mask, NULLs included.
 */
extern bool ts_task_from_json(const char *json, size_t len, TsTask *task, TsError *err);
extern void ts_task_to_json(const TsTask *task, TsFieldMask mask, StringInfo out);

/* ts_value_canonical: check and normalise one value; NULL with err set if bad. */
extern char *ts_value_canonical(TsField f, const char *raw, TsError *err);

/* tags: the JSON array <-> C strings; order kept, duplicates dropped */
extern char **ts_tags_split(const char *json, int *n);
extern char *ts_tags_join(char **tags, int n);

/* ... and as sets: in place without duplicates; a sorted copy, to look things up in */
extern int	ts_tags_unique(char **tags, int n);
extern char **ts_tags_sorted(char **tags, int n);
extern bool ts_tags_contain(char **sorted, int n, const char *tag);

extern void ts_json_string(StringInfo out, const char *s);	/* append "quoted" */

/*
 * members.c
 *
 * ts_json_members: calls found for each member of the object that is a string,
 *		a number or a truth value; false: no JSON (what was found before is void).
 * ts_json_setting: a string among settings (NULL: none); NULL when it is not
 *		there, with err set (22023) when the settings are no JSON.
 */
typedef void (*TsMemberFound) (void *arg, const char *name, const char *value, bool is_string);

extern bool ts_json_members(const char *json, size_t len, TsMemberFound found, void *arg);
extern char *ts_json_setting(const char *json, const char *name, TsError *err);

/* Is it nested so little that the parser, which recurses, may read it? */
extern bool ts_json_is_shallow(const char *json, size_t len);

#endif							/* TASKSYNC_TASK_H */
