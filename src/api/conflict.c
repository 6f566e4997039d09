/*-------------------------------------------------------------------------
 *
 * conflict.c
 *	  resolve_conflict: a person decides what a sync could not.
 *
 * An open conflict holds the fields that both sides changed, and what the
 * service had in them; the link knows what it has had since.  Whatever is
 * decided, that is what it has, so it becomes the remote base.  The local base follows where both sides now hold the same;
 * where they don't, the field has no local base any more, and so is sent.
 *
 *-------------------------------------------------------------------------
 */
#include "api/api.h"

#include "catalog/pg_type.h"
#include "store/backend.h"
#include "track/track.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(tasksync_resolve_conflict);

typedef enum Resolution
{
	KEEP_LOCAL,
	USE_REMOTE,
	MERGE,
	N_RESOLUTIONS
} Resolution;

static const char *const resolution_names[N_RESOLUTIONS] = {"KEEP_LOCAL", "USE_REMOTE", "MERGE"};
static const char *const recorded_as[N_RESOLUTIONS] = {"LOCAL", "REMOTE", "MERGED"};

/* One open conflict, with the mapping that it arose in. */
typedef struct OpenConflict
{
	char	   *id;
	TsMapping	m;				/* id NULL: the mapping is gone */
	TsDb		db;
	TsFieldMask fields;
	TsTask		there;			/* the service's values as they would be here */
	TsTask		remote;			/* … and as they are there */
} OpenConflict;

typedef struct Resolving
{
	const TsCall *call;
	const char *task_id;
	Resolution	resolution;
	TsTask		merged;
	TsFieldMask decided;		/* by an earlier conflict of the same task */
	bool		pending;		/* something is to be sent */
} Resolving;

static Resolution
resolution_by_name(const char *name)
{
	for (int i = 0; name && i < N_RESOLUTIONS; i++)
		if (strcmp(name, resolution_names[i]) == 0)
			return (Resolution) i;
	ts_bad_value("resolution", name, "Use KEEP_LOCAL, USE_REMOTE or MERGE.");
}

static void
lock_task(const Resolving *r)
{
	static TsStatement stmt = {
		"SELECT 1 FROM tasksync.task t WHERE t.id = $1 AND t.user_id = $2 FOR NO KEY UPDATE",
		{UUIDOID, TEXTOID}
	};

	if (r->task_id == NULL || ts_run(&stmt, ts_uuid(r->task_id), ts_text(r->call->user_id)) == 0)
		ts_no_such("task", r->task_id);
}

/*
 * The open conflicts of the task: the home's first, since its service is whom
 * USE_REMOTE means where a mirror disagrees as well.
 */
static OpenConflict *
open_conflicts(const Resolving *r, int *n)
{
	static TsStatement stmt = {
		"SELECT k.id::text, m.id::text, m.provider_id::text, m.project_id::text, p.type, k.fields,"
		" COALESCE(k.remote, '{}')::text"
		" FROM tasksync.task_conflict k"
		" JOIN tasksync.task t ON t.id = k.task_id AND t.user_id = k.user_id"
		" LEFT JOIN tasksync.task_list_mapping m ON m.id = k.mapping_id AND m.user_id = k.user_id"
		" LEFT JOIN tasksync.task_provider p ON p.id = m.provider_id AND p.user_id = m.user_id"
		" WHERE k.task_id = $1 AND k.user_id = $2 AND k.resolution IS NULL AND k.resolved_at IS NULL"
		" ORDER BY COALESCE(m.provider_id = t.provider_id, false) DESC, k.created_at, k.id"
		" FOR UPDATE OF k",
		{UUIDOID, TEXTOID}
	};
	OpenConflict *conflicts;
	TsError		err = {0};

	*n = ts_run(&stmt, ts_uuid(r->task_id), ts_text(r->call->user_id));
	conflicts = palloc0(sizeof(OpenConflict) * (*n + 1));
	for (int i = 0; i < *n; i++)
	{
		OpenConflict *k = &conflicts[i];
		char	   *remote = ts_col_text(i, 7, NULL);
		int			nfields;
		char	  **fields = ts_col_texts(i, 6, &nfields);

		k->id = ts_col_text(i, 1, NULL);
		k->m.id = ts_col_text(i, 2, NULL);
		k->m.user_id = r->call->user_id;
		k->m.provider_id = ts_col_text(i, 3, NULL);
		k->m.project_id = ts_col_text(i, 4, NULL);
		k->db.user_id = r->call->user_id;
		k->db.provider_id = k->m.provider_id;
		k->db.provider_type = ts_col_text(i, 5, NULL);
		k->db.in_transaction = true;
		for (int f = 0; f < nfields; f++)
			k->fields |= TS_FIELD_BIT(ts_field_by_name(fields[f], strlen(fields[f])));
		if (!ts_task_from_json(remote, strlen(remote), &k->remote, &err))
			ts_ereport(&err);
	}
	return conflicts;
}

