/*-------------------------------------------------------------------------
 *
 * row.c
 *	  A trigger's row, taken apart and put together again.
 *
 *-------------------------------------------------------------------------
 */
#include "track/track.h"

#include "executor/executor.h"
#include "optimizer/optimizer.h"
#include "rewrite/rewriteHandler.h"
#include "utils/datum.h"
#include "utils/rel.h"

/* the bits of TriggerEvent that say at which level and time a trigger fires */
#define LEVEL_AND_TIME	(TRIGGER_EVENT_ROW | TRIGGER_EVENT_TIMINGMASK)

static Datum default_of_column(Relation rel, int attnum, bool *isnull);
static void keep_column(const TsRow *row, const TsRow *old, Relation rel,
						const char *name);

TriggerData *
ts_trigger_data(FunctionCallInfo fcinfo, TriggerEvent when)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function was not called by the trigger manager")));
	if ((trigger->tg_event & LEVEL_AND_TIME) != when)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("trigger \"%s\" fires at the wrong level or time",
						trigger->tg_trigger->tgname)));
	return trigger;
}

void
ts_row_open(TsRow *row, TupleDesc desc, HeapTuple tuple)
{
	row->desc = desc;
	row->tuple = tuple;
	row->values = palloc(desc->natts * sizeof(Datum));
	row->nulls = palloc(desc->natts * sizeof(bool));
	row->changed = false;
	heap_deform_tuple(tuple, desc, row->values, row->nulls);
}

int
ts_row_column(const TsRow *row, const char *name)
{
	int			attnum = SPI_fnumber(row->desc, name);

	if (attnum <= 0)
		elog(ERROR, "table of the trigger has no column \"%s\"", name);
	return attnum - 1;
}

void
ts_row_set(TsRow *row, int column, Datum value)
{
	row->values[column] = value;
	row->nulls[column] = false;
	row->changed = true;
}

void
ts_row_set_null(TsRow *row, int column)
{
	if (row->nulls[column])
		return;
	row->nulls[column] = true;
	row->changed = true;
}

bool
ts_row_same(const TsRow *a, const TsRow *b, int column)
{
	Form_pg_attribute att = TupleDescAttr(a->desc, column);

	if (a->nulls[column] || b->nulls[column])
		return a->nulls[column] == b->nulls[column];
	return datum_image_eq(a->values[column], b->values[column],
						  att->attbyval, att->attlen);
}

/*
 * heap_form_tuple would do, but for what the old tuple's header carries
 * (t_self above all), which an UPDATE still needs.
 */
Datum
ts_row_result(const TsRow *row)
{
	HeapTuple	tuple;

	if (!row->changed)
		return PointerGetDatum(row->tuple);
	tuple = heap_form_tuple(row->desc, row->values, row->nulls);
	tuple->t_data->t_ctid = row->tuple->t_data->t_ctid;
	tuple->t_self = row->tuple->t_self;
	tuple->t_tableOid = row->tuple->t_tableOid;
	return PointerGetDatum(tuple);
}

void
ts_row_fill_defaults(TsRow *row, Relation rel)
{
	for (int i = 0; i < row->desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(row->desc, i);
		bool		isnull;
		Datum		value;

		if (!row->nulls[i] || !att->attnotnull || !att->atthasdef)
			continue;
		value = default_of_column(rel, i + 1, &isnull);
		if (!isnull)
			ts_row_set(row, i, value);
	}
}

/* The default of a column, computed now, in CurrentMemoryContext. */
static Datum
default_of_column(Relation rel, int attnum, bool *isnull)
{
	Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel), attnum - 1);
	EState	   *estate = CreateExecutorState();
	MemoryContext caller = MemoryContextSwitchTo(estate->es_query_cxt);
	Expr	   *expr = expression_planner((Expr *) build_column_default(rel, attnum));
	Datum		value;

	value = ExecEvalExprSwitchContext(ExecInitExpr(expr, NULL),
									  GetPerTupleExprContext(estate), isnull);
	MemoryContextSwitchTo(caller);
	if (!*isnull)
		value = datumCopy(value, att->attbyval, att->attlen);
	FreeExecutorState(estate);
	return value;
}

void
ts_row_keep_ids(const TsRow *row, const TsRow *old, Relation rel)
{
	keep_column(row, old, rel, "id");
	keep_column(row, old, rel, "user_id");
}

static void
keep_column(const TsRow *row, const TsRow *old, Relation rel, const char *name)
{
	int			column = ts_row_column(row, name);

	if (!ts_row_same(row, old, column))
		ereport(ERROR,
				(errcode(ERRCODE_CHECK_VIOLATION),
				 errmsg("column \"%s\" of table \"%s\" cannot be changed",
						name, RelationGetRelationName(rel)),
				 errhint("Delete the row and insert another one."),
				 errtablecol(rel, column + 1)));
}
