/*-------------------------------------------------------------------------
 *
 * preview.c
 *	  preview_mapping: what a sync would do, without doing it.
 *
 * The engine itself is run, over a store that reads the real tables and keeps
 * in memory what it is given to write; what it would send is told instead of
 * sent (TsEnv.would_send).  So a preview cannot plan otherwise than the sync
 * that follows, takes no locks and is in nobody's way.
 *
 * What the pull has changed in memory only must be seen again when the engine
 * goes on to push: rows read after it are brought up to date (overlay).
 *
 * A list that is not mapped yet gets a mapping for the time being, in a
 * subtransaction that is rolled back.
 *
 *-------------------------------------------------------------------------
 */
#include "api/live.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "sync/sync.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

PG_FUNCTION_INFO_V1(tasksync_preview_mapping);

#define UUID_SIZE 37

/* Later than every write that was ever numbered. */
#define FIRST_SEQ (PG_INT64_MAX / 2)

/* What the pull would change of a task that is here. */
typedef struct Pending
{
	char		task_id[UUID_SIZE]; /* the key */
	TsChange	change;
	bool		candidate;		/* it is among the rows to be looked at for sending */
} Pending;

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

	int64		seq;
	HTAB	   *pending;
	TsInboxRow *inbox;
	int			ninbox;
	TsLinkRow  *rows;			/* all candidates for sending … */
	int			nrows;
	int			next_row;		/* … and how many the engine was given */
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
		[TS_PUSH_MOVE] = "DELETE"
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

/*
 * The store: writing into memory
 */

static char *
copy_text(const char *s)
{
	return s ? pstrdup(s) : NULL;
}

/* What of a change counts for what is to be sent afterwards. */
static void
copy_change(TsChange *to, const TsChange *from)
{
	memset(to, 0, sizeof(*to));
	to->task_action = from->task_action;
	to->link_action = from->link_action;
	to->external_id = copy_text(from->external_id);
	to->etag = copy_text(from->etag);
	to->uid = copy_text(from->uid);
	if (from->payload)
		to->payload = pnstrdup(from->payload, from->payload_len);
	to->payload_len = from->payload_len;
	ts_task_copy(&to->task_patch, &from->task_patch);
	ts_task_copy(&to->local_base, &from->local_base);
	ts_task_copy(&to->remote_base, &from->remote_base);
	to->open.fields = from->open.fields;
}

static void
preview_apply(void *db, const TsMapping *m, const TsChange *changes, int n)
{
	Preview    *p = db;
	Before	   *before = look_before(m, changes, n);
	MemoryContext old = MemoryContextSwitchTo(p->live->cxt);

	for (int i = 0; i < n; i++)
	{
		Pending    *pending;

		if (changes[i].task_id == NULL)
			continue;
		note_change(p, &changes[i], &before[i]);
		if (!before[i].known)
			continue;			/* new here: both sides are the same */
		pending = hash_search(p->pending, changes[i].task_id, HASH_ENTER, NULL);
		copy_change(&pending->change, &changes[i]);
		pending->candidate = false;
	}
	MemoryContextSwitchTo(old);
}

static int64
preview_next_seq(void *db)
{
	return ((Preview *) db)->seq++;
}

static void
preview_inbox_put(void *db, const TsMapping *m, const TsInboxRow *rows, int n)
{
	Preview    *p = db;
	MemoryContext old = MemoryContextSwitchTo(p->live->cxt);
	Size		bytes = sizeof(TsInboxRow) * (p->ninbox + n);

	p->inbox = p->inbox ? repalloc_huge(p->inbox, bytes)
		: MemoryContextAllocHuge(p->live->cxt, bytes);
	for (int i = 0; i < n; i++)
	{
		TsInboxRow *row = &p->inbox[p->ninbox++];

		*row = rows[i];
		row->external_id = copy_text(row->external_id);
		row->uid = copy_text(row->uid);
		row->etag = copy_text(row->etag);
		row->wait_for = copy_text(row->wait_for);
		if (row->payload)
			row->payload = pnstrdup(row->payload, row->payload_len);
	}
	MemoryContextSwitchTo(old);
}

static TsInboxRow *
preview_inbox(void *db, const TsMapping *m, int *n)
{
	Preview    *p = db;
	TsInboxRow *real = ts_store_inbox(db, m, n);
	TsInboxRow *all = palloc(sizeof(TsInboxRow) * (*n + p->ninbox + 1));

	memcpy(all, real, sizeof(TsInboxRow) * *n);
	if (p->ninbox > 0)
		memcpy(all + *n, p->inbox, sizeof(TsInboxRow) * p->ninbox);
	*n += p->ninbox;
	return all;
}

