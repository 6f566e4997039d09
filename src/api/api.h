/*-------------------------------------------------------------------------
 *
 * api.h
 *	  The SQL-callable functions: check, call, return.
 *
 * Every function that touches our tables does so between ts_api_begin() and
 * ts_api_end(): the caller's identity is taken first, then the owner's is put
 * on, and all statements name the user_id.  What is wrong with an argument is
 * told with 22023, an id that is not the caller's with P0002.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TASKSYNC_API_H
#define TASKSYNC_API_H

#include "postgres.h"

#include "fmgr.h"
#include "provider/provider.h"
#include "store/backend.h"
#include "store/sql.h"
#include "tasksync.h"

typedef struct TsCall
{
	char	   *user_id;		/* the caller's */
	MemoryContext cxt;			/* the function's own: results go here */
	TsIdentity	identity;
} TsCall;

extern void ts_api_begin(TsCall *call);
extern void ts_api_end(TsCall *call);

/* Arguments as C strings in the current context; NULL when NULL. */
extern char *ts_arg_text(FunctionCallInfo fcinfo, int n);
extern char *ts_arg_uuid(FunctionCallInfo fcinfo, int n);
extern char *ts_arg_jsonb(FunctionCallInfo fcinfo, int n);
extern Datum ts_uuid_datum(const char *s);
extern Datum ts_jsonb_datum(const char *s);

/* Errors: another's id is as unknown as one that never was. */
extern void ts_no_such(const char *what, const char *id) pg_attribute_noreturn();
extern void ts_bad_value(const char *what, const char *value, const char *hint) pg_attribute_noreturn();
extern void ts_required(FunctionCallInfo fcinfo, int n, const char *name);

/*
 * One row as a composite Datum, by a statement that selects a whole row ("SELECT
 * t FROM …") by id and user; P0002 where there is none.
 */
extern Datum ts_row_by_id(TsStatement *stmt, const char *what, TsArg id, const char *id_text,
						  const TsCall *call);

/* A member of a JSON object as text, or NULL. */
extern char *ts_json_member(const char *json, const char *name);

/* types.c: the provider of a type (22023: unknown); the columns of a mask as text[]. */
extern const TsProvider *ts_known_type(const char *type);
extern Datum ts_field_names(TsFieldMask mask);

/*
 * mapping.c: a mapping as create_mapping() makes it by default (project_id
 * NULL: with a new project), but without its first sync; its id.
 */
extern char *ts_make_mapping(const char *user_id, const char *provider_id, const char *list_id,
							 const char *project_id);

/*
 * mapping.c: an external_list_id that a user gave: 22023 where there is none,
 * and the same in the provider's own spelling (22023 where it can be no list's).
 */
extern void ts_check_list_id(const char *given);
extern char *ts_list_id(const char *given, const TsProviderRow *row);

/* jobs: queue one unless it is queued already; its id.  (job.c) */
extern int64 ts_queue_job(const char *user_id, const char *provider_id, const char *mapping_id);

#endif							/* TASKSYNC_API_H */