/*
 * The service may have changed its values since the conflict was found, or the
 * object be another one: what the link last saw counts, and nothing would ever
 * tell of it again.
 */
static void
look_again(OpenConflict *k, const TsLinkRow *row)
{
	const TsProvider *provider = k->db.provider_type ? ts_provider_lookup(k->db.provider_type) : NULL;
	TsCodecOptions opt = {
		.default_time_zone = ts_floating_time_zone(),
		.now = ts_unix_microseconds(GetCurrentTimestamp())
	};
	TsRemoteTask seen = {0};
	TsError		err = {0};

	if (provider == NULL || row->payload == NULL)
		return;
	opt.settings = ts_load_provider(k->m.provider_id, k->m.user_id)->settings;
	if (!provider->decode(row->payload, row->payload_len, &opt, &seen, &err) || !seen.is_task)
		return;
	for (TsField f = 0; f < TS_NFIELDS; f++)
		if (k->fields & seen.task.known & TS_FIELD_BIT(f))
		{
			k->remote.known |= TS_FIELD_BIT(f);
			k->remote.value[f] = seen.task.value[f];
		}
}

/* Does the service still hold what it made of ours?  (It may keep no seconds.) */
static bool
is_ours_there(const OpenConflict *k, const TsLinkRow *row, TsField f)
{
	return k->remote.value[f] && (row->remote_base.known & row->local_base.known & TS_FIELD_BIT(f)) &&
		row->local_base.value[f] &&
		ts_value_equal(f, k->remote.value[f], row->remote_base.value[f]);
}

/* The service's values as our side holds them: the parent is a task here. */
static void
values_there(OpenConflict *k, const TsLinkRow *row)
{
	const char *uid = k->remote.value[TS_PARENT_TASK_ID];

	k->there = k->remote;
	for (TsField f = 0; f < TS_NFIELDS; f++)
		if (is_ours_there(k, row, f))
			k->there.value[f] = row->local_base.value[f];
		else if (k->there.value[f] == NULL && ts_field_info[f].fallback)
			k->there.value[f] = unconstify(char *, ts_field_info[f].fallback);
	if (k->m.id)
		k->there.value[TS_PARENT_TASK_ID] = ts_store_parents(&k->db, &k->m, &uid, 1)[0];
}

/* 22023 unless "merged" says something about each of these fields. */
static void
read_merged(Resolving *r, FunctionCallInfo fcinfo, const OpenConflict *conflicts, int n)
{
	char	   *json = ts_arg_jsonb(fcinfo, 2);
	TsError		err = {0};
	TsFieldMask needed = 0;

	if (r->resolution != MERGE)
	{
		if (json)
			ts_bad_value("argument merged", json, "Only MERGE takes it.");
		return;
	}
	ts_required(fcinfo, 2, "merged");
	if (!ts_task_from_json(json, strlen(json), &r->merged, &err))
		ts_ereport(&err);
	for (int i = 0; i < n; i++)
		needed |= conflicts[i].fields;
	for (TsField f = 0; f < TS_NFIELDS; f++)
		if (needed & ~r->merged.known & TS_FIELD_BIT(f))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("merged has no value for \"%s\"", ts_field_info[f].name),
					 errhint("Give a value for every field in conflict.")));
}