/* Writes that nothing in the same sync depends on. */

static void
ignore_ids(void *db, const TsMapping *m, const char **ids, int n)
{
}

static int
ignore_moves(void *db, const TsMapping *m)
{
	return 0;
}

static void
ignore_pull_end(void *db, const TsMapping *m, const TsPullEnd *end)
{
}

static void
ignore_scope(void *db, const TsMapping *m, const TsScope *scope)
{
}

static void
ignore_push_end(void *db, const TsMapping *m)
{
}

static bool
ignore_missing(void *db, const TsMapping *m)
{
	return false;
}

static void
ignore_end(void *db, const TsMapping *m, const TsError *err)
{
}

/* What is in doubt is the worker's to settle; it is left out until it has. */
static TsIntent *
no_intents(void *db, const TsMapping *m, int *n)
{
	*n = 0;
	return NULL;
}

/*
 * The store: reading what the pull would have left
 */

static void
overlay(TsLinkRow *row, const TsChange *c)
{
	for (TsField f = 0; f < TS_NFIELDS; f++)
		if (c->task_patch.known & TS_FIELD_BIT(f))
		{
			row->local.known |= TS_FIELD_BIT(f);
			row->local.value[f] = c->task_patch.value[f];
		}
	row->frozen |= c->open.fields;
	if (c->task_action == TS_ACTION_DELETE)
		row->has_local = false;
	switch (c->link_action)
	{
		case TS_LINK_KEEP:
		case TS_LINK_COPY:
			break;
		case TS_LINK_SET:
			row->linked = true;
			row->external_id = unconstify(char *, c->external_id);
			row->etag = unconstify(char *, c->etag);
			row->uid = unconstify(char *, c->uid);
			row->payload = unconstify(char *, c->payload);
			row->payload_len = c->payload_len;
			row->local_base = c->local_base;
			row->remote_base = c->remote_base;
			break;
		case TS_LINK_DEAD:
		case TS_LINK_PART:
			row->dead = true;
			break;
		case TS_LINK_UNBIND:
			row->external_id = NULL;
			break;
		case TS_LINK_DROP:
			row->linked = false;
			break;
	}
}

static Pending *
overlay_pending(Preview *p, TsLinkRow *row)
{
	Pending    *pending = row->task_id
		? hash_search(p->pending, row->task_id, HASH_FIND, NULL) : NULL;

	if (pending)
		overlay(row, &pending->change);
	return pending;
}

static TsLinkRow *
preview_links_by_task(void *db, const TsMapping *m, const char **task_ids, int n)
{
	TsLinkRow  *rows = ts_store_links_by_task(db, m, task_ids, n);

	for (int i = 0; i < n; i++)
		(void) overlay_pending(db, &rows[i]);
	return rows;
}

static void
add_candidates(Preview *p, const TsLinkRow *rows, int n)
{
	Size		bytes = sizeof(TsLinkRow) * (p->nrows + n);

	p->rows = p->rows ? repalloc_huge(p->rows, bytes)
		: MemoryContextAllocHuge(p->live->cxt, bytes);
	memcpy(p->rows + p->nrows, rows, sizeof(TsLinkRow) * n);
	p->nrows += n;
}

/* The candidates that the tables tell of, and those that the pull has made. */
static void
gather_candidates(Preview *p, const TsMapping *m, int batch)
{
	const char *after = NULL;
	HASH_SEQ_STATUS seq;
	Pending    *pending;
	int			n;

	do
	{
		TsLinkRow  *rows = ts_store_candidates(p, m, after, batch, &n);

		for (int i = 0; i < n; i++)
		{
			pending = overlay_pending(p, &rows[i]);
			if (pending)
				pending->candidate = true;
		}
		if (n > 0)
		{
			after = rows[n - 1].task_id;
			add_candidates(p, rows, n);
		}
	} while (n == batch);

	hash_seq_init(&seq, p->pending);
	while ((pending = hash_seq_search(&seq)) != NULL)
	{
		const char *id = pending->task_id;

		if (!pending->candidate)
			add_candidates(p, preview_links_by_task(p, m, &id, 1), 1);
	}
}

