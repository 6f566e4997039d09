/*-------------------------------------------------------------------------
 *
 * rows.c
 *	  Links with the tasks they link, by every way the engine asks for them.
 *
 * All of these give the same columns, read by read_row().  Rows that are about
 * to be planned over are locked first, tasks before links, by a statement of
 * their own: the one that reads then sees what the locks protect.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "store/backend.h"
#include "store/sql.h"
#include "utils/memutils.h"

/* The columns that the provider has no word for, in names[TS_NFIELDS]; how many. */
int
ts_uncarried(const TsDb *d, const char **names)
{
	int			n = 0;

	for (TsField f = 0; f < TS_NFIELDS; f++)
		if (d->uncarried & TS_FIELD_BIT(f))
			names[n++] = ts_field_info[f].name;
	return n;
}

/*
 * Columns over t (task) and l (task_link of the mapping $1 of user $2), either
 * of which may be missing.
 */
#define ROW_COLUMNS \
	" COALESCE(l.task_id, t.id)::text, l.id IS NOT NULL, COALESCE(l.state = 'DEAD', false)," \
	" l.external_task_id, l.etag, l.external_uid, l.payload, l.write_seq, l.prev_etags," \
	" l.local_base::text, l.remote_base::text, l.fail_count," \
	" CASE WHEN t.id IS NOT NULL THEN tasksync.task_fields(t)::text END," \
	" t.project_id = m.project_id," \
	" CASE WHEN t.parent_task_id IS NOT NULL THEN" \
	"  (SELECT pl.external_uid FROM tasksync.task_link pl" \
	"   WHERE pl.task_id = t.parent_task_id AND " TS_MINE("pl") \
	"     AND pl.state <> 'DEAD') END," \
	" CASE WHEN t.parent_task_id IS NOT NULL THEN" \
	"  EXISTS (SELECT FROM tasksync.task p LEFT JOIN tasksync.task_link pl" \
	"    ON pl.task_id = p.id AND " TS_MINE("pl") \
	"    WHERE p.id = t.parent_task_id AND " TS_OF_USER("p", "$2") \
	"    AND p.project_id = m.project_id AND (pl.id IS NOT NULL OR " TS_BELONGS("p", "m") ")) END," \
	" CASE WHEN l.id IS NOT NULL THEN" \
	"  (SELECT pg_catalog.array_agg(DISTINCT f) FROM tasksync.task_conflict k," \
	"   LATERAL unnest(k.fields) f" \
	"   WHERE k.task_id = l.task_id AND " TS_MINE("k") \
	"     AND k.resolution IS NULL AND k.resolved_at IS NULL) END," \
	" CASE WHEN l.id IS NOT NULL THEN" \
	"  (SELECT pg_catalog.array_agg(x.field || '=' || x.at::text) FROM" \
	"   (SELECT f.field, pg_catalog.max(c.created_at) AS at FROM tasksync.task_change c," \
	"     LATERAL pg_catalog.jsonb_object_keys(c.change_data) AS f(field)" \
	"     WHERE c.task_id = l.task_id AND " TS_MINE("c") \
	"       AND c.synced_at IS NULL GROUP BY f.field) x) END," \
	" o.mapping_id::text, o.list_id, o.linked, o.mapped, l.state = 'FROZEN'," \
	" l.external_updated_at::text," \
	" CASE WHEN l.external_task_id IS NULL THEN" \
	"  (SELECT cl.payload FROM tasksync.task_link cl" \
	"    JOIN tasksync.task_list_mapping cm ON cm.id = cl.mapping_id AND cm.user_id = cl.user_id" \
	"    WHERE cl.task_id = t.id AND " TS_OF_USER("cl", "$2") " AND cm.provider_id = m.provider_id" \
	"     AND cm.id <> m.id AND cl.external_task_id IS NOT NULL LIMIT 1) END," \
	" o.external_id, o.owed"

#define IS_HOME \
	"(NOT om.mirror OR om.provider_id = t.provider_id" \
	" OR om.id = tasksync.home_mapping(om.project_id, $2))"

