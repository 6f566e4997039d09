/*-------------------------------------------------------------------------
 *
 * sql.c
 *	  Prepared statements of this room (see sql.h).
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "store/sql.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/queryenvironment.h"
#include "utils/tuplestore.h"
#include "utils/uuid.h"

/*
 * A cached plan is that of the tables as they were when it was made.  Made for
 * tables that were empty, it walks a whole index for each element of an array,
 * and a first pull gives it a thousand.  Calls with many elements are planned
 * each time: that costs a millisecond, and they take many.
 */
#define MANY_ELEMENTS	50

static bool
has_many_elements(const TsStatement *stmt, int nargs, const TsArg *args)
{
	for (int i = 0; i < nargs; i++)
	{
		ArrayType  *array;

		if ((stmt->types[i] != TEXTARRAYOID && stmt->types[i] != BOOLARRAYOID) || args[i].isnull)
			continue;
		array = DatumGetArrayTypeP(args[i].value);
		if (ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array)) >= MANY_ELEMENTS)
			return true;
	}
	return false;
}

/*
 * SPI leaves CurrentMemoryContext at its own, which ends with SPI_finish();
 * callers want their results in the context they came with.
 */
uint64
ts_run_args(TsStatement *stmt, int nargs, const TsArg *args)
{
	MemoryContext old = CurrentMemoryContext;
	bool		many = stmt->unbounded || has_many_elements(stmt, nargs, args);
	SPIPlanPtr *plan = many ? &stmt->plan_many : &stmt->plan;
	Datum		values[TS_MAX_ARGS];
	char		nulls[TS_MAX_ARGS];
	int			rc;

	if (*plan == NULL)
	{
		SPIPlanPtr	made = SPI_prepare_cursor(stmt->sql, nargs, stmt->types,
											  many ? CURSOR_OPT_CUSTOM_PLAN : 0);

		if (made == NULL)
			elog(ERROR, "could not prepare statement: %s", SPI_result_code_string(SPI_result));
		SPI_keepplan(made);
		*plan = made;
	}
	for (int i = 0; i < nargs; i++)
	{
		values[i] = args[i].value;
		nulls[i] = args[i].isnull ? 'n' : ' ';
	}
	rc = SPI_execute_plan(*plan, values, nulls, false, 0);
	if (rc < 0)
		elog(ERROR, "could not execute statement: %s", SPI_result_code_string(rc));
	MemoryContextSwitchTo(old);
	return SPI_processed;
}

/* The SPI connection keeps what is registered, whatever becomes of the caller's context. */
TsRows *
ts_rows_begin(const char *name, const TsColumn *columns, int ncolumns)
{
	MemoryContext old = MemoryContextSwitchTo(TopTransactionContext);
	TsRows	   *rows = palloc0(sizeof(TsRows));
	TupleDesc	desc = CreateTemplateTupleDesc(ncolumns);

	for (int i = 0; i < ncolumns; i++)
		TupleDescInitEntry(desc, i + 1, columns[i].name, columns[i].type, -1, 0);
	rows->md.name = pstrdup(name);
	rows->md.tupdesc = desc;
	rows->md.enrtype = ENR_NAMED_TUPLESTORE;
	rows->reldata = tuplestore_begin_heap(false, false, work_mem);
	if (SPI_register_relation(rows) != SPI_OK_REL_REGISTER)
		elog(ERROR, "could not register the rows \"%s\"", name);
	MemoryContextSwitchTo(old);
	return rows;
}

void
ts_rows_add(TsRows *rows, const TsArg *values)
{
	TupleDesc	desc = rows->md.tupdesc;
	Datum	   *datums = palloc(desc->natts * sizeof(Datum));
	bool	   *nulls = palloc(desc->natts * sizeof(bool));

	for (int i = 0; i < desc->natts; i++)
	{
		datums[i] = values[i].value;
		nulls[i] = values[i].isnull;
	}
	tuplestore_putvalues(rows->reldata, desc, datums, nulls);
	rows->md.enrtuples++;
	pfree(datums);
	pfree(nulls);
}

