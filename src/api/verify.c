/*-------------------------------------------------------------------------
 *
 * verify.c
 *	  verify_mapping: is the list really what the tasks here say?
 *
 * Nothing that a sync keeps is trusted but the pairing of tasks and objects:
 * neither cursor nor bases nor the objects as last seen.  Every object is read
 * again and compared with its task field by field.  Where a service cannot say
 * a value as exactly as we do, they are the same if writing ours would change
 * nothing there.
 *
 * A listing may show an object as it was before, even one that is gone by now, or
 * leave one out.  So nothing is reported because of it: what it does not show as
 * it ought to be is asked for by its id.
 *
 *-------------------------------------------------------------------------
 */
#include "api/live.h"

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "lib/qunique.h"
#include "track/track.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(tasksync_verify_mapping);

/* One of our tasks that is, or ought to be, in the list. */
typedef struct Expected
{
	char	   *task_id;
	char	   *external_id;	/* NULL: not sent yet */
	TsTask		task;			/* the parent as a task of this list, or none */
	bool		doubtful;		/* the listing showed it otherwise, or without its text */
	bool		seen;
} Expected;

typedef struct Verify
{
	TsLive	   *live;
	TsMapping	m;
	TsCodecOptions opt;
	Expected   *expected;		/* by external id, those without one last */
	int			nexpected;
	bool		listing;
	const char **fetch;			/* to be asked for by their ids */
	int			nfetch;
	int			maxfetch;
	MemoryContext batch;
	ReturnSetInfo *result;
} Verify;

static void
put_row(Verify *v, const char *task_id, const char *external_id, const char *field,
		const char *local, const char *remote)
{
	Datum		values[5];
	bool		nulls[5] = {task_id == NULL, external_id == NULL, false, local == NULL, remote == NULL};

	values[0] = task_id ? ts_uuid_datum(task_id) : (Datum) 0;
	values[1] = external_id ? CStringGetTextDatum(external_id) : (Datum) 0;
	values[2] = CStringGetTextDatum(field);
	values[3] = local ? CStringGetTextDatum(local) : (Datum) 0;
	values[4] = remote ? CStringGetTextDatum(remote) : (Datum) 0;
	tuplestore_putvalues(v->result->setResult, v->result->setDesc, values, nulls);
}

/*
 * What ought to be there
 */

static void
load_mapping(Verify *v, const TsCall *call, const char *id)
{
	static TsStatement stmt = {
		"SELECT m.provider_id::text, m.external_list_id, m.sync_direction, s.caps::text"
		" FROM tasksync.task_list_mapping m"
		" JOIN tasksync.mapping_state s ON s.mapping_id = m.id AND s.user_id = m.user_id"
		" WHERE m.id = $1 AND m.user_id = $2",
		{UUIDOID, TEXTOID}
	};

	if (id == NULL || ts_run(&stmt, ts_uuid(id), ts_text(call->user_id)) == 0)
		ts_no_such("mapping", id);
	v->m.id = pstrdup(id);
	v->m.user_id = call->user_id;
	v->m.provider_id = ts_col_text(0, 1, NULL);
	v->m.external_list_id = ts_col_text(0, 2, NULL);
	ts_direction_by_name(ts_col_text(0, 3, NULL), &v->m.direction);
	v->m.caps = ts_col_text(0, 4, NULL);
	if (v->m.external_list_id == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("mapping \"%s\" has no list yet", id),
				 errhint("Its first sync makes the list.")));
}

static int
compare_external_ids(const void *a, const void *b)
{
	const char *x = ((const Expected *) a)->external_id;
	const char *y = ((const Expected *) b)->external_id;

	if (x == NULL || y == NULL)
		return (x == NULL) - (y == NULL);
	return strcmp(x, y);
}

static void
load_expected(Verify *v)
{
	static TsStatement stmt = {
		"SELECT t.id::text, l.external_task_id, (tasksync.task_fields(t)"
		"  || CASE WHEN pl.id IS NULL THEN '{\"parent_task_id\": null}' ELSE '{}' END::jsonb)::text"
		" FROM tasksync.task t"
		" JOIN tasksync.task_list_mapping m ON m.id = $1 AND m.user_id = $2"
		" LEFT JOIN tasksync.task_link l ON l.task_id = t.id AND l.mapping_id = $1 AND l.user_id = $2"
		" LEFT JOIN tasksync.task_link pl ON pl.task_id = t.parent_task_id AND pl.mapping_id = $1"
		"  AND pl.user_id = $2 AND pl.external_task_id IS NOT NULL"
		" WHERE t.user_id = $2 AND (l.external_task_id IS NOT NULL"
		"  OR (l.state IS DISTINCT FROM 'DEAD' AND " TS_MAPPING_PUSHES " AND " TS_MAPPING_CARRIES_TASK "))",
		{UUIDOID, TEXTOID}
	};
	TsError		err = {0};

	v->nexpected = ts_run(&stmt, ts_uuid(v->m.id), ts_text(v->m.user_id));
	v->expected = MemoryContextAllocHuge(CurrentMemoryContext,
										 sizeof(Expected) * (v->nexpected + 1));
	for (int i = 0; i < v->nexpected; i++)
	{
		Expected   *e = &v->expected[i];
		char	   *json = ts_col_text(i, 3, NULL);

		e->task_id = ts_col_text(i, 1, NULL);
		e->external_id = ts_col_text(i, 2, NULL);
		e->doubtful = e->seen = false;
		if (!ts_task_from_json(json, strlen(json), &e->task, &err))
			ts_ereport(&err);
		pfree(json);
	}
	qsort(v->expected, v->nexpected, sizeof(Expected), compare_external_ids);
}