/* Where the task's project has a list, when that is not this mapping's. */
#define ROW_ELSEWHERE \
	" LEFT JOIN LATERAL (" \
	"  SELECT pg_catalog.min(om.id::text) FILTER (WHERE om.provider_id = m.provider_id" \
	"    AND " TS_BELONGS("t", "om") ") AS mapping_id," \
	"   pg_catalog.min(om.external_list_id) FILTER (WHERE om.provider_id = m.provider_id" \
	"    AND " TS_BELONGS("t", "om") ") AS list_id," \
	"   pg_catalog.min(ol.external_task_id) FILTER (WHERE om.provider_id = m.provider_id" \
	"    AND " TS_BELONGS("t", "om") ") AS external_id," \
	"   pg_catalog.bool_or(true) FILTER (WHERE ol.external_task_id IS NOT NULL" \
	"    AND " IS_HOME ") AS linked," \
	"   pg_catalog.bool_or(EXISTS (SELECT FROM tasksync.task_change oc WHERE oc.task_id = t.id" \
	"    AND oc.mapping_id = om.id AND oc.user_id = om.user_id AND oc.synced_at IS NULL)" \
	"    AND EXISTS (SELECT FROM pg_catalog.jsonb_each(ol.local_base) b(field, value)" \
	"     WHERE b.value IS DISTINCT FROM tasksync.task_fields(t) -> b.field)" \
	/* where that is seen there, it waits for this one to go */ \
	"    AND NOT EXISTS (SELECT FROM tasksync.task_inbox oi WHERE oi.mapping_id = om.id" \
	"     AND oi.user_id = om.user_id AND oi.external_task_id = ol.external_task_id" \
	"     AND oi.wait_for = 'MOVE'))" \
	"    FILTER (WHERE " IS_HOME ") AS owed," \
	"   pg_catalog.bool_or(om.sync_direction <> 'FROM_PROVIDER') AS mapped" \
	"  FROM tasksync.task_list_mapping om" \
	"  LEFT JOIN tasksync.task_link ol ON ol.mapping_id = om.id AND ol.user_id = om.user_id" \
	"   AND ol.task_id = t.id" \
	"  WHERE om.project_id = t.project_id AND om.user_id = $2 AND om.sync_enabled" \
	"    AND om.external_list_id IS NOT NULL" \
	"    AND om.sync_direction <> 'FROM_PROVIDER'" \
	"    AND t.project_id <> m.project_id) o ON true"

#define ROW_MAPPING \
	"JOIN tasksync.task_list_mapping m ON m.id = $1 AND m.user_id = $2 "

static bool
read_task(TsTask *task, const char *json)
{
	TsError		err = {0};

	memset(task, 0, sizeof(*task));
	return json == NULL || ts_task_from_json(json, strlen(json), task, &err);
}

/* "field=timestamp" texts */
static void
read_times(char **times, int row, int col)
{
	int			n;
	char	  **pairs = ts_col_texts(row, col, &n);

	for (int i = 0; i < n; i++)
	{
		size_t		len = strcspn(pairs[i], "=");
		int			f = ts_field_by_name(pairs[i], len);

		if (f >= 0)
			times[f] = pairs[i] + len + 1;
	}
}

static TsFieldMask
read_fields(int row, int col)
{
	TsFieldMask mask = 0;
	int			n;
	char	  **names = ts_col_texts(row, col, &n);

	for (int i = 0; i < n; i++)
	{
		int			f = ts_field_by_name(names[i], strlen(names[i]));

		if (f >= 0)
			mask |= TS_FIELD_BIT(f);
	}
	return mask;
}