/* A parent given by hand must be a task of the caller's. */
static void
check_parent(const Resolving *r)
{
	static TsStatement stmt = {
		"SELECT 1 FROM tasksync.task t WHERE t.id::text = pg_catalog.lower($1) AND t.user_id = $2",
		{TEXTOID, TEXTOID}
	};
	const char *parent = r->merged.value[TS_PARENT_TASK_ID];

	if (parent && ts_run(&stmt, ts_text(parent), ts_text(r->call->user_id)) == 0)
		ts_bad_value("parent_task_id", parent, NULL);
}

/* What the decision makes of the task; known = the fields to set. */
static TsTask
patch_of(const Resolving *r, const OpenConflict *k, const TsTask *local)
{
	const TsTask *from = r->resolution == MERGE ? &r->merged : &k->there;
	TsTask		patch = {0};

	for (TsField f = 0; r->resolution != KEEP_LOCAL && f < TS_NFIELDS; f++)
		if ((k->fields & ~r->decided & TS_FIELD_BIT(f)) &&
			!ts_value_equal(f, from->value[f], local->value[f]))
		{
			patch.known |= TS_FIELD_BIT(f);
			patch.value[f] = from->value[f];
		}
	return patch;
}

/*
 * The bases after the decision; the fields that are to be sent are answered.
 * Ours differs from theirs then, which is the base, except where that is a
 * parent that we do not have.
 */
static TsFieldMask
move_bases(const Resolving *r, const OpenConflict *k, const TsTask *patch, TsLinkRow *row)
{
	TsFieldMask to_send = 0;

	for (TsField f = 0; f < TS_NFIELDS; f++)
	{
		const TsTask *ours = patch->known & TS_FIELD_BIT(f) ? patch : &row->local;
		bool		agreed = ts_value_equal(f, ours->value[f], k->there.value[f]);
		bool		waits = f == TS_PARENT_TASK_ID && k->remote.value[f] && !k->there.value[f];

		if (!(k->fields & TS_FIELD_BIT(f)))
			continue;
		row->remote_base.known |= TS_FIELD_BIT(f);
		row->remote_base.value[f] = k->remote.value[f];
		row->local_base.known |= TS_FIELD_BIT(f);
		row->local_base.value[f] = agreed ? ours->value[f] : k->there.value[f];
		if (agreed && !(waits && r->resolution != USE_REMOTE))
			continue;
		to_send |= TS_FIELD_BIT(f);
		if (waits)
			row->local_base.known &= ~TS_FIELD_BIT(f);
	}
	return to_send;
}

static TsArg
record(const TsTask *task)
{
	StringInfoData buf;

	initStringInfo(&buf);
	ts_task_to_json(task, TS_ALL_FIELDS, &buf);
	return ts_text_len(buf.data, buf.len);
}

static void
write_link(const Resolving *r, const OpenConflict *k, const TsLinkRow *row, bool pending)
{
	static TsStatement stmt = {
		"UPDATE tasksync.task_link l SET local_base = $4::jsonb, remote_base = $5::jsonb,"
		" sync_status = CASE WHEN $6 THEN 'PENDING' ELSE 'SYNCED' END"
		" WHERE l.mapping_id = $1 AND l.user_id = $2 AND l.task_id = $3",
		{UUIDOID, TEXTOID, UUIDOID, TEXTOID, TEXTOID, BOOLOID}
	};

	ts_run(&stmt, ts_uuid(k->m.id), ts_text(k->m.user_id), ts_uuid(r->task_id),
		   record(&row->local_base), record(&row->remote_base), ts_bool(pending));
}

/*
 * The journal tells the mapping where to look.  The writes to the task itself
 * were journalled for the others only, so that they do not echo.
 */
static void
tell_mapping(const Resolving *r, const OpenConflict *k, TsFieldMask fields)
{
	static TsStatement stmt = {
		"INSERT INTO tasksync.task_change (user_id, task_id, provider_id, mapping_id, change_type,"
		" change_data)"
		" SELECT t.user_id, t.id, $3, $4, 'UPDATE', pg_catalog.jsonb_object_agg(f,"
		"  pg_catalog.jsonb_build_object('old', $5::jsonb -> f, 'new', tasksync.task_fields(t) -> f))"
		" FROM tasksync.task t, unnest($6::text[]) f"
		" WHERE t.id = $1 AND t.user_id = $2 GROUP BY t.user_id, t.id",
		{UUIDOID, TEXTOID, UUIDOID, UUIDOID, TEXTOID, TEXTARRAYOID}
	};
	TsArg		names = {ts_field_names(fields), false};

	ts_run(&stmt, ts_uuid(r->task_id), ts_text(k->m.user_id), ts_uuid(k->m.provider_id),
		   ts_uuid(k->m.id), record(&k->there), names);
}