static Expected *
find_expected(const Verify *v, const char *external_id)
{
	Expected	key = {.external_id = unconstify(char *, external_id)};

	return bsearch(&key, v->expected, v->nexpected, sizeof(Expected), compare_external_ids);
}

/*
 * What is there
 */

/* Would writing our values of these fields leave the object as it is? */
static bool
is_said_already(const Verify *v, const TsTask *local, const TsRemoteTask *remote, TsFieldMask fields,
				const TsObservation *obs)
{
	const TsProvider *p = v->live->provider;
	TsRemoteTask again = {0};
	TsError		err = {0};
	char	   *text = p->encode(local, fields, obs->payload, obs->payload_len, &v->opt, &err);

	return text != NULL && p->decode(text, strlen(text), &v->opt, &again, &err) &&
		ts_task_diff(&again.task, &remote->task, p->carries) == 0;
}

static void
fetch_later(Verify *v, const char *external_id)
{
	if (v->nfetch == v->maxfetch)
	{
		v->maxfetch = Max(64, v->maxfetch * 2);
		v->fetch = v->fetch ? repalloc(v->fetch, sizeof(char *) * v->maxfetch)
			: MemoryContextAlloc(v->live->cxt, sizeof(char *) * v->maxfetch);
	}
	v->fetch[v->nfetch++] = MemoryContextStrdup(v->live->cxt, external_id);
}

/* What the listing says of an object has to be confirmed, whatever else it says of it. */
static void
doubt(Verify *v, const char *external_id)
{
	Expected   *e = find_expected(v, external_id);

	if (e == NULL)
		fetch_later(v, external_id);
	else
	{
		e->doubtful = true;		/* it is fetched like any that was not seen */
		e->seen = false;
	}
}

/* "remote" with its parent as a task here. */
static void
compare(Verify *v, Expected *e, const TsRemoteTask *remote, const char *parent,
		const TsObservation *obs)
{
	TsTask		there = remote->task;
	TsFieldMask differ;
	TsFieldMask said;

	there.value[TS_PARENT_TASK_ID] = unconstify(char *, parent);
	differ = ts_task_diff(&e->task, &there, v->live->provider->carries & there.known);
	/* completed there by a client that tells no time; ours is when we saw it */
	if (there.value[TS_STATUS] && strcmp(there.value[TS_STATUS], "COMPLETED") == 0 &&
		there.value[TS_COMPLETED_AT] == NULL)
		differ &= ~TS_FIELD_BIT(TS_COMPLETED_AT);
	said = differ & ~TS_FIELD_BIT(TS_PARENT_TASK_ID);
	/* together first: a due at 24:00 is the next day's date and another time */
	if (said != 0 && is_said_already(v, &e->task, remote, said, obs))
		differ &= ~said;
	for (TsField f = 0; f < TS_NFIELDS; f++)
	{
		if (!(differ & TS_FIELD_BIT(f)))
			continue;
		if (f != TS_PARENT_TASK_ID &&
			is_said_already(v, &e->task, remote, TS_FIELD_BIT(f), obs))
			continue;
		if (v->listing)
		{
			doubt(v, e->external_id);
			return;
		}
		put_row(v, e->task_id, e->external_id, ts_field_info[f].name, e->task.value[f],
				there.value[f]);
	}
}

/* An object that no task here stands for: ours to take in, unless we only send. */
static void
note_stranger(Verify *v, const TsRemoteTask *remote, const TsObservation *obs)
{
	if (v->m.direction == TS_TO_PROVIDER)
		return;
	if (v->listing)
		doubt(v, obs->external_id);
	else
		put_row(v, NULL, obs->external_id, "task", NULL, remote->task.value[TS_TITLE]);
}