static void
read_row(const TsMapping *m, int i, TsLinkRow *row)
{
	char	   *task;
	bool		readable;

	memset(row, 0, sizeof(*row));
	row->mapping_id = m->id;
	row->task_id = ts_col(i, 1);
	row->linked = ts_col_bool(i, 2);
	row->dead = ts_col_bool(i, 3);
	row->external_id = ts_col_text(i, 4, NULL);
	row->etag = ts_col_text(i, 5, NULL);
	row->uid = ts_col_text(i, 6, NULL);
	row->payload = ts_col_text(i, 7, &row->payload_len);
	row->write_seq = ts_col_long(i, 8);
	row->prev_etags = ts_col_texts(i, 9, &row->nprev_etags);
	readable = read_task(&row->local_base, ts_col(i, 10));
	readable &= read_task(&row->remote_base, ts_col(i, 11));
	row->fail_count = ts_col_int(i, 12);
	task = ts_col_text(i, 13, NULL);
	row->has_local = task != NULL;
	readable &= read_task(&row->local, task);
	if (!readable)
	{
		/* One bad row (an owner's, past the triggers) rests; the others go on. */
		ereport(LOG, (errmsg("tasksync cannot read task \"%s\" and leaves it alone", row->task_id)));
		row->dead = true;
	}
	row->in_project = ts_col_bool(i, 14);
	row->parent_uid = ts_col_text(i, 15, NULL);
	row->parent_waits = ts_col_bool(i, 16) && row->parent_uid == NULL;
	row->frozen = read_fields(i, 17);
	read_times(row->local_times, i, 18);
	row->target_mapping_id = ts_col_text(i, 19, NULL);
	row->target_list_id = ts_col_text(i, 20, NULL);
	row->elsewhere = ts_col_bool(i, 21);
	row->project_mapped = ts_col_bool(i, 22);
	row->modified_at = ts_col_text(i, 24, NULL);
	row->copy_of = ts_col_text(i, 25, &row->copy_len);
	row->target_external_id = ts_col_text(i, 26, NULL);
	row->owed_elsewhere = ts_col_bool(i, 27);
	row->parted = ts_col_bool(i, 23) && row->has_local && !row->in_project && !row->project_mapped;
	row->dead |= row->parted;
}

static TsLinkRow *
read_rows(const TsMapping *m, int n)
{
	TsLinkRow  *rows = palloc(sizeof(TsLinkRow) * (n + 1));

	for (int i = 0; i < n; i++)
		read_row(m, i, &rows[i]);
	return rows;
}

TsKnown *
ts_store_known(void *db, const TsMapping *m, const char **external_ids, int n)
{
	static TsStatement stmt = {
		"SELECT l.id IS NOT NULL, NOT i.gone, i.gone,"
		" CASE WHEN NOT i.gone THEN COALESCE(i.etag, l.etag) ELSE l.etag END,"
		" EXISTS (SELECT FROM tasksync.task_intent w"
		"  WHERE w.mapping_id = $1 AND w.user_id = $2 AND w.external_task_id = k.id),"
		" i.error_code IS NOT NULL"
		" FROM unnest($3::text[]) WITH ORDINALITY AS k(id, n)"
		" LEFT JOIN tasksync.task_link l ON " TS_MINE("l")
		"  AND l.external_task_id = k.id"
		" LEFT JOIN tasksync.task_inbox i ON i.mapping_id = $1 AND i.user_id = $2"
		"  AND i.external_task_id = k.id"
		" ORDER BY k.n",
		{UUIDOID, TEXTOID, TEXTARRAYOID}
	};
	TsKnown    *known = palloc0(sizeof(TsKnown) * n);

	ts_run(&stmt, ts_uuid(m->id), ts_text(m->user_id), ts_texts(external_ids, n));
	for (int i = 0; i < n; i++)
	{
		known[i].linked = ts_col_bool(i, 1);
		known[i].parked = ts_col_bool(i, 2);
		known[i].buried = ts_col_bool(i, 3);
		known[i].etag = ts_col_text(i, 4, NULL);
		known[i].in_doubt = ts_col_bool(i, 5);
		known[i].failed = ts_col_bool(i, 6);
	}
	return known;
}

char	  **
ts_store_external_ids(void *db, const TsMapping *m, int64 written_since, int *n)
{
	static TsStatement all = {
		"SELECT l.external_task_id FROM tasksync.task_link l"
		" WHERE l.mapping_id = $1 AND l.user_id = $2 AND l.external_task_id IS NOT NULL",
		{UUIDOID, TEXTOID}
	};
	static TsStatement written = {
		"SELECT l.external_task_id FROM tasksync.task_link l"
		" WHERE l.mapping_id = $1 AND l.user_id = $2 AND l.external_task_id IS NOT NULL"
		"  AND l.write_seq > 0 AND l.write_seq > $3",
		{UUIDOID, TEXTOID, INT8OID}
	};
	char	  **ids;

	*n = written_since == 0 ? ts_run(&all, ts_uuid(m->id), ts_text(m->user_id))
		: ts_run(&written, ts_uuid(m->id), ts_text(m->user_id), ts_long(written_since));
	ids = palloc(sizeof(char *) * (*n + 1));
	for (int i = 0; i < *n; i++)
		ids[i] = ts_col_text(i, 1, NULL);
	return ids;
}

