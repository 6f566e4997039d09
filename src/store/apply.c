/*-------------------------------------------------------------------------
 *
 * apply.c
 *	  Writing what was planned: a batch of changes in a fixed number of
 *	  statements.
 *
 * Tasks are created before they are linked and deleted after, so that at no
 * statement's end a key is violated.  The writes carry the mapping's name
 * (ts_apply_mapping): the journal's triggers write them down for the other
 * mappings of the task and not for the one they came from.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "store/backend.h"
#include "store/sql.h"
#include "tasksync.h"
#include "track/track.h"
#include "utils/memutils.h"
#include "utils/uuid.h"

/* The columns of a task record, as a column definition list and by name. */
#define FIELD_DEFINITIONS \
	"title text, description text, status text, priority text, start_date date, start_time time," \
	" due_date date, due_time time, time_zone text, duration_minutes int, percent_complete int," \
	" completed_at timestamptz, recurrence_rule text, remind_at timestamptz, tags text[], url text," \
	" parent_task_id uuid"

/* Some of the changes, as parallel arrays of texts. */
typedef struct Columns
{
	const TsMapping *m;
	const TsDb *db;
	const TsChange **change;	/* the chosen ones */
	int			n;
} Columns;

typedef bool (*Chooser) (const TsChange *change);
typedef const char *(*Getter) (const TsChange *change);

static void
choose(Columns *cols, const TsChange *changes, int n, Chooser chosen)
{
	cols->n = 0;
	for (int i = 0; i < n; i++)
		if (changes[i].task_id && chosen(&changes[i]))
			cols->change[cols->n++] = &changes[i];
}

static TsArg
texts(const Columns *cols, Getter get)
{
	const char **values = palloc(sizeof(char *) * (cols->n + 1));

	for (int i = 0; i < cols->n; i++)
		values[i] = get(cols->change[i]);
	return ts_texts(values, cols->n);
}

static const char *
json(const TsTask *task)
{
	StringInfoData buf;

	initStringInfo(&buf);
	ts_task_to_json(task, TS_ALL_FIELDS, &buf);
	return buf.data;
}

static const char *get_task_id(const TsChange *c) { return c->task_id; }
static const char *get_patch(const TsChange *c) { return json(&c->task_patch); }
static const char *get_external_id(const TsChange *c) { return c->external_id; }
static const char *get_etag(const TsChange *c) { return c->etag; }
static const char *get_uid(const TsChange *c) { return c->uid; }
static const char *get_local_base(const TsChange *c) { return json(&c->local_base); }
static const char *get_modified_at(const TsChange *c) { return c->modified_at; }
static const char *get_write_seq(const TsChange *c) { return psprintf(INT64_FORMAT, c->write_seq); }
static const char *get_moved_to(const TsChange *c) { return c->moved_to; }
static const char *get_payload(const TsChange *c) { return c->payload; }
static const char *get_parent_uid(const TsChange *c) { return c->parent_uid; }
static const char *get_remote_base(const TsChange *c) { return json(&c->remote_base); }
static const char *get_dead_id(const TsChange *c) { return c->dead_external_id; }
static const char *get_dead_uid(const TsChange *c) { return c->dead_uid; }
static const TsError *trouble_of(const TsChange *c) { return ts_failed(&c->failure) ? &c->failure : &c->in_vain; }
static const char *get_error_code(const TsChange *c) { return trouble_of(c)->sqlstate; }
static const char *get_error_message(const TsChange *c) { return ts_error_text(trouble_of(c)); }
static const char *get_conflict_base(const TsChange *c) { return json(&c->conflict.base); }
static const char *get_conflict_local(const TsChange *c) { return json(&c->conflict.local); }
static const char *get_conflict_remote(const TsChange *c) { return json(&c->conflict.remote); }
static const char *get_open_base(const TsChange *c) { return json(&c->open.base); }
static const char *get_open_local(const TsChange *c) { return json(&c->open.local); }
static const char *get_open_remote(const TsChange *c) { return json(&c->open.remote); }
static const char *get_resolution(const TsChange *c) { return c->conflict.resolution; }

/* The names of some fields, as a JSON array. */
static const char *
field_names(TsFieldMask fields)
{
	char	   *names[TS_NFIELDS];
	int			n = 0;

	for (TsField f = 0; f < TS_NFIELDS; f++)
		if (fields & TS_FIELD_BIT(f))
			names[n++] = (char *) ts_field_info[f].name;
	return ts_tags_join(names, n);
}

static const char *get_patch_fields(const TsChange *c) { return field_names(c->task_patch.known); }
static const char *get_conflict_fields(const TsChange *c) { return field_names(c->conflict.fields); }
static const char *get_open_fields(const TsChange *c) { return field_names(c->open.fields); }

static bool creates_task(const TsChange *c) { return c->task_action == TS_ACTION_CREATE; }
static bool imports_task(const TsChange *c) { return creates_task(c) && !c->revived; }
static bool revives_task(const TsChange *c) { return creates_task(c) && c->revived; }
static bool updates_task(const TsChange *c) { return c->task_action == TS_ACTION_UPDATE; }
static bool deletes_task(const TsChange *c) { return c->task_action == TS_ACTION_DELETE; }
static bool has_conflict(const TsChange *c) { return c->has_conflict; }
static bool has_open(const TsChange *c) { return c->open.fields != 0; }
static bool sets_link(const TsChange *c) { return c->link_action == TS_LINK_SET && !c->moved_to; }
static bool imports_link(const TsChange *c) { return sets_link(c) && imports_task(c); }
static bool updates_link(const TsChange *c) { return sets_link(c) && !imports_task(c); }
static bool moves_link(const TsChange *c) { return c->link_action == TS_LINK_SET && c->moved_to; }
static bool copies_link(const TsChange *c) { return c->link_action == TS_LINK_COPY; }
static bool parts(const TsChange *c) { return c->link_action == TS_LINK_PART; }
static bool unbinds(const TsChange *c) { return c->link_action == TS_LINK_UNBIND; }
static bool deadens(const TsChange *c) { return c->link_action == TS_LINK_DEAD; }
static bool drops(const TsChange *c) { return c->link_action == TS_LINK_DROP; }
static bool goes_over(const TsChange *c) { return moves_link(c) || copies_link(c); }
static bool loses_object(const TsChange *c) { return unbinds(c) || deadens(c) || drops(c); }
static bool failed(const TsChange *c) { return ts_failed(&c->failure); }
static bool was_in_vain(const TsChange *c) { return ts_failed(&c->in_vain); }
static bool clears_intent(const TsChange *c) { return c->clear_intent; }
static bool clears_inbox(const TsChange *c) { return c->clear_inbox != NULL; }
static bool owes(const TsChange *c) { return c->owes; }
static bool buries(const TsChange *c) { return c->dead_external_id != NULL; }