/* The object's parent as a task here; NULL: none, or none that we have. */
static const char *
parent_here(const Verify *v, const TsRemoteTask *remote)
{
	const char *uid = remote->task.value[TS_PARENT_TASK_ID];
	const char *parent;

	if (uid == NULL)
		return NULL;
	parent = ts_store_parents(NULL, &v->m, &uid, 1)[0];
	SPI_freetuptable(SPI_tuptable);
	return parent;
}

static void
check_object(Verify *v, const TsObservation *obs)
{
	Expected   *e = find_expected(v, obs->external_id);
	TsRemoteTask remote = {0};
	TsError		err = obs->error;
	bool		readable = !ts_failed(&err) &&
		v->live->provider->decode(obs->payload, obs->payload_len, &v->opt, &remote, &err);

	if (e && e->doubtful && v->listing)
		return;
	if (e)
		e->seen = true;
	if (!readable && v->listing)
		doubt(v, obs->external_id);
	else if (!readable)
		put_row(v, e ? e->task_id : NULL, obs->external_id, "task",
				e ? e->task.value[TS_TITLE] : NULL, err.message);
	else if (!remote.is_task && e)
		e->seen = false;		/* something else lives there now */
	else if (remote.is_task && e == NULL)
		note_stranger(v, &remote, obs);
	else if (remote.is_task)
		compare(v, e, &remote, parent_here(v, &remote), obs);
}

static void
observed(void *arg, const TsObservation *obs, int n)
{
	Verify	   *v = arg;
	MemoryContext old = MemoryContextSwitchTo(v->batch);

	for (int i = 0; i < n; i++)
	{
		bool		no_task = obs[i].gone || obs[i].foreign;

		if (!no_task && (obs[i].payload || ts_failed(&obs[i].error)))
			check_object(v, &obs[i]);
		else if (v->listing && (!no_task || find_expected(v, obs[i].external_id)))
			doubt(v, obs[i].external_id);
		MemoryContextReset(v->batch);
	}
	MemoryContextSwitchTo(old);
}

static void
converse(Verify *v, const TsOp *op)
{
	TsConversation *conv = ts_live_converse(v->live, op, observed, v);

	if (ts_failed(&conv->error))
		ts_ereport(&conv->error);
	ts_conversation_end(conv);
}

static void
read_list(Verify *v)
{
	TsOp		op = {
		.kind = TS_OP_PULL,
		.list_id = v->m.external_list_id,
		.caps = v->m.caps,
		.full = true,
		.want_payloads = true
	};

	v->listing = true;
	converse(v, &op);
	v->listing = false;
	/* that a listing leaves an object out proves nothing */
	for (int i = 0; i < v->nexpected && v->expected[i].external_id; i++)
		if (!v->expected[i].seen)
			fetch_later(v, v->expected[i].external_id);
	qsort(v->fetch, v->nfetch, sizeof(char *), pg_qsort_strcmp);
	v->nfetch = qunique(v->fetch, v->nfetch, sizeof(char *), pg_qsort_strcmp);
	op.kind = TS_OP_FETCH;
	for (int i = 0; i < v->nfetch; i += op.nids)
	{
		op.ids = &v->fetch[i];
		op.nids = Min(v->nfetch - i, v->live->provider->fetch_batch);
		converse(v, &op);
	}
}

/*
 * verify_mapping(mapping_id uuid) → SETOF (task_id uuid, external_task_id
 *		text, field text, local text, remote text)
 *
 * Each field in which a task and its object differ, and with field "task" what
 * is on one side only: the title stands on the side that has it.  (An object
 * that cannot be read shows the reason as "remote".)  Edits that are still to
 * be sent and open conflicts are differences.
 */
Datum
tasksync_verify_mapping(PG_FUNCTION_ARGS)
{
	Verify		v = {.result = (ReturnSetInfo *) fcinfo->resultinfo};
	TsCall		call;
	MemoryContext old;

	InitMaterializedSRF(fcinfo, 0);
	ts_api_begin(&call);
	load_mapping(&v, &call, ts_arg_uuid(fcinfo, 0));
	v.live = ts_live_require(&call, v.m.provider_id);
	old = MemoryContextSwitchTo(v.live->cxt);
	v.batch = AllocSetContextCreate(v.live->cxt, "tasksync verify", ALLOCSET_DEFAULT_SIZES);
	v.opt.default_time_zone = ts_floating_time_zone();
	v.opt.settings = v.live->site.settings;
	v.opt.now = ts_unix_microseconds(GetCurrentTimestamp());
	load_expected(&v);
	read_list(&v);
	for (int i = 0; i < v.nexpected; i++)
	{
		const Expected *e = &v.expected[i];

		if (!e->seen)
			put_row(&v, e->task_id, e->external_id, "task", e->task.value[TS_TITLE], NULL);
	}
	MemoryContextSwitchTo(old);
	ts_live_end(v.live);
	ts_api_end(&call);
	return (Datum) 0;
}