/* Lock tasks, then links, in the order of their ids: one order for everybody. */
static void
lock_rows(const TsDb *db, const TsMapping *m, TsArg task_ids)
{
	static TsStatement tasks = {
		"SELECT 1 FROM tasksync.task t WHERE " TS_OF_USER("t", "$1") " AND t.id = ANY ($2::uuid[])"
		" ORDER BY t.id FOR NO KEY UPDATE",
		{TEXTOID, TEXTARRAYOID}
	};
	static TsStatement links = {
		"SELECT 1 FROM tasksync.task_link l WHERE " TS_MINE("l")
		" AND l.task_id = ANY ($3::uuid[]) ORDER BY l.task_id FOR NO KEY UPDATE",
		{UUIDOID, TEXTOID, TEXTARRAYOID}
	};

	if (db->read_only)
		return;
	ts_run(&tasks, ts_text(m->user_id), task_ids);
	ts_run(&links, ts_uuid(m->id), ts_text(m->user_id), task_ids);
}

TsLinkRow *
ts_store_links_by_task(void *db, const TsMapping *m, const char **task_ids, int n)
{
	static TsStatement stmt = {
		"SELECT" ROW_COLUMNS
		" FROM unnest($3::uuid[]) WITH ORDINALITY AS k(id, n) "
		ROW_MAPPING
		" LEFT JOIN tasksync.task_link l ON " TS_MINE("l") " AND l.task_id = k.id"
		" LEFT JOIN tasksync.task t ON t.id = k.id AND " TS_OF_USER("t", "$2")
		ROW_ELSEWHERE
		" ORDER BY k.n",
		{UUIDOID, TEXTOID, TEXTARRAYOID}
	};
	TsArg		ids = ts_texts(task_ids, n);
	TsLinkRow  *rows;

	lock_rows(db, m, ids);
	ts_run(&stmt, ts_uuid(m->id), ts_text(m->user_id), ids);
	rows = read_rows(m, n);
	for (int i = 0; i < n; i++)
		rows[i].task_id = pstrdup(task_ids[i]);
	return rows;
}

/*
 * Most objects of a first pull are unknown here, and most of an incremental
 * one known: the rows themselves are read for those only that were found.
 *
 * A marker tells whose object it is that nobody has linked.  It tells nothing of a
 * task of another project that another provider has an object of: two providers
 * may look at the same account, and see each other's.
 */