/* The column names of a task record, each with a prefix. */
#define FIELD_NAMES(p) \
	p "title," p "description," p "status," p "priority," p "start_date," p "start_time," \
	p "due_date," p "due_time," p "time_zone," p "duration_minutes," p "percent_complete," \
	p "completed_at," p "recurrence_rule," p "remind_at," p "tags," p "url," p "parent_task_id"

/* The columns of new_tasks: what is beside the fields, then those. */
enum
{
	NEW_ID,
	NEW_EXTERNAL_ID,
	NEW_MODIFIED_AT,
	NEW_FIELDS,
	NEW_NCOLUMNS = NEW_FIELDS + TS_NFIELDS
};

static TsRows *
begin_new_tasks(void)
{
	TsColumn	columns[NEW_NCOLUMNS] = {
		[NEW_ID] = {"id", UUIDOID},
		[NEW_EXTERNAL_ID] = {"external_id", TEXTOID},
		[NEW_MODIFIED_AT] = {"modified_at", TIMESTAMPTZOID},
	};

	for (TsField f = 0; f < TS_NFIELDS; f++)
		columns[NEW_FIELDS + f] = (TsColumn) {ts_field_info[f].name, ts_field_type(f)};
	return ts_rows_begin("new_tasks", columns, NEW_NCOLUMNS);
}

static void
add_new_task(TsRows *rows, const TsChange *c)
{
	TsArg		values[NEW_NCOLUMNS];

	values[NEW_ID] = ts_uuid(c->task_id);
	values[NEW_EXTERNAL_ID] = ts_text(c->external_id);
	values[NEW_MODIFIED_AT] = ts_timestamp(c->modified_at);
	for (TsField f = 0; f < TS_NFIELDS; f++)
		values[NEW_FIELDS + f] = ts_field_value(f, c->task_patch.value[f]);
	ts_rows_add(rows, values);
}

