/*-------------------------------------------------------------------------
 *
 * api.c
 *	  What the SQL-callable functions share.
 *
 *-------------------------------------------------------------------------
 */
#include "api/api.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/uuid.h"

/* From here on we are the owner; an ERROR puts everything back by itself. */
void
ts_api_begin(TsCall *call)
{
	ts_require_version();
	call->cxt = CurrentMemoryContext;
	call->user_id = ts_current_user_id();
	SPI_connect();
	ts_become_owner(&call->identity);
	MemoryContextSwitchTo(call->cxt);
}

void
ts_api_end(TsCall *call)
{
	ts_restore_identity(&call->identity);
	SPI_finish();
	MemoryContextSwitchTo(call->cxt);
}

char *
ts_arg_text(FunctionCallInfo fcinfo, int n)
{
	return PG_ARGISNULL(n) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(n));
}

char *
ts_arg_uuid(FunctionCallInfo fcinfo, int n)
{
	return PG_ARGISNULL(n) ? NULL
		: DatumGetCString(DirectFunctionCall1(uuid_out, PG_GETARG_DATUM(n)));
}

char *
ts_arg_jsonb(FunctionCallInfo fcinfo, int n)
{
	return PG_ARGISNULL(n) ? NULL
		: DatumGetCString(DirectFunctionCall1(jsonb_out, PG_GETARG_DATUM(n)));
}

Datum
ts_uuid_datum(const char *s)
{
	return DirectFunctionCall1(uuid_in, CStringGetDatum(s));
}

Datum
ts_jsonb_datum(const char *s)
{
	return DirectFunctionCall1(jsonb_in, CStringGetDatum(s));
}

void
ts_no_such(const char *what, const char *id)
{
	ereport(ERROR,
			(errcode(ERRCODE_NO_DATA_FOUND),
			 errmsg("%s \"%s\" does not exist", what, id ? id : "")));
}

void
ts_bad_value(const char *what, const char *value, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid %s: \"%s\"", what, value ? value : ""),
			 hint ? errhint("%s", hint) : 0));
}

void
ts_required(FunctionCallInfo fcinfo, int n, const char *name)
{
	if (PG_ARGISNULL(n))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must not be null", name)));
}

Datum
ts_row_by_id(TsStatement *stmt, const char *what, TsArg id, const char *id_text,
			 const TsCall *call)
{
	MemoryContext old;
	bool		isnull;
	Datum		row;

	if (id.isnull || ts_run(stmt, id, ts_text(call->user_id)) == 0)
		ts_no_such(what, id_text);
	old = MemoryContextSwitchTo(call->cxt);
	row = datumCopy(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull),
					false, -1);
	MemoryContextSwitchTo(old);
	return row;
}

char *
ts_json_member(const char *json, const char *name)
{
	LOCAL_FCINFO(fcinfo, 2);
	Datum		result;

	InitFunctionCallInfoData(*fcinfo, NULL, 2, InvalidOid, NULL, NULL);
	fcinfo->args[0].value = CStringGetTextDatum(json);
	fcinfo->args[0].isnull = false;
	fcinfo->args[1].value = CStringGetTextDatum(name);
	fcinfo->args[1].isnull = false;
	result = json_object_field_text(fcinfo);
	return fcinfo->isnull ? NULL : TextDatumGetCString(result);
}
