/*-------------------------------------------------------------------------
 *
 * jsontree.h
 *	  JSON as a tree, and written.
 *
 * PostgreSQL's own JSON parser reads (libpgcommon); here its events become a
 * tree in CurrentMemoryContext.  Every value knows its own text, so that what
 * a service sent can be kept and sent on as it came.
 *
 * What one string of one task holds must not make all others unreadable: bytes
 * that are no UTF-8, \u0000 and halves of surrogate pairs, none of which can
 * be stored, are read as U+FFFD.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TASKSYNC_JSONTREE_H
#define TASKSYNC_JSONTREE_H

#include "task/task.h"

typedef enum TsJsonKind
{
	TS_JSON_NULL,
	TS_JSON_BOOL,
	TS_JSON_NUMBER,
	TS_JSON_STRING,
	TS_JSON_ARRAY,
	TS_JSON_OBJECT
} TsJsonKind;

typedef struct TsJson
{
	TsJsonKind	kind;
	char	   *name;			/* a member's, or NULL */
	char	   *text;			/* of a string; of a number as it was written */
	bool		boolean;
	const char *raw;			/* the value's own text … */
	size_t		raw_len;
	struct TsJson *first;		/* elements, members */
	struct TsJson *last;
	struct TsJson *next;
} TsJson;

/* NULL with *err set (TS502) where it is no JSON, or nested too deeply. */
extern TsJson *ts_json_parse(const char *text, size_t len, TsError *err);

/*
 * Asking for a member that is not there, or not of the kind, or of NULL or
 * of what is no object, is no fault: the answer is NULL, false, or "otherwise".
 */
extern const TsJson *ts_json_get(const TsJson *object, const char *name);
extern const TsJson *ts_json_get_kind(const TsJson *object, const char *name, TsJsonKind kind);
extern const char *ts_json_get_string(const TsJson *object, const char *name);
extern bool ts_json_get_bool(const TsJson *object, const char *name);
extern int	ts_json_get_int(const TsJson *object, const char *name, int otherwise);
extern int	ts_json_int(const TsJson *value, int otherwise);
extern char *ts_json_raw(const TsJson *value);

/* Do two texts hold the same value?  The order of members does not matter. */
extern bool ts_json_same(const TsJson *a, const TsJson *b);

/* Writing an object: its members one after the other; raw text must be JSON. */
extern void ts_json_open(StringInfo out);
extern void ts_json_close(StringInfo out);
extern void ts_json_put_raw(StringInfo out, const char *name, const char *raw, size_t len);
extern void ts_json_put_members(StringInfo out, const TsJson *object, const char *without);	/* all but one; NULL: all */
extern char *ts_json_without(const TsJson *object, const char *name);
extern void ts_json_put_string(StringInfo out, const char *name, const char *value);

#endif							/* TASKSYNC_JSONTREE_H */