/* Adds a row for each of the changes; what it takes is gone with the row. */
static void
add_rows(TsRows *rows, const Columns *cols, void (*add) (TsRows *rows, const TsChange *c))
{
	MemoryContext row = AllocSetContextCreate(CurrentMemoryContext, "tasksync row",
											  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(row);

	for (int i = 0; i < cols->n; i++)
	{
		add(rows, cols->change[i]);
		MemoryContextReset(row);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(row);
}

static void
import_tasks(const Columns *cols)
{
	static TsStatement stmt = {
		"INSERT INTO tasksync.task (id, user_id, project_id, is_auto_scheduled, source, provider_id,"
		" external_task_id, external_updated_at, last_synced_at, sync_status," FIELD_NAMES("") ")"
		" SELECT i.id, $1, $2, $3, $4, $5, i.external_id, i.modified_at, pg_catalog.now(), 'SYNCED',"
		FIELD_NAMES("i.") " FROM new_tasks i",
		{TEXTOID, UUIDOID, BOOLOID, TEXTOID, UUIDOID}
	};
	const TsMapping *m = cols->m;
	TsRows	   *rows;

	if (cols->n == 0)
		return;
	rows = begin_new_tasks();
	add_rows(rows, cols, add_new_task);
	ts_run(&stmt, ts_text(m->user_id), ts_uuid(m->project_id), ts_bool(m->is_auto_scheduled),
		   ts_text(cols->db->provider_type), ts_uuid(m->provider_id));
	ts_rows_end(rows);
}

/*
 * A task that comes back to life is as it was when it was deleted, edits that
 * were never sent included, but for what was edited there: the journal or the
 * trash holds the whole row.  Where they do not any more, the base is next best.
 */
static void
revive_tasks(const Columns *cols)
{
	static TsStatement stmt = {
		"INSERT INTO tasksync.task (id, user_id, project_id, title, description, status, priority,"
		" start_date, start_time, due_date, due_time, time_zone, duration_minutes, percent_complete,"
		" completed_at, recurrence_rule, remind_at, tags, url, parent_task_id, is_auto_scheduled,"
		" source, provider_id, external_task_id, external_updated_at, last_synced_at, sync_status)"
		" SELECT i.id, $2, $3, COALESCE(x.title, ''), x.description, COALESCE(x.status, 'TODO'),"
		" COALESCE(x.priority, 'NONE'), x.start_date, x.start_time, x.due_date, x.due_time, x.time_zone,"
		" x.duration_minutes, x.percent_complete, x.completed_at, x.recurrence_rule, x.remind_at,"
		" COALESCE(x.tags, '{}'), x.url, (SELECT p.id FROM tasksync.task p"
		"  WHERE p.id = x.parent_task_id AND " TS_OF_USER("p", "$2") "),"
		" COALESCE(x.is_auto_scheduled, $4), COALESCE(x.source, $5), $6, i.external_id, i.modified_at,"
		" pg_catalog.now(), 'SYNCED'"
		" FROM unnest($7::uuid[], $8::text[]::jsonb[], $9::text[], $10::text[]::timestamptz[],"
		"  $11::text[]::jsonb[]) AS i(id, fields, external_id, modified_at, base)"
		" LEFT JOIN LATERAL (SELECT f.fields FROM"
		"  (SELECT c.created_at, (SELECT pg_catalog.jsonb_object_agg(e.key, e.value -> 'old')"
		"    FROM pg_catalog.jsonb_each(c.change_data) e) AS fields"
		"    FROM tasksync.task_change c"
		"    WHERE " TS_OF_USER("c", "$2") " AND c.task_id = i.id AND c.change_type = 'DELETE'"
		"   UNION ALL"
		"   SELECT g.created_at, g.old_row FROM tasksync.task_trash g"
		"    WHERE " TS_OF_USER("g", "$2") " AND g.task_id = i.id AND g.action = 'DELETE') f"
		"  ORDER BY f.created_at DESC LIMIT 1) old ON true"
		" CROSS JOIN LATERAL pg_catalog.jsonb_to_record(COALESCE(old.fields, i.base) || i.fields)"
		"  AS x(" FIELD_DEFINITIONS ", is_auto_scheduled boolean, source text)",
		{UUIDOID, TEXTOID, UUIDOID, BOOLOID, TEXTOID, UUIDOID, TEXTARRAYOID, TEXTARRAYOID,
			TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID}
	};
	const TsMapping *m = cols->m;

	if (cols->n == 0)
		return;
	ts_run(&stmt, ts_uuid(m->id), ts_text(m->user_id), ts_uuid(m->project_id),
		   ts_bool(m->is_auto_scheduled), ts_text(cols->db->provider_type),
		   ts_uuid(m->provider_id), texts(cols, get_task_id), texts(cols, get_patch),
		   texts(cols, get_external_id), texts(cols, get_modified_at),
		   texts(cols, get_local_base));
}

/* One statement over (mapping, user, task ids). */
static void
run_by_task(const Columns *cols, TsStatement *stmt)
{
	if (cols->n > 0)
		ts_run(stmt, ts_uuid(cols->m->id), ts_text(cols->m->user_id), texts(cols, get_task_id));
}

/* What a sync overwrites or deletes here is kept, for undo_sync. */
static void
keep_in_trash(const Columns *cols, const char *action)
{
	static TsStatement stmt = {
		"INSERT INTO tasksync.task_trash (user_id, task_id, mapping_id, job_id, action, old_row, fields)"
		" SELECT t.user_id, t.id, $1, NULLIF($4, 0), $5, pg_catalog.to_jsonb(t),"
		"  ARRAY(SELECT pg_catalog.jsonb_array_elements_text(i.fields))"
		" FROM unnest($3::uuid[], $6::text[]::jsonb[]) AS i(id, fields)"
		" JOIN tasksync.task t ON t.id = i.id AND " TS_OF_USER("t", "$2"),
		{UUIDOID, TEXTOID, TEXTARRAYOID, INT8OID, TEXTOID, TEXTARRAYOID}
	};

	if (cols->n > 0)
		ts_run(&stmt, ts_uuid(cols->m->id), ts_text(cols->m->user_id), texts(cols, get_task_id),
			   ts_long(cols->db->job_id), ts_text(action), texts(cols, get_patch_fields));
}

#define SET_FIELD(name) name " = CASE WHEN u.fields ? '" name "' THEN x." name " ELSE t." name " END"

static void
update_tasks(const Columns *cols)
{
	static TsStatement stmt = {
		"UPDATE tasksync.task t SET"
		" title = CASE WHEN u.fields ? 'title' THEN COALESCE(x.title, '') ELSE t.title END,"
		" status = CASE WHEN u.fields ? 'status' THEN COALESCE(x.status, 'TODO') ELSE t.status END,"
		" priority = CASE WHEN u.fields ? 'priority' THEN COALESCE(x.priority, 'NONE') ELSE t.priority END,"
		" tags = CASE WHEN u.fields ? 'tags' THEN COALESCE(x.tags, '{}') ELSE t.tags END,"
		SET_FIELD("description") "," SET_FIELD("start_date") "," SET_FIELD("start_time") ","
		SET_FIELD("due_date") "," SET_FIELD("due_time") "," SET_FIELD("time_zone") ","
		SET_FIELD("duration_minutes") "," SET_FIELD("percent_complete") ","
		SET_FIELD("completed_at") "," SET_FIELD("recurrence_rule") "," SET_FIELD("remind_at") ","
		SET_FIELD("url") "," SET_FIELD("parent_task_id")
		" FROM unnest($2::uuid[], $3::text[]::jsonb[]) AS u(id, fields)"
		" CROSS JOIN LATERAL pg_catalog.jsonb_to_record(u.fields) AS x(" FIELD_DEFINITIONS ")"
		" WHERE t.id = u.id AND " TS_OF_USER("t", "$1"),
		{TEXTOID, TEXTARRAYOID, TEXTARRAYOID}
	};

	if (cols->n == 0)
		return;
	keep_in_trash(cols, "UPDATE");
	ts_run(&stmt, ts_text(cols->m->user_id), texts(cols, get_task_id), texts(cols, get_patch));
}

static void
delete_tasks(const Columns *cols)
{
	static TsStatement stmt = {
		"DELETE FROM tasksync.task t WHERE " TS_OF_USER("t", "$1") " AND t.id = ANY ($2::uuid[])",
		{TEXTOID, TEXTARRAYOID}
	};

	/* Their subtasks become top-level by that, which is no edit of anybody's here. */
	static TsStatement orphans = {
		"UPDATE tasksync.task_link l"
		" SET local_base = l.local_base || '{\"parent_task_id\": null}'"
		" FROM tasksync.task t WHERE " TS_MINE("l") " AND t.id = l.task_id AND " TS_OF_USER("t", "$2")
		" AND t.parent_task_id = ANY ($3::uuid[])"
		" AND l.local_base ->> 'parent_task_id' = t.parent_task_id::text",
		{UUIDOID, TEXTOID, TEXTARRAYOID}
	};

	if (cols->n == 0)
		return;
	keep_in_trash(cols, "DELETE");
	run_by_task(cols, &orphans);
	ts_run(&stmt, ts_text(cols->m->user_id), texts(cols, get_task_id));
}

/*
 * Links
 */

#define INSERT_LINKS \
	"INSERT INTO tasksync.task_link AS l (id, user_id, task_id, mapping_id, external_task_id, etag," \
	" external_uid, external_parent, payload, local_base, remote_base, write_seq," \
	" external_updated_at, sync_status, last_synced_at)" \
	" SELECT i.id, $2, i.task_id, $1, i.external_id, i.etag, i.uid, i.parent, i.payload, i.local_base," \
	"  i.remote_base, i.write_seq, i.modified_at, 'SYNCED', pg_catalog.now() FROM new_links i"

#define INSERT_LINKS_TYPES {UUIDOID, TEXTOID}

#define NO_FAILURE "fail_count = 0, retry_at = NULL, error_code = NULL, error_message = NULL"

static TsRows *
begin_new_links(void)
{
	static const TsColumn columns[] = {
		{"id", UUIDOID}, {"task_id", UUIDOID}, {"external_id", TEXTOID}, {"etag", TEXTOID},
		{"uid", TEXTOID}, {"parent", TEXTOID}, {"payload", TEXTOID}, {"local_base", JSONBOID},
		{"remote_base", JSONBOID}, {"write_seq", INT8OID}, {"modified_at", TIMESTAMPTZOID}
	};

	return ts_rows_begin("new_links", columns, lengthof(columns));
}

static bool
same_text(const TsTask *a, const TsTask *b)
{
	if (a->known != b->known)
		return false;
	for (TsField f = 0; f < TS_NFIELDS; f++)
	{
		const char *one = a->value[f];
		const char *other = b->value[f];

		if (one != other && (one == NULL || other == NULL || strcmp(one, other) != 0))
			return false;
	}
	return true;
}

/* Most often theirs is what ours is, and is made once only. */
static void
add_new_link(TsRows *rows, const TsChange *c)
{
	TsArg		local = ts_task_jsonb(&c->local_base);
	TsArg		remote = same_text(&c->remote_base, &c->local_base) ? local
		: ts_task_jsonb(&c->remote_base);
	pg_uuid_t	id;

	ts_make_uuid(&id);
	ts_rows_add(rows, (TsArg[]) {
		{UUIDPGetDatum(&id), false}, ts_uuid(c->task_id), ts_text(c->external_id), ts_text(c->etag),
		ts_text(c->uid), ts_text(c->parent_uid), ts_text(c->payload), local, remote,
		ts_long(c->write_seq), ts_timestamp(c->modified_at)
	});
}

static void
run_over_links(const Columns *cols, TsStatement *stmt)
{
	TsRows	   *rows;

	if (cols->n == 0)
		return;
	rows = begin_new_links();
	add_rows(rows, cols, add_new_link);
	ts_run(stmt, ts_uuid(cols->m->id), ts_text(cols->m->user_id));
	ts_rows_end(rows);
}

/* Of tasks made just now: nothing can be there yet, and asking would cost. */
static TsStatement import_links = {INSERT_LINKS, INSERT_LINKS_TYPES};

static TsStatement set_links = {
	INSERT_LINKS
	" ON CONFLICT (task_id, mapping_id, user_id) DO UPDATE SET"
	" external_task_id = EXCLUDED.external_task_id, etag = EXCLUDED.etag,"
	" prev_etags = CASE WHEN l.etag IS DISTINCT FROM EXCLUDED.etag AND l.etag IS NOT NULL"
	"  THEN (l.etag || l.prev_etags)[1:4] ELSE l.prev_etags END,"
	" external_uid = COALESCE(EXCLUDED.external_uid, l.external_uid),"
	" external_parent = EXCLUDED.external_parent,"
	" payload = COALESCE(EXCLUDED.payload, l.payload),"
	" local_base = EXCLUDED.local_base, remote_base = EXCLUDED.remote_base,"
	" write_seq = GREATEST(EXCLUDED.write_seq, l.write_seq),"
	" external_updated_at = COALESCE(EXCLUDED.external_updated_at, l.external_updated_at),"
	" state = 'LIVE', sync_status = 'SYNCED', last_synced_at = EXCLUDED.last_synced_at, " NO_FAILURE,
	INSERT_LINKS_TYPES
};

static void
move_links(const Columns *cols)
{
	static TsStatement stmt = {
		"UPDATE tasksync.task_link l SET mapping_id = i.moved_to, external_task_id = i.external_id,"
		" etag = i.etag, write_seq = i.write_seq, last_synced_at = pg_catalog.now()"
		" FROM unnest($3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::text[]::int8[])"
		"  AS i(task_id, moved_to, external_id, etag, write_seq)"
		" WHERE " TS_MINE("l") " AND l.task_id = i.task_id",
		{UUIDOID, TEXTOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID}
	};

	/* A link of the task that never came to an object makes way. */
	static TsStatement clear_way = {
		"DELETE FROM tasksync.task_link o USING unnest($2::uuid[], $3::uuid[]) AS i(task_id, moved_to)"
		" WHERE o.user_id = $1 AND o.task_id = i.task_id AND o.mapping_id = i.moved_to"
		"  AND o.external_task_id IS NULL",
		{TEXTOID, TEXTARRAYOID, TEXTARRAYOID}
	};

	/* What is still to be sent goes with the link. */
	static TsStatement owed = {
		"UPDATE tasksync.task_change c SET mapping_id = i.moved_to"
		" FROM unnest($3::uuid[], $4::uuid[]) AS i(task_id, moved_to)"
		" WHERE " TS_MINE("c") " AND c.task_id = i.task_id AND c.synced_at IS NULL",
		{UUIDOID, TEXTOID, TEXTARRAYOID, TEXTARRAYOID}
	};

	if (cols->n == 0)
		return;
	ts_run(&clear_way, ts_text(cols->m->user_id), texts(cols, get_task_id),
		   texts(cols, get_moved_to));
	ts_run(&stmt, ts_uuid(cols->m->id), ts_text(cols->m->user_id), texts(cols, get_task_id),
		   texts(cols, get_moved_to), texts(cols, get_external_id), texts(cols, get_etag),
		   texts(cols, get_write_seq));
	ts_run(&owed, ts_uuid(cols->m->id), ts_text(cols->m->user_id), texts(cols, get_task_id),
		   texts(cols, get_moved_to));
}

/*
 * Another link beside this one, of an object in the list that the task was moved
 * to.  One that has an object already knows more of it, and stays.
 */
static void
copy_links(const Columns *cols)
{
	static TsStatement stmt = {
		"WITH new AS MATERIALIZED (SELECT i.* FROM unnest($3::uuid[], $4::uuid[], $5::text[], $6::text[],"
		"  $7::text[], $8::text[], $9::text[]::int8[], $10::text[]::jsonb[], $11::text[]::jsonb[])"
		"  AS i(task_id, moved_to, external_id, uid, parent, payload, write_seq, local_base, remote_base)"
		"), owed AS ("
		" INSERT INTO tasksync.task_change (user_id, task_id, provider_id, mapping_id, change_type)"
		" SELECT $2, n.task_id, $1, n.moved_to, 'UPDATE' FROM new n)"
		" INSERT INTO tasksync.task_link AS l (user_id, task_id, mapping_id, external_task_id, external_uid,"
		"  external_parent, payload, local_base, remote_base, write_seq, sync_status)"
		" SELECT $2, n.task_id, n.moved_to, n.external_id, n.uid, n.parent, n.payload,"
		"  n.local_base, n.remote_base, n.write_seq, 'PENDING'"
		" FROM new n"
		" ON CONFLICT (task_id, mapping_id, user_id) DO UPDATE SET"
		"  external_task_id = EXCLUDED.external_task_id, external_uid = EXCLUDED.external_uid,"
		"  external_parent = EXCLUDED.external_parent, etag = NULL, prev_etags = '{}',"
		"  payload = EXCLUDED.payload, local_base = EXCLUDED.local_base,"
		"  remote_base = EXCLUDED.remote_base, write_seq = EXCLUDED.write_seq, state = 'LIVE',"
		"  sync_status = 'PENDING', " NO_FAILURE
		" WHERE l.external_task_id IS NULL",
		{UUIDOID, TEXTOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID,
			TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID}
	};

	if (cols->n > 0)
		ts_run(&stmt, ts_uuid(cols->m->provider_id), ts_text(cols->m->user_id),
			   texts(cols, get_task_id), texts(cols, get_moved_to), texts(cols, get_external_id),
			   texts(cols, get_uid), texts(cols, get_parent_uid), texts(cols, get_payload),
			   texts(cols, get_write_seq), texts(cols, get_local_base),
			   texts(cols, get_remote_base));
}

/* An open conflict is about what the link has on its other side: it goes with it. */
static void
move_conflicts(const Columns *cols)
{
	static TsStatement stmt = {
		"UPDATE tasksync.task_conflict k SET mapping_id = i.moved_to"
		" FROM unnest($3::uuid[], $4::uuid[]) AS i(task_id, moved_to)"
		" WHERE " TS_MINE("k") " AND k.task_id = i.task_id AND " TS_IS_OPEN("k"),
		{UUIDOID, TEXTOID, TEXTARRAYOID, TEXTARRAYOID}
	};

	if (cols->n > 0)
		ts_run(&stmt, ts_uuid(cols->m->id), ts_text(cols->m->user_id), texts(cols, get_task_id),
			   texts(cols, get_moved_to));
}

static void
fail_links(const Columns *cols)
{
	/*
	 * 30 s, doubled at every failure up to six hours; after the eighth once a
	 * day.
	 */
	static TsStatement stmt = {
		"INSERT INTO tasksync.task_link AS l (user_id, task_id, mapping_id, sync_status, fail_count,"
		" retry_at, error_code, error_message)"
		" SELECT $2, i.task_id, $1, 'ERROR', 1, pg_catalog.now() + " TS_RETRY_DELAY("0") ","
		"  i.code, i.message"
		" FROM unnest($3::uuid[], $4::text[], $5::text[]) AS i(task_id, code, message)"
		" ON CONFLICT (task_id, mapping_id, user_id) DO UPDATE SET"
		" sync_status = 'ERROR', fail_count = l.fail_count + 1,"
		" retry_at = pg_catalog.now() + " TS_RETRY_DELAY("l.fail_count") ","
		" error_code = EXCLUDED.error_code, error_message = EXCLUDED.error_message",
		{UUIDOID, TEXTOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID}
	};

	if (cols->n > 0)
		ts_run(&stmt, ts_uuid(cols->m->id), ts_text(cols->m->user_id), texts(cols, get_task_id),
			   texts(cols, get_error_code), texts(cols, get_error_message));
}

/*
 * The journal rows that the attempt was about tell of it; later ones do not,
 * and by that make the task due at once.
 */
static int
fail_changes(const Columns *cols)
{
	static TsStatement stmt = {
		"UPDATE tasksync.task_change c SET attempts = c.attempts + 1, error_code = i.code,"
		" error_message = i.message"
		" FROM unnest($3::uuid[], $4::text[], $5::text[]) AS i(task_id, code, message)"
		" WHERE c.task_id = i.task_id AND c.mapping_id = $1 AND c.user_id = $2 AND c.synced_at IS NULL"
		"  AND ($6::pg_snapshot IS NULL OR pg_catalog.pg_visible_in_snapshot(c.xid, $6::pg_snapshot))"
		" RETURNING c.task_id::text, c.attempts",
		{UUIDOID, TEXTOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TEXTOID}
	};

	if (cols->n == 0)
		return 0;
	return ts_run(&stmt, ts_uuid(cols->m->id), ts_text(cols->m->user_id), texts(cols, get_task_id),
				  texts(cols, get_error_code), texts(cols, get_error_message),
				  ts_text(cols->db->snapshot));
}

/*
 * What was sent, and nothing came of it, is sent again at once: an answer was lost,
 * or the service was out of order.  One that never goes through is a failure like
 * any other.
 */
static void
count_in_vain(Columns *cols)
{
	int			nrows = fail_changes(cols);
	int			n = 0;

	for (int i = 0; i < cols->n; i++)
	{
		bool		is_hopeless = false;

		for (int row = 0; row < nrows && !is_hopeless; row++)
			is_hopeless = ts_col_int(row, 2) >= TS_TRIES_IN_VAIN &&
				strcmp(ts_col_text(row, 1, NULL), cols->change[i]->task_id) == 0;
		if (is_hopeless)
			cols->change[n++] = cols->change[i];
	}
	cols->n = n;
	fail_links(cols);
}

/*
 * A child may come before its parent: whoever waited for one of these tasks,
 * or is one of them and waits, gets its parent now.  Where that would make it
 * its own ancestor, as a service may well have it, it goes on waiting.
 */
static void
resolve_parents(const Columns *cols)
{
	static TsStatement stmt = {
		"WITH RECURSIVE candidate AS MATERIALIZED ("
		" SELECT c.task_id, p.task_id AS parent_id"
		" FROM tasksync.task_link c"
		" JOIN tasksync.task_link p ON p.mapping_id = c.mapping_id AND p.user_id = c.user_id"
		"  AND p.external_uid = c.external_parent AND p.task_id <> c.task_id"
		" JOIN tasksync.task pt ON pt.id = p.task_id AND pt.user_id = p.user_id"
		" JOIN tasksync.task t ON t.id = c.task_id AND t.user_id = c.user_id"
		" WHERE " TS_MINE("c") " AND c.external_parent IS NOT NULL"
		"  AND (c.task_id = ANY ($3::uuid[]) OR c.external_parent = ANY ($4::text[]))"
		"  AND t.parent_task_id IS NULL AND c.local_base -> 'parent_task_id' = 'null'"
		"), above (task_id, id) AS ("
		" SELECT c.task_id, c.parent_id FROM candidate c UNION"
		" SELECT a.task_id, COALESCE(t.parent_task_id, c.parent_id)"
		" FROM above a JOIN tasksync.task t ON t.id = a.id AND " TS_OF_USER("t", "$2")
		" LEFT JOIN candidate c ON c.task_id = a.id"
		" WHERE COALESCE(t.parent_task_id, c.parent_id) IS NOT NULL"
		"), pair AS MATERIALIZED ("
		" SELECT c.task_id, c.parent_id FROM candidate c"
		" WHERE NOT EXISTS (SELECT FROM above a WHERE a.task_id = c.task_id AND a.id = c.task_id)"
		"), adopted AS ("
		" UPDATE tasksync.task t SET parent_task_id = pair.parent_id FROM pair"
		" WHERE t.id = pair.task_id AND " TS_OF_USER("t", "$2") ")"
		" UPDATE tasksync.task_link l"
		" SET local_base = l.local_base || pg_catalog.jsonb_build_object('parent_task_id', pair.parent_id)"
		" FROM pair WHERE l.task_id = pair.task_id AND " TS_MINE("l"),
		{UUIDOID, TEXTOID, TEXTARRAYOID, TEXTARRAYOID}
	};
	static TsStatement any = {
		"SELECT 1 FROM tasksync.task_link l WHERE l.mapping_id = $1"
		" AND l.external_parent IS NOT NULL LIMIT 1",
		{UUIDOID}
	};

	if (cols->n > 0 && ts_run(&any, ts_uuid(cols->m->id)) > 0)
		ts_run(&stmt, ts_uuid(cols->m->id), ts_text(cols->m->user_id), texts(cols, get_task_id),
			   texts(cols, get_uid));
}

/* What the tasks' own columns say of their home link. */
void
ts_store_show_status(const TsDb *d, const TsMapping *m, const char **task_ids, int n)
{
	static TsStatement stmt = {
		"UPDATE tasksync.task t SET"
		" provider_id = s.provider_id, external_task_id = s.external_task_id,"
		" external_updated_at = COALESCE(s.external_updated_at, t.external_updated_at),"
		" last_synced_at = s.last_synced_at, sync_status = s.sync_status"
		" FROM (SELECT x.id, m.provider_id, l.external_task_id, l.external_updated_at,"
		"   l.last_synced_at,"
		"   CASE WHEN EXISTS (SELECT FROM tasksync.task_conflict k WHERE k.task_id = x.id"
		"     AND k.user_id = $2 AND k.resolution IS NULL AND k.resolved_at IS NULL) THEN 'CONFLICT'"
		"    WHEN l.sync_status = 'SYNCED' AND tasksync.task_fields(x) - $4::text[] <> l.local_base THEN 'PENDING'"
		"    ELSE l.sync_status END AS sync_status"
		"  FROM unnest($3::uuid[]) i(id)"
		"  JOIN tasksync.task_list_mapping m ON m.id = $1 AND m.user_id = $2"
		"  JOIN tasksync.task x ON x.id = i.id AND " TS_OF_USER("x", "$2")
		"   AND (x.provider_id = m.provider_id OR (x.provider_id IS NULL AND NOT m.mirror))"
		"  CROSS JOIN LATERAL (SELECT h.* FROM tasksync.task_link h"
		"   JOIN tasksync.task_list_mapping hm ON hm.id = h.mapping_id AND hm.user_id = h.user_id"
		"   WHERE h.task_id = i.id AND " TS_OF_USER("h", "$2") " AND hm.provider_id = m.provider_id"
		/* of a task that moves, the one where it goes */
		"   ORDER BY hm.project_id = x.project_id DESC LIMIT 1) l) s"
		" WHERE t.id = s.id AND " TS_OF_USER("t", "$2") " AND (t.provider_id, t.external_task_id, t.sync_status,"
		"  t.last_synced_at) IS DISTINCT FROM (s.provider_id, s.external_task_id, s.sync_status,"
		"  s.last_synced_at)",
		{UUIDOID, TEXTOID, TEXTARRAYOID, TEXTARRAYOID}
	};
	const char *uncarried[TS_NFIELDS];
	int			nuncarried = ts_uncarried(d, uncarried);

	if (n > 0)
		ts_run(&stmt, ts_uuid(m->id), ts_text(m->user_id), ts_texts(task_ids, n),
			   ts_texts(uncarried, nuncarried));
}

static void
show_changes(const TsDb *d, const TsMapping *m, const TsChange *changes, int n)
{
	static TsStatement disconnected = {
		"UPDATE tasksync.task t SET provider_id = NULL, external_task_id = NULL, sync_status = NULL"
		" FROM tasksync.task_list_mapping m"
		" WHERE m.id = $1 AND m.user_id = $2 AND " TS_OF_USER("t", "$2") " AND t.id = ANY ($3::uuid[])"
		"  AND t.provider_id = m.provider_id AND NOT EXISTS (SELECT FROM tasksync.task_link l"
		"   JOIN tasksync.task_list_mapping lm ON lm.id = l.mapping_id AND lm.user_id = l.user_id"
		"   WHERE l.task_id = t.id AND l.user_id = $2 AND lm.provider_id = m.provider_id"
		"    AND l.state <> 'FROZEN')",
		{UUIDOID, TEXTOID, TEXTARRAYOID}
	};
	const char **shown = palloc(sizeof(char *) * (n + 1));
	const char **gone = palloc(sizeof(char *) * (n + 1));
	int			nshown = 0,
				ngone = 0;

	for (int i = 0; i < n; i++)
	{
		const TsChange *c = &changes[i];

		/* A task just created shows it already. */
		if (c->task_id == NULL || c->task_action == TS_ACTION_DELETE ||
			(c->task_action == TS_ACTION_CREATE && !c->has_conflict))
			continue;
		if (c->link_action == TS_LINK_DROP || c->link_action == TS_LINK_PART)
			gone[ngone++] = c->task_id;
		else if (c->link_action != TS_LINK_KEEP || ts_failed(trouble_of(c)))
			shown[nshown++] = c->task_id;
	}
	ts_store_show_status(d, m, shown, nshown);
	if (ngone > 0)
		ts_run(&disconnected, ts_uuid(m->id), ts_text(m->user_id), ts_texts(gone, ngone));
}

/* Each conflict that was decided is a record. */
static void
note_conflicts(const Columns *cols)
{
	static TsStatement stmt = {
		"INSERT INTO tasksync.task_conflict (user_id, task_id, mapping_id, base, local, remote, fields,"
		"  resolution, resolved_at)"
		" SELECT $2, i.task_id, $1, i.base, i.local, i.remote,"
		"  ARRAY(SELECT pg_catalog.jsonb_array_elements_text(i.fields)), i.resolution, pg_catalog.now()"
		" FROM unnest($3::uuid[], $4::text[]::jsonb[], $5::text[]::jsonb[],"
		"  $6::text[]::jsonb[], $7::text[]::jsonb[], $8::text[])"
		"  AS i(task_id, fields, base, local, remote, resolution)",
		{UUIDOID, TEXTOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID,
			TEXTARRAYOID}
	};

	if (cols->n > 0)
		ts_run(&stmt, ts_uuid(cols->m->id), ts_text(cols->m->user_id), texts(cols, get_task_id),
			   texts(cols, get_conflict_fields), texts(cols, get_conflict_base),
			   texts(cols, get_conflict_local), texts(cols, get_conflict_remote),
			   texts(cols, get_resolution));
}

/* What waits for a person is one row per task and mapping, kept up to date. */
static void
note_open(const Columns *cols)
{
	static TsStatement stmt = {
		"WITH new AS MATERIALIZED ("
		" SELECT i.task_id, i.base, i.local, i.remote,"
		"  ARRAY(SELECT pg_catalog.jsonb_array_elements_text(i.fields)) AS fields"
		" FROM unnest($3::uuid[], $4::text[]::jsonb[], $5::text[]::jsonb[],"
		"  $6::text[]::jsonb[], $7::text[]::jsonb[]) AS i(task_id, fields, base, local, remote)"
		"), again AS ("
		" UPDATE tasksync.task_conflict k SET base = k.base || n.base, local = k.local || n.local,"
		"  remote = k.remote || n.remote,"
		"  fields = ARRAY(SELECT DISTINCT f FROM unnest(k.fields || n.fields) f ORDER BY f)"
		" FROM new n WHERE k.task_id = n.task_id AND k.mapping_id = $1"
		"  AND k.user_id = $2 AND " TS_IS_OPEN("k")
		" RETURNING k.task_id"
		"), made AS ("
		" INSERT INTO tasksync.task_conflict (user_id, task_id, mapping_id, base, local, remote, fields)"
		" SELECT $2, n.task_id, $1, n.base, n.local, n.remote, n.fields"
		" FROM new n WHERE n.task_id NOT IN (SELECT a.task_id FROM again a)"
		" RETURNING id)"
		" SELECT pg_catalog.pg_notify('tasksync', pg_catalog.json_build_object('event', 'conflict',"
		"  'user_id', $2, 'job_id', NULLIF($8, 0), 'mapping_id', $1, 'status', 'OPEN')::text)"
		" WHERE EXISTS (SELECT FROM made)",
		{UUIDOID, TEXTOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID,
			INT8OID}
	};

	if (cols->n > 0)
		ts_run(&stmt, ts_uuid(cols->m->id), ts_text(cols->m->user_id), texts(cols, get_task_id),
			   texts(cols, get_open_fields), texts(cols, get_open_base),
			   texts(cols, get_open_local), texts(cols, get_open_remote),
			   ts_long(cols->db->job_id));
}

/*
 * What is still to be sent and is no edit of a user's (ours stood against
 * theirs, say) may be nowhere in the journal, which tells where to look.
 */
static void
note_owed(const Columns *cols)
{
	static TsStatement stmt = {
		"INSERT INTO tasksync.task_change (user_id, task_id, provider_id, mapping_id, change_type)"
		" SELECT $2, i.task_id, $4, $1, 'UPDATE' FROM unnest($3::uuid[]) AS i(task_id)"
		" WHERE NOT EXISTS (SELECT FROM tasksync.task_change c WHERE " TS_MINE("c")
		"  AND c.task_id = i.task_id AND c.synced_at IS NULL)",
		{UUIDOID, TEXTOID, TEXTARRAYOID, UUIDOID}
	};

	if (cols->n > 0)
		ts_run(&stmt, ts_uuid(cols->m->id), ts_text(cols->m->user_id), texts(cols, get_task_id),
			   ts_uuid(cols->m->provider_id));
}

static void
bury(const Columns *cols)
{
	static TsStatement stmt = {
		"INSERT INTO tasksync.dead_remote (mapping_id, user_id, external_task_id, external_uid, task_id)"
		" SELECT $1, $2, i.id, i.uid, i.task_id FROM unnest($3::text[], $4::text[], $5::uuid[])"
		"  AS i(id, uid, task_id)"
		" ON CONFLICT (mapping_id, external_task_id, user_id) DO UPDATE SET"
		"  external_uid = EXCLUDED.external_uid, task_id = EXCLUDED.task_id,"
		"  died_at = pg_catalog.now()",
		{UUIDOID, TEXTOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID}
	};

	if (cols->n > 0)
		ts_run(&stmt, ts_uuid(cols->m->id), ts_text(cols->m->user_id), texts(cols, get_dead_id),
			   texts(cols, get_dead_uid), texts(cols, get_task_id));
}

static void
clear_inbox(const Columns *cols)
{
	const char **ids = palloc(sizeof(char *) * (cols->n + 1));

	for (int i = 0; i < cols->n; i++)
		ids[i] = cols->change[i]->clear_inbox;
	if (cols->n > 0)
		ts_store_inbox_drop((void *) cols->db, cols->m, ids, cols->n);
}

static TsStatement unbind_links = {
	"UPDATE tasksync.task_link l SET external_task_id = NULL, etag = NULL, payload = NULL,"
	" prev_etags = '{}', local_base = '{}', remote_base = '{}', sync_status = 'PENDING'"
	" WHERE " TS_MINE("l") " AND l.task_id = ANY ($3::uuid[])",
	{UUIDOID, TEXTOID, TEXTARRAYOID}
};
static TsStatement deaden_links = {
	"UPDATE tasksync.task_link l SET state = 'DEAD', external_task_id = NULL, etag = NULL,"
	" payload = NULL, prev_etags = '{}', " NO_FAILURE
	" WHERE " TS_MINE("l") " AND l.task_id = ANY ($3::uuid[])",
	{UUIDOID, TEXTOID, TEXTARRAYOID}
};
/* Whoever has the project of such a task looks at it: this link was in the way perhaps. */
static TsStatement hint_lists = {
	"INSERT INTO tasksync.task_change (user_id, task_id, provider_id, mapping_id, change_type)"
	" SELECT $2, t.id, m.provider_id, m.id, 'UPDATE'"
	" FROM tasksync.task t JOIN tasksync.task_list_mapping m"
	"  ON m.project_id = t.project_id AND m.user_id = t.user_id"
	" WHERE t.id = ANY ($3::uuid[]) AND " TS_OF_USER("t", "$2") " AND $1::uuid IS NOT NULL"
	"  AND m.sync_enabled AND m.sync_direction <> 'FROM_PROVIDER'"
	"  AND NOT EXISTS (SELECT FROM tasksync.task_change c WHERE c.task_id = t.id"
	"   AND c.mapping_id = m.id AND c.user_id = $2 AND c.synced_at IS NULL)",
	{UUIDOID, TEXTOID, TEXTARRAYOID}
};
static TsStatement part_links = {
	"UPDATE tasksync.task_link l SET state = 'FROZEN', sync_status = NULL, " NO_FAILURE
	" WHERE " TS_MINE("l") " AND l.task_id = ANY ($3::uuid[])",
	{UUIDOID, TEXTOID, TEXTARRAYOID}
};
static TsStatement drop_links = {
	"DELETE FROM tasksync.task_link l"
	" WHERE " TS_MINE("l") " AND l.task_id = ANY ($3::uuid[])",
	{UUIDOID, TEXTOID, TEXTARRAYOID}
};
/* A task that comes back was not deleted after all, wherever its objects were. */
static TsStatement drop_dead_links = {
	"DELETE FROM tasksync.task_link l WHERE l.user_id = $2 AND l.mapping_id <> $1"
	" AND l.task_id = ANY ($3::uuid[]) AND l.state = 'DEAD'",
	{UUIDOID, TEXTOID, TEXTARRAYOID}
};
/* There is nothing on the other side any more: ours is what stands. */
static TsStatement close_conflicts = {
	"WITH closed AS ("
	" UPDATE tasksync.task_conflict k SET resolution = 'LOCAL', resolved_at = pg_catalog.now()"
	" WHERE " TS_MINE("k") " AND k.task_id = ANY ($3::uuid[]) AND " TS_IS_OPEN("k")
	" RETURNING k.id, k.task_id)"
	" UPDATE tasksync.task t SET sync_status = " TS_STATUS_WITHOUT("t", "SELECT id FROM closed")
	" FROM closed WHERE t.id = closed.task_id AND " TS_OF_USER("t", "$2")
	"  AND t.sync_status = 'CONFLICT'",
	{UUIDOID, TEXTOID, TEXTARRAYOID}
};
static TsStatement clear_intents = {
	"DELETE FROM tasksync.task_intent w"
	" WHERE w.mapping_id = $1 AND w.user_id = $2 AND w.task_id = ANY ($3::uuid[])",
	{UUIDOID, TEXTOID, TEXTARRAYOID}
};

void
ts_store_apply(void *db, const TsMapping *m, const TsChange *changes, int n)
{
	Columns		cols = {m, db, palloc(sizeof(TsChange *) * (n + 1)), 0};

#define APPLY(chooser, statement) (choose(&cols, changes, n, chooser), statement)
	ts_apply_mapping = m->id;
	APPLY(imports_task, import_tasks(&cols));
	APPLY(revives_task, revive_tasks(&cols));
	APPLY(revives_task, run_by_task(&cols, &drop_dead_links));
	APPLY(revives_task, run_by_task(&cols, &hint_lists));
	APPLY(updates_task, update_tasks(&cols));
	APPLY(moves_link, move_links(&cols));
	APPLY(imports_link, run_over_links(&cols, &import_links));
	APPLY(updates_link, run_over_links(&cols, &set_links));
	APPLY(sets_link, resolve_parents(&cols));
	APPLY(copies_link, copy_links(&cols));
	APPLY(goes_over, move_conflicts(&cols));
	APPLY(parts, run_by_task(&cols, &part_links));
	APPLY(unbinds, run_by_task(&cols, &unbind_links));
	APPLY(deadens, run_by_task(&cols, &deaden_links));
	APPLY(drops, run_by_task(&cols, &drop_links));
	APPLY(drops, run_by_task(&cols, &hint_lists));
	APPLY(loses_object, run_by_task(&cols, &close_conflicts));
	APPLY(failed, fail_links(&cols));
	APPLY(failed, (void) fail_changes(&cols));
	APPLY(was_in_vain, count_in_vain(&cols));
	APPLY(has_conflict, note_conflicts(&cols));
	APPLY(has_open, note_open(&cols));
	APPLY(deletes_task, delete_tasks(&cols));
	APPLY(owes, note_owed(&cols));
	APPLY(buries, bury(&cols));
	APPLY(clears_intent, run_by_task(&cols, &clear_intents));
	APPLY(clears_inbox, clear_inbox(&cols));
	show_changes(db, m, changes, n);
	ts_apply_mapping = NULL;
#undef APPLY
}
