/*-------------------------------------------------------------------------
 *
 * preview.c
 *	  preview_mapping: what a sync would do, without doing it.
 *
 * The engine itself is run, over the real tables, in a subtransaction that is
 * rolled back at the end: what it writes on the way is noted as what would
 * happen here, and what it would send is told instead of sent
 * (TsEnv.would_send).  So a preview cannot differ from the sync that follows.
 *
 *-------------------------------------------------------------------------
 */
#include "api/live.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "sync/sync.h"
#include "track/track.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

PG_FUNCTION_INFO_V1(tasksync_preview_mapping);

typedef struct Preview
{
	TsDb		db;				/* first: the store's functions are given this */
	const TsCall *call;
	TsLive	   *live;
	const char *list_id;
	const char *project_id;
	const char *mapping_id;
	TsStore		store;
	TsEnv		env;
	TsCycleSpec spec;
	ReturnSetInfo *result;
} Preview;

static void
put_row(Preview *p, const char *side, const char *action, const char *title,
		const char *task_id, const char *external_id)
{
	Datum		values[5];
	bool		nulls[5] = {false, false, title == NULL, task_id == NULL, external_id == NULL};

	values[0] = CStringGetTextDatum(side);
	values[1] = CStringGetTextDatum(action);
	values[2] = title ? CStringGetTextDatum(title) : (Datum) 0;
	values[3] = task_id ? ts_uuid_datum(task_id) : (Datum) 0;
	values[4] = external_id ? CStringGetTextDatum(external_id) : (Datum) 0;
	tuplestore_putvalues(p->result->setResult, p->result->setDesc, values, nulls);
}

/*
 * What would be sent
 */
static void
would_send(void *arg, const TsMapping *m, TsPushKind kind, const TsLinkRow *row)
{
	static const char *const actions[] = {
		[TS_PUSH_CREATE] = "CREATE",
		[TS_PUSH_UPDATE] = "UPDATE",
		[TS_PUSH_DELETE] = "DELETE",
		[TS_PUSH_MOVE] = "UPDATE"
	};
	const TsTask *task = row->has_local ? &row->local : &row->local_base;

	put_row(arg, "REMOTE", actions[kind], task->value[TS_TITLE], row->task_id,
			kind == TS_PUSH_CREATE ? NULL : row->external_id);
}

/*
 * What would be written here
 */

/* One task as it stands before the change: its title, and is it linked? */
typedef struct Before
{
	char	   *title;
	bool		known;			/* there is a task or a link of that id */
	bool		linked;
} Before;

static Before *
look_before(const TsMapping *m, const TsChange *changes, int n)
{
	static TsStatement stmt = {
		"SELECT COALESCE(t.title, l.local_base ->> 'title'), t.id IS NOT NULL OR l.id IS NOT NULL,"
		" l.external_task_id IS NOT NULL"
		" FROM unnest($3::uuid[]) WITH ORDINALITY AS k(id, n)"
		" LEFT JOIN tasksync.task t ON t.id = k.id AND t.user_id = $2"
		" LEFT JOIN tasksync.task_link l ON l.task_id = k.id AND l.mapping_id = $1 AND l.user_id = $2"
		" ORDER BY k.n",
		{UUIDOID, TEXTOID, TEXTARRAYOID}
	};
	const char **ids = palloc(sizeof(char *) * (n + 1));
	Before	   *before = palloc0(sizeof(Before) * (n + 1));

	for (int i = 0; i < n; i++)
		ids[i] = changes[i].task_id;
	ts_run(&stmt, ts_uuid(m->id), ts_text(m->user_id), ts_texts(ids, n));
	for (int i = 0; i < n; i++)
	{
		before[i].title = ts_col_text(i, 1, NULL);
		before[i].known = ts_col_bool(i, 2);
		before[i].linked = ts_col_bool(i, 3);
	}
	return before;
}