TsLinkRow *
ts_store_links(void *db, const TsMapping *m, const char **external_ids, const char **uids,
			   const char **markers, int n)
{
	static TsStatement find = {
		"SELECT (SELECT x.task_id::text FROM"
		"  (SELECT a.task_id FROM tasksync.task_link a WHERE " TS_MINE("a")
		"    AND a.external_task_id = k.id"
		"   UNION ALL"
		"   SELECT b.task_id FROM tasksync.task_link b WHERE " TS_MINE("b")
		"    AND b.external_uid = k.uid AND b.external_task_id IS NULL"
		"    AND (b.state <> 'DEAD' OR EXISTS (SELECT FROM tasksync.task bt"
		"     WHERE bt.id = b.task_id AND " TS_OF_USER("bt", "$2") "))"
		"   UNION ALL"
		"   SELECT w.task_id FROM tasksync.task_intent w WHERE w.mapping_id = $1 AND w.user_id = $2"
		"    AND w.task_id = k.marker AND w.kind = 'CREATE' AND w.external_task_id IS NULL"
		"   UNION ALL"
		"   SELECT t.id FROM tasksync.task t WHERE t.id = k.marker AND " TS_OF_USER("t", "$2")
		"    AND NOT EXISTS (SELECT FROM tasksync.task_link c"
		"     JOIN tasksync.task_list_mapping cm ON cm.id = c.mapping_id AND cm.user_id = c.user_id"
		"     WHERE c.task_id = t.id AND c.user_id = $2 AND cm.provider_id = $5)"
		"    AND (t.project_id = $7 OR NOT EXISTS (SELECT FROM tasksync.task_link c"
		"     WHERE c.task_id = t.id AND c.user_id = $2 AND c.external_task_id IS NOT NULL))"
		"   UNION ALL"
		"   SELECT d.task_id FROM tasksync.dead_remote d"
		"    JOIN tasksync.task_list_mapping dm ON dm.id = d.mapping_id AND dm.user_id = d.user_id"
		"    WHERE d.external_uid = k.uid AND d.user_id = $2 AND dm.provider_id = $5"
		"     AND NOT EXISTS (SELECT FROM tasksync.task_link c"
		"      JOIN tasksync.task_list_mapping cm ON cm.id = c.mapping_id AND cm.user_id = c.user_id"
		"      WHERE c.task_id = d.task_id AND c.user_id = $2 AND cm.provider_id = $5)"
		"  ) x LIMIT 1),"
		" (SELECT pg_catalog.min(sl.mapping_id::text) FROM tasksync.task_link sl"
		"  WHERE sl.external_uid = k.uid AND sl.external_task_id IS NOT NULL"
		"   AND (sl.external_task_id <> k.id OR sl.mapping_id <> $1)"
		"   AND EXISTS (SELECT FROM tasksync.task_list_mapping sm"
		"    WHERE sm.id = sl.mapping_id AND sm.user_id = sl.user_id AND sm.user_id = $2"
		"     AND sm.provider_id = $5 AND sm.sync_enabled"
		"     AND sm.sync_status IS DISTINCT FROM 'DISCONNECTED')),"
		" EXISTS (SELECT FROM tasksync.dead_remote d"
		"  WHERE d.mapping_id = $1 AND d.user_id = $2 AND d.external_task_id = k.id),"
		" EXISTS (SELECT FROM tasksync.task_intent w WHERE w.mapping_id = $1 AND w.user_id = $2"
		"  AND w.task_id = k.marker AND w.kind = 'CREATE' AND w.external_task_id IS NULL)"
		" FROM unnest($3::text[], $4::text[], $6::uuid[]) WITH ORDINALITY AS k(id, uid, marker, n)"
		" ORDER BY k.n",
		{UUIDOID, TEXTOID, TEXTARRAYOID, TEXTARRAYOID, UUIDOID, TEXTARRAYOID,
			UUIDOID}
	};
	TsLinkRow  *rows = palloc0(sizeof(TsLinkRow) * (n + 1));
	TsLinkRow  *found;
	const char **task_ids = palloc(sizeof(char *) * (n + 1));
	int		   *place = palloc(sizeof(int) * (n + 1));
	int			nfound = 0;

	ts_run(&find, ts_uuid(m->id), ts_text(m->user_id), ts_texts(external_ids, n),
		   ts_texts(uids, n), ts_uuid(m->provider_id), ts_texts(markers, n), ts_uuid(m->project_id));
	for (int i = 0; i < n; i++)
	{
		rows[i].mapping_id = m->id;
		rows[i].sibling = ts_col_text(i, 2, NULL);
		rows[i].id_is_dead = ts_col_bool(i, 3);
		rows[i].create_in_doubt = ts_col_bool(i, 4);
		if (ts_col_null(i, 1))
			continue;
		task_ids[nfound] = ts_col_text(i, 1, NULL);
		place[nfound++] = i;
	}
	if (nfound == 0)
		return rows;
	found = ts_store_links_by_task(db, m, task_ids, nfound);
	for (int i = 0; i < nfound; i++)
	{
		TsLinkRow  *row = &rows[place[i]];
		const char *external_id = found[i].external_id;

		/* unless it was bound to another object before it was locked */
		if (external_id && strcmp(external_id, external_ids[place[i]]) != 0)
			continue;
		found[i].sibling = row->sibling;
		found[i].id_is_dead = row->id_is_dead;
		found[i].create_in_doubt = row->create_in_doubt && external_id == NULL;
		*row = found[i];
	}
	return rows;
}

char	  **
ts_store_parents(void *db, const TsMapping *m, const char **uids, int n)
{
	static TsStatement stmt = {
		"SELECT (SELECT l.task_id::text FROM tasksync.task_link l"
		"  JOIN tasksync.task t ON t.id = l.task_id AND t.user_id = l.user_id"
		"  WHERE " TS_MINE("l") " AND l.external_uid = k.uid LIMIT 1)"
		" FROM unnest($3::text[]) WITH ORDINALITY AS k(uid, n) ORDER BY k.n",
		{UUIDOID, TEXTOID, TEXTARRAYOID}
	};
	char	  **parents = palloc0(sizeof(char *) * (n + 1));
	bool		any = false;

	for (int i = 0; i < n; i++)
		any |= uids[i] != NULL;
	if (!any)
		return parents;
	ts_run(&stmt, ts_uuid(m->id), ts_text(m->user_id), ts_texts(uids, n));
	for (int i = 0; i < n; i++)
		parents[i] = ts_col_text(i, 1, NULL);
	return parents;
}