static TsLinkRow *
preview_candidates(void *db, const TsMapping *m, const char *after, int limit, int *n)
{
	Preview    *p = db;
	MemoryContext old = MemoryContextSwitchTo(p->live->cxt);
	TsLinkRow  *rows;

	if (after == NULL)
	{
		p->nrows = p->next_row = 0;
		gather_candidates(p, m, limit);
	}
	MemoryContextSwitchTo(old);
	*n = Min(limit, p->nrows - p->next_row);
	rows = palloc(sizeof(TsLinkRow) * (*n + 1));
	if (*n > 0)
		memcpy(rows, p->rows + p->next_row, sizeof(TsLinkRow) * *n);
	p->next_row += *n;
	return rows;
}

static void
make_store(Preview *p)
{
	HASHCTL		ctl = {.keysize = UUID_SIZE,.entrysize = sizeof(Pending),.hcxt = p->live->cxt};

	p->seq = FIRST_SEQ;
	p->pending = hash_create("tasksync preview", 256, &ctl,
							 HASH_ELEM | HASH_STRINGS | HASH_CONTEXT);
	p->store = ts_sql_store;
	p->store.next_seq = preview_next_seq;
	p->store.links_by_task = preview_links_by_task;
	p->store.inbox_put = preview_inbox_put;
	p->store.inbox = preview_inbox;
	p->store.inbox_drop = ignore_ids;
	p->store.relink_moves = ignore_moves;
	p->store.apply = preview_apply;
	p->store.pull_end = ignore_pull_end;
	p->store.scope_known = ignore_scope;
	p->store.candidates = preview_candidates;
	p->store.intents = no_intents;
	p->store.push_end = ignore_push_end;
	p->store.list_missing = ignore_missing;
	p->store.mapping_end = ignore_end;
}

/*
 * The rehearsal
 */

/* The caller's mapping of the list, ready to sync; made if there is none. */
static void
find_mapping(Preview *p)
{
	static TsStatement find = {
		"SELECT m.id::text, m.sync_enabled AND p.enabled"
		"  AND COALESCE(m.sync_status NOT IN ('HELD', 'DISCONNECTED'), true)"
		" FROM tasksync.task_list_mapping m"
		" JOIN tasksync.task_provider p ON p.id = m.provider_id AND p.user_id = m.user_id"
		" WHERE m.provider_id = $1 AND m.user_id = $2 AND m.external_list_id = $3"
		"  AND m.project_id = COALESCE($4, m.project_id)",
		{UUIDOID, TEXTOID, TEXTOID, UUIDOID}
	};
	static TsStatement enable_mapping = {
		"UPDATE tasksync.task_list_mapping m SET sync_enabled = true, sync_status = NULL"
		" WHERE m.id = $1 AND m.user_id = $2",
		{UUIDOID, TEXTOID}
	};
	static TsStatement enable_provider = {
		"UPDATE tasksync.task_provider p SET enabled = true"
		" WHERE p.id = $1 AND p.user_id = $2 AND NOT p.enabled",
		{UUIDOID, TEXTOID}
	};
	const char *user_id = p->call->user_id;
	const char *provider_id = p->live->row->id;
	bool		ready = false;

	if (ts_run(&find, ts_uuid(provider_id), ts_text(user_id), ts_text(p->list_id),
			   ts_uuid(p->project_id)) > 0)
	{
		p->mapping_id = ts_col_text(0, 1, NULL);
		ready = ts_col_bool(0, 2);
	}
	else
		p->mapping_id = ts_make_mapping(user_id, provider_id, p->list_id, p->project_id);
	if (ready)
		return;
	ts_run(&enable_mapping, ts_uuid(p->mapping_id), ts_text(user_id));
	ts_run(&enable_provider, ts_uuid(provider_id), ts_text(user_id));
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
	p->db.read_only = true;
	p->db.uncarried = TS_ALL_FIELDS & ~live->provider->carries;

	make_store(p);
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
 * object that are taken for the same (only the first sync does that).  What was
 * moved from or to another list there is shown as what it is to this one, a
 * DELETE or CREATE.  A mapping that is disabled or held is looked at as if it
 * were not.
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
	ts_check_list_id(p->list_id);
	ts_api_begin(&call);
	p->live = ts_live_require(&call, ts_arg_uuid(fcinfo, 0));
	p->list_id = ts_list_id(p->list_id, p->live->row);
	rehearse_and_forget(p);
	ts_live_end(p->live);
	ts_api_end(&call);
	return (Datum) 0;
}