static void
note_change(Preview *p, const TsChange *c, const Before *before)
{
	const char *title = before->title ? before->title : c->task_patch.value[TS_TITLE];
	const char *object = c->external_id ? c->external_id : c->dead_external_id;

	if (c->task_action == TS_ACTION_CREATE)
		put_row(p, "LOCAL", "CREATE", title, before->known ? c->task_id : NULL, object);
	else if (c->task_action == TS_ACTION_DELETE)
		put_row(p, "LOCAL", "DELETE", title, c->task_id, object);
	else
	{
		if (c->link_action == TS_LINK_SET && !before->linked)
			put_row(p, "LOCAL", "LINK", title, c->task_id, object);
		if (c->task_action == TS_ACTION_UPDATE)
			put_row(p, "LOCAL", "UPDATE", title, c->task_id, object);
	}
}

/* The store's apply(): noted, then done for the engine to go on from. */
static void
note_and_apply(void *db, const TsMapping *m, const TsChange *changes, int n)
{
	Preview    *p = db;

	if (strcmp(m->id, p->mapping_id) == 0)
	{
		Before	   *before = look_before(m, changes, n);

		for (int i = 0; i < n; i++)
			if (changes[i].task_id)
				note_change(p, &changes[i], &before[i]);
	}
	ts_store_apply(db, m, changes, n);
}

/*
 * The rehearsal
 */

/* The caller's mapping of the list, ready to sync; made if there is none. */
static void
find_mapping(Preview *p)
{
	static TsStatement find = {
		"SELECT m.id::text FROM tasksync.task_list_mapping m"
		" WHERE m.provider_id = $1 AND m.user_id = $2 AND m.external_list_id = $3"
		"  AND m.project_id = COALESCE($4, m.project_id)",
		{UUIDOID, TEXTOID, TEXTOID, UUIDOID}
	};
	static TsStatement enable_mapping = {
		"UPDATE tasksync.task_list_mapping m SET sync_enabled = true, sync_status = NULL"
		" WHERE m.id = $1 AND m.user_id = $2 AND (NOT m.sync_enabled OR m.sync_status IS NOT NULL)",
		{UUIDOID, TEXTOID}
	};
	static TsStatement enable_provider = {
		"UPDATE tasksync.task_provider p SET enabled = true"
		" WHERE p.id = $1 AND p.user_id = $2 AND NOT p.enabled",
		{UUIDOID, TEXTOID}
	};
	const char *user_id = p->call->user_id;
	const char *provider_id = p->live->row->id;

	if (ts_run(&find, ts_uuid(provider_id), ts_text(user_id), ts_text(p->list_id),
			   ts_uuid(p->project_id)) > 0)
		p->mapping_id = ts_col_text(0, 1, NULL);
	else
		p->mapping_id = ts_make_mapping(user_id, provider_id, p->list_id, p->project_id);
	ts_run(&enable_mapping, ts_uuid(p->mapping_id), ts_text(user_id));
	ts_run(&enable_provider, ts_uuid(provider_id), ts_text(user_id));
}

/* The other lists are read when a deletion may be a move; one yet to be made has none. */
static void
load_siblings(Preview *p)
{
	TsCycleSpec *spec = &p->spec;
	TsMapping  *all;
	int			n;

	all = ts_load_mappings(p->live->row->id, p->call->user_id, p->mapping_id, true, &n);
	spec->siblings = all;
	for (int i = 0; i < n; i++)
		if (all[i].external_list_id)
			all[spec->nsiblings++] = all[i];
}