bool *
ts_store_circular(void *db, const TsMapping *m, const char **task_ids, char **parent_ids, int n)
{
	static TsStatement stmt = {
		"WITH RECURSIVE up (n, task_id, ancestor) AS ("
		" SELECT k.n, k.task_id, k.parent_id"
		"  FROM unnest($2::uuid[], $3::uuid[]) WITH ORDINALITY AS k(task_id, parent_id, n)"
		"  WHERE k.parent_id IS NOT NULL"
		" UNION"
		" SELECT up.n, up.task_id, t.parent_task_id FROM up"
		"  JOIN tasksync.task t ON t.id = up.ancestor AND " TS_OF_USER("t", "$1")
		"  WHERE t.parent_task_id IS NOT NULL AND up.ancestor <> up.task_id)"
		" SELECT DISTINCT up.n FROM up WHERE up.ancestor = up.task_id",
		{TEXTOID, TEXTARRAYOID, TEXTARRAYOID}
	};
	bool	   *circular = palloc0(sizeof(bool) * (n + 1));
	int			nfound = ts_run(&stmt, ts_text(m->user_id), ts_texts(task_ids, n),
								ts_texts((const char *const *) parent_ids, n));

	for (int i = 0; i < nfound; i++)
		circular[ts_col_long(i, 1) - 1] = true;
	return circular;
}

TsLinkRow *
ts_store_unlinked(void *db, const TsMapping *m, int *n)
{
	static TsStatement stmt = {
		"SELECT" ROW_COLUMNS
		" FROM tasksync.task t "
		ROW_MAPPING
		" LEFT JOIN tasksync.task_link l ON " TS_MINE("l") " AND l.task_id = t.id"
		ROW_ELSEWHERE
		" WHERE t.project_id = m.project_id AND t.user_id = $2 AND l.id IS NULL"
		" ORDER BY t.created_at, t.id",
		{UUIDOID, TEXTOID}
	};

	*n = ts_run(&stmt, ts_uuid(m->id), ts_text(m->user_id));
	return read_rows(m, *n);
}

/*
 * Of the last hour's writes of syncs to these tasks: fields that were written
 * six times and more, and were one of three values before each.
 */
TsFieldMask *
ts_store_swinging(void *db, const TsMapping *m, const char **task_ids, int n)
{
	static TsStatement stmt = {
		"SELECT k.n, ARRAY(SELECT f.field FROM tasksync.task_trash g, LATERAL unnest(g.fields) AS f(field)"
		"  WHERE g.task_id = k.id AND " TS_OF_USER("g", "$1") " AND g.action = 'UPDATE'"
		"   AND g.created_at > pg_catalog.now() - interval '1 hour'"
		"  GROUP BY f.field HAVING pg_catalog.count(*) >= 6"
		"   AND pg_catalog.count(DISTINCT g.old_row -> f.field) <= 3)"
		" FROM unnest($2::uuid[]) WITH ORDINALITY AS k(id, n)"
		" WHERE EXISTS (SELECT FROM tasksync.task_trash g WHERE g.task_id = k.id AND " TS_OF_USER("g", "$1") ")",
		{TEXTOID, TEXTARRAYOID}
	};
	TsFieldMask *fields = palloc0(sizeof(TsFieldMask) * n);
	int			nfound = ts_run(&stmt, ts_text(m->user_id), ts_texts(task_ids, n));

	for (int i = 0; i < nfound; i++)
		fields[ts_col_long(i, 1) - 1] = read_fields(i, 2);
	return fields;
}

/*
 * Candidates: hints from the journal, retries that are due (a task that was
 * edited since it failed is due at once) and, when a comparison is due, all
 * that differs.  Whoever has an observation waiting or
 * a write in doubt comes later.
 */