void
ts_rows_end(TsRows *rows)
{
	if (SPI_unregister_relation(rows->md.name) != SPI_OK_REL_UNREGISTER)
		elog(ERROR, "could not unregister the rows \"%s\"", rows->md.name);
	tuplestore_end(rows->reldata);
}

TsArg
ts_text(const char *s)
{
	return s ? (TsArg) {CStringGetTextDatum(s), false} : (TsArg) {(Datum) 0, true};
}

TsArg
ts_text_len(const char *s, size_t len)
{
	return s ? (TsArg) {PointerGetDatum(cstring_to_text_with_len(s, len)), false}
		: (TsArg) {(Datum) 0, true};
}

TsArg
ts_uuid(const char *s)
{
	if (s == NULL)
		return (TsArg) {(Datum) 0, true};
	return (TsArg) {DirectFunctionCall1(uuid_in, CStringGetDatum(s)), false};
}

TsArg
ts_int(int32 i)
{
	return (TsArg) {Int32GetDatum(i), false};
}

TsArg
ts_long(int64 i)
{
	return (TsArg) {Int64GetDatum(i), false};
}

TsArg
ts_bool(bool b)
{
	return (TsArg) {BoolGetDatum(b), false};
}

static TsArg
make_array(Datum *values, bool *nulls, int n, Oid type, int len, bool byval, char align)
{
	int			dim = n;
	int			lower = 1;

	if (n == 0)
		return (TsArg) {PointerGetDatum(construct_empty_array(type)), false};
	return (TsArg) {PointerGetDatum(construct_md_array(values, nulls, 1, &dim, &lower,
													   type, len, byval, align)), false};
}

TsArg
ts_texts(const char *const *values, int n)
{
	Datum	   *datums = palloc(sizeof(Datum) * (n + 1));
	bool	   *nulls = palloc0(sizeof(bool) * (n + 1));

	for (int i = 0; i < n; i++)
	{
		nulls[i] = values[i] == NULL;
		datums[i] = values[i] ? CStringGetTextDatum(values[i]) : (Datum) 0;
	}
	return make_array(datums, nulls, n, TEXTOID, -1, false, TYPALIGN_INT);
}

TsArg
ts_bools(const bool *values, int n)
{
	Datum	   *datums = palloc(sizeof(Datum) * (n + 1));

	for (int i = 0; i < n; i++)
		datums[i] = BoolGetDatum(values[i]);
	return make_array(datums, NULL, n, BOOLOID, 1, true, TYPALIGN_CHAR);
}

static Datum
column(int row, int col, bool *isnull)
{
	return SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, col, isnull);
}

bool
ts_col_null(int row, int col)
{
	bool		isnull;

	(void) column(row, col, &isnull);
	return isnull;
}

char *
ts_col(int row, int col)
{
	return SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, col);
}

char *
ts_col_text(int row, int col, size_t *len)
{
	bool		isnull;
	Datum		d = column(row, col, &isnull);
	char	   *s;

	if (isnull)
	{
		if (len)
			*len = 0;
		return NULL;
	}
	s = TextDatumGetCString(d);
	if (len)
		*len = strlen(s);
	return s;
}

bool
ts_col_bool(int row, int col)
{
	bool		isnull;
	Datum		d = column(row, col, &isnull);

	return !isnull && DatumGetBool(d);
}

int64
ts_col_long(int row, int col)
{
	bool		isnull;
	Datum		d = column(row, col, &isnull);

	return isnull ? 0 : DatumGetInt64(d);
}

int
ts_col_int(int row, int col)
{
	bool		isnull;
	Datum		d = column(row, col, &isnull);

	return isnull ? 0 : DatumGetInt32(d);
}

char **
ts_col_texts(int row, int col, int *n)
{
	bool		isnull;
	Datum		d = column(row, col, &isnull);
	Datum	   *values;
	bool	   *nulls;
	char	  **out;

	*n = 0;
	if (isnull)
		return NULL;
	deconstruct_array(DatumGetArrayTypeP(d), TEXTOID, -1, false, TYPALIGN_INT, &values, &nulls, n);
	out = palloc(sizeof(char *) * (*n + 1));
	for (int i = 0; i < *n; i++)
		out[i] = nulls[i] ? NULL : TextDatumGetCString(values[i]);
	return out;
}