static void
set_up(Preview *p)
{
	TsLive	   *live = p->live;

	p->db.cxt = live->cxt;
	p->db.user_id = p->call->user_id;
	p->db.provider_id = live->row->id;
	p->db.provider_type = live->row->type;
	p->db.in_transaction = true;
	p->db.uncarried = TS_ALL_FIELDS & ~live->provider->carries;

	p->store = ts_sql_store;
	p->store.apply = note_and_apply;
	ts_server_environment(&p->env, &p->db);
	p->env.store = &p->store;
	p->env.would_send = would_send;
	p->env.arg = p;

	p->spec.provider = live->provider;
	p->spec.site = &live->site;
	p->spec.mappings = ts_load_mappings(live->row->id, p->call->user_id, p->mapping_id, false,
										&p->spec.nmappings);
	/* what would be held is shown too: that is when people look */
	for (int i = 0; i < p->spec.nmappings; i++)
		p->spec.mappings[i].deletions_confirmed = true;
	load_siblings(p);
}

static bool
cycle_next(void *cycle, TsRequest *req)
{
	return ts_cycle_next(cycle, req);
}

static void
cycle_data(void *cycle, const char *chunk, size_t len)
{
	ts_cycle_data(cycle, chunk, len);
}

static void
cycle_response(void *cycle, const TsResponse *resp)
{
	ts_cycle_response(cycle, resp);
}

static void
rehearse(Preview *p)
{
	TsTalk		talk = {cycle_next, cycle_data, cycle_response};
	TsCycle    *cycle;
	const TsError *err;

	find_mapping(p);
	set_up(p);
	cycle = ts_cycle_begin(&p->env, &p->spec);
	talk.arg = cycle;
	ts_live_talk(p->live, &talk);
	err = &ts_cycle_result(cycle)->error;
	if (ts_failed(err))
		ts_ereport(err);
}

/*
 * Within a subtransaction that is rolled back, whatever happens.  An error must
 * not leave it open: whoever catches it (a PL/pgSQL block) would roll back
 * ours in place of its own.
 */
static void
rehearse_and_forget(Preview *p)
{
	MemoryContext cxt = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;

	BeginInternalSubTransaction("preview");
	MemoryContextSwitchTo(p->live->cxt);
	PG_TRY();
	{
		rehearse(p);
	}
	PG_CATCH();
	{
		ErrorData  *err;

		MemoryContextSwitchTo(cxt);
		err = CopyErrorData();
		FlushErrorState();
		ts_apply_mapping = NULL;
		RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(cxt);
		CurrentResourceOwner = owner;
		ReThrowError(err);
	}
	PG_END_TRY();
	RollbackAndReleaseCurrentSubTransaction();
	MemoryContextSwitchTo(cxt);
	CurrentResourceOwner = owner;
}

/*
 * preview_mapping(provider_id uuid, external_list_id text, project_id uuid)
 *		→ SETOF (side text, action text, title text, task_id uuid,
 *		external_task_id text)
 *
 * What the first sync of the list with the project (NULL: a new one) would do,
 * or, where they are mapped, what the next sync would.  side LOCAL: here,
 * REMOTE: at the service; action CREATE, UPDATE, DELETE, or LINK: a task and an
 * object that are taken for the same (only the first sync does that).  A move
 * to another list is an UPDATE.  A mapping that is disabled or held is looked
 * at as if it were not.
 */
Datum
tasksync_preview_mapping(PG_FUNCTION_ARGS)
{
	Preview    *p = palloc0(sizeof(Preview));
	TsCall		call;

	InitMaterializedSRF(fcinfo, 0);
	p->result = (ReturnSetInfo *) fcinfo->resultinfo;
	p->list_id = ts_arg_text(fcinfo, 1);
	p->project_id = ts_arg_uuid(fcinfo, 2);
	p->call = &call;
	if (p->list_id == NULL || p->list_id[0] == '\0')
		ts_bad_value("external_list_id", p->list_id, "task_lists() names the lists of a provider.");
	ts_api_begin(&call);
	p->live = ts_live_require(&call, ts_arg_uuid(fcinfo, 0));
	rehearse_and_forget(p);
	ts_live_end(p->live);
	ts_api_end(&call);
	return (Datum) 0;
}