TsLinkRow *
ts_store_candidates(void *db, const TsMapping *m, const char *after, int limit, int *n)
{
	static TsStatement snapshot = {"SELECT pg_catalog.pg_current_snapshot()::text"};
	static TsStatement stmt = {
		"WITH hint AS MATERIALIZED ("
		" SELECT c.task_id FROM tasksync.task_change c"
		"  WHERE c.mapping_id = $1 AND c.user_id = $2 AND c.synced_at IS NULL"
		" UNION SELECT r.task_id FROM tasksync.task_link r"
		"  WHERE r.mapping_id = $1 AND r.user_id = $2 AND r.retry_at <= pg_catalog.now()"
		" UNION SELECT COALESCE(ct.id, cl.task_id) FROM"
		"  (SELECT a.id, a AS task FROM tasksync.task a, tasksync.task_list_mapping am"
		"    WHERE am.id = $1 AND am.user_id = $2 AND a.project_id = am.project_id AND a.user_id = $2) ct"
		"  FULL JOIN (SELECT b.* FROM tasksync.task_link b WHERE b.mapping_id = $1 AND b.user_id = $2) cl"
		"   ON cl.task_id = ct.id"
		"  WHERE $5 AND (ct.id IS NULL OR cl.id IS NULL OR cl.external_task_id IS NULL"
		"   OR tasksync.task_fields(ct.task) - $6::text[] IS DISTINCT FROM cl.local_base))"
		" SELECT" ROW_COLUMNS
		" FROM hint k "
		ROW_MAPPING
		" LEFT JOIN tasksync.task_link l ON " TS_MINE("l") " AND l.task_id = k.task_id"
		" LEFT JOIN tasksync.task t ON t.id = k.task_id AND " TS_OF_USER("t", "$2")
		ROW_ELSEWHERE
		" WHERE ($3::uuid IS NULL OR k.task_id > $3)"
		"  AND m.sync_status IS DISTINCT FROM 'HELD'"
		"  AND (l.retry_at IS NULL OR l.retry_at <= pg_catalog.now()"
		"   OR EXISTS (SELECT FROM tasksync.task_change c WHERE c.task_id = k.task_id"
		"    AND c.mapping_id = $1 AND c.user_id = $2 AND c.synced_at IS NULL AND c.attempts = 0))"
		"  AND NOT EXISTS (SELECT FROM tasksync.task_intent w WHERE w.mapping_id = $1"
		"   AND w.user_id = $2 AND w.task_id = k.task_id)"
		"  AND NOT EXISTS (SELECT FROM tasksync.task_inbox i WHERE i.mapping_id = $1"
		"   AND i.user_id = $2 AND i.external_task_id = l.external_task_id)"
		"  AND (l.id IS NOT NULL OR (t.project_id = m.project_id AND " TS_BELONGS("t", "m") "))"
		/* to be made, even if an earlier try failed: not where one is, or may be, elsewhere */
		"  AND (l.external_task_id IS NOT NULL OR (t.project_id = m.project_id) IS NOT TRUE"
		"   OR (NOT EXISTS (SELECT FROM tasksync.task_intent ow"
		"    JOIN tasksync.task_list_mapping wm ON wm.id = ow.mapping_id AND wm.user_id = ow.user_id"
		"    WHERE ow.task_id = t.id AND ow.user_id = $2 AND wm.provider_id = m.provider_id"
		"     AND wm.sync_enabled AND wm.sync_status IS DISTINCT FROM 'DISCONNECTED')"
		/* one in another synced list of the provider comes over, where the provider can move it */
		"   AND NOT ($7 AND EXISTS (SELECT FROM tasksync.task_link ol"
		"    JOIN tasksync.task_list_mapping om ON om.id = ol.mapping_id AND om.user_id = ol.user_id"
		"    WHERE ol.task_id = t.id AND ol.user_id = $2"
		"     AND ol.external_task_id IS NOT NULL AND om.id <> m.id"
		"     AND om.provider_id = m.provider_id AND om.sync_enabled"
		"     AND om.sync_status IS DISTINCT FROM 'DISCONNECTED'))))"
		" ORDER BY k.task_id LIMIT $4",
		{UUIDOID, TEXTOID, UUIDOID, INT4OID, BOOLOID, TEXTARRAYOID, BOOLOID},
		.unbounded = true
	};
	TsDb	   *d = db;
	const char *uncarried[TS_NFIELDS];
	int			nuncarried = ts_uncarried(d, uncarried);

	if (after == NULL)
	{
		ts_run_args(&snapshot, 0, NULL);
		d->snapshot = MemoryContextStrdup(d->cxt, ts_col(0, 1));
	}
	*n = ts_run(&stmt, ts_uuid(m->id), ts_text(m->user_id), ts_uuid(after), ts_int(limit),
				ts_bool(m->compare_due), ts_texts(uncarried, nuncarried),
				ts_bool(m->native_moves));
	return read_rows(m, *n);
}