static void
close_conflict(const Resolving *r, const OpenConflict *k)
{
	static TsStatement stmt = {
		"UPDATE tasksync.task_conflict k SET resolution = $3, resolved_at = pg_catalog.now(),"
		" remote = $4::jsonb WHERE k.id = $1 AND k.user_id = $2",
		{UUIDOID, TEXTOID, TEXTOID, TEXTOID}
	};

	ts_run(&stmt, ts_uuid(k->id), ts_text(r->call->user_id), ts_text(recorded_as[r->resolution]),
		   record(&k->remote));
}

static void
resolve(Resolving *r, OpenConflict *k)
{
	TsLinkRow  *row = ts_store_links_by_task(&k->db, &k->m, &r->task_id, 1);
	TsChange	change = {.task_id = r->task_id,.link_action = TS_LINK_KEEP};
	TsFieldMask to_send;

	look_again(k, row);
	values_there(k, row);
	change.task_patch = patch_of(r, k, &row->local);
	if (change.task_patch.known)
	{
		change.task_action = TS_ACTION_UPDATE;
		ts_store_apply(&k->db, &k->m, &change, 1);
	}
	r->decided |= k->fields;
	close_conflict(r, k);
	if (!row->linked)
		return;
	to_send = move_bases(r, k, &change.task_patch, row);
	write_link(r, k, row, to_send != 0);
	if (to_send)
		tell_mapping(r, k, to_send);
	r->pending |= to_send != 0;
	(void) ts_queue_job(r->call->user_id, k->m.provider_id, k->m.id);
}

static void
show_status(const Resolving *r)
{
	static TsStatement stmt = {
		"UPDATE tasksync.task t SET sync_status = CASE WHEN $3 THEN 'PENDING' ELSE 'SYNCED' END"
		" WHERE t.id = $1 AND t.user_id = $2 AND t.sync_status = 'CONFLICT'",
		{UUIDOID, TEXTOID, BOOLOID}
	};

	ts_run(&stmt, ts_uuid(r->task_id), ts_text(r->call->user_id), ts_bool(r->pending));
}

/*
 * resolve_conflict(task_id uuid, resolution text, merged jsonb) → task
 *
 * Decides all open conflicts of a task: KEEP_LOCAL, what is here stands and is
 * sent; USE_REMOTE, what the service has stands; MERGE, what "merged" says of
 * each field in conflict stands (other fields in it are not looked at).  A sync
 * is queued.  P0002: no such task; 55000: it has no open conflict; 22023: not a
 * resolution, or merged is missing, incomplete or not a task.
 */
Datum
tasksync_resolve_conflict(PG_FUNCTION_ARGS)
{
	static TsStatement select_task = {
		"SELECT t FROM tasksync.task t WHERE t.id = $1 AND t.user_id = $2",
		{UUIDOID, TEXTOID}
	};
	Resolving	r = {
		.task_id = ts_arg_uuid(fcinfo, 0),
		.resolution = resolution_by_name(ts_arg_text(fcinfo, 1))
	};
	OpenConflict *conflicts;
	int			n;
	TsCall		call;
	Datum		row;

	r.call = &call;
	ts_api_begin(&call);
	lock_task(&r);
	conflicts = open_conflicts(&r, &n);
	if (n == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("task \"%s\" has no open conflict", r.task_id)));
	read_merged(&r, fcinfo, conflicts, n);
	check_parent(&r);
	for (int i = 0; i < n; i++)
		resolve(&r, &conflicts[i]);
	show_status(&r);
	row = ts_row_by_id(&select_task, "task", ts_uuid(r.task_id), r.task_id, &call);
	ts_api_end(&call);
	PG_RETURN_DATUM(row);
}
