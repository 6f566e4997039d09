/*-------------------------------------------------------------------------
 *
 * sql.h
 *	  Prepared statements of this room: C values in, C values out.
 *
 * A statement is prepared at its first use and kept for the life of the
 * process.  ts_run() executes it and leaves the result in SPI_tuptable; the
 * ts_col_* functions read it into CurrentMemoryContext.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TASKSYNC_STORE_SQL_H
#define TASKSYNC_STORE_SQL_H

#include "executor/spi.h"
#include "task/task.h"

#define TS_MAX_ARGS 32

typedef struct TsStatement
{
	const char *sql;
	Oid			types[TS_MAX_ARGS];
	bool		unbounded;		/* its arguments don't tell how many rows it meets */
	SPIPlanPtr	plan;			/* for a few rows; kept as it is */
	SPIPlanPtr	plan_many;		/* planned anew for each execution */
} TsStatement;

typedef struct TsArg
{
	Datum		value;
	bool		isnull;
} TsArg;

/* ts_run(&statement, args …): the number of rows */
#define ts_run(stmt, ...) \
	ts_run_args(stmt, lengthof(((TsArg[]) {__VA_ARGS__})), (TsArg[]) {__VA_ARGS__})

extern uint64 ts_run_args(TsStatement *stmt, int nargs, const TsArg *args);

/*
 * ts_rows_begin: an empty row set, which statements find under this name until
 *		ts_rows_end.  An ERROR in between leaves nothing behind.
 * ts_rows_add: one row, with as many values as there are columns.
 */
typedef struct TsColumn
{
	const char *name;
	Oid			type;
} TsColumn;

typedef struct EphemeralNamedRelationData TsRows;

extern TsRows *ts_rows_begin(const char *name, const TsColumn *columns, int ncolumns);
extern void ts_rows_add(TsRows *rows, const TsArg *values);
extern void ts_rows_end(TsRows *rows);

extern TsArg ts_text(const char *s);
extern TsArg ts_text_len(const char *s, size_t len);
extern TsArg ts_uuid(const char *s);
extern TsArg ts_int(int32 i);
extern TsArg ts_long(int64 i);
extern TsArg ts_bool(bool b);
extern TsArg ts_texts(const char *const *values, int n);	/* text[], NULL elements allowed */
extern TsArg ts_bools(const bool *values, int n);

/* values.c: a task's fields as the values of its columns, and whole as jsonb */
extern TsArg ts_timestamp(const char *value);
extern TsArg ts_field_value(TsField f, const char *value);
extern Oid	ts_field_type(TsField f);
extern TsArg ts_task_jsonb(const TsTask *task);

/* column numbers start at 1 */
extern bool ts_col_null(int row, int col);
extern char *ts_col(int row, int col);	/* any type, as text; NULL */
extern char *ts_col_text(int row, int col, size_t *len);	/* text only, cheap */
extern bool ts_col_bool(int row, int col);	/* NULL is false */
extern int64 ts_col_long(int row, int col); /* int8; NULL is 0 */
extern int	ts_col_int(int row, int col);
extern char **ts_col_texts(int row, int col, int *n);	/* text[] */

#endif							/* TASKSYNC_STORE_SQL_H */
