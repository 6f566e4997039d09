/*-------------------------------------------------------------------------
 *
 * types.c
 *	  Which services there are, for callers.
 *
 *-------------------------------------------------------------------------
 */
#include "api/api.h"

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "provider/provider.h"
#include "utils/array.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(tasksync_registered_types);

static const struct
{
	uint32		cap;
	const char *name;
}			capabilities[] = {
	{TS_CAP_CONDITIONAL, "conditional_writes"},
	{TS_CAP_MOVE, "move"},
	{TS_CAP_CLIENT_IDS, "client_ids"},
	{TS_CAP_LISTS, "lists"},
	{TS_CAP_READ_BACK, "read_back"},
	{TS_CAP_ACCOUNT, "account"}
};

/* The provider of a type; 22023 where there is none (type may be NULL). */
const TsProvider *
ts_known_type(const char *type)
{
	const TsProvider *p = type ? ts_provider_lookup(type) : NULL;

	if (p == NULL)
		ts_bad_value("provider type", type,
					 "SELECT type FROM tasksync.provider_types lists the types.");
	return p;
}

/* {"move": true, "lists": true, …, "fetch_batch": n, "push_batch": n} */
static Datum
capabilities_datum(const TsProvider *p)
{
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfoChar(&buf, '{');
	for (int i = 0; i < lengthof(capabilities); i++)
		appendStringInfo(&buf, "\"%s\": %s, ", capabilities[i].name,
						 p->caps & capabilities[i].cap ? "true" : "false");
	appendStringInfo(&buf, "\"fetch_batch\": %d, \"push_batch\": %d}",
					 p->fetch_batch, p->push_batch);
	return ts_jsonb_datum(buf.data);
}

/* The columns of a field mask, as text[]. */
Datum
ts_field_names(TsFieldMask mask)
{
	Datum		names[TS_NFIELDS];
	int			n = 0;

	for (TsField f = 0; f < TS_NFIELDS; f++)
		if (mask & TS_FIELD_BIT(f))
			names[n++] = CStringGetTextDatum(ts_field_info[f].name);
	return PointerGetDatum(construct_array(names, n, TEXTOID, -1, false, TYPALIGN_INT));
}

/*
 * registered_types() → SETOF (type text, name text, carries text[],
 *		capabilities jsonb): what the view provider_types shows.  "carries" are
 *		the columns of a task that the service has a word for.
 */
Datum
tasksync_registered_types(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	const TsProvider *p;

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; (p = ts_provider_nth(i)) != NULL; i++)
	{
		Datum		values[4] = {
			CStringGetTextDatum(p->type),
			CStringGetTextDatum(p->name),
			ts_field_names(p->carries),
			capabilities_datum(p)
		};
		bool		nulls[4] = {0};

		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}
